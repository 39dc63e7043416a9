"""Walk a plan: as rows, or as tiles of TILE_COLUMNS reductions side by side; alone, or shared by several threads.

A long reduction is done in pieces, whose states are merged in their order; several threads may share rows, tiles or
pieces, and the bits are the same. States may be left for a later walk. A short row needs no plan. Knows no mathematics.
"""

from libc.stdlib cimport free, malloc

from smoothmax._schedule.narrow cimport rows_abreast
from smoothmax._schedule.scratch cimport SCRATCH
from smoothmax._kernels.interface cimport Kernels, State
from smoothmax._schedule.plan cimport (
    BOTH, ELEMENTS, MASK, RESULT, ROLES, SECOND, SIGN, WEIGHTS, Axes, Cursor, Plan, advance, bases_at, count,
    inner_shape, inner_stride, is_run, lesser, start,
)
from smoothmax._schedule.pool cimport Queue, share, take
from smoothmax._schedule.targets cimport put_targets, take_targets
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._schedule.units cimport (
    Unit, Walk, finish, first_kernels, is_doubtful, reduce_piece, take_state, walk_band, walk_unit, write_piece, writes,
)
from smoothmax._thresholds cimport JOINT_ROWS, JOINT_ROW_MIN_BYTES, LANE_BYTES, ROW_BLOCK_BYTES, TILE_COLUMNS

cdef enum:
    # Reductions of few elements are laid side by side, whatever their strides: up to SHORT where there are FEW of them,
    # up to MIDDLING where they fill the lanes. 2026-11, 1000 rows of 100: half the time for float64, a third for
    # float32; rows win from 256 (softmax) to 500 (logsumexp) elements on.
    SHORT = 48
    FEW = 6
    MIDDLING = 256
    MANY = 32
    LONG_RUN = 256              # elements in one piece that are not worth gathering with the next
    # Bytes of a long row that are reduced on their own; of a tile; and of few columns something between, a quarter of
    # them if it can be, since 64 states and more are merged for each: float32 took up to 1.27 times as long in 256 KiB.
    PIECE = 262144
    TILE_PIECE = 1048576
    DRAFTED = 67108864          # bytes of a row whose exponentials are kept in the result, to be corrected
    PIECES = 64                 # at most: their states take 600 KiB
    SMALL = 500                 # elements below which giving up the GIL costs more than it is worth (as in NumPy)
    # Bytes from which other threads are asked: work of some 35 us. Of the time of one, two threads take (2026-11, both
    # types, softmax and logsumexp), where a helper is awake from the call before, and where it sleeps: of 64 KiB 0.8 to
    # 1, and 1.9; of 128 KiB 0.7, and 1.5; of 256 KiB 0.62 to 0.69, and 1 to 1.14; of 512 KiB 0.6, and 0.74 to 0.94.
    SHARED = 262144
    # Elements that a thread takes at a time, at least. 256 to 512 KiB: as 2048 and 4096, which ask more often than they
    # balance; 16384 leaves 384 KiB of float64 in three parts, 0.69 where this takes 0.61.
    GRAIN = 8192
    # Bytes of a row of tiles that are written in turn, and such tiles at most. 2026-11: 1024 and 4096 were no better.
    BAND = 2048
    BAND_TILES = 8
    # Rows so many bytes apart, or a multiple, share a few sets of a cache: much of a tile that is not small has left it
    # when it is read again, and nothing can be fetched before. 2026-11, in pieces and two passes from there on:
    # log_softmax of (400, 1024) float32 0.71 of the time, (200, 4096) float64 0.67, softmax of (1024, 1024) 0.83,
    # (512, 1024) float64 1.07, logsumexp of (200, 4096) float32 0.64. What is brought together first does not lie
    # there, and would take up to 1.45 times as long, nor do exponentials that are kept in a scratch, 1.3.
    ALIASED = 4096


# For tests and bench/: an array of so many bytes is shared, and a row of more than so many is done in pieces.
SHARED_BYTES, PIECE_BYTES = SHARED, PIECE


# Units ----------------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t tiles_across(const Walk *walk) noexcept nogil:
    """Full tiles, then one of the columns that fill lanes, and one of those that do not and are brought together.

    One of all that are left where kernels take any number. Rows that are finished together count as tiles do.
    """
    cdef Py_ssize_t columns = inner_shape(&walk.plan.kept), rest = columns % walk.wide
    if walk.any_number:
        return columns//walk.wide + (rest > 0)
    return columns//walk.wide + (rest >= walk.lanes) + (rest % walk.lanes > 0)


cdef inline Py_ssize_t columns_of_tile(const Walk *walk, Py_ssize_t left) noexcept nogil:
    """How many of the columns left the next tile has."""
    if left >= walk.wide:
        return walk.wide
    return left - left % walk.lanes if left >= walk.lanes and not walk.any_number else left


cdef void take_tile(const Walk *walk, const Cursor *cursor, Py_ssize_t tile, Unit *unit) noexcept nogil:
    cdef Py_ssize_t columns = inner_shape(&walk.plan.kept), first = tile*walk.wide
    cdef int role
    cdef bint full
    if first > columns:    # what the tile before has left
        first = columns - columns % walk.lanes
    bases_at(&unit.bases, walk.plan, cursor)
    for role in range(ROLES):
        if unit.bases.data[role] != NULL:
            unit.bases.data[role] += first*inner_stride(&walk.plan.kept, role)
    unit.columns = columns_of_tile(walk, columns - first)
    full = unit.columns % walk.lanes == 0 or walk.any_number and unit.columns >= walk.lanes
    unit.in_place = walk.in_place and full
    unit.out_in_place = walk.out_in_place and full


cdef void take_unit(const Walk *walk, Cursor *cursor, Unit *unit) noexcept nogil:
    """The unit at a cursor over rows."""
    bases_at(&unit.bases, walk.plan, cursor)
    unit.columns = 1
    unit.in_place = walk.in_place
    unit.out_in_place = walk.out_in_place


cdef inline State *states_of(const Walk *walk, char *scratch) noexcept nogil:
    """Of a band: the end of the scratch."""
    return <State *>(scratch + walk.scratch) - walk.band


cdef void walk_units(const Walk *walk, Py_ssize_t first, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Cursor cursor
    cdef Unit unit
    cdef Unit band[BAND_TILES]
    cdef Py_ssize_t tile, across, tiles = 1, i
    if walk.wide == 1:
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
        if walk.band > 1:
            tiles = lesser(lesser(walk.band, n), across - tile)
            for i in range(tiles):
                take_tile(walk, &cursor, tile + i, &band[i])
            walk_band(walk, band, tiles, states_of(walk, scratch), scratch)
        else:
            take_tile(walk, &cursor, tile, &unit)
            walk_unit(walk, &unit, scratch)
        n -= tiles
        tile += tiles
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
        kernels.merge(state, &shared.states[piece], 0, shared.unit.columns, TILE_COLUMNS)
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
            if share_pieces(shared, walk.plan.kernels.exact, &careful, threads):
                return -1
            walk.plan.kernels.replace_inexact(&shared.state, &careful, shared.unit.columns)
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
    cdef Py_ssize_t n = walk.n, most = PIECE//plan.itemsize, columns = inner_shape(&plan.kept), whole
    if walk.abreast:
        most = lesser(max(most, n*columns//4), TILE_PIECE//plan.itemsize)//columns
    elif walk.tiles:
        most = TILE_PIECE//(TILE_COLUMNS*plan.itemsize)
    walk.piece = most*((n + PIECES*most - 1)//(PIECES*most))
    walk.pieces = (n + walk.piece - 1)//walk.piece
    if walk.tiles and not walk.abreast:
        return
    # As long as one another, but of whole lanes, or whole rows of narrow.pyx: what is aligned in one is in all.
    whole = walk.abreast if walk.abreast else LANE_BYTES//plan.itemsize
    walk.piece = (n + walk.pieces - 1)//walk.pieces
    walk.piece += (whole - walk.piece % whole) % whole
    walk.pieces = (n + walk.piece - 1)//walk.piece
    if walk.tiles:
        return
    walk.gathers = (plan.kernels.write_row != NULL and walk.out_in_place and plan.passes == BOTH
                    and plan.data[WEIGHTS] == NULL and not plan.is_loss
                    and plan.reduced.ndim <= 1 and n*plan.itemsize <= DRAFTED)
    walk.drafts = walk.gathers and plan.kernels.draft_row != NULL
    walk.gathers &= not walk.in_place
    if walk.drafts:
        walk.blocks = (walk.piece*plan.itemsize + ROW_BLOCK_BYTES - 1)//ROW_BLOCK_BYTES
        walk.scratch = walk.pieces*walk.blocks*sizeof(double)


cdef inline Py_ssize_t room_of_tile(const Plan *plan) noexcept nogil:
    """Bytes of a tile that is done at once; never by an address, which must not show in the bits."""
    cdef Py_ssize_t stride = inner_stride(&plan.reduced, ELEMENTS)
    cdef bint lies_there = (plan.kernels.fused_state_tile == NULL and plan.data[WEIGHTS] == NULL
                            and plan.data[MASK] == NULL and not plan.converted)
    if lies_there and stride and stride % ALIASED == 0:
        return plan.kernels.fused_aliased_tile_bytes
    return plan.kernels.fused_tile_bytes


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
    walk.wide = TILE_COLUMNS if tiles else 1
    walk.lanes = LANE_BYTES//plan.itemsize if (walk.in_place or walk.out_in_place) and not abreast else TILE_COLUMNS
    # Whether something is done at once must not depend on where the elements lie, or their alignment would show in the
    # bits; what is not in one piece is brought together whole.
    size = n*TILE_COLUMNS if tiles else n
    walk.at_once = not abreast and size*plan.itemsize <= (
        room_of_tile(plan) if tiles else plan.kernels.fused_row_bytes) and (
        plan.data[SIGN] == NULL and plan.passes == BOTH)
    walk.any_number = (walk.at_once and tiles and plan.data[WEIGHTS] == NULL
                       and plan.data[ELEMENTS] != plan.data[RESULT])
    if walk.at_once and plan.reduced.ndim > 1:
        walk.in_place = walk.out_in_place = False
    if (walk.at_once and not tiles and plan.kernels.joint_row != NULL and count(&plan.kept, 0) > 1
            and JOINT_ROW_MIN_BYTES <= n*plan.itemsize <= ROW_BLOCK_BYTES):
        walk.wide, walk.lanes = JOINT_ROWS, 1
    walk.scratch = 0
    if tiles or not walk.in_place or not walk.out_in_place and plan.kernels.write_row != NULL:
        size = size if walk.at_once and size > SCRATCH else SCRATCH
        walk.scratch = (1 if plan.data[WEIGHTS] == NULL and (unmasked or not tiles) else 2)*size*plan.itemsize
    walk.units = tiles_across(walk)*count(&plan.kept, 1) if walk.wide > 1 else count(&plan.kept, 0)
    walk.gathers = walk.drafts = False
    walk.piece, walk.pieces = n, 1
    walk.band = 1
    if tiles and writes(plan) and not walk.at_once and not abreast:
        walk.band = lesser(lesser(BAND//(TILE_COLUMNS*plan.itemsize), BAND_TILES), tiles_across(walk))
        walk.scratch += walk.band*sizeof(State)
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
    walk.grain += (walk.band - walk.grain % walk.band) % walk.band
    return share(work_on_units, walk, (walk.units + walk.grain - 1)//walk.grain, threads)


cdef bint walk_row(const Kernels *kernels, const void *elements, Py_ssize_t n, Py_ssize_t itemsize,
                   void *result) noexcept:
    """One row in memory, alone and at once, as `walk` does it; False, and nothing is done, if it is too long for that.

    With a plan softmax of ten elements takes 1700 instructions, not 950 (2026-11).
    """
    if n*itemsize > kernels.fused_row_bytes:
        return False
    if n < SMALL:
        kernels.fused_row(elements, n, result)
    else:
        with nogil:
            kernels.fused_row(elements, n, result)
    return True


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
