# Rows: n contiguous elements reduced together. A row is a tile as wide as there are lanes, all with one shift.

cdef inline void spread(real value, real *lanes) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(lanes_of(lanes)):
        lanes[j] = value


cdef inline void pad(const real *x, Py_ssize_t n, real *lanes) noexcept nogil:
    """The last n elements of a row, with -inf to fill the lanes."""
    cdef int j, left = <int>n       # of the lanes' width, for a masked load
    for j in range(<int>lanes_of(x)):
        lanes[j] = x[j] if j < left else <real>-INFINITY


cdef inline void unpad(const real *lanes, Py_ssize_t n, real *out) noexcept nogil:
    """The first n lanes, to the end of a row."""
    cdef int j, left = <int>n
    for j in range(<int>lanes_of(out)):
        if j < left:
            out[j] = lanes[j]


cdef inline void spread_shifts(real top, real *shift, real *magic, real *floor) noexcept nogil:
    shifts_of(top, shift, magic, floor)
    spread(shift[0], shift)
    spread(magic[0], magic)
    spread(floor[0], floor)


cdef void reduce_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, rows, rest, first, part, parts, k, j
    cdef double total, carry
    cdef real bias
    cdef real tail[LANES]
    cdef real part_top[PARTS][LANES]
    cdef bint plain[PARTS]
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef real plain_totals[LANES]
    cdef real plain_carries[LANES]
    while n > 0:
        block = min_of(n, BLOCK_ROWS*width)
        rows = block//width
        rest = block - rows*width
        parts = (rows + PART_ROWS - 1)//PART_ROWS
        spread(<real>-INFINITY, top)
        for k in range(parts):
            first = k*PART_ROWS
            spread(<real>-INFINITY, part_top[k])
            max_lanes(x + first*width, width, min_of(rows - first, PART_ROWS), part_top[k])
            for j in range(width):
                top[j] = part_top[k][j] if part_top[k][j] > top[j] else top[j]
        if rest:
            pad(x + rows*width, rest, tail)
            max_lanes(tail, width, 1, top)
        if max_of_lanes(top) > state.top[0]:
            raise_top(state, 0, top[0])
        spread(<real>state.top[0], top)
        spread_shifts(top[0], shift, magic, floor)
        for j in range(width):
            sums[j] = 0
            carries[j] = 0
            counts[j] = 0

        # Whole parts without a top go the short way, and first it must be known how large their terms are.
        bias = -INFINITY
        for k in range(parts):
            plain[k] = (k + 1)*PART_ROWS <= rows and shift[0] == 0 and not has(part_top[k], top[0])
            if plain[k]:
                part_top[k][0] = max_of_lanes(part_top[k])
                bias = part_top[k][0] if part_top[k][0] > bias else bias
        bias = bias_for(bias, magic[0], floor[0]) if parts else 0
        spread(bias, plain_totals)
        spread(<real>0, plain_carries)
        for k in range(parts):
            first = k*PART_ROWS
            part = min_of(rows - first, PART_ROWS)
            if plain[k]:
                sum_plain_lanes(x + first*width, part, magic[0], floor[0], plain_totals, plain_carries)
            else:
                sum_lanes(x + first*width, width, part, top, shift, magic, floor, sums, carries, counts)
        if rest:
            sum_lanes(tail, width, 1, top, shift, magic, floor, sums, carries, counts)
        if parts:
            for j in range(width):
                sums[j] = two_sum(sums[j], plain_totals[j] - bias, &total)
                carries[j] += plain_carries[j] + <real>total
        total = sum_of_lanes(sums, carries, &carry)
        join(state, 0, total, carry, count_of_lanes(counts))
        x += block
        n -= block


cdef inline Py_ssize_t min_of(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline bint has(const real *lanes, real value) noexcept nogil:
    cdef Py_ssize_t j
    cdef int found = 0
    for j in range(lanes_of(lanes)):
        found |= lanes[j] == value
    return found


cdef void reduce_softmax_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    """The sum of all exponentials, the top's too, in rest + carry."""
    cdef Py_ssize_t width = lanes_of(x), block, rows, rest, j
    cdef double total, carry
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    while n > 0:
        block = min_of(n, BLOCK_ROWS*width)
        rows = block//width
        rest = block - rows*width
        spread(<real>-INFINITY, top)
        max_lanes(x, width, rows, top)
        if rest:
            pad(x + rows*width, rest, tail)
            max_lanes(tail, width, 1, top)
        move_top(state, 0, max_of_lanes(top))
        spread_shifts(finite_reference(<real>state.top[0]), shift, magic, floor)
        for j in range(width):
            sums[j] = 0
            carries[j] = 0
        exp_lanes(x, width, rows, shift, magic, floor, False, tail, width, sums, carries)
        if rest:
            exp_lanes(tail, width, 1, shift, magic, floor, False, tail, width, sums, carries)
        total = sum_of_lanes(sums, carries, &carry)
        join(state, 0, total, carry, 0)
        x += block
        n -= block


cdef void softmax_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef real largest
    cdef double total, carry, inverse, inverse_low
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real one_above[LANES]
    spread(<real>-INFINITY, top)
    max_lanes(x, width, rows, top)
    if rest:
        pad(x + rows*width, rest, tail)
        max_lanes(tail, width, 1, top)
    largest = max_of_lanes(top)
    spread_shifts(largest, shift, magic, floor)
    for j in range(width):
        sums[j] = 0
        carries[j] = 0
    if rows:
        exp_lanes(x, width, rows, shift, magic, floor, True, out, width, sums, carries)
    if rest:
        exp_lanes(tail, width, 1, shift, magic, floor, True, tail, width, sums, carries)
    total = sum_of_lanes(sums, carries, &carry)
    invert(total, carry, &inverse, &inverse_low)
    split_inverse(inverse, inverse_low, scale, scale_low)
    spread(scale[0], scale)
    spread(scale_low[0], scale_low)
    spread(one_above_of(largest, total, carry), one_above)
    scale_lanes(out, width, rows, scale, scale_low, one_above)
    if rest:
        scale_lanes(tail, width, 1, scale, scale_low, one_above)
        unpad(tail, rest, out + rows*width)


cdef void write_softmax_row(const State *state, const real *x, const real *_, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef real tail[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real one_above[LANES]
    spread_shifts(<real>state.top[0], shift, magic, floor)
    split_inverse(state.inverse[0], state.inverse_low[0], scale, scale_low)
    spread(scale[0], scale)
    spread(scale_low[0], scale_low)
    spread(<real>state.one_above[0], one_above)
    softmax_lanes(x, width, rows, shift, magic, floor, scale, scale_low, one_above, out, width)
    if rest:
        pad(x + rows*width, rest, tail)
        softmax_lanes(tail, width, 1, shift, magic, floor, scale, scale_low, one_above, tail, width)
        unpad(tail, rest, out + rows*width)


cdef void write_log_softmax_row(const State *state, const real *x, const real *_, Py_ssize_t n,
                                real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real log_sum[LANES]
    spread(<real>state.top[0], top)
    spread(<real>state.log_sum[0], log_sum)
    log_softmax_lanes(x, width, rows, top, log_sum, out, width)
    if rest:
        pad(x + rows*width, rest, tail)
        log_softmax_lanes(tail, width, 1, top, log_sum, tail, width)
        unpad(tail, rest, out + rows*width)


# At once: rows that are too short for parts without a top, from elements to results without a state.

cdef inline double log_sum_at_once(const real *x, Py_ssize_t rows, real *tail, Py_ssize_t rest, real *top,
                                   double *low) noexcept nogil:
    """log_sum_of `rows` rows of lanes and `rest` elements more, which are left in `tail`; all tops are the row's."""
    cdef Py_ssize_t width = lanes_of(x), j
    cdef double total, carry
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    spread(<real>-INFINITY, top)
    max_lanes(x, width, rows, top)
    if rest:
        pad(x + rows*width, rest, tail)
        max_lanes(tail, width, 1, top)
    spread(max_of_lanes(top), top)
    spread_shifts(top[0], shift, magic, floor)
    for j in range(width):
        sums[j] = 0
        carries[j] = 0
        counts[j] = 0
    sum_lanes(x, width, rows, top, shift, magic, floor, sums, carries, counts)
    if rest:
        sum_lanes(tail, width, 1, top, shift, magic, floor, sums, carries, counts)
    total = sum_of_lanes(sums, carries, &carry)
    return log_sum_of(top[0], count_of_lanes(counts), total, carry, low)


cdef void logsumexp_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef double low, log_sum = log_sum_at_once(x, rows, tail, n - rows*width, top, &low)
    out[0] = <real>shifted(top[0], log_sum, low)


cdef void log_softmax_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real log_sum[LANES]
    cdef double low
    spread(<real>log_sum_at_once(x, rows, tail, rest, top, &low), log_sum)
    log_softmax_lanes(x, width, rows, top, log_sum, out, width)
    if rest:
        log_softmax_lanes(tail, width, 1, top, log_sum, tail, width)
        unpad(tail, rest, out + rows*width)
