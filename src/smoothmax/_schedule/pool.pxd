# Items of work that the calling thread and a pool of helpers share.

from smoothmax._thresholds cimport MAX_QUEUES


cdef struct Queues:
    # The items of a call, divided into queues of neighbours, one for each of the first threads.
    Py_ssize_t items
    Py_ssize_t number               # of queues
    Py_ssize_t length               # of each; the last ones may be shorter, or empty
    Py_ssize_t next[MAX_QUEUES]     # the next item to be taken, counted within its queue


cdef struct Queue:
    # The queue that a thread takes its next item from.
    Queues *queues
    Py_ssize_t number


# Takes items from the queue and does them until none is left; takes none if it gets no memory. Several threads call it
# at the same time.
ctypedef void (*Work)(void *context, Queue *queue) noexcept nogil

cdef Py_ssize_t take(Queue *queue) noexcept nogil      # -1 when none is left
cdef int share(Work work, void *context, Py_ssize_t items, int threads) except -2
cdef int enlarge_pool(int size) except -1
cdef int share_among(Work work, void *context, Py_ssize_t items, int threads) noexcept nogil
