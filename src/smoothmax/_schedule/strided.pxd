# One row of a caller that has pointers and no arrays: computed on the calling thread, with no memory but the stack.

from smoothmax._kernels.interface cimport Kernels
from smoothmax._schedule.packed cimport Packed

cdef struct Row:
    char *elements
    Py_ssize_t n
    Py_ssize_t stride           # in bytes; of any sign, or 0
    Py_ssize_t itemsize         # of float or double

cdef void reduce_strided(const Kernels *kernels, const Row *row, void *result) noexcept nogil
cdef void transform_strided(const Kernels *kernels, const Row *row, const Row *results) noexcept nogil
cdef void absorb_strided(const Kernels *kernels, Packed *sum, const Row *row) noexcept nogil
cdef void merge_packed(const Kernels *kernels, Packed *sum, const Packed *other) noexcept nogil
cdef void finish_packed(const Kernels *kernels, const Packed *sum, void *result) noexcept nogil
