# Transposing short rows of halves: they are converted in the registers in which they are transposed (P53).
#
# The blocks are those of data/transpose.pxi, eight lines by four. Variants without instructions that convert float16
# have none of these functions; they convert a few lines before they transpose them.

cdef extern from * nogil:
    """
    #if defined(SMOOTHMAX_SHUFFLE) && defined(SMOOTHMAX_HALVES)
    #define SMOOTHMAX_TRANSPOSES_HALVES 1
    typedef int64_t smoothmax_2q __attribute__((vector_size(16)));
    typedef int64_t smoothmax_4q __attribute__((vector_size(32)));
    typedef uint32_t smoothmax_8w __attribute__((vector_size(32)));
    #define SMOOTHMAX_FOUR(name, p) int64_t name; SMOOTHMAX_LOAD(name, p)
    /* in: out[j][i] = x[i][j] for eight lines of four, which lie `step` bytes apart. out: the other way. `size` becomes
       the larger of itself and the bits of all numbers without their signs, which tell whether one of them is nan. */
    static inline void smoothmax_raise_size(smoothmax_8f y, int32_t *size) {
        smoothmax_8w bits = (smoothmax_8w)y & 0x7FFFFFFF;
        for (int i = 0; i < 8; i++)
            size[i] = (int32_t)bits[i] > size[i] ? (int32_t)bits[i] : size[i];
    }
    /* float16: lines i and i + 4 share a register. */
    static inline smoothmax_8f smoothmax_load_fours(const char *low, const char *high) {
        SMOOTHMAX_FOUR(a, low);
        SMOOTHMAX_FOUR(b, high);
        return (smoothmax_8f)_mm256_cvtph_ps((__m128i)(smoothmax_2q){a, b});
    }
    static inline void smoothmax_store_fours(char *low, char *high, smoothmax_8f y) {
        smoothmax_2q halves = (smoothmax_2q)_mm256_cvtps_ph((__m256)y, _MM_FROUND_TO_NEAREST_INT);
        int64_t a = halves[0], b = halves[1];
        SMOOTHMAX_STORE(low, a);
        SMOOTHMAX_STORE(high, b);
    }
    static inline void smoothmax_transpose_in_float16(const char *x, Py_ssize_t step, float *out, Py_ssize_t out_ld) {
        smoothmax_8f a = smoothmax_load_fours(x, x + 4*step), b = smoothmax_load_fours(x + step, x + 5*step);
        smoothmax_8f c = smoothmax_load_fours(x + 2*step, x + 6*step), d = smoothmax_load_fours(x + 3*step, x + 7*step);
        smoothmax_transpose_halves(&a, &b, &c, &d);
        SMOOTHMAX_STORE(out, a);
        SMOOTHMAX_STORE(out + out_ld, b);
        SMOOTHMAX_STORE(out + 2*out_ld, c);
        SMOOTHMAX_STORE(out + 3*out_ld, d);
    }
    static inline void smoothmax_transpose_out_float16(const float *x, Py_ssize_t ld, char *out, Py_ssize_t step,
                                                       int32_t *size) {
        smoothmax_8f a, b, c, d;
        SMOOTHMAX_LOAD(a, x);
        SMOOTHMAX_LOAD(b, x + ld);
        SMOOTHMAX_LOAD(c, x + 2*ld);
        SMOOTHMAX_LOAD(d, x + 3*ld);
        smoothmax_raise_size(a, size);
        smoothmax_raise_size(b, size);
        smoothmax_raise_size(c, size);
        smoothmax_raise_size(d, size);
        smoothmax_transpose_halves(&a, &b, &c, &d);
        smoothmax_store_fours(out, out + 4*step, a);
        smoothmax_store_fours(out + step, out + 5*step, b);
        smoothmax_store_fours(out + 2*step, out + 6*step, c);
        smoothmax_store_fours(out + 3*step, out + 7*step, d);
    }
    /* bfloat16: two elements of a line are transposed as one word. */
    static inline void smoothmax_transpose_in_bfloat16(const char *x, Py_ssize_t step, float *out, Py_ssize_t out_ld) {
        SMOOTHMAX_FOUR(a, x);
        SMOOTHMAX_FOUR(b, x + step);
        SMOOTHMAX_FOUR(c, x + 2*step);
        SMOOTHMAX_FOUR(d, x + 3*step);
        SMOOTHMAX_FOUR(e, x + 4*step);
        SMOOTHMAX_FOUR(f, x + 5*step);
        SMOOTHMAX_FOUR(g, x + 6*step);
        SMOOTHMAX_FOUR(h, x + 7*step);
        smoothmax_8w lines = (smoothmax_8w)(smoothmax_4q){a, b, e, f};
        smoothmax_8w others = (smoothmax_8w)(smoothmax_4q){c, d, g, h};
        smoothmax_8w one = SMOOTHMAX_SHUFFLE(lines, others, 0, 2, 8, 10, 4, 6, 12, 14);
        smoothmax_8w two = SMOOTHMAX_SHUFFLE(lines, others, 1, 3, 9, 11, 5, 7, 13, 15);
        smoothmax_8w rows[] = {one << 16, one & 0xFFFF0000, two << 16, two & 0xFFFF0000};
        for (int i = 0; i < 4; i++)
            SMOOTHMAX_STORE(out + i*out_ld, rows[i]);
    }
    static inline smoothmax_8w smoothmax_rounded_words(const float *x, int32_t *size) {
        smoothmax_8w bits;
        SMOOTHMAX_LOAD(bits, x);
        smoothmax_raise_size((smoothmax_8f)bits, size);
        return bits + 0x7FFF + ((bits >> 16) & 1);
    }
    static inline smoothmax_8w smoothmax_rounded_pairs(const float *x, const float *next, int32_t *size) {
        smoothmax_8w first = smoothmax_rounded_words(x, size), second = smoothmax_rounded_words(next, size);
        return first >> 16 | (second & 0xFFFF0000);
    }
    static inline void smoothmax_transpose_out_bfloat16(const float *x, Py_ssize_t ld, char *out, Py_ssize_t step,
                                                        int32_t *size) {
        smoothmax_8w one = smoothmax_rounded_pairs(x, x + ld, size);
        smoothmax_8w two = smoothmax_rounded_pairs(x + 2*ld, x + 3*ld, size);
        smoothmax_4q lines = (smoothmax_4q)SMOOTHMAX_SHUFFLE(one, two, 0, 8, 1, 9, 4, 12, 5, 13);
        smoothmax_4q others = (smoothmax_4q)SMOOTHMAX_SHUFFLE(one, two, 2, 10, 3, 11, 6, 14, 7, 15);
        int64_t fours[] = {lines[0], lines[1], others[0], others[1], lines[2], lines[3], others[2], others[3]};
        for (int i = 0; i < 8; i++)
            SMOOTHMAX_STORE(out + i*step, fours[i]);
    }
    #else
    #define SMOOTHMAX_TRANSPOSES_HALVES 0
    #define smoothmax_transpose_in_float16(x, step, out, out_ld) ((void)(x), (void)(out))
    #define smoothmax_transpose_in_bfloat16 smoothmax_transpose_in_float16
    #define smoothmax_transpose_out_float16(x, ld, out, step, size) ((void)(x), (void)(out))
    #define smoothmax_transpose_out_bfloat16 smoothmax_transpose_out_float16
    #endif
    """
    enum: TRANSPOSES_HALVES "SMOOTHMAX_TRANSPOSES_HALVES"
    void transpose_in_float16 "smoothmax_transpose_in_float16"(const char *x, Py_ssize_t step, float *out,
                                                               Py_ssize_t out_ld)
    void transpose_in_bfloat16 "smoothmax_transpose_in_bfloat16"(const char *x, Py_ssize_t step, float *out,
                                                                 Py_ssize_t out_ld)
    void transpose_out_float16 "smoothmax_transpose_out_float16"(const float *x, Py_ssize_t ld, char *out,
                                                                 Py_ssize_t step, int32_t *size)
    void transpose_out_bfloat16 "smoothmax_transpose_out_bfloat16"(const float *x, Py_ssize_t ld, char *out,
                                                                   Py_ssize_t step, int32_t *size)


cdef inline bint has_half_blocks(Py_ssize_t lines, Py_ssize_t n) noexcept nogil:
    """Whether a block of halves fits into so many lines of n elements."""
    return lines >= LONG_SIDE_F32 and n >= TRANSPOSE_BLOCK_ROWS


cdef inline bint load_half_lines(ElementType type_, const char *halves, Py_ssize_t step, Py_ssize_t lines, Py_ssize_t n,
                                 float *tile) noexcept nogil:
    """The lines that the next call will load are prefetched."""
    cdef Py_ssize_t i, j, line, row, ahead
    cdef const char *x
    cdef float *out
    if not has_half_blocks(lines, n):
        return False
    for i from 0 <= i < lines by LONG_SIDE_F32:
        line = min_of(i, lines - LONG_SIDE_F32)
        for ahead in range(lines + line, lines + line + LONG_SIDE_F32):
            prefetch_bytes(halves + ahead*step, 2*n)
        for j from 0 <= j < n by TRANSPOSE_BLOCK_ROWS:
            row = min_of(j, n - TRANSPOSE_BLOCK_ROWS)
            x = halves + line*step + 2*row
            out = tile + row*TILE_COLUMNS + line
            if type_ == FLOAT16:
                transpose_in_float16(x, step, out, TILE_COLUMNS)
            else:
                transpose_in_bfloat16(x, step, out, TILE_COLUMNS)
    return True


cdef inline bint store_half_lines(ElementType type_, const float *tile, Py_ssize_t lines, Py_ssize_t n, char *halves,
                                  Py_ssize_t step) noexcept nogil:
    cdef Py_ssize_t i, j, line, row
    cdef int32_t size[8]
    cdef int32_t largest = 0
    cdef const float *x
    cdef char *out
    if not has_half_blocks(lines, n):
        return False
    for i in range(8):
        size[i] = 0
    for i from 0 <= i < lines by LONG_SIDE_F32:
        line = min_of(i, lines - LONG_SIDE_F32)
        for j from 0 <= j < n by TRANSPOSE_BLOCK_ROWS:
            row = min_of(j, n - TRANSPOSE_BLOCK_ROWS)
            x = tile + row*TILE_COLUMNS + line
            out = halves + line*step + 2*row
            if type_ == FLOAT16:
                transpose_out_float16(x, TILE_COLUMNS, out, step, size)
            else:
                transpose_out_bfloat16(x, TILE_COLUMNS, out, step, size)
    for i in range(8):
        largest = size[i] if size[i] > largest else largest
    return largest <= 0x7F800000


cdef bint load_float16_lines(const void *halves, Py_ssize_t step, Py_ssize_t lines, Py_ssize_t n,
                             void *tile) noexcept nogil:
    return load_half_lines(FLOAT16, <const char *>halves, step, lines, n, <float *>tile)


cdef bint load_bfloat16_lines(const void *halves, Py_ssize_t step, Py_ssize_t lines, Py_ssize_t n,
                              void *tile) noexcept nogil:
    return load_half_lines(BFLOAT16, <const char *>halves, step, lines, n, <float *>tile)


cdef bint store_float16_lines(const void *tile, Py_ssize_t lines, Py_ssize_t n, void *halves,
                              Py_ssize_t step) noexcept nogil:
    return store_half_lines(FLOAT16, <const float *>tile, lines, n, <char *>halves, step)


cdef bint store_bfloat16_lines(const void *tile, Py_ssize_t lines, Py_ssize_t n, void *halves,
                               Py_ssize_t step) noexcept nogil:
    return store_half_lines(BFLOAT16, <const float *>tile, lines, n, <char *>halves, step)
