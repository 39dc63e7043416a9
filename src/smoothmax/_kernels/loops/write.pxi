# Write results: exponentials times a factor in two parts, or elements minus a constant.

cdef inline real saturated(real y, real saturates_above) noexcept nogil:
    """1 instead of a probability that is above the limit, see saturates_above_of."""
    return <real>1 if y > saturates_above else y


cdef inline void scale_lanes(const real *e, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, const real *powers,
                             const real *inverse, const real *inverse_low, const real *saturates_above, real *out,
                             Py_ssize_t out_ld) noexcept nogil:
    """Exponentials over their sums; `out` may be `e`.

    Unless `powers` is NULL, the exponentials are first multiplied by those powers of two, which rounds only numbers
    whose results are 0. saturates_above is NULL if no result can exceed 1, because the maximum's exponential is exactly
    2**OFFSET and the sum is not smaller.
    """
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real v
    for i in range(rows):
        for j in range(width):
            v = e[i*ld + j]
            if powers != NULL:
                v *= powers[j]
            v = probability(v, inverse[j], inverse_low[j])
            y[j] = v if saturates_above == NULL else saturated(v, saturates_above[j])
        for j in range(width):
            out[i*out_ld + j] = y[j]


cdef inline void scale_contiguous(real *e, Py_ssize_t n, const real *powers, const real *inverse,
                                  const real *inverse_low, const real *saturates_above) noexcept nogil:
    """scale_lanes of part of a row, in place."""
    cdef Py_ssize_t width = lanes_of(e), rows = n//width, remaining = n - rows*width
    cdef real tail[LANES]
    scale_lanes(e, width, rows, width, powers, inverse, inverse_low, saturates_above, e, width)
    if remaining:
        pad(e + rows*width, remaining, tail)
        scale_lanes(tail, width, 1, width, powers, inverse, inverse_low, saturates_above, tail, width)
        unpad(tail, remaining, e + rows*width)


cdef void multiply(real *x, Py_ssize_t n, const real *powers) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] *= powers[0]


cdef inline void softmax_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *shift,
                               const real *round_bias, const real *underflow_below, const real *inverse,
                               const real *inverse_low, const real *saturates_above, real *out, Py_ssize_t out_ld,
                               Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real d, e
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(lanes_of(x)):
            d = at_least(x[i*ld + j] - shift[j], underflow_below[j])
            e = scaled_exp(d, round_bias[j])
            y[j] = saturated(probability(e, inverse[j], inverse_low[j]), saturates_above[j])
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]


cdef inline void log_softmax_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, const real *maximum,
                                   const real *log_sum, real *out, Py_ssize_t out_ld,
                                   Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(width):
            y[j] = (x[i*ld + j] - maximum[j]) - log_sum[j]
        for j in range(width):
            out[i*out_ld + j] = y[j]
