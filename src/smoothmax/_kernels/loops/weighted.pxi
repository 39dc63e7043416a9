# Sum exponentials with weights.
#
# MODERATE weights are multiplied with the scale of exp, and the reference is the largest a. Weights of ANY_SIZE are
# split, b = m 2**k with 1 <= abs(m) < 2, and 2**k is added to the exponent beside N. So neither b nor exp(a) can
# overflow alone, and the reference is the largest a + k log(2), within log(2) of the largest a + log(abs(b)). This
# costs twice as much. A block whose sum is small compared with the product of its largest exponential and largest
# weight is summed again in this way.
#
# Terms may cancel, and if the sum is just above 1, all digits of its logarithm come from rounding errors of additions.
# So the maximum is not left out, and rounding errors are kept with all their digits. A term of weight 0 is 0, even if a
# is inf or nan. A weight that is not finite makes its term nan; special_sum then computes the result.

cdef enum WeightRange:
    MODERATE                # weights are multiplied with the scale of exp
    ANY_SIZE                # their powers of two are added to the exponent


cdef inline real min_normal(real _) noexcept nogil:
    if real is float:
        return <float>1.1754943508222875e-38
    else:
        return 2.2250738585072014e-308


cdef inline real split_weight(real b, real *m) noexcept nogil:
    """k, and in `m` the significand with b's sign. Both are finite whatever b is; the k of 0 is below all others."""
    cdef bint tiny = magnitude(b) < min_normal(<real>0)
    cdef uint32_t u32, k32
    cdef uint64_t u64, k64
    cdef real k
    if real is float:
        b = b*<float>16777216.0 if tiny else b                  # 2**24
        memcpy(&u32, &b, 4)
        k32 = ((u32 >> 23) & 0xFF) | 0x4B000000                 # 2**23 + the biased exponent
        u32 = (u32 & <uint32_t>0x807FFFFF) | 0x3F800000
        memcpy(&k, &k32, 4)
        memcpy(m, &u32, 4)
        return k - (<float>(8388608.0 + 127 + 24) if tiny else <float>(8388608.0 + 127))
    else:
        b = b*18014398509481984.0 if tiny else b                # 2**54
        memcpy(&u64, &b, 8)
        k64 = ((u64 >> 52) & 0x7FF) | <uint64_t>0x4330000000000000
        u64 = (u64 & <uint64_t>0x800FFFFFFFFFFFFF) | <uint64_t>0x3FF0000000000000
        memcpy(&k, &k64, 8)
        memcpy(m, &u64, 8)
        return k - ((4503599627370496.0 + 1023 + 54) if tiny else (4503599627370496.0 + 1023))


cdef inline real zero_bits(real _) noexcept nogil:
    """The z of split_exp for which all bits of the scale are 0."""
    if real is float:
        return <float>12582912.0
    else:
        return 6755399441055744.0


cdef inline void scan_lanes(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                            real *maximum, real *most, real *least) noexcept nogil:
    """Update maximum[j] by column j of a, and most[j] and least[j] by column j of b; nan is ignored."""
    cdef Py_ssize_t i, j
    cdef real t[LANES]
    cdef real high[LANES]
    cdef real low[LANES]
    cdef real v, w
    for j in range(lanes_of(a)):
        t[j] = maximum[j]
        high[j] = most[j]
        low[j] = least[j]
    for i in range(rows):
        for j in range(lanes_of(a)):
            v = a[i*ld + j]
            w = b[i*b_ld + j]
            t[j] = v if v > t[j] else t[j]
            high[j] = w if w > high[j] else high[j]
            low[j] = w if w < low[j] else low[j]
    for j in range(lanes_of(a)):
        maximum[j] = t[j]
        most[j] = high[j]
        least[j] = low[j]


cdef inline void max_weighted_lanes(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                    real *maximum) noexcept nogil:
    """Update maximum[j] by the a + k log(2) of column j."""
    cdef Py_ssize_t i, j
    cdef real best[LANES]
    cdef real v, m
    for j in range(lanes_of(a)):
        best[j] = maximum[j]
    for i in range(rows):
        for j in range(lanes_of(a)):
            v = a[i*ld + j] + split_weight(b[i*b_ld + j], &m)*<real>0.6931471805599453
            v = v if b[i*b_ld + j] != 0 else <real>-INFINITY
            best[j] = v if v > best[j] else best[j]
    for j in range(lanes_of(a)):
        maximum[j] = best[j]


cdef inline void moderate_term(real a, real b, real shift, real round_bias, real underflow_below, real *head,
                               real *tail, real *factor) noexcept nogil:
    """b exp(a - shift) is (head + tail)*factor."""
    cdef real scale
    split_exp(at_least(a - shift, underflow_below), round_bias, head, tail, &scale)
    factor[0] = scale*b


cdef inline void any_term(real a, real b, real shift, real round_bias, real underflow_below, real *head, real *tail,
                          real *factor) noexcept nogil:
    """moderate_term for weights of any size: 2**k is added to the exponent before the scale is made of it."""
    cdef real m, scale, k = split_weight(b, &m)
    cdef real d = (a - shift) + (b - b)
    cdef real z
    d = underflow_below if (b == 0) | (d < underflow_below) else d
    z = (d*<real>1.4426950408889634 + round_bias) + k
    split_exp(d, round_bias, head, tail, &scale)
    factor[0] = m*power_of_low_bits(z if z > zero_bits(z) else zero_bits(z))


cdef inline void add_term(real *total, real a, real b, real shift, real round_bias, real underflow_below,
                          WeightRange sizes, Terms terms, real *low) noexcept nogil:
    """Add b exp(a - shift) to a total that is larger; low is the rounding error, rounded once."""
    cdef real head, tail, factor, result
    if terms == ROUNDED:
        rounded_exp(at_least(a - shift, underflow_below), round_bias, &head, &factor)
        factor *= b
        result = total[0] + head*factor
        low[0] = product_error(head, factor, result - total[0])
        total[0] = result
        return
    if sizes == ANY_SIZE:
        any_term(a, b, shift, round_bias, underflow_below, &head, &tail, &factor)
    else:
        moderate_term(a, b, shift, round_bias, underflow_below, &head, &tail, &factor)
    result = total[0] + head*factor
    low[0] = left_of(head, tail, factor, result - total[0])
    total[0] = result


cdef inline void sum_weighted_lanes(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                    const real *shift, const real *round_bias, const real *underflow_below,
                                    const real *bias, WeightRange sizes, Terms terms, Py_ssize_t ahead, double *sums,
                                    double *carries) noexcept nogil:
    """Add the weighted exponentials of column j to sums[j] + carries[j]; at most ROW_BLOCK_LANES rows.

    Each lane begins from a bias of its own, see bias_of().
    """
    cdef Py_ssize_t i, j
    cdef real total[LANES]
    cdef double carry[LANES]
    cdef double carry_low[LANES]
    cdef real low0, low1, low2, low3
    cdef double error
    cdef const real *a_row
    cdef const real *b_row
    for j in range(lanes_of(a)):
        total[j] = bias[j]
        carry[j] = 0
        carry_low[j] = 0
    for i in range(rows//4):
        a_row, b_row = a + 4*i*ld, b + 4*i*b_ld
        if ahead:
            for j in range(4):
                prefetch_l2(a_row + (ahead + j)*ld, lanes_of(a))
                prefetch_l2(b_row + (ahead + j)*b_ld, lanes_of(b))
        for j in range(lanes_of(a)):
            add_term(&total[j], a_row[j], b_row[j], shift[j], round_bias[j], underflow_below[j], sizes, terms, &low0)
            add_term(&total[j], a_row[ld + j], b_row[b_ld + j], shift[j], round_bias[j], underflow_below[j], sizes,
                     terms, &low1)
            add_term(&total[j], a_row[2*ld + j], b_row[2*b_ld + j], shift[j], round_bias[j], underflow_below[j], sizes,
                     terms, &low2)
            add_term(&total[j], a_row[3*ld + j], b_row[3*b_ld + j], shift[j], round_bias[j], underflow_below[j], sizes,
                     terms, &low3)
            add_low(&carry[j], &carry_low[j], (low0 + low1) + (low2 + low3))
    for i in range(rows//4*4, rows):
        for j in range(lanes_of(a)):
            add_term(&total[j], a[i*ld + j], b[i*b_ld + j], shift[j], round_bias[j], underflow_below[j], sizes, terms,
                     &low0)
            add_low(&carry[j], &carry_low[j], low0)
    for j in range(lanes_of(a)):
        sums[j] = two_sum(sums[j], <double>(total[j] - bias[j]), &error)
        carry_low[j] += error
        carry[j] = two_sum(carry[j], carries[j], &error)
        carry_low[j] += error
        sums[j] = two_sum(sums[j], carry[j], &error)
        carries[j] = error + carry_low[j]


# Each kind of terms has a function of its own, because GCC spills more registers of loops that share a function (P33).

cdef void sum_rounded_weighted(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                               const real *shift, const real *round_bias, const real *underflow_below, const real *bias,
                               Py_ssize_t ahead, double *sums, double *carries) noexcept nogil:
    sum_weighted_lanes(a, ld, b, b_ld, rows, shift, round_bias, underflow_below, bias, MODERATE, ROUNDED, ahead, sums,
                       carries)


cdef void sum_moderate_weighted(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                const real *shift, const real *round_bias, const real *underflow_below,
                                const real *bias, Py_ssize_t ahead, double *sums, double *carries) noexcept nogil:
    sum_weighted_lanes(a, ld, b, b_ld, rows, shift, round_bias, underflow_below, bias, MODERATE, EXACT, ahead, sums,
                       carries)


cdef void sum_any_size_weighted(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                const real *shift, const real *round_bias, const real *underflow_below,
                                const real *bias, Py_ssize_t ahead, double *sums, double *carries) noexcept nogil:
    sum_weighted_lanes(a, ld, b, b_ld, rows, shift, round_bias, underflow_below, bias, ANY_SIZE, EXACT, ahead, sums,
                       carries)


cdef inline void sum_weighted(WeightRange sizes, Terms terms, const real *a, Py_ssize_t ld, const real *b,
                              Py_ssize_t b_ld, Py_ssize_t rows, const real *shift, const real *round_bias,
                              const real *underflow_below, const real *bias, Py_ssize_t ahead, double *sums,
                              double *carries) noexcept nogil:
    """sum_weighted_lanes of ROUNDED or EXACT terms; those of weights of ANY_SIZE are EXACT."""
    if sizes == ANY_SIZE:
        sum_any_size_weighted(a, ld, b, b_ld, rows, shift, round_bias, underflow_below, bias, ahead, sums, carries)
    elif terms == ROUNDED:
        sum_rounded_weighted(a, ld, b, b_ld, rows, shift, round_bias, underflow_below, bias, ahead, sums, carries)
    else:
        sum_moderate_weighted(a, ld, b, b_ld, rows, shift, round_bias, underflow_below, bias, ahead, sums, carries)


cdef inline void fold_weighted(double *sums, double *carries, double *lows, Py_ssize_t half, real _) noexcept nogil:
    """Add the upper half of the lanes to the lower. A double holds what carries of floats add up to."""
    cdef Py_ssize_t j
    cdef double error, low
    for j in range(half):
        sums[j] = two_sum(sums[j], sums[j + half], &error)
        if real is float:
            carries[j] += carries[j + half] + error
        else:
            carries[j] = two_sum(carries[j], carries[j + half], &low)
            lows[j] += lows[j + half] + low
            carries[j] = two_sum(carries[j], error, &low)
            lows[j] += low


cdef inline double weighted_sum_of_lanes(double *sums, double *carries, double *carry, real type_) noexcept nogil:
    """sum_of_lanes whose carries are sums, too: where sums cancel or are 1, the carries are all there is."""
    cdef Py_ssize_t j
    cdef double total
    cdef double lows[LANES]
    for j in range(LANES_F32 if real is float else LANES_F64):
        lows[j] = 0
    if real is float:
        fold_weighted(sums, carries, lows, 16, type_)
    fold_weighted(sums, carries, lows, 8, type_)
    fold_weighted(sums, carries, lows, 4, type_)
    fold_weighted(sums, carries, lows, 2, type_)
    fold_weighted(sums, carries, lows, 1, type_)
    total = two_sum(sums[0], carries[0], carry)
    carry[0] += lows[0]
    return total
