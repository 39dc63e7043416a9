"""Losses and gradients: from arguments to a plan, and back to results.

call.pyx has the steps that all calls share. This file and the files that it includes have those of calls with targets,
or with more than one array of elements or results.
"""

cimport numpy as cnp
import numpy as np
from libc.math cimport NAN, fma, isfinite

from smoothmax._arrays.call cimport (
    MAX_DIMENSIONS, READ_BEFORE_WRITTEN, READ_IN_ANY_ORDER, Adjustment, Shape, adjustment_of, as_array, as_axis,
    as_base, as_mask, as_numbers, as_type, broadcast, broadcast_addends, check_out, computed_dtype, keep_addends_from,
    kernel_type, mark_axes, new_result, prepare, promoted, put_adjustment, put_array, put_reduced_result, put_result,
    put_value, reduced_shape, requested_dtype, result_dtype, result_shape, shape_of, shown, silenced, size_of,
    take_kernels_of_halves, take_kernels_of_two_halves, take_reduced_strides, walk_arrays, whole_shape,
    with_joined_axes, without_overlap,
)
from smoothmax._arrays.elements cimport dtype_of_number, has_kernels, loader, number_of, storer
from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_GRADIENT, LOG_PROB, NLL, SOFT_CROSS_ENTROPY, SOFT_CROSS_ENTROPY_GRADIENT, SOFT_NLL,
    Operation,
)
from smoothmax._schedule.plan cimport FACTORS, MASK, WEIGHTS, Plan
from smoothmax._schedule.route cimport EMPTY
from smoothmax._schedule.walk cimport note

cdef extern from "numpy/arrayobject.h":
    object PyArray_Scalar(void *data, cnp.dtype dtype, object base)

cnp.import_array()


cdef int kernel_dtype_number(object dtype, str name) except -1:
    """The number of a type that kernels compute. Refuses other types, such as longdouble and complex."""
    if not has_kernels(number_of(dtype)):
        raise TypeError(f"{name} must be of float64, float32, float16, bfloat16, an integer type or bool, got dtype "
                        f"{dtype}")
    return number_of(dtype)


cdef bint has_shape_of_positions(cnp.ndarray array, const Shape *shape) noexcept:
    """Whether an array has one number for each reduction."""
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef int ndim = result_shape(shape, False, lengths), i
    if cnp.PyArray_NDIM(array) != ndim:
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(array, i) != lengths[i]:
            return False
    return True


cdef bint has_whole_shape(cnp.ndarray array, const Shape *shape) noexcept:
    cdef int i
    if cnp.PyArray_NDIM(array) != shape.ndim:
        return False
    for i in range(shape.ndim):
        if cnp.PyArray_DIM(array, i) != shape.shape[i]:
            return False
    return True


cdef cnp.ndarray array_of_positions(const Shape *shape, int number):
    """A new array of one number for each reduction."""
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef int ndim = result_shape(shape, False, lengths)
    return cnp.PyArray_EMPTY(ndim, lengths, number, 0)


cdef int computed_number(object x, cnp.ndarray array, Adjustment by, object requested, str name) except -1:
    """The type number of the results of these elements. Refuses types that kernels do not compute."""
    cdef int number = cnp.PyArray_TYPE(array)
    if requested is None and by is None and has_kernels(number):
        return number
    if requested is None and by is not None and by.addends is not None:
        kernel_dtype_number(computed_dtype(by.addends.descr), "add")
    return kernel_dtype_number(result_dtype(x, array, None, None, requested, by), name)


def axis_advice(given, logits, axis):
    """Advice on targets whose shape would be right if the classes were along axis 1, as in PyTorch."""
    if len(logits) > 2 and axis == len(logits) - 1 and given in (logits[:1] + logits[2:], logits):
        return "; if the classes lie along axis 1, as PyTorch has them, pass axis=1"
    return ""


include "gradients.pxi"
include "targets.pxi"
include "class_weights.pxi"


cdef object log_prob_array(object logits, object targets, object axis, object scale, object add):
    """log_softmax at the targets."""
    cdef cnp.ndarray array = as_numbers(logits, "logits"), given = as_numbers(targets, "targets")
    cdef Adjustment by = adjustment_of(scale, add)
    return log_prob_of_arrays(logits, as_base(array), as_base(given), as_class_axis(axis), by)


cdef object log_prob_of_arrays(object logits, cnp.ndarray array, cnp.ndarray given, object axis, Adjustment by):
    cdef cnp.ndarray classes, value
    cdef Shape shape
    cdef Plan plan
    cdef int number, computing, class_axis, wrong = 0
    cdef Py_ssize_t size
    shape_of(array, &shape)
    if by is not None:
        broadcast_addends(array, by, &shape)
    class_axis = mark_class_axis(axis, &shape)
    number = computed_number(logits, array, by, None, "logits")
    computing = kernel_type(number)
    if not has_shape_of_positions(given, &shape):
        raise ValueError(f"targets must have shape {reduced_shape(&shape, keepdims=False)}, got {(<object>given).shape}"
                         f"{axis_advice((<object>given).shape, whole_shape(&shape), class_axis)}")
    size = size_of(&shape)
    classes = as_classes(given, shape.shape[class_axis], None, CHECKED_BY_WALK if size else CHECKED_HERE)
    value = array_of_positions(&shape, number)
    if not size:
        note(EMPTY)
    else:
        prepare(&plan, LOG_PROB, &shape, array, None, None, computing)
        put_adjustment(&plan, by, computing, &shape)
        put_reduced_result(&plan, value, computing, &shape, keepdims=False)
        take_kernels_of_halves(&plan, number, number)
        put_classes(&plan, classes, class_axis, &shape, &wrong)
        plan.is_loss = True
        plan.class_weights = NULL
        plan.hard = plan.denominator = 1
        plan.hard_low = plan.soft = plan.soft_low = 0
        walk_arrays(&plan, &shape)
        if wrong:
            refuse_classes(given, classes, shape.shape[class_axis], None)
    return value[()] if cnp.PyArray_NDIM(value) == 0 else value


# Losses --------------------------------------------------------------------------------------------------------------

cdef Operation loss_operation(LossInput kind, LossResult wanted, bint soft):
    if kind == LOG_PROBABILITIES:
        return SOFT_NLL if soft else NLL
    if wanted == LOSS_AND_GRADIENT:
        return SOFT_CROSS_ENTROPY_GRADIENT if soft else CROSS_ENTROPY_GRADIENT
    return SOFT_CROSS_ENTROPY if soft else CROSS_ENTROPY


cdef void put_label(Plan *plan, double hard, double hard_low, double soft, double soft_low) noexcept:
    """Note the factors of the target and of the weights of all classes, each in two parts."""
    plan.hard, plan.hard_low = hard, hard_low
    plan.soft, plan.soft_low = soft, soft_low


cdef void put_class_array(Plan *plan, int role, cnp.ndarray array, int number, int axis, Shape *shape) noexcept:
    """Note an array of one number for each class, or of one number for all."""
    put_array(plan, role, array, number)
    shape.stride[role][axis] = 0 if cnp.PyArray_DIM(array, 0) == 1 else cnp.PyArray_STRIDE(array, 0)


cdef object loss_array(LossInput kind, LossResult wanted, object logits, object targets, object axis, object weight,
                       object ignore_index, object label_smoothing, object reduction, object out, object scale,
                       object add):
    """The loss, or the pair of loss and gradient."""
    cdef str name = "logits" if kind == LOGITS else "log_probs"
    cdef cnp.ndarray array = as_numbers(logits, name), given = as_numbers(targets, "targets")
    cdef cnp.ndarray weights = None if weight is None else as_numbers(weight, "weight")
    cdef double smoothing = as_smoothing(label_smoothing)
    cdef Reduction reduced = as_reduction(reduction)
    cdef Adjustment by = adjustment_of(scale, add)
    cdef Environment environment
    axis = as_class_axis(axis)
    ignore_index = as_index(ignore_index)
    # Without class weights, no NumPy function that a call reaches can warn.
    silence = None if weights is None else silenced()
    enter_environment(&environment)
    try:
        return loss_of_arrays(kind, wanted, logits, as_base(array), as_base(given), axis, as_base(weights),
                              ignore_index, smoothing, reduced, out, by)
    finally:
        leave_environment(&environment)
        if silence is not None:
            silence.__exit__(None, None, None)


cdef object loss_of_arrays(LossInput kind, LossResult wanted, object logits, cnp.ndarray array, cnp.ndarray given,
                           object axis, cnp.ndarray weights, object ignore_index, double smoothing,
                           Reduction reduction, object out, Adjustment by):
    """loss_array after all code of the user has run. The caller has silenced NumPy's warnings where they can occur."""
    cdef cnp.ndarray classes = None, probabilities = None, value, result = None
    cdef Shape shape
    cdef Plan plan
    cdef int number, computing, class_axis, wrong = 0
    cdef Py_ssize_t n, size
    cdef double denominator = 1, rest, rest_low, share, share_low
    cdef bint soft
    cdef RangeCheck check = CHECKED_HERE
    shape_of(array, &shape)
    if by is not None:
        broadcast_addends(array, by, &shape)
    class_axis = mark_class_axis(axis, &shape)
    number = computed_number(logits, array, by, None, "logits" if kind == LOGITS else "log_probs")
    computing = kernel_type(number)
    n, size = shape.shape[class_axis], size_of(&shape)
    if weights is not None:
        weights = as_weight(weights, n)
        if not suit_float32(weights):
            computing = cnp.NPY_FLOAT64
    if has_whole_shape(given, &shape):
        if ignore_index is not None:
            raise ValueError("ignore_index must be None where targets are probabilities, got "
                             f"{shown(ignore_index)}")
        if loader(cnp.PyArray_TYPE(given), to_double=True) == NULL:
            raise TypeError(f"targets must be real, got dtype {given.descr}")
        probabilities = given
        if are_wide(probabilities):
            computing = cnp.NPY_FLOAT64
    elif has_shape_of_positions(given, &shape):
        if wanted == LOSS and weights is None and ignore_index is None and size:
            check = CHECKED_BY_WALK
        classes = as_classes(given, n, ignore_index, check)
    else:
        positions, whole = reduced_shape(&shape, keepdims=False), whole_shape(&shape)
        raise ValueError(f"targets must have shape {positions}, of class indices, or {whole}, of probabilities, "
                         f"got {(<object>given).shape}{axis_advice((<object>given).shape, whole, class_axis)}")
    if wanted == LOSS_AND_GRADIENT:
        if out is not None:
            check_out(out, shape.ndim, shape.shape, dtype_of_number(number))
            result = out
            array = without_overlap(array, result, READ_BEFORE_WRITTEN)
            probabilities = without_overlap(probabilities, result, READ_BEFORE_WRITTEN)
            classes = without_overlap(classes, result, READ_IN_ANY_ORDER)
            weights = without_overlap(weights, result, READ_IN_ANY_ORDER)
            keep_addends_from(result, by)
        else:
            result = new_result(array, &shape, number)
    value = array_of_positions(&shape, number if reduction == NO_REDUCTION else computing)
    if not size:
        value.fill(0)
    if reduction == MEAN:
        if classes is None or weights is None and ignore_index is None:
            denominator = cnp.PyArray_SIZE(value)
        elif weights is None:
            denominator = np.count_nonzero(np.greater_equal(classes, 0))
        else:
            if not suit_float32(weights):
                weights = scaled_for_mean(weights, classes if smoothing == 0 else None)
            denominator = sum_of_weights(classes, weights)
    if not size:
        note(EMPTY)
    else:
        soft = classes is None or smoothing > 0
        prepare(&plan, loss_operation(kind, wanted, soft), &shape, array, probabilities, None, computing)
        put_adjustment(&plan, by, computing, &shape)
        if wanted == LOSS_AND_GRADIENT:
            put_result(&plan, result, computing, &shape)
            put_value(&plan, value, computing, &shape, keepdims=False)
        else:
            put_reduced_result(&plan, value, computing, &shape, keepdims=False)
        # Losses of one sign are as near to their sum as each is to its result.
        if weights is None or reduction == NO_REDUCTION or not has_negative(weights):
            take_kernels_of_halves(&plan, number if result is None else cnp.PyArray_TYPE(result), number)
        plan.is_loss = True
        plan.class_weights = NULL
        if weights is not None:
            plan.class_weights = <const double *>cnp.PyArray_DATA(weights)
        plan.denominator = denominator
        if denominator == 0:    # if no target counts, the gradient is 0; otherwise it is nan, like the loss
            plan.denominator = 1 if weights is None else NAN
        rest = 1 - smoothing
        rest_low = (1 - rest) - smoothing
        share = smoothing/n
        share_low = fma(-share, n, smoothing)/n
        if classes is None:
            put_label(&plan, 0, 0, 1, 0)
            if smoothing > 0 or weights is not None:
                factors = np.ones(1) if weights is None else weights
                plan.blended = True
                plan.scale, plan.scale_low = rest, rest_low
                plan.offset, plan.offset_low = share, share_low
                plan.load_factors = loader(cnp.NPY_FLOAT64, computing == cnp.NPY_FLOAT64)
                put_class_array(&plan, FACTORS, factors, computing, class_axis, &shape)
        else:
            put_classes(&plan, classes, class_axis, &shape, &wrong if check == CHECKED_BY_WALK else NULL)
            put_label(&plan, rest, rest_low, share, share_low)
            if soft:
                spread = one_a_class(weights, n, dtype_of_number(computing))
                plan.load_weights = loader(computing, computing == cnp.NPY_FLOAT64)
                put_class_array(&plan, WEIGHTS, spread, computing, class_axis, &shape)
        walk_arrays(&plan, &shape)
        if wrong:
            refuse_classes(given, classes, n, None)
    if reduction == NO_REDUCTION:
        loss = value[()] if cnp.PyArray_NDIM(value) == 0 else value
    else:
        loss = rounded_number(reduced_loss(value, denominator), number)
    return (loss, result) if wanted == LOSS_AND_GRADIENT else loss
