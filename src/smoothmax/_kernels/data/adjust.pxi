# Adjusting: elements times `scale`, plus addends.
#
# The product is rounded before the addend is added, as NumPy rounds it, so that a call gives the same bits as a call on
# the array x*scale + add. So the compiler must not contract the two into an fma, which the kernels' flags allow
# elsewhere. Without addends, -0. is added, which changes no number, not even -0.

cdef extern from * nogil:
    """
    #if defined(__clang__)
    #define SMOOTHMAX_ROUND_TWICE
    #define SMOOTHMAX_NO_CONTRACTION _Pragma("clang fp contract(off)")
    #elif defined(__GNUC__)
    #define SMOOTHMAX_ROUND_TWICE __attribute__((noinline, optimize("fp-contract=off")))
    #define SMOOTHMAX_NO_CONTRACTION
    #else
    #define SMOOTHMAX_ROUND_TWICE
    #define SMOOTHMAX_NO_CONTRACTION
    #pragma fp_contract(off)
    #endif
    /* x and out may be the same memory but do not overlap otherwise; addends lie elsewhere.

       What lies `ahead` bytes ahead is fetched into L2 meanwhile, to arrive while kernels compute (P45); 0 for
       nothing. */
    #define SMOOTHMAX_ADJUST(name, real) \\
        SMOOTHMAX_ROUND_TWICE static void name(const real *x, Py_ssize_t step, const real *addends, \\
                                               Py_ssize_t addends_step, int one_a_row, Py_ssize_t rows, Py_ssize_t n, \\
                                               real scale, Py_ssize_t ahead, real *out, Py_ssize_t out_step) { \\
            SMOOTHMAX_NO_CONTRACTION \\
            enum { CHUNK = 128/sizeof(real) };      /* a length that the compiler knows: half the instructions */ \\
            for (Py_ssize_t row = 0; row < rows; row++) { \\
                Py_ssize_t done = 0, i; \\
                for (; done + CHUNK <= n; done += CHUNK) { \\
                    if (ahead) { \\
                        SMOOTHMAX_PREFETCH_L2((const char *)(x + done) + ahead); \\
                        SMOOTHMAX_PREFETCH_L2((const char *)(x + done) + ahead + 64); \\
                    } \\
                    if (one_a_row) { \\
                        real addend = *addends; \\
                        SMOOTHMAX_INDEPENDENT \\
                        for (i = 0; i < CHUNK; i++) \\
                            out[done + i] = x[done + i]*scale + addend; \\
                    } else { \\
                        SMOOTHMAX_INDEPENDENT \\
                        for (i = 0; i < CHUNK; i++) \\
                            out[done + i] = x[done + i]*scale + addends[done + i]; \\
                    } \\
                } \\
                if (ahead && done < n) \\
                    SMOOTHMAX_PREFETCH_L2((const char *)(x + n) + ahead); \\
                SMOOTHMAX_INDEPENDENT \\
                for (i = done; i < n; i++) \\
                    out[i] = x[i]*scale + (one_a_row ? addends[0] : addends[i]); \\
                x = (const real *)((const char *)x + step); \\
                addends = (const real *)((const char *)addends + addends_step); \\
                out = (real *)((char *)out + out_step); \\
            } \\
        }
    SMOOTHMAX_ADJUST(smoothmax_adjust_f32, float)
    SMOOTHMAX_ADJUST(smoothmax_adjust_f64, double)
    """
    void adjust_f32 "smoothmax_adjust_f32"(const float *x, Py_ssize_t step, const float *addends,
                                           Py_ssize_t addends_step, bint one_a_row, Py_ssize_t rows, Py_ssize_t n,
                                           float scale, Py_ssize_t ahead, float *out, Py_ssize_t out_step)
    void adjust_f64 "smoothmax_adjust_f64"(const double *x, Py_ssize_t step, const double *addends,
                                           Py_ssize_t addends_step, bint one_a_row, Py_ssize_t rows, Py_ssize_t n,
                                           double scale, Py_ssize_t ahead, double *out,
                                           Py_ssize_t out_step)


cdef void adjust(const real *x, Py_ssize_t step, const real *addends, Py_ssize_t addends_step, Addends layout,
                 Py_ssize_t rows, Py_ssize_t n, double scale, Py_ssize_t ahead, real *out,
                 Py_ssize_t out_step) noexcept nogil:
    """out[i] of each row is x[i]*scale + addends[i], or plus addends[0] where a row has one addend.

    Without addends, which NULL says, it is x[i]*scale. `out` may be x. Steps are in bytes.
    """
    cdef real nothing = <real>-0.0
    cdef bint one_a_row = layout == ONE_ADDEND_A_ROW
    if addends == NULL:
        addends, addends_step, one_a_row = &nothing, 0, True
    if real is float:
        adjust_f32(x, step, addends, addends_step, one_a_row, rows, n, <float>scale, ahead, out, out_step)
    else:
        adjust_f64(x, step, addends, addends_step, one_a_row, rows, n, scale, ahead, out, out_step)
