"""Divide the rows that are scored, allocate memory for them, and stage their elements for the kernels.

If the elements of a row lie far apart, several rows that lie side by side are taken together. Short rows become the
columns of a tile where the route says so. This file knows no mathematics.
"""

from libc.math cimport NAN
from libc.stdlib cimport malloc

from smoothmax._kernels.interface cimport Candidate, State
from smoothmax._schedule.candidates cimport start_best
from smoothmax._schedule.packed cimport Packed
from smoothmax._schedule.plan cimport (
    ELEMENTS, ROLES, Cursor, Plan, bases_at, count, inner_shape, inner_stride, loads_largest,
    size_of_stride, start,
)
from smoothmax._schedule.route cimport DRAWN_TILES, TOP_TILES, drawn_route_of, piece_of_row, top_route_of
from smoothmax._schedule.scratch cimport stage_row, stage_tile
from smoothmax._thresholds cimport (
    DRAW_PIECES, DRAW_STORED_ELEMENTS, LANE_BYTES, ROW_BLOCK_BYTES, ROW_BLOCK_LANES, ROW_PIECE_BYTES, SCORE_ROWS,
    SCORE_SPACE_BYTES, SCORE_STAGED_ELEMENTS, SCORE_STAGED_STRIDE_BYTES, TILE_COLUMNS, TOP_MAXIMA_ROWS,
    TOP_SORTED_ELEMENTS,
)


# Division -------------------------------------------------------------------------------------------------------------

cdef void divide_rows(const Scores *scores, Division *division) noexcept nogil:
    cdef const Plan *plan = scores.plan
    cdef Py_ssize_t along = plan.reduced.stride[<int>ELEMENTS][0], n = plan.reduced.shape[0], k = scores.number
    division.length = n
    division.block = ROW_BLOCK_BYTES//plan.itemsize
    if scores.scoring == TOP:
        division.part = piece_of_row(n, ROW_PIECE_BYTES//plan.itemsize, LANE_BYTES//plan.itemsize)
    else:
        division.part = division.block*upwards(n, division.block*DRAW_PIECES)
    division.parts = upwards(n, division.part)
    division.in_place = not plan.adjusted and plan.direct[ELEMENTS] and (along == plan.itemsize or n == 1)
    division.room = k if k <= TOP_SORTED_ELEMENTS else 2*k + division.block + 1
    division.rows = 1
    if not division.in_place and size_of_stride(inner_stride(&plan.kept, ELEMENTS)) < size_of_stride(along):
        division.rows = min(SCORE_ROWS, inner_shape(&plan.kept))
        if scores.scoring == TOP:
            division.rows = max(min(division.rows, SCORE_SPACE_BYTES//(division.room*<Py_ssize_t>sizeof(Candidate))), 1)
    division.transposed = (not plan.adjusted and plan.direct[ELEMENTS] and along % plan.itemsize == 0
                           and inner_stride(&plan.kept, ELEMENTS) == plan.itemsize)
    division.route = top_route_of(plan, k) if scores.scoring == TOP else drawn_route_of(plan)
    division.tiles = division.route == TOP_TILES or division.route == DRAWN_TILES
    if division.tiles:
        division.rows = TILE_COLUMNS
    division.across = upwards(inner_shape(&plan.kept), division.rows)
    division.groups = division.across*count(&plan.kept, 1)


cdef bint allocate_space(const Scores *scores, const Division *division, Space *space) noexcept nogil:
    """Allocate the memory that a thread needs; returns False if there is none."""
    cdef Py_ssize_t states = sizeof(State), staged = 0, held = 0, fresh = 0, sums = 0, doubles = 0
    cdef Py_ssize_t blocks = upwards(division.part, division.block), rows = 1 if division.tiles else division.rows
    cdef Py_ssize_t tile = 0, best = 0, running = 0
    if not division.in_place or division.tiles:
        staged = rows*SCORE_STAGED_STRIDE_BYTES
    if division.tiles:
        tile = division.length*TILE_COLUMNS*scores.plan.itemsize
        best = scores.number*TILE_COLUMNS*scores.plan.itemsize if scores.scoring == TOP else 0
    if scores.scoring == TOP:
        states *= 2
        held = rows*division.room
        fresh = division.block + 1
    else:
        sums = rows*division.parts + blocks
        doubles = division.parts + blocks + ROW_BLOCK_LANES
        if division.length <= min(division.block, DRAW_STORED_ELEMENTS*scores.number):
            running = division.block
    space.memory = <char *>malloc(states + staged + TOP_MAXIMA_ROWS*LANE_BYTES + ROW_BLOCK_BYTES
                                  + (held + fresh)*sizeof(Candidate) + sums*sizeof(Packed)
                                  + (doubles + running)*sizeof(double) + 2*(tile + best))
    if space.memory == NULL:
        return False
    space.state = <State *>space.memory
    space.total = space.state + 1
    space.elements = space.memory + states
    space.maxima = space.elements + staged
    space.values = space.maxima + TOP_MAXIMA_ROWS*LANE_BYTES
    space.held = <Candidate *>(space.values + ROW_BLOCK_BYTES)
    space.fresh = space.held + held
    space.sums = <Packed *>(space.fresh + fresh)
    space.cumulative = <double *>(space.sums + sums)
    space.of_blocks = space.cumulative + division.parts
    space.of_lanes = space.of_blocks + blocks
    space.running = space.cumulative + doubles if running else NULL
    space.tile = <char *>(space.cumulative + doubles + running)
    space.of_tile = space.tile + tile
    space.best = space.of_tile + tile
    space.places = space.best + best
    return True


# Elements -------------------------------------------------------------------------------------------------------------

cdef Py_ssize_t take_rows(const Scores *scores, const Division *division, Space *space,
                          Py_ssize_t group) noexcept nogil:
    """Set space.rows to the rows of a group; returns how many there are."""
    cdef const Plan *plan = scores.plan
    cdef Py_ssize_t first = group % division.across*division.rows, n = inner_shape(&plan.kept) - first, i
    cdef Cursor cursor
    cdef int role
    n = min(n, division.rows)
    start(&cursor, &plan.kept, 1, group//division.across, 1)
    for i in range(n):
        bases_at(&space.rows[i].bases, plan, &cursor)
        for role in range(ROLES):
            if space.rows[i].bases.data[role] != NULL:
                space.rows[i].bases.data[role] += (first + i)*inner_stride(&plan.kept, role)
        space.rows[i].sums = space.sums + i*division.parts
        start_best(&space.rows[i].best, scores.number, division.room, space.held + i*division.room, space.fresh)
    return n


cdef double stage_block(const Scores *scores, const Division *division, Space *space, Py_ssize_t row, Py_ssize_t rows,
                        Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """Stage a block of `rows` rows, a few elements of each in turn, because the rows share cache lines.

    Returns the largest element if it was found meanwhile, otherwise nan. For TOP, space.maxima gets those of groups.
    """
    cdef Py_ssize_t part = n if rows == 1 else SCORE_STAGED_ELEMENTS, done = 0, i
    cdef Py_ssize_t stride = scores.plan.reduced.stride[<int>ELEMENTS][0]
    cdef Cursor cursor
    if division.in_place:
        return NAN
    if division.transposed and rows > 1:
        scores.plan.data_kernels.transpose(
            space.rows[row].bases.data[ELEMENTS] + first*stride, stride//scores.plan.itemsize, n, rows,
            space.elements + row*SCORE_STAGED_STRIDE_BYTES, SCORE_STAGED_STRIDE_BYTES//scores.plan.itemsize)
        return NAN
    if rows == 1 and loads_largest(scores.plan):
        return scores.plan.load_largest(space.rows[row].bases.data[ELEMENTS] + first*stride, n,
                                        space.elements + row*SCORE_STAGED_STRIDE_BYTES,
                                        space.maxima if scores.scoring == TOP else NULL)
    while done < n:
        for i in range(row, row + rows):
            start(&cursor, &scores.plan.reduced, 0, first + done, min(part, n - done))
            stage_row(scores.plan, &space.rows[i].bases, &cursor, cursor.left,
                      space.elements + i*SCORE_STAGED_STRIDE_BYTES + done*scores.plan.itemsize, NULL)
        done += part
    return NAN


cdef Py_ssize_t stage_columns(const Scores *scores, const Division *division, Space *space,
                              Py_ssize_t group) noexcept nogil:
    """Stage short rows as the columns of a tile; returns how many there are."""
    cdef const Plan *plan = scores.plan
    cdef Py_ssize_t first = group % division.across*TILE_COLUMNS, columns = inner_shape(&plan.kept) - first
    cdef Cursor cursor
    cdef int role
    columns = min(columns, TILE_COLUMNS)
    start(&cursor, &plan.kept, 1, group//division.across, 1)
    bases_at(&space.tile_bases, plan, &cursor)
    for role in range(ROLES):
        if space.tile_bases.data[role] != NULL:
            space.tile_bases.data[role] += first*inner_stride(&plan.kept, role)
    start(&cursor, &plan.reduced, 0, 0, division.length)
    # Without weights, elements may be prepared in `of_tile`, which has no results yet..
    stage_tile(plan, &space.tile_bases, &cursor, division.length, columns, space.tile, space.of_tile, space.of_tile)
    return columns
