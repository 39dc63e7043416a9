# log of a sum that may be near 1.
#
#     count + q = 2**k (1 + f),   1 + f in [sqrt(1/2), sqrt(2)],   s = f/(2 + f),   z = s*s
#     log(1 + f) = 2 atanh(s) = f - (f*f/2 - s*(f*f/2 + z*atanh_tail(z)))
#
# 1. normalise finds k and 2**-k from the bits.
# 2. f = (count 2**-k - 1) + q 2**-k keeps its rounding error: if count is 1 and q small, the logarithm is about q.
# 3. The series is the one of fdlibm's e_log.c; its polynomial is in coefficients.pxi.
# 4. k log(2) is added in two parts.
#
# Error: split_log within 0.1 ULP in its two parts together; short_log within 2**-37, enough for a float.

cdef inline void normalise(real total, real *down, real *k) noexcept nogil:
    """total*down is in [sqrt(1/2), sqrt(2)], down = 2**-k."""
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


cdef inline real log_in_two(real k, real f, real f_low, real *low) noexcept nogil:
    """Return k log(2) + log(1 + f + f_low), and in `low` the rounding error."""
    cdef real s = f/(<real>2 + f), z = s*s, half_square = f*(<real>0.5*f), log_f = f - half_square, tail, result, error
    tail = ((f - log_f) - half_square) - product_error(f, <real>0.5*f, half_square)
    tail += multiply_add(s, half_square + z*atanh_tail(z), f_low*(<real>1 - f + f*f))
    result = k*ln2_high(k) + log_f
    error = log_f - (result - k*ln2_high(k))
    tail += error + k*ln2_low(k)
    low[0] = tail - ((result + tail) - result)
    return result + tail


cdef inline real split_log(real count, real q, real q_low, real exponent, real *low) noexcept nogil:
    """Return log((count + q + q_low) 2**exponent), and in `low` the rounding error.

    An argument that is not positive and finite gives a meaningless finite number.
    """
    cdef real down, k, f, f_low
    normalise(count + q, &down, &k)
    f = sum_in_two(count*down - 1, q*down, &f_low)
    return log_in_two(k + exponent, f, f_low + q_low*down, low)


cdef inline double short_log(double count, double q) noexcept nogil:
    """log(count + q) for a result that is rounded to float."""
    cdef double down, k, f, s, z, half, series
    normalise(count + q, &down, &k)
    f = (count*down - 1) + q*down
    s = f/(2 + f)
    z = s*s
    half = 0.5*f
    series = s*multiply_add(f, half, z*short_atanh_tail(z))
    return k*0.6931471805599453 + (f - multiply_add(f, half, -series))
