"""Functions of the segments of an array that is larger than the allowed memory.

A block holds as many whole segments as fit. A segment that does not fit is reduced separately, in two passes.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from smoothmax._api import segments as functions
from smoothmax._scale.blocks import BLOCK_BYTES, STATE_BYTES, STRETCH_MIN_BYTES, Job, transform_in_two_passes
from smoothmax._scale.npy_format import NpyReader
from smoothmax._scale.regions import Region, divide_into_regions, shape_of_region, stretches

__all__ = ["segment"]

Array = np.ndarray[Any, Any]
REDUCES = "segment_logsumexp"


class OneSegment:
    """The place for the results of a segment that is reduced separately."""

    def __init__(self, target: Any, axis: int, index: int) -> None:
        self.target, self.axis, self.index = target, axis, index

    def __setitem__(self, region: Region, values: Array) -> None:
        self.target[with_slice(region, self.axis, self.index, self.index + 1)] = values


def with_slice(region: Region, axis: int, start: int, stop: int) -> Region:
    """The region with another slice along an axis."""
    return (*region[:axis], slice(int(start), int(stop)), *region[axis + 1 :])


def segment(job: Job, source: NpyReader, target: Any, offsets: Array) -> None:
    """Apply the function to all segments along the only axis of the job.

    With few positions on the other axes, whole segments fit. But if that would cut the file into short stretches, more
    positions are taken together, and long segments are reduced in two passes.
    """
    (axis,) = job.axis
    shape, outer_axes = source.shape, [i for i in range(len(source.shape)) if i != axis]
    most = max(min(BLOCK_BYTES, job.max_memory) // (source.dtype.itemsize + job.dtype.itemsize), 1)
    positions = most // int(np.max(np.diff(offsets), initial=1))
    first = next(divide_into_regions(shape, outer_axes, positions))
    stretch_bytes = stretches(shape, first)[1] * source.dtype.itemsize
    if not positions or (shape_of_region(first) != shape and stretch_bytes < STRETCH_MIN_BYTES):
        positions = min(most, job.max_memory // 2 // STATE_BYTES)
    for region in divide_into_regions(shape, outer_axes, positions):
        outer = math.prod(n for i, n in enumerate(shape_of_region(region)) if i != axis)
        segment_region(job, source, target, offsets, region, most // outer)


def segment_region(job: Job, source: NpyReader, target: Any, offsets: Array, region: Region, most: int) -> None:
    """Apply the function to all segments at some positions, in blocks of at most `most` elements along the axis."""
    (axis,) = job.axis
    n, first = len(offsets) - 1, 0
    while first < n:
        end = int(np.searchsorted(offsets, offsets[first] + most, side="right")) - 1
        if end > first:
            part = with_slice(region, axis, offsets[first], offsets[end])
            local = offsets[first : end + 1] - offsets[first]
            x = job.read(source, part)
            result = getattr(functions, job.name)(x, local, axis, dtype=job.dtype)
            target[with_slice(region, axis, first, end) if job.name == REDUCES else part] = result
        else:
            end = first + 1
            alone = dataclasses.replace(job, name=job.name.removeprefix("segment_"), keepdims=True)
            place = OneSegment(target, axis, first) if job.name == REDUCES else target
            transform_in_two_passes(alone, source, place, with_slice(region, axis, offsets[first], offsets[end]))
        first = end
