"""The pictures of speed: every comparison as a point, and the speed and error of every library. Needs matplotlib."""

import math
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.comparison import OWN, REUSING, factor, largest_error, rivals, unique

__all__ = ["draw_grid", "draw_summary"]

# Wong's colours, which the colour-blind can tell apart. Each library also has its own shape.
STYLES = {
    "NumPy": ("#0072B2", "o"),
    "SciPy": ("#E69F00", "s"),
    "PyTorch": ("#D55E00", "^"),
    "JAX": ("#009E73", "D"),
    "ONNX Runtime": ("#CC79A7", "P"),
    "Numba": ("#56B4E9", "X"),
}
OTHER = ("#555555", "v")
OWN_STYLE = ("#000000", "*")


def draw_grid(results: dict[str, Any], path: Path, digest: str) -> None:
    """Draw a panel for each type and function, with a line for each case and a point for each rival."""
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
    """Draw the points of one function and type. Each case has a line of its own."""
    panel.set_xscale("log")
    panel.axvspan(1e-3, 1, color="#F6D5D5", zorder=0)
    panel.axvline(1, color="#333333", linewidth=1.2, zorder=1)
    panel.grid(axis="both", color="#DDDDDD", linewidth=0.6, zorder=0.5)
    panel.set_axisbelow(True)
    for y, case in enumerate(cases):
        for i, name in enumerate(names):
            if name in cells[case]:
                color, marker = STYLES.get(name, OTHER)
                shift = 0.17 * (i - (len(names) - 1) / 2)  # so that points of a case do not hide each other
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


def draw_summary(results: dict[str, Any], family: dict[str, Any], path: Path, digest: str) -> None:
    """Draw panels in which x is a library's time as a multiple of smoothmax's, and y is its largest error.

    Above, each is a function of the grid; below, a group of functions of the family.
    """
    functions = unique(cell[0] for cell in results["cells"])
    names = unique(rivals(results) + rivals(family))
    mpl.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(10, 8), layout="constrained")
    panels = figure.subplots(2, len(functions), sharex=True, sharey=True, squeeze=False)
    for panel, function in zip(panels[0], functions, strict=True):
        draw_speed_and_error(panel, [cell for f, *_, cell in results["cells"] if f == function], names)
        panel.set_title(function, fontsize=11, fontweight="bold", loc="left")
    for panel, (group, of_group) in zip(panels[1], family["groups"].items(), strict=True):
        draw_speed_and_error(panel, [cell for f, *_, cell in family["cells"] if f in of_group], names)
        panel.set_title(group, fontsize=11, fontweight="bold", loc="left")
        panel.set_xlabel("time / time of smoothmax")
    for panel in panels[:, 0]:
        panel.set_ylabel("largest error in ULP")
    cells = [cell for *_, cell in results["cells"] + family["cells"]]
    factors = [factor(cell, name) for cell in cells for name in names if name in cell]
    panels[0, 0].set_xlim(min(0.3, min(factors) / 1.2), max(factors) * 1.2)
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle="", markersize=size, label=name)
        for name, (color, marker), size in [
            (OWN, OWN_STYLE, 12),
            *((name, STYLES.get(name, OTHER), 7) for name in names),
        ]
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=130, metadata={"Source": digest, "Software": None})


def draw_speed_and_error(panel: Axes, cells: list[dict[str, Any]], names: list[str]) -> None:
    """Draw the median and the range of the factor of each library, at the height of its largest error."""
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.axvspan(1e-3, 1, color="#F6D5D5", zorder=0)
    panel.grid(color="#DDDDDD", linewidth=0.6, zorder=0.5)
    panel.set_axisbelow(True)
    panel.plot(1, largest_error(cells, OWN), OWN_STYLE[1], color=OWN_STYLE[0], markersize=14, zorder=4)
    drawn: list[float] = []
    errors = {name: error for name in names if (error := largest_error(cells, name)) is not None}
    for name in sorted(errors, key=errors.__getitem__):
        factors = [factor(cell, name) for cell in cells if name in cell]
        error = errors[name]
        # Libraries with the same formula have the same error. They are drawn one above the other, so that none hides
        # another.
        while any(abs(math.log(error / other)) < math.log(1.6) for other in drawn):
            error *= 1.05
        drawn.append(error)
        color, marker = STYLES.get(name, OTHER)
        panel.plot([min(factors), max(factors)], [error, error], color=color, linewidth=1.2, zorder=2)
        panel.plot(
            statistics.median(factors), error, marker, color=color, markersize=7.5, markeredgecolor="white", zorder=3
        )
    panel.xaxis.set_major_locator(LogLocator())
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
