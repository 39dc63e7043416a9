"""logcumsumexp of an array that is larger than the allowed memory: each block starts from the states of earlier blocks.

Every block is read once.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from smoothmax._partial import states
from smoothmax._scale.blocks import BLOCK_BYTES, STATE_BYTES, Job
from smoothmax._scale.npy_format import NpyReader
from smoothmax._scale.regions import Region, divide_into_regions, shape_of_region, within

__all__ = ["scan_file", "scan_flat"]

Array = np.ndarray[Any, Any]
OPERATION = "logmeanexp"  # its states have exact terms, which prefixes near 0 need


def ordered_regions(regions: Iterator[Region], reverse: bool) -> Iterator[Region]:
    return reversed(list(regions)) if reverse else regions


def block_elements(job: Job, source: NpyReader) -> int:
    """The number of elements of a block, if states take the other half of the memory."""
    return min(BLOCK_BYTES, job.max_memory // 2) // (source.dtype.itemsize + job.dtype.itemsize)


def go_on(job: Job, x: Array, axis: int, before: Array, reverse: bool, exclusive: bool) -> tuple[Array, Array]:
    """The results of a block, and the states of all elements up to its end."""
    of_block, _ = states.reduced(OPERATION, x, axis, b=None, where=True, dtype=job.dtype)
    result = states.scanned(x, axis, reverse, exclusive, before, job.dtype)
    return result, states.joined(OPERATION, before, of_block, job.dtype)


def scan_file(job: Job, source: NpyReader, target: Any, reverse: bool, exclusive: bool) -> None:
    """Scan along the only axis of the job."""
    (axis,) = job.axis
    shape = source.shape
    outer_axes = [i for i in range(len(shape)) if i != axis]
    for region in divide_into_regions(shape, outer_axes, job.max_memory // 2 // STATE_BYTES):
        held = states.empty_states(shape_of_region(job.reduced(region)))
        parts = divide_into_regions(shape_of_region(region), range(len(shape)), block_elements(job, source))
        for part in ordered_regions(parts, reverse):
            x, place = job.read(source, within(part, region)), job.reduced(part)
            result, held[place] = go_on(job, x, axis, np.ascontiguousarray(held[place]), reverse, exclusive)
            target[within(part, region)] = result


def scan_flat(job: Job, source: NpyReader, target: Any, reverse: bool, exclusive: bool) -> None:
    """Scan all elements in C's order of the array, which is not the order of the file if that is Fortran's."""
    shape = source.shape[::-1] if source.reversed else source.shape
    held, size = states.empty_states((1,)), int(np.prod(shape))
    begin = size if reverse else 0
    for region in ordered_regions(divide_into_regions(shape, range(len(shape)), block_elements(job, source)), reverse):
        x = job.read(source, region[::-1]).T if source.reversed else job.read(source, region)
        begin -= x.size if reverse else 0
        result, held = go_on(job, x.reshape(-1), 0, held, reverse, exclusive)
        target[slice(begin, begin + x.size),] = result
        begin += 0 if reverse else x.size
