"""A cell of the family: what is timed in it, and the right answers. How a loop is compiled by Numba. Times nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import contenders
from bench.reference import Answers

__all__ = ["Array", "Calls", "Cell", "Cells", "Prepared", "compiled", "normal"]

Array = NDArray[Any]
# By the name of a library, or where it has several ways to do it, of a library and a way: "Numba, parallel".
Calls = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Prepared:
    """The calls of a cell, the right answers (draws have none), and how many times a call's work the cell has."""

    calls: Calls
    answers: Answers | None = None
    repeats: dict[str, float] = field(default_factory=dict)  # of calls that do a part of the work; of others 1


@dataclass(frozen=True)
class Cell:
    """A function of an input. Arrays are made and loops compiled when it is prepared."""

    function: str
    dtype: str
    case: str
    prepare: Callable[[], Prepared]

    def __str__(self) -> str:
        return f"{self.function} {self.dtype} {self.case}"


Cells = Iterator[Cell]


def normal(shape: tuple[int, ...], dtype: str, seed: int = 20240229) -> Array:
    """Normal numbers of spread 3, as in the grid, and the same in every run."""
    if dtype == "bfloat16":
        contenders.load("ml_dtypes")  # NumPy knows the name from then on
    return (3.0 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def compiled(loop: Callable[..., Any]) -> dict[str, Any]:
    """The loop, compiled by Numba without fastmath: on one thread, and on all if there are more. {} without Numba."""
    if not contenders.installed("numba"):
        return {}
    njit = contenders.load("numba").njit
    found = {"Numba": njit(loop)}
    return found | ({"Numba, parallel": njit(parallel=True)(loop)} if contenders.threads() > 1 else {})
