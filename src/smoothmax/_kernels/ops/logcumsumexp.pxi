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


# Kernels --------------------------------------------------------------------------------------------------------------

cdef void scan_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld, Py_ssize_t rows,
                    Py_ssize_t columns, real *out, Py_ssize_t out_ld, Py_ssize_t __,
                    const Adjustment *_unadjusted) noexcept nogil:
    scan_columns_of(state, x, ld, rows, columns, INCLUSIVE, out, out_ld)


cdef void exclusive_scan_tile(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                              Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                              Py_ssize_t __, const Adjustment *_unadjusted) noexcept nogil:
    scan_columns_of(state, x, ld, rows, columns, EXCLUSIVE, out, out_ld)


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
