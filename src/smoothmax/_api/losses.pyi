"""The types of losses and gradients, as far as their arguments determine them; functions.pyi explains the notation."""

from typing import Any, Literal, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothmax._api.functions import (
    _R,
    _Anything,
    _Arrays,
    _Axis,
    _Few,
    _Float64,
    _Like,
    _Mask,
    _No,
    _Number,
    _Out,
    _Scale,
    _Shape,
)  # fmt: skip

__all__ = [
    "cross_entropy", "cross_entropy_and_grad", "log_prob", "log_softmax_vjp", "logsumexp_and_softmax", "nll_loss",
    "softmax_vjp",
]  # fmt: skip

_Total: TypeAlias = Literal["mean", "sum"]
_Each: TypeAlias = Literal["none"]
_Integers: TypeAlias = _Arrays[np.integer[Any] | np.bool_] | _Few[_Number]

# fmt: off

@overload
def logsumexp_and_softmax(a: np.ndarray[_Shape, np.dtype[_R]], axis: None = None, *, keepdims: _No = False,
                          where: Literal[True] = True, out: None = None, dtype: None = None, scale: _Scale = 1.0,
                          add: None = None) -> tuple[_R, np.ndarray[_Shape, np.dtype[_R]]]: ...
@overload
def logsumexp_and_softmax(a: _Arrays[_R], axis: _Axis = None, *, keepdims: bool = False, where: _Mask = True,
                          out: None = None, dtype: None = None, scale: _Scale = 1.0, add: _Like[_R] | int | None = None
                          ) -> tuple[NDArray[_R] | Any, NDArray[_R]]: ...
@overload
def logsumexp_and_softmax(a: _Integers, axis: _Axis = None, *, keepdims: bool = False, where: _Mask = True,
                          out: None = None, dtype: None = None, scale: _Scale = 1.0, add: _Float64 | None = None
                          ) -> tuple[NDArray[np.float64] | Any, NDArray[np.float64]]: ...
@overload
def logsumexp_and_softmax(a: _Anything, axis: _Axis = None, *, keepdims: bool = False, where: _Mask = True, out: _Out,
                          dtype: Any = None, scale: _Scale = 1.0, add: _Anything | None = None) -> tuple[Any, _Out]: ...
@overload
def logsumexp_and_softmax(a: _Anything, axis: _Axis = None, *, keepdims: bool = False, where: _Mask = True,
                          out: None = None, dtype: Any = None, scale: _Scale = 1.0, add: _Anything | None = None
                          ) -> tuple[Any, Any]: ...
@overload
def softmax_vjp(g: _Arrays[_R], p: np.ndarray[_Shape, np.dtype[_R]], axis: _Axis = None, *, out: None = None
                ) -> np.ndarray[_Shape, np.dtype[_R]]: ...
@overload
def softmax_vjp(g: _Anything, p: _Anything, axis: _Axis = None, *, out: _Out) -> _Out: ...
@overload
def softmax_vjp(g: _Anything, p: _Anything, axis: _Axis = None, *, out: None = None) -> Any: ...
@overload
def log_softmax_vjp(g: _Arrays[_R], logp: np.ndarray[_Shape, np.dtype[_R]], axis: _Axis = None, *, out: None = None
                    ) -> np.ndarray[_Shape, np.dtype[_R]]: ...
@overload
def log_softmax_vjp(g: _Anything, logp: _Anything, axis: _Axis = None, *, out: _Out) -> _Out: ...
@overload
def log_softmax_vjp(g: _Anything, logp: _Anything, axis: _Axis = None, *, out: None = None) -> Any: ...
@overload
def cross_entropy(logits: _Like[_R], targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
                  ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: _Total = "mean",
                  scale: _Scale = 1.0, add: _Like[_R] | int | None = None) -> _R: ...
@overload
def cross_entropy(logits: _Like[_R], targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
                  ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: _Each,
                  scale: _Scale = 1.0, add: _Like[_R] | int | None = None) -> NDArray[_R] | Any: ...
@overload
def cross_entropy(logits: _Float64, targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
                  ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: _Total = "mean",
                  scale: _Scale = 1.0, add: _Float64 | None = None) -> np.float64: ...
@overload
def cross_entropy(logits: _Float64, targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
                  ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: _Each,
                  scale: _Scale = 1.0, add: _Float64 | None = None) -> NDArray[np.float64] | Any: ...
@overload
def cross_entropy(logits: _Anything, targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
                  ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: str = "mean",
                  scale: _Scale = 1.0, add: _Anything | None = None) -> Any: ...
@overload
def nll_loss(log_probs: _Like[_R], targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
             ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: _Total = "mean"
             ) -> _R: ...
@overload
def nll_loss(log_probs: _Like[_R], targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
             ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: _Each
             ) -> NDArray[_R] | Any: ...
@overload
def nll_loss(log_probs: _Float64, targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
             ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: _Total = "mean"
             ) -> np.float64: ...
@overload
def nll_loss(log_probs: _Float64, targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
             ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: _Each
             ) -> NDArray[np.float64] | Any: ...
@overload
def nll_loss(log_probs: _Anything, targets: _Anything, axis: SupportsIndex = -1, *, weight: ArrayLike | None = None,
             ignore_index: SupportsIndex | None = None, label_smoothing: float = 0.0, reduction: str = "mean"
             ) -> Any: ...
@overload
def cross_entropy_and_grad(logits: np.ndarray[_Shape, np.dtype[_R]], targets: _Anything, axis: SupportsIndex = -1, *,
                           weight: ArrayLike | None = None, ignore_index: SupportsIndex | None = None,
                           label_smoothing: float = 0.0, reduction: _Total = "mean", out: None = None,
                           scale: _Scale = 1.0, add: None = None) -> tuple[_R, np.ndarray[_Shape, np.dtype[_R]]]: ...
@overload
def cross_entropy_and_grad(logits: np.ndarray[_Shape, np.dtype[_R]], targets: _Anything, axis: SupportsIndex = -1, *,
                           weight: ArrayLike | None = None, ignore_index: SupportsIndex | None = None,
                           label_smoothing: float = 0.0, reduction: _Each, out: None = None, scale: _Scale = 1.0,
                           add: None = None) -> tuple[NDArray[_R] | Any, np.ndarray[_Shape, np.dtype[_R]]]: ...
@overload
def cross_entropy_and_grad(logits: _Integers, targets: _Anything, axis: SupportsIndex = -1, *,
                           weight: ArrayLike | None = None, ignore_index: SupportsIndex | None = None,
                           label_smoothing: float = 0.0, reduction: _Total = "mean", out: None = None,
                           scale: _Scale = 1.0, add: _Float64 | None = None
                           ) -> tuple[np.float64, NDArray[np.float64]]: ...
@overload
def cross_entropy_and_grad(logits: _Anything, targets: _Anything, axis: SupportsIndex = -1, *,
                           weight: ArrayLike | None = None, ignore_index: SupportsIndex | None = None,
                           label_smoothing: float = 0.0, reduction: str = "mean", out: _Out, scale: _Scale = 1.0,
                           add: _Anything | None = None) -> tuple[Any, _Out]: ...
@overload
def cross_entropy_and_grad(logits: _Anything, targets: _Anything, axis: SupportsIndex = -1, *,
                           weight: ArrayLike | None = None, ignore_index: SupportsIndex | None = None,
                           label_smoothing: float = 0.0, reduction: str = "mean", out: None = None,
                           scale: _Scale = 1.0, add: _Anything | None = None) -> tuple[Any, Any]: ...
@overload
def log_prob(logits: _Like[_R], targets: _Anything, axis: SupportsIndex = -1, *, scale: _Scale = 1.0,
             add: _Like[_R] | int | None = None) -> NDArray[_R] | Any: ...
@overload
def log_prob(logits: _Float64, targets: _Anything, axis: SupportsIndex = -1, *, scale: _Scale = 1.0,
             add: _Float64 | None = None) -> NDArray[np.float64] | Any: ...
@overload
def log_prob(logits: _Anything, targets: _Anything, axis: SupportsIndex = -1, *, scale: _Scale = 1.0,
             add: _Anything | None = None) -> Any: ...
