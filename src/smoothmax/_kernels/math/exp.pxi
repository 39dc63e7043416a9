# exp, in the three precisions in which a sum needs its terms.
#
#     exp(d) = 2**n exp(r),   n = round(d/log(2)),   r = d - n log(2)            reduction, log(2) in two constants
#     exp(r) = 1 + r + r*r*exp_tail(r)                                            polynomial of coefficients.pxi
#     exp(d) 2**(OFFSET - N) = (head + tail)*scale,   scale a power of two        N: see math/shift.pxi
#
# 1. z = d/log(2) + round_bias rounds to n, and the low bits of z are the biased exponent of the scale.
# 2. d - n*ln2_high is exact, because n*ln2_high has no more than 53 (24) bits.
# 3. head = 1 + (d - n*ln2_high), rounded; tail holds its rounding error, n*ln2_low and the polynomial.
# 4. scale is made of the low bits of z by a shift.
#
# OFFSET = 512 (float: 64) keeps every term that counts in the normal range until the last multiplication.
#
# Error: (head + tail)*scale is within 0.3 u of exp, relative, u = 2**-53 (float: 2**-24). Do not use head*scale without
# the tail. rounded_exp is within 0.9 ULP. tools/exp_error.py measures both, and tests/test_exp.py holds softmax of all
# 2**32 float32 arguments to its bound.

cdef enum Terms:            # how an exponential goes into a sum:
    ROUNDED                 # within 0.9 ULP, which costs a sixth less (P18);
    EXACT                   # rounded, with the rounding error; or
    IN_TWO_PARTS            # in two parts, the second up to 9 % of it; no term can be taken out of such a sum


cdef enum Inclusion:        # whether the maximum's own exponential is in a sum:
    WITHOUT_MAXIMUM         # no: the elements that equal the maximum are counted instead
    WITH_MAXIMUM


cdef inline real scaled_one(real _) noexcept nogil:
    """2**OFFSET. Scaled exponentials are less than twice this: exp is at most 1, or at most 1.42 with a shift."""
    if real is float:
        return <float>1.8446744073709552e+19
    else:
        return 1.3407807929942597e+154


cdef inline real offset(real _) noexcept nogil:
    return <real>64 if real is float else <real>512


cdef inline real without_offset(real scaled) noexcept nogil:
    """An exponential without the factor 2**OFFSET."""
    if real is float:
        return scaled*<float>5.421010862427522e-20      # 2**-OFFSET
    else:
        return scaled*7.458340731200207e-155


cdef inline void split_exp(real d, real round_bias, real *head, real *tail, real *scale) noexcept nogil:
    """(head + tail)*scale = exp(d) 2**(OFFSET - N), scale a power of two, abs(tail) < 0.08."""
    cdef real z = multiply_add(d, <real>1.4426950408889634, round_bias)
    cdef real n = z - round_bias
    cdef real exact = multiply_add(-n, ln2_high(d), d)
    cdef real r = multiply_add(-n, ln2_low(d), exact)
    cdef real one = <real>1 + exact
    head[0] = one
    tail[0] = multiply_add(r*r, exp_tail(r), multiply_add(-n, ln2_low(d), (<real>1 - one) + exact))
    scale[0] = power_of_low_bits(z)


cdef inline void split_exp_of_two(real d, real d_low, real round_bias, real *head, real *tail,
                                  real *scale) noexcept nogil:
    """split_exp of d + d_low, where d_low is the rounding error of d."""
    cdef real z = multiply_add(d, <real>1.4426950408889634, round_bias)
    cdef real n = z - round_bias
    cdef real exact = multiply_add(-n, ln2_high(d), d)
    cdef real low = multiply_add(-n, ln2_low(d), d_low)
    cdef real r = exact + low
    cdef real one = <real>1 + exact
    head[0] = one
    tail[0] = multiply_add(r*r, exp_tail(r), ((<real>1 - one) + exact) + low)
    scale[0] = power_of_low_bits(z)


cdef inline void rounded_exp(real d, real round_bias, real *head, real *scale) noexcept nogil:
    """head*scale = exp(d) 2**(OFFSET - N) within 0.9 ULP, five operations fewer than split_exp.

    It is 1 + r*(1 + r*exp_tail(r)). The last rounding costs half an ULP. Rounding r and the bracket
    costs the rest.
    """
    cdef real z = multiply_add(d, <real>1.4426950408889634, round_bias)
    cdef real n = z - round_bias
    cdef real r = multiply_add(-n, ln2_low(d), multiply_add(-n, ln2_high(d), d))
    head[0] = multiply_add(r, multiply_add(r, exp_tail(r), <real>1), <real>1)
    scale[0] = power_of_low_bits(z)


cdef inline real scaled_exp(real d, real round_bias) noexcept nogil:
    """exp(d) 2**(OFFSET - N), rounded once."""
    cdef real head, tail, scale
    split_exp(d, round_bias, &head, &tail, &scale)
    return (head + tail)*scale


cdef inline void take_term(real d, real round_bias, Terms terms, real *e, real *taken, real *lost) noexcept nogil:
    """exp(d): e is the rounded exponential; taken + lost is added to the sum.

    (head + tail)*scale would be the same number as e wherever its digits count, but would need one more register, and
    softmax has none left (P29).
    """
    cdef real head, tail, scale, high
    if terms == ROUNDED:
        rounded_exp(d, round_bias, &head, &scale)
        e[0] = taken[0] = head*scale
        lost[0] = 0
        return
    split_exp(d, round_bias, &head, &tail, &scale)
    high = head*scale
    e[0] = multiply_add(tail, scale, high)
    if terms == EXACT:
        taken[0] = e[0]
        lost[0] = multiply_add(tail, scale, high - e[0])
    else:
        taken[0] = high
        lost[0] = tail*scale


cdef inline void exp_in_two(real d, real round_bias, double *high, double *low) noexcept nogil:
    """high + low = exp(d) 2**(OFFSET - N), where high is the sum rounded."""
    cdef real e, taken, lost
    take_term(d, round_bias, EXACT, &e, &taken, &lost)
    high[0], low[0] = taken, lost


cdef inline void exp_of_maximum(real maximum, double *p, double *p_low) noexcept nogil:
    """p + p_low = exp(maximum) as split_exp scales it for the elements of a row: 2**OFFSET times 0.7 to 1.42."""
    cdef real remainder = remainder_of(maximum, shift_of(maximum))
    exp_in_two(remainder, round_bias_of(exponent_of(remainder)), p, p_low)


cdef inline void scaled_exp_of_maximum(real maximum, Scaling scaling, double *p, double *p_low) noexcept nogil:
    """p + p_low for a state of this scaling: exp_of_maximum, or 2**OFFSET where the sums are of exp(x - maximum)."""
    if scaling == FROM_MAXIMUM:
        p[0], p_low[0] = scaled_one(maximum), 0
    else:
        exp_of_maximum(maximum, p, p_low)


cdef inline void difference_in_two(real v, real maximum, real underflow_below, Inclusion inclusion, real *d,
                                   real *low) noexcept nogil:
    """v - maximum rounded, and its rounding error.

    For elements that vanish, and WITHOUT_MAXIMUM for the maximum itself, it is underflow_below, where exp is 0.
    """
    cdef real rounded = v - maximum, seen = rounded - v, lost = (v - (rounded - seen)) - (maximum + seen)
    cdef bint vanishes = rounded < underflow_below
    if inclusion == WITHOUT_MAXIMUM:
        vanishes = (v == maximum) | vanishes
    d[0] = underflow_below if vanishes else rounded
    low[0] = 0 if vanishes else lost
