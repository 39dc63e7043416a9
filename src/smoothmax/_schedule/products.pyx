"""Walk products of matrices: factors, their products, and exact sums. This file knows no mathematics.

    factor              exponentials of an operand, each divided by a number near the largest of its reduction
    finish_product      from np.matmul's products to results; those that are not certified are summed exactly
    compute_blocks      results of small matrices, without np.matmul (product_blocks.pxi)
    multiply_small      the same of a stack of still smaller ones, each in a lane (product_stacks.pxi)
    sum_exactly         results of any matrices, summed exactly

A block of PRODUCT_ROWS times PRODUCT_COLUMNS results is one item of work for a thread. For exact sums the lanes are
usually elements of one row of the result. Their terms are laid side by side in a panel, and a panel serves all rows of
a block. With enough rows, terms are products of exponentials (factored_products.pxi). If so few elements of a block are
needed that a panel for each of its columns would not pay, lanes are elements anywhere in the block, with panels of both
operands. If the result has fewer elements than there are lanes, lanes are terms.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from smoothmax._kernels.cache_lines cimport cache_line_of
from smoothmax._kernels.interface cimport (
    ONE_FOR_ALL_LANES, ONE_FOR_EACH_LANE, AddProducts, FactoredSum, ProductSum,
)
from smoothmax._schedule.pool cimport Queue, share, take
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._thresholds cimport (
    CACHE_LINE_BYTES, GIL_MIN_ELEMENTS, LANES_F32, LANES_F64, PRODUCT_BLOCK_TERMS, PRODUCT_COLUMNS,
    PRODUCT_EXACT_ELEMENTS, PRODUCT_FACTORED_LANES, PRODUCT_FACTOR_TERMS, PRODUCT_FILLED_LANES,
    PRODUCT_PANEL_ELEMENTS, PRODUCT_PANEL_MIN_TERMS, PRODUCT_ROWS, PRODUCT_STACK_ELEMENTS, PRODUCT_TERMS,
    SHARE_GRAIN_ELEMENTS, SHARE_MIN_BYTES,
)

ctypedef fused real:
    float
    double


cdef struct Space:
    # The memory of a thread: 189 KiB. All lanes begin at a cache line if it does.
    double a[PRODUCT_TERMS*LANES_F64]
    double b[PRODUCT_TERMS*LANES_F64]
    double a_elements[PRODUCT_FACTOR_TERMS*LANES_F64]       # of a stack, whose factors are in a and b
    double b_elements[PRODUCT_FACTOR_TERMS*LANES_F64]
    double values[LANES_F32]
    double products[PRODUCT_STACK_ELEMENTS*LANES_F64]
    double shifts[(PRODUCT_STACK_ELEMENTS + 1)*LANES_F64]
    double exponents[(PRODUCT_STACK_ELEMENTS + 1)*LANES_F64]
    double far[(PRODUCT_STACK_ELEMENTS + 1)*LANES_F64]
    ProductSum sums[PRODUCT_ROWS]
    FactoredSum factored[LANES_F32]
    uint16_t places[PRODUCT_ROWS*PRODUCT_COLUMNS]   # the places of doubtful results, row after row
    Py_ssize_t found[PRODUCT_ROWS]                  # how many of them a row has


cdef struct Matrices:
    # The matrices that one matrix of the result is computed from.
    const char *a
    const char *b
    const char *a_shifts
    const char *a_exponents
    const char *b_shifts
    const char *b_exponents
    const char *a_factors           # if a kernel multiplies them
    const char *b_factors
    char *result


cdef struct Block:
    # Up to PRODUCT_ROWS times PRODUCT_COLUMNS results.
    Matrices of
    Py_ssize_t row, rows
    Py_ssize_t column, columns


cdef inline Py_ssize_t blocks_of(Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    return (n + size - 1)//size


cdef void find_matrices(const Product *product, Py_ssize_t index, Matrices *found) noexcept nogil:
    cdef Py_ssize_t i, at, left = index, a_place = 0, b_place = 0, a_offset, b_offset
    found.a, found.b = product.a.data, product.b.data
    for i in range(product.ndim - 1, -1, -1):
        at = left % product.shape[i]
        left //= product.shape[i]
        found.a += at*product.a.stride[i]
        found.b += at*product.b.stride[i]
        a_place += at*product.a.place[i]
        b_place += at*product.b.place[i]
    a_offset, b_offset = a_place*product.a.outer*product.itemsize, b_place*product.b.outer*product.itemsize
    found.a_shifts, found.a_exponents = product.a.shifts + a_offset, product.a.exponents + a_offset
    found.b_shifts, found.b_exponents = product.b.shifts + b_offset, product.b.exponents + b_offset
    found.a_factors = product.a.factors + a_place*product.a.factors_size
    found.b_factors = product.b.factors + b_place*product.b.factors_size
    found.result = product.result + index*product.a.outer*product.b.outer*product.itemsize


cdef Py_ssize_t blocks_in(const Product *product) noexcept nogil:
    return product.matrices*blocks_of(product.a.outer, PRODUCT_ROWS)*blocks_of(product.b.outer, PRODUCT_COLUMNS)


cdef void find_block(const Product *product, Py_ssize_t item, Block *block) noexcept nogil:
    cdef Py_ssize_t across = blocks_of(product.b.outer, PRODUCT_COLUMNS)
    cdef Py_ssize_t down = blocks_of(product.a.outer, PRODUCT_ROWS)
    block.row, block.column = item//across % down*PRODUCT_ROWS, item % across*PRODUCT_COLUMNS
    block.rows = min(product.a.outer - block.row, PRODUCT_ROWS)
    block.columns = min(product.b.outer - block.column, PRODUCT_COLUMNS)
    find_matrices(product, item//(across*down), &block.of)


cdef inline const char *matrix_of(const Operand *operand, int ndim, Py_ssize_t index) noexcept nogil:
    """A matrix of an operand's own stack."""
    cdef const char *elements = operand.data
    cdef Py_ssize_t i
    for i in range(ndim - 1, -1, -1):
        elements += index % operand.length[i]*operand.stride[i]
        index //= operand.length[i]
    return elements


cdef bint prefers_exact(const Product *product) noexcept nogil:
    """Whether matrices are so small that exact sums take no longer than a product with its two passes."""
    return product.a.outer*product.b.outer <= PRODUCT_EXACT_ELEMENTS


# Factors --------------------------------------------------------------------------------------------------------------

cdef struct Factoring:
    const Product *product
    const Operand *operand
    char *factors
    Py_ssize_t group            # reductions of an item
    Py_ssize_t groups           # of a matrix
    void (*do_group)(const Factoring *work, Py_ssize_t item) noexcept nogil


cdef bint is_by_rows(const Operand *operand, const Product *product) noexcept nogil:
    """Whether the elements of a reduction are contiguous; otherwise neighbours in different reductions are."""
    return operand.inner_stride == product.itemsize


cdef void factor_group(const Factoring *work, Py_ssize_t item) noexcept nogil:
    cdef const Product *product = work.product
    cdef const Operand *operand = work.operand
    cdef Py_ssize_t matrix = item//work.groups, first = item % work.groups*work.group
    cdef Py_ssize_t n = min(operand.outer - first, work.group), k = product.terms, size = product.itemsize
    cdef const char *elements = matrix_of(operand, product.ndim, matrix) + first*operand.outer_stride
    cdef char *factors = work.factors + matrix*operand.outer*k*size
    cdef char *shifts = operand.shifts + (matrix*operand.outer + first)*size
    cdef char *exponents = operand.exponents + (matrix*operand.outer + first)*size
    if is_by_rows(operand, product):
        product.kernels.factor_rows(elements, operand.outer_stride//size, n, k, k, factors + first*k*size, k, shifts,
                                    exponents)
    else:
        product.kernels.factor_columns(elements, operand.inner_stride//size, k, n, k, factors + first*size,
                                       operand.outer, shifts, exponents)


cdef void work_on_factors(void *context, Queue *queue) noexcept nogil:
    cdef const Factoring *work = <const Factoring *>context
    cdef Py_ssize_t item = take(queue)
    while item >= 0:
        work.do_group(work, item)
        item = take(queue)


cdef int factor(const Product *product, const Operand *operand, char *factors, bint in_panels) except -2:
    cdef Factoring work
    cdef Py_ssize_t items, item, work_bytes = work_in(product)*product.itemsize
    cdef Py_ssize_t threads = threads_of_caller() if work_bytes >= SHARE_MIN_BYTES else 1
    work.product, work.operand, work.factors = product, operand, factors
    work.do_group = factor_panel if in_panels else factor_group
    work.group = product.kernels.lanes if in_panels else SHARE_GRAIN_ELEMENTS//product.terms + 1
    if not is_by_rows(operand, product) and not in_panels:
        work.group = blocks_of(work.group, product.kernels.lanes)*product.kernels.lanes
    work.groups = blocks_of(operand.outer, work.group)
    items = operand.matrices*work.groups
    if threads > 1 and items > 1:
        return share(work_on_factors, &work, items, threads)
    with nogil:
        for item in range(items):
            work.do_group(&work, item)
    return 0


include "exact_products.pxi"
include "doubtful_products.pxi"


# Logarithms -----------------------------------------------------------------------------------------------------------

cdef void take_logarithms(const Product *product, const Block *block, Space *space) noexcept nogil:
    cdef Py_ssize_t size = product.itemsize, i, found = 0
    for i in range(block.rows):
        space.found[i] = product.kernels.log_products(
            block.of.result + (block.row + i)*product.row_stride + block.column*size, block.columns, product.terms,
            block.of.a_shifts + (block.row + i)*size, block.of.a_exponents + (block.row + i)*size,
            block.of.b_shifts + block.column*size, block.of.b_exponents + block.column*size,
            space.places + i*PRODUCT_COLUMNS)
        found += space.found[i]
    if found:
        sum_doubtful(product, &block.of, block.row, block.rows, block.column, space)


cdef void log_block(const Product *product, Py_ssize_t item, Space *space) noexcept nogil:
    cdef Block block
    find_block(product, item, &block)
    take_logarithms(product, &block, space)


# Items shared --------------------------------------------------------------------------------------------------------

cdef struct Shared:
    const Product *product
    void (*do_item)(const Product *product, Py_ssize_t item, Space *space) noexcept nogil


cdef void work_on_items(void *context, Queue *queue) noexcept nogil:
    cdef const Shared *shared = <const Shared *>context
    cdef void *memory = malloc(sizeof(Space) + CACHE_LINE_BYTES)
    cdef Py_ssize_t item
    if memory == NULL:
        return
    item = take(queue)
    while item >= 0:
        shared.do_item(shared.product, item, <Space *>cache_line_of(memory))
        item = take(queue)
    free(memory)


cdef int work_alone(const Shared *shared, Py_ssize_t items) noexcept nogil:
    cdef void *memory = malloc(sizeof(Space) + CACHE_LINE_BYTES)
    cdef Py_ssize_t item
    if memory == NULL:
        return -1
    for item in range(items):
        shared.do_item(shared.product, item, <Space *>cache_line_of(memory))
    free(memory)
    return 0


cdef int do_items(const Shared *shared, Py_ssize_t items, Py_ssize_t work) except -2:
    """Do all items. Together they are as much work as `work` elements."""
    cdef Py_ssize_t threads = threads_of_caller() if work*shared.product.itemsize >= SHARE_MIN_BYTES else 1
    cdef int failed
    if threads > 1 and items > 1:
        return share(work_on_items, <void *>shared, items, threads)
    if work < GIL_MIN_ELEMENTS:
        return work_alone(shared, items)
    with nogil:
        failed = work_alone(shared, items)
    return failed


include "product_stacks.pxi"
include "product_blocks.pxi"
include "factored_products.pxi"


cdef Py_ssize_t work_in(const Product *product) noexcept nogil:
    """How many elements are exponentiated, and results whose logarithm is taken."""
    return (product.matrices*product.a.outer*product.b.outer
            + (product.a.matrices*product.a.outer + product.b.matrices*product.b.outer)*product.terms)


cdef int finish_product(const Product *product) except -2:
    cdef Shared shared
    shared.product, shared.do_item = product, log_block
    return do_items(&shared, blocks_in(product), work_in(product))


cdef int sum_exactly(const Product *product) except -2:
    cdef Shared shared
    cdef Py_ssize_t size = product.matrices*product.a.outer*product.b.outer, items
    cdef Lanes lanes = lanes_for(product)
    shared.product = product
    if lanes == MATRICES:
        shared.do_item = sum_matrices
        items = blocks_of(product.matrices, product.kernels.lanes)
    elif lanes == COLUMNS and factors_blocks(product):
        shared.do_item = sum_factored_block
        items = product.matrices*blocks_of(product.a.outer, product.kernels.lanes)*blocks_of(product.b.outer,
                                                                                             product.kernels.lanes)
    elif lanes == COLUMNS:
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
