"""The parts of functions on dask arrays: functions of one block, and graphs that contain them.

A block is reduced to an array of partial sums, dask's reduction merges these in a tree, and the result is computed from
the blocks and the merged sums. This file has no scheduler and no mathematics.
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

from smoothmax._api import functions
from smoothmax._partial import states
from smoothmax._schedule.threads import one_thread

__all__ = [
    "block_sums", "broadcast_shape", "checked", "finish_block", "finish_blocks", "indexed", "lazy", "merge_blocks",
    "merged_blocks", "meta_of", "named", "split_every_of", "transform_block", "write_block",
]  # fmt: skip

Array = np.ndarray[Any, Any]
# How many arrays of partial sums are merged at a time. Dask's default of 4 is meant for blocks, and makes 35 tasks for
# 100 blocks; partial sums have only 32 bytes for each result.
SPLIT_EVERY = 32
# Bytes of blocks in memory that one task reduces: about 3 ms of work, while a task costs dask 0.1 to 0.2 ms in the
# single scheduling thread. Compared with one call, logsumexp of 100 blocks of 8 MB on two threads took 1.35 times as
# long with one block in a task, 1.26 times with two, 1.24 with four, and 1.21 with eight (2026-11). More would leave
# the threads of a large machine idle.
TASK_BYTES = 33554432


# Blocks: dask runs these, in its threads or on other machines ---------------------------------------------------------


# Each uses one thread, because the scheduler runs several tasks at a time. Kernels never warn, so there is no
# np.errstate, which would end the process if it gets no memory (NumPy 2.4).


def reduce_block(
    x: Array,
    b: Any,
    where: Any,
    add: Any = None,
    *,
    operation: str,
    axis: tuple[int, ...],
    dtype: np.dtype[Any],
    scale: Any = 1.0,
) -> Array:
    with one_thread:
        return states.reduced(operation, x, axis, b, where, dtype, scale, add)[0]


def reduce_chunk(x: Array, *, axis: tuple[int, ...], keepdims: bool, operation: str, dtype: np.dtype[Any]) -> Array:  # noqa: ARG001
    """reduce_block with the arguments of dask's reduction. Blocks of several arrays have been reduced before."""
    if x.dtype == states.STATE:
        return x
    return reduce_block(x, b=None, where=True, operation=operation, axis=axis, dtype=dtype)


def reduce_task(blocks: list[Array], *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    total = reduce_block(blocks[0], b=None, where=True, operation=operation, axis=axis, dtype=dtype)
    for x in blocks[1:]:
        sums = reduce_block(x, b=None, where=True, operation=operation, axis=axis, dtype=dtype)
        total = states.joined(operation, total, sums, dtype)
    return total


def merge_blocks(sums: Array, *, axis: tuple[int, ...], keepdims: bool, operation: str, dtype: np.dtype[Any]) -> Array:
    merged = states.merged(operation, sums, axis, dtype)
    return merged if keepdims else np.squeeze(merged, axis=axis)


def finish_blocks(
    sums: Array,
    *,
    axis: tuple[int, ...],
    keepdims: bool,
    operation: str,
    dtype: np.dtype[Any],
    result: np.dtype[Any],
) -> Any:
    merged = merge_blocks(sums, axis=axis, keepdims=keepdims, operation=operation, dtype=dtype)
    return states.finished(operation, merged, dtype, signed=False, result=result)[()]


def finish_block(sums: Array, *, part: int, operation: str, dtype: np.dtype[Any], result: np.dtype[Any]) -> Any:
    """The results (part 0) or their signs (part 1)."""
    return states.finished(operation, sums, dtype, signed=True, result=result)[part][()]


def write_block(
    x: Array,
    where: Any,
    add: Any,
    sums: Array,
    *,
    operation: str,
    axis: tuple[int, ...],
    dtype: np.dtype[Any],
    scale: Any,
) -> Any:
    with one_thread:
        return states.written(operation, x, axis, where, sums, dtype, None, scale, add)[()]


def transform_block(
    x: Array, where: Any, add: Any, *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any], scale: Any
) -> Any:
    with one_thread:
        return getattr(functions, operation)(x, axis=axis, where=where, dtype=dtype, scale=scale, add=add)


# Arrays --------------------------------------------------------------------------------------------------------------


def checked(x: Any, where: Any) -> tuple[Any, Any]:
    """Dask arrays of the input and of the mask; a mask of True stays True."""
    x = da.asanyarray(x)
    if where is not True:
        where = da.asanyarray(where)
        if where.dtype != bool:
            raise TypeError(f"where must be an array of bool, got dtype {where.dtype}")
    return x, where


def lazy(other: Any) -> Any:
    """The argument as a dask array. None and Python numbers, which promote by their kind, stay."""
    return other if other is None or isinstance(other, (bool, int, float, complex)) else da.asanyarray(other)


def meta_of(other: Any) -> Any:
    return other._meta if isinstance(other, da.Array) else other


def broadcast_shape(x: Any, name: str, other: Any) -> tuple[int, ...]:
    try:
        shape: tuple[int, ...] = da.core.broadcast_shapes(x.shape, other.shape)
    except ValueError:
        raise ValueError(
            f"{name} of shape {other.shape} does not broadcast with the input of shape {x.shape}"
        ) from None
    return shape


def indexed(array: Any, ndim: int) -> tuple[Any, Any]:
    """Two arguments of blockwise: an array and the axes that it has among ndim axes, or a constant and None."""
    return (array, tuple(range(ndim - array.ndim, ndim))) if isinstance(array, da.Array) else (array, None)


def named(operation: str, source: Any) -> str:
    """A name for tasks on an array's blocks that dask does not change when it fuses them with the blocks' tasks.

    Dask renames a fused task unless the names of its parts are the same up to the first part that is not made of
    letters. The old name then remains as an alias, which is scheduled like a task. For blocks in memory that was half
    of all tasks (2026-11, dask 2026.8).
    """
    return f"{key_split(source.name)}-1-{operation}"


def block_sums(
    operation: str,
    x: Any,
    b: Any,
    where: Any,
    ndim: int,
    axis: tuple[int, ...],
    dtype: np.dtype[Any],
    scale: Any = 1.0,
    add: Any = None,
) -> Any:
    """The partial sums of each block, with length 1 along the reduced axes.

    A single array is mostly returned unchanged, so that dask's reduction reduces its blocks with reduce_chunk.
    """
    if b is None and where is True and add is None and scale == 1:
        blocks = blocks_in_memory(x)
        return x if blocks is None else sums_of_blocks_in_memory(operation, x, blocks, axis, dtype)
    return da.blockwise(
        partial(reduce_block, operation=operation, axis=axis, dtype=dtype, scale=scale),
        tuple(range(ndim)),
        *indexed(x, ndim),
        *indexed(b, ndim),
        *indexed(where, ndim),
        *indexed(add, ndim),
        adjust_chunks={i: lambda _: 1 for i in axis},
        dtype=states.STATE,
        meta=np.empty((0,) * ndim, states.STATE),
        name=None,
        token=named(f"{operation}-sums", x),
    )


def blocks_in_memory(x: Any) -> Mapping[Any, Array] | None:
    """The blocks of an array that was made from a NumPy array, or persisted; None for other arrays."""
    layer = getattr(x.dask, "layers", {}).get(x.name)
    known = isinstance(layer, MaterializedLayer) and all(type(block) is np.ndarray for block in layer.values())
    return layer if known else None


def sums_of_blocks_in_memory(
    operation: str, x: Any, blocks: Mapping[Any, Array], axis: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    """Partial sums of blocks in memory. Each task reduces as many blocks as are worth a task, and needs no new memory.

    The blocks are part of the task. A task for each block, fused or not, would take half of dask's time.
    """
    number = TASK_BYTES // max(1, *(block.nbytes for block in blocks.values()))
    reduced = list(product(*(range(n if i in axis else 1) for i, n in enumerate(x.numblocks))))
    if number < 2 or len(reduced) < 2:
        return x
    groups = [reduced[i : i + number] for i in range(0, len(reduced), number)]
    function = partial(reduce_task, operation=operation, axis=axis, dtype=dtype)
    name = f"{operation}-sums-{tokenize(x.name, function, number)}"
    layer: dict[Any, Any] = {}
    for place in product(*(range(1 if i in axis else n) for i, n in enumerate(x.numblocks))):
        for place_of_group, group in enumerate(groups):
            key = (name, *(place_of_group if i == axis[0] else j for i, j in enumerate(place)))
            layer[key] = (function, [blocks[x.name, *map(sum, zip(place, other, strict=True))] for other in group])
    lengths = tuple((1,) * (len(groups) if i == axis[0] else 1) if i in axis else x.chunks[i] for i in range(x.ndim))
    graph = HighLevelGraph.from_collections(name, layer)
    return da.Array(graph, name, lengths, dtype=states.STATE, meta=np.empty((0,) * x.ndim, states.STATE))


def split_every_of(split_every: Any) -> Any:
    return split_every or config.get("split_every", SPLIT_EVERY)


def merged_blocks(
    sums: Any,
    operation: str,
    axis: tuple[int, ...],
    *,
    keepdims: bool,
    dtype: np.dtype[Any],
    split_every: Any,
    result: np.dtype[Any] | None = None,
) -> Any:
    """Merge the partial sums of all blocks with dask's reduction, and finish them if `result` is given."""
    keywords: dict[str, Any] = {"operation": operation, "dtype": dtype}
    finish: Any = partial(merge_blocks, **keywords)
    if result is not None:
        finish = partial(finish_blocks, result=result, **keywords)
    ndim = sums.ndim if keepdims else sums.ndim - len(axis)
    return da.reduction(
        sums,
        chunk=partial(reduce_chunk, **keywords),
        combine=partial(merge_blocks, **keywords),
        aggregate=finish,
        axis=axis,
        keepdims=keepdims,
        dtype=states.STATE,  # of the merged arrays; meta has the type of the result
        split_every=split_every_of(split_every),
        name=named(operation, sums),
        meta=np.empty((0,) * ndim, result or states.STATE),
    )
