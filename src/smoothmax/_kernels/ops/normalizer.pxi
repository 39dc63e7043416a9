# From a PartialSum to the numbers that results need: the logarithm of the sum, and its reciprocal, both in two parts.
#
#     log_sum = log(count + others/p),      so logsumexp = maximum + log_sum, log_softmax = (x - maximum) - log_sum
#     inverse = 1/(count p + others),       so softmax = scaled exponential * inverse

cdef inline void invert(real total, real low, real *inverse, real *inverse_low) noexcept nogil:
    """inverse + inverse_low = 1/(total + low)."""
    cdef real first = <real>1/total, product = first*total
    inverse[0] = first
    inverse_low[0] = ((<real>1 - product) - product_error(first, total, product) - first*low)*first


cdef inline void split_inverse(double inverse, double inverse_low, real *high, real *low) noexcept nogil:
    """The two parts of a factor in the type of the elements."""
    high[0] = <real>inverse
    low[0] = <real>((inverse - high[0]) + inverse_low)


cdef inline double log_sum_of(real maximum, Scaling scaling, double count, double others, double others_low,
                              double *low) noexcept nogil:
    """log(count + (others + others_low)/p), and in `low` the rounding error; one double is enough for float."""
    cdef double p, p_low, inverse, q, product
    scaled_exp_of_maximum(maximum, scaling, &p, &p_low)
    inverse = 1/p
    if real is float:
        low[0] = 0
        return short_log(count,
                         (others + others_low)*inverse if scaling == FROM_MAXIMUM
                         else (others + others_low)/(p + p_low))
    elif scaling == FROM_MAXIMUM:
        return split_log(count, others*inverse, others_low*inverse, <double>0, low)
    else:
        q = others*inverse
        product = q*p
        p_low = ((others - product) - product_error(q, p, product) + (others_low - q*p_low))*inverse
        return split_log(count, q, p_low, <double>0, low)


cdef inline void log_sums_of(State *state, Py_ssize_t columns, Scaling scaling, real _) noexcept nogil:
    cdef Py_ssize_t j
    cdef const PartialSum *sum = &state.sum.partial
    cdef double others, others_low, low
    for j in range(columns):
        # After many merges, others_low is no longer small beside others.
        others = two_sum(sum.others[j], sum.others_low[j], &others_low)
        state.normalizer.log_sum[j] = log_sum_of(<real>sum.maximum[j], scaling, sum.count[j], others, others_low, &low)
        state.normalizer.log_sum_low[j] = low


cdef inline real log_of_scaled(real count, real total, real carry, real *low) noexcept nogil:
    """log(count + (total + carry)/2**OFFSET), and in `low` the rounding error."""
    cdef real error, unscaled = <real>1/scaled_one(total), high = sum_with_smaller(total, carry, &error)
    return split_log(count, high*unscaled, error*unscaled, <real>0, low)


cdef inline real saturates_above_of(real maximum, Scaling scaling, double total, double low) noexcept nogil:
    """The limit above which probabilities are 1: 0.75 where the sum is only the maximum, otherwise inf.

    The exponential of a single element is rounded and its reciprocal is not, so their product might miss 1 by an ULP.
    """
    cdef double p, p_low, others, limit
    scaled_exp_of_maximum(maximum, scaling, &p, &p_low)
    others = (total - p) + (low - p_low)
    if real is float:
        limit = 1.4901161193847656e-08          # 2**-26
    else:
        limit = 2.7755575615628914e-17          # 2**-55
    return <real>0.75 if others <= limit*total else <real>INFINITY


cdef inline double scaled_total(const State *state, Py_ssize_t j, Scaling scaling, double *low, real _) noexcept nogil:
    """The scaled sum, including the maximum; nan where no element is finite, or one is inf."""
    cdef const PartialSum *sum = &state.sum.partial
    cdef double p, p_low, product, error, total
    scaled_exp_of_maximum(<real>sum.maximum[j], scaling, &p, &p_low)
    product = sum.count[j]*p
    total = two_sum(product, sum.others[j], &error)
    error += product_error(sum.count[j], p, product) + sum.count[j]*p_low + sum.others_low[j]
    total = two_sum(total, error, low)
    return total if magnitude(sum.maximum[j]) < INFINITY else <double>NAN


cdef inline void probability_factors(State *state, Py_ssize_t columns, Scaling scaling, real type_) noexcept nogil:
    """The reciprocal of each sum, for operations that count the maximum instead of summing it."""
    cdef Py_ssize_t j
    cdef double total, low
    cdef const PartialSum *sum = &state.sum.partial
    for j in range(columns):
        total = scaled_total(state, j, scaling, &low, type_)
        invert(total, low, &state.normalizer.inverse[j], &state.normalizer.inverse_low[j])
        state.normalizer.saturates_above[j] = saturates_above_of(<real>sum.maximum[j], scaling, total, low)
