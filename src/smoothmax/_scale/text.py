"""Numbers as text, for people and for programs that read words, with just enough digits to be read back exactly."""

from typing import Any, TextIO

import numpy as np

__all__ = ["print_numbers"]


def print_numbers(array: np.ndarray[Any, Any], stream: TextIO) -> None:
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
