"""softmax and log_softmax over few channels, compared with PyTorch: `python -m bench.channels`, on one thread.

Segmentations and random fields have 3 to 20 channels. If smoothmax uses its kernels for x86-64-v3, PyTorch uses its own
for AVX2. Contenders take turns, with a pause before each; the best call counts.
"""

import argparse
import itertools
import os
import time

import numpy as np

from bench.contenders import Call, keep_freed_memory, prepare, use_cores
from bench.turns import best_in_turns

CHANNELS, COLUMNS, SLABS = (3, 7, 12, 20), (50, 100, 200), 100
TURN_SECONDS, ROUNDS = 0.015, 4


def best_call(call: Call) -> float:
    """The seconds of the fastest call of a turn."""
    best, end = float("inf"), time.perf_counter() + TURN_SECONDS
    while (start := time.perf_counter()) < end:
        call()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description="Time softmax over few channels beside PyTorch.")
    parser.add_argument("--threads", type=int, default=1)
    use_cores(parser.parse_args().threads)
    if os.environ.get("SMOOTHMAX_KERNEL") == "x86-64-v3":
        os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
    keep_freed_memory()
    print("us of smoothmax, and how many times as long PyTorch takes")
    for dtype, channels, columns in itertools.product(("float32", "float64"), CHANNELS, COLUMNS):
        x = np.random.default_rng(0).normal(scale=3, size=(SLABS, channels, columns)).astype(dtype)
        line = f"{dtype} {x.shape!s:15s}"
        for function in ("log_softmax", "softmax"):
            calls = {name: prepare(name, function, x, 1) for name in ("smoothmax", "PyTorch")}
            own, other = best_in_turns(calls, ROUNDS, best_call).values()
            line += f" {function} {own * 1e6:6.1f} {other / own:5.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
