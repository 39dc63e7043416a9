# The loops that NumPy calls, which bring operands of any type and stride to the kernels.
#
# NumPy hands a loop aligned, native elements. The loops leave no floating-point flags, so no call warns.

cdef bint is_apart(const char *operand, Py_ssize_t step, const char *results, Py_ssize_t results_step,
                   Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """Whether none of n results overwrites an element, or each only its own."""
    cdef Py_ssize_t last = (n - 1)*step, last_result = (n - 1)*results_step
    if operand == results and step == results_step:
        return True
    return (operand + max(last, 0) + size <= results + min(last_result, 0)
            or results + max(last_result, 0) + size <= operand + min(last, 0))


cdef bint order_matters(const Loop *loop, char **arrays, Py_ssize_t n, const cnp.npy_intp *steps) noexcept nogil:
    """Whether results overwrite elements that other results are computed from.

    NumPy makes no copy of x[1:] whose results go to x[:-1], because each element is read before it is overwritten.
    """
    cdef int result = loop.operands, i
    for i in range(result):
        if not is_apart(arrays[i], steps[i], arrays[result], steps[result], n, loop.size):
            return True
    return False


cdef void kernel_loop(char **arrays, cnp.npy_intp *dimensions, cnp.npy_intp *steps, void *data) noexcept nogil:
    cdef const Loop *loop = <const Loop *>data
    cdef int result = loop.operands, i
    cdef char *places[MAX_OPERANDS + 1]
    cdef Py_ssize_t n = dimensions[0], j
    cdef Results results
    cdef Environment environment
    enter_environment(&environment)
    if steps[0] == steps[result] == arrays[result] - arrays[0]:
        # reduce or accumulate: each result is an operand of the next.
        for j in range(n):
            for i in range(result + 1):
                places[i] = arrays[i] + j*steps[i]
            compute_results(loop, places, 1, steps)
    elif n*loop.size < SHARE_MIN_BYTES or order_matters(loop, arrays, n, steps):
        compute_results(loop, arrays, n, steps)
    else:
        results.loop, results.arrays, results.steps = loop, arrays, steps
        results.rows, results.columns, results.row_steps = 1, n, steps      # There is one row, so they are never added.
        share_results(&results)
    leave_environment(&environment)


cdef void longdouble_loop(char **arrays, cnp.npy_intp *dimensions, cnp.npy_intp *steps, void *data) noexcept nogil:
    cdef const Loop *loop = <const Loop *>data
    cdef int second = loop.operands - 1
    cdef Py_ssize_t i
    cdef WholeEnvironment environment
    enter_whole_environment(&environment)
    for i in range(dimensions[0]):
        (<longdouble *>(arrays[second + 1] + i*steps[second + 1]))[0] = loop.formula(
            (<longdouble *>(arrays[0] + i*steps[0]))[0], (<longdouble *>(arrays[second] + i*steps[second]))[0])
    leave_whole_environment(&environment)
