"""The grid of arrays that are timed, and the axis that each is reduced along. It knows neither functions nor libraries.

A new line of CASES is a new row of the grid. Every case is a random array or a view of one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "DTYPES", "FUNCTIONS", "Case"]

FUNCTIONS = ("logsumexp", "softmax", "log_softmax")
DTYPES = ("float64", "float32")


def itself(array: NDArray[Any]) -> NDArray[Any]:
    return array


def transposed(array: NDArray[Any]) -> NDArray[Any]:
    return array.T


def every_third_column(array: NDArray[Any]) -> NDArray[Any]:
    return array[:, ::3]


@dataclass(frozen=True)
class Case:
    """An input: its name in the report, the shape of the array (or of its base, for a view), and the reduced axis."""

    name: str
    shape: tuple[int, ...]
    axis: int
    quick: bool = False  # also timed with --quick
    view: Callable[[NDArray[Any]], NDArray[Any]] = itself

    def make(self, dtype: str) -> NDArray[np.floating]:
        """Normal numbers of spread 3, like the scores of a classifier, and the same in every run."""
        rng = np.random.default_rng(20240229)
        return self.view((3.0 * rng.standard_normal(self.shape)).astype(dtype))


CASES = (
    Case("10", (10,), 0, quick=True),
    Case("100", (100,), 0),
    Case("1000", (1000,), 0, quick=True),
    Case("1e4", (10**4,), 0),
    Case("1e5", (10**5,), 0),
    Case("1e6", (10**6,), 0, quick=True),
    Case("1e7", (10**7,), 0),
    Case("(10000, 10) axis 1", (10000, 10), 1, quick=True),
    Case("(10000, 10) axis 0", (10000, 10), 0),
    Case("(1000, 1000) axis 1", (1000, 1000), 1),
    Case("(1000, 1000) axis 0", (1000, 1000), 0, quick=True),
    Case("(64, 50257) axis 1", (64, 50257), 1),
    Case("(16, 3, 224, 224) axis 1", (16, 3, 224, 224), 1),
    Case("(100, 7, 100) axis 1", (100, 7, 100), 1),
    Case("(4096, 4096) axis 0", (4096, 4096), 0),
    Case("(1000003, 3) axis 1", (1000003, 3), 1),
    Case("(1000003, 3) axis 0", (1000003, 3), 0),
    Case("(1000, 1000).T axis 1", (1000, 1000), 1, view=transposed),
    Case("(1000, 3000)[:, ::3] axis 1", (1000, 3000), 1, quick=True, view=every_third_column),
)
