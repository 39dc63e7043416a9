// Loops that call a function by its address, and the loops that programs write by hand instead of calling it.

#include <cmath>
#include <cstddef>
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

typedef double (*Row)(const double *x, ptrdiff_t n, ptrdiff_t stride);
typedef double (*Pair)(double x1, double x2);
typedef void (*Transform)(const double *x, ptrdiff_t n, ptrdiff_t stride, double *out, ptrdiff_t out_stride);

extern "C" {

// Let this thread flush subnormal numbers, or not.
void flush(int on) {
#ifdef __SSE2__
    _mm_setcsr(on ? _mm_getcsr() | 0x8040u : _mm_getcsr() & ~0x8040u);
#else
    (void)on;
#endif
}

double textbook_row(const double *x, ptrdiff_t n, ptrdiff_t stride) {
    double largest = -INFINITY, sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        if (x[i * stride] > largest) largest = x[i * stride];
    if (std::isinf(largest)) return largest;
    for (ptrdiff_t i = 0; i < n; i++) sum += std::exp(x[i * stride] - largest);
    return largest + std::log(sum);
}

double textbook_pair(double x1, double x2) {
    if (x1 == x2) return x1 + 0.6931471805599453;
    return (x1 > x2 ? x1 : x2) + std::log1p(std::exp(-std::fabs(x1 - x2)));
}

void textbook_softmax(const double *x, ptrdiff_t n, ptrdiff_t stride, double *out, ptrdiff_t out_stride) {
    double largest = -INFINITY, sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        if (x[i * stride] > largest) largest = x[i * stride];
    for (ptrdiff_t i = 0; i < n; i++) sum += out[i * out_stride] = std::exp(x[i * stride] - largest);
    for (ptrdiff_t i = 0; i < n; i++) out[i * out_stride] /= sum;
}

// Each of these makes `repeats` calls. Calls on pairs depend on one another, as in a running sum.
double call_row(Row function, const double *x, ptrdiff_t n, int repeats) {
    double sum = 0;
    for (int i = 0; i < repeats; i++) sum += function(x, n, 1);
    return sum;
}

double call_pair(Pair function, const double *x, ptrdiff_t n, int repeats) {
    double sum = 0;
    for (int i = 0; i < repeats; i++) sum = function(sum, x[i % n]);
    return sum;
}

double call_softmax(Transform function, const double *x, ptrdiff_t n, int repeats) {
    double out[1000];
    for (int i = 0; i < repeats; i++) function(x, n, 1, out, 1);
    return out[0];
}
}
