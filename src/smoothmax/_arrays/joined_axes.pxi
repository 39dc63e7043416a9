# Axes that an operand keeps apart, although they are one stretch of the elements.
#
# A walk takes neighbouring axes as one if no array of the call has a gap between them. A mask, weights or addends that
# are the same along an outer axis, but not along the inner one, have a gap there: addends of shape (3, 1) make 200
# tiles of 3 columns of an array (200, 3, 5), instead of 10 tiles. So a small operand is repeated in memory along such
# axes if the inner ones are short (P65).

from smoothmax._schedule.plan cimport ELEMENTS, size_of_stride
from smoothmax._schedule.route cimport is_short_reduction
from smoothmax._thresholds cimport CONTIGUOUS_MIN_ELEMENTS, NARROW_MIN_ELEMENTS, TILE_COLUMNS


cdef struct Group:
    # The kept or the reduced axes of a shape that are longer than 1, as insert_axis sorts them.
    int ndim
    int axes[MAX_DIMENSIONS]


cdef void take_group(Group *group, const Shape *shape, bint reduced) noexcept:
    cdef int i, at
    group.ndim = 0
    for i in range(shape.ndim - 1, -1, -1):
        if shape.shape[i] == 1 or shape.reduced[i] != reduced:
            continue
        at = group.ndim
        while at > 0 and size_of_stride(shape.stride[ELEMENTS][group.axes[at - 1]]) > size_of_stride(
                shape.stride[ELEMENTS][i]):
            group.axes[at] = group.axes[at - 1]
            at -= 1
        group.axes[at] = i
        group.ndim += 1


cdef inline Py_ssize_t stride_as_walked(const Shape *shape, int role, int axis) noexcept:
    """The stride once that of the elements is positive."""
    return -shape.stride[role][axis] if shape.stride[ELEMENTS][axis] < 0 else shape.stride[role][axis]


cdef inline bint spans(const Shape *shape, int role, const Group *group, int outer) noexcept:
    """Whether a step of an axis of the group spans the whole axis before it."""
    return stride_as_walked(shape, role, group.axes[outer]) == (
        shape.shape[group.axes[outer - 1]]*stride_as_walked(shape, role, group.axes[outer - 1]))


cdef int axes_to_join(const Shape *shape, int role, const Group *group, Py_ssize_t short_below) noexcept:
    """How many of the innermost axes are one stretch of the elements that the operand keeps apart; 0 if none.

    They are joined until they are a few times as long as what is short.
    """
    cdef Py_ssize_t length
    cdef int together = 1, joined
    if group.ndim < 2:
        return 0
    length = shape.shape[group.axes[0]]
    while together < group.ndim and spans(shape, ELEMENTS, group, together) and spans(shape, role, group, together):
        length *= shape.shape[group.axes[together]]
        together += 1
    if length >= short_below:
        return 0
    joined = together
    while joined < group.ndim and length < 4*short_below and spans(shape, ELEMENTS, group, joined):
        length *= shape.shape[group.axes[joined]]
        joined += 1
    return joined if joined > together else 0


cdef bint repeat_along(const Shape *shape, int role, const Group *group, int joined, Py_ssize_t most,
                       cnp.npy_intp *lengths) noexcept:
    """Lengthen an operand's axes to those that are joined, or to fewer; False if not even two of them fit in `most`."""
    cdef Py_ssize_t size
    cdef int i, n
    for n in range(joined, 1, -1):
        size = 1
        for i in range(shape.ndim):
            size *= lengths[i]
        for i in range(n):
            size *= shape.shape[group.axes[i]]//lengths[group.axes[i]]
        if size <= most:
            for i in range(n):
                lengths[group.axes[i]] = shape.shape[group.axes[i]]
            return True
    return False


cdef cnp.ndarray repeated(cnp.ndarray operand, const Shape *shape, const cnp.npy_intp *lengths):
    """A copy of the operand of these lengths, in the memory order of the elements."""
    cdef cnp.npy_intp in_memory[MAX_DIMENSIONS]
    cdef cnp.npy_intp places[MAX_DIMENSIONS]
    cdef int order[MAX_DIMENSIONS]
    cdef cnp.PyArray_Dims axes
    cdef cnp.ndarray copy
    cdef int i, at
    cdef bint flipped = False
    for i in range(shape.ndim):             # the largest stride comes first
        at = i
        while at > 0 and size_of_stride(shape.stride[ELEMENTS][order[at - 1]]) < size_of_stride(
                shape.stride[ELEMENTS][i]):
            order[at] = order[at - 1]
            at -= 1
        order[at] = i
        flipped = flipped or shape.stride[ELEMENTS][i] < 0
    for i in range(shape.ndim):
        in_memory[i] = lengths[order[i]]
        places[order[i]] = i
    axes.ptr, axes.len = places, shape.ndim
    copy = cnp.PyArray_Transpose(cnp.PyArray_EMPTY(shape.ndim, in_memory, cnp.PyArray_TYPE(operand), 0), &axes)
    if flipped:
        copy = copy[tuple([slice(None, None, -1 if shape.stride[ELEMENTS][i] < 0 else 1) for i in range(shape.ndim)])]
    cnp.PyArray_CopyInto(copy, operand)
    return copy


cdef cnp.ndarray joined_operand(cnp.ndarray operand, int role, Shape *shape):
    """with_joined_axes for a shape that has the strides of the elements."""
    cdef Group kept, reduced
    cdef cnp.npy_intp lengths[MAX_DIMENSIONS]
    cdef int i, missing, kept_joined, reduced_joined = 0
    cdef Py_ssize_t most, reduced_length = 1
    cdef bint repeats
    take_strides(operand, role, shape)
    take_group(&kept, shape, False)
    take_group(&reduced, shape, True)
    for i in range(reduced.ndim):
        reduced_length *= shape.shape[reduced.axes[i]]
    kept_joined = axes_to_join(shape, role, &kept, TILE_COLUMNS)
    if not is_short_reduction(reduced_length):      # tiles take one element of each reduction after the other anyway
        reduced_joined = axes_to_join(shape, role, &reduced, CONTIGUOUS_MIN_ELEMENTS)
    if not kept_joined and not reduced_joined or size_of(shape) < NARROW_MIN_ELEMENTS:
        return operand
    if cnp.PyArray_SIZE(operand) == 1:
        return operand
    missing = shape.ndim - cnp.PyArray_NDIM(operand)
    for i in range(shape.ndim):
        lengths[i] = 1 if i < missing else cnp.PyArray_DIM(operand, i - missing)
    most = shape.repeated_left//cnp.PyArray_ITEMSIZE(operand)
    repeats = repeat_along(shape, role, &kept, kept_joined, most, lengths)
    if repeat_along(shape, role, &reduced, reduced_joined, most, lengths) or repeats:
        operand = repeated(operand, shape, lengths)
        shape.repeated_left -= cnp.PyArray_NBYTES(operand)
    return operand
