"""Walk the segments of an axis: short ones side by side, each of the others like a separate call.

Segments of up to SEGMENT_TILE_ELEMENTS are sorted by length, one window of them at a time, so that the segments of a
tile are about equally long. The number of rows of a tile follows from the length of each of its segments, so the bits
of a segment do not depend on the others; shorter segments are filled up with -inf. Longer segments are rows. If several
lines lie side by side and fill the lanes, each segment of any length is a tile by itself.

Threads take the segments that begin in equal stretches of the axis, which have about the same number of elements. A
window does not reach from one stretch into the next, so the bits do not depend on the threads. This file knows no
mathematics.
"""

from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from smoothmax._kernels.cache_lines cimport prefetch_line, prefetch_line_to_write
from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport NATIVE, ByteOrder
from smoothmax._schedule.plan cimport (
    ELEMENTS, RESULT, Cursor, Plan, Store, advance, count, inner_shape, inner_stride, start,
)
from smoothmax._schedule.pool cimport Queue, share, take
from smoothmax._schedule.route cimport SEGMENTS, Route, route_of
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._schedule.walk cimport note, walk, walk_alone
from smoothmax._thresholds cimport (
    CACHE_LINE_BYTES, LANE_BYTES, SEGMENT_HUGE_BYTES, SEGMENT_LINE_MIN_SEGMENTS, SEGMENT_SIZED_ROWS,
    SEGMENT_STRETCH_ELEMENTS, SEGMENT_TILE_ELEMENTS, SEGMENT_WINDOW_ELEMENTS, SEGMENT_WINDOW_SEGMENTS,
    SHARE_GRAIN_ELEMENTS, SHARE_MIN_BYTES, TILE_COLUMNS,
)

ctypedef fused real:
    float
    double


cdef struct ShortSegments:
    # Those of a window, sorted by length.
    Py_ssize_t begins[SEGMENT_WINDOW_SEGMENTS]  # where elements begin: along the axis, or in the scratch if staged
    int numbers[SEGMENT_WINDOW_SEGMENTS]        # which segments of the window they are,
    int lengths[SEGMENT_WINDOW_SEGMENTS]        # and how many elements each has
    int ends[SEGMENT_TILE_ELEMENTS + 2]         # how many are not longer than the index


cdef enum Access:
    READ
    WRITE


cdef struct Space:
    # The memory of a thread: 780 KiB.
    Plan part                                   # the plan of one segment
    ShortSegments shorts
    double values[SEGMENT_WINDOW_SEGMENTS]      # results of segments that are single numbers, not converted yet
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

    It is if the lines fill the lanes, and either neighbouring lines are closer than neighbouring elements of a line, or
    a line has too few segments for tiles.
    """
    cdef const Plan *plan = segments.plan
    cdef Py_ssize_t across = inner_stride(&plan.kept, ELEMENTS), along = plan.reduced.stride[<int>ELEMENTS][0]
    across = -across if across < 0 else across
    along = -along if along < 0 else along
    return inner_shape(&plan.kept)*plan.itemsize >= LANE_BYTES and (
        across < along or segments.n < SEGMENT_LINE_MIN_SEGMENTS)


cdef inline bint has_huge_size(const Segments *segments, Py_ssize_t n) noexcept nogil:
    """Whether n elements of the axis, in all lines, have the bytes of a huge segment."""
    return n*lines_of(segments)*segments.plan.itemsize >= SEGMENT_HUGE_BYTES


cdef inline bint is_huge(const Segments *segments, Py_ssize_t i) noexcept nogil:
    """Whether a segment is so large that threads share it."""
    cdef Py_ssize_t n = length_of(segments, i)
    return has_huge_size(segments, n) and (n > SEGMENT_TILE_ELEMENTS or goes_whole(segments))


cdef Py_ssize_t stretch_of(const Segments *segments) noexcept nogil:
    """How many elements of the axis a thread takes at a time."""
    cdef Py_ssize_t elements = SEGMENT_STRETCH_ELEMENTS//lines_of(segments)
    return max(elements, 1 if goes_whole(segments) else SHARE_GRAIN_ELEMENTS)


# One segment ----------------------------------------------------------------------------------------------------------

cdef void put_part(const Segments *segments, Py_ssize_t i, const char *elements, char *result,
                   Plan *part) noexcept nogil:
    """Make `part` the plan of one segment, of the line or lines whose arrays begin at these addresses."""
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
               plan.order[RESULT])


cdef void put_nothing(const Segments *segments, Py_ssize_t i) noexcept nogil:
    """Store the results of an empty segment."""
    cdef Cursor cursor
    start(&cursor, &segments.plan.kept, 0, 0, lines_of(segments))
    while cursor.left:
        store_number(segments.plan, -INFINITY,
                     segments.plan.data[RESULT] + cursor.offset[RESULT] + i*segments.result_stride)
        advance(&cursor, 1)


cdef int do_whole_segments(const Segments *segments, Py_ssize_t first, Py_ssize_t last, Space *space) noexcept nogil:
    """Compute each segment in all lines at a time."""
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


include "short_segments.pxi"


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
    """Walk each huge segment like a separate call, whose threads share its rows or pieces.

    A segment of n elements or more has one whose place along the axis is a multiple of n.
    """
    cdef Plan *part = <Plan *>malloc(sizeof(Plan))      # its 10 KB would be a third of the stack that a call may use
    cdef Py_ssize_t n = max(1, SEGMENT_HUGE_BYTES//(lines_of(segments)*segments.plan.itemsize)), element, i, last = -1
    cdef int failed = 0
    if part == NULL:
        return -1
    part[0] = segments.plan[0]
    try:
        for element from 0 <= element < segments.plan.reduced.shape[0] by n:
            i = first_from(segments, element + 1) - 1
            if i > last and is_huge(segments, i):
                last = i
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
