"""Calls with arrays of pandas and xarray, whose results get the labels that they keep."""

import sys
from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from smoothmax._arrays.foreign import library_of

__all__ = [
    "ELEMENTS", "LOSSES", "PRODUCT", "REDUCED", "SEGMENTS", "VALUE_AND_ELEMENTS", "call_pandas", "call_xarray",
]  # fmt: skip

# The kinds of results, for libraries that have labels:
REDUCED = "reduced"  # one number for each reduction, or a pair of these
ELEMENTS = "elements"  # one number for each element
SEGMENTS = "segments"  # one number for each segment of an axis, or for each of the largest elements along it
LOSSES = "losses"  # one number for all, or one for each position
VALUE_AND_ELEMENTS = "value and elements"  # a pair of these two
PRODUCT = "product"  # of two arrays, without an axis; labels do not tell which axes are multiplied

Keywords = dict[str, Any]
Function = Callable[..., Any]


def counted_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes as numbers that are not negative; empty if they are not integers, which the function itself refuses."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(isinstance(i, bool) or not hasattr(i, "__index__") for i in axes):
        return ()
    return tuple(index(i) + ndim if i < 0 else index(i) for i in axes)


def kinds_of(kind: str, result: Any) -> list[tuple[str, Any]]:
    """Pairs of a kind and a result."""
    if kind == VALUE_AND_ELEMENTS:
        return list(zip((LOSSES, ELEMENTS), result, strict=True))
    return [(kind, value) for value in (result if isinstance(result, tuple) else (result,))]


def given_back(give: Callable[[str, Any], Any], kind: str, result: Any) -> Any:
    values = [give(*pair) for pair in kinds_of(kind, result)]
    return tuple(values) if isinstance(result, tuple) else values[0]


def call_pandas(function: Function, kind: str, name: str, x: Any, axis: Any, keywords: Keywords) -> Any:
    labels = [x.index, x.columns] if x.ndim == 2 else [x.index]
    along = counted_axes(axis, x.ndim)
    for other_name, other in keywords.items():
        if library_of(other) == "pandas" and other_name != "offsets":
            wanted = labels
            if other_name == "weight":  # of classes
                wanted = [one for i, one in enumerate(labels) if i in along]
            elif other_name == "targets" and other.ndim < x.ndim:  # classes of positions
                wanted = [one for i, one in enumerate(labels) if i not in along]
            check_labels(name, wanted, other_name, other)
    result = function(**{name: x.to_numpy()}, axis=axis, **keywords)

    def give(kind: str, value: Any) -> Any:
        reduced = counted_axes(axis, x.ndim)
        if kind == ELEMENTS:
            return labelled(x, value, labels) if np.shape(value) == x.shape else value
        if np.ndim(value) == 0:
            return value
        if kind == SEGMENTS or keywords.get("keepdims"):
            return labelled(x, value, [None if i in reduced else one for i, one in enumerate(labels)])
        left = [one for i, one in enumerate(labels) if i not in reduced]
        return labelled(x, value, left) if np.shape(value) == tuple(map(len, left)) else value

    return given_back(give, kind, result)


def check_labels(name: str, labels: list[Any], other_name: str, other: Any) -> None:
    """Refuse an argument with other labels, because pandas would align it, but NumPy broadcasts by position."""
    own = [other.index, other.columns] if other.ndim == 2 else [other.index]
    for one, wanted in zip(reversed(own), reversed(labels), strict=False):
        if len(one) > 1 and not one.equals(wanted):
            raise ValueError(f"{other_name} must have the labels of {name}, got others: reindex it, or pass its "
                             "to_numpy()")  # fmt: skip


def labelled(x: Any, value: Any, labels: list[Any]) -> Any:
    """The value as a Series or DataFrame like x; None means labels that count from 0."""
    if len(labels) == 2:
        result = x._constructor(value, index=labels[0], columns=labels[1], copy=False)
    else:
        make = x._constructor if x.ndim == 1 else x._constructor_sliced
        result = make(value, index=labels[0], name=getattr(x, "name", None) if x.ndim == 1 else None, copy=False)
    return result.__finalize__(x)


def call_xarray(function: Function, kind: str, name: str, x: Any, axis: Any, keywords: Keywords) -> Any:
    xarray = sys.modules["xarray"]
    others = {key: other for key, other in keywords.items() if library_of(other) == "xarray"}
    keywords = keywords | {key: other.data for key, other in others.items()}
    together = {key: other for key, other in others.items() if key not in ("targets", "weight", "offsets")}
    reduced = counted_axes(axis, x.ndim)
    if axis is not None and reduced:
        axis = reduced if isinstance(axis, tuple) else reduced[0]
    if "targets" in others:
        targets = others["targets"]
        xarray.align(x, targets, join="exact", copy=False)
        for dims in (x.dims, [dim for i, dim in enumerate(x.dims) if i not in reduced]):
            targets = targets.transpose(*dims) if set(targets.dims) == set(dims) else targets
        keywords = keywords | {"targets": targets.data}
    if "weight" in others:
        xarray.align(x, others["weight"], join="exact", copy=False)
    if together:
        x, *broadcast = xarray.broadcast(*xarray.align(x, *together.values(), join="exact", copy=False))
        keywords = keywords | {key: other.data for key, other in zip(together, broadcast, strict=True)}
    keepdims = bool(keywords.get("keepdims", False))
    if "keepdims" in keywords:
        keywords = keywords | {"keepdims": False}
    result = function(**{name: x.data}, axis=axis, **keywords)

    def give(kind: str, value: Any) -> Any:
        if kind == SEGMENTS:
            dim = x.dims[reduced[0]]
            core = {"input_core_dims": [[dim]], "output_core_dims": [[dim]], "exclude_dims": {dim}}
            last = np.moveaxis(value, reduced[0], -1)
            return xarray.apply_ufunc(lambda _: last, x, dask="allowed", **core).transpose(*x.dims)
        if kind == ELEMENTS or not reduced:
            return xarray.apply_ufunc(lambda _: value, x, dask="allowed") if np.shape(value) == x.shape else value
        dims = [x.dims[i] for i in reduced] if axis is not None and (np.ndim(value) or len(reduced) == x.ndim) else None
        left = [n for i, n in enumerate(x.shape) if dims is not None and i not in reduced]
        if np.shape(value) != tuple(left):
            return value
        return x.reduce(lambda *_, **__: value, dim=dims, keepdims=keepdims)

    return given_back(give, kind, result)
