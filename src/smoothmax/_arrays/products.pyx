"""logmatmulexp: from arguments to two operands, and who multiplies their factors, kernels or np.matmul.

Factors are the operands' exponentials, each divided by a number near the largest of its reduction. Those for np.matmul
have the memory order of the elements, so that it need not copy them, and are freed before other memory is allocated.
"""

cimport numpy as cnp
import numpy as np

from smoothmax._arrays.call cimport (
    MAX_DIMENSIONS, READ_IN_ANY_ORDER, as_array, as_base, check_out, kernel_type, plain_product, requested_dtype,
    result_dtype, silenced, tuple_of, without_overlap,
)
from smoothmax._arrays.elements cimport dtype_of_number, has_kernels, loader, number_of, order_of, storer
from smoothmax._kernels.cache_lines cimport cache_line_of
from smoothmax._kernels.dispatch cimport product_kernels_of
from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport ByteOrder, Load, Store
from smoothmax._schedule.products cimport (
    Operand, Product, compute_blocks, factor, finish_product, is_by_rows, is_multiplied_in_blocks, is_small_stack,
    multiply_small, prefers_exact, sum_exactly,
)
from smoothmax._schedule.route cimport EMPTY, EXACT_PRODUCT, PRODUCT, PRODUCT_BLOCKS, PRODUCT_STACK
from smoothmax._schedule.walk cimport note
from smoothmax._thresholds cimport CACHE_LINE_BYTES

cnp.import_array()


cdef inline Py_ssize_t length_from_end(cnp.ndarray array, int back) noexcept:
    """The length of the last axis (1) or of the one before it (2)."""
    return cnp.PyArray_DIM(array, cnp.PyArray_NDIM(array) - back)


cdef tuple stack_shape(cnp.ndarray a, cnp.ndarray b):
    """The shape of the result without its last two axes; a and b have the axes that np.matmul needs."""
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef int i, ndim = max(cnp.PyArray_NDIM(a), cnp.PyArray_NDIM(b)) - 2
    cdef Py_ssize_t own, other
    for i in range(ndim):
        own = stack_length(a, ndim, i)
        other = stack_length(b, ndim, i)
        if own != other and own != 1 and other != 1:
            raise ValueError(f"the stacks of a and b must broadcast, got shapes {(<object>a).shape} and "
                             f"{(<object>b).shape}")
        lengths[i] = other if own == 1 else own
    return tuple_of(lengths, ndim)


cdef Py_ssize_t stack_length(cnp.ndarray array, int ndim, int i) noexcept:
    """The length of axis i of a stack of `ndim` axes; 1 if the array has fewer."""
    cdef int own = i - ndim + cnp.PyArray_NDIM(array) - 2
    return cnp.PyArray_DIM(array, own) if own >= 0 else 1


cdef cnp.ndarray without_repeats(cnp.ndarray array):
    """The array with length 1 along axes of its stack that repeat one matrix, as after np.broadcast_to."""
    cdef int i
    cdef list index = []
    cdef bint repeats = False
    for i in range(cnp.PyArray_NDIM(array) - 2):
        once = cnp.PyArray_STRIDE(array, i) == 0 and cnp.PyArray_DIM(array, i) > 1
        index.append(slice(0, 1) if once else slice(None))
        repeats = repeats or once
    return (<object>array)[tuple(index)] if repeats else array


cdef inline Py_ssize_t offset_of_row(Py_ssize_t row, int ndim, const cnp.npy_intp *shape,
                                     const cnp.npy_intp *strides) noexcept nogil:
    """The offset at which a row begins. Rows go along the last axis, and are counted in C's order."""
    cdef Py_ssize_t offset = 0
    cdef int i
    for i in range(ndim - 2, -1, -1):
        offset += row % shape[i]*strides[i]
        row //= shape[i]
    return offset


cdef cnp.ndarray loaded(cnp.ndarray array, int computing):
    """A C-contiguous copy in the computation's type. (NumPy's casts warn, and crash if they get no memory.)"""
    cdef int ndim = cnp.PyArray_NDIM(array)
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(array)
    cdef const cnp.npy_intp *strides = cnp.PyArray_STRIDES(array)
    cdef cnp.ndarray copy = cnp.PyArray_EMPTY(ndim, cnp.PyArray_DIMS(array), computing, 0)
    cdef Load load = loader(cnp.PyArray_TYPE(array), computing == cnp.NPY_FLOAT64)
    cdef Py_ssize_t n = shape[ndim - 1], row, rows = cnp.PyArray_SIZE(array)//n, size = cnp.PyArray_ITEMSIZE(copy)
    cdef const char *source = cnp.PyArray_BYTES(array)
    cdef char *to = cnp.PyArray_BYTES(copy)
    cdef ByteOrder order = order_of(array)
    with nogil:
        for row in range(rows):
            load(source + offset_of_row(row, ndim, shape, strides), strides[ndim - 1], n, order, to + row*n*size)
    return copy


cdef void store_in(cnp.ndarray result, cnp.ndarray products) noexcept:
    """Store C-contiguous products as the elements of a result of any type and layout."""
    cdef int ndim = cnp.PyArray_NDIM(result)
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(result)
    cdef const cnp.npy_intp *strides = cnp.PyArray_STRIDES(result)
    cdef Store store = storer(cnp.PyArray_TYPE(result), cnp.PyArray_TYPE(products) == cnp.NPY_FLOAT64)
    cdef Py_ssize_t n = shape[ndim - 1] if ndim else 1, stride = strides[ndim - 1] if ndim else 0
    cdef Py_ssize_t row, rows = cnp.PyArray_SIZE(products)//n, size = cnp.PyArray_ITEMSIZE(products)
    cdef const char *source = cnp.PyArray_BYTES(products)
    cdef char *to = cnp.PyArray_BYTES(result)
    cdef ByteOrder order = order_of(result)
    with nogil:
        for row in range(rows):
            store(source + row*n*size, n, to + offset_of_row(row, ndim, shape, strides), stride, order)


cdef cnp.ndarray in_kernel_type(cnp.ndarray array, int computing):
    """The array where it lies if kernels can read it, with one of the last two axes contiguous; otherwise a copy."""
    cdef Py_ssize_t size = 8 if computing == cnp.NPY_FLOAT64 else 4
    cdef int ndim = cnp.PyArray_NDIM(array), i
    cdef bint reads = cnp.PyArray_TYPE(array) == computing and cnp.PyArray_ISBEHAVED_RO(array)
    for i in range(ndim):
        reads = reads and cnp.PyArray_STRIDE(array, i) % size == 0
    if reads and (is_contiguous_along(array, ndim - 1, size) or is_contiguous_along(array, ndim - 2, size)):
        return array
    # np.matmul sums in an order that depends on how a matrix lies. Contiguous columns stay contiguous, because an
    # unaligned array, which is copied, must give the same bits as an aligned one.
    size = cnp.PyArray_ITEMSIZE(array)
    if is_contiguous_along(array, ndim - 2, size) and not is_contiguous_along(array, ndim - 1, size):
        return np.swapaxes(loaded(np.swapaxes(array, -1, -2), computing), -1, -2)
    return loaded(array, computing)


cdef bint is_contiguous_along(cnp.ndarray array, int axis, Py_ssize_t size) noexcept:
    return cnp.PyArray_STRIDE(array, axis) == size or cnp.PyArray_DIM(array, axis) == 1


cdef void describe(cnp.ndarray array, int outer, int inner, Py_ssize_t itemsize, const Product *product,
                   Operand *operand) noexcept:
    """Describe an operand of a product: its elements, and the steps of its stack along the stack of the result."""
    cdef int i, ndim = cnp.PyArray_NDIM(array), axis
    operand.data = <const char *>cnp.PyArray_DATA(array)
    operand.outer = cnp.PyArray_DIM(array, outer)
    operand.outer_stride = cnp.PyArray_STRIDE(array, outer)
    operand.inner_stride = cnp.PyArray_STRIDE(array, inner)
    if operand.outer == 1 and operand.inner_stride != itemsize:
        operand.outer_stride = itemsize             # the stride of an axis of length 1 may have any value
    if product.terms == 1 and operand.outer_stride != itemsize:
        operand.inner_stride = itemsize
    operand.matrices = 1
    for i in range(product.ndim - 1, -1, -1):
        axis = i - product.ndim + ndim - 2
        operand.length[i] = cnp.PyArray_DIM(array, axis) if axis >= 0 else 1
        operand.stride[i] = cnp.PyArray_STRIDE(array, axis) if operand.length[i] != 1 else 0
        operand.place[i] = operand.matrices if operand.length[i] != 1 else 0
        operand.matrices *= operand.length[i]


cdef cnp.ndarray factored(const Product *product, Operand *operand, cnp.ndarray array, bint inner_is_last,
                          cnp.ndarray shifts):
    """The factors of an operand in the shape of its array. Its shifts and exponents are stored in `shifts`."""
    cdef cnp.ndarray factors
    cdef bint as_it_is = is_by_rows(operand, product) == inner_is_last
    operand.shifts = <char *>cnp.PyArray_DATA(shifts)
    operand.exponents = operand.shifts + operand.matrices*operand.outer*product.itemsize
    factors = np.empty((<object>array if as_it_is else np.swapaxes(array, -1, -2)).shape, shifts.descr)
    if factor(product, operand, <char *>cnp.PyArray_DATA(factors), in_panels=False):
        raise MemoryError
    return factors if as_it_is else np.swapaxes(factors, -1, -2)


cdef void swap_operands(Product *product) noexcept:
    """Exchange the operands, so that the rows of the result become columns."""
    cdef Operand operand = product.a
    product.a, product.b = product.b, operand
    product.row_stride, product.column_stride = product.column_stride, product.row_stride


cdef int multiply_exactly(Product *product) except -1:
    """Sum without np.matmul. Lanes are columns, so b must be the longer operand if either fills the lanes."""
    note(EXACT_PRODUCT)
    if product.b.outer < product.a.outer and 2*product.b.outer < product.kernels.lanes:
        swap_operands(product)
    if sum_exactly(product):
        raise MemoryError
    return 0


cdef int multiply_by_kernels(Product *product) except -1:
    cdef Py_ssize_t lanes = product.kernels.lanes, size = product.itemsize
    cdef Py_ssize_t a_shifts = product.a.matrices*product.a.outer*size
    cdef Py_ssize_t b_shifts = product.b.matrices*product.b.outer*size
    cdef cnp.ndarray memory
    note(PRODUCT_BLOCKS)
    if product.b.outer == 1:            # treat a column as a row, so that its elements fill the lanes
        swap_operands(product)
        a_shifts, b_shifts = b_shifts, a_shifts
    product.a.factors_size = product.a.outer*product.terms*size
    product.b.factors_size = (product.b.outer + lanes - 1)//lanes*lanes*product.terms*size
    memory = np.empty(product.a.matrices*product.a.factors_size + product.b.matrices*product.b.factors_size
                      + 2*(a_shifts + b_shifts) + CACHE_LINE_BYTES, np.uint8)
    product.b.factors = cache_line_of(cnp.PyArray_DATA(memory))
    product.a.factors = product.b.factors + product.b.matrices*product.b.factors_size
    product.a.shifts = product.a.factors + product.a.matrices*product.a.factors_size
    product.a.exponents = product.a.shifts + a_shifts
    product.b.shifts = product.a.exponents + a_shifts
    product.b.exponents = product.b.shifts + b_shifts
    if (factor(product, &product.a, product.a.factors, in_panels=False)
            or factor(product, &product.b, product.b.factors, in_panels=True) or compute_blocks(product)):
        raise MemoryError
    return 0


cdef int multiply_by_matmul(Product *product, cnp.ndarray a, cnp.ndarray b, cnp.ndarray products,
                            int computing) except -1:
    cdef cnp.ndarray a_shifts = np.empty(2*product.a.matrices*product.a.outer, dtype_of_number(computing))
    cdef cnp.ndarray b_shifts = np.empty(2*product.b.matrices*product.b.outer, dtype_of_number(computing))
    note(PRODUCT)
    left = factored(product, &product.a, a, inner_is_last=True, shifts=a_shifts)
    right = factored(product, &product.b, b, inner_is_last=False, shifts=b_shifts)
    silence = silenced()
    try:
        np.matmul(left, right, out=products)
    except SystemError:                 # NumPy raises this if it gets no memory for a copy (2.4)
        raise MemoryError from None
    finally:
        silence.__exit__(None, None, None)
    del left, right                     # before anything else is allocated
    if product.b.outer == 1:            # treat a column as a row, so that logarithms are computed side by side
        swap_operands(product)
    if finish_product(product):
        raise MemoryError
    return 0


cdef int compute_products(cnp.ndarray a, cnp.ndarray b, cnp.ndarray products, int computing, bint exact) except -1:
    """Fill C-contiguous `products` in the type of the computation."""
    cdef Product product
    cdef int i, ndim = cnp.PyArray_NDIM(products) - 2
    a, b = in_kernel_type(without_repeats(a), computing), in_kernel_type(without_repeats(b), computing)
    product.kernels = product_kernels_of(computing == cnp.NPY_FLOAT64)
    product.itemsize = cnp.PyArray_ITEMSIZE(products)
    product.terms = cnp.PyArray_DIM(a, cnp.PyArray_NDIM(a) - 1)
    product.ndim = ndim
    product.matrices = 1
    for i in range(ndim):
        product.shape[i] = cnp.PyArray_DIM(products, i)
        product.matrices *= product.shape[i]
    describe(a, cnp.PyArray_NDIM(a) - 2, cnp.PyArray_NDIM(a) - 1, product.itemsize, &product, &product.a)
    describe(b, cnp.PyArray_NDIM(b) - 1, cnp.PyArray_NDIM(b) - 2, product.itemsize, &product, &product.b)
    product.a.shifts = product.a.exponents = product.a.factors = NULL
    product.b.shifts = product.b.exponents = product.b.factors = NULL
    product.a.factors_size = product.b.factors_size = 0
    product.result = <char *>cnp.PyArray_DATA(products)
    product.row_stride, product.column_stride = product.b.outer*product.itemsize, product.itemsize
    if not exact and is_small_stack(&product):
        note(PRODUCT_STACK)
        if multiply_small(&product):
            raise MemoryError
        return 0
    if exact or prefers_exact(&product):
        return multiply_exactly(&product)
    if is_multiplied_in_blocks(&product):
        return multiply_by_kernels(&product)
    return multiply_by_matmul(&product, a, b, products, computing)


cdef object multiply_arrays(object a, object b, object out, object dtype, object exact):
    cdef cnp.ndarray left = as_array(a, "a"), right = as_array(b, "b"), result, products
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef bint without_matmul = bool(exact)
    cdef int i, ndim, computing
    cdef Py_ssize_t k
    cdef bint in_place, is_row, is_column
    cdef Environment environment
    requested = requested_dtype(dtype)
    left, right = as_base(left), as_base(right)
    if cnp.PyArray_NDIM(left) == 0 or cnp.PyArray_NDIM(right) == 0:
        raise ValueError(f"a and b must have at least one axis, got shapes {(<object>left).shape} and "
                         f"{(<object>right).shape}")
    is_row, is_column = cnp.PyArray_NDIM(left) == 1, cnp.PyArray_NDIM(right) == 1
    chosen = result_dtype(a, left, b, right, requested)
    k = length_from_end(left, 1)
    if k != length_from_end(right, 1 if is_column else 2):
        raise ValueError(f"the last axis of a must be as long as the {'only' if is_column else 'second-to-last'} axis "
                         f"of b, got shapes {(<object>left).shape} and {(<object>right).shape}")
    left = left[None] if is_row else left
    right = right[:, None] if is_column else right
    stack = stack_shape(left, right)
    rows, columns = (length_from_end(left, 2),), (length_from_end(right, 1),)
    shape = stack + (() if is_row else rows) + (() if is_column else columns)
    if not has_kernels(number_of(chosen)):
        return plain_product(left, right, shape, out, chosen)
    ndim = len(shape)
    for i in range(ndim):
        lengths[i] = shape[i]
    if out is None:
        result = np.empty(shape, chosen)
    else:
        check_out(out, ndim, lengths, chosen)
        result = out
        left = without_overlap(left, result, READ_IN_ANY_ORDER)
        right = without_overlap(right, result, READ_IN_ANY_ORDER)
    if not cnp.PyArray_SIZE(result) or not k:
        note(EMPTY)
        result.fill(-np.inf)
        return result[()] if out is None and ndim == 0 else result
    computing = kernel_type(number_of(chosen))
    in_place = (cnp.PyArray_TYPE(result) == computing and cnp.PyArray_ISBEHAVED(result)
                and cnp.PyArray_IS_C_CONTIGUOUS(result))
    whole = stack + rows + columns
    products = result.reshape(whole) if in_place else np.empty(whole, dtype_of_number(computing))
    enter_environment(&environment)
    try:
        compute_products(left, right, products, computing, without_matmul)
        if not in_place:
            store_in(result, products)
    finally:
        leave_environment(&environment)
    return result[()] if out is None and ndim == 0 else result
