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


cdef inline void load_last_lanes(const char *elements, ElementType type_, Py_ssize_t n, float *to) noexcept nogil:
    """The last n elements of a row, filled up with -inf."""
    cdef Py_ssize_t j
    cdef uint16_t packed[LANES_F32]
    if type_ == FLOAT32:
        pad(<const float *>elements, n, to)
        return
    for j in range(LANES_F32):
        packed[j] = <uint16_t>(0xFC00 if type_ == FLOAT16 else 0xFF80)
    memcpy(packed, elements, 2*n)
    widen_lanes(<const char *>packed, type_, to)


cdef inline void store_last_lanes(const float *values, ElementType type_, Py_ssize_t n, char *out) noexcept nogil:
    """store_lanes of the first n lanes, to the end of a row."""
    cdef uint16_t packed[LANES_F32]
    if type_ == FLOAT32:
        unpad(values, n, <float *>out)
        return
    if type_ == FLOAT16:
        narrow_numbers_float16(values, LANES_F32, <char *>packed)
    else:
        narrow_numbers_bfloat16(values, LANES_F32, <char *>packed)
    memcpy(out, packed, 2*n)
