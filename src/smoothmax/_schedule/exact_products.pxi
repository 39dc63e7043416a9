# Exact sums of the terms of a product. Lanes are elements of one row of the result, elements anywhere, or terms.

# Panels ---------------------------------------------------------------------------------------------------------------

cdef void gather_terms(const char **sources, Py_ssize_t stride, Py_ssize_t terms, Py_ssize_t lanes,
                       real *panel) noexcept nogil:
    """Lay the terms of several reductions side by side."""
    cdef Py_ssize_t i, j
    for i in range(terms):
        for j in range(lanes):
            panel[j] = (<const real *>(sources[j] + i*stride))[0]
        panel += lanes


cdef void fill_panel(const Product *product, const char **sources, Py_ssize_t first, Py_ssize_t terms,
                     Py_ssize_t stride, bint are_neighbours, double *panel) noexcept nogil:
    """Lay the terms from `first` on of as many reductions as there are lanes side by side."""
    cdef Py_ssize_t i, j, lanes = product.kernels.lanes, size = product.itemsize*lanes
    cdef const char *moved[LANES_F32]
    if are_neighbours:
        for i in range(terms):
            memcpy(<char *>panel + i*size, sources[0] + (first + i)*stride, size)
        return
    for j in range(lanes):
        moved[j] = sources[j] + first*stride
    if product.itemsize == sizeof(double):
        gather_terms(moved, stride, terms, lanes, panel)
    else:
        gather_terms(moved, stride, terms, lanes, <float *>panel)


# Exact sums -----------------------------------------------------------------------------------------------------------

cdef void sum_terms_of_rows(const Product *product, AddProducts add, const char **rows, Py_ssize_t n, Py_ssize_t first,
                            Py_ssize_t terms, Space *space) noexcept nogil:
    """Add terms to the sums of all rows, after the panel of columns has been filled."""
    cdef Py_ssize_t i
    cdef Py_ssize_t stride = product.a.inner_stride
    cdef const char *source
    for i in range(n):
        source = rows[i] + first*stride
        if stride == product.itemsize:
            add(&space.sums[i], source, ONE_FOR_ALL_LANES, space.b, terms)
            continue
        if product.itemsize == sizeof(double):
            gather_terms(&source, stride, terms, 1, space.a)
        else:
            gather_terms(&source, stride, terms, 1, <float *>space.a)
        add(&space.sums[i], space.a, ONE_FOR_ALL_LANES, space.b, terms)


cdef void sum_rows(const Product *product, const char **rows, Py_ssize_t n, const char **columns, bint are_neighbours,
                   Space *space) noexcept nogil:
    """Sum the elements of up to PRODUCT_ROWS rows and as many columns as there are lanes."""
    cdef Py_ssize_t i, first, terms, turn
    for i in range(n):
        product.kernels.clear(&space.sums[i])
    for turn in range(2):
        for first from 0 <= first < product.terms by PRODUCT_TERMS:
            terms = min(product.terms - first, PRODUCT_TERMS)
            if turn == 0 or product.terms > PRODUCT_TERMS:
                fill_panel(product, columns, first, terms, product.b.inner_stride, are_neighbours, space.b)
            sum_terms_of_rows(product, product.kernels.add_products if turn else product.kernels.max_of_products, rows,
                              n, first, terms, space)


cdef void sum_elements(const Product *product, const char **rows, const char **columns, Space *space) noexcept nogil:
    """Sum as many elements as there are lanes, each with its own row and column."""
    cdef Py_ssize_t first, terms, turn
    product.kernels.clear(space.sums)
    for turn in range(2):
        for first from 0 <= first < product.terms by PRODUCT_TERMS:
            terms = min(product.terms - first, PRODUCT_TERMS)
            if turn == 0 or product.terms > PRODUCT_TERMS:
                fill_panel(product, rows, first, terms, product.a.inner_stride, are_neighbours=False,
                           panel=space.a)
                fill_panel(product, columns, first, terms, product.b.inner_stride, are_neighbours=False,
                           panel=space.b)
            if turn:
                product.kernels.add_products(space.sums, space.a, ONE_FOR_EACH_LANE, space.b, terms)
            else:
                product.kernels.max_of_products(space.sums, space.a, ONE_FOR_EACH_LANE, space.b, terms)
    product.kernels.finish(space.sums, space.values)


cdef void scatter_products(const real *values, Py_ssize_t n, char **results) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        (<real *>results[j])[0] = values[j]


cdef void scatter_values(const Product *product, const void *values, Py_ssize_t n, char **results) noexcept nogil:
    if product.itemsize == sizeof(double):
        scatter_products(<const double *>values, n, results)
    else:
        scatter_products(<const float *>values, n, results)


cdef void put_product(const Product *product, const Space *space, Py_ssize_t lane, char *place) noexcept nogil:
    memcpy(place, <const char *>space.values + lane*product.itemsize, product.itemsize)


# All results, exactly -------------------------------------------------------------------------------------------------

cdef enum Lanes:            # what the lanes are:
    MATRICES                # elements in one place of several matrices (factored_products.pxi),
    COLUMNS                 # elements of a row of the result,
    ELEMENTS                # elements anywhere in the result, or
    TERMS                   # terms of one element


cdef Lanes lanes_for(const Product *product) noexcept nogil:
    if factors_stack(product):
        return MATRICES
    if PRODUCT_FILLED_LANES*product.b.outer >= product.kernels.lanes:
        return COLUMNS
    if PRODUCT_FILLED_LANES*product.a.outer*product.b.outer*product.matrices < product.kernels.lanes:
        return TERMS
    return ELEMENTS


cdef void sum_block(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    """Compute a block of PRODUCT_ROWS rows and as many columns as there are lanes."""
    cdef const char *sources[PRODUCT_ROWS]
    cdef const char *columns[LANES_F32]
    cdef Py_ssize_t lanes = product.kernels.lanes, across = blocks_of(product.b.outer, lanes), i, j
    cdef Py_ssize_t down = blocks_of(product.a.outer, PRODUCT_ROWS)
    cdef Py_ssize_t column = item//down % across*lanes, row = item % down*PRODUCT_ROWS
    cdef Py_ssize_t rows = min(product.a.outer - row, PRODUCT_ROWS), n = min(product.b.outer - column, lanes)
    cdef Matrices of
    find_matrices(product, item//(across*down), &of)
    for i in range(rows):
        sources[i] = of.a + (row + i)*product.a.outer_stride
    for j in range(lanes):
        columns[j] = of.b + min(column + j, product.b.outer - 1)*product.b.outer_stride
    sum_rows(product, sources, rows, columns, product.b.outer_stride == product.itemsize and n == lanes, space)
    for i in range(rows):
        product.kernels.finish(&space.sums[i], space.values)
        for j in range(n):
            put_product(product, space, j,
                        of.result + (row + i)*product.row_stride + (column + j)*product.column_stride)


cdef void sum_group(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    """Compute as many successive elements as there are lanes, across rows and matrices."""
    cdef const char *rows[LANES_F32]
    cdef const char *columns[LANES_F32]
    cdef char *results[LANES_F32]
    cdef Py_ssize_t lanes = product.kernels.lanes, size = product.a.outer*product.b.outer, at = item*lanes, j
    cdef Py_ssize_t n = min(product.matrices*size - at, lanes), matrix = at//size
    cdef Py_ssize_t row = at % size//product.b.outer, column = at % product.b.outer
    cdef const char *a
    cdef const char *b
    cdef char *result
    cdef Matrices of
    find_matrices(product, matrix, &of)
    a, b = of.a + row*product.a.outer_stride, of.b + column*product.b.outer_stride
    result = of.result + row*product.row_stride + column*product.column_stride
    for j in range(n):
        if column == product.b.outer:
            column = 0
            row += 1
            if row == product.a.outer:
                row = 0
                matrix += 1
                find_matrices(product, matrix, &of)
            a, b = of.a + row*product.a.outer_stride, of.b
            result = of.result + row*product.row_stride
        rows[j], columns[j], results[j] = a, b, result
        b += product.b.outer_stride
        result += product.column_stride
        column += 1
    put_elements(product, rows, columns, results, n, space)


cdef void lay_out(const char *source, Py_ssize_t stride, Py_ssize_t n, Py_ssize_t size, real filler,
                  real *panel) noexcept nogil:
    """Lay out n terms of one reduction one after the other, and the filler up to `size`."""
    cdef Py_ssize_t i
    gather_terms(&source, stride, n, 1, panel)
    for i in range(n, size):
        panel[i] = filler


cdef void sum_terms(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    """Compute one element, with its terms in the lanes. Lanes without a term get a sum of -inf."""
    cdef Py_ssize_t lanes = product.kernels.lanes, size = product.a.outer*product.b.outer, first, n, rows, turn
    cdef Py_ssize_t row = item % size//product.b.outer, column = item % product.b.outer
    cdef const char *a
    cdef const char *b
    cdef Matrices of
    find_matrices(product, item//size, &of)
    product.kernels.clear(space.sums)
    for turn in range(2):
        for first from 0 <= first < product.terms by PRODUCT_TERMS*lanes:
            n = min(product.terms - first, PRODUCT_TERMS*lanes)
            rows = blocks_of(n, lanes)
            a = of.a + row*product.a.outer_stride + first*product.a.inner_stride
            b = of.b + column*product.b.outer_stride + first*product.b.inner_stride
            if product.itemsize == sizeof(double):
                lay_out(a, product.a.inner_stride, n, rows*lanes, <double>-INFINITY, space.a)
                lay_out(b, product.b.inner_stride, n, rows*lanes, <double>0, space.b)
            else:
                lay_out(a, product.a.inner_stride, n, rows*lanes, <float>-INFINITY, <float *>space.a)
                lay_out(b, product.b.inner_stride, n, rows*lanes, <float>0, <float *>space.b)
            if turn:
                product.kernels.add_products(space.sums, space.a, ONE_FOR_EACH_LANE, space.b, rows)
            else:
                product.kernels.max_of_products(space.sums, space.a, ONE_FOR_EACH_LANE, space.b, rows)
        if turn == 0:
            product.kernels.share_maximum(space.sums)
    product.kernels.fold_lanes(space.sums)
    product.kernels.finish(space.sums, space.values)
    put_product(product, space, 0, of.result + row*product.row_stride + column*product.column_stride)
