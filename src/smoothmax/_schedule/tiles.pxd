# Tiles: reductions side by side.

from smoothmax._kernels.interface cimport State
from smoothmax._schedule.feed cimport Unit

cdef void fused_tile(const Unit *unit, State *state) noexcept nogil
