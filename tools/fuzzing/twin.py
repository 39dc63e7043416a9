"""A slow, plain twin of every public function in NumPy's longdouble. tools/fuzz.py compares results with it.

Each function returns `Expected` (expected.py), or a list of them. The longdouble of x86 has 11 bits more than a double.
That is enough for the bounds of tests/bounds.py, plus the error of the twin itself (`slack`). Where longdouble is a
double, the slack is as large as the bound, and little is checked.

Reductions are along the last axis; the caller moves axes.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import numpy as np

from fuzzing.expected import TINY, WIDE, Expected

__all__ = [
    "COMPLEX", "elementwise", "log_prob", "log_softmax", "log_softmax_vjp", "logcumsumexp", "logmeanexp", "logsumexp",
    "losses", "matmul", "segments", "softmax", "softmax_vjp",
]  # fmt: skip

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests"))
from bounds import (
    COMPLEX,
    ELEMENTWISE,
    EXACT_LOGMATMULEXP,
    GRADIENT,
    LOG_PROB,
    LOGCUMSUMEXP,
    LOGMATMULEXP,
    LOGMATMULEXP_ROUNDINGS,
    LOGMEANEXP,
    LOGMEANEXP_LEAST_FLOAT32,
    LOSS,
    REDUCED_LOSS,
    SOFT_LOSS,
    VJP,
    bound,
)  # fmt: skip

Array = np.ndarray[Any, Any]


def shifted(x: Array, where: Array) -> tuple[Array, Array, Array]:
    """The largest element, the number subtracted from all, and the exponentials of elements that take part."""
    size = x if where.all() else np.where(where, x, -np.inf)
    top = np.max(size, axis=-1, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0)
    if np.any(top == np.inf):  # beside an infinite element no finite one counts, even if its exp is inf
        size = np.where((top == np.inf) & (size < np.inf), -np.inf, size)
    return top, shift, np.exp(size - shift)


def apart(terms: Array, first: Array) -> tuple[Array, Array]:
    """One of the terms, and the sum of all others."""
    without = terms.copy()
    np.put_along_axis(without, first, 0, -1)
    return np.take_along_axis(terms, first, -1)[..., 0], np.sum(without, axis=-1)


def logsumexp(x: Array, b: Array | None, where: Array, signed: bool, eps: Any, many: bool = True) -> list[Expected]:
    """Logarithm of the absolute sum and its sign; nan for a negative sum unless signs are asked for."""
    if b is not None:
        return weighted_logsumexp(x, b, where, signed, eps)
    x, where = np.broadcast_arrays(x, where)
    n = x.shape[-1]
    if n:
        top, shift, terms = shifted(x, where)
        largest, others = apart(terms, np.argmax(terms, axis=-1)[..., None])
        top, shift = top[..., 0], shift[..., 0]
        log_sum = np.log1p(others + (largest - 1))
        value = np.where(top == np.inf, np.where(np.isnan(others), np.nan, np.inf), shift + log_sum)
        sign = np.sign(largest + others)
    else:
        value = np.full(x.shape[:-1], -np.inf, WIDE)
        sign = shift = log_sum = np.zeros(x.shape[:-1], WIDE)
    slack = (n + 8) * TINY * (1 + np.abs(shift) + np.abs(log_sum))
    # Without cancellation, only the result itself counts.
    unit = np.where((shift < 0) & (log_sum > 0), np.maximum(np.abs(shift), np.abs(log_sum)), 0)
    found = [Expected(value, bound("logsumexp", n if many else 1), unit, np.where(np.isfinite(slack), slack, 0))]
    return [*found, Expected(sign)] if signed else found


def weighted_logsumexp(x: Array, b: Array, where: Array, signed: bool, eps: Any) -> list[Expected]:
    """The terms are b*exp(x - shift), where the shift is the element of the largest term. Weights stay out.

    The logarithm of a weight would be lost beside an element of 1e28, and then terms would not cancel.
    """
    x, w, where = np.broadcast_arrays(x, b, where)
    taken = where & (w != 0)
    n = x.shape[-1]
    if not n:
        empty = Expected(np.full(x.shape[:-1], -np.inf, WIDE))
        return [empty, Expected(np.zeros(x.shape[:-1], WIDE))] if signed else [empty]
    size = np.where(taken, x + np.log(np.abs(np.where(taken, w, 1))), -np.inf)
    first = np.argmax(size, axis=-1)[..., None]  # the index of the largest term, or of the first nan
    top, shift, weight = (np.take_along_axis(a, first, -1) for a in (size, x, w))
    regular = np.isfinite(top)
    shift, weight = np.where(regular, shift, 0), np.where(regular, weight, 1)
    differences = np.where(taken & regular & (x > -np.inf), x - shift, 0)
    finite = np.where(x == -np.inf, 0, w * np.exp(differences))
    terms = np.where(taken, np.where(regular, finite, np.sign(w) * np.exp(np.where(size == np.inf, size, -np.inf))), 0)
    terms = np.where(np.isnan(size), np.nan, terms)
    top, shift, weight, regular = top[..., 0], shift[..., 0], np.abs(weight[..., 0]), regular[..., 0]
    largest, others = apart(terms, first)
    total, sizes = largest + others, np.sum(np.abs(terms), axis=-1)
    ratio = others / largest
    log_ratio = np.where(ratio > -0.5, np.log1p(ratio), np.log(np.abs(total)) - np.log(weight))
    value, sign = shift + np.log(weight) + log_ratio, np.sign(total)
    value = np.where(regular, value, np.where(top == np.inf, np.where(np.isnan(total), np.nan, np.inf), top))
    if not signed:
        value = np.where(total < 0, np.nan, value)
    condition = np.where(regular & (total != 0), sizes / np.abs(total), 1)
    lost = np.sum(np.abs(terms) * (np.abs(differences) + n + 8), axis=-1) / np.abs(total)
    parts = np.maximum(np.abs(shift), np.abs(np.log(weight)))
    slack = TINY * (lost + 8 * (1 + parts + np.abs(log_ratio)))
    slack = np.where(np.isfinite(slack), slack, 0)
    # If a sum consists only of rounding errors, none of its digits is known, only how large it may be.
    unknown = regular & ((condition > 0.01 / eps) | ((total == 0) & (sizes > 0)))
    most = np.where(unknown, shift + np.log(sizes) + np.log(WIDE(200) * eps), np.inf)
    most = most + np.abs(most) * 4 * eps
    found = Expected(value, bound("logsumexp", 1) * condition, np.where(regular, parts, 0), slack, unknown, most)
    return [found, Expected(sign, unknown=unknown)] if signed else [found]


def logmeanexp(x: Array, b: Array | None, where: Array, eps: Any) -> Expected:
    """The logarithm of a quotient of two sums. Near 1 it is computed from exp - 1 of the elements."""
    if b is not None:
        return weighted_logmeanexp(x, b, where, eps)
    x, where = np.broadcast_arrays(x, where)
    n = x.shape[-1]
    if not n:
        return Expected(np.full(x.shape[:-1], np.nan, WIDE))
    top, shift, terms = shifted(x, where)
    count = np.sum(where, axis=-1)
    distance = np.where(where & np.isfinite(x), x - shift, 0)
    total = np.sum(terms, axis=-1)
    near = np.log1p(np.sum(np.where(where, np.expm1(np.where(x == -np.inf, x, distance)), 0), axis=-1) / count)
    mean = total / count
    log = np.where(mean > 0.5, near, np.log(mean))
    top, shift = top[..., 0], shift[..., 0]
    value = np.where(top == np.inf, np.where(np.isnan(total), np.nan, np.inf), shift + log)
    value = np.where(count == 0, np.nan, value)
    lost = np.sum(np.where(terms > 0, terms * np.abs(distance), 0), axis=-1) / total
    slack = TINY * ((n + 8) * np.where(mean > 0.5, np.abs(log), 1 + np.abs(log)) + lost + np.abs(shift))
    unit = np.where(np.sign(shift) * np.sign(log) < 0, np.maximum(np.abs(shift), np.abs(log)), 0)
    least = np.maximum(np.abs(shift), np.abs(log))
    if eps > 1e-10:
        unit = np.maximum(unit, LOGMEANEXP_LEAST_FLOAT32)
    if eps < 1e-18:  # longdouble is the difference of two logarithms
        unit = np.maximum(unit, np.abs(np.log(total)) + np.log(count))
    # The docstring's exception: long columns of elements that are nearly 0.
    ulps = np.where((least < 1e-15) & (n >= 1000), 100, LOGMEANEXP)
    return Expected(value, ulps, unit, np.where(np.isfinite(slack), slack, 0))


def weighted_logmeanexp(x: Array, b: Array, where: Array, eps: Any) -> Expected:
    """The sum of weighted exponentials divided by the sum of the weights that take part."""
    x, w, where = np.broadcast_arrays(x, b, where)
    (found, sign) = weighted_logsumexp(x, w, where, True, eps)
    w = np.where(where, w, 0)
    total, sizes = np.sum(w, axis=-1), np.sum(np.abs(w), axis=-1)
    log = np.log(np.abs(total))
    defined = np.isfinite(total) & (total != 0)
    condition = np.where(defined, sizes / np.abs(total), 1)
    value = np.where(defined, found.value - log, np.nan)
    value = np.where(defined & (sign.value * np.sign(total) < 0), np.nan, value)
    unknown = found.unknown | (np.isfinite(total) & (sizes > 0) & ~(condition < 0.01 / eps))
    unit = np.where(defined, np.maximum(found.unit, np.abs(log)), 0)
    slack = found.slack + np.where(defined, TINY * (np.abs(log) + (x.shape[-1] + 8) * condition), 0)
    ulps = np.maximum(LOGMEANEXP, found.ulps) + np.where(condition > 1, 2 * condition, 0)
    return Expected(value, ulps, unit, slack, unknown)


POSITIONS = 60_000  # elements that all computed prefixes may have together


def logcumsumexp(x: Array, reverse: bool, exclusive: bool) -> Expected:
    """Logsumexp of each prefix. Long rows sum some directly, and the others by adding an element at a time."""
    n = x.shape[-1]
    if not n:
        return Expected(x)
    forward = x[..., ::-1] if reverse else x
    step = max(1, x.size * n // POSITIONS)
    value, slack = np.full(x.shape, -np.inf, WIDE), np.zeros(x.shape, WIDE)
    unit = np.zeros(x.shape, WIDE)
    if step > 1:
        sums = np.logaddexp.accumulate(forward, axis=-1)
        largest = np.maximum.accumulate(forward, axis=-1)
        if exclusive:
            sums, largest = sums[..., :-1], largest[..., :-1]
        to = slice(1, None) if exclusive else slice(None)
        log = np.where(np.isfinite(largest), sums - largest, 0)
        largest = np.where(np.isfinite(largest), largest, 0)
        value[..., to] = sums
        slack[..., to] = 2 * np.arange(8, sums.shape[-1] + 8) * TINY * (1 + np.abs(largest) + np.abs(log))
        unit[..., to] = np.where((largest < 0) & (log > 0), np.maximum(np.abs(largest), log), 0)
    positions = np.arange((n - 1) % step, n, step)
    first = np.arange(n) < positions[:, None] if exclusive else np.arange(n) <= positions[:, None]
    (found,) = logsumexp(forward[..., None, :], None, first, False, 0, many=False)
    value[..., positions], slack[..., positions] = found.value, found.slack
    unit[..., positions] = found.unit
    whole = Expected(value, LOGCUMSUMEXP, unit, slack)
    return whole.map(lambda v: v[..., ::-1]) if reverse else whole


def segments(function: str, x: Array, offsets: list[int], eps: Any) -> Expected:
    """The results of `function` for each segment; segments of the same length are computed together."""
    starts, lengths = np.asarray(offsets[:-1]), np.diff(offsets)
    reduces = function == "segment_logsumexp"
    shape = (*x.shape[:-1], len(lengths) if reduces else x.shape[-1])
    parts = [np.full(shape, start, WIDE) for start in (-np.inf, 0, 0, 0)]  # value, ulps, unit, slack
    for length in set(lengths[lengths > 0].tolist()):
        which = np.flatnonzero(lengths == length)
        at = starts[which, None] + np.arange(length)
        everywhere = np.ones((), bool)
        if reduces:
            (found,) = logsumexp(x[..., at], None, everywhere, False, eps)
        else:
            found = {"segment_softmax": softmax, "segment_log_softmax": log_softmax}[function](x[..., at], everywhere)
        to = which if reduces else at
        for part, one in zip(parts, (found.value, found.ulps, found.unit, found.slack), strict=True):
            part[..., to] = one
    return Expected(*parts)


def softmax(x: Array, where: Array) -> Expected:
    """The exponentials divided by their sum; 0 for elements that take no part."""
    x, where = np.broadcast_arrays(x, where)
    top, shift, terms = shifted(x, where)
    total = np.sum(terms, axis=-1, keepdims=True)
    none = ~np.any(where, axis=-1, keepdims=True)
    bad = np.isnan(total) | (top == np.inf) | ((top == -np.inf) & ~none)
    value = np.where(where, np.where(bad, np.nan, terms / total), 0)
    slack = (np.abs(np.where(np.isfinite(x), x - shift, 0)) + x.shape[-1] + 8) * TINY * np.abs(value)
    return Expected(value, bound("softmax", 1), slack=slack)


def log_softmax(x: Array, where: Array) -> Expected:
    """The logarithm of softmax; -inf for elements that take no part."""
    x, where = np.broadcast_arrays(x, where)
    top, shift, terms = shifted(x, where)
    largest = where & (x == shift)
    count = np.sum(largest, axis=-1, keepdims=True)
    others = np.sum(np.where(largest, 0, terms), axis=-1, keepdims=True)
    log_sum = np.log1p(others + (count - 1))
    none = ~np.any(where, axis=-1, keepdims=True)
    value = (x - shift) - log_sum
    bad = np.isnan(others) | ((top == -np.inf) & ~none)
    infinite = np.where(np.isnan(others), np.nan, np.where(x == np.inf, np.nan, -np.inf))
    value = np.where(top == np.inf, infinite, np.where(bad, np.nan, value))
    value = np.where(where, value, -np.inf)
    slack = (x.shape[-1] + 8) * TINY * (np.abs(value) + np.abs(log_sum))
    # The differences are rounded here. If the sum is a tiny exponential, this is an additional error.
    distance = np.where(largest | (terms == 0) | np.isnan(terms), 0, np.abs(x - shift))
    slack = slack + TINY * np.sum(distance * terms, axis=-1, keepdims=True)
    slack = np.where(np.isfinite(slack), slack, 0)
    return Expected(value, bound("log_softmax", 1), slack=slack)


def softmax_vjp(g: Array, p: Array, eps: Any) -> Expected:
    products = np.where(g == 0, 0, g * p)
    total = np.sum(products, axis=-1, keepdims=True)
    sizes = np.sum(np.abs(products), axis=-1, keepdims=True)
    value = p * (g - total)
    slack = np.abs(p) * sizes * (g.shape[-1] * eps * eps + (g.shape[-1] + 8) * TINY) + np.abs(p * g) * 4 * TINY
    return Expected(value, VJP, np.abs(p * g) * WIDE(0.5), slack)


def log_softmax_vjp(g: Array, logp: Array, smallest: Any) -> Expected:
    total = np.sum(g, axis=-1, keepdims=True)
    sizes = np.sum(np.abs(g), axis=-1, keepdims=True)
    p = np.exp(logp)
    second = p * total
    slack = p * sizes * (g.shape[-1] + 8) * TINY * 4 + np.abs(second) * (np.abs(logp) + 4) * TINY
    slack = slack + np.abs(total) * WIDE(smallest)  # exp(logp) is rounded where it is subnormal
    return Expected(g - second, VJP, np.maximum(np.abs(g), np.abs(second)), np.where(np.isfinite(slack), slack, 0))


def losses(
    logp: Array, p: Array, targets: Array, weight: Array | None, ignore: int | None, smoothing: float, reduction: str
) -> list[Expected]:
    """Losses and gradients of rows of log-probabilities, by the formulas of the docstrings."""
    rows, classes = logp.shape
    w = np.ones(classes, WIDE) if weight is None else weight.astype(WIDE)
    s = WIDE(smoothing)
    if targets.ndim == 1:
        counted = np.ones(rows, bool) if ignore is None else targets != ignore
        safe = np.where(counted, targets, 0)
        one_hot = np.arange(classes) == safe[:, None]
        factors = np.where(one_hot, (1 - s) * w[safe][:, None], 0) + s * w / classes
        factors = np.where(counted[:, None], factors, 0)
        by = np.sum(np.where(counted, w[safe], 0))
        single = not smoothing
    else:
        factors = w * ((1 - s) * targets.astype(WIDE) + s / classes)
        by = WIDE(rows)
        single = False
        counted = np.ones(rows, bool)
    products = np.where(factors == 0, 0, factors * logp)
    loss = -np.sum(products, axis=-1)
    sizes = np.sum(np.abs(products), axis=-1)
    total = np.sum(factors, axis=-1, keepdims=True)
    gradient = p * total - factors
    if single:
        rest = np.where(one_hot, 0, p).sum(axis=-1)
        gradient = np.where(one_hot, -(rest * w[safe])[:, None], gradient)
        gradient = np.where(counted[:, None], gradient, 0)
    lost = (classes + 8) * TINY
    slack = sizes * lost + np.sum(np.abs(factors), axis=-1) * lost
    of_gradient = np.zeros(1) if single else np.maximum(np.abs(p * total), np.abs(factors))
    gradient_slack = (np.abs(p * total) + np.abs(factors)) * lost
    by = by if reduction == "mean" else WIDE(1)
    gradient = np.where(counted[:, None], gradient / by, 0)
    gradient = np.where(counted[:, None] & (by == 0), np.nan, gradient)
    gradients = Expected(gradient, GRADIENT, of_gradient / by, gradient_slack / by)
    if reduction == "none":
        # Numbers that are not log-probabilities may cancel: then the terms count.
        return [Expected(loss, LOSS if single else SOFT_LOSS, sizes, slack), gradients]
    whole = Expected(
        np.sum(loss) / by if by else WIDE(np.nan), REDUCED_LOSS, np.sum(sizes) / by,
        (np.sum(slack) + rows * TINY * np.sum(sizes)) / by,
    )  # fmt: skip
    return [whole, gradients]


def matmul(a: Array, b: Array, eps: Any, exact: bool, merged: bool) -> Expected:
    """The logarithm of a product of matrices, from the terms of each element. Their sums are rounded to longdouble.

    Products of blocks are rounded before they are merged, even exact ones.
    """
    k = a.shape[-1]
    terms = a[..., :, :, None] + b[..., None, :, :]
    everywhere = np.ones((), bool)
    (found,) = logsumexp(np.moveaxis(terms, -2, -1), None, everywhere, False, eps)
    largest = np.max(terms, axis=-2, initial=-np.inf)
    known = np.isfinite(found.value)
    size = np.where(known, np.maximum(np.abs(largest), np.abs(found.value - largest)), 0)
    slack = found.slack + np.where(known, 4 * TINY * size, 0)
    rounded = slack + (k + LOGMATMULEXP_ROUNDINGS) * WIDE(eps) / 2
    if exact:
        return Expected(found.value, EXACT_LOGMATMULEXP, size, rounded if merged else slack)
    return Expected(found.value, LOGMATMULEXP, slack=rounded)


def log_prob(logp: Array, targets: Array) -> Expected:
    value = np.take_along_axis(logp, targets[:, None], -1)[:, 0]
    return Expected(value, LOG_PROB, slack=(logp.shape[-1] + 8) * TINY * (1 + np.abs(value)))


def elementwise(name: str, x1: Array, x2: Array | None = None) -> Expected:
    """The ufuncs. The twin rounds the difference of operands, which costs it abs(d) eps of the exponential."""
    if x2 is None:
        zero = np.zeros(x1.shape, WIDE)
        if name == "log1mexp":
            return elementwise("logsubexp", zero, x1)
        if name == "log1pexp":
            return elementwise("logaddexp", zero, x1)
        minus = elementwise("logaddexp", zero, -x1)
        return Expected(-minus.value, minus.ulps, minus.unit, minus.slack)
    if name == "logaddexp":
        first = np.maximum(x1, x2)
        d = np.where(x1 == x2, 0, -np.abs(x1 - x2))
        log = np.log1p(np.exp(d))
        value = first + log
    else:
        first, d = x1, x2 - x1
        log = np.where(d > -0.5, np.log(-np.expm1(d)), np.log1p(-np.exp(d)))
        value = np.where(x1 == x2, np.where(x1 == np.inf, np.nan, -np.inf), first + log)
        value = np.where(x2 > x1, np.nan, value)
    slack = 4 * TINY * (np.abs(log) * (1 + np.abs(d)) + (d > -1))
    unit = np.maximum(np.abs(first), np.abs(log))
    known = np.isfinite(value) & np.isfinite(slack) & np.isfinite(unit)
    return Expected(value, ELEMENTWISE, np.where(known, unit, 0), np.where(known, slack, 0))
