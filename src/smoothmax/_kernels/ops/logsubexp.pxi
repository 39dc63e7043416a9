# logsubexp
#
#     logsubexp(x1, x2) = log(exp(x1) - exp(x2)) = x1 + log(1 - exp(d)),   d = x2 - x1 <= 0
#
# Error: 1.5 ULP; where x1 and the logarithm cancel, in ULP of the larger of the two.
# Worst inputs: 1.06 ULP at (7.40825857457915e-05, -0.3153356852467968), float32 1.01 at (-1.3671848, -1.4979515).
#
# d is taken in two parts, as in logaddexp. Where the operands are close to each other, the logarithm is about log(-d),
# and all digits of d are exact.

cdef inline real logsubexp_of(real x1, real x2) noexcept nogil:
    cdef real d, d_low, y, none
    difference_in_two(x2, x1, underflow_of(<real>0), WITH_MAXIMUM, &d, &d_low)
    y = x1 + log_one_minus_exp(d, d_low)
    none = <real>-INFINITY if x1 < <real>INFINITY else <real>NAN
    y = none if x1 == x2 else y
    return <real>NAN if x2 > x1 else y
