# PartialSum: what is known of the elements seen so far, and the law by which two PartialSums are merged.
#
#     (m, n, s)  stands for  exp(m) (n + s):   m the maximum, n the count, s = others/p, p = exp(m) as the kernels scale
#                 it, see math/shift.pxi
#
#     identity         (-inf, 0, 0)
#     merge            (m, n, s) + (m', n', s') = (m, n + n', s + s')                          if m = m'
#                                                 (m, n, s + n' exp(m' - m) + s' exp(m' - m))  if m > m'
#     associative and commutative, but for rounding errors that others_low keeps
#
# Blocks of a row, pieces of a long reduction, the shares of threads, chunks of a stream, and blocks of Dask arrays and
# files are all merged by this law. The shape alone fixes the order of merging, so the bits of a result do not depend on
# which thread computed which part.
#
# To merge, the sum with the smaller maximum m' is brought to the larger maximum m: the elements counted in it are added
# to its others, and that sum is multiplied by exp(m' - m), mostly a power of two (see math/shift.pxi). others_low takes
# every rounding error, so logsumexp is still within 1 ULP after 10^5 merges.
#
# Elements that equal the maximum are counted and not summed, because where logsumexp is near 0, log(1 + s) needs all
# digits of a small s. softmax does not need them and adds the maximum to the others.

cdef struct ColumnSum:
    # One column of a PartialSum.
    double maximum
    double count
    double others
    double others_low


cdef inline void take_column(const PartialSum *sum, Py_ssize_t j, ColumnSum *column) noexcept nogil:
    column.maximum, column.count = sum.maximum[j], sum.count[j]
    column.others, column.others_low = sum.others[j], sum.others_low[j]


cdef inline void put_column(PartialSum *sum, Py_ssize_t j, const ColumnSum *column) noexcept nogil:
    sum.maximum[j], sum.count[j] = column.maximum, column.count
    sum.others[j], sum.others_low[j] = column.others, column.others_low


cdef void rescale(double *total, double *total_low, real old, real maximum) noexcept nogil:
    """Move a sum from the shift of `old` to that of `maximum`, which is larger: mostly by a power of two."""
    cdef real shift = shift_of(old), new_shift = shift_of(maximum)
    cdef double high = total[0], low = total_low[0]
    cdef double difference = <double>shift - <double>new_shift
    cdef double power, exponent, factor, factor_low
    if magnitude(old) == INFINITY or magnitude(maximum) == INFINITY or difference < -4096:
        total[0] = high*0           # nan stays
        total_low[0] = 0
        return
    power = <double>exponent_of(old - shift) - <double>exponent_of(maximum - new_shift)
    if difference != 0:
        exponent = exponent_of(difference)
        exp_in_two(difference, round_bias_of(exponent), &factor, &factor_low)
        factor *= 7.458340731200207e-155        # 2**-OFFSET: the sum has that factor already
        factor_low *= 7.458340731200207e-155
        low = multiply_add(low, factor, high*factor_low) + product_error(high, factor, high*factor)
        high *= factor
        power += exponent
    if power > -1022:
        factor = power_of_two(power)
        total[0] = high*factor
        total_low[0] = low*factor
    else:
        power = power if power > -4096 else -4096
        total[0] = ldexp(high, <int>power)
        total_low[0] = ldexp(low, <int>power)


cdef inline void move_maximum(PartialSum *sum, Py_ssize_t j, real maximum) noexcept nogil:
    """Let `maximum` be the maximum of a column without counted elements, if it is larger than the present one."""
    cdef real old = <real>sum.maximum[j]
    if maximum > old:
        sum.maximum[j] = maximum
        if sum.others[j] != 0:
            rescale(&sum.others[j], &sum.others_low[j], old, maximum)


cdef void raise_column(ColumnSum *column, real maximum) noexcept nogil:
    """Raise the maximum to `maximum`, which is no less than any element so far; counted elements join the others."""
    cdef real old = <real>column.maximum
    cdef double p, p_low, product, error
    column.maximum = maximum
    if column.count != 0:
        exp_of_maximum(old, &p, &p_low)
        product = column.count*p
        column.others = two_sum(column.others, product, &error)
        column.others_low += error + product_error(column.count, p, product) + column.count*p_low
        column.count = 0
    if column.others != 0:
        rescale(&column.others, &column.others_low, old, maximum)


cdef void raise_maximum(PartialSum *sum, Py_ssize_t j, real maximum) noexcept nogil:
    """raise_column for column j of a sum."""
    cdef ColumnSum column
    take_column(sum, j, &column)
    raise_column(&column, maximum)
    put_column(sum, j, &column)


cdef inline void join(PartialSum *sum, Py_ssize_t j, double others, double others_low, double count) noexcept nogil:
    """Add a sum that is relative to sum.maximum[j]."""
    cdef double error
    sum.others[j] = two_sum(sum.others[j], others, &error)
    sum.others_low[j] += others_low + error
    sum.count[j] += count


cdef inline void merge(PartialSum *sum, const PartialSum *other, Py_ssize_t first, Py_ssize_t columns,
                       Py_ssize_t period, real _) noexcept nogil:
    """Column i of `other` joins column (first + i) % period."""
    cdef Py_ssize_t i, j
    cdef ColumnSum added
    for i in range(columns):
        j = (first + i) % period
        take_column(other, i, &added)
        if other.maximum[i] > sum.maximum[j]:
            raise_maximum(sum, j, <real>other.maximum[i])
        elif sum.maximum[j] > other.maximum[i]:
            raise_column(&added, <real>sum.maximum[j])
        join(sum, j, added.others, added.others_low, added.count)


cdef void merge_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                    Py_ssize_t period) noexcept nogil:
    merge(&state.sum.partial, &other.sum.partial, first, columns, period, <float>0)


cdef void merge_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                    Py_ssize_t period) noexcept nogil:
    merge(&state.sum.partial, &other.sum.partial, first, columns, period, <double>0)


# Whether rounded terms were good enough -------------------------------------------------------------------------------

cdef enum Weighing:         # whether the logarithm of a weight will be added to the sum's:
    UNWEIGHED
    WEIGHED


cdef inline bint needs_exact_sum(real maximum, double count, double others, Weighing weighing) noexcept nogil:
    """Whether an error of 1.1 ULP in `others` may cost the result maximum + log(count + others/p) more than 1/3 ULP.

    It does not if abs(maximum) or the logarithm is 2 or more: p is less than 1.42 2**OFFSET, and exp(2) less than 7.4.
    If WEIGHED, log(abs(weight)) will be added too. Then the error is small enough if abs(maximum) is 2 or more
    or the logarithm 6 or more, because then the result or one of its three terms is 2 or more. exp(6) is less than 404.
    """
    cdef double share
    if real is float:
        share = 3.8e-20             # 2**-64/1.42
    else:
        share = 5.2e-155
    return (magnitude(maximum) < 2) & (count + others*share < (404.0 if weighing == WEIGHED else 7.4))


cdef inline bint any_needs_exact(const State *state, Py_ssize_t columns, Weighing weighing, real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef int any_ = 0
    cdef const PartialSum *sum = &state.sum.partial
    for j in range(columns):
        any_ |= needs_exact_sum(<real>sum.maximum[j], sum.count[j], sum.others[j], weighing)
    return any_


cdef inline void replace_inexact(State *state, const State *exact, Py_ssize_t columns, Weighing weighing,
                                 real _) noexcept nogil:
    """Replace only the columns that need it, because the bits of a column must not depend on its neighbours."""
    cdef Py_ssize_t j
    cdef PartialSum *sum = &state.sum.partial
    for j in range(columns):
        if needs_exact_sum(<real>sum.maximum[j], sum.count[j], sum.others[j], weighing):
            sum.count[j] = exact.sum.partial.count[j]
            sum.others[j], sum.others_low[j] = exact.sum.partial.others[j], exact.sum.partial.others_low[j]


cdef bint needs_exact_f32(const State *state, Py_ssize_t columns) noexcept nogil:
    return any_needs_exact(state, columns, UNWEIGHED, <float>0)


cdef bint needs_exact_f64(const State *state, Py_ssize_t columns) noexcept nogil:
    return any_needs_exact(state, columns, UNWEIGHED, <double>0)


cdef void replace_inexact_f32(State *state, const State *exact, Py_ssize_t columns) noexcept nogil:
    replace_inexact(state, exact, columns, UNWEIGHED, <float>0)


cdef void replace_inexact_f64(State *state, const State *exact, Py_ssize_t columns) noexcept nogil:
    replace_inexact(state, exact, columns, UNWEIGHED, <double>0)
