# Halves: float16 and bfloat16 are converted to floats or doubles, and results to halves, rounded once to nearest, ties
# to even.
#
# float16 is converted by the processor's instructions where the variant has them, and otherwise by operations on
# integers that the compiler vectorises. A float16 becomes a float when its exponent is moved to the place of float's
# and the number multiplied by 2**112, which is right for subnormal numbers too. bfloat16 is the upper half of a float.
# Both ways give the same bits. A nan that is stored keeps its sign and nothing else. Nan is rare, and treating it in
# every vector would cost some instructions. So each loop stores all values as numbers, asks once whether there was a
# nan, and if so stores all of them again.

cdef extern from * nogil:
    """
    #if defined(__F16C__)
    #include <immintrin.h>
    #if defined(__AVX512F__)
    #define SMOOTHMAX_HALVES 16         /* that instructions convert at a time */
    #define SMOOTHMAX_TO_FLOATS _mm512_cvtph_ps
    #define SMOOTHMAX_TO_NEAREST(floats) _mm512_cvtps_ph(floats, _MM_FROUND_TO_NEAREST_INT)
    typedef __m256i smoothmax_halves;
    typedef __m512 smoothmax_floats;
    #else
    #define SMOOTHMAX_HALVES 8
    #define SMOOTHMAX_TO_FLOATS _mm256_cvtph_ps
    #define SMOOTHMAX_TO_NEAREST(floats) _mm256_cvtps_ph(floats, _MM_FROUND_TO_NEAREST_INT)
    typedef __m128i smoothmax_halves;
    typedef __m256 smoothmax_floats;
    #endif
    typedef int smoothmax_bits __attribute__((vector_size(4*SMOOTHMAX_HALVES)));
    #endif

    static inline uint32_t smoothmax_bits_of(float value) {
        uint32_t bits;
        memcpy(&bits, &value, 4);
        return bits;
    }
    static inline float smoothmax_float_of(uint32_t bits) {
        float value;
        memcpy(&value, &bits, 4);
        return value;
    }

    #if defined(SMOOTHMAX_HALVES) || defined(__aarch64__)
    #define SMOOTHMAX_CONVERTS_FLOAT16 1
    #else
    #define SMOOTHMAX_CONVERTS_FLOAT16 0
    #endif

    static inline float smoothmax_from_float16(uint16_t half) {
    #if defined(SMOOTHMAX_HALVES)
        return _cvtsh_ss(half);
    #elif defined(__aarch64__) && defined(__GNUC__)
        _Float16 value;
        memcpy(&value, &half, 2);
        return (float)value;
    #else
        uint32_t sign = (uint32_t)(half & 0x8000) << 16, is_finite = (half & 0x7C00) != 0x7C00;
        uint32_t bits = smoothmax_bits_of(smoothmax_float_of((uint32_t)(half & 0x7FFF) << 13)*0x1p112f);
        return smoothmax_float_of(bits | sign | ((is_finite - 1) & 0x7F800000));
    #endif
    }
    static inline float smoothmax_from_bfloat16(uint16_t half) { return smoothmax_float_of((uint32_t)half << 16); }
    static inline uint16_t smoothmax_to_float16(float value) {
    #if defined(SMOOTHMAX_HALVES)
        uint16_t nan = (uint16_t)((smoothmax_bits_of(value) >> 16 & 0x8000) | 0x7E00);
        return value == value ? (uint16_t)_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT) : nan;
    #else
        uint32_t sign = smoothmax_bits_of(value) & 0x80000000;
        int32_t bits = (int32_t)(smoothmax_bits_of(value) ^ sign), result;
        /* Subnormal: adding 0.5, whose ULP is 2**-24, rounds to that. Normal: the exponent is 112 less. */
        int32_t subnormal = (int32_t)smoothmax_bits_of(smoothmax_float_of((uint32_t)bits) + 0.5f) - 0x3F000000;
        int32_t normal = (bits - 0x38000000 + 0x0FFF + ((bits >> 13) & 1)) >> 13;
        result = bits < 0x38800000 ? subnormal : normal;
        result = bits >= 0x477FF000 ? 0x7C00 : result;      /* 65520 is the first number that rounds to inf */
        result = bits > 0x7F800000 ? 0x7E00 : result;
        return (uint16_t)((uint32_t)result | sign >> 16);
    #endif
    }
    /* n neighbours, which need not be aligned. */
    static CYTHON_INLINE void smoothmax_widen_float16(const char *halves, Py_ssize_t n, float *out) {
        Py_ssize_t i = 0;
    #if defined(SMOOTHMAX_HALVES)
        for (; i < n && n >= SMOOTHMAX_HALVES; i += SMOOTHMAX_HALVES) {
            smoothmax_halves some;
            smoothmax_floats values;
            i = i > n - SMOOTHMAX_HALVES ? n - SMOOTHMAX_HALVES : i;    /* the last overlap those before */
            memcpy(&some, halves + 2*i, sizeof some);
            values = SMOOTHMAX_TO_FLOATS(some);
            memcpy(out + i, &values, sizeof values);
        }
    #endif
        SMOOTHMAX_INDEPENDENT
        for (Py_ssize_t j = i; j < n; j++) {
            uint16_t half;
            memcpy(&half, halves + 2*j, 2);
            out[j] = smoothmax_from_float16(half);
        }
    }
    /* n numbers that are not nan, for loops over lanes: n is a multiple of SMOOTHMAX_HALVES. */
    static CYTHON_INLINE void smoothmax_narrow_numbers_float16(const float *values, Py_ssize_t n, char *halves) {
    #if defined(SMOOTHMAX_HALVES)
        for (Py_ssize_t i = 0; i < n; i += SMOOTHMAX_HALVES) {
            smoothmax_halves some;
            smoothmax_floats floats;
            memcpy(&floats, values + i, sizeof floats);
            some = SMOOTHMAX_TO_NEAREST(floats);
            memcpy(halves + 2*i, &some, sizeof some);
        }
    #else
        SMOOTHMAX_INDEPENDENT
        for (Py_ssize_t i = 0; i < n; i++) {
            uint16_t half = smoothmax_to_float16(values[i]);
            memcpy(halves + 2*i, &half, 2);
        }
    #endif
    }
    static inline uint32_t smoothmax_rounded_bits(float value) {
        uint32_t bits = smoothmax_bits_of(value);
        return bits + 0x7FFF + ((bits >> 16) & 1);
    }
    static inline uint16_t smoothmax_to_bfloat16(float value) {
        return (uint16_t)(smoothmax_rounded_bits(value) >> 16);
    }
    static CYTHON_INLINE void smoothmax_narrow_numbers_bfloat16(const float *values, Py_ssize_t n, char *halves) {
        SMOOTHMAX_INDEPENDENT
        for (Py_ssize_t i = 0; i < n; i++) {
            uint16_t half = smoothmax_to_bfloat16(values[i]);
            memcpy(halves + 2*i, &half, 2);
        }
    }
    static void smoothmax_narrow_float16(const float *values, Py_ssize_t n, char *halves) {
        Py_ssize_t i = 0;
    #if defined(SMOOTHMAX_HALVES)
        smoothmax_bits nans = {0};              /* negative where there was one */
        int any_nan = 0;
        for (; i < n && n >= SMOOTHMAX_HALVES; i += SMOOTHMAX_HALVES) {
            smoothmax_halves some;
            smoothmax_floats floats;
            smoothmax_bits bits;
            i = i > n - SMOOTHMAX_HALVES ? n - SMOOTHMAX_HALVES : i;
            memcpy(&floats, values + i, sizeof floats);
            memcpy(&bits, values + i, sizeof bits);
            nans |= 0x7F800000 - (bits & 0x7FFFFFFF);
            some = SMOOTHMAX_TO_NEAREST(floats);
            memcpy(halves + 2*i, &some, sizeof some);
        }
        for (int k = 0; k < SMOOTHMAX_HALVES; k++)
            any_nan |= nans[k];
        i = any_nan < 0 ? 0 : i;
    #endif
        SMOOTHMAX_INDEPENDENT
        for (Py_ssize_t j = i; j < n; j++) {
            uint16_t half = smoothmax_to_float16(values[j]);
            memcpy(halves + 2*j, &half, 2);
        }
    }
    static CYTHON_INLINE void smoothmax_widen_bfloat16(const char *halves, Py_ssize_t n, float *out) {
        SMOOTHMAX_INDEPENDENT
        for (Py_ssize_t i = 0; i < n; i++) {
            uint16_t half;
            memcpy(&half, halves + 2*i, 2);
            out[i] = smoothmax_from_bfloat16(half);
        }
    }
    /* n neighbours as n/2 words: first those at even places, then the others, because then one operation on a vector of
       words converts as many floats, without moving them between lanes. */
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define SMOOTHMAX_FIRST(word) ((word) & 0xFFFF0000)
    #define SMOOTHMAX_SECOND(word) ((word) << 16)
    #define SMOOTHMAX_WORD(first, second) (((first) & 0xFFFF0000) | (second) >> 16)
    #else
    #define SMOOTHMAX_FIRST(word) ((word) << 16)
    #define SMOOTHMAX_SECOND(word) ((word) & 0xFFFF0000)
    #define SMOOTHMAX_WORD(first, second) ((first) >> 16 | ((second) & 0xFFFF0000))
    #endif
    static CYTHON_INLINE void smoothmax_split_bfloat16(const char *halves, Py_ssize_t n, float *out) {
        for (Py_ssize_t i = 0; i < n/2; i++) {
            uint32_t word;
            memcpy(&word, halves + 4*i, 4);
            out[i] = smoothmax_float_of(SMOOTHMAX_FIRST(word));
            out[n/2 + i] = smoothmax_float_of(SMOOTHMAX_SECOND(word));
        }
    }
    static CYTHON_INLINE void smoothmax_join_bfloat16(const float *values, Py_ssize_t n, char *halves) {
        for (Py_ssize_t i = 0; i < n/2; i++) {
            uint32_t first = smoothmax_rounded_bits(values[i]), second = smoothmax_rounded_bits(values[n/2 + i]);
            uint32_t word = SMOOTHMAX_WORD(first, second);
            memcpy(halves + 4*i, &word, 4);
        }
    }
    /* high[j] and low[j] become the largest and smallest of themselves and n neighbours, as integers. These are loaded
       one by one: GCC 12 copies an array of them by vectors of 128 bits, and longer loads then wait for the stores. */
    static CYTHON_INLINE void smoothmax_compare_halves(const char *halves, Py_ssize_t n, int16_t *high, int16_t *low) {
        SMOOTHMAX_INDEPENDENT
        for (Py_ssize_t j = 0; j < n; j++) {
            int16_t half;
            memcpy(&half, halves + 2*j, 2);
            high[j] = half > high[j] ? half : high[j];
            low[j] = half < low[j] ? half : low[j];
        }
    }
    /* counts[j] grows by 1 from the lane `first` on where a neighbour, without the bits that the mask hides, is
       `wanted`. */
    static CYTHON_INLINE void smoothmax_add_equal_halves(const char *halves, Py_ssize_t n, uint16_t mask,
                                                         uint16_t wanted, uint16_t first, uint16_t *counts) {
        SMOOTHMAX_INDEPENDENT
        for (Py_ssize_t j = 0; j < n; j++) {
            uint16_t half;
            memcpy(&half, halves + 2*j, 2);
            counts[j] = (uint16_t)(counts[j] + (((half & mask) == wanted) & ((uint16_t)j >= first)));
        }
    }
    /* Fewer than 32 halves, as up to five blocks: a call of memcpy takes longer. */
    static CYTHON_INLINE void smoothmax_copy_few_halves(const char *halves, Py_ssize_t n, char *to) {
        if (n & 16) { memcpy(to, halves, 32); halves += 32; to += 32; }
        if (n & 8) { memcpy(to, halves, 16); halves += 16; to += 16; }
        if (n & 4) { memcpy(to, halves, 8); halves += 8; to += 8; }
        if (n & 2) { memcpy(to, halves, 4); halves += 4; to += 4; }
        if (n & 1) memcpy(to, halves, 2);
    }
    /* The first n of 32 halves, from and to the beginning of a row, with `filler` after them. With masks of 16-bit
       lanes, a loop becomes one vector; blocks make the load of a vector wait for the stores before it. */
    #if defined(__AVX512BW__) && defined(__GNUC__)
    typedef uint16_t __attribute__((aligned(1), may_alias)) smoothmax_packed_half;
    static CYTHON_INLINE void smoothmax_take_first_halves(const char *halves, Py_ssize_t n, uint16_t filler,
                                                          uint16_t *to) {
        uint16_t left = (uint16_t)n;
        for (uint16_t j = 0; j < 32; j++)
            to[j] = j < left ? ((const smoothmax_packed_half *)halves)[j] : filler;
    }
    static CYTHON_INLINE void smoothmax_put_first_halves(const uint16_t *few, Py_ssize_t n, char *to) {
        uint16_t left = (uint16_t)n;
        for (uint16_t j = 0; j < 32; j++)
            if (j < left)
                ((smoothmax_packed_half *)to)[j] = few[j];
    }
    #else
    static CYTHON_INLINE void smoothmax_take_first_halves(const char *halves, Py_ssize_t n, uint16_t filler,
                                                          uint16_t *to) {
        for (int j = 0; j < 32; j++)
            to[j] = filler;
        if (n < 32)
            smoothmax_copy_few_halves(halves, n, (char *)to);
        else
            memcpy(to, halves, 64);
    }
    static CYTHON_INLINE void smoothmax_put_first_halves(const uint16_t *few, Py_ssize_t n, char *to) {
        if (n < 32)
            smoothmax_copy_few_halves((const char *)few, n, to);
        else
            memcpy(to, few, 64);
    }
    #endif
    static void smoothmax_narrow_bfloat16(const float *values, Py_ssize_t n, char *halves) {
        int32_t nans = 0;                       /* negative if there was one */
        SMOOTHMAX_INDEPENDENT
        for (Py_ssize_t i = 0; i < n; i++) {
            uint32_t bits = smoothmax_bits_of(values[i]);
            uint16_t half = smoothmax_to_bfloat16(values[i]);
            nans |= 0x7F800000 - (int32_t)(bits & 0x7FFFFFFF);
            memcpy(halves + 2*i, &half, 2);
        }
        if (nans < 0)
            for (Py_ssize_t i = 0; i < n; i++)
                if (values[i] != values[i]) {
                    uint16_t half = (uint16_t)((smoothmax_bits_of(values[i]) >> 16 & 0x8000) | 0x7FC0);
                    memcpy(halves + 2*i, &half, 2);
                }
    }
    """
    enum: CONVERTS_FLOAT16 "SMOOTHMAX_CONVERTS_FLOAT16"         # by instructions of its own
    void compare_neighbours "smoothmax_compare_halves"(const char *halves, Py_ssize_t n, int16_t *high, int16_t *low)
    void add_equal_halves "smoothmax_add_equal_halves"(const char *halves, Py_ssize_t n, uint16_t mask,
                                                       uint16_t wanted, uint16_t first, uint16_t *counts)
    void copy_few_halves "smoothmax_copy_few_halves"(const char *halves, Py_ssize_t n, char *to)
    void take_first_halves "smoothmax_take_first_halves"(const char *halves, Py_ssize_t n, uint16_t filler,
                                                         uint16_t *to)
    void put_first_halves "smoothmax_put_first_halves"(const uint16_t *few, Py_ssize_t n, char *to)
    uint16_t to_float16 "smoothmax_to_float16"(float value)
    uint16_t to_bfloat16 "smoothmax_to_bfloat16"(float value)
    void widen_float16 "smoothmax_widen_float16"(const char *halves, Py_ssize_t n, float *out)
    void widen_bfloat16 "smoothmax_widen_bfloat16"(const char *halves, Py_ssize_t n, float *out)
    float from_float16 "smoothmax_from_float16"(uint16_t half)
    float from_bfloat16 "smoothmax_from_bfloat16"(uint16_t half)
    void narrow_float16 "smoothmax_narrow_float16"(const float *values, Py_ssize_t n, char *halves)
    void narrow_numbers_float16 "smoothmax_narrow_numbers_float16"(const float *values, Py_ssize_t n, char *halves)
    void narrow_numbers_bfloat16 "smoothmax_narrow_numbers_bfloat16"(const float *values, Py_ssize_t n, char *halves)
    void split_bfloat16 "smoothmax_split_bfloat16"(const char *halves, Py_ssize_t n, float *out)
    void join_bfloat16 "smoothmax_join_bfloat16"(const float *values, Py_ssize_t n, char *halves)
    void narrow_bfloat16 "smoothmax_narrow_bfloat16"(const float *values, Py_ssize_t n, char *halves)

ctypedef void (*Widen)(const char *halves, Py_ssize_t n, float *out) noexcept nogil
ctypedef void (*Narrow)(const float *values, Py_ssize_t n, char *halves) noexcept nogil


cdef inline uint16_t in_order(uint16_t half, ByteOrder order) noexcept nogil:
    return <uint16_t>(half >> 8 | half << 8) if order == SWAPPED else half


cdef inline void copy_strided_halves(const char *source, Py_ssize_t stride, Py_ssize_t n,
                                     uint16_t *packed) noexcept nogil:
    """Copy strided halves next to each other, four in a turn: the loop's own instructions take as long as a copy."""
    cdef Py_ssize_t i, j, in_fours = n & ~<Py_ssize_t>3
    for i in range(0, in_fours, 4):
        for j in range(4):
            memcpy(&packed[i + j], source + j*stride, 2)
        source += 4*stride
    for i in range(in_fours, n):
        memcpy(&packed[i], source, 2)
        source += stride


cdef inline void load_halves(Widen widen, const void *elements, Py_ssize_t stride, Py_ssize_t n, ByteOrder order,
                             real *to) noexcept nogil:
    cdef uint16_t packed[MASK_BUFFER_ELEMENTS]
    cdef float floats[MASK_BUFFER_ELEMENTS]
    cdef const char *source = <const char *>elements
    cdef bint in_place = stride == 2 and order == NATIVE
    cdef Py_ssize_t done = 0, part, i
    if real is float and in_place:
        widen(source, n, to)
        return
    while done < n:
        part = min_of(n - done, MASK_BUFFER_ELEMENTS)
        if not in_place:
            copy_strided_halves(source, stride, part, packed)
            if order == SWAPPED:
                for i in range(part):
                    packed[i] = in_order(packed[i], SWAPPED)
        if real is float:
            widen(<const char *>packed, part, to)
        else:
            widen(source if in_place else <const char *>packed, part, floats)
            for i in range(part):
                to[i] = floats[i]
        source += part*stride
        to += part
        done += part


cdef inline float rounded_to_odd(double value) noexcept nogil:
    """Round to odd: the last bit tells that bits were cut off, so that rounding again to a half rounds only once."""
    cdef float near = <float>value
    cdef uint32_t bits
    if near > value or near < value:
        memcpy(&bits, &near, 4)
        bits = (bits - 1 if (near > value) == (value > 0) else bits) | 1
        memcpy(&near, &bits, 4)
    return near


cdef inline void store_halves(Narrow narrow, const real *values, Py_ssize_t n, void *elements, Py_ssize_t stride,
                              ByteOrder order) noexcept nogil:
    cdef uint16_t packed[MASK_BUFFER_ELEMENTS]
    cdef float floats[MASK_BUFFER_ELEMENTS]
    cdef char *target = <char *>elements
    cdef bint in_place = stride == 2 and order == NATIVE
    cdef Py_ssize_t done = 0, part, i
    if real is float and in_place:
        narrow(values, n, target)
        return
    while done < n:
        part = min_of(n - done, MASK_BUFFER_ELEMENTS)
        if real is float:
            narrow(values, part, <char *>packed)
        else:
            for i in range(part):
                floats[i] = rounded_to_odd(values[i])
            narrow(floats, part, target if in_place else <char *>packed)
        if not in_place:
            for i in range(part):
                packed[i] = in_order(packed[i], order)
                memcpy(target + i*stride, &packed[i], 2)
        values += part
        target += part*stride
        done += part


cdef void load_float16(const void *elements, Py_ssize_t stride, Py_ssize_t n, ByteOrder order,
                       real *to) noexcept nogil:
    load_halves(widen_float16, elements, stride, n, order, to)


cdef void load_bfloat16(const void *elements, Py_ssize_t stride, Py_ssize_t n, ByteOrder order,
                        real *to) noexcept nogil:
    load_halves(widen_bfloat16, elements, stride, n, order, to)


cdef void store_float16(const real *values, Py_ssize_t n, void *elements, Py_ssize_t stride,
                        ByteOrder order) noexcept nogil:
    store_halves(narrow_float16, values, n, elements, stride, order)


cdef void store_bfloat16(const real *values, Py_ssize_t n, void *elements, Py_ssize_t stride,
                         ByteOrder order) noexcept nogil:
    store_halves(narrow_bfloat16, values, n, elements, stride, order)


# Rows of a tile -------------------------------------------------------------------------------------------------------
#
# One call for all rows of neighbours in native order: a call for each row takes as long as its conversion (P53).

cdef inline void load_half_rows(Widen widen, const char *halves, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n,
                                Py_ssize_t ahead, float *to) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(rows):
        if ahead:
            prefetch_bytes_l2(halves + i*step + ahead, 2*n)
        widen(halves + i*step, n, to + i*TILE_COLUMNS)


cdef inline void store_half_rows(Narrow narrow, Narrow narrow_numbers, const float *values, Py_ssize_t rows,
                                 Py_ssize_t n, char *halves, Py_ssize_t step) noexcept nogil:
    """As the functions that store neighbours, store numbers first, and again if there was a nan."""
    cdef uint32_t bits
    cdef int32_t nans[TILE_COLUMNS]         # negative where there was one
    cdef int32_t any_nan = -1
    cdef Py_ssize_t i, j
    if n == TILE_COLUMNS:
        for j in range(TILE_COLUMNS):
            nans[j] = 0
        for i in range(rows):
            narrow_numbers(values + i*TILE_COLUMNS, TILE_COLUMNS, halves + i*step)
            for j in range(TILE_COLUMNS):
                memcpy(&bits, &values[i*TILE_COLUMNS + j], 4)
                nans[j] |= <int32_t>0x7F800000 - <int32_t>(bits & <uint32_t>0x7FFFFFFF)
        any_nan = 0
        for j in range(TILE_COLUMNS):
            any_nan |= nans[j]
    if any_nan < 0:
        for i in range(rows):
            narrow(values + i*TILE_COLUMNS, n, halves + i*step)


cdef void load_float16_rows(const void *halves, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t ahead,
                            void *to) noexcept nogil:
    load_half_rows(widen_float16, <const char *>halves, step, rows, n, ahead, <float *>to)


cdef void load_bfloat16_rows(const void *halves, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t ahead,
                             void *to) noexcept nogil:
    load_half_rows(widen_bfloat16, <const char *>halves, step, rows, n, ahead, <float *>to)


cdef void store_float16_rows(const void *values, Py_ssize_t rows, Py_ssize_t n, void *halves,
                             Py_ssize_t step) noexcept nogil:
    store_half_rows(narrow_float16, narrow_numbers_float16, <const float *>values, rows, n, <char *>halves, step)


cdef void store_bfloat16_rows(const void *values, Py_ssize_t rows, Py_ssize_t n, void *halves,
                              Py_ssize_t step) noexcept nogil:
    store_half_rows(narrow_bfloat16, narrow_numbers_bfloat16, <const float *>values, rows, n, <char *>halves, step)
