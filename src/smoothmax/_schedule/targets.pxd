# The targets of losses: a class for each reduction of a unit.

from smoothmax._kernels.interface cimport State
from smoothmax._schedule.plan cimport TARGET, Plan
from smoothmax._schedule.units cimport Unit, Walk

cdef void look_up(const Plan *plan, const Unit *unit, State *state) noexcept nogil
cdef void put(const Walk *walk, const Unit *unit, const State *state) noexcept nogil


# Most calls have none, and ten elements should not pay for a call of another module.

cdef inline void take_targets(const Plan *plan, const Unit *unit, State *state) noexcept nogil:
    if plan.is_loss:
        look_up(plan, unit, state)


cdef inline void put_targets(const Walk *walk, const Unit *unit, const State *state) noexcept nogil:
    if walk.plan.data[TARGET] != NULL:
        put(walk, unit, state)
