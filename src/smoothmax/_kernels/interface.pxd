# The interface between the schedule and the kernels: the state of reductions, and the table of compiled functions.
#
# A row is n contiguous elements that are reduced together. A tile is `rows` times TILE_COLUMNS elements, and each of
# its columns is reduced by itself. A row of the tile is contiguous, and the next row begins `ld` elements later. Only
# the first `columns` columns count, but kernels may read and write the memory up to the next multiple of the lanes.
# Elements are native and aligned, float or double as the table says. Input and output may be the same memory; otherwise
# they do not overlap.

from libc.math cimport INFINITY
from libc.stdint cimport uint16_t

from smoothmax._thresholds cimport LANES_F32, LANES_F64, TILE_COLUMNS


# The state of up to TILE_COLUMNS reductions side by side. A row uses column 0; up to JOINT_MAX_ROWS joint rows use one
# column each.

cdef struct PartialSum:
    # The sum of the elements seen so far: a monoid, see ops/partial_sum.pxi. Their exponentials, divided by
    # exp(maximum), sum to count + (others + others_low)/p, where p is what the kernels compute for exp(maximum) with
    # the same shift (see math/shift.pxi). Operations that need less precision leave the count at 0 and add the
    # maximum's exponential to the others.
    double maximum[TILE_COLUMNS]        # -inf while no element has been seen
    double count[TILE_COLUMNS]          # how many elements equal the maximum and are not among the others
    double others[TILE_COLUMNS]         # the sum over the others, scaled as p is
    double others_low[TILE_COLUMNS]     # its rounding errors


cdef struct WeightedSum:
    # Takes the place of a PartialSum in logsumexp with weights (see ops/weighted_sum.pxi). The sum of b*exp(a) is (sum
    # + sum_low) times exp(reference) 2**exponent, scaled.
    double reference[TILE_COLUMNS]      # near the largest a + log(abs(b))
    double exponent[TILE_COLUMNS]       # 0, unless the reference is so large that its rounding error matters
    double sum[TILE_COLUMNS]            # of either sign
    double sum_low[TILE_COLUMNS]        # its rounding errors


cdef struct RunningSum:
    # Takes the place of a PartialSum in a scan (see ops/running_sum.pxi). The sum of exp(x) is (high + middle + low)
    # times exp(reference), scaled.
    double reference[TILE_COLUMNS]      # the maximum so far, -inf while no element has been seen
    double high[TILE_COLUMNS]           # inf or nan from the first prefix that is
    double middle[TILE_COLUMNS]
    double low[TILE_COLUMNS]


cdef struct DotSum:
    # Sums over two arrays: `dot` is the sum of b*(x - maximum), b*x or b, as the operation needs it; `mass` that of b.
    double dot[TILE_COLUMNS]
    double dot_low[TILE_COLUMNS]        # its rounding errors
    double mass[TILE_COLUMNS]
    double mass_low[TILE_COLUMNS]


cdef enum:
    SUM_NUMBERS = 4         # of one column, whichever sum it is


cdef union Sum:
    # What is known of the elements seen so far: one of three monoids. Each has (-inf, 0, 0, 0) for no element.
    PartialSum partial
    WeightedSum weighted                # of logsumexp and logmeanexp with weights
    RunningSum running                  # of scans
    double numbers[SUM_NUMBERS][TILE_COLUMNS]       # of any of them, for what clears and copies columns


cdef union SecondSum:
    # The second sum of an operation that has one. Each has four zeros for no element.
    DotSum dot
    WeightedSum weights                 # of a mean with weights: their sum, that is, exp(0) weighted


cdef struct Normalizer:
    # Numbers that `finish` computes from the sums, and that results need.
    double log_sum[TILE_COLUMNS]            # log(sum/exp(maximum)), and
    double log_sum_low[TILE_COLUMNS]        # its rounding error
    double inverse[TILE_COLUMNS]            # what the scaled exponentials are multiplied by: one over their sum,
    double inverse_low[TILE_COLUMNS]        # for a gradient times another factor; and its rounding error
    double saturates_above[TILE_COLUMNS]    # probabilities above this are 1


cdef struct LossTerms:
    # Numbers that a loss needs in addition to its sums. look_up_targets() sets what `finish` reads:
    double target_logit[TILE_COLUMNS]   # the element at the target; 0 where there is no target
    double target_weight[TILE_COLUMNS]  # the weight of the target's class; 0 where there is no target
    double counts[TILE_COLUMNS]         # 1, or 0 for a reduction that is ignored
    double hard, hard_low               # the factor of the target, in two parts,
    double soft, soft_low               # the factor of b,
    double denominator                  # and what gradients are divided by;
    # `finish` sets what the results need:
    double at_target[TILE_COLUMNS]      # the result at the target
    double slope[TILE_COLUMNS]          # the factor of b in the other results, and
    double slope_low[TILE_COLUMNS]      # its rounding error


cdef union FinishArgument:
    # Numbers that `finish` needs in addition to the sums, for operations other than losses:
    double elements[TILE_COLUMNS]       # how many elements take part, where `means` is set; or
    double weight[TILE_COLUMNS]         # the weight of all elements, where `weighs` is set


cdef enum Scaling:      # what the sum of a state contains:
    SHIFTED             # the exponentials of x - shift, times 2**-N: p is exp(maximum) scaled like them;
    FROM_MAXIMUM        # the exponentials of x - maximum: p is 2**OFFSET; or
    IN_LOGARITHMS       # nothing: only log_sum and log_sum_low are set (a loss without a gradient)


cdef enum Addends:      # how many addends a row has:
    ONE_ADDEND_EACH         # one for each element, or
    ONE_ADDEND_A_ROW        # one for all elements


cdef struct Adjustment:
    # Kernels take x*scale + addend for the element x, rounded after the product and after the sum. A kernel that reads
    # elements more than once stores the adjusted ones in `staged`, which has room for one row or block, or for as many
    # rows of one group of lanes. A tile must fill its lanes, unless the route has `any_columns`.
    double scale
    double minus_zero           # -0. (see loops/adjusted_max.pxi)
    const void *addends         # from the first element on; NULL if there are none
    Addends layout
    Py_ssize_t addends_ld       # between the rows of a tile, in elements
    void *staged


cdef struct State:
    Sum sum
    SecondSum second
    Normalizer normalizer
    LossTerms loss
    FinishArgument argument
    # Only fused tiles leave a scaling other than SHIFTED, and they are finished in the same call. So functions that
    # merge, pack or spread states need not look at it.
    Scaling scaling
    # What kernels add to the distance, in elements, of the elements that they prefetch. For a block in the scratch, the
    # sum leads to the next elements of the array, even if an element takes less memory there. 0 for a block that is
    # read where it lies, or whose elements are not neighbours. For a tile, `away_ld` is the distance between its rows
    # in the array; clear() leaves it as it is.
    Py_ssize_t away
    Py_ssize_t away_ld
    # For functions that adjust; NULL if they take elements as they are. It belongs to the caller, so nobody
    # may read it after they return.
    const Adjustment *adjustment


cdef inline void clear(State *state, Py_ssize_t columns) noexcept nogil:
    """Empty the first columns: no element has been seen."""
    cdef Py_ssize_t j
    state.scaling = SHIFTED
    state.away = 0
    state.adjustment = NULL
    for j in range(columns):
        state.sum.numbers[0][j] = -INFINITY
        state.sum.numbers[1][j] = 0
        state.sum.numbers[2][j] = 0
        state.sum.numbers[3][j] = 0
        state.second.dot.dot[j] = 0
        state.second.dot.dot_low[j] = 0
        state.second.dot.mass[j] = 0
        state.second.dot.mass_low[j] = 0


cdef inline void copy_column(const State *source, State *to, Py_ssize_t j) noexcept nogil:
    """Copy the sum of one column."""
    cdef int i
    for i in range(SUM_NUMBERS):
        to.sum.numbers[i][j] = source.sum.numbers[i][j]


ctypedef void (*ReduceRow)(State *state, const void *x, const void *b, Py_ssize_t n) noexcept nogil
ctypedef void (*ReduceTile)(State *state, const void *x, Py_ssize_t ld, const void *b, Py_ssize_t b_ld,
                            Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
ctypedef void (*Merge)(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                       Py_ssize_t period) noexcept nogil
ctypedef bint (*NeedsExact)(const State *state, Py_ssize_t columns) noexcept nogil
ctypedef void (*ReplaceInexact)(State *state, const State *exact, Py_ssize_t columns) noexcept nogil
ctypedef void (*Finish)(State *state, Py_ssize_t columns, void *out, void *sign) noexcept nogil
ctypedef void (*WriteRow)(const State *state, const void *x, const void *b, Py_ssize_t n, void *out) noexcept nogil
ctypedef bint (*WriteHalves)(const State *state, const void *x, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*WriteTile)(const State *state, const void *x, Py_ssize_t ld, const void *b, Py_ssize_t b_ld,
                           Py_ssize_t rows, Py_ssize_t columns, void *out, Py_ssize_t out_ld,
                           Py_ssize_t prefetch_rows, const Adjustment *adjustment) noexcept nogil
ctypedef void (*ReduceBlock)(State *state, const void *x, Py_ssize_t n, double largest) noexcept nogil
ctypedef void (*ReduceHalves)(State *state, const void *halves, Py_ssize_t n) noexcept nogil
ctypedef void (*DraftRow)(State *state, const void *x, Py_ssize_t n, void *out, double *maxima) noexcept nogil
ctypedef void (*CorrectRow)(const State *state, const void *x, Py_ssize_t n, void *out,
                            const double *maxima) noexcept nogil
ctypedef bint (*CorrectHalves)(const State *state, const void *draft, Py_ssize_t n, void *out,
                               const double *maxima) noexcept nogil
ctypedef void (*FusedRow)(const void *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *adjustment,
                          void *out) noexcept nogil
ctypedef bint (*FusedHalves)(const void *halves, Py_ssize_t n, void *draft, void *out) noexcept nogil
ctypedef void (*FusedTile)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                           const Adjustment *adjustment, void *out, Py_ssize_t out_ld) noexcept nogil
ctypedef bint (*FusedWeightedTile)(const void *x, Py_ssize_t ld, const void *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                   Py_ssize_t columns, void *out) noexcept nogil
ctypedef void (*JointRow)(State *state, Py_ssize_t column, const void *x, Py_ssize_t n) noexcept nogil
ctypedef void (*FusedStateRow)(State *state, const void *x, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*FusedStateTile)(State *state, const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                void *out, Py_ssize_t out_ld) noexcept nogil
ctypedef void (*ScaleRow)(const State *state, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*ScaleTile)(const State *state, const void *e, Py_ssize_t rows, Py_ssize_t columns, void *out,
                           Py_ssize_t out_ld) noexcept nogil
ctypedef void (*Weigh)(State *state, Py_ssize_t columns) noexcept nogil
ctypedef void (*Select)(const void *x, Py_ssize_t step, const void *mask, Py_ssize_t mask_step, Py_ssize_t rows,
                        Py_ssize_t n, double fill, void *out, Py_ssize_t out_step) noexcept nogil
ctypedef void (*Transpose)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                           void *out, Py_ssize_t out_ld) noexcept nogil
ctypedef void (*Gather)(const void *x, const Py_ssize_t *begins, const int *lengths, Py_ssize_t columns,
                        Py_ssize_t width, Py_ssize_t rows, void *tile) noexcept nogil
ctypedef void (*Scatter)(const void *tile, const int *lengths, Py_ssize_t columns, void *out,
                         const Py_ssize_t *begins) noexcept nogil
ctypedef void (*Blend)(void *b, const void *factors, Py_ssize_t n, double scale, double scale_low,
                       double offset, double offset_low) noexcept nogil
ctypedef void (*Adjust)(const void *x, Py_ssize_t step, const void *addends, Py_ssize_t addends_step,
                        Addends layout, Py_ssize_t rows, Py_ssize_t n, double scale, Py_ssize_t ahead, void *out,
                        Py_ssize_t out_step) noexcept nogil

ctypedef void (*Repeat)(const void *numbers, Py_ssize_t step, Py_ssize_t first, Py_ssize_t times, Py_ssize_t rows,
                        Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*AdjustRepeated)(const void *numbers, Py_ssize_t step, Py_ssize_t first, Py_ssize_t times,
                                Py_ssize_t rows, Py_ssize_t n, const void *x, Py_ssize_t x_step, double scale,
                                void *out) noexcept nogil


cdef enum ByteOrder:    # of elements in an array
    NATIVE
    SWAPPED


# Converters between elements of any supported type and the floats or doubles that kernels take.
ctypedef void (*Load)(const void *elements, Py_ssize_t stride, Py_ssize_t n, ByteOrder order, void *to) noexcept nogil
ctypedef double (*LoadLargest)(const void *elements, Py_ssize_t n, void *to, void *maxima) noexcept nogil
ctypedef void (*LoadRows)(const void *elements, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t ahead,
                          void *to) noexcept nogil
ctypedef void (*StoreRows)(const void *values, Py_ssize_t rows, Py_ssize_t n, void *elements,
                           Py_ssize_t step) noexcept nogil
# The same for the columns of a tile. They return False, and the tile must be moved another way, if it is smaller than a
# block that is transposed, or if nan must be stored.
ctypedef bint (*LoadLines)(const void *elements, Py_ssize_t step, Py_ssize_t lines, Py_ssize_t n,
                           void *tile) noexcept nogil
ctypedef bint (*StoreLines)(const void *tile, Py_ssize_t lines, Py_ssize_t n, void *elements,
                            Py_ssize_t step) noexcept nogil
ctypedef void (*Store)(const void *values, Py_ssize_t n, void *elements, Py_ssize_t stride,
                       ByteOrder order) noexcept nogil
ctypedef void (*ElementwiseRow)(const void *x1, const void *x2, Py_ssize_t n, void *out) noexcept nogil
ctypedef float (*NumberF32)(float x1, float x2) noexcept nogil
ctypedef double (*NumberF64)(double x1, double x2) noexcept nogil


cdef enum Operation:
    LOGSUMEXP
    WEIGHTED_LOGSUMEXP
    UNIFORM_LOGSUMEXP               # one weight for each reduction
    SOFTMAX
    LOG_SOFTMAX
    LOGSUMEXP_AND_SOFTMAX
    SOFTMAX_VJP
    LOG_SOFTMAX_VJP
    LOG_PROB
    CROSS_ENTROPY                   # of class indices
    CROSS_ENTROPY_GRADIENT
    SOFT_CROSS_ENTROPY              # of weights of all classes, and perhaps class indices
    SOFT_CROSS_ENTROPY_GRADIENT
    NLL                             # the same losses of log-probabilities
    SOFT_NLL
    LOGMEANEXP
    MASKED_LOGMEANEXP
    WEIGHTED_LOGMEANEXP
    LOGCUMSUMEXP
    EXCLUSIVE_LOGCUMSUMEXP
    EXACT_LOGSUMEXP                 # not public: the sums that other operations fall back on,
    MERGEABLE_LOGSUMEXP             # the sums of states that a later call will merge, and
    HALF_LOGSUMEXP                  # of float32 only: results that will be rounded to halves
    HALF_SOFTMAX
    HALF_LOG_SOFTMAX
    HALF_LOGSUMEXP_AND_SOFTMAX
    HALF_LOG_PROB
    HALF_CROSS_ENTROPY
    HALF_CROSS_ENTROPY_GRADIENT
    OPERATIONS


cdef enum Elementwise:      # operations that compute each result from one element, or from two
    LOGADDEXP
    LOGSUBEXP
    LOG1MEXP
    LOG1PEXP
    LOG_EXPIT
    ELEMENTWISE_OPERATIONS


cdef struct Kernels:
    # The functions of one operation. NULL if the operation does not have it.
    #
    # Two passes: a reduction is reduced block by block, its parts are merged, and `finish` computes its results. An
    # operation with a result for each element leaves what those results need in the state, and writes them in the
    # second pass. If `finish` gets no `sign`, a negative sum gives nan. `merge` adds column i of another state to
    # column (first + i) % period. `write_tile` prefetches the elements and results that lie `prefetch_rows` rows below,
    # unless that is 0.
    #
    # Where `scans` is set, there is no first pass, because a result depends on the elements up to its own. write_row
    # and write_tile go through a reduction in order, and the state tells them the sum of all elements before the block.
    # The state of a row has two columns: the sum of the piece so far, as reduce_row computes it, and the sum of all
    # earlier pieces. `finish` turns the PartialSum of elements that an earlier call has seen into the state that a scan
    # starts from.
    bint scans
    # The first pass, fused functions and write_tile adjust elements, as State.adjustment or an argument says. Tiles by
    # differences do not, and neither does write_row.
    bint adjusts
    bint means                          # `finish` divides by state.argument.elements
    bint weighs                         # `finish` multiplies by state.argument.weight
    bint reduces_weights_alone          # reduce_row and reduce_tile do not read elements
    bint reads_targets_only             # nothing is reduced: `finish` needs only what look_up_targets() sets
    ReduceRow reduce_row
    ReduceBlock reduce_block            # reduce_row of a block whose largest element is known; NULL if there is none
    # reduce_row of halves where they lie: neighbours in native order. NULL if the operation does not have it.
    ReduceHalves reduce_float16_row
    ReduceHalves reduce_bfloat16_row
    # reduce_row and write_row where elements, weights and results are halves of one type, neighbours in native order.
    # NULL if the operation does not have them.
    ReduceRow reduce_two_float16
    ReduceRow reduce_two_bfloat16
    WriteRow write_two_float16
    WriteRow write_two_bfloat16
    ReduceTile reduce_tile
    Merge merge
    Finish finish
    WriteRow write_row
    # write_row from halves to halves of the same type, neighbours in native order; False if results may be nan, which
    # this function cannot write. NULL if the operation does not have it.
    WriteHalves write_float16_row
    WriteHalves write_bfloat16_row
    WriteTile write_tile
    # Sums of rounded exponentials cost a sixth less. `needs_exact` says whether a result needs better sums. Then
    # `exact` computes them, and `replace_inexact` replaces the sums that were not good enough.
    NeedsExact needs_exact
    ReplaceInexact replace_inexact
    const Kernels *exact
    const Kernels *mergeable            # reduces to states that a later call finishes; NULL if this table does
    const Kernels *of_halves            # computes results that will be rounded to halves; NULL if this table does
    # Two passes over a row with a draft. The first stores the exponentials of a block in `out` if they can be corrected
    # later, and the maximum so far of each block of ROW_BLOCK_BYTES in `maxima`, or nan where it stored none. The
    # second pass corrects the exponentials, or computes them if there are none: the bits are the same.
    DraftRow draft_row
    bint drafts_elements                # the draft is the elements themselves
    CorrectRow correct_row
    # The same from halves where they lie, and to halves of the same type, as write_float16_row writes them.
    DraftRow draft_float16_row
    DraftRow draft_bfloat16_row
    CorrectHalves correct_float16_row
    CorrectHalves correct_bfloat16_row
    # Fused: one call computes the results of a row or tile of at most *_bytes (0: never). `out` has a single row if the
    # operation reduces. `away` is that of a State. Columns of at most `differences_max_rows` rows use the function with
    # `differences` in its name, which takes the differences from the maximum in two parts. fused_aliased_tile_bytes is
    # the limit for rows that lie a multiple of ALIASED_STRIDE_BYTES apart.
    Py_ssize_t fused_row_bytes
    Py_ssize_t fused_tile_bytes
    Py_ssize_t fused_aliased_tile_bytes
    Py_ssize_t differences_max_rows
    FusedRow fused_row
    FusedTile fused_tile
    FusedTile fused_differences_tile
    FusedWeightedTile fused_weighted_tile   # False if a state is needed; then nothing is written
    JointRow joint_row                      # reduces a row of at most ROW_BLOCK_BYTES into one column
    # The same from halves where they lie. An operation that reduces stores a float in `out`. Others write halves of the
    # same type; they return False, and write nothing, if results may be nan. `draft` has room for as many floats,
    # unless the row fits in the lanes.
    FusedHalves fused_float16_row
    FusedHalves fused_bfloat16_row
    JointRow joint_float16_row
    JointRow joint_bfloat16_row
    # Fused with a state, under the same limits and instead of the functions above: one call reduces a whole row or tile
    # into the state and, where the operation has a result for each element, stores the exponentials in `out`. `finish`
    # computes their factors, and `scale` multiplies.
    FusedStateRow fused_state_row
    FusedStateTile fused_state_tile
    FusedStateTile fused_state_differences_tile
    ScaleRow scale_row
    ScaleTile scale_tile


cdef struct DataKernels:
    # Functions that prepare elements for the kernels and put results in their places.
    Select select               # `fill` takes the place of elements whose mask is 0; steps from row to row in bytes
    Transpose transpose         # many rows of few columns, and
    Transpose transpose_back    # few rows of many columns
    # gather lays segments, sorted by length, into the columns of a tile: -inf beyond their ends, and 0 in columns up to
    # `width` that have no segment. scatter copies them back. Segments in a tile of up to three rows have one length.
    Gather gather
    Scatter scatter
    Blend blend                 # replaces b by (b*scale + offset)*factors
    # x*scale + addends, rounded after the product and after the sum; steps from row to row in bytes. The memory `ahead`
    # bytes after the elements is prefetched, unless that is 0.
    Adjust adjust
    # The numbers of each row of a tile, `step` numbers from row to row, each repeated for `times` columns; the first
    # number has had `first` of its columns before. n columns are written, and those up to the next multiple of the
    # lanes. adjust_repeated is adjust with these numbers as addends, for whole lanes.
    Repeat repeat
    AdjustRepeated adjust_repeated
    Load load_float16
    Load load_bfloat16
    # Load neighbours in native order, and return the largest; -inf if a nan hides it. Unless `maxima` is NULL, it gets
    # the largest of each group, as find_candidates needs them. NULL for doubles.
    LoadLargest load_largest_float16
    LoadLargest load_largest_bfloat16
    # Load rows of a tile of floats: n neighbours in native order each, `step` bytes apart. The memory `ahead` bytes
    # after a row is prefetched, unless that is 0. NULL for doubles, as the functions that store such rows are.
    LoadRows load_float16_rows
    LoadRows load_bfloat16_rows
    Store store_float16
    Store store_bfloat16
    StoreRows store_float16_rows
    StoreRows store_bfloat16_rows
    # Transpose lines of n neighbours in native order, `step` bytes apart, to the columns of a tile of floats, and back.
    # NULL for doubles, and if the variant has no instructions that convert float16.
    LoadLines load_float16_lines
    LoadLines load_bfloat16_lines
    StoreLines store_float16_lines
    StoreLines store_bfloat16_lines


cdef struct ProductSum:
    # The exact sums for elements of a logmatmulexp result, one in each lane: exp(maximum)*(count + (others +
    # others_low)/2**OFFSET).
    double maximum[LANES_F32]
    double nans[LANES_F32]              # how many terms are nan
    double count[LANES_F32]             # how many equal the maximum
    double others[LANES_F32]
    double others_low[LANES_F32]


cdef struct FactoredSum:
    # The same by products of exponentials: the largest product, and the sum of the others (see
    # ops/logmatmulexp_factored.pxi). Lanes of `largest` are of the computation's type.
    double largest[LANES_F64]
    double largest_low[LANES_F64]
    double place[LANES_F32]             # the term that has the largest product
    double others[LANES_F32]
    double others_low[LANES_F32]


cdef enum LeftElements:     # which elements of the left matrix the terms of a ProductSum have:
    ONE_FOR_ALL_LANES           # a single one for each term, or
    ONE_FOR_EACH_LANE           # a row of lanes for each term


ctypedef void (*Factor)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t k, void *out,
                        Py_ssize_t out_ld, void *shifts, void *exponents) noexcept nogil
ctypedef Py_ssize_t (*LogProducts)(void *products, Py_ssize_t n, Py_ssize_t k, const void *row_shift,
                                   const void *row_exponent, const void *shifts, const void *exponents,
                                   uint16_t *places) noexcept nogil
ctypedef Py_ssize_t (*MultiplyStack)(void *a, void *b, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t columns, void *shifts,
                                     void *exponents, void *out, uint16_t *places) noexcept nogil
ctypedef void (*MultiplyBlock)(const void *a, Py_ssize_t row_stride, Py_ssize_t term_stride, Py_ssize_t rows,
                               const void *b, Py_ssize_t k, void *out, Py_ssize_t out_ld) noexcept nogil
ctypedef void (*ChangeProducts)(ProductSum *sum) noexcept nogil
ctypedef void (*AddProducts)(ProductSum *sum, const void *a, LeftElements layout, const void *b,
                             Py_ssize_t terms) noexcept nogil
ctypedef void (*FinishProducts)(const ProductSum *sum, void *out) noexcept nogil
ctypedef void (*ClearPeaks)(void *maximum, void *far) noexcept nogil
ctypedef void (*RaisePeaks)(const void *x, Py_ssize_t rows, void *maximum) noexcept nogil
ctypedef void (*FactorLaneRows)(void *x, Py_ssize_t rows, Py_ssize_t k, const void *maximum, void *far) noexcept nogil
ctypedef void (*AddFactored)(FactoredSum *sum, const void *a, const void *b, Py_ssize_t first,
                             Py_ssize_t terms) noexcept nogil
ctypedef Py_ssize_t (*FinishFactored)(const FactoredSum *sum, const void *left, const void *right, const void *a_far,
                                      const void *b_far, Py_ssize_t k, void *out, Py_ssize_t n,
                                      uint16_t *places) noexcept nogil
ctypedef void (*GatherLanes)(const void *x, const Py_ssize_t *begins, Py_ssize_t n, void *panel) noexcept nogil
ctypedef Py_ssize_t (*SumFactoredStack)(const void *a, Py_ssize_t rows, Py_ssize_t a_step, Py_ssize_t a_term_step,
                                        const void *b, Py_ssize_t columns, Py_ssize_t b_step, Py_ssize_t b_term_step,
                                        Py_ssize_t terms, void *a_factors, void *b_factors, void *far, void *out,
                                        uint16_t *places) noexcept nogil


cdef struct ProductKernels:
    # logmatmulexp of matrices that share an axis of k elements (see ops/logmatmulexp.pxi).
    #
    # By a product of matrices: factor_rows takes `rows` rows of n elements, factor_columns n columns; both return
    # factors, and the shift and the exponent of each reduction. From row to row, elements lie `ld` and results `out_ld`
    # elements apart. log_products turns n products of a row, at most 65536, into results. It lists the places of those
    # that are not certified, and returns how many.
    Factor factor_rows
    Factor factor_columns
    LogProducts log_products
    # Where np.matmul does not multiply: multiply_block multiplies `rows` rows of factors by as many columns as there
    # are lanes, whose panel has a row of lanes for each of k terms. transpose_back lays columns into a panel.
    MultiplyBlock multiply_block
    Transpose transpose_back
    # The same for as many small matrices as there are lanes (see ops/logmatmulexp_stack.pxi).
    MultiplyStack multiply_stack
    # Exactly, for as many elements of the result as there are lanes: call clear, max_of_products over all terms,
    # add_products over all terms, finish. `b` has a row of lanes for each term, and LeftElements say what `a` has.
    # Where lanes are terms of a single element, share_maximum follows max_of_products, and fold_lanes add_products.
    Py_ssize_t lanes
    ChangeProducts clear
    AddProducts max_of_products
    AddProducts add_products
    ChangeProducts share_maximum
    ChangeProducts fold_lanes
    FinishProducts finish
    # Exactly, by products of exponentials, for many elements that share rows or columns. Each panel has a reduction in
    # each lane: call clear_peaks, raise_peaks over all terms, factor_lane_rows with up to PRODUCT_FACTOR_TERMS terms.
    # Then, for each row of lanes of the result, add_factored over all terms, from term 0 on, and finish_factored. The
    # latter takes the elements of a and b at the places of the sum, and lists the places of results that are not
    # certified.
    ClearPeaks clear_peaks
    RaisePeaks raise_peaks
    FactorLaneRows factor_lane_rows
    AddFactored add_factored
    FinishFactored finish_factored
    # The same for as many small matrices as there are lanes: gather_lanes lays n neighbours of each side by side.
    GatherLanes gather_lanes
    SumFactoredStack sum_factored_stack


cdef struct Candidate:      # an element that may be among the k largest of its row
    double value                # exactly: a float is a double, too
    Py_ssize_t index            # in the row


ctypedef Py_ssize_t (*FindCandidates)(const void *x, Py_ssize_t n, Py_ssize_t first, Py_ssize_t k, double known,
                                      double *largest, void *maxima, Candidate *out) noexcept nogil
ctypedef bint (*Cumulate)(const double *sums, Py_ssize_t n, double *cumulative) noexcept nogil
ctypedef void (*CumulateBlock)(const void *x, Py_ssize_t n, void *e, double *cumulative) noexcept nogil
ctypedef Py_ssize_t (*Pick)(const double *cumulative, Py_ssize_t n, double uniform, double *left) noexcept nogil
ctypedef Py_ssize_t (*PickElement)(const void *e, const double *cumulative, Py_ssize_t n,
                                   double uniform) noexcept nogil
ctypedef void (*PickElements)(const void *e, const double *cumulative, Py_ssize_t n, const double *uniforms,
                              Py_ssize_t draws, double *running, Py_ssize_t *indices) noexcept nogil

ctypedef void (*TopOfTile)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t k,
                           const void *log_p, void *best, void *places) noexcept nogil
ctypedef void (*ExponentiateTile)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, void *e,
                                  double *totals) noexcept nogil
ctypedef void (*PickOfTile)(const void *e, Py_ssize_t rows, Py_ssize_t columns, const double *totals,
                            const double *uniforms, double *indices) noexcept nogil


cdef struct ScoreKernels:
    # Functions that top_log_probs and categorical need in addition to the kernels of log_softmax. Blocks have at most
    # ROW_BLOCK_BYTES.
    # Finds the elements of a block that may be among the k largest of the row. `maxima` has the largest of each group
    # of elements, and `largest` that of all. If `largest` is nan, both are computed first.
    FindCandidates find_candidates
    Cumulate cumulate                   # adds up partial sums; returns False if they are not a distribution
    CumulateBlock cumulate_block        # exponentiates a block, and sums up to the end of each row of lanes
    Pick pick                           # finds the step of a cumulative distribution that a uniform number falls into
    PickElement pick_element            # finds the element of a block that it draws
    PickElements pick_elements          # finds those that many numbers draw, from sums that are stored in `running`
    # Short rows side by side, as columns of a tile:
    TopOfTile top_of_tile               # the k largest log-probabilities of each; nan: compute that row alone
    ExponentiateTile exponentiate_tile  # computes exponentials and their sums
    PickOfTile pick_of_tile             # finds the elements that uniform numbers draw, one of each column


cdef struct Table:
    Kernels f32[OPERATIONS]
    Kernels f64[OPERATIONS]
    DataKernels data_f32
    DataKernels data_f64
    ScoreKernels scores_f32
    ScoreKernels scores_f64
    ElementwiseRow elementwise_f32[ELEMENTWISE_OPERATIONS]      # operations on one element do not read x2
    ElementwiseRow elementwise_f64[ELEMENTWISE_OPERATIONS]
    NumberF32 number_f32[ELEMENTWISE_OPERATIONS]                # the same for one number, or two
    NumberF64 number_f64[ELEMENTWISE_OPERATIONS]
    # Turns a state of logsumexp without weights into a state whose weights are all 1.
    Weigh weigh_f32
    Weigh weigh_f64
    ProductKernels products_f32
    ProductKernels products_f64
