# Short segments side by side: sorted by length, one window of them at a time, and laid into tiles.

cdef Py_ssize_t sort_window(const Segments *segments, Py_ssize_t first, Py_ssize_t *last,
                            ShortSegments *shorts) noexcept nogil:
    """List the short segments of a window, sorted by their lengths; returns how many there are.

    `last` is one past the last segment of the stretch, and becomes one past the last of the window.
    """
    cdef Py_ssize_t end = min(last[0], first + SEGMENT_WINDOW_SEGMENTS), left = SEGMENT_WINDOW_ELEMENTS, i, n
    cdef int *place = shorts.ends                       # of the next segment of each length
    cdef int at
    memset(place, 0, sizeof(shorts.ends))
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
            at = place[n]
            place[n] += 1
            shorts.begins[at], shorts.numbers[at], shorts.lengths[at] = segments.offsets[i], <int>(i - first), <int>n
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


cdef inline void prefetch_segments(const char *x, const Py_ssize_t *begins, Py_ssize_t n, Py_ssize_t itemsize,
                                   Py_ssize_t rows, Access access) noexcept nogil:
    """Prefetch n segments of up to `rows` elements into L1.

    The line of the last element is prefetched, and every line before it; of shorter segments than half a line only the
    last, because few have two.
    """
    cdef Py_ssize_t j, at, last = rows*itemsize - 1
    for at from last >= at > -CACHE_LINE_BYTES//2 by CACHE_LINE_BYTES:
        if access == READ:
            for j in range(n):
                prefetch_line(x + begins[j]*itemsize + max(at, 0))
        else:
            for j in range(n):
                prefetch_line_to_write(x + begins[j]*itemsize + max(at, 0))


cdef inline Py_ssize_t segments_in_tile(const ShortSegments *shorts, Py_ssize_t done) noexcept nogil:
    """How many of the segments from `done` on make a tile."""
    return min(shorts.ends[rows_of_tile(shorts.lengths[done])] - done, TILE_COLUMNS)


cdef void do_tile(const Plan *plan, Space *space, Py_ssize_t done, Py_ssize_t n, const real *elements,
                  real *result) noexcept nogil:
    """Compute n sorted segments of a line, from `done` on."""
    cdef const ShortSegments *shorts = &space.shorts
    cdef const Py_ssize_t *begins = shorts.begins + done
    cdef const int *lengths = shorts.lengths + done
    cdef Py_ssize_t rows = rows_of_tile(lengths[0]), lanes = LANE_BYTES//<Py_ssize_t>sizeof(real), j
    cdef Py_ssize_t width = (n + lanes - 1)//lanes*lanes
    cdef real *tile = <real *>space.tile
    cdef real *out = <real *>space.out if reduces(plan) else tile
    plan.data_kernels.gather(elements, begins, lengths, n, width, rows, tile)
    if not reduces(plan):
        prefetch_segments(<const char *>result, begins, n, sizeof(real), rows, WRITE)
    if rows <= plan.kernels.differences_max_rows:
        plan.kernels.fused_differences_tile(tile, TILE_COLUMNS, rows, width, NULL, out, TILE_COLUMNS)
    else:
        plan.kernels.fused_tile(tile, TILE_COLUMNS, rows, width, NULL, out, TILE_COLUMNS)
    if reduces(plan):
        for j in range(n):
            (<real *>space.values)[shorts.numbers[done + j]] = out[j]
    else:
        plan.data_kernels.scatter(tile, lengths, n, result, begins)


cdef void do_short_segments(const Segments *segments, Py_ssize_t first, Py_ssize_t n, const char *elements,
                            char *result, Space *space, const real *_) noexcept nogil:
    """Compute the n short segments of a window in one line."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t stride = plan.reduced.stride[<int>ELEMENTS][0], step = plan.reduced.stride[<int>RESULT][0]
    cdef Py_ssize_t done = 0, at = 0, next_ = 0, columns, i, begin
    cdef bint in_place = lies_in_place(plan)
    cdef real *staged = <real *>space.staged
    cdef const real *source = <const real *>elements
    cdef real *target = <real *>result
    cdef ShortSegments *shorts = &space.shorts
    if not in_place:
        source = target = staged
        for i in range(n):
            plan.load(elements + shorts.begins[i]*stride, stride, shorts.lengths[i], plan.order[ELEMENTS], staged + at)
            shorts.begins[i] = at
            at += shorts.lengths[i]
    if n:
        next_ = segments_in_tile(shorts, 0)
    while done < n:
        columns = next_
        if done + columns < n:
            next_ = segments_in_tile(shorts, done + columns)
            prefetch_segments(<const char *>source, shorts.begins + done + columns, next_, sizeof(real),
                              rows_of_tile(shorts.lengths[done + columns]), READ)
        do_tile(plan, space, done, columns, source, target)
        done += columns
    if in_place:
        return
    for i in range(n):
        begin = segments.offsets[first + shorts.numbers[i]]
        if not reduces(plan):
            plan.store(staged + shorts.begins[i], shorts.lengths[i], result + begin*step, step, plan.order[RESULT])
        shorts.begins[i] = begin                # for the next line


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
    do_short_segments(segments, first, n, elements, result, space, type_)
    for i in range(first, end):
        length = length_of(segments, i)
        if 0 < length <= SEGMENT_TILE_ELEMENTS or is_huge(segments, i):
            continue
        source = elements + segments.offsets[i]*stride
        if length == 0:
            values[i - first] = <real>-INFINITY
        elif in_place and length*plan.itemsize <= plan.kernels.fused_row_bytes:
            if reduces(plan):
                plan.kernels.fused_row(source, length, 0, NULL, values + (i - first))
            else:
                plan.kernels.fused_row(source, length, 0, NULL, result + segments.offsets[i]*step)
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
        n = sort_window(segments, first, &end, &space.shorts)
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
