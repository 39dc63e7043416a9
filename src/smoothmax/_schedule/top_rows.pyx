"""The results of top_log_probs: for short rows, for rows whose sum and best candidates are known, and for tiles."""

from libc.math cimport INFINITY, NAN

from smoothmax._kernels.interface cimport NATIVE, Candidate
from smoothmax._schedule.candidates cimport finish_best, join_best, start_best
from smoothmax._schedule.packed cimport unpack
from smoothmax._schedule.plan cimport INDICES, RESULT, Plan, inner_stride
from smoothmax._schedule.score_rows cimport Division, Row, Scores, Space, number_at, put_number, upwards
from smoothmax._thresholds cimport LANE_BYTES, TILE_COLUMNS


cdef void put_undefined(const Scores *scores, const Row *row) noexcept nogil:
    """Store the results of a row whose log-probabilities are all nan: being equal, its first elements are best."""
    cdef Py_ssize_t i
    cdef double value = NAN
    cdef float single = <float>NAN
    for i in range(scores.number):
        scores.plan.store(<const char *>&value if scores.plan.itemsize == sizeof(double) else <const char *>&single,
                          1, row.bases.data[RESULT] + i*scores.result_bytes, 0, NATIVE)
        (<Py_ssize_t *>row.bases.data[INDICES])[i] = i


cdef void put_best(const Scores *scores, const Division *division, Space *space, Row *row,
                   bint finished) noexcept nogil:
    """Store the results of a row: computed from the state if it is `finished`, otherwise found in space.values."""
    cdef const Plan *plan = scores.plan
    cdef Py_ssize_t done = 0, n, i
    cdef const Candidate *best
    while done < scores.number:
        n = min(scores.number - done, division.block)
        best = row.best.held + done
        for i in range(n):
            (<Py_ssize_t *>row.bases.data[INDICES])[done + i] = best[i].index
        if finished:
            for i in range(n):
                put_number(space.values, i, plan.itemsize, best[i].value)
            plan.kernels.write_row(space.state, space.values, NULL, n, space.values)
            plan.store(space.values, n, row.bases.data[RESULT] + done*scores.result_bytes, scores.result_bytes, NATIVE)
        else:
            for i in range(n):
                plan.store(space.values + best[i].index*plan.itemsize, 1,
                           row.bases.data[RESULT] + (done + i)*scores.result_bytes, 0, NATIVE)
        done += n


cdef void top_of_short_row(const Scores *scores, const Division *division, Space *space, Row *row,
                           const char *elements, double largest) noexcept nogil:
    """Compute the results of a row of one block, from log_softmax of all its elements.

    `largest` is the largest of these, and then space.maxima has those of groups; or it is nan.
    """
    cdef const Plan *plan = scores.plan
    cdef Py_ssize_t n = division.length, i, found
    cdef double value
    cdef bint undefined = False
    plan.kernels.fused_row(elements, n, 0, NULL, space.values)
    found = scores.kernels.find_candidates(elements, n, 0, scores.number, NAN, &largest, space.maxima,
                                           row.best.fresh)
    join_best(&row.best, found, 0)
    finish_best(&row.best)
    value = number_at(space.values, row.best.held[0].index, plan.itemsize) if row.best.count else NAN
    if value != value:
        # All elements are -inf, or one is nan; or the largest is inf, and the others are -inf.
        undefined = row.best.count < scores.number or row.best.held[0].value < 0
        for i in range(n):
            value = number_at(elements, i, plan.itemsize)
            undefined = undefined or value != value
    if undefined:
        put_undefined(scores, row)
    else:
        put_best(scores, division, space, row, finished=False)


cdef void top_of_long_row(const Scores *scores, const Division *division, Space *space, Row *row) noexcept nogil:
    """Compute the results of a row whose sum and best candidates are known."""
    cdef double log_sum
    unpack(<const char *>&row.total, 0, 1, space.state)
    scores.plan.kernels.finish(space.state, 1, NULL, NULL)
    log_sum = space.state.normalizer.log_sum[0]
    finish_best(&row.best)
    if log_sum != log_sum or space.state.sum.partial.maximum[0] == -INFINITY:
        put_undefined(scores, row)
    else:
        put_best(scores, division, space, row, finished=True)


# Tiles ----------------------------------------------------------------------------------------------------------------

cdef void stage_column(const Scores *scores, const Division *division, const char *tile, Py_ssize_t column,
                       Space *space) noexcept nogil:
    """Copy a column of a tile to the memory where a block is staged."""
    cdef Py_ssize_t i, itemsize = scores.plan.itemsize
    for i in range(division.length):
        put_number(space.elements, i, itemsize, number_at(tile, i*TILE_COLUMNS + column, itemsize))


cdef void top_of_columns(const Scores *scores, const Division *division, Space *space,
                         Py_ssize_t columns) noexcept nogil:
    cdef const Plan *plan = scores.plan
    cdef Py_ssize_t n = division.length, k = scores.number, itemsize = plan.itemsize, filled, i, j
    cdef Row *row
    cdef Py_ssize_t *indices
    cdef double value
    filled = upwards(columns, LANE_BYTES//itemsize)*(LANE_BYTES//itemsize)
    if n <= plan.kernels.differences_max_rows:
        plan.kernels.fused_differences_tile(space.tile, TILE_COLUMNS, n, filled, NULL, space.of_tile, TILE_COLUMNS)
    else:
        plan.kernels.fused_tile(space.tile, TILE_COLUMNS, n, filled, NULL, space.of_tile, TILE_COLUMNS)
    scores.kernels.top_of_tile(space.tile, TILE_COLUMNS, n, columns, k, space.of_tile, space.best, space.places)
    for j in range(columns):
        row = &space.rows[0]
        row.bases = space.tile_bases
        row.bases.data[RESULT] += j*inner_stride(&plan.kept, RESULT)
        row.bases.data[INDICES] += j*inner_stride(&plan.kept, INDICES)
        indices = <Py_ssize_t *>row.bases.data[INDICES]
        value = number_at(space.best, j, itemsize)
        if value != value:
            start_best(&row.best, k, division.room, space.held, space.fresh)
            stage_column(scores, division, space.tile, j, space)
            top_of_short_row(scores, division, space, row, space.elements, NAN)
            continue
        for i in range(k):
            put_number(space.values, i, itemsize, number_at(space.best, i*TILE_COLUMNS + j, itemsize))
            indices[i] = <Py_ssize_t>number_at(space.places, i*TILE_COLUMNS + j, itemsize)
        plan.store(space.values, k, row.bases.data[RESULT], scores.result_bytes, NATIVE)
