# Tiles: columns reduced each on its own, as many side by side as there are lanes, a block of rows at a time.

cdef inline void reduce_columns(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                Terms terms) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef double error
    cdef real top[LANES]
    cdef real second[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    while rows > 0:
        block = TILE_BYTES//(COLUMNS*sizeof(real))
        block = rows if rows < block else block
        for group in range((columns + width - 1)//width):
            first = group*width
            two_max_lanes(x + first, ld, block, top, second)
            raise_tops(state, first, top)
            for j in range(width):
                second[j] = second[j] if top[j] == state.top[first + j] else top[j]
                top[j] = <real>state.top[first + j]
                shifts_of(top[j], &shift[j], &magic[j], &floor[j])
            sum_others_lanes(x + first, ld, block, top, second, shift, magic, floor, terms, block*ld, sums, carries,
                             counts)
            for j in range(width):
                sums[j] = two_sum(sums[j], carries[j], &error)
                join(state, first + j, sums[j], error, counts[j])
        x += block*ld
        rows -= block


cdef void reduce_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld, Py_ssize_t rows,
                      Py_ssize_t columns) noexcept nogil:
    reduce_columns(state, x, ld, rows, columns, IN_PARTS)


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
        block = min_of(rows, TILE_BYTES//(COLUMNS*sizeof(real)))
        for group in range((columns + width - 1)//width):
            first = group*width
            spread(<real>-INFINITY, top)
            max_lanes(x + first, ld, block, top)
            for j in range(width):
                move_top(state, first + j, top[j])
            for j in range(width):
                shifts_of(finite_reference(<real>state.top[first + j]), &shift[j], &magic[j], &floor[j])
                sums[j] = 0
                carries[j] = 0
            exp_lanes(x + first, ld, block, shift, magic, floor, False, next_rows(block, ld, x[0])*ld,
                      top, width, sums, carries)
            for j in range(width):
                sums[j] = two_sum(sums[j], carries[j], &error)
                join(state, first + j, sums[j], error, 0)
        x += block*ld
        rows -= block


cdef void softmax_of_many(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                          real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
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
    for group in range((columns + width - 1)//width):
        first = group*width
        spread(<real>-INFINITY, top)
        max_lanes(x + first, ld, rows, top)
        for j in range(width):
            shifts_of(top[j], &shift[j], &magic[j], &floor[j])
            sums[j] = 0
            carries[j] = 0
        exp_lanes(x + first, ld, rows, shift, magic, floor, True, 0, out + first, out_ld, sums, carries)
        for j in range(width):
            sums[j] = two_sum(sums[j], carries[j], &error)
            invert(sums[j], error, &inverse, &inverse_low)
            split_inverse(inverse, inverse_low, &scale[j], &scale_low[j])
            one_above[j] = one_above_of(top[j], False, sums[j], error)
        scale_lanes(out + first, out_ld, rows, scale, scale_low, one_above)


cdef void softmax_of_few(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                         real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real error
    cdef real top[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef real inverse[LANES]
    cdef real inverse_low[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        spread(<real>-INFINITY, top)
        max_lanes(x + first, ld, rows, top)
        sum_drops_lanes(x + first, ld, rows, top, False, True, out + first, out_ld, totals, carries, counts)
        for j in range(width):
            totals[j] = sum_in_two(totals[j], carries[j], &error)
            invert(totals[j], error, &inverse[j], &inverse_low[j])
        multiply_lanes(out + first, out_ld, rows, inverse, inverse_low)


cdef void softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                       real *out, Py_ssize_t out_ld) noexcept nogil:
    if rows <= FEW_ROWS:
        softmax_of_few(x, ld, rows, columns, out, out_ld)
    else:
        softmax_of_many(x, ld, rows, columns, out, out_ld)


cdef void write_softmax_tile(const State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                             Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld) noexcept nogil:
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
            shifts_of(<real>state.top[first + j], &shift[j], &magic[j], &floor[j])
            split_inverse(state.inverse[first + j], state.inverse_low[first + j], &scale[j], &scale_low[j])
            one_above[j] = <real>state.one_above[first + j]
        softmax_lanes(x + first, ld, rows, shift, magic, floor, scale, scale_low, one_above, out + first, out_ld)


cdef void write_log_softmax_tile(const State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                                 Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real top[LANES]
    cdef real log_sum[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            top[j] = <real>state.top[first + j]
            log_sum[j] = <real>state.log_sum[first + j]
        log_softmax_lanes(x + first, ld, rows, top, log_sum, out + first, out_ld)


# At once: few rows, so that all of it stays in L1, and one group of lanes is done from elements to results.

cdef inline void log_sums_at_once(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *top,
                                  real *log_sum, real *log_sum_low) noexcept nogil:
    """Of columns as many as fill lanes. All sums come before all logarithms, which wait for each other less then."""
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real error, unscaled = <real>1/scaled_one(x[0])
    cdef real totals[COLUMNS]
    cdef real carries[COLUMNS]
    cdef real counts[COLUMNS]
    for group in range(columns//width):
        first = group*width
        spread(<real>-INFINITY, top + first)
        max_lanes(x + first, ld, rows, top + first)
        sum_drops_lanes(x + first, ld, rows, top + first, True, False, <real *>NULL, 0, totals + first, carries + first,
                        counts + first)
    for j in range(columns):
        totals[j] = sum_in_two(totals[j], carries[j], &error)
        log_sum[j] = split_log(counts[j], totals[j]*unscaled, error*unscaled, <real>0, &log_sum_low[j])


cdef inline Py_ssize_t filled(Py_ssize_t columns, Py_ssize_t width) noexcept nogil:
    """The least multiple of the lanes that has room for so many columns."""
    return (columns + width - 1)//width*width


cdef void logsumexp_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                         Py_ssize_t _) noexcept nogil:
    cdef Py_ssize_t j
    cdef real top[COLUMNS]
    cdef real log_sum[COLUMNS]
    cdef real log_sum_low[COLUMNS]
    columns = filled(columns, lanes_of(x))
    log_sums_at_once(x, ld, rows, columns, top, log_sum, log_sum_low)
    for j in range(columns):
        out[j] = shifted(top[j], log_sum[j], log_sum_low[j])


cdef void log_softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                           Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first
    cdef real top[COLUMNS]
    cdef real log_sum[COLUMNS]
    cdef real log_sum_low[COLUMNS]
    columns = filled(columns, width)
    log_sums_at_once(x, ld, rows, columns, top, log_sum, log_sum_low)
    for group in range(columns//width):
        first = group*width
        log_softmax_lanes(x + first, ld, rows, top + first, log_sum + first, out + first, out_ld)
