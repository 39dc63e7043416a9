"""One element far above many equal ones. The rounding errors of these are also equal and add up.

Relative to the maximum, the result is log1p of the sum of the others. So is the loss of a confident right answer.
"""

import mpmath
import numpy as np
import pytest
from bounds import GRADIENT, LOSS, bound

import smoothmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

# Elements of a row that is too long to be fused in any type, and so is summed in pieces.
LONG = limits()["FUSED_STATE_ROW_BYTES"] // 4 + 1000
DISTANCES = {np.float32: np.linspace(4, 24, 41), np.float64: np.linspace(4, 44, 41)}


def ulps(found, exact, dtype):
    ulp = mpmath.mpf(2) ** (mpmath.frexp(exact)[1] - np.finfo(dtype).nmant - 1)
    return float(abs(mpmath.mpf(float(found)) - exact) / ulp)


@pytest.mark.parametrize("dtype", DISTANCES)
@pytest.mark.parametrize("n", [300, 1000, 2515, 8192, 65_551])
def test_many_equal_elements_far_below_the_maximum_keep_their_digits(dtype, n):
    rng = np.random.default_rng(n)
    with mpmath.workprec(200):
        for distance in DISTANCES[dtype] + rng.uniform(0, 0.5, 41):
            x = np.full(n, -distance, dtype)
            place = int(rng.integers(n))
            x[place] = 0
            others = (n - 1) * mpmath.exp(mpmath.mpf(float(x[place - 1])))
            loss = mpmath.log1p(others)
            target = np.array([place])
            assert ulps(smoothmax.logsumexp(x), loss, dtype) <= bound("logsumexp", n)
            assert ulps(-smoothmax.log_softmax(x)[place], loss, dtype) <= bound("log_softmax", n)
            assert ulps(smoothmax.cross_entropy(x[None], target), loss, dtype) <= LOSS
            both, gradient = smoothmax.cross_entropy_and_grad(x[None], target)
            assert ulps(both, loss, dtype) <= LOSS
            assert ulps(-gradient[0, place], others / (1 + others), dtype) <= GRADIENT


@pytest.mark.parametrize("dtype", DISTANCES)
@pytest.mark.parametrize("n", [3, 40, 1000, LONG])
def test_several_equal_maxima_all_count(dtype, n):
    """Fused rows sum the maxima, and partial sums count them, in every piece. With return_sign no row is fused."""
    assert explain(smoothmax.logsumexp, np.zeros(n, dtype))["name"] == ("SINGLE_ROW" if n < LONG else "ONE_PASS_ROW")
    assert n < LONG or explain(smoothmax.logsumexp_and_softmax, np.zeros(n, dtype))["pieces"] > 1
    for maxima in (2, 3):
        x = np.full(n, -60, dtype)
        x[:: (n + maxima - 1) // maxima] = -0.25
        exact = np.log(np.count_nonzero(x > -1)) - 0.25
        value, sign = smoothmax.logsumexp(x, return_sign=True)
        for found in (value, smoothmax.logsumexp(x), smoothmax.logsumexp_and_softmax(x)[0]):
            np.testing.assert_allclose(found, exact, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_allclose(smoothmax.log_softmax(x)[0], -0.25 - exact, rtol=4 * np.finfo(dtype).eps)
        assert sign == 1
