"""From the description of an array to its numbers, and to the object that a call is given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fuzzing.memo import remembered
from fuzzing.memory import Memory

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
INF, NAN = np.inf, np.nan
BYTES_OF_TRUE = (1, 1, 1, 2, 255)  # any byte except 0 is true


def shape_of(a: Case, shape: list[int]) -> tuple[int, ...]:
    used = a.get("used") or [True] * len(shape)
    return tuple(n if u else 1 for n, u in zip(shape, used, strict=True))[a.get("drop", 0) :]


GENERATOR = np.random.Generator(np.random.PCG64(0))
START = GENERATOR.bit_generator.state


def seeded(seed: int) -> np.random.Generator:
    """The only generator, set to this seed: that takes a fifth of the time of a new generator."""
    state = {"state": (seed * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 1) % (1 << 128), "inc": START["state"]["inc"]}
    GENERATOR.bit_generator.state = START | {"state": state}
    return GENERATOR


def one_of(rng: np.random.Generator, *choices: float) -> float:
    return choices[int(rng.random() * len(choices))]


def numbers(a: Case, shape: tuple[int, ...], classes: int = 0) -> Array:
    """The numbers of an array, in C order, computed once; they must not be changed."""
    key = a["dtype"], a["numbers"], a["seed"], a.get("negative"), shape, classes
    return np.asarray(remembered(key, lambda: values(a, shape, classes)))


def values(a: Case, shape: tuple[int, ...], classes: int = 0) -> Array:
    """The numbers of an array, in C order."""
    rng = seeded(a["seed"])
    dtype, kind = np.dtype(a["dtype"]), a["numbers"]
    n = math.prod(shape)
    if kind == "mask" or (dtype.kind == "b"):
        share = one_of(rng, 0.0, 0.1, 0.5, 0.95, 1.0)
        octets = np.where(rng.random(shape) < share, np.uint8(one_of(rng, *BYTES_OF_TRUE)), np.uint8(0))
        return octets.view(np.bool_)
    if kind == "classes":
        return np.asarray(rng.integers(0, max(1, min(classes, 120)), shape)).astype(dtype)
    if dtype.kind == "c":
        real, imag = (
            values(a | {"dtype": "f8", "seed": a["seed"] + k, "numbers": part}, shape)
            for k, part in ((0, kind), (1, "ordinary" if kind == "ramp" else kind))
        )
        return np.asarray(real + 1j * imag).astype(dtype)
    x = rng.standard_normal(shape)
    large = 30 if dtype == np.float16 else 400
    if kind == "ordinary":
        x *= 4
    elif kind == "small":
        x *= 0.1
    elif kind == "large":
        x = x * large + one_of(rng, -3000, 0, 3000)
    elif kind == "equal":
        x = np.take((0.0, 1.0, -2.5), rng.integers(0, 3, shape))
    elif kind == "special":
        odd = np.take((INF, -INF, NAN, -INF, 0.0), rng.integers(0, 5, shape))
        x = np.where(rng.random(shape) < one_of(rng, 0.15, 2 / max(n, 1)), odd, x * 9)
    elif kind == "tiny":
        x *= 10.0 ** rng.integers(-30, 0)
    elif kind == "huge":
        top = 4.0 if dtype == np.float16 else 37.0 if dtype.itemsize <= 4 else 307.0
        x = np.sign(x) * 10.0 ** rng.uniform(0, top, shape)
    elif kind == "ramp":
        x = x + np.linspace(0, one_of(rng, -100, 60, 1000), n).reshape(shape)
    elif kind == "far":
        x = x * one_of(rng, 1e-3, 3, 50) + one_of(rng, -1e3, 1e3, 88.0, -87.0)
    elif kind == "positive":
        x = np.abs(x) * one_of(rng, 1.0, 1e-3, 30)
    elif kind == "signed":
        x *= 3
    elif kind in ("zeros", "zeros positive"):
        x = np.where(rng.random(shape) < 0.5, 0, np.abs(x))
    elif kind == "ones":
        x = np.ones(shape)
    elif kind == "probabilities":
        x = np.abs(x) / max(1, classes)
    elif kind == "one hot":
        x = (rng.random(shape) < 1 / max(1, classes)).astype(float)
    if a.get("negative") and dtype.kind == "f":
        x = -np.abs(x)
    if dtype.kind in "iu":
        x = np.where(np.isfinite(x), x, 0)
        top = 120 if dtype.itemsize == 1 else 30_000
        x = np.clip(np.abs(x) if dtype.kind == "u" else x, -top, top)
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(dtype)


class Subclass(np.ndarray[Any, Any]):
    """A subclass of ndarray that adds nothing."""


class HasArray:
    """An object that gives an array."""

    def __init__(self, x: Array) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.x if dtype is None else self.x.astype(dtype)


def given(memory: Memory, a: Case, shape: list[int], classes: int = 0, beside: int = 0) -> tuple[Array, Any, Array]:
    """The numbers in C order, the object to pass, and the bytes around it."""
    own = shape_of(a, shape)
    strong = numbers(a, own, classes)
    array, around = memory.place(own, a["dtype"], a["how"], beside)
    if array.dtype == np.bool_:
        array.view(np.uint8)[...] = strong.view(np.uint8)
    else:
        array[...] = strong
    passed: Any = array
    if a.get("wide"):
        passed = np.broadcast_to(array, shape)
        strong = np.broadcast_to(strong, shape)
    elif a.get("readonly"):
        passed = array.view()
        passed.flags.writeable = False
    how = a.get("as")
    if (
        how == "list"
        and array.dtype in (np.float64, np.int64)
        and array.dtype.isnative
        and 0 < passed.size < 500
        and passed.ndim
    ):
        passed = passed.tolist()
    elif how == "memoryview" and array.dtype.isnative and array.dtype.char in "fdil" and passed.size and passed.ndim:
        passed = memoryview(passed)
    elif how == "object with __array__":
        passed = HasArray(passed)
    elif how == "subclass":
        passed = passed.view(Subclass)
    return strong, passed, around


def axis_of(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(i % ndim for i in (axis if isinstance(axis, list) else [axis]))) if ndim else ()


def fitting(axis: Any, common: int, ndim: int) -> Any:
    """The axes of the common shape as axes of an array that has only the last `ndim` of them."""
    if axis is None or ndim == common:
        return axis
    some = [i for i in (axis if isinstance(axis, list) else [axis]) if (i if i >= 0 else i + common) >= common - ndim]
    some = [i - (common - ndim) if i >= 0 else i for i in some]
    return some if isinstance(axis, list) else some[0] if some else None


def as_rows(x: Array, axes: tuple[int, ...]) -> Array:
    """The array with all reduced axes made into one, the last."""
    kept = [i for i in range(x.ndim) if i not in axes]
    shape = [x.shape[i] for i in kept]
    return x.transpose([*kept, *axes]).reshape(*shape, math.prod(x.shape[i] for i in axes))


def back(rows: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """The inverse of as_rows: an array of the shape."""
    kept = [i for i in range(len(shape)) if i not in axes]
    order = [*kept, *axes]
    return rows.reshape([shape[i] for i in order]).transpose(np.argsort(order))
