# Class weights, and sums and means of losses.

cimport numpy as cnp
import numpy as np
from libc.math cimport NAN, fabs, isfinite, ldexp
from libc.stdint cimport uint16_t

from smoothmax._kernels.dispatch cimport kernels_of
from smoothmax._kernels.interface cimport LOG_SOFTMAX_VJP, NATIVE, Kernels, State, clear
from smoothmax._thresholds cimport CLASS_WEIGHT_BITS, GIL_MIN_ELEMENTS, SMOOTHED_ONES_MAX_CLASSES


cdef enum Reduction:
    NO_REDUCTION
    SUM
    MEAN


cdef enum:
    SUM_BITS = 64           # a sum has at most 2**64 numbers


cdef Reduction as_reduction(object reduction) except *:
    if isinstance(reduction, str):
        if reduction == "mean":
            return MEAN
        if reduction == "sum":
            return SUM
        if reduction == "none":
            return NO_REDUCTION
    raise ValueError(f"reduction must be 'none', 'sum' or 'mean', got {shown(reduction)}")


cdef double as_smoothing(object label_smoothing) except *:
    cdef double smoothing
    try:
        smoothing = label_smoothing
    except OverflowError:
        smoothing = -1
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing must be between 0 and 1, got {shown(label_smoothing)}")
    return smoothing


cdef cnp.ndarray as_weight(cnp.ndarray weight, Py_ssize_t classes):
    """The weights of the classes as contiguous, aligned float64."""
    if (<object>weight).shape != (classes,):
        raise ValueError(f"weight must have shape ({classes},), one for each class, got {(<object>weight).shape}")
    if weight.descr.kind == b"c":
        raise TypeError(f"weight must be real, got dtype {weight.descr}")
    if cnp.PyArray_TYPE(weight) == cnp.NPY_LONGDOUBLE:
        raise TypeError(f"weight must be of float64 or a narrower type, got dtype {weight.descr}")
    return cnp.PyArray_FROM_OTF(as_type(weight, dtype_of_number(cnp.NPY_FLOAT64)), cnp.NPY_FLOAT64,
                                cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED)


cdef bint suit_float32(cnp.ndarray weights) noexcept:
    """Whether float32 losses times these weights are in the range of float32 wherever the losses themselves are.

    There is only one weight for each class, so looking at the values costs little; and most weights are float64 only
    because they come from a list.
    """
    cdef const double *weight = <const double *>cnp.PyArray_DATA(weights)
    cdef Py_ssize_t i
    cdef double size
    for i in range(cnp.PyArray_SIZE(weights)):
        size = fabs(weight[i])
        if size != 0 and isfinite(size) and not ldexp(1, -CLASS_WEIGHT_BITS) <= size <= ldexp(1, CLASS_WEIGHT_BITS):
            return False
    return True


cdef bint has_negative(cnp.ndarray weights) noexcept:
    cdef const double *weight = <const double *>cnp.PyArray_DATA(weights)
    cdef Py_ssize_t i
    for i in range(cnp.PyArray_SIZE(weights)):
        if weight[i] < 0:
            return True
    return False


cdef bint are_wide(cnp.ndarray probabilities) noexcept:
    """Whether the probabilities' type has a larger range than float32."""
    return probabilities.descr.kind == b"f" and cnp.PyArray_ITEMSIZE(probabilities) > <int>sizeof(float)


cdef cnp.ndarray one_a_class(cnp.ndarray weights, Py_ssize_t n, object dtype):
    """The weights by which smoothing is spread over the classes; a single 1 if an array of ones would be large."""
    if weights is not None:
        return np.ascontiguousarray(weights, dtype=dtype)
    return np.ones(n if n <= SMOOTHED_ONES_MAX_CLASSES else 1, dtype)


cdef double largest_weight(cnp.ndarray classes, cnp.ndarray weights) noexcept:
    """The largest size of the weights of all targets that are not ignored."""
    cdef const Py_ssize_t *target = <const Py_ssize_t *>cnp.PyArray_DATA(classes)
    cdef const double *weight = <const double *>cnp.PyArray_DATA(weights)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(classes), i
    cdef double size, largest = 0
    with nogil:
        for i in range(n):
            size = fabs(weight[target[i]]) if target[i] >= 0 else 0
            largest = size if size > largest else largest
    return largest


cdef cnp.ndarray scaled_for_mean(cnp.ndarray weights, cnp.ndarray classes):
    """The weights times a power of two that brings the largest near 1: a common factor cancels in a mean.

    Without that, products with losses and their sums might leave the range of float64. The largest weight is taken over
    the targets' classes, or over all classes if `classes` is None.
    """
    largest = np.max(np.abs(weights), initial=0.0) if classes is None else largest_weight(classes, weights)
    if not 0 < largest < np.inf:
        return weights
    return np.ldexp(weights, -np.frexp(largest)[1])


# Sums ----------------------------------------------------------------------------------------------------------------

cdef double sum_of_weights(cnp.ndarray classes, cnp.ndarray weights) noexcept:
    """The sum of the weights of all targets that are not ignored; compensated (Neumaier, ZAMM 54, 1974)."""
    cdef const Py_ssize_t *target = <const Py_ssize_t *>cnp.PyArray_DATA(classes)
    cdef const double *weight = <const double *>cnp.PyArray_DATA(weights)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(classes), i
    cdef double one, larger, smaller, sum_, total = 0, low = 0
    with nogil:
        for i in range(n):
            if target[i] >= 0:
                one = weight[target[i]]
                sum_ = total + one
                larger, smaller = (total, one) if fabs(total) > fabs(one) else (one, total)
                low += (larger - sum_) + smaller
                total = sum_
    return total + low if isfinite(total) else total


cdef double sum_of_losses(cnp.ndarray losses):
    """The kernels' compensated sum of the losses, because NumPy's sum of 119 equal losses is 5 ULP off."""
    cdef const Kernels *kernels = kernels_of(LOG_SOFTMAX_VJP, cnp.PyArray_TYPE(losses) == cnp.NPY_FLOAT64)
    cdef const void *given = cnp.PyArray_DATA(losses)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(losses)
    cdef double total
    cdef State state
    clear(&state, 1)
    state.away = 0
    if n < GIL_MIN_ELEMENTS:
        kernels.reduce_row(&state, given, given, n)
    else:
        with nogil:
            kernels.reduce_row(&state, given, given, n)
    total = state.second.dot.dot[0] + state.second.dot.dot_low[0]
    return total if isfinite(total) else state.second.dot.dot[0]


cdef object rounded_number(double value, int number):
    """The number in the type of a result, rounded once. (bfloat16's own constructor rounds twice.)"""
    cdef float single = <float>value
    cdef uint16_t half
    if number == cnp.NPY_FLOAT64:
        return PyArray_Scalar(&value, cnp.PyArray_DescrFromType(number), None)
    if number == cnp.NPY_FLOAT32:
        return PyArray_Scalar(&single, cnp.PyArray_DescrFromType(number), None)
    storer(number, from_double=True)(&value, 1, &half, 0, NATIVE)
    return PyArray_Scalar(&half, cnp.PyArray_DescrFromType(number), None)


cdef double reduced_loss(cnp.ndarray losses, double denominator):
    """The sum of the losses divided by the denominator; a finite quotient is found even if the sum overflows.

    The mean over targets whose weights add up to 0 is nan. The quotient would be inf or nan, depending on the sum.
    """
    cdef double total = sum_of_losses(losses)
    if denominator == 0:
        return NAN
    if isfinite(total):
        return total/denominator
    silence = silenced()
    try:
        return ldexp(sum_of_losses(np.asarray(np.ldexp(losses, -SUM_BITS)))/denominator, SUM_BITS)
    finally:
        silence.__exit__(None, None, None)
