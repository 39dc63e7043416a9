# Reductions of segments of an axis, which follow each other and differ in length.

from smoothmax._schedule.plan cimport Plan

cdef struct Segments:
    const Plan *plan            # of the whole arrays; segments divide its reduced axis
    const Py_ssize_t *offsets   # where each segment begins, and where the last one ends
    Py_ssize_t n                # segments
    Py_ssize_t result_stride    # from one segment's result to the next, if each is a single number

cdef int walk_segments(const Segments *segments) except -2      # -1: no memory
