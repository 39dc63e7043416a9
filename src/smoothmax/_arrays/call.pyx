"""From arguments to a plan: types, axes, strides and outputs. Knows arrays and no mathematics.

Every function here takes what the user passed, raises for what the contract refuses, and returns the result.
"""

cimport numpy as cnp
import numpy as np
from libc.math cimport INFINITY
from numpy.exceptions import AxisError, TooHardError

from smoothmax._kernels.dispatch cimport kernels_of, moves_of
from smoothmax._arrays.elements cimport loader, storer
from smoothmax._kernels.interface cimport LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, WEIGHTED_LOGSUMEXP, Operation
from smoothmax._schedule.plan cimport BOTH, ELEMENTS, MASK, RESULT, ROLES, SIGN, VALUE, WEIGHTS, Axes, Plan
from smoothmax._schedule.walk cimport walk, walk_row

cdef extern from "numpy/arrayobject.h":
    object PyArray_Scalar(void *data, cnp.dtype dtype, object base)

cnp.import_array()

# Types ---------------------------------------------------------------------------------------------------------------

# What the kernels compute and store; longdouble and complex are _plain's affair.
FLOATS = {number: np.dtype(name) for name, number in
          (("float16", cnp.NPY_FLOAT16), ("float32", cnp.NPY_FLOAT32), ("float64", cnp.NPY_FLOAT64))}
LONGDOUBLE = np.dtype(np.longdouble)
# What stands for a number of Python's beside another type: the narrowest of its kind.
WIDTHLESS = {kind: np.dtype(name) for kind, name in ((bool, "?"), (int, "?"), (float, "f2"), (complex, "c8"))}


cdef cnp.ndarray as_array(object x, str name):
    """x as a NumPy array of numbers."""
    cdef cnp.ndarray array
    if type(x) is cnp.ndarray:
        array = x
    elif isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: pass its data, and the inverted mask as where=")
    elif hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        array = np.from_dlpack(x)
    else:
        array = np.asarray(x)
    if not (cnp.PyArray_ISNUMBER(array) or cnp.PyArray_ISBOOL(array) or cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT16):
        raise TypeError(f"{name} must be an array of numbers, got dtype {array.dtype}")
    return array


cdef object computed_dtype(object dtype):
    """The type that numbers of this one are computed in and returned as, in native byte order."""
    return FLOATS[cnp.NPY_FLOAT64] if dtype.kind in "biu" else dtype.newbyteorder("=")


cdef object promoted_dtype(object a, cnp.ndarray array, object b, cnp.ndarray weights):
    """The type of the two together, as NumPy's ufuncs have it: a number of Python's has a kind, and no width."""
    if type(b) in WIDTHLESS:
        return np.promote_types(computed_dtype(array.dtype), WIDTHLESS[type(b)])
    if type(a) in WIDTHLESS:
        return np.promote_types(computed_dtype(weights.dtype), WIDTHLESS[type(a)])
    return computed_dtype(np.promote_types(array.dtype, weights.dtype))


cdef object result_dtype(object a, cnp.ndarray array, object b, cnp.ndarray weights, object dtype):
    """The type of the computation and of the result."""
    if dtype is None:
        return computed_dtype(array.dtype) if weights is None else promoted_dtype(a, array, b, weights)
    wanted = np.dtype(dtype).newbyteorder("=")
    if wanted not in (FLOATS[cnp.NPY_FLOAT16], FLOATS[cnp.NPY_FLOAT32], FLOATS[cnp.NPY_FLOAT64], LONGDOUBLE):
        raise TypeError(f"dtype must be float32, float64, float16 or longdouble, got {wanted}")
    for one in (array, weights):
        if one is not None and one.dtype.kind == "c":
            raise TypeError(f"dtype must be None for complex input, got {wanted}")
    return wanted


cdef cnp.ndarray as_mask(object where):
    cdef cnp.ndarray mask = np.asarray(where)
    if isinstance(where, np.ma.MaskedArray):
        raise TypeError("where must not be a masked array")
    if not cnp.PyArray_ISBOOL(mask):
        raise TypeError(f"where must be an array of bool, got dtype {mask.dtype}")
    return mask


# Axes ----------------------------------------------------------------------------------------------------------------

cdef int mark_axis(object axis, Shape *shape, object given) except -1:
    cdef Py_ssize_t index
    cdef int ndim = shape.ndim
    if type(axis) is not int and (
            isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__") or getattr(axis, "ndim", 0)):
        raise TypeError(f"axis must be None, an int or a tuple of ints, got {given!r}")
    try:
        index = axis
    except OverflowError:
        raise AxisError(f"axis {axis} is out of bounds for array of dimension {ndim}") from None
    if ndim == 0 and given is axis and (index == 0 or index == -1):
        return 0    # as NumPy's reductions have it
    if not -ndim <= index < ndim:
        raise AxisError(axis, ndim)
    index += ndim if index < 0 else 0
    if shape.reduced[index]:
        raise ValueError(f"axis {index} is given more than once in axis={given!r}")
    shape.reduced[index] = True
    return 0


cdef int mark_axes(object axis, Shape *shape) except -1:
    """Note which axes are reduced. Axes given twice or that are not there are refused."""
    cdef int i
    for i in range(shape.ndim):
        shape.reduced[i] = axis is None
    if type(axis) is tuple:
        for one in axis:
            mark_axis(one, shape, axis)
    elif axis is not None:
        mark_axis(axis, shape, axis)
    return 0


cdef void shape_of(cnp.ndarray array, Shape *shape) noexcept:
    cdef int i
    shape.ndim = cnp.PyArray_NDIM(array)
    for i in range(shape.ndim):
        shape.shape[i] = cnp.PyArray_DIM(array, i)


cdef int broadcast(cnp.ndarray array, cnp.ndarray other, str name, Shape *shape) except -1:
    """Widen the shape, so far of the first array and whatever was broadcast with it, to hold `other` too."""
    cdef int i, ndim = cnp.PyArray_NDIM(other), first
    cdef cnp.npy_intp n
    if ndim > shape.ndim:
        first = ndim - shape.ndim
        for i in range(shape.ndim - 1, -1, -1):
            shape.shape[i + first] = shape.shape[i]
        for i in range(first):
            shape.shape[i] = 1
        shape.ndim = ndim
    for i in range(ndim):
        n = cnp.PyArray_DIM(other, ndim - 1 - i)
        if shape.shape[shape.ndim - 1 - i] == 1:
            shape.shape[shape.ndim - 1 - i] = n
        elif n != 1 and n != shape.shape[shape.ndim - 1 - i]:
            raise ValueError(f"{name} of shape {(<object>other).shape} does not broadcast with the input of shape "
                             f"{(<object>array).shape}")
    return 0


cdef void take_strides(cnp.ndarray array, int role, Shape *shape) noexcept:
    """The strides of the array broadcast to the shape."""
    cdef int i, missing = shape.ndim - cnp.PyArray_NDIM(array)
    for i in range(shape.ndim):
        shape.stride[role][i] = (
            0 if i < missing or cnp.PyArray_DIM(array, i - missing) == 1 else cnp.PyArray_STRIDE(array, i - missing))


cdef void take_reduced_strides(cnp.ndarray array, int role, bint keepdims, Shape *shape) noexcept:
    """The strides of a result of logsumexp; it does not move along reduced axes."""
    cdef int i, j = 0
    for i in range(shape.ndim):
        shape.stride[role][i] = 0 if shape.reduced[i] else cnp.PyArray_STRIDE(array, j)
        j += keepdims or not shape.reduced[i]


cdef void no_strides(int role, Shape *shape) noexcept:
    cdef int i
    for i in range(shape.ndim):
        shape.stride[role][i] = 0


cdef Py_ssize_t size_of(const Shape *shape) noexcept:
    cdef Py_ssize_t size = 1
    cdef int i
    for i in range(shape.ndim):
        size *= shape.shape[i]
    return size


cdef void put_axis(Axes *axes, const Shape *shape, int source, const bint *flipped) noexcept:
    """Insert an axis of the shape; the smallest stride of the elements comes first."""
    cdef Py_ssize_t stride = -shape.stride[ELEMENTS][source] if flipped[0] else shape.stride[ELEMENTS][source]
    cdef int i = axes.ndim, role
    while i > 0 and axes.stride[ELEMENTS][i - 1] > stride:
        axes.shape[i] = axes.shape[i - 1]
        for role in range(ROLES):
            axes.stride[role][i] = axes.stride[role][i - 1]
        i -= 1
    axes.shape[i] = shape.shape[source]
    for role in range(ROLES):
        axes.stride[role][i] = -shape.stride[role][source] if flipped[0] else shape.stride[role][source]
    axes.ndim += 1


cdef bint continues(const Axes *axes, int inner, int outer) noexcept:
    """Whether two axes are one run in every array."""
    cdef int role
    for role in range(ROLES):
        if axes.stride[role][outer] != axes.shape[inner]*axes.stride[role][inner]:
            return False
    return True


cdef void merge_axes(Axes *axes) noexcept:
    """Let neighbours that are one run of memory in every array be one axis."""
    cdef int i, role, last = 0
    for i in range(1, axes.ndim):
        if continues(axes, last, i):
            axes.shape[last] *= axes.shape[i]
            continue
        last += 1
        axes.shape[last] = axes.shape[i]
        for role in range(ROLES):
            axes.stride[role][last] = axes.stride[role][i]
    axes.ndim = min(axes.ndim, last + 1)


# Outputs -------------------------------------------------------------------------------------------------------------

cdef int check_out(object out, int ndim, const cnp.npy_intp *shape, object dtype) except -1:
    cdef int i
    cdef cnp.ndarray array
    cdef bint same
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
    if type(out) is not cnp.ndarray and isinstance(out, np.ma.MaskedArray):
        raise TypeError("out must not be a masked array")
    array = out
    same = cnp.PyArray_NDIM(array) == ndim
    for i in range(ndim):
        same = same and cnp.PyArray_DIM(array, i) == shape[i]
    if not same:
        raise ValueError(f"out must have shape {tuple([shape[i] for i in range(ndim)])}, got {out.shape}")
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("out must be writeable, got a read-only array")
    if array.descr is dtype:
        return 0
    # NumPy casts numbers to strings and objects too; nothing here stores those.
    if (out.dtype.kind not in "fc" or cnp.PyTypeNum_ISUSERDEF(out.dtype.num)
            or not np.can_cast(dtype, out.dtype, "same_kind")):
        raise TypeError(f"out must have a dtype that {dtype} can be cast to by 'same_kind', got {out.dtype}")
    return 0


cdef bint is_one_piece(cnp.ndarray array) noexcept:
    return cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_IS_F_CONTIGUOUS(array)


cdef bint share_memory(cnp.ndarray one, cnp.ndarray other) except -1:
    cdef const char *begin = <const char *>cnp.PyArray_DATA(one)
    cdef const char *other_begin = <const char *>cnp.PyArray_DATA(other)
    if is_one_piece(one) and is_one_piece(other):
        return begin < other_begin + cnp.PyArray_NBYTES(other) and other_begin < begin + cnp.PyArray_NBYTES(one)
    try:
        return np.shares_memory(one, other, max_work=10000)
    except TooHardError:
        return True


cdef cnp.ndarray new_result(cnp.ndarray array, Shape *shape, int number):
    """An array of the shape, in the memory order of `array` if that has as many axes."""
    if cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_NDIM(array) != shape.ndim:
        return cnp.PyArray_EMPTY(shape.ndim, shape.shape, number, 0)
    return np.empty_like(array, dtype=FLOATS[number], order="K", subok=False,
                         shape=tuple([shape.shape[i] for i in range(shape.ndim)]))


cdef cnp.ndarray apart(cnp.ndarray array, cnp.ndarray out, bint elementwise):
    """`array`, or a copy where writing to `out` would change elements that are still to be read."""
    if out is None or array is None:
        return array
    if (elementwise and cnp.PyArray_DATA(array) == cnp.PyArray_DATA(out)
            and (<object>array).dtype == (<object>out).dtype and (<object>array).strides == (<object>out).strides
            and (<object>array).shape == (<object>out).shape):
        return array
    return (<object>array).copy(order="K") if share_memory(array, out) else array


# Calls ---------------------------------------------------------------------------------------------------------------

cdef void put_array(Plan *plan, int role, cnp.ndarray array, int number) noexcept:
    """Note an array; kernels take it where it lies if it is of type `number`, aligned and of native byte order."""
    plan.data[role] = <char *>cnp.PyArray_DATA(array)
    plan.direct[role] = cnp.PyArray_TYPE(array) == number and cnp.PyArray_ISBEHAVED_RO(array)
    plan.swapped[role] = not cnp.PyArray_ISNOTSWAPPED(array)


cdef void put_result(Plan *plan, cnp.ndarray result, int computing, Shape *shape) noexcept:
    """Note where a result for each element goes."""
    put_array(plan, RESULT, result, computing)
    plan.store = storer(cnp.PyArray_TYPE(result), computing == cnp.NPY_FLOAT64)
    take_strides(result, RESULT, shape)


cdef void put_reduced_result(Plan *plan, cnp.ndarray result, int computing, bint keepdims, Shape *shape) noexcept:
    """Note where the result of each reduction goes, if that is all there is."""
    put_array(plan, RESULT, result, computing)
    plan.store = storer(cnp.PyArray_TYPE(result), computing == cnp.NPY_FLOAT64)
    take_reduced_strides(result, RESULT, keepdims, shape)


cdef void put_value(Plan *plan, cnp.ndarray value, int computing, bint keepdims, Shape *shape) noexcept:
    """Note where the result of each reduction goes, beside those of the elements."""
    put_array(plan, VALUE, value, computing)
    plan.store_value = storer(cnp.PyArray_TYPE(value), computing == cnp.NPY_FLOAT64)
    take_reduced_strides(value, VALUE, keepdims, shape)


cdef int run(Plan *plan, const Shape *shape) except -1:
    """Sort the axes and walk the plan."""
    cdef int i, role
    cdef bint flipped
    plan.kept.ndim = plan.reduced.ndim = 0
    for i in range(shape.ndim - 1, -1, -1):
        if shape.shape[i] == 1:
            continue
        flipped = shape.stride[ELEMENTS][i] < 0
        if flipped:
            for role in range(ROLES):
                if plan.data[role] != NULL:
                    plan.data[role] += (shape.shape[i] - 1)*shape.stride[role][i]
        put_axis(&plan.reduced if shape.reduced[i] else &plan.kept, shape, i, &flipped)
    merge_axes(&plan.kept)
    merge_axes(&plan.reduced)
    if walk(plan):
        raise MemoryError("no memory to bring elements together")
    return 0


cdef bint is_run_of(cnp.ndarray array, int number) noexcept:
    """Whether all of the array lies in one piece, in its order, as kernels take it: float32 or float64, of `number`."""
    return (cnp.PyArray_TYPE(array) == number and cnp.PyArray_ISCARRAY_RO(array)
            and (number == cnp.NPY_FLOAT64 or number == cnp.NPY_FLOAT32))


cdef bint run_row(Operation operation, const Shape *shape, cnp.ndarray array, cnp.ndarray mask, int number,
                  void *result) noexcept:
    """Reduce all of the array as one short row, without a plan, to results of its own type that lie in one piece.

    False, and nothing is done, with a mask, for what is not such a row, and for operations that do no row at once:
    those with weights.
    """
    cdef int i
    if mask is not None or not is_run_of(array, number):
        return False
    for i in range(shape.ndim):
        if not shape.reduced[i]:
            return False
    return walk_row(kernels_of(operation, number == cnp.NPY_FLOAT64), cnp.PyArray_DATA(array),
                    cnp.PyArray_SIZE(array), cnp.PyArray_ITEMSIZE(array), result)


cdef int prepare(Plan *plan, Operation operation, Shape *shape, cnp.ndarray array, cnp.ndarray weights,
                 cnp.ndarray mask, int number) except -1:
    """The inputs' part of a plan that computes results of type `number`; returns the type it computes in."""
    cdef bint doubles = number == cnp.NPY_FLOAT64
    cdef int computing = cnp.NPY_FLOAT64 if doubles else cnp.NPY_FLOAT32, role
    plan.kernels = kernels_of(operation, doubles)
    plan.moves = moves_of(doubles)
    plan.fill = -INFINITY if operation == LOG_SOFTMAX else 0
    plan.itemsize = sizeof(double) if doubles else sizeof(float)
    put_array(plan, ELEMENTS, array, computing)
    plan.load = loader(cnp.PyArray_TYPE(array), doubles)
    take_strides(array, ELEMENTS, shape)
    for role in range(ROLES):
        if role != ELEMENTS:
            plan.data[role] = NULL
            no_strides(role, shape)
    plan.converted = cnp.PyArray_TYPE(array) != computing
    plan.blended = False
    plan.is_loss = False
    plan.passes = BOTH
    if weights is not None:
        put_array(plan, WEIGHTS, weights, computing)
        plan.load_weights = loader(cnp.PyArray_TYPE(weights), doubles)
        take_strides(weights, WEIGHTS, shape)
    if mask is not None:
        put_array(plan, MASK, mask, cnp.NPY_BOOL)
        take_strides(mask, MASK, shape)
    return computing


cdef object broadcast_to(cnp.ndarray array, const Shape *shape, object dtype):
    """None, or the array in the shape and of the type."""
    if array is None:
        return None
    return np.broadcast_to((<object>array).astype(dtype, copy=False),
                           tuple([shape.shape[i] for i in range(shape.ndim)]))


cdef object reduced_axes(const Shape *shape):
    return tuple([i for i in range(shape.ndim) if shape.reduced[i]])


cdef object delivered(object result, object out):
    """What a call without kernels returns: `out`, filled, or the value, as a scalar where it has no axes."""
    cdef cnp.ndarray value = np.asarray(result)
    if out is None:
        return value[()]
    check_out(out, cnp.PyArray_NDIM(value), cnp.PyArray_DIMS(value), value.dtype)
    np.copyto(out, value, casting="same_kind")
    return out


cdef object plain_logsumexp(cnp.ndarray array, cnp.ndarray weights, cnp.ndarray mask, const Shape *shape,
                            bint keepdims, bint signed, object out, object dtype):
    from smoothmax._arrays import plain as _plain

    value, sign = _plain.logsumexp(broadcast_to(array, shape, dtype), reduced_axes(shape),
                                   broadcast_to(weights, shape, dtype), broadcast_to(mask, shape, bool), keepdims)
    if signed:
        return delivered(value, out), sign[()]
    if dtype.kind == "c":
        value = _plain.as_complex(value, np.angle(sign)).astype(dtype)
    else:
        value = np.where(sign < 0, np.nan, value).astype(dtype)
    return delivered(value, out)


cdef object plain_transform(Operation operation, cnp.ndarray array, cnp.ndarray mask, const Shape *shape, object out,
                            object dtype):
    from smoothmax._arrays import plain as _plain

    function = _plain.softmax if operation == SOFTMAX else _plain.log_softmax
    elements = broadcast_to(array, shape, dtype)
    value = function(elements, reduced_axes(shape), broadcast_to(mask, shape, bool))
    if out is None and (<object>array).shape == elements.shape:     # NumPy may have laid it out like the mask
        result = np.empty_like(elements)
        np.copyto(result, value)
        value = result
    return delivered(value, out)


cdef object reduce_array(object a, object axis, object b, object keepdims, object return_sign, object where,
                         object out, object dtype):
    """logsumexp: the result, or the pair of it and its sign."""
    cdef cnp.ndarray array = as_array(a, "a"), weights = None, mask = None, result, sign = None
    cdef Shape shape
    cdef Plan plan
    cdef cnp.npy_intp result_shape[MAX_NDIM]
    cdef int number = cnp.PyArray_TYPE(array), ndim = 0, computing, i
    cdef bint keep = bool(keepdims), signed = bool(return_sign)
    cdef Operation operation = LOGSUMEXP if b is None else WEIGHTED_LOGSUMEXP
    cdef double scalar
    shape_of(array, &shape)
    if b is not None:
        weights = as_array(b, "b")
        broadcast(array, weights, "b", &shape)
    if where is not True:
        mask = as_mask(where)
        broadcast(array, mask, "where", &shape)
    mark_axes(axis, &shape)
    if weights is not None or dtype is not None or (number != cnp.NPY_FLOAT64 and number != cnp.NPY_FLOAT32):
        chosen = result_dtype(a, array, b, weights, dtype)
        number = chosen.num
        if number not in FLOATS:
            return plain_logsumexp(array, weights, mask, &shape, keep, signed, out, chosen)
    for i in range(shape.ndim):
        if keep or not shape.reduced[i]:
            result_shape[ndim] = 1 if shape.reduced[i] else shape.shape[i]
            ndim += 1
    if out is not None:
        check_out(out, ndim, result_shape, FLOATS[number])
        result = out
        array, weights, mask = apart(array, result, False), apart(weights, result, False), apart(mask, result, False)
    elif ndim == 0 and not signed and number != cnp.NPY_FLOAT16 and size_of(&shape):
        # No array at all for a result that is a scalar.
        if not run_row(operation, &shape, array, mask, number, &scalar):
            prepare(&plan, operation, &shape, array, weights, mask, number)
            plan.data[RESULT] = <char *>&scalar
            plan.direct[RESULT] = True
            plan.swapped[RESULT] = False
            plan.store = storer(number, number == cnp.NPY_FLOAT64)
            run(&plan, &shape)
        return PyArray_Scalar(&scalar, cnp.PyArray_DescrFromType(number), None)
    else:
        result = cnp.PyArray_EMPTY(ndim, result_shape, number, 0)
    if signed:
        sign = cnp.PyArray_EMPTY(ndim, result_shape, number, 0)
    if not size_of(&shape):
        result.fill(-np.inf)
        if signed:
            sign.fill(0)
    elif signed or not (is_run_of(result, number) and run_row(operation, &shape, array, mask, number,
                                                              cnp.PyArray_DATA(result))):
        computing = prepare(&plan, operation, &shape, array, weights, mask, number)
        put_reduced_result(&plan, result, computing, keep, &shape)
        if signed:
            put_array(&plan, SIGN, sign, computing)
            plan.store_sign = storer(number, computing == cnp.NPY_FLOAT64)
            take_reduced_strides(sign, SIGN, keep, &shape)
        run(&plan, &shape)
    value = result[()] if out is None and ndim == 0 else result
    return (value, sign[()] if ndim == 0 else sign) if signed else value


cdef object transform_array(Operation operation, object x, object axis, object where, object out, object dtype):
    """softmax or log_softmax: a result of the input's shape and, where it is new, of its memory order."""
    cdef cnp.ndarray array = as_array(x, "x"), mask = None, result
    cdef Shape shape
    cdef Plan plan
    cdef int number = cnp.PyArray_TYPE(array), computing
    shape_of(array, &shape)
    if where is not True:
        mask = as_mask(where)
        broadcast(array, mask, "where", &shape)
    mark_axes(axis, &shape)
    if dtype is not None or (number != cnp.NPY_FLOAT64 and number != cnp.NPY_FLOAT32):
        chosen = result_dtype(x, array, None, None, dtype)
        number = chosen.num
        if number not in FLOATS:
            return plain_transform(operation, array, mask, &shape, out, chosen)
    if out is not None:
        check_out(out, shape.ndim, shape.shape, FLOATS[number])
        result = out
        array, mask = apart(array, result, True), apart(mask, result, False)
    else:
        result = new_result(array, &shape, number)
    if size_of(&shape) and not (is_run_of(result, number) and run_row(operation, &shape, array, mask, number,
                                                                      cnp.PyArray_DATA(result))):
        computing = prepare(&plan, operation, &shape, array, None, mask, number)
        put_result(&plan, result, computing, &shape)
        run(&plan, &shape)
    return result[()] if out is None and shape.ndim == 0 else result
