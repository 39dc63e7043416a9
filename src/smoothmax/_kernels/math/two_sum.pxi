# Sums and products that keep their rounding error.
#
# No function in math/ branches on data or converts between integer and float, so a loop over any of them vectorises.

cdef extern from * nogil:
    """
    /* product_error is a*b - p, where p is a*b rounded. multiplied is a*(b + low), rounded once. left_of is
       (a + low)*b - taken, where taken is what a sum took of a*b. Where fma is one instruction they call it explicitly,
       because -ffp-contract may fuse the wrong one of two products. Elsewhere they take Dekker's product (Numerische
       Mathematik 18, 1971), which a compiler must not contract: where it could, there is fma.

       probability is multiplied where the parts of Dekker's product might vanish: without it, softmax results near
       1e-300 were 2.3 ULP off.

       multiply_add is a*b + c. It calls fma explicitly too: exp must have the same bits inside and outside a loop,
       because take_out_maximum subtracts a term that is computed again; and of two products in a sum, compilers fuse
       different ones. Polynomials are left to the compiler, which finds them in one block. */
    #include <math.h>
    #include <stdint.h>
    #include <string.h>
    #if defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__)
    #define SMOOTHMAX_FUSES 1
    static inline double smoothmax_product_error_f64(double a, double b, double p) { return fma(a, b, -p); }
    static inline float smoothmax_product_error_f32(float a, float b, float p) { return fmaf(a, b, -p); }
    static inline double smoothmax_multiplied_f64(double a, double b, double low) { return fma(a, b, a*low); }
    static inline float smoothmax_multiplied_f32(float a, float b, float low) { return fmaf(a, b, a*low); }
    #define smoothmax_probability_f64 smoothmax_multiplied_f64
    static inline double smoothmax_multiply_add_f64(double a, double b, double c) { return fma(a, b, c); }
    static inline float smoothmax_multiply_add_f32(float a, float b, float c) { return fmaf(a, b, c); }
    static inline double smoothmax_left_of_f64(double a, double low, double b, double taken) {
        return fma(low, b, fma(a, b, -taken));
    }
    static inline float smoothmax_left_of_f32(float a, float low, float b, float taken) {
        return fmaf(low, b, fmaf(a, b, -taken));
    }
    #else
    #define SMOOTHMAX_FUSES 0
    /* The upper 26 bits of a, rounded, taken from its bits: Veltkamp's product with 2**27 + 1 overflows from 2**996. */
    static inline double smoothmax_upper_half(double a) {
        uint64_t bits;
        memcpy(&bits, &a, 8);
        bits = (bits + 0x4000000u) & ~(uint64_t)0x7FFFFFFu;
        memcpy(&a, &bits, 8);
        return a;
    }
    static inline double smoothmax_product_error_f64(double a, double b, double p) {
        double a_high = smoothmax_upper_half(a), a_low = a - a_high;
        double b_high = smoothmax_upper_half(b), b_low = b - b_high;
        return ((a_high*b_high - p) + a_high*b_low + a_low*b_high) + a_low*b_low;
    }
    static inline float smoothmax_product_error_f32(float a, float b, float p) { return (float)((double)a*b - p); }
    static inline double smoothmax_multiplied_f64(double a, double b, double low) {
        double p = a*b;
        return p + (smoothmax_product_error_f64(a, b, p) + a*low);
    }
    static inline float smoothmax_multiplied_f32(float a, float b, float low) {
        return (float)((double)a*((double)b + low));
    }
    static inline double smoothmax_probability_f64(double e, double inverse, double low) {
        /* Scale by 2**64 and back, but not a factor so large that nothing vanishes: that might overflow. */
        int small = fabs(inverse) < 1e-30;
        double up = small ? 18446744073709551616.0 : 1, down = small ? 5.421010862427522e-20 : 1;
        return smoothmax_multiplied_f64(e, inverse*up, low*up)*down;
    }
    static inline double smoothmax_multiply_add_f64(double a, double b, double c) { return a*b + c; }
    static inline float smoothmax_multiply_add_f32(float a, float b, float c) { return a*b + c; }
    static inline double smoothmax_left_of_f64(double a, double low, double b, double taken) {
        double p = a*b;
        return (p - taken) + (low*b + smoothmax_product_error_f64(a, b, p));
    }
    static inline float smoothmax_left_of_f32(float a, float low, float b, float taken) {
        float p = a*b;
        return (p - taken) + (low*b + smoothmax_product_error_f32(a, b, p));
    }
    #endif
    """
    const bint FUSES "SMOOTHMAX_FUSES"          # whether fma is one instruction, which decides bits
    double product_error_f64 "smoothmax_product_error_f64"(double a, double b, double p)
    float product_error_f32 "smoothmax_product_error_f32"(float a, float b, float p)
    double multiplied_f64 "smoothmax_multiplied_f64"(double a, double b, double low)
    float multiplied_f32 "smoothmax_multiplied_f32"(float a, float b, float low)
    double probability_f64 "smoothmax_probability_f64"(double e, double inverse, double low)
    double multiply_add_f64 "smoothmax_multiply_add_f64"(double a, double b, double c)
    float multiply_add_f32 "smoothmax_multiply_add_f32"(float a, float b, float c)
    double left_of_f64 "smoothmax_left_of_f64"(double a, double low, double b, double taken)
    float left_of_f32 "smoothmax_left_of_f32"(float a, float low, float b, float taken)
    const double INFINITY
    const double NAN


cdef inline real product_error(real a, real b, real p) noexcept nogil:
    """Return a*b - p, the rounding error of p = a*b."""
    if real is float:
        return product_error_f32(a, b, p)
    else:
        return product_error_f64(a, b, p)


cdef inline real multiplied(real a, real b, real low) noexcept nogil:
    """a*(b + low), rounded once."""
    if real is float:
        return multiplied_f32(a, b, low)
    else:
        return multiplied_f64(a, b, low)


cdef inline real probability(real e, real inverse, real inverse_low) noexcept nogil:
    """e*(inverse + inverse_low): an exponential over the sum, rounded once."""
    if real is float:
        return multiplied_f32(e, inverse, inverse_low)
    else:
        return probability_f64(e, inverse, inverse_low)


cdef inline real multiply_add(real a, real b, real c) noexcept nogil:
    """a*b + c, rounded once where fma is one instruction."""
    if real is float:
        return multiply_add_f32(a, b, c)
    else:
        return multiply_add_f64(a, b, c)


cdef inline real left_of(real a, real low, real b, real taken) noexcept nogil:
    """(a + low)*b - taken, accurate to its own last bits."""
    if real is float:
        return left_of_f32(a, low, b, taken)
    else:
        return left_of_f64(a, low, b, taken)


cdef inline real sum_in_two(real a, real b, real *error) noexcept nogil:
    """a + b rounded, and in `error` the rounding error (Knuth, TAOCP 2, 4.2.2)."""
    cdef real total = a + b
    cdef real b_seen = total - a
    error[0] = (a - (total - b_seen)) + (b - b_seen)
    return total


cdef inline real sum_with_smaller(real a, real b, real *error) noexcept nogil:
    """sum_in_two for abs(a) >= abs(b), in half the operations (Dekker, Numerische Mathematik 18, 1971)."""
    cdef real total = a + b
    error[0] = b - (total - a)
    return total


cdef inline double two_sum(double a, double b, double *error) noexcept nogil:
    return sum_in_two(a, b, error)


cdef inline real magnitude(real x) noexcept nogil:
    """abs(x), written such that it compiles to one instruction; a comparison with 0 takes three."""
    if real is float:
        return fabsf(x)
    else:
        return fabs(x)


cdef inline bint is_finite(double x) noexcept nogil:
    return x - x == 0
