# Means, from partial sums and their divisors.


def means(states, totals, dtype, result=None):
    """The results of logmeanexp in the shape of the partial sums.

    `totals` is the number of elements. For sums with weights, it has the partial sums of the weights, computed like
    those of elements of 0.
    """
    cdef Environment environment
    cdef bint weighted = totals.dtype == STATE
    cdef cnp.ndarray source = np.ascontiguousarray(states)
    cdef cnp.ndarray divisors = np.ascontiguousarray(
        np.broadcast_to(totals if weighted else np.asarray(totals, np.float64), np.shape(states)))
    cdef cnp.ndarray values = np.empty(np.shape(states), result or dtype)
    cdef const Kernels *functions = kernels_of(WEIGHTED_LOGMEANEXP if weighted else LOGMEANEXP, dtype == np.float64)
    cdef Store store = storer(cnp.PyArray_TYPE(values), dtype == np.float64)
    cdef const double *counts = <const double *>cnp.PyArray_DATA(divisors)
    cdef Py_ssize_t done = 0, n = cnp.PyArray_SIZE(source), columns, itemsize = values.itemsize, j
    cdef State state
    cdef double some[TILE_COLUMNS]
    enter_environment(&environment)
    with nogil:
        while done < n:
            columns = min(n - done, TILE_COLUMNS)
            unpack(cnp.PyArray_BYTES(source) + done*sizeof(Packed), sizeof(Packed), columns, &state)
            if weighted:
                unpack_weights(cnp.PyArray_BYTES(divisors) + done*sizeof(Packed), columns, &state)
            else:
                for j in range(columns):
                    state.argument.elements[j] = counts[done + j]
            functions.finish(&state, columns, some, NULL)
            store(some, columns, cnp.PyArray_BYTES(values) + done*itemsize, itemsize, NATIVE)
            done += columns
    leave_environment(&environment)
    return values
