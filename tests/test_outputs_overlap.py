"""`out` may have any layout and byte order, and may share memory with the input, the weights or the mask."""

import numpy as np
import pytest

from smoothmax import log_softmax, logsumexp, softmax

TYPES = [np.float16, np.float32, np.float64, np.longdouble]
each_transform = pytest.mark.parametrize("function", [softmax, log_softmax])
each_type = pytest.mark.parametrize("dtype", TYPES)


def layouts(shape, dtype):
    """Triples of a name, an array of the shape, and the memory that it is a view of."""
    dtype = np.dtype(dtype)
    n = int(np.prod(shape))
    guard = 64
    for name, type_ in (("native", dtype), ("swapped", dtype.newbyteorder())):
        flat = np.full(n + 2 * guard, 77, type_)
        yield name, flat[guard : guard + n].reshape(shape), flat
        flat = np.full(n + 2 * guard, 77, type_)
        yield f"{name} F", flat[guard : guard + n].reshape(shape[::-1]).T, flat
        wide = np.full([3 * k for k in shape], 77, type_)
        yield f"{name} strided", wide[tuple(slice(1, None, 3) for _ in shape)], wide
        yield (
            f"{name} backwards",
            *(lambda w: (w[tuple(slice(None, None, -2) for _ in shape)], w))(
                np.full([2 * k for k in shape], 77, type_)
            ),
        )
    raw = np.full((n + 2 * guard) * dtype.itemsize + 1, 77, np.uint8)
    yield "unaligned", raw[1:].view(dtype)[guard : guard + n].reshape(shape), raw
    record = np.full(n, 77, [("a", "u1"), ("x", dtype), ("b", "u2")])
    yield "record", record["x"].reshape(shape), record


@pytest.mark.parametrize("shape", [(5,), (3, 70), (70, 3), (4, 9, 6), (2, 5000)])
@each_type
def test_out_may_have_any_layout(dtype, shape):
    x = (np.random.default_rng(0).normal(size=shape) * 3).astype(dtype)
    for axis in range(len(shape)):
        for function in (softmax, log_softmax, logsumexp):
            wanted = function(x, axis=axis)
            if not wanted.shape:
                continue
            for name, out, whole in layouts(wanted.shape, dtype):
                untouched = whole.copy()
                view = out.copy()
                assert function(x, axis=axis, out=out) is out
                np.testing.assert_array_equal(out, wanted, err_msg=name)
                out[...] = view
                assert whole.tobytes() == untouched.tobytes(), name


@pytest.mark.parametrize("out_type", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.clongdouble])
@each_type
def test_out_may_have_any_type_of_the_same_kind(dtype, out_type):
    x = (np.random.default_rng(1).normal(size=(20, 70)) * 3).astype(dtype)
    for function in (softmax, log_softmax, logsumexp):
        wanted = function(x, axis=1)
        for name, out, _ in layouts(wanted.shape, out_type):
            function(x, axis=1, out=out)
            if dtype is np.float16:  # computed in float32, so a wider `out` may get digits that float16 cannot hold
                np.testing.assert_allclose(out, wanted, rtol=2**-11, atol=2**-24, err_msg=name)
            else:
                np.testing.assert_array_equal(out, wanted.astype(out_type), err_msg=name)


@pytest.mark.parametrize("shape", [(9,), (5000,), (20, 70), (70, 20), (7, 8, 9)])
@each_type
@each_transform
def test_a_call_in_place_gives_the_same_results(function, dtype, shape):
    base = (np.random.default_rng(2).normal(size=shape) * 3).astype(dtype)
    for axis in (None, *range(len(shape))):
        for view in (np.array, np.asfortranarray, lambda x: np.repeat(x, 2, 0)[::2], lambda x: x[::-1].copy()[::-1]):
            x = view(base.copy())
            wanted = function(x.copy(order="K"), axis=axis)
            assert function(x, axis=axis, out=x) is x
            np.testing.assert_allclose(x, wanted, rtol=4 * np.finfo(dtype).eps)


def overlaps(shape, dtype):
    """Pairs of arrays that share memory. The first has values."""
    n = int(np.prod(shape))
    for distance in (1, 2, 7, n // 2 + 1, -1, -5):
        memory = (np.random.default_rng(3).normal(size=n + 2 * abs(distance)) * 3).astype(dtype)
        begin = abs(distance)
        yield memory[begin : begin + n].reshape(shape), memory[begin + distance : begin + distance + n].reshape(shape)
    memory = (np.random.default_rng(4).normal(size=n) * 3).astype(dtype)
    yield memory.reshape(shape), memory[::-1].reshape(shape)
    yield memory.copy().reshape(shape)[::-1], memory.reshape(shape)
    x = memory.copy().reshape(shape)
    yield x, x[::-1]
    memory = (np.random.default_rng(5).normal(size=2 * n) * 3).astype(dtype)
    yield memory[:n].reshape(shape), memory[::2].reshape(shape)
    yield memory.copy()[::2].reshape(shape), memory[:n].reshape(shape)
    if len(shape) == 2 and shape[0] == shape[1]:
        x = (np.random.default_rng(6).normal(size=shape) * 3).astype(dtype)
        yield x, x.T
    # These two overlap by bytes that are not whole elements.
    raw = np.zeros((n + 1) * np.dtype(dtype).itemsize, np.uint8)
    x, out = raw[: -np.dtype(dtype).itemsize].view(dtype), raw[1 : 1 - np.dtype(dtype).itemsize].view(dtype)
    x[...] = np.arange(n) % 7
    yield x.reshape(shape), out.reshape(shape)


@pytest.mark.parametrize("shape", [(10,), (5000,), (30, 30), (3, 100), (100, 3)])
@each_type
@each_transform
def test_out_may_overlap_the_input(function, dtype, shape):
    for axis in (None, *range(len(shape))):
        for x, out in overlaps(shape, dtype):
            wanted = function(x.copy(order="K"), axis=axis)
            function(x, axis=axis, out=out)
            np.testing.assert_allclose(out, wanted, rtol=4 * np.finfo(dtype).eps)


@each_type
def test_logsumexp_may_write_into_its_input(dtype):
    base = (np.random.default_rng(7).normal(size=(40, 40)) * 3).astype(dtype)
    for axis in (0, 1):
        for row in (0, 1, 39):
            for where in (True, base < 0):
                for b in (None, np.abs(base)):
                    wanted = logsumexp(base, axis=axis, where=where, b=b)
                    x = base.copy()
                    logsumexp(x, axis=axis, where=where, b=b, out=x[row])
                    np.testing.assert_array_equal(x[row], wanted)
                    x = base.copy()
                    logsumexp(x, axis=axis, where=where, b=b, out=x[:, row])
                    np.testing.assert_array_equal(x[:, row], wanted)
    x = base.copy()
    logsumexp(x, axis=(), out=x)
    np.testing.assert_array_equal(x, base)
    wanted = logsumexp(base)
    logsumexp(x, out=x[3, 3, ...])
    assert x[3, 3] == wanted


@each_type
def test_out_may_be_the_weights(dtype):
    a = np.random.default_rng(8).normal(size=(40, 40)).astype(dtype)
    weights = np.random.default_rng(9).uniform(0, 2, (40, 40)).astype(dtype)
    for axis in (0, 1):
        wanted = logsumexp(a, axis=axis, b=weights)
        for row in (0, 20, 39):
            for out in (lambda b, row=row: b[row], lambda b, row=row: b[:, row], lambda b: b.ravel()[3:43]):
                b = weights.copy()
                logsumexp(a, axis=axis, b=b, out=out(b))
                np.testing.assert_array_equal(out(b), wanted)
        b = weights[0].copy()
        wanted = logsumexp(a, axis=axis, b=b)
        logsumexp(a, axis=axis, b=b, out=b)
        np.testing.assert_array_equal(b, wanted)
        both = a.copy()
        wanted = logsumexp(a, axis=axis, b=a, return_sign=True)
        got = logsumexp(both, axis=axis, b=both, out=both[5], return_sign=True)
        np.testing.assert_array_equal(both[5], wanted[0])
        np.testing.assert_array_equal(got[1], wanted[1])
    b = weights.copy()
    logsumexp(a, axis=(), b=b, out=b)
    np.testing.assert_allclose(b, a + np.log(weights), rtol=1e-2, atol=1e-2)


@each_type
def test_out_may_overlap_the_mask(dtype):
    """The bytes of the mask lie in the memory of the result."""
    x = np.random.default_rng(10).normal(size=(30, 50)).astype(dtype)
    chosen = np.random.default_rng(11).random((30, 50)) < 0.5
    for function in (softmax, log_softmax, logsumexp):
        for axis in (0, 1):
            wanted = function(x, axis=axis, where=chosen)
            memory = np.zeros(max(wanted.nbytes, 1500) + 64, np.uint8)
            out = memory[: wanted.nbytes].view(dtype).reshape(wanted.shape)
            mask = memory[:1500].view(bool).reshape(30, 50)
            mask[...] = chosen
            function(x, axis=axis, where=mask, out=out)
            np.testing.assert_array_equal(out, wanted)


def test_out_without_axes_is_returned():
    for dtype in TYPES:
        out = np.zeros((), dtype)
        assert logsumexp(np.zeros(5, dtype), out=out) is out
        assert out == np.log(dtype(5))
        for function in (softmax, log_softmax, logsumexp):
            assert function(dtype(3), out=out) is out
        value, sign = logsumexp([0.0, 0.0], b=[-1, 0.5], return_sign=True, out=out)
        assert value is out
        assert type(sign) is np.float64
        assert sign == -1


def test_a_refused_call_does_not_change_out():
    out = np.full(3, 7.0)
    for args in ({"axis": 1}, {"axis": 0, "b": np.zeros(7)}, {"axis": 0, "where": [1, 0]}, {"axis": 0, "dtype": int}):
        with pytest.raises((ValueError, TypeError)):
            logsumexp(np.zeros((3, 3, 2)), out=out, **args)
        np.testing.assert_array_equal(out, 7)
