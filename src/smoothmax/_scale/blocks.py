"""The three functions on .npy files of any size: read, computed and written block by block, in bounded memory.

Blocks are read and written, not mapped: a full disk, or a file that shrinks meanwhile, is an error here, and a signal
that ends the process where memory is mapped; and what the process holds is what it has allocated.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smoothmax._partial import states as _states

__all__ = ["Job", "NpyReader", "NpyWriter", "Unreadable", "transform", "write_header"]

Array = np.ndarray[Any, Any]
Region = tuple[slice, ...]

BLOCK = 32 << 20  # bytes of a block, input and result: more gain nothing where they are one run
RUN = 1 << 16  # bytes that lie together from which reading them apart from others is as fast as reading all
STATE = 4 * _states.STATE.itemsize  # of memory for one: held, of a block, merged, and finished


# Regions -------------------------------------------------------------------------------------------------------------


def cut(shape: Sequence[int], dims: Sequence[int], most: int) -> Iterator[Region]:
    """Regions of an array, in the order of memory: all of it but along `dims`, and there at most so many positions."""
    steps: dict[int, int] = {}
    room = max(most, 1)
    for i in reversed(dims):
        steps[i] = max(min(shape[i], room), 1)
        room = room // steps[i] if steps[i] == shape[i] else 1
    for starts in itertools.product(*[range(0, shape[i], steps[i]) for i in dims]):
        begin = dict(zip(dims, starts, strict=True))
        yield tuple(
            slice(begin[i], min(begin[i] + steps[i], n)) if i in begin else slice(0, n) for i, n in enumerate(shape)
        )


def shape_of(region: Region) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in region)


def within(region: Region, outer: Region) -> Region:
    """A region of a region."""
    return tuple(slice(o.start + r.start, o.start + r.stop) for r, o in zip(region, outer, strict=True))


def runs(shape: Sequence[int], region: Region) -> tuple[Iterator[int], int]:
    """Where the runs of memory that make up a region begin, and their length; in elements."""
    sizes = shape_of(region)
    last = len(shape)
    while last and sizes[last - 1] == shape[last - 1]:
        last -= 1
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    length = math.prod(sizes[max(last - 1, 0) :])
    outer = [range(part.start, part.stop) for part in region[: max(last - 1, 0)]]
    first = region[last - 1].start * strides[last - 1] if last else 0
    starts = (
        first + sum(i * stride for i, stride in zip(index, strides, strict=False))
        for index in itertools.product(*outer)
    )
    return starts, length


# Files ---------------------------------------------------------------------------------------------------------------


class Unreadable(Exception):  # noqa: N818 (as Refused)
    """Why a file cannot be read: an OSError could be that of the file that is written."""


class NpyReader:
    """Regions of the array in an open .npy file, in the order of the file: `shape` is reversed for a Fortran one."""

    def __init__(self, file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.file, self.shape, self.dtype = file, shape, dtype
        self.offset = file.tell()

    def __getitem__(self, region: Region) -> Array:
        """The elements of a region; Unreadable where the file has no more, or the system gives none."""
        array = np.empty(shape_of(region), self.dtype)
        left = array.reshape(-1).view(np.uint8).data
        starts, length = runs(self.shape, region)
        for start in starts:
            part, left = left[: length * self.dtype.itemsize], left[length * self.dtype.itemsize :]
            try:
                self.file.seek(self.offset + start * self.dtype.itemsize)
                while part:
                    count = self.file.readinto(part)
                    if not count:
                        raise Unreadable("truncated")
                    part = part[count:]
            except OSError as error:
                raise Unreadable(error.strerror or str(error)) from error
        return array


def write_header(file: Any, shape: tuple[int, ...], fortran_order: bool, dtype: np.dtype[Any]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": fortran_order, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


class NpyWriter:
    """Regions of the array in a .npy file whose header is written already, in the order of the file."""

    def __init__(self, file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.file, self.shape, self.dtype = file, shape, dtype
        self.offset = file.tell()

    def __setitem__(self, region: Region, values: Array) -> None:
        left = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        starts, length = runs(self.shape, region)
        for start in starts:
            self.file.seek(self.offset + start * self.dtype.itemsize)
            part, left = left[: length * self.dtype.itemsize], left[length * self.dtype.itemsize :]
            while part:
                part = part[self.file.write(part) :]


# Functions -----------------------------------------------------------------------------------------------------------


@dataclass
class Job:
    """What to do with a file. `axis` is in the order of the file; `progress` is told of bytes that were read."""

    name: str
    function: Callable[..., Any]
    axis: tuple[int, ...]
    keepdims: bool
    dtype: np.dtype[Any]
    memory: int
    progress: Callable[[int], object]

    def read(self, source: NpyReader, region: Region) -> Array:
        x = source[region]
        self.progress(x.nbytes)
        return x

    def reduced(self, region: Region) -> Region:
        """A region of the states that belong to a region of the elements."""
        return tuple(slice(0, 1) if i in self.axis else part for i, part in enumerate(region))

    def put(self, target: Any, region: Region, result: Any) -> None:
        """Store the results of a region of elements."""
        if self.name == "logsumexp":
            region = tuple(part for i, part in enumerate(self.reduced(region)) if self.keepdims or i not in self.axis)
        target[region] = np.asarray(result).reshape(shape_of(region))


def transform(job: Job, source: NpyReader, target: Any) -> None:
    """Apply a function to all elements.

    Whole reductions at a time, as many as make a block, if such a block has long runs; else what keeps memory does: a
    first pass leaves a state for each reduction, a second one writes from it.
    """
    shape = source.shape
    kept = [i for i in range(len(shape)) if i not in job.axis]
    element = source.dtype.itemsize + job.dtype.itemsize
    reduction = element * math.prod([shape[i] for i in job.axis])
    for most in (min(BLOCK, job.memory), job.memory):
        first = next(cut(shape, kept, most // reduction))
        if element * math.prod(shape_of(first)) > most:
            continue
        if shape_of(first) == shape or runs(shape, first)[1] * source.dtype.itemsize >= RUN:
            for region in cut(shape, kept, most // reduction):
                x = job.read(source, region)
                job.put(target, region, job.function(x, axis=job.axis, dtype=job.dtype))
            return
    for region in cut(shape, kept, max(job.memory // 2 // STATE, 1)):
        by_states(job, source, target, region, min(BLOCK, job.memory // 2) // element)


def by_states(job: Job, source: NpyReader, target: Any, region: Region, most: int) -> None:
    """Reductions that are too long to be held, in two passes over blocks of at most so many elements."""
    states = _states.empty_states(shape_of(job.reduced(region)))
    for part in cut(shape_of(region), range(len(region)), most):
        x, held = job.read(source, within(part, region)), job.reduced(part)
        seen, _ = _states.reduced(job.name, x, job.axis, None, True, job.dtype)
        states[held] = _states.joined(job.name, states[held], seen, job.dtype)
    if job.name == "logsumexp":
        job.put(target, region, _states.finished(job.name, states, job.dtype))
        return
    for part in cut(shape_of(region), range(len(region)), most):
        x = job.read(source, within(part, region))
        result = _states.written(job.name, x, job.axis, True, states[job.reduced(part)], job.dtype)
        job.put(target, within(part, region), result)
