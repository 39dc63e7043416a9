"""The measurement behind two limits: the longest rows whose softmax is fused, and the longest whose softmax is drafted.

    python -m bench.threshold             build smoothmax three times in a temporary folder, which takes minutes
    python -m bench.threshold --write     and put the table into docs/benchmarks.md

One thread computes a row of up to FUSED_SOFTMAX_ROW_BYTES in a fused kernel. It stores the exponentials in the result,
and scales them once their sum is known. A longer row has pieces, which threads share. The first pass over a piece
leaves a draft in the result: exponentials relative to the maximum so far. The second pass corrects it. If a row has
more than DRAFT_MAX_BYTES, both passes read the elements and exponentiate them. Both limits are constants of the
compiled package, so the script changes them in copies of the source.
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
SOURCE = "src/smoothmax"
PLACES = {"FUSED_SOFTMAX_ROW_BYTES": "_thresholds.pxd", "DRAFT_MAX_BYTES": "_thresholds.pxd"}
SIZES = tuple(2**power for power in range(15, 27))  # bytes
BUILDS = {
    "fused": {"FUSED_SOFTMAX_ROW_BYTES": 2**60},
    "draft": {"FUSED_SOFTMAX_ROW_BYTES": 0, "DRAFT_MAX_BYTES": 2**60},
    "two passes": {"FUSED_SOFTMAX_ROW_BYTES": 0, "DRAFT_MAX_BYTES": 0},
}
TURNS = 5  # of all builds, so that a disturbance affects them alike


def stated(constant: str) -> re.Pattern[str]:
    return re.compile(rf"\b{constant} = (\d+)")


def build(values: dict[str, int], folder: Path) -> None:
    """Build a copy of the package with other limits. Modules that do not depend on them are not built again."""
    shutil.copytree(ROOT / "src", folder / "src")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    for constant, value in values.items():
        source = folder / SOURCE / PLACES[constant]
        text, found = stated(constant).subn(f"{constant} = {value}", source.read_text(encoding="utf-8"))
        if found != 1:
            raise SystemExit(f"{constant} is stated {found} times in {PLACES[constant]}, not once")
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
    """Nanoseconds per element for rows of all sizes, with the build that PYTHONPATH names."""
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
    now = []
    for constant, place in PLACES.items():
        found = stated(constant).search((ROOT / SOURCE / place).read_text(encoding="utf-8"))
        assert found
        now.append(f"{constant} is {int(found[1]) // 1024} KiB")
    return [f"ns an element of softmax with `out=`, {processor()}; {', '.join(now)}:", "", *table(head, rows)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure softmax of rows: fused, drafted, and in two passes.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        use_cores(arguments.part)
        print(json.dumps(measure()))
        return 0
    ways = {"fused": ("fused", 1)}
    for name in ("draft", "two passes"):
        ways |= {name: (name, 1), f"{name}, {all_cores()} threads": (name, all_cores())}
    best: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, values in BUILDS.items():
            build(values, Path(folder, name))
        for _ in range(TURNS):
            for way, (name, threads) in ways.items():
                times = times_of(Path(folder, name), threads)
                so_far = best.setdefault(way, times)
                best[way] = {dtype: [*map(min, so_far[dtype], times[dtype])] for dtype in DTYPES}
    found = lines(best)
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "threshold", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
