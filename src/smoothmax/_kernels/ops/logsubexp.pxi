# logsubexp
#
#     logsubexp(x1, x2) = log(exp(x1) - exp(x2)) = x1 + log(1 - exp(d)),   d = x2 - x1 <= 0
#
# Error: 1.5 ULP; where x1 and the logarithm cancel, in ULP of the larger of the two.
# Worst inputs: 1.31 ULP at (0.06581352648739991, -0.22762198902674227), float32 1.26 at (0.021612361, -1.0158125).
#
# d is taken in two parts, as in logaddexp. Where the operands are close to each other, the logarithm is about log(-d),
# and all digits of d are exact.

cdef inline real split_logsubexp(real x1, real x2, real *count, real *e, real *e_low) noexcept nogil:
    """Return m; logsubexp(x1, x2) = m + log((count - e - e_low) 2**-OFFSET)."""
    cdef real d, d_low, none = <real>-INFINITY if x1 < <real>INFINITY else <real>NAN
    cdef bint equal = x1 == x2
    difference_in_two(x2, x1, underflow_of(<real>0), WITH_MAXIMUM, &d, &d_low)
    d = 0 if equal else d                   # two infinities have no difference
    d_low = 0 if equal else d_low
    one_minus_exp(d, d_low, x2 - x1 <= -1, count, e, e_low)
    none = none if equal else x1
    return <real>NAN if x2 > x1 else none
