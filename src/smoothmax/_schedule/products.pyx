"""Walk products of matrices: the factors that np.matmul multiplies, its products, and exact sums. Knows no mathematics.

    factor              exponentials of an operand, each reduction divided by that of its maximum
    finish_product      from what np.matmul made of them to results; those that are not certified are summed exactly
    sum_exactly         results without np.matmul

A block of PRODUCT_ROWS times PRODUCT_COLUMNS results is an item that threads take. Exact sums have the elements of one
row of the result in their lanes, whose terms are laid side by side in a panel, PRODUCT_TERMS at a time. A panel serves
all rows of a block. Where so few elements of a block are needed that a panel for each of its columns would not pay,
lanes are elements of any place, with panels of both operands. Where the result has fewer elements than there are lanes,
lanes are terms.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from smoothmax._kernels.interface cimport AddProducts, ProductSum
from smoothmax._schedule.pool cimport Queue, share, take
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._thresholds cimport (
    GIL_MIN_ELEMENTS, LANES_F32, LANES_F64, PRODUCT_COLUMNS, PRODUCT_EXACT_ELEMENTS, PRODUCT_ROWS,
    PRODUCT_TERMS, SHARE_GRAIN_ELEMENTS, SHARE_MIN_BYTES,
)

ctypedef fused real:
    float
    double


cdef struct Space:
    # The memory of a thread: 100 KiB.
    double a[PRODUCT_TERMS*LANES_F64]
    double b[PRODUCT_TERMS*LANES_F64]
    double values[LANES_F32]
    ProductSum sums[PRODUCT_ROWS]
    uint16_t places[PRODUCT_ROWS*PRODUCT_COLUMNS]   # of doubtful results, row after row
    Py_ssize_t found[PRODUCT_ROWS]                  # how many a row has


cdef struct Matrices:
    # The matrices that one of the result is made of.
    const char *a
    const char *b
    const char *a_maxima
    const char *b_maxima
    char *result


cdef inline Py_ssize_t blocks_of(Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    return (n + size - 1)//size


cdef void find_matrices(const Product *product, Py_ssize_t index, Matrices *found) noexcept nogil:
    cdef Py_ssize_t i, at, left = index, a_place = 0, b_place = 0
    found.a, found.b = product.a.data, product.b.data
    for i in range(product.ndim - 1, -1, -1):
        at = left % product.shape[i]
        left //= product.shape[i]
        found.a += at*product.a.stride[i]
        found.b += at*product.b.stride[i]
        a_place += at*product.a.place[i]
        b_place += at*product.b.place[i]
    found.a_maxima = product.a.maxima + a_place*product.a.outer*product.itemsize
    found.b_maxima = product.b.maxima + b_place*product.b.outer*product.itemsize
    found.result = product.result + index*product.a.outer*product.b.outer*product.itemsize


cdef bint prefers_exact(const Product *product) noexcept nogil:
    """Whether matrices are so small that exact sums take no longer than a round by np.matmul."""
    return product.a.outer*product.b.outer <= PRODUCT_EXACT_ELEMENTS


# Factors --------------------------------------------------------------------------------------------------------------

cdef struct Factoring:
    const Product *product
    const Operand *operand
    char *factors
    Py_ssize_t group            # reductions of an item
    Py_ssize_t groups           # of a matrix


cdef bint is_by_rows(const Operand *operand, const Product *product) noexcept nogil:
    """Whether the elements of a reduction are contiguous; otherwise, neighbours of different reductions are."""
    return operand.inner_stride == product.itemsize


cdef void factor_group(const Factoring *work, Py_ssize_t item) noexcept nogil:
    cdef const Product *product = work.product
    cdef const Operand *operand = work.operand
    cdef Py_ssize_t matrix = item//work.groups, first = item % work.groups*work.group, i, left = matrix
    cdef Py_ssize_t n = min(operand.outer - first, work.group), k = product.terms, size = product.itemsize
    cdef const char *elements = operand.data + first*operand.outer_stride
    cdef char *factors = work.factors + matrix*operand.outer*k*size
    cdef char *maxima = operand.maxima + (matrix*operand.outer + first)*size
    for i in range(product.ndim - 1, -1, -1):
        elements += left % operand.length[i]*operand.stride[i]
        left //= operand.length[i]
    if is_by_rows(operand, product):
        product.kernels.factor_rows(elements, operand.outer_stride//size, n, k, k, factors + first*k*size, k, maxima)
    else:
        product.kernels.factor_columns(elements, operand.inner_stride//size, k, n, k, factors + first*size,
                                       operand.outer, maxima)


cdef void work_on_factors(void *context, Queue *queue) noexcept nogil:
    cdef Py_ssize_t item = take(queue)
    while item >= 0:
        factor_group(<const Factoring *>context, item)
        item = take(queue)


cdef int factor(const Product *product, const Operand *operand, char *factors) except -2:
    cdef Factoring work
    cdef Py_ssize_t size = operand.matrices*operand.outer*product.terms, items, item
    cdef Py_ssize_t threads = threads_of_caller() if size*product.itemsize >= SHARE_MIN_BYTES else 1
    work.product, work.operand, work.factors = product, operand, factors
    work.group = SHARE_GRAIN_ELEMENTS//product.terms + 1
    if not is_by_rows(operand, product):
        work.group = blocks_of(work.group, product.kernels.lanes)*product.kernels.lanes
    work.groups = blocks_of(operand.outer, work.group)
    items = operand.matrices*work.groups
    if threads > 1 and items > 1:
        return share(work_on_factors, &work, items, threads)
    with nogil:
        for item in range(items):
            factor_group(&work, item)
    return 0


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
    """The terms from `first` on of as many reductions as there are lanes."""
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
    """Add terms of all rows, whose panel is filled."""
    cdef Py_ssize_t i
    cdef Py_ssize_t stride = product.a.inner_stride
    cdef const char *source
    for i in range(n):
        source = rows[i] + first*stride
        if stride == product.itemsize:
            add(&space.sums[i], source, True, space.b, terms)
            continue
        if product.itemsize == sizeof(double):
            gather_terms(&source, stride, terms, 1, space.a)
        else:
            gather_terms(&source, stride, terms, 1, <float *>space.a)
        add(&space.sums[i], space.a, True, space.b, terms)


cdef void sum_rows(const Product *product, const char **rows, Py_ssize_t n, const char **columns, bint are_neighbours,
                   Space *space) noexcept nogil:
    """Sums of up to PRODUCT_ROWS rows and as many columns as there are lanes."""
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
    """Sums of as many elements as there are lanes, each of a row and a column of its own."""
    cdef Py_ssize_t first, terms, turn
    product.kernels.clear(space.sums)
    for turn in range(2):
        for first from 0 <= first < product.terms by PRODUCT_TERMS:
            terms = min(product.terms - first, PRODUCT_TERMS)
            if turn == 0 or product.terms > PRODUCT_TERMS:
                fill_panel(product, rows, first, terms, product.a.inner_stride, False, space.a)
                fill_panel(product, columns, first, terms, product.b.inner_stride, False, space.b)
            if turn:
                product.kernels.add_products(space.sums, space.a, False, space.b, terms)
            else:
                product.kernels.max_of_products(space.sums, space.a, False, space.b, terms)
    product.kernels.finish(space.sums, space.values)


cdef void scatter_products(const real *values, Py_ssize_t n, char **results) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        (<real *>results[j])[0] = values[j]


cdef void put_product(const Product *product, const Space *space, Py_ssize_t lane, char *place) noexcept nogil:
    memcpy(place, <const char *>space.values + lane*product.itemsize, product.itemsize)


# Results that are not certified ---------------------------------------------------------------------------------------

cdef void sum_doubtful_rows(const Product *product, const Matrices *of, Py_ssize_t row, Py_ssize_t rows,
                            Py_ssize_t column, Space *space) noexcept nogil:
    """Compute doubtful results of a block by panels of its columns."""
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
    """Compute doubtful results of a block one by one, as many at a time as there are lanes."""
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
    if product.itemsize == sizeof(double):
        scatter_products(<const double *>space.values, n, results)
    else:
        scatter_products(<const float *>space.values, n, results)


cdef bint fill_lanes(const Product *product, Py_ssize_t rows, const Space *space) noexcept nogil:
    """Whether doubtful results are so near to each other that panels of columns cost less than one of each element."""
    cdef Py_ssize_t lanes = product.kernels.lanes, i, j, group, last, work = 0, found = 0
    for i in range(rows):
        last = -1
        for j in range(space.found[i]):
            group = space.places[i*PRODUCT_COLUMNS + j]//lanes
            work += group != last
            last = group
        found += space.found[i]
    return work*lanes <= 2*found


cdef void take_logarithms(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    cdef Py_ssize_t across = blocks_of(product.b.outer, PRODUCT_COLUMNS)
    cdef Py_ssize_t down = blocks_of(product.a.outer, PRODUCT_ROWS)
    cdef Py_ssize_t column = item % across*PRODUCT_COLUMNS, row = item//across % down*PRODUCT_ROWS, i, found = 0
    cdef Py_ssize_t rows = min(product.a.outer - row, PRODUCT_ROWS), size = product.itemsize
    cdef Py_ssize_t columns = min(product.b.outer - column, PRODUCT_COLUMNS)
    cdef Matrices of
    find_matrices(product, item//(across*down), &of)
    for i in range(rows):
        space.found[i] = product.kernels.log_products(
            of.result + (row + i)*product.row_stride + column*size, columns, product.terms,
            of.a_maxima + (row + i)*size, of.b_maxima + column*size, space.places + i*PRODUCT_COLUMNS)
        found += space.found[i]
    if found and fill_lanes(product, rows, space):
        sum_doubtful_rows(product, &of, row, rows, column, space)
    elif found:
        sum_doubtful_elements(product, &of, row, rows, column, space)


# All results, exactly -------------------------------------------------------------------------------------------------

cdef enum Lanes:            # what they are:
    COLUMNS                 # elements of a row of the result,
    ELEMENTS                # elements of any place, or
    TERMS                   # terms of one element


cdef Lanes lanes_for(const Product *product) noexcept nogil:
    if 2*product.b.outer >= product.kernels.lanes:
        return COLUMNS
    if 2*product.a.outer*product.b.outer*product.matrices < product.kernels.lanes:
        return TERMS
    return ELEMENTS


cdef void sum_block(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    """As many columns as there are lanes, of PRODUCT_ROWS rows."""
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
    """As many elements as there are lanes, wherever they are."""
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
    """n terms of one reduction, one after the other, and the filler up to `size`."""
    cdef Py_ssize_t i
    gather_terms(&source, stride, n, 1, panel)
    for i in range(n, size):
        panel[i] = filler


cdef void sum_terms(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    """One element, whose terms are in the lanes. Where the last row of lanes has no term, it has a sum of -inf."""
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
                product.kernels.add_products(space.sums, space.a, False, space.b, rows)
            else:
                product.kernels.max_of_products(space.sums, space.a, False, space.b, rows)
        if turn == 0:
            product.kernels.share_maximum(space.sums)
    product.kernels.fold_lanes(space.sums)
    product.kernels.finish(space.sums, space.values)
    put_product(product, space, 0, of.result + row*product.row_stride + column*product.column_stride)


cdef struct Shared:
    const Product *product
    void (*do_item)(const Product *product, Py_ssize_t item, Space *space) noexcept nogil


cdef void work_on_items(void *context, Queue *queue) noexcept nogil:
    cdef const Shared *shared = <const Shared *>context
    cdef Space *space = <Space *>malloc(sizeof(Space))
    cdef Py_ssize_t item
    if space == NULL:
        return
    item = take(queue)
    while item >= 0:
        shared.do_item(shared.product, item, space)
        item = take(queue)
    free(space)


cdef int work_alone(const Shared *shared, Py_ssize_t items) noexcept nogil:
    cdef Space *space = <Space *>malloc(sizeof(Space))
    cdef Py_ssize_t item
    if space == NULL:
        return -1
    for item in range(items):
        shared.do_item(shared.product, item, space)
    free(space)
    return 0


cdef int do_items(const Shared *shared, Py_ssize_t items, Py_ssize_t work) except -2:
    """Do all items, which together are work as of so many elements."""
    cdef Py_ssize_t threads = threads_of_caller() if work*shared.product.itemsize >= SHARE_MIN_BYTES else 1
    cdef int failed
    if threads > 1 and items > 1:
        return share(work_on_items, <void *>shared, items, threads)
    if work < GIL_MIN_ELEMENTS:
        return work_alone(shared, items)
    with nogil:
        failed = work_alone(shared, items)
    return failed


cdef int finish_product(const Product *product) except -2:
    cdef Shared shared
    cdef Py_ssize_t items
    shared.product, shared.do_item = product, take_logarithms
    items = product.matrices*blocks_of(product.a.outer, PRODUCT_ROWS)*blocks_of(product.b.outer, PRODUCT_COLUMNS)
    # As much as the factors took: any result may turn out to need all its terms.
    return do_items(&shared, items, product.matrices*product.a.outer*product.b.outer
                    + (product.a.matrices*product.a.outer + product.b.matrices*product.b.outer)*product.terms)


cdef int sum_exactly(const Product *product) except -2:
    cdef Shared shared
    cdef Py_ssize_t size = product.matrices*product.a.outer*product.b.outer, items
    cdef Lanes lanes = lanes_for(product)
    shared.product = product
    if lanes == COLUMNS:
        shared.do_item = sum_block
        items = product.matrices*blocks_of(product.a.outer, PRODUCT_ROWS)*blocks_of(product.b.outer,
                                                                                    product.kernels.lanes)
    elif lanes == TERMS:
        shared.do_item = sum_terms
        items = size
    else:
        shared.do_item = sum_group
        items = blocks_of(size, product.kernels.lanes)
    return do_items(&shared, items, size*product.terms)
