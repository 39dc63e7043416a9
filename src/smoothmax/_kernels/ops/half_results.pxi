# softmax and log_softmax whose results are halves
#
# A half has 11 digits, or 8, so its result needs no sum in two parts. Each exponential is rounded once, and so is each
# addition to a sum of at most HALF_TILE_ROWS or a block's rows of lanes: 128 terms, which lose 2**-18 at most.
#
# Error: 0.51 ULP of the half, most of it the one rounding to it. tests/test_bfloat16.py and tests/test_half_results.py
# hold it.
#
# 1. Tiles take exp(x - maximum) of the rounded difference. It is off by 2**-18 where the exponential is the least that
#    a half can hold, because it is 0 from a difference of 104 on (17 for float16).
# 2. Longer rows are read a block at a time, which stays in L1 with what is staged. Those of softmax leave a draft, if
#    it fits in memory of the thread (P53). A shift makes their differences exact, so states are merged as others are.
#
# log_softmax counts the maximum apart, as everywhere: [20, 0] is -2.06e-9 in bfloat16.

cdef inline float half_term(float d, float round_bias) noexcept nogil:
    """exp(d) 2**(OFFSET - N) as rounded_exp has it, but with log(2) in one part, which is off by 2**-29."""
    cdef float z = multiply_add(d, <float>1.4426950408889634, round_bias)
    cdef float r = multiply_add(round_bias - z, <float>0.6931471805599453, d)
    return multiply_add(r, multiply_add(r, exp_tail(r), <float>1), <float>1)*power_of_low_bits(z)


cdef inline void add_half_terms(const float *x, Py_ssize_t ld, Py_ssize_t rows, const float *shift,
                                const float *round_bias, const float *underflow_below, Store store, float *out,
                                float *totals) noexcept nogil:
    """Add the scaled exponentials of column j to totals[j]. STORE writes those of contiguous rows to `out`."""
    cdef Py_ssize_t i, j
    cdef float total[LANES_F32]
    cdef float e[LANES_F32]
    for j in range(LANES_F32):
        total[j] = totals[j]
    for i in range(rows):
        for j in range(LANES_F32):
            e[j] = half_term(at_least(x[i*ld + j] - shift[j], underflow_below[j]), round_bias[j])
            total[j] += e[j]
        if store == STORE:
            for j in range(LANES_F32):
                out[i*LANES_F32 + j] = e[j]
    for j in range(LANES_F32):
        totals[j] = total[j]


cdef inline void half_softmax_lanes(const float *x, Py_ssize_t ld, Py_ssize_t rows, const float *shift,
                                    const float *round_bias, const float *underflow_below, const float *inverse,
                                    float *out, Py_ssize_t out_ld, Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef float y[LANES_F32]
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(LANES_F32):
            y[j] = half_term(at_least(x[i*ld + j] - shift[j], underflow_below[j]), round_bias[j])*inverse[j]
        for j in range(LANES_F32):
            out[i*out_ld + j] = y[j]


# Rows -----------------------------------------------------------------------------------------------------------------

cdef inline void reduce_half_softmax_blocks(State *state, const float *x, Py_ssize_t n, Store store, float *out,
                                            double *maxima) noexcept nogil:
    """Sum all exponentials, the maxima's too, into others, and leave a draft or not (ops/softmax_draft.pxi)."""
    cdef Py_ssize_t block, rows, remaining, j
    cdef double carry
    cdef bint stores
    cdef float tail[LANES_F32]
    cdef float shift[LANES_F32]
    cdef float round_bias[LANES_F32]
    cdef float underflow_below[LANES_F32]
    cdef float totals[LANES_F32]
    cdef float lows[LANES_F32]
    cdef double sums[LANES_F32]
    spread(<float>0, lows)
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*LANES_F32)
        rows = block//LANES_F32
        remaining = block - rows*LANES_F32
        move_maximum(&state.sum.partial, 0, max_of_row(x, block, tail))
        spread_shifts(finite_reference(<float>state.sum.partial.maximum[0]), shift, round_bias, underflow_below)
        spread(<float>0, totals)
        stores = store == STORE and magnitude(state.sum.partial.maximum[0]) <= can_be_corrected(<float>0)
        if stores:
            add_half_terms(x, LANES_F32, rows, shift, round_bias, underflow_below, STORE, out, totals)
        else:
            add_half_terms(x, LANES_F32, rows, shift, round_bias, underflow_below, DISCARD, <float *>NULL, totals)
        if remaining:
            add_half_terms(tail, LANES_F32, 1, shift, round_bias, underflow_below, STORE, tail, totals)
            if stores:
                unpad(tail, remaining, out + rows*LANES_F32)
        for j in range(LANES_F32):
            sums[j] = totals[j]
        join(&state.sum.partial, 0, sum_of_lanes(sums, lows, &carry), 0, 0)
        if store == STORE:
            maxima[0] = state.sum.partial.maximum[0] if stores else <double>NAN
            maxima += 1
            out += block
        x += block
        n -= block


cdef void reduce_half_softmax_row(State *state, const float *x, const float *_, Py_ssize_t n) noexcept nogil:
    reduce_half_softmax_blocks(state, x, n, DISCARD, <float *>NULL, NULL)


cdef void draft_half_softmax_row(State *state, const float *x, Py_ssize_t n, float *out,
                                 double *maxima) noexcept nogil:
    reduce_half_softmax_blocks(state, x, n, STORE, out, maxima)


cdef void write_half_softmax_row(const State *state, const float *x, const float *_, Py_ssize_t n,
                                 float *out) noexcept nogil:
    cdef Py_ssize_t rows = n//LANES_F32, remaining = n - rows*LANES_F32
    cdef float tail[LANES_F32]
    cdef float shift[LANES_F32]
    cdef float round_bias[LANES_F32]
    cdef float underflow_below[LANES_F32]
    cdef float inverse[LANES_F32]
    spread_shifts(<float>state.sum.partial.maximum[0], shift, round_bias, underflow_below)
    spread(<float>state.normalizer.inverse[0], inverse)
    half_softmax_lanes(x, LANES_F32, rows, shift, round_bias, underflow_below, inverse, out, LANES_F32, NO_PREFETCH)
    if remaining:
        pad(x + rows*LANES_F32, remaining, tail)
        half_softmax_lanes(tail, LANES_F32, 1, shift, round_bias, underflow_below, inverse, tail, LANES_F32,
                           NO_PREFETCH)
        unpad(tail, remaining, out + rows*LANES_F32)


cdef void correct_half_softmax_row(const State *state, const float *x, Py_ssize_t n, float *out,
                                   const double *maxima) noexcept nogil:
    """`x` may be `out`: a block that has no draft has its elements there."""
    cdef Py_ssize_t block, i
    cdef float maximum = <float>state.sum.partial.maximum[0], shift = shift_of(maximum), inverse, power
    cdef float exponent = exponent_of(remainder_of(maximum, shift))
    inverse = <float>state.normalizer.inverse[0]
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*LANES_F32)
        if maxima[0] != maxima[0]:
            write_half_softmax_row(state, x, <float *>NULL, block, out)
        else:
            # A block whose exponent is 149 or more below has results of 0.
            power = at_least(exponent_of(<float>maxima[0]) - exponent, <float>-149)
            power = 0 if shift != 0 else <float>ldexp(1, <int>power)
            for i in range(block):
                out[i] = (out[i]*power)*inverse
        x += block
        out += block
        maxima += 1
        n -= block


# Tiles in two passes --------------------------------------------------------------------------------------------------

cdef void reduce_half_softmax_tile(State *state, const float *x, Py_ssize_t ld, const float *_, Py_ssize_t _ld,
                                   Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """reduce_half_softmax_row for columns."""
    cdef Py_ssize_t block, first, j
    cdef float maximum[LANES_F32]
    cdef float shift[LANES_F32]
    cdef float round_bias[LANES_F32]
    cdef float underflow_below[LANES_F32]
    cdef float totals[LANES_F32]
    while rows > 0:
        block = min_of(rows, TILE_BLOCK_BYTES//(TILE_COLUMNS*sizeof(float)))
        for first from 0 <= first < columns by LANES_F32:
            spread(<float>-INFINITY, maximum)
            max_lanes(x + first, ld, block, LANES_F32, maximum)
            for j in range(LANES_F32):
                move_maximum(&state.sum.partial, first + j, maximum[j])
            for j in range(LANES_F32):
                shifts_of(finite_reference(<float>state.sum.partial.maximum[first + j]), &shift[j], &round_bias[j],
                          &underflow_below[j])
                totals[j] = 0
            add_half_terms(x + first, ld, block, shift, round_bias, underflow_below, DISCARD, <float *>NULL, totals)
            for j in range(LANES_F32):
                join(&state.sum.partial, first + j, totals[j], 0, 0)
        x += block*ld
        rows -= block


cdef void finish_half_softmax(State *state, Py_ssize_t columns, float *_, float *__) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(columns):
        state.normalizer.inverse[j] = 1/(state.sum.partial.others[j] + state.sum.partial.others_low[j])


cdef void write_half_softmax_tile(const State *state, const float *x, Py_ssize_t ld, const float *_, Py_ssize_t _ld,
                                  Py_ssize_t rows, Py_ssize_t columns, float *out, Py_ssize_t out_ld,
                                  Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t first, j
    cdef float shift[LANES_F32]
    cdef float round_bias[LANES_F32]
    cdef float underflow_below[LANES_F32]
    cdef float inverse[LANES_F32]
    for first from 0 <= first < columns by LANES_F32:
        for j in range(LANES_F32):
            shifts_of(<float>state.sum.partial.maximum[first + j], &shift[j], &round_bias[j], &underflow_below[j])
            inverse[j] = <float>state.normalizer.inverse[first + j]
        half_softmax_lanes(x + first, ld, rows, shift, round_bias, underflow_below, inverse, out + first, out_ld,
                           prefetch_rows)


# Fused tiles ----------------------------------------------------------------------------------------------------

cdef inline void half_softmax_columns(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, float *out,
                                      Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t i, j, first
    cdef float maximum[LANES_F32]
    cdef float sums[LANES_F32]
    cdef float total[LANES_F32]
    cdef float e[LANES_F32]
    cdef float round_bias = round_bias_of(<float>0), underflow_below = underflow_of(<float>0)
    spread(<float>-INFINITY, maximum)
    max_lanes(x, ld, rows, width, maximum)
    for j in range(width):
        sums[j] = 0
    for first from 0 <= first < rows by HALF_TILE_ROWS:
        for j in range(width):
            total[j] = 0
        for i in range(first, min_of(first + HALF_TILE_ROWS, rows)):
            for j in range(width):
                e[j] = half_term(at_least(x[i*ld + j] - maximum[j], underflow_below), round_bias)
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


cdef inline void half_log_softmax_columns(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t width, float *out,
                                          Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef float maximum[LANES_F32]
    cdef float total[LANES_F32]
    cdef float count[LANES_F32]
    cdef float v, d
    cdef float round_bias = round_bias_of(<float>0), underflow_below = underflow_of(<float>0)
    spread(<float>-INFINITY, maximum)
    max_lanes(x, ld, rows, width, maximum)
    for j in range(width):
        total[j] = 0
        count[j] = 0
    for i in range(rows):
        for j in range(width):
            v = x[i*ld + j]
            d = v - maximum[j]
            d = underflow_below if (v == maximum[j]) | (d < underflow_below) else d
            total[j] += half_term(d, round_bias)
            count[j] += one_if(v == maximum[j], <float>0)
    for j in range(width):
        total[j] = rounded_log(count[j], without_offset(total[j]))
    log_softmax_lanes(x, ld, rows, width, maximum, total, out, out_ld, NO_PREFETCH)


cdef void half_softmax_tile(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, float *out,
                            Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t group, first
    columns = columns_to_do_by_half(x, out, columns)
    for group in range((columns + LANES_F32 - 1)//LANES_F32):
        if fits_half_the_lanes(x, group, columns):
            first = first_of_half_the_lanes(group, LANES_F32, columns)
            half_softmax_columns(x + first, ld, rows, LANES_F32//2, out + first, out_ld)
        else:
            first = first_column(group, LANES_F32, columns)
            half_softmax_columns(x + first, ld, rows, LANES_F32, out + first, out_ld)


cdef void half_log_softmax_tile(const float *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns, float *out,
                                Py_ssize_t out_ld) noexcept nogil:
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

cdef void fill_half_results(Kernels *kernels) noexcept:
    cdef Kernels *softmax = &kernels[<int>HALF_SOFTMAX]
    cdef Kernels *log_softmax = &kernels[<int>HALF_LOG_SOFTMAX]
    softmax.reduce_row = <ReduceRow>reduce_half_softmax_row
    softmax.reduce_tile = <ReduceTile>reduce_half_softmax_tile
    softmax.merge = merge_f32
    softmax.finish = <Finish>finish_half_softmax
    softmax.write_row = <WriteRow>write_half_softmax_row
    softmax.write_tile = <WriteTile>write_half_softmax_tile
    softmax.draft_row = <DraftRow>draft_half_softmax_row
    softmax.correct_row = <CorrectRow>correct_half_softmax_row
    softmax.fused_row = kernels[<int>SOFTMAX].fused_row
    softmax.fused_row_bytes = ROW_BLOCK_BYTES
    softmax.fused_tile = softmax.fused_differences_tile = <FusedTile>half_softmax_tile
    softmax.fused_tile_bytes = FUSED_SOFTMAX_TILE_BYTES
    log_softmax[0] = kernels[<int>LOG_SOFTMAX]
    log_softmax.draft_row, log_softmax.correct_row = NULL, NULL
    log_softmax.write_float16_row = <WriteHalves>write_float16_row_of_log_softmax
    log_softmax.write_bfloat16_row = <WriteHalves>write_bfloat16_row_of_log_softmax
    log_softmax.fused_differences_tile = <FusedTile>half_log_softmax_tile
    log_softmax.differences_max_rows = HALF_TILE_ROWS
    kernels[<int>SOFTMAX].of_halves = softmax
    kernels[<int>LOG_SOFTMAX].of_halves = log_softmax
