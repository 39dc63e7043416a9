# The loops: over the rows of a tile that is as wide as there are lanes. Each has a constant number of turns inside and
# touches local arrays only: this is what the compiler vectorises.
#
# A block of a row, or of a tile of softmax, is read for its largest element first, as fast as it comes from memory,
# and then summed, which waits for arithmetic; other tiles are read once. So while one is summed the next is fetched:
# `ahead` elements further on, or none if that is 0. 2026-11, rows beyond the cache: 0.7 to 0.8 of the time of
# logsumexp, 0.9 of that of softmax. Columns, whose next lanes lie beside these: see lanes_beside.

cdef extern from * nogil:
    """
    #if defined(__GNUC__)
    #define SMOOTHMAX_FETCH(p) __builtin_prefetch(p)
    #define SMOOTHMAX_FETCH_L2(p) __builtin_prefetch(p, 0, 2)
    #define SMOOTHMAX_FETCH_ROOM(p) __builtin_prefetch(p, 1)
    #else
    #define SMOOTHMAX_FETCH(p)
    #define SMOOTHMAX_FETCH_L2(p)
    #define SMOOTHMAX_FETCH_ROOM(p)
    #endif
    """
    void fetch_line "SMOOTHMAX_FETCH"(const void *p)
    void fetch_line_l2 "SMOOTHMAX_FETCH_L2"(const void *p)
    void fetch_room "SMOOTHMAX_FETCH_ROOM"(const void *p)


cdef inline Py_ssize_t lanes_of(const real *x) noexcept nogil:
    return LANES_F32 if real is float else LANES_F64


cdef inline Py_ssize_t min_of(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline void fetch(const real *x, Py_ssize_t n) noexcept nogil:
    """n elements that will be read soon, as those before them are; they need not exist.

    Wherever they begin, n elements end in as many lines as they fill, and only begin in one that those before end in.
    """
    cdef Py_ssize_t j, line = CACHE_LINE_BYTES//<Py_ssize_t>sizeof(real)
    for j from 0 <= j < n by line:
        fetch_line(x + j + line - 1)


cdef inline void fetch_l2(const real *x, Py_ssize_t n) noexcept nogil:
    """fetch, where L1 has no room: columns with weights took 1.02 to 1.15 times as long (2026-11)."""
    cdef Py_ssize_t j, line = CACHE_LINE_BYTES//<Py_ssize_t>sizeof(real)
    for j from 0 <= j < n by line:
        fetch_line_l2(x + j + line - 1)


cdef inline void fetch_to_write(const real *out, Py_ssize_t n) noexcept nogil:
    """Where n results will go soon."""
    cdef Py_ssize_t j, line = CACHE_LINE_BYTES//<Py_ssize_t>sizeof(real)
    for j from 0 <= j < n by line:
        fetch_room(out + j + line - 1)


cdef inline Py_ssize_t next_rows(Py_ssize_t rows, Py_ssize_t ld, real _) noexcept nogil:
    """`ahead` of rows of a tile; none of those that share a few sets of a cache, where they would evict each other."""
    return 0 if ld*<Py_ssize_t>sizeof(real) % UNFETCHED_STRIDE_BYTES == 0 else rows


cdef inline Py_ssize_t lanes_beside(const real *x, Py_ssize_t ld, Py_ssize_t rows) noexcept nogil:
    """`ahead` of the next lanes of the same rows, where these are many and far apart: more than a processor foresees.

    2026-11, five runs, of (32, 100, 3136), axis 1: logsumexp takes 0.33 to 0.65 (float64 0.39 to 0.49) of the time, its
    loss 0.37 to 0.63 (0.34 to 0.49), log_softmax 0.5 to 0.7, softmax 0.8 to 1.07; of (50, 20000), axis 0, 0.91 to 1
    (0.88 to 1), log_softmax 0.57 to 0.65 (0.66 to 0.86), softmax 0.96 to 1.03 (0.82 to 0.85).
    """
    if rows <= COLUMN_PREFETCH_MIN_ROWS or rows*ld*<Py_ssize_t>sizeof(real) <= COLUMN_PREFETCH_MIN_BYTES:
        return 0
    return next_rows(lanes_of(x), ld, x[0])


cdef inline void prefetch_below(const real *x, Py_ssize_t ld, const real *out, Py_ssize_t out_ld,
                                Py_ssize_t rows) noexcept nogil:
    """The row so many below, which this tile writes after those beside it have had their turn; it need not exist.

    2026-11, log_softmax of (4096, 4096), axis 0: 0.75 of the time, softmax 0.86 to 0.97.
    """
    fetch_to_write(out + rows*out_ld, lanes_of(x))
    fetch(x + rows*ld, lanes_of(x))


cdef inline real larger(real a, real b) noexcept nogil:
    """b if either is nan."""
    return a if a > b else b


cdef inline void max_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, real *top) noexcept nogil:
    """top[j] is the largest of what it was and of column j; a nan may hide elements of its column, whose sum is nan.

    Four rows at a time where they follow each other, so that few maxima wait for the last one: rows in cache take 0.92
    to 0.98 of the time (2026-11), but columns up to 1.1.
    """
    cdef Py_ssize_t i, j, fours = rows//4 if ld == lanes_of(x) else 0
    cdef real m[LANES]
    for j in range(lanes_of(x)):
        m[j] = top[j]
    for i in range(fours):
        for j in range(lanes_of(x)):
            m[j] = larger(larger(larger(x[j], x[ld + j]), larger(x[2*ld + j], x[3*ld + j])), m[j])
        x += 4*ld
    for i in range(rows - 4*fours):
        for j in range(lanes_of(x)):
            m[j] = larger(x[i*ld + j], m[j])
    for j in range(lanes_of(x)):
        top[j] = m[j]


cdef inline void sum_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *top, const real *shift,
                           const real *magic, const real *floor,
                           double *sums, real *carries, real *counts) noexcept nogil:
    """Add to sums[j] + carries[j] the exponentials of column j but top[j]'s, and to counts[j] how many equal that."""
    cdef Py_ssize_t i, j
    cdef double s[LANES]
    cdef real carry[LANES]
    cdef real count[LANES]
    cdef real v, unused, taken, lost
    for j in range(lanes_of(x)):
        s[j] = sums[j]
        carry[j] = carries[j]
        count[j] = counts[j]
    for i in range(rows):
        for j in range(lanes_of(x)):
            v = x[i*ld + j]
            take_term(drop(v, top[j], shift[j], floor[j]), magic[j], EXACT, &unused, &taken, &lost)
            add(&s[j], &carry[j], taken, lost)
            count[j] += one_if(v == top[j], v)
    for j in range(lanes_of(x)):
        sums[j] = s[j]
        carries[j] = carry[j]
        counts[j] = count[j]


cdef inline void sum_row_lanes(const real *x, Py_ssize_t rows, bint near, Terms terms, bint keep, real shift,
                               real magic, real floor, Py_ssize_t ahead, real *out, real *totals, double *carries,
                               double *carries_low) noexcept nogil:
    """Add the scaled exponentials of contiguous rows to totals[j] + carries[j]; `near` where the shift is 0.

    totals[j] starts from a bias that is larger than any term, and so is the larger in every addition:
    Dekker's sum needs no comparison then, and float no double. If `keep`, the exponentials go to `out`, rounded; else
    that, unless it is NULL, is where something will be written soon. Only rounded terms go four rows at a time: with
    stores that takes 1.03 to 1.12 times as long (2026-11), and without them the sum must be the same.
    """
    cdef Py_ssize_t i, j, block, fours, ld = lanes_of(x)
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real e[LANES]
    cdef real low0, low1, low2, low3, unused
    for j in range(lanes_of(x)):
        total[j] = totals[j]
    while rows > 0:     # a carry takes only so many
        block = min_of(rows, 4*quads_of(x) if terms == ROUNDED else CARRY_ROWS)
        fours = block//4 if terms == ROUNDED else 0
        rows -= block
        for j in range(lanes_of(x)):
            carry[j] = 0
        for i in range(fours):
            if ahead:
                fetch(x + ahead, 4*ld)
            if not keep and out != NULL:
                fetch_to_write(out, 4*ld)
                out += 4*ld
            for j in range(lanes_of(x)):
                add_biased(&total[j], argument(x[j], near, shift, floor), magic, terms, &unused, &low0)
                add_biased(&total[j], argument(x[ld + j], near, shift, floor), magic, terms, &unused, &low1)
                add_biased(&total[j], argument(x[2*ld + j], near, shift, floor), magic, terms, &unused, &low2)
                add_biased(&total[j], argument(x[3*ld + j], near, shift, floor), magic, terms, &unused, &low3)
                carry[j] += (low0 + low1) + (low2 + low3)
            x += 4*ld
        for i in range(block - 4*fours):
            if terms != ROUNDED and ahead:
                fetch(x + ahead, ld)
            for j in range(lanes_of(x)):
                add_biased(&total[j], argument(x[j], near, shift, floor), magic, terms, &e[j], &low0)
                carry[j] += low0
            if keep:
                for j in range(lanes_of(x)):
                    out[j] = e[j]
                out += ld
            x += ld
        for j in range(lanes_of(x)):
            add_low(&carries[j], &carries_low[j], carry[j])
    for j in range(lanes_of(x)):
        totals[j] = total[j]


cdef inline Py_ssize_t quads_of(const real *x) noexcept nogil:
    """A float carries few: a double holds its sums as they are."""
    return CARRY_QUADS_F32 if real is float else CARRY_QUADS_F64


cdef inline real argument(real v, bint near, real shift, real floor) noexcept nogil:
    """Of exp, for element v."""
    return at_least(v if near else v - shift, floor)


cdef inline void sum_below_top_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, bint near, Terms terms,
                                     const real *shift, const real *magic, const real *floor, Py_ssize_t ahead,
                                     const real *out, Py_ssize_t out_ld, real *top, real *totals,
                                     real *carries) noexcept nogil:
    """Keep the larger of top[j] and the next element, and add the exponential of the other: all but the largest's.

    One reading, nothing counted or taken out, and no digit lost where the top is far above all others. What up to 2048
    rows leave is held by one carry. `near` where all shifts are 0; results will be written to `out` soon, unless out_ld
    is 0. Two rounded terms may not be added before the total takes them: losses were 2.2 ULP off then (2026-11). Two
    rows at a time, which GCC does by itself where nothing is fetched: float64 takes 0.95 of the time, float32 0.97.
    """
    cdef Py_ssize_t i, j
    cdef real largest[LANES]
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real low0, low1
    for j in range(lanes_of(x)):
        largest[j] = top[j]
        total[j] = 0
        carry[j] = 0
    for i in range(rows//2):
        if ahead:
            fetch(x + ahead, lanes_of(x))
            fetch(x + ahead + ld, lanes_of(x))
        if out_ld:
            fetch_to_write(out, lanes_of(x))
            fetch_to_write(out + out_ld, lanes_of(x))
            out += 2*out_ld
        for j in range(lanes_of(x)):
            add_below_top(&largest[j], &total[j], x[j], near, shift[j], magic[j], floor[j], terms, &low0)
            add_below_top(&largest[j], &total[j], x[ld + j], near, shift[j], magic[j], floor[j], terms, &low1)
            carry[j] += low0 + low1
        x += 2*ld
    if rows % 2:
        if out_ld:
            fetch_to_write(out, lanes_of(x))
        for j in range(lanes_of(x)):
            add_below_top(&largest[j], &total[j], x[j], near, shift[j], magic[j], floor[j], terms, &low0)
            carry[j] += low0
    for j in range(lanes_of(x)):
        top[j] = largest[j]
        totals[j] = total[j]
        carries[j] = carry[j]


cdef inline void add_below_top(real *largest, real *total, real v, bint near, real shift, real magic, real floor,
                               Terms terms, real *low) noexcept nogil:
    """Keep the larger of `largest` and v, and add the exponential of the other."""
    cdef real less = largest[0] if v > largest[0] else v, unused, taken, lost
    largest[0] = larger(v, largest[0])
    take_term(argument(less, near, shift, floor), magic, terms, &unused, &taken, &lost)
    add_either(total, taken, low)
    if terms != ROUNDED:
        low[0] += lost


cdef inline void add_either(real *total, real term, real *low) noexcept nogil:
    """Add a term that may be the larger; low is what the total does not take."""
    cdef real result = total[0] + term
    cdef real large = total[0] if total[0] > term else term
    cdef real small = term if total[0] > term else total[0]
    low[0] = small - (result - large)
    total[0] = result


cdef inline void take_term(real d, real magic, Terms terms, real *e, real *taken, real *lost) noexcept nogil:
    """exp(d): e is rounded, and taken + lost what goes into a sum.

    e as (head + tail)*scale is the same number where any digit of it counts, but keeps one more in a register: with 16
    of them, softmax took 1.1 to 1.4 times as long (2026-11).
    """
    cdef real head, tail, scale, high
    if terms == ROUNDED:
        rounded_exp(d, magic, &head, &scale)
        e[0] = taken[0] = head*scale
        lost[0] = 0
        return
    split_exp(d, magic, &head, &tail, &scale)
    high = head*scale
    e[0] = fused(tail, scale, high)
    if terms == EXACT:
        taken[0] = e[0]
        lost[0] = fused(tail, scale, high - e[0])
    else:
        taken[0] = high
        lost[0] = tail*scale


cdef inline void add_biased(real *total, real d, real magic, Terms terms, real *e, real *low) noexcept nogil:
    """Add exp(d) to a total that is larger; low is what the total does not take, and e is exp(d), rounded."""
    cdef real taken, lost, result
    take_term(d, magic, terms, e, &taken, &lost)
    result = total[0] + taken
    low[0] = taken - (result - total[0])
    if terms != ROUNDED:
        low[0] += lost
    total[0] = result


cdef inline real bias_for(real largest, real magic, real floor) noexcept nogil:
    """A power of two of at least twice exp(largest) as split_exp scales it; 0 if that vanishes."""
    return 4*power_of_low_bits(at_least(largest, floor)*<real>1.4426950408889634 + magic)


cdef inline real at_least(real d, real floor) noexcept nogil:
    """The larger of the two; nan stays."""
    return floor if d < floor else d


cdef inline real drop(real v, real top, real shift, real floor) noexcept nogil:
    """The argument of exp for element v: floor, where exp is 0, for the top itself, which also spares inf - inf."""
    cdef real d = v - shift
    return floor if (v == top) | (d < floor) else d


cdef inline real one_if(bint condition, real _) noexcept nogil:
    return <real>1 if condition else <real>0


cdef inline void add(double *total, real *carry, real high, real low) noexcept nogil:
    """Add high + low to total + carry; both sums are positive, so the larger is known to come first in Dekker's sum."""
    cdef double large, small, result
    if real is float:
        total[0] += high
        carry[0] += low
    else:
        large = total[0] if total[0] > high else high
        small = high if total[0] > high else total[0]
        result = large + small
        carry[0] += (small - (result - large)) + low
        total[0] = result


cdef inline void add_low(double *carry, double *carry_low, real low) noexcept nogil:
    """Add to a carry; a double of it holds what floats give, but not what doubles do."""
    cdef double error
    if real is float:
        carry[0] += low
    else:
        carry[0] = two_sum(carry[0], low, &error)
        carry_low[0] += error


cdef inline void exp_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *shift, const real *magic,
                           const real *floor, bint keep, Py_ssize_t ahead, real *out, Py_ssize_t out_ld,
                           double *sums, real *carries) noexcept nogil:
    """Add the scaled exponentials of column j to sums[j] + carries[j]; if `keep`, also write them to `out`, rounded.

    The top is among them, so nothing far below 1 matters, and a lane that starts from twice the largest
    exponential is the larger in every addition: Dekker's sum needs no comparison, and float no double.
    """
    cdef Py_ssize_t i, j
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real e[LANES]
    cdef real head, tail, scale, high, result
    cdef double error
    cdef Py_ssize_t block
    for j in range(lanes_of(x)):
        total[j] = 2*scaled_one(x[0])
    while rows > 0:     # as in sum_row_lanes: a carry takes only so many
        block = rows if rows < CARRY_ROWS else CARRY_ROWS
        for j in range(lanes_of(x)):
            carry[j] = 0
        for i in range(block):
            if ahead:
                fetch(x + ahead + i*ld, lanes_of(x))
            for j in range(lanes_of(x)):
                split_exp(at_least(x[i*ld + j] - shift[j], floor[j]), magic[j], &head, &tail, &scale)
                high = head*scale
                result = total[j] + high
                carry[j] += (high - (result - total[j])) + tail*scale
                total[j] = result
                e[j] = fused(tail, scale, high)
            if keep:
                for j in range(lanes_of(x)):
                    out[i*out_ld + j] = e[j]
        for j in range(lanes_of(x)):
            if real is float:
                sums[j] += carry[j]
            else:
                sums[j] = two_sum(sums[j], carry[j], &error)
                carries[j] += error
        x += block*ld
        out += block*out_ld
        rows -= block
    for j in range(lanes_of(x)):
        sums[j] = two_sum(sums[j], total[j] - 2*scaled_one(x[0]), &error)
        carries[j] += <real>error


cdef inline void drop_in_two(real v, real top, real floor, bint without_top, real *d, real *low) noexcept nogil:
    """v - top rounded, and what that lost; floor, where exp is 0, also for the top itself if it is left out."""
    cdef real drop_ = v - top, seen = drop_ - v, lost = (v - (drop_ - seen)) - (top + seen)
    cdef bint is_none = (v == top) | (drop_ < floor) if without_top else drop_ < floor
    d[0] = floor if is_none else drop_
    low[0] = 0 if is_none else lost


cdef inline void add_drop(real *total, real v, real top, real magic, real floor, bint without_top, real *e,
                          real *low) noexcept nogil:
    """Add exp(v - top) within 2**-28 (2**-57) of it; a total that the top is in is the larger, another may be not.

    By add_either, GCC takes 1.05 to 1.15 times as long for the same (2026-11).
    """
    cdef real d, d_low, head, tail, scale, result, large, small
    drop_in_two(v, top, floor, without_top, &d, &d_low)
    split_exp_of_two(d, d_low, magic, &head, &tail, &scale)
    head *= scale
    result = total[0] + head
    if without_top:
        large = total[0] if total[0] > head else head
        small = head if total[0] > head else total[0]
    else:
        large, small = total[0], head
    low[0] = (small - (result - large)) + tail*scale
    e[0] = fused(tail, scale, head)
    total[0] = result


cdef inline void sum_drops_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *top, bint without_top,
                                 bint keep, Py_ssize_t ahead, real *out, Py_ssize_t out_ld, real *totals,
                                 real *carries, real *counts) noexcept nogil:
    """totals[j] + carries[j] becomes the sum of exp(v - top[j]) over column j, times 2**OFFSET.

    The difference has two parts: so there is no shift, which would make of exp(top) another number than 1, to be
    divided by in the end; that costs few rows more than their exponentials. The top may be left out, and is counted
    then. If `keep`, all exponentials go to `out`, rounded.
    """
    cdef Py_ssize_t i, j, block
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real count[LANES]
    cdef real e0[LANES]
    cdef real e1[LANES]
    cdef double carry_sum[LANES]
    cdef real low0, low1
    cdef real magic = magic_of(<real>0), floor = floor_of(<real>0), one = scaled_one(x[0])
    cdef real bias = 0 if without_top else 2*one
    cdef bint few = rows <= CARRY_ROWS
    for j in range(lanes_of(x)):
        total[j] = bias
        count[j] = 0
        carry_sum[j] = 0
    while True:         # a carry takes only so many; its sum is 7 % of the whole and needs no carry of its own
        block = rows if rows < CARRY_ROWS else CARRY_ROWS
        rows -= block
        for j in range(lanes_of(x)):
            carry[j] = 0
        for i in range(block//2):
            if ahead:
                fetch(x + ahead, lanes_of(x))
                fetch(x + ahead + ld, lanes_of(x))
            for j in range(lanes_of(x)):
                add_drop(&total[j], x[j], top[j], magic, floor, without_top, &e0[j], &low0)
                add_drop(&total[j], x[ld + j], top[j], magic, floor, without_top, &e1[j], &low1)
                carry[j] += low0 + low1
                if without_top:
                    count[j] += one_if(x[j] == top[j], x[j]) + one_if(x[ld + j] == top[j], x[j])
            if keep:
                for j in range(lanes_of(x)):
                    out[j] = one if without_top and x[j] == top[j] else e0[j]
                    out[out_ld + j] = one if without_top and x[ld + j] == top[j] else e1[j]
                out += 2*out_ld
            x += 2*ld
        if block % 2:
            for j in range(lanes_of(x)):
                add_drop(&total[j], x[j], top[j], magic, floor, without_top, &e0[j], &low0)
                carry[j] += low0
                if without_top:
                    count[j] += one_if(x[j] == top[j], x[j])
            if keep:
                for j in range(lanes_of(x)):
                    out[j] = one if without_top and x[j] == top[j] else e0[j]
                out += out_ld
            x += ld
        if few:
            break
        for j in range(lanes_of(x)):
            carry_sum[j] += carry[j]
        if rows == 0:
            for j in range(lanes_of(x)):
                carry[j] = <real>carry_sum[j]
            break
    for j in range(lanes_of(x)):
        totals[j] = total[j] - bias
        carries[j] = carry[j]
        counts[j] = count[j]


cdef inline real scaled_one(real _) noexcept nogil:
    """2**OFFSET; an exponential of at most 1, or of 1.42 where it has a shift, is less than twice that."""
    if real is float:
        return <float>1.8446744073709552e+19
    else:
        return 1.3407807929942597e+154


cdef inline real without_offset(real scaled) noexcept nogil:
    """An exponential as it is."""
    if real is float:
        return scaled*<float>5.421010862427522e-20      # 2**-OFFSET
    else:
        return scaled*7.458340731200207e-155


cdef inline void scale_lanes(const real *e, Py_ssize_t ld, Py_ssize_t rows, const real *powers, const real *inverse,
                             const real *inverse_low, const real *one_above, real *out,
                             Py_ssize_t out_ld) noexcept nogil:
    """Exponentials over their sums; `out` may be `e`.

    Unless `powers` is NULL, times those powers of two first: that rounds only what is 0 in the end. one_above is NULL
    where nothing can come out above 1: the top's exponential is 2**OFFSET and the sum no less.
    """
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real v
    for i in range(rows):
        for j in range(lanes_of(e)):
            v = e[i*ld + j]
            if powers != NULL:
                v *= powers[j]
            v = probability(v, inverse[j], inverse_low[j])
            y[j] = v if one_above == NULL else saturated(v, one_above[j])
        for j in range(lanes_of(e)):
            out[i*out_ld + j] = y[j]


cdef inline real saturated(real y, real one_above) noexcept nogil:
    return <real>1 if y > one_above else y


cdef inline void softmax_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *shift, const real *magic,
                               const real *floor, const real *inverse, const real *inverse_low,
                               const real *one_above, real *out, Py_ssize_t out_ld,
                               Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real d, e
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(lanes_of(x)):
            d = at_least(x[i*ld + j] - shift[j], floor[j])
            e = scaled_exp(d, magic[j])
            y[j] = saturated(probability(e, inverse[j], inverse_low[j]), one_above[j])
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]


cdef inline void log_softmax_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *top,
                                   const real *log_sum, real *out, Py_ssize_t out_ld,
                                   Py_ssize_t prefetch_rows) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    for i in range(rows):
        if prefetch_rows:
            prefetch_below(x + i*ld, ld, out + i*out_ld, out_ld, prefetch_rows)
        for j in range(lanes_of(x)):
            y[j] = (x[i*ld + j] - top[j]) - log_sum[j]
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]
