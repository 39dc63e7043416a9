# Find the maximum.

cdef inline void max_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                           real *maximum) noexcept nogil:
    """maximum[j] becomes the larger of itself and column j.

    A nan may hide other elements of its column, but then the sum is nan anyway. Contiguous rows are read four at a
    time, so that fewer comparisons wait for the one before; for columns that is slower.
    """
    cdef Py_ssize_t i, j, fours = rows//4 if ld == lanes_of(x) else 0
    cdef const real *row
    cdef real m[LANES]
    for j in range(width):
        m[j] = maximum[j]
    for i in range(fours):
        row = x + 4*i*ld
        for j in range(width):
            m[j] = larger(larger(larger(row[j], row[ld + j]), larger(row[2*ld + j], row[3*ld + j])), m[j])
    for i in range(4*fours, rows):
        for j in range(width):
            m[j] = larger(x[i*ld + j], m[j])
    for j in range(width):
        maximum[j] = m[j]


cdef inline real max_of_row(const real *x, Py_ssize_t n, real *tail) noexcept nogil:
    """The largest element; elements that do not fill the lanes are copied to `tail`, padded."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width
    cdef real maximum[LANES]
    spread(<real>-INFINITY, maximum)
    max_lanes(x, width, rows, width, maximum)
    if remaining:
        pad(x + rows*width, remaining, tail)
        max_lanes(tail, width, 1, width, maximum)
    return max_of_lanes(maximum)


cdef inline real max_of_lane_row(const real *x, Py_ssize_t n, Py_ssize_t width, real *lanes) noexcept nogil:
    """Up to `width` elements, padded, and the largest of them."""
    cdef Py_ssize_t j
    cdef real maximum[LANES]
    pad_first_lanes(<real>-INFINITY, x, n, width, lanes)
    for j in range(width):
        maximum[j] = lanes[j]
    return max_of_first_lanes(maximum, width)
