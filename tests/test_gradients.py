"""Gradients agree with exact derivatives and with differences of the functions, and have their properties."""

import itertools

import numpy as np
import pytest
from bounds import GRADIENT, VJP, bound
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loss_reference import context, exact, number, position
from oracle import reference, ulp_error

from smoothmax import (
    cross_entropy,
    cross_entropy_and_grad,
    log_prob,
    log_softmax,
    log_softmax_vjp,
    logsumexp,
    logsumexp_and_softmax,
    softmax,
    softmax_vjp,
)

logit = st.floats(-50, 50, width=32) | st.integers(-9, 9).map(float)


def rows_of(count):
    return hnp.arrays(np.float64, st.tuples(st.just(count), st.integers(1, 40)), elements=logit)


# Vector-Jacobian products --------------------------------------------------------------------------------------------


def exact_products(g, p, logp):
    """p*(g - sum(p*g)) and g - exp(logp)*sum(g) of one row, and the size of the larger term of the second one."""
    g, p, e = [number(v) for v in g], [number(v) for v in p], [context.exp(number(v)) for v in logp]
    dot, total = context.fsum(v * w for v, w in zip(g, p, strict=True)), context.fsum(g)
    of_softmax = [q * (v - dot) for q, v in zip(p, g, strict=True)]
    of_log_softmax = [v - q * total for q, v in zip(e, g, strict=True)]
    return of_softmax, of_log_softmax, [max(abs(v), abs(q * total)) for q, v in zip(e, g, strict=True)]


@pytest.mark.parametrize("spread", [0.1, 3, 30])
@pytest.mark.parametrize("n", [1, 2, 9, 16, 33, 70, 400])
@pytest.mark.parametrize("axis", [0, 1])
def test_products_are_within_the_promise(dtype, n, spread, axis):
    rng = np.random.default_rng(n)
    x = (spread * rng.standard_normal((9, n))).astype(dtype)
    p, logp = softmax(x, axis=1), log_softmax(x, axis=1)
    g = rng.standard_normal((9, n)).astype(dtype)
    g[0] = 1  # the product with a row of equal values is 0
    exacts = [exact_products(*rows) for rows in zip(g, p, logp, strict=True)]

    def along(array):
        return np.ascontiguousarray(array if axis == 1 else array.T)

    got = softmax_vjp(along(g), along(p), axis)
    sizes = [
        [abs(number(v) * number(q)) * number(0.5) for v, q in zip(*rows, strict=True)]
        for rows in zip(g, p, strict=True)
    ]
    assert np.all(ulp_error(got if axis == 1 else got.T, exact([e[0] for e in exacts], sizes)) <= VJP)
    got = log_softmax_vjp(along(g), along(logp), axis)
    assert np.all(ulp_error(got if axis == 1 else got.T, exact([e[1] for e in exacts], [e[2] for e in exacts])) <= VJP)


def test_long_products_keep_their_digits(dtype):
    """Ten million terms cancel, except for one."""
    n = 10**7
    g = np.tile(np.array([1, -1], dtype), n // 2)
    p = np.full(n, 1 / n, dtype)
    g[7] += 2
    assert abs(softmax_vjp(g, p)[0] - p[0] * (1 - 2 * float(p[0]))) <= VJP * np.spacing(p[0])
    logp = np.full(n, -20, dtype)
    wanted = 1 - 2 * np.exp(-20.0)
    assert abs(log_softmax_vjp(g, logp)[0] - wanted) <= VJP * np.spacing(dtype(1))


def test_products_chain_to_the_gradient_of_a_loss():
    """The product with -1/n at the targets is the gradient of the mean of cross-entropy."""
    rng = np.random.default_rng(2)
    x, targets = rng.standard_normal((20, 6)), rng.integers(0, 6, 20)
    g = np.zeros_like(x)
    g[np.arange(20), targets] = -1 / 20
    _, gradient = cross_entropy_and_grad(x, targets)
    np.testing.assert_allclose(log_softmax_vjp(g, log_softmax(x, axis=1), 1), gradient, rtol=1e-13)
    p = softmax(x, axis=1)
    np.testing.assert_allclose(softmax_vjp(g / p, p, 1), gradient, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("axis", [None, (0, 2), 1, ()])
def test_products_are_right_along_any_axes(dtype, axis):
    rng = np.random.default_rng(4)
    x, g = rng.standard_normal((2, 3, 4, 50)).astype(dtype)
    x, g = x[..., None] + rng.standard_normal(5).astype(dtype), g[..., None] * np.ones(5, dtype)
    x, g = np.broadcast_to(x, (3, 4, 50, 5)), np.broadcast_to(g, (3, 4, 50, 5))
    p, logp = softmax(x, axis), log_softmax(x, axis)
    p64, g64 = p.astype(np.float64), g.astype(np.float64)
    eps = np.finfo(dtype).eps
    wanted = p64 * (g64 - (p64 * g64).sum(axis, keepdims=True))
    np.testing.assert_allclose(softmax_vjp(g, p, axis), wanted, rtol=4 * eps, atol=8 * eps * np.abs(p64 * g64).max())
    wanted = g64 - np.exp(logp.astype(np.float64)) * g64.sum(axis, keepdims=True)
    np.testing.assert_allclose(log_softmax_vjp(g, logp, axis), wanted, rtol=4 * eps, atol=9 * eps * np.abs(g64).max())


@pytest.mark.parametrize("product", [softmax_vjp, log_softmax_vjp])
def test_products_may_overwrite_either_argument(dtype, product):
    rng = np.random.default_rng(6)
    for shape, axis in (((40, 70), 1), ((70, 90), 0), ((9, 3), 1)):
        g, p = rng.standard_normal(shape).astype(dtype), softmax(rng.standard_normal(shape).astype(dtype), axis)
        wanted = product(g, p, axis)
        for give in (0, 1):
            arguments = [g.copy(), p.copy()]
            out = arguments[give]
            assert product(*arguments, axis, out=out) is out
            np.testing.assert_array_equal(out, wanted)
        both = np.concatenate([g, g])
        both[1 : shape[0] + 1] = g
        np.testing.assert_array_equal(product(both[1 : shape[0] + 1], p, axis, out=both[: shape[0]]), wanted)


def test_products_have_the_promoted_type():
    one = np.ones((2, 3))
    for kinds, result in ((("f4", "f4"), "f4"), (("f4", "f8"), "f8"), (("i4", "f4"), "f8"), (("f2", "f2"), "f2")):
        g, p = (one.astype(kind) for kind in kinds)
        assert softmax_vjp(g, p, 1).dtype == log_softmax_vjp(g, p, 1).dtype == result
    assert softmax_vjp(2.0, 1.0) == 0
    assert softmax_vjp(np.ones((0, 3)), np.ones((0, 3))).shape == (0, 3)


def test_products_are_nan_where_a_gradient_is_not_finite(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([0, -inf, 1], dtype)
    g = np.array([1, 2, 3], dtype)
    of_softmax, of_log_softmax = softmax_vjp(g, softmax(x)), log_softmax_vjp(g, log_softmax(x))
    assert of_softmax[1] == 0
    assert of_log_softmax[1] == 2
    assert np.isfinite(of_softmax).all()
    for bad in (nan, inf):
        assert np.isnan(softmax_vjp(np.array([1, bad, 0], dtype), np.full(3, 0.25, dtype))).any()
        assert np.isnan(log_softmax_vjp(np.array([1, bad, 0], dtype), np.full(3, -1, dtype))).any()


# logsumexp and softmax -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(1,), (7,), (300,), (5, 9), (100, 10), (3, 70, 40), (2, 5000), (90, 2000), (300_000,)]
)
def test_value_and_gradient_are_those_of_the_two_functions(dtype, shape):
    rng = np.random.default_rng(8)
    x = (5 * rng.standard_normal(shape)).astype(dtype)
    for axis, keepdims in itertools.product((None, *range(len(shape)), tuple(range(len(shape)))), (False, True)):
        value, gradient = logsumexp_and_softmax(x, axis, keepdims=keepdims)
        n = x.size // max(np.size(value), 1)
        assert np.all(ulp_error(value, reference("logsumexp", x, axis, keepdims)) <= bound("logsumexp", n))
        assert np.all(ulp_error(gradient, reference("softmax", x, axis)) <= bound("softmax", n))
        assert value.dtype == gradient.dtype == dtype


def test_special_values_are_those_of_the_two_functions(dtype):
    inf, nan = np.inf, np.nan
    for row in ([-inf, -inf], [inf, 0], [nan, 0], [0, -inf], [0, -40], [], [1], [-inf], [inf], [700, 800, 1000]):
        for repeated in (1, 70):
            x = np.array([row] * repeated, dtype)
            value, gradient = logsumexp_and_softmax(x, 1)
            np.testing.assert_array_equal(value, logsumexp(x, axis=1))
            np.testing.assert_allclose(gradient, softmax(x, axis=1), rtol=4 * np.finfo(dtype).eps)


def test_where_out_and_dtype_mean_what_they_mean_to_the_two_functions():
    rng = np.random.default_rng(9)
    x = rng.standard_normal((30, 70)).astype(np.float32)
    where = rng.random((30, 70)) < 0.7
    for axis in (0, 1, None):
        value, gradient = logsumexp_and_softmax(x, axis, where=where)
        np.testing.assert_array_equal(value, logsumexp(x, axis, where=where))
        np.testing.assert_allclose(gradient, softmax(x, axis, where=where), rtol=5e-7)
        assert np.all(gradient[~where] == 0)
        value, gradient = logsumexp_and_softmax(x, axis, dtype=np.float64)
        assert value.dtype == gradient.dtype == np.float64
        given = x.copy()
        np.testing.assert_array_equal(logsumexp_and_softmax(given, axis, out=given)[0], logsumexp(x, axis))
        np.testing.assert_array_equal(given, logsumexp_and_softmax(x, axis)[1])


# Properties ----------------------------------------------------------------------------------------------------------


@given(hnp.arrays(np.float64, st.integers(1, 200), elements=logit))
def test_gradient_of_logsumexp_sums_to_one(x):
    _, gradient = logsumexp_and_softmax(x)
    assert abs(gradient.sum() - 1) <= 4 * np.finfo(np.float64).eps * (1 + np.log2(x.size))
    assert np.all(gradient >= 0)


@given(rows_of(1), st.data())
def test_loss_is_the_surprisal_of_the_target(x, data):
    target = data.draw(st.integers(0, x.shape[1] - 1))
    loss = cross_entropy(x, [target])
    assert loss >= 0
    assert loss == -log_prob(x, [target])[0]
    p = softmax(x, axis=1)[0, target]
    assert abs(np.exp(-loss) - p) <= (4 + 2 * loss) * np.spacing(p)


@given(rows_of(2), st.data(), st.floats(0, 1), st.floats(0, 1))
def test_loss_is_convex_along_lines(ends, data, t, smoothing):
    n = ends.shape[1]
    probable = data.draw(st.booleans())
    weights = np.linspace(1, 2, n)
    target = weights / weights.sum() if probable else data.draw(st.integers(0, n - 1))

    def loss(x):
        return float(cross_entropy(x, target, label_smoothing=smoothing))

    first, last = ends
    between = t * last + (1 - t) * first
    chord = t * loss(last) + (1 - t) * loss(first)
    slack = 8 * np.finfo(np.float64).eps * (1 + np.abs(ends).max())  # the point between and the losses are rounded
    assert loss(between) <= chord + slack
    assert loss(between) >= 0


@given(rows_of(3), st.data())
def test_gradient_sums_to_zero_over_classes(x, data):
    targets = data.draw(hnp.arrays(np.int64, 3, elements=st.integers(0, x.shape[1] - 1)))
    _, gradient = cross_entropy_and_grad(x, targets, reduction="sum")
    assert np.all(np.abs(gradient.sum(axis=1)) <= 8 * np.finfo(np.float64).eps * (1 + np.log2(x.shape[1])))


@pytest.mark.parametrize(("smoothing", "probable"), [(0.0, False), (0.2, False), (0.0, True), (0.2, True)])
def test_gradient_is_the_slope_of_the_loss(smoothing, probable):
    """The slope is a central difference of the loss in 96 digits, with a step of 1e-30."""
    rng = np.random.default_rng(11)
    x, weight = rng.standard_normal(6) * 4, rng.uniform(0.5, 2, 6)
    target = rng.dirichlet(np.ones(6)) if probable else 2
    _, gradient = cross_entropy_and_grad(x, target, weight=weight, label_smoothing=smoothing, reduction="sum")
    step = context.mpf(10) ** -30
    for c in range(6):
        losses = []
        for sign in (1, -1):
            moved = [context.mpf(float(v)) + (sign * step if i == c else 0) for i, v in enumerate(x)]
            losses.append(loss_of_numbers(moved, target, weight, smoothing))
        slope = (losses[0] - losses[1]) / (2 * step)
        assert abs(gradient[c] - slope) <= GRADIENT * np.spacing(2.0) * (1 if probable or smoothing else abs(slope))


def loss_of_numbers(x, target, weight, smoothing):
    """The loss of numbers of mpmath, which need not be doubles: the weighted sum of logsumexp minus each logit."""
    n = len(x)
    log_sum = context.log(context.fsum(context.exp(v) for v in x))
    t = [number(c == target) for c in range(n)] if np.ndim(target) == 0 else [number(v) for v in target]
    smoothed = [(1 - number(smoothing)) * v + number(smoothing) / n for v in t]
    return context.fsum(s * number(w) * (log_sum - v) for s, w, v in zip(smoothed, weight, x, strict=True))


def test_the_reference_agrees_with_the_slope_of_its_loss():
    """The other tests rely on the formulas of loss_reference.py. This one compares them with the definition."""
    rng = np.random.default_rng(12)
    x, weight = rng.standard_normal(5), rng.uniform(0.5, 2, 5)
    for target, smoothing in ((1, 0.0), (1, 0.3), (rng.dirichlet(np.ones(5)), 0.3)):
        found = position(x, target, weight, None, smoothing)
        assert abs(found.loss - loss_of_numbers([number(v) for v in x], target, weight, smoothing)) < 1e-60
        step = context.mpf(10) ** -30
        for c in range(5):
            up, down = (
                loss_of_numbers([number(v) + (s if i == c else 0) for i, v in enumerate(x)], target, weight, smoothing)
                for s in (step, -step)
            )
            assert abs((up - down) / (2 * step) - found.gradient[c]) < 1e-50
