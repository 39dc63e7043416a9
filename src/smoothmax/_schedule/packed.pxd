# A partial sum as stored between walks, in an array with one for each reduction.

from libc.string cimport memcpy

from smoothmax._kernels.interface cimport SHIFTED, State, WeightedSum, weights_of


cdef struct Packed:
    # The fields of a PartialSum. pack() and unpack() also copy those of a WeightedSum, which has the same place.
    double maximum
    double count
    double others
    double others_low


cdef struct PackedWeightedSum:
    double reference
    double exponent
    double sum
    double sum_low


cdef inline void pack(const State *state, Py_ssize_t columns, char *to, Py_ssize_t stride) noexcept nogil:
    cdef Packed packed
    cdef Py_ssize_t j
    for j in range(columns):
        packed.maximum, packed.count = state.sum.maximum[j], state.sum.count[j]
        packed.others, packed.others_low = state.sum.others[j], state.sum.others_low[j]
        memcpy(to + j*stride, &packed, sizeof(Packed))


cdef inline void unpack(const char *source, Py_ssize_t stride, Py_ssize_t columns, State *state) noexcept nogil:
    cdef Packed packed
    cdef Py_ssize_t j
    state.scaling = SHIFTED
    for j in range(columns):
        memcpy(&packed, source + j*stride, sizeof(Packed))
        state.sum.maximum[j], state.sum.count[j] = packed.maximum, packed.count
        state.sum.others[j], state.sum.others_low[j] = packed.others, packed.others_low


cdef inline void unpack_weights(const char *source, Py_ssize_t columns, State *state) noexcept nogil:
    """Set the sum of the weights, which a mean is divided by."""
    cdef PackedWeightedSum packed
    cdef WeightedSum *weights = weights_of(state)
    cdef Py_ssize_t j
    for j in range(columns):
        memcpy(&packed, source + j*<Py_ssize_t>sizeof(PackedWeightedSum), sizeof(PackedWeightedSum))
        weights.reference[j], weights.exponent[j] = packed.reference, packed.exponent
        weights.sum[j], weights.sum_low[j] = packed.sum, packed.sum_low
