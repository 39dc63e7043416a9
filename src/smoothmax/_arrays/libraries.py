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
from operator import index
from typing import Any

import numpy as np

__all__ = ["as_numpy", "call", "is_foreign"]

# The kinds of results, for libraries that have labels:
REDUCED = "reduced"  # one number for each reduction, or a pair of these
ELEMENTS = "elements"  # one number for each element
SEGMENTS = "segments"  # one number for each segment of an axis, or for each of the largest elements along it
LOSSES = "losses"  # one number for all, or one for each position
VALUE_AND_ELEMENTS = "value and elements"  # a pair of these two
PRODUCT = "product"  # of two arrays, without an axis; labels do not tell which axes are multiplied

NUMPY_2 = int(np.__version__.partition(".")[0]) >= 2  # before, arrays that NumPy exports by DLPack are read-only
# DLPack's kinds of memory that the CPU reads: its own, pinned by CUDA or ROCm, and managed by CUDA.
ON_CPU = (1, 3, 11, 13)

Keywords = dict[str, Any]
Function = Callable[..., Any]


# Which library -------------------------------------------------------------------------------------------------------


def library_of(x: Any) -> str | None:
    modules = {base.__module__.partition(".")[0] for base in type(x).__mro__}  # a subclass may be of another module
    if "torch" in modules and hasattr(x, "requires_grad"):
        return "torch"
    if "xarray" in modules and hasattr(x, "dims") and hasattr(x, "data"):
        return "xarray"
    if "pandas" in modules and hasattr(x, "iloc"):
        return "pandas"
    if "polars" in modules and hasattr(x, "null_count") and hasattr(x, "to_numpy") and not hasattr(x, "columns"):
        return "polars"
    return "array API" if hasattr(x, "__array_namespace__") and not hasattr(x, "nnz") else None


def is_foreign(x: Any) -> bool:
    """Whether results are converted to another library. Objects that merely have __array__ give NumPy arrays."""
    return library_of(x) is not None


# In ------------------------------------------------------------------------------------------------------------------


def as_numpy(x: Any, name: str) -> Any:
    """The argument `name` in a form that np.asarray reads. A TypeError says what to do if that is impossible."""
    library = library_of(x)
    if library == "torch":
        return from_torch(x, name)
    if library == "polars":
        return from_polars(x, name)
    if library == "array API":
        return from_namespace(x, name)
    if library == "xarray":
        return from_xarray(x, name)
    if library is None and hasattr(x, "magnitude") and hasattr(x, "units"):  # pint: its __array__ drops the units
        raise TypeError(f"{name} must not have units, got {type(x).__name__}: pass its magnitude in the units that are "
                        "meant")  # fmt: skip
    return x


def from_torch(x: Any, name: str) -> Any:
    if x.requires_grad:
        raise TypeError(f"{name} must not require a gradient, which is not recorded here: pass {name}.detach()")
    if x.device.type == "meta":
        raise TypeError(f"{name} must have elements, got a tensor on the device meta")
    if x.device.type != "cpu":
        raise TypeError(f"{name} must be on the CPU, got a tensor on {x.device}: pass {name}.cpu()")
    if str(x.layout) != "torch.strided":
        raise TypeError(f"{name} must be dense, got a tensor of layout {x.layout}: pass {name}.to_dense()")
    x = x.resolve_conj().resolve_neg()
    if not is_torch_bfloat16(x):
        return x.numpy()
    ml_dtypes = sys.modules.get("ml_dtypes")  # with its type, NumPy can read the memory as it is
    return x.float().numpy() if ml_dtypes is None else x.view(torch_type("int16")).numpy().view(ml_dtypes.bfloat16)


def torch_type(name: str) -> Any:
    return getattr(sys.modules["torch"], name)


def is_torch_bfloat16(x: Any) -> bool:
    return str(getattr(x, "dtype", None)) == "torch.bfloat16"


def from_polars(x: Any, name: str) -> Any:
    if x.null_count():
        raise TypeError(f"{name} must have no nulls, got {x.null_count()}: pass {name}.fill_null() or "
                        f"{name}.drop_nulls()")  # fmt: skip
    return x.to_numpy()


def from_xarray(x: Any, name: str) -> Any:
    if hasattr(x.data, "dask"):
        raise TypeError(f"{name} must be in memory, got a {type(x).__name__} of a dask array: pass its compute(), or "
                        "its data to a function of smoothmax.dask")  # fmt: skip
    return x.data if isinstance(x.data, np.ndarray) else as_numpy(x.data, name)


def from_namespace(x: Any, name: str) -> Any:
    if hasattr(x, "__dlpack_device__") and x.__dlpack_device__()[0] not in ON_CPU:
        device = getattr(x, "device", "another device")
        raise TypeError(f"{name} must be on the CPU, got an array on {device}: pass a copy that is")
    try:
        return np.from_dlpack(x)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):  # types that DLPack does not have
        return np.asarray(x)


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


# Labels --------------------------------------------------------------------------------------------------------------


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


LABELLED = ("pandas", "xarray")
CALLS = {
    "torch": call_torch,
    "array API": call_namespace,
    "polars": call_polars,
    "pandas": call_pandas,
    "xarray": call_xarray,
}
