"""Walk a plan along its route: on the calling thread, or with units or pieces shared by several threads.

How many threads there are changes neither the route nor the order in which partial sums are merged, so the bits are the
same. Knows no mathematics.
"""

from libc.stdlib cimport free, malloc

from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport DataKernels, Kernels, Load, State, Store, clear, copy_column
from smoothmax._schedule.atomics cimport exchange, load
from smoothmax._schedule.feed cimport Unit, Workspace
from smoothmax._schedule.plan cimport (
    ROLES, SECOND, Cursor, Plan, advance, bases_at, count, inner_shape, inner_stride, start, writes,
)
from smoothmax._schedule.pool cimport Queue, share, take
from smoothmax._schedule.results cimport finish, put_targets, take_targets
from smoothmax._schedule.route cimport (
    DRAFT_ROW, DRAWN_ROWS, DRAWN_TILES, EMPTY, EXACT_PRODUCT, FUSED_DIFFERENCES_TILE, FUSED_ROW, FUSED_TILE,
    GATHERED_ROW, JOINT_ROWS, NARROW, ONE_PASS_ROW, ONE_PASS_TILE, PLAIN, PRODUCT, SCAN_ROW, SCAN_TILE, SEGMENTS,
    SINGLE_ROW, TOP_ROWS, TOP_TILES, TWO_PASS_ROW, TWO_PASS_TILE, Route, RouteName, route_of, tiles_across,
)
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._schedule.units cimport (
    kernels_to_reduce, needs_exact, reduce_piece, start_scan, take_stored_sums, walk_band, walk_unit, write_piece,
)
from smoothmax._thresholds cimport (
    BAND_MAX_TILES, CACHE_LINE_BYTES, GIL_MIN_ELEMENTS, HALF_ROW_ELEMENTS, LANES_F64, ROW_BLOCK_BYTES, ROW_BLOCK_LANES,
    SHARE_GRAIN_ELEMENTS, SHARE_MIN_BYTES, TILE_COLUMNS,
)

cdef extern from *:
    """
    #if defined(_MSC_VER)
    static __declspec(thread) void *smoothmax_routes;
    #else
    static __thread void *smoothmax_routes;
    #endif
    #define smoothmax_set_routes(list) (smoothmax_routes = (list))
    """
    void *routes "smoothmax_routes"             # the list in which this thread's explain collects, or NULL
    void set_routes "smoothmax_set_routes"(void *list)

cdef int explained = 0      # 1 from the first explain of the process on; until then small calls skip `routes`


# Memory --------------------------------------------------------------------------------------------------------------

cdef enum Extent:
    WHOLE_UNITS
    STAGING         # of pieces, whose states and drafts are shared


cdef bint allocate(Workspace *space, const Plan *plan, const Route *route, Extent extent) noexcept nogil:
    """Allocate what a thread needs for whole units, or only for the staging of pieces. False if there is no memory.

    Fused routes need no state besides `state`. The caller has it on its stack, where it costs small calls nothing.
    """
    cdef size_t region = (route.staged_elements*plan.itemsize + CACHE_LINE_BYTES - 1)//CACHE_LINE_BYTES*CACHE_LINE_BYTES
    cdef size_t drafts = 0, states = route.name == NARROW, size, draft = 0
    cdef char *begin = NULL
    if extent == WHOLE_UNITS:
        drafts = route.drafts
        draft = route.draft_elements*plan.itemsize
        states += 0 if route.fused else 2 + route.band_tiles
    size = route.staged_regions*region + drafts*sizeof(double) + states*sizeof(State) + draft
    space.memory = NULL
    if size:
        space.memory = <char *>malloc(size + CACHE_LINE_BYTES)
        if space.memory == NULL:
            return False
        # Start at a cache line: a vector that crosses two lines is stored in two steps.
        begin = space.memory + (CACHE_LINE_BYTES - <size_t>space.memory % CACHE_LINE_BYTES)
    space.elements = begin
    space.weights = space.elements + region if route.staged_regions > 1 else space.elements
    space.drafts = <double *>(space.elements + route.staged_regions*region)
    space.lanes = <State *>(space.drafts + drafts)
    space.draft = <char *>(space.lanes + states)
    if extent == WHOLE_UNITS and not route.fused:
        space.other = space.lanes + (route.name == NARROW)
        space.exact = space.other + 1
        space.state = space.exact + 1
    return True


# Units ---------------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t columns_of_tile(const Route *route, Py_ssize_t left) noexcept nogil:
    """How many of the columns left the next tile has."""
    if left >= route.unit_columns:
        return route.unit_columns
    if left >= route.lane_columns and not route.any_columns:
        return left - left % route.lane_columns
    return left


cdef void take_tile(Unit *unit, const Cursor *cursor, Py_ssize_t tile) noexcept nogil:
    cdef const Plan *plan = unit.plan
    cdef const Route *route = unit.route
    cdef Py_ssize_t columns = inner_shape(&plan.kept), first = tile*route.unit_columns
    cdef int role
    cdef bint fills_lanes
    if first > columns:         # the columns left by full tiles make two tiles, and this is the second
        first = columns - columns % route.lane_columns
    bases_at(&unit.bases, plan, cursor)
    for role in range(ROLES):
        if unit.bases.data[role] != NULL:
            unit.bases.data[role] += first*inner_stride(&plan.kept, role)
    unit.columns = columns_of_tile(route, columns - first)
    fills_lanes = (unit.columns % route.lane_columns == 0
                   or route.any_columns and unit.columns >= route.lane_columns)
    unit.staged_in = route.staged_in or not fills_lanes
    unit.staged_out = route.staged_out or not fills_lanes


cdef void take_row(Unit *unit, const Cursor *cursor) noexcept nogil:
    bases_at(&unit.bases, unit.plan, cursor)
    unit.columns = 1
    unit.staged_in = unit.route.staged_in
    unit.staged_out = unit.route.staged_out


cdef inline void start_unit(Unit *unit, const Plan *plan, const Route *route, const Workspace *space) noexcept nogil:
    unit.plan, unit.route, unit.space = plan, route, space


cdef void walk_rows(const Plan *plan, const Route *route, Py_ssize_t first, Py_ssize_t n,
                    const Workspace *space) noexcept nogil:
    cdef Cursor cursor
    cdef Unit unit
    start_unit(&unit, plan, route, space)
    start(&cursor, &plan.kept, 0, first, n)
    while cursor.left:
        take_row(&unit, &cursor)
        walk_unit(&unit)
        advance(&cursor, 1)


cdef void walk_tiles(const Plan *plan, const Route *route, Py_ssize_t first, Py_ssize_t n,
                     const Workspace *space) noexcept nogil:
    """Walk n units, of several columns each, from the unit `first` on."""
    cdef Cursor cursor
    cdef Unit unit
    cdef Py_ssize_t across = tiles_across(plan, route), tile = first % across
    start_unit(&unit, plan, route, space)
    start(&cursor, &plan.kept, 1, first//across, n)
    while n:
        take_tile(&unit, &cursor, tile)
        walk_unit(&unit)
        n -= 1
        tile += 1
        if tile == across:
            tile = 0
            advance(&cursor, 1)


cdef void walk_bands(const Plan *plan, const Route *route, Py_ssize_t first, Py_ssize_t n,
                     const Workspace *space) noexcept nogil:
    """Walk n tiles from the unit `first` on. The tiles of a band write in turn."""
    cdef Cursor cursor
    cdef Unit band[BAND_MAX_TILES]
    cdef Py_ssize_t across = tiles_across(plan, route), tile = first % across, tiles, i
    for i in range(route.band_tiles):
        start_unit(&band[i], plan, route, space)
    start(&cursor, &plan.kept, 1, first//across, n)
    while n:
        tiles = min(route.band_tiles, n, across - tile)
        for i in range(tiles):
            take_tile(&band[i], &cursor, tile + i)
        walk_band(band, tiles)
        n -= tiles
        tile += tiles
        if tile == across:
            tile = 0
            advance(&cursor, 1)


cdef void walk_units(const Plan *plan, const Route *route, Py_ssize_t first, Py_ssize_t n,
                     const Workspace *space) noexcept nogil:
    if route.unit_columns == 1:
        walk_rows(plan, route, first, n, space)
    elif route.band_tiles > 1:
        walk_bands(plan, route, first, n, space)
    else:
        walk_tiles(plan, route, first, n, space)


# Alone ---------------------------------------------------------------------------------------------------------------

cdef int walk_alone(const Plan *plan, const Route *route) noexcept nogil:
    cdef Workspace space
    cdef State state
    space.state = &state
    if not allocate(&space, plan, route, WHOLE_UNITS):
        return -1
    walk_units(plan, route, 0, route.units, &space)
    free(space.memory)
    return 0


# Units shared --------------------------------------------------------------------------------------------------------

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
    shared.grain = max(SHARE_GRAIN_ELEMENTS*route.units//size + 1, route.units//(16*threads))
    shared.grain += (route.band_tiles - shared.grain % route.band_tiles) % route.band_tiles
    return share(work_on_units, &shared, (route.units + shared.grain - 1)//shared.grain, threads)


# Pieces shared -------------------------------------------------------------------------------------------------------

cdef struct SharedPieces:
    Unit unit
    const Kernels *kernels
    State *states               # of the pieces


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
    """Take a unit from elements to results, with threads that share its pieces."""
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
    """Scan a row: first sum each piece, then add up what precedes it, then scan each piece."""
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


# All of it -----------------------------------------------------------------------------------------------------------

cdef bint walk_row(const Kernels *kernels, const void *elements, Py_ssize_t n, Py_ssize_t itemsize,
                   void *result) noexcept:
    """Take the route SINGLE_ROW, from elements to results of a contiguous row. False if the row is too long for that.

    Without a plan softmax of ten elements takes 950 instructions, instead of 1700 (P27).
    """
    cdef Environment environment
    if n*itemsize > kernels.fused_row_bytes:
        return False
    enter_environment(&environment)
    if n < GIL_MIN_ELEMENTS:
        kernels.fused_row(elements, n, 0, result)
    else:
        with nogil:
            kernels.fused_row(elements, n, 0, result)
    leave_environment(&environment)
    if load(&explained):
        note(SINGLE_ROW)
    return True


cdef void compute_half_row(const Kernels *kernels, Load load_row, Store store_row, const void *elements, Py_ssize_t n,
                           void *result) noexcept nogil:
    cdef float row[HALF_ROW_ELEMENTS]
    cdef float value
    load_row(elements, 2, n, False, row)
    if kernels.write_row == NULL:
        kernels.fused_row(row, n, 0, &value)
        store_row(&value, 1, result, 2, False)
    else:
        kernels.fused_row(row, n, 0, row)
        store_row(row, n, result, 2, False)


cdef bint walk_half_row(const Kernels *kernels, Load load_row, Store store_row, const void *elements, Py_ssize_t n,
                        void *result) noexcept:
    """walk_row for float16 and bfloat16, which pass through the stack as float32 (P53)."""
    cdef Environment environment
    if n > HALF_ROW_ELEMENTS or n*<Py_ssize_t>sizeof(float) > kernels.fused_row_bytes:
        return False
    enter_environment(&environment)
    if n < GIL_MIN_ELEMENTS:
        compute_half_row(kernels, load_row, store_row, elements, n, result)
    else:
        with nogil:
            compute_half_row(kernels, load_row, store_row, elements, n, result)
    leave_environment(&environment)
    if load(&explained):
        note(SINGLE_ROW)
    return True


cdef void fuse_adjusted(const Kernels *kernels, const DataKernels *data_kernels, const void *elements,
                        const void *addends, bint one_addend, double scale, Py_ssize_t n,
                        void *result) noexcept nogil:
    cdef double scratch[ROW_BLOCK_LANES*LANES_F64]
    data_kernels.adjust(elements, 0, addends, 0, one_addend, 1, n, scale, 0, scratch, 0)
    kernels.fused_row(scratch, n, 0, result)


cdef bint walk_adjusted_row(const Kernels *kernels, const DataKernels *data_kernels, const void *elements,
                            const void *addends, bint one_addend, double scale, Py_ssize_t n, Py_ssize_t itemsize,
                            void *result) noexcept:
    """walk_row for elements times `scale`, plus an addend for each, or one for all, or none (NULL)."""
    cdef Environment environment
    if n*itemsize > min(kernels.fused_row_bytes, <Py_ssize_t>ROW_BLOCK_BYTES) or kernels.fused_row == NULL:
        return False
    enter_environment(&environment)
    if n < GIL_MIN_ELEMENTS:
        fuse_adjusted(kernels, data_kernels, elements, addends, one_addend, scale, n, result)
    else:
        with nogil:
            fuse_adjusted(kernels, data_kernels, elements, addends, one_addend, scale, n, result)
    leave_environment(&environment)
    if load(&explained):
        note(SINGLE_ROW)
    return True


cdef void reduce_weighted(const Kernels *kernels, const void *elements, const void *weights, Py_ssize_t n,
                          void *result) noexcept nogil:
    cdef State state
    state.away = 0
    if kernels.weighs:
        state.loss.target_weight[0] = (<const double *>weights)[0]
        kernels.fused_state_row(&state, elements, n, NULL)
    else:
        clear(&state, 1)
        kernels.reduce_row(&state, elements, weights, n)
    kernels.finish(&state, 1, result, NULL)


cdef bint walk_weighted_row(const Kernels *kernels, const void *elements, const void *weights, Py_ssize_t n,
                            Py_ssize_t itemsize, void *result) noexcept:
    """walk_row with a weight for each element or, where the operation takes one for all, a double."""
    cdef Environment environment
    if n*itemsize > ROW_BLOCK_BYTES:
        return False
    enter_environment(&environment)
    if n < GIL_MIN_ELEMENTS:
        reduce_weighted(kernels, elements, weights, n, result)
    else:
        with nogil:
            reduce_weighted(kernels, elements, weights, n, result)
    leave_environment(&environment)
    if load(&explained):
        note(SINGLE_ROW)
    return True


cdef int walk_route(const Plan *plan, const Route *route, Py_ssize_t size, Py_ssize_t threads,
                    bint shares_pieces) except -2:
    cdef int failed
    if shares_pieces:
        return share_pieces(plan, route, threads)
    if threads > 1:
        return share_units(plan, route, size, threads)
    if size < GIL_MIN_ELEMENTS:
        return walk_alone(plan, route)
    with nogil:
        failed = walk_alone(plan, route)
    return failed


cdef int walk(const Plan *plan) except -2:
    cdef Route route
    cdef Environment environment
    cdef Py_ssize_t size = count(&plan.kept, 0)*count(&plan.reduced, 0)
    cdef Py_ssize_t threads = threads_of_caller() if size*plan.itemsize >= SHARE_MIN_BYTES else 1
    cdef bint shares_pieces
    route_of(plan, &route)
    shares_pieces = threads > 1 and route.pieces > 1 and route.units < 2*threads and route.name != SCAN_TILE
    if load(&explained) and routes != NULL:
        (<list>routes).append(described(&route, "alone" if threads == 1 else "pieces" if shares_pieces else "units"))
    enter_environment(&environment)
    try:
        return walk_route(plan, &route, size, threads, shares_pieces)
    finally:
        leave_environment(&environment)


# For explain ---------------------------------------------------------------------------------------------------------

NAMES = {
    SINGLE_ROW: "SINGLE_ROW", FUSED_ROW: "FUSED_ROW", JOINT_ROWS: "JOINT_ROWS",
    FUSED_DIFFERENCES_TILE: "FUSED_DIFFERENCES_TILE", FUSED_TILE: "FUSED_TILE", NARROW: "NARROW",
    ONE_PASS_ROW: "ONE_PASS_ROW", ONE_PASS_TILE: "ONE_PASS_TILE", TWO_PASS_ROW: "TWO_PASS_ROW",
    TWO_PASS_TILE: "TWO_PASS_TILE", GATHERED_ROW: "GATHERED_ROW", DRAFT_ROW: "DRAFT_ROW", EMPTY: "EMPTY",
    SCAN_ROW: "SCAN_ROW", SCAN_TILE: "SCAN_TILE", SEGMENTS: "SEGMENTS",
    PRODUCT: "PRODUCT", EXACT_PRODUCT: "EXACT_PRODUCT",
    TOP_ROWS: "TOP_ROWS", TOP_TILES: "TOP_TILES", DRAWN_ROWS: "DRAWN_ROWS", DRAWN_TILES: "DRAWN_TILES",
    PLAIN: "PLAIN",
}


def collect(list collected):
    """Append descriptions of all routes of this thread from now on to this list; None stops it.

    Returns the list used before. The caller keeps both alive: this thread's variable holds no reference.
    """
    exchange(&explained, 1)
    before = <object>routes if routes != NULL else None
    set_routes(NULL if collected is None else <void *>collected)
    return before


cdef int note(RouteName name) except -1:
    if load(&explained) and routes != NULL:
        (<list>routes).append({"name": NAMES[name]})
    return 0


cdef dict described(const Route *route, str shared):
    return {
        "name": NAMES[route.name], "shared": shared, "adjusted": bool(route.adjusted),
        "staged_in": bool(route.staged_in), "staged_out": bool(route.staged_out), "units": route.units,
        "unit_columns": route.unit_columns,
        "lane_columns": route.lane_columns, "length": route.length, "pieces": route.pieces, "piece": route.piece,
        "narrow_rows": route.narrow_rows, "band_tiles": route.band_tiles,
        "scratch_elements": route.staged_elements*route.staged_regions,
    }
