# Compute a whole array as one short row, without a plan (the route SINGLE_ROW).

cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE

from smoothmax._arrays.elements cimport has_kernels, is_kernel_type, loader, storer
from smoothmax._kernels.dispatch cimport kernels_of
from smoothmax._kernels.interface cimport (
    ONE_ADDEND_A_ROW, ONE_ADDEND_EACH, UNIFORM_LOGSUMEXP, WEIGHTED_LOGSUMEXP, Operation,
)
from smoothmax._schedule.walk cimport SingleRow, walk_adjusted_row, walk_half_row, walk_row, walk_weighted_row


cdef inline bint is_single_row(cnp.ndarray array, int number) noexcept:
    """Whether the whole array is contiguous, aligned and native, of the type `number`, which has kernels."""
    return cnp.PyArray_TYPE(array) == number and cnp.PyArray_ISCARRAY_RO(array) and has_kernels(number)


cdef inline bint is_kernel_row(cnp.ndarray array, int number) noexcept:
    """Whether kernels can read the whole array where it lies."""
    return is_single_row(array, number) and is_kernel_type(number)


cdef inline bint is_whole_row(cnp.ndarray array, int number, const Shape *shape) noexcept:
    """Whether kernels can read the array where it lies, and it has the shape without being broadcast."""
    cdef int i
    if not is_kernel_row(array, number) or cnp.PyArray_NDIM(array) != shape.ndim:
        return False
    for i in range(shape.ndim):
        if cnp.PyArray_DIM(array, i) != shape.shape[i]:
            return False
    return True


cdef bint take_adjustment(SingleRow *row, const Shape *shape, cnp.ndarray array, Adjustment by, int number) noexcept:
    """Take a float `scale`, and addends that are a whole row or one number of the elements' type; else return False."""
    cdef cnp.ndarray addends = by.addends
    if type(by.scale) is not float or not is_whole_row(array, number, shape):
        return False
    row.scale = PyFloat_AS_DOUBLE(by.scale)
    row.addends = NULL
    row.layout = ONE_ADDEND_EACH
    if addends is not None:
        row.addends = cnp.PyArray_DATA(addends)
        if cnp.PyArray_SIZE(addends) == 1:
            row.layout = ONE_ADDEND_A_ROW
            return is_kernel_row(addends, number)
        return is_whole_row(addends, number, shape)
    return True


cdef bint take_row_weights(SingleRow *row, Operation operation, const Shape *shape, cnp.ndarray array,
                           cnp.ndarray weights, int number, int computing) noexcept:
    """Take weights that are a whole row or one finite float64; else return False."""
    if operation == UNIFORM_LOGSUMEXP:
        if computing != number or not is_kernel_row(weights, cnp.NPY_FLOAT64):
            return False
        row.weight = (<const double *>cnp.PyArray_DATA(weights))[0]
        if number == cnp.NPY_FLOAT32:
            row.weight = <float>row.weight
        return row.weight - row.weight == 0
    row.weights = cnp.PyArray_DATA(weights)
    return (operation == WEIGHTED_LOGSUMEXP and is_whole_row(array, number, shape)
            and is_whole_row(weights, number, shape))


cdef bint walk_special_row(Operation operation, const Shape *shape, cnp.ndarray array, cnp.ndarray weights,
                           Adjustment by, int number, int computing, void *result) noexcept:
    """walk_row for halves, weights or adjusted elements. Returns False for other arguments and does nothing."""
    cdef bint doubles = number == cnp.NPY_FLOAT64
    cdef SingleRow row
    row.kernels = kernels_of(operation, doubles)
    row.elements, row.result = cnp.PyArray_DATA(array), result
    row.n, row.itemsize = cnp.PyArray_SIZE(array), cnp.PyArray_ITEMSIZE(array)
    if not is_kernel_type(number):
        row.load, row.store = loader(number, to_double=False), storer(number, from_double=False)
        row.fused_halves = NULL
        if row.kernels.of_halves != NULL:
            row.kernels = row.kernels.of_halves
            row.fused_halves = (row.kernels.fused_float16_row if number == cnp.NPY_FLOAT16
                                else row.kernels.fused_bfloat16_row)
        return by is None and weights is None and walk_half_row(&row)
    if by is not None:
        return weights is None and take_adjustment(&row, shape, array, by, number) and walk_adjusted_row(&row)
    return take_row_weights(&row, operation, shape, array, weights, number, computing) and walk_weighted_row(&row)


cdef inline bint reduce_whole(Operation operation, const Shape *shape, cnp.ndarray array, cnp.ndarray weights,
                              cnp.ndarray mask, Adjustment by, int number, int computing, void *result) noexcept:
    """Compute the whole array as one short row into contiguous results of its type; return False if impossible."""
    cdef int i
    if mask is not None or not is_single_row(array, number):
        return False
    for i in range(shape.ndim):
        if not shape.reduced[i]:
            return False
    if weights is None and by is None and is_kernel_type(number):
        return walk_row(kernels_of(operation, number == cnp.NPY_FLOAT64), cnp.PyArray_DATA(array),
                        cnp.PyArray_SIZE(array), cnp.PyArray_ITEMSIZE(array), result)
    return walk_special_row(operation, shape, array, weights, by, number, computing, result)
