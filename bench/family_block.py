"""The tables of the family in docs/benchmarks.md, from the results of bench/family.py. Needs the standard library."""

from collections.abc import Callable
from typing import Any

from bench.comparison import ADVANTAGE, OWN, YARDSTICKS, Cell, factor, largest_error, losses, rivals, unique
from bench.pages import duration, spread, table, times, ulps

__all__ = ["family_block"]

Results = dict[str, Any]


def by_function(results: Results, names: list[str]) -> list[str]:
    """A line for each function and type: the error of smoothmax, and median, range and error of each other."""
    rows = []
    for function, dtype in dict.fromkeys((function, dtype) for function, dtype, *_ in results["cells"]):
        row = [f"{function} {dtype}"]
        for name in [OWN, *names]:
            cells = [cell for f, d, _, cell in results["cells"] if (f, d) == (function, dtype) and name in cell]
            error = largest_error(cells, name)
            texts = [spread([factor(cell, name) for cell in cells])] if cells and name != OWN else []
            row.append(", ".join([*texts, *([] if error is None else [f"{ulps(error)} ULP"])]))
        rows.append(row)
    return table(["", OWN, *names], rows)


def fastest(cell: Cell, names: list[str]) -> str:
    return min((name for name in names if name in cell), key=lambda name: cell[name][0])


def by_case(results: Results, names: list[str], described: Callable[[Cell, str], str]) -> list[str]:
    """A line for each case that has one of these names, and a column for each type, with its fastest described."""
    cells = [(*key, cell) for *key, cell in results["cells"] if any(name in cell for name in names)]
    dtypes = unique(dtype for _, dtype, *_ in cells)
    found: dict[str, dict[str, str]] = {}
    for function, dtype, case, cell in cells:
        found.setdefault(f"{function}, {case}", {})[dtype] = described(cell, fastest(cell, names))
    return table(["", *dtypes], [[case, *(texts.get(dtype, "") for dtype in dtypes)] for case, texts in found.items()])


def family_block(results: Results) -> list[str]:
    """The lines of docs/benchmarks.md between the markers."""
    names = [name for name in results["versions"] if name in rivals(results)]
    short = sum(factor(cell, fastest(cell, names)) < ADVANTAGE for *_, cell in results["cells"])
    number = "one thread" if results["threads"] == 1 else f"{results['threads']} threads"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return [
        "How many times as long each library takes as smoothmax: the median over all cases and the range, and its "
        f"largest error. Under 1 smoothmax loses, in bold: {losses(results, names)} comparisons. The fastest library "
        f"takes less than {ADVANTAGE:g} times as long in {short} of {len(results['cells'])} cases.",
        "",
        *by_function(results, names),
        "",
        "Each case: the time of smoothmax, and how many times as long the fastest other library takes:",
        "",
        *by_case(results, names, lambda cell, name: f"{duration(cell[OWN][0])}, {times(factor(cell, name))} {name}"),
        "",
        "The time of smoothmax as a multiple of a yardstick's:",
        "",
        *by_case(results, list(YARDSTICKS), lambda cell, name: f"{1 / factor(cell, name):.2f} of {name}"),
        "",
        f"{results['processor']}, {results['system']}, every library on {number}, kernels {results['kernel']} by "
        f"{results['compiler']}; {versions}; {results['date']}. Best time of several rounds. Written by `python -m "
        "bench.report`.",
    ]
