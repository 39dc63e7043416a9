"""The types of functions of segments, as far as their arguments determine them; functions.pyi explains the notation."""

from typing import Any, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from smoothmax._api.functions import (
    _F,
    _R,
    _Anything,
    _AnyType,
    _Arrays,
    _Buffer,
    _Few,
    _Number,
    _Out,
    _Shape,
    _Type,
)  # fmt: skip

__all__ = ["offsets_from_ids", "segment_log_softmax", "segment_logsumexp", "segment_softmax"]

_Offsets: TypeAlias = _Arrays[np.integer[Any]] | _Few[int]

@overload
def segment_logsumexp(
    a: np.ndarray[_Shape, np.dtype[_F]],
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: None = None,
    dtype: None = None,
) -> np.ndarray[_Shape, np.dtype[_F]]: ...
@overload
def segment_logsumexp(
    a: _Arrays[_F], offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: None = None
) -> NDArray[_F]: ...
@overload
def segment_logsumexp(
    a: _Buffer, offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: None = None
) -> NDArray[Any]: ...
@overload
def segment_logsumexp(
    a: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number],
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: None = None,
    dtype: None = None,
) -> NDArray[np.float64]: ...
@overload
def segment_logsumexp(
    a: _Anything, offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: _Type[_R]
) -> NDArray[_R]: ...
@overload
def segment_logsumexp(
    a: _Anything, offsets: _Offsets, axis: SupportsIndex = 0, *, out: _Out, dtype: _AnyType | None = None
) -> _Out: ...
@overload
def segment_logsumexp(
    a: _Anything,
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: NDArray[np.inexact[Any]] | None = None,
    dtype: _AnyType | None = None,
) -> NDArray[Any]: ...
@overload
def segment_softmax(
    a: np.ndarray[_Shape, np.dtype[_F]],
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: None = None,
    dtype: None = None,
) -> np.ndarray[_Shape, np.dtype[_F]]: ...
@overload
def segment_softmax(
    a: _Arrays[_F], offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: None = None
) -> NDArray[_F]: ...
@overload
def segment_softmax(
    a: _Buffer, offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: None = None
) -> NDArray[Any]: ...
@overload
def segment_softmax(
    a: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number],
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: None = None,
    dtype: None = None,
) -> NDArray[np.float64]: ...
@overload
def segment_softmax(
    a: _Anything, offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: _Type[_R]
) -> NDArray[_R]: ...
@overload
def segment_softmax(
    a: _Anything, offsets: _Offsets, axis: SupportsIndex = 0, *, out: _Out, dtype: _AnyType | None = None
) -> _Out: ...
@overload
def segment_softmax(
    a: _Anything,
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: NDArray[np.inexact[Any]] | None = None,
    dtype: _AnyType | None = None,
) -> NDArray[Any]: ...
@overload
def segment_log_softmax(
    a: np.ndarray[_Shape, np.dtype[_F]],
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: None = None,
    dtype: None = None,
) -> np.ndarray[_Shape, np.dtype[_F]]: ...
@overload
def segment_log_softmax(
    a: _Arrays[_F], offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: None = None
) -> NDArray[_F]: ...
@overload
def segment_log_softmax(
    a: _Buffer, offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: None = None
) -> NDArray[Any]: ...
@overload
def segment_log_softmax(
    a: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number],
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: None = None,
    dtype: None = None,
) -> NDArray[np.float64]: ...
@overload
def segment_log_softmax(
    a: _Anything, offsets: _Offsets, axis: SupportsIndex = 0, *, out: None = None, dtype: _Type[_R]
) -> NDArray[_R]: ...
@overload
def segment_log_softmax(
    a: _Anything, offsets: _Offsets, axis: SupportsIndex = 0, *, out: _Out, dtype: _AnyType | None = None
) -> _Out: ...
@overload
def segment_log_softmax(
    a: _Anything,
    offsets: _Offsets,
    axis: SupportsIndex = 0,
    *,
    out: NDArray[np.inexact[Any]] | None = None,
    dtype: _AnyType | None = None,
) -> NDArray[Any]: ...
def offsets_from_ids(ids: _Offsets, num_segments: SupportsIndex | None = None) -> NDArray[np.intp]: ...
