"""The exact results of logmatmulexp by mpmath, and the error that a result may have."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
from bounds import EXACT_LOGMATMULEXP, LOGMATMULEXP, LOGMATMULEXP_ROUNDINGS
from oracle import DIGITS, LEAST

context = mpmath.MPContext()
context.prec = 200


def exact_element(terms: list[Any], counts: Any = None) -> tuple[Any, Any]:
    """log(sum(counts*exp(terms))) of exact terms, and the larger of their maximum and the logarithm."""
    largest = max(terms)
    if largest == -context.inf:
        return largest, context.mpf(0)
    place = terms.index(largest)  # left out of the others once: beside 1, small ones would be lost
    others = context.fsum(
        ((1 if counts is None else int(counts[i])) - (i == place)) * context.exp(term - largest)
        for i, term in enumerate(terms)
        if term != -context.inf
    )
    log_sum = context.log1p(others)
    return largest + log_sum, max(abs(largest), abs(log_sum))


def exact_product(a: Any, b: Any) -> list[list[tuple[Any, Any]]]:
    """Each element of log(exp(a) @ exp(b)) with its unit, of matrices of finite numbers and -inf."""
    left = [[context.mpf(float(x)) for x in row] for row in a]
    right = [[context.mpf(float(x)) for x in column] for column in b.T]
    return [[exact_element([x + y for x, y in zip(row, column, strict=True)]) for column in right] for row in left]


def ulp_of(size: Any, dtype: Any) -> Any:
    dtype = np.dtype(dtype)
    exponent = context.frexp(size)[1] if size else LEAST[dtype]
    return context.ldexp(1, max(int(exponent) - DIGITS[dtype], LEAST[dtype]))


def excess(got: Any, found: tuple[Any, Any], k: int, dtype: Any, exact: bool) -> float:
    """The error of an element divided by the promised one; at most 1."""
    value, unit = found
    if value == -context.inf or not np.isfinite(got):
        return 0.0 if value == got else np.inf
    error = abs(context.mpf(float(got)) - value)
    if exact:
        return float(error / (EXACT_LOGMATMULEXP * ulp_of(max(abs(value), unit), dtype)))
    u = context.ldexp(1, -DIGITS[np.dtype(dtype)])
    return float(error / ((k + LOGMATMULEXP_ROUNDINGS) * u + LOGMATMULEXP * ulp_of(abs(value), dtype)))


def worst(got: Any, a: Any, b: Any, exact: bool, found: Any = None) -> float:
    """The largest of these quotients in a result."""
    found = exact_product(a, b) if found is None else found
    return max(
        excess(got[i, j], found[i][j], a.shape[1], got.dtype, exact) for i in range(len(a)) for j in range(b.shape[1])
    )
