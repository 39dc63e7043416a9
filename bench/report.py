"""Write the speed figures of README.md and docs/benchmarks.md from what pytest-benchmark measured.

    python -m bench.report raw.json          reduce to bench/results.json, draw both pictures, write both pages
    python -m bench.report raw.json --avx2   reduce to bench/results-avx2.json, write its section of docs/benchmarks.md
    python -m bench.report                   the same from what is stored; also the tables of the family
    python -m bench.report --check           exit with code 1 if a page or a picture does not match what is stored

A time is the best of all sweeps. bench/plot.py draws; without drawing, only the standard library is needed.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from bench.comparison import OWN, OWN_REUSING, REUSING, factor, losses, rivals, unique
from bench.family_block import family_block
from bench.pages import PAGE, duration, put, replaced, spread, table, times, ulps

BENCH = Path(__file__).resolve().parent
RESULTS = BENCH / "results.json"
AVX2_RESULTS = BENCH / "results-avx2.json"
FAMILY_RESULTS = BENCH / "results-family.json"
GRID_PLOT = BENCH / "speed.png"
SUMMARY_PLOT = BENCH / "summary.png"
README = BENCH.parent / "README.md"

Results = dict[str, Any]


# Reducing ------------------------------------------------------------------------------------------------------------


def reduce(raw: dict[str, Any]) -> Results:
    """The best time and the largest error of every contender in every cell, and the conditions of the measurement."""
    cells: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for entry in raw["benchmarks"]:
        info = entry["extra_info"]
        cell = cells.setdefault((info["function"], info["dtype"], info["case"]), {})
        seconds = min(entry["stats"]["min"], cell.get(info["contender"], [float("inf")])[0])
        cell[info["contender"]] = [float(f"{seconds:.4g}"), float(f"{info['error_ulp']:.3g}")]
    own = raw["smoothmax"]
    return {
        "processor": raw["machine_info"]["cpu"].get("brand_raw", raw["machine_info"]["processor"]),
        "system": f"{raw['machine_info']['system']} {raw['machine_info']['machine']}",
        "date": raw["datetime"][:10],
        "threads": own["threads"],
        "cores": own["cores"],
        "kernel": own["kernel"],
        "compiler": own["compiler"],
        "versions": {"Python": raw["machine_info"]["python_version"], **own["versions"]},
        "columns": ["function", "dtype", "case", "contender: [seconds, largest error in ULP]"],
        "cells": [[*key, cell] for key, cell in cells.items()],
    }


def written(results: Results) -> str:
    """The results as JSON with one cell in each line, so that a diff is readable."""
    cells = ",\n".join("  " + json.dumps(cell, ensure_ascii=False) for cell in results["cells"])
    head = json.dumps({k: v for k, v in results.items() if k != "cells"}, ensure_ascii=False, indent=1)
    return f'{head[:-2]},\n "cells": [\n{cells}\n ]\n}}\n'


def digest(results: Results) -> str:
    """The hash of the results. A plot contains the hash of the results that it was drawn from."""
    return hashlib.sha256(written(results).encode()).hexdigest()


# Writing -------------------------------------------------------------------------------------------------------------


def kinds_of(results: Results) -> list[str]:
    return unique(f"{function} {dtype}" for function, dtype, *_ in results["cells"])


def cells_of(results: Results, kind: str, name: str) -> list[dict[str, list[float]]]:
    cells = [cell for function, dtype, _, cell in results["cells"] if f"{function} {dtype}" == kind]
    return [cell for cell in cells if name in cell]


def summary(results: Results, names: list[str]) -> list[str]:
    """A line for each rival: the median and the range of the factor over all cases."""
    rows = []
    for name in names:
        row = [name]
        for kind in kinds_of(results):
            row.append(spread([factor(cell, name) for cell in cells_of(results, kind, name)]))
        rows.append(row)
    return table(["", *kinds_of(results)], rows)


def errors(results: Results) -> list[str]:
    """A line for each contender: the largest error over all cases."""
    rows = []
    for name in [OWN, *rivals(results)]:
        row = [name]
        for kind in kinds_of(results):
            row.append(ulps(max(cell[name][1] for cell in cells_of(results, kind, name))))
        rows.append(row)
    return table(["", *kinds_of(results)], rows)


def speed_and_error(results: Results) -> list[str]:
    """A line for each contender and a column for each function: median and range of the factor, and largest error."""
    functions = unique(function for function, *_ in results["cells"])
    rows = []
    for name in [OWN, *rivals(results)]:
        row = [name]
        for function in functions:
            cells = [cell for f, _, _, cell in results["cells"] if f == function and name in cell]
            error = f"{ulps(max(cell[name][1] for cell in cells))} ULP"
            if name == OWN:
                row.append(f"1x, {error}")
                continue
            row.append(f"{spread([factor(cell, name) for cell in cells])}, {error}")
        rows.append(row)
    return table(["", *functions], rows)


def every_case(results: Results, own: str, names: list[str]) -> list[str]:
    """A line for each case: the time of smoothmax, and how many times as long the fastest of these rivals takes."""
    kinds = kinds_of(results)
    cells = {(f"{function} {dtype}", case): cell for function, dtype, case, cell in results["cells"]}
    rows = []
    for case in unique(case for _, _, case, _ in results["cells"]):
        row = [case]
        for kind in kinds:
            cell = cells[kind, case]
            rival = min((name for name in names if name in cell), key=lambda name: cell[name][0])
            label = f" {rival}" if len(names) > 1 else ""
            row.append(f"{duration(cell[own][0])}, {times(factor(cell, rival))}{label}")
        rows.append(row)
    return table(["", *kinds], rows)


def reusing(results: Results) -> list[str]:
    """The table of the libraries that reuse the memory of their results."""
    if not (names := rivals(results, reusing=True)):
        return []
    return [
        f"Against {' and '.join(names)}, which writes its result to memory it has, as smoothmax does with `out=`. "
        f"smoothmax's time, and how many times as long the other takes; {losses(results, names)} comparisons lost:",
        "",
        *every_case(results, OWN_REUSING, names),
        "",
    ]


def conditions(results: Results) -> str:
    """The conditions of the measurement: threads, arrays, processor, versions and date."""
    threads = "one thread" if results["threads"] == 1 else f"{results['threads']} threads"
    if results["threads"] == results["cores"]:
        threads += ", all cores of the machine"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"Every library on {threads}, on the same arrays of normal numbers of spread 3; a single number is the length "
        "of one row. Best time of many rounds. "
        f"{results['processor']}, {results['system']}, kernels {results['kernel']} by {results['compiler']}; "
        f"{versions}; {results['date']}. Written by `python -m bench.report`."
    )


def summary_block(results: Results) -> list[str]:
    """The lines of README.md between the markers."""
    reusing_names = " and ".join(name for name in rivals(results) if name in REUSING)
    threads = "one thread" if results["threads"] == 1 else f"{results['threads']} threads"
    cases = len(unique(case for _, _, case, _ in results["cells"]))
    return [
        "Each cell: the library's time as a multiple of smoothmax's, median and range, and the largest error, over "
        f"{cases} shapes in float64 and float32. A factor below 1, in bold, is a case that smoothmax loses: "
        f"{losses(results, rivals(results))}.",
        "",
        *speed_and_error(results),
        "",
        f"{results['processor']}, every library on {threads}, {results['date']}."
        + (f" {reusing_names} reuses the memory of its result and is compared with `out=`." if reusing_names else "")
        + " Written by `python -m bench.report`; every case: [docs/benchmarks.md](docs/benchmarks.md).",
    ]


def grid_block(results: Results) -> list[str]:
    """The lines of docs/benchmarks.md between the markers."""
    names = rivals(results, reusing=False)
    return [
        "How many times as long each library takes as smoothmax: the median over all cases, and the range. Under 1 "
        f"smoothmax loses, in bold: {losses(results, names)} comparisons.",
        "",
        *summary(results, names),
        "",
        "The largest error over all cases, in units in the last place:",
        "",
        *errors(results),
        "",
        "Each case: the time of smoothmax, and how many times as long the fastest other library takes:",
        "",
        *every_case(results, OWN, names),
        "",
        *reusing(results),
        conditions(results),
    ]


def blocks(results: Results, avx2: Results, family: Results) -> list[tuple[Path, str, list[str]]]:
    """What the report writes: each page with the name of markers, and the lines between these."""
    picture = ["", "![How many times as long other libraries take](../bench/speed.png)"]
    return [
        (README, "speed", summary_block(results)),
        (PAGE, "grid", grid_block(results) + picture),
        (PAGE, "grid of AVX2", grid_block(avx2)),
        (PAGE, "family", family_block(family)),
    ]


def complaints(results: Results, avx2: Results, family: Results) -> list[str]:
    """The pages and pictures that do not match the results."""
    found = []
    for path, markers, lines in blocks(results, avx2, family):
        page = path.read_text(encoding="utf-8")
        current = replaced(page, markers, lines)
        if current is None:
            found.append(f"{path.name} has no markers of {markers}")
        elif current != page:
            found.append(f"{path.name} does not say what the results in bench/ say: run python -m bench.report")
    for plot, drawn_from in ((GRID_PLOT, digest(results)), (SUMMARY_PLOT, digest(results) + digest(family))):
        if not plot.exists() or drawn_from.encode() not in plot.read_bytes():
            found.append(f"bench/{plot.name} was not drawn from the results in bench/: run python -m bench.report")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the tables and pictures of speed from measured times.")
    parser.add_argument("raw", nargs="?", type=Path, help="JSON of pytest-benchmark (default: what is stored)")
    parser.add_argument("--avx2", action="store_true", help="raw is of a processor, or of kernels, without AVX-512")
    parser.add_argument("--check", action="store_true", help="only say whether everything is current")
    arguments = parser.parse_args()
    if arguments.raw:
        reduced = reduce(json.loads(arguments.raw.read_text(encoding="utf-8")))
        (AVX2_RESULTS if arguments.avx2 else RESULTS).write_text(written(reduced), encoding="utf-8")
    paths = (RESULTS, AVX2_RESULTS, FAMILY_RESULTS)
    results, avx2, family = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    if arguments.check:
        found = complaints(results, avx2, family)
        print("\n".join(found) or "README.md, docs/benchmarks.md and their pictures are current")
        return 1 if found else 0

    from bench.plot import draw_grid, draw_summary

    draw_grid(results, GRID_PLOT, digest(results))
    draw_summary(results, family, SUMMARY_PLOT, digest(results) + digest(family))
    for path, markers, lines in blocks(results, avx2, family):
        put(path, markers, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
