"""The bench command: the comparison on the user's shapes, as a table, as JSON, as a picture."""

import json
import math
import os
import sys
from typing import Any

from smoothmax._api.config import configuration
from smoothmax._cli.compare import Record, compare
from smoothmax._scale.errors import Refused, Unwritable, reason
from smoothmax._schedule.threads import get_num_threads

__all__ = ["run_comparison"]


def run_comparison(shapes: list[tuple[int, ...]], axis: int, types: list[str], as_json: bool, plot: str | None) -> None:
    """Measure and print. Refused if a shape is impossible or has no such axis, or if Matplotlib is missing."""
    for shape in shapes:
        if not -len(shape) <= axis < len(shape):
            raise Refused(f"axis {axis} is out of bounds for shape {shape}")
        if math.prod(shape) * 8 > sys.maxsize:
            raise Refused(f"shape must be one that an array can have, got {shape}")
    figure = None if plot is None else empty_figure(plot)
    records = compare([(shape, axis % len(shape)) for shape in shapes], types, quiet=as_json)
    if as_json:
        print(json.dumps({"configuration": configuration(), "measured": records}, indent=1))
    if plot is not None:
        draw_bars(figure, records)
        save(figure, plot)


def empty_figure(path: str) -> Any:
    """Return a figure that can be saved under this name. This is checked before the measurement."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Refused(f"--plot needs Matplotlib: {error}") from error
    figure = Figure()
    kinds = figure.canvas.get_supported_filetypes()
    if os.path.splitext(path)[1][1:].lower() not in kinds:
        raise Unwritable(path, f"its ending must be one of .{', .'.join(sorted(kinds))}")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise Unwritable(path, f"there is no folder {os.path.dirname(path)!r}")
    return figure


def save(figure: Any, path: str) -> None:
    try:
        figure.savefig(path, dpi=150, bbox_inches="tight")
    except OSError as error:
        raise Unwritable(path, reason(error)) from error


def draw_bars(figure: Any, records: list[Record]) -> None:
    """Draw how many times as long the others take, with a bar for each, grouped by function, type and shape."""
    from matplotlib.ticker import LogLocator  # empty_figure has checked that it is installed

    figure.set_size_inches(7, 1 + 0.5 * len(records))
    axes = figure.subplots()
    rivals = [who for who in records[0]["seconds"] if who != "smoothmax"]
    height = 0.8 / len(rivals)
    written = {"numpy": "NumPy", "scipy": "SciPy"}
    for i, who in enumerate(rivals):
        ratios = [record["seconds"][who] / record["seconds"]["smoothmax"] for record in records]
        places = [place + i * height for place in range(len(records))]
        axes.barh(places, [ratio - 1 for ratio in ratios], height, left=1, label=written.get(who, who))
    names = [f"{r['function']} {r['dtype']} {tuple(r['shape'])} axis {r['axis']}" for r in records]
    axes.set_yticks([place + (len(rivals) - 1) * height / 2 for place in range(len(records))], names)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1)
    # On this scale the ratios 2 and 1/2 are equally far from 1, and both are visible beside a ratio of 400.
    axes.set_xscale("log", subs=[])
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("times as long as smoothmax, logarithmic")
    on_what = heading([written.get(who, who) for who in rivals])
    axes.set_title(f"Time of a call, as a multiple of smoothmax's\n{on_what}", fontsize="small")
    axes.legend()


def heading(rivals: list[str]) -> str:
    """A heading that says what was measured: functions and versions, processor and threads."""
    known = configuration()
    versions = {"smoothmax": known["Versions"]["smoothmax"]}
    versions |= {who: getattr(sys.modules.get(who.lower()), "__version__", "") for who in rivals}
    libraries = ", ".join(f"{who} {version}".strip() for who, version in versions.items())
    threads = get_num_threads()
    kernels = f"{known['Machine Information']['processor']}, {known['Kernels']['variant']}"
    return f"{libraries}\n{kernels}, {threads} thread{'s' * (threads != 1)}"
