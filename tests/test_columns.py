"""Columns side by side: each is summed from a guess at its top, and results of many are written row by row."""

import numpy as np
import pytest
from bounds import GRADIENT, LOSS, bound
from oracle import reference, ulp_error

import smoothmax

# Elements that the guess is made of: the first, the middle and the last of a column, or of a block of it.
HIDDEN = 1
GAPS = {np.float32: [20, 50, 57, 58, 59, 60, 61, 90, 300], np.float64: [50, 500, 605, 609, 610, 611, 615, 900, 3000]}


@pytest.mark.parametrize("n", [3, 5, 8, 19, 40, 300, 700])
@pytest.mark.parametrize("offset", [0, -40, 180, -230, 5000])
def test_a_top_far_above_the_guess(function, name, dtype, n, offset):
    """Above some distance the column is summed again, and only that one."""
    rng = np.random.default_rng(n)
    ordinary = rng.standard_normal((n, 96)).astype(dtype)
    before = function(ordinary, axis=0)
    for gap in GAPS[dtype]:
        x = ordinary.copy()
        x[:, 7] += offset
        x[:, 70] += offset
        x[HIDDEN, 7] = offset + gap
        x[min(n - 1, 400), 70] = offset + gap
        after = function(x, axis=0)
        others = np.arange(96) % 63 != 7
        np.testing.assert_array_equal(after[..., others], before[..., others])
        for j in (7, 70):
            assert np.max(ulp_error(after[..., j], reference(name, x[:, j]))) <= bound(name, n)


@pytest.mark.parametrize("n", [3, 19, 300])
def test_tops_between_two_exponents(function, name, dtype, n):
    """Half an exponent more or less: whatever rounds it, in whichever loop, must round it alike."""
    halves = (np.arange(-40, 41) + 0.5) * np.log(2)
    tops = np.concatenate([np.nextafter(halves.astype(dtype), dtype(s)) for s in (-np.inf, np.inf)])
    tops = np.concatenate([tops, halves.astype(dtype)])
    x = (tops - np.abs(np.random.default_rng(n).standard_normal((n, tops.size)))).astype(dtype)
    for row in (0, n // 2, n - 1, 1):
        x[row] = tops
        assert np.max(ulp_error(function(x, axis=0), reference(name, x, 0))) <= bound(name, n)


@pytest.mark.parametrize("n", [5, 19, 300, 1500])
def test_losses_of_rising_columns(dtype, n):
    """Every element is a new top, and the one before goes into the sum."""
    rng = np.random.default_rng(n)
    x = np.sort(4 * rng.standard_normal((n, 70)), axis=0).astype(dtype)
    for rising in (x, x[::-1]):
        rising = np.ascontiguousarray(rising)
        targets = rng.integers(0, n, 70)
        exact = reference("log_softmax", rising, 0)[targets, np.arange(70)]
        found = smoothmax.cross_entropy(rising, targets, 0, reduction="none")
        assert np.max(ulp_error(-found, exact)) <= LOSS


# More tiles than are written together, some of them not full, of more rows than are done at once.
SHAPES = [(600, 700), (2, 700, 530), (1500, 64 * 9 + 3)]


def exact_log_softmax(x, axis):
    d = x.astype(np.longdouble) - x.max(axis, keepdims=True)
    return d - np.log(np.exp(d).sum(axis, keepdims=True))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_results_of_many_columns(name, dtype, shape):
    function = getattr(smoothmax, name)
    x = (3 * np.random.default_rng(1).standard_normal(shape)).astype(dtype)
    axis = len(shape) - 2
    found = function(x, axis=axis)
    exact = exact_log_softmax(x, axis)
    exact = np.exp(exact) if name == "softmax" else exact
    ulp = np.spacing(np.maximum(np.abs(exact), np.finfo(dtype).tiny).astype(dtype))
    assert np.max(np.abs(found - exact) / ulp) <= bound(name, shape[axis])
    with smoothmax.num_threads(1):
        np.testing.assert_array_equal(function(x, axis=axis), found)
    with smoothmax.num_threads(3):
        np.testing.assert_array_equal(function(x, axis=axis), found)
    strided = np.empty((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]
    np.testing.assert_array_equal(function(x, axis=axis, out=strided), found)
    mask = np.random.default_rng(2).random(shape) < 0.9
    masked = function(x, axis=axis, where=mask)
    filled = function(np.where(mask, x, -np.inf), axis=axis)
    np.testing.assert_array_equal(masked[mask], filled[mask])
    assert function(x, axis=axis, out=x) is x
    np.testing.assert_array_equal(x, found)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("probable", [False, True])
def test_gradients_of_many_columns(dtype, shape, probable):
    rng = np.random.default_rng(3)
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    axis = len(shape) - 2
    kept = shape[:axis] + shape[axis + 1 :]
    p = np.exp(exact_log_softmax(x, axis))
    if probable:
        targets = rng.random(shape).astype(dtype)
        shared = targets.sum(axis, dtype=np.longdouble, keepdims=True)
        wanted, terms = p * shared - targets, np.maximum(p * shared, targets)
    else:
        targets = rng.integers(0, shape[axis], kept)
        wanted = p.copy()
        places = np.expand_dims(targets, axis)
        np.put_along_axis(wanted, places, np.take_along_axis(p, places, axis) - 1, axis)
        terms = np.abs(wanted)
    _, gradient = smoothmax.cross_entropy_and_grad(x, targets, axis, reduction="sum")
    assert np.max(np.abs(gradient - wanted) / (terms * np.finfo(dtype).eps)) <= 2 * GRADIENT
