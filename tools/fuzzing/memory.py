"""Memory that begins and ends at a protected page, for arrays of any layout."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
PAGE = mmap.PAGESIZE


class Failure(Exception):  # noqa: N818 (it is a finding)
    """A call broke a rule. The first word is the kind of failure; a smaller call must fail in the same way."""


libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Arena:
    """Bytes between two pages that may be neither read nor written."""

    free: dict[int, list[Arena]] = {}  # noqa: RUF012 (one for all)

    def __init__(self, size: int) -> None:
        self.size = size
        self.map = mmap.mmap(-1, size + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        for guard in (start, start + PAGE + size):
            if libc.mprotect(guard, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes = np.frombuffer(self.map, np.uint8, size, PAGE)

    @classmethod
    def take(cls, size: int) -> Arena:
        """An arena of at least this many bytes, which belongs to the caller until give_back."""
        pages = 1 << max(0, (max(size, 1) - 1) // PAGE).bit_length()
        waiting = cls.free.setdefault(pages * PAGE, [])
        return waiting.pop() if waiting else cls(pages * PAGE)

    def give_back(self) -> None:
        """Make this arena free for another array."""
        self.free[self.size].append(self)


class Memory:
    """The arenas of one call."""

    def __init__(self) -> None:
        self.arenas: list[Arena] = []
        self.blocks: list[tuple[Array, Array, Array]] = []  # an output, all bytes around it, and a copy of these bytes

    def place(self, shape: tuple[int, ...], dtype: Any, how: Case, beside: int = 0) -> tuple[Array, Array]:
        """An empty array in the layout, and the bytes of its arena; with room for more elements before it."""
        dtype = np.dtype(dtype)
        strides, step = [0] * len(shape), dtype.itemsize
        order, pad = how.get("order"), how.get("pad")
        axes = range(len(shape) - 1, -1, -1)
        for axis in sorted(axes, key=lambda i: -order[i]) if order else axes:
            strides[axis] = step * pad[axis] if pad else step
            step = strides[axis] * max(shape[axis], 1)
        spans = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
        block = sum(spans) + dtype.itemsize if 0 not in shape else 0
        block += beside * dtype.itemsize
        shift = how.get("shift", 0)
        arena = Arena.take(block + shift)
        self.arenas.append(arena)
        at = arena.size - block - shift if how.get("guard", "end") == "end" else shift
        at += beside * dtype.itemsize
        for axis, flip in enumerate(how.get("flip", [])):
            if flip and shape[axis]:
                at += spans[axis]
                strides[axis] = -strides[axis]
        if 0 in shape:
            at = 0
        return np.ndarray(shape, dtype, arena.bytes, at, strides), arena.bytes

    def watch(self, out: Array, around: Array) -> None:
        """Note the bytes around this output, which must not change."""
        self.blocks.append((out, around, around.copy()))

    def check(self) -> None:
        """Raise if any bytes around an output have changed."""
        for out, around, before in self.blocks:
            offset = out.__array_interface__["data"][0] - around.__array_interface__["data"][0]
            if out.size:
                np.ndarray(out.shape, out.dtype, before, offset, out.strides)[...] = out
            if around.data == before.data:
                continue
            # nan may be copied with other bits, and longdouble has padding
            view = np.ones(around.size, bool)
            if out.size:
                inside = np.zeros(around.size, np.uint8)
                octets = np.ndarray((*out.shape, out.dtype.itemsize), np.uint8, inside, offset, (*out.strides, 1))
                octets[...] = 1
                view = inside == 0
            if not np.array_equal(around[view], before[view]):
                raise Failure("wrote beside the output")

    def release(self) -> None:
        """Give all arenas back."""
        for arena in self.arenas:
            arena.give_back()
