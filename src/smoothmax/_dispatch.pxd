# Which compiled variant of the kernels this process uses.

from smoothmax._kernels.table cimport Kernels

cdef const Kernels *kernels_of(bint doubles) noexcept
