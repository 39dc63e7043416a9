# Exponentials kept while they are summed: for results that are multiples of them, and need the state besides.
#
# What fits in cache is read for its largest element, then exponentiated once, into the result, and summed as in
# logsumexp: the top kept apart, so that log(1 + rest) keeps its digits. `finish` makes factors of the state, and the
# result is multiplied in place. A loss alone has room for rough sums (2 ULP; 1.8 have been found), of rows and of
# tiles, whose logarithms are taken at once, and may differ in the last bit from the loss that comes with its gradient.

cdef inline double sum_of_kept(const real *e, Py_ssize_t n, real p, double *carry) noexcept nogil:
    """The exponentials that are not p, the top's, where all others are far below it; x may have been where they are."""
    cdef Py_ssize_t width = lanes_of(e), i, j
    cdef double sums[LANES]
    cdef real carries[LANES]
    for j in range(width):
        sums[j] = 0
        carries[j] = 0
    for i in range(n//width):
        for j in range(width):
            add(&sums[j], &carries[j], <real>0 if e[i*width + j] == p else e[i*width + j], <real>0)
    for i in range(n - n % width, n):
        add(&sums[0], &carries[0], <real>0 if e[i] == p else e[i], <real>0)
    return sum_of_lanes(sums, carries, carry)


cdef void keep_row(State *state, const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef real top, shift, magic, floor, bias, p, taken, lost
    cdef double total, carry, count
    cdef Py_ssize_t i
    cdef real tail[LANES]
    top = max_of_row(x, n, tail)
    if magnitude(top) == INFINITY:          # every result is nan, but not the value
        total = careful_sum_of_block(x, n, top, &carry, &count)
        for i in range(n):
            out[i] = NAN
    else:
        shifts_of(top, &shift, &magic, &floor)
        bias = bias_for(top - shift, magic, floor)
        total = sum_row(x, n, tail, EXACT, True, bias, shift, magic, floor, n, out, &carry)
        count = 1
        total = take_out_top(total, carry, top - shift, magic, EXACT, &carry)
        if is_too_little(total, n, bias):
            take_term(top - shift, magic, EXACT, &p, &taken, &lost)
            total = sum_of_kept(out, n, p, &carry)
    state.sum.maximum[0], state.sum.others[0], state.sum.others_low[0], state.sum.count[0] = top, total, carry, count
    state.scaling = SHIFTED


cdef void keep_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                    Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), ahead = lanes_beside(x, ld, rows), group, first, j
    cdef double error
    cdef real top[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    columns = columns_to_do(x, out, columns)
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        spread(<real>-INFINITY, top)
        max_lanes(x + first, ld, rows, top)
        sum_drops_lanes(x + first, ld, rows, top, True, True, ahead, out + first, out_ld, totals, carries, counts)
        for j in range(width):
            state.sum.maximum[first + j] = top[j]
            state.sum.others[first + j] = two_sum(totals[j], carries[j], &error)
            state.sum.others_low[first + j] = error
            state.sum.count[first + j] = counts[j]
    state.scaling = FROM_MAXIMUM


cdef void keep_state_of_row(State *state, const real *x, Py_ssize_t n, real *out) noexcept nogil:
    clear(state, 1)
    if is_many(x, n):
        reduce_row_roughly(state, x, x, n)
    else:
        reduce_row(state, x, x, n)


cdef inline void state_of_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                               bint is_short) noexcept nogil:
    cdef Py_ssize_t j
    cdef real top[TILE_COLUMNS]
    cdef real log_sum[TILE_COLUMNS]
    cdef real log_sum_low[TILE_COLUMNS]
    log_sums_at_once(x, ld, rows, columns, is_short, ROUNDED, <real *>NULL, 0, top, log_sum, log_sum_low)
    for j in range(columns):
        state.sum.maximum[j] = top[j]
        state.normalizer.log_sum[j] = <double>log_sum[j] + log_sum_low[j] if real is float else log_sum[j]
        state.normalizer.log_sum_low[j] = 0 if real is float else log_sum_low[j]
    state.scaling = IN_LOGARITHMS


cdef void keep_state_of_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                             real *_, Py_ssize_t __) noexcept nogil:
    state_of_tile(state, x, ld, rows, columns, False)


cdef void keep_state_of_short_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                   real *_, Py_ssize_t __) noexcept nogil:
    state_of_tile(state, x, ld, rows, columns, True)


cdef void scale_row(const State *state, Py_ssize_t n, real *out) noexcept nogil:
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real one_above[LANES]
    split_inverse(state.normalizer.inverse[0], state.normalizer.inverse_low[0], factor, factor_low)
    spread(factor[0], factor)
    spread(factor_low[0], factor_low)
    spread(<real>state.normalizer.saturates_above[0], one_above)
    scale_run(out, n, <real *>NULL, factor, factor_low, one_above)


cdef void scale_tile(const State *state, const real *e, Py_ssize_t rows, Py_ssize_t columns, real *out,
                     Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(e), group, first, j
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real one_above[LANES]
    columns = columns_to_do(e, out, columns)
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        for j in range(width):
            split_inverse(state.normalizer.inverse[first + j], state.normalizer.inverse_low[first + j], &factor[j],
                          &factor_low[j])
            one_above[j] = <real>state.normalizer.saturates_above[first + j]
        scale_lanes(e + first, TILE_COLUMNS, rows, <real *>NULL, factor, factor_low, one_above, out + first, out_ld)
