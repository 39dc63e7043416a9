# logsumexp with one weight for each reduction
#
#     log(abs(w) sum exp(a)) = m + log_sum + log(abs(w)),   and the sign of w
#
# Error: 1.5 ULP of the largest of the result, a and log(abs(w)), as for logsumexp with weights.
#
# 1. Sum as logsumexp does (ops/logsumexp.pxi). Sum EXACT terms also where log(abs(w)) may cancel the logarithm, which
#    would otherwise hide the errors of ROUNDED terms.
# 2. The weight is used once, in `finish`: the three numbers are added in two parts, and rounded once. So neither the
#    weight nor its product with an exponential can overflow or vanish.
#
# A weight of 0 drops all elements, even inf and nan. If a weight is not finite, the result depends on each element, and
# logsumexp with a weight for each element computes it (see _arrays/call.pyx).

cdef bint weighed_needs_exact_f32(const State *state, Py_ssize_t columns) noexcept nogil:
    return any_needs_exact(state, columns, WEIGHED, <float>0)


cdef bint weighed_needs_exact_f64(const State *state, Py_ssize_t columns) noexcept nogil:
    return any_needs_exact(state, columns, WEIGHED, <double>0)


cdef void replace_inexact_weighed_f32(State *state, const State *exact, Py_ssize_t columns) noexcept nogil:
    replace_inexact(state, exact, columns, WEIGHED, <float>0)


cdef void replace_inexact_weighed_f64(State *state, const State *exact, Py_ssize_t columns) noexcept nogil:
    replace_inexact(state, exact, columns, WEIGHED, <double>0)


cdef void log_weights_of_lanes(const double *weights, Py_ssize_t columns, real *logs, real *lows) noexcept nogil:
    """The logarithms of the sizes of weights, in two parts, for as many columns as there are lanes.

    All lanes are always computed, and the function is not inlined, so that equal weights have the same logarithm.
    """
    cdef Py_ssize_t j
    cdef real w[LANES]
    cdef real m, k
    for j in range(lanes_of(logs)):
        w[j] = <real>weights[j if j < columns else 0]
    for j in range(lanes_of(logs)):
        k = split_weight(w[j], &m)
        logs[j] = split_log(<real>0, magnitude(m), <real>0, k, &lows[j])


cdef void log_weights_of(const double *weights, Py_ssize_t columns, real *logs, real *lows) noexcept nogil:
    """log_weights_of_lanes for all columns; computed once if all weights are the same."""
    cdef Py_ssize_t j, first, width = lanes_of(logs)
    cdef int equal = 1
    for j in range(columns):
        equal &= weights[j] == weights[0]
    for first from 0 <= first < columns by width:
        if first == 0 or not equal:
            log_weights_of_lanes(weights + first, columns - first, logs + first, lows + first)
            continue
        for j in range(width):
            logs[first + j], lows[first + j] = logs[0], lows[0]


cdef void finish_uniform_logsumexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double weight, total, error, value
    cdef real logs[TILE_COLUMNS]
    cdef real lows[TILE_COLUMNS]
    cdef double values[TILE_COLUMNS]
    finish_log_softmax(state, columns, out, sign)
    log_weights_of(state.argument.weight, columns, logs, lows)
    for j in range(columns):
        total = two_sum(state.normalizer.log_sum[j], logs[j], &error)
        error += state.normalizer.log_sum_low[j] + lows[j]
        values[j] = add_log_sum(state.sum.partial.maximum[j], total, error)
    for j in range(columns):
        weight = state.argument.weight[j]
        value = values[j] if weight != 0 else -INFINITY
        out[j] = <real>(value if (weight >= 0) | (sign != NULL) | (value == -INFINITY) else <double>NAN)
        if sign != NULL:
            sign[j] = <real>(value if value != value else 0 if value == -INFINITY else 1 if weight > 0 else -1)


# Fused ----------------------------------------------------------------------------------------------------------------

cdef void uniform_state_row(State *state, const real *x, Py_ssize_t n, real *_) noexcept nogil:
    sum_whole_row_into(state, 0, x, n, WEIGHED_SUM)


cdef void joint_row_with_weight(State *state, Py_ssize_t column, const real *x, Py_ssize_t n) noexcept nogil:
    sum_whole_row_into(state, column, x, n, WEIGHED_SUM)


cdef void uniform_state_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *_,
                             Py_ssize_t __) noexcept nogil:
    log_state_of_tile(state, x, ld, rows, columns, BY_SHIFT, EXACT)


cdef void uniform_state_differences_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows,
                                         Py_ssize_t columns, real *_, Py_ssize_t __) noexcept nogil:
    log_state_of_tile(state, x, ld, rows, columns, BY_DIFFERENCES, EXACT)


# Table ----------------------------------------------------------------------------------------------------------------

cdef void fill_uniform_logsumexp(Kernels *kernels, real _) noexcept:
    kernels.weighs = True
    kernels.reduce_row = <ReduceRow>reduce_row_rounded[real]
    kernels.reduce_block = <ReduceBlock>reduce_block_rounded[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_rounded[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.needs_exact = weighed_needs_exact_f32 if real is float else weighed_needs_exact_f64
    kernels.replace_inexact = replace_inexact_weighed_f32 if real is float else replace_inexact_weighed_f64
    kernels.finish = <Finish>finish_uniform_logsumexp[real]
    kernels.fused_row_bytes = FUSED_SUM_ROW_BYTES
    kernels.fused_tile_bytes = FUSED_SUM_TILE_BYTES
    kernels.fused_aliased_tile_bytes = ALIASED_SUM_TILE_BYTES
    kernels.differences_max_rows = EXACT_DIFFERENCES_MAX_ROWS
    kernels.fused_state_row = <FusedStateRow>uniform_state_row[real]
    kernels.joint_row = <JointRow>joint_row_with_weight[real]
    kernels.fused_state_tile = <FusedStateTile>uniform_state_tile[real]
    kernels.fused_state_differences_tile = <FusedStateTile>uniform_state_differences_tile[real]
