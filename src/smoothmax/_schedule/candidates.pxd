# The k largest elements of a row so far, and the candidates that may replace some of them.

from smoothmax._kernels.interface cimport Candidate


cdef struct Best:
    # Of equal elements, the one with the lower index is better.
    Candidate *held             # the best so far; sorted, with `room` for k, if k is at most TOP_SORTED_ELEMENTS
    Candidate *fresh            # where the next candidates go: after those held, unless these are sorted
    Py_ssize_t k
    Py_ssize_t room
    Py_ssize_t count            # how many are held
    double known                # the value of the worst of k elements; nan while fewer are known


cdef void start_best(Best *best, Py_ssize_t k, Py_ssize_t room, Candidate *held, Candidate *fresh) noexcept nogil
cdef void join_best(Best *best, Py_ssize_t number, Py_ssize_t next_block) noexcept nogil
cdef void finish_best(Best *best) noexcept nogil
