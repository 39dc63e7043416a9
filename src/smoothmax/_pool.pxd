# Items of work, shared by the calling thread and a pool of others.

cdef struct Queue:
    Py_ssize_t items
    Py_ssize_t next     # to be handed out


# Takes items from the queue, and does them, until none is left; takes none if there is no memory for it. Several
# threads call it at once.
ctypedef void (*Work)(void *context, Queue *queue) noexcept nogil

cdef Py_ssize_t take(Queue *queue) noexcept nogil      # -1 when none is left
cdef int share(Work work, void *context, Py_ssize_t items, int threads) except -2
