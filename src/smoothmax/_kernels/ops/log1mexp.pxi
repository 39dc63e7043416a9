# log1mexp
#
#     log1mexp(x) = log(1 - exp(x)),   x <= 0
#
# Error: 1.5 ULP.
# Worst inputs: 0.77 ULP at -1.0288595397298328; of all float32 0.80 ULP at -86.29524993896484, whose result is just
# normal.
#
#     exp(x) = 2**n (1 + p),   p = r + r*r*exp_tail(r)                            as in math/exp.pxi
#     1 - exp(x) = (1 - 2**n) - 2**n p       near 0: the first difference is exact, and p has all digits of x
#     1 - exp(x) = 1 - 2**n (1 + p)          elsewhere: the logarithm keeps all digits of the exponential
#
# Both are a count minus a number e in two parts, scaled by 2**OFFSET, and
#
#     count - e = 2**k (1 + f),   1 + f in [sqrt(1/2), sqrt(2)],   log(1 + f) = 2 atanh(s),   s = f/(2 + f)
#
# where s is corrected as in log1pexp. Its line, here for abs(s) < 0.172, is within 2 % of 1/(1 + s).
#
# `far` is asked of x itself. Asked of n, GCC would compute both cases once more for the elements that vanish.

cdef inline void one_minus_exp(real d, real d_low, bint far, real *count, real *e, real *e_low) noexcept nogil:
    """(count - e - e_low) 2**-OFFSET = 1 - exp(d + d_low), e rounded, for underflow_of(0) <= d <= 0; far: d <= -1."""
    cdef real round_bias = round_bias_of(<real>0)
    cdef real z = multiply_add(d, <real>1.4426950408889634, round_bias), n = z - round_bias
    cdef real exact = multiply_add(-n, ln2_high(d), d), low = multiply_add(-n, ln2_low(d), d_low)
    cdef real r = exact + low, scale = power_of_low_bits(z)
    cdef real one = 1 if far else 0
    cdef real head = one + exact
    cdef real tail = multiply_add(r*r, exp_tail(r), ((one - head) + exact) + low)
    count[0] = scaled_one(d) - (0 if far else scale)
    e[0] = multiply_add(tail, scale, head*scale)
    e_low[0] = multiply_add(tail, scale, head*scale - e[0])


cdef inline real log_of_rest(real count, real e, real e_low) noexcept nogil:
    """log((count - e - e_low) 2**-OFFSET) within 0.7 ULP, for numbers of one_minus_exp; finite if it is log(0)."""
    cdef real down, k, f, f_low, s, z, twice, left, high, error
    normalise(count - e, &down, &k)
    k -= offset(e)
    # The first term is the larger: 1; or 0, and the sum is exact; or -1, where n is 0, and the sum is exact, too.
    f = sum_with_smaller(multiply_add(count, down, <real>-1), -e*down, &f_low)
    f_low = multiply_add(-e_low, down, f_low)
    s = f/(<real>2 + f)
    z = s*s
    twice = s + s
    left = multiply_add(f_low, <real>1 - s, -product_error(s, f, f - twice))
    high = multiply_add(k, ln2_high(k), twice)
    error = multiply_add(k, ln2_low(k), twice - multiply_add(-k, ln2_high(k), high))
    return high + (multiply_add(s*z, atanh_tail(z), left*multiply_add(s, <real>-1.03, <real>1.015)) + error)


cdef inline real split_log1mexp(real x, real *count, real *e, real *e_low) noexcept nogil:
    """Return m; log1mexp(x) = m + log((count - e - e_low) 2**-OFFSET)."""
    cdef real m = <real>-INFINITY if x == 0 else <real>-0.0
    one_minus_exp(at_least(x, underflow_of(<real>0)), <real>0, x <= -1, count, e, e_low)
    return <real>NAN if x > 0 else m
