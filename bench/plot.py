"""The picture of README: every comparison is one point, wins right of 1, losses left of it. Needs matplotlib."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.comparison import REUSING, factor, rivals, unique

__all__ = ["draw"]

# Wong's colours that the colour-blind can tell apart, and a shape each for those who see none.
STYLES = {
    "NumPy": ("#0072B2", "o"),
    "SciPy": ("#E69F00", "s"),
    "PyTorch": ("#D55E00", "^"),
    "JAX": ("#009E73", "D"),
    "ONNX Runtime": ("#CC79A7", "P"),
}
OTHER = ("#555555", "v")


def draw(results: dict[str, Any], path: Path, digest: str) -> None:
    """Six panels: types down, functions across; one line a case, one point a rival."""
    functions = unique(cell[0] for cell in results["cells"])
    dtypes = unique(cell[1] for cell in results["cells"])
    cases = unique(cell[2] for cell in results["cells"])
    names = rivals(results)
    factors = [factor(cell, name) for *_, cell in results["cells"] for name in names if name in cell]
    low, high = min(0.45, min(factors) / 1.25), max(factors) * 1.3

    mpl.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(13, 1.9 + 0.29 * len(cases) * len(dtypes)), layout="constrained")
    panels = figure.subplots(len(dtypes), len(functions), sharex=True, sharey=True, squeeze=False)
    for row, dtype in zip(panels, dtypes, strict=True):
        for panel, function in zip(row, functions, strict=True):
            cells = {case: cell for f, d, case, cell in results["cells"] if (f, d) == (function, dtype)}
            draw_panel(panel, cells, cases, names)
            panel.set_title(f"{function}, {dtype}", fontsize=11, fontweight="bold", loc="left")
    panels[0, 0].set_xlim(low, high)
    panels[0, 0].set_ylim(len(cases) - 0.4, -0.6)
    for panel in panels.flat:
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 2000 * low else (1.0,)))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for panel in panels[-1]:
        panel.set_xlabel("time of the library / time of smoothmax")

    handles = [
        Line2D(
            [], [], color=STYLES.get(name, OTHER)[0], marker=STYLES.get(name, OTHER)[1], linestyle="", label=label(name)
        )
        for name in names
    ]
    threads = "one thread" if results["threads"] == 1 else f"{results['threads']} threads"
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles),
        frameon=False,
        fontsize=11,
        title=f"Right of 1 smoothmax is faster, in the shaded part it is slower ({results['processor']}, {threads})",
    )
    figure.savefig(path, dpi=110, metadata={"Source": digest, "Software": None})


def label(name: str) -> str:
    return f"{name} (against out=)" if name in REUSING else name


def draw_panel(panel: Axes, cells: dict[str, Any], cases: list[str], names: list[str]) -> None:
    """One function and type: the points of every case on its own line."""
    panel.set_xscale("log")
    panel.axvspan(1e-3, 1, color="#F6D5D5", zorder=0)
    panel.axvline(1, color="#333333", linewidth=1.2, zorder=1)
    panel.grid(axis="both", color="#DDDDDD", linewidth=0.6, zorder=0.5)
    panel.set_axisbelow(True)
    for y, case in enumerate(cases):
        for i, name in enumerate(names):
            if name in cells[case]:
                color, marker = STYLES.get(name, OTHER)
                shift = 0.17 * (i - (len(names) - 1) / 2)  # points of one case do not hide each other
                panel.plot(
                    factor(cells[case], name),
                    y + shift,
                    marker,
                    color=color,
                    markersize=6.5,
                    markeredgecolor="white",
                    zorder=3,
                )
    panel.set_yticks(range(len(cases)), cases)
    panel.tick_params(axis="y", length=0)
