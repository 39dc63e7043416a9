# log1mexp
#
#     log1mexp(x) = log(1 - exp(x)),   x <= 0
#
# Error: 1.5 ULP.
# Worst inputs: 0.72 ULP at -707.4142387416838; of all float32 0.80 ULP at -86.29524993896484. Both results are just
# normal.
#
#     exp(x) = 2**n (1 + p),   p = r + r*r*exp_tail(r)                            as in math/exp.pxi
#     1 - exp(x) = (1 - 2**n) - 2**n p       for n = 0 and -1: the first difference is exact, and p has all digits of x
#     1 - exp(x) = 1 - 2**n (1 + p)          for smaller n: the logarithm keeps all digits of the exponential
#
# Both are a count minus a product in two parts, as split_log takes them.

cdef inline real log_one_minus_exp(real d, real d_low) noexcept nogil:
    """log(1 - exp(d + d_low)) within 0.9 ULP, for underflow_of(0) <= d < 0; -0. where the exponential is 0."""
    cdef real round_bias = round_bias_of(<real>0)
    cdef real z = multiply_add(d, <real>1.4426950408889634, round_bias), n = z - round_bias
    cdef real exact = multiply_add(-n, ln2_high(d), d), low = multiply_add(-n, ln2_low(d), d_low)
    cdef real r = exact + low, scale = power_of_low_bits(z)
    cdef bint near = n > <real>-1.5
    cdef real one = 0 if near else 1, count = scaled_one(d) - (scale if near else 0)
    cdef real head = one + exact
    cdef real tail = multiply_add(r*r, exp_tail(r), ((one - head) + exact) + low)
    cdef real e = multiply_add(tail, scale, head*scale)
    return -magnitude(split_log(count, -e, -multiply_add(tail, scale, head*scale - e), -offset(d), &low))


cdef inline real log1mexp_of(real x) noexcept nogil:
    cdef real y = log_one_minus_exp(at_least(x, underflow_of(<real>0)), <real>0)
    y = <real>-INFINITY if x == 0 else y
    return <real>NAN if x > 0 else y
