# The table of compiled functions that a variant of the kernels offers to whoever walks an array, by operation.
#
# A row is n contiguous elements, reduced together. A tile is `rows` times COLUMNS elements, each column reduced on
# its own; one row of a tile is contiguous and the next begins `ld` elements later. Only the first `columns` count, but
# there is memory to read and write up to the next multiple of the lanes. Elements are native and aligned, float or
# double as the table says. Input and output may be the same memory, but not overlap otherwise.

from libc.math cimport INFINITY

cdef enum:
    COLUMNS = 64
    TOGETHER = 16           # rows whose sums are finished together, and
    TOGETHER_BYTES = 1024   # so many bytes of each at least: no more than a lane has of exponentials worth rounding
    BLOCK_BYTES = 16384     # of a row: they are maximised, then summed, out of L1
    LANE_BYTES = 128        # of the elements that a kernel does at a time
    BAND_ROWS = 16          # rows that a tile writes before the one beside it has its turn


cdef enum Sums:         # what a state has of its sums:
    SHIFTED             # rest and carry of exp(x - c) 2**-N: p is exp(top) so scaled;
    FROM_TOP            # rest and carry of exp(x - top): p is 2**OFFSET; or
    IN_LOGARITHMS       # log_sum and log_sum_low alone: of a loss without a gradient


cdef struct State:
    # COLUMNS reductions side by side; a row uses [0] alone, or is one of TOGETHER. The elements seen so far sum,
    # divided by exp(top), to count + (rest + carry)/p, where p is the kernels' own value of exp(top) (see "The shift"
    # in arithmetic.pxi). With weights nothing is counted: see weighted_states.pxi.
    # softmax counts nothing either: the top is in rest with the others.
    double top[COLUMNS]          # the largest element; -inf before there is one
    double count[COLUMNS]        # how many equal it and are not in rest
    double rest[COLUMNS]         # the sum over the others, scaled as p is
    double carry[COLUMNS]        # what rounding kept out of rest
    # Of operations on two arrays: the sum of b*(x - reference), or of what the operation says, and of b.
    double dot[COLUMNS]
    double dot_low[COLUMNS]      # what rounding kept out of it
    double mass[COLUMNS]
    double mass_low[COLUMNS]
    # What results need, once `finish` has been called.
    double log_sum[COLUMNS]      # log(sum/exp(top)), with weights log(abs(sum)/exp(shift)), and
    double log_sum_low[COLUMNS]  # what rounding kept out of it
    double inverse[COLUMNS]      # the reciprocal of the scaled sum, and
    double inverse_low[COLUMNS]  # what rounding kept out of it
    double one_above[COLUMNS]    # what probabilities are 1 above
    # Of losses (see losses.pxi): what comes with a reduction before `finish`, and what it leaves.
    double picked[COLUMNS]       # the element at the target; 0 where there is no target
    double weight[COLUMNS]       # of the target's class; 0 where there is none
    double counts[COLUMNS]       # 1, or 0 of a reduction that is ignored
    double at_target[COLUMNS]    # the result there
    double slope[COLUMNS]        # the factor of b in the other results, and
    double slope_low[COLUMNS]    # what rounding kept out of it
    # Other than SHIFTED only of a tile that is kept, which is finished at once: what merges, packs or spreads states
    # does not ask.
    Sums sums
    double hard, hard_low        # the factor of the target, in two parts,
    double soft, soft_low        # that of b,
    double denominator           # and what gradients are divided by


cdef inline void clear(State *state, Py_ssize_t columns) noexcept nogil:
    """Nothing seen yet."""
    cdef Py_ssize_t j
    state.sums = SHIFTED
    for j in range(columns):
        state.top[j] = -INFINITY
        state.count[j] = 0
        state.rest[j] = 0
        state.carry[j] = 0
        state.dot[j] = 0
        state.dot_low[j] = 0
        state.mass[j] = 0
        state.mass_low[j] = 0


ctypedef void (*ReduceRow)(State *state, const void *x, const void *b, Py_ssize_t n) noexcept nogil
ctypedef void (*ReduceTile)(State *state, const void *x, Py_ssize_t ld, const void *b, Py_ssize_t b_ld,
                            Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
ctypedef void (*Merge)(State *state, const State *other, Py_ssize_t first, Py_ssize_t columns,
                       Py_ssize_t period) noexcept nogil
ctypedef bint (*InDoubt)(const State *state, Py_ssize_t columns) noexcept nogil
ctypedef void (*Replace)(State *state, const State *careful, Py_ssize_t columns) noexcept nogil
ctypedef void (*Finish)(State *state, Py_ssize_t columns, void *out, void *sign) noexcept nogil
ctypedef void (*WriteRow)(const State *state, const void *x, const void *b, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*WriteTile)(const State *state, const void *x, Py_ssize_t ld, const void *b, Py_ssize_t b_ld,
                           Py_ssize_t rows, Py_ssize_t columns, void *out, Py_ssize_t out_ld) noexcept nogil
ctypedef void (*RowAtOnce)(const void *x, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*TileAtOnce)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                            void *out, Py_ssize_t out_ld) noexcept nogil
ctypedef bint (*WeightedTileAtOnce)(const void *x, Py_ssize_t ld, const void *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                    Py_ssize_t columns, void *out) noexcept nogil
ctypedef void (*SumRow)(State *state, Py_ssize_t column, const void *x, Py_ssize_t n) noexcept nogil
ctypedef void (*KeepRow)(State *state, const void *x, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*KeepTile)(State *state, const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                          void *out, Py_ssize_t out_ld) noexcept nogil
ctypedef void (*ScaleRow)(const State *state, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*ScaleTile)(const State *state, const void *e, Py_ssize_t rows, Py_ssize_t columns, void *out,
                           Py_ssize_t out_ld) noexcept nogil
ctypedef void (*DraftRow)(State *state, const void *x, Py_ssize_t n, void *out, double *tops) noexcept nogil
ctypedef void (*CorrectRow)(const State *state, const void *x, Py_ssize_t n, void *out,
                            const double *tops) noexcept nogil
ctypedef void (*Weigh)(State *state, Py_ssize_t columns) noexcept nogil
ctypedef void (*Select)(const void *x, Py_ssize_t step, const void *mask, Py_ssize_t mask_step, Py_ssize_t rows,
                        Py_ssize_t n, double fill, void *out, Py_ssize_t out_step) noexcept nogil
ctypedef void (*Blend)(void *b, const void *factors, Py_ssize_t n, double scale, double scale_low,
                       double offset, double offset_low) noexcept nogil

ctypedef void (*Transpose)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                           void *out, Py_ssize_t out_ld) noexcept nogil


cdef enum Operation:
    LOGSUMEXP
    WEIGHTED_LOGSUMEXP
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
    CAREFUL_LOGSUMEXP               # no operations of their own: the sums that others fall back on, and
    GROWING_LOGSUMEXP               # those of states that are merged with others later
    OPERATIONS


cdef struct Kernels:
    # What an operation consists of.
    ReduceRow reduce_row                # a block more in a state; b is NULL but where the operation has weights
    ReduceTile reduce_tile
    Merge merge                         # column i of another state in column (first + i) % period of a state
    # Sums whose exponentials are rounded first cost a sixth less. `in_doubt` says whether a result needs better ones;
    # then `careful` has them, and `replace` puts those states in the place of the others. NULL: the sums are good.
    InDoubt in_doubt
    Replace replace
    const Kernels *careful
    const Kernels *first                # what reduces to states that are left for a later walk; NULL: this does
    Finish finish                       # the results of a reduction; without `sign`, a negative sum's is nan
    # An operation with a result for each element leaves in the state what those need, and writes them in a second pass.
    WriteRow write_row
    WriteTile write_tile
    # The same passes, but the first leaves its exponentials in `out` where they can be corrected, and in `tops` the top
    # so far of each block of BLOCK_BYTES, or nan; the second corrects them, or exponentiates now: the same bits.
    DraftRow draft_row
    CorrectRow correct_row
    # At once, in up to so many bytes of a row or tile, 0 where that gains nothing: from elements to results without a
    # state, or, where keep_row is not NULL, to as much of the state as `finish` needs and, of an operation with a
    # result for each element, to the exponentials in `out`; what `finish` makes of the state then scales them.
    Py_ssize_t row_at_once_bytes
    Py_ssize_t tile_at_once_bytes
    Py_ssize_t aliased_tile_bytes       # where the rows of a tile are a multiple of 4 KiB apart
    RowAtOnce row_at_once
    TileAtOnce tile_at_once             # `out` has a single row where the operation reduces
    WeightedTileAtOnce weighted_tile_at_once    # with weights; False, and nothing is written, if it takes a state
    SumRow sum_row                      # a row of TOGETHER_BYTES to BLOCK_BYTES, into a column of a state; or NULL
    KeepRow keep_row
    KeepTile keep_tile
    ScaleRow scale_row
    ScaleTile scale_tile


cdef struct Moves:
    # What brings elements together and takes results apart.
    Select select               # `fill` takes the place of elements whose mask is 0; steps from row to row in bytes
    Transpose transpose         # rows of few columns; and
    Transpose transpose_back    # few rows of many columns
    Blend blend                 # weights made of others, in their place: b*scale + offset, times factors


cdef struct Table:
    Kernels f32[OPERATIONS]
    Kernels f64[OPERATIONS]
    Moves moves_f32
    Moves moves_f64
    # A state of logsumexp without weights becomes one with: all of them were 1.
    Weigh weigh_f32
    Weigh weigh_f64
