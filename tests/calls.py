"""Any legal call of the three functions, as hypothesis strategies.

Each call records the options that were chosen, so that a test can check that every option occurs. This file knows
neither right answers nor errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

Array = np.ndarray[Any, Any]
INF, NAN = np.inf, np.nan

OPTIONS: dict[str, Sequence[Any]] = {
    "function": ["logsumexp", "softmax", "log_softmax"],
    "type": ["f2", "f4", "f8", ">f2", ">f4", ">f8", "g", "?", "i1", "u1", "i2", "u4", "i8", "u8", ">i4"],
    "numbers": ["small", "ordinary", "large", "equal", "special", "tiny"],
    "layout": ["C", "F", "strided", "backwards", "transposed", "unaligned", "read-only", "list"],
    "axes": [0, 1, 2, 3, 4],
    "axis": ["all", "one", "one from the end", "of NumPy's int", "several"],
    "b": ["none", "array", "wider array", "number"],
    "keepdims": [False, True],
    "return_sign": [False, True],
    "where": ["none", "array", "wider array", "False"],
    "dtype": [None, None, None, None, "f2", "f4", "f8", "g"],
    "out": [None, None, "e", "f", "d", ">f8", "g", "F", "in place"],
}
COMPLEX_TYPES = ["F", "D", ">c16"]


@dataclass
class Call:
    """A call, and copies of its array arguments in C order, for any layout of the arguments."""

    function: str
    x: Array
    given: Any
    b: Array | None = None
    where: Array = field(default_factory=lambda: np.array(True))
    shape: tuple[int, ...] = ()  # that all array arguments broadcast to
    arguments: dict[str, Any] = field(default_factory=dict)
    out: str | None = None
    chosen: list[tuple[str, Any]] = field(default_factory=list)

    def choose(self, draw: Callable[..., Any], name: str, options: Sequence[Any] | None = None) -> Any:
        """Draw one of the options, and record it."""
        value = draw(st.sampled_from(OPTIONS[name] if options is None else options))
        self.chosen.append((name, value))
        return value

    @property
    def result_shape(self) -> tuple[int, ...]:
        """The shape of the result, by the rules of NumPy's reductions."""
        if self.function != "logsumexp":
            return self.shape
        axis = self.arguments["axis"] if self.shape else None
        return np.sum(np.broadcast_to(0, self.shape), axis=axis, keepdims=self.arguments["keepdims"]).shape


# The parts ------------------------------------------------------------------------------------------------------------


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, kind: str) -> Array:
    """Real numbers of this kind."""
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    if dtype.kind in "iu":
        low, high = (100, 127) if kind == "special" else (0, 90)
        return np.asarray(rng.integers(low, high, shape)).astype(dtype)
    x = {
        "small": lambda: rng.normal(size=shape) * 0.1,
        "ordinary": lambda: rng.normal(size=shape) * 4,
        "large": lambda: rng.normal(size=shape) * 400 + rng.choice([-3000, 0, 3000]),
        "equal": lambda: rng.choice([0.0, 1.0, -2.5], shape),
        "special": lambda: np.where(
            rng.random(shape) < 0.15, rng.choice([INF, -INF, NAN, -INF, 0.0], shape), rng.normal(size=shape) * 9
        ),
        "tiny": lambda: rng.normal(size=shape) * 10.0 ** rng.integers(-30, 0),
    }[kind]()
    return np.asarray(x, dtype)


def in_some_layout(call: Call, draw: Callable[..., Any], x: Array) -> Any:
    """The array's values in a random layout; in C order if the array is too small for that layout."""
    how = draw(st.sampled_from(OPTIONS["layout"]))
    given: Any = None
    if how == "F":
        given = np.asarray(x, order="F")
    elif how == "strided" and x.ndim:
        given = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)[..., ::3]
        given[...] = x
    elif how == "backwards" and x.ndim:
        given = x[::-1].copy()[::-1]
    elif how == "transposed" and x.ndim:
        given = np.ascontiguousarray(x.swapaxes(0, -1)).swapaxes(0, -1)
    elif how == "unaligned" and x.size:
        given = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
        given[...] = x
    elif how == "read-only":
        given = x.copy()
        given.flags.writeable = False
    elif (
        how == "list"
        and x.ndim
        and x.dtype in (np.float64, np.bool_, np.complex128)
        and x.dtype.isnative
        and 0 < x.size < 100
    ):
        given = x.tolist()
    call.chosen.append(("layout", "C" if given is None else how))
    return x.copy() if given is None else given


def shapes(draw: Callable[..., Any], ndim: int) -> tuple[int, ...]:
    limit = {0: 1, 1: 700, 2: 80, 3: 12, 4: 6}[ndim]
    some = st.sampled_from([1, 2, 3, min(6, limit), min(7, limit), min(48, limit), min(65, limit), limit])
    one = st.one_of(some, some, some, st.integers(0, limit))
    return tuple(draw(one) for _ in range(ndim))


def other_shape(draw: Callable[..., Any], shape: tuple[int, ...], wider: bool) -> tuple[int, ...]:
    """A shape that broadcasts with this one. A wider shape has one axis more, and is longer along some axes."""
    if not wider:
        other = tuple(n if draw(st.booleans()) else 1 for n in shape)
        return other[draw(st.integers(0, len(other))) :]
    longer = tuple(draw(st.integers(1, 3)) if n == 1 else n if draw(st.booleans()) else 1 for n in shape)
    return (draw(st.integers(1, 3)), *longer) if len(shape) <= 3 else longer


def choose_axis(call: Call, draw: Callable[..., Any], ndim: int) -> Any:
    how = call.choose(draw, "axis")
    if how == "all":
        return None
    if how == "several":
        order = draw(st.permutations(range(-ndim, 0))) if ndim else []
        return tuple(i + ndim * draw(st.booleans()) for i in order[: draw(st.integers(0, ndim))])
    one = draw(st.integers(-ndim, -1)) if ndim else -1
    return {"one": one + max(ndim, 1), "one from the end": one, "of NumPy's int": np.int64(one)}[how]


def weights(call: Call, draw: Callable[..., Any], rng: np.random.Generator, dtype: Any) -> Array:
    how = dict(call.chosen)["b"]
    if how == "number":
        return np.asarray(draw(st.sampled_from([2, 0.5, -3.0, 0])))
    b = numbers(rng, other_shape(draw, call.shape, how == "wider array"), dtype, call.choose(draw, "numbers"))
    if dtype.kind == "f" and draw(st.booleans()):
        b = np.abs(b)
    return np.where(rng.random(b.shape) < 0.2, np.zeros((), b.dtype), b).astype(dtype)


# The calls ------------------------------------------------------------------------------------------------------------


@st.composite
def calls(draw: Callable[..., Any]) -> Call:
    """A legal call with real numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    call = Call("", np.empty(0), None)
    call.function = call.choose(draw, "function")
    call.shape = shapes(draw, call.choose(draw, "axes"))
    call.x = numbers(rng, call.shape, np.dtype(call.choose(draw, "type")), call.choose(draw, "numbers"))
    call.given = in_some_layout(call, draw, call.x)
    if call.function == "logsumexp":
        how = call.choose(draw, "b")
        if how != "none":
            call.b = weights(call, draw, rng, np.dtype(call.choose(draw, "type")))
            call.arguments["b"] = call.b.item() if how == "number" else in_some_layout(call, draw, call.b)
            call.shape = np.broadcast_shapes(call.shape, call.b.shape)
        call.arguments |= {name: call.choose(draw, name) for name in ("keepdims", "return_sign")}
    choose_where(call, draw, rng)
    call.arguments["axis"] = choose_axis(call, draw, len(call.shape))
    dtype = call.choose(draw, "dtype")
    if dtype is not None:
        call.arguments["dtype"] = np.dtype(dtype)
    call.out = call.choose(draw, "out")
    return call


def choose_where(call: Call, draw: Callable[..., Any], rng: np.random.Generator) -> None:
    how = call.choose(draw, "where")
    if how == "False":
        call.where, call.arguments["where"] = np.array(False), False
    elif how != "none":
        shape = other_shape(draw, call.shape, how == "wider array")
        call.where = np.asarray(rng.random(shape) < draw(st.sampled_from([0, 0.5, 0.9])))
        call.arguments["where"] = in_some_layout(call, draw, call.where)
        call.shape = np.broadcast_shapes(call.shape, shape)


@st.composite
def complex_calls(draw: Callable[..., Any]) -> Call:
    """A legal call with finite complex numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    call = Call("", np.empty(0), None)
    call.function = call.choose(draw, "function")
    call.shape = shapes(draw, call.choose(draw, "axes"))
    real, angle = 2 * rng.normal(size=(2, *call.shape))
    turns = draw(st.sampled_from([0.1, 1, 20]))
    call.x = np.asarray(real + 1j * turns * angle).astype(call.choose(draw, "type", COMPLEX_TYPES))
    call.given = in_some_layout(call, draw, call.x)
    if call.function == "logsumexp":
        if call.choose(draw, "b", ["none", "array", "wider array"]) != "none":
            dtype = np.dtype(call.choose(draw, "type of b", ["f4", "f8", *COMPLEX_TYPES]))
            shape = other_shape(draw, call.shape, dict(call.chosen)["b"] == "wider array")
            real, imaginary = rng.normal(size=(2, *shape))
            call.b = np.asarray(real + 1j * imaginary if dtype.kind == "c" else real).astype(dtype)
            call.arguments["b"] = in_some_layout(call, draw, call.b)
            call.shape = np.broadcast_shapes(call.shape, call.b.shape)
        call.arguments |= {name: call.choose(draw, name) for name in ("keepdims", "return_sign")}
    choose_where(call, draw, rng)
    call.arguments["axis"] = choose_axis(call, draw, len(call.shape))
    return call
