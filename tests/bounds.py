"""The promised largest errors, in ULP of the correctly rounded result. No other file states them."""

SOFTMAX = 2.0
LOG_SOFTMAX = 2.0
LOGSUMEXP = 1.5
LOGSUMEXP_MANY = 1.0  # of at least MANY elements
MANY = 1000
# Results that are halves are rounded once, from a number with some 18 digits:
HALF = 0.52  # the three, logsumexp_and_softmax, top_log_probs, log_prob, and losses of class targets, also their sums
HALF_GRADIENT = 0.55  # gradients of these losses
LOGMEANEXP = 2.0  # in ULP of the larger of the maximum and the logarithm of the mean
LOGMEANEXP_LEAST_FLOAT32 = 2.0**-20  # or of this number, if that is larger: float32 sums have 48 bits
LOGCUMSUMEXP = 1.5  # of every prefix
LOGMATMULEXP_ROUNDINGS = 8  # an absolute error of this many u and of one u for each summed term, u = eps/2;
LOGMATMULEXP = 1.0  # and this many ULP of the result
EXACT_LOGMATMULEXP = 2.0  # in ULP of the larger of the maximum and the logarithm if they cancel
LONGDOUBLE_LOGMATMULEXP = 4.0  # in the same unit
LOG_PROB = 2.0
LOSS = 2.0  # of a position with a class as its target
ELEMENTWISE = 1.5  # the ufuncs; in ULP of the largest of the result and its two terms
LONGDOUBLE_ELEMENTWISE = 3.0
SOFT_LOSS = 3.0  # for probabilities and smoothing that are not negative
REDUCED_LOSS = 4.0  # sums and means
EQUAL_LOSSES = 1.5  # sums and means of positions that all have the same loss
GRADIENT = 3.0  # with a class as its target; otherwise in ULP of the larger of its two terms
VJP = 3.0  # in ULP of the largest of the result and its two terms
LONGDOUBLE_LOGSUMEXP = 2.0
LONGDOUBLE_LOGMEANEXP = 4.0  # in ULP of the largest of the maximum and the two logarithms
LONGDOUBLE = 3.0  # softmax and log_softmax
COMPLEX = 4.0  # in eps of the unit that the docstrings describe


def bound(function: str, n: int) -> float:
    """The promised largest error of the function of this name, for a reduction of n elements."""
    if function == "logsumexp":
        return LOGSUMEXP_MANY if n >= MANY else LOGSUMEXP
    return {"softmax": SOFTMAX, "log_softmax": LOG_SOFTMAX}[function]
