# The type of a result, and the type it is computed in.

import functools

cimport numpy as cnp
import numpy as np
from libc.float cimport FLT_MAX, FLT_MIN

# What kernels compute and store. plain.py computes longdouble and complex.
KERNEL_DTYPES = {number: np.dtype(name) for name, number in
                 (("float16", cnp.NPY_FLOAT16), ("float32", cnp.NPY_FLOAT32), ("float64", cnp.NPY_FLOAT64))}
LONGDOUBLE = np.dtype(np.longdouble)
# A Python number promotes by its kind alone, as the narrowest type of that kind does.
WEAK_DTYPES = {kind: np.dtype(name) for kind, name in ((bool, "?"), (int, "?"), (float, "f2"), (complex, "c8"))}


cdef object requested_dtype(object dtype):
    """None, or the argument `dtype` as one of the four types that it may be."""
    if dtype is None:
        return None
    requested = np.dtype(dtype).newbyteorder("=")
    if requested.num not in KERNEL_DTYPES and requested != LONGDOUBLE:
        raise TypeError(f"dtype must be float32, float64, float16 or longdouble, got {requested}")
    return requested


cdef object computed_dtype(object dtype):
    """The type that numbers of this one are computed in and returned as, in native byte order."""
    return KERNEL_DTYPES[cnp.NPY_FLOAT64] if dtype.kind in "biu" else dtype.newbyteorder("=")


cdef object promoted_dtype(list given):
    """The type that arguments promote to, by the rule of NumPy's ufuncs; each is given with its array."""
    arrays = [array.dtype for one, array in given if type(one) not in WEAK_DTYPES]
    weak = [WEAK_DTYPES[type(one)] for one, array in given if type(one) in WEAK_DTYPES]
    result = computed_dtype(functools.reduce(np.promote_types, arrays) if arrays else given[0][1].dtype)
    return functools.reduce(np.promote_types, weak, result)


cdef object result_dtype(object a, cnp.ndarray array, object b, cnp.ndarray weights, object requested,
                         Adjustment by=None):
    """The type of the result: the one that was requested, or that of the arguments."""
    cdef list given = [(a, array)]
    if weights is not None:
        given.append((b, weights))
    if by is not None and by.addends is not None:
        given.append((by.add, by.addends))
    if requested is None:
        requested = computed_dtype(array.descr) if len(given) == 1 else promoted_dtype(given)
    elif any([one.dtype.kind == "c" for _, one in given]):
        raise TypeError(f"dtype must be None for complex input, got {requested}")
    if by is not None and requested.kind != "c" and isinstance(by.scale, (complex, np.complexfloating)):
        raise TypeError(f"scale must be real for real input, got {by.scale}")
    return requested


cdef object computing_dtype(object result, object b, cnp.ndarray weights):
    """The type that holds results of this type, and weights without loss of range.

    Weights cancel large and small exponentials, so a result may be in the range of its type where they are not. Arrays
    decide by their types, so that a value does not change the last bit of the results beside it. Only a Python number,
    whose type says nothing of its range, decides by its value.
    """
    if type(b) in WEAK_DTYPES:
        size = abs(b)
        # By its bytes: the caller's floating-point environment may compare subnormal numbers as 0.
        is_zero = size == 0 and (type(b) is not float or not any(np.float64(size).tobytes()))
        return np.promote_types(result, np.float64) if not is_zero and size < FLT_MIN or FLT_MAX < size else result
    return np.promote_types(result, weights.descr) if weights.descr.kind in b"fc" else result


cdef inline int kernel_type(int number) noexcept:
    """The type of the kernels that compute results of this one."""
    return cnp.NPY_FLOAT64 if number == cnp.NPY_FLOAT64 else cnp.NPY_FLOAT32


cdef cnp.ndarray as_type(cnp.ndarray array, object dtype):
    """Cast by NumPy, which takes the byte of a bool for its value."""
    if cnp.PyArray_ISBOOL(array):
        return np.asarray(np.not_equal(array.view(np.uint8), 0)).astype(dtype)
    return array.astype(dtype, copy=False)
