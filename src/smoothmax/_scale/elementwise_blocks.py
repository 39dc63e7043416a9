"""The ufuncs of one or two .npy files of any size, whose shapes broadcast.

What NumPy would make of the arrays, their type and the order of their axes in memory, it says of arrays that are as
small as can be.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from smoothmax._api import elementwise
from smoothmax._scale.block_results import Result, Work
from smoothmax._scale.blocks import BLOCK_BYTES
from smoothmax._scale.npy_format import NpyReader, in_other_order
from smoothmax._scale.regions import Region, divide_into_regions

__all__ = ["applied", "broadcast_part", "elements_of_files", "shape_of_operands"]

Array = np.ndarray[Any, Any]


def small_array(reader: NpyReader) -> Array:
    """An array of at most two elements along each axis, in the order of the file; a number as it is.

    NumPy 1 looks at numbers when it chooses a type.
    """
    if not reader.shape:
        return reader.read_all()
    small = np.zeros([min(n, 2) for n in reader.shape], reader.dtype)
    return small.T if reader.reversed else small


def shape_of_operands(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of the result of operands with these shapes."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"the shapes of x1 and x2 must broadcast, got {' and '.join(map(str, shapes))}") from None


def broadcast_part(region: Region, lengths: tuple[int, ...]) -> Region:
    """The region of an array of these lengths that broadcasts to a region of the result."""
    last = region[len(region) - len(lengths) :]
    return tuple(slice(0, 1) if n == 1 else part for n, part in zip(lengths, last, strict=True))


def applied(ufunc: Any, operands: Sequence[Array], dtype: Any) -> Array:
    """The result of a ufunc, in silence: NumPy casts operands to another dtype, and warns where they overflow."""
    with np.errstate(all="ignore"):
        return np.asarray(ufunc(*operands, **({} if dtype is None else {"dtype": dtype})))


def elements_of_files(name: str, readers: Sequence[NpyReader], dtype: str | None, max_memory: int) -> Work:
    """The function of the elements, block by block in the order of the result."""
    ufunc = getattr(elementwise, name)
    shape = shape_of_operands([reader.lengths for reader in readers])
    small = applied(ufunc, [small_array(reader) for reader in readers], dtype)
    result = Result(shape, small.dtype, small.flags.fnc)
    element_bytes = sum(reader.dtype.itemsize for reader in readers) + result.dtype.itemsize
    elements = min(BLOCK_BYTES, max_memory) // element_bytes

    def compute(region: Region) -> list[tuple[Region, Array]]:
        region = in_other_order(region, result.reversed)
        parts = [reader.part(broadcast_part(region, reader.lengths)) for reader in readers]
        return [(region, applied(ufunc, parts, dtype))]

    blocks = divide_into_regions(in_other_order(shape, result.reversed), range(len(shape)), elements)
    return Work([result], blocks if math.prod(shape) else (), compute)
