# The second pass of log_softmax over a row of halves whose results are halves: from array to result in registers (P53).
#
# The operations are those of write_log_softmax_row, between a conversion and a rounding, so the bits are the same as
# through the scratch. A result is nan only if the maximum or the logarithm is not finite; then nothing is written.

cdef inline void narrow_lanes(const float *values, HalfType type_, char *halves) noexcept nogil:
    """Round LANES_F32 numbers that are not nan."""
    if type_ == FLOAT16:
        narrow_numbers_float16(values, LANES_F32, halves)
    else:
        narrow_numbers_bfloat16(values, LANES_F32, halves)


cdef inline bint write_halves_of_log_softmax(const State *state, const char *halves, Py_ssize_t n, HalfType type_,
                                             char *out) noexcept nogil:
    cdef Py_ssize_t rows = n//LANES_F32, remaining = n - rows*LANES_F32, i, j
    cdef float maximum = <float>state.sum.partial.maximum[0], log_sum = <float>state.normalizer.log_sum[0]
    cdef float x[LANES_F32]
    cdef float y[LANES_F32]
    cdef uint16_t tail[LANES_F32]
    if not (is_finite(maximum) and is_finite(log_sum)):
        return False
    for i in range(rows):
        widen_lanes(halves + 2*i*LANES_F32, type_, x)
        for j in range(LANES_F32):
            y[j] = (x[j] - maximum) - log_sum
        narrow_lanes(y, type_, out + 2*i*LANES_F32)
    if remaining:
        for j in range(LANES_F32):
            tail[j] = 0
        memcpy(tail, halves + 2*rows*LANES_F32, 2*remaining)
        widen_lanes(<const char *>tail, type_, x)
        for j in range(LANES_F32):
            y[j] = (x[j] - maximum) - log_sum
        narrow_lanes(y, type_, <char *>tail)
        memcpy(out + 2*rows*LANES_F32, tail, 2*remaining)
    return True


cdef bint write_float16_row_of_log_softmax(const State *state, const void *halves, Py_ssize_t n,
                                           void *out) noexcept nogil:
    return write_halves_of_log_softmax(state, <const char *>halves, n, FLOAT16, <char *>out)


cdef bint write_bfloat16_row_of_log_softmax(const State *state, const void *halves, Py_ssize_t n,
                                            void *out) noexcept nogil:
    return write_halves_of_log_softmax(state, <const char *>halves, n, BFLOAT16, <char *>out)
