# Sums of exponentials for results that are halves
#
# A half has 11 digits, or 8, so its result needs no sum in two parts, and exponentials of 18 digits are enough. Each
# term is rounded once, and so is each addition to a sum of at most HALF_TILE_ROWS or a block's rows of lanes: 128
# terms, which lose 2**-18 at most. Blocks are added in doubles.
#
# 1. Find the maximum of a block, in halves as an integer.
# 2. Sum the exponentials. In a block that has the row's maximum, leave out the elements that equal it and count them,
#    because logsumexp of [0, -40] is 4.25e-18 in bfloat16, too. A row has few such blocks; others need no comparisons.
# 3. softmax stores the exponentials of a block, scaled by the maximum so far, as a draft in the thread's memory, if the
#    row fits there (P53). correct_half_softmax multiplies them (ops/half_rows.pxi).
#
# The bits are the same from halves where they lie and from floats that are staged.

cdef inline float half_term(float d, float round_bias, const float *c) noexcept nogil:
    """exp(d) 2**(OFFSET - N) c[0], with all coefficients times c[0], and log(2) in one part, which is 2**-29 off."""
    cdef float z = multiply_add(d, <float>1.4426950408889634, round_bias)
    cdef float r = multiply_add(round_bias - z, <float>0.6931471805599453, d)
    cdef float slope = multiply_add(r, multiply_add(r, multiply_add(r, c[4], c[3]), c[2]), c[1])
    return multiply_add(r, slope, c[0])*power_of_low_bits(z)


cdef inline void add_half_terms(const char *x, ElementType type_, Py_ssize_t rows, Inclusion inclusion, Store store,
                                float maximum, float shift, float round_bias, float underflow_below, const char *next_,
                                float *out, float *totals) noexcept nogil:
    """Add the scaled exponentials of rows of lanes to totals[j], and prefetch as many bytes of what comes next.

    WITHOUT_MAXIMUM leaves out the elements that equal the maximum. STORE writes all to `out`.
    """
    cdef Py_ssize_t i, j, size = size_of_lanes(type_)
    cdef float c[5]
    cdef float v[LANES_F32]
    cdef float e[LANES_F32]
    cdef float total[LANES_F32]
    half_exp_coefficients(<float>1, c)
    for j in range(LANES_F32):
        total[j] = totals[j]
    for i in range(rows):
        prefetch_bytes(next_ + i*size, size)
        load_lanes(x + i*size, type_, v)
        for j in range(LANES_F32):
            e[j] = half_term(at_least(v[j] - shift, underflow_below), round_bias, c)
            if inclusion == WITHOUT_MAXIMUM:
                total[j] += 0 if v[j] == maximum else e[j]
            else:
                total[j] += e[j]
        if store == STORE:
            for j in range(LANES_F32):
                out[i*LANES_F32 + j] = e[j]
    for j in range(LANES_F32):
        totals[j] = total[j]


cdef inline double count_of_equal(const char *x, ElementType type_, Py_ssize_t n, float maximum) noexcept nogil:
    """How many elements of a block equal the maximum: in a loop of its own, because sums need the registers."""
    cdef Py_ssize_t i
    cdef int32_t count = 0
    if type_ != FLOAT32:
        return count_of_halves(x, n, to_half(maximum, type_))
    for i in range(n):
        count += (<const float *>x)[i] == maximum
    return count


cdef inline double sum_of_half_block(const char *x, ElementType type_, Py_ssize_t n, Inclusion inclusion, float maximum,
                                     const char *next_, Store store, float *out, double *count) noexcept nogil:
    """add_half_terms for a block. STORE keeps rows of lanes in the order of load_lanes."""
    cdef Py_ssize_t rows = n//LANES_F32, remaining = n - rows*LANES_F32, j
    cdef float shift, round_bias, underflow_below
    cdef double carry
    cdef float tail[LANES_F32]
    cdef float totals[LANES_F32]
    cdef float lows[LANES_F32]
    cdef double sums[LANES_F32]
    shifts_of(finite_reference(maximum), &shift, &round_bias, &underflow_below)
    spread(<float>0, totals)
    spread(<float>0, lows)
    # Count, and load the last elements, before a draft takes the place of staged ones.
    count[0] = count_of_equal(x, type_, n, maximum) if inclusion == WITHOUT_MAXIMUM else 0
    if remaining:
        load_last_lanes(x, type_, n, tail)
        hide_first_lanes(LANES_F32 - remaining, <float>-INFINITY, tail)
    if inclusion == WITHOUT_MAXIMUM:
        add_half_terms(x, type_, rows, WITHOUT_MAXIMUM, store, maximum, shift, round_bias, underflow_below, next_, out,
                       totals)
    else:
        add_half_terms(x, type_, rows, WITH_MAXIMUM, store, maximum, shift, round_bias, underflow_below, next_, out,
                       totals)
    put_in_order(type_, totals)
    if remaining:
        add_half_terms(<const char *>tail, FLOAT32, 1, WITHOUT_MAXIMUM, STORE, maximum, shift, round_bias,
                       underflow_below, next_, tail, totals)
        if store == STORE:
            put_last_lanes(tail, LANES_F32 - remaining, out + n)
    for j in range(LANES_F32):
        sums[j] = totals[j]
    return sum_of_lanes(sums, lows, &carry)


cdef inline float largest_of_block(const char *x, ElementType type_, Py_ssize_t n) noexcept nogil:
    cdef float tail[LANES_F32]
    return max_of_row(<const float *>x, n, tail) if type_ == FLOAT32 else largest_of_halves(x, n, type_)


# Rows of several blocks -----------------------------------------------------------------------------------------------

cdef inline void add_half_block(State *state, const char *x, ElementType type_, Py_ssize_t n, float largest,
                                const char *next_, Store store, float *out) noexcept nogil:
    """Add a block, whose largest element is known, to the sum of a row."""
    cdef PartialSum *sum = &state.sum.partial
    cdef double total, count
    if largest > sum.maximum[0]:
        raise_maximum(sum, 0, largest)
    total = sum_of_half_block(x, type_, n, WITHOUT_MAXIMUM if largest == sum.maximum[0] else WITH_MAXIMUM,
                              <float>sum.maximum[0], next_, store, out, &count)
    join(sum, 0, total, 0, count)


cdef inline void reduce_half_blocks(State *state, const char *x, ElementType type_, Py_ssize_t n, Store store,
                                    float *out, double *maxima) noexcept nogil:
    """Sum block by block. STORE leaves a draft in `out`, which may be x, and the maximum so far in `maxima`."""
    cdef Py_ssize_t block, size, away = 4*state.away if type_ == FLOAT32 else 0
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*LANES_F32)
        size = block*(4 if type_ == FLOAT32 else 2)
        add_half_block(state, x, type_, block, largest_of_block(x, type_, block), x + size + away, store, out)
        if store == STORE:
            maxima[0] = state.sum.partial.maximum[0]
            maxima += 1
            out += block
        x += size
        n -= block


cdef void reduce_half_block(State *state, const float *x, Py_ssize_t n, double largest) noexcept nogil:
    add_half_block(state, <const char *>x, FLOAT32, n, <float>largest, <const char *>(x + n + state.away), DISCARD,
                   NULL)


cdef void reduce_half_row(State *state, const float *x, const float *_, Py_ssize_t n) noexcept nogil:
    reduce_half_blocks(state, <const char *>x, FLOAT32, n, DISCARD, NULL, NULL)


cdef void reduce_float16_row(State *state, const void *halves, Py_ssize_t n) noexcept nogil:
    reduce_half_blocks(state, <const char *>halves, FLOAT16, n, DISCARD, NULL, NULL)


cdef void reduce_bfloat16_row(State *state, const void *halves, Py_ssize_t n) noexcept nogil:
    reduce_half_blocks(state, <const char *>halves, BFLOAT16, n, DISCARD, NULL, NULL)


cdef void draft_half_row(State *state, const float *x, Py_ssize_t n, float *out, double *maxima) noexcept nogil:
    reduce_half_blocks(state, <const char *>x, FLOAT32, n, STORE, out, maxima)


cdef void draft_float16_row(State *state, const void *halves, Py_ssize_t n, float *out,
                            double *maxima) noexcept nogil:
    reduce_half_blocks(state, <const char *>halves, FLOAT16, n, STORE, out, maxima)


cdef void draft_bfloat16_row(State *state, const void *halves, Py_ssize_t n, float *out,
                             double *maxima) noexcept nogil:
    """Rows of lanes of the draft lie in the order of load_lanes."""
    reduce_half_blocks(state, <const char *>halves, BFLOAT16, n, STORE, out, maxima)


# Rows of one block ----------------------------------------------------------------------------------------------------

cdef inline void sum_half_row_into(State *state, Py_ssize_t column, const char *x, ElementType type_,
                                   Py_ssize_t n) noexcept nogil:
    """Reduce a row into one column of a state."""
    cdef float maximum = largest_of_block(x, type_, n)
    cdef Py_ssize_t size = n*(4 if type_ == FLOAT32 else 2), away = 4*state.away if type_ == FLOAT32 else 0
    state.sum.partial.maximum[column] = maximum
    state.sum.partial.others[column] = sum_of_half_block(
        x, type_, n, WITHOUT_MAXIMUM, maximum, x + size + away, DISCARD, NULL, &state.sum.partial.count[column])
    state.sum.partial.others_low[column] = 0
    state.scaling = SHIFTED


cdef void joint_half_row(State *state, Py_ssize_t column, const float *x, Py_ssize_t n) noexcept nogil:
    if n > LANES_F32:
        sum_half_row_into(state, column, <const char *>x, FLOAT32, n)
    else:
        sum_short_row_into(state, column, x, n)


cdef inline void joint_row_of_halves(State *state, Py_ssize_t column, const void *halves, ElementType type_,
                                     Py_ssize_t n) noexcept nogil:
    cdef float lanes[LANES_F32]
    if n > LANES_F32:
        sum_half_row_into(state, column, <const char *>halves, type_, n)
    else:
        load_few_halves(halves, type_, n, lanes)
        sum_short_row_into(state, column, <const float *>lanes, n)


cdef void joint_float16_row(State *state, Py_ssize_t column, const void *halves, Py_ssize_t n) noexcept nogil:
    joint_row_of_halves(state, column, halves, FLOAT16, n)


cdef void joint_bfloat16_row(State *state, Py_ssize_t column, const void *halves, Py_ssize_t n) noexcept nogil:
    joint_row_of_halves(state, column, halves, BFLOAT16, n)


# Rows that fit in the lanes take float32's kernels, which are faster there.

cdef bint fuse_few_halves(FusedRow fused_row, const void *halves, ElementType type_, Py_ssize_t n,
                          void *out) noexcept nogil:
    """The results of a row that fits in the lanes; False, before any is stored, if one is nan."""
    cdef float lanes[LANES_F32]
    load_few_halves(halves, type_, n, lanes)
    fused_row(lanes, n, 0, NULL, lanes)
    return store_few_halves(lanes, type_, n, out)


cdef bint reduce_few_halves(FusedRow fused_row, const void *halves, ElementType type_, Py_ssize_t n,
                            void *out) noexcept nogil:
    cdef float lanes[LANES_F32]
    load_few_halves(halves, type_, n, lanes)
    fused_row(lanes, n, 0, NULL, out)
    return True


cdef inline double half_log_sum(const char *x, ElementType type_, Py_ssize_t n, const char *next_,
                                float *maximum) noexcept nogil:
    """The logarithm of the sum of a row, relative to its maximum."""
    cdef double total, count, low
    maximum[0] = largest_of_block(x, type_, n)
    total = sum_of_half_block(x, type_, n, WITHOUT_MAXIMUM, maximum[0], next_, DISCARD, NULL, &count)
    return log_sum_of(maximum[0], SHIFTED, count, total, 0, &low)


cdef inline void half_logsumexp_of_row(const char *x, ElementType type_, Py_ssize_t n, const char *next_,
                                       float *out) noexcept nogil:
    cdef float maximum
    cdef double log_sum = half_log_sum(x, type_, n, next_, &maximum)
    out[0] = <float>(maximum + log_sum)


cdef void half_logsumexp_row(const float *x, Py_ssize_t n, Py_ssize_t away, const Adjustment *_,
                             float *out) noexcept nogil:
    if n > LANES_F32:
        half_logsumexp_of_row(<const char *>x, FLOAT32, n, <const char *>(x + n + away), out)
    else:
        logsumexp_row(x, n, away, NULL, out)


cdef bint float16_logsumexp_row(const void *halves, Py_ssize_t n, float *_, void *out) noexcept nogil:
    if n <= LANES_F32:
        return reduce_few_halves(<FusedRow>logsumexp_row[float], halves, FLOAT16, n, out)
    half_logsumexp_of_row(<const char *>halves, FLOAT16, n, <const char *>halves + 2*n, <float *>out)
    return True


cdef bint bfloat16_logsumexp_row(const void *halves, Py_ssize_t n, float *_, void *out) noexcept nogil:
    if n <= LANES_F32:
        return reduce_few_halves(<FusedRow>logsumexp_row[float], halves, BFLOAT16, n, out)
    half_logsumexp_of_row(<const char *>halves, BFLOAT16, n, <const char *>halves + 2*n, <float *>out)
    return True
