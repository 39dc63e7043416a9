"""Results that are computed block by block, each block from the elements that belong to it alone.

One mechanism for functions of elements, of rows and of matrices, from one or two .npy files to one or two. What a block
is, and which elements belong to it, the function knows.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from smoothmax._scale.npy_format import NpyWriter, in_other_order, write_header
from smoothmax._scale.output import unwritable
from smoothmax._scale.pair import open_outputs
from smoothmax._scale.regions import Region

__all__ = ["Progress", "Result", "Work", "all_results", "write_results"]

Array = np.ndarray[Any, Any]
Progress = Callable[[int], AbstractContextManager[Callable[[int], object]]]


@dataclass
class Result:
    """An array that a function returns. Its file has Fortran's order if that is `reversed`."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    reversed: bool = False


@dataclass
class Work:
    """The results of a function, and the blocks that they are made of.

    `compute` takes a block, and gives the region and the values that it has in each result. Regions have the axes of
    the array, and not of the file.
    """

    results: Sequence[Result]
    blocks: Iterable[Any]
    compute: Callable[[Any], Sequence[tuple[Region, Array]]]

    @property
    def nbytes(self) -> int:
        return sum(math.prod(result.shape) * result.dtype.itemsize for result in self.results)


def write_results(work: Work, targets: Sequence[str | None], replace: bool, tell: Callable[[int], object]) -> None:
    """Write those results that have a target, at least one; all files appear, or none.

    `tell` is told how many bytes of all results are computed, as `nbytes` counts them.
    """
    wanted = [(i, target) for i, target in enumerate(targets) if target is not None]
    with open_outputs([target for _, target in wanted], replace=replace) as files:
        writers = []
        for (i, target), file in zip(wanted, files, strict=True):
            result = work.results[i]
            with unwritable(target):
                write_header(file, result.shape, result.reversed, result.dtype)
                shape = in_other_order(result.shape, result.reversed)
                writers.append(NpyWriter(file, shape, result.dtype, result.reversed))

        def put(values: Sequence[tuple[Region, Array]]) -> None:
            for (i, target), writer in zip(wanted, writers, strict=True):
                with unwritable(target):
                    writer.put(*values[i])
            tell(sum(of_block.nbytes for _, of_block in values))

        for block in work.blocks:
            put(work.compute(block))  # which has no name here, or it would be in memory beside the next


def all_results(work: Work) -> list[Array]:
    """All results, in memory."""
    arrays = [np.empty(result.shape, result.dtype) for result in work.results]
    for block in work.blocks:
        for array, (region, values) in zip(arrays, work.compute(block), strict=True):
            array[region] = values
    return arrays
