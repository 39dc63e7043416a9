# Gradients of cross-entropy with respect to the logits, with the loss itself.
#
#     dloss/dx_c = ((hard w_t + soft mass) p_c - soft b_c - hard w_t [c = t]) / denominator        see ops/losses.pxi
#
# Error: 3 ULP; with weights of all classes, of the larger of the two terms.
#
# 1. Sum EXACT terms, and store the exponentials where the kernel is fused (ops/logsumexp_and_softmax.pxi).
# 2. The first term is softmax with another factor.
# 3. At the target the first and the last term would cancel. Compute both together as -hard w_t (1 - p_t), where 1 - p_t
#    is the sum of the other exponentials divided by the whole sum. It replaces the result of step 2 at the end.
#
# Every factor is two doubles; when each was rounded, a gradient was 5 ULP off.

cdef inline void exp_of_target(real target, real maximum, Scaling scaling, double *at, double *at_low) noexcept nogil:
    """The target's exponential in two parts, scaled as the sum is. A missing target is 0 and may exceed the maximum."""
    cdef real shift, round_bias, underflow_below, d, d_low, head, tail, scale
    if scaling == FROM_MAXIMUM:
        difference_in_two(target if target < maximum else maximum, maximum, underflow_of(<real>0), WITH_MAXIMUM, &d,
                          &d_low)
        split_exp_of_two(d, d_low, round_bias_of(<real>0), &head, &tail, &scale)
        at[0] = (head + tail)*scale
        at_low[0] = ((head - (head + tail)) + tail)*scale
    else:
        shifts_of(maximum, &shift, &round_bias, &underflow_below)
        exp_in_two(at_least(target - shift, underflow_below), round_bias, at, at_low)


cdef inline void gradient_factors(State *state, Py_ssize_t columns, Scaling scaling, TargetKind kind,
                                  real type_) noexcept nogil:
    """The factors of the exponentials and of b, and the gradient at the target."""
    cdef Py_ssize_t j
    cdef double total, low, inverse, inverse_low, p, p_low, product, product_low, at, at_low, others, others_low
    cdef double value, value_low
    cdef double down, up, weight, gain, gain_low, own, own_low, shared, shared_low, for_all, for_all_low
    cdef double hard = 0, hard_low = 0, slope = 0, slope_low = 0
    cdef bint is_maximum, is_large
    cdef const PartialSum *sum = &state.sum.partial
    cdef const DotSum *dot = &state.second.dot
    invert(state.loss.denominator, 0, &gain, &gain_low)
    add_product(state.loss.hard, state.loss.hard_low, gain, gain_low, &hard, &hard_low, type_)
    add_product(state.loss.soft, state.loss.soft_low, gain, gain_low, &slope, &slope_low, type_)
    for j in range(columns):
        total = scaled_total(state, j, scaling, &low, type_)
        invert(total, low, &inverse, &inverse_low)
        # 1 - p of the target is the sum of the others over the whole sum. If the target is the maximum, its term is
        # left out of the sum. Otherwise at most half of the sum is subtracted, and no digit is lost.
        scaled_exp_of_maximum(<real>sum.maximum[j], scaling, &p, &p_low)
        exp_of_target(<real>state.loss.target_logit[j], <real>sum.maximum[j], scaling, &at, &at_low)
        is_maximum = state.loss.target_logit[j] == sum.maximum[j]
        # multiply_add, because GCC fuses the product into the sum, and Clang does not.
        product = multiply_add(sum.count[j] - 1, p, <double>0)
        others = two_sum(product if is_maximum else total, sum.others[j] if is_maximum else -at, &others_low)
        product_low = multiply_add(sum.count[j] - 1, p_low, product_error(sum.count[j] - 1, p, product))
        others_low += sum.others_low[j] + product_low if is_maximum else low - at_low
        own = own_low = value = value_low = 0
        add_product(hard, hard_low, state.loss.target_weight[j], 0, &own, &own_low, type_)
        if kind == SOFT:
            state.loss.slope[j], state.loss.slope_low[j] = slope*state.loss.counts[j], slope_low*state.loss.counts[j]
            for_all = for_all_low = 0
            add_product(state.loss.slope[j], state.loss.slope_low[j], dot.mass[j], dot.mass_low[j], &for_all,
                        &for_all_low, type_)
            shared = two_sum(own, for_all, &shared_low)
            shared_low += own_low + for_all_low
        else:
            shared, shared_low, for_all = own, own_low, 0
        # The sums are scaled by 2**OFFSET, so their products with weights beyond 2**400 might overflow.
        is_large = magnitude(own) + magnitude(for_all) > 2.582249878086909e+120
        down = 7.458340731200207e-155 if is_large else 1        # 2**-512
        up = 1.3407807929942597e+154 if is_large else 1
        add_product(own*down, own_low*down, others, others_low, &value, &value_low, type_)
        if kind == SOFT:
            weight = state.loss.target_weight[j]*down
            add_product(slope*weight, slope_low*weight, total, low, &value, &value_low, type_)
            add_product(for_all*down, for_all_low*down, -at, -at_low, &value, &value_low, type_)
        state.normalizer.inverse[j] = shared*inverse
        state.normalizer.inverse_low[j] = product_error(
            shared, inverse, state.normalizer.inverse[j]) + multiply_add(shared, inverse_low, shared_low*inverse)
        state.normalizer.saturates_above[j] = INFINITY
        # Subtracted from 0, so that a gradient of 0 is +0, even if it is computed from -0.
        state.loss.at_target[j] = 0 - (multiplied(inverse, value, value_low) + value*inverse_low)*up


cdef inline void finish_gradient(State *state, Py_ssize_t columns, TargetKind kind, real type_) noexcept nogil:
    if state.scaling == FROM_MAXIMUM:
        gradient_factors(state, columns, FROM_MAXIMUM, kind, type_)
    else:
        gradient_factors(state, columns, SHIFTED, kind, type_)


cdef void finish_hard_gradient(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    finish_hard_loss(state, columns, out, sign)
    finish_gradient(state, columns, HARD, <real>0)


cdef void finish_soft_gradient(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    finish_soft_loss(state, columns, out, sign)
    finish_gradient(state, columns, SOFT, <real>0)


# Results with weights of all classes ----------------------------------------------------------------------------------

cdef inline void gradient_lanes(const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                const real *shift, const real *round_bias, const real *underflow_below,
                                const real *factor, const real *factor_low, const real *slope, const real *slope_low,
                                real *out, Py_ssize_t out_ld, Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real e
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(lanes_of(x)):
            e = scaled_exp(at_least(x[i*ld + j] - shift[j], underflow_below[j]), round_bias[j])
            y[j] = probability(e, factor[j], factor_low[j]) - multiplied(b[i*b_ld + j], slope[j], slope_low[j])
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]


cdef void write_gradient_row(const State *state, const real *x, const real *b, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real slope[LANES]
    cdef real slope_low[LANES]
    spread_shifts(<real>state.sum.partial.maximum[0], shift, round_bias, underflow_below)
    split_inverse(state.normalizer.inverse[0], state.normalizer.inverse_low[0], factor, factor_low)
    spread(factor[0], factor)
    spread(factor_low[0], factor_low)
    split_inverse(state.loss.slope[0], state.loss.slope_low[0], slope, slope_low)
    spread(slope[0], slope)
    spread(slope_low[0], slope_low)
    gradient_lanes(x, width, b, width, rows, shift, round_bias, underflow_below, factor, factor_low, slope, slope_low,
                   out, width, NO_PREFETCH)
    if remaining:
        pad_two(x + rows*width, b + rows*width, remaining, tail, tail_b)
        gradient_lanes(tail, width, tail_b, width, 1, shift, round_bias, underflow_below, factor, factor_low, slope,
                       slope_low, tail, width, NO_PREFETCH)
        unpad(tail, remaining, out + rows*width)


cdef void write_gradient_tile(const State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                              Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                              Py_ssize_t prefetch_rows, const Adjustment *_unadjusted) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real factor[LANES]
    cdef real factor_low[LANES]
    cdef real slope[LANES]
    cdef real slope_low[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            shifts_of(<real>state.sum.partial.maximum[first + j], &shift[j], &round_bias[j], &underflow_below[j])
            split_inverse(state.normalizer.inverse[first + j], state.normalizer.inverse_low[first + j], &factor[j],
                          &factor_low[j])
            split_inverse(state.loss.slope[first + j], state.loss.slope_low[first + j], &slope[j], &slope_low[j])
        gradient_lanes(x + first, ld, b + first, b_ld, rows, shift, round_bias, underflow_below, factor, factor_low,
                       slope, slope_low, out + first, out_ld, prefetch_rows)


# Tables ---------------------------------------------------------------------------------------------------------------

cdef void fill_hard_gradient(Kernels *kernels, real type_) noexcept:
    fill_exp_sum_store(kernels, type_)
    kernels.reduce_row = <ReduceRow>reduce_row_exact[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_exact[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_hard_gradient[real]


cdef void fill_soft_gradient(Kernels *kernels, real type_) noexcept:
    fill_soft_loss(kernels, type_)
    kernels.finish = <Finish>finish_soft_gradient[real]
    kernels.write_row = <WriteRow>write_gradient_row[real]
    kernels.write_tile = <WriteTile>write_gradient_tile[real]
