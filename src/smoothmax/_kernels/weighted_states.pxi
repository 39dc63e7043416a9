# States with weights: sum + sum_low is the sum over exp(reference), scaled as elsewhere, and may have either sign; the
# reference is only near the largest a + log(abs(b)), and nothing is counted.
#
# A reference from HUGE on is so coarse that rounding it may take more than the exponent has room for:
# logsumexp([1e19], b=[1e300]) has a reference of 1e19 and a term that is exp(690) times as much. So 2**exponent is part
# of the reference. It is 1 where the reference is not the shift itself.

cdef inline real weighted_floor_of(real exponent) noexcept nogil:
    """floor_of, lower by the largest k there is: an argument there gives 0 with every weight."""
    if real is float:
        return (exponent - <float>(191 + 150))*<float>0.6931471805599453
    else:
        return (exponent - (1535 + 1100))*0.6931471805599453


cdef inline void weighted_shifts_of(real reference, real count, bint any_size, real *shift, real *magic,
                                    real *floor) noexcept nogil:
    lowered_shifts_of(reference, count, shift, magic, floor)
    if any_size:
        floor[0] = weighted_floor_of(magic_of(<real>0) - magic[0])


cdef real exponent_beyond(real top, const real *a, const real *b, Py_ssize_t n, Py_ssize_t a_step,
                          Py_ssize_t b_step) noexcept nogil:
    """What count must be for the largest term of a column to be near its reference."""
    cdef Py_ssize_t i
    cdef real m, v, best = -INFINITY
    if magnitude(top) == INFINITY or shift_of(top) != top or top == 0:
        return 0
    for i in range(n):
        if b[i*b_step] != 0:
            v = (a[i*a_step] - top)*<real>1.4426950408889634 + split_weight(b[i*b_step], &m)
            best = v if v > best else best
    return nearest_integer(best)


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


cdef inline void move_weighted(WeightedColumn *column, real reference, real exponent) noexcept nogil:
    """Let exp(reference) 2**exponent be a column's reference, if it is larger than the present one."""
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
    """Move columns side by side to their references; False where a sum has to be scaled for it."""
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
    """Add a sum that was taken against the same reference."""
    cdef double error
    total[0] = two_sum(total[0], added, &error)
    total_low[0] += added_low + error


cdef inline void merge_weighted(WeightedSum *sum, const WeightedSum *other, Py_ssize_t first, Py_ssize_t columns,
                                Py_ssize_t period, real _) noexcept nogil:
    """merge for states with weights."""
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
        if magnitude(column.sum) == INFINITY:        # which two_sum made nan of
            column.sum_low = 0
        put_weighted(sum, j, &column)


cdef void merge_weighted_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                             Py_ssize_t period) noexcept nogil:
    merge_weighted(weighted_of(state), <const WeightedSum *>&other.sum, first, columns, period, <float>0)


cdef void merge_weighted_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                             Py_ssize_t period) noexcept nogil:
    merge_weighted(weighted_of(state), <const WeightedSum *>&other.sum, first, columns, period, <double>0)


cdef double special_sum(const real *a, const real *b, Py_ssize_t n, Py_ssize_t a_step,
                        Py_ssize_t b_step) noexcept nogil:
    """The weighted sum of exponentials of a column as far as it is not finite: inf, -inf, nan; or 0."""
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
    """Add a block's sum, taken against sum.reference[j]; where that means nothing, what special_sum says."""
    if total == total and sum.reference[j] < INFINITY:
        add_weighted(&sum.sum[j], &sum.sum_low[j], total, low)
        return
    if sum.reference[j] < INFINITY:     # the first of this kind: what came before is finite, and does not matter
        sum.reference[j] = INFINITY
        sum.sum[j] = 0
    sum.sum[j] += special_sum(a, b, n, a_step, b_step)
    sum.exponent[j] = sum.sum_low[j] = 0


cdef inline double weighted_log_of(double rest, double carry, real exponent, double *total,
                                   double *low) noexcept nogil:
    """The logarithm of the size of a sum that is scaled as the exponent says; `total` has its sign."""
    cdef double error
    total[0] = two_sum(rest, carry, &error)
    if real is float:
        exponent -= 64
    else:
        exponent -= 512
    return split_log(<double>0, magnitude(total[0]), error if total[0] > 0 else -error, exponent, low)


cdef inline double weighted_value(double shift, double log_sum, double low, double total, bint signed) noexcept nogil:
    """The result of a sum; of a negative one nan but where its sign goes with it."""
    cdef double value = shifted(shift, log_sum, low)
    value = -INFINITY if total == 0 else INFINITY if magnitude(total) == INFINITY else value
    return value if (total >= 0) | (signed & (total < 0)) else <double>NAN


cdef struct WeightedLogs:
    # The logarithms of the sizes of sums divided by exp(shift), and totals that have the sums' signs.
    double shift[TILE_COLUMNS]
    double total[TILE_COLUMNS]
    double log_sum[TILE_COLUMNS]
    double log_sum_low[TILE_COLUMNS]


cdef inline void take_weighted_logs(const WeightedSum *sum, Py_ssize_t columns, WeightedLogs *logs,
                                    real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef real reference, shift, exponent
    for j in range(columns):
        reference = <real>sum.reference[j]
        shift = shift_of(reference)
        exponent = exponent_of(remainder_of(reference, shift)) + <real>sum.exponent[j]
        logs.log_sum[j] = weighted_log_of(sum.sum[j], sum.sum_low[j], exponent, &logs.total[j], &logs.log_sum_low[j])
        logs.shift[j] = shift


cdef void write_weighted(const WeightedLogs *logs, Py_ssize_t columns, real *out, real *sign,
                         bint signed) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total
    for j in range(columns):
        total = logs.total[j]
        out[j] = <real>weighted_value(logs.shift[j], logs.log_sum[j], logs.log_sum_low[j], total, signed)
        sign[j] = <real>(1 if total > 0 else -1 if total < 0 else total)


cdef void finish_weighted_logsumexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef WeightedLogs logs
    cdef real unused[TILE_COLUMNS]
    take_weighted_logs(weighted_of(state), columns, &logs, <real>0)
    write_weighted(&logs, columns, out, sign if sign != NULL else unused, sign != NULL)


# From states without weights ----------------------------------------------------------------------------------------

cdef void weigh(State *state, Py_ssize_t columns, real _) noexcept nogil:
    """Make of a state of logsumexp one whose weights are all 1: nothing is counted any more."""
    cdef Py_ssize_t j
    cdef real maximum
    cdef double total
    cdef ColumnSum column
    cdef WeightedSum weighted
    for j in range(columns):
        take_column(&state.sum, j, &column)
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
    memcpy(&state.sum, &weighted, sizeof(WeightedSum))      # the views may not be mixed, see weighted_of


cdef void weigh_f32(State *state, Py_ssize_t columns) noexcept nogil:
    weigh(state, columns, <float>0)


cdef void weigh_f64(State *state, Py_ssize_t columns) noexcept nogil:
    weigh(state, columns, <double>0)
