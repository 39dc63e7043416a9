# Which compiled variant of the kernels this process uses.

from smoothmax._kernels.interface cimport Kernels, Moves, Operation, Weigh

cdef const Kernels *kernels_of(Operation operation, bint doubles) noexcept
cdef const Moves *moves_of(bint doubles) noexcept
cdef Weigh weigh_of(bint doubles) noexcept
