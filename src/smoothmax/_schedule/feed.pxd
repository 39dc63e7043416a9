# A feed hands kernels one block after the other: contiguous, aligned, and of the type that they compute in. A block
# that kernels cannot read where it lies is staged in the scratch. Results are also written either in place or through
# the scratch.

from smoothmax._kernels.interface cimport Adjustment, State
from smoothmax._schedule.plan cimport (
    ADDENDS, ELEMENTS, RESULT, WEIGHTS, Axes, Bases, Cursor, Plan, addends_of, advance, are_neighbours, contiguous,
    copy_cursor, inner_stride, place, start,
)
from smoothmax._schedule.route cimport GATHERED_ROW, Route
from smoothmax._schedule.scratch cimport (
    fill_masked_row, fill_masked_tile, stage_largest, stage_row, stage_tile, unstage_row, unstage_tile,
)
from smoothmax._thresholds cimport (
    SCRATCH_TILE_ROWS, STAGED_ROW_BYTES, TILE_BLOCK_BYTES, TILE_COLUMNS, WEIGHTED_TILE_BLOCK_ROWS,
)

cdef struct Workspace:
    # The memory of a thread besides the arrays of the call, as much as the route needs (see walk.pyx).
    char *memory                # the allocation that has all of it; NULL if nothing was allocated
    char *elements              # staged elements, or results on their way out
    char *weights               # staged weights
    char *prepared              # instead of weights, if there are none: elements of a tile before they are transposed
    double *drafts              # the maximum of each block of a draft, or nan
    char *draft                 # the draft of a row that cannot lie in the result
    State *state                # the state of the unit, or of the first tile of a band
    State *other                # of the piece that is merged into `state` next
    State *exact                # the state of the unit from exact exponentials
    State *lanes                # the state of a tile of narrow columns before its lanes are merged


cdef struct Unit:
    # One row, or reductions side by side, on their way from elements to results.
    const Plan *plan
    const Route *route
    const Workspace *space
    Bases bases
    Py_ssize_t columns          # reductions, at most route.unit_columns
    bint staged_in
    bint staged_out


cdef struct Feed:
    const Unit *unit
    Cursor cursor               # the elements to come
    Cursor out_cursor           # the results to come
    Py_ssize_t staged_rows      # of a block that is staged
    int source                  # the role whose array is read: ELEMENTS, or RESULT where elements were gathered into it
    bint in_place
    # These take the place of cursors for NARROW columns, whose elements are read as rows of `width`, one tile of
    # columns at a time (see narrow.pyx).
    Py_ssize_t width
    Py_ssize_t first            # the first column of the tile
    Py_ssize_t columns
    Py_ssize_t done             # elements of all columns before the block,
    Py_ssize_t left             # and from there on
    Adjustment adjustment       # of whole rows where they lie
    const Adjustment *of_block  # NULL if nothing is adjusted, or staging has done it
    # The block. If the unit is a row, each of its rows is one element.
    Py_ssize_t rows
    const char *elements
    Py_ssize_t ld
    const char *weights
    Py_ssize_t weights_ld
    char *out
    Py_ssize_t out_ld
    bint skips_elements         # only weights are staged, because nobody reads the elements
    bint finds_largest          # while it stages a block of a row:
    double largest              # the largest element
    bint one_block              # a staged tile has as many rows as a kernel takes at a time
    Py_ssize_t away             # for State.away
    Py_ssize_t away_ld


# These functions are inline, because a call of another module for each block would show in short rows.

cdef inline Py_ssize_t away_of_elements(const Plan *plan, const char *elements, Py_ssize_t n,
                                        const char *staged) noexcept nogil:
    """State.away for n neighbours of the array that are staged.

    Added to n, it leads from the staged elements to the next ones of the array, even if an element takes less memory
    there.
    """
    return (elements - staged + n*plan.element_bytes[ELEMENTS])//plan.itemsize - n


cdef inline Py_ssize_t away_at_cursor(const Plan *plan, const Axes *along, const Bases *bases, const Cursor *cursor,
                                      Py_ssize_t n, const char *staged) noexcept nogil:
    """State.away for the next n elements of a row; 0 if they are not neighbours."""
    if not are_neighbours(plan, along, ELEMENTS):
        return 0
    return away_of_elements(plan, place(bases, cursor, ELEMENTS), n, staged)


cdef inline const Adjustment *adjustment_at(const Unit *unit, const char *addends,
                                            Adjustment *adjustment) noexcept nogil:
    """How kernels adjust the elements whose addends begin at `addends`; NULL if staging does, or nothing."""
    cdef const Plan *plan = unit.plan
    cdef const Axes *side = &plan.kept if unit.route.is_tile else &plan.reduced
    if unit.staged_in or not plan.adjusted:
        return NULL
    adjustment.scale, adjustment.minus_zero = plan.element_scale, -0.0
    adjustment.addends, adjustment.layout = addends, addends_of(inner_stride(side, ADDENDS))
    adjustment.addends_ld = inner_stride(&plan.reduced, ADDENDS)//plan.itemsize
    adjustment.staged = unit.space.elements
    return adjustment


cdef inline void stage_blocks(Feed *feed) noexcept nogil:
    feed.in_place = False
    feed.ld = feed.weights_ld = feed.away_ld = TILE_COLUMNS


cdef inline void start_feed(Feed *feed, const Unit *unit, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """Feed n positions of the reduced axes from `first` on."""
    cdef Py_ssize_t itemsize = unit.plan.itemsize
    feed.unit = unit
    start(&feed.cursor, &unit.plan.reduced, 0, first, n)
    feed.source = ELEMENTS
    feed.staged_rows = STAGED_ROW_BYTES//itemsize
    if unit.route.is_tile:
        # As many rows as a kernel takes at a time, so that they stay in L1 (P45). Products take ROW_BLOCK_LANES.
        feed.one_block = unit.plan.data[WEIGHTS] == NULL or unit.plan.adjusted
        if not feed.one_block:
            feed.staged_rows = SCRATCH_TILE_ROWS
        elif unit.plan.data[WEIGHTS] == NULL:
            feed.staged_rows = TILE_BLOCK_BYTES//(TILE_COLUMNS*itemsize)
        else:
            feed.staged_rows = WEIGHTED_TILE_BLOCK_ROWS
    feed.away = 0
    feed.skips_elements = feed.finds_largest = False
    stage_blocks(feed)
    if not unit.staged_in:
        feed.in_place = True
        feed.ld = feed.away_ld = inner_stride(&unit.plan.reduced, ELEMENTS)//itemsize
        feed.weights_ld = inner_stride(&unit.plan.reduced, WEIGHTS)//itemsize


cdef inline void read_in_place(Feed *feed) noexcept nogil:
    feed.elements = feed.unit.bases.data[feed.source] + feed.cursor.offset[feed.source]
    feed.weights = place(&feed.unit.bases, &feed.cursor, WEIGHTS)
    advance(&feed.cursor, feed.rows)


cdef inline void stage(Feed *feed, char *destination) noexcept nogil:
    cdef const Unit *unit = feed.unit
    feed.elements, feed.weights = destination, unit.space.weights
    if not unit.route.is_tile:
        feed.away = away_at_cursor(unit.plan, &unit.plan.reduced, &unit.bases, &feed.cursor, feed.rows, destination)
    elif feed.one_block:                        # kernels add the distance of the rows below by themselves
        feed.away = away_at_cursor(unit.plan, &unit.plan.kept, &unit.bases, &feed.cursor, 0, destination)
        feed.away_ld = inner_stride(&unit.plan.reduced, ELEMENTS)//unit.plan.itemsize
    if feed.finds_largest:
        feed.largest = stage_largest(unit.plan, &unit.bases, &feed.cursor, feed.rows, destination)
    elif unit.route.is_tile:
        stage_tile(unit.plan, &unit.bases, &feed.cursor, feed.rows, unit.columns,
                   NULL if feed.skips_elements else destination, unit.space.weights, unit.space.prepared)
    else:
        stage_row(unit.plan, &unit.bases, &feed.cursor, feed.rows, destination, unit.space.weights)


cdef inline void next_block(Feed *feed) noexcept nogil:
    cdef const Unit *unit = feed.unit
    if feed.in_place:
        feed.rows = contiguous(&feed.cursor, feed.cursor.left)
        read_in_place(feed)
        return
    feed.rows = min(feed.cursor.left, feed.staged_rows)
    if unit.route.name == GATHERED_ROW:
        stage(feed, unit.bases.data[RESULT] + feed.cursor.offset[RESULT])
    else:
        stage(feed, unit.space.elements)


cdef inline void start_writing(Feed *feed, const Unit *unit, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    start_feed(feed, unit, first, n)
    if unit.plan.adjusted and not unit.route.is_tile:   # kernels that write rows do not adjust elements
        stage_blocks(feed)
    copy_cursor(&feed.out_cursor, &feed.cursor)
    feed.out_ld = TILE_COLUMNS
    if not unit.staged_out:
        feed.out_ld = inner_stride(&unit.plan.reduced, RESULT)//unit.plan.itemsize
    if unit.route.name == GATHERED_ROW:
        feed.source = RESULT
        feed.in_place = True


cdef inline void next_block_to_write(Feed *feed) noexcept nogil:
    cdef const Unit *unit = feed.unit
    feed.rows = feed.cursor.left
    if feed.in_place or not unit.staged_out:
        feed.rows = contiguous(&feed.cursor, feed.rows)
    if not feed.in_place or unit.staged_out:
        feed.rows = min(feed.rows, feed.staged_rows)
    if feed.in_place:
        read_in_place(feed)
    else:
        stage(feed, unit.space.elements)
    feed.out = unit.space.elements if unit.staged_out else unit.bases.data[RESULT] + feed.out_cursor.offset[RESULT]


cdef inline void deliver(Feed *feed) noexcept nogil:
    """Fill masked results, and store the results of the block if they lie in the scratch."""
    cdef const Unit *unit = feed.unit
    if unit.route.is_tile:
        fill_masked_tile(unit.plan, &unit.bases, &feed.out_cursor, feed.rows, unit.columns, feed.out,
                         feed.out_ld*unit.plan.itemsize)
    else:
        fill_masked_row(unit.plan, &unit.bases, &feed.out_cursor, feed.rows, feed.out)
    if not unit.staged_out:
        advance(&feed.out_cursor, feed.rows)
    elif unit.route.is_tile:
        unstage_tile(unit.plan, &unit.bases, &feed.out_cursor, feed.rows, unit.columns, unit.space.elements)
    else:
        unstage_row(unit.plan, &unit.bases, &feed.out_cursor, feed.rows, unit.space.elements)
