# Sum exponentials of columns, read once, or with differences from the maximum in two parts.
#
#     online_max_sum_lanes    the maximum and the sum in one pass, from shifts that were guessed
#     difference_sum_lanes    exp(v - maximum) with the difference in two parts: no shift, so nothing to divide by

cdef inline void add_smaller(real *largest, real *total, real v, ShiftKind kind, real shift, real round_bias,
                             real underflow_below, Terms terms, real *low) noexcept nogil:
    """Keep the larger of `largest` and v, and add the exponential of the smaller."""
    cdef real less = largest[0] if v > largest[0] else v, unused, taken, lost
    largest[0] = larger(v, largest[0])
    take_term(argument(less, kind, shift, underflow_below), round_bias, terms, &unused, &taken, &lost)
    add_either(total, taken, low)
    if terms != ROUNDED:
        low[0] += lost


cdef inline void online_max_sum_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                                      AdjustmentKind adjusting, const Adjustment *adjustment, ShiftKind kind,
                                      Terms terms, const real *shift, const real *round_bias,
                                      const real *underflow_below, Py_ssize_t ahead, Py_ssize_t ahead_ld,
                                      const real *out, Py_ssize_t out_ld, real *maximum, real *totals,
                                      real *carries) noexcept nogil:
    """One-pass maximum and sum: exponentiate and add the smaller of the running maximum and the next element.

    In the end all elements but the maximum are summed, so no digit is lost even if the maximum lies far above all
    others. One carry suffices for the rounding errors of up to 2048 rows. Results will be written to `out` soon, unless
    out_ld is 0.

    The total takes each rounded term by itself: when two were added first, losses were 2.2 ULP off. Rows are done in
    pairs; GCC does that by itself only where nothing is prefetched.
    """
    cdef Py_ssize_t i, j, next_row = ahead     # a distance in elements, as `ahead`
    cdef real largest[LANES]
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real low0, low1, v0, v1, scale = scale_of(adjusting, adjustment, <real>0)
    cdef real minus_zero = minus_zero_of(adjusting, adjustment, <real>0)
    cdef real addends0[LANES]
    cdef real addends1[LANES]
    cdef const real *row
    for j in range(width):
        largest[j] = maximum[j]
        total[j] = 0
        carry[j] = 0
    for i in range(rows//2):
        row = x + 2*i*ld
        if ahead:
            prefetch_lanes(x + next_row, width, ahead)
            prefetch_lanes(x + next_row + ahead_ld, width, ahead)
            next_row += 2*ahead_ld
        if out_ld:
            prefetch_to_write(out + 2*i*out_ld, width)
            prefetch_to_write(out + (2*i + 1)*out_ld, width)
        take_addends(adjusting, adjustment, 2*i, width, addends0)
        take_addends(adjusting, adjustment, 2*i + 1, width, addends1)
        for j in range(width):
            v0 = adjusted_lane(row[j], adjusting, scale, minus_zero, addends0[j])
            v1 = adjusted_lane(row[ld + j], adjusting, scale, minus_zero, addends1[j])
            add_smaller(&largest[j], &total[j], v0, kind, shift[j], round_bias[j], underflow_below[j], terms, &low0)
            add_smaller(&largest[j], &total[j], v1, kind, shift[j], round_bias[j], underflow_below[j], terms,
                        &low1)
            carry[j] += low0 + low1
    if rows % 2:
        row = x + (rows - 1)*ld
        if out_ld:
            prefetch_to_write(out + (rows - 1)*out_ld, width)
        take_addends(adjusting, adjustment, rows - 1, width, addends0)
        for j in range(width):
            v0 = adjusted_lane(row[j], adjusting, scale, minus_zero, addends0[j])
            add_smaller(&largest[j], &total[j], v0, kind, shift[j], round_bias[j], underflow_below[j], terms, &low0)
            carry[j] += low0
    for j in range(width):
        maximum[j] = largest[j]
        totals[j] = total[j]
        carries[j] = carry[j]


cdef inline void adjusted_max_sum(const real *x, Py_ssize_t ld, Py_ssize_t rows, AdjustmentKind adjusting,
                                  const Adjustment *adjustment, ShiftKind kind, Terms terms, const real *shift,
                                  const real *round_bias, const real *underflow_below, Py_ssize_t ahead,
                                  Py_ssize_t ahead_ld, const real *out, Py_ssize_t out_ld, real *maximum,
                                  real *totals, real *carries) noexcept nogil:
    """online_max_sum_lanes with the kind of shift as a constant."""
    if kind == ZERO_SHIFT:
        online_max_sum_lanes(x, ld, rows, lanes_of(x), adjusting, adjustment, ZERO_SHIFT, terms, shift, round_bias,
                             underflow_below, ahead, ahead_ld, out, out_ld, maximum, totals, carries)
    else:
        online_max_sum_lanes(x, ld, rows, lanes_of(x), adjusting, adjustment, ANY_SHIFT, terms, shift, round_bias,
                             underflow_below, ahead, ahead_ld, out, out_ld, maximum, totals, carries)


cdef void exact_adjusted_max_sum(const real *x, Py_ssize_t ld, Py_ssize_t rows, const Adjustment *adjustment,
                                 ShiftKind kind, const real *shift, const real *round_bias,
                                 const real *underflow_below, Py_ssize_t ahead, Py_ssize_t ahead_ld, const real *out,
                                 Py_ssize_t out_ld, real *maximum, real *totals, real *carries) noexcept nogil:
    """This is not inline, and neither is the next one, so that callers do not get four more loops each."""
    if adjustment.addends == NULL:
        adjusted_max_sum(x, ld, rows, SCALE_ONLY, adjustment, kind, EXACT, shift, round_bias, underflow_below, ahead,
                         ahead_ld, out, out_ld, maximum, totals, carries)
    else:
        adjusted_max_sum(x, ld, rows, SCALE_AND_ADDENDS, adjustment, kind, EXACT, shift, round_bias, underflow_below,
                         ahead, ahead_ld, out, out_ld, maximum, totals, carries)


cdef void rounded_adjusted_max_sum(const real *x, Py_ssize_t ld, Py_ssize_t rows, const Adjustment *adjustment,
                                   ShiftKind kind, const real *shift, const real *round_bias,
                                   const real *underflow_below, Py_ssize_t ahead, Py_ssize_t ahead_ld,
                                   const real *out, Py_ssize_t out_ld, real *maximum, real *totals,
                                   real *carries) noexcept nogil:
    if adjustment.addends == NULL:
        adjusted_max_sum(x, ld, rows, SCALE_ONLY, adjustment, kind, ROUNDED, shift, round_bias, underflow_below, ahead,
                         ahead_ld, out, out_ld, maximum, totals, carries)
    else:
        adjusted_max_sum(x, ld, rows, SCALE_AND_ADDENDS, adjustment, kind, ROUNDED, shift, round_bias,
                         underflow_below, ahead, ahead_ld, out, out_ld, maximum, totals, carries)


cdef inline void online_max_sum(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                                const Adjustment *adjustment, const real *guess, Terms terms, real *shift,
                                real *round_bias, real *underflow_below, Py_ssize_t ahead, Py_ssize_t ahead_ld,
                                const real *out, Py_ssize_t out_ld, real *maximum, real *totals,
                                real *carries) noexcept nogil:
    """online_max_sum_lanes with shifts from a guess at each maximum, with headroom. Shifts of 0 are not subtracted.

    Adjusted elements take all lanes.
    """
    cdef ShiftKind kind = lowered_shifts_of_lanes(guess, width, headroom(<real>0), shift, round_bias, underflow_below)
    if adjustment != NULL and terms == EXACT:
        exact_adjusted_max_sum(x, ld, rows, adjustment, kind, shift, round_bias, underflow_below, ahead, ahead_ld, out,
                               out_ld, maximum, totals, carries)
    elif adjustment != NULL:
        rounded_adjusted_max_sum(x, ld, rows, adjustment, kind, shift, round_bias, underflow_below, ahead, ahead_ld,
                                 out, out_ld, maximum, totals, carries)
    elif kind == ZERO_SHIFT:
        online_max_sum_lanes(x, ld, rows, width, NOT_ADJUSTED, NULL, ZERO_SHIFT, terms, shift, round_bias,
                             underflow_below, ahead, ahead_ld, out, out_ld, maximum, totals, carries)
    else:
        online_max_sum_lanes(x, ld, rows, width, NOT_ADJUSTED, NULL, ANY_SHIFT, terms, shift, round_bias,
                             underflow_below, ahead, ahead_ld, out, out_ld, maximum, totals, carries)


cdef inline void difference_term(real v, real maximum, real round_bias, real underflow_below, Inclusion inclusion,
                                 real *high, real *low) noexcept nogil:
    """high + low = exp(v - maximum), times 2**OFFSET. The bits are those of add_difference to a total of 0."""
    cdef real d, d_low, head, tail, scale
    difference_in_two(v, maximum, underflow_below, inclusion, &d, &d_low)
    split_exp_of_two(d, d_low, round_bias, &head, &tail, &scale)
    high[0], low[0] = head*scale, multiply_add(tail, scale, <real>0)


cdef inline void add_difference(real *total, real v, real maximum, real round_bias, real underflow_below,
                                Inclusion inclusion, real *e, real *low) noexcept nogil:
    """Add exp(v - maximum), within 0.3 u of it, u = 2**-53 (float: 2**-24).

    If the maximum is in the total, the total is the larger operand. Otherwise comparisons find it, written out here
    because GCC makes slower code of add_either (P19).
    """
    cdef real d, d_low, head, tail, scale, result, large, small
    difference_in_two(v, maximum, underflow_below, inclusion, &d, &d_low)
    split_exp_of_two(d, d_low, round_bias, &head, &tail, &scale)
    head *= scale
    result = total[0] + head
    if inclusion == WITHOUT_MAXIMUM:
        large = total[0] if total[0] > head else head
        small = head if total[0] > head else total[0]
    else:
        large, small = total[0], head
    low[0] = (small - (result - large)) + tail*scale
    e[0] = multiply_add(tail, scale, head)
    total[0] = result


cdef inline real bias_of_differences(Inclusion inclusion, real _) noexcept nogil:
    """Where the total begins: above any term WITH_MAXIMUM; at 0 WITHOUT_MAXIMUM, because each addition compares."""
    return 0 if inclusion == WITHOUT_MAXIMUM else 2*scaled_one(<real>0)


cdef inline void add_difference_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                                      const real *maximum, Inclusion inclusion, Store store, Py_ssize_t ahead,
                                      real *out, Py_ssize_t out_ld, real *totals, real *carries,
                                      real *counts) noexcept nogil:
    """Add exp(v - maximum[j]) over column j, times 2**OFFSET, to totals[j], and the rounding errors to carries[j].

    A carry of float32 takes at most CARRY_ROWS rows.
    """
    cdef Py_ssize_t i, j
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real count[LANES]
    cdef real e0[LANES]
    cdef real e1[LANES]
    cdef real low0, low1
    cdef const real *row
    cdef real round_bias = round_bias_of(<real>0), underflow_below = underflow_of(<real>0), one = scaled_one(<real>0)
    for j in range(width):
        total[j] = totals[j]
        carry[j] = carries[j]
        count[j] = counts[j]
    for i in range(rows//2):
        row = x + 2*i*ld
        if store == STORE and ahead:            # other sums have too few rows for that
            prefetch_lanes(row + ahead, width, ahead)
            prefetch_lanes(row + ahead + ld, width, ahead)
        for j in range(width):
            add_difference(&total[j], row[j], maximum[j], round_bias, underflow_below, inclusion, &e0[j], &low0)
            add_difference(&total[j], row[ld + j], maximum[j], round_bias, underflow_below, inclusion, &e1[j], &low1)
            carry[j] += low0 + low1
            if inclusion == WITHOUT_MAXIMUM:
                count[j] += one_if(row[j] == maximum[j], <real>0) + one_if(row[ld + j] == maximum[j], <real>0)
        if store == STORE:
            for j in range(width):
                out[2*i*out_ld + j] = one if inclusion == WITHOUT_MAXIMUM and row[j] == maximum[j] else e0[j]
            for j in range(width):
                out[(2*i + 1)*out_ld + j] = one if inclusion == WITHOUT_MAXIMUM and row[ld + j] == maximum[j] else e1[j]
    if rows % 2:
        row = x + (rows - 1)*ld
        for j in range(width):
            add_difference(&total[j], row[j], maximum[j], round_bias, underflow_below, inclusion, &e0[j], &low0)
            carry[j] += low0
            if inclusion == WITHOUT_MAXIMUM:
                count[j] += one_if(row[j] == maximum[j], <real>0)
        if store == STORE:
            for j in range(width):
                out[(rows - 1)*out_ld + j] = one if inclusion == WITHOUT_MAXIMUM and row[j] == maximum[j] else e0[j]
    for j in range(width):
        totals[j] = total[j]
        carries[j] = carry[j]
        counts[j] = count[j]


cdef inline void difference_sum_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                                      const real *maximum, Inclusion inclusion, Store store, Py_ssize_t ahead,
                                      real *out, Py_ssize_t out_ld, real *totals, real *carries,
                                      real *counts) noexcept nogil:
    """totals[j] + carries[j] becomes the sum of exp(v - maximum[j]) over column j, of at most CARRY_ROWS rows.

    The sum is scaled by 2**OFFSET. The difference has two parts, so no shift is needed. With a shift, exp(maximum)
    would not be 1, and results would have to be divided by it. For a few rows this costs less (P19). WITHOUT_MAXIMUM
    leaves the maximum out and counts it. STORE writes all exponentials to `out`, rounded.
    """
    cdef Py_ssize_t j
    cdef real bias = bias_of_differences(inclusion, <real>0)
    for j in range(width):
        totals[j] = bias
        carries[j] = 0
        counts[j] = 0
    add_difference_lanes(x, ld, rows, width, maximum, inclusion, store, ahead, out, out_ld, totals, carries, counts)
    for j in range(width):
        totals[j] -= bias


cdef inline void long_difference_sum_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width,
                                           const real *maximum, Inclusion inclusion, Store store, Py_ssize_t ahead,
                                           real *out, Py_ssize_t out_ld, real *totals, real *carries,
                                           real *counts) noexcept nogil:
    """difference_sum_lanes of any number of rows.

    The carries' sum has the type double. It is at most 9 % of the whole, so it needs no carry of its own.
    """
    cdef Py_ssize_t block, j, done = 0
    cdef real bias = bias_of_differences(inclusion, <real>0)
    cdef double carry_sum[LANES]
    for j in range(width):
        totals[j] = bias
        counts[j] = 0
        carry_sum[j] = 0
    while done < rows:
        block = min_of(rows - done, CARRY_ROWS)
        for j in range(width):
            carries[j] = 0
        add_difference_lanes(x + done*ld, ld, block, width, maximum, inclusion, store, ahead, out + done*out_ld,
                             out_ld, totals, carries, counts)
        for j in range(width):
            carry_sum[j] += carries[j]
        done += block
    for j in range(width):
        totals[j] -= bias
        carries[j] = <real>carry_sum[j]
