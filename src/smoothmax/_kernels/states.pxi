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


cdef struct ColumnSum:
    # One column of a PartialSum.
    double maximum
    double count
    double others
    double others_low


cdef inline void take_column(const PartialSum *sum, Py_ssize_t j, ColumnSum *column) noexcept nogil:
    column.maximum, column.count = sum.maximum[j], sum.count[j]
    column.others, column.others_low = sum.others[j], sum.others_low[j]


cdef inline void put_column(PartialSum *sum, Py_ssize_t j, const ColumnSum *column) noexcept nogil:
    sum.maximum[j], sum.count[j] = column.maximum, column.count
    sum.others[j], sum.others_low[j] = column.others, column.others_low


cdef void rescale(double *total, double *total_low, real old, real maximum) noexcept nogil:
    """Take a sum from the shift of `old` to that of `maximum`, the larger: mostly by a power of two."""
    cdef real shift = shift_of(old), new_shift = shift_of(maximum)
    cdef double high = total[0], low = total_low[0]
    cdef double difference = <double>shift - <double>new_shift
    cdef double power, exponent, factor, factor_low
    if magnitude(old) == INFINITY or magnitude(maximum) == INFINITY or difference < -4096:
        total[0] = high*0           # nan stays
        total_low[0] = 0
        return
    power = <double>exponent_of(old - shift) - <double>exponent_of(maximum - new_shift)
    if difference != 0:
        exponent = exponent_of(difference)
        exp_in_two(difference, magic_of(exponent), &factor, &factor_low)
        factor *= 7.458340731200207e-155        # 2**-OFFSET, which the sum has too
        factor_low *= 7.458340731200207e-155
        low = low*factor + high*factor_low + product_error(high, factor, high*factor)
        high *= factor
        power += exponent
    if power > -1022:
        factor = power_of_two(power)
        total[0] = high*factor
        total_low[0] = low*factor
    else:
        power = power if power > -4096 else -4096
        total[0] = ldexp(high, <int>power)
        total_low[0] = ldexp(low, <int>power)


cdef inline void move_maximum(PartialSum *sum, Py_ssize_t j, real maximum) noexcept nogil:
    """Let `maximum` be that of a column that counts nothing, if it is larger than the present one."""
    cdef real old = <real>sum.maximum[j]
    if maximum > old:
        sum.maximum[j] = maximum
        if sum.others[j] != 0:
            rescale(&sum.others[j], &sum.others_low[j], old, maximum)


cdef void raise_column(ColumnSum *column, real maximum) noexcept nogil:
    """Let `maximum`, no less than all elements seen so far, be the maximum; those that were counted join the others."""
    cdef real old = <real>column.maximum
    cdef double p, p_low, product, error
    column.maximum = maximum
    if column.count != 0:
        split_top_exp(old, &p, &p_low)
        product = column.count*p
        column.others = two_sum(column.others, product, &error)
        column.others_low += error + product_error(column.count, p, product) + column.count*p_low
        column.count = 0
    if column.others != 0:
        rescale(&column.others, &column.others_low, old, maximum)


cdef void raise_maximum(PartialSum *sum, Py_ssize_t j, real maximum) noexcept nogil:
    cdef ColumnSum column
    take_column(sum, j, &column)
    raise_column(&column, maximum)
    put_column(sum, j, &column)


cdef inline void join(PartialSum *sum, Py_ssize_t j, double others, double others_low, double count) noexcept nogil:
    """Add a sum that was taken against sum.maximum[j]."""
    cdef double error
    sum.others[j] = two_sum(sum.others[j], others, &error)
    sum.others_low[j] += others_low + error
    sum.count[j] += count


cdef inline void merge(PartialSum *sum, const PartialSum *other, Py_ssize_t first, Py_ssize_t columns,
                       Py_ssize_t period, real _) noexcept nogil:
    """Join what two states have seen; the one with the smaller maximum is taken to the other's."""
    cdef Py_ssize_t i, j
    cdef ColumnSum added
    for i in range(columns):
        j = (first + i) % period
        take_column(other, i, &added)
        if other.maximum[i] > sum.maximum[j]:
            raise_maximum(sum, j, <real>other.maximum[i])
        elif sum.maximum[j] > other.maximum[i]:
            raise_column(&added, <real>sum.maximum[j])
        join(sum, j, added.others, added.others_low, added.count)


cdef void merge_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                    Py_ssize_t period) noexcept nogil:
    merge(&state.sum, &other.sum, first, columns, period, <float>0)


cdef void merge_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                    Py_ssize_t period) noexcept nogil:
    merge(&state.sum, &other.sum, first, columns, period, <double>0)


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
        any_ |= is_in_doubt(<real>state.sum.maximum[j], state.sum.count[j], state.sum.others[j])
    return any_


cdef void replace_doubtful(State *state, const State *careful, Py_ssize_t columns, real _) noexcept nogil:
    """Only those: what a column's neighbours are must not show in its bits."""
    cdef Py_ssize_t j
    for j in range(columns):
        if is_in_doubt(<real>state.sum.maximum[j], state.sum.count[j], state.sum.others[j]):
            state.sum.count[j] = careful.sum.count[j]
            state.sum.others[j], state.sum.others_low[j] = careful.sum.others[j], careful.sum.others_low[j]


cdef bint needs_exact_f32(const State *state, Py_ssize_t columns) noexcept nogil:
    return is_any_in_doubt(state, columns, <float>0)


cdef bint needs_exact_f64(const State *state, Py_ssize_t columns) noexcept nogil:
    return is_any_in_doubt(state, columns, <double>0)


cdef void replace_f32(State *state, const State *careful, Py_ssize_t columns) noexcept nogil:
    replace_doubtful(state, careful, columns, <float>0)


cdef void replace_f64(State *state, const State *careful, Py_ssize_t columns) noexcept nogil:
    replace_doubtful(state, careful, columns, <double>0)


cdef inline void log_sums_of(State *state, Py_ssize_t columns, bint from_top, real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef double rest, carry, low
    for j in range(columns):
        # After many merges, others_low is no longer small beside others.
        rest = two_sum(state.sum.others[j], state.sum.others_low[j], &carry)
        state.normalizer.log_sum[j] = log_sum_of(<real>state.sum.maximum[j], from_top, state.sum.count[j], rest, carry,
                                                 &low)
        state.normalizer.log_sum_low[j] = low


cdef void finish_log_softmax(State *state, Py_ssize_t columns, real *_, real *__) noexcept nogil:
    if state.scaling == FROM_MAXIMUM:
        log_sums_of(state, columns, True, <real>0)
    elif state.scaling == SHIFTED:
        log_sums_of(state, columns, False, <real>0)


cdef void finish_logsumexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double values[TILE_COLUMNS]
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        values[j] = shifted(state.sum.maximum[j], state.normalizer.log_sum[j], state.normalizer.log_sum_low[j])
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
        total = two_sum(state.sum.others[j], state.sum.others_low[j], &low)
        invert(total, low, &state.normalizer.inverse[j], &state.normalizer.inverse_low[j])
        state.normalizer.saturates_above[j] = one_above_of(<real>state.sum.maximum[j], False, total, low)


cdef inline real shifted(real shift, real log_sum, real log_sum_low) noexcept nogil:
    """shift + log_sum, rounded once."""
    cdef real error, value = sum_in_two(shift, log_sum, &error)
    return value + (0 if magnitude(value) == INFINITY else error + log_sum_low)
