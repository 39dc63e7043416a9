"""What was wanted and is not reached, cell by cell, beside what the least work of such a cell takes on this machine.

    python -m bench.missed           print the table: of the cells that bench/results.json says are missed
    python -m bench.missed --write   and put it into bench/README.md

Wanted is half of the time of the fastest of NumPy, SciPy, PyTorch and JAX, and no more than ONNX Runtime's. The least
work is that of bare_loop.cpp, which is exact in nothing, and a pass over memory: one that reads the elements and, where
each has a result, writes as many. All are timed here, in turns; which rival counts is taken from the results.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.cases import CASES, DTYPES
from bench.comparison import OWN, OWN_REUSING, Cell, rivals
from bench.contenders import load, prepare, use_cores
from bench.pages import PAGE, put, table
from bench.report import RESULTS
from bench.yardsticks import Machine, processor

ADVANTAGE = 2.0  # over those that allocate their results; 1 over those that do not
SWEEPS = 3  # some time apart, since a machine may be slow for a while
SECONDS, CALLS = 0.05, 10  # of a call in each, at least
PAUSE = 0.01  # until OpenMP's threads have stopped spinning


@dataclass(frozen=True)
class Aim:
    """A rival, the call of smoothmax that is held against it, and the part of the rival's time that it may take."""

    rival: str
    own: str
    part: float

    def missed_by(self, cell: Cell) -> float:
        """How many times as long as wanted; up to 1 nothing is missed."""
        return cell[self.own][0] / (self.part * cell[self.rival][0])


def aims(results: dict[str, Any], cell: Cell) -> list[Aim]:
    found = [Aim(name, OWN, 1 / ADVANTAGE) for name in rivals(results, reusing=False)]
    found += [Aim(name, OWN_REUSING, 1) for name in rivals(results, reusing=True)]
    return [aim for aim in found if aim.rival in cell]


def best(call: Callable[[], Any]) -> float:
    """Seconds, of several calls."""
    time.sleep(PAUSE)
    fastest, begun, calls = float("inf"), time.perf_counter(), 0
    while calls < CALLS or time.perf_counter() - begun < SECONDS:
        start = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - start)
        calls += 1
    return fastest


class Least:
    """What the least work takes, with as many threads as smoothmax has for an array."""

    def __init__(self, threads: int) -> None:
        variant = load("smoothmax._dispatch").variant
        self.shared = load("smoothmax._walk").SHARED_BYTES
        self.machines = {number: Machine(variant, number) for number in (1, threads)}
        self.begin_sweep()

    def begin_sweep(self) -> None:
        """Time everything anew."""
        self.exp_sums = {(n, dtype): self.machines[n].exp_sum(dtype) for n in self.machines for dtype in DTYPES}
        self.passes: dict[tuple[int, int, int], float] = {}

    def of(self, x: Any, function: str) -> tuple[float, float]:
        """Seconds of the bare loop, and of memory; a view reads all lines of the array that it is a view of."""
        threads = max(self.machines) if x.nbytes >= self.shared else 1
        read = (x if x.base is None else x.base).nbytes
        written = 0 if function == "logsumexp" else x.nbytes
        key = threads, read, written
        if key not in self.passes:
            machine = self.machines[threads]
            copying = written * machine.copying(written // 4) if written else 0
            self.passes[key] = max(read * machine.reading(read // 4), copying)
        return x.size * self.exp_sums[threads, x.dtype.name] * 1e-9, self.passes[key] * 1e-9


def lines(results: dict[str, Any]) -> list[str]:
    cases = {case.name: case for case in CASES}
    least = Least(results["threads"])
    worst = [(key, max(aims(results, cell), key=lambda aim: aim.missed_by(cell))) for *key, cell in results["cells"]]
    cells = {tuple(key): cell for *key, cell in results["cells"]}
    missed = [(key, aim) for key, aim in worst if aim.missed_by(cells[tuple(key)]) > 1]
    found = [[float("inf")] * 4 for _ in missed]  # seconds: own, wanted, bare loop, memory
    for sweep in range(SWEEPS):
        least.begin_sweep()
        for i, ((function, dtype, name), aim) in enumerate(missed):
            x, axis = cases[name].make(dtype), cases[name].axis
            own, rival = (best(prepare(one, function, x, axis)) for one in (aim.own, aim.rival))
            found[i] = [*map(min, found[i], (own, aim.part * rival, *least.of(x, function)))]
            print(sweep, name, function, dtype, *(f"{s * 1e6:.4g}" for s in found[i]), file=sys.stderr, flush=True)
    rows, beyond, in_turn = [], 0, 0
    for ((function, dtype, name), aim), (own, wanted, bare, memory) in zip(missed, found, strict=True):
        impossible = max(bare, memory) > wanted
        beyond += impossible
        in_turn += bare + memory > wanted
        figures = [f"{seconds * 1e6:.3g}" if seconds < 1e-3 else f"{seconds * 1e6:.0f}"
                   for seconds in (own, wanted, bare, memory)]  # fmt: skip
        figures[1] = f"**{figures[1]}**" if impossible else figures[1]
        rows.append([name, f"{function} {dtype}", *figures[:2], aim.rival, *figures[2:]])
    return [
        f"{len(rows)} of {len(results['cells'])} cells, in µs; {processor()}, {results['threads']} threads. Bold, "
        f"{beyond} cells: less than the bare loop or memory alone takes; in {in_turn} less than one after the other.",
        "",
        *table(["", "", "smoothmax", "wanted", "because of", "bare loop", "memory"], rows),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Hold what is missed against what the machine can do.")
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    use_cores(results["threads"])
    bytearray(31 << 20)  # as in conftest.py: freed memory is kept from now on
    found = lines(results)
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "missed", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
