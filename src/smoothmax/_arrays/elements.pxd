# The functions that load elements of a NumPy type as floats or doubles, and store results as elements of it.

from smoothmax._schedule.plan cimport Load, Store

cdef Load loader(int type_number, bint to_double) noexcept
cdef Store storer(int type_number, bint from_double) noexcept
