"""Walk one row of a caller that has pointers and no arrays, on the caller's thread, with no memory but the stack.

A row has the same bits as in a contiguous array, because it is cut into the same pieces and blocks. Strided elements
are staged on the stack, a block at a time. One case differs: a row of softmax that is longer than a block and written
with a stride takes two passes, because a fused kernel would need memory for it.

The caller enters the standard floating-point environment, and passes only rows that have elements.
"""

from smoothmax._kernels.interface cimport Kernels, State, clear, copy_column
from smoothmax._schedule.packed cimport Packed, pack, unpack
from smoothmax._schedule.route cimport piece_of_row
from smoothmax._thresholds cimport LANE_BYTES, ROW_PIECE_BYTES, STAGED_ROW_BYTES, TILE_COLUMNS

cdef union Space:
    # The two are never needed at the same time.
    char staged[STAGED_ROW_BYTES]
    State other


# Elements -------------------------------------------------------------------------------------------------------------

cdef inline bint is_dense_row(const Row *row) noexcept nogil:
    return row.stride == row.itemsize or row.n == 1


cdef inline void move(const char *source, Py_ssize_t step, Py_ssize_t n, Py_ssize_t itemsize, char *to,
                      Py_ssize_t to_step) noexcept nogil:
    cdef Py_ssize_t i
    if itemsize == sizeof(double):
        for i in range(n):
            (<double *>(to + i*to_step))[0] = (<const double *>(source + i*step))[0]
    else:
        for i in range(n):
            (<float *>(to + i*to_step))[0] = (<const float *>(source + i*step))[0]


cdef void gather_row(const Row *row, Py_ssize_t first, Py_ssize_t n, char *to) noexcept nogil:
    move(row.elements + first*row.stride, row.stride, n, row.itemsize, to, row.itemsize)


cdef void scatter_row(const char *values, const Row *row, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    move(values, row.itemsize, n, row.itemsize, row.elements + first*row.stride, row.stride)


# Sums -----------------------------------------------------------------------------------------------------------------

cdef void reduce_part_of_row(const Kernels *kernels, const Row *row, Py_ssize_t first, Py_ssize_t n, State *state,
                             Space *space) noexcept nogil:
    cdef Py_ssize_t block, last = first + n
    clear(state, 1)
    if is_dense_row(row):
        kernels.reduce_row(state, row.elements + first*row.itemsize, NULL, n)
        return
    while first < last:
        block = min(last - first, STAGED_ROW_BYTES//row.itemsize)
        gather_row(row, first, block, space.staged)
        kernels.reduce_row(state, space.staged, NULL, block)
        first += block


cdef void merge_into(const Kernels *kernels, Packed *sum, State *state, Space *space) noexcept nogil:
    """Merge a state into a sum, and leave the result in both."""
    copy_column(state, &space.other, 0)
    unpack(<const char *>sum, 0, 1, state)
    kernels.merge(state, &space.other, 0, 1, TILE_COLUMNS)
    pack(state, 1, <char *>sum, 0)


cdef void reduce_row_in_pieces(const Kernels *kernels, const Row *row, State *state, Space *space) noexcept nogil:
    cdef Py_ssize_t piece = piece_of_row(row.n, ROW_PIECE_BYTES//row.itemsize, LANE_BYTES//row.itemsize), first = piece
    cdef Packed sum
    reduce_part_of_row(kernels, row, 0, min(piece, row.n), state, space)
    pack(state, 1, <char *>&sum, 0)
    while first < row.n:
        reduce_part_of_row(kernels, row, first, min(piece, row.n - first), state, space)
        merge_into(kernels, &sum, state, space)
        first += piece


cdef void reduce_long(const Kernels *kernels, const Row *row, State *state, Space *space) noexcept nogil:
    """Reduce a row piece by piece, and again if the result needs exact terms."""
    reduce_row_in_pieces(kernels, row, state, space)
    if kernels.needs_exact != NULL and kernels.needs_exact(state, 1):
        reduce_row_in_pieces(kernels.exact, row, state, space)


# Whole rows -----------------------------------------------------------------------------------------------------------

cdef void reduce_staged(const Kernels *kernels, const Row *row, void *result) noexcept nogil:
    cdef State state
    cdef Space space
    if row.n <= kernels.fused_row_bytes//row.itemsize:
        gather_row(row, 0, row.n, space.staged)
        kernels.fused_row(space.staged, row.n, 0, NULL, result)
        return
    reduce_long(kernels, row, &state, &space)
    kernels.finish(&state, 1, result, NULL)


cdef void reduce_strided(const Kernels *kernels, const Row *row, void *result) noexcept nogil:
    """Compute the single result of a row."""
    if is_dense_row(row) and row.n <= kernels.fused_row_bytes//row.itemsize:
        kernels.fused_row(row.elements, row.n, 0, NULL, result)
    else:
        reduce_staged(kernels, row, result)


cdef void write_row(const Kernels *kernels, const Row *row, const Row *results, const State *state,
                    Space *space) noexcept nogil:
    cdef Py_ssize_t first = 0, block, itemsize = row.itemsize
    cdef const char *source
    cdef char *to
    while first < row.n:
        block = min(row.n - first, STAGED_ROW_BYTES//itemsize)
        source = row.elements + first*itemsize
        if not is_dense_row(row):
            gather_row(row, first, block, space.staged)
            source = space.staged
        to = results.elements + first*itemsize if is_dense_row(results) else space.staged
        kernels.write_row(state, source, NULL, block, to)
        if not is_dense_row(results):
            scatter_row(space.staged, results, first, block)
        first += block


cdef void transform_staged(const Kernels *kernels, const Row *row, const Row *results) noexcept nogil:
    cdef State state
    cdef Space space
    if row.n <= STAGED_ROW_BYTES//row.itemsize:
        gather_row(row, 0, row.n, space.staged)
        kernels.fused_row(space.staged, row.n, 0, NULL, space.staged)
        scatter_row(space.staged, results, 0, row.n)
        return
    reduce_long(kernels, row, &state, &space)
    kernels.finish(&state, 1, NULL, NULL)
    write_row(kernels, row, results, &state, &space)


cdef void transform_strided(const Kernels *kernels, const Row *row, const Row *results) noexcept nogil:
    """Compute a result for each element of a row. The results replace the elements or lie in other memory."""
    if not is_dense_row(results) or row.n > kernels.fused_row_bytes//row.itemsize:
        transform_staged(kernels, row, results)
    elif is_dense_row(row):
        kernels.fused_row(row.elements, row.n, 0, NULL, results.elements)
    else:
        gather_row(row, 0, row.n, results.elements)
        kernels.fused_row(results.elements, row.n, 0, NULL, results.elements)


# Sums that outlive a call ---------------------------------------------------------------------------------------------

cdef void absorb_strided(const Kernels *kernels, Packed *sum, const Row *row) noexcept nogil:
    cdef State state
    cdef Space space
    reduce_row_in_pieces(kernels, row, &state, &space)
    merge_into(kernels, sum, &state, &space)


cdef void merge_packed(const Kernels *kernels, Packed *sum, const Packed *other) noexcept nogil:
    cdef State state
    cdef Space space
    unpack(<const char *>other, 0, 1, &state)
    merge_into(kernels, sum, &state, &space)


cdef void finish_packed(const Kernels *kernels, const Packed *sum, void *result) noexcept nogil:
    cdef State state
    unpack(<const char *>sum, 0, 1, &state)
    kernels.finish(&state, 1, result, NULL)
