# Short segments side by side: sorted by length, one window of them at a time, and laid into tiles.

cdef Py_ssize_t sort_window(const Segments *segments, Py_ssize_t first, Py_ssize_t *last,
                            ShortSegment *shorts) noexcept nogil:
    """List the short segments of a window, sorted by their lengths; returns how many there are.

    `last` is one past the last segment of the stretch, and becomes one past the last of the window.
    """
    cdef int place[SEGMENT_TILE_ELEMENTS + 2]           # of the next segment of each length
    cdef Py_ssize_t end = min(last[0], first + SEGMENT_WINDOW_SEGMENTS), left = SEGMENT_WINDOW_ELEMENTS, i, n
    cdef ShortSegment *short_segment
    memset(place, 0, sizeof(place))
    for i in range(first, end):
        n = length_of(segments, i)
        if n <= SEGMENT_TILE_ELEMENTS:
            left -= n
            if left < 0:
                end = i
                break
            place[n + 1] += 1
    place[1] = 0                                        # empty segments have no place
    for i in range(2, SEGMENT_TILE_ELEMENTS + 2):
        place[i] += place[i - 1]
    for i in range(first, end):
        n = length_of(segments, i)
        if 0 < n <= SEGMENT_TILE_ELEMENTS:
            short_segment = shorts + place[n]
            short_segment.begin, short_segment.number, short_segment.length = segments.offsets[i], i - first, n
            place[n] += 1
    last[0] = end
    return place[SEGMENT_TILE_ELEMENTS]


cdef inline bint lies_in_place(const Plan *plan) noexcept nogil:
    """Whether kernels read the elements and write the results of a line where they lie."""
    return plan.direct[ELEMENTS] and plan.reduced.stride[<int>ELEMENTS][0] == plan.itemsize and (
        reduces(plan) or plan.direct[RESULT] and plan.reduced.stride[<int>RESULT][0] == plan.itemsize)


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


cdef Py_ssize_t do_tile(const Plan *plan, const ShortSegment *shorts, Py_ssize_t n, const real *elements,
                        real *result, Space *space) noexcept nogil:
    """Compute the first of n sorted segments of a line, as many as make a tile, and return how many."""
    cdef Py_ssize_t columns = 0, j, rows = rows_of_tile(shorts[0].length)
    cdef Py_ssize_t lanes = LANE_BYTES//<Py_ssize_t>sizeof(real), width
    cdef Py_ssize_t lengths[TILE_COLUMNS]
    cdef const real *sources[TILE_COLUMNS]
    cdef real *results[TILE_COLUMNS]
    cdef real *tile = <real *>space.tile
    cdef real *out = <real *>space.out if reduces(plan) else tile
    while columns < min(n, TILE_COLUMNS) and shorts[columns].length <= rows:
        lengths[columns] = shorts[columns].length
        sources[columns] = elements + shorts[columns].begin
        results[columns] = result + shorts[columns].begin
        columns += 1
    width = (columns + lanes - 1)//lanes*lanes
    gather_segments(sources, lengths, columns, width, rows, tile)
    if rows <= plan.kernels.differences_max_rows:
        plan.kernels.fused_differences_tile(tile, TILE_COLUMNS, rows, width, out, TILE_COLUMNS)
    else:
        plan.kernels.fused_tile(tile, TILE_COLUMNS, rows, width, out, TILE_COLUMNS)
    if reduces(plan):
        for j in range(columns):
            (<real *>space.values)[shorts[j].number] = out[j]
    else:
        scatter_segments(tile, lengths, columns, results)
    return columns


cdef void do_short_segments(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Py_ssize_t n,
                            const char *elements, char *result, Space *space, const real *_) noexcept nogil:
    """Compute the n short segments of a window in one line."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t stride = plan.reduced.stride[<int>ELEMENTS][0], step = plan.reduced.stride[<int>RESULT][0], i
    cdef Py_ssize_t done = 0, at = 0, begin = segments.offsets[first], size = segments.offsets[last] - begin
    cdef bint in_place = lies_in_place(plan)
    cdef real *staged = <real *>space.staged
    cdef const real *source = <const real *>elements
    cdef real *target = <real *>result
    cdef ShortSegment *each
    if in_place and size <= 2*SEGMENT_WINDOW_ELEMENTS:
        # Sorted segments lie apart, so each would be waited for. A window that spans long segments would fill L2.
        prefetch_bytes_l2(elements + begin*stride, size*stride)
        if not reduces(plan):
            prefetch_bytes_l2(result + begin*step, size*step)
    if not in_place:
        source = target = staged
        for i in range(n):
            each = &space.shorts[i]
            plan.load(elements + each.begin*stride, stride, each.length, plan.order[ELEMENTS], staged + at)
            each.begin = at
            at += each.length
    while done < n:
        done += do_tile(plan, space.shorts + done, n - done, source, target, space)
    if in_place:
        return
    for i in range(n):
        each = &space.shorts[i]
        begin = segments.offsets[first + each.number]
        if not reduces(plan):
            plan.store(staged + each.begin, each.length, result + begin*step, step, plan.order[RESULT])
        each.begin = begin                      # for the next line


cdef int do_line(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Py_ssize_t n, const char *elements,
                 char *result, Space *space, const real *type_) noexcept nogil:
    """Compute a window of segments in one line; n of them are short."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t i, length, stride = plan.reduced.stride[<int>ELEMENTS][0]
    cdef Py_ssize_t step = plan.reduced.stride[<int>RESULT][0]
    cdef real *values = <real *>space.values
    cdef const char *source
    cdef bint in_place = lies_in_place(plan)
    cdef Py_ssize_t end = first if n == last - first else last      # if all are short, none is left
    do_short_segments(segments, first, last, n, elements, result, space, type_)
    for i in range(first, end):
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
    cdef bint may_hold_huge = has_huge_size(segments, segments.offsets[last] - segments.offsets[first])
    for i in range(first if may_hold_huge else last, last + 1):     # one store if none can be huge
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
    cdef Py_ssize_t end, n
    cdef Cursor cursor
    cdef int failed = 0
    space.part = plan[0]
    space.part.kept.ndim = 0
    if reduces(plan):                       # into space.values
        space.part.direct[RESULT] = True
        space.part.order[RESULT] = NATIVE
        space.part.store = <Store>copy_values[double] if plan.itemsize == sizeof(double) else <Store>copy_values[float]
    while first < last and not failed:
        end = last
        n = sort_window(segments, first, &end, space.shorts)
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
