# A plan says where the elements of an array lie and what is reduced; walking it feeds kernels with rows or tiles.

from smoothmax._elements cimport Load, Store
from smoothmax._kernels.table cimport Kernels

cdef enum:
    MAX_DIMENSIONS = 64


cdef enum Operation:
    LOGSUMEXP
    SOFTMAX
    LOG_SOFTMAX


cdef struct Axes:
    # Axes that are all reduced or all kept, innermost (of the smallest stride in the input) first; strides in bytes.
    int ndim
    Py_ssize_t shape[MAX_DIMENSIONS]
    Py_ssize_t stride[MAX_DIMENSIONS]
    Py_ssize_t out_stride[MAX_DIMENSIONS]


cdef struct Plan:
    Operation operation
    const Kernels *kernels
    Py_ssize_t itemsize         # of the type that kernels compute in
    char *data
    char *out
    bint direct                 # the input's elements are what kernels take: native, aligned, of that type
    bint out_direct
    bint swapped                # in byte order
    bint out_swapped
    Load load
    Store store
    Axes kept
    Axes reduced


cdef int walk(Plan *plan) noexcept nogil     # -1: no memory
