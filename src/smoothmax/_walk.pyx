"""Walk the elements of a plan and hand them to kernels: as rows, or as tiles of COLUMNS reductions side by side.

What is contiguous, aligned and of the right type is handed over where it lies. Everything else (strides, byte
orders, other types, masks, the short end of a tile) is first brought into a scratch of fixed size, and its result is
taken from there. Knows no mathematics and no Python objects.
"""

from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from smoothmax._kernels.table cimport COLUMNS, State

cdef enum:
    SCRATCH = 8192              # elements brought together at a time, TILE_ROWS of a tile; as many weights
    TILE_ROWS = 128
    SHORT = 48                  # reductions of fewer elements are laid side by side, whatever their strides
    FEW = 6                     # but not so few of them
    LONG_RUN = 256              # elements in one piece that are not worth gathering with the next
    CHUNK = 16384               # bytes of a row that passes through the scratch in pieces: they stay in L1
    PACKED = 512                # elements of a mask brought together at a time
    CACHED = 524288             # bytes of a row or tile that stay in cache from one pass to the next


# Positions -----------------------------------------------------------------------------------------------------------

cdef struct Cursor:
    const Axes *axes
    int first                   # the innermost of the axes that it goes along
    Py_ssize_t index[MAX_DIMENSIONS]
    Py_ssize_t offset[ROLES]
    Py_ssize_t left             # positions still to come, this one included


cdef void start(Cursor *cursor, const Axes *axes, int first) noexcept nogil:
    cdef int i
    cursor.axes = axes
    cursor.first = first
    for i in range(ROLES):
        cursor.offset[i] = 0
    cursor.left = 1
    for i in range(first, axes.ndim):
        cursor.index[i] = 0
        cursor.left *= axes.shape[i]


cdef void advance(Cursor *cursor, Py_ssize_t steps) noexcept nogil:
    """`steps` positions along the innermost axis, at most to its end, and round into the next axes there."""
    cdef const Axes *axes = cursor.axes
    cdef int i, role
    cursor.left -= steps
    if cursor.left == 0:
        return
    for i in range(cursor.first, axes.ndim):
        cursor.index[i] += steps
        for role in range(ROLES):
            cursor.offset[role] += steps*axes.stride[role][i]
        if cursor.index[i] < axes.shape[i]:
            return
        for role in range(ROLES):
            cursor.offset[role] -= axes.shape[i]*axes.stride[role][i]
        cursor.index[i] = 0
        steps = 1


cdef inline Py_ssize_t lesser(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline Py_ssize_t run_length(const Cursor *cursor, Py_ssize_t limit) noexcept nogil:
    """How many positions lie before the end of the innermost axis, `limit` at most."""
    return lesser(cursor.axes.shape[0] - cursor.index[0], limit) if cursor.axes.ndim else 1


cdef inline Py_ssize_t count(const Axes *axes) noexcept nogil:
    cdef Py_ssize_t total = 1
    cdef int i
    for i in range(axes.ndim):
        total *= axes.shape[i]
    return total


cdef inline Py_ssize_t inner_shape(const Axes *axes) noexcept nogil:
    return axes.shape[0] if axes.ndim else 1


cdef inline Py_ssize_t inner_stride(const Axes *axes, int role) noexcept nogil:
    return axes.stride[role][0] if axes.ndim else 0


cdef inline bint is_run(const Plan *plan, const Axes *axes, int role) noexcept nogil:
    """Whether kernels can take the innermost axis of an array where it lies; an array that is not there they can."""
    return plan.data[role] == NULL or (
        plan.direct[role] and (inner_shape(axes) == 1 or inner_stride(axes, role) == plan.itemsize))


cdef inline void clear(State *state, Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(columns):
        state.top[j] = -INFINITY
        state.count[j] = 0
        state.rest[j] = 0
        state.carry[j] = 0


# In and out of the scratch -------------------------------------------------------------------------------------------

cdef struct Bases:
    # Where the elements of one reduction, or the first of several side by side, begin.
    char *data[ROLES]


cdef void bases_at(Bases *bases, const Plan *plan, const Cursor *cursor) noexcept nogil:
    cdef int role
    for role in range(ROLES):
        bases.data[role] = plan.data[role] + cursor.offset[role] if plan.data[role] != NULL else NULL


cdef void select(const Plan *plan, const char *values, const char *mask, Py_ssize_t stride, Py_ssize_t n, double fill,
                 char *to) noexcept nogil:
    """Values where the mask is True, `fill` elsewhere; a mask is brought together first if it is not one run."""
    cdef char packed[PACKED]
    cdef Py_ssize_t i, done = 0, part
    if stride == 1:
        plan.kernels.select(values, mask, n, fill, to)
        return
    while done < n:
        part = lesser(n - done, PACKED)
        for i in range(part):
            packed[i] = mask[(done + i)*stride]
        plan.kernels.select(values + done*plan.itemsize, packed, part, fill, to + done*plan.itemsize)
        done += part


cdef void load_run(const Plan *plan, const Bases *bases, const Cursor *cursor, const Axes *along, Py_ssize_t n,
                   char *elements, char *weights) noexcept nogil:
    """n neighbours along the innermost of the axes `along`; a False mask gives -inf, and weight 0."""
    cdef const char *mask = bases.data[MASK]
    cdef const char *source = bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
    if mask != NULL:
        mask += cursor.offset[MASK]
    if mask != NULL and is_run(plan, along, ELEMENTS):
        select(plan, source, mask, inner_stride(along, MASK), n, -INFINITY, elements)
    else:
        plan.load(source, inner_stride(along, ELEMENTS), n, plan.swapped[ELEMENTS], elements)
        if mask != NULL:
            select(plan, elements, mask, inner_stride(along, MASK), n, -INFINITY, elements)
    if bases.data[WEIGHTS] != NULL:
        plan.load_weights(bases.data[WEIGHTS] + cursor.offset[WEIGHTS], inner_stride(along, WEIGHTS), n,
                          plan.swapped[WEIGHTS], weights)
        if mask != NULL:
            select(plan, weights, mask, inner_stride(along, MASK), n, 0, weights)


cdef void store_run(const Plan *plan, const Bases *bases, const Cursor *cursor, const Axes *along, Py_ssize_t n,
                    char *values) noexcept nogil:
    """n neighbours of softmax or log_softmax; a False mask makes them 0 or -inf."""
    cdef char *target = bases.data[RESULT] + cursor.offset[RESULT]
    cdef double fill = 0 if plan.operation == SOFTMAX else -INFINITY
    if bases.data[MASK] != NULL:
        if is_run(plan, along, RESULT):
            select(plan, values, bases.data[MASK] + cursor.offset[MASK], inner_stride(along, MASK), n, fill, target)
            return
        select(plan, values, bases.data[MASK] + cursor.offset[MASK], inner_stride(along, MASK), n, fill, values)
    plan.store(values, n, target, inner_stride(along, RESULT), plan.swapped[RESULT])


cdef void gather_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Py_ssize_t run, done = 0
    while done < n:
        run = run_length(cursor, n - done)
        load_run(plan, bases, cursor, &plan.reduced, run, scratch + done*plan.itemsize,
                 scratch + (SCRATCH + done)*plan.itemsize)
        advance(cursor, run)
        done += run


cdef void scatter_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Py_ssize_t run, done = 0
    while done < n:
        run = run_length(cursor, n - done)
        store_run(plan, bases, cursor, &plan.reduced, run, scratch + done*plan.itemsize)
        advance(cursor, run)
        done += run


cdef void gather_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                      char *scratch) noexcept nogil:
    cdef Py_ssize_t i, width = COLUMNS*plan.itemsize, used = columns*plan.itemsize
    cdef char *weights = scratch + SCRATCH*plan.itemsize
    for i in range(rows):
        load_run(plan, bases, cursor, &plan.kept, columns, scratch + i*width, weights + i*width)
        memset(scratch + i*width + used, 0, width - used)
        if bases.data[WEIGHTS] != NULL:
            memset(weights + i*width + used, 0, width - used)
        advance(cursor, 1)


cdef void scatter_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                       char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(rows):
        store_run(plan, bases, cursor, &plan.kept, columns, scratch + i*COLUMNS*plan.itemsize)
        advance(cursor, 1)


# From states to results ----------------------------------------------------------------------------------------------

cdef void finish(const Plan *plan, const Bases *bases, State *state, Py_ssize_t columns) noexcept nogil:
    """What follows the first pass: the results of logsumexp, or what the second pass needs."""
    cdef double values[COLUMNS]
    cdef double signs[COLUMNS]
    if plan.operation == SOFTMAX:
        plan.kernels.finish_softmax(state, columns)
        return
    if bases.data[WEIGHTS] != NULL:
        plan.kernels.finish_weighted(state, columns)
        plan.kernels.write_weighted(state, columns, values, signs, bases.data[SIGN] != NULL)
    else:
        plan.kernels.finish_log(state, columns)
        if plan.operation == LOG_SOFTMAX:
            return
        plan.kernels.write_logsumexp(state, columns, values, signs)
    plan.store(values, columns, bases.data[RESULT], inner_stride(&plan.kept, RESULT), plan.swapped[RESULT])
    if bases.data[SIGN] != NULL:
        plan.store_sign(signs, columns, bases.data[SIGN], inner_stride(&plan.kept, SIGN), plan.swapped[SIGN])


# Rows ----------------------------------------------------------------------------------------------------------------

cdef void reduce_row(const Plan *plan, const Bases *bases, bint in_place, State *state, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t n
    cdef const char *elements
    cdef const char *weights
    start(&cursor, &plan.reduced, 0)
    clear(state, 1)
    while cursor.left:
        elements, weights = scratch, scratch + SCRATCH*plan.itemsize
        if in_place:
            n = run_length(&cursor, cursor.left)
            elements = bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
            weights = bases.data[WEIGHTS] + cursor.offset[WEIGHTS]
            advance(&cursor, n)
        else:
            n = lesser(cursor.left, CHUNK//plan.itemsize)
            gather_row(plan, bases, &cursor, n, scratch)
        if bases.data[WEIGHTS] != NULL:
            plan.kernels.reduce_weighted_row(state, elements, weights, n)
        elif plan.operation == SOFTMAX:
            plan.kernels.reduce_softmax_row(state, elements, n)
        else:
            plan.kernels.reduce_row(state, elements, n)


cdef void write_row(const Plan *plan, const Bases *bases, bint in_place, bint out_in_place, const State *state,
                    char *scratch) noexcept nogil:
    """The second pass of softmax and log_softmax."""
    cdef Cursor cursor, out_cursor
    cdef Py_ssize_t n
    cdef const char *source
    cdef char *target
    start(&cursor, &plan.reduced, 0)
    start(&out_cursor, &plan.reduced, 0)
    while cursor.left:
        n = run_length(&cursor, cursor.left) if in_place or out_in_place else cursor.left
        n = n if in_place and out_in_place else lesser(n, CHUNK//plan.itemsize)
        if in_place:
            source = bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
            advance(&cursor, n)
        else:
            source = scratch
            gather_row(plan, bases, &cursor, n, scratch)
        target = bases.data[RESULT] + out_cursor.offset[RESULT] if out_in_place else scratch
        if plan.operation == SOFTMAX:
            plan.kernels.write_softmax_row(state, source, n, target)
        else:
            plan.kernels.write_log_softmax_row(state, source, n, target)
        if out_in_place:
            advance(&out_cursor, n)
        else:
            scatter_row(plan, bases, &out_cursor, n, scratch)


cdef void softmax_row(const Plan *plan, const Bases *bases, bint in_place, bint out_in_place, Py_ssize_t n,
                      char *scratch) noexcept nogil:
    """softmax of a row that stays in cache and is in one piece, in memory or once gathered."""
    cdef Cursor cursor
    if not in_place:
        start(&cursor, &plan.reduced, 0)
        gather_row(plan, bases, &cursor, n, scratch)
    plan.kernels.softmax_row(bases.data[ELEMENTS] if in_place else scratch, n,
                             bases.data[RESULT] if out_in_place else scratch)
    if not out_in_place:
        start(&cursor, &plan.reduced, 0)
        scatter_row(plan, bases, &cursor, n, scratch)


cdef void walk_rows(const Plan *plan, bint whole, bint in_place, bint out_in_place, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Bases bases
    cdef State state
    cdef Py_ssize_t n = count(&plan.reduced)
    start(&cursor, &plan.kept, 0)
    while cursor.left:
        bases_at(&bases, plan, &cursor)
        if whole:
            softmax_row(plan, &bases, in_place, out_in_place, n, scratch)
        else:
            reduce_row(plan, &bases, in_place, &state, scratch)
            finish(plan, &bases, &state, 1)
            if plan.operation != LOGSUMEXP:
                write_row(plan, &bases, in_place, out_in_place, &state, scratch)
        advance(&cursor, 1)


# Tiles ---------------------------------------------------------------------------------------------------------------

cdef void reduce_tile(const Plan *plan, const Bases *bases, Py_ssize_t columns, bint in_place, State *state,
                      char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t rows, ld = COLUMNS, weights_ld = COLUMNS
    cdef const char *elements
    cdef const char *weights
    if in_place:
        ld = inner_stride(&plan.reduced, ELEMENTS)//plan.itemsize
        weights_ld = inner_stride(&plan.reduced, WEIGHTS)//plan.itemsize
    start(&cursor, &plan.reduced, 0)
    clear(state, COLUMNS)
    while cursor.left:
        elements, weights = scratch, scratch + SCRATCH*plan.itemsize
        if in_place:
            rows = run_length(&cursor, cursor.left)
            elements = bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
            weights = bases.data[WEIGHTS] + cursor.offset[WEIGHTS]
            advance(&cursor, rows)
        else:
            rows = lesser(cursor.left, TILE_ROWS)
            gather_tile(plan, bases, &cursor, rows, columns, scratch)
        if bases.data[WEIGHTS] != NULL:
            plan.kernels.reduce_weighted_tile(state, elements, ld, weights, weights_ld, rows, columns)
        elif plan.operation == SOFTMAX:
            plan.kernels.reduce_softmax_tile(state, elements, ld, rows, columns)
        else:
            plan.kernels.reduce_tile(state, elements, ld, rows, columns)


cdef void write_tile(const Plan *plan, const Bases *bases, Py_ssize_t columns, bint in_place, bint out_in_place,
                     const State *state, char *scratch) noexcept nogil:
    cdef Cursor cursor, out_cursor
    cdef Py_ssize_t rows, ld = COLUMNS, out_ld = COLUMNS
    cdef const char *source
    cdef char *target
    if in_place:
        ld = inner_stride(&plan.reduced, ELEMENTS)//plan.itemsize
    if out_in_place:
        out_ld = inner_stride(&plan.reduced, RESULT)//plan.itemsize
    start(&cursor, &plan.reduced, 0)
    start(&out_cursor, &plan.reduced, 0)
    while cursor.left:
        rows = run_length(&cursor, cursor.left) if in_place or out_in_place else cursor.left
        rows = rows if in_place and out_in_place else lesser(rows, TILE_ROWS)
        if in_place:
            source = bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
            advance(&cursor, rows)
        else:
            source = scratch
            gather_tile(plan, bases, &cursor, rows, columns, scratch)
        target = bases.data[RESULT] + out_cursor.offset[RESULT] if out_in_place else scratch
        if plan.operation == SOFTMAX:
            plan.kernels.write_softmax_tile(state, source, ld, rows, columns, target, out_ld)
        else:
            plan.kernels.write_log_softmax_tile(state, source, ld, rows, columns, target, out_ld)
        if out_in_place:
            advance(&out_cursor, rows)
        else:
            scatter_tile(plan, bases, &out_cursor, rows, columns, scratch)


cdef void softmax_tile(const Plan *plan, const Bases *bases, Py_ssize_t columns, bint in_place, bint out_in_place,
                       Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t ld = COLUMNS, out_ld = COLUMNS
    if in_place:
        ld = inner_stride(&plan.reduced, ELEMENTS)//plan.itemsize
    else:
        start(&cursor, &plan.reduced, 0)
        gather_tile(plan, bases, &cursor, n, columns, scratch)
    if out_in_place:
        out_ld = inner_stride(&plan.reduced, RESULT)//plan.itemsize
    plan.kernels.softmax_tile(bases.data[ELEMENTS] if in_place else scratch, ld, n, columns,
                              bases.data[RESULT] if out_in_place else scratch, out_ld)
    if not out_in_place:
        start(&cursor, &plan.reduced, 0)
        scatter_tile(plan, bases, &cursor, n, columns, scratch)


cdef void walk_tile(const Plan *plan, const Bases *bases, Py_ssize_t columns, bint whole, bint in_place,
                    bint out_in_place, char *scratch) noexcept nogil:
    """`columns` reductions side by side, at most COLUMNS."""
    cdef State state
    if whole:
        softmax_tile(plan, bases, columns, in_place, out_in_place, count(&plan.reduced), scratch)
        return
    reduce_tile(plan, bases, columns, in_place, &state, scratch)
    finish(plan, bases, &state, columns)
    if plan.operation != LOGSUMEXP:
        write_tile(plan, bases, columns, in_place, out_in_place, &state, scratch)


cdef void walk_tiles(const Plan *plan, bint whole, bint in_place, bint out_in_place, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Bases bases
    cdef Py_ssize_t tile, columns, width = inner_shape(&plan.kept)
    cdef int role
    start(&cursor, &plan.kept, 1)
    while cursor.left:
        bases_at(&bases, plan, &cursor)
        for tile in range((width + COLUMNS - 1)//COLUMNS):
            columns = lesser(width - tile*COLUMNS, COLUMNS)
            walk_tile(plan, &bases, columns, whole, in_place and columns == COLUMNS,
                      out_in_place and columns == COLUMNS, scratch)
            for role in range(ROLES):
                if bases.data[role] != NULL:
                    bases.data[role] += COLUMNS*inner_stride(&plan.kept, role)
        advance(&cursor, 1)


# Either --------------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t distance(Py_ssize_t stride) noexcept nogil:
    return -stride if stride < 0 else stride


cdef int walk(const Plan *plan) noexcept nogil:
    cdef Py_ssize_t n = count(&plan.reduced), inner = inner_shape(&plan.reduced)
    cdef bint across = (
        distance(inner_stride(&plan.kept, ELEMENTS)) < distance(inner_stride(&plan.reduced, ELEMENTS)))
    cdef bint tiles = inner_shape(&plan.kept) >= FEW and (n < SHORT or across)
    cdef const Axes *side = &plan.kept if tiles else &plan.reduced
    cdef bint unmasked = plan.data[MASK] == NULL
    # Runs of a row that are shorter than a few lanes are worth gathering into longer ones.
    cdef bint pieces = tiles or n == inner or inner >= LONG_RUN
    cdef bint in_place = unmasked and pieces and is_run(plan, side, ELEMENTS) and is_run(plan, side, WEIGHTS)
    cdef bint out_in_place = unmasked and pieces and is_run(plan, side, RESULT)
    # softmax of what stays in cache from one pass to the next is done in one go. That must not depend on where the
    # elements lie, or their alignment would show in the bits; what is not in one piece is brought together whole.
    cdef Py_ssize_t size = n*COLUMNS if tiles else n
    cdef bint whole = plan.operation == SOFTMAX and size*plan.itemsize <= CACHED
    cdef char *scratch = NULL
    if whole and plan.reduced.ndim > 1:
        in_place = out_in_place = False
    if tiles or not in_place or not (out_in_place or plan.operation == LOGSUMEXP):
        size = size if whole and size > SCRATCH else SCRATCH
        scratch = <char *>malloc((1 if plan.data[WEIGHTS] == NULL else 2)*size*plan.itemsize)
        if scratch == NULL:
            return -1
    if tiles:
        walk_tiles(plan, whole, in_place, out_in_place, scratch)
    else:
        walk_rows(plan, whole, in_place, out_in_place, scratch)
    free(scratch)
    return 0
