# Which compiled variant of the kernels this process uses.

from smoothmax._kernels.table cimport Kernels, Operation, Select

cdef const Kernels *kernels_of(Operation operation, bint doubles) noexcept
cdef Select select_of(bint doubles) noexcept
