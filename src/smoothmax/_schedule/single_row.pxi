# The route SINGLE_ROW: the results of a whole array that is one short contiguous row are computed without a plan.

from smoothmax._kernels.environment cimport Environment, enter_environment, leave_environment
from smoothmax._kernels.interface cimport NATIVE, Adjustment, Kernels, State, clear
from smoothmax._schedule.atomics cimport load
from smoothmax._schedule.route cimport SINGLE_ROW
from smoothmax._thresholds cimport (
    GIL_MIN_ELEMENTS, HALF_ROW_ELEMENTS, LANES_F32, LANES_F64, ROW_BLOCK_BYTES, ROW_BLOCK_LANES,
)


cdef bint walk_row(const Kernels *kernels, const void *elements, Py_ssize_t n, Py_ssize_t itemsize,
                   void *result) noexcept:
    """Compute the results of a row of floats; returns False if the row is too long.

    Without a plan, softmax of ten elements takes 950 instructions instead of 1700 (P27).
    """
    cdef Environment environment
    if n*itemsize > kernels.fused_row_bytes:
        return False
    enter_environment(&environment)
    if n < GIL_MIN_ELEMENTS:
        kernels.fused_row(elements, n, 0, NULL, result)
    else:
        with nogil:
            kernels.fused_row(elements, n, 0, NULL, result)
    leave_environment(&environment)
    if load(&explained):
        note(SINGLE_ROW)
    return True


# Halves, weights and addends ------------------------------------------------------------------------------------------

cdef void compute_few_halves(const SingleRow *row) noexcept nogil:
    """compute_halves for a row that fits in the lanes, and so needs no draft (P53)."""
    cdef float value
    cdef bint reduces = row.kernels.write_row == NULL
    if not row.fused_halves(row.elements, row.n, NULL, <void *>&value if reduces else row.result):
        compute_halves(row)
    elif reduces:
        row.store(&value, 1, row.result, 2, NATIVE)


cdef void compute_halves(const SingleRow *row) noexcept nogil:
    cdef float floats[HALF_ROW_ELEMENTS]
    cdef float value
    cdef bint reduces = row.kernels.write_row == NULL
    if row.fused_halves != NULL and row.fused_halves(
            row.elements, row.n, floats, <void *>&value if reduces else row.result):
        if reduces:
            row.store(&value, 1, row.result, 2, NATIVE)
        return
    row.load(row.elements, 2, row.n, NATIVE, floats)
    if reduces:
        row.kernels.fused_row(floats, row.n, 0, NULL, &value)
        row.store(&value, 1, row.result, 2, NATIVE)
    else:
        row.kernels.fused_row(floats, row.n, 0, NULL, floats)
        row.store(floats, row.n, row.result, 2, NATIVE)


cdef void compute_adjusted(const SingleRow *row) noexcept nogil:
    cdef double adjusted[ROW_BLOCK_LANES*LANES_F64]
    cdef Adjustment adjustment
    adjustment.scale, adjustment.minus_zero = row.scale, -0.0
    adjustment.addends, adjustment.layout, adjustment.staged = row.addends, row.layout, adjusted
    row.kernels.fused_row(row.elements, row.n, 0, &adjustment, row.result)


cdef void compute_weighted(const SingleRow *row) noexcept nogil:
    cdef State state
    state.away, state.adjustment = 0, NULL
    if row.kernels.weighs:
        state.argument.weight[0] = row.weight
        row.kernels.fused_state_row(&state, row.elements, row.n, NULL)
    else:
        clear(&state, 1)
        row.kernels.reduce_row(&state, row.elements, row.weights, row.n)
    row.kernels.finish(&state, 1, row.result, NULL)


cdef void compute_single_row(const SingleRow *row, void (*compute)(const SingleRow *) noexcept nogil) noexcept:
    cdef Environment environment
    enter_environment(&environment)
    if row.n < GIL_MIN_ELEMENTS:
        compute(row)
    else:
        with nogil:
            compute(row)
    leave_environment(&environment)
    if load(&explained):
        note(SINGLE_ROW)


cdef bint walk_half_row(const SingleRow *row) noexcept:
    """walk_row for float16 and bfloat16, which need memory of the stack as floats (P53)."""
    if row.n > HALF_ROW_ELEMENTS or row.n*<Py_ssize_t>sizeof(float) > row.kernels.fused_row_bytes:
        return False
    compute_single_row(row, compute_few_halves if row.n <= LANES_F32 and row.fused_halves != NULL else compute_halves)
    return True


cdef bint walk_adjusted_row(const SingleRow *row) noexcept:
    """walk_row for elements times `scale`, plus addends."""
    if not row.kernels.adjusts or (
            row.n*row.itemsize > min(row.kernels.fused_row_bytes, <Py_ssize_t>ROW_BLOCK_BYTES)):
        return False
    compute_single_row(row, compute_adjusted)
    return True


cdef bint walk_weighted_row(const SingleRow *row) noexcept:
    """walk_row with weights."""
    if row.n*row.itemsize > ROW_BLOCK_BYTES:
        return False
    compute_single_row(row, compute_weighted)
    return True
