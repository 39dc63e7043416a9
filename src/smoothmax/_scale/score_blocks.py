"""top_log_probs and categorical of the rows of a .npy file of any size, with the results of one call, bit for bit.

Rows that are short lie side by side in tiles if there are SCORE_TILE_MIN_ROWS of them, and are summed in another order
there. Blocks have four times as many at least, so `divide_into_regions` gives none that is computed in another way than
the whole array.
"""

import math
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from smoothmax._api import scores
from smoothmax._arrays import scores as arrays
from smoothmax._partial import states
from smoothmax._scale.block_results import Result, Work
from smoothmax._scale.blocks import fast_positions
from smoothmax._scale.errors import Refused
from smoothmax._scale.npy_format import NpyReader, in_other_order
from smoothmax._scale.regions import Region, divide_into_regions, shape_of_region, stretches
from smoothmax._thresholds import limits

__all__ = ["draws_of_file", "top_of_file"]

Array = np.ndarray[Any, Any]
T = TypeVar("T")

INDEX = np.dtype(np.intp)
PLAIN_COPIES = 6  # of the elements, that plain NumPy takes while it sorts and sums a type without kernels
DRAW_BYTES = 24  # of a draw: its uniform number, a copy of that, and its index


class Rows:
    """The rows of a file along an axis, in blocks, of which one is in memory at a time."""

    def __init__(self, reader: NpyReader, axis: Any, max_memory: int) -> None:
        self.reader, self.max_memory = reader, max_memory
        # What the function refuses, a type or an axis, it refuses of an array of one element, too.
        one = np.zeros((1,) * len(reader.shape), reader.dtype)
        self.dtype = scores.top_log_probs(one, 0, axis)[0].dtype
        (self.along,) = states.axes_of(axis, len(reader.shape))
        self.length = reader.lengths[self.along]
        self.positions = self.beside(reader.lengths)
        self.bytes_of_one = self.length * reader.dtype.itemsize
        if not states.has_partial_sums(self.dtype):
            self.bytes_of_one *= PLAIN_COPIES
        in_file = len(reader.shape) - 1 - self.along if reader.reversed else self.along
        self.axes = [i for i in range(len(reader.shape)) if i != in_file]
        self.held: tuple[Region, Array] | None = None

    def beside(self, of_axes: tuple[T, ...]) -> tuple[T, ...]:
        """What belongs to each axis but that of the rows."""
        return of_axes[: self.along] + of_axes[self.along + 1 :]

    def most(self, results_bytes: int) -> int:
        """How many rows a block may have: as few as are read fast, or as many as memory holds, which may be none."""
        row_bytes = max(self.bytes_of_one + results_bytes, 1)
        return fast_positions(self.reader, self.axes, row_bytes, self.max_memory) or self.max_memory // row_bytes

    def refusal(self, results_bytes: int) -> Refused:
        return Refused(
            f"max-memory must hold a row of {self.reader.path!r} with its results, "
            f"{self.bytes_of_one + results_bytes} bytes, got {self.max_memory}"
        )

    def blocks(self, number: int) -> Iterator[Region]:
        """Blocks of at most so many rows, in the order of the file."""
        for region in divide_into_regions(self.reader.shape, self.axes, number):
            yield in_other_order(region, self.reader.reversed)

    def __getitem__(self, region: Region) -> Array:
        if self.held is None or self.held[0] != region:
            self.held = None  # before the next is there
            self.held = region, self.reader.part(region)
        return self.held[1]


# The largest ---------------------------------------------------------------------------------------------------------


def top_of_file(reader: NpyReader, k: int, axis: Any, max_memory: int) -> Work:
    """The log-probabilities and the indices."""
    rows = Rows(reader, axis, max_memory)
    along = rows.along
    k = arrays.checked_number(k, rows.length, axis)
    results_bytes = k * (rows.dtype.itemsize + INDEX.itemsize)
    number = rows.most(results_bytes)
    if not number:
        raise rows.refusal(results_bytes)

    def compute(region: Region) -> list[tuple[Region, Array]]:
        values, indices = scores.top_log_probs(rows[region], k, along)
        place = (*region[:along], slice(0, k), *region[along + 1 :])
        return [(place, values), (place, indices)]

    shape = (*reader.lengths[:along], k, *reader.lengths[along + 1 :])
    return Work([Result(shape, dtype, reader.reversed) for dtype in (rows.dtype, INDEX)], rows.blocks(number), compute)


# Draws ---------------------------------------------------------------------------------------------------------------


class UniformNumbers:
    """Regions of what `numpy.random.default_rng(seed).random(shape)` gives, in any order.

    Each number takes one step of the generator, which can skip steps.
    """

    def __init__(self, seed: int | None, shape: tuple[int, ...]) -> None:
        self.shape, self.generator, self.at = shape, np.random.default_rng(seed), 0

    def __getitem__(self, region: Region) -> Array:
        numbers = np.empty(shape_of_region(region))
        flat = numbers.reshape(-1)
        starts, length = stretches(self.shape, region)
        for i, start in enumerate(starts):
            self.generator.bit_generator.advance(start - self.at)  # type: ignore[attr-defined]
            self.generator.random(out=flat[i * length : (i + 1) * length])
            self.at = start + length
        return numbers


def draws_of_file(reader: NpyReader, axis: Any, size: Any, scale: float, rng: int | None, max_memory: int) -> Work:
    """The indices. Where those of few rows fill the memory, a block has a part of them."""
    rows = Rows(reader, axis, max_memory)
    shape = arrays.checked_size(arrays.lengths_of(size), size, rows.positions)
    if not rows.length:
        scores.categorical(reader.read_all(), axis, size=size)  # refused, if there is a row to draw from
    first = len(shape) - len(rows.positions)
    # Along the other axes of the result, draws are from the same rows.
    of_rows = [j for j in range(first, len(shape)) if rows.positions[j - first] == shape[j]]
    of_draws = [j for j in range(len(shape)) if j not in of_rows]
    draws = max(math.prod(shape[j] for j in of_draws), 1)
    limit = limits()
    few = 4 * limit["SCORE_TILE_MIN_ROWS"] if rows.length <= limit["DRAW_TILE_ELEMENTS"] else 1
    few = min(few, math.prod(rows.positions))
    number = rows.most(draws * DRAW_BYTES)
    if number < few:
        number, draws = few, (max_memory // few - rows.bytes_of_one) // DRAW_BYTES
    if draws < 1:
        raise rows.refusal(DRAW_BYTES)
    uniform_numbers = UniformNumbers(rng, shape)

    def blocks() -> Iterator[tuple[Region, Region]]:
        for region in rows.blocks(number):
            beside = rows.beside(region)
            for part in divide_into_regions(shape, of_draws, draws):
                yield region, tuple(beside[j - first] if j in of_rows else part[j] for j in range(len(shape)))

    def compute(block: tuple[Region, Region]) -> list[tuple[Region, Array]]:
        region, place = block
        begin = [part.start for part in rows.beside(region)]
        drawn = arrays.drawn(rows[region], uniform_numbers[place], rows.along, scale, begin)
        return [(place, np.asarray(drawn))]

    return Work([Result(shape, INDEX)], blocks() if math.prod(shape) else (), compute)
