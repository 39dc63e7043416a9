"""Numbers as text, for people and for programs that read words, with just enough digits to be read back exactly."""

from typing import Any, TextIO

import numpy as np

from smoothmax._scale.errors import Refused

__all__ = ["check_printable", "print_numbers", "print_ranking"]

Array = np.ndarray[Any, Any]


def check_printable(number: int, nbytes: int, max_memory: int) -> None:
    """Refuse to print so many numbers if they do not fit into memory."""
    if nbytes > max_memory:
        raise Refused(f"the result has {number} numbers, more than memory: -o FILE writes them")


def print_numbers(array: Array, stream: TextIO) -> None:
    """Print an array: each row of the last axis on its own line, and an empty line between matrices."""
    if array.ndim < 2:
        for value in np.atleast_1d(array):
            print(value, file=stream)
        return
    rows = array.reshape(-1, array.shape[-1]) if array.size else array.reshape(0, 1)
    for i, row in enumerate(rows):
        if i and i % array.shape[-2] == 0:
            print(file=stream)
        print(*row, file=stream)


def print_ranking(values: Array, indices: Array, stream: TextIO) -> None:
    """Print a line for each element of one row, in their order: its index and its value."""
    for index, value in zip(indices.reshape(-1), values.reshape(-1), strict=True):
        print(index, value, file=stream)
