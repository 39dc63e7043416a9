# Numbers made from bits: powers of two and the nearest integer, without a conversion or a branch.

cdef inline real power_of_low_bits(real z) noexcept nogil:
    """The power of two whose biased exponent is in the low bits of z's significand."""
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
    """2**k for an integer k that is the exponent of a normal number."""
    return power_of_low_bits(k + (6755399441055744.0 + 1023))


cdef inline real binade(real x) noexcept nogil:
    """The largest power of two that is not above x; 0 for subnormal numbers."""
    cdef uint32_t u32
    cdef uint64_t u64
    if real is float:
        memcpy(&u32, &x, 4)
        u32 &= <uint32_t>0x7F800000
        memcpy(&x, &u32, 4)
    else:
        memcpy(&u64, &x, 8)
        u64 &= <uint64_t>0x7FF0000000000000
        memcpy(&x, &u64, 8)
    return x


cdef inline real nearest_integer(real x) noexcept nogil:
    """The nearest integer, for abs(x) < 2**51 (float: 2**22). -ffast-math would cancel the constants."""
    if real is float:
        return (x + <float>12582912.0) - <float>12582912.0
    else:
        return (x + 6755399441055744.0) - 6755399441055744.0
