"""The figures that smoothmax must reach. Each is measured in the same run as its reference.

    python -m bench.limits            print the table
    python -m bench.limits --strict   and exit with code 1 if a required figure is missed

SciPy is the only rival here; test_speed.py times all rivals. Everything runs on one core. A time is the best of many
rounds in which the two sides take turns. For 10^6 elements of SciPy and smoothmax, processes take turns.
"""

import argparse
import ctypes
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders import load, use_cores
from bench.yardsticks import best_seconds, compile_loops, processor

BENCH = Path(__file__).resolve().parent
FUNCTIONS = ("logsumexp", "softmax", "log_softmax")

# What is required -----------------------------------------------------------------------------------------------------
CALL_OF_10 = 0.7  # of np.add(x, x)
CALL_OF_1000 = 1.5  # of a row's share of a call with 16 such rows, where logsumexp takes 16 logarithms at a time
AXIS_0 = 1.3  # of axis 1, (1000, 1000)
L1_VARIANT = "x86-64-v3"
L1_LOOP = {"float64": 1.3, "float32": 1.25}  # of the bare loop (P18)
SCIPY_FACTOR = {
    ("logsumexp", "float64"): 15.0,
    ("logsumexp", "float32"): 15.0,
    ("softmax", "float64"): 3.0,
    ("softmax", "float32"): 4.0,
    ("log_softmax", "float64"): 3.0,
    ("log_softmax", "float32"): 4.0,
}
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}  # read by glibc
SCRATCH_MIB = 1.0  # beyond the result
IMPORT_MS = 15.0  # beyond import numpy


@dataclass(frozen=True)
class Figure:
    """A line of the table. `passed` is None if no figure is required."""

    what: str
    required: str
    measured: str
    passed: bool | None


# Measuring ------------------------------------------------------------------------------------------------------------


def in_process(part: str, **environment: str) -> Any:
    """The JSON that `python -m bench.limits --part ...` prints in a separate process."""
    answer = subprocess.run(
        [sys.executable, "-m", "bench.limits", "--part", part],
        env={**os.environ, **environment},
        cwd=BENCH.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"--part {part} failed: {answer.stderr.strip().splitlines()[-1]}")
    return json.loads(answer.stdout)


# Small calls ----------------------------------------------------------------------------------------------------------


def small_calls() -> Iterator[Figure]:
    import numpy as np

    smoothmax = load("smoothmax")
    x = np.random.default_rng(1).standard_normal(10)
    calls = [functools.partial(getattr(smoothmax, name), x) for name in FUNCTIONS]
    add, *own = best_seconds([functools.partial(np.add, x, x), *calls], number=500, rounds=1000)
    for name, seconds in zip(FUNCTIONS, own, strict=True):
        yield Figure(
            f"{name}, 10 float64: of np.add(x, x)",
            f"<= {CALL_OF_10:.2f}",
            f"{seconds / add:.2f} ({seconds * 1e9:.0f} ns, np.add {add * 1e9:.0f} ns)",
            seconds <= CALL_OF_10 * add,
        )


def calls_of_1000() -> Iterator[Figure]:
    import numpy as np

    smoothmax = load("smoothmax")
    rows = np.random.default_rng(1).standard_normal((16, 1000))
    for name in FUNCTIONS:
        function = getattr(smoothmax, name)
        pair = [functools.partial(function, x, -1) for x in (rows[0], rows)]
        one, sixteen = best_seconds(pair, number=20, rounds=500)
        kernel = sixteen / len(rows)
        yield Figure(
            f"{name}, 1000 float64: of the kernel's own time",
            f"<= {CALL_OF_1000:.2f}",
            f"{one / kernel:.2f} ({one * 1e6:.2f} us, of each of 16 rows {kernel * 1e6:.2f} us)",
            one <= CALL_OF_1000 * kernel,
        )


# Axes -----------------------------------------------------------------------------------------------------------------


def axes() -> Iterator[Figure]:
    import numpy as np

    smoothmax = load("smoothmax")
    for name, dtype in SCIPY_FACTOR:
        x = np.random.default_rng(1).standard_normal((1000, 1000)).astype(dtype)
        function = getattr(smoothmax, name)
        pair = [functools.partial(function, x, axis, out=np.empty_like(function(x, axis))) for axis in (0, 1)]
        columns, rows = best_seconds(pair, number=1, rounds=200)
        yield Figure(
            f"{name}, (1000, 1000) {dtype}: axis 0 of axis 1",
            f"<= {AXIS_0:.2f}",
            f"{columns / rows:.2f} ({columns * 1e3:.3f} ms, axis 1 {rows * 1e3:.3f} ms)",
            columns <= AXIS_0 * rows,
        )


# 4096 elements in L1 --------------------------------------------------------------------------------------------------


def l1_part() -> dict[str, list[float]]:
    """Nanoseconds per element of logsumexp and of the bare loop, with the variant that the environment names."""
    import numpy as np

    smoothmax = load("smoothmax")
    n, count = 4096, 8
    answer = {}
    bare = ctypes.CDLL(os.environ["SMOOTHMAX_BARE_LOOP"]) if "SMOOTHMAX_BARE_LOOP" in os.environ else None
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        x = np.random.default_rng(1).standard_normal(n).astype(dtype)
        own = functools.partial(smoothmax.logsumexp, x)
        calls: list[Callable[[], Any]] = [lambda own=own: [own() for _ in range(count)]]  # type: ignore[misc]
        if bare:
            loop = bare[f"bare_{dtype}"]
            loop.restype, loop.argtypes = ctypes.c_double, [ctypes.c_void_p, ctypes.c_long, ctypes.c_long]
            calls.append(functools.partial(loop, x.ctypes.data, n, count))
            assert abs(loop(x.ctypes.data, n, 1) - own()) < tolerance, "the bare loop is wrong"
        answer[dtype] = [seconds * 1e9 / n / count for seconds in best_seconds(calls, number=1, rounds=4000)]
    return answer


def variants() -> list[str]:
    """The variants that are built and that this processor can run."""
    dispatch = load("smoothmax._kernels.dispatch")
    return [name for name in dispatch.VARIANTS if dispatch.is_built(name) and not dispatch.missing_features(name)]


def l1_loops() -> Iterator[Figure]:
    for variant in variants():
        with tempfile.TemporaryDirectory() as folder:
            environment = {"SMOOTHMAX_KERNEL": variant}
            try:
                environment["SMOOTHMAX_BARE_LOOP"] = compile_loops("bare_loop.cpp", variant, folder)
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"no yardstick for {variant}, the bare loop could not be compiled: {error}", file=sys.stderr)
            figures = in_process("l1", **environment)
        for dtype, (own, *bare) in figures.items():
            limit = L1_LOOP[dtype] if variant == L1_VARIANT and bare else None
            yield Figure(
                f"logsumexp, 4096 {dtype} in L1, {variant}: of the bare loop",
                f"<= {limit:.2f}" if limit else "-",
                (f"{own / bare[0]:.2f} ({own:.3f} ns, bare {bare[0]:.3f} ns)" if bare else f"{own:.3f} ns")
                + " an element",
                own <= limit * bare[0] if limit else None,
            )


# 10^6 elements --------------------------------------------------------------------------------------------------------


def scipy_part() -> list[float]:
    """Seconds of each library that the environment names, in turns, for the function and type that it names."""
    import numpy as np

    name, dtype = os.environ["SMOOTHMAX_CASE"].split(":")
    x = np.random.default_rng(1).standard_normal(10**6).astype(dtype)
    libraries = os.environ["SMOOTHMAX_LIBRARIES"].split(",")
    calls = [functools.partial(getattr(load(library), name), x) for library in libraries]
    return best_seconds(calls, number=1, rounds=100)


def against_scipy() -> Iterator[Figure]:
    """The times of each library in separate new processes, which take turns, because a program uses only one of them.

    In such a process glibc returns freed memory to the system. Each call of SciPy then gets new pages for its
    temporaries, while the one result of smoothmax keeps its pages. This is the state that favours smoothmax most. In
    one process where the two take turns, that result gets new pages too. Where glibc keeps freed memory, neither does.
    The table shows these two states as well.
    """
    own, other = "smoothmax", "scipy.special"
    for (name, dtype), factor in SCIPY_FACTOR.items():
        case = {"SMOOTHMAX_CASE": f"{name}:{dtype}"}
        best = dict.fromkeys((own, other), float("inf"))
        for library in (own, other) * 3:
            best[library] = min(best[library], *in_process("scipy", **case, SMOOTHMAX_LIBRARIES=library))
        both = {**case, "SMOOTHMAX_LIBRARIES": f"{own},{other}"}
        in_turns, kept = in_process("scipy", **both), in_process("scipy", **both, **KEEP_MEMORY)
        yield Figure(
            f"{name}, 10^6 {dtype}: times faster than SciPy",
            f">= {factor:.0f}",
            f"{best[other] / best[own]:.1f} ({best[own] * 1e3:.3f} ms, SciPy {best[other] * 1e3:.2f} ms; one process "
            f"{in_turns[1] / in_turns[0]:.1f}, {in_turns[0] * 1e3:.3f} ms; memory kept {kept[1] / kept[0]:.1f}, "
            f"{kept[0] * 1e3:.3f} ms)",
            best[other] >= factor * best[own],
        )


# Memory ---------------------------------------------------------------------------------------------------------------

MEMORY_CASES = {"one row": ((2**24,), 0), "axis 1": ((4096, 4096), 1), "axis 0": ((4096, 4096), 0)}


def traced() -> Iterator[Figure]:
    """The peak memory that the allocators of Python and NumPy see."""
    import numpy as np

    smoothmax = load("smoothmax")
    for name in FUNCTIONS:
        worst = 0
        for shape, axis in MEMORY_CASES.values():
            x = np.ones(shape, np.float32)
            tracemalloc.start()
            result = getattr(smoothmax, name)(x, axis)
            worst = max(worst, tracemalloc.get_traced_memory()[1] - result.nbytes)
            tracemalloc.stop()
        yield memory_figure(f"{name}, 2^24 float32: peak beyond the result, tracemalloc", worst)


def peak_resident() -> int:
    """The peak of this process, in bytes. That of getrusage would start from the process that started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def resident_part() -> int:
    """The bytes by which one call raises the peak of the resident memory, beyond its result."""
    import numpy as np

    name, case = os.environ["SMOOTHMAX_CASE"].split(":")
    shape, axis = MEMORY_CASES[case]
    call = getattr(load("smoothmax"), name)
    x = np.ones(shape, np.float32)
    result = call(np.ones((50, 50), np.float32), axis)  # loads and allocates everything that is needed only once
    before = peak_resident()
    result = call(x, axis)
    return int(peak_resident() - before - result.nbytes)


def resident() -> Iterator[Figure]:
    if not Path("/proc/self/status").exists():
        return
    for name in FUNCTIONS:
        worst = max(in_process("resident", SMOOTHMAX_CASE=f"{name}:{case}") for case in MEMORY_CASES)
        yield memory_figure(f"{name}, 2^24 float32: peak beyond the result, resident set", worst)


def memory_figure(what: str, worst: int) -> Figure:
    return Figure(what, f"<= {SCRATCH_MIB:.0f} MiB", f"{worst / 2**20:.2f} MiB", worst <= SCRATCH_MIB * 2**20)


# Import ---------------------------------------------------------------------------------------------------------------


def import_time() -> Iterator[Figure]:
    """The time of importing smoothmax after NumPy, in one process."""
    script = "import time, numpy; t = time.perf_counter(); import smoothmax; print(time.perf_counter() - t)"
    seconds = min(float(subprocess.check_output([sys.executable, "-c", script])) for _ in range(20))
    yield Figure(
        "import beyond import numpy", f"< {IMPORT_MS:.0f} ms", f"{seconds * 1e3:.1f} ms", seconds < IMPORT_MS / 1e3
    )


PARTS: dict[str, Callable[[], Any]] = {"l1": l1_part, "scipy": scipy_part, "resident": resident_part}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the figures that smoothmax must reach.")
    parser.add_argument("--strict", action="store_true", help="exit with code 1 if one is missed")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    use_cores(1)
    if arguments.part:
        print(json.dumps(PARTS[arguments.part]()))
        return 0
    print(f"{processor()}, Python {platform.python_version()}, one core")
    missed = 0
    for part in (small_calls, calls_of_1000, l1_loops, against_scipy, axes, traced, resident, import_time):
        for figure in part():
            verdict = {True: "pass", False: "FAIL", None: ""}[figure.passed]
            print(f"{verdict:5}{figure.what:62}{figure.required:>9}   {figure.measured}", flush=True)
            missed += figure.passed is False
    print(f"{missed} missed")
    return 1 if missed and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
