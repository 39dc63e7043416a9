"""Load elements of any type, stride, alignment and byte order as contiguous floats or doubles, and store results so."""

cimport numpy as cnp
from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memcpy

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


cdef inline void copy_bytes(char *to, const char *source, Py_ssize_t size, bint swapped) noexcept nogil:
    cdef Py_ssize_t i
    if swapped:
        for i in range(size):
            to[i] = source[size - 1 - i]
    else:
        memcpy(to, source, size)


# Loads ---------------------------------------------------------------------------------------------------------------

cdef void load(const number *elements, Py_ssize_t stride, Py_ssize_t n, bint swapped, real *to) noexcept nogil:
    cdef const char *source = <const char *>elements
    cdef Py_ssize_t i
    cdef number value
    if swapped:
        for i in range(n):
            copy_bytes(<char *>&value, source + i*stride, sizeof(number), True)
            to[i] = <real>value
    elif stride == <Py_ssize_t>sizeof(number):
        for i in range(n):
            memcpy(&value, source + i*<Py_ssize_t>sizeof(number), sizeof(number))
            to[i] = <real>value
    else:
        for i in range(n):
            memcpy(&value, source + i*stride, sizeof(number))
            to[i] = <real>value


cdef void load_bool(const uchar *elements, Py_ssize_t stride, Py_ssize_t n, bint swapped, real *to) noexcept nogil:
    """1 for every byte but 0: a view of other numbers as bool may hold any."""
    cdef const char *source = <const char *>elements
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = source[i*stride] != 0


cdef inline float from_half(uint16_t half) noexcept nogil:
    """Move the exponent to the place of float's and multiply by 2**112, which is right for subnormals too."""
    cdef uint32_t bits = <uint32_t>(half & 0x7FFF) << 13
    cdef float value
    memcpy(&value, &bits, 4)
    value *= <float>5.192296858534828e33
    if (half & 0x7C00) == 0x7C00:           # inf or nan
        memcpy(&bits, &value, 4)
        bits = 0x7F800000 | (bits & 0x007FFFFF)
        memcpy(&value, &bits, 4)
    return -value if half & 0x8000 else value


cdef void load_half(const void *elements, Py_ssize_t stride, Py_ssize_t n, bint swapped, real *to) noexcept nogil:
    cdef const char *source = <const char *>elements
    cdef Py_ssize_t i
    cdef uint16_t half
    for i in range(n):
        copy_bytes(<char *>&half, source + i*stride, 2, swapped)
        to[i] = from_half(half)


cdef Load loader_to(int type_number, const real *_) noexcept:
    if type_number == cnp.NPY_FLOAT64:
        return <Load>load[double, real]
    if type_number == cnp.NPY_FLOAT32:
        return <Load>load[float, real]
    if type_number == cnp.NPY_LONGDOUBLE:
        return <Load>load[longdouble, real]
    if type_number == cnp.NPY_FLOAT16:
        return <Load>load_half[real]
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
    """The function that loads elements of this NumPy type; NULL where there is none."""
    return loader_to(type_number, <double *>NULL) if to_double else loader_to(type_number, <float *>NULL)


# Stores --------------------------------------------------------------------------------------------------------------

cdef void store(const real *values, Py_ssize_t n, result *elements, Py_ssize_t stride, bint swapped) noexcept nogil:
    cdef char *target = <char *>elements
    cdef Py_ssize_t i
    cdef result value
    for i in range(n):
        value = <result>values[i]
        copy_bytes(target + i*stride, <const char *>&value, sizeof(result), swapped)


cdef void store_complex(const real *values, Py_ssize_t n, result *elements, Py_ssize_t stride,
                        bint swapped) noexcept nogil:
    """Store pairs of a real part and an imaginary part of 0."""
    cdef Py_ssize_t i
    cdef real zero = 0
    for i in range(n):
        store(values + i, 1, <result *>(<char *>elements + i*stride), 0, swapped)
        store(&zero, 1, <result *>(<char *>elements + i*stride) + 1, 0, swapped)


cdef inline uint16_t to_half(float value) noexcept nogil:
    """Round to nearest, ties to even."""
    cdef uint32_t bits, sign
    memcpy(&bits, &value, 4)
    sign = bits & <uint32_t>0x80000000
    bits ^= sign
    if bits > 0x7F800000:                   # nan
        bits = 0x7E00
    elif bits >= 0x477FF000:                # 65520: the first that rounds to inf
        bits = 0x7C00
    elif bits < 0x38800000:                 # subnormal: adding 0.5, whose ULP is 2**-24, rounds to that
        memcpy(&value, &bits, 4)
        value += <float>0.5
        memcpy(&bits, &value, 4)
        bits -= 0x3F000000
    else:                                   # subtract 112 from the exponent, and round off 13 bits
        bits = (bits - 0x38000000 + 0x0FFF + ((bits >> 13) & 1)) >> 13
    return <uint16_t>(bits | (sign >> 16))


cdef inline float rounded_to_odd(real value) noexcept nogil:
    """Round to odd: the last bit tells that bits were cut off, so that rounding again to float16 rounds only once."""
    cdef float near = <float>value
    cdef uint32_t bits
    if near > value or near < value:
        memcpy(&bits, &near, 4)
        bits = (bits - 1 if (near > value) == (value > 0) else bits) | 1
        memcpy(&near, &bits, 4)
    return near


cdef void store_half(const real *values, Py_ssize_t n, void *elements, Py_ssize_t stride, bint swapped) noexcept nogil:
    cdef char *target = <char *>elements
    cdef Py_ssize_t i
    cdef uint16_t half
    for i in range(n):
        half = to_half(rounded_to_odd(values[i]))
        copy_bytes(target + i*stride, <const char *>&half, 2, swapped)


cdef Store storer_from(int type_number, const real *_) noexcept:
    if type_number == cnp.NPY_FLOAT64:
        return <Store>store[real, double]
    if type_number == cnp.NPY_FLOAT32:
        return <Store>store[real, float]
    if type_number == cnp.NPY_FLOAT16:
        return <Store>store_half[real]
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
