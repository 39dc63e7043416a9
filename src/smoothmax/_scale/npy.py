"""The three functions from one .npy file to another, of any size, in bounded memory."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from smoothmax._api import functions
from smoothmax._partial import states
from smoothmax._scale.blocks import Job
from smoothmax._scale.blocks import transform as transform_blocks
from smoothmax._scale.npy_format import NpyReader, NpyWriter, open_npy, write_array, write_header
from smoothmax._scale.output import new_file

__all__ = ["transform"]

Progress = Callable[[int], AbstractContextManager[Callable[[int], object]]]

WHOLE_RESULT_BYTES = 1 << 24  # a result of logsumexp up to this size is held in memory until all of it is known


def transform(
    name: str,
    source: str,
    target: str,
    *,
    axis: int | tuple[int, ...] | None,
    dtype: str | None,
    keepdims: bool,
    max_memory: int,
    replace: bool,
    progress: Progress,
) -> None:
    """Read `source`, write `target`. `progress` takes how many bytes will be read. Its context is a function to call
    with the bytes of each read.

    Raises Unreadable or Unwritable for the files, and what the functions raise for wrong arguments.
    """
    function = getattr(functions, name)
    with open_npy(source) as reader:
        computed = dtype_with_states(reader.dtype, dtype)
        if computed is None or not math.prod(reader.shape):
            keywords = {"keepdims": True} if keepdims else {}
            result = function(reader.read_all(), axis=axis, dtype=dtype, **keywords)
            with new_file(target, replace=replace) as file:
                write_array(file, np.asarray(result))
            return
        ndim = len(reader.shape)
        axes = states.axes_of(axis, ndim)
        if reader.reversed:
            axes = tuple(ndim - 1 - i for i in axes)
        passes = 1 if reader.nbytes <= max_memory else 2
        with progress(passes * reader.nbytes) as tell:
            job = Job(name, function, axes, keepdims, computed, max_memory, tell)
            transform_numbers(job, reader, target, replace)


def dtype_with_states(dtype: np.dtype[Any], wanted: str | None) -> np.dtype[Any] | None:
    """The type of the result, or None if it has no states: then no part of the array can be computed alone."""
    try:
        return states.dtype_of(np.empty(0, dtype), dtype=wanted)
    except TypeError:
        return None


def transform_numbers(job: Job, reader: NpyReader, target: str, replace: bool) -> None:
    """The job on a file that has elements, of a type that has states."""
    in_file = reader.shape
    if job.name == "logsumexp":
        in_file = tuple(1 if i in job.axis else n for i, n in enumerate(in_file) if job.keepdims or i not in job.axis)
        if math.prod(in_file) * job.dtype.itemsize <= WHOLE_RESULT_BYTES:
            values = np.empty(in_file, job.dtype)
            transform_blocks(job, reader, values)
            with new_file(target, replace=replace) as file:
                write_array(file, np.array(values.T if reader.reversed else values, order="C"))
            return
    with new_file(target, replace=replace) as file:
        write_header(file, in_file[::-1] if reader.reversed else in_file, reader.reversed, job.dtype)
        transform_blocks(job, reader, NpyWriter(file, in_file, job.dtype))
