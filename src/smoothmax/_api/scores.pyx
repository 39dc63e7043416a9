"""top_log_probs and categorical: signatures and documentation. _arrays/scores.pyx computes them."""

cimport numpy as cnp

from smoothmax._api.functions cimport lazy_functions, libraries_of
from smoothmax._arrays.scores cimport draw_array, top_array

__all__ = ["categorical", "top_log_probs"]

cnp.import_array()


def top_log_probs(logits, k, axis=-1):
    r"""The k largest log-probabilities and their indices: the most likely tokens of a language model, for example.

    Parameters
    ----------
    logits : array_like, at least one axis
        Scores of the elements along `axis`, before normalisation.
    k : int
        The number of log-probabilities to return, from 0 to the length of `axis`.
    axis : int, optional
        The axis along which the probabilities add up to 1, by default the last.

    Returns
    -------
    log_probs : ndarray
        The shape of `logits` with k elements along `axis`: the largest elements of ``log_softmax(logits, axis)``, the
        largest first. float64 for integers and bool.
    indices : ndarray of intp
        The place of each of them along `axis`. Of equal elements, the one with the lower index comes first.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `logits` does not have.
    ValueError
        A `k` that is negative or larger than the length of `axis`.
    TypeError
        A `k` or an `axis` that is not an integer; complex numbers; a masked array or one with units; an array that is
        not numeric.
    MemoryError
        No memory for the result.

    See Also
    --------
    categorical : indices drawn at random, with these probabilities.
    log_prob : the log-probabilities of given elements.
    log_softmax : all log-probabilities.

    Notes
    -----
    The order is that of the logits, so elements do not change places if their log-probabilities are rounded to the same
    number. Each log-probability has the bound of `log_softmax`, 2 ULP; for a single contiguous row it has the same
    bits.

    A row is read once. While a block of it is in cache, it is added to the sum, and elements that exceed the k-th
    largest so far are put aside; after a few blocks hardly any do. No row is sorted, and no array of all
    log-probabilities is made. A call needs memory for k results of each row and, in each thread, for up to 2 k + 4097
    candidates of 16 bytes.

    If a row has a nan, or all its elements are -inf, all its log-probabilities are nan. They count as equal, and the
    indices are those of the first k elements. An element of +inf has the log-probability nan and comes first; the other
    elements of its row have -inf.

    longdouble is computed by plain NumPy, which sorts the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import top_log_probs
    >>> log_probs, indices = top_log_probs(np.array([[1.0, 4.0, 2.0, 4.0], [0.0, -1.0, -np.inf, 3.0]]), 2)
    >>> log_probs
    array([[-0.78167182, -0.78167182],
           [-0.0658839 , -3.0658839 ]])
    >>> indices
    array([[1, 3],
           [3, 0]])
    """
    if type(logits) is not cnp.ndarray:
        lazy = lazy_functions(logits, None, None, None)
        if lazy is not None:
            return lazy.top_log_probs(logits, k, axis)
        libraries = libraries_of(logits)
        if libraries is not None:
            return libraries.call(top_log_probs, libraries.SEGMENTS, "logits", logits, axis, {"k": k})
    return top_array(logits, k, axis)


def categorical(logits, axis=-1, *, size=None, scale=1.0, rng=None):
    r"""Draw indices with the probabilities ``softmax(scale*logits)``.

    Parameters
    ----------
    logits : array_like, at least one axis
        Scores of the elements along `axis`, before normalisation. An element of -inf is never drawn.
    axis : int, optional
        The axis along which the probabilities add up to 1, by default the last.
    size : int or tuple of ints, optional
        The shape of the result. The shape of `logits` without `axis` must broadcast to it, like the parameters of a
        `numpy.random.Generator` to its ``size``, and as for `shape` in ``jax.random.categorical``. By default it is the
        shape of `logits` without `axis`: one draw from each row. ``size=(1000, n)`` draws 1000 times from each of n
        rows.
    scale : number, optional
        A factor of the logits: the inverse of a temperature.
    rng : None, int, or numpy.random.Generator, optional
        The source of random numbers, or anything else that `numpy.random.default_rng` accepts. None, the default, uses
        fresh entropy from the system.

    Returns
    -------
    ndarray of intp
        The indices, of shape `size`; a NumPy scalar if that is ``()``.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `logits` does not have.
    ValueError
        A row with nan or +inf, or with nothing but -inf, because it has no distribution; a `size` to which the rows do
        not broadcast; an `axis` of length 0.
    TypeError
        An `axis`, `size` or `scale` of the wrong kind; complex numbers; a masked array or one with units; an array that
        is not numeric.
    MemoryError
        No memory for the result.

    See Also
    --------
    top_log_probs : the most likely elements.
    softmax : the probabilities.

    Notes
    -----
    Each draw uses one number of ``rng.random(size)``, the one in its place, and finds the first element at which the
    cumulative probability exceeds it. So equal seeds give equal draws for any number of threads and any layout of
    `logits`, and on any processor with fma; larger numbers draw later elements. The Gumbel-max trick, as in
    ``jax.random.categorical``, needs a random number and a logarithm for each logit instead, and draws other elements.

    A row is read once for the sums of its blocks of 16 KiB. Then the block in which the element lies is read again;
    draws that fall into the same block share this work. Besides the result, a call needs one array of its size: for the
    uniform numbers, or for the indices before their axes are in order.

    The relative error of the probability of an element is at most 4 units of the logits' type, as far as the 53 bits of
    a uniform number allow: an element of less than 1.1e-16 has a probability of 0 or 1.1e-16. float16 is computed in
    float32, longdouble by plain NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import categorical
    >>> logits = np.array([np.log([0.1, 0.2, 0.7]), [0.0, -np.inf, 0.0]])
    >>> categorical(logits, size=(8, 2), rng=7).T
    array([[2, 2, 2, 0, 2, 2, 1, 2],
           [2, 0, 2, 2, 0, 0, 0, 2]])

    A low temperature prefers the likely elements:

    >>> draws = categorical(logits[0], size=10_000, scale=1 / 0.5, rng=7)
    >>> (np.bincount(draws) / 10_000).round(2)
    array([0.02, 0.07, 0.91])
    """
    if type(logits) is not cnp.ndarray:
        lazy = lazy_functions(logits, None, None, None)
        if lazy is not None:
            return lazy.categorical(logits, axis, size=size, scale=scale, rng=rng)
        libraries = libraries_of(logits)
        if libraries is not None:
            return libraries.call(categorical, libraries.REDUCED, "logits", logits, axis, {
                "size": size, "scale": scale, "rng": rng})
    return draw_array(logits, axis, size, scale, rng)
