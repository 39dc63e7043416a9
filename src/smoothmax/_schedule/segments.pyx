"""Walk the segments of an axis: short ones side by side, others each as a call of its own would.

Segments of up to SEGMENT_TILE_ELEMENTS are sorted by their lengths, a window of them at a time, and those beside each
other in a tile are about equally long. How many rows a tile has follows from the length of each of its segments, so
the bits of a segment do not depend on the others; shorter ones end with -inf. Longer segments are rows. Where several
lines lie side by side and fill the lanes by themselves, each segment is a tile already, whatever its length.

Threads take the segments that begin in equal stretches of the axis, and so about as many elements. Windows do not reach
from one stretch into the next, whoever takes it, so the bits do not depend on the threads. Knows no mathematics.
"""

from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc

from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._schedule.plan cimport (
    ELEMENTS, RESULT, Cursor, Plan, Store, advance, count, inner_shape, inner_stride, start,
)
from smoothmax._schedule.pool cimport Queue, share, take
from smoothmax._schedule.route cimport SEGMENTS, Route, route_of
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._schedule.walk cimport note, walk, walk_alone
from smoothmax._thresholds cimport (
    LANE_BYTES, SEGMENT_HUGE_BYTES, SEGMENT_LINE_MIN_SEGMENTS, SEGMENT_STRETCH_ELEMENTS, SEGMENT_TILE_ELEMENTS,
    SEGMENT_WINDOW_ELEMENTS, SEGMENT_WINDOW_SEGMENTS, SHARE_GRAIN_ELEMENTS, SHARE_MIN_BYTES, TILE_COLUMNS,
)

ctypedef fused real:
    float
    double


cdef struct Space:
    # The memory of a thread: 700 KiB.
    Plan part                                   # the plan of one segment
    Py_ssize_t order[SEGMENT_WINDOW_SEGMENTS]   # short segments of the window, by their lengths
    Py_ssize_t place[SEGMENT_WINDOW_SEGMENTS]   # where the elements of each are staged
    double values[SEGMENT_WINDOW_SEGMENTS]      # the numbers of segments, in the type of the computation
    double tile[SEGMENT_TILE_ELEMENTS*TILE_COLUMNS]
    double out[TILE_COLUMNS]
    double staged[SEGMENT_WINDOW_ELEMENTS]


cdef inline bint reduces(const Plan *plan) noexcept nogil:
    return plan.kernels.write_row == NULL


cdef inline Py_ssize_t length_of(const Segments *segments, Py_ssize_t i) noexcept nogil:
    return segments.offsets[i + 1] - segments.offsets[i]


cdef inline Py_ssize_t lines_of(const Segments *segments) noexcept nogil:
    return count(&segments.plan.kept, 0)


cdef bint goes_whole(const Segments *segments) noexcept nogil:
    """Whether a segment is taken in all lines at a time.

    That is so if the lines fill the lanes, and are nearer to each other than the elements of a line or too few segments
    of a line make a tile.
    """
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t across = inner_stride(&plan.kept, ELEMENTS), along = plan.reduced.stride[<int>ELEMENTS][0]
    across = -across if across < 0 else across
    along = -along if along < 0 else along
    return inner_shape(&plan.kept)*plan.itemsize >= LANE_BYTES and (
        across < along or segments.n < SEGMENT_LINE_MIN_SEGMENTS)


cdef inline bint is_huge(const Segments *segments, Py_ssize_t i) noexcept nogil:
    """Whether the segment is large enough that threads share it."""
    cdef Py_ssize_t n = length_of(segments, i)
    return n*lines_of(segments) >= SEGMENT_HUGE_BYTES//segments.plan.itemsize and (
        n > SEGMENT_TILE_ELEMENTS or goes_whole(segments))


cdef Py_ssize_t stretch_of(const Segments *segments) noexcept nogil:
    """How many elements of the axis have the work that a thread takes at a time."""
    cdef Py_ssize_t elements = SEGMENT_STRETCH_ELEMENTS//lines_of(segments)
    return max(elements, 1 if goes_whole(segments) else SHARE_GRAIN_ELEMENTS)


# One segment ----------------------------------------------------------------------------------------------------------

cdef void put_part(const Segments *segments, Py_ssize_t i, const char *elements, char *result,
                   Plan *part) noexcept nogil:
    """Let the plan be that of one segment, of the line or lines whose arrays begin there."""
    part.data[ELEMENTS] = <char *>elements + segments.offsets[i]*segments.plan.reduced.stride[<int>ELEMENTS][0]
    if reduces(part):
        part.data[RESULT] = result + i*segments.result_stride
    else:
        part.data[RESULT] = result + segments.offsets[i]*segments.plan.reduced.stride[<int>RESULT][0]
    part.reduced.shape[0] = length_of(segments, i)


cdef int do_part(const Plan *part) noexcept nogil:
    cdef Route route
    route_of(part, &route)
    return walk_alone(part, &route)


cdef void store_number(const Plan *plan, double value, char *place) noexcept nogil:
    cdef float single = <float>value
    plan.store(<const char *>&value if plan.itemsize == sizeof(double) else <const char *>&single, 1, place, 0,
               plan.swapped[RESULT])


cdef void put_nothing(const Segments *segments, Py_ssize_t i) noexcept nogil:
    """The results of an empty segment."""
    cdef Cursor cursor
    start(&cursor, &segments.plan.kept, 0, 0, lines_of(segments))
    while cursor.left:
        store_number(segments.plan, -INFINITY,
                     segments.plan.data[RESULT] + cursor.offset[RESULT] + i*segments.result_stride)
        advance(&cursor, 1)


cdef int do_whole_segments(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Space *space) noexcept nogil:
    """All lines of a segment at a time."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t i
    space.part = plan[0]
    for i in range(first, last):
        if length_of(segments, i) == 0:
            if reduces(plan):
                put_nothing(segments, i)
        elif not is_huge(segments, i):
            put_part(segments, i, plan.data[ELEMENTS], plan.data[RESULT], &space.part)
            if do_part(&space.part):
                return -1
    return 0


# Tiles of short segments ----------------------------------------------------------------------------------------------

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
    """The rows of a tile for segments of n elements: n up to 16, then eight sizes from one power of two to the next."""
    cdef Py_ssize_t step = 1
    while (n - 1)//step >= 16:
        step *= 2
    return (n + step - 1)//step*step


cdef void gather_segments(const real **sources, const Py_ssize_t *lengths, Py_ssize_t columns, Py_ssize_t width,
                          Py_ssize_t rows, real *tile) noexcept nogil:
    """Lay segments side by side, shortest first, and fill them up with -inf."""
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
    """Take the first of n sorted segments of a line, as many as make a tile, from elements to results.

    Returns how many. Where they are `packed`, elements and results of a segment lie at its place; else at its offset.
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
    """The short segments of a window, in one line."""
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
                      plan.swapped[ELEMENTS], staged + space.place[space.order[i]])
    done = 0
    while done < n:
        done += do_tile(segments, first, space.order + done, n - done, source, not in_place, target, space)
    if in_place or reduces(plan):
        return
    for i in range(n):
        done = first + space.order[i]
        plan.store(staged + space.place[space.order[i]], length_of(segments, done),
                   result + segments.offsets[done]*step, step, plan.swapped[RESULT])


cdef int do_line(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Py_ssize_t n, const char *elements,
                 char *result, Space *space, const real *type_) noexcept nogil:
    """A window of segments, of which n are short, in one line."""
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
            if reduces(plan):               # the number joins those of the window
                space.part.data[RESULT] = <char *>(values + (i - first))
            if do_part(&space.part):
                return -1
    if reduces(plan):
        store_values(segments, first, last, result, values)
    return 0


cdef void store_values(const Segments *segments, Py_ssize_t first, Py_ssize_t last, char *result,
                       const real *values) noexcept nogil:
    """Store the numbers of a window, but for those of segments that are done elsewhere."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t i, begin = first
    for i in range(first, last + 1):
        if i == last or is_huge(segments, i):
            plan.store(values + (begin - first), i - begin, result + begin*segments.result_stride,
                       segments.result_stride, plan.swapped[RESULT])
            begin = i + 1


cdef void copy_values(const real *values, Py_ssize_t n, real *to, Py_ssize_t stride, bint swapped) noexcept nogil:
    """A Store for numbers that stay in the type of the computation."""
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = values[i]


cdef int do_segments_by_line(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Space *space) noexcept nogil:
    """Windows of segments, one line after the other."""
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t end, n, elements
    cdef Cursor cursor
    cdef int failed = 0
    space.part = plan[0]
    space.part.kept.ndim = 0
    if reduces(plan):                       # into space.values
        space.part.direct[RESULT] = True
        space.part.swapped[RESULT] = False
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


# Stretches shared by threads ------------------------------------------------------------------------------------------

cdef struct Shared:
    const Segments *segments
    Py_ssize_t stretches
    int failed


cdef Py_ssize_t first_from(const Segments *segments, Py_ssize_t element) noexcept nogil:
    """The first segment that begins at the element or later."""
    cdef Py_ssize_t low = 0, high = segments.n, middle
    while low < high:
        middle = low + (high - low)//2
        if segments.offsets[middle] < element:
            low = middle + 1
        else:
            high = middle
    return low


cdef int do_stretch(const Segments *segments, Py_ssize_t stretch, bint is_last, Space *space) noexcept nogil:
    cdef Py_ssize_t elements = stretch_of(segments), first = first_from(segments, stretch*elements)
    cdef Py_ssize_t last = segments.n if is_last else first_from(segments, (stretch + 1)*elements)
    if goes_whole(segments):
        return do_whole_segments(segments, first, last, space)
    return do_segments_by_line(segments, first, last, space)


cdef void work_on_stretches(void *context, Queue *queue) noexcept nogil:
    cdef Shared *shared = <Shared *>context
    cdef Space *space = <Space *>malloc(sizeof(Space))
    cdef Py_ssize_t stretch
    if space == NULL:
        return
    stretch = take(queue)
    while stretch >= 0:
        if do_stretch(shared.segments, stretch, stretch == shared.stretches - 1, space):
            shared.failed = 1               # every thread that writes it writes 1
        stretch = take(queue)
    free(space)


cdef int walk_alone_along(Shared *shared) noexcept nogil:
    cdef Space *space = <Space *>malloc(sizeof(Space))
    cdef Py_ssize_t stretch
    if space == NULL:
        return -1
    for stretch in range(shared.stretches):
        if do_stretch(shared.segments, stretch, stretch == shared.stretches - 1, space):
            shared.failed = 1
    free(space)
    return 0


cdef int walk_huge_segments(const Segments *segments) except -2:
    """Walk each as a call of its own, whose threads share its rows or pieces."""
    cdef Plan *part = <Plan *>malloc(sizeof(Plan))      # 10 KB would be a third of the stack that a call may take
    cdef Py_ssize_t i
    cdef int failed = 0
    if part == NULL:
        return -1
    part[0] = segments.plan[0]
    try:
        for i in range(segments.n):
            if is_huge(segments, i):
                put_part(segments, i, segments.plan.data[ELEMENTS], segments.plan.data[RESULT], part)
                failed = failed or walk(part)
    finally:
        free(part)
    return failed


cdef int walk_segments(const Segments *segments) except -2:
    cdef Shared shared
    cdef Environment environment
    cdef Py_ssize_t along = segments.plan.reduced.shape[0], size = along*lines_of(segments)*segments.plan.itemsize
    cdef Py_ssize_t threads = threads_of_caller() if size >= SHARE_MIN_BYTES else 1
    cdef int failed
    note(SEGMENTS)
    if size >= SEGMENT_HUGE_BYTES and walk_huge_segments(segments):
        return -1
    shared.segments, shared.failed = segments, 0
    shared.stretches = along//stretch_of(segments) + 1
    enter_environment(&environment)
    try:
        if threads > 1 and shared.stretches > 1:
            failed = share(work_on_stretches, &shared, shared.stretches, threads)
        else:
            with nogil:
                failed = walk_alone_along(&shared)
    finally:
        leave_environment(&environment)
    return -1 if failed or shared.failed else 0
