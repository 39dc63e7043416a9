# Find the largest of neighbouring halves, and load them as floats meanwhile where kernels read the scratch, which they
# then read one time less (P53).
#
# The bits of a half are a sign and a magnitude. So the largest half is the largest 16-bit integer if that is not
# negative, and otherwise the smallest. Vectors compare twice as many integers as floats, whatever the type of the half.
# Of the two zeros the positive one is larger. A nan may hide other elements, but then the sum is nan anyway.

cdef inline float from_half(int16_t half, ElementType type_) noexcept nogil:
    return from_float16(<uint16_t>half) if type_ == FLOAT16 else from_bfloat16(<uint16_t>half)


cdef inline uint16_t to_half(float value, ElementType type_) noexcept nogil:
    return to_float16(value) if type_ == FLOAT16 else to_bfloat16(value)


cdef inline double count_of_halves(const char *halves, Py_ssize_t n, uint16_t wanted) noexcept nogil:
    """How many of n neighbours, at most a block, equal a number. 0 has two signs."""
    cdef uint16_t mask = 0xFFFF if wanted & 0x7FFF else 0x7FFF
    cdef uint16_t counts[LANES_F32]
    cdef uint16_t last[LANES_F32]
    cdef Py_ssize_t rows = n//LANES_F32, remaining = n - rows*LANES_F32, i, j
    cdef uint16_t count = 0
    wanted &= mask
    for j in range(LANES_F32):
        counts[j] = 0
    for i in range(rows):
        add_equal_halves(halves + 2*i*LANES_F32, LANES_F32, mask, wanted, 0, counts)
    if remaining and rows:
        add_equal_halves(halves + 2*(n - LANES_F32), LANES_F32, mask, wanted, <uint16_t>(LANES_F32 - remaining), counts)
    elif remaining:
        take_last_halves(halves, n, 0, last)
        add_equal_halves(<const char *>last, LANES_F32, mask, wanted, <uint16_t>(LANES_F32 - n), counts)
    for j in range(LANES_F32):
        count += counts[j]
    return count


cdef inline void compare_halves(const char *halves, int16_t *high, int16_t *low) noexcept nogil:
    compare_neighbours(halves, LANES_F32, high, low)


cdef inline float largest_of_lanes(const int16_t *high, const int16_t *low, ElementType type_) noexcept nogil:
    """The largest half, from the largest and smallest integers of each lane; -inf if a nan hides it."""
    cdef int16_t most = INT16_MIN, least = INT16_MAX
    cdef Py_ssize_t j
    cdef float largest
    for j in range(LANES_F32):
        most = high[j] if high[j] > most else most
        least = low[j] if low[j] < least else least
    largest = from_half(least if most < 0 else most, type_)
    return largest if largest == largest else -INFINITY


cdef inline double load_largest_half(const char *halves, Py_ssize_t n, ElementType type_, float *to,
                                     float *maxima) noexcept nogil:
    """Load n neighbours, and return the largest; -inf if a nan hides it.

    Unless `maxima` is NULL, it gets the largest of each group, as maxima_of_groups has them. A group is TOP_GROUP_ROWS
    long, or the whole row.
    """
    cdef Py_ssize_t rows = n//LANES_F32, remaining = n - rows*LANES_F32, row = 0, end, i, j
    cdef Py_ssize_t group = TOP_GROUP_ROWS if maxima != NULL else rows + 1
    cdef int16_t tail[LANES_F32]
    cdef int16_t high[LANES_F32]
    cdef int16_t low[LANES_F32]
    cdef int16_t highest[LANES_F32]
    cdef int16_t lowest[LANES_F32]
    for j in range(LANES_F32):
        highest[j] = INT16_MIN
        lowest[j] = INT16_MAX
    while row < rows or remaining and row == rows:
        for j in range(LANES_F32):
            high[j] = INT16_MIN
            low[j] = INT16_MAX
        end = min_of(rows, row + group)
        for i in range(row, end):
            widen_lanes(halves + 2*i*LANES_F32, type_, to + i*LANES_F32)
            compare_halves(halves + 2*i*LANES_F32, high, low)
        row += group
        if remaining and row > rows:
            for j in range(LANES_F32):
                tail[j] = <int16_t>minus_infinity(type_)
            memcpy(tail, halves + 2*rows*LANES_F32, 2*remaining)
            for j in range(remaining):
                to[rows*LANES_F32 + j] = from_half(tail[j], type_)
            compare_halves(<const char *>tail, high, low)
        compare_halves(<const char *>high, highest, lowest)
        compare_halves(<const char *>low, highest, lowest)
        if maxima != NULL:
            for j in range(LANES_F32):
                high[j] = low[j] if high[j] < 0 else high[j]
            widen_lanes(<const char *>high, type_, maxima)
            maxima += LANES_F32
    return largest_of_lanes(highest, lowest, type_)


cdef inline float largest_of_halves(const char *halves, Py_ssize_t n, ElementType type_) noexcept nogil:
    """The largest of n neighbours; -inf if a nan hides it."""
    cdef Py_ssize_t rows = n//LANES_F32, i, j
    cdef uint16_t last[LANES_F32]
    cdef int16_t high[LANES_F32]
    cdef int16_t low[LANES_F32]
    for j in range(LANES_F32):
        high[j] = INT16_MIN
        low[j] = INT16_MAX
    for i in range(rows):
        compare_halves(halves + 2*i*LANES_F32, high, low)
    if rows and n > rows*LANES_F32:
        compare_halves(halves + 2*(n - LANES_F32), high, low)       # some elements for the second time
    elif rows == 0:
        take_last_halves(halves, n, minus_infinity(type_), last)
        compare_halves(<const char *>last, high, low)
    return largest_of_lanes(high, low, type_)


cdef double load_largest_float16(const void *halves, Py_ssize_t n, void *to, void *maxima) noexcept nogil:
    return load_largest_half(<const char *>halves, n, FLOAT16, <float *>to, <float *>maxima)


cdef double load_largest_bfloat16(const void *halves, Py_ssize_t n, void *to, void *maxima) noexcept nogil:
    return load_largest_half(<const char *>halves, n, BFLOAT16, <float *>to, <float *>maxima)
