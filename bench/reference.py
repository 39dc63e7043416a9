"""The right answers that contenders are held against, and the distance from them in ULP. Times nothing.

The reference is the formula in the next wider type: float32 in float64, float64 in longdouble, with the largest element
kept apart from the sum so that nothing cancels. Its error, relative to the wider type's unit u: the difference x - m is
off by u/2 of itself, which exp multiplies by |x - m| (under 40 here), exp adds 1, and NumPy's pairwise sum of n
positive terms at most 24 + log2(n): under 100 u in all, and u is 2**-11 of a float64's unit (2**-29 of a float32's), so
the reference is off by less than 0.05 ULP. Wherever mpmath is quick enough this is not believed but checked: the first
and the last row of every case, up to MPMATH_ELEMENTS elements a row.
"""

from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

__all__ = ["GROSS", "largest_error", "reference"]

MPMATH_ELEMENTS = 10_000
REFERENCE_ULP = 0.05
# Beyond this an answer is wrong, not inaccurate: relative for softmax and for logarithms over 1, absolute below.
GROSS = 1e-2

Reference = dict[str, NDArray[Any]]


def reference(array: NDArray[np.floating], axis: int) -> Reference:
    """All three functions of the array in the wider type, and under "scale" the size that rounds logsumexp's result."""
    wide: Any = np.float64 if array.dtype == np.float32 else np.longdouble
    if np.finfo(wide).nmant < np.finfo(array.dtype).nmant + 11:
        raise RuntimeError(f"{array.dtype} needs a wider type to be checked, and longdouble is none on this platform")
    position = np.expand_dims(np.argmax(array, axis), axis)
    largest: NDArray[Any] = np.take_along_axis(array, position, axis).astype(wide)
    difference: NDArray[Any] = array.astype(wide) - largest
    exponential = np.exp(difference)
    np.put_along_axis(exponential, position, 0, axis)
    rest = exponential.sum(axis, keepdims=True)
    np.put_along_axis(exponential, position, 1, axis)
    log_sum = np.log1p(rest)
    answers = {
        "logsumexp": np.squeeze(largest + log_sum, axis),
        "softmax": exponential / (1 + rest),
        "log_softmax": difference - log_sum,
    }
    answers["scale"] = np.maximum(np.abs(answers["logsumexp"]), np.squeeze(np.maximum(np.abs(largest), log_sum), axis))
    check_reference(array, axis, answers)
    return answers


def check_reference(array: NDArray[np.floating], axis: int, answers: Reference) -> None:
    """Hold the first and the last row against mpmath; raise if they are further off than the reference may be."""
    n = array.shape[axis]
    if n > MPMATH_ELEMENTS:
        return
    rows = np.moveaxis(array, axis, -1).reshape(-1, n)
    logarithms, scales = answers["logsumexp"].reshape(-1), answers["scale"].reshape(-1)
    elementwise = {name: np.moveaxis(answers[name], axis, -1).reshape(-1, n) for name in ("softmax", "log_softmax")}
    for i in {0, len(rows) - 1}:
        with mpmath.workprec(200):
            numbers = [mpmath.mpf(float(x)) for x in rows[i]]
            total = mpmath.log(mpmath.fsum(mpmath.exp(x) for x in numbers))
            distance = [ulps_from(logarithms[i], total, scales[i], array.dtype)]
            for x, p, log_p in zip(numbers, elementwise["softmax"][i], elementwise["log_softmax"][i], strict=True):
                distance.append(ulps_from(p, mpmath.exp(x - total), p, array.dtype))
                distance.append(ulps_from(log_p, x - total, log_p, array.dtype))
        if max(distance) > REFERENCE_ULP:
            raise RuntimeError(f"the reference of row {i} is {max(distance):.3} ULP from mpmath")


def ulps_from(value: Any, exact: mpmath.mpf, scale: Any, dtype: np.dtype[Any]) -> float:
    """Distance of a wide number from an exact one, in units in the last place that `scale` has in dtype."""
    head = float(value)
    tail = float(value - type(value)(head))  # a longdouble in two parts, since mpmath takes no longdouble
    return float(abs(mpmath.mpf(head) + mpmath.mpf(tail) - exact) / float(np.spacing(np.abs(scale).astype(dtype))))


def largest_error(result: NDArray[np.floating], answers: Reference, function: str) -> float:
    """Largest error in ULP of the correctly rounded result; for logsumexp, of the largest of it, m and log(sum).

    Raises
    ------
    AssertionError
        The result has another shape or type than it should, or an element is grossly wrong.
    """
    exact = answers[function]
    scale = answers["scale"] if function == "logsumexp" else exact
    assert result.shape == exact.shape, f"{function}: shape {result.shape} instead of {exact.shape}"
    error = np.abs(result - exact)
    size = np.abs(exact) if function == "softmax" else np.maximum(np.abs(exact), 1)
    wrong = ~(error <= GROSS * size + np.finfo(result.dtype).tiny)
    assert not wrong.any(), f"{function}: {result[wrong][0]} instead of {exact[wrong][0]}"
    return float(np.max(error / np.spacing(np.abs(scale).astype(result.dtype))))
