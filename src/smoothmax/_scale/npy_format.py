"""The .npy format: check the header, and read and write regions of the array that follows it.

Files are read and written, not mapped. With mapped memory, a full disk or a file that shrinks would end the process by
a signal, and the pages would count as its memory. np.load is not used, because it also accepts archives and pickles,
and cannot say in one sentence what is wrong with a file.
"""

import contextlib
import math
import os
import stat
import sys
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from smoothmax._scale.errors import Unreadable, reason
from smoothmax._scale.regions import Region, shape_of_region, stretches
from smoothmax._scale.spool import copy_stream, open_spool

__all__ = ["NpyReader", "NpyWriter", "in_other_order", "open_npy", "write_array", "write_header"]

Array = np.ndarray[Any, Any]


T = TypeVar("T")


def in_other_order(of_axes: tuple[T, ...], reversed_: bool) -> tuple[T, ...]:
    """What belongs to each axis of a file as what belongs to each axis of the array, or the other way round."""
    return of_axes[::-1] if reversed_ else of_axes


class NpyReader:
    """Regions of the array in an open .npy file, in the order of the file: `shape` is reversed for Fortran's order."""

    def __init__(self, path: str, file: Any, shape: tuple[int, ...], dtype: np.dtype[Any], reversed_: bool) -> None:
        self.path, self.file, self.shape, self.dtype, self.reversed = path, file, shape, dtype, reversed_
        self.offset = file.tell()

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def lengths(self) -> tuple[int, ...]:
        """The shape of the array, and not of the file."""
        return in_other_order(self.shape, self.reversed)

    def part(self, region: Region) -> Array:
        """The elements of a region, with its axes in the array's order and not in the file's."""
        elements = self[in_other_order(region, self.reversed)]
        return elements.T if self.reversed else elements

    def read_all(self) -> Array:
        """The whole array, with its axes in the array's order and not in the file's."""
        return self.part(tuple(slice(0, n) for n in self.lengths))

    def __getitem__(self, region: Region) -> Array:
        """The elements of a region. Raises Unreadable if the file has become shorter, or the system cannot read it."""
        array = np.empty(shape_of_region(region), self.dtype)
        missing = array.reshape(-1).view(np.uint8).data
        starts, length = stretches(self.shape, region)
        for start in starts:
            stretch, missing = missing[: length * self.dtype.itemsize], missing[length * self.dtype.itemsize :]
            try:
                self.file.seek(self.offset + start * self.dtype.itemsize)
                while stretch:
                    count = self.file.readinto(stretch)
                    if not count:
                        raise Unreadable(self.path, "truncated")
                    stretch = stretch[count:]
            except OSError as error:
                raise Unreadable(self.path, reason(error)) from error
        return array


class NpyWriter:
    """Regions of the array in a .npy file whose header is written already, in the order of the file."""

    def __init__(self, file: Any, shape: tuple[int, ...], dtype: np.dtype[Any], reversed_: bool = False) -> None:
        self.file, self.shape, self.dtype, self.reversed = file, shape, dtype, reversed_
        self.offset = file.tell()

    def put(self, region: Region, values: Array) -> None:
        """Write a region, with the axes of the array and not of the file."""
        self[in_other_order(region, self.reversed)] = values.T if self.reversed else values

    def __setitem__(self, region: Region, values: Array) -> None:
        unwritten = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        starts, length = stretches(self.shape, region)
        for start in starts:
            self.file.seek(self.offset + start * self.dtype.itemsize)
            stretch, unwritten = unwritten[: length * self.dtype.itemsize], unwritten[length * self.dtype.itemsize :]
            while stretch:
                stretch = stretch[self.file.write(stretch) :]


def without_waiting(path: str, flags: int) -> int:
    """Open a file. A pipe is opened without waiting for a writer, because everything but regular files is refused."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextlib.contextmanager
def open_regular(path: str) -> Iterator[Any]:
    """A regular file, open to be read in any order. "-" is standard input; a pipe is first copied to a file."""
    if path != "-":
        with open(path, "rb", buffering=0, opener=without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable(path, "not a regular file")
            yield file
        return
    stream = sys.stdin.buffer
    if stream.isatty():
        raise Unreadable(path, "standard input is a terminal")
    with open_spool() as held:
        start = stream.read(len(np.lib.format.MAGIC_PREFIX))
        held.write(start)
        if start == np.lib.format.MAGIC_PREFIX:  # otherwise an endless stream of other data would fill the disk
            copy_stream(stream, held)
        held.seek(0)
        yield held


def bytes_left(file: Any) -> int:
    """The bytes from here to the end."""
    here = file.tell()
    length = file.seek(0, os.SEEK_END) - here
    file.seek(here)
    return int(length)


@contextlib.contextmanager
def open_npy(path: str) -> Iterator[NpyReader]:
    """Open a .npy file, and check its header and length; raises Unreadable. "-" is standard input."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path))
            shape, fortran_order, dtype = read_header(path, file)
            np.empty((0,) * len(shape))  # NumPy raises if there are too many axes
            if dtype.kind not in "biufc":
                raise Unreadable(path, f"it must hold an array of numbers, got dtype {dtype}")
            needed = math.prod(shape) * dtype.itemsize
            found = bytes_left(file)
            if found < needed:
                raise Unreadable(path, f"truncated, {needed} bytes of data needed, got {found}")
            if math.prod(n or 1 for n in shape) * dtype.itemsize > sys.maxsize:
                raise Unreadable(path, f"no array can have the shape {shape}")
        except (OSError, ValueError) as error:
            raise Unreadable(path, reason(error)) from error
        reversed_ = fortran_order and sum(n != 1 for n in shape) > 1
        yield NpyReader(path, file, shape[::-1] if reversed_ else shape, dtype, reversed_)


def read_header(path: str, file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape, whether the order is Fortran's, and the dtype."""
    layout = np.lib.format
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that Python 2 wrote
            if layout.read_magic(file) == (1, 0):
                shape, fortran_order, dtype = layout.read_array_header_1_0(file)
            else:  # 3.0 differs from 2.0 only in names of fields, and dtypes with fields are refused later
                shape, fortran_order, dtype = layout.read_array_header_2_0(file)
        if min(shape, default=0) < 0:
            raise ValueError(f"negative shape {shape}")
    except OSError:
        raise
    except Exception as error:  # arbitrary bytes make NumPy's parsers raise more than ValueError
        file.seek(0)
        if file.read(4) == b"PK\x03\x04":
            raise Unreadable(path, "an .npz archive; unzip it and name one of its .npy files") from error
        raise Unreadable(path, "not a .npy file") from error
    return shape, fortran_order, dtype


def write_header(file: Any, shape: tuple[int, ...], fortran_order: bool, dtype: np.dtype[Any]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": fortran_order, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_array(file: Any, array: Array) -> None:
    """Write a whole .npy file."""
    # To a real file NumPy writes with tofile, which silently loses the last buffer on a full disk (NumPy 2.4).
    np.lib.format.write_array(SimpleNamespace(write=file.write), array, allow_pickle=False)
