# Compute the results of a unit, fused or piece by piece.

from smoothmax._kernels.interface cimport Kernels, State, clear
from smoothmax._schedule.feed cimport Unit
from smoothmax._schedule.packed cimport unpack
from smoothmax._schedule.plan cimport BOTH, FIRST, SECOND, STATES, Plan, inner_stride
from smoothmax._schedule.route cimport SCAN_ROW
from smoothmax._thresholds cimport TILE_COLUMNS

# A piece is a part of each reduction of the unit. Several threads may share the pieces of a unit.
cdef void reduce_piece(const Unit *unit, const Kernels *kernels, Py_ssize_t piece, State *state) noexcept nogil
cdef void write_piece(const Unit *unit, Py_ssize_t piece, const State *state) noexcept nogil
cdef void walk_unit(const Unit *unit) noexcept nogil
cdef void walk_band(const Unit *units, Py_ssize_t n) noexcept nogil


cdef inline const Kernels *kernels_to_reduce(const Plan *plan) noexcept nogil:
    """The kernels of the first pass. Stored sums cannot be computed again, so they must not need exact terms."""
    return plan.kernels.mergeable if plan.passes == FIRST and plan.kernels.mergeable != NULL else plan.kernels


cdef inline bint needs_exact(const Unit *unit, const State *state) noexcept nogil:
    """Whether a result needs sums of exact exponentials."""
    return (unit.plan.passes == BOTH and unit.plan.kernels.needs_exact != NULL
            and unit.plan.kernels.needs_exact(state, unit.columns))


cdef inline void take_stored_sums(const Unit *unit, State *state) noexcept nogil:
    """Take the partial sums that an earlier walk stored."""
    unpack(unit.bases.data[STATES], inner_stride(&unit.plan.kept, STATES), unit.columns, state)


cdef inline void start_scan(const Unit *unit, State *state) noexcept nogil:
    """Set the state to the sum before the unit: empty, or the partial sums that an earlier walk stored."""
    clear(state, TILE_COLUMNS)
    if unit.plan.passes != SECOND:
        return
    take_stored_sums(unit, state)
    unit.plan.kernels.finish(state, unit.columns, NULL, NULL)
    if unit.route.name == SCAN_ROW:
        unit.plan.kernels.merge(state, state, 1, 1, TILE_COLUMNS)
        clear(state, 1)
