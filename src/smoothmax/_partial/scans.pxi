# Scans that start from the partial sums of earlier elements.


def scanned(x, int axis, bint reverse, bint exclusive, cnp.ndarray before, dtype):
    """logcumsumexp of elements along an axis, given the partial sums of "logmeanexp" of all earlier elements."""
    cdef cnp.ndarray array = as_base(as_array(x, "a")), result
    cdef Shape shape
    cdef Plan plan
    cdef int computing = kernel_type(number_of(np.dtype(dtype)))
    shape_of(array, &shape)
    mark_axes(as_one_axis(axis), &shape)
    check_states(before, &shape)
    result = np.empty(whole_shape(&shape), dtype)
    if size_of(&shape):
        prepare(&plan, EXCLUSIVE_LOGCUMSUMEXP if exclusive else LOGCUMSUMEXP, &shape, array, None, None, computing)
        plan.passes = SECOND
        plan.data[STATES] = <char *>cnp.PyArray_DATA(before)
        take_strides(before, STATES, &shape)
        put_result(&plan, result, computing, &shape)
        scan_arrays(&plan, &shape, reverse)
    else:
        note(EMPTY)
    return result
