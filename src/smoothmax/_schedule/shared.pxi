# Walk a plan with several threads: each takes units, or all take pieces of one unit after the other.

from libc.stdlib cimport free, malloc

from smoothmax._kernels.interface cimport Kernels, State, clear, copy_column
from smoothmax._schedule.feed cimport Unit, Workspace
from smoothmax._schedule.plan cimport SECOND, Cursor, Plan, start, writes
from smoothmax._schedule.pool cimport Queue, share, take
from smoothmax._schedule.results cimport finish, put_targets, take_targets
from smoothmax._schedule.route cimport Route, tiles_across
from smoothmax._schedule.units cimport (
    kernels_to_reduce, needs_exact, reduce_piece, start_scan, take_stored_sums, write_piece,
)
from smoothmax._thresholds cimport SHARE_GRAIN_ELEMENTS, SHARE_THREAD_ITEMS, TILE_COLUMNS


# Units --------------------------------------------------------------------------------------------------------------

cdef struct SharedUnits:
    const Plan *plan
    const Route *route
    Py_ssize_t grain            # units that a thread takes at a time


cdef void work_on_units(void *context, Queue *queue) noexcept nogil:
    cdef const SharedUnits *shared = <const SharedUnits *>context
    cdef Workspace space
    cdef State state
    cdef Py_ssize_t item, first
    space.state = &state
    if not allocate(&space, shared.plan, shared.route, WHOLE_UNITS):
        return
    item = take(queue)
    while item >= 0:
        first = item*shared.grain
        walk_units(shared.plan, shared.route, first, min(shared.route.units - first, shared.grain), &space)
        item = take(queue)
    free(space.memory)


cdef int share_units(const Plan *plan, const Route *route, Py_ssize_t size, Py_ssize_t threads) except -2:
    cdef SharedUnits shared
    shared.plan, shared.route = plan, route
    shared.grain = max(SHARE_GRAIN_ELEMENTS*route.units//size + 1, route.units//(SHARE_THREAD_ITEMS*threads))
    shared.grain += (route.band_tiles - shared.grain % route.band_tiles) % route.band_tiles
    return share(work_on_units, &shared, (route.units + shared.grain - 1)//shared.grain, threads)


# Pieces -------------------------------------------------------------------------------------------------------------

cdef struct SharedPieces:
    Unit unit
    const Kernels *kernels
    State *states               # one for each piece


cdef bint join_work(Unit *unit, const SharedPieces *shared, Workspace *space) noexcept nogil:
    """Set the unit to the shared one, with memory of this thread for staging. Drafts are shared."""
    unit[0] = shared.unit
    if not allocate(space, unit.plan, unit.route, STAGING):
        return False
    space.drafts, space.draft = shared.unit.space.drafts, shared.unit.space.draft
    unit.space = space
    return True


cdef void work_on_sums(void *context, Queue *queue) noexcept nogil:
    cdef SharedPieces *shared = <SharedPieces *>context
    cdef Workspace space
    cdef Unit unit
    cdef Py_ssize_t piece
    if not join_work(&unit, shared, &space):
        return
    piece = take(queue)
    while piece >= 0:
        reduce_piece(&unit, shared.kernels, piece, &shared.states[piece])
        piece = take(queue)
    free(space.memory)


cdef void work_on_results(void *context, Queue *queue) noexcept nogil:
    cdef SharedPieces *shared = <SharedPieces *>context
    cdef Workspace space
    cdef Unit unit
    cdef Py_ssize_t piece
    if not join_work(&unit, shared, &space):
        return
    piece = take(queue)
    while piece >= 0:
        write_piece(&unit, piece, &shared.states[piece] if unit.plan.kernels.scans else shared.unit.space.state)
        piece = take(queue)
    free(space.memory)


cdef int share_sums(SharedPieces *shared, const Kernels *kernels, State *state, Py_ssize_t threads) except -2:
    """Compute the partial sum of a unit, piece by piece."""
    cdef Py_ssize_t piece
    shared.kernels = kernels
    if share(work_on_sums, shared, shared.unit.route.pieces, threads):
        return -1
    state[0] = shared.states[0]
    for piece in range(1, shared.unit.route.pieces):
        kernels.merge(state, &shared.states[piece], 0, shared.unit.columns, TILE_COLUMNS)
    return 0


cdef int share_unit(SharedPieces *shared, Py_ssize_t threads) except -2:
    """Compute the results of a unit, with threads that share its pieces."""
    cdef const Unit *unit = &shared.unit
    cdef const Plan *plan = unit.plan
    cdef State *state = unit.space.state
    if plan.passes == SECOND:
        take_stored_sums(unit, state)
    else:
        if share_sums(shared, kernels_to_reduce(plan), state, threads):
            return -1
        if needs_exact(unit, state):
            if share_sums(shared, plan.kernels.exact, unit.space.exact, threads):
                return -1
            plan.kernels.replace_inexact(state, unit.space.exact, unit.columns)
    take_targets(unit, state)
    finish(unit, state)
    if writes(plan):
        if share(work_on_results, shared, unit.route.pieces, threads):
            return -1
        put_targets(unit, state)
    return 0


cdef int share_scan(SharedPieces *shared, Py_ssize_t threads) except -2:
    """Scan a row: sum each piece, then add up the sums before each piece, then scan each piece."""
    cdef const Unit *unit = &shared.unit
    cdef State *before = unit.space.state
    cdef Py_ssize_t piece
    shared.kernels = unit.plan.kernels
    for piece in range(unit.route.pieces):
        clear(&shared.states[piece], 2)
    if share(work_on_sums, shared, unit.route.pieces, threads):
        return -1
    start_scan(unit, before)
    for piece in range(unit.route.pieces):
        copy_column(before, &shared.states[piece], 1)
        unit.plan.kernels.merge(before, &shared.states[piece], 1, 1, TILE_COLUMNS)
        clear(&shared.states[piece], 1)
    return -1 if share(work_on_results, shared, unit.route.pieces, threads) else 0


cdef int share_pieces(const Plan *plan, const Route *route, Py_ssize_t threads) except -2:
    """Walk one unit after the other, and share the pieces of each."""
    cdef SharedPieces shared
    cdef Workspace space
    cdef Cursor cursor
    cdef Py_ssize_t i, across = tiles_across(plan, route)
    cdef int failed = 0
    shared.states = NULL
    if not allocate(&space, plan, route, WHOLE_UNITS):
        return -1
    start_unit(&shared.unit, plan, route, &space)
    try:
        shared.states = <State *>malloc(route.pieces*sizeof(State))
        if shared.states == NULL:
            return -1
        for i in range(route.units):
            if route.is_tile:
                start(&cursor, &plan.kept, 1, i//across, 1)
                take_tile(&shared.unit, &cursor, i % across)
            else:
                start(&cursor, &plan.kept, 0, i, 1)
                take_row(&shared.unit, &cursor)
            failed = share_scan(&shared, threads) if plan.kernels.scans else share_unit(&shared, threads)
            if failed:
                return failed
    finally:
        free(shared.states)
        free(space.memory)
    return 0
