"""The grid in float16 and bfloat16, compared with float32 and PyTorch: `python -m bench.halves`.

    python -m bench.halves                      print the table; needs ml_dtypes and torch
    python -m bench.halves --threads 1 -k 1000  on one thread, only cases with that in their name
    python -m bench.halves --write              and put it into docs/benchmarks.md

Contenders take turns, with a pause before each, because threads of some libraries spin for a while after a call. The
whole grid is swept several times, and the best time of all sweeps counts, so a disturbance of some seconds does not
change a figure. Every result is compared with float64 before it is timed.
"""

import argparse
import functools
import itertools
import os
import statistics
import time
from typing import Any

import numpy as np

from bench.cases import CASES, FUNCTIONS, Case
from bench.contenders import Call, all_cores, keep_freed_memory, load, smoothmax_call, use_cores
from bench.pages import PAGE, duration, put, table, times
from bench.turns import PAUSE
from bench.yardsticks import processor

SWEEPS = 3
TURNS = 2  # of each call in a sweep
TURN_SECONDS = 0.01
HALVES = {"float16": 11, "bfloat16": 8}  # names, and the bits of their significands
LARGEST_ERROR = 0.52  # ULP: rounded once from float32


def torch_call(function: str, array: Any, axis: int) -> Call:
    """PyTorch's function of the same memory. PyTorch does not accept NumPy's bfloat16."""
    torch = load("torch")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    tensor = torch.from_numpy(array.view(np.int16)).view(getattr(torch, array.dtype.name))
    return functools.partial(getattr(torch, function), tensor, axis)


def check(result: Any, array: Any, function: str, axis: int) -> None:
    """Raise an AssertionError if a result is not the nearest half, apart from the rounding of float32.

    The error of logsumexp is counted in ULP of the maximum, because maximum and logarithm may cancel.
    """
    digits, least = HALVES[array.dtype.name], {"float16": -24, "bfloat16": -133}[array.dtype.name]
    exact = smoothmax_call(function, array.astype(np.float64), axis)()
    unit = np.ldexp(1.0, np.maximum(np.frexp(exact)[1] - digits, least))
    slack = 2 * np.spacing(np.abs(array.astype(np.float32)).max(axis)) if function == "logsumexp" else 0
    assert result.dtype == array.dtype
    error = np.abs(result.astype(np.float64) - exact)
    assert np.all(error <= LARGEST_ERROR * unit + slack), f"{function} of {array.dtype}"


def seconds(call: Call, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def seconds_of_each(case: Case, function: str) -> list[float]:
    """The seconds of smoothmax's call for float32 and each half, and of PyTorch's for each half."""
    arrays = {dtype: case.make(dtype) for dtype in ("float32", *HALVES)}
    calls = [smoothmax_call(function, array, case.axis) for array in arrays.values()]
    for dtype, call in zip(HALVES, calls[1:], strict=True):
        check(call(), arrays[dtype], function, case.axis)
    calls += [torch_call(function, arrays[dtype], case.axis) for dtype in HALVES]
    number = [max(1, int(TURN_SECONDS / seconds(call, 1))) for call in calls]
    found = [float("inf")] * len(calls)
    for _ in range(TURNS):
        for i, call in enumerate(calls):
            time.sleep(PAUSE)
            found[i] = min(found[i], seconds(call, number[i]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Time float16 and bfloat16 beside float32 and PyTorch.")
    parser.add_argument("--threads", type=int, default=all_cores())
    parser.add_argument("-k", default="", help="only cases with this in their name")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    use_cores(arguments.threads)
    keep_freed_memory()
    load("ml_dtypes")  # NumPy knows the name bfloat16 from then on
    best: dict[tuple[str, str], list[float]] = {}
    for sweep in range(SWEEPS):
        for case, function in itertools.product(CASES, FUNCTIONS):
            if arguments.k in case.name:
                key, found = (case.name, function), seconds_of_each(case, function)
                best[key] = list(map(min, best.get(key, found), found))
        print(f"sweep {sweep + 1} of {SWEEPS}", flush=True)
    rows: dict[str, list[str]] = {}
    shares, factors = [], []
    for (name, _), (single, *halves) in best.items():
        for own, other in zip(halves[: len(HALVES)], halves[len(HALVES) :], strict=True):
            shares.append(own / single)
            factors.append(other / own)
            text = f"{duration(own)}, {shares[-1]:.2f}, {times(factors[-1])}"
            rows.setdefault(name, [name]).append(text)
    torch, kernel = load("torch"), load("smoothmax._kernels.dispatch").variant
    threads = "one thread" if arguments.threads == 1 else f"{arguments.threads} threads"
    lines = [
        f"Median {statistics.median(shares):.2f} of float32's time, at most {max(shares):.2f}; PyTorch takes "
        f"{times(statistics.median(factors))} as long (median), at least {times(min(factors))}.",
        "",
        *table(["", *(f"{function} {dtype}" for function in FUNCTIONS for dtype in HALVES)], list(rows.values())),
        "",
        f"{processor()}, {threads}, kernels {kernel}, PyTorch {torch.__version__}. Written by `python -m bench.halves "
        "--write`.",
    ]
    print(*lines, sep="\n")
    if arguments.write:
        put(PAGE, "halves", lines)


if __name__ == "__main__":
    main()
