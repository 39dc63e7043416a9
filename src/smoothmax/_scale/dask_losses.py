"""cross_entropy of dask arrays: the loss of each position, and the sums over positions and classes.

If all classes lie in one block, the losses are `smoothmax.cross_entropy` of that block. If they lie in several blocks,
the partial sums of log_softmax are merged first, and each block contributes the terms of its own classes: minus the
target times log p.
"""

from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from smoothmax._api import losses
from smoothmax._arrays.losses import axis_advice
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
from smoothmax._scale.dask_loss_blocks import (
    are_extreme,
    divide_sum,
    is_wider_than_float32,
    losses_of_classes,
    scaled_weight,
    sum_losses,
    target_weights,
    whole_losses,
)

__all__ = ["loss"]

Array = np.ndarray[Any, Any]


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
    """The axis of the classes as a number that is not negative. Its length must be known."""
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
            f"got {targets.shape}{axis_advice(targets.shape, logits.shape, axis)}"
        )


def loss_of_nothing(logits: Any, targets: Any, weight: Any, axis: int, add: Any, **arguments: Any) -> Any:
    """The loss of no positions. It has the type of any other loss, and raises the same errors for arguments.

    A new first axis is added, because logits with one axis have one position.
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
    """The losses before they are reduced: in `dtype`, or in longdouble if the classes lie in several blocks.

    In the latter case the log-probabilities are computed in float64 if factors are `wide`, otherwise at least in
    float32.
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
    computing = np.promote_types(dtype, np.float64 if wide else np.float32)
    sums = block_sums(
        "log_softmax",
        logits,
        b=None,
        where=True,
        ndim=logits.ndim,
        axis=(axis,),
        dtype=computing,
        scale=given["scale"],
        add=add,
    )
    parts = da.blockwise(
        partial(losses_of_classes, axis=axis, n=n, dtype=computing, **given),
        every,
        logits,
        every,
        merged_blocks(sums, "log_softmax", (axis,), keepdims=True, dtype=computing, split_every=split_every),
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
    """The denominator of a mean of the losses; a dask array if it does not follow from the shape."""
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
    if numbers is not None:  # of a dask array only the type is known, not the values
        wide = wide or (is_wider_than_float32(weight) if numbers is weight else are_extreme(np.asarray(numbers)))
    options: dict[str, Any] = {"wide": wide, "split_every": split_every, "add": add, **given}
    if reduction == "none":
        parts = position_losses(logits, targets, weight, place, kind, to_be_added=False, **options)
        return parts if parts.dtype == kind else parts.map_blocks(partial(divide_sum, by=1.0, dtype=kind), dtype=kind)
    if reduction == "mean" and weight is not None and targets.ndim < logits.ndim:
        # A common factor of all weights cancels. Without scaling, products with losses might leave float64's range.
        weight = weight.rechunk(-1).map_blocks(scaled_weight, dtype=weight.dtype)
    single = np.promote_types(kind, np.float32)
    parts = position_losses(logits, targets, weight, place, single, to_be_added=True, **options)
    by: Any = 1.0
    if reduction == "mean":
        by = denominator(parts, targets, weight, ignore_index, split_every)
    return da.map_blocks(
        partial(divide_sum, dtype=kind), added(parts, None, split_every), by, dtype=kind, meta=np.empty((), kind)
    )
