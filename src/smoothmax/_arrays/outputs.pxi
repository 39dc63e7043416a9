# Outputs: checks of `out`, memory that it shares with inputs, and new arrays.

cimport numpy as cnp
import numpy as np
from numpy.exceptions import TooHardError

from smoothmax._thresholds cimport OVERLAP_MAX_WORK


cdef int check_out(object out, int ndim, const cnp.npy_intp *shape, object dtype) except -1:
    cdef int i
    cdef cnp.ndarray array
    cdef bint same
    if type(out) is not cnp.ndarray:
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
        if isinstance(out, np.ma.MaskedArray):
            raise TypeError("out must not be a masked array")
        refuse_subclass(out, "out")
    array = out
    same = cnp.PyArray_NDIM(array) == ndim
    for i in range(ndim):
        same = same and cnp.PyArray_DIM(array, i) == shape[i]
    if not same:
        raise ValueError(f"out must have shape {tuple_of(shape, ndim)}, got {out.shape}")
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("out must be writeable, got a read-only array")
    if array.descr is dtype:
        return 0
    # NumPy also casts numbers to strings and objects, and complex numbers to bfloat16; nothing here can store these.
    storable = dtype.kind != "c" if is_bfloat16(array.descr) else (
        array.descr.kind in b"fc" and not cnp.PyTypeNum_ISUSERDEF(cnp.PyArray_TYPE(array)))
    if not storable or not np.can_cast(dtype, array.descr, "same_kind"):
        raise TypeError(f"out must have a dtype that {dtype} can be cast to by 'same_kind', got {array.descr}")
    return 0


cdef bint fills_its_memory(cnp.ndarray array) noexcept:
    return cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_IS_F_CONTIGUOUS(array)


cdef bint share_memory(cnp.ndarray one, cnp.ndarray other) except -1:
    cdef const char *begin = <const char *>cnp.PyArray_DATA(one)
    cdef const char *other_begin = <const char *>cnp.PyArray_DATA(other)
    if fills_its_memory(one) and fills_its_memory(other):
        return begin < other_begin + cnp.PyArray_NBYTES(other) and other_begin < begin + cnp.PyArray_NBYTES(one)
    try:
        return np.shares_memory(one, other, max_work=OVERLAP_MAX_WORK)
    except TooHardError:
        return True


cdef bint is_same_view(cnp.ndarray one, cnp.ndarray other) except -1:
    """Whether two arrays have the same elements in the same places."""
    return (cnp.PyArray_DATA(one) == cnp.PyArray_DATA(other) and one.descr == other.descr
            and (<object>one).strides == (<object>other).strides and (<object>one).shape == (<object>other).shape)


cdef cnp.ndarray without_overlap(cnp.ndarray array, cnp.ndarray out, ReadOrder order):
    """The array, or a copy if writing to `out` would change elements before they are read."""
    if out is None or array is None:
        return array
    if order == READ_BEFORE_WRITTEN and is_same_view(array, out):
        return array
    return (<object>array).copy(order="K") if share_memory(array, out) else array


cdef cnp.ndarray new_result(cnp.ndarray array, Shape *shape, int number):
    """An array of the shape, in the memory order of `array` if that has as many axes."""
    if cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_NDIM(array) != shape.ndim:
        return cnp.PyArray_EMPTY(shape.ndim, shape.shape, number, 0)
    return np.empty_like(array, dtype=dtype_of_number(number), order="K", subok=False, shape=whole_shape(shape))
