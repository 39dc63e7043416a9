"""Exact logarithms of prefix sums and of means by mpmath, and the distance of results from them in ULP."""

import mpmath
import numpy as np

context = mpmath.MPContext()
context.prec = 1300  # enough for 1 + exp(-745)


def exponentials(x):
    return [context.exp(float(v)) if v > -np.inf else context.mpf(0) for v in x]


def logarithm(total):
    return context.log(total) if total > 0 else context.mpf("-inf")


def prefixes(x):
    """The logarithm of each prefix's sum, and the larger of its two terms, the maximum and a logarithm."""
    total, maximum = context.mpf(0), context.mpf("-inf")
    pairs = []
    for v, e in zip(x, exponentials(x), strict=True):
        total, maximum = total + e, max(maximum, context.mpf(float(v)))
        value = logarithm(total)
        pairs.append((value, max(abs(maximum), abs(value - maximum)) if total > 0 else context.mpf(0)))
    return pairs


def mean(x, b=None):
    """The logarithm of the mean, and the largest of its terms."""
    weights = [context.mpf(1)] * len(x) if b is None else [context.mpf(float(w)) for w in b]
    total = sum(w * e for w, e in zip(weights, exponentials(x), strict=True))
    value, maximum = logarithm(total / sum(weights)), context.mpf(float(max(x)))
    parts = [maximum, value - maximum]
    if b is not None:
        parts += [logarithm(abs(sum(weights))), *(context.log(abs(w)) for w in weights if w), value]
    return value, max(abs(part) for part in parts)


def exact(got):
    """A number of any NumPy type, including longdouble."""
    high = float(got)
    return context.mpf(high) + context.mpf(float(got - got.dtype.type(high)))


def error(got, value, at_least):
    """abs(got - value) in ULP of the larger of the result and `at_least`; infinite if only one is finite."""
    if not np.isfinite(got) or not context.isfinite(value):
        return 0.0 if context.mpf(float(got)) == value else np.inf
    unit = np.spacing(got.dtype.type(float(max(abs(value), at_least))))
    difference = abs(exact(got) - value)
    return float(difference / context.mpf(float(unit))) if difference else 0.0


def worst(results, pairs):
    """The largest error of results, and where it is."""
    errors = [error(got, *pair) for got, pair in zip(results, pairs, strict=True)]
    return max(errors), int(np.argmax(errors))
