# softmax of a row that is too long for the cache, with a draft in the result.
#
# 1. The first pass sums block by block, and stores each block's exponentials, scaled by the maximum so far, in the
#    result.
# 2. The second pass corrects a block by the power of two between that maximum and the row's, and multiplies by the
#    reciprocal of the sum. It reads the result instead of the elements, and computes no exponentials.
#
# A draft is possible where the block's shift is 0. The second pass exponentiates the other blocks, with the same bits.

cdef inline void reduce_softmax_blocks(State *state, const real *x, Py_ssize_t n, Store store, real *out,
                                       double *maxima) noexcept nogil:
    """Sum all exponentials, including the maximum's, into others + others_low. STORE leaves drafts."""
    cdef Py_ssize_t block, away, i, done = 0
    cdef real maximum, shift, round_bias, underflow_below
    cdef double total, carry
    cdef bint stores
    cdef real tail[LANES]
    cdef const real *elements
    cdef real *staged = <real *>NULL if state.adjustment == NULL else <real *>state.adjustment.staged
    while done < n:
        block = min_of(n - done, ROW_BLOCK_LANES*lanes_of(x))
        away = state.away
        elements = read_block(x + done, block, state.adjustment, done, staged, tail, &maximum, &away)
        move_maximum(&state.sum.partial, 0, maximum)
        maximum = finite_reference(<real>state.sum.partial.maximum[0])
        shifts_of(maximum, &shift, &round_bias, &underflow_below)
        stores = store == STORE and magnitude(state.sum.partial.maximum[0]) <= can_be_corrected(<real>0)
        if stores:
            total = sum_row(elements, block, tail, IN_TWO_PARTS, STORE, 2*scaled_one(<real>0), shift, round_bias,
                            underflow_below, block + away, out, &carry)
        else:
            total = sum_row(elements, block, tail, IN_TWO_PARTS, DISCARD, 2*scaled_one(<real>0), shift, round_bias,
                            underflow_below, block + away, out, &carry)
        join(&state.sum.partial, 0, total, carry, 0)
        if store == STORE:
            maxima[0] = state.sum.partial.maximum[0] if stores else <double>NAN
            maxima += 1
            if not stores and elements != x + done:         # the second pass finds them there
                for i in range(block):
                    out[i] = elements[i]
            out += block
        done += block


cdef void draft_softmax_row(State *state, const real *x, Py_ssize_t n, real *out, double *maxima) noexcept nogil:
    reduce_softmax_blocks(state, x, n, STORE, out, maxima)


cdef inline double can_be_corrected(real _) noexcept nogil:
    """How large abs(maximum) of a block may be for a draft: its shift is 0 up to there.

    If the row's maximum has another shift, every exponential of the block is 0, because exp(can_be_corrected - NEAR)
    is 0.
    """
    return 100 if real is float else 700


cdef void correct_softmax_row(const State *state, const real *x, Py_ssize_t n, real *out,
                              const double *maxima) noexcept nogil:
    """`x` may be `out`: then a block without a draft has its elements there."""
    cdef Py_ssize_t width = lanes_of(x), block
    cdef real maximum = <real>state.sum.partial.maximum[0], shift = shift_of(maximum)
    cdef double exponent = exponent_of(remainder_of(maximum, shift)), power, least
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real saturates_above[LANES]
    cdef real powers[LANES]
    if real is float:
        least = -149            # the least power of two
    else:
        least = -1074
    split_inverse(state.normalizer.inverse[0], state.normalizer.inverse_low[0], factor, factor_low)
    spread(factor[0], factor)
    spread(factor_low[0], factor_low)
    spread(<real>state.normalizer.saturates_above[0], saturates_above)
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*width)
        if maxima[0] != maxima[0]:
            write_softmax_row(state, x, <real *>NULL, block, out)
        else:
            power = exponent_of(<real>maxima[0]) - exponent
            spread(<real>ldexp(1, <int>power), powers)
            if shift != 0:
                spread(<real>0, powers)
            elif power < least:         # no number is that small: multiply twice
                spread(<real>ldexp(1, <int>(least/2)), powers)
                multiply(out, block, powers)
                spread(<real>ldexp(1, <int>(power - least/2)), powers)
            scale_contiguous(out, block, powers, factor, factor_low, saturates_above)
        x += block
        out += block
        maxima += 1
        n -= block
