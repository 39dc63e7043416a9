# Lay segments of an axis side by side in a tile, shortest first, and copy results from a tile to such segments.
#
# Segments are taken as many at a time as a block has (data/transpose.pxi), and each from its first to its last element.
# Row by row, as many pages as there are columns would be visited in turn: more than the processor translates at once
# (P52). Elements beyond the shortest of these segments are copied one by one.

cdef inline Py_ssize_t gather_blocks(const real *x, const Py_ssize_t *begins, Py_ssize_t n, Blocks blocks, real *tile,
                                     Py_ssize_t ld) noexcept nogil:
    """Copy n elements of as many segments as blocks have, and return n; or return 0 if n is too small for a block."""
    cdef Py_ssize_t i, row
    if n < TRANSPOSE_BLOCK_ROWS:
        return 0
    for i from 0 <= i < n by TRANSPOSE_BLOCK_ROWS:
        row = min_of(i, n - TRANSPOSE_BLOCK_ROWS)
        if real is double:
            gather_block_f64(x + row, begins, tile + row*ld, ld)
        elif blocks == LONG:
            gather_long_rows_f32(x + row, begins, tile + row*ld, ld)
        else:
            gather_block_f32(x + row, begins, tile + row*ld, ld)
    return n


cdef inline Py_ssize_t scatter_blocks(const real *tile, Py_ssize_t n, Blocks blocks, real *out,
                                      const Py_ssize_t *begins) noexcept nogil:
    """gather_blocks in the other direction."""
    cdef Py_ssize_t i, row
    if n < TRANSPOSE_BLOCK_ROWS:
        return 0
    for i from 0 <= i < n by TRANSPOSE_BLOCK_ROWS:
        row = min_of(i, n - TRANSPOSE_BLOCK_ROWS)
        if real is double:
            scatter_block_f64(tile + row*TILE_COLUMNS, TILE_COLUMNS, out + row, begins)
        elif blocks == LONG:
            scatter_long_columns_f32(tile + row*TILE_COLUMNS, TILE_COLUMNS, out + row, begins)
        else:
            scatter_block_f32(tile + row*TILE_COLUMNS, TILE_COLUMNS, out + row, begins)
    return n


cdef void gather(const real *x, const Py_ssize_t *begins, const int *lengths, Py_ssize_t columns, Py_ssize_t width,
                 Py_ssize_t rows, real *tile) noexcept nogil:
    """tile[i, j] is x[begins[j] + i], -inf beyond the end of a segment, and 0 in columns that have no segment.

    Segments in fewer rows than a block has all have that many elements.
    """
    cdef Blocks blocks = blocks_along(tile, columns)
    cdef Py_ssize_t side = longer_side(blocks), first, done, i, j, k
    if columns < width:
        for i in range(rows):
            for j in range(columns, width):
                tile[i*TILE_COLUMNS + j] = 0
    if rows < TRANSPOSE_BLOCK_ROWS:
        for j in range(columns):
            tile[j] = x[begins[j]]
            if rows > 1:
                tile[TILE_COLUMNS + j] = x[begins[j] + 1]
            if rows > 2:
                tile[2*TILE_COLUMNS + j] = x[begins[j] + 2]
        return
    if columns < side:
        side = 1
    for j from 0 <= j < columns by side:
        first = min_of(j, columns - side)
        if side == 1:
            done = 0
        elif blocks == LONG:
            done = gather_blocks(x, begins + first, lengths[first], LONG, tile + first, TILE_COLUMNS)
        else:
            done = gather_blocks(x, begins + first, lengths[first], SQUARE, tile + first, TILE_COLUMNS)
        for k in range(first, first + side if done < rows else first):
            for i in range(done, lengths[k]):
                tile[i*TILE_COLUMNS + k] = x[begins[k] + i]
            for i in range(lengths[k], rows):
                tile[i*TILE_COLUMNS + k] = <real>-INFINITY


cdef void scatter(const real *tile, const int *lengths, Py_ssize_t columns, real *out,
                  const Py_ssize_t *begins) noexcept nogil:
    """out[begins[j] + i] is tile[i, j], up to the end of each segment."""
    cdef Blocks blocks = blocks_along(tile, columns)
    cdef Py_ssize_t side = longer_side(blocks), rows = lengths[columns - 1], first, done, i, j, k
    if rows < TRANSPOSE_BLOCK_ROWS:
        for j in range(columns):
            out[begins[j]] = tile[j]
            if rows > 1:
                out[begins[j] + 1] = tile[TILE_COLUMNS + j]
            if rows > 2:
                out[begins[j] + 2] = tile[2*TILE_COLUMNS + j]
        return
    if columns < side:
        side = 1
    for j from 0 <= j < columns by side:
        first = min_of(j, columns - side)
        if side == 1:
            done = 0
        elif blocks == LONG:
            done = scatter_blocks(tile + first, lengths[first], LONG, out, begins + first)
        else:
            done = scatter_blocks(tile + first, lengths[first], SQUARE, out, begins + first)
        for k in range(first, first + side if done < lengths[first + side - 1] else first):
            for i in range(done, lengths[k]):
                out[begins[k] + i] = tile[i*TILE_COLUMNS + k]


cdef void gather_lanes(const real *x, const Py_ssize_t *begins, Py_ssize_t n, real *panel) noexcept nogil:
    """Lay n neighbours each, which begin at x[begins[j]], side by side in the lanes."""
    cdef Py_ssize_t width = lanes_of(x), first, done, i, j
    cdef Blocks blocks = blocks_along(panel, width)
    for first from 0 <= first < width by longer_side(blocks):
        if blocks == LONG:
            done = gather_blocks(x, begins + first, n, LONG, panel + first, width)
        else:
            done = gather_blocks(x, begins + first, n, SQUARE, panel + first, width)
        for i in range(done, n):
            for j in range(first, first + longer_side(blocks)):
                panel[i*width + j] = x[begins[j] + i]
