"""Arrays of partial sums: reduced from elements, merged with others, and finished or used to write results.

A partial sum describes some of the elements of a reduction: their maximum, how many elements equal it, and the sum of
the others in two parts. Partial sums form a monoid: merging two gives the partial sum of the elements of both, for any
grouping, and the partial sum of no elements changes nothing.

An array of partial sums has the dtype STATE, and the shape of the elements with the reduced axes of length 1. Partial
sums of different operations, types or versions must not be merged. The array does not say which it has: the caller has
to know.
"""

import math

cimport numpy as cnp
import numpy as np
from libc.math cimport INFINITY

from smoothmax._kernels.dispatch cimport kernels_of, weigh_of
from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport (
    EXCLUSIVE_LOGCUMSUMEXP, LOGCUMSUMEXP, LOGMEANEXP, LOGSUMEXP, LOG_SOFTMAX, NATIVE, SOFTMAX, WEIGHTED_LOGMEANEXP,
    WEIGHTED_LOGSUMEXP, Kernels, State, Store, Weigh, clear,
)
from smoothmax._arrays.call cimport (
    MAX_DIMENSIONS, Adjustment, Shape, adjustment_of, adjusts, as_array, as_axis, as_base, as_mask, as_one_axis,
    as_weights, broadcast, broadcast_addends, clear_strides, computed_dtype, kernel_type, mark_axes, prepare, promoted,
    put_adjustment, put_result, reduced_axes, reduced_shape, result_dtype, scan_arrays, shape_of, size_of,
    take_reduced_strides, take_strides, walk_arrays, whole_shape,
)
from smoothmax._arrays.elements cimport dtype_of_argument, is_bfloat16, is_kernel_type, number_of, storer
from smoothmax._schedule.packed cimport Packed, pack, unpack, unpack_weights
from smoothmax._schedule.plan cimport FIRST, RESULT, SECOND, STATES, Plan
from smoothmax._schedule.route cimport EMPTY, SINGLE_ROW
from smoothmax._schedule.walk cimport note
from smoothmax._thresholds cimport ROW_BLOCK_BYTES, TILE_COLUMNS

cdef extern from "numpy/arrayobject.h":
    cnp.ndarray NewLike "PyArray_NewLikeArray"(cnp.ndarray prototype, cnp.NPY_ORDER order, void *dtype, int subok)

cnp.import_array()

OPERATIONS = {
    "logsumexp": LOGSUMEXP,
    "weighted_logsumexp": WEIGHTED_LOGSUMEXP,
    "softmax": SOFTMAX,
    "log_softmax": LOG_SOFTMAX,
    "logmeanexp": LOGMEANEXP,       # its sums have exact terms, which scans need, too
}
STATE = np.dtype([(field, np.float64) for field in ("maximum", "count", "others", "others_low")])


# Checks --------------------------------------------------------------------------------------------------------------

def check_axis(axis):
    """Refuse an axis that no array can have."""
    cdef Shape shape
    shape.ndim = MAX_DIMENSIONS
    mark_axes(as_axis(axis), &shape)


def axes_of(axis, int ndim):
    """The axes of an array with ndim axes, as a tuple of integers that are not negative."""
    cdef Shape shape
    shape.ndim = ndim
    mark_axes(as_axis(axis), &shape)
    return reduced_axes(&shape)


def one_axis_of(axis, int ndim):
    """None, or the axis as an integer that is not negative, for functions along one axis."""
    axis = as_one_axis(axis)
    return None if axis is None else axes_of(axis, ndim)[0] if ndim or axis not in (0, -1) else 0


cpdef bint has_partial_sums(cnp.dtype dtype):
    """Whether results of this type have partial sums."""
    return is_kernel_type(number_of(dtype)) or number_of(dtype) == cnp.NPY_FLOAT16 or is_bfloat16(dtype)


cdef object checked_dtype(cnp.dtype dtype):
    """The type, if its results have partial sums."""
    if not has_partial_sums(dtype):
        raise TypeError(f"dtype must be float32, float64, float16 or bfloat16, got {dtype}")
    return dtype


def promotes_to(dtype, to):
    """Whether the first type promotes to the second."""
    return promoted([dtype, to]) == to


def dtype_of(a, b=None, dtype=None, scale=1.0, add=None):
    """The type of the result of these arguments. Refuses types without partial sums, for results and for weights."""
    cdef cnp.ndarray array = as_array(a, "a"), weights = None if b is None else as_array(b, "b")
    cdef Adjustment by = adjustment_of(scale, add)
    cdef object requested = None if dtype is None else checked_dtype(dtype_of_argument(dtype))
    if weights is not None and cnp.PyArray_TYPE(weights) == cnp.NPY_LONGDOUBLE:
        raise TypeError(f"b must be of float64 or a narrower type, got dtype {weights.descr}")
    if (requested is None and by is not None and by.addends is not None
            and not has_partial_sums(computed_dtype(by.addends.descr))):
        raise TypeError(f"add must be of float64 or a narrower type, got dtype {by.addends.descr}")
    return checked_dtype(result_dtype(a, array, b, weights, requested, by))


def check_weights(b):
    """Refuse a bool as weights, because keepdims was probably meant."""
    if isinstance(b, (bool, np.bool_)):
        as_weights(b)


# From elements to partial sums, and from these to results ------------------------------------------------------------

cdef const Kernels *kernels(object operation, object dtype) except NULL:
    return kernels_of(OPERATIONS[operation], dtype == np.float64)


def empty_states(shape):
    """The partial sums of no elements."""
    states = np.empty(shape, STATE)
    states[...] = (-INFINITY, 0, 0, 0)
    return states


def reduced(operation, a, axis, b, where, dtype, scale=1.0, add=None):
    """The partial sums of the elements along the axes, and the shape that the elements are broadcast to."""
    cdef cnp.ndarray array = as_array(a, "a"), weights = None, mask = None, states
    cdef Adjustment by = adjustment_of(scale, add)
    cdef Shape shape
    cdef Plan plan
    cdef int computing = kernel_type(number_of(np.dtype(dtype)))
    if b is not None:
        weights = as_array(b, "b")
    if where is not True:
        mask = as_mask(where)
    axis = as_axis(axis)
    array, weights, mask = as_base(array), as_base(weights), as_base(mask)
    shape_of(array, &shape)
    if weights is not None:
        broadcast(array, weights, "b", &shape)
    if mask is not None:
        broadcast(array, mask, "where", &shape)
    if by is not None:
        broadcast_addends(array, by, &shape)
    mark_axes(axis, &shape)
    states = np.empty(reduced_shape(&shape, keepdims=True), STATE)
    if size_of(&shape):
        prepare(&plan, OPERATIONS[operation], &shape, array, weights, mask, computing)
        put_adjustment(&plan, by, computing, &shape)
        plan.passes = FIRST
        plan.data[RESULT] = NULL
        clear_strides(RESULT, &shape)
        plan.data[STATES] = <char *>cnp.PyArray_DATA(states)
        take_reduced_strides(states, STATES, &shape, keepdims=True)
        walk_arrays(&plan, &shape)
    else:
        note(EMPTY)
        states = empty_states(np.shape(states))
    return states, whole_shape(&shape)


def updated(held, chunk, axis, bint keepdims, dtype, scale):
    """The partial sum of a whole reduction merged with that of a short row without weights, and the row's length.

    None for anything but such a row: contiguous, of this type, float32 or float64. The bits are those of joined() and
    reduced(), without a plan, and without the arrays and the types between (P61).
    """
    cdef Environment environment
    cdef cnp.ndarray array, result
    cdef int number
    cdef Py_ssize_t n
    cdef const Kernels *functions
    cdef State state, row
    if held is None or dtype is None or type(chunk) is not cnp.ndarray or adjusts(scale, None):
        return None
    array, result = chunk, held
    number, n = cnp.PyArray_TYPE(array), cnp.PyArray_SIZE(array)
    if number != number_of(dtype) or not (number == cnp.NPY_FLOAT64 or number == cnp.NPY_FLOAT32) or (
            not cnp.PyArray_ISCARRAY_RO(array)) or n == 0 or n*cnp.PyArray_ITEMSIZE(array) > ROW_BLOCK_BYTES:
        return None
    if cnp.PyArray_NDIM(result) != (cnp.PyArray_NDIM(array) if keepdims else 0) or cnp.PyArray_SIZE(result) != 1 or (
            axis is not None and not (cnp.PyArray_NDIM(array) == 1 and (axis == 0 or axis == -1))):
        return None
    functions = kernels_of(LOGSUMEXP, number == cnp.NPY_FLOAT64).mergeable
    enter_environment(&environment)
    unpack(cnp.PyArray_BYTES(result), sizeof(Packed), 1, &state)
    clear(&row, 1)
    row.away = 0
    functions.reduce_row(&row, cnp.PyArray_DATA(array), NULL, n)
    functions.merge(&state, &row, 0, 1, TILE_COLUMNS)
    leave_environment(&environment)
    result = NewLike(result, cnp.NPY_CORDER, NULL, 0)
    pack(&state, 1, cnp.PyArray_BYTES(result), sizeof(Packed))
    note(SINGLE_ROW)
    return result, n


cdef int check_states(cnp.ndarray states, const Shape *shape) except -1:
    """Refuse partial sums that do not broadcast to the reductions of this shape."""
    cdef int i, missing = shape.ndim - cnp.PyArray_NDIM(states)
    cdef bint fits = missing >= 0
    for i in range(max(missing, 0), shape.ndim):
        n = cnp.PyArray_DIM(states, i - missing)
        fits = fits and (n == 1 or not shape.reduced[i] and n == shape.shape[i])
    if not fits:
        raise ValueError(f"partial sums of shape {np.shape(states)} are not those of the reductions of the elements")
    return 0


def written(operation, x, axis, where, cnp.ndarray states, dtype, out=None, scale=1.0, add=None):
    """softmax or log_softmax of elements, given the partial sums of their whole reductions."""
    cdef cnp.ndarray array = as_array(x, "x"), mask = None, result
    cdef Adjustment by = adjustment_of(scale, add)
    cdef Shape shape
    cdef Plan plan
    cdef int computing
    if where is not True:
        mask = as_mask(where)
    axis = as_axis(axis)
    array, mask = as_base(array), as_base(mask)
    shape_of(array, &shape)
    if mask is not None:
        broadcast(array, mask, "where", &shape)
    if by is not None:
        broadcast_addends(array, by, &shape)
    mark_axes(axis, &shape)
    whole = whole_shape(&shape)
    check_states(states, &shape)
    result = np.empty(whole, dtype) if out is None else out
    if size_of(&shape):
        computing = kernel_type(number_of(np.dtype(dtype)))
        prepare(&plan, OPERATIONS[operation], &shape, array, None, mask, computing)
        put_adjustment(&plan, by, computing, &shape)
        plan.passes = SECOND
        plan.data[STATES] = <char *>cnp.PyArray_DATA(states)
        take_strides(states, STATES, &shape)
        put_result(&plan, result, computing, &shape)
        walk_arrays(&plan, &shape)
    else:
        note(EMPTY)
    return result


def finished(operation, states, dtype, bint signed=False, result=None):
    """The results of logsumexp in the shape of the partial sums; with `signed`, the pair of results and signs.

    `dtype` is the type of the partial sums, `result` the type of the results if it is another.
    """
    cdef Environment environment
    cdef cnp.ndarray source = np.ascontiguousarray(states)
    cdef cnp.ndarray values = np.empty(np.shape(states), result or dtype), signs = np.empty_like(values)
    cdef const Kernels *functions = kernels(operation, dtype)
    cdef Store store = storer(cnp.PyArray_TYPE(values), dtype == np.float64)
    cdef Py_ssize_t done = 0, n = cnp.PyArray_SIZE(source), columns, itemsize = values.itemsize
    cdef State state
    cdef double some[TILE_COLUMNS]
    cdef double some_signs[TILE_COLUMNS]
    enter_environment(&environment)
    with nogil:
        while done < n:
            columns = min(n - done, TILE_COLUMNS)
            unpack(cnp.PyArray_BYTES(source) + done*sizeof(Packed), sizeof(Packed), columns, &state)
            functions.finish(&state, columns, some, some_signs if signed else NULL)
            store(some, columns, cnp.PyArray_BYTES(values) + done*itemsize, itemsize, NATIVE)
            if signed:
                store(some_signs, columns, cnp.PyArray_BYTES(signs) + done*itemsize, itemsize, NATIVE)
            done += columns
    leave_environment(&environment)
    return (values, signs) if signed else values


def widened_sums(operation, states, dtype):
    """Partial sums of float32 or a narrower type as weighted ones of float64, in a new array.

    Each type scales its sums in its own way, so they cannot be converted number by number. Instead each sum becomes the
    sum of a single element: its own logarithm in float64, whose rounding error is too small for float32. The element's
    weight is the sign of the sum.
    """
    cdef Environment environment
    cdef cnp.ndarray source = np.ascontiguousarray(states)
    cdef cnp.ndarray values = np.empty(np.shape(states)), signs = np.empty(np.shape(states))
    cdef const Kernels *functions = kernels(operation, dtype)
    cdef double *value = <double *>cnp.PyArray_DATA(values)
    cdef double *sign = <double *>cnp.PyArray_DATA(signs)
    cdef Py_ssize_t done = 0, n = cnp.PyArray_SIZE(source), columns, j
    cdef State state
    cdef float rounded[TILE_COLUMNS]
    cdef float rounded_signs[TILE_COLUMNS]
    enter_environment(&environment)
    with nogil:
        while done < n:
            columns = min(n - done, TILE_COLUMNS)
            unpack(cnp.PyArray_BYTES(source) + done*sizeof(Packed), sizeof(Packed), columns, &state)
            functions.finish(&state, columns, rounded, rounded_signs)
            for j in range(columns):
                sign[done + j] = rounded_signs[j]
                value[done + j] = rounded[j]        # right if it is infinite or nan; otherwise computed in float64
                if rounded[j] - rounded[j] == 0:
                    value[done + j] = state.sum.partial.maximum[j] + state.normalizer.log_sum[j]
            done += columns
    leave_environment(&environment)
    return reduced("weighted_logsumexp", values, (), signs, where=True, dtype=np.dtype(np.float64))[0]


include "means.pxi"
include "scans.pxi"


# Merges --------------------------------------------------------------------------------------------------------------

cdef void merge_run(const Kernels *functions, char *held, const char *others, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t done = 0, columns
    cdef State state, other
    while done < n:
        columns = min(n - done, TILE_COLUMNS)
        unpack(held + done*sizeof(Packed), sizeof(Packed), columns, &state)
        unpack(others + done*sizeof(Packed), sizeof(Packed), columns, &other)
        functions.merge(&state, &other, 0, columns, TILE_COLUMNS)
        pack(&state, columns, held + done*sizeof(Packed), sizeof(Packed))
        done += columns


def joined(operation, states, others, dtype):
    """Merge partial sums with others of the same reductions, into a new array."""
    cdef Environment environment
    cdef const Kernels *functions = kernels(operation, dtype)
    cdef cnp.ndarray result = np.array(states, order="C"), source = np.ascontiguousarray(others)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(result)
    enter_environment(&environment)
    with nogil:
        merge_run(functions, cnp.PyArray_BYTES(result), cnp.PyArray_BYTES(source), n)
    leave_environment(&environment)
    return result


def merged(operation, states, axes, dtype):
    """Merge partial sums along the axes, in order, into a new array."""
    cdef Environment environment
    cdef const Kernels *functions = kernels(operation, dtype)
    cdef cnp.ndarray rows, result
    cdef Py_ssize_t i, n = 1, size
    shape = list(states.shape)
    for axis in axes:
        n *= shape[axis]
        shape[axis] = 1
    size = math.prod(shape)
    rows = np.ascontiguousarray(np.moveaxis(states, axes, range(len(axes)))).reshape(n, *shape)
    result = np.array(rows[0]) if n else empty_states(shape)
    enter_environment(&environment)
    with nogil:
        for i in range(1, n):
            merge_run(functions, cnp.PyArray_BYTES(result), cnp.PyArray_BYTES(rows) + i*size*sizeof(Packed), size)
    leave_environment(&environment)
    return result


def weighed(states, dtype):
    """Partial sums without weights as sums with the weight 1, in a new array."""
    cdef Environment environment
    cdef cnp.ndarray result = np.array(states, order="C")
    cdef Weigh function = weigh_of(dtype == np.float64)
    cdef Py_ssize_t done = 0, n = cnp.PyArray_SIZE(result), columns
    cdef State state
    enter_environment(&environment)
    with nogil:
        while done < n:
            columns = min(n - done, TILE_COLUMNS)
            unpack(cnp.PyArray_BYTES(result) + done*sizeof(Packed), sizeof(Packed), columns, &state)
            function(&state, columns)
            pack(&state, columns, cnp.PyArray_BYTES(result) + done*sizeof(Packed), sizeof(Packed))
            done += columns
    leave_environment(&environment)
    return result
