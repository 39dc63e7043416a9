"""logsumexp, softmax, log_softmax, logmatmulexp, cross_entropy of dask arrays: lazy, block by block, as accurate.

This file has the signatures and the documentation. _scale/dask_blocks.py has the functions of blocks and their graphs,
dask_losses.py those of the loss. Needs dask (``pip install smoothmax[dask]``).
"""

from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import DTypeLike

from smoothmax._partial import states
from smoothmax._partial.weights import dtype_with_weights
from smoothmax._scale.dask_blocks import (
    block_sums,
    broadcast,
    checked,
    finish_block,
    indexed,
    lazy,
    merged,
    meta_of,
    named,
    transform_block,
    write_block,
)
from smoothmax._scale.dask_losses import loss
from smoothmax._scale.dask_products import product

__all__ = ["cross_entropy", "log_softmax", "logmatmulexp", "logsumexp", "softmax"]

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
    scale: Any = 1.0,
    add: Any = None,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.logsumexp` of a dask array, lazily.

    Parameters
    ----------
    a : dask array or array_like
        The numbers to exponentiate, add and take the logarithm of, in blocks of any shape, also of unknown length.
    axis : None, int or tuple of ints, optional
        The axes that are summed over: all (None, the default), one, or several.
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
    scale : number, optional
        What `a` is multiplied by, in each block.
    add : dask array or array_like, optional
        What is added to the product, broadcast with `a`.
    split_every : int >= 2 or dict(axis: int), optional
        The number of blocks that are merged at a time, as in `dask.array.reduction`; by default the setting of that
        name in dask's configuration, or 32.

    Returns
    -------
    dask array
        The result; with `return_sign`, the pair of the result and the signs. A result of no axes computes to a NumPy
        scalar.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.logsumexp`, and before anything is computed; longdouble and complex numbers are a TypeError.

    See Also
    --------
    smoothmax.LogSumExp : the same for data that arrives in chunks by other ways.

    Notes
    -----
    Results have the accuracy that `smoothmax.logsumexp` promises, and the same bits whenever the blocks and
    `split_every` are the same. Inside a task the kernels use one thread. Weights keep their own range, as in
    `smoothmax.LogSumExp`.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import logsumexp
    >>> logsumexp(da.zeros(1000, chunks=300)).compute()
    np.float64(6.907755278982137)
    """
    a, where = checked(a, where)
    shape, ndim = a.shape, a.ndim
    b, add = lazy(b), lazy(add)
    result = states.dtype_of(a._meta, meta_of(b), dtype, scale, meta_of(add))
    computing = dtype_with_weights(result, b)
    for name, other in (("b", b), ("where", where), ("add", add)):
        if isinstance(other, da.Array):
            broadcast(a, name, other)
            shape = da.core.broadcast_shapes(shape, other.shape)
            ndim = len(shape)
    axes = states.axes_of(axis, ndim)
    operation = "logsumexp" if b is None else "weighted_logsumexp"
    sums = block_sums(operation, a, b, where, ndim, axes, computing, scale, add)
    keepdims = bool(keepdims)
    if not return_sign:
        return merged(sums, operation, axes, keepdims, computing, split_every, result)
    whole = merged(sums, operation, axes, keepdims, computing, split_every)
    return tuple(
        whole.map_blocks(
            partial(finish_block, part=part, operation=operation, dtype=computing, result=result),
            dtype=result,
            meta=np.empty((0,) * whole.ndim, result),
            token=operation,
        )
        for part in (0, 1)
    )


def transform(
    operation: str,
    x: Any,
    axis: Axis,
    where: Any,
    dtype: DTypeLike | None,
    scale: Any,
    add: Any,
    split_every: Any,
) -> Any:
    x, where = checked(x, where)
    add = lazy(add)
    result = states.dtype_of(x._meta, None, dtype, scale, meta_of(add))
    arrays = [x]
    for name, other in (("where", where), ("add", add)):
        if isinstance(other, da.Array):
            broadcast(x, name, other)
            arrays.append(other)
    ndim = max(one.ndim for one in arrays)
    axes = states.axes_of(axis, ndim)
    cut = any(one.numblocks[i - ndim] > 1 for one in arrays for i in axes if i - ndim >= -one.ndim)
    keywords = {"operation": operation, "axis": axes, "dtype": result, "scale": scale}
    arguments: list[Any] = [*indexed(x, ndim), *indexed(where, ndim), *indexed(add, ndim)]
    function: Any = transform_block
    if cut:
        sums = block_sums(operation, x, None, where, ndim, axes, result, scale, add)
        arguments += indexed(merged(sums, operation, axes, True, result, split_every), ndim)
        function = write_block
    return da.blockwise(
        partial(function, **keywords),
        tuple(range(ndim)),
        *arguments,
        dtype=result,
        meta=np.empty((0,) * ndim, result),
        token=named(operation, x),
    )


def softmax(
    x: Any,
    axis: Axis = None,
    *,
    where: Any = True,
    dtype: DTypeLike | None = None,
    scale: Any = 1.0,
    add: Any = None,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.softmax` of a dask array, lazily.

    Parameters
    ----------
    x : dask array or array_like
        The numbers to exponentiate, in blocks of any shape, also of unknown length.
    axis : None, int or tuple of ints, optional
        The axes that are summed over: all (None, the default), one, or several.
    where : dask array or array_like of bool, optional
        The elements that take part, broadcast with `x`. Where it is False the result is 0.
    dtype : {float32, float64, float16}, optional
        The type of the computation and of the result.
    scale : number, optional
        What `x` is multiplied by, in each block.
    add : dask array or array_like, optional
        What is added to the product, broadcast with `x`.
    split_every : int >= 2 or dict(axis: int), optional
        The number of blocks that are merged at a time, as in `dask.array.reduction`.

    Returns
    -------
    dask array
        The result, in the blocks of `x`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.softmax`, and before anything is computed; longdouble and complex numbers are a TypeError.

    See Also
    --------
    logsumexp : more on blocks, bits and threads.

    Notes
    -----
    Where `axis` is not divided into blocks, each block is transformed in one task. Where it is, a block is needed
    twice, so it stays in memory or is computed again, as dask decides.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import softmax
    >>> softmax(da.from_array([[600.0, 700.0, 800.0]], chunks=2), axis=1).compute()
    array([[1.38389653e-87, 3.72007598e-44, 1.00000000e+00]])
    """
    return transform("softmax", x, axis, where, dtype, scale, add, split_every)


def log_softmax(
    x: Any,
    axis: Axis = None,
    *,
    where: Any = True,
    dtype: DTypeLike | None = None,
    scale: Any = 1.0,
    add: Any = None,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.log_softmax` of a dask array, lazily.

    Parameters
    ----------
    x : dask array or array_like
        The numbers to normalise, in blocks of any shape, also of unknown length.
    axis : None, int or tuple of ints, optional
        The axes that are summed over: all (None, the default), one, or several.
    where : dask array or array_like of bool, optional
        The elements that take part, broadcast with `x`. Where it is False the result is -inf.
    dtype : {float32, float64, float16}, optional
        The type of the computation and of the result.
    scale : number, optional
        What `x` is multiplied by, in each block.
    add : dask array or array_like, optional
        What is added to the product, broadcast with `x`.
    split_every : int >= 2 or dict(axis: int), optional
        The number of blocks that are merged at a time, as in `dask.array.reduction`.

    Returns
    -------
    dask array
        The result, in the blocks of `x`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.log_softmax`, and before anything is computed; longdouble and complex numbers are a TypeError.

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
    return transform("log_softmax", x, axis, where, dtype, scale, add, split_every)


def cross_entropy(
    logits: Any,
    targets: Any,
    axis: int = -1,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    scale: Any = 1.0,
    add: Any = None,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.cross_entropy` of a dask array, lazily.

    Parameters
    ----------
    logits : dask array or array_like
        A score for each class along `axis`, in blocks of any shape. The number of classes must be known, the number of
        positions need not be.
    targets : dask array or array_like
        The class of each position, or a probability for each class, in any blocks that dask can align with those of
        `logits`.
    axis : int, optional
        The axis along which the classes lie, by default the last.
    weight : dask array or array_like, optional
        A factor for each class.
    ignore_index : int, optional
        A class whose positions do not count.
    label_smoothing : float, optional
        How much of each target, from 0 to 1, is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}, optional
        Return the weighted mean of the positions' losses (the default), their sum, or all of them.
    scale : number, optional
        What `logits` is multiplied by, in each block.
    add : dask array or array_like, optional
        What is added to the product, broadcast with `logits`.
    split_every : int >= 2 or dict(axis: int), optional
        The number of blocks that are merged or added at a time, as in `dask.array.reduction`.

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
    Where `axis` is not divided into blocks, each block is read once. Where it is, a block is needed twice, as for
    `softmax`; with probabilities or smoothing, a task then holds the log-probabilities of its block. Losses are added
    in float64, and targets are smoothed in float64 if the classes lie in several blocks.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import cross_entropy
    >>> logits = da.from_array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]], chunks=(1, 2))
    >>> cross_entropy(logits, [0, 2], reduction="none").compute()
    array([0.40760596, 1.09861229])
    """
    return loss(logits, targets, axis, weight, ignore_index, label_smoothing, reduction, split_every, scale, add)


def logmatmulexp(
    a: Any,
    b: Any,
    *,
    dtype: DTypeLike | None = None,
    exact: bool = False,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.logmatmulexp` of dask arrays, lazily.

    Parameters
    ----------
    a : dask array or array_like, shape (k,) or (..., n, k)
        The logarithms of the first matrix, of a stack of them, or of a vector.
    b : dask array or array_like, shape (k,) or (..., k, m)
        The logarithms of the second matrix, of a stack of them, or of a vector, in any blocks that dask can align with
        those of `a`.
    dtype : {float32, float64, float16}, optional
        The type of the computation and of the result.
    exact : bool, optional
        Sum the terms of each element by itself instead of multiplying matrices of exponentials.
    split_every : int >= 2 or dict(axis: int), optional
        The number of products of blocks that are merged at a time, as in `dask.array.reduction`.

    Returns
    -------
    dask array
        The result, in the rows' blocks of `a` and the columns' blocks of `b`.

    Raises
    ------
    TypeError, ValueError
        As `smoothmax.logmatmulexp`, and before anything is computed; longdouble and complex numbers are a TypeError.

    See Also
    --------
    logsumexp : more on blocks, bits and threads.

    Notes
    -----
    A task multiplies a block of `a` by one of `b`. Where the axis that is summed over is divided into blocks, these
    products are merged as partial sums of `logsumexp`, and the result holds the bounds of `smoothmax.logmatmulexp`.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import logmatmulexp
    >>> logmatmulexp(da.zeros((2, 1000), chunks=300), da.zeros(1000, chunks=300)).compute()
    array([6.90775528, 6.90775528])
    """
    return product(a, b, dtype, exact, split_every)
