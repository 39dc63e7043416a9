"""Time `scale` and `add` against the array that programs make today: `python -m bench.adjusted`.

The programs are a half step of Sinkhorn's iteration in the log domain as in POT, the equations of MBAR as in pymbar,
and softmax with a temperature. Each is timed in three ways: as written, with smoothmax's function of an array that
NumPy makes; with `scale` and `add`; and plain, without either. The three take turns, with a pause before each, and the
best of several rounds counts.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import smoothmax
from bench.turns import PAUSE
from smoothmax import logsumexp, softmax

ROUNDS = 9
TURN_SECONDS = 0.02
Call = Callable[[], Any]


def programs(dtype: type[np.floating[Any]]) -> dict[str, tuple[Call, Call, Call]]:
    """For each program: plain, with the array, with scale and add."""
    rng = np.random.default_rng(0)
    costs, reg = rng.random((2000, 2000)).astype(dtype), 0.05
    f, g = rng.normal(size=(2000, 1)).astype(dtype), rng.normal(size=2000).astype(dtype)
    kernel = (-costs / reg).astype(dtype)
    energies, n = (8 * rng.random((20, 100_000))).astype(dtype), np.full((20, 1), 5000, dtype)
    free, log_denominator = rng.normal(size=(20, 1)).astype(dtype), rng.normal(size=100_000).astype(dtype)
    few, column = np.ascontiguousarray(energies[:10].T), -log_denominator[:, None]
    scores, t = rng.normal(size=(2000, 2000)).astype(dtype), dtype(0.7)
    return {
        "Sinkhorn, rows": (
            lambda: logsumexp(costs, axis=1),
            lambda: logsumexp(kernel + g, axis=1),
            lambda: logsumexp(costs, axis=1, scale=-1 / reg, add=g),
        ),
        "Sinkhorn, columns": (
            lambda: logsumexp(costs, axis=0),
            lambda: logsumexp(kernel + f, axis=0),
            lambda: logsumexp(costs, axis=0, scale=-1 / reg, add=f),
        ),
        "MBAR, states": (
            lambda: logsumexp(energies, axis=0, b=n),
            lambda: logsumexp(free - energies, axis=0, b=n),
            lambda: logsumexp(energies, axis=0, scale=-1, add=free, b=n),
        ),
        "MBAR, samples": (
            lambda: logsumexp(energies, axis=1),
            lambda: logsumexp(-log_denominator - energies, axis=1),
            lambda: logsumexp(energies, axis=1, scale=-1, add=-log_denominator),
        ),
        "MBAR, few columns": (
            lambda: logsumexp(few, axis=0),
            lambda: logsumexp(column - few, axis=0),
            lambda: logsumexp(few, axis=0, scale=-1, add=column),
        ),
        "temperature": (
            lambda: softmax(scores, axis=1),
            lambda: softmax(scores / t, axis=1),
            lambda: softmax(scores, axis=1, scale=1 / t),
        ),
    }


def seconds(call: Call, calls: int) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def best_of_turns(calls: tuple[Call, ...]) -> list[float]:
    number = [max(1, int(TURN_SECONDS / seconds(call, 1))) for call in calls]
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        best = [min(b, seconds(call, n)) for b, call, n in zip(best, calls, number, strict=True)]
    return best


def main() -> None:
    """Print a line for each program and type, on one thread."""
    with smoothmax.num_threads(1):
        print(f"{'':19s}{'':9s}{'plain':>9s}{'x*scale + add':>16s}{'scale=, add=':>15s}{'as a share of today':>22s}")
        for dtype in (np.float64, np.float32):
            for name, calls in programs(dtype).items():
                plain, array, adjusted = best_of_turns(calls)
                print(
                    f"{name:19s}{dtype.__name__:9s}{plain * 1e3:6.2f} ms{array / plain:14.2f} x"
                    f"{adjusted / plain:13.2f} x{adjusted / array:20.2f} x"
                )


if __name__ == "__main__":
    main()
