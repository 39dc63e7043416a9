"""Walk the elements of a plan and hand them to kernels: as rows, or as tiles of COLUMNS reductions side by side.

What is contiguous, aligned and of the right type is handed over where it lies. Everything else comes and goes through a
scratch of fixed size. A long reduction is done in pieces, whose states are merged in their order; several threads may
share rows, tiles or pieces, and the bits are the same. States may be left for a later walk. Knows no mathematics.
"""

from libc.stdlib cimport free, malloc

from smoothmax._columns cimport reduce_columns, rows_abreast, scratch_for_columns, write_columns
from smoothmax._gather cimport (
    SCRATCH, TILE_ROWS, gather_row, gather_tile, leave_out_of_row, leave_out_of_tile, scatter_row, scatter_tile,
)
from smoothmax._kernels.table cimport BLOCK_BYTES, COLUMNS, Kernels, State, clear
from smoothmax._packed cimport pack, unpack
from smoothmax._plan cimport (
    BOTH, ELEMENTS, FIRST, MASK, RESULT, ROLES, SECOND, SIGN, STATES, TARGET, VALUE, WEIGHTS, Axes, Bases, Cursor, Plan,
    advance, bases_at, count, inner_shape, inner_stride, is_run, lesser, run_length, start,
)
from smoothmax._pool cimport Queue, share, take
from smoothmax._threads cimport threads_of_caller

cdef enum:
    # Reductions of few elements are laid side by side, whatever their strides: up to SHORT where there are FEW of them,
    # up to MIDDLING where they fill the lanes. 2026-11, 1000 rows of 100: half the time for float64, a third for
    # float32; rows win from 256 (softmax) to 500 (logsumexp) elements on.
    SHORT = 48
    FEW = 6
    MIDDLING = 256
    MANY = 32
    LONG_RUN = 256              # elements in one piece that are not worth gathering with the next
    CHUNK = 16384               # bytes of a row that passes through the scratch in pieces: they stay in L1
    PIECE = 262144              # bytes of a long row that are reduced on their own
    TILE_PIECE = 1048576        # of a tile
    PIECES = 64                 # at most: their states take 600 KiB
    LANE_BYTES = 128            # of the elements that a kernel does at a time
    SMALL = 500                 # elements below which giving up the GIL costs more than it is worth (as in NumPy)
    # Bytes from which other threads are asked: work of some 35 us. Of the time of one, two threads take (2026-11, both
    # types, softmax and logsumexp), where a helper is awake from the call before, and where it sleeps: of 64 KiB 0.8 to
    # 1, and 1.9; of 128 KiB 0.7, and 1.5; of 256 KiB 0.62 to 0.69, and 1 to 1.14; of 512 KiB 0.6, and 0.74 to 0.94.
    SHARED = 262144
    # Elements that a thread takes at a time, at least. 256 to 512 KiB: as 2048 and 4096, which ask more often than they
    # balance; 16384 leaves 384 KiB of float64 in three parts, 0.69 where this takes 0.61.
    DRAFTED = 16777216          # bytes of a row whose exponentials are kept in the result, to be corrected
    GRAIN = 8192


# For tests: an array of so many bytes is shared, and a row of more than so many is done in pieces.
SHARED_BYTES, PIECE_BYTES = SHARED, PIECE


cdef struct Walk:
    const Plan *plan
    bint tiles
    Py_ssize_t abreast          # rows of a few columns that make one of a tile; 0: they do not
    bint at_once                # without a state: what is reduced stays in cache
    bint in_place               # elements and weights are taken where they lie,
    bint out_in_place           # results put where they belong; a tile's if its columns fill the lanes
    Py_ssize_t lanes            # a tile of a multiple of so many columns is taken where it lies
    bint drafts                 # the first pass leaves in the result what the second corrects
    Py_ssize_t n                # positions of a reduction
    Py_ssize_t units            # rows, or tiles
    Py_ssize_t piece            # positions of a reduction that are reduced on their own
    Py_ssize_t pieces
    Py_ssize_t blocks           # of a piece
    Py_ssize_t scratch          # bytes that a thread needs
    Py_ssize_t grain            # units that it takes at a time


cdef struct Unit:
    # A row, or a tile.
    Bases bases
    Py_ssize_t columns          # 1 of a row
    bint in_place
    bint out_in_place
    double *tops                # of the blocks of a draft


# Rows ----------------------------------------------------------------------------------------------------------------

cdef void reduce_row(const Walk *walk, const Kernels *kernels, const Unit *unit, Cursor *cursor, State *state,
                     char *scratch) noexcept nogil:
    cdef const Plan *plan = walk.plan
    cdef Py_ssize_t n
    cdef const char *elements
    cdef const char *weights
    clear(state, 1)
    while cursor.left:
        if unit.in_place:
            n = run_length(cursor, cursor.left)
            elements = unit.bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
            weights = unit.bases.data[WEIGHTS] + cursor.offset[WEIGHTS]
            advance(cursor, n)
        else:
            n = lesser(cursor.left, CHUNK//plan.itemsize)
            gather_row(plan, &unit.bases, cursor, n, scratch)
            elements, weights = scratch, scratch + SCRATCH*plan.itemsize
        kernels.reduce_row(state, elements, weights, n)


cdef void write_row(const Walk *walk, const Unit *unit, Cursor *cursor, const State *state,
                    char *scratch) noexcept nogil:
    """The second pass of what has a result for each element."""
    cdef const Plan *plan = walk.plan
    cdef Cursor out_cursor = cursor[0]
    cdef Py_ssize_t n
    cdef const char *source
    cdef const char *weights
    cdef char *target
    while cursor.left:
        n = run_length(cursor, cursor.left) if unit.in_place or unit.out_in_place else cursor.left
        n = n if unit.in_place and unit.out_in_place else lesser(n, CHUNK//plan.itemsize)
        if unit.in_place:
            source = unit.bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
            weights = unit.bases.data[WEIGHTS] + cursor.offset[WEIGHTS]
            advance(cursor, n)
        else:
            source, weights = scratch, scratch + SCRATCH*plan.itemsize
            gather_row(plan, &unit.bases, cursor, n, scratch)
        target = unit.bases.data[RESULT] + out_cursor.offset[RESULT] if unit.out_in_place else scratch
        plan.kernels.write_row(state, source, weights, n, target)
        leave_out_of_row(plan, &unit.bases, &out_cursor, n, target)
        if unit.out_in_place:
            advance(&out_cursor, n)
        else:
            scatter_row(plan, &unit.bases, &out_cursor, n, scratch)


# Tiles ---------------------------------------------------------------------------------------------------------------

cdef void reduce_tile(const Walk *walk, const Kernels *kernels, const Unit *unit, Cursor *cursor, State *state,
                      char *scratch) noexcept nogil:
    cdef const Plan *plan = walk.plan
    cdef Py_ssize_t rows, ld = COLUMNS, weights_ld = COLUMNS
    cdef const char *elements
    cdef const char *weights
    if unit.in_place:
        ld = inner_stride(&plan.reduced, ELEMENTS)//plan.itemsize
        weights_ld = inner_stride(&plan.reduced, WEIGHTS)//plan.itemsize
    clear(state, COLUMNS)
    while cursor.left:
        if unit.in_place:
            rows = run_length(cursor, cursor.left)
            elements = unit.bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
            weights = unit.bases.data[WEIGHTS] + cursor.offset[WEIGHTS]
            advance(cursor, rows)
        else:
            rows = lesser(cursor.left, TILE_ROWS)
            gather_tile(plan, &unit.bases, cursor, rows, unit.columns, scratch)
            elements, weights = scratch, scratch + SCRATCH*plan.itemsize
        kernels.reduce_tile(state, elements, ld, weights, weights_ld, rows, unit.columns)


cdef void write_tile(const Walk *walk, const Unit *unit, Cursor *cursor, const State *state,
                     char *scratch) noexcept nogil:
    cdef const Plan *plan = walk.plan
    cdef Cursor out_cursor = cursor[0]
    cdef Py_ssize_t rows, ld = COLUMNS, weights_ld = COLUMNS, out_ld = COLUMNS
    cdef const char *source
    cdef const char *weights
    cdef char *target
    if unit.in_place:
        ld = inner_stride(&plan.reduced, ELEMENTS)//plan.itemsize
        weights_ld = inner_stride(&plan.reduced, WEIGHTS)//plan.itemsize
    if unit.out_in_place:
        out_ld = inner_stride(&plan.reduced, RESULT)//plan.itemsize
    while cursor.left:
        rows = run_length(cursor, cursor.left) if unit.in_place or unit.out_in_place else cursor.left
        rows = rows if unit.in_place and unit.out_in_place else lesser(rows, TILE_ROWS)
        if unit.in_place:
            source = unit.bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
            weights = unit.bases.data[WEIGHTS] + cursor.offset[WEIGHTS]
            advance(cursor, rows)
        else:
            source, weights = scratch, scratch + SCRATCH*plan.itemsize
            gather_tile(plan, &unit.bases, cursor, rows, unit.columns, scratch)
        target = unit.bases.data[RESULT] + out_cursor.offset[RESULT] if unit.out_in_place else scratch
        plan.kernels.write_tile(state, source, ld, weights, weights_ld, rows, unit.columns, target, out_ld)
        leave_out_of_tile(plan, &unit.bases, &out_cursor, rows, unit.columns, target, out_ld*plan.itemsize)
        if unit.out_in_place:
            advance(&out_cursor, rows)
        else:
            scatter_tile(plan, &unit.bases, &out_cursor, rows, unit.columns, scratch)


# Either --------------------------------------------------------------------------------------------------------------

cdef void reduce_piece(const Walk *walk, const Kernels *kernels, const Unit *unit, Py_ssize_t piece, State *state,
                       char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t first = piece*walk.piece, n = lesser(walk.n - first, walk.piece)
    if walk.abreast:
        reduce_columns(walk.plan, kernels, &unit.bases, walk.abreast, first, n, state, scratch)
        return
    if walk.drafts:
        clear(state, 1)
        first *= walk.plan.itemsize
        kernels.draft_row(state, unit.bases.data[ELEMENTS] + first, n, unit.bases.data[RESULT] + first,
                          unit.tops + piece*walk.blocks)
        return
    start(&cursor, &walk.plan.reduced, 0, first, n)
    if walk.tiles:
        reduce_tile(walk, kernels, unit, &cursor, state, scratch)
    else:
        reduce_row(walk, kernels, unit, &cursor, state, scratch)


cdef inline const Kernels *first_kernels(const Plan *plan) noexcept nogil:
    """Those that reduce: states that are left for a later walk must do for anything, and cannot be reduced again."""
    return plan.kernels.careful if plan.passes == FIRST and plan.kernels.careful != NULL else plan.kernels


cdef inline bint is_doubtful(const Plan *plan, const Unit *unit, const State *state) noexcept nogil:
    return plan.passes == BOTH and plan.kernels.in_doubt != NULL and plan.kernels.in_doubt(state, unit.columns)


cdef void write_piece(const Walk *walk, const Unit *unit, Py_ssize_t piece, const State *state,
                      char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t first = piece*walk.piece, n = lesser(walk.n - first, walk.piece)
    if walk.abreast:
        write_columns(walk.plan, &unit.bases, walk.abreast, first, n, state, scratch)
        return
    if walk.drafts:
        first *= walk.plan.itemsize
        walk.plan.kernels.correct_row(state, unit.bases.data[ELEMENTS] + first, n, unit.bases.data[RESULT] + first,
                                      unit.tops + piece*walk.blocks)
        return
    start(&cursor, &walk.plan.reduced, 0, first, n)
    if walk.tiles:
        write_tile(walk, unit, &cursor, state, scratch)
    else:
        write_row(walk, unit, &cursor, state, scratch)


cdef inline double element_at(const Plan *plan, const char *place) noexcept nogil:
    cdef float single
    cdef double value
    if plan.itemsize == sizeof(double):
        if plan.direct[ELEMENTS]:
            return (<const double *>place)[0]
        plan.load(place, 0, 1, plan.swapped[ELEMENTS], &value)
        return value
    if plan.direct[ELEMENTS]:
        return (<const float *>place)[0]
    plan.load(place, 0, 1, plan.swapped[ELEMENTS], &single)
    return single


cdef void take_targets(const Plan *plan, const Unit *unit, State *state) noexcept nogil:
    """What each reduction's own target brings: its class, and the element and the weight of that."""
    cdef const char *targets = unit.bases.data[TARGET]
    cdef const char *elements = unit.bases.data[ELEMENTS]
    cdef Py_ssize_t j, target, step = inner_stride(&plan.kept, ELEMENTS), target_step = inner_stride(&plan.kept, TARGET)
    if not plan.is_loss:
        return
    state.hard, state.soft, state.gain = plan.hard, plan.soft, plan.gain
    for j in range(unit.columns):
        state.counts[j] = 1
        state.picked[j] = state.weight[j] = 0
    if targets == NULL:
        return
    elements += plan.first_class[ELEMENTS]
    for j in range(unit.columns):
        target = (<const Py_ssize_t *>(targets + j*target_step))[0]
        if target < 0:
            state.counts[j] = 0
        else:
            state.weight[j] = plan.class_weights[target] if plan.class_weights != NULL else 1
            state.picked[j] = element_at(plan, elements + j*step + target*plan.class_stride[ELEMENTS])


cdef inline void put_at(const Plan *plan, char *place, double value) noexcept nogil:
    cdef float single = <float>value
    if not plan.direct[RESULT]:
        plan.store(<const char *>&value if plan.itemsize == sizeof(double) else <const char *>&single, 1, place, 0,
                   plan.swapped[RESULT])
    elif plan.itemsize == sizeof(double):
        (<double *>place)[0] = value
    else:
        (<float *>place)[0] = single


cdef void put_targets(const Walk *walk, const Unit *unit, const State *state) noexcept nogil:
    """The results at the targets, once all others are written; and 0 where a reduction is ignored whatever it is."""
    cdef const Plan *plan = walk.plan
    cdef Py_ssize_t j, c, target
    cdef char *place
    if plan.data[TARGET] == NULL:
        return
    for j in range(unit.columns):
        target = (<const Py_ssize_t *>(unit.bases.data[TARGET] + j*inner_stride(&plan.kept, TARGET)))[0]
        place = unit.bases.data[RESULT] + j*inner_stride(&plan.kept, RESULT) + plan.first_class[RESULT]
        if target >= 0:
            put_at(plan, place + target*plan.class_stride[RESULT], state.at_target[j])
        elif state.at_target[j] != 0:           # nan: an element of it is not finite
            for c in range(walk.n):
                put_at(plan, place + c*plan.class_stride[RESULT], 0)


cdef void finish(const Walk *walk, const Unit *unit, State *state) noexcept nogil:
    """The results of a reduction, or what the second pass needs."""
    cdef const Plan *plan = walk.plan
    cdef double values[COLUMNS]
    cdef double signs[COLUMNS]
    cdef bint signed = plan.data[SIGN] != NULL
    if plan.passes == FIRST:
        pack(state, unit.columns, unit.bases.data[STATES], inner_stride(&plan.kept, STATES))
        return
    plan.kernels.finish(state, unit.columns, values, signs if signed else NULL)
    if plan.kernels.write_row == NULL:
        plan.store(values, unit.columns, unit.bases.data[RESULT], inner_stride(&plan.kept, RESULT),
                   plan.swapped[RESULT])
    elif plan.data[VALUE] != NULL:
        plan.store_value(values, unit.columns, unit.bases.data[VALUE], inner_stride(&plan.kept, VALUE),
                         plan.swapped[VALUE])
    if signed:
        plan.store_sign(signs, unit.columns, unit.bases.data[SIGN], inner_stride(&plan.kept, SIGN), plan.swapped[SIGN])


# At once -------------------------------------------------------------------------------------------------------------

cdef void row_at_once(const Walk *walk, const Unit *unit, State *state, char *scratch) noexcept nogil:
    """A row in one piece, in memory or once gathered: where its results belong, if that is one piece."""
    cdef const Plan *plan = walk.plan
    cdef Cursor cursor
    cdef bint reduces = plan.kernels.write_row == NULL
    cdef char *target = scratch if reduces or not unit.out_in_place else unit.bases.data[RESULT]
    cdef const char *source = unit.bases.data[ELEMENTS] if unit.in_place else target
    cdef double value
    if not unit.in_place:
        start(&cursor, &plan.reduced, 0, 0, walk.n)
        gather_row(plan, &unit.bases, &cursor, walk.n, target)
    if plan.kernels.keep_row != NULL:
        clear(state, 1)
        take_targets(plan, unit, state)
        plan.kernels.keep_row(state, source, walk.n, target)
        finish(walk, unit, state)
        if reduces:
            return
        plan.kernels.scale_row(state, walk.n, target)
    elif reduces:
        plan.kernels.row_at_once(source, walk.n, &value)
        plan.store(&value, 1, unit.bases.data[RESULT], 0, plan.swapped[RESULT])
        return
    else:
        plan.kernels.row_at_once(source, walk.n, target)
    if plan.data[MASK] != NULL or not unit.out_in_place:
        start(&cursor, &plan.reduced, 0, 0, walk.n)
        leave_out_of_row(plan, &unit.bases, &cursor, walk.n, target)
        if not unit.out_in_place:
            scatter_row(plan, &unit.bases, &cursor, walk.n, scratch)
    put_targets(walk, unit, state)


cdef void tile_at_once(const Walk *walk, const Unit *unit, State *state, char *scratch) noexcept nogil:
    cdef const Plan *plan = walk.plan
    cdef Cursor cursor
    cdef bint reduces = plan.kernels.write_tile == NULL
    cdef Py_ssize_t ld = COLUMNS, out_ld = COLUMNS
    cdef const char *source = unit.bases.data[ELEMENTS] if unit.in_place else scratch
    cdef char *target = unit.bases.data[RESULT] if unit.out_in_place else scratch
    if unit.in_place:
        ld = inner_stride(&plan.reduced, ELEMENTS)//plan.itemsize
    else:
        start(&cursor, &plan.reduced, 0, 0, walk.n)
        gather_tile(plan, &unit.bases, &cursor, walk.n, unit.columns, scratch)
    if unit.out_in_place:
        out_ld = inner_stride(&plan.reduced, RESULT)//plan.itemsize
    if plan.kernels.keep_tile != NULL:
        clear(state, COLUMNS)
        take_targets(plan, unit, state)
        plan.kernels.keep_tile(state, source, ld, walk.n, unit.columns, scratch, COLUMNS)
        finish(walk, unit, state)
        if reduces:
            return
        plan.kernels.scale_tile(state, scratch, walk.n, unit.columns, target, out_ld)
    else:
        plan.kernels.tile_at_once(source, ld, walk.n, unit.columns, target, out_ld)
    if reduces:
        if not unit.out_in_place:
            plan.store(scratch, unit.columns, unit.bases.data[RESULT], inner_stride(&plan.kept, RESULT),
                       plan.swapped[RESULT])
        return
    if plan.data[MASK] != NULL or not unit.out_in_place:
        start(&cursor, &plan.reduced, 0, 0, walk.n)
        leave_out_of_tile(plan, &unit.bases, &cursor, walk.n, unit.columns, target, out_ld*plan.itemsize)
        if not unit.out_in_place:
            scatter_tile(plan, &unit.bases, &cursor, walk.n, unit.columns, scratch)
    put_targets(walk, unit, state)


# All of a unit -------------------------------------------------------------------------------------------------------

cdef inline void take_state(const Walk *walk, const Unit *unit, State *state) noexcept nogil:
    """What an earlier walk has left."""
    unpack(unit.bases.data[STATES], inner_stride(&walk.plan.kept, STATES), unit.columns, state)


cdef inline bint writes(const Plan *plan) noexcept nogil:
    """Whether there is a second pass."""
    return plan.kernels.write_row != NULL and plan.passes != FIRST


cdef void reduce_pieces(const Walk *walk, const Kernels *kernels, const Unit *unit, State *state,
                        char *scratch) noexcept nogil:
    """All of a unit, on this thread."""
    cdef State other
    cdef Py_ssize_t piece
    reduce_piece(walk, kernels, unit, 0, state, scratch)
    for piece in range(1, walk.pieces):
        reduce_piece(walk, kernels, unit, piece, &other, scratch)
        kernels.merge(state, &other, 0, unit.columns, COLUMNS)


cdef void walk_unit(const Walk *walk, const Unit *unit, char *scratch) noexcept nogil:
    """A row or a tile from its elements to its results, on this thread."""
    cdef State state, careful
    cdef Py_ssize_t piece
    if walk.at_once:
        if walk.tiles:
            tile_at_once(walk, unit, &state, scratch)
        else:
            row_at_once(walk, unit, &state, scratch)
        return
    if walk.plan.passes == SECOND:
        take_state(walk, unit, &state)
    else:
        reduce_pieces(walk, first_kernels(walk.plan), unit, &state, scratch)
        if is_doubtful(walk.plan, unit, &state):
            reduce_pieces(walk, walk.plan.kernels.careful, unit, &careful, scratch)
            walk.plan.kernels.replace(&state, &careful, unit.columns)
    take_targets(walk.plan, unit, &state)
    finish(walk, unit, &state)
    if writes(walk.plan):
        for piece in range(walk.pieces):
            write_piece(walk, unit, piece, &state, scratch)
        put_targets(walk, unit, &state)


cdef inline Py_ssize_t tiles_across(const Walk *walk) noexcept nogil:
    """Full tiles, then one of the columns that fill lanes, and one of those that do not and are brought together."""
    cdef Py_ssize_t columns = inner_shape(&walk.plan.kept), rest = columns % COLUMNS
    return columns//COLUMNS + (rest >= walk.lanes) + (rest % walk.lanes > 0)


cdef inline Py_ssize_t columns_of_tile(const Walk *walk, Py_ssize_t left) noexcept nogil:
    """How many of the columns left the next tile has."""
    if left >= COLUMNS:
        return COLUMNS
    return left - left % walk.lanes if left >= walk.lanes else left


cdef void take_tile(const Walk *walk, const Cursor *cursor, Py_ssize_t tile, Unit *unit) noexcept nogil:
    cdef Py_ssize_t columns = inner_shape(&walk.plan.kept), first = tile*COLUMNS
    cdef int role
    if first > columns:    # what the tile before has left
        first = columns - columns % walk.lanes
    bases_at(&unit.bases, walk.plan, cursor)
    for role in range(ROLES):
        if unit.bases.data[role] != NULL:
            unit.bases.data[role] += first*inner_stride(&walk.plan.kept, role)
    unit.columns = columns_of_tile(walk, columns - first)
    unit.in_place = walk.in_place and unit.columns % walk.lanes == 0
    unit.out_in_place = walk.out_in_place and unit.columns % walk.lanes == 0


cdef void take_unit(const Walk *walk, Cursor *cursor, Unit *unit) noexcept nogil:
    """The unit at a cursor over rows."""
    bases_at(&unit.bases, walk.plan, cursor)
    unit.columns = 1
    unit.in_place = walk.in_place
    unit.out_in_place = walk.out_in_place


cdef void walk_units(const Walk *walk, Py_ssize_t first, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Unit unit
    cdef Py_ssize_t tile, across
    if not walk.tiles:
        start(&cursor, &walk.plan.kept, 0, first, n)
        while cursor.left:
            take_unit(walk, &cursor, &unit)
            unit.tops = <double *>scratch
            walk_unit(walk, &unit, scratch)
            advance(&cursor, 1)
        return
    across = tiles_across(walk)
    tile = first % across
    start(&cursor, &walk.plan.kept, 1, first//across, n)
    while n:
        take_tile(walk, &cursor, tile, &unit)
        walk_unit(walk, &unit, scratch)
        n -= 1
        tile += 1
        if tile == across:
            tile = 0
            advance(&cursor, 1)


# Threads -------------------------------------------------------------------------------------------------------------

cdef inline char *scratch_for(const Walk *walk) noexcept nogil:
    """NULL if there is no memory; to be given back."""
    return <char *>malloc(walk.scratch) if walk.scratch else <char *>walk


cdef inline void give_back(const Walk *walk, char *scratch) noexcept nogil:
    if walk.scratch:
        free(scratch)


cdef void work_on_units(void *context, Queue *queue) noexcept nogil:
    cdef const Walk *walk = <const Walk *>context
    cdef char *scratch = scratch_for(walk)
    cdef Py_ssize_t item
    if scratch == NULL:
        return
    item = take(queue)
    while item >= 0:
        walk_units(walk, item*walk.grain, lesser(walk.units - item*walk.grain, walk.grain), scratch)
        item = take(queue)
    give_back(walk, scratch)


cdef struct Shared:
    # One unit whose pieces several threads do.
    const Walk *walk
    const Kernels *kernels
    Unit unit
    State state
    State *states               # of the pieces


cdef void work_on_states(void *context, Queue *queue) noexcept nogil:
    cdef Shared *shared = <Shared *>context
    cdef char *scratch = scratch_for(shared.walk)
    cdef Py_ssize_t piece
    if scratch == NULL:
        return
    piece = take(queue)
    while piece >= 0:
        reduce_piece(shared.walk, shared.kernels, &shared.unit, piece, &shared.states[piece], scratch)
        piece = take(queue)
    give_back(shared.walk, scratch)


cdef void work_on_results(void *context, Queue *queue) noexcept nogil:
    cdef Shared *shared = <Shared *>context
    cdef char *scratch = scratch_for(shared.walk)
    cdef Py_ssize_t piece
    if scratch == NULL:
        return
    piece = take(queue)
    while piece >= 0:
        write_piece(shared.walk, &shared.unit, piece, &shared.state, scratch)
        piece = take(queue)
    give_back(shared.walk, scratch)


cdef int share_pieces(Shared *shared, const Kernels *kernels, State *state, int threads) except -2:
    """The state of all pieces."""
    cdef Py_ssize_t piece
    shared.kernels = kernels
    if share(work_on_states, shared, shared.walk.pieces, threads):
        return -1
    state[0] = shared.states[0]
    for piece in range(1, shared.walk.pieces):
        kernels.merge(state, &shared.states[piece], 0, shared.unit.columns, COLUMNS)
    return 0


cdef int share_unit(Shared *shared, int threads) except -2:
    cdef const Walk *walk = shared.walk
    cdef State careful
    if walk.plan.passes == SECOND:
        take_state(walk, &shared.unit, &shared.state)
    else:
        if share_pieces(shared, first_kernels(walk.plan), &shared.state, threads):
            return -1
        if is_doubtful(walk.plan, &shared.unit, &shared.state):
            if share_pieces(shared, walk.plan.kernels.careful, &careful, threads):
                return -1
            walk.plan.kernels.replace(&shared.state, &careful, shared.unit.columns)
    take_targets(walk.plan, &shared.unit, &shared.state)
    finish(walk, &shared.unit, &shared.state)
    if writes(walk.plan):
        if share(work_on_results, shared, walk.pieces, threads):
            return -1
        put_targets(walk, &shared.unit, &shared.state)
    return 0


cdef int share_units(const Walk *walk, int threads) except -2:
    """One unit after the other, the pieces of each shared."""
    cdef Shared shared
    cdef Cursor cursor
    cdef Py_ssize_t unit, across = tiles_across(walk)
    cdef int failed = 0
    cdef char *scratch = scratch_for(walk)
    shared.walk = walk
    shared.states = <State *>malloc(walk.pieces*sizeof(State))
    try:
        if shared.states == NULL or scratch == NULL:
            return -1
        for unit in range(walk.units):
            if walk.tiles:
                start(&cursor, &walk.plan.kept, 1, unit//across, 1)
                take_tile(walk, &cursor, unit % across, &shared.unit)
            else:
                start(&cursor, &walk.plan.kept, 0, unit, 1)
                take_unit(walk, &cursor, &shared.unit)
            shared.unit.tops = <double *>scratch
            failed = share_unit(&shared, threads)
            if failed:
                return failed
    finally:
        free(shared.states)
        if scratch != NULL:
            give_back(walk, scratch)
    return 0


# All of it -----------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t distance(Py_ssize_t stride) noexcept nogil:
    return -stride if stride < 0 else stride


cdef void cut(Walk *walk) noexcept nogil:
    """Into pieces, by the shape alone: whoever does them, their states are merged in the same order."""
    cdef const Plan *plan = walk.plan
    cdef Py_ssize_t n = walk.n, most = (TILE_PIECE if walk.tiles else PIECE)//plan.itemsize
    if walk.tiles:
        most //= inner_shape(&plan.kept) if walk.abreast else COLUMNS
        most -= most % walk.abreast if walk.abreast else 0
    walk.piece = most*((n + PIECES*most - 1)//(PIECES*most))
    walk.pieces = (n + walk.piece - 1)//walk.piece
    if walk.tiles:
        return
    # As long as one another, but of whole lanes: what is aligned in one is in all.
    walk.piece = (n + walk.pieces - 1)//walk.pieces
    walk.piece += -walk.piece & (LANE_BYTES//plan.itemsize - 1)
    walk.pieces = (n + walk.piece - 1)//walk.piece
    # What is done in place has no draft, and the same bits.
    walk.drafts = (plan.kernels.draft_row != NULL and walk.in_place and walk.out_in_place and plan.passes == BOTH
                   and plan.reduced.ndim <= 1 and n*plan.itemsize <= DRAFTED
                   and plan.data[ELEMENTS] != plan.data[RESULT])
    if walk.drafts:
        walk.blocks = (walk.piece*plan.itemsize + BLOCK_BYTES - 1)//BLOCK_BYTES
        walk.scratch = walk.pieces*walk.blocks*sizeof(double)


cdef void lay_out(Walk *walk, const Plan *plan) noexcept nogil:
    cdef Py_ssize_t n = count(&plan.reduced, 0), inner = inner_shape(&plan.reduced), size
    cdef bint across = (
        distance(inner_stride(&plan.kept, ELEMENTS)) < distance(inner_stride(&plan.reduced, ELEMENTS)))
    cdef bint tiles = (inner_shape(&plan.kept) >= FEW and (n <= SHORT or across)
                       or inner_shape(&plan.kept) >= MANY and n <= MIDDLING)
    cdef Py_ssize_t abreast = rows_abreast(plan)
    cdef const Axes *side
    cdef bint unmasked = plan.data[MASK] == NULL
    # Runs of a row that are shorter than a few lanes are worth gathering into longer ones.
    cdef bint pieces = tiles or n == inner or inner >= LONG_RUN
    tiles = tiles or abreast
    side = &plan.kept if tiles else &plan.reduced
    walk.plan = plan
    walk.n = n
    walk.abreast = abreast
    walk.tiles = tiles
    walk.in_place = (unmasked and not plan.blended and pieces and is_run(plan, side, ELEMENTS)
                     and is_run(plan, side, WEIGHTS))
    walk.out_in_place = is_run(plan, side, RESULT) and (plan.kernels.write_row == NULL or pieces)
    walk.lanes = LANE_BYTES//plan.itemsize if (walk.in_place or walk.out_in_place) and not abreast else COLUMNS
    # Whether something is done at once must not depend on where the elements lie, or their alignment would show in the
    # bits; what is not in one piece is brought together whole.
    size = n*COLUMNS if tiles else n
    walk.at_once = not abreast and size*plan.itemsize <= (
        plan.kernels.tile_at_once_bytes if tiles else plan.kernels.row_at_once_bytes) and (
        plan.data[SIGN] == NULL and plan.passes == BOTH)
    if walk.at_once and plan.reduced.ndim > 1:
        walk.in_place = walk.out_in_place = False
    walk.scratch = 0
    if tiles or not walk.in_place or not walk.out_in_place and plan.kernels.write_row != NULL:
        size = size if walk.at_once and size > SCRATCH else SCRATCH
        size = scratch_for_columns(plan, abreast) if abreast else size
        walk.scratch = (1 if plan.data[WEIGHTS] == NULL and (unmasked or not tiles) else 2)*size*plan.itemsize
    walk.units = tiles_across(walk)*count(&plan.kept, 1) if tiles else count(&plan.kept, 0)
    walk.drafts = False
    walk.piece, walk.pieces = n, 1
    if not walk.at_once:
        cut(walk)


cdef int walk_alone(const Walk *walk) noexcept nogil:
    cdef char *scratch = scratch_for(walk)
    if scratch == NULL:
        return -1
    walk_units(walk, 0, walk.units, scratch)
    give_back(walk, scratch)
    return 0


cdef int walk_shared(Walk *walk, Py_ssize_t size, int threads) except -2:
    if walk.pieces > 1 and walk.units < 2*threads:
        return share_units(walk, threads)
    walk.grain = max(GRAIN*walk.units//size + 1, walk.units//(16*threads))
    return share(work_on_units, walk, (walk.units + walk.grain - 1)//walk.grain, threads)


cdef int walk(const Plan *plan) except -2:
    cdef Walk walk
    cdef Py_ssize_t size = count(&plan.kept, 0)*count(&plan.reduced, 0)
    cdef int threads = threads_of_caller() if size*plan.itemsize >= SHARED else 1, failed
    lay_out(&walk, plan)
    if threads > 1:
        return walk_shared(&walk, size, threads)
    if size < SMALL:
        return walk_alone(&walk)
    with nogil:
        failed = walk_alone(&walk)
    return failed
