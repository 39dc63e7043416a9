# Rows of softmax. Its sums have all exponentials in them, the top's too, since nothing far below 1 matters. A row in
# cache is exponentiated once, into the result, and scaled; a longer one leaves drafts there, and corrects them.

cdef inline void reduce_softmax_blocks(State *state, const real *x, Py_ssize_t n, bint drafts, real *out,
                                       double *tops) noexcept nogil:
    """The sum of all exponentials, the top's too, in rest + carry; if it `drafts`, see table.pxd."""
    cdef Py_ssize_t block
    cdef real top, shift, magic, floor
    cdef double total, carry
    cdef bint keeps
    cdef real tail[LANES]
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*lanes_of(x))
        move_maximum(&state.sum, 0, max_of_row(x, block, tail))
        top = finite_reference(<real>state.sum.maximum[0])
        shifts_of(top, &shift, &magic, &floor)
        keeps = drafts and magnitude(state.sum.maximum[0]) <= can_be_corrected(x[0])
        if keeps:
            total = sum_row(x, block, tail, IN_PARTS, True, 2*scaled_one(x[0]), shift, magic, floor, block, out,
                            &carry)
        else:
            total = sum_row(x, block, tail, IN_PARTS, False, 2*scaled_one(x[0]), shift, magic, floor, block, out,
                            &carry)
        join(&state.sum, 0, total, carry, 0)
        if drafts:
            tops[0] = state.sum.maximum[0] if keeps else <double>NAN
            tops += 1
            out += block
        x += block
        n -= block


cdef void reduce_softmax_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    reduce_softmax_blocks(state, x, n, False, <real *>NULL, NULL)


cdef void draft_softmax_row(State *state, const real *x, Py_ssize_t n, real *out, double *tops) noexcept nogil:
    reduce_softmax_blocks(state, x, n, True, out, tops)


cdef inline double can_be_corrected(real _) noexcept nogil:
    """How large the top of a draft may be in size: its shift is 0, and where the row's top has another, all of it is 0.

    That lies beyond NEAR (see "The shift"), where exp(can_be_corrected - NEAR) is 0.
    """
    return 100 if real is float else 700


cdef void correct_softmax_row(const State *state, const real *x, Py_ssize_t n, real *out,
                              const double *tops) noexcept nogil:
    """`x` may be `out`: a block that has no draft has its elements."""
    cdef Py_ssize_t width = lanes_of(x), block
    cdef real top = <real>state.sum.maximum[0], shift = shift_of(top)
    cdef double exponent = exponent_of(remainder_of(top, shift)), power, least
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real one_above[LANES]
    cdef real powers[LANES]
    if real is float:
        least = -149            # of the powers that there are
    else:
        least = -1074
    split_inverse(state.normalizer.inverse[0], state.normalizer.inverse_low[0], factor, factor_low)
    spread(factor[0], factor)
    spread(factor_low[0], factor_low)
    spread(<real>state.normalizer.saturates_above[0], one_above)
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*width)
        if tops[0] != tops[0]:
            write_softmax_row(state, x, <real *>NULL, block, out)
        else:
            power = exponent_of(<real>tops[0]) - exponent
            spread(<real>ldexp(1, <int>power), powers)
            if shift != 0:
                spread(<real>0, powers)
            elif power < least:         # in two steps
                spread(<real>ldexp(1, <int>(least/2)), powers)
                multiply_block(out, block, powers)
                spread(<real>ldexp(1, <int>(power - least/2)), powers)
            scale_run(out, block, powers, factor, factor_low, one_above)
        x += block
        out += block
        tops += 1
        n -= block


cdef void multiply_block(real *x, Py_ssize_t n, const real *powers) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] *= powers[0]


cdef inline void scale_run(real *e, Py_ssize_t n, const real *powers, const real *inverse, const real *inverse_low,
                           const real *one_above) noexcept nogil:
    """scale_lanes of part of a row, in its place."""
    cdef Py_ssize_t width = lanes_of(e), rows = n//width, rest = n - rows*width
    cdef real tail[LANES]
    scale_lanes(e, width, rows, powers, inverse, inverse_low, one_above, e, width)
    if rest:
        pad(e + rows*width, rest, tail)
        scale_lanes(tail, width, 1, powers, inverse, inverse_low, one_above, tail, width)
        unpad(tail, rest, e + rows*width)


cdef void softmax_of_some(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef real top, shift, magic, floor
    cdef double total, carry, inverse, inverse_low
    cdef real tail[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real one_above[LANES]
    top = max_of_row(x, n, tail)
    shifts_of(top, &shift, &magic, &floor)
    total = sum_row(x, n, tail, IN_PARTS, True, 2*scaled_one(x[0]), shift, magic, floor, n, out, &carry)
    invert(total, carry, &inverse, &inverse_low)
    split_inverse(inverse, inverse_low, scale, scale_low)
    spread(scale[0], scale)
    spread(scale_low[0], scale_low)
    spread(one_above_of(top, False, total, carry), one_above)
    scale_run(out, n, <real *>NULL, scale, scale_low, one_above)


cdef void softmax_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef real lanes[LANES]
    cdef real inverse[LANES]
    cdef real inverse_low[LANES]
    cdef double total, carry, count, value, value_low
    if n > lanes_of(x):
        softmax_of_some(x, n, out)
    else:
        total = sum_of_one(lanes, take_lanes(x, n, lanes), False, lanes, &carry, &count)
        invert(total, carry, &value, &value_low)
        split_inverse(value, value_low, inverse, inverse_low)
        spread(inverse[0], inverse)
        spread(inverse_low[0], inverse_low)
        scale_lanes(lanes, 0, 1, <real *>NULL, inverse, inverse_low, <real *>NULL, lanes, 0)
        unpad(lanes, n, out)


cdef void write_softmax_row(const State *state, const real *x, const real *_, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef real tail[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real one_above[LANES]
    spread_shifts(<real>state.sum.maximum[0], shift, magic, floor)
    split_inverse(state.normalizer.inverse[0], state.normalizer.inverse_low[0], scale, scale_low)
    spread(scale[0], scale)
    spread(scale_low[0], scale_low)
    spread(<real>state.normalizer.saturates_above[0], one_above)
    softmax_lanes(x, width, rows, shift, magic, floor, scale, scale_low, one_above, out, width, 0)
    if rest:
        pad(x + rows*width, rest, tail)
        softmax_lanes(tail, width, 1, shift, magic, floor, scale, scale_low, one_above, tail, width, 0)
        unpad(tail, rest, out + rows*width)
