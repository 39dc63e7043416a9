# Stacks of small matrices: as many of them as there are lanes are laid side by side, element by element, so that each
# lane holds one matrix. A kernel made for this multiplies them.

cdef void lay_side_by_side(const Product *product, const Operand *operand, const char **matrices,
                           double *panel) noexcept nogil:
    """Lay the elements of as many matrices as there are lanes side by side, one reduction after the other."""
    cdef Py_ssize_t lanes = product.kernels.lanes, i, j
    cdef const char *sources[LANES_F32]
    for i in range(operand.outer):
        for j in range(lanes):
            sources[j] = matrices[j] + i*operand.outer_stride
        if product.itemsize == sizeof(double):
            gather_terms(sources, operand.inner_stride, product.terms, lanes, panel + i*product.terms*lanes)
        else:
            gather_terms(sources, operand.inner_stride, product.terms, lanes, <float *>panel + i*product.terms*lanes)


cdef void sum_doubtful_of_stack(const Product *product, const Matrices *of, Py_ssize_t matrices, Py_ssize_t found,
                                Space *space) noexcept nogil:
    cdef const char *rows[LANES_F32]
    cdef const char *columns[LANES_F32]
    cdef char *results[LANES_F32]
    cdef Py_ssize_t lanes = product.kernels.lanes, n = 0, i, lane, row, column
    for i in range(found):
        lane = space.places[i] % lanes
        if lane >= matrices:
            continue
        row, column = space.places[i]//lanes//product.b.outer, space.places[i]//lanes % product.b.outer
        rows[n] = of[lane].a + row*product.a.outer_stride
        columns[n] = of[lane].b + column*product.b.outer_stride
        results[n] = of[lane].result + row*product.row_stride + column*product.column_stride
        n += 1
        if n == lanes:
            put_elements(product, rows, columns, results, n, space)
            n = 0
    if n:
        put_elements(product, rows, columns, results, n, space)


cdef Py_ssize_t find_matrices_of_lanes(const Product *product, Py_ssize_t item, Matrices *of, const char **a,
                                       const char **b) noexcept nogil:
    """Find as many matrices as there are lanes, and return how many there are. Lanes beyond have the last one."""
    cdef Py_ssize_t lanes = product.kernels.lanes, first = item*lanes, n = min(product.matrices - first, lanes), j
    for j in range(lanes):
        find_matrices(product, first + min(j, n - 1), &of[j])
        a[j], b[j] = of[j].a, of[j].b
    return n


cdef void put_matrices(const Product *product, const Matrices *of, Py_ssize_t n, Space *space) noexcept nogil:
    """Store the results of n matrices, which follow each other in memory."""
    cdef Py_ssize_t lanes = product.kernels.lanes, size = product.a.outer*product.b.outer, row, column, j
    cdef const char *products = <const char *>space.products
    cdef char *results[LANES_F32]
    if product.column_stride == product.itemsize:
        product.kernels.transpose_back(products, lanes, size, n, of[0].result, size)
        return
    for row in range(product.a.outer):
        for column in range(product.b.outer):
            for j in range(n):
                results[j] = of[j].result + row*product.row_stride + column*product.column_stride
            scatter_values(product, products, n, results)
            products += lanes*product.itemsize


cdef void multiply_matrices(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    cdef Matrices of[LANES_F32]
    cdef const char *a[LANES_F32]
    cdef const char *b[LANES_F32]
    cdef Py_ssize_t n = find_matrices_of_lanes(product, item, of, a, b), found
    lay_side_by_side(product, &product.a, a, space.a)
    lay_side_by_side(product, &product.b, b, space.b)
    found = product.kernels.multiply_stack(space.a, space.b, product.a.outer, product.terms, product.b.outer,
                                           space.shifts, space.exponents, space.products, space.places)
    put_matrices(product, of, n, space)
    if found:
        sum_doubtful_of_stack(product, of, n, found, space)


cdef bint fits_in_lanes(const Product *product, Py_ssize_t rows) noexcept nogil:
    """Whether the matrices fill at least half of the lanes, and each operand at most `rows` rows of them (P54)."""
    return (PRODUCT_FILLED_LANES*product.matrices >= product.kernels.lanes
            and product.a.outer*product.b.outer <= PRODUCT_STACK_ELEMENTS
            and product.terms*max(product.a.outer, product.b.outer) <= rows)


cdef bint is_small_stack(const Product *product) noexcept nogil:
    return fits_in_lanes(product, PRODUCT_TERMS)


cdef int multiply_small(const Product *product) except -2:
    cdef Shared shared
    cdef Py_ssize_t results = product.a.outer*product.b.outer
    shared.product, shared.do_item = product, multiply_matrices
    return do_items(&shared, blocks_of(product.matrices, product.kernels.lanes),
                    product.matrices*(results + (product.a.outer + product.b.outer)*product.terms))
