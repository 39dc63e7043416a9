from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

OPERATIONS: dict[str, int]
STATE: np.dtype[np.void]

def check_axis(axis: object) -> None: ...
def axes_of(axis: object, ndim: int) -> tuple[int, ...]: ...
def one_axis_of(axis: object, ndim: int) -> int | None: ...
def has_partial_sums(dtype: np.dtype[Any]) -> bool: ...
def promotes_to(dtype: np.dtype[Any], to: np.dtype[Any]) -> bool: ...
def dtype_of(
    a: ArrayLike,
    b: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
    scale: Any = 1.0,
    add: ArrayLike | None = None,
) -> np.dtype[Any]: ...
def check_weights(b: object) -> None: ...
def empty_states(shape: tuple[int, ...]) -> NDArray[np.void]: ...
def reduced(
    operation: str,
    a: ArrayLike,
    axis: object,
    b: ArrayLike | None,
    where: ArrayLike,
    dtype: np.dtype[Any],
    scale: Any = 1.0,
    add: ArrayLike | None = None,
) -> tuple[NDArray[np.void], tuple[int, ...]]: ...
def updated(
    held: NDArray[np.void] | None,
    chunk: ArrayLike,
    axis: object,
    keepdims: bool,
    dtype: np.dtype[Any] | None,
    scale: Any,
) -> tuple[NDArray[np.void], int] | None: ...
def written(
    operation: str,
    x: ArrayLike,
    axis: object,
    where: ArrayLike,
    states: NDArray[np.void],
    dtype: np.dtype[Any],
    out: NDArray[Any] | None = None,
    scale: Any = 1.0,
    add: ArrayLike | None = None,
) -> NDArray[Any]: ...
def finished(
    operation: str,
    states: NDArray[np.void],
    dtype: np.dtype[Any],
    signed: bool = False,
    result: np.dtype[Any] | None = None,
) -> Any: ...
def means(
    states: NDArray[np.void],
    totals: NDArray[Any],
    dtype: np.dtype[Any],
    result: np.dtype[Any] | None = None,
) -> NDArray[Any]: ...
def scanned(
    x: ArrayLike, axis: int, reverse: bool, exclusive: bool, before: NDArray[np.void], dtype: np.dtype[Any]
) -> NDArray[Any]: ...
def widened_sums(operation: str, states: NDArray[np.void], dtype: np.dtype[Any]) -> NDArray[np.void]: ...
def joined(
    operation: str, states: NDArray[np.void], others: NDArray[np.void], dtype: np.dtype[Any]
) -> NDArray[np.void]: ...
def merged(
    operation: str, states: NDArray[np.void], axes: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[np.void]: ...
def weighed(states: NDArray[np.void], dtype: np.dtype[Any]) -> NDArray[np.void]: ...
