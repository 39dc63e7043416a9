# Calls that plain.py computes: of longdouble and complex, and of weights beyond the range of the kernels' types.
#
# NumPy casts and computes here, and must not warn: each function does everything in one np.errstate.

cimport numpy as cnp
import numpy as np

from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport LOGSUMEXP, SOFTMAX, Operation
from smoothmax._schedule.route cimport PLAIN
from smoothmax._schedule.walk cimport note


cdef object silenced():
    """An np.errstate that has been entered; the caller must call its __exit__.

    Cython's `with` ends the process if there is no memory for a traceback, because it does not check (Cython 3.3).
    """
    silence = np.errstate(all="ignore")
    silence.__enter__()
    return silence


cdef object broadcast_to(cnp.ndarray array, const Shape *shape, object dtype):
    """The array broadcast to the shape and cast to the type; None for None."""
    return None if array is None else np.broadcast_to(as_type(array, dtype), whole_shape(shape))


cdef object delivered(object result, object out, object dtype):
    """The object that a call returns: the filled `out`, or the result as an array of the type, or a scalar.

    The result may still have the type that it was computed in: `out` is cast from that.
    """
    cdef cnp.ndarray value = np.asarray(result)
    if out is not None:
        check_out(out, cnp.PyArray_NDIM(value), cnp.PyArray_DIMS(value), dtype)
    if cnp.PyArray_TYPE(value) == cnp.NPY_LONGDOUBLE and (dtype if out is None else out.dtype).itemsize == 2:
        from smoothmax._arrays.plain import narrowed_to_odd
        value = narrowed_to_odd(value)
    if out is None:
        return (<object>value).astype(dtype, copy=False)[()]
    np.copyto(out, value, casting="same_kind")
    return out


cdef object plain_logsumexp(cnp.ndarray array, cnp.ndarray weights, cnp.ndarray mask, Adjustment by,
                            const Shape *shape, bint keepdims, bint signed, object out, object computing, object dtype):
    cdef Environment environment
    from smoothmax._arrays import plain
    from smoothmax._arrays.plain_numbers import as_complex

    note(PLAIN)
    silence = silenced()
    enter_environment(&environment)
    try:
        value, sign = plain.logsumexp(
            np.broadcast_to(adjusted_elements(array, by, computing), whole_shape(shape)), reduced_axes(shape),
            broadcast_to(weights, shape, computing), broadcast_to(mask, shape, bool), keepdims)
        if signed:
            return delivered(value, out, np.empty(0, dtype).real.dtype), sign.astype(dtype)[()]
        if dtype.kind == "c":
            value = as_complex(value, np.angle(sign)).astype(computing)
        else:
            value = np.where(sign < 0, np.nan, value).astype(computing)
        return delivered(value, out, dtype)
    finally:
        leave_environment(&environment)
        silence.__exit__(None, None, None)


cdef object plain_logmeanexp(cnp.ndarray array, cnp.ndarray weights, cnp.ndarray mask, Adjustment by,
                             const Shape *shape, bint keepdims, object out, object computing, object dtype):
    cdef Environment environment
    from smoothmax._arrays import plain

    note(PLAIN)
    silence = silenced()
    enter_environment(&environment)
    try:
        value = plain.logmeanexp(
            np.broadcast_to(adjusted_elements(array, by, computing), whole_shape(shape)), reduced_axes(shape),
            broadcast_to(weights, shape, computing), broadcast_to(mask, shape, bool), keepdims)
        return delivered(value.astype(computing), out, dtype)
    finally:
        leave_environment(&environment)
        silence.__exit__(None, None, None)


cdef object plain_transform(Operation operation, cnp.ndarray array, cnp.ndarray mask, Adjustment by,
                            const Shape *shape, object out, object dtype):
    cdef Environment environment
    from smoothmax._arrays import plain

    note(PLAIN)
    function = plain.softmax if operation == SOFTMAX else plain.log_softmax
    silence = silenced()
    enter_environment(&environment)
    try:
        elements = np.broadcast_to(adjusted_elements(array, by, dtype), whole_shape(shape))
        value = function(elements, reduced_axes(shape), broadcast_to(mask, shape, bool))
        if out is None and (<object>array).shape == elements.shape:     # its memory order may be the mask's
            result = np.empty_like(array, dtype=elements.dtype)
            np.copyto(result, value)
            value = result
        return delivered(value, out, dtype)
    finally:
        leave_environment(&environment)
        silence.__exit__(None, None, None)


cdef object plain_scan(cnp.ndarray array, const Shape *shape, object axis, bint reverse, bint exclusive, object out,
                       object dtype):
    cdef Environment environment
    from smoothmax._arrays.plain_scans import logcumsumexp

    note(PLAIN)
    silence = silenced()
    enter_environment(&environment)
    try:
        value = logcumsumexp(as_type(array, dtype).reshape(whole_shape(shape)), axis, reverse, exclusive)
        return delivered(value, out, dtype)
    finally:
        leave_environment(&environment)
        silence.__exit__(None, None, None)


cdef object plain_segments(Operation operation, cnp.ndarray array, cnp.ndarray offsets, int axis, object out,
                           object dtype):
    cdef Environment environment
    from smoothmax._arrays import plain

    note(PLAIN)
    silence = silenced()
    enter_environment(&environment)
    try:
        elements = as_type(array, dtype)
        if operation == LOGSUMEXP:
            value = plain.segment_logsumexp(elements, offsets, axis)
        else:
            function = plain.softmax if operation == SOFTMAX else plain.log_softmax
            value = plain.segment_transform(function, elements, offsets, axis)
        return delivered(value, out, dtype)
    finally:
        leave_environment(&environment)
        silence.__exit__(None, None, None)


cdef object plain_product(cnp.ndarray a, cnp.ndarray b, tuple shape, object out, object dtype):
    """logmatmulexp of matrices, in the shape that the user gets."""
    cdef Environment environment
    from smoothmax._arrays import plain

    note(PLAIN)
    silence = silenced()
    enter_environment(&environment)
    try:
        return delivered(plain.logmatmulexp(as_type(a, dtype), as_type(b, dtype)).reshape(shape), out, dtype)
    finally:
        leave_environment(&environment)
        silence.__exit__(None, None, None)


cdef object plain_top(cnp.ndarray array, int axis, Py_ssize_t k, object dtype):
    cdef Environment environment
    from smoothmax._arrays import plain

    note(PLAIN)
    silence = silenced()
    enter_environment(&environment)
    try:
        return plain.top_log_probs(as_type(array, dtype), axis, k)
    finally:
        leave_environment(&environment)
        silence.__exit__(None, None, None)


cdef object plain_draws(cnp.ndarray array, int axis, object uniforms, Adjustment by, object dtype):
    """Draw from rows by the numbers along the last axis of `uniforms`; -1 if a row is not a distribution."""
    cdef Environment environment
    from smoothmax._arrays import plain

    note(PLAIN)
    silence = silenced()
    enter_environment(&environment)
    try:
        return plain.categorical(adjusted_elements(array, by, dtype), axis, uniforms)
    finally:
        leave_environment(&environment)
        silence.__exit__(None, None, None)
