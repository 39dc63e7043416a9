# log1pexp, the softplus
#
#     log1pexp(x) = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-abs(x)))
#
# Error: 1.5 ULP. Both terms are positive, so the error of the sum is at most theirs plus half an ULP.
# Worst inputs: 1.10 ULP at 0.3472249049294656, of all float32 1.14 ULP at 0.30902281403541565.
#
# 1. Compute e = exp(-abs(x)) in two parts.
# 2. Take the logarithm without a reduction, because 1 + e is in [1, 2]:
#
#     s = e/(2 + e) <= 1/3,   z = s*s,   log(1 + e) = 2 atanh(s) = 2 s + s*z*wide_atanh_tail(z)
#
# 3. Rounding s loses left = e - s*(2 + e) = (e - 2 s) - s*e, where the first difference is exact. The logarithm lacks
#    left/(1 + s), which is at most 1.1 ULP of it. A line is within 1 % of 1/(1 + s).

cdef inline void exp_below_one(real d, real d_low, real *e, real *e_low) noexcept nogil:
    """e + e_low = exp(d + d_low), e rounded, for underflow_of(0) <= d <= 0; subnormal numbers are rounded once more."""
    cdef real head, tail, scale, total
    split_exp_of_two(d, d_low, round_bias_of(<real>0), &head, &tail, &scale)
    total = head + tail
    e[0] = without_offset(total*scale)
    e_low[0] = ((head - total) + tail)*without_offset(scale)


cdef inline real log_one_plus(real e, real e_low) noexcept nogil:
    """log(1 + e + e_low) within 0.7 ULP, for 0 <= e <= 1."""
    cdef real s = e/(<real>2 + e), z = s*s, twice = s + s
    cdef real left = multiply_add(e_low, <real>1 - s, -product_error(s, e, e - twice))
    return twice + multiply_add(s*z, wide_atanh_tail(z), left*multiply_add(s, <real>-0.75, <real>0.99))


cdef inline real split_log1pexp(real x, real *e, real *e_low) noexcept nogil:
    """Return m; log1pexp(x) = m + log(1 + e + e_low)."""
    exp_below_one(at_least(-magnitude(x), underflow_of(<real>0)), <real>0, e, e_low)
    return at_least(x, <real>0)
