# logcumsumexp
#
#     out[i] = log(sum_{j <= i} exp(x[j]));   exclusive: j < i
#
# Error: 1.5 ULP of each prefix, counted as for logsumexp. The exponentials are summed relative to a reference that is
# the maximum of all elements up to the end of a block, never of a single prefix:
#
#     out[i] = c + (N log(2) + log(s)),    c and N the shift and exponent of the reference (math/shift.pxi),
#                                          s = sum_{j <= i} exp(x[j] - c) 2**(OFFSET - N)
#
# c is 0 or a multiple of GRID, and N log(2) has more digits than a result shows. So even if the reference is far above
# a prefix, its logarithm keeps all digits, as long as s stays in range: see scan_range().
#
# 1. Find the block's maximum. If its first prefix lies so far below the maximum that terms might vanish which count in
#    that prefix, take a smaller block: one row of lanes, then one element at a time.
# 2. Move the sum so far to the new reference, mostly by a power of two.
# 3. Sum the block by itself, in three parts. The sum so far is added to each of these sums once, so that 10^7 equal
#    terms are not rounded 10^7 times in the same way.
# 4. Take the logarithm of each sum.
#
# Columns are scanned one row at a time. A row is cut into as many stretches as there are lanes. They are transposed,
# scanned side by side, and the sum before each stretch is added.

cdef enum Placement:        # which prefix belongs to a position:
    INCLUSIVE               # the prefix that ends with its element
    EXCLUSIVE               # the prefix that ends before it


cdef inline real scan_range(real _) noexcept nogil:
    """How far the reference of a block may lie above its first prefix.

    Elements up to VANISH = 745.2 (104) below a prefix count in it. Scaled for the reference, they must still be normal
    numbers: (RANGE + VANISH)/log(2) <= 1022 + OFFSET (126 + 64).
    """
    return <real>20 if real is float else <real>200


cdef inline real finite_or_nothing(real v) noexcept nogil:
    """The element, or -inf in the place of +inf and nan."""
    return v if v < INFINITY else <real>-INFINITY


cdef inline void add_to_parts(real *high, real *middle, real *low, real d, real round_bias) noexcept nogil:
    """Add exp(d) to a sum in three parts."""
    cdef real unused, taken, lost, error, middle_error
    take_term(d, round_bias, EXACT, &unused, &taken, &lost)
    high[0] = sum_in_two(high[0], taken, &error)
    middle[0] = sum_in_two(middle[0], error + lost, &middle_error)
    low[0] += middle_error


cdef inline real log_of_parts(real high, real middle, real low, real shift, real exponent) noexcept nogil:
    """c + log of a sum that is scaled by 2**-exponent; -inf if the sum is 0."""
    cdef real log_low, error, log_sum = split_log(high, middle, low, exponent, &log_low)
    cdef real value = sum_in_two(shift, log_sum, &error)
    value += error + log_low
    return value if high > 0 else <real>-INFINITY


cdef inline void reference_shifts(real reference, real *shift, real *round_bias, real *underflow_below,
                                  real *exponent) noexcept nogil:
    """shifts_of a reference, or of 0 if it is -inf, and the exponent that log_of_parts() needs."""
    shifts_of(finite_reference(reference), shift, round_bias, underflow_below)
    # scaled_one is 2**OFFSET, and round_bias_of(0) - round_bias is N.
    exponent[0] = (round_bias_of(<real>0) - round_bias[0]) - (<real>64 if real is float else <real>512)


# Columns --------------------------------------------------------------------------------------------------------------

cdef inline bint is_in_range(const RunningSum *sum, Py_ssize_t first, const real *x, Py_ssize_t ld, Py_ssize_t rows,
                             Placement placement, Py_ssize_t ahead, real *reference, real *fits) noexcept nogil:
    """The reference of a block for each column, and whether every prefix of the block is in range of it.

    `fits` says for which columns they are. The block that lies `ahead` is prefetched.
    """
    cdef Py_ssize_t i, j
    cdef int all_ = 1, empty = 0
    cdef real m[LANES]
    cdef real lowest[LANES]
    for j in range(lanes_of(x)):
        lowest[j] = <real>sum.reference[first + j]
        m[j] = lowest[j]
    for i in range(rows):
        if ahead:
            prefetch(x + ahead + i*ld, lanes_of(x))
        for j in range(lanes_of(x)):
            m[j] = larger(finite_or_nothing(x[i*ld + j]), m[j])
    for j in range(lanes_of(x)):
        if placement == INCLUSIVE:
            lowest[j] = larger(finite_or_nothing(x[j]), lowest[j])
        reference[j] = m[j]
        empty |= lowest[j] == -INFINITY
    if empty:               # the first prefix that is not empty may be as low as the lowest element
        for j in range(lanes_of(x)):
            lowest[j] = lowest[j] if lowest[j] > -INFINITY else <real>INFINITY
        for i in range(rows):
            for j in range(lanes_of(x)):
                lowest[j] = x[i*ld + j] if (x[i*ld + j] > -INFINITY) & (x[i*ld + j] < lowest[j]) else lowest[j]
    for j in range(lanes_of(x)):
        fits[j] = one_if((reference[j] == -INFINITY) | (lowest[j] >= reference[j] - scan_range(<real>0)), <real>0)
    for j in range(lanes_of(x)):
        all_ &= fits[j] != 0
    return all_


cdef inline void raise_columns(RunningSum *sum, Py_ssize_t first, const real *reference) noexcept nogil:
    """Move columns side by side to their references: multiply by powers of two, unless a shift changes."""
    cdef Py_ssize_t j
    cdef int simple = 1
    cdef double power[LANES]
    cdef real old, shift, new_shift
    cdef RunningColumn column
    for j in range(lanes_of(reference)):
        old = finite_reference(<real>sum.reference[first + j])
        shift, new_shift = shift_of(old), shift_of(finite_reference(reference[j]))
        power[j] = (<double>exponent_of(old - shift)
                    - <double>exponent_of(finite_reference(reference[j]) - new_shift))
        power[j] = 0 if sum.reference[first + j] == -INFINITY else power[j]
        simple &= (sum.reference[first + j] == -INFINITY) | (shift == new_shift) & (power[j] > -1000)
    if simple:
        for j in range(lanes_of(reference)):
            power[j] = power_of_two(power[j])
            sum.high[first + j] *= power[j]
            sum.middle[first + j] *= power[j]
            sum.low[first + j] *= power[j]
            sum.reference[first + j] = reference[j]
        return
    for j in range(lanes_of(reference)):
        take_running(sum, first + j, &column)
        raise_running(&column, reference[j])
        put_running(sum, first + j, &column)


cdef inline void put_prefixes(const RunningSum *sum, Py_ssize_t first, real *out) noexcept nogil:
    """The results of the columns so far, each relative to its own reference."""
    cdef Py_ssize_t j
    cdef real reference, shift, round_bias, underflow_below, exponent, high, middle, low, value
    for j in range(lanes_of(out)):
        reference_shifts(<real>sum.reference[first + j], &shift, &round_bias, &underflow_below, &exponent)
        split_parts(sum.high[first + j], sum.middle[first + j], sum.low[first + j], &high, &middle, &low)
        value = log_of_parts(high, middle, low, shift, exponent)
        out[j] = value if high < INFINITY else high


cdef inline void scan_block_of_columns(RunningSum *sum, Py_ssize_t first, const real *x, Py_ssize_t ld,
                                       Py_ssize_t rows, const real *reference, Placement placement, real *out,
                                       Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double special
    cdef real high, middle, low, v, value
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real exponent[LANES]
    cdef real before[LANES]
    cdef real before_middle[LANES]
    cdef real before_low[LANES]
    cdef real block[LANES]
    cdef real block_middle[LANES]
    cdef real block_low[LANES]
    cdef real undefined[LANES]      # inf or nan after the first of them, else 0
    cdef real y[LANES]
    cdef double total, total_middle, total_low
    for j in range(lanes_of(x)):
        special = sum.high[first + j] if not is_finite(sum.high[first + j]) else <double>0
        undefined[j] = <real>special
        sum.high[first + j] = sum.high[first + j] if special == 0 else <double>0
    raise_columns(sum, first, reference)
    for j in range(lanes_of(x)):
        reference_shifts(reference[j], &shift[j], &round_bias[j], &underflow_below[j], &exponent[j])
        split_parts(sum.high[first + j], sum.middle[first + j], sum.low[first + j], &before[j], &before_middle[j],
                    &before_low[j])
        block[j] = 0
        block_middle[j] = 0
        block_low[j] = 0
    for i in range(rows):
        for j in range(lanes_of(x)):
            v = x[i*ld + j]
            if placement == EXCLUSIVE:
                join_parts(before[j], before_middle[j], before_low[j], block[j], block_middle[j], block_low[j], &high,
                           &middle, &low)
                value = log_of_parts(high, middle, low, shift[j], exponent[j])
                y[j] = undefined[j] if undefined[j] != 0 else value
            undefined[j] += <real>0 if v < INFINITY else v
            v = at_least(finite_or_nothing(v) - shift[j], underflow_below[j])
            add_to_parts(&block[j], &block_middle[j], &block_low[j], v, round_bias[j])
            if placement == INCLUSIVE:
                join_parts(before[j], before_middle[j], before_low[j], block[j], block_middle[j], block_low[j], &high,
                           &middle, &low)
                value = log_of_parts(high, middle, low, shift[j], exponent[j])
                y[j] = undefined[j] if undefined[j] != 0 else value
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]
    for j in range(lanes_of(x)):
        join_parts(sum.high[first + j], sum.middle[first + j], sum.low[first + j], <double>block[j],
                   <double>block_middle[j], <double>block_low[j], &total, &total_middle, &total_low)
        normalise_parts(&total, &total_middle, &total_low)
        sum.high[first + j] = total if undefined[j] == 0 else <double>undefined[j]
        sum.middle[first + j] = total_middle
        sum.low[first + j] = total_low


cdef void take_lanes(const RunningSum *sum, Py_ssize_t first, RunningColumn *columns, real _) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(LANES_F32 if real is float else LANES_F64):
        take_running(sum, first + j, &columns[j])


cdef void scan_rows_one_by_one(RunningSum *sum, Py_ssize_t first, const real *x, Py_ssize_t ld, Py_ssize_t rows,
                               const real *reference, const real *fits, Placement placement, real *out,
                               Py_ssize_t out_ld) noexcept nogil:
    """Scan a block in which some columns are out of range. The bits of the other columns do not change."""
    cdef Py_ssize_t i, j, width = lanes_of(x)
    cdef real single[LANES]
    cdef real unused[LANES]
    cdef real at_once[SCAN_BLOCK_ROWS*LANES]
    cdef real by_row[SCAN_BLOCK_ROWS*LANES]
    cdef RunningColumn before[LANES]
    cdef RunningColumn after[LANES]
    take_lanes(sum, first, before, <real>0)
    scan_block_of_columns(sum, first, x, ld, rows, reference, placement, at_once, width)
    take_lanes(sum, first, after, <real>0)
    for j in range(lanes_of(x)):
        put_running(sum, first + j, &before[j])
    for i in range(rows):
        is_in_range(sum, first, x + i*ld, ld, 1, INCLUSIVE, NO_PREFETCH, single, unused)
        if placement == EXCLUSIVE:      # relative to the reference so far, because the element may be far above it
            put_prefixes(sum, first, by_row + i*width)
            scan_block_of_columns(sum, first, x + i*ld, ld, 1, single, placement, unused, width)
        else:
            scan_block_of_columns(sum, first, x + i*ld, ld, 1, single, placement, by_row + i*width, width)
    for i in range(rows):
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = at_once[i*width + j] if fits[j] != 0 else by_row[i*width + j]
    for j in range(lanes_of(x)):
        if fits[j] != 0:
            put_running(sum, first + j, &after[j])


cdef inline void scan_columns_of(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                 Placement placement, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, block, ahead
    cdef RunningSum *sum = &state.sum.running
    cdef real reference[LANES]
    cdef real fits[LANES]
    while rows > 0:
        block = min_of(rows, SCAN_BLOCK_ROWS)
        ahead = block*ld if rows >= 2*SCAN_BLOCK_ROWS else NO_PREFETCH
        for group in range((columns + width - 1)//width):
            first = group*width
            if is_in_range(sum, first, x + first, ld, block, placement, ahead, reference, fits):
                scan_block_of_columns(sum, first, x + first, ld, block, reference, placement, out + first, out_ld)
            else:
                scan_rows_one_by_one(sum, first, x + first, ld, block, reference, fits, placement, out + first, out_ld)
        x += block*ld
        out += block*out_ld
        rows -= block


cdef void scan_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld, Py_ssize_t rows,
                    Py_ssize_t columns, real *out, Py_ssize_t out_ld, Py_ssize_t __) noexcept nogil:
    scan_columns_of(state, x, ld, rows, columns, INCLUSIVE, out, out_ld)


cdef void exclusive_scan_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                              Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                              Py_ssize_t __) noexcept nogil:
    scan_columns_of(state, x, ld, rows, columns, EXCLUSIVE, out, out_ld)


# Rows -----------------------------------------------------------------------------------------------------------------

cdef inline void sum_before_lanes(real *high, real *middle, real *low, real *last_high, real *last_middle,
                                  real *last_low) noexcept nogil:
    """Turn the sum of each lane into the sum of all lanes before it; last_* becomes the sum of all lanes.

    The arrays have twice the lanes. The lower half is 0: nothing lies before the first lane.
    """
    cdef Py_ssize_t j, step = 1, width = lanes_of(high)
    cdef real h[LANES]
    cdef real m[LANES]
    cdef real l[LANES]
    while step < width:
        for j in range(lanes_of(high)):
            join_parts(high[width + j], middle[width + j], low[width + j], high[width + j - step],
                       middle[width + j - step], low[width + j - step], &h[j], &m[j], &l[j])
        for j in range(lanes_of(high)):
            high[width + j] = h[j]
            middle[width + j] = m[j]
            low[width + j] = l[j]
        step *= 2
    last_high[0], last_middle[0], last_low[0] = high[2*width - 1], middle[2*width - 1], low[2*width - 1]
    for j in range(lanes_of(high)):
        h[j] = high[width + j - 1]
        m[j] = middle[width + j - 1]
        l[j] = low[width + j - 1]
    for j in range(lanes_of(high)):
        high[j] = h[j]
        middle[j] = m[j]
        low[j] = l[j]


cdef inline Py_ssize_t usable_block(const real *x, Py_ssize_t n, real reference, Placement placement,
                                    real *maximum) noexcept nogil:
    """How many elements the next block takes: 0 if the first is +inf or nan. `maximum` becomes that of the block.
No block contains +inf or nan. No block has a prefix that is out of range of the maximum, unless it is a single element.
    """
    cdef Py_ssize_t width = lanes_of(x), j, i, rows
    cdef real m[LANES]
    cdef real unfit[LANES]
    cdef real first = larger(reference, x[0]) if placement == INCLUSIVE else reference, lowest
    cdef int found
    while True:
        found = 0
        rows = n//width
        spread(reference, m)
        spread(<real>0, unfit)
        for i in range(rows):
            for j in range(lanes_of(x)):
                unfit[j] += one_if(not x[i*width + j] < INFINITY, <real>0)
                m[j] = larger(x[i*width + j], m[j])
        for j in range(lanes_of(x)):
            found |= unfit[j] != 0
        maximum[0] = max_of_lanes(m)
        for i in range(rows*width, n):
            found |= not x[i] < INFINITY
            maximum[0] = larger(x[i], maximum[0])
        if found:
            n = 0
            while x[n] < INFINITY:
                n += 1
            if n == 0:
                return 0
            continue
        if maximum[0] == -INFINITY:
            return n
        lowest = first
        if first == -INFINITY:  # the first prefix that is not empty may be as low as the lowest element
            lowest = maximum[0]
            for i in range(n):
                lowest = x[i] if -INFINITY < x[i] < lowest else lowest
        if n == 1 or lowest >= maximum[0] - scan_range(<real>0):
            return n
        n = width if n > width else 1


cdef void scan_each_lane(const real *turned, Py_ssize_t rows, real reference, Placement placement, real *high,
                         real *middle, real *low, real *before, real *before_middle, real *before_low,
                         real *all_) noexcept nogil:
    """Scan each lane by itself, and compute the sum of the lanes before it; all_ becomes the total in three parts."""
    cdef Py_ssize_t width = lanes_of(turned), i, j
    cdef real h[LANES]
    cdef real m[LANES]
    cdef real l[LANES]
    cdef real shift, round_bias, underflow_below, exponent, d
    reference_shifts(reference, &shift, &round_bias, &underflow_below, &exponent)
    for j in range(lanes_of(turned)):
        h[j] = 0
        m[j] = 0
        l[j] = 0
        before[j] = 0
        before_middle[j] = 0
        before_low[j] = 0
    for i in range(rows):
        if placement == EXCLUSIVE:
            for j in range(lanes_of(turned)):
                high[i*width + j] = h[j]
                middle[i*width + j] = m[j]
                low[i*width + j] = l[j]
        for j in range(lanes_of(turned)):
            d = at_least(turned[i*width + j] - shift, underflow_below)
            add_to_parts(&h[j], &m[j], &l[j], d, round_bias)
        if placement == INCLUSIVE:
            for j in range(lanes_of(turned)):
                high[i*width + j] = h[j]
                middle[i*width + j] = m[j]
                low[i*width + j] = l[j]
    for j in range(lanes_of(turned)):
        before[width + j] = h[j]
        before_middle[width + j] = m[j]
        before_low[width + j] = l[j]
    sum_before_lanes(before, before_middle, before_low, all_, all_ + 1, all_ + 2)


cdef bint seen_from(RunningColumn *column, real reference) noexcept nogil:
    """Scale a sum for another reference; returns False if that is too far below the present one."""
    cdef real old = <real>column.reference, exponent
    cdef double power
    if not old > reference:
        raise_running(column, reference)
        return True
    exponent = exponent_of(old - shift_of(old)) - exponent_of(finite_reference(reference) - shift_of(reference))
    if reference == -INFINITY or shift_of(old) != shift_of(reference) or exponent > SCAN_LOWER_EXPONENTS:
        return False
    power = power_of_two(exponent)
    column.reference = reference
    column.high *= power
    column.middle *= power
    column.low *= power
    return True


cdef void scan_block_of_row(RunningColumn *run, const RunningColumn *base, const real *x, Py_ssize_t n, real reference,
                            Placement placement, real *out) noexcept nogil:
    """Scan up to SCAN_BLOCK_ROWS rows of lanes.

    `run` is the sum of the piece so far, `base` that of all earlier pieces. `run` does not depend on `base`, so that
    threads can sum all pieces before any base is known.
    """
    cdef Py_ssize_t width = lanes_of(x), rows = (n + width - 1)//width, i, j
    cdef bint whole = rows*width == n
    cdef real padded[SCAN_BLOCK_ROWS*LANES]
    cdef real turned[SCAN_BLOCK_ROWS*LANES]
    cdef real high[SCAN_BLOCK_ROWS*LANES]
    cdef real middle[SCAN_BLOCK_ROWS*LANES]
    cdef real low[SCAN_BLOCK_ROWS*LANES]
    cdef real h[LANES]
    cdef real m[LANES]
    cdef real l[LANES]
    cdef real before[2*LANES]
    cdef real before_middle[2*LANES]
    cdef real before_low[2*LANES]
    cdef real all_[3]
    cdef real shift, round_bias, underflow_below, exponent, s, s_middle, s_low
    cdef RunningColumn total = base[0], earlier
    if whole:
        transpose(x, rows, width, rows, turned, width)
    else:
        for i in range(n):
            padded[i] = x[i]
        for i in range(n, rows*width):
            padded[i] = <real>-INFINITY
        transpose(<const real *>padded, rows, width, rows, turned, width)
    scan_each_lane(<const real *>turned, rows, reference, placement, high, middle, low, before, before_middle,
                   before_low, all_)
    raise_running(run, reference)
    earlier = run[0]
    join_parts(run.high, run.middle, run.low, <double>all_[0], <double>all_[1], <double>all_[2], &run.high,
               &run.middle, &run.low)
    normalise_parts(&run.high, &run.middle, &run.low)
    if out == NULL:
        return
    if not seen_from(&total, reference):
        reference = <real>total.reference
        scan_each_lane(<const real *>turned, rows, reference, placement, high, middle, low, before, before_middle,
                       before_low, all_)
        raise_running(&earlier, reference)
    join_parts(total.high, total.middle, total.low, earlier.high, earlier.middle, earlier.low, &total.high,
               &total.middle, &total.low)
    split_parts(total.high, total.middle, total.low, &s, &s_middle, &s_low)
    reference_shifts(reference, &shift, &round_bias, &underflow_below, &exponent)
    for j in range(lanes_of(x)):
        join_parts(before[j], before_middle[j], before_low[j], s, s_middle, s_low, &h[j], &m[j], &l[j])
        normalise_parts(&h[j], &m[j], &l[j])
    for i in range(rows):
        for j in range(lanes_of(x)):
            join_parts(h[j], m[j], l[j], high[i*width + j], middle[i*width + j], low[i*width + j], &s, &s_middle,
                       &s_low)
            turned[i*width + j] = log_of_parts(s, s_middle, s_low, shift, exponent)
    if whole:
        transpose_back(turned, width, rows, width, out, rows)
    else:
        transpose_back(turned, width, rows, width, padded, rows)
        for i in range(n):
            out[i] = padded[i]


cdef double fill_undefined(const real *x, Py_ssize_t n, double undefined, Placement placement,
                           real *out) noexcept nogil:
    """Write the results of prefixes with +inf or nan; returns the last of them, inf or nan."""
    cdef Py_ssize_t i
    cdef real v
    for i in range(n):
        v = x[i]
        if out != NULL and placement == EXCLUSIVE:
            out[i] = <real>undefined
        undefined += 0 if v < INFINITY else v
        if out != NULL and placement == INCLUSIVE:
            out[i] = <real>undefined
    return undefined


cdef real value_of_column(const RunningColumn *column, real _) noexcept nogil:
    """The logarithm of a sum, relative to its own reference."""
    cdef real shift, round_bias, underflow_below, exponent, high, middle, low
    reference_shifts(<real>column.reference, &shift, &round_bias, &underflow_below, &exponent)
    split_parts(column.high, column.middle, column.low, &high, &middle, &low)
    return log_of_parts(high, middle, low, shift, exponent)


cdef inline void scan_row_of(State *state, const real *x, Py_ssize_t n, Placement placement, real *out) noexcept nogil:
    """Scan part of a piece. Column 0 of the state is the sum of the piece so far, column 1 that of earlier pieces."""
    cdef Py_ssize_t block
    cdef RunningColumn run, base, total
    cdef real maximum = 0, v
    cdef double undefined
    take_running(&state.sum.running, 0, &run)
    take_running(&state.sum.running, 1, &base)
    while n > 0:
        if not is_finite(base.high) or not is_finite(run.high):
            undefined = <double>0 if is_finite(base.high) else base.high
            run.high = fill_undefined(x, n, undefined + (<double>0 if is_finite(run.high) else run.high), placement,
                                      out)
            break
        block = usable_block(x, min_of(n, SCAN_BLOCK_ROWS*lanes_of(x)), <real>run.reference, placement, &maximum)
        if block > 1 or placement == INCLUSIVE and block:
            scan_block_of_row(&run, &base, x, block, maximum, placement, out)
        else:       # +inf, nan, or an element that may be far above the prefix before it: that prefix is still finite
            v = x[0]
            total = base
            merge_column(&total, &run, v)
            if block:
                scan_block_of_row(&run, &base, x, 1, maximum, placement, <real *>NULL)
            else:
                run.high = v
                block = 1
            if out != NULL:
                out[0] = v if placement == INCLUSIVE else value_of_column(&total, v)
        x += block
        n -= block
        if out != NULL:
            out += block
    put_running(&state.sum.running, 0, &run)


cdef void scan_row(State *state, const real *x, const real *_, Py_ssize_t n, real *out) noexcept nogil:
    scan_row_of(state, x, n, INCLUSIVE, out)


cdef void exclusive_scan_row(State *state, const real *x, const real *_, Py_ssize_t n, real *out) noexcept nogil:
    scan_row_of(state, x, n, EXCLUSIVE, out)


cdef void sum_scanned_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    """The sum that scan_row leaves, to the last bit, without the results."""
    scan_row_of(state, x, n, INCLUSIVE, <real *>NULL)


cdef void sum_exclusively_scanned_row(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    """The sum that exclusive_scan_row leaves. Its blocks may end in other places than those of scan_row."""
    scan_row_of(state, x, n, EXCLUSIVE, <real *>NULL)


cdef void start_of_scan(State *state, Py_ssize_t columns, real *_, real *__) noexcept nogil:
    """Turn the PartialSum of all elements before a scan into the RunningSum that the scan starts from.

    No digit is lost: in a PartialSum too, terms that are tiny beside the maximum are in the second part only.
    """
    cdef Py_ssize_t j
    cdef ColumnSum column
    cdef RunningColumn running
    for j in range(columns):
        take_column(&state.sum.partial, j, &column)
        running.reference = column.maximum
        running.middle = running.low = 0
        if column.others != column.others:
            running.high = NAN
        elif magnitude(column.maximum) == INFINITY:
            running.high = 0 if column.maximum < 0 else <double>INFINITY
        else:
            raise_column(&column, <real>column.maximum)
            running.high, running.middle = column.others, column.others_low
            normalise_parts(&running.high, &running.middle, &running.low)
        put_running(&state.sum.running, j, &running)


# Tables ---------------------------------------------------------------------------------------------------------------

cdef void fill_logcumsumexp(Kernels *kernels, real _) noexcept:
    kernels.scans = True
    kernels.reduce_row = <ReduceRow>sum_scanned_row[real]
    kernels.merge = merge_running_f32 if real is float else merge_running_f64
    kernels.finish = <Finish>start_of_scan[real]
    kernels.write_row = <WriteRow>scan_row[real]
    kernels.write_tile = <WriteTile>scan_tile[real]


cdef void fill_exclusive_logcumsumexp(Kernels *kernels, real type_) noexcept:
    fill_logcumsumexp(kernels, type_)
    kernels.reduce_row = <ReduceRow>sum_exclusively_scanned_row[real]
    kernels.write_row = <WriteRow>exclusive_scan_row[real]
    kernels.write_tile = <WriteTile>exclusive_scan_tile[real]
