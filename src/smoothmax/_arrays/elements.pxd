# How elements of any supported type become the floats or doubles that kernels take, and results become elements.

from smoothmax._schedule.plan cimport Load, Store

cdef Load loader(int type_number, bint to_double) noexcept
cdef Store storer(int type_number, bint from_double) noexcept
