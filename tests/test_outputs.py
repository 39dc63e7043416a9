"""out and dtype: where the result goes, its type and that of the computation, and which arrays may overlap."""

import numpy as np
import pytest
from bounds import bound
from oracle import reference, ulp_error

import smoothmax

TRANSFORMS = ("softmax", "log_softmax")


def values(shape, dtype):
    return (np.random.default_rng(sum(shape)).standard_normal(shape) * 6).astype(dtype)


def result_shape(name, shape, axis):
    return np.sum(np.zeros(shape), axis=axis).shape if name == "logsumexp" else shape


def outputs(shape, dtype):
    """Writeable arrays of this shape, in every layout."""
    yield "contiguous", np.full(shape, 7, dtype)
    yield "fortran", np.full(shape, 7, dtype, order="F")
    yield "reversed", np.full(shape, 7, dtype)[(..., *[slice(None, None, -1)] * len(shape))]
    yield "strided", np.full([2 * n for n in shape], 7, dtype)[(..., *[slice(1, None, 2)] * len(shape))]
    yield "inside", np.full([n + 2 for n in shape], 7, dtype)[(..., *[slice(1, -1)] * len(shape))]
    yield "big-endian", np.full(shape, 7, np.dtype(dtype).newbyteorder(">"))
    yield "little-endian", np.full(shape, 7, np.dtype(dtype).newbyteorder("<"))
    records = np.zeros(shape, [("before", "u1"), ("value", dtype)])
    yield "unaligned", records["value"]
    yield "big-endian and unaligned", np.zeros(shape, [("a", "u1"), ("v", np.dtype(dtype).newbyteorder(">"))])["v"]


@pytest.mark.parametrize("shape", [(5,), (300,), (9, 20), (70, 70), (9, 130), (3, 4, 5), (5, 9, 300)], ids=str)
def test_every_layout_of_out_is_within_the_promise(name, function, dtype, shape):
    for source in (values(shape, dtype), np.asfortranarray(values(shape, dtype)), values(shape, dtype)[..., ::-1]):
        for axis in (None, 0, -1, (0, len(shape) - 1)[: len(shape)], ()):
            exact = reference(name, source, axis)
            n = source.size
            for label, out in outputs(result_shape(name, shape, axis), dtype):
                assert function(source, axis=axis, out=out) is out
                assert np.all(ulp_error(out, exact) <= bound(name, n)), (label, axis)


def test_nothing_around_out_is_written(name, function, dtype):
    for shape in ((5,), (9, 20), (70, 70), (3, 4, 90)):
        for axis in (0, -1, None):
            wide = np.full([2 * n + 2 for n in result_shape(name, shape, axis)], 7, dtype)
            inside = (slice(1, -1, 2),) * wide.ndim
            function(values(shape, dtype), axis=axis, out=wide[inside] if wide.ndim else wide)
            if wide.ndim:
                wide[inside] = 7
                assert (wide == 7).all()


def test_keepdims_and_out_go_together(dtype):
    x = values((3, 4, 5), dtype)
    for axis, shape in ((1, (3, 1, 5)), ((0, 2), (1, 4, 1)), (None, (1, 1, 1)), ((), (3, 4, 5))):
        out = np.empty(shape, dtype)
        assert smoothmax.logsumexp(x, axis=axis, keepdims=True, out=out) is out
        np.testing.assert_array_equal(out, smoothmax.logsumexp(x, axis=axis, keepdims=True))


@pytest.mark.parametrize(
    "shape", [(1,), (10,), (5000,), (200_000,), (10, 7), (7, 100), (100, 70), (2000, 70), (4, 5, 6)], ids=str
)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_call_in_place_gives_the_same_results(name, function, dtype, shape):
    for axis in (None, 0, -1):
        for order in ("C", "F"):
            x = np.array(values(shape, dtype), order=order)
            exact = reference(name, x, axis)
            wanted = function(x, axis=axis)
            assert function(x, axis=axis, out=x) is x
            np.testing.assert_array_equal(x, wanted)
            assert np.all(ulp_error(x, exact) <= bound(name, x.size))
            part = np.array(values((*shape[:-1], 2 * shape[-1]), dtype), order=order)[..., ::2]
            wanted = function(part, axis=axis)
            function(part, axis=axis, out=part)
            np.testing.assert_array_equal(part, wanted)


def overlapping(x):
    """Pairs of views that share memory, with a name for how they overlap."""
    flat = x.ravel()
    n = flat.size // 2
    yield "shifted down", flat[:n], flat[1 : n + 1]
    yield "shifted up", flat[1 : n + 1], flat[:n]
    yield "shifted far", flat[: n + n // 2], flat[n - n // 2 : 2 * n]
    yield "reversed", flat, flat[::-1]
    yield "other steps", flat[:n], flat[: 2 * n : 2]
    yield "other steps back", flat[: 2 * n : 2], flat[:n]
    side = int(flat.size**0.5)
    square = flat[: side * side].reshape(side, side)
    yield "transposed", square, square.T
    yield "turned", square, square[::-1, ::-1]
    yield "columns", square[:, :-1], square[:, 1:]
    yield "rows", square[1:], square[:-1]
    yield "the same, swapped", square, square.view(square.dtype.newbyteorder())


@pytest.mark.parametrize("size", [40, 700, 6400, 30_000])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_out_may_overlap_the_input(name, function, dtype, size):
    for label in [label for label, *_ in overlapping(np.zeros(size, dtype))]:
        for axis in (None, -1, 0):
            source, out = next(views for found, *views in overlapping(values((size,), dtype)) if found == label)
            copy = source.copy(order="K")
            exact = reference(name, copy, axis)
            with np.errstate(all="ignore"):
                function(source, axis=axis, out=out)
            assert np.all(ulp_error(out.astype(dtype), exact) <= bound(name, copy.size)), (label, axis)


def test_out_may_overlap_the_input_of_a_reduction(dtype):
    for shape in ((6, 6), (80, 80), (300, 9)):
        for axis in (0, 1):
            for place in (0, -1, 1):
                x = values(shape, dtype)
                exact = reference("logsumexp", x, axis)
                out = x[place, : exact.high.size] if exact.high.size <= shape[1] else x[: exact.high.size, place]
                smoothmax.logsumexp(x, axis=axis, out=out)
                assert np.all(ulp_error(out, exact) <= bound("logsumexp", shape[axis]))
        x = values(shape, dtype)
        exact = reference("logsumexp", x)
        smoothmax.logsumexp(x, out=x[2, 3, ...])
        assert ulp_error(x[2, 3], exact) <= bound("logsumexp", x.size)


def test_out_of_the_other_type_gets_the_result_cast(name, function, dtype):
    """The type of the computation is that of the input. The result is cast to the type of out, by same_kind."""
    other = np.float32 if dtype == np.float64 else np.float64
    for shape in ((5,), (9, 20), (100, 70), (4, 5000), (70, 2000)):
        x = values(shape, dtype)
        for axis in (None, 0, -1):
            exact = reference(name, x, axis)
            for label, out in outputs(exact.high.shape, other):
                assert function(x, axis=axis, out=out) is out
                with np.errstate(all="ignore"):
                    narrow = out.astype(np.float32)
                np.testing.assert_array_equal(narrow.astype(other), out, label)
                promise = bound(name, x.size) if dtype == np.float32 else 0.5 + 1e-6
                assert np.all(ulp_error(narrow, exact) <= promise), (label, axis)


def test_out_of_the_other_type_may_overlap_the_input(dtype):
    other = np.float32 if dtype == np.float64 else np.float64
    for name in TRANSFORMS:
        buffer = np.zeros(8 * 600, np.uint8)
        x, out = (
            buffer[: 500 * np.dtype(dtype).itemsize].view(dtype),
            buffer[8 : 8 + 500 * np.dtype(other).itemsize].view(other),
        )
        x[:] = values((500,), dtype)
        wanted = getattr(smoothmax, name)(x).astype(other)
        getattr(smoothmax, name)(x, out=out)
        np.testing.assert_array_equal(out, wanted)


def test_out_may_be_of_a_subclass(name, function, dtype):
    class Marked(np.ndarray):
        pass

    x = values((4, 5), dtype).view(Marked)
    out = np.empty(result_shape(name, (4, 5), 1), dtype).view(Marked)
    assert function(x, axis=1, out=out) is out
    np.testing.assert_array_equal(np.asarray(out), function(np.asarray(x), axis=1))


def test_results_without_axes_are_scalars(name, function, dtype):
    x = values((6,), dtype)
    if name == "logsumexp":
        for given, axis in (
            (x, None),
            (x, 0),
            (x.reshape(2, 3), None),
            (x.reshape(2, 3), (0, 1)),
            (x[:0], 0),
            (x[1], None),
        ):
            assert isinstance(function(given, axis=axis), dtype)
            assert isinstance(function(given.astype(given.dtype.newbyteorder()), axis=axis), dtype)
        assert isinstance(function(x, keepdims=True), np.ndarray)
    else:
        assert isinstance(function(x[1]), dtype)
        assert isinstance(function(x[1, ...]), dtype)
        assert isinstance(function(x), np.ndarray)


def test_out_without_axes_is_returned_as_it_is(name, function, dtype):
    x = values((6,), dtype)
    given = x if name == "logsumexp" else x[0, ...]
    for label, out in outputs((), dtype):
        assert function(given, out=out) is out, label
        assert out == function(given)


def test_out_of_an_empty_input_is_filled_and_returned(name, function, dtype):
    for shape, axis in (((0,), None), ((0, 3), 0), ((0, 3), 1), ((3, 0), 1)):
        out = np.full(result_shape(name, shape, axis), 7, dtype)
        assert function(np.empty(shape, dtype), axis=axis, out=out) is out
        assert (out == -np.inf).all()


@pytest.mark.parametrize(
    "wanted", ["float32", np.float32, np.dtype("f4"), "f8", float, np.dtype(">f8"), np.dtype(">f4")], ids=str
)
def test_the_input_is_cast_to_dtype_first(name, function, dtype, wanted):
    """The computation and the result also have this type."""
    native = np.dtype(wanted).newbyteorder("=")
    for shape, axis in (((5,), None), ((9, 20), 1), ((100, 70), 0), ((7, 9, 11), (0, 2))):
        x = values(shape, dtype)
        for given in (x, x[..., ::-1], np.asfortranarray(x), x.astype(x.dtype.newbyteorder())):
            got = function(given, axis=axis, dtype=wanted)
            assert got.dtype == native
            assert got.dtype.isnative
            exact = reference(name, given.astype(native), axis)
            assert np.all(ulp_error(got, exact) <= bound(name, given.size))
            if name != "logsumexp":
                assert got.strides == np.empty_like(given, dtype=native).strides


def test_input_beyond_the_range_of_dtype_is_infinite(name, function):
    """A float64 beyond the range of float32 is cast to infinity, without a warning."""
    with np.errstate(all="raise"):
        got = function(np.array([1e300, 0.0]), dtype=np.float32)
    np.testing.assert_array_equal(
        got, {"logsumexp": np.inf, "softmax": [np.nan] * 2, "log_softmax": [np.nan, -np.inf]}[name]
    )


def test_out_gets_the_result_cast_from_dtype(function):
    x = values((9, 20), np.float64)
    for kind in (np.float32, np.float64):
        wanted = np.asarray(function(x, axis=1, dtype=np.float32)).astype(kind)
        out = np.empty_like(wanted)
        assert function(x, axis=1, dtype=np.float32, out=out) is out
        np.testing.assert_array_equal(out, wanted)
