# The kernels of one variant: everything compiled for its instruction set, and the table that offers it.
#
# A row is read as a tile of as many columns as there are lanes, all with one shift, and the lanes are folded at the
# end. The loops stand in lanes.pxi: sums of rows, whose lanes share a top, and of columns, few or many, each with its
# own.

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport ldexp

from smoothmax._kernels.interface cimport (
    BAND_ROWS, CAREFUL_LOGSUMEXP, COLUMNS, CROSS_ENTROPY, CROSS_ENTROPY_GRADIENT, FROM_TOP, GROWING_LOGSUMEXP,
    IN_LOGARITHMS, LOGSUMEXP, LOGSUMEXP_AND_SOFTMAX, LOG_PROB, LOG_SOFTMAX, LOG_SOFTMAX_VJP, NLL, SHIFTED, SOFTMAX,
    SOFTMAX_VJP, SOFT_CROSS_ENTROPY, SOFT_CROSS_ENTROPY_GRADIENT, SOFT_NLL, WEIGHTED_LOGSUMEXP, Blend, CorrectRow,
    DraftRow, Finish, KeepRow, KeepTile, Kernels, Moves, ReduceRow, ReduceTile, RowAtOnce, ScaleRow, ScaleTile,
    Select, State, SumRow, Table, TileAtOnce, Transpose, WeightedTileAtOnce, WriteRow, WriteTile, clear,
)

cdef enum:
    LANES_F32 = 32
    LANES_F64 = 16
    LANES = 32              # room for either
    BLOCK_ROWS = 128        # of lanes are BLOCK_BYTES
    LINE = 64               # bytes of a cache
    TILE_BYTES = 16384      # of a block of a tile; longer ones fetch too far ahead where rows alias (2026-11: 1.4)
    CARRY_ROWS = 16         # so many elements a lane carries the low parts of in one number, and
    QUADS_F32 = 2           # so many times four, whose low parts are added first
    QUADS_F64 = 8
    MANY_ROWS = 8           # of lanes: from there on a row's exponentials are rounded before they are summed
    FEW_ROWS = 24           # of a tile of softmax whose columns are worth no shift
    FEW_ROUNDED = 5         # rows of a tile: fewer cost less by differences in two parts than over exp(top) (2026-11);
    FEW_EXACT = 8           # of exact terms
    SHORT_ROW = 16384       # bytes of a row that is one block
    SHORT_TILE = 131072     # of a tile
    WEIGHTED_ROWS = 64      # of a tile with weights: half as many take 1.2 times as long where all do not fit in L1
    MIDDLING_ROW = 262144   # of a row that goes to one thread
    LONG_ROW = 1048576      # of a row that stays in cache from one pass to the next
    LONG_TILE = 524288      # of a tile
    LONG_ROWS = 1024        # of a tile of log_softmax
    ALIASED_TILE = 49152    # of a tile whose rows alias, see _schedule/walk.pyx; and
    ALIASED_SOFTMAX = 196608    # of softmax
    FAR_ROWS = 16           # of a tile: the next lanes of more are fetched, of fewer the processor fetches them;
    FAR_BYTES = 1048576     # and from the first row to the last: what is nearer is in cache

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
    kernels.in_doubt = in_doubt_f32 if real is float else in_doubt_f64
    kernels.replace = replace_f32 if real is float else replace_f64
    kernels.finish = <Finish>finish_logsumexp[real]
    kernels.row_at_once = <RowAtOnce>logsumexp_row[real]
    kernels.sum_row = <SumRow>sum_row_of_logsumexp[real]
    kernels.row_at_once_bytes = SHORT_ROW
    kernels.tile_at_once = <TileAtOnce>logsumexp_tile[real]
    kernels.tile_at_once_bytes = SHORT_TILE
    kernels.aliased_tile_bytes = ALIASED_TILE


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
    kernels.weighted_tile_at_once = <WeightedTileAtOnce>weighted_logsumexp_tile[real]
    kernels.tile_at_once_bytes = WEIGHTED_ROWS*COLUMNS*sizeof(real)


cdef void fill_softmax(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_softmax_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_softmax_tile[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_softmax[real]
    kernels.write_row = <WriteRow>write_softmax_row[real]
    kernels.write_tile = <WriteTile>write_softmax_tile[real]
    kernels.draft_row = <DraftRow>draft_softmax_row[real]
    kernels.correct_row = <CorrectRow>correct_softmax_row[real]
    kernels.row_at_once = <RowAtOnce>softmax_row[real]
    kernels.tile_at_once = <TileAtOnce>softmax_tile[real]
    kernels.row_at_once_bytes = MIDDLING_ROW
    kernels.tile_at_once_bytes = LONG_TILE
    kernels.aliased_tile_bytes = ALIASED_SOFTMAX


cdef void fill_log_softmax(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row_roughly[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile_roughly[real]
    kernels.merge = merge_f32 if real is float else merge_f64
    kernels.finish = <Finish>finish_log_softmax[real]
    kernels.write_row = <WriteRow>write_log_softmax_row[real]
    kernels.write_tile = <WriteTile>write_log_softmax_tile[real]
    kernels.draft_row = <DraftRow>draft_log_softmax_row[real]
    kernels.correct_row = <CorrectRow>correct_log_softmax_row[real]
    kernels.row_at_once = <RowAtOnce>log_softmax_row[real]
    kernels.row_at_once_bytes = SHORT_ROW
    kernels.tile_at_once = <TileAtOnce>log_softmax_tile[real]
    kernels.tile_at_once_bytes = LONG_ROWS*COLUMNS*sizeof(real)
    kernels.aliased_tile_bytes = ALIASED_TILE


cdef void fill_kept(Kernels *kernels, bint with_results, const real *_) noexcept:
    """At once, with a state; of an operation that reduces with logsumexp's sums."""
    kernels.row_at_once_bytes = LONG_ROW
    kernels.tile_at_once_bytes = LONG_TILE
    if with_results:
        kernels.keep_row = <KeepRow>keep_row[real]
        kernels.keep_tile = <KeepTile>keep_tile[real]
        kernels.scale_row = <ScaleRow>scale_row[real]
        kernels.scale_tile = <ScaleTile>scale_tile[real]
        kernels.write_row = <WriteRow>write_softmax_row[real]
        kernels.write_tile = <WriteTile>write_softmax_tile[real]
    else:
        kernels.keep_row = <KeepRow>keep_state_of_row[real]
        kernels.sum_row = <SumRow>sum_row_of_loss[real]
        kernels.keep_tile = <KeepTile>keep_state_of_tile[real]


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
    fill_careful_logsumexp(&kernels[<int>CAREFUL_LOGSUMEXP], type_)
    fill_growing_logsumexp(&kernels[<int>GROWING_LOGSUMEXP], type_)
    kernels[<int>LOGSUMEXP].careful = kernels[<int>LOG_SOFTMAX].first = &kernels[<int>CAREFUL_LOGSUMEXP]
    kernels[<int>LOGSUMEXP].first = &kernels[<int>GROWING_LOGSUMEXP]
    fill_weighted_logsumexp(&kernels[<int>WEIGHTED_LOGSUMEXP], type_)
    fill_softmax(&kernels[<int>SOFTMAX], type_)
    fill_log_softmax(&kernels[<int>LOG_SOFTMAX], type_)
    fill_logsumexp_and_softmax(&kernels[<int>LOGSUMEXP_AND_SOFTMAX], type_)
    fill_products(kernels, type_)
    fill_losses(kernels, type_)


cdef void fill_moves(Moves *moves, const real *_) noexcept:
    moves.select = <Select>select[real]
    moves.transpose = <Transpose>transpose[real]
    moves.transpose_back = <Transpose>transpose_back[real]
    moves.blend = <Blend>blend[real]


cdef Table TABLE
fill(TABLE.f32, <const float *>NULL)
fill(TABLE.f64, <const double *>NULL)
fill_moves(&TABLE.moves_f32, <const float *>NULL)
fill_moves(&TABLE.moves_f64, <const double *>NULL)
TABLE.weigh_f32 = weigh_f32
TABLE.weigh_f64 = weigh_f64
table = PyCapsule_New(&TABLE, "smoothmax._kernels", NULL)
