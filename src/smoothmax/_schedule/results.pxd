# The steps between the sums of a unit and its results: targets of losses, counts, weights, and storing.

from smoothmax._kernels.interface cimport State
from smoothmax._schedule.feed cimport Unit
from smoothmax._schedule.plan cimport TARGET

cdef void store_numbers(const Unit *unit, const State *state, const double *values, const double *signs) noexcept nogil
cdef void finish(const Unit *unit, State *state) noexcept nogil
cdef void count_elements(const Unit *unit, State *state) noexcept nogil
cdef void take_weights(const Unit *unit, State *state) noexcept nogil
cdef void look_up_targets(const Unit *unit, State *state) noexcept nogil
cdef void store_at_targets(const Unit *unit, const State *state) noexcept nogil


# Inline, because most calls have no targets, and ten elements take no longer than a call of another module.

cdef inline void take_targets(const Unit *unit, State *state) noexcept nogil:
    if unit.plan.is_loss:
        look_up_targets(unit, state)
    elif unit.plan.kernels.means:
        count_elements(unit, state)
    elif unit.plan.kernels.weighs:
        take_weights(unit, state)


cdef inline void put_targets(const Unit *unit, const State *state) noexcept nogil:
    if unit.plan.data[TARGET] != NULL:
        store_at_targets(unit, state)
