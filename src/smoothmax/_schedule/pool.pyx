"""The pool of threads that help a call, and how work is handed to them. This file does not know what the work is.

The calling thread does one item of work after the other, and so does every helper that joins it. At the end the calling
thread waits only for helpers that have begun. On a busy machine it may finish all work before a helper gets a
processor.

Helpers are threads that Python does not know. They wait in C and never take the GIL, so an interrupt cannot come
between a call and its helpers, and work is handed over by changing a word that the helper watches.
"""

import os

from cpython.pythread cimport (
    WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock,
)
from libc.stdlib cimport calloc, free

from smoothmax._kernels.environment cimport Environment, enter_environment
from smoothmax._schedule.atomics cimport (
    exchange, fetch_and_increment, keep_bits, load, load_address, replace, store_address,
)
from smoothmax._thresholds cimport MAX_QUEUES, SPIN_YIELDS

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

    /* The system delivers a signal of the process to any thread that does not block it. Helpers block all signals from
       their first moment on, so that a program that waits for a signal in its main thread gets it there. They do not
       block the signals that a thread causes itself. */
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
    void yield_processor "smoothmax_yield"()    # to a thread that is ready to run


cdef enum:
    # The state of a helper. From TAKEN until FREE, the helper belongs to one call.
    FREE = 0
    TAKEN = 1           # a call is describing its work
    READY = 2           # the helper may begin
    RUNNING = 3
    AWAITED = 4         # as RUNNING, while the call sleeps until the helper is done
    DONE = 5
    ASLEEP = 8          # added to FREE or DONE: the call that makes the helper READY must wake it


cdef struct Helper:
    int state
    Work work
    void *context
    Queue queue
    PyThread_type_lock wake     # the helper sleeps on this lock, and holds it while awake
    PyThread_type_lock done     # the call sleeps on this lock, which is always held
    Helper *another             # the next helper of the same call
    Helper *next                # the next helper in the pool


# A list that only grows. A thread may follow it while another adds a helper, because the helper is complete before
# `pool` points to it. Only the thread that has set `enlarging` adds helpers. `enlarging` is not a lock, so a fork need
# not wait for its release.
cdef void *pool = NULL          # the Helper that was started last
cdef int pool_size = 0
cdef int enlarging = 0


# A helper ------------------------------------------------------------------------------------------------------------

cdef void wait_for_work(Helper *helper) noexcept nogil:
    """Wait for work, at first awake, so that calls in quick succession need not wake the helper."""
    cdef int _look, state
    while True:
        for _look in range(SPIN_YIELDS):
            if load(&helper.state) == READY:
                return
            yield_processor()
        state = load(&helper.state)
        if (state == FREE or state == DONE) and replace(&helper.state, state, state | ASLEEP):
            PyThread_acquire_lock(helper.wake, WAIT_LOCK)


cdef void serve(void *argument) noexcept nogil:
    """Never return: a process that ends need not ask its helpers to stop."""
    cdef Helper *helper = <Helper *>argument
    cdef Environment inherited
    enter_environment(&inherited)               # inherited from the starting thread; it is never restored
    name_thread()
    while True:
        wait_for_work(helper)
        if not replace(&helper.state, READY, RUNNING):
            continue                            # the call has done all of the work
        helper.work(helper.context, &helper.queue)
        if exchange(&helper.state, DONE) == AWAITED:
            PyThread_release_lock(helper.done)


# The pool ------------------------------------------------------------------------------------------------------------

def _helpers():
    """Return the number of helpers, for tests."""
    return load(&pool_size)


def _forget():
    """Forget all helpers in a forked child: the parent's helpers do not run there, and their locks may be held."""
    global pool, pool_size, enlarging
    pool = NULL
    pool_size = 0
    enlarging = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


cdef void free_helper(Helper *helper) noexcept:
    if helper.wake != NULL:
        PyThread_free_lock(helper.wake)
    if helper.done != NULL:
        PyThread_free_lock(helper.done)
    free(helper)


cdef Helper *new_helper() noexcept:
    """Start a helper; NULL if there is no memory for it, or the system has no more threads."""
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
    free_helper(helper)
    return NULL


cdef int enlarge_pool(int size) except -1:
    """Start helpers until there are `size` of them, or until one cannot be started.

    While another thread starts helpers, this thread goes on with the existing ones, as if the new ones came too late.
    """
    cdef Helper *helper
    if not replace(&enlarging, 0, 1):
        return 0
    while load(&pool_size) < size:
        helper = new_helper()
        if helper == NULL:
            break
        helper.next = <Helper *>load_address(&pool)
        store_address(&pool, helper)
        exchange(&pool_size, pool_size + 1)
    exchange(&enlarging, 0)
    return 0


# A call --------------------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t queue_length(const Queues *queues, Py_ssize_t number) noexcept nogil:
    return min(queues.length, queues.items - number*queues.length)


cdef void divide_items(Queues *queues, Py_ssize_t items, Py_ssize_t threads) noexcept nogil:
    """Give each of the first threads a queue of neighbouring items."""
    cdef Py_ssize_t number
    queues.items = items
    queues.number = min(threads, MAX_QUEUES)
    queues.length = items//queues.number + (items % queues.number > 0)
    for number in range(queues.number):
        queues.next[number] = 0


cdef bint all_taken(const Queues *queues) noexcept nogil:
    cdef Py_ssize_t number
    for number in range(queues.number):
        if queues.next[number] < queue_length(queues, number):
            return False
    return True


cdef Py_ssize_t take(Queue *queue) noexcept nogil:
    """Take an item from the thread's own queue, or from other queues once that is empty.

    So a thread finds the data of its last call in its processor's cache, and two threads seldom handle neighbouring
    items, which may share a cache line, at the same time.
    """
    cdef Queues *queues = queue.queues
    cdef Py_ssize_t _queue, i
    for _queue in range(queues.number):
        i = fetch_and_increment(&queues.next[queue.number])
        if i < queue_length(queues, queue.number):
            return queue.number*queues.length + i
        queue.number = (queue.number + 1) % queues.number
    return -1


cdef Helper *ask(Helper *helper, int wanted, Work work, void *context, Queues *queues) noexcept nogil:
    """Start up to `wanted` free helpers, from `helper` on; returns the last of them, which links to the others."""
    cdef Helper *asked = NULL
    cdef int state
    while helper != NULL and wanted:
        state = load(&helper.state)
        if (state == FREE or state == FREE | ASLEEP) and replace(&helper.state, state, TAKEN):
            helper.work = work
            helper.context = context
            helper.queue.queues = queues
            helper.queue.number = wanted % queues.number
            helper.another = asked
            asked = helper
            wanted -= 1
            exchange(&helper.state, READY)
            if state & ASLEEP:
                PyThread_release_lock(helper.wake)
        helper = helper.next
    return asked


cdef void release(Helper *helper) noexcept nogil:
    """Make a helper FREE once it has finished its item. From then on it does not touch the call's memory."""
    cdef int _look
    if replace(&helper.state, READY, FREE):
        return
    for _look in range(SPIN_YIELDS):
        if load(&helper.state) != RUNNING:
            break
        yield_processor()
    if replace(&helper.state, RUNNING, AWAITED):
        PyThread_acquire_lock(helper.done, WAIT_LOCK)
    keep_bits(&helper.state, ASLEEP)


cdef int share_among(Work work, void *context, Py_ssize_t items, int threads) noexcept nogil:
    """Do all items in the calling thread and up to `threads` - 1 helpers; -1 if no thread had memory for its part."""
    cdef Queues queues
    cdef Queue queue
    cdef Helper *helper
    cdef Helper *another
    cdef int wanted = max(0, min(items, threads) - 1)
    divide_items(&queues, items, wanted + 1)
    queue.queues = &queues
    queue.number = 0
    helper = ask(<Helper *>load_address(&pool), wanted, work, context, &queues)
    work(context, &queue)
    while helper != NULL:
        another = helper.another
        release(helper)
        helper = another
    return 0 if all_taken(&queues) else -1


cdef int share(Work work, void *context, Py_ssize_t items, int threads) except -2:
    """The same without the GIL, once there are so many helpers."""
    cdef int wanted = max(0, min(items, threads) - 1), failed
    if wanted > load(&pool_size):
        enlarge_pool(wanted)
    with nogil:
        failed = share_among(work, context, items, threads)
    return failed
