"""The targets of losses: looked up before a unit is finished, and their results put in their places after it."""

from smoothmax._kernels.table cimport State
from smoothmax._plan cimport ELEMENTS, RESULT, TARGET, Plan, inner_stride
from smoothmax._units cimport Unit, Walk


cdef inline double element_at(const Plan *plan, const char *place) noexcept nogil:
    cdef float single
    cdef double value
    if plan.itemsize == sizeof(double):
        if plan.direct[ELEMENTS]:
            return (<const double *>place)[0]
        plan.load(place, 0, 1, plan.swapped[ELEMENTS], &value)
        return value
    if plan.direct[ELEMENTS]:
        return (<const float *>place)[0]
    plan.load(place, 0, 1, plan.swapped[ELEMENTS], &single)
    return single


cdef void look_up(const Plan *plan, const Unit *unit, State *state) noexcept nogil:
    """What each reduction's own target brings: its class, and the element and the weight of that."""
    cdef const char *targets = unit.bases.data[TARGET]
    cdef const char *elements = unit.bases.data[ELEMENTS]
    cdef Py_ssize_t j, target, step = inner_stride(&plan.kept, ELEMENTS), target_step = inner_stride(&plan.kept, TARGET)
    state.hard, state.hard_low = plan.hard, plan.hard_low
    state.soft, state.soft_low = plan.soft, plan.soft_low
    state.denominator = plan.denominator
    for j in range(unit.columns):
        state.counts[j] = 1
        state.picked[j] = state.weight[j] = 0
    if targets == NULL:
        return
    elements += plan.first_class[ELEMENTS]
    for j in range(unit.columns):
        target = (<const Py_ssize_t *>(targets + j*target_step))[0]
        if target < 0:
            state.counts[j] = 0
        else:
            state.weight[j] = plan.class_weights[target] if plan.class_weights != NULL else 1
            state.picked[j] = element_at(plan, elements + j*step + target*plan.class_stride[ELEMENTS])


cdef inline void put_at(const Plan *plan, char *place, double value) noexcept nogil:
    cdef float single = <float>value
    if not plan.direct[RESULT]:
        plan.store(<const char *>&value if plan.itemsize == sizeof(double) else <const char *>&single, 1, place, 0,
                   plan.swapped[RESULT])
    elif plan.itemsize == sizeof(double):
        (<double *>place)[0] = value
    else:
        (<float *>place)[0] = single


cdef void put(const Walk *walk, const Unit *unit, const State *state) noexcept nogil:
    """The results at the targets, once all others are written; and 0 where a reduction is ignored whatever it is."""
    cdef const Plan *plan = walk.plan
    cdef Py_ssize_t j, c, target
    cdef char *place
    for j in range(unit.columns):
        target = (<const Py_ssize_t *>(unit.bases.data[TARGET] + j*inner_stride(&plan.kept, TARGET)))[0]
        place = unit.bases.data[RESULT] + j*inner_stride(&plan.kept, RESULT) + plan.first_class[RESULT]
        if target >= 0:
            put_at(plan, place + target*plan.class_stride[RESULT], state.at_target[j])
        elif state.at_target[j] != 0:           # nan: an element of it is not finite
            for c in range(walk.n):
                put_at(plan, place + c*plan.class_stride[RESULT], 0)
