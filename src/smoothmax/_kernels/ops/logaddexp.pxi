# logaddexp
#
#     logaddexp(x1, x2) = log(exp(x1) + exp(x2)) = m + log(1 + exp(d)),   m the larger of the two, d = -abs(x1 - x2)
#
# Error: 1.5 ULP; where m and the logarithm cancel, in ULP of the larger of the two.
# Worst inputs: 1.17 ULP at (0.005977086882987237, -3.795736215695427), float32 1.19 at (0.05563102, -1.6458943).
#
# d is taken in two parts: rounding it would cost abs(d)/2 ULP of the exponential, which alone makes the result where m
# is 0. The logarithm is rounded before m is added, because it is never larger than both m and the result.

cdef inline real split_logaddexp(real x1, real x2, real *e, real *e_low) noexcept nogil:
    """Return m; logaddexp(x1, x2) = m + log(1 + e + e_low)."""
    cdef real most = x1 if x1 > x2 else x2, least = x2 if x1 > x2 else x1     # if either is nan, so is one of them
    cdef real d, d_low
    cdef bint equal = x1 == x2
    difference_in_two(least, most, underflow_of(<real>0), WITH_MAXIMUM, &d, &d_low)
    d = 0 if equal else d                   # two infinities have no difference
    d_low = 0 if equal else d_low
    exp_below_one(d, d_low, e, e_low)
    return most
