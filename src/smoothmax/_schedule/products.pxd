# Products of matrices in log space, and stacks of them.

from smoothmax._kernels.interface cimport ProductKernels
from smoothmax._schedule.plan cimport MAX_DIMENSIONS


cdef struct Operand:
    # One of the two operands: matrices with elements of the computation's type. Strides are in bytes.
    const char *data
    Py_ssize_t outer                # how many reductions a matrix has: rows of a, columns of b
    Py_ssize_t outer_stride
    Py_ssize_t inner_stride         # along the axis that is summed over
    Py_ssize_t matrices             # how many its own stack has
    Py_ssize_t length[MAX_DIMENSIONS]   # of the axes of its own stack: that of the result, or 1
    Py_ssize_t stride[MAX_DIMENSIONS]   # 0 where the length is 1
    Py_ssize_t place[MAX_DIMENSIONS]    # the step between neighbours, counted in matrices; 0 where the length is 1
    char *shifts                    # of each reduction, in C's order: what its factors were shifted by,
    char *exponents                 # and the exponent that they were divided by (see ops/logmatmulexp.pxi)
    char *factors                   # where a kernel multiplies
    Py_ssize_t factors_size         # of a matrix, in bytes


cdef struct Product:
    const ProductKernels *kernels
    Py_ssize_t itemsize
    Py_ssize_t terms                # k, the length of the axis that is summed over
    int ndim                        # axes of the stack
    Py_ssize_t shape[MAX_DIMENSIONS]
    Py_ssize_t matrices
    Operand a
    Operand b
    char *result                    # C-contiguous matrices in the type of the computation,
    Py_ssize_t row_stride           # with the strides of their transposes if a and b are exchanged
    Py_ssize_t column_stride


cdef bint is_small_stack(const Product *product) noexcept nogil
cdef bint is_multiplied_in_blocks(const Product *product) noexcept nogil
cdef bint prefers_exact(const Product *product) noexcept nogil
cdef bint is_by_rows(const Operand *operand, const Product *product) noexcept nogil

# Each returns -1 if there is no memory. The caller enters the standard environment for the kernels.
cdef int factor(const Product *product, const Operand *operand, char *factors, bint in_panels) except -2
cdef int compute_blocks(const Product *product) except -2
cdef int multiply_small(const Product *product) except -2
cdef int finish_product(const Product *product) except -2
cdef int sum_exactly(const Product *product) except -2
