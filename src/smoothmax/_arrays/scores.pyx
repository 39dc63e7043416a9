"""top_log_probs and categorical: from arguments to a plan, and back to results."""

import operator

cimport numpy as cnp
import numpy as np
from cpython.pyport cimport PY_SSIZE_T_MAX
from numpy.exceptions import AxisError

from smoothmax._arrays.call cimport (
    Adjustment, Shape, adjusted_elements, adjustment_of, as_base, as_numbers, kernel_type,
    mark_axes, plain_draws, plain_top, prepare, put_adjustment, put_array, put_axes_in_order, reduced_shape,
    result_dtype, shape_of, shown, silenced, size_of, take_kernels_of_halves,
    take_reduced_strides,
)
from smoothmax._arrays.elements cimport has_kernels, number_of, storer
from smoothmax._kernels.dispatch cimport score_kernels_of
from smoothmax._kernels.interface cimport LOG_SOFTMAX
from smoothmax._schedule.plan cimport INDICES, RESULT, Plan
from smoothmax._schedule.route cimport EMPTY
from smoothmax._schedule.score_rows cimport DRAWS, TOP, Scores
from smoothmax._schedule.scores cimport walk_scores
from smoothmax._schedule.walk cimport note

cnp.import_array()


cdef object as_row_axis(object axis):
    """The argument axis as a Python integer."""
    if isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__") or getattr(axis, "ndim", 0):
        raise TypeError(f"axis must be an int, got {shown(axis)}")
    return operator.index(axis)


cdef int mark_row_axis(object axis, Shape *shape) except -1:
    """Mark the axis of the logits, and return it; `axis` is a result of as_row_axis."""
    cdef int i, found = 0
    if shape.ndim == 0:
        raise AxisError(axis, 0)
    mark_axes(axis, shape)
    for i in range(shape.ndim):
        found = i if shape.reduced[i] else found
    return found


cdef object real_dtype(object logits, cnp.ndarray array, Adjustment by):
    """The type of log-probabilities of these logits."""
    dtype = result_dtype(logits, array, None, None, None, by)
    if dtype.kind == "c":
        raise TypeError(f"logits must be real, got dtype {dtype}")
    return dtype


cdef int walk_scores_of(Plan *plan, Shape *shape, Scores *scores, cnp.ndarray result, cnp.ndarray indices,
                        bint doubles) except -1:
    """Walk a prepared plan. `result` and `indices` have what belongs to a row along their last axis.

    `result` has log-probabilities, or the uniform numbers of draws.
    """
    cdef int number = cnp.PyArray_TYPE(result)
    put_array(plan, RESULT, result, number)
    take_kernels_of_halves(plan, number, number)        # uniform numbers are doubles, so draws take none of them
    take_reduced_strides(result, RESULT, shape, keepdims=False)
    put_array(plan, INDICES, indices, cnp.PyArray_TYPE(indices))
    take_reduced_strides(indices, INDICES, shape, keepdims=False)
    put_axes_in_order(plan, shape, reverse=False)
    scores.plan = plan
    scores.kernels = score_kernels_of(doubles)
    scores.number = cnp.PyArray_DIM(result, cnp.PyArray_NDIM(result) - 1)
    scores.result_bytes = cnp.PyArray_ITEMSIZE(result)
    scores.undefined = 0
    if walk_scores(scores):
        raise MemoryError("no memory for the scratch of this call")
    return 0


# top_log_probs -------------------------------------------------------------------------------------------------------

cdef Py_ssize_t as_number(object k) except -1:
    """The argument k as an integer that is not negative; at most the largest Py_ssize_t."""
    if isinstance(k, (bool, np.bool_)) or not hasattr(k, "__index__") or getattr(k, "ndim", 0):
        raise TypeError(f"k must be an int, got {shown(k)}")
    number = operator.index(k)
    if number < 0:
        raise ValueError(f"k must not be negative, got {shown(number)}")
    return min(number, PY_SSIZE_T_MAX)


def checked_number(k, length, axis):
    """The argument k as an integer from 0 to the length of the axis."""
    number = as_number(k)
    if number > length:
        raise ValueError(f"k must be at most {length}, the length of axis {axis}, got {shown(k)}")
    return number


cdef object top_array(object logits, object k, object axis):
    """The k largest log-probabilities along the axis, and their indices."""
    cdef cnp.ndarray array = as_numbers(logits, "logits"), values, indices
    cdef Shape shape
    cdef Plan plan
    cdef Scores scores
    cdef Py_ssize_t number = as_number(k)
    cdef int along, computing
    axis = as_row_axis(axis)
    array = as_base(array)
    shape_of(array, &shape)
    along = mark_row_axis(axis, &shape)
    if number > shape.shape[along]:
        checked_number(k, shape.shape[along], axis)
    dtype = real_dtype(logits, array, None)
    positions = reduced_shape(&shape, keepdims=False)
    if not size_of(&shape) or not number:
        note(EMPTY)
        values, indices = np.empty((*positions, number), dtype), np.empty((*positions, number), np.intp)
    elif not has_kernels(number_of(dtype)):
        values, indices = plain_top(array, along, number, dtype)
    else:
        values, indices = np.empty((*positions, number), dtype), np.empty((*positions, number), np.intp)
        computing = kernel_type(number_of(dtype))
        prepare(&plan, LOG_SOFTMAX, &shape, array, None, None, computing)
        plan.store = storer(number_of(dtype), computing == cnp.NPY_FLOAT64)
        scores.scoring = TOP
        walk_scores_of(&plan, &shape, &scores, values, indices, computing == cnp.NPY_FLOAT64)
    if along == shape.ndim - 1:
        return values, indices
    return np.moveaxis(values, -1, along), np.moveaxis(indices, -1, along)


# categorical ---------------------------------------------------------------------------------------------------------

def lengths_of(size):
    """The integers of `size`; None if it is None."""
    if size is None:
        return None
    lengths = []
    for one in size if isinstance(size, (tuple, list)) else (size,):
        if isinstance(one, (bool, np.bool_)) or not hasattr(one, "__index__") or getattr(one, "ndim", 0):
            raise TypeError(f"size must be None, an int or a tuple of ints, got {shown(size)}")
        length = operator.index(one)
        lengths.append(length)
        if length < 0:
            raise ValueError(f"size must not be negative, got {shown(size)}")
    return tuple(lengths)


def checked_size(lengths, size, tuple positions):
    """The shape of the result: the lengths of `size`, to which the positions must broadcast."""
    if lengths is None:
        return positions
    missing = len(lengths) - len(positions)
    if missing < 0 or any([n != 1 and n != m for n, m in zip(positions, lengths[missing:])]):
        raise ValueError(f"size must be a shape that {positions}, the shape of logits without the axis, broadcasts "
                         f"to, got {shown(size)}")
    return lengths


cdef int refuse_undefined(cnp.ndarray array, int along, Adjustment by, object dtype, object indices,
                          object begin) except -1:
    """Raise for the first row, in C's order, that has no distribution. `begin` is where rows of a file begin."""
    place = tuple([int(i) for i in np.argwhere(indices[..., 0] < 0)[0]])
    silence = silenced()
    try:
        row = adjusted_elements((<object>array)[place[:along] + (slice(None),) + place[along:]], by, dtype)
        largest = np.max(row)
    finally:
        silence.__exit__(None, None, None)
    what = "nan" if np.isnan(largest) else "inf" if largest > 0 else "-inf alone"
    if begin is not None:
        place = tuple([i + first for i, first in zip(place, begin)])
    where = ", ".join([str(i) for i in place[:along] + (":",) + place[along:]])
    raise ValueError(f"logits must not have nan, inf or -inf alone along the axis, got {what} in logits[{where}]")


cdef object draw_array(object logits, object axis, object size, object scale, object rng, object uniforms=None,
                       object begin=None):
    """Indices along the axis, drawn with the probabilities softmax(scale*logits) by given or new uniform numbers."""
    cdef cnp.ndarray array = as_numbers(logits, "logits"), numbers, indices
    cdef Adjustment by = adjustment_of(scale, None)
    cdef Shape shape
    cdef Plan plan
    cdef Scores scores
    cdef int along, computing, i
    cdef bint undefined
    axis = as_row_axis(axis)
    generator = np.random.default_rng(rng) if uniforms is None else None
    lengths = lengths_of(size)
    array = as_base(array)
    shape_of(array, &shape)
    along = mark_row_axis(axis, &shape)
    dtype = real_dtype(logits, array, by)
    positions = reduced_shape(&shape, keepdims=False)
    lengths = checked_size(lengths, size, positions)
    layout = (<object>array).shape, (<object>array).strides
    if uniforms is None:
        uniforms = generator.random(lengths)
    if np.size(uniforms) == 0:
        note(EMPTY)
        return np.empty(lengths, np.intp)
    if type(generator) is not np.random.Generator:      # do not write to an array that code of the user returned
        uniforms = np.array(uniforms, np.float64)
    if layout != ((<object>array).shape, (<object>array).strides):      # changed by a generator class of the user
        raise ValueError(f"logits must stay as they are while rng draws numbers, got shape {np.shape(array)} after "
                         f"{layout[0]}")
    # Axes of the result that the logits do not have come last, so that the draws of a row are contiguous.
    missing = len(lengths) - len(positions)
    of_rows = [i + missing for i in range(len(positions)) if positions[i] == lengths[i + missing]]
    order = of_rows + [i for i in range(len(lengths)) if i not in of_rows]
    numbers = np.ascontiguousarray(np.transpose(np.reshape(uniforms, lengths), order).reshape(*positions, -1))
    uniforms = None                                     # to have only one array of the result's size beside it
    indices = np.empty(np.shape(numbers), np.intp)
    if shape.shape[along] == 0:
        raise ValueError(f"logits must have an element along axis {axis} to draw from, got shape {np.shape(array)}")
    if not has_kernels(number_of(dtype)):
        indices = plain_draws(array, along, numbers, by, dtype)
        undefined = bool(np.any(np.less(indices, 0)))
    else:
        computing = kernel_type(number_of(dtype))
        prepare(&plan, LOG_SOFTMAX, &shape, array, None, None, computing)
        put_adjustment(&plan, by, computing, &shape)
        scores.scoring = DRAWS
        walk_scores_of(&plan, &shape, &scores, numbers, indices, computing == cnp.NPY_FLOAT64)
        undefined = scores.undefined
    numbers = None
    if undefined:
        refuse_undefined(array, along, by, dtype, indices, begin)
    drawn = np.transpose(np.reshape(indices, [lengths[i] for i in order]), np.argsort(order))
    return np.ascontiguousarray(drawn)[()] if len(lengths) else drawn.reshape(())[()]


def drawn(logits, uniforms, axis, scale, begin=None):
    """The draws for given uniform numbers, for tasks of Dask and for blocks of a file that begin at these places."""
    return draw_array(logits, axis, np.shape(uniforms), scale, None, uniforms, begin)
