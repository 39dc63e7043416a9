# Walking a plan: everything between the arrays of a call and the kernels.

from smoothmax._plan cimport Plan

cdef int walk(const Plan *plan) except -2       # -1: no memory
