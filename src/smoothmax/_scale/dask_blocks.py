"""What the functions on dask arrays are made of: functions of one block, and the graphs that they are put into.

A block becomes an array of states, dask's reduction merges those in a tree, and blocks and merged states together
become the result. No cluster, scheduler or mathematics of its own.
"""

from collections.abc import Mapping
from functools import partial
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from dask import config
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.utils import key_split

from smoothmax._api import functions as _functions
from smoothmax._partial import states as _states
from smoothmax._schedule.threads import num_threads

__all__ = [
    "block_states", "broadcast", "checked", "finish_block", "finish_blocks", "indexed", "merge_blocks", "merged",
    "named", "split_every_of", "transform_block", "write_block",
]  # fmt: skip

Array = np.ndarray[Any, Any]
SPLIT_EVERY = (
    32  # states merged at a time. A state is 32 bytes; dask's 4 is meant for blocks, and makes 35 tasks of 100
)
# Bytes of blocks in memory that one task reduces, some 3 ms of work, where a task costs dask 0.1 to 0.2 ms on the one
# thread that schedules. 2026-11, logsumexp of 100 blocks of 8 MB, two threads, beside one call: 1.35 of a block a task,
# 1.26 of two, 1.24 of four, 1.21 of eight. More would leave the threads of a large machine idle.
TOGETHER = 33554432


# Blocks: run by dask, in its threads or on other machines -------------------------------------------------------------


def reduce_block(x: Array, b: Any, where: Any, *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    with num_threads(1):  # there are as many blocks at a time as the scheduler wants to be busy
        return _states.reduced(operation, x, axis, b, where, dtype)[0]


def reduce_chunk(x: Array, *, axis: tuple[int, ...], keepdims: bool, operation: str, dtype: np.dtype[Any]) -> Array:  # noqa: ARG001
    """As dask's reduction calls it. What comes from blocks of several arrays is states already."""
    if x.dtype == _states.STATE:
        return x
    return reduce_block(x, None, True, operation=operation, axis=axis, dtype=dtype)


def reduce_blocks(blocks: list[Array], *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    states = [reduce_block(x, None, True, operation=operation, axis=axis, dtype=dtype) for x in blocks]
    return _states.merged(operation, np.concatenate(states, axis[0]), axis, dtype)


def merge_blocks(
    states: Array, *, axis: tuple[int, ...], keepdims: bool, operation: str, dtype: np.dtype[Any]
) -> Array:
    merged = _states.merged(operation, states, axis, dtype)
    return merged if keepdims else np.squeeze(merged, axis=axis)


def finish_blocks(states: Array, *, axis: tuple[int, ...], keepdims: bool, operation: str, dtype: np.dtype[Any]) -> Any:
    merged = merge_blocks(states, axis=axis, keepdims=keepdims, operation=operation, dtype=dtype)
    return _states.finished(operation, merged, dtype)


def finish_block(states: Array, *, part: int, operation: str, dtype: np.dtype[Any]) -> Any:
    """The results, or their signs."""
    return _states.finished(operation, states, dtype, True)[part]


def write_block(
    x: Array, where: Any, states: Array, *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    with num_threads(1):
        return _states.written(operation, x, axis, where, states, dtype)


def transform_block(x: Array, where: Any, *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    with num_threads(1):
        return getattr(_functions, operation)(x, axis=axis, where=where, dtype=dtype)


# Arrays --------------------------------------------------------------------------------------------------------------


def checked(x: Any, where: Any) -> tuple[Any, Any]:
    """Dask arrays of the input and of the mask, which stays True if it is; the mask widens the input."""
    x = da.asanyarray(x)
    if where is not True:
        where = da.asanyarray(where)
        if where.dtype != bool:
            raise TypeError(f"where must be an array of bool, got dtype {where.dtype}")
    return x, where


def broadcast(x: Any, name: str, other: Any) -> tuple[int, ...]:
    try:
        shape: tuple[int, ...] = da.core.broadcast_shapes(x.shape, other.shape)
    except ValueError:
        raise ValueError(
            f"{name} of shape {other.shape} does not broadcast with the input of shape {x.shape}"
        ) from None
    return shape


def indexed(array: Any, ndim: int) -> tuple[Any, Any]:
    """An argument of blockwise: an array and which of the ndim axes it has, or anything else and None."""
    return (array, tuple(range(ndim - array.ndim, ndim))) if isinstance(array, da.Array) else (array, None)


def named(operation: str, source: Any) -> str:
    """What tasks on the blocks of an array are called, so that dask has no other name for them once both are fused.

    A fused task whose name changes leaves an alias behind, which is scheduled like a task: of blocks in memory, half of
    all (2026-11, dask 2026.8). It is not renamed where names begin alike, up to the first part that is not of letters.
    """
    return f"{key_split(source.name)}-1-{operation}"


def block_states(
    operation: str, x: Any, b: Any, where: Any, ndim: int, axis: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    """The states of blocks, of length 1 along the reduced axes; of one array alone mostly left to dask's reduction."""
    if b is None and where is True:
        blocks = blocks_in_memory(x)
        return x if blocks is None else states_of_blocks_in_memory(operation, x, blocks, axis, dtype)
    return da.blockwise(
        partial(reduce_block, operation=operation, axis=axis, dtype=dtype),
        tuple(range(ndim)),
        *indexed(x, ndim),
        *indexed(b, ndim),
        *indexed(where, ndim),
        adjust_chunks={i: lambda _: 1 for i in axis},
        dtype=_states.STATE,
        meta=np.empty((0,) * ndim, _states.STATE),
        name=None,
        token=named(f"{operation}-states", x),
    )


def blocks_in_memory(x: Any) -> Mapping[Any, Array] | None:
    """Those of an array that was made from one of NumPy, or persisted."""
    layer = getattr(x.dask, "layers", {}).get(x.name)
    known = isinstance(layer, MaterializedLayer) and all(type(block) is np.ndarray for block in layer.values())
    return layer if known else None


def states_of_blocks_in_memory(
    operation: str, x: Any, blocks: Mapping[Any, Array], axis: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    """The states of as many blocks as make a task worth its price: they need no memory that is not taken already.

    They stand in the task themselves: a task for each, fused or not, is half of what dask takes.
    """
    together = TOGETHER // max(1, *(block.nbytes for block in blocks.values()))
    cut = list(product(*(range(n if i in axis else 1) for i, n in enumerate(x.numblocks))))
    if together < 2 or len(cut) < 2:
        return x
    groups = [cut[i : i + together] for i in range(0, len(cut), together)]
    function = partial(reduce_blocks, operation=operation, axis=axis, dtype=dtype)
    name = f"{operation}-states-{tokenize(x.name, function, together)}"
    layer: dict[Any, Any] = {}
    for place in product(*(range(1 if i in axis else n) for i, n in enumerate(x.numblocks))):
        for number, group in enumerate(groups):
            key = (name, *(number if i == axis[0] else j for i, j in enumerate(place)))
            layer[key] = (function, [blocks[x.name, *map(sum, zip(place, other, strict=True))] for other in group])
    lengths = tuple((1,) * (len(groups) if i == axis[0] else 1) if i in axis else x.chunks[i] for i in range(x.ndim))
    graph = HighLevelGraph.from_collections(name, layer)
    return da.Array(graph, name, lengths, dtype=_states.STATE, meta=np.empty((0,) * x.ndim, _states.STATE))


def split_every_of(split_every: Any) -> Any:
    return split_every or config.get("split_every", SPLIT_EVERY)


def merged(
    finish: Any, states: Any, operation: str, axis: tuple[int, ...], keepdims: bool, dtype: Any, split_every: Any
) -> Any:
    """The states of all blocks merged by dask's reduction, and `finish` of them."""
    keywords = {"operation": operation, "dtype": dtype}
    result = _states.STATE if finish is merge_blocks else dtype
    ndim = states.ndim if keepdims else states.ndim - len(axis)
    return da.reduction(
        states,
        chunk=partial(reduce_chunk, **keywords),
        combine=partial(merge_blocks, **keywords),
        aggregate=partial(finish, **keywords),
        axis=axis,
        keepdims=keepdims,
        dtype=_states.STATE,  # of what is merged; meta says what comes out
        split_every=split_every_of(split_every),
        name=named(operation, states),
        meta=np.empty((0,) * ndim, result),
    )
