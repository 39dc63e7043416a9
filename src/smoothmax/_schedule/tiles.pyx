"""The route of tiles that is not just a loop over blocks: a fused tile."""

from smoothmax._kernels.interface cimport Adjustment, State, clear
from smoothmax._schedule.feed cimport Unit, adjustment_at
from smoothmax._schedule.plan cimport (
    ADDENDS, ELEMENTS, MASK, RESULT, WEIGHTS, Cursor, Plan, inner_stride, start,
)
from smoothmax._schedule.results cimport finish, put_targets, take_targets
from smoothmax._schedule.route cimport FUSED_DIFFERENCES_TILE
from smoothmax._schedule.scratch cimport fill_masked_tile, stage_tile, unstage_tile
from smoothmax._thresholds cimport TILE_COLUMNS


cdef void fused_tile(const Unit *unit, State *state) noexcept nogil:
    """Compute the results of a tile whose rows are one block."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t n = unit.route.length, ld = TILE_COLUMNS, out_ld = TILE_COLUMNS, weights_ld = TILE_COLUMNS
    cdef bint by_differences = unit.route.name == FUSED_DIFFERENCES_TILE
    cdef Cursor cursor
    cdef const char *elements = unit.space.elements
    cdef const char *weights = unit.space.weights
    cdef char *out = unit.space.elements if unit.staged_out else unit.bases.data[RESULT]
    cdef Adjustment adjustment
    if unit.staged_in:
        start(&cursor, &plan.reduced, 0, 0, n)
        stage_tile(plan, &unit.bases, &cursor, n, unit.columns, unit.space.elements, unit.space.weights,
                   unit.space.prepared)
    else:
        elements, weights = unit.bases.data[ELEMENTS], unit.bases.data[WEIGHTS]
        ld = inner_stride(&plan.reduced, ELEMENTS)//plan.itemsize
        weights_ld = inner_stride(&plan.reduced, WEIGHTS)//plan.itemsize
    if not unit.staged_out:
        out_ld = inner_stride(&plan.reduced, RESULT)//plan.itemsize
    if plan.kernels.fused_state_tile != NULL:
        if by_differences:
            plan.kernels.fused_state_differences_tile(state, elements, ld, n, unit.columns, unit.space.elements,
                                                      TILE_COLUMNS)
        else:
            plan.kernels.fused_state_tile(state, elements, ld, n, unit.columns, unit.space.elements, TILE_COLUMNS)
        take_targets(unit, state)               # their elements may have left the cache by now
        finish(unit, state)
        if plan.kernels.write_tile == NULL:
            return
        plan.kernels.scale_tile(state, unit.space.elements, n, unit.columns, out, out_ld)
    elif plan.data[WEIGHTS] != NULL:
        if not plan.kernels.fused_weighted_tile(elements, ld, weights, weights_ld, n, unit.columns, out):
            clear(state, TILE_COLUMNS)
            state.away, state.away_ld = 0, ld
            plan.kernels.reduce_tile(state, elements, ld, weights, weights_ld, n, unit.columns)
            finish(unit, state)
            return
    elif by_differences:
        plan.kernels.fused_differences_tile(elements, ld, n, unit.columns, NULL, out, out_ld)
    else:
        plan.kernels.fused_tile(elements, ld, n, unit.columns,
                                adjustment_at(unit, unit.bases.data[ADDENDS], &adjustment), out, out_ld)
    if plan.kernels.write_tile == NULL:
        if unit.staged_out:
            plan.store(out, unit.columns, unit.bases.data[RESULT], inner_stride(&plan.kept, RESULT),
                       plan.order[RESULT])
        return
    if plan.data[MASK] != NULL or unit.staged_out:
        start(&cursor, &plan.reduced, 0, 0, n)
        fill_masked_tile(plan, &unit.bases, &cursor, n, unit.columns, out, out_ld*plan.itemsize)
        if unit.staged_out:
            unstage_tile(plan, &unit.bases, &cursor, n, unit.columns, out)
    put_targets(unit, state)
