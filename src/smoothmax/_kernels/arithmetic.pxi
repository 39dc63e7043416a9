# Scalar functions that the loops are made of: sums and products that keep their rounding error, the shift, exp, log.
#
# None of them branches on data or converts between integer and float, so that a loop over any of them vectorises.

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

ctypedef fused real:
    float
    double

include "coefficients.pxi"

cdef extern from * nogil:
    """
    /* With p = a*b rounded, product_error is a*b - p, and multiplied is a*(b + low) rounded once; left_of is
       (a + low)*b - taken, where taken is near a*b beside what a*b was added to. probability is multiplied where the
       parts of Dekker's product might vanish, down to the least normal number: softmax of 1e-300 was 2.3 ULP off
       (2026-11). With fma where that is one instruction: -ffp-contract may fuse the wrong one of two products.
       Elsewhere by Dekker's product (Numerische Mathematik 18, 1971), not for targets where the compiler may contract
       its products. fused is a*b + c in one instruction wherever there is one, not only where the compiler finds both
       in one block: the same number has the same exponential, in a loop and outside. A polynomial stays in one block
       as it is. */
    #include <math.h>
    #if defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__)
    static inline double smoothmax_product_error_f64(double a, double b, double p) { return fma(a, b, -p); }
    static inline float smoothmax_product_error_f32(float a, float b, float p) { return fmaf(a, b, -p); }
    static inline double smoothmax_multiplied_f64(double a, double b, double low) { return fma(a, b, a*low); }
    static inline float smoothmax_multiplied_f32(float a, float b, float low) { return fmaf(a, b, a*low); }
    #define smoothmax_probability_f64 smoothmax_multiplied_f64
    static inline double smoothmax_fused_f64(double a, double b, double c) { return fma(a, b, c); }
    static inline float smoothmax_fused_f32(float a, float b, float c) { return fmaf(a, b, c); }
    static inline double smoothmax_left_of_f64(double a, double low, double b, double taken) {
        return fma(low, b, fma(a, b, -taken));
    }
    static inline float smoothmax_left_of_f32(float a, float low, float b, float taken) {
        return fmaf(low, b, fmaf(a, b, -taken));
    }
    #else
    static inline double smoothmax_product_error_f64(double a, double b, double p) {
        double ca = 134217729.0*a, a_high = ca - (ca - a), a_low = a - a_high;
        double cb = 134217729.0*b, b_high = cb - (cb - b), b_low = b - b_high;
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
        /* by 2**64 and back; not where weights make the factor so large that nothing vanishes, and that may overflow */
        int small = fabs(inverse) < 1e-30;
        double up = small ? 18446744073709551616.0 : 1, down = small ? 5.421010862427522e-20 : 1;
        return smoothmax_multiplied_f64(e, inverse*up, low*up)*down;
    }
    static inline double smoothmax_fused_f64(double a, double b, double c) { return a*b + c; }
    static inline float smoothmax_fused_f32(float a, float b, float c) { return a*b + c; }
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
    double product_error_f64 "smoothmax_product_error_f64"(double a, double b, double p)
    float product_error_f32 "smoothmax_product_error_f32"(float a, float b, float p)
    double multiplied_f64 "smoothmax_multiplied_f64"(double a, double b, double low)
    float multiplied_f32 "smoothmax_multiplied_f32"(float a, float b, float low)
    double probability_f64 "smoothmax_probability_f64"(double e, double inverse, double low)
    double fused_f64 "smoothmax_fused_f64"(double a, double b, double c)
    float fused_f32 "smoothmax_fused_f32"(float a, float b, float c)
    double left_of_f64 "smoothmax_left_of_f64"(double a, double low, double b, double taken)
    float left_of_f32 "smoothmax_left_of_f32"(float a, float low, float b, float taken)
    const double INFINITY
    const double NAN


cdef inline real product_error(real a, real b, real p) noexcept nogil:
    """What rounding took from p = a*b."""
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
    """e*(inverse + inverse_low), an exponential over the sum."""
    if real is float:
        return multiplied_f32(e, inverse, inverse_low)
    else:
        return probability_f64(e, inverse, inverse_low)


cdef inline real fused(real a, real b, real c) noexcept nogil:
    """a*b + c, rounded once where that is one instruction."""
    if real is float:
        return fused_f32(a, b, c)
    else:
        return fused_f64(a, b, c)


cdef inline real left_of(real a, real low, real b, real taken) noexcept nogil:
    """(a + low)*b - taken, to the last bits of its own."""
    if real is float:
        return left_of_f32(a, low, b, taken)
    else:
        return left_of_f64(a, low, b, taken)


cdef inline real sum_in_two(real a, real b, real *error) noexcept nogil:
    """a + b rounded, and what rounding lost (Knuth, TAOCP 2, 4.2.2)."""
    cdef real total = a + b
    cdef real b_seen = total - a
    error[0] = (a - (total - b_seen)) + (b - b_seen)
    return total


cdef inline double two_sum(double a, double b, double *error) noexcept nogil:
    return sum_in_two(a, b, error)


cdef inline real magnitude(real x) noexcept nogil:
    return -x if x < 0 else x


# Bits ----------------------------------------------------------------------------------------------------------------

cdef inline real power_of_low_bits(real z) noexcept nogil:
    """The power of two whose biased exponent stands in the low bits of z's significand."""
    cdef uint32_t u32
    cdef uint64_t u64
    cdef real power
    if real is float:
        memcpy(&u32, &z, 4)
        u32 <<= 23
        memcpy(&power, &u32, 4)
    else:
        memcpy(&u64, &z, 8)
        u64 <<= 52
        memcpy(&power, &u64, 8)
    return power


cdef inline double power_of_two(double k) noexcept nogil:
    """For an integer of the exponents of normal numbers."""
    return power_of_low_bits(k + (6755399441055744.0 + 1023))


# The shift -----------------------------------------------------------------------------------------------------------
#
# Where x - top is not taken in two parts, exp(x - top) is computed as exp(x - c) 2**-N with c such that x - c is exact
# for every x that counts, and N the integer nearest to (top - c)/log(2), which rides in the exponent and rounds
# nothing. So the error of exp is the error of the term, and none comes from |x - top|.
#
# c = 0 while |top| <= NEAR. Beyond, c is the multiple of GRID nearest to top. Elements that count lie in
# [top - VANISH, top], VANISH = 745.2 (float: 104), where |x| >= NEAR - VANISH = 754 (116) and
# |x - c| <= GRID/2 + VANISH = 1002 (120): less than 2**10 (2**7), so x - c is a multiple of ulp(x) with no more than 53
# (24) bits. From HUGE on, multiples of GRID are coarser than ulp(top) is fine, and c = top; infinities too.
# A coarse grid because two states with the same c merge by a power of two: 2026-11, c = top beyond NEAR was tried, and
# a slowly rising row at offset 2000 then lost half a bit at every block.
#
# Columns take c and N from a guess that their top may be 60 (880) exponents above, see has_room: x - c is in
# [-1003, 866] ([-121, 58]) beyond NEAR, and still exact.
#
# With |x - c| <= NEAR + LIMIT log(2), and 2**OFFSET more of it for weights, n has at most 13 (10) bits and ln2_high no
# more than 39 (14), so n*ln2_high is exact.

cdef inline real shift_of(real top) noexcept nogil:
    cdef real size = magnitude(top)
    cdef real near, huge, grid, c
    if real is float:
        near, huge, grid = 220.0, 134217728.0, 32.0
    else:
        near, huge, grid = 1500.0, 1152921504606846976.0, 512.0
    c = nearest_integer(top*(<real>1/grid))*grid
    c = c if size > near else 0
    return c if size < huge else top


cdef inline real nearest_integer(real x) noexcept nogil:
    """For abs(x) < 2**51 (2**22); the compiler may not reassociate it away."""
    if real is float:
        return (x + <float>12582912.0) - <float>12582912.0
    else:
        return (x + 6755399441055744.0) - 6755399441055744.0


cdef inline real exponent_of(real remainder) noexcept nogil:
    """N for top - c = remainder; the same wherever it is computed, also where the product has another use."""
    if real is float:
        return fused(remainder, <float>1.4426950408889634, <float>12582912.0) - <float>12582912.0
    else:
        return fused(remainder, 1.4426950408889634, 6755399441055744.0) - 6755399441055744.0


cdef inline real remainder_of(real top, real shift) noexcept nogil:
    """top - c, which is 0 where both are the same infinity."""
    return 0 if top == shift else top - shift


cdef inline real magic_of(real exponent) noexcept nogil:
    """What split_exp adds so that the exponent of its result stands in the low bits: 1.5 2**52 + bias + OFFSET - N."""
    if real is float:
        return <float>(12582912.0 + 127 + 64) - exponent
    else:
        return (6755399441055744.0 + 1023 + 512) - exponent


cdef inline real floor_of(real exponent) noexcept nogil:
    """The argument at and below which the scale's bits are all zero: (N - LIMIT) log(2), LIMIT = bias + OFFSET."""
    if real is float:
        return (exponent - <float>191)*<float>0.6931471805599453
    else:
        return (exponent - 1535)*0.6931471805599453


# exp -----------------------------------------------------------------------------------------------------------------

cdef inline void split_exp(real d, real magic, real *head, real *tail, real *scale) noexcept nogil:
    """(head + tail)*scale = exp(d) 2**(OFFSET - N), scale a power of two, abs(tail) < 0.07; OFFSET is 512 (float: 64).

    exp(d) = 2**n exp(r), n = round(d/log(2)), r = d - n log(2) in two constants, the first product exact;
    exp(r) = 1 + r + r*r*exp_tail(r). head is 1 + d - n*ln2_high rounded; tail has what that lost, the other constant
    and the polynomial. OFFSET keeps every term that counts in the normal range until the last multiplication.
    """
    cdef real z = fused(d, <real>1.4426950408889634, magic)
    cdef real n = z - magic
    cdef real exact = fused(-n, ln2_high(d), d)
    cdef real r = fused(-n, ln2_low(d), exact)
    cdef real one = <real>1 + exact
    head[0] = one
    tail[0] = fused(r*r, exp_tail(r), fused(-n, ln2_low(d), (<real>1 - one) + exact))
    scale[0] = power_of_low_bits(z)


cdef inline void split_exp_of_two(real d, real d_low, real magic, real *head, real *tail, real *scale) noexcept nogil:
    """split_exp of d + d_low, d_low an error of rounding d."""
    cdef real z = fused(d, <real>1.4426950408889634, magic)
    cdef real n = z - magic
    cdef real exact = fused(-n, ln2_high(d), d)
    cdef real low = fused(-n, ln2_low(d), d_low)
    cdef real r = exact + low
    cdef real one = <real>1 + exact
    head[0] = one
    tail[0] = fused(r*r, exp_tail(r), ((<real>1 - one) + exact) + low)
    scale[0] = power_of_low_bits(z)


cdef inline void rounded_exp(real d, real magic, real *head, real *scale) noexcept nogil:
    """head*scale = exp(d) 2**(OFFSET - N) within 0.6 ULP: split_exp without a tail, at five operations less.

    1 + r*(1 + r*exp_tail(r)): what the bracket and r lose is a quarter of an ULP of it, and less near 1.
    """
    cdef real z = fused(d, <real>1.4426950408889634, magic)
    cdef real n = z - magic
    cdef real r = fused(-n, ln2_low(d), fused(-n, ln2_high(d), d))
    head[0] = fused(r, fused(r, exp_tail(r), <real>1), <real>1)
    scale[0] = power_of_low_bits(z)


cdef inline real scaled_exp(real d, real magic) noexcept nogil:
    """exp(d) 2**(OFFSET - N), rounded once."""
    cdef real head, tail, scale
    split_exp(d, magic, &head, &tail, &scale)
    return (head + tail)*scale


# log -----------------------------------------------------------------------------------------------------------------

cdef inline void normalise(real total, real *down, real *k) noexcept nogil:
    """total*down in [sqrt(1/2), sqrt(2)], down = 2**-k."""
    cdef uint32_t u32, k32
    cdef uint64_t u64, k64
    if real is float:
        memcpy(&u32, &total, 4)
        k32 = (u32 + <uint32_t>0x004AFB0D) >> 23                # + 1 - sqrt(1/2): the biased k
        u32 = (254 - k32) << 23
        memcpy(down, &u32, 4)
        k32 |= <uint32_t>0x4B000000                             # 2**23 + k
        memcpy(k, &k32, 4)
        k[0] -= <float>(8388608.0 + 127)
    else:
        memcpy(&u64, &total, 8)
        k64 = (u64 + <uint64_t>0x00095F619980C433) >> 52
        u64 = (2046 - k64) << 52
        memcpy(down, &u64, 8)
        k64 |= <uint64_t>0x4330000000000000                     # 2**52 + k
        memcpy(k, &k64, 8)
        k[0] -= 4503599627370496.0 + 1023


cdef inline real split_log(real count, real q, real q_low, real exponent, real *low) noexcept nogil:
    """log((count + q + q_low) 2**exponent) and what rounding lost, 0.1 ULP together, also near log(1).

    count + q = 2**k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)]; s = f/(2 + f);
    log(1 + f) = 2 atanh(s) = f - (f*f/2 - s*(f*f/2 + z*atanh_tail(z))), z = s*s, as in fdlibm's e_log.c.
    Of what is not positive and finite it gives a finite number without meaning.
    """
    cdef real down, k, f, f_low, s, z, half_square, log_f, tail, result, error
    normalise(count + q, &down, &k)
    k += exponent
    f = sum_in_two(count*down - 1, q*down, &f_low)
    f_low += q_low*down
    s = f/(<real>2 + f)
    z = s*s
    half_square = f*(<real>0.5*f)
    log_f = f - half_square
    tail = ((f - log_f) - half_square) - product_error(f, <real>0.5*f, half_square)
    tail += s*(half_square + z*atanh_tail(z)) + f_low*(<real>1 - f + f*f)
    result = k*ln2_high(k) + log_f
    error = log_f - (result - k*ln2_high(k))
    tail += error + k*ln2_low(k)
    low[0] = tail - ((result + tail) - result)
    return result + tail


cdef inline double plain_log(double count, double q) noexcept nogil:
    """log(count + q), also near log(1): split_log with an error of some 2**-37, for floats."""
    cdef double down, k, f, s, z, half_square
    normalise(count + q, &down, &k)
    f = (count*down - 1) + q*down
    s = f/(2 + f)
    z = s*s
    half_square = f*(0.5*f)
    return k*0.6931471805599453 + (f - (half_square - s*(half_square + z*short_atanh_tail(z))))
