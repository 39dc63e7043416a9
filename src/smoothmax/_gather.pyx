"""Bring elements together in a scratch that kernels can take, and take results from there.

This is for everything but contiguous, aligned elements of the right type: strides, byte orders, other types, masks, the
short end of a tile.
"""

from libc.math cimport INFINITY
from libc.string cimport memset

from smoothmax._kernels.table cimport COLUMNS
from smoothmax._plan cimport (
    ELEMENTS, FACTORS, MASK, RESULT, WEIGHTS, Axes, Bases, Cursor, Plan, advance, inner_stride, is_run, lesser,
    run_length,
)

cdef enum:
    PACKED = 512                # elements of a mask brought together at a time


cdef void select(const Plan *plan, const char *values, const char *mask, Py_ssize_t stride, Py_ssize_t n, double fill,
                 char *to) noexcept nogil:
    """Values where the mask is True, `fill` elsewhere; a mask is brought together first if it is not one run."""
    cdef char packed[PACKED]
    cdef Py_ssize_t i, done = 0, part
    if stride == 1:
        plan.moves.select(values, mask, n, fill, to)
        return
    while done < n:
        part = lesser(n - done, PACKED)
        for i in range(part):
            packed[i] = mask[(done + i)*stride]
        plan.moves.select(values + done*plan.itemsize, packed, part, fill, to + done*plan.itemsize)
        done += part


cdef void blend(const Plan *plan, const Bases *bases, const Cursor *cursor, const Axes *along, Py_ssize_t n,
                char *weights) noexcept nogil:
    """Make of n weights what the plan wants them to be; factors are brought together first."""
    cdef double packed[PACKED]
    cdef Py_ssize_t done = 0, part, stride = inner_stride(along, FACTORS)
    cdef const char *factors = bases.data[FACTORS] + cursor.offset[FACTORS]
    while done < n:
        part = lesser(n - done, PACKED)
        plan.load_factors(factors + done*stride, stride, part, plan.swapped[FACTORS], <char *>packed)
        plan.moves.blend(weights + done*plan.itemsize, <const char *>packed, part, plan.scale, plan.offset)
        done += part


cdef void load_run(const Plan *plan, const Bases *bases, const Cursor *cursor, const Axes *along, Py_ssize_t n,
                   char *elements, char *weights) noexcept nogil:
    """n neighbours along the innermost of the axes `along`; a False mask gives -inf, and weight 0."""
    cdef const char *mask = bases.data[MASK]
    cdef const char *source = bases.data[ELEMENTS] + cursor.offset[ELEMENTS]
    if mask != NULL:
        mask += cursor.offset[MASK]
    if mask != NULL and is_run(plan, along, ELEMENTS):
        select(plan, source, mask, inner_stride(along, MASK), n, -INFINITY, elements)
    else:
        plan.load(source, inner_stride(along, ELEMENTS), n, plan.swapped[ELEMENTS], elements)
        if mask != NULL:
            select(plan, elements, mask, inner_stride(along, MASK), n, -INFINITY, elements)
    if bases.data[WEIGHTS] != NULL:
        plan.load_weights(bases.data[WEIGHTS] + cursor.offset[WEIGHTS], inner_stride(along, WEIGHTS), n,
                          plan.swapped[WEIGHTS], weights)
        if plan.blended:
            blend(plan, bases, cursor, along, n, weights)
        if mask != NULL:
            select(plan, weights, mask, inner_stride(along, MASK), n, 0, weights)


cdef void store_run(const Plan *plan, const Bases *bases, const Cursor *cursor, const Axes *along, Py_ssize_t n,
                    char *values) noexcept nogil:
    """n neighbours of softmax or log_softmax; a False mask makes them 0 or -inf."""
    cdef char *target = bases.data[RESULT] + cursor.offset[RESULT]
    cdef bint direct
    if bases.data[MASK] != NULL:
        direct = is_run(plan, along, RESULT)
        select(plan, values, bases.data[MASK] + cursor.offset[MASK], inner_stride(along, MASK), n, plan.fill,
               target if direct else values)
        if direct:
            return
    plan.store(values, n, target, inner_stride(along, RESULT), plan.swapped[RESULT])


cdef void gather_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Py_ssize_t run, done = 0
    while done < n:
        run = run_length(cursor, n - done)
        load_run(plan, bases, cursor, &plan.reduced, run, scratch + done*plan.itemsize,
                 scratch + (SCRATCH + done)*plan.itemsize)
        advance(cursor, run)
        done += run


cdef void scatter_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *scratch) noexcept nogil:
    cdef Py_ssize_t run, done = 0
    while done < n:
        run = run_length(cursor, n - done)
        store_run(plan, bases, cursor, &plan.reduced, run, scratch + done*plan.itemsize)
        advance(cursor, run)
        done += run


cdef inline bint is_transposed(const Plan *plan, int role) noexcept nogil:
    """Whether an array lies in rows that become columns of a tile: elements to be reduced next to each other."""
    return (plan.direct[role] and plan.data[MASK] == NULL and plan.reduced.ndim == 1
            and plan.reduced.stride[role][0] == plan.itemsize and inner_stride(&plan.kept, role) % plan.itemsize == 0)


cdef void clear_rest(const Plan *plan, Py_ssize_t rows, Py_ssize_t columns, char *tile) noexcept nogil:
    """0 for the columns of a tile that are not there."""
    cdef Py_ssize_t i, width = COLUMNS*plan.itemsize, used = columns*plan.itemsize
    if columns < COLUMNS:
        for i in range(rows):
            memset(tile + i*width + used, 0, width - used)


cdef void gather_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                      char *scratch) noexcept nogil:
    cdef Py_ssize_t i, width = COLUMNS*plan.itemsize
    cdef char *weights = scratch + SCRATCH*plan.itemsize
    clear_rest(plan, rows, columns, scratch)
    if bases.data[WEIGHTS] != NULL:
        clear_rest(plan, rows, columns, weights)
    elif is_transposed(plan, ELEMENTS):
        plan.moves.transpose(bases.data[ELEMENTS] + cursor.offset[ELEMENTS],
                             inner_stride(&plan.kept, ELEMENTS)//plan.itemsize, columns, rows, scratch, COLUMNS)
        advance(cursor, rows)
        return
    for i in range(rows):
        load_run(plan, bases, cursor, &plan.kept, columns, scratch + i*width, weights + i*width)
        advance(cursor, 1)


cdef void scatter_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                       char *scratch) noexcept nogil:
    cdef Py_ssize_t i
    if is_transposed(plan, RESULT):
        plan.moves.transpose_back(scratch, COLUMNS, rows, columns, bases.data[RESULT] + cursor.offset[RESULT],
                                  inner_stride(&plan.kept, RESULT)//plan.itemsize)
        advance(cursor, rows)
        return
    for i in range(rows):
        store_run(plan, bases, cursor, &plan.kept, columns, scratch + i*COLUMNS*plan.itemsize)
        advance(cursor, 1)
