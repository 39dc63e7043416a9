"""Checks of every kind of call: results, outputs, and inputs that must not change."""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzzing.expected import WIDE, Expected, ulp
from fuzzing.floats import is_real
from fuzzing.memory import Failure, Memory

Array = np.ndarray[Any, Any]
Case = dict[str, Any]


def natural(dtype: Any) -> Any:
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype.newbyteorder("=")


def mended(expected: Expected, computing: Any) -> Expected:
    """The expected results, with wider bounds for longdouble: the twin computes in it, too, and errs as much."""
    if np.dtype(computing) == np.longdouble:
        expected.ulps, expected.slack = 60, expected.slack * 60
    return expected


def must_be(got: Any, expected: Expected, what: str, dtype: Any, stored: Any = None) -> None:
    """Check that the result has this type and shape, and is right in every element."""
    array = np.asarray(got)
    if array.shape != expected.value.shape:
        raise Failure(f"shape: {what} has {array.shape}, not {expected.value.shape}")
    if stored is None:
        if array.dtype != dtype:
            raise Failure(f"type: {what} is {array.dtype}, not {dtype}")
        if not isinstance(got, np.ndarray if array.ndim else np.generic):
            raise Failure(f"type: {what} is a {type(got).__name__}")
    real = array.real.astype(array.real.dtype.newbyteorder("="))
    if array.dtype.kind == "c" and np.any(array.imag != 0):
        raise Failure(f"value: {what} has an imaginary part")
    bad = expected.wrong(real, dtype, real.dtype)
    if bad.any():
        i = np.unravel_index(int(np.argmax(bad)), bad.shape)
        right = expected.value[i]
        with np.errstate(all="ignore"):
            off = np.abs(real[i].astype(WIDE) - right) / ulp(np.asarray(right), real.dtype)
        raise Failure(
            f"value: {what}{list(map(int, i))} is {real[i]!r}, not {right!r}: {float(off):.3g} ULP;"
            f" {int(bad.sum())} of {bad.size} are wrong"
        )


def output(memory: Memory, case: Case, shape: tuple[int, ...], dtype: Any, inputs: list[tuple[Any, Array]]) -> Any:
    """The array for `out`: fresh, one of the inputs, or one that overlaps the first."""
    how = case["out"]
    wanted = np.dtype(how["dtype"] or dtype)
    x, around = inputs[0]
    if how["is"] == "second" and len(inputs) > 1:
        x, around = inputs[1]
    usable = isinstance(x, np.ndarray) and x.ndim > 0 and x.shape == shape and x.flags.writeable and is_real(x.dtype)
    if how["is"] != "fresh" and usable and np.can_cast(dtype, x.dtype, "same_kind"):
        if how["is"] in ("input", "second"):
            out = x
        elif how["is"] == "flipped":
            out = np.flip(x)
        else:  # next to it, shifted by some elements
            offset = x.__array_interface__["data"][0] - around.__array_interface__["data"][0] + how["by"] * x.itemsize
            low = offset + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True) if s < 0)
            high = offset + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True) if s > 0) + x.itemsize
            if low < 0 or high > around.size or not x.size:
                return None
            out = np.ndarray(x.shape, x.dtype, around, offset, x.strides)
    else:
        layout = {k: v[: len(shape)] if isinstance(v, list) else v for k, v in how["how"].items()}
        if "order" in layout:
            layout["order"] = [int(i) for i in np.argsort(np.argsort(layout["order"]))]
        out, around = memory.place(shape, wanted, layout)
        if not np.can_cast(dtype, wanted, "same_kind"):
            return None
    memory.watch(out, around)
    return out


def kept_inputs(arrays: list[Any], out: Any) -> list[tuple[Any, bytes]]:
    """The bytes of the inputs that the call must not change."""
    found = []
    for one in arrays:
        if isinstance(one, np.ndarray) and not (out is not None and np.may_share_memory(one, out)):
            found.append((one, one.tobytes()))
    return found


def check_inputs(before: list[tuple[Any, bytes]]) -> None:
    for one, octets in before:
        if one.tobytes() != octets:
            raise Failure("wrote to an input")


def must_keep_order(described: Case, passed: Any, got: Any) -> None:
    """Check that results for each element have the memory order of a dense input."""
    if type(passed) is not np.ndarray or {"pad", "flip"} & set(described["how"]) or described.get("wide"):
        return
    if passed.shape == got.shape and min(passed.shape, default=0) > 1:
        wanted = tuple(s // passed.itemsize * got.itemsize for s in passed.strides)
        if got.strides != wanted:
            raise Failure(f"order: strides are {got.strides}, not {wanted}")


def bits_of(result: Any) -> bytes:
    """The bytes of a result with all nans made equal: which operand's nan a processor passes on has no meaning."""
    numbers = np.array(result, ndmin=1).ravel()
    numbers = numbers.view(numbers.real.dtype) if numbers.dtype.kind == "c" else numbers
    if numbers.dtype.kind not in "biu":
        numbers[numbers != numbers] = np.nan
    return numbers.tobytes()
