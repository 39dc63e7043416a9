"""Reductions, scans, segments, products, scores and cross_entropy of dask arrays: lazy, as accurate as in memory.

This file has the signatures and the documentation. _scale/dask_blocks.py has the functions of blocks and their graphs;
dask_means.py, dask_scans.py, dask_segments.py, dask_products.py, dask_scores.py and dask_losses.py have the special
parts of some functions. dask must be installed (``pip install smoothmax[dask]``).
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
    broadcast_shape,
    checked,
    finish_block,
    indexed,
    lazy,
    merged_blocks,
    meta_of,
    named,
    transform_block,
    write_block,
)
from smoothmax._scale.dask_losses import loss
from smoothmax._scale.dask_means import mean
from smoothmax._scale.dask_products import product
from smoothmax._scale.dask_scans import scan_blocks
from smoothmax._scale.dask_scores import draws, top
from smoothmax._scale.dask_segments import segments

__all__ = [
    "categorical", "cross_entropy", "log_softmax", "logcumsumexp", "logmatmulexp", "logmeanexp", "logsumexp",
    "segment_log_softmax", "segment_logsumexp", "segment_softmax", "softmax",
    "top_log_probs",
]  # fmt: skip

Axis = int | tuple[int, ...] | None


def prepared(
    a: Any, b: Any, where: Any, dtype: DTypeLike | None, scale: Any, add: Any
) -> tuple[Any, Any, Any, Any, tuple[int, ...], np.dtype[Any]]:
    """The arguments of a reduction as dask arrays, the shape that they are broadcast to, and the type of the result."""
    states.check_weights(b)
    a, where = checked(a, where)
    b, add, shape = lazy(b), lazy(add), a.shape
    result = states.dtype_of(a._meta, meta_of(b), dtype, scale, meta_of(add))
    for name, other in (("b", b), ("where", where), ("add", add)):
        if isinstance(other, da.Array):
            broadcast_shape(a, name, other)
            shape = da.core.broadcast_shapes(shape, other.shape)
    return a, b, where, add, shape, result


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
        The axes to sum over: all (None, the default), one, or several.
    b : dask array or array_like, optional
        Weights of the exponentials, broadcast with `a`.
    keepdims : bool, optional
        Keep the reduced axes in the result, with length 1.
    return_sign : bool, optional
        Also return the sign of the sum. Without it a negative sum gives nan.
    where : dask array or array_like of bool, optional
        The elements that take part, broadcast with `a`.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.
    scale : number, optional
        A factor of `a`, applied in each block.
    add : dask array or array_like, optional
        Numbers to add to the product, broadcast with `a`.
    split_every : int >= 2 or dict(axis: int), optional
        The number of blocks that are merged at a time, as in `dask.array.reduction`; by default the setting of that
        name in dask's configuration, or 32.

    Returns
    -------
    dask array
        The result; with `return_sign`, the pair of the result and the signs. A result without axes computes to a NumPy
        scalar.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.logsumexp`, and before anything is computed; longdouble and complex numbers are a TypeError.

    See Also
    --------
    smoothmax.LogSumExp : the same for data that arrives in chunks without dask.

    Notes
    -----
    Results have the accuracy of `smoothmax.logsumexp`, and the same bits if the blocks and `split_every` are the same.
    Inside a task the kernels use one thread. Weights keep their own range, as in `smoothmax.LogSumExp`.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import logsumexp
    >>> logsumexp(da.zeros(1000, chunks=300)).compute()
    np.float64(6.907755278982137)
    """
    a, b, where, add, shape, result = prepared(a, b, where, dtype, scale, add)
    ndim, computing = len(shape), dtype_with_weights(result, b)
    axes = states.axes_of(axis, ndim)
    operation = "logsumexp" if b is None else "weighted_logsumexp"
    sums = block_sums(operation, a, b, where, ndim, axes, computing, scale, add)
    keepdims = bool(keepdims)
    if not return_sign:
        return merged_blocks(
            sums, operation, axes, keepdims=keepdims, dtype=computing, split_every=split_every, result=result
        )
    whole = merged_blocks(sums, operation, axes, keepdims=keepdims, dtype=computing, split_every=split_every)
    return tuple(
        whole.map_blocks(
            partial(finish_block, part=part, operation=operation, dtype=computing, result=result),
            dtype=result,
            meta=np.empty((0,) * whole.ndim, result),
            token=operation,
        )
        for part in (0, 1)
    )


def transformed(
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
            broadcast_shape(x, name, other)
            arrays.append(other)
    ndim = max(one.ndim for one in arrays)
    axes = states.axes_of(axis, ndim)
    cut = any(one.numblocks[i - ndim] > 1 for one in arrays for i in axes if i - ndim >= -one.ndim)
    keywords = {"operation": operation, "axis": axes, "dtype": result, "scale": scale}
    arguments: list[Any] = [*indexed(x, ndim), *indexed(where, ndim), *indexed(add, ndim)]
    function: Any = transform_block
    if cut:
        sums = block_sums(operation, x, None, where, ndim, axes, result, scale, add)
        arguments += indexed(
            merged_blocks(sums, operation, axes, keepdims=True, dtype=result, split_every=split_every), ndim
        )
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
        The axes to sum over: all (None, the default), one, or several.
    where : dask array or array_like of bool, optional
        The elements that take part, broadcast with `x`. Where it is False the result is 0.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.
    scale : number, optional
        A factor of `x`, applied in each block.
    add : dask array or array_like, optional
        Numbers to add to the product, broadcast with `x`.
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
    If `axis` is not divided into blocks, each block is transformed in one task. Otherwise a block is needed twice; dask
    decides whether it stays in memory or is computed again.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import softmax
    >>> softmax(da.from_array([[600.0, 700.0, 800.0]], chunks=2), axis=1).compute()
    array([[1.38389653e-87, 3.72007598e-44, 1.00000000e+00]])
    """
    return transformed("softmax", x, axis, where, dtype, scale, add, split_every)


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
        The axes to sum over: all (None, the default), one, or several.
    where : dask array or array_like of bool, optional
        The elements that take part, broadcast with `x`. Where it is False the result is -inf.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.
    scale : number, optional
        A factor of `x`, applied in each block.
    add : dask array or array_like, optional
        Numbers to add to the product, broadcast with `x`.
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
    return transformed("log_softmax", x, axis, where, dtype, scale, add, split_every)


def logmeanexp(
    a: Any,
    axis: Axis = None,
    b: Any = None,
    keepdims: bool = False,
    *,
    where: Any = True,
    dtype: DTypeLike | None = None,
    scale: Any = 1.0,
    add: Any = None,
    split_every: int | dict[int, int] | None = None,
) -> Any:
    """`smoothmax.logmeanexp` of a dask array, lazily.

    Parameters
    ----------
    a : dask array or array_like
        The numbers to exponentiate, average and take the logarithm of, in blocks of any shape, also of unknown length.
    axis : None, int or tuple of ints, optional
        The axes to average over: all (None, the default), one, or several.
    b : dask array or array_like, optional
        Weights of the exponentials, broadcast with `a`. The sum is then divided by the sum of the weights.
    keepdims : bool, optional
        Keep the reduced axes in the result, with length 1.
    where : dask array or array_like of bool, optional
        The elements that take part, and are counted, broadcast with `a`.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.
    scale : number, optional
        A factor of `a`, applied in each block.
    add : dask array or array_like, optional
        Numbers to add to the product, broadcast with `a`.
    split_every : int >= 2 or dict(axis: int), optional
        The number of blocks that are merged at a time, as in `dask.array.reduction`.

    Returns
    -------
    dask array
        The result. A result without axes computes to a NumPy scalar.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.logmeanexp`, and before anything is computed; longdouble and complex numbers are a TypeError.

    See Also
    --------
    logsumexp : more on blocks, bits and threads.

    Notes
    -----
    Results have the accuracy of `smoothmax.logmeanexp`. Weights are read twice, once for their own sum.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import logmeanexp
    >>> logmeanexp(da.from_array([0.0, -1e-10], chunks=1)).compute()
    np.float64(-4.999999999875e-11)
    """
    a, b, where, add, shape, result = prepared(a, b, where, dtype, scale, add)
    return mean(
        a, b, where, add, shape=shape, axis=states.axes_of(axis, len(shape)), keepdims=bool(keepdims),
        dtype=dtype_with_weights(result, b), result=result, scale=scale, split_every=split_every,
    )  # fmt: skip


def logcumsumexp(
    a: Any, axis: int | None = None, *, reverse: bool = False, exclusive: bool = False, dtype: DTypeLike | None = None
) -> Any:
    """`smoothmax.logcumsumexp` of a dask array, lazily.

    Parameters
    ----------
    a : dask array or array_like
        The numbers to exponentiate, add and take the logarithm of, in blocks of any shape, also of unknown length.
    axis : None or int, optional
        The axis along which to sum. With None, the default, the sum goes through all elements in C's order, and dask
        makes new blocks for this.
    reverse : bool, optional
        Sum from each position to the end of the axis instead.
    exclusive : bool, optional
        Leave out the element at the position itself.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.

    Returns
    -------
    dask array
        The result, in the blocks of `a`.

    Raises
    ------
    TypeError, numpy.exceptions.AxisError
        As `smoothmax.logcumsumexp`, and before anything is computed; longdouble and complex numbers are a TypeError.

    See Also
    --------
    logsumexp : only the last result.

    Notes
    -----
    Every prefix has the bound of `smoothmax.logsumexp`, for any blocks. If `axis` is divided into blocks, a block is
    needed twice: for its partial sum, and for the results, which start from the merged partial sums of all earlier
    blocks. These have 32 bytes for each position on the other axes.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import logcumsumexp
    >>> logcumsumexp(da.from_array([1000.0, 1000.0, 0.0], chunks=1)).compute()
    array([1000.        , 1000.69314718, 1000.69314718])
    """
    a = da.asanyarray(a)
    result = states.dtype_of(a._meta, dtype=dtype)
    along = states.one_axis_of(axis, a.ndim)
    if along is None or a.ndim == 0:
        # Dask does not flatten arrays without elements (2026.8).
        a, along = da.zeros(0, dtype=a.dtype) if a.size == 0 else a.ravel(), 0
    return scan_blocks(a, along, bool(reverse), bool(exclusive), result)


def segment_logsumexp(a: Any, offsets: Any, axis: int = 0, *, dtype: DTypeLike | None = None) -> Any:
    """`smoothmax.segment_logsumexp` of a dask array, lazily.

    Parameters
    ----------
    a : dask array or array_like
        The numbers to exponentiate, add and take the logarithm of, of known length along the axis.
    offsets : array_like of n + 1 integers
        Segment i is ``a[offsets[i]:offsets[i + 1]]`` along the axis. The offsets must be in memory.
    axis : int, optional
        The axis that is divided, by default the first.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.

    Returns
    -------
    dask array
        `logsumexp` of each segment: the shape of `a`, with n along the axis.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.segment_logsumexp`, and before anything is computed; `offsets` that are a dask array, and
        longdouble and complex numbers, are a TypeError; an unknown length is a ValueError.

    See Also
    --------
    segment_softmax : the gradient of this function.

    Notes
    -----
    The array is cut into new blocks along the axis, each after the first segment that reaches the end of an old block.
    So a task has whole segments. The longest segment must fit in memory; `logsumexp` of a slice has no such limit.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import segment_logsumexp
    >>> segment_logsumexp(da.zeros(6, chunks=2), [0, 3, 3, 6]).compute()
    array([1.09861229,       -inf, 1.09861229])
    """
    return segments("segment_logsumexp", a, offsets, axis, dtype)


def segment_softmax(a: Any, offsets: Any, axis: int = 0, *, dtype: DTypeLike | None = None) -> Any:
    """`smoothmax.segment_softmax` of a dask array, lazily.

    Parameters
    ----------
    a : dask array or array_like
        The numbers to exponentiate, of known length along the axis.
    offsets : array_like of n + 1 integers
        Segment i is ``a[offsets[i]:offsets[i + 1]]`` along the axis. The offsets must be in memory.
    axis : int, optional
        The axis that is divided, by default the first.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.

    Returns
    -------
    dask array
        `softmax` of each segment, in the shape of `a`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `segment_logsumexp`.

    See Also
    --------
    segment_logsumexp : its notes say how blocks are cut.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import segment_softmax
    >>> segment_softmax(da.zeros(6, chunks=4), [0, 2, 6]).compute()
    array([0.5 , 0.5 , 0.25, 0.25, 0.25, 0.25])
    """
    return segments("segment_softmax", a, offsets, axis, dtype)


def segment_log_softmax(a: Any, offsets: Any, axis: int = 0, *, dtype: DTypeLike | None = None) -> Any:
    """`smoothmax.segment_log_softmax` of a dask array, lazily.

    Parameters
    ----------
    a : dask array or array_like
        The numbers to normalise, of known length along the axis.
    offsets : array_like of n + 1 integers
        Segment i is ``a[offsets[i]:offsets[i + 1]]`` along the axis. The offsets must be in memory.
    axis : int, optional
        The axis that is divided, by default the first.
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.

    Returns
    -------
    dask array
        `log_softmax` of each segment, in the shape of `a`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `segment_logsumexp`.

    See Also
    --------
    segment_logsumexp : its notes say how blocks are cut.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import segment_log_softmax
    >>> segment_log_softmax(da.from_array([20.0, 0.0, 7.0], chunks=1), [0, 2, 3]).compute()
    array([-2.06115362e-09, -2.00000000e+01,  0.00000000e+00])
    """
    return segments("segment_log_softmax", a, offsets, axis, dtype)


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
        A score for each class along `axis`, in blocks of any shape. The number of classes must be known, but the number
        of positions need not.
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
        A factor of `logits`, applied in each block.
    add : dask array or array_like, optional
        Numbers to add to the product, broadcast with `logits`.
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
        A target that is not a class, when it is computed.

    See Also
    --------
    smoothmax.cross_entropy : the meaning of the arguments.

    Notes
    -----
    If `axis` is not divided into blocks, each block is read once. Otherwise a block is needed twice, as for `softmax`;
    with probabilities or smoothing, a task then holds the log-probabilities of its block. Losses are added in float64,
    and targets are smoothed in float64 if the classes lie in several blocks.

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
    dtype : {float32, float64, float16, bfloat16}, optional
        The type of the computation and of the result.
    exact : bool, optional
        Sum the terms of each element separately instead of multiplying matrices of exponentials.
    split_every : int >= 2 or dict(axis: int), optional
        The number of products of blocks that are merged at a time, as in `dask.array.reduction`.

    Returns
    -------
    dask array
        The result, with the row blocks of `a` and the column blocks of `b`.

    Raises
    ------
    TypeError, ValueError
        As `smoothmax.logmatmulexp`, and before anything is computed; longdouble and complex numbers are a TypeError.

    See Also
    --------
    logsumexp : more on blocks, bits and threads.

    Notes
    -----
    A task multiplies a block of `a` by a block of `b`. If the summed axis is divided into blocks, these products are
    merged as partial sums of `logsumexp`. Without `exact`, the result keeps the bounds of `smoothmax.logmatmulexp`.
    With `exact`, the product of a block is rounded before it is merged: the absolute error stays within the default's
    bound, but where the largest term and the logarithm cancel, it may exceed 2 ULP. To avoid that, rechunk the summed
    axis to one block.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import logmatmulexp
    >>> logmatmulexp(da.zeros((2, 1000), chunks=300), da.zeros(1000, chunks=300)).compute()
    array([6.90775528, 6.90775528])
    """
    return product(a, b, dtype, exact, split_every)


def top_log_probs(
    logits: Any, k: int, axis: int = -1, *, split_every: int | dict[int, int] | None = None
) -> tuple[Any, Any]:
    """`smoothmax.top_log_probs` of a dask array, lazily.

    Parameters
    ----------
    logits : dask array or array_like
        Scores of the elements along `axis`, in blocks of any shape. The length of `axis` must be known, but other
        lengths need not.
    k : int
        The number of log-probabilities to return, from 0 to the length of `axis`.
    axis : int, optional
        The axis along which the probabilities add up to 1, by default the last.
    split_every : int >= 2 or dict(axis: int), optional
        The number of blocks whose candidates are merged at a time, as in `dask.array.reduction`.

    Returns
    -------
    log_probs, indices : dask arrays
        The k largest log-probabilities, the largest first, and their places along `axis`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.top_log_probs`, and before anything is computed; longdouble and complex numbers are a TypeError.

    See Also
    --------
    smoothmax.top_log_probs : the order of the results, and special values.

    Notes
    -----
    If `axis` is divided into blocks, each block gives its k largest elements, and those of all blocks are merged in a
    tree besides the sums of `log_softmax`. Both need each block; dask decides whether it stays in memory or is computed
    again.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import top_log_probs
    >>> log_probs, indices = top_log_probs(da.from_array([1.0, 4.0, 2.0, 4.0], chunks=2), 3)
    >>> indices.compute()
    array([1, 3, 2])
    """
    return top(logits, k, axis, split_every)


def categorical(logits: Any, axis: int = -1, *, size: Any = None, scale: Any = 1.0, rng: Any = None) -> Any:
    """`smoothmax.categorical` of a dask array, lazily.

    Parameters
    ----------
    logits : dask array or array_like
        Scores of the elements along `axis`, with a single chunk along it. The shape must be known.
    axis : int, optional
        The axis along which the probabilities add up to 1, by default the last.
    size : int or tuple of ints, optional
        The shape of the result, to which the shape of `logits` without `axis` must broadcast; by default that shape.
    scale : number, optional
        A factor of the logits, applied in each block.
    rng : None, int, or numpy.random.Generator, optional
        The source of random numbers, or anything else that `numpy.random.default_rng` takes.

    Returns
    -------
    dask array of intp
        The indices, in the blocks of `logits`; axes that `size` adds are not divided.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `smoothmax.categorical`, before anything is computed; also if `axis` is divided into several chunks.
        longdouble and complex numbers are a TypeError. Rows without a distribution are an error when they are computed.

    See Also
    --------
    smoothmax.categorical : how indices are drawn.

    Notes
    -----
    The uniform numbers, one for each draw, are taken from `rng` when this function is called, and lie in memory. So
    every computation gives the draws of `smoothmax.categorical` for the same array with the same seed, for any blocks.
    There is one exception: a few short rows are summed in another order than many, so in a smaller block a number
    within 2**-50 of the boundary between two elements may draw the other element.

    Examples
    --------
    >>> import dask.array as da
    >>> from smoothmax.dask import categorical
    >>> categorical(da.zeros((4, 100), chunks=(2, 100)), rng=3).compute()
    array([ 8, 23, 80, 58])
    """
    return draws(logits, axis, size, scale, rng)
