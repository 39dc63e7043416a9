"""top_log_probs and categorical of dask arrays.

If the logits of a row lie in several blocks, each block gives its largest elements with their places, and dask's
reduction keeps the largest of these in a tree, besides the partial sums of log_softmax. Draws need a whole row in one
block.
"""

from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from smoothmax._api import scores
from smoothmax._arrays import scores as arrays
from smoothmax._partial import states
from smoothmax._scale.dask_blocks import block_sums, merged_blocks, named, split_every_of
from smoothmax._schedule.threads import one_thread

__all__ = ["draws", "top"]

Array = np.ndarray[Any, Any]


# Blocks: dask runs these, in its threads or on other machines ---------------------------------------------------------


def top_of_rows(x: Array, *, k: int, axis: int, dtype: np.dtype[Any]) -> Array:
    """The log-probabilities and the indices of whole rows, stacked along a new first axis."""
    with one_thread:
        values, indices = scores.top_log_probs(x, k, axis)
    pairs = np.empty(values.shape, candidate_dtype(dtype))
    pairs["value"], pairs["index"] = values, indices
    return pairs


def candidate_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype([("value", dtype), ("index", np.intp)])


def candidates(x: Array, places: Array, *, k: int, axis: int) -> Array:
    """The largest elements of a block, and their places in the rows."""
    with one_thread:
        _, indices = scores.top_log_probs(x, min(k, x.shape[axis]), axis)
    pairs = np.empty(indices.shape, candidate_dtype(x.dtype))
    pairs["value"] = np.take_along_axis(x, indices, axis)
    pairs["index"] = places[indices]
    return pairs


def as_they_are(pairs: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:  # noqa: ARG001
    return pairs


def best(pairs: Array, *, axis: tuple[int, ...], keepdims: bool, k: int) -> Array:  # noqa: ARG001
    """The k best candidates in order: the largest first, and of equal ones the one with the lowest index first."""
    rows = np.moveaxis(pairs, axis[0], -1)
    # Sort in ascending order and reverse, because unsigned numbers and bools cannot be negated.
    order = np.lexsort((-rows["index"], rows["value"]), axis=-1)[..., ::-1][..., :k]
    return np.moveaxis(np.take_along_axis(rows, order, -1), -1, axis[0])


def log_probs(pairs: Array, sums: Array, *, axis: int, dtype: np.dtype[Any]) -> Array:
    """Replace logits by log-probabilities. If all log-probabilities of a row are nan, its first elements are best."""
    with one_thread:
        values = states.written("log_softmax", pairs["value"], (axis,), where=True, states=sums, dtype=dtype)
    result = np.empty(pairs.shape, candidate_dtype(dtype))
    undefined = np.isnan(sums["others"]) | (sums["maximum"] == -np.inf)
    shape = [-1 if i == axis else 1 for i in range(pairs.ndim)]
    result["index"] = np.where(undefined, np.arange(pairs.shape[axis]).reshape(shape), pairs["index"])
    result["value"] = np.where(undefined, np.nan, values)
    return result


def field(pairs: Array, *, name: str) -> Array:
    return np.ascontiguousarray(pairs[name])


def draw(x: Array, numbers: Array, *, scale: Any) -> Array:
    with one_thread:
        return np.asarray(arrays.drawn(x, numbers, -1, scale))


# Arrays --------------------------------------------------------------------------------------------------------------


def place_of(axis: Any, logits: Any) -> int:
    """The axis of the logits as a number that is not negative. Its length must be known."""
    if axis is None or isinstance(axis, tuple):
        raise TypeError(f"axis must be an int, got {axis!r}")
    (place,) = states.axes_of(axis, logits.ndim)
    if np.isnan(logits.shape[place]):
        raise ValueError(
            f"the number of logits along axis {axis} must be known: logits.compute_chunk_sizes() counts it"
        )
    return int(place)


def top(logits: Any, k: Any, axis: Any, split_every: Any) -> tuple[Any, Any]:
    """The result of dask.top_log_probs."""
    logits = da.asanyarray(logits)
    dtype = states.dtype_of(logits._meta)
    place = place_of(axis, logits)
    k = arrays.checked_number(k, logits.shape[place], axis)
    every, shape = tuple(range(logits.ndim)), (0,) * logits.ndim
    if k == 0:
        nothing = logits[tuple(slice(0 if i == place else None) for i in every)]
        return nothing.astype(dtype), nothing.astype(np.intp)
    if logits.numblocks[place] == 1:
        pairs = da.blockwise(
            partial(top_of_rows, k=k, axis=place, dtype=dtype),
            every,
            logits,
            every,
            adjust_chunks={place: lambda _: k},
            dtype=candidate_dtype(dtype),
            meta=np.empty(shape, candidate_dtype(dtype)),
            token=named("top", logits),
        )
    else:
        places = da.arange(logits.shape[place], chunks=(logits.chunks[place],))
        kind = candidate_dtype(logits.dtype)
        largest = da.reduction(
            da.blockwise(
                partial(candidates, k=k, axis=place),
                every,
                logits,
                every,
                places,
                (place,),
                adjust_chunks={place: lambda n: min(k, n)},
                dtype=kind,
                meta=np.empty(shape, kind),
                token=named("top-candidates", logits),
            ),
            chunk=as_they_are,
            combine=partial(best, k=k),
            aggregate=partial(best, k=k),
            axis=(place,),
            keepdims=True,
            dtype=kind,
            split_every=split_every_of(split_every),
            output_size=k,
            name=named("top-best", logits),
            meta=np.empty(shape, kind),
        )
        sums = block_sums("log_softmax", logits, b=None, where=True, ndim=logits.ndim, axis=(place,), dtype=dtype)
        pairs = da.blockwise(
            partial(log_probs, axis=place, dtype=dtype),
            every,
            largest,
            every,
            merged_blocks(sums, "log_softmax", (place,), keepdims=True, dtype=dtype, split_every=split_every),
            every,
            dtype=candidate_dtype(dtype),
            meta=np.empty(shape, candidate_dtype(dtype)),
            token=named("top", logits),
        )
    values = pairs.map_blocks(partial(field, name="value"), dtype=dtype, meta=np.empty(shape, dtype))
    return values, pairs.map_blocks(partial(field, name="index"), dtype=np.intp, meta=np.empty(shape, np.intp))


def draws(logits: Any, axis: Any, size: Any, scale: Any, rng: Any) -> Any:
    """The result of dask.categorical. The uniform numbers, one for each draw, are in memory from the beginning."""
    logits = da.asanyarray(logits)
    states.dtype_of(logits._meta, scale=scale)
    place = place_of(axis, logits)
    positions = logits.shape[:place] + logits.shape[place + 1 :]
    if np.isnan(positions).any():
        raise ValueError(
            f"the shape of logits must be known, got {logits.shape}: logits.compute_chunk_sizes() counts it"
        )
    if logits.numblocks[place] > 1:
        raise ValueError(
            f"logits must lie in one chunk along axis {axis} to be drawn from, got {logits.numblocks[place]}: "
            f"logits.rechunk({{{axis}: -1}}) joins them"
        )
    lengths = arrays.checked_size(arrays.lengths_of(size), size, positions)
    numbers = np.random.default_rng(rng).random(lengths)
    rows = da.moveaxis(logits, place, -1)
    missing = len(lengths) - len(positions)
    if lengths[missing:] != positions:
        rows = da.broadcast_to(rows, (*lengths[missing:], rows.shape[-1]))
    of_result = tuple(range(len(lengths)))
    return da.blockwise(
        partial(draw, scale=scale),
        of_result,
        rows,
        (*of_result[missing:], len(lengths)),
        da.from_array(numbers, chunks=(*((n,) for n in lengths[:missing]), *rows.chunks[:-1])),
        of_result,
        concatenate=True,
        dtype=np.intp,
        meta=np.empty((0,) * len(lengths), np.intp),
        token=named("categorical", logits),
    )
