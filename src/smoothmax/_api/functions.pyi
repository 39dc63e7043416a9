"""The types of the functions, as far as the types of their arguments determine them.

As in NumPy's own stubs, an array is assumed to have axes: for an array without axes, the result is a NumPy scalar where
this file says ndarray. `ndarray | Any` stands for an array or a scalar, depending on the number of axes that are left;
a union of the two would have to be narrowed before it is indexed. Types that cannot be determined (a pandas object, an
array of unknown type, a dtype given as text) are Any.
"""

from array import array
from collections.abc import Sequence
from typing import Any, Literal, Protocol, SupportsFloat, SupportsIndex, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["log_softmax", "logmeanexp", "logsumexp", "softmax"]

_T = TypeVar("_T")
_G = TypeVar("_G", bound=np.generic)
_G_co = TypeVar("_G_co", bound=np.generic, covariant=True)
_F = TypeVar("_F", bound=np.inexact[Any])  # the types that a result keeps
_R = TypeVar("_R", bound=np.floating[Any])  # the types that dtype= accepts, and of the sign of a sum
_Shape = TypeVar("_Shape", bound=tuple[Any, ...])
_Out = TypeVar("_Out", bound=NDArray[np.inexact[Any]])

class _HasArray(Protocol[_G_co]):
    def __array__(self) -> np.ndarray[Any, np.dtype[_G_co]]: ...

class _HasDLPack(Protocol):
    def __dlpack__(self) -> object: ...

_Few: TypeAlias = Sequence[_T] | Sequence[Sequence[_T]] | Sequence[Sequence[Sequence[_T]]]
_Like: TypeAlias = _HasArray[_G] | _Few[_HasArray[_G]]
_Arrays: TypeAlias = np.ndarray[Any, np.dtype[_G]] | _Few[_HasArray[_G]]  # but no scalars
_Anything: TypeAlias = ArrayLike | _HasDLPack
_Number: TypeAlias = float | np.integer[Any] | np.bool_  # computed in float64
_Numbers: TypeAlias = _HasArray[np.integer[Any] | np.bool_] | _Few[_Number]
_Buffer: TypeAlias = array[Any] | memoryview[Any]  # to a type checker, a sequence of float or int
_Float64: TypeAlias = _Number | _Numbers | _Like[np.float64]

_Axis: TypeAlias = SupportsIndex | tuple[SupportsIndex, ...] | None
_Bool: TypeAlias = bool | np.bool_
_Mask: TypeAlias = _Bool | _Like[np.bool_] | _Few[bool]
_Type: TypeAlias = type[_R] | np.dtype[_R]
_Scale: TypeAlias = SupportsFloat | complex
_AnyType: TypeAlias = type[float] | _Type[np.floating[Any]] | str
_No: TypeAlias = Literal[False]
_Yes: TypeAlias = Literal[True]

# fmt: off
# logsumexp: results over all axes, with keepdims, over some axes; each of the type of a, of float64, of dtype.
# b and add are int and not float, because np.float64 is a float that turns float32 into float64.

@overload
def logsumexp(a: _Like[_F], axis: None = None, b: _Like[_F] | int | None = None, keepdims: _No = False,
              return_sign: _No = False, *, where: _Mask = True, out: None = None, dtype: None = None,
              scale: _Scale = 1.0, add: _Like[_F] | int | None = None) -> _F: ...
@overload
def logsumexp(a: _Like[_F], axis: _Axis = None, b: _Like[_F] | int | None = None, *, keepdims: _Yes,
              return_sign: _No = False, where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
              add: _Like[_F] | int | None = None) -> NDArray[_F]: ...
@overload
def logsumexp(a: _Like[_F], axis: _Axis = None, b: _Like[_F] | int | None = None, keepdims: bool = False,
              return_sign: _No = False, *, where: _Mask = True, out: None = None, dtype: None = None,
              scale: _Scale = 1.0, add: _Like[_F] | int | None = None) -> NDArray[_F] | Any: ...
@overload
def logsumexp(a: _Buffer, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False,
              return_sign: bool = False, *, where: _Mask = True, out: None = None, dtype: None = None,
              scale: _Scale = 1.0, add: _Anything | None = None) -> Any: ...
@overload
def logsumexp(a: _Float64, axis: None = None, b: _Float64 | None = None, keepdims: _No = False,
              return_sign: _No = False, *, where: _Mask = True, out: None = None, dtype: None = None,
              scale: _Scale = 1.0, add: _Float64 | None = None) -> np.float64: ...
@overload
def logsumexp(a: _Float64, axis: _Axis = None, b: _Float64 | None = None, *, keepdims: _Yes, return_sign: _No = False,
              where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
              add: _Float64 | None = None) -> NDArray[np.float64]: ...
@overload
def logsumexp(a: _Float64, axis: _Axis = None, b: _Float64 | None = None, keepdims: bool = False,
              return_sign: _No = False, *, where: _Mask = True, out: None = None, dtype: None = None,
              scale: _Scale = 1.0, add: _Float64 | None = None) -> NDArray[np.float64] | Any: ...
@overload
def logsumexp(a: _Anything, axis: None = None, b: _Anything | None = None, keepdims: _No = False,
              return_sign: _No = False, *, where: _Mask = True, out: None = None, dtype: _Type[_R],
              scale: _Scale = 1.0, add: _Anything | None = None) -> _R: ...
@overload
def logsumexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, *, keepdims: _Yes,
              return_sign: _No = False, where: _Mask = True, out: None = None, dtype: _Type[_R], scale: _Scale = 1.0,
              add: _Anything | None = None) -> NDArray[_R]: ...
@overload
def logsumexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False,
              return_sign: _No = False, *, where: _Mask = True, out: None = None, dtype: _Type[_R],
              scale: _Scale = 1.0, add: _Anything | None = None) -> NDArray[_R] | Any: ...
@overload
def logsumexp(a: _Like[_R], axis: None = None, b: _Like[_R] | int | None = None, keepdims: _No = False, *,
              return_sign: _Yes, where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
              add: _Like[_R] | int | None = None) -> tuple[_R, _R]: ...
@overload
def logsumexp(a: _Like[_R], axis: _Axis = None, b: _Like[_R] | int | None = None, *, keepdims: _Yes, return_sign: _Yes,
              where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
              add: _Like[_R] | int | None = None) -> tuple[NDArray[_R], NDArray[_R]]: ...
@overload
def logsumexp(a: _Like[_R], axis: _Axis = None, b: _Like[_R] | int | None = None, keepdims: bool = False, *,
              return_sign: _Yes, where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
              add: _Like[_R] | int | None = None) -> tuple[NDArray[_R] | Any, NDArray[_R] | Any]: ...
@overload
def logsumexp(a: _Float64, axis: None = None, b: _Float64 | None = None, keepdims: _No = False, *, return_sign: _Yes,
              where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
              add: _Float64 | None = None) -> tuple[np.float64, np.float64]: ...
@overload
def logsumexp(a: _Float64, axis: _Axis = None, b: _Float64 | None = None, *, keepdims: _Yes, return_sign: _Yes,
              where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
              add: _Float64 | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
@overload
def logsumexp(a: _Float64, axis: _Axis = None, b: _Float64 | None = None, keepdims: bool = False, *, return_sign: _Yes,
              where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
              add: _Float64 | None = None) -> tuple[NDArray[np.float64] | Any, NDArray[np.float64] | Any]: ...
@overload
def logsumexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False,
              return_sign: _No = False, *, where: _Mask = True, out: _Out, dtype: _AnyType | None = None,
              scale: _Scale = 1.0, add: _Anything | None = None) -> _Out: ...
@overload
def logsumexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False, *,
              return_sign: _Yes, where: _Mask = True, out: _Out, dtype: _AnyType | None = None, scale: _Scale = 1.0,
              add: _Anything | None = None) -> tuple[_Out, Any]: ...
@overload
def logsumexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False, *,
              return_sign: _Yes, where: _Mask = True, out: None = None, dtype: _AnyType | None = None,
              scale: _Scale = 1.0, add: _Anything | None = None) -> tuple[Any, Any]: ...
@overload
def logsumexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False,
              return_sign: bool = False, *, where: _Mask = True, out: NDArray[np.inexact[Any]] | None = None,
              dtype: _AnyType | None = None, scale: _Scale = 1.0, add: _Anything | None = None) -> Any: ...

# logmeanexp: as logsumexp, without a sign.

@overload
def logmeanexp(a: _Like[_F], axis: None = None, b: _Like[_F] | int | None = None, keepdims: _No = False, *,
               where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
               add: _Like[_F] | int | None = None) -> _F: ...
@overload
def logmeanexp(a: _Like[_F], axis: _Axis = None, b: _Like[_F] | int | None = None, *, keepdims: _Yes,
               where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
               add: _Like[_F] | int | None = None) -> NDArray[_F]: ...
@overload
def logmeanexp(a: _Like[_F], axis: _Axis = None, b: _Like[_F] | int | None = None, keepdims: bool = False, *,
               where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
               add: _Like[_F] | int | None = None) -> NDArray[_F] | Any: ...
@overload
def logmeanexp(a: _Buffer, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False, *,
               where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
               add: _Anything | None = None) -> Any: ...
@overload
def logmeanexp(a: _Float64, axis: None = None,
               b: _Float64 | None = None, keepdims: _No = False, *, where: _Mask = True, out: None = None,
               dtype: None = None, scale: _Scale = 1.0, add: _Float64 | None = None) -> np.float64: ...
@overload
def logmeanexp(a: _Float64, axis: _Axis = None, b: _Float64 | None = None, *, keepdims: _Yes, where: _Mask = True,
               out: None = None, dtype: None = None, scale: _Scale = 1.0,
               add: _Float64 | None = None) -> NDArray[np.float64]: ...
@overload
def logmeanexp(a: _Float64, axis: _Axis = None, b: _Float64 | None = None, keepdims: bool = False, *,
               where: _Mask = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
               add: _Float64 | None = None) -> NDArray[np.float64] | Any: ...
@overload
def logmeanexp(a: _Anything, axis: None = None, b: _Anything | None = None, keepdims: _No = False, *,
               where: _Mask = True, out: None = None, dtype: _Type[_R], scale: _Scale = 1.0,
               add: _Anything | None = None) -> _R: ...
@overload
def logmeanexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, *, keepdims: _Yes, where: _Mask = True,
               out: None = None, dtype: _Type[_R], scale: _Scale = 1.0,
               add: _Anything | None = None) -> NDArray[_R]: ...
@overload
def logmeanexp(a: _Anything,
               axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False, *, where: _Mask = True,
               out: None = None, dtype: _Type[_R], scale: _Scale = 1.0,
               add: _Anything | None = None) -> NDArray[_R] | Any: ...
@overload
def logmeanexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False, *,
               where: _Mask = True, out: _Out, dtype: _AnyType | None = None, scale: _Scale = 1.0,
               add: _Anything | None = None) -> _Out: ...
@overload
def logmeanexp(a: _Anything, axis: _Axis = None, b: _Anything | None = None, keepdims: bool = False, *,
               where: _Mask = True, out: NDArray[np.inexact[Any]] | None = None, dtype: _AnyType | None = None,
               scale: _Scale = 1.0, add: _Anything | None = None) -> Any: ...

# softmax and log_softmax differ only in their names.

@overload
def softmax(x: np.ndarray[_Shape, np.dtype[_F]], axis: _Axis = None, *, where: _Bool = True, out: None = None,
            dtype: None = None, scale: _Scale = 1.0, add: None = None) -> np.ndarray[_Shape, np.dtype[_F]]: ...
@overload
def softmax(x: _F, axis: _Axis = None, *, where: _Bool = True, out: None = None, dtype: None = None,
            scale: _Scale = 1.0, add: None = None) -> _F: ...
@overload
def softmax(x: _Arrays[_F], axis: _Axis = None, *, where: _Mask = True, out: None = None, dtype: None = None,
            scale: _Scale = 1.0, add: _Like[_F] | int | None = None) -> NDArray[_F]: ...
@overload
def softmax(x: _Buffer, axis: _Axis = None, *, where: _Mask = True, out: None = None, dtype: None = None,
            scale: _Scale = 1.0, add: _Anything | None = None) -> Any: ...
@overload
def softmax(x: _Number, axis: _Axis = None, *, where: _Bool = True, out: None = None, dtype: None = None,
            scale: _Scale = 1.0, add: None = None) -> np.float64: ...
@overload
def softmax(x: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number], axis: _Axis = None, *, where: _Mask = True,
            out: None = None, dtype: None = None, scale: _Scale = 1.0, add: _Float64 | None = None
            ) -> NDArray[np.float64]: ...
@overload
def softmax(x: _Number | np.floating[Any], axis: _Axis = None, *, where: _Bool = True, out: None = None,
            dtype: _Type[_R], scale: _Scale = 1.0, add: None = None) -> _R: ...
@overload
def softmax(x: np.ndarray[Any, Any] | Sequence[Any], axis: _Axis = None, *, where: _Mask = True, out: None = None,
            dtype: _Type[_R], scale: _Scale = 1.0, add: _Anything | None = None) -> NDArray[_R]: ...
@overload
def softmax(x: _Anything, axis: _Axis = None, *, where: _Mask = True, out: _Out, dtype: _AnyType | None = None,
            scale: _Scale = 1.0, add: _Anything | None = None) -> _Out: ...
@overload
def softmax(x: _Anything, axis: _Axis = None, *, where: _Mask = True, out: None = None, dtype: _AnyType | None = None,
            scale: _Scale = 1.0, add: _Anything | None = None) -> Any: ...

@overload
def log_softmax(x: np.ndarray[_Shape, np.dtype[_F]], axis: _Axis = None, *, where: _Bool = True, out: None = None,
                dtype: None = None, scale: _Scale = 1.0, add: None = None) -> np.ndarray[_Shape, np.dtype[_F]]: ...
@overload
def log_softmax(x: _F, axis: _Axis = None, *, where: _Bool = True, out: None = None, dtype: None = None,
                scale: _Scale = 1.0, add: None = None) -> _F: ...
@overload
def log_softmax(x: _Arrays[_F], axis: _Axis = None, *, where: _Mask = True, out: None = None, dtype: None = None,
                scale: _Scale = 1.0, add: _Like[_F] | int | None = None) -> NDArray[_F]: ...
@overload
def log_softmax(x: _Buffer, axis: _Axis = None, *, where: _Mask = True, out: None = None, dtype: None = None,
                scale: _Scale = 1.0, add: _Anything | None = None) -> Any: ...
@overload
def log_softmax(x: _Number, axis: _Axis = None, *, where: _Bool = True, out: None = None, dtype: None = None,
                scale: _Scale = 1.0, add: None = None) -> np.float64: ...
@overload
def log_softmax(x: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number], axis: _Axis = None, *, where: _Mask = True,
                out: None = None, dtype: None = None, scale: _Scale = 1.0, add: _Float64 | None = None
                ) -> NDArray[np.float64]: ...
@overload
def log_softmax(x: _Number | np.floating[Any], axis: _Axis = None, *, where: _Bool = True, out: None = None,
                dtype: _Type[_R], scale: _Scale = 1.0, add: None = None) -> _R: ...
@overload
def log_softmax(x: np.ndarray[Any, Any] | Sequence[Any], axis: _Axis = None, *, where: _Mask = True, out: None = None,
                dtype: _Type[_R], scale: _Scale = 1.0, add: _Anything | None = None) -> NDArray[_R]: ...
@overload
def log_softmax(x: _Anything, axis: _Axis = None, *, where: _Mask = True, out: _Out, dtype: _AnyType | None = None,
                scale: _Scale = 1.0, add: _Anything | None = None) -> _Out: ...
@overload
def log_softmax(x: _Anything, axis: _Axis = None, *, where: _Mask = True, out: None = None,
                dtype: _AnyType | None = None, scale: _Scale = 1.0, add: _Anything | None = None) -> Any: ...
