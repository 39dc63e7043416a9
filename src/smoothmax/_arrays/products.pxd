# logmatmulexp: from arguments to results.

cdef object multiply_arrays(object a, object b, object out, object dtype, object exact)
