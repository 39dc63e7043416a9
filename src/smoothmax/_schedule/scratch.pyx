"""Stage elements for kernels that cannot read them where they lie, and copy results from the scratch to their places.

Staging serves strides, byte orders, other types, misaligned elements, masks, and tiles that do not fill their lanes.
"""

from libc.math cimport INFINITY
from libc.string cimport memset

from smoothmax._schedule.plan cimport (
    ELEMENTS, FACTORS, MASK, RESULT, WEIGHTS, Axes, Bases, Cursor, Plan, advance, contiguous, inner_stride,
    is_contiguous, place,
)
from smoothmax._thresholds cimport MASK_BUFFER_ELEMENTS, TILE_COLUMNS


# Masks and factors ---------------------------------------------------------------------------------------------------

cdef void select(const Plan *plan, const char *values, Py_ssize_t step, const char *mask, Py_ssize_t mask_step,
                 Py_ssize_t mask_stride, Py_ssize_t rows, Py_ssize_t n, double fill, char *to,
                 Py_ssize_t to_step) noexcept nogil:
    """Copy values where the mask is True, and put `fill` elsewhere. A strided mask is made contiguous first."""
    cdef char packed[MASK_BUFFER_ELEMENTS]
    cdef Py_ssize_t i, _row, at, done, part
    if mask_stride == 1:
        plan.data_kernels.select(values, step, mask, mask_step, rows, n, fill, to, to_step)
        return
    for _row in range(rows):
        done = 0
        while done < n:
            part = min(n - done, MASK_BUFFER_ELEMENTS)
            for i in range(part):
                packed[i] = mask[(done + i)*mask_stride]
            at = done*plan.itemsize
            plan.data_kernels.select(values + at, step, packed, 0, 1, part, fill, to + at, to_step)
            done += part
        values += step
        mask += mask_step
        to += to_step


cdef void blend(const Plan *plan, const char *factors, Py_ssize_t stride, Py_ssize_t n, char *weights) noexcept nogil:
    """Turn n weights into (weight*scale + offset)*factor, as the plan says."""
    cdef double packed[MASK_BUFFER_ELEMENTS]
    cdef Py_ssize_t done = 0, part
    while done < n:
        part = min(n - done, MASK_BUFFER_ELEMENTS)
        plan.load_factors(factors + done*stride, stride, part, plan.swapped[FACTORS], <char *>packed)
        plan.data_kernels.blend(weights + done*plan.itemsize, <const char *>packed, part, plan.scale,
                                plan.scale_low, plan.offset, plan.offset_low)
        done += part


cdef inline bint has_nan(const Plan *plan, const char *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int found = 0
    for i in range(n):
        if plan.itemsize == sizeof(double):
            found |= (<const double *>values)[i] != (<const double *>values)[i]
        else:
            found |= (<const float *>values)[i] != (<const float *>values)[i]
    return found


cdef void fill_masked_columns(const Plan *plan, const char *mask, Py_ssize_t mask_step, Py_ssize_t rows,
                              Py_ssize_t columns, char *results, Py_ssize_t step) noexcept nogil:
    if has_nan(plan, results, columns):
        plan.data_kernels.select(results, step, mask, mask_step, rows, columns, plan.fill, results, step)


cdef void fill_masked_row(const Plan *plan, const Bases *bases, const Cursor *at, Py_ssize_t n,
                          char *results) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t part, done = 0
    if plan.data[MASK] == NULL or not has_nan(plan, results, 1):
        return
    cursor = at[0]
    while done < n:
        part = contiguous(&cursor, n - done)
        select(plan, results, 0, place(bases, &cursor, MASK), 0, inner_stride(&plan.reduced, MASK), 1, part, plan.fill,
               results, 0)
        results += part*plan.itemsize
        advance(&cursor, part)
        done += part


cdef void fill_masked_tile(const Plan *plan, const Bases *bases, const Cursor *at, Py_ssize_t rows, Py_ssize_t columns,
                           char *results, Py_ssize_t step) noexcept nogil:
    cdef Cursor cursor
    cdef Py_ssize_t part, done = 0
    if plan.data[MASK] == NULL or not has_nan(plan, results, columns):
        return
    cursor = at[0]
    while done < rows:
        part = contiguous(&cursor, rows - done)
        select(plan, results + done*step, step, place(bases, &cursor, MASK), inner_stride(&plan.reduced, MASK),
               inner_stride(&plan.kept, MASK), part, columns, plan.fill, results + done*step, step)
        advance(&cursor, part)
        done += part


# In ------------------------------------------------------------------------------------------------------------------

cdef void load_rows(const Plan *plan, const Bases *bases, const Cursor *cursor, const Axes *along, Py_ssize_t rows,
                    Py_ssize_t n, char *elements, char *weights, Py_ssize_t step) noexcept nogil:
    """Load n neighbours along the innermost of the axes `along`, `rows` times along the innermost reduced axis.

    Each row begins `step` bytes after the one before. A masked element becomes -inf, and its weight 0.
    """
    cdef const Axes *down = &plan.reduced
    cdef const char *source = place(bases, cursor, ELEMENTS)
    cdef const char *mask = place(bases, cursor, MASK)
    cdef const char *given = place(bases, cursor, WEIGHTS)
    cdef const char *factors = place(bases, cursor, FACTORS)
    cdef Py_ssize_t i, mask_step = inner_stride(down, MASK), mask_stride = inner_stride(along, MASK)
    if mask != NULL and is_contiguous(plan, along, ELEMENTS):
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


cdef void stage_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *elements,
                    char *weights) noexcept nogil:
    cdef Py_ssize_t part, done = 0
    while done < n:
        part = contiguous(cursor, n - done)
        load_rows(plan, bases, cursor, &plan.reduced, 1, part, elements + done*plan.itemsize,
                  weights + done*plan.itemsize, 0)
        advance(cursor, part)
        done += part


cdef inline bint is_transposed(const Plan *plan, int role) noexcept nogil:
    """Whether the elements of a reduction are neighbours in an array whose reductions become columns of a tile."""
    return (plan.direct[role] and plan.reduced.ndim == 1 and plan.reduced.stride[role][0] == plan.itemsize
            and inner_stride(&plan.kept, role) % plan.itemsize == 0)


cdef void transpose(const Plan *plan, const Bases *bases, const Cursor *cursor, int role, Py_ssize_t rows,
                    Py_ssize_t columns, char *tile) noexcept nogil:
    plan.data_kernels.transpose(place(bases, cursor, role), inner_stride(&plan.kept, role)//plan.itemsize, columns,
                                rows, tile, TILE_COLUMNS)


cdef void transpose_masked(const Plan *plan, const Bases *bases, const Cursor *cursor, Py_ssize_t rows,
                           Py_ssize_t columns, char *tile, char *masked) noexcept nogil:
    """Transpose elements whose mask has the same layout. `masked` stores them between the mask and the transposition.

    One call applies the mask if nothing lies between the rows.
    """
    cdef const char *source = place(bases, cursor, ELEMENTS)
    cdef const char *mask = place(bases, cursor, MASK)
    cdef Py_ssize_t step = inner_stride(&plan.kept, ELEMENTS), mask_step = inner_stride(&plan.kept, MASK)
    cdef Py_ssize_t length = rows*plan.itemsize
    if step == length and mask_step == rows:
        plan.data_kernels.select(source, 0, mask, 0, 1, rows*columns, -INFINITY, masked, 0)
    else:
        plan.data_kernels.select(source, step, mask, mask_step, columns, rows, -INFINITY, masked, length)
    plan.data_kernels.transpose(masked, rows, columns, rows, tile, TILE_COLUMNS)


cdef void clear_absent_columns(const Plan *plan, Py_ssize_t rows, Py_ssize_t columns, char *tile) noexcept nogil:
    """Put 0 where a tile has no columns, because kernels compute whole lanes."""
    cdef Py_ssize_t i, width = TILE_COLUMNS*plan.itemsize, used = columns*plan.itemsize
    if columns < TILE_COLUMNS:
        for i in range(rows):
            memset(tile + i*width + used, 0, width - used)


cdef void stage_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                     char *elements, char *weights) noexcept nogil:
    """Stage rows of a tile. `weights` also holds elements between the mask and the transposition."""
    cdef Py_ssize_t part, done = 0, width = TILE_COLUMNS*plan.itemsize
    cdef bint masked = plan.data[MASK] != NULL, weighted = plan.data[WEIGHTS] != NULL
    clear_absent_columns(plan, rows, columns, elements)
    if weighted:
        clear_absent_columns(plan, rows, columns, weights)
    if is_transposed(plan, ELEMENTS) and not masked and (
            not weighted or is_transposed(plan, WEIGHTS) and not plan.blended):
        transpose(plan, bases, cursor, ELEMENTS, rows, columns, elements)
        if weighted:
            transpose(plan, bases, cursor, WEIGHTS, rows, columns, weights)
        advance(cursor, rows)
        return
    if is_transposed(plan, ELEMENTS) and masked and not weighted and plan.reduced.stride[<int>MASK][0] == 1:
        transpose_masked(plan, bases, cursor, rows, columns, elements, weights)
        advance(cursor, rows)
        return
    while done < rows:
        part = contiguous(cursor, rows - done)
        load_rows(plan, bases, cursor, &plan.kept, part, columns, elements + done*width, weights + done*width, width)
        advance(cursor, part)
        done += part


# Out -----------------------------------------------------------------------------------------------------------------

cdef void unstage_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *results) noexcept nogil:
    cdef Py_ssize_t part, done = 0
    while done < n:
        part = contiguous(cursor, n - done)
        plan.store(results + done*plan.itemsize, part, place(bases, cursor, RESULT),
                   inner_stride(&plan.reduced, RESULT), plan.swapped[RESULT])
        advance(cursor, part)
        done += part


cdef void unstage_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                       char *results) noexcept nogil:
    cdef Py_ssize_t i
    if is_transposed(plan, RESULT):
        plan.data_kernels.transpose_back(results, TILE_COLUMNS, rows, columns, place(bases, cursor, RESULT),
                                         inner_stride(&plan.kept, RESULT)//plan.itemsize)
        advance(cursor, rows)
        return
    for i in range(rows):
        plan.store(results + i*TILE_COLUMNS*plan.itemsize, columns, place(bases, cursor, RESULT),
                   inner_stride(&plan.kept, RESULT), plan.swapped[RESULT])
        advance(cursor, 1)
