# Weighted sums of rows and tiles, block by block: for logsumexp and logmeanexp with weights.
#
# 1. Find the largest element and the largest weight of a block.
# 2. Sum it with MODERATE weights, the reference is the largest element.
# 3. Sums of logsumexp begin with ROUNDED terms if no term is negative and a sum of at least exp(2) is expected: its
#    logarithm hides their errors, as without weights. If the sum comes out smaller, sum EXACT terms.
# 4. If the weights are not moderate, or the sum is so small beside its terms that digits may be lost (is_sound), sum
#    the block again with weights of ANY_SIZE. Then the reference is the largest a + k log(2).

cdef inline real largest_term(real maximum, real size, real shift, real round_bias) noexcept nogil:
    """A power of two that bounds the term of any element up to `maximum` with a weight of a size up to `size`."""
    cdef real z = remainder_of(maximum, shift)*<real>1.4426950408889634 + round_bias
    return 4*power_of_low_bits(z if z > zero_bits(z) else zero_bits(z))*binade(size)


cdef inline real bias_of(real largest, real least) noexcept nogil:
    """A power of two that a total begins from, such that the total is always larger than the next term.

    Terms that are not negative only enlarge the total. Otherwise up to ROW_BLOCK_LANES negative ones may come first.
    """
    return largest*(<real>1 if least >= 0 else <real>(2*ROW_BLOCK_LANES))


cdef inline real moderate(real _) noexcept nogil:
    """The largest weight that needs no splitting: ROW_BLOCK_LANES*8 terms of that size do not overflow."""
    if real is float:
        return <float>1073741824.0                  # 2**30
    else:
        return 2.582249878086909e+120               # 2**400


cdef inline bint is_moderate(real best, real maximum, real size) noexcept nogil:
    """Whether to try MODERATE weights: they are, and there is no inf among the block's elements or before it."""
    return (best < INFINITY) & (maximum < INFINITY) & (size <= moderate(<real>0))


cdef inline bint nothing_in(real best, real size) noexcept nogil:
    """Whether a block has no term, so that a sum of 0 is exact."""
    return (best == -INFINITY) | (size == 0)


cdef inline bint is_sound(double total, double present, real largest) noexcept nogil:
    """Whether a sum, or the one it is added to, is large beside its possible terms and beside terms that vanish."""
    cdef double limit, size = magnitude(total)
    if real is float:
        limit = 1.4551915228366852e-11              # 2**-36: 100 binades below the largest exponential
    else:
        limit = 1.2513128902733393e-147             # 2**-488: 1000 of them
    limit = limit if limit > 0.0009765625*largest else 0.0009765625*largest
    size = size if size > magnitude(present) else magnitude(present)
    return (magnitude(total) < INFINITY) & (size >= limit)


# Rows -----------------------------------------------------------------------------------------------------------------

cdef inline bint hides_rounding(double total, real exponent) noexcept nogil:
    """Whether a scaled sum without a shift is at least exp(2); the exponent is that of the scale."""
    cdef double least
    if real is float:
        least = 1.37e20                             # exp(2) 2**OFFSET
    else:
        least = 9.91e154
    return total >= least*power_of_two(-<double>exponent)


cdef bint add_row_block(WeightedSum *sum, WeightRange sizes, Terms terms, const real *a, const real *b, Py_ssize_t rows,
                        real *tail, real *tail_b, Py_ssize_t remaining, real best, real size,
                        real least) noexcept nogil:
    """Add a block, whose terms are at most exp(best)*size, to a row's sum.

    Return False if MODERATE weights gave a sum that is not sound, or if ROUNDED terms are not tried or do not suffice;
    then the row's sum is unchanged.
    """
    cdef Py_ssize_t width = lanes_of(a), j
    cdef real largest, exponent = 0
    cdef double total, carry
    cdef WeightedColumn moved
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real bias[LANES]
    cdef double sums[LANES]
    cdef double carries[LANES]
    take_weighted(sum, 0, &moved)
    if sizes == ANY_SIZE:
        exponent = exponent_above(best, a, b, rows*width + remaining, 1, 1)
    move_weighted(&moved, best, exponent)
    weighted_shifts_of(finite_reference(<real>moved.reference), <real>moved.exponent, sizes, shift, round_bias,
                       underflow_below)
    largest = largest_term(best, size, shift[0], round_bias[0] + exponent)
    if terms == ROUNDED and not (shift[0] == 0 and least >= 0 and rows >= ROUNDED_MIN_LANE_ROWS and hides_rounding(
            <double>largest*rows/ROUNDED_TERM_LANE_ROWS, round_bias_of(<real>0) - round_bias[0])):
        return False            # even if the mean term is a thirtieth of the largest
    spread(shift[0], shift)
    spread(round_bias[0], round_bias)
    spread(underflow_below[0], underflow_below)
    spread(bias_of(largest, least), bias)
    for j in range(width):
        sums[j] = 0
        carries[j] = 0
    sum_weighted(sizes, terms, a, width, b, width, rows, shift, round_bias, underflow_below, bias, rows, sums, carries)
    if remaining:
        sum_weighted(sizes, terms, tail, width, tail_b, width, 1, shift, round_bias, underflow_below, bias, 0, sums,
                     carries)
    total = weighted_sum_of_lanes(sums, carries, &carry, <real>0)
    if terms == ROUNDED and not hides_rounding(total, round_bias_of(<real>0) - round_bias[0]):
        return False
    if sizes == ANY_SIZE:
        put_weighted(sum, 0, &moved)
        join_weighted(sum, 0, total, carry, a, b, rows*width + remaining, 1, 1)
    elif nothing_in(best, size) & (total == 0) | is_sound(total, moved.sum, largest):
        add_weighted(&moved.sum, &moved.sum_low, total, carry)
        put_weighted(sum, 0, &moved)
    else:
        return False
    return True


cdef inline void add_weighted_blocks(WeightedSum *sum, const real *a, const real *b, Py_ssize_t n,
                                     Terms first) noexcept nogil:
    """Add a row of any length to column 0, block by block, with terms of the kind `first` where these suffice."""
    cdef Py_ssize_t width = lanes_of(a), block, rows, remaining, j
    cdef real best, size, least
    cdef bint done
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    cdef real maximum[LANES]
    cdef real high[LANES]
    cdef real low[LANES]
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*width)
        rows = block//width
        remaining = block - rows*width
        spread(<real>-INFINITY, maximum)
        spread(<real>0, high)
        spread(<real>0, low)
        scan_lanes(a, width, b, width, rows, maximum, high, low)
        if remaining:
            pad(a + rows*width, remaining, tail)
            pad(b + rows*width, remaining, tail_b)
            for j in range(width):
                tail_b[j] = tail_b[j] if j < remaining else 0
            scan_lanes(tail, width, tail_b, width, 1, maximum, high, low)
        for j in range(width):
            low[j] = -low[j]
        least = -max_of_lanes(low)
        size = at_least(max_of_lanes(high), -least)
        best = max_of_lanes(maximum) if size > 0 else <real>-INFINITY
        done = False
        if is_moderate(best, <real>sum.reference[0], size):
            if first == ROUNDED:
                done = add_row_block(sum, MODERATE, ROUNDED, a, b, rows, tail, tail_b, remaining, best, size, least)
            if not done:
                done = add_row_block(sum, MODERATE, EXACT, a, b, rows, tail, tail_b, remaining, best, size, least)
        if not done:
            spread(<real>-INFINITY, maximum)
            max_weighted_lanes(a, width, b, width, rows, maximum)
            if remaining:
                max_weighted_lanes(tail, width, tail_b, width, 1, maximum)
            add_row_block(sum, ANY_SIZE, EXACT, a, b, rows, tail, tail_b, remaining, max_of_lanes(maximum), <real>1,
                          least)
        a += block
        b += block
        n -= block


cdef void add_weighted_row(WeightedSum *sum, const real *a, const real *b, Py_ssize_t n) noexcept nogil:
    add_weighted_blocks(sum, a, b, n, EXACT)


# Tiles ----------------------------------------------------------------------------------------------------------------
#
# These loops vectorise only if each computes one thing, and none combines conditions into one answer.

cdef inline bint any_equal(const real *lanes, real value) noexcept nogil:
    cdef Py_ssize_t j
    cdef int found = 0
    for j in range(lanes_of(lanes)):
        found |= lanes[j] == value
    return found


cdef inline bint scan_columns(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                              const double *before, real *maximum, real *size, real *least) noexcept nogil:
    """The largest element, the largest size of a weight and the least weight, by column; whether all are moderate.

    If all weights of a column are 0, no element of it counts, and none may become the reference.
    """
    cdef Py_ssize_t j
    cdef real unfit[LANES]
    cdef real earlier[LANES]
    spread(<real>-INFINITY, maximum)
    spread(<real>0, size)
    spread(<real>0, least)
    scan_lanes(a, ld, b, b_ld, rows, maximum, size, least)
    for j in range(lanes_of(a)):
        size[j] = at_least(size[j], -least[j])
        earlier[j] = <real>before[j]
    for j in range(lanes_of(a)):
        maximum[j] = maximum[j] if size[j] > 0 else <real>-INFINITY
    for j in range(lanes_of(a)):
        unfit[j] = one_if(not is_moderate(maximum[j], earlier[j], size[j]), <real>0)
    return not any_equal(unfit, <real>1)


cdef inline bint are_sound(const real *best, const real *size, const double *sums, const double *present,
                           const real *largest) noexcept nogil:
    """Whether each column's sum is sound, or is the sum of no term."""
    cdef Py_ssize_t j, width = lanes_of(best)
    cdef real empty[LANES]
    cdef double most[LANES]
    cdef double none[LANES]
    cdef double sound[LANES]
    cdef int unsound = 0
    for j in range(width):
        empty[j] = one_if(nothing_in(best[j], size[j]), <real>0)
    for j in range(width):
        most[j] = largest[j]
        none[j] = empty[j]
    for j in range(width):
        none[j] *= one_if(sums[j] == 0, <double>0)
    for j in range(width):
        sound[j] = one_if(is_sound(sums[j], present[j], most[j]), <double>0)
    for j in range(width):
        unsound |= none[j] + sound[j] == 0
    return not unsound


cdef bint add_tile_block(WeightedSum *sum, Py_ssize_t first, WeightRange sizes, const real *a, Py_ssize_t ld,
                         const real *b, Py_ssize_t b_ld, Py_ssize_t rows, const real *best, const real *size,
                         const real *least) noexcept nogil:
    """add_row_block for as many columns as there are lanes, each with its reference."""
    cdef Py_ssize_t width = lanes_of(a), j
    cdef WeightedLanes moved
    cdef WeightedColumn column
    cdef real reference[LANES]
    cdef real exponent[LANES]
    cdef real largest[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real bias[LANES]
    cdef double sums[LANES]
    cdef double carries[LANES]
    spread(<real>0, exponent)
    if sizes == ANY_SIZE or not raised_weighted(sum, first, best, &moved):
        for j in range(width):
            if sizes == ANY_SIZE:
                exponent[j] = exponent_above(best[j], a + j, b + j, rows, ld, b_ld)
            take_weighted(sum, first + j, &column)
            move_weighted(&column, best[j], exponent[j])
            moved.reference[j], moved.exponent[j] = column.reference, column.exponent
            moved.sum[j], moved.sum_low[j] = column.sum, column.sum_low
    for j in range(width):
        reference[j] = finite_reference(<real>moved.reference[j])
    for j in range(width):
        weighted_shifts_of(reference[j], <real>moved.exponent[j], sizes, &shift[j], &round_bias[j],
                           &underflow_below[j])
    for j in range(width):
        largest[j] = largest_term(best[j], size[j], shift[j], round_bias[j] + exponent[j])
        bias[j] = bias_of(largest[j], least[j])
        sums[j] = 0
        carries[j] = 0
    sum_weighted(sizes, EXACT, a, ld, b, b_ld, rows, shift, round_bias, underflow_below, bias,
                 rows_ahead(rows, ld, <real>0), sums, carries)
    if sizes == ANY_SIZE:
        put_weighted_lanes(sum, first, &moved, width)
        for j in range(width):
            join_weighted(sum, first + j, sums[j], carries[j], a + j, b + j, rows, ld, b_ld)
        return True
    if not are_sound(best, size, sums, moved.sum, largest):
        return False
    for j in range(width):
        add_weighted(&moved.sum[j], &moved.sum_low[j], sums[j], carries[j])
    put_weighted_lanes(sum, first, &moved, width)
    return True


cdef void add_weighted_tile(WeightedSum *sum, const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                            Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """Add a tile of any number of rows."""
    cdef Py_ssize_t width = lanes_of(a), block, group, first
    cdef bint done
    cdef real maximum[LANES]
    cdef real high[LANES]
    cdef real low[LANES]
    while rows > 0:
        block = min_of(rows, WEIGHTED_TILE_BLOCK_ROWS)
        for group in range((columns + width - 1)//width):
            first = group*width
            done = scan_columns(a + first, ld, b + first, b_ld, block, sum.reference + first, maximum, high, low)
            if done:
                done = add_tile_block(sum, first, MODERATE, a + first, ld, b + first, b_ld, block, maximum, high, low)
            if not done:
                spread(<real>-INFINITY, maximum)
                max_weighted_lanes(a + first, ld, b + first, b_ld, block, maximum)
                spread(<real>1, high)
                add_tile_block(sum, first, ANY_SIZE, a + first, ld, b + first, b_ld, block, maximum, high, low)
        a += block*ld
        b += block*b_ld
        rows -= block
