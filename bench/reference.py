"""The right answers for the results of contenders, and distances in ULP. This file times nothing.

The reference is the formula in the next wider type: float32 in float64, float64 in longdouble. The largest element is
not part of the sum, so that nothing cancels. Let u be a unit in the last place of the wider type. The difference x - m
has a relative error of u/2, which exp multiplies by |x - m| (under 40 here). exp adds 1 u, and NumPy's pairwise sum of
n positive terms adds at most 24 + log2(n). Together these are under 100 u. Since u is 2**-11 of a unit of float64
(2**-29 of one of float32), the reference is off by less than 0.05 ULP. mpmath checks this in the first and the last row
of every case, unless a row has more than MPMATH_ELEMENTS elements.
"""

from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

__all__ = ["GROSS", "largest_error", "reference"]

MPMATH_ELEMENTS = 10_000
REFERENCE_ULP = 0.05
# An answer with a larger error is wrong. The error is relative for softmax and logarithms above 1, and else absolute.
GROSS = 1e-2

Reference = dict[str, NDArray[Any]]


def reference(array: NDArray[np.floating], axis: int) -> Reference:
    """The three functions of the array in the wider type, and as "scale" the number whose ULP counts for logsumexp."""
    wide: Any = np.float64 if array.dtype == np.float32 else np.longdouble
    if np.finfo(wide).nmant < np.finfo(array.dtype).nmant + 11:
        raise RuntimeError(f"{array.dtype} needs a wider type to be checked, and longdouble is none on this platform")
    position = np.expand_dims(np.argmax(array, axis), axis)
    largest: NDArray[Any] = np.take_along_axis(array, position, axis).astype(wide)
    difference: NDArray[Any] = array.astype(wide) - largest
    exponential = np.exp(difference)
    np.put_along_axis(exponential, position, 0, axis)
    others = exponential.sum(axis, keepdims=True)
    np.put_along_axis(exponential, position, 1, axis)
    log_sum = np.log1p(others)
    answers = {
        "logsumexp": np.squeeze(largest + log_sum, axis),
        "softmax": exponential / (1 + others),
        "log_softmax": difference - log_sum,
    }
    answers["scale"] = np.maximum(np.abs(answers["logsumexp"]), np.squeeze(np.maximum(np.abs(largest), log_sum), axis))
    check_reference(array, axis, answers)
    return answers


def check_reference(array: NDArray[np.floating], axis: int, answers: Reference) -> None:
    """Compare the first and the last row with mpmath, and raise an error if they differ by more than REFERENCE_ULP."""
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
    """The distance of a wide number from an exact one, in units in the last place of `scale` in dtype."""
    head = float(value)
    tail = float(value - type(value)(head))  # two parts, since mpmath does not take a longdouble
    return float(abs(mpmath.mpf(head) + mpmath.mpf(tail) - exact) / float(np.spacing(np.abs(scale).astype(dtype))))


def largest_error(result: NDArray[np.floating], answers: Reference, function: str) -> float:
    """The largest error, in ULP of the correctly rounded result, or for logsumexp of the largest of it, m and log(sum).

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
