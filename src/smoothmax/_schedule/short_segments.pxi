# Short segments side by side: sorted by length, one window of them at a time, and laid into tiles.

cdef Py_ssize_t sort_window(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Space *space) noexcept nogil:
    """Sort the short segments of a window by their lengths; returns how many there are."""
    cdef Py_ssize_t begins[SEGMENT_TILE_ELEMENTS + 2]
    cdef Py_ssize_t i, n, at = 0
    for i in range(SEGMENT_TILE_ELEMENTS + 2):
        begins[i] = 0
    for i in range(first, last):
        n = length_of(segments, i)
        if 0 < n <= SEGMENT_TILE_ELEMENTS:
            space.place[i - first] = at
            at += n
            begins[n + 1] += 1
    for i in range(1, SEGMENT_TILE_ELEMENTS + 2):
        begins[i] += begins[i - 1]
    for i in range(first, last):
        n = length_of(segments, i)
        if 0 < n <= SEGMENT_TILE_ELEMENTS:
            space.order[begins[n]] = i - first
            begins[n] += 1
    return begins[SEGMENT_TILE_ELEMENTS]


cdef inline Py_ssize_t rows_of_tile(Py_ssize_t n) noexcept nogil:
    """The rows of a tile for segments of n elements: n, or beyond SEGMENT_SIZED_ROWS one of few sizes."""
    cdef Py_ssize_t step = 1
    while (n - 1)//step >= SEGMENT_SIZED_ROWS:
        step *= 2
    return (n + step - 1)//step*step


cdef void gather_segments(const real **sources, const Py_ssize_t *lengths, Py_ssize_t columns, Py_ssize_t width,
                          Py_ssize_t rows, real *tile) noexcept nogil:
    """Lay segments side by side, shortest first, and fill them up with -inf and unused lanes with 0."""
    cdef Py_ssize_t i, j, done = 0
    for i in range(rows):
        while done < columns and lengths[done] <= i:
            done += 1
        for j in range(done):
            tile[j] = <real>-INFINITY
        for j in range(done, columns):
            tile[j] = sources[j][i]
        for j in range(columns, width):
            tile[j] = 0
        tile += TILE_COLUMNS


cdef void scatter_segments(const real *tile, const Py_ssize_t *lengths, Py_ssize_t columns,
                           real **results) noexcept nogil:
    cdef Py_ssize_t i, j, done = 0
    for i in range(lengths[columns - 1]):
        while lengths[done] <= i:
            done += 1
        for j in range(done, columns):
            results[j][i] = tile[j]
        tile += TILE_COLUMNS


cdef Py_ssize_t do_tile(const Segments *segments, Py_ssize_t first, const Py_ssize_t *order, Py_ssize_t n,
                        const real *elements, bint packed, real *result, Space *space) noexcept nogil:
    """Compute the first of n sorted segments of a line, as many as make a tile, and return how many.

    If they are `packed`, elements and results of a segment are at its place in the scratch, otherwise at its offset.
    """
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t columns = 0, i, j, at, rows = rows_of_tile(length_of(segments, first + order[0]))
    cdef Py_ssize_t lanes = LANE_BYTES//<Py_ssize_t>sizeof(real), width
    cdef Py_ssize_t lengths[TILE_COLUMNS]
    cdef const real *sources[TILE_COLUMNS]
    cdef real *results[TILE_COLUMNS]
    cdef real *tile = <real *>space.tile
    cdef real *out = <real *>space.out if reduces(plan) else tile
    while columns < min(n, TILE_COLUMNS):
        i = first + order[columns]
        lengths[columns] = length_of(segments, i)
        if lengths[columns] > rows:
            break
        at = space.place[order[columns]] if packed else segments.offsets[i]
        sources[columns] = elements + at
        results[columns] = result + at
        columns += 1
    width = (columns + lanes - 1)//lanes*lanes
    gather_segments(sources, lengths, columns, width, rows, tile)
    if rows <= plan.kernels.differences_max_rows:
        plan.kernels.fused_differences_tile(tile, TILE_COLUMNS, rows, width, out, TILE_COLUMNS)
    else:
        plan.kernels.fused_tile(tile, TILE_COLUMNS, rows, width, out, TILE_COLUMNS)
    if reduces(plan):
        for j in range(columns):
            (<real *>space.values)[order[j]] = out[j]
    else:
        scatter_segments(tile, lengths, columns, results)
    return columns


cdef void do_short_segments(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Py_ssize_t n,
                            const char *elements, char *result, Space *space, const real *_) noexcept nogil:
    """Compute the short segments of a window in one line."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t stride = plan.reduced.stride[<int>ELEMENTS][0], step = plan.reduced.stride[<int>RESULT][0], i, done
    cdef bint in_place = plan.direct[ELEMENTS] and stride == <Py_ssize_t>sizeof(real) and (
        reduces(plan) or plan.direct[RESULT] and step == <Py_ssize_t>sizeof(real))
    cdef real *staged = <real *>space.staged
    cdef const real *source = <const real *>elements if in_place else staged
    cdef real *target = <real *>result if in_place else staged
    if not in_place:
        for i in range(n):
            done = first + space.order[i]
            plan.load(elements + segments.offsets[done]*stride, stride, length_of(segments, done),
                      plan.order[ELEMENTS], staged + space.place[space.order[i]])
    done = 0
    while done < n:
        done += do_tile(segments, first, space.order + done, n - done, source, not in_place, target, space)
    if in_place or reduces(plan):
        return
    for i in range(n):
        done = first + space.order[i]
        plan.store(staged + space.place[space.order[i]], length_of(segments, done),
                   result + segments.offsets[done]*step, step, plan.order[RESULT])


cdef int do_line(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Py_ssize_t n, const char *elements,
                 char *result, Space *space, const real *type_) noexcept nogil:
    """Compute a window of segments in one line; n of them are short."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t i, length, stride = plan.reduced.stride[<int>ELEMENTS][0]
    cdef Py_ssize_t step = plan.reduced.stride[<int>RESULT][0]
    cdef real *values = <real *>space.values
    cdef const char *source
    cdef bint in_place = plan.direct[ELEMENTS] and stride == <Py_ssize_t>sizeof(real) and (
        reduces(plan) or plan.direct[RESULT] and step == <Py_ssize_t>sizeof(real))
    do_short_segments(segments, first, last, n, elements, result, space, type_)
    for i in range(first, last):
        length = length_of(segments, i)
        if 0 < length <= SEGMENT_TILE_ELEMENTS or is_huge(segments, i):
            continue
        source = elements + segments.offsets[i]*stride
        if length == 0:
            values[i - first] = <real>-INFINITY
        elif in_place and length*plan.itemsize <= plan.kernels.fused_row_bytes:
            if reduces(plan):
                plan.kernels.fused_row(source, length, 0, values + (i - first))
            else:
                plan.kernels.fused_row(source, length, 0, result + segments.offsets[i]*step)
        else:
            put_part(segments, i, elements, result, &space.part)
            if reduces(plan):               # store the number with those of the window
                space.part.data[RESULT] = <char *>(values + (i - first))
            if do_part(&space.part):
                return -1
    if reduces(plan):
        store_values(segments, first, last, result, values)
    return 0


cdef void store_values(const Segments *segments, Py_ssize_t first, Py_ssize_t last, char *result,
                       const real *values) noexcept nogil:
    """Store the numbers of a window, except those of huge segments, which are computed elsewhere."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t i, begin = first
    for i in range(first, last + 1):
        if i == last or is_huge(segments, i):
            plan.store(values + (begin - first), i - begin, result + begin*segments.result_stride,
                       segments.result_stride, plan.order[RESULT])
            begin = i + 1


cdef void copy_values(const real *values, Py_ssize_t n, real *to, Py_ssize_t stride, ByteOrder order) noexcept nogil:
    """A Store that keeps numbers in the type of the computation."""
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = values[i]


cdef int do_segments_by_line(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Space *space) noexcept nogil:
    """Compute windows of segments, one line after the other."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t end, n, elements
    cdef Cursor cursor
    cdef int failed = 0
    space.part = plan[0]
    space.part.kept.ndim = 0
    if reduces(plan):                       # into space.values
        space.part.direct[RESULT] = True
        space.part.order[RESULT] = NATIVE
        space.part.store = <Store>copy_values[double] if plan.itemsize == sizeof(double) else <Store>copy_values[float]
    while first < last and not failed:
        end, elements = first, 0
        while end < last and end - first < SEGMENT_WINDOW_SEGMENTS:
            n = length_of(segments, end)
            if n <= SEGMENT_TILE_ELEMENTS:
                elements += n
            if elements > SEGMENT_WINDOW_ELEMENTS:
                break
            end += 1
        n = sort_window(segments, first, end, space)
        start(&cursor, &plan.kept, 0, 0, lines_of(segments))
        while cursor.left and not failed:
            if plan.itemsize == sizeof(double):
                failed = do_line(segments, first, end, n, plan.data[ELEMENTS] + cursor.offset[ELEMENTS],
                                 plan.data[RESULT] + cursor.offset[RESULT], space, <double *>NULL)
            else:
                failed = do_line(segments, first, end, n, plan.data[ELEMENTS] + cursor.offset[ELEMENTS],
                                 plan.data[RESULT] + cursor.offset[RESULT], space, <float *>NULL)
            advance(&cursor, 1)
        first = end
    return failed
