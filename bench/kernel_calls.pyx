# cython: language_level=3, boundscheck=False
"""Calls of single kernels, without a plan, a route or arguments: what bench.kernels times."""

cimport numpy as cnp
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from smoothmax._kernels.dispatch cimport kernels_of
from smoothmax._kernels.interface cimport (
    LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, WEIGHTED_LOGSUMEXP, Kernels, Operation, State, clear,
)
from smoothmax._thresholds cimport TILE_COLUMNS

cdef dict OPERATIONS = {"logsumexp": LOGSUMEXP, "softmax": SOFTMAX, "log_softmax": LOG_SOFTMAX}


cdef double now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec + 1e-9*t.tv_nsec


def seconds_of_tiles(str operation, bint differences, cnp.ndarray x, cnp.ndarray out, Py_ssize_t calls):
    """The mean time of a fused kernel for all tiles of an array, whose columns are reduced."""
    cdef bint doubles = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64
    cdef const Kernels *kernels = kernels_of(<Operation><int>OPERATIONS[operation], doubles)
    cdef Py_ssize_t rows = cnp.PyArray_DIM(x, 0), ld = cnp.PyArray_DIM(x, 1), size = cnp.PyArray_ITEMSIZE(x), first, i
    cdef const char *elements = <const char *>cnp.PyArray_DATA(x)
    cdef char *results = <char *>cnp.PyArray_DATA(out)
    cdef double start = now()
    with nogil:
        for i in range(calls):
            for first from 0 <= first < ld by TILE_COLUMNS:
                if differences:
                    kernels.fused_differences_tile(elements + first*size, ld, rows, TILE_COLUMNS,
                                                   results + first*size, ld)
                else:
                    kernels.fused_tile(elements + first*size, ld, rows, TILE_COLUMNS, results + first*size, ld)
    return (now() - start)/calls


def seconds_of_rows(bint weighted, cnp.ndarray x, cnp.ndarray b, Py_ssize_t calls):
    """The mean time of logsumexp of all rows of an array, one by one."""
    cdef bint doubles = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64
    cdef const Kernels *kernels = kernels_of(WEIGHTED_LOGSUMEXP if weighted else LOGSUMEXP, doubles)
    cdef Py_ssize_t rows = cnp.PyArray_DIM(x, 0), n = cnp.PyArray_DIM(x, 1), size = cnp.PyArray_ITEMSIZE(x), i, j
    cdef const char *elements = <const char *>cnp.PyArray_DATA(x)
    cdef const char *weights = <const char *>cnp.PyArray_DATA(b)
    cdef double result, start = now()
    cdef State state
    with nogil:
        for i in range(calls):
            for j in range(rows):
                if weighted:
                    clear(&state, 1)
                    kernels.reduce_row(&state, elements + j*n*size, weights + j*n*size, n)
                    kernels.finish(&state, 1, &result, NULL)
                else:
                    kernels.fused_row(elements + j*n*size, n, 0, &result)
    return (now() - start)/calls
