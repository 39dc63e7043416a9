"""logsumexp with one weight for each reduction, which enters once, at the end: log(abs(b)) + logsumexp(a).

test_weights.py has the error of weights in general, and the table of special values. Here each reduction is held
against the same call with its weight repeated for every element, which the kernels with weights compute.
"""

import itertools
import tracemalloc

import mpmath
import numpy as np
import pytest
from bounds import LOGSUMEXP
from test_weights import error

import smoothmax
from smoothmax import logsumexp
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

L = limits()
INF, NAN = np.inf, np.nan
TYPES = [np.float32, np.float64]
each_type = pytest.mark.parametrize("dtype", TYPES)

# A shape and an axis for each route, and the name of that.
ROUTES = {
    "JOINT_ROWS": ((20, 700), 1),
    "JOINT_ROWS of some lanes": ((5, 90), 1),
    "JOINT_ROWS of a lane row": ((5, 10), 1),
    "FUSED_ROW": ((1, 90), 1),
    "ONE_PASS_ROW": ((3, 20_000), 1),
    "NARROW": ((900, 5), 0),
    "FUSED_DIFFERENCES_TILE": ((L["EXACT_DIFFERENCES_MAX_ROWS"], 200), 0),
    "FUSED_TILE": ((100, 200), 0),
    "ONE_PASS_TILE": ((1000, 70), 0),
}
each_route = pytest.mark.parametrize("route", ROUTES)


def weights_shape(shape, axis):
    return [1 if i == axis else n for i, n in enumerate(shape)]


def weights_for(rng, shape, axis, dtype):
    """A weight for each reduction, of any size and sign: some cancel the maximum or the logarithm of the sum."""
    length = np.prod([n for i, n in enumerate(shape) if i != axis])
    size = np.exp(rng.uniform(-60, 60, length))
    size[::3] = rng.uniform(0.1, 3, size[::3].size)
    size[1::5] = 1 / shape[axis]
    size[2::7] = np.finfo(dtype).tiny / 8
    size[3::7] = np.finfo(dtype).max
    return (rng.choice([-1, 1], length) * size).astype(dtype).reshape(weights_shape(shape, axis))


def routes_of(x, axis, weights):
    return [explain(logsumexp, x, axis=axis, **given)["name"] for given in ({}, {"b": weights})]


@each_route
@each_type
def test_the_route_is_that_of_a_call_without_weights(dtype, route):
    shape, axis = ROUTES[route]
    x = np.ones(shape, dtype)
    weights = np.ones(weights_shape(shape, axis), dtype)
    name = route.split(" of ")[0]
    assert routes_of(x, axis, weights) == [name, name]
    assert routes_of(x, axis, 0.5) == [name, name]


def test_a_whole_row_and_one_weight_need_no_plan(dtype):
    assert explain(logsumexp, np.ones(10, dtype), b=0.5)["name"] == "SINGLE_ROW"
    assert explain(logsumexp, np.ones(10, dtype), b=np.ones(10, dtype))["name"] == "SINGLE_ROW"


@each_route
@each_type
def test_error_is_within_the_promise(dtype, route):
    shape, axis = ROUTES[route]
    rng = np.random.default_rng(len(route))
    for spread, offset in ((0.5, 0), (1e-3, -6.5), (8, 0), (3, 90), (3, -5000)):
        x = (spread * rng.normal(size=shape) + offset).astype(dtype)
        b = weights_for(rng, shape, axis, dtype)
        chosen = rng.choice(b.size, max(1, min(b.size, 4, 4000 // shape[axis])), replace=False)
        for step in (1, 2):
            given = x if step == 1 else np.repeat(x, 2, axis=axis).take(range(0, 2 * shape[axis], 2), axis)
            value, sign = logsumexp(given, axis, b=b, return_sign=True)
            np.testing.assert_array_equal(sign, np.sign(np.squeeze(b, axis)))
            np.testing.assert_array_equal(logsumexp(given, axis, b=b), np.where(sign < 0, NAN, value))
            for i in chosen:
                row = np.moveaxis(x, axis, -1).reshape(-1, shape[axis])[i]
                repeated = np.full_like(row, b.reshape(-1)[i])
                assert error(value.reshape(-1)[i], sign.reshape(-1)[i], row, repeated) <= LOGSUMEXP


@each_type
def test_a_weight_that_cancels_the_logarithm_leaves_the_digits_of_the_rest(dtype):
    """Sums from 1 to 1000 times about their reciprocals: what rounded terms lose would be most of the result."""
    rng = np.random.default_rng(3)
    cases = itertools.product((1, 2, 3, 7, 10, 33, 100, 257, 300, 700, 2000), (-0.7, -1e-4, 0), (0, 0.7, -1.3))
    for n, low, shift in [*cases, (30_000, -0.7, 0)]:
        a = rng.uniform(low, 0, n).astype(dtype)
        b = dtype(np.exp(shift) / np.sum(np.exp(a.astype(float))))
        for one in (a, np.repeat(a, 2)[::2]):
            value, sign = logsumexp(one, b=b, return_sign=True)
            assert error(value, sign, a, np.full_like(a, b)) <= LOGSUMEXP, (n, low, shift)
            assert logsumexp(one, b=b) == value


def test_a_mean_of_equal_elements_keeps_what_both_logarithms_lost():
    """The logarithms of n and of 1/n cancel, and what rounding took from each of them is the result."""
    for n in (3, 6, 7, 10, 49, 300, 3000):
        with mpmath.workprec(200):
            exact = mpmath.log(mpmath.mpf(n) * mpmath.mpf(1 / n))
            for x in (np.zeros(n), np.zeros((n, 40))):
                for value in np.unique(logsumexp(x, 0, b=1 / n)):
                    assert abs(value - exact) <= 0.1 * np.spacing(np.log(n)), (n, x.ndim)


SPECIAL_WEIGHTS = [0.0, -0.0, 1, -2, INF, -INF, NAN]


@pytest.mark.parametrize("masked", [False, True])
@each_type
def test_special_values_are_those_of_weights_for_every_element(dtype, masked):
    """Every combination of special elements with every weight, in rows, columns and as calls of their own."""
    rng = np.random.default_rng(5)
    for n in (1, 3, 40, 2000):
        rows = []
        for kinds in itertools.product([False, True], repeat=4):
            row = np.full(n, -3.0) if kinds[0] else np.full(n, -INF)
            places = iter(rng.permutation(n))
            for kind, value in zip(kinds[1:], (-INF, INF, NAN), strict=True):
                place = next(places, None)
                if kind and place is not None:
                    row[place] = value
            rows.append(row)
        a = np.repeat(rows, len(SPECIAL_WEIGHTS), axis=0).astype(dtype)
        b = np.tile(SPECIAL_WEIGHTS, len(rows)).astype(dtype)[:, None]
        mask = (rng.random(a.shape) < 0.7) & (np.arange(len(a)) % 5 != 0)[:, None] if masked else np.True_
        wanted = logsumexp(a, 1, b=np.broadcast_to(b, a.shape).copy(), where=mask, return_sign=True)
        transposed = logsumexp(a.T.copy(), 0, b=b.T.copy(), where=mask.T, return_sign=True)
        for got in (logsumexp(a, 1, b=b, where=mask, return_sign=True), transposed):
            np.testing.assert_allclose(got, wanted, rtol=1e-6)
        alone = np.where(wanted[1] == -1, NAN, wanted[0])
        np.testing.assert_allclose(logsumexp(a, 1, b=b, where=mask), alone, rtol=1e-6)
        for i in range(0, len(a), 3):
            part = {} if mask is np.True_ else {"where": mask[i]}
            np.testing.assert_allclose(logsumexp(a[i], b=float(b[i, 0]), **part), alone[i], rtol=1e-6)
            signed = logsumexp(a[i], b=b[i, 0], return_sign=True, **part)
            np.testing.assert_allclose(signed, np.array(wanted)[:, i], rtol=1e-6)


@pytest.mark.parametrize("route", [route for route in ROUTES if route != "FUSED_ROW"])  # that of a single reduction
@each_type
def test_a_weight_that_is_not_finite_changes_no_bit_beside_it(dtype, route):
    shape, axis = ROUTES[route]
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    b = np.full(weights_shape(shape, axis), 0.3, dtype)
    before = logsumexp(x, axis, b=b)
    b.reshape(-1)[[0, -1]] = INF, NAN
    out = np.empty(before.shape, np.float64)
    signed = logsumexp(x, axis, b=b, return_sign=True)[0]
    for result in (logsumexp(x, axis, b=b), signed, logsumexp(x, axis, b=b, out=out)):
        np.testing.assert_array_equal(result.reshape(-1)[1:-1], before.reshape(-1)[1:-1])
        np.testing.assert_array_equal(result.reshape(-1)[[0, -1]], [INF, NAN])


@pytest.mark.parametrize("number", [INF, -INF])
@each_route
@each_type
def test_a_masked_element_has_no_part_in_an_infinite_weight(dtype, route, number):
    shape, axis = ROUTES[route]
    x = np.ones(shape, dtype)
    mask = np.random.default_rng(2).random(shape) < 0.7
    mask.swapaxes(0, axis or 0)[0] = True  # an element of each reduction takes part
    for b in (number, np.full(shape, number), np.broadcast_to(number, shape)):
        value, sign = logsumexp(x, axis, b=b, where=mask, return_sign=True)
        np.testing.assert_array_equal(value, INF)
        np.testing.assert_array_equal(sign, np.sign(number))


@pytest.mark.parametrize("signed", [False, True])
@each_type
def test_weights_that_are_not_finite_take_no_memory(dtype, signed):
    x = np.ones((50_000, 3), dtype)
    b = np.ones((len(x), 1), dtype)
    b[::7] = INF
    tracemalloc.start()
    value = logsumexp(x, 1, b=b, return_sign=signed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (1 + signed) * len(x) * x.itemsize + 50_000
    np.testing.assert_array_equal(np.isinf(value[0] if signed else value), np.isinf(b[:, 0]))


@pytest.mark.parametrize("size", [1e-300, 1e-60, 1e300, 5e-324])
def test_a_number_beyond_the_range_of_float32_keeps_its_range(size):
    for shape in ((10,), (30, 40), (40, 300)):
        a = np.linspace(-3, 3, np.prod(shape)).reshape(shape).astype(np.float32)
        got = logsumexp(a, -1, b=size)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, np.log(size) + logsumexp(a.astype(float), -1), rtol=2e-7)


@pytest.mark.parametrize("number", [2, 0.25, np.float16(0.25), np.int8(3), np.float64(0.1), np.array([[0.5]])])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, bool])
def test_numbers_of_every_type_give_the_type_and_the_value_of_repeated_ones(dtype, number):
    a = np.arange(12).reshape(3, 4).astype(dtype)
    whole = np.full(a.shape, number)
    for axis in (0, 1, None):
        got, wanted = logsumexp(a, axis, b=number), logsumexp(a, axis, b=whole)
        assert got.dtype == (wanted.dtype if hasattr(number, "dtype") else logsumexp(a, axis).dtype)
        np.testing.assert_allclose(got, wanted, rtol=4 * np.finfo(got.dtype).eps)


@each_type
def test_elements_that_are_scaled_and_shifted_have_the_bits_of_those_that_they_become(dtype):
    rng = np.random.default_rng(2)
    x, add = rng.normal(size=(70, 300)).astype(dtype), rng.normal(size=300).astype(dtype)
    for axis, b in itertools.product((0, 1, None), (0.3, -2.0)):
        y = x * dtype(-0.4) + add
        got = logsumexp(x, axis, b=b, scale=-0.4, add=add, return_sign=True)
        np.testing.assert_array_equal(got, logsumexp(y, axis, b=b, return_sign=True))


@each_type
def test_threads_change_no_bit(dtype):
    x = np.random.default_rng(4).normal(size=(400, 3000)).astype(dtype)
    b = np.linspace(-1, 2, 400, dtype=dtype)[:, None]
    results = []
    for n in (1, 2, 5):
        with smoothmax.num_threads(n):
            results.append([logsumexp(x, 1, b=b), logsumexp(x.T, 0, b=b.T), logsumexp(x, b=0.3)])
    for one in results[1:]:
        for got, wanted in zip(one, results[0], strict=True):
            np.testing.assert_array_equal(got, wanted)
