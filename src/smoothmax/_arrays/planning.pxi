# Make a plan from arrays, and walk it.

cimport numpy as cnp
from libc.math cimport INFINITY

from smoothmax._arrays.elements cimport (
    NATIVE_BFLOAT16, NATIVE_FLOAT16, NO_NATIVE_HALF, NativeHalf, loader, native_half, order_of, storer,
)
from smoothmax._kernels.dispatch cimport data_kernels_of, kernels_of
from smoothmax._kernels.interface cimport LOG_SOFTMAX, NATIVE, DataKernels, Operation
from smoothmax._schedule.plan cimport BOTH, ELEMENTS, MASK, RESULT, ROLES, SIGN, VALUE, WEIGHTS, Plan
from smoothmax._schedule.segments cimport Segments, walk_segments
from smoothmax._schedule.walk cimport walk


cdef void put_array(Plan *plan, int role, cnp.ndarray array, int computing) noexcept:
    """Note an array. Kernels can read it where it lies if it is native, aligned and of the computing type."""
    plan.data[role] = <char *>cnp.PyArray_DATA(array)
    plan.element_bytes[role] = cnp.PyArray_ITEMSIZE(array)
    plan.direct[role] = cnp.PyArray_TYPE(array) == computing and cnp.PyArray_ISBEHAVED_RO(array)
    plan.order[role] = order_of(array)


cdef inline void take_half_loaders(Plan *plan, NativeHalf half) noexcept:
    """Note the functions that load neighbours of these halves."""
    cdef const DataKernels *kernels = plan.data_kernels
    cdef bint float16 = half == NATIVE_FLOAT16
    if half == NO_NATIVE_HALF:
        plan.load_largest, plan.load_rows, plan.load_lines = NULL, NULL, NULL
        return
    plan.load_largest = kernels.load_largest_float16 if float16 else kernels.load_largest_bfloat16
    plan.load_rows = kernels.load_float16_rows if float16 else kernels.load_bfloat16_rows
    plan.load_lines = kernels.load_float16_lines if float16 else kernels.load_bfloat16_lines


cdef inline void take_half_storers(Plan *plan, NativeHalf half) noexcept:
    """Note the functions that store neighbours of such results."""
    cdef const DataKernels *kernels = plan.data_kernels
    cdef bint float16 = half == NATIVE_FLOAT16
    if half == NO_NATIVE_HALF:
        plan.store_rows, plan.store_lines = NULL, NULL
        return
    plan.store_rows = kernels.store_float16_rows if float16 else kernels.store_bfloat16_rows
    plan.store_lines = kernels.store_float16_lines if float16 else kernels.store_bfloat16_lines


cdef int prepare(Plan *plan, Operation operation, Shape *shape, cnp.ndarray array, cnp.ndarray weights,
                 cnp.ndarray mask, int computing) except -1:
    """Fill in the inputs of a plan that computes in this type, float32 or float64."""
    cdef bint doubles = computing == cnp.NPY_FLOAT64
    cdef int role
    plan.kernels = kernels_of(operation, doubles)
    plan.data_kernels = data_kernels_of(doubles)
    plan.fill = -INFINITY if operation == LOG_SOFTMAX else 0
    plan.itemsize = sizeof(double) if doubles else sizeof(float)
    put_array(plan, ELEMENTS, array, computing)
    plan.load = loader(cnp.PyArray_TYPE(array), doubles)
    take_half_loaders(plan, NO_NATIVE_HALF if doubles else native_half(array))
    plan.load_weight_rows = NULL
    plan.load_weight_lines = NULL
    plan.store_rows = NULL
    plan.store_lines = NULL
    plan.reduce_two_halves = NULL
    plan.reduce_halves = NULL
    plan.write_halves = NULL
    take_strides(array, ELEMENTS, shape)
    for role in range(ROLES):
        if role != ELEMENTS:
            plan.data[role] = NULL
            clear_strides(role, shape)
    plan.converted = cnp.PyArray_TYPE(array) != computing
    plan.adjusted = False
    plan.blended = False
    plan.is_loss = False
    plan.passes = BOTH
    if weights is not None:
        put_array(plan, WEIGHTS, weights, computing)
        plan.load_weights = loader(cnp.PyArray_TYPE(weights), doubles)
        if not doubles and native_half(weights) == NATIVE_FLOAT16:
            plan.load_weight_rows = plan.data_kernels.load_float16_rows
            plan.load_weight_lines = plan.data_kernels.load_float16_lines
        elif not doubles and native_half(weights) == NATIVE_BFLOAT16:
            plan.load_weight_rows = plan.data_kernels.load_bfloat16_rows
            plan.load_weight_lines = plan.data_kernels.load_bfloat16_lines
        take_strides(weights, WEIGHTS, shape)
    if mask is not None:
        put_array(plan, MASK, mask, cnp.NPY_BOOL)
        take_strides(mask, MASK, shape)
    return 0


cdef void put_result(Plan *plan, cnp.ndarray result, int computing, Shape *shape) noexcept:
    """Note where the result of each element goes."""
    put_array(plan, RESULT, result, computing)
    plan.store = storer(cnp.PyArray_TYPE(result), computing == cnp.NPY_FLOAT64)
    take_half_storers(plan, NO_NATIVE_HALF if computing == cnp.NPY_FLOAT64 else native_half(result))
    take_strides(result, RESULT, shape)


cdef void take_kernels_of_halves(Plan *plan, int given, int number) noexcept:
    """Compute no more digits than halves have, if results have the type `number`, a half, and are given as this."""
    cdef bint float16 = plan.load_largest == plan.data_kernels.load_largest_float16
    if plan.kernels.of_halves == NULL or is_kernel_type(number) or given != number:
        return
    plan.kernels = plan.kernels.of_halves
    plan.joint_halves, plan.fused_halves = NULL, NULL
    if plan.load_largest != NULL:
        plan.reduce_halves = plan.kernels.reduce_float16_row if float16 else plan.kernels.reduce_bfloat16_row
        plan.joint_halves = plan.kernels.joint_float16_row if float16 else plan.kernels.joint_bfloat16_row
        plan.fused_halves = plan.kernels.fused_float16_row if float16 else plan.kernels.fused_bfloat16_row
        if float16 == (number == cnp.NPY_FLOAT16) and plan.order[RESULT] == NATIVE:
            plan.write_halves = plan.kernels.write_float16_row if float16 else plan.kernels.write_bfloat16_row
            plan.draft_halves = plan.kernels.draft_float16_row if float16 else plan.kernels.draft_bfloat16_row
            plan.correct_halves = plan.kernels.correct_float16_row if float16 else plan.kernels.correct_bfloat16_row


cdef void take_kernels_of_two_halves(Plan *plan, cnp.ndarray array, cnp.ndarray weights, cnp.ndarray result) noexcept:
    """Read and write rows where they lie, if elements, weights and results are native halves of one type."""
    cdef NativeHalf half = native_half(array)
    if plan.itemsize == sizeof(double) or half != native_half(weights) or half != native_half(result):
        return
    if half == NATIVE_FLOAT16:
        plan.reduce_two_halves, plan.write_two_halves = plan.kernels.reduce_two_float16, plan.kernels.write_two_float16
    elif half == NATIVE_BFLOAT16:
        plan.reduce_two_halves = plan.kernels.reduce_two_bfloat16
        plan.write_two_halves = plan.kernels.write_two_bfloat16


cdef void put_reduced_result(Plan *plan, cnp.ndarray result, int computing, Shape *shape, bint keepdims) noexcept:
    """Note where the result of each reduction goes, in a call without a result for each element."""
    put_array(plan, RESULT, result, computing)
    plan.store = storer(cnp.PyArray_TYPE(result), computing == cnp.NPY_FLOAT64)
    take_reduced_strides(result, RESULT, shape, keepdims)


cdef void put_value(Plan *plan, cnp.ndarray value, int computing, Shape *shape, bint keepdims) noexcept:
    """Note where the result of each reduction goes, in a call that also has a result for each element."""
    put_array(plan, VALUE, value, computing)
    plan.store_value = storer(cnp.PyArray_TYPE(value), computing == cnp.NPY_FLOAT64)
    take_reduced_strides(value, VALUE, shape, keepdims)


cdef void put_sign(Plan *plan, cnp.ndarray sign, int computing, Shape *shape, bint keepdims) noexcept:
    """Note where the sign of each weighted sum goes."""
    put_array(plan, SIGN, sign, computing)
    plan.store_sign = storer(cnp.PyArray_TYPE(sign), computing == cnp.NPY_FLOAT64)
    take_reduced_strides(sign, SIGN, shape, keepdims)


cdef void put_scalar_result(Plan *plan, void *result, int number, int computing) noexcept:
    """Note where the only result goes. prepare() has cleared its strides."""
    plan.data[RESULT] = <char *>result
    plan.direct[RESULT] = number == computing
    plan.order[RESULT] = NATIVE
    plan.store = storer(number, computing == cnp.NPY_FLOAT64)


cdef int walk_arrays(Plan *plan, const Shape *shape) except -1:
    """Sort the axes by the strides of the elements, make these strides positive, and walk the plan."""
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
        insert_axis(&plan.reduced if shape.reduced[i] else &plan.kept, shape, i, &flipped)
    merge_axes(&plan.kept)
    merge_axes(&plan.reduced)
    if walk(plan):
        raise MemoryError("no memory for the scratch of this call")
    return 0


cdef void put_axes_in_order(Plan *plan, const Shape *shape, bint reverse) noexcept:
    """Put the reduced axes in C's order, backwards with `reverse`; sort the other axes by strides."""
    cdef int i, last, role
    cdef bint flipped
    plan.kept.ndim = plan.reduced.ndim = 0
    for i in range(shape.ndim - 1, -1, -1):
        if shape.shape[i] == 1 and not shape.reduced[i]:
            continue
        flipped = reverse if shape.reduced[i] else shape.stride[ELEMENTS][i] < 0
        if flipped:
            for role in range(ROLES):
                if plan.data[role] != NULL:
                    plan.data[role] += (shape.shape[i] - 1)*shape.stride[role][i]
        if shape.reduced[i]:
            last = plan.reduced.ndim
            plan.reduced.shape[last] = shape.shape[i]
            for role in range(ROLES):
                plan.reduced.stride[role][last] = -shape.stride[role][i] if flipped else shape.stride[role][i]
            plan.reduced.ndim += 1
        else:
            insert_axis(&plan.kept, shape, i, &flipped)
    merge_axes(&plan.kept)
    merge_axes(&plan.reduced)


cdef int scan_arrays(Plan *plan, const Shape *shape, bint reverse) except -1:
    """walk_arrays for a scan, which goes along the reduced axes in order, or backwards."""
    put_axes_in_order(plan, shape, reverse)
    if walk(plan):
        raise MemoryError("no memory for the scratch of this call")
    return 0


cdef int divide_arrays(Plan *plan, Segments *segments, const Shape *shape) except -1:
    """walk_arrays for the segments of the reduced axis."""
    put_axes_in_order(plan, shape, reverse=False)
    segments.plan = plan
    if walk_segments(segments):
        raise MemoryError("no memory for the scratch of this call")
    return 0
