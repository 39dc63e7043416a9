# logcumsumexp of columns: lanes are columns, and go down a block of rows together.

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
    """Scan a block of rows: the sums of SCAN_SUMMED_ROWS rows, and then their logarithms.

    In one loop both would fill the processor's window with two rows, too few to hide how long each waits.
    """
    cdef Py_ssize_t width = lanes_of(x), begin, end, at, i, j
    cdef double special
    cdef real s, s_middle, s_low, v, value
    cdef real high[SCAN_SUMMED_ROWS*LANES]
    cdef real middle[SCAN_SUMMED_ROWS*LANES]
    cdef real low[SCAN_SUMMED_ROWS*LANES]
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
    for begin from 0 <= begin < rows by SCAN_SUMMED_ROWS:
        end = min_of(begin + SCAN_SUMMED_ROWS, rows)
        for i in range(begin, end):
            at = (i - begin)*width
            for j in range(lanes_of(x)):
                if placement == EXCLUSIVE:
                    high[at + j], middle[at + j], low[at + j] = block[j], block_middle[j], block_low[j]
                v = at_least(finite_or_nothing(x[i*ld + j]) - shift[j], underflow_below[j])
                add_to_parts(&block[j], &block_middle[j], &block_low[j], v, round_bias[j])
                if placement == INCLUSIVE:
                    high[at + j], middle[at + j], low[at + j] = block[j], block_middle[j], block_low[j]
        for i in range(begin, end):
            at = (i - begin)*width
            for j in range(lanes_of(x)):
                v = x[i*ld + j]
                join_parts(before[j], before_middle[j], before_low[j], high[at + j], middle[at + j], low[at + j], &s,
                           &s_middle, &s_low)
                value = log_of_parts(s, s_middle, s_low, shift[j], exponent[j])
                if placement == EXCLUSIVE:
                    y[j] = undefined[j] if undefined[j] != 0 else value
                undefined[j] += <real>0 if v < INFINITY else v
                if placement == INCLUSIVE:
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
