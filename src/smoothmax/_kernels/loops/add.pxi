# Adding a term to a compensated sum: the steps of the loops over exponentials.
#
# A sum is kept in two numbers: the total, and a carry of the rounding errors of its additions (Dekker, Numerische
# Mathematik 18, 1971). If it is known which operand is larger, the error of an addition takes two operations. So either
# the total begins from a bias that is larger than every term and is subtracted at the end, or a comparison finds the
# larger operand. A carry of the elements' type has enough digits for CARRY_ROWS terms; then it is added to another sum.

cdef enum Store:            # whether summed exponentials are also written:
    DISCARD
    STORE                   # rounded


cdef enum ShiftKind:        # whether a loop must subtract shifts:
    ANY_SHIFT
    ZERO_SHIFT              # all are 0


cdef inline ShiftKind lowered_shifts_of_lanes(const real *maximum, Py_ssize_t width, real by, real *shift,
                                              real *round_bias, real *underflow_below) noexcept nogil:
    """lowered_shifts_of for each lane, in a third of its operations if no lane has a shift, which is usual."""
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
    """The argument of exp for element v; for the maximum itself underflow_below, where exp is 0 (inf - inf is nan)."""
    cdef real d = v - shift
    return underflow_below if (v == maximum) | (d < underflow_below) else d


cdef inline real bias_for(real largest, real round_bias, real underflow_below) noexcept nogil:
    """A power of two of at least twice exp(largest) as split_exp scales it; 0 if that vanishes."""
    return 4*power_of_low_bits(at_least(largest, underflow_below)*<real>1.4426950408889634 + round_bias)


cdef inline Py_ssize_t quads_of(const real *x) noexcept nogil:
    """Groups of four rounded terms that one carry takes: few for floats, so that a double holds the sums exactly."""
    return CARRY_QUADS_F32 if real is float else CARRY_QUADS_F64


cdef inline void add_biased(real *total, real d, real round_bias, Terms terms, real *e, real *low) noexcept nogil:
    """Add exp(d) to a total that is larger; low is the rounding error, and e is exp(d), rounded."""
    cdef real taken, lost, result
    take_term(d, round_bias, terms, e, &taken, &lost)
    result = total[0] + taken
    low[0] = taken - (result - total[0])
    if terms != ROUNDED:
        low[0] += lost
    total[0] = result


cdef inline void add_either(real *total, real term, real *low) noexcept nogil:
    """Add a term that may be larger than the total; low is the rounding error."""
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
    """Add to a carry. A double holds what floats give; what doubles give has a rounding error, added to carry_low."""
    cdef double error
    if real is float:
        carry[0] += low
    else:
        carry[0] = two_sum(carry[0], low, &error)
        carry_low[0] += error
