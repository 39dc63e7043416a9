"""From the arguments of losses and gradients to a plan: targets, class weights, and the results that go with them.

Arrays, their types and axes are _layout's affair; here is what is particular to calls that have targets, or more than
one array or result.
"""

import operator

cimport numpy as cnp
import numpy as np
from libc.math cimport fabs, fma, isfinite
from numpy.exceptions import AxisError

from smoothmax._kernels.dispatch cimport kernels_of
from smoothmax._arrays.elements cimport loader
from smoothmax._kernels.interface cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_GRADIENT, LOG_PROB, LOG_SOFTMAX_VJP, LOGSUMEXP_AND_SOFTMAX, NLL, SOFT_CROSS_ENTROPY,
    SOFT_CROSS_ENTROPY_GRADIENT, SOFT_NLL, Kernels, Operation, State, clear,
)
from smoothmax._arrays.call cimport (
    Shape, apart, as_array, as_mask, broadcast, check_out, computed_dtype, mark_axes, new_result, prepare, put_array,
    put_reduced_result, put_result, put_value, result_dtype, run, shape_of, size_of, take_reduced_strides,
)
from smoothmax._schedule.plan cimport ELEMENTS, FACTORS, RESULT, TARGET, WEIGHTS, Plan

from smoothmax._arrays.call import FLOATS

cnp.import_array()


# Types and shapes ----------------------------------------------------------------------------------------------------

cdef cnp.ndarray as_numbers(object x, str name):
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array")
    return as_array(x, name)


cdef int computable(object dtype, str name) except -1:
    """The number of a type that the kernels compute; longdouble and complex they do not."""
    if dtype.num not in FLOATS:
        raise TypeError(f"{name} must be of float64, float32, float16, an integer type or bool, got dtype {dtype}")
    return dtype.num


cdef tuple shape_tuple(const Shape *shape, bint kept_only):
    return tuple([shape.shape[i] for i in range(shape.ndim) if not (kept_only and shape.reduced[i])])


cdef object cast(double value, int number):
    """A scalar of the type; what is too large for it is inf, without a warning."""
    with np.errstate(all="ignore"):
        return FLOATS[number].type(value)


# Gradients of softmax and its relatives ------------------------------------------------------------------------------

cdef object value_and_softmax(object a, object axis, object keepdims, object where, object out, object dtype):
    """logsumexp and softmax of the same array."""
    cdef cnp.ndarray array = as_array(a, "a"), mask = None, result, value
    cdef Shape shape
    cdef Plan plan
    cdef cnp.npy_intp value_shape[64]
    cdef int number, computing, ndim = 0, i
    cdef bint keep = bool(keepdims)
    shape_of(array, &shape)
    if where is not True:
        mask = as_mask(where)
        broadcast(array, mask, "where", &shape)
    mark_axes(axis, &shape)
    number = computable(result_dtype(a, array, None, None, dtype), "a")
    for i in range(shape.ndim):
        if keep or not shape.reduced[i]:
            value_shape[ndim] = 1 if shape.reduced[i] else shape.shape[i]
            ndim += 1
    if out is not None:
        check_out(out, shape.ndim, shape.shape, FLOATS[number])
        result = out
        array, mask = apart(array, result, True), apart(mask, result, False)
    else:
        result = new_result(array, &shape, number)
    value = cnp.PyArray_EMPTY(ndim, value_shape, number, 0)
    if size_of(&shape):
        computing = prepare(&plan, LOGSUMEXP_AND_SOFTMAX, &shape, array, None, mask, number)
        put_result(&plan, result, computing, &shape)
        put_value(&plan, value, computing, keep, &shape)
        run(&plan, &shape)
    else:
        value.fill(-np.inf)
    return value[()] if ndim == 0 else value, result[()] if out is None and shape.ndim == 0 else result


cdef object product_array(Operation operation, object g, object p, str name, object axis, object out):
    """A vector-Jacobian product: a result of the shape of p from it and g."""
    cdef cnp.ndarray array = as_numbers(p, name), cotangent = as_numbers(g, "g"), result
    cdef Shape shape
    cdef Plan plan
    cdef int number, computing
    shape_of(array, &shape)
    if (<object>cotangent).shape != (<object>array).shape:
        raise ValueError(f"g must have the shape of {name}, {(<object>array).shape}, got {(<object>cotangent).shape}")
    mark_axes(axis, &shape)
    computable(cotangent.dtype, "g") if cotangent.dtype.kind in "fc" else None
    computable(array.dtype, name) if array.dtype.kind in "fc" else None
    number = np.result_type(computed_dtype(array.dtype), computed_dtype(cotangent.dtype)).num
    if out is not None:
        check_out(out, shape.ndim, shape.shape, FLOATS[number])
        result = out
        array, cotangent = apart(array, result, True), apart(cotangent, result, True)
    else:
        result = new_result(array, &shape, number)
    if size_of(&shape):
        computing = prepare(&plan, operation, &shape, array, cotangent, None, number)
        put_result(&plan, result, computing, &shape)
        run(&plan, &shape)
    return result[()] if out is None and shape.ndim == 0 else result


# Targets -------------------------------------------------------------------------------------------------------------

cdef int mark_class_axis(object axis, Shape *shape) except -1:
    """Mark the one axis along which the classes lie, and return it."""
    cdef int i
    if axis is None or type(axis) is tuple:
        raise TypeError(f"axis must be an int, got {axis!r}")
    if shape.ndim == 0:
        raise AxisError(axis, 0)
    mark_axes(axis, shape)
    for i in range(shape.ndim):
        if shape.reduced[i]:
            return i


cdef object as_index(object ignore_index):
    """None, or an integer; one that no target of this machine can be is as good as none."""
    if ignore_index is None:
        return None
    if isinstance(ignore_index, (bool, np.bool_)) or not hasattr(ignore_index, "__index__"):
        raise TypeError(f"ignore_index must be None or an int, got {ignore_index!r}")
    index = operator.index(ignore_index)
    info = np.iinfo(np.intp)
    return index if info.min <= index <= info.max else None


cdef bint all_in_range(const Py_ssize_t *values, Py_ssize_t n, Py_ssize_t end) noexcept nogil:
    """By signs alone, of each value and of what is left up to the last: no processor lacks instructions for that."""
    cdef Py_ssize_t i
    cdef size_t last = <size_t>(end - 1), signs = 0
    for i in range(n):
        signs |= <size_t>values[i] | (last - <size_t>values[i])
    return <Py_ssize_t>signs >= 0


cdef cnp.ndarray as_classes(cnp.ndarray targets, Py_ssize_t classes, object ignore_index, bint checked_later):
    """The targets as contiguous integers, in range unless checked_later, and -1 where they are to be ignored.

    Whoever looks them up checks them anyway, and a loss alone has written nothing that anybody sees: the check would
    take a twentieth of the time of 19 classes, all on one thread (2026-11).
    """
    cdef object index = as_index(ignore_index)
    cdef bint ignoring = index is not None
    cdef Py_ssize_t ignored = index if ignoring else 0, n = cnp.PyArray_SIZE(targets), i
    cdef cnp.ndarray result
    cdef Py_ssize_t *target
    cdef bint right = True
    if not cnp.PyArray_ISINTEGER(targets):
        raise TypeError(f"targets of shape {(<object>targets).shape} must be class indices of an integer type, "
                        f"got dtype {targets.dtype}")
    if targets.dtype.kind == "u":           # what is beyond the largest index must not become a negative one
        given = np.minimum(targets, np.uint64(np.iinfo(np.intp).max))
    else:
        given = targets
    result = np.array(given, dtype=np.intp, order="C", copy=True if ignoring else None)
    target = <Py_ssize_t *>cnp.PyArray_DATA(result)
    with nogil:
        if ignoring:
            for i in range(n):
                right &= target[i] == ignored or 0 <= target[i] < classes
        elif not checked_later:
            right = all_in_range(target, n, classes)
    if not right:
        refuse_classes(targets, result, classes, index)
    if ignoring:
        with nogil:
            for i in range(n):
                target[i] = -1 if target[i] == ignored else target[i]
    return result


cdef int refuse_classes(cnp.ndarray targets, cnp.ndarray indices, Py_ssize_t classes, object ignored) except -1:
    """Name the first that is out of range and is not to be ignored."""
    out_of_range = ((<object>indices) < 0) | ((<object>indices) >= classes)
    if ignored is not None:
        out_of_range &= (<object>indices) != ignored
    place = np.unravel_index(np.argmax(out_of_range), (<object>targets).shape)
    raise IndexError(f"targets must be in range({classes}), the number of classes, got {targets[place]} at "
                     f"{tuple([int(i) for i in place])}")


cdef cnp.ndarray as_weight(object weight, Py_ssize_t classes, object dtype):
    """The weights of the classes, contiguous."""
    cdef cnp.ndarray array = as_numbers(weight, "weight")
    if (<object>array).shape != (classes,):
        raise ValueError(f"weight must have shape ({classes},), one for each class, got {(<object>array).shape}")
    if array.dtype.kind == "c":
        raise TypeError(f"weight must be real, got dtype {array.dtype}")
    return np.ascontiguousarray(array, dtype=dtype)


cdef void put_classes(Plan *plan, cnp.ndarray targets, int axis, Shape *shape, int *wrong) noexcept:
    """Note the targets' classes, and where the element and the result of a class lie."""
    cdef int role
    cdef Py_ssize_t last = shape.shape[axis] - 1
    plan.wrong = wrong
    plan.data[TARGET] = <char *>cnp.PyArray_DATA(targets)
    take_reduced_strides(targets, TARGET, False, shape)
    for role in (ELEMENTS, RESULT):
        plan.class_stride[role] = shape.stride[role][axis]
        # An axis that runs backwards in memory is walked forwards, from its last class.
        plan.first_class[role] = -last*shape.stride[role][axis] if shape.stride[ELEMENTS][axis] < 0 else 0


cdef void put_along(Plan *plan, int role, cnp.ndarray array, int number, int axis, Shape *shape) noexcept:
    """Note an array of one number a class, or of one for all."""
    put_array(plan, role, array, number)
    shape.stride[role][axis] = 0 if cnp.PyArray_DIM(array, 0) == 1 else cnp.PyArray_STRIDE(array, 0)


cdef object log_prob_array(object logits, object targets, object axis):
    """log_softmax at the targets."""
    cdef cnp.ndarray array = as_numbers(logits, "logits"), classes, value
    cdef Shape shape
    cdef Plan plan
    cdef int number, computing, class_axis, wrong = 0
    shape_of(array, &shape)
    class_axis = mark_class_axis(axis, &shape)
    number = computable(computed_dtype(array.dtype), "logits")
    kept = shape_tuple(&shape, True)
    classes = as_numbers(targets, "targets")
    if (<object>classes).shape != kept:
        raise ValueError(f"targets must have shape {kept}, got {(<object>classes).shape}")
    given = classes
    classes = as_classes(given, shape.shape[class_axis], None, size_of(&shape) > 0)
    value = np.empty(kept, FLOATS[number])
    if size_of(&shape):
        computing = prepare(&plan, LOG_PROB, &shape, array, None, None, number)
        put_reduced_result(&plan, value, computing, False, &shape)
        put_classes(&plan, classes, class_axis, &shape, &wrong)
        plan.is_loss = True
        plan.class_weights = NULL
        plan.hard = plan.denominator = 1
        plan.hard_low = plan.soft = plan.soft_low = 0
        run(&plan, &shape)
        if wrong:
            refuse_classes(given, classes, shape.shape[class_axis], None)
    return value[()]


# Losses --------------------------------------------------------------------------------------------------------------

cdef Operation operation_of(bint soft, bint gradient, bint normalized):
    if normalized:
        return SOFT_NLL if soft else NLL
    if gradient:
        return SOFT_CROSS_ENTROPY_GRADIENT if soft else CROSS_ENTROPY_GRADIENT
    return SOFT_CROSS_ENTROPY if soft else CROSS_ENTROPY


cdef double denominator_of(str reduction, cnp.ndarray classes, bint ignoring, cnp.ndarray weight,
                           Py_ssize_t positions) except *:
    """What the sum is divided by: 1, or the weights of the targets that count, or how many targets there are."""
    if reduction != "mean":
        return 1
    if classes is None or weight is None and not ignoring:
        return positions
    if weight is None:
        return np.count_nonzero((<object>classes) >= 0)
    classes = np.ascontiguousarray(classes)
    return sum_of_weights(<const Py_ssize_t *>cnp.PyArray_DATA(classes), cnp.PyArray_SIZE(classes),
                          <const double *>cnp.PyArray_DATA(weight))


cdef double sum_of_weights(const Py_ssize_t *classes, Py_ssize_t n, const double *weights) noexcept nogil:
    """What the weights of n targets add up to, but those that are ignored; compensated (Neumaier, ZAMM 54, 1974)."""
    cdef Py_ssize_t i
    cdef double weight, larger, smaller, sum_, total = 0, low = 0
    for i in range(n):
        if classes[i] >= 0:
            weight = weights[classes[i]]
            sum_ = total + weight
            larger, smaller = (total, weight) if fabs(total) > fabs(weight) else (weight, total)
            low += (larger - sum_) + smaller
            total = sum_
    return total + low if isfinite(total) else total


cdef object loss_array(object logits, object targets, object axis, object weight, object ignore_index,
                       object label_smoothing, object reduction, bint gradient, bint normalized, object out):
    """The loss of logits (normalized: of log-probabilities), or the pair of it and its gradient."""
    cdef str name = "log_probs" if normalized else "logits"
    cdef cnp.ndarray array = as_numbers(logits, name), given = as_numbers(targets, "targets")
    cdef cnp.ndarray classes = None, weights = None, b = None, value, result = None
    cdef Shape shape
    cdef Plan plan
    cdef int number, computing, class_axis, wrong = 0
    cdef Py_ssize_t n
    cdef double smoothing = label_smoothing, denominator, rest, rest_low, share, share_low
    cdef bint soft, checked_later = False
    shape_of(array, &shape)
    class_axis = mark_class_axis(axis, &shape)
    number = computable(computed_dtype(array.dtype), name)
    single = FLOATS[cnp.NPY_FLOAT64 if number == cnp.NPY_FLOAT64 else cnp.NPY_FLOAT32]
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"reduction must be 'none', 'sum' or 'mean', got {reduction!r}")
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing must be between 0 and 1, got {label_smoothing!r}")
    n = shape.shape[class_axis]
    kept, whole = shape_tuple(&shape, True), shape_tuple(&shape, False)
    if weight is not None:
        weights = as_weight(weight, n, np.float64)
    if (<object>given).shape == whole:
        if ignore_index is not None:
            raise ValueError(f"ignore_index must be None where targets are probabilities, got {ignore_index!r}")
        if loader(cnp.PyArray_TYPE(given), True) == NULL:
            raise TypeError(f"targets must be real, got dtype {given.dtype}")
        b = given
    elif (<object>given).shape == kept:
        checked_later = not gradient and weights is None and ignore_index is None and size_of(&shape) > 0
        classes = as_classes(given, n, ignore_index, checked_later)
    else:
        raise ValueError(f"targets must have shape {kept}, of class indices, or {whole}, of probabilities, "
                         f"got {(<object>given).shape}")
    if gradient:
        if out is not None:
            check_out(out, shape.ndim, shape.shape, FLOATS[number])
            result = out
            array, b = apart(array, result, True), apart(b, result, True)
            classes, weights = apart(classes, result, False), apart(weights, result, False)
        else:
            result = new_result(array, &shape, number)
    new_value = np.empty if size_of(&shape) else np.zeros
    value = new_value(kept, FLOATS[number] if reduction == "none" else single)
    denominator = denominator_of(reduction, classes, ignore_index is not None, weights, value.size)
    if size_of(&shape):
        soft = classes is None or smoothing > 0
        computing = prepare(&plan, operation_of(soft, gradient, normalized), &shape, array, b, None, number)
        if gradient:
            put_result(&plan, result, computing, &shape)
            put_value(&plan, value, computing, False, &shape)
        else:
            put_reduced_result(&plan, value, computing, False, &shape)
        plan.is_loss = True
        plan.class_weights = NULL
        if weights is not None:
            plan.class_weights = <const double *>cnp.PyArray_DATA(weights)
        plan.denominator = denominator if denominator != 0 or weights is not None else 1
        rest = 1 - smoothing
        rest_low = (1 - rest) - smoothing
        share = smoothing/n
        share_low = fma(-share, n, smoothing)/n
        if classes is None:
            plan.hard = plan.hard_low = plan.soft_low = 0
            plan.soft = 1
            if smoothing > 0 or weights is not None:
                factors = np.ones(1) if weights is None else weights
                plan.blended = True
                plan.scale, plan.scale_low = rest, rest_low
                plan.offset, plan.offset_low = share, share_low
                plan.load_factors = loader(cnp.NPY_FLOAT64, computing == cnp.NPY_FLOAT64)
                put_along(&plan, FACTORS, factors, computing, class_axis, &shape)
        else:
            put_classes(&plan, classes, class_axis, &shape, &wrong if checked_later else NULL)
            plan.hard, plan.hard_low = rest, rest_low
            plan.soft, plan.soft_low = share, share_low
            if soft:
                b = one_a_class(weights, n, single)
                plan.load_weights = loader(computing, computing == cnp.NPY_FLOAT64)
                put_along(&plan, WEIGHTS, b, computing, class_axis, &shape)
        run(&plan, &shape)
        if wrong:
            refuse_classes(given, classes, n, None)
    if reduction == "none":
        loss = value[()]
    else:
        with np.errstate(all="ignore"):
            loss = cast(np.float64(compensated_sum(value))/np.float64(denominator), number)
    return (loss, result) if gradient else loss


cdef double compensated_sum(cnp.ndarray losses):
    """By the kernels' sum of a second array: NumPy's, of 119 equal losses, all rounded alike, is 5 ULP off."""
    cdef const Kernels *kernels = kernels_of(LOG_SOFTMAX_VJP, cnp.PyArray_TYPE(losses) == cnp.NPY_FLOAT64)
    cdef const void *given = cnp.PyArray_DATA(losses)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(losses)
    cdef double total
    cdef State state
    clear(&state, 1)
    with nogil:
        kernels.reduce_row(&state, given, given, n)
    total = state.dot.dot[0] + state.dot.dot_low[0]
    return total if isfinite(total) else state.dot.dot[0]


cdef cnp.ndarray one_a_class(cnp.ndarray weights, Py_ssize_t n, object dtype):
    """What smoothing spreads over the classes; a single number where an array of ones would be large."""
    if weights is not None:
        return np.ascontiguousarray(weights, dtype=dtype)
    return np.ones(n if n <= 32768 else 1, dtype)
