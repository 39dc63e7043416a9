"""logmatmulexp of two .npy files: blocks of rows of the first, and matrices of the second that are whole in memory."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from smoothmax._api.products import logmatmulexp
from smoothmax._partial import states
from smoothmax._scale.block_results import Result, Work
from smoothmax._scale.blocks import BLOCK_BYTES
from smoothmax._scale.elementwise_blocks import broadcast_part
from smoothmax._scale.errors import Refused
from smoothmax._scale.npy_format import NpyReader
from smoothmax._scale.regions import Region, divide_into_regions

__all__ = ["product_of_files"]

Array = np.ndarray[Any, Any]
Lengths = tuple[int, ...]

PLAIN_COPIES = 4  # of a matrix, that plain NumPy takes where there are no kernels


def type_of_product(a: NpyReader, b: NpyReader, dtype: str | None) -> np.dtype[Any]:
    """The type of the result; what is wrong with types and shapes is refused by the function itself."""
    columns = 0 if len(b.shape) == 1 else -2
    fits = a.shape and b.shape and a.lengths[-1] == b.lengths[columns]
    try:
        np.broadcast_shapes(a.lengths[:-2], b.lengths[:-2])
    except ValueError:
        fits = False
    if not fits:  # nothing is computed of these, which have one element in memory
        logmatmulexp(*[np.broadcast_to(np.zeros((), reader.dtype), reader.lengths) for reader in (a, b)])
    one = [np.zeros((1, 1), reader.dtype) for reader in (a, b)]
    return np.asarray(logmatmulexp(*one, dtype=dtype)).dtype


def bytes_in_memory(elements: int, dtype: np.dtype[Any], result: np.dtype[Any]) -> int:
    """What elements of an operand take: themselves, as they are computed with, and their exponentials in panels."""
    if not states.has_partial_sums(result):
        return elements * (dtype.itemsize + PLAIN_COPIES * result.itemsize)
    computing = 8 if result == np.float64 else 4
    panels = -(-elements * computing * 4 // 3)  # filled to three quarters, if they are not small
    return elements * (dtype.itemsize + (0 if dtype == result and dtype.itemsize == computing else computing)) + panels


def product_of_files(a: NpyReader, b: NpyReader, dtype: str | None, exact: bool, max_memory: int) -> Work:
    """The product, block by block: of whole matrices of the stack if several fit, or of rows of one."""
    kind = type_of_product(a, b, dtype)
    row, column = a.lengths[-2:-1], b.lengths[-1:] if len(b.shape) > 1 else ()  # no axes where it is a vector
    stack: Lengths = np.broadcast_shapes(a.lengths[:-2], b.lengths[:-2])
    terms, rows, columns = a.lengths[-1], math.prod(row), math.prod(column)
    stacked = math.prod(b.lengths[:-2]) > 1
    matrix_bytes = bytes_in_memory(terms * columns, b.dtype, kind)
    row_bytes = bytes_in_memory(terms, a.dtype, kind) + columns * 2 * max(kind.itemsize, 4)
    if matrix_bytes + row_bytes > max_memory:
        raise Refused(
            f"max-memory must hold {'a matrix' if stacked else 'all'} of {b.path!r} and a row of {a.path!r}, with "
            f"exponentials and results, {matrix_bytes + row_bytes} bytes, got {max_memory}"
        )
    memory = min(matrix_bytes + BLOCK_BYTES, max_memory)
    own, shared = (matrix_bytes, 0) if stacked else (0, matrix_bytes)
    products = (memory - shared) // max(own + rows * row_bytes, 1)
    most_rows = rows if products else (memory - matrix_bytes) // max(row_bytes, 1)
    held: list[tuple[Region, Array]] = []

    def matrices(region: Region) -> Array:
        if not held or held[0][0] != region:
            held.clear()  # before the next is there
            held.append((region, b.part(region)))
        return held[0][1]

    def blocks() -> Iterator[tuple[Region, Region]]:
        for place in divide_into_regions(stack, range(len(stack)), products):
            for part in divide_into_regions(row, range(len(row)), most_rows):
                yield place, part

    def compute(block: tuple[Region, Region]) -> list[tuple[Region, Array]]:
        place, part = block
        whole = tuple(slice(0, n) for n in b.lengths[-2:])
        right = matrices((*broadcast_part(place, b.lengths[:-2]), *whole))
        left = a.part((*broadcast_part(place, a.lengths[:-2]), *part, slice(0, terms)))
        values = np.asarray(logmatmulexp(left, right, dtype=dtype, exact=exact))
        return [((*place, *part, *(slice(0, n) for n in column)), values)]

    return Work([Result((*stack, *row, *column), kind)], blocks(), compute)
