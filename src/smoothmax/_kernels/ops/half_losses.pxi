# Losses of class targets, their gradients, and logsumexp with softmax, where the results are halves
#
# These are the sums of ops/half_sums.pxi and the writing of ops/half_rows.pxi, with the factors that ops/losses.pxi and
# ops/loss_gradients.pxi compute from the sums.
#
# Error: 0.52 ULP of the half for losses, of which most is the rounding to it, because (x_t - m) and -log_sum have the
# same sign. So have the losses that a reduction sums, unless class weights are negative; then the sums are float32's.
# Gradients: 0.55 ULP. Where the target is not the maximum, 1 - p is the difference of two sums, and at least a half.

cdef void half_loss_row(State *state, const float *x, Py_ssize_t n, float *_) noexcept nogil:
    joint_half_row(state, 0, x, n)


cdef void half_loss_tile(State *state, const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, float *_,
                         Py_ssize_t __) noexcept nogil:
    cdef Py_ssize_t j
    cdef float maximum[TILE_COLUMNS]
    cdef float log_sum[TILE_COLUMNS]
    half_log_sums_of_tile(x, ld, rows, columns, maximum, log_sum)
    for j in range(columns):
        state.sum.partial.maximum[j] = maximum[j]
        state.normalizer.log_sum[j] = log_sum[j]
        state.normalizer.log_sum_low[j] = 0
    state.scaling = IN_LOGARITHMS


# With results ---------------------------------------------------------------------------------------------------------

cdef void half_exp_sum_store_row(State *state, const float *x, Py_ssize_t n, float *out) noexcept nogil:
    """Sum a row of at most a block, and store its exponentials, which may replace the elements."""
    cdef double maximum
    cdef Py_ssize_t away = state.away
    clear(state, 1)
    state.away = away
    reduce_half_blocks(state, <const char *>x, FLOAT32, n, STORE, out, &maximum)


cdef void scale_half_row(const State *state, Py_ssize_t n, float *out) noexcept nogil:
    scale_half_draft(out, FLOAT32, n, state.normalizer.inverse[0], <char *>out)


cdef void half_exp_sum_store_tile(State *state, const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                  float *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t group, first, j
    cdef float maximum[LANES_F32]
    cdef float sums[LANES_F32]
    cdef float count[LANES_F32]
    columns = columns_to_do(x, out, columns)
    for group in range((columns + LANES_F32 - 1)//LANES_F32):
        first = first_column(group, LANES_F32, columns)
        sum_half_columns(x + first, ld, rows, LANES_F32, STORE, out + first, out_ld, maximum, sums, count)
        for j in range(LANES_F32):
            state.sum.partial.maximum[first + j] = maximum[j]
            state.sum.partial.count[first + j] = count[j]
            state.sum.partial.others[first + j] = sums[j]
            state.sum.partial.others_low[first + j] = 0
    state.scaling = FROM_MAXIMUM


# Tables ---------------------------------------------------------------------------------------------------------------

cdef void take_half_loss(Kernels *kernels, Kernels *loss) noexcept:
    loss[0] = kernels[0]
    take_half_sums(loss, NULL)
    loss.fused_row_bytes = ROW_BLOCK_BYTES
    loss.fused_state_row = <FusedStateRow>half_loss_row
    loss.fused_state_tile, loss.fused_state_differences_tile = <FusedStateTile>half_loss_tile, NULL
    loss.joint_row = <JointRow>joint_half_row
    loss.joint_float16_row = <JointRow>joint_float16_row
    loss.joint_bfloat16_row = <JointRow>joint_bfloat16_row
    kernels.of_halves = loss


cdef void take_half_gradient(Kernels *kernels, Kernels *gradient) noexcept:
    gradient[0] = kernels[0]
    take_half_sums(gradient, NULL)
    take_half_softmax(gradient)
    gradient.fused_row_bytes = ROW_BLOCK_BYTES
    gradient.fused_state_row = <FusedStateRow>half_exp_sum_store_row
    gradient.scale_row = <ScaleRow>scale_half_row
    gradient.fused_state_tile = <FusedStateTile>half_exp_sum_store_tile
    kernels.of_halves = gradient


cdef void fill_half_losses(Kernels *kernels) noexcept:
    take_half_loss(&kernels[<int>LOG_PROB], &kernels[<int>HALF_LOG_PROB])
    take_half_loss(&kernels[<int>CROSS_ENTROPY], &kernels[<int>HALF_CROSS_ENTROPY])
    take_half_gradient(&kernels[<int>CROSS_ENTROPY_GRADIENT], &kernels[<int>HALF_CROSS_ENTROPY_GRADIENT])
    take_half_gradient(&kernels[<int>LOGSUMEXP_AND_SOFTMAX], &kernels[<int>HALF_LOGSUMEXP_AND_SOFTMAX])
