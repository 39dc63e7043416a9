# From arguments as the user gave them to results. The other files of _arrays and _partial/states.pyx use these steps,
# too.

cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact

from smoothmax._kernels.interface cimport Operation
from smoothmax._schedule.plan cimport ELEMENTS, MAX_DIMENSIONS, ROLES, Plan
from smoothmax._schedule.segments cimport Segments


cdef struct Shape:
    # The shape that all arrays of a call are broadcast to, which of its axes are reduced, and the strides in bytes.
    int ndim
    cnp.npy_intp shape[MAX_DIMENSIONS]
    bint reduced[MAX_DIMENSIONS]
    cnp.npy_intp stride[ROLES][MAX_DIMENSIONS]
    Py_ssize_t repeated_left    # bytes that copies of operands may still take (joined_axes.pxi)


cdef class Adjustment:
    # The arguments `scale` and `add`, converted. Calls that do not change the elements have None instead.
    cdef object scale           # a float; longdouble or complex if plain NumPy computes
    cdef object add             # as the user gave it: a Python number promotes by its kind alone
    cdef cnp.ndarray addends    # the same as an array; None if nothing is added


cdef enum ReadOrder:
    # How a call reads an array that may share memory with its output.
    READ_BEFORE_WRITTEN         # no element is read after the result in its place is written
    READ_IN_ANY_ORDER


cdef enum Reduction:
    SUM                         # logsumexp
    MEAN                        # logmeanexp


cdef object reduce_array(Reduction reduction, object a, object axis, object b, object keepdims, object return_sign,
                         object where, object out, object dtype, Adjustment by)
cdef object transform_array(Operation operation, object x, object axis, object where, object out, object dtype,
                            Adjustment by)

# arguments.pxi
cdef str shown(object value)
cdef int refuse_dask(object x, str name) except -1
cdef cnp.ndarray as_array(object x, str name)
cdef cnp.ndarray as_weights(object b)
cdef cnp.ndarray as_numbers(object x, str name)
cdef cnp.ndarray as_mask(object where)
cdef cnp.ndarray as_base(cnp.ndarray array)

# dtypes.pxi
cdef object requested_dtype(object dtype)
cdef object computed_dtype(object dtype)
cdef object promoted(list dtypes)
cdef object result_dtype(object a, cnp.ndarray array, object b, cnp.ndarray weights, object requested, Adjustment by=*)
cdef int kernel_type(int number) noexcept
cdef cnp.ndarray as_type(cnp.ndarray array, object dtype)

# axes.pxi
cdef object as_axis(object axis)
cdef object as_one_axis(object axis)
cdef int mark_axes(object axis, Shape *shape) except -1
cdef tuple tuple_of(const cnp.npy_intp *numbers, int n)
cdef void shape_of(cnp.ndarray array, Shape *shape) noexcept
cdef int broadcast(cnp.ndarray array, cnp.ndarray other, str name, Shape *shape) except -1
cdef Py_ssize_t size_of(const Shape *shape) except -1
cdef int result_shape(const Shape *shape, bint keepdims, cnp.npy_intp *lengths) noexcept
cdef tuple whole_shape(const Shape *shape)
cdef tuple reduced_shape(const Shape *shape, bint keepdims)
cdef tuple reduced_axes(const Shape *shape)
cdef void take_strides(cnp.ndarray array, int role, Shape *shape) noexcept
cdef void take_reduced_strides(cnp.ndarray array, int role, Shape *shape, bint keepdims) noexcept
cdef void clear_strides(int role, Shape *shape) noexcept

# outputs.pxi
cdef int check_out(object out, int ndim, const cnp.npy_intp *shape, object dtype) except -1
cdef cnp.ndarray without_overlap(cnp.ndarray array, cnp.ndarray out, ReadOrder order)
cdef cnp.ndarray new_result(cnp.ndarray array, Shape *shape, int number)

# joined_axes.pxi
cdef cnp.ndarray joined_operand(cnp.ndarray operand, int role, Shape *shape)

# adjustment.pxi
cdef Adjustment new_adjustment(object scale, object add)
cdef int broadcast_addends(cnp.ndarray array, Adjustment by, Shape *shape) except -1
cdef int keep_addends_from(cnp.ndarray out, Adjustment by) except -1
cdef object adjusted_elements(cnp.ndarray array, Adjustment by, object dtype)
cdef int put_adjustment(Plan *plan, Adjustment by, int computing, Shape *shape) except -1

# planning.pxi
cdef void put_array(Plan *plan, int role, cnp.ndarray array, int computing) noexcept
cdef int prepare(Plan *plan, Operation operation, Shape *shape, cnp.ndarray array, cnp.ndarray weights,
                 cnp.ndarray mask, int computing) except -1
cdef void put_result(Plan *plan, cnp.ndarray result, int computing, Shape *shape) noexcept
cdef void take_kernels_of_two_halves(Plan *plan, cnp.ndarray array, cnp.ndarray weights, cnp.ndarray result) noexcept
cdef void take_kernels_of_halves(Plan *plan, int given, int number) noexcept
cdef void put_reduced_result(Plan *plan, cnp.ndarray result, int computing, Shape *shape, bint keepdims) noexcept
cdef void put_value(Plan *plan, cnp.ndarray value, int computing, Shape *shape, bint keepdims) noexcept
cdef void put_axes_in_order(Plan *plan, const Shape *shape, bint reverse) noexcept
cdef int divide_arrays(Plan *plan, Segments *segments, const Shape *shape) except -1
cdef int scan_arrays(Plan *plan, const Shape *shape, bint reverse) except -1
cdef int walk_arrays(Plan *plan, const Shape *shape) except -1

# plain_calls.pxi
cdef object silenced()
cdef object plain_scan(cnp.ndarray array, const Shape *shape, object axis, bint reverse, bint exclusive, object out,
                       object dtype)
cdef object plain_product(cnp.ndarray a, cnp.ndarray b, tuple shape, object out, object dtype)
cdef object plain_top(cnp.ndarray array, int axis, Py_ssize_t k, object dtype)
cdef object plain_draws(cnp.ndarray array, int axis, object uniforms, Adjustment by, object dtype)
cdef object plain_segments(Operation operation, cnp.ndarray array, cnp.ndarray offsets, int axis, object out,
                           object dtype)


cdef inline bint adjusts(object scale, object add) noexcept:
    """Whether the arguments may change elements. Inline, so that calls without them pay for a comparison only."""
    return add is not None or not PyFloat_CheckExact(scale) or PyFloat_AS_DOUBLE(scale) != 1


cdef inline Adjustment adjustment_of(object scale, object add):
    """The adjustment that the arguments ask for; None if they change nothing."""
    return new_adjustment(scale, add) if adjusts(scale, add) else None


cdef inline cnp.ndarray with_joined_axes(cnp.ndarray operand, int role, cnp.ndarray array, Shape *shape):
    """The operand, or a copy that no longer keeps apart short axes that are one stretch of the elements `array`.

    All copies of a call have at most REPEATED_BYTES.
    """
    if operand is None or shape.ndim < 3:
        return operand
    take_strides(array, ELEMENTS, shape)
    return joined_operand(operand, role, shape)
