# Losses: cross-entropy with a class as the target, weights of all classes, or both; and their gradients.
#
# With log p_c = (x_c - top) - log_sum, the loss of a reduction is
#     -hard w_t log p_t - soft sum_c b_c log p_c,       t the target, w_t its weight,
# and the second sum is dot - log_sum*mass: one pass gives both. The gradient with respect to x_c is gain times
#     (hard w_t + soft mass) p_c - soft b_c - hard w_t [c = t].
# Its first term is softmax with another factor. At the target, where it would cancel, the last one is taken together
# with it: -hard w_t (1 - p_t), and 1 - p_t is what the others sum to, divided by the whole sum.

cdef inline void take_dot_row(State *state, const real *x, const real *b, Py_ssize_t n, double old) noexcept nogil:
    """The same block in state.dot as went into the sum, whose top was `old` before."""
    cdef real reference = finite_reference(<real>state.top[0])
    move_dot(state, 0, finite_reference(old), reference)
    add_dot_row(state, x, b, n, reference, False)


cdef void reduce_soft_row(State *state, const real *x, const real *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t block
    cdef double old
    while n > 0:
        block = min_of(n, BLOCK_ROWS*lanes_of(x))
        old = state.top[0]
        reduce_row(state, x, b, block)
        take_dot_row(state, x, b, block, old)
        x += block
        b += block
        n -= block


cdef void reduce_soft_tile(State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                           Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef double old[COLUMNS]
    cdef real reference[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BYTES//(COLUMNS*sizeof(real)))
        for j in range(COLUMNS):
            old[j] = state.top[j]
        reduce_tile(state, x, ld, b, b_ld, block, columns)
        for group in range((columns + width - 1)//width):
            first = group*width
            for j in range(width):
                reference[j] = finite_reference(<real>state.top[first + j])
                move_dot(state, first + j, finite_reference(old[first + j]), reference[j])
            add_dot_tile(state, first, x + first, ld, b + first, b_ld, block, reference, False)
        x += block*ld
        b += block*b_ld
        rows -= block


cdef inline void merge_soft(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns, Py_ssize_t period,
                            real type_) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double top
    cdef State brought
    for i in range(columns):
        j = (first + i) % period
        top = finite_reference(state.top[j] if state.top[j] > other.top[i] else other.top[i])
        brought.dot[0], brought.dot_low[0], brought.mass[0] = other.dot[i], other.dot_low[i], other.mass[i]
        move_dot(&brought, 0, finite_reference(other.top[i]), top)
        move_dot(state, j, finite_reference(state.top[j]), top)
        join_dot(state, j, brought.dot[0], brought.dot_low[0], brought.mass[0])
    merge(state, other, first, columns, period, type_)


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

cdef inline double log_prob_of(const State *state, Py_ssize_t j) noexcept nogil:
    """(picked - top) - log_sum, rounded once."""
    cdef double error, difference = two_sum(state.picked[j], -state.top[j], &error)
    cdef double error_of_log, value = two_sum(difference, -state.log_sum[j], &error_of_log)
    return value + (error + (error_of_log - state.log_sum_low[j])) if is_finite(value) else value


cdef inline double soft_sum_of(const State *state, Py_ssize_t j) noexcept nogil:
    """dot - log_sum*mass, rounded once."""
    cdef double product = state.log_sum[j]*state.mass[j]
    cdef double low = product_error(state.log_sum[j], state.mass[j], product) + state.log_sum_low[j]*state.mass[j]
    cdef double error, value = two_sum(state.dot[j], -product, &error)
    if state.top[j] == -INFINITY and state.mass[j] != 0:
        return NAN
    return value + (error + (state.dot_low[j] - low)) if is_finite(value) else state.dot[j] - product


cdef inline double loss_of(const State *state, Py_ssize_t j, double log_prob, double soft_sum) noexcept nogil:
    """A factor of 0 drops its term, whatever that is."""
    cdef double factor = state.hard*state.weight[j]
    cdef double value = (0 if factor == 0 else factor*log_prob) + (0 if state.soft == 0 else state.soft*soft_sum)
    return 0 if state.counts[j] == 0 else 0 - value


cdef void finish_log_prob(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        out[j] = <real>log_prob_of(state, j)


cdef void finish_hard_loss(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        out[j] = <real>loss_of(state, j, log_prob_of(state, j), 0)


cdef void finish_soft_loss(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        out[j] = <real>loss_of(state, j, log_prob_of(state, j), soft_sum_of(state, j))


cdef void finish_nll(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    """x is log p already."""
    cdef Py_ssize_t j
    for j in range(columns):
        out[j] = <real>loss_of(state, j, state.picked[j], state.dot[j] + state.dot_low[j])


# Gradients -----------------------------------------------------------------------------------------------------------

cdef inline double total_of(const State *state, Py_ssize_t j, double *low, real _) noexcept nogil:
    """The scaled sum, the top's share in it; nan where no element is finite, or one is inf."""
    cdef double p, p_low, product, error, total
    split_top_exp(<real>state.top[j], &p, &p_low)
    product = state.count[j]*p
    total = two_sum(product, state.rest[j], &error)
    error += product_error(state.count[j], p, product) + state.count[j]*p_low + state.carry[j]
    total = two_sum(total, error, low)
    return total if magnitude(state.top[j]) < INFINITY else <double>NAN


cdef void finish_logsumexp_and_softmax(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total, low
    finish_logsumexp(state, columns, out, sign)
    for j in range(columns):
        total = total_of(state, j, &low, out[0])
        invert(total, low, &state.inverse[j], &state.inverse_low[j])
        state.one_above[j] = one_above_of(<real>state.top[j], total, low)


cdef inline void finish_gradient(State *state, Py_ssize_t columns, real type_) noexcept nogil:
    """The factors of the exponentials and of b, and the gradient at the target."""
    cdef Py_ssize_t j
    cdef real shift, magic, floor
    cdef double total, low, p, p_low, at, at_low, others, inverse, inverse_low, factor, hard, product
    for j in range(columns):
        total = total_of(state, j, &low, type_)
        invert(total, low, &inverse, &inverse_low)
        hard = state.hard*state.weight[j]
        factor = state.gain*state.counts[j]*(hard + state.soft*state.mass[j])
        product = inverse*factor
        state.inverse[j] = product
        state.inverse_low[j] = product_error(inverse, factor, product) + inverse_low*factor
        state.one_above[j] = INFINITY
        state.slope[j] = state.gain*state.counts[j]*state.soft
        # 1 - p of the target is the others' sum over all: without the top if that is the target, and otherwise
        # no more than half of the sum goes, and nothing is lost.
        shifts_of(<real>state.top[j], &shift, &magic, &floor)
        split_top_exp(<real>state.top[j], &p, &p_low)
        exp_in_two(at_least(<real>state.picked[j] - shift, floor), magic, &at, &at_low)
        product = (state.count[j] - 1)*p
        others = ((product + state.rest[j]) + (state.carry[j] + (state.count[j] - 1)*p_low)
                  if state.picked[j] == state.top[j] else (total - at) + (low - at_low))
        state.at_target[j] = -state.gain*state.counts[j]*(
            hard*others - state.soft*(state.mass[j]*at - state.weight[j]*total))*inverse


cdef void finish_hard_gradient(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    finish_hard_loss(state, columns, out, sign)
    finish_gradient(state, columns, <real>0)


cdef void finish_soft_gradient(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    finish_soft_loss(state, columns, out, sign)
    finish_gradient(state, columns, <real>0)


cdef inline void gradient_lanes(const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                const real *shift, const real *magic, const real *floor, const real *factor,
                                const real *factor_low, const real *slope, real *out,
                                Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real e
    for i in range(rows):
        for j in range(lanes_of(x)):
            e = scaled_exp(at_least(x[i*ld + j] - shift[j], floor[j]), magic[j])
            y[j] = multiplied(e, factor[j], factor_low[j]) - slope[j]*b[i*b_ld + j]
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
    spread_shifts(<real>state.top[0], shift, magic, floor)
    split_inverse(state.inverse[0], state.inverse_low[0], factor, factor_low)
    spread(factor[0], factor)
    spread(factor_low[0], factor_low)
    spread(<real>state.slope[0], slope)
    gradient_lanes(x, width, b, width, rows, shift, magic, floor, factor, factor_low, slope, out, width)
    if rest:
        pad_two(x + rows*width, b + rows*width, rest, tail, tail_b)
        gradient_lanes(tail, width, tail_b, width, 1, shift, magic, floor, factor, factor_low, slope, tail, width)
        unpad(tail, rest, out + rows*width)


cdef void write_gradient_tile(const State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                              Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real slope[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            shifts_of(<real>state.top[first + j], &shift[j], &magic[j], &floor[j])
            split_inverse(state.inverse[first + j], state.inverse_low[first + j], &factor[j], &factor_low[j])
            slope[j] = <real>state.slope[first + j]
        gradient_lanes(x + first, ld, b + first, b_ld, rows, shift, magic, floor, factor, factor_low, slope,
                       out + first, out_ld)


# Weights of classes and smoothing ------------------------------------------------------------------------------------

cdef void blend(real *b, const real *factors, Py_ssize_t n, double scale, double offset) noexcept nogil:
    """b*scale + offset, times factors, in the place of b."""
    cdef Py_ssize_t i
    for i in range(n):
        b[i] = <real>((b[i]*scale + offset)*factors[i])
