# From a plan to its results. The arrays of a call reach the kernels only through these functions.

from smoothmax._kernels.interface cimport DataKernels, Kernels, Load, Store
from smoothmax._schedule.plan cimport Plan
from smoothmax._schedule.route cimport Route, RouteName

cdef int walk_alone(const Plan *plan, const Route *route) noexcept nogil         # -1: no memory
cdef int walk(const Plan *plan) except -2       # -1: no memory
cdef bint walk_row(const Kernels *kernels, const void *elements, Py_ssize_t n, Py_ssize_t itemsize,
                   void *result) noexcept
cdef bint walk_half_row(const Kernels *kernels, Load load_row, Store store_row, const void *elements, Py_ssize_t n,
                        void *result) noexcept
cdef bint walk_adjusted_row(const Kernels *kernels, const DataKernels *data_kernels, const void *elements,
                            const void *addends, bint one_addend, double scale, Py_ssize_t n, Py_ssize_t itemsize,
                            void *result) noexcept
cdef bint walk_weighted_row(const Kernels *kernels, const void *elements, const void *weights, Py_ssize_t n,
                            Py_ssize_t itemsize, void *result) noexcept
cdef int note(RouteName name) except -1         # for explain: a route that has no walk
