"""smoothmax inside functions that Numba compiles: they call the functions of the C interface.

Numba imports this module, by the entry point `numba_extensions`, when it first compiles something; smoothmax itself
never imports it. LLVM knows the functions by their names, not by their addresses, so that Numba's cache on disk stays
valid.
"""

from importlib import import_module
from typing import Any

import numpy as np

import smoothmax
from smoothmax._c.functions import addresses

# Modules without types. Imported in this way, they are Any to a type checker, installed or not.
llvm: Any = import_module("llvmlite.binding")
types: Any = import_module("numba.core.types")
TypingError: Any = import_module("numba.core.errors").TypingError
extending: Any = import_module("numba.extending")

ROWS = {types.float64: "f64", types.float32: "f32"}
_registered = False


def register() -> None:
    """Teach Numba the functions. Numba calls this once; further calls do nothing."""
    global _registered
    if not _registered:
        _registered = True
        for name, address in addresses().items():
            llvm.add_symbol(name, address)
        overload_reduction()
        overload_transform("softmax", smoothmax.softmax)
        overload_transform("log_softmax", smoothmax.log_softmax)
        for name in ("logaddexp", "logsubexp"):
            overload_binary(name, getattr(smoothmax, name))
        for name in ("log1mexp", "log1pexp", "log_expit"):
            overload_unary(name, getattr(smoothmax, name))


# Types ----------------------------------------------------------------------------------------------------------------


def external(name: str, real: Any, result: Any, *arguments: Any) -> Any:
    """The C function of this name for numbers of the type `real`."""
    return types.ExternalFunction(f"smoothmax_{name}_{ROWS[real]}", result(*arguments))


def checked_type(name: str, array: Any) -> Any:
    """The type in which an array is computed."""
    if not isinstance(array, types.Array) or array.ndim == 0:
        raise TypingError(f"smoothmax.{name} in compiled code takes an array of at least one axis, got {array}")
    if isinstance(array.dtype, types.Integer | types.Boolean):
        return types.float64
    if array.dtype not in ROWS:
        raise TypingError(
            f"smoothmax.{name} in compiled code takes float32, float64, integers or booleans, got {array.dtype}"
        )
    return array.dtype


def checked_axis(name: str, array: Any, axis: Any) -> int | None:
    """The axis as a number that is not negative; None for all axes, also if the only axis is given."""
    value = getattr(axis, "literal_value", getattr(axis, "value", axis))
    if value is None or isinstance(value, types.NoneType):
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypingError(f"axis of smoothmax.{name} in compiled code must be None or a literal integer, got {axis}")
    if not -array.ndim <= value < array.ndim:
        raise TypingError(f"axis {value} is out of bounds for array of dimension {array.ndim}")
    if array.ndim > 2:
        raise TypingError(f"smoothmax.{name} in compiled code takes an axis of at most two, got {array.ndim} axes")
    return None if array.ndim == 1 else value % 2


def aligned(x: Any) -> Any:
    """The array, or a copy if its strides are not a multiple of the element size, as in fields of records.

    Numba's type does not say so: for Numba, every array from Python is aligned.
    """
    misfit = x.ctypes.data % x.itemsize
    for stride in x.strides:
        misfit |= stride % x.itemsize
    return x.copy() if misfit else x


def converter(array: Any, real: Any, flat: bool) -> Any:
    """A function that makes an array aligned and of type `real`, and flat if `flat`."""
    converts = array.dtype != real or not array.aligned
    flattens = flat and array.ndim > 1
    dtype = np.dtype(str(real))
    fit = extending.register_jitable(aligned)
    if converts and flattens:
        return extending.register_jitable(lambda x: x.astype(dtype).ravel())
    if converts:
        return extending.register_jitable(lambda x: x.astype(dtype))
    return extending.register_jitable(lambda x: fit(x.ravel())) if flattens else fit


# Rows -----------------------------------------------------------------------------------------------------------------


def overload_reduction() -> None:
    def logsumexp(a: Any, axis: Any = None) -> Any:
        real = checked_type("logsumexp", a)
        along = checked_axis("logsumexp", a, axis)
        call = external("logsumexp", real, real, types.CPointer(real), types.intp, types.intp)
        convert = converter(a, real, along is None)
        dtype = np.dtype(str(real))

        def of_all(a: Any, axis: Any = None) -> Any:  # noqa: ARG001
            x = convert(a)
            return call(x.ctypes, x.size, x.strides[0] // x.itemsize)

        def of_rows(a: Any, axis: Any = None) -> Any:  # noqa: ARG001
            x = convert(a)
            x = x if along == 1 else x.T
            out = np.empty(x.shape[0], dtype)
            for i in range(x.shape[0]):
                out[i] = call(x[i].ctypes, x.shape[1], x.strides[1] // x.itemsize)
            return out

        return of_all if along is None else of_rows

    extending.overload(smoothmax.logsumexp, prefer_literal=True)(logsumexp)


def overload_transform(name: str, function: Any) -> None:
    def transform(x: Any, axis: Any = None) -> Any:
        real = checked_type(name, x)
        along = checked_axis(name, x, axis)
        pointer = types.CPointer(real)
        call = external(name, real, types.void, pointer, types.intp, types.intp, pointer, types.intp)
        convert = converter(x, real, along is None)
        dtype = np.dtype(str(real))

        def of_all(x: Any, axis: Any = None) -> Any:  # noqa: ARG001
            row = convert(x)
            out = np.empty(x.shape, dtype)
            call(row.ctypes, row.size, row.strides[0] // row.itemsize, out.ctypes, 1)
            return out

        def of_rows(x: Any, axis: Any = None) -> Any:  # noqa: ARG001
            rows = convert(x)
            result = np.empty(x.shape, dtype)
            out = result
            if along == 0:
                rows, out = rows.T, result.T
            for i in range(rows.shape[0]):
                call(
                    rows[i].ctypes,
                    rows.shape[1],
                    rows.strides[1] // rows.itemsize,
                    out[i].ctypes,
                    out.strides[1] // out.itemsize,
                )
            return result

        return of_all if along is None else of_rows

    extending.overload(function, prefer_literal=True)(transform)


# Numbers --------------------------------------------------------------------------------------------------------------


def number_type(name: str, *numbers: Any) -> Any:
    """The type in which numbers are computed."""
    for each in numbers:
        if not isinstance(each, types.Float | types.Integer | types.Boolean):
            advice = "; call it in a loop over the elements" if isinstance(each, types.Array) else ""
            raise TypingError(f"smoothmax.{name} in compiled code takes real numbers, got {each}{advice}")
    return types.float32 if all(each == types.float32 for each in numbers) else types.float64


def overload_binary(name: str, function: Any) -> None:
    def binary(x1: Any, x2: Any) -> Any:
        real = number_type(name, x1, x2)
        call = external(name, real, real, real, real)

        def of_two(x1: Any, x2: Any) -> Any:
            return call(x1, x2)

        return of_two

    extending.overload(function)(binary)


def overload_unary(name: str, function: Any) -> None:
    def unary(x: Any) -> Any:
        real = number_type(name, x)
        call = external(name, real, real, real)

        def of_one(x: Any) -> Any:
            return call(x)

        return of_one

    extending.overload(function)(unary)
