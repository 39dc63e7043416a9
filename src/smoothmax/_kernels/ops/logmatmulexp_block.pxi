# logmatmulexp: products of factors by a kernel, where np.matmul takes longer to call than to multiply
#
# Formula, certificate and bound are those of ops/logmatmulexp.pxi. Each sum is added term by term, so its bits depend
# on nothing but its row and its column.

cdef extern from *:
    """
    /* As many rows of lanes are summed at a time as fill half of the registers, which hides the latency of fma. */
    #if defined(__AVX512F__)
    #define SMOOTHMAX_SUMMED_ROWS 8
    #elif defined(__AVX__) || defined(__aarch64__)
    #define SMOOTHMAX_SUMMED_ROWS 2
    #else
    #define SMOOTHMAX_SUMMED_ROWS 1
    #endif
    """
    enum: SUMMED_ROWS "SMOOTHMAX_SUMMED_ROWS"


cdef inline void multiply_rows(const real *a, Py_ssize_t row_stride, Py_ssize_t term_stride, Py_ssize_t rows,
                               Py_ssize_t summed, const real *b, Py_ssize_t k, real *out,
                               Py_ssize_t out_ld) noexcept nogil:
    """Sum `summed` rows of lanes, a constant where this is inlined; the last of `rows` stands for those missing."""
    cdef Py_ssize_t width = lanes_of(b), i, j, p
    cdef Py_ssize_t at[SUMMED_ROWS]
    cdef real total[SUMMED_ROWS*LANES]
    for i in range(summed):
        at[i] = min_of(i, rows - 1)*row_stride
    for i in range(summed):
        for j in range(lanes_of(b)):
            total[i*lanes_of(b) + j] = 0
    for p in range(k):
        for i in range(summed):
            for j in range(lanes_of(b)):
                total[i*lanes_of(b) + j] = multiply_add(a[at[i] + p*term_stride], b[p*width + j],
                                                        total[i*lanes_of(b) + j])
    for i in range(min_of(rows, summed)):
        for j in range(lanes_of(b)):
            out[i*out_ld + j] = total[i*lanes_of(b) + j]


cdef void multiply_block(const real *a, Py_ssize_t row_stride, Py_ssize_t term_stride, Py_ssize_t rows, const real *b,
                         Py_ssize_t k, real *out, Py_ssize_t out_ld) noexcept nogil:
    """Multiply rows of `a` by as many columns as there are lanes; `b` has a row of lanes for each of k terms."""
    cdef Py_ssize_t i
    for i from 0 <= i < rows by SUMMED_ROWS:
        if rows - i == 1:
            multiply_rows(a + i*row_stride, row_stride, term_stride, 1, 1, b, k, out + i*out_ld, out_ld)
        else:
            multiply_rows(a + i*row_stride, row_stride, term_stride, rows - i, SUMMED_ROWS, b, k, out + i*out_ld,
                          out_ld)
