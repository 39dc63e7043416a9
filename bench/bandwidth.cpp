// How fast memory is read and copied: a lower bound for the time of a call on arrays larger than the cache.
//
// Vectors as in bare_loop.cpp. The copy uses ordinary stores: the processor reads each cache line before it is
// written, as it does for results of smoothmax.
#include <cstring>

typedef float vector __attribute__((vector_size(WIDTH), aligned(4)));
constexpr int UNROLL = 8;
constexpr long LANES = WIDTH / sizeof(float);

// The largest of n elements, a multiple of UNROLL vectors; the maximum costs no more than the reading.
extern "C" double read_all(const float *x, long n, long passes) {
    const vector *row = reinterpret_cast<const vector *>(x);
    vector top[UNROLL];
    for (int j = 0; j < UNROLL; j++)
        top[j] = row[j];
    for (long pass = 0; pass < passes; pass++) {
        for (long i = 0; i < n / LANES; i += UNROLL)
#pragma GCC unroll 8
            for (int j = 0; j < UNROLL; j++)
                top[j] = row[i + j] > top[j] ? row[i + j] : top[j];
        asm volatile("" : : : "memory"); // so that each pass reads the whole array
    }
    float m = top[0][0];
    for (int j = 0; j < UNROLL; j++)
        for (int k = 0; k < LANES; k++)
            m = top[j][k] > m ? top[j][k] : m;
    return m;
}

extern "C" double copy_all(const float *x, float *y, long n, long passes) {
    const vector *row = reinterpret_cast<const vector *>(x);
    vector *out = reinterpret_cast<vector *>(y);
    for (long pass = 0; pass < passes; pass++)
        for (long i = 0; i < n / LANES; i += UNROLL) {
#pragma GCC unroll 8
            for (int j = 0; j < UNROLL; j++)
                out[i + j] = row[i + j];
            asm volatile("" : : : "memory"); // keeps the loop a loop: memcpy may bypass the cache
        }
    return y[0];
}
