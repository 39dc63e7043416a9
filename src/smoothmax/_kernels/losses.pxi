# Losses: cross-entropy with a class as the target, weights of all classes, or both; and their gradients.
#
# With log p_c = (x_c - top) - log_sum, the loss of a reduction is
#     -hard w_t log p_t - soft sum_c b_c log p_c,       t the target, w_t its weight,
# and the second sum is dot - log_sum*mass: one pass gives both. The gradient with respect to x_c is
#     (hard w_t + soft mass) p_c - soft b_c - hard w_t [c = t]
# over the denominator of a mean. Its first term is softmax with another factor. At the target, where it would cancel,
# the last one is taken together with it: -hard w_t (1 - p_t), and 1 - p_t is what the others sum to, divided by the
# whole sum.
#
# Every factor is two doubles, so that a result has the error of its exponential and of two or three roundings: rounded
# one after the other, they cost gradients 5 ULP.

cdef inline void take_dot_row(State *state, const real *x, const real *b, Py_ssize_t n, double old) noexcept nogil:
    """The same block in state.dot as went into the sum, whose top was `old` before."""
    cdef real reference = finite_reference(<real>state.sum.maximum[0])
    move_dot(&state.dot, 0, finite_reference(old), reference)
    add_dot_row(state, x, b, n, reference, False)


cdef void reduce_soft_row(State *state, const real *x, const real *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t block
    cdef double old
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*lanes_of(x))
        old = state.sum.maximum[0]
        reduce_row(state, x, b, block)
        take_dot_row(state, x, b, block, old)
        x += block
        b += block
        n -= block


cdef void reduce_soft_tile(State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                           Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef double old[TILE_COLUMNS]
    cdef real reference[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BLOCK_BYTES//(TILE_COLUMNS*sizeof(real)))
        for j in range(TILE_COLUMNS):
            old[j] = state.sum.maximum[j]
        reduce_tile(state, x, ld, b, b_ld, block, columns)
        for group in range((columns + width - 1)//width):
            first = group*width
            for j in range(width):
                reference[j] = finite_reference(<real>state.sum.maximum[first + j])
                move_dot(&state.dot, first + j, finite_reference(old[first + j]), reference[j])
            add_dot_tile(state, first, x + first, ld, b + first, b_ld, block, reference, False)
        x += block*ld
        b += block*b_ld
        rows -= block


cdef inline void merge_soft(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns, Py_ssize_t period,
                            real type_) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double maximum
    cdef ColumnDot added
    for i in range(columns):
        j = (first + i) % period
        maximum = finite_reference(state.sum.maximum[j] if state.sum.maximum[j] > other.sum.maximum[i]
                                   else other.sum.maximum[i])
        added.dot, added.dot_low = other.dot.dot[i], other.dot.dot_low[i]
        added.mass, added.mass_low = other.dot.mass[i], other.dot.mass_low[i]
        move_column_dot(&added, finite_reference(other.sum.maximum[i]), maximum)
        move_dot(&state.dot, j, finite_reference(state.sum.maximum[j]), maximum)
        join_dot(&state.dot, j, added.dot, added.dot_low, added.mass, added.mass_low)
    merge(&state.sum, &other.sum, first, columns, period, type_)


cdef void merge_soft_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                         Py_ssize_t period) noexcept nogil:
    merge_soft(state, other, first, columns, period, <float>0)


cdef void merge_soft_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                         Py_ssize_t period) noexcept nogil:
    merge_soft(state, other, first, columns, period, <double>0)


cdef void reduce_nothing_row(State *state, const real *x, const real *b, Py_ssize_t n) noexcept nogil:
    pass


cdef void reduce_nothing_tile(State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                              Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    pass


# Values --------------------------------------------------------------------------------------------------------------

cdef inline double log_prob_of(const State *state, Py_ssize_t j, double *low, real _) noexcept nogil:
    """(picked - top) - log_sum, rounded once, and what that took; float needs no more than a double of it."""
    cdef double error, error_of_log, difference, value
    if real is float:
        low[0] = 0
        return (state.loss.target_logit[j] - state.sum.maximum[j]) - state.normalizer.log_sum[j]
    else:
        difference = two_sum(state.loss.target_logit[j], -state.sum.maximum[j], &error)
        value = two_sum(difference, -state.normalizer.log_sum[j], &error_of_log)
        error += error_of_log - state.normalizer.log_sum_low[j]
        difference = two_sum(value, error if is_finite(value) else 0, low)
        low[0] = low[0] if is_finite(difference) else 0
        return difference


cdef inline double soft_sum_of(const State *state, Py_ssize_t j) noexcept nogil:
    """dot - log_sum*mass, rounded once."""
    cdef double product = state.normalizer.log_sum[j]*state.dot.mass[j]
    cdef double low = product_error(state.normalizer.log_sum[j], state.dot.mass[j], product)
    cdef double error, value = two_sum(state.dot.dot[j], -product, &error)
    low += state.normalizer.log_sum[j]*state.dot.mass_low[j] + state.normalizer.log_sum_low[j]*state.dot.mass[j]
    if state.sum.maximum[j] == -INFINITY and state.dot.mass[j] != 0:
        return NAN
    return value + (error + (state.dot.dot_low[j] - low)) if is_finite(value) else state.dot.dot[j] - product


cdef inline void add_product(double a, double a_low, double b, double b_low, double *sum_, double *low,
                             real _) noexcept nogil:
    """sum_ + low plus (a + a_low)*(b + b_low); float needs no more than a double of it."""
    cdef double error, product = a*b
    if real is float:
        sum_[0] += product
    else:
        sum_[0] = two_sum(sum_[0], product, &error)
        low[0] += error + (product_error(a, b, product) + (a*b_low + a_low*b))


cdef inline double loss_of(const State *state, Py_ssize_t j, double log_prob, double log_prob_low, double soft_sum,
                           bint soft, real type_) noexcept nogil:
    """A factor of 0 drops its term, whatever that is. Without a soft part the target counts once."""
    cdef double value = 0, low = 0, factor = 0, factor_low = 0, exact
    if soft:
        add_product(state.loss.hard, state.loss.hard_low, state.loss.target_weight[j], 0, &factor, &factor_low, type_)
        if factor != 0:
            add_product(factor, factor_low, log_prob, log_prob_low, &value, &low, type_)
        if state.loss.soft != 0:
            add_product(state.loss.soft, state.loss.soft_low, soft_sum, 0, &value, &low, type_)
        exact = value + low
    elif state.loss.target_weight[j] != 0:
        value = state.loss.target_weight[j]*log_prob
        exact = multiplied(state.loss.target_weight[j], log_prob, log_prob_low)
    else:
        exact = 0
    value = exact if is_finite(exact) else value    # what rounding lost of inf, or nearly so, is nan
    return 0 if state.loss.counts[j] == 0 else 0 - value


cdef void finish_log_prob(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double low
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        out[j] = <real>log_prob_of(state, j, &low, out[0])


cdef void finish_hard_loss(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double log_prob, low
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        log_prob = log_prob_of(state, j, &low, out[0])
        out[j] = <real>loss_of(state, j, log_prob, low, 0, False, out[0])


cdef void finish_soft_loss(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double log_prob, low
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        log_prob = log_prob_of(state, j, &low, out[0])
        out[j] = <real>loss_of(state, j, log_prob, low, soft_sum_of(state, j), True, out[0])


cdef void finish_nll(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    """x is log p already."""
    cdef Py_ssize_t j
    for j in range(columns):
        out[j] = <real>loss_of(state, j, state.loss.target_logit[j], 0, state.dot.dot[j] + state.dot.dot_low[j], True,
                               out[0])


# Gradients -----------------------------------------------------------------------------------------------------------

cdef inline double total_of(const State *state, Py_ssize_t j, bint from_top, double *low, real _) noexcept nogil:
    """The scaled sum, the top's share in it; nan where no element is finite, or one is inf."""
    cdef double p, p_low, product, error, total
    exp_of_top(<real>state.sum.maximum[j], from_top, &p, &p_low)
    product = state.sum.count[j]*p
    total = two_sum(product, state.sum.others[j], &error)
    error += product_error(state.sum.count[j], p, product) + state.sum.count[j]*p_low + state.sum.others_low[j]
    total = two_sum(total, error, low)
    return total if magnitude(state.sum.maximum[j]) < INFINITY else <double>NAN


cdef inline void probability_factors(State *state, Py_ssize_t columns, bint from_top, real type_) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total, low
    for j in range(columns):
        total = total_of(state, j, from_top, &low, type_)
        invert(total, low, &state.normalizer.inverse[j], &state.normalizer.inverse_low[j])
        state.normalizer.saturates_above[j] = one_above_of(<real>state.sum.maximum[j], from_top, total, low)


cdef void finish_logsumexp_and_softmax(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    finish_logsumexp(state, columns, out, sign)
    if state.scaling == FROM_MAXIMUM:
        probability_factors(state, columns, True, <real>0)
    else:
        probability_factors(state, columns, False, <real>0)


cdef inline void exp_of_picked(real picked, real top, bint from_top, double *at, double *at_low) noexcept nogil:
    """An element's exponential in two parts, scaled as the sum is; 0 stands in for none, and may be above all."""
    cdef real shift, magic, floor, d, d_low, head, tail, scale
    if from_top:
        drop_in_two(picked if picked < top else top, top, floor_of(<real>0), False, &d, &d_low)
        split_exp_of_two(d, d_low, magic_of(<real>0), &head, &tail, &scale)
        at[0] = (head + tail)*scale
        at_low[0] = ((head - (head + tail)) + tail)*scale
    else:
        shifts_of(top, &shift, &magic, &floor)
        exp_in_two(at_least(picked - shift, floor), magic, at, at_low)


cdef inline void finish_gradient(State *state, Py_ssize_t columns, bint soft, real type_) noexcept nogil:
    if state.scaling == FROM_MAXIMUM:
        gradient_factors(state, columns, True, soft, type_)
    else:
        gradient_factors(state, columns, False, soft, type_)


cdef inline void gradient_factors(State *state, Py_ssize_t columns, bint from_top, bint soft,
                                  real type_) noexcept nogil:
    """The factors of the exponentials and of b, and the gradient at the target."""
    cdef Py_ssize_t j
    cdef double total, low, inverse, inverse_low, p, p_low, at, at_low, others, others_low, value, value_low
    cdef double gain, gain_low, own, own_low, shared, shared_low, for_all, for_all_low
    cdef double hard = 0, hard_low = 0, slope = 0, slope_low = 0
    cdef bint is_top
    invert(state.loss.denominator, 0, &gain, &gain_low)
    add_product(state.loss.hard, state.loss.hard_low, gain, gain_low, &hard, &hard_low, type_)
    add_product(state.loss.soft, state.loss.soft_low, gain, gain_low, &slope, &slope_low, type_)
    for j in range(columns):
        total = total_of(state, j, from_top, &low, type_)
        invert(total, low, &inverse, &inverse_low)
        # 1 - p of the target is the others' sum over all: without the top if that is the target, and otherwise
        # no more than half of the sum goes, and nothing is lost.
        exp_of_top(<real>state.sum.maximum[j], from_top, &p, &p_low)
        exp_of_picked(<real>state.loss.target_logit[j], <real>state.sum.maximum[j], from_top, &at, &at_low)
        is_top = state.loss.target_logit[j] == state.sum.maximum[j]
        others = two_sum((state.sum.count[j] - 1)*p if is_top else total, state.sum.others[j] if is_top else -at,
                         &others_low)
        others_low += state.sum.others_low[j] + (state.sum.count[j] - 1)*p_low if is_top else low - at_low
        own = own_low = value = value_low = 0
        add_product(hard, hard_low, state.loss.target_weight[j], 0, &own, &own_low, type_)
        add_product(own, own_low, others, others_low, &value, &value_low, type_)
        if soft:
            state.loss.slope[j], state.loss.slope_low[j] = slope*state.loss.counts[j], slope_low*state.loss.counts[j]
            for_all = for_all_low = 0
            add_product(state.loss.slope[j], state.loss.slope_low[j], state.dot.mass[j], state.dot.mass_low[j],
                        &for_all, &for_all_low, type_)
            shared = two_sum(own, for_all, &shared_low)
            shared_low += own_low + for_all_low
            add_product(slope*state.loss.target_weight[j], slope_low*state.loss.target_weight[j], total, low, &value,
                        &value_low, type_)
            add_product(for_all, for_all_low, -at, -at_low, &value, &value_low, type_)
        else:
            shared, shared_low = own, own_low
        state.normalizer.inverse[j] = shared*inverse
        state.normalizer.inverse_low[j] = product_error(shared, inverse, state.normalizer.inverse[j]) + (
            shared*inverse_low + shared_low*inverse)
        state.normalizer.saturates_above[j] = INFINITY
        state.loss.at_target[j] = -(multiplied(inverse, value, value_low) + value*inverse_low)


cdef void finish_hard_gradient(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    finish_hard_loss(state, columns, out, sign)
    finish_gradient(state, columns, False, <real>0)


cdef void finish_soft_gradient(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    finish_soft_loss(state, columns, out, sign)
    finish_gradient(state, columns, True, <real>0)


cdef inline void gradient_lanes(const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                const real *shift, const real *magic, const real *floor, const real *factor,
                                const real *factor_low, const real *slope, const real *slope_low, real *out,
                                Py_ssize_t out_ld, Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real e
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(lanes_of(x)):
            e = scaled_exp(at_least(x[i*ld + j] - shift[j], floor[j]), magic[j])
            y[j] = probability(e, factor[j], factor_low[j]) - multiplied(b[i*b_ld + j], slope[j], slope_low[j])
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]


cdef void write_gradient_row(const State *state, const real *x, const real *b, Py_ssize_t n,
                             real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real slope[LANES]
    cdef real slope_low[LANES]
    spread_shifts(<real>state.sum.maximum[0], shift, magic, floor)
    split_inverse(state.normalizer.inverse[0], state.normalizer.inverse_low[0], factor, factor_low)
    spread(factor[0], factor)
    spread(factor_low[0], factor_low)
    split_inverse(state.loss.slope[0], state.loss.slope_low[0], slope, slope_low)
    spread(slope[0], slope)
    spread(slope_low[0], slope_low)
    gradient_lanes(x, width, b, width, rows, shift, magic, floor, factor, factor_low, slope, slope_low, out,
                   width, 0)
    if rest:
        pad_two(x + rows*width, b + rows*width, rest, tail, tail_b)
        gradient_lanes(tail, width, tail_b, width, 1, shift, magic, floor, factor, factor_low, slope,
                       slope_low, tail, width, 0)
        unpad(tail, rest, out + rows*width)


cdef void write_gradient_tile(const State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                              Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                              Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real slope[LANES]
    cdef real slope_low[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            shifts_of(<real>state.sum.maximum[first + j], &shift[j], &magic[j], &floor[j])
            split_inverse(state.normalizer.inverse[first + j], state.normalizer.inverse_low[first + j], &factor[j],
                          &factor_low[j])
            split_inverse(state.loss.slope[first + j], state.loss.slope_low[first + j], &slope[j], &slope_low[j])
        gradient_lanes(x + first, ld, b + first, b_ld, rows, shift, magic, floor, factor, factor_low, slope,
                       slope_low, out + first, out_ld, prefetch_rows)


# Weights of classes and smoothing ------------------------------------------------------------------------------------

cdef void blend(real *b, const real *factors, Py_ssize_t n, double scale, double scale_low, double offset,
                double offset_low) noexcept nogil:
    """b*scale + offset, times factors, in the place of b; rounded once."""
    cdef Py_ssize_t i
    cdef double product, value, error
    for i in range(n):
        product = b[i]*scale
        if real is float:
            b[i] = <float>((product + offset)*factors[i])
        else:
            value = two_sum(offset, product, &error)
            error += (product_error(b[i], scale, product) + b[i]*scale_low) + offset_low
            b[i] = multiplied(factors[i], value, error)
