# Which compiled variant of the kernels this process uses.

from smoothmax._kernels.interface cimport (
    DataKernels, Elementwise, ElementwiseRow, Kernels, NumberF32, NumberF64, Operation, ProductKernels, ScoreKernels,
    Weigh,
)

cdef const Kernels *kernels_of(Operation operation, bint doubles) noexcept
cdef const DataKernels *data_kernels_of(bint doubles) noexcept
cdef const ScoreKernels *score_kernels_of(bint doubles) noexcept
cdef Weigh weigh_of(bint doubles) noexcept
cdef ElementwiseRow elementwise_of(Elementwise operation, bint doubles) noexcept
cdef const ProductKernels *product_kernels_of(bint doubles) noexcept
cdef NumberF32 number_f32_of(Elementwise operation) noexcept
cdef NumberF64 number_f64_of(Elementwise operation) noexcept
