# logsumexp with weights: rows and tiles, block by block. A block is tried with its weights as they are first.

cdef inline real binade(real x) noexcept nogil:
    """The largest power of two that is not above x; 0 of subnormal numbers."""
    cdef uint32_t u32
    cdef uint64_t u64
    if real is float:
        memcpy(&u32, &x, 4)
        u32 &= <uint32_t>0x7F800000
        memcpy(&x, &u32, 4)
    else:
        memcpy(&u64, &x, 8)
        u64 &= <uint64_t>0x7FF0000000000000
        memcpy(&x, &u64, 8)
    return x


cdef inline real largest_term(real top, real size, real shift, real magic) noexcept nogil:
    """A power of two that no term is above whose element is no more than `top`, and its weight than `size`."""
    cdef real z = remainder_of(top, shift)*<real>1.4426950408889634 + magic
    return 4*power_of_low_bits(z if z > zero_bits(z) else zero_bits(z))*binade(size)


cdef inline real bias_of(real largest, real least) noexcept nogil:
    """A power of two that a total may start from: its terms are smaller, whatever sum they have come to.

    Terms that are not negative only add to it. Of others there may be ROW_BLOCK_LANES below 0 before the first above.
    """
    return largest*(<real>1 if least >= 0 else <real>(2*ROW_BLOCK_LANES))


cdef inline real moderate(real _) noexcept nogil:
    """The largest weight that is multiplied as it is: ROW_BLOCK_LANES*8 terms as large do not overflow."""
    if real is float:
        return <float>1073741824.0                  # 2**30
    else:
        return 2.582249878086909e+120               # 2**400


cdef inline bint is_moderate(real best, real top, real size) noexcept nogil:
    """Whether a block may be tried as it is: no inf among its elements or before them, and moderate weights."""
    return (best < INFINITY) & (top < INFINITY) & (size <= moderate(size))


cdef inline bint nothing_in(real best, real size) noexcept nogil:
    """Whether a block has no term, whatever its sum would have to be."""
    return (best == -INFINITY) | (size == 0)


cdef inline bint is_sound(double total, double rest, real largest) noexcept nogil:
    """Whether a sum, or what it is added to, is large beside what its terms might have been, and those that vanish."""
    cdef double limit, size = magnitude(total)
    if real is float:
        limit = 1.4551915228366852e-11              # 2**-36: 100 binades below the largest exponential
    else:
        limit = 1.2513128902733393e-147             # 2**-488: 1000 of them
    limit = limit if limit > 0.0009765625*largest else 0.0009765625*largest
    size = size if size > magnitude(rest) else magnitude(rest)
    return (magnitude(total) < INFINITY) & (size >= limit)


cdef bint add_row_block(WeightedSum *sum, bint any_size, const real *a, const real *b, Py_ssize_t rows,
                        real *tail, real *tail_b, Py_ssize_t rest, real best, real size, real least) noexcept nogil:
    """Add a block with no term above exp(best)*size to a row; False, and all is as before, if its sum is not sound."""
    cdef Py_ssize_t width = lanes_of(a), j
    cdef real largest, exponent = 0
    cdef double total, carry
    cdef WeightedColumn moved
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real bias[LANES]
    cdef double sums[LANES]
    cdef double carries[LANES]
    take_weighted(sum, 0, &moved)
    if any_size:
        exponent = exponent_beyond(best, a, b, rows*width + rest, 1, 1)
    move_weighted(&moved, best, exponent)
    weighted_shifts_of(finite_reference(<real>moved.reference), <real>moved.exponent, any_size, shift, magic, floor)
    largest = largest_term(best, size, shift[0], magic[0] + exponent)
    spread(shift[0], shift)
    spread(magic[0], magic)
    spread(floor[0], floor)
    spread(bias_of(largest, least), bias)
    for j in range(width):
        sums[j] = 0
        carries[j] = 0
    sum_weighted(any_size, a, width, b, width, rows, shift, magic, floor, bias, rows, sums, carries)
    if rest:
        sum_weighted(any_size, tail, width, tail_b, width, 1, shift, magic, floor, bias, 0, sums, carries)
    total = weighted_sum_of_lanes(sums, carries, &carry, best)
    if any_size:
        put_weighted(sum, 0, &moved)
        join_weighted(sum, 0, total, carry, a, b, rows*width + rest, 1, 1)
    elif nothing_in(best, size) & (total == 0) | is_sound(total, moved.sum, largest):
        add_weighted(&moved.sum, &moved.sum_low, total, carry)
        put_weighted(sum, 0, &moved)
    else:
        return False
    return True


cdef void reduce_weighted_row(State *state, const real *a, const real *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(a), block, rows, rest, j
    cdef real best, size, least
    cdef bint done
    cdef WeightedSum *sum = weighted_of(state)
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    cdef real top[LANES]
    cdef real high[LANES]
    cdef real low[LANES]
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*width)
        rows = block//width
        rest = block - rows*width
        spread(<real>-INFINITY, top)
        spread(<real>0, high)
        spread(<real>0, low)
        scan_lanes(a, width, b, width, rows, top, high, low)
        if rest:
            pad(a + rows*width, rest, tail)
            pad(b + rows*width, rest, tail_b)
            for j in range(width):
                tail_b[j] = tail_b[j] if j < rest else 0
            scan_lanes(tail, width, tail_b, width, 1, top, high, low)
        for j in range(width):
            low[j] = -low[j]
        least = -max_of_lanes(low)
        size = at_least(max_of_lanes(high), -least)
        best = max_of_lanes(top) if size > 0 else <real>-INFINITY
        done = False
        if is_moderate(best, <real>sum.reference[0], size):
            done = add_row_block(sum, False, a, b, rows, tail, tail_b, rest, best, size, least)
        if not done:
            spread(<real>-INFINITY, top)
            max_weighted_lanes(a, width, b, width, rows, top)
            if rest:
                max_weighted_lanes(tail, width, tail_b, width, 1, top)
            add_row_block(sum, True, a, b, rows, tail, tail_b, rest, max_of_lanes(top), <real>1, least)
        a += block
        b += block
        n -= block


# Side by side. Loops over the lanes vectorise only while each says one thing, and not where they gather a yes or no.

cdef inline bint has(const real *lanes, real value) noexcept nogil:
    cdef Py_ssize_t j
    cdef int found = 0
    for j in range(lanes_of(lanes)):
        found |= lanes[j] == value
    return found


cdef inline bint scan_columns(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                              const double *before, real *top, real *size, real *least) noexcept nogil:
    """The largest element of each column, the largest size of its weights and the least; whether is_moderate of all.

    Where all weights are 0 no element counts, and none may become the reference.
    """
    cdef Py_ssize_t j
    cdef real unfit[LANES]
    cdef real earlier[LANES]
    spread(<real>-INFINITY, top)
    spread(<real>0, size)
    spread(<real>0, least)
    scan_lanes(a, ld, b, b_ld, rows, top, size, least)
    for j in range(lanes_of(a)):
        size[j] = at_least(size[j], -least[j])
        earlier[j] = <real>before[j]
    for j in range(lanes_of(a)):
        top[j] = top[j] if size[j] > 0 else <real>-INFINITY
    for j in range(lanes_of(a)):
        unfit[j] = one_if(not is_moderate(top[j], earlier[j], size[j]), <real>0)
    return not has(unfit, <real>1)


cdef inline bint are_sound(const real *best, const real *size, const double *sums, const double *rest,
                           const real *largest) noexcept nogil:
    """Whether each column's sum is sound, or that of nothing."""
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
        sound[j] = one_if(is_sound(sums[j], rest[j], most[j]), <double>0)
    for j in range(width):
        unsound |= none[j] + sound[j] == 0
    return not unsound


cdef bint add_tile_block(WeightedSum *sum, Py_ssize_t first, bint any_size, const real *a, Py_ssize_t ld, const real *b,
                         Py_ssize_t b_ld, Py_ssize_t rows, const real *best, const real *size,
                         const real *least) noexcept nogil:
    """add_row_block for as many columns as there are lanes, each with a reference of its own."""
    cdef Py_ssize_t width = lanes_of(a), j
    cdef WeightedLanes moved
    cdef WeightedColumn column
    cdef real reference[LANES]
    cdef real exponent[LANES]
    cdef real largest[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real bias[LANES]
    cdef double sums[LANES]
    cdef double carries[LANES]
    spread(<real>0, exponent)
    if any_size or not raised_weighted(sum, first, best, &moved):
        for j in range(width):
            if any_size:
                exponent[j] = exponent_beyond(best[j], a + j, b + j, rows, ld, b_ld)
            take_weighted(sum, first + j, &column)
            move_weighted(&column, best[j], exponent[j])
            moved.reference[j], moved.exponent[j] = column.reference, column.exponent
            moved.sum[j], moved.sum_low[j] = column.sum, column.sum_low
    for j in range(width):
        reference[j] = finite_reference(<real>moved.reference[j])
    for j in range(width):
        weighted_shifts_of(reference[j], <real>moved.exponent[j], any_size, &shift[j], &magic[j], &floor[j])
    for j in range(width):
        largest[j] = largest_term(best[j], size[j], shift[j], magic[j] + exponent[j])
        bias[j] = bias_of(largest[j], least[j])
        sums[j] = 0
        carries[j] = 0
    sum_weighted(any_size, a, ld, b, b_ld, rows, shift, magic, floor, bias, next_rows(rows, ld, best[0]), sums,
                 carries)
    if any_size:
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


cdef void reduce_weighted_tile(State *state, const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                               Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(a), block, group, first
    cdef bint done
    cdef WeightedSum *sum = weighted_of(state)
    cdef real top[LANES]
    cdef real high[LANES]
    cdef real low[LANES]
    while rows > 0:
        block = min_of(rows, WEIGHTED_TILE_BLOCK_ROWS)
        for group in range((columns + width - 1)//width):
            first = group*width
            done = scan_columns(a + first, ld, b + first, b_ld, block, sum.reference + first, top, high, low)
            if done:
                done = add_tile_block(sum, first, False, a + first, ld, b + first, b_ld, block, top, high, low)
            if not done:
                spread(<real>-INFINITY, top)
                max_weighted_lanes(a + first, ld, b + first, b_ld, block, top)
                spread(<real>1, high)
                add_tile_block(sum, first, True, a + first, ld, b + first, b_ld, block, top, high, low)
        a += block*ld
        b += block*b_ld
        rows -= block


cdef bint weighted_logsumexp_tile(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                  Py_ssize_t columns, real *out) noexcept nogil:
    """At once, with the bits of reduce_weighted_tile and finish; False if a column needs weights of any size."""
    cdef Py_ssize_t width = lanes_of(a), group, first, j
    cdef real top[LANES]
    cdef real size[LANES]
    cdef real least[LANES]
    cdef real reference[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real largest[LANES]
    cdef real bias[LANES]
    cdef real shift[TILE_COLUMNS]
    cdef real exponent[TILE_COLUMNS]
    cdef double nothing[LANES]
    cdef double sums[TILE_COLUMNS]
    cdef double carries[TILE_COLUMNS]
    cdef double total, log_sum, log_sum_low
    columns = filled(columns, width)
    for j in range(width):
        nothing[j] = 0
    for group in range(columns//width):
        first = group*width
        if not scan_columns(a + first, ld, b + first, b_ld, rows, nothing, top, size, least):
            return False
        for j in range(width):
            reference[j] = finite_reference(top[j])
        for j in range(width):
            shifts_of(reference[j], &shift[first + j], &magic[j], &floor[j])
            exponent[first + j] = magic_of(<real>0) - magic[j]
        for j in range(width):
            largest[j] = largest_term(top[j], size[j], shift[first + j], magic[j])
            bias[j] = bias_of(largest[j], least[j])
            sums[first + j] = 0
            carries[first + j] = 0
        sum_weighted(False, a + first, ld, b + first, b_ld, rows, shift + first, magic, floor, bias, 0, sums + first,
                     carries + first)
        if not are_sound(top, size, sums + first, nothing, largest):
            return False
    for j in range(columns):
        log_sum = weighted_log_of(sums[j], carries[j], exponent[j], &total, &log_sum_low)
        out[j] = <real>weighted_value(shift[j], log_sum, log_sum_low, total, False)
    return True
