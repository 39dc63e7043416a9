# logmatmulexp of stacks of small matrices: each lane is a matrix.
#
# Formula, certificate and bound are those of ops/logmatmulexp.pxi. Small matrices would leave most lanes of a row
# empty, and np.matmul takes longer to call than to multiply them. Here every lane has work, and each sum is added term
# by term.

cdef inline void factor_lanes(real *x, Py_ssize_t reductions, Py_ssize_t k, real *shifts,
                              real *exponents) noexcept nogil:
    """Replace reductions of k rows of lanes by their factors."""
    cdef Py_ssize_t width = lanes_of(x), i, p, j
    cdef real maximum[LANES]
    cdef real shift[LANES]
    cdef real exponent[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    for i in range(reductions):
        spread(<real>-INFINITY, maximum)
        max_lane_rows(x + i*k*width, k, maximum)
        shifts_of_factors(maximum, k, shift, exponent, round_bias, underflow_below)
        for j in range(lanes_of(x)):
            shifts[i*width + j] = shift[j]
            exponents[i*width + j] = exponent[j]
        for p in range(i*k, (i + 1)*k):
            factors_of_lanes(x + p*width, shift, round_bias, underflow_below, x + p*width)


cdef Py_ssize_t multiply_stack(real *a, real *b, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t columns, real *shifts,
                               real *exponents, real *out, uint16_t *places) noexcept nogil:
    """Compute results of as many matrices as there are lanes, and list the places of those that are not certified.

    `a` has k rows of lanes for each row of a matrix, `b` for each column, and `out` one for each result. The factors
    replace the elements of `a` and `b`; `shifts` and `exponents` become those of the rows, then those of the columns.
    """
    cdef Py_ssize_t width = lanes_of(a), i, c, p, j, found = 0
    cdef real least = certified_above(k, <real>0), both = -2*scale_exponent(k, <real>0)
    cdef const real *row
    cdef const real *column
    cdef real total[LANES]
    cdef int doubtful[LANES]
    for j in range(LANES):
        doubtful[j] = 0
    factor_lanes(a, rows, k, shifts, exponents)
    factor_lanes(b, columns, k, shifts + rows*width, exponents + rows*width)
    for i in range(rows):
        for c in range(columns):
            row, column = a + i*k*width, b + c*k*width
            for j in range(lanes_of(a)):
                total[j] = 0
            for p in range(k):
                for j in range(lanes_of(a)):
                    total[j] = multiply_add(row[j], column[j], total[j])
                row += width
                column += width
            logs_of_lanes(total, shifts + i*width, exponents + i*width, shifts + (rows + c)*width,
                          exponents + (rows + c)*width, both, least, doubtful)
            for j in range(lanes_of(a)):
                out[j] = total[j]
            found = list_doubtful(doubtful, (i*columns + c)*width, width, places, found)
            out += width
    return found
