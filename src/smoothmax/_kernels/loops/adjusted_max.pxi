# Find the maximum of a row whose elements are adjusted on the way: multiplied by `scale`, shifted by an addend, and
# stored where the other passes read them (P45).
#
# The product is rounded before the addend is added, as NumPy rounds it. Compilers may contract the two into an fma, so
# the product is an fma itself, which adds -0. and thereby changes no number. Compilers must not know that either, so
# the -0. is read from memory.

cdef inline real adjusted(real v, const Adjustment *adjustment, real addend) noexcept nogil:
    return multiply_add(v, <real>adjustment.scale, <real>adjustment.minus_zero) + addend


cdef inline const real *addends_from(const Adjustment *adjustment, Py_ssize_t first, real *addend) noexcept nogil:
    """The addends from the element `first` on. If all elements have one, it is stored in `addend`, and this is NULL."""
    cdef const real *addends = <const real *>adjustment.addends
    if addends != NULL and adjustment.layout != ONE_ADDEND_A_ROW:
        return addends + first
    addend[0] = <real>adjustment.minus_zero if addends == NULL else addends[0]
    return NULL


cdef inline void adjust_lane_row(const Adjustment *adjustment, const real *x, Py_ssize_t n, Py_ssize_t first,
                                 real *staged) noexcept nogil:
    """Adjust up to a row of lanes: n elements, from the element `first` of a row on."""
    cdef Py_ssize_t j
    cdef real addend = 0
    cdef real lanes[LANES]
    cdef real lanes_of_addends[LANES]
    cdef const real *addends = addends_from(adjustment, first, &addend)
    pad_with(<real>0, x, n, lanes)
    if addends == NULL:
        spread(addend, lanes_of_addends)
    else:
        pad_with(<real>0, addends, n, lanes_of_addends)
    for j in range(lanes_of(x)):
        lanes[j] = adjusted(lanes[j], adjustment, lanes_of_addends[j])
    unpad(lanes, n, staged)


cdef inline void adjusted_max_lane_rows(const Adjustment *adjustment, const real *x, Py_ssize_t rows,
                                        const real *addends, real addend, real *staged, real *maximum) noexcept nogil:
    """max_lane_rows of adjusted elements; `addends` is NULL if all of them have one."""
    cdef Py_ssize_t width = lanes_of(x), i, j
    cdef real m[LANES]
    cdef real v[LANES]
    for j in range(lanes_of(x)):
        m[j] = maximum[j]
    for i in range(rows):
        for j in range(lanes_of(x)):
            v[j] = adjusted(x[i*width + j], adjustment, addend if addends == NULL else addends[i*width + j])
        for j in range(lanes_of(x)):
            m[j] = larger(v[j], m[j])
            staged[i*width + j] = v[j]
    for j in range(lanes_of(x)):
        maximum[j] = m[j]


cdef real adjusted_max_of_row(const Adjustment *adjustment, const real *x, Py_ssize_t n, Py_ssize_t first, real *staged,
                              real *tail) noexcept nogil:
    """max_of_row of n adjusted elements, from the element `first` of a row on."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, done = rows*width
    cdef real addend = 0
    cdef real maximum[LANES]
    cdef const real *addends = addends_from(adjustment, first, &addend)
    spread(<real>-INFINITY, maximum)
    if addends == NULL:
        adjusted_max_lane_rows(adjustment, x, rows, <const real *>NULL, addend, staged, maximum)
    else:
        adjusted_max_lane_rows(adjustment, x, rows, addends, addend, staged, maximum)
    if n > done:
        adjust_lane_row(adjustment, x + done, n - done, first + done, staged + done)
        pad(staged + done, n - done, tail)
        max_lane_rows(tail, 1, maximum)
    return max_of_lanes(maximum)


# Rows that are adjusted or not ----------------------------------------------------------------------------------------

cdef inline const real *read_block(const real *x, Py_ssize_t n, const Adjustment *adjustment, Py_ssize_t first,
                                   real *staged, real *tail, real *maximum, Py_ssize_t *away) noexcept nogil:
    """Find the maximum of n elements, from the element `first` of a row on.

    Returns where they lie from then on: in `staged` if they are adjusted. `away` still leads to the elements that
    follow them in the array.
    """
    if adjustment == NULL:
        maximum[0] = max_of_row(x, n, tail)
        return x
    maximum[0] = adjusted_max_of_row(adjustment, x, n, first, staged, tail)
    away[0] += x - staged
    return staged


cdef inline const real *read_row(const real *x, Py_ssize_t n, const Adjustment *adjustment, real *tail, real *maximum,
                                 Py_ssize_t *away) noexcept nogil:
    """read_block of a whole row."""
    return read_block(x, n, adjustment, 0, <real *>NULL if adjustment == NULL else <real *>adjustment.staged, tail,
                      maximum, away)


cdef inline const real *read_lane_row(const real *x, Py_ssize_t n, const Adjustment *adjustment) noexcept nogil:
    """Where the elements of a row lie that fits in the lanes, once they are adjusted."""
    if adjustment == NULL:
        return x
    adjust_lane_row(adjustment, x, n, 0, <real *>adjustment.staged)
    return <const real *>adjustment.staged
