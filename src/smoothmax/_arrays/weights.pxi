# The argument `b` of logsumexp: weights for each element, or the same along each reduction.

cimport numpy as cnp
import numpy as np
from cpython.float cimport PyFloat_AS_DOUBLE
from libc.float cimport FLT_MAX, FLT_MIN
from libc.math cimport fabs

from smoothmax._schedule.plan cimport UNIFORM_WEIGHTS, Plan


cdef inline bint keep_type(object b, cnp.ndarray weights, int number) noexcept:
    """Whether elements of this NumPy type, float32 or float64, surely stay of it: no other type needs to be asked."""
    if weights is None or cnp.PyArray_TYPE(weights) == number:
        return True
    return type(b) is float and FLT_MIN <= fabs(PyFloat_AS_DOUBLE(b)) <= FLT_MAX


cdef bint are_uniform(cnp.ndarray weights, const Shape *shape) noexcept:
    """Whether the weights are the same along the reduced axes."""
    cdef int i, missing = shape.ndim - cnp.PyArray_NDIM(weights)
    for i in range(max(missing, 0), shape.ndim):
        if shape.reduced[i] and cnp.PyArray_DIM(weights, i - missing) != 1:
            return False
    return True


cdef void put_uniform_weights(Plan *plan, cnp.ndarray weights, int computing, Shape *shape, int *special) noexcept:
    """Note one weight for each reduction. `special` is set to 1 by the walk if one is not finite.

    If it is NULL, the walk leaves the results of those as they are.
    """
    put_array(plan, UNIFORM_WEIGHTS, weights, computing)
    plan.load_factors = loader(cnp.PyArray_TYPE(weights), computing == cnp.NPY_FLOAT64)
    plan.wrong = special
    take_strides(weights, UNIFORM_WEIGHTS, shape)


cdef int walk_reduction(Operation operation, Shape *shape, cnp.ndarray array, cnp.ndarray weights, cnp.ndarray mask,
                        Adjustment by, int computing, cnp.ndarray result, bint keep, cnp.ndarray sign, int number,
                        void *scalar, int *special) except -1:
    """Plan and walk a reduction, whose result is an array, or a scalar of the type `number` where `result` is None."""
    cdef Plan plan
    prepare(&plan, operation, shape, array, None if operation == UNIFORM_LOGSUMEXP else weights, mask, computing)
    if operation == UNIFORM_LOGSUMEXP:
        put_uniform_weights(&plan, weights, computing, shape, special)
    put_adjustment(&plan, by, computing, shape)
    if result is None:
        put_scalar_result(&plan, scalar, number, computing)
    else:
        put_reduced_result(&plan, result, computing, shape, keep)
    if sign is not None:
        put_sign(&plan, sign, computing, shape, keep)
    return walk_arrays(&plan, shape)


cdef int reduce_again(Shape *shape, cnp.ndarray array, cnp.ndarray weights, cnp.ndarray mask, Adjustment by,
                      int computing, cnp.ndarray result, bint keep, cnp.ndarray sign) except -1:
    """Replace the results whose weight is not finite by those of weights for each element.

    Only those, because the bits of a result must not depend on the weights of others. So all are replaced, and those
    of finite weights then computed once more, which takes no memory.
    """
    walk_reduction(WEIGHTED_LOGSUMEXP, shape, array, weights, mask, by, computing, result, keep, sign, 0, NULL, NULL)
    walk_reduction(UNIFORM_LOGSUMEXP, shape, array, weights, mask, by, computing, result, keep, sign, 0, NULL, NULL)
    return 0
