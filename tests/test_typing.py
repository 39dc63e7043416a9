"""Functions return the types that the stubs declare.

typing/check.py states the types that a type checker infers, and mypy checks them in .ci/run. Here the same lines run
with an assert_type that looks at the value.
"""

import runpy
import typing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

CHECK = Path(__file__).parent / "typing" / "check.py"
ENOUGH = 90  # comparisons that must be made, of a few more that there are


def spelled_out(declared: object) -> object:
    """What an alias of a type stands for: from Python 3.12 and NumPy 2.5 on, NDArray is one."""
    alias = typing.get_origin(declared)
    return alias.__value__[typing.get_args(declared)] if hasattr(alias, "__value__") else declared


def agrees(value: object, declared: object) -> bool:
    declared = spelled_out(declared)
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if declared is typing.Any:
        return True
    if origin is tuple:
        pairs = zip(value, arguments, strict=True)
        return type(value) is tuple and all(agrees(one, part) for one, part in pairs)
    if origin is np.ndarray:
        (scalar,) = typing.get_args(arguments[1])
        return type(value) is np.ndarray and value.dtype == scalar
    if typing.Any in arguments:  # X | Any: an X or, without axes, a scalar of its type
        return any(agrees(np.atleast_1d(value), part) for part in arguments if part is not typing.Any)
    return type(value) is declared


def test_every_declared_type_is_returned(monkeypatch):
    compared = 0

    def assert_type(value, declared):
        nonlocal compared
        compared += 1
        if typing.get_origin(declared) is dict or dict in map(typing.get_origin, typing.get_args(declared)):
            return
        assert agrees(value, declared), f"assert_type number {compared}: {value!r} is not {declared}"

    monkeypatch.setattr(typing, "assert_type", assert_type)
    runpy.run_path(str(CHECK))
    assert compared >= ENOUGH


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        (np.float64(1), np.float32),
        (np.ones(2), np.float64),
        (np.float64(1), np.ndarray[typing.Any, np.dtype[np.float64]]),
        (np.ones(2, np.float32), np.ndarray[typing.Any, np.dtype[np.float64]] | typing.Any),
        ((np.float64(1), np.float32(1)), tuple[np.float64, np.float64]),
        (np.ones(2, np.float32), NDArray[np.float64]),
        (np.ones(2, np.float32), NDArray[np.float64] | typing.Any),
    ],
)
def test_a_wrong_type_is_noticed(value, declared):
    assert not agrees(value, declared)
