"""smoothmax in functions that Numba compiles returns the same as in Python."""

import os
import subprocess
import sys

import numpy as np
import pytest
from bounds import bound

import smoothmax

numba = pytest.importorskip("numba")
from smoothmax._hooks.numba import register  # noqa: E402

FUNCTIONS = ("logsumexp", "softmax", "log_softmax")


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Numba does this by the entry point, which a source tree does not have."""
    register()
    register()


@numba.njit
def logsumexp(x):
    return smoothmax.logsumexp(x)


@numba.njit
def softmax(x):
    return smoothmax.softmax(x)


@numba.njit
def log_softmax(x):
    return smoothmax.log_softmax(x)


@numba.njit
def of_rows(x):
    return smoothmax.logsumexp(x, axis=1), smoothmax.softmax(x, axis=1), smoothmax.log_softmax(x, -1)


@numba.njit
def of_columns(x):
    return smoothmax.logsumexp(x, axis=0), smoothmax.softmax(x, axis=0), smoothmax.log_softmax(x, -2)


@numba.njit
def of_numbers(x1, x2):
    return (
        smoothmax.logaddexp(x1, x2),
        smoothmax.logsubexp(x1, x2),
        smoothmax.log1mexp(-x1),
        smoothmax.log1pexp(x1),
        smoothmax.log_expit(x1),
    )


def same(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    return found.dtype == expected.dtype and found.shape == expected.shape and found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("n", [0, 1, 10, 3000])
def test_one_dimension_has_the_bits_of_python(n):
    x = np.random.default_rng(n).normal(size=n)
    assert same(logsumexp(x), smoothmax.logsumexp(x))
    assert same(softmax(x), smoothmax.softmax(x))
    assert same(log_softmax(x), smoothmax.log_softmax(x))


def test_strides_have_the_bits_of_python():
    x = np.random.default_rng(0).normal(size=(40, 3))
    for view in (x[:, 1], x[::-1, 1], x[::3, 2]):
        assert same(logsumexp(view), smoothmax.logsumexp(view.copy()))
        assert same(softmax(view), smoothmax.softmax(view.copy()))


def test_an_array_that_must_not_be_written_can_be_read():
    x = np.arange(4.0)
    x.setflags(write=False)
    assert same(softmax(x), smoothmax.softmax(x))


def test_fields_of_records_and_arrays_that_are_not_aligned():
    """Their strides or addresses are not multiples of the size of an element."""
    for shape in ((9,), (5, 9)):
        records = np.zeros(shape, [("id", "i4"), ("x", "f8")])
        bytes_ = np.zeros(records.size * 8 + 1, np.uint8)
        shifted = bytes_[1:].view(np.float64).reshape(shape)
        records["x"] = shifted[...] = np.random.default_rng(12).normal(size=shape) * 5
        for x in (records["x"], shifted):
            assert same(logsumexp(x), smoothmax.logsumexp(x.ravel()))
            assert same(softmax(x), smoothmax.softmax(x.ravel()).reshape(shape))
    x = records["x"]
    for function, axis in ((of_rows, 1), (of_columns, 0)):
        for found, name in zip(function(x), FUNCTIONS, strict=True):
            np.testing.assert_allclose(found, getattr(smoothmax, name)(x.copy(), axis), rtol=1e-14)


def test_float32_and_integers_have_the_bits_of_python():
    x = np.random.default_rng(0).normal(size=20).astype(np.float32)
    assert logsumexp(x) == smoothmax.logsumexp(x)
    assert same(softmax(x), smoothmax.softmax(x))
    numbers = np.arange(7)
    assert same(logsumexp(numbers), smoothmax.logsumexp(numbers))
    assert same(softmax(numbers), smoothmax.softmax(numbers))


@pytest.mark.parametrize("order", ["C", "F"])
def test_two_dimensions_with_a_literal_axis(order):
    x = np.asarray(np.random.default_rng(0).normal(size=(30, 50)), order=order)
    for found, axis in ((of_rows(x), 1), (of_columns(x), 0)):
        for values, name in zip(found, FUNCTIONS, strict=True):
            expected = getattr(smoothmax, name)(x, axis=axis)
            assert values.shape == expected.shape
            error = np.abs(values - expected) / np.spacing(np.abs(expected))
            assert error.max() <= 2 * bound(name, x.shape[axis]), name  # tiles in Python may round differently


@pytest.mark.parametrize("order", ["C", "F"])
def test_two_dimensions_without_an_axis_are_taken_whole(order):
    x = np.asarray(np.random.default_rng(0).normal(size=(3, 4)), order=order)
    assert same(logsumexp(x), smoothmax.logsumexp(x.ravel()))
    assert same(softmax(x), smoothmax.softmax(x.ravel()).reshape(x.shape))


@pytest.mark.parametrize("numbers", [(1.5, 0.5), (np.float32(1.5), np.float32(0.5)), (2, 1)])
def test_numbers_have_the_bits_of_the_ufuncs(numbers):
    first = numbers[0]
    expected = (
        smoothmax.logaddexp(*numbers),
        smoothmax.logsubexp(*numbers),
        smoothmax.log1mexp(-first),
        smoothmax.log1pexp(first),
        smoothmax.log_expit(first),
    )
    assert of_numbers(*numbers) == expected


@numba.njit(parallel=True)
def forward_sums(x, transition):
    out = np.empty_like(x)
    for i in numba.prange(len(x)):
        for j in range(x.shape[1]):
            out[i, j] = logsumexp(x[i] + transition[:, j])  # compiled, and called here from compiled code
    return out


def test_threads_of_numba_and_functions_that_call_each_other():
    rng = np.random.default_rng(0)
    x, transition = rng.normal(size=(40, 5)), rng.normal(size=(5, 5))
    expected = [[smoothmax.logsumexp(row + column) for column in transition.T] for row in x]
    np.testing.assert_array_equal(forward_sums(x, transition), expected)


def test_ufuncs_that_numba_makes():
    """Their loops run without the GIL, and no flag that a kernel raises becomes a warning."""

    @numba.vectorize(["float64(float64, float64)"])
    def add(x1, x2):
        return smoothmax.logaddexp(x1, x2)

    @numba.guvectorize(["(float32[:], float32[:])"], "(n)->(n)")
    def rows(x, out):
        out[:] = smoothmax.softmax(x)

    x = np.array([[-np.inf, 800.0, -800.0], [0.0, -745.0, np.inf]])
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(add(x, x[::-1]), smoothmax.logaddexp(x, x[::-1]))
        single = x.astype(np.float32)
        np.testing.assert_array_equal(rows(single), [smoothmax.softmax(row) for row in single])


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        (lambda x: smoothmax.logsumexp(x), 1j * np.ones(3), "float32, float64, integers or booleans, got complex128"),
        (lambda x: smoothmax.softmax(x), 1.0, "takes an array of at least one axis, got float64"),
        (lambda x: smoothmax.softmax(x, 1), np.ones(3), "axis 1 is out of bounds for array of dimension 1"),
        (lambda x: smoothmax.softmax(x, x.size), np.ones(3), "must be None or a literal integer, got int64"),
        (lambda x: smoothmax.softmax(x, 0), np.ones((2, 2, 2)), "takes an axis of at most two, got 3 axes"),
        (lambda x: smoothmax.log_expit(x), 1j, "log_expit in compiled code takes real numbers, got complex128"),
        (
            lambda x: smoothmax.logaddexp(0.0, x),
            np.ones(3),
            "takes real numbers, got array(float64, 1d, C); call it in a loop over the elements",
        ),
    ],
)
def test_errors_say_why_a_call_cannot_be_compiled(function, argument, message):
    with pytest.raises(numba.core.errors.TypingError) as caught:
        numba.njit(function)(argument)
    assert message in str(caught.value)


PROGRAM = """
import sys
import numpy as np, numba, smoothmax

@numba.njit(cache=True)
def f(x):
    return smoothmax.logsumexp(x) + smoothmax.logaddexp(x[0], x[1])

value = f(np.array([0.0, 1.0, 2.0]))
expected = smoothmax.logsumexp([0.0, 1.0, 2.0]) + smoothmax.logaddexp(0.0, 1.0)
print(value == expected, sum(f.stats.cache_hits.values()))
"""


def test_the_entry_point_registers_and_a_cached_function_finds_the_functions_again(entry_points):
    program = entry_points / "program.py"
    program.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(entry_points), *sys.path])}
    for hits in (0, 1):
        command = [sys.executable, program]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
        assert (run.stdout, run.stderr) == (f"True {hits}\n", "")


def test_smoothmax_does_not_import_numba():
    script = "import smoothmax, sys; smoothmax.logsumexp([0.0]); assert 'numba' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
