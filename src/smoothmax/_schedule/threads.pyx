"""How many threads a call may use. Knows nothing of where they come from."""

import contextvars
import os

__all__ = ["get_num_threads", "num_threads", "set_num_threads"]


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

    Results do not depend on it, to the last bit. Small arrays are not shared: a call that takes less than some 35
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
