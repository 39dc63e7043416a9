# Masks: elements that do not take part are replaced by another value.

cdef extern from * nogil:
    """
    /* Select by bits, because compilers do not vectorise a choice between doubles by a byte. x and out may be the same
       memory but do not overlap otherwise, and no compiler proves that the mask lies elsewhere: hence the pragma. Lanes
       in a local array would be stored in halves and read whole with AVX-512, and each read would wait for both. */
    #if defined(__clang__)
    #define SMOOTHMAX_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
    #elif defined(__GNUC__)
    #define SMOOTHMAX_INDEPENDENT _Pragma("GCC ivdep")
    #else
    #define SMOOTHMAX_INDEPENDENT
    #endif
    #define SMOOTHMAX_SELECT(name, real, bits) \\
        static inline void name(const real *x, const unsigned char *mask, Py_ssize_t n, real fill, real *out) { \\
            bits fill_bits, y; \\
            memcpy(&fill_bits, &fill, sizeof fill); \\
            SMOOTHMAX_INDEPENDENT \\
            for (Py_ssize_t i = 0; i < n; i++) { \\
                memcpy(&y, x + i, sizeof y); \\
                y = ((y ^ fill_bits) & (0 - (bits)(mask[i] != 0))) ^ fill_bits; \\
                memcpy(out + i, &y, sizeof y); \\
            } \\
        }
    SMOOTHMAX_SELECT(smoothmax_select_f32, float, uint32_t)
    SMOOTHMAX_SELECT(smoothmax_select_f64, double, uint64_t)
    """
    void select_contiguous_f32 "smoothmax_select_f32"(const float *x, const unsigned char *mask, Py_ssize_t n,
                                                      float fill, float *out)
    void select_contiguous_f64 "smoothmax_select_f64"(const double *x, const unsigned char *mask, Py_ssize_t n,
                                                      double fill, double *out)


cdef void select(const real *x, Py_ssize_t step, const unsigned char *mask, Py_ssize_t mask_step, Py_ssize_t rows,
                 Py_ssize_t n, double fill, real *out, Py_ssize_t out_step) noexcept nogil:
    """out[i] of each row is x[i], or `fill` where mask[i] is 0. Any other byte is True. `out` may be x.

    Steps are in bytes.
    """
    cdef Py_ssize_t i
    for i in range(rows):
        if real is float:
            select_contiguous_f32(x, mask, n, <float>fill, out)
        else:
            select_contiguous_f64(x, mask, n, fill, out)
        x = <const real *>(<const char *>x + step)
        mask += mask_step
        out = <real *>(<char *>out + out_step)
