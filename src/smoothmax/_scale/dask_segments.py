"""Functions of segments of dask arrays: new blocks are cut where segments end, so that each has whole segments."""

import math
from functools import partial
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from smoothmax._api import segments as functions
from smoothmax._arrays.segments import axis_and_offsets
from smoothmax._partial import states
from smoothmax._schedule.threads import one_thread

__all__ = ["segments"]

Array = np.ndarray[Any, Any]


def block_of_segments(x: Array, offsets: Array, *, operation: str, axis: int, dtype: np.dtype[Any]) -> Any:
    with one_thread:
        return getattr(functions, operation)(x, offsets, axis, dtype=dtype)


def segments(operation: str, a: Any, offsets: Any, axis: Any, dtype: Any) -> Any:
    """segment_logsumexp, or segment_softmax or segment_log_softmax, which have a result for each element."""
    a = da.asanyarray(a)
    result = states.dtype_of(a._meta, dtype=dtype)
    lengths = [-1 if math.isnan(n) else n for n in a.shape]
    along, begins = axis_and_offsets(axis, offsets, lengths)
    groups = groups_of(begins, a.chunks[along])
    a = a.rechunk({along: tuple(int(begins[end] - begins[first]) for first, end in groups)})
    function = partial(block_of_segments, operation=operation, axis=along, dtype=result)
    local = [begins[first : end + 1] - begins[first] for first, end in groups]
    name = f"{operation}-{tokenize(a.name, function, begins)}"
    layer: dict[Any, Any] = {
        (name, *place): (function, (a.name, *place), local[place[along]])
        for place in product(*(range(n) for n in a.numblocks))
    }
    chunks = list(a.chunks)
    if operation == "segment_logsumexp":
        chunks[along] = tuple(end - first for first, end in groups)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[a])
    return da.Array(graph, name, tuple(chunks), dtype=result, meta=np.empty((0,) * a.ndim, result))


def groups_of(offsets: Array, blocks: tuple[int, ...]) -> list[tuple[int, int]]:
    """The segments of the new blocks, as pairs of the first segment and the one after the last.

    Each group ends with the first segment that reaches the end of an old block. Each has elements, if there are any.
    """
    n = len(offsets) - 1
    ends: list[int] = []
    for stop in np.cumsum(blocks)[:-1]:
        end = int(np.searchsorted(offsets, stop))
        if offsets[ends[-1] if ends else 0] < offsets[end] < offsets[n]:
            ends.append(end)
    return list(zip([0, *ends], [*ends, n], strict=True))
