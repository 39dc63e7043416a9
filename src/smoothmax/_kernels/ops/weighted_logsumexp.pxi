# logsumexp with weights
#
#     log(abs(s)) and the sign of s,   s = sum b exp(a)
#
# Error: 1.5 ULP of the largest of the numbers that are added, times the condition of the sum, because where terms
# cancel, the result has the errors of all of them. tests/test_weights.py states it.
#
# 1. Sum block by block (ops/weighted_blocks.pxi); the monoid is WeightedSum (ops/weighted_sum.pxi).
# 2. Add the logarithm of the size of the sum to the shift, rounded once. The sign is that of the sum.
# 3. A tile of one block is fused: nothing is merged.

cdef inline double weighted_log_of(double high, double low_part, real exponent, double *total,
                                   double *low) noexcept nogil:
    """The logarithm of the size of a sum scaled by 2**(OFFSET - exponent); `total` has the sign of the sum."""
    cdef double error
    total[0] = two_sum(high, low_part, &error)
    if real is float:
        exponent -= 64
    else:
        exponent -= 512
    return split_log(<double>0, magnitude(total[0]), error if total[0] > 0 else -error, exponent, low)


cdef enum SignResult:       # whether the sign of a sum is a result, too:
    WITHOUT_SIGN
    WITH_SIGN


cdef inline double weighted_value(double shift, double log_sum, double low, double total,
                                  SignResult signs) noexcept nogil:
    """The result of a sum; nan if it is negative and no sign is returned."""
    cdef double value = add_log_sum(shift, log_sum, low)
    value = -INFINITY if total == 0 else INFINITY if magnitude(total) == INFINITY else value
    return value if (total >= 0) | ((signs == WITH_SIGN) & (total < 0)) else <double>NAN


cdef struct WeightedLogs:
    # The logarithms of the sizes of sums divided by exp(shift), and totals that have the sums' signs.
    double shift[TILE_COLUMNS]
    double total[TILE_COLUMNS]
    double log_sum[TILE_COLUMNS]
    double log_sum_low[TILE_COLUMNS]


cdef inline void take_weighted_logs(const WeightedSum *sum, Py_ssize_t columns, WeightedLogs *logs,
                                    real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef real reference, shift, exponent
    for j in range(columns):
        reference = <real>sum.reference[j]
        shift = shift_of(reference)
        exponent = exponent_of(remainder_of(reference, shift)) + <real>sum.exponent[j]
        logs.log_sum[j] = weighted_log_of(sum.sum[j], sum.sum_low[j], exponent, &logs.total[j], &logs.log_sum_low[j])
        logs.shift[j] = shift


cdef void write_weighted(const WeightedLogs *logs, Py_ssize_t columns, real *out, real *sign,
                         SignResult signs) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total
    for j in range(columns):
        total = logs.total[j]
        out[j] = <real>weighted_value(logs.shift[j], logs.log_sum[j], logs.log_sum_low[j], total, signs)
        sign[j] = <real>(1 if total > 0 else -1 if total < 0 else total)


cdef void finish_weighted_logsumexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef const WeightedSum *sum = &state.sum.weighted
    cdef WeightedLogs logs
    cdef real unused[TILE_COLUMNS]
    cdef Py_ssize_t j
    take_weighted_logs(sum, columns, &logs, <real>0)
    for j in range(columns):        # relative to exp(reference), as without weights
        state.normalizer.log_sum[j] = logs.log_sum[j] + (logs.shift[j] - sum.reference[j])
    write_weighted(&logs, columns, out, sign if sign != NULL else unused,
                   WITH_SIGN if sign != NULL else WITHOUT_SIGN)


cdef bint weighted_logsumexp_tile(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                  Py_ssize_t columns, real *out) noexcept nogil:
    """Fused, with the bits of reduce_weighted_tile and finish; returns False if a column needs weights of any size."""
    cdef Py_ssize_t width = lanes_of(a), group, first, j
    cdef real maximum[LANES]
    cdef real size[LANES]
    cdef real least[LANES]
    cdef real reference[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
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
        if not scan_columns(a + first, ld, b + first, b_ld, rows, nothing, maximum, size, least):
            return False
        for j in range(width):
            reference[j] = finite_reference(maximum[j])
        for j in range(width):
            shifts_of(reference[j], &shift[first + j], &round_bias[j], &underflow_below[j])
            exponent[first + j] = round_bias_of(<real>0) - round_bias[j]
        for j in range(width):
            largest[j] = largest_term(maximum[j], size[j], shift[first + j], round_bias[j])
            bias[j] = bias_of(largest[j], least[j])
            sums[first + j] = 0
            carries[first + j] = 0
        sum_weighted(MODERATE, EXACT, a + first, ld, b + first, b_ld, rows, shift + first, round_bias, underflow_below,
                     bias, 0, sums + first, carries + first)
        if not are_sound(maximum, size, sums + first, nothing, largest):
            return False
    for j in range(columns):
        log_sum = weighted_log_of(sums[j], carries[j], exponent[j], &total, &log_sum_low)
        out[j] = <real>weighted_value(shift[j], log_sum, log_sum_low, total, WITHOUT_SIGN)
    return True


# Table ----------------------------------------------------------------------------------------------------------------

cdef void reduce_weighted_row(State *state, const real *a, const real *b, Py_ssize_t n) noexcept nogil:
    add_weighted_blocks(&state.sum.weighted, a, b, n, ROUNDED)


cdef void reduce_weighted_tile(State *state, const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                               Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    add_weighted_tile(&state.sum.weighted, a, ld, b, b_ld, rows, columns)


cdef void fill_weighted_logsumexp(Kernels *kernels, real _) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_weighted_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_weighted_tile[real]
    kernels.merge = merge_weighted_f32 if real is float else merge_weighted_f64
    kernels.finish = <Finish>finish_weighted_logsumexp[real]
    kernels.fused_weighted_tile = <FusedWeightedTile>weighted_logsumexp_tile[real]
    kernels.fused_tile_bytes = WEIGHTED_TILE_BLOCK_ROWS*TILE_COLUMNS*sizeof(real)
