"""logsumexp, softmax and log_softmax of dask arrays: lazy, block by block, on the states of the kernels.

A block becomes an array of states, dask's reduction merges those in a tree, and blocks and merged states together
become the result. Needs dask (``pip install smoothmax[dask]``); no cluster, scheduler or mathematics of its own.
"""

from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from dask import config
from numpy.typing import DTypeLike

from smoothmax import _functions, _states
from smoothmax._threads import num_threads

__all__ = ["log_softmax", "logsumexp", "softmax"]

Axis = int | tuple[int, ...] | None
Array = np.ndarray[Any, Any]
SPLIT_EVERY = (
    32  # states merged at a time. A state is 32 bytes; dask's 4 is meant for blocks, and makes 35 tasks of 100
)


# Blocks: run by dask, in its threads or on other machines -------------------------------------------------------------


def reduce_block(x: Array, b: Any, where: Any, *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    with num_threads(1):  # there are as many blocks at a time as the scheduler wants to be busy
        return _states.reduced(operation, x, axis, b, where, dtype)[0]


def reduce_chunk(x: Array, *, axis: tuple[int, ...], keepdims: bool, operation: str, dtype: np.dtype[Any]) -> Array:  # noqa: ARG001
    """As dask's reduction calls it. What comes from blocks of several arrays is states already."""
    if x.dtype == _states.STATE:
        return x
    return reduce_block(x, None, True, operation=operation, axis=axis, dtype=dtype)


def merge_blocks(
    states: Array, *, axis: tuple[int, ...], keepdims: bool, operation: str, dtype: np.dtype[Any]
) -> Array:
    merged = _states.merged(operation, states, axis, dtype)
    return merged if keepdims else np.squeeze(merged, axis=axis)


def finish_blocks(states: Array, *, axis: tuple[int, ...], keepdims: bool, operation: str, dtype: np.dtype[Any]) -> Any:
    merged = merge_blocks(states, axis=axis, keepdims=keepdims, operation=operation, dtype=dtype)
    return _states.finished(operation, merged, dtype)


def finish_block(states: Array, *, part: int, operation: str, dtype: np.dtype[Any]) -> Any:
    """The results, or their signs."""
    return _states.finished(operation, states, dtype, True)[part]


def write_block(
    x: Array, where: Any, states: Array, *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    with num_threads(1):
        return _states.written(operation, x, axis, where, states, dtype)


def transform_block(x: Array, where: Any, *, operation: str, axis: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    with num_threads(1):
        return getattr(_functions, operation)(x, axis=axis, where=where, dtype=dtype)


# Arrays --------------------------------------------------------------------------------------------------------------


def checked(x: Any, where: Any) -> tuple[Any, Any]:
    """Dask arrays of the input and of the mask, which stays True if it is; the mask widens the input."""
    x = da.asanyarray(x)
    if where is not True:
        where = da.asanyarray(where)
        if where.dtype != bool:
            raise TypeError(f"where must be an array of bool, got dtype {where.dtype}")
    return x, where


def broadcast(x: Any, name: str, other: Any) -> tuple[int, ...]:
    try:
        shape: tuple[int, ...] = da.core.broadcast_shapes(x.shape, other.shape)
    except ValueError:
        raise ValueError(
            f"{name} of shape {other.shape} does not broadcast with the input of shape {x.shape}"
        ) from None
    return shape


def indexed(array: Any, ndim: int) -> tuple[Any, Any]:
    """An argument of blockwise: an array and which of the ndim axes it has, or anything else and None."""
    return (array, tuple(range(ndim - array.ndim, ndim))) if isinstance(array, da.Array) else (array, None)


def block_states(
    operation: str, x: Any, b: Any, where: Any, ndim: int, axis: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    """The states of each block, of length 1 along the reduced axes; of one array alone, left to dask's reduction."""
    if b is None and where is True:
        return x
    return da.blockwise(
        partial(reduce_block, operation=operation, axis=axis, dtype=dtype),
        tuple(range(ndim)),
        *indexed(x, ndim),
        *indexed(b, ndim),
        *indexed(where, ndim),
        adjust_chunks={i: lambda _: 1 for i in axis},
        dtype=_states.STATE,
        meta=np.empty((0,) * ndim, _states.STATE),
        name=None,
        token=f"{operation}-states",
    )


def merged(
    finish: Any, states: Any, operation: str, axis: tuple[int, ...], keepdims: bool, dtype: Any, split_every: Any
) -> Any:
    """The states of all blocks merged by dask's reduction, and `finish` of them."""
    keywords = {"operation": operation, "dtype": dtype}
    result = _states.STATE if finish is merge_blocks else dtype
    ndim = states.ndim if keepdims else states.ndim - len(axis)
    return da.reduction(
        states,
        chunk=partial(reduce_chunk, **keywords),
        combine=partial(merge_blocks, **keywords),
        aggregate=partial(finish, **keywords),
        axis=axis,
        keepdims=keepdims,
        dtype=_states.STATE,  # of what is merged; meta says what comes out
        split_every=split_every or config.get("split_every", SPLIT_EVERY),
        name=operation,
        meta=np.empty((0,) * ndim, result),
    )


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
        token=operation,
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
