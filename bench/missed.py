"""The cells of the grid that miss their aim, and the least time that each could take on this machine.

    python -m bench.missed           print the table of the cells that miss their aim in bench/results.json
    python -m bench.missed --write   and put it into docs/benchmarks.md

The aim is half the time of the fastest of NumPy, SciPy, PyTorch and JAX, and no more than the time of ONNX Runtime. The
least time is the larger of two: that of bare_loop.cpp, which compensates nothing, and that of a pass over memory, which
reads the elements and, where each has a result, writes as many. The script times all of them again in three sweeps. The
rival of a cell is taken from the results.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.cases import CASES
from bench.comparison import ADVANTAGE, OWN, OWN_REUSING, Cell, rivals
from bench.contenders import keep_freed_memory, load, prepare, use_cores
from bench.pages import PAGE, put, table
from bench.report import RESULTS
from bench.turns import PAUSE
from bench.yardsticks import Machine, processor

SWEEPS = 3  # with time between them, because a machine may be slow for a while
SECONDS, CALLS = 0.05, 10  # for which each call is timed in a sweep, at least

Loop = tuple[str, int, Any]  # a method of Machine, threads, and its argument


@dataclass(frozen=True)
class Aim:
    """A rival, the call of smoothmax that is compared with it, and the part of the rival's time that it may take."""

    rival: str
    own: str
    part: float

    def missed_by(self, cell: Cell) -> float:
        """The time as a multiple of the aim. Up to 1, the aim is reached."""
        return cell[self.own][0] / (self.part * cell[self.rival][0])


def aims(results: dict[str, Any], cell: Cell) -> list[Aim]:
    found = [Aim(name, OWN, 1 / ADVANTAGE) for name in rivals(results, reusing=False)]
    found += [Aim(name, OWN_REUSING, 1) for name in rivals(results, reusing=True)]
    return [aim for aim in found if aim.rival in cell]


def best(call: Callable[[], Any]) -> float:
    """The seconds of the fastest of several calls."""
    time.sleep(PAUSE)
    fastest, begun, calls = float("inf"), time.perf_counter(), 0
    while calls < CALLS or time.perf_counter() - begun < SECONDS:
        start = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - start)
        calls += 1
    return fastest


class Least:
    """The least times of arrays, with as many threads as smoothmax uses for them: the best of all sweeps."""

    def __init__(self, threads: int) -> None:
        variant = load("smoothmax._kernels.dispatch").variant
        self.shared = load("smoothmax._thresholds").limits()["SHARE_MIN_BYTES"]
        self.machines = {number: Machine(variant, number) for number in (1, threads)}
        self.best: dict[Loop, float] = {}  # ns an element, or a byte
        self.timed: set[Loop] = set()  # in this sweep

    def time(self, loop: Loop) -> None:
        """Time the loop, unless this sweep has timed it already."""
        if loop not in self.timed:
            self.timed.add(loop)
            name, threads, of = loop
            self.best[loop] = min(getattr(self.machines[threads], name)(of), self.best.get(loop, float("inf")))

    def loops(self, x: Any, function: str) -> list[tuple[Loop, int]]:
        """The bare loop and then the passes over memory, each with its number of elements or bytes.

        Reading a view fetches all cache lines of the array that it is a view of.
        """
        threads = max(self.machines) if x.nbytes >= self.shared else 1
        read = (x if x.base is None else x.base).nbytes
        found: list[tuple[Loop, int]] = [(("exp_sum", threads, x.dtype.name), x.size)]
        found.append((("reading", threads, read // 4), read))
        if function != "logsumexp":
            found.append((("copying", threads, x.nbytes // 4), x.nbytes))
        return found

    def of(self, x: Any, function: str) -> tuple[float, float]:
        """The seconds of the bare loop, and of the passes over memory."""
        bare, *memory = (size * self.best[loop] * 1e-9 for loop, size in self.loops(x, function))
        return bare, max(memory)


def missed_cells(results: dict[str, Any]) -> list[tuple[str, str, str, Aim]]:
    """Function, type and case of each cell that misses an aim, and the aim that it misses by the most."""
    found = []
    for function, dtype, name, cell in results["cells"]:
        by, _, aim = max((aim.missed_by(cell), aim.rival, aim) for aim in aims(results, cell))
        if by > 1:
            found.append((function, dtype, name, aim))
    return found


def lines(results: dict[str, Any]) -> list[str]:
    cases = {case.name: case for case in CASES}
    least = Least(results["threads"])
    missed = missed_cells(results)
    times = [(float("inf"), float("inf"))] * len(missed)  # of smoothmax, and the aim
    for _sweep in range(SWEEPS):
        least.timed.clear()
        for i, (function, dtype, name, aim) in enumerate(missed):
            x, axis = cases[name].make(dtype), cases[name].axis
            own, rival = (best(prepare(one, function, x, axis)) for one in (aim.own, aim.rival))
            times[i] = min(times[i][0], own), min(times[i][1], aim.part * rival)
            for loop, _ in least.loops(x, function):
                least.time(loop)
    rows, beyond, reached = [], 0, 0
    for (function, dtype, name, aim), (own, wanted) in zip(missed, times, strict=True):
        bare, memory = least.of(cases[name].make(dtype), function)
        impossible = max(bare, memory) > wanted
        beyond += impossible
        reached += own <= wanted
        bold = "**" if impossible else ""
        rows.append([
            name, f"{function} {dtype}", microseconds(own), bold + microseconds(wanted) + bold, aim.rival,
            microseconds(bare), microseconds(memory),
        ])  # fmt: skip
    return [
        f"{len(rows)} of {len(results['cells'])} cells missed their aim, of which {reached} reach it when timed again, "
        f"in µs; {processor()}, {results['threads']} threads. In {beyond} cells, in bold, the aim is below the time of "
        "the bare loop or of memory alone.",
        "",
        *table(["", "", "smoothmax", "aim", "rival", "bare loop", "memory"], rows),
    ]


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.3g}" if seconds < 1e-3 else f"{seconds * 1e6:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare missed aims with the limits of the machine.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    use_cores(results["threads"])
    keep_freed_memory()
    found = lines(results)
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "missed", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
