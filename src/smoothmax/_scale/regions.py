"""Regions of an array in C order: divide an array into regions, and find a region's stretches of the file."""

import itertools
import math
from collections.abc import Iterator, Sequence

__all__ = ["Region", "divide_into_regions", "shape_of_region", "stretches", "within"]

Region = tuple[slice, ...]  # a slice with start and stop for each axis


def divide_into_regions(shape: Sequence[int], axes: Sequence[int], max_positions: int) -> Iterator[Region]:
    """Divide an array along `axes`, in the order of the file, with at most max_positions positions in each region.

    Regions are whole along all other axes, and have at least one position. Their lengths along an axis differ by at
    most one, and the first is one of the longest. No region has fewer than a quarter of max_positions, unless the array
    has fewer, so a function takes the route of the whole array for each region where the route asks for a few rows.
    """
    parts: dict[int, int] = {}
    left = max(max_positions, 1)
    for axis in reversed(axes):
        length = max(min(shape[axis], left), 1)
        parts[axis] = -(-shape[axis] // length)
        left = left // length if length == shape[axis] else 1
    for index in itertools.product(*[range(parts[axis]) for axis in axes]):
        part_of = dict(zip(axes, index, strict=True))
        yield tuple(
            slice(-(-n * part_of[i] // parts[i]), -(-n * (part_of[i] + 1) // parts[i])) if i in parts else slice(0, n)
            for i, n in enumerate(shape)
        )


def shape_of_region(region: Region) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in region)


def within(region: Region, outer: Region) -> Region:
    """A region that is given relative to the region `outer`, as a region of the array."""
    return tuple(slice(o.start + r.start, o.start + r.stop) for r, o in zip(region, outer, strict=True))


def stretches(shape: Sequence[int], region: Region) -> tuple[Iterator[int], int]:
    """The starts of the contiguous stretches of a region, and their common length, in elements."""
    lengths = shape_of_region(region)
    whole_from = len(shape)  # the region is whole along this axis and all later ones
    while whole_from and lengths[whole_from - 1] == shape[whole_from - 1]:
        whole_from -= 1
    last_partial = max(whole_from - 1, 0)
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    offset = region[last_partial].start * strides[last_partial] if whole_from else 0
    outer = [range(part.start, part.stop) for part in region[:last_partial]]
    starts = (
        offset + sum(i * stride for i, stride in zip(index, strides, strict=False))
        for index in itertools.product(*outer)
    )
    return starts, math.prod(lengths[last_partial:])
