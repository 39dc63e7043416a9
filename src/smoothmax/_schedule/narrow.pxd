# Narrow columns: they are few and long, and several of their rows fill the lanes.

from smoothmax._kernels.interface cimport Kernels, State
from smoothmax._schedule.feed cimport Unit

cdef void reduce_narrow(const Unit *unit, const Kernels *kernels, Py_ssize_t first, Py_ssize_t n,
                        State *state) noexcept nogil
cdef void write_narrow(const Unit *unit, Py_ssize_t first, Py_ssize_t n, const State *state) noexcept nogil
