"""Arrays of other libraries: they are read as NumPy arrays, without a copy, and results have the type of the input.

A library is recognised by the module of a type or by a protocol, so that nothing is imported that the user did not.

    torch       tensors on the CPU: read their memory; results through from_numpy
    array API   arrays with __array_namespace__: read their memory by DLPack; results in the same way
    xarray      DataArray: read its data; labels by the library's own reduce and apply_ufunc
    pandas      Series and DataFrame: read their values; labels by their own constructors
    polars      Series: read its memory

A function of _api passes a call to `call` if its main argument is one of these. `call` calls the function again with
NumPy arrays, and converts the results. Every other argument is converted by `as_numpy` when it is read.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from smoothmax._arrays.foreign import as_numpy, is_foreign, is_torch_bfloat16, library_of
from smoothmax._arrays.labels import (
    ELEMENTS,
    LOSSES,
    PRODUCT,
    REDUCED,
    SEGMENTS,
    VALUE_AND_ELEMENTS,
    call_pandas,
    call_xarray,
)

__all__ = [
    "ELEMENTS", "LOSSES", "PRODUCT", "REDUCED", "SEGMENTS", "VALUE_AND_ELEMENTS", "as_numpy", "call", "is_foreign",
]  # fmt: skip

NUMPY_2 = int(np.__version__.partition(".")[0]) >= 2  # before, arrays that NumPy exports by DLPack are read-only

Keywords = dict[str, Any]
Function = Callable[..., Any]


# Out -----------------------------------------------------------------------------------------------------------------


def call(function: Function, kind: str, name: str, x: Any, axis: Any, keywords: Keywords) -> Any:
    """Call the function with `x` as the argument `name`; results have the library of `x`. `out` stays a NumPy array."""
    library = str(library_of(x))
    if keywords.get("out") is not None or (kind == PRODUCT and library in LABELLED):
        return called(function, kind, name, x, axis, keywords, lambda value: value)
    return CALLS[library](function, kind, name, x, axis, keywords)


def called(
    function: Function, kind: str, name: str, x: Any, axis: Any, keywords: Keywords, give: Callable[[Any], Any]
) -> Any:
    """Call the function with x as a NumPy array, and apply `give` to the result, or to each of a pair."""
    along = {} if kind == PRODUCT else {"axis": axis}
    result = function(**{name: np.asarray(as_numpy(x, name))}, **along, **keywords)
    return tuple(map(give, result)) if isinstance(result, tuple) else give(result)


def call_torch(function: Function, kind: str, name: str, x: Any, axis: Any, keywords: Keywords) -> Any:
    torch = sys.modules["torch"]
    dtype = keywords.get("dtype")
    others = [keywords.get(other) for other in ("a", "b", "add", "g", "p", "logp")]
    rounds = dtype is torch.bfloat16 or (is_torch_bfloat16(x) and dtype is None and all(
        other is None or isinstance(other, (int, float)) or is_torch_bfloat16(other) for other in others
    ))  # fmt: skip
    if dtype is torch.bfloat16:
        keywords = keywords | {"dtype": "float32"}
    elif type(dtype).__module__ == "torch":
        keywords = keywords | {"dtype": str(dtype).partition(".")[2]}

    def give(value: Any) -> Any:
        value = np.asarray(value)
        if value.dtype.name == "bfloat16":  # the type of ml_dtypes, which torch does not know
            return torch.from_numpy(value.view(np.int16)).view(torch.bfloat16)
        tensor = torch.from_numpy(value)
        return tensor.to(torch.bfloat16) if rounds and value.dtype == np.float32 else tensor

    return called(function, kind, name, x, axis, keywords, give)


def call_namespace(function: Function, kind: str, name: str, x: Any, axis: Any, keywords: Keywords) -> Any:
    library = x.__array_namespace__()

    def give(value: Any) -> Any:
        array = np.asarray(value)
        try:
            return library.from_dlpack(array) if NUMPY_2 else library.asarray(array)
        except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
            return library.asarray(array)

    return called(function, kind, name, x, axis, keywords, give)


def call_polars(function: Function, kind: str, name: str, x: Any, axis: Any, keywords: Keywords) -> Any:
    def give(value: Any) -> Any:  # polars has no longdouble, and would store objects
        return type(x)(x.name, value) if np.ndim(value) and value.dtype != np.longdouble else value

    return called(function, kind, name, x, axis, keywords, give)


LABELLED = ("pandas", "xarray")
CALLS = {
    "torch": call_torch,
    "array API": call_namespace,
    "polars": call_polars,
    "pandas": call_pandas,
    "xarray": call_xarray,
}
