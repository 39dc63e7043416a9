# softmax and log_softmax of rows whose results are halves
#
# ops/half_sums.pxi has the first pass, and this file the second. Rows of one block take both in one call.
#
# From halves to halves, each row of lanes is converted, computed and rounded in registers (P53). The operations, and so
# the bits, are those of results that pass through the scratch as floats. A result is nan only if the maximum or the sum
# is not finite. Halves that are nan cannot be written here: the function then returns False and writes nothing.
#
# softmax corrects a draft, or computes all exponentials again.

cdef inline bint has_numbers(const State *state, double value) noexcept nogil:
    """Whether no result is nan."""
    return is_finite(state.sum.partial.maximum[0]) and is_finite(value)


cdef inline void half_softmax_lanes(const char *x, ElementType type_, Py_ssize_t rows, float shift, float round_bias,
                                    float underflow_below, float inverse, char *out) noexcept nogil:
    cdef Py_ssize_t i, j, size = size_of_lanes(type_)
    cdef float c[5]
    cdef float v[LANES_F32]
    half_exp_coefficients(inverse, c)
    for i in range(rows):
        load_lanes(x + i*size, type_, v)
        for j in range(LANES_F32):
            v[j] = half_term(at_least(v[j] - shift, underflow_below), round_bias, c)
        store_lanes(v, type_, out + i*size)


cdef inline bint write_half_softmax(const State *state, const char *x, ElementType type_, Py_ssize_t n,
                                    char *out) noexcept nogil:
    cdef Py_ssize_t rows = n//LANES_F32
    cdef bint remain = n > rows*LANES_F32
    cdef float inverse = <float>state.normalizer.inverse[0], shift, round_bias, underflow_below
    cdef float tail[LANES_F32]
    if type_ != FLOAT32 and not has_numbers(state, inverse):
        return False
    shifts_of(<float>state.sum.partial.maximum[0], &shift, &round_bias, &underflow_below)
    if remain:      # before results replace elements
        load_last_lanes(x, type_, n, tail)
    half_softmax_lanes(x, type_, rows, shift, round_bias, underflow_below, inverse, out)
    if remain:
        half_softmax_lanes(<const char *>tail, FLOAT32, 1, shift, round_bias, underflow_below, inverse, <char *>tail)
        store_last_lanes(tail, type_, n, n, out)
    return True


cdef void write_half_softmax_row(const State *state, const float *x, const float *_, Py_ssize_t n,
                                 float *out) noexcept nogil:
    write_half_softmax(state, <const char *>x, FLOAT32, n, <char *>out)


cdef bint write_float16_row_of_softmax(const State *state, const void *halves, Py_ssize_t n, void *out) noexcept nogil:
    return write_half_softmax(state, <const char *>halves, FLOAT16, n, <char *>out)


cdef bint write_bfloat16_row_of_softmax(const State *state, const void *halves, Py_ssize_t n,
                                        void *out) noexcept nogil:
    return write_half_softmax(state, <const char *>halves, BFLOAT16, n, <char *>out)


cdef inline void scale_half_draft(const float *draft, ElementType type_, Py_ssize_t n, double inverse,
                                  char *out) noexcept nogil:
    """Multiply a block of exponentials, whose rows of lanes lie in the order of load_lanes."""
    cdef Py_ssize_t rows = n//LANES_F32, remaining = n - rows*LANES_F32, size = size_of_lanes(type_), i, j
    # Two factors, because an exponential is as large as 2**OFFSET while the inverse may be subnormal.
    cdef float factor = <float>(inverse*scaled_one(<float>0))
    cdef float v[LANES_F32]
    for i in range(rows):
        for j in range(LANES_F32):
            v[j] = without_offset(draft[i*LANES_F32 + j])*factor
        store_lanes(v, type_, out + i*size)
    if remaining:
        take_last_floats(draft, n, remaining, <float>0, v)
        for j in range(LANES_F32):
            v[j] = without_offset(v[j])*factor
        store_last_lanes(v, type_, n, remaining, out)


cdef inline bint correct_half_softmax(const State *state, const float *draft, ElementType type_, Py_ssize_t n,
                                      char *out, const double *maxima) noexcept nogil:
    """Turn a draft into results. Floats may replace it."""
    cdef Py_ssize_t block
    cdef double inverse, low, maximum = state.sum.partial.maximum[0]
    if type_ != FLOAT32 and not has_numbers(state, state.normalizer.inverse[0]):
        return False
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*LANES_F32)
        inverse, low = state.normalizer.inverse[0], 0
        if maxima[0] < maximum:
            rescale(&inverse, &low, <float>maxima[0], <float>maximum)
        scale_half_draft(draft, type_, block, inverse, out)
        draft += block
        out += block*(4 if type_ == FLOAT32 else 2)
        maxima += 1
        n -= block
    return True


cdef void correct_half_softmax_row(const State *state, const float *_, Py_ssize_t n, float *out,
                                   const double *maxima) noexcept nogil:
    correct_half_softmax(state, out, FLOAT32, n, <char *>out, maxima)


cdef bint correct_float16_row_of_softmax(const State *state, const float *draft, Py_ssize_t n, void *out,
                                         const double *maxima) noexcept nogil:
    return correct_half_softmax(state, draft, FLOAT16, n, <char *>out, maxima)


cdef bint correct_bfloat16_row_of_softmax(const State *state, const float *draft, Py_ssize_t n, void *out,
                                          const double *maxima) noexcept nogil:
    return correct_half_softmax(state, draft, BFLOAT16, n, <char *>out, maxima)


cdef inline void half_log_softmax_lanes(const char *x, ElementType type_, Py_ssize_t n, float maximum, float log_sum,
                                        char *out) noexcept nogil:
    cdef Py_ssize_t rows = n//LANES_F32, size = size_of_lanes(type_), i, j
    cdef bint remain = n > rows*LANES_F32
    cdef float v[LANES_F32]
    cdef float tail[LANES_F32]
    if remain:      # before results replace elements
        load_last_lanes(x, type_, n, tail)
    for i in range(rows):
        load_lanes(x + i*size, type_, v)
        for j in range(LANES_F32):
            v[j] = (v[j] - maximum) - log_sum
        store_lanes(v, type_, out + i*size)
    if remain:
        for j in range(LANES_F32):
            tail[j] = (tail[j] - maximum) - log_sum
        store_last_lanes(tail, type_, n, n, out)


cdef inline bint write_half_log_softmax(const State *state, const char *x, ElementType type_, Py_ssize_t n,
                                        char *out) noexcept nogil:
    if not has_numbers(state, state.normalizer.log_sum[0]):
        return False
    half_log_softmax_lanes(x, type_, n, <float>state.sum.partial.maximum[0], <float>state.normalizer.log_sum[0], out)
    return True


cdef bint write_float16_row_of_log_softmax(const State *state, const void *halves, Py_ssize_t n,
                                           void *out) noexcept nogil:
    return write_half_log_softmax(state, <const char *>halves, FLOAT16, n, <char *>out)


cdef bint write_bfloat16_row_of_log_softmax(const State *state, const void *halves, Py_ssize_t n,
                                            void *out) noexcept nogil:
    return write_half_log_softmax(state, <const char *>halves, BFLOAT16, n, <char *>out)


# Rows of one block ----------------------------------------------------------------------------------------------------

cdef inline bint half_softmax_of_row(const char *x, ElementType type_, Py_ssize_t n, const char *next_, float *draft,
                                     char *out) noexcept nogil:
    cdef float maximum = largest_of_block(x, type_, n)
    cdef double total, count, p, p_low
    total = sum_of_half_block(x, type_, n, WITHOUT_MAXIMUM, maximum, next_, STORE, draft, &count)
    exp_of_maximum(maximum, &p, &p_low)
    total = total + count*p if is_finite(maximum) else <double>NAN
    if type_ != FLOAT32 and not is_finite(total):
        return False
    scale_half_draft(draft, type_, n, 1/total, out)
    return True


cdef void half_softmax_row(const float *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *_,
                           float *out) noexcept nogil:
    if n > LANES_F32:
        half_softmax_of_row(<const char *>x, FLOAT32, n, <const char *>(x + n + away), out, <char *>out)
    else:
        softmax_row(x, n, away, NULL, out)


cdef bint float16_softmax_row(const void *halves, Py_ssize_t n, float *draft, void *out) noexcept nogil:
    if n <= LANES_F32:
        return fuse_few_halves(<FusedRow>softmax_row[float], halves, FLOAT16, n, out)
    return half_softmax_of_row(<const char *>halves, FLOAT16, n, <const char *>halves + 2*n, draft, <char *>out)


cdef bint bfloat16_softmax_row(const void *halves, Py_ssize_t n, float *draft, void *out) noexcept nogil:
    if n <= LANES_F32:
        return fuse_few_halves(<FusedRow>softmax_row[float], halves, BFLOAT16, n, out)
    return half_softmax_of_row(<const char *>halves, BFLOAT16, n, <const char *>halves + 2*n, draft, <char *>out)


cdef inline bint half_log_softmax_of_row(const char *x, ElementType type_, Py_ssize_t n, const char *next_,
                                         char *out) noexcept nogil:
    cdef float maximum
    cdef double log_sum = half_log_sum(x, type_, n, next_, &maximum)
    if type_ != FLOAT32 and not (is_finite(maximum) and is_finite(log_sum)):
        return False
    half_log_softmax_lanes(x, type_, n, maximum, <float>log_sum, out)
    return True


cdef void half_log_softmax_row(const float *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *_,
                               float *out) noexcept nogil:
    if n > LANES_F32:
        half_log_softmax_of_row(<const char *>x, FLOAT32, n, <const char *>(x + n + away), <char *>out)
    else:
        log_softmax_row(x, n, away, NULL, out)


cdef bint float16_log_softmax_row(const void *halves, Py_ssize_t n, float *_, void *out) noexcept nogil:
    if n <= LANES_F32:
        return fuse_few_halves(<FusedRow>log_softmax_row[float], halves, FLOAT16, n, out)
    return half_log_softmax_of_row(<const char *>halves, FLOAT16, n, <const char *>halves + 2*n, <char *>out)


cdef bint bfloat16_log_softmax_row(const void *halves, Py_ssize_t n, float *_, void *out) noexcept nogil:
    if n <= LANES_F32:
        return fuse_few_halves(<FusedRow>log_softmax_row[float], halves, BFLOAT16, n, out)
    return half_log_softmax_of_row(<const char *>halves, BFLOAT16, n, <const char *>halves + 2*n, <char *>out)
