# RunningSum: the counterpart of PartialSum in scans, and the law by which two RunningSums are merged.
#
#     (r, s)  stands for  exp(r) s/p,   p = exp(r) as the kernels scale it;   s = high + middle + low
#
#     identity         (-inf, 0)
#     merge            the sum with the smaller reference is moved to the larger, then both are added
#     associative and commutative, but for rounding errors far below what a result shows
#
# The reference r is the maximum so far. A scan cannot count the maximum as a PartialSum does, because the next element
# may be larger. Instead the sum has three parts. After [0, -40, -40, ...] the logarithm consists of the small terms
# only, and the third part keeps them to their last bit.
#
# `high` is inf or nan from the first +inf or nan on.

cdef struct RunningColumn:
    # One column of a RunningSum.
    double reference
    double high
    double middle
    double low


cdef inline void take_running(const RunningSum *sum, Py_ssize_t j, RunningColumn *column) noexcept nogil:
    column.reference, column.high = sum.reference[j], sum.high[j]
    column.middle, column.low = sum.middle[j], sum.low[j]


cdef inline void put_running(RunningSum *sum, Py_ssize_t j, const RunningColumn *column) noexcept nogil:
    sum.reference[j], sum.high[j] = column.reference, column.high
    sum.middle[j], sum.low[j] = column.middle, column.low


cdef inline void join_parts(real a, real a_middle, real a_low, real b, real b_middle, real b_low, real *high,
                            real *middle, real *low) noexcept nogil:
    """The sum of two numbers in three parts. `middle` may be some ULP of `high`, and `low` of `middle`."""
    cdef real lost, middle_lost, both, both_lost
    high[0] = sum_in_two(a, b, &lost)
    both = sum_in_two(a_middle, b_middle, &middle_lost)
    middle[0] = sum_in_two(lost, both, &both_lost)
    low[0] = (both_lost + middle_lost) + (a_low + b_low)


cdef inline void normalise_parts(real *high, real *middle, real *low) noexcept nogil:
    """Change the parts such that each is at most half an ULP of the one before."""
    cdef real lost, rest = sum_in_two(middle[0], low[0], low)
    high[0] = sum_in_two(high[0], rest, &lost)
    middle[0] = sum_in_two(lost, low[0], low)


cdef inline void split_parts(double high, double middle, double low, real *a, real *a_middle,
                             real *a_low) noexcept nogil:
    """A sum of doubles in three parts of the elements' type."""
    cdef double rest
    a[0] = <real>high
    rest = (high - a[0]) + middle
    a_middle[0] = <real>rest
    a_low[0] = <real>((rest - a_middle[0]) + low)


cdef void raise_running(RunningColumn *column, real reference) noexcept nogil:
    """Make `reference` the reference of a column, if it is larger than the present one."""
    cdef real old = <real>column.reference
    if not reference > old:
        return
    column.reference = reference
    if column.high != 0 and is_finite(column.high):
        rescale(&column.high, &column.middle, old, reference)
        # Where the scale changes by more than a power of two, or vanishes, the third part no longer matters.
        column.low = 0 if shift_of(old) != shift_of(reference) else column.low*power_of_two(
            larger(<double>exponent_of(old - shift_of(old)) - <double>exponent_of(reference - shift_of(reference)),
                   <double>-1000))


cdef void merge_column(RunningColumn *column, const RunningColumn *other, real _) noexcept nogil:
    """Append the elements of `other` to those of a column."""
    cdef RunningColumn added = other[0]
    if not is_finite(column.high) or not is_finite(other.high):
        column.high = (<double>0 if is_finite(column.high) else column.high) + (
            <double>0 if is_finite(other.high) else other.high)
        return
    raise_running(column, <real>added.reference)
    raise_running(&added, <real>column.reference)
    join_parts(column.high, column.middle, column.low, added.high, added.middle, added.low, &column.high,
               &column.middle, &column.low)
    normalise_parts(&column.high, &column.middle, &column.low)


cdef inline void merge_running(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                               Py_ssize_t period, real type_) noexcept nogil:
    """Column i of `other` joins column (first + i) % period."""
    cdef Py_ssize_t i
    cdef RunningColumn column, added
    for i in range(columns):
        take_running(&state.sum.running, (first + i) % period, &column)
        take_running(&other.sum.running, i, &added)
        merge_column(&column, &added, type_)
        put_running(&state.sum.running, (first + i) % period, &column)


cdef void merge_running_f32(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                            Py_ssize_t period) noexcept nogil:
    merge_running(state, other, first, columns, period, <float>0)


cdef void merge_running_f64(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                            Py_ssize_t period) noexcept nogil:
    merge_running(state, other, first, columns, period, <double>0)
