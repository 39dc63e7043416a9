# The kernels of one variant: everything compiled for its instruction set, and the table that offers it.
#
# math/ has exp, log and sums that keep their rounding errors. loops/ has loops over lanes. ops/ has one operation in
# each file, with its formula and error bound at the top and its part of the table at the bottom. data/ moves and
# converts elements.

from cpython.pycapsule cimport PyCapsule_New
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.math cimport fabs, fabsf, frexp, ldexp
from libc.stdint cimport INT16_MAX, INT16_MIN, int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from smoothmax._kernels.interface cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_GRADIENT, EXACT_LOGSUMEXP, EXCLUSIVE_LOGCUMSUMEXP, FROM_MAXIMUM, HALF_CROSS_ENTROPY,
    HALF_CROSS_ENTROPY_GRADIENT, HALF_LOGSUMEXP, HALF_LOGSUMEXP_AND_SOFTMAX, HALF_LOG_PROB, HALF_LOG_SOFTMAX,
    HALF_SOFTMAX, IN_LOGARITHMS, LOG1MEXP, LOG1PEXP, LOGADDEXP, LOGCUMSUMEXP, LOGMEANEXP, LOGSUBEXP, LOGSUMEXP,
    LOGSUMEXP_AND_SOFTMAX, LOG_EXPIT, LOG_PROB, LOG_SOFTMAX, LOG_SOFTMAX_VJP, MASKED_LOGMEANEXP, MERGEABLE_LOGSUMEXP,
    NATIVE, NLL, ONE_ADDEND_A_ROW, ONE_FOR_ALL_LANES, ONE_FOR_EACH_LANE, SHIFTED, SOFTMAX, SOFTMAX_VJP,
    SOFT_CROSS_ENTROPY, SOFT_CROSS_ENTROPY_GRADIENT, SOFT_NLL, SWAPPED, UNIFORM_LOGSUMEXP, WEIGHTED_LOGMEANEXP,
    WEIGHTED_LOGSUMEXP, AddFactored, AddProducts, Addends, Adjust, AdjustRepeated, Adjustment, Blend, ByteOrder,
    Candidate, ClearPeaks, CorrectHalves, CorrectRow, CumulateBlock, DataKernels, DotSum, DraftRow, Elementwise,
    ElementwiseRow, ExponentiateTile, Factor, FactorLaneRows, FactoredSum, FindCandidates, Finish, FinishFactored,
    FinishProducts, FusedHalves, FusedRow, FusedStateRow, FusedStateTile, FusedTile, FusedWeightedTile, Gather,
    GatherLanes, JointRow, Kernels, LeftElements, Load, LogProducts, MultiplyBlock, MultiplyStack, NumberF32, NumberF64,
    PartialSum, PickElement, PickElements, PickOfTile, ProductKernels, ProductSum, RaisePeaks, ReduceBlock,
    ReduceHalves, ReduceRow, ReduceTile, Repeat, RunningSum, ScaleRow, ScaleTile, Scaling, Scatter, ScoreKernels,
    Select, State, SumFactoredStack, Table, TopOfTile, Transpose, WeightedSum, WriteHalves, WriteRow, WriteTile, clear,
)
from smoothmax._kernels.interface cimport Store as StoreElements    # loops/add.pxi has another Store
from smoothmax._kernels.cache_lines cimport (
    prefetch_bytes, prefetch_bytes_l2, prefetch_line, prefetch_line_l2, prefetch_line_to_write,
)
from smoothmax._thresholds cimport (
    ALIASED_SOFTMAX_TILE_BYTES, ALIASED_SUM_TILE_BYTES, CACHE_LINE_BYTES, CARRY_QUADS_F32, CARRY_QUADS_F64, CARRY_ROWS,
    COLUMN_PREFETCH_FAR_MAX_ROWS, COLUMN_PREFETCH_FAR_MIN_BYTES, COLUMN_PREFETCH_LANES, COLUMN_PREFETCH_MIN_BYTES,
    COLUMN_PREFETCH_MIN_ROWS, DRAW_BUCKETS, ELEMENTWISE_LANE_ROWS, EXACT_DIFFERENCES_MAX_ROWS,
    FUSED_LOG_SOFTMAX_TILE_ROWS, FUSED_SOFTMAX_ROW_BYTES, FUSED_SOFTMAX_TILE_BYTES, FUSED_STATE_ROW_BYTES,
    FUSED_STATE_TILE_BYTES, FUSED_SUM_ROW_BYTES, FUSED_SUM_TILE_BYTES, HALF_TILE_ROWS, LANES_F32, LANES_F64,
    MASK_BUFFER_ELEMENTS, PRODUCT_FACTOR_TERMS, ROUNDED_DIFFERENCES_MAX_ROWS, ROUNDED_MIN_LANE_ROWS,
    ROUNDED_TERM_LANE_ROWS, ROW_BLOCK_BYTES, ROW_BLOCK_LANES, SCAN_BLOCK_ROWS, SCAN_LOWER_EXPONENTS, SCAN_SUMMED_ROWS,
    SERIAL_ROW_ELEMENTS, SOFTMAX_DIFFERENCES_MAX_ROWS, SOFTMAX_PREFETCH_MAX_ROWS, TILE_BLOCK_BYTES, TILE_COLUMNS,
    TOP_GROUP_ROWS, TOP_SPARE_ELEMENTS, TOP_SPARSE_ELEMENTS, TRANSPOSE_BLOCK_ROWS, TRANSPOSE_NARROW_ROWS,
    UNFETCHED_STRIDE_BYTES, WEIGHTED_TILE_BLOCK_ROWS,
)

cdef enum:
    LANES = LANES_F32       # the larger of the two: the length of local arrays

ctypedef fused real:
    float
    double

include "math/coefficients.pxi"
include "math/two_sum.pxi"
include "math/bits.pxi"
include "math/shift.pxi"
include "math/exp.pxi"
include "math/log.pxi"

include "loops/lanes.pxi"
include "loops/prefetch.pxi"
include "loops/max.pxi"
include "loops/adjusted_max.pxi"
include "loops/adjusted_lanes.pxi"
include "loops/add.pxi"
include "loops/exp_sum.pxi"
include "loops/exp_sum_columns.pxi"
include "loops/weighted.pxi"
include "loops/write.pxi"

include "data/masks.pxi"
include "data/transpose.pxi"
include "data/gather.pxi"
include "data/blend.pxi"
include "data/adjust.pxi"
include "data/repeat.pxi"
include "data/halves.pxi"
include "data/half_lanes.pxi"
include "data/largest_halves.pxi"
include "data/transpose_halves.pxi"

include "ops/partial_sum.pxi"
include "ops/normalizer.pxi"
include "ops/row_sums.pxi"
include "ops/column_sums.pxi"
include "ops/logsumexp.pxi"
include "ops/softmax.pxi"
include "ops/softmax_draft.pxi"
include "ops/log_softmax.pxi"
include "ops/half_sums.pxi"
include "ops/half_rows.pxi"
include "ops/half_results.pxi"
include "ops/logsumexp_and_softmax.pxi"
include "ops/weighted_sum.pxi"
include "ops/weighted_blocks.pxi"
include "ops/weighted_logsumexp.pxi"
include "ops/logmeanexp.pxi"
include "ops/running_sum.pxi"
include "ops/logcumsumexp.pxi"
include "ops/logcumsumexp_columns.pxi"
include "ops/logcumsumexp_rows.pxi"
include "ops/logmatmulexp.pxi"
include "ops/logmatmulexp_block.pxi"
include "ops/logmatmulexp_stack.pxi"
include "ops/logmatmulexp_exact.pxi"
include "ops/logmatmulexp_factored.pxi"
include "ops/logmatmulexp_factored_stack.pxi"
include "ops/dot_sum.pxi"
include "ops/vjp.pxi"
include "ops/half_vjp.pxi"
include "ops/losses.pxi"
include "ops/uniform_logsumexp.pxi"
include "ops/loss_gradients.pxi"
include "ops/half_losses.pxi"
include "ops/top_log_probs.pxi"
include "ops/categorical.pxi"
include "ops/log1pexp.pxi"
include "ops/log_expit.pxi"
include "ops/logaddexp.pxi"
include "ops/log1mexp.pxi"
include "ops/logsubexp.pxi"
include "ops/elementwise.pxi"


cdef void fill(Kernels *kernels, real type_) noexcept:
    fill_logsumexp(&kernels[<int>LOGSUMEXP], type_)
    fill_exact_logsumexp(&kernels[<int>EXACT_LOGSUMEXP], type_)
    fill_mergeable_logsumexp(&kernels[<int>MERGEABLE_LOGSUMEXP], type_)
    kernels[<int>LOGSUMEXP].exact = &kernels[<int>EXACT_LOGSUMEXP]
    kernels[<int>LOGSUMEXP].mergeable = &kernels[<int>MERGEABLE_LOGSUMEXP]
    kernels[<int>LOG_SOFTMAX].mergeable = &kernels[<int>EXACT_LOGSUMEXP]
    fill_weighted_logsumexp(&kernels[<int>WEIGHTED_LOGSUMEXP], type_)
    fill_uniform_logsumexp(&kernels[<int>UNIFORM_LOGSUMEXP], type_)
    kernels[<int>UNIFORM_LOGSUMEXP].exact = &kernels[<int>EXACT_LOGSUMEXP]
    fill_softmax(&kernels[<int>SOFTMAX], type_)
    fill_log_softmax(&kernels[<int>LOG_SOFTMAX], type_)
    fill_logsumexp_and_softmax(&kernels[<int>LOGSUMEXP_AND_SOFTMAX], type_)
    fill_softmax_vjp(&kernels[<int>SOFTMAX_VJP], type_)
    fill_log_softmax_vjp(&kernels[<int>LOG_SOFTMAX_VJP], type_)
    fill_log_prob(&kernels[<int>LOG_PROB], type_)
    fill_hard_loss(&kernels[<int>CROSS_ENTROPY], type_)
    fill_hard_gradient(&kernels[<int>CROSS_ENTROPY_GRADIENT], type_)
    fill_soft_loss(&kernels[<int>SOFT_CROSS_ENTROPY], type_)
    fill_soft_gradient(&kernels[<int>SOFT_CROSS_ENTROPY_GRADIENT], type_)
    fill_nll(&kernels[<int>NLL], type_)
    fill_soft_nll(&kernels[<int>SOFT_NLL], type_)
    fill_logmeanexp(&kernels[<int>LOGMEANEXP], type_)
    fill_masked_logmeanexp(&kernels[<int>MASKED_LOGMEANEXP], type_)
    fill_weighted_logmeanexp(&kernels[<int>WEIGHTED_LOGMEANEXP], type_)
    fill_logcumsumexp(&kernels[<int>LOGCUMSUMEXP], type_)
    fill_exclusive_logcumsumexp(&kernels[<int>EXCLUSIVE_LOGCUMSUMEXP], type_)


cdef void fill_data(DataKernels *kernels, real _) noexcept:
    kernels.select = <Select>select[real]
    kernels.transpose = <Transpose>transpose[real]
    kernels.transpose_back = <Transpose>transpose_back[real]
    kernels.gather = <Gather>gather[real]
    kernels.scatter = <Scatter>scatter[real]
    kernels.blend = <Blend>blend[real]
    kernels.adjust = <Adjust>adjust[real]
    kernels.repeat = <Repeat>repeat[real]
    kernels.adjust_repeated = <AdjustRepeated>adjust_repeated[real]
    kernels.load_float16 = <Load>load_float16[real]
    kernels.load_bfloat16 = <Load>load_bfloat16[real]
    if real is float:
        kernels.load_largest_float16 = load_largest_float16
        kernels.load_largest_bfloat16 = load_largest_bfloat16
        kernels.load_float16_rows = load_float16_rows
        kernels.load_bfloat16_rows = load_bfloat16_rows
        kernels.store_float16_rows = store_float16_rows
        kernels.store_bfloat16_rows = store_bfloat16_rows
        if TRANSPOSES_HALVES:
            kernels.load_float16_lines = load_float16_lines
            kernels.load_bfloat16_lines = load_bfloat16_lines
            kernels.store_float16_lines = store_float16_lines
            kernels.store_bfloat16_lines = store_bfloat16_lines
    kernels.store_float16 = <StoreElements>store_float16[real]
    kernels.store_bfloat16 = <StoreElements>store_bfloat16[real]


cdef void fill_scores(ScoreKernels *kernels, real type_) noexcept:
    fill_top_log_probs(kernels, type_)
    fill_categorical(kernels, type_)


cdef Table TABLE
fill(TABLE.f32, <float>0)
fill(TABLE.f64, <double>0)
fill_half_results(TABLE.f32)
fill_half_losses(TABLE.f32)
fill_half_vjp(TABLE.f32)
fill_data(&TABLE.data_f32, <float>0)
fill_data(&TABLE.data_f64, <double>0)
fill_products(&TABLE.products_f32, <float>0)
fill_products(&TABLE.products_f64, <double>0)
fill_scores(&TABLE.scores_f32, <float>0)
fill_scores(&TABLE.scores_f64, <double>0)
fill_elementwise(TABLE.elementwise_f32, <float>0)
fill_elementwise(TABLE.elementwise_f64, <double>0)
fill_numbers(TABLE.number_f32, TABLE.number_f64)
TABLE.weigh_f32 = weigh_f32
TABLE.weigh_f64 = weigh_f64
table = PyCapsule_New(&TABLE, "smoothmax._kernels", NULL)
fuses = bool(FUSES)
