"""How many threads a call may use, and the pool they come from. Knows nothing of the work.

The calling thread does items of work one after the other, and so does every thread of the pool that comes to help. It
waits for those that have come, not for those that have not: on a busy machine it may have done all of it by then.
"""

import contextvars
import os

from cpython.pythread cimport (
    WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock,
)

cdef extern from * nogil:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    #define smoothmax_next(counter) ((Py_ssize_t)_InterlockedExchangeAdd64((volatile __int64 *)(counter), 1))
    #else
    #define smoothmax_next(counter) __atomic_fetch_add((counter), 1, __ATOMIC_RELAXED)
    #endif
    """
    Py_ssize_t fetch_and_increment "smoothmax_next"(Py_ssize_t *counter)

__all__ = ["get_num_threads", "num_threads", "set_num_threads"]


# How many ------------------------------------------------------------------------------------------------------------

def _allowed_by_environment(environment):
    """The number that SMOOTHMAX_NUM_THREADS or, failing that, OMP_NUM_THREADS names; None if neither does."""
    text = environment.get("SMOOTHMAX_NUM_THREADS", "").strip()
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise ImportError(f"SMOOTHMAX_NUM_THREADS must be a positive integer, got {text!r}")
        return int(text)
    text = environment.get("OMP_NUM_THREADS", "").split(",")[0].strip()     # it may have a number for each nesting
    return int(text) if text.isdecimal() and int(text) else None


def _allowed_by_system():
    """The number of processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _checked(number):
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"number must be an integer, got {number!r}")
    if number.__index__() < 1:
        raise ValueError(f"number must be at least 1, got {number}")
    return number.__index__()


_environment = _allowed_by_environment(os.environ)
_of_process = None                  # until somebody asks
_of_context = contextvars.ContextVar("smoothmax.num_threads", default=0)     # 0: as many as the process


def get_num_threads():
    """Number of threads that a call from this thread may use.

    Returns
    -------
    int
        What `num_threads` says in this thread, else what `set_num_threads` said, else the number of processors that
        the process may run on, at most the environment variable ``SMOOTHMAX_NUM_THREADS`` or, failing that,
        ``OMP_NUM_THREADS``.

    See Also
    --------
    set_num_threads : set it for the process.
    num_threads : set it for a block of code.

    Examples
    --------
    >>> import smoothmax
    >>> with smoothmax.num_threads(1):
    ...     smoothmax.get_num_threads()
    1
    """
    return threads_of_caller()


def set_num_threads(number):
    """Set the number of threads that calls from any thread may use.

    Results do not depend on it, to the last bit. Small arrays are not shared: a call that takes less than some 100
    microseconds stays on the thread that makes it.

    Parameters
    ----------
    number : int
        At least 1, the calling thread included; it may exceed the number of processors.

    Raises
    ------
    TypeError
        A `number` that is not an integer.
    ValueError
        A `number` less than 1.

    See Also
    --------
    get_num_threads : the number at present.
    num_threads : set it for a block of code, in one thread.

    Examples
    --------
    >>> import smoothmax
    >>> before = smoothmax.get_num_threads()
    >>> smoothmax.set_num_threads(1)
    >>> smoothmax.get_num_threads()
    1
    >>> smoothmax.set_num_threads(before)
    """
    global _of_process
    _of_process = _checked(number)


class num_threads:
    """Context manager: the number of threads that calls from this thread may use in a block of code.

    Other threads, those started in the block too, are not affected. Blocks may be nested.

    Parameters
    ----------
    number : int
        At least 1, the calling thread included.

    Raises
    ------
    TypeError
        A `number` that is not an integer.
    ValueError
        A `number` less than 1.

    See Also
    --------
    set_num_threads : set it for all threads.

    Examples
    --------
    >>> import numpy as np
    >>> import smoothmax
    >>> with smoothmax.num_threads(1):
    ...     float(smoothmax.logsumexp(np.zeros(1000)))
    6.907755278982137
    """

    def __init__(self, number):
        self._number = _checked(number)
        self._tokens = []

    def __enter__(self):
        self._tokens.append(_of_context.set(self._number))

    def __exit__(self, *_):
        _of_context.reset(self._tokens.pop())


cdef int threads_of_caller() except -1:
    global _of_process
    number = _of_context.get()
    if number:
        return number
    if _of_process is None:
        allowed = _allowed_by_system()
        _of_process = min(allowed, _environment) if _environment else allowed
    return _of_process


# The pool ------------------------------------------------------------------------------------------------------------

cdef object pool = None
cdef int pool_size = 0


def _forget_pool():
    """In a forked child: its threads are the parent's."""
    global pool, pool_size
    pool = None
    pool_size = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


cdef object pool_of(int size):
    """A pool of at least that many threads. One that is replaced goes when its last call ends."""
    global pool, pool_size
    if size > pool_size:
        from concurrent.futures import ThreadPoolExecutor   # here: it takes longer to import than all of this package

        pool = ThreadPoolExecutor(size, "smoothmax", _of_context.set, (1,))
        pool_size = size
    return pool


def _pool():
    """The pool, once it is there; for tests."""
    return pool


cdef Py_ssize_t take(Queue *queue) noexcept nogil:
    cdef Py_ssize_t item = fetch_and_increment(&queue.next)
    return item if item < queue.items else -1


cdef class Job:
    # A piece of work while it is shared. `helpers` and `closed` change under the GIL only.
    cdef Work work
    cdef void *context
    cdef Queue queue
    cdef int helpers                    # at it
    cdef bint closed                    # nobody may begin any more: the context is about to go
    cdef PyThread_type_lock all_gone    # held until closed and without helpers

    def __cinit__(self):
        self.all_gone = PyThread_allocate_lock()
        if self.all_gone == NULL:
            raise MemoryError("no memory for a lock")
        PyThread_acquire_lock(self.all_gone, WAIT_LOCK)

    def __dealloc__(self):
        if self.all_gone != NULL:
            PyThread_free_lock(self.all_gone)

    def help(self):
        if self.closed:
            return
        self.helpers += 1
        with nogil:
            self.work(self.context, &self.queue)
        self.helpers -= 1
        if self.closed and not self.helpers:
            PyThread_release_lock(self.all_gone)


cdef int share(Work work, void *context, Py_ssize_t items, int threads) except -2:
    """Have all items done, by the calling thread and up to `threads` - 1 others; -1 if nobody had memory for it."""
    cdef Job job = Job()
    cdef int _i
    job.work = work
    job.context = context
    job.queue.items = items
    try:
        for _i in range(min(items, threads) - 1):
            pool_of(threads - 1).submit(job.help)
    except RuntimeError:        # the interpreter is ending, or the system has no more threads
        pass
    finally:                    # an interrupt may come while others are at work already
        with nogil:
            work(context, &job.queue)
        job.closed = True
        if job.helpers:
            with nogil:         # no interrupt here: they use the caller's memory
                PyThread_acquire_lock(job.all_gone, WAIT_LOCK)
    return 0 if job.queue.next >= items else -1
