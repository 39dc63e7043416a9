# A partial sum as stored between walks, in an array with one for each reduction.

from libc.math cimport INFINITY
from libc.string cimport memcpy

from smoothmax._kernels.interface cimport SHIFTED, SUM_NUMBERS, State


cdef struct Packed:
    # The numbers of one column of a State's sum, in the order of its fields.
    double numbers[SUM_NUMBERS]


cdef inline void clear_packed(Packed *packed) noexcept nogil:
    """Make it that of a reduction that has seen nothing, as clear() does."""
    packed.numbers[0] = -INFINITY
    packed.numbers[1] = packed.numbers[2] = packed.numbers[3] = 0


cdef inline void pack(const State *state, Py_ssize_t columns, char *to, Py_ssize_t stride) noexcept nogil:
    cdef Packed packed
    cdef Py_ssize_t j
    cdef int i
    for j in range(columns):
        for i in range(SUM_NUMBERS):
            packed.numbers[i] = state.sum.numbers[i][j]
        memcpy(to + j*stride, &packed, sizeof(Packed))


cdef inline void unpack(const char *source, Py_ssize_t stride, Py_ssize_t columns, State *state) noexcept nogil:
    cdef Packed packed
    cdef Py_ssize_t j
    cdef int i
    state.scaling = SHIFTED
    for j in range(columns):
        memcpy(&packed, source + j*stride, sizeof(Packed))
        for i in range(SUM_NUMBERS):
            state.sum.numbers[i][j] = packed.numbers[i]


cdef inline void unpack_weights(const char *source, Py_ssize_t columns, State *state) noexcept nogil:
    """Set the sum of the weights, which a mean is divided by."""
    cdef Packed packed
    cdef Py_ssize_t j
    for j in range(columns):
        memcpy(&packed, source + j*<Py_ssize_t>sizeof(Packed), sizeof(Packed))
        state.second.weights.reference[j], state.second.weights.exponent[j] = packed.numbers[0], packed.numbers[1]
        state.second.weights.sum[j], state.second.weights.sum_low[j] = packed.numbers[2], packed.numbers[3]
