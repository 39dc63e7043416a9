# Sums of columns' exponentials, with the maximum counted: for logsumexp, log_softmax and the losses.
#
# 1. Guess each column's maximum from three elements, or take the state's maximum.
# 2. Read each element once, for the maximum and the sum together, with shifts from the guess, and headroom above it.
# 3. If the maximum of a column exceeds the headroom, the guess was wrong. Sum that column again by itself, because the
#    bits of a column must not depend on its neighbours.
#
# Columns of few rows take differences from the maximum in two parts instead, which need no shift (P19).

cdef enum TileSums:         # how whole columns are summed:
    BY_SHIFT                # in one pass, from a guess
    BY_DIFFERENCES          # from the maximum, in two passes: for few rows


cdef inline real guess_of_maximum(real first, real middle, real last) noexcept nogil:
    """The largest of three elements, if it is finite: the maximum is probably not far above."""
    cdef real reference = first if first > middle else middle
    reference = last if last > reference else reference
    return reference if magnitude(reference) < INFINITY else 0


cdef inline void guess_maxima(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                              const Adjustment *adjustment, real *first, real *guess) noexcept nogil:
    """guess_of_maximum of each lane; the elements of the first row are stored in `first`."""
    cdef Py_ssize_t j
    cdef real middle[LANES]
    cdef real last[LANES]
    if adjustment == NULL:
        for j in range(width):
            first[j] = x[j]
            guess[j] = guess_of_maximum(x[j], x[rows//2*ld + j], x[(rows - 1)*ld + j])
    else:
        adjust_one_row(x, adjustment, 0, width, first)
        adjust_one_row(x + rows//2*ld, adjustment, rows//2, width, middle)
        adjust_one_row(x + (rows - 1)*ld, adjustment, rows - 1, width, last)
        for j in range(width):
            guess[j] = guess_of_maximum(first[j], middle[j], last[j])


cdef inline void take_maxima(State *state, Py_ssize_t first, const real *maximum) noexcept nogil:
    """Raise the state's maxima to those of a block.

    The block's sum began from the old maximum. If a larger one was found, the old one is already in the block's sum.
    """
    cdef Py_ssize_t j
    cdef int raised = 0, old = 0
    cdef PartialSum *sum = &state.sum.partial
    for j in range(lanes_of(maximum)):
        raised |= maximum[j] > sum.maximum[first + j]
        old |= sum.count[first + j] > 0
    if raised and old:
        for j in range(lanes_of(maximum)):
            if maximum[j] > sum.maximum[first + j]:
                sum.count[first + j] -= 1 if sum.count[first + j] > 0 else 0
                raise_maximum(sum, first + j, maximum[j])
                sum.count[first + j] = 1
    elif raised:
        for j in range(lanes_of(maximum)):
            sum.count[first + j] = 1 if maximum[j] > sum.maximum[first + j] else 0
            sum.maximum[first + j] = maximum[j] if maximum[j] > sum.maximum[first + j] else sum.maximum[first + j]


cdef inline bint can_join(real maximum, real shift, real round_bias) noexcept nogil:
    """Whether a power of two brings the sum to the scale of a state with this maximum."""
    return has_headroom(maximum, shift, round_bias) & (shift_of(maximum) == shift)


cdef void join_unforeseen(State *state, Py_ssize_t first, const real *x, Py_ssize_t ld, Py_ssize_t rows,
                          const real *shift, const real *round_bias, real *maximum, real *totals,
                          real *carries) noexcept nogil:
    """Sum the block again for columns whose guess was wrong, and add that to the state.

    Afterwards maximum, totals and carries of these columns are those of an empty sum.
    """
    cdef Py_ssize_t j
    cdef real maxima[LANES]
    cdef real shifts[LANES]
    cdef real round_biases[LANES]
    cdef real underflows[LANES]
    cdef double sums[LANES]
    cdef real lows[LANES]
    cdef real counts[LANES]
    for j in range(lanes_of(x)):
        maxima[j] = <real>state.sum.partial.maximum[first + j]
    max_lanes(x, ld, rows, lanes_of(x), maxima)
    for j in range(lanes_of(x)):
        shifts_of(maxima[j], &shifts[j], &round_biases[j], &underflows[j])
        sums[j] = 0
        lows[j] = 0
        counts[j] = 0
    exact_sum_lanes(x, ld, rows, maxima, shifts, round_biases, underflows, sums, lows, counts)
    for j in range(lanes_of(x)):
        if not can_join(maximum[j], shift[j], round_bias[j]):
            if maxima[j] > state.sum.partial.maximum[first + j]:
                raise_maximum(&state.sum.partial, first + j, maxima[j])
            join(&state.sum.partial, first + j, sums[j], lows[j], counts[j])
            maximum[j] = -INFINITY
            totals[j] = 0
            carries[j] = 0


cdef inline void reduce_columns(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                Terms terms) noexcept nogil:
    """Reduce a tile block by block into a state."""
    cdef Py_ssize_t width = lanes_of(x), block, ahead, group, first, j
    cdef int foreseen
    cdef int fits[LANES]
    cdef double total, error, power
    cdef Py_ssize_t done = 0
    cdef Adjustment of_group
    cdef const Adjustment *adjustment = NULL
    cdef real first_row[LANES]
    cdef real guess[LANES]
    cdef real maximum[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BLOCK_BYTES//(TILE_COLUMNS*sizeof(real)))
        ahead = state.away + block*state.away_ld
        for group in range((columns + width - 1)//width):
            first = group*width
            if state.adjustment != NULL:
                of_group = adjustment_of_lanes(state.adjustment, first, done, <real>0)
                adjustment = &of_group
            guess_maxima(x + first, ld, block, width, adjustment, first_row, guess)
            for j in range(width):
                maximum[j] = <real>state.sum.partial.maximum[first + j]
                guess[j] = maximum[j] if magnitude(maximum[j]) < INFINITY else guess[j]
            online_max_sum(x + first, ld, block, width, adjustment, guess, terms, shift, round_bias, underflow_below,
                           ahead, state.away_ld, <real *>NULL, 0, maximum, totals, carries)
            foreseen = 1
            for j in range(width):
                fits[j] = can_join(maximum[j], shift[j], round_bias[j])
            for j in range(width):
                foreseen &= fits[j]
            if not foreseen and adjustment == NULL:
                join_unforeseen(state, first, x + first, ld, block, shift, round_bias, maximum, totals, carries)
            elif not foreseen:
                adjust_lanes(x + first, ld, block, width, adjustment)
                join_unforeseen(state, first, <const real *>adjustment.staged, width, block, shift, round_bias,
                                maximum, totals, carries)
            take_maxima(state, first, maximum)
            for j in range(width):
                total = two_sum(totals[j], carries[j], &error)
                power = power_to_state(maximum[j], shift[j], round_bias[j])
                join(&state.sum.partial, first + j, total*power, error*power, 0)
        x += block*ld
        rows -= block
        done += block


# Whole columns --------------------------------------------------------------------------------------------------------

cdef void replace_unforeseen(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, const real *shift,
                             const real *round_bias, real *maximum, real *totals, real *carries,
                             real *counts) noexcept nogil:
    """Sum columns again whose guess was wrong. This is rare, so `width` need not be a constant."""
    cdef Py_ssize_t j
    cdef real maxima[LANES]
    cdef real sums[LANES]
    cdef real lows[LANES]
    cdef real equal[LANES]
    cdef bint foreseen
    spread(<real>-INFINITY, maxima)
    max_lanes(x, ld, rows, width, maxima)
    long_difference_sum_lanes(x, ld, rows, width, maxima, WITHOUT_MAXIMUM, DISCARD, NO_PREFETCH, <real *>NULL, 0, sums,
                              lows, equal)
    for j in range(width):
        foreseen = has_headroom(maximum[j], shift[j], round_bias[j])
        totals[j] = totals[j] if foreseen else sums[j]
        carries[j] = carries[j] if foreseen else lows[j]
        counts[j] = counts[j] if foreseen else equal[j]
        maximum[j] = maximum[j] if foreseen else maxima[j]


cdef inline void sum_of_columns(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, Terms terms,
                                const Adjustment *adjustment, Py_ssize_t ahead, const real *out, Py_ssize_t out_ld,
                                real *maximum, real *totals, real *carries, real *counts) noexcept nogil:
    """The maximum of each column, and the sum of the others' exponentials divided by exp(maximum), in one pass.

    The sum is scaled as by difference_sum_lanes.
    """
    cdef Py_ssize_t j
    cdef int foreseen = 1
    cdef int fits[LANES]
    cdef real guess[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real head, tail, scale, p, p_low, total, low, inverse, quotient, product
    cdef real unscaled = <real>1/scaled_one(<real>0)
    cdef Adjustment after_first
    cdef const Adjustment *of_others = NULL
    if adjustment != NULL:
        after_first = adjustment_of_lanes(adjustment, 0, 1, <real>0)
        of_others = &after_first
    guess_maxima(x, ld, rows, width, adjustment, maximum, guess)
    online_max_sum(x + ld, ld, rows - 1, width, of_others, guess, terms, shift, round_bias, underflow_below, ahead,
                   ld, out, out_ld, maximum, totals, carries)
    for j in range(width):
        split_exp(maximum[j] - shift[j], round_bias[j], &head, &tail, &scale)
        scale *= unscaled
        p = (head + tail)*scale
        p_low = (head - (head + tail)) + tail       # without the scale, which would make it underflow
        total = sum_with_smaller(totals[j], carries[j], &low)
        inverse = <real>1/p
        quotient = total*inverse
        product = quotient*p
        totals[j] = quotient
        carries[j] = (((total - product) - product_error(quotient, p, product)) + (low - quotient*scale*p_low))*inverse
        counts[j] = 1
    for j in range(width):
        fits[j] = has_headroom(maximum[j], shift[j], round_bias[j])
    for j in range(width):      # apart from the comparisons, so that Clang vectorises both loops
        foreseen &= fits[j]
    if not foreseen and adjustment == NULL:
        replace_unforeseen(x, ld, rows, width, shift, round_bias, maximum, totals, carries, counts)
    elif not foreseen:
        adjust_lanes(x, ld, rows, width, adjustment)
        replace_unforeseen(<const real *>adjustment.staged, width, rows, width, shift, round_bias, maximum, totals,
                           carries, counts)


cdef inline void sums_of_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, TileSums way,
                               Terms terms, const Adjustment *adjustment, Py_ssize_t ahead, const real *out,
                               Py_ssize_t out_ld, real *maximum, real *totals, real *carries,
                               real *counts) noexcept nogil:
    if way == BY_DIFFERENCES:
        spread(<real>-INFINITY, maximum)
        max_lanes(x, ld, rows, width, maximum)
        difference_sum_lanes(x, ld, rows, width, maximum, WITHOUT_MAXIMUM, DISCARD, ahead, <real *>NULL, 0, totals,
                             carries, counts)
    else:
        sum_of_columns(x, ld, rows, width, terms, adjustment, ahead, out, out_ld, maximum, totals, carries, counts)


cdef inline void sums_of_columns(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, TileSums way,
                                 Terms terms, const Adjustment *adjustment, const real *out, Py_ssize_t out_ld,
                                 real *maximum, real *totals, real *carries, real *counts) noexcept nogil:
    """The maximum and the sum of each column, scaled as by difference_sum_lanes."""
    cdef Py_ssize_t width = lanes_of(x), group, first, ahead = lanes_ahead(x, ld, rows)
    cdef Adjustment of_group
    for group in range((columns + width - 1)//width):
        if adjustment != NULL:
            first = first_column(group, width, columns)
            of_group = adjustment_of_lanes(adjustment, first, 0, <real>0)
            sums_of_lanes(x + first, ld, rows, width, way, terms, &of_group, ahead, out + first, out_ld,
                          maximum + first, totals + first, carries + first, counts + first)
        elif fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, width, columns)
            sums_of_lanes(x + first, ld, rows, width//2, way, terms, NULL, ahead, out + first, out_ld,
                          maximum + first, totals + first, carries + first, counts + first)
        else:
            first = first_column(group, width, columns)
            sums_of_lanes(x + first, ld, rows, width, way, terms, NULL, ahead, out + first, out_ld, maximum + first,
                          totals + first, carries + first, counts + first)


cdef inline void log_sums_of_columns(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, TileSums way,
                                     Terms terms, const Adjustment *adjustment, const real *out, Py_ssize_t out_ld,
                                     real *maximum, real *log_sum, real *log_sum_low) noexcept nogil:
    """The maximum and log_sum of each column, in two parts.

    All sums are computed first, because logarithms side by side wait less for each other. The last group of lanes has a
    loop of its own: a single loop over all columns would compute the last columns one by one. log_sum_low is NULL if it
    is not needed.
    """
    cdef real low
    cdef Py_ssize_t width = lanes_of(x), first, n, j, whole = columns//width*width
    cdef real totals[TILE_COLUMNS]
    cdef real carries[TILE_COLUMNS]
    cdef real counts[TILE_COLUMNS]
    sums_of_columns(x, ld, rows, columns, way, terms, adjustment, out, out_ld, maximum, totals, carries, counts)
    for j in range(whole):
        log_sum[j] = log_of_scaled(counts[j], totals[j], carries[j], &low)
        if log_sum_low != NULL:
            log_sum_low[j] = low
    if whole < columns:
        n = last_columns(x, columns, &first)
        for j in range(first, first + n):
            log_sum[j] = log_of_scaled(counts[j], totals[j], carries[j], &low)
            if log_sum_low != NULL:
                log_sum_low[j] = low
