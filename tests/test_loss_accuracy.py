"""The promised errors of losses and gradients, in a search of thousands of positions, since extremes are rare.

The right answers are the formulas in long double. Its 11 additional bits are enough to measure an error of 3 ULP.
"""

import itertools

import numpy as np
import pytest
from bounds import EQUAL_LOSSES, GRADIENT, LOSS, REDUCED_LOSS, SOFT_LOSS, VJP

from smoothmax import cross_entropy, cross_entropy_and_grad, log_softmax, log_softmax_vjp

pytestmark = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no longer than double")
ELEMENTS = 20_000
Long = np.longdouble


def ulp(size, dtype):
    """The ULP of numbers of these sizes, at least that of four times the smallest normal number."""
    bits = np.finfo(dtype).nmant + 1
    size = np.maximum(size, 4 * np.finfo(dtype).tiny)
    return np.ldexp(np.ones_like(size, Long), np.frexp(size.astype(np.float64))[1] - bits)


def exact(x, factors, shared, target):
    """Losses of positions whose class c has factor factors[c], their gradients, and the larger term of each gradient.

    Where the target has the whole factor, its gradient is minus the sum of the probabilities of the others.
    """
    rows = np.arange(len(x))
    distance = x.astype(Long) - x.max(axis=1, keepdims=True)
    e = np.exp(distance)
    others = e.copy()
    others[rows, x.argmax(axis=1)] = 0
    p = e / e.sum(axis=1, keepdims=True)
    losses = -(factors * (distance - np.log1p(others.sum(axis=1, keepdims=True)))).sum(axis=1)
    gradients = p * shared - factors
    terms = np.maximum(p * shared, factors)
    if target is not None:
        e[rows, target] = 0
        gradients[rows, target] = -shared[:, 0] * (e.sum(axis=1) / (e.sum(axis=1) + np.exp(distance[rows, target])))
        terms = np.abs(gradients)
    return losses, gradients, terms


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("probable", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 9, 40, 100, 300, 1001])
def test_losses_and_gradients_are_within_the_promise(dtype, classes, probable, smoothing):
    rng = np.random.default_rng(classes)
    positions = ELEMENTS // classes
    for weighted, spread in itertools.product((False, True), (0.02, 0.3, 4, 60)):
        x = (spread * rng.standard_normal((positions, classes))).astype(dtype)
        w = (rng.uniform(0.2, 3, classes) if weighted else np.ones(classes)).astype(dtype)
        if probable:
            targets = rng.dirichlet(np.ones(classes), positions).astype(dtype)
            hard, mass = targets, positions
        else:
            targets = rng.integers(0, classes, positions)
            targets[::2] = x.argmax(axis=1)[::2]
            hard, mass = np.eye(classes)[targets], w[targets].astype(Long).sum()
        factors = w * (hard.astype(Long) * (1 - Long(smoothing)) + Long(smoothing) / classes)
        shared = factors.sum(axis=1, keepdims=True)
        losses, gradients, terms = exact(x, factors, shared, targets if not probable and smoothing == 0 else None)
        arguments = {"weight": w if weighted else None, "label_smoothing": smoothing}
        for reduction, wanted, by, promise in (
            ("none", losses, 1, SOFT_LOSS if probable or smoothing else LOSS),
            ("sum", losses.sum(), 1, REDUCED_LOSS),
            ("mean", losses.sum() / mass, mass, REDUCED_LOSS),
        ):
            alone = cross_entropy(x, targets, reduction=reduction, **arguments)
            loss, gradient = cross_entropy_and_grad(x, targets, reduction=reduction, **arguments)
            assert np.max(np.abs(gradient - gradients / by) / ulp(terms / by, dtype)) <= GRADIENT
            for one in (alone, loss):
                assert np.max(np.abs(one - wanted) / ulp(wanted, dtype)) <= promise


@pytest.mark.parametrize("spread", [0.02, 0.3, 4, 60])
@pytest.mark.parametrize("classes", [2, 3, 9, 40, 300, 1001])
def test_vector_jacobian_products_are_within_the_promise(dtype, classes, spread):
    rng = np.random.default_rng(classes)
    shape = (10 * ELEMENTS // classes, classes)
    logp = log_softmax((spread * rng.standard_normal(shape)).astype(dtype), axis=1)
    for g in (rng.standard_normal(shape).astype(dtype), rng.random(shape).astype(dtype)):
        product = np.exp(logp.astype(Long)) * g.astype(Long).sum(axis=1, keepdims=True)
        error = np.abs(log_softmax_vjp(g, logp, axis=1) - (g - product))
        assert np.max(error / ulp(np.maximum(np.abs(g), np.abs(product)), dtype)) <= VJP


@pytest.mark.parametrize("positions", [1, 2, 7, 31, 119, 128, 1000, 4097])
@pytest.mark.parametrize("weight", [None, 0.1])
def test_sums_of_equal_losses_are_within_the_promise(dtype, positions, weight):
    """Equal terms have equal rounding errors, which add up unless the sum is compensated."""
    arguments = {"weight": None if weight is None else np.full(257, weight)}
    x, targets = np.zeros((positions, 257), dtype), np.zeros(positions, int)
    one = np.log(Long(257))
    total = one * positions * Long(weight or 1)
    assert abs(cross_entropy(x, targets, reduction="sum", **arguments) - total) <= EQUAL_LOSSES * ulp(total, dtype)
    assert abs(cross_entropy(x, targets, reduction="mean", **arguments) - one) <= EQUAL_LOSSES * ulp(one, dtype)


@pytest.mark.parametrize("weight", [1e-140, 1e30, 1e200, 1e290, 1e300])
def test_gradients_with_extreme_weights_are_within_the_promise(weight):
    x = 3 * np.random.default_rng(1).standard_normal((50, 40))
    _, gradient = cross_entropy_and_grad(x, np.zeros(50, int), weight=np.full(40, weight), reduction="none")
    _, wanted, _ = exact(x, np.eye(40)[[0] * 50], np.ones((50, 1)), np.zeros(50, int))
    wanted = wanted[:, 1:] * Long(weight)
    assert np.max(np.abs(gradient[:, 1:] - wanted) / ulp(np.abs(wanted), np.float64)) <= GRADIENT


def test_losses_whose_maximum_rises_late_are_within_the_promise():
    """The sum of a block moves to a maximum thousands above. Neither the distance nor its product may be rounded."""
    rng = np.random.default_rng(4)
    x = rng.uniform(-2000, 1500, (40, 20_000))
    x[:32] = np.minimum(x[:32], rng.uniform(-2000, 1000, 20_000))
    shares = rng.random(x.shape)
    shares /= shares.sum(axis=0)
    losses, _, _ = exact(x.T, shares.T.astype(Long), shares.T.sum(axis=1, keepdims=True), None)
    found = cross_entropy(x, shares, 0, reduction="none")
    assert np.max(np.abs(found - losses) / ulp(losses, np.float64)) <= SOFT_LOSS


def test_weights_near_the_largest_number_do_not_overflow():
    """Without fma, the exact product of two numbers overflowed where one of them was 2**996 or more."""
    x = np.array([[1.0, 2.0], [3.0, 1.0]])
    for reduction, scale in (("mean", 1.0), ("sum", 1e305)):
        plain = cross_entropy(x, [0, 1], label_smoothing=0.1, reduction=reduction)
        heavy = cross_entropy(x, [0, 1], weight=[1e305, 1e305], label_smoothing=0.1, reduction=reduction)
        assert heavy == pytest.approx(plain * scale, rel=1e-14)
    gradient = cross_entropy_and_grad(x, [0, 1], weight=[1e305, 1e305], reduction="sum")[1]
    np.testing.assert_allclose(gradient, 1e305 * cross_entropy_and_grad(x, [0, 1], reduction="sum")[1], rtol=1e-14)
    vjp = log_softmax_vjp(x * 1e305, -x)
    np.testing.assert_allclose(vjp, 1e305 * log_softmax_vjp(x, -x), rtol=1e-14)


@pytest.mark.parametrize("w", [5e-324, 1e-310, 1e-300, 1e155, 1e308])
def test_a_common_factor_of_weights_cancels_in_a_mean(w):
    x = np.array([[0.0, 10.0]])
    for n in (1, 2, 5):
        rows, targets = np.repeat(x, n, 0), [0] * n
        for smoothing in (0.0, 0.1):
            loss, gradient = cross_entropy_and_grad(rows, targets, label_smoothing=smoothing)
            heavy = cross_entropy_and_grad(rows, targets, weight=[w, w], label_smoothing=smoothing)
            assert heavy[0] == pytest.approx(loss, rel=1e-14)
            np.testing.assert_allclose(heavy[1], gradient, rtol=1e-13)
            assert cross_entropy(rows, targets, weight=[w, w], label_smoothing=smoothing) == pytest.approx(
                loss, rel=1e-14
            )
