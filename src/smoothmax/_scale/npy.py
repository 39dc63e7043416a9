"""Apply the functions to a .npy file of any size in bounded memory, and write another file or print the result."""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from smoothmax._api import functions, scans, segments
from smoothmax._arrays.segments import axis_and_offsets
from smoothmax._partial import states
from smoothmax._scale.block_results import Progress
from smoothmax._scale.blocks import REDUCTIONS, Job, transform_blocks
from smoothmax._scale.blockwise import BLOCKWISE, transform_blockwise
from smoothmax._scale.errors import Refused
from smoothmax._scale.npy_format import NpyReader, NpyWriter, open_npy, write_array, write_header
from smoothmax._scale.output import open_output
from smoothmax._scale.request import Request
from smoothmax._scale.scanned_blocks import scan_file, scan_flat
from smoothmax._scale.segmented_blocks import segment
from smoothmax._scale.text import check_printable, print_numbers

__all__ = ["offsets_in_file", "transform_file"]

Array = np.ndarray[Any, Any]

WHOLE_RESULT_BYTES = 1 << 24  # results of reductions up to this size are held in memory until they are complete


def read_offsets(path: str) -> Array:
    with open_npy(path) as reader:
        return reader.read_all()


def offsets_in_file(path: str, axis: Any, lengths: tuple[int, ...]) -> tuple[int, Array]:
    """The axis that is divided, and the offsets in a file. If they are wrong, Refused names the file."""
    offsets = read_offsets(path)
    try:
        return axis_and_offsets(axis, offsets, lengths)
    except ValueError as error:
        raise error if isinstance(error, np.exceptions.AxisError) else Refused(f"{path!r}: {error}") from error


def transform_file(
    request: Request, source: str, target: str | None, *, max_memory: int, replace: bool, progress: Progress
) -> None:
    """Read `source`, and write `target` or, if that is None, print the result; "-" is standard input or output.

    `progress` takes the number of bytes that will be read. It is a context whose value is a function to call with the
    bytes of each read. Raises Unreadable or Unwritable for the files, and the errors of the functions for wrong
    arguments.
    """
    if request.name in BLOCKWISE:
        transform_blockwise(request, source, target, max_memory=max_memory, replace=replace, progress=progress)
        return
    with open_npy(source) as reader:
        computed = dtype_with_states(reader.dtype, request.dtype)
        if computed is None or not math.prod(reader.shape):
            write_or_print(result_of_array(request, reader), target, replace)
            return
        passes = 1 if reader.nbytes <= max_memory or request.name not in functions.__all__ else 2
        with progress(passes * reader.nbytes) as tell:
            job = Job(request.name, (), request.keepdims, request.scale, computed, max_memory, tell)
            transform_numbers(job, request, reader, target, replace)


def result_of_array(request: Request, reader: NpyReader) -> Any:
    """The result for an array that is read at once."""
    x = reader.read_all()
    if request.offsets is not None:
        axis, offsets = offsets_in_file(request.offsets, request.axis, x.shape)
        return getattr(segments, request.name)(x, offsets, axis, dtype=request.dtype)
    module = scans if request.name == "logcumsumexp" else functions
    return getattr(module, request.name)(x, **request.keywords())


def dtype_with_states(dtype: np.dtype[Any], wanted: str | None) -> np.dtype[Any] | None:
    """The type of the result; None if it has no states, because then no part can be computed separately."""
    try:
        return states.dtype_of(np.empty(0, dtype), dtype=wanted)
    except TypeError:
        return None


def transform_numbers(job: Job, request: Request, reader: NpyReader, target: str | None, replace: bool) -> None:
    """Do the job on a file that has elements of a type with states."""
    ndim, shape = len(reader.shape), reader.shape

    def in_file(axis: int) -> int:
        return ndim - 1 - axis if reader.reversed else axis

    if request.offsets is not None:
        lengths = shape[::-1] if reader.reversed else shape
        axis, offsets = offsets_in_file(request.offsets, request.axis, lengths)
        job.axis = (in_file(axis),)
        if request.name == "segment_logsumexp":
            shape = tuple(len(offsets) - 1 if i in job.axis else n for i, n in enumerate(shape))
        write_regions(job, shape, reader.reversed, target, replace, lambda place: segment(job, reader, place, offsets))
    elif request.name == "logcumsumexp":
        along = states.one_axis_of(request.axis, ndim)
        if along is None or ndim == 0:
            way, shape, reversed_ = scan_flat, (math.prod(shape),), False
        else:
            way, job.axis, reversed_ = scan_file, (in_file(along),), reader.reversed
        flags = request.reverse, request.exclusive
        write_regions(job, shape, reversed_, target, replace, lambda place: way(job, reader, place, *flags))
    else:
        job.axis = tuple(in_file(axis) for axis in states.axes_of(request.axis, ndim))
        if job.name in REDUCTIONS:
            shape = tuple(1 if i in job.axis else n for i, n in enumerate(shape) if job.keepdims or i not in job.axis)
        write_regions(job, shape, reader.reversed, target, replace, lambda place: transform_blocks(job, reader, place))


def write_regions(
    job: Job,
    shape: tuple[int, ...],
    reversed_: bool,
    target: str | None,
    replace: bool,
    compute: Callable[[Any], object],
) -> None:
    """Write results of this shape in the order of the file; `compute` stores them region by region."""
    nbytes = math.prod(shape) * job.dtype.itemsize
    reduces = job.name in REDUCTIONS or job.name == "segment_logsumexp"
    if target is None or (reduces and nbytes <= WHOLE_RESULT_BYTES):
        if target is None:
            check_printable(math.prod(shape), nbytes, job.max_memory)
        values = np.empty(shape, job.dtype)
        compute(values)
        write_or_print(np.array(values.T if reversed_ else values, order="C"), target, replace)
        return
    with open_output(target, replace=replace) as file:
        write_header(file, shape[::-1] if reversed_ else shape, reversed_, job.dtype)
        compute(NpyWriter(file, shape, job.dtype))


def write_or_print(result: Any, target: str | None, replace: bool) -> None:
    """Write or print a result that is in memory."""
    if target is None:
        print_numbers(np.asarray(result), sys.stdout)
        return
    with open_output(target, replace=replace) as file:
        write_array(file, np.asarray(result))
