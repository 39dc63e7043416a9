# Few columns, reduced along a long axis: several of their rows fill the lanes of a tile.

from smoothmax._kernels.interface cimport Kernels, State
from smoothmax._schedule.plan cimport Bases, Plan

cdef Py_ssize_t rows_abreast(const Plan *plan) noexcept nogil      # 0: not such a plan
cdef void reduce_columns(const Plan *plan, const Kernels *kernels, const Bases *bases, Py_ssize_t abreast,
                         Py_ssize_t first, Py_ssize_t n, State *state, char *scratch) noexcept nogil
cdef void write_columns(const Plan *plan, const Bases *bases, Py_ssize_t abreast, Py_ssize_t first, Py_ssize_t n,
                        const State *state, char *scratch) noexcept nogil
