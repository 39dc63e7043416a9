# log1pexp, the softplus
#
#     log1pexp(x) = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-abs(x)))
#
# Error: 1.5 ULP. Both terms are positive, so the error of the sum is at most theirs plus half an ULP.
# Worst inputs: 0.88 ULP at 5.6746054363700577e-08, float32 0.99 ULP at 0.32704225.
#
# 1. Compute exp(-abs(x)) in two parts, scaled by 2**OFFSET as in a sum, so that subnormal results are rounded once.
# 2. Take the logarithm of a count of 1 and these parts. Where e is small, log(1 + e) is e without losing a digit.

cdef inline real log_one_plus_exp(real d, real d_low) noexcept nogil:
    """log(1 + exp(d + d_low)) within 0.9 ULP, for underflow_of(0) <= d <= 0."""
    cdef real head, tail, scale, e, k, down, f, f_low, low
    split_exp_of_two(d, d_low, round_bias_of(<real>0), &head, &tail, &scale)
    e = multiply_add(tail, scale, head*scale)
    k = one_if(e > <real>0.41421356*scaled_one(d), d)
    down = without_offset(<real>1 - <real>0.5*k)
    f = e*down - <real>0.5*k
    f_low = (e*down - (f + <real>0.5*k)) + multiply_add(tail, scale, head*scale - e)*down
    return log_in_two(k, f, f_low, &low)


cdef inline real log1pexp_of(real x) noexcept nogil:
    return at_least(x, <real>0) + log_one_plus_exp(at_least(-magnitude(x), underflow_of(<real>0)), <real>0)
