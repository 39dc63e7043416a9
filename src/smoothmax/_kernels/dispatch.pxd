# Which compiled variant of the kernels this process uses.
#
# Modules share the variable and not functions: ten elements would pay a few percent of a call for each call of another
# module.

from smoothmax._kernels.interface cimport (
    DataKernels, Elementwise, ElementwiseRow, Kernels, NumberF32, NumberF64, Operation, ProductKernels, ScoreKernels,
    Table, Weigh,
)

cdef const Table *table


cdef inline const Kernels *kernels_of(Operation operation, bint doubles) noexcept:
    if doubles:
        return &table.f64[<int>operation]
    return &table.f32[<int>operation]


cdef inline const DataKernels *data_kernels_of(bint doubles) noexcept:
    return &table.data_f64 if doubles else &table.data_f32


cdef inline const ScoreKernels *score_kernels_of(bint doubles) noexcept:
    return &table.scores_f64 if doubles else &table.scores_f32


cdef inline Weigh weigh_of(bint doubles) noexcept:
    return table.weigh_f64 if doubles else table.weigh_f32


cdef inline ElementwiseRow elementwise_of(Elementwise operation, bint doubles) noexcept:
    return table.elementwise_f64[<int>operation] if doubles else table.elementwise_f32[<int>operation]


cdef inline const ProductKernels *product_kernels_of(bint doubles) noexcept:
    return &table.products_f64 if doubles else &table.products_f32


cdef inline NumberF32 number_f32_of(Elementwise operation) noexcept:
    return table.number_f32[<int>operation]


cdef inline NumberF64 number_f64_of(Elementwise operation) noexcept:
    return table.number_f64[<int>operation]
