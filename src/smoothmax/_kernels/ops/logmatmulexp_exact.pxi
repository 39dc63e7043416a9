# logmatmulexp by the terms of each element.
#
# Lanes are elements of the result. `b` has one row of lanes for each term, and so has `a`, unless one element of `a`
# serves all lanes, which are then elements of one row of the result.

cdef inline real element_of(const real *a, LeftElements layout, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    return a[i] if layout == ONE_FOR_ALL_LANES else a[i*lanes_of(a) + j]


cdef inline void max_of_sums(ProductSum *sum, const real *a, LeftElements layout, const real *b,
                             Py_ssize_t terms) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real maximum[LANES]
    cdef real nans[LANES]
    cdef real s
    for j in range(lanes_of(a)):
        maximum[j] = <real>sum.maximum[j]
        nans[j] = 0
    for i in range(terms):
        for j in range(lanes_of(a)):
            s = element_of(a, layout, i, j) + b[i*lanes_of(b) + j]
            maximum[j] = larger(s, maximum[j])
            nans[j] += one_if(s != s, <real>0)
    for j in range(lanes_of(a)):
        sum.maximum[j] = maximum[j]
        sum.nans[j] += nans[j]


cdef inline real takes_apart(real maximum) noexcept nogil:
    """1 where t' is so small that exp(t') is 1 + t' within 0.06 ULP of the result. Elements are counted there."""
    cdef real most = <real>4194304 if real is float else <real>2251799813685248.0
    return one_if(magnitude(maximum) < most, <real>0)


cdef inline real takes_together(real maximum) noexcept nogil:
    """1 for larger m, where rounding (t - m) + t' does not show, up to where t' itself is lost beside an ULP of m."""
    cdef real most = <real>268435456 if real is float else <real>1152921504606846976.0
    return one_if(magnitude(maximum) < most, <real>0) - takes_apart(maximum)


cdef inline void add_sum(real *total, real a, real b, real maximum, real counted, real apart, real together,
                         real round_bias, real underflow_below, real *low, real *count) noexcept nogil:
    """Add exp(a + b - maximum), or count an element that equals `counted`."""
    cdef real t, t_low, d, whole, seen, d_low, head, tail, scale, result, large, small, one
    cdef bint equal, vanishes
    t = sum_in_two(a, b, &t_low)
    d = t - maximum
    seen = d - t
    d_low = (t - (d - seen)) - (maximum + seen)
    equal = t == counted
    whole = d + t_low*together                  # nan where t is infinite
    vanishes = (d < underflow_below) | (whole < underflow_below) | equal
    t_low *= apart
    d_low += t_low
    d = underflow_below if vanishes else whole
    d_low = 0 if vanishes else d_low
    split_exp_of_two(d, d_low, round_bias, &head, &tail, &scale)
    head *= scale
    tail *= scale
    one = t_low*scaled_one(<real>0)
    result = total[0] + head
    large = total[0] if total[0] > head else head
    small = head if total[0] > head else total[0]
    low[0] = (small - (result - large)) + (one if equal else tail)
    count[0] += one_if(equal, <real>0)
    total[0] = result


cdef inline void add_sums(ProductSum *sum, const real *a, LeftElements layout, const real *b,
                          Py_ssize_t terms) noexcept nogil:
    cdef Py_ssize_t i, j, first, block
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real count[LANES]
    cdef real maximum[LANES]
    cdef real counted[LANES]
    cdef real apart[LANES]
    cdef real together[LANES]
    cdef real low
    cdef real round_bias = round_bias_of(<real>0), underflow_below = underflow_of(<real>0)
    for j in range(lanes_of(a)):
        maximum[j] = <real>sum.maximum[j]
        apart[j] = takes_apart(maximum[j])
        together[j] = takes_together(maximum[j])
        counted[j] = <real>NAN if together[j] != 0 else maximum[j]
        total[j] = <real>sum.others[j]
        count[j] = 0
    for first from 0 <= first < terms by CARRY_ROWS:
        block = min_of(terms - first, CARRY_ROWS)
        for j in range(lanes_of(a)):
            carry[j] = 0
        for i in range(first, first + block):
            for j in range(lanes_of(a)):
                add_sum(&total[j], element_of(a, layout, i, j), b[i*lanes_of(b) + j], maximum[j], counted[j],
                        apart[j], together[j], round_bias, underflow_below, &low, &count[j])
                carry[j] += low
        for j in range(lanes_of(a)):
            sum.others_low[j] += carry[j]
    for j in range(lanes_of(a)):
        sum.others[j] = total[j]
        sum.count[j] += count[j]


cdef void clear_products(ProductSum *sum) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(LANES):
        sum.maximum[j] = -INFINITY
        sum.nans[j] = 0
        sum.count[j] = 0
        sum.others[j] = 0
        sum.others_low[j] = 0


cdef void max_of_products(ProductSum *sum, const real *a, LeftElements layout, const real *b,
                          Py_ssize_t terms) noexcept nogil:
    if layout == ONE_FOR_ALL_LANES:
        max_of_sums(sum, a, ONE_FOR_ALL_LANES, b, terms)
    else:
        max_of_sums(sum, a, ONE_FOR_EACH_LANE, b, terms)


cdef void add_products(ProductSum *sum, const real *a, LeftElements layout, const real *b,
                       Py_ssize_t terms) noexcept nogil:
    """Add the terms relative to the maximum, unless no lane has a finite maximum: then the result is known."""
    cdef Py_ssize_t j
    cdef int finite = 0
    for j in range(lanes_of(a)):
        finite |= is_finite(sum.maximum[j])
    if not finite:
        return
    if layout == ONE_FOR_ALL_LANES:
        add_sums(sum, a, ONE_FOR_ALL_LANES, b, terms)
    else:
        add_sums(sum, a, ONE_FOR_EACH_LANE, b, terms)


cdef void share_maximum(ProductSum *sum) noexcept nogil:
    """Make the lanes parts of one element: give them one maximum."""
    cdef Py_ssize_t j
    for j in range(1, LANES):
        sum.maximum[0] = larger(sum.maximum[j], sum.maximum[0])
    for j in range(1, LANES):
        sum.maximum[j] = sum.maximum[0]


cdef void fold_lanes(ProductSum *sum) noexcept nogil:
    """Add all lanes, parts of one element since share_maximum(), to the first lane."""
    cdef Py_ssize_t j
    cdef double error
    for j in range(1, LANES):
        sum.nans[0] += sum.nans[j]
        sum.count[0] += sum.count[j]
        sum.others[0] = two_sum(sum.others[0], sum.others[j], &error)
        sum.others_low[0] += sum.others_low[j] + error


cdef void finish_products(const ProductSum *sum, real *out) noexcept nogil:
    cdef Py_ssize_t j
    cdef double value, log_sum, low, others, others_low
    for j in range(lanes_of(out)):
        others = two_sum(sum.others[j], sum.others_low[j], &others_low)
        log_sum = log_sum_of(<real>sum.maximum[j], FROM_MAXIMUM, sum.count[j], others, others_low, &low)
        value = add_log_sum(sum.maximum[j], log_sum, low)
        value = value if magnitude(sum.maximum[j]) < INFINITY else sum.maximum[j]
        out[j] = <real>(value if sum.nans[j] == 0 else NAN)
