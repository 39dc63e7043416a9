"""The ufuncs: arithmetic with numbers that are stored as their logarithms, element by element."""

from smoothmax._arrays.elementwise import make_ufunc

__all__ = ["log1mexp", "log1pexp", "log_expit", "logaddexp", "logsubexp"]

logaddexp = make_ufunc(
    "logaddexp",
    r"""The logarithm of a sum of two exponentials, ``log(exp(x1) + exp(x2))``.

    It adds two numbers that are stored as their logarithms. Like `numpy.logaddexp` it is a ufunc (`numpy.ufunc`), with
    the same arguments; it is several times as fast, and keeps the digits of results near 0.

    Parameters
    ----------
    x1, x2 : array_like of real numbers
        The logarithms. Their shapes are broadcast.
    out, where, casting, order, dtype, subok, signature
        As for every ufunc.

    Returns
    -------
    ndarray or scalar
        A scalar if both operands are. float16, float32, float64 and longdouble keep their type and are computed in it
        (float16 in float32); integers and booleans are computed in float64. NumPy casts bfloat16 to float32. -inf is
        the logarithm of 0; inf and inf give inf, and nan gives nan. The function never gives a floating-point
        warning.

    Raises
    ------
    TypeError
        Operands that are complex or not numeric.
    ValueError
        Shapes that do not broadcast.

    See Also
    --------
    logsubexp : the difference instead of the sum.
    logsumexp : the sum of any number of exponentials.
    log1pexp : the same for ``x2 = 0``.

    Notes
    -----
    With :math:`m` the larger operand, the result is :math:`m + \log(1 + \exp(-|x_1 - x_2|))`. The difference is
    computed in two parts, because rounding it would cost :math:`|x_1 - x_2|/2` ULP of the exponential. The largest
    error is 1.5 ULP; where :math:`m` and the logarithm cancel, in ULP of the larger of the two.

    ``logaddexp.reduce`` and ``logaddexp.accumulate`` exist, but they are slow and lose digits, because they round
    after every element. Call `logsumexp` and ``logcumsumexp`` instead.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import logaddexp
    >>> logaddexp(-1000.0, -1000.0)
    np.float64(-999.3068528194401)
    >>> logaddexp([0.0, 0.0], [-40.0, -np.inf])
    array([4.24835426e-18, 0.00000000e+00])
    >>> logaddexp([[0.0], [1.0]], [0.0, 1.0, 2.0])
    array([[0.69314718, 1.31326169, 2.12692801],
           [1.31326169, 1.69314718, 2.31326169]])
    """,
)

logsubexp = make_ufunc(
    "logsubexp",
    r"""The logarithm of a difference of two exponentials, ``log(exp(x1) - exp(x2))``.

    It subtracts two numbers that are stored as their logarithms: the probability between two values of a distribution
    function, for example. It is a ufunc (`numpy.ufunc`).

    Parameters
    ----------
    x1, x2 : array_like of real numbers
        The logarithms, `x2` at most `x1`. Their shapes are broadcast.
    out, where, casting, order, dtype, subok, signature
        As for every ufunc.

    Returns
    -------
    ndarray or scalar
        nan where `x1` is less than `x2`, -inf where they are equal, and `x1` where `x2` is -inf; inf and inf give nan,
        and nan gives nan. Types are those of `logaddexp`. The function never gives a floating-point warning.

    Raises
    ------
    TypeError
        Operands that are complex or not numeric.
    ValueError
        Shapes that do not broadcast.

    See Also
    --------
    logaddexp : the sum instead of the difference.
    logsumexp : sums of any number of terms, of either sign with ``b=``.
    log1mexp : the same for ``x1 = 0``.

    Notes
    -----
    The result is :math:`x_1 + \log(1 - \exp(x_2 - x_1))`, with the difference in two parts. Even operands that are one
    ULP apart lose no digit. The largest error is 1.5 ULP; where :math:`x_1` and the logarithm cancel, in ULP of the
    larger of the two.

    ``logsubexp.reduce`` and ``logsubexp.accumulate`` exist, but they are slow and lose digits, because they round after
    every element. Call `logsumexp` with weights of -1, or subtract the ``logcumsumexp`` of the other operands.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import logsubexp
    >>> logsubexp(1000.0, 999.0)
    np.float64(999.5413248546129)
    >>> logsubexp([0.0, 0.0, 0.0], [-1e-20, 0.0, 1.0])
    array([-46.05170186,         -inf,          nan])
    """,
)

log1mexp = make_ufunc(
    "log1mexp",
    r"""The logarithm of one minus an exponential, ``log(1 - exp(x))``, for `x` of at most 0.

    For the logarithm of a probability, it is the logarithm of the complementary probability. `x` is not positive, as in
    botorch and in SciPy's private function of this name. Texts and libraries that write ``log(1 - exp(-x))`` mean
    ``log1mexp(-x)``. It is a ufunc (`numpy.ufunc`).

    Parameters
    ----------
    x : array_like of real numbers
        The logarithms, at most 0.
    out, where, casting, order, dtype, subok, signature
        As for every ufunc.

    Returns
    -------
    ndarray or scalar
        nan where `x` is positive or nan; 0 gives -inf, and -inf gives -0. Types are those of `logaddexp`. The function
        never gives a floating-point warning.

    Raises
    ------
    TypeError
        An `x` that is complex or not numeric.

    See Also
    --------
    log1pexp : with plus instead of minus.
    logsubexp : the difference of two exponentials.

    Notes
    -----
    Where `x` is near 0, the result is the logarithm of ``-expm1(x)``, which keeps all digits of `x`; elsewhere it is
    ``log1p(-exp(x))`` [1]_. Both cases use the same operations on different numbers, without a branch. The largest
    error is 1.5 ULP.

    As for every ufunc of one operand, ``log1mexp.reduce`` and ``log1mexp.accumulate`` raise ValueError; for sums of
    exponentials call `logsumexp` or ``logcumsumexp``.

    References
    ----------
    .. [1] M. Maechler, "Accurately computing log(1 - exp(-\|a\|))", vignette of the R package Rmpfr, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import log1mexp
    >>> log1mexp([-1e-20, -1.0, -40.0])
    array([-4.60517019e+01, -4.58675145e-01, -4.24835426e-18])
    """,
)

log1pexp = make_ufunc(
    "log1pexp",
    r"""The logarithm of one plus an exponential, ``log(1 + exp(x))``: the softplus.

    It is a ufunc (`numpy.ufunc`).

    Parameters
    ----------
    x : array_like of real numbers
        The logarithms.
    out, where, casting, order, dtype, subok, signature
        As for every ufunc.

    Returns
    -------
    ndarray or scalar
        0 where `x` is -inf, inf where it is inf, nan where it is nan. Types are those of `logaddexp`. The function
        never gives a floating-point warning.

    Raises
    ------
    TypeError
        An `x` that is complex or not numeric.

    See Also
    --------
    log_expit : minus this function of ``-x``.
    log1mexp : with minus instead of plus.
    logaddexp : the sum of two exponentials.

    Notes
    -----
    The result is :math:`\max(x, 0) + \log(1 + \exp(-|x|))`. The largest error is 1.5 ULP, also of subnormal results.

    As for every ufunc of one operand, ``log1pexp.reduce`` and ``log1pexp.accumulate`` raise ValueError; for sums of
    exponentials call `logsumexp` or ``logcumsumexp``.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import log1pexp
    >>> log1pexp([-1000.0, -40.0, 0.0, 1000.0])
    array([0.00000000e+00, 4.24835426e-18, 6.93147181e-01, 1.00000000e+03])
    """,
)

log_expit = make_ufunc(
    "log_expit",
    r"""The logarithm of the logistic function, ``log(1/(1 + exp(-x)))``.

    It is a ufunc (`numpy.ufunc`), like `scipy.special.log_expit`.

    Parameters
    ----------
    x : array_like of real numbers
        The log-odds.
    out, where, casting, order, dtype, subok, signature
        As for every ufunc.

    Returns
    -------
    ndarray or scalar
        -inf where `x` is -inf, -0. where it is inf, nan where it is nan. Types are those of `logaddexp`. The function
        never gives a floating-point warning.

    Raises
    ------
    TypeError
        An `x` that is complex or not numeric.

    See Also
    --------
    log1pexp : minus this function of ``-x``.
    log_softmax : the same for more than two classes.

    Notes
    -----
    The result is :math:`\min(x, 0) - \log(1 + \exp(-|x|))`. The largest error is 1.5 ULP, also of subnormal results.

    As for every ufunc of one operand, ``log_expit.reduce`` and ``log_expit.accumulate`` raise ValueError; for sums of
    exponentials call `logsumexp` or ``logcumsumexp``.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import log_expit
    >>> log_expit([-1000.0, 0.0, 40.0])
    array([-1.00000000e+03, -6.93147181e-01, -4.24835426e-18])
    """,
)
