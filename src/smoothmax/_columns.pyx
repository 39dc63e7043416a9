"""Few columns, reduced along a long axis: several of their rows side by side fill the lanes of a tile.

The elements of c columns are one run of memory. It is read as rows of W = lcm(c, LANES) elements, whose states are
reduced as those of W columns and then merged, j into j mod c. The last row is filled up with -inf. A mask must lie as
the elements do, and weights too or be one for each column.
"""

from libc.math cimport INFINITY

from smoothmax._gather cimport leave_out_of_run
from smoothmax._kernels.table cimport COLUMNS, Kernels, State, clear
from smoothmax._plan cimport (
    ELEMENTS, MASK, RESULT, WEIGHTS, Bases, Plan, count, inner_shape, inner_stride, is_run, lesser,
)

cdef enum:
    LANES = 32              # a multiple of those of every kernel
    ENOUGH = 2048           # elements of all columns together for which merging pays
    BLOCK_ROWS = 64         # that the kernels reduce together, or a multiple: bits must not depend on what lies where


cdef inline bint is_dense(const Plan *plan, int role) noexcept nogil:
    """Whether nothing lies between the rows of an array, or it is not there."""
    return plan.data[role] == NULL or (
        plan.reduced.stride[role][0] == inner_shape(&plan.kept)*inner_stride(&plan.kept, role))


cdef inline bint is_one_row(const Plan *plan, int role) noexcept nogil:
    return plan.reduced.stride[role][0] == 0


cdef Py_ssize_t rows_abreast(const Plan *plan) noexcept nogil:
    """W/c, or 0 where it is not so that every array is one run of several rows."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), n = count(&plan.reduced, 0), width = LANES
    cdef bint transforms = plan.kernels.write_tile != NULL
    if plan.reduced.ndim != 1 or columns >= COLUMNS or columns < 2 or columns*n < ENOUGH:
        return 0
    if not is_dense(plan, ELEMENTS) or transforms and not is_dense(plan, RESULT):
        return 0
    if plan.data[MASK] != NULL and not (is_dense(plan, MASK) and inner_stride(&plan.kept, MASK) == 1):
        return 0
    # Of weights, those of logsumexp: what losses and gradients make of theirs is in no merged state.
    if plan.data[WEIGHTS] != NULL and (
            transforms or plan.is_loss or not is_dense(plan, WEIGHTS) and (
                not is_one_row(plan, WEIGHTS) or plan.data[MASK] != NULL)):
        return 0
    while width % columns:
        width += LANES
    return width//columns


cdef Py_ssize_t scratch_for_columns(const Plan *plan, Py_ssize_t abreast) noexcept nogil:
    return BLOCK_ROWS*abreast*inner_shape(&plan.kept)


cdef inline void fill_up(const Plan *plan, char *row, Py_ssize_t used, Py_ssize_t width, double value) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(used, width):
        if plan.itemsize == sizeof(double):
            (<double *>row)[j] = value
        else:
            (<float *>row)[j] = <float>value


cdef struct Run:
    # Part of the run: full rows where they lie, or any, the last one filled up, in the scratch.
    const char *rows
    const char *weights
    Py_ssize_t weights_ld
    Py_ssize_t count
    Py_ssize_t elements


cdef void repeat_row(const Plan *plan, const char *weights, Py_ssize_t used, Py_ssize_t width,
                     char *row) noexcept nogil:
    """One row of weights again and again for `used` elements, 0 for those that only fill up."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), j
    for j from 0 <= j < used by columns:
        plan.load_weights(weights, inner_stride(&plan.kept, WEIGHTS), columns, plan.swapped[WEIGHTS],
                          row + j*plan.itemsize)
    fill_up(plan, row, used, width, 0)


cdef void next_run(const Plan *plan, const Bases *bases, Py_ssize_t width, Py_ssize_t done, Py_ssize_t left,
                   char *scratch, Run *run) noexcept nogil:
    cdef Py_ssize_t stride = inner_stride(&plan.kept, ELEMENTS), weights_stride = inner_stride(&plan.kept, WEIGHTS)
    cdef const char *source = bases.data[ELEMENTS] + done*stride
    cdef const char *weights = bases.data[WEIGHTS]
    cdef const char *mask = bases.data[MASK]
    cdef char *room = scratch + BLOCK_ROWS*width*plan.itemsize
    cdef bint one_row = weights != NULL and is_one_row(plan, WEIGHTS)
    if weights != NULL and not one_row:
        weights += done*weights_stride
    run.count = left//width
    run.elements = run.count*width
    run.weights_ld = 0 if one_row else width
    if one_row:
        repeat_row(plan, weights, lesser(left, width), width, room)
    if run.count and mask == NULL and is_run(plan, &plan.kept, ELEMENTS) and (
            one_row or is_run(plan, &plan.kept, WEIGHTS)):
        run.rows, run.weights = source, room if one_row else weights
        return
    run.count = max(1, lesser(run.count, BLOCK_ROWS))
    run.elements = lesser(left, run.count*width)
    run.rows, run.weights = scratch, NULL
    if mask != NULL and is_run(plan, &plan.kept, ELEMENTS):
        plan.moves.select(source, 0, mask + done, 0, 1, run.elements, -INFINITY, scratch, 0)
    else:
        plan.load(source, stride, run.elements, plan.swapped[ELEMENTS], scratch)
        if mask != NULL:
            plan.moves.select(scratch, 0, mask + done, 0, 1, run.elements, -INFINITY, scratch, 0)
    fill_up(plan, scratch, run.elements, run.count*width, -INFINITY)
    if one_row:
        run.weights = room
    elif weights != NULL:
        run.weights = room
        plan.load_weights(weights, weights_stride, run.elements, plan.swapped[WEIGHTS], room)
        if mask != NULL:
            plan.moves.select(room, 0, mask + done, 0, 1, run.elements, 0, room, 0)
        fill_up(plan, room, run.elements, run.count*width, 0)


cdef void reduce_columns(const Plan *plan, const Kernels *kernels, const Bases *bases, Py_ssize_t abreast,
                         Py_ssize_t first, Py_ssize_t n, State *state, char *scratch) noexcept nogil:
    """The states of the columns' n elements from `first` on."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), width = abreast*columns, tile, wide, left, done
    cdef State part
    cdef Run run
    cdef const char *weights
    clear(state, COLUMNS)
    for tile in range((width + COLUMNS - 1)//COLUMNS):
        wide = lesser(width - tile*COLUMNS, COLUMNS)
        clear(&part, COLUMNS)
        done = first*columns
        left = n*columns
        while left:
            next_run(plan, bases, width, done, left, scratch, &run)
            weights = run.weights + tile*COLUMNS*plan.itemsize if run.weights != NULL else NULL
            kernels.reduce_tile(&part, run.rows + tile*COLUMNS*plan.itemsize, width, weights, run.weights_ld, run.count,
                                wide)
            done += run.elements
            left -= run.elements
        kernels.merge(state, &part, tile*COLUMNS, wide, columns)


cdef void spread_state(const State *state, Py_ssize_t columns, Py_ssize_t first, Py_ssize_t wide,
                       State *part) noexcept nogil:
    cdef Py_ssize_t j, of
    for j in range(wide):
        of = (first + j) % columns
        part.top[j] = state.top[of]
        part.log_sum[j] = state.log_sum[of]
        part.log_sum_low[j] = state.log_sum_low[of]
        part.inverse[j] = state.inverse[of]
        part.inverse_low[j] = state.inverse_low[of]
        part.one_above[j] = state.one_above[of]


cdef void write_columns(const Plan *plan, const Bases *bases, Py_ssize_t abreast, Py_ssize_t first, Py_ssize_t n,
                        const State *state, char *scratch) noexcept nogil:
    """The second pass over the columns' n elements from `first` on."""
    cdef Py_ssize_t columns = inner_shape(&plan.kept), width = abreast*columns, tile, wide, at
    cdef Py_ssize_t done = first*columns, left = n*columns, stride = inner_stride(&plan.kept, RESULT)
    cdef State part
    cdef Run run
    cdef char *target
    cdef bint direct
    while left:
        next_run(plan, bases, width, done, left, scratch, &run)
        direct = is_run(plan, &plan.kept, RESULT) and run.elements == run.count*width
        if not direct:
            run.count = lesser(run.count, BLOCK_ROWS)
            run.elements = lesser(run.elements, run.count*width)
        target = bases.data[RESULT] + done*stride if direct else scratch
        for tile in range((width + COLUMNS - 1)//COLUMNS):
            wide = lesser(width - tile*COLUMNS, COLUMNS)
            at = tile*COLUMNS*plan.itemsize
            spread_state(state, columns, tile*COLUMNS, wide, &part)
            plan.kernels.write_tile(&part, run.rows + at, width, NULL, 0, run.count, wide, target + at, width)
        if bases.data[MASK] != NULL:
            leave_out_of_run(plan, bases.data[MASK] + done, run.elements, columns, target)
        if not direct:
            plan.store(scratch, run.elements, bases.data[RESULT] + done*stride, stride, plan.swapped[RESULT])
        done += run.elements
        left -= run.elements
