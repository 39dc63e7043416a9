"""logmatmulexp on dask arrays: products of blocks, merged along the axis that is summed over.

The error of a product of blocks is at most (k + 4) u and half an ULP of its logarithm. logsumexp of all products adds
half an ULP of the result and less than 2 u, so the result keeps the bound of one call. Exact products that are merged
are rounded, too, so they have that bound and not the 2 ULP of one call.
"""

from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import DTypeLike

from smoothmax._api.products import logmatmulexp
from smoothmax._partial import states
from smoothmax._scale.dask_blocks import block_sums, merged_blocks, named
from smoothmax._schedule.threads import one_thread

__all__ = ["product"]

Array = np.ndarray[Any, Any]


def multiply_blocks(a: Array, b: Array, *, dtype: np.dtype[Any], exact: bool) -> Array:
    """The product of two blocks, with a new first axis along which such products are merged."""
    with one_thread:
        result: Array = logmatmulexp(a, b, dtype=dtype, exact=exact)[None]
    return result


def product(a: Any, b: Any, dtype: DTypeLike | None, exact: Any, split_every: Any) -> Any:
    a, b = da.asanyarray(a), da.asanyarray(b)
    result = states.dtype_of(a._meta, b._meta, dtype)
    if 0 in (a.ndim, b.ndim):
        raise ValueError(f"a and b must have at least one axis, got shapes {a.shape} and {b.shape}")
    is_row, is_column = a.ndim == 1, b.ndim == 1
    length, other = a.shape[-1], b.shape[0 if is_column else -2]
    if length != other and not np.isnan(length) and not np.isnan(other):
        raise ValueError(
            f"the last axis of a must be as long as the {'only' if is_column else 'second-to-last'} axis of b, got "
            f"shapes {a.shape} and {b.shape}"
        )
    a = a[None] if is_row else a
    b = b[:, None] if is_column else b
    try:
        da.core.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"the stacks of a and b must broadcast, got shapes {a.shape} and {b.shape}") from None
    # Where nothing is merged, a block has the type of the result: dask's astype would warn if float16 overflows.
    whole = length == 0 or a.numblocks[-1] == b.numblocks[-2] == 1
    computing = np.dtype(np.float64 if result == np.float64 else np.float32)
    of_block = result if whole else computing
    ndim = max(a.ndim, b.ndim)
    # Axes of the blockwise product: 0 is the summed axis; then come the stack, the rows, the columns.
    stack = tuple(range(1, ndim - 1))
    rows, columns = ndim - 1, ndim
    products = da.blockwise(
        partial(multiply_blocks, dtype=of_block, exact=bool(exact)),
        (0, *stack, rows, columns),
        a,
        (*stack[len(stack) + 2 - a.ndim :], rows, 0),
        b,
        (*stack[len(stack) + 2 - b.ndim :], 0, columns),
        adjust_chunks={0: lambda _: 1},
        dtype=of_block,
        meta=np.empty((0,) * (ndim + 1), of_block),
        name=None,
        token=named("logmatmulexp", a),
    )
    if length == 0:
        products = da.full((1, *products.shape[1:]), -np.inf, dtype=of_block)
    if whole:
        value = products[0]
    else:
        sums = block_sums("logsumexp", products, b=None, where=True, ndim=ndim + 1, axis=(0,), dtype=computing)
        value = merged_blocks(
            sums, "logsumexp", (0,), keepdims=False, dtype=computing, split_every=split_every, result=result
        )
    value = value[..., 0, :] if is_row else value
    return value[..., 0] if is_column else value
