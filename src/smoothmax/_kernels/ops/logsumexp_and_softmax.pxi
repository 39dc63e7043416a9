# logsumexp and softmax of the same elements, in one call.
#
# Error: as logsumexp's and softmax's.
#
# 1. Find the maximum; exponentiate once, store the exponentials in the result, and sum EXACT terms as logsumexp does,
#    with the maximum counted so that log(1 + others) keeps its digits.
# 2. `finish` computes the value and the reciprocal of the sum.
# 3. Multiply the stored exponentials.
#
# The gradients of losses are computed in the same way with other factors, see ops/loss_gradients.pxi.

cdef inline double sum_of_stored(const real *e, Py_ssize_t n, real p, double *carry) noexcept nogil:
    """The sum of the stored exponentials other than p, the maximum's, for when all others are far below it."""
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


cdef void exp_sum_store_row(State *state, const real *x, Py_ssize_t n, real *out) noexcept nogil:
    """The exponentials may have replaced the elements, so lost digits are computed again from the exponentials."""
    cdef real maximum, shift, round_bias, underflow_below, bias, p, taken, lost
    cdef double total, carry, count
    cdef Py_ssize_t i
    cdef real tail[LANES]
    maximum = max_of_row(x, n, tail)
    if magnitude(maximum) == INFINITY:      # every probability is nan, but logsumexp is not
        total = exact_sum_of_block(x, n, maximum, &carry, &count)
        for i in range(n):
            out[i] = NAN
    else:
        shifts_of(maximum, &shift, &round_bias, &underflow_below)
        bias = bias_for(maximum - shift, round_bias, underflow_below)
        total = sum_row(x, n, tail, EXACT, STORE, bias, shift, round_bias, underflow_below,
                        n + state.away, out, &carry)
        count = 1
        total = take_out_maximum(total, carry, maximum - shift, round_bias, EXACT, &carry)
        if has_lost_digits(total, n, bias):
            take_term(maximum - shift, round_bias, EXACT, &p, &taken, &lost)
            total = sum_of_stored(out, n, p, &carry)
    state.sum.partial.maximum[0], state.sum.partial.count[0] = maximum, count
    state.sum.partial.others[0], state.sum.partial.others_low[0] = total, carry
    state.scaling = SHIFTED


cdef void exp_sum_store_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                             real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), ahead = lanes_ahead(x, ld, rows), group, first, j
    cdef double error
    cdef real maximum[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    columns = columns_to_do(x, out, columns)
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        spread(<real>-INFINITY, maximum)
        max_lanes(x + first, ld, rows, width, maximum)
        long_difference_sum_lanes(x + first, ld, rows, width, maximum, WITHOUT_MAXIMUM, STORE, ahead, out + first,
                                  out_ld, totals, carries, counts)
        for j in range(width):
            state.sum.partial.maximum[first + j] = maximum[j]
            state.sum.partial.others[first + j] = two_sum(totals[j], carries[j], &error)
            state.sum.partial.others_low[first + j] = error
            state.sum.partial.count[first + j] = counts[j]
    state.scaling = FROM_MAXIMUM


cdef void scale_row(const State *state, Py_ssize_t n, real *out) noexcept nogil:
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real saturates_above[LANES]
    split_inverse(state.normalizer.inverse[0], state.normalizer.inverse_low[0], factor, factor_low)
    spread(factor[0], factor)
    spread(factor_low[0], factor_low)
    spread(<real>state.normalizer.saturates_above[0], saturates_above)
    scale_contiguous(out, n, <real *>NULL, factor, factor_low, saturates_above)


cdef void scale_tile(const State *state, const real *e, Py_ssize_t rows, Py_ssize_t columns, real *out,
                     Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(e), group, first, j
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real saturates_above[LANES]
    columns = columns_to_do(e, out, columns)
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        for j in range(width):
            split_inverse(state.normalizer.inverse[first + j], state.normalizer.inverse_low[first + j], &factor[j],
                          &factor_low[j])
            saturates_above[j] = <real>state.normalizer.saturates_above[first + j]
        scale_lanes(e + first, TILE_COLUMNS, rows, width, <real *>NULL, factor, factor_low, saturates_above,
                    out + first, out_ld)


cdef void finish_logsumexp_and_softmax(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    finish_logsumexp(state, columns, out, sign)
    if state.scaling == FROM_MAXIMUM:
        probability_factors(state, columns, FROM_MAXIMUM, <real>0)
    else:
        probability_factors(state, columns, SHIFTED, <real>0)


# Table ----------------------------------------------------------------------------------------------------------------

cdef void fill_exp_sum_store(Kernels *kernels, real _) noexcept:
    """The part of the table that logsumexp_and_softmax shares with gradients."""
    kernels.fused_row_bytes = FUSED_STATE_ROW_BYTES
    kernels.fused_tile_bytes = FUSED_STATE_TILE_BYTES
    kernels.fused_state_row = <FusedStateRow>exp_sum_store_row[real]
    kernels.fused_state_tile = kernels.fused_state_differences_tile = <FusedStateTile>exp_sum_store_tile[real]
    kernels.differences_max_rows = PY_SSIZE_T_MAX
    kernels.scale_row = <ScaleRow>scale_row[real]
    kernels.scale_tile = <ScaleTile>scale_tile[real]
    kernels.write_row = <WriteRow>write_softmax_row[real]
    kernels.write_tile = <WriteTile>write_softmax_tile[real]


cdef void fill_logsumexp_and_softmax(Kernels *kernels, real type_) noexcept:
    fill_exp_sum_store(kernels, type_)
    kernels.reduce_row = <ReduceRow>reduce_row_exact[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_exact[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_logsumexp_and_softmax[real]
