"""Few columns, reduced along a long axis: several of their rows side by side fill the lanes of a tile.

The elements of c columns are one run of memory. It is read as rows of W = lcm(c, lanes) elements, whose states are
reduced as those of W columns, a tile at a time, and then merged, j into j mod c. The last row is filled up with -inf. A
mask must lie as the elements do, and weights too or be one for each column, or one for each row of the columns.
"""

from libc.math cimport INFINITY

from smoothmax._schedule.scratch cimport SCRATCH, leave_out_of_columns
from smoothmax._kernels.interface cimport Kernels, State, clear
from smoothmax._schedule.plan cimport (
    ELEMENTS, MASK, RESULT, WEIGHTS, Bases, Plan, count, inner_shape, inner_stride, is_run, lesser,
)
from smoothmax._thresholds cimport LANE_BYTES, TILE_COLUMNS

cdef enum:
    ENOUGH = 2048           # elements of all columns together for which merging pays
    BLOCK_ROWS = 64         # that the kernels reduce together, or a multiple: bits must not depend on what lies where


cdef inline bint is_dense(const Plan *plan, int role) noexcept nogil:
    """Whether nothing lies between the rows of an array, or it is not there."""
    return plan.data[role] == NULL or (
        plan.reduced.stride[role][0] == inner_shape(&plan.kept)*inner_stride(&plan.kept, role))


cdef inline bint is_one_row(const Plan *plan, int role) noexcept nogil:
    return plan.reduced.stride[role][0] == 0


cdef inline bint is_one_column(const Plan *plan, int role) noexcept nogil:
    return inner_stride(&plan.kept, role) == 0 and not is_one_row(plan, role)


cdef Py_ssize_t rows_abreast(const Plan *plan) noexcept nogil:
    """W/c, or 0 where it is not so that every array is one run of several rows."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), n = count(&plan.reduced, 0)
    cdef Py_ssize_t lanes = LANE_BYTES//plan.itemsize, width = lanes
    cdef bint transforms = plan.kernels.write_tile != NULL
    if plan.reduced.ndim != 1 or columns >= TILE_COLUMNS or columns < 2 or columns*n < ENOUGH:
        return 0
    if not is_dense(plan, ELEMENTS) or transforms and not is_dense(plan, RESULT):
        return 0
    if plan.data[MASK] != NULL and not (is_dense(plan, MASK) and inner_stride(&plan.kept, MASK) == 1):
        return 0
    # Of weights, those of logsumexp: what losses and gradients make of theirs is in no merged state.
    if plan.data[WEIGHTS] != NULL and (
            transforms or plan.is_loss or not (is_dense(plan, WEIGHTS) or is_one_column(plan, WEIGHTS)) and (
                not is_one_row(plan, WEIGHTS) or plan.data[MASK] != NULL)):
        return 0
    while width % columns:
        width += lanes
    return width//columns


cdef inline void fill_up(const Plan *plan, char *row, Py_ssize_t used, Py_ssize_t width, double value) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(used, width):
        if plan.itemsize == sizeof(double):
            (<double *>row)[j] = value
        else:
            (<float *>row)[j] = <float>value


cdef struct Part:
    # Of the run: some columns, `first` and on, of rows of `width` elements; of the last row only those that there are.
    Py_ssize_t width
    Py_ssize_t first
    Py_ssize_t wide
    Py_ssize_t done             # elements of all columns before the first row,
    Py_ssize_t left             # and from there on
    # What a kernel takes: so many rows where they lie, or brought together.
    Py_ssize_t rows
    const char *elements
    Py_ssize_t ld
    const char *weights
    Py_ssize_t weights_ld


cdef inline Py_ssize_t columns_in(const Part *part, Py_ssize_t row) noexcept nogil:
    """How many of the columns a row has."""
    return max(0, lesser(part.wide, part.left - row*part.width - part.first))


cdef void take_row_of_weights(const Plan *plan, const Bases *bases, Part *part, char *row) noexcept nogil:
    """One row of weights again and again, 0 for columns that are not there."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), used = lesser(part.left, part.width), j
    for j from 0 <= j < used by columns:
        plan.load_weights(bases.data[WEIGHTS], inner_stride(&plan.kept, WEIGHTS), columns, plan.swapped[WEIGHTS],
                          row + j*plan.itemsize)
    fill_up(plan, row, used, part.width, 0)
    part.weights = row + part.first*plan.itemsize
    part.weights_ld = 0


cdef void repeat_weights(const Plan *plan, const Bases *bases, const Part *part, char *weights) noexcept nogil:
    """One weight for all columns of their row."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), stride = plan.reduced.stride[WEIGHTS][0]
    cdef Py_ssize_t i, j, at, used, row, end
    cdef char *to
    cdef double some[TILE_COLUMNS]
    for i in range(part.rows):
        at = part.done + i*part.width + part.first
        used, row, j = columns_in(part, i), 0, 0
        to = weights + i*TILE_COLUMNS*plan.itemsize
        end = columns - at % columns            # of the columns that the first weight is for
        plan.load_weights(bases.data[WEIGHTS] + at//columns*stride, stride, (used - end + columns - 1)//columns + 1,
                          plan.swapped[WEIGHTS], some)
        while j < used:
            end = lesser(end, used)
            if plan.itemsize == sizeof(double):
                fill_up(plan, to, j, end, some[row])
            else:
                fill_up(plan, to, j, end, (<const float *>some)[row])
            j = end
            end += columns
            row += 1
        fill_up(plan, to, used, part.wide, 0)


cdef void bring_together(const Plan *plan, const Bases *bases, Part *part, char *tile, char *weights) noexcept nogil:
    cdef Py_ssize_t stride = inner_stride(&plan.kept, ELEMENTS), weights_stride = inner_stride(&plan.kept, WEIGHTS)
    cdef Py_ssize_t i, at, used, step = TILE_COLUMNS*plan.itemsize
    for i in range(part.rows):
        at = part.done + i*part.width + part.first
        used = columns_in(part, i)
        plan.load(bases.data[ELEMENTS] + at*stride, stride, used, plan.swapped[ELEMENTS], tile + i*step)
        fill_up(plan, tile + i*step, used, part.wide, -INFINITY)
        if weights != NULL:
            plan.load_weights(bases.data[WEIGHTS] + at*weights_stride, weights_stride, used, plan.swapped[WEIGHTS],
                              weights + i*step)
            fill_up(plan, weights + i*step, used, part.wide, 0)


cdef void next_rows(const Plan *plan, const Bases *bases, Part *part, char *scratch) noexcept nogil:
    cdef char *weights = scratch + SCRATCH*plan.itemsize
    cdef const char *mask = bases.data[MASK]
    cdef bint one_row = bases.data[WEIGHTS] != NULL and is_one_row(plan, WEIGHTS)
    cdef bint one_column = bases.data[WEIGHTS] != NULL and is_one_column(plan, WEIGHTS)
    cdef bint weighted = bases.data[WEIGHTS] != NULL and not one_row and not one_column
    cdef bint direct = is_run(plan, &plan.kept, ELEMENTS) and (not weighted or is_run(plan, &plan.kept, WEIGHTS))
    cdef Py_ssize_t at = part.done + part.first, step = TILE_COLUMNS*plan.itemsize
    part.rows = part.left//part.width
    part.elements, part.ld = bases.data[ELEMENTS] + at*plan.itemsize, part.width
    part.weights, part.weights_ld = NULL, part.width
    if weighted:
        part.weights = bases.data[WEIGHTS] + at*plan.itemsize
    elif one_row:
        take_row_of_weights(plan, bases, part, weights)
    if part.rows and direct and mask == NULL and not one_column:
        return
    direct = direct and part.rows
    part.rows = max(1, lesser(part.rows, BLOCK_ROWS))
    if not direct:
        bring_together(plan, bases, part, scratch, weights if weighted else NULL)
        part.elements, part.ld = scratch, TILE_COLUMNS
        if weighted:
            part.weights, part.weights_ld = weights, TILE_COLUMNS
    if one_column:
        repeat_weights(plan, bases, part, weights)
        part.weights, part.weights_ld = weights, TILE_COLUMNS
    if mask != NULL:
        mask += at
        plan.data_kernels.select(part.elements, part.ld*plan.itemsize, mask, part.width, part.rows,
                                 columns_in(part, 0), -INFINITY, scratch, step)
        part.elements, part.ld = scratch, TILE_COLUMNS
        if weighted or one_column:
            plan.data_kernels.select(part.weights, part.weights_ld*plan.itemsize, mask, part.width, part.rows,
                                     columns_in(part, 0), 0, weights, step)
            part.weights, part.weights_ld = weights, TILE_COLUMNS


cdef inline void begin(Part *part, Py_ssize_t columns, Py_ssize_t abreast, Py_ssize_t tile, Py_ssize_t first,
                       Py_ssize_t n) noexcept nogil:
    """The part of a tile, of the columns' n elements from `first` on."""
    part.width = abreast*columns
    part.first = tile*TILE_COLUMNS
    part.wide = lesser(part.width - part.first, TILE_COLUMNS)
    part.done = first*columns
    part.left = n*columns


cdef inline void go_on(Part *part) noexcept nogil:
    cdef Py_ssize_t elements = lesser(part.left, part.rows*part.width)
    part.done += elements
    part.left -= elements


cdef inline Py_ssize_t tiles_of(Py_ssize_t width) noexcept nogil:
    return (width + TILE_COLUMNS - 1)//TILE_COLUMNS


cdef void reduce_columns(const Plan *plan, const Kernels *kernels, const Bases *bases, Py_ssize_t abreast,
                         Py_ssize_t first, Py_ssize_t n, State *state, char *scratch) noexcept nogil:
    """The states of the columns' n elements from `first` on."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), tile
    cdef State of_part
    cdef Part part
    clear(state, TILE_COLUMNS)
    for tile in range(tiles_of(abreast*columns)):
        begin(&part, columns, abreast, tile, first, n)
        clear(&of_part, TILE_COLUMNS)
        while part.left:
            next_rows(plan, bases, &part, scratch)
            kernels.reduce_tile(&of_part, part.elements, part.ld, part.weights, part.weights_ld, part.rows, part.wide)
            go_on(&part)
        kernels.merge(state, &of_part, part.first, part.wide, columns)


cdef void spread_state(const State *state, Py_ssize_t columns, Py_ssize_t first, Py_ssize_t wide,
                       State *part) noexcept nogil:
    cdef Py_ssize_t j, of
    for j in range(wide):
        of = (first + j) % columns
        part.sum.maximum[j] = state.sum.maximum[of]
        part.normalizer.log_sum[j] = state.normalizer.log_sum[of]
        part.normalizer.log_sum_low[j] = state.normalizer.log_sum_low[of]
        part.normalizer.inverse[j] = state.normalizer.inverse[of]
        part.normalizer.inverse_low[j] = state.normalizer.inverse_low[of]
        part.normalizer.saturates_above[j] = state.normalizer.saturates_above[of]


cdef void write_columns(const Plan *plan, const Bases *bases, Py_ssize_t abreast, Py_ssize_t first, Py_ssize_t n,
                        const State *state, char *scratch) noexcept nogil:
    """The second pass over the columns' n elements from `first` on."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), stride = inner_stride(&plan.kept, RESULT), tile, i, out_ld
    cdef State of_part
    cdef Part part
    cdef char *out
    cdef char *target
    cdef bint direct
    for tile in range(tiles_of(abreast*columns)):
        begin(&part, columns, abreast, tile, first, n)
        spread_state(state, columns, part.first, part.wide, &of_part)
        while part.left:
            next_rows(plan, bases, &part, scratch)
            direct = is_run(plan, &plan.kept, RESULT) and part.left >= part.width
            if not direct:
                part.rows = lesser(part.rows, BLOCK_ROWS)
            out = bases.data[RESULT] + (part.done + part.first)*stride
            target = out if direct else scratch
            out_ld = part.width if direct else TILE_COLUMNS
            plan.kernels.write_tile(&of_part, part.elements, part.ld, NULL, 0, part.rows, part.wide, target, out_ld, 0)
            if bases.data[MASK] != NULL:
                leave_out_of_columns(plan, bases.data[MASK] + part.done + part.first, part.width, part.rows,
                                     columns_in(&part, 0), target, out_ld*plan.itemsize)
            if not direct:
                for i in range(part.rows):
                    plan.store(scratch + i*TILE_COLUMNS*plan.itemsize, columns_in(&part, i), out + i*part.width*stride,
                               stride, plan.swapped[RESULT])
            go_on(&part)
