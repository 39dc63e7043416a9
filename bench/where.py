"""Where a call spends its instructions: the count per element, and its shares of three kinds of work.

    python -m bench.where           print the table
    python -m bench.where --write   and put it into docs/benchmarks.md

A count of instructions is not a time, but it can be reproduced exactly. floor.py shows where calls wait for memory.
"""

import argparse
import math
import sys
from collections import Counter

from bench.callgrind import CALLS, Counts, count_calls
from bench.cases import DTYPES, FUNCTIONS
from bench.pages import PAGE, put, table

VARIANT = "x86-64-v3"
# Substrings of "shared object:function". The first kind with a matching substring counts, otherwise "walk".
KINDS = {
    "staging": ("transpose", "select", "scratch:", "elements:"),
    "mathematics": ("x86_64_v3:",),
}


def kind_of(place: str) -> str:
    return next((kind for kind, parts in KINDS.items() if any(part in place for part in parts)), "walk")


def lines(counts: Counts) -> list[str]:
    """A line for each call, and a column for each function and type."""
    rows = []
    for call in CALLS:
        row = [call.name]
        for dtype in DTYPES:
            for function in FUNCTIONS:
                functions = counts.get(f"{function} {dtype}, {call.name}")
                row.append(described(functions, math.prod(call.shape)) if functions else "")
        rows.append(row)
    return [
        f"Instructions per element with {VARIANT}; the parts of mathematics, of staging (masks, conversions, "
        "transpositions), and of everything from the call to the kernels:",
        "",
        *table(["", *(f"{function} {dtype}" for dtype in DTYPES for function in FUNCTIONS)], rows),
    ]


def described(functions: Counter[str], elements: int) -> str:
    parts: Counter[str] = Counter()
    for place, instructions in functions.items():
        parts[kind_of(place)] += instructions
    total = functions.total()
    kinds = ("mathematics", "staging", "walk")
    return f"{total / elements:.1f}: " + ", ".join(f"{parts[kind] / total:.0%}" for kind in kinds)


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the instructions of fixed calls by the kind of their work.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    counts = count_calls()
    if VARIANT not in counts:
        raise SystemExit(f"{VARIANT} cannot run here")
    found = lines(counts[VARIANT])
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "where", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
