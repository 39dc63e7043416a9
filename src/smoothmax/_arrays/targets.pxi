# Targets that are class indices: check them, and note them in a plan.

import operator

cimport numpy as cnp
import numpy as np
from libc.stdint cimport INTPTR_MAX, INTPTR_MIN
from numpy.exceptions import AxisError

from smoothmax._schedule.plan cimport ADDENDS, ELEMENTS, RESULT, TARGET, Plan


cdef enum RangeCheck:
    # Who checks that targets are classes.
    CHECKED_HERE
    # The walk checks targets when it looks them up. That is safe for a loss without a gradient, because no result is
    # visible before the check. A check before the walk, on one thread, would take a twentieth of the time of 19 classes
    # (P35).
    CHECKED_BY_WALK


cdef object as_class_axis(object axis):
    """The argument `axis` of a loss, as a Python integer."""
    if axis is None or type(axis) is tuple:
        raise TypeError(f"axis must be an int, got {axis!r}")
    return as_axis(axis)


cdef int mark_class_axis(object axis, Shape *shape) except -1:
    """Mark the one axis along which the classes lie, and return it."""
    cdef int i
    if shape.ndim == 0:
        raise AxisError(axis, 0)
    mark_axes(axis, shape)
    for i in range(shape.ndim):
        if shape.reduced[i]:
            return i


cdef object as_index(object ignore_index):
    """The argument `ignore_index`: None, or a Python integer of any size."""
    if ignore_index is None:
        return None
    if isinstance(ignore_index, (bool, np.bool_)) or not hasattr(ignore_index, "__index__"):
        raise TypeError(f"ignore_index must be None or an int, got {ignore_index!r}")
    return operator.index(ignore_index)


cdef bint all_in_range(const Py_ssize_t *values, Py_ssize_t n, Py_ssize_t end) noexcept nogil:
    """Whether all values are in range(end).

    This combines the signs of each value and of its distance to the last class, which vectorises on every processor.
    """
    cdef Py_ssize_t i
    cdef size_t last = <size_t>(end - 1), signs = 0
    for i in range(n):
        signs |= <size_t>values[i] | (last - <size_t>values[i])
    return <Py_ssize_t>signs >= 0


cdef cnp.ndarray as_indices(cnp.ndarray targets, bint fresh):
    """The targets as contiguous, aligned, native intp; a new array if `fresh`."""
    cdef int flags = cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED | cnp.NPY_ARRAY_FORCECAST
    if not fresh and cnp.PyArray_TYPE(targets) == cnp.NPY_INTP and cnp.PyArray_ISCARRAY_RO(targets):
        return targets              # the call below would return the same, after a search for the type
    return cnp.PyArray_FROM_OTF(targets, cnp.NPY_INTP, flags | (cnp.NPY_ARRAY_ENSURECOPY if fresh else 0))


cdef cnp.ndarray as_classes(cnp.ndarray targets, Py_ssize_t classes, object ignore_index, RangeCheck check):
    """The targets as contiguous intp, checked unless the walk checks them, and -1 where they are to be ignored."""
    cdef Py_ssize_t least = INTPTR_MIN, most = INTPTR_MAX       # because Cython takes the macros for ints
    cdef bint ignoring = ignore_index is not None and least <= ignore_index <= most
    cdef Py_ssize_t ignored = ignore_index if ignoring else 0, n = cnp.PyArray_SIZE(targets), i
    cdef cnp.ndarray result
    cdef Py_ssize_t *target
    cdef bint right = True
    if not cnp.PyArray_ISINTEGER(targets):
        raise TypeError(f"targets of shape {(<object>targets).shape} must be class indices of an integer type, "
                        f"got dtype {targets.descr}")
    if cnp.PyArray_ISUNSIGNED(targets) and cnp.PyArray_ITEMSIZE(targets) >= <int>sizeof(Py_ssize_t):
        # A number that intp cannot hold becomes the largest intp, which is not a class. Targets to be ignored are found
        # among the original numbers, and marked by a negative number, which no unsigned target can have.
        result = as_indices(np.asarray(np.minimum(targets, np.uint64(most))), True)
        ignoring = ignore_index is not None and 0 <= ignore_index <= np.iinfo(np.uint64).max
        if ignoring:
            ignored = INTPTR_MIN
            result[np.equal(targets, np.uint64(ignore_index))] = ignored
    else:
        result = as_indices(targets, ignoring)
    target = <Py_ssize_t *>cnp.PyArray_DATA(result)
    if ignoring:
        with nogil:
            for i in range(n):
                right &= target[i] == ignored or 0 <= target[i] < classes
    elif check == CHECKED_HERE:
        with nogil:
            right = all_in_range(target, n, classes)
    if not right:
        refuse_classes(targets, result, classes, ignored if ignoring else None)
    if ignoring:
        with nogil:
            for i in range(n):
                target[i] = -1 if target[i] == ignored else target[i]
    return result


cdef int refuse_classes(cnp.ndarray targets, cnp.ndarray indices, Py_ssize_t classes, object ignored) except -1:
    """Name the first target that is out of range and is not to be ignored."""
    out_of_range = np.less(indices, 0) | np.greater_equal(indices, classes)
    if ignored is not None:
        out_of_range &= np.not_equal(indices, ignored)
    place = np.unravel_index(np.argmax(out_of_range), (<object>targets).shape)
    shown_place = tuple(np.array(place, np.intp).tolist())
    advice = f"; ignore_index={targets[place]} leaves such targets out of a loss" if targets[place] < 0 else ""
    raise IndexError(f"targets must be in range({classes}), the number of classes, got {targets[place]} at "
                     f"{shown_place}{advice}")


cdef void put_classes(Plan *plan, cnp.ndarray targets, int axis, Shape *shape, int *wrong) noexcept:
    """Note the targets, and where the element, the addend and the result of each class lie."""
    cdef int role
    cdef Py_ssize_t last = shape.shape[axis] - 1
    plan.wrong = wrong
    plan.data[TARGET] = <char *>cnp.PyArray_DATA(targets)
    take_reduced_strides(targets, TARGET, shape, keepdims=False)
    for role in (ELEMENTS, ADDENDS, RESULT):
        plan.class_stride[role] = shape.stride[role][axis]
        # An axis that runs backwards in memory is walked forwards, from its last class.
        plan.first_class[role] = -last*shape.stride[role][axis] if shape.stride[ELEMENTS][axis] < 0 else 0
