# Prefetch single cache lines: the instructions, which do nothing where a compiler has no name for them.

from libc.stdint cimport uintptr_t

from smoothmax._thresholds cimport CACHE_LINE_BYTES


cdef extern from * nogil:
    """
    #if defined(__GNUC__)
    #define SMOOTHMAX_PREFETCH(p) __builtin_prefetch(p)
    #define SMOOTHMAX_PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
    #define SMOOTHMAX_PREFETCH_TO_WRITE(p) __builtin_prefetch(p, 1)
    #else
    #define SMOOTHMAX_PREFETCH(p)
    #define SMOOTHMAX_PREFETCH_L2(p)
    #define SMOOTHMAX_PREFETCH_TO_WRITE(p)
    #endif
    """
    void prefetch_line "SMOOTHMAX_PREFETCH"(const void *p)
    void prefetch_line_l2 "SMOOTHMAX_PREFETCH_L2"(const void *p)
    void prefetch_line_to_write "SMOOTHMAX_PREFETCH_TO_WRITE"(const void *p)


cdef inline char *cache_line_of(void *memory) noexcept nogil:
    """The first cache line of the memory. Vectors that straddle two lines take twice as long to load."""
    return <char *>((<uintptr_t>memory + CACHE_LINE_BYTES - 1)//CACHE_LINE_BYTES*CACHE_LINE_BYTES)


cdef inline void prefetch_bytes_l2(const char *x, Py_ssize_t n) noexcept nogil:
    """Prefetch n bytes into L2; they need not exist.

    As in loops/prefetch.pxi, the line of the last byte of each chunk is prefetched.
    """
    cdef Py_ssize_t i
    for i from 0 <= i < n by CACHE_LINE_BYTES:
        prefetch_line_l2(x + i + CACHE_LINE_BYTES - 1)


cdef inline void prefetch_bytes(const char *x, Py_ssize_t n) noexcept nogil:
    """prefetch_bytes_l2, into L1."""
    cdef Py_ssize_t i
    for i from 0 <= i < n by CACHE_LINE_BYTES:
        prefetch_line(x + i + CACHE_LINE_BYTES - 1)
