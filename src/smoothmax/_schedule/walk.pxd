# From a plan to results. The arrays of a call reach the kernels only through these functions.

from smoothmax._kernels.interface cimport Addends, FusedHalves, Kernels, Load, Store
from smoothmax._schedule.plan cimport Plan
from smoothmax._schedule.route cimport Route, RouteName

cdef int walk(const Plan *plan) except -2       # -1: no memory

# notes.pxi
cdef int note(RouteName name) except -1         # tells explain a route that has no walk

# single_row.pxi
cdef struct SingleRow:
    # A contiguous row that needs no plan: halves, or floats with weights or addends.
    const Kernels *kernels
    const void *elements
    Py_ssize_t n
    Py_ssize_t itemsize
    void *result
    FusedHalves fused_halves    # of halves; NULL if the operation has no such kernel
    Load load
    Store store
    double scale                # of elements that are adjusted
    const void *addends         # NULL for none
    Addends layout
    const void *weights         # one for each element,
    double weight               # or one for all, as the operation needs

cdef bint walk_row(const Kernels *kernels, const void *elements, Py_ssize_t n, Py_ssize_t itemsize,
                   void *result) noexcept
cdef bint walk_half_row(const SingleRow *row) noexcept
cdef bint walk_adjusted_row(const SingleRow *row) noexcept
cdef bint walk_weighted_row(const SingleRow *row) noexcept

# alone.pxi
cdef int walk_alone(const Plan *plan, const Route *route) noexcept nogil         # -1: no memory
