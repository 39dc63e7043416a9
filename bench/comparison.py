"""Which calls are compared: libraries that allocate their results with a call that does, others with `out=`.

A cell of the results has the seconds and the largest error of every contender: {"smoothmax": [1.2e-6, 0.9], ...}. Of
draws and of yardsticks it has the seconds alone.
"""

from collections.abc import Iterable
from typing import Any

__all__ = [
    "ADVANTAGE", "OWN", "OWN_REUSING", "REUSING", "YARDSTICKS", "Cell", "factor", "largest_error", "losses", "rivals",
    "unique",
]  # fmt: skip

OWN = "smoothmax"
OWN_REUSING = "smoothmax out="
# ONNX Runtime would reuse the memory of the last result from its arena anyway. Here its output is bound to one array.
REUSING = ("ONNX Runtime",)
# What is timed beside the libraries without computing the same: the least that a call can take.
YARDSTICKS = ("np.add", "np.negative", "np.matmul and three of np.exp")
ADVANTAGE = 2.0  # the aim: how many times as long others take, but for those that reuse the memory of results

Cell = dict[str, list[float]]


def unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def rivals(results: dict[str, Any], reusing: bool | None = None) -> list[str]:
    """The other libraries in the results: all, or only those that reuse (or do not reuse) the memory of results."""
    others = (OWN, OWN_REUSING, *YARDSTICKS)
    names = unique(name for *_, cell in results["cells"] for name in cell if name not in others)
    return [name for name in names if reusing is None or (name in REUSING) == reusing]


def factor(cell: Cell, name: str) -> float:
    """How many times as long a library takes as smoothmax."""
    return cell[name][0] / cell[OWN_REUSING if name in REUSING else OWN][0]


def largest_error(cells: Iterable[Cell], name: str) -> float | None:
    """The largest error of a library over the cells that have one. Draws have none."""
    return max((cell[name][1] for cell in cells if cell.get(name, [])[1:]), default=None)


def losses(results: dict[str, Any], names: list[str]) -> str:
    """How many comparisons with these libraries smoothmax loses: "2 of 80"."""
    factors = [factor(cell, name) for *_, cell in results["cells"] for name in names if name in cell]
    return f"{sum(value < 1 for value in factors)} of {len(factors)}"
