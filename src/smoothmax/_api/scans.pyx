"""logcumsumexp: signature and documentation. _arrays/scans.pyx computes it."""

cimport numpy as cnp

from smoothmax._api.functions cimport lazy_functions, libraries_of
from smoothmax._arrays.scans cimport scan_array

__all__ = ["logcumsumexp"]

cnp.import_array()


def logcumsumexp(a, axis=None, *, reverse=False, exclusive=False, out=None, dtype=None):
    r"""Logarithm of the cumulative sum of exponentials: `logsumexp` of all elements up to each position.

    Parameters
    ----------
    a : array_like, any shape
        The numbers to exponentiate, add and take the logarithm of.
    axis : None or int, optional
        The axis along which to sum. With None, the default, the sum goes through all elements in C's order and the
        result has one axis, as in `numpy.cumsum`.
    reverse : bool, optional
        Sum from each position to the end of the axis instead.
    exclusive : bool, optional
        Leave out the element at the position itself. The first result is then -inf, or the last with `reverse`.
    out : ndarray, optional
        Where to put the result: an array of exactly its shape, any layout, of a dtype that the result can be cast to
        by the rule ``same_kind``. It may be `a` itself, or overlap it.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, by default the type of `a`, and float64 for integers and bool.
        float16 and bfloat16 are computed in float32.

    Returns
    -------
    ndarray
        ``log(cumsum(exp(a), axis))``, in the shape and memory order of `a`, or with one axis if `axis` is None; or
        `out`. Before the first element that is not -inf, results are -inf. From the first +inf on they are inf, and
        from the first nan on nan. A number without axes gives one result.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `a` does not have.
    ValueError
        An `out` of another shape, or one that is read-only; an integer beyond the range of float64.
    TypeError
        An `axis`, `dtype` or `out` of the wrong kind; a masked array or one with units; an array that is not numeric.
    MemoryError
        No memory for the result.

    See Also
    --------
    logsumexp : only the last result, several times as fast.

    Notes
    -----
    Every prefix of any length has the bound of `logsumexp`, 1.5 ULP; where its maximum and the logarithm cancel, in ULP
    of the larger of the two. The elements of a block are exponentiated relative to the largest so far and summed in
    three parts, so the error does not grow with the number of elements, while ``numpy.logaddexp.accumulate`` rounds at
    each step. Threads share a single long row in two passes.

    longdouble and complex numbers are computed by plain NumPy, with temporaries of several times the input's size. The
    largest error of longdouble is 2 ULP, counted in the same way; complex results have the bound of `logsumexp`.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import logcumsumexp
    >>> logcumsumexp(np.array([1000.0, 1000.0, 0.0]))
    array([1000.        , 1000.69314718, 1000.69314718])
    >>> logcumsumexp(np.log([[1.0, 2.0, 4.0]]), axis=1, reverse=True)
    array([[1.94591015, 1.79175947, 1.38629436]])
    >>> logcumsumexp(np.zeros(3), exclusive=True)
    array([      -inf, 0.        , 0.69314718])
    """
    if type(a) is not cnp.ndarray:
        lazy = lazy_functions(a, None, None, out)
        if lazy is not None:
            return lazy.logcumsumexp(a, axis, reverse=reverse, exclusive=exclusive, dtype=dtype)
        libraries = libraries_of(a)
        if libraries is not None:
            return libraries.call(logcumsumexp, libraries.ELEMENTS, "a", a, axis, {
                "reverse": reverse, "exclusive": exclusive, "out": out, "dtype": dtype})
    return scan_array(a, axis, reverse, exclusive, out, dtype)
