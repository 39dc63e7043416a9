# The type of a result, and the type it is computed in.

import functools

cimport numpy as cnp
import numpy as np
from libc.float cimport FLT_MAX, FLT_MIN

from smoothmax._arrays.elements cimport dtype_of_argument, dtype_of_number, has_kernels, is_bfloat16, number_of

FLOAT16, FLOAT32, FLOAT64, LONGDOUBLE = map(np.dtype, (np.float16, np.float32, np.float64, np.longdouble))
WEAK_TYPES = frozenset((bool, int, float, complex))     # Python's numbers promote by their kind alone


cdef object requested_dtype(object dtype):
    """None, or the argument `dtype` as one of the five types that it may be."""
    if dtype is None:
        return None
    requested = dtype_of_argument(dtype)
    if requested not in (FLOAT32, FLOAT64, FLOAT16, LONGDOUBLE) and not is_bfloat16(requested):
        raise TypeError(f"dtype must be float32, float64, float16, bfloat16 or longdouble, got {requested}")
    return requested


cdef object computed_dtype(object dtype):
    """The type in which numbers of this type are computed and returned, in native byte order."""
    return FLOAT64 if dtype.kind in "biu" else dtype.newbyteorder("=")


cdef object promoted(list dtypes):
    """The common type of these types by NumPy's rule. bfloat16 promotes like float16, and with float16 to float32.

    ml_dtypes promotes bfloat16 with some types, but not with float16 or with wider integers.
    """
    cdef list bfloat16s = [dtype for dtype in dtypes if is_bfloat16(dtype)], others
    if not bfloat16s:
        return functools.reduce(np.promote_types, dtypes)
    others = [dtype for dtype in dtypes if not is_bfloat16(dtype)]
    result = functools.reduce(np.promote_types, others, FLOAT16)
    if result != FLOAT16:
        return result
    return FLOAT32 if any([dtype.num == cnp.NPY_FLOAT16 for dtype in others]) else bfloat16s[0].newbyteorder("=")


cdef object promoted_dtype(list given):
    """The type that arguments promote to by the rule of NumPy's ufuncs. Each argument is given with its array."""
    cdef list arrays = [array.dtype for one, array in given if type(one) not in WEAK_TYPES]
    # A complex number makes the result complex. Other numbers do not change it, because it is not an integer type.
    cdef bint is_complex = any([type(one) is complex for one, _ in given])
    result = computed_dtype(promoted(arrays) if arrays else given[0][1].dtype)
    return np.promote_types(result, np.complex64) if is_complex else result


cdef object result_dtype(object a, cnp.ndarray array, object b, cnp.ndarray weights, object requested,
                         Adjustment by=None):
    """The type of the result: the requested type, or the type of the arguments."""
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

    Weights cancel large and small exponentials, so a result may be in the range of its type even if they are not. For
    arrays the type decides, so that a value does not change the last bit of the results beside it. Only for a Python
    number, whose type says nothing about its range, the value decides.
    """
    if type(b) in WEAK_TYPES:
        size = abs(b)
        # Compare bytes: in the caller's floating-point environment, a subnormal number may equal 0.
        is_zero = size == 0 and (type(b) is not float or not any(np.float64(size).tobytes()))
        return promoted([result, FLOAT64]) if not is_zero and size < FLT_MIN or FLT_MAX < size else result
    return promoted([result, weights.descr]) if weights.descr.kind in b"fc" else result


cdef inline int kernel_type(int number) noexcept:
    """The type of the kernels that compute results of this one."""
    return cnp.NPY_FLOAT64 if number == cnp.NPY_FLOAT64 else cnp.NPY_FLOAT32


cdef cnp.ndarray as_type(cnp.ndarray array, object dtype):
    """Cast with NumPy. A bool is compared with 0 first, because NumPy would take its byte for its value."""
    if cnp.PyArray_ISBOOL(array):
        return np.asarray(np.not_equal(array.view(np.uint8), 0)).astype(dtype)
    return array.astype(dtype, copy=False)
