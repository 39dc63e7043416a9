# Repeating: numbers of which each serves several neighbouring columns, as one for each row of narrow columns does.
#
# A vector of columns takes its numbers from a few neighbours, in the same places in every row. So these neighbours are
# loaded, and one instruction brings each to its columns. Numbers that no column takes are not read.

cdef extern from * nogil:
    """
    #if defined(__AVX512F__) && defined(__GNUC__)
    #include <immintrin.h>
    #define SMOOTHMAX_REPEATED_BYTES 64     /* of a vector */
    typedef __m512i smoothmax_places;
    #define SMOOTHMAX_PLACES_F64(places) _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(places)))
    #define SMOOTHMAX_PLACES_F32(places) _mm512_loadu_si512(places)
    typedef __mmask16 smoothmax_taken;
    #define SMOOTHMAX_TAKEN_F64(n) ((__mmask16)((1u << (n)) - 1))
    #define SMOOTHMAX_TAKEN_F32(n) ((__mmask16)((1u << (n)) - 1))
    typedef __m512d smoothmax_repeated_f64;
    typedef __m512 smoothmax_repeated_f32;
    #define SMOOTHMAX_PICK_F64(numbers, taken, places) \\
        _mm512_permutexvar_pd(places, _mm512_maskz_loadu_pd((__mmask8)(taken), numbers))
    #define SMOOTHMAX_PICK_F32(numbers, taken, places) \\
        _mm512_permutexvar_ps(places, _mm512_maskz_loadu_ps(taken, numbers))
    #elif defined(__AVX2__) && defined(__GNUC__)
    #include <immintrin.h>
    #define SMOOTHMAX_REPEATED_BYTES 32
    typedef __m256i smoothmax_places;
    static inline __m256i smoothmax_places_f64(const int32_t *places) {         /* a double is moved as two floats */
        __m256i twice = _mm256_slli_epi64(_mm256_cvtepi32_epi64(_mm_loadu_si128((const __m128i *)places)), 1);
        return _mm256_or_si256(_mm256_or_si256(twice, _mm256_slli_epi64(twice, 32)), _mm256_set1_epi64x(1LL << 32));
    }
    #define SMOOTHMAX_PLACES_F64(places) smoothmax_places_f64(places)
    #define SMOOTHMAX_PLACES_F32(places) _mm256_loadu_si256((const __m256i *)(places))
    typedef __m256i smoothmax_taken;
    #define SMOOTHMAX_TAKEN_F64(n) _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3))
    #define SMOOTHMAX_TAKEN_F32(n) _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
    typedef __m256d smoothmax_repeated_f64;
    typedef __m256 smoothmax_repeated_f32;
    #define SMOOTHMAX_PICK_F64(numbers, taken, places) _mm256_castps_pd( \\
        _mm256_permutevar8x32_ps(_mm256_castpd_ps(_mm256_maskload_pd(numbers, taken)), places))
    #define SMOOTHMAX_PICK_F32(numbers, taken, places) \\
        _mm256_permutevar8x32_ps(_mm256_maskload_ps(numbers, taken), places)
    #endif

    /* `place` becomes the first of the numbers of each vector, those that the vector takes, and their places. */
    #if defined(SMOOTHMAX_PICK_F64)
    #define SMOOTHMAX_REPEAT_PLACES(type, TYPE, real, count) \\
        int32_t begin[count]; \\
        smoothmax_places places[count]; \\
        smoothmax_taken taken[count]; \\
        for (int v = 0; v < count; v++) { \\
            begin[v] = place[v*SIDE]; \\
            for (int j = 0; j < SIDE; j++) \\
                place[v*SIDE + j] -= begin[v]; \\
            places[v] = SMOOTHMAX_PLACES_##TYPE(place + v*SIDE); \\
            taken[v] = SMOOTHMAX_TAKEN_##TYPE(place[v*SIDE + SIDE - 1] + 1); \\
        }
    #define SMOOTHMAX_REPEAT_ROW(type, TYPE, count) \\
        for (int v = 0; v < count; v++) { \\
            smoothmax_repeated_##type some = SMOOTHMAX_PICK_##TYPE(numbers + begin[v], taken[v], places[v]); \\
            memcpy(out + v*SIDE, &some, sizeof some); \\
        }
    #define SMOOTHMAX_ADJUST_ROW(type, TYPE, count) \\
        for (int v = 0; v < count; v++) { \\
            smoothmax_repeated_##type some = SMOOTHMAX_PICK_##TYPE(numbers + begin[v], taken[v], places[v]), values; \\
            memcpy(&values, x + v*SIDE, sizeof values); \\
            values = values*scale + some; \\
            memcpy(out + v*SIDE, &values, sizeof values); \\
        }
    #else
    #define SMOOTHMAX_REPEATED_BYTES 32
    #define SMOOTHMAX_REPEAT_PLACES(type, TYPE, real, count) \\
        real some[count*SIDE]; \\
        for (int j = 0; j < count*SIDE; j++) \\
            some[j] = numbers[place[j]]; \\
        (void)some;
    #define SMOOTHMAX_REPEAT_ROW(type, TYPE, count) \\
        for (int j = 0; j < count*SIDE; j++) \\
            out[j] = numbers[place[j]];
    #define SMOOTHMAX_ADJUST_ROW(type, TYPE, count) \\
        if (i > 0 && step != 0) \\
            for (int j = 0; j < count*SIDE; j++) \\
                some[j] = numbers[place[j]]; \\
        SMOOTHMAX_INDEPENDENT \\
        for (int j = 0; j < count*SIDE; j++) \\
            out[j] = x[j]*scale + some[j];
    #endif

    /* Several vectors of every row at a time. A quotient of small numbers is rounded down by a multiplication; half is
       added, so that none is near an integer. Steps from row to row are in elements, but that of x is in bytes. */
    #define SMOOTHMAX_REPEAT_VECTORS(name, type, TYPE, real, attributes, contraction, count, DO_ROW) \\
        attributes static void name(const real *numbers, Py_ssize_t step, int first, int last, float each, \\
                                    Py_ssize_t rows, const real *x, Py_ssize_t x_step, real scale, real *out, \\
                                    Py_ssize_t ld) { \\
            contraction \\
            enum { SIDE = SMOOTHMAX_REPEATED_BYTES/sizeof(real) }; \\
            int32_t place[count*SIDE]; \\
            for (int j = 0; j < count*SIDE; j++) { \\
                place[j] = (int32_t)(((float)(first + j) + 0.5f)*each); \\
                place[j] = place[j] < last ? place[j] : last; \\
            } \\
            SMOOTHMAX_REPEAT_PLACES(type, TYPE, real, count) \\
            (void)scale; \\
            for (Py_ssize_t i = 0; i < rows; i++) { \\
                DO_ROW(type, TYPE, count) \\
                numbers += step; \\
                x = (const real *)((const char *)x + x_step); \\
                out += ld; \\
            } \\
        }
    #define SMOOTHMAX_REPEAT_NUMBERS(name, type, TYPE, real, attributes, contraction, DO_ROW) \\
        SMOOTHMAX_REPEAT_VECTORS(name##_by_four, type, TYPE, real, attributes, contraction, 4, DO_ROW) \\
        SMOOTHMAX_REPEAT_VECTORS(name##_by_two, type, TYPE, real, attributes, contraction, 2, DO_ROW) \\
        static void name(const real *numbers, Py_ssize_t step, int first, int times, Py_ssize_t rows, int n, \\
                         const real *x, Py_ssize_t x_step, real scale, real *out, Py_ssize_t ld) { \\
            float each = 1.0f/(float)times; \\
            int last = (int)(((float)(first + n - 1) + 0.5f)*each), two = 2*SMOOTHMAX_REPEATED_BYTES/sizeof(real); \\
            for (int j = 0; j < n; j += n - j > two ? 2*two : two) \\
                if (n - j > two) \\
                    name##_by_four(numbers, step, first + j, last, each, rows, x + j, x_step, scale, out + j, ld); \\
                else \\
                    name##_by_two(numbers, step, first + j, last, each, rows, x + j, x_step, scale, out + j, ld); \\
        }
    #define SMOOTHMAX_REPEAT(type, TYPE, real) \\
        SMOOTHMAX_REPEAT_NUMBERS(smoothmax_repeat_##type, type, TYPE, real, , , SMOOTHMAX_REPEAT_ROW) \\
        SMOOTHMAX_REPEAT_NUMBERS(smoothmax_adjust_repeated_##type, type, TYPE, real, SMOOTHMAX_ROUND_TWICE, \\
                                 SMOOTHMAX_NO_CONTRACTION, SMOOTHMAX_ADJUST_ROW)
    SMOOTHMAX_REPEAT(f64, F64, double)
    SMOOTHMAX_REPEAT(f32, F32, float)
    """
    void repeat_f64 "smoothmax_repeat_f64"(const double *numbers, Py_ssize_t step, int first, int times,
                                           Py_ssize_t rows, int n, const double *x, Py_ssize_t x_step, double scale,
                                           double *out, Py_ssize_t ld)
    void repeat_f32 "smoothmax_repeat_f32"(const float *numbers, Py_ssize_t step, int first, int times,
                                           Py_ssize_t rows, int n, const float *x, Py_ssize_t x_step, float scale,
                                           float *out, Py_ssize_t ld)
    void adjust_repeated_f64 "smoothmax_adjust_repeated_f64"(const double *numbers, Py_ssize_t step, int first,
                                                             int times, Py_ssize_t rows, int n, const double *x,
                                                             Py_ssize_t x_step, double scale, double *out,
                                                             Py_ssize_t ld)
    void adjust_repeated_f32 "smoothmax_adjust_repeated_f32"(const float *numbers, Py_ssize_t step, int first,
                                                             int times, Py_ssize_t rows, int n, const float *x,
                                                             Py_ssize_t x_step, float scale, float *out,
                                                             Py_ssize_t ld)


cdef void repeat(const real *numbers, Py_ssize_t step, Py_ssize_t first, Py_ssize_t times, Py_ssize_t rows,
                 Py_ssize_t n, real *out) noexcept nogil:
    """out[i, j] is numbers[i*step + (first + j)//times], for n columns of a tile.

    Columns up to the next multiple of the lanes are written, too. Neither `times` nor `first` exceeds TILE_COLUMNS.
    """
    if real is float:
        repeat_f32(numbers, step, <int>first, <int>times, rows, <int>n, out, 0, 0, out, TILE_COLUMNS)
    else:
        repeat_f64(numbers, step, <int>first, <int>times, rows, <int>n, out, 0, 0, out, TILE_COLUMNS)


cdef void adjust_repeated(const real *numbers, Py_ssize_t step, Py_ssize_t first, Py_ssize_t times, Py_ssize_t rows,
                          Py_ssize_t n, const real *x, Py_ssize_t x_step, double scale, real *out) noexcept nogil:
    """adjust, with repeated numbers as addends, for whole lanes of columns."""
    if real is float:
        adjust_repeated_f32(numbers, step, <int>first, <int>times, rows, <int>n, x, x_step, <float>scale, out,
                            TILE_COLUMNS)
    else:
        adjust_repeated_f64(numbers, step, <int>first, <int>times, rows, <int>n, x, x_step, scale, out, TILE_COLUMNS)
