# Calls of a ufunc with contiguous arrays alone, which go past NumPy's own function.
#
# NumPy takes 150 ns or more to find types, loop and iterator, and passes operands that it broadcasts in parts of at
# most 8192 elements, or one row at a time if rows are longer, so there is too little for threads to share (P62).
# Contiguous arrays of one type that kernels read need neither the search nor the parts. Every other call goes to NumPy
# and has the same bits: with keywords, `out`, numbers, lists, other types or layouts, methods, or more loops than two.
# So do operands that do not broadcast: NumPy raises the error.

cdef vectorcallfunc vectorcall_of_numpy = NULL


cdef const Loop *loop_of_arrays(PyUFuncObject *ufunc, PyObject *const *arguments) noexcept:
    """The loop for operands that are aligned, C-contiguous arrays of one type that kernels read, or NULL.

    A dtype with metadata goes to NumPy, which gives it to the result.
    """
    cdef const Loop *loops = <const Loop *>ufunc.data[0]
    cdef int number = -1, i
    for i in range(ufunc.nin):
        if not cnp.PyArray_CheckExact(<object>arguments[i]):
            return NULL
        array = <cnp.ndarray>arguments[i]
        if not cnp.PyArray_ISCARRAY_RO(array) or cnp.PyArray_NDIM(array) == 0:
            return NULL
        if metadata_of(cnp.PyArray_DESCR(array)) != NULL:
            return NULL
        if i > 0 and cnp.PyArray_TYPE(array) != number:
            return NULL
        number = cnp.PyArray_TYPE(array)
    for i in range(ufunc.ntypes):
        if loops[i].type_number == number:
            return &loops[i] if loops[i].direct else NULL
    return NULL


cdef struct Broadcast:
    # Operands that are broadcast: the shape of the results, and how they lie in rows.
    int ndim
    cnp.npy_intp shape[MAX_DIMENSIONS]
    Py_ssize_t rows, columns
    cnp.npy_intp row_steps[MAX_OPERANDS + 1]
    cnp.npy_intp steps[MAX_OPERANDS + 1]


cdef enum:
    NO_OPERAND = -1     # No operand is repeated along an axis. Otherwise `repeated` is the number of the one that is.


cdef inline cnp.npy_intp length_along(cnp.ndarray array, int axis, int ndim) noexcept:
    """The length along an axis of the results, which have `ndim`."""
    axis -= ndim - cnp.PyArray_NDIM(array)
    return cnp.PyArray_DIM(array, axis) if axis >= 0 else 1


cdef void set_steps(cnp.npy_intp *steps, int repeated, Py_ssize_t of_first, Py_ssize_t of_second,
                    Py_ssize_t of_results) noexcept:
    """Put the steps of operands and results. The repeated operand stays.

    A single operand is both operands, and its results take the place of the second.
    """
    steps[0] = 0 if repeated == 0 else of_first
    steps[1] = 0 if repeated == 1 else of_second
    steps[2] = of_results


cdef bint broadcast_to_rows(Broadcast *to, cnp.ndarray first, cnp.ndarray second, Py_ssize_t size) noexcept:
    """Broadcast two contiguous operands to rows. Return False if they do not fit, or need more loops than two.

    Neighbouring axes along which the same operand is repeated are one.
    """
    cdef int axis, repeated, along_columns = NO_OPERAND, along_rows = NO_OPERAND
    cdef cnp.npy_intp length, other
    to.ndim = max(cnp.PyArray_NDIM(first), cnp.PyArray_NDIM(second))
    to.rows = to.columns = 1
    for axis in range(to.ndim - 1, -1, -1):
        length, other = length_along(first, axis, to.ndim), length_along(second, axis, to.ndim)
        repeated = NO_OPERAND if length == other else 0 if length == 1 else 1
        if repeated == 1 and other != 1:
            return False
        length = to.shape[axis] = other if repeated == 0 else length
        if length == 1:
            continue
        if to.rows == 1 and (to.columns == 1 or repeated == along_columns):
            to.columns *= length
            along_columns = repeated
        elif to.rows == 1 or repeated == along_rows:
            to.rows *= length
            along_rows = repeated
        else:
            return False
    set_steps(to.steps, along_columns, size, size, size)
    set_steps(to.row_steps, along_rows, size if along_columns == 0 else to.columns*size,
              size if along_columns == 1 else to.columns*size, to.columns*size)
    return True


cdef object compute_arrays(const Loop *loop, Broadcast *to, cnp.ndarray first, cnp.ndarray second):
    """A new array of the results."""
    cdef cnp.ndarray result = cnp.PyArray_EMPTY(to.ndim, to.shape, loop.type_number, 0)
    cdef char *arrays[MAX_OPERANDS + 1]
    cdef Results results
    cdef Environment environment
    arrays[0], arrays[1] = <char *>cnp.PyArray_DATA(first), <char *>cnp.PyArray_DATA(second)
    arrays[loop.operands] = <char *>cnp.PyArray_DATA(result)
    results.loop, results.arrays, results.rows, results.columns = loop, arrays, to.rows, to.columns
    results.row_steps, results.steps = to.row_steps, to.steps
    enter_environment(&environment)
    if to.rows*to.columns < GIL_MIN_ELEMENTS:
        compute_part(&results, 0, to.rows*to.columns)
    else:
        with nogil:
            share_results(&results)
    leave_environment(&environment)
    return result


cdef object call_ufunc(PyObject *called, PyObject *const *arguments, size_t flags, PyObject *names):
    """The function that Python calls for a ufunc."""
    cdef PyUFuncObject *ufunc = <PyUFuncObject *>called
    cdef const Loop *loop = NULL
    cdef Broadcast to
    if names == NULL and PyVectorcall_NARGS(flags) == ufunc.nin:
        loop = loop_of_arrays(ufunc, arguments)
    if loop != NULL:
        first, second = <cnp.ndarray>arguments[0], <cnp.ndarray>arguments[ufunc.nin - 1]
        if broadcast_to_rows(&to, first, second, loop.size):
            return compute_arrays(loop, &to, first, second)
    return vectorcall_of_numpy(called, arguments, flags, names)
