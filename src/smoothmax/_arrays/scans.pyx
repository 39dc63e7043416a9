"""logcumsumexp: from arguments to a plan, and back to results."""

cimport numpy as cnp

from smoothmax._arrays.call cimport (
    READ_BEFORE_WRITTEN, READ_IN_ANY_ORDER, Shape, as_array, as_base, as_one_axis, check_out, kernel_type,
    mark_axes, new_result, plain_scan, prepare, put_result, requested_dtype, result_dtype, scan_arrays, shape_of,
    size_of, without_overlap,
)
from smoothmax._arrays.elements cimport has_kernels, number_of
from smoothmax._kernels.interface cimport EXCLUSIVE_LOGCUMSUMEXP, LOGCUMSUMEXP
from smoothmax._schedule.plan cimport RESULT, Plan
from smoothmax._schedule.route cimport EMPTY
from smoothmax._schedule.walk cimport note

cnp.import_array()


cdef void flatten_result(cnp.ndarray result, Shape *shape) noexcept:
    """Set the strides of a result with one axis such that the axes of the elements go through it in C's order."""
    cdef Py_ssize_t stride = cnp.PyArray_STRIDE(result, 0)
    cdef int i
    for i in range(shape.ndim - 1, -1, -1):
        shape.stride[<int>RESULT][i] = stride
        stride *= shape.shape[i]


cdef object scan_array(object a, object axis, object reverse, object exclusive, object out, object dtype):
    cdef cnp.ndarray array = as_array(a, "a"), result
    cdef Shape shape
    cdef Plan plan
    cdef cnp.npy_intp size
    cdef bint backwards = bool(reverse), without_own = bool(exclusive), flat
    cdef int computing
    axis = as_one_axis(axis)
    requested = requested_dtype(dtype)
    array = as_base(array)
    shape_of(array, &shape)
    if shape.ndim == 0:         # as in NumPy's cumsum
        shape.ndim = shape.shape[0] = 1
    mark_axes(axis, &shape)
    chosen = result_dtype(a, array, None, None, requested)
    if not has_kernels(number_of(chosen)):
        return plain_scan(array, &shape, axis, backwards, without_own, out, chosen)
    size = size_of(&shape)
    flat = axis is None and shape.ndim > 1
    if out is not None:
        check_out(out, 1 if flat else shape.ndim, &size if flat else shape.shape, chosen)
        result = out
        array = without_overlap(array, result, READ_IN_ANY_ORDER if flat else READ_BEFORE_WRITTEN)
    elif flat:
        result = cnp.PyArray_EMPTY(1, &size, number_of(chosen), 0)
    elif cnp.PyArray_NDIM(array) == 0:
        result = cnp.PyArray_EMPTY(1, shape.shape, number_of(chosen), 0)
    else:
        result = new_result(array, &shape, number_of(chosen))
    if not size:
        note(EMPTY)
        return result
    computing = kernel_type(number_of(chosen))
    prepare(&plan, EXCLUSIVE_LOGCUMSUMEXP if without_own else LOGCUMSUMEXP, &shape, array, None, None, computing)
    put_result(&plan, result, computing, &shape)
    if flat:
        flatten_result(result, &shape)
    scan_arrays(&plan, &shape, backwards)
    return result
