"""Masks: an element whose mask is False does not count. Results have the bits of a call with -inf in its place."""

import numpy as np
import pytest

from smoothmax import log_softmax, logsumexp, logsumexp_and_softmax, softmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

INF, NAN = np.inf, np.nan
TYPES = [np.float16, np.float32, np.float64, np.longdouble, np.int32, np.complex128]
each_type = pytest.mark.parametrize("dtype", TYPES)
each_transform = pytest.mark.parametrize(("function", "fill"), [(softmax, 0), (log_softmax, -INF)])
FLAT_SHAPES = [(1,), (7,), (16,), (65,), (1000,), (9000,), (3, 5), (5, 70), (70, 5), (200, 130), (1000, 7)]
SHAPES = [*FLAT_SHAPES, (4, 3, 6), (2, 3, 4, 5)]
BROADCASTS = [
    ((4, 5), ()),
    ((4, 5), (5,)),
    ((4, 5), (4, 1)),
    ((5,), (4, 5)),
    ((5,), (4, 1)),
    ((), (6,)),
    ((1, 70), (50, 1)),
    ((60, 1), (1, 70)),
    ((3, 1, 5), (4, 1)),
]


def same(got, wanted):
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == wanted.dtype
    if got.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(got), np.signbit(wanted))


def example(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * 3
    if np.dtype(dtype).kind == "c":
        return x + 1j * rng.normal(size=shape)
    return x.astype(dtype)


def removed(x, mask):
    """The elements in the type of the result, with -inf where the mask is False."""
    x, mask = np.broadcast_arrays(x, mask)
    return np.where(
        mask, x if x.dtype.kind in "fc" else x.astype(float), x.dtype.type(-INF) if x.dtype.kind in "f" else -INF
    )


@pytest.mark.parametrize("shape", SHAPES)
@each_type
def test_a_masked_element_is_as_minus_infinity(dtype, shape):
    x = example(shape, dtype)
    for seed, share in enumerate((0.2, 0.5, 0.9)):
        mask = np.random.default_rng(seed).random(shape) < share
        y = removed(x, mask)
        for axis in (None, *range(x.ndim)):
            some = np.any(mask, axis=axis, keepdims=True)
            wanted, got = logsumexp(y, axis=axis), logsumexp(x, axis=axis, where=mask)
            if np.dtype(dtype).kind == "c":
                np.testing.assert_allclose(got, wanted, rtol=1e-14)
            else:
                same(got, wanted)
            for function, fill in ((softmax, 0), (log_softmax, -INF)):
                got, wanted = function(x, axis=axis, where=mask), np.where(some, function(y, axis=axis), fill)
                if np.dtype(dtype).kind == "c":
                    np.testing.assert_allclose(got[mask], wanted[mask], rtol=1e-14)
                    np.testing.assert_array_equal(got[~mask], np.full(np.sum(~mask), fill, complex))
                else:
                    same(got, wanted.astype(got.dtype))


@each_type
def test_a_masked_element_is_as_deleted(dtype):
    x = example(3000, dtype)
    for n in (1, 2, 17, 64, 300, 2900):
        mask = np.zeros(3000, bool)
        mask[np.random.default_rng(n).permutation(3000)[:n]] = True
        tolerance = {2: 2e-3, 4: 1e-6}.get(np.dtype(dtype).itemsize if np.dtype(dtype).kind == "f" else 8, 1e-14)
        np.testing.assert_allclose(logsumexp(x, where=mask), logsumexp(x[mask]), rtol=tolerance)
        for function in (softmax, log_softmax):
            np.testing.assert_allclose(
                function(x, where=mask)[mask], function(x[mask]), rtol=tolerance, atol=tolerance**2
            )


@each_type
def test_a_mask_of_true_changes_nothing(dtype):
    x = example((30, 70), dtype)
    for axis in (None, 0, 1):
        for function in (logsumexp, softmax, log_softmax):
            wanted = function(x, axis=axis)
            for mask in (True, np.True_, np.ones((), bool), np.ones(70, bool), np.ones((30, 70), bool), [True] * 70):
                same(function(x, axis=axis, where=mask), wanted)


@each_type
def test_masking_everything_gives_the_results_of_no_element(dtype):
    for shape in FLAT_SHAPES:
        x = example(shape, dtype)
        if x.dtype.kind in "fc":
            x.flat[0], x.flat[-1] = NAN, INF
        for mask in (False, np.zeros(shape, bool)):
            for axis in (None, 0, -1):
                assert np.all(logsumexp(x, axis=axis, where=mask).real == -INF)
                value, sign = logsumexp(x, axis=axis, where=mask, return_sign=True)
                assert np.all(value == -INF)
                assert np.all(sign == 0)
                assert np.all(softmax(x, axis=axis, where=mask) == 0)
                assert np.all(log_softmax(x, axis=axis, where=mask) == -INF)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64])
def test_masked_elements_do_not_change_the_results(dtype, bad):
    rng = np.random.default_rng(8)
    for shape, axis in [
        ((5,), 0),
        ((33,), 0),
        ((5000,), 0),
        ((20, 70), 0),
        ((70, 20), 1),
        ((40, 300), None),
        ((300, 40), 0),
    ]:
        x = example(shape, dtype)
        mask = rng.random(shape) < 0.5
        dirty, clean = x.copy(), x.copy()
        dirty[~mask], clean[~mask] = bad, 0
        for function in (logsumexp, softmax, log_softmax):
            for order in "CF":
                got = function(np.asarray(dirty, order=order), axis=axis, where=mask)
                np.testing.assert_array_equal(got, function(np.asarray(clean, order=order), axis=axis, where=mask))
        if np.dtype(dtype).kind == "f":
            weights = rng.normal(size=shape).astype(dtype)
            weights[~mask] = bad
            got = logsumexp(dirty, axis=axis, b=weights, where=mask, return_sign=True)
            weights[~mask] = 0
            np.testing.assert_array_equal(got, logsumexp(clean, axis=axis, b=weights, return_sign=True))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_special_values_that_are_not_masked_count(dtype):
    for x, mask, total, p, logp in [
        ([INF, 1, INF], [True, True, False], INF, [NAN, NAN, 0], [NAN, -INF, -INF]),
        ([NAN, 1, 5], [True, True, False], NAN, [NAN, NAN, 0], [NAN, NAN, -INF]),
        ([-INF, 1, 5], [True, True, False], 1, [0, 1, 0], [-INF, 0, -INF]),
        ([-INF, -INF, 5], [True, True, False], -INF, [NAN, NAN, 0], [NAN, NAN, -INF]),
        ([-INF, NAN, INF], [True, False, False], -INF, [NAN, 0, 0], [NAN, -INF, -INF]),
    ]:
        for n in (1, 30, 64):
            wide, wide_mask = np.tile(np.array(x, dtype), (n, 1)), np.tile(mask, (n, 1))
            for order in "CF":
                wide, wide_mask = np.asarray(wide, order=order), np.asarray(wide_mask, order=order)
                np.testing.assert_array_equal(logsumexp(wide, axis=1, where=wide_mask), np.full(n, total, dtype))
                wanted = np.tile(np.array(p, dtype), (n, 1))
                np.testing.assert_allclose(softmax(wide, axis=1, where=mask), wanted, rtol=2 * np.finfo(dtype).eps)
                wanted = np.tile(np.array(logp, dtype), (n, 1))
                np.testing.assert_array_equal(log_softmax(wide, axis=1, where=mask), wanted)


@pytest.mark.parametrize(("shape", "mask_shape"), BROADCASTS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_masks_and_elements_broadcast_both_ways(dtype, shape, mask_shape):
    x, mask = example(shape, dtype), np.random.default_rng(4).random(mask_shape) < 0.6
    wide_x, wide_mask = (np.array(a) for a in np.broadcast_arrays(x, mask))
    for axis in (None, (), *range(wide_x.ndim), tuple(range(wide_x.ndim))):
        for keepdims in (False, True):
            for b in (None, dtype(2), np.arange(-1, wide_x.shape[-1] - 1).astype(dtype)):
                got = logsumexp(x, axis=axis, b=b, keepdims=keepdims, where=mask, return_sign=True)
                wanted = logsumexp(wide_x, axis=axis, b=b, keepdims=keepdims, where=wide_mask, return_sign=True)
                np.testing.assert_allclose(got, wanted, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
        for function in (softmax, log_softmax):
            got, wanted = function(x, axis=axis, where=mask), function(wide_x, axis=axis, where=wide_mask)
            assert got.shape == wide_x.shape
            np.testing.assert_allclose(got, wanted, rtol=4 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("shape", [(7,), (5000,), (30, 70), (70, 30), (300, 4, 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64])
@each_transform
def test_a_masked_call_in_place_gives_the_same_results(function, fill, dtype, shape):
    mask = np.random.default_rng(6).random(shape) < 0.5
    for axis in (None, *range(len(shape))):
        for order in "CF":
            for where in (mask, mask[..., :1], mask[..., ::-1]):
                x = np.asarray(example(shape, dtype), order=order)
                wanted = function(x, axis=axis, where=where)
                assert function(x, axis=axis, where=where, out=x) is x
                np.testing.assert_array_equal(x, wanted)
                assert np.all(x[~np.broadcast_to(where, shape)] == fill)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_layout_of_a_mask_does_not_change_the_results(dtype):
    x = example((60, 130), dtype)
    mask = np.random.default_rng(7).random((60, 130)) < 0.5
    spread = np.zeros((120, 390), bool)
    spread[::2, ::3] = mask
    for function in (logsumexp, softmax, log_softmax):
        for axis in (None, 0, 1):
            wanted = function(x, axis=axis, where=mask)
            for other in (np.asfortranarray(mask), mask[::-1, ::-1].copy()[::-1, ::-1], spread[::2, ::3]):
                np.testing.assert_array_equal(function(x, axis=axis, where=other), wanted)


def gradient(x, **arguments):
    return logsumexp_and_softmax(x, **arguments)[1]


# A function, the result at masked elements, the limit of its fused rows, and the route of longer ones.
LONG_ROWS = [
    (softmax, 0, "FUSED_SOFTMAX_ROW_BYTES", "DRAFT_ROW"),
    (log_softmax, -INF, "FUSED_SUM_ROW_BYTES", "DRAFT_ROW"),
    (gradient, 0, "FUSED_STATE_ROW_BYTES", "GATHERED_ROW"),
]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("more", [0, 1, 100_000])
def test_masked_elements_of_long_rows_of_nan_have_the_fill(dtype, more, wrong):
    """The result of a long row holds exponentials or elements between the two passes, also where it is masked."""
    for function, fill, limit, route in LONG_ROWS:
        length = limits()[limit] // np.dtype(dtype).itemsize + more
        x, mask = np.zeros(length, dtype), np.arange(length) % 3 > 0
        x[4] = wrong
        assert explain(function, x, where=mask)["name"] == (route if more else "FUSED_ROW")
        for out in (None, np.empty_like(x), x.copy()):
            got = function(x, where=mask, out=out)
            assert np.isnan(got[mask]).any()
            np.testing.assert_array_equal(got[~mask], fill)
