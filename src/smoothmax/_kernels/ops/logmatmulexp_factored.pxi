# logmatmulexp exactly, by products of two exponentials.
#
#     exp(a[i, p] + b[p, j] - row[i] - column[j]) = A B,   A = exp(a[i, p] - row[i]),   B = exp(b[p, j] - column[j])
#
# An exponential takes three times as many operations as a term here, and serves all terms of its row or column in a
# block. Scale and certificate are those of ops/logmatmulexp.pxi.
#
# 1. A = A1 + A2: the leading half of its digits, and the rest. A1 B1 is exact, and so A B = A1 B1 + (A B2 + A2 B1).
# 2. The largest product stays out of the sum of the others, which is in two parts, too.
# 3. t + t' is a + b for the largest product: t + (log(1 + others/largest) + t'), rounded once.
#
# Error: 2 ULP are promised. Exponentials are within 0.3 u, so others/largest is within 1.2 u.
# Worst inputs: 0.94 ULP at a = [0, -233.23865353164294], b = [0, -473.7841531425245], float32 1.01 at a = [0,
# -68.3348159790039], b = [0, -17.67450523376465], whose results are just normal; else 0.73 at
# a = [-0.24283379230111876, -0.5633842853213541], b = [0.0751123656520651, -0.22521270811252797], float32 0.82 at
# a = [25.898067474365234, -27.907821655273438], b = [-25.898067474365234, -58.11388397216797].
#
# Products are compared by their leading parts, so another may be larger by less than 2**-24 (2**-10): the formula holds
# for any. For results near 0 the others must be complete even where they are small beside the largest, so a result is
# certified if no product has underflowed, or if what was lost shows neither beside the others nor beside t.

cdef inline real leading_half(real x) noexcept nogil:
    """The leading 26 (float: 12) binary digits of x."""
    cdef uint32_t u32
    cdef uint64_t u64
    if real is float:
        memcpy(&u32, &x, 4)
        u32 &= <uint32_t>0xFFFFF000
        memcpy(&x, &u32, 4)
    else:
        memcpy(&u64, &x, 8)
        u64 &= <uint64_t>0xFFFFFFFFF8000000
        memcpy(&x, &u64, 8)
    return x


cdef inline real far_below(Py_ssize_t k, real _) noexcept nogil:
    """The difference from a maximum, times -1, up to which no product underflows, and no rounding error of one."""
    return (scale_exponent(k, <real>0) + (<real>38 if real is float else <real>456))*<real>0.6931471805599453


cdef inline real complete_above(Py_ssize_t k, real _) noexcept nogil:
    """What a sum must be so that what it lost to underflow is at most u/16 of it.

    A term loses at most eight times what certified_above() counts: its exponentials have two parts.
    """
    cdef double power = power_of_two(<double>scale_exponent(k, <real>0) - (94 if real is float else 961))
    return <real>(power*as_many(k, <double>0))


# The factors ----------------------------------------------------------------------------------------------------------

cdef void clear_peaks(real *maximum, real *far) noexcept nogil:
    spread(<real>-INFINITY, maximum)
    spread(<real>0, far)


cdef void raise_peaks(const real *x, Py_ssize_t rows, real *maximum) noexcept nogil:
    max_lane_rows(x, rows, maximum)


cdef inline void factor_in_two(real v, real maximum, real round_bias, real underflow_below, real far_from, real *high,
                               real *low, real *far) noexcept nogil:
    """high + low = 2**s exp(v - maximum); nan for nan and inf. `far` counts finite elements far below the maximum."""
    cdef real d, d_low, head, tail, scale, rounded, leading
    difference_in_two(v, maximum, underflow_below, WITH_MAXIMUM, &d, &d_low)
    split_exp_of_two(d, d_low, round_bias, &head, &tail, &scale)
    rounded = head + tail
    leading = leading_half(rounded)
    low[0] = ((rounded - leading) + (tail - (rounded - head)))*scale
    high[0] = leading*scale if v < <real>INFINITY else <real>NAN
    far[0] += one_if((d < far_from) & (v > <real>-INFINITY), <real>0)


cdef inline void factor_strided_rows(const real *x, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t k, const real *maximum,
                                     real *out, real *far) noexcept nogil:
    """Store the factors of rows of lanes, which lie `step` elements apart, in `out`, where they lie as far apart.

    The low parts begin PRODUCT_FACTOR_TERMS rows after the high ones.
    """
    cdef Py_ssize_t low_part = PRODUCT_FACTOR_TERMS*lanes_of(x), i, j
    cdef real exponent = offset(<real>0) - scale_exponent(k, <real>0), far_from = -far_below(k, <real>0)
    cdef real round_bias = round_bias_of(exponent), underflow_below = underflow_of(exponent)
    cdef real reference[LANES]
    cdef real counts[LANES]
    cdef real high[LANES]
    cdef real low[LANES]
    for j in range(lanes_of(x)):
        reference[j] = finite_reference(maximum[j])
        counts[j] = far[j]
    for i in range(rows):
        for j in range(lanes_of(x)):
            factor_in_two(x[i*step + j], reference[j], round_bias, underflow_below, far_from, &high[j], &low[j],
                          &counts[j])
        for j in range(lanes_of(x)):
            out[i*step + j] = high[j]
            out[low_part + i*step + j] = low[j]
    for j in range(lanes_of(x)):
        far[j] = counts[j]


cdef void factor_lane_rows(real *x, Py_ssize_t rows, Py_ssize_t k, const real *maximum, real *far) noexcept nogil:
    """Replace rows of lanes by their factors."""
    factor_strided_rows(x, lanes_of(x), rows, k, maximum, x, far)


# The sums -------------------------------------------------------------------------------------------------------------

cdef inline void add_smaller_product(real a, real a_low, real b, real b_low, real i, real largest, real largest_low,
                                     real place, real *new_largest, real *new_low, real *new_place, real *total,
                                     real *carry) noexcept nogil:
    """Return the larger of `largest` and a product, and add the smaller."""
    cdef real p = a*b, p_low = multiply_add(a + a_low, b_low, a_low*b), smaller, smaller_low, result, large, small
    cdef bint is_larger = p > largest
    smaller = largest if is_larger else p
    smaller_low = largest_low if is_larger else p_low
    new_largest[0] = p if is_larger else largest
    new_low[0] = p_low if is_larger else largest_low
    new_place[0] = i if is_larger else place
    result = total[0] + smaller
    large = total[0] if total[0] > smaller else smaller
    small = smaller if total[0] > smaller else total[0]
    carry[0] += (small - (result - large)) + smaller_low
    total[0] = result


cdef void add_factored(FactoredSum *sum, const real *a, const real *b, Py_ssize_t first,
                       Py_ssize_t terms) noexcept nogil:
    """Add the terms of a row of a and a panel of b, the first of which is term `first`. Term 0 begins a new sum.

    What may stay as it is goes through local arrays, because GCC would store it in the lanes that change, and test
    whether there are any.
    """
    cdef Py_ssize_t width = lanes_of(a), i, j, at, low = PRODUCT_FACTOR_TERMS*width
    cdef real *sum_largest = <real *>sum.largest
    cdef real *sum_largest_low = <real *>sum.largest_low
    cdef real largest[LANES]
    cdef real largest_low[LANES]
    cdef real place[LANES]
    cdef real new_largest[LANES]
    cdef real new_low[LANES]
    cdef real new_place[LANES]
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real term = 0
    cdef double error
    cdef double sum_place[LANES]
    cdef double others[LANES]
    cdef double others_low[LANES]
    for j in range(lanes_of(a)):
        largest[j] = sum_largest[j] if first else 0
        largest_low[j] = sum_largest_low[j] if first else 0
        place[j] = -1
        total[j] = carry[j] = 0
    for i in range(terms):
        for j in range(lanes_of(a)):
            at = i*width
            add_smaller_product(a[at], a[low + at], b[i*width + j], b[low + i*width + j], term, largest[j],
                                largest_low[j], place[j], &new_largest[j], &new_low[j], &new_place[j], &total[j],
                                &carry[j])
        for j in range(lanes_of(a)):
            largest[j] = new_largest[j]
            largest_low[j] = new_low[j]
            place[j] = new_place[j]
        term += 1
    for j in range(lanes_of(a)):
        sum_place[j] = sum.place[j] if first else 0
        others[j] = sum.others[j] if first else 0
        others_low[j] = sum.others_low[j] if first else 0
    for j in range(lanes_of(a)):
        sum_largest[j] = largest[j]
        sum_largest_low[j] = largest_low[j]
        sum_place[j] = <double>first + place[j] if place[j] >= 0 else sum_place[j]
        others[j] = two_sum(others[j], <double>total[j], &error)
        others_low[j] += error + carry[j]
    for j in range(lanes_of(a)):
        sum.place[j] = sum_place[j]
        sum.others[j] = others[j]
        sum.others_low[j] = others_low[j]


# The results ----------------------------------------------------------------------------------------------------------

cdef inline void quotient_in_two(real a, real a_low, real b, real b_low, real *quotient, real *low) noexcept nogil:
    """(a + a_low)/(b + b_low)."""
    cdef real inverse = <real>1/b, q = a*inverse, product = q*b
    quotient[0] = q
    low[0] = (((a - product) - product_error(q, b, product)) + (a_low - q*b_low))*inverse


cdef inline void doubt_lanes(const real *largest, const real *others, const real *size, const real *far, real least,
                             int *doubtful) noexcept nogil:
    """Set `doubtful` for results that are not certified: the sum is complete, or nothing in it has underflowed."""
    cdef Py_ssize_t j
    cdef real is_complete, is_exact, is_finite
    for j in range(lanes_of(largest)):
        is_finite = one_if(size[j] < <real>INFINITY, <real>0)
        is_complete = one_if(others[j] >= least, <real>0) + one_if(size[j]*largest[j] >= least, <real>0)
        is_complete *= one_if(largest[j] >= least, <real>0)*is_finite
        is_exact = one_if(far[j] == 0, <real>0)*(is_finite + one_if(largest[j] == 0, <real>0))
        doubtful[j] = 0 if one_if(others[j] >= 0, <real>0)*(is_complete + is_exact) > 0 else 1


cdef inline void log_of_factored(const real *largest, const real *largest_low, const double *others,
                                 const double *others_low, const real *left, const real *right, const real *far,
                                 real least, real *out, int *doubtful) noexcept nogil:
    """The results, and which of them are not certified. `left` and `right` are the elements of the largest product."""
    cdef Py_ssize_t j
    cdef real low, t, t_low, q, q_low, log_sum, error, total
    cdef double both
    cdef real high[LANES]
    cdef real rest[LANES]
    cdef real rest_low[LANES]
    cdef real divisor[LANES]
    cdef real size[LANES]
    cdef real y[LANES]
    for j in range(lanes_of(out)):
        both = others[j] + others_low[j]
        rest[j] = <real>both
        rest_low[j] = <real>((others[j] - rest[j]) + others_low[j])
    for j in range(lanes_of(out)):
        high[j] = largest[j] + largest_low[j]
        divisor[j] = high[j] if high[j] > 0 else 1
    for j in range(lanes_of(out)):
        quotient_in_two(rest[j], rest_low[j], divisor[j], largest_low[j] - (high[j] - largest[j]), &q, &q_low)
        t = sum_in_two(left[j], right[j], &t_low)
        log_sum = split_log(<real>1, q, q_low, <real>0, &low)
        total = sum_in_two(t, log_sum, &error)
        y[j] = total + (error + (low + t_low))
        size[j] = magnitude(t)
    doubt_lanes(high, rest, size, far, least, doubtful)
    for j in range(lanes_of(out)):
        out[j] = y[j] if high[j] > 0 else <real>-INFINITY


cdef Py_ssize_t finish_factored(const FactoredSum *sum, const real *left, const real *right, const real *a_far,
                                const real *b_far, Py_ssize_t k, real *out, Py_ssize_t n,
                                uint16_t *places) noexcept nogil:
    """The results of a row, of which n count; the places of those that are not certified are listed."""
    cdef Py_ssize_t j
    cdef real far[LANES]
    cdef int doubtful[LANES]
    for j in range(LANES):
        doubtful[j] = 0
    for j in range(lanes_of(out)):
        far[j] = a_far[0] + b_far[j]
    log_of_factored(<const real *>sum.largest, <const real *>sum.largest_low, sum.others, sum.others_low, left, right,
                    far, complete_above(k, <real>0), out, doubtful)
    return list_doubtful(doubtful, 0, n, places, 0)
