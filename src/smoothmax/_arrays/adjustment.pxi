# The arguments `scale` and `add`: numbers by which elements are multiplied, and numbers that are added to the products.

import numbers

cimport cython
cimport numpy as cnp
import numpy as np

from smoothmax._schedule.plan cimport ADDENDS, Plan


@cython.freelist(4)
cdef class Adjustment:
    pass


cdef object as_scale(object scale):
    """The argument `scale`: a float, or a longdouble or complex number.

    It is rounded to the type of the computation. Its own type has no influence on that type, because a scale that NumPy
    computed, of type float64, must not turn float32 into float64.
    """
    cdef cnp.ndarray array
    if type(scale) is float:
        return scale
    given = scale
    if not isinstance(scale, np.generic) and (hasattr(scale, "__array__") or hasattr(scale, "__dlpack__")):
        array = as_base(as_array(scale, "scale"))
        if cnp.PyArray_NDIM(array):
            raise TypeError(f"scale must be a number, got an array of shape {(<object>array).shape}")
        scale = array[()]
    if isinstance(scale, np.generic) and is_bfloat16(scale.dtype):      # which is not a numbers.Number
        return float(scale)
    if isinstance(scale, bool) or not isinstance(scale, numbers.Number):
        raise TypeError(f"scale must be a number, got {shown(given)}")
    if isinstance(scale, (np.longdouble, np.complexfloating)):
        return scale
    if isinstance(scale, numbers.Complex) and not isinstance(scale, numbers.Real):
        return complex(scale)
    try:
        return float(scale)
    except OverflowError:
        raise ValueError(f"scale must be in the range of float64, got {shown(given)}") from None


cdef Adjustment new_adjustment(object scale, object add):
    """The adjustment by arguments that are not the defaults; None if `scale` is 1 in another type."""
    cdef Adjustment by = Adjustment.__new__(Adjustment)
    by.scale, by.add = as_scale(scale), add
    if add is not None:
        if type(add) is not cnp.ndarray and isinstance(add, np.ma.MaskedArray):
            raise TypeError("add must not be a masked array: pass its filled(value)")
        by.addends = as_array(add, "add")
    elif by.scale == 1 and type(by.scale) is float:
        return None
    return by


cdef inline bint keeps_type(Adjustment by, int number) noexcept:
    """Whether elements of this NumPy type certainly keep it, if it has kernels: then no other type matters."""
    return by is None or type(by.scale) is float and (
        by.addends is None or cnp.PyArray_TYPE(by.addends) == number)


cdef int broadcast_addends(cnp.ndarray array, Adjustment by, Shape *shape) except -1:
    """Broadcast the addends with the shape, after all code of the user has run."""
    if by.addends is not None:
        by.addends = as_base(by.addends)
        broadcast(array, by.addends, "add", shape)
    return 0


cdef int keep_addends_from(cnp.ndarray out, Adjustment by) except -1:
    """Copy addends that share memory with the output: elements may be staged there before addends are read."""
    if by is not None:
        by.addends = without_overlap(by.addends, out, READ_IN_ANY_ORDER)
    return 0


cdef int put_adjustment(Plan *plan, Adjustment by, int computing, Shape *shape) except -1:
    """Note `scale` and the addends in a prepared plan."""
    if by is None:
        return 0
    plan.adjusted = True
    plan.element_scale = by.scale
    if by.addends is not None:
        if shape.ndim > 2:
            by.addends = joined_operand(by.addends, ADDENDS, shape)
        put_array(plan, ADDENDS, by.addends, computing)
        plan.load_addends = loader(cnp.PyArray_TYPE(by.addends), computing == cnp.NPY_FLOAT64)
        take_strides(by.addends, ADDENDS, shape)
    return 0


cdef object adjusted_elements(cnp.ndarray array, Adjustment by, object dtype):
    """The adjusted elements as an array of this type, computed by NumPy."""
    elements = as_type(array, dtype)
    if by is None:
        return elements
    if by.scale != 1:
        elements = np.multiply(elements, dtype.type(by.scale), dtype=dtype)
    return elements if by.addends is None else np.add(elements, as_type(by.addends, dtype), dtype=dtype)
