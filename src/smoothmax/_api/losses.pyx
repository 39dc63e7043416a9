"""Losses and gradients: signatures and documentation. _arrays/losses.pyx computes them."""

from smoothmax._api.functions cimport lazy_functions, libraries_of
from smoothmax._kernels.interface cimport LOG_SOFTMAX_VJP, SOFTMAX_VJP, Operation
from smoothmax._arrays.losses cimport (
    LOG_PROBABILITIES, LOGITS, LOSS, LOSS_AND_GRADIENT, log_prob_array, loss_array, product_array, value_and_softmax,
)

__all__ = [
    "cross_entropy", "cross_entropy_and_grad", "log_prob", "log_softmax_vjp", "logsumexp_and_softmax", "nll_loss",
    "softmax_vjp",
]


def logsumexp_and_softmax(a, axis=None, *, keepdims=False, where=True, out=None, dtype=None, scale=1.0, add=None):
    """`logsumexp` and its gradient, `softmax`, in as few passes over memory as softmax alone.

    Parameters
    ----------
    a : array_like, any shape
        The numbers to exponentiate.
    axis : None, int or tuple of ints, optional
        The axes to sum over: all (None, the default), one, or several.
    keepdims : bool, optional
        Keep the reduced axes in the value, with length 1.
    where : array_like of bool, optional
        The elements that take part, broadcast with `a`. Where it is False the gradient is 0.
    out : ndarray, optional
        Where to put the gradient: an array of the shape of `a`, which may be `a` itself.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of both results. float16 and bfloat16 are computed in float32.
    scale : number, optional
        A factor of `a`, such as 1/temperature, as in `logsumexp`.
    add : array_like, optional
        Numbers to add to the products, such as a bias for each class, broadcast with `a` both ways.

    Returns
    -------
    value : ndarray or scalar
        The result of `logsumexp`, within 1.5 ULP for any number of elements.
    gradient : ndarray or scalar
        The result of `softmax`, with the same accuracy: the gradient with respect to ``a*scale + add``. The gradient
        with respect to `a` is `scale` times that.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `a` does not have.
    ValueError
        An axis given twice; shapes that do not broadcast, or to a size that overflows; an `out` of another shape, or
        one that is read-only.
    TypeError
        An `axis`, `dtype` or `out` of the wrong kind; an array that is masked, longdouble, complex or not numeric, or
        has units.
    MemoryError
        No memory for the results.

    See Also
    --------
    logsumexp, softmax : either of the two alone.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import logsumexp_and_softmax
    >>> logsumexp_and_softmax(np.array([[0.0, 0.0], [0.0, -40.0]]), axis=1)
    (array([6.93147181e-01, 4.24835426e-18]), array([[5.00000000e-01, 5.00000000e-01],
           [1.00000000e+00, 4.24835426e-18]]))
    """
    libraries = libraries_of(a)
    if libraries is not None:
        return libraries.call(logsumexp_and_softmax, libraries.VALUE_AND_ELEMENTS, "a", a, axis, {
            "keepdims": keepdims, "where": where, "out": out, "dtype": dtype, "scale": scale, "add": add})
    return value_and_softmax(a, axis, keepdims, where, out, dtype, scale, add)


cdef object gradient(function, Operation operation, g, values, str name, axis, out):
    """The gradient by `function`, whose second argument is called `name`, in the library of `values`, or of g."""
    libraries = libraries_of(values)
    if libraries is not None:
        return libraries.call(function, libraries.ELEMENTS, name, values, axis, {"g": g, "out": out})
    libraries = libraries_of(g)
    if libraries is not None:
        return libraries.call(function, libraries.ELEMENTS, "g", g, axis, {name: values, "out": out})
    return product_array(operation, g, values, name, axis, out)


def softmax_vjp(g, p, axis=None, *, out=None):
    r"""Gradient with respect to the input of `softmax`, from the gradient with respect to its output.

    Parameters
    ----------
    g : array_like, the shape of `p`
        The gradient of a quantity with respect to `p`.
    p : array_like, any shape
        The result of `softmax`.
    axis : None, int or tuple of ints, optional
        The axes that were given to `softmax`.
    out : ndarray, optional
        Where to put the result: an array of the shape of `p`, which may be `p` or `g` itself.

    Returns
    -------
    ndarray or scalar
        ``p*(g - sum(p*g, axis))``, the vector-Jacobian product, of the type that `p` and `g` promote to.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `p` does not have.
    ValueError
        An axis given twice; a `g` of another shape; an `out` of another shape, or one that is read-only.
    TypeError
        An `axis` or `out` of the wrong kind, an array that is masked, longdouble, complex or not numeric.
    MemoryError
        No memory for the result.

    See Also
    --------
    log_softmax_vjp : the same for `log_softmax`.

    Notes
    -----
    The sum is compensated, and subtracted in two parts. With :math:`s` the sum of :math:`|p_i g_i|` and u the unit in
    the last place of 1, the largest error is 3 ULP of the result and :math:`p_i s u^2` times the number of elements.
    Elements whose `g` is 0 add nothing, even if their `p` is nan.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import softmax, softmax_vjp
    >>> p = softmax([0.0, 0.0, 0.0, 0.0])
    >>> softmax_vjp([1.0, 0.0, 0.0, 0.0], p)
    array([ 0.1875, -0.0625, -0.0625, -0.0625])
    """
    return gradient(softmax_vjp, SOFTMAX_VJP, g, p, "p", axis, out)


def log_softmax_vjp(g, logp, axis=None, *, out=None):
    r"""Gradient with respect to the input of `log_softmax`, from the gradient with respect to its output.

    Parameters
    ----------
    g : array_like, the shape of `logp`
        The gradient of a quantity with respect to `logp`.
    logp : array_like, any shape
        The result of `log_softmax`.
    axis : None, int or tuple of ints, optional
        The axes that were given to `log_softmax`.
    out : ndarray, optional
        Where to put the result: an array of the shape of `logp`, which may be `logp` or `g` itself.

    Returns
    -------
    ndarray or scalar
        ``g - exp(logp)*sum(g, axis)``, the vector-Jacobian product, of the type that `logp` and `g` promote to.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `logp` does not have.
    ValueError
        An axis given twice; a `g` of another shape; an `out` of another shape, or one that is read-only.
    TypeError
        An `axis` or `out` of the wrong kind, an array that is masked, longdouble, complex or not numeric.
    MemoryError
        No memory for the result.

    See Also
    --------
    softmax_vjp : the same for `softmax`.

    Notes
    -----
    The sum is compensated. The largest error is 3 ULP of the larger of the two terms of the difference. Where
    ``exp(logp)`` is subnormal, half of its ULP times the sum of `g` is added to that.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import log_softmax, log_softmax_vjp
    >>> logp = log_softmax([0.0, 0.0, 0.0, 0.0])
    >>> log_softmax_vjp([1.0, 0.0, 0.0, 0.0], logp)
    array([ 0.75, -0.25, -0.25, -0.25])
    """
    return gradient(log_softmax_vjp, LOG_SOFTMAX_VJP, g, logp, "logp", axis, out)


def cross_entropy(logits, targets, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean",
                  scale=1.0, add=None):
    r"""Negative log-probability of the targets under `softmax` of the logits: the loss of a classifier.

    Parameters
    ----------
    logits : array_like
        A score for each class along `axis`, for each position along the other axes.
    targets : array_like
        Either the class of each position, of any integer type and of the shape of `logits` without `axis`; or a
        probability for each class, of the shape of `logits`. The sum of the probabilities is not checked. A probability
        of 0 drops its class, even if the logit is inf or nan.
    axis : int, optional
        The axis along which the classes lie, by default the last. In PyTorch, logits with three or more axes have their
        classes along axis 1: pass ``axis=1`` for such logits. There is no error if both axes fit the targets.
    weight : array_like, optional
        A factor for each class, an array of one axis. Factors may lie beyond the range of the logits' type.
    ignore_index : int, optional
        A target class to ignore: its positions add nothing to the loss or to the denominator of a mean. By default all
        positions count. Probabilities cannot be ignored.
    label_smoothing : float, optional
        How much of each target, from 0 to 1, is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}, optional
        How the losses of the positions are reduced. The denominator of a mean is, for class targets with weights, the
        sum of the weights of the targets that count; for probabilities, it is the number of positions. A mean is finite
        if its losses are, even if their sum is not.
    scale : number, optional
        A factor of `logits`, such as 1/temperature, as in `logsumexp`.
    add : array_like, optional
        Numbers to add to the products, such as a bias for each class, broadcast with `logits` both ways.

    Returns
    -------
    ndarray or scalar
        The loss, or with ``reduction="none"`` an array of the shape of `logits` without `axis`; of the type of
        `logits`, float64 for integers and bool. If all targets are ignored, or their weights add up to 0, the mean is
        nan; the sum of no losses is 0. For a dask array the result is a dask array; see `smoothmax.dask`.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `logits` does not have.
    IndexError
        A target that is not a class: negative, or not less than the number of classes.
    ValueError
        Targets or weights of another shape, an unknown `reduction`, a `label_smoothing` outside of 0 to 1, an
        `ignore_index` for probabilities.
    TypeError
        Class targets that are not integers; an array that is masked, longdouble, complex or not numeric.
    MemoryError
        No memory for the scratch of the call.

    See Also
    --------
    cross_entropy_and_grad : the loss and its gradient.
    log_prob : log-probabilities of classes, without sign, weights and mean.
    nll_loss : the same from log-probabilities.

    Notes
    -----
    With :math:`p` the softmax of the logits :math:`x`, the loss of a position is :math:`-\sum_c t_c w_c \log p_c`,
    where :math:`w` is `weight` and :math:`t` is 1 at the target and 0 elsewhere, or the given probabilities; smoothing
    by :math:`\varepsilon` makes it :math:`(1 - \varepsilon) t_c + \varepsilon/C` for :math:`C` classes. All arguments
    have the meaning that they have in ``torch.nn.functional.cross_entropy``.

    The function reads the logits once, and makes no temporary of their size: it needs at most 24 bytes for each
    position, for its loss and for its class if targets are converted or ignored. The losses are added at the end, in
    the order of the positions, so the sum does not depend on the number of threads. :math:`\log p` is :math:`(x_c - m)
    - \log(k + r)` with the numbers of `logsumexp`, so a confident right answer keeps its digits. The largest error of a
    position's loss is 2 ULP for class targets, with or without weights, and 3 ULP for probabilities and smoothing that
    are not negative. If the product of a probability and a class weight is subnormal, it is rounded as a subnormal
    number, and half of the smallest one times :math:`-\log p_c` is added to the bound. Losses are added in float64,
    with a compensated sum.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import cross_entropy
    >>> cross_entropy([40.0, 0.0], 0)
    np.float64(4.248354255291589e-18)
    >>> logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    >>> cross_entropy(logits, [0, 2], reduction="none")
    array([0.40760596, 1.09861229])
    >>> cross_entropy(logits, [[0.9, 0.1, 0.0], [0.0, 0.5, 0.5]])
    np.float64(0.8031091265562451)
    """
    lazy = lazy_functions(logits, targets, weight, None, add)
    if lazy is not None:
        return lazy.cross_entropy(logits, targets, axis, weight=weight, ignore_index=ignore_index,
                                  label_smoothing=label_smoothing, reduction=reduction, scale=scale, add=add)
    libraries = libraries_of(logits)
    if libraries is not None:
        return libraries.call(cross_entropy, libraries.LOSSES, "logits", logits, axis, {
            "targets": targets, "weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing,
            "reduction": reduction, "scale": scale, "add": add})
    return loss_array(LOGITS, LOSS, logits, targets, axis, weight, ignore_index, label_smoothing, reduction, None,
                      scale, add)


def cross_entropy_and_grad(logits, targets, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0,
                           reduction="mean", out=None, scale=1.0, add=None):
    r"""`cross_entropy` and its gradient with respect to the logits.

    Parameters
    ----------
    logits : array_like
        A score for each class along `axis`, for each position along the other axes.
    targets : array_like
        The class of each position, of any integer type and of the shape of `logits` without `axis`; or a probability
        for each class, of the shape of `logits`.
    axis : int, optional
        The axis along which the classes lie, by default the last.
    weight : array_like, optional
        A factor for each class, an array of one axis.
    ignore_index : int, optional
        A target class to ignore: the gradient of its positions is 0.
    label_smoothing : float, optional
        How much of each target, from 0 to 1, is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}, optional
        How the losses of the positions are reduced. With "none" the loss is an array, and the gradient is that of its
        sum.
    out : ndarray, optional
        Where to put the gradient: an array of the shape of `logits`, which may be `logits` itself.
    scale : number, optional
        A factor of `logits`, such as 1/temperature, as in `logsumexp`.
    add : array_like, optional
        Numbers to add to the products, such as a bias for each class, broadcast with `logits` both ways.

    Returns
    -------
    loss : ndarray or scalar
        The result of `cross_entropy`; the last bit may differ.
    gradient : ndarray
        The gradient with respect to ``logits*scale + add``, in its shape and the memory order of `logits`, or `out`.
        The gradient with respect to `logits` is `scale` times that. It is 0 at positions that are ignored, and nan at
        all others if it is that of a mean over weights that add up to 0.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `logits` does not have.
    IndexError
        A target that is not a class: negative, or not less than the number of classes.
    ValueError
        Targets or weights of another shape, an unknown `reduction`, a `label_smoothing` outside of 0 to 1, an
        `ignore_index` for probabilities, an `out` of another shape or one that is read-only.
    TypeError
        Class targets that are not integers; an `out` of the wrong kind; an array that is masked, longdouble, complex or
        not numeric.
    MemoryError
        No memory for the gradient.

    See Also
    --------
    cross_entropy : describes the arguments in detail.

    Notes
    -----
    The gradient is :math:`w_t (p_c - [c = t])`, divided by the denominator of a mean. For class targets each
    exponential is computed once if the logits of a position fit in cache; otherwise, and for probabilities and
    smoothing, a second pass over the logits computes it again. At the target the gradient is :math:`-w_t (1 - p_t)`,
    where :math:`1 - p_t` is the sum over the other classes, and keeps its digits even if the answer is very confident.
    The largest error is 3 ULP for class targets whose weight, divided by the number of classes and by the denominator
    of a mean, is between 1e-17 and 1e17 (float64: 1e-140 and 1e140). With probabilities or smoothing, :math:`p_c \sum_i
    t_i w_i - t_c w_c` is a difference of two terms, and the error is 3 ULP of the larger.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import cross_entropy_and_grad
    >>> cross_entropy_and_grad(np.array([40.0, 0.0]), 0)
    (np.float64(4.248354255291589e-18), array([-4.24835426e-18,  4.24835426e-18]))
    """
    libraries = libraries_of(logits)
    if libraries is not None:
        return libraries.call(cross_entropy_and_grad, libraries.VALUE_AND_ELEMENTS, "logits", logits, axis, {
            "targets": targets, "weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing,
            "reduction": reduction, "out": out, "scale": scale, "add": add})
    return loss_array(LOGITS, LOSS_AND_GRADIENT, logits, targets, axis, weight, ignore_index, label_smoothing,
                      reduction, out, scale, add)


def nll_loss(log_probs, targets, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"):
    """`cross_entropy` of log-probabilities: the negative log-likelihood of results of a model or of `log_softmax`.

    Parameters
    ----------
    log_probs : array_like
        The logarithm of the probability of each class along `axis`, for each position along the other axes.
    targets : array_like
        The class of each position, of any integer type and of the shape of `log_probs` without `axis`; or a probability
        for each class, of the shape of `log_probs`.
    axis : int, optional
        The axis along which the classes lie, by default the last.
    weight : array_like, optional
        A factor for each class, an array of one axis.
    ignore_index : int, optional
        A target class to ignore.
    label_smoothing : float, optional
        How much of each target, from 0 to 1, is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}, optional
        How the losses of the positions are reduced.

    Returns
    -------
    ndarray or scalar
        The loss, or with ``reduction="none"`` an array of the shape of `log_probs` without `axis`.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `log_probs` does not have.
    IndexError
        A target that is not a class: negative, or not less than the number of classes.
    ValueError
        Targets or weights of another shape, an unknown `reduction`, a `label_smoothing` outside of 0 to 1, an
        `ignore_index` for probabilities.
    TypeError
        Class targets that are not integers; an array that is masked, longdouble, complex or not numeric.
    MemoryError
        No memory for the scratch of the call.

    See Also
    --------
    cross_entropy : describes the arguments in detail, and needs no log-probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import log_softmax, nll_loss
    >>> nll_loss(log_softmax([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]], axis=1), [0, 2], reduction="none")
    array([0.40760596, 1.09861229])
    """
    libraries = libraries_of(log_probs)
    if libraries is not None:
        return libraries.call(nll_loss, libraries.LOSSES, "log_probs", log_probs, axis, {
            "targets": targets, "weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing,
            "reduction": reduction})
    return loss_array(LOG_PROBABILITIES, LOSS, log_probs, targets, axis, weight, ignore_index, label_smoothing,
                      reduction, None, 1.0, None)


def log_prob(logits, targets, axis=-1, *, scale=1.0, add=None):
    """`log_softmax` at the targets, without computing it elsewhere.

    Parameters
    ----------
    logits : array_like
        A score for each class along `axis`, for each position along the other axes.
    targets : array_like of ints
        The class of each position, of the shape of `logits` without `axis`.
    axis : int, optional
        The axis along which the classes lie, by default the last.
    scale : number, optional
        A factor of `logits`, such as 1/temperature, as in `logsumexp`.
    add : array_like, optional
        Numbers to add to the products, such as a bias for each class, broadcast with `logits` both ways.

    Returns
    -------
    ndarray or scalar
        The logarithms of the probabilities of the targets, of the type of `logits`, float64 for integers and bool.

    Raises
    ------
    numpy.exceptions.AxisError
        An axis that `logits` does not have.
    IndexError
        A target that is not a class: negative, or not less than the number of classes.
    ValueError
        Targets of another shape.
    TypeError
        Targets that are not integers; an array that is masked, longdouble, complex or not numeric.
    MemoryError
        No memory for the scratch of the call.

    See Also
    --------
    log_softmax : all of it.
    cross_entropy : the mean of this with the opposite sign.

    Notes
    -----
    The function makes one pass over the logits. The largest error is 2 ULP for every finite input.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothmax import log_prob
    >>> log_prob(np.array([[2.0, 1.0, 0.0], [20.0, 0.0, 0.0]]), [2, 0])
    array([-2.40760596e+00, -4.12230724e-09])
    """
    libraries = libraries_of(logits)
    if libraries is not None:
        return libraries.call(log_prob, libraries.LOSSES, "logits", logits, axis, {
            "targets": targets, "scale": scale, "add": add})
    return log_prob_array(logits, targets, axis, scale, add)
