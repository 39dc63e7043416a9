# Write a row of results: as a tile whose columns all have the state of the row.
#
# So an operation has one loop that writes results. Spreading the state costs 0.4 to 0.7 % of the instructions (P40).

cdef inline void spread_state(const State *state, Py_ssize_t n, State *columns) noexcept nogil:
    """Give n columns what `finish` left in column 0."""
    cdef Py_ssize_t j
    for j in range(n):
        columns.sum.maximum[j] = state.sum.maximum[0]
        columns.dot.dot[j] = state.dot.dot[0]
        columns.dot.dot_low[j] = state.dot.dot_low[0]
        columns.normalizer.log_sum[j] = state.normalizer.log_sum[0]
        columns.normalizer.inverse[j] = state.normalizer.inverse[0]
        columns.normalizer.inverse_low[j] = state.normalizer.inverse_low[0]
        columns.normalizer.saturates_above[j] = state.normalizer.saturates_above[0]
        columns.loss.slope[j] = state.loss.slope[0]
        columns.loss.slope_low[j] = state.loss.slope_low[0]


cdef void write_row(WriteTile write_tile, const State *state, const real *x, const real *b, Py_ssize_t n,
                    real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, remaining = n - rows*width
    cdef State columns
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    spread_state(state, width, &columns)
    write_tile(&columns, x, width, b, width, rows, width, out, width, NO_PREFETCH)
    if remaining:
        pad(x + rows*width, remaining, tail)
        if b != NULL:
            pad(b + rows*width, remaining, tail_b)
        write_tile(&columns, tail, width, tail_b, width, 1, width, tail, width, NO_PREFETCH)
        unpad(tail, remaining, out + rows*width)
