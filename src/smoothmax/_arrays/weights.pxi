# The argument `b` of logsumexp: weights for each element, or the same along each reduction.

cimport numpy as cnp
import numpy as np
from cpython.float cimport PyFloat_AS_DOUBLE
from libc.float cimport FLT_MAX, FLT_MIN
from libc.math cimport fabs

from smoothmax._schedule.plan cimport UNIFORM_WEIGHTS, Plan


cdef inline bint keep_type(object b, cnp.ndarray weights, int number) noexcept:
    """Whether elements of this NumPy type, float32 or float64, certainly keep it: then no other type matters."""
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
    """Note one weight for each reduction. The walk sets `special` to 1 if one of them is not finite.

    If `special` is NULL, the walk does not write the results of such weights.
    """
    put_array(plan, UNIFORM_WEIGHTS, weights, computing)
    plan.load_factors = loader(cnp.PyArray_TYPE(weights), computing == cnp.NPY_FLOAT64)
    plan.wrong = special
    take_strides(weights, UNIFORM_WEIGHTS, shape)


cdef int walk_reduction(Operation operation, Shape *shape, cnp.ndarray array, cnp.ndarray weights, cnp.ndarray mask,
                        Adjustment by, int computing, cnp.ndarray result, bint keep, cnp.ndarray sign, int number,
                        void *scalar, int *special) except -1:
    """Plan and walk a reduction. Its result is an array or, if `result` is None, a scalar of the type `number`."""
    cdef Plan plan
    prepare(&plan, operation, shape, array, None if operation == UNIFORM_LOGSUMEXP else weights, mask, computing)
    if operation == UNIFORM_LOGSUMEXP:
        put_uniform_weights(&plan, weights, computing, shape, special)
    put_adjustment(&plan, by, computing, shape)
    if result is None:
        put_scalar_result(&plan, scalar, number, computing)
    else:
        put_reduced_result(&plan, result, computing, shape, keep)
    take_kernels_of_halves(&plan, number if result is None else cnp.PyArray_TYPE(result), number)
    if sign is not None:
        put_sign(&plan, sign, computing, shape, keep)
    return walk_arrays(&plan, shape)


cdef int reduce_again(Shape *shape, cnp.ndarray array, cnp.ndarray weights, cnp.ndarray mask, Adjustment by,
                      int computing, cnp.ndarray result, bint keep, cnp.ndarray sign) except -1:
    """Replace results whose weight is not finite by results with a weight for each element.

    Other results must not change, because their bits must not depend on the weights of others. So all results are
    replaced, and those with finite weights are then computed again, which takes no memory.
    """
    walk_reduction(WEIGHTED_LOGSUMEXP, shape, array, weights, mask, by, computing, result, keep, sign, 0, NULL, NULL)
    walk_reduction(UNIFORM_LOGSUMEXP, shape, array, weights, mask, by, computing, result, keep, sign, 0, NULL, NULL)
    return 0
