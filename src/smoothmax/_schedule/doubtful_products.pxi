# Results that are not certified are summed exactly: by rows where they are many, one by one where they are few.

cdef void sum_doubtful_rows(const Product *product, const Matrices *of, Py_ssize_t row, Py_ssize_t rows,
                            Py_ssize_t column, Space *space) noexcept nogil:
    """Compute the doubtful results of a block with panels of its columns."""
    cdef const char *sources[PRODUCT_ROWS]
    cdef const char *columns[LANES_F32]
    cdef const uint16_t *places[PRODUCT_ROWS]
    cdef Py_ssize_t left[PRODUCT_ROWS]
    cdef Py_ssize_t lanes = product.kernels.lanes, group, i, j, n, first
    cdef Py_ssize_t doubtful[PRODUCT_ROWS]
    for i in range(rows):
        places[i], left[i] = space.places + i*PRODUCT_COLUMNS, space.found[i]
    for group in range(PRODUCT_COLUMNS//lanes):
        n = 0
        for i in range(rows):
            if left[i] and places[i][0]//lanes == group:
                sources[n] = of.a + (row + i)*product.a.outer_stride
                doubtful[n] = i
                n += 1
        if n == 0:
            continue
        first = column + group*lanes
        for j in range(lanes):
            columns[j] = of.b + min(first + j, product.b.outer - 1)*product.b.outer_stride
        sum_rows(product, sources, n, columns,
                 product.b.outer_stride == product.itemsize and first + lanes <= product.b.outer, space)
        for j in range(n):
            i = doubtful[j]
            product.kernels.finish(&space.sums[j], space.values)
            while left[i] and places[i][0]//lanes == group:
                put_product(product, space, places[i][0] % lanes,
                            of.result + (row + i)*product.row_stride + (column + places[i][0])*product.column_stride)
                places[i] += 1
                left[i] -= 1


cdef void sum_doubtful_elements(const Product *product, const Matrices *of, Py_ssize_t row, Py_ssize_t rows,
                                Py_ssize_t column, Space *space) noexcept nogil:
    """Compute the doubtful results of a block, as many at a time as there are lanes."""
    cdef const char *sources[LANES_F32]
    cdef const char *columns[LANES_F32]
    cdef char *results[LANES_F32]
    cdef Py_ssize_t lanes = product.kernels.lanes, n = 0, i, j, at
    for i in range(rows):
        for j in range(space.found[i]):
            at = column + space.places[i*PRODUCT_COLUMNS + j]
            sources[n] = of.a + (row + i)*product.a.outer_stride
            columns[n] = of.b + at*product.b.outer_stride
            results[n] = of.result + (row + i)*product.row_stride + at*product.column_stride
            n += 1
            if n == lanes:
                put_elements(product, sources, columns, results, n, space)
                n = 0
    if n:
        put_elements(product, sources, columns, results, n, space)


cdef void put_elements(const Product *product, const char **rows, const char **columns, char **results, Py_ssize_t n,
                       Space *space) noexcept nogil:
    """Compute n elements, at most as many as there are lanes."""
    cdef Py_ssize_t j
    for j in range(n, product.kernels.lanes):
        rows[j], columns[j] = rows[n - 1], columns[n - 1]
    sum_elements(product, rows, columns, space)
    scatter_values(product, space.values, n, results)


cdef bint fill_lanes(const Product *product, Py_ssize_t rows, const Space *space) noexcept nogil:
    """Whether doubtful results are so close together that panels of columns cost less than panels for each element."""
    cdef Py_ssize_t lanes = product.kernels.lanes, i, j, group, last, work = 0, found = 0
    for i in range(rows):
        last = -1
        for j in range(space.found[i]):
            group = space.places[i*PRODUCT_COLUMNS + j]//lanes
            work += group != last
            last = group
        found += space.found[i]
    return work*lanes <= PRODUCT_FILLED_LANES*found


cdef void sum_doubtful(const Product *product, const Matrices *of, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t column,
                       Space *space) noexcept nogil:
    """Compute the results of a block whose places are listed."""
    if fill_lanes(product, rows, space):
        sum_doubtful_rows(product, of, row, rows, column, space)
    else:
        sum_doubtful_elements(product, of, row, rows, column, space)
