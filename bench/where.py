"""Where the work of a call is done: its instructions an element, and the parts of them in each of smoothmax's rooms.

    python -m bench.where           print the table
    python -m bench.where --write   and put it into docs/benchmarks.md

Instructions are no time, but they can be counted again: where memory waits, floor.py says more.
"""

import argparse
import math
import sys
from collections import Counter

from bench.callgrind import CALLS, Counts, count_calls
from bench.cases import DTYPES, FUNCTIONS
from bench.pages import PAGE, put, table

VARIANT = "x86-64-v3"
# Substrings of "shared object:function", the first that fits; what fits none is the way from the call to the kernels.
ROOMS = {
    "moving": ("transpose", "select", "_gather:", "_elements:"),
    "mathematics": ("x86_64_v3:",),
}


def room(place: str) -> str:
    return next((name for name, parts in ROOMS.items() if any(part in place for part in parts)), "way")


def lines(counts: Counts) -> list[str]:
    """One line a call, one column a function and type."""
    rows = []
    for call in CALLS:
        row = [call.name]
        for dtype in DTYPES:
            for function in FUNCTIONS:
                functions = counts.get(f"{function} {dtype}, {call.name}")
                row.append(described(functions, math.prod(call.shape)) if functions else "")
        rows.append(row)
    return [
        f"Instructions an element under {VARIANT}; the parts of mathematics, of bringing elements together and "
        "apart (masks, conversions, transpositions), and of the way from the call to the kernels:",
        "",
        *table(["", *(f"{function} {dtype}" for dtype in DTYPES for function in FUNCTIONS)], rows),
    ]


def described(functions: Counter[str], elements: int) -> str:
    parts: Counter[str] = Counter()
    for place, instructions in functions.items():
        parts[room(place)] += instructions
    total = functions.total()
    return f"{total / elements:.1f}: " + ", ".join(
        f"{parts[name] / total:.0%}" for name in ("mathematics", "moving", "way")
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Say where the instructions of fixed calls are.")
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
