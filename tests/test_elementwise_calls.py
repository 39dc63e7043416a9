"""Calls of ufuncs with contiguous arrays, which go past NumPy, give what NumPy's own way gives."""

import subprocess
import sys

import numpy as np
import pytest
from elementwise_reference import BINARY, UNARY

import smoothmax
from smoothmax._thresholds import limits

LIMITS = limits()
LANES, BLOCK, GIL = LIMITS["LANES_F32"], LIMITS["REPEATED_BLOCK_ELEMENTS"], LIMITS["GIL_MIN_ELEMENTS"]
SHARED = LIMITS["SHARE_MIN_BYTES"] // 4 + 1
LENGTHS = (0, 1, 2, LANES - 1, LANES + 1, GIL - 1, GIL, BLOCK + 1, SHARED)
# Shapes of two operands. The first are one row, the next rows and columns; the last need loops that NumPy has.
SHAPES = [
    ((5,), (5,)), ((3, 5), (3, 5)), ((1,), (7,)), ((7,), (1, 1)), ((1, 1, 1), (1,)), ((2, 1, 5), (1, 2, 1, 5)),
    ((0,), (1,)), ((3, 0), (1, 1)), ((0, 3), (3,)), ((3, 1), (1, 0)),
    ((3, 1), (1, 5)), ((3, 5), (5,)), ((5,), (3, 5)), ((3, 5), (3, 1)), ((3, 1), (3, 5)), ((2, 3, 5), (5,)),
    ((2, 3, 5), (3, 5)), ((2, 3, 5), (2, 1, 1)), ((2, 1, 1, 3), (4, 5, 1)), ((1, 3, 1), (2, 1, 5)),
    ((BLOCK, 3), (3,)), ((BLOCK, 1), (BLOCK, 2)), ((BLOCK + 5, 1), (1, 7)), ((1, 7), (BLOCK + 5, 1)),
    ((3, BLOCK // 2), (BLOCK // 2,)), ((3, BLOCK // 2 + 1), (3, 1)), ((5, BLOCK + 1), (1, BLOCK + 1)),
    ((300, 1), (1, 300)), ((300, 301), (301,)), ((SHARED // 3, 3), (3,)), ((2, SHARED // 2), (2, 1)),
    ((2, 1, 5), (3, 1)), ((2, 3, 1), (2, 1, 5)), ((2, 1, 3, 1), (2, 1, 5)), ((1,) * 30 + (3, 1), (4,)),
]  # fmt: skip


def operands(ufunc, shapes, dtype, seed=0):
    """Random arrays for which results are finite."""
    rng = np.random.default_rng(seed)
    lower = iter((0, 20))
    return tuple(-rng.uniform(low := next(lower), low + 20, shape).astype(dtype) for shape in shapes[: ufunc.nin])


def assert_same(got, expected):
    assert type(got) is np.ndarray
    assert (got.dtype, got.shape, got.strides) == (expected.dtype, expected.shape, expected.strides)
    assert got.tobytes() == expected.tobytes()


def by_numpy(ufunc, *x):
    """The same call with a keyword, which always goes to NumPy."""
    return ufunc(*x, where=True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", UNARY + BINARY)
def test_operands_of_one_shape_have_the_bits_of_numpys_way(name, dtype):
    ufunc = getattr(smoothmax, name)
    for threads in (1, 3):
        with smoothmax.num_threads(threads):
            for n in LENGTHS:
                x = operands(ufunc, (n, n), dtype)
                assert_same(ufunc(*x), by_numpy(ufunc, *x))


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_shapes_that_broadcast(name, shapes, dtype):
    ufunc = getattr(smoothmax, name)
    x = operands(ufunc, shapes, dtype)
    expected = ufunc(*(np.array(each) for each in np.broadcast_arrays(*x)), where=True)
    for threads in (1, 3):
        with smoothmax.num_threads(threads):
            assert_same(ufunc(*x), expected)


def test_broadcast_operands_are_shared_by_threads():
    """NumPy passes broadcast operands in parts, each of which is too short to be shared."""
    script = """if True:
        import numpy, smoothmax
        from smoothmax._schedule.pool import _helpers
        x = numpy.zeros((1000, 1))
        smoothmax.set_num_threads(3)
        smoothmax.logaddexp(x, x.T, where=True)
        print(_helpers(), end=" ")
        smoothmax.logaddexp(x, numpy.zeros((1, 1000)))
        print(_helpers())
    """
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("0 2\n", "")


def unlike(x):
    """Operands that NumPy must convert or arrange, or whose type is kept."""

    class Special(np.ndarray):
        pass

    return [
        (np.asfortranarray(np.ones((3, 4))), np.asfortranarray(np.zeros((3, 4)))), (x[::2], x[1::2]),
        (x.astype(np.float32), x), (x.astype(">f8"), x), (x.astype(np.float16), x.astype(np.float16)),
        (np.array(1.0), np.array(2.0)), (x, np.array(2.0)), (x, 2.0), (1, x), (list(x), list(x)),
        (x.view(Special), x), (x, x.view(Special)), (np.ma.masked_less(x, 0), x),
    ]  # fmt: skip


def test_other_operands_have_numpys_types_and_order():
    x = np.linspace(-1.0, 1.0, 10)
    for x1, x2 in unlike(x):
        got, expected = smoothmax.logaddexp(x1, x2), np.logaddexp(x1, x2)
        assert type(got) is type(expected)
        assert got.dtype == expected.dtype
        assert got.flags.f_contiguous == expected.flags.f_contiguous
        np.testing.assert_allclose(got, expected, rtol=1e-3 if got.dtype == np.float16 else 1e-6)


def test_metadata_of_a_dtype_is_kept():
    x = np.zeros(3, np.dtype("f8", metadata={"unit": "nat"}))
    assert smoothmax.log1pexp(x).dtype.metadata == {"unit": "nat"}
    assert smoothmax.logaddexp(x, np.zeros(3)).dtype.metadata == np.add(x, np.zeros(3)).dtype.metadata


def test_an_operand_that_has_its_own_ufuncs_is_asked():
    class Asked:
        def __array_ufunc__(self, ufunc, method, *operands):
            return ufunc.__name__, method, len(operands)

    assert smoothmax.logaddexp(np.zeros(3), Asked()) == ("smoothmax.logaddexp", "__call__", 2)


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((3, 4), (3,)), ((0,), (3,)), ((3,), (0,)), ((2, 3), (4, 1, 2))])
def test_shapes_that_do_not_broadcast_have_numpys_error(shapes):
    x = operands(smoothmax.logaddexp, shapes, np.float64)
    with pytest.raises(ValueError, match="operands could not be broadcast together with shapes") as error:
        smoothmax.logaddexp(*x)
    with pytest.raises(ValueError, match="operands could not be broadcast") as numpys:
        by_numpy(smoothmax.logaddexp, *x)
    assert str(error.value) == str(numpys.value)


def test_too_few_and_too_many_operands_have_numpys_error():
    x = np.zeros(3)
    for arguments in ((), (x,), (x, x, x, x)):
        with pytest.raises(TypeError, match="takes from 2 to 3 positional arguments"):
            smoothmax.logaddexp(*arguments)
    assert smoothmax.logaddexp(x, x, out := np.ones(3)) is out
    assert np.array_equal(out, smoothmax.logaddexp(x, x))


def test_unaligned_and_read_only_operands():
    x = operands(smoothmax.logaddexp, (100, 100), np.float64)
    expected = smoothmax.logaddexp(*x)
    moved = np.frombuffer(b"." + x[0].tobytes(), np.uint8)[1:].view(np.float64)
    assert not moved.flags.aligned
    assert_same(smoothmax.logaddexp(moved, x[1]), expected)
    x[0].flags.writeable = False
    got = smoothmax.logaddexp(*x)
    assert_same(got, expected)
    assert got.flags.writeable
    assert got.flags.owndata


def test_a_result_that_is_too_large_has_numpys_error():
    x = np.zeros((1 << 24, 1), np.float32)
    with pytest.raises(MemoryError, match="Unable to allocate"):
        smoothmax.logaddexp(x, x.reshape(1, -1))


def test_no_flag_is_left():
    """NumPy looks at flags after its own loops only, so a loop of NumPy makes the calls."""
    x = np.array([-800.0, 800.0, np.inf, -np.inf, 1e-310])

    def call(_):
        smoothmax.logaddexp(x, -x)
        smoothmax.logsubexp(x, x[::-1].copy())
        smoothmax.log1mexp(x)
        smoothmax.logaddexp(x[:, None].copy(), x)

    with np.errstate(all="raise"):
        np.frompyfunc(call, 1, 1)(0)
