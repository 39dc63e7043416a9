"""The functions in plain NumPy, for the types that have no kernels: longdouble and complex.

The arguments have been checked: arrays are broadcast to one shape, `axis` is a tuple of distinct axes, `b` and `where`
are None if they were not given. Temporary arrays take a multiple of the input's memory.

Three measures keep the digits that a short formula loses:

a) Differences from the largest element and sums are computed in two parts: the rounded number and its rounding error.
b) The largest term is left out of the sum. The sum of the others, divided by it, goes through log1p. For complex
   numbers log1p is written here, because NumPy's is the logarithm of the rounded 1 + z.
c) Weights are split into a mantissa and a power of two, which is applied to the exponential. So weights of any size,
   also subnormal ones, may meet exponentials of any size.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from smoothmax._arrays.plain_numbers import (
    as_complex,
    directions,
    exp_in_two,
    finite,
    log1p_size,
    log_size,
    scaled_exp,
    split,
    sum_in_two,
    sum_of_three,
    times,
    two_sum,
    unit,
    widened,
)

__all__ = [
    "categorical",
    "log_softmax",
    "logmeanexp",
    "logsumexp",
    "narrowed_to_odd",
    "segment_logsumexp",
    "segment_transform",
    "softmax",
    "top_log_probs",
]

Array = np.ndarray[Any, Any]
Axis = tuple[int, ...]


# logsumexp -----------------------------------------------------------------------------------------------------------


def logsumexp(a: Array, axis: Axis, b: Array | None, where: Array | None, keepdims: bool) -> tuple[Array, Array]:
    """log(abs(sum)) and the sum's sign. For complex `a`, the sign has size 1 and an angle in (-pi, pi]."""
    shape = tuple(1 if i in axis else n for i, n in enumerate(a.shape) if keepdims or i not in axis)
    real_type = a.real.dtype
    if a.size == 0:
        return np.full(shape, -np.inf, real_type), np.zeros(shape, a.dtype)
    with np.errstate(all="ignore"):
        elements = as_rows(widened(a), axis)
        weights = np.ones((1, 1), elements.dtype) if b is None else as_rows(widened(b), axis)
        taken = np.ones(elements.shape, bool) if where is None else as_rows(where, axis)
        value, sign = logsumexp_of_rows(elements, weights, taken & (weights != 0))
        return value.astype(real_type).reshape(shape), sign.astype(a.dtype).reshape(shape)


def logmeanexp(a: Array, axis: Axis, b: Array | None, where: Array | None, keepdims: bool) -> Array:
    """The logarithm of the weighted mean: the logarithm of the sum minus that of the weights' sum."""
    total, sign = logsumexp(a, axis, b, where, keepdims)
    mass, mass_sign = logsumexp(np.zeros_like(a), axis, b, where, keepdims)
    with np.errstate(all="ignore"):
        regular = np.isfinite(mass)
        value = np.where(regular, total - mass, np.nan)
        direction = sign / np.where(mass_sign == 0, 1, mass_sign)
        if a.dtype.kind == "c":
            return as_complex(value, np.where(regular, np.angle(direction), np.nan))
        return np.where(direction < 0, np.nan, value)


def as_rows(x: Array, axis: Axis) -> Array:
    """The array as a matrix: a row for each result, a column for each reduced element."""
    last = np.moveaxis(x, axis, range(-len(axis), 0))
    rows = int(np.prod(last.shape[: x.ndim - len(axis)], dtype=np.intp))
    return last.reshape(rows, -1)


def logsumexp_of_rows(a: Array, b: Array, taken: Array) -> tuple[Array, Array]:
    """log(abs(sum)) and the sum's sign of each row."""
    log_weight = log_size(b)
    size = np.where(taken, a.real + log_weight, -np.inf)
    first = np.argmax(size, axis=1)[:, None]  # the largest, or the first nan

    def of_largest(x: Array) -> Array:
        return np.take_along_axis(np.broadcast_to(x, a.shape), first, axis=1)

    mantissa, exponent = split(b)
    regular = np.isfinite(of_largest(size)[:, 0])
    shift = np.where(regular[:, None], of_largest(a.real), 0)
    terms = scaled_exp(*two_sum(a.real, -shift), exponent - of_largest(exponent))
    terms = np.where(taken, times(terms, directions(a)) * mantissa, 0)
    largest = of_largest(terms)
    np.put_along_axis(terms, first, 0, axis=1)
    rest, rest_low = sum_in_two(terms)
    largest, shift, weight = largest[:, 0], shift[:, 0], of_largest(log_weight)[:, 0]
    total, error = two_sum(largest, rest)
    total = total + (error + rest_low)
    ratio = (rest + rest_low) / largest
    # The logarithm of sum/largest. Where terms cancel, the sum in two parts has digits that 1 + ratio has lost.
    log_ratio = np.where(ratio.real > -0.5, log1p_size(ratio), log_size(total) - log_size(largest))
    value, sign = sum_of_three(shift, weight, log_ratio), unit(total)
    if not regular.all():
        rows = ~regular
        value[rows], sign[rows] = irregular_sums(a[rows], np.broadcast_to(b, a.shape)[rows], taken[rows])
    return value, sign


def irregular_sums(a: Array, b: Array, taken: Array) -> tuple[Array, Array]:
    """log(abs(sum)) and the sum's sign of rows with infinite terms or nan, and of rows without a term."""
    vanishes = a.real == -np.inf
    infinite = taken & ((a.real == np.inf) | np.isinf(b))
    direction = directions(a) * unit(b)
    undefined = taken & (np.isnan(a.real) | np.isnan(b) | (~vanishes & np.isnan(direction)) | (vanishes & np.isinf(b)))
    parts = [infinite_sum(infinite, direction.real)]
    sign = parts[0].astype(direction.dtype)
    if a.dtype.kind == "c":
        parts.append(infinite_sum(infinite, direction.imag))
        sign = unit(as_complex(*parts))
        # If all infinite terms point in one direction, so does their sum. Otherwise it would depend on their sizes.
        first = np.take_along_axis(direction, np.argmax(infinite, axis=1)[:, None], axis=1)
        same = np.all(~infinite | (direction == first), axis=1)
        sign = np.where(same & infinite.any(axis=1), first[:, 0], sign)
    found = np.any([np.abs(part) == 1 for part in parts], axis=0)
    value = np.where(found, np.inf, np.where(np.any(np.isnan(parts), axis=0), np.nan, -np.inf))
    bad = undefined.any(axis=1)
    return np.where(bad, np.nan, value).astype(a.real.dtype), np.where(bad, np.nan, sign).astype(a.dtype)


def infinite_sum(infinite: Array, component: Array) -> Array:
    """The sign of one component of a sum of infinite terms; nan where they have both signs."""
    up, down = (np.any(infinite & side, axis=1) for side in (component > 0, component < 0))
    return np.where(up & down, np.nan, up * 1.0 - down)


# softmax and log_softmax ---------------------------------------------------------------------------------------------


def softmax(x: Array, axis: Axis, where: Array | None) -> Array:
    """exp(x)/sum(exp(x)), and 0 where `where` is False."""
    if x.size == 0:
        return x.copy()
    with np.errstate(all="ignore"):
        shifted, low, _ = shifted_by_largest(widened(x), axis, where)
        e = taken(exp_in_two(shifted, low), where)
        total, total_low = sums_kept(e, axis)
        p = e / total
        p = p - p * finite(total_low / total)
        return taken(p, where).astype(x.dtype)


def log_softmax(x: Array, axis: Axis, where: Array | None) -> Array:
    """The logarithm of softmax, and -inf where `where` is False."""
    if x.size == 0:
        return x.copy()
    with np.errstate(all="ignore"):
        shifted, low, largest = shifted_by_largest(widened(x), axis, where)
        # The largest elements are counted, so that log1p gets the sum of the others.
        is_largest = shifted == 0 if where is None else (shifted == 0) & where
        e = np.where(is_largest, 0, taken(exp_in_two(shifted, low), where))
        rest, rest_low = sums_kept(e, axis)
        others = np.sum(is_largest, axis=axis, keepdims=True, dtype=x.real.dtype) - 1 + (rest + rest_low)
        log_sum = log1p_size(others)
        if x.dtype.kind == "c":
            log_sum = as_complex(log_sum, np.arctan2(others.imag, 1 + others.real))
        log_p = shifted - np.where(largest.real == np.inf, largest, log_sum - low)
        return (log_p if where is None else np.where(where, log_p, -np.inf)).astype(x.dtype)


def shifted_by_largest(x: Array, axis: Axis, where: Array | None) -> tuple[Array, Array, Array]:
    """The differences from the largest element, in two parts, and the largest element."""
    largest = np.max(x if where is None else np.where(where, x, -np.inf), axis=axis, keepdims=True)
    shifted, low = two_sum(x, -largest)
    return shifted, low, largest


def taken(e: Array, where: Array | None) -> Array:
    return e if where is None else np.where(where, e, 0)


def sums_kept(x: Array, axis: Axis) -> tuple[Array, Array]:
    """The sums along the axes in two parts; the axes are kept."""
    shape = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    high, low = sum_in_two(as_rows(x, axis))
    return high.reshape(shape), low.reshape(shape)


# Scores of logits ----------------------------------------------------------------------------------------------------


def top_log_probs(x: Array, axis: int, k: int) -> tuple[Array, Array]:
    """The k largest log-probabilities, along the last axis, and their indices."""
    log_p = np.moveaxis(log_softmax(x, (axis,), None), axis, -1)
    order = np.argsort(-np.moveaxis(x, axis, -1), axis=-1, kind="stable")[..., :k]
    undefined = np.all(np.isnan(log_p), axis=-1, keepdims=True) & ~np.all(np.moveaxis(x, axis, -1) == np.inf)
    indices = np.where(undefined, np.arange(k), order)
    return np.take_along_axis(log_p, indices, axis=-1), indices


def categorical(x: Array, axis: int, uniforms: Array) -> Array:
    """The elements that the numbers along the last axis draw; -1 if a row is not a distribution."""
    rows = np.moveaxis(x, axis, -1)
    largest = np.max(rows, axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        cumulative = np.cumsum(np.exp(rows - largest), axis=-1)
        targets = np.clip(uniforms, 0, np.nextafter(1.0, 0)) * cumulative[..., -1:]
    indices = np.empty(uniforms.shape, np.intp)
    for place in np.ndindex(uniforms.shape[:-1]):
        indices[place] = np.searchsorted(cumulative[place], targets[place], side="right")
    return np.where(np.isfinite(largest) & np.isfinite(cumulative[..., -1:]), indices, -1)


# Segments ------------------------------------------------------------------------------------------------------------


def segment_logsumexp(a: Array, offsets: Array, axis: int) -> Array:
    """Logsumexp of each segment along the axis."""
    x = np.moveaxis(a, axis, -1)
    value = np.full((*x.shape[:-1], len(offsets) - 1), -np.inf, a.dtype)
    for i, (begin, end) in enumerate(itertools.pairwise(offsets)):
        size, sign = logsumexp(x[..., begin:end], (x.ndim - 1,), b=None, where=None, keepdims=False)
        value[..., i] = as_complex(size, np.angle(sign)) if a.dtype.kind == "c" else size
    return np.ascontiguousarray(np.moveaxis(value, -1, axis))


def segment_transform(function: Callable[[Array, Axis, None], Array], a: Array, offsets: Array, axis: int) -> Array:
    """Softmax or log_softmax of each segment along the axis."""
    value = np.empty_like(a)
    x, results = np.moveaxis(a, axis, -1), np.moveaxis(value, axis, -1)
    for begin, end in itertools.pairwise(offsets):
        results[..., begin:end] = function(x[..., begin:end], (x.ndim - 1,), None)
    return value


# logmatmulexp --------------------------------------------------------------------------------------------------------


def logmatmulexp(a: Array, b: Array) -> Array:
    """log(exp(a) @ exp(b)) of stacks of matrices, row by row, because the terms of a row take as much memory as b.

    Sums of elements have two parts, because rounding them would show in terms other than the largest.
    """
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    value = np.empty((*stack, a.shape[-2], b.shape[-1]), a.dtype)
    a, b = (np.broadcast_to(widened(x), (*stack, *x.shape[-2:])) for x in (a, b))
    for index in np.ndindex(*stack, a.shape[-2]):
        value[index] = product_row(a[index], b[index[:-1]])
    return value


def product_row(a: Array, b: Array) -> Array:
    """A row of log(exp(a) @ exp(b)), from the terms of each element."""
    if a.size == 0 or b.size == 0:
        return np.full(b.shape[1], -np.inf, b.dtype)
    terms, low = two_sum(a[:, None], b)
    if b.dtype.kind == "c":
        size, sign = logsumexp(terms, (0,), b=None, where=None, keepdims=False)
        return as_complex(size, np.angle(sign)).astype(b.dtype)
    largest = np.max(terms, axis=0)
    is_largest = terms == largest
    shifted, error = two_sum(terms, -largest)
    low = np.where(np.abs(low) < 1, low, 0)
    e = np.where(is_largest, low, exp_in_two(shifted, error + low))
    rest, rest_low = sum_in_two(e.T)
    value: Array = sum_of_three(largest, log1p_size(np.sum(is_largest, axis=0) - 1 + (rest + rest_low)), rest * 0)
    return np.where(np.isfinite(largest), value, largest)


# Results --------------------------------------------------------------------------------------------------------------


def narrowed_to_odd(values: Array) -> Array:
    """Cast longdouble to float32 toward 0, and set the last bit if that lost something.

    The last bit tells a number a little above half from half itself, so that rounding to 16 bits is right. NumPy's
    cast would round twice, because it goes through float64.
    """
    with np.errstate(all="ignore"):
        rounded = values.astype(np.float32)
        bits = rounded.view(np.uint32)
        inexact = rounded != values
        bits -= np.abs(rounded) > np.abs(values)
        bits |= inexact
    return rounded
