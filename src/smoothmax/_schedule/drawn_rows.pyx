"""The results of categorical: for rows of one block, for rows whose stretches are summed, and for tiles."""

from smoothmax._kernels.interface cimport clear
from smoothmax._schedule.packed cimport Packed, pack
from smoothmax._schedule.plan cimport INDICES, UNIFORM_NUMBERS, Plan, inner_stride
from smoothmax._schedule.score_rows cimport Division, Row, Scores, Space, add_elements, block_of, stage_block, upwards
from smoothmax._thresholds cimport ROW_BLOCK_LANES, TILE_COLUMNS


cdef void refuse(Scores *scores, Row *row) noexcept nogil:
    cdef Py_ssize_t i
    scores.undefined = 1                        # every thread that writes it writes 1
    for i in range(scores.number):
        (<Py_ssize_t *>row.bases.data[INDICES])[i] = -1


cdef void draw_from_block(Scores *scores, const Division *division, Space *space, Row *row,
                          const char *elements) noexcept nogil:
    """Draw from a row of one block, which needs no partial sums."""
    cdef const double *uniforms = <const double *>row.bases.data[UNIFORM_NUMBERS]
    cdef Py_ssize_t *indices = <Py_ssize_t *>row.bases.data[INDICES]
    cdef Py_ssize_t n = division.length, i
    cdef double total
    scores.kernels.cumulate_block(elements, n, space.values, space.of_lanes)
    total = space.of_lanes[upwards(n, division.block//ROW_BLOCK_LANES) - 1]
    if total - total != 0:
        refuse(scores, row)
        return
    if space.running != NULL:
        scores.kernels.pick_elements(space.values, space.of_lanes, n, uniforms, scores.number, space.running, indices)
        return
    for i in range(scores.number):
        indices[i] = scores.kernels.pick_element(space.values, space.of_lanes, n, uniforms[i])


cdef void draw_from_stretch(Scores *scores, const Division *division, Space *space, Py_ssize_t i, Py_ssize_t stretch,
                            Py_ssize_t first_draw) noexcept nogil:
    """Make all draws from `first_draw` on that fall into this stretch."""
    cdef Row *row = &space.rows[i]
    cdef double *uniforms = <double *>row.bases.data[UNIFORM_NUMBERS]
    cdef Py_ssize_t *indices = <Py_ssize_t *>row.bases.data[INDICES]
    cdef Py_ssize_t begin = stretch*division.part, length = min(division.part, division.length - begin)
    cdef Py_ssize_t blocks = upwards(length, division.block), block, first, n = 0, at = -1, draw
    cdef double largest
    cdef Packed *sums = space.sums + division.rows*division.parts
    if blocks > 1:
        for block in range(blocks):
            first = begin + block*division.block
            n = min(division.block, begin + length - first)
            largest = stage_block(scores, division, space, i, 1, first, n)
            clear(space.state, 1)
            add_elements(scores, space, block_of(scores, division, space, i, first), n, largest)
            pack(space.state, 1, <char *>&sums[block], 0)
        scores.kernels.cumulate(<const double *>sums, blocks, space.of_blocks)
    for draw in range(first_draw, scores.number):
        if indices[draw] != ~stretch:
            continue
        block = scores.kernels.pick(space.of_blocks, blocks, uniforms[draw], &uniforms[draw]) if blocks > 1 else 0
        first = begin + block*division.block
        if block != at:
            n = min(division.block, begin + length - first)
            stage_block(scores, division, space, i, 1, first, n)
            scores.kernels.cumulate_block(block_of(scores, division, space, i, first), n, space.values, space.of_lanes)
            at = block
        indices[draw] = first + scores.kernels.pick_element(space.values, space.of_lanes, n, uniforms[draw])


cdef void draw_from_row(Scores *scores, const Division *division, Space *space, Py_ssize_t i) noexcept nogil:
    """Draw from a row whose stretches are summed.

    Until the element of a draw is known, its index is the complement of its stretch. Its uniform number is replaced by
    the number's place within that stretch.
    """
    cdef Row *row = &space.rows[i]
    cdef double *uniforms = <double *>row.bases.data[UNIFORM_NUMBERS]
    cdef Py_ssize_t *indices = <Py_ssize_t *>row.bases.data[INDICES]
    cdef Py_ssize_t draw
    if not scores.kernels.cumulate(<const double *>row.sums, division.parts, space.cumulative):
        refuse(scores, row)
        return
    for draw in range(scores.number):
        indices[draw] = ~scores.kernels.pick(space.cumulative, division.parts, uniforms[draw], &uniforms[draw])
    for draw in range(scores.number):
        if indices[draw] < 0:
            draw_from_stretch(scores, division, space, i, ~indices[draw], draw)


# Tiles ----------------------------------------------------------------------------------------------------------------

cdef void draw_from_columns(Scores *scores, const Division *division, Space *space, Py_ssize_t columns) noexcept nogil:
    cdef const Plan *plan = scores.plan
    cdef Py_ssize_t draw, j, step = inner_stride(&plan.kept, UNIFORM_NUMBERS)
    cdef Py_ssize_t index_step = inner_stride(&plan.kept, INDICES)
    cdef double totals[TILE_COLUMNS]
    cdef double uniforms[TILE_COLUMNS]
    cdef double indices[TILE_COLUMNS]
    scores.kernels.exponentiate_tile(space.tile, TILE_COLUMNS, division.length, columns, space.of_tile, totals)
    for j in range(TILE_COLUMNS):
        uniforms[j] = 0
    for draw in range(scores.number):
        for j in range(columns):
            uniforms[j] = (<const double *>(space.tile_bases.data[UNIFORM_NUMBERS] + j*step))[draw]
        scores.kernels.pick_of_tile(space.of_tile, division.length, columns, totals, uniforms, indices)
        for j in range(columns):
            (<Py_ssize_t *>(space.tile_bases.data[INDICES] + j*index_step))[draw] = <Py_ssize_t>indices[j]
            if indices[j] < 0:
                scores.undefined = 1
