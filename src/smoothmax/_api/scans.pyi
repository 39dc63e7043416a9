"""The types of logcumsumexp, as far as its arguments determine them; functions.pyi explains the notation."""

from typing import Any, SupportsIndex, overload

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

__all__ = ["logcumsumexp"]

@overload
def logcumsumexp(
    a: np.ndarray[_Shape, np.dtype[_F]],
    axis: SupportsIndex,
    *,
    reverse: bool = False,
    exclusive: bool = False,
    out: None = None,
    dtype: None = None,
) -> np.ndarray[_Shape, np.dtype[_F]]: ...
@overload
def logcumsumexp(
    a: _Arrays[_F] | _F,
    axis: SupportsIndex | None = None,
    *,
    reverse: bool = False,
    exclusive: bool = False,
    out: None = None,
    dtype: None = None,
) -> NDArray[_F]: ...
@overload
def logcumsumexp(
    a: _Buffer,
    axis: SupportsIndex | None = None,
    *,
    reverse: bool = False,
    exclusive: bool = False,
    out: None = None,
    dtype: None = None,
) -> NDArray[Any]: ...
@overload
def logcumsumexp(
    a: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number] | _Number,
    axis: SupportsIndex | None = None,
    *,
    reverse: bool = False,
    exclusive: bool = False,
    out: None = None,
    dtype: None = None,
) -> NDArray[np.float64]: ...
@overload
def logcumsumexp(
    a: _Anything,
    axis: SupportsIndex | None = None,
    *,
    reverse: bool = False,
    exclusive: bool = False,
    out: None = None,
    dtype: _Type[_R],
) -> NDArray[_R]: ...
@overload
def logcumsumexp(
    a: _Anything,
    axis: SupportsIndex | None = None,
    *,
    reverse: bool = False,
    exclusive: bool = False,
    out: _Out,
    dtype: _AnyType | None = None,
) -> _Out: ...
@overload
def logcumsumexp(
    a: _Anything,
    axis: SupportsIndex | None = None,
    *,
    reverse: bool = False,
    exclusive: bool = False,
    out: NDArray[np.inexact[Any]] | None = None,
    dtype: _AnyType | None = None,
) -> NDArray[Any]: ...
