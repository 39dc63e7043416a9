"""Any memory layout gives the same results. The input is not changed, and results have its memory order."""

import functools
import itertools

import numpy as np
import pytest
from bounds import bound
from oracle import reference, ulp_error

import smoothmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

SHAPES = [(), (1,), (7,), (5, 6), (3, 1, 4), (2, 3, 4), (9, 2, 5, 3), (2, 3, 1, 4, 2), (2, 3, 2, 2, 3, 2), (70, 3, 65)]


def contiguous(x):
    return np.ascontiguousarray(x).reshape(x.shape)


def fortran(x):
    return np.asfortranarray(x).reshape(x.shape, order="F")


def transposed(x):
    """An array whose axes, except for the first two, lie in memory in reverse order."""
    order = [*range(x.ndim)]
    order[2:] = order[:1:-1]
    return x.transpose(order).copy(order="C").transpose(np.argsort(order))


def moved(x):
    """An array whose last axis has the largest stride."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, -1, 0)), 0, -1) if x.ndim else contiguous(x)


def reversed_(x):
    flip = (slice(None, None, -1),) * x.ndim
    return contiguous(x[flip])[flip]


def partly_reversed(x):
    flip = (slice(None, None, -1), slice(None))[: x.ndim] + (slice(None, None, -1),) * (x.ndim - 2)
    return contiguous(x[flip])[flip]


def strided(x):
    wide = np.full([2 * n + 1 for n in x.shape], np.nan, x.dtype)
    every_second = (slice(1, None, 2),) * x.ndim
    wide[every_second] = x
    return wide[every_second]


def padded(x):
    """Rows with a gap between them: the last axis is contiguous, the others are not."""
    wide = np.full([n + 3 for n in x.shape], np.nan, x.dtype)
    inside = tuple(slice(1, n + 1) for n in x.shape)
    wide[inside] = x
    return wide[inside]


def big_endian(x):
    return contiguous(x).astype(x.dtype.newbyteorder(">"))


def big_endian_fortran(x):
    return fortran(x).astype(x.dtype.newbyteorder(">"), order="F")


def unaligned(x):
    array = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    array[...] = x
    assert not array.flags.aligned or x.itemsize == 1
    return array


def field(x):
    """One field of packed records: unaligned and strided."""
    records = np.zeros(x.shape, [("before", "u1"), ("value", x.dtype), ("after", "u2")])
    records["value"] = x
    return records["value"]


def read_only(x):
    copy = contiguous(x).copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = [contiguous, fortran, transposed, moved, reversed_, partly_reversed, strided, padded, big_endian,
           big_endian_fortran, unaligned, field, read_only]  # fmt: skip


def all_axes(ndim):
    yield None
    for count in range(ndim + 1):
        yield from itertools.combinations(range(ndim), count)


def values(shape, dtype):
    return np.asarray(np.random.default_rng(len(shape)).standard_normal(shape) * 5).astype(dtype)


@functools.cache
def reference_of_values(name, shape, dtype, axis):
    return reference(name, values(shape, dtype), axis)


def count_of(shape, axis):
    return int(np.prod(shape if axis is None else [shape[i] for i in axis]))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_layout_and_axis_is_within_the_promise(name, function, dtype, shape, layout):
    plain = values(shape, dtype)
    x = layout(plain)
    assert x.shape == shape
    bytes_before = x.tobytes()
    for axis in all_axes(len(shape)):
        promise = bound(name, count_of(shape, axis))
        exact = reference_of_values(name, shape, dtype, axis)
        got = function(x, axis=axis)
        assert got.dtype == dtype
        assert np.all(ulp_error(got, exact) <= promise), axis
        if name == "logsumexp":
            with_axes = function(x, axis=axis, keepdims=True)
            assert with_axes.shape == tuple(1 if axis is None or i in axis else n for i, n in enumerate(shape))
            np.testing.assert_array_equal(with_axes.reshape(np.shape(got)), got)
    assert x.tobytes() == bytes_before


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_softmax_keeps_the_memory_order(dtype, layout):
    for shape in SHAPES[1:]:
        x = layout(values(shape, dtype))
        for function in (smoothmax.softmax, smoothmax.log_softmax):
            got = function(x, axis=-1)
            assert got.strides == np.empty_like(x).strides
            assert got.dtype.isnative
            assert got.flags.writeable
            assert got.flags.owndata


def test_all_forms_of_an_axis_mean_the_same(function, dtype):
    x = values((3, 4, 5), dtype)
    for forms in (
        (None, (0, 1, 2), (2, -2, 0), (-1, -2, -3)),
        (0, -3, (0,), (-3,), np.int64(0), np.array(0), np.uint8(0)),
        (2, -1, (2,), np.int8(-1)),
        ((0, 2), (2, 0), (-1, -3), (np.int32(0), 2)),
    ):
        first, *others = [function(x, axis=axis) for axis in forms]
        for other in others:
            np.testing.assert_array_equal(first, other)
    for i in range(3):
        np.testing.assert_array_equal(function(x, axis=i), function(x, i))
    np.testing.assert_array_equal(function(x), function(x, None))


def test_axis_without_axes_reduces_nothing(name, function, dtype):
    x = values((3, 4), dtype)
    wanted = {"logsumexp": x, "softmax": np.ones_like(x), "log_softmax": np.zeros_like(x)}[name]
    for layout in LAYOUTS:
        np.testing.assert_array_equal(function(layout(x), axis=()), wanted)


def test_a_scalar_has_the_axes_0_and_minus_1(name, function, dtype):
    """As for np.sum."""
    x = np.array(0.25, dtype)
    wanted = {"logsumexp": 0.25, "softmax": 1, "log_softmax": 0}[name]
    for axis in (None, 0, -1, ()):
        for given in (x, x[()]):
            got = function(given, axis=axis)
            assert got == wanted
            assert isinstance(got, dtype)


@pytest.mark.parametrize("shape", [(7,), (70,), (1000,), (70, 30), (9, 300), (3, 5, 90)], ids=str)
def test_broadcast_input_is_within_the_promise(name, function, dtype, shape):
    """Strides are zero along all axes, or along some."""
    promise = bound(name, count_of(shape, None))
    whole = np.broadcast_to(np.array(1.75, dtype), shape)
    row = np.broadcast_to(values(shape[-1:], dtype), shape)
    column = np.broadcast_to(values((*shape[:-1], 1), dtype), shape)
    for x in (whole, row, column, row[..., ::-1], whole.T, row.T, column.T):
        for axis in all_axes(x.ndim):
            exact = reference(name, x, axis)
            got = np.asarray(function(x, axis=axis))
            assert np.all(ulp_error(got, exact) <= promise), (x.strides, axis)
            assert got.flags.writeable


def test_overlapping_windows_are_within_the_promise(name, function, dtype):
    x = np.lib.stride_tricks.sliding_window_view(values((200,), dtype), 60)
    for axis in (0, 1, None):
        assert np.all(ulp_error(function(x, axis=axis), reference(name, x, axis)) <= bound(name, 60))


@pytest.mark.parametrize("n", [1, 3, 10, 33, 100, 1000, 5000, 9001])
def test_the_same_bits_at_every_alignment(name, function, dtype, n):
    """Arrays begin at every multiple of their item size within a cache line, and at odd addresses too."""
    rows = values((3, n), dtype)
    itemsize = rows.itemsize
    for shape, axis in (((n,), None), ((3, n), None), ((3, n), 1), ((n, 3), 0), ((3, n), 0)):
        x = np.ascontiguousarray(np.resize(rows, shape))
        wanted = np.asarray(function(x, axis=axis)).tobytes()
        for offset in [*range(0, 64, itemsize), 1, 3, 61]:
            buffer = np.zeros(x.nbytes + 128, np.uint8)
            start = -buffer.ctypes.data % 64 + offset
            placed = buffer[start : start + x.nbytes].view(dtype).reshape(shape)
            placed[...] = x
            assert np.asarray(function(placed, axis=axis)).tobytes() == wanted, offset
            if name != "logsumexp":
                function(placed, axis=axis, out=placed)
                assert placed.tobytes() == wanted, offset


def test_as_many_axes_as_numpy_has_are_accepted(name, function):
    """NumPy 2 has 64 axes, NumPy 1 has 32."""
    x = values((2, 3), np.float64)
    most = 64 if int(np.__version__.split(".")[0]) >= 2 else 32
    many = x.reshape((1,) * (most // 2 - 2) + (2,) + (1,) * (most // 2 - 4) + (3,))
    for axis, few in ((most // 2 - 2, 0), (-1, 1), (None, None), (tuple(range(many.ndim)), None)):
        np.testing.assert_array_equal(np.squeeze(function(many, axis=axis)), function(x, axis=few))
    most_axes = x.reshape((1,) * (most - 2) + (2, 3))
    assert function(most_axes, axis=-1).ndim == (most - 1 if name == "logsumexp" else most)


def test_axes_that_cannot_be_merged_are_within_the_promise(name, function):
    x = values((3,) * 7, np.float64)
    x = x[(slice(0, 3, 2),) * 7].transpose(3, 0, 6, 1, 5, 2, 4)
    for axis in ((0, 2, 4, 6), (1, 3, 5), (6,), None):
        assert np.all(ulp_error(function(x, axis=axis), reference(name, x, axis)) <= bound(name, 128))


def test_strides_of_a_power_of_two_are_within_the_promise(name, function, dtype):
    x = values((128, 2048), dtype)[:, ::16]
    for axis in (0, 1):
        assert np.all(ulp_error(function(x, axis=axis), reference(name, x, axis)) <= bound(name, 128))


LIMITS = limits()
# Tiles with an aliased stride. log_softmax makes two passes over the first, and softmax over the second too.
ALIASED = [
    (LIMITS[limit] // (LIMITS["TILE_COLUMNS"] * 4) + 100, LIMITS["ALIASED_STRIDE_BYTES"] // 4)
    for limit in ("ALIASED_SUM_TILE_BYTES", "ALIASED_SOFTMAX_TILE_BYTES")
]


def test_aliased_tiles_take_two_passes_beyond_the_fused_size(dtype):
    for shape, softmax_is_fused in zip(ALIASED, (True, False), strict=True):
        x = np.zeros(shape, dtype)
        assert explain(smoothmax.log_softmax, x, axis=0)["name"] == "TWO_PASS_TILE"
        assert (explain(smoothmax.softmax, x, axis=0)["name"] == "TWO_PASS_TILE") != softmax_is_fused


@pytest.mark.parametrize(
    "shape",
    [(10,), (9001,), (200_000,), (150, 70), (2000, 64), (300, 10), (3001, 10), (1025, 63), *ALIASED],
    ids=str,
)
def test_an_odd_address_does_not_change_the_bits(function, dtype, shape):
    """Kernels cannot read misaligned elements where they lie. They are staged, and must be summed in the same order."""
    x = values(shape, dtype)
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(shape)
    odd[...] = x
    assert not odd.flags.aligned
    for axis in range(len(shape)):
        np.testing.assert_array_equal(function(odd, axis=axis), function(x, axis=axis))
