# logsumexp with its gradient, and the vector-Jacobian products of softmax and log_softmax.

cimport numpy as cnp
import numpy as np

from smoothmax._kernels.interface cimport LOGSUMEXP_AND_SOFTMAX, Operation


cdef object value_and_softmax(object a, object axis, object keepdims, object where, object out, object dtype,
                              object scale, object add):
    """logsumexp and softmax of the same array."""
    cdef cnp.ndarray array = as_array(a, "a"), mask = None, result, value
    cdef Shape shape
    cdef Plan plan
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef int number, computing, ndim
    cdef Py_ssize_t size
    cdef bint keep = bool(keepdims)
    cdef Adjustment by
    if where is not True:
        mask = as_mask(where)
    by = adjustment_of(scale, add)
    axis = as_axis(axis)
    requested = requested_dtype(dtype)
    array, mask = as_base(array), as_base(mask)
    shape_of(array, &shape)
    if mask is not None:
        broadcast(array, mask, "where", &shape)
    if by is not None:
        broadcast_addends(array, by, &shape)
    mark_axes(axis, &shape)
    size = size_of(&shape)
    number = computed_number(a, array, by, requested, "a")
    computing = kernel_type(number)
    if out is not None:
        check_out(out, shape.ndim, shape.shape, dtype_of_number(number))
        result = out
        array = without_overlap(array, result, READ_BEFORE_WRITTEN)
        mask = without_overlap(mask, result, READ_IN_ANY_ORDER)
        keep_addends_from(result, by)
    else:
        result = new_result(array, &shape, number)
    ndim = result_shape(&shape, keep, lengths)
    value = cnp.PyArray_EMPTY(ndim, lengths, number, 0)
    if size:
        mask = with_joined_axes(mask, MASK, array, &shape)
        prepare(&plan, LOGSUMEXP_AND_SOFTMAX, &shape, array, None, mask, computing)
        put_adjustment(&plan, by, computing, &shape)
        put_result(&plan, result, computing, &shape)
        put_value(&plan, value, computing, &shape, keep)
        take_kernels_of_halves(&plan, cnp.PyArray_TYPE(result), number)
        walk_arrays(&plan, &shape)
    else:
        note(EMPTY)
        value.fill(-np.inf)
    return value[()] if ndim == 0 else value, result[()] if out is None and shape.ndim == 0 else result


cdef object product_array(Operation operation, object g, object p, str name, object axis, object out):
    """The vector-Jacobian product of p (or logp) and g, with the shape of p."""
    cdef cnp.ndarray array = as_numbers(p, name), cotangent = as_numbers(g, "g"), result
    cdef Shape shape
    cdef Plan plan
    cdef int number, computing
    axis = as_axis(axis)
    array, cotangent = as_base(array), as_base(cotangent)
    shape_of(array, &shape)
    if not has_whole_shape(cotangent, &shape):
        raise ValueError(f"g must have the shape of {name}, {(<object>array).shape}, got {(<object>cotangent).shape}")
    mark_axes(axis, &shape)
    number = cnp.PyArray_TYPE(array)
    if cnp.PyArray_TYPE(cotangent) != number or not has_kernels(number):
        kernel_dtype_number(computed_dtype(cotangent.descr), "g")
        kernel_dtype_number(computed_dtype(array.descr), name)
        number = number_of(promoted([computed_dtype(array.descr), computed_dtype(cotangent.descr)]))
    computing = kernel_type(number)
    if out is not None:
        check_out(out, shape.ndim, shape.shape, dtype_of_number(number))
        result = out
        array = without_overlap(array, result, READ_BEFORE_WRITTEN)
        cotangent = without_overlap(cotangent, result, READ_BEFORE_WRITTEN)
    else:
        result = new_result(array, &shape, number)
    if size_of(&shape):
        prepare(&plan, operation, &shape, array, cotangent, None, computing)
        put_result(&plan, result, computing, &shape)
        take_kernels_of_two_halves(&plan, array, cotangent, result)
        walk_arrays(&plan, &shape)
    else:
        note(EMPTY)
    return result[()] if out is None and shape.ndim == 0 else result
