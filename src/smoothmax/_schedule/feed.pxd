# A feed hands kernels one block after the other: contiguous, aligned, of the type they compute in. A block is read
# where it lies if it can be, and is staged in the scratch otherwise. Results go the same two ways back.

from smoothmax._kernels.interface cimport State
from smoothmax._schedule.plan cimport Bases, Cursor, Plan
from smoothmax._schedule.route cimport Route

cdef struct Workspace:
    # The memory of a thread beside the arrays of the call, as large as the route needs (see walk.pyx).
    char *memory                # that all of it lies in; NULL where nothing was allocated
    char *elements              # staged elements, or results on their way out
    char *weights               # staged weights, or masked elements about to be transposed
    double *drafts              # the maximum of each block of a draft, or nan
    State *state                # of the unit, or of the first tile of a band
    State *other                # of one more piece of it
    State *exact                # of the unit, from exact exponentials
    State *part                 # of the lanes that narrow columns fill


cdef struct Unit:
    # One row, or reductions side by side, on their way from elements to results.
    const Plan *plan
    const Route *route
    const Workspace *space
    Bases bases
    Py_ssize_t columns          # reductions, at most route.unit_columns
    bint staged_in
    bint staged_out


cdef struct Feed:
    const Unit *unit
    Cursor cursor               # the elements to come
    Cursor out_cursor           # the results to come
    Py_ssize_t staged_rows      # of a block that is staged
    int source                  # the role whose array is read: ELEMENTS, or RESULT where elements were gathered into it
    bint in_place
    # The block. Its rows are elements where the unit is a row.
    Py_ssize_t rows
    const char *elements
    Py_ssize_t ld
    const char *weights
    Py_ssize_t weights_ld
    char *out
    Py_ssize_t out_ld


cdef void start_feed(Feed *feed, const Unit *unit, Py_ssize_t first, Py_ssize_t n) noexcept nogil
cdef void next_block(Feed *feed) noexcept nogil
# The same for the second pass, whose blocks have a place for their results.
cdef void start_writing(Feed *feed, const Unit *unit, Py_ssize_t first, Py_ssize_t n) noexcept nogil
cdef void next_block_to_write(Feed *feed) noexcept nogil
cdef void deliver(Feed *feed) noexcept nogil
