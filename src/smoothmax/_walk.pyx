"""Walk the elements of a plan and hand them to kernels: as rows, or as tiles of COLUMNS reductions side by side.

What is contiguous, aligned and of the right type is handed over where it lies. Everything else (strides, byte
orders, other types, the short end of a tile) is first brought into a scratch of fixed size, and its result is taken
from there. Knows no mathematics and no Python objects.
"""

from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from smoothmax._kernels.table cimport COLUMNS, State

cdef enum:
    ROW_SCRATCH = 8192          # elements of a row brought together at a time
    TILE_ROWS = 128             # rows of a tile brought together at a time: the same number of elements
    SHORT = 48                  # reductions of fewer elements are laid side by side, whatever their strides
    FEW = 8                     # but not so few of them
    CACHED = 524288             # bytes of a row or tile that stay in cache from one pass to the next


# Positions -----------------------------------------------------------------------------------------------------------

cdef struct Cursor:
    const Axes *axes
    Py_ssize_t index[MAX_DIMENSIONS]
    Py_ssize_t offset
    Py_ssize_t out_offset
    Py_ssize_t left             # positions still to come, this one included


cdef void start(Cursor *cursor, const Axes *axes, int first) noexcept nogil:
    """The first position of the axes from `first` on."""
    cdef int i
    cursor.axes = axes
    cursor.offset = cursor.out_offset = 0
    cursor.left = 1
    for i in range(first, axes.ndim):
        cursor.index[i] = 0
        cursor.left *= axes.shape[i]


cdef inline void advance(Cursor *cursor, int first, Py_ssize_t steps) noexcept nogil:
    """`steps` positions along axis `first`, at most to its end, and round into the next axes there."""
    cdef const Axes *axes = cursor.axes
    cdef int i = first
    cursor.left -= steps
    while i < axes.ndim:
        cursor.index[i] += steps
        cursor.offset += steps*axes.stride[i]
        cursor.out_offset += steps*axes.out_stride[i]
        if cursor.index[i] < axes.shape[i]:
            return
        cursor.offset -= axes.shape[i]*axes.stride[i]
        cursor.out_offset -= axes.shape[i]*axes.out_stride[i]
        cursor.index[i] = 0
        steps = 1
        i += 1


cdef inline Py_ssize_t run_length(const Cursor *cursor, Py_ssize_t limit) noexcept nogil:
    """How many positions lie before the end of the innermost axis, `limit` at most."""
    cdef Py_ssize_t run = cursor.axes.shape[0] - cursor.index[0] if cursor.axes.ndim else 1
    return run if run < limit else limit


cdef inline Py_ssize_t count(const Axes *axes) noexcept nogil:
    cdef Py_ssize_t total = 1
    cdef int i
    for i in range(axes.ndim):
        total *= axes.shape[i]
    return total


cdef inline Py_ssize_t inner_shape(const Axes *axes) noexcept nogil:
    return axes.shape[0] if axes.ndim else 1


cdef inline Py_ssize_t inner_stride(const Axes *axes) noexcept nogil:
    return axes.stride[0] if axes.ndim else 0


cdef inline Py_ssize_t inner_out_stride(const Axes *axes) noexcept nogil:
    return axes.out_stride[0] if axes.ndim else 0


cdef inline void clear(State *state, Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(columns):
        state.top[j] = -INFINITY
        state.count[j] = 0
        state.rest[j] = 0
        state.carry[j] = 0


# Rows ----------------------------------------------------------------------------------------------------------------

cdef void gather_row(const Plan *plan, const char *data, Cursor *cursor, Py_ssize_t n, char *to) noexcept nogil:
    cdef Py_ssize_t run
    while n:
        run = run_length(cursor, n)
        plan.load(data + cursor.offset, inner_stride(&plan.reduced), run, plan.swapped, to)
        advance(cursor, 0, run)
        to += run*plan.itemsize
        n -= run


cdef void scatter_row(const Plan *plan, const char *values, Cursor *cursor, Py_ssize_t n, char *out) noexcept nogil:
    cdef Py_ssize_t run
    while n:
        run = run_length(cursor, n)
        plan.store(values, run, out + cursor.out_offset, inner_out_stride(&plan.reduced), plan.out_swapped)
        advance(cursor, 0, run)
        values += run*plan.itemsize
        n -= run


cdef void reduce_row(const Plan *plan, const char *data, bint in_place, State *state, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t n
    start(&cursor, &plan.reduced, 0)
    clear(state, 1)
    while cursor.left:
        if in_place:
            n = run_length(&cursor, cursor.left)
            plan.kernels.reduce_row(state, data + cursor.offset, n)
            advance(&cursor, 0, n)
        else:
            n = cursor.left if cursor.left < ROW_SCRATCH else ROW_SCRATCH
            gather_row(plan, data, &cursor, n, scratch)
            plan.kernels.reduce_row(state, scratch, n)


cdef void write_row(const Plan *plan, const char *data, char *out, bint in_place, bint out_in_place, const State *state,
                    char *scratch) noexcept nogil:
    """The second pass of softmax and log_softmax over a row."""
    cdef Cursor cursor, out_cursor
    cdef Py_ssize_t n
    cdef const char *source
    cdef char *target
    start(&cursor, &plan.reduced, 0)
    start(&out_cursor, &plan.reduced, 0)
    while cursor.left:
        n = cursor.left if not in_place and not out_in_place else run_length(&cursor, cursor.left)
        n = n if (in_place and out_in_place) or n < ROW_SCRATCH else ROW_SCRATCH
        if in_place:
            source = data + cursor.offset
            advance(&cursor, 0, n)
        else:
            source = scratch
            gather_row(plan, data, &cursor, n, scratch)
        target = out + out_cursor.out_offset if out_in_place else scratch
        if plan.operation == SOFTMAX:
            plan.kernels.write_softmax_row(state, source, n, target)
        else:
            plan.kernels.write_log_softmax_row(state, source, n, target)
        if out_in_place:
            advance(&out_cursor, 0, n)
        else:
            scatter_row(plan, scratch, &out_cursor, n, out)


cdef void softmax_row(const Plan *plan, const char *data, char *out, bint in_place, bint out_in_place, Py_ssize_t n,
                      char *scratch) noexcept nogil:
    """softmax of a row that stays in cache and is in one piece, in memory or once gathered."""
    cdef Cursor cursor
    if not in_place:
        start(&cursor, &plan.reduced, 0)
        gather_row(plan, data, &cursor, n, scratch)
    plan.kernels.softmax_row(data if in_place else scratch, n, out if out_in_place else scratch)
    if not out_in_place:
        start(&cursor, &plan.reduced, 0)
        scatter_row(plan, scratch, &cursor, n, out)


cdef void walk_rows(const Plan *plan, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef State state
    cdef double value[1]
    cdef Py_ssize_t n = count(&plan.reduced), inner = inner_shape(&plan.reduced)
    # Runs shorter than a few lanes are worth gathering into longer ones.
    cdef bint runs = n == inner or inner >= 256
    cdef bint in_place = plan.direct and runs and (inner == 1 or inner_stride(&plan.reduced) == plan.itemsize)
    cdef bint out_in_place = (
        plan.out_direct and runs and (inner == 1 or inner_out_stride(&plan.reduced) == plan.itemsize))
    cdef bint whole = (
        n*plan.itemsize <= CACHED and n == inner if in_place and out_in_place else n <= ROW_SCRATCH)
    start(&cursor, &plan.kept, 0)
    while cursor.left:
        if plan.operation == SOFTMAX and whole:
            softmax_row(plan, plan.data + cursor.offset, plan.out + cursor.out_offset, in_place, out_in_place, n, scratch)
        else:
            reduce_row(plan, plan.data + cursor.offset, in_place, &state, scratch)
            if plan.operation == SOFTMAX:
                plan.kernels.finish_softmax(&state, 1)
            else:
                plan.kernels.finish_log(&state, 1)
            if plan.operation == LOGSUMEXP:
                plan.kernels.write_logsumexp(&state, 1, value)
                plan.store(value, 1, plan.out + cursor.out_offset, 0, plan.out_swapped)
            else:
                write_row(plan, plan.data + cursor.offset, plan.out + cursor.out_offset, in_place, out_in_place,
                          &state, scratch)
        advance(&cursor, 0, 1)


# Tiles ---------------------------------------------------------------------------------------------------------------

cdef void gather_tile(const Plan *plan, const char *data, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                      char *to) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(rows):
        plan.load(data + cursor.offset, inner_stride(&plan.kept), columns, plan.swapped, to)
        advance(cursor, 0, 1)
        if columns < COLUMNS:
            memset(to + columns*plan.itemsize, 0, (COLUMNS - columns)*plan.itemsize)
        to += COLUMNS*plan.itemsize


cdef void scatter_tile(const Plan *plan, const char *values, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                       char *out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(rows):
        plan.store(values, columns, out + cursor.out_offset, inner_out_stride(&plan.kept), plan.out_swapped)
        advance(cursor, 0, 1)
        values += COLUMNS*plan.itemsize


cdef void walk_tile(const Plan *plan, const char *data, char *out, Py_ssize_t columns, char *scratch) noexcept nogil:
    """`columns` reductions side by side, at most COLUMNS."""
    cdef Cursor cursor, out_cursor
    cdef State state
    cdef double values[COLUMNS]
    cdef Py_ssize_t n = count(&plan.reduced), rows, ld, out_ld
    cdef bint in_place = plan.direct and columns == COLUMNS and inner_stride(&plan.kept) == plan.itemsize
    cdef bint out_in_place = (
        plan.out_direct and columns == COLUMNS and inner_out_stride(&plan.kept) == plan.itemsize)
    cdef bint whole = (
        n*COLUMNS*plan.itemsize <= CACHED and plan.reduced.ndim <= 1 if in_place and out_in_place else n <= TILE_ROWS)
    cdef const char *source
    cdef char *target
    ld = inner_stride(&plan.reduced)//plan.itemsize if in_place else COLUMNS
    out_ld = inner_out_stride(&plan.reduced)//plan.itemsize if out_in_place else COLUMNS

    start(&cursor, &plan.reduced, 0)
    if plan.operation == SOFTMAX and whole and plan.reduced.ndim <= 1:
        if not in_place:
            gather_tile(plan, data, &cursor, n, columns, scratch)
        plan.kernels.softmax_tile(data if in_place else scratch, ld, n, out if out_in_place else scratch, out_ld)
        if not out_in_place:
            start(&cursor, &plan.reduced, 0)
            scatter_tile(plan, scratch, &cursor, n, columns, out)
        return

    clear(&state, COLUMNS)
    while cursor.left:
        if in_place:
            rows = run_length(&cursor, cursor.left)
            plan.kernels.reduce_tile(&state, data + cursor.offset, ld, rows)
            advance(&cursor, 0, rows)
        else:
            rows = cursor.left if cursor.left < TILE_ROWS else TILE_ROWS
            gather_tile(plan, data, &cursor, rows, columns, scratch)
            plan.kernels.reduce_tile(&state, scratch, COLUMNS, rows)
    if plan.operation == SOFTMAX:
        plan.kernels.finish_softmax(&state, COLUMNS)
    else:
        plan.kernels.finish_log(&state, COLUMNS)
    if plan.operation == LOGSUMEXP:
        plan.kernels.write_logsumexp(&state, COLUMNS, values)
        plan.store(values, columns, out, inner_out_stride(&plan.kept), plan.out_swapped)
        return

    start(&cursor, &plan.reduced, 0)
    start(&out_cursor, &plan.reduced, 0)
    while cursor.left:
        rows = run_length(&cursor, cursor.left) if in_place or out_in_place else cursor.left
        rows = rows if (in_place and out_in_place) or rows < TILE_ROWS else TILE_ROWS
        if in_place:
            source = data + cursor.offset
            advance(&cursor, 0, rows)
        else:
            source = scratch
            gather_tile(plan, data, &cursor, rows, columns, scratch)
        target = out + out_cursor.out_offset if out_in_place else scratch
        if plan.operation == SOFTMAX:
            plan.kernels.write_softmax_tile(&state, source, ld, rows, target, out_ld)
        else:
            plan.kernels.write_log_softmax_tile(&state, source, ld, rows, target, out_ld)
        if out_in_place:
            advance(&out_cursor, 0, rows)
        else:
            scatter_tile(plan, scratch, &out_cursor, rows, columns, out)


cdef void walk_tiles(const Plan *plan, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t first, columns, width = inner_shape(&plan.kept)
    start(&cursor, &plan.kept, 1)
    while cursor.left:
        first = 0
        while first < width:
            columns = width - first if width - first < COLUMNS else COLUMNS
            walk_tile(plan, plan.data + cursor.offset + first*inner_stride(&plan.kept),
                      plan.out + cursor.out_offset + first*inner_out_stride(&plan.kept), columns, scratch)
            first += columns
        advance(&cursor, 1, 1)


cdef inline Py_ssize_t size_of(Py_ssize_t stride) noexcept nogil:
    return -stride if stride < 0 else stride


cdef int walk(Plan *plan) noexcept nogil:
    cdef Py_ssize_t side_by_side = inner_shape(&plan.kept)
    cdef bint across = size_of(inner_stride(&plan.kept)) < size_of(inner_stride(&plan.reduced))
    cdef bint tiles = side_by_side >= FEW and (count(&plan.reduced) < SHORT or across)
    cdef bint needs_scratch = tiles or not (
        plan.direct and (plan.operation == LOGSUMEXP or plan.out_direct) and plan.reduced.ndim <= 1
        and inner_stride(&plan.reduced) in (0, plan.itemsize) and inner_out_stride(&plan.reduced) in (0, plan.itemsize))
    cdef char *scratch = NULL
    if needs_scratch:
        scratch = <char *>malloc(ROW_SCRATCH*plan.itemsize)
        if scratch == NULL:
            return -1
    if tiles:
        walk_tiles(plan, scratch)
    else:
        walk_rows(plan, scratch)
    free(scratch)
    return 0
