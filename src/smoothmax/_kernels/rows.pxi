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


cdef inline real max_of_row(const real *x, Py_ssize_t n, real *tail) noexcept nogil:
    """The largest element; what does not fill the lanes is left in `tail`."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width
    cdef real top[LANES]
    spread(<real>-INFINITY, top)
    max_lanes(x, width, rows, top)
    if rest:
        pad(x + rows*width, rest, tail)
        max_lanes(tail, width, 1, top)
    return max_of_lanes(top)


cdef inline double sum_row(const real *x, Py_ssize_t n, real *tail, Terms terms, bint keep, real bias, real shift,
                           real magic, real floor, Py_ssize_t ahead, real *out, double *carry) noexcept nogil:
    """All exponentials; if `keep`, they go to `out`, those of the tail too, which else is fetched or NULL."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef double error
    cdef real totals[LANES]
    cdef double sums[LANES]
    cdef double carries[LANES]
    cdef double carries_low[LANES]
    cdef real lows[LANES]
    for j in range(width):
        totals[j] = bias
        carries[j] = 0
        carries_low[j] = 0
    if rows and shift == 0:
        sum_row_lanes(x, rows, True, terms, keep, shift, magic, floor, ahead, out, totals, carries, carries_low)
    elif rows:
        sum_row_lanes(x, rows, False, terms, keep, shift, magic, floor, ahead, out, totals, carries, carries_low)
    if rest:
        sum_row_lanes(tail, 1, False, terms, keep, shift, magic, floor, 0, tail if keep else <real *>NULL, totals,
                      carries, carries_low)
        if keep:
            unpad(tail, rest, out + rows*width)
    for j in range(width):
        if real is float:
            sums[j] = (totals[j] - bias) + carries[j]
            lows[j] = 0
        else:
            sums[j] = two_sum(totals[j] - bias, carries[j], &error)
            lows[j] = error + carries_low[j]
    return sum_of_lanes(sums, lows, carry)


cdef inline double take_out_top(double total, double carry, real d, real magic, Terms terms,
                                double *low) noexcept nogil:
    """total + carry less the term of the top, whose argument d is: exactly what went into the sum."""
    cdef real e, taken, lost
    cdef double error, others
    take_term(d, magic, terms, &e, &taken, &lost)
    others = two_sum(total, -<double>taken, &error)
    return two_sum(others, error + (carry - lost), low)


cdef inline double sum_of_block(const real *x, Py_ssize_t n, real *tail, real largest, real top, Terms terms,
                                Py_ssize_t ahead, real *room, double *carry, double *count) noexcept nogil:
    """The exponentials of a block, and how often `top` is counted besides; it is no less than the `largest` element.

    The top goes into a sum of rounded terms with the others, and is taken out again: no element has to be looked at.
    That leaves digits enough unless it is far above all others. A sum of exact ones never has it.
    """
    cdef double total
    cdef real shift, magic, floor, bias
    if terms == EXACT and largest == top:
        return careful_sum_of_block(x, n, top, carry, count)
    shifts_of(top, &shift, &magic, &floor)
    bias = bias_for(remainder_of(largest, shift), magic, floor)
    total = sum_row(x, n, tail, terms, False, bias, shift, magic, floor, ahead, room, carry)
    count[0] = 0
    if largest == top:
        count[0] = 1
        total = take_out_top(total, carry[0], remainder_of(top, shift), magic, terms, carry)
        if is_too_little(total, n, bias):
            return careful_sum_of_block(x, n, top, carry, count)
    return total


cdef inline bint is_too_little(double others, Py_ssize_t n, real bias) noexcept nogil:
    """Whether a sum that was begun from a bias has lost digits: the top is far above all others. A nan is too little.

    What an addition leaves to the carry is less than 2**-22 (2**-51) of the bias, and is rounded to 24 (53) bits; and n
    equal elements are all rounded the same way. 2026-11, with 2**-14 (2**-40) of the bias as the limit, whatever n:
    4000 elements at -16 beside one at 0 were 4.6 ULP off.
    """
    cdef double share
    if real is float:
        share = 4.76837158203125e-07        # 2**-21
    else:
        share = 3.552713678800501e-15       # 2**-48
    return not others >= bias*(n*share)


cdef double careful_sum_of_block(const real *x, Py_ssize_t n, real top, double *carry, double *count) noexcept nogil:
    """sum_of_block where the others may be as small as they like."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, j
    cdef real tail[LANES]
    cdef real tops[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef double total
    spread(top, tops)
    spread_shifts(top, shift, magic, floor)
    for j in range(width):
        sums[j] = 0
        carries[j] = 0
        counts[j] = 0
    sum_lanes(x, width, rows, tops, shift, magic, floor, sums, carries, counts)
    if n - rows*width:
        pad(x + rows*width, n - rows*width, tail)
        sum_lanes(tail, width, 1, tops, shift, magic, floor, sums, carries, counts)
    total = sum_of_lanes(sums, carries, carry)
    count[0] = count_of_lanes(counts)
    return total


cdef inline void reduce_blocks(State *state, const real *x, Py_ssize_t n, Terms terms, real *copy) noexcept nogil:
    """The elements go to `copy`, too, unless that is NULL, or where they are."""
    cdef Py_ssize_t block, i
    cdef real largest
    cdef double total, carry, count
    cdef real tail[LANES]
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*lanes_of(x))
        largest = max_of_row(x, block, tail)
        if largest > state.sum.maximum[0]:
            raise_maximum(&state.sum, 0, largest)
        if copy != NULL:
            if copy != x:
                for i in range(block):
                    copy[i] = x[i]
            copy += block
        total = sum_of_block(x, block, tail, largest, <real>state.sum.maximum[0], terms, block, copy, &carry, &count)
        join(&state.sum, 0, total, carry, count)
        x += block
        n -= block


cdef void reduce_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    reduce_blocks(state, x, n, EXACT, <real *>NULL)


cdef void reduce_row_roughly(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    reduce_blocks(state, x, n, ROUNDED, <real *>NULL)


cdef void reduce_growing_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    """Roughly once the sum can only grow to one whose logarithm is not in doubt, until then carefully.

    An error of 1.1 ULP in what is added is less than a third of one in a logarithm of 2 or more. Negative weights that
    come later may take most of the sum away; they divide its error by what is left, as they do that of their own terms.
    """
    cdef Py_ssize_t block
    while n > 0 and (state.sum.maximum[0] < 0
                     or is_in_doubt(<real>state.sum.maximum[0], state.sum.count[0], state.sum.others[0])):
        block = min_of(n, ROW_BLOCK_LANES*lanes_of(x))
        reduce_row(state, x, _, block)
        x += block
        n -= block
    reduce_row_roughly(state, x, _, n)


cdef void write_log_softmax_row(const State *state, const real *x, const real *_, Py_ssize_t n,
                                real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real log_sum[LANES]
    spread(<real>state.sum.maximum[0], top)
    spread(<real>state.normalizer.log_sum[0], log_sum)
    log_softmax_lanes(x, width, rows, top, log_sum, out, width, 0)
    if rest:
        pad(x + rows*width, rest, tail)
        log_softmax_lanes(tail, width, 1, top, log_sum, tail, width, 0)
        unpad(tail, rest, out + rows*width)


cdef void draft_log_softmax_row(State *state, const real *x, Py_ssize_t n, real *out, double *_) noexcept nogil:
    """The draft is the elements themselves: their places are fetched while a block is summed, and read again later.

    2026-11, on one thread: 0.6 to 1.0 of the time, of 10^6 elements 0.95 (float32 1.04).
    """
    reduce_blocks(state, x, n, ROUNDED, out)


cdef void correct_log_softmax_row(const State *state, const real *_, Py_ssize_t n, real *out,
                                  const double *__) noexcept nogil:
    write_log_softmax_row(state, out, out, n, out)


# At once: rows of one block, from elements to results without a state.

cdef inline double sum_at_once(const real *x, Py_ssize_t n, bint many, bint doubts, real *room, real *tail, real *top,
                               double *carry, double *count) noexcept nogil:
    """sum_of_block of the whole row, `top` its largest element; good enough for logsumexp too if it `doubts`.

    `room` is where results will be written, or NULL: fetched meanwhile, as is the row that probably comes next.
    2026-11, log_softmax of (1000, 1000): 0.61 of the time (float32 0.73).
    """
    cdef double total
    top[0] = max_of_row(x, n, tail)
    if many:
        total = sum_of_block(x, n, tail, top[0], top[0], ROUNDED, n, room, carry, count)
        if not (doubts and is_in_doubt(top[0], count[0], total)):
            return total
    return careful_sum_of_block(x, n, top[0], carry, count)


cdef inline bint is_many(const real *x, Py_ssize_t n) noexcept nogil:
    """Whether a row is long enough for rounded exponentials to be faster than exact ones and a doubt."""
    return n >= ROUNDED_MIN_LANE_ROWS*lanes_of(x)


cdef inline void sum_into(State *state, Py_ssize_t column, const real *x, Py_ssize_t n, bint doubts) noexcept nogil:
    cdef real tail[LANES]
    cdef real top
    cdef double total, carry, count
    total = sum_at_once(x, n, True, doubts, <real *>NULL, tail, &top, &carry, &count)
    state.sum.maximum[column], state.sum.count[column] = top, count
    state.sum.others[column], state.sum.others_low[column] = total, carry


cdef void sum_row_of_logsumexp(State *state, Py_ssize_t column, const real *x, Py_ssize_t n) noexcept nogil:
    sum_into(state, column, x, n, True)


cdef void sum_row_of_loss(State *state, Py_ssize_t column, const real *x, Py_ssize_t n) noexcept nogil:
    sum_into(state, column, x, n, False)


cdef inline void logsumexp_at_once(const real *x, Py_ssize_t n, bint many, real *out) noexcept nogil:
    cdef real tail[LANES]
    cdef real top
    cdef double total, carry, count, log_sum, low
    total = sum_at_once(x, n, many, True, <real *>NULL, tail, &top, &carry, &count)
    log_sum = log_sum_of(top, False, count, total, carry, &low)
    out[0] = <real>shifted(<double>top, log_sum, low)


cdef inline void log_softmax_at_once(const real *x, Py_ssize_t n, bint many, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width
    cdef double total, carry, count, low
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real log_sum[LANES]
    total = sum_at_once(x, n, many, False, out, tail, top, &carry, &count)
    spread(<real>log_sum_of(top[0], False, count, total, carry, &low), log_sum)
    spread(top[0], top)
    log_softmax_lanes(x, width, rows, top, log_sum, out, width, 0)
    if rest:
        log_softmax_lanes(tail, width, 1, top, log_sum, tail, width, 0)
        unpad(tail, rest, out + rows*width)


# A row that does not fill the lanes is summed as a short column is, from its top in two parts: the fewest steps that
# wait for each other. Rows of more elements have functions of their own, whose room on the stack these do not pay for.

cdef inline real take_lanes(const real *x, Py_ssize_t n, real *lanes) noexcept nogil:
    """Up to as many elements as there are lanes, and the largest."""
    cdef Py_ssize_t j
    cdef real top[LANES]
    pad(x, n, lanes)
    for j in range(lanes_of(x)):
        top[j] = lanes[j]
    return max_of_lanes(top)


cdef inline double sum_of_one(const real *lanes, real top, bint without_top, real *e, double *carry,
                              double *count) noexcept nogil:
    """sum_drops_lanes of one row, folded."""
    cdef Py_ssize_t j
    cdef real tops[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef double sums[LANES]
    spread(top, tops)
    sum_drops_lanes(lanes, 0, 1, tops, without_top, not without_top, 0, e, 0, totals, carries, counts)
    for j in range(lanes_of(lanes)):
        sums[j] = totals[j]
    count[0] = count_of_lanes(counts) if without_top else 0
    return sum_of_lanes(sums, carries, carry)


cdef inline double log_sum_of_one(const real *x, Py_ssize_t n, real *lanes, real *top, double *low) noexcept nogil:
    cdef double rest, carry, count
    top[0] = take_lanes(x, n, lanes)
    rest = sum_of_one(lanes, top[0], True, <real *>NULL, &carry, &count)
    return log_sum_of(top[0], True, count, rest, carry, low)


cdef void logsumexp_of_many(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    logsumexp_at_once(x, n, True, out)


cdef void log_softmax_of_many(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    log_softmax_at_once(x, n, True, out)


cdef void logsumexp_of_some(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    logsumexp_at_once(x, n, False, out)


cdef void log_softmax_of_some(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    log_softmax_at_once(x, n, False, out)


cdef void logsumexp_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef real lanes[LANES]
    cdef real top
    cdef double log_sum, low
    if is_many(x, n):
        logsumexp_of_many(x, n, out)
    elif n > lanes_of(x):
        logsumexp_of_some(x, n, out)
    else:
        log_sum = log_sum_of_one(x, n, lanes, &top, &low)
        out[0] = <real>shifted(<double>top, log_sum, low)


cdef void log_softmax_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef real lanes[LANES]
    cdef real top[LANES]
    cdef real log_sum[LANES]
    cdef double low
    if is_many(x, n):
        log_softmax_of_many(x, n, out)
    elif n > lanes_of(x):
        log_softmax_of_some(x, n, out)
    else:
        spread(<real>log_sum_of_one(x, n, lanes, top, &low), log_sum)
        spread(top[0], top)
        log_softmax_lanes(lanes, 0, 1, top, log_sum, lanes, 0, 0)
        unpad(lanes, n, out)
