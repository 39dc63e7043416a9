"""Draw errors.png: the errors of every library in every case of the benchmark, from bench/results.json.

    python docs/figures/errors.py     needs matplotlib

A point is the largest error of a case, and the number that of the worst case.
"""

import hashlib
import json
import math
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
RESULTS = ROOT / "bench/results.json"
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from bounds import bound  # noqa: E402, the only place that states the promise

from bench.comparison import OWN, rivals, unique  # noqa: E402, once the root is on the path

# Wong's colours, which the colour-blind can tell apart; each type has a shape of its own too.
STYLES = {"float64": ("#0072B2", "o", -0.17), "float32": ("#D55E00", "^", 0.17)}
PROMISE = "#555555"


def digest() -> str:
    """What the picture depends on. It contains this hash, by which a test sees that it is current."""
    return hashlib.sha256(HERE.read_bytes() + RESULTS.read_bytes()).hexdigest()


def readable(error: float) -> str:
    """Two digits of a number that may be a fraction or millions."""
    if error < 10:
        return f"{error:.1f}"
    return f"{float(f'{error:.2g}'):,.0f}" if error < 1e5 else f"{error:.1e}".replace("e+0", "e")


def draw(panel: Axes, function: str, cells: list, names: list[str]) -> None:
    """A column of points for each library and type: one for each case, the largest with its number."""
    for dtype, (colour, marker, offset) in STYLES.items():
        for position, name in enumerate(names):
            errors = [cell[name][1] for f, d, _, cell in cells if (f, d) == (function, dtype) and name in cell]
            if not errors:
                continue
            shown = [max(error, 0.1) for error in errors]
            jitter = [position + offset + 0.1 * (i / len(shown) - 0.5) for i in range(len(shown))]
            panel.plot(jitter, shown, marker, color=colour, markersize=4, alpha=0.35, markeredgewidth=0)
            worst = max(shown)
            panel.plot(position + offset, worst, marker, color=colour, markersize=6.5)
            panel.annotate(
                readable(max(errors)), (position + offset, worst), (0, 6), textcoords="offset points",
                color=colour, fontsize=7.5, ha="center", va="bottom",
            )  # fmt: skip
    promise = bound(function, 2)
    panel.axhline(promise, color=PROMISE, linewidth=1, linestyle="--")
    panel.set_yscale("log")
    panel.set_ylim(0.08, 1e9)
    panel.set_xlim(-0.6, len(names) - 0.4)
    panel.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
    panel.set_title(function, loc="left", fontweight="bold", fontsize=11)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)


def main() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    names = [OWN, *rivals(results)]
    functions = unique(cell[0] for cell in results["cells"])
    figure = Figure(figsize=(8, 9), layout="constrained")
    for panel, function in zip(figure.subplots(len(functions), 1, sharey=True), functions, strict=True):
        draw(panel, function, results["cells"], names)
        panel.set_ylabel("error in ULP")
        spoilt = [math.log10(max(cell[OWN][1], 0.1)) for f, _, _, cell in results["cells"] if f == function]
        assert max(spoilt) <= math.log10(bound(function, 2)), f"{function} breaks its promise"
    handles = [Line2D([], [], color=c, marker=m, linestyle="", label=d) for d, (c, m, _) in STYLES.items()]
    handles.append(Line2D([], [], color=PROMISE, linestyle="--", label="what smoothmax promises"))
    figure.legend(handles=handles, loc="outside upper right", ncols=3, frameon=False)
    figure.savefig(HERE.with_suffix(".png"), dpi=130, metadata={"Source": digest(), "Software": None})


if __name__ == "__main__":
    main()
