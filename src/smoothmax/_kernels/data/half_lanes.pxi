# Rows of lanes that are loaded as floats into registers and stored from there: loops over them take rows of halves
# where they lie, and staged floats by the same operations.
#
# load_lanes and store_lanes keep bfloat16 in another order, because two of them convert best as one word: first the
# elements at even places, then the others. put_in_order() undoes that. The last lanes of a row are in order.

cdef enum ElementType:
    FLOAT16
    BFLOAT16
    FLOAT32         # of elements that are staged


cdef inline Py_ssize_t size_of_lanes(ElementType type_) noexcept nogil:
    """The bytes of a row of lanes."""
    return LANES_F32*(4 if type_ == FLOAT32 else 2)


cdef inline void widen_lanes(const char *halves, ElementType type_, float *to) noexcept nogil:
    """Load halves in order."""
    if type_ == FLOAT16:
        widen_float16(halves, LANES_F32, to)
    else:
        widen_bfloat16(halves, LANES_F32, to)


cdef inline void load_lanes(const char *elements, ElementType type_, float *to) noexcept nogil:
    cdef Py_ssize_t j
    if type_ == FLOAT16:
        widen_float16(elements, LANES_F32, to)
    elif type_ == BFLOAT16:
        split_bfloat16(elements, LANES_F32, to)
    else:
        for j in range(LANES_F32):
            to[j] = (<const float *>elements)[j]


cdef inline void store_lanes(const float *values, ElementType type_, char *out) noexcept nogil:
    """Store LANES_F32 numbers, which must not be nan unless they are stored as floats."""
    cdef Py_ssize_t j
    if type_ == FLOAT16:
        narrow_numbers_float16(values, LANES_F32, out)
    elif type_ == BFLOAT16:
        join_bfloat16(values, LANES_F32, out)
    else:
        for j in range(LANES_F32):
            (<float *>out)[j] = values[j]


cdef inline void put_in_order(ElementType type_, float *lanes) noexcept nogil:
    cdef Py_ssize_t j
    cdef float loaded[LANES_F32]
    if type_ == BFLOAT16:
        for j in range(LANES_F32):
            loaded[j] = lanes[j]
        for j in range(LANES_F32//2):
            lanes[2*j] = loaded[j]
            lanes[2*j + 1] = loaded[LANES_F32//2 + j]


cdef inline uint16_t minus_infinity(ElementType type_) noexcept nogil:
    return 0xFC00 if type_ == FLOAT16 else 0xFF80


# Rows that fit in the lanes -------------------------------------------------------------------------------------------

cdef inline void load_few_halves(const void *halves, ElementType type_, Py_ssize_t n, float *lanes) noexcept nogil:
    """Load a row of up to LANES_F32 halves into the first lanes, before -inf."""
    cdef uint16_t few[LANES_F32]
    take_first_halves(<const char *>halves, n, minus_infinity(type_), few)
    widen_lanes(<const char *>few, type_, lanes)


cdef inline bint store_few_halves(const float *lanes, ElementType type_, Py_ssize_t n, void *out) noexcept nogil:
    """Store the first lanes. Returns False, before any is stored, if one is nan."""
    cdef Py_ssize_t j
    cdef uint16_t few[LANES_F32]
    cdef int32_t nans = 0
    for j in range(LANES_F32):
        nans |= lanes[j] != lanes[j]
    if nans:
        return False
    if type_ == FLOAT16:
        narrow_numbers_float16(lanes, LANES_F32, <char *>few)
    else:
        narrow_numbers_bfloat16(lanes, LANES_F32, <char *>few)
    put_first_halves(few, n, <char *>out)
    return True


# The last elements of a row ------------------------------------------------------------------------------------------
#
# The last LANES_F32 elements are loaded in order, including some that were in a row of lanes before. Only a row that is
# shorter is filled up, in front of its elements: that takes longer, because a load waits for the stores before it.

cdef inline void take_last_halves(const char *halves, Py_ssize_t n, uint16_t filler, uint16_t *last) noexcept nogil:
    """Copy fewer than LANES_F32 halves to the last lanes."""
    cdef Py_ssize_t j
    for j in range(LANES_F32):
        last[j] = filler
    copy_few_halves(halves, n, <char *>(last + LANES_F32 - n))


cdef inline void take_last_floats(const float *x, Py_ssize_t n, Py_ssize_t number, float filler,
                                  float *to) noexcept nogil:
    """The last `number` of n floats, in the last lanes."""
    cdef int j, first = <int>(LANES_F32 - number)       # ints of the elements' width, for a masked load
    for j in range(LANES_F32):
        to[j] = (x + n - LANES_F32)[j] if j >= first else filler


cdef inline void load_last_lanes(const char *elements, ElementType type_, Py_ssize_t n, float *to) noexcept nogil:
    """The last of n elements, after -inf if these are fewer than LANES_F32."""
    cdef uint16_t last[LANES_F32]
    if type_ == FLOAT32:
        if n >= LANES_F32:
            load_lanes(elements + 4*(n - LANES_F32), FLOAT32, to)
        else:
            take_last_floats(<const float *>elements, n, n, <float>-INFINITY, to)
    elif n >= LANES_F32:
        widen_lanes(elements + 2*(n - LANES_F32), type_, to)
    else:
        take_last_halves(elements, n, minus_infinity(type_), last)
        widen_lanes(<const char *>last, type_, to)


cdef inline void hide_first_lanes(Py_ssize_t first, float filler, float *lanes) noexcept nogil:
    """Replace the lanes before the lane `first`."""
    cdef int j, hidden = <int>first         # ints of the elements' width, for masks
    for j in range(LANES_F32):
        lanes[j] = filler if j < hidden else lanes[j]


cdef inline void put_last_lanes(const float *lanes, Py_ssize_t first, float *end) noexcept nogil:
    """Store the lanes from `first` on, so that they end at `end`."""
    cdef int j, hidden = <int>first
    for j in range(LANES_F32):
        if j >= hidden:
            (end - LANES_F32)[j] = lanes[j]


cdef inline void store_last_lanes(const float *values, ElementType type_, Py_ssize_t n, Py_ssize_t number,
                                  char *out) noexcept nogil:
    """The last `number` results of a row of n. All LANES_F32 are stored at a time, if there are as many."""
    cdef uint16_t last[LANES_F32]
    cdef bint whole = number >= LANES_F32
    cdef char *to = out + 2*(n - LANES_F32) if whole else <char *>last
    if type_ == FLOAT32:
        put_last_lanes(values, 0 if whole else LANES_F32 - number, <float *>out + n)
        return
    if type_ == FLOAT16:
        narrow_numbers_float16(values, LANES_F32, to)
    else:
        narrow_numbers_bfloat16(values, LANES_F32, to)
    if not whole:
        copy_few_halves(<const char *>(last + LANES_F32 - number), number, out + 2*(n - number))
