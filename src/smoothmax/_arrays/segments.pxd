# Reductions of segments, from their arguments to their results.

from smoothmax._kernels.interface cimport Operation

cdef object segment_array(Operation operation, object a, object offsets, object axis, object out, object dtype)
cdef object offsets_of(object ids, object num_segments)
