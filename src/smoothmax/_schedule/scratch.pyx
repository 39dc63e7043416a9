"""Bring elements together in a scratch that kernels can take, and take results from there.

This is for everything but contiguous, aligned elements of the right type: strides, byte orders, other types, masks, the
short end of a tile.
"""

from libc.math cimport INFINITY
from libc.string cimport memset

from smoothmax._schedule.plan cimport (
    ELEMENTS, FACTORS, MASK, RESULT, WEIGHTS, Axes, Bases, Cursor, Plan, advance, inner_stride, is_run, lesser,
    run_length,
)
from smoothmax._thresholds cimport TILE_COLUMNS

cdef enum:
    PACKED = 512                # elements of a mask brought together at a time


cdef void select(const Plan *plan, const char *values, Py_ssize_t step, const char *mask, Py_ssize_t mask_step,
                 Py_ssize_t mask_stride, Py_ssize_t rows, Py_ssize_t n, double fill, char *to,
                 Py_ssize_t to_step) noexcept nogil:
    """Values where the mask is True, `fill` elsewhere; a mask's rows are brought together first if they are no runs."""
    cdef char packed[PACKED]
    cdef Py_ssize_t i, _row, at, done, part
    if mask_stride == 1:
        plan.data_kernels.select(values, step, mask, mask_step, rows, n, fill, to, to_step)
        return
    for _row in range(rows):
        done = 0
        while done < n:
            part = lesser(n - done, PACKED)
            for i in range(part):
                packed[i] = mask[(done + i)*mask_stride]
            at = done*plan.itemsize
            plan.data_kernels.select(values + at, step, packed, 0, 1, part, fill, to + at, to_step)
            done += part
        values += step
        mask += mask_step
        to += to_step


cdef void blend(const Plan *plan, const char *factors, Py_ssize_t stride, Py_ssize_t n, char *weights) noexcept nogil:
    """Make of n weights what the plan wants them to be; factors are brought together first."""
    cdef double packed[PACKED]
    cdef Py_ssize_t done = 0, part
    while done < n:
        part = lesser(n - done, PACKED)
        plan.load_factors(factors + done*stride, stride, part, plan.swapped[FACTORS], <char *>packed)
        plan.data_kernels.blend(weights + done*plan.itemsize, <const char *>packed, part, plan.scale,
                                plan.scale_low, plan.offset, plan.offset_low)
        done += part


cdef inline char *place(const Bases *bases, const Cursor *cursor, int role) noexcept nogil:
    return bases.data[role] + cursor.offset[role] if bases.data[role] != NULL else NULL


cdef void load_block(const Plan *plan, const Bases *bases, const Cursor *cursor, const Axes *along, Py_ssize_t rows,
                     Py_ssize_t n, char *elements, char *weights, Py_ssize_t step) noexcept nogil:
    """n neighbours along the innermost of the axes `along`, and again `rows` times along the innermost that is reduced.

    They come `step` bytes from row to row. A False mask gives -inf, and weight 0.
    """
    cdef const Axes *down = &plan.reduced
    cdef const char *source = place(bases, cursor, ELEMENTS)
    cdef const char *mask = place(bases, cursor, MASK)
    cdef const char *given = place(bases, cursor, WEIGHTS)
    cdef const char *factors = place(bases, cursor, FACTORS)
    cdef Py_ssize_t i, mask_step = inner_stride(down, MASK), mask_stride = inner_stride(along, MASK)
    if mask != NULL and is_run(plan, along, ELEMENTS):
        select(plan, source, inner_stride(down, ELEMENTS), mask, mask_step, mask_stride, rows, n, -INFINITY, elements,
               step)
    else:
        for i in range(rows):
            plan.load(source + i*inner_stride(down, ELEMENTS), inner_stride(along, ELEMENTS), n,
                      plan.swapped[ELEMENTS], elements + i*step)
        if mask != NULL:
            select(plan, elements, step, mask, mask_step, mask_stride, rows, n, -INFINITY, elements, step)
    if given == NULL:
        return
    for i in range(rows):
        plan.load_weights(given + i*inner_stride(down, WEIGHTS), inner_stride(along, WEIGHTS), n,
                          plan.swapped[WEIGHTS], weights + i*step)
        if plan.blended:
            blend(plan, factors + i*inner_stride(down, FACTORS), inner_stride(along, FACTORS), n, weights + i*step)
    if mask != NULL:
        select(plan, weights, step, mask, mask_step, mask_stride, rows, n, 0, weights, step)


cdef inline bint has_nan(const Plan *plan, const char *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int found = 0
    for i in range(n):
        if plan.itemsize == sizeof(double):
            found |= (<const double *>values)[i] != (<const double *>values)[i]
        else:
            found |= (<const float *>values)[i] != (<const float *>values)[i]
    return found


# The results of -inf are those of an element that is left out, but in a reduction whose results are nan; then the first
# of them is nan, whatever it is of.

cdef void leave_out_of_columns(const Plan *plan, const char *mask, Py_ssize_t mask_step, Py_ssize_t rows,
                               Py_ssize_t columns, char *values, Py_ssize_t step) noexcept nogil:
    if has_nan(plan, values, columns):
        plan.data_kernels.select(values, step, mask, mask_step, rows, columns, plan.fill, values, step)


cdef void leave_out_of_row(const Plan *plan, const Bases *bases, const Cursor *at, Py_ssize_t n,
                           char *values) noexcept nogil:
    """Of n results from a cursor on, those that have a False mask become what they must be."""
    cdef Cursor cursor
    cdef Py_ssize_t run, done = 0
    if plan.data[MASK] == NULL or not has_nan(plan, values, 1):
        return
    cursor = at[0]
    while done < n:
        run = run_length(&cursor, n - done)
        select(plan, values, 0, place(bases, &cursor, MASK), 0, inner_stride(&plan.reduced, MASK), 1, run, plan.fill,
               values, 0)
        values += run*plan.itemsize
        advance(&cursor, run)
        done += run


cdef void leave_out_of_tile(const Plan *plan, const Bases *bases, const Cursor *at, Py_ssize_t rows,
                            Py_ssize_t columns, char *values, Py_ssize_t step) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t run, done = 0
    if plan.data[MASK] == NULL or not has_nan(plan, values, columns):
        return
    cursor = at[0]
    while done < rows:
        run = run_length(&cursor, rows - done)
        select(plan, values + done*step, step, place(bases, &cursor, MASK), inner_stride(&plan.reduced, MASK),
               inner_stride(&plan.kept, MASK), run, columns, plan.fill, values + done*step, step)
        advance(&cursor, run)
        done += run


cdef void gather_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Py_ssize_t run, done = 0
    while done < n:
        run = run_length(cursor, n - done)
        load_block(plan, bases, cursor, &plan.reduced, 1, run, scratch + done*plan.itemsize,
                   scratch + (SCRATCH + done)*plan.itemsize, 0)
        advance(cursor, run)
        done += run


cdef void scatter_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Py_ssize_t run, done = 0
    while done < n:
        run = run_length(cursor, n - done)
        plan.store(scratch + done*plan.itemsize, run, place(bases, cursor, RESULT), inner_stride(&plan.reduced, RESULT),
                   plan.swapped[RESULT])
        advance(cursor, run)
        done += run


cdef inline bint is_transposed(const Plan *plan, int role) noexcept nogil:
    """Whether an array lies in rows that become columns of a tile: elements to be reduced next to each other."""
    return (plan.direct[role] and plan.reduced.ndim == 1 and plan.reduced.stride[role][0] == plan.itemsize
            and inner_stride(&plan.kept, role) % plan.itemsize == 0)


cdef void transpose(const Plan *plan, const Bases *bases, const Cursor *cursor, int role, Py_ssize_t rows,
                    Py_ssize_t columns, char *tile) noexcept nogil:
    plan.data_kernels.transpose(place(bases, cursor, role), inner_stride(&plan.kept, role)//plan.itemsize, columns,
                                rows, tile, TILE_COLUMNS)


cdef void transpose_masked(const Plan *plan, const Bases *bases, const Cursor *cursor, Py_ssize_t rows,
                           Py_ssize_t columns, char *tile, char *masked) noexcept nogil:
    """transpose of elements with a mask that lies as they do; in one run if there is nothing between their rows."""
    cdef const char *source = place(bases, cursor, ELEMENTS)
    cdef const char *mask = place(bases, cursor, MASK)
    cdef Py_ssize_t step = inner_stride(&plan.kept, ELEMENTS), mask_step = inner_stride(&plan.kept, MASK)
    cdef Py_ssize_t length = rows*plan.itemsize
    if step == length and mask_step == rows:
        plan.data_kernels.select(source, 0, mask, 0, 1, rows*columns, -INFINITY, masked, 0)
    else:
        plan.data_kernels.select(source, step, mask, mask_step, columns, rows, -INFINITY, masked, length)
    plan.data_kernels.transpose(masked, rows, columns, rows, tile, TILE_COLUMNS)


cdef void clear_rest(const Plan *plan, Py_ssize_t rows, Py_ssize_t columns, char *tile) noexcept nogil:
    """0 for the columns of a tile that are not there."""
    cdef Py_ssize_t i, width = TILE_COLUMNS*plan.itemsize, used = columns*plan.itemsize
    if columns < TILE_COLUMNS:
        for i in range(rows):
            memset(tile + i*width + used, 0, width - used)


cdef void gather_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                      char *scratch) noexcept nogil:
    cdef Py_ssize_t run, done = 0, width = TILE_COLUMNS*plan.itemsize
    cdef bint masked = plan.data[MASK] != NULL, weighted = plan.data[WEIGHTS] != NULL
    cdef char *weights = scratch + SCRATCH*plan.itemsize
    clear_rest(plan, rows, columns, scratch)
    if weighted:
        clear_rest(plan, rows, columns, weights)
    if is_transposed(plan, ELEMENTS) and not masked and (
            not weighted or is_transposed(plan, WEIGHTS) and not plan.blended):
        transpose(plan, bases, cursor, ELEMENTS, rows, columns, scratch)
        if weighted:
            transpose(plan, bases, cursor, WEIGHTS, rows, columns, weights)
        advance(cursor, rows)
        return
    if is_transposed(plan, ELEMENTS) and masked and not weighted and plan.reduced.stride[<int>MASK][0] == 1:
        transpose_masked(plan, bases, cursor, rows, columns, scratch, scratch + rows*width)
        advance(cursor, rows)
        return
    while done < rows:
        run = run_length(cursor, rows - done)
        load_block(plan, bases, cursor, &plan.kept, run, columns, scratch + done*width, weights + done*width, width)
        advance(cursor, run)
        done += run


cdef void scatter_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                       char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if is_transposed(plan, RESULT):
        plan.data_kernels.transpose_back(scratch, TILE_COLUMNS, rows, columns, place(bases, cursor, RESULT),
                                         inner_stride(&plan.kept, RESULT)//plan.itemsize)
        advance(cursor, rows)
        return
    for i in range(rows):
        plan.store(scratch + i*TILE_COLUMNS*plan.itemsize, columns, place(bases, cursor, RESULT),
                   inner_stride(&plan.kept, RESULT), plan.swapped[RESULT])
        advance(cursor, 1)
