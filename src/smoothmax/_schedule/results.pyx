"""From the sums of a unit to its results: look up targets, finish sums, store numbers and the results at targets."""

from libc.stdint cimport uint16_t
from libc.string cimport memcpy

from smoothmax._kernels.interface cimport State
from smoothmax._schedule.atomics cimport exchange
from smoothmax._schedule.feed cimport Unit
from smoothmax._schedule.packed cimport pack
from smoothmax._schedule.plan cimport (
    ADDENDS, ELEMENTS, FIRST, MASK, RESULT, SIGN, STATES, TARGET, UNIFORM_WEIGHTS, VALUE, Cursor, Plan, advance,
    contiguous, inner_stride, start,
)
from smoothmax._schedule.scratch cimport adjust_elements
from smoothmax._thresholds cimport JOINT_MAX_ROWS, TILE_COLUMNS


cdef void store_numbers(const Unit *unit, const State *state, const double *values, const double *signs) noexcept nogil:
    """Store the number of each reduction, and its sign unless that is NULL.

    With uniform weights and plan.wrong == NULL, a result whose weight is not finite is not written.
    """
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t step = inner_stride(&plan.kept, RESULT), sign_step = inner_stride(&plan.kept, SIGN), j = 0, n
    cdef bint all_of_them = not plan.kernels.weighs or plan.wrong != NULL
    while j < unit.columns:
        n = unit.columns if all_of_them else 1
        if all_of_them or state.argument.weight[j] - state.argument.weight[j] == 0:
            plan.store(<const char *>values + j*plan.itemsize, n, unit.bases.data[RESULT] + j*step, step,
                       plan.order[RESULT])
            if signs != NULL:
                plan.store_sign(<const char *>signs + j*plan.itemsize, n, unit.bases.data[SIGN] + j*sign_step,
                                sign_step, plan.order[SIGN])
        j += n


cdef void finish(const Unit *unit, State *state) noexcept nogil:
    """Store the number of each reduction, or prepare the second pass, or store the partial sums for a later walk."""
    cdef const Plan *plan = unit.plan
    cdef double values[TILE_COLUMNS]
    cdef double signs[TILE_COLUMNS]
    cdef bint signed = plan.data[SIGN] != NULL
    if plan.passes == FIRST:
        pack(state, unit.columns, unit.bases.data[STATES], inner_stride(&plan.kept, STATES))
        return
    plan.kernels.finish(state, unit.columns, values, signs if signed else NULL)
    if plan.kernels.write_row == NULL:
        store_numbers(unit, state, values, signs if signed else NULL)
    elif plan.data[VALUE] != NULL:
        plan.store_value(values, unit.columns, unit.bases.data[VALUE], inner_stride(&plan.kept, VALUE),
                         plan.order[VALUE])


cdef void count_elements(const Unit *unit, State *state) noexcept nogil:
    """Count the elements of each reduction that take part, because kernels see masked elements as -inf."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t i, j, part, step = inner_stride(&plan.kept, MASK), along = inner_stride(&plan.reduced, MASK)
    cdef const char *mask
    cdef Cursor cursor
    for j in range(TILE_COLUMNS):
        state.argument.elements[j] = unit.route.length if plan.data[MASK] == NULL else 0
    if plan.data[MASK] == NULL:
        return
    start(&cursor, &plan.reduced, 0, 0, unit.route.length)
    while cursor.left:
        part = contiguous(&cursor, cursor.left)
        mask = unit.bases.data[MASK] + cursor.offset[MASK]
        for i in range(part):
            for j in range(unit.columns):
                state.argument.elements[j] += mask[i*along + j*step] != 0
        advance(&cursor, part)


cdef void take_weights(const Unit *unit, State *state) noexcept nogil:
    """Set the weight of each reduction, and report a weight that is not finite. Unused columns get the weight 1."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t j, step = inner_stride(&plan.kept, UNIFORM_WEIGHTS), n = unit.columns if step else 1
    cdef int finite = 1
    cdef double *weight = state.argument.weight
    cdef float singles[TILE_COLUMNS]
    if plan.itemsize == sizeof(double):
        plan.load_factors(unit.bases.data[UNIFORM_WEIGHTS], step, n, plan.order[UNIFORM_WEIGHTS], weight)
    else:
        plan.load_factors(unit.bases.data[UNIFORM_WEIGHTS], step, n, plan.order[UNIFORM_WEIGHTS], singles)
        for j in range(n):
            weight[j] = singles[j]
    for j in range(n):
        finite &= weight[j] - weight[j] == 0
    for j in range(n, max(unit.columns, JOINT_MAX_ROWS)):
        weight[j] = weight[0] if j < unit.columns else 1
    if not finite and plan.wrong != NULL:
        exchange(plan.wrong, 1)


# Targets -------------------------------------------------------------------------------------------------------------

cdef enum Reading:
    AS_FLOAT64
    AS_FLOAT32
    TWO_BYTES           # halves or short integers: collected, and converted by one call for all columns
    CONVERTED           # each by a call


cdef inline double element_at(const Plan *plan, Reading reading, const char *place) noexcept nogil:
    cdef float single
    cdef double value
    if reading == AS_FLOAT64:
        return (<const double *>place)[0]
    if reading == AS_FLOAT32:
        return (<const float *>place)[0]
    if plan.itemsize == sizeof(double):
        plan.load(place, 0, 1, plan.order[ELEMENTS], &value)
        return value
    plan.load(place, 0, 1, plan.order[ELEMENTS], &single)
    return single


cdef inline double adjusted_at(const Plan *plan, double value, const char *addend) noexcept nogil:
    """The adjusted element, with the addend of its class; NULL for none."""
    cdef float single = <float>value
    cdef bint doubles = plan.itemsize == sizeof(double)
    cdef char *element = <char *>&value if doubles else <char *>&single
    adjust_elements(plan, element, step=0, addends=addend, addends_step=0, stride=0, rows=1, n=1, ahead=0, to=element,
                    to_step=0)
    return value if doubles else single


cdef void convert_at_targets(const Plan *plan, State *state, const uint16_t *collected, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    cdef float singles[TILE_COLUMNS]
    if plan.itemsize == sizeof(double):
        plan.load(collected, sizeof(uint16_t), n, plan.order[ELEMENTS], state.loss.target_logit)
        return
    plan.load(collected, sizeof(uint16_t), n, plan.order[ELEMENTS], singles)
    for j in range(n):
        state.loss.target_logit[j] = singles[j]


cdef inline void read_at_targets(const Unit *unit, State *state, Reading reading) noexcept nogil:
    """Read the elements at the targets. A reduction whose target is ignored or is not a class does not count."""
    cdef const Plan *plan = unit.plan
    cdef const char *targets = unit.bases.data[TARGET]
    cdef const char *elements = unit.bases.data[ELEMENTS] + plan.first_class[ELEMENTS]
    cdef Py_ssize_t j, target, step = inner_stride(&plan.kept, ELEMENTS), target_step = inner_stride(&plan.kept, TARGET)
    cdef Py_ssize_t class_step = plan.class_stride[ELEMENTS], addend_at
    cdef bint wrong = False
    cdef uint16_t collected[TILE_COLUMNS]
    collected[0] = 0        # GCC warns, because it does not know that there is a column
    for j in range(unit.columns):
        target = (<const Py_ssize_t *>targets)[0]
        targets += target_step
        if not 0 <= target < unit.route.length:
            wrong = True
            state.loss.counts[j] = state.loss.target_logit[j] = state.loss.target_weight[j] = 0
            collected[j] = 0
        elif reading == TWO_BYTES:
            memcpy(&collected[j], elements + target*class_step, sizeof(uint16_t))
        else:
            state.loss.target_logit[j] = element_at(plan, reading, elements + target*class_step)
            if plan.adjusted:
                addend_at = (plan.first_class[ADDENDS] + target*plan.class_stride[ADDENDS]
                             + j*inner_stride(&plan.kept, ADDENDS))
                state.loss.target_logit[j] = adjusted_at(
                    plan, state.loss.target_logit[j],
                    unit.bases.data[ADDENDS] + addend_at if unit.bases.data[ADDENDS] != NULL else NULL)
        elements += step
    if reading == TWO_BYTES:
        convert_at_targets(plan, state, collected, unit.columns)
    if wrong and plan.wrong != NULL:
        exchange(plan.wrong, 1)


cdef void look_up_targets(const Unit *unit, State *state) noexcept nogil:
    """Set the terms of a loss: whether each reduction counts, and the element and the weight of its class."""
    cdef const Plan *plan = unit.plan
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
        if plan.element_bytes[ELEMENTS] == sizeof(uint16_t) and not plan.adjusted:
            read_at_targets(unit, state, TWO_BYTES)
        else:
            read_at_targets(unit, state, CONVERTED)
    elif plan.itemsize == sizeof(double):
        read_at_targets(unit, state, AS_FLOAT64)
    else:
        read_at_targets(unit, state, AS_FLOAT32)
    if weights != NULL:
        for j in range(unit.columns):
            target = (<const Py_ssize_t *>(targets + j*target_step))[0]
            if target >= 0:
                state.loss.target_weight[j] = weights[target]


cdef inline void put_at(const Plan *plan, bint direct, bint wide, char *place, double value) noexcept nogil:
    cdef float single = <float>value
    if not direct:
        plan.store(<const char *>&value if wide else <const char *>&single, 1, place, 0, plan.order[RESULT])
    elif wide:
        (<double *>place)[0] = value
    else:
        (<float *>place)[0] = single


cdef void convert_results(const Plan *plan, const double *values, Py_ssize_t n, uint16_t *halves) noexcept nogil:
    """Numbers as results of two bytes: one call for all columns."""
    cdef Py_ssize_t j
    cdef float singles[TILE_COLUMNS]
    for j in range(n):
        singles[j] = <float>values[j]
    plan.store(singles, n, halves, sizeof(uint16_t), plan.order[RESULT])


cdef void store_at_targets(const Unit *unit, const State *state) noexcept nogil:
    """Store the gradients at the targets, after all others, and 0 for all classes of an ignored reduction."""
    cdef const Plan *plan = unit.plan
    cdef const char *targets = unit.bases.data[TARGET]
    cdef char *results = unit.bases.data[RESULT] + plan.first_class[RESULT]
    cdef Py_ssize_t j, c, target, target_step = inner_stride(&plan.kept, TARGET)
    cdef Py_ssize_t step = inner_stride(&plan.kept, RESULT), class_step = plan.class_stride[RESULT]
    cdef bint direct = plan.direct[RESULT], wide = plan.itemsize == sizeof(double)
    cdef bint in_halves = not wide and plan.element_bytes[RESULT] == sizeof(uint16_t)
    cdef uint16_t halves[TILE_COLUMNS]
    if in_halves:
        convert_results(plan, state.loss.at_target, unit.columns, halves)
    for j in range(unit.columns):
        target = (<const Py_ssize_t *>(targets + j*target_step))[0]
        if target >= 0 and in_halves:
            memcpy(results + j*step + target*class_step, &halves[j], sizeof(uint16_t))
        elif target >= 0:
            put_at(plan, direct, wide, results + j*step + target*class_step, state.loss.at_target[j])
        elif state.loss.at_target[j] != 0:      # nan: an ignored reduction has an element that is not finite
            for c in range(unit.route.length):
                put_at(plan, direct, wide, results + j*step + c*class_step, 0)
