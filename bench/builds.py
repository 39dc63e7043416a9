"""Compare two builds of smoothmax on the grid: other compilers, other flags, before and after a change.

    python -m bench.builds src ../other/src                     every cell, each function and type
    python -m bench.builds src ../other/src --large -k float32  cells of 10^5 elements or more, of one type

A build is the folder of a package that was built in place. Each build runs in a separate process, bound to one core.
The two take turns within every cell, and the least time of many turns counts. The last column is the second build's
time as a multiple of the first's, and the last line counts the cells beyond --most.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.cases import CASES, DTYPES, FUNCTIONS, Case
from bench.contenders import keep_freed_memory, use_cores
from bench.pages import table
from bench.turns import PAUSE

ROOT = Path(__file__).resolve().parents[1]
LARGE = 100_000  # elements
TURNS = 7
TURN_SECONDS = 0.03


class Build:
    """A process that times calls of one build on request."""

    def __init__(self, folder: str, kernel: str) -> None:
        path = os.pathsep.join([str(Path(folder).resolve()), str(ROOT)])
        environment = os.environ | {"PYTHONPATH": path, "SMOOTHMAX_KERNEL": kernel}
        command = [sys.executable, "-P", "-m", "bench.builds", "--serve"]  # -P: not from the working directory
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        self.described = self.ask(None)

    def ask(self, cell: tuple[int, str, str] | None) -> Any:
        """The seconds of a call in a cell; without a cell, a description of the build."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(cell) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("a build's process ended; its message stands above")
        return json.loads(answer)


def seconds(call: Any) -> float:
    """The mean of as many calls as fit into a turn."""
    begun, calls = time.perf_counter(), 0
    while True:
        for _ in range(1 + calls):  # the clock is read after 1, 3, 7, ... calls
            call()
        calls += 1 + calls
        passed = time.perf_counter() - begun
        if passed > TURN_SECONDS:
            return passed / calls


def serve() -> None:
    """Answer the requests of Build.ask."""
    use_cores(1)
    keep_freed_memory()
    import smoothmax

    made: dict[tuple[int, str], Any] = {}
    for line in sys.stdin:
        cell = json.loads(line)
        if cell is None:
            kernels = smoothmax.show_config(mode="dicts")["Kernels"]
            answer: Any = f"{kernels['variant']} of {kernels['compiler']}"
        else:
            index, dtype, function = cell
            if (index, dtype) not in made:
                made = {(index, dtype): CASES[index].make(dtype)}
            x, reduce = made[index, dtype], getattr(smoothmax, function)
            answer = seconds(lambda: reduce(x, axis=CASES[index].axis))  # noqa: B023
        print(json.dumps(answer), flush=True)


def cells(large: bool, wanted: str) -> Iterator[tuple[str, tuple[int, str, str]]]:
    for index, case in enumerate(CASES):
        if large and size(case) < LARGE:
            continue
        for dtype in DTYPES:
            for function in FUNCTIONS:
                name = f"{function} {dtype} {case.name}"
                if wanted in name:
                    yield name, (index, dtype, function)


def size(case: Case) -> int:
    return int(case.make("float32").size)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs=2, help="folders that a package `smoothmax` lies in, built in place")
    parser.add_argument("--large", action="store_true", help=f"only cells of {LARGE} elements or more")
    parser.add_argument("-k", default="", metavar="TEXT", help="only cells whose line contains the text")
    parser.add_argument("--kernel", default="", help="the variant of the kernels; by default the best")
    parser.add_argument("--most", type=float, default=1.2, help="multiples beyond it are counted")
    options = parser.parse_args()
    builds = [Build(folder, options.kernel) for folder in options.builds]
    print(*(build.described for build in builds), sep="\nagainst ", flush=True)
    rows, factors = [], []
    for name, cell in cells(options.large, options.k):
        time.sleep(PAUSE)
        turns = [[build.ask(cell) for build in builds] for _ in range(TURNS)]
        best = [min(times) for times in zip(*turns, strict=True)]
        factors.append(best[1] / best[0])
        rows.append([name, *(f"{1e6 * one:.3g} us" for one in best), f"{factors[-1]:.2f}"])
    print("\n".join(table(["", "first", "second", "multiple"], rows)))
    beyond = sum(factor > options.most for factor in factors)
    middle, worst = statistics.median(factors), max(factors)
    print(f"median {middle:.2f}, most {worst:.2f}; {beyond} of {len(factors)} beyond {options.most:g}")
    return 1 if beyond else 0


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve()
    else:
        sys.exit(main())
