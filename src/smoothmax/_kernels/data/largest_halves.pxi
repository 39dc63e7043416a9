# Load neighbouring halves as floats and find the largest meanwhile: kernels read the scratch one time less (P53).
#
# The bits of a half are a sign and a magnitude. So the largest half is the largest 16-bit integer if that is not
# negative, and otherwise the smallest. Vectors compare twice as many integers as floats, whatever the type of the half.
# Of the two zeros the positive one is larger. A nan may hide other elements, but then the sum is nan anyway.

cdef enum HalfType:
    FLOAT16
    BFLOAT16


cdef inline float from_half(int16_t half, HalfType type_) noexcept nogil:
    return from_float16(<uint16_t>half) if type_ == FLOAT16 else from_bfloat16(<uint16_t>half)


cdef inline void widen_lanes(const char *halves, HalfType type_, float *to) noexcept nogil:
    if type_ == FLOAT16:
        widen_float16(halves, LANES_F32, to)
    else:
        widen_bfloat16(halves, LANES_F32, to)


cdef inline void compare_halves(const int16_t *halves, int16_t *high, int16_t *low) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(LANES_F32):
        high[j] = halves[j] if halves[j] > high[j] else high[j]
        low[j] = halves[j] if halves[j] < low[j] else low[j]


cdef inline double load_largest_half(const char *halves, Py_ssize_t n, HalfType type_, float *to,
                                     float *maxima) noexcept nogil:
    """Load n neighbours, and return the largest; -inf if a nan hides it.

    Unless `maxima` is NULL, it gets the largest of each group, as maxima_of_groups has them. A group is TOP_GROUP_ROWS
    long, or the whole row.
    """
    cdef Py_ssize_t rows = n//LANES_F32, remaining = n - rows*LANES_F32, row = 0, end, i, j
    cdef Py_ssize_t group = TOP_GROUP_ROWS if maxima != NULL else rows + 1
    cdef int16_t most = INT16_MIN, least = INT16_MAX, minus_inf = <int16_t>(0xFC00 if type_ == FLOAT16 else 0xFF80)
    cdef int16_t some[LANES_F32]
    cdef int16_t tail[LANES_F32]
    cdef int16_t high[LANES_F32]
    cdef int16_t low[LANES_F32]
    cdef int16_t highest[LANES_F32]
    cdef int16_t lowest[LANES_F32]
    cdef float largest
    for j in range(LANES_F32):
        highest[j] = INT16_MIN
        lowest[j] = INT16_MAX
    while row < rows or remaining and row == rows:
        for j in range(LANES_F32):
            high[j] = INT16_MIN
            low[j] = INT16_MAX
        end = min_of(rows, row + group)
        for i in range(row, end):
            memcpy(some, halves + 2*i*LANES_F32, 2*LANES_F32)
            widen_lanes(halves + 2*i*LANES_F32, type_, to + i*LANES_F32)
            compare_halves(some, high, low)
        row += group
        if remaining and row > rows:
            for j in range(LANES_F32):
                tail[j] = minus_inf
            memcpy(tail, halves + 2*rows*LANES_F32, 2*remaining)
            for j in range(remaining):
                to[rows*LANES_F32 + j] = from_half(tail[j], type_)
            compare_halves(tail, high, low)
        compare_halves(high, highest, lowest)
        compare_halves(low, highest, lowest)
        if maxima != NULL:
            for j in range(LANES_F32):
                high[j] = low[j] if high[j] < 0 else high[j]
            widen_lanes(<const char *>high, type_, maxima)
            maxima += LANES_F32
    for j in range(LANES_F32):
        most = highest[j] if highest[j] > most else most
        least = lowest[j] if lowest[j] < least else least
    largest = from_half(least if most < 0 else most, type_)
    return largest if largest == largest else -INFINITY


cdef double load_largest_float16(const void *halves, Py_ssize_t n, void *to, void *maxima) noexcept nogil:
    return load_largest_half(<const char *>halves, n, FLOAT16, <float *>to, <float *>maxima)


cdef double load_largest_bfloat16(const void *halves, Py_ssize_t n, void *to, void *maxima) noexcept nogil:
    return load_largest_half(<const char *>halves, n, BFLOAT16, <float *>to, <float *>maxima)
