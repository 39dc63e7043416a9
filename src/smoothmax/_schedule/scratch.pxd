# Staging copies elements that kernels cannot read where they lie into the scratch, and results from there to the array.

from smoothmax._schedule.plan cimport Bases, Cursor, Plan

cdef void stage_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *elements,
                    char *weights) noexcept nogil
# stage_row where loads_largest(plan); returns the largest element, or -inf if a nan hides it.
cdef double stage_largest(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n,
                          char *elements) noexcept nogil
cdef void stage_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                     char *elements, char *weights, char *prepared) noexcept nogil
cdef void unstage_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *results) noexcept nogil
cdef void unstage_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                       char *results) noexcept nogil

# Turn elements of the kernels' type into elements*scale + addends, as the plan says. `addends` lie in the user's array,
# `addends_step` bytes from row to row and `stride` within a row; NULL for none. What lies `ahead` bytes ahead of the
# elements is fetched; 0 for nothing.
cdef void adjust_elements(const Plan *plan, const char *elements, Py_ssize_t step, const char *addends,
                          Py_ssize_t addends_step, Py_ssize_t stride, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t ahead,
                          char *to, Py_ssize_t to_step) noexcept nogil

# Masked elements are staged as -inf, so results are right unless the reduction is nan. Then all its results are nan, so
# testing the first is enough. In that case these functions replace the results of masked elements by plan.fill.
cdef void fill_masked_row(const Plan *plan, const Bases *bases, const Cursor *at, Py_ssize_t n,
                          char *results) noexcept nogil
cdef void fill_masked_tile(const Plan *plan, const Bases *bases, const Cursor *at, Py_ssize_t rows, Py_ssize_t columns,
                           char *results, Py_ssize_t step) noexcept nogil
cdef void fill_masked_columns(const Plan *plan, const char *mask, Py_ssize_t mask_step, Py_ssize_t rows,
                              Py_ssize_t columns, char *results, Py_ssize_t step) noexcept nogil
