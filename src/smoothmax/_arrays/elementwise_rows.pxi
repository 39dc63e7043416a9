# Rows of results of a ufunc, whoever calls: short ones are computed as one, and threads share many.
#
# Kernels read contiguous elements of their types where they lie; others go through blocks on the stack.
#
# This runs without the GIL. Work on many elements takes it for a moment, to ask how many threads may share it.

cdef void load_block(const Loop *loop, const char *elements, Py_ssize_t step, Py_ssize_t n, double *to) noexcept nogil:
    """Load n elements as floats or doubles. If the step is 0, all are the same."""
    cdef Py_ssize_t i
    if step:
        loop.load(elements, step, n, NATIVE, to)
        return
    loop.load(elements, 0, 1, NATIVE, to)
    if loop.size == sizeof(float):
        for i in range(1, n):
            (<float *>to)[i] = (<float *>to)[0]
    else:
        for i in range(1, n):
            to[i] = to[0]


cdef inline bint is_direct(const Loop *loop, Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    return loop.direct and (step == loop.size or n == 1)


cdef void compute_in_blocks(const Loop *loop, char **arrays, Py_ssize_t n,
                            const cnp.npy_intp *steps) noexcept nogil:
    cdef double blocks[MAX_OPERANDS + 1][ELEMENTWISE_BLOCK_ELEMENTS]
    cdef char *places[MAX_OPERANDS + 1]
    cdef bint direct[MAX_OPERANDS + 1]
    cdef int result = loop.operands, i
    cdef Py_ssize_t first = 0, count = ELEMENTWISE_BLOCK_ELEMENTS
    for i in range(result + 1):
        direct[i] = is_direct(loop, n, steps[i])
    while first < n:
        if count > n - first:
            count = n - first
        for i in range(result + 1):
            places[i] = arrays[i] + first*steps[i] if direct[i] else <char *>blocks[i]
        for i in range(result):
            if not direct[i] and (steps[i] != 0 or first == 0):
                load_block(loop, arrays[i] + first*steps[i], steps[i], count, blocks[i])
        loop.row(places[0], places[result - 1], count, places[result])
        if not direct[result]:
            loop.store(blocks[result], count, arrays[result] + first*steps[result], steps[result], NATIVE)
        first += count


cdef inline void compute_results(const Loop *loop, char **arrays, Py_ssize_t n,
                                 const cnp.npy_intp *steps) noexcept nogil:
    """Compute n results, none of which is an operand of another."""
    cdef int result = loop.operands
    if is_direct(loop, n, steps[0]) and is_direct(loop, n, steps[result - 1]) and is_direct(loop, n, steps[result]):
        loop.row(arrays[0], arrays[result - 1], n, arrays[result])
    else:
        compute_in_blocks(loop, arrays, n, steps)


cdef struct Results:
    # Rows of results, and the operands that they are computed from. Arrays and steps are those of the operands,
    # followed by those of the results.
    const Loop *loop
    char **arrays
    Py_ssize_t rows, columns
    const cnp.npy_intp *row_steps       # in bytes, from row to row
    const cnp.npy_intp *steps           # and from column to column


cdef void repeat_row(const char *row, Py_ssize_t size, Py_ssize_t n, char *to) noexcept nogil:
    """Write a row of `size` bytes n times."""
    cdef Py_ssize_t written = size, count
    memcpy(to, row, size)
    while written < n*size:
        count = min(written, n*size - written)
        memcpy(to + written, to, count)
        written += count


cdef void repeat_elements(const floating *elements, Py_ssize_t n, Py_ssize_t columns, floating *to) noexcept nogil:
    """Write each of n elements `columns` times."""
    cdef Py_ssize_t i, j
    for i in range(n):
        for j in range(columns):
            to[i*columns + j] = elements[i]


cdef void compute_short_rows(const Results *results, Py_ssize_t row, Py_ssize_t n) noexcept nogil:
    """Compute n rows, whose results are contiguous, as one. Operands that are repeated are written to blocks."""
    cdef double blocks[MAX_OPERANDS][REPEATED_BLOCK_ELEMENTS]
    cdef char *places[MAX_OPERANDS + 1]
    cdef Py_ssize_t columns = results.columns
    cdef int result = results.loop.operands, i
    for i in range(result + 1):
        places[i] = results.arrays[i] + row*results.row_steps[i]
        if results.row_steps[i] == 0:
            repeat_row(places[i], columns*results.loop.size, n, <char *>blocks[i])
            places[i] = <char *>blocks[i]
        elif results.steps[i] == 0:
            if results.loop.size == sizeof(float):
                repeat_elements(<const float *>places[i], n, columns, <float *>blocks[i])
            else:
                repeat_elements(<const double *>places[i], n, columns, <double *>blocks[i])
            places[i] = <char *>blocks[i]
    results.loop.row(places[0], places[result - 1], n*columns, places[result])


cdef void compute_part(const Results *results, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """Compute the results from number `first` to before number `end`, counted along the rows.

    A call for each of many short rows would take longer than to write repeated operands to blocks.
    """
    cdef char *places[MAX_OPERANDS + 1]
    cdef Py_ssize_t columns = results.columns
    cdef Py_ssize_t rows_in_block = REPEATED_BLOCK_ELEMENTS//max(columns, 1) if results.rows > 1 else 0
    cdef Py_ssize_t row, column, n
    cdef int i
    while first < end:
        row, column = first//columns, first % columns
        if rows_in_block > 1 and column == 0 and end - first >= columns:
            n = min((end - first)//columns, rows_in_block)
            compute_short_rows(results, row, n)
            first += n*columns
            continue
        n = min(columns - column, end - first)
        for i in range(results.loop.operands + 1):
            places[i] = results.arrays[i] + row*results.row_steps[i] + column*results.steps[i]
        compute_results(results.loop, places, n, results.steps)
        first += n


cdef void work_on_elements(void *context, Queue *queue) noexcept nogil:
    cdef const Results *results = <const Results *>context
    cdef Py_ssize_t item = take(queue), first
    while item >= 0:
        first = item*SHARE_GRAIN_ELEMENTS
        compute_part(results, first, min(results.rows*results.columns, first + SHARE_GRAIN_ELEMENTS))
        item = take(queue)


cdef int raise_error(void *error) except -1:
    kept = <object>error
    Py_DECREF(kept)
    raise kept


cdef int threads_to_share() noexcept with gil:
    """How many threads may share the results of this thread's call. As many helpers are started, if they can be had.

    A loop cannot raise exceptions. If a signal's handler raises one here, the main thread does once the loop is over.
    """
    cdef int threads
    try:
        threads = threads_of_caller()
        enlarge_pool(threads - 1)
    except MemoryError:
        return 1
    except BaseException as error:
        Py_INCREF(error)
        if Py_AddPendingCall(raise_error, <void *>error):
            Py_DECREF(error)
            raise
        return 1
    return threads


cdef void share_results(Results *results) noexcept nogil:
    """Compute the results by several threads if that pays. The work needs no memory, so it cannot fail."""
    cdef Py_ssize_t n = results.rows*results.columns
    cdef int threads = threads_to_share() if n*results.loop.size >= SHARE_MIN_BYTES else 1
    if threads == 1:
        compute_part(results, 0, n)
    else:
        share_among(work_on_elements, results, (n - 1)//SHARE_GRAIN_ELEMENTS + 1, threads)
