# Which compiled variant of the kernels this process uses.

from smoothmax._kernels.interface cimport Kernels, DataKernels, Operation, Weigh

cdef const Kernels *kernels_of(Operation operation, bint doubles) noexcept
cdef const DataKernels *data_kernels_of(bint doubles) noexcept
cdef Weigh weigh_of(bint doubles) noexcept
