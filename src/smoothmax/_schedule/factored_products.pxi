# Exact sums of products of exponentials. Each element is exponentiated once for as many reductions of the other operand
# as there are lanes. Panels hold exponentials in two parts, PRODUCT_FACTOR_TERMS at a time.

cdef struct Peaks:
    # Of a reduction in each lane, in the type of the computation: its maximum, and how many elements lie far below.
    double maximum[LANES_F64]
    double far[LANES_F64]


cdef bint factors_blocks(const Product *product) noexcept nogil:
    """Whether a block has so many rows that exponentials cost less than exact terms (P54)."""
    return PRODUCT_FACTORED_LANES*product.a.outer >= product.kernels.lanes


cdef bint factors_stack(const Product *product) noexcept nogil:
    """Whether matrices in lanes cost less than exact terms (P54).

    An exponential takes as long as 2.5 terms by products of exponentials, and an exact term as 3.
    """
    cdef Py_ssize_t lanes = product.kernels.lanes, results = product.a.outer*product.b.outer
    return (fits_in_lanes(product, PRODUCT_FACTOR_TERMS)
            and blocks_of(product.matrices, lanes)*lanes*(2*results + 5*(product.a.outer + product.b.outer))
            <= 6*product.matrices*results)


# Blocks ---------------------------------------------------------------------------------------------------------------

cdef void fill_panels(const Product *product, const char **rows, bint are_rows_neighbours, const char **columns,
                      bint are_columns_neighbours, Py_ssize_t first, Py_ssize_t terms, Space *space) noexcept nogil:
    fill_panel(product, rows, first, terms, product.a.inner_stride, are_rows_neighbours, space.a)
    fill_panel(product, columns, first, terms, product.b.inner_stride, are_columns_neighbours, space.b)


cdef void sum_factored(const Product *product, const char **rows, bint are_rows_neighbours, const char **columns,
                       bint are_columns_neighbours, Py_ssize_t n, Peaks *a, Peaks *b, Space *space) noexcept nogil:
    """Sum the elements of n rows and as many columns as there are lanes."""
    cdef Py_ssize_t first, terms, turn, i
    product.kernels.clear_peaks(a.maximum, a.far)
    product.kernels.clear_peaks(b.maximum, b.far)
    for turn in range(2):
        for first from 0 <= first < product.terms by PRODUCT_FACTOR_TERMS:
            terms = min(product.terms - first, PRODUCT_FACTOR_TERMS)
            if turn == 0 or product.terms > PRODUCT_FACTOR_TERMS:
                fill_panels(product, rows, are_rows_neighbours, columns, are_columns_neighbours, first, terms, space)
            if turn == 0:
                product.kernels.raise_peaks(space.a, terms, a.maximum)
                product.kernels.raise_peaks(space.b, terms, b.maximum)
                continue
            product.kernels.factor_lane_rows(space.a, terms, product.terms, a.maximum, a.far)
            product.kernels.factor_lane_rows(space.b, terms, product.terms, b.maximum, b.far)
            for i in range(n):
                product.kernels.add_factored(&space.factored[i], <const char *>space.a + i*product.itemsize, space.b,
                                             first, terms)


cdef void take_largest(const Product *product, const FactoredSum *sum, const char **rows, const char **columns,
                       real *left, real *right) noexcept nogil:
    """Take the elements whose product is the largest in each lane."""
    cdef Py_ssize_t j, place
    for j in range(product.kernels.lanes):
        place = <Py_ssize_t>sum.place[j]
        left[j] = (<const real *>(rows[j] + place*product.a.inner_stride))[0]
        right[j] = (<const real *>(columns[j] + place*product.b.inner_stride))[0]


cdef Py_ssize_t finish_lanes(const Product *product, const FactoredSum *sum, const char **rows, const char **columns,
                             const void *a_far, const void *b_far, Py_ssize_t n, uint16_t *places,
                             Space *space) noexcept nogil:
    """Compute the results of n lanes, and list the places of those that are not certified."""
    cdef double left[LANES_F64]
    cdef double right[LANES_F64]
    if product.itemsize == sizeof(double):
        take_largest(product, sum, rows, columns, left, right)
    else:
        take_largest(product, sum, rows, columns, <float *>left, <float *>right)
    return product.kernels.finish_factored(sum, left, right, a_far, b_far, product.terms, space.values, n, places)


cdef void finish_factored_rows(const Product *product, const Matrices *of, Py_ssize_t row, Py_ssize_t rows,
                               Py_ssize_t column, Py_ssize_t n, const char **columns, const FactoredSum *sums,
                               const char *a_far, const void *b_far, Space *space) noexcept nogil:
    """Compute up to PRODUCT_ROWS rows of n results, and those anew that are not certified."""
    cdef const char *sources[LANES_F32]
    cdef Py_ssize_t i, j, found = 0
    for i in range(rows):
        for j in range(product.kernels.lanes):
            sources[j] = of.a + (row + i)*product.a.outer_stride
        space.found[i] = finish_lanes(product, &sums[i], sources, columns, a_far + i*product.itemsize,
                                      b_far, n, space.places + i*PRODUCT_COLUMNS, space)
        found += space.found[i]
        for j in range(n):
            put_product(product, space, j,
                        of.result + (row + i)*product.row_stride + (column + j)*product.column_stride)
    if found:
        sum_doubtful(product, of, row, rows, column, space)


cdef void sum_factored_block(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    """Compute a block with as many rows and columns as there are lanes."""
    cdef const char *sources[LANES_F32]
    cdef const char *columns[LANES_F32]
    cdef Py_ssize_t lanes = product.kernels.lanes, size = product.itemsize, i
    cdef Py_ssize_t across = blocks_of(product.b.outer, lanes), down = blocks_of(product.a.outer, lanes)
    cdef Py_ssize_t column = item//down % across*lanes, row = item % down*lanes
    cdef Py_ssize_t rows = min(product.a.outer - row, lanes), n = min(product.b.outer - column, lanes)
    cdef Matrices of
    cdef Peaks a
    cdef Peaks b
    find_matrices(product, item//(across*down), &of)
    for i in range(lanes):
        sources[i] = of.a + (row + min(i, rows - 1))*product.a.outer_stride
        columns[i] = of.b + (column + min(i, n - 1))*product.b.outer_stride
    sum_factored(product, sources, product.a.outer_stride == size and rows == lanes, columns,
                 product.b.outer_stride == size and n == lanes, rows, &a, &b, space)
    for i from 0 <= i < rows by PRODUCT_ROWS:
        finish_factored_rows(product, &of, row + i, min(rows - i, PRODUCT_ROWS), column, n, columns,
                             &space.factored[i], <const char *>a.far + i*size, b.far, space)


# Stacks ---------------------------------------------------------------------------------------------------------------

cdef struct Steps:
    # The distances in a panel, in rows of lanes,
    Py_ssize_t reduction        # from one reduction to the next, and
    Py_ssize_t term             # from term to term


cdef bint is_whole(const Operand *operand, const Product *product, Steps *steps) noexcept nogil:
    """Whether nothing lies between the elements of a matrix. Panels then have the order of the elements."""
    steps.reduction, steps.term = product.terms, 1
    if operand.inner_stride == product.itemsize and operand.outer_stride == product.terms*product.itemsize:
        return True
    if operand.outer_stride == product.itemsize and operand.inner_stride == operand.outer*product.itemsize:
        steps.reduction, steps.term = 1, operand.outer
        return True
    return False


cdef void lay_matrices(const Product *product, const Operand *operand, const char **matrices, Steps *steps,
                       double *panel) noexcept nogil:
    """Lay the elements of as many matrices as there are lanes side by side."""
    cdef Py_ssize_t begins[LANES_F32]
    cdef Py_ssize_t j
    if not is_whole(operand, product, steps):
        lay_side_by_side(product, operand, matrices, panel)
        return
    for j in range(product.kernels.lanes):
        begins[j] = (matrices[j] - matrices[0])//product.itemsize
    product.kernels.gather_lanes(matrices[0], begins, operand.outer*product.terms, panel)


cdef void sum_matrices(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    """Compute as many matrices as there are lanes."""
    cdef Matrices of[LANES_F32]
    cdef const char *a[LANES_F32]
    cdef const char *b[LANES_F32]
    cdef Steps a_steps
    cdef Steps b_steps
    cdef Py_ssize_t n = find_matrices_of_lanes(product, item, of, a, b), found
    lay_matrices(product, &product.a, a, &a_steps, space.a_elements)
    lay_matrices(product, &product.b, b, &b_steps, space.b_elements)
    found = product.kernels.sum_factored_stack(
        space.a_elements, product.a.outer, a_steps.reduction, a_steps.term, space.b_elements, product.b.outer,
        b_steps.reduction, b_steps.term, product.terms, space.a, space.b, space.far, space.products, space.places)
    put_matrices(product, of, n, space)
    if found:
        sum_doubtful_of_stack(product, of, n, found, space)
