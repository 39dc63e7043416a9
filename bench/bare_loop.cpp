// A lower bound for the work of logsumexp on one row in L1: maximum, exponentials and plain sum in explicit vectors.
//
// No sum is compensated and no value is treated specially. exp is a polynomial of degree 11 (float: 6) in one rounded
// part. Its coefficients are those of the Taylor series, since only the number of operations matters. limits.py checks
// that the result is right to 1e-12 (float: 1e-5). Vectors are the compiler's own extension (GCC, clang) and WIDTH
// bytes long: loops over lanes were tried first, but GCC 12 unrolls them too early, leaves the maximum scalar, and is a
// third slower.
#include <cmath>
#include <cstdint>
#include <cstring>

constexpr int UNROLL = 4; // vectors at a time: independent chains that hide each other's latency

template <typename real> struct Type;
template <> struct Type<double> {
    typedef double vector __attribute__((vector_size(WIDTH), aligned(8)));
    typedef std::uint64_t bits __attribute__((vector_size(WIDTH)));
    static constexpr double round_bias = 0x1.8p52 + 1023, underflow_below = -708;
    static constexpr double high = 0x1.62e42fefa0000p-1, low = 0x1.cf79abc9e3b39p-40;
    static constexpr int degree = 11, exponent = 52;
};
template <> struct Type<float> {
    typedef float vector __attribute__((vector_size(WIDTH), aligned(4)));
    typedef std::uint32_t bits __attribute__((vector_size(WIDTH)));
    static constexpr float round_bias = 0x1.8p23f + 127, underflow_below = -87;
    static constexpr float high = 0x1.62e400p-1f, low = 0x1.7f7d1cp-20f;
    static constexpr int degree = 6, exponent = 23;
};

constexpr double COEFFICIENTS[] = {1,         1,          1 / 2.,     1 / 6.,       1 / 24.,       1 / 120.,
                                   1 / 720.,  1 / 5040.,  1 / 40320., 1 / 362880.,  1 / 3628800.,  1 / 39916800.};

// d*log2(e) + round_bias has n, the biased exponent of the result, in its low bits.
template <typename real> inline typename Type<real>::vector exponential(typename Type<real>::vector d) {
    using T = Type<real>;
    using vector = typename T::vector;
    vector bottom = vector{} + T::underflow_below;
    d = d > bottom ? d : bottom;
    vector z = d * real(0x1.71547652b82fep0) + T::round_bias;
    vector n = z - T::round_bias;
    vector r = (d - n * T::high) - n * T::low;
    vector p = vector{} + real(COEFFICIENTS[T::degree]);
#pragma GCC unroll 16
    for (int k = T::degree - 1; k >= 0; k--)
        p = p * r + real(COEFFICIENTS[k]);
    typename T::bits bits;
    std::memcpy(&bits, &z, sizeof bits);
    bits <<= T::exponent;
    vector scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

// n is a multiple of UNROLL vectors.
template <typename real> double logsumexp(const real *x, long n) {
    using vector = typename Type<real>::vector;
    constexpr int LANES = sizeof(vector) / sizeof(real);
    const vector *row = reinterpret_cast<const vector *>(x);
    vector top[UNROLL], sum[UNROLL];
    for (int j = 0; j < UNROLL; j++) {
        top[j] = row[j];
        sum[j] = vector{};
    }
    for (long i = UNROLL; i < n / LANES; i += UNROLL)
#pragma GCC unroll 4
        for (int j = 0; j < UNROLL; j++)
            top[j] = row[i + j] > top[j] ? row[i + j] : top[j];
    real m = top[0][0], total = 0;
    for (int j = 0; j < UNROLL; j++)
        for (int k = 0; k < LANES; k++)
            m = top[j][k] > m ? top[j][k] : m;
    for (long i = 0; i < n / LANES; i += UNROLL)
#pragma GCC unroll 4
        for (int j = 0; j < UNROLL; j++)
            sum[j] += exponential<real>(row[i + j] - m);
    for (int j = 0; j < UNROLL; j++)
        for (int k = 0; k < LANES; k++)
            total += sum[j][k];
    return m + std::log(total);
}

// Repeats the loop, so that the cost of calling from Python does not count.
template <typename real> double repeated(const real *x, long n, long count) {
    double last = 0;
    for (long i = 0; i < count; i++) {
        asm volatile("" : : "r"(x) : "memory");
        last = logsumexp(x, n);
    }
    return last;
}

extern "C" double bare_float64(const double *x, long n, long count) { return repeated(x, n, count); }
extern "C" double bare_float32(const float *x, long n, long count) { return repeated(x, n, count); }
