"""The instructions of fixed calls, compared with committed figures. A kernel that is no longer vectorised takes more.

    python -m bench.instructions           exit with code 1 if a figure differs by more than the tolerance
    python -m bench.instructions --write   measure and write bench/instructions.json, to be committed with its cause

callgrind.py has the calls and counts their instructions. This file times nothing.
"""

import argparse
import json
import platform
import sys
from typing import Any

from bench.callgrind import BENCH, VARIANTS, count_calls
from bench.contenders import load

FIGURES = BENCH / "instructions.json"

TOLERANCE = 0.05
# Figures of different compilers differ by up to this much. A loop that is not vectorised takes from 1.6 times the
# instructions (two lanes of float64) to 8 times, so the guard still notices it.
OTHER_TOLERANCE = 0.3


def measure() -> dict[str, Any]:
    """The figures of all variants that can run here, and what they depend on."""
    counts = count_calls()
    environment = {
        "machine": platform.machine(),
        "compiler": load("smoothmax._kernels.dispatch").compiler,
        "Cython": type(load("smoothmax").logsumexp).__module__,  # the version that compiled the package
        "Python": ".".join(platform.python_version_tuple()[:2]),
    }
    totals = {
        variant: {name: functions.total() for name, functions in calls.items()} for variant, calls in counts.items()
    }
    return {"environment": environment, "instructions": totals}


def written(figures: dict[str, Any]) -> str:
    """JSON with one call and its counts in each line, so that a diff is readable."""
    instructions = figures["instructions"]
    by_call = {name: {v: instructions[v][name] for v in instructions} for name in next(iter(instructions.values()))}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(counts)}" for name, counts in by_call.items())
    environment = json.dumps(figures["environment"])
    return f'{{\n "environment": {environment},\n "instructions": {{\n{lines}\n }}\n}}\n'


def complaints(measured: dict[str, Any], committed: dict[str, Any], tolerance: float, exact: bool) -> list[str]:
    """Figures that are too high. With `exact` also those that are too low: a stale figure would hide the next loss."""
    found = []
    for variant, counts in measured["instructions"].items():
        expected = {name: row[variant] for name, row in committed["instructions"].items()}
        found += [f"{variant}: {name}: no committed figure" for name in counts if name not in expected]
        found += [f"{variant}: {name}: not measured" for name in expected if name not in counts]
        for name in counts.keys() & expected.keys():
            change = counts[name] / expected[name] - 1
            if change > tolerance or (exact and change < -tolerance):
                found.append(f"{variant}: {name}: {expected[name]} -> {counts[name]} ({change:+.1%})")
    return sorted(found)


def compare(measured: dict[str, Any], committed: dict[str, Any]) -> int:
    """Print the figures that differ, and return 1 if there are any."""
    here = measured["environment"]
    of = committed["environment"]
    differing = [f"{what} {of[what]} ({here[what]} here)" for what in of if here[what] != of[what]]
    tolerance = OTHER_TOLERANCE if differing else TOLERANCE
    if differing:
        print(f"the committed figures are from {', '.join(differing)}: only increases over {tolerance:.0%} are errors")
    found = complaints(measured, committed, tolerance, exact=not differing)
    if not found:
        print(f"{len(committed['instructions'])} calls take the instructions they should")
        return 0
    print("\n".join(found))
    print(f"{len(found)} figures are off. Where that is meant: python -m bench.instructions --write, and commit why")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the instructions of fixed calls.")
    parser.add_argument("--write", action="store_true", help="replace the committed figures by what is measured")
    arguments = parser.parse_args()
    if platform.machine() not in ("x86_64", "AMD64"):
        print(f"nothing to compare: the figures are of x86-64, this is {platform.machine()}")
        return 0
    measured = measure()
    if not arguments.write:
        return compare(measured, json.loads(FIGURES.read_text(encoding="utf-8")))
    if missing := set(VARIANTS) - measured["instructions"].keys():
        raise SystemExit(f"not written: {', '.join(missing)} cannot be counted here")
    FIGURES.write_text(written(measured), encoding="utf-8")
    print(f"written: bench/{FIGURES.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
