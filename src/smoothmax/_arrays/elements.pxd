# The functions that load elements of a NumPy type as floats or doubles, and store results as elements of it.

cimport numpy as cnp

from smoothmax._kernels.interface cimport NATIVE, SWAPPED, ByteOrder, Load, Store


cdef enum NativeHalf:
    NO_NATIVE_HALF
    NATIVE_FLOAT16
    NATIVE_BFLOAT16


cdef bint is_bfloat16(cnp.dtype dtype)
cdef object dtype_of_argument(object dtype)
cdef NativeHalf native_half(cnp.ndarray array) noexcept
cdef Load loader(int type_number, bint to_double) noexcept
cdef Store storer(int type_number, bint from_double) noexcept


cdef inline ByteOrder order_of(cnp.ndarray array) noexcept:
    return NATIVE if cnp.PyArray_ISNOTSWAPPED(array) else SWAPPED


cdef inline bint has_kernels(int number) noexcept:
    """Whether kernels compute and store results of this NumPy type. plain.py computes longdouble and complex."""
    return (number == cnp.NPY_FLOAT64 or number == cnp.NPY_FLOAT32 or number == cnp.NPY_FLOAT16
            or cnp.PyTypeNum_ISUSERDEF(number))


cdef inline bint is_kernel_type(int number) noexcept:
    """Whether kernels compute in this NumPy type."""
    return number == cnp.NPY_FLOAT64 or number == cnp.NPY_FLOAT32


cdef inline int number_of(object dtype) noexcept:
    """The number of a dtype, from its struct. To look up `dtype.num` takes 150 instructions."""
    return (<cnp.dtype>dtype).type_num


cdef inline cnp.dtype dtype_of_number(int number):
    return cnp.PyArray_DescrFromType(number)
