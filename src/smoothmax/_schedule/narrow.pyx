"""Narrow columns: they are few and long, and several of their rows fill the lanes of a tile.

The elements of c columns are one contiguous stretch. It is read as rows of W = lcm(c, lanes) elements. The partial sums
of these W columns are computed one tile at a time; then column j is merged into column j mod c. The last row is padded
with -inf.
"""

from libc.math cimport INFINITY

from smoothmax._kernels.interface cimport (
    ONE_ADDEND_A_ROW, ONE_ADDEND_EACH, Adjustment, Kernels, Load, State, clear,
)
from smoothmax._schedule.feed cimport Feed, Unit, away_of_elements
from smoothmax._schedule.plan cimport (
    ADDENDS, BOTH, ELEMENTS, MASK, RESULT, WEIGHTS, Plan, addends_of, are_neighbours, count, has_one_row_of_weights,
    has_one_weight_a_row, inner_shape, inner_stride, is_contiguous,
)
from smoothmax._schedule.scratch cimport adjust_elements, fill_masked_columns
from smoothmax._thresholds cimport NARROW_ADJUSTED_BYTES, NARROW_STAGED_ROWS, TILE_BLOCK_BYTES, TILE_COLUMNS


# Adjusting ------------------------------------------------------------------------------------------------------------

cdef inline bint is_dense_array_of_addends(const Plan *plan) noexcept nogil:
    """Whether each element has an addend of its own, and the addends lie in memory as the elements do."""
    cdef Py_ssize_t stride = inner_stride(&plan.kept, ADDENDS)
    return (plan.direct[ADDENDS] and stride == plan.itemsize
            and plan.reduced.stride[<int>ADDENDS][0] == inner_shape(&plan.kept)*stride)


cdef inline bint kernels_adjust_rows(const Plan *plan) noexcept nogil:
    """Whether kernels adjust whole rows where they lie (P45). Staging repeats addends of which each row has one."""
    return (plan.adjusted and plan.kernels.adjusts and plan.passes == BOTH
            and inner_shape(&plan.kept)*count(&plan.reduced, 0)*plan.itemsize <= NARROW_ADJUSTED_BYTES
            and plan.data[MASK] == NULL and plan.data[WEIGHTS] == NULL and is_contiguous(plan, &plan.kept, ELEMENTS)
            and (plan.data[ADDENDS] == NULL or plan.reduced.stride[<int>ADDENDS][0] == 0
                 or is_dense_array_of_addends(plan)))


cdef void start_adjustment(Feed *feed) noexcept nogil:
    """Say how the rows of a tile are adjusted. One row of addends, or one number, is loaded for all rows."""
    cdef const Plan *plan = feed.unit.plan
    cdef Adjustment *adjustment = &feed.adjustment
    adjustment.scale, adjustment.minus_zero = plan.element_scale, -0.0
    adjustment.addends, adjustment.addends_ld = NULL, 0
    adjustment.layout = addends_of(inner_stride(&plan.kept, ADDENDS))
    adjustment.staged = feed.unit.space.elements
    if plan.data[ADDENDS] == NULL:
        return
    if plan.reduced.stride[<int>ADDENDS][0]:
        adjustment.addends_ld = feed.width
    else:
        load_addends(feed, feed.first, 1 if adjustment.layout == ONE_ADDEND_A_ROW else feed.columns,
                     place_for_numbers(feed))
        adjustment.addends = place_for_numbers(feed)


# A feed of narrow columns ---------------------------------------------------------------------------------------------

cdef inline void start_narrow(Feed *feed, const Unit *unit, Py_ssize_t tile, Py_ssize_t first,
                              Py_ssize_t n) noexcept nogil:
    """Feed a tile of the columns' n elements from `first` on."""
    cdef Py_ssize_t columns = inner_shape(&unit.plan.kept)
    feed.unit = unit
    feed.width = unit.route.narrow_rows*columns
    feed.first = tile*TILE_COLUMNS
    feed.columns = min(feed.width - feed.first, TILE_COLUMNS)
    feed.done = first*columns
    feed.left = n*columns
    if kernels_adjust_rows(unit.plan):
        start_adjustment(feed)


cdef inline void advance_narrow(Feed *feed) noexcept nogil:
    cdef Py_ssize_t elements = min(feed.left, feed.rows*feed.width)
    feed.done += elements
    feed.left -= elements


cdef inline Py_ssize_t tiles_of(const Unit *unit) noexcept nogil:
    return (unit.route.narrow_rows*inner_shape(&unit.plan.kept) + TILE_COLUMNS - 1)//TILE_COLUMNS


cdef inline Py_ssize_t columns_in(const Feed *feed, Py_ssize_t row) noexcept nogil:
    """The number of the tile's columns that a row has. The last row may have fewer than the others, or none."""
    return max(0, min(feed.columns, feed.left - row*feed.width - feed.first))


cdef inline bint has_whole_rows(const Feed *feed) noexcept nogil:
    return feed.left >= feed.rows*feed.width


# Blocks --------------------------------------------------------------------------------------------------------------

cdef inline void pad_columns(const Plan *plan, char *row, Py_ssize_t used, Py_ssize_t width,
                             double value) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(used, width):
        if plan.itemsize == sizeof(double):
            (<double *>row)[j] = value
        else:
            (<float *>row)[j] = <float>value


cdef void stage_row_of_weights(Feed *feed, char *row) noexcept nogil:
    """Stage the row of weights, repeated for every row of the columns. Columns that do not exist get the weight 0."""
    cdef const Plan *plan = feed.unit.plan
    cdef Py_ssize_t columns = inner_shape(&plan.kept), used = min(feed.left, feed.width), j
    for j from 0 <= j < used by columns:
        plan.load_weights(feed.unit.bases.data[WEIGHTS], inner_stride(&plan.kept, WEIGHTS), columns,
                          plan.order[WEIGHTS], row + j*plan.itemsize)
    pad_columns(plan, row, used, feed.width, 0)
    feed.weights = row + feed.first*plan.itemsize
    feed.weights_ld = 0


cdef struct Numbers:
    # The numbers of a block, each for neighbouring columns.
    const void *first
    Py_ssize_t step             # numbers from one row of the block to the next
    Py_ssize_t begun            # columns that the first number has had in earlier tiles
    Py_ssize_t times            # columns of each number


cdef char *place_for_numbers(const Feed *feed) noexcept nogil:
    """The half of the scratch that is not used for elements."""
    return feed.unit.space.elements + NARROW_STAGED_ROWS*TILE_COLUMNS*feed.unit.plan.itemsize


cdef void numbers_of_rows(const Feed *feed, int role, Load load, Py_ssize_t used, Numbers *numbers) noexcept nogil:
    """Find the numbers of an array that has one for each row, or load them."""
    cdef const Plan *plan = feed.unit.plan
    cdef Py_ssize_t columns = inner_shape(&plan.kept), stride = plan.reduced.stride[role][0]
    numbers.first = feed.unit.bases.data[role] + (feed.done//columns + feed.first//columns)*stride
    numbers.step, numbers.begun, numbers.times = feed.unit.route.narrow_rows, feed.first % columns, columns
    if used and not (plan.direct[role] and stride == plan.itemsize):
        load(numbers.first, stride, (feed.rows - 1)*numbers.step + (numbers.begun + used - 1)//columns + 1,
             plan.order[role], place_for_numbers(feed))
        numbers.first = place_for_numbers(feed)


cdef void repeat_weights(const Feed *feed, char *weights) noexcept nogil:
    """Stage the weight of each row, repeated for each of its columns. Columns that do not exist get the weight 0."""
    cdef const Plan *plan = feed.unit.plan
    cdef Py_ssize_t used = columns_in(feed, 0)
    cdef Numbers numbers
    numbers_of_rows(feed, WEIGHTS, plan.load_weights, used, &numbers)
    plan.data_kernels.repeat(numbers.first, numbers.step, numbers.begun, numbers.times, feed.rows, used, weights)
    pad_columns(plan, weights, used, feed.columns, 0)


cdef void numbers_to_add(const Feed *feed, Numbers *numbers) noexcept nogil:
    """Find the addends of a block: one for each row of the array, one row for all, or one number for all or none."""
    cdef const Plan *plan = feed.unit.plan
    cdef Py_ssize_t stride = inner_stride(&plan.kept, ADDENDS), row_stride = plan.reduced.stride[<int>ADDENDS][0]
    if stride == 0 and row_stride:
        numbers_of_rows(feed, ADDENDS, plan.load_addends, feed.columns, numbers)
        return
    numbers.first, numbers.step, numbers.begun = place_for_numbers(feed), 0, 0
    if plan.data[ADDENDS] == NULL:
        numbers.times = TILE_COLUMNS
        pad_columns(plan, place_for_numbers(feed), 0, 1, -0.0)
    elif stride:
        numbers.times = 1
        load_addends(feed, feed.first, feed.columns, place_for_numbers(feed))
    else:
        numbers.times = TILE_COLUMNS
        load_addends(feed, feed.first, 1, place_for_numbers(feed))


cdef void load_addends(const Feed *feed, Py_ssize_t at, Py_ssize_t used, char *to) noexcept nogil:
    """Load the addends of `used` neighbouring elements from the element `at` on, with any strides."""
    cdef const Plan *plan = feed.unit.plan
    cdef Py_ssize_t columns = inner_shape(&plan.kept), stride = inner_stride(&plan.kept, ADDENDS), j = 0, column, part
    while j < used:
        column = (at + j) % columns
        part = min(columns - column, used - j)
        plan.load_addends(feed.unit.bases.data[ADDENDS] + column*stride
                          + (at + j)//columns*plan.reduced.stride[<int>ADDENDS][0], stride, part,
                          plan.order[ADDENDS], to + j*plan.itemsize)
        j += part


cdef void adjust_narrow(const Feed *feed, char *to) noexcept nogil:
    """Adjust the elements of a block into the scratch. Its rows are whole, unless it has only one."""
    cdef const Plan *plan = feed.unit.plan
    cdef const char *addends = feed.unit.bases.data[ADDENDS]
    cdef Py_ssize_t stride = inner_stride(&plan.kept, ADDENDS), row_stride = plan.reduced.stride[<int>ADDENDS][0]
    cdef Py_ssize_t step = feed.ld*plan.itemsize, to_step = TILE_COLUMNS*plan.itemsize, used = columns_in(feed, 0)
    cdef Py_ssize_t at = feed.done + feed.first, i
    cdef Numbers numbers
    if used == feed.columns and (addends == NULL or stride == 0 or row_stride == 0):
        numbers_to_add(feed, &numbers)
        plan.data_kernels.adjust_repeated(numbers.first, numbers.step, numbers.begun, numbers.times, feed.rows, used,
                                          feed.elements, step, plan.element_scale, to)
    elif addends == NULL or row_stride == inner_shape(&plan.kept)*stride:
        if addends != NULL:
            addends += at*stride
        adjust_elements(plan, feed.elements, step, addends, feed.width*stride, stride, feed.rows, used, 0, to, to_step)
    else:
        for i in range(feed.rows):
            load_addends(feed, at + i*feed.width, used, place_for_numbers(feed))
            plan.data_kernels.adjust(feed.elements + i*step, 0, place_for_numbers(feed), 0, ONE_ADDEND_EACH, 1, used,
                                     plan.element_scale, 0, to + i*to_step, 0)


cdef void stage_narrow(Feed *feed, char *elements, char *weights) noexcept nogil:
    """Stage the rows of the block. `weights` is NULL if there are none, or another function stages them."""
    cdef const Plan *plan = feed.unit.plan
    cdef Py_ssize_t stride = inner_stride(&plan.kept, ELEMENTS), weights_stride = inner_stride(&plan.kept, WEIGHTS)
    cdef Py_ssize_t i, at, used, step = TILE_COLUMNS*plan.itemsize
    if plan.load_rows != NULL and weights == NULL and has_whole_rows(feed) and are_neighbours(
            plan, &plan.kept, ELEMENTS):
        plan.load_rows(feed.unit.bases.data[ELEMENTS] + (feed.done + feed.first)*stride, feed.width*stride, feed.rows,
                       feed.columns, feed.rows*feed.width*stride, elements)
        return
    for i in range(feed.rows):
        at = feed.done + i*feed.width + feed.first
        used = columns_in(feed, i)
        plan.load(feed.unit.bases.data[ELEMENTS] + at*stride, stride, used, plan.order[ELEMENTS], elements + i*step)
        pad_columns(plan, elements + i*step, used, feed.columns, -INFINITY)
        if weights != NULL:
            plan.load_weights(feed.unit.bases.data[WEIGHTS] + at*weights_stride, weights_stride, used,
                              plan.order[WEIGHTS], weights + i*step)
            pad_columns(plan, weights + i*step, used, feed.columns, 0)


cdef inline Py_ssize_t staged_rows(const Plan *plan) noexcept nogil:
    """As many rows as a kernel takes at a time, so that they stay in L1 (P45)."""
    return NARROW_STAGED_ROWS if plan.data[WEIGHTS] != NULL else TILE_BLOCK_BYTES//(TILE_COLUMNS*plan.itemsize)


cdef void next_narrow_block(Feed *feed) noexcept nogil:
    """Make the block all whole rows where they lie, up to NARROW_STAGED_ROWS in the scratch, or the last row."""
    cdef const Unit *unit = feed.unit
    cdef const Plan *plan = unit.plan
    cdef char *elements = unit.space.elements
    cdef char *weights = unit.space.weights
    cdef const char *mask = unit.bases.data[MASK]
    cdef bint weighted = unit.bases.data[WEIGHTS] != NULL
    cdef bint one_row = weighted and has_one_row_of_weights(plan)
    cdef bint one_a_row = weighted and has_one_weight_a_row(plan)
    cdef bint one_an_element = weighted and not one_row and not one_a_row
    cdef bint in_place = is_contiguous(plan, &plan.kept, ELEMENTS) and (
        not one_an_element or is_contiguous(plan, &plan.kept, WEIGHTS))
    cdef Py_ssize_t at = feed.done + feed.first, step = TILE_COLUMNS*plan.itemsize
    feed.rows = feed.left//feed.width
    feed.elements, feed.ld = unit.bases.data[ELEMENTS] + at*plan.itemsize, feed.width
    feed.weights, feed.weights_ld = NULL, feed.width
    feed.away, feed.away_ld = 0, feed.ld
    if one_an_element:
        feed.weights = unit.bases.data[WEIGHTS] + at*plan.itemsize
    elif one_row:
        stage_row_of_weights(feed, weights)
    feed.of_block = NULL
    if feed.rows and kernels_adjust_rows(plan):
        feed.of_block = &feed.adjustment
        if feed.adjustment.addends_ld:
            feed.adjustment.addends = unit.bases.data[ADDENDS] + at*plan.itemsize
        return
    if feed.rows and in_place and mask == NULL and not one_a_row and not plan.adjusted:
        return
    in_place = in_place and feed.rows
    feed.rows = max(1, min(feed.rows, staged_rows(plan)))
    if are_neighbours(plan, &plan.kept, ELEMENTS):
        feed.away = away_of_elements(plan, unit.bases.data[ELEMENTS] + at*plan.element_bytes[ELEMENTS], 0, elements)
        feed.away_ld = feed.width*plan.element_bytes[ELEMENTS]//plan.itemsize
    if not in_place:
        stage_narrow(feed, elements, weights if one_an_element else NULL)
        feed.elements, feed.ld = elements, TILE_COLUMNS
        if one_an_element:
            feed.weights, feed.weights_ld = weights, TILE_COLUMNS
    if one_a_row:
        repeat_weights(feed, weights)
        feed.weights, feed.weights_ld = weights, TILE_COLUMNS
    if plan.adjusted:
        adjust_narrow(feed, elements)
        feed.elements, feed.ld = elements, TILE_COLUMNS
    if mask != NULL:
        mask += at
        plan.data_kernels.select(feed.elements, feed.ld*plan.itemsize, mask, feed.width, feed.rows,
                                 columns_in(feed, 0), -INFINITY, elements, step)
        feed.elements, feed.ld = elements, TILE_COLUMNS
        if one_an_element or one_a_row:
            plan.data_kernels.select(feed.weights, feed.weights_ld*plan.itemsize, mask, feed.width, feed.rows,
                                     columns_in(feed, 0), 0, weights, step)
            feed.weights, feed.weights_ld = weights, TILE_COLUMNS


# Passes --------------------------------------------------------------------------------------------------------------

cdef void reduce_narrow(const Unit *unit, const Kernels *kernels, Py_ssize_t first, Py_ssize_t n,
                        State *state) noexcept nogil:
    """Compute the partial sums of the columns' n elements from `first` on."""
    cdef Py_ssize_t columns = inner_shape(&unit.plan.kept), tile
    cdef State *of_lanes = unit.space.lanes
    cdef Feed feed
    clear(state, TILE_COLUMNS)
    for tile in range(tiles_of(unit)):
        start_narrow(&feed, unit, tile, first, n)
        clear(of_lanes, TILE_COLUMNS)
        while feed.left:
            next_narrow_block(&feed)
            of_lanes.away, of_lanes.away_ld, of_lanes.adjustment = feed.away, feed.away_ld, feed.of_block
            kernels.reduce_tile(of_lanes, feed.elements, feed.ld, feed.weights, feed.weights_ld, feed.rows,
                                feed.columns)
            advance_narrow(&feed)
        kernels.merge(state, of_lanes, feed.first, feed.columns, columns)


cdef void spread_normalizer(const State *state, Py_ssize_t columns, Py_ssize_t first, Py_ssize_t width,
                            State *of_lanes) noexcept nogil:
    """Copy the numbers that results need to every column of the tile."""
    cdef Py_ssize_t j, column
    for j in range(width):
        column = (first + j) % columns
        of_lanes.sum.partial.maximum[j] = state.sum.partial.maximum[column]
        of_lanes.normalizer.log_sum[j] = state.normalizer.log_sum[column]
        of_lanes.normalizer.log_sum_low[j] = state.normalizer.log_sum_low[column]
        of_lanes.normalizer.inverse[j] = state.normalizer.inverse[column]
        of_lanes.normalizer.inverse_low[j] = state.normalizer.inverse_low[column]
        of_lanes.normalizer.saturates_above[j] = state.normalizer.saturates_above[column]


cdef void write_narrow(const Unit *unit, Py_ssize_t first, Py_ssize_t n, const State *state) noexcept nogil:
    """Write the results of the columns' n elements from `first` on."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t columns = inner_shape(&plan.kept), stride = inner_stride(&plan.kept, RESULT), tile, i, out_ld
    cdef State *of_lanes = unit.space.lanes
    cdef Feed feed
    cdef char *destination
    cdef char *out
    cdef bint in_place
    for tile in range(tiles_of(unit)):
        start_narrow(&feed, unit, tile, first, n)
        spread_normalizer(state, columns, feed.first, feed.columns, of_lanes)
        while feed.left:
            next_narrow_block(&feed)
            in_place = is_contiguous(plan, &plan.kept, RESULT) and feed.left >= feed.width
            if not in_place:
                feed.rows = min(feed.rows, NARROW_STAGED_ROWS)
            destination = unit.bases.data[RESULT] + (feed.done + feed.first)*stride
            out = destination if in_place else unit.space.elements
            out_ld = feed.width if in_place else TILE_COLUMNS
            plan.kernels.write_tile(of_lanes, feed.elements, feed.ld, NULL, 0, feed.rows, feed.columns, out, out_ld, 0,
                                    feed.of_block)
            if unit.bases.data[MASK] != NULL:
                fill_masked_columns(plan, unit.bases.data[MASK] + feed.done + feed.first, feed.width, feed.rows,
                                    columns_in(&feed, 0), out, out_ld*plan.itemsize)
            if not in_place and plan.store_rows != NULL and has_whole_rows(&feed) and are_neighbours(
                    plan, &plan.kept, RESULT):
                plan.store_rows(out, feed.rows, feed.columns, destination, feed.width*stride)
            elif not in_place:
                for i in range(feed.rows):
                    plan.store(out + i*TILE_COLUMNS*plan.itemsize, columns_in(&feed, i),
                               destination + i*feed.width*stride, stride, plan.order[RESULT])
            advance_narrow(&feed)
