"""The targets of losses: looked up before a unit is finished, and their results put in their places after it."""

from smoothmax._schedule.atomics cimport exchange
from smoothmax._kernels.interface cimport State
from smoothmax._schedule.plan cimport ELEMENTS, RESULT, TARGET, Plan, count, inner_stride
from smoothmax._schedule.units cimport Unit, Walk


cdef inline double element_at(const Plan *plan, bint direct, bint wide, const char *place) noexcept nogil:
    cdef float single
    cdef double value
    if direct:
        return (<const double *>place)[0] if wide else (<const float *>place)[0]
    if wide:
        plan.load(place, 0, 1, plan.swapped[ELEMENTS], &value)
        return value
    plan.load(place, 0, 1, plan.swapped[ELEMENTS], &single)
    return single


cdef inline void pick(const Plan *plan, const Unit *unit, State *state, bint direct, bint wide) noexcept nogil:
    """The elements at the targets; where one is ignored, or none of the classes, what counts nothing."""
    cdef const char *targets = unit.bases.data[TARGET]
    cdef const char *elements = unit.bases.data[ELEMENTS] + plan.first_class[ELEMENTS]
    cdef Py_ssize_t j, target, step = inner_stride(&plan.kept, ELEMENTS), target_step = inner_stride(&plan.kept, TARGET)
    cdef Py_ssize_t class_step = plan.class_stride[ELEMENTS]
    cdef Py_ssize_t classes = count(&plan.reduced, 0)
    cdef bint wrong = False
    for j in range(unit.columns):
        target = (<const Py_ssize_t *>targets)[0]
        targets += target_step
        if not 0 <= target < classes:
            wrong = True
            state.loss.counts[j] = state.loss.target_logit[j] = state.loss.target_weight[j] = 0
        else:
            state.loss.target_logit[j] = element_at(plan, direct, wide, elements + target*class_step)
        elements += step
    if wrong and plan.wrong != NULL:
        exchange(plan.wrong, 1)


cdef void look_up(const Plan *plan, const Unit *unit, State *state) noexcept nogil:
    """What each reduction's own target brings: its class, and the element and the weight of that."""
    cdef const char *targets = unit.bases.data[TARGET]
    cdef const double *weights = plan.class_weights
    cdef Py_ssize_t j, target, target_step = inner_stride(&plan.kept, TARGET)
    state.loss.hard, state.loss.hard_low = plan.hard, plan.hard_low
    state.loss.soft, state.loss.soft_low = plan.soft, plan.soft_low
    state.loss.denominator = plan.denominator
    for j in range(unit.columns):
        state.loss.counts[j] = 1
        state.loss.target_weight[j] = 0 if targets == NULL else 1
    if targets == NULL:
        for j in range(unit.columns):
            state.loss.target_logit[j] = 0
        return
    if not plan.direct[ELEMENTS]:
        pick(plan, unit, state, False, plan.itemsize == sizeof(double))
    elif plan.itemsize == sizeof(double):
        pick(plan, unit, state, True, True)
    else:
        pick(plan, unit, state, True, False)
    if weights != NULL:
        for j in range(unit.columns):
            target = (<const Py_ssize_t *>(targets + j*target_step))[0]
            if target >= 0:
                state.loss.target_weight[j] = weights[target]


cdef inline void put_at(const Plan *plan, bint direct, bint wide, char *place, double value) noexcept nogil:
    cdef float single = <float>value
    if not direct:
        plan.store(<const char *>&value if wide else <const char *>&single, 1, place, 0, plan.swapped[RESULT])
    elif wide:
        (<double *>place)[0] = value
    else:
        (<float *>place)[0] = single


cdef void put(const Walk *walk, const Unit *unit, const State *state) noexcept nogil:
    """The results at the targets, once all others are written; and 0 where a reduction is ignored whatever it is."""
    cdef const Plan *plan = walk.plan
    cdef const char *targets = unit.bases.data[TARGET]
    cdef char *results = unit.bases.data[RESULT] + plan.first_class[RESULT]
    cdef Py_ssize_t j, c, target, target_step = inner_stride(&plan.kept, TARGET)
    cdef Py_ssize_t step = inner_stride(&plan.kept, RESULT), class_step = plan.class_stride[RESULT]
    cdef bint direct = plan.direct[RESULT], wide = plan.itemsize == sizeof(double)
    for j in range(unit.columns):
        target = (<const Py_ssize_t *>(targets + j*target_step))[0]
        if target >= 0:
            put_at(plan, direct, wide, results + j*step + target*class_step, state.loss.at_target[j])
        elif state.loss.at_target[j] != 0:           # nan: an element of it is not finite
            for c in range(walk.n):
                put_at(plan, direct, wide, results + j*step + c*class_step, 0)
