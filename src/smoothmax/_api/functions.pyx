"""logsumexp, logmeanexp, softmax and log_softmax: signatures and documentation. _arrays/call.pyx computes them."""

import sys

cimport numpy as cnp
import numpy as np

from smoothmax._kernels.interface cimport LOG_SOFTMAX, SOFTMAX
from smoothmax._arrays.call cimport MEAN, SUM, adjustment_of, reduce_array, transform_array

__all__ = ["log_softmax", "logmeanexp", "logsumexp", "softmax"]

cnp.import_array()


cdef inline bint is_plain(object array) noexcept:
    """Whether an argument is certainly not a dask array."""
    return (array is None or array is True or type(array) is cnp.ndarray or type(array) is float
            or type(array) is int or type(array) is list)


cdef object lazy_functions(object a, object b, object where, object out, object add=None):
    """smoothmax.dask if an argument is a dask array, else None.

    This does not import Dask, because a program that has such an array has imported it.
    """
    if is_plain(a) and is_plain(b) and is_plain(where) and is_plain(add):
        return None
    array = getattr(sys.modules.get("dask.array"), "Array", None)
    if array is None or not (isinstance(a, array) or isinstance(b, array) or isinstance(where, array)
                             or isinstance(add, array)):
        return None
    if out is not None:
        raise TypeError("out must be None for a dask array, whose results are those of smoothmax.dask, got "
                        f"{type(out).__name__}")
    from smoothmax import dask

    return dask


cdef object libraries_of(object x):
    """The module that handles arrays of other libraries, if x is one of these; None for all other arguments.

    It is imported only when such an object is passed. The types of most arguments are known here.
    """
    if type(x) is cnp.ndarray or isinstance(x, (np.ndarray, np.generic, list, tuple, int, float, complex)):
        return None
    from smoothmax._arrays import libraries

    return libraries if libraries.is_foreign(x) else None


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False, *, where=True, out=None, dtype=None, scale=1.0,
              add=None):
    r"""Logarithm of the sum of exponentials, without overflow.

    Parameters
    ----------
    a : array_like, any shape
        The numbers to exponentiate, add and take the logarithm of.
    axis : None, int or tuple of ints, optional
        The axes to sum over: all (None, the default), one, or several. With ``()`` nothing is summed.
    b : array_like, optional
        Weights of the exponentials, broadcast with `a`, of either sign. A bool is refused, because `keepdims` was
        probably meant. An element of weight 0 is dropped, even if it is inf or nan. `b` takes part in the promotion of
        types, a Python number only by its kind. But weights are never rounded to a type that does not have their range:
        float32 elements may have weights of 1e-60.
    keepdims : bool, optional
        Keep the reduced axes in the result, with length 1.
    return_sign : bool, optional
        Also return the sign of the sum. Without it a negative sum gives nan.
    where : array_like of bool, optional
        The elements that take part, broadcast with `a`.
    out : ndarray, optional
        Where to put the result: an array of exactly its shape, any layout, of a dtype that the result can be cast to
        by the rule ``same_kind``. It may overlap `a`. The result is cast from the type of the computation: a float32
        `out` of float16 input is not rounded to float16.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, by default the type of `a`, or the one that `a` and `b` promote
        to as in NumPy, and float64 if that is an integer or bool. float16 and bfloat16 (of ml_dtypes) are computed in
        float32; with weights of a wider type, the computation has that type.
    scale : number, optional
        A factor of `a`: 1/temperature, or -1 for energies. It is rounded to the type of the computation, which does not
        depend on the type of `scale`.
    add : array_like, optional
        Numbers to add to the products, broadcast with `a` both ways: dual variables, biases, free energies. `add` takes
        part in the promotion of types like `b`.

    Returns
    -------
    ndarray or scalar
        ``log(sum(b*exp(a*scale + add), axis))``, or `out`; with `return_sign`, the pair of ``log(abs(sum))`` and the
        sum's sign, which for complex `a` is a complex number of size 1. Without any element the result is -inf; any nan
        gives nan, and otherwise any +inf gives inf. A result without axes is a NumPy scalar, unless `out` is given. For
        a dask array the result is a dask array; see `smoothmax.dask`. Tensors of PyTorch, objects of pandas and xarray,
        and arrays of the array API standard give results of their kind.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `a` does not have.
    ValueError
        An axis given twice; shapes that do not broadcast, or to a size that overflows; an `out` of another shape, or
        one that is read-only; an integer or a `scale` beyond the range of float64.
    TypeError
        An `axis`, `dtype`, `scale` or `out` of the wrong kind; a masked array or one with units; an array that is not
        numeric; a complex `scale` of real numbers.
    MemoryError
        No memory for the result.

    See Also
    --------
    softmax : the gradient of this function.

    Notes
    -----
    With :math:`m` the largest element, :math:`\operatorname{logsumexp}(a) = m + \log(k + r)`, where :math:`k` counts
    the elements equal to :math:`m` and :math:`r` is the sum of :math:`\exp(a_i - m)` over the others; so a result near
    0 keeps its digits. The function reads memory once, in blocks that stay in the first-level cache. The sum is
    compensated, so the error does not grow with the number of elements.

    The largest error is 1.5 ULP, and 1 ULP for 1000 elements or more; where :math:`m` and the logarithm cancel, in ULP
    of the larger of the two. With `b` the error is up to 1.5 ULP of the largest of the result, `a` and log(abs(b)), and
    more where terms cancel; a result near 0 keeps fewer digits than without weights. Reference [1]_ analyses what can
    go wrong.

    With `scale` or `add` the result is that of the call on the array ``a*scale + add``, with the product and the sum
    rounded as by NumPy in the type of the computation. But no such array is made: elements are adjusted one block at a
    time. The bits are the same if that array has the layout of `a`.

    longdouble and complex numbers are computed by plain NumPy, with temporaries of several times the input's size. The
    largest error of longdouble is 2 ULP, counted in the same way. For complex numbers let :math:`\kappa` be the sum of
    the sizes of all terms, divided by the size of their sum. The real part is wrong by at most 4 eps times the largest
    of :math:`|m|`, log(abs(b)), the result and :math:`\kappa - 1`, the angle by at most 4 eps times :math:`\kappa`.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions",
       IMA Journal of Numerical Analysis 41(4), 2021, :doi:`10.1093/imanum/draa038`.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import logsumexp
    >>> logsumexp([1000.0, 1000.0])
    np.float64(1000.6931471805599)
    >>> logsumexp(np.array([[0.0, -40.0], [3.0, 3.0]]), axis=1)
    array([4.24835426e-18, 3.69314718e+00])
    >>> logsumexp([1.0, 2.0], b=[1.0, -1.0], return_sign=True)
    (np.float64(1.5413248546129181), np.float64(-1.0))

    A step of Sinkhorn's iteration for optimal transport, with the costs C and the dual variables v; and one of MBAR's
    equations for free energies f, with the reduced energies u of n samples of each state:

    >>> C, v, reg = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.0, 0.5]), 0.5
    >>> logsumexp(C, axis=1, scale=-1/reg, add=v)
    array([0.20141328, 0.57888973])
    >>> u, f, n = np.array([[0.0, 1.0, 4.0], [4.0, 1.0, 0.0]]), np.zeros(2), np.array([1, 2])
    >>> logsumexp(u, axis=0, scale=-1, add=f[:, None], b=n[:, None])
    array([0.0359763 , 0.09861229, 0.70226332])
    """
    if not (is_plain(a) and is_plain(b) and is_plain(where) and is_plain(add)):
        lazy = lazy_functions(a, b, where, out, add)
        if lazy is not None:
            return lazy.logsumexp(a, axis, b, keepdims, return_sign, where=where, dtype=dtype, scale=scale, add=add)
        libraries = libraries_of(a)
        if libraries is not None:
            return libraries.call(logsumexp, libraries.REDUCED, "a", a, axis, {
                "b": b, "keepdims": keepdims, "return_sign": return_sign, "where": where, "out": out, "dtype": dtype,
                "scale": scale, "add": add})
    return reduce_array(SUM, a, axis, b, keepdims, return_sign, where, out, dtype, adjustment_of(scale, add))


def logmeanexp(a, axis=None, b=None, keepdims=False, *, where=True, out=None, dtype=None, scale=1.0, add=None):
    r"""Logarithm of the mean of exponentials, without overflow: `logsumexp` minus the logarithm of the count.

    Parameters
    ----------
    a : array_like, any shape
        The numbers to exponentiate, average and take the logarithm of.
    axis : None, int or tuple of ints, optional
        The axes to average over: all (None, the default), one, or several. With ``()`` nothing is averaged.
    b : array_like, optional
        Weights of the exponentials, broadcast with `a`, as in `logsumexp`. The sum is then divided by that of the
        weights that take part.
    keepdims : bool, optional
        Keep the reduced axes in the result, with length 1.
    where : array_like of bool, optional
        The elements that take part, and are counted, broadcast with `a`.
    out : ndarray, optional
        Where to put the result: an array of exactly its shape, any layout, of a dtype that the result can be cast to
        by the rule ``same_kind``. It may overlap `a`.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, as in `logsumexp`.
    scale : number, optional
        A factor of `a`: 1/temperature, or -1 for energies, as in `logsumexp`.
    add : array_like, optional
        Numbers to add to the products, broadcast with `a` both ways, as in `logsumexp`.

    Returns
    -------
    ndarray or scalar
        ``log(sum(b*exp(a*scale + add), axis)/sum(b, axis))``, or `out`. Without any element the result is nan, and also
        if the weights add up to 0, inf or nan, or if the mean is negative. If both sums are negative, the mean is
        positive. Elements that are all -inf give -inf, any nan gives nan, and otherwise any +inf gives inf. A result
        without axes is a NumPy scalar, unless `out` is given.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `a` does not have.
    ValueError
        An axis given twice; shapes that do not broadcast, or to a size that overflows; an `out` of another shape, or
        one that is read-only; an integer beyond the range of float64.
    TypeError
        An `axis`, `dtype`, `out` or `scale` of the wrong kind; a masked array or one with units; an array that is not
        numeric.
    MemoryError
        No memory for the result.

    See Also
    --------
    logsumexp : the sum.

    Notes
    -----
    With :math:`m`, :math:`k` and :math:`r` as in `logsumexp` and :math:`n` elements, the result is :math:`m + \log((k +
    r)/n)`. The quotient has two parts, so a mean near 1 keeps its digits, which the difference of two rounded
    logarithms would lose. The largest error is 2 ULP; where :math:`m` and the logarithm cancel, in ULP of the larger of
    the two, and in float32 of 2^-20 if both are smaller. With `b` it is 2 ULP of the largest of the result, `a`,
    log(abs(b)) and the logarithm of the weights' sum, more where terms cancel. For columns of 1000 or more float64
    elements that are all within 1e-15 of 0, the error of a mean may be larger: it was 23 ULP for 100,000 equal
    elements.

    longdouble and complex numbers are computed by plain NumPy, as the difference of two logarithms: 4 ULP of the
    largest of the maximum, log(abs(b)) and the two logarithms for longdouble, and twice the error of `logsumexp` for
    complex numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import logmeanexp
    >>> logmeanexp([1000.0, 1000.0])
    np.float64(1000.0)
    >>> logmeanexp(np.array([0.0, -2e-20]))
    np.float64(-1e-20)
    >>> logmeanexp(np.log([1.0, 4.0]), b=[2.0, 1.0])
    np.float64(0.6931471805599453)
    """
    if not (is_plain(a) and is_plain(b) and is_plain(where) and is_plain(add)):
        lazy = lazy_functions(a, b, where, out, add)
        if lazy is not None:
            return lazy.logmeanexp(a, axis, b, keepdims, where=where, dtype=dtype, scale=scale, add=add)
        libraries = libraries_of(a)
        if libraries is not None:
            return libraries.call(logmeanexp, libraries.REDUCED, "a", a, axis, {
                "b": b, "keepdims": keepdims, "where": where, "out": out, "dtype": dtype, "scale": scale, "add": add})
    return reduce_array(MEAN, a, axis, b, keepdims, return_sign=False, where=where, out=out, dtype=dtype,
                        by=adjustment_of(scale, add))


def softmax(x, axis=None, *, where=True, out=None, dtype=None, scale=1.0, add=None):
    r"""Exponentials divided by their sum: positive numbers that add up to 1, the gradient of `logsumexp`.

    Parameters
    ----------
    x : array_like, any shape
        The numbers to exponentiate.
    axis : None, int or tuple of ints, optional
        The axes to sum over: all (None, the default), one, or several. With ``()`` every element becomes 1.
    where : array_like of bool, optional
        The elements that take part, broadcast with `x`. Where it is False the result is 0.
    out : ndarray, optional
        Where to put the result: an array of its shape, any layout, of a dtype that the result can be cast to by
        the rule ``same_kind``. It may be `x` itself, or overlap it. The result is cast from the type of the
        computation: a float32 `out` of float16 input is not rounded to float16.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, by default the type of `x`, and float64 for integers and bool.
        float16 and bfloat16 are computed in float32.
    scale : number, optional
        A factor of `x`: 1/temperature, or -1 for energies. It is rounded to the type of the computation, which does not
        depend on the type of `scale`.
    add : array_like, optional
        Numbers to add to the products, broadcast with `x` both ways: dual variables, biases, free energies. `add` takes
        part in the promotion of types, a Python number by its kind alone.

    Returns
    -------
    ndarray or scalar
        ``exp(x)/sum(exp(x), axis)`` of ``x*scale + add``, in its shape and the memory order of `x`, or `out`. If a nan
        or +inf is among the elements that are summed, or all of them are -inf, all results are nan. A result without
        axes is a NumPy scalar, unless `out` is given. For a dask array the result is a dask array; see
        `smoothmax.dask`.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `x` does not have.
    ValueError
        An axis given twice; shapes that do not broadcast, or to a size that overflows; an `out` of another shape, or
        one that is read-only; an integer or a `scale` beyond the range of float64.
    TypeError
        An `axis`, `dtype`, `scale` or `out` of the wrong kind; a masked array or one with units; an array that is not
        numeric; a complex `scale` of real numbers.
    MemoryError
        No memory for the result.

    See Also
    --------
    log_softmax : the logarithm of this function, finite where this is 0.

    Notes
    -----
    The largest error is 2 ULP for every finite input, including subnormal results. The textbook's ``exp(x - max(x))``
    is off by :math:`|x_i - \max x|/2` ULP, because the difference is rounded before it is exponentiated [1]_. This
    function never forms the difference: it computes ``exp(x)`` times a power of two, which it adds to the exponent.

    `scale` and `add` make no temporary array; see `logsumexp`.

    The largest error of longdouble is 3 ULP. A complex result is wrong by at most 4 eps times its size, multiplied by
    the sum of the sizes of all exponentials and divided by the size of their sum.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions",
       IMA Journal of Numerical Analysis 41(4), 2021, :doi:`10.1093/imanum/draa038`.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import softmax
    >>> softmax(np.array([600.0, 700.0, 800.0]))
    array([1.38389653e-87, 3.72007598e-44, 1.00000000e+00])
    >>> softmax(np.array([[1.0, 1.0], [0.0, 2.0]]), axis=1).sum(axis=1)
    array([1., 1.])

    A temperature of 2:

    >>> softmax(np.array([0.0, 4.0]), scale=1/2)
    array([0.11920292, 0.88079708])
    """
    if not (is_plain(x) and is_plain(where) and is_plain(add)):
        lazy = lazy_functions(x, None, where, out, add)
        if lazy is not None:
            return lazy.softmax(x, axis, where=where, dtype=dtype, scale=scale, add=add)
        libraries = libraries_of(x)
        if libraries is not None:
            return libraries.call(softmax, libraries.ELEMENTS, "x", x, axis, {
                "where": where, "out": out, "dtype": dtype, "scale": scale, "add": add})
    return transform_array(SOFTMAX, x, axis, where, out, dtype, adjustment_of(scale, add))


def log_softmax(x, axis=None, *, where=True, out=None, dtype=None, scale=1.0, add=None):
    r"""Logarithm of `softmax`: the input minus its `logsumexp`, finite where the input is.

    Parameters
    ----------
    x : array_like, any shape
        The numbers to normalise, log-probabilities up to a constant.
    axis : None, int or tuple of ints, optional
        The axes to sum over: all (None, the default), one, or several. With ``()`` every element becomes 0.
    where : array_like of bool, optional
        The elements that take part, broadcast with `x`. Where it is False the result is -inf.
    out : ndarray, optional
        Where to put the result: an array of its shape, any layout, of a dtype that the result can be cast to by
        the rule ``same_kind``. It may be `x` itself, or overlap it. The result is cast from the type of the
        computation: a float32 `out` of float16 input is not rounded to float16.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, by default the type of `x`, and float64 for integers and bool.
        float16 and bfloat16 are computed in float32.
    scale : number, optional
        A factor of `x`: 1/temperature, or -1 for energies. It is rounded to the type of the computation, which does not
        depend on the type of `scale`.
    add : array_like, optional
        Numbers to add to the products, broadcast with `x` both ways: dual variables, biases, free energies. `add` takes
        part in the promotion of types, a Python number by its kind alone.

    Returns
    -------
    ndarray or scalar
        ``x - log(sum(exp(x), axis))`` of ``x*scale + add``, in its shape and the memory order of `x`, or `out`. If a
        nan is among the elements that are summed, or all of them are -inf, all results are nan. If +inf is among them,
        the result is nan there and -inf elsewhere. A result without axes is a NumPy scalar, unless `out` is given. For
        a dask array the result is a dask array; see `smoothmax.dask`.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `x` does not have.
    ValueError
        An axis given twice; shapes that do not broadcast, or to a size that overflows; an `out` of another shape, or
        one that is read-only; an integer or a `scale` beyond the range of float64.
    TypeError
        An `axis`, `dtype`, `scale` or `out` of the wrong kind; a masked array or one with units; an array that is not
        numeric; a complex `scale` of real numbers.
    MemoryError
        No memory for the result.

    See Also
    --------
    softmax : the exponential of this function.

    Notes
    -----
    Computed as :math:`(x_i - m) - \log(k + r)` with the numbers of `logsumexp`, so at the largest element it is
    :math:`-\log(1 + r)` to full precision however small :math:`r` is. The largest error is 2 ULP for every finite
    input. The order of the two subtractions is that of [1]_.

    `scale` and `add` make no temporary array; see `logsumexp`.

    The largest error of longdouble is 3 ULP. With :math:`\kappa` as in `logsumexp`, the parts of a complex result are
    wrong by at most 4 eps times the larger of their size and of :math:`\kappa`.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions",
       IMA Journal of Numerical Analysis 41(4), 2021, :doi:`10.1093/imanum/draa038`.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import log_softmax
    >>> log_softmax(np.array([20.0, 0.0]))
    array([-2.06115362e-09, -2.00000000e+01])
    >>> log_softmax(np.array([700.0, 800.0, 900.0, 1000.0]))
    array([-3.00000000e+02, -2.00000000e+02, -1.00000000e+02, -3.72007598e-44])
    """
    if not (is_plain(x) and is_plain(where) and is_plain(add)):
        lazy = lazy_functions(x, None, where, out, add)
        if lazy is not None:
            return lazy.log_softmax(x, axis, where=where, dtype=dtype, scale=scale, add=add)
        libraries = libraries_of(x)
        if libraries is not None:
            return libraries.call(log_softmax, libraries.ELEMENTS, "x", x, axis, {
                "where": where, "out": out, "dtype": dtype, "scale": scale, "add": add})
    return transform_array(LOG_SOFTMAX, x, axis, where, out, dtype, adjustment_of(scale, add))
