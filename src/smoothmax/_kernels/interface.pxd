# The interface between the schedule and the kernels: the state of reductions, and the table of compiled functions.
#
# A row is n contiguous elements that are reduced together. A tile is `rows` times TILE_COLUMNS elements whose columns
# are reduced each on its own: a row of the tile is contiguous, and the next one begins `ld` elements later. Only the
# first `columns` count, but the memory up to the next multiple of the lanes can be read and written. Elements are
# native and aligned, float or double as the table says. Input and output may be the same memory; otherwise they do not
# overlap.

from libc.math cimport INFINITY
from libc.stdint cimport uint16_t

from smoothmax._thresholds cimport LANES_F32, TILE_COLUMNS


# The state of up to TILE_COLUMNS reductions side by side. A row uses column 0, or is one of JOINT_MAX_ROWS.

cdef struct PartialSum:
    # What is known of the elements seen so far: a monoid, see ops/partial_sum.pxi. Their exponentials, divided by
    # exp(maximum), sum to count + (others + others_low)/p, where p is what the kernels compute for exp(maximum) with
    # the same shift (see math/shift.pxi). Operations that need no such precision count nothing and have the maximum
    # among the others.
    double maximum[TILE_COLUMNS]        # -inf before there is one
    double count[TILE_COLUMNS]          # how many elements equal the maximum and are not among the others
    double others[TILE_COLUMNS]         # the sum over the others, scaled as p is
    double others_low[TILE_COLUMNS]     # its rounding errors


cdef struct WeightedSum:
    # What logsumexp with weights has in the place of a PartialSum (see ops/weighted_sum.pxi). The sum of
    # b*exp(a) is (sum + sum_low) times exp(reference) 2**exponent, scaled.
    double reference[TILE_COLUMNS]      # near the largest a + log(abs(b))
    double exponent[TILE_COLUMNS]       # 0 unless the reference is too coarse to be near
    double sum[TILE_COLUMNS]            # of either sign
    double sum_low[TILE_COLUMNS]        # its rounding errors


cdef struct RunningSum:
    # What a scan has in the place of a PartialSum (see ops/running_sum.pxi). The sum of exp(x) is (high + middle + low)
    # times exp(reference), scaled.
    double reference[TILE_COLUMNS]      # the maximum so far, -inf before there is one
    double high[TILE_COLUMNS]           # inf or nan once a prefix is
    double middle[TILE_COLUMNS]
    double low[TILE_COLUMNS]


cdef struct DotSum:
    # Sums over two arrays: `dot` of b*(x - maximum), b*x or b, as the operation needs it, and `mass` of b.
    double dot[TILE_COLUMNS]
    double dot_low[TILE_COLUMNS]        # its rounding errors
    double mass[TILE_COLUMNS]
    double mass_low[TILE_COLUMNS]


cdef struct Normalizer:
    # What results need of the sums once `finish` has been called.
    double log_sum[TILE_COLUMNS]            # log(sum/exp(maximum)), and
    double log_sum_low[TILE_COLUMNS]        # its rounding error
    double inverse[TILE_COLUMNS]            # the factor of the scaled exponentials: one over their sum, or of a
    double inverse_low[TILE_COLUMNS]        # gradient a multiple of that; and its rounding error
    double saturates_above[TILE_COLUMNS]    # probabilities above this are 1


cdef struct LossTerms:
    # What a loss needs besides its sums. look_up_targets() sets what `finish` reads:
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


cdef union Given:
    # What `finish` is given of each reduction, besides its sums, by operations other than losses:
    double elements[TILE_COLUMNS]       # how many elements take part, where `means` is set; or
    double weight[TILE_COLUMNS]         # the weight of all elements, where `weighs` is set


cdef enum Scaling:      # what a state has of its sum:
    SHIFTED             # the exponentials of x - shift, times 2**-N: p is exp(maximum) scaled like them;
    FROM_MAXIMUM        # the exponentials of x - maximum: p is 2**OFFSET; or
    IN_LOGARITHMS       # log_sum and log_sum_low alone, of a loss without a gradient


cdef struct State:
    PartialSum sum
    DotSum dot
    Normalizer normalizer
    LossTerms loss
    Given given
    # Only a fused tile leaves another scaling than SHIFTED, and it is finished in the same call. So what merges, packs
    # or spreads states need not ask for it.
    Scaling scaling
    # How many elements beyond a block in the scratch its elements lie in the array: kernels fetch the ones that follow
    # there, while they compute. 0 for a block that is read where it lies. Of a tile, also how many elements apart its
    # rows lie in the array, which clear() leaves as it is.
    Py_ssize_t away
    Py_ssize_t away_ld


cdef inline WeightedSum *weighted_of(State *state) noexcept nogil:
    """The sum of a state with weights. No function may use both views: by C's rules they do not alias."""
    return <WeightedSum *>&state.sum


cdef inline WeightedSum *weights_of(State *state) noexcept nogil:
    """The sum of the weights, which a mean with weights has in the place of the DotSum."""
    return <WeightedSum *>&state.dot


cdef inline RunningSum *running_of(State *state) noexcept nogil:
    """The sum of a scan's state. What holds for weighted_of() holds here."""
    return <RunningSum *>&state.sum


cdef inline void clear(State *state, Py_ssize_t columns) noexcept nogil:
    """Make the first columns those of reductions that have seen nothing."""
    cdef Py_ssize_t j
    state.scaling = SHIFTED
    state.away = 0
    for j in range(columns):
        state.sum.maximum[j] = -INFINITY
        state.sum.count[j] = 0
        state.sum.others[j] = 0
        state.sum.others_low[j] = 0
        state.dot.dot[j] = 0
        state.dot.dot_low[j] = 0
        state.dot.mass[j] = 0
        state.dot.mass_low[j] = 0


cdef inline void copy_column(const State *source, State *to, Py_ssize_t j) noexcept nogil:
    """Copy the sum of one column."""
    to.sum.maximum[j], to.sum.count[j] = source.sum.maximum[j], source.sum.count[j]
    to.sum.others[j], to.sum.others_low[j] = source.sum.others[j], source.sum.others_low[j]


cdef enum Addends:      # what is added to the elements of a row:
    ONE_ADDEND_EACH         # a number of its own to each, or
    ONE_ADDEND_A_ROW        # the same number to all


ctypedef void (*ReduceRow)(State *state, const void *x, const void *b, Py_ssize_t n) noexcept nogil
ctypedef void (*ReduceTile)(State *state, const void *x, Py_ssize_t ld, const void *b, Py_ssize_t b_ld,
                            Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
ctypedef void (*Merge)(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                       Py_ssize_t period) noexcept nogil
ctypedef bint (*NeedsExact)(const State *state, Py_ssize_t columns) noexcept nogil
ctypedef void (*ReplaceInexact)(State *state, const State *exact, Py_ssize_t columns) noexcept nogil
ctypedef void (*Finish)(State *state, Py_ssize_t columns, void *out, void *sign) noexcept nogil
ctypedef void (*WriteRow)(const State *state, const void *x, const void *b, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*WriteTile)(const State *state, const void *x, Py_ssize_t ld, const void *b, Py_ssize_t b_ld,
                           Py_ssize_t rows, Py_ssize_t columns, void *out, Py_ssize_t out_ld,
                           Py_ssize_t prefetch_rows) noexcept nogil
ctypedef void (*DraftRow)(State *state, const void *x, Py_ssize_t n, void *out, double *maxima) noexcept nogil
ctypedef void (*CorrectRow)(const State *state, const void *x, Py_ssize_t n, void *out,
                            const double *maxima) noexcept nogil
ctypedef void (*FusedRow)(const void *x, Py_ssize_t n, Py_ssize_t away, void *out) noexcept nogil
ctypedef void (*FusedTile)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                           void *out, Py_ssize_t out_ld) noexcept nogil
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
ctypedef void (*Blend)(void *b, const void *factors, Py_ssize_t n, double scale, double scale_low,
                       double offset, double offset_low) noexcept nogil
ctypedef void (*Adjust)(const void *x, Py_ssize_t step, const void *addends, Py_ssize_t addends_step,
                        Addends layout, Py_ssize_t rows, Py_ssize_t n, double scale, Py_ssize_t ahead, void *out,
                        Py_ssize_t out_step) noexcept nogil


# Converters between elements of any supported type and the floats or doubles that kernels take.
ctypedef void (*Load)(const void *elements, Py_ssize_t stride, Py_ssize_t n, bint swapped, void *to) noexcept nogil
ctypedef void (*Store)(const void *values, Py_ssize_t n, void *elements, Py_ssize_t stride,
                       bint swapped) noexcept nogil
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
    EXACT_LOGSUMEXP                 # no public operations: the sums that others fall back on, and
    MERGEABLE_LOGSUMEXP             # the sums of states that are merged with others in a later call
    OPERATIONS


cdef enum Elementwise:      # operations that compute each result from one element, or from two
    LOGADDEXP
    LOGSUBEXP
    LOG1MEXP
    LOG1PEXP
    LOG_EXPIT
    ELEMENTWISE_OPERATIONS


cdef struct Kernels:
    # The functions of one operation. NULL: the operation has no such function.
    #
    # Two passes: a reduction is reduced block by block, parts of it are merged, and `finish` computes its results.
    # An operation with a result for each element leaves in the state what those results need, and writes them in the
    # second pass. `finish` without `sign` makes nan of a negative sum. `merge` adds column i of another state to column
    # (first + i) % period. `write_tile` prefetches the elements and results that lie `prefetch_rows` rows below: 0 for
    # none.
    #
    # Where `scans` is set, there is no first pass: a result depends on the elements up to its own. write_row and
    # write_tile go through a reduction in order and leave in the state what comes before their next block. That of a
    # row has two columns: the sum of the piece so far, as reduce_row computes it, and that of the pieces before.
    # `finish` turns the PartialSum of what an earlier call has seen into what a scan starts from.
    bint scans
    bint means                          # `finish` divides by state.given.elements
    bint weighs                         # `finish` multiplies by state.given.weight
    ReduceRow reduce_row
    ReduceTile reduce_tile
    Merge merge
    Finish finish
    WriteRow write_row
    WriteTile write_tile
    # Sums of rounded exponentials cost a sixth less. `needs_exact` says whether a result needs better sums. Then
    # `exact` computes them, and `replace_inexact` puts them in the place of those that were not good enough.
    NeedsExact needs_exact
    ReplaceInexact replace_inexact
    const Kernels *exact
    const Kernels *mergeable            # reduces to states that a later call finishes; NULL: this table does
    # Two passes over a row with a draft: the first leaves its exponentials in `out` where they can be corrected, and in
    # `maxima` the maximum so far of each block of ROW_BLOCK_BYTES, or nan where it left none. The second corrects them,
    # or computes them now: the bits are the same.
    DraftRow draft_row
    CorrectRow correct_row
    # Fused: one call goes from the elements of a row or tile of at most *_bytes (0: never) to the results; `out` has a
    # single row where the operation reduces. `away` is that of a State. Columns of at most `differences_max_rows` rows
    # are done by the function with `differences` in its name, which takes the difference from the maximum in two parts.
    # fused_aliased_tile_bytes is the limit for rows that lie a multiple of ALIASED_STRIDE_BYTES apart.
    Py_ssize_t fused_row_bytes
    Py_ssize_t fused_tile_bytes
    Py_ssize_t fused_aliased_tile_bytes
    Py_ssize_t differences_max_rows
    FusedRow fused_row
    FusedTile fused_tile
    FusedTile fused_differences_tile
    FusedWeightedTile fused_weighted_tile   # False if a state is needed; then nothing is written
    JointRow joint_row                      # reduces a row of JOINT_ROW_MIN_BYTES to ROW_BLOCK_BYTES into one column
    # Fused with a state, under the same limits, in the place of the fused functions above: one call reduces a whole row
    # or tile into the state and, where the operation has a result for each element, stores the exponentials in `out`.
    # `finish` computes their factors, and `scale` multiplies.
    FusedStateRow fused_state_row
    FusedStateTile fused_state_tile
    FusedStateTile fused_state_differences_tile
    ScaleRow scale_row
    ScaleTile scale_tile


cdef struct DataKernels:
    # What prepares elements for the kernels and puts results in their places.
    Select select               # `fill` takes the place of elements whose mask is 0; steps from row to row in bytes
    Transpose transpose         # rows of few columns; and
    Transpose transpose_back    # few rows of many columns
    Blend blend                 # b*scale + offset, times factors, in the place of b
    # x*scale + addends, each of the two rounded; steps from row to row in bytes. What lies `ahead` bytes ahead of the
    # elements is fetched; 0 for nothing.
    Adjust adjust
    Load load_float16
    Load load_bfloat16
    Store store_float16
    Store store_bfloat16


cdef struct ProductSum:
    # The exact sums of elements of a logmatmulexp, one a lane: exp(maximum)*(count + (others + others_low)/2**OFFSET).
    double maximum[LANES_F32]
    double nans[LANES_F32]              # how many terms are nan
    double count[LANES_F32]             # and how many equal the maximum
    double others[LANES_F32]
    double others_low[LANES_F32]


ctypedef void (*Factor)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t k, void *out,
                        Py_ssize_t out_ld, void *maxima) noexcept nogil
ctypedef Py_ssize_t (*LogProducts)(void *products, Py_ssize_t n, Py_ssize_t k, const void *row, const void *columns,
                                   uint16_t *places) noexcept nogil
ctypedef Py_ssize_t (*MultiplyStack)(void *a, void *b, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t columns, void *maxima,
                                     void *out, uint16_t *places) noexcept nogil
ctypedef void (*ChangeProducts)(ProductSum *sum) noexcept nogil
ctypedef void (*AddProducts)(ProductSum *sum, const void *a, bint is_shared, const void *b,
                             Py_ssize_t terms) noexcept nogil
ctypedef void (*FinishProducts)(const ProductSum *sum, void *out) noexcept nogil


cdef struct ProductKernels:
    # logmatmulexp of matrices that share an axis of k elements (see ops/logmatmulexp.pxi).
    #
    # By a product of matrices: exponentials divided by that of their maximum, of `rows` rows whose n elements are one
    # reduction, or of n columns that are one each. From row to row, elements lie `ld` and results `out_ld` elements
    # apart. log_products takes n products of a row, at most 65536, to results, and lists the places of those that are
    # not certified; returns how many.
    Factor factor_rows
    Factor factor_columns
    LogProducts log_products
    # The same for as many small matrices as there are lanes (see ops/logmatmulexp_stack.pxi).
    MultiplyStack multiply_stack
    # Exactly, as many elements of the result as there are lanes: clear, max_of_products over all terms, add_products
    # over all terms, finish. `b` has a row of lanes for each term, and so has `a` unless one element serves all lanes.
    # Where lanes are terms of a single element, share_maximum follows max_of_products, and fold_lanes add_products.
    Py_ssize_t lanes
    ChangeProducts clear
    AddProducts max_of_products
    AddProducts add_products
    ChangeProducts share_maximum
    ChangeProducts fold_lanes
    FinishProducts finish


cdef struct Candidate:      # an element that may be among the k largest of its row
    double value                # exactly: a float is a double, too
    Py_ssize_t index            # in the row


ctypedef Py_ssize_t (*FindCandidates)(const void *x, Py_ssize_t n, Py_ssize_t first, Py_ssize_t k, double known,
                                      bint all_known, Candidate *out) noexcept nogil
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
    # What top_log_probs and categorical need besides the kernels of log_softmax. Blocks have at most ROW_BLOCK_BYTES.
    FindCandidates find_candidates      # elements of a block that may be among the k largest of the row
    Cumulate cumulate                   # add up partial sums; False where they make no distribution
    CumulateBlock cumulate_block        # exponentials of a block, and their sums up to the end of each row of lanes
    Pick pick                           # the step of a cumulative distribution that a uniform number falls into
    PickElement pick_element            # the element of a block that it draws
    PickElements pick_elements          # those that many numbers draw, by sums that are stored as `running`
    # Short rows side by side, as columns of a tile:
    TopOfTile top_of_tile               # the k largest log-probabilities of each, nan where it must be taken by itself
    ExponentiateTile exponentiate_tile  # exponentials and their sums
    PickOfTile pick_of_tile             # the elements that uniform numbers draw, one of each column


cdef struct Table:
    Kernels f32[OPERATIONS]
    Kernels f64[OPERATIONS]
    DataKernels data_f32
    DataKernels data_f64
    ScoreKernels scores_f32
    ScoreKernels scores_f64
    ElementwiseRow elementwise_f32[ELEMENTWISE_OPERATIONS]      # x2 of an operation on one element is not read
    ElementwiseRow elementwise_f64[ELEMENTWISE_OPERATIONS]
    NumberF32 number_f32[ELEMENTWISE_OPERATIONS]                # the same of one number, or two
    NumberF64 number_f64[ELEMENTWISE_OPERATIONS]
    # Turn a state of logsumexp without weights into one whose weights are all 1.
    Weigh weigh_f32
    Weigh weigh_f64
    ProductKernels products_f32
    ProductKernels products_f64
