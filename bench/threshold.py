"""From which length on a row of softmax is better read twice: what LONG_ROW of _kernels/kernels.pxi rests on.

    python -m bench.threshold             build smoothmax twice in a temporary folder, minutes, and compare
    python -m bench.threshold --write     and put the table into bench/README.md

A row of up to LONG_ROW bytes is done at once, by one thread: its exponentials are stored in the result, and scaled when
their sum is known. A longer one is reduced first, and the exponentials are computed again as they are written; threads
share both. The constant decides when the kernels are compiled, so it is changed in a copy of the source: to 0, and to a
size that no row has.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.cases import DTYPES
from bench.contenders import all_cores, load, use_cores
from bench.pages import PAGE, put, table
from bench.yardsticks import BENCH, best_seconds, processor

ROOT = BENCH.parent
CONSTANT = re.compile(r"\bLONG_ROW = (\d+)")
SIZES = tuple(2**power for power in range(14, 25))  # bytes
VALUES = {"at_once": 2**60, "twice": 0}
TURNS = 5  # of the two builds: a disturbance meets both


def build(value: int, folder: Path) -> None:
    """A copy of the package with another threshold; what does not depend on it is taken as it was built here."""
    shutil.copytree(ROOT / "src", folder / "src")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    source = folder / "src/smoothmax/_kernels/kernels.pxi"
    text, found = CONSTANT.subn(f"LONG_ROW = {value}", source.read_text(encoding="utf-8"))
    if found != 1:
        raise SystemExit(f"LONG_ROW is stated {found} times in kernels.pxi, not once")
    source.write_text(text, encoding="utf-8")
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", f"-j{os.cpu_count()}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def times_of(folder: Path, threads: int) -> dict[str, list[float]]:
    answer = subprocess.run(
        [sys.executable, "-m", "bench.threshold", "--part", str(threads)],
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    times: dict[str, list[float]] = json.loads(answer.stdout)
    return times


def measure() -> dict[str, list[float]]:
    """Nanoseconds an element of rows of all sizes, with whichever build is found first."""
    import numpy as np

    softmax = load("smoothmax").softmax
    times: dict[str, list[float]] = {}
    for dtype in DTYPES:
        times[dtype] = []
        for size in SIZES:
            x = np.random.default_rng(1).standard_normal(size // np.dtype(dtype).itemsize).astype(dtype)
            out = np.empty_like(x)
            (seconds,) = best_seconds([lambda x=x, out=out: softmax(x, out=out)], max(1, 2**20 // size), 20)
            times[dtype].append(seconds * 1e9 / x.size)
    return times


def lines(best: dict[str, dict[str, list[float]]]) -> list[str]:
    head = ["KiB of a row", *(f"{way}, {dtype}" for dtype in DTYPES for way in best)]
    rows = [
        [str(size // 1024), *(f"{times[dtype][i]:.3f}" for dtype in DTYPES for times in best.values())]
        for i, size in enumerate(SIZES)
    ]
    stated = CONSTANT.search((ROOT / "src/smoothmax/_kernels/kernels.pxi").read_text(encoding="utf-8"))
    assert stated
    return [
        f"ns an element of softmax with `out=`, {processor()}; LONG_ROW is {int(stated[1]) // 1024} KiB:",
        "",
        *table(head, rows),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure softmax of rows done at once, and read twice.")
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        use_cores(arguments.part)
        print(json.dumps(measure()))
        return 0
    ways = {"at once": ("at_once", 1), "twice": ("twice", 1), f"twice, {all_cores()} threads": ("twice", all_cores())}
    best: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, value in VALUES.items():
            build(value, Path(folder, name))
        for _ in range(TURNS):
            for way, (name, threads) in ways.items():
                times = times_of(Path(folder, name), threads)
                kept = best.setdefault(way, times)
                best[way] = {dtype: [*map(min, kept[dtype], times[dtype])] for dtype in DTYPES}
    found = lines(best)
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "threshold", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
