"""logsumexp, softmax and log_softmax: from arguments to a plan, and back to results. This file knows no mathematics.

Every function takes what the user passed, raises for what the contract refuses, and returns the result. The included
files form one module, because calls between modules would slow a call of ten elements. The other files of _arrays, and
_partial/states.pyx, use them through call.pxd.
"""

cimport numpy as cnp
import numpy as np

from smoothmax._kernels.interface cimport (
    LOGMEANEXP, LOGSUMEXP, MASKED_LOGMEANEXP, UNIFORM_LOGSUMEXP, WEIGHTED_LOGMEANEXP, WEIGHTED_LOGSUMEXP, Operation,
)
from smoothmax._schedule.plan cimport MASK, WEIGHTS, Plan
from smoothmax._schedule.route cimport EMPTY
from smoothmax._schedule.walk cimport note

include "arguments.pxi"
include "dtypes.pxi"
include "axes.pxi"
include "outputs.pxi"
include "joined_axes.pxi"
include "planning.pxi"
include "whole_rows.pxi"
include "adjustment.pxi"
include "weights.pxi"
include "plain_calls.pxi"

cdef extern from "numpy/arrayobject.h":
    object PyArray_Scalar(void *data, cnp.dtype dtype, object base)

cnp.import_array()


cdef inline Operation reducing(Reduction reduction, cnp.ndarray weights, bint masked, const Shape *shape) noexcept:
    if reduction == MEAN:
        return WEIGHTED_LOGMEANEXP if weights is not None else MASKED_LOGMEANEXP if masked else LOGMEANEXP
    if weights is None:
        return LOGSUMEXP
    return UNIFORM_LOGSUMEXP if are_uniform(weights, shape) else WEIGHTED_LOGSUMEXP


cdef object reduce_array(Reduction reduction, object a, object axis, object b, object keepdims, object return_sign,
                         object where, object out, object dtype, Adjustment by):
    """logsumexp or logmeanexp. Returns the result, or with return_sign the result and its sign."""
    cdef cnp.ndarray array = as_array(a, "a"), weights = None, mask = None, result, sign = None
    cdef Shape shape
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef int number, computing, ndim, special = 0
    cdef Py_ssize_t size
    cdef bint keep = bool(keepdims), signed = bool(return_sign)
    cdef Operation operation
    cdef object requested = None
    cdef double scalar
    if b is not None:
        weights = as_weights(b)
    if where is not True:
        mask = as_mask(where)
    if not is_settled_axis(axis):
        axis = as_axis(axis)
    if dtype is not None:
        requested = requested_dtype(dtype)
    if type(array) is not cnp.ndarray:
        array = as_base(array)
    shape_of(array, &shape)
    if weights is not None:
        weights = as_base(weights)
        broadcast(array, weights, "b", &shape)
    if mask is not None:
        mask = as_base(mask)
        broadcast(array, mask, "where", &shape)
    if by is not None:
        broadcast_addends(array, by, &shape)
    mark_axes(axis, &shape)
    operation = reducing(reduction, weights, mask is not None, &shape)
    number = cnp.PyArray_TYPE(array)
    computing = kernel_type(number)
    if requested is not None or not keep_type(b, weights, number) or not keeps_type(by, number) or (
            not has_kernels(number)):
        chosen = result_dtype(a, array, b, weights, requested, by)
        wide = chosen if weights is None else computing_dtype(chosen, b, weights)
        number, computing = number_of(chosen), number_of(wide)
        if not has_kernels(computing):
            if reduction == MEAN:
                return plain_logmeanexp(array, weights, mask, by, &shape, keep, out, wide, chosen)
            return plain_logsumexp(array, weights, mask, by, &shape, keep, signed, out, wide, chosen)
        computing = kernel_type(computing)
    size = shape.shape[0] if shape.ndim == 1 else size_of(&shape)       # calling size_of costs ten elements 2 %
    ndim = result_shape(&shape, keep, lengths)
    weights = with_joined_axes(weights, WEIGHTS, array, &shape)
    mask = with_joined_axes(mask, MASK, array, &shape)
    if out is not None:
        check_out(out, ndim, lengths, dtype_of_number(number))
        result = out
        array = without_overlap(array, result, READ_IN_ANY_ORDER)
        weights = without_overlap(weights, result, READ_IN_ANY_ORDER)
        mask = without_overlap(mask, result, READ_IN_ANY_ORDER)
        keep_addends_from(result, by)
    elif ndim == 0 and not signed and size:
        # A scalar needs no array, which would take a tenth of the time of ten elements.
        if not reduce_whole(operation, &shape, array, weights, mask, by, number, computing, &scalar):
            walk_reduction(operation, &shape, array, weights, mask, by, computing, None, keep, None, number, &scalar,
                           &special)
            if special:
                walk_reduction(WEIGHTED_LOGSUMEXP, &shape, array, weights, mask, by, computing, None, keep, None,
                               number, &scalar, NULL)
        return PyArray_Scalar(&scalar, cnp.PyArray_DescrFromType(number), None)
    else:
        result = cnp.PyArray_EMPTY(ndim, lengths, number, 0)
    if signed:
        sign = cnp.PyArray_EMPTY(ndim, lengths, number, 0)
    if not size:
        note(EMPTY)
        result.fill(np.nan if reduction == MEAN else -np.inf)
        if signed:
            sign.fill(0)
    elif signed or not (
            is_single_row(result, number) and reduce_whole(operation, &shape, array, weights, mask, by, number,
                                                           computing, cnp.PyArray_DATA(result))):
        walk_reduction(operation, &shape, array, weights, mask, by, computing, result, keep, sign, number, NULL,
                       &special)
        if special:
            reduce_again(&shape, array, weights, mask, by, computing, result, keep, sign)
    value = result[()] if out is None and ndim == 0 else result
    return (value, sign[()] if ndim == 0 else sign) if signed else value


cdef int walk_transform(Operation operation, Shape *shape, cnp.ndarray array, cnp.ndarray mask, Adjustment by,
                        int number, cnp.ndarray result) except -1:
    """Plan and walk an operation with a result for each element, of the type `number`."""
    cdef Plan plan
    cdef int computing = kernel_type(number)
    mask = with_joined_axes(mask, MASK, array, shape)
    prepare(&plan, operation, shape, array, None, mask, computing)
    put_adjustment(&plan, by, computing, shape)
    put_result(&plan, result, computing, shape)
    take_kernels_of_halves(&plan, cnp.PyArray_TYPE(result), number)
    return walk_arrays(&plan, shape)


cdef object transform_array(Operation operation, object x, object axis, object where, object out, object dtype,
                            Adjustment by):
    """softmax or log_softmax: a result with the input's shape and, if it is new, the input's memory order."""
    cdef cnp.ndarray array = as_array(x, "x"), mask = None, result
    cdef Shape shape
    cdef int number
    cdef Py_ssize_t size
    cdef object requested = None
    if where is not True:
        mask = as_mask(where)
    if not is_settled_axis(axis):
        axis = as_axis(axis)
    if dtype is not None:
        requested = requested_dtype(dtype)
    if type(array) is not cnp.ndarray:
        array = as_base(array)
    shape_of(array, &shape)
    if mask is not None:
        mask = as_base(mask)
        broadcast(array, mask, "where", &shape)
    if by is not None:
        broadcast_addends(array, by, &shape)
    mark_axes(axis, &shape)
    number = cnp.PyArray_TYPE(array)
    if requested is not None or not keeps_type(by, number) or not has_kernels(number):
        chosen = result_dtype(x, array, None, None, requested, by)
        number = number_of(chosen)
        if not has_kernels(number):
            return plain_transform(operation, array, mask, by, &shape, out, chosen)
    size = shape.shape[0] if shape.ndim == 1 else size_of(&shape)       # calling size_of costs ten elements 2 %
    if out is not None:
        check_out(out, shape.ndim, shape.shape, dtype_of_number(number))
        result = out
        array = without_overlap(array, result, READ_BEFORE_WRITTEN)
        mask = without_overlap(mask, result, READ_IN_ANY_ORDER)
        keep_addends_from(result, by)
    else:
        result = new_result(array, &shape, number)
    if not size:
        note(EMPTY)
    elif not (is_single_row(result, number) and reduce_whole(operation, &shape, array, None, mask, by, number, number,
                                                             cnp.PyArray_DATA(result))):
        walk_transform(operation, &shape, array, mask, by, number, result)
    return result[()] if out is None and shape.ndim == 0 else result
