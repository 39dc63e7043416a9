# DotSum: the sum of b*(x - reference), and of b. Shared by the losses and by the products with Jacobians.
#
#     identity         (0, 0)
#     merge            componentwise, once both have the same reference
#     change of reference from r to r':   dot + (r - r')*mass
#
# The reference is 0, or the maximum of the state's PartialSum, after the kernels of logsumexp have updated it. x never
# exceeds the maximum. So if all weights have the same sign, all terms have one sign, and so has the number that a
# change of reference adds: nothing cancels. An element of weight 0 adds nothing, even if x is inf or nan. The rounding
# errors of additions are added to `dot_low`; floats are added in double.

cdef enum DotTerms:         # what is summed:
    PRODUCTS                # b*(x - reference) and b, or
    WEIGHTS_ALONE           # b instead of the products


cdef struct ColumnDot:
    # One column of a DotSum.
    double dot
    double dot_low
    double mass
    double mass_low


cdef inline void join_dot(DotSum *sum, Py_ssize_t j, double dot, double low, double mass,
                          double mass_low) noexcept nogil:
    cdef double error, total = two_sum(sum.dot[j], dot, &error)
    sum.dot[j] = total
    sum.dot_low[j] = sum.dot_low[j] + (low + error) if is_finite(total) else 0
    sum.mass[j] = two_sum(sum.mass[j], mass, &error)
    sum.mass_low[j] += mass_low + error


cdef void move_column_dot(ColumnDot *column, double old, double reference) noexcept nogil:
    """Move a sum from one reference to another."""
    cdef double distance, lost, product, low, error, total
    if old == reference or column.mass == 0:
        return
    distance = two_sum(old, -reference, &lost)
    product = distance*column.mass
    low = product_error(distance, column.mass, product) + multiply_add(lost, column.mass, distance*column.mass_low)
    low = low if is_finite(low) else 0
    total = two_sum(column.dot, product, &error)
    column.dot = total
    column.dot_low = column.dot_low + (low + error) if is_finite(total) else 0


cdef void move_dot(DotSum *sum, Py_ssize_t j, double old, double reference) noexcept nogil:
    cdef ColumnDot column
    if old == reference or sum.mass[j] == 0:        # true for most columns: do not copy them
        return
    column.dot, column.dot_low, column.mass, column.mass_low = sum.dot[j], sum.dot_low[j], sum.mass[j], sum.mass_low[j]
    move_column_dot(&column, old, reference)
    sum.dot[j], sum.dot_low[j] = column.dot, column.dot_low


cdef void merge_dot(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                    Py_ssize_t period) noexcept nogil:
    cdef Py_ssize_t i
    cdef const DotSum *added = &other.second.dot
    for i in range(columns):
        join_dot(&state.second.dot, (first + i) % period, added.dot[i], added.dot_low[i], added.mass[i],
                 added.mass_low[i])


# Sums -----------------------------------------------------------------------------------------------------------------

cdef inline void add_signed(double *total, real *carry, real high, real low) noexcept nogil:
    """Add high + low, of either sign, to total + carry."""
    cdef double error
    if real is float:
        total[0] += high
        carry[0] += low
    else:
        total[0] = two_sum(total[0], high, &error)
        carry[0] += error + low


cdef inline void dot_lanes(const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                           const real *reference, DotTerms terms, double *sums, real *carries, double *masses,
                           real *mass_carries) noexcept nogil:
    """Add b*(x - reference[j]) of column j to sums[j] + carries[j] and b to masses[j]; WEIGHTS_ALONE: b to the sums."""
    cdef Py_ssize_t i, j
    cdef double s[LANES]
    cdef double mass[LANES]
    cdef real carry[LANES]
    cdef real mass_carry[LANES]
    cdef real w, d, product
    for j in range(lanes_of(b)):
        s[j] = sums[j]
        carry[j] = carries[j]
        mass[j] = masses[j]
        mass_carry[j] = mass_carries[j]
    for i in range(rows):
        for j in range(lanes_of(b)):
            w = b[i*b_ld + j]
            if terms == WEIGHTS_ALONE:
                add_signed(&s[j], &carry[j], w, <real>0)
            else:
                d = x[i*ld + j] - reference[j]
                d = 0 if w == 0 else d
                product = w*d
                add_signed(&s[j], &carry[j], product, product_error(w, d, product))
                add_signed(&mass[j], &mass_carry[j], w, <real>0)
    for j in range(lanes_of(b)):
        sums[j] = s[j]
        carries[j] = carry[j]
        masses[j] = mass[j]
        mass_carries[j] = mass_carry[j]


cdef double plain_dot(const real *x, const real *b, Py_ssize_t n, Py_ssize_t step, Py_ssize_t b_step, real reference,
                      DotTerms terms) noexcept nogil:
    """The sum without its rounding errors, which are meaningless if it is not finite."""
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(n):
        if terms == WEIGHTS_ALONE:
            total += b[i*b_step]
        elif b[i*b_step] != 0:
            total += <double>b[i*b_step]*(x[i*step] - reference)
    return total


cdef void add_dot_row(State *state, const real *x, const real *b, Py_ssize_t n, real reference,
                      DotTerms terms) noexcept nogil:
    """Add a block of at most ROW_BLOCK_LANES lanes to column 0."""
    cdef Py_ssize_t width = lanes_of(b), rows = n//width, remaining = n - rows*width, j
    cdef double total, carry, mass, mass_carry
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    cdef real references[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef double masses[LANES]
    cdef real mass_carries[LANES]
    spread(reference, references)
    for j in range(width):
        sums[j] = 0
        carries[j] = 0
        masses[j] = 0
        mass_carries[j] = 0
    dot_lanes(x, width, b, width, rows, references, terms, sums, carries, masses, mass_carries)
    if remaining:
        spread(<real>0, tail)
        spread(<real>0, tail_b)
        for j in range(remaining):
            tail[j] = x[rows*width + j]
            tail_b[j] = b[rows*width + j]
        dot_lanes(tail, width, tail_b, width, 1, references, terms, sums, carries, masses, mass_carries)
    total = sum_of_lanes(sums, carries, &carry)
    if not is_finite(total + carry):
        total, carry = plain_dot(x, b, n, 1, 1, reference, terms), 0
    mass = sum_of_lanes(masses, mass_carries, &mass_carry)
    join_dot(&state.second.dot, 0, total, carry, mass, mass_carry)


cdef void add_dot_tile(State *state, Py_ssize_t first, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                       Py_ssize_t rows, const real *reference, DotTerms terms) noexcept nogil:
    """Add a block of as many columns as there are lanes to the columns from `first` on."""
    cdef Py_ssize_t j
    cdef double total
    cdef DotSum *sum = &state.second.dot
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef double masses[LANES]
    cdef real mass_carries[LANES]
    for j in range(lanes_of(b)):
        sums[j] = 0
        carries[j] = 0
        masses[j] = 0
        mass_carries[j] = 0
    dot_lanes(x, ld, b, b_ld, rows, reference, terms, sums, carries, masses, mass_carries)
    for j in range(lanes_of(b)):
        total = sums[j]
        if is_finite(total + carries[j]):
            join_dot(sum, first + j, total, carries[j], masses[j], mass_carries[j])
        else:
            total = plain_dot(x + j, b + j, rows, ld, b_ld, reference[j], terms)
            join_dot(sum, first + j, total, 0, masses[j], mass_carries[j])


cdef inline void reduce_dot_row(State *state, const real *x, const real *b, Py_ssize_t n,
                                DotTerms terms) noexcept nogil:
    cdef Py_ssize_t block
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*lanes_of(x))
        add_dot_row(state, x, b, block, <real>0, terms)
        x += block
        b += block
        n -= block


cdef inline void reduce_dot_tile(State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                                 Py_ssize_t rows, Py_ssize_t columns, DotTerms terms) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, group
    cdef real reference[LANES]
    spread(<real>0, reference)
    while rows > 0:
        block = min_of(rows, ROW_BLOCK_LANES)
        for group in range((columns + width - 1)//width):
            add_dot_tile(state, group*width, x + group*width, ld, b + group*width, b_ld, block, reference, terms)
        x += block*ld
        b += block*b_ld
        rows -= block


# As kernels, with the reference 0 -------------------------------------------------------------------------------------

cdef void reduce_products_row(State *state, const real *x, const real *b, Py_ssize_t n) noexcept nogil:
    reduce_dot_row(state, x, b, n, PRODUCTS)


cdef void reduce_products_tile(State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                               Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    reduce_dot_tile(state, x, ld, b, b_ld, rows, columns, PRODUCTS)


cdef void reduce_weights_row(State *state, const real *x, const real *b, Py_ssize_t n) noexcept nogil:
    reduce_dot_row(state, x, b, n, WEIGHTS_ALONE)


cdef void reduce_weights_tile(State *state, const real *x, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                              Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    reduce_dot_tile(state, x, ld, b, b_ld, rows, columns, WEIGHTS_ALONE)


cdef void finish_dot(State *state, Py_ssize_t columns, real *_, real *__) noexcept nogil:
    """The sum in two parts. The first part fits in the elements' type."""
    cdef Py_ssize_t j
    cdef double total
    for j in range(columns):
        total = state.second.dot.dot[j] + state.second.dot.dot_low[j]
        if is_finite(total):
            state.second.dot.dot_low[j] += state.second.dot.dot[j] - <real>total
        state.second.dot.dot[j] = <real>total
