"""Turn what pytest-benchmark measured into the figures of README: the one place where they are written.

    python -m bench.report raw.json   reduce to bench/results.json, draw bench/speed.png, write the block in README.md
    python -m bench.report            the same from bench/results.json
    python -m bench.report --check    exit code 1 if README.md or the plot do not belong to bench/results.json

A figure is the best time of all sweeps. Checking needs the standard library alone; drawing is bench/plot.py's affair.
"""

import argparse
import hashlib
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
RESULTS = BENCH / "results.json"
PLOT = BENCH / "speed.png"
README = BENCH.parent / "README.md"
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"

OWN = "smoothmax"
Results = dict[str, Any]


# Reducing ------------------------------------------------------------------------------------------------------------


def reduce(raw: dict[str, Any]) -> Results:
    """Best time and largest error of every contender in every cell, and what they depend on."""
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
        "kernel": own["kernel"],
        "compiler": own["compiler"],
        "versions": {"Python": raw["machine_info"]["python_version"], **own["versions"]},
        "columns": ["function", "dtype", "case", "contender: [seconds, largest error in ULP]"],
        "cells": [[*key, cell] for key, cell in cells.items()],
    }


def written(results: Results) -> str:
    """The results as JSON with one cell a line, so that a difference can be read."""
    cells = ",\n".join("  " + json.dumps(cell, ensure_ascii=False) for cell in results["cells"])
    head = json.dumps({k: v for k, v in results.items() if k != "cells"}, ensure_ascii=False, indent=1)
    return f'{head[:-2]},\n "cells": [\n{cells}\n ]\n}}\n'


def digest(results: Results) -> str:
    """What ties the plot to the results it was drawn from."""
    return hashlib.sha256(written(results).encode()).hexdigest()


# Writing -------------------------------------------------------------------------------------------------------------


def unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def rivals_of(results: Results) -> list[str]:
    return [name for name in unique(name for *_, cell in results["cells"] for name in cell) if name != OWN]


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def times(factor: float, mark: str = "x") -> str:
    """How many times faster, two or three digits; a loss is bold."""
    digits = 0 if factor >= 10 else 1 if factor >= 1 else 2
    text = f"{factor:.{digits}f}{mark}"
    return text if factor >= 1 else f"**{text}**"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def kinds_of(results: Results) -> list[str]:
    return unique(f"{function} {dtype}" for function, dtype, *_ in results["cells"])


def cells_of(results: Results, kind: str, name: str) -> list[dict[str, list[float]]]:
    cells = [cell for function, dtype, _, cell in results["cells"] if f"{function} {dtype}" == kind]
    return [cell for cell in cells if name in cell]


def summary(results: Results) -> list[str]:
    """One line a rival: median and range of the factor over all cases."""
    rows = []
    for name in rivals_of(results):
        row = [name]
        for kind in kinds_of(results):
            factors = [cell[name][0] / cell[OWN][0] for cell in cells_of(results, kind, name)]
            spread = f"{times(min(factors), '')} to {times(max(factors), '')}"
            row.append(f"{times(statistics.median(factors))} ({spread})")
        rows.append(row)
    return table(["", *kinds_of(results)], rows)


def errors(results: Results) -> list[str]:
    """One line a contender: the largest error over all cases."""
    rows = []
    for name in [OWN, *rivals_of(results)]:
        row = [name]
        for kind in kinds_of(results):
            error = max(cell[name][1] for cell in cells_of(results, kind, name))
            row.append(f"{error:.1f}" if error < 10 else f"{float(f'{error:.2g}'):.0f}")
        rows.append(row)
    return table(["", *kinds_of(results)], rows)


def every_case(results: Results) -> list[str]:
    """One line a case: smoothmax's time, and how many times slower the fastest rival is."""
    kinds = kinds_of(results)
    cells = {(f"{function} {dtype}", case): cell for function, dtype, case, cell in results["cells"]}
    rows = []
    for case in unique(case for _, _, case, _ in results["cells"]):
        row = [case]
        for kind in kinds:
            cell = cells[kind, case]
            rival = min((name for name in cell if name != OWN), key=lambda name: cell[name][0])
            row.append(f"{duration(cell[OWN][0])}, {times(cell[rival][0] / cell[OWN][0])} {rival}")
        rows.append(row)
    return table(["", *kinds], rows)


def block(results: Results) -> str:
    """What stands in README between the markers."""
    threads = "one thread" if results["threads"] == 1 else f"{results['threads']} threads"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items() if name != OWN)
    factors = [cell[name][0] / cell[OWN][0] for *_, cell in results["cells"] for name in cell if name != OWN]
    lost = sum(factor < 1 for factor in factors)
    lines = [
        BEGIN,
        "How many times as long each library takes as smoothmax: the median over all cases, and the range. Under 1 "
        f"smoothmax loses, in bold: {lost} of {len(factors)} comparisons.",
        "",
        *summary(results),
        "",
        "The largest error over all cases, in units in the last place:",
        "",
        *errors(results),
        "",
        "Each case: the time of smoothmax, and how many times as long the fastest other library takes:",
        "",
        *every_case(results),
        "",
        "![How many times as long other libraries take](bench/speed.png)",
        "",
        f"Every library on {threads}, on the same arrays of normal numbers of spread 3; a single number is the length "
        "of one row. Best time of many rounds. "
        f"{results['processor']}, {results['system']}, kernels {results['kernel']} by {results['compiler']}; "
        f"{versions}; {results['date']}. Written by `python -m bench.report`; bench/README.md says how it is measured.",
        END,
    ]
    return "\n".join(lines)


def put_block(readme: str, text: str) -> str | None:
    """README with the block replaced, or None where the markers are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + text + after if begin and end else None


def complaints(results: Results) -> list[str]:
    """What is not as the results say."""
    found = []
    readme = README.read_text(encoding="utf-8")
    replaced = put_block(readme, block(results))
    if replaced is None:
        found.append(f"README.md has no markers {BEGIN} and {END}")
    elif replaced != readme:
        found.append("README.md does not say what bench/results.json says: run python -m bench.report")
    if not PLOT.exists() or digest(results).encode() not in PLOT.read_bytes():
        found.append("bench/speed.png was not drawn from bench/results.json: run python -m bench.report")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the table and the plot of README from measured times.")
    parser.add_argument("raw", nargs="?", type=Path, help="JSON of pytest-benchmark (default: bench/results.json)")
    parser.add_argument("--check", action="store_true", help="only say whether everything is current")
    arguments = parser.parse_args()
    if arguments.raw:
        results = reduce(json.loads(arguments.raw.read_text(encoding="utf-8")))
    else:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    if arguments.check:
        found = complaints(results)
        print("\n".join(found) or "README.md and bench/speed.png are current")
        return 1 if found else 0

    from bench.plot import draw

    RESULTS.write_text(written(results), encoding="utf-8")
    draw(results, PLOT, digest(results))
    replaced = put_block(README.read_text(encoding="utf-8"), block(results))
    if replaced is None:
        print(block(results))
        print(f"README.md has no markers {BEGIN} and {END}: nothing written there", file=sys.stderr)
        return 1
    README.write_text(replaced, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
