# The shape that the arrays of a call are broadcast to, its reduced axes, and the strides of each array.

import operator

cimport numpy as cnp
import numpy as np
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from numpy.exceptions import AxisError

from smoothmax._schedule.plan cimport ELEMENTS, ROLES, Axes
from smoothmax._thresholds cimport REPEATED_BYTES

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1


# The argument axis ---------------------------------------------------------------------------------------------------

cdef object as_integer_axis(object axis, object given):
    if isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__") or getattr(axis, "ndim", 0):
        raise TypeError(f"axis must be None, an int or a tuple of ints, got {shown(given)}")
    return operator.index(axis)


cdef inline bint is_settled_axis(object axis) noexcept:
    return axis is None or type(axis) is int


cdef object as_axis(object axis):
    """None, a Python integer, or a tuple of Python integers: reading these again runs no code of the user."""
    cdef list integers
    if is_settled_axis(axis):
        return axis
    if type(axis) is not tuple:
        return as_integer_axis(axis, axis)
    integers = []
    for one in axis:
        integers.append(one if type(one) is int else as_integer_axis(one, axis))
    return tuple(integers)


cdef object as_one_axis(object axis):
    """None or a Python integer, for functions along one axis."""
    if is_settled_axis(axis):
        return axis
    if isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__") or getattr(axis, "ndim", 0):
        raise TypeError(f"axis must be None or an int, got {shown(axis)}")
    return operator.index(axis)


cdef int refuse_axis(object axis, const Shape *shape, object given) except -1:
    """Raise for an axis that mark_axis() cannot mark. As in NumPy, 0 and -1 are accepted for a scalar."""
    if shape.ndim == 0 and given is axis and -1 <= axis <= 0:
        return 0
    if not -PY_SSIZE_T_MAX - 1 <= axis <= PY_SSIZE_T_MAX:       # the number may have more digits than Python converts
        raise AxisError(f"axis {shown(axis)} is out of bounds for array of dimension {shape.ndim}")
    if not -shape.ndim <= axis < shape.ndim:
        raise AxisError(axis, shape.ndim)
    raise ValueError(f"axis {axis % shape.ndim} is given more than once in axis={given!r}")


cdef inline int mark_axis(object axis, Shape *shape, object given) except -1:
    cdef int overflow = 0
    cdef long long index = PyLong_AsLongLongAndOverflow(axis, &overflow)
    if index < 0:
        index += shape.ndim
    if overflow or not 0 <= index < shape.ndim or shape.reduced[index]:
        return refuse_axis(axis, shape, given)
    shape.reduced[index] = True
    return 0


cdef int mark_axes(object axis, Shape *shape) except -1:
    """Note which axes are reduced. `axis` is a result of as_axis."""
    cdef int i
    for i in range(shape.ndim):
        shape.reduced[i] = axis is None
    if type(axis) is tuple:
        for one in axis:
            mark_axis(one, shape, axis)
    elif axis is not None:
        mark_axis(axis, shape, axis)
    return 0


# Shapes --------------------------------------------------------------------------------------------------------------

cdef tuple tuple_of(const cnp.npy_intp *numbers, int n):
    """A tuple of integers.

    Cython 3.3.1 compiles a list comprehension over C integers so that it frees an item twice if there is no memory for
    the next, so shapes become tuples only here.
    """
    cdef tuple result = PyTuple_New(n)
    cdef object number
    cdef int i
    for i in range(n):
        number = numbers[i]
        Py_INCREF(number)
        PyTuple_SET_ITEM(result, i, number)
    return result


cdef void shape_of(cnp.ndarray array, Shape *shape) noexcept:
    cdef int i
    shape.ndim = cnp.PyArray_NDIM(array)
    shape.repeated_left = REPEATED_BYTES
    for i in range(shape.ndim):
        shape.shape[i] = cnp.PyArray_DIM(array, i)


cdef int broadcast(cnp.ndarray array, cnp.ndarray other, str name, Shape *shape) except -1:
    """Broadcast `other` with the shape, the result of broadcasting `array` and earlier arrays."""
    cdef int i, ndim = cnp.PyArray_NDIM(other), first
    cdef cnp.npy_intp n
    if ndim > shape.ndim:
        first = ndim - shape.ndim
        for i in range(shape.ndim - 1, -1, -1):
            shape.shape[i + first] = shape.shape[i]
        for i in range(first):
            shape.shape[i] = 1
        shape.ndim = ndim
    for i in range(ndim):
        n = cnp.PyArray_DIM(other, ndim - 1 - i)
        if shape.shape[shape.ndim - 1 - i] == 1:
            shape.shape[shape.ndim - 1 - i] = n
        elif n != 1 and n != shape.shape[shape.ndim - 1 - i]:
            raise ValueError(f"{name} of shape {(<object>other).shape} does not broadcast with the input of shape "
                             f"{(<object>array).shape}")
    return 0


cdef Py_ssize_t size_of(const Shape *shape) except -1:
    """The number of elements. NumPy limits it for each array, but not for the shape that they broadcast to."""
    cdef double size = 1
    cdef Py_ssize_t total = 1
    cdef int i
    for i in range(shape.ndim):
        size *= <double>shape.shape[i]
    if not size > 0:    # nan if a length of 0 follows lengths whose product is infinite
        return 0
    if size > <double>(PY_SSIZE_T_MAX//<Py_ssize_t>sizeof(double)):
        refuse_size(shape)
    for i in range(shape.ndim):
        total *= shape.shape[i]
    return total


cdef int refuse_size(const Shape *shape) except -1:
    """Raise the error that NumPy raises for an array of such a shape."""
    np.empty(whole_shape(shape))
    raise ValueError("array is too big")


cdef int result_shape(const Shape *shape, bint keepdims, cnp.npy_intp *lengths) noexcept:
    """The shape of one result for each reduction; returns its number of axes."""
    cdef int ndim = 0, i
    for i in range(shape.ndim):
        if keepdims or not shape.reduced[i]:
            lengths[ndim] = 1 if shape.reduced[i] else shape.shape[i]
            ndim += 1
    return ndim


cdef tuple whole_shape(const Shape *shape):
    return tuple_of(shape.shape, shape.ndim)


cdef tuple reduced_shape(const Shape *shape, bint keepdims):
    """The shape of one result for each reduction."""
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef int ndim = result_shape(shape, keepdims, lengths)
    return tuple_of(lengths, ndim)


cdef tuple reduced_axes(const Shape *shape):
    cdef cnp.npy_intp axes[MAX_DIMENSIONS]
    cdef int n = 0, i
    for i in range(shape.ndim):
        if shape.reduced[i]:
            axes[n] = i
            n += 1
    return tuple_of(axes, n)


# Strides -------------------------------------------------------------------------------------------------------------

cdef void take_strides(cnp.ndarray array, int role, Shape *shape) noexcept:
    """The strides of the array broadcast to the shape."""
    cdef int i, missing = shape.ndim - cnp.PyArray_NDIM(array)
    for i in range(shape.ndim):
        shape.stride[role][i] = (
            0 if i < missing or cnp.PyArray_DIM(array, i - missing) == 1 else cnp.PyArray_STRIDE(array, i - missing))


cdef void take_reduced_strides(cnp.ndarray array, int role, Shape *shape, bint keepdims) noexcept:
    """The strides of an array with one number for each reduction: 0 along reduced axes."""
    cdef int i, j = 0
    for i in range(shape.ndim):
        shape.stride[role][i] = 0 if shape.reduced[i] else cnp.PyArray_STRIDE(array, j)
        j += keepdims or not shape.reduced[i]


cdef void clear_strides(int role, Shape *shape) noexcept:
    cdef int i
    for i in range(shape.ndim):
        shape.stride[role][i] = 0


# Axes of a plan ------------------------------------------------------------------------------------------------------

cdef void insert_axis(Axes *axes, const Shape *shape, int source, const bint *flipped) noexcept:
    """Insert an axis of the shape, sorted by the strides of the elements: the smallest comes first."""
    cdef Py_ssize_t stride = -shape.stride[ELEMENTS][source] if flipped[0] else shape.stride[ELEMENTS][source]
    cdef int i = axes.ndim, role
    while i > 0 and axes.stride[ELEMENTS][i - 1] > stride:
        axes.shape[i] = axes.shape[i - 1]
        for role in range(ROLES):
            axes.stride[role][i] = axes.stride[role][i - 1]
        i -= 1
    axes.shape[i] = shape.shape[source]
    for role in range(ROLES):
        axes.stride[role][i] = -shape.stride[role][source] if flipped[0] else shape.stride[role][source]
    axes.ndim += 1


cdef bint are_mergeable(const Axes *axes, int inner, int outer) noexcept:
    """Whether two axes can be merged: in every array, a step of the outer axis spans the whole inner axis."""
    cdef int role
    for role in range(ROLES):
        if axes.stride[role][outer] != axes.shape[inner]*axes.stride[role][inner]:
            return False
    return True


cdef void merge_axes(Axes *axes) noexcept:
    """Merge neighbouring axes if no array has a gap between them."""
    cdef int i, role, last = 0
    for i in range(1, axes.ndim):
        if are_mergeable(axes, last, i):
            axes.shape[last] *= axes.shape[i]
            continue
        last += 1
        axes.shape[last] = axes.shape[i]
        for role in range(ROLES):
            axes.stride[role][last] = axes.stride[role][i]
    axes.ndim = min(axes.ndim, last + 1)
