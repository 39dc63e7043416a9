# Transposing turns short rows into columns of a tile, and back.
#
# Blocks of four by four are transposed in vector registers, because moving single elements takes a load and an
# insertion each. With AVX, blocks of float32 are eight by four where there are eight elements: lines i and i + 4 share
# a register, so that a shuffle serves both. If a side is not a multiple of the block's, the last block overlaps the one
# before.

cdef extern from * nogil:
    """
    #if defined(__has_builtin)
    #if __has_builtin(__builtin_shufflevector)
    #define SMOOTHMAX_SHUFFLE __builtin_shufflevector
    #endif
    #endif
    #define SMOOTHMAX_LOAD(v, p) memcpy(&v, p, sizeof v)
    #define SMOOTHMAX_STORE(p, v) memcpy(p, &v, sizeof v)

    /* A block is out[j][i] = x[i][j], where x and out are the addresses of its lines. */
    #if defined(SMOOTHMAX_SHUFFLE)
    typedef float smoothmax_4f __attribute__((vector_size(16)));
    static inline void smoothmax_lines_block_f32(const float *const *x, float *const *out) {
        smoothmax_4f a, b, c, d, ab, cd, y;
        SMOOTHMAX_LOAD(a, x[0]);
        SMOOTHMAX_LOAD(b, x[1]);
        SMOOTHMAX_LOAD(c, x[2]);
        SMOOTHMAX_LOAD(d, x[3]);
        ab = SMOOTHMAX_SHUFFLE(a, b, 0, 4, 1, 5);
        cd = SMOOTHMAX_SHUFFLE(c, d, 0, 4, 1, 5);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 4, 5);
        SMOOTHMAX_STORE(out[0], y);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 6, 7);
        SMOOTHMAX_STORE(out[1], y);
        ab = SMOOTHMAX_SHUFFLE(a, b, 2, 6, 3, 7);
        cd = SMOOTHMAX_SHUFFLE(c, d, 2, 6, 3, 7);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 4, 5);
        SMOOTHMAX_STORE(out[2], y);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 6, 7);
        SMOOTHMAX_STORE(out[3], y);
    }
    #else
    static inline void smoothmax_lines_block_f32(const float *const *x, float *const *out) {
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                out[i][j] = x[j][i];
    }
    #endif

    #if defined(SMOOTHMAX_SHUFFLE) && defined(__AVX__)
    #define SMOOTHMAX_LONG_SIDE_F32 8
    typedef float smoothmax_8f __attribute__((vector_size(32)));
    static inline smoothmax_8f smoothmax_load_both(const float *low, const float *high) {
        smoothmax_4f a, b;
        SMOOTHMAX_LOAD(a, low);
        SMOOTHMAX_LOAD(b, high);
        return SMOOTHMAX_SHUFFLE(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
    }
    static inline void smoothmax_store_both(float *low, float *high, smoothmax_8f y) {
        smoothmax_4f a = SMOOTHMAX_SHUFFLE(y, y, 0, 1, 2, 3), b = SMOOTHMAX_SHUFFLE(y, y, 4, 5, 6, 7);
        SMOOTHMAX_STORE(low, a);
        SMOOTHMAX_STORE(high, b);
    }
    static inline void smoothmax_transpose_halves(smoothmax_8f *a, smoothmax_8f *b, smoothmax_8f *c, smoothmax_8f *d) {
        smoothmax_8f ab = SMOOTHMAX_SHUFFLE(*a, *b, 0, 8, 1, 9, 4, 12, 5, 13);
        smoothmax_8f cd = SMOOTHMAX_SHUFFLE(*c, *d, 0, 8, 1, 9, 4, 12, 5, 13);
        smoothmax_8f ef = SMOOTHMAX_SHUFFLE(*a, *b, 2, 10, 3, 11, 6, 14, 7, 15);
        smoothmax_8f gh = SMOOTHMAX_SHUFFLE(*c, *d, 2, 10, 3, 11, 6, 14, 7, 15);
        *a = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13);
        *b = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
        *c = SMOOTHMAX_SHUFFLE(ef, gh, 0, 1, 8, 9, 4, 5, 12, 13);
        *d = SMOOTHMAX_SHUFFLE(ef, gh, 2, 3, 10, 11, 6, 7, 14, 15);
    }
    static inline void smoothmax_lines_long_rows_f32(const float *const *x, float *const *out) {
        smoothmax_8f a = smoothmax_load_both(x[0], x[4]), b = smoothmax_load_both(x[1], x[5]);
        smoothmax_8f c = smoothmax_load_both(x[2], x[6]), d = smoothmax_load_both(x[3], x[7]);
        smoothmax_transpose_halves(&a, &b, &c, &d);
        SMOOTHMAX_STORE(out[0], a);
        SMOOTHMAX_STORE(out[1], b);
        SMOOTHMAX_STORE(out[2], c);
        SMOOTHMAX_STORE(out[3], d);
    }
    static inline void smoothmax_lines_long_columns_f32(const float *const *x, float *const *out) {
        smoothmax_8f a, b, c, d;
        SMOOTHMAX_LOAD(a, x[0]);
        SMOOTHMAX_LOAD(b, x[1]);
        SMOOTHMAX_LOAD(c, x[2]);
        SMOOTHMAX_LOAD(d, x[3]);
        smoothmax_transpose_halves(&a, &b, &c, &d);
        smoothmax_store_both(out[0], out[4], a);
        smoothmax_store_both(out[1], out[5], b);
        smoothmax_store_both(out[2], out[6], c);
        smoothmax_store_both(out[3], out[7], d);
    }
    #else
    #define SMOOTHMAX_LONG_SIDE_F32 4
    #define smoothmax_lines_long_rows_f32 smoothmax_lines_block_f32
    #define smoothmax_lines_long_columns_f32 smoothmax_lines_block_f32
    #endif

    #if defined(SMOOTHMAX_SHUFFLE) && defined(__AVX__)
    typedef double smoothmax_4d __attribute__((vector_size(32)));
    static inline void smoothmax_lines_block_f64(const double *const *x, double *const *out) {
        smoothmax_4d a, b, c, d, ab, cd, y;
        SMOOTHMAX_LOAD(a, x[0]);
        SMOOTHMAX_LOAD(b, x[1]);
        SMOOTHMAX_LOAD(c, x[2]);
        SMOOTHMAX_LOAD(d, x[3]);
        ab = SMOOTHMAX_SHUFFLE(a, b, 0, 4, 2, 6);
        cd = SMOOTHMAX_SHUFFLE(c, d, 0, 4, 2, 6);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 4, 5);
        SMOOTHMAX_STORE(out[0], y);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 6, 7);
        SMOOTHMAX_STORE(out[2], y);
        ab = SMOOTHMAX_SHUFFLE(a, b, 1, 5, 3, 7);
        cd = SMOOTHMAX_SHUFFLE(c, d, 1, 5, 3, 7);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 0, 1, 4, 5);
        SMOOTHMAX_STORE(out[1], y);
        y = SMOOTHMAX_SHUFFLE(ab, cd, 2, 3, 6, 7);
        SMOOTHMAX_STORE(out[3], y);
    }
    #elif defined(SMOOTHMAX_SHUFFLE)
    typedef double smoothmax_2d __attribute__((vector_size(16)));
    static inline void smoothmax_lines_block_f64(const double *const *x, double *const *out) {
        smoothmax_2d a, b, y;
        for (int i = 0; i < 4; i += 2)
            for (int j = 0; j < 4; j += 2) {
                SMOOTHMAX_LOAD(a, x[i] + j);
                SMOOTHMAX_LOAD(b, x[i + 1] + j);
                y = SMOOTHMAX_SHUFFLE(a, b, 0, 2);
                SMOOTHMAX_STORE(out[j] + i, y);
                y = SMOOTHMAX_SHUFFLE(a, b, 1, 3);
                SMOOTHMAX_STORE(out[j + 1] + i, y);
            }
    }
    #else
    static inline void smoothmax_lines_block_f64(const double *const *x, double *const *out) {
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                out[i][j] = x[j][i];
    }
    #endif

    /* The lines of a block lie `ld` apart, or each begins where `begins` says. */
    #define SMOOTHMAX_4_APART(x, ld) {x, x + ld, x + 2*ld, x + 3*ld}
    #define SMOOTHMAX_8_APART(x, ld) {x, x + ld, x + 2*ld, x + 3*ld, x + 4*ld, x + 5*ld, x + 6*ld, x + 7*ld}
    #define SMOOTHMAX_4_AT(x, at) {x + at[0], x + at[1], x + at[2], x + at[3]}
    #define SMOOTHMAX_8_AT(x, at) \\
        {x + at[0], x + at[1], x + at[2], x + at[3], x + at[4], x + at[5], x + at[6], x + at[7]}
    #define SMOOTHMAX_BLOCK(real, block, rows, columns) \\
        static inline void smoothmax_transpose_##block(const real *x, Py_ssize_t ld, real *out, Py_ssize_t out_ld) { \\
            const real *from[] = SMOOTHMAX_##rows##_APART(x, ld); \\
            real *to[] = SMOOTHMAX_##columns##_APART(out, out_ld); \\
            smoothmax_lines_##block(from, to); \\
        }
    #define SMOOTHMAX_GATHERED(real, block, rows, columns) \\
        static inline void smoothmax_gather_##block(const real *x, const Py_ssize_t *begins, real *out, \\
                                                    Py_ssize_t out_ld) { \\
            const real *from[] = SMOOTHMAX_##rows##_AT(x, begins); \\
            real *to[] = SMOOTHMAX_##columns##_APART(out, out_ld); \\
            smoothmax_lines_##block(from, to); \\
        }
    #define SMOOTHMAX_SCATTERED(real, block, rows, columns) \\
        static inline void smoothmax_scatter_##block(const real *x, Py_ssize_t ld, real *out, \\
                                                     const Py_ssize_t *begins) { \\
            const real *from[] = SMOOTHMAX_##rows##_APART(x, ld); \\
            real *to[] = SMOOTHMAX_##columns##_AT(out, begins); \\
            smoothmax_lines_##block(from, to); \\
        }
    #define SMOOTHMAX_LONG_BLOCKS(side) \\
        SMOOTHMAX_BLOCK(float, long_rows_f32, side, 4) \\
        SMOOTHMAX_BLOCK(float, long_columns_f32, 4, side) \\
        SMOOTHMAX_GATHERED(float, long_rows_f32, side, 4) \\
        SMOOTHMAX_SCATTERED(float, long_columns_f32, 4, side)
    SMOOTHMAX_BLOCK(float, block_f32, 4, 4)
    SMOOTHMAX_BLOCK(double, block_f64, 4, 4)
    SMOOTHMAX_GATHERED(float, block_f32, 4, 4)
    SMOOTHMAX_GATHERED(double, block_f64, 4, 4)
    SMOOTHMAX_SCATTERED(float, block_f32, 4, 4)
    SMOOTHMAX_SCATTERED(double, block_f64, 4, 4)
    #if SMOOTHMAX_LONG_SIDE_F32 == 8
    SMOOTHMAX_LONG_BLOCKS(8)
    #else
    SMOOTHMAX_LONG_BLOCKS(4)
    #endif
    """
    const Py_ssize_t LONG_SIDE_F32 "SMOOTHMAX_LONG_SIDE_F32"
    void transpose_long_rows_f32 "smoothmax_transpose_long_rows_f32"(const float *x, Py_ssize_t ld, float *out,
                                                                     Py_ssize_t out_ld)
    void transpose_long_columns_f32 "smoothmax_transpose_long_columns_f32"(const float *x, Py_ssize_t ld, float *out,
                                                                           Py_ssize_t out_ld)
    void transpose_block_f32 "smoothmax_transpose_block_f32"(const float *x, Py_ssize_t ld, float *out,
                                                             Py_ssize_t out_ld)
    void transpose_block_f64 "smoothmax_transpose_block_f64"(const double *x, Py_ssize_t ld, double *out,
                                                             Py_ssize_t out_ld)
    void gather_long_rows_f32 "smoothmax_gather_long_rows_f32"(const float *x, const Py_ssize_t *begins, float *out,
                                                               Py_ssize_t out_ld)
    void gather_block_f32 "smoothmax_gather_block_f32"(const float *x, const Py_ssize_t *begins, float *out,
                                                       Py_ssize_t out_ld)
    void gather_block_f64 "smoothmax_gather_block_f64"(const double *x, const Py_ssize_t *begins, double *out,
                                                       Py_ssize_t out_ld)
    void scatter_long_columns_f32 "smoothmax_scatter_long_columns_f32"(const float *x, Py_ssize_t ld, float *out,
                                                                       const Py_ssize_t *begins)
    void scatter_block_f32 "smoothmax_scatter_block_f32"(const float *x, Py_ssize_t ld, float *out,
                                                         const Py_ssize_t *begins)
    void scatter_block_f64 "smoothmax_scatter_block_f64"(const double *x, Py_ssize_t ld, double *out,
                                                         const Py_ssize_t *begins)


cdef inline void transpose_block(const real *x, Py_ssize_t ld, real *out, Py_ssize_t out_ld) noexcept nogil:
    if real is float:
        transpose_block_f32(x, ld, out, out_ld)
    else:
        transpose_block_f64(x, ld, out, out_ld)


cdef inline void transpose_narrow(const real *x, Py_ssize_t x_step, Py_ssize_t x_ld, Py_ssize_t columns, Py_ssize_t n,
                                  real *out, Py_ssize_t out_step, Py_ssize_t out_ld) noexcept nogil:
    """out[j, i] = x[i, j] for n rows of few columns; steps are from row to row.

    Several rows are read at a time, because a processor follows about that many streams. Then there are fewer columns
    than a block has rows. Compilers are told so, because Clang would vectorise the loop over them, with checks for
    overlaps that take longer than the loop.
    """
    cdef Py_ssize_t i, j, k
    for i in range(n//TRANSPOSE_NARROW_ROWS):
        for j in range(min_of(columns, TRANSPOSE_BLOCK_ROWS - 1)):
            for k in range(TRANSPOSE_NARROW_ROWS):
                out[k*out_step + j*out_ld] = x[k*x_step + j*x_ld]
        x += TRANSPOSE_NARROW_ROWS*x_step
        out += TRANSPOSE_NARROW_ROWS*out_step
    for j in range(columns):
        for i in range(n % TRANSPOSE_NARROW_ROWS):
            out[i*out_step + j*out_ld] = x[i*x_step + j*x_ld]


cdef enum Blocks:
    SQUARE                      # of four by four
    LONG                        # float32 with AVX: of eight by four


cdef inline Blocks blocks_along(const real *x, Py_ssize_t n) noexcept nogil:
    """The blocks for n elements along their longer side."""
    return LONG if real is float and LONG_SIDE_F32 > TRANSPOSE_BLOCK_ROWS and n >= LONG_SIDE_F32 else SQUARE


cdef inline Py_ssize_t longer_side(Blocks blocks) noexcept nogil:
    return LONG_SIDE_F32 if blocks == LONG else TRANSPOSE_BLOCK_ROWS


cdef inline void transpose_rows(const real *x, Py_ssize_t ld, Py_ssize_t columns, Blocks blocks, real *out,
                                Py_ssize_t out_ld) noexcept nogil:
    """transpose for as many rows as blocks have."""
    cdef Py_ssize_t j, column
    for j from 0 <= j < columns by TRANSPOSE_BLOCK_ROWS:
        column = min_of(j, columns - TRANSPOSE_BLOCK_ROWS)
        if real is float and blocks == LONG:
            transpose_long_rows_f32(x + column, ld, out + column*out_ld, out_ld)
        else:
            transpose_block(x + column, ld, out + column*out_ld, out_ld)


cdef void transpose(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                    Py_ssize_t out_ld) noexcept nogil:
    """out[j, i] = x[i, j], where x is read in order. The rows that the next call will read are prefetched."""
    cdef Blocks blocks = blocks_along(x, rows)
    cdef Py_ssize_t i, row, ahead, side = longer_side(blocks)
    cdef Py_ssize_t joined = side if ld == columns else 1  # rows that are prefetched together
    if columns < TRANSPOSE_BLOCK_ROWS or rows < TRANSPOSE_BLOCK_ROWS:
        transpose_narrow(x, ld, 1, columns, rows, out, 1, out_ld)
        return
    for i from 0 <= i < rows by side:
        row = min_of(i, rows - side)
        for ahead from rows + row <= ahead < rows + row + side by joined:
            prefetch(x + ahead*ld, joined*columns)
        if blocks == LONG:
            transpose_rows(x + row*ld, ld, columns, LONG, out + row, out_ld)
        else:
            transpose_rows(x + row*ld, ld, columns, SQUARE, out + row, out_ld)


cdef inline void transpose_columns(const real *x, Py_ssize_t ld, Py_ssize_t rows, Blocks blocks, real *out,
                                   Py_ssize_t out_ld) noexcept nogil:
    """transpose_back for as many columns as blocks have."""
    cdef Py_ssize_t i, row
    for i from 0 <= i < rows by TRANSPOSE_BLOCK_ROWS:
        row = min_of(i, rows - TRANSPOSE_BLOCK_ROWS)
        if real is float and blocks == LONG:
            transpose_long_columns_f32(x + row*ld, ld, out + row, out_ld)
        else:
            transpose_block(x + row*ld, ld, out + row, out_ld)


cdef void transpose_back(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *out,
                         Py_ssize_t out_ld) noexcept nogil:
    """out[j, i] = x[i, j], where out is written in order."""
    cdef Blocks blocks = blocks_along(x, columns)
    cdef Py_ssize_t j, column, side = longer_side(blocks)
    if rows < TRANSPOSE_BLOCK_ROWS or columns < TRANSPOSE_BLOCK_ROWS:
        transpose_narrow(x, 1, ld, rows, columns, out, out_ld, 1)
        return
    for j from 0 <= j < columns by side:
        column = min_of(j, columns - side)
        if blocks == LONG:
            transpose_columns(x + column, ld, rows, LONG, out + column*out_ld, out_ld)
        else:
            transpose_columns(x + column, ld, rows, SQUARE, out + column*out_ld, out_ld)
