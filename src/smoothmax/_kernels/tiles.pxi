# Tiles: columns reduced each on its own, as many side by side as there are lanes, a block of rows at a time.

cdef void reduce_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld, Py_ssize_t rows,
                      Py_ssize_t columns) noexcept nogil:
    reduce_columns(state, x, ld, rows, columns, EXACT)


cdef void reduce_tile_roughly(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                              Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    reduce_columns(state, x, ld, rows, columns, ROUNDED)


cdef void reduce_softmax_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                              Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """The sums of all exponentials, the tops' too, in rest + carry."""
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef double error
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BLOCK_BYTES//(TILE_COLUMNS*sizeof(real)))
        for group in range((columns + width - 1)//width):
            first = group*width
            spread(<real>-INFINITY, top)
            max_lanes(x + first, ld, block, top)
            for j in range(width):
                move_maximum(&state.sum, first + j, top[j])
            for j in range(width):
                shifts_of(finite_reference(<real>state.sum.maximum[first + j]), &shift[j], &magic[j], &floor[j])
                sums[j] = 0
                carries[j] = 0
            exp_lanes(x + first, ld, block, shift, magic, floor, False, next_rows(block, ld, x[0])*ld,
                      top, width, sums, carries)
            for j in range(width):
                sums[j] = two_sum(sums[j], carries[j], &error)
                join(&state.sum, first + j, sums[j], error, 0)
        x += block*ld
        rows -= block


cdef inline Py_ssize_t filled(Py_ssize_t columns, Py_ssize_t width) noexcept nogil:
    """The least multiple of the lanes that has room for so many columns."""
    return (columns + width - 1)//width*width


# The last group of lanes begins early enough to end with the columns, and does some of the last but one's again; where
# results take the place of elements that cannot be, and there is room for whole groups.

cdef inline Py_ssize_t columns_to_do(const real *x, const real *out, Py_ssize_t columns) noexcept nogil:
    return filled(columns, lanes_of(x)) if x == out else columns


cdef inline Py_ssize_t first_column(Py_ssize_t group, Py_ssize_t width, Py_ssize_t columns) noexcept nogil:
    return columns - width if (group + 1)*width > columns > width else group*width


cdef void softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                       real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    # Of more rows than that, these lanes, their results and the next lanes are too much for L1.
    cdef Py_ssize_t ahead = lanes_beside(x, ld, rows) if rows <= ROW_BLOCK_LANES else 0
    cdef double inverse, inverse_low, error
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real one_above[LANES]
    columns = columns_to_do(x, out, columns)
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        spread(<real>-INFINITY, top)
        max_lanes(x + first, ld, rows, top)
        for j in range(width):
            shifts_of(top[j], &shift[j], &magic[j], &floor[j])
            sums[j] = 0
            carries[j] = 0
        exp_lanes(x + first, ld, rows, shift, magic, floor, True, ahead, out + first, out_ld, sums, carries)
        for j in range(width):
            sums[j] = two_sum(sums[j], carries[j], &error)
            invert(sums[j], error, &inverse, &inverse_low)
            split_inverse(inverse, inverse_low, &scale[j], &scale_low[j])
            one_above[j] = one_above_of(top[j], False, sums[j], error)
        scale_lanes(out + first, out_ld, rows, <real *>NULL, scale, scale_low, one_above, out + first, out_ld)


cdef void softmax_short_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                             real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), ahead = lanes_beside(x, ld, rows), group, first, j
    cdef real error
    cdef real top[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef real inverse[LANES]
    cdef real inverse_low[LANES]
    columns = columns_to_do(x, out, columns)
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        spread(<real>-INFINITY, top)
        max_lanes(x + first, ld, rows, top)
        sum_drops_lanes(x + first, ld, rows, top, False, True, ahead, out + first, out_ld, totals, carries, counts)
        for j in range(width):
            totals[j] = sum_in_two(totals[j], carries[j], &error)
            invert(totals[j], error, &inverse[j], &inverse_low[j])
        scale_lanes(out + first, out_ld, rows, <real *>NULL, inverse, inverse_low, <real *>NULL, out + first,
                    out_ld)


cdef void write_softmax_tile(const State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                             Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                             Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real one_above[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            shifts_of(<real>state.sum.maximum[first + j], &shift[j], &magic[j], &floor[j])
            split_inverse(state.normalizer.inverse[first + j], state.normalizer.inverse_low[first + j], &scale[j],
                          &scale_low[j])
            one_above[j] = <real>state.normalizer.saturates_above[first + j]
        softmax_lanes(x + first, ld, rows, shift, magic, floor, scale, scale_low, one_above, out + first, out_ld,
                      prefetch_rows)


cdef void write_log_softmax_tile(const State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                                 Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                                 Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real top[LANES]
    cdef real log_sum[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            top[j] = <real>state.sum.maximum[first + j]
            log_sum[j] = <real>state.normalizer.log_sum[first + j]
        log_softmax_lanes(x + first, ld, rows, top, log_sum, out + first, out_ld, prefetch_rows)


# At once: few rows, so that all of it stays in L1, and one group of lanes is done from elements to results. What needs
# no rows is one loop over whole groups, then the last: in a loop over all columns what fills no lanes would be scalar.

cdef inline real log_of_scaled(real count, real total, real carry, real *low) noexcept nogil:
    """log(count + (total + carry)/2**OFFSET) and what rounding lost."""
    cdef real error, unscaled = <real>1/scaled_one(total), rest = sum_in_two(total, carry, &error)
    return split_log(count, rest*unscaled, error*unscaled, <real>0, low)


cdef inline void log_sums_at_once(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, bint is_short,
                                  Terms terms, const real *out, Py_ssize_t out_ld, real *top, real *log_sum,
                                  real *log_sum_low) noexcept nogil:
    """All sums come before all logarithms, which wait for each other less then."""
    cdef Py_ssize_t width = lanes_of(x), groups = (columns + width - 1)//width, group, first, j
    cdef Py_ssize_t ahead = lanes_beside(x, ld, rows), whole = columns//width*width
    cdef real totals[TILE_COLUMNS]
    cdef real carries[TILE_COLUMNS]
    cdef real counts[TILE_COLUMNS]
    for group in range(groups):
        first = first_column(group, width, columns)
        if is_short:
            spread(<real>-INFINITY, top + first)
            max_lanes(x + first, ld, rows, top + first)
            sum_drops_lanes(x + first, ld, rows, top + first, True, False, ahead, <real *>NULL, 0, totals + first,
                            carries + first, counts + first)
        else:
            sum_from_top(x + first, ld, rows, terms, ahead, out + first, out_ld, top + first, totals + first,
                         carries + first, counts + first)
    for j in range(whole):
        log_sum[j] = log_of_scaled(counts[j], totals[j], carries[j], &log_sum_low[j])
    if whole < columns:
        first = first_column(whole//width, width, columns)
        for j in range(first, first + width):
            log_sum[j] = log_of_scaled(counts[j], totals[j], carries[j], &log_sum_low[j])


cdef inline void logsumexp_of_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, bint is_short,
                                   real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), whole = columns//width*width, first, j
    cdef real top[TILE_COLUMNS]
    cdef real log_sum[TILE_COLUMNS]
    cdef real log_sum_low[TILE_COLUMNS]
    log_sums_at_once(x, ld, rows, columns, is_short, EXACT, <real *>NULL, 0, top, log_sum, log_sum_low)
    for j in range(whole):
        out[j] = shifted(top[j], log_sum[j], log_sum_low[j])
    if whole < columns:
        first = first_column(whole//width, width, columns)
        for j in range(first, first + width):
            out[j] = shifted(top[j], log_sum[j], log_sum_low[j])


cdef void logsumexp_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                         Py_ssize_t _) noexcept nogil:
    logsumexp_of_tile(x, ld, rows, columns, False, out)


cdef void logsumexp_short_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                               Py_ssize_t _) noexcept nogil:
    logsumexp_of_tile(x, ld, rows, columns, True, out)


cdef inline void log_softmax_of_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, bint is_short,
                                     real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first
    cdef real top[TILE_COLUMNS]
    cdef real log_sum[TILE_COLUMNS]
    cdef real log_sum_low[TILE_COLUMNS]
    columns = columns_to_do(x, out, columns)
    log_sums_at_once(x, ld, rows, columns, is_short, ROUNDED, out, next_rows(out_ld, out_ld, x[0]), top, log_sum,
                     log_sum_low)
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        log_softmax_lanes(x + first, ld, rows, top + first, log_sum + first, out + first, out_ld, 0)


cdef void log_softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                           Py_ssize_t out_ld) noexcept nogil:
    log_softmax_of_tile(x, ld, rows, columns, False, out, out_ld)


cdef void log_softmax_short_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                                 Py_ssize_t out_ld) noexcept nogil:
    log_softmax_of_tile(x, ld, rows, columns, True, out, out_ld)
