"""logsumexp, softmax and log_softmax with results of float16, which are computed with no more digits than it has.

bfloat16, with fewer digits, is in test_bfloat16.py.
"""

import numpy as np
import pytest
from bounds import HALF

import smoothmax
from smoothmax import log_softmax, logsumexp, softmax
from smoothmax._thresholds import limits

L = limits()
FUNCTIONS = [softmax, log_softmax]
THREE = [logsumexp, *FUNCTIONS]
BLOCK = L["ROW_BLOCK_BYTES"] // 4
ROWS = L["HALF_TILE_ROWS"]
LONG = L["LANES_F32"] + 1  # shorter rows have the results of float32
# Each with the axis that is reduced: rows in blocks and pieces, tiles of few and of many rows, narrow columns.
SHAPES = [
    ((3, LONG), 1),
    ((3, LONG - 1), 1),
    ((5000,), 0),
    ((3000,), 0),
    ((20, 1000), 1),
    ((3, BLOCK), 1),
    ((3, BLOCK + 1), 1),
    ((2, 3 * BLOCK + 37), 1),
    ((L["ROW_PIECE_BYTES"] // 4 + 5,), 0),
    ((L["STAGED_DRAFT_BYTES"] // 4 + 1,), 0),
    ((2, 70), 0),
    ((3, 100), 0),
    ((ROWS, 81), 0),
    ((ROWS + 1, 81), 0),
    ((1100, 130), 0),
    ((L["FUSED_SOFTMAX_TILE_BYTES"] // 256 + 1, 65), 0),
    ((200, 7), 1),
    ((100, ROWS), 1),
    ((3000, 10), 0),
    ((5, 7, 33), 1),
]


def halves(shape, seed=0, spread=3.0):
    return np.random.default_rng(seed).normal(scale=spread, size=shape).astype(np.float16)


def worst(function, x, axis):
    """The largest error in ULP of the nearest float16."""
    got, exact = function(x, axis=axis), function(x.astype(np.float64), axis=axis)
    assert got.dtype == np.float16
    size = np.abs(exact)
    if function is logsumexp:  # maximum and logarithm may cancel
        maximum = x.max(axis=axis).astype(np.float64)
        size = np.maximum(np.maximum(size, np.abs(maximum)), np.abs(exact - maximum))
    finite = np.isfinite(exact) & (size < 65504)
    unit = np.spacing(size[finite].astype(np.float16)).astype(np.float64)
    return np.max(np.abs(got[finite].astype(np.float64) - exact[finite]) / unit)


@pytest.mark.parametrize("function", THREE)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_results_are_the_nearest(function, shape, axis):
    for spread in (0.1, 3.0, 100.0):
        assert worst(function, halves(shape, spread=spread), axis) <= HALF


@pytest.mark.parametrize("function", THREE)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_equal_terms_that_are_all_rounded_the_same_way(function, shape, axis):
    """The sum of as many equal terms as it takes one after the other loses most."""
    for level in np.linspace(-8, 0, 23):
        x = np.full(shape, level, np.float16)
        np.moveaxis(x, axis, 0)[0] = 0
        assert worst(function, x, axis) <= HALF


def test_the_largest_of_log_softmax_keeps_small_results():
    for far in np.linspace(1, 17, 33):
        x = np.full((2, 64), -far, np.float16)
        x[1] = 0
        for y, axis in ((x, 0), (x.T, 1), (np.ascontiguousarray(x.T), 1)):
            assert worst(log_softmax, y, axis) <= HALF


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_logsumexp_keeps_small_results(shape, axis):
    """The maximum is 0 and counted apart, wherever it is, so the result is the sum of all other exponentials."""
    n = shape[axis]
    for far in (6.0, 9.0, 12.0, 15.0):
        for place in (0, n // 2, n - 1):
            x = np.full(shape, -far, np.float16)
            np.moveaxis(x, axis, 0)[place] = 0
            assert worst(logsumexp, x, axis) <= HALF
            got = logsumexp(x, axis=axis).astype(np.float64)
            np.testing.assert_allclose(got, np.log1p((n - 1) * np.exp(-far)), rtol=2**-10, atol=2**-25)


@pytest.mark.parametrize("function", THREE)
def test_rows_whose_maximum_rises_late(function):
    """The draft of a block is corrected by any factor, also where it is so small that all results are 0."""
    for levels in ([-95, 95], [-60, 0, 5], [-99, 99, 140], [-150, 0], [50, -50], [0, 120, 300], [-20, -10, 0]):
        x = np.concatenate([halves(BLOCK, seed, 2.0) + np.float16(level) for seed, level in enumerate(levels)])
        assert worst(function, x[:-5], 0) <= HALF
        assert worst(function, x.reshape(-1, 64)[: ROWS + 60], 0) <= HALF


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_special_values_are_those_of_float32(function, shape, axis):
    """Also where they are in the first block of a row, or in the last, and where a mask leaves nothing."""
    rng = np.random.default_rng(1)
    for special in ([np.inf], [np.nan], [-np.inf], [np.inf, np.nan], [np.inf, np.inf], [-60000.0], [60000.0, 60000.0]):
        x = halves(shape)
        for place in (0, -1):
            for i, value in enumerate(special):
                np.moveaxis(x, axis, 0)[place - i] = value
            got, wanted = function(x, axis=axis), function(x.astype(np.float32), axis=axis)
            np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
            with np.errstate(over="ignore", under="ignore"):
                np.testing.assert_allclose(got, wanted.astype(np.float16), rtol=2**-10, atol=2**-24)
    x, where = np.full(shape, -np.inf, np.float16), rng.random(shape) < 0.5
    assert np.isnan(function(x, axis=axis)).all()
    masked = 0 if function is softmax else -np.inf
    np.testing.assert_array_equal(function(x, axis=axis, where=False), masked)
    assert (function(halves(shape), axis=axis, where=where)[~where] == masked).all()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_bits_follow_from_the_shape(function, shape, axis):
    """Not from the address, the place of results, the number of threads or what lies beside a reduction."""
    x = halves(shape)
    with smoothmax.num_threads(1):
        wanted = function(x, axis=axis)
    with smoothmax.num_threads(2):
        np.testing.assert_array_equal(function(x, axis=axis), wanted)
    memory = np.zeros(x.nbytes + 1, np.uint8)
    unaligned = memory[1:].view(np.float16).reshape(shape)
    unaligned[...] = x
    np.testing.assert_array_equal(function(unaligned, axis=axis), wanted)
    swapped = x.astype(x.dtype.newbyteorder())
    np.testing.assert_array_equal(function(swapped, axis=axis), wanted)
    others = x.copy()
    if x.ndim > 1:  # other neighbours
        np.moveaxis(others, axis, -1)[..., 1:, :] = 60000.0
        got = np.moveaxis(function(others, axis=axis), axis, -1)[..., 0, :]
        np.testing.assert_array_equal(got, np.moveaxis(wanted, axis, -1)[..., 0, :])
    assert function(x, axis=axis, out=x) is x
    np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_logsumexp_has_special_values_and_bits_of_its_own(shape, axis):
    """Special values are those of float32. The bits do not depend on threads, alignment or byte order."""
    memory = np.zeros(halves(shape).nbytes + 1, np.uint8)
    for special in ([], [np.inf], [np.nan], [-np.inf], [np.inf, np.nan], [np.inf, np.inf], [-60000.0], [60000.0]):
        x = halves(shape)
        for place in (0, -1):
            for i, value in enumerate(special):
                np.moveaxis(x, axis, 0)[place - i] = value
            wanted = logsumexp(x, axis=axis)
            assert wanted.dtype == np.float16
            single = logsumexp(x.astype(np.float32), axis=axis)
            np.testing.assert_allclose(wanted.astype(np.float32), single, rtol=2**-10, atol=2**-10)
            unaligned = memory[1:].view(np.float16).reshape(shape)
            unaligned[...] = x
            for given in (x, unaligned, x.astype(x.dtype.newbyteorder())):
                for threads in (1, 2):
                    with smoothmax.num_threads(threads):
                        np.testing.assert_array_equal(logsumexp(given, axis=axis), wanted)
    x = np.full(shape, -np.inf, np.float16)
    assert (logsumexp(x, axis=axis) == -np.inf).all()
    assert (logsumexp(halves(shape), axis=axis, where=False) == -np.inf).all()


@pytest.mark.parametrize("function", THREE)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_a_wider_out_gets_all_digits(function, shape, axis):
    x = halves(shape)
    out = np.zeros_like(function(x, axis=axis), np.float32)[...]
    assert function(x, axis=axis, out=out) is out
    np.testing.assert_allclose(out, function(x.astype(np.float32), axis=axis), rtol=2**-22, atol=1e-40)
