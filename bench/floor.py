"""How far smoothmax is from the limit of the machine: large cells of the grid as multiples of their least time.

    python -m bench.floor              print the table, with as many threads as there are cores
    python -m bench.floor --threads 1
    python -m bench.floor --write      and put it into docs/benchmarks.md

The least time is the larger of two: that of reading the input at the bandwidth of memory, and that of a bare loop in L1
that computes the maximum, the exponentials and their sum. The script measures both with the same number of threads.
Large cells have 10^5 elements or more.
"""

import argparse
import functools
import sys
from dataclasses import dataclass
from typing import Any

from bench.cases import CASES, DTYPES, FUNCTIONS, Case
from bench.comparison import OWN, OWN_REUSING
from bench.contenders import all_cores, keep_freed_memory, load, prepare, use_cores
from bench.pages import PAGE, put, table
from bench.yardsticks import Machine, best_seconds, processor

LARGE = 100_000  # elements
ROUNDS = 15
ITEMSIZE = {"float64": 8, "float32": 4}


@dataclass(frozen=True)
class Limits:
    """The fastest that a number of threads can read, copy and exponentiate."""

    read: float  # ns a byte
    copy: float  # ns a byte, read and written
    exp_sum: dict[str, float]  # ns an element

    @classmethod
    def of(cls, machine: Machine) -> "Limits":
        """The limits of a machine, measured now."""
        return cls(machine.reading(), machine.copying(), {dtype: machine.exp_sum(dtype) for dtype in DTYPES})

    def or_better(self, other: "Limits") -> "Limits":
        """The smaller of two measurements of each limit, because a machine may be slow for a while."""
        exp_sum = {dtype: min(self.exp_sum[dtype], other.exp_sum[dtype]) for dtype in DTYPES}
        return Limits(min(self.read, other.read), min(self.copy, other.copy), exp_sum)

    def least(self, elements: int, dtype: str) -> float:
        """The least seconds of a call with these elements."""
        return max(elements * ITEMSIZE[dtype] * self.read, elements * self.exp_sum[dtype]) * 1e-9

    def copying(self, elements: int, dtype: str) -> float:
        """The seconds of reading the elements and writing as many results."""
        return elements * ITEMSIZE[dtype] * self.copy * 1e-9

    def described(self) -> str:
        """The limits in words."""
        bare = ", ".join(f"{self.exp_sum[dtype]:.3f} ns an element of {dtype}" for dtype in DTYPES)
        return f"memory is read at {1 / self.read:.1f} GB/s and copied at {1 / self.copy:.1f} GB/s; bare loop: {bare}"


@functools.lru_cache(maxsize=1)
def case_input(case: Case, dtype: str) -> Any:
    return case.make(dtype)


def seconds(case: Case) -> dict[tuple[str, str], list[float]]:
    """The seconds of a call, and of a call with out=, for every type and function."""
    found = {}
    for dtype in DTYPES:
        x = case_input(case, dtype)
        for function in FUNCTIONS:
            calls = [prepare(name, function, x, case.axis) for name in (OWN, OWN_REUSING)]
            found[dtype, function] = best_seconds(calls, number=1, rounds=ROUNDS)
    print(case.name, found, file=sys.stderr, flush=True)
    return found


def row(case: Case, found: dict[tuple[str, str], list[float]], limits: Limits) -> list[str]:
    """A row of the table: the multiples for every function and type, in brackets with out=."""
    cells, elements = [case.name], case_input(case, DTYPES[0]).size
    for dtype in DTYPES:
        least = limits.least(elements, dtype)
        for function in FUNCTIONS:
            own, reusing = found[dtype, function]
            # logsumexp has one result for each reduction, so out= saves little.
            cells.append(
                f"{own / least:.2f}" if function == "logsumexp" else f"{own / least:.2f} ({reusing / least:.2f})"
            )
        cells.append(f"{limits.copying(elements, dtype) / least:.2f}")
    return cells


def lines(machine: Machine, variant: str) -> list[str]:
    head = ["", *(title for dtype in DTYPES for title in (*(f"{f} {dtype}" for f in FUNCTIONS), f"copy {dtype}"))]
    limits = Limits.of(machine)
    cases = [case for case in CASES if case_input(case, DTYPES[0]).size >= LARGE]
    found = [seconds(case) for case in cases]
    limits = limits.or_better(Limits.of(machine))
    number = "one thread" if machine.threads == 1 else f"{machine.threads} threads"
    return [
        f"{processor()}, {number}, kernels {variant}: {limits.described()}. Multiples of the larger of the two, in "
        "brackets with `out=`; copy: the time of reading the input and writing as much.",
        "",
        *table(head, [row(case, one, limits) for case, one in zip(cases, found, strict=True)]),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare large cells of the grid with the limits of the machine.")
    parser.add_argument("--threads", type=int, default=all_cores())
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    use_cores(arguments.threads)
    keep_freed_memory()
    variant = load("smoothmax._kernels.dispatch").variant
    found = lines(Machine(variant, arguments.threads), variant)
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "one thread" if arguments.threads == 1 else "all threads", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
