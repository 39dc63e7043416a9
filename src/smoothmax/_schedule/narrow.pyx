"""Narrow columns: they are few and long, and several of their rows fill the lanes of a tile.

The elements of c columns are one contiguous stretch. It is read as rows of W = lcm(c, lanes) elements. The partial sums
of these W columns are computed a tile at a time, and then column j is merged into column j mod c. The last row is
padded with -inf.
"""

from libc.math cimport INFINITY

from smoothmax._kernels.interface cimport Kernels, State, clear
from smoothmax._schedule.feed cimport Unit
from smoothmax._schedule.plan cimport (
    ELEMENTS, MASK, RESULT, WEIGHTS, Plan, has_one_row_of_weights, has_one_weight_a_row, inner_shape, inner_stride,
    is_contiguous,
)
from smoothmax._schedule.scratch cimport fill_masked_columns
from smoothmax._thresholds cimport NARROW_STAGED_ROWS, TILE_COLUMNS


cdef struct Part:
    # One tile of the stretch: `columns` columns from `first` on, of rows of `width` elements.
    const Unit *unit
    Py_ssize_t width
    Py_ssize_t first
    Py_ssize_t columns
    Py_ssize_t done             # elements of all columns that lie before the block, and
    Py_ssize_t left             # those from the block on
    # The block. Its last row may have fewer columns.
    Py_ssize_t rows
    const char *elements
    Py_ssize_t ld
    const char *weights
    Py_ssize_t weights_ld


cdef inline void start_part(Part *part, const Unit *unit, Py_ssize_t tile, Py_ssize_t first,
                            Py_ssize_t n) noexcept nogil:
    """Set the part to a tile of the columns' n elements from `first` on."""
    cdef Py_ssize_t columns = inner_shape(&unit.plan.kept)
    part.unit = unit
    part.width = unit.route.narrow_rows*columns
    part.first = tile*TILE_COLUMNS
    part.columns = min(part.width - part.first, TILE_COLUMNS)
    part.done = first*columns
    part.left = n*columns


cdef inline void advance_part(Part *part) noexcept nogil:
    cdef Py_ssize_t elements = min(part.left, part.rows*part.width)
    part.done += elements
    part.left -= elements


cdef inline Py_ssize_t tiles_of(const Unit *unit) noexcept nogil:
    return (unit.route.narrow_rows*inner_shape(&unit.plan.kept) + TILE_COLUMNS - 1)//TILE_COLUMNS


cdef inline Py_ssize_t columns_in(const Part *part, Py_ssize_t row) noexcept nogil:
    """How many of the tile's columns a row has: the last row may have fewer, or none."""
    return max(0, min(part.columns, part.left - row*part.width - part.first))


# Blocks --------------------------------------------------------------------------------------------------------------

cdef inline void pad(const Plan *plan, char *row, Py_ssize_t used, Py_ssize_t width, double value) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(used, width):
        if plan.itemsize == sizeof(double):
            (<double *>row)[j] = value
        else:
            (<float *>row)[j] = <float>value


cdef void stage_row_of_weights(Part *part, char *row) noexcept nogil:
    """Stage the row of weights, repeated for every row of the columns. Absent columns get a weight of 0."""
    cdef const Plan *plan = part.unit.plan
    cdef Py_ssize_t columns = inner_shape(&plan.kept), used = min(part.left, part.width), j
    for j from 0 <= j < used by columns:
        plan.load_weights(part.unit.bases.data[WEIGHTS], inner_stride(&plan.kept, WEIGHTS), columns,
                          plan.swapped[WEIGHTS], row + j*plan.itemsize)
    pad(plan, row, used, part.width, 0)
    part.weights = row + part.first*plan.itemsize
    part.weights_ld = 0


cdef void repeat_weights(const Part *part, char *weights) noexcept nogil:
    """Stage the weight of each row once for each of its columns."""
    cdef const Plan *plan = part.unit.plan
    cdef Py_ssize_t columns = inner_shape(&plan.kept), stride = plan.reduced.stride[<int>WEIGHTS][0]
    cdef Py_ssize_t i, j, at, used, row, end
    cdef char *to
    cdef double some[TILE_COLUMNS]
    for i in range(part.rows):
        at = part.done + i*part.width + part.first
        used, row, j = columns_in(part, i), 0, 0
        to = weights + i*TILE_COLUMNS*plan.itemsize
        end = columns - at % columns            # of the columns that the first weight is for
        if used:                                # a row without columns has no weight either
            plan.load_weights(part.unit.bases.data[WEIGHTS] + at//columns*stride, stride,
                              max(0, used - end + columns - 1)//columns + 1, plan.swapped[WEIGHTS], some)
        while j < used:
            end = min(end, used)
            if plan.itemsize == sizeof(double):
                pad(plan, to, j, end, some[row])
            else:
                pad(plan, to, j, end, (<const float *>some)[row])
            j = end
            end += columns
            row += 1
        pad(plan, to, used, part.columns, 0)


cdef void stage_part(Part *part, char *elements, char *weights) noexcept nogil:
    """Stage the rows of the block. `weights` is NULL if there are none, or another function stages them."""
    cdef const Plan *plan = part.unit.plan
    cdef Py_ssize_t stride = inner_stride(&plan.kept, ELEMENTS), weights_stride = inner_stride(&plan.kept, WEIGHTS)
    cdef Py_ssize_t i, at, used, step = TILE_COLUMNS*plan.itemsize
    for i in range(part.rows):
        at = part.done + i*part.width + part.first
        used = columns_in(part, i)
        plan.load(part.unit.bases.data[ELEMENTS] + at*stride, stride, used, plan.swapped[ELEMENTS], elements + i*step)
        pad(plan, elements + i*step, used, part.columns, -INFINITY)
        if weights != NULL:
            plan.load_weights(part.unit.bases.data[WEIGHTS] + at*weights_stride, weights_stride, used,
                              plan.swapped[WEIGHTS], weights + i*step)
            pad(plan, weights + i*step, used, part.columns, 0)


cdef void next_rows(Part *part) noexcept nogil:
    """Set the block to all whole rows where they lie, to NARROW_STAGED_ROWS or fewer in the scratch, or to the last."""
    cdef const Unit *unit = part.unit
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
    cdef Py_ssize_t at = part.done + part.first, step = TILE_COLUMNS*plan.itemsize
    part.rows = part.left//part.width
    part.elements, part.ld = unit.bases.data[ELEMENTS] + at*plan.itemsize, part.width
    part.weights, part.weights_ld = NULL, part.width
    if one_an_element:
        part.weights = unit.bases.data[WEIGHTS] + at*plan.itemsize
    elif one_row:
        stage_row_of_weights(part, weights)
    if part.rows and in_place and mask == NULL and not one_a_row:
        return
    in_place = in_place and part.rows
    part.rows = max(1, min(part.rows, NARROW_STAGED_ROWS))
    if not in_place:
        stage_part(part, elements, weights if one_an_element else NULL)
        part.elements, part.ld = elements, TILE_COLUMNS
        if one_an_element:
            part.weights, part.weights_ld = weights, TILE_COLUMNS
    if one_a_row:
        repeat_weights(part, weights)
        part.weights, part.weights_ld = weights, TILE_COLUMNS
    if mask != NULL:
        mask += at
        plan.data_kernels.select(part.elements, part.ld*plan.itemsize, mask, part.width, part.rows,
                                 columns_in(part, 0), -INFINITY, elements, step)
        part.elements, part.ld = elements, TILE_COLUMNS
        if one_an_element or one_a_row:
            plan.data_kernels.select(part.weights, part.weights_ld*plan.itemsize, mask, part.width, part.rows,
                                     columns_in(part, 0), 0, weights, step)
            part.weights, part.weights_ld = weights, TILE_COLUMNS


# Passes --------------------------------------------------------------------------------------------------------------

cdef void reduce_narrow(const Unit *unit, const Kernels *kernels, Py_ssize_t first, Py_ssize_t n,
                        State *state) noexcept nogil:
    """Compute the partial sums of the columns' n elements from `first` on."""
    cdef Py_ssize_t columns = inner_shape(&unit.plan.kept), tile
    cdef State *of_part = unit.space.part
    cdef Part part
    clear(state, TILE_COLUMNS)
    for tile in range(tiles_of(unit)):
        start_part(&part, unit, tile, first, n)
        clear(of_part, TILE_COLUMNS)
        while part.left:
            next_rows(&part)
            kernels.reduce_tile(of_part, part.elements, part.ld, part.weights, part.weights_ld, part.rows,
                                part.columns)
            advance_part(&part)
        kernels.merge(state, of_part, part.first, part.columns, columns)


cdef void spread_normalizer(const State *state, Py_ssize_t columns, Py_ssize_t first, Py_ssize_t width,
                            State *of_part) noexcept nogil:
    """Give every column of the tile what the results of its reduction need."""
    cdef Py_ssize_t j, column
    for j in range(width):
        column = (first + j) % columns
        of_part.sum.maximum[j] = state.sum.maximum[column]
        of_part.normalizer.log_sum[j] = state.normalizer.log_sum[column]
        of_part.normalizer.log_sum_low[j] = state.normalizer.log_sum_low[column]
        of_part.normalizer.inverse[j] = state.normalizer.inverse[column]
        of_part.normalizer.inverse_low[j] = state.normalizer.inverse_low[column]
        of_part.normalizer.saturates_above[j] = state.normalizer.saturates_above[column]


cdef void write_narrow(const Unit *unit, Py_ssize_t first, Py_ssize_t n, const State *state) noexcept nogil:
    """Write the results of the columns' n elements from `first` on."""
    cdef const Plan *plan = unit.plan
    cdef Py_ssize_t columns = inner_shape(&plan.kept), stride = inner_stride(&plan.kept, RESULT), tile, i, out_ld
    cdef State *of_part = unit.space.part
    cdef Part part
    cdef char *destination
    cdef char *out
    cdef bint in_place
    for tile in range(tiles_of(unit)):
        start_part(&part, unit, tile, first, n)
        spread_normalizer(state, columns, part.first, part.columns, of_part)
        while part.left:
            next_rows(&part)
            in_place = is_contiguous(plan, &plan.kept, RESULT) and part.left >= part.width
            if not in_place:
                part.rows = min(part.rows, NARROW_STAGED_ROWS)
            destination = unit.bases.data[RESULT] + (part.done + part.first)*stride
            out = destination if in_place else unit.space.elements
            out_ld = part.width if in_place else TILE_COLUMNS
            plan.kernels.write_tile(of_part, part.elements, part.ld, NULL, 0, part.rows, part.columns, out, out_ld, 0)
            if unit.bases.data[MASK] != NULL:
                fill_masked_columns(plan, unit.bases.data[MASK] + part.done + part.first, part.width, part.rows,
                                    columns_in(&part, 0), out, out_ld*plan.itemsize)
            if not in_place:
                for i in range(part.rows):
                    plan.store(out + i*TILE_COLUMNS*plan.itemsize, columns_in(&part, i),
                               destination + i*part.width*stride, stride, plan.swapped[RESULT])
            advance_part(&part)
