"""Choose the computing path of a call that has a plan. No other file chooses it.

    longdouble, complex                                             PLAIN           (_arrays)
    no element                                                      EMPTY           (_arrays)
    all axes reduced, short, contiguous, no mask                    SINGLE_ROW      (single_row.pxi)
    no element is needed but those at the targets                   AT_TARGETS
    largest elements, draws: TOP_TILES, DRAWN_TILES of many short rows, else TOP_ROWS, DRAWN_ROWS
    scans: SCAN_TILE where other operations make tiles, else SCAN_ROW
    2 to 63 dense columns, enough elements                          NARROW
    short reductions side by side, or the kept axis innermost: tiles
        up to fused_tile_bytes                                      FUSED_DIFFERENCES_TILE of few rows, or if a value or
                                                                    gradient needs the sums; else FUSED_TILE
        more                                                        ONE_PASS_TILE, TWO_PASS_TILE (in bands)
    rows
        up to fused_row_bytes                                       JOINT_ROWS of several short rows, one result; else
                                                                    FUSED_ROW
        more: ONE_PASS_ROW; with results    DRAFT_ROW, GATHERED_ROW, else TWO_PASS_ROW

The limits are in _thresholds.pxd, those of an operation in its table of kernels.
"""

from smoothmax._schedule.plan cimport (
    ADDENDS, BOTH, ELEMENTS, MASK, RESULT, SIGN, WEIGHTS, Axes, Plan, count, has_one_row_of_weights,
    has_one_weight_a_row, inner_shape, inner_stride, is_contiguous, size_of_stride, writes,
)
from smoothmax._thresholds cimport (
    ALIASED_STRIDE_BYTES, BAND_MAX_TILES, BAND_ROW_BYTES, CONTIGUOUS_MIN_ELEMENTS, DRAFT_MAX_BYTES, DRAW_TILE_ELEMENTS,
    JOINT_MAX_ROWS, LANE_BYTES, MAX_PIECES, NARROW_MIN_ELEMENTS, ROUNDED_MIN_LANE_ROWS, ROW_BLOCK_BYTES,
    ROW_PIECE_BYTES, SCORE_TILE_MIN_ROWS, SCRATCH_ELEMENTS, STAGED_DRAFT_BYTES, TILE_COLUMNS, TILE_LONG_ELEMENTS,
    TILE_LONG_MIN_COLUMNS, TILE_PIECE_BYTES, TILE_SHORT_ELEMENTS, TILE_SHORT_MIN_COLUMNS, TOP_TILE_BEST_ELEMENTS,
    TOP_TILE_ELEMENTS,
)


cdef bint is_short_reduction(Py_ssize_t n) noexcept nogil:
    """Whether many reductions of this length make tiles, whatever their strides."""
    return n <= TILE_SHORT_ELEMENTS


cdef inline bint makes_tiles(const Plan *plan, Py_ssize_t n) noexcept nogil:
    """Whether reductions make tiles: short ones with any strides, long ones if the kept axis has the smaller stride."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept)
    cdef bint across = (
        size_of_stride(inner_stride(&plan.kept, ELEMENTS)) < size_of_stride(inner_stride(&plan.reduced, ELEMENTS)))
    return (columns >= TILE_SHORT_MIN_COLUMNS and (is_short_reduction(n) or across)
            or columns >= TILE_LONG_MIN_COLUMNS and n <= TILE_LONG_ELEMENTS)


cdef inline Py_ssize_t fused_tile_bytes(const Plan *plan) noexcept nogil:
    """The largest number of bytes of a tile for which the fused kernel is faster.

    It is smaller if the rows of the tile share a few sets of the cache (P9). Staged tiles, and tiles whose exponentials
    are stored in the scratch, do not share sets. Only the stride decides, because the bits of a result must not depend
    on addresses. Adjusted elements take the route of the array scale*x + add, because they must have the same bits.
    """
    cdef Py_ssize_t stride = inner_stride(&plan.reduced, ELEMENTS)
    cdef bint read_in_place = (plan.kernels.fused_aliased_tile_bytes and plan.data[WEIGHTS] == NULL
                               and plan.data[MASK] == NULL and (plan.adjusted or not plan.converted))
    if read_in_place and stride and stride % ALIASED_STRIDE_BYTES == 0:
        return plan.kernels.fused_aliased_tile_bytes
    return plan.kernels.fused_tile_bytes


cdef inline bint is_dense(const Plan *plan, int role) noexcept nogil:
    """Whether nothing lies between the rows of an array, or the call has no such array."""
    return plan.data[role] == NULL or (
        plan.reduced.stride[role][0] == inner_shape(&plan.kept)*inner_stride(&plan.kept, role))


cdef inline Py_ssize_t narrow_rows_of(const Plan *plan) noexcept nogil:
    """How many rows of narrow columns fill the lanes; 0 if the columns are not narrow.

    Every array must be one contiguous stretch. Weights may also be one for each column or one for each row.
    """
    cdef Py_ssize_t columns = inner_shape(&plan.kept), n = count(&plan.reduced, 0)
    cdef Py_ssize_t lanes = LANE_BYTES//plan.itemsize, width = lanes
    cdef bint transforms = plan.kernels.write_tile != NULL
    if plan.kernels.scans:
        return 0
    if (plan.reduced.ndim != 1 or columns >= TILE_COLUMNS or columns < 2 or columns*n < NARROW_MIN_ELEMENTS
            or not is_dense(plan, ELEMENTS) or transforms and not is_dense(plan, RESULT)):
        return 0
    if plan.data[MASK] != NULL and not (is_dense(plan, MASK) and inner_stride(&plan.kept, MASK) == 1):
        return 0
    # A merge of columns knows the sums of weighted logsumexp, but not those of losses and gradients. A masked element
    # needs the weight 0, and a single row of weights for all rows of elements has no place for it.
    if plan.data[WEIGHTS] != NULL and (transforms or plan.is_loss or (
            plan.data[MASK] != NULL if has_one_row_of_weights(plan)
            else not (is_dense(plan, WEIGHTS) or has_one_weight_a_row(plan)))):
        return 0
    while width % columns:
        width += lanes
    return width//columns


cdef inline bint can_be_joint(const Plan *plan, const Route *route) noexcept nogil:
    """Whether rows are joint: several long ones, or short ones that fill a quarter of the places (P15)."""
    cdef Py_ssize_t size = route.length*plan.itemsize, rows = count(&plan.kept, 0)
    return (plan.kernels.joint_row != NULL and size <= ROW_BLOCK_BYTES
            and rows >= (2 if size >= ROUNDED_MIN_LANE_ROWS*LANE_BYTES else JOINT_MAX_ROWS//4))


cdef Py_ssize_t piece_of_row(Py_ssize_t n, Py_ssize_t most, Py_ssize_t granule) noexcept nogil:
    """The length of all pieces but the last: equal lengths, rounded up to whole lanes or narrow rows.

    So all pieces have the alignment of the first. The last may be shorter.
    """
    cdef Py_ssize_t piece = most*((n + MAX_PIECES*most - 1)//(MAX_PIECES*most)), pieces = (n + piece - 1)//piece
    piece = (n + pieces - 1)//pieces
    return piece + (granule - piece % granule) % granule


cdef void divide_into_pieces(const Plan *plan, Route *route) noexcept nogil:
    """Divide a long reduction into pieces, by its shape alone, so that threads do not change the order of merging."""
    cdef Py_ssize_t n = route.length, columns = inner_shape(&plan.kept), most
    if route.narrow_rows:
        # A quarter of the elements, within the two limits, because after each piece 64 partial sums or more are merged.
        most = min(max(ROW_PIECE_BYTES//plan.itemsize, n*columns//4), TILE_PIECE_BYTES//plan.itemsize)//columns
        route.piece = piece_of_row(n, most, route.narrow_rows)
    elif route.is_tile:
        most = TILE_PIECE_BYTES//(TILE_COLUMNS*plan.itemsize)
        route.piece = most*((n + MAX_PIECES*most - 1)//(MAX_PIECES*most))
    else:
        route.piece = piece_of_row(n, ROW_PIECE_BYTES//plan.itemsize, LANE_BYTES//plan.itemsize)
    route.pieces = (n + route.piece - 1)//route.piece


cdef inline bint can_gather(const Plan *plan, const Route *route) noexcept nogil:
    """Whether the result of a row can hold its elements or exponentials between the two passes.

    If the result has another type, the draft lies in memory of the thread. Losses look up targets between the passes,
    so the result must not hold their draft.
    """
    cdef Py_ssize_t most = 0 if plan.is_loss else DRAFT_MAX_BYTES
    if route.staged_out:
        most = STAGED_DRAFT_BYTES if plan.kernels.draft_row != NULL and not plan.direct[RESULT] else 0
    return (plan.kernels.write_row != NULL and plan.passes == BOTH and plan.data[WEIGHTS] == NULL
            and plan.reduced.ndim <= 1 and route.length*plan.itemsize <= most)


cdef inline RouteName name_of(const Plan *plan, const Route *route) noexcept nogil:
    if plan.kernels.scans:
        return SCAN_TILE if route.is_tile else SCAN_ROW
    if route.narrow_rows:
        return NARROW
    if route.is_tile:
        if not route.fused:
            return TWO_PASS_TILE if writes(plan) else ONE_PASS_TILE
        return FUSED_DIFFERENCES_TILE if route.length <= plan.kernels.differences_max_rows else FUSED_TILE
    if route.fused:
        return JOINT_ROWS if can_be_joint(plan, route) else FUSED_ROW
    if can_gather(plan, route):
        if plan.kernels.draft_row != NULL:
            return DRAFT_ROW
        if route.staged_in:
            return GATHERED_ROW
    return TWO_PASS_ROW if writes(plan) else ONE_PASS_ROW


cdef inline bint kernels_can_adjust(const Plan *plan, const Route *route, const Axes *side) noexcept nogil:
    """Whether kernels can adjust the elements where they lie; otherwise staging does (P45).

    The elements and the addends of a part must be one block, because the addends are not fed.
    """
    cdef Py_ssize_t stride = inner_stride(side, ADDENDS)
    cdef bint takes_differences = route.is_tile and route.fused and route.length <= plan.kernels.differences_max_rows
    cdef bint stages_results = route.staged_out and (
        route.is_tile or plan.kernels.draft_row != NULL and not route.fused)
    return (plan.kernels.adjusts and plan.passes == BOTH and not route.narrow_rows
            and not takes_differences and not stages_results and plan.reduced.ndim <= 1 and plan.data[MASK] == NULL
            and plan.data[WEIGHTS] == NULL and is_contiguous(plan, side, ELEMENTS)
            and (plan.data[ADDENDS] == NULL or plan.direct[ADDENDS] and (stride == 0 or stride == plan.itemsize)))


cdef void route_at_targets(const Plan *plan, Route *route) noexcept nogil:
    """Look up TILE_COLUMNS targets at a time, whatever the strides (P35)."""
    route.name, route.fused, route.is_tile, route.adjusted = AT_TARGETS, True, True, plan.adjusted
    route.staged_in = route.staged_out = False
    route.any_columns, route.unit_columns, route.lane_columns = True, TILE_COLUMNS, 1
    route.length = route.piece = count(&plan.reduced, 0)
    route.units = tiles_across(plan, route)*count(&plan.kept, 1)
    route.pieces = route.band_tiles = 1
    route.narrow_rows = route.piece_blocks = 0
    route.staged_elements = route.staged_regions = route.drafts = route.draft_elements = 0


cdef void route_of(const Plan *plan, Route *route) noexcept nogil:
    cdef Py_ssize_t n = count(&plan.reduced, 0), inner = inner_shape(&plan.reduced), size
    cdef const Axes *side
    cdef bint worth_reading_in_place
    if plan.kernels.reads_targets_only:
        route_at_targets(plan, route)
        return
    route.length = n
    route.narrow_rows = narrow_rows_of(plan)
    route.is_tile = route.narrow_rows > 0 or makes_tiles(plan, n)
    side = &plan.kept if route.is_tile else &plan.reduced
    # Short contiguous stretches of a row are faster to read once they are copied into a long one (P2).
    worth_reading_in_place = route.is_tile or n == inner or inner >= CONTIGUOUS_MIN_ELEMENTS
    size = n*TILE_COLUMNS if route.is_tile else n
    route.fused = (not route.narrow_rows and (plan.data[SIGN] == NULL or plan.kernels.weighs) and plan.passes == BOTH
                   and size*plan.itemsize <= (fused_tile_bytes(plan) if route.is_tile
                                              else plan.kernels.fused_row_bytes))
    route.staged_out = not (is_contiguous(plan, side, RESULT)
                            and (plan.kernels.write_row == NULL or worth_reading_in_place))
    route.adjusted = plan.adjusted
    route.staged_in = not (plan.data[MASK] == NULL and not plan.blended and worth_reading_in_place
                           and (not plan.adjusted or kernels_can_adjust(plan, route, side))
                           and is_contiguous(plan, side, ELEMENTS) and is_contiguous(plan, side, WEIGHTS))
    route.lane_columns = TILE_COLUMNS
    if not route.narrow_rows and not (route.staged_in and route.staged_out):
        route.lane_columns = LANE_BYTES//plan.itemsize
    # These kernels may compute a column twice, so results must not overwrite elements.
    route.any_columns = (route.fused and route.is_tile and plan.data[WEIGHTS] == NULL
                         and plan.data[ELEMENTS] != plan.data[RESULT])
    if route.fused and plan.reduced.ndim > 1:       # a fused kernel takes one block, so the row or tile must be staged
        route.staged_in = route.staged_out = True
    route.piece, route.pieces, route.piece_blocks = n, 1, 0
    if not route.fused:
        divide_into_pieces(plan, route)
    route.name = name_of(plan, route)
    route.unit_columns = TILE_COLUMNS if route.is_tile else 1
    if route.name == JOINT_ROWS:
        route.unit_columns, route.lane_columns = JOINT_MAX_ROWS, 1
    if route.unit_columns > 1:
        route.units = tiles_across(plan, route)*count(&plan.kept, 1)
    else:
        route.units = count(&plan.kept, 0)
    route.band_tiles = 1
    if route.name == TWO_PASS_TILE:
        route.band_tiles = min(BAND_ROW_BYTES//(TILE_COLUMNS*plan.itemsize), BAND_MAX_TILES, tiles_across(plan, route))
    route.staged_elements = route.staged_regions = route.drafts = route.draft_elements = 0
    if route.name == DRAFT_ROW:
        route.piece_blocks = (route.piece*plan.itemsize + ROW_BLOCK_BYTES - 1)//ROW_BLOCK_BYTES
        route.drafts = route.pieces*route.piece_blocks
        route.draft_elements = n if route.staged_out else 0
        if (route.staged_in or route.adjusted) and not route.staged_out and not plan.kernels.drafts_elements:
            route.staged_elements, route.staged_regions = ROW_BLOCK_BYTES//plan.itemsize, 1
    elif (route.is_tile or route.staged_in or route.adjusted
          or route.staged_out and plan.kernels.write_row != NULL):
        route.staged_elements = size if route.fused and size > SCRATCH_ELEMENTS else SCRATCH_ELEMENTS
        route.staged_regions = 2 if plan.data[WEIGHTS] != NULL or route.is_tile and (
            plan.data[MASK] != NULL or plan.data[ADDENDS] != NULL) else 1


# Rows of logits that are scored ---------------------------------------------------------------------------------------

cdef inline bint scores_make_tiles(const Plan *plan, Py_ssize_t most) noexcept nogil:
    """Whether rows of up to `most` elements lie side by side: short ones with any strides, if there are enough."""
    return count(&plan.reduced, 0) <= most and count(&plan.kept, 0) >= SCORE_TILE_MIN_ROWS


cdef RouteName top_route_of(const Plan *plan, Py_ssize_t number) noexcept nogil:
    """The route of a call that finds the `number` largest elements of each row."""
    return TOP_TILES if number <= TOP_TILE_BEST_ELEMENTS and scores_make_tiles(plan, TOP_TILE_ELEMENTS) else TOP_ROWS


cdef RouteName drawn_route_of(const Plan *plan) noexcept nogil:
    """The route of a call that draws from each row."""
    return DRAWN_TILES if scores_make_tiles(plan, DRAW_TILE_ELEMENTS) else DRAWN_ROWS
