# Lanes are the LANE_BYTES of elements that a loop handles at a time. This file fills them and folds them into one
# number.
#
# A row is read as a tile that is as wide as the lanes, with one shift for all. Compilers vectorise loops over lanes
# because the loops have a constant length and touch local arrays only. No pointer moves from row to row, because Clang
# could not tell where it leads, and would keep the lanes in memory (P33).

cdef inline Py_ssize_t lanes_of(const real *x) noexcept nogil:
    """How many lanes elements of this type have."""
    return LANES_F32 if real is float else LANES_F64


cdef inline Py_ssize_t min_of(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline real larger(real a, real b) noexcept nogil:
    """The larger of the two; b if either is nan."""
    return a if a > b else b


cdef inline real at_least(real x, real least) noexcept nogil:
    """The larger of the two; x if it is nan."""
    return least if x < least else x


cdef inline real one_if(bint condition, real _) noexcept nogil:
    return <real>1 if condition else <real>0


cdef inline void spread(real value, real *lanes) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(lanes_of(lanes)):
        lanes[j] = value


cdef inline void spread_shifts(real maximum, real *shift, real *round_bias, real *underflow_below) noexcept nogil:
    shifts_of(maximum, shift, round_bias, underflow_below)
    spread(shift[0], shift)
    spread(round_bias[0], round_bias)
    spread(underflow_below[0], underflow_below)


cdef inline void pad_first_lanes(real filler, const real *x, Py_ssize_t n, Py_ssize_t width,
                                 real *lanes) noexcept nogil:
    """pad_with, into the first `width` lanes."""
    cdef int j, left = <int>n       # ints of the elements' width, for a masked load
    for j in range(<int>width):
        lanes[j] = x[j] if j < left else filler


cdef inline void pad_with(real filler, const real *x, Py_ssize_t n, real *lanes) noexcept nogil:
    """The last n elements of a row, filled up with `filler`."""
    pad_first_lanes(filler, x, n, lanes_of(x), lanes)


cdef inline void pad(const real *x, Py_ssize_t n, real *lanes) noexcept nogil:
    """The last n elements of a row, filled up with -inf."""
    pad_with(<real>-INFINITY, x, n, lanes)


cdef inline void unpad(const real *lanes, Py_ssize_t n, real *out) noexcept nogil:
    """The first n lanes, to the end of a row."""
    cdef int j, left = <int>n
    for j in range(<int>lanes_of(out)):
        if j < left:
            out[j] = lanes[j]


cdef inline void pad_two(const real *x, const real *b, Py_ssize_t n, real *lanes, real *lanes_b) noexcept nogil:
    """The last n elements of two rows, filled up with 0."""
    cdef Py_ssize_t j
    spread(<real>0, lanes)
    spread(<real>0, lanes_b)
    for j in range(n):
        lanes[j] = x[j]
        lanes_b[j] = b[j]


# Columns that do not fill the lanes -----------------------------------------------------------------------------------
#
# The last group of lanes begins early enough to end with the columns, so some columns are done twice. If results
# replace the elements, columns cannot be done twice; then memory up to the next multiple of the lanes is used (see
# interface.pxd). If the last group fits in half of the lanes, only half are computed (P17). So loops over columns have
# the number of lanes as a parameter, which is a constant where they are inlined.

cdef inline Py_ssize_t filled(Py_ssize_t columns, Py_ssize_t width) noexcept nogil:
    """The least multiple of the lanes that is at least `columns`."""
    return (columns + width - 1)//width*width


cdef inline Py_ssize_t columns_to_do(const real *x, const real *out, Py_ssize_t columns) noexcept nogil:
    return filled(columns, lanes_of(x)) if x == out else columns


cdef inline Py_ssize_t columns_to_do_by_half(const real *x, const real *out, Py_ssize_t columns) noexcept nogil:
    """columns_to_do for callers that ask fits_half_the_lanes."""
    if real is float:
        return filled(columns, LANES_F32//2) if x == out else columns
    else:
        return columns_to_do(x, out, columns)


cdef inline Py_ssize_t first_column(Py_ssize_t group, Py_ssize_t width, Py_ssize_t columns) noexcept nogil:
    return columns - width if (group + 1)*width > columns > width else group*width


cdef inline bint fits_half_the_lanes(const real *x, Py_ssize_t group, Py_ssize_t columns) noexcept nogil:
    """Whether half of the lanes hold the last columns. For doubles, computing only half of the lanes gains nothing."""
    if real is float:
        return columns - group*LANES_F32 <= LANES_F32//2
    else:
        return False


cdef inline Py_ssize_t first_of_half_the_lanes(Py_ssize_t group, Py_ssize_t width, Py_ssize_t columns) noexcept nogil:
    return columns - width//2 if columns > width//2 else group*width


cdef inline Py_ssize_t last_columns(const real *x, Py_ssize_t columns, Py_ssize_t *first) noexcept nogil:
    """How many lanes the last group computes, and its first column."""
    cdef Py_ssize_t width = lanes_of(x), group = (columns - 1)//width
    if fits_half_the_lanes(x, group, columns):
        first[0] = first_of_half_the_lanes(group, width, columns)
        return width//2
    first[0] = first_column(group, width, columns)
    return width


# Folding --------------------------------------------------------------------------------------------------------------

cdef inline void fold_max(real *maximum, Py_ssize_t half) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(half):
        maximum[j] = maximum[j + half] if maximum[j + half] > maximum[j] else maximum[j]


cdef inline real max_of_first_lanes(real *maximum, Py_ssize_t width) noexcept nogil:
    """max_of_lanes over the first `width` lanes, a power of two from 4 on."""
    if width > 16:
        fold_max(maximum, 16)
    if width > 8:
        fold_max(maximum, 8)
    if width > 4:
        fold_max(maximum, 4)
    fold_max(maximum, 2)
    fold_max(maximum, 1)
    return maximum[0]


cdef inline real max_of_lanes(real *maximum) noexcept nogil:
    return max_of_first_lanes(maximum, lanes_of(maximum))


cdef inline void fold_sum(double *sums, double *carries, Py_ssize_t half, real _) noexcept nogil:
    """Add the upper half of the sums to the lower. Sums of floats are doubles, and lose no digit that counts."""
    cdef Py_ssize_t j
    cdef double error
    for j in range(half):
        if real is float:
            sums[j] += sums[j + half]
        else:
            sums[j] = two_sum(sums[j], sums[j + half], &error)
            carries[j] += carries[j + half] + error


cdef inline double sum_of_first_lanes(double *sums, const real *carries, Py_ssize_t width,
                                      double *carry) noexcept nogil:
    """The sum over the first `width` lanes; `carry` becomes its rounding error, or 0 for floats.

    The bits are the same as over all lanes if the others hold 0.
    """
    cdef Py_ssize_t j
    cdef double c[LANES]
    for j in range(width):
        if real is float:
            sums[j] += carries[j]
        else:
            c[j] = carries[j]
    if width > 16:
        fold_sum(sums, c, 16, <real>0)
    if width > 8:
        fold_sum(sums, c, 8, <real>0)
    if width > 4:
        fold_sum(sums, c, 4, <real>0)
    fold_sum(sums, c, 2, <real>0)
    fold_sum(sums, c, 1, <real>0)
    if real is float:
        carry[0] = 0
        return sums[0]
    else:
        return two_sum(sums[0], c[0], carry)


cdef inline double sum_of_lanes(double *sums, const real *carries, double *carry) noexcept nogil:
    return sum_of_first_lanes(sums, carries, lanes_of(carries), carry)


cdef inline void fold_count(real *counts, Py_ssize_t half) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(half):
        counts[j] += counts[j + half]


cdef inline double count_of_first_lanes(real *counts, Py_ssize_t width) noexcept nogil:
    if width > 16:
        fold_count(counts, 16)
    if width > 8:
        fold_count(counts, 8)
    if width > 4:
        fold_count(counts, 4)
    fold_count(counts, 2)
    fold_count(counts, 1)
    return counts[0]


cdef inline double count_of_lanes(real *counts) noexcept nogil:
    return count_of_first_lanes(counts, lanes_of(counts))
