"""Numbers that plain.py computes with: in two parts, as powers of two, and complex ones by their parts."""

from typing import Any

import numpy as np

__all__ = [
    "LOG_2", "LOG_2_LOW", "as_complex", "directions", "exp_in_two", "finite", "log1p_size", "log_size", "scaled_exp",
    "split", "sum_in_two", "sum_of_three", "times", "two_sum", "unit", "widened",
]  # fmt: skip

Array = np.ndarray[Any, Any]
# log(2) in two parts. The first has 31 bits, so that its product with the exponent of any number is exact.
LOG_2 = float.fromhex("0x1.62e42feep-1")
LOG_2_LOW = np.longdouble("0.000000000190821492927058781614426568075500134360255254")


# Numbers in two parts ------------------------------------------------------------------------------------------------


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum and its rounding error, which is 0 for a sum that is not finite."""
    total = a + b
    b_seen = total - a
    return total, finite((a - (total - b_seen)) + (b - b_seen))


def square(x: Array) -> tuple[Array, Array]:
    """The rounded square and its rounding error (Dekker, Numerische Mathematik 18, 1971)."""
    half = (np.finfo(x.dtype).nmant + 2) // 2
    c = x * (2.0**half + 1)
    high = c - (c - x)
    low = x - high
    product = x * x
    return product, ((high * high - product) + 2 * high * low) + low * low


def finite(x: Array) -> Array:
    return np.where(np.isfinite(x), x, 0)


def sum_in_two(x: Array) -> tuple[Array, Array]:
    """The sums along the last of two axes, by repeated halving, and their rounding errors."""
    low = np.zeros(len(x), x.dtype)
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        pairs, errors = two_sum(x[:, :half], x[:, half : 2 * half])
        low = low + errors.sum(axis=1)
        x = np.concatenate([pairs, x[:, 2 * half :]], axis=1)
    return x[:, 0], low


def sum_of_three(a: Array, b: Array, c: Array) -> Array:
    """The sum, rounded once unless the numbers cancel."""
    total, error = two_sum(a, b)
    total, second = two_sum(total, c)
    total += error + second
    return total


# Exponentials and logarithms -----------------------------------------------------------------------------------------


def exp_in_two(d: Array, low: Array) -> Array:
    """exp(d + low), where low is a rounding error of d."""
    e: Array = np.exp(d)
    e += e * low
    return e


def scaled_exp(d: Array, low: Array, exponent: Array) -> Array:
    """exp(d + low)*2**exponent. The power may be out of range even if the product is not.

    exp(d) = 2**n exp(r), n = round(d/log(2)), and the two powers are added.
    """
    limited = np.clip(np.where(np.isfinite(d), d, -1e5), -1e5, 1e5)
    low = np.where(limited == d, low, 0)  # the rounding error of a huge difference is not small
    n = np.rint(limited / LOG_2)
    r = (limited - n * LOG_2) - n * LOG_2_LOW.astype(d.dtype)
    e = np.ldexp(np.exp(r + low), (n.astype(np.intc) + exponent).astype(np.intc))
    return np.where(np.isnan(d), d, e)


def log_size(z: Array) -> Array:
    """log(abs(z)), with all digits near 1.

    For complex z, both parts m and n are scaled by a power of two that brings the size to 0.7 to 1.4. The result is
    half of log1p(m*m - 1 + n*n), with squares and sums in two parts, because they cancel where z has the size 1.
    """
    size: Array
    if z.dtype.kind != "c":
        size = np.log(np.abs(z))
        return size
    m, n = np.abs(z.real), np.abs(z.imag)
    m, n = np.maximum(m, n), np.minimum(m, n)
    exponent = np.frexp(m)[1]
    exponent = exponent - (np.ldexp(m, -exponent) < 0.7)
    is_large = np.ldexp(m, -exponent) ** 2 + np.ldexp(n, -exponent) ** 2 > 2
    exponent = exponent + is_large
    x, y = np.ldexp(m, -exponent), np.ldexp(n, -exponent)
    scale = exponent * LOG_2 + exponent * LOG_2_LOW.astype(m.dtype)
    x, x_low = square(x)
    y, y_low = square(y)
    total, error = two_sum(x, -np.ones_like(x))
    total, second = two_sum(total, y)
    size = np.log1p(total + (error + second + x_low + y_low)) / 2 + scale
    return np.where(np.isfinite(m) & (m > 0), size, np.log(m))


def log1p_size(z: Array) -> Array:
    """log(abs(1 + z)), with all digits near 0."""
    if z.dtype.kind != "c":
        size: Array = np.log1p(z)
        return size
    small = (np.abs(z.real) < 0.5) & (np.abs(z.imag) < 0.5)
    return np.where(small, np.log1p(z.real * (2 + z.real) + z.imag * z.imag) / 2, log_size(1 + z))


# Complex numbers by their parts, so that an infinite or subnormal part does not spoil the other ----------------------


def as_complex(real: Array, imag: Array) -> Array:
    z = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
    z.real, z.imag = real, imag
    return z


def directions(a: Array) -> Array:
    """exp(1j*angle); 1 for real numbers, and for terms whose exponential vanishes with any angle."""
    if a.dtype.kind != "c":
        return np.ones((), a.dtype)
    angle = np.where(a.real == -np.inf, 0, a.imag)
    return as_complex(np.cos(angle), np.sin(angle))


def times(size: Array, direction: Array) -> Array:
    """The product with a real number."""
    if direction.dtype.kind != "c":
        return size
    return as_complex(size * direction.real, size * direction.imag)


def split(b: Array) -> tuple[Array, Array]:
    """Mantissas and binary exponents. The larger part of a complex mantissa is from 0.5 to 1, if it is finite."""
    if b.dtype.kind != "c":
        mantissa, exponent = np.frexp(b)
        return mantissa, exponent.astype(np.intc)
    exponent = np.frexp(np.maximum(np.abs(b.real), np.abs(b.imag)))[1].astype(np.intc)
    return as_complex(np.ldexp(b.real, -exponent), np.ldexp(b.imag, -exponent)), exponent


def unit(z: Array) -> Array:
    """z/abs(z), and 0 at 0. A negative real number has the angle pi for both signs of its imaginary part 0."""
    if z.dtype.kind != "c":
        return np.sign(z)
    parts = [np.where(np.isinf(z), np.where(np.isinf(x), np.sign(x), 0), x) for x in (z.real, z.imag)]
    z, _ = split(as_complex(*parts))
    size = np.hypot(z.real, z.imag)
    return np.where(z == 0, 0, as_complex(z.real / size, z.imag / size + 0.0))


def widened(x: Array) -> Array:
    """complex64 as complex128, which has digits to spare."""
    return x.astype(np.complex128) if x.dtype == np.complex64 else x
