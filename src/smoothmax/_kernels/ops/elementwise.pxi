# The elementwise operations, each with one formula: loops from a row of operands to a row of results.
#
# Every element goes through the same loop over lanes, and the last elements of a row are padded, so the bits of a
# result do not depend on its place. A single number has the same bits outside of that loop: formulas call fma where the
# bits depend on it, and compilers contract the rest of a polynomial in the same way. tests/test_c_functions.py compares
# them.

cdef inline real before_log(Elementwise operation, real x1, real x2, real *count, real *e, real *e_low) noexcept nogil:
    """Compute all but the logarithm, and return what it is added to."""
    if operation == LOGADDEXP:
        return split_logaddexp(x1, x2, e, e_low)
    if operation == LOGSUBEXP:
        return split_logsubexp(x1, x2, count, e, e_low)
    if operation == LOG1MEXP:
        return split_log1mexp(x1, count, e, e_low)
    return split_log1pexp(-x1 if operation == LOG_EXPIT else x1, e, e_low)


cdef inline real with_log(Elementwise operation, real m, real count, real e, real e_low) noexcept nogil:
    """The result, by the numbers of before_log."""
    if operation == LOGSUBEXP or operation == LOG1MEXP:
        return m - magnitude(log_of_rest(count, e, e_low))
    m += log_one_plus(e, e_low)
    return -m if operation == LOG_EXPIT else m


cdef inline real result_of(Elementwise operation, real x1, real x2) noexcept nogil:
    cdef real count, e, e_low, m = before_log(operation, x1, x2, &count, &e, &e_low)
    return with_log(operation, m, count, e, e_low)


cdef inline void results_of_lanes(Elementwise operation, const real *x1, const real *x2, Py_ssize_t rows,
                                  real *out) noexcept nogil:
    """Compute the results of up to ELEMENTWISE_LANE_ROWS rows of lanes: what precedes their logarithms, then these.

    In one loop both would fill the processor's window with two rows, too few to hide how long each waits (P64).
    """
    cdef Py_ssize_t width = lanes_of(x1), at, i, j
    cdef real m[ELEMENTWISE_LANE_ROWS*LANES]
    cdef real count[ELEMENTWISE_LANE_ROWS*LANES]
    cdef real e[ELEMENTWISE_LANE_ROWS*LANES]
    cdef real e_low[ELEMENTWISE_LANE_ROWS*LANES]
    cdef real y[LANES]
    for i in range(rows):
        at = i*width
        for j in range(lanes_of(x1)):
            m[at + j] = before_log(operation, x1[at + j], x2[at + j], &count[at + j], &e[at + j], &e_low[at + j])
    for i in range(rows):
        at = i*width
        for j in range(lanes_of(x1)):
            y[j] = with_log(operation, m[at + j], count[at + j], e[at + j], e_low[at + j])
        for j in range(lanes_of(x1)):
            out[at + j] = y[j]


cdef inline void results_of_row(Elementwise operation, const real *x1, const real *x2, Py_ssize_t n,
                                real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x1), rows = n//width, remaining = n - rows*width, i
    cdef real tail1[LANES]
    cdef real tail2[LANES]
    for i from 0 <= i < rows by ELEMENTWISE_LANE_ROWS:
        results_of_lanes(operation, x1 + i*width, x2 + i*width, min_of(rows - i, ELEMENTWISE_LANE_ROWS), out + i*width)
    if remaining:
        # The filler is an ordinary number and raises no floating-point flag, because clearing flags takes time.
        pad_with(<real>-1, x1 + rows*width, remaining, tail1)
        if operation == LOGADDEXP or operation == LOGSUBEXP:
            pad_with(<real>-2, x2 + rows*width, remaining, tail2)
            results_of_lanes(operation, tail1, tail2, 1, tail1)
        else:
            results_of_lanes(operation, tail1, tail1, 1, tail1)
        unpad(tail1, remaining, out + rows*width)


cdef void logaddexp_row(const real *x1, const real *x2, Py_ssize_t n, real *out) noexcept nogil:
    results_of_row(LOGADDEXP, x1, x2, n, out)


cdef void logsubexp_row(const real *x1, const real *x2, Py_ssize_t n, real *out) noexcept nogil:
    results_of_row(LOGSUBEXP, x1, x2, n, out)


cdef void log1mexp_row(const real *x, const real *_, Py_ssize_t n, real *out) noexcept nogil:
    results_of_row(LOG1MEXP, x, x, n, out)


cdef void log1pexp_row(const real *x, const real *_, Py_ssize_t n, real *out) noexcept nogil:
    results_of_row(LOG1PEXP, x, x, n, out)


cdef void log_expit_row(const real *x, const real *_, Py_ssize_t n, real *out) noexcept nogil:
    results_of_row(LOG_EXPIT, x, x, n, out)


cdef void fill_elementwise(ElementwiseRow *rows, real _) noexcept:
    rows[<int>LOGADDEXP] = <ElementwiseRow>logaddexp_row[real]
    rows[<int>LOGSUBEXP] = <ElementwiseRow>logsubexp_row[real]
    rows[<int>LOG1MEXP] = <ElementwiseRow>log1mexp_row[real]
    rows[<int>LOG1PEXP] = <ElementwiseRow>log1pexp_row[real]
    rows[<int>LOG_EXPIT] = <ElementwiseRow>log_expit_row[real]


# Numbers --------------------------------------------------------------------------------------------------------------
#
# A loop over lanes would take twice as long for a single number (P57).

cdef real logaddexp_number(real x1, real x2) noexcept nogil:
    return result_of(LOGADDEXP, x1, x2)


cdef real logsubexp_number(real x1, real x2) noexcept nogil:
    return result_of(LOGSUBEXP, x1, x2)


cdef real log1mexp_number(real x, real _) noexcept nogil:
    return result_of(LOG1MEXP, x, x)


cdef real log1pexp_number(real x, real _) noexcept nogil:
    return result_of(LOG1PEXP, x, x)


cdef real log_expit_number(real x, real _) noexcept nogil:
    return result_of(LOG_EXPIT, x, x)


cdef void fill_numbers(NumberF32 *singles, NumberF64 *doubles) noexcept:
    singles[<int>LOGADDEXP], doubles[<int>LOGADDEXP] = logaddexp_number[float], logaddexp_number[double]
    singles[<int>LOGSUBEXP], doubles[<int>LOGSUBEXP] = logsubexp_number[float], logsubexp_number[double]
    singles[<int>LOG1MEXP], doubles[<int>LOG1MEXP] = log1mexp_number[float], log1mexp_number[double]
    singles[<int>LOG1PEXP], doubles[<int>LOG1PEXP] = log1pexp_number[float], log1pexp_number[double]
    singles[<int>LOG_EXPIT], doubles[<int>LOG_EXPIT] = log_expit_number[float], log_expit_number[double]
