# Products of gradients with Jacobians where all arrays are halves of one type: rows are read and written where they lie
#
# These are the sums of ops/dot_sum.pxi, with the same bits: a product of two halves is exact in float32, unless it
# underflows, so sums of doubles need no carries. The results are those of ops/vjp.pxi, but the exponentials have the
# digits of ops/half_sums.pxi.
#
# Error: 0.52 ULP of the half, of the largest of the result and the two terms that it is the difference of.

cdef inline void add_half_products(const char *x, const char *b, ElementType type_, Py_ssize_t rows, DotTerms terms,
                                   double *sums) noexcept nogil:
    """Add rows of lanes, in the order of load_lanes."""
    cdef Py_ssize_t i, j, size = size_of_lanes(type_)
    cdef float v[LANES_F32]
    cdef float w[LANES_F32]
    cdef double s[LANES_F32]
    for j in range(LANES_F32):
        s[j] = sums[j]
    for i in range(rows):
        load_lanes(b + i*size, type_, w)
        if terms == PRODUCTS:
            load_lanes(x + i*size, type_, v)
            for j in range(LANES_F32):
                w[j] = 0 if w[j] == 0 else w[j]*v[j]
        for j in range(LANES_F32):
            s[j] += w[j]
    for j in range(LANES_F32):
        sums[j] = s[j]


cdef inline void take_first_lanes(const char *halves, ElementType type_, Py_ssize_t n, float *lanes) noexcept nogil:
    """The first n halves of a row of lanes, in order, before 0."""
    cdef uint16_t few[LANES_F32]
    take_first_halves(halves, n, 0, few)
    widen_lanes(<const char *>few, type_, lanes)


cdef double plain_half_dot(const char *x, const char *b, ElementType type_, Py_ssize_t n,
                           DotTerms terms) noexcept nogil:
    """plain_dot, whose products do not overflow."""
    cdef Py_ssize_t i
    cdef float v[LANES_F32]
    cdef float w[LANES_F32]
    cdef double total = 0
    for i in range(n):
        take_first_lanes(x + 2*i, type_, 1, v)
        take_first_lanes(b + 2*i, type_, 1, w)
        if terms == WEIGHTS_ALONE:
            total += w[0]
        elif w[0] != 0:
            total += <double>w[0]*v[0]
    return total


cdef inline void reduce_two_halves(State *state, const char *x, const char *b, ElementType type_, Py_ssize_t n,
                                   DotTerms terms) noexcept nogil:
    """Block by block, as reduce_dot_row adds."""
    cdef Py_ssize_t block, rows, j
    cdef double loaded[LANES_F32]
    cdef double sums[LANES_F32]
    cdef float carries[LANES_F32]
    cdef float v[LANES_F32]
    cdef float w[LANES_F32]
    cdef double total, carry
    spread(<float>0, carries)
    while n > 0:
        block = min_of(n, ROW_BLOCK_LANES*LANES_F32)
        rows = block//LANES_F32
        for j in range(LANES_F32):
            loaded[j] = 0
        add_half_products(x, b, type_, rows, terms, loaded)
        for j in range(LANES_F32):
            sums[j] = loaded[j]
        if type_ == BFLOAT16:
            for j in range(LANES_F32//2):
                sums[2*j] = loaded[j]
                sums[2*j + 1] = loaded[LANES_F32//2 + j]
        if block > rows*LANES_F32:
            take_first_lanes(x + 2*rows*LANES_F32, type_, block - rows*LANES_F32, v)
            take_first_lanes(b + 2*rows*LANES_F32, type_, block - rows*LANES_F32, w)
            add_half_products(<const char *>v, <const char *>w, FLOAT32, 1, terms, sums)
        total = sum_of_lanes(sums, carries, &carry)
        if is_finite(total + carry):
            join_dot(&state.second.dot, 0, total, carry, 0, 0)
        else:
            join_dot(&state.second.dot, 0, plain_half_dot(x, b, type_, block, terms), 0, 0, 0)
        x += 2*block
        b += 2*block
        n -= block


cdef void reduce_products_of_float16(State *state, const void *x, const void *b, Py_ssize_t n) noexcept nogil:
    reduce_two_halves(state, <const char *>x, <const char *>b, FLOAT16, n, PRODUCTS)


cdef void reduce_products_of_bfloat16(State *state, const void *x, const void *b, Py_ssize_t n) noexcept nogil:
    reduce_two_halves(state, <const char *>x, <const char *>b, BFLOAT16, n, PRODUCTS)


cdef void reduce_float16_weights(State *state, const void *x, const void *b, Py_ssize_t n) noexcept nogil:
    reduce_two_halves(state, <const char *>x, <const char *>b, FLOAT16, n, WEIGHTS_ALONE)


cdef void reduce_bfloat16_weights(State *state, const void *x, const void *b, Py_ssize_t n) noexcept nogil:
    reduce_two_halves(state, <const char *>x, <const char *>b, BFLOAT16, n, WEIGHTS_ALONE)


# Results --------------------------------------------------------------------------------------------------------------

cdef enum Jacobian:
    OF_SOFTMAX
    OF_LOG_SOFTMAX


cdef void clear_payloads(char *halves, ElementType type_, Py_ssize_t n) noexcept nogil:
    """Make each nan the one that other functions store, with its sign and nothing else."""
    cdef uint16_t half, infinity = 0x7C00 if type_ == FLOAT16 else 0x7F80
    cdef uint16_t quiet = infinity | (0x0200 if type_ == FLOAT16 else 0x0040)
    cdef Py_ssize_t i
    for i in range(n):
        memcpy(&half, halves + 2*i, 2)
        if (half & 0x7FFF) > infinity:
            half = (half & 0x8000) | quiet
            memcpy(halves + 2*i, &half, 2)


cdef inline void half_vjp_lanes(const char *x, const char *b, ElementType type_, Py_ssize_t rows, Jacobian jacobian,
                                float dot, float dot_low, char *out, int32_t *nans) noexcept nogil:
    """Rows of lanes. nans[j] becomes negative where a result is nan; it is stored as a nan with any payload.

    F16C keeps nan. Rounding keeps it in bfloat16, because nan of bfloat16 and of arithmetic have 0 in their lower half.
    """
    cdef Py_ssize_t i, j, size = size_of_lanes(type_)
    cdef float round_bias = round_bias_of(<float>0), underflow_below = underflow_of(<float>0)
    cdef uint32_t bits
    cdef float c[5]
    cdef float v[LANES_F32]
    cdef float w[LANES_F32]
    half_exp_coefficients(<float>1, c)
    for i in range(rows):
        load_lanes(x + i*size, type_, v)
        load_lanes(b + i*size, type_, w)
        for j in range(LANES_F32):
            if jacobian == OF_SOFTMAX:
                v[j] = v[j]*((w[j] - dot) - dot_low)
            else:
                v[j] = w[j] - without_offset(half_term(at_least(v[j], underflow_below), round_bias, c))*dot
        for j in range(LANES_F32):
            memcpy(&bits, &v[j], 4)
            nans[j] |= <int32_t>0x7F800000 - <int32_t>(bits & <uint32_t>0x7FFFFFFF)
        store_lanes(v, type_, out + i*size)


cdef inline void write_two_halves(const State *state, const char *x, const char *b, ElementType type_, Py_ssize_t n,
                                  Jacobian jacobian, char *out) noexcept nogil:
    cdef Py_ssize_t rows = n//LANES_F32, remaining = n - rows*LANES_F32, done = 2*rows*LANES_F32, j
    cdef float dot = <float>state.second.dot.dot[0], dot_low = <float>state.second.dot.dot_low[0]
    cdef float v[LANES_F32]
    cdef float w[LANES_F32]
    cdef uint16_t few[LANES_F32]
    cdef int32_t nans[LANES_F32]
    cdef int32_t any_nan = 0
    for j in range(LANES_F32):
        nans[j] = 0
    half_vjp_lanes(x, b, type_, rows, jacobian, dot, dot_low, out, nans)
    if remaining:
        take_first_lanes(x + done, type_, remaining, v)
        take_first_lanes(b + done, type_, remaining, w)
        half_vjp_lanes(<const char *>v, <const char *>w, FLOAT32, 1, jacobian, dot, dot_low, <char *>v, nans)
        if type_ == FLOAT16:
            narrow_numbers_float16(v, LANES_F32, <char *>few)
        else:
            narrow_numbers_bfloat16(v, LANES_F32, <char *>few)
        put_first_halves(few, remaining, out + done)
    for j in range(LANES_F32):
        any_nan |= nans[j]
    if any_nan < 0:
        clear_payloads(out, type_, n)


cdef void write_float16_softmax_vjp(const State *state, const void *x, const void *b, Py_ssize_t n,
                                    void *out) noexcept nogil:
    write_two_halves(state, <const char *>x, <const char *>b, FLOAT16, n, OF_SOFTMAX, <char *>out)


cdef void write_bfloat16_softmax_vjp(const State *state, const void *x, const void *b, Py_ssize_t n,
                                     void *out) noexcept nogil:
    write_two_halves(state, <const char *>x, <const char *>b, BFLOAT16, n, OF_SOFTMAX, <char *>out)


cdef void write_float16_log_softmax_vjp(const State *state, const void *x, const void *b, Py_ssize_t n,
                                        void *out) noexcept nogil:
    write_two_halves(state, <const char *>x, <const char *>b, FLOAT16, n, OF_LOG_SOFTMAX, <char *>out)


cdef void write_bfloat16_log_softmax_vjp(const State *state, const void *x, const void *b, Py_ssize_t n,
                                         void *out) noexcept nogil:
    write_two_halves(state, <const char *>x, <const char *>b, BFLOAT16, n, OF_LOG_SOFTMAX, <char *>out)


cdef void fill_half_vjp(Kernels *kernels) noexcept:
    cdef Kernels *softmax = &kernels[<int>SOFTMAX_VJP]
    cdef Kernels *log_softmax = &kernels[<int>LOG_SOFTMAX_VJP]
    if CONVERTS_FLOAT16:            # the baseline would grow by these functions, and few processors need it
        softmax.reduce_two_float16 = <ReduceRow>reduce_products_of_float16
        softmax.reduce_two_bfloat16 = <ReduceRow>reduce_products_of_bfloat16
        softmax.write_two_float16 = <WriteRow>write_float16_softmax_vjp
        softmax.write_two_bfloat16 = <WriteRow>write_bfloat16_softmax_vjp
        log_softmax.reduce_two_float16 = <ReduceRow>reduce_float16_weights
        log_softmax.reduce_two_bfloat16 = <ReduceRow>reduce_bfloat16_weights
        log_softmax.write_two_float16 = <WriteRow>write_float16_log_softmax_vjp
        log_softmax.write_two_bfloat16 = <WriteRow>write_bfloat16_log_softmax_vjp
