"""logcumsumexp of dask arrays: the partial sums of all blocks are added up, and each block starts from the sum before
it.

A block is read twice, first for its partial sum and then for its results, so that no block waits for the results of
another.
"""

from functools import partial
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from smoothmax._api import scans
from smoothmax._partial import states
from smoothmax._scale.dask_blocks import indexed, named, reduce_block
from smoothmax._schedule.threads import one_thread

__all__ = ["scan_blocks"]

Array = np.ndarray[Any, Any]
OPERATION = "logmeanexp"  # its partial sums have exact terms, which prefixes near 0 need


# Blocks: dask runs these, in its threads or on other machines ---------------------------------------------------------


def scan_block(x: Array, *, axis: int, reverse: bool, exclusive: bool, dtype: np.dtype[Any]) -> Array:
    with one_thread:
        result: Array = scans.logcumsumexp(x, axis, reverse=reverse, exclusive=exclusive, dtype=dtype)
        return result


def go_on_in_block(
    x: Array, before: Array, *, axis: int, reverse: bool, exclusive: bool, dtype: np.dtype[Any]
) -> Array:
    with one_thread:
        return states.scanned(x, axis, reverse, exclusive, before, dtype)


# Arrays --------------------------------------------------------------------------------------------------------------


def scan_blocks(x: Any, axis: int, reverse: bool, exclusive: bool, dtype: np.dtype[Any]) -> Any:
    """The scan along an axis, in the blocks of the array."""
    ndim = x.ndim
    keywords: dict[str, Any] = {"axis": axis, "reverse": reverse, "exclusive": exclusive, "dtype": dtype}
    function: Any = partial(scan_block, **keywords)
    arrays: list[Any] = [*indexed(x, ndim)]
    if x.numblocks[axis] > 1:
        function = partial(go_on_in_block, **keywords)
        arrays += indexed(sums_before(x, axis, reverse, dtype), ndim)
    return da.blockwise(
        function,
        tuple(range(ndim)),
        *arrays,
        dtype=dtype,
        meta=np.empty((0,) * ndim, dtype),
        token=named("logcumsumexp", x),
        align_arrays=False,
    )


def sums_before(x: Any, axis: int, reverse: bool, dtype: np.dtype[Any]) -> Any:
    """The partial sums of all blocks before each block, merged one after the other because merging is cheap."""
    sums = sums_of_blocks(x, axis, dtype)
    order = range(sums.numblocks[axis])
    order = order[::-1] if reverse else order
    name = f"logcumsumexp-before-{tokenize(sums.name, reverse)}"
    layer: dict[Any, Any] = {}
    for place in product(*(range(1 if i == axis else n) for i, n in enumerate(sums.numblocks))):
        previous: Any = None
        for k in order:
            index = (*place[:axis], k, *place[axis + 1 :])
            if previous is None:
                layer[name, *index] = (nothing_before, (sums.name, *index))
            else:
                layer[name, *index] = (states.joined, OPERATION, (name, *previous), (sums.name, *previous), dtype)
            previous = index
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[sums])
    return da.Array(graph, name, sums.chunks, dtype=states.STATE, meta=sums._meta)


def nothing_before(sums: Array) -> Array:
    result: Array = states.empty_states(sums.shape)
    return result


def sums_of_blocks(x: Any, axis: int, dtype: np.dtype[Any]) -> Any:
    """The partial sums of each single block, with length 1 along the axis."""
    return da.blockwise(
        partial(reduce_block, operation=OPERATION, axis=(axis,), dtype=dtype),
        tuple(range(x.ndim)),
        *indexed(x, x.ndim),
        *(None, None),
        *(True, None),
        adjust_chunks={axis: lambda _: 1},
        dtype=states.STATE,
        meta=np.empty((0,) * x.ndim, states.STATE),
        token=named("logcumsumexp-sums", x),
    )
