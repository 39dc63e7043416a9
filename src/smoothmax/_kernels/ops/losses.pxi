# Losses: log_prob, cross-entropy, and the negative log-likelihood, with a class as the target, weights of all classes,
# or both. Their gradients are in ops/loss_gradients.pxi.
#
#     log p_c = (x_c - m) - log_sum
#     loss    = -hard w_t log p_t - soft sum_c b_c log p_c          t the target, w_t its weight, b_c weights of classes
#
# The second sum is dot - log_sum*mass (ops/dot_sum.pxi), so one pass gives both.
#
# Error: 2 ULP for class targets; 3 ULP with weights b that are not negative. Worst found: 1.7 ULP for rows (1024, 1000)
# and (64, 50257). Every factor is two doubles; when each was rounded, a loss was 3.3 ULP off.
#
# A loss without a gradient sums ROUNDED terms in long rows and in fused tiles, which is accurate enough for 2 ULP. So
# it may differ in the last bit from the loss that is computed with its gradient.

cdef enum TargetKind:       # what targets a loss has:
    HARD                    # a class for each reduction, or
    SOFT                    # weights of all classes, and perhaps a class


# Sums -----------------------------------------------------------------------------------------------------------------

cdef void loss_state_row(State *state, const real *x, Py_ssize_t n, real *out) noexcept nogil:
    if is_long(x, n):
        clear(state, 1)
        reduce_row_rounded(state, x, x, n)
    else:
        sum_short_row_into(state, 0, x, n)


cdef inline void log_state_of_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                   TileSums way, Terms terms) noexcept nogil:
    cdef Py_ssize_t j
    cdef real maximum[TILE_COLUMNS]
    cdef real log_sum[TILE_COLUMNS]
    cdef real log_sum_low[TILE_COLUMNS]
    log_sums_of_columns(x, ld, rows, columns, way, terms, NULL, <real *>NULL, 0, maximum, log_sum, log_sum_low)
    for j in range(columns):
        state.sum.partial.maximum[j] = maximum[j]
        state.normalizer.log_sum[j] = <double>log_sum[j] + log_sum_low[j] if real is float else log_sum[j]
        state.normalizer.log_sum_low[j] = 0 if real is float else log_sum_low[j]
    state.scaling = IN_LOGARITHMS


cdef void loss_state_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *_,
                          Py_ssize_t __) noexcept nogil:
    log_state_of_tile(state, x, ld, rows, columns, BY_SHIFT, ROUNDED)


cdef void loss_state_differences_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                      real *_, Py_ssize_t __) noexcept nogil:
    log_state_of_tile(state, x, ld, rows, columns, BY_DIFFERENCES, ROUNDED)


cdef void joint_row_of_loss(State *state, Py_ssize_t column, const real *x, Py_ssize_t n) noexcept nogil:
    sum_whole_row_into(state, column, x, n, ROUNDED_SUM)


cdef inline void take_dot_row(State *state, const real *x, const real *b, Py_ssize_t n, double old) noexcept nogil:
    """Add a block to the DotSum after it has been added to the PartialSum, whose maximum was `old` before."""
    cdef real reference = finite_reference(<real>state.sum.partial.maximum[0])
    move_dot(&state.second.dot, 0, finite_reference(old), reference)
    add_dot_row(state, x, b, n, reference, PRODUCTS)


cdef void reduce_soft_row(State *state, const real *x, const real *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t block
    cdef double old
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*lanes_of(x))
        old = state.sum.partial.maximum[0]
        reduce_row_exact(state, x, b, block)
        take_dot_row(state, x, b, block, old)
        x += block
        b += block
        n -= block


cdef void reduce_soft_tile(State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                           Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef double old[TILE_COLUMNS]
    cdef real reference[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BLOCK_BYTES//(TILE_COLUMNS*sizeof(real)))
        for j in range(TILE_COLUMNS):
            old[j] = state.sum.partial.maximum[j]
        reduce_tile_exact(state, x, ld, b, b_ld, block, columns)
        for group in range((columns + width - 1)//width):
            first = group*width
            for j in range(width):
                reference[j] = finite_reference(<real>state.sum.partial.maximum[first + j])
                move_dot(&state.second.dot, first + j, finite_reference(old[first + j]), reference[j])
            add_dot_tile(state, first, x + first, ld, b + first, b_ld, block, reference, PRODUCTS)
        x += block*ld
        b += block*b_ld
        rows -= block


cdef inline void merge_soft(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns, Py_ssize_t period,
                            real type_) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double maximum
    cdef ColumnDot added
    cdef PartialSum *sum = &state.sum.partial
    cdef const PartialSum *added_sum = &other.sum.partial
    cdef const DotSum *added_dot = &other.second.dot
    for i in range(columns):
        j = (first + i) % period
        maximum = finite_reference(sum.maximum[j] if sum.maximum[j] > added_sum.maximum[i] else added_sum.maximum[i])
        added.dot, added.dot_low = added_dot.dot[i], added_dot.dot_low[i]
        added.mass, added.mass_low = added_dot.mass[i], added_dot.mass_low[i]
        move_column_dot(&added, finite_reference(added_sum.maximum[i]), maximum)
        move_dot(&state.second.dot, j, finite_reference(sum.maximum[j]), maximum)
        join_dot(&state.second.dot, j, added.dot, added.dot_low, added.mass, added.mass_low)
    merge(sum, added_sum, first, columns, period, type_)


cdef void merge_soft_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                         Py_ssize_t period) noexcept nogil:
    merge_soft(state, other, first, columns, period, <float>0)


cdef void merge_soft_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                         Py_ssize_t period) noexcept nogil:
    merge_soft(state, other, first, columns, period, <double>0)


# Values ---------------------------------------------------------------------------------------------------------------

cdef inline double log_prob_of(const State *state, Py_ssize_t j, double *low, real _) noexcept nogil:
    """(target_logit - maximum) - log_sum, rounded once, and the rounding error; one double is enough for float."""
    cdef double error, error_of_log, difference, value
    if real is float:
        low[0] = 0
        return (state.loss.target_logit[j] - state.sum.partial.maximum[j]) - state.normalizer.log_sum[j]
    else:
        difference = two_sum(state.loss.target_logit[j], -state.sum.partial.maximum[j], &error)
        value = two_sum(difference, -state.normalizer.log_sum[j], &error_of_log)
        error += error_of_log - state.normalizer.log_sum_low[j]
        difference = two_sum(value, error if is_finite(value) else 0, low)
        low[0] = low[0] if is_finite(difference) else 0
        return difference


cdef inline double soft_sum_of(const State *state, Py_ssize_t j) noexcept nogil:
    """dot - log_sum*mass, rounded once."""
    cdef const DotSum *dot = &state.second.dot
    cdef double product = state.normalizer.log_sum[j]*dot.mass[j]
    cdef double low = product_error(state.normalizer.log_sum[j], dot.mass[j], product)
    cdef double error, value = two_sum(dot.dot[j], -product, &error)
    low += multiply_add(state.normalizer.log_sum[j], dot.mass_low[j], state.normalizer.log_sum_low[j]*dot.mass[j])
    if state.sum.partial.maximum[j] == -INFINITY and dot.mass[j] != 0:
        return NAN
    return value + (error + (dot.dot_low[j] - low)) if is_finite(value) else dot.dot[j] - product


cdef inline void add_product(double a, double a_low, double b, double b_low, double *sum_, double *low,
                             real _) noexcept nogil:
    """Add (a + a_low)*(b + b_low) to sum_ + low; one double is enough for float."""
    cdef double error, product = a*b
    if real is float:
        sum_[0] += product
    else:
        sum_[0] = two_sum(sum_[0], product, &error)
        low[0] += error + (product_error(a, b, product) + multiply_add(a, b_low, a_low*b))


cdef inline double loss_of(const State *state, Py_ssize_t j, double log_prob, double log_prob_low, double soft_sum,
                           TargetKind kind, real type_) noexcept nogil:
    """The loss of one reduction. A factor of 0 drops its term, even inf or nan. HARD losses have no soft term."""
    cdef double value = 0, low = 0, factor = 0, factor_low = 0, exact
    if kind == SOFT:
        add_product(state.loss.hard, state.loss.hard_low, state.loss.target_weight[j], 0, &factor, &factor_low, type_)
        if factor != 0:
            add_product(factor, factor_low, log_prob, log_prob_low, &value, &low, type_)
        if state.loss.soft != 0:
            add_product(state.loss.soft, state.loss.soft_low, soft_sum, 0, &value, &low, type_)
        exact = value + low
    elif state.loss.target_weight[j] != 0:
        value = state.loss.target_weight[j]*log_prob
        exact = multiplied(state.loss.target_weight[j], log_prob, log_prob_low)
    else:
        exact = 0
    value = exact if is_finite(exact) else value    # the rounding error of inf is nan
    return 0 if state.loss.counts[j] == 0 else 0 - value


cdef void finish_log_prob(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double low
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        out[j] = <real>log_prob_of(state, j, &low, <real>0)


cdef void finish_hard_loss(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double log_prob, low
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        log_prob = log_prob_of(state, j, &low, <real>0)
        out[j] = <real>loss_of(state, j, log_prob, low, 0, HARD, <real>0)


cdef void finish_soft_loss(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double log_prob, low
    finish_log_softmax(state, columns, out, sign)
    for j in range(columns):
        log_prob = log_prob_of(state, j, &low, <real>0)
        out[j] = <real>loss_of(state, j, log_prob, low, soft_sum_of(state, j), SOFT, <real>0)


cdef void finish_nll(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    """x is log p already."""
    cdef Py_ssize_t j
    cdef const DotSum *dot = &state.second.dot
    for j in range(columns):
        out[j] = <real>loss_of(state, j, state.loss.target_logit[j], 0, dot.dot[j] + dot.dot_low[j], SOFT, <real>0)


# Tables ---------------------------------------------------------------------------------------------------------------

cdef void fill_hard_loss(Kernels *kernels, real _) noexcept:
    """The loss of class targets, without a gradient."""
    kernels.reduce_row = <ReduceRow>reduce_row_rounded[real]
    kernels.reduce_block = <ReduceBlock>reduce_block_rounded[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_exact[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_hard_loss[real]
    kernels.fused_row_bytes = FUSED_STATE_ROW_BYTES
    kernels.fused_tile_bytes = FUSED_STATE_TILE_BYTES
    kernels.differences_max_rows = ROUNDED_DIFFERENCES_MAX_ROWS
    kernels.fused_state_row = <FusedStateRow>loss_state_row[real]
    kernels.joint_row = <JointRow>joint_row_of_loss[real]
    kernels.fused_state_tile = <FusedStateTile>loss_state_tile[real]
    kernels.fused_state_differences_tile = <FusedStateTile>loss_state_differences_tile[real]


cdef void fill_log_prob(Kernels *kernels, real type_) noexcept:
    fill_hard_loss(kernels, type_)
    kernels.finish = <Finish>finish_log_prob[real]


cdef void fill_soft_loss(Kernels *kernels, real _) noexcept:
    """The loss of weights of all classes, without a gradient."""
    kernels.reduce_row = <ReduceRow>reduce_soft_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_soft_tile[real]
    kernels.merge = merge_soft_f32 if real is float else merge_soft_f64
    kernels.finish = <Finish>finish_soft_loss[real]


cdef void fill_nll(Kernels *kernels, real _) noexcept:
    kernels.reads_targets_only = True
    kernels.finish = <Finish>finish_nll[real]


cdef void fill_soft_nll(Kernels *kernels, real _) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_products_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_products_tile[real]
    kernels.merge = merge_dot
    kernels.finish = <Finish>finish_nll[real]
