# log_softmax
#
#     log_softmax(x) = (x - m) - log(sum exp(x - m)),    m the maximum
#
# Error: 2 ULP. At the maximum the result is -log(count + others/p), so the first of log_softmax([20, 0]) is -2.06e-9.
# Worst inputs: [-22, 0, -2.06, -25] was 2.3 ULP off when four terms were added to each other before they were added to
# the total.
#
# 1. Sum ROUNDED terms with the maximum counted (ops/row_sums.pxi, ops/column_sums.pxi).
# 2. Subtract the maximum, then the logarithm, from each element.
#
# The draft of a long row is the elements themselves: the first pass copies them to the result while a block is summed,
# and the second pass reads them there (P4).

cdef void finish_log_softmax(State *state, Py_ssize_t columns, real *_, real *__) noexcept nogil:
    """Compute log_sum, unless a fused tile has left it already."""
    if state.scaling == FROM_MAXIMUM:
        log_sums_of(state, columns, FROM_MAXIMUM, <real>0)
    elif state.scaling == SHIFTED:
        log_sums_of(state, columns, SHIFTED, <real>0)


# Rows -----------------------------------------------------------------------------------------------------------------

cdef void write_log_softmax_row(const State *state, const real *x, const real *_, Py_ssize_t n,
                                real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width, j
    cdef real tail[LANES]
    cdef real maximum[LANES]
    cdef real log_sum[LANES]
    spread(<real>state.sum.partial.maximum[0], maximum)
    spread(<real>state.normalizer.log_sum[0], log_sum)
    log_softmax_lanes(x, width, rows, width, maximum, log_sum, out, width, NO_PREFETCH)
    if remaining:
        pad(x + rows*width, remaining, tail)
        log_softmax_lanes(tail, width, 1, width, maximum, log_sum, tail, width, NO_PREFETCH)
        unpad(tail, remaining, out + rows*width)


cdef void draft_log_softmax_row(State *state, const real *x, Py_ssize_t n, real *out, double *_) noexcept nogil:
    reduce_blocks(state, x, n, ROUNDED, out)


cdef void correct_log_softmax_row(const State *state, const real *_, Py_ssize_t n, real *out,
                                  const double *__) noexcept nogil:
    write_log_softmax_row(state, out, out, n, out)


cdef inline void log_softmax_of_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                                    Precision precision, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width
    cdef double total, carry, count, low
    cdef real tail[LANES]
    cdef real maximum[LANES]
    cdef real log_sum[LANES]
    x = read_row(x, n, adjustment, tail, maximum, &away)
    total = sum_of_row(x, n, away, precision, out, tail, maximum[0], &carry, &count)
    spread(<real>log_sum_of(maximum[0], SHIFTED, count, total, carry, &low), log_sum)
    spread(maximum[0], maximum)
    log_softmax_lanes(x, width, rows, width, maximum, log_sum, out, width, NO_PREFETCH)
    if remaining:
        log_softmax_lanes(tail, width, 1, width, maximum, log_sum, tail, width, NO_PREFETCH)
        unpad(tail, remaining, out + rows*width)


cdef void log_softmax_of_long_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                                  real *out) noexcept nogil:
    log_softmax_of_row(x, n, away, adjustment, ROUNDED_SUM, out)


cdef void log_softmax_of_short_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                                   real *out) noexcept nogil:
    log_softmax_of_row(x, n, away, adjustment, EXACT_SUM, out)


cdef void log_softmax_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                          real *out) noexcept nogil:
    cdef real lanes[LANES]
    cdef real maximum[LANES]
    cdef real log_sum[LANES]
    cdef double low
    if is_long(x, n):
        log_softmax_of_long_row(x, n, away, adjustment, out)
    elif n > lanes_of(x):
        log_softmax_of_short_row(x, n, away, adjustment, out)
    else:
        x = read_lane_row(x, n, adjustment)
        spread(<real>log_sum_of_lane_row(x, n, maximum, &low), log_sum)
        spread(maximum[0], maximum)
        pad(x, n, lanes)
        log_softmax_lanes(lanes, 0, 1, lanes_of(x), maximum, log_sum, lanes, 0, NO_PREFETCH)
        unpad(lanes, n, out)


# Tiles ----------------------------------------------------------------------------------------------------------------

cdef void log_softmax_of_adjusted(const real *x, Py_ssize_t ld, Py_ssize_t rows, const Adjustment *adjustment,
                                  const real *maximum, const real *log_sum, real *out, Py_ssize_t out_ld,
                                  Py_ssize_t prefetch_rows) noexcept nogil:
    """log_softmax_lanes of elements that are adjusted again, because the pass before did not store them."""
    cdef Py_ssize_t i
    cdef real lanes[LANES]
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        adjust_one_row(x + i*ld, adjustment, i, lanes_of(x), lanes)
        log_softmax_lanes(lanes, 0, 1, lanes_of(x), maximum, log_sum, out + i*out_ld, 0, NO_PREFETCH)


cdef void write_log_softmax_tile(const State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                                 Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                                 Py_ssize_t prefetch_rows, const Adjustment *adjustment) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef Adjustment of_group
    cdef real maximum[LANES]
    cdef real log_sum[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            maximum[j] = <real>state.sum.partial.maximum[first + j]
            log_sum[j] = <real>state.normalizer.log_sum[first + j]
        if adjustment == NULL:
            log_softmax_lanes(x + first, ld, rows, width, maximum, log_sum, out + first, out_ld, prefetch_rows)
        else:
            of_group = adjustment_of_lanes(adjustment, first, 0, <real>0)
            log_softmax_of_adjusted(x + first, ld, rows, &of_group, maximum, log_sum, out + first, out_ld,
                                    prefetch_rows)


cdef inline void log_softmax_of_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, TileSums way,
                                     const Adjustment *adjustment, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first
    cdef Adjustment of_group
    cdef real maximum[TILE_COLUMNS]
    cdef real log_sum[TILE_COLUMNS]
    columns = columns_to_do_by_half(x, out, columns)
    log_sums_of_columns(x, ld, rows, columns, way, ROUNDED, adjustment, out, rows_ahead(out_ld, out_ld, <real>0),
                        maximum, log_sum, <real *>NULL)
    for group in range((columns + width - 1)//width):
        if adjustment != NULL:
            first = first_column(group, width, columns)
            of_group = adjustment_of_lanes(adjustment, first, 0, <real>0)
            log_softmax_of_adjusted(x + first, ld, rows, &of_group, maximum + first, log_sum + first, out + first,
                                    out_ld, NO_PREFETCH)
        elif fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, width, columns)
            log_softmax_lanes(x + first, ld, rows, width//2, maximum + first, log_sum + first, out + first, out_ld,
                              NO_PREFETCH)
        else:
            first = first_column(group, width, columns)
            log_softmax_lanes(x + first, ld, rows, width, maximum + first, log_sum + first, out + first, out_ld,
                              NO_PREFETCH)


cdef void adjusted_log_softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                    const Adjustment *adjustment, real *out, Py_ssize_t out_ld) noexcept nogil:
    """A function of its own, because GCC spills more registers of loops that share a function (P33).

    The copy tells GCC that there is an adjustment, so it leaves out the loops for elements as they are.
    """
    cdef Adjustment copy = adjustment[0]
    log_softmax_of_tile(x, ld, rows, columns, BY_SHIFT, &copy, out, out_ld)


cdef void log_softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                           const Adjustment *adjustment, real *out, Py_ssize_t out_ld) noexcept nogil:
    if adjustment == NULL:
        log_softmax_of_tile(x, ld, rows, columns, BY_SHIFT, NULL, out, out_ld)
    else:
        adjusted_log_softmax_tile(x, ld, rows, columns, adjustment, out, out_ld)


cdef void log_softmax_differences_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                       const Adjustment *_, real *out, Py_ssize_t out_ld) noexcept nogil:
    log_softmax_of_tile(x, ld, rows, columns, BY_DIFFERENCES, NULL, out, out_ld)


# Table ----------------------------------------------------------------------------------------------------------------

cdef void fill_log_softmax(Kernels *kernels, real _) noexcept:
    kernels.adjusts = True
    kernels.reduce_row = <ReduceRow>reduce_row_rounded[real]
    kernels.reduce_block = <ReduceBlock>reduce_block_rounded[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_rounded[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_log_softmax[real]
    kernels.write_row = <WriteRow>write_log_softmax_row[real]
    kernels.write_tile = <WriteTile>write_log_softmax_tile[real]
    kernels.draft_row = <DraftRow>draft_log_softmax_row[real]
    kernels.drafts_elements = True
    kernels.correct_row = <CorrectRow>correct_log_softmax_row[real]
    kernels.fused_row = <FusedRow>log_softmax_row[real]
    kernels.fused_row_bytes = FUSED_SUM_ROW_BYTES
    kernels.fused_tile = <FusedTile>log_softmax_tile[real]
    kernels.fused_differences_tile = <FusedTile>log_softmax_differences_tile[real]
    kernels.differences_max_rows = ROUNDED_DIFFERENCES_MAX_ROWS
    kernels.fused_tile_bytes = FUSED_LOG_SOFTMAX_TILE_ROWS*TILE_COLUMNS*sizeof(real)
    kernels.fused_aliased_tile_bytes = ALIASED_SUM_TILE_BYTES
