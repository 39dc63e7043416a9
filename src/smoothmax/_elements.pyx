"""Elements in memory, of any type, stride, alignment and byte order, to and from contiguous floats or doubles."""

cimport numpy as cnp
from libc.string cimport memcpy

ctypedef fused real:
    float
    double

ctypedef fused element:
    signed char
    unsigned char
    short
    unsigned short
    int
    unsigned int
    long
    unsigned long
    long long
    unsigned long long
    float
    double

ctypedef fused result:
    float
    double
    long double


cdef inline void copy_bytes(char *to, const char *source, Py_ssize_t size, bint swapped) noexcept nogil:
    cdef Py_ssize_t i
    if swapped:
        for i in range(size):
            to[i] = source[size - 1 - i]
    else:
        memcpy(to, source, size)


cdef void load(const element *elements, Py_ssize_t stride, Py_ssize_t n, bint swapped, real *to) noexcept nogil:
    cdef const char *source = <const char *>elements
    cdef Py_ssize_t i
    cdef element value
    if stride == sizeof(element) and not swapped:
        for i in range(n):
            memcpy(&value, source + i*<Py_ssize_t>sizeof(element), sizeof(element))
            to[i] = <real>value
    else:
        for i in range(n):
            copy_bytes(<char *>&value, source + i*stride, sizeof(element), swapped)
            to[i] = <real>value


cdef void store(const real *values, Py_ssize_t n, result *elements, Py_ssize_t stride, bint swapped) noexcept nogil:
    cdef char *target = <char *>elements
    cdef Py_ssize_t i
    cdef result value
    for i in range(n):
        value = <result>values[i]
        copy_bytes(target + i*stride, <const char *>&value, sizeof(result), swapped)


cdef Load loader_to(int type_number, const real *_) noexcept:
    if type_number == cnp.NPY_FLOAT64:
        return <Load>load[double, real]
    if type_number == cnp.NPY_FLOAT32:
        return <Load>load[float, real]
    return NULL


cdef Load loader(int type_number, bint to_double) noexcept:
    """The function that reads elements of this NumPy type; NULL where there is none."""
    return loader_to(type_number, <double *>NULL) if to_double else loader_to(type_number, <float *>NULL)


cdef Store storer_from(int type_number, const real *_) noexcept:
    if type_number == cnp.NPY_FLOAT64:
        return <Store>store[real, double]
    if type_number == cnp.NPY_FLOAT32:
        return <Store>store[real, float]
    return NULL


cdef Store storer(int type_number, bint from_double) noexcept:
    """The function that writes elements of this NumPy type; NULL where there is none."""
    return storer_from(type_number, <double *>NULL) if from_double else storer_from(type_number, <float *>NULL)
