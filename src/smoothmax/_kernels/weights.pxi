# logsumexp with weights.
#
# b = m 2**k with 1 <= abs(m) < 2. 2**k rides in the exponent beside N, and m multiplies the two parts of exp, so
# neither b nor exp(a) can overflow alone. The reference of a column is the largest a + k log(2), within log(2) of the
# largest a + log(abs(b)); terms may cancel, so every addition is compensated and no top is left out. A term of
# weight 0 is 0 whatever a is. A weight that is not finite turns its term into nan, and then special_sum decides what
# was meant.

cdef inline real min_normal(real _) noexcept nogil:
    if real is float:
        return <float>1.1754943508222875e-38
    else:
        return 2.2250738585072014e-308


cdef inline real split_weight(real b, real *m) noexcept nogil:
    """k; m[0] is the significand with b's sign. Both are finite whatever b is, and k of 0 is below all others."""
    cdef bint tiny = magnitude(b) < min_normal(b)
    cdef uint32_t u32, k32
    cdef uint64_t u64, k64
    cdef real k
    if real is float:
        b = b*<float>16777216.0 if tiny else b                  # 2**24
        memcpy(&u32, &b, 4)
        k32 = ((u32 >> 23) & 0xFF) | 0x4B000000                 # 2**23 + the biased exponent
        u32 = (u32 & <uint32_t>0x807FFFFF) | 0x3F800000
        memcpy(&k, &k32, 4)
        memcpy(m, &u32, 4)
        return k - (<float>(8388608.0 + 127 + 24) if tiny else <float>(8388608.0 + 127))
    else:
        b = b*18014398509481984.0 if tiny else b                # 2**54
        memcpy(&u64, &b, 8)
        k64 = ((u64 >> 52) & 0x7FF) | <uint64_t>0x4330000000000000
        u64 = (u64 & <uint64_t>0x800FFFFFFFFFFFFF) | <uint64_t>0x3FF0000000000000
        memcpy(&k, &k64, 8)
        memcpy(m, &u64, 8)
        return k - ((4503599627370496.0 + 1023 + 54) if tiny else (4503599627370496.0 + 1023))


cdef inline real zero_bits(real _) noexcept nogil:
    """What split_exp's z is where the scale's bits are all zero."""
    if real is float:
        return <float>12582912.0
    else:
        return 6755399441055744.0


cdef inline real weighted_floor_of(real exponent) noexcept nogil:
    """floor_of, lower by the largest k there is: an argument there gives 0 with every weight."""
    if real is float:
        return (exponent - <float>(191 + 150))*<float>0.6931471805599453
    else:
        return (exponent - (1535 + 1100))*0.6931471805599453


cdef inline void max_weighted_lanes(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                    real *top) noexcept nogil:
    """top[j] is the largest of what it was and of a + k log(2) in column j."""
    cdef Py_ssize_t i, j
    cdef real best[LANES]
    cdef real v, m
    for j in range(lanes_of(a)):
        best[j] = top[j]
    for i in range(rows):
        for j in range(lanes_of(a)):
            v = a[i*ld + j] + split_weight(b[i*b_ld + j], &m)*<real>0.6931471805599453
            v = v if b[i*b_ld + j] != 0 else <real>-INFINITY
            best[j] = v if v > best[j] else best[j]
    for j in range(lanes_of(a)):
        top[j] = best[j]


cdef inline void sum_weighted_lanes(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                    const real *shift, const real *magic, const real *floor,
                                    double *sums, real *carries) noexcept nogil:
    """Add to sums[j] + carries[j] the weighted exponentials of column j."""
    cdef Py_ssize_t i, j
    cdef double s[LANES]
    cdef real carry[LANES]
    cdef real w, d, k, m, head, tail, scale
    for j in range(lanes_of(a)):
        s[j] = sums[j]
        carry[j] = carries[j]
    for i in range(rows):
        for j in range(lanes_of(a)):
            w = b[i*b_ld + j]
            k = split_weight(w, &m)
            d = (a[i*ld + j] - shift[j]) + (w - w)
            d = floor[j] if (w == 0) | (d < floor[j]) else d
            split_weighted_exp(d, magic[j], k, &head, &tail, &scale)
            add_weighted(&s[j], &carry[j], m, head, tail, scale)
    for j in range(lanes_of(a)):
        sums[j] = s[j]
        carries[j] = carry[j]


cdef inline void split_weighted_exp(real d, real magic, real k, real *head, real *tail, real *scale) noexcept nogil:
    """split_exp times 2**k."""
    cdef real z = d*<real>1.4426950408889634 + magic
    split_exp(d, magic, head, tail, scale)
    z += k
    scale[0] = power_of_low_bits(z if z > zero_bits(z) else zero_bits(z))


cdef inline void add_weighted(double *total, real *carry, real m, real head, real tail, real scale) noexcept nogil:
    cdef double product, error
    if real is float:                   # the product of two floats is a double
        total[0] += (<double>head*m)*scale
        carry[0] += tail*m*scale
    else:
        product = head*m
        error = product_error(head, m, product) + tail*m
        total[0] = two_sum(total[0], product*scale, &product)
        carry[0] += product + error*scale


cdef double special_sum(const real *a, const real *b, Py_ssize_t n, Py_ssize_t a_step,
                        Py_ssize_t b_step) noexcept nogil:
    """The weighted sum of exponentials of a column as far as it is not finite: inf, -inf, nan; or 0."""
    cdef Py_ssize_t i
    cdef double total = 0
    cdef real u, w
    for i in range(n):
        u, w = a[i*a_step], b[i*b_step]
        if w == 0:
            continue
        if u != u or u == INFINITY:
            total += <double>u*w
        elif w != w or magnitude(w) == INFINITY:
            total += w*(0 if u == -INFINITY else 1)
    return total


cdef void join_weighted(State *state, Py_ssize_t j, double total, double carry, const real *a, const real *b,
                        Py_ssize_t n, Py_ssize_t a_step, Py_ssize_t b_step) noexcept nogil:
    """Add a block's sum, taken against state.top[j], to column j; where that means nothing, what special_sum says."""
    if total == total and state.top[j] < INFINITY:
        join(state, j, total, carry, 0)
        return
    if state.count[j] == 0:             # the first of this kind: what came before is finite, and does not matter
        state.count[j] = 1
        state.rest[j] = 0
    state.top[j] = INFINITY
    state.rest[j] += special_sum(a, b, n, a_step, b_step)
    state.carry[j] = 0


cdef inline void weighted_shifts_of(real top, real *shift, real *magic, real *floor) noexcept nogil:
    cdef real exponent
    top = finite_reference(top)
    shift[0] = shift_of(top)
    exponent = exponent_of(remainder_of(top, shift[0]))
    magic[0] = magic_of(exponent)
    floor[0] = weighted_floor_of(exponent)


cdef inline void max_size_lanes(const real *b, Py_ssize_t ld, Py_ssize_t rows, real *top) noexcept nogil:
    """top[j] is the largest of what it was and of column j's magnitudes."""
    cdef Py_ssize_t i, j
    cdef real m[LANES]
    cdef real v
    for j in range(lanes_of(b)):
        m[j] = top[j]
    for i in range(rows):
        for j in range(lanes_of(b)):
            v = magnitude(b[i*ld + j])
            m[j] = v if v > m[j] else m[j]
    for j in range(lanes_of(b)):
        top[j] = m[j]


cdef inline void weighted(real d, real b, real magic, real *high, real *low) noexcept nogil:
    """b exp(d) in two parts, for a weight of moderate size."""
    cdef real head, tail, scale
    split_exp(d, magic, &head, &tail, &scale)
    scale *= b
    high[0] = head*scale
    low[0] = product_error(head, scale, high[0]) + tail*scale


cdef inline void add_signed(double *total, real *carry, real high, real low) noexcept nogil:
    cdef double error
    if real is float:
        total[0] += high
        carry[0] += low
    else:
        total[0] = two_sum(total[0], high, &error)
        carry[0] += error + low


cdef inline void sum_moderate_lanes(const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld, Py_ssize_t rows,
                                    const real *shift, const real *magic, const real *floor,
                                    double *sums, real *carries) noexcept nogil:
    """sum_weighted_lanes for weights of moderate size, and a top that is no less than any element."""
    cdef Py_ssize_t i, j
    cdef double s[LANES]
    cdef real carry[LANES]
    cdef real h0, l0, h1, l1, h2, l2, h3, l3
    for j in range(lanes_of(a)):
        s[j] = sums[j]
        carry[j] = carries[j]
    for i in range(rows//4):
        for j in range(lanes_of(a)):
            weighted(at_least(a[j] - shift[j], floor[j]), b[j], magic[j], &h0, &l0)
            weighted(at_least(a[ld + j] - shift[j], floor[j]), b[b_ld + j], magic[j], &h1, &l1)
            weighted(at_least(a[2*ld + j] - shift[j], floor[j]), b[2*b_ld + j], magic[j], &h2, &l2)
            weighted(at_least(a[3*ld + j] - shift[j], floor[j]), b[3*b_ld + j], magic[j], &h3, &l3)
            add_signed(&s[j], &carry[j], (h0 + h1) + (h2 + h3), (l0 + l1) + (l2 + l3))
        a += 4*ld
        b += 4*b_ld
    for i in range(rows % 4):
        for j in range(lanes_of(a)):
            weighted(at_least(a[i*ld + j] - shift[j], floor[j]), b[i*b_ld + j], magic[j], &h0, &l0)
            add_signed(&s[j], &carry[j], h0, l0)
    for j in range(lanes_of(a)):
        sums[j] = s[j]
        carries[j] = carry[j]


cdef inline real moderate(real _) noexcept nogil:
    """The largest weight that no scale can make overflow."""
    if real is float:
        return <float>1073741824.0                  # 2**30
    else:
        return 2.582249878086909e+120               # 2**400


cdef inline bint is_sound(double total, const State *state, Py_ssize_t j, real _) noexcept nogil:
    """Whether a sum, or what it is added to, is large beside all terms that may have vanished; no nan is."""
    cdef double limit
    if real is float:
        limit = 1.4551915228366852e-11              # 2**-36: 100 binades below the largest exponential
    else:
        limit = 1.2513128902733393e-147             # 2**-488: 1000 of them
    return total == total and magnitude(total) < INFINITY and (
        magnitude(total) >= limit or state.rest[j] != 0 and magnitude(state.rest[j]) >= limit)


cdef inline void spread_weighted_shifts(real top, real *shift, real *magic, real *floor) noexcept nogil:
    weighted_shifts_of(top, shift, magic, floor)
    spread(shift[0], shift)
    spread(magic[0], magic)
    spread(floor[0], floor)


cdef void reduce_weighted_row(State *state, const real *a, const real *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(a), block, rows, rest, j
    cdef double total, carry
    cdef real best, size
    cdef State trial
    cdef real tail[LANES]
    cdef real tail_b[LANES]
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    while n > 0:
        block = min_of(n, BLOCK_ROWS*width)
        rows = block//width
        rest = block - rows*width
        if rest:
            pad(a + rows*width, rest, tail)
            spread(<real>0, tail_b)
            for j in range(rest):
                tail_b[j] = b[rows*width + j]
        for j in range(width):
            sums[j] = 0
            carries[j] = 0

        # Nearly always the largest element serves as the reference, and weights can be multiplied as they are.
        spread(<real>0, top)
        max_size_lanes(b, width, rows, top)
        if rest:
            max_size_lanes(tail_b, width, 1, top)
        size = max_of_lanes(top)
        spread(<real>-INFINITY, top)
        max_lanes(a, width, rows, top)
        if rest:
            max_lanes(tail, width, 1, top)
        best = max_of_lanes(top)
        best = best if best > state.top[0] else <real>state.top[0]
        if size <= moderate(size) and magnitude(best) < INFINITY:
            trial.top[0], trial.rest[0], trial.carry[0] = state.top[0], state.rest[0], state.carry[0]
            trial.count[0] = state.count[0]
            move_top(&trial, 0, best)
            spread_shifts(best, shift, magic, floor)
            sum_moderate_lanes(a, width, b, width, rows, shift, magic, floor, sums, carries)
            if rest:
                sum_moderate_lanes(tail, width, tail_b, width, 1, shift, magic, floor, sums, carries)
            total = sum_of_lanes(sums, carries, &carry)
            if is_sound(total, &trial, 0, best):
                state.top[0], state.rest[0], state.carry[0] = trial.top[0], trial.rest[0], trial.carry[0]
                join(state, 0, total, carry, 0)
                a += block
                b += block
                n -= block
                continue
            for j in range(width):
                sums[j] = 0
                carries[j] = 0

        spread(<real>-INFINITY, top)
        max_weighted_lanes(a, width, b, width, rows, top)
        if rest:
            max_weighted_lanes(tail, width, tail_b, width, 1, top)
        move_top(state, 0, max_of_lanes(top))
        spread_weighted_shifts(<real>state.top[0], shift, magic, floor)
        sum_weighted_lanes(a, width, b, width, rows, shift, magic, floor, sums, carries)
        if rest:
            sum_weighted_lanes(tail, width, tail_b, width, 1, shift, magic, floor, sums, carries)
        total = sum_of_lanes(sums, carries, &carry)
        join_weighted(state, 0, total, carry, a, b, block, 1, 1)
        a += block
        b += block
        n -= block


cdef void reduce_weighted_tile(State *state, const real *a, Py_ssize_t ld, const real *b, Py_ssize_t b_ld,
                               Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(a), block, group, first, j
    cdef double total, carry
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    while rows > 0:
        block = min_of(rows, TILE_BYTES//(COLUMNS*sizeof(real)))
        for group in range((columns + width - 1)//width):
            first = group*width
            spread(<real>-INFINITY, top)
            max_weighted_lanes(a + first, ld, b + first, b_ld, block, top)
            for j in range(width):
                move_top(state, first + j, top[j])
            for j in range(width):
                weighted_shifts_of(<real>state.top[first + j], &shift[j], &magic[j], &floor[j])
                sums[j] = 0
                carries[j] = 0
            sum_weighted_lanes(a + first, ld, b + first, b_ld, block, shift, magic, floor, sums, carries)
            for j in range(width):
                total = two_sum(sums[j], carries[j], &carry)
                join_weighted(state, first + j, total, carry, a + first + j, b + first + j, block, ld, b_ld)
        a += block*ld
        b += block*b_ld
        rows -= block


cdef inline void finish_weighted(State *state, Py_ssize_t columns, real _) noexcept nogil:
    """log_sum is that of the sum over exp(shift); rest becomes the sum's sign."""
    cdef Py_ssize_t j
    cdef real top, shift
    cdef double total, low, size, exponent, value
    for j in range(columns):
        top = <real>state.top[j]
        shift = shift_of(top)
        exponent = exponent_of(remainder_of(top, shift))
        total = two_sum(state.rest[j], state.carry[j], &low)
        low = low if total > 0 else -low
        size = magnitude(total)
        if real is float:
            exponent -= 64
        else:
            exponent -= 512
        value = split_log(0, size, low, exponent, &low)
        state.log_sum[j] = value
        state.log_sum_low[j] = low
        state.rest[j] = total
        state.top[j] = shift


cdef void write_weighted(const State *state, Py_ssize_t columns, real *out, real *sign, bint signed) noexcept nogil:
    cdef Py_ssize_t j
    cdef double value, total
    for j in range(columns):
        total = state.rest[j]
        value = shifted(state.top[j], state.log_sum[j], state.log_sum_low[j])
        value = -INFINITY if total == 0 else INFINITY if magnitude(total) == INFINITY else value
        value = value if total >= 0 or (signed and total < 0) else <double>NAN
        out[j] = <real>value
        sign[j] = <real>(1 if total > 0 else -1 if total < 0 else total)


cdef void finish_weighted_logsumexp(State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef real unused[COLUMNS]
    finish_weighted(state, columns, <real>0)
    write_weighted(state, columns, out, sign if sign != NULL else unused, sign != NULL)


# From states without weights ----------------------------------------------------------------------------------------

cdef void weigh(State *state, Py_ssize_t columns, real _) noexcept nogil:
    """A state of logsumexp becomes one with weights, all of them 1: nothing is counted any more."""
    cdef Py_ssize_t j
    cdef real top
    cdef double total
    for j in range(columns):
        top = <real>state.top[j]
        total = state.rest[j] + state.carry[j]
        if top == INFINITY or total != total:
            state.rest[j] = total if total != total else INFINITY
            state.top[j], state.count[j], state.carry[j] = INFINITY, 1, 0
        elif top == -INFINITY:
            state.count[j] = state.rest[j] = state.carry[j] = 0
        else:
            raise_top(state, j, top)


cdef void weigh_f32(State *state, Py_ssize_t columns) noexcept nogil:
    weigh(state, columns, <float>0)


cdef void weigh_f64(State *state, Py_ssize_t columns) noexcept nogil:
    weigh(state, columns, <double>0)
