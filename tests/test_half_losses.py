"""Losses of class targets, their gradients, and logsumexp_and_softmax, where results are float16 or bfloat16.

They are computed with no more digits than halves have, and halves are read and written where they lie.
"""

import numpy as np
import pytest
from bounds import HALF, HALF_GRADIENT
from test_half_results import SHAPES

from smoothmax import cross_entropy, cross_entropy_and_grad, log_prob, logsumexp_and_softmax, num_threads
from smoothmax._thresholds import limits

ml_dtypes = pytest.importorskip("ml_dtypes")

L = limits()
BLOCK = L["ROW_BLOCK_BYTES"] // 4
HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
each_type = pytest.mark.parametrize("dtype", HALVES, ids=str)
each_shape = pytest.mark.parametrize(("shape", "axis"), [*SHAPES, ((20, 40), 1), ((3, 5), 1), ((20,), 0)], ids=str)


def logits(shape, dtype, seed=0, spread=3.0):
    return np.random.default_rng(seed).normal(scale=spread, size=shape).astype(np.float32).astype(dtype)


def targets_of(x, axis, seed=1):
    """Some targets are the largest of their row, some are not."""
    rng = np.random.default_rng(seed)
    largest = np.argmax(x.astype(np.float32), axis)
    return np.where(rng.random(largest.shape) < 0.5, rng.integers(0, x.shape[axis], largest.shape), largest)


def unit(exact, dtype):
    """An ULP of the result that is nearest."""
    digits, least = (11, -14) if dtype == np.float16 else (8, -126)
    exponent = np.maximum(np.frexp(exact)[1] - 1, least)
    return np.ldexp(1.0, exponent + 1 - digits)


def worst(got, exact, dtype):
    """The largest error in ULP."""
    got, exact = np.asarray(got), np.asarray(exact)
    assert got.dtype == dtype
    return np.max(np.abs(got.astype(np.float64) - exact) / unit(exact, dtype))


def wide(x):
    return x.astype(np.float64)


@each_type
@each_shape
def test_losses_are_the_nearest(shape, axis, dtype):
    weight = np.random.default_rng(2).uniform(0.2, 3, shape[axis])
    for spread in (0.1, 3.0, 30.0):
        x = logits(shape, dtype, spread=spread)
        targets = targets_of(x, axis)
        assert worst(log_prob(x, targets, axis), log_prob(wide(x), targets, axis), dtype) <= HALF
        for w in (None, weight):
            for reduction in ("none", "mean", "sum"):
                given = {"axis": axis, "weight": w, "reduction": reduction}
                exact = cross_entropy(wide(x), targets, **given)
                if np.max(exact) < 65504 or dtype != np.float16:
                    assert worst(cross_entropy(x, targets, **given), exact, dtype) <= HALF


@each_type
@each_shape
def test_gradients_are_the_nearest(shape, axis, dtype):
    weight = np.random.default_rng(2).uniform(0.2, 3, shape[axis])
    for spread in (0.1, 3.0, 30.0):
        x = logits(shape, dtype, spread=spread)
        targets = targets_of(x, axis)
        for w in (None, weight):
            for reduction in ("none", "mean"):
                given = {"axis": axis, "weight": w, "reduction": reduction}
                exact_loss, exact = cross_entropy_and_grad(wide(x), targets, **given)
                loss, gradient = cross_entropy_and_grad(x, targets, **given)
                assert worst(gradient, exact, dtype) <= HALF_GRADIENT
                assert worst(loss, exact_loss, dtype) <= HALF


@each_type
@each_shape
def test_logsumexp_and_softmax_are_the_nearest(shape, axis, dtype):
    for spread in (0.1, 3.0, 30.0):
        x = logits(shape, dtype, spread=spread)
        exact_value, exact = logsumexp_and_softmax(wide(x), axis)
        value, softmax = logsumexp_and_softmax(x, axis)
        assert worst(softmax, exact, dtype) <= HALF
        size = np.maximum(np.abs(exact_value), np.max(np.abs(wide(x)), axis))
        assert np.max(np.abs(wide(np.asarray(value)) - exact_value) / unit(size, dtype)) <= HALF


@each_type
@each_shape
def test_equal_terms_that_are_all_rounded_the_same_way(shape, axis, dtype):
    for level in np.linspace(-8, 0, 9):
        x = np.full(shape, level, dtype)
        np.moveaxis(x, axis, 0)[0] = 0
        for targets in (np.argmax(x, axis), np.argmin(x, axis)):
            exact_loss, exact = cross_entropy_and_grad(wide(x), targets, axis, reduction="none")
            loss, gradient = cross_entropy_and_grad(x, targets, axis, reduction="none")
            assert worst(gradient, exact, dtype) <= HALF_GRADIENT
            if shape[axis] > 1:
                assert worst(loss, exact_loss, dtype) <= HALF


@each_type
def test_losses_of_both_signs_are_summed_with_the_digits_of_float32(dtype):
    """With a negative class weight they may cancel, and errors of 18 digits would show in what is left."""
    rng = np.random.default_rng(0)
    for n in (40, 300):
        x = logits((200, n), dtype, spread=1.0)
        targets = rng.integers(0, 2, 200)
        losses = -log_prob(wide(x), targets)
        # The sum of the losses of each class is one times its weight, so nearly nothing is left.
        weight = np.zeros(n)
        weight[0], weight[1] = 1 / losses[targets == 0].sum(), -0.998 / losses[targets == 1].sum()
        for reduction in ("sum", "mean"):
            given = {"weight": weight, "reduction": reduction}
            exact = cross_entropy(wide(x), targets, **given)
            assert worst(cross_entropy(x, targets, **given), exact, dtype) <= HALF
            assert worst(cross_entropy_and_grad(x, targets, **given)[0], exact, dtype) <= HALF


@pytest.mark.parametrize("n", [2, 33, 100])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_a_confident_right_answer_keeps_its_digits(rows, n):
    x = np.full((rows, n), -30, HALVES[1])
    x[:, 1] = 10
    loss, gradient = cross_entropy_and_grad(x, [1] * rows, reduction="none")
    small = (n - 1) * np.exp(-40.0)
    assert worst(loss, np.full(rows, small), HALVES[1]) <= HALF
    assert worst(gradient[:, 1], np.full(rows, -small), HALVES[1]) <= HALF_GRADIENT
    assert worst(cross_entropy(x, [1] * rows, reduction="none"), np.full(rows, small), HALVES[1]) <= HALF


@each_type
@each_shape
def test_special_values_are_those_of_float32(shape, axis, dtype):
    rng = np.random.default_rng(3)
    x = logits(shape, dtype)
    rows = np.moveaxis(x, axis, -1)
    for value in (np.inf, -np.inf, np.nan):
        rows[rng.random(rows.shape) < 1 / rows.shape[-1]] = value
        if rows.ndim > 1:
            rows[..., :1, :] = value
        targets = rng.integers(-1, shape[axis], np.argmax(x, axis).shape)
        for ignore in (None, -1):
            given = {"ignore_index": ignore, "reduction": "none"}
            chosen = targets if ignore else np.maximum(targets, 0)
            loss, gradient = cross_entropy_and_grad(x, chosen, axis, **given)
            of_floats, floats = cross_entropy_and_grad(x.astype(np.float32), chosen, axis, **given)
            alone = cross_entropy(x, chosen, axis, **given)
            for got, wanted in ((loss, of_floats), (alone, of_floats), (gradient, floats)):
                got, wanted = np.asarray(got).astype(np.float32), np.asarray(wanted)
                same = np.isnan(wanted) | np.isinf(wanted) | (wanted == 0)
                np.testing.assert_array_equal(got[same], wanted[same])
                assert np.all(np.isfinite(got[~same]))
        value_got, softmax = logsumexp_and_softmax(x, axis)
        value_wanted, wanted = logsumexp_and_softmax(x.astype(np.float32), axis)
        np.testing.assert_array_equal(np.isnan(softmax), np.isnan(wanted))
        np.testing.assert_array_equal(np.isnan(value_got), np.isnan(value_wanted))
        np.testing.assert_array_equal(np.isinf(value_got), np.isinf(value_wanted))


def bits(x):
    """The bits of halves in native order, with all nans equal."""
    x = np.asarray(x)
    found = np.ascontiguousarray(x.astype(x.dtype.newbyteorder("=")))
    return np.where(np.isnan(found), np.uint16(0xFFFF), found.view(np.uint16))


def unaligned(x):
    copy = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


@each_type
@each_shape
def test_bits_are_those_of_halves_that_pass_through_the_scratch(shape, axis, dtype):
    """Spaced halves, and those of the other byte order, are converted before they are summed."""
    x = logits(shape, dtype)
    rows = np.moveaxis(x, axis, -1)
    if rows.ndim > 1:
        rows[0, :1], rows[1, -1:], rows[2 % len(rows)] = np.inf, np.nan, -np.inf
    targets = targets_of(x, axis)
    spaced = np.zeros((*shape, 2), dtype)
    spaced[..., 0] = x
    layouts = [spaced[..., 0], unaligned(x)]
    if dtype == np.float16:
        layouts.append(x.astype(">f2"))
    loss, gradient = cross_entropy_and_grad(x, targets, axis, reduction="none")
    value, softmax = logsumexp_and_softmax(x, axis)
    assert np.array_equal(bits(log_prob(x, targets, axis)), bits(-cross_entropy(x, targets, axis, reduction="none")))
    for one in layouts:
        found = cross_entropy_and_grad(one, targets, axis, reduction="none")
        assert np.array_equal(bits(found[0]), bits(loss))
        assert np.array_equal(bits(found[1]), bits(gradient))
        alone = cross_entropy(one, targets, axis, reduction="none")
        assert np.array_equal(bits(alone), bits(cross_entropy(x, targets, axis, reduction="none")))
        both = logsumexp_and_softmax(one, axis)
        assert np.array_equal(bits(both[0]), bits(value))
        assert np.array_equal(bits(both[1]), bits(softmax))
    for out in (np.empty(shape, dtype), np.empty((*shape, 2), dtype)[..., 1], unaligned(x), x.copy()):
        given = out if out.base is None and np.array_equal(bits(out), bits(x)) else x
        found = cross_entropy_and_grad(given, targets, axis, reduction="none", out=out)
        assert found[1] is out
        assert np.array_equal(bits(out), bits(gradient))
        assert np.array_equal(bits(found[0]), bits(loss))
    if dtype == np.float16:
        out = np.empty(shape, ">f2")
        cross_entropy_and_grad(x, targets, axis, reduction="none", out=out)
        assert np.array_equal(bits(out), bits(gradient))


@each_type
@pytest.mark.parametrize("shape", [(2000, 100), (3, 100_000), (400_000,), (2000, 300), (30_000, 10)])
def test_threads_do_not_change_the_bits(shape, dtype):
    x = logits(shape, dtype)
    for axis in range(len(shape)):
        targets = targets_of(x, axis)
        results = []
        for threads in (1, 3):
            with num_threads(threads):
                found = [*cross_entropy_and_grad(x, targets, axis), cross_entropy(x, targets, axis)]
                results.append([bits(one) for one in (*found, *logsumexp_and_softmax(x, axis))])
        for one, other in zip(*results, strict=True):
            assert np.array_equal(one, other)


@each_type
def test_a_wider_out_gets_the_digits_of_float32(dtype):
    """Then the loss, which is a half, is computed with the same digits."""
    x, targets = logits((5, 300), dtype), [0, 1, 2, 3, 4]
    out = np.empty(x.shape, np.float32)
    cross_entropy_and_grad(x, targets, reduction="none", out=out)
    _, wanted = cross_entropy_and_grad(x.astype(np.float32), targets, reduction="none")
    np.testing.assert_array_equal(out, wanted)
    logsumexp_and_softmax(x, 1, out=out)
    np.testing.assert_array_equal(out, logsumexp_and_softmax(x.astype(np.float32), 1)[1])
