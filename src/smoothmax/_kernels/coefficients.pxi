# Written by tools/coefficients.py; change that, not this.
# cython-lint: ignore

# of so few bits that n*ln2_high is exact, in the type of x
cdef inline real ln2_high(real x) noexcept nogil:
    if real is float:
        return <float>0.69317626953125
    else:
        return 0.6931471805601177


# the rest of log(2), in the type of x
cdef inline real ln2_low(real x) noexcept nogil:
    if real is float:
        return <float>-2.9088971132296138e-05
    else:
        return -1.7239444525614835e-13


# exp(r) = 1 + r + r*r*exp_tail(r) for abs(r) <= log(2)/2; relative error of exp
cdef inline real exp_tail(real x) noexcept nogil:
    if real is float:
        # error 3.13e-9 = 2**-28.25
        return (((<float>0.0013820764143019915*x + <float>0.008368678390979767)*x + <float>0.04166826605796814)*x + <float>0.1666652113199234)*x + <float>0.4999999403953552
    else:
        # error 3.71e-18 = 2**-57.9
        return ((((((((2.5010637978781075e-08*x + 2.763044913140508e-07)*x + 2.755755177663892e-06)*x + 2.4801492481879826e-05)*x + 0.00019841269547118083)*x + 0.0013888888944304002)*x + 0.008333333333474548)*x + 0.0416666666665271)*x + 0.16666666666666446)*x + 0.5000000000000011


# 2 atanh(s) = 2 s + s*z*atanh_tail(z), z = s*s <= (3 - 2 sqrt(2))**2; relative error of atanh
cdef inline double atanh_tail(double x) noexcept nogil:
    # error 9.0e-21 = 2**-66.59
    return ((((((0.13235040929711128*x + 0.13252119990699887)*x + 0.15386990031788358)*x + 0.18181778330727258)*x + 0.22222222607232478)*x + 0.28571428569409796)*x + 0.40000000000004926)*x + 0.6666666666666666
