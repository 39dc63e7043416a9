# Adjust the elements of a tile where a loop over lanes reads them (P45).

cdef enum AdjustmentKind:   # what a loop does to elements before anything else:
    NOT_ADJUSTED
    SCALE_ONLY
    SCALE_AND_ADDENDS


cdef inline AdjustmentKind adjustment_kind(const Adjustment *adjustment) noexcept nogil:
    return SCALE_ONLY if adjustment.addends == NULL else SCALE_AND_ADDENDS


cdef inline real scale_of(AdjustmentKind kind, const Adjustment *adjustment, real _) noexcept nogil:
    return <real>1 if kind == NOT_ADJUSTED else <real>adjustment.scale


cdef inline real minus_zero_of(AdjustmentKind kind, const Adjustment *adjustment, real _) noexcept nogil:
    return <real>0 if kind == NOT_ADJUSTED else <real>adjustment.minus_zero


cdef inline void take_addends(AdjustmentKind kind, const Adjustment *adjustment, Py_ssize_t i, Py_ssize_t width,
                              real *addends) noexcept nogil:
    """The addends of lanes of row i."""
    cdef Py_ssize_t j
    cdef const real *row
    cdef real addend
    if kind != SCALE_AND_ADDENDS:
        for j in range(width):
            addends[j] = 0
        return
    row = (<const real *>adjustment.addends) + i*adjustment.addends_ld
    if adjustment.layout == ONE_ADDEND_A_ROW:
        addend = row[0]
        for j in range(width):
            addends[j] = addend
    else:
        for j in range(width):
            addends[j] = row[j]


cdef inline real adjusted_lane(real v, AdjustmentKind kind, real scale, real minus_zero, real addend) noexcept nogil:
    if kind == NOT_ADJUSTED:
        return v
    v = multiply_add(v, scale, minus_zero)
    return v if kind == SCALE_ONLY else v + addend


cdef inline Adjustment adjustment_of_lanes(const Adjustment *adjustment, Py_ssize_t first, Py_ssize_t row,
                                           real _) noexcept nogil:
    """The adjustment of the lanes that begin at the column `first`, from `row` on."""
    cdef Adjustment result = adjustment[0]
    if result.addends != NULL:
        result.addends = (<const real *>result.addends) + row*result.addends_ld + (
            0 if result.layout == ONE_ADDEND_A_ROW else first)
    return result


cdef inline void adjust_one_row(const real *x, const Adjustment *adjustment, Py_ssize_t i, Py_ssize_t width,
                                real *lanes) noexcept nogil:
    """Adjust lanes of row i of a tile."""
    cdef Py_ssize_t j
    cdef AdjustmentKind kind = adjustment_kind(adjustment)
    cdef real scale = scale_of(kind, adjustment, <real>0)
    cdef real minus_zero = minus_zero_of(kind, adjustment, <real>0)
    cdef real addends[LANES]
    take_addends(kind, adjustment, i, width, addends)
    for j in range(width):
        lanes[j] = adjusted_lane(x[j], kind, scale, minus_zero, addends[j])


cdef void adjust_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                       const Adjustment *adjustment) noexcept nogil:
    """Adjust lanes of all rows, and store them."""
    cdef Py_ssize_t i
    for i in range(rows):
        adjust_one_row(x + i*ld, adjustment, i, width, (<real *>adjustment.staged) + i*width)


cdef void adjusted_max_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const Adjustment *adjustment,
                             Py_ssize_t ahead, real *maximum) noexcept nogil:
    """max_lanes of adjusted elements, which are stored in `staged`, row after row."""
    cdef Py_ssize_t i, j
    cdef real *staged = <real *>adjustment.staged
    cdef real m[LANES]
    cdef real lanes[LANES]
    for j in range(lanes_of(x)):
        m[j] = maximum[j]
    for i in range(rows):
        if ahead:
            prefetch_lanes(x + i*ld + ahead, lanes_of(x), ahead)
        adjust_one_row(x + i*ld, adjustment, i, lanes_of(x), lanes)
        for j in range(lanes_of(x)):
            m[j] = larger(lanes[j], m[j])
        for j in range(lanes_of(x)):
            staged[i*lanes_of(x) + j] = lanes[j]
    for j in range(lanes_of(x)):
        maximum[j] = m[j]
