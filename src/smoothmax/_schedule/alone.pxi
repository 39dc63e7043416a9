# Walk the units of a plan one after the other on one thread, with the memory that a thread needs for them.

from libc.stdlib cimport free, malloc

from smoothmax._kernels.interface cimport State
from smoothmax._schedule.feed cimport Unit, Workspace
from smoothmax._schedule.plan cimport ROLES, Cursor, Plan, advance, bases_at, inner_shape, inner_stride, start
from smoothmax._schedule.route cimport NARROW, Route, tiles_across
from smoothmax._schedule.units cimport walk_band, walk_unit
from smoothmax._thresholds cimport BAND_MAX_TILES, CACHE_LINE_BYTES


# Memory --------------------------------------------------------------------------------------------------------------

cdef enum Extent:
    WHOLE_UNITS
    STAGING         # only to stage pieces, because their states and drafts are shared


cdef bint allocate(Workspace *space, const Plan *plan, const Route *route, Extent extent) noexcept nogil:
    """Allocate what a thread needs for whole units, or only for staging pieces. Returns False if there is no memory.

    Fused routes need no state besides `state`. It is on the caller's stack, because an allocation would slow small
    calls down.
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
    space.prepared = space.weights
    space.drafts = <double *>(space.elements + route.staged_regions*region)
    space.lanes = <State *>(space.drafts + drafts)
    space.draft = <char *>(space.lanes + states)
    if extent == WHOLE_UNITS and not route.fused:
        space.other = space.lanes + (route.name == NARROW)
        space.exact = space.other + 1
        space.state = space.exact + 1
    return True


# Units ---------------------------------------------------------------------------------------------------------------

cdef inline bint shortens(const Route *route, Py_ssize_t left) noexcept nogil:
    """Whether the next tile takes a group of lanes less, so that the last fills its lanes and need not be staged."""
    return (route.any_columns and route.lane_columns < route.unit_columns
            and route.unit_columns < left < route.unit_columns + route.lane_columns)


cdef inline Py_ssize_t columns_of_tile(const Route *route, Py_ssize_t left) noexcept nogil:
    """The columns of the next tile, if `left` columns are left."""
    if shortens(route, left):
        return route.unit_columns - route.lane_columns
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
    if first > columns:         # the columns left after full tiles make two tiles; this is the second
        first = columns - columns % route.lane_columns
    elif tile and shortens(route, columns - first + route.unit_columns):
        first -= route.lane_columns
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


cdef int walk_alone(const Plan *plan, const Route *route) noexcept nogil:
    cdef Workspace space
    cdef State state
    space.state = &state
    if not allocate(&space, plan, route, WHOLE_UNITS):
        return -1
    walk_units(plan, route, 0, route.units, &space)
    free(space.memory)
    return 0
