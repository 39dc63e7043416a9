# logsumexp
#
#     logsumexp(x) = m + log(sum exp(x - m)) = m + log(count + others/p),    m the maximum
#
# Error: 1.5 ULP; 1 ULP from 1000 elements on. Where m and the logarithm cancel, these are ULP of the larger of the two.
# Worst inputs: see ops/row_sums.pxi; tests/test_accuracy.py searches near the places where digits cancel.
#
# 1. Sum the exponentials and count the maximum (ops/row_sums.pxi, ops/column_sums.pxi), so that logsumexp([-40, 0]) is
#    4.25e-18 and not 0.
# 2. Sum ROUNDED terms, and again EXACT ones where the result is so near 0 that the difference shows.
# 3. Add m + log_sum + log_sum_low, rounded once.

cdef void reduce_row_exact(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    reduce_blocks(state, x, n, EXACT, <real *>NULL)


cdef void reduce_block_rounded(State *state, const real *x, Py_ssize_t n, double largest) noexcept nogil:
    cdef real tail[LANES]
    cdef Py_ssize_t remaining = n % lanes_of(x)
    if remaining:
        pad(x + n - remaining, remaining, tail)
    add_block(state, x, n, tail, <real>largest, ROUNDED, <real *>NULL)


cdef void reduce_row_rounded(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    reduce_blocks(state, x, n, ROUNDED, <real *>NULL)


cdef void reduce_row_adaptive(State *state, const real *x, const real *_, Py_ssize_t n) noexcept nogil:
    """Sum EXACT terms as long as the result may need them, then ROUNDED terms.

    An error of 1.1 ULP in later terms is less than a third of an ULP in a logarithm of 2 or more. Negative weights that
    come later may cancel most of the sum. They magnify its error as much as that of their own terms.
    """
    cdef Py_ssize_t block
    cdef const PartialSum *sum = &state.sum.partial
    while n > 0 and (sum.maximum[0] < 0
                     or needs_exact_sum(<real>sum.maximum[0], sum.count[0], sum.others[0], UNWEIGHED)):
        block = min_of(n, ROW_BLOCK_LANES*lanes_of(x))
        reduce_row_exact(state, x, _, block)
        x += block
        n -= block
    reduce_row_rounded(state, x, _, n)


cdef void reduce_tile_exact(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld, Py_ssize_t rows,
                            Py_ssize_t columns) noexcept nogil:
    reduce_columns(state, x, ld, rows, columns, EXACT)


cdef void reduce_tile_rounded(State *state, const real *x, Py_ssize_t ld, const real *_, Py_ssize_t _ld,
                              Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    reduce_columns(state, x, ld, rows, columns, ROUNDED)


cdef inline real add_log_sum(real shift, real log_sum, real log_sum_low) noexcept nogil:
    """shift + log_sum, rounded once."""
    cdef real error, value = sum_in_two(shift, log_sum, &error)
    return value + (0 if magnitude(value) == INFINITY else error + log_sum_low)


cdef void finish_logsumexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double values[TILE_COLUMNS]
    cdef const PartialSum *sum = &state.sum.partial
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        values[j] = add_log_sum(sum.maximum[j], state.normalizer.log_sum[j], state.normalizer.log_sum_low[j])
    for j in range(columns):
        out[j] = <real>values[j]
    if sign != NULL:
        for j in range(columns):
            sign[j] = <real>(values[j] if values[j] != values[j] else 0 if values[j] == -INFINITY else 1)


# Fused rows -----------------------------------------------------------------------------------------------------------
#
# Long and short rows have functions of their own, so that rows that fit in the lanes do not pay for their stack frames.

cdef inline void logsumexp_of_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                                  Precision precision, real *out) noexcept nogil:
    cdef real tail[LANES]
    cdef real maximum
    cdef double total, carry, count, log_sum, low
    x = read_row(x, n, adjustment, tail, &maximum, &away)
    total = sum_of_row(x, n, away, precision, <real *>NULL, tail, maximum, &carry, &count)
    log_sum = log_sum_of(maximum, SHIFTED, count, total, carry, &low)
    out[0] = <real>add_log_sum(<double>maximum, log_sum, low)


cdef void logsumexp_of_long_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                                real *out) noexcept nogil:
    logsumexp_of_row(x, n, away, adjustment, ADAPTIVE_SUM, out)


cdef void logsumexp_of_short_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                                 real *out) noexcept nogil:
    logsumexp_of_row(x, n, away, adjustment, EXACT_SUM, out)


cdef void logsumexp_row(const real *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                        real *out) noexcept nogil:
    cdef real maximum
    cdef double log_sum, low
    if is_long(x, n):
        logsumexp_of_long_row(x, n, away, adjustment, out)
    elif n > lanes_of(x):
        logsumexp_of_short_row(x, n, away, adjustment, out)
    else:
        x = read_lane_row(x, n, adjustment)
        log_sum = log_sum_of_lane_row(x, n, &maximum, &low)
        out[0] = <real>add_log_sum(<double>maximum, log_sum, low)


cdef void joint_row_of_logsumexp(State *state, Py_ssize_t column, const real *x, Py_ssize_t n) noexcept nogil:
    sum_whole_row_into(state, column, x, n, ADAPTIVE_SUM)


# Fused tiles ----------------------------------------------------------------------------------------------------------

cdef inline void logsumexp_of_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, TileSums way,
                                   const Adjustment *adjustment, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), whole = columns//width*width, first, n, j
    cdef real maximum[TILE_COLUMNS]
    cdef real log_sum[TILE_COLUMNS]
    cdef real log_sum_low[TILE_COLUMNS]
    log_sums_of_columns(x, ld, rows, columns, way, EXACT, adjustment, <real *>NULL, 0, maximum, log_sum, log_sum_low)
    for j in range(whole):
        out[j] = add_log_sum(maximum[j], log_sum[j], log_sum_low[j])
    if whole < columns:
        n = last_columns(x, columns, &first)
        for j in range(first, first + n):
            out[j] = add_log_sum(maximum[j], log_sum[j], log_sum_low[j])


cdef void logsumexp_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                         const Adjustment *adjustment, real *out, Py_ssize_t _) noexcept nogil:
    logsumexp_of_tile(x, ld, rows, columns, BY_SHIFT, adjustment, out)


cdef void logsumexp_differences_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                     const Adjustment *_, real *out, Py_ssize_t __) noexcept nogil:
    logsumexp_of_tile(x, ld, rows, columns, BY_DIFFERENCES, NULL, out)


# Tables ---------------------------------------------------------------------------------------------------------------

cdef void fill_logsumexp(Kernels *kernels, real _) noexcept:
    kernels.adjusts = True
    kernels.reduce_row = <ReduceRow>reduce_row_rounded[real]
    kernels.reduce_block = <ReduceBlock>reduce_block_rounded[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_rounded[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.needs_exact = needs_exact_f32 if real is float else needs_exact_f64
    kernels.replace_inexact = replace_inexact_f32 if real is float else replace_inexact_f64
    kernels.finish = <Finish>finish_logsumexp[real]
    kernels.fused_row = <FusedRow>logsumexp_row[real]
    kernels.joint_row = <JointRow>joint_row_of_logsumexp[real]
    kernels.fused_row_bytes = FUSED_SUM_ROW_BYTES
    kernels.fused_tile = <FusedTile>logsumexp_tile[real]
    kernels.fused_differences_tile = <FusedTile>logsumexp_differences_tile[real]
    kernels.differences_max_rows = EXACT_DIFFERENCES_MAX_ROWS
    kernels.fused_tile_bytes = FUSED_SUM_TILE_BYTES
    kernels.fused_aliased_tile_bytes = ALIASED_SUM_TILE_BYTES


cdef void fill_exact_logsumexp(Kernels *kernels, real _) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row_exact[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_exact[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_logsumexp[real]


cdef void fill_mergeable_logsumexp(Kernels *kernels, real type_) noexcept:
    fill_exact_logsumexp(kernels, type_)
    kernels.reduce_row = <ReduceRow>reduce_row_adaptive[real]
