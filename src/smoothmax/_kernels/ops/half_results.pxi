# logsumexp, softmax and log_softmax of columns whose results are halves, and the tables of operations with such results
#
# Error: 0.52 ULP of the half, most of it the one rounding to it; where maximum and logarithm of logsumexp cancel, of
# the larger of the two. tests/test_bfloat16.py and tests/test_half_results.py hold it. See ops/half_sums.pxi for the
# terms, and ops/half_rows.pxi for rows.
#
# Tiles take exp(x - maximum) of the rounded difference. It is off by 2**-18 where the exponential is the least that a
# half can hold, because it is 0 from a difference of 104 on (17 for float16).
#
# logsumexp and log_softmax count the maximum apart, as everywhere: log_softmax of [20, 0] is -2.06e-9 in bfloat16.

# Tiles in two passes --------------------------------------------------------------------------------------------------

cdef inline void reduce_half_columns(State *state, const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                     Inclusion inclusion) noexcept nogil:
    """reduce_half_row for columns. WITH_MAXIMUM adds the maxima to the others, which takes no comparisons."""
    cdef Py_ssize_t block, ahead, first, i, j
    cdef PartialSum *sum = &state.sum.partial
    cdef float c[5]
    cdef float maximum[LANES_F32]
    cdef float shift[LANES_F32]
    cdef float round_bias[LANES_F32]
    cdef float underflow_below[LANES_F32]
    cdef float total[LANES_F32]
    cdef float count[LANES_F32]
    cdef float v, e
    half_exp_coefficients(<float>1, c)
    while rows > 0:
        block = min_of(rows, TILE_BLOCK_BYTES//(TILE_COLUMNS*sizeof(float)))
        ahead = rows_ahead(block, state.away_ld, <float>0)*state.away_ld
        ahead += state.away if ahead else 0
        for first from 0 <= first < columns by LANES_F32:
            spread(<float>-INFINITY, maximum)
            max_lanes(x + first, ld, block, LANES_F32, maximum)
            for j in range(LANES_F32):
                if maximum[j] > sum.maximum[first + j]:
                    raise_maximum(sum, first + j, maximum[j])
            for j in range(LANES_F32):
                maximum[j] = <float>sum.maximum[first + j]
                shifts_of(finite_reference(maximum[j]), &shift[j], &round_bias[j], &underflow_below[j])
                total[j] = 0
                count[j] = 0
            for i in range(block):
                if ahead:
                    prefetch_lanes(x + first + ahead + i*state.away_ld, LANES_F32, ahead)
                for j in range(LANES_F32):
                    v = x[first + i*ld + j]
                    e = half_term(at_least(v - shift[j], underflow_below[j]), round_bias[j], c)
                    if inclusion == WITHOUT_MAXIMUM:
                        total[j] += 0 if v == maximum[j] else e
                        count[j] += one_if(v == maximum[j], <float>0)
                    else:
                        total[j] += e
            for j in range(LANES_F32):
                join(sum, first + j, total[j], 0, count[j])
        x += block*ld
        rows -= block


cdef void reduce_half_tile(State *state, const float *x, Py_ssize_t ld, const float *_, Py_ssize_t _ld,
                           Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    reduce_half_columns(state, x, ld, rows, columns, WITHOUT_MAXIMUM)


cdef void reduce_half_softmax_tile(State *state, const float *x, Py_ssize_t ld, const float *_, Py_ssize_t _ld,
                                   Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    reduce_half_columns(state, x, ld, rows, columns, WITH_MAXIMUM)


cdef void finish_half_softmax(State *state, Py_ssize_t columns, float *_, float *__) noexcept nogil:
    cdef Py_ssize_t j
    cdef double low
    for j in range(columns):
        state.normalizer.inverse[j] = 1/scaled_total(state, j, SHIFTED, &low, <float>0)


cdef inline void half_softmax_tile_lanes(const float *x, Py_ssize_t ld, Py_ssize_t rows, const float *shift,
                                         const float *round_bias, const float *underflow_below, const float *inverse,
                                         float *out, Py_ssize_t out_ld, Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef float c[5]
    cdef float y[LANES_F32]
    half_exp_coefficients(<float>1, c)
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(LANES_F32):
            y[j] = half_term(at_least(x[i*ld + j] - shift[j], underflow_below[j]), round_bias[j], c)*inverse[j]
        for j in range(LANES_F32):
            out[i*out_ld + j] = y[j]


cdef void write_half_softmax_tile(const State *state, const float *x, Py_ssize_t ld, const float *_, Py_ssize_t _ld,
                                  Py_ssize_t rows, Py_ssize_t columns, float *out, Py_ssize_t out_ld,
                                  Py_ssize_t prefetch_rows, const Adjustment *_unadjusted) noexcept nogil:
    cdef Py_ssize_t first, j
    cdef float shift[LANES_F32]
    cdef float round_bias[LANES_F32]
    cdef float underflow_below[LANES_F32]
    cdef float inverse[LANES_F32]
    for first from 0 <= first < columns by LANES_F32:
        for j in range(LANES_F32):
            shifts_of(<float>state.sum.partial.maximum[first + j], &shift[j], &round_bias[j], &underflow_below[j])
            inverse[j] = <float>state.normalizer.inverse[first + j]
        half_softmax_tile_lanes(x + first, ld, rows, shift, round_bias, underflow_below, inverse, out + first, out_ld,
                                prefetch_rows)


# Fused tiles ----------------------------------------------------------------------------------------------------------

cdef inline void half_softmax_columns(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, float *out,
                                      Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t i, j, first
    cdef float maximum[LANES_F32]
    cdef float sums[LANES_F32]
    cdef float total[LANES_F32]
    cdef float c[5]
    cdef float e[LANES_F32]
    cdef float round_bias = round_bias_of(<float>0), underflow_below = underflow_of(<float>0)
    half_exp_coefficients(<float>1, c)
    spread(<float>-INFINITY, maximum)
    max_lanes(x, ld, rows, width, maximum)
    for j in range(width):
        sums[j] = 0
    for first from 0 <= first < rows by HALF_TILE_ROWS:
        for j in range(width):
            total[j] = 0
        for i in range(first, min_of(first + HALF_TILE_ROWS, rows)):
            for j in range(width):
                e[j] = half_term(at_least(x[i*ld + j] - maximum[j], underflow_below), round_bias, c)
                total[j] += e[j]
            for j in range(width):
                out[i*out_ld + j] = e[j]
        for j in range(width):
            sums[j] += total[j]
    for j in range(width):
        total[j] = <float>1/sums[j]
    for i in range(rows):
        for j in range(width):
            e[j] = out[i*out_ld + j]*total[j]
        for j in range(width):
            out[i*out_ld + j] = e[j]


cdef inline float rounded_log(float count, float q) noexcept nogil:
    """log(count + q) within a few ULP, of which halves show none."""
    cdef float down, k, f, s, z, half_square
    normalise(count + q, &down, &k)
    f = (count*down - <float>1) + q*down
    s = f/(<float>2 + f)
    z = s*s
    half_square = f*(<float>0.5*f)
    return k*<float>0.6931471805599453 + (f - (half_square - s*(half_square + z*atanh_tail(z))))


cdef inline void sum_half_columns(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, Store store,
                                  float *out, Py_ssize_t out_ld, float *maximum, float *sums,
                                  float *count) noexcept nogil:
    """The maximum of each column, how many elements equal it, and the sum of the others from it.

    STORE stores the exponentials of all, where `out` may be x.
    """
    cdef Py_ssize_t i, j, first
    cdef float total[LANES_F32]
    cdef float c[5]
    cdef float e[LANES_F32]
    cdef float v
    cdef float round_bias = round_bias_of(<float>0), underflow_below = underflow_of(<float>0)
    half_exp_coefficients(<float>1, c)
    spread(<float>-INFINITY, maximum)
    max_lanes(x, ld, rows, width, maximum)
    for j in range(width):
        sums[j] = 0
        count[j] = 0
    for first from 0 <= first < rows by HALF_TILE_ROWS:
        for j in range(width):
            total[j] = 0
        for i in range(first, min_of(first + HALF_TILE_ROWS, rows)):
            for j in range(width):
                v = x[i*ld + j]
                e[j] = half_term(at_least(v - maximum[j], underflow_below), round_bias, c)
                total[j] += 0 if v == maximum[j] else e[j]
                count[j] += one_if(v == maximum[j], <float>0)
            if store == STORE:
                for j in range(width):
                    out[i*out_ld + j] = e[j]
        for j in range(width):
            sums[j] += total[j]


cdef inline void half_log_sums(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, float *maximum,
                               float *log_sum) noexcept nogil:
    """The maximum of each column, and the logarithm of its sum relative to that."""
    cdef Py_ssize_t j
    cdef float sums[LANES_F32]
    cdef float count[LANES_F32]
    sum_half_columns(x, ld, rows, width, DISCARD, NULL, 0, maximum, sums, count)
    for j in range(width):
        log_sum[j] = rounded_log(count[j], without_offset(sums[j]))


cdef inline void half_log_softmax_columns(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, float *out,
                                          Py_ssize_t out_ld) noexcept nogil:
    cdef float maximum[LANES_F32]
    cdef float log_sum[LANES_F32]
    half_log_sums(x, ld, rows, width, maximum, log_sum)
    log_softmax_lanes(x, ld, rows, width, maximum, log_sum, out, out_ld, NO_PREFETCH)


cdef void half_log_sums_of_tile(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, float *maximum,
                                float *log_sum) noexcept nogil:
    """half_log_sums of TILE_COLUMNS columns, of which all that are not computed are 0."""
    cdef Py_ssize_t group, first, j
    for j in range(TILE_COLUMNS):
        maximum[j] = 0
        log_sum[j] = 0
    for group in range((columns + LANES_F32 - 1)//LANES_F32):
        if fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, LANES_F32, columns)
            half_log_sums(x + first, ld, rows, LANES_F32//2, maximum + first, log_sum + first)
        else:
            first = first_column(group, LANES_F32, columns)
            half_log_sums(x + first, ld, rows, LANES_F32, maximum + first, log_sum + first)


cdef void half_logsumexp_tile(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                              const Adjustment *_, float *out, Py_ssize_t __) noexcept nogil:
    """The results of all columns are stored last, because they may replace elements."""
    cdef Py_ssize_t j
    cdef float maximum[TILE_COLUMNS]
    cdef float log_sum[TILE_COLUMNS]
    half_log_sums_of_tile(x, ld, rows, columns, maximum, log_sum)
    for j in range(columns):
        out[j] = maximum[j] + log_sum[j]


cdef void half_softmax_tile(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, const Adjustment *_,
                            float *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t group, first
    columns = columns_to_do_by_half(x, out, columns)
    for group in range((columns + LANES_F32 - 1)//LANES_F32):
        if fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, LANES_F32, columns)
            half_softmax_columns(x + first, ld, rows, LANES_F32//2, out + first, out_ld)
        else:
            first = first_column(group, LANES_F32, columns)
            half_softmax_columns(x + first, ld, rows, LANES_F32, out + first, out_ld)


cdef void half_log_softmax_tile(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                const Adjustment *_, float *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t group, first
    columns = columns_to_do_by_half(x, out, columns)
    for group in range((columns + LANES_F32 - 1)//LANES_F32):
        if fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, LANES_F32, columns)
            half_log_softmax_columns(x + first, ld, rows, LANES_F32//2, out + first, out_ld)
        else:
            first = first_column(group, LANES_F32, columns)
            half_log_softmax_columns(x + first, ld, rows, LANES_F32, out + first, out_ld)


# Tables ---------------------------------------------------------------------------------------------------------------

cdef void take_half_sums(Kernels *kernels, FusedTile fused_tile) noexcept:
    """Let an operation reduce as results that are halves need it."""
    kernels.reduce_row = <ReduceRow>reduce_half_row
    kernels.reduce_block = <ReduceBlock>reduce_half_block
    kernels.reduce_float16_row = <ReduceHalves>reduce_float16_row
    kernels.reduce_bfloat16_row = <ReduceHalves>reduce_bfloat16_row
    kernels.adjusts = False
    kernels.reduce_tile = <ReduceTile>reduce_half_tile
    kernels.needs_exact, kernels.replace_inexact, kernels.exact = NULL, NULL, NULL
    kernels.fused_tile, kernels.fused_differences_tile, kernels.differences_max_rows = fused_tile, NULL, 0


cdef void take_half_softmax(Kernels *kernels) noexcept:
    """Let an operation write its results as softmax does: exponentials times state.normalizer.inverse."""
    kernels.write_row = <WriteRow>write_half_softmax_row
    kernels.write_float16_row = <WriteHalves>write_float16_row_of_softmax
    kernels.write_bfloat16_row = <WriteHalves>write_bfloat16_row_of_softmax
    kernels.draft_row = <DraftRow>draft_half_row
    kernels.draft_float16_row = <DraftRow>draft_float16_row
    kernels.draft_bfloat16_row = <DraftRow>draft_bfloat16_row
    kernels.correct_row = <CorrectRow>correct_half_softmax_row
    kernels.correct_float16_row = <CorrectHalves>correct_float16_row_of_softmax
    kernels.correct_bfloat16_row = <CorrectHalves>correct_bfloat16_row_of_softmax
    kernels.write_tile = <WriteTile>write_half_softmax_tile
    if not CONVERTS_FLOAT16:        # operations on integers are faster over longer arrays than over lanes
        kernels.write_float16_row = NULL


cdef void fill_half_results(Kernels *kernels) noexcept:
    cdef Kernels *logsumexp = &kernels[<int>HALF_LOGSUMEXP]
    cdef Kernels *softmax = &kernels[<int>HALF_SOFTMAX]
    cdef Kernels *log_softmax = &kernels[<int>HALF_LOG_SOFTMAX]
    logsumexp[0] = kernels[<int>LOGSUMEXP]
    take_half_sums(logsumexp, <FusedTile>half_logsumexp_tile)
    logsumexp.fused_row = <FusedRow>half_logsumexp_row
    logsumexp.fused_float16_row = <FusedHalves>float16_logsumexp_row
    logsumexp.fused_bfloat16_row = <FusedHalves>bfloat16_logsumexp_row
    logsumexp.joint_row = <JointRow>joint_half_row
    logsumexp.joint_float16_row = <JointRow>joint_float16_row
    logsumexp.joint_bfloat16_row = <JointRow>joint_bfloat16_row
    take_half_sums(softmax, <FusedTile>half_softmax_tile)
    softmax.reduce_tile = <ReduceTile>reduce_half_softmax_tile
    softmax.merge = merge_f32
    softmax.finish = <Finish>finish_half_softmax
    take_half_softmax(softmax)
    softmax.fused_row = <FusedRow>half_softmax_row
    softmax.fused_float16_row = <FusedHalves>float16_softmax_row
    softmax.fused_bfloat16_row = <FusedHalves>bfloat16_softmax_row
    softmax.fused_row_bytes = ROW_BLOCK_BYTES
    softmax.fused_tile_bytes = FUSED_SOFTMAX_TILE_BYTES
    log_softmax[0] = kernels[<int>LOG_SOFTMAX]
    take_half_sums(log_softmax, <FusedTile>half_log_softmax_tile)
    log_softmax.draft_row, log_softmax.correct_row = NULL, NULL
    log_softmax.fused_row = <FusedRow>half_log_softmax_row
    log_softmax.fused_float16_row = <FusedHalves>float16_log_softmax_row
    log_softmax.fused_bfloat16_row = <FusedHalves>bfloat16_log_softmax_row
    log_softmax.write_float16_row = <WriteHalves>write_float16_row_of_log_softmax
    log_softmax.write_bfloat16_row = <WriteHalves>write_bfloat16_row_of_log_softmax
    if not CONVERTS_FLOAT16:
        softmax.fused_float16_row = NULL
        log_softmax.write_float16_row, log_softmax.fused_float16_row = NULL, NULL
    kernels[<int>LOGSUMEXP].of_halves = logsumexp
    kernels[<int>SOFTMAX].of_halves = softmax
    kernels[<int>LOG_SOFTMAX].of_halves = log_softmax
