# Sum exponentials with a shift, and store them if asked to.
#
#     row_exp_sum_lanes       contiguous rows with one shift: rows of all operations
#     exp_sum_store_lanes     columns, each with its shift, the maximum among the others: softmax
#     exact_sum_lanes         columns, the maximum left out and counted, however small the others are
#
# Each is a loop over the rows of a tile that is as wide as there are lanes.

cdef inline void row_exp_sum_lanes(const real *x, Py_ssize_t rows, ShiftKind kind, Terms terms, Store store,
                                   real shift, real round_bias, real underflow_below, Py_ssize_t ahead, real *out,
                                   real *totals, double *carries, double *carries_low) noexcept nogil:
    """Add the scaled exponentials of contiguous rows to totals[j] + carries[j].

    totals[j] begins from a bias that is larger than any term. So the larger operand of each addition is known, and
    floats need no double. STORE writes the rounded exponentials to `out`. DISCARD prefetches `out` instead, unless it
    is NULL, because results will be written there soon. Only ROUNDED sums are unrolled by four: that is slower when
    results are stored, and EXACT sums must have the same bits with and without stores.

    The loop over four rows always prefetches. The other asks whether `ahead` is 0, with which it is faster (P10).
    """
    cdef Py_ssize_t i, j, block, fours, done = 0, ld = lanes_of(x)
    cdef const real *row
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real e[LANES]
    cdef real low0, low1, low2, low3, unused
    for j in range(lanes_of(x)):
        total[j] = totals[j]
    while done < rows:      # a carry takes only so many terms
        block = min_of(rows - done, 4*quads_of(x) if terms == ROUNDED else CARRY_ROWS)
        fours = block//4 if terms == ROUNDED else 0
        for j in range(lanes_of(x)):
            carry[j] = 0
        for i from done <= i < done + 4*fours by 4:
            row = x + i*ld
            prefetch(row + ahead, 4*ld)
            if store == DISCARD and out != NULL:
                prefetch_to_write(out + i*ld, 4*ld)
            for j in range(lanes_of(x)):
                add_biased(&total[j], argument(row[j], kind, shift, underflow_below), round_bias, terms, &unused, &low0)
                add_biased(&total[j], argument(row[ld + j], kind, shift, underflow_below), round_bias, terms, &unused,
                           &low1)
                add_biased(&total[j], argument(row[2*ld + j], kind, shift, underflow_below), round_bias, terms,
                           &unused, &low2)
                add_biased(&total[j], argument(row[3*ld + j], kind, shift, underflow_below), round_bias, terms,
                           &unused, &low3)
                carry[j] += (low0 + low1) + (low2 + low3)
        for i in range(done + 4*fours, done + block):
            row = x + i*ld
            if terms != ROUNDED and ahead:
                prefetch(row + ahead, ld)
            for j in range(lanes_of(x)):
                add_biased(&total[j], argument(row[j], kind, shift, underflow_below), round_bias, terms, &e[j], &low0)
                carry[j] += low0
            if store == STORE:
                for j in range(lanes_of(x)):
                    out[i*ld + j] = e[j]
        for j in range(lanes_of(x)):
            add_low(&carries[j], &carries_low[j], carry[j])
        done += block
    for j in range(lanes_of(x)):
        totals[j] = total[j]


cdef inline void exp_sum_store_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, const real *shift,
                                     const real *round_bias, const real *underflow_below, Store store,
                                     Py_ssize_t ahead, Py_ssize_t ahead_ld, real *out, Py_ssize_t out_ld,
                                     double *sums, real *carries) noexcept nogil:
    """Add the scaled exponentials of column j to sums[j] + carries[j], and STORE them in `out`, rounded, or not.

    The maximum's exponential is in the sum, so digits far below 1 do not matter. Each total begins from twice the
    largest exponential and so is the larger operand of every addition. Hence the sum needs no comparison, and floats
    need no double.
    """
    cdef Py_ssize_t i, j
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real e[LANES]
    cdef real head, tail, scale, high, result
    cdef double error
    cdef Py_ssize_t block, done = 0
    cdef const real *next_ = x + ahead
    for j in range(width):
        total[j] = 2*scaled_one(<real>0)
    while done < rows:      # a carry takes only so many terms
        block = min_of(rows - done, CARRY_ROWS)
        for j in range(width):
            carry[j] = 0
        for i in range(done, done + block):
            if ahead:
                prefetch_lanes(next_ + i*ahead_ld, width, ahead)
            for j in range(width):
                split_exp(at_least(x[i*ld + j] - shift[j], underflow_below[j]), round_bias[j], &head, &tail, &scale)
                high = head*scale
                result = total[j] + high
                carry[j] += (high - (result - total[j])) + tail*scale
                total[j] = result
                e[j] = multiply_add(tail, scale, high)
            if store == STORE:
                for j in range(width):
                    out[i*out_ld + j] = e[j]
        for j in range(width):
            if real is float:
                sums[j] += carry[j]
            else:
                sums[j] = two_sum(sums[j], carry[j], &error)
                carries[j] += error
        done += block
    for j in range(width):
        sums[j] = two_sum(sums[j], total[j] - 2*scaled_one(<real>0), &error)
        carries[j] += <real>error


cdef inline void exact_sum_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *maximum, const real *shift,
                                 const real *round_bias, const real *underflow_below, double *sums, real *carries,
                                 real *counts) noexcept nogil:
    """Add the exponentials of column j without those of maximum[j], and count how many elements equal that."""
    cdef Py_ssize_t i, j
    cdef double s[LANES]
    cdef real carry[LANES]
    cdef real count[LANES]
    cdef real v, unused, taken, lost
    for j in range(lanes_of(x)):
        s[j] = sums[j]
        carry[j] = carries[j]
        count[j] = counts[j]
    for i in range(rows):
        for j in range(lanes_of(x)):
            v = x[i*ld + j]
            take_term(difference(v, maximum[j], shift[j], underflow_below[j]), round_bias[j], EXACT, &unused, &taken,
                      &lost)
            add(&s[j], &carry[j], taken, lost)
            count[j] += one_if(v == maximum[j], <real>0)
    for j in range(lanes_of(x)):
        sums[j] = s[j]
        carries[j] = carry[j]
        counts[j] = count[j]
