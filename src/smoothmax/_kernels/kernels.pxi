# The kernels: loops over rows and tiles, and the table that offers them. Included once by each variant's module.
#
# A row is read as a tile of as many columns as there are lanes, all with one shift, and the lanes are folded at the
# end; so there is one loop for the maxima, one for the sums and one for each result. Every loop over lanes has a
# constant number of turns and touches local arrays only: this is what the compiler vectorises.

from cpython.pycapsule cimport PyCapsule_New

from libc.math cimport ldexp

from smoothmax._kernels.table cimport (
    COLUMNS, Kernels, ReduceRow, ReduceTile, ReduceWeightedRow, ReduceWeightedTile, SoftmaxRow, SoftmaxTile, State, Table,
    WriteReduced, WriteRow, WriteTile, WriteWeighted,
)

include "arithmetic.pxi"

cdef enum:
    LANES_F32 = 32
    LANES_F64 = 16
    LANES = 32              # room for either
    PARTS = 8
    BLOCK_ROWS = 128        # of lanes: 16 KiB of a row are maximised, then summed, out of L1
    PART_ROWS = 16          # only the parts of a block that hold its top are summed with an eye on it
    TILE_BYTES = 16384      # the same of a tile


cdef inline Py_ssize_t lanes_of(const real *x) noexcept nogil:
    return LANES_F32 if real is float else LANES_F64


# Loops over lanes ----------------------------------------------------------------------------------------------------

cdef inline void max_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, real *top) noexcept nogil:
    """top[j] is the largest of what it was and of column j; nan is passed over."""
    cdef Py_ssize_t i, j
    cdef real m[LANES]
    for j in range(lanes_of(x)):
        m[j] = top[j]
    for i in range(rows):
        for j in range(lanes_of(x)):
            m[j] = x[i*ld + j] if x[i*ld + j] > m[j] else m[j]
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
    cdef real v0, v1, v2, v3, high, low, more, more_low
    for j in range(lanes_of(x)):
        s[j] = sums[j]
        carry[j] = carries[j]
        count[j] = counts[j]
    for i in range(rows//4):
        for j in range(lanes_of(x)):
            v0, v1, v2, v3 = x[j], x[ld + j], x[2*ld + j], x[3*ld + j]
            pair(drop(v0, top[j], shift[j], floor[j]), drop(v1, top[j], shift[j], floor[j]), magic[j], &high, &low)
            pair(drop(v2, top[j], shift[j], floor[j]), drop(v3, top[j], shift[j], floor[j]), magic[j], &more, &more_low)
            add(&s[j], &carry[j], high + more, low + more_low)
            count[j] += (one_if(v0 == top[j], v0) + one_if(v1 == top[j], v0)) + (
                one_if(v2 == top[j], v0) + one_if(v3 == top[j], v0))
        x += 4*ld
    for i in range(rows%4):
        for j in range(lanes_of(x)):
            v0 = x[i*ld + j]
            single(drop(v0, top[j], shift[j], floor[j]), magic[j], &high, &low)
            add(&s[j], &carry[j], high, low)
            count[j] += one_if(v0 == top[j], v0)
    for j in range(lanes_of(x)):
        sums[j] = s[j]
        carries[j] = carry[j]
        counts[j] = count[j]


cdef inline void sum_plain_lanes(const real *x, Py_ssize_t rows, real magic, real floor,
                                 double *sums, real *carries) noexcept nogil:
    """sum_lanes for contiguous rows, a multiple of four, that hold no top, and a shift of 0: the usual case."""
    cdef Py_ssize_t i, j, ld = lanes_of(x)
    cdef double s[LANES]
    cdef real carry[LANES]
    cdef real high, low, more, more_low
    for j in range(lanes_of(x)):
        s[j] = sums[j]
        carry[j] = carries[j]
    for i in range(rows//4):
        for j in range(lanes_of(x)):
            pair(at_least(x[j], floor), at_least(x[ld + j], floor), magic, &high, &low)
            pair(at_least(x[2*ld + j], floor), at_least(x[3*ld + j], floor), magic, &more, &more_low)
            add(&s[j], &carry[j], high + more, low + more_low)
        x += 4*ld
    for j in range(lanes_of(x)):
        sums[j] = s[j]
        carries[j] = carry[j]


cdef inline real at_least(real d, real floor) noexcept nogil:
    """The larger of the two; nan stays."""
    return floor if d < floor else d


cdef inline real drop(real v, real top, real shift, real floor) noexcept nogil:
    """The argument of exp for element v: floor, where exp is 0, for the top itself, which also spares inf - inf."""
    cdef real d = v - shift
    return floor if (v == top) | (d < floor) else d


cdef inline real one_if(bint condition, real _) noexcept nogil:
    return <real>1 if condition else <real>0


cdef inline void single(real d, real magic, real *high, real *low) noexcept nogil:
    cdef real head, tail, scale
    split_exp(d, magic, &head, &tail, &scale)
    high[0] = head*scale
    low[0] = tail*scale


cdef inline void pair(real d, real e, real magic, real *high, real *low) noexcept nogil:
    """The sum of two exponentials in two parts."""
    cdef real d_head, d_tail, d_scale, e_head, e_tail, e_scale
    split_exp(d, magic, &d_head, &d_tail, &d_scale)
    split_exp(e, magic, &e_head, &e_tail, &e_scale)
    high[0] = d_head*d_scale + e_head*e_scale
    low[0] = d_tail*d_scale + e_tail*e_scale


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


cdef inline void exp_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *shift, const real *magic,
                           const real *floor, bint keep, real *out, Py_ssize_t out_ld,
                           double *sums, real *carries) noexcept nogil:
    """Add the scaled exponentials of column j to sums[j] + carries[j]; if `keep`, also write them to `out`, rounded.

    The top is among them, so nothing far below 1 matters, and a lane that starts from twice the largest
    exponential is the larger in every addition: Dekker's sum needs no comparison, and float no double.
    """
    cdef Py_ssize_t i, j
    cdef real total[LANES]
    cdef real carry[LANES]
    cdef real e[LANES]
    cdef real head, tail, scale, rounded, result
    cdef double error
    for j in range(lanes_of(x)):
        total[j] = twice_largest(x[0])
        carry[j] = carries[j]
    for i in range(rows):
        for j in range(lanes_of(x)):
            split_exp(at_least(x[i*ld + j] - shift[j], floor[j]), magic[j], &head, &tail, &scale)
            rounded = head + tail
            e[j] = rounded*scale
            result = total[j] + e[j]
            carry[j] += (e[j] - (result - total[j])) + ((head - rounded) + tail)*scale
            total[j] = result
        if keep:
            for j in range(lanes_of(x)):
                out[i*out_ld + j] = e[j]
    for j in range(lanes_of(x)):
        sums[j] = two_sum(sums[j], total[j] - twice_largest(x[0]), &error)
        carries[j] = carry[j] + <real>error


cdef inline real twice_largest(real _) noexcept nogil:
    if real is float:
        return <float>3.6893488147419103e+19            # 2**(OFFSET + 1)
    else:
        return 2.6815615859885194e+154


cdef inline void scale_lanes(real *x, Py_ssize_t ld, Py_ssize_t rows,
                             const real *inverse, const real *inverse_low) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    for i in range(rows):
        for j in range(lanes_of(x)):
            y[j] = multiplied(x[i*ld + j], inverse[j], inverse_low[j])
        for j in range(lanes_of(x)):
            x[i*ld + j] = y[j]


cdef inline void softmax_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *shift, const real *magic,
                               const real *floor, const real *inverse, const real *inverse_low,
                               real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    cdef real d, e
    for i in range(rows):
        for j in range(lanes_of(x)):
            d = at_least(x[i*ld + j] - shift[j], floor[j])
            e = scaled_exp(d, magic[j])
            y[j] = multiplied(e, inverse[j], inverse_low[j])
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]


cdef inline void log_softmax_lanes(const real *x, Py_ssize_t ld, Py_ssize_t rows, const real *top,
                                   const real *log_sum, real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef real y[LANES]
    for i in range(rows):
        for j in range(lanes_of(x)):
            y[j] = (x[i*ld + j] - top[j]) - log_sum[j]
        for j in range(lanes_of(x)):
            out[i*out_ld + j] = y[j]


# Folding lanes -------------------------------------------------------------------------------------------------------

cdef inline void fold_max(real *top, Py_ssize_t half) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(half):
        top[j] = top[j + half] if top[j + half] > top[j] else top[j]


cdef inline void fold_sum(double *sums, double *carries, Py_ssize_t half) noexcept nogil:
    cdef Py_ssize_t j
    cdef double error
    for j in range(half):
        sums[j] = two_sum(sums[j], sums[j + half], &error)
        carries[j] += carries[j + half] + error


cdef inline real max_of_lanes(real *top) noexcept nogil:
    if real is float:
        fold_max(top, 16)
    fold_max(top, 8)
    fold_max(top, 4)
    fold_max(top, 2)
    fold_max(top, 1)
    return top[0]


cdef inline double sum_of_lanes(double *sums, const real *carries, double *carry) noexcept nogil:
    """The sum over the lanes, and in `carry` what rounding took from it."""
    cdef Py_ssize_t j
    cdef double c[LANES]
    for j in range(lanes_of(carries)):
        c[j] = carries[j]
    if real is float:
        fold_sum(sums, c, 16)
    fold_sum(sums, c, 8)
    fold_sum(sums, c, 4)
    fold_sum(sums, c, 2)
    fold_sum(sums, c, 1)
    return two_sum(sums[0], c[0], carry)


cdef inline void fold_count(real *counts, Py_ssize_t half) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(half):
        counts[j] += counts[j + half]


cdef inline double count_of_lanes(real *counts) noexcept nogil:
    if real is float:
        fold_count(counts, 16)
    fold_count(counts, 8)
    fold_count(counts, 4)
    fold_count(counts, 2)
    fold_count(counts, 1)
    return counts[0]


# The state -----------------------------------------------------------------------------------------------------------

cdef inline void exp_in_two(real d, real magic, double *high, double *low) noexcept nogil:
    """high + low = exp(d) 2**(OFFSET - N), high being the sum rounded."""
    cdef real head, tail, scale, rounded
    split_exp(d, magic, &head, &tail, &scale)
    rounded = head + tail
    high[0] = rounded*scale
    low[0] = ((head - rounded) + tail)*scale


cdef inline void split_top_exp(real top, double *p, double *p_low) noexcept nogil:
    """p + p_low = exp(top) as split_exp gives it to the elements of a row: 2**OFFSET times 0.7 to 1.42."""
    cdef real remainder = remainder_of(top, shift_of(top))
    exp_in_two(remainder, magic_of(exponent_of(remainder)), p, p_low)


cdef void rescale(State *state, Py_ssize_t j, real old, real top) noexcept nogil:
    """Take the sum of column j from the shift of `old` to that of `top`, the larger: nearly always by a power of two."""
    cdef real shift = shift_of(old), new_shift = shift_of(top)
    cdef double rest = state.rest[j], carry = state.carry[j]
    cdef double difference = <double>shift - <double>new_shift
    cdef double power, exponent, factor, factor_low
    if magnitude(old) == INFINITY or magnitude(top) == INFINITY or difference < -4096:
        state.rest[j] = rest*0          # nan stays
        state.carry[j] = 0
        return
    power = <double>exponent_of(old - shift) - <double>exponent_of(top - new_shift)
    if difference != 0:
        exponent = exponent_of(difference)
        exp_in_two(difference, magic_of(exponent), &factor, &factor_low)
        carry = carry*factor + rest*factor_low + product_error(rest, factor, rest*factor)
        rest *= factor
        power += exponent - 512
    power = power if power > -4096 else -4096
    state.rest[j] = ldexp(rest, <int>power)
    state.carry[j] = ldexp(carry, <int>power)


cdef inline void move_top(State *state, Py_ssize_t j, real top) noexcept nogil:
    """Let `top` be the reference of a column that counts nothing, if it is larger than the present one."""
    cdef real old = <real>state.top[j]
    if top > old:
        state.top[j] = top
        if state.rest[j] != 0:
            rescale(state, j, old, top)


cdef void raise_top(State *state, Py_ssize_t j, real top) noexcept nogil:
    """Let `top`, larger than all seen so far, be the reference of column j."""
    cdef real old = <real>state.top[j]
    cdef double p, p_low, product, error
    state.top[j] = top
    if state.count[j] == 0:             # nothing yet, or only nan, which stays in rest
        return
    split_top_exp(old, &p, &p_low)
    product = state.count[j]*p
    state.rest[j] = two_sum(state.rest[j], product, &error)
    state.carry[j] += error + product_error(state.count[j], p, product) + state.count[j]*p_low
    state.count[j] = 0
    rescale(state, j, old, top)


cdef inline void raise_tops(State *state, Py_ssize_t first, const real *top) noexcept nogil:
    """raise_top for each of the columns from `first` on that has a larger top now, at once where they are all new."""
    cdef Py_ssize_t j
    cdef int raised = 0, old = 0
    for j in range(lanes_of(top)):
        raised |= top[j] > state.top[first + j]
        old |= state.count[first + j] > 0
    if old and raised:
        for j in range(lanes_of(top)):
            if top[j] > state.top[first + j]:
                raise_top(state, first + j, top[j])
    elif raised:
        for j in range(lanes_of(top)):
            state.top[first + j] = top[j] if top[j] > state.top[first + j] else state.top[first + j]


cdef inline void join(State *state, Py_ssize_t j, double rest, double carry, double count) noexcept nogil:
    """Add a sum taken against state.top[j]."""
    cdef double error
    state.rest[j] = two_sum(state.rest[j], rest, &error)
    state.carry[j] += carry + error
    state.count[j] += count


cdef inline void shifts_of(real top, real *shift, real *magic, real *floor) noexcept nogil:
    cdef real exponent
    shift[0] = shift_of(top)
    exponent = exponent_of(remainder_of(top, shift[0]))
    magic[0] = magic_of(exponent)
    floor[0] = floor_of(exponent)


# Rows ----------------------------------------------------------------------------------------------------------------

cdef inline void spread(real value, real *lanes) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(lanes_of(lanes)):
        lanes[j] = value


cdef inline void pad(const real *x, Py_ssize_t n, real *lanes) noexcept nogil:
    """The last n elements of a row, with -inf to fill the lanes."""
    cdef int j, left = <int>n       # of the lanes' width, for a masked load
    for j in range(<int>lanes_of(x)):
        lanes[j] = x[j] if j < left else <real>-INFINITY


cdef inline void spread_shifts(real top, real *shift, real *magic, real *floor) noexcept nogil:
    shifts_of(top, shift, magic, floor)
    spread(shift[0], shift)
    spread(magic[0], magic)
    spread(floor[0], floor)


cdef void reduce_row(State *state, const real *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, rows, rest, first, part, k, j
    cdef double total, carry
    cdef real tail[LANES]
    cdef real part_top[PARTS][LANES]
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    while n > 0:
        block = n if n < BLOCK_ROWS*width else BLOCK_ROWS*width
        rows = block//width
        rest = block - rows*width
        spread(<real>-INFINITY, top)
        for k in range((rows + PART_ROWS - 1)//PART_ROWS):
            first = k*PART_ROWS
            spread(<real>-INFINITY, part_top[k])
            max_lanes(x + first*width, width, min_of(rows - first, PART_ROWS), part_top[k])
            for j in range(width):
                top[j] = part_top[k][j] if part_top[k][j] > top[j] else top[j]
        if rest:
            pad(x + rows*width, rest, tail)
            max_lanes(tail, width, 1, top)
        if max_of_lanes(top) > state.top[0]:
            raise_top(state, 0, top[0])
        spread(<real>state.top[0], top)
        spread_shifts(top[0], shift, magic, floor)
        for j in range(width):
            sums[j] = 0
            carries[j] = 0
            counts[j] = 0
        for k in range((rows + PART_ROWS - 1)//PART_ROWS):
            first = k*PART_ROWS
            part = min_of(rows - first, PART_ROWS)
            if part == PART_ROWS and shift[0] == 0 and not has(part_top[k], top[0]):
                sum_plain_lanes(x + first*width, part, magic[0], floor[0], sums, carries)
            else:
                sum_lanes(x + first*width, width, part, top, shift, magic, floor, sums, carries, counts)
        if rest:
            sum_lanes(tail, width, 1, top, shift, magic, floor, sums, carries, counts)
        total = sum_of_lanes(sums, carries, &carry)
        join(state, 0, total, carry, count_of_lanes(counts))
        x += block
        n -= block


cdef inline Py_ssize_t min_of(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline bint has(const real *lanes, real value) noexcept nogil:
    cdef Py_ssize_t j
    cdef int found = 0
    for j in range(lanes_of(lanes)):
        found |= lanes[j] == value
    return found


cdef void reduce_softmax_row(State *state, const real *x, Py_ssize_t n) noexcept nogil:
    """The sum of all exponentials, the top's too, in rest + carry."""
    cdef Py_ssize_t width = lanes_of(x), block, rows, rest, j
    cdef double total, carry
    cdef real tail[LANES]
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
        spread(<real>-INFINITY, top)
        max_lanes(x, width, rows, top)
        if rest:
            pad(x + rows*width, rest, tail)
            max_lanes(tail, width, 1, top)
        move_top(state, 0, max_of_lanes(top))
        spread_shifts(<real>state.top[0], shift, magic, floor)
        for j in range(width):
            sums[j] = 0
            carries[j] = 0
        exp_lanes(x, width, rows, shift, magic, floor, False, tail, width, sums, carries)
        if rest:
            exp_lanes(tail, width, 1, shift, magic, floor, False, tail, width, sums, carries)
        total = sum_of_lanes(sums, carries, &carry)
        join(state, 0, total, carry, 0)
        x += block
        n -= block


cdef void softmax_row(const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, block, done, j
    cdef double total, carry, block_carry, inverse, inverse_low, error
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    spread(<real>-INFINITY, top)
    max_lanes(x, width, rows, top)
    if rest:
        pad(x + rows*width, rest, tail)
        max_lanes(tail, width, 1, top)
    spread_shifts(max_of_lanes(top), shift, magic, floor)
    total = carry = 0
    done = 0
    while True:         # in blocks, so that a lane adds no more than BLOCK_ROWS floats to its carry
        block = rows - done if rows - done < BLOCK_ROWS else BLOCK_ROWS
        for j in range(width):
            sums[j] = 0
            carries[j] = 0
        exp_lanes(x + done*width, width, block, shift, magic, floor, True, out + done*width, width, sums, carries)
        done += block
        if done == rows and rest:
            exp_lanes(tail, width, 1, shift, magic, floor, True, tail, width, sums, carries)
        total = two_sum(total, sum_of_lanes(sums, carries, &block_carry), &error)
        carry += block_carry + error
        if done == rows:
            break
    invert(total, carry, &inverse, &inverse_low)
    split_inverse(inverse, inverse_low, scale, scale_low)
    spread(scale[0], scale)
    spread(scale_low[0], scale_low)
    scale_lanes(out, width, rows, scale, scale_low)
    if rest:
        scale_lanes(tail, width, 1, scale, scale_low)
        for j in range(rest):
            out[rows*width + j] = tail[j]


cdef void write_softmax_row(const State *state, const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef real tail[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    spread_shifts(<real>state.top[0], shift, magic, floor)
    split_inverse(state.inverse[0], state.inverse_low[0], scale, scale_low)
    spread(scale[0], scale)
    spread(scale_low[0], scale_low)
    softmax_lanes(x, width, rows, shift, magic, floor, scale, scale_low, out, width)
    if rest:
        pad(x + rows*width, rest, tail)
        softmax_lanes(tail, width, 1, shift, magic, floor, scale, scale_low, tail, width)
        for j in range(rest):
            out[rows*width + j] = tail[j]


cdef void write_log_softmax_row(const State *state, const real *x, Py_ssize_t n, real *out) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), rows = n//width, rest = n - rows*width, j
    cdef real tail[LANES]
    cdef real top[LANES]
    cdef real log_sum[LANES]
    spread(<real>state.top[0], top)
    spread(<real>state.log_sum[0], log_sum)
    log_softmax_lanes(x, width, rows, top, log_sum, out, width)
    if rest:
        pad(x + rows*width, rest, tail)
        log_softmax_lanes(tail, width, 1, top, log_sum, tail, width)
        for j in range(rest):
            out[rows*width + j] = tail[j]


# Tiles ---------------------------------------------------------------------------------------------------------------

cdef void reduce_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef double error
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real counts[LANES]
    while rows > 0:
        block = TILE_BYTES//(COLUMNS*sizeof(real))
        block = rows if rows < block else block
        for group in range((columns + width - 1)//width):
            first = group*width
            spread(<real>-INFINITY, top)
            max_lanes(x + first, ld, block, top)
            raise_tops(state, first, top)
            for j in range(width):
                top[j] = <real>state.top[first + j]
                shifts_of(top[j], &shift[j], &magic[j], &floor[j])
                sums[j] = 0
                carries[j] = 0
                counts[j] = 0
            sum_lanes(x + first, ld, block, top, shift, magic, floor, sums, carries, counts)
            for j in range(width):
                sums[j] = two_sum(sums[j], carries[j], &error)
                join(state, first + j, sums[j], error, counts[j])
        x += block*ld
        rows -= block


cdef void reduce_softmax_tile(State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows,
                              Py_ssize_t columns) noexcept nogil:
    """The sums of all exponentials, the tops' too, in rest + carry."""
    cdef Py_ssize_t width = lanes_of(x), block, group, first, j
    cdef double error
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
            max_lanes(x + first, ld, block, top)
            for j in range(width):
                move_top(state, first + j, top[j])
            for j in range(width):
                shifts_of(<real>state.top[first + j], &shift[j], &magic[j], &floor[j])
                sums[j] = 0
                carries[j] = 0
            exp_lanes(x + first, ld, block, shift, magic, floor, False, top, width, sums, carries)
            for j in range(width):
                sums[j] = two_sum(sums[j], carries[j], &error)
                join(state, first + j, sums[j], error, 0)
        x += block*ld
        rows -= block


cdef void softmax_tile(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                       real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef double inverse, inverse_low, error
    cdef real top[LANES]
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef double sums[LANES]
    cdef real carries[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        spread(<real>-INFINITY, top)
        max_lanes(x + first, ld, rows, top)
        for j in range(width):
            shifts_of(top[j], &shift[j], &magic[j], &floor[j])
            sums[j] = 0
            carries[j] = 0
        exp_lanes(x + first, ld, rows, shift, magic, floor, True, out + first, out_ld, sums, carries)
        for j in range(width):
            sums[j] = two_sum(sums[j], carries[j], &error)
            invert(sums[j], error, &inverse, &inverse_low)
            split_inverse(inverse, inverse_low, &scale[j], &scale_low[j])
        scale_lanes(out + first, out_ld, rows, scale, scale_low)


cdef void write_softmax_tile(const State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                             real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real shift[LANES]
    cdef real magic[LANES]
    cdef real floor[LANES]
    cdef real scale[LANES]
    cdef real scale_low[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            shifts_of(<real>state.top[first + j], &shift[j], &magic[j], &floor[j])
            split_inverse(state.inverse[first + j], state.inverse_low[first + j], &scale[j], &scale_low[j])
        softmax_lanes(x + first, ld, rows, shift, magic, floor, scale, scale_low, out + first, out_ld)


cdef void write_log_softmax_tile(const State *state, const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t columns,
                                 real *out, Py_ssize_t out_ld) noexcept nogil:
    cdef Py_ssize_t width = lanes_of(x), group, first, j
    cdef real top[LANES]
    cdef real log_sum[LANES]
    for group in range((columns + width - 1)//width):
        first = group*width
        for j in range(width):
            top[j] = <real>state.top[first + j]
            log_sum[j] = <real>state.log_sum[first + j]
        log_softmax_lanes(x + first, ld, rows, top, log_sum, out + first, out_ld)


# From states to results ----------------------------------------------------------------------------------------------

cdef inline void invert(double total, double low, double *inverse, double *inverse_low) noexcept nogil:
    """inverse + inverse_low = 1/(total + low)."""
    cdef double first = 1/total, product = first*total
    inverse[0] = first
    inverse_low[0] = ((1 - product) - product_error(first, total, product) - first*low)*first


cdef inline void split_inverse(double inverse, double inverse_low, real *high, real *low) noexcept nogil:
    high[0] = <real>inverse
    low[0] = <real>((inverse - high[0]) + inverse_low)


cdef inline void finish_log(State *state, Py_ssize_t columns, real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef double p, p_low, inverse, q, product, q_low
    for j in range(columns):
        split_top_exp(<real>state.top[j], &p, &p_low)
        inverse = 1/p
        q = state.rest[j]*inverse
        product = q*p
        q_low = ((state.rest[j] - product) - product_error(q, p, product) + (state.carry[j] - q*p_low))*inverse
        state.log_sum[j] = split_log(state.count[j], q, q_low, 0, &state.log_sum_low[j])


cdef inline void finish_softmax(State *state, Py_ssize_t columns, real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef double p, p_low, product, total, error
    for j in range(columns):
        split_top_exp(<real>state.top[j], &p, &p_low)
        product = state.count[j]*p
        total = two_sum(product, state.rest[j], &error)
        error += product_error(state.count[j], p, product) + state.count[j]*p_low + state.carry[j]
        invert(total, error, &state.inverse[j], &state.inverse_low[j])


cdef inline double shifted(double shift, double log_sum, double log_sum_low) noexcept nogil:
    """shift + log_sum, rounded once."""
    cdef double error, value = two_sum(shift, log_sum, &error)
    return value + (0 if magnitude(value) == INFINITY else error + log_sum_low)


cdef void write_logsumexp(const State *state, Py_ssize_t columns, real *out, real *sign) noexcept nogil:
    cdef Py_ssize_t j
    cdef double value
    for j in range(columns):
        value = shifted(state.top[j], state.log_sum[j], state.log_sum_low[j])
        out[j] = <real>value
        sign[j] = <real>(value if value != value else 0 if value == -INFINITY else 1)


# Weights -------------------------------------------------------------------------------------------------------------
#
# b = m 2**k with 1 <= abs(m) < 2. 2**k rides in the exponent beside N, and m multiplies the two parts of exp, so neither
# b nor exp(a) can overflow alone. The reference of a column is the largest a + k log(2), within log(2) of the largest
# a + log(abs(b)); terms may cancel, so every addition is compensated and no top is left out. A term of weight 0 is
# 0 whatever a is. A weight that is not finite turns its term into nan, and then special_sum decides what was meant.

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


cdef double special_sum(const real *a, const real *b, Py_ssize_t n, Py_ssize_t a_step, Py_ssize_t b_step) noexcept nogil:
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
    shift[0] = shift_of(top) if top != -INFINITY else 0     # -inf - -inf would pass for a term that is not finite
    exponent = exponent_of(remainder_of(top, shift[0])) if top != -INFINITY else 0
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
    for i in range(rows%4):
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


# Masks ---------------------------------------------------------------------------------------------------------------

cdef inline real chosen(real x, unsigned char mask, real fill) noexcept nogil:
    """x, or `fill` if the mask, 0 or 1, is 0. By bits: a choice between doubles by a byte does not vectorise."""
    cdef uint32_t x32, fill32, m32 = mask
    cdef uint64_t x64, fill64, m64 = mask
    if real is float:
        memcpy(&x32, &x, 4)
        memcpy(&fill32, &fill, 4)
        x32 = (x32 & (0 - m32)) | (fill32 & (m32 - 1))
        memcpy(&x, &x32, 4)
    else:
        memcpy(&x64, &x, 8)
        memcpy(&fill64, &fill, 8)
        x64 = (x64 & (0 - m64)) | (fill64 & (m64 - 1))
        memcpy(&x, &x64, 8)
    return x


cdef void select(const real *x, const unsigned char *mask, Py_ssize_t n, real fill, real *out) noexcept nogil:
    """out[i] is x[i], or `fill` where mask[i], 0 or 1, is 0; both may be the same memory."""
    cdef Py_ssize_t i, j, rest = n%LANES
    cdef real y[LANES]
    for i in range(n//LANES):
        for j in range(LANES):
            y[j] = chosen(x[j], mask[j], fill)
        for j in range(LANES):
            out[j] = y[j]
        x += LANES
        mask += LANES
        out += LANES
    for i in range(rest):
        out[i] = chosen(x[i], mask[i], fill)


cdef void select_f32(const void *x, const void *mask, Py_ssize_t n, double fill, void *out) noexcept nogil:
    select(<const float *>x, <const unsigned char *>mask, n, <float>fill, <float *>out)


cdef void select_f64(const void *x, const void *mask, Py_ssize_t n, double fill, void *out) noexcept nogil:
    select(<const double *>x, <const unsigned char *>mask, n, fill, <double *>out)


# The table -----------------------------------------------------------------------------------------------------------

cdef void finish_log_f32(State *state, Py_ssize_t columns) noexcept nogil:
    finish_log(state, columns, <float>0)


cdef void finish_log_f64(State *state, Py_ssize_t columns) noexcept nogil:
    finish_log(state, columns, <double>0)


cdef void finish_weighted_f32(State *state, Py_ssize_t columns) noexcept nogil:
    finish_weighted(state, columns, <float>0)


cdef void finish_weighted_f64(State *state, Py_ssize_t columns) noexcept nogil:
    finish_weighted(state, columns, <double>0)


cdef void finish_softmax_f32(State *state, Py_ssize_t columns) noexcept nogil:
    finish_softmax(state, columns, <float>0)


cdef void finish_softmax_f64(State *state, Py_ssize_t columns) noexcept nogil:
    finish_softmax(state, columns, <double>0)


cdef void fill(Kernels *kernels, const real *_) noexcept:
    kernels.reduce_row = <ReduceRow>reduce_row[real]
    kernels.reduce_tile = <ReduceTile>reduce_tile[real]
    if real is float:
        kernels.select = select_f32
        kernels.finish_log = finish_log_f32
        kernels.finish_weighted = finish_weighted_f32
        kernels.finish_softmax = finish_softmax_f32
    else:
        kernels.select = select_f64
        kernels.finish_log = finish_log_f64
        kernels.finish_weighted = finish_weighted_f64
        kernels.finish_softmax = finish_softmax_f64
    kernels.reduce_weighted_row = <ReduceWeightedRow>reduce_weighted_row[real]
    kernels.reduce_weighted_tile = <ReduceWeightedTile>reduce_weighted_tile[real]
    kernels.write_weighted = <WriteWeighted>write_weighted[real]
    kernels.reduce_softmax_row = <ReduceRow>reduce_softmax_row[real]
    kernels.reduce_softmax_tile = <ReduceTile>reduce_softmax_tile[real]
    kernels.write_logsumexp = <WriteReduced>write_logsumexp[real]
    kernels.write_softmax_row = <WriteRow>write_softmax_row[real]
    kernels.write_softmax_tile = <WriteTile>write_softmax_tile[real]
    kernels.write_log_softmax_row = <WriteRow>write_log_softmax_row[real]
    kernels.write_log_softmax_tile = <WriteTile>write_log_softmax_tile[real]
    kernels.softmax_row = <SoftmaxRow>softmax_row[real]
    kernels.softmax_tile = <SoftmaxTile>softmax_tile[real]


cdef Table TABLE
fill(&TABLE.f32, <const float *>NULL)
fill(&TABLE.f64, <const double *>NULL)
table = PyCapsule_New(&TABLE, "smoothmax._kernels", NULL)
