"""cross_entropy of dask arrays: the loss of each position, and the sums over positions and classes.

Where all classes lie in one block, the losses are `smoothmax.cross_entropy` of that block. Where they lie in several,
the partial sums of log_softmax are merged first, and each block contributes the terms of its own classes: minus the
target times log p.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from smoothmax._api import losses
from smoothmax._partial import states
from smoothmax._scale.dask_blocks import (
    block_sums,
    broadcast_shape,
    indexed,
    lazy,
    merged_blocks,
    named,
    split_every_of,
)
from smoothmax._schedule.threads import one_thread
from smoothmax._thresholds import limits

__all__ = ["loss"]

Array = np.ndarray[Any, Any]


# Beyond these the product of a weight and a loss may be out of float32's range, where their weighted mean is not.
GREATEST_WEIGHT = 2.0 ** limits()["CLASS_WEIGHT_BITS"]


# Blocks: dask runs these, in its threads or on other machines ---------------------------------------------------------


@contextmanager
def in_a_task() -> Iterator[None]:
    """One thread, as for all blocks; and no warning of NumPy's, whatever the worker's np.errstate says."""
    with one_thread, np.errstate(all="ignore"):
        yield


def counted(targets: Array, n: int, ignore_index: int | None) -> Array:
    """The positions whose class is not ignored; an IndexError if one of these classes does not exist."""
    counts = np.ones(targets.shape, bool) if ignore_index is None else np.asarray(targets != ignore_index)
    wrong = targets[counts & ((targets < 0) | (targets >= n))]
    if wrong.size:
        advice = f"; ignore_index={wrong[0]} leaves such targets out of a loss" if wrong[0] < 0 else ""
        raise IndexError(f"targets must be in range({n}), the number of classes, got {wrong[0]}{advice}")
    return counts


def is_wider_than_float32(array: Any) -> bool:
    """Whether float32 does not have the range of the array's type."""
    return bool(array.dtype.kind == "f" and array.dtype.itemsize > 4)


def are_extreme(weight: Array) -> bool:
    size = np.abs(weight[weight != 0].astype(np.float64))
    return bool(np.any((size < 1 / GREATEST_WEIGHT) | (size > GREATEST_WEIGHT)))


def whole_losses(
    x: Array,
    targets: Array,
    weight: Array | None,
    add: Any,
    *,
    axis: int,
    ignore_index: int | None,
    label_smoothing: float,
    dtype: np.dtype[Any],
    added: bool,
    scale: Any,
) -> Any:
    """The losses of positions whose classes are all here: in `dtype`, or in a wider type if they are to be added."""
    if targets.ndim < x.ndim:
        counted(targets, x.shape[axis], ignore_index)
    with in_a_task():
        if added and (is_wider_than_float32(targets) or (weight is not None and are_extreme(weight))):
            x = x.astype(np.float64)
        elif x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
            x = x.astype(dtype)
        return losses.cross_entropy(
            x,
            targets,
            axis,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction="none",
            scale=scale,
            add=add,
        )


def picked_losses(
    x: Array,
    sums: Array,
    classes: Array,
    targets: Array,
    weight: Array | None,
    add: Any,
    *,
    axis: int,
    n: int,
    ignore_index: int | None,
    dtype: np.dtype[Any],
    scale: Any,
) -> Array:
    """The loss of each position whose target is among these classes, and 0 for the others."""
    counts = counted(targets, n, ignore_index)
    places = targets.astype(np.intp) - (classes[0] if classes.size else n)
    here = np.expand_dims(counts & (places >= 0) & (places < classes.size), axis)
    if not here.any():
        return np.zeros(here.shape)
    places = np.where(here, np.expand_dims(places, axis), 0)
    factor = 1.0 if weight is None else weight[places]
    if add is not None:
        add = np.take_along_axis(np.broadcast_to(add, x.shape), places, axis)
    x = np.take_along_axis(x, places, axis)
    with in_a_task():
        log_p = states.written("log_softmax", x, (axis,), True, sums, dtype, None, scale, add)
        return np.where(here & (factor != 0), -log_p.astype(np.float64) * factor, 0)


def soft_losses(
    x: Array,
    sums: Array,
    classes: Array,
    targets: Array,
    weight: Array | None,
    add: Any,
    *,
    axis: int,
    n: int,
    ignore_index: int | None,
    label_smoothing: float,
    dtype: np.dtype[Any],
    scale: Any,
) -> Array:
    """The terms that these classes contribute to each position's loss, for probabilities or smoothed class indices."""
    with in_a_task():
        if targets.ndim < x.ndim:
            counts = np.expand_dims(counted(targets, n, ignore_index), axis)
            numbers = np.expand_dims(classes, tuple(i for i in range(x.ndim) if i != axis))
            own = numbers == np.expand_dims(targets.astype(np.intp), axis)
            targets = np.where(counts, smoothed(own, label_smoothing, n), 0)
        elif label_smoothing:
            targets = smoothed(targets, label_smoothing, n)
        log_p = states.written("log_softmax", x, (axis,), True, sums, dtype, None, scale, add)
        part = losses.nll_loss(log_p.astype(np.float64), targets, axis, weight=weight, reduction="none")
    return np.expand_dims(part, axis)


def smoothed(targets: Array, label_smoothing: float, n: int) -> Array:
    """The targets blended with 1/n, in float64: the targets' own type may be too narrow for label_smoothing/n."""
    blended: Array = (1 - label_smoothing) * targets.astype(np.float64) + label_smoothing / n
    return blended


def target_weights(targets: Array, weight: Array | None, *, ignore_index: int | None) -> Any:
    """What each position adds to the denominator of a mean. Classes that do not exist are an error elsewhere."""
    counts = np.ones(targets.shape) if weight is None else np.take(weight, targets.astype(np.intp), mode="clip")
    return counts if ignore_index is None else np.where(targets == ignore_index, 0.0, counts)


def scaled_weight(weight: Array) -> Array:
    """The weights times a power of two that takes the largest one near 1, if they are far from it."""
    largest = np.max(np.abs(weight), initial=0.0)
    if not are_extreme(weight) or not 0 < largest < np.inf:
        return weight
    with np.errstate(all="ignore"):
        scaled: Array = np.ldexp(weight.astype(np.float64), -np.frexp(largest)[1])
    return scaled


def sum_losses(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The sum in longdouble, whose range holds sums of losses whose mean is finite where it exceeds float64's."""
    with np.errstate(all="ignore"):
        return np.sum(x, axis=axis, keepdims=keepdims, dtype=np.longdouble)


def divide_sum(total: Any, by: Any, *, dtype: np.dtype[Any]) -> Any:
    """The quotient, and nan if the divisor is 0: there is no mean over targets whose weights add up to that."""
    with np.errstate(all="ignore"):
        return np.asarray(np.where(by == 0, np.nan, total / by)).astype(dtype)[()]


# Arrays --------------------------------------------------------------------------------------------------------------


def added(array: Any, axis: int | None, split_every: Any) -> Any:
    """The sum in longdouble."""
    name = named("losses-sum", array)
    return da.reduction(
        array,
        chunk=sum_losses,
        aggregate=sum_losses,
        axis=axis,
        dtype=np.longdouble,
        split_every=split_every,
        name=name,
    )


def same_shape(given: tuple[float, ...], wanted: tuple[float, ...]) -> bool:
    """Whether two shapes agree as far as their lengths are known."""
    return len(given) == len(wanted) and all(g == w or g != g or w != w for g, w in zip(given, wanted, strict=True))


def class_axis(axis: Any, logits: Any) -> int:
    """The axis of the classes as a number from 0 on. Its length must be known."""
    if axis is None or isinstance(axis, tuple):
        raise TypeError(f"axis must be an int, got {axis!r}")
    (place,) = states.axes_of(axis, logits.ndim)
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


def loss_of_nothing(logits: Any, targets: Any, weight: Any, axis: int, add: Any, **arguments: Any) -> Any:
    """The loss of no positions. It has the type of any other loss, and raises the same errors for arguments.

    An axis is added before the others, since logits of one axis have one position.
    """
    axis += 1
    shape = [0] * (logits.ndim + 1)
    shape[axis] = logits.shape[axis - 1]
    own = shape if targets.ndim == logits.ndim else shape[:axis] + shape[axis + 1 :]
    weights = None if weight is None else np.ones_like(weight._meta, shape=weight.shape)
    return losses.cross_entropy(
        np.empty_like(logits._meta, shape=shape),
        np.zeros_like(targets._meta, shape=own),
        axis,
        weight=weights,
        add=np.empty_like(add._meta, shape=()) if isinstance(add, da.Array) else add,
        **arguments,
    )


def position_losses(
    logits: Any,
    targets: Any,
    weight: Any,
    axis: int,
    dtype: Any,
    *,
    to_be_added: bool,
    wide: bool,
    split_every: Any,
    add: Any,
    **given: Any,
) -> Any:
    """The losses before they are reduced: of `dtype`, or in longdouble where the classes lie in several blocks.

    There the log-probabilities are computed in float64 if factors are `wide`, and else at least in float32.
    """
    every = tuple(range(logits.ndim))
    kept = every[:axis] + every[axis + 1 :]
    of_targets = every if targets.ndim == logits.ndim else kept
    of_weight = None if weight is None else (axis,)
    if logits.numblocks[axis] == 1:
        return da.blockwise(
            partial(whole_losses, axis=axis, dtype=dtype, added=to_be_added, **given),
            kept,
            logits,
            every,
            targets,
            of_targets,
            weight,
            of_weight,
            *indexed(add, logits.ndim),
            concatenate=True,
            dtype=dtype,
            meta=np.empty((0,) * len(kept), dtype),
            token=named("cross-entropy", logits),
        )
    n = logits.shape[axis]
    function: Any = soft_losses
    if of_targets is kept and given["label_smoothing"] == 0:
        function = picked_losses
        given = {"ignore_index": given["ignore_index"], "scale": given["scale"]}
    computing = np.promote_types(dtype, np.float64 if wide else np.float32)
    sums = block_sums("log_softmax", logits, None, True, logits.ndim, (axis,), computing, given["scale"], add)
    parts = da.blockwise(
        partial(function, axis=axis, n=n, dtype=computing, **given),
        every,
        logits,
        every,
        merged_blocks(sums, "log_softmax", (axis,), True, computing, split_every),
        every,
        da.arange(n, chunks=(logits.chunks[axis],)),
        (axis,),
        targets,
        of_targets,
        weight,
        of_weight,
        *indexed(add, logits.ndim),
        adjust_chunks={axis: lambda _: 1},
        dtype=np.float64,
        meta=np.empty((0,) * logits.ndim),
        token=named("cross-entropy", logits),
    )
    return added(parts, axis, split_every)


def denominator(parts: Any, targets: Any, weight: Any, ignore_index: int | None, split_every: Any) -> Any:
    """The number that the sum of the losses is divided by for a mean; a dask array if the shape does not tell it."""
    probable = targets.ndim > parts.ndim
    if probable or (weight is None and ignore_index is None):
        if not np.isnan(parts.size):
            return float(parts.size)
        weights = parts.map_blocks(partial(np.ones_like, dtype=np.float64), dtype=np.float64)
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
    scale: Any,
    add: Any,
) -> Any:
    """The result of dask.cross_entropy."""
    logits, targets, add = da.asanyarray(logits), da.asanyarray(targets), lazy(add)
    numbers, weight = weight, None if weight is None else da.asanyarray(weight)
    if isinstance(add, da.Array):
        shape = broadcast_shape(logits, "add", add)
        if len(shape) > logits.ndim or any(n == 1 != m for n, m in zip(logits.shape, shape, strict=True)):
            logits = da.broadcast_to(logits, shape)
    place = class_axis(axis, logits)
    check_targets(targets, logits, place)
    given = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, "scale": scale}
    kind = loss_of_nothing(logits, targets, weight, place, add, reduction=reduction, **given).dtype
    split_every = split_every_of(split_every)
    wide = is_wider_than_float32(targets)
    if numbers is not None:  # a dask array is judged by its type: its values are not known
        wide = wide or (is_wider_than_float32(weight) if numbers is weight else are_extreme(np.asarray(numbers)))
    options: dict[str, Any] = {"wide": wide, "split_every": split_every, "add": add, **given}
    if reduction == "none":
        parts = position_losses(logits, targets, weight, place, kind, to_be_added=False, **options)
        return parts if parts.dtype == kind else parts.map_blocks(partial(divide_sum, by=1.0, dtype=kind), dtype=kind)
    if reduction == "mean" and weight is not None and targets.ndim < logits.ndim:
        # A common factor of all weights cancels; without it, products with losses might leave float64's range.
        weight = weight.rechunk(-1).map_blocks(scaled_weight, dtype=weight.dtype)
    single = np.promote_types(kind, np.float32)
    parts = position_losses(logits, targets, weight, place, single, to_be_added=True, **options)
    by: Any = 1.0
    if reduction == "mean":
        by = denominator(parts, targets, weight, ignore_index, split_every)
    return da.map_blocks(
        partial(divide_sum, dtype=kind), added(parts, None, split_every), by, dtype=kind, meta=np.empty((), kind)
    )
