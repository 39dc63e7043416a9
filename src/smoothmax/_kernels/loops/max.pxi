# Find the maximum.

cdef inline void max_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                           real *maximum) noexcept nogil:
    """maximum[j] becomes the larger of itself and column j.

    A nan may hide other elements of its column, but then the sum is nan anyway.
    """
    cdef Py_ssize_t i, j
    cdef real m[LANES]
    for j in range(width):
        m[j] = maximum[j]
    for i in range(rows):
        for j in range(width):
            m[j] = larger(x[i*ld + j], m[j])
    for j in range(width):
        maximum[j] = m[j]


cdef inline void max_lane_rows(const real *x, Py_ssize_t rows, real *maximum) noexcept nogil:
    """max_lanes of contiguous rows of lanes.

    Four are read at a time, so that fewer comparisons wait for the one before. For columns that is slower, and even
    unused such a loop would take registers from the loops behind it (P33).
    """
    cdef Py_ssize_t width = lanes_of(x), i, j
    cdef const real *row
    cdef real m[LANES]
    for j in range(lanes_of(x)):
        m[j] = maximum[j]
    for i in range(rows//4):
        row = x + 4*i*width
        for j in range(lanes_of(x)):
            m[j] = larger(larger(larger(row[j], row[width + j]), larger(row[2*width + j], row[3*width + j])), m[j])
    for i in range(rows//4*4, rows):
        for j in range(lanes_of(x)):
            m[j] = larger(x[i*width + j], m[j])
    for j in range(lanes_of(x)):
        maximum[j] = m[j]


cdef inline real max_of_row(const real *x, Py_ssize_t n, real *tail) noexcept nogil:
    """The largest element; elements that do not fill the lanes are copied to `tail`, padded."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width
    cdef real maximum[LANES]
    spread(<real>-INFINITY, maximum)
    max_lane_rows(x, rows, maximum)
    if remaining:
        pad(x + rows*width, remaining, tail)
        max_lane_rows(tail, 1, maximum)
    return max_of_lanes(maximum)


cdef inline real max_of_lane_row(const real *x, Py_ssize_t n, Py_ssize_t width, real *lanes) noexcept nogil:
    """Up to `width` elements, padded, and the largest of them."""
    cdef Py_ssize_t j
    cdef real maximum[LANES]
    pad_first_lanes(<real>-INFINITY, x, n, width, lanes)
    for j in range(width):
        maximum[j] = lanes[j]
    return max_of_first_lanes(maximum, width)
