# The elementwise operations on longdouble: the kernels' formulas, with the exponential and the logarithm of the C
# library. The difference of two operands keeps its rounding error.
#
# Error: tests/bounds.py. It is larger than that of the kernels, because the exponential is rounded.

from libc.math cimport INFINITY, NAN, expl, expm1l, fabsl, log1pl, logl

ctypedef long double longdouble
ctypedef longdouble (*LongDoubleFormula)(longdouble x1, longdouble x2) noexcept nogil


cdef inline longdouble longdouble_difference(longdouble a, longdouble b, longdouble *lost) noexcept nogil:
    """a - b rounded, and in `lost` the rounding error; 0 if that is not finite."""
    cdef longdouble rounded = a - b, seen = rounded - a
    lost[0] = (a - (rounded - seen)) - (b + seen)
    if lost[0] - lost[0] != 0:
        lost[0] = 0
    return rounded


cdef inline longdouble log1p_in_two(longdouble x, longdouble low) noexcept nogil:
    """log(1 + x + low). log1pl of x86 rounds 1 + x where x is not small, and is then more than 1 ULP off."""
    cdef longdouble total = 1 + x
    if fabsl(x) < 0.25:
        return log1pl(x) + low/total
    return logl(total) + ((x - (total - 1)) + low)/total


cdef longdouble log1pexp_l(longdouble x, longdouble _) noexcept nogil:
    return (x if x > 0 else 0) + log1p_in_two(expl(-fabsl(x)), 0)


cdef longdouble log_expit_l(longdouble x, longdouble _) noexcept nogil:
    return -log1pexp_l(-x, _)


cdef longdouble logaddexp_l(longdouble x1, longdouble x2) noexcept nogil:
    cdef longdouble most = x1 if x1 > x2 else x2, least = x2 if x1 > x2 else x1, lost, e
    if x1 == x2:                            # the difference of two infinities is nan
        return x1 + logl(2)
    e = expl(longdouble_difference(least, most, &lost))
    return most + log1p_in_two(e, e*lost)


cdef inline longdouble log_one_minus_exp_l(longdouble d, longdouble lost) noexcept nogil:
    cdef longdouble e
    if d > -0.6931471805599453:
        e = expm1l(d)
        return logl(-(e + (e + 1)*lost))
    e = expl(d)
    return log1p_in_two(-e, -e*lost)


cdef longdouble log1mexp_l(longdouble x, longdouble _) noexcept nogil:
    if x > 0:
        return NAN
    return -INFINITY if x == 0 else log_one_minus_exp_l(x, 0)


cdef longdouble logsubexp_l(longdouble x1, longdouble x2) noexcept nogil:
    cdef longdouble d, lost
    if x2 > x1 or x1 == x2 == INFINITY:
        return NAN
    if x1 == x2:
        return -INFINITY
    d = longdouble_difference(x2, x1, &lost)
    return x1 + log_one_minus_exp_l(d, lost)


cdef LongDoubleFormula[ELEMENTWISE_OPERATIONS] LONGDOUBLE_FORMULAS
LONGDOUBLE_FORMULAS[<int>LOGADDEXP] = logaddexp_l
LONGDOUBLE_FORMULAS[<int>LOGSUBEXP] = logsubexp_l
LONGDOUBLE_FORMULAS[<int>LOG1MEXP] = log1mexp_l
LONGDOUBLE_FORMULAS[<int>LOG1PEXP] = log1pexp_l
LONGDOUBLE_FORMULAS[<int>LOG_EXPIT] = log_expit_l
