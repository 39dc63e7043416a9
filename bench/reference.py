"""The right answers for the results of contenders, and distances in ULP. This file times nothing.

The reference is the formula in the next wider type: float32 in float64, float64 in longdouble. The largest element is
not part of the sum, so that nothing cancels. Let u be a unit in the last place of the wider type. The difference x - m
has a relative error of u/2, which exp multiplies by |x - m| (under 40 here). exp adds 1 u, and NumPy's pairwise sum of
n positive terms adds at most 24 + log2(n). Together these are under 100 u. Since u is 2**-11 of a unit of float64
(2**-29 of one of float32), the reference is off by less than 0.05 ULP. mpmath checks this in the first and the last row
of every case, unless a row has more than MPMATH_ELEMENTS elements.
"""

from dataclasses import dataclass
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

__all__ = ["GROSS", "Answers", "error_of", "largest_error", "reference", "some_rows", "top_apart", "wider"]

MPMATH_ELEMENTS = 10_000
SOME_ELEMENTS = 4 * 10**6  # that are exponentiated at most, where some rows of a result are enough
REFERENCE_ULP = 0.05
# An answer with a larger error is wrong. The error is relative for softmax and logarithms above 1, and else absolute.
GROSS = 1e-2

Reference = dict[str, NDArray[Any]]


def wider(array: NDArray[Any]) -> NDArray[Any]:
    """The array in the type of its reference: float64 needs a longdouble with 11 bits more."""
    if array.dtype == np.float64 and np.finfo(np.longdouble).nmant < 63:
        raise RuntimeError("float64 needs a wider type to be checked, and longdouble is none on this platform")
    return array.astype(np.longdouble if array.dtype == np.float64 else np.float64)


def top_apart(wide: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The largest elements, where they are, and the exponentials relative to them, with 0 in their own places."""
    position = np.expand_dims(np.argmax(wide, axis), axis)
    largest: NDArray[Any] = np.take_along_axis(wide, position, axis)
    exponential = np.exp(wide - largest)
    np.put_along_axis(exponential, position, 0, axis)
    return largest, position, exponential


def reference(array: NDArray[np.floating], axis: int) -> Reference:
    """The three functions of the array in the wider type, and as "scale" the number whose ULP counts for logsumexp."""
    wide = wider(array)
    largest, position, exponential = top_apart(wide, axis)
    difference = wide - largest
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


# The family ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """The right answers in the wider type, and the numbers in whose ULP an error is counted.

    Where all would take too long, they are those of some `rows` of the result, along its first axis.
    """

    values: NDArray[Any]
    scale: NDArray[Any]
    rows: NDArray[np.intp] | None = None
    relative: bool = False  # probabilities, and not logarithms: what is grossly wrong is so relative to them


def some_rows(count: int, elements: int) -> NDArray[np.intp]:
    """As many rows of `count`, far apart, as have SOME_ELEMENTS at most, and the first."""
    wanted = min(count, max(1, SOME_ELEMENTS // elements))
    return np.unique(np.linspace(0, count - 1, wanted).astype(np.intp))


DIGITS = {"float64": 53, "float32": 24, "bfloat16": 8}


def error_of(result: Any, answers: Answers, dtype: str) -> float:
    """The largest error in ULP. The result of a contender that did only the first rows is compared where it can be.

    Raises
    ------
    AssertionError
        The result has another type or shape than it should, or an element is grossly wrong. Of bfloat16, which has two
        to three digits, an error of 16 units in the last place of 1 is not.
    """
    if isinstance(result, (tuple, list)):  # the largest elements, and where they are
        result = result[0]
    name = str(result.dtype).removeprefix("torch.")
    assert name == dtype, f"{name} instead of {dtype}"
    got = np.asarray(result.float() if str(result.dtype) == "torch.bfloat16" else result)
    got = got if got.dtype.kind == "f" else got.astype(np.float32)
    exact, scale = answers.values, answers.scale
    if answers.rows is not None:
        got = got.reshape(-1, *exact.shape[1:])
        rows = answers.rows[answers.rows < len(got)]
        got, exact, scale = got[rows], exact[: len(rows)], scale[: len(rows)]
    assert got.shape == exact.shape, f"shape {got.shape} instead of {exact.shape}"
    error = np.abs(got - exact)
    allowed = max(GROSS, 2.0 ** (5 - DIGITS[dtype]))
    wrong = ~(error <= allowed * (exact if answers.relative else np.maximum(np.abs(exact), 1)))
    assert not wrong.any(), f"{got[wrong][0]} instead of {exact[wrong][0]}"
    unit = np.ldexp(np.ones_like(exact), np.frexp(scale)[1] - DIGITS[dtype])
    return float(np.max(error / unit))
