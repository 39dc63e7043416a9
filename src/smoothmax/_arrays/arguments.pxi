# Convert the user's arguments to NumPy arrays of numbers. A call runs code of the user only here.
#
# An __array__ method of the user may resize another argument, so no shape, stride or address may be read before every
# argument is converted.

cimport numpy as cnp
import numpy as np
from cpython.float cimport PyFloat_AS_DOUBLE

from smoothmax._arrays.elements cimport is_bfloat16


cdef str shown(object value):
    """repr, also of integers with more digits than Python converts."""
    try:
        return repr(value)
    except ValueError:
        return f"an integer of {value.bit_length()} bits"


cdef int refuse_subclass(object x, str name) except -1:
    """Refuse a subclass of ndarray that overrides, by NumPy's protocols, what functions of its arrays mean.

    Such subclasses have units, masks and the like, which results would silently lose. memmap, matrix and subclasses
    that only add attributes override neither protocol; they are taken as numbers.
    """
    cdef object subclass = type(x)
    if (subclass.__array_ufunc__ is not np.ndarray.__array_ufunc__
            or subclass.__array_function__ is not np.ndarray.__array_function__):
        raise TypeError(f"{name} must not be of {subclass.__name__}, whose arrays mean more than their numbers: pass "
                        "the numbers, as an ndarray in the units that are meant, and a mask as where=")
    return 0


cdef int refuse_dask(object x, str name) except -1:
    """Refuse a dask array where no lazy result is possible: its __array__ would compute it, perhaps twice."""
    if type(x).__module__.startswith("dask.") and hasattr(x, "dask"):
        raise TypeError(f"{name} must be in memory, got a dask array: pass its compute(), or call a function of "
                        "smoothmax.dask")
    return 0


cdef cnp.ndarray converted(object x, str name):
    """The array of anything but an exact ndarray. A subclass stays as it is: a view would outlive its memory."""
    if type(x) is list:
        return np.asarray(x)
    if isinstance(x, np.ndarray):
        refuse_subclass(x, name)
        return x
    refuse_dask(x, name)
    if hasattr(x, "nnz") and (hasattr(x, "toarray") or hasattr(x, "todense")):
        dense = "toarray" if hasattr(x, "toarray") else "todense"
        raise TypeError(f"{name} must be dense, got {type(x).__name__}: pass its {dense}(), or what it stores to a "
                        "function of segments")
    if not isinstance(x, (np.generic, list, tuple, int, float, complex)):
        from smoothmax._arrays import libraries

        x = libraries.as_numpy(x, name)
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    array = np.asarray(x)
    if type(x) is int and array.dtype.kind == "O":
        try:
            return np.asarray(float(x))
        except OverflowError:
            raise ValueError(f"{name} must be in the range of float64, got {shown(x)}") from None
    return array


# Advice for elements of each kind that are not numbers.
ADVICE = {
    "O": "astype(float) makes numbers of objects",
    "U": "astype(float) makes numbers of text",
    "S": "astype(float) makes numbers of text",
    "M": "subtract a date, and divide by a unit as np.timedelta64(1, 's')",
    "m": "divide by a unit as np.timedelta64(1, 's')",
    "V": "pass a field of numbers",
}


cdef int check_numbers(cnp.ndarray array, str name) except -1:
    if not (cnp.PyArray_ISNUMBER(array) or cnp.PyArray_ISBOOL(array) or cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT16
            or is_bfloat16(array.descr)):
        advice = "astype() another type"
        if not cnp.PyTypeNum_ISUSERDEF(cnp.PyArray_TYPE(array)):
            advice = ADVICE.get(chr(array.descr.kind), advice)
        raise TypeError(f"{name} must be an array of numbers, got dtype {array.descr}; {advice}")
    return 0


cdef cnp.ndarray as_array(object x, str name):
    """x as a NumPy array of numbers, for functions with a mask of their own."""
    cdef cnp.ndarray array
    if type(x) is cnp.ndarray:
        array = x
    elif type(x) is not list and isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: pass its data, and the inverted mask as where=")
    else:
        array = converted(x, name)
    check_numbers(array, name)
    return array


cdef cnp.ndarray as_weights(object b):
    """The argument `b` of functions with keepdims after it. A bool is refused: keepdims was probably meant.

    A float becomes an array without NumPy's search for its type, which takes a third of a call of ten elements.
    """
    cdef cnp.ndarray weights
    if type(b) is cnp.ndarray:
        return as_array(b, "b")
    if type(b) is float:
        weights = cnp.PyArray_EMPTY(0, NULL, cnp.NPY_FLOAT64, 0)
        (<double *>cnp.PyArray_DATA(weights))[0] = PyFloat_AS_DOUBLE(b)
        return weights
    if isinstance(b, (bool, np.bool_)):
        raise TypeError(f"b must be weights, got {b}; keepdims must be given by name, as keepdims={b}")
    return as_array(b, "b")


cdef cnp.ndarray as_numbers(object x, str name):
    """x as an array of numbers, for functions without a mask."""
    if type(x) is not cnp.ndarray and isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: pass its filled(value)")
    return as_array(x, name)


cdef cnp.ndarray as_mask(object where):
    cdef cnp.ndarray mask
    if type(where) is cnp.ndarray:
        mask = where
    elif isinstance(where, np.ma.MaskedArray):
        raise TypeError("where must not be a masked array: pass its filled(value)")
    else:
        mask = converted(where, "where")
    if not cnp.PyArray_ISBOOL(mask):
        raise TypeError(f"where must be an array of bool, got dtype {mask.descr}")
    return mask


cdef cnp.ndarray as_base(cnp.ndarray array):
    """The array without its subclass, after all code of the user has run."""
    return array if array is None or type(array) is cnp.ndarray else np.asarray(array)
