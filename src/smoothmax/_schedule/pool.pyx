"""The pool of threads that help a call, and how work is handed to them. Knows nothing of the work.

The calling thread does items of work one after the other, and so does every helper that comes. It waits for those that
have come, not for those that have not: on a busy machine it may have done all of it by then.

Helpers are threads that Python knows nothing of. They wait in C and never take the GIL, so no interrupt falls between a
call and its helpers, and to hand over is to change a word that the helper looks at.
"""

import os

from cpython.pythread cimport (
    WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock,
)
from libc.stdlib cimport calloc, free

from smoothmax._schedule.atomics cimport exchange, fetch_and_increment, keep_bits, load, replace

cdef extern from * nogil:
    """
    #include "pythread.h"
    #if defined(_MSC_VER)
    #include <windows.h>
    #define smoothmax_start(function, argument) PyThread_start_new_thread((function), (argument))
    #define smoothmax_name()
    #define smoothmax_yield() ((void)SwitchToThread())
    #else
    #include <pthread.h>
    #include <sched.h>
    #include <signal.h>
    #define smoothmax_yield() ((void)sched_yield())

    /* A signal of the process goes to any thread that does not block it, so helpers do, from their first moment on: who
       has the main thread block one to wait for it there must find it there. What a thread does to itself is left. */
    static unsigned long smoothmax_start(void (*function)(void *), void *argument) {
        static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
        sigset_t signals, before;
        unsigned long thread;
        sigfillset(&signals);
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&signals, own[i]);
        pthread_sigmask(SIG_BLOCK, &signals, &before);
        thread = PyThread_start_new_thread(function, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return thread;
    }
    #if defined(__linux__)
    #define smoothmax_name() pthread_setname_np(pthread_self(), "smoothmax")
    #elif defined(__APPLE__)
    #define smoothmax_name() pthread_setname_np("smoothmax")
    #else
    #define smoothmax_name()
    #endif
    #endif
    """
    unsigned long start_thread "smoothmax_start"(void (*function)(void *) noexcept nogil, void *argument)
    unsigned long PYTHREAD_INVALID_THREAD_ID
    void name_thread "smoothmax_name"()
    void yield_processor "smoothmax_yield"()    # to a thread that waits for it


cdef enum:
    # What a helper is at. It belongs to the call that made it TAKEN until that makes it FREE.
    FREE = 0
    TAKEN = 1           # a call is writing down its work
    READY = 2           # which it may begin
    RUNNING = 3
    AWAITED = 4         # and its call sleeps until it is done
    DONE = 5
    ASLEEP = 8          # with FREE or DONE: whoever makes it READY has to wake it
    # Looks at a word before a thread goes to sleep over it: some 50 us. Between two it gives the processor to whoever
    # wants it. 2026-11, softmax of (128, 512): alone 77 us, with a helper 45. Where other programs keep both processors
    # busy, 119 and 119; but 164 if it pauses (x86) in the place of that, and 261 if it sleeps at once.
    LOOKS = 100


cdef struct Helper:
    int state
    Work work
    void *context
    Queue queue
    PyThread_type_lock wake     # what it sleeps on: taken whenever it is awake
    PyThread_type_lock done     # what its call sleeps on: always taken
    Helper *another             # of the same call
    Helper *next                # in the pool


# They change under the GIL only.
cdef Helper *pool = NULL        # the last one started
cdef int pool_size = 0


# A helper ------------------------------------------------------------------------------------------------------------

cdef void wait_for_work(Helper *helper) noexcept nogil:
    """Awake for a while, so that calls which follow one another need not wake it."""
    cdef int _look, state
    while True:
        for _look in range(LOOKS):
            if load(&helper.state) == READY:
                return
            yield_processor()
        state = load(&helper.state)
        if (state == FREE or state == DONE) and replace(&helper.state, state, state | ASLEEP):
            PyThread_acquire_lock(helper.wake, WAIT_LOCK)


cdef void serve(void *argument) noexcept nogil:
    """For ever, so that a process that ends need not ask it to stop."""
    cdef Helper *helper = <Helper *>argument
    name_thread()
    while True:
        wait_for_work(helper)
        if not replace(&helper.state, READY, RUNNING):
            continue                            # the call has done it all
        helper.work(helper.context, &helper.queue)
        if exchange(&helper.state, DONE) == AWAITED:
            PyThread_release_lock(helper.done)


# The pool ------------------------------------------------------------------------------------------------------------

def _helpers():
    """How many there are; for tests."""
    return pool_size


def _forget():
    """In a forked child: the helpers are the parent's, and what they sleep on may be in any state."""
    global pool, pool_size
    pool = NULL
    pool_size = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


cdef void discard(Helper *helper) noexcept:
    if helper.wake != NULL:
        PyThread_free_lock(helper.wake)
    if helper.done != NULL:
        PyThread_free_lock(helper.done)
    free(helper)


cdef Helper *new_helper() noexcept:
    """NULL if there is no memory for it, or the system has no more threads."""
    cdef Helper *helper = <Helper *>calloc(1, sizeof(Helper))
    if helper == NULL:
        return NULL
    helper.wake = PyThread_allocate_lock()
    helper.done = PyThread_allocate_lock()
    if helper.wake != NULL and helper.done != NULL:
        PyThread_acquire_lock(helper.wake, WAIT_LOCK)
        PyThread_acquire_lock(helper.done, WAIT_LOCK)
        if start_thread(serve, helper) != PYTHREAD_INVALID_THREAD_ID:
            return helper
    discard(helper)
    return NULL


cdef int enlarge_pool(int size) except -1:
    """To that many helpers, or as many as can be had."""
    global pool, pool_size
    cdef Helper *helper
    while pool_size < size:
        helper = new_helper()
        if helper == NULL:
            break
        helper.next = pool
        pool = helper
        pool_size += 1
    return 0


# A call --------------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t run_length(const Runs *runs, Py_ssize_t run) noexcept nogil:
    return min(runs.length, runs.items - run*runs.length)


cdef void lay_out(Runs *runs, Py_ssize_t items, Py_ssize_t threads) noexcept nogil:
    cdef Py_ssize_t run
    runs.items = items
    runs.number = min(threads, MOST_RUNS)
    runs.length = (items + runs.number - 1)//runs.number
    for run in range(runs.number):
        runs.next[run] = 0


cdef bint all_taken(const Runs *runs) noexcept nogil:
    cdef Py_ssize_t run
    for run in range(runs.number):
        if runs.next[run] < run_length(runs, run):
            return False
    return True


cdef Py_ssize_t take(Queue *queue) noexcept nogil:
    """From the thread's own run while that lasts, then from the others'. So calls that follow one another find in each
    processor's cache what it had before; and neighbours, which may share a line of it, are seldom done at one time."""
    cdef Runs *runs = queue.runs
    cdef Py_ssize_t _run, i
    for _run in range(runs.number):
        i = fetch_and_increment(&runs.next[queue.run])
        if i < run_length(runs, queue.run):
            return queue.run*runs.length + i
        queue.run = (queue.run + 1) % runs.number
    return -1


cdef Helper *ask(Helper *helper, int wanted, Work work, void *context, Runs *runs) noexcept nogil:
    """Up to `wanted` helpers, from that one in the pool on. They may begin; gives the last, which knows the others."""
    cdef Helper *asked = NULL
    cdef int state
    while helper != NULL and wanted:
        state = load(&helper.state)
        if (state == FREE or state == FREE | ASLEEP) and replace(&helper.state, state, TAKEN):
            helper.work = work
            helper.context = context
            helper.queue.runs = runs
            helper.queue.run = wanted % runs.number
            helper.another = asked
            asked = helper
            wanted -= 1
            exchange(&helper.state, READY)
            if state & ASLEEP:
                PyThread_release_lock(helper.wake)
        helper = helper.next
    return asked


cdef void release(Helper *helper) noexcept nogil:
    """Once it has done what it has begun: then it knows nothing of the call any more."""
    cdef int _look
    if replace(&helper.state, READY, FREE):
        return
    for _look in range(LOOKS):
        if load(&helper.state) != RUNNING:
            break
        yield_processor()
    if replace(&helper.state, RUNNING, AWAITED):
        PyThread_acquire_lock(helper.done, WAIT_LOCK)
    keep_bits(&helper.state, ASLEEP)


cdef int share(Work work, void *context, Py_ssize_t items, int threads) except -2:
    """Have all items done, by the calling thread and up to `threads` - 1 others; -1 if nobody had memory for it."""
    cdef Runs runs
    cdef Queue queue
    cdef Helper *helper
    cdef Helper *another
    cdef Helper *first
    cdef int wanted = max(0, min(items, threads) - 1)
    if wanted > pool_size:
        enlarge_pool(wanted)
    first = pool
    lay_out(&runs, items, wanted + 1)
    queue.runs = &runs
    queue.run = 0
    with nogil:
        helper = ask(first, wanted, work, context, &runs)
        work(context, &queue)
        while helper != NULL:
            another = helper.another
            release(helper)
            helper = another
    return 0 if all_taken(&runs) else -1
