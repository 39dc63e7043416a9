"""Bad arguments: the type and the whole text of the error. Nothing is written, and nothing crashes."""

import datetime
import decimal
import re

import numpy as np
import pytest
from advice import not_numbers
from numpy.exceptions import AxisError

import smoothmax

X = np.arange(12.0).reshape(3, 4)


def raises(error, text):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


@pytest.fixture
def first(name):
    """The name of the first argument."""
    return "a" if name == "logsumexp" else "x"


@pytest.mark.parametrize(("axis", "named"), [(2, 2), (-3, -3), (100, 100), ((0, 5), 5), ((-7,), -7), (np.int64(2), 2)])
def test_an_axis_out_of_range_is_named(function, axis, named):
    with raises(AxisError, f"axis {named} is out of bounds for array of dimension 2"):
        function(X, axis=axis)


def test_an_axis_out_of_range_of_a_scalar_is_named(function):
    for axis in (1, -2, (0,), (-1,)):
        named = axis[0] if isinstance(axis, tuple) else axis
        with raises(AxisError, f"axis {named} is out of bounds for array of dimension 0"):
            function(1.0, axis=axis)


def test_an_axis_beyond_every_integer_is_refused(function):
    for axis in (2**31, -(2**31) - 1, 2**62, 2**63 - 1, -(2**63)):
        with raises(AxisError, f"axis {axis} is out of bounds for array of dimension 2"):
            function(X, axis=axis)
    for axis in (2**63, -(2**70), (0, 10**30)):
        with pytest.raises((AxisError, OverflowError)):
            function(X, axis=axis)


@pytest.mark.parametrize(("axis", "named"), [((0, 0), 0), ((1, -1), 1), ((0, 1, -2), 0), ((-1, 1), 1)])
def test_an_axis_given_twice_is_named(function, axis, named):
    with raises(ValueError, f"axis {named} is given more than once in axis={axis!r}"):
        function(X, axis=axis)


class NoIndex:
    """An object without __index__ that has a short repr."""

    def __repr__(self):
        return "NoIndex()"


@pytest.mark.parametrize(
    "axis",
    [
        1.0,
        "0",
        [0],
        [0, 1],
        {0},
        True,
        False,
        np.True_,
        1j,
        NoIndex(),
        (0, 1.0),
        ((0,), 1),
        ("0",),
        (None,),
        (0, True),
        b"",
        {},
        np.float64(1),
        decimal.Decimal(1),
        range(2),
        ...,
        slice(None),
        object,
    ],
    ids=repr,
)
def test_an_axis_of_the_wrong_kind_is_shown(function, axis):
    with raises(TypeError, f"axis must be None, an int or a tuple of ints, got {axis!r}"):
        function(X, axis=axis)


@pytest.mark.parametrize("axis", [np.array([0]), np.array([0, 1]), np.array(1.0)], ids=repr)
def test_an_axis_that_is_an_array_is_refused(function, axis):
    with pytest.raises(TypeError):
        function(X, axis=axis)


def test_an_error_of_an_index_is_raised_as_it_is(function):
    class Fails:
        def __index__(self):
            raise RuntimeError("no index today")

    with raises(RuntimeError, "no index today"):
        function(X, axis=Fails())
    with raises(RuntimeError, "no index today"):
        function(X, axis=(0, Fails()))


@pytest.mark.parametrize("shape", [(3, 1), (4,), (), (1, 3), (3, 4, 1), (4, 3), (0,)])
def test_out_of_another_shape_is_refused(name, function, dtype, shape):
    needed = (3,) if name == "logsumexp" else (3, 4)
    out = np.full(shape, 7, dtype)
    with raises(ValueError, f"out must have shape {needed}, got {shape}"):
        function(X.astype(dtype), axis=1, out=out)
    assert (out == 7).all()


def test_keepdims_changes_the_shape_that_out_must_have():
    with raises(ValueError, "out must have shape (3, 1), got (3,)"):
        smoothmax.logsumexp(X, axis=1, keepdims=True, out=np.empty(3))
    with raises(ValueError, "out must have shape (), got (1,)"):
        smoothmax.logsumexp(X, out=np.empty(1))


def test_a_read_only_out_is_refused(name, function):
    out = np.full(() if name == "logsumexp" else X.shape, 7.0)
    out.flags.writeable = False
    with raises(ValueError, "out must be writeable, got a read-only array"):
        function(X, out=out)
    assert (out == 7).all()


@pytest.mark.parametrize(
    "kind", [np.int64, np.int8, np.uint64, bool, object, "U5", "S3", "M8[s]", "m8[s]", "V8"], ids=str
)
def test_out_that_cannot_hold_the_result_is_refused(name, function, dtype, kind):
    out = np.zeros(() if name == "logsumexp" else X.shape, kind)
    before = out.tobytes()
    text = f"out must have a dtype that {np.dtype(dtype)} can be cast to by 'same_kind', got {np.dtype(kind)}"
    with raises(TypeError, text):  # text and objects are refused, though NumPy's same_kind allows them
        function(X.astype(dtype), out=out)
    assert out.tobytes() == before


@pytest.mark.parametrize(
    "out", [[1.0, 2.0], "out", 3.0, (np.empty(3),), bytearray(8), np.float64(1)], ids=lambda out: type(out).__name__
)
def test_out_that_is_no_array_is_refused(function, out):
    with raises(TypeError, f"out must be a NumPy array, got {type(out).__name__}"):
        function(X, out=out)


def test_a_masked_out_is_refused(name, function):
    with raises(TypeError, "out must not be a masked array"):
        function(X, out=np.ma.zeros(() if name == "logsumexp" else X.shape))


@pytest.mark.parametrize(
    "kind", [np.int32, bool, complex, np.complex64, object, "U3", "M8[s]", "m8[s]", "V4", np.uint8], ids=str
)
def test_a_dtype_that_is_none_of_the_five_is_refused(function, kind):
    with raises(TypeError, f"dtype must be float32, float64, float16, bfloat16 or longdouble, got {np.dtype(kind)}"):
        function(X, dtype=kind)


def test_a_dtype_that_numpy_does_not_know_is_refused(function):
    for kind in ("no such type", 3, [1], X):
        with pytest.raises(TypeError):
            function(X, dtype=kind)


@pytest.mark.parametrize(
    "x",
    [
        np.array(["a", "b"]),
        np.array([b"a"]),
        np.array([object()]),
        np.array([1.5, None]),
        np.array([decimal.Decimal(1)]),
        np.array(["2026-01-01"], "M8[D]"),
        np.array([1], "m8[s]"),
        np.zeros(3, "V8"),
        np.zeros(3, [("a", "f8")]),
        np.array(datetime.date(2026, 1, 1)),
    ],
    ids=lambda x: str(x.dtype),
)
def test_input_that_is_not_numeric_is_refused(function, first, x):
    with raises(TypeError, not_numbers(first, x.dtype)):
        function(x)


def test_masked_input_is_refused(function, first, dtype):
    x = np.ma.masked_array(np.zeros(3, dtype), [True, False, False])
    with raises(TypeError, f"{first} must not be a masked array: pass its data, and the inverted mask as where="):
        function(x)


def test_ragged_input_is_refused(function):
    with pytest.raises(ValueError, match="inhomogeneous"):
        function([[1.0], [1.0, 2.0]])


def test_a_lack_of_memory_for_the_result_is_a_memory_error(name, function):
    """A broadcast input of 2**61 bytes takes no memory. Its results would need more memory than exists."""
    x = np.broadcast_to(np.array(1.0), (2**58,) if name != "logsumexp" else (2**58, 1))
    with pytest.raises(MemoryError):
        function(x, axis=-1)


def test_wrong_numbers_and_names_of_arguments_are_refused(function):
    with pytest.raises(TypeError):
        function()
    with pytest.raises(TypeError):
        function(X, 0, *([None] * 5))
    with pytest.raises(TypeError):
        function(X, axes=0)


def test_any_combination_of_arguments_returns_or_raises(name, function):
    """Any combination of arguments gives a result or one of four errors, and never ends the interpreter."""
    rng = np.random.default_rng(2026)
    inputs = [
        X,
        X.astype("f4"),
        X[::-1, ::2],
        X.astype(">f8"),
        np.zeros(0),
        np.zeros((0, 3)),
        np.float64(3),
        5,
        None,
        "x",
        [1.0, 2.0],
        [[1.0], [2.0, 3.0]],
        object(),
        np.array(None),
        np.ma.ones(3),
        {},
        np.zeros(3, "V3"),
        1j,
        float("nan"),
        X.T,
        np.broadcast_to(1.0, (2, 3)),
    ]
    axes = [
        None,
        0,
        1,
        -1,
        2,
        (),
        (0,),
        (0, 1),
        (1, 0),
        (0, 0),
        "0",
        1.5,
        2**40,
        2**80,
        [0],
        True,
        (None,),
        np.int8(-1),
        object(),
    ]
    outs = [
        None,
        np.empty(3),
        np.empty(4),
        np.empty((3, 4)),
        np.empty(()),
        np.empty((3, 1), "f4"),
        np.empty(0),
        [],
        X.copy().T,
        np.empty((3, 4), object),
        np.empty((3, 4), "f2"),
        np.empty((3, 4), ">f4"),
        np.empty((3, 4), "i8"),
        np.empty(3, "g"),
        np.empty((), object),
        np.empty(3, "c16"),
        np.broadcast_to(0.0, (3, 4)),
    ]
    dtypes = [None, "f4", "f8", "f2", "g", "c8", int, object, "?", "x", 3, np.dtype(">f4"), "V8", "M8[s]"]
    results = 0
    for _ in range(6000):
        x, axis, out, kind = (pool[rng.integers(len(pool))] for pool in (inputs, axes, outs, dtypes))
        arguments = {"keepdims": bool(rng.integers(2))} if name == "logsumexp" else {}
        before = X.tobytes()
        try:
            function(x, axis=axis, out=out, dtype=kind, **arguments)
            results += 1
        except (TypeError, ValueError, AxisError, OverflowError):
            pass
        assert X.tobytes() == before
    assert results > 20


def test_a_failed_call_does_not_change_out(name, function):
    out = np.full((3,) if name == "logsumexp" else (3, 4), 7.0)
    for arguments in (
        {"axis": 5},
        {"axis": (1, 1)},
        {"axis": "1"},
        {"axis": 1, "dtype": int},
        {"axis": 1, "dtype": "c16"},
        {"axis": 1, "where": X},
        {"axis": 1, "where": np.ones(5, bool)},
    ):
        with pytest.raises((TypeError, ValueError)):
            function(X, out=out, **arguments)
        assert (out == 7).all()
