# Prefetch memory that the processor does not fetch by itself.
#
# Most kernels first read a block for its maximum, as fast as memory delivers it, and then sum it, which is limited by
# arithmetic. Meanwhile they prefetch the next block. `ahead` is its distance in elements, or 0 for no prefetching.

cdef enum:
    NO_PREFETCH = 0


cdef inline void prefetch(const real *x, Py_ssize_t n) noexcept nogil:
    """Prefetch n elements that will be read soon; they need not exist.

    The line of the last element of each chunk is prefetched. The first line was covered by the call for the elements
    before.
    """
    cdef Py_ssize_t j, line = CACHE_LINE_BYTES//<Py_ssize_t>sizeof(real)
    for j from 0 <= j < n by line:
        prefetch_line(x + j + line - 1)


cdef inline void prefetch_l2(const real *x, Py_ssize_t n) noexcept nogil:
    """prefetch, but into L2, because L1 is full (P10)."""
    cdef Py_ssize_t j, line = CACHE_LINE_BYTES//<Py_ssize_t>sizeof(real)
    for j from 0 <= j < n by line:
        prefetch_line_l2(x + j + line - 1)


cdef inline void prefetch_lanes(const real *x, Py_ssize_t n, Py_ssize_t ahead) noexcept nogil:
    """Prefetch n lanes that lie `ahead`: those of a later group of columns into L2 (P22), others into L1.

    A distance of rows that happens to be the same does no harm.
    """
    if ahead == COLUMN_PREFETCH_LANES*lanes_of(x):
        prefetch_l2(x, n)
    else:
        prefetch(x, n)


cdef inline void prefetch_to_write(const real *out, Py_ssize_t n) noexcept nogil:
    """Prefetch the lines that n results will be written to."""
    cdef Py_ssize_t j, line = CACHE_LINE_BYTES//<Py_ssize_t>sizeof(real)
    for j from 0 <= j < n by line:
        prefetch_line_to_write(out + j + line - 1)


cdef inline Py_ssize_t rows_ahead(Py_ssize_t rows, Py_ssize_t ld, real _) noexcept nogil:
    """`ahead` for the next rows of a tile; 0 if the rows share a few sets of the cache and would evict each other."""
    return 0 if ld*<Py_ssize_t>sizeof(real) % UNFETCHED_STRIDE_BYTES == 0 else rows


cdef inline Py_ssize_t lanes_ahead(const real *x, Py_ssize_t ld, Py_ssize_t rows) noexcept nogil:
    """`ahead` for later lanes of the same rows; 0 if they are in cache or the processor prefetches them itself.

    Those of the next group of columns arrive too late, but later ones of many rows would fill L2 (P22).
    """
    cdef bint few = rows <= COLUMN_PREFETCH_FAR_MAX_ROWS
    cdef Py_ssize_t least = COLUMN_PREFETCH_FAR_MIN_BYTES if few else COLUMN_PREFETCH_MIN_BYTES
    if rows <= COLUMN_PREFETCH_MIN_ROWS or rows*ld*<Py_ssize_t>sizeof(real) <= least:
        return 0
    return rows_ahead(COLUMN_PREFETCH_LANES*lanes_of(x) if few else lanes_of(x), ld, <real>0)


cdef inline void prefetch_below(const real *x, Py_ssize_t ld, const real *out, Py_ssize_t out_ld,
                                Py_ssize_t rows) noexcept nogil:
    """Prefetch the elements and results that lie `rows` rows below; they need not exist.

    A tile in a band writes that row after the other tiles of the band have had their turn (P8).
    """
    prefetch_to_write(out + rows*out_ld, lanes_of(x))
    prefetch(x + rows*ld, lanes_of(x))
