# WeightedSum: the counterpart of PartialSum for weights, and the law by which two WeightedSums are merged.
#
#     (r, e, s)  stands for  exp(r) 2**e s/p,   p = exp(r) as the kernels scale it;   s = sum + sum_low, of either sign
#
#     identity         (-inf, 0, 0)
#     merge            the sum with the smaller reference is moved to the larger, then both are added
#     associative and commutative, but for rounding errors that sum_low keeps
#
# The reference r is only near the largest a + log(abs(b)). No term is counted instead of summed, because terms may
# cancel. e is 0 unless r is HUGE or more. Such an r is so coarse that its rounding error may exceed the headroom of the
# exponent: logsumexp([1e19], b=[1e300]) has the reference 1e19 and a term that is exp(690) times exp(1e19).
#
# A sum that is not finite has the reference inf, and is inf, -inf or nan.

cdef struct WeightedColumn:
    # One column of a WeightedSum.
    double reference
    double exponent
    double sum
    double sum_low


cdef struct WeightedLanes:
    # As many columns of a WeightedSum as there are lanes.
    double reference[LANES]
    double exponent[LANES]
    double sum[LANES]
    double sum_low[LANES]


cdef inline void take_weighted(const WeightedSum *sum, Py_ssize_t j, WeightedColumn *column) noexcept nogil:
    column.reference, column.exponent, column.sum, column.sum_low = (
        sum.reference[j], sum.exponent[j], sum.sum[j], sum.sum_low[j])


cdef inline void put_weighted(WeightedSum *sum, Py_ssize_t j, const WeightedColumn *column) noexcept nogil:
    sum.reference[j], sum.exponent[j] = column.reference, column.exponent
    sum.sum[j], sum.sum_low[j] = column.sum, column.sum_low


cdef inline void put_weighted_lanes(WeightedSum *sum, Py_ssize_t first, const WeightedLanes *lanes,
                                    Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(width):
        sum.reference[first + j], sum.exponent[first + j] = lanes.reference[j], lanes.exponent[j]
        sum.sum[first + j], sum.sum_low[first + j] = lanes.sum[j], lanes.sum_low[j]


cdef inline real weighted_underflow_of(real exponent) noexcept nogil:
    """underflow_of, lower by the largest possible k: at such an argument, the term of every weight is 0."""
    if real is float:
        return (exponent - <float>(191 + 150))*<float>0.6931471805599453
    else:
        return (exponent - (1535 + 1100))*0.6931471805599453


cdef inline void weighted_shifts_of(real reference, real count, WeightRange sizes, real *shift, real *round_bias,
                                    real *underflow_below) noexcept nogil:
    lowered_shifts_of(reference, count, shift, round_bias, underflow_below)
    if sizes == ANY_SIZE:
        underflow_below[0] = weighted_underflow_of(round_bias_of(<real>0) - round_bias[0])


cdef real exponent_above(real maximum, const real *a, const real *b, Py_ssize_t n, Py_ssize_t a_step,
                         Py_ssize_t b_step) noexcept nogil:
    """The exponent that brings the reference near the largest term of a column."""
    cdef Py_ssize_t i
    cdef real m, v, best = -INFINITY
    if magnitude(maximum) == INFINITY or shift_of(maximum) != maximum or maximum == 0:
        return 0
    for i in range(n):
        if b[i*b_step] != 0:
            v = (a[i*a_step] - maximum)*<real>1.4426950408889634 + split_weight(b[i*b_step], &m)
            best = v if v > best else best
    return nearest_integer(best)


cdef inline void move_weighted(WeightedColumn *column, real reference, real exponent) noexcept nogil:
    """Make exp(reference) 2**exponent the reference of a column, if it is larger than the present one."""
    cdef real old = <real>column.reference
    cdef double power = column.exponent - exponent
    if not (reference > old or reference == old and power < 0):
        return
    if column.sum != 0 or column.sum_low != 0:
        rescale(&column.sum, &column.sum_low, old, reference)
        if power != 0:
            column.sum = ldexp(column.sum, <int>power)
            column.sum_low = ldexp(column.sum_low, <int>power)
    column.reference, column.exponent = reference, exponent


cdef inline bint raised_weighted(const WeightedSum *sum, Py_ssize_t first, const real *reference,
                                 WeightedLanes *moved) noexcept nogil:
    """Move columns side by side to their references; return False if a sum would have to be scaled."""
    cdef Py_ssize_t j
    cdef double rises
    cdef double scales[LANES]
    cdef int any_ = 0
    for j in range(lanes_of(reference)):
        rises = 1 if reference[j] > sum.reference[first + j] else 0
        scales[j] = rises*(magnitude(sum.sum[first + j]) + magnitude(sum.sum_low[first + j]))
        scales[j] += 1 if sum.exponent[first + j] < 0 else 0
        moved.reference[j] = reference[j] if reference[j] > sum.reference[first + j] else sum.reference[first + j]
        moved.exponent[j] = 0 if reference[j] > sum.reference[first + j] else sum.exponent[first + j]
        moved.sum[j], moved.sum_low[j] = sum.sum[first + j], sum.sum_low[first + j]
    for j in range(lanes_of(reference)):
        any_ |= scales[j] != 0
    return not any_


cdef inline void add_weighted(double *total, double *total_low, double added, double added_low) noexcept nogil:
    """Add a sum that has the same reference."""
    cdef double error
    total[0] = two_sum(total[0], added, &error)
    total_low[0] += added_low + error


cdef inline void merge_weighted(WeightedSum *sum, const WeightedSum *other, Py_ssize_t first, Py_ssize_t columns,
                                Py_ssize_t period, real _) noexcept nogil:
    """Column i of `other` joins column (first + i) % period."""
    cdef Py_ssize_t i, j
    cdef WeightedColumn added
    cdef WeightedColumn column
    for i in range(columns):
        j = (first + i) % period
        take_weighted(other, i, &added)
        take_weighted(sum, j, &column)
        move_weighted(&column, <real>added.reference, <real>added.exponent)
        move_weighted(&added, <real>column.reference, <real>column.exponent)
        add_weighted(&column.sum, &column.sum_low, added.sum, added.sum_low)
        if magnitude(column.sum) == INFINITY:        # its rounding error would be nan
            column.sum_low = 0
        put_weighted(sum, j, &column)


cdef void merge_weighted_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                             Py_ssize_t period) noexcept nogil:
    merge_weighted(&state.sum.weighted, &other.sum.weighted, first, columns, period, <float>0)


cdef void merge_weighted_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                             Py_ssize_t period) noexcept nogil:
    merge_weighted(&state.sum.weighted, &other.sum.weighted, first, columns, period, <double>0)


cdef double special_sum(const real *a, const real *b, Py_ssize_t n, Py_ssize_t a_step,
                        Py_ssize_t b_step) noexcept nogil:
    """The part of a column's weighted sum that is not finite: inf, -inf or nan; 0 where there is none."""
    cdef Py_ssize_t i
    cdef double total = 0
    cdef real u, w
    for i in range(n):
        u, w = a[i*a_step], b[i*b_step]
        if w == 0:
            continue
        if u != u or u == INFINITY:
            total += <double>u*w
        elif w != w or magnitude(w) == INFINITY:
            total += w*(0 if u == -INFINITY else 1)
    return total


cdef void join_weighted(WeightedSum *sum, Py_ssize_t j, double total, double low, const real *a, const real *b,
                        Py_ssize_t n, Py_ssize_t a_step, Py_ssize_t b_step) noexcept nogil:
    """Add a block's sum relative to sum.reference[j]; if it is not finite, add the result of special_sum instead."""
    if total == total and sum.reference[j] < INFINITY:
        add_weighted(&sum.sum[j], &sum.sum_low[j], total, low)
        return
    if sum.reference[j] < INFINITY:     # this is the first such block: drop the finite sum so far
        sum.reference[j] = INFINITY
        sum.sum[j] = 0
    sum.sum[j] += special_sum(a, b, n, a_step, b_step)
    sum.exponent[j] = sum.sum_low[j] = 0


# From sums without weights --------------------------------------------------------------------------------------------

cdef void weigh(State *state, Py_ssize_t columns, real _) noexcept nogil:
    """Turn sums of logsumexp into sums with weights that are all 1, where no element is counted any more."""
    cdef Py_ssize_t j
    cdef real maximum
    cdef double total
    cdef ColumnSum column
    cdef WeightedSum weighted
    for j in range(columns):
        take_column(&state.sum.partial, j, &column)
        maximum = <real>column.maximum
        total = column.others + column.others_low
        weighted.reference[j], weighted.exponent[j] = maximum, 0
        weighted.sum[j] = weighted.sum_low[j] = 0
        if maximum == INFINITY or total != total:
            weighted.reference[j] = INFINITY
            weighted.sum[j] = total if total != total else INFINITY
        elif maximum != -INFINITY:
            raise_column(&column, maximum)
            weighted.sum[j], weighted.sum_low[j] = column.others, column.others_low
    memcpy(&state.sum.weighted, &weighted, sizeof(WeightedSum))     # through pointers to both, the two do not alias


cdef void weigh_f32(State *state, Py_ssize_t columns) noexcept nogil:
    weigh(state, columns, <float>0)


cdef void weigh_f64(State *state, Py_ssize_t columns) noexcept nogil:
    weigh(state, columns, <double>0)
