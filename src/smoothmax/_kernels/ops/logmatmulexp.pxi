# logmatmulexp
#
#     logmatmulexp(a, b)[i, j] = log(sum over p of exp(a[i, p] + b[p, j])),   k terms
#
# By a product of matrices:
#
#     P[i, j] = sum over p of 2**(s - N[i]) exp(a[i, p] - c[i]) 2**(s - M[j]) exp(b[p, j] - d[j])
#     (c[i] + d[j]) + log(P[i, j] 2**(N[i] + M[j] - 2s))
#
# where c[i] and N[i] are the shift and the exponent of the maximum of row i, d[j] and M[j] those of column j, and s is
# as large as possible without overflow in P. The caller multiplies.
#
# Error: (k + 8) u + 1 ULP of the result, u = 2**-53 (2**-24), if P is at least certified_above(): each exponential is
# within 1.8 u, the product adds k u, and underflow costs at most u of P (docs/numerics.md).
#
# Exactly: 2 ULP; where maximum and logarithm cancel, in ULP of the larger of the two. By terms:
# Worst inputs: 0.62 ULP at a = [-1.2626332504786038, 2.3505698229042027], b = [1.3948877652523266,
# -3.2692870762452237], float32 0.59 at a = [-0.43129376, -0.07007493], b = [-0.42007896, 0.25329396].
#
# 1. a + b = t + t': the rounded sum and its rounding error. m is the maximum of t.
# 2. Sum exp((t - m) + t') with the difference in two parts. Count the elements whose t is m, and add only their t'.
# 3. m + log(count + others), rounded once.

cdef inline real as_many(Py_ssize_t k, real _) noexcept nogil:
    """The smallest power of two above k."""
    cdef real power = 1
    while k > 0:
        power *= 2
        k //= 2
    return power


cdef inline real scale_exponent(Py_ssize_t k, real _) noexcept nogil:
    """s: so large that a sum of k products, each up to 2**(2s + 1), does not overflow."""
    cdef int left = 125 if real is float else 1021
    while k > 0:
        left -= 1
        k //= 2
    return <real>(left//2)


cdef inline real certified_above(Py_ssize_t k, real _) noexcept nogil:
    """The least P that has lost at most u P to underflow.

    Two kinds of terms may be lost: exponentials below 2**-1021 (2**-125), times another of at most 1.42 2**s, and
    products below 2**-1022 (2**-126), in case the processor flushes subnormal numbers. Together that is less than
    k 2**(s - 1019) (k 2**(s - 123)).
    """
    cdef double power = power_of_two(<double>scale_exponent(k, <real>0) - (99 if real is float else 966))
    return <real>(power*as_many(k, <double>0))


# The factors ----------------------------------------------------------------------------------------------------------

cdef inline void shift_of_factors(real maximum, real lowered_by, real *shift, real *exponent, real *round_bias,
                                  real *underflow_below) noexcept nogil:
    """The shift c and the exponent N of a maximum, for factors of up to 1.42 2**(OFFSET - lowered_by).

    Factors count down to 2**-1022 (2**-126), which is 1062 (131) below the maximum. So c is 0 up to 2100 (260) instead
    of NEAR. Beyond, x - c is a multiple of 2**-42 (2**-16) below 2**11 (2**8), and exact, as in math/shift.pxi.
    """
    cdef real near = <real>260 if real is float else <real>2100, c = shift_of(maximum)
    shift[0] = 0 if magnitude(maximum) <= near else c
    exponent[0] = exponent_of(remainder_of(maximum, shift[0]))
    round_bias[0] = round_bias_of(exponent[0] + lowered_by)
    underflow_below[0] = underflow_of(exponent[0] + lowered_by)


cdef inline void shifts_of_factors(const real *maximum, Py_ssize_t k, real *shift, real *exponent, real *round_bias,
                                   real *underflow_below) noexcept nogil:
    """shift_of_factors for the maxima of reductions of k elements."""
    cdef real lowered_by = offset(<real>0) - scale_exponent(k, <real>0)
    cdef Py_ssize_t j
    for j in range(lanes_of(maximum)):
        shift_of_factors(finite_reference(maximum[j]), lowered_by, &shift[j], &exponent[j], &round_bias[j],
                         &underflow_below[j])


cdef inline void factors_of_lanes(const real *x, const real *shift, const real *round_bias,
                                  const real *underflow_below, real *out) noexcept nogil:
    """2**(s - N) exp(x - c) within 0.9 ULP; 0 where it would be subnormal."""
    cdef Py_ssize_t j
    cdef real head, scale
    cdef real e[LANES]
    for j in range(lanes_of(x)):
        rounded_exp(at_least(x[j] - shift[j], underflow_below[j]), round_bias[j], &head, &scale)
        e[j] = head*scale
    for j in range(lanes_of(x)):
        out[j] = e[j]


cdef void factor_rows(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t k, real *out,
                      Py_ssize_t out_ld, real *shifts, real *exponents) noexcept nogil:
    """Rows of k contiguous elements. The shifts of several rows are found first, because each waits for its maximum."""
    cdef Py_ssize_t width = lanes_of(x), lane_rows = n//width, remaining = n - lane_rows*width, first, left, i, j
    cdef Py_ssize_t group = min_of(width, ROW_BLOCK_BYTES//(n*<Py_ssize_t>sizeof(real)) + 1)
    cdef real tail[LANES]
    cdef real maximum[LANES]
    cdef real shift[LANES]
    cdef real exponent[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    cdef real own_shift[LANES]
    cdef real own_bias[LANES]
    cdef real own_underflow[LANES]
    spread(<real>0, maximum)
    for first from 0 <= first < rows by group:
        left = min_of(rows - first, group)
        for i in range(left):
            maximum[i] = max_of_row(x + (first + i)*ld, n, tail)
        shifts_of_factors(maximum, k, shift, exponent, round_bias, underflow_below)
        unpad(shift, left, shifts + first)
        unpad(exponent, left, exponents + first)
        for i in range(left):
            spread(shift[i], own_shift)
            spread(round_bias[i], own_bias)
            spread(underflow_below[i], own_underflow)
            for j in range(lane_rows):
                factors_of_lanes(x + (first + i)*ld + j*width, own_shift, own_bias, own_underflow,
                                 out + (first + i)*out_ld + j*width)
            if remaining:
                pad(x + (first + i)*ld + lane_rows*width, remaining, tail)
                factors_of_lanes(tail, own_shift, own_bias, own_underflow, tail)
                unpad(tail, remaining, out + (first + i)*out_ld + lane_rows*width)


cdef void factor_columns(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t k, real *out,
                         Py_ssize_t out_ld, real *shifts, real *exponents) noexcept nogil:
    """n columns side by side."""
    cdef Py_ssize_t width = lanes_of(x), i, first, left
    cdef real tail[LANES]
    cdef real maximum[LANES]
    cdef real shift[LANES]
    cdef real exponent[LANES]
    cdef real round_bias[LANES]
    cdef real underflow_below[LANES]
    for first from 0 <= first < n by width:
        left = min_of(n - first, width)
        spread(<real>-INFINITY, maximum)
        if left == width:
            max_lanes(x + first, ld, rows, width, maximum)
        else:
            for i in range(rows):
                pad(x + first + i*ld, left, tail)
                max_lane_rows(tail, 1, maximum)
        shifts_of_factors(maximum, k, shift, exponent, round_bias, underflow_below)
        unpad(shift, left, shifts + first)
        unpad(exponent, left, exponents + first)
        for i in range(rows):
            if left == width:
                factors_of_lanes(x + first + i*ld, shift, round_bias, underflow_below, out + first + i*out_ld)
            else:
                pad(x + first + i*ld, left, tail)
                factors_of_lanes(tail, shift, round_bias, underflow_below, tail)
                unpad(tail, left, out + first + i*out_ld)


# The logarithms -------------------------------------------------------------------------------------------------------

cdef inline real log_of_product(real p, real exponent, real c, real d) noexcept nogil:
    """(c + d) + log(p 2**exponent) within 1.5 u and half an ULP; p is positive.

    c + d and the multiple of log(2) may be large and cancel, so their sum keeps its rounding error. c + d is exact
    below 2**60 (2**27); beyond, its error is at most half an ULP.
    """
    cdef real down, k, f, s, z, half, low, total, error
    normalise(p, &down, &k)
    k += exponent
    f = p*down - <real>1
    s = f/(<real>2 + f)
    z = s*s
    half = <real>0.5*f
    low = multiply_add(s, multiply_add(f, half, z*coarse_atanh_tail(z)), k*ln2_low(k))
    total = sum_in_two(c + d, k*ln2_high(k), &error)
    return total + ((f - multiply_add(f, half, -low)) + error)


cdef inline void logs_of_lanes(real *products, const real *row_shift, const real *row_exponent, const real *shifts,
                               const real *exponents, real exponent, real least, int *doubtful) noexcept nogil:
    """Replace products by results; `doubtful` is set for those that are not certified."""
    cdef Py_ssize_t j
    cdef real y[LANES]
    cdef bint certified
    for j in range(lanes_of(products)):
        certified = (products[j] >= least) & (magnitude(row_shift[j] + shifts[j]) < <real>INFINITY)
        doubtful[j] = 0 if certified else 1
        y[j] = log_of_product(products[j], (row_exponent[j] + exponents[j]) + exponent, row_shift[j], shifts[j])
    for j in range(lanes_of(products)):
        products[j] = y[j]


cdef inline Py_ssize_t list_doubtful(const int *doubtful, Py_ssize_t first, Py_ssize_t n, uint16_t *places,
                                     Py_ssize_t found) noexcept nogil:
    """Append the places that are set to a list of `found` places, and return its new length."""
    cdef Py_ssize_t j
    cdef int any_of_them = 0
    for j in range(LANES):
        any_of_them |= doubtful[j]
    if any_of_them:
        for j in range(n):
            if doubtful[j]:
                places[found] = <uint16_t>(first + j)
                found += 1
    return found


cdef Py_ssize_t log_products(real *products, Py_ssize_t n, Py_ssize_t k, const real *row_shift,
                             const real *row_exponent, const real *shifts, const real *exponents,
                             uint16_t *places) noexcept nogil:
    """Turn n products of a row into results, and list the places of those that the exact kernel must compute again."""
    cdef Py_ssize_t width = lanes_of(products), first, found = 0, left
    cdef real both = -2*scale_exponent(k, <real>0), least = certified_above(k, <real>0)
    cdef real tail[LANES]
    cdef real tail_shifts[LANES]
    cdef real tail_exponents[LANES]
    cdef real row_shifts[LANES]
    cdef real row_exponents[LANES]
    cdef int doubtful[LANES]
    spread(row_shift[0], row_shifts)
    spread(row_exponent[0], row_exponents)
    for first in range(LANES):
        doubtful[first] = 0
    for first from 0 <= first < n by width:
        left = n - first
        if left >= width:
            logs_of_lanes(products + first, row_shifts, row_exponents, shifts + first, exponents + first, both, least,
                          doubtful)
        else:
            pad_with(<real>1, products + first, left, tail)
            pad_with(<real>0, shifts + first, left, tail_shifts)
            pad_with(<real>0, exponents + first, left, tail_exponents)
            logs_of_lanes(tail, row_shifts, row_exponents, tail_shifts, tail_exponents, both, least, doubtful)
            unpad(tail, left, products + first)
        found = list_doubtful(doubtful, first, min_of(left, width), places, found)
    return found


# Table ----------------------------------------------------------------------------------------------------------------

cdef void fill_products(ProductKernels *kernels, real type_) noexcept:
    kernels.lanes = LANES_F32 if real is float else LANES_F64
    kernels.factor_rows = <Factor>factor_rows[real]
    kernels.factor_columns = <Factor>factor_columns[real]
    kernels.log_products = <LogProducts>log_products[real]
    kernels.transpose_back = <Transpose>transpose_back[real]
    kernels.multiply_block = <MultiplyBlock>multiply_block[real]
    kernels.multiply_stack = <MultiplyStack>multiply_stack[real]
    kernels.clear = clear_products
    kernels.max_of_products = <AddProducts>max_of_products[real]
    kernels.add_products = <AddProducts>add_products[real]
    kernels.share_maximum = share_maximum
    kernels.fold_lanes = fold_lanes
    kernels.finish = <FinishProducts>finish_products[real]
    kernels.clear_peaks = <ClearPeaks>clear_peaks[real]
    kernels.raise_peaks = <RaisePeaks>raise_peaks[real]
    kernels.factor_lane_rows = <FactorLaneRows>factor_lane_rows[real]
    kernels.add_factored = <AddFactored>add_factored[real]
    kernels.finish_factored = <FinishFactored>finish_factored[real]
    kernels.gather_lanes = <GatherLanes>gather_lanes[real]
    kernels.sum_factored_stack = <SumFactoredStack>sum_factored_stack[real]
