# The kernels of one variant: everything compiled for its instruction set, and the table that offers it.
#
# A row is read as a tile of as many columns as there are lanes, all with one shift, and the lanes are folded at the
# end. The loops stand in lanes.pxi: sums of rows, whose lanes share a top, and of columns, few or many, each with its
# own.

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport ldexp

from smoothmax._kernels.interface cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_GRADIENT, EXACT_LOGSUMEXP, FROM_MAXIMUM, IN_LOGARITHMS, LOG_PROB, LOG_SOFTMAX,
    LOG_SOFTMAX_VJP, LOGSUMEXP, LOGSUMEXP_AND_SOFTMAX, MERGEABLE_LOGSUMEXP, NLL, SHIFTED, SOFT_CROSS_ENTROPY,
    SOFT_CROSS_ENTROPY_GRADIENT, SOFT_NLL, SOFTMAX, SOFTMAX_VJP, WEIGHTED_LOGSUMEXP, Blend, CorrectRow, DataKernels,
    DotSum, DraftRow, Finish, FusedRow, FusedStateRow, FusedStateTile, FusedTile, FusedWeightedTile, JointRow, Kernels,
    PartialSum, ReduceRow, ReduceTile, ScaleRow, ScaleTile, Select, State, Table, Transpose, WeightedSum, WriteRow,
    WriteTile, clear, weighted_of,
)
from smoothmax._thresholds cimport (
    ALIASED_SOFTMAX_TILE_BYTES, ALIASED_SUM_TILE_BYTES, CACHE_LINE_BYTES, CARRY_QUADS_F32, CARRY_QUADS_F64, CARRY_ROWS,
    COLUMN_PREFETCH_MIN_BYTES, COLUMN_PREFETCH_MIN_ROWS, EXACT_DIFFERENCES_MAX_ROWS, FUSED_LOG_SOFTMAX_TILE_ROWS,
    FUSED_SOFTMAX_ROW_BYTES, FUSED_SOFTMAX_TILE_BYTES, FUSED_STATE_ROW_BYTES, FUSED_STATE_TILE_BYTES,
    FUSED_SUM_ROW_BYTES, FUSED_SUM_TILE_BYTES, LANES_F32, LANES_F64, ROUNDED_DIFFERENCES_MAX_ROWS,
    ROUNDED_MIN_LANE_ROWS, ROW_BLOCK_LANES, SOFTMAX_DIFFERENCES_MAX_ROWS, TILE_BLOCK_BYTES, TILE_COLUMNS,
    UNFETCHED_STRIDE_BYTES, WEIGHTED_TILE_BLOCK_ROWS,
)

cdef enum:
    LANES = LANES_F32       # the larger of the two: the length of local arrays

cdef enum Terms:            # how an exponential goes into a sum:
    ROUNDED                 # within 0.6 ULP, which costs a sixth less;
    EXACT                   # rounded, and what that lost; or
    IN_PARTS                # in two parts, whose second may be 7 % of it: not for sums that the top is taken from

include "arithmetic.pxi"
include "lanes.pxi"
include "folding.pxi"
include "states.pxi"
include "rows.pxi"
include "softmax_rows.pxi"
include "columns.pxi"
include "tiles.pxi"
include "kept.pxi"
include "weights.pxi"
include "weighted_states.pxi"
include "weighted_sums.pxi"
include "masks.pxi"
include "transpose.pxi"
include "products.pxi"
include "losses.pxi"


cdef void fill_logsumexp(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row_roughly[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_roughly[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.needs_exact = needs_exact_f32 if real is float else needs_exact_f64
    kernels.replace_inexact = replace_f32 if real is float else replace_f64
    kernels.finish = <Finish>finish_logsumexp[real]
    kernels.fused_row = <FusedRow>logsumexp_row[real]
    kernels.joint_row = <JointRow>sum_row_of_logsumexp[real]
    kernels.fused_row_bytes = FUSED_SUM_ROW_BYTES
    kernels.fused_tile = <FusedTile>logsumexp_tile[real]
    kernels.fused_short_tile = <FusedTile>logsumexp_short_tile[real]
    kernels.differences_max_rows = EXACT_DIFFERENCES_MAX_ROWS
    kernels.fused_tile_bytes = FUSED_SUM_TILE_BYTES
    kernels.fused_aliased_tile_bytes = ALIASED_SUM_TILE_BYTES


cdef void fill_careful_logsumexp(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_logsumexp[real]


cdef void fill_growing_logsumexp(Kernels *kernels, const real *type_) noexcept:
    fill_careful_logsumexp(kernels, type_)
    kernels.reduce_row = <ReduceRow>reduce_growing_row[real]


cdef void fill_weighted_logsumexp(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_weighted_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_weighted_tile[real]
    kernels.merge = merge_weighted_f32 if real is float else merge_weighted_f64
    kernels.finish = <Finish>finish_weighted_logsumexp[real]
    kernels.fused_weighted_tile = <FusedWeightedTile>weighted_logsumexp_tile[real]
    kernels.fused_tile_bytes = WEIGHTED_TILE_BLOCK_ROWS*TILE_COLUMNS*sizeof(real)


cdef void fill_softmax(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_softmax_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_softmax_tile[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_softmax[real]
    kernels.write_row = <WriteRow>write_softmax_row[real]
    kernels.write_tile = <WriteTile>write_softmax_tile[real]
    kernels.draft_row = <DraftRow>draft_softmax_row[real]
    kernels.correct_row = <CorrectRow>correct_softmax_row[real]
    kernels.fused_row = <FusedRow>softmax_row[real]
    kernels.fused_tile = <FusedTile>softmax_tile[real]
    kernels.fused_short_tile = <FusedTile>softmax_short_tile[real]
    kernels.differences_max_rows = SOFTMAX_DIFFERENCES_MAX_ROWS
    kernels.fused_row_bytes = FUSED_SOFTMAX_ROW_BYTES
    kernels.fused_tile_bytes = FUSED_SOFTMAX_TILE_BYTES
    kernels.fused_aliased_tile_bytes = ALIASED_SOFTMAX_TILE_BYTES


cdef void fill_log_softmax(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row_roughly[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_roughly[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_log_softmax[real]
    kernels.write_row = <WriteRow>write_log_softmax_row[real]
    kernels.write_tile = <WriteTile>write_log_softmax_tile[real]
    kernels.draft_row = <DraftRow>draft_log_softmax_row[real]
    kernels.correct_row = <CorrectRow>correct_log_softmax_row[real]
    kernels.fused_row = <FusedRow>log_softmax_row[real]
    kernels.fused_row_bytes = FUSED_SUM_ROW_BYTES
    kernels.fused_tile = <FusedTile>log_softmax_tile[real]
    kernels.fused_short_tile = <FusedTile>log_softmax_short_tile[real]
    kernels.differences_max_rows = ROUNDED_DIFFERENCES_MAX_ROWS
    kernels.fused_tile_bytes = FUSED_LOG_SOFTMAX_TILE_ROWS*TILE_COLUMNS*sizeof(real)
    kernels.fused_aliased_tile_bytes = ALIASED_SUM_TILE_BYTES


cdef void fill_kept(Kernels *kernels, bint with_results, const real *_) noexcept:
    """At once, with a state; of an operation that reduces with logsumexp's sums."""
    kernels.fused_row_bytes = FUSED_STATE_ROW_BYTES
    kernels.fused_tile_bytes = FUSED_STATE_TILE_BYTES
    if with_results:
        kernels.fused_state_row = <FusedStateRow>keep_row[real]
        kernels.fused_state_tile = <FusedStateTile>keep_tile[real]
        kernels.scale_row = <ScaleRow>scale_row[real]
        kernels.scale_tile = <ScaleTile>scale_tile[real]
        kernels.write_row = <WriteRow>write_softmax_row[real]
        kernels.write_tile = <WriteTile>write_softmax_tile[real]
    else:
        kernels.fused_state_row = <FusedStateRow>keep_state_of_row[real]
        kernels.joint_row = <JointRow>sum_row_of_loss[real]
        kernels.fused_state_tile = <FusedStateTile>keep_state_of_tile[real]
        kernels.fused_state_short_tile = <FusedStateTile>keep_state_of_short_tile[real]
        kernels.differences_max_rows = ROUNDED_DIFFERENCES_MAX_ROWS


cdef void fill_logsumexp_and_softmax(Kernels *kernels, const real *type_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_logsumexp_and_softmax[real]
    fill_kept(kernels, True, type_)


cdef void fill_products(Kernels *kernels, const real *_) noexcept:
    kernels[<int>SOFTMAX_VJP].reduce_row = <ReduceRow>reduce_products_row[real]
    kernels[<int>SOFTMAX_VJP].reduce_tile = <ReduceTile>reduce_products_tile[real]
    kernels[<int>SOFTMAX_VJP].merge = merge_dot
    kernels[<int>SOFTMAX_VJP].finish = <Finish>finish_dot[real]
    kernels[<int>SOFTMAX_VJP].write_row = <WriteRow>write_softmax_vjp_row[real]
    kernels[<int>SOFTMAX_VJP].write_tile = <WriteTile>write_softmax_vjp_tile[real]
    kernels[<int>LOG_SOFTMAX_VJP].reduce_row = <ReduceRow>reduce_second_row[real]
    kernels[<int>LOG_SOFTMAX_VJP].reduce_tile = <ReduceTile>reduce_second_tile[real]
    kernels[<int>LOG_SOFTMAX_VJP].merge = merge_dot
    kernels[<int>LOG_SOFTMAX_VJP].finish = <Finish>finish_dot[real]
    kernels[<int>LOG_SOFTMAX_VJP].write_row = <WriteRow>write_log_softmax_vjp_row[real]
    kernels[<int>LOG_SOFTMAX_VJP].write_tile = <WriteTile>write_log_softmax_vjp_tile[real]


cdef void fill_hard_loss(Kernels *kernels, bint gradient, const real *type_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row[real] if gradient else <ReduceRow>reduce_row_roughly[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_hard_gradient[real] if gradient else <Finish>finish_hard_loss[real]
    fill_kept(kernels, gradient, type_)


cdef void fill_soft_loss(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_soft_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_soft_tile[real]
    kernels.merge = merge_soft_f32 if real is float else merge_soft_f64
    kernels.finish = <Finish>finish_soft_loss[real]


cdef void fill_losses(Kernels *kernels, const real *type_) noexcept:
    fill_hard_loss(&kernels[<int>LOG_PROB], False, type_)
    kernels[<int>LOG_PROB].finish = <Finish>finish_log_prob[real]
    fill_hard_loss(&kernels[<int>CROSS_ENTROPY], False, type_)
    fill_hard_loss(&kernels[<int>CROSS_ENTROPY_GRADIENT], True, type_)
    fill_soft_loss(&kernels[<int>SOFT_CROSS_ENTROPY], type_)
    fill_soft_loss(&kernels[<int>SOFT_CROSS_ENTROPY_GRADIENT], type_)
    kernels[<int>SOFT_CROSS_ENTROPY_GRADIENT].finish = <Finish>finish_soft_gradient[real]
    kernels[<int>SOFT_CROSS_ENTROPY_GRADIENT].write_row = <WriteRow>write_gradient_row[real]
    kernels[<int>SOFT_CROSS_ENTROPY_GRADIENT].write_tile = <WriteTile>write_gradient_tile[real]
    kernels[<int>NLL].reduce_row = <ReduceRow>reduce_nothing_row[real]
    kernels[<int>NLL].reduce_tile = <ReduceTile>reduce_nothing_tile[real]
    kernels[<int>NLL].merge = merge_dot
    kernels[<int>NLL].finish = <Finish>finish_nll[real]
    kernels[<int>SOFT_NLL].reduce_row = <ReduceRow>reduce_products_row[real]
    kernels[<int>SOFT_NLL].reduce_tile = <ReduceTile>reduce_products_tile[real]
    kernels[<int>SOFT_NLL].merge = merge_dot
    kernels[<int>SOFT_NLL].finish = <Finish>finish_nll[real]


cdef void fill(Kernels *kernels, const real *type_) noexcept:
    fill_logsumexp(&kernels[<int>LOGSUMEXP], type_)
    fill_careful_logsumexp(&kernels[<int>EXACT_LOGSUMEXP], type_)
    fill_growing_logsumexp(&kernels[<int>MERGEABLE_LOGSUMEXP], type_)
    kernels[<int>LOGSUMEXP].exact = &kernels[<int>EXACT_LOGSUMEXP]
    kernels[<int>LOG_SOFTMAX].mergeable = &kernels[<int>EXACT_LOGSUMEXP]
    kernels[<int>LOGSUMEXP].mergeable = &kernels[<int>MERGEABLE_LOGSUMEXP]
    fill_weighted_logsumexp(&kernels[<int>WEIGHTED_LOGSUMEXP], type_)
    fill_softmax(&kernels[<int>SOFTMAX], type_)
    fill_log_softmax(&kernels[<int>LOG_SOFTMAX], type_)
    fill_logsumexp_and_softmax(&kernels[<int>LOGSUMEXP_AND_SOFTMAX], type_)
    fill_products(kernels, type_)
    fill_losses(kernels, type_)


cdef void fill_data(DataKernels *kernels, const real *_) noexcept:
    kernels.select = <Select>select[real]
    kernels.transpose = <Transpose>transpose[real]
    kernels.transpose_back = <Transpose>transpose_back[real]
    kernels.blend = <Blend>blend[real]


cdef Table TABLE
fill(TABLE.f32, <const float *>NULL)
fill(TABLE.f64, <const double *>NULL)
fill_data(&TABLE.data_f32, <const float *>NULL)
fill_data(&TABLE.data_f64, <const double *>NULL)
TABLE.weigh_f32 = weigh_f32
TABLE.weigh_f64 = weigh_f64
table = PyCapsule_New(&TABLE, "smoothmax._kernels", NULL)
