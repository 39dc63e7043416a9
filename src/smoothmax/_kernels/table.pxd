# The table of compiled functions that a variant of the kernels offers to whoever walks an array.
#
# A row is n contiguous elements, reduced together. A tile is `rows` times COLUMNS elements, each column reduced on
# its own; one row of a tile is contiguous and the next begins `ld` elements later. Only the first `columns` count, but
# there is memory to read and write up to COLUMNS. Elements are native and aligned, float or double as the table says.
# Input and output may be the same memory, but not overlap otherwise.

cdef enum:
    COLUMNS = 64


cdef struct State:
    # COLUMNS reductions side by side; a row uses [0] alone. The elements seen so far sum, divided by exp(top), to
    # count + (rest + carry)/p, where p is the kernels' own value of exp(top) (see "The shift" in arithmetic.pxi).
    # With weights nothing is counted, top is only near the largest a + log(abs(b)), and rest may have either sign.
    double top[COLUMNS]          # the largest element; -inf before there is one
    double count[COLUMNS]        # how many equal it
    double rest[COLUMNS]         # the sum over the others, scaled as p is
    double carry[COLUMNS]        # what rounding kept out of rest
    # The results, once one of the finish functions has been called.
    double log_sum[COLUMNS]      # log(sum/exp(top)), with weights log(abs(sum)/exp(shift)), and
    double log_sum_low[COLUMNS]  # what rounding kept out of it
    double inverse[COLUMNS]      # the reciprocal of the scaled sum, and
    double inverse_low[COLUMNS]  # what rounding kept out of it
    double one_above[COLUMNS]    # what probabilities are 1 above


ctypedef void (*ReduceRow)(State *state, const void *x, Py_ssize_t n) noexcept nogil
ctypedef void (*ReduceTile)(State *state, const void *x, Py_ssize_t ld, Py_ssize_t rows,
                            Py_ssize_t columns) noexcept nogil
ctypedef void (*ReduceWeightedRow)(State *state, const void *a, const void *b, Py_ssize_t n) noexcept nogil
ctypedef void (*ReduceWeightedTile)(State *state, const void *a, Py_ssize_t ld, const void *b, Py_ssize_t b_ld,
                                    Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
ctypedef void (*Select)(const void *x, const void *mask, Py_ssize_t n, double fill, void *out) noexcept nogil
ctypedef void (*Finish)(State *state, Py_ssize_t columns) noexcept nogil
ctypedef void (*WriteReduced)(const State *state, Py_ssize_t columns, void *out, void *sign) noexcept nogil
ctypedef void (*WriteWeighted)(const State *state, Py_ssize_t columns, void *out, void *sign,
                               bint signed) noexcept nogil
ctypedef void (*WriteRow)(const State *state, const void *x, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*WriteTile)(const State *state, const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                           void *out, Py_ssize_t out_ld) noexcept nogil
ctypedef void (*SoftmaxRow)(const void *x, Py_ssize_t n, void *out) noexcept nogil
ctypedef void (*SoftmaxTile)(const void *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                             void *out, Py_ssize_t out_ld) noexcept nogil


cdef struct Kernels:
    # State in, State out:
    ReduceRow reduce_row
    ReduceTile reduce_tile
    ReduceWeightedRow reduce_weighted_row
    ReduceWeightedTile reduce_weighted_tile
    ReduceRow reduce_softmax_row        # for softmax alone: the top is not counted but summed with the rest
    ReduceTile reduce_softmax_tile
    # What a result needs of a state, in its last four fields:
    Finish finish_log                   # for logsumexp and log_softmax
    Finish finish_weighted              # for logsumexp with weights
    Finish finish_softmax
    # Results:
    WriteReduced write_logsumexp
    WriteWeighted write_weighted        # a negative sum is nan unless `signed`
    WriteRow write_softmax_row
    WriteTile write_softmax_tile
    WriteRow write_log_softmax_row
    WriteTile write_log_softmax_tile
    # softmax of data that stays in cache between passes, without a state: exponentials wait in `out` to be scaled.
    SoftmaxRow softmax_row
    SoftmaxTile softmax_tile
    # Masks: `fill` takes the place of elements whose mask is 0.
    Select select


cdef struct Table:
    Kernels f32
    Kernels f64
