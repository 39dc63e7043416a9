"""How many threads a call may use: num_threads decides, else set_num_threads, else the environment and the system."""

import contextvars
import operator
import os
import time

from smoothmax._thresholds cimport MAX_THREADS, QUOTA_SECONDS

__all__ = ["get_num_threads", "num_threads", "set_num_threads"]

cdef extern from * nogil:
    """
    #if defined(__linux__)
    #include <sched.h>
    /* sched_getaffinity refuses a mask with fewer bits than a kernel can have processors: NR_CPUS, at most 8192. A call
       takes 0.2 us. os.sched_getaffinity takes 1 to 10, because it makes a set of integers. */
    static int smoothmax_processors(void) {
        unsigned long mask[8192/(8*sizeof(unsigned long))];
        if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)mask)) return 0;
        return CPU_COUNT_S(sizeof mask, (cpu_set_t *)mask);
    }
    #else
    #define smoothmax_processors() 0
    #endif
    #if defined(_MSC_VER)
    static __declspec(thread) int smoothmax_alone;
    #else
    static __thread int smoothmax_alone;
    #endif
    /* threadpoolctl recognises libraries by the symbols that they export (_hooks/threadpoolctl.py). */
    #if defined(_WIN32)
    __declspec(dllexport)
    #elif defined(__GNUC__)
    __attribute__((visibility("default")))
    #endif
    int smoothmax_has_threads(void) { return 1; }
    """
    int depth_of_one_thread "smoothmax_alone"              # how many blocks of one_thread this thread is in
    int processors_of_thread "smoothmax_processors"()      # that this thread may run on; 0 if the system does not say


def _limit_of_environment(environment):
    """The number in SMOOTHMAX_NUM_THREADS, or else in OMP_NUM_THREADS; MAX_THREADS if neither is set."""
    text = environment.get("SMOOTHMAX_NUM_THREADS", "").strip()
    if text:
        if not text.isdecimal() or not text.strip("0"):
            raise ImportError(f"SMOOTHMAX_NUM_THREADS must be a positive integer, got {text!r}")
        return _at_most_limit(text)
    text = environment.get("OMP_NUM_THREADS", "").split(",")[0].strip()     # it may have a number for each nesting
    return _at_most_limit(text) if text.isdecimal() and text.strip("0") else MAX_THREADS


def _at_most_limit(text):
    """The integer, or MAX_THREADS if that is less. Long numbers are not converted: int() refuses 4300 digits."""
    digits = text.lstrip("0")
    return MAX_THREADS if len(digits) > 9 else min(int(digits), MAX_THREADS)


def _checked(number):
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"number must be an integer, got {number!r}")
    count = operator.index(number)
    shown = count if count.bit_length() < 1000 else f"one of {count.bit_length()} bits"    # str() refuses 4300 digits
    if count < 1:
        raise ValueError(f"number must be at least 1, got {shown}")
    if count > MAX_THREADS:
        raise ValueError(f"number must be at most {MAX_THREADS}, got {shown}")
    return count


# These are Python objects, so threads may replace them at the same time, with the GIL and without. A thread that still
# sees an old quota reads it once more than needed, or a moment late.
_limit = _limit_of_environment(os.environ)
_of_process = 0                     # the number of set_num_threads; 0 for as many as the system allows
_blocks = contextvars.ContextVar("smoothmax.num_threads", default=())       # blocks of this thread, outermost first
_quota = MAX_THREADS                # processors that the control groups allowed when they were last asked,
_quota_until = -1.0                 # and until when that number is used


def get_num_threads():
    """Number of threads that a call from this thread may use.

    Returns
    -------
    int
        The number of `num_threads` in this thread, else that of `set_num_threads`, else the least of these: the number
        of processors that this thread may run on now; the CPU quota of its container or control group, rounded up; the
        environment variable ``SMOOTHMAX_NUM_THREADS`` or, failing that, ``OMP_NUM_THREADS``; and 1024.

    See Also
    --------
    set_num_threads : set it for the process.
    num_threads : set it for a block of code.

    Notes
    -----
    The environment variables are read when smoothmax is imported. They are upper bounds, so large numbers are not
    refused. Every call that is large enough to be shared asks the system for the processors of its thread, which takes
    0.2 of its 35 microseconds or more. Quotas are read from files, so calls read them at most once a second; this
    function always does.

    Examples
    --------
    >>> import smoothmax
    >>> with smoothmax.num_threads(1):
    ...     smoothmax.get_num_threads()
    1
    """
    global _quota_until
    _quota_until = -1.0
    return threads_of_caller()


def set_num_threads(number):
    """Set the number of threads that calls from any thread may use.

    Results do not depend on it, to the last bit. Threads do not share small arrays: a call that takes less than about
    35 microseconds stays on the calling thread.

    Parameters
    ----------
    number : int
        From 1 to 1024, including the calling thread; it may exceed the number of processors.

    Raises
    ------
    TypeError
        A `number` that is not an integer.
    ValueError
        A `number` less than 1 or more than 1024; the setting does not change.

    See Also
    --------
    get_num_threads : the present number.
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

    Other threads are not affected, not even those started in the block, unless Python lets threads inherit the context
    of the thread that starts them, as free-threaded Python 3.14 does (``sys.flags.thread_inherit_context``). Blocks may
    be nested, and one object may be used for several blocks, in several threads or asynchronous tasks at a time.

    Parameters
    ----------
    number : int
        From 1 to 1024, including the calling thread.

    Raises
    ------
    TypeError
        A `number` that is not an integer.
    ValueError
        A `number` less than 1 or more than 1024.
    RuntimeError
        At the end of a block that did not begin in this thread or task.

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

    def __enter__(self):
        _blocks.set((*_blocks.get(), self))

    def __exit__(self, *_):
        """End the last block that this object began; blocks that others began since then go on."""
        blocks = _blocks.get()
        for i in range(len(blocks) - 1, -1, -1):
            if blocks[i] is self:
                _blocks.set(blocks[:i] + blocks[i + 1:])
                return
        raise RuntimeError("num_threads must end in the thread or task in which it began")


cdef class OneThread:
    """Context manager with the effect of num_threads(1), for code of smoothmax that runs in a thread of another pool.

    It allocates no memory, so it cannot fail. num_threads sets a context variable, which takes memory, and CPython 3.11
    ends the process if it gets none.
    """

    def __enter__(self):
        global depth_of_one_thread
        depth_of_one_thread += 1

    def __exit__(self, *_):
        global depth_of_one_thread
        depth_of_one_thread -= 1


one_thread = OneThread()


def _allowed_by_system():
    """The number of processors that this thread may run on, at most the CPU quota of its control groups."""
    global _quota, _quota_until
    cdef int processors = processors_of_thread()
    now = time.monotonic()
    if now >= _quota_until:
        from smoothmax._schedule.processors import cpu_quota

        _quota = cpu_quota() or MAX_THREADS
        _quota_until = now + QUOTA_SECONDS
    return min(processors or os.cpu_count() or 1, _quota)


def get_setting():
    """The number of set_num_threads; 0 if it has not been called."""
    return _of_process


def put_setting(number):
    """set_num_threads for a number that get_setting returned, or for one that may exceed MAX_THREADS."""
    global _of_process
    _of_process = min(number, MAX_THREADS)


def threads_of_process():
    """The number of threads of calls outside of num_threads."""
    return _of_process or min(_allowed_by_system(), _limit)


cdef int threads_of_caller() except -1:
    if depth_of_one_thread:
        return 1
    blocks = _blocks.get()
    if blocks:
        return (<object>blocks[len(blocks) - 1])._number
    return threads_of_process()
