"""Time calls of the C interface from C, and the loops over the C library's exp and log that programs write by hand.

    python -m bench.c_interface     nanoseconds a call; one thread, needs g++ (or $CXX)

Contenders take turns, after a pause of 100 ms each, and the best time counts. The textbook's loops are compiled with
the flags of yardsticks.py, and once more with -ffast-math, which calls exponentials of vectors with errors of up to 4
ULP. Like smoothmax's functions, they are called by their addresses. "flushing" is a call of smoothmax from a thread
that flushes subnormal numbers.
"""

import ctypes
import tempfile
import time

import numpy as np

import smoothmax
from bench.turns import PAUSE
from bench.yardsticks import compile_loops, processor
from smoothmax._c.functions import addresses
from smoothmax._kernels import dispatch

ROUNDS = 15
SECONDS = 0.004  # that one timing takes, roughly
CASES = [("row", "logsumexp", n) for n in (1, 3, 5, 8, 10, 12, 16, 100, 1000)]
CASES += [("softmax", "softmax", n) for n in (3, 10, 100, 1000)] + [("pair", "logaddexp", 1000)]


def main() -> None:
    print(f"{processor()}, {dispatch.variant}, one thread; nanoseconds a call, the best of {ROUNDS} turns")
    with tempfile.TemporaryDirectory() as folder:
        loops = ctypes.CDLL(compile_loops("c_calls.cpp", dispatch.variant, folder))
        fast = ctypes.CDLL(compile_loops("c_calls.cpp", dispatch.variant, folder, "-ffast-math"))
        for kind, name, n in CASES:
            x = np.random.default_rng(0).normal(size=n)
            functions = {
                "smoothmax": addresses()[f"smoothmax_{name}_f64"],
                "textbook": ctypes.cast(getattr(loops, f"textbook_{kind}"), ctypes.c_void_p).value,
                "fast": ctypes.cast(getattr(fast, f"textbook_{kind}"), ctypes.c_void_p).value,
            }
            functions["flushing"] = functions["smoothmax"]
            seconds = turns(loops, f"call_{kind}", functions, x)
            ours, theirs = seconds["smoothmax"] * 1e9, seconds["textbook"] * 1e9
            label = f"{name} of {n}" if kind != "pair" else f"{name} of two"
            print(f"{label:18} {ours:7.0f}   textbook {theirs:7.0f}   {theirs / ours:4.1f}x", end="")
            print(f"   fast-math {seconds['fast'] * 1e9:5.0f}   flushing {seconds['flushing'] * 1e9:5.0f}", end="")
            print("   from Python ", end="")
            print(f"{of_python(getattr(smoothmax, name), x if kind != 'pair' else x[:2]) * 1e9:5.0f}")


def turns(loops: ctypes.CDLL, name: str, functions: dict[str, int | None], x: np.ndarray) -> dict[str, float]:
    """The best time of one call of each function, in the loop of that name."""
    loop = getattr(loops, name)
    loop.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]
    times: dict[str, list[float]] = {name: [] for name in functions}
    repeats = max(10, int(SECONDS / (1e-7 + 5e-9 * len(x))))
    for _ in range(ROUNDS):
        for name, address in functions.items():
            time.sleep(PAUSE)
            loops.flush(name == "flushing")
            loop(address, x.ctypes.data, len(x), repeats // 10)
            start = time.perf_counter()
            loop(address, x.ctypes.data, len(x), repeats)
            times[name].append((time.perf_counter() - start) / repeats)
        loops.flush(False)
    return {name: min(each) for name, each in times.items()}


def of_python(function: object, x: np.ndarray) -> float:
    """The best time of the same call from Python."""
    assert callable(function)
    arguments = tuple(x) if isinstance(function, np.ufunc) else (x,)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(1000):
            function(*arguments)
        times.append((time.perf_counter() - start) / 1000)
    return min(times)


if __name__ == "__main__":
    main()
