# Products of matrices that a kernel multiplies, where np.matmul takes longer. The factors of `a` are matrices. Those of
# `b` are panels of as many columns as there are lanes, side by side.

cdef void factor_panel(const Factoring *work, Py_ssize_t item) noexcept nogil:
    """Lay columns of `b` side by side and replace them by their factors. The last column fills up the last panel."""
    cdef const Product *product = work.product
    cdef const Operand *operand = work.operand
    cdef Py_ssize_t lanes = product.kernels.lanes, size = product.itemsize, matrix = item//work.groups
    cdef Py_ssize_t first = item % work.groups*lanes, n = min(operand.outer - first, lanes), j
    cdef const char *elements = matrix_of(operand, product.ndim, matrix) + first*operand.outer_stride
    cdef char *panel = work.factors + item*product.terms*lanes*size
    cdef char *shifts = operand.shifts + (matrix*operand.outer + first)*size
    cdef char *exponents = operand.exponents + (matrix*operand.outer + first)*size
    cdef const char *columns[LANES_F32]
    cdef double own_shifts[LANES_F64]
    cdef double own_exponents[LANES_F64]
    if n == lanes and not is_by_rows(operand, product):
        product.kernels.factor_columns(elements, operand.inner_stride//size, product.terms, n, product.terms, panel, n,
                                       shifts, exponents)
        return
    if n == lanes:
        product.kernels.transpose_back(elements, operand.outer_stride//size, lanes, product.terms, panel, lanes)
    else:
        for j in range(lanes):
            columns[j] = elements + min(j, n - 1)*operand.outer_stride
        fill_panel(product, columns, 0, product.terms, operand.inner_stride, are_neighbours=False,
                   panel=<double *>panel)
    product.kernels.factor_columns(panel, lanes, product.terms, lanes, product.terms, panel, lanes, own_shifts,
                                   own_exponents)
    memcpy(shifts, own_shifts, n*size)
    memcpy(exponents, own_exponents, n*size)


cdef void compute_block(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    """Multiply a block of factors, and take the logarithms."""
    cdef Py_ssize_t lanes = product.kernels.lanes, size = product.itemsize, k = product.terms, first, n, i
    cdef bint by_rows = is_by_rows(&product.a, product)
    cdef Py_ssize_t row_stride = k if by_rows else 1, term_stride = 1 if by_rows else product.a.outer
    cdef const char *factors
    cdef const char *panel
    cdef char *result
    cdef Block block
    find_block(product, item, &block)
    factors = block.of.a_factors + block.row*row_stride*size
    for first from 0 <= first < block.columns by lanes:
        n = min(block.columns - first, lanes)
        panel = block.of.b_factors + (block.column + first)*k*size
        result = block.of.result + block.row*product.row_stride + (block.column + first)*size
        if n == lanes:
            product.kernels.multiply_block(factors, row_stride, term_stride, block.rows, panel, k, result,
                                           product.row_stride//size)
            continue
        product.kernels.multiply_block(factors, row_stride, term_stride, block.rows, panel, k, space.products, lanes)
        for i in range(block.rows):
            memcpy(result + i*product.row_stride, <const char *>space.products + i*lanes*size, n*size)
    take_logarithms(product, &block, space)


cdef bint is_multiplied_in_blocks(const Product *product) noexcept nogil:
    """Whether np.matmul takes longer (P54), with panels that take little more memory than the elements."""
    cdef const Operand *columns = &product.a if product.b.outer == 1 else &product.b
    cdef Py_ssize_t filled = blocks_of(columns.outer, product.kernels.lanes)*product.kernels.lanes
    cdef Py_ssize_t elements = columns.matrices*columns.outer*product.terms
    # Many elements: panels that are half empty, or transposed for a single row, and shifts of few terms cost too much.
    if elements > PRODUCT_PANEL_ELEMENTS and (
            product.terms < PRODUCT_PANEL_MIN_TERMS or 4*columns.outer < 3*filled
            or product.b.outer == 1 and is_by_rows(columns, product)):
        return False
    return (PRODUCT_FILLED_LANES*columns.outer >= product.kernels.lanes
            and product.a.outer*product.b.outer <= PRODUCT_BLOCK_TERMS//product.terms)


cdef int compute_blocks(const Product *product) except -2:
    cdef Shared shared
    shared.product, shared.do_item = product, compute_block
    return do_items(&shared, blocks_in(product), work_in(product))
