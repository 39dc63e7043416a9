# For `cimport smoothmax`: the functions of smoothmax.h, which documents them. A module calls import_smoothmax() once
# before any other function, and is compiled with smoothmax.get_include() among its include directories.

from libc.stddef cimport ptrdiff_t

cdef extern from "smoothmax.h":
    const int SMOOTHMAX_C_VERSION
    int import_smoothmax "smoothmax_import"() except -1

cdef extern from "smoothmax.h" nogil:
    ctypedef struct smoothmax_partial_sum_f64:
        pass
    ctypedef struct smoothmax_partial_sum_f32:
        pass

    double smoothmax_logsumexp_f64(const double *x, ptrdiff_t n, ptrdiff_t stride) noexcept
    float smoothmax_logsumexp_f32(const float *x, ptrdiff_t n, ptrdiff_t stride) noexcept
    void smoothmax_softmax_f64(const double *x, ptrdiff_t n, ptrdiff_t stride, double *out,
                               ptrdiff_t out_stride) noexcept
    void smoothmax_softmax_f32(const float *x, ptrdiff_t n, ptrdiff_t stride, float *out,
                               ptrdiff_t out_stride) noexcept
    void smoothmax_log_softmax_f64(const double *x, ptrdiff_t n, ptrdiff_t stride, double *out,
                                   ptrdiff_t out_stride) noexcept
    void smoothmax_log_softmax_f32(const float *x, ptrdiff_t n, ptrdiff_t stride, float *out,
                                   ptrdiff_t out_stride) noexcept

    double smoothmax_logaddexp_f64(double x1, double x2) noexcept
    float smoothmax_logaddexp_f32(float x1, float x2) noexcept
    double smoothmax_logsubexp_f64(double x1, double x2) noexcept
    float smoothmax_logsubexp_f32(float x1, float x2) noexcept
    double smoothmax_log1mexp_f64(double x) noexcept
    float smoothmax_log1mexp_f32(float x) noexcept
    double smoothmax_log1pexp_f64(double x) noexcept
    float smoothmax_log1pexp_f32(float x) noexcept
    double smoothmax_log_expit_f64(double x) noexcept
    float smoothmax_log_expit_f32(float x) noexcept

    void smoothmax_partial_sum_init_f64(smoothmax_partial_sum_f64 *sum) noexcept
    void smoothmax_partial_sum_init_f32(smoothmax_partial_sum_f32 *sum) noexcept
    void smoothmax_partial_sum_absorb_f64(smoothmax_partial_sum_f64 *sum, const double *x, ptrdiff_t n,
                                          ptrdiff_t stride) noexcept
    void smoothmax_partial_sum_absorb_f32(smoothmax_partial_sum_f32 *sum, const float *x, ptrdiff_t n,
                                          ptrdiff_t stride) noexcept
    void smoothmax_partial_sum_merge_f64(smoothmax_partial_sum_f64 *sum,
                                         const smoothmax_partial_sum_f64 *other) noexcept
    void smoothmax_partial_sum_merge_f32(smoothmax_partial_sum_f32 *sum,
                                         const smoothmax_partial_sum_f32 *other) noexcept
    double smoothmax_partial_sum_result_f64(const smoothmax_partial_sum_f64 *sum) noexcept
    float smoothmax_partial_sum_result_f32(const smoothmax_partial_sum_f32 *sum) noexcept
