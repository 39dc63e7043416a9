"""logmeanexp: its bound, masks and weights, special values, routes and threads."""

import numpy as np
import pytest
from bounds import LOGMEANEXP, LOGMEANEXP_LEAST_FLOAT32, LONGDOUBLE_LOGMEANEXP
from exact_prefixes import context, error
from exact_prefixes import mean as exact_mean

import smoothmax
from smoothmax import logmeanexp
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
RNG = np.random.default_rng(20261130)
FAMILIES = {
    "normal": lambda n: RNG.normal(size=n),
    "equal": lambda n: np.full(n, 0.3),
    "nearly equal, near 0": lambda n: RNG.random(n) * -1e-9,
    "tiny": lambda n: RNG.random(n) * -1e-20,
    "below one": lambda n: -RNG.random(n),
    "one far above": lambda n: np.r_[0.0, np.full(n - 1, -40.0)],
    "maximum and logarithm cancel": lambda n: np.r_[np.log(n), np.full(n - 1, -50.0)],
    "nearly cancel": lambda n: np.r_[np.log(n), RNG.normal(size=n - 1) - 8],
    "large": lambda n: RNG.normal(size=n) + 700,
    "larger": lambda n: RNG.normal(size=n) * 100 - 3000,
}


def mean(x, b=None):
    value, at_least = exact_mean(x, b)
    return value, max(at_least, LOGMEANEXP_LEAST_FLOAT32 if x.dtype == np.float32 else 0)


LENGTHS = (1, 2, 3, 7, 16, 17, 33, 60, 300)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n", LENGTHS)
def test_the_bound_on_every_route(family, n, dtype):
    x = FAMILIES[family](n).astype(dtype)
    exact = mean(x)
    rows = np.repeat(x[None], 40, axis=0)
    results = {
        "row": logmeanexp(x), "rows": logmeanexp(rows, axis=1)[3], "columns": logmeanexp(rows.T.copy(), axis=0)[-1],
        "masked": logmeanexp(np.r_[x, dtype(5)], where=np.arange(n + 1) < n),
        "masked rows": logmeanexp(np.c_[rows, rows[:, :1]], axis=1, where=np.arange(n + 1) < n)[0],
        "stretched": logmeanexp(np.repeat(rows, 2, axis=1)[:, ::2], axis=1)[7],
    }  # fmt: skip
    for route, result in results.items():
        assert error(result, *exact) <= LOGMEANEXP, route


@pytest.mark.parametrize("n", [3000, 9000])
def test_the_bound_of_long_rows_and_narrow_columns(n, dtype):
    x = (-RNG.random(n) * 1e-3).astype(dtype)
    exact = mean(x)
    assert error(logmeanexp(x), *exact) <= LOGMEANEXP
    assert error(logmeanexp(np.repeat(x[:, None], 3, axis=1), axis=0)[1], *exact) <= LOGMEANEXP
    halved = np.repeat(x[:, None], 3, axis=1), np.repeat(np.arange(n)[:, None] % 2 == 0, 3, axis=1)
    assert error(logmeanexp(halved[0], axis=0, where=halved[1])[2], *mean(x[::2])) <= LOGMEANEXP


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30, -2.5])
def test_the_bound_with_weights(family, scale, dtype):
    x = FAMILIES[family](50).astype(dtype)
    b = (RNG.random(50) * scale).astype(dtype)
    exact = mean(x, b)
    rows = np.repeat(x[None], 20, axis=0)
    for result in (logmeanexp(x, b=b), logmeanexp(rows, axis=1, b=b)[3],
                   logmeanexp(rows.T.copy(), axis=0, b=np.repeat(b[:, None], 20, axis=1))[-1]):  # fmt: skip
        assert error(result, *exact) <= LOGMEANEXP
    half = np.arange(50) % 2 == 0
    assert error(logmeanexp(x, b=b, where=half), *mean(x[half], b[half])) <= LOGMEANEXP


def test_weights_of_any_size_cancel():
    x = RNG.normal(size=30)
    for size in (5e-324, 1e-310, 1e-300, 1e300, 1.7e308 / 30):
        np.testing.assert_allclose(logmeanexp(x, b=size), logmeanexp(x), rtol=1e-13)
    assert logmeanexp([700.0, 700.0], b=[1e300, 1e-300]) == 700


@pytest.mark.parametrize(
    ("x", "b", "where", "expected"),
    [
        ([], None, True, np.nan),
        ([1.0, 2.0], None, False, np.nan),
        ([-np.inf, -np.inf], None, True, -np.inf),
        ([-np.inf, 0.0], None, True, -np.log(2)),
        ([-np.inf, 0.0, 5.0], None, [True, True, False], -np.log(2)),
        ([np.inf, 0.0], None, True, np.inf),
        ([np.inf, np.nan], None, True, np.nan),
        ([np.nan, 0.0], None, [False, True], 0.0),
        ([1.0, 2.0], [0.0, 0.0], True, np.nan),
        ([1.0, 2.0], [1.0, -1.0], True, np.nan),
        ([1.0, 2.0], [-1.0, -1.0], True, np.log((np.e + np.e**2) / 2)),
        ([1.0, 2.0], [2.0, -1.0], True, np.nan),
        ([1.0, 2.0], [np.inf, 1.0], True, np.nan),
        ([1.0, 2.0], [np.nan, 1.0], True, np.nan),
        ([np.inf, 2.0], [1.0, 1.0], True, np.inf),
        ([np.inf, 2.0], [-1.0, -1.0], True, np.inf),
        ([np.inf, 2.0], [-1.0, 2.0], True, np.nan),
        ([-np.inf, -np.inf], [1.0, 2.0], True, -np.inf),
        ([np.inf, 2.0], [0.0, 2.0], True, 2.0),
    ],
)
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.longdouble])
def test_special_values_are_those_of_the_contract(x, b, where, expected, kind):
    a = np.array(x, kind)
    weights = None if b is None else np.array(b, kind)
    with np.errstate(all="raise"):
        result = logmeanexp(a, b=weights, where=where)
        columns = logmeanexp(np.repeat(a[:, None], 70, axis=1), axis=0, b=None if b is None else weights[:, None],
                             where=where if isinstance(where, bool) else np.array(where)[:, None])  # fmt: skip
    np.testing.assert_allclose(np.float64(result), expected, rtol=1e-6)
    np.testing.assert_allclose(columns.astype(float), np.full(70, expected), rtol=1e-6)


def test_longdouble_float16_and_complex():
    for family in FAMILIES.values():
        x = family(40)
        value, largest = mean(x)
        result = logmeanexp(x.astype(np.longdouble))
        parts = max(largest, context.log(40))
        assert error(result, value, parts) <= LONGDOUBLE_LOGMEANEXP
    assert logmeanexp(np.zeros(70000, np.float16)) == 0
    z = RNG.normal(size=9) + 1j * RNG.normal(size=9)
    np.testing.assert_allclose(logmeanexp(z), np.log(np.mean(np.exp(z))), rtol=1e-13)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_threads_and_axes(masked, weighted, dtype):
    x = RNG.normal(size=(40, 60, 70)).astype(dtype)
    where = RNG.random((60, 70)) < 0.7 if masked else True
    b = RNG.random((40, 1, 70)).astype(dtype) if weighted else None
    for axis in (None, 0, 1, 2, (0, 2), ()):
        weights = np.broadcast_to(where, x.shape) * (1 if b is None else b)
        with np.errstate(all="ignore"):
            expected = np.log((np.exp(x.astype(float)) * weights).sum(axis=axis) / weights.sum(axis=axis))
        results = []
        for threads in (1, 3):
            with smoothmax.num_threads(threads):
                results.append(logmeanexp(x, axis, b, where=where))
        np.testing.assert_array_equal(*results)
        np.testing.assert_allclose(results[0], expected, **({"atol": 2e-6} if dtype is np.float32 else {"atol": 1e-13}))
        out = np.empty(np.shape(expected))
        assert logmeanexp(x, axis, b, where=where, out=out) is out
    kept = logmeanexp(x, (0, 2), keepdims=True)
    assert kept.shape == (1, 60, 1)


def test_means_take_the_routes_of_logsumexp(dtype):
    x = np.zeros((2000, 10), dtype)
    assert explain(logmeanexp, x[0])["name"] == "SINGLE_ROW"
    assert explain(logmeanexp, x, axis=1)["name"] == "FUSED_TILE"
    assert explain(logmeanexp, x, axis=0)["name"] == "NARROW"
    assert explain(logmeanexp, x, axis=0, where=x == 0)["name"] == "NARROW"


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"^b of shape \(4,\) does not broadcast with the input of shape \(2, 3\)$"):
        logmeanexp(np.zeros((2, 3)), b=np.ones(4))
    with pytest.raises(TypeError, match=r"^axis must be None, an int or a tuple of ints, got 1.5$"):
        logmeanexp(np.zeros((2, 3)), axis=1.5)


@pytest.mark.parametrize("x", [1e-140, 1e-200, 1e-283, 5e-324])
@pytest.mark.parametrize("shape", [(17, 8), (8, 16), (40, 16)])
def test_columns_of_equal_tiny_numbers_have_that_mean(shape, x):
    np.testing.assert_allclose(logmeanexp(np.full(shape, x), axis=0), x, rtol=2 * np.finfo(float).eps)
