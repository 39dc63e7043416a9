"""The exact results of the elementwise functions by mpmath, and the distance of a result from them in ULP.

This file uses no code of the package.
"""

from typing import Any

import mpmath
import numpy as np
from answers import cached

UNARY = ("log1mexp", "log1pexp", "log_expit")
BINARY = ("logaddexp", "logsubexp")
context = mpmath.MPContext()
context.prec = 320


def one_plus(d: Any) -> Any:
    """log(1 + exp(d)) for d <= 0."""
    return context.log1p(context.exp(d))


def one_minus(d: Any) -> Any:
    """log(1 - exp(d)) for d < 0."""
    return context.log(-context.expm1(d)) if d > -0.5 else context.log1p(-context.exp(d))


def terms(name: str, x1: Any, x2: Any) -> tuple[Any, ...]:
    """Numbers whose sum is the result."""
    if name == "logaddexp":
        return max(x1, x2), one_plus(-abs(x1 - x2))
    if name == "logsubexp":
        return x1, one_minus(x2 - x1)
    if name == "log1mexp":
        return (one_minus(x1),)
    if name == "log1pexp":
        return max(x1, 0), one_plus(-abs(x1))
    return min(x1, 0), -one_plus(-abs(x1))


def as_exact(x: Any) -> Any:
    """Any finite float as a number of mpmath; the significand of a longdouble is the sum of up to three doubles."""
    significand, exponent = np.frexp(x)
    total = context.mpf(0)
    for _ in range(3):
        part = float(significand)
        total += part
        significand -= type(x)(part)
    return context.ldexp(total, int(exponent))


def error_of(name: str, got: Any, x1: Any, x2: Any = None) -> float:
    """abs(got - exact) in ULP of the largest of the result and its two terms."""
    parts = terms(name, as_exact(x1), None if x2 is None else as_exact(x2))
    exact = context.fsum(parts)
    info = np.finfo(type(got))
    largest = max(abs(exact), *(abs(part) for part in parts))
    exponent = max(int(context.frexp(largest)[1]) - info.nmant - 1, int(info.minexp) - info.nmant)
    return float(abs(as_exact(got) - exact) / context.mpf(2) ** exponent)


@cached
def errors(name: str, got: Any, x1: Any, x2: Any = None) -> Any:
    """error_of each element."""
    operands = (x1,) if x2 is None else (x1, x2)
    return np.array([error_of(name, *row) for row in zip(got, *operands, strict=True)])
