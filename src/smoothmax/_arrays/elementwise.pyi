"""The types of the ufuncs' calls, as far as the types of their arguments determine them.

As in NumPy's own stubs, an array is assumed to have axes: for an array without axes, the result is a NumPy scalar where
this file says ndarray. Types that cannot be determined (operands of several types, a pandas object, a dtype given as
text) are Any.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypeVar, overload, type_check_only

import numpy as np
from numpy.typing import ArrayLike, NDArray

_T = TypeVar("_T")
_F = TypeVar("_F", bound=np.floating[Any])
_R = TypeVar("_R", bound=np.floating[Any])
_Shape = TypeVar("_Shape", bound=tuple[Any, ...])
_Out = TypeVar("_Out", bound=NDArray[Any])

_Number: TypeAlias = float | np.integer[Any] | np.bool_  # np.float64 is a float
_Few: TypeAlias = Sequence[_T] | Sequence[Sequence[_T]] | Sequence[Sequence[Sequence[_T]]]
_Numbers: TypeAlias = NDArray[np.integer[Any] | np.bool_] | _Few[float]
_Float64: TypeAlias = NDArray[np.float64 | np.integer[Any] | np.bool_] | _Few[float]
_Where: TypeAlias = bool | np.bool_ | NDArray[np.bool_] | _Few[bool]
_Type: TypeAlias = type[_R] | np.dtype[_R]
_Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
_Order: TypeAlias = Literal["K", "A", "C", "F"]

# fmt: off
@type_check_only
class UnaryUfunc(np.ufunc):  # type: ignore[misc]  # final for users, as NumPy's own ufuncs are of such types
    @overload
    def __call__(self, x: _Number, /, out: None = None, *, where: Literal[True] = True, casting: _Casting = ...,
                 order: _Order = ..., dtype: None = None, subok: bool = ...) -> np.float64: ...
    @overload
    def __call__(self, x: _F, /, out: None = None, *, where: Literal[True] = True, casting: _Casting = ...,
                 order: _Order = ..., dtype: None = None, subok: bool = ...) -> _F: ...
    @overload
    def __call__(self, x: np.ndarray[_Shape, np.dtype[_F]], /, out: None = None, *, where: Literal[True] = True,
                 casting: _Casting = ..., order: _Order = ..., dtype: None = None,
                 subok: bool = ...) -> np.ndarray[_Shape, np.dtype[_F]]: ...
    @overload
    def __call__(self, x: _Numbers, /, out: None = None, *, where: _Where = True, casting: _Casting = ...,
                 order: _Order = ..., dtype: None = None, subok: bool = ...) -> NDArray[np.float64]: ...
    @overload
    def __call__(self, x: NDArray[Any] | _Few[float], /, out: None = None, *, where: _Where = True,
                 casting: _Casting = ..., order: _Order = ..., dtype: _Type[_R], subok: bool = ...) -> NDArray[_R]: ...
    @overload
    def __call__(self, x: ArrayLike, /, out: _Out | tuple[_Out], *, where: _Where = True, casting: _Casting = ...,
                 order: _Order = ..., dtype: Any = None, subok: bool = ...) -> _Out: ...
    @overload
    def __call__(self, x: Any, /, out: Any = None, **keywords: Any) -> Any: ...

@type_check_only
class BinaryUfunc(np.ufunc):  # type: ignore[misc]
    @overload
    def __call__(self, x1: _Number, x2: _Number, /, out: None = None, *, where: Literal[True] = True,
                 casting: _Casting = ..., order: _Order = ..., dtype: None = None,
                 subok: bool = ...) -> np.float64: ...
    @overload
    def __call__(self, x1: _F, x2: _F, /, out: None = None, *, where: Literal[True] = True, casting: _Casting = ...,
                 order: _Order = ..., dtype: None = None, subok: bool = ...) -> _F: ...
    @overload
    def __call__(self, x1: _Float64, x2: _Float64 | _Number, /, out: None = None, *, where: _Where = True,
                 casting: _Casting = ..., order: _Order = ..., dtype: None = None,
                 subok: bool = ...) -> NDArray[np.float64]: ...
    @overload
    def __call__(self, x1: _Number, x2: _Float64, /, out: None = None, *, where: _Where = True,
                 casting: _Casting = ..., order: _Order = ..., dtype: None = None,
                 subok: bool = ...) -> NDArray[np.float64]: ...
    @overload
    def __call__(self, x1: NDArray[_F], x2: NDArray[_F] | _F | int, /, out: None = None, *, where: _Where = True,
                 casting: _Casting = ..., order: _Order = ..., dtype: None = None,
                 subok: bool = ...) -> NDArray[_F]: ...
    @overload
    def __call__(self, x1: _F | int, x2: NDArray[_F], /, out: None = None, *, where: _Where = True,
                 casting: _Casting = ..., order: _Order = ..., dtype: None = None,
                 subok: bool = ...) -> NDArray[_F]: ...
    @overload
    def __call__(self, x1: NDArray[Any] | _Few[float], x2: NDArray[Any] | _Few[float] | float, /, out: None = None,
                 *, where: _Where = True, casting: _Casting = ..., order: _Order = ..., dtype: _Type[_R],
                 subok: bool = ...) -> NDArray[_R]: ...
    @overload
    def __call__(self, x1: ArrayLike, x2: ArrayLike, /, out: _Out | tuple[_Out], *, where: _Where = True,
                 casting: _Casting = ..., order: _Order = ..., dtype: Any = None, subok: bool = ...) -> _Out: ...
    @overload
    def __call__(self, x1: Any, x2: Any, /, out: Any = None, **keywords: Any) -> Any: ...
# fmt: on

@overload
def make_ufunc(name: Literal["log1mexp", "log1pexp", "log_expit"], doc: str) -> UnaryUfunc: ...
@overload
def make_ufunc(name: Literal["logaddexp", "logsubexp"], doc: str) -> BinaryUfunc: ...
def make_stand_in(original: np.ufunc) -> np.ufunc: ...
