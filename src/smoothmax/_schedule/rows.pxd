# Rows: one reduction at a time, or JOINT_MAX_ROWS reductions whose logarithms are taken together.

from smoothmax._kernels.interface cimport Kernels, State
from smoothmax._schedule.feed cimport Unit

cdef void fused_row(const Unit *unit, State *state) noexcept nogil
cdef void joint_rows(const Unit *unit, State *state) noexcept nogil
cdef void draft_row(const Unit *unit, const Kernels *kernels, Py_ssize_t piece, State *state) noexcept nogil
cdef void correct_row(const Unit *unit, Py_ssize_t piece, const State *state) noexcept nogil
