"""What Dask runs for cross_entropy, in its threads or on other machines: losses of blocks, and their sums."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from smoothmax._api import losses
from smoothmax._partial import states
from smoothmax._schedule.threads import one_thread
from smoothmax._thresholds import limits

__all__ = [
    "are_extreme", "divide_sum", "is_wider_than_float32", "losses_of_classes", "scaled_weight", "sum_losses",
    "target_weights", "whole_losses",
]  # fmt: skip

Array = np.ndarray[Any, Any]


# Beyond these limits the product of a weight and a loss may exceed float32's range even if the weighted mean does not.
GREATEST_WEIGHT = 2.0 ** limits()["CLASS_WEIGHT_BITS"]


@contextmanager
def in_a_task() -> Iterator[None]:
    """Use one thread, as for all blocks, and give no NumPy warnings, even if the worker's np.errstate asks for them."""
    with one_thread, np.errstate(all="ignore"):
        yield


def counted(targets: Array, n: int, ignore_index: int | None) -> Array:
    """The positions whose class is not ignored. Raises IndexError if one of these classes does not exist."""
    counts = np.ones(targets.shape, bool) if ignore_index is None else np.asarray(targets != ignore_index)
    wrong = targets[counts & ((targets < 0) | (targets >= n))]
    if wrong.size:
        advice = f"; ignore_index={wrong[0]} leaves such targets out of a loss" if wrong[0] < 0 else ""
        raise IndexError(f"targets must be in range({n}), the number of classes, got {wrong[0]}{advice}")
    return counts


def is_wider_than_float32(array: Any) -> bool:
    """Whether the array's type has a larger range than float32."""
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
    """The losses of positions with all classes in this block: in `dtype`, or in a wider type if they will be added."""
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


def losses_of_classes(
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
    """What these classes contribute to the loss of each position. Of class indices alone, only the targets are read."""
    alone = targets.ndim < x.ndim and label_smoothing == 0
    if alone:
        counts = counted(targets, n, ignore_index)
        places = targets.astype(np.intp) - (classes[0] if classes.size else n)
        here = np.expand_dims(counts & (places >= 0) & (places < classes.size), axis)
        if not here.any():
            return np.zeros(here.shape)
        places = np.where(here, np.expand_dims(places, axis), 0)
        if add is not None:
            add = np.take_along_axis(np.broadcast_to(add, x.shape), places, axis)
        x = np.take_along_axis(x, places, axis)
    with in_a_task():
        log_p = states.written("log_softmax", x, (axis,), where=True, states=sums, dtype=dtype, scale=scale, add=add)
        if alone:
            factor = 1.0 if weight is None else weight[places]
            return np.where(here & (factor != 0), -log_p.astype(np.float64) * factor, 0)
        if targets.ndim < x.ndim:
            counts = np.expand_dims(counted(targets, n, ignore_index), axis)
            numbers = np.expand_dims(classes, tuple(i for i in range(x.ndim) if i != axis))
            own = numbers == np.expand_dims(targets.astype(np.intp), axis)
            targets = np.where(counts, smoothed(own, label_smoothing, n), 0)
        elif label_smoothing:
            targets = smoothed(targets, label_smoothing, n)
        part = losses.nll_loss(log_p.astype(np.float64), targets, axis, weight=weight, reduction="none")
    return np.expand_dims(part, axis)


def smoothed(targets: Array, label_smoothing: float, n: int) -> Array:
    """The targets blended with 1/n, in float64: the targets' own type may be too narrow for label_smoothing/n."""
    blended: Array = (1 - label_smoothing) * targets.astype(np.float64) + label_smoothing / n
    return blended


def target_weights(targets: Array, weight: Array | None, *, ignore_index: int | None) -> Any:
    """The share of each position in the denominator of a mean. Classes that do not exist are an error elsewhere."""
    counts = np.ones(targets.shape) if weight is None else np.take(weight, targets.astype(np.intp), mode="clip")
    return counts if ignore_index is None else np.where(targets == ignore_index, 0.0, counts)


def scaled_weight(weight: Array) -> Array:
    """The weights times a power of two that brings the largest near 1, if it is far from 1."""
    largest = np.max(np.abs(weight), initial=0.0)
    if not are_extreme(weight) or not 0 < largest < np.inf:
        return weight
    with np.errstate(all="ignore"):
        scaled: Array = np.ldexp(weight.astype(np.float64), -np.frexp(largest)[1])
    return scaled


def sum_losses(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The sum in longdouble. If its range exceeds float64's, the sum does not overflow when the mean is finite."""
    with np.errstate(all="ignore"):
        return np.sum(x, axis=axis, keepdims=keepdims, dtype=np.longdouble)


def divide_sum(total: Any, by: Any, *, dtype: np.dtype[Any]) -> Any:
    """The quotient; nan if the divisor is 0, because targets whose weights add up to 0 have no mean."""
    with np.errstate(all="ignore"):
        return np.asarray(np.where(by == 0, np.nan, total / by)).astype(dtype)[()]
