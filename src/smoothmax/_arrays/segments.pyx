"""Functions of segments: from arguments to a plan, and back to results."""

import operator

cimport numpy as cnp
import numpy as np
from cpython.pyport cimport PY_SSIZE_T_MAX
from numpy.exceptions import AxisError

from smoothmax._arrays.call cimport (
    MAX_DIMENSIONS, READ_BEFORE_WRITTEN, READ_IN_ANY_ORDER, Shape, as_array, as_base, check_out, divide_arrays,
    kernel_type, mark_axes, new_result, plain_segments, prepare, put_result, refuse_dask, requested_dtype, result_dtype,
    shape_of, shown, size_of, without_overlap,
)
from smoothmax._arrays.elements cimport has_kernels, number_of
from smoothmax._kernels.interface cimport LOGSUMEXP, Operation
from smoothmax._schedule.plan cimport RESULT, Plan
from smoothmax._schedule.route cimport EMPTY
from smoothmax._schedule.segments cimport Segments
from smoothmax._schedule.walk cimport note

cnp.import_array()

# The offsets of more segments, which are one more than the segments, would not fit in an array.
cdef Py_ssize_t MOST_SEGMENTS = PY_SSIZE_T_MAX//<Py_ssize_t>sizeof(Py_ssize_t) - 1


cdef cnp.ndarray as_integers(object given, str name):
    """The argument as an array of integers with one axis."""
    if type(given) is not cnp.ndarray:
        if isinstance(given, np.ma.MaskedArray):
            raise TypeError(f"{name} must not be a masked array: pass its filled(value)")
        refuse_dask(given, name)
    array = np.asarray(given)
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"{name} must be integers, got dtype {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have one axis, got shape {array.shape}")
    return array


cdef cnp.ndarray in_memory(cnp.ndarray array):
    """The integers as contiguous, aligned, native intp."""
    return cnp.PyArray_FROM_OTF(array, cnp.NPY_INTP, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED
                                | cnp.NPY_ARRAY_FORCECAST)


cdef bint are_offsets(const cnp.npy_intp *offsets, Py_ssize_t n, Py_ssize_t length) noexcept nogil:
    """Whether n offsets go from 0 to the length and do not decrease.

    Differences of numbers that are not negative do not overflow, so a sign bit tells of a negative number or of a
    decrease. Every processor has vectors for this loop, but not every one compares 64 bits by vectors.
    """
    cdef Py_ssize_t i
    cdef size_t signs = 0
    for i in range(1, n):
        signs |= <size_t>offsets[i] | (<size_t>offsets[i] - <size_t>offsets[i - 1])
    return offsets[0] == 0 and offsets[n - 1] == length and <Py_ssize_t>signs >= 0


cdef cnp.ndarray checked_offsets(cnp.ndarray array, Py_ssize_t length):
    """The offsets as intp. Refuses offsets that do not go from 0 to the length, or that decrease."""
    cdef cnp.ndarray result
    cdef const cnp.npy_intp *offsets
    cdef Py_ssize_t i, n = cnp.PyArray_SIZE(array)
    if n == 0:
        raise ValueError("offsets must have an element for each segment and one more, got none")
    result = in_memory(array)
    offsets = <const cnp.npy_intp *>cnp.PyArray_DATA(result)
    if are_offsets(offsets, n, length):
        return result
    for i in range(n):
        if not 0 <= offsets[i] <= length:
            raise ValueError(f"offsets must be from 0 to {length}, the length of the axis, got offsets[{i}] = "
                             f"{array[i]}")
        if i == 0 and offsets[0] != 0:
            raise ValueError(f"offsets must begin with 0, got offsets[0] = {array[0]}")
        if i and offsets[i] < offsets[i - 1]:
            raise ValueError(f"offsets must not decrease, got offsets[{i}] = {array[i]} after {array[i - 1]}")
    raise ValueError(f"offsets must end with {length}, the length of the axis, got offsets[{n - 1}] = {array[n - 1]}")


cdef object as_segment_axis(object axis):
    if (axis is None or isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__")
            or getattr(axis, "ndim", 0)):
        raise TypeError(f"axis must be an int, got {shown(axis)}")
    return operator.index(axis)


def axis_and_offsets(axis, offsets, lengths):
    """The axis of an array of these lengths, not negative, and the offsets as intp. An unknown length is -1."""
    cdef cnp.ndarray given = as_integers(offsets, "offsets")
    cdef Py_ssize_t length
    axis = as_segment_axis(axis)
    if not -len(lengths) <= axis < len(lengths):
        raise AxisError(axis, len(lengths))
    axis %= len(lengths)
    length = lengths[axis]
    if length < 0:
        raise ValueError("a must be of known length along the axis; compute_chunk_sizes() of a dask array finds it")
    return axis, checked_offsets(given, length)


cdef object segment_array(Operation operation, object a, object offsets, object axis, object out, object dtype):
    """segment_logsumexp, or segment_softmax or segment_log_softmax, which have a result for each element."""
    cdef cnp.ndarray array = as_array(a, "a"), given = as_integers(offsets, "offsets"), result, begins
    cdef Shape shape
    cdef Plan plan
    cdef Segments segments
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef bint reduces = operation == LOGSUMEXP
    cdef int i, along = 0, computing
    cdef Py_ssize_t size
    axis = as_segment_axis(axis)
    requested = requested_dtype(dtype)
    array = as_base(array)
    shape_of(array, &shape)
    if shape.ndim == 0:
        raise AxisError(axis, 0)
    mark_axes(axis, &shape)
    for i in range(shape.ndim):
        lengths[i] = shape.shape[i]
        along = i if shape.reduced[i] else along
    begins = checked_offsets(given, shape.shape[along])
    segments.n = cnp.PyArray_SIZE(begins) - 1
    if reduces:
        lengths[along] = segments.n
    chosen = result_dtype(a, array, None, None, requested)
    if not has_kernels(number_of(chosen)):
        return plain_segments(operation, array, begins, along, out, chosen)
    if out is not None:
        check_out(out, shape.ndim, lengths, chosen)
        result = out
        array = without_overlap(array, result, READ_IN_ANY_ORDER if reduces else READ_BEFORE_WRITTEN)
        begins = without_overlap(begins, result, READ_IN_ANY_ORDER)
    elif reduces:
        result = cnp.PyArray_EMPTY(shape.ndim, lengths, number_of(chosen), 0)
    else:
        result = new_result(array, &shape, number_of(chosen))
    size = size_of(&shape)
    if not size:
        note(EMPTY)
        if reduces:
            result.fill(-np.inf)
        return result
    segments.offsets = <const Py_ssize_t *>cnp.PyArray_DATA(begins)
    computing = kernel_type(number_of(chosen))
    prepare(&plan, operation, &shape, array, None, None, computing)
    put_result(&plan, result, computing, &shape)
    if reduces:
        # Along the axis the result has a number for each segment; put_result assumed one for each element.
        segments.result_stride = cnp.PyArray_STRIDE(result, along)
        for i in range(shape.ndim):
            shape.stride[<int>RESULT][i] = 0 if i == along else cnp.PyArray_STRIDE(result, i)
    divide_arrays(&plan, &segments, &shape)
    return result


cdef object offsets_of(object ids, object num_segments):
    cdef cnp.ndarray array, numbers, result
    cdef const cnp.npy_intp *of_elements
    cdef cnp.npy_intp *offsets
    cdef Py_ssize_t i, n, segments = 0, segment = 0
    if num_segments is not None:
        if (isinstance(num_segments, (bool, np.bool_)) or not hasattr(num_segments, "__index__")
                or getattr(num_segments, "ndim", 0)):
            raise TypeError(f"num_segments must be None or an int, got {shown(num_segments)}")
        given = operator.index(num_segments)
        if given < 0:
            raise ValueError(f"num_segments must not be negative, got {shown(given)}")
        if given > MOST_SEGMENTS:
            raise ValueError(f"num_segments must be at most {MOST_SEGMENTS}, got {shown(given)}")
        segments = given
    array = as_integers(ids, "ids")
    numbers = in_memory(array)
    n = cnp.PyArray_SIZE(numbers)
    of_elements = <const cnp.npy_intp *>cnp.PyArray_DATA(numbers)
    if num_segments is None and n:
        if of_elements[n - 1] >= MOST_SEGMENTS:
            raise ValueError(f"ids must be less than {MOST_SEGMENTS}, got ids[{n - 1}] = {array[n - 1]}")
        segments = of_elements[n - 1] + 1
    for i in range(n):
        if of_elements[i] < 0 and array[i] > 0:     # a uint64 that intp cannot hold
            most = MOST_SEGMENTS if num_segments is None else f"num_segments, {segments}"
            raise ValueError(f"ids must be less than {most}, got ids[{i}] = {array[i]}")
        if of_elements[i] < 0:
            raise ValueError(f"ids must not be negative, got ids[{i}] = {array[i]}")
        if i and of_elements[i] < of_elements[i - 1]:
            raise ValueError(f"ids must be sorted, got ids[{i}] = {array[i]} after {array[i - 1]}")
        if num_segments is not None and of_elements[i] >= segments:
            raise ValueError(f"ids must be less than num_segments, {segments}, got ids[{i}] = {array[i]}")
    result = np.empty(segments + 1, np.intp)
    offsets = <cnp.npy_intp *>cnp.PyArray_DATA(result)
    for i in range(n):
        while segment <= of_elements[i]:
            offsets[segment] = i
            segment += 1
    while segment <= segments:
        offsets[segment] = n
        segment += 1
    return result
