# categorical: the element at which the cumulative distribution passes a uniform number.
#
#     index = the least i with p_0 + ... + p_i > u,    p = softmax(x),  0 <= u < 1
#
# 1. The first pass computes a PartialSum of each stretch of the row (ops/partial_sum.pxi). Brought to the maximum of
#    the row and added in order, these sums are the cumulative distribution over stretches.
# 2. u falls into one stretch. The rest of u, divided by the probability of that stretch, is uniform again.
# 3. In a block, exponentials are computed again, relative to the block's maximum, and added up over rows of lanes. In
#    the row of lanes that the rest of u falls into, they are added one after the other.
#
# Error: the interval of u that draws an element is as long as its probability within 2**-51. The relative error is at
# most 4 u, u = 2**-53 (float: 2**-24), unless the interval is as short as 2**-53, the step of u.
#
# Each search finds the first sum that is larger than the number, so it never stops at an element of probability 0,
# which leaves the sum unchanged. No product here is followed by an addition, so nothing can be fused: all variants that
# have the same sums draw the same elements.

cdef inline double below_one(double uniform) noexcept nogil:
    """The number, or the nearest in [0, 1): a quotient may be rounded up to 1, and a generator may be wrong."""
    return (uniform if uniform < 1 else 0.9999999999999999) if uniform >= 0 else 0


cdef Py_ssize_t pick(const double *cumulative, Py_ssize_t n, double uniform, double *left) noexcept nogil:
    """The first of n sums that exceeds `uniform` times the last, and in `left` the place within its step."""
    cdef double target = below_one(uniform)*cumulative[n - 1], before
    cdef Py_ssize_t low = 0, half
    while n > 1:                # no branch on the sums: it could not be predicted
        half = n//2
        low += half if cumulative[low + half - 1] <= target else 0
        n -= half
    before = cumulative[low - 1] if low else 0
    left[0] = (target - before)/(cumulative[low] - before)
    return low


cdef inline bint cumulate(const double *sums, Py_ssize_t n, double *cumulative, real _) noexcept nogil:
    """Add up n partial sums, each of four numbers in the order of a PartialSum.

    Returns False if they are not a distribution: with nan or +inf, or if all elements are -inf.
    """
    cdef double maximum = -INFINITY, total = 0, p, p_low
    cdef Py_ssize_t i
    cdef ColumnSum column
    for i in range(n):
        maximum = larger(sums[4*i], maximum)
    if not is_finite(maximum):
        return False
    exp_of_maximum(<real>maximum, &p, &p_low)
    for i in range(n):
        column.maximum, column.count = sums[4*i], sums[4*i + 1]
        column.others, column.others_low = sums[4*i + 2], sums[4*i + 3]
        if column.maximum < maximum:
            raise_column(&column, <real>maximum)
        total += multiply_add(column.count, p, column.others + column.others_low)
        cumulative[i] = total
    return is_finite(total)


cdef bint cumulate_f32(const double *sums, Py_ssize_t n, double *cumulative) noexcept nogil:
    return cumulate(sums, n, cumulative, <float>0)


cdef bint cumulate_f64(const double *sums, Py_ssize_t n, double *cumulative) noexcept nogil:
    return cumulate(sums, n, cumulative, <double>0)


cdef void cumulate_block(const real *x, Py_ssize_t n, real *e, double *cumulative) noexcept nogil:
    """The exponentials of a block, padded to whole rows of lanes, and their sums up to the end of each row of lanes."""
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width, i, j
    cdef real tail[LANES]
    cdef real lows[LANES]
    cdef double sums[LANES]
    cdef double total = 0, low
    cdef real shift, round_bias, underflow_below, unused
    shifts_of(max_of_row(x, n, tail), &shift, &round_bias, &underflow_below)
    spread(<real>0, lows)
    for i in range(rows + (remaining > 0)):
        if i == rows:
            x = tail
        for j in range(lanes_of(x)):
            take_term(at_least(x[j] - shift, underflow_below), round_bias, ROUNDED, &e[j], &unused, &lows[j])
        for j in range(lanes_of(x)):
            sums[j] = e[j]
        total += sum_of_lanes(sums, lows, &low)
        cumulative[i] = total
        x += width
        e += width


cdef inline Py_ssize_t last_possible(const real *e, Py_ssize_t index) noexcept nogil:
    """The index, or the last possible element of the row of lanes: sums in another order may not reach the target."""
    if index == lanes_of(e):
        index -= 1
        while not e[index] > 0:
            index -= 1
    return index


cdef Py_ssize_t pick_element(const real *e, const double *cumulative, Py_ssize_t n, double uniform) noexcept nogil:
    """The element of a block that a uniform number draws."""
    cdef Py_ssize_t width = lanes_of(e), row, i, index = 0
    cdef double left, total = 0, target
    row = pick(cumulative, (n + width - 1)//width, uniform, &left)
    target = below_one(left)*(cumulative[row] - (cumulative[row - 1] if row else 0))
    e += row*width
    for i in range(width):
        total += e[i]
        index += total <= target
    return row*width + last_possible(e, index)


cdef inline Py_ssize_t row_passing(const double *cumulative, Py_ssize_t rows, Py_ssize_t row,
                                   double target) noexcept nogil:
    """The first row of lanes, from `row` on, whose sum exceeds the target, or the last row."""
    while row < rows - 1 and cumulative[row] <= target:
        row += 1
    return row


cdef void pick_elements(const real *e, const double *cumulative, Py_ssize_t n, const double *uniforms,
                        Py_ssize_t draws, double *running, Py_ssize_t *indices) noexcept nogil:
    """pick_element for many numbers.

    The sums along each row of lanes are stored first. Sums are compared as vectors. If there are more draws than parts
    of [0, 1), the search for a row of lanes begins at the row that the least number of its part falls into, and rarely
    takes a step. Binary searches are no faster, because GCC turns their conditions into branches, and half of them are
    mispredicted.
    """
    cdef Py_ssize_t width = lanes_of(e), rows = (n + width - 1)//width, row, i, j, index
    cdef double uniform, total, target, before
    cdef bint many = draws > DRAW_BUCKETS
    cdef const double *sums
    cdef Py_ssize_t firsts[DRAW_BUCKETS]
    for row in range(rows):
        total = 0
        for i in range(row*width, (row + 1)*width):
            total += e[i]
            running[i] = total
    row = 0
    for i in range(DRAW_BUCKETS if many else 0):
        row = row_passing(cumulative, rows, row, <double>i/DRAW_BUCKETS*cumulative[rows - 1])
        firsts[i] = row
    for i in range(draws):
        uniform = below_one(uniforms[i])
        target = uniform*cumulative[rows - 1]
        if many:
            row = row_passing(cumulative, rows, firsts[<Py_ssize_t>(uniform*DRAW_BUCKETS)], target)
        else:
            row = 0
            for j in range(rows - 1):
                row += cumulative[j] <= target
        before = cumulative[row - 1] if row else 0
        target = below_one((target - before)/(cumulative[row] - before))*(cumulative[row] - before)
        sums = running + row*width
        index = 0
        for j in range(lanes_of(e)):
            index += sums[j] <= target
        indices[i] = row*width + last_possible(e + row*width, index)


# Short rows side by side ----------------------------------------------------------------------------------------------

cdef void exponentiate_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, real *e,
                            double *totals) noexcept nogil:
    """The exponentials of a tile, with TILE_COLUMNS in a row, and the sum of each column, added from top to bottom."""
    cdef Py_ssize_t width = lanes_of(x), first, i, j
    cdef real maximum[LANES]
    cdef real shift[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real term[LANES]
    cdef double sums[LANES]
    cdef real unused, lost
    for first from 0 <= first < columns by width:
        spread(<real>-INFINITY, maximum)
        max_lanes(x + first, ld, rows, width, maximum)
        for j in range(width):
            shifts_of(maximum[j], &shift[j], &round_bias[j], &underflow_below[j])
            sums[j] = 0
        for i in range(rows):
            for j in range(width):
                take_term(at_least(x[i*ld + first + j] - shift[j], underflow_below[j]), round_bias[j], ROUNDED,
                          &term[j], &unused, &lost)
            for j in range(width):
                e[i*TILE_COLUMNS + first + j] = term[j]
                sums[j] += term[j]
        for j in range(width):
            totals[first + j] = sums[j]


cdef void pick_of_tile(const real *e, Py_ssize_t rows, Py_ssize_t columns, const double *totals,
                       const double *uniforms, double *indices) noexcept nogil:
    """The element that the uniform number of each column draws; -1 if a column is not a distribution."""
    cdef Py_ssize_t width = lanes_of(e), first, i, j
    cdef double sums[LANES]
    cdef double targets[LANES]
    cdef double found[LANES]
    for first from 0 <= first < columns by width:
        for j in range(width):
            targets[j] = below_one(uniforms[first + j])*totals[first + j]
            sums[j] = 0
            found[j] = 0
        for i in range(rows):
            for j in range(width):
                sums[j] += e[i*TILE_COLUMNS + first + j]
                found[j] += 1.0 if sums[j] <= targets[j] else 0.0
        for j in range(width):
            indices[first + j] = found[j] if is_finite(totals[first + j]) else -1


# Table ----------------------------------------------------------------------------------------------------------------

cdef void fill_categorical(ScoreKernels *kernels, real _) noexcept:
    kernels.cumulate = cumulate_f32 if real is float else cumulate_f64
    kernels.cumulate_block = <CumulateBlock>cumulate_block[real]
    kernels.pick = pick
    kernels.pick_element = <PickElement>pick_element[real]
    kernels.pick_elements = <PickElements>pick_elements[real]
    kernels.exponentiate_tile = <ExponentiateTile>exponentiate_tile[real]
    kernels.pick_of_tile = <PickOfTile>pick_of_tile[real]
