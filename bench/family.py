"""Time the family: ufuncs, scans, segments, products and scores, beside the libraries that people compute them with.

    python -m bench.family                       print a line for each cell, with one thread
    python -m bench.family --threads 2           with two threads, of BLAS and of Numba too
    python -m bench.family --only logaddexp      the cells whose function, type and case have this text
    python -m bench.family --write               and put them into bench/results-family.json, for bench.report

The results of every contender are compared with the right answers first, and its largest error in ULP is kept. The
usual formulas are inexact, and timed all the same; what is off by more than 1e-2 is an error. The contenders of a cell
take turns after a pause of 100 ms, and the best time counts. Where a library has several ways (a loop of Numba on one
thread or on all, a product by terms or by exponentials), its fastest counts.
"""

import argparse
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import sys
from typing import Any

from bench import contenders, elementwise, products, scans, scores
from bench.cells import Cell
from bench.comparison import OWN, YARDSTICKS, factor, unique
from bench.comparison import Cell as Timings
from bench.pages import duration, times, ulps
from bench.reference import error_of
from bench.report import FAMILY_RESULTS, Results, written
from bench.turns import best_in_turns
from bench.yardsticks import processor

ROUNDS = 3
# The panels of the picture, and what yields their cells.
GROUPS = {
    "ufuncs": (elementwise,),
    "scans and segments": (scans,),
    "products and scores": (products, scores),
}
PACKAGES = {"NumPy": "numpy", "SciPy": "scipy", "PyTorch": "torch", "JAX": "jax", "Numba": "numba"}


def measured(cell: Cell) -> Timings:
    """The seconds and the largest error of every library, by its fastest way. Draws and yardsticks have no error."""
    prepared = cell.prepare()
    errors: dict[str, list[float]] = {}
    for name, call in prepared.calls.items():
        result = call()
        if prepared.answers and name not in YARDSTICKS:
            try:
                errors[name] = [float(f"{error_of(result, prepared.answers, cell.dtype):.3g}")]
            except AssertionError as error:
                raise AssertionError(f"{name}, {cell}: {error}") from error
    best = best_in_turns(prepared.calls, ROUNDS)
    seconds = {name: float(f"{one * prepared.repeats.get(name, 1):.4g}") for name, one in best.items()}
    found: Timings = {name.partition(",")[0]: [] for name in seconds}
    for name in sorted(seconds, key=seconds.__getitem__):
        if not found[library := name.partition(",")[0]]:
            found[library] = [seconds[name], *errors.get(name, [])]
    return found


def conditions(threads: int) -> dict[str, Any]:
    """What the figures depend on, as in bench/results.json."""
    dispatch = contenders.load("smoothmax._kernels.dispatch")
    versions = {name: importlib.metadata.version(of) for name, of in PACKAGES.items() if contenders.installed(of)}
    return {
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "threads": threads,
        "cores": os.cpu_count(),
        "kernel": dispatch.variant,
        "compiler": dispatch.compiler,
        "versions": {"Python": platform.python_version(), **versions},
    }


def stored(now: dict[str, Any]) -> list[list[Any]]:
    """The cells in the file, which must have been measured as those that are added to them are."""
    if not FAMILY_RESULTS.exists():
        return []
    results: Results = json.loads(FAMILY_RESULTS.read_text(encoding="utf-8"))
    for key in now.keys() - {"date"}:
        if results[key] != now[key]:
            raise SystemExit(f"{FAMILY_RESULTS.name} is of {key} {results[key]}, not {now[key]}: measure all cells")
    kept: list[list[Any]] = results["cells"]
    return kept


def line(cell: Cell, found: Timings) -> str:
    """The time and error of smoothmax, and for each other its time as a multiple of that, and its error."""
    texts = []
    for name, (seconds, *error) in found.items():
        text = duration(seconds) if name == OWN else f"{name} {times(factor(found, name))}"
        texts.append(" ".join([text, *(f"({ulps(one)} ULP)" for one in error)]))
    return f"{cell}: {', '.join(texts)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="cores that every contender may use (default: 1)")
    parser.add_argument("--only", default="", help="the cells whose function, type and case have this text")
    parser.add_argument("--write", action="store_true", help="put them into bench/results-family.json")
    given = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != str(given.threads):  # NumPy's BLAS reads it when it is loaded
        os.environ["OPENBLAS_NUM_THREADS"] = str(given.threads)
        os.execv(sys.executable, [sys.executable, "-m", "bench.family", *sys.argv[1:]])
    contenders.use_cores(given.threads)
    contenders.keep_freed_memory()
    now = conditions(given.threads)
    groups = {group: list(itertools.chain(*(module.cells() for module in of))) for group, of in GROUPS.items()}
    every = list(itertools.chain(*groups.values()))
    done = {(function, dtype, case): found for function, dtype, case, found in stored(now)} if given.only else {}
    for cell in every:
        if given.only in str(cell):
            found = done[cell.function, cell.dtype, cell.case] = measured(cell)
            print(line(cell, found), flush=True)
    if given.write:
        keys = [(cell.function, cell.dtype, cell.case) for cell in every]
        results = now | {
            "groups": {group: unique(cell.function for cell in cells) for group, cells in groups.items()},
            "columns": ["function", "dtype", "case", "contender: [seconds, largest error in ULP]"],
            "cells": [[*key, done[key]] for key in keys if key in done],
        }
        FAMILY_RESULTS.write_text(written(results), encoding="utf-8")


if __name__ == "__main__":
    main()
