# Products of matrices in log space, and stacks of them.

from smoothmax._kernels.interface cimport ProductKernels

cdef enum:
    MAX_STACK = 64


cdef struct Operand:
    # One of the two factors: matrices of elements in the type of the computation. Strides are in bytes.
    const char *data
    Py_ssize_t outer                # how many reductions a matrix has: rows of a, columns of b
    Py_ssize_t outer_stride
    Py_ssize_t inner_stride         # along the axis that is summed over
    Py_ssize_t matrices             # of its own stack
    Py_ssize_t length[MAX_STACK]    # of its own stack: that of the result, or 1
    Py_ssize_t stride[MAX_STACK]    # 0 where the length is 1
    Py_ssize_t place[MAX_STACK]     # how many of its own matrices lie between neighbours, 0 where the length is 1
    char *maxima                    # of each reduction, in C's order


cdef struct Product:
    const ProductKernels *kernels
    Py_ssize_t itemsize
    Py_ssize_t terms                # k, the length of the axis that is summed over
    int ndim                        # of the stack
    Py_ssize_t shape[MAX_STACK]
    Py_ssize_t matrices
    Operand a
    Operand b
    char *result                    # C-contiguous matrices, in the type of the computation,
    Py_ssize_t row_stride           # whose strides are those of their transposes where a and b have changed places
    Py_ssize_t column_stride


cdef bint is_small_stack(const Product *product) noexcept nogil
cdef bint prefers_exact(const Product *product) noexcept nogil
cdef bint is_by_rows(const Operand *operand, const Product *product) noexcept nogil

# Each returns -1 if there is no memory. Kernels must be entered in the standard environment, which the caller does.
cdef int factor(const Product *product, const Operand *operand, char *factors) except -2
cdef int multiply_small(const Product *product) except -2
cdef int finish_product(const Product *product) except -2
cdef int sum_exactly(const Product *product) except -2
