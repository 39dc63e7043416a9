"""Hypothesis strategies for calls with one mistake, and the error that each must raise.

Each function of MISTAKES puts its mistake into a legal call, and returns the type of the error and part of its message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from calls import Call, calls
from hypothesis import strategies as st

Draw = Callable[..., Any]
Answer = tuple[type[Exception], str]
AxisError = np.exceptions.AxisError
NO_NUMBERS = st.sampled_from(["U3", "S1", "O", "M8[s]", "m8[D]", "V2"])


def far(call: Call, draw: Draw) -> int:
    """An axis that the input does not have. Even a scalar has the axes 0 and -1."""
    ndim = max(len(call.shape), 1)
    return draw(st.integers(ndim, 99) | st.integers(-99, -ndim - 1))


def reset(call: Call, shape: tuple[int, ...]) -> None:
    """Give the call an input of this shape, and remove the arguments that would have to broadcast with it."""
    call.given, call.shape = np.ones(shape), shape
    for name in ("b", "where"):
        call.arguments.pop(name, None)


def axis_out_of_range(call: Call, draw: Draw) -> Answer:
    call.arguments["axis"] = axis = far(call, draw)
    return AxisError, f"axis {axis} is out of bounds for array of dimension {len(call.shape)}"


def one_axis_of_several_out_of_range(call: Call, draw: Draw) -> Answer:
    axis = far(call, draw)
    call.arguments["axis"] = (*range(draw(st.integers(0, len(call.shape)))), axis)
    return AxisError, f"axis {axis} is out of bounds for array of dimension {len(call.shape)}"


def axis_given_twice(call: Call, draw: Draw) -> Answer:
    if not call.shape:
        reset(call, (3,))
    ndim = len(call.shape)
    axis = draw(st.integers(0, ndim - 1))
    twice = tuple(draw(st.permutations([*range(ndim), axis - ndim])))
    call.arguments["axis"] = twice
    return ValueError, f"axis {axis} is given more than once in axis={twice}"


def axis_of_another_kind(call: Call, draw: Draw) -> Answer:
    axis = draw(st.sampled_from([0.0, "0", [0], True, (None,), np.array([0]), 1j, b""]))
    call.arguments["axis"] = axis
    return TypeError, f"axis must be None, an int or a tuple of ints, got {axis!r}"


def dtype(call: Call, draw: Draw) -> Answer:
    wrong = draw(st.sampled_from([int, "i1", complex, "U1", bool, object, "M8[s]"]))
    call.arguments["dtype"] = wrong
    return TypeError, f"dtype must be float32, float64, float16, bfloat16 or longdouble, got {np.dtype(wrong)}"


def dtype_of_complex_input(call: Call, draw: Draw) -> Answer:
    call.given, call.arguments["dtype"] = np.ones(np.shape(call.given), draw(st.sampled_from("FDG"))), np.float64
    return TypeError, "dtype must be None for complex input, got float64"


def no_array_for_out(call: Call, draw: Draw) -> Answer:
    out = draw(st.sampled_from([[], 1.0, "x", (np.zeros(3),), np.float64(1)]))
    call.arguments["out"] = out
    return TypeError, f"out must be a NumPy array, got {type(out).__name__}"


def shape_of_out(call: Call, draw: Draw) -> Answer:
    right = call.result_shape
    wrong = draw(st.sampled_from([(*right, 1), (1, *right), (2, *right), (7,) * 6]))
    call.arguments["out"] = np.zeros(wrong, np.longdouble)
    return ValueError, f"out must have shape {right}, got {wrong}"


def read_only_out(call: Call, _: Draw) -> Answer:
    out = call.arguments["out"] = np.zeros(call.result_shape)
    out.flags.writeable = False
    return ValueError, "out must be writeable, got a read-only array"


def dtype_of_out(call: Call, draw: Draw) -> Answer:
    out = call.arguments["out"] = np.zeros(call.result_shape, draw(st.sampled_from(["i8", "?", "U9", "O", "m8[s]"])))
    return TypeError, f"can be cast to by 'same_kind', got {out.dtype}"


def masked_out(call: Call, _: Draw) -> Answer:
    call.arguments["out"] = np.ma.zeros(call.result_shape)
    return TypeError, "out must not be a masked array"


def shape_of_where(call: Call, draw: Draw) -> Answer:
    reset(call, (draw(st.integers(1, 4)), 3))
    call.arguments["where"] = np.ones((draw(st.integers(1, 4)), 2), bool)
    return ValueError, f"does not broadcast with the input of shape {call.shape}"


def dtype_of_where(call: Call, draw: Draw) -> Answer:
    where = draw(st.sampled_from([1, 0.5, None, "x", np.zeros(call.shape)]))
    call.arguments["where"] = where
    return TypeError, f"where must be an array of bool, got dtype {np.asarray(where).dtype}"


def masked_where(call: Call, _: Draw) -> Answer:
    call.arguments["where"] = np.ma.ones(call.shape, bool)
    return TypeError, "where must not be a masked array: pass its filled(value)"


def masked_input(call: Call, _: Draw) -> Answer:
    call.given = np.ma.ones(np.shape(call.given))
    return TypeError, "must not be a masked array: pass its data, and the inverted mask as where="


def dtype_of_input(call: Call, draw: Draw) -> Answer:
    call.given = np.zeros(np.shape(call.given), draw(NO_NUMBERS))
    return TypeError, f"must be an array of numbers, got dtype {call.given.dtype}"


def shape_of_b(call: Call, draw: Draw) -> Answer:
    reset(call, (draw(st.integers(1, 4)), 2))
    call.function, call.arguments["b"] = "logsumexp", np.ones(3)
    return ValueError, f"b of shape (3,) does not broadcast with the input of shape {call.shape}"


def dtype_of_b(call: Call, draw: Draw) -> Answer:
    b = np.zeros(np.shape(call.given), draw(NO_NUMBERS))
    call.function, call.arguments["b"] = "logsumexp", b
    return TypeError, f"b must be an array of numbers, got dtype {b.dtype}"


def bool_as_b(call: Call, draw: Draw) -> Answer:
    call.function, call.arguments["b"] = "logsumexp", draw(st.sampled_from([True, False, np.True_, np.False_]))
    return TypeError, "b must be weights, got "


def masked_b(call: Call, _: Draw) -> Answer:
    call.function, call.arguments["b"] = "logsumexp", np.ma.ones(np.shape(call.given))
    return TypeError, "b must not be a masked array: pass its data, and the inverted mask as where="


MISTAKES = {
    made.__name__: made
    for made in (
        axis_out_of_range, one_axis_of_several_out_of_range, axis_given_twice, axis_of_another_kind, dtype,
        dtype_of_complex_input, no_array_for_out, shape_of_out, read_only_out, dtype_of_out, masked_out,
        shape_of_where, dtype_of_where, masked_where, masked_input, dtype_of_input, shape_of_b, dtype_of_b, bool_as_b,
        masked_b,
    )
}  # fmt: skip


@st.composite
def mistakes(draw: Draw, name: str) -> tuple[Call, type[Exception], str]:
    """A call with only the mistake of this name, the type of its error, and a part of the message."""
    call: Call = draw(calls())
    return call, *MISTAKES[name](call, draw)
