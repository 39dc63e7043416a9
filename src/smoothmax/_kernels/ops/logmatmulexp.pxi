# logmatmulexp
#
#     logmatmulexp(a, b)[i, j] = log(sum over p of exp(a[i, p] + b[p, j])),   k terms
#
# By a product of matrices:     P[i, j] = sum over p of 2**s exp(a[i, p] - row[i]) 2**s exp(b[p, j] - column[j])
#                               (row[i] + column[j]) + log(P[i, j] 2**-2s)
# where row and column are the maxima, and s is as large as possible without overflow in P. The caller multiplies.
#
# Error: (k + 8) u + 1 ULP of the result, u = 2**-53 (2**-24), if P is at least certified_above(): each exponential is
# within 1.3 u, the product adds k u, and underflow costs at most u of P (docs/numerics.md).
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
    """s: so large that a sum of k products, each up to 2**2s, does not overflow."""
    cdef int left = 126 if real is float else 1022
    while k > 0:
        left -= 1
        k //= 2
    return <real>(left//2)


cdef inline real certified_above(Py_ssize_t k, real _) noexcept nogil:
    """The least P that has lost at most u P to underflow.

    Two kinds of terms may be lost: exponentials below 2**-1021 (2**-125), times another of at most 2**s, and products
    below 2**-1022 (2**-126), in case the processor flushes subnormal numbers. Together that is less than k 2**(s -
    1019) (k 2**(s - 123)).
    """
    cdef double power = power_of_two(<double>scale_exponent(k, <real>0) - (99 if real is float else 966))
    return <real>(power*as_many(k, <double>0))


# The factors ----------------------------------------------------------------------------------------------------------

cdef inline real scaled_factor(real v, real maximum, real round_bias, real underflow_below) noexcept nogil:
    """2**s exp(v - maximum), rounded once; 0 where it would be subnormal."""
    cdef real d, low, head, tail, scale
    difference_in_two(v, maximum, underflow_below, WITH_MAXIMUM, &d, &low)
    split_exp_of_two(d, low, round_bias, &head, &tail, &scale)
    return (head + tail)*scale


cdef inline void factors_of_lanes(const real *x, const real *maximum, real round_bias, real underflow_below,
                                  real *out) noexcept nogil:
    cdef Py_ssize_t j
    cdef real e[LANES]
    for j in range(lanes_of(x)):
        e[j] = scaled_factor(x[j], maximum[j], round_bias, underflow_below)
    for j in range(lanes_of(x)):
        out[j] = e[j]


cdef void factor_rows(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t k, real *out,
                      Py_ssize_t out_ld, real *maxima) noexcept nogil:
    """Rows of k contiguous elements, each divided by the exponential of its maximum."""
    cdef Py_ssize_t width = lanes_of(x), i, j, lane_rows = n//width, remaining = n - lane_rows*width
    cdef real exponent = offset(<real>0) - scale_exponent(k, <real>0)
    cdef real round_bias = round_bias_of(exponent), underflow_below = underflow_of(exponent)
    cdef real tail[LANES]
    cdef real maximum[LANES]
    for i in range(rows):
        maxima[i] = max_of_row(x, n, tail)
        spread(finite_reference(maxima[i]), maximum)
        for j in range(lane_rows):
            factors_of_lanes(x + j*width, maximum, round_bias, underflow_below, out + j*width)
        if remaining:
            factors_of_lanes(tail, maximum, round_bias, underflow_below, tail)
            unpad(tail, remaining, out + lane_rows*width)
        x += ld
        out += out_ld


cdef void factor_columns(const real *x, Py_ssize_t ld, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t k, real *out,
                         Py_ssize_t out_ld, real *maxima) noexcept nogil:
    """n columns side by side, each divided by the exponential of its maximum."""
    cdef Py_ssize_t width = lanes_of(x), i, j, first
    cdef real exponent = offset(<real>0) - scale_exponent(k, <real>0)
    cdef real round_bias = round_bias_of(exponent), underflow_below = underflow_of(exponent)
    cdef real tail[LANES]
    cdef real maximum[LANES]
    for first from 0 <= first < n by width:
        spread(<real>-INFINITY, maximum)
        if n - first >= width:
            max_lanes(x + first, ld, rows, width, maximum)
        else:
            for i in range(rows):
                pad(x + first + i*ld, n - first, tail)
                max_lane_rows(tail, 1, maximum)
        unpad(maximum, min_of(n - first, width), maxima + first)
        for j in range(width):
            maximum[j] = finite_reference(maximum[j])
        for i in range(rows):
            if n - first >= width:
                factors_of_lanes(x + first + i*ld, maximum, round_bias, underflow_below, out + first + i*out_ld)
            else:
                pad(x + first + i*ld, n - first, tail)
                factors_of_lanes(tail, maximum, round_bias, underflow_below, tail)
                unpad(tail, n - first, out + first + i*out_ld)


# The logarithms -------------------------------------------------------------------------------------------------------

cdef inline void logs_of_lanes(real *products, const real *rows, const real *columns, real exponent, real least,
                               int *doubtful) noexcept nogil:
    """Replace products by results; `doubtful` is set for those that are not certified."""
    cdef Py_ssize_t j
    cdef real y[LANES]
    cdef real total, error, low, log_product
    cdef bint certified
    for j in range(lanes_of(products)):
        total = sum_in_two(rows[j], columns[j], &error)
        certified = (products[j] >= least) & (magnitude(total) < <real>INFINITY)
        doubtful[j] = 0 if certified else 1
        log_product = split_log(<real>0, products[j], <real>0, exponent, &low)
        low += error
        total = sum_in_two(total, log_product, &error)
        y[j] = total + (error + low)
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


cdef Py_ssize_t log_products(real *products, Py_ssize_t n, Py_ssize_t k, const real *row, const real *columns,
                             uint16_t *places) noexcept nogil:
    """Turn n products of a row into results, and list the places of those that the exact kernel must compute again."""
    cdef Py_ssize_t width = lanes_of(products), first, found = 0, left
    cdef real exponent = -2*scale_exponent(k, <real>0), least = certified_above(k, <real>0)
    cdef real tail[LANES]
    cdef real tail_columns[LANES]
    cdef real rows[LANES]
    cdef int doubtful[LANES]
    spread(row[0], rows)
    for first in range(LANES):
        doubtful[first] = 0
    for first from 0 <= first < n by width:
        left = n - first
        if left >= width:
            logs_of_lanes(products + first, rows, columns + first, exponent, least, doubtful)
        else:
            pad_with(<real>1, products + first, left, tail)
            pad_with(<real>0, columns + first, left, tail_columns)
            logs_of_lanes(tail, rows, tail_columns, exponent, least, doubtful)
            unpad(tail, left, products + first)
        found = list_doubtful(doubtful, first, min_of(left, width), places, found)
    return found


# Table ----------------------------------------------------------------------------------------------------------------

cdef void fill_products(ProductKernels *kernels, real type_) noexcept:
    kernels.lanes = LANES_F32 if real is float else LANES_F64
    kernels.factor_rows = <Factor>factor_rows[real]
    kernels.factor_columns = <Factor>factor_columns[real]
    kernels.log_products = <LogProducts>log_products[real]
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
