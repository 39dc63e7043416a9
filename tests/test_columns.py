"""Columns side by side. Each is summed relative to an estimate of its maximum, and tiles of a band write in turn."""

import numpy as np
import pytest
from bounds import GRADIENT, LOSS, bound
from oracle import reference, ulp_error

import smoothmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

# The estimate is made of the first, the middle and the last element of a column. This row is none of them, unless the
# column has 3 elements.
HIDDEN = 1
LIMITS = limits()
# Rows of a tile from which on functions shift by the estimate. Shorter tiles may take differences.
SHIFTED = 1 + max(LIMITS[f"{kind}_DIFFERENCES_MAX_ROWS"] for kind in ("ROUNDED", "EXACT", "SOFTMAX"))
GAPS = {np.float32: [20, 38, 40, 41, 41.5, 42, 43, 90, 300], np.float64: [50, 500, 605, 609, 610, 611, 615, 900, 3000]}


@pytest.mark.parametrize("n", [3, 8, 19, SHIFTED, 300])
@pytest.mark.parametrize("offset", [0, 180, -230, 5000])
def test_a_maximum_far_above_the_estimate_costs_no_digits(function, name, dtype, n, offset):
    """A column whose maximum is far above the estimate is summed again. The bits of the others do not change."""
    rng = np.random.default_rng(n)
    ordinary = rng.standard_normal((n, 96)).astype(dtype)
    if n >= SHIFTED:
        assert explain(function, ordinary, axis=0)["name"] in ("FUSED_TILE", "ONE_PASS_TILE")
    before = function(ordinary, axis=0)
    for gap in GAPS[dtype]:
        x = ordinary.copy()
        x[:, 7] += offset
        x[:, 70] += offset
        x[HIDDEN, 7] = offset + gap
        x[n // 3, 70] = offset + gap
        after = function(x, axis=0)
        others = np.delete(np.arange(96), [7, 70])
        np.testing.assert_array_equal(after[..., others], before[..., others])
        for j in (7, 70):
            assert np.max(ulp_error(after[..., j], reference(name, x[:, j]))) <= bound(name, n)


@pytest.mark.parametrize("n", [2, 3, 5, SHIFTED])
def test_columns_have_the_same_bits_however_many_lie_side_by_side(function, dtype, n):
    """The columns may fill the lanes, or half of them, or share the last lanes with columns that are computed twice."""
    x = np.random.default_rng(n).standard_normal((3, n, 160)).astype(dtype)
    expected = function(x, axis=1)
    lanes = LIMITS["LANE_BYTES"] // x.itemsize
    for columns in (*range(6, 161, 7), *(k * lanes // 2 + more for k in range(1, 6) for more in (-1, 0, 1))):
        np.testing.assert_array_equal(function(x[..., :columns].copy(), axis=1), expected[..., :columns])


@pytest.mark.parametrize("n", [8, 19, SHIFTED, 700])
@pytest.mark.parametrize("offset", [0, 50, -5000])
def test_an_estimate_that_is_not_finite_costs_no_digits(function, name, dtype, n, offset):
    """0 is used instead, even if it is far from the elements of the column."""
    x = (np.random.default_rng(n).standard_normal((n, 70)) + offset).astype(dtype)
    x[[0, n // 2, n - 1], ::3] = -np.inf
    assert np.max(ulp_error(function(x, axis=0), reference(name, x, 0))) <= bound(name, n)


@pytest.mark.parametrize("n", [8, SHIFTED, 30, 3000])
@pytest.mark.parametrize("offset", [0, 1000])
def test_elements_that_would_vanish_alone_add_up(function, name, dtype, n, offset):
    distance = 105 if dtype is np.float32 else 746
    for row in (0, 3, n - 1):
        x = np.full((n, 64), offset - distance, dtype)
        x[row] = offset
        some = np.s_[:, ::63]
        assert np.max(ulp_error(function(x[some], axis=0), reference(name, x[some], 0))) <= bound(name, n)
        np.testing.assert_array_equal(function(x, axis=0)[..., ::63], function(x[some], axis=0))


@pytest.mark.parametrize("n", [3, 19, SHIFTED, 300])
def test_maxima_between_two_exponents_cost_no_digits(function, name, dtype, n):
    """All loops must round such a maximum to the same exponent."""
    halves = (np.arange(-40, 41) + 0.5) * np.log(2)
    maxima = np.concatenate([np.nextafter(halves.astype(dtype), dtype(s)) for s in (-np.inf, np.inf)])
    maxima = np.concatenate([maxima, halves.astype(dtype)])
    x = (maxima - np.abs(np.random.default_rng(n).standard_normal((n, maxima.size)))).astype(dtype)
    for row in (0, n // 2, n - 1, 1):
        x[row] = maxima
        assert np.max(ulp_error(function(x, axis=0), reference(name, x, 0))) <= bound(name, n)


@pytest.mark.parametrize("n", [5, 19, 300, 1500])
def test_losses_of_rising_columns_are_within_the_promise(dtype, n):
    """In a rising column every element is a new maximum, and the previous maximum is added to the sum."""
    rng = np.random.default_rng(n)
    x = np.sort(4 * rng.standard_normal((n, 70)), axis=0).astype(dtype)
    for rising in (x, x[::-1]):
        rising = np.ascontiguousarray(rising)
        targets = rng.integers(0, n, 70)
        exact = reference("log_softmax", rising, 0)[targets, np.arange(70)]
        found = smoothmax.cross_entropy(rising, targets, 0, reduction="none")
        assert np.max(ulp_error(-found, exact)) <= LOSS


def shapes(rows):
    """More tiles than a band has, some with fewer columns, and one row more than a fused tile has at most."""
    return [(rows + 1, 700), (2, rows + 1, 530), (2 * rows, 64 * 9 + 3)]


def most_rows(name, dtype):
    """The largest number of rows of a fused tile."""
    if name == "log_softmax":
        return LIMITS["FUSED_LOG_SOFTMAX_TILE_ROWS"]
    limit = LIMITS["FUSED_SOFTMAX_TILE_BYTES" if name == "softmax" else "FUSED_STATE_TILE_BYTES"]
    return limit // (LIMITS["TILE_COLUMNS"] * np.dtype(dtype).itemsize)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_bands_are_within_the_promise_in_any_layout(name, dtype, which):
    function, shape = getattr(smoothmax, name), shapes(most_rows(name, dtype))[which]
    x = (3 * np.random.default_rng(1).standard_normal(shape)).astype(dtype)
    axis = len(shape) - 2
    route = explain(function, x, axis=axis)
    assert route["name"] == "TWO_PASS_TILE"
    assert route["band_tiles"] > 1
    found = function(x, axis=axis)
    some = np.s_[..., ::97]
    assert np.max(ulp_error(found[some], reference(name, x[some], axis))) <= bound(name, shape[axis])
    np.testing.assert_allclose(found, function(x.astype(np.float64), axis=axis), rtol=4 * np.finfo(dtype).eps)
    for threads in (1, 3):
        with smoothmax.num_threads(threads):
            np.testing.assert_array_equal(function(x, axis=axis), found)
    strided = np.empty((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]
    np.testing.assert_array_equal(function(x, axis=axis, out=strided), found)
    mask = np.random.default_rng(2).random(shape) < 0.9
    masked = function(x, axis=axis, where=mask)
    filled = function(np.where(mask, x, -np.inf), axis=axis)
    np.testing.assert_array_equal(masked[mask], filled[mask])
    assert function(x, axis=axis, out=x) is x
    np.testing.assert_array_equal(x, found)


def test_short_rows_have_the_bits_of_columns(function, name, dtype):
    """They are transposed in blocks, of which the last overlaps the one before; few columns some rows at a time."""
    block, rows_at_a_time = LIMITS["TRANSPOSE_BLOCK_ROWS"], LIMITS["TRANSPOSE_NARROW_ROWS"]
    for n in range(1, 2 * block + 2):
        for rows in range(LIMITS["TILE_SHORT_MIN_COLUMNS"], 2 * rows_at_a_time + 2):
            x = (4 * np.random.default_rng(n).standard_normal((rows, n))).astype(dtype)
            columns = function(np.ascontiguousarray(x.T), axis=0)
            np.testing.assert_array_equal(function(x, axis=1), columns if name == "logsumexp" else columns.T)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("probable", [False, True])
def test_gradients_of_bands_are_those_of_rows(dtype, which, probable):
    """The gradients of columns equal those of the rows of the transposed array, except for the last bits."""
    shape = shapes(most_rows("cross_entropy_and_grad", dtype))[which]
    rng = np.random.default_rng(3)
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    axis = len(shape) - 2
    targets = rng.random(shape).astype(dtype) if probable else rng.integers(0, shape[axis], x[..., 0, :].shape)
    route = explain(smoothmax.cross_entropy_and_grad, x, targets, axis, reduction="sum")
    assert route["name"] == "TWO_PASS_TILE"
    assert route["band_tiles"] > 1
    _, found = smoothmax.cross_entropy_and_grad(x, targets, axis, reduction="sum")
    rows = np.ascontiguousarray(x.swapaxes(-1, -2))
    turned = np.ascontiguousarray(targets.swapaxes(-1, -2)) if probable else targets
    _, wanted = smoothmax.cross_entropy_and_grad(rows, turned, -1, reduction="sum")
    wanted = wanted.swapaxes(-1, -2)
    p = smoothmax.softmax(x, axis=axis)
    terms = np.maximum(p * targets.sum(axis, keepdims=True), targets) if probable else np.abs(wanted)
    assert np.max(np.abs(found - wanted) / (terms * np.finfo(dtype).eps)) <= 2 * GRADIENT
