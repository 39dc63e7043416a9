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


cdef inline Py_ssize_t min_of(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline real max_of_block(const real *x, Py_ssize_t n, real *tail, real (*tops)[LANES]) noexcept nogil:
    """The largest element, and those of the lanes of each part; what does not fill the lanes is left in `tail`."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, part, j
    cdef real top[LANES]
    spread(<real>-INFINITY, top)
    if rest:
        pad(x + rows*width, rest, tail)
        max_lanes(tail, width, 1, top)
    for part in range((rows + PART_ROWS - 1)//PART_ROWS):
        spread(<real>-INFINITY, tops[part])
        max_lanes(x + part*PART_ROWS*width, width, min_of(rows - part*PART_ROWS, PART_ROWS), tops[part])
        for j in range(width):
            top[j] = tops[part][j] if tops[part][j] > top[j] else top[j]
    return max_of_lanes(top)


cdef inline bint has(const real *lanes, real value) noexcept nogil:
    cdef Py_ssize_t j
    cdef int found = 0
    for j in range(lanes_of(lanes)):
        found |= lanes[j] == value
    return found


cdef inline bint is_plain(const real *tops, real largest, real top, real shift) noexcept nogil:
    """Whether a part of a block goes the short way of sum_row_lanes."""
    return shift == 0 and not (largest == top and has(tops, top))


cdef inline double sum_of_block(const real *x, Py_ssize_t n, const real *tail, real (*tops)[LANES], real largest,
                                real top, bint rough, Py_ssize_t ahead, double *carry, double *count) noexcept nogil:
    """The exponentials of a block but those of `top`, no less than its `largest` element, and how many equal that."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, first, done = 0, j
    cdef double total
    cdef real shift, magic, floor, bias
    cdef bint plain
    cdef double sums[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    shifts_of(top, &shift, &magic, &floor)
    bias = bias_for(remainder_of(largest, shift), magic, floor)
    for j in range(width):
        totals[j] = bias
        carries[j] = 0
        counts[j] = 0
    while done < rows:          # runs of parts of one kind
        plain = is_plain(tops[done//PART_ROWS], largest, top, shift)
        first = done
        done += PART_ROWS
        while done < rows and is_plain(tops[done//PART_ROWS], largest, top, shift) == plain:
            done += PART_ROWS
        done = min_of(done, rows)
        if plain:
            sum_row_lanes(x + first*width, done - first, True, rough, top, shift, magic, floor, ahead,
                          totals, carries, counts)
        else:
            sum_row_lanes(x + first*width, done - first, False, rough, top, shift, magic, floor, ahead,
                          totals, carries, counts)
    if rest:
        sum_row_lanes(tail, 1, False, rough, top, shift, magic, floor, 0, totals, carries, counts)
    for j in range(width):
        sums[j] = totals[j] - bias
    total = sum_of_lanes(sums, carries, carry)
    if not total >= bias*too_little(bias):
        return careful_sum_of_block(x, n, tail, top, carry, count)
    count[0] = count_of_lanes(counts)
    return total


cdef inline double too_little(real _) noexcept nogil:
    """The share of a bias under which a sum that was begun from it has lost digits: the top is far above all others."""
    return 6.103515625e-05 if real is float else 9.094947017729282e-13      # 2**-14, 2**-40


cdef inline double sum_carefully(const real *x, Py_ssize_t n, const real *tail, real top, double *carry,
                                 double *count) noexcept nogil:
    """sum_of_block where the others may be as small as they like."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, j
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
        sum_lanes(tail, width, 1, tops, shift, magic, floor, sums, carries, counts)
    total = sum_of_lanes(sums, carries, carry)
    count[0] = count_of_lanes(counts)
    return total


cdef double careful_sum_of_block(const real *x, Py_ssize_t n, const real *tail, real top, double *carry,
                                 double *count) noexcept nogil:
    return sum_carefully(x, n, tail, top, carry, count)


cdef inline void reduce_blocks(State *state, const real *x, Py_ssize_t n, bint rough) noexcept nogil:
    cdef Py_ssize_t block
    cdef real largest
    cdef double total, carry, count
    cdef real tail[LANES]
    cdef real tops[PARTS][LANES]
    while n > 0:
        block = min_of(n, BLOCK_ROWS*lanes_of(x))
        largest = max_of_block(x, block, tail, tops)
        if largest > state.top[0]:
            raise_top(state, 0, largest)
        total = sum_of_block(x, block, tail, tops, largest, <real>state.top[0], rough, block, &carry, &count)
        join(state, 0, total, carry, count)
        x += block
        n -= block


cdef void reduce_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    reduce_blocks(state, x, n, False)


cdef void reduce_row_roughly(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    reduce_blocks(state, x, n, True)


cdef void reduce_growing_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    """Roughly once the sum can only grow to one whose logarithm is not in doubt, until then carefully.

    An error of 1.1 ULP in what is added is less than a third of one in a logarithm of 2 or more. Negative weights that
    come later may take most of the sum away; they divide its error by what is left, as they do that of their own terms.
    """
    cdef Py_ssize_t block
    while n > 0 and (state.top[0] < 0 or is_in_doubt(<real>state.top[0], state.count[0], state.rest[0])):
        block = min_of(n, BLOCK_ROWS*lanes_of(x))
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
    spread(<real>state.top[0], top)
    spread(<real>state.log_sum[0], log_sum)
    log_softmax_lanes(x, width, rows, top, log_sum, out, width)
    if rest:
        pad(x + rows*width, rest, tail)
        log_softmax_lanes(tail, width, 1, top, log_sum, tail, width)
        unpad(tail, rest, out + rows*width)


# At once: rows of one block, from elements to results without a state.

cdef inline double sum_at_once(const real *x, Py_ssize_t n, bint many, bint doubts, real *tail, real *top,
                               double *carry, double *count) noexcept nogil:
    """sum_of_block of the whole row, `top` its largest element; good enough for logsumexp too if it `doubts`."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width
    cdef real tops[PARTS][LANES]
    cdef double total
    if many:
        top[0] = max_of_block(x, n, tail, tops)
        total = sum_of_block(x, n, tail, tops, top[0], top[0], True, 0, carry, count)
        if doubts and is_in_doubt(top[0], count[0], total):
            total = sum_of_block(x, n, tail, tops, top[0], top[0], False, 0, carry, count)
        return total
    spread(<real>-INFINITY, tops[0])
    max_lanes(x, width, rows, tops[0])
    if n - rows*width:
        pad(x + rows*width, n - rows*width, tail)
        max_lanes(tail, width, 1, tops[0])
    top[0] = max_of_lanes(tops[0])
    return sum_carefully(x, n, tail, top[0], carry, count)


cdef inline bint is_many(const real *x, Py_ssize_t n) noexcept nogil:
    """Whether a row has parts; rough sums of fewer elements are no faster than careful ones."""
    return n >= PART_ROWS*lanes_of(x)


cdef inline void logsumexp_at_once(const real *x, Py_ssize_t n, bint many, real *out) noexcept nogil:
    cdef real tail[LANES]
    cdef real top
    cdef double total, carry, count, log_sum, low
    total = sum_at_once(x, n, many, True, tail, &top, &carry, &count)
    log_sum = log_sum_of(top, count, total, carry, &low)
    out[0] = <real>shifted(top, log_sum, low)


cdef inline void log_softmax_at_once(const real *x, Py_ssize_t n, bint many, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width
    cdef double total, carry, count, low
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real log_sum[LANES]
    total = sum_at_once(x, n, many, False, tail, top, &carry, &count)
    spread(<real>log_sum_of(top[0], count, total, carry, &low), log_sum)
    spread(top[0], top)
    log_softmax_lanes(x, width, rows, top, log_sum, out, width)
    if rest:
        log_softmax_lanes(tail, width, 1, top, log_sum, tail, width)
        unpad(tail, rest, out + rows*width)


# Many elements have functions of their own, whose room on the stack few do not pay for.

cdef void logsumexp_of_many(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    logsumexp_at_once(x, n, True, out)


cdef void log_softmax_of_many(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    log_softmax_at_once(x, n, True, out)


cdef void logsumexp_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    if is_many(x, n):
        logsumexp_of_many(x, n, out)
    else:
        logsumexp_at_once(x, n, False, out)


cdef void log_softmax_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    if is_many(x, n):
        log_softmax_of_many(x, n, out)
    else:
        log_softmax_at_once(x, n, False, out)
