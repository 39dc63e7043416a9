"""Arrays of other libraries, taken as NumPy arrays without a copy.

A library is known by the module of a type or by a protocol, so nothing is imported that the user has not imported.
"""

import sys
from typing import Any

import numpy as np

__all__ = ["as_numpy", "is_foreign", "is_torch_bfloat16", "library_of"]

# DLPack's kinds of memory that the CPU reads: its own, pinned by CUDA or ROCm, and managed by CUDA.
ON_CPU = (1, 3, 11, 13)


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
