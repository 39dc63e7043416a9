# Exponentials kept while they are summed: for results that are multiples of them, and need the state besides.
#
# What fits in cache is read for its largest element, then exponentiated once, into the result, and summed as in
# logsumexp: without the top, so that log(1 + rest) keeps its digits. `finish` makes factors of the state, and the
# result is multiplied in place. A loss alone has room for rough sums of its rows (2 ULP; 1.7 have been found), and may
# differ in the last bit from the loss that comes with its gradient.

cdef inline void keep_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *top, const real *second,
                            const real *shift, const real *magic, const real *floor, bint keep, Py_ssize_t ahead,
                            real *out, Py_ssize_t out_ld, double *sums, real *carries, real *counts) noexcept nogil:
    """sum_others_lanes, added to what the sums and counts were; if `keep`, exponentials to `out`, the top's too.

    2026-11: without an eye on the top in the parts of a row that do not hold it, as in reduce_row, rows of 50257 take
    4 % less time, of 1000 float32 7 %, but of 1000 float64 15 % more.
    """
    cdef Py_ssize_t i, j, block
    cdef real total[LANES]
    cdef real bias[LANES]
    cdef real carry[LANES]
    cdef real count[LANES]
    cdef real at_top[LANES]
    cdef real e[LANES]
    cdef double carry_sum[LANES]
    cdef double carry_low[LANES]
    cdef double error, sum_
    cdef real v, head, tail, scale, high, result
    for j in range(lanes_of(x)):
        bias[j] = bias_for(remainder_of(second[j], shift[j]), magic[j], floor[j])
        at_top[j] = scaled_exp(at_least(top[j] - shift[j], floor[j]), magic[j])
        total[j] = bias[j]
        carry_sum[j] = 0
        carry_low[j] = 0
        count[j] = 0
    while rows > 0:
        block = rows if rows < CARRY_ROWS else CARRY_ROWS
        for j in range(lanes_of(x)):
            carry[j] = 0
        for i in range(block):
            if ahead:
                fetch(x + ahead + i*ld, lanes_of(x))
            for j in range(lanes_of(x)):
                v = x[i*ld + j]
                split_exp(drop(v, top[j], shift[j], floor[j]), magic[j], &head, &tail, &scale)
                high = head*scale
                result = total[j] + high
                carry[j] += (high - (result - total[j])) + tail*scale
                total[j] = result
                count[j] += one_if(v == top[j], v)
                e[j] = at_top[j] if v == top[j] else (head + tail)*scale
            if keep:
                for j in range(lanes_of(x)):
                    out[i*out_ld + j] = e[j]
        for j in range(lanes_of(x)):
            add_low(&carry_sum[j], &carry_low[j], carry[j])
        x += block*ld
        out += block*out_ld
        rows -= block
    for j in range(lanes_of(x)):
        sum_ = two_sum(total[j] - bias[j], carry_sum[j], &error)
        carry_low[j] += error
        sums[j] = two_sum(sums[j], sum_, &error)
        carries[j] += <real>(error + carry_low[j])
        counts[j] += count[j]


cdef inline void keep_row_as(State *state, const real *x, Py_ssize_t n, bint keep, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef real largest, less
    cdef double total, carry
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real tops[LANES]
    cdef real second[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    two_max_lanes(x, width, rows, top, second)
    if rest:
        pad(x + rows*width, rest, tail)
        for j in range(width):
            less = tail[j] if tail[j] < top[j] else top[j]
            second[j] = less if less > second[j] else second[j]
            top[j] = tail[j] if tail[j] > top[j] else top[j]
    for j in range(width):
        tops[j] = top[j]
        sums[j] = 0
        carries[j] = 0
        counts[j] = 0
    largest = max_of_lanes(tops)
    for j in range(width):
        second[j] = second[j] if top[j] == largest else top[j]
    spread(largest, top)
    spread_shifts(largest, shift, magic, floor)
    keep_lanes(x, width, rows, top, second, shift, magic, floor, keep, n, out, width, sums, carries, counts)
    if rest:
        keep_lanes(tail, width, 1, top, second, shift, magic, floor, keep, 0, tail, width, sums, carries, counts)
        if keep:
            unpad(tail, rest, out + rows*width)
    total = sum_of_lanes(sums, carries, &carry)
    state.top[0], state.rest[0], state.carry[0] = largest, total, carry
    state.count[0] = count_of_lanes(counts)


cdef inline void keep_tile_as(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                              bint keep, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef double error
    cdef real top[LANES]
    cdef real second[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        two_max_lanes(x + first, ld, rows, top, second)
        for j in range(width):
            shifts_of(top[j], &shift[j], &magic[j], &floor[j])
            sums[j] = 0
            carries[j] = 0
            counts[j] = 0
        keep_lanes(x + first, ld, rows, top, second, shift, magic, floor, keep, 0, out + first, out_ld, sums, carries,
                   counts)
        for j in range(width):
            state.top[first + j] = top[j]
            state.rest[first + j] = two_sum(sums[j], carries[j], &error)
            state.carry[first + j] = error
            state.count[first + j] = counts[j]


cdef void keep_row(State *state, const real *x, Py_ssize_t n, real *out) noexcept nogil:
    keep_row_as(state, x, n, True, out)


cdef void keep_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                    Py_ssize_t out_ld) noexcept nogil:
    keep_tile_as(state, x, ld, rows, columns, True, out, out_ld)


cdef void keep_state_of_row(State *state, const real *x, Py_ssize_t n, real *out) noexcept nogil:
    if is_many(x, n):
        reduce_blocks(state, x, n, True)
    else:
        keep_row_as(state, x, n, False, out)


cdef void keep_state_of_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                             real *out, Py_ssize_t out_ld) noexcept nogil:
    keep_tile_as(state, x, ld, rows, columns, False, out, out_ld)


cdef void scale_row(const State *state, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(out), rows = n//width, rest = n - rows*width
    cdef real tail[LANES]
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real one_above[LANES]
    split_inverse(state.inverse[0], state.inverse_low[0], factor, factor_low)
    spread(factor[0], factor)
    spread(factor_low[0], factor_low)
    spread(<real>state.one_above[0], one_above)
    scale_lanes(out, width, rows, factor, factor_low, one_above)
    if rest:
        pad(out + rows*width, rest, tail)
        scale_lanes(tail, width, 1, factor, factor_low, one_above)
        unpad(tail, rest, out + rows*width)


cdef inline void scale_lanes_to(const real *e, Py_ssize_t rows, const real *factor, const real *factor_low,
                                const real *one_above, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    for i in range(rows):
        for j in range(lanes_of(e)):
            y[j] = saturated(multiplied(e[i*COLUMNS + j], factor[j], factor_low[j]), one_above[j])
        for j in range(lanes_of(e)):
            out[i*out_ld + j] = y[j]


cdef void scale_tile(const State *state, const real *e, Py_ssize_t rows, Py_ssize_t columns, real *out,
                     Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(e), group, first, j
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real one_above[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            split_inverse(state.inverse[first + j], state.inverse_low[first + j], &factor[j], &factor_low[j])
            one_above[j] = <real>state.one_above[first + j]
        scale_lanes_to(e + first, rows, factor, factor_low, one_above, out + first, out_ld)
