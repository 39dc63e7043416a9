"""cross_entropy of dask arrays: what a position loses, and the sums over positions and classes.

Where the classes lie in one block it is `smoothmax.cross_entropy` of that. Where they are cut, the states of
log_softmax are merged first, and a block adds what its own classes contribute: minus their targets times log p.
"""

from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from smoothmax._api import losses as _losses
from smoothmax._partial import states as _states
from smoothmax._scale.dask_blocks import block_states, merge_blocks, merged, named, split_every_of
from smoothmax._schedule.threads import num_threads

__all__ = ["loss"]

Array = np.ndarray[Any, Any]


# Blocks: run by dask, in its threads or on other machines -------------------------------------------------------------


def counted(targets: Array, n: int, ignore_index: int | None) -> Array:
    """Where a class is not ignored; it must be one then."""
    counts = np.ones(targets.shape, bool) if ignore_index is None else np.asarray(targets != ignore_index)
    wrong = targets[counts & ((targets < 0) | (targets >= n))]
    if wrong.size:
        raise IndexError(f"targets must be in range({n}), the number of classes, got {wrong[0]}")
    return counts


def whole_losses(
    x: Array,
    targets: Array,
    weight: Array | None,
    *,
    axis: int,
    ignore_index: int | None,
    label_smoothing: float,
    dtype: np.dtype[Any],
) -> Any:
    """The loss of each position, whose classes are all here; those of float16 in `dtype`, if they are to be added."""
    if targets.ndim < x.ndim:
        counted(targets, x.shape[axis], ignore_index)
    with num_threads(1):  # there are as many blocks at a time as the scheduler wants to be busy
        return _losses.cross_entropy(
            x.astype(dtype, copy=False) if x.dtype == np.float16 else x,
            targets,
            axis,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction="none",
        )


def picked_losses(
    x: Array,
    states: Array,
    classes: Array,
    targets: Array,
    weight: Array | None,
    *,
    axis: int,
    n: int,
    ignore_index: int | None,
    dtype: np.dtype[Any],
) -> Array:
    """The loss of each position whose target is among these classes, and 0 of the others."""
    counts = counted(targets, n, ignore_index)
    places = targets.astype(np.intp) - (classes[0] if classes.size else n)
    here = np.expand_dims(counts & (places >= 0) & (places < classes.size), axis)
    if not here.any():
        return np.zeros(here.shape)
    places = np.where(here, np.expand_dims(places, axis), 0)
    factor = 1.0 if weight is None else weight[places]
    with num_threads(1):
        log_p = _states.written("log_softmax", np.take_along_axis(x, places, axis), (axis,), True, states, dtype)
    with np.errstate(all="ignore"):
        return np.where(here & (factor != 0), -log_p.astype(np.float64) * factor, 0)


def soft_losses(
    x: Array,
    states: Array,
    classes: Array,
    targets: Array,
    weight: Array | None,
    *,
    axis: int,
    n: int,
    ignore_index: int | None,
    label_smoothing: float,
    dtype: np.dtype[Any],
) -> Array:
    """What these classes contribute to each position's loss, for probabilities or smoothed class indices."""
    if targets.ndim == x.ndim:
        probable = (1 - label_smoothing) * targets + label_smoothing / n if label_smoothing else targets
    else:
        counts = np.expand_dims(counted(targets, n, ignore_index), axis)
        numbers = np.expand_dims(classes, tuple(i for i in range(x.ndim) if i != axis))
        own = numbers == np.expand_dims(targets.astype(np.intp), axis)
        probable = np.where(counts, (1 - label_smoothing) * own + label_smoothing / n, 0)
    with num_threads(1):
        log_p = _states.written("log_softmax", x, (axis,), True, states, dtype)
        part = _losses.nll_loss(log_p.astype(np.float64), probable, axis, weight=weight, reduction="none")
    return np.expand_dims(part, axis)


def target_weights(targets: Array, weight: Array | None, *, ignore_index: int | None) -> Any:
    """What each position adds to what a mean is divided by; targets out of range are an error elsewhere."""
    counts = np.ones(targets.shape) if weight is None else np.take(weight, targets.astype(np.intp), mode="clip")
    return counts if ignore_index is None else np.where(targets == ignore_index, 0.0, counts)


def add(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    with np.errstate(all="ignore"):
        return np.sum(x, axis=axis, keepdims=keepdims, dtype=np.float64)


def divide(total: Any, by: Any, *, dtype: np.dtype[Any]) -> Any:
    with np.errstate(all="ignore"):
        return np.asarray(total / by).astype(dtype)[()]


# Arrays --------------------------------------------------------------------------------------------------------------


def added(array: Any, axis: int | None, split_every: Any) -> Any:
    """A sum in float64."""
    name = named("losses-sum", array)
    return da.reduction(
        array, chunk=add, aggregate=add, axis=axis, dtype=np.float64, split_every=split_every, name=name
    )


def same_shape(given: tuple[float, ...], wanted: tuple[float, ...]) -> bool:
    """As far as lengths are known."""
    return len(given) == len(wanted) and all(g == w or g != g or w != w for g, w in zip(given, wanted, strict=True))


def class_axis(axis: Any, logits: Any) -> int:
    """The axis of the classes from 0 on; how many there are must be known."""
    if axis is None or isinstance(axis, tuple):
        raise TypeError(f"axis must be an int, got {axis!r}")
    (place,) = _states.axes_of(axis, logits.ndim)
    if np.isnan(logits.shape[place]):
        raise ValueError(
            f"the number of classes along axis {axis} must be known: logits.compute_chunk_sizes() counts it"
        )
    return int(place)


def check_targets(targets: Any, logits: Any, axis: int) -> None:
    kept = logits.shape[:axis] + logits.shape[axis + 1 :]
    if same_shape(targets.shape, kept):
        if targets.dtype.kind not in "iu":
            raise TypeError(
                f"targets of shape {targets.shape} must be class indices of an integer type, got dtype {targets.dtype}"
            )
    elif not same_shape(targets.shape, logits.shape):
        raise ValueError(
            f"targets must have shape {kept}, of class indices, or {logits.shape}, of probabilities, "
            f"got {targets.shape}"
        )


def loss_of_nothing(logits: Any, targets: Any, weight: Any, axis: int, **arguments: Any) -> Any:
    """What smoothmax.cross_entropy returns for no positions, or refuses, as it does whatever the positions are."""
    shape = [0] * logits.ndim
    shape[axis] = logits.shape[axis]
    own = shape if targets.ndim == logits.ndim else shape[:axis] + shape[axis + 1 :]
    weights = None if weight is None else np.empty_like(weight._meta, shape=weight.shape)
    return _losses.cross_entropy(
        np.empty_like(logits._meta, shape=shape),
        np.zeros_like(targets._meta, shape=own),
        axis,
        weight=weights,
        **arguments,
    )


def position_losses(
    logits: Any, targets: Any, weight: Any, axis: int, dtype: Any, split_every: Any, **given: Any
) -> Any:
    """The losses before they are reduced: of `dtype`, or in float64 where the classes lie in several blocks."""
    every = tuple(range(logits.ndim))
    kept = every[:axis] + every[axis + 1 :]
    of_targets = every if targets.ndim == logits.ndim else kept
    of_weight = None if weight is None else (axis,)
    if logits.numblocks[axis] == 1:
        return da.blockwise(
            partial(whole_losses, axis=axis, dtype=dtype, **given),
            kept,
            logits,
            every,
            targets,
            of_targets,
            weight,
            of_weight,
            concatenate=True,
            dtype=dtype,
            meta=np.empty((0,) * len(kept), dtype),
            token=named("cross-entropy", logits),
        )
    n = logits.shape[axis]
    function: Any = soft_losses
    if of_targets is kept and given["label_smoothing"] == 0:
        function = picked_losses
        given = {"ignore_index": given["ignore_index"]}
    kind = _states.dtype_of(logits._meta)
    states = block_states("log_softmax", logits, None, True, logits.ndim, (axis,), kind)
    parts = da.blockwise(
        partial(function, axis=axis, n=n, dtype=dtype, **given),
        every,
        logits,
        every,
        merged(merge_blocks, states, "log_softmax", (axis,), True, kind, split_every),
        every,
        da.arange(n, chunks=(logits.chunks[axis],)),
        (axis,),
        targets,
        of_targets,
        weight,
        of_weight,
        adjust_chunks={axis: lambda _: 1},
        dtype=np.float64,
        meta=np.empty((0,) * logits.ndim),
        token=named("cross-entropy", logits),
    )
    return added(parts, axis, split_every)


def denominator(losses: Any, targets: Any, weight: Any, ignore_index: int | None, split_every: Any) -> Any:
    """What the sum is divided by for a mean: a number if the shape tells it, else a dask array."""
    probable = targets.ndim > losses.ndim
    if probable or (weight is None and ignore_index is None):
        if not np.isnan(losses.size):
            return float(losses.size)
        weights = losses.map_blocks(partial(np.ones_like, dtype=np.float64), dtype=np.float64)
    else:
        kept = tuple(range(targets.ndim))
        weights = da.blockwise(
            partial(target_weights, ignore_index=ignore_index),
            kept,
            targets,
            kept,
            weight,
            None if weight is None else (targets.ndim,),
            concatenate=True,
            dtype=np.float64,
            meta=np.empty((0,) * targets.ndim),
            token=named("cross-entropy-weights", targets),
        )
    return added(weights, None, split_every)


def loss(
    logits: Any,
    targets: Any,
    axis: Any,
    weight: Any,
    ignore_index: int | None,
    label_smoothing: float,
    reduction: str,
    split_every: Any,
) -> Any:
    """dask.cross_entropy with its arguments in their order."""
    logits, targets = da.asanyarray(logits), da.asanyarray(targets)
    weight = None if weight is None else da.asanyarray(weight)
    place = class_axis(axis, logits)
    check_targets(targets, logits, place)
    given = {"ignore_index": ignore_index, "label_smoothing": label_smoothing}
    kind = loss_of_nothing(logits, targets, weight, place, reduction=reduction, **given).dtype
    split_every = split_every_of(split_every)
    if reduction == "none":
        losses = position_losses(logits, targets, weight, place, kind, split_every, **given)
        return losses if losses.dtype == kind else losses.map_blocks(partial(divide, by=1.0, dtype=kind), dtype=kind)
    single = np.promote_types(kind, np.float32)
    losses = position_losses(logits, targets, weight, place, single, split_every, **given)
    by: Any = 1.0
    if reduction == "mean":
        by = denominator(losses, targets, weight, ignore_index, split_every)
    return da.map_blocks(
        partial(divide, dtype=kind), added(losses, None, split_every), by, dtype=kind, meta=np.empty((), kind)
    )
