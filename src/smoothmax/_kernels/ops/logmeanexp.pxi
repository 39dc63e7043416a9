# logmeanexp
#
#     logmeanexp(x) = m + log((count + others/p)/n),    m the maximum, n the number of elements that take part
#     with weights:  log(sum b exp(a) / sum b)
#
# Error: 2 ULP; where m and the logarithm cancel, in ULP of the larger of the two, and of 2**-20 in float32 if that is
# larger still. With weights the same as logsumexp's, in ULP of the largest of the result, a, log(abs(b)) and
# log(abs(sum b)).
#
# 1. Sum EXACT terms, because a mean near 1 has no large logarithm that would hide the errors of ROUNDED ones.
# 2. Divide the sum by n in two parts. The difference of two logarithms would lose the digits of a mean near 1: ten of
#    them for [0, -1e-10].
# 3. With weights, compute the sum of the weights as the sum of b exp(0), by the same kernels, and divide the two sums.
#
# A masked element is staged as -inf, and cannot be told from an element that is -inf and takes part. So n comes from
# the mask (see _schedule/results.pyx).

cdef inline double log_mean_of(double count, double q, double q_low, double n, double *low) noexcept nogil:
    """log((count + q + q_low)/n), and in `low` the rounding error."""
    cdef double error, total = two_sum(count, q, &error), mean = total/n, product = mean*n
    cdef double rest = ((total - product) - product_error(mean, n, product)) + (error + q_low)
    return split_log(mean, rest/n, <double>0, <double>0, low)


cdef inline double mean_value(double maximum, Scaling scaling, double count, double others, double others_low, double n,
                              real _) noexcept nogil:
    cdef double p, p_low, q, q_low, product, log_mean, low
    scaled_exp_of_maximum(<real>maximum, scaling, &p, &p_low)
    q = others/p
    product = q*p
    q_low = ((others - product) - product_error(q, p, product) + (others_low - q*p_low))/p
    log_mean = log_mean_of(count, q, q_low, n, &low)
    return add_log_sum(maximum, log_mean, low) if n > 0 else <double>NAN


cdef void finish_logmeanexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double others, others_low
    if state.scaling == FROM_MAXIMUM:
        for j in range(columns):
            others = two_sum(state.sum.partial.others[j], state.sum.partial.others_low[j], &others_low)
            out[j] = <real>mean_value(state.sum.partial.maximum[j], FROM_MAXIMUM, state.sum.partial.count[j], others,
                                      others_low, state.argument.elements[j], <real>0)
        return
    for j in range(columns):
        others = two_sum(state.sum.partial.others[j], state.sum.partial.others_low[j], &others_low)
        out[j] = <real>mean_value(state.sum.partial.maximum[j], SHIFTED, state.sum.partial.count[j], others, others_low,
                                  state.argument.elements[j], <real>0)


# Fused ----------------------------------------------------------------------------------------------------------------

cdef void logmeanexp_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                         real *out) noexcept nogil:
    cdef real lanes[LANES]
    cdef real maximum
    cdef double total, carry, count
    if n > lanes_of(x):
        x = read_row(x, n, adjustment, lanes, &maximum, &away)
        total = sum_of_row(x, n, away, EXACT_SUM, <real *>NULL, lanes, maximum, &carry, &count)
        out[0] = <real>mean_value(maximum, SHIFTED, count, total, carry, n, <real>0)
    else:
        x = read_lane_row(x, n, adjustment)
        total = sum_of_lane_row(x, n, &maximum, &carry, &count)
        out[0] = <real>mean_value(maximum, FROM_MAXIMUM, count, total, carry, n, <real>0)


cdef void joint_row_of_logmeanexp(State *state, Py_ssize_t column, const real *x, Py_ssize_t n) noexcept nogil:
    sum_whole_row_into(state, column, x, n, EXACT_SUM)


cdef inline void put_means(const real *maximum, const real *totals, const real *carries, const real *counts, real n,
                           Py_ssize_t width, real *out) noexcept nogil:
    cdef Py_ssize_t j
    cdef real high, low, total, mean, rest, product, unscaled = <real>1/scaled_one(n), log_mean, log_low
    for j in range(width):
        high = sum_in_two(totals[j], carries[j], &low)
        total = sum_in_two(counts[j], high*unscaled, &rest)
        mean = total/n
        product = mean*n
        rest = ((total - product) - product_error(mean, n, product)) + (rest + low*unscaled)
        log_mean = split_log(mean, rest/n, <real>0, <real>0, &log_low)
        out[j] = add_log_sum(maximum[j], log_mean, log_low)


cdef inline void logmeanexp_of_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, TileSums way,
                                    const Adjustment *adjustment, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first
    cdef real maximum[TILE_COLUMNS]
    cdef real totals[TILE_COLUMNS]
    cdef real carries[TILE_COLUMNS]
    cdef real counts[TILE_COLUMNS]
    sums_of_columns(x, ld, rows, columns, way, EXACT, adjustment, <real *>NULL, 0, maximum, totals, carries, counts)
    for group in range((columns + width - 1)//width):
        if fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, width, columns)
            put_means(maximum + first, totals + first, carries + first, counts + first, <real>rows, width//2,
                      out + first)
        else:
            first = first_column(group, width, columns)
            put_means(maximum + first, totals + first, carries + first, counts + first, <real>rows, width, out + first)


cdef void logmeanexp_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                          const Adjustment *adjustment, real *out, Py_ssize_t _) noexcept nogil:
    logmeanexp_of_tile(x, ld, rows, columns, BY_SHIFT, adjustment, out)


cdef void logmeanexp_differences_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                      const Adjustment *_, real *out, Py_ssize_t __) noexcept nogil:
    logmeanexp_of_tile(x, ld, rows, columns, BY_DIFFERENCES, NULL, out)


# With weights ---------------------------------------------------------------------------------------------------------

cdef double ZEROS[ROW_BLOCK_LANES*LANES_F64]       # with these elements, the weighted sum is the sum of the weights


cdef void reduce_mean_row(State *state, const real *a, const real *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t block
    add_weighted_row(&state.sum.weighted, a, b, n)
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*lanes_of(a))
        add_weighted_row(&state.second.weights, <const real *>ZEROS, b, block)
        b += block
        n -= block


cdef void reduce_mean_tile(State *state, const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                           Py_ssize_t columns) noexcept nogil:
    add_weighted_tile(&state.sum.weighted, a, ld, b, b_ld, rows, columns)
    add_weighted_tile(&state.second.weights, <const real *>ZEROS, 0, b, b_ld, rows, columns)


cdef void merge_mean_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                         Py_ssize_t period) noexcept nogil:
    merge_weighted_f32(state, other, first, columns, period)
    merge_weighted(&state.second.weights, &other.second.weights, first, columns, period, <float>0)


cdef void merge_mean_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                         Py_ssize_t period) noexcept nogil:
    merge_weighted_f64(state, other, first, columns, period)
    merge_weighted(&state.second.weights, &other.second.weights, first, columns, period, <double>0)


cdef double exponent_of_sum(const WeightedSum *sum, Py_ssize_t j, double *shift, real _) noexcept nogil:
    """The exponent that a sum is scaled by, and its shift."""
    cdef real reference = <real>sum.reference[j], c = shift_of(reference)
    shift[0] = c
    return <double>exponent_of(remainder_of(reference, c)) + sum.exponent[j]


cdef double weighted_mean(const WeightedSum *sum, const WeightedSum *mass, Py_ssize_t j, real type_) noexcept nogil:
    """log of the quotient of two sums: nan if it is negative, or if the weights add up to 0, inf or nan."""
    cdef double low, mass_low, quotient, product, rest, log_mean, log_low, shift, mass_shift, exponent
    cdef double total = two_sum(sum.sum[j], sum.sum_low[j], &low)
    cdef double whole = two_sum(mass.sum[j], mass.sum_low[j], &mass_low)
    cdef int power, mass_power
    if whole == 0 or not is_finite(whole) or not is_finite(sum.sum[j]):
        # An infinite sum has no rounding error. The result is inf or nan; negative weights change the sign of the sum.
        total = NAN if whole == 0 or not is_finite(whole) else sum.sum[j] if whole > 0 else -sum.sum[j]
        return INFINITY if total == INFINITY else NAN
    if total == 0:
        return -INFINITY
    if (total > 0) != (whole > 0):
        return NAN
    exponent = exponent_of_sum(sum, j, &shift, type_) - exponent_of_sum(mass, j, &mass_shift, type_)
    # As mantissas, because a quotient of sums of weights of any size may be out of range.
    total = frexp(total, &power)
    low = ldexp(low, -power)
    whole = frexp(whole, &mass_power)
    mass_low = ldexp(mass_low, -mass_power)
    quotient = total/whole
    product = quotient*whole
    rest = ((total - product) - product_error(quotient, whole, product) + (low - quotient*mass_low))/whole
    log_mean = split_log(quotient, rest, <double>0, exponent + (power - mass_power), &log_low)
    return add_log_sum(shift - mass_shift, log_mean, log_low)


cdef void finish_weighted_logmeanexp(State *state, Py_ssize_t columns, real *out, real *_) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(columns):
        out[j] = <real>weighted_mean(&state.sum.weighted, &state.second.weights, j, <real>0)


# Tables ---------------------------------------------------------------------------------------------------------------

cdef void fill_masked_logmeanexp(Kernels *kernels, real _) noexcept:
    kernels.adjusts = True
    kernels.means = True
    kernels.reduce_row = <ReduceRow>reduce_row_exact[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_exact[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_logmeanexp[real]
    kernels.joint_row = <JointRow>joint_row_of_logmeanexp[real]


cdef void fill_logmeanexp(Kernels *kernels, real type_) noexcept:
    fill_masked_logmeanexp(kernels, type_)
    kernels.fused_row = <FusedRow>logmeanexp_row[real]
    kernels.fused_row_bytes = FUSED_SUM_ROW_BYTES
    kernels.fused_tile = <FusedTile>logmeanexp_tile[real]
    kernels.fused_differences_tile = <FusedTile>logmeanexp_differences_tile[real]
    kernels.differences_max_rows = EXACT_DIFFERENCES_MAX_ROWS
    kernels.fused_tile_bytes = FUSED_SUM_TILE_BYTES
    kernels.fused_aliased_tile_bytes = ALIASED_SUM_TILE_BYTES


cdef void fill_weighted_logmeanexp(Kernels *kernels, real _) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_mean_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_mean_tile[real]
    kernels.merge = merge_mean_f32 if real is float else merge_mean_f64
    kernels.finish = <Finish>finish_weighted_logmeanexp[real]
