"""One element far above many equal ones: each of those is rounded the same way, and what is lost adds up.

log1p of the rest is the whole result at the top, and the loss of a confident right answer.
"""

import mpmath
import numpy as np
import pytest
from bounds import GRADIENT, LOSS, bound

import smoothmax

DISTANCES = {np.float32: np.linspace(4, 24, 41), np.float64: np.linspace(4, 44, 41)}


def error(found, exact, dtype):
    """In ULP."""
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
            rest = (n - 1) * mpmath.exp(mpmath.mpf(float(x[place - 1])))
            loss = mpmath.log1p(rest)
            target = np.array([place])
            assert error(smoothmax.logsumexp(x), loss, dtype) <= bound("logsumexp", n)
            assert error(-smoothmax.log_softmax(x)[place], loss, dtype) <= bound("log_softmax", n)
            assert error(smoothmax.cross_entropy(x[None], target), loss, dtype) <= LOSS
            both, gradient = smoothmax.cross_entropy_and_grad(x[None], target)
            assert error(both, loss, dtype) <= LOSS
            assert error(-gradient[0, place], rest / (1 + rest), dtype) <= GRADIENT


@pytest.mark.parametrize("dtype", DISTANCES)
@pytest.mark.parametrize("n", [3, 40, 1000, 300_000])
def test_several_equal_maxima_all_count(dtype, n):
    """Whether they are counted or summed, in a row at once, in pieces, and where the sign is wanted too."""
    for tops in (2, 3):
        x = np.full(n, -60, dtype)
        x[:: (n + tops - 1) // tops] = -0.25
        exact = np.log(np.count_nonzero(x > -1)) - 0.25
        value, sign = smoothmax.logsumexp(x, return_sign=True)
        for found in (value, smoothmax.logsumexp(x), smoothmax.logsumexp_and_softmax(x)[0]):
            np.testing.assert_allclose(found, exact, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_allclose(smoothmax.log_softmax(x)[0], -0.25 - exact, rtol=4 * np.finfo(dtype).eps)
        assert sign == 1
