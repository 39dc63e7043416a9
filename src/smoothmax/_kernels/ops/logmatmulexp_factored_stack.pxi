# Exact logmatmulexp of stacks of small matrices: each lane is a matrix.
#
# Formula, certificate and bound are those of ops/logmatmulexp_factored.pxi. All terms of a sum are at hand, so the
# elements of the largest product are kept instead of its place.

cdef inline void factor_reductions(const real *x, Py_ssize_t n, Py_ssize_t step, Py_ssize_t terms, Py_ssize_t term_step,
                                   real *out, real *far) noexcept nogil:
    """Store the factors of n reductions, and in `far` how many of their elements lie far below their maximum."""
    cdef Py_ssize_t width = lanes_of(x), i
    cdef real maximum[LANES]
    for i in range(n):
        spread(<real>-INFINITY, maximum)
        spread(<real>0, far + i*width)
        max_lanes(x + i*step*width, term_step*width, terms, width, maximum)
        factor_strided_rows(x + i*step*width, term_step*width, terms, terms, maximum, out + i*step*width,
                            far + i*width)


cdef struct SmallSum:
    # The sum of a row and a column, in the type of the computation.
    double largest[LANES_F64]
    double largest_low[LANES_F64]
    double left[LANES_F64]
    double right[LANES_F64]
    double others[LANES_F64]
    double others_low[LANES_F64]


cdef void sum_factored_terms(const real *a, const real *a_elements, Py_ssize_t a_step, const real *b,
                             const real *b_elements, Py_ssize_t b_step, Py_ssize_t terms,
                             SmallSum *sum) noexcept nogil:
    """Sum the terms of a row and a column. Steps are in elements."""
    cdef Py_ssize_t low = PRODUCT_FACTOR_TERMS*lanes_of(a), i, j
    cdef real *sum_largest = <real *>sum.largest
    cdef real *sum_largest_low = <real *>sum.largest_low
    cdef real *sum_left = <real *>sum.left
    cdef real *sum_right = <real *>sum.right
    cdef real *others = <real *>sum.others
    cdef real *others_low = <real *>sum.others_low
    cdef real x[LANES]
    cdef real y[LANES]
    cdef real largest[LANES]
    cdef real largest_low[LANES]
    cdef real left[LANES]
    cdef real right[LANES]
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real new_largest[LANES]
    cdef real new_low[LANES]
    cdef real new_left[LANES]
    cdef real new_right[LANES]
    for j in range(lanes_of(a)):
        largest[j] = largest_low[j] = left[j] = right[j] = total[j] = carry[j] = 0
    for i in range(terms):
        for j in range(lanes_of(a)):
            x[j] = a_elements[i*a_step + j]
            y[j] = b_elements[i*b_step + j]
        for j in range(lanes_of(a)):
            new_right[j] = y[j] if a[i*a_step + j]*b[i*b_step + j] > largest[j] else right[j]
            add_smaller_product(a[i*a_step + j], a[low + i*a_step + j], b[i*b_step + j], b[low + i*b_step + j],
                                x[j], largest[j], largest_low[j], left[j], &new_largest[j],
                                &new_low[j], &new_left[j], &total[j], &carry[j])
        for j in range(lanes_of(a)):
            largest[j] = new_largest[j]
            largest_low[j] = new_low[j]
            left[j] = new_left[j]
            right[j] = new_right[j]
    for j in range(lanes_of(a)):
        sum_largest[j] = largest[j]
        sum_largest_low[j] = largest_low[j]
        sum_left[j] = left[j]
        sum_right[j] = right[j]
        others[j] = total[j]
        others_low[j] = carry[j]


cdef Py_ssize_t sum_factored_stack(const real *a, Py_ssize_t rows, Py_ssize_t a_step, Py_ssize_t a_term_step,
                                   const real *b, Py_ssize_t columns, Py_ssize_t b_step, Py_ssize_t b_term_step,
                                   Py_ssize_t terms, real *a_factors, real *b_factors, real *far, real *out,
                                   uint16_t *places) noexcept nogil:
    """Compute results of as many matrices as there are lanes, and list the places of those that are not certified.

    Steps are in rows of lanes, from one reduction to the next and from term to term. `out` has a row for each result.
    """
    cdef Py_ssize_t width = lanes_of(a), row, column, j, found = 0, at_row, at_column
    cdef real least = complete_above(terms, <real>0)
    cdef SmallSum sum
    cdef real sum_far[LANES]
    cdef double others[LANES]
    cdef double others_low[LANES]
    cdef real result[LANES]
    cdef int doubtful[LANES]
    for j in range(LANES):
        doubtful[j] = 0
    factor_reductions(a, rows, a_step, terms, a_term_step, a_factors, far)
    factor_reductions(b, columns, b_step, terms, b_term_step, b_factors, far + rows*width)
    for row in range(rows):
        at_row = row*a_step*width
        for column in range(columns):
            at_column = column*b_step*width
            sum_factored_terms(a_factors + at_row, a + at_row, a_term_step*width, b_factors + at_column, b + at_column,
                               b_term_step*width, terms, &sum)
            for j in range(lanes_of(a)):
                others[j], others_low[j] = (<real *>sum.others)[j], (<real *>sum.others_low)[j]
                sum_far[j] = far[row*width + j] + far[(rows + column)*width + j]
            log_of_factored(<real *>sum.largest, <real *>sum.largest_low, others, others_low, <real *>sum.left,
                            <real *>sum.right, sum_far, least, result, doubtful)
            for j in range(lanes_of(a)):
                out[j] = result[j]
            found = list_doubtful(doubtful, (row*columns + column)*width, width, places, found)
            out += width
    return found
