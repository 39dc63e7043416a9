# Products of a gradient g with the Jacobians of softmax and of log_softmax, from their results.
#
#     softmax_vjp(p, g)        = p*(g - sum(p*g))               x is p, b is g
#     log_softmax_vjp(logp, g) = g - exp(logp)*sum(g)           x is logp, b is g
#
# Error: 3 ULP of the result, or of the larger of the two terms that it is the difference of.
#
# 1. Compute the sum in two parts (ops/dot_sum.pxi).
# 2. Compute the difference for each element, with both parts.

# softmax --------------------------------------------------------------------------------------------------------------

cdef inline void softmax_vjp_lanes(const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                   const real *dot, const real *dot_low, real *out, Py_ssize_t out_ld,
                                   Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(lanes_of(x)):
            y[j] = x[i*ld + j]*((b[i*b_ld + j] - dot[j]) - dot_low[j])
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]


cdef void write_softmax_vjp_row(const State *state, const real *x, const real *b, Py_ssize_t n,
                                real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    cdef real dot[LANES]
    cdef real dot_low[LANES]
    spread(<real>state.second.dot.dot[0], dot)
    spread(<real>state.second.dot.dot_low[0], dot_low)
    softmax_vjp_lanes(x, width, b, width, rows, dot, dot_low, out, width, NO_PREFETCH)
    if remaining:
        pad_two(x + rows*width, b + rows*width, remaining, tail, tail_b)
        softmax_vjp_lanes(tail, width, tail_b, width, 1, dot, dot_low, tail, width, NO_PREFETCH)
        unpad(tail, remaining, out + rows*width)


cdef void write_softmax_vjp_tile(const State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                                 Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                                 Py_ssize_t prefetch_rows, const Adjustment *_unadjusted) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real dot[LANES]
    cdef real dot_low[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            dot[j] = <real>state.second.dot.dot[first + j]
            dot_low[j] = <real>state.second.dot.dot_low[first + j]
        softmax_vjp_lanes(x + first, ld, b + first, b_ld, rows, dot, dot_low, out + first, out_ld, prefetch_rows)


cdef void fill_softmax_vjp(Kernels *kernels, real _) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_products_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_products_tile[real]
    kernels.merge = merge_dot
    kernels.finish = <Finish>finish_dot[real]
    kernels.write_row = <WriteRow>write_softmax_vjp_row[real]
    kernels.write_tile = <WriteTile>write_softmax_vjp_tile[real]


# log_softmax ----------------------------------------------------------------------------------------------------------

cdef inline void log_softmax_vjp_lanes(const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                       real round_bias, real underflow_below, const real *total, const real *total_low,
                                       real *out, Py_ssize_t out_ld, Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real p
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(lanes_of(x)):
            p = without_offset(scaled_exp(at_least(x[i*ld + j], underflow_below), round_bias))
            y[j] = b[i*b_ld + j] - multiplied(p, total[j], total_low[j])
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]


cdef void write_log_softmax_vjp_row(const State *state, const real *x, const real *b, Py_ssize_t n,
                                    real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    cdef real total[LANES]
    cdef real total_low[LANES]
    cdef real round_bias = round_bias_of(<real>0), underflow_below = underflow_of(<real>0)
    spread(<real>state.second.dot.dot[0], total)
    spread(<real>state.second.dot.dot_low[0], total_low)
    log_softmax_vjp_lanes(x, width, b, width, rows, round_bias, underflow_below, total, total_low, out, width,
                          NO_PREFETCH)
    if remaining:
        pad_two(x + rows*width, b + rows*width, remaining, tail, tail_b)
        log_softmax_vjp_lanes(tail, width, tail_b, width, 1, round_bias, underflow_below, total, total_low, tail,
                              width, NO_PREFETCH)
        unpad(tail, remaining, out + rows*width)


cdef void write_log_softmax_vjp_tile(const State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                                     Py_ssize_t rows, Py_ssize_t columns, real *out, Py_ssize_t out_ld,
                                     Py_ssize_t prefetch_rows, const Adjustment *_unadjusted) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real total[LANES]
    cdef real total_low[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            total[j] = <real>state.second.dot.dot[first + j]
            total_low[j] = <real>state.second.dot.dot_low[first + j]
        log_softmax_vjp_lanes(x + first, ld, b + first, b_ld, rows, round_bias_of(<real>0), underflow_of(<real>0),
                              total, total_low, out + first, out_ld, prefetch_rows)


cdef void fill_log_softmax_vjp(Kernels *kernels, real _) noexcept:
    kernels.reduces_weights_alone = True
    kernels.reduce_row = <ReduceRow>reduce_weights_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_weights_tile[real]
    kernels.merge = merge_dot
    kernels.finish = <Finish>finish_dot[real]
    kernels.write_row = <WriteRow>write_log_softmax_vjp_row[real]
    kernels.write_tile = <WriteTile>write_log_softmax_vjp_tile[real]
