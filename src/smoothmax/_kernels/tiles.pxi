# Tiles: columns reduced each on its own, as many side by side as there are lanes, a block of rows at a time.

cdef inline real first_reference(const real *x, Py_ssize_t ld, Py_ssize_t rows) noexcept nogil:
    """What the largest of a column is probably not far above: the largest of three elements, if that is finite."""
    cdef real first = x[0], middle = x[rows//2*ld], last = x[(rows - 1)*ld]
    cdef real reference = first if first > middle else middle
    reference = last if last > reference else reference
    return reference if magnitude(reference) < INFINITY else 0


cdef inline void sum_below_top(const real *x, Py_ssize_t ld, Py_ssize_t rows, Terms terms, const real *shift,
                               const real *magic, const real *floor, const real *soon, Py_ssize_t soon_ld, real *top,
                               real *totals, real *carries) noexcept nogil:
    cdef Py_ssize_t j
    cdef int far = 0
    for j in range(lanes_of(x)):
        far |= shift[j] != 0
    if far:
        sum_below_top_lanes(x, ld, rows, False, terms, shift, magic, floor, soon, soon_ld, top, totals, carries)
    else:
        sum_below_top_lanes(x, ld, rows, True, terms, shift, magic, floor, soon, soon_ld, top, totals, carries)


cdef void replace_columns(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *shift, const real *magic,
                          real *top, real *totals, real *carries, real *counts) noexcept nogil:
    """Sum anew those whose top was not foreseen; the bits of the others must not show it."""
    cdef Py_ssize_t j
    cdef real tops[LANES]
    cdef real sums[LANES]
    cdef real lows[LANES]
    cdef real equal[LANES]
    cdef bint kept
    spread(<real>-INFINITY, tops)
    max_lanes(x, ld, rows, tops)
    sum_drops_lanes(x, ld, rows, tops, True, False, <real *>NULL, 0, sums, lows, equal)
    for j in range(lanes_of(x)):
        kept = has_room(top[j], shift[j], magic[j])
        totals[j] = totals[j] if kept else sums[j]
        carries[j] = carries[j] if kept else lows[j]
        counts[j] = counts[j] if kept else equal[j]
        top[j] = top[j] if kept else tops[j]


cdef inline void sum_from_top(const real *x, Py_ssize_t ld, Py_ssize_t rows, Terms terms, const real *soon,
                              Py_ssize_t soon_ld, real *top, real *totals, real *carries,
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
        raised_shifts_of(first_reference(x + j, ld, rows), &shift[j], &magic[j], &floor[j])
        top[j] = x[j]
    sum_below_top(x + ld, ld, rows - 1, terms, shift, magic, floor, soon, soon_ld, top, totals, carries)
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
        replace_columns(x, ld, rows, shift, magic, top, totals, carries, counts)


cdef inline bint stays(real top, real shift, real magic) noexcept nogil:
    """Whether the sum can be joined to a state of that top."""
    return has_room(top, shift, magic) & (shift_of(top) == shift)


cdef void join_unforeseen(State *state, Py_ssize_t first, const real *x, Py_ssize_t ld, Py_ssize_t rows,
                          const real *shift, const real *magic, real *top, real *totals, real *carries) noexcept nogil:
    """A block of those columns whose top was not foreseen, of which nothing is left to join.

    Only of those: the bits of the others must not show it.
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
        tops[j] = <real>state.top[first + j]
    max_lanes(x, ld, rows, tops)
    for j in range(lanes_of(x)):
        shifts_of(tops[j], &shifts[j], &magics[j], &floors[j])
        sums[j] = 0
        lows[j] = 0
        counts[j] = 0
    sum_lanes(x, ld, rows, tops, shifts, magics, floors, sums, lows, counts)
    for j in range(lanes_of(x)):
        if not stays(top[j], shift[j], magic[j]):
            if tops[j] > state.top[first + j]:
                raise_top(state, first + j, tops[j])
            join(state, first + j, sums[j], lows[j], counts[j])
            top[j] = -INFINITY
            totals[j] = 0
            carries[j] = 0


cdef inline void take_tops(State *state, Py_ssize_t first, const real *top) noexcept nogil:
    """The tops of a block; where that is a new one, the old one is in the block's sum, once."""
    cdef Py_ssize_t j
    cdef int raised = 0, old = 0
    for j in range(lanes_of(top)):
        raised |= top[j] > state.top[first + j]
        old |= state.count[first + j] > 0
    if raised and old:
        for j in range(lanes_of(top)):
            if top[j] > state.top[first + j]:
                state.count[first + j] -= 1 if state.count[first + j] > 0 else 0
                raise_top(state, first + j, top[j])
                state.count[first + j] = 1
    elif raised:
        for j in range(lanes_of(top)):
            state.count[first + j] = 1 if top[j] > state.top[first + j] else 0
            state.top[first + j] = top[j] if top[j] > state.top[first + j] else state.top[first + j]


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
        block = min_of(rows, TILE_BYTES//(COLUMNS*sizeof(real)))    # longer ones fetch too far ahead where rows alias
        for group in range((columns + width - 1)//width):
            first = group*width
            for j in range(width):
                top[j] = <real>state.top[first + j]
                reference = first_reference(x + first + j, ld, block)
                raised_shifts_of(top[j] if magnitude(top[j]) < INFINITY else reference, &shift[j], &magic[j],
                                 &floor[j])
            sum_below_top(x + first, ld, block, terms, shift, magic, floor, x + first + block*ld, ld, top, totals,
                          carries)
            foreseen = 1
            for j in range(width):
                foreseen &= stays(top[j], shift[j], magic[j])
            if not foreseen:
                join_unforeseen(state, first, x + first, ld, block, shift, magic, top, totals, carries)
            take_tops(state, first, top)
            for j in range(width):
                total = two_sum(totals[j], carries[j], &error)
                power = lowering(top[j], shift[j], magic[j])
                join(state, first + j, total*power, error*power, 0)
        x += block*ld
        rows -= block


cdef void reduce_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld, Py_ssize_t rows,
                      Py_ssize_t columns) noexcept nogil:
    reduce_columns(state, x, ld, rows, columns, EXACT)


cdef void reduce_tile_roughly(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                              Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    reduce_columns(state, x, ld, rows, columns, ROUNDED)


cdef void reduce_softmax_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                              Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """The sums of all exponentials, the tops' too, in rest + carry."""
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef double error
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BYTES//(COLUMNS*sizeof(real)))
        for group in range((columns + width - 1)//width):
            first = group*width
            spread(<real>-INFINITY, top)
            max_lanes(x + first, ld, block, top)
            for j in range(width):
                move_top(state, first + j, top[j])
            for j in range(width):
                shifts_of(finite_reference(<real>state.top[first + j]), &shift[j], &magic[j], &floor[j])
                sums[j] = 0
                carries[j] = 0
            exp_lanes(x + first, ld, block, shift, magic, floor, False, next_rows(block, ld, x[0])*ld,
                      top, width, sums, carries)
            for j in range(width):
                sums[j] = two_sum(sums[j], carries[j], &error)
                join(state, first + j, sums[j], error, 0)
        x += block*ld
        rows -= block


cdef inline Py_ssize_t filled(Py_ssize_t columns, Py_ssize_t width) noexcept nogil:
    """The least multiple of the lanes that has room for so many columns."""
    return (columns + width - 1)//width*width


# The last group of lanes begins early enough to end with the columns, and does some of the last but one's again; where
# results take the place of elements that cannot be, and there is room for whole groups.

cdef inline Py_ssize_t columns_to_do(const real *x, const real *out, Py_ssize_t columns) noexcept nogil:
    return filled(columns, lanes_of(x)) if x == out else columns


cdef inline Py_ssize_t first_column(Py_ssize_t group, Py_ssize_t width, Py_ssize_t columns) noexcept nogil:
    return columns - width if (group + 1)*width > columns > width else group*width


cdef void softmax_of_many(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                          real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef double inverse, inverse_low, error
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real one_above[LANES]
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        spread(<real>-INFINITY, top)
        max_lanes(x + first, ld, rows, top)
        for j in range(width):
            shifts_of(top[j], &shift[j], &magic[j], &floor[j])
            sums[j] = 0
            carries[j] = 0
        exp_lanes(x + first, ld, rows, shift, magic, floor, True, 0, out + first, out_ld, sums, carries)
        for j in range(width):
            sums[j] = two_sum(sums[j], carries[j], &error)
            invert(sums[j], error, &inverse, &inverse_low)
            split_inverse(inverse, inverse_low, &scale[j], &scale_low[j])
            one_above[j] = one_above_of(top[j], False, sums[j], error)
        scale_lanes(out + first, out_ld, rows, scale, scale_low, one_above)


cdef void softmax_of_few(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                         real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real error
    cdef real top[LANES]
    cdef real totals[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    cdef real inverse[LANES]
    cdef real inverse_low[LANES]
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        spread(<real>-INFINITY, top)
        max_lanes(x + first, ld, rows, top)
        sum_drops_lanes(x + first, ld, rows, top, False, True, out + first, out_ld, totals, carries, counts)
        for j in range(width):
            totals[j] = sum_in_two(totals[j], carries[j], &error)
            invert(totals[j], error, &inverse[j], &inverse_low[j])
        multiply_lanes(out + first, out_ld, rows, inverse, inverse_low)


cdef void softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                       real *out, Py_ssize_t out_ld) noexcept nogil:
    columns = columns_to_do(x, out, columns)
    if rows <= FEW_ROWS:
        softmax_of_few(x, ld, rows, columns, out, out_ld)
    else:
        softmax_of_many(x, ld, rows, columns, out, out_ld)


cdef void write_softmax_tile(const State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                             Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    cdef real one_above[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            shifts_of(<real>state.top[first + j], &shift[j], &magic[j], &floor[j])
            split_inverse(state.inverse[first + j], state.inverse_low[first + j], &scale[j], &scale_low[j])
            one_above[j] = <real>state.one_above[first + j]
        softmax_lanes(x + first, ld, rows, shift, magic, floor, scale, scale_low, one_above, out + first, out_ld)


cdef void write_log_softmax_tile(const State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                                 Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real top[LANES]
    cdef real log_sum[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            top[j] = <real>state.top[first + j]
            log_sum[j] = <real>state.log_sum[first + j]
        log_softmax_lanes(x + first, ld, rows, top, log_sum, out + first, out_ld)


# At once: few rows, so that all of it stays in L1, and one group of lanes is done from elements to results.

cdef inline real log_of_scaled(real count, real total, real carry, real *low) noexcept nogil:
    """log(count + (total + carry)/2**OFFSET) and what rounding lost."""
    cdef real error, unscaled = <real>1/scaled_one(total), rest = sum_in_two(total, carry, &error)
    return split_log(count, rest*unscaled, error*unscaled, <real>0, low)


cdef inline Py_ssize_t few_terms(Terms terms) noexcept nogil:
    return FEW_ROUNDED if terms == ROUNDED else FEW_EXACT


cdef inline void log_sums_at_once(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, Terms terms,
                                  const real *room, Py_ssize_t room_ld, real *top, real *log_sum,
                                  real *log_sum_low) noexcept nogil:
    """All sums come before all logarithms, which wait for each other less then."""
    cdef Py_ssize_t width = lanes_of(x), groups = (columns + width - 1)//width, group, first, j
    cdef Py_ssize_t whole = columns//width*width
    cdef real totals[COLUMNS]
    cdef real carries[COLUMNS]
    cdef real counts[COLUMNS]
    for group in range(groups):
        first = first_column(group, width, columns)
        if rows < few_terms(terms):
            spread(<real>-INFINITY, top + first)
            max_lanes(x + first, ld, rows, top + first)
            sum_drops_lanes(x + first, ld, rows, top + first, True, False, <real *>NULL, 0, totals + first,
                            carries + first, counts + first)
        else:
            sum_from_top(x + first, ld, rows, terms, room + first, room_ld, top + first, totals + first,
                         carries + first, counts + first)
    for j in range(whole):
        log_sum[j] = log_of_scaled(counts[j], totals[j], carries[j], &log_sum_low[j])
    if whole < columns:
        first = first_column(groups - 1, width, columns)
        for j in range(first, first + width):
            log_sum[j] = log_of_scaled(counts[j], totals[j], carries[j], &log_sum_low[j])


cdef void logsumexp_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                         Py_ssize_t _) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), whole = columns//width*width, first, j
    cdef real top[COLUMNS]
    cdef real log_sum[COLUMNS]
    cdef real log_sum_low[COLUMNS]
    log_sums_at_once(x, ld, rows, columns, EXACT, x, 0, top, log_sum, log_sum_low)
    for j in range(whole):
        out[j] = shifted(top[j], log_sum[j], log_sum_low[j])
    if whole < columns:
        first = first_column(whole//width, width, columns)
        for j in range(first, first + width):
            out[j] = shifted(top[j], log_sum[j], log_sum_low[j])


cdef void log_softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                           Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first
    cdef real top[COLUMNS]
    cdef real log_sum[COLUMNS]
    cdef real log_sum_low[COLUMNS]
    columns = columns_to_do(x, out, columns)
    log_sums_at_once(x, ld, rows, columns, ROUNDED, out, next_rows(out_ld, out_ld, x[0]), top, log_sum, log_sum_low)
    for group in range((columns + width - 1)//width):
        first = first_column(group, width, columns)
        log_softmax_lanes(x + first, ld, rows, top + first, log_sum + first, out + first, out_ld)
