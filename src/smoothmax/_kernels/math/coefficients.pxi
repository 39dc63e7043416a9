# Written by tools/coefficients.py. Change that file, not this one.

# log(2) with so few bits that n*ln2_high is exact, in the type of x
cdef inline real ln2_high(real x) noexcept nogil:
    if real is float:
        return <float>0.69317626953125
    else:
        return 0.6931471805601177


# what ln2_high lacks of log(2), in the type of x
cdef inline real ln2_low(real x) noexcept nogil:
    if real is float:
        return <float>-2.9088971132296138e-05
    else:
        return -1.7239444525614835e-13


# exp(r) = 1 + r + r*r*exp_tail(r) for abs(r) <= log(2)/2; relative error of exp
cdef inline real exp_tail(real x) noexcept nogil:
    cdef real y
    if real is float:
        # error 3.13e-9 = 2**-28.25
        y = <float>0.0013820764143019915
        y = y*x + <float>0.008368678390979767
        y = y*x + <float>0.04166826605796814
        y = y*x + <float>0.1666652113199234
        y = y*x + <float>0.4999999403953552
        return y
    else:
        # error 3.71e-18 = 2**-57.9
        y = 2.5010637978781075e-08
        y = y*x + 2.763044913140508e-07
        y = y*x + 2.755755177663892e-06
        y = y*x + 2.4801492481879826e-05
        y = y*x + 0.00019841269547118083
        y = y*x + 0.0013888888944304002
        y = y*x + 0.008333333333474548
        y = y*x + 0.0416666666665271
        y = y*x + 0.16666666666666446
        y = y*x + 0.5000000000000011
        return y


# 2 atanh(s) = 2 s + s*z*atanh_tail(z), z = s*s <= (3 - 2 sqrt(2))**2; relative error of atanh
cdef inline real atanh_tail(real x) noexcept nogil:
    cdef real y
    if real is float:
        # error 2.49e-11 = 2**-35.23
        y = <float>0.24279116094112396
        y = y*x + <float>0.2849878966808319
        y = y*x + <float>0.40000972151756287
        y = y*x + <float>0.6666666269302368
        return y
    else:
        # error 9.0e-21 = 2**-66.59
        y = 0.13235040929711128
        y = y*x + 0.13252119990699887
        y = y*x + 0.15386990031788358
        y = y*x + 0.18181778330727258
        y = y*x + 0.22222222607232478
        y = y*x + 0.28571428569409796
        y = y*x + 0.40000000000004926
        y = y*x + 0.6666666666666666
        return y


# atanh_tail for s <= 1/3, the logarithm of numbers in [1, 2]
cdef inline real wide_atanh_tail(real x) noexcept nogil:
    cdef real y
    if real is float:
        # error 4.6e-9 = 2**-27.7
        y = <float>0.28028029203414917
        y = y*x + <float>0.27998417615890503
        y = y*x + <float>0.4002174437046051
        y = y*x + <float>0.6666641235351562
        return y
    else:
        # error 1.33e-18 = 2**-59.38
        y = 0.17017397655814925
        y = y*x + 0.08340839222271866
        y = y*x + 0.12105890217323288
        y = y*x + 0.13301002445262056
        y = y*x + 0.15386557347016522
        y = y*x + 0.18181744068188774
        y = y*x + 0.22222223964829504
        y = y*x + 0.2857142854795163
        y = y*x + 0.4000000000015624
        y = y*x + 0.6666666666666631
        return y


# atanh_tail for doubles that are rounded to float in the end
cdef inline double short_atanh_tail(double x) noexcept nogil:
    cdef double y
    # error 4.84e-12 = 2**-37.59
    y = 0.23582489978425433
    y = y*x + 0.2853729181764639
    y = y*x + 0.4000033545388157
    y = y*x + 0.6666666564436456
    return y


# atanh_tail for logarithms that may be off by a few units of 2**-53 (2**-24)
cdef inline real coarse_atanh_tail(real x) noexcept nogil:
    cdef real y
    if real is float:
        # error 1.47e-7 = 2**-22.7
        y = <float>0.41203975677490234
        y = y*x + <float>0.6665557622909546
        return y
    else:
        # error 1.89e-16 = 2**-52.23
        y = 0.1682005226548096
        y = y*x + 0.18123624568388594
        y = y*x + 0.22223372200614333
        y = y*x + 0.28571417123131115
        y = y*x + 0.4000000005231034
        y = y*x + 0.6666666666658715
        return y


# exp(r) = 1 + r*polynomial(r) with fewer digits, all coefficients times a factor; relative error of exp
cdef inline void half_exp_coefficients(float factor, float *c) noexcept nogil:
    # error 2.83e-6 = 2**-18.43
    c[0] = factor
    c[1] = factor*<float>0.9999667406082153
    c[2] = factor*<float>0.5000302791595459
    c[3] = factor*<float>0.16787615418434143
    c[4] = factor*<float>0.041513025760650635
