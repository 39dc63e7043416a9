# logcumsumexp, from its arguments to its results.

cdef object scan_array(object a, object axis, object reverse, object exclusive, object out, object dtype)
