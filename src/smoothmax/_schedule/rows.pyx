"""Routes of rows that are not just a loop over blocks: fused rows, joint rows and drafts."""

from libc.string cimport memcpy

from smoothmax._kernels.interface cimport Adjustment, Kernels, State, clear
from smoothmax._schedule.feed cimport Unit, adjustment_at, away_at_cursor
from smoothmax._schedule.plan cimport (
    ADDENDS, ELEMENTS, MASK, RESULT, SIGN, Bases, Cursor, Plan, fuses_halves, inner_stride, place, reads_halves, start,
    writes_halves,
)
from smoothmax._schedule.results cimport finish, put_targets, store_numbers, take_targets
from smoothmax._schedule.scratch cimport fill_masked_row, stage_row, unstage_row
from smoothmax._thresholds cimport JOINT_MAX_ROWS, ROW_BLOCK_BYTES


cdef inline Py_ssize_t stage_whole_row(const Unit *unit, const Bases *bases, char *to) noexcept nogil:
    """Stage all elements of a row, and return State.away."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t n = unit.route.length, away
    cdef Cursor cursor
    start(&cursor, &plan.reduced, 0, 0, n)
    away = away_at_cursor(plan, &plan.reduced, bases, &cursor, n, to)
    stage_row(plan, bases, &cursor, n, to, unit.space.weights)
    return away


cdef bint fused_halves(const Unit *unit, State *state) noexcept nogil:
    """fused_row of halves where they lie. Returns False, before an element's result is written, if one may be nan."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t n = unit.route.length
    cdef const char *halves = unit.bases.data[ELEMENTS]
    cdef char *out = unit.bases.data[RESULT]
    cdef char *draft = unit.space.elements
    cdef bint reduces = plan.kernels.write_row == NULL
    cdef double value
    if plan.kernels.fused_state_row != NULL:
        take_targets(unit, state)               # before a result overwrites the element at the target
        if reduces:
            state.away, state.adjustment = 0, NULL
            plan.joint_halves(state, 0, halves, n)
            finish(unit, state)
            return True
        clear(state, 1)
        plan.draft_halves(state, halves, n, draft, &value)
        finish(unit, state)
        if not plan.correct_halves(state, draft, n, out, &value):
            return False
        put_targets(unit, state)
        return True
    if not plan.fused_halves(halves, n, draft, &value if reduces else <void *>out):
        return False
    if reduces:
        plan.store(&value, 1, out, 0, plan.order[RESULT])
    return True


cdef void fused_row(const Unit *unit, State *state) noexcept nogil:
    """Compute the results of a row that is one block. It is staged in its own results if these are contiguous."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t n = unit.route.length
    cdef Cursor cursor
    cdef bint reduces = plan.kernels.write_row == NULL
    cdef char *out = unit.space.elements if reduces or unit.staged_out else unit.bases.data[RESULT]
    cdef char *staged = unit.space.elements if plan.adjusted else out
    cdef const char *elements = staged if unit.staged_in else unit.bases.data[ELEMENTS]
    cdef double value
    cdef Py_ssize_t away = 0
    cdef Adjustment of_row
    cdef const Adjustment *adjustment = adjustment_at(unit, unit.bases.data[ADDENDS], &of_row)
    if fuses_halves(plan) and fused_halves(unit, state):
        return
    if plan.kernels.fused_state_row != NULL:
        take_targets(unit, state)               # before a result overwrites the element at the target
    if unit.staged_in:
        away = stage_whole_row(unit, &unit.bases, staged)
    if plan.kernels.fused_state_row != NULL:
        state.away, state.adjustment = away, NULL
        plan.kernels.fused_state_row(state, elements, n, out)
        finish(unit, state)
        if reduces:
            return
        plan.kernels.scale_row(state, n, out)
    elif reduces:
        plan.kernels.fused_row(elements, n, away, adjustment, &value)
        plan.store(&value, 1, unit.bases.data[RESULT], 0, plan.order[RESULT])
        return
    else:
        plan.kernels.fused_row(elements, n, away, adjustment, out)
    if plan.data[MASK] != NULL or unit.staged_out:
        start(&cursor, &plan.reduced, 0, 0, n)
        fill_masked_row(plan, &unit.bases, &cursor, n, out)
        if unit.staged_out:
            unstage_row(plan, &unit.bases, &cursor, n, out)
    put_targets(unit, state)


cdef void joint_rows(const Unit *unit, State *state) noexcept nogil:
    """Sum rows one by one, and take their logarithms in one loop, in which several hardly cost more than one."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t n = unit.route.length
    cdef Bases bases = unit.bases
    cdef bint in_halves = fuses_halves(plan)
    cdef Adjustment of_row
    cdef double values[JOINT_MAX_ROWS]
    cdef double signs[JOINT_MAX_ROWS]
    cdef bint signed = plan.data[SIGN] != NULL
    cdef Py_ssize_t j, step = inner_stride(&plan.kept, ELEMENTS), mask_step = inner_stride(&plan.kept, MASK)
    cdef Py_ssize_t addends_step = inner_stride(&plan.kept, ADDENDS)
    if unit.columns < JOINT_MAX_ROWS:
        clear(state, JOINT_MAX_ROWS)
    state.away, state.adjustment = 0, adjustment_at(unit, unit.bases.data[ADDENDS], &of_row)
    for j in range(unit.columns):
        if in_halves:
            plan.joint_halves(state, j, bases.data[ELEMENTS], n)
        else:
            if unit.staged_in:
                state.away = stage_whole_row(unit, &bases, unit.space.elements)
            plan.kernels.joint_row(state, j, unit.space.elements if unit.staged_in else bases.data[ELEMENTS], n)
        bases.data[ELEMENTS] += step
        if bases.data[MASK] != NULL:
            bases.data[MASK] += mask_step
        if bases.data[ADDENDS] != NULL:
            bases.data[ADDENDS] += addends_step
            of_row.addends = bases.data[ADDENDS]
    take_targets(unit, state)
    # Always finish JOINT_MAX_ROWS rows. Otherwise the number of rows would decide between the vector loop and its
    # remainder, and the last bit could differ.
    plan.kernels.finish(state, JOINT_MAX_ROWS, values, signs if signed else NULL)
    store_numbers(unit, state, values, signs if signed else NULL)


# Drafts --------------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t start_piece(const Unit *unit, Py_ssize_t piece, Cursor *cursor) noexcept nogil:
    """Set the cursor to a piece, and return the piece's length."""
    cdef Py_ssize_t first = piece*unit.route.piece, n = min(unit.route.length - first, unit.route.piece)
    start(cursor, &unit.plan.reduced, 0, first, n)
    return n


cdef inline char *draft_at(const Unit *unit, Py_ssize_t piece) noexcept nogil:
    """The address of the draft of a piece."""
    cdef Py_ssize_t first = piece*unit.route.piece
    if unit.route.draft_elements:
        return unit.space.draft + first*unit.plan.itemsize
    return unit.bases.data[RESULT] + first*inner_stride(&unit.plan.reduced, RESULT)


cdef inline bint drafts_halves(const Plan *plan) noexcept nogil:
    """Whether a draft is made from halves where they lie, and corrected to halves where results will lie."""
    return reads_halves(plan) and writes_halves(plan)


cdef void draft_row(const Unit *unit, const Kernels *kernels, Py_ssize_t piece, State *state) noexcept nogil:
    """Make the first pass over a piece: its exponentials become the draft of its results.

    Elements that must be staged are staged a block at a time: in the scratch if the route has one, and otherwise where
    the draft will lie. A block that leaves no draft leaves its elements there.
    """
    cdef const Plan *plan = unit.plan
    cdef Cursor cursor
    cdef Py_ssize_t n = start_piece(unit, piece, &cursor), block
    cdef double *maxima = unit.space.drafts + piece*unit.route.piece_blocks
    cdef char *out = draft_at(unit, piece)
    cdef char *staged
    cdef Adjustment of_piece
    clear(state, 1)
    if not unit.staged_in:
        state.adjustment = adjustment_at(unit, place(&unit.bases, &cursor, ADDENDS), &of_piece)
        kernels.draft_row(state, unit.bases.data[ELEMENTS] + cursor.offset[ELEMENTS], n, out, maxima)
        return
    if drafts_halves(plan):
        plan.draft_halves(state, place(&unit.bases, &cursor, ELEMENTS), n, out, maxima)
        return
    while cursor.left:
        block = min(cursor.left, ROW_BLOCK_BYTES//plan.itemsize)
        staged = unit.space.elements if unit.route.staged_regions else out
        state.away = away_at_cursor(plan, &plan.reduced, &unit.bases, &cursor, block, staged)
        stage_row(plan, &unit.bases, &cursor, block, staged, unit.space.weights)
        kernels.draft_row(state, staged, block, out, maxima)
        if staged != out and maxima[0] != maxima[0]:
            memcpy(out, staged, block*plan.itemsize)
        out += ROW_BLOCK_BYTES
        maxima += 1


cdef void correct_row(const Unit *unit, Py_ssize_t piece, const State *state) noexcept nogil:
    """Make the second pass over a piece: the draft becomes the results."""
    cdef const Plan *plan = unit.plan
    cdef Cursor cursor
    cdef Py_ssize_t n = start_piece(unit, piece, &cursor)
    cdef char *out = draft_at(unit, piece)
    # The first pass has left there what it staged or adjusted.
    cdef const char *elements = (out if unit.staged_in or plan.adjusted
                                 else unit.bases.data[ELEMENTS] + cursor.offset[ELEMENTS])
    cdef const double *maxima = unit.space.drafts + piece*unit.route.piece_blocks
    if drafts_halves(plan) and plan.correct_halves(state, out, n, place(&unit.bases, &cursor, RESULT), maxima):
        return
    plan.kernels.correct_row(state, elements, n, out, maxima)
    fill_masked_row(plan, &unit.bases, &cursor, n, out)
    if unit.staged_out:
        unstage_row(plan, &unit.bases, &cursor, n, out)
