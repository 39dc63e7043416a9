"""The bench command: _compare's comparison on shapes of the user's choice, as a table, as JSON, as a picture."""

import importlib
import json
from typing import Any

from smoothmax._api import config as _config
from smoothmax._cli import compare as _compare

__all__ = ["run"]


def run(shapes: list[tuple[int, ...]], axis: int, types: list[str], as_json: bool, plot: str | None) -> None:
    """Measure, and print; ValueError where a shape has no such axis, ImportError for a plot without Matplotlib."""
    for shape in shapes:
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"axis {axis} is out of bounds for shape {shape}")
    pyplot = importlib.import_module("matplotlib.figure") if plot else None
    cases = [(shape, axis % len(shape)) for shape in shapes]
    records = _compare.compare(cases, types, quiet=as_json)
    if as_json:
        print(json.dumps({"configuration": _config.configuration(), "measured": records}, indent=1))
    if plot:
        draw(pyplot, records).savefig(plot, dpi=150, bbox_inches="tight")


def draw(pyplot: Any, records: list[_compare.Record]) -> Any:
    """How many times as long the others take: a bar for each, in groups of a function, type and shape."""
    figure = pyplot.Figure(figsize=(7, 1 + 0.5 * len(records)))
    axes = figure.subplots()
    rivals = [who for who in records[0]["seconds"] if who != "smoothmax"]
    height = 0.8 / len(rivals)
    for i, who in enumerate(rivals):
        ratios = [record["seconds"][who] / record["seconds"]["smoothmax"] for record in records]
        places = [place + i * height for place in range(len(records))]
        axes.barh(places, ratios, height, label=who)
    names = [f"{r['function']} {r['dtype']} {tuple(r['shape'])} axis {r['axis']}" for r in records]
    axes.set_yticks([place + (len(rivals) - 1) * height / 2 for place in range(len(records))], names)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times as long as smoothmax")
    axes.legend()
    return figure
