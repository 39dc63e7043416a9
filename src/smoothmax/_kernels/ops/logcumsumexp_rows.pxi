# logcumsumexp of a row: lanes are stretches of a block, each of which is offset by those before it.

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
