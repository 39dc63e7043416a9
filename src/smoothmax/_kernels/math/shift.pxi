# The shift is subtracted from every element. It is chosen such that the error of exp does not grow with x - maximum.
#
# Libraries compute exp(x - m), where m is the maximum. Rounding x - m costs abs(x - m)/2 ULP of the result. Here
#
#     exp(x - m) = exp(x - c) 2**-N * constant,      N = the integer nearest to (m - c)/log(2),
#
# with a shift c for which x - c is exact for every x that counts. N is taken from the exponent and rounds nothing. So
# the only error is that of exp itself. The constant is the same for all elements and cancels in the quotient: sums and
# exponentials are scaled alike, and p is the kernels' own value of exp(m), near 1 (times 2**OFFSET, see math/exp.pxi).
#
# c = 0 while abs(m) <= NEAR = 1500 (float: 220). Beyond, c is the multiple of GRID = 512 (32) nearest to m.
#
# Why x - c is exact: elements count only if they lie in [m - VANISH, m], VANISH = 745.2 (104), because the exponential
# of any other is 0 in the result. There abs(x) >= NEAR - VANISH = 754 (116) and abs(x - c) <= GRID/2 + VANISH
# = 1002 (120) < 2**10 (2**7), so x - c is a multiple of ulp(x) and has at most 53 (24) bits.
#
# From HUGE = 2**60 (2**27) on, ulp(m) is GRID/2 or more, so c = m is as coarse a grid. The same holds for infinities.
#
# The grid is coarse so that neighbouring blocks mostly have the same c. Moving a sum from one maximum to another is
# then a multiplication by a power of two, which is exact.
#
# Some columns take c and N from a guess and allow their maximum to lie 880 (float: 60) exponents above it (see
# has_headroom): then x - c is in [-1003, 866] ([-121, 58]) beyond NEAR, and still exact.
#
# n log(2), the part of the argument that exp turns into an exponent, is exact in its first part: with abs(x - c) <=
# NEAR + LIMIT log(2), and 2**OFFSET more of it for weights, n has at most 13 (10) bits, and ln2_high at most 39 (14).
#
# Each lane or row has three numbers: the shift c; round_bias, the constant that rounds an argument to an integer and
# puts N into the exponent; and underflow_below, the argument at and below which the exponential is 0. (Cython has no
# structs of a type that depends on float or double, so they are three parameters.)

cdef inline bint is_near(real maximum) noexcept nogil:
    """Whether abs(m) <= NEAR, so that c is 0; not if it is nan."""
    if real is float:
        return magnitude(maximum) <= <float>220
    else:
        return magnitude(maximum) <= 1500


cdef inline real shift_of(real maximum) noexcept nogil:
    """c for a maximum."""
    cdef real size = magnitude(maximum)
    cdef real huge, grid, c
    if real is float:
        huge, grid = 134217728.0, 32.0
    else:
        huge, grid = 1152921504606846976.0, 512.0
    c = nearest_integer(maximum*(<real>1/grid))*grid
    c = 0 if is_near(maximum) else c
    return c if size < huge else maximum


cdef inline real remainder_of(real maximum, real shift) noexcept nogil:
    """maximum - shift, which is 0 where both are the same infinity."""
    return 0 if maximum == shift else maximum - shift


cdef inline real exponent_of(real remainder) noexcept nogil:
    """N for maximum - shift = remainder. Fused explicitly, so that it is the same wherever it is computed."""
    if real is float:
        return multiply_add(remainder, <float>1.4426950408889634, <float>12582912.0) - <float>12582912.0
    else:
        return multiply_add(remainder, 1.4426950408889634, 6755399441055744.0) - 6755399441055744.0


cdef inline real round_bias_of(real exponent) noexcept nogil:
    """The number that split_exp adds to round an argument: 1.5 2**52 (float: 1.5 2**23) + bias + OFFSET - N.

    The sum's low bits are then the biased exponent of the result.
    """
    if real is float:
        return <float>(12582912.0 + 127 + 64) - exponent
    else:
        return (6755399441055744.0 + 1023 + 512) - exponent


cdef inline real underflow_of(real exponent) noexcept nogil:
    """The argument at and below which all bits of the scale are 0: (N - LIMIT) log(2), LIMIT = bias + OFFSET."""
    if real is float:
        return (exponent - <float>191)*<float>0.6931471805599453
    else:
        return (exponent - 1535)*0.6931471805599453


cdef inline real finite_reference(real maximum) noexcept nogil:
    """The maximum, or 0 while all elements are -inf.

    -inf - -inf would make the sum nan, but later elements may give it a value.
    """
    return 0 if maximum == -INFINITY else maximum


cdef inline void lowered_shifts_of(real maximum, real by, real *shift, real *round_bias,
                                   real *underflow_below) noexcept nogil:
    """shifts_of for exponentials that are smaller by 2**-by."""
    cdef real exponent
    shift[0] = shift_of(maximum)
    exponent = exponent_of(remainder_of(maximum, shift[0])) + by
    round_bias[0] = round_bias_of(exponent)
    underflow_below[0] = underflow_of(exponent)


cdef inline void shifts_of(real maximum, real *shift, real *round_bias, real *underflow_below) noexcept nogil:
    lowered_shifts_of(maximum, <real>0, shift, round_bias, underflow_below)


cdef inline real headroom(real _) noexcept nogil:
    """By how many exponents the exponentials are lowered where elements may lie above the guessed maximum.

    A larger headroom would lose sums that show in results, such as 2**33 elements that lie 768 (float: 126) below the
    maximum. With 40 for float, 500 elements at -105 beside one at 0 were lost.
    """
    return <real>8 if real is float else <real>400


cdef inline bint has_headroom(real maximum, real shift, real round_bias) noexcept nogil:
    """Whether shifts lowered by the headroom suit a column with this maximum.

    The maximum must be finite and at most 880 (float: 60) exponents above the guess. Then its exponential is less than
    2**992.5 (2**116.5), and 2**31 (2**11) of them do not overflow. It may lie one exponent below the guess, because 0
    takes the place of a guess that is not finite; nothing within VANISH of the maximum is lost then. fma is called
    explicitly, because two places ask and must get the same answer.
    """
    cdef real n = multiply_add(maximum - shift, <real>1.4426950408889634, round_bias - round_bias_of(headroom(maximum)))
    cdef real most = <real>60 if real is float else <real>880
    return (n >= -1) & (n <= most)


cdef inline double power_to_state(real maximum, real shift, real round_bias) noexcept nogil:
    """The factor that brings a sum with headroom to the scale of shifts_of(maximum).

    It is 0 where the maximum is -inf, because the low bits of -inf are 0.
    """
    return power_of_two(<double>(round_bias_of(<real>0) - round_bias) - <double>exponent_of(maximum - shift))
