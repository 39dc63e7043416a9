"""logmeanexp of dask arrays: the partial sums of all blocks, and their divisors.

The divisor is the number of elements if it is known; otherwise each block counts its elements. With weights it is the
sum of the weights, which has partial sums of its own, computed like those of elements of 0.
"""

import math
from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from smoothmax._partial import states
from smoothmax._scale.dask_blocks import block_sums, indexed, merged_blocks, named, reduce_block, split_every_of

__all__ = ["mean"]

Array = np.ndarray[Any, Any]


# Blocks: dask runs these, in its threads or on other machines ---------------------------------------------------------


def common_shape(*arrays: Any) -> tuple[int, ...]:
    return np.broadcast_shapes(*(np.shape(array) for array in arrays))


def count_block(x: Array, where: Any, add: Any, *, axis: tuple[int, ...]) -> Array:
    """The number of elements of each reduction that take part."""
    taken = np.broadcast_to(np.asarray(where), common_shape(x, where, add))
    return np.asarray(np.sum(taken, axis=axis, dtype=np.intp, keepdims=True))


def weigh_block(x: Array, b: Any, where: Any, add: Any, *, axis: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The partial sums of the weights of a block."""
    zeros = np.broadcast_to(dtype.type(0), common_shape(x, b, where, add))
    return reduce_block(zeros, b, where, operation="weighted_logsumexp", axis=axis, dtype=dtype)


def finish_means(sums: Array, totals: Any, *, dtype: np.dtype[Any], result: np.dtype[Any]) -> Any:
    return states.means(sums, totals, dtype, result)[()]


# Arrays --------------------------------------------------------------------------------------------------------------


def mean(
    x: Any,
    b: Any,
    where: Any,
    add: Any,
    *,
    shape: tuple[int, ...],
    axis: tuple[int, ...],
    keepdims: bool,
    dtype: np.dtype[Any],
    result: np.dtype[Any],
    scale: Any,
    split_every: Any,
) -> Any:
    """The means of an array, broadcast to `shape` with the others; computed in `dtype`, returned in `result`."""
    ndim = len(shape)
    operation = "logmeanexp" if b is None else "weighted_logsumexp"
    sums = block_sums(operation, x, b, where, ndim, axis, dtype, scale, add)
    sums = merged_blocks(sums, operation, axis, keepdims=keepdims, dtype=dtype, split_every=split_every)
    totals = totals_of(x, b, where, add, shape, axis, keepdims, dtype, split_every)
    return da.blockwise(
        partial(finish_means, dtype=dtype, result=result),
        tuple(range(sums.ndim)),
        *indexed(sums, sums.ndim),
        *indexed(totals, sums.ndim),
        dtype=result,
        meta=np.empty((0,) * sums.ndim, result),
        token="logmeanexp",
    )


def totals_of(
    x: Any,
    b: Any,
    where: Any,
    add: Any,
    shape: tuple[int, ...],
    axis: tuple[int, ...],
    keepdims: bool,
    dtype: np.dtype[Any],
    split_every: Any,
) -> Any:
    """The divisors of the sums: a number, a dask array of numbers, or a dask array of the partial sums of weights."""
    ndim = len(shape)
    if b is None and where is True and not any(math.isnan(shape[i]) for i in axis):
        return np.float64(math.prod(shape[i] for i in axis))
    arrays = [*indexed(x, ndim), *([] if b is None else indexed(b, ndim)), *indexed(where, ndim), *indexed(add, ndim)]
    function: Any = partial(count_block, axis=axis)
    if b is not None:
        function = partial(weigh_block, axis=axis, dtype=dtype)
    of_type = np.dtype(np.intp) if b is None else states.STATE
    parts = da.blockwise(
        function,
        tuple(range(ndim)),
        *arrays,
        adjust_chunks={i: lambda _: 1 for i in axis},
        dtype=of_type,
        meta=np.empty((0,) * ndim, of_type),
        token=named("logmeanexp-totals", x),
    )
    if b is None:
        return parts.sum(axis=axis, keepdims=keepdims, split_every=split_every_of(split_every))
    return merged_blocks(parts, "weighted_logsumexp", axis, keepdims=keepdims, dtype=dtype, split_every=split_every)
