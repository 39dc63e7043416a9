"""From arguments to a plan: types, axes, strides and outputs. Knows arrays and no mathematics.

Every function here takes what the user passed, raises for what the contract refuses, and returns the result.
"""

cimport numpy as cnp
import numpy as np
from numpy.exceptions import AxisError

from smoothmax._dispatch cimport kernels_of
from smoothmax._elements cimport loader, storer
from smoothmax._walk cimport LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, Axes, Operation, Plan, walk

cdef extern from "numpy/arrayobject.h":
    object PyArray_Scalar(void *data, cnp.dtype dtype, object base)

cnp.import_array()

cdef enum:
    MAX_NDIM = 64
    SMALL = 500     # elements below which giving up the GIL costs more than it is worth (NumPy's own threshold)


NATIVE = {cnp.NPY_FLOAT64: np.dtype(np.float64), cnp.NPY_FLOAT32: np.dtype(np.float32)}


# Types ---------------------------------------------------------------------------------------------------------------

cdef object as_array(object x):
    """x as a NumPy array of a type that can be computed with."""
    cdef cnp.ndarray array
    if type(x) is cnp.ndarray:
        array = x
    elif isinstance(x, np.ma.MaskedArray):
        raise TypeError("masked arrays are not supported: pass the data, and the inverted mask as where=")
    else:
        array = np.asarray(x)
    cdef int number = cnp.PyArray_TYPE(array)
    if number == cnp.NPY_FLOAT64 or number == cnp.NPY_FLOAT32:
        return array
    if array.dtype.kind in "biufc":
        raise NotImplementedError(f"input of dtype {array.dtype} is not implemented yet; float64 and float32 are")
    raise TypeError(f"input must be of a numeric dtype, got {array.dtype}")


cdef int computing_type(cnp.ndarray array, object dtype) except -1:
    """The type number of the computation and of the result."""
    if dtype is None:
        return cnp.PyArray_TYPE(array)
    wanted = np.dtype(dtype)
    if wanted.num == cnp.NPY_FLOAT64 or wanted.num == cnp.NPY_FLOAT32:
        return wanted.num
    if wanted in (np.float16, np.longdouble):
        raise NotImplementedError(f"dtype={wanted} is not implemented yet; float64 and float32 are")
    raise TypeError(f"dtype must be float32, float64, float16 or longdouble, got {wanted}")


# Axes ----------------------------------------------------------------------------------------------------------------

cdef int mark_axis(object axis, int ndim, bint *reduced, object given) except -1:
    cdef Py_ssize_t index
    if isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__"):
        raise TypeError(f"axis must be None, an int or a tuple of ints, got {given!r}")
    index = axis
    if ndim == 0 and given is axis and (index == 0 or index == -1):
        return 0    # as NumPy's reductions have it
    if not -ndim <= index < ndim:
        raise AxisError(index, ndim)
    index += ndim if index < 0 else 0
    if reduced[index]:
        raise ValueError(f"axis {index} is given more than once in axis={given!r}")
    reduced[index] = True
    return 0


cdef int mark_axes(object axis, int ndim, bint *reduced) except -1:
    """reduced[i]: whether axis i is. Axes given twice or that are not there are refused."""
    cdef int i
    for i in range(ndim):
        reduced[i] = axis is None
    if axis is None:
        return 0
    if type(axis) is tuple:
        for one in axis:
            mark_axis(one, ndim, reduced, axis)
    else:
        mark_axis(axis, ndim, reduced, axis)
    return 0


cdef int put_axis(Axes *axes, Py_ssize_t n, Py_ssize_t stride, Py_ssize_t out_stride) noexcept:
    """Insert an axis of n > 1 elements; the smallest stride comes first."""
    cdef int i = axes.ndim
    while i > 0 and axes.stride[i - 1] > stride:
        axes.shape[i] = axes.shape[i - 1]
        axes.stride[i] = axes.stride[i - 1]
        axes.out_stride[i] = axes.out_stride[i - 1]
        i -= 1
    axes.shape[i] = n
    axes.stride[i] = stride
    axes.out_stride[i] = out_stride
    axes.ndim += 1
    return 0


cdef void merge_axes(Axes *axes) noexcept:
    """Let neighbours that are one run of memory, in input and output, be one axis."""
    cdef int i, last = 0
    for i in range(1, axes.ndim):
        if (axes.stride[i] == axes.shape[last]*axes.stride[last]
                and axes.out_stride[i] == axes.shape[last]*axes.out_stride[last]):
            axes.shape[last] *= axes.shape[i]
        else:
            last += 1
            axes.shape[last] = axes.shape[i]
            axes.stride[last] = axes.stride[i]
            axes.out_stride[last] = axes.out_stride[i]
    axes.ndim = min(axes.ndim, last + 1)


# Outputs -------------------------------------------------------------------------------------------------------------

cdef int check_out(object out, int ndim, cnp.npy_intp *shape, int number) except -1:
    cdef cnp.ndarray array
    cdef int i
    cdef bint same
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError("out must not be a masked array")
    array = out
    same = cnp.PyArray_NDIM(array) == ndim
    for i in range(ndim):
        same = same and cnp.PyArray_DIM(array, i) == shape[i]
    if not same:
        needed = tuple([shape[i] for i in range(ndim)])
        raise ValueError(f"out must have shape {needed}, got {out.shape}")
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("out must be writeable, got a read-only array")
    result_dtype = NATIVE[number]
    if not np.can_cast(result_dtype, array.dtype, "same_kind"):
        raise TypeError(f"out must have a dtype that {result_dtype} can be cast to by 'same_kind', got {array.dtype}")
    return 0


cdef object apart(cnp.ndarray array, cnp.ndarray out, bint elementwise):
    """`array`, or a copy where writing to `out` would change elements that are still to be read."""
    cdef bint same_places = (
        elementwise and cnp.PyArray_DATA(array) == cnp.PyArray_DATA(out) and array.dtype == out.dtype
        and array.strides == out.strides)
    if same_places or not np.may_share_memory(array, out):
        return array
    return array.copy(order="K")


# Calls ---------------------------------------------------------------------------------------------------------------

cdef int run(Plan *plan, cnp.ndarray array, int number, const bint *reduced, char *out, int out_number,
             bint out_behaved, bint out_swapped, const cnp.npy_intp *out_strides) except -1:
    """Make the plan and walk it. out_strides has one entry an axis of `array`; reduced axes' are not read for LOGSUMEXP."""
    cdef bint doubles = number == cnp.NPY_FLOAT64
    cdef int i, failed
    cdef Py_ssize_t n, stride, out_stride
    plan.kernels = kernels_of(doubles)
    plan.itemsize = sizeof(double) if doubles else sizeof(float)
    plan.data = <char *>cnp.PyArray_DATA(array)
    plan.out = out
    plan.direct = cnp.PyArray_TYPE(array) == number and cnp.PyArray_ISBEHAVED_RO(array)
    plan.out_direct = out_number == number and out_behaved
    plan.swapped = not cnp.PyArray_ISNOTSWAPPED(array)
    plan.out_swapped = out_swapped
    plan.load = loader(cnp.PyArray_TYPE(array), doubles)
    plan.store = storer(out_number, doubles)
    plan.kept.ndim = plan.reduced.ndim = 0
    for i in range(cnp.PyArray_NDIM(array) - 1, -1, -1):
        n = cnp.PyArray_DIM(array, i)
        if n == 1:
            continue
        stride = cnp.PyArray_STRIDE(array, i)
        out_stride = 0 if plan.operation == LOGSUMEXP and reduced[i] else out_strides[i]
        if stride < 0:
            plan.data += (n - 1)*stride
            plan.out += (n - 1)*out_stride
            stride, out_stride = -stride, -out_stride
        put_axis(&plan.reduced if reduced[i] else &plan.kept, n, stride, out_stride)
    merge_axes(&plan.kept)
    merge_axes(&plan.reduced)
    if cnp.PyArray_SIZE(array) < SMALL:
        failed = walk(plan)
    else:
        with nogil:
            failed = walk(plan)
    if failed:
        raise MemoryError("no memory for the scratch of a reduction")
    return 0


def logsumexp(a, axis, keepdims, out, dtype):
    cdef cnp.ndarray array = as_array(a), result
    cdef int number = computing_type(array, dtype), ndim = cnp.PyArray_NDIM(array), out_ndim = 0, i
    cdef bint[MAX_NDIM] reduced
    cdef cnp.npy_intp[MAX_NDIM] shape
    cdef cnp.npy_intp[MAX_NDIM] strides
    cdef bint keep = bool(keepdims)
    cdef Plan plan
    cdef double scalar
    plan.operation = LOGSUMEXP
    mark_axes(axis, ndim, reduced)
    for i in range(ndim):
        if keep or not reduced[i]:
            shape[out_ndim] = 1 if reduced[i] else cnp.PyArray_DIM(array, i)
            out_ndim += 1
    if out is None and out_ndim == 0 and cnp.PyArray_SIZE(array):
        run(&plan, array, number, reduced, <char *>&scalar, number, True, False, strides)
        return PyArray_Scalar(&scalar, cnp.PyArray_DescrFromType(number), None)
    if out is None:
        result = cnp.PyArray_EMPTY(out_ndim, shape, number, 0)
    else:
        check_out(out, out_ndim, shape, number)
        result = out
        array = apart(array, result, False)
    if cnp.PyArray_SIZE(array) == 0:
        result.fill(-np.inf)
    else:
        out_ndim = 0
        for i in range(ndim):
            strides[i] = 0
            if keep or not reduced[i]:
                strides[i] = cnp.PyArray_STRIDE(result, out_ndim)
                out_ndim += 1
        run_into(&plan, array, number, reduced, result, strides)
    return result[()] if out is None and out_ndim == 0 else result


cdef int run_into(Plan *plan, cnp.ndarray array, int number, const bint *reduced, cnp.ndarray out,
                  const cnp.npy_intp *out_strides) except -1:
    return run(plan, array, number, reduced, <char *>cnp.PyArray_DATA(out), cnp.PyArray_TYPE(out),
               cnp.PyArray_ISBEHAVED(out), not cnp.PyArray_ISNOTSWAPPED(out), out_strides)


cdef object transform(Operation operation, object x, object axis, object out, object dtype):
    """softmax or log_softmax: a result of the input's shape and, where it is new, of its memory order."""
    cdef cnp.ndarray array = as_array(x), result
    cdef int number = computing_type(array, dtype), ndim = cnp.PyArray_NDIM(array)
    cdef bint[MAX_NDIM] reduced
    cdef Plan plan
    plan.operation = operation
    mark_axes(axis, ndim, reduced)
    if out is not None:
        check_out(out, ndim, cnp.PyArray_DIMS(array), number)
        result = out
        array = apart(array, result, True)
    elif cnp.PyArray_IS_C_CONTIGUOUS(array):
        result = cnp.PyArray_EMPTY(ndim, cnp.PyArray_DIMS(array), number, 0)
    else:
        result = np.empty_like(array, dtype=NATIVE[number], order="K", subok=False)
    if cnp.PyArray_SIZE(array):
        run_into(&plan, array, number, reduced, result, cnp.PyArray_STRIDES(result))
    return result[()] if out is None and ndim == 0 else result


def softmax(x, axis, out, dtype):
    return transform(SOFTMAX, x, axis, out, dtype)


def log_softmax(x, axis, out, dtype):
    return transform(LOG_SOFTMAX, x, axis, out, dtype)
