"""The right results of the three functions to 90 bits or more, and the distance of a result from them in ULP.

mpmath computes the logarithms, one for each reduction. The exponentials, one for each element, are pairs of doubles
("double-double": Dekker, Numerische Mathematik 18, 1971; Hida, Li and Bailey, 2001), so that a million of them take a
second; test_oracle.py compares them with mpmath. Every exact value is a triple (high, low, k) that stands for (high +
low)*2**k, so nothing underflows for any input.

This file uses no code of the package, and no other library's softmax.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from answers import cached
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Pair = tuple[Doubles, Doubles]

DIGITS = {np.dtype(np.float64): 53, np.dtype(np.float32): 24, np.dtype(np.float16): 11}
LEAST = {np.dtype(np.float64): -1074, np.dtype(np.float32): -149, np.dtype(np.float16): -24}
context = mpmath.MPContext()
context.prec = 240


@dataclass
class Exact:
    """(high + low)*2**k. Errors are in ULP of the result, or of `at_least` if that is larger."""

    high: Doubles
    low: Doubles
    k: NDArray[np.int64]
    at_least: Doubles

    def __getitem__(self, index: Any) -> Exact:
        return Exact(self.high[index], self.low[index], self.k[index], self.at_least[index])

    def reshape(self, *shape: Any) -> Exact:
        """The same values in another shape."""
        return self.map(lambda part: part.reshape(*shape))

    def map(self, change: Any) -> Exact:
        """The same change of layout, made to every part."""
        return Exact(change(self.high), change(self.low), change(self.k), change(self.at_least))

    def rounded(self, dtype: Any = np.float64) -> NDArray[Any]:
        """The correctly rounded results, except for ties and subnormals, which are rounded twice."""
        with np.errstate(all="ignore"):
            return ldexp(self.high, self.k).astype(dtype)


def ulp_error(got: Any, exact: Exact) -> Doubles:
    """abs(got - exact) in ULP of the correctly rounded result; infinite if only one of the two is finite."""
    got = np.asarray(got)
    dtype = got.dtype.newbyteorder("=")
    if got.shape != exact.high.shape:
        raise AssertionError(f"the result has shape {got.shape}, not {exact.high.shape}")
    rounded = exact.rounded(dtype).astype(np.float64)
    wide = got.astype(np.float64)
    finite = np.isfinite(rounded) & np.isfinite(wide)
    same = (np.isnan(rounded) & np.isnan(wide)) | (rounded == wide)
    with np.errstate(all="ignore"):
        unit = np.maximum(np.abs(rounded), exact.at_least.astype(dtype).astype(np.float64))
        ulp = np.maximum(np.frexp(np.where(finite, unit, 1))[1] - DIGITS[dtype], LEAST[dtype])
        error = np.abs((ldexp(wide, -ulp) - ldexp(exact.high, exact.k - ulp)) - ldexp(exact.low, exact.k - ulp))
    return np.where(finite, error, np.where(same, 0.0, np.inf))


def reference(function: str, x: Any, axis: Any = None, keepdims: bool = False) -> Exact:
    """The exact results of logsumexp, softmax or log_softmax, in the shape that the function returns."""
    x = np.asarray(x).astype(np.float64)
    axes = normalized(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    order = [*kept, *axes]
    moved = x.transpose(order)
    rows = moved.reshape(int(np.prod([x.shape[i] for i in kept])), int(np.prod([x.shape[i] for i in axes])))
    exact = reference_of_rows(function, rows)
    if function == "logsumexp":
        shape = [1 if i in axes else x.shape[i] for i in range(x.ndim) if keepdims or i in kept]
        return exact.reshape(shape)
    back = np.argsort(order)
    return exact.map(lambda part: part.reshape(moved.shape).transpose(back))


def normalized(axis: Any, ndim: int) -> list[int]:
    if axis is None:
        return list(range(ndim))
    if ndim == 0:
        return []
    axes = axis if isinstance(axis, tuple) else (axis,)
    return sorted(int(i) % ndim for i in axes)


@cached
def reference_of_rows(function: str, rows: Doubles, counts: NDArray[Any] | None = None) -> Exact:
    """The reference along the last of two axes; element j of every row stands for counts[j] equal ones."""
    repeats = np.ones(rows.shape[1], np.int64) if counts is None else np.asarray(counts)
    maxima = rows.max(axis=1, initial=-np.inf)  # nan if there is one
    regular = np.isfinite(maxima)
    m = np.where(regular, maxima, 0)[:, None]
    safe = np.where(regular[:, None], rows, 0)
    is_maximum = safe == m
    with np.errstate(all="ignore"):
        d, d_low = difference(safe, m)
    near = d > -3000  # the exponentials of others are below 2**-4328: 0 as a result, and without effect on a sum
    high, low, k = exp_pair(np.where(near, d, -3000), np.where(near, d_low, 0))
    gone = np.isneginf(safe)
    high[gone] = low[gone] = 0
    # The sum of the elements that are not the maximum, relative to the largest of them.
    other_k = np.where(is_maximum | gone, -(10**6), k).max(axis=1, initial=-(10**6))
    fall = np.where(is_maximum, 0, k - other_k[:, None])
    factors = np.where(is_maximum, 0, repeats).astype(np.float64)
    others = sum_pairs(times(ldexp(high, fall), ldexp(low, fall), factors))
    count = np.where(is_maximum, repeats, 0).sum(axis=1)

    if function == "softmax":
        total = add_pairs(
            (count.astype(np.float64), np.zeros(len(rows))), (ldexp(others[0], other_k), ldexp(others[1], other_k))
        )
        total = (np.maximum(total[0], 1), total[1])
        quotient = divide((high, low), (total[0][:, None], total[1][:, None]))
        exact = Exact(*quotient, k, np.zeros(rows.shape))
        exact.high[~regular] = np.nan
        return exact

    logs = [log_of(int(c), r, s, int(e)) for c, r, s, e in zip(count, *others, other_k, strict=True)]
    if function == "logsumexp":
        sums = [split(context.mpf(float(maximum)) + log) for maximum, log in zip(m[:, 0], logs, strict=True)]
        exact = Exact(*columns(sums), np.zeros(len(rows)))
        size = np.maximum(np.abs(m[:, 0]), [abs(float(log)) for log in logs])
        exact.at_least[:] = np.where(m[:, 0] < 0, size, 0)
        exact.high[~regular] = maxima[~regular]
        return exact

    log_high, log_low, log_k = columns([split(log) for log in logs])
    with np.errstate(all="ignore"):
        logs = add_pairs((d, d_low), (-ldexp(log_high, log_k)[:, None], -ldexp(log_low, log_k)[:, None]))
    exact = Exact(
        np.where(is_maximum, -log_high[:, None], np.where(gone | np.isneginf(d), -np.inf, logs[0])),
        np.where(is_maximum, -log_low[:, None], np.where(gone | np.isneginf(d), 0, logs[1])),
        np.where(is_maximum, log_k[:, None], 0),
        np.zeros(rows.shape),
    )
    nan_or_inf = np.where(np.isposinf(rows), np.nan, -np.inf)
    exact.high[~regular] = np.where(np.isposinf(maxima)[:, None], nan_or_inf, np.nan)[~regular]
    return exact


@functools.lru_cache(100_000)  # the same rows come in many layouts, and many rows have one element
def log_of(count: int, others: float, others_low: float, k: int) -> Any:
    """log(count + (others + others_low)*2**k); count is 0 only in a row without elements."""
    if count == 0:
        return context.mpf(0)
    return context.log1p(context.ldexp(context.mpf(others) + context.mpf(others_low), k) + (count - 1))


def split(value: Any) -> tuple[float, float, int]:
    if value == 0:
        return 0.0, 0.0, 0
    k = context.mag(value) - 1
    value = context.ldexp(value, -k)
    high = float(value)
    return high, float(value - high), k


def columns(triples: list[tuple[float, float, int]]) -> tuple[Doubles, Doubles, NDArray[np.int64]]:
    return (
        np.array([t[0] for t in triples], np.float64),
        np.array([t[1] for t in triples], np.float64),
        np.array([t[2] for t in triples], np.int64),
    )


# Pairs of doubles ----------------------------------------------------------------------------------------------------


def ldexp(x: Any, k: Any) -> Doubles:
    """x*2**k. np.ldexp rounds once, also where 2**k is out of range; an int32 holds the clipped exponent."""
    k = np.clip(np.asarray(k), -4200, 4200).astype(np.int32)
    with np.errstate(all="ignore"):
        return np.ldexp(x, k)


def two_sum(a: Any, b: Any) -> Pair:
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)


def difference(a: Any, b: Any) -> Pair:
    """The exact difference. It is scaled near the largest double, where two_sum may overflow though the result fits."""
    scale = np.where(np.maximum(np.abs(a), np.abs(b)) > 2.0**1000, 2.0**-10, 1)
    high, low = two_sum(a * scale, -b * scale)
    return high / scale, low / scale


def two_product(a: Any, b: Any) -> Pair:
    product = a * b
    c = 134217729.0 * a
    a_high = c - (c - a)
    a_low = a - a_high
    c = 134217729.0 * b
    b_high = c - (c - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def add_pairs(a: Pair, b: Pair) -> Pair:
    high, error = two_sum(a[0], b[0])
    low, error_low = two_sum(a[1], b[1])
    high, error = two_sum(high, error + low)
    return two_sum(high, error + error_low)


def multiply(a: Pair, b: Pair) -> Pair:
    high, low = two_product(a[0], b[0])
    return two_sum(high, low + (a[0] * b[1] + a[1] * b[0]))


def times(high: Doubles, low: Doubles, factor: Doubles) -> Pair:
    product, error = two_product(high, factor)
    return two_sum(product, error + low * factor)


def divide(a: Pair, b: Pair) -> Pair:
    first = a[0] / b[0]
    product = multiply(b, (first, np.zeros_like(first)))
    left = add_pairs(a, (-product[0], -product[1]))
    return two_sum(first, left[0] / b[0])


def sum_pairs(pairs: Pair) -> Pair:
    """The sum along the last axis, by adding the second half to the first until one pair is left."""
    high, low = pairs
    if high.shape[1] == 0:
        return np.zeros(len(high)), np.zeros(len(high))
    while high.shape[1] > 1:
        n = high.shape[1] // 2
        odd = (high[:, 2 * n :], low[:, 2 * n :])
        high, low = add_pairs((high[:, :n], low[:, :n]), (high[:, n : 2 * n], low[:, n : 2 * n]))
        high, low = np.concatenate([high, odd[0]], axis=1), np.concatenate([low, odd[1]], axis=1)
    return high[:, 0], low[:, 0]


def parts(value: Any, sizes: list[int]) -> list[float]:
    """The value as a sum of doubles with these numbers of bits."""
    found = []
    for bits in sizes:
        exponent = int(context.floor(context.log(abs(value), 2))) + 1
        part = float(context.ldexp(context.nint(context.ldexp(value, bits - exponent)), exponent - bits))
        found.append(part)
        value -= context.mpf(part)
    return found


STEPS = 256  # from one power of two to the next
STEP = parts(context.log(2) / STEPS, [32, 32, 53])  # the first two times any n below are exact
POWERS = np.array([parts(context.mpf(2) ** (context.mpf(i) / STEPS), [53, 53]) if i else [1, 0] for i in range(STEPS)])
INVERSE_FACTORIALS = [parts(1 / context.factorial(i), [53, 53]) if i > 2 else [1 / max(i, 1), 0.0] for i in range(12)]


def exp_pair(high: Doubles, low: Doubles, chunk: int = 1 << 15) -> tuple[Doubles, Doubles, NDArray[np.int64]]:
    """exp(high + low) = (h + l)*2**k for -3001 <= high <= 0; relative error below 2**-94."""
    shape, high, low = high.shape, high.ravel(), low.ravel()
    h, l_, k = np.empty(high.size), np.empty(high.size), np.empty(high.size, np.int64)
    for i in range(0, high.size, chunk):
        here = slice(i, i + chunk)
        n = np.rint(high[here] * (1.4426950408889634 * STEPS))
        r = two_sum(high[here], -n * STEP[0])
        r = add_pairs(r, (-n * STEP[1], np.zeros_like(n)))
        r = add_pairs(r, (low[here], np.zeros_like(n)))
        r = add_pairs(r, two_product(-n, STEP[2]))
        # exp(r) - 1 for abs(r) < 2**-9.5. The terms from r**5 on are so small that one double is enough for them.
        tail = np.zeros_like(n)
        for c in INVERSE_FACTORIALS[:5:-1]:
            tail = tail * r[0] + c[0]
        p = two_sum(np.full_like(n, INVERSE_FACTORIALS[5][0]), tail * r[0] + INVERSE_FACTORIALS[5][1])
        for c in INVERSE_FACTORIALS[4:0:-1]:
            p = add_pairs(multiply(p, r), (c[0], c[1]))
        p = multiply(p, r)
        k[here], step = np.divmod(n.astype(np.int64), STEPS)
        power = (POWERS[step, 0], POWERS[step, 1])
        h[here], l_[here] = add_pairs(power, multiply(power, p))
    return h.reshape(shape), l_.reshape(shape), k.reshape(shape)
