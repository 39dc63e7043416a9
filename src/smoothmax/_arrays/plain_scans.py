"""logcumsumexp in plain NumPy, for the types that have no kernels."""

from typing import Any

import numpy as np

from smoothmax._arrays.plain_numbers import (
    LOG_2,
    LOG_2_LOW,
    as_complex,
    directions,
    log1p_size,
    log_size,
    sum_of_three,
    times,
    two_sum,
    widened,
)

__all__ = ["logcumsumexp"]

Array = np.ndarray[Any, Any]


def logcumsumexp(a: Array, axis: int | None, reverse: bool, exclusive: bool) -> Array:
    """The logarithm of each prefix's sum; of each suffix's with `reverse`; without the own element if `exclusive`.

    A sum is a number in two parts and a power of two, so that moving it to another power rounds nothing. Neighbours are
    added, then sums of two, of four and so on. So each sum has the error of one exponential, however long it is.
    """
    if axis is None:
        a, axis = a.ravel(), 0
    if a.size == 0:
        return a.copy()
    x = np.moveaxis(widened(a), axis, -1)
    x = x[..., ::-1] if reverse else x
    if exclusive:
        x = np.concatenate([np.full_like(x[..., :1], -np.inf), x[..., :-1]], axis=-1)
    regular = np.isfinite(x.real)
    real = np.where(regular, x.real, 0)
    info = np.finfo(real.dtype)
    # Beyond `far`, different numbers differ by more than any sum of exponentials adds to the largest element. So the
    # powers only have to be equal for equal elements.
    far = np.abs(real) > 4 / info.eps
    low_bits = LOG_2_LOW.astype(real.dtype)
    exponent = np.where(far, 2 * np.clip(real, -info.max / 2, info.max / 2), np.rint(real / (LOG_2 + low_bits)))
    r = np.where(far, 0, (real - exponent * LOG_2) - exponent * low_bits)
    exponent = np.where(regular, exponent, -info.max)
    terms = high = times(np.where(regular, np.exp(r), 0), directions(np.where(regular, x, 0)))
    low, step = np.zeros_like(high), 1
    if high.dtype.kind != "c":  # near 1, the rounding error has the digits of a small element
        low = np.where(regular & (exponent == 0), np.expm1(np.where(exponent == 0, x, 0)) - (high - 1), low)
    while step < x.shape[-1]:
        upper = np.maximum(exponent[..., step:], exponent[..., :-step])
        own, own_low = (by_power(part[..., step:], exponent[..., step:] - upper) for part in (high, low))
        other, other_low = (by_power(part[..., :-step], exponent[..., :-step] - upper) for part in (high, low))
        total, error = two_sum(own, other)
        high = np.concatenate([high[..., :step], total], axis=-1)
        low = np.concatenate([low[..., :step], own_low + other_low + error], axis=-1)
        exponent = np.concatenate([exponent[..., :step], upper], axis=-1)
        step *= 2
    largest = np.maximum.accumulate(np.where(regular, x.real, -np.inf), axis=-1)
    if high.dtype.kind == "c":
        value = log_beside_largest(high, low, terms, largest)
    else:
        value = log_of_power(high, low, np.where(np.isneginf(largest), 0, exponent), largest)
    value = np.where(np.logical_or.accumulate(np.isposinf(x.real), axis=-1), np.inf, value)
    value = np.where(np.logical_or.accumulate(np.isnan(x), axis=-1), np.nan, value)
    value = value[..., ::-1] if reverse else value
    result = np.empty_like(a)  # in its memory order
    result[...] = np.moveaxis(value, -1, axis)
    return result


def by_power(x: Array, exponent: Array) -> Array:
    """x*2**exponent, of either part of a complex number."""
    exponent = np.maximum(exponent, -(2**20)).astype(np.intc)
    if x.dtype.kind != "c":
        moved: Array = np.ldexp(x, exponent)
        return moved
    return as_complex(np.ldexp(x.real, exponent), np.ldexp(x.imag, exponent))


def log_of_power(high: Array, low: Array, exponent: Array, largest: Array) -> Array:
    """log((high + low)*2**exponent), with all digits near 1; the largest element itself if nothing shows beside it."""
    near = (exponent == 0) & (np.abs(high - 1) < 0.5)
    size = np.where(near, np.log1p((high - 1) + low), np.log(high) + low / np.where(high == 0, 1, high))
    value = sum_of_three(exponent * size.dtype.type(LOG_2), size, exponent * LOG_2_LOW.astype(size.dtype))
    value = np.where(np.abs(largest) > 4 / np.finfo(largest.dtype).eps, largest, value)
    return np.where(high == 0, -np.inf, value)


def log_beside_largest(high: Array, low: Array, terms: Array, largest: Array) -> Array:
    """The complex logarithms of prefixes' sums, by what all other terms add to the first one of the largest size.

    That size is known exactly, as an element's real part, whereas cosine and sine round it.
    """
    is_first = np.ones(largest.shape, bool)
    is_first[..., 1:] = largest[..., 1:] > largest[..., :-1]
    first = np.maximum.accumulate(np.where(is_first, np.arange(largest.shape[-1]), 0), axis=-1)
    term = np.take_along_axis(terms, first, axis=-1)
    others, error = two_sum(high, -term)
    ratio, total = (others + (error + low)) / term, high + low
    log_ratio = np.where(ratio.real > -0.5, log1p_size(ratio), log_size(total) - log_size(term))
    value = np.where(np.isneginf(largest), -np.inf, largest + log_ratio)
    return as_complex(value, np.angle(total))
