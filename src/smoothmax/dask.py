"""logsumexp, softmax, log_softmax, cross_entropy of dask arrays: lazy, block by block, on the states of the kernels.

Signatures and documentation; _scale/dask_blocks.py has the blocks and their graphs, dask_losses.py those of the loss.
Needs dask (``pip install smoothmax[dask]``).
"""

from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import DTypeLike

from smoothmax._partial import states as _states
from smoothmax._scale.dask_blocks import (
    block_states,
    broadcast,
    checked,
    finish_block,
    finish_blocks,
    indexed,
    merge_blocks,
    merged,
    named,
    transform_block,
    write_block,
)
from smoothmax._scale.dask_losses import loss

__all__ = ["cross_entropy", "log_softmax", "logsumexp", "softmax"]

Axis = int | tuple[int, ...] | None


def logsumexp(
    a: Any,
    axis: Axis = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    where: Any = True,
    dtype: DTypeLike | None = None,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.logsumexp` of a dask array, lazily.

    Parameters
    ----------
    a : dask array or array_like
        The numbers to exponentiate, add and take the logarithm of, in blocks of any shape and of unknown length too.
    axis : None, int or tuple of ints, optional
        What is summed over: everything (None, the default), one axis, or several.
    b : dask array or array_like, optional
        Weights of the exponentials, broadcast with `a`.
    keepdims : bool, optional
        Keep the reduced axes in the result, with length 1.
    return_sign : bool, optional
        Also return the sign of the sum. Without it a negative sum gives nan.
    where : dask array or array_like of bool, optional
        The elements that take part, broadcast with `a`.
    dtype : {float32, float64, float16}, optional
        The type of the computation and of the result.
    split_every : int >= 2 or dict(axis: int), optional
        How many blocks are merged at a time, as in `dask.array.reduction`; unless given, the setting of that name in
        dask's configuration, or 32.

    Returns
    -------
    dask array
        The result; with `return_sign`, the pair of it and of the signs.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.logsumexp`, and before anything is computed. longdouble and complex are refused.

    See Also
    --------
    smoothmax.LogSumExp : the state that is merged here, for other ways to get data piece by piece.

    Notes
    -----
    Results agree with those of one array within the error of `smoothmax.logsumexp`, and have the same bits whenever
    the blocks and `split_every` are the same. Inside a task the kernels use one thread.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import logsumexp
    >>> logsumexp(da.zeros(1000, chunks=300)).compute()
    np.float64(6.907755278982137)
    """
    a, where = checked(a, where)
    shape, ndim = a.shape, a.ndim
    if b is not None and not isinstance(b, (bool, int, float)):
        b = da.asanyarray(b)
    kind = _states.dtype_of(a._meta, b._meta if isinstance(b, da.Array) else b, dtype)
    for name, other in (("b", b), ("where", where)):
        if isinstance(other, da.Array):
            broadcast(a, name, other)
            shape = da.core.broadcast_shapes(shape, other.shape)
            ndim = len(shape)
    axes = _states.axes_of(axis, ndim)
    operation = "logsumexp" if b is None else "weighted_logsumexp"
    states = block_states(operation, a, b, where, ndim, axes, kind)
    keepdims = bool(keepdims)
    if not return_sign:
        return merged(finish_blocks, states, operation, axes, keepdims, kind, split_every)
    whole = merged(merge_blocks, states, operation, axes, keepdims, kind, split_every)
    return tuple(
        whole.map_blocks(
            partial(finish_block, part=part, operation=operation, dtype=kind),
            dtype=kind,
            meta=np.empty((0,) * whole.ndim, kind),
            token=operation,
        )
        for part in (0, 1)
    )


def transform(operation: str, x: Any, axis: Axis, where: Any, dtype: DTypeLike | None, split_every: Any) -> Any:
    x, where = checked(x, where)
    kind = _states.dtype_of(x._meta, None, dtype)
    ndim = x.ndim if where is True else len(broadcast(x, "where", where))
    axes = _states.axes_of(axis, ndim)
    arrays = [one for one in (x, where) if isinstance(one, da.Array)]
    cut = any(one.numblocks[i - ndim] > 1 for one in arrays for i in axes if i - ndim >= -one.ndim)
    keywords = {"operation": operation, "axis": axes, "dtype": kind}
    arguments: list[Any] = [*indexed(x, ndim), *indexed(where, ndim)]
    function: Any = transform_block
    if cut:
        states = block_states(operation, x, None, where, ndim, axes, kind)
        arguments += indexed(merged(merge_blocks, states, operation, axes, True, kind, split_every), ndim)
        function = write_block
    return da.blockwise(
        partial(function, **keywords),
        tuple(range(ndim)),
        *arguments,
        dtype=kind,
        meta=np.empty((0,) * ndim, kind),
        token=named(operation, x),
    )


def softmax(
    x: Any,
    axis: Axis = None,
    *,
    where: Any = True,
    dtype: DTypeLike | None = None,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.softmax` of a dask array, lazily.

    Parameters
    ----------
    x : dask array or array_like
        The numbers to exponentiate, in blocks of any shape and of unknown length too.
    axis : None, int or tuple of ints, optional
        What is summed over: everything (None, the default), one axis, or several.
    where : dask array or array_like of bool, optional
        The elements that take part, broadcast with `x`. Where it is False the result is 0.
    dtype : {float32, float64, float16}, optional
        The type of the computation and of the result.
    split_every : int >= 2 or dict(axis: int), optional
        How many blocks are merged at a time, as in `dask.array.reduction`.

    Returns
    -------
    dask array
        The result, in the blocks of `x`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.softmax`, and before anything is computed. longdouble and complex are refused.

    See Also
    --------
    logsumexp : more on blocks, bits and threads.

    Notes
    -----
    Where `axis` is not cut into blocks, each is transformed on its own, in one task. Where it is, a block is needed
    twice, so it is kept in memory or computed again, as dask decides.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import softmax
    >>> softmax(da.from_array([[600.0, 700.0, 800.0]], chunks=2), axis=1).compute()
    array([[1.38389653e-87, 3.72007598e-44, 1.00000000e+00]])
    """
    return transform("softmax", x, axis, where, dtype, split_every)


def log_softmax(
    x: Any,
    axis: Axis = None,
    *,
    where: Any = True,
    dtype: DTypeLike | None = None,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.log_softmax` of a dask array, lazily.

    Parameters
    ----------
    x : dask array or array_like
        The numbers to normalise, in blocks of any shape and of unknown length too.
    axis : None, int or tuple of ints, optional
        What is summed over: everything (None, the default), one axis, or several.
    where : dask array or array_like of bool, optional
        The elements that take part, broadcast with `x`. Where it is False the result is -inf.
    dtype : {float32, float64, float16}, optional
        The type of the computation and of the result.
    split_every : int >= 2 or dict(axis: int), optional
        How many blocks are merged at a time, as in `dask.array.reduction`.

    Returns
    -------
    dask array
        The result, in the blocks of `x`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.log_softmax`, and before anything is computed. longdouble and complex are refused.

    See Also
    --------
    softmax : the exponential of this function, and a note on blocks.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import log_softmax
    >>> log_softmax(da.from_array([20.0, 0.0], chunks=1)).compute()
    array([-2.06115362e-09, -2.00000000e+01])
    """
    return transform("log_softmax", x, axis, where, dtype, split_every)


def cross_entropy(
    logits: Any,
    targets: Any,
    axis: int = -1,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.cross_entropy` of a dask array, lazily.

    Parameters
    ----------
    logits : dask array or array_like
        A score for each class along `axis`, in blocks of any shape. How many positions there are need not be known, how
        many classes must be.
    targets : dask array or array_like
        The class of each position, or a probability for each class; in the blocks of `logits`, or others that dask can
        align with them.
    axis : int, optional
        The axis along which the classes lie, by default the last.
    weight : dask array or array_like, optional
        A factor for each class.
    ignore_index : int, optional
        A target class that does not count.
    label_smoothing : float, optional
        How much of each target, from 0 to 1, is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}, optional
        What becomes of the losses of the positions.
    split_every : int >= 2 or dict(axis: int), optional
        How many blocks are merged or added at a time, as in `dask.array.reduction`.

    Returns
    -------
    dask array
        The loss, or with ``reduction="none"`` the losses in the blocks of `logits`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.cross_entropy`, and before anything is computed.
    IndexError
        A target that is no class, when it is computed.

    See Also
    --------
    smoothmax.cross_entropy : what the arguments mean.

    Notes
    -----
    Where `axis` is not cut into blocks, each is read once. Where it is, a block is needed twice, as for `softmax`; with
    probabilities or smoothing, a task then holds the log-probabilities of its block. Losses are added in float64.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import cross_entropy
    >>> logits = da.from_array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]], chunks=(1, 2))
    >>> cross_entropy(logits, [0, 2], reduction="none").compute()
    array([0.40760596, 1.09861229])
    """
    return loss(logits, targets, axis, weight, ignore_index, label_smoothing, reduction, split_every)
