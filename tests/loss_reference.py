"""Right losses and gradients: the formulas in mpmath, one position at a time.

It is slow, so that it can be obvious. It uses no code of the package. oracle.py compares results in ULP.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from answers import cached
from oracle import Exact, columns, split

context = mpmath.MPContext()
context.prec = 320


@dataclass
class Position:
    """The loss of one position, its gradient, and for each entry of the gradient the size of the terms in its sum."""

    loss: Any
    gradient: list[Any]
    terms: list[Any]


def number(x: Any) -> Any:
    return context.mpf(float(x))


def sums_of_the_others(terms: list[Any]) -> list[Any]:
    """For each term, the sum of all other terms: the sums before it and after it, since total - term cancels."""
    before = [number(0), *itertools.accumulate(terms[:-1])]
    after = [*itertools.accumulate(terms[:0:-1])][::-1]
    return [v + w for v, w in zip(before, [*after, number(0)], strict=True)]


@functools.lru_cache(1000)  # the same logits come with many targets and arguments
def probabilities(x: tuple[float, ...]) -> tuple[list[Any], list[Any], list[Any]]:
    """p, 1 - p and log p of finite logits, without cancellation in any of them."""
    maximum = max(number(v) for v in x)
    e = [context.exp(number(v) - maximum) for v in x]
    total = context.fsum(e)
    log_total = context.log(total)
    p = [v / total for v in e]
    others = [v / total for v in sums_of_the_others(e)]
    log_p = [context.log1p(-r) if q > 0.5 else number(v) - maximum - log_total
             for q, r, v in zip(p, others, x, strict=True)]  # fmt: skip
    return p, others, log_p


def soft_target(target: Any, classes: int, smoothing: float) -> list[Any]:
    """The target as a probability of each class, before weights."""
    hard = [number(c == target) for c in range(classes)] if np.ndim(target) == 0 else [number(t) for t in target]
    return [(1 - number(smoothing)) * t + number(smoothing) / classes for t in hard]


def position(x: Any, target: Any, weight: Any = None, ignore_index: Any = None, smoothing: float = 0.0) -> Position:
    """The loss of one position. A class whose target is 0 does not count, even if its log p is infinite."""
    n = len(x)
    w = [number(1)] * n if weight is None else [number(v) for v in weight]
    if np.ndim(target) == 0 and ignore_index is not None and target == ignore_index:
        return Position(number(0), [number(0)] * n, [number(0)] * n)
    p, others, log_p = probabilities(tuple(map(float, x)))
    t = soft_target(target, n, smoothing)
    # The weight of the target multiplies the part that is not smoothed, and each class weight multiplies its smoothed
    # share.
    if np.ndim(target) == 0 and smoothing:
        hard = 1 - number(smoothing)
        factors = [w[c] * number(smoothing) / n + (hard * w[target] if c == target else 0) for c in range(n)]
    else:
        factors = [w[c] * t[c] for c in range(n)]
    total = context.fsum(factors)
    loss = -context.fsum(factors[c] * log_p[c] for c in range(n) if factors[c] != 0)
    # p_c*total - factors[c], written such that it does not cancel for a single target nor for the other classes
    gradient = [q * o - r * f for q, o, r, f in zip(p, sums_of_the_others(factors), others, factors, strict=True)]
    single = np.ndim(target) == 0 and not smoothing
    return Position(loss, gradient, [number(0) if single else max(p[c] * total, factors[c]) for c in range(n)])


def denominator(targets: Any, weight: Any, ignore_index: Any, probable: bool) -> Any:
    """The divisor of a mean."""
    if probable:
        return number(len(targets))
    counted = [t for t in targets if ignore_index is None or t != ignore_index]
    return context.fsum(number(1 if weight is None else weight[t]) for t in counted)


def exact(values: Any, at_least: Any = None) -> Exact:
    """Numbers of mpmath, in any shape, as oracle.ulp_error takes them."""
    values = np.array(values, dtype=object)
    high, low, k = columns([split(v) for v in values.ravel()])
    sizes = np.zeros(values.size) if at_least is None else np.array(at_least, dtype=object).ravel().astype(np.float64)
    return Exact(high, low, k, sizes).reshape(values.shape)


@cached
def losses_and_gradients(x: Any, targets: Any, weight: Any = None, ignore_index: Any = None, smoothing: float = 0.0,
                         reduction: str = "none") -> tuple[Exact, Exact]:  # fmt: skip
    """The reduced loss of rows of logits, with a target for each, and its gradient; if not reduced, that of the sum."""
    found = [position(row, t, weight, ignore_index, smoothing) for row, t in zip(x, targets, strict=True)]
    by = denominator(targets, weight, ignore_index, np.ndim(targets) == 2) if reduction == "mean" else number(1)
    gradient = exact([[v / by for v in f.gradient] for f in found], [[v / by for v in f.terms] for f in found])
    if reduction == "none":
        return exact([f.loss for f in found]), gradient
    return exact(context.fsum(f.loss for f in found) / by), gradient
