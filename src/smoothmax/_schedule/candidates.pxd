# The k largest elements of a row so far, and those that may join them.

from smoothmax._kernels.interface cimport Candidate


cdef struct Best:
    # Of equal elements the one with the lower index is the better.
    Candidate *held             # the best so far, sorted if k is at most TOP_SORTED_ELEMENTS; then `room` is k
    Candidate *fresh            # where the next candidates go: behind those that are held, unless they are sorted
    Py_ssize_t k
    Py_ssize_t room
    Py_ssize_t count            # held
    bint all_known              # k elements are known, of which the worst has this value:
    double known


cdef void start_best(Best *best, Py_ssize_t k, Py_ssize_t room, Candidate *held, Candidate *fresh) noexcept nogil
cdef void join_best(Best *best, Py_ssize_t number, Py_ssize_t next_block) noexcept nogil
cdef void finish_best(Best *best) noexcept nogil
