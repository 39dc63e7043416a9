# Transposing turns short rows into columns of a tile, and back.
#
# Blocks of four by four are transposed in vector registers, because moving single elements takes a load and an
# insertion each. If a side is not a multiple of four, its last block overlaps the one before.

cdef extern from * nogil:
    """
    #if defined(__has_builtin)
    #if __has_builtin(__builtin_shufflevector)
    #define SMOOTHMAX_SHUFFLE __builtin_shufflevector
    #endif
    #endif
    #define SMOOTHMAX_LOAD(v, p) memcpy(&v, p, sizeof v)
    #define SMOOTHMAX_STORE(p, v) memcpy(p, &v, sizeof v)

    #if defined(SMOOTHMAX_SHUFFLE)
    typedef float smoothmax_4f __attribute__((vector_size(16)));
    static inline void smoothmax_transpose_block_f32(const float *x, Py_ssize_t ld, float *out, Py_ssize_t out_ld) {
        smoothmax_4f a, b, c, d, ab, cd, y;
        SMOOTHMAX_LOAD(a, x);
        SMOOTHMAX_LOAD(b, x + ld);
        SMOOTHMAX_LOAD(c, x + 2*ld);
        SMOOTHMAX_LOAD(d, x + 3*ld);
        ab = SMOOTHMAX_SHUFFLE(a, b, 0, 4, 1, 5);
        cd = SMOOTHMAX_SHUFFLE(c, d, 0, 4, 1, 5);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 4, 5);
        SMOOTHMAX_STORE(out, y);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 6, 7);
        SMOOTHMAX_STORE(out + out_ld, y);
        ab = SMOOTHMAX_SHUFFLE(a, b, 2, 6, 3, 7);
        cd = SMOOTHMAX_SHUFFLE(c, d, 2, 6, 3, 7);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 4, 5);
        SMOOTHMAX_STORE(out + 2*out_ld, y);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 6, 7);
        SMOOTHMAX_STORE(out + 3*out_ld, y);
    }
    #else
    static inline void smoothmax_transpose_block_f32(const float *x, Py_ssize_t ld, float *out, Py_ssize_t out_ld) {
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                out[i*out_ld + j] = x[j*ld + i];
    }
    #endif

    #if defined(SMOOTHMAX_SHUFFLE) && defined(__AVX__)
    typedef double smoothmax_4d __attribute__((vector_size(32)));
    static inline void smoothmax_transpose_block_f64(const double *x, Py_ssize_t ld, double *out, Py_ssize_t out_ld) {
        smoothmax_4d a, b, c, d, ab, cd, y;
        SMOOTHMAX_LOAD(a, x);
        SMOOTHMAX_LOAD(b, x + ld);
        SMOOTHMAX_LOAD(c, x + 2*ld);
        SMOOTHMAX_LOAD(d, x + 3*ld);
        ab = SMOOTHMAX_SHUFFLE(a, b, 0, 4, 2, 6);
        cd = SMOOTHMAX_SHUFFLE(c, d, 0, 4, 2, 6);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 4, 5);
        SMOOTHMAX_STORE(out, y);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 6, 7);
        SMOOTHMAX_STORE(out + 2*out_ld, y);
        ab = SMOOTHMAX_SHUFFLE(a, b, 1, 5, 3, 7);
        cd = SMOOTHMAX_SHUFFLE(c, d, 1, 5, 3, 7);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 4, 5);
        SMOOTHMAX_STORE(out + out_ld, y);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 6, 7);
        SMOOTHMAX_STORE(out + 3*out_ld, y);
    }
    #elif defined(SMOOTHMAX_SHUFFLE)
    typedef double smoothmax_2d __attribute__((vector_size(16)));
    static inline void smoothmax_transpose_block_f64(const double *x, Py_ssize_t ld, double *out, Py_ssize_t out_ld) {
        smoothmax_2d a, b, y;
        for (int i = 0; i < 4; i += 2)
            for (int j = 0; j < 4; j += 2) {
                SMOOTHMAX_LOAD(a, x + i*ld + j);
                SMOOTHMAX_LOAD(b, x + (i + 1)*ld + j);
                y = SMOOTHMAX_SHUFFLE(a, b, 0, 2);
                SMOOTHMAX_STORE(out + j*out_ld + i, y);
                y = SMOOTHMAX_SHUFFLE(a, b, 1, 3);
                SMOOTHMAX_STORE(out + (j + 1)*out_ld + i, y);
            }
    }
    #else
    static inline void smoothmax_transpose_block_f64(const double *x, Py_ssize_t ld, double *out, Py_ssize_t out_ld) {
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                out[i*out_ld + j] = x[j*ld + i];
    }
    #endif
    """
    void transpose_block_f32 "smoothmax_transpose_block_f32"(const float *x, Py_ssize_t ld, float *out,
                                                             Py_ssize_t out_ld)
    void transpose_block_f64 "smoothmax_transpose_block_f64"(const double *x, Py_ssize_t ld, double *out,
                                                             Py_ssize_t out_ld)


cdef inline void transpose_block(const real *x, Py_ssize_t ld, real *out, Py_ssize_t out_ld) noexcept nogil:
    if real is float:
        transpose_block_f32(x, ld, out, out_ld)
    else:
        transpose_block_f64(x, ld, out, out_ld)


cdef inline void transpose_narrow(const real *x, Py_ssize_t x_step, Py_ssize_t x_ld, Py_ssize_t columns, Py_ssize_t n,
                                  real *out, Py_ssize_t out_step, Py_ssize_t out_ld) noexcept nogil:
    """out[j, i] = x[i, j] for n rows of few columns; steps are from row to row.

    Several rows are read at a time, because a processor follows about that many streams.
    """
    cdef Py_ssize_t i, j, k
    for i in range(n//TRANSPOSE_NARROW_ROWS):
        for j in range(columns):
            for k in range(TRANSPOSE_NARROW_ROWS):
                out[k*out_step + j*out_ld] = x[k*x_step + j*x_ld]
        x += TRANSPOSE_NARROW_ROWS*x_step
        out += TRANSPOSE_NARROW_ROWS*out_step
    for j in range(columns):
        for i in range(n % TRANSPOSE_NARROW_ROWS):
            out[i*out_step + j*out_ld] = x[i*x_step + j*x_ld]


cdef void transpose(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                    Py_ssize_t out_ld) noexcept nogil:
    """out[j, i] = x[i, j], where x is read in order. The rows that the next call will read are prefetched."""
    cdef Py_ssize_t i, j, row, column, ahead
    if columns < TRANSPOSE_BLOCK_ROWS or rows < TRANSPOSE_BLOCK_ROWS:
        transpose_narrow(x, ld, 1, columns, rows, out, 1, out_ld)
        return
    for i from 0 <= i < rows by TRANSPOSE_BLOCK_ROWS:
        row = min_of(i, rows - TRANSPOSE_BLOCK_ROWS)
        for ahead in range(rows + row, rows + row + TRANSPOSE_BLOCK_ROWS):
            prefetch(x + ahead*ld, columns)
        for j from 0 <= j < columns by TRANSPOSE_BLOCK_ROWS:
            column = min_of(j, columns - TRANSPOSE_BLOCK_ROWS)
            transpose_block(x + row*ld + column, ld, out + column*out_ld + row, out_ld)


cdef void transpose_back(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                         Py_ssize_t out_ld) noexcept nogil:
    """out[j, i] = x[i, j], where out is written in order."""
    cdef Py_ssize_t i, j, row, column
    if rows < TRANSPOSE_BLOCK_ROWS or columns < TRANSPOSE_BLOCK_ROWS:
        transpose_narrow(x, 1, ld, rows, columns, out, out_ld, 1)
        return
    for j from 0 <= j < columns by TRANSPOSE_BLOCK_ROWS:
        column = min_of(j, columns - TRANSPOSE_BLOCK_ROWS)
        for i from 0 <= i < rows by TRANSPOSE_BLOCK_ROWS:
            row = min_of(i, rows - TRANSPOSE_BLOCK_ROWS)
            transpose_block(x + row*ld + column, ld, out + column*out_ld + row, out_ld)
