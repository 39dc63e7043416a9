"""The types of logmatmulexp, as far as its arguments determine them; functions.pyi explains the notation."""

from typing import Any, overload

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
    _Type,
)  # fmt: skip

__all__ = ["logmatmulexp"]

# Two vectors give a scalar.
@overload
def logmatmulexp(
    a: _Arrays[_F], b: _Arrays[_F], *, out: None = None, dtype: None = None, exact: bool = False
) -> NDArray[_F] | Any: ...
@overload
def logmatmulexp(
    a: _Buffer, b: _Anything, *, out: None = None, dtype: None = None, exact: bool = False
) -> NDArray[Any] | Any: ...
@overload
def logmatmulexp(
    a: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number],
    b: _Arrays[np.float64 | np.integer[Any] | np.bool_] | _Few[_Number],
    *,
    out: None = None,
    dtype: None = None,
    exact: bool = False,
) -> NDArray[np.float64] | Any: ...
@overload
def logmatmulexp(
    a: _Arrays[np.float64],
    b: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number],
    *,
    out: None = None,
    dtype: None = None,
    exact: bool = False,
) -> NDArray[np.float64] | Any: ...
@overload
def logmatmulexp(
    a: _Anything, b: _Anything, *, out: None = None, dtype: _Type[_R], exact: bool = False
) -> NDArray[_R] | Any: ...
@overload
def logmatmulexp(
    a: _Anything, b: _Anything, *, out: _Out, dtype: _AnyType | None = None, exact: bool = False
) -> _Out: ...
@overload
def logmatmulexp(
    a: _Anything,
    b: _Anything,
    *,
    out: NDArray[np.inexact[Any]] | None = None,
    dtype: _AnyType | None = None,
    exact: bool = False,
) -> NDArray[Any] | Any: ...
