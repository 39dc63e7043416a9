# Sums of a row's exponentials, with the maximum counted: for logsumexp, log_softmax and the losses.
#
# 1. Find the maximum of a block.
# 2. Sum all exponentials, including the maximum's, so that no element has to be compared.
# 3. Subtract the maximum's term again, with exactly the bits that were added. If the maximum is far above all others,
#    too few digits remain; then sum the block again without the maximum (exact_sum_of_block).
#
# Long rows sum ROUNDED terms first, see needs_exact_sum(). A row that fits in the lanes is summed as short columns are,
# with differences in two parts, because then the fewest steps wait for each other.
#
# Worst inputs: before the limit of has_lost_digits() grew with n, 4000 equal elements at -16 beside one at 0 were 4.6
# ULP off, because equal elements are all rounded the same way, in the total and in the carry.

cdef inline double sum_row(const real *x, Py_ssize_t n, real *tail, Terms terms, Store store, real bias, real shift,
                           real round_bias, real underflow_below, Py_ssize_t ahead, real *out,
                           double *carry) noexcept nogil:
    """The sum of all exponentials of a block. STORE writes them to `out`, including those of the tail."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width, j
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
        row_exp_sum_lanes(x, rows, ZERO_SHIFT, terms, store, shift, round_bias, underflow_below, ahead, out, totals,
                          carries, carries_low)
    elif rows:
        row_exp_sum_lanes(x, rows, ANY_SHIFT, terms, store, shift, round_bias, underflow_below, ahead, out, totals,
                          carries, carries_low)
    if remaining:
        row_exp_sum_lanes(tail, 1, ANY_SHIFT, terms, store, shift, round_bias, underflow_below, NO_PREFETCH,
                          tail if store == STORE else <real *>NULL, totals, carries, carries_low)
        if store == STORE:
            unpad(tail, remaining, out + rows*width)
    for j in range(width):
        if real is float:
            sums[j] = (totals[j] - bias) + carries[j]
            lows[j] = 0
        else:
            sums[j] = two_sum(totals[j] - bias, carries[j], &error)
            lows[j] = error + carries_low[j]
    return sum_of_lanes(sums, lows, carry)


cdef inline double take_out_maximum(double total, double carry, real d, real round_bias, Terms terms,
                                    double *low) noexcept nogil:
    """total + carry without the maximum's term, whose argument is d. Subtracts exactly what was added."""
    cdef real e, taken, lost
    cdef double error, others
    take_term(d, round_bias, terms, &e, &taken, &lost)
    others = two_sum(total, -<double>taken, &error)
    return two_sum(others, error + (carry - lost), low)


cdef inline bint has_lost_digits(double others, Py_ssize_t n, real bias) noexcept nogil:
    """Whether a sum that began from a bias has lost digits, because the maximum is far above all others.

    An addition leaves less than 2**-51 (float: 2**-22) of the bias to the carry, which is rounded to 53 (24) bits; n
    equal elements are all rounded the same way. A sum that is nan counts as one that has lost digits.
    """
    cdef double share
    if real is float:
        share = 4.76837158203125e-07        # 2**-21
    else:
        share = 3.552713678800501e-15       # 2**-48
    return not others >= bias*(n*share)


cdef double exact_sum_of_block(const real *x, Py_ssize_t n, real maximum, double *carry, double *count) noexcept nogil:
    """sum_of_block, accurate even if all other elements lie far below the maximum."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, j
    cdef real tail[LANES]
    cdef real maxima[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef double total
    spread(maximum, maxima)
    spread_shifts(maximum, shift, round_bias, underflow_below)
    for j in range(width):
        sums[j] = 0
        carries[j] = 0
        counts[j] = 0
    exact_sum_lanes(x, width, rows, maxima, shift, round_bias, underflow_below, sums, carries, counts)
    if n - rows*width:
        pad(x + rows*width, n - rows*width, tail)
        exact_sum_lanes(tail, width, 1, maxima, shift, round_bias, underflow_below, sums, carries, counts)
    total = sum_of_lanes(sums, carries, carry)
    count[0] = count_of_lanes(counts)
    return total


cdef inline double sum_of_block(const real *x, Py_ssize_t n, real *tail, real largest, real maximum, Terms terms,
                                Py_ssize_t ahead, real *destination, double *carry, double *count) noexcept nogil:
    """The sum of a block's exponentials, without the `count` of them that equal the maximum.

    `maximum` is that of the row so far, and no less than `largest`, the maximum of the block. `destination` is where
    results will be written, or NULL.
    """
    cdef double total
    cdef real shift, round_bias, underflow_below, bias
    if terms == EXACT and largest == maximum:
        return exact_sum_of_block(x, n, maximum, carry, count)
    shifts_of(maximum, &shift, &round_bias, &underflow_below)
    bias = bias_for(remainder_of(largest, shift), round_bias, underflow_below)
    total = sum_row(x, n, tail, terms, DISCARD, bias, shift, round_bias, underflow_below, ahead, destination, carry)
    count[0] = 0
    if largest == maximum:
        count[0] = 1
        total = take_out_maximum(total, carry[0], remainder_of(maximum, shift), round_bias, terms, carry)
        if has_lost_digits(total, n, bias):
            return exact_sum_of_block(x, n, maximum, carry, count)
    return total


cdef inline void add_block(State *state, const real *x, Py_ssize_t n, real *tail, real largest, Terms terms,
                           real *destination) noexcept nogil:
    """Add a block, whose largest element is known, to the sum of a row."""
    cdef double total, carry, count
    if largest > state.sum.partial.maximum[0]:
        raise_maximum(&state.sum.partial, 0, largest)
    total = sum_of_block(x, n, tail, largest, <real>state.sum.partial.maximum[0], terms, n + state.away, destination,
                         &carry, &count)
    join(&state.sum.partial, 0, total, carry, count)


cdef inline void reduce_blocks(State *state, const real *x, Py_ssize_t n, Terms terms,
                               real *destination) noexcept nogil:
    """Reduce block by block. Unless `destination` is NULL or x, also copy the elements there."""
    cdef Py_ssize_t block, i, away = state.away, done = 0
    cdef real largest
    cdef real tail[LANES]
    cdef const real *elements
    cdef real *staged = destination
    while done < n:
        block = min_of(n - done, ROW_BLOCK_LANES*lanes_of(x))
        if destination == NULL and state.adjustment != NULL:
            staged = <real *>state.adjustment.staged
        elements = read_block(x + done, block, state.adjustment, done, staged, tail, &largest, &state.away)
        if destination != NULL:
            if destination != elements:
                for i in range(block):
                    destination[i] = elements[i]
            destination += block
            staged = destination
        add_block(state, elements, block, tail, largest, terms, destination)
        state.away = away
        done += block


# Whole rows -----------------------------------------------------------------------------------------------------------

cdef enum Precision:        # of a row's sum:
    EXACT_SUM
    ROUNDED_SUM
    ADAPTIVE_SUM            # ROUNDED terms, and again EXACT ones where logsumexp needs them,
    WEIGHED_SUM             # or where logsumexp with one weight for all elements needs them


cdef inline bint is_long(const real *x, Py_ssize_t n) noexcept nogil:
    """Whether a row is long enough for rounded exponentials to be faster than exact ones (P18)."""
    return n >= ROUNDED_MIN_LANE_ROWS*lanes_of(x)


cdef inline double sum_of_row(const real *x, Py_ssize_t n, Py_ssize_t away, Precision precision, real *destination,
                              real *tail, real maximum, double *carry, double *count) noexcept nogil:
    """sum_of_block of a whole row, after its first pass.

    `destination` is where results will be written, or NULL. Meanwhile it is prefetched, and so is the row that probably
    comes next (P10).
    """
    cdef double total
    if precision != EXACT_SUM:
        total = sum_of_block(x, n, tail, maximum, maximum, ROUNDED, n + away, destination, carry, count)
        if precision == ROUNDED_SUM or not needs_exact_sum(
                maximum, count[0], total, WEIGHED if precision == WEIGHED_SUM else UNWEIGHED):
            return total
    return exact_sum_of_block(x, n, maximum, carry, count)


cdef inline void sum_row_into(State *state, Py_ssize_t column, const real *x, Py_ssize_t n,
                              Precision precision) noexcept nogil:
    """Reduce a row into one column of a state."""
    cdef real tail[LANES]
    cdef real maximum
    cdef double total, carry, count
    cdef Py_ssize_t away = state.away
    x = read_row(x, n, state.adjustment, tail, &maximum, &away)
    total = sum_of_row(x, n, away, precision, <real *>NULL, tail, maximum, &carry, &count)
    state.sum.partial.maximum[column], state.sum.partial.count[column] = maximum, count
    state.sum.partial.others[column], state.sum.partial.others_low[column] = total, carry


# Rows that fit in the lanes -------------------------------------------------------------------------------------------

cdef inline double sum_in_lanes(const real *x, Py_ssize_t n, Py_ssize_t width, Inclusion inclusion, real *e,
                                real *maximum, double *carry, double *count) noexcept nogil:
    """difference_sum_lanes of one row of at most `width` elements, folded. WITH_MAXIMUM stores exponentials in `e`."""
    cdef Py_ssize_t j
    cdef real lanes[LANES]
    cdef real term[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef double sums[LANES]
    cdef real total, largest, bias = bias_of_differences(inclusion, <real>0)
    cdef real round_bias = round_bias_of(<real>0), underflow_below = underflow_of(<real>0)
    maximum[0] = largest = max_of_lane_row(x, n, width, lanes)
    for j in range(width):
        if inclusion == WITHOUT_MAXIMUM:
            difference_term(lanes[j], largest, round_bias, underflow_below, inclusion, &term[j], &carries[j])
            sums[j] = term[j]
        else:
            total = bias
            add_difference(&total, lanes[j], largest, round_bias, underflow_below, inclusion, &term[j], &carries[j])
            sums[j] = total - bias
        counts[j] = one_if(lanes[j] == largest, <real>0)
    if inclusion == WITH_MAXIMUM:
        for j in range(width):
            e[j] = term[j]
    count[0] = count_of_first_lanes(counts, width) if inclusion == WITHOUT_MAXIMUM else 0
    return sum_of_first_lanes(sums, carries, width, carry)


cdef inline double sum_of_few(const real *x, Py_ssize_t n, real *maximum, double *carry,
                              double *count) noexcept nogil:
    """sum_in_lanes of up to SERIAL_ROW_ELEMENTS elements, one after the other."""
    cdef Py_ssize_t i
    cdef real carries[LANES]
    cdef double sums[LANES]
    cdef real largest = x[0], term
    cdef real round_bias = round_bias_of(<real>0), underflow_below = underflow_of(<real>0)
    for i in range(SERIAL_ROW_ELEMENTS):
        sums[i] = 0
        carries[i] = 0
    for i in range(1, n):
        largest = larger(x[i], largest)
    count[0] = 0
    for i in range(n):
        difference_term(x[i], largest, round_bias, underflow_below, WITHOUT_MAXIMUM, &term, &carries[i])
        sums[i] = term
        count[0] += one_if(x[i] == largest, <double>0)
    maximum[0] = largest
    return sum_of_first_lanes(sums, carries, SERIAL_ROW_ELEMENTS, carry)


cdef inline double sum_of_lane_row(const real *x, Py_ssize_t n, real *maximum, double *carry,
                                   double *count) noexcept nogil:
    """The sum of a row that fits in the lanes. Computes only the lanes it needs, with the bits of all lanes (P57)."""
    if n <= SERIAL_ROW_ELEMENTS:
        return sum_of_few(x, n, maximum, carry, count)
    if n <= lanes_of(x)//2:
        return sum_in_lanes(x, n, lanes_of(x)//2, WITHOUT_MAXIMUM, <real *>NULL, maximum, carry, count)
    return sum_in_lanes(x, n, lanes_of(x), WITHOUT_MAXIMUM, <real *>NULL, maximum, carry, count)


cdef void sum_short_row_into(State *state, Py_ssize_t column, const real *x, Py_ssize_t n) noexcept nogil:
    """Reduce a row that is not long (see is_long) into one column of a state."""
    cdef real maximum
    cdef double carry, count
    if n > lanes_of(x):
        sum_row_into(state, column, x, n, EXACT_SUM)
        state.scaling = SHIFTED
        return
    x = read_lane_row(x, n, state.adjustment)
    state.sum.partial.others[column] = sum_of_lane_row(x, n, &maximum, &carry, &count)
    state.sum.partial.maximum[column], state.sum.partial.count[column] = maximum, count
    state.sum.partial.others_low[column] = carry
    state.scaling = FROM_MAXIMUM


cdef inline void sum_whole_row_into(State *state, Py_ssize_t column, const real *x, Py_ssize_t n,
                                    Precision precision) noexcept nogil:
    """Reduce a row of at most a block into one column of a state; `precision` is that of a long one."""
    if is_long(x, n):
        sum_row_into(state, column, x, n, precision)
        state.scaling = SHIFTED
    else:
        sum_short_row_into(state, column, x, n)


cdef inline double log_sum_of_lane_row(const real *x, Py_ssize_t n, real *maximum, double *low) noexcept nogil:
    cdef double others, others_low, count
    others = sum_of_lane_row(x, n, maximum, &others_low, &count)
    return log_sum_of(maximum[0], FROM_MAXIMUM, count, others, others_low, low)
