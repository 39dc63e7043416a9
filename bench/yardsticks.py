"""Loops in C++ that smoothmax is compared with, compiled here for the instruction set of a variant."""

import ctypes
import functools
import os
import platform
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Machine", "best_seconds", "compile_loops", "processor"]

BENCH = Path(__file__).resolve().parent
FLAGS = ["-O3", "-fno-trapping-math", "-fno-math-errno", "-ffp-contract=fast", "-fPIC"]
VARIANTS = {
    "baseline": ["-DWIDTH=16"],
    "x86-64-v3": ["-march=x86-64-v3", "-DWIDTH=32"],
    "x86-64-v4": ["-march=x86-64-v4", "-DWIDTH=64"],
}
IN_L1 = 4096  # elements
BEYOND_CACHE = 2**26  # elements of float32: 256 MiB
PASSED = 2**24  # bytes that one timing passes over, at least
ROUNDS = 20  # of each timing, which takes a millisecond or more: rarely are all of them disturbed


def compile_loops(source: str, variant: str, folder: str, *flags: str) -> str:
    """Compile bench/`source` into a shared library, with additional flags, and return its path.

    It is linked without -ffast-math: with it, GCC would make the process flush subnormal numbers.
    """
    target = f"{folder}/{Path(source).stem}_{variant}{''.join(flags)}"
    compiler = os.environ.get("CXX", "g++")
    command = [compiler, *FLAGS, *VARIANTS[variant], *flags, "-c", str(BENCH / source), "-o", f"{target}.o"]
    subprocess.run(command, check=True)
    subprocess.run([compiler, "-shared", f"{target}.o", "-o", f"{target}.so", "-lm"], check=True)
    return f"{target}.so"


def processor() -> str:
    """The name of the processor on Linux, and the name of the architecture elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def best_seconds(calls: Sequence[Callable[[], Any]], number: int, rounds: int) -> list[float]:
    """The shortest time of one call of each. They take turns, so that a disturbance affects them alike."""
    best = [float("inf")] * len(calls)
    repeat = range(number)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            for _ in repeat:
                call()
            best[i] = min(best[i], (time.perf_counter() - start) / number)
    return best


def seconds_of_threads(calls: Sequence[Callable[[], Any]]) -> float:
    """Make each call in its own thread, without the GIL. Return the seconds from the first start to the last end."""
    times = []
    barrier = threading.Barrier(len(calls))

    def work(call: Callable[[], Any]) -> None:
        barrier.wait()
        start = time.perf_counter()
        call()
        times.append((start, time.perf_counter()))

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(end for _, end in times) - min(start for start, _ in times)


class Machine:
    """How fast this machine reads, copies and exponentiates: loops compiled for a variant, run on `threads` threads."""

    def __init__(self, variant: str, threads: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.bare = ctypes.CDLL(compile_loops("bare_loop.cpp", variant, folder))
            self.memory = ctypes.CDLL(compile_loops("bandwidth.cpp", variant, folder))
        self.threads = threads

    def exp_sum(self, dtype: str) -> float:
        """Nanoseconds per element of maximum, exponentials and sum of a row in L1."""
        count = 1000
        loop = self.bare[f"bare_{dtype}"]
        loop.restype, loop.argtypes = ctypes.c_double, [ctypes.c_void_p, ctypes.c_long, ctypes.c_long]
        rows = [np.random.default_rng(i).standard_normal(IN_L1).astype(dtype) for i in range(self.threads)]
        calls = [lambda x=x: loop(x.ctypes.data, IN_L1, count) for x in rows]  # type: ignore[misc]
        return min(seconds_of_threads(calls) for _ in range(5 * ROUNDS)) * 1e9 / (count * IN_L1 * self.threads)

    def parts(self, elements: int) -> list[NDArray[np.float32]]:
        """Parts of one array, one for each thread. Its length is a multiple of what one turn of a loop handles."""
        array = np.ones(elements, np.float32)
        size = elements // self.threads // 512 * 512
        return [array[i * size : (i + 1) * size] for i in range(self.threads)]

    def passing(self, loop: Any, parts: list[tuple[NDArray[np.float32], ...]]) -> float:
        """Nanoseconds per byte of the first array of each part. Short arrays are passed over repeatedly."""
        loop.restype, loop.argtypes = ctypes.c_double, [ctypes.c_void_p] * len(parts[0]) + [ctypes.c_long] * 2
        total = sum(part[0].nbytes for part in parts)
        passes = max(1, PASSED // total)
        calls = [functools.partial(loop, *(x.ctypes.data for x in part), part[0].size, passes) for part in parts]
        return min(seconds_of_threads(calls) for _ in range(ROUNDS)) * 1e9 / (passes * total)

    def reading(self, elements: int = BEYOND_CACHE) -> float:
        """Nanoseconds per byte of reading a number of float32."""
        return self.passing(self.memory.read_all, [(x,) for x in self.parts(elements)])

    def copying(self, elements: int = BEYOND_CACHE) -> float:
        """Nanoseconds per byte of copying a number of float32."""
        return self.passing(self.memory.copy_all, list(zip(self.parts(elements), self.parts(elements), strict=True)))
