# Arguments as the user gave them, in; the result, out.

from smoothmax._kernels.table cimport Operation

cdef object reduce_array(object a, object axis, object b, object keepdims, object return_sign, object where,
                         object out, object dtype)
cdef object transform_array(Operation operation, object x, object axis, object where, object out, object dtype)
