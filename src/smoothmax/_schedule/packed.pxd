# A state as it is kept between calls: what the kernels need to go on, in an array with one for each reduction.

from libc.string cimport memcpy

from smoothmax._kernels.interface cimport SHIFTED, State


cdef struct Packed:
    # The fields of State of the same names.
    double top
    double count
    double rest
    double carry


cdef inline void pack(const State *state, Py_ssize_t columns, char *to, Py_ssize_t stride) noexcept nogil:
    cdef Packed packed
    cdef Py_ssize_t j
    for j in range(columns):
        packed.top, packed.count = state.top[j], state.count[j]
        packed.rest, packed.carry = state.rest[j], state.carry[j]
        memcpy(to + j*stride, &packed, sizeof(Packed))


cdef inline void unpack(const char *source, Py_ssize_t stride, Py_ssize_t columns, State *state) noexcept nogil:
    cdef Packed packed
    cdef Py_ssize_t j
    state.sums = SHIFTED
    for j in range(columns):
        memcpy(&packed, source + j*stride, sizeof(Packed))
        state.top[j], state.count[j] = packed.top, packed.count
        state.rest[j], state.carry[j] = packed.rest, packed.carry
