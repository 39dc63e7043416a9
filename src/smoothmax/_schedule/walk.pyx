"""Walk a plan along its route: on the calling thread, or with units or pieces shared by several threads.

The number of threads changes neither the route nor the order in which partial sums are merged, so the bits are the
same. This file knows no mathematics. The included files form one module, because calls between modules would slow short
calls: they have the notes for explain, rows without a plan, the walk of one thread, and that of several.
"""

from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._schedule.atomics cimport load
from smoothmax._schedule.plan cimport Plan, count
from smoothmax._schedule.route cimport AT_TARGETS, SCAN_TILE, Route, route_of
from smoothmax._schedule.threads cimport threads_of_caller
from smoothmax._thresholds cimport CACHE_LINE_BYTES, GIL_MIN_ELEMENTS, SHARE_MIN_BYTES, SHARE_MIN_UNITS

include "notes.pxi"
include "single_row.pxi"
include "alone.pxi"
include "shared.pxi"


cdef int walk_route(const Plan *plan, const Route *route, Py_ssize_t size, Py_ssize_t threads,
                    bint shares_pieces) except -2:
    cdef int failed
    if shares_pieces:
        return share_pieces(plan, route, threads)
    if threads > 1:
        return share_units(plan, route, size, threads)
    if size < GIL_MIN_ELEMENTS:
        return walk_alone(plan, route)
    with nogil:
        failed = walk_alone(plan, route)
    return failed


cdef inline Py_ssize_t elements_to_read(const Plan *plan, const Route *route) noexcept nogil:
    """How many elements the walk brings into cache."""
    cdef Py_ssize_t of_line = CACHE_LINE_BYTES//plan.itemsize
    return count(&plan.kept, 0)*(min(of_line, route.length) if route.name == AT_TARGETS else route.length)


cdef int walk(const Plan *plan) except -2:
    cdef Route route
    cdef Environment environment
    cdef Py_ssize_t size, threads
    cdef bint shares_pieces
    route_of(plan, &route)
    size = elements_to_read(plan, &route)
    threads = threads_of_caller() if size*plan.itemsize >= SHARE_MIN_BYTES else 1
    shares_pieces = (threads > 1 and route.pieces > 1 and route.units < SHARE_MIN_UNITS*threads
                     and route.name != SCAN_TILE)
    if load(&explained) and routes != NULL:
        (<list>routes).append(described(&route, "alone" if threads == 1 else "pieces" if shares_pieces else "units"))
    enter_environment(&environment)
    try:
        return walk_route(plan, &route, size, threads, shares_pieces)
    finally:
        leave_environment(&environment)
