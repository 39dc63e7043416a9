"""logmatmulexp: signature and documentation. _arrays/products.pyx computes it."""

cimport numpy as cnp

from smoothmax._api.functions cimport lazy_functions, libraries_of
from smoothmax._arrays.products cimport multiply_arrays

__all__ = ["logmatmulexp"]

cnp.import_array()


def logmatmulexp(a, b, *, out=None, dtype=None, exact=False):
    r"""Product of matrices in log space: the logarithm of ``exp(a) @ exp(b)``.

    Parameters
    ----------
    a : array_like, shape (k,) or (..., n, k)
        The logarithms of the first matrix, of a stack of them, or of a vector that multiplies from the left.
    b : array_like, shape (k,) or (..., k, m)
        The logarithms of the second matrix, of a stack of them, or of a vector. Stacks broadcast, as in `numpy.matmul`.
    out : ndarray, optional
        Where to put the result: an array of exactly its shape, any layout, of a dtype that the result can be cast to
        by the rule ``same_kind``. It may overlap `a` and `b`.
    dtype : {float32, float64, float16, bfloat16, longdouble}, optional
        The type of the computation and of the result, by default the one that `a` and `b` promote to as in NumPy, and
        float64 for integers and bool. float16 and bfloat16 are computed in float32.
    exact : bool, optional
        Sum the terms of each element separately instead of multiplying matrices of exponentials.

    Returns
    -------
    ndarray or scalar
        ``log(exp(a) @ exp(b))`` in the shape that ``a @ b`` has, or `out`. A sum without terms is -inf. For two vectors
        the result is a NumPy scalar, unless `out` is given. For a dask array it is a dask array (see `smoothmax.dask`),
        and for a tensor of PyTorch or an array of the array API standard it is one of that kind. A product has no
        labels.

    Raises
    ------
    ValueError
        An argument without axes; summed axes of different lengths; stacks that do not broadcast; an `out` of another
        shape, or one that is read-only.
    TypeError
        A `dtype` or `out` of the wrong kind, or any `dtype` for complex input; a masked array or one with units; an
        array that is not numeric; an `out` for dask arrays.
    MemoryError
        No memory for the result, or for the exponentials.

    See Also
    --------
    logsumexp : the same for one matrix; ``logsumexp(a[:, :, None] + b, axis=1)`` is this product.
    logaddexp : the sum in log space.

    Notes
    -----
    Each row of `a` and each column of `b` is divided by a number near the exponential of its maximum, and the matrices
    of these exponentials are multiplied: small ones by a kernel, others by `numpy.matmul`. Where the product for an
    element is so small that underflow might matter, its terms are summed again, one by one. Hence no result is wrongly
    -inf: ``logmatmulexp([[0, 0], [0, 0]], [[-1000, 0], [-1000, 0]])`` begins with -999.3, where the formula that is
    widely used loses the whole column.

    With u = 2**-53 (2**-24 for float32), the absolute error is at most (k + 8) u plus 1 ULP of the result. With `exact`
    it is at most 2 ULP, of the larger of maximum and logarithm where they cancel, and the result does not depend on how
    `numpy.matmul` adds; nor does that of small matrices. The product of two vectors, and any product with at most 16
    elements, is always summed exactly.

    An element is nan if any of its terms is, also where +inf is added to -inf, and otherwise inf if any of them is;
    terms of -inf add nothing. A sum of two elements that overflows is infinite.

    Besides the result, a call needs memory for two arrays of exponentials, up to a third more where small matrices do
    not fill vectors, and for two numbers for each row of `a` and each column of `b`; exact sums need none. Input of a
    type other than that of the computation, or with neither of its last two axes contiguous, is copied, and an `out`
    that is not C-contiguous or of another type needs memory for a second result. `set_num_threads` sets how many
    threads compute all but the products of `numpy.matmul`. The threads of `numpy.matmul` are a setting of its BLAS
    library, and the last bits of the result may depend on that library's order of sums. longdouble and complex numbers
    are computed by NumPy, row by row.

    References
    ----------
    .. [1] C.-P. Jeannerod and S. M. Rump, "Improved error bounds for inner products in floating-point arithmetic",
       SIAM J. Matrix Anal. Appl. 34, 2013. https://doi.org/10.1137/120894488

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import logmatmulexp
    >>> logmatmulexp([[0.0, 0.0], [0.0, 0.0]], [[-1000.0, 0.0], [-1000.0, 0.0]])
    array([[-9.99306853e+02,  6.93147181e-01],
           [-9.99306853e+02,  6.93147181e-01]])

    The forward algorithm of a hidden Markov model with three states, whose log-probabilities of transition are `step`
    and of the observations `seen`:

    >>> step = np.log([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]])
    >>> seen = np.log([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]])
    >>> alpha = np.log([0.5, 0.3, 0.2]) + seen[0]
    >>> for likelihood in seen[1:]:
    ...     alpha = logmatmulexp(alpha, step) + likelihood
    >>> alpha
    array([-4.93367425, -4.34959817, -4.64849531])
    """
    if type(a) is not cnp.ndarray or type(b) is not cnp.ndarray:
        lazy = lazy_functions(a, b, None, out)
        if lazy is not None:
            return lazy.logmatmulexp(a, b, dtype=dtype, exact=exact)
        libraries = libraries_of(a)
        if libraries is not None:
            return libraries.call(logmatmulexp, libraries.PRODUCT, "a", a, None, {
                "b": b, "out": out, "dtype": dtype, "exact": exact})
        libraries = libraries_of(b)
        if libraries is not None:
            return libraries.call(logmatmulexp, libraries.PRODUCT, "b", b, None, {
                "a": a, "out": out, "dtype": dtype, "exact": exact})
    return multiply_arrays(a, b, out, dtype, exact)
