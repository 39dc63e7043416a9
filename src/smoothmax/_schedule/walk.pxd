# Walking a plan, or a short row without one: everything between the arrays of a call and the kernels.

from smoothmax._kernels.interface cimport Kernels
from smoothmax._schedule.plan cimport Plan

cdef int walk(const Plan *plan) except -2       # -1: no memory
cdef bint walk_row(const Kernels *kernels, const void *elements, Py_ssize_t n, Py_ssize_t itemsize,
                   void *result) noexcept
