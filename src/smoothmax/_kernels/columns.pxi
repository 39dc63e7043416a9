# Columns summed from a guess at their top, each element read once. Those of a top that was not foreseen are summed
# again, alone: what a column's neighbours are must not show in its bits.

cdef inline real guess_of_top(const real *x, Py_ssize_t ld, Py_ssize_t rows) noexcept nogil:
    """The largest of three elements, if that is finite: the top is probably not far above."""
    cdef real first = x[0], middle = x[rows//2*ld], last = x[(rows - 1)*ld]
    cdef real reference = first if first > middle else middle
    reference = last if last > reference else reference
    return reference if magnitude(reference) < INFINITY else 0


cdef inline void sum_below_top(const real *x, Py_ssize_t ld, Py_ssize_t rows, Terms terms, const real *shift,
                               const real *magic, const real *floor, Py_ssize_t ahead, const real *out,
                               Py_ssize_t out_ld, real *top, real *totals, real *carries) noexcept nogil:
    """sum_below_top_lanes, which subtracts nothing where all shifts are 0."""
    cdef Py_ssize_t j
    cdef int far = 0
    for j in range(lanes_of(x)):
        far |= shift[j] != 0
    if far:
        sum_below_top_lanes(x, ld, rows, False, terms, shift, magic, floor, ahead, out, out_ld, top, totals, carries)
    else:
        sum_below_top_lanes(x, ld, rows, True, terms, shift, magic, floor, ahead, out, out_ld, top, totals, carries)


cdef void replace_unforeseen(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *shift, const real *magic,
                             real *top, real *totals, real *carries, real *counts) noexcept nogil:
    """Sum the columns anew whose top was not foreseen."""
    cdef Py_ssize_t j
    cdef real tops[LANES]
    cdef real sums[LANES]
    cdef real lows[LANES]
    cdef real equal[LANES]
    cdef bint kept
    spread(<real>-INFINITY, tops)
    max_lanes(x, ld, rows, tops)
    sum_drops_lanes(x, ld, rows, tops, True, False, 0, <real *>NULL, 0, sums, lows, equal)
    for j in range(lanes_of(x)):
        kept = has_room(top[j], shift[j], magic[j])
        totals[j] = totals[j] if kept else sums[j]
        carries[j] = carries[j] if kept else lows[j]
        counts[j] = counts[j] if kept else equal[j]
        top[j] = top[j] if kept else tops[j]


cdef inline void sum_from_top(const real *x, Py_ssize_t ld, Py_ssize_t rows, Terms terms, Py_ssize_t ahead,
                              const real *out, Py_ssize_t out_ld, real *top, real *totals, real *carries,
                              real *counts) noexcept nogil:
    """The largest of each column and what sum_drops_lanes makes of it, read once: divided by exp(top)."""
    cdef Py_ssize_t j
    cdef int foreseen = 1
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real head, tail, scale, p, p_low, total, low, inverse, quotient, product
    cdef real unscaled = <real>1/scaled_one(x[0])
    for j in range(lanes_of(x)):
        lowered_shifts_of(guess_of_top(x + j, ld, rows), room(x[0]), &shift[j], &magic[j], &floor[j])
        top[j] = x[j]
    sum_below_top(x + ld, ld, rows - 1, terms, shift, magic, floor, ahead, out, out_ld, top, totals, carries)
    for j in range(lanes_of(x)):
        split_exp(top[j] - shift[j], magic[j], &head, &tail, &scale)
        scale *= unscaled
        p = (head + tail)*scale
        p_low = ((head - (head + tail)) + tail)*scale
        total = sum_in_two(totals[j], carries[j], &low)
        inverse = <real>1/p
        quotient = total*inverse
        product = quotient*p
        totals[j] = quotient
        carries[j] = (((total - product) - product_error(quotient, p, product)) + (low - quotient*p_low))*inverse
        counts[j] = 1
    for j in range(lanes_of(x)):
        foreseen &= has_room(top[j], shift[j], magic[j])
    if not foreseen:
        replace_unforeseen(x, ld, rows, shift, magic, top, totals, carries, counts)


cdef inline bint can_join(real top, real shift, real magic) noexcept nogil:
    """Whether its sum can be joined to a state of that top: by a power of two."""
    return has_room(top, shift, magic) & (shift_of(top) == shift)


cdef void join_unforeseen(State *state, Py_ssize_t first, const real *x, Py_ssize_t ld, Py_ssize_t rows,
                          const real *shift, const real *magic, real *top, real *totals, real *carries) noexcept nogil:
    """Sum the block anew for the columns whose top was not foreseen, and join that.

    top, totals and carries become those of nothing.
    """
    cdef Py_ssize_t j
    cdef real tops[LANES]
    cdef real shifts[LANES]
    cdef real magics[LANES]
    cdef real floors[LANES]
    cdef double sums[LANES]
    cdef real lows[LANES]
    cdef real counts[LANES]
    for j in range(lanes_of(x)):
        tops[j] = <real>state.sum.maximum[first + j]
    max_lanes(x, ld, rows, tops)
    for j in range(lanes_of(x)):
        shifts_of(tops[j], &shifts[j], &magics[j], &floors[j])
        sums[j] = 0
        lows[j] = 0
        counts[j] = 0
    sum_lanes(x, ld, rows, tops, shifts, magics, floors, sums, lows, counts)
    for j in range(lanes_of(x)):
        if not can_join(top[j], shift[j], magic[j]):
            if tops[j] > state.sum.maximum[first + j]:
                raise_maximum(&state.sum, first + j, tops[j])
            join(&state.sum, first + j, sums[j], lows[j], counts[j])
            top[j] = -INFINITY
            totals[j] = 0
            carries[j] = 0


cdef inline void take_tops(State *state, Py_ssize_t first, const real *top) noexcept nogil:
    """Let a block's tops be the state's. Its sum began from the old top and has that once, where it was surpassed."""
    cdef Py_ssize_t j
    cdef int raised = 0, old = 0
    for j in range(lanes_of(top)):
        raised |= top[j] > state.sum.maximum[first + j]
        old |= state.sum.count[first + j] > 0
    if raised and old:
        for j in range(lanes_of(top)):
            if top[j] > state.sum.maximum[first + j]:
                state.sum.count[first + j] -= 1 if state.sum.count[first + j] > 0 else 0
                raise_maximum(&state.sum, first + j, top[j])
                state.sum.count[first + j] = 1
    elif raised:
        for j in range(lanes_of(top)):
            state.sum.count[first + j] = 1 if top[j] > state.sum.maximum[first + j] else 0
            state.sum.maximum[first + j] = (
                top[j] if top[j] > state.sum.maximum[first + j] else state.sum.maximum[first + j])


cdef inline void reduce_columns(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                Terms terms) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef int foreseen
    cdef double total, error, power
    cdef real reference
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BLOCK_BYTES//(TILE_COLUMNS*sizeof(real)))
        for group in range((columns + width - 1)//width):
            first = group*width
            for j in range(width):
                top[j] = <real>state.sum.maximum[first + j]
                reference = guess_of_top(x + first + j, ld, block)
                reference = top[j] if magnitude(top[j]) < INFINITY else reference
                lowered_shifts_of(reference, room(reference), &shift[j], &magic[j], &floor[j])
            sum_below_top(x + first, ld, block, terms, shift, magic, floor, block*ld, <real *>NULL, 0, top,
                          totals, carries)
            foreseen = 1
            for j in range(width):
                foreseen &= can_join(top[j], shift[j], magic[j])
            if not foreseen:
                join_unforeseen(state, first, x + first, ld, block, shift, magic, top, totals, carries)
            take_tops(state, first, top)
            for j in range(width):
                total = two_sum(totals[j], carries[j], &error)
                power = power_to_state(top[j], shift[j], magic[j])
                join(&state.sum, first + j, total*power, error*power, 0)
        x += block*ld
        rows -= block
