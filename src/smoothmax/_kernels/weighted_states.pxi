# States with weights. rest + carry is the sum over exp(top) as elsewhere, and may have either sign; top is only near
# the largest a + log(abs(b)), and nothing is counted.
#
# A top from HUGE on is so coarse that rounding it may take more than the exponent has room for: logsumexp([1e19],
# b=[1e300]) has a top of 1e19 and a term that is exp(690) times as much. So count holds a power of two that is part of
# the reference: the sum over exp(top) is 2**count as much. It is 0 where top is not the shift itself.

cdef inline real weighted_floor_of(real exponent) noexcept nogil:
    """floor_of, lower by the largest k there is: an argument there gives 0 with every weight."""
    if real is float:
        return (exponent - <float>(191 + 150))*<float>0.6931471805599453
    else:
        return (exponent - (1535 + 1100))*0.6931471805599453


cdef inline void weighted_shifts_of(real reference, real count, bint any_size, real *shift, real *magic,
                                    real *floor) noexcept nogil:
    lowered_shifts_of(reference, count, shift, magic, floor)
    if any_size:
        floor[0] = weighted_floor_of(magic_of(<real>0) - magic[0])


cdef real exponent_beyond(real top, const real *a, const real *b, Py_ssize_t n, Py_ssize_t a_step,
                          Py_ssize_t b_step) noexcept nogil:
    """What count must be for the largest term of a column to be near its reference."""
    cdef Py_ssize_t i
    cdef real m, v, best = -INFINITY
    if magnitude(top) == INFINITY or shift_of(top) != top or top == 0:
        return 0
    for i in range(n):
        if b[i*b_step] != 0:
            v = (a[i*a_step] - top)*<real>1.4426950408889634 + split_weight(b[i*b_step], &m)
            best = v if v > best else best
    return nearest_integer(best)


cdef inline void keep_weighted(const State *state, Py_ssize_t first, Py_ssize_t columns, State *kept,
                               Py_ssize_t to) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(columns):
        kept.top[to + j], kept.count[to + j] = state.top[first + j], state.count[first + j]
        kept.rest[to + j], kept.carry[to + j] = state.rest[first + j], state.carry[first + j]


cdef inline void move_weighted(State *state, Py_ssize_t j, real top, real exponent) noexcept nogil:
    """Let exp(top) 2**exponent be the reference of column j, if it is larger than the present one."""
    cdef real old = <real>state.top[j]
    cdef double power = state.count[j] - exponent
    if not (top > old or top == old and power < 0):
        return
    if state.rest[j] != 0 or state.carry[j] != 0:
        rescale(state, j, old, top)
        if power != 0:
            state.rest[j] = ldexp(state.rest[j], <int>power)
            state.carry[j] = ldexp(state.carry[j], <int>power)
    state.top[j], state.count[j] = top, exponent


cdef inline bint raised_weighted(const State *state, Py_ssize_t first, const real *top, State *moved) noexcept nogil:
    """Columns side by side moved to their tops, in [0] and on; False where a sum has to be scaled for it."""
    cdef Py_ssize_t j
    cdef double rises
    cdef double scales[LANES]
    cdef int any_ = 0
    for j in range(lanes_of(top)):
        rises = 1 if top[j] > state.top[first + j] else 0
        scales[j] = rises*(magnitude(state.rest[first + j]) + magnitude(state.carry[first + j]))
        scales[j] += 1 if state.count[first + j] < 0 else 0
        moved.top[j] = top[j] if top[j] > state.top[first + j] else state.top[first + j]
        moved.count[j] = 0 if top[j] > state.top[first + j] else state.count[first + j]
        moved.rest[j], moved.carry[j] = state.rest[first + j], state.carry[first + j]
    for j in range(lanes_of(top)):
        any_ |= scales[j] != 0
    return not any_


cdef inline void merge_weighted(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                                Py_ssize_t period, real _) noexcept nogil:
    """merge for states with weights."""
    cdef Py_ssize_t i, j
    cdef State brought
    for i in range(columns):
        j = (first + i) % period
        keep_weighted(other, i, 1, &brought, 0)
        move_weighted(state, j, <real>brought.top[0], <real>brought.count[0])
        move_weighted(&brought, 0, <real>state.top[j], <real>state.count[j])
        join(state, j, brought.rest[0], brought.carry[0], 0)
        if magnitude(state.rest[j]) == INFINITY:        # which two_sum made nan of
            state.carry[j] = 0


cdef void merge_weighted_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                             Py_ssize_t period) noexcept nogil:
    merge_weighted(state, other, first, columns, period, <float>0)


cdef void merge_weighted_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                             Py_ssize_t period) noexcept nogil:
    merge_weighted(state, other, first, columns, period, <double>0)


cdef double special_sum(const real *a, const real *b, Py_ssize_t n, Py_ssize_t a_step,
                        Py_ssize_t b_step) noexcept nogil:
    """The weighted sum of exponentials of a column as far as it is not finite: inf, -inf, nan; or 0."""
    cdef Py_ssize_t i
    cdef double total = 0
    cdef real u, w
    for i in range(n):
        u, w = a[i*a_step], b[i*b_step]
        if w == 0:
            continue
        if u != u or u == INFINITY:
            total += <double>u*w
        elif w != w or magnitude(w) == INFINITY:
            total += w*(0 if u == -INFINITY else 1)
    return total


cdef void join_weighted(State *state, Py_ssize_t j, double total, double carry, const real *a, const real *b,
                        Py_ssize_t n, Py_ssize_t a_step, Py_ssize_t b_step) noexcept nogil:
    """Add a block's sum, taken against state.top[j], to column j; where that means nothing, what special_sum says."""
    if total == total and state.top[j] < INFINITY:
        join(state, j, total, carry, 0)
        return
    if state.top[j] < INFINITY:         # the first of this kind: what came before is finite, and does not matter
        state.top[j] = INFINITY
        state.rest[j] = 0
    state.rest[j] += special_sum(a, b, n, a_step, b_step)
    state.count[j] = state.carry[j] = 0


cdef inline double weighted_log_of(double rest, double carry, real exponent, double *total,
                                   double *low) noexcept nogil:
    """The logarithm of the size of a sum that is scaled as the exponent says; `total` has its sign."""
    cdef double error
    total[0] = two_sum(rest, carry, &error)
    if real is float:
        exponent -= 64
    else:
        exponent -= 512
    return split_log(<double>0, magnitude(total[0]), error if total[0] > 0 else -error, exponent, low)


cdef inline double weighted_value(double shift, double log_sum, double low, double total, bint signed) noexcept nogil:
    """The result of a sum; of a negative one nan but where its sign goes with it."""
    cdef double value = shifted(shift, log_sum, low)
    value = -INFINITY if total == 0 else INFINITY if magnitude(total) == INFINITY else value
    return value if (total >= 0) | (signed & (total < 0)) else <double>NAN


cdef inline void finish_weighted(State *state, Py_ssize_t columns, real _) noexcept nogil:
    """log_sum is that of the sum over exp(shift); rest becomes the sum's sign."""
    cdef Py_ssize_t j
    cdef real top, shift, exponent
    for j in range(columns):
        top = <real>state.top[j]
        shift = shift_of(top)
        exponent = exponent_of(remainder_of(top, shift)) + <real>state.count[j]
        state.log_sum[j] = weighted_log_of(state.rest[j], state.carry[j], exponent, &state.rest[j],
                                           &state.log_sum_low[j])
        state.top[j] = shift


cdef void write_weighted(const State *state, Py_ssize_t columns, real *out, real *sign, bint signed) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total
    for j in range(columns):
        total = state.rest[j]
        out[j] = <real>weighted_value(state.top[j], state.log_sum[j], state.log_sum_low[j], total, signed)
        sign[j] = <real>(1 if total > 0 else -1 if total < 0 else total)


cdef void finish_weighted_logsumexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef real unused[COLUMNS]
    finish_weighted(state, columns, <real>0)
    write_weighted(state, columns, out, sign if sign != NULL else unused, sign != NULL)


# From states without weights ----------------------------------------------------------------------------------------

cdef void weigh(State *state, Py_ssize_t columns, real _) noexcept nogil:
    """A state of logsumexp becomes one with weights, all of them 1: nothing is counted any more."""
    cdef Py_ssize_t j
    cdef real top
    cdef double total
    for j in range(columns):
        top = <real>state.top[j]
        total = state.rest[j] + state.carry[j]
        if top == INFINITY or total != total:
            state.rest[j] = total if total != total else INFINITY
            state.top[j], state.count[j], state.carry[j] = INFINITY, 0, 0
        elif top == -INFINITY:
            state.count[j] = state.rest[j] = state.carry[j] = 0
        else:
            raise_top(state, j, top)


cdef void weigh_f32(State *state, Py_ssize_t columns) noexcept nogil:
    weigh(state, columns, <float>0)


cdef void weigh_f64(State *state, Py_ssize_t columns) noexcept nogil:
    weigh(state, columns, <double>0)
