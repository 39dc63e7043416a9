"""softmax_vjp and log_softmax_vjp of float16 and bfloat16, whose rows are read and written where they lie."""

import numpy as np
import pytest
from bounds import HALF
from test_half_losses import HALVES, bits, unaligned, unit
from test_half_results import SHAPES

from smoothmax import log_softmax, log_softmax_vjp, num_threads, softmax, softmax_vjp
from smoothmax._thresholds import limits

LANES = limits()["LANES_F32"]
each_type = pytest.mark.parametrize("dtype", HALVES, ids=str)
each_function = pytest.mark.parametrize("function", [softmax_vjp, log_softmax_vjp])
each_shape = pytest.mark.parametrize(
    ("shape", "axis"), [*SHAPES, ((5,), 0), ((LANES,), 0), ((20, 40), 1), ((3, 5), 1), ((1000, 300), 0)], ids=str
)


def operands(function, shape, axis, dtype, seed=0):
    """Probabilities or their logarithms, and gradients of both signs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=3, size=shape)
    p = (softmax if function is softmax_vjp else log_softmax)(x, axis=axis).astype(np.float32).astype(dtype)
    return p, rng.normal(size=shape).astype(np.float32).astype(dtype)


def exact(function, p, g, axis):
    """The result in float64, and the largest of it and its two terms."""
    p, g = p.astype(np.float64), g.astype(np.float64)
    if function is softmax_vjp:
        terms = p * g, p * np.sum(p * g, axis, keepdims=True)
    else:
        terms = g, np.exp(p) * np.sum(g, axis, keepdims=True)
    result = terms[0] - terms[1]
    return result, np.maximum(np.abs(result), np.maximum(*np.abs(terms)))


@each_type
@each_function
@each_shape
def test_results_are_the_nearest(function, shape, axis, dtype):
    p, g = operands(function, shape, axis, dtype)
    result = function(g, p, axis)
    assert result.dtype == dtype
    wanted, size = exact(function, p, g, axis)
    assert np.max(np.abs(result.astype(np.float64) - wanted) / unit(size, dtype)) <= HALF


@each_type
@each_function
@pytest.mark.parametrize("n", [1, 5, LANES - 1, LANES, LANES + 1, 200, 5000])
def test_special_values_are_those_of_float32(function, n, dtype):
    """A gradient of 0 takes no part in the sum, even if the probability is inf or nan."""
    rng = np.random.default_rng(n)
    for value, other in ((np.inf, 1.0), (-np.inf, 1.0), (np.nan, 1.0), (np.inf, 0.0), (np.nan, 0.0), (0.0, np.inf)):
        for at in range(3):
            p, g = operands(function, (3, n), 1, dtype)
            place = rng.integers(n)
            p[at, place], g[at, place] = value, other
            wanted = function(g.astype(np.float32), p.astype(np.float32), 1)
            result = function(g, p, 1)
            with np.errstate(all="ignore"):
                same = ~np.isfinite(wanted)
            np.testing.assert_array_equal(result.astype(np.float32)[same], wanted[same])
            assert np.all(np.isfinite(result.astype(np.float32)[~same]))
            quiet = np.full((), np.nan, dtype).view(np.uint16) & 0x7FFF
            assert np.all(result[np.isnan(result)].view(np.uint16) & 0x7FFF == quiet)  # a nan has no payload


@each_type
def test_products_that_leave_float32_are_summed(dtype):
    """Their sum is in the range of float64, and 0 here."""
    large = np.array([2e38, 2e38, 1, 1] if dtype != np.float16 else [6e4, 6e4, 1, 1]).astype(dtype)
    g = large * np.array([1, -1, 0, 0]).astype(dtype)
    with np.errstate(over="ignore"):
        wanted = softmax_vjp(g.astype(np.float32), large.astype(np.float32)).astype(dtype)
    np.testing.assert_array_equal(softmax_vjp(g, large), wanted)
    assert np.all(softmax_vjp(g, large)[2:] == 0)


@each_type
@each_function
@each_shape
def test_bits_depend_neither_on_addresses_nor_on_outputs(function, shape, axis, dtype):
    p, g = operands(function, shape, axis, dtype)
    wanted = bits(function(g, p, axis))
    assert np.array_equal(bits(function(unaligned(g), unaligned(p), axis)), wanted)
    for given in ((g.copy(), p), (g, p.copy())):
        for out in given:
            if out is not p and out is not g:
                function(*given, axis, out=out)
                assert np.array_equal(bits(out), wanted)
    out = unaligned(p)
    function(g, p, axis, out=out)
    assert np.array_equal(bits(out), wanted)


@each_type
@each_function
def test_spaced_and_swapped_halves_give_the_same_within_the_bound(function, dtype):
    for shape, axis in (((3, 500), 1), ((300, 70), 0), ((300, 20), 1)):
        p, g = operands(function, shape, axis, dtype)
        wanted, size = exact(function, p, g, axis)
        spaced = np.zeros((*shape, 2), dtype)
        spaced[..., 1] = p
        results = [function(g, spaced[..., 1], axis), function(np.repeat(g, 2, axis=0)[::2], p, axis)]
        if dtype == np.float16:
            results.append(function(g, p.astype(">f2"), axis))
            results.append(function(g.astype(">f2"), p, axis, out=np.empty(shape, ">f2")))
        for result in results:
            error = np.abs(result.astype(np.float64) - wanted)
            assert np.max(error / unit(size, dtype)) <= HALF


@each_type
@each_function
@pytest.mark.parametrize("shape", [(3, 100_000), (400_000,), (2000, 300)])
def test_threads_do_not_change_the_bits(function, shape, dtype):
    for axis in range(len(shape)):
        p, g = operands(function, shape, axis, dtype)
        results = []
        for threads in (1, 3):
            with num_threads(threads):
                results.append(bits(function(g, p, axis)))
        assert np.array_equal(*results)
