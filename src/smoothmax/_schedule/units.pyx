"""Compute the results of a unit from its elements. This file knows neither threads nor mathematics."""

from smoothmax._kernels.interface cimport Adjustment, Kernels, State, clear
from smoothmax._schedule.feed cimport (
    Feed, Unit, adjustment_at, deliver, next_block, next_block_to_write, start_feed, start_writing,
)
from smoothmax._schedule.narrow cimport reduce_narrow, write_narrow
from smoothmax._schedule.plan cimport (
    ADDENDS, ELEMENTS, RESULT, SECOND, WEIGHTS, Cursor, Plan, advance, contiguous, loads_largest, place, reads_halves,
    start, takes_two_halves, writes, writes_halves,
)
from smoothmax._schedule.results cimport finish, put_targets, take_targets
from smoothmax._schedule.route cimport AT_TARGETS, DRAFT_ROW, FUSED_ROW, JOINT_ROWS, NARROW, SCAN_ROW
from smoothmax._schedule.rows cimport correct_row, draft_row, fused_row, joint_rows
from smoothmax._schedule.tiles cimport fused_tile
from smoothmax._thresholds cimport BAND_ROWS, TILE_COLUMNS


# Blocks --------------------------------------------------------------------------------------------------------------

cdef void reduce_part(const Unit *unit, const Kernels *kernels, Py_ssize_t first, Py_ssize_t n,
                      State *state) noexcept nogil:
    """Reduce n elements of each reduction from `first` on."""
    cdef Feed feed
    cdef Cursor cursor
    cdef Adjustment of_part
    cdef const Adjustment *adjustment
    if not unit.route.is_tile and reads_halves(unit.plan):
        start(&cursor, &unit.plan.reduced, 0, first, n)
        clear(state, 1)
        unit.plan.reduce_halves(state, place(&unit.bases, &cursor, ELEMENTS), n)
        return
    if not unit.route.is_tile and takes_two_halves(unit.plan):
        start(&cursor, &unit.plan.reduced, 0, first, n)
        clear(state, 1)
        unit.plan.reduce_two_halves(state, place(&unit.bases, &cursor, ELEMENTS),
                                    place(&unit.bases, &cursor, WEIGHTS), n)
        return
    start_feed(&feed, unit, first, n)
    adjustment = adjustment_at(unit, place(&unit.bases, &feed.cursor, ADDENDS), &of_part)
    if unit.route.is_tile:
        clear(state, TILE_COLUMNS)
        feed.skips_elements = kernels.reduces_weights_alone
        while feed.cursor.left:
            next_block(&feed)
            state.away, state.away_ld, state.adjustment = feed.away, feed.away_ld, adjustment
            kernels.reduce_tile(state, feed.elements, feed.ld, feed.weights, feed.weights_ld, feed.rows, unit.columns)
    else:
        clear(state, 1)
        feed.finds_largest = unit.staged_in and kernels.reduce_block != NULL and loads_largest(unit.plan)
        while feed.cursor.left:
            next_block(&feed)
            state.away, state.adjustment = feed.away, adjustment
            if feed.finds_largest:
                kernels.reduce_block(state, feed.elements, feed.rows, feed.largest)
            else:
                kernels.reduce_row(state, feed.elements, feed.weights, feed.rows)


cdef bint write_halves(const Unit *unit, Py_ssize_t first, Py_ssize_t n, const State *state) noexcept nogil:
    """Write results from halves to halves. Returns False, before any is written, if results may be nan."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t part
    cdef Cursor cursor
    start(&cursor, &plan.reduced, 0, first, n)
    while cursor.left:
        part = contiguous(&cursor, cursor.left)
        if not plan.write_halves(state, place(&unit.bases, &cursor, ELEMENTS), part,
                                 place(&unit.bases, &cursor, RESULT)):
            return False
        advance(&cursor, part)
    return True


cdef void write_blocks(const Unit *unit, Py_ssize_t first, Py_ssize_t n, Py_ssize_t prefetch_rows,
                       const State *state) noexcept nogil:
    """Write the results of n elements of each reduction from `first` on."""
    cdef const Kernels *kernels = unit.plan.kernels
    cdef Feed feed
    cdef Cursor cursor
    cdef Adjustment of_part
    cdef const Adjustment *adjustment
    if not unit.route.is_tile and writes_halves(unit.plan) and write_halves(unit, first, n, state):
        return
    if not unit.route.is_tile and takes_two_halves(unit.plan):
        start(&cursor, &unit.plan.reduced, 0, first, n)
        unit.plan.write_two_halves(state, place(&unit.bases, &cursor, ELEMENTS), place(&unit.bases, &cursor, WEIGHTS),
                                   n, place(&unit.bases, &cursor, RESULT))
        return
    start_writing(&feed, unit, first, n)
    adjustment = adjustment_at(unit, place(&unit.bases, &feed.cursor, ADDENDS), &of_part)
    while feed.cursor.left:
        next_block_to_write(&feed)
        if unit.route.is_tile:
            kernels.write_tile(state, feed.elements, feed.ld, feed.weights, feed.weights_ld, feed.rows, unit.columns,
                               feed.out, feed.out_ld, prefetch_rows, adjustment)
        else:
            kernels.write_row(state, feed.elements, feed.weights, feed.rows, feed.out)
        deliver(&feed)


# Pieces --------------------------------------------------------------------------------------------------------------

cdef void reduce_piece(const Unit *unit, const Kernels *kernels, Py_ssize_t piece, State *state) noexcept nogil:
    cdef Py_ssize_t first = piece*unit.route.piece, n = min(unit.route.length - first, unit.route.piece)
    if unit.route.name == NARROW:
        reduce_narrow(unit, kernels, first, n, state)
    elif unit.route.name == DRAFT_ROW:
        draft_row(unit, kernels, piece, state)
    else:
        reduce_part(unit, kernels, first, n, state)


cdef void write_piece(const Unit *unit, Py_ssize_t piece, const State *state) noexcept nogil:
    cdef Py_ssize_t first = piece*unit.route.piece, n = min(unit.route.length - first, unit.route.piece)
    if unit.route.name == NARROW:
        write_narrow(unit, first, n, state)
    elif unit.route.name == DRAFT_ROW:
        correct_row(unit, piece, state)
    else:
        write_blocks(unit, first, n, BAND_ROWS if unit.route.is_tile else 0, state)


# Units ---------------------------------------------------------------------------------------------------------------

cdef void reduce_pieces(const Unit *unit, const Kernels *kernels, State *state) noexcept nogil:
    cdef Py_ssize_t piece
    reduce_piece(unit, kernels, 0, state)
    for piece in range(1, unit.route.pieces):
        reduce_piece(unit, kernels, piece, unit.space.other)
        kernels.merge(state, unit.space.other, 0, unit.columns, TILE_COLUMNS)


cdef void reduce_unit(const Unit *unit, State *state) noexcept nogil:
    """Compute results that need no second pass, or the sums that the second pass needs."""
    if unit.plan.passes == SECOND:
        take_stored_sums(unit, state)
    else:
        reduce_pieces(unit, kernels_to_reduce(unit.plan), state)
        if needs_exact(unit, state):
            reduce_pieces(unit, unit.plan.kernels.exact, unit.space.exact)
            unit.plan.kernels.replace_inexact(state, unit.space.exact, unit.columns)
    take_targets(unit, state)
    finish(unit, state)


cdef void scan_unit(const Unit *unit, State *state) noexcept nogil:
    """Scan a unit from first to last element. Column 1 of a row's state is the sum of all elements before a piece."""
    cdef Py_ssize_t piece
    start_scan(unit, state)
    if unit.route.name != SCAN_ROW:
        write_blocks(unit, 0, unit.route.length, 0, state)
        return
    for piece in range(unit.route.pieces):
        write_piece(unit, piece, state)
        unit.plan.kernels.merge(state, state, 1, 1, TILE_COLUMNS)
        clear(state, 1)


cdef void walk_unit(const Unit *unit) noexcept nogil:
    """Compute the results of a unit on this thread."""
    cdef Py_ssize_t piece
    cdef State *state = unit.space.state
    if unit.plan.kernels.scans:
        scan_unit(unit, state)
    elif unit.route.name == FUSED_ROW:
        fused_row(unit, state)
    elif unit.route.name == JOINT_ROWS:
        joint_rows(unit, state)
    elif unit.route.name == AT_TARGETS:
        clear(state, unit.columns)
        take_targets(unit, state)
        finish(unit, state)
    elif unit.route.fused:
        fused_tile(unit, state)
    else:
        reduce_unit(unit, state)
        if writes(unit.plan):
            for piece in range(unit.route.pieces):
                write_piece(unit, piece, state)
            put_targets(unit, state)


cdef void walk_band(const Unit *units, Py_ssize_t n) noexcept nogil:
    """Write the results of tiles side by side a few rows at a time, in the order in which they lie in memory.

    A single tile leaves each row after 256 or 512 bytes, so the processor prefetches nothing (P8).
    """
    cdef Py_ssize_t i, first
    for i in range(n):
        reduce_unit(&units[i], &units[i].space.state[i])
    for first from 0 <= first < units[0].route.length by BAND_ROWS:
        for i in range(n):
            write_blocks(&units[i], first, min(units[0].route.length - first, BAND_ROWS), BAND_ROWS,
                         &units[i].space.state[i])
    for i in range(n):
        put_targets(&units[i], &units[i].space.state[i])
