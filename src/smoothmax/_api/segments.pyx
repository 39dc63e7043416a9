"""Functions of segments: signatures and documentation. _arrays/segments.pyx computes them."""

cimport numpy as cnp

from smoothmax._api.functions cimport lazy_functions, libraries_of
from smoothmax._arrays.segments cimport offsets_of, segment_array
from smoothmax._kernels.interface cimport LOG_SOFTMAX, LOGSUMEXP, SOFTMAX

__all__ = ["offsets_from_ids", "segment_log_softmax", "segment_logsumexp", "segment_softmax"]

cnp.import_array()


def segment_logsumexp(a, offsets, axis=0, *, out=None, dtype=None):
    r"""`logsumexp` of each segment of an axis: choice sets, sparse rows, sequences of different lengths.

    Parameters
    ----------
    a : array_like, at least one axis
        The numbers to exponentiate, add and take the logarithm of.
    offsets : array_like of n + 1 integers
        Segment i is ``a[offsets[i]:offsets[i + 1]]`` along the axis, like the rows of ``indptr`` in CSR: offsets go
        from 0 to the length of the axis and do not decrease. Segments may be empty. `offsets_from_ids` makes offsets
        from sorted group numbers.
    axis : int, optional
        The axis that is divided, by default the first.
    out : ndarray, optional
        Where to put the result: an array of exactly its shape, any layout, of a dtype that the result can be cast to
        by the rule ``same_kind``. It may overlap `a`.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, by default the type of `a`, and float64 for integers and bool.
        float16 and bfloat16 are computed in float32.

    Returns
    -------
    ndarray
        `logsumexp` of each segment: the shape of `a`, with n along the axis. An empty segment gives -inf. Or `out`.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `a` does not have.
    ValueError
        `offsets` that are not integers, have no or several axes, do not begin with 0 or end with the length of the
        axis, are out of range, or decrease; the error names the first wrong one. An `out` of another shape, or one that
        is read-only.
    TypeError
        An `axis`, `dtype` or `out` of the wrong kind; a masked array or one with units; an array that is not numeric;
        `offsets` that are a dask array.
    MemoryError
        No memory for the result.

    See Also
    --------
    segment_softmax : the gradient of this function.

    Notes
    -----
    Short segments are sorted by length, 4096 of them at a time, and laid side by side in the lanes of a vector. So a
    segment of three elements costs as much as three elements, not as much as a call. The bound is that of `logsumexp`,
    1.5 ULP. longdouble and complex numbers, which have no kernels, are computed one segment after the other. Offsets of
    another type than intp are copied.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import segment_logsumexp
    >>> segment_logsumexp(np.array([0.0, 0.0, 5.0, 1000.0, 1000.0, 1000.0]), [0, 2, 2, 3, 6])
    array([6.93147181e-01,           -inf, 5.00000000e+00, 1.00109861e+03])
    """
    if type(a) is not cnp.ndarray:
        lazy = lazy_functions(a, None, None, out)
        if lazy is not None:
            return lazy.segment_logsumexp(a, offsets, axis, dtype=dtype)
        libraries = libraries_of(a)
        if libraries is not None:
            return libraries.call(segment_logsumexp, libraries.SEGMENTS, "a", a, axis, {
                "offsets": offsets, "out": out, "dtype": dtype})
    return segment_array(LOGSUMEXP, a, offsets, axis, out, dtype)


def segment_softmax(a, offsets, axis=0, *, out=None, dtype=None):
    r"""`softmax` within each segment of an axis: the weights of attention over a ragged batch, choice probabilities.

    Parameters
    ----------
    a : array_like, at least one axis
        The numbers to exponentiate.
    offsets : array_like of n + 1 integers
        Segment i is ``a[offsets[i]:offsets[i + 1]]`` along the axis, like the rows of ``indptr`` in CSR: offsets go
        from 0 to the length of the axis and do not decrease. Segments may be empty. `offsets_from_ids` makes offsets
        from sorted group numbers.
    axis : int, optional
        The axis that is divided, by default the first.
    out : ndarray, optional
        Where to put the result: an array of exactly its shape, any layout, of a dtype that the result can be cast to
        by the rule ``same_kind``. It may be `a` itself, or overlap it.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, by default the type of `a`, and float64 for integers and bool.
        float16 and bfloat16 are computed in float32.

    Returns
    -------
    ndarray
        `softmax` of each segment, in the shape and memory order of `a`; or `out`.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `a` does not have.
    ValueError
        `offsets` that are not integers, have no or several axes, do not begin with 0 or end with the length of the
        axis, are out of range, or decrease; the error names the first wrong one. An `out` of another shape, or one that
        is read-only.
    TypeError
        An `axis`, `dtype` or `out` of the wrong kind; a masked array or one with units; an array that is not numeric;
        `offsets` that are a dask array.
    MemoryError
        No memory for the result.

    See Also
    --------
    segment_log_softmax : the logarithm of this function.
    segment_logsumexp : this is its gradient; its notes say how segments are computed.

    Notes
    -----
    The bound is that of `softmax`, 2 ULP, and so are the special values: a nan or +inf affects only its own segment.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import segment_softmax
    >>> segment_softmax(np.array([3.0, 3.0, 5.0, 0.0, 0.0, 0.0, 0.0]), [0, 2, 3, 7])
    array([0.5 , 0.5 , 1.  , 0.25, 0.25, 0.25, 0.25])
    """
    if type(a) is not cnp.ndarray:
        lazy = lazy_functions(a, None, None, out)
        if lazy is not None:
            return lazy.segment_softmax(a, offsets, axis, dtype=dtype)
        libraries = libraries_of(a)
        if libraries is not None:
            return libraries.call(segment_softmax, libraries.ELEMENTS, "a", a, axis, {
                "offsets": offsets, "out": out, "dtype": dtype})
    return segment_array(SOFTMAX, a, offsets, axis, out, dtype)


def segment_log_softmax(a, offsets, axis=0, *, out=None, dtype=None):
    r"""`log_softmax` within each segment of an axis: log-probabilities of choices, of rankings, of ragged sequences.

    Parameters
    ----------
    a : array_like, at least one axis
        The numbers to normalise.
    offsets : array_like of n + 1 integers
        Segment i is ``a[offsets[i]:offsets[i + 1]]`` along the axis, like the rows of ``indptr`` in CSR: offsets go
        from 0 to the length of the axis and do not decrease. Segments may be empty. `offsets_from_ids` makes offsets
        from sorted group numbers.
    axis : int, optional
        The axis that is divided, by default the first.
    out : ndarray, optional
        Where to put the result: an array of exactly its shape, any layout, of a dtype that the result can be cast to
        by the rule ``same_kind``. It may be `a` itself, or overlap it.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, by default the type of `a`, and float64 for integers and bool.
        float16 and bfloat16 are computed in float32.

    Returns
    -------
    ndarray
        `log_softmax` of each segment, in the shape and memory order of `a`; or `out`.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `a` does not have.
    ValueError
        `offsets` that are not integers, have no or several axes, do not begin with 0 or end with the length of the
        axis, are out of range, or decrease; the error names the first wrong one. An `out` of another shape, or one that
        is read-only.
    TypeError
        An `axis`, `dtype` or `out` of the wrong kind; a masked array or one with units; an array that is not numeric;
        `offsets` that are a dask array.
    MemoryError
        No memory for the result.

    See Also
    --------
    segment_softmax : the exponential of this function.
    segment_logsumexp : its notes say how segments are computed.

    Notes
    -----
    The bound is that of `log_softmax`, 2 ULP, and so are the special values: a nan or +inf affects only its own
    segment.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import segment_log_softmax
    >>> segment_log_softmax(np.array([20.0, 0.0, 7.0]), [0, 2, 3])
    array([-2.06115362e-09, -2.00000000e+01,  0.00000000e+00])
    """
    if type(a) is not cnp.ndarray:
        lazy = lazy_functions(a, None, None, out)
        if lazy is not None:
            return lazy.segment_log_softmax(a, offsets, axis, dtype=dtype)
        libraries = libraries_of(a)
        if libraries is not None:
            return libraries.call(segment_log_softmax, libraries.ELEMENTS, "a", a, axis, {
                "offsets": offsets, "out": out, "dtype": dtype})
    return segment_array(LOG_SOFTMAX, a, offsets, axis, out, dtype)


def offsets_from_ids(ids, num_segments=None):
    """The offsets of segments, from the sorted group number of each element.

    Parameters
    ----------
    ids : array_like of integers, one axis
        The number of the segment that each element belongs to, sorted. If a number does not occur, its segment is
        empty.
    num_segments : None or int, optional
        How many segments there are, by default one more than the largest id.

    Returns
    -------
    ndarray of intp
        ``num_segments + 1`` offsets: segment i has the elements from the i-th offset to the next.

    Raises
    ------
    ValueError
        `ids` that are not integers, have no or several axes, are negative, not sorted, or not less than `num_segments`;
        the error names the first wrong one. A negative `num_segments`.
    TypeError
        A `num_segments` that is not an integer.

    See Also
    --------
    segment_logsumexp, segment_softmax, segment_log_softmax : the functions that take offsets.

    Examples
    --------
    >>> from smoothmax import offsets_from_ids
    >>> offsets_from_ids([0, 0, 2, 2, 2])
    array([0, 2, 2, 5])
    >>> offsets_from_ids([0, 0], num_segments=3)
    array([0, 2, 2, 2])
    """
    return offsets_of(ids, num_segments)
