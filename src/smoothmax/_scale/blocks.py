"""Reduce an array that is larger than the allowed memory, block by block.

Blocks hold whole reductions if enough of these fit in memory. Otherwise there are two passes: the first computes a
state for each reduction, and the second computes the results from the states.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smoothmax._api import functions
from smoothmax._partial import states
from smoothmax._scale.npy_format import NpyReader
from smoothmax._scale.regions import Region, divide_into_regions, shape_of_region, stretches, within

__all__ = [
    "BLOCK_BYTES", "REDUCTIONS", "STATE_BYTES", "STRETCH_MIN_BYTES", "Job", "fast_positions", "transform_blocks",
    "transform_in_two_passes",
]  # fmt: skip

Array = np.ndarray[Any, Any]

BLOCK_BYTES = 32 << 20  # of a block, elements and results: larger ones gain nothing if contiguous in the file
STRETCH_MIN_BYTES = 1 << 16  # stretches this long are read as fast as the whole file
STATE_BYTES = 4 * states.STATE.itemsize  # a reduction has four states: held, of the block, merged and finished
REDUCTIONS = ("logsumexp", "logmeanexp")  # one result for each reduction; other functions have one for each element


@dataclass
class Job:
    """What to compute, with axes in the order of the file. `progress` is called with the number of bytes read."""

    name: str
    axis: tuple[int, ...]
    keepdims: bool
    scale: float
    dtype: np.dtype[Any]
    max_memory: int
    progress: Callable[[int], object]

    def read(self, source: NpyReader, region: Region) -> Array:
        x = source[region]
        self.progress(x.nbytes)
        return x

    def computed(self, x: Array) -> Any:
        """The results of whole reductions."""
        return getattr(functions, self.name)(x, axis=self.axis, dtype=self.dtype, scale=self.scale)

    def finished(self, held: Array, shape: tuple[int, ...]) -> Array:
        """The results of reductions, one for each, in this shape, from their states."""
        if self.name == "logmeanexp":
            return states.means(held, np.array(math.prod(shape[i] for i in self.axis)), self.dtype)
        result: Array = states.finished(self.name, held, self.dtype)
        return result

    def reduced(self, region: Region) -> Region:
        """The region of the states that belong to a region of the elements."""
        return tuple(slice(0, 1) if i in self.axis else part for i, part in enumerate(region))

    def store(self, target: Any, region: Region, result: Any) -> None:
        """Store the results of a region of the elements."""
        if self.name in REDUCTIONS:
            region = tuple(part for i, part in enumerate(self.reduced(region)) if self.keepdims or i not in self.axis)
        target[region] = np.asarray(result).reshape(shape_of_region(region))


def fast_positions(source: NpyReader, axes: Sequence[int], position_bytes: int, max_memory: int) -> int:
    """How many positions of these axes make blocks that fit into memory and are read fast; 0 if none do.

    A position takes so many bytes of elements and results.
    """
    for block_bytes in (min(BLOCK_BYTES, max_memory), max_memory):
        positions = block_bytes // max(position_bytes, 1)
        first = next(divide_into_regions(source.shape, axes, positions), None)
        if positions and first is not None:
            stretch_bytes = stretches(source.shape, first)[1] * source.dtype.itemsize
            if shape_of_region(first) == source.shape or stretch_bytes >= STRETCH_MIN_BYTES:
                return positions
    return 0


def transform_blocks(job: Job, source: NpyReader, target: Any) -> None:
    """Apply the function to all elements, in one pass if blocks of whole reductions can be read fast."""
    shape = source.shape
    outer_axes = [i for i in range(len(shape)) if i not in job.axis]
    element_bytes = source.dtype.itemsize + job.dtype.itemsize
    reduction_bytes = element_bytes * math.prod([shape[i] for i in job.axis])
    positions = fast_positions(source, outer_axes, reduction_bytes, job.max_memory)
    if positions:
        for region in divide_into_regions(shape, outer_axes, positions):
            job.store(target, region, job.computed(job.read(source, region)))
        return
    for region in divide_into_regions(shape, outer_axes, job.max_memory // 2 // STATE_BYTES):
        transform_in_two_passes(job, source, target, region)


def transform_in_two_passes(job: Job, source: NpyReader, target: Any, region: Region) -> None:
    """Compute reductions that no block can hold, with half of the memory for states and half for blocks."""
    element_bytes = source.dtype.itemsize + job.dtype.itemsize
    block_elements = min(BLOCK_BYTES, job.max_memory // 2) // element_bytes
    axes = range(len(region))
    held = states.empty_states(shape_of_region(job.reduced(region)))
    for part in divide_into_regions(shape_of_region(region), axes, block_elements):
        x, place = job.read(source, within(part, region)), job.reduced(part)
        of_block, _ = states.reduced(job.name, x, job.axis, b=None, where=True, dtype=job.dtype, scale=job.scale)
        held[place] = states.joined(job.name, held[place], of_block, job.dtype)
    if job.name in REDUCTIONS:
        job.store(target, region, job.finished(held, shape_of_region(region)))
        return
    for part in divide_into_regions(shape_of_region(region), axes, block_elements):
        x = job.read(source, within(part, region))
        result = states.written(
            job.name, x, job.axis, where=True, states=held[job.reduced(part)], dtype=job.dtype, scale=job.scale
        )
        job.store(target, within(part, region), result)
