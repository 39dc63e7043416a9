"""Stage elements for kernels that cannot read them where they lie, and copy results from the scratch to the array.

Elements are staged because of strides, byte order, type, misalignment, masks or adjustment, and tiles that do not fill
their lanes.
"""

from libc.math cimport INFINITY
from libc.string cimport memset

from smoothmax._kernels.interface cimport ONE_ADDEND_A_ROW, Addends, Load
from smoothmax._kernels.cache_lines cimport prefetch_bytes_l2
from smoothmax._schedule.plan cimport (
    ADDENDS, ELEMENTS, FACTORS, MASK, RESULT, WEIGHTS, Axes, Bases, Cursor, Plan, addends_of, advance, are_neighbours,
    contiguous, inner_shape, inner_stride, is_contiguous, place,
)
from smoothmax._thresholds cimport MASK_BUFFER_ELEMENTS, TILE_COLUMNS, TRANSPOSE_BLOCK_ROWS


include "masks_and_addends.pxi"


# In ------------------------------------------------------------------------------------------------------------------

cdef void load_rows(const Plan *plan, const Bases *bases, const Cursor *cursor, const Axes *along, Py_ssize_t rows,
                    Py_ssize_t n, char *elements, char *weights, Py_ssize_t step) noexcept nogil:
    """Load n neighbours along the innermost axis of `along`, in each of `rows` rows along the innermost reduced axis.

    Each row begins `step` bytes after the one before. A masked element becomes -inf, and its weight 0. If `elements` is
    NULL, only weights are loaded.
    """
    cdef bint contiguous_elements = is_contiguous(plan, along, ELEMENTS)
    cdef const Axes *down = &plan.reduced
    cdef const char *source = place(bases, cursor, ELEMENTS)
    cdef const char *mask = place(bases, cursor, MASK)
    cdef const char *given = place(bases, cursor, WEIGHTS)
    cdef const char *factors = place(bases, cursor, FACTORS)
    cdef bint in_one_call
    cdef Py_ssize_t i, ahead = 0, mask_step = inner_stride(down, MASK), mask_stride = inner_stride(along, MASK)
    if elements == NULL:
        pass
    elif mask != NULL and contiguous_elements and not plan.adjusted:
        select_elements(plan, source, inner_stride(down, ELEMENTS), mask, mask_step, mask_stride, rows, n, -INFINITY,
                        elements, step)
    else:
        # Kernels prefetch the elements after a row, and the rows below. Where this call loads all rows, nothing lies
        # below, so the tile after the next is prefetched; the next would arrive too late (P45, P53).
        if along != down and down.ndim == 1 and rows == inner_shape(down) and are_neighbours(plan, along, ELEMENTS):
            ahead = 2*n*plan.element_bytes[<int>ELEMENTS]
        if plan.load_rows != NULL and step == TILE_COLUMNS*plan.itemsize and are_neighbours(plan, along, ELEMENTS):
            plan.load_rows(source, inner_stride(down, ELEMENTS), rows, n, ahead, elements)
            ahead = 0
        elif not (plan.adjusted and contiguous_elements):
            for i in range(rows):
                if ahead:
                    prefetch_bytes_l2(source + i*inner_stride(down, ELEMENTS) + ahead, ahead//2)
                plan.load(source + i*inner_stride(down, ELEMENTS), inner_stride(along, ELEMENTS), n,
                          plan.order[ELEMENTS], elements + i*step)
            ahead = 0
        if plan.adjusted:
            adjust_elements(plan, source if contiguous_elements else elements,
                            inner_stride(down, ELEMENTS) if contiguous_elements else step,
                            place(bases, cursor, ADDENDS), inner_stride(down, ADDENDS), inner_stride(along, ADDENDS),
                            rows, n, ahead, elements, step)
        if mask != NULL:
            select_elements(plan, elements, step, mask, mask_step, mask_stride, rows, n, -INFINITY, elements, step)
    if given == NULL:
        return
    in_one_call = (plan.load_weight_rows != NULL and step == TILE_COLUMNS*plan.itemsize
                   and are_neighbours(plan, along, WEIGHTS))
    if in_one_call:
        plan.load_weight_rows(given, inner_stride(down, WEIGHTS), rows, n, 0, weights)
    for i in range(rows):
        if not in_one_call:
            plan.load_weights(given + i*inner_stride(down, WEIGHTS), inner_stride(along, WEIGHTS), n,
                              plan.order[WEIGHTS], weights + i*step)
        if plan.blended:
            blend_weights(plan, factors + i*inner_stride(down, FACTORS), inner_stride(along, FACTORS), n,
                          weights + i*step)
    if mask != NULL:
        select_elements(plan, weights, step, mask, mask_step, mask_stride, rows, n, 0, weights, step)


cdef void stage_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *elements,
                    char *weights) noexcept nogil:
    cdef Py_ssize_t part, done = 0
    while done < n:
        part = contiguous(cursor, n - done)
        load_rows(plan, bases, cursor, &plan.reduced, 1, part, elements + done*plan.itemsize,
                  weights + done*plan.itemsize, 0)
        advance(cursor, part)
        done += part


cdef double stage_largest(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n,
                          char *elements) noexcept nogil:
    cdef double largest = -INFINITY
    cdef Py_ssize_t part, done = 0
    while done < n:
        part = contiguous(cursor, n - done)
        largest = max(largest, plan.load_largest(place(bases, cursor, ELEMENTS), part, elements + done*plan.itemsize,
                                                 NULL))
        advance(cursor, part)
        done += part
    return largest


cdef inline bint is_transposed(const Plan *plan, int role, Py_ssize_t rows) noexcept nogil:
    """Whether neighbours in the array are elements of one reduction, while the reductions become columns of a tile.

    Elements that must be converted first are converted a few reductions at a time.
    """
    return (plan.reduced.ndim == 1 and plan.reduced.stride[role][0] == plan.element_bytes[role]
            and (inner_stride(&plan.kept, role) % plan.itemsize == 0 if plan.direct[role]
                 else rows <= MASK_BUFFER_ELEMENTS))


cdef inline Py_ssize_t lines_at_a_time(const Plan *plan, Py_ssize_t rows) noexcept nogil:
    """How many reductions are converted together: as many as fit, in whole blocks of the transposition if one fits."""
    cdef Py_ssize_t lines = MASK_BUFFER_ELEMENTS*<Py_ssize_t>sizeof(double)//(rows*plan.itemsize)
    return lines - lines % TRANSPOSE_BLOCK_ROWS if lines > TRANSPOSE_BLOCK_ROWS else lines


cdef void load_lines(const Plan *plan, int role, Load load, const char *elements, Py_ssize_t rows, Py_ssize_t lines,
                     char *to) noexcept nogil:
    """Load reductions of `rows` neighbouring elements one after the other."""
    cdef Py_ssize_t stride = plan.element_bytes[role], step = inner_stride(&plan.kept, role), i
    if step == rows*stride:
        load(elements, stride, rows*lines, plan.order[role], to)
        return
    for i in range(lines):
        load(elements + i*step, stride, rows, plan.order[role], to + i*rows*plan.itemsize)


cdef void transpose_tile(const Plan *plan, const Bases *bases, const Cursor *cursor, int role, Load load,
                         Py_ssize_t rows, Py_ssize_t columns, char *tile) noexcept nogil:
    cdef const char *elements = place(bases, cursor, role)
    cdef Py_ssize_t step = inner_stride(&plan.kept, role), done = 0, lines
    cdef double loaded[MASK_BUFFER_ELEMENTS]
    if plan.direct[role]:
        plan.data_kernels.transpose(elements, step//plan.itemsize, columns, rows, tile, TILE_COLUMNS)
        return
    if role == ELEMENTS and plan.load_lines != NULL and plan.load_lines(elements, step, columns, rows, tile):
        return
    if role == WEIGHTS and plan.load_weight_lines != NULL and (
            plan.load_weight_lines(elements, step, columns, rows, tile)):
        return
    while done < columns:
        lines = min(columns - done, lines_at_a_time(plan, rows))
        load_lines(plan, role, load, elements + done*step, rows, lines, <char *>loaded)
        plan.data_kernels.transpose(loaded, rows, lines, rows, tile + done*plan.itemsize, TILE_COLUMNS)
        done += lines


cdef void transpose_tile_back(const Plan *plan, const Bases *bases, const Cursor *cursor, Py_ssize_t rows,
                              Py_ssize_t columns, const char *tile) noexcept nogil:
    cdef char *results = place(bases, cursor, RESULT)
    cdef Py_ssize_t step = inner_stride(&plan.kept, RESULT), stride = plan.element_bytes[<int>RESULT]
    cdef Py_ssize_t done = 0, lines, i
    cdef double lined_up[MASK_BUFFER_ELEMENTS]
    if plan.direct[RESULT]:
        plan.data_kernels.transpose_back(tile, TILE_COLUMNS, rows, columns, results, step//plan.itemsize)
        return
    if plan.store_lines != NULL and plan.store_lines(tile, columns, rows, results, step):
        return
    while done < columns:
        lines = min(columns - done, lines_at_a_time(plan, rows))
        plan.data_kernels.transpose_back(tile + done*plan.itemsize, TILE_COLUMNS, rows, lines, lined_up, rows)
        if step == rows*stride:
            plan.store(lined_up, rows*lines, results + done*step, stride, plan.order[RESULT])
        else:
            for i in range(lines):
                plan.store(<const char *>lined_up + i*rows*plan.itemsize, rows, results + (done + i)*step, stride,
                           plan.order[RESULT])
        done += lines


cdef inline bint is_addend_of_each(const Plan *plan) noexcept nogil:
    """Whether each element has an addend of its own, and kernels can read the addends in the order of the elements."""
    return plan.direct[ADDENDS] and is_transposed(plan, ADDENDS, 1)


cdef void transpose_prepared(const Plan *plan, const Bases *bases, const Cursor *cursor, Py_ssize_t rows,
                             Py_ssize_t columns, char *tile, char *prepared) noexcept nogil:
    """Transpose elements that are adjusted, or that have a mask of the same layout, or both.

    They are stored in `prepared` first, by one call if nothing lies between the rows.
    """
    cdef const char *source = place(bases, cursor, ELEMENTS)
    cdef const char *mask = place(bases, cursor, MASK)
    cdef const char *addends = place(bases, cursor, ADDENDS)
    cdef Py_ssize_t step = inner_stride(&plan.kept, ELEMENTS), mask_step = inner_stride(&plan.kept, MASK)
    cdef Py_ssize_t length = rows*plan.itemsize, addends_step = inner_stride(&plan.kept, ADDENDS)
    if not plan.direct[ELEMENTS]:
        load_lines(plan, ELEMENTS, plan.load, source, rows, columns, prepared)
        source, step = prepared, length
    if plan.adjusted:
        if step == length and (addends == NULL or addends_step == length and is_addend_of_each(plan)):
            adjust_elements(plan, source, step=0, addends=addends, addends_step=0, stride=plan.itemsize, rows=1,
                            n=rows*columns, ahead=length*columns, to=prepared, to_step=0)
        else:
            adjust_elements(plan, source, step, addends, addends_step, inner_stride(&plan.reduced, ADDENDS), columns,
                            rows, columns*step, prepared, length)
        source, step = prepared, length
    if mask != NULL and step == length and mask_step == rows:
        plan.data_kernels.select(source, 0, mask, 0, 1, rows*columns, -INFINITY, prepared, 0)
    elif mask != NULL:
        plan.data_kernels.select(source, step, mask, mask_step, columns, rows, -INFINITY, prepared, length)
    plan.data_kernels.transpose(prepared, rows, columns, rows, tile, TILE_COLUMNS)


cdef void clear_absent_columns(const Plan *plan, Py_ssize_t rows, Py_ssize_t columns, char *tile) noexcept nogil:
    """Write 0 where a tile has no columns, because kernels compute whole lanes."""
    cdef Py_ssize_t i, width = TILE_COLUMNS*plan.itemsize, used = columns*plan.itemsize
    if columns < TILE_COLUMNS:
        for i in range(rows):
            memset(tile + i*width + used, 0, width - used)


cdef void stage_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                     char *elements, char *weights, char *prepared) noexcept nogil:
    """Stage rows of a tile. Without weights, elements may be stored in `prepared` before they are transposed.

    If `elements` is NULL, only weights are staged, which have neither masks nor addends.
    """
    cdef Py_ssize_t part, done = 0, width = TILE_COLUMNS*plan.itemsize
    cdef bint masked = plan.data[MASK] != NULL, weighted = plan.data[WEIGHTS] != NULL
    cdef bint one_addend_each = (plan.data[ADDENDS] != NULL and is_addend_of_each(plan)
                                 and inner_stride(&plan.kept, ADDENDS) != 0)
    if elements != NULL:
        clear_absent_columns(plan, rows, columns, elements)
    if weighted:
        clear_absent_columns(plan, rows, columns, weights)
    if is_transposed(plan, ELEMENTS, rows) and not weighted and (
            masked and plan.reduced.stride[<int>MASK][0] == 1 or not masked and one_addend_each):
        transpose_prepared(plan, bases, cursor, rows, columns, elements, prepared)
        advance(cursor, rows)
        return
    if is_transposed(plan, ELEMENTS, rows) and not masked and (
            not weighted or is_transposed(plan, WEIGHTS, rows) and not plan.blended):
        if elements != NULL:
            transpose_tile(plan, bases, cursor, ELEMENTS, plan.load, rows, columns, elements)
        if weighted:
            transpose_tile(plan, bases, cursor, WEIGHTS, plan.load_weights, rows, columns, weights)
        if plan.adjusted:
            adjust_elements(plan, elements, width, place(bases, cursor, ADDENDS), inner_stride(&plan.reduced, ADDENDS),
                            inner_stride(&plan.kept, ADDENDS), rows, columns, 0, elements, width)
        advance(cursor, rows)
        return
    while done < rows:
        part = contiguous(cursor, rows - done)
        load_rows(plan, bases, cursor, &plan.kept, part, columns,
                  elements + done*width if elements != NULL else NULL, weights + done*width, width)
        advance(cursor, part)
        done += part


# Out -----------------------------------------------------------------------------------------------------------------

cdef void unstage_row(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t n, char *results) noexcept nogil:
    cdef Py_ssize_t part, done = 0
    while done < n:
        part = contiguous(cursor, n - done)
        plan.store(results + done*plan.itemsize, part, place(bases, cursor, RESULT),
                   inner_stride(&plan.reduced, RESULT), plan.order[RESULT])
        advance(cursor, part)
        done += part


cdef void unstage_tile(const Plan *plan, const Bases *bases, Cursor *cursor, Py_ssize_t rows, Py_ssize_t columns,
                       char *results) noexcept nogil:
    cdef Py_ssize_t i, part, done = 0, step = inner_stride(&plan.reduced, RESULT)
    cdef char *target
    if is_transposed(plan, RESULT, rows):
        transpose_tile_back(plan, bases, cursor, rows, columns, results)
        advance(cursor, rows)
        return
    while done < rows:
        part = contiguous(cursor, rows - done)
        target = place(bases, cursor, RESULT)
        if plan.store_rows != NULL and are_neighbours(plan, &plan.kept, RESULT):
            plan.store_rows(results, part, columns, target, step)
            results += part*TILE_COLUMNS*plan.itemsize
            advance(cursor, part)
            done += part
            continue
        for i in range(part):
            plan.store(results, columns, target + i*step, inner_stride(&plan.kept, RESULT), plan.order[RESULT])
            results += TILE_COLUMNS*plan.itemsize
        advance(cursor, part)
        done += part
