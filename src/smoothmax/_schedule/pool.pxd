# Items of work, shared by the calling thread and a pool of others.

cdef enum:
    MOST_RUNS = 64


cdef struct Runs:
    # The items of a call: a run of neighbours for each of its first threads.
    Py_ssize_t items
    Py_ssize_t number
    Py_ssize_t length               # the last ones may be shorter
    Py_ssize_t next[MOST_RUNS]      # to be handed out, in each of them


cdef struct Queue:
    # Where one of the threads gets them.
    Runs *runs
    Py_ssize_t run


# Takes items from the queue, and does them, until none is left; takes none if there is no memory for it. Several
# threads call it at once.
ctypedef void (*Work)(void *context, Queue *queue) noexcept nogil

cdef Py_ssize_t take(Queue *queue) noexcept nogil      # -1 when none is left
cdef int share(Work work, void *context, Py_ssize_t items, int threads) except -2
