# Adding a term to a compensated sum: the steps that the loops over exponentials are made of.
#
# A sum is kept in two numbers, the total and a carry of what its additions round off (Dekker, Numerische Mathematik 18,
# 1971). If the larger operand is known, the error of an addition takes two operations. So a total begins from a bias
# that is larger than every term and is subtracted at the end, or the larger operand is found by a comparison. A carry
# of the elements' type has enough digits for CARRY_ROWS terms. Then it is added to another sum.

cdef enum Store:            # what becomes of exponentials that are summed:
    DISCARD
    STORE                   # they are written, rounded


cdef enum ShiftKind:        # what is known of the shifts in a loop:
    ANY_SHIFT
    ZERO_SHIFT              # all are 0, and need not be subtracted


cdef inline ShiftKind lowered_shifts_of_lanes(const real *maximum, Py_ssize_t width, real by, real *shift,
                                              real *round_bias, real *underflow_below) noexcept nogil:
    """lowered_shifts_of for each lane, in a third of its operations where no lane has a shift, as is usual."""
    cdef Py_ssize_t j
    cdef int near = 1
    cdef real exponent
    for j in range(width):
        near &= is_near(maximum[j])
    if near:
        for j in range(width):
            exponent = exponent_of(maximum[j]) + by
            shift[j] = 0
            round_bias[j] = round_bias_of(exponent)
            underflow_below[j] = underflow_of(exponent)
        return ZERO_SHIFT
    for j in range(width):
        lowered_shifts_of(maximum[j], by, &shift[j], &round_bias[j], &underflow_below[j])
    return ANY_SHIFT


cdef inline real argument(real v, ShiftKind kind, real shift, real underflow_below) noexcept nogil:
    """The argument of exp for element v."""
    return at_least(v if kind == ZERO_SHIFT else v - shift, underflow_below)


cdef inline real difference(real v, real maximum, real shift, real underflow_below) noexcept nogil:
    """The argument of exp for element v; underflow_below, where exp is 0, for the maximum itself (inf - inf is nan)."""
    cdef real d = v - shift
    return underflow_below if (v == maximum) | (d < underflow_below) else d


cdef inline real bias_for(real largest, real round_bias, real underflow_below) noexcept nogil:
    """A power of two of at least twice exp(largest) as split_exp scales it; 0 if that vanishes."""
    return 4*power_of_low_bits(at_least(largest, underflow_below)*<real>1.4426950408889634 + round_bias)


cdef inline Py_ssize_t quads_of(const real *x) noexcept nogil:
    """How many times four rounded terms one carry takes: few floats, because a double holds their sums exactly."""
    return CARRY_QUADS_F32 if real is float else CARRY_QUADS_F64


cdef inline void add_biased(real *total, real d, real round_bias, Terms terms, real *e, real *low) noexcept nogil:
    """Add exp(d) to a total that is larger; low is what the total does not take, and e is exp(d), rounded."""
    cdef real taken, lost, result
    take_term(d, round_bias, terms, e, &taken, &lost)
    result = total[0] + taken
    low[0] = taken - (result - total[0])
    if terms != ROUNDED:
        low[0] += lost
    total[0] = result


cdef inline void add_either(real *total, real term, real *low) noexcept nogil:
    """Add a term that may be the larger; low is what the total does not take."""
    cdef real result = total[0] + term
    cdef real large = total[0] if total[0] > term else term
    cdef real small = term if total[0] > term else total[0]
    low[0] = small - (result - large)
    total[0] = result


cdef inline void add(double *total, real *carry, real high, real low) noexcept nogil:
    """Add high + low to total + carry, both positive; floats are added in double."""
    cdef double large, small, result
    if real is float:
        total[0] += high
        carry[0] += low
    else:
        large = total[0] if total[0] > high else high
        small = high if total[0] > high else total[0]
        result = large + small
        carry[0] += (small - (result - large)) + low
        total[0] = result


cdef inline void add_low(double *carry, double *carry_low, real low) noexcept nogil:
    """Add to a carry in double, which holds what floats give, but not what doubles do."""
    cdef double error
    if real is float:
        carry[0] += low
    else:
        carry[0] = two_sum(carry[0], low, &error)
        carry_low[0] += error
