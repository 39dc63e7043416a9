"""The types of top_log_probs and categorical; functions.pyi explains the notation."""

from typing import Any, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.random import BitGenerator, Generator, SeedSequence
from numpy.typing import NDArray

from smoothmax._api.functions import _R, _Anything, _Arrays, _Few, _Number, _Scale, _Shape

__all__ = ["categorical", "top_log_probs"]

_Size: TypeAlias = SupportsIndex | tuple[SupportsIndex, ...] | list[SupportsIndex]
_SomeAxes: TypeAlias = tuple[SupportsIndex, *tuple[SupportsIndex, ...]]
_Random: TypeAlias = (
    int | np.integer[Any] | Generator | BitGenerator | SeedSequence | list[int] | NDArray[np.integer[Any]]
)

# fmt: off

@overload
def top_log_probs(logits: np.ndarray[_Shape, np.dtype[_R]], k: SupportsIndex, axis: SupportsIndex = -1
                  ) -> tuple[np.ndarray[_Shape, np.dtype[_R]], np.ndarray[_Shape, np.dtype[np.intp]]]: ...
@overload
def top_log_probs(logits: _Arrays[_R], k: SupportsIndex, axis: SupportsIndex = -1
                  ) -> tuple[NDArray[_R], NDArray[np.intp]]: ...
@overload
def top_log_probs(logits: _Arrays[np.integer[Any] | np.bool_] | _Few[_Number], k: SupportsIndex,
                  axis: SupportsIndex = -1) -> tuple[NDArray[np.float64], NDArray[np.intp]]: ...
@overload
def top_log_probs(logits: _Anything, k: SupportsIndex, axis: SupportsIndex = -1
                  ) -> tuple[NDArray[Any], NDArray[np.intp]]: ...
@overload
def categorical(logits: _Anything, axis: SupportsIndex = -1, *, size: tuple[()], scale: _Scale = 1.0,
                rng: _Random | None = None) -> np.intp: ...
@overload
def categorical(logits: _Anything, axis: SupportsIndex = -1, *, size: SupportsIndex | _SomeAxes,
                scale: _Scale = 1.0, rng: _Random | None = None) -> NDArray[np.intp]: ...
@overload
def categorical(logits: _Anything, axis: SupportsIndex = -1, *, size: _Size | None = None, scale: _Scale = 1.0,
                rng: _Random | None = None) -> NDArray[np.intp] | Any: ...
