# The kernels of one variant: everything compiled for its instruction set, and the table that offers it.
#
# A row is read as a tile of as many columns as there are lanes, all with one shift, and the lanes are folded at the
# end; so there is one loop for the maxima, one for the sums and one for each result, for rows and tiles alike.

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport ldexp

from smoothmax._kernels.table cimport (
    COLUMNS, Kernels, ReduceRow, ReduceTile, ReduceWeightedRow, ReduceWeightedTile, SoftmaxRow, SoftmaxTile, State,
    Table, WriteReduced, WriteRow, WriteTile, WriteWeighted,
)

cdef enum:
    LANES_F32 = 32
    LANES_F64 = 16
    LANES = 32              # room for either
    PARTS = 8
    BLOCK_ROWS = 128        # of lanes: 16 KiB of a row are maximised, then summed, out of L1
    PART_ROWS = 16          # only the parts of a block that hold its top are summed with an eye on it
    TILE_BYTES = 16384      # the same of a tile

include "arithmetic.pxi"
include "lanes.pxi"
include "states.pxi"
include "rows.pxi"
include "tiles.pxi"
include "weights.pxi"
include "masks.pxi"


cdef void finish_log_f32(State *state, Py_ssize_t columns) noexcept nogil:
    finish_log(state, columns, <float>0)


cdef void finish_log_f64(State *state, Py_ssize_t columns) noexcept nogil:
    finish_log(state, columns, <double>0)


cdef void finish_weighted_f32(State *state, Py_ssize_t columns) noexcept nogil:
    finish_weighted(state, columns, <float>0)


cdef void finish_weighted_f64(State *state, Py_ssize_t columns) noexcept nogil:
    finish_weighted(state, columns, <double>0)


cdef void finish_softmax_f32(State *state, Py_ssize_t columns) noexcept nogil:
    finish_softmax(state, columns, <float>0)


cdef void finish_softmax_f64(State *state, Py_ssize_t columns) noexcept nogil:
    finish_softmax(state, columns, <double>0)


cdef void fill(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile[real]
    if real is float:
        kernels.select = select_f32
        kernels.finish_log = finish_log_f32
        kernels.finish_weighted = finish_weighted_f32
        kernels.finish_softmax = finish_softmax_f32
    else:
        kernels.select = select_f64
        kernels.finish_log = finish_log_f64
        kernels.finish_weighted = finish_weighted_f64
        kernels.finish_softmax = finish_softmax_f64
    kernels.reduce_weighted_row = <ReduceWeightedRow>reduce_weighted_row[real]
    kernels.reduce_weighted_tile = <ReduceWeightedTile>reduce_weighted_tile[real]
    kernels.write_weighted = <WriteWeighted>write_weighted[real]
    kernels.reduce_softmax_row = <ReduceRow>reduce_softmax_row[real]
    kernels.reduce_softmax_tile = <ReduceTile>reduce_softmax_tile[real]
    kernels.write_logsumexp = <WriteReduced>write_logsumexp[real]
    kernels.write_softmax_row = <WriteRow>write_softmax_row[real]
    kernels.write_softmax_tile = <WriteTile>write_softmax_tile[real]
    kernels.write_log_softmax_row = <WriteRow>write_log_softmax_row[real]
    kernels.write_log_softmax_tile = <WriteTile>write_log_softmax_tile[real]
    kernels.softmax_row = <SoftmaxRow>softmax_row[real]
    kernels.softmax_tile = <SoftmaxTile>softmax_tile[real]


cdef Table TABLE
fill(&TABLE.f32, <const float *>NULL)
fill(&TABLE.f64, <const double *>NULL)
table = PyCapsule_New(&TABLE, "smoothmax._kernels", NULL)
