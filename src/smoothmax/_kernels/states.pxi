# What a state means: how it moves to another reference, takes a block's sum, and becomes results.

cdef inline void exp_in_two(real d, real magic, double *high, double *low) noexcept nogil:
    """high + low = exp(d) 2**(OFFSET - N), high being the sum rounded."""
    cdef real e, taken, lost
    take_term(d, magic, EXACT, &e, &taken, &lost)
    high[0], low[0] = taken, lost


cdef inline void split_top_exp(real top, double *p, double *p_low) noexcept nogil:
    """p + p_low = exp(top) as split_exp gives it to the elements of a row: 2**OFFSET times 0.7 to 1.42."""
    cdef real remainder = remainder_of(top, shift_of(top))
    exp_in_two(remainder, magic_of(exponent_of(remainder)), p, p_low)


cdef inline void exp_of_top(real top, bint from_top, double *p, double *p_low) noexcept nogil:
    """split_top_exp, or what stands in its place where the sums are of exp(x - top)."""
    if from_top:
        p[0], p_low[0] = scaled_one(top), 0
    else:
        split_top_exp(top, p, p_low)


cdef void rescale(State *state, Py_ssize_t j, real old, real top) noexcept nogil:
    """Take the sum of column j from the shift of `old` to that of `top`, the larger: mostly by a power of two."""
    cdef real shift = shift_of(old), new_shift = shift_of(top)
    cdef double rest = state.rest[j], carry = state.carry[j]
    cdef double difference = <double>shift - <double>new_shift
    cdef double power, exponent, factor, factor_low
    if magnitude(old) == INFINITY or magnitude(top) == INFINITY or difference < -4096:
        state.rest[j] = rest*0          # nan stays
        state.carry[j] = 0
        return
    power = <double>exponent_of(old - shift) - <double>exponent_of(top - new_shift)
    if difference != 0:
        exponent = exponent_of(difference)
        exp_in_two(difference, magic_of(exponent), &factor, &factor_low)
        factor *= 7.458340731200207e-155        # 2**-OFFSET; rest has it too
        factor_low *= 7.458340731200207e-155
        carry = carry*factor + rest*factor_low + product_error(rest, factor, rest*factor)
        rest *= factor
        power += exponent
    if power > -1022:
        factor = power_of_two(power)
        state.rest[j] = rest*factor
        state.carry[j] = carry*factor
    else:
        power = power if power > -4096 else -4096
        state.rest[j] = ldexp(rest, <int>power)
        state.carry[j] = ldexp(carry, <int>power)


cdef inline void move_top(State *state, Py_ssize_t j, real top) noexcept nogil:
    """Let `top` be the reference of a column that counts nothing, if it is larger than the present one."""
    cdef real old = <real>state.top[j]
    if top > old:
        state.top[j] = top
        if state.rest[j] != 0:
            rescale(state, j, old, top)


cdef void raise_top(State *state, Py_ssize_t j, real top) noexcept nogil:
    """Let `top`, larger than all seen so far, be the reference of column j."""
    cdef real old = <real>state.top[j]
    cdef double p, p_low, product, error
    state.top[j] = top
    if state.count[j] != 0:
        split_top_exp(old, &p, &p_low)
        product = state.count[j]*p
        state.rest[j] = two_sum(state.rest[j], product, &error)
        state.carry[j] += error + product_error(state.count[j], p, product) + state.count[j]*p_low
        state.count[j] = 0
    if state.rest[j] != 0:
        rescale(state, j, old, top)


cdef inline void join(State *state, Py_ssize_t j, double rest, double carry, double count) noexcept nogil:
    """Add a sum taken against state.top[j]."""
    cdef double error
    state.rest[j] = two_sum(state.rest[j], rest, &error)
    state.carry[j] += carry + error
    state.count[j] += count


cdef inline void merge(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns, Py_ssize_t period,
                       real _) noexcept nogil:
    """Join what two states have seen; the one with the smaller top is taken to the other's."""
    cdef Py_ssize_t i, j
    cdef State brought
    for i in range(columns):
        j = (first + i) % period
        brought.top[0], brought.count[0] = other.top[i], other.count[i]
        brought.rest[0], brought.carry[0] = other.rest[i], other.carry[i]
        if other.top[i] > state.top[j]:
            raise_top(state, j, <real>other.top[i])
        elif state.top[j] > other.top[i]:
            raise_top(&brought, 0, <real>state.top[j])
        join(state, j, brought.rest[0], brought.carry[0], brought.count[0])


cdef void merge_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                    Py_ssize_t period) noexcept nogil:
    merge(state, other, first, columns, period, <float>0)


cdef void merge_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                    Py_ssize_t period) noexcept nogil:
    merge(state, other, first, columns, period, <double>0)


cdef inline real finite_reference(real top) noexcept nogil:
    """The top, or 0 while all elements are -inf: -inf - -inf would make a sum nan that later elements give a value."""
    return 0 if top == -INFINITY else top


cdef inline void lowered_shifts_of(real top, real by, real *shift, real *magic, real *floor) noexcept nogil:
    """shifts_of for exponentials that are 2**-by of those."""
    cdef real exponent
    shift[0] = shift_of(top)
    exponent = exponent_of(remainder_of(top, shift[0])) + by
    magic[0] = magic_of(exponent)
    floor[0] = floor_of(exponent)


cdef inline void shifts_of(real top, real *shift, real *magic, real *floor) noexcept nogil:
    lowered_shifts_of(top, <real>0, shift, magic, floor)


cdef inline real room(real _) noexcept nogil:
    """Exponents that exponentials are lowered by where elements may be above the reference.

    Not so many that sums are lost that a result still has: 2**33 elements 126 (768) below are not. 2026-11, with 40 of
    float, 500 elements at -105 beside one at 0 were.
    """
    return <real>8 if real is float else <real>400


cdef inline bint has_room(real top, real shift, real magic) noexcept nogil:
    """Whether shifts lowered by that may serve a column of this top: finite, and at most 60 (880) exponents above.

    Its exponential is less than 2**(64 - 8 + 60.5) (2**992.5) then, and 2**11 (2**31) of them do not overflow. One
    exponent below, where 0 stands in for a reference, nothing within VANISH of the top is lost. Fused: two places ask.
    """
    cdef real n = fused(top - shift, <real>1.4426950408889634, magic - magic_of(room(top)))
    cdef real most = <real>60 if real is float else <real>880
    return (n >= -1) & (n <= most)


cdef inline double power_to_state(real top, real shift, real magic) noexcept nogil:
    """What takes such a sum to the scale of shifts_of(top); 0 where top is -inf, whose low bits are 0."""
    return power_of_two(<double>(magic_of(<real>0) - magic) - <double>exponent_of(top - shift))


# From states to results --------------------------------------------------------------------------------------------

cdef inline void invert(real total, real low, real *inverse, real *inverse_low) noexcept nogil:
    """inverse + inverse_low = 1/(total + low)."""
    cdef real first = <real>1/total, product = first*total
    inverse[0] = first
    inverse_low[0] = ((<real>1 - product) - product_error(first, total, product) - first*low)*first


cdef inline void split_inverse(double inverse, double inverse_low, real *high, real *low) noexcept nogil:
    high[0] = <real>inverse
    low[0] = <real>((inverse - high[0]) + inverse_low)


cdef inline double log_sum_of(real top, bint from_top, double count, double rest, double carry,
                              double *low) noexcept nogil:
    """log(count + (rest + carry)/p), and in `low` what rounding lost; float needs no more than a double of it."""
    cdef double p, p_low, inverse, q, product
    exp_of_top(top, from_top, &p, &p_low)
    inverse = 1/p
    if real is float:
        low[0] = 0
        return plain_log(count, (rest + carry)*inverse if from_top else (rest + carry)/(p + p_low))
    elif from_top:
        return split_log(count, rest*inverse, carry*inverse, <double>0, low)
    else:
        q = rest*inverse
        product = q*p
        p_low = ((rest - product) - product_error(q, p, product) + (carry - q*p_low))*inverse
        return split_log(count, q, p_low, <double>0, low)


cdef inline bint is_in_doubt(real top, double count, double rest) noexcept nogil:
    """Whether an error of 1.1 ULP in rest may be more than a third of one in top + log(count + rest/p).

    The larger of abs(top) and the logarithm is 2 or more: no. p is less than 1.42 2**OFFSET, and exp(2) than 7.4.
    """
    cdef double share
    if real is float:
        share = 3.8e-20             # 2**-64/1.42
    else:
        share = 5.2e-155
    return (magnitude(top) < 2) & (count + rest*share < 7.4)


cdef bint is_any_in_doubt(const State *state, Py_ssize_t columns, real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef int any_ = 0
    for j in range(columns):
        any_ |= is_in_doubt(<real>state.top[j], state.count[j], state.rest[j])
    return any_


cdef void replace_doubtful(State *state, const State *careful, Py_ssize_t columns, real _) noexcept nogil:
    """Only those: what a column's neighbours are must not show in its bits."""
    cdef Py_ssize_t j
    for j in range(columns):
        if is_in_doubt(<real>state.top[j], state.count[j], state.rest[j]):
            state.count[j] = careful.count[j]
            state.rest[j], state.carry[j] = careful.rest[j], careful.carry[j]


cdef bint in_doubt_f32(const State *state, Py_ssize_t columns) noexcept nogil:
    return is_any_in_doubt(state, columns, <float>0)


cdef bint in_doubt_f64(const State *state, Py_ssize_t columns) noexcept nogil:
    return is_any_in_doubt(state, columns, <double>0)


cdef void replace_f32(State *state, const State *careful, Py_ssize_t columns) noexcept nogil:
    replace_doubtful(state, careful, columns, <float>0)


cdef void replace_f64(State *state, const State *careful, Py_ssize_t columns) noexcept nogil:
    replace_doubtful(state, careful, columns, <double>0)


cdef inline void log_sums_of(State *state, Py_ssize_t columns, bint from_top, real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef double rest, carry, low
    for j in range(columns):
        rest = two_sum(state.rest[j], state.carry[j], &carry)   # after many merges the carry has grown to be part of it
        state.log_sum[j] = log_sum_of(<real>state.top[j], from_top, state.count[j], rest, carry, &low)
        state.log_sum_low[j] = low


cdef void finish_log_softmax(State *state, Py_ssize_t columns, real *_, real *__) noexcept nogil:
    if state.sums == FROM_TOP:
        log_sums_of(state, columns, True, <real>0)
    elif state.sums == SHIFTED:
        log_sums_of(state, columns, False, <real>0)


cdef void finish_logsumexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double values[COLUMNS]
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        values[j] = shifted(state.top[j], state.log_sum[j], state.log_sum_low[j])
    for j in range(columns):
        out[j] = <real>values[j]
    if sign != NULL:
        for j in range(columns):
            sign[j] = <real>(values[j] if values[j] != values[j] else 0 if values[j] == -INFINITY else 1)


cdef inline real one_above_of(real top, bint from_top, double total, double low) noexcept nogil:
    """What probabilities are 1 above: 0.75 where the top is all of the sum, else inf.

    A single element's exponential is rounded and its reciprocal is not, so their product might miss 1 by an ULP.
    """
    cdef double p, p_low, others, limit
    exp_of_top(top, from_top, &p, &p_low)
    others = (total - p) + (low - p_low)
    if real is float:
        limit = 1.4901161193847656e-08          # 2**-26
    else:
        limit = 2.7755575615628914e-17          # 2**-55
    return <real>0.75 if others <= limit*total else <real>INFINITY


cdef void finish_softmax(State *state, Py_ssize_t columns, real *_, real *__) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total, low
    for j in range(columns):
        total = two_sum(state.rest[j], state.carry[j], &low)
        invert(total, low, &state.inverse[j], &state.inverse_low[j])
        state.one_above[j] = one_above_of(<real>state.top[j], False, total, low)


cdef inline real shifted(real shift, real log_sum, real log_sum_low) noexcept nogil:
    """shift + log_sum, rounded once."""
    cdef real error, value = sum_in_two(shift, log_sum, &error)
    return value + (0 if magnitude(value) == INFINITY else error + log_sum_low)
