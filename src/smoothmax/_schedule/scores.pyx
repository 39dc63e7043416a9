"""Walk rows of logits to find their largest log-probabilities, or to draw from their distributions.

A row is read once, block by block, where it lies or through the scratch. Each block is added to the row's sum, and its
candidates to the best. For draws, each stretch of a row gets a partial sum instead, and the few blocks that uniform
numbers fall into are read again. If the elements of a row lie far apart, several rows that lie side by side are taken
together.

How a row is divided follows from its length alone, so neither layout nor threads show in the bits. This file knows no
mathematics.
"""

from libc.stdlib cimport free, malloc

from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport Candidate, Kernels, clear
from smoothmax._schedule.candidates cimport join_best
from smoothmax._schedule.drawn_rows cimport draw_from_block, draw_from_columns, draw_from_row
from smoothmax._schedule.packed cimport Packed, pack, unpack
from smoothmax._schedule.plan cimport count
from smoothmax._schedule.pool cimport Queue, share, take
from smoothmax._schedule.score_rows cimport (
    DRAWS, TOP, Division, Row, Scores, Space, add_elements, allocate_space, away_of_scores, block_of, divide_rows,
    stage_block, stage_columns, take_rows, upwards,
)
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._schedule.top_rows cimport top_of_columns, top_of_long_row, top_of_short_row
from smoothmax._schedule.walk cimport note
from smoothmax._thresholds cimport (
    GIL_MIN_ELEMENTS, SHARE_GRAIN_ELEMENTS, SHARE_MIN_BYTES, SHARE_MIN_UNITS, SHARE_THREAD_ITEMS, TILE_COLUMNS,
    TOP_SORTED_ELEMENTS,
)


# Rows -----------------------------------------------------------------------------------------------------------------

cdef void sum_part(const Scores *scores, const Division *division, Space *space, Py_ssize_t rows,
                   Py_ssize_t part) noexcept nogil:
    """Sum a piece or a stretch of each row, and keep the best of its candidates."""
    cdef Py_ssize_t first = part*division.part, end = min(first + division.part, division.length), n, i, found
    cdef double staged, largest
    cdef const char *elements
    cdef Row *row
    for i in range(rows):
        clear(space.state, 1)
        pack(space.state, 1, <char *>&space.rows[i].sum, 0)
    while first < end:
        n = min(division.block, end - first)
        staged = stage_block(scores, division, space, 0, rows, first, n)
        for i in range(rows):
            largest = staged
            row = &space.rows[i]
            elements = block_of(scores, division, space, i, first)
            if scores.scoring == TOP:
                found = scores.kernels.find_candidates(elements, n, first, scores.number, row.best.known,
                                                       &largest, space.maxima, row.best.fresh)
                join_best(&row.best, found, division.block + 1)
            unpack(<const char *>&row.sum, 0, 1, space.state)
            space.state.away = away_of_scores(scores, division, space, i, first, n)
            add_elements(scores, space, elements, n, largest)
            pack(space.state, 1, <char *>&row.sum, 0)
        first += n


cdef void merge_stored(const Kernels *kernels, Space *space, Packed *total, const Packed *sum_) noexcept nogil:
    unpack(<const char *>total, 0, 1, space.total)
    unpack(<const char *>sum_, 0, 1, space.state)
    kernels.merge(space.total, space.state, 0, 1, TILE_COLUMNS)
    pack(space.total, 1, <char *>total, 0)


cdef void walk_group(Scores *scores, const Division *division, Space *space, Py_ssize_t group) noexcept nogil:
    """Compute the results of a group of rows."""
    cdef Py_ssize_t rows, part, i
    cdef double largest
    cdef Row *row
    if division.tiles:
        rows = stage_columns(scores, division, space, group)
        if scores.scoring == TOP:
            top_of_columns(scores, division, space, rows)
        else:
            draw_from_columns(scores, division, space, rows)
        return
    rows = take_rows(scores, division, space, group)
    if division.length <= division.block:
        largest = stage_block(scores, division, space, 0, rows, 0, division.length)
        for i in range(rows):
            if scores.scoring == TOP:
                top_of_short_row(scores, division, space, &space.rows[i], block_of(scores, division, space, i, 0),
                                 largest)
            else:
                draw_from_block(scores, division, space, &space.rows[i], block_of(scores, division, space, i, 0))
        return
    for part in range(division.parts):
        sum_part(scores, division, space, rows, part)
        for i in range(rows):
            row = &space.rows[i]
            if scores.scoring == DRAWS:
                row.sums[part] = row.sum
            elif part == 0:
                row.total = row.sum
            else:
                merge_stored(scores.plan.kernels, space, &row.total, &row.sum)
    for i in range(rows):
        if scores.scoring == TOP:
            top_of_long_row(scores, division, space, &space.rows[i])
        else:
            draw_from_row(scores, division, space, i)


# Threads --------------------------------------------------------------------------------------------------------------

cdef struct Shared:
    Scores *scores
    const Division *division
    Py_ssize_t grain            # groups that a thread takes at a time


cdef void work_on_groups(void *context, Queue *queue) noexcept nogil:
    cdef Shared *shared = <Shared *>context
    cdef Space space
    cdef Py_ssize_t item, group
    if not allocate_space(shared.scores, shared.division, &space):
        return
    item = take(queue)
    while item >= 0:
        for group in range(item*shared.grain, min((item + 1)*shared.grain, shared.division.groups)):
            walk_group(shared.scores, shared.division, &space, group)
        item = take(queue)
    free(space.memory)


cdef int walk_scores_alone(Scores *scores, const Division *division) noexcept nogil:
    cdef Space space
    cdef Py_ssize_t group
    if not allocate_space(scores, division, &space):
        return -1
    for group in range(division.groups):
        walk_group(scores, division, &space, group)
    free(space.memory)
    return 0


# Few long rows: threads share their parts -----------------------------------------------------------------------------

cdef struct SharedParts:
    Scores *scores
    const Division *division
    Py_ssize_t group            # a group of one row
    Py_ssize_t grain            # parts that a thread takes at a time
    Packed *sums                # of each part,
    Candidate *candidates       # and its best
    Py_ssize_t *counts


cdef bint shares_parts(const Scores *scores, const Division *division, Py_ssize_t threads) noexcept nogil:
    return (threads > 1 and division.parts > 1 and division.rows == 1 and division.groups < SHARE_MIN_UNITS*threads
            and (scores.scoring == DRAWS or scores.number <= TOP_SORTED_ELEMENTS))


cdef void work_on_parts(void *context, Queue *queue) noexcept nogil:
    cdef SharedParts *shared = <SharedParts *>context
    cdef Py_ssize_t k = shared.scores.number, item, part, i
    cdef Space space
    cdef Row *row = &space.rows[0]
    if not allocate_space(shared.scores, shared.division, &space):
        return
    item = take(queue)
    while item >= 0:
        for part in range(item*shared.grain, min((item + 1)*shared.grain, shared.division.parts)):
            take_rows(shared.scores, shared.division, &space, shared.group)
            sum_part(shared.scores, shared.division, &space, 1, part)
            shared.sums[part] = row.sum
            if shared.scores.scoring == TOP:
                shared.counts[part] = row.best.count
                for i in range(row.best.count):
                    shared.candidates[part*k + i] = row.best.held[i]
        item = take(queue)
    free(space.memory)


cdef void finish_shared_row(SharedParts *shared, Space *space) noexcept nogil:
    """Do what walk_group does once the parts of a row are known."""
    cdef Py_ssize_t k = shared.scores.number, part, i
    cdef Row *row = &space.rows[0]
    take_rows(shared.scores, shared.division, space, shared.group)
    if shared.scores.scoring == DRAWS:
        row.sums = shared.sums
        draw_from_row(shared.scores, shared.division, space, 0)
        return
    row.total = shared.sums[0]
    for part in range(shared.division.parts):
        if part:
            merge_stored(shared.scores.plan.kernels, space, &row.total, &shared.sums[part])
        for i in range(shared.counts[part]):
            row.best.fresh[i] = shared.candidates[part*k + i]
        join_best(&row.best, shared.counts[part], 0)
    top_of_long_row(shared.scores, shared.division, space, row)


cdef int share_parts(Scores *scores, const Division *division, Py_ssize_t threads) except -2:
    cdef SharedParts shared
    cdef Space space
    cdef Py_ssize_t kept = scores.number if scores.scoring == TOP else 0
    cdef char *memory = <char *>malloc(
        division.parts*(sizeof(Packed) + kept*sizeof(Candidate) + sizeof(Py_ssize_t)))
    cdef int failed = 0
    if memory == NULL:
        return -1
    shared.scores, shared.division = scores, division
    shared.grain = upwards(SHARE_GRAIN_ELEMENTS, division.part)
    shared.sums = <Packed *>memory
    shared.candidates = <Candidate *>(shared.sums + division.parts)
    shared.counts = <Py_ssize_t *>(shared.candidates + division.parts*kept)
    try:
        if not allocate_space(scores, division, &space):
            return -1
        try:
            for shared.group in range(division.groups):
                failed = share(work_on_parts, &shared, upwards(division.parts, shared.grain), threads)
                if failed:
                    return failed
                with nogil:
                    finish_shared_row(&shared, &space)
        finally:
            free(space.memory)
    finally:
        free(memory)
    return 0


cdef int walk_divided(Scores *scores, const Division *division, Py_ssize_t size, Py_ssize_t threads) except -2:
    cdef Shared shared
    cdef int failed
    if shares_parts(scores, division, threads):
        return share_parts(scores, division, threads)
    if threads > 1 and division.groups > 1:
        shared.scores, shared.division = scores, division
        shared.grain = max(SHARE_GRAIN_ELEMENTS*division.groups//size + 1,
                           division.groups//(SHARE_THREAD_ITEMS*threads))
        return share(work_on_groups, &shared, upwards(division.groups, shared.grain), threads)
    if size < GIL_MIN_ELEMENTS:
        return walk_scores_alone(scores, division)
    with nogil:
        failed = walk_scores_alone(scores, division)
    return failed


cdef int walk_scores(Scores *scores) except -2:
    cdef Division division
    cdef Environment environment
    cdef Py_ssize_t size = scores.plan.reduced.shape[0]*count(&scores.plan.kept, 0)
    cdef Py_ssize_t threads = threads_of_caller() if size*scores.plan.itemsize >= SHARE_MIN_BYTES else 1
    divide_rows(scores, &division)
    note(division.route)
    enter_environment(&environment)
    try:
        return walk_divided(scores, &division, size, threads)
    finally:
        leave_environment(&environment)
