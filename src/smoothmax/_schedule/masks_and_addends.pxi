# Apply `scale` and addends, masks and factors to a block on its way through the scratch.

cdef void adjust_elements(const Plan *plan, const char *elements, Py_ssize_t step, const char *addends,
                          Py_ssize_t addends_step, Py_ssize_t stride, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t ahead,
                          char *to, Py_ssize_t to_step) noexcept nogil:
    """Adjust elements. Addends that kernels cannot read are loaded first; once, if all rows have the same addends."""
    cdef double loaded[MASK_BUFFER_ELEMENTS]
    cdef Py_ssize_t i, part, done = 0, together = rows if addends_step == 0 else 1
    cdef Addends layout = addends_of(stride)
    cdef bint one = layout == ONE_ADDEND_A_ROW
    if addends == NULL or plan.direct[ADDENDS] and (one or stride == plan.itemsize):
        plan.data_kernels.adjust(elements, step, addends, addends_step, layout, rows, n, plan.element_scale, ahead, to,
                                 to_step)
        return
    while done < n:
        part = n if one else min(n - done, MASK_BUFFER_ELEMENTS)
        for i from 0 <= i < rows by together:
            plan.load_addends(addends + i*addends_step + done*stride, stride, 1 if one else part,
                              plan.order[ADDENDS], loaded)
            plan.data_kernels.adjust(elements + i*step + done*plan.itemsize, step, loaded, 0, layout, together, part,
                                     plan.element_scale, ahead, to + i*to_step + done*plan.itemsize, to_step)
        done += part


cdef void select_elements(const Plan *plan, const char *values, Py_ssize_t step, const char *mask, Py_ssize_t mask_step,
                          Py_ssize_t mask_stride, Py_ssize_t rows, Py_ssize_t n, double fill, char *to,
                          Py_ssize_t to_step) noexcept nogil:
    """Copy values where the mask is True, and write `fill` elsewhere. A strided mask is made contiguous first."""
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


cdef void blend_weights(const Plan *plan, const char *factors, Py_ssize_t stride, Py_ssize_t n,
                        char *weights) noexcept nogil:
    """Turn n weights into (weight*scale + offset)*factor, as the plan says."""
    cdef double packed[MASK_BUFFER_ELEMENTS]
    cdef Py_ssize_t done = 0, part
    while done < n:
        part = min(n - done, MASK_BUFFER_ELEMENTS)
        plan.load_factors(factors + done*stride, stride, part, plan.order[FACTORS], <char *>packed)
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
        select_elements(plan, results, step=0, mask=place(bases, &cursor, MASK), mask_step=0,
                        mask_stride=inner_stride(&plan.reduced, MASK), rows=1, n=part, fill=plan.fill, to=results,
                        to_step=0)
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
        select_elements(plan, results + done*step, step, place(bases, &cursor, MASK), inner_stride(&plan.reduced, MASK),
                        inner_stride(&plan.kept, MASK), part, columns, plan.fill, results + done*step, step)
        advance(&cursor, part)
        done += part
