# softmax
#
#     softmax(x) = exp(x - m) / sum exp(x - m),    m the maximum
#
# Error: 2 ULP, for normal and subnormal results. Worst found: 1.74 ULP (docs/numerics.md). A carry of float32 takes
# only CARRY_ROWS terms, because with 32 terms long rows were 1.95 ULP off. tests/test_exp.py checks every float32
# argument, tests/test_accuracy.py everything else.
#
# 1. Find the maximum.
# 2. Exponentiate with the shift of the maximum, sum in two parts, and store the exponentials where the result will be.
#    The maximum is added to the others, because terms far below 1 do not matter. Columns of few rows use differences
#    instead of the shift (P19).
# 3. Multiply by the reciprocal of the sum, in two parts.
#
# These steps are fused for rows and tiles that stay in cache. A longer row leaves drafts (ops/softmax_draft.pxi).
# Everything else is summed in a first pass and exponentiated again in a second.

cdef void reduce_softmax_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    reduce_softmax_blocks(state, x, n, DISCARD, <real *>NULL, NULL)


cdef void reduce_softmax_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                              Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """Sum all exponentials, including the maxima's, into others + others_low."""
    cdef Py_ssize_t width = lanes_of(x), block, ahead, group, first, j, done = 0, lanes_ld = ld
    cdef double error
    cdef Adjustment of_group
    cdef const real *lanes
    cdef real maximum[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BLOCK_BYTES//(TILE_COLUMNS*sizeof(real)))
        ahead = rows_ahead(block, state.away_ld, <real>0)*state.away_ld
        if ahead:
            ahead += state.away
        elif state.away == 0:           # rows below would evict each other, so the next lanes are prefetched (P22)
            ahead = lanes_of(x)
        for group in range((columns + width - 1)//width):
            first = group*width
            spread(<real>-INFINITY, maximum)
            lanes = x + first
            if state.adjustment == NULL:
                max_lanes(lanes, ld, block, width, maximum)
            else:
                of_group = adjustment_of_lanes(state.adjustment, first, done, <real>0)
                lanes, lanes_ld = <const real *>of_group.staged, width
                adjusted_max_lanes(x + first, ld, block, &of_group, NO_PREFETCH, maximum)
            for j in range(width):
                move_maximum(&state.sum.partial, first + j, maximum[j])
            for j in range(width):
                shifts_of(finite_reference(<real>state.sum.partial.maximum[first + j]), &shift[j], &round_bias[j],
                          &underflow_below[j])
                sums[j] = 0
                carries[j] = 0
            # If `lanes` lie in the scratch, the sum of `ahead` still leads from them to the rows below in the array.
            exp_sum_store_lanes(lanes, lanes_ld, block, width, shift, round_bias, underflow_below, DISCARD,
                                ahead + (x + first - lanes if ahead else 0), state.away_ld, maximum, width, sums,
                                carries)
            for j in range(width):
                sums[j] = two_sum(sums[j], carries[j], &error)
                join(&state.sum.partial, first + j, sums[j], error, 0)
        x += block*ld
        rows -= block
        done += block


cdef void finish_softmax(State *state, Py_ssize_t columns, real *_, real *__) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total, low
    cdef const PartialSum *sum = &state.sum.partial
    for j in range(columns):
        total = two_sum(sum.others[j], sum.others_low[j], &low)
        invert(total, low, &state.normalizer.inverse[j], &state.normalizer.inverse_low[j])
        state.normalizer.saturates_above[j] = saturates_above_of(<real>sum.maximum[j], SHIFTED, total, low)


# Rows -----------------------------------------------------------------------------------------------------------------

cdef void softmax_of_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                         real *out) noexcept nogil:
    cdef real maximum, shift, round_bias, underflow_below
    cdef double total, carry, inverse, inverse_low
    cdef real tail[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real saturates_above[LANES]
    x = read_row(x, n, adjustment, tail, &maximum, &away)
    shifts_of(maximum, &shift, &round_bias, &underflow_below)
    total = sum_row(x, n, tail, IN_TWO_PARTS, STORE, 2*scaled_one(<real>0), shift, round_bias, underflow_below,
                    n + away, out, &carry)
    invert(total, carry, &inverse, &inverse_low)
    split_inverse(inverse, inverse_low, scale, scale_low)
    spread(scale[0], scale)
    spread(scale_low[0], scale_low)
    spread(saturates_above_of(maximum, SHIFTED, total, carry), saturates_above)
    scale_contiguous(out, n, <real *>NULL, scale, scale_low, saturates_above)


cdef void softmax_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                      real *out) noexcept nogil:
    cdef real lanes[LANES]
    cdef real inverse[LANES]
    cdef real inverse_low[LANES]
    cdef real maximum
    cdef double total, carry, count, value, value_low
    if n > lanes_of(x):
        softmax_of_row(x, n, away, adjustment, out)
    else:
        x = read_lane_row(x, n, adjustment)
        total = sum_in_lanes(x, n, lanes_of(x), WITH_MAXIMUM, lanes, &maximum, &carry, &count)
        invert(total, carry, &value, &value_low)
        split_inverse(value, value_low, inverse, inverse_low)
        spread(inverse[0], inverse)
        spread(inverse_low[0], inverse_low)
        scale_lanes(lanes, 0, 1, lanes_of(x), <real *>NULL, inverse, inverse_low, <real *>NULL, lanes, 0)
        unpad(lanes, n, out)


cdef void write_softmax_row(const State *state, const real *x, const real *_, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width, j
    cdef real tail[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real saturates_above[LANES]
    spread_shifts(<real>state.sum.partial.maximum[0], shift, round_bias, underflow_below)
    split_inverse(state.normalizer.inverse[0], state.normalizer.inverse_low[0], scale, scale_low)
    spread(scale[0], scale)
    spread(scale_low[0], scale_low)
    spread(<real>state.normalizer.saturates_above[0], saturates_above)
    softmax_lanes(x, width, rows, shift, round_bias, underflow_below, scale, scale_low, saturates_above, out, width,
                  NO_PREFETCH)
    if remaining:
        pad(x + rows*width, remaining, tail)
        softmax_lanes(tail, width, 1, shift, round_bias, underflow_below, scale, scale_low, saturates_above, tail,
                      width, NO_PREFETCH)
        unpad(tail, remaining, out + rows*width)


# Tiles ----------------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t softmax_lanes_ahead(const real *x, Py_ssize_t ld, Py_ssize_t rows) noexcept nogil:
    """lanes_ahead; 0 for more rows than SOFTMAX_PREFETCH_MAX_ROWS, whose lanes and results fill L1 (P22)."""
    return lanes_ahead(x, ld, rows) if rows <= SOFTMAX_PREFETCH_MAX_ROWS else 0


cdef inline void softmax_differences_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                                           Py_ssize_t ahead, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t j
    cdef real error
    cdef real maximum[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef real inverse[LANES]
    cdef real inverse_low[LANES]
    spread(<real>-INFINITY, maximum)
    max_lanes(x, ld, rows, width, maximum)
    difference_sum_lanes(x, ld, rows, width, maximum, WITH_MAXIMUM, STORE, ahead, out, out_ld, totals, carries, counts)
    for j in range(width):
        totals[j] = sum_in_two(totals[j], carries[j], &error)
        invert(totals[j], error, &inverse[j], &inverse_low[j])
    scale_lanes(out, out_ld, rows, width, <real *>NULL, inverse, inverse_low, <real *>NULL, out, out_ld)


cdef void softmax_differences_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                   const Adjustment *_, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), ahead = softmax_lanes_ahead(x, ld, rows), group, first
    columns = columns_to_do_by_half(x, out, columns)
    for group in range((columns + width - 1)//width):
        if fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, width, columns)
            softmax_differences_lanes(x + first, ld, rows, width//2, ahead, out + first, out_ld)
        else:
            first = first_column(group, width, columns)
            softmax_differences_lanes(x + first, ld, rows, width, ahead, out + first, out_ld)


cdef inline void softmax_shifted_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                                       Py_ssize_t ahead, const Adjustment *adjustment, real *out,
                                       Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t j
    cdef double inverse, inverse_low, error
    cdef real maximum[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real saturates_above[LANES]
    spread(<real>-INFINITY, maximum)
    if adjustment == NULL:
        max_lanes(x, ld, rows, width, maximum)
    else:
        adjusted_max_lanes(x, ld, rows, adjustment, rows_ahead(COLUMN_PREFETCH_LANES*lanes_of(x), ld, <real>0),
                           maximum)
        x, ld, ahead = <const real *>adjustment.staged, lanes_of(x), NO_PREFETCH
    for j in range(width):
        shifts_of(maximum[j], &shift[j], &round_bias[j], &underflow_below[j])
        sums[j] = 0
        carries[j] = 0
    exp_sum_store_lanes(x, ld, rows, width, shift, round_bias, underflow_below, STORE, ahead, ld, out, out_ld, sums,
                        carries)
    for j in range(width):
        sums[j] = two_sum(sums[j], carries[j], &error)
        invert(sums[j], error, &inverse, &inverse_low)
        split_inverse(inverse, inverse_low, &scale[j], &scale_low[j])
        saturates_above[j] = saturates_above_of(maximum[j], SHIFTED, sums[j], error)
    scale_lanes(out, out_ld, rows, width, <real *>NULL, scale, scale_low, saturates_above, out, out_ld)


cdef void softmax_half_the_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t ahead, real *out,
                                 Py_ssize_t out_ld) noexcept nogil:
    """A function of its own, because GCC spills more registers of loops that share a function (P33)."""
    softmax_shifted_lanes(x, ld, rows, lanes_of(x)//2, ahead, NULL, out, out_ld)


cdef void softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                       const Adjustment *adjustment, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), ahead = softmax_lanes_ahead(x, ld, rows), group, first
    cdef Adjustment of_group
    columns = columns_to_do_by_half(x, out, columns)
    for group in range((columns + width - 1)//width):
        if adjustment != NULL:
            first = first_column(group, width, columns)
            of_group = adjustment_of_lanes(adjustment, first, 0, <real>0)
            softmax_shifted_lanes(x + first, ld, rows, width, ahead, &of_group, out + first, out_ld)
        elif fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, width, columns)
            softmax_half_the_lanes(x + first, ld, rows, ahead, out + first, out_ld)
        else:
            first = first_column(group, width, columns)
            softmax_shifted_lanes(x + first, ld, rows, width, ahead, NULL, out + first, out_ld)


cdef void softmax_of_adjusted(const real *x, Py_ssize_t ld, Py_ssize_t rows, const Adjustment *adjustment,
                              const real *shift, const real *round_bias, const real *underflow_below,
                              const real *inverse, const real *inverse_low, const real *saturates_above, real *out,
                              Py_ssize_t out_ld, Py_ssize_t prefetch_rows) noexcept nogil:
    """softmax_lanes of elements that are adjusted again, because the first pass did not store them."""
    cdef Py_ssize_t i
    cdef real lanes[LANES]
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        adjust_one_row(x + i*ld, adjustment, i, lanes_of(x), lanes)
        softmax_lanes(lanes, 0, 1, shift, round_bias, underflow_below, inverse, inverse_low, saturates_above,
                      out + i*out_ld, 0, NO_PREFETCH)


cdef void write_softmax_tile(const State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                             Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                             Py_ssize_t prefetch_rows, const Adjustment *adjustment) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef Adjustment of_group
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real saturates_above[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            shifts_of(<real>state.sum.partial.maximum[first + j], &shift[j], &round_bias[j], &underflow_below[j])
            split_inverse(state.normalizer.inverse[first + j], state.normalizer.inverse_low[first + j], &scale[j],
                          &scale_low[j])
            saturates_above[j] = <real>state.normalizer.saturates_above[first + j]
        if adjustment == NULL:
            softmax_lanes(x + first, ld, rows, shift, round_bias, underflow_below, scale, scale_low, saturates_above,
                          out + first, out_ld, prefetch_rows)
        else:
            of_group = adjustment_of_lanes(adjustment, first, 0, <real>0)
            softmax_of_adjusted(x + first, ld, rows, &of_group, shift, round_bias, underflow_below, scale, scale_low,
                                saturates_above, out + first, out_ld, prefetch_rows)


# Table ----------------------------------------------------------------------------------------------------------------

cdef void fill_softmax(Kernels *kernels, real _) noexcept:
    kernels.adjusts = True
    kernels.reduce_row = <ReduceRow>reduce_softmax_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_softmax_tile[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_softmax[real]
    kernels.write_row = <WriteRow>write_softmax_row[real]
    kernels.write_tile = <WriteTile>write_softmax_tile[real]
    kernels.draft_row = <DraftRow>draft_softmax_row[real]
    kernels.correct_row = <CorrectRow>correct_softmax_row[real]
    kernels.fused_row = <FusedRow>softmax_row[real]
    kernels.fused_differences_tile = <FusedTile>softmax_differences_tile[real]
    kernels.fused_tile = <FusedTile>softmax_tile[real]
    kernels.differences_max_rows = SOFTMAX_DIFFERENCES_MAX_ROWS
    kernels.fused_row_bytes = FUSED_SOFTMAX_ROW_BYTES
    kernels.fused_tile_bytes = FUSED_SOFTMAX_TILE_BYTES
    kernels.fused_aliased_tile_bytes = ALIASED_SOFTMAX_TILE_BYTES
