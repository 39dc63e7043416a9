"""The comparison that `python -m smoothmax` prints: times and errors of smoothmax, NumPy's formulas and SciPy.

Errors are measured against results in a wider type, computed by NumPy without smoothmax.
"""

import importlib
import timeit
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import smoothmax

__all__ = ["compare"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
Case = tuple[tuple[int, ...], int]
Record = dict[str, Any]  # one line of the table: for each contender the seconds of a call and the error in ULP

CASES: Sequence[Case] = (
    ((10,), 0),
    ((1000,), 0),
    ((1000000,), 0),
    ((10000, 10), 1),
    ((1000, 1000), 1),
    ((16, 3, 224, 224), 1),
)
TYPES = ("float64", "float32")
SPREAD = 5  # standard deviation of the input, about that of a classifier's logits
SECONDS = 0.15  # of measuring for a line of the table, for all contenders together
ROUNDS = 3  # of measuring, even if they take longer than SECONDS
SAMPLE = 200_000  # elements whose results are compared; one whole reduction if that has more

# The reference has 64 bits if long double has. Otherwise it has 53, which is enough for float32 only.
WIDE: type[np.floating[Any]] = np.longdouble if np.finfo(np.longdouble).nmant >= 63 else np.float64

# Contenders ----------------------------------------------------------------------------------------------------------


def textbook_logsumexp(x: Array, axis: int) -> Any:
    m = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(m, axis=axis) + np.log(np.sum(np.exp(x - m), axis=axis))


def textbook_softmax(x: Array, axis: int) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def textbook_log_softmax(x: Array, axis: int) -> Any:
    d = x - np.max(x, axis=axis, keepdims=True)
    return d - np.log(np.sum(np.exp(d), axis=axis, keepdims=True))


OURS: dict[str, Function] = {
    "logsumexp": smoothmax.logsumexp,
    "softmax": smoothmax.softmax,
    "log_softmax": smoothmax.log_softmax,
}
TEXTBOOK: dict[str, Function] = {
    "logsumexp": textbook_logsumexp,
    "softmax": textbook_softmax,
    "log_softmax": textbook_log_softmax,
}


def import_scipy() -> tuple[str, dict[str, Function]]:
    """SciPy's version and its functions; both are empty if it is not installed."""
    try:
        special = importlib.import_module("scipy.special")
        return importlib.import_module("scipy").__version__, {name: getattr(special, name) for name in OURS}
    except ImportError:
        return "", {}


# Errors --------------------------------------------------------------------------------------------------------------


def reference(x: Array, axis: int) -> dict[str, tuple[Array, Array]]:
    """For each function the result in WIDE, and the numbers in whose ULP its error is measured.

    The sum leaves the maximum out, because log1p of the others keeps the digits of results near 0. Rounding x - maximum
    gives the reference an error of about abs(x - maximum)/2 units of WIDE, hundredths of a unit of x.
    """
    largest = np.expand_dims(np.argmax(x, axis=axis), axis)
    wide = x.astype(WIDE)
    maximum = np.take_along_axis(wide, largest, axis)
    differences = wide - maximum
    exps = np.exp(differences)
    np.put_along_axis(exps, largest, 0, axis)
    others = np.sum(exps, axis=axis, keepdims=True)
    np.put_along_axis(exps, largest, 1, axis)
    logarithm = np.log1p(others)
    total = np.squeeze(maximum + logarithm, axis=axis)
    # If the maximum and the logarithm cancel, a result in x's type cannot be better than the rounding of these two.
    scale = np.squeeze(np.maximum(np.abs(maximum), logarithm), axis=axis)
    probabilities, logarithms = exps / (1 + others), differences - logarithm
    return {
        "logsumexp": (total, np.maximum(np.abs(total), scale)),
        "softmax": (probabilities, probabilities),
        "log_softmax": (logarithms, logarithms),
    }


def largest_error(result: Any, exact: Array, scale: Array) -> float:
    """The largest error, in units in the last place that `scale` has in the type of `result`."""
    result = np.asarray(result)[: len(exact)] if exact.ndim else np.asarray(result)
    unit = np.spacing(np.abs(scale).astype(result.dtype))
    return float(np.max(np.abs(result.astype(WIDE) - exact) / unit))


# Times ---------------------------------------------------------------------------------------------------------------


def best_times(functions: Sequence[Function], x: Array, axis: int) -> list[float]:
    """Seconds of a call of each function. They take turns, so that other load on the machine affects all alike."""
    timers = [timeit.Timer("f(x, axis=axis)", globals={"f": f, "x": x, "axis": axis}) for f in functions]
    turn_seconds = SECONDS / (8 * len(timers))
    calls = [max(1, int(turn_seconds / max(timer.timeit(1), timer.timeit(1)))) for timer in timers]
    best = [float("inf")] * len(timers)
    start, rounds = timeit.default_timer(), 0
    while rounds < ROUNDS or timeit.default_timer() - start < SECONDS:
        for i, (timer, number) in enumerate(zip(timers, calls, strict=True)):
            best[i] = min(best[i], timer.timeit(number) / number)
        rounds += 1
    return best


# Table ---------------------------------------------------------------------------------------------------------------

LINE = "{:<11} {:<7} {:<17} {:>4} {:>9} {:>10} {:>10} {:>9} {:>7}"


def duration(seconds: float) -> str:
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 999.5:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s"


def times_faster(slower: float, faster: float) -> str:
    ratio = slower / faster
    return f"{ratio:.0f} x" if ratio >= 99.5 else f"{ratio:.1f} x" if ratio >= 9.95 else f"{ratio:.2f} x"


def ulps(error: float | None) -> str:
    return "-" if error is None else f"{error:.2f}" if error < 99.5 else f"{error:.2g}"


def measured(shape: tuple[int, ...], axis: int, dtype: str, scipy: dict[str, Function]) -> Iterator[Record]:
    """Measure each function on random numbers of this shape, and yield its record."""
    x = np.random.default_rng(0).normal(scale=SPREAD, size=shape).astype(dtype)
    sample = x if axis == 0 else x[: max(1, SAMPLE * len(x) // x.size)]
    exact = reference(sample, axis) if np.finfo(WIDE).nmant > np.finfo(x.dtype).nmant else None
    for name, function in OURS.items():
        rivals = {"numpy": TEXTBOOK[name], **({"scipy": scipy[name]} if scipy else {})}
        pair = {"smoothmax": function, "numpy": TEXTBOOK[name]}
        errors = {who: largest_error(f(x, axis=axis), *exact[name]) if exact else None for who, f in pair.items()}
        seconds = best_times([function, *rivals.values()], x, axis)
        yield {
            "function": name,
            "dtype": dtype,
            "shape": list(shape),
            "axis": axis,
            "seconds": dict(zip(("smoothmax", *rivals), seconds, strict=True)),
            "ulp": errors,
        }


def print_line(record: Record) -> None:
    seconds, errors = record["seconds"], record["ulp"]
    faster = [times_faster(seconds[who], seconds["smoothmax"]) if who in seconds else "-" for who in ("numpy", "scipy")]
    cells = [record["function"], record["dtype"], str(tuple(record["shape"])), str(record["axis"])]
    cells += [duration(seconds["smoothmax"]), *faster, *map(ulps, (errors["smoothmax"], errors["numpy"]))]
    print(LINE.format(*cells), flush=True)


def compare(cases: Sequence[Case] | None = None, types: Sequence[str] = TYPES, quiet: bool = False) -> list[Record]:
    """Measure each function, type and shape; print each line when it is measured, unless `quiet`."""
    version, scipy = import_scipy()
    if not quiet:
        print_explanation(version)
        print(LINE.format("", "", "", "", "smoothmax", "faster", "faster", "smoothmax", "NumPy"))
        print(LINE.format("function", "type", "shape", "axis", "time", "than NumPy", "than SciPy", "error", "error"))
    records = []
    for dtype in types:
        for shape, axis in CASES if cases is None else cases:
            for record in measured(shape, axis, dtype, scipy):
                records.append(record)
                if not quiet:
                    print_line(record)
    return records


def print_explanation(scipy_version: str) -> None:
    print()
    print("Times: of one call, the best of several rounds in which the contenders take turns.")
    print(f"Input: normal random numbers of standard deviation {SPREAD}.")
    print("NumPy: the stable textbook formulas, exp(x - max)/sum(exp(x - max)) and so on.")
    print(f"SciPy: {scipy_version or 'not installed'}.")
    print("Errors: the largest, in units in the last place (ULP) of the result; for logsumexp, of its larger part")
    print(f"where the two cancel. Measured against {WIDE.__name__} of {np.finfo(WIDE).nmant + 1} bits.")
    if WIDE is np.float64:
        print("NumPy has nothing wider than float64 here, so errors of float64 are not measured.")
    print()
