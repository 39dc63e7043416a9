# A plan says where the elements of arrays lie and what is reduced; walking it feeds kernels with rows or tiles.

from smoothmax._elements cimport Load, Store
from smoothmax._kernels.table cimport Kernels

cdef enum:
    MAX_DIMENSIONS = 64


cdef enum Operation:
    LOGSUMEXP
    SOFTMAX
    LOG_SOFTMAX


cdef enum:
    # The arrays of a call, all broadcast to the shape of the elements.
    ELEMENTS
    WEIGHTS
    MASK
    RESULT
    SIGN
    ROLES


cdef struct Axes:
    # Axes that are all reduced or all kept, innermost (of the smallest stride in the elements) first; strides in bytes.
    int ndim
    Py_ssize_t shape[MAX_DIMENSIONS]
    Py_ssize_t stride[ROLES][MAX_DIMENSIONS]


cdef struct Plan:
    Operation operation
    const Kernels *kernels
    Py_ssize_t itemsize         # of the type that kernels compute in
    char *data[ROLES]           # NULL for an array that the call does not have
    bint direct[ROLES]          # its elements are what kernels take: native, aligned, of that type
    bint swapped[ROLES]         # in byte order
    Load load
    Load load_weights
    Store store
    Store store_sign
    Axes kept
    Axes reduced


cdef int walk(const Plan *plan) noexcept nogil     # -1: no memory
