/* The C interface of smoothmax. Documentation: docs/c-interface.md.
 *
 * An extension module calls smoothmax_import() once, with the GIL, before it uses anything else of this header. Each
 * file that includes the header must do this. All other functions need neither the GIL nor a Python thread, allocate
 * no memory, raise no exceptions, and may run in several threads at a time.
 *
 *     n        the number of elements; if it is 0 or less, there are none, and pointers may be NULL
 *     stride   the step from one element to the next, counted in elements, not in bytes; of any sign, or 0
 *
 * Pointers must be aligned as C requires. Results replace the elements, with the same stride, or lie in other memory.
 *
 * Signatures and structs of this file never change once they are released. When new functions are added at the end of
 * smoothmax_functions, SMOOTHMAX_C_VERSION is raised. */

#ifndef SMOOTHMAX_H
#define SMOOTHMAX_H

#include <Python.h>
#include <stddef.h>

#define SMOOTHMAX_C_VERSION 1

/* The partial sum of some elements. Only the functions below know the meaning of the numbers, which differs between
 * float and double. A sum may be copied with =. */
typedef struct { double private_[4]; } smoothmax_partial_sum_f64;
typedef struct { double private_[4]; } smoothmax_partial_sum_f32;

typedef struct {
    int version;
    double (*logsumexp_f64)(const double *x, ptrdiff_t n, ptrdiff_t stride);
    float (*logsumexp_f32)(const float *x, ptrdiff_t n, ptrdiff_t stride);
    void (*softmax_f64)(const double *x, ptrdiff_t n, ptrdiff_t stride, double *out, ptrdiff_t out_stride);
    void (*softmax_f32)(const float *x, ptrdiff_t n, ptrdiff_t stride, float *out, ptrdiff_t out_stride);
    void (*log_softmax_f64)(const double *x, ptrdiff_t n, ptrdiff_t stride, double *out, ptrdiff_t out_stride);
    void (*log_softmax_f32)(const float *x, ptrdiff_t n, ptrdiff_t stride, float *out, ptrdiff_t out_stride);
    double (*logaddexp_f64)(double x1, double x2);
    float (*logaddexp_f32)(float x1, float x2);
    double (*logsubexp_f64)(double x1, double x2);
    float (*logsubexp_f32)(float x1, float x2);
    double (*log1mexp_f64)(double x);
    float (*log1mexp_f32)(float x);
    double (*log1pexp_f64)(double x);
    float (*log1pexp_f32)(float x);
    double (*log_expit_f64)(double x);
    float (*log_expit_f32)(float x);
    void (*partial_sum_init_f64)(smoothmax_partial_sum_f64 *sum);
    void (*partial_sum_init_f32)(smoothmax_partial_sum_f32 *sum);
    void (*partial_sum_absorb_f64)(smoothmax_partial_sum_f64 *sum, const double *x, ptrdiff_t n, ptrdiff_t stride);
    void (*partial_sum_absorb_f32)(smoothmax_partial_sum_f32 *sum, const float *x, ptrdiff_t n, ptrdiff_t stride);
    void (*partial_sum_merge_f64)(smoothmax_partial_sum_f64 *sum, const smoothmax_partial_sum_f64 *other);
    void (*partial_sum_merge_f32)(smoothmax_partial_sum_f32 *sum, const smoothmax_partial_sum_f32 *other);
    double (*partial_sum_result_f64)(const smoothmax_partial_sum_f64 *sum);
    float (*partial_sum_result_f32)(const smoothmax_partial_sum_f32 *sum);
} smoothmax_functions;

#ifndef SMOOTHMAX_BUILDS_ITSELF

static const smoothmax_functions *smoothmax_imported = NULL;

/* Load smoothmax. Returns 0, or -1 with an exception set: ImportError if the installed smoothmax is older than this
 * header. */
static inline int smoothmax_import(void) {
    const smoothmax_functions *found = (const smoothmax_functions *)PyCapsule_Import("smoothmax._C_API", 0);
    if (found == NULL)
        return -1;
    if (found->version < SMOOTHMAX_C_VERSION) {
        PyErr_Format(PyExc_ImportError,
                     "this module was built with version %d of smoothmax's C interface, but the smoothmax that is "
                     "installed has version %d", SMOOTHMAX_C_VERSION, found->version);
        return -1;
    }
    smoothmax_imported = found;
    return 0;
}

/* log(sum(exp(x))): -inf if there are no elements. */
static inline double smoothmax_logsumexp_f64(const double *x, ptrdiff_t n, ptrdiff_t stride) {
    return smoothmax_imported->logsumexp_f64(x, n, stride);
}
static inline float smoothmax_logsumexp_f32(const float *x, ptrdiff_t n, ptrdiff_t stride) {
    return smoothmax_imported->logsumexp_f32(x, n, stride);
}

/* exp(x)/sum(exp(x)) */
static inline void smoothmax_softmax_f64(const double *x, ptrdiff_t n, ptrdiff_t stride, double *out,
                                         ptrdiff_t out_stride) {
    smoothmax_imported->softmax_f64(x, n, stride, out, out_stride);
}
static inline void smoothmax_softmax_f32(const float *x, ptrdiff_t n, ptrdiff_t stride, float *out,
                                         ptrdiff_t out_stride) {
    smoothmax_imported->softmax_f32(x, n, stride, out, out_stride);
}

/* x - log(sum(exp(x))) */
static inline void smoothmax_log_softmax_f64(const double *x, ptrdiff_t n, ptrdiff_t stride, double *out,
                                             ptrdiff_t out_stride) {
    smoothmax_imported->log_softmax_f64(x, n, stride, out, out_stride);
}
static inline void smoothmax_log_softmax_f32(const float *x, ptrdiff_t n, ptrdiff_t stride, float *out,
                                             ptrdiff_t out_stride) {
    smoothmax_imported->log_softmax_f32(x, n, stride, out, out_stride);
}

/* log(exp(x1) + exp(x2)) */
static inline double smoothmax_logaddexp_f64(double x1, double x2) { return smoothmax_imported->logaddexp_f64(x1, x2); }
static inline float smoothmax_logaddexp_f32(float x1, float x2) { return smoothmax_imported->logaddexp_f32(x1, x2); }

/* log(exp(x1) - exp(x2)): nan where x1 < x2 */
static inline double smoothmax_logsubexp_f64(double x1, double x2) { return smoothmax_imported->logsubexp_f64(x1, x2); }
static inline float smoothmax_logsubexp_f32(float x1, float x2) { return smoothmax_imported->logsubexp_f32(x1, x2); }

/* log(1 - exp(x)): nan where x > 0 */
static inline double smoothmax_log1mexp_f64(double x) { return smoothmax_imported->log1mexp_f64(x); }
static inline float smoothmax_log1mexp_f32(float x) { return smoothmax_imported->log1mexp_f32(x); }

/* log(1 + exp(x)) */
static inline double smoothmax_log1pexp_f64(double x) { return smoothmax_imported->log1pexp_f64(x); }
static inline float smoothmax_log1pexp_f32(float x) { return smoothmax_imported->log1pexp_f32(x); }

/* -log(1 + exp(-x)) */
static inline double smoothmax_log_expit_f64(double x) { return smoothmax_imported->log_expit_f64(x); }
static inline float smoothmax_log_expit_f32(float x) { return smoothmax_imported->log_expit_f32(x); }

/* A partial sum: initialise it as empty, add elements or other sums to it, and ask for the logsumexp of all elements.
 * Two threads must not change the same sum at the same time. */
static inline void smoothmax_partial_sum_init_f64(smoothmax_partial_sum_f64 *sum) {
    smoothmax_imported->partial_sum_init_f64(sum);
}
static inline void smoothmax_partial_sum_init_f32(smoothmax_partial_sum_f32 *sum) {
    smoothmax_imported->partial_sum_init_f32(sum);
}
static inline void smoothmax_partial_sum_absorb_f64(smoothmax_partial_sum_f64 *sum, const double *x, ptrdiff_t n,
                                                    ptrdiff_t stride) {
    smoothmax_imported->partial_sum_absorb_f64(sum, x, n, stride);
}
static inline void smoothmax_partial_sum_absorb_f32(smoothmax_partial_sum_f32 *sum, const float *x, ptrdiff_t n,
                                                    ptrdiff_t stride) {
    smoothmax_imported->partial_sum_absorb_f32(sum, x, n, stride);
}
static inline void smoothmax_partial_sum_merge_f64(smoothmax_partial_sum_f64 *sum,
                                                   const smoothmax_partial_sum_f64 *other) {
    smoothmax_imported->partial_sum_merge_f64(sum, other);
}
static inline void smoothmax_partial_sum_merge_f32(smoothmax_partial_sum_f32 *sum,
                                                   const smoothmax_partial_sum_f32 *other) {
    smoothmax_imported->partial_sum_merge_f32(sum, other);
}
static inline double smoothmax_partial_sum_result_f64(const smoothmax_partial_sum_f64 *sum) {
    return smoothmax_imported->partial_sum_result_f64(sum);
}
static inline float smoothmax_partial_sum_result_f32(const smoothmax_partial_sum_f32 *sum) {
    return smoothmax_imported->partial_sum_result_f32(sum);
}

#endif
#endif
