# Elements that kernels cannot take where they lie, brought together in a scratch, and results taken from there.

from smoothmax._schedule.plan cimport Bases, Cursor, Plan

cdef enum:
    SCRATCH = 8192              # elements brought together at a time, TILE_ROWS of a tile; as many weights
    TILE_ROWS = 128

cdef void leave_out_of_columns(const Plan *plan, const char *mask, Py_ssize_t mask_step, Py_ssize_t rows,
                               Py_ssize_t columns, char *values, Py_ssize_t step) noexcept nogil
cdef void leave_out_of_row(const Plan *plan, const Bases *bases, const Cursor *at, Py_ssize_t n,
                           char *values) noexcept nogil
cdef void leave_out_of_tile(const Plan *plan, const Bases *bases, const Cursor *at, Py_ssize_t rows,
                            Py_ssize_t columns, char *values, Py_ssize_t step) noexcept nogil
cdef void gather_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *scratch) noexcept nogil
cdef void scatter_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *scratch) noexcept nogil
cdef void gather_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                      char *scratch) noexcept nogil
cdef void scatter_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                       char *scratch) noexcept nogil
