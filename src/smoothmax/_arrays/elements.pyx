"""Load elements of any type, stride, alignment and byte order as contiguous floats or doubles, and store results.

bfloat16 is a type of ml_dtypes, which smoothmax does not import: is_bfloat16() recognises it by its name. No other
user-defined type gets past the checks of arguments. So any user-defined type number is that of bfloat16, which NumPy
assigns when ml_dtypes is imported.
"""

cimport numpy as cnp
import numpy as np
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from smoothmax._kernels.dispatch cimport data_kernels_of
from smoothmax._kernels.interface cimport NATIVE, SWAPPED, ByteOrder, DataKernels
from smoothmax._schedule.atomics cimport exchange
from smoothmax._schedule.atomics cimport load as load_atomic

ctypedef fused real:
    float
    double

ctypedef signed char schar
ctypedef unsigned char uchar
ctypedef unsigned short ushort
ctypedef unsigned int uint
ctypedef unsigned long ulong
ctypedef long long longlong
ctypedef unsigned long long ulonglong
ctypedef long double longdouble

ctypedef fused number:
    schar
    uchar
    short
    ushort
    int
    uint
    long
    ulong
    longlong
    ulonglong
    float
    double
    longdouble

ctypedef fused result:
    float
    double
    longdouble


cdef inline void copy_swapped(const char *source, char *to, const number *_) noexcept nogil:
    """Copy a number of the last argument's type in the other byte order; neither place need be aligned.

    Numbers of four and eight bytes are swapped in an integer register: copied byte by byte, a number could be loaded
    only after every store. Others are copied byte by byte; the memory of a longdouble is larger than its value.
    """
    cdef uint64_t eight
    cdef uint32_t four
    cdef Py_ssize_t i, last = sizeof(number) - 1
    if sizeof(number) == 8:
        memcpy(&eight, source, 8)
        eight = eight << 32 | eight >> 32
        eight = (eight & 0x0000FFFF0000FFFFULL) << 16 | (eight >> 16 & 0x0000FFFF0000FFFFULL)
        eight = (eight & 0x00FF00FF00FF00FFULL) << 8 | (eight >> 8 & 0x00FF00FF00FF00FFULL)
        memcpy(to, &eight, 8)
    elif sizeof(number) == 4:
        memcpy(&four, source, 4)
        four = four << 16 | four >> 16
        four = (four & 0x00FF00FFU) << 8 | (four >> 8 & 0x00FF00FFU)
        memcpy(to, &four, 4)
    else:
        for i in range(last + 1):
            to[i] = source[last - i]


cdef int bfloat16_number = 0        # the number of bool until a call has had a dtype of bfloat16


cdef bint is_bfloat16(cnp.dtype dtype):
    """Whether this is the bfloat16 of ml_dtypes, in any byte order. Its kind is V, like that of structured types."""
    cdef object scalar
    if not cnp.PyTypeNum_ISUSERDEF(dtype.type_num):
        return False
    if dtype.type_num == load_atomic(&bfloat16_number):
        return True
    scalar = (<object>dtype).type
    if scalar.__name__ != "bfloat16" or scalar.__module__ != "ml_dtypes" or dtype.itemsize != 2:
        return False
    exchange(&bfloat16_number, dtype.type_num)
    return True


cdef object dtype_of_argument(object dtype):
    """NumPy's dtype for an argument `dtype`, in native byte order."""
    try:
        return np.dtype(dtype).newbyteorder("=")
    except (TypeError, ValueError):         # the dtype of another library, text that is no dtype, a list
        advice = "" if isinstance(dtype, str) else ": pass NumPy's dtype, or its name"
        raise TypeError(
            f"dtype must be float32, float64, float16, bfloat16 or longdouble, got {dtype!r}{advice}") from None


# Loads ---------------------------------------------------------------------------------------------------------------

cdef void load(const number *elements, Py_ssize_t stride, Py_ssize_t n, ByteOrder order, real *to) noexcept nogil:
    cdef const char *source = <const char *>elements
    cdef Py_ssize_t i, j, in_fours = n & ~<Py_ssize_t>3
    cdef number value
    if order == SWAPPED:
        for i in range(n):
            copy_swapped(source + i*stride, <char *>&value, &value)
            to[i] = <real>value
    elif stride == <Py_ssize_t>sizeof(number):
        for i in range(n):
            memcpy(&value, source + i*<Py_ssize_t>sizeof(number), sizeof(number))
            to[i] = <real>value
    else:                                   # four in a turn: the loop's own instructions take as long as a copy
        for i in range(0, in_fours, 4):
            for j in range(4):
                memcpy(&value, source + j*stride, sizeof(number))
                to[i + j] = <real>value
            source += 4*stride
        for i in range(in_fours, n):
            memcpy(&value, source, sizeof(number))
            to[i] = <real>value
            source += stride


cdef void load_bool(const uchar *elements, Py_ssize_t stride, Py_ssize_t n, ByteOrder order, real *to) noexcept nogil:
    """1 for every byte but 0, because a view of other numbers as bool may have any bytes."""
    cdef const char *source = <const char *>elements
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = source[i*stride] != 0


cdef Load loader_to(int type_number, const real *_) noexcept:
    cdef const DataKernels *kernels = data_kernels_of(sizeof(real) == sizeof(double))
    if type_number == cnp.NPY_FLOAT64:
        return <Load>load[double, real]
    if type_number == cnp.NPY_FLOAT32:
        return <Load>load[float, real]
    if type_number == cnp.NPY_LONGDOUBLE:
        return <Load>load[longdouble, real]
    if type_number == cnp.NPY_FLOAT16:
        return kernels.load_float16
    if cnp.PyTypeNum_ISUSERDEF(type_number):
        return kernels.load_bfloat16
    if type_number == cnp.NPY_BOOL:
        return <Load>load_bool[real]
    if type_number == cnp.NPY_UBYTE:
        return <Load>load[uchar, real]
    if type_number == cnp.NPY_BYTE:
        return <Load>load[schar, real]
    if type_number == cnp.NPY_SHORT:
        return <Load>load[short, real]
    if type_number == cnp.NPY_USHORT:
        return <Load>load[ushort, real]
    if type_number == cnp.NPY_INT:
        return <Load>load[int, real]
    if type_number == cnp.NPY_UINT:
        return <Load>load[uint, real]
    if type_number == cnp.NPY_LONG:
        return <Load>load[long, real]
    if type_number == cnp.NPY_ULONG:
        return <Load>load[ulong, real]
    if type_number == cnp.NPY_LONGLONG:
        return <Load>load[longlong, real]
    if type_number == cnp.NPY_ULONGLONG:
        return <Load>load[ulonglong, real]
    return NULL


cdef Load loader(int type_number, bint to_double) noexcept:
    """The function that loads elements of this NumPy type; NULL if there is none."""
    return loader_to(type_number, <double *>NULL) if to_double else loader_to(type_number, <float *>NULL)


cdef NativeHalf native_half(cnp.ndarray array) noexcept:
    """Which halves in native order the array has, if any."""
    cdef int type_number = cnp.PyArray_TYPE(array)
    if order_of(array) == SWAPPED:
        return NO_NATIVE_HALF
    if type_number == cnp.NPY_FLOAT16:
        return NATIVE_FLOAT16
    return NATIVE_BFLOAT16 if cnp.PyTypeNum_ISUSERDEF(type_number) else NO_NATIVE_HALF


# Stores --------------------------------------------------------------------------------------------------------------

cdef void store(const real *values, Py_ssize_t n, result *elements, Py_ssize_t stride, ByteOrder order) noexcept nogil:
    cdef char *target = <char *>elements
    cdef Py_ssize_t i
    cdef result value
    if order == NATIVE and stride == <Py_ssize_t>sizeof(result):
        for i in range(n):
            value = <result>values[i]
            memcpy(target + i*<Py_ssize_t>sizeof(result), &value, sizeof(result))
        return
    for i in range(n):
        value = <result>values[i]
        if order == SWAPPED:
            copy_swapped(<const char *>&value, target + i*stride, &value)
        else:
            memcpy(target + i*stride, &value, sizeof(result))


cdef void store_complex(const real *values, Py_ssize_t n, result *elements, Py_ssize_t stride,
                        ByteOrder order) noexcept nogil:
    """Store pairs of a real part and an imaginary part of 0."""
    cdef Py_ssize_t i
    cdef real zero = 0
    for i in range(n):
        store(values + i, 1, <result *>(<char *>elements + i*stride), 0, order)
        store(&zero, 1, <result *>(<char *>elements + i*stride) + 1, 0, order)


cdef Store storer_from(int type_number, const real *_) noexcept:
    cdef const DataKernels *kernels = data_kernels_of(sizeof(real) == sizeof(double))
    if type_number == cnp.NPY_FLOAT64:
        return <Store>store[real, double]
    if type_number == cnp.NPY_FLOAT32:
        return <Store>store[real, float]
    if type_number == cnp.NPY_FLOAT16:
        return kernels.store_float16
    if cnp.PyTypeNum_ISUSERDEF(type_number):
        return kernels.store_bfloat16
    if type_number == cnp.NPY_LONGDOUBLE:
        return <Store>store[real, longdouble]
    if type_number == cnp.NPY_CFLOAT:
        return <Store>store_complex[real, float]
    if type_number == cnp.NPY_CDOUBLE:
        return <Store>store_complex[real, double]
    if type_number == cnp.NPY_CLONGDOUBLE:
        return <Store>store_complex[real, longdouble]
    return NULL


cdef Store storer(int type_number, bint from_double) noexcept:
    """The function that stores elements of this NumPy type; NULL where there is none."""
    return storer_from(type_number, <double *>NULL) if from_double else storer_from(type_number, <float *>NULL)
