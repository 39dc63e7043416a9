# Arguments as the user gave them, in; the result, out. And the steps between, for calls of other functions.

cimport numpy as cnp

from smoothmax._kernels.interface cimport Operation
from smoothmax._schedule.plan cimport ROLES, Plan

cdef enum:
    MAX_NDIM = 64


cdef struct Shape:
    # The shape that all arrays of a call are broadcast to, which of its axes are reduced, and the strides.
    int ndim
    cnp.npy_intp shape[MAX_NDIM]
    bint reduced[MAX_NDIM]
    cnp.npy_intp stride[ROLES][MAX_NDIM]


cdef object reduce_array(object a, object axis, object b, object keepdims, object return_sign, object where,
                         object out, object dtype)
cdef object transform_array(Operation operation, object x, object axis, object where, object out, object dtype)

cdef cnp.ndarray as_array(object x, str name)
cdef cnp.ndarray as_mask(object where)
cdef object computed_dtype(object dtype)
cdef object result_dtype(object a, cnp.ndarray array, object b, cnp.ndarray weights, object dtype)
cdef int mark_axes(object axis, Shape *shape) except -1
cdef void shape_of(cnp.ndarray array, Shape *shape) noexcept
cdef int broadcast(cnp.ndarray array, cnp.ndarray other, str name, Shape *shape) except -1
cdef void take_strides(cnp.ndarray array, int role, Shape *shape) noexcept
cdef void take_reduced_strides(cnp.ndarray array, int role, bint keepdims, Shape *shape) noexcept
cdef void no_strides(int role, Shape *shape) noexcept
cdef Py_ssize_t size_of(const Shape *shape) noexcept
cdef int check_out(object out, int ndim, const cnp.npy_intp *shape, object dtype) except -1
cdef cnp.ndarray new_result(cnp.ndarray array, Shape *shape, int number)
cdef cnp.ndarray apart(cnp.ndarray array, cnp.ndarray out, bint elementwise)
cdef void put_array(Plan *plan, int role, cnp.ndarray array, int number) noexcept
cdef void put_result(Plan *plan, cnp.ndarray result, int computing, Shape *shape) noexcept
cdef void put_reduced_result(Plan *plan, cnp.ndarray result, int computing, bint keepdims, Shape *shape) noexcept
cdef void put_value(Plan *plan, cnp.ndarray value, int computing, bint keepdims, Shape *shape) noexcept
cdef int prepare(Plan *plan, Operation operation, Shape *shape, cnp.ndarray array, cnp.ndarray weights,
                 cnp.ndarray mask, int number) except -1
cdef int run(Plan *plan, const Shape *shape) except -1
