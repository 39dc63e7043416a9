# How elements of any supported type become the floats or doubles that kernels take, and results become elements.

ctypedef void (*Load)(const void *elements, Py_ssize_t stride, Py_ssize_t n, bint swapped, void *to) noexcept nogil
ctypedef void (*Store)(const void *values, Py_ssize_t n, void *elements, Py_ssize_t stride,
                       bint swapped) noexcept nogil

cdef Load loader(int type_number, bint to_double) noexcept
cdef Store storer(int type_number, bint from_double) noexcept
