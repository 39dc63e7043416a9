"""The promised largest errors, for inputs that make softmax and logsumexp inaccurate, in every layout."""

import numpy as np
import pytest
from bounds import bound
from layouts import LAYOUTS, call, one_by_one
from oracle import reference, reference_of_rows, ulp_error

import smoothmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

# Families of rows: functions of a random generator and a type --------------------------------------------------------


def normal(spread, offset=0.0, n=500, count=70):
    def rows(rng, dtype):
        at_least = 30.0 * np.spacing(dtype(abs(offset)))
        return (rng.standard_normal((count, n)) * max(spread, at_least) + offset).astype(dtype)

    return rows


def uniform_below(depth, offset=0.0, n=24, count=200):
    def rows(rng, dtype):
        return (offset - depth * rng.random((count, n))).astype(dtype)

    return rows


def near_every_multiple_of_the_grid(rng, dtype):
    """Maxima around the largest one without a shift, and around the points where the shift changes."""
    grid, near = (32.0, 220.0) if dtype == np.float32 else (512.0, 1500.0)
    steps = np.concatenate([[near, grid * 7.5], grid * (np.arange(6, 18) + 0.5), grid * np.array([1000.5, 1e4 + 0.5])])
    maxima = np.concatenate([steps, np.nextafter(steps, np.inf), np.nextafter(steps, 0), steps + 0.3, steps - 0.3])
    maxima = np.concatenate([maxima, -maxima])[:, None]
    depth = 80.0 * rng.random((len(maxima), 60)) ** 3
    depth[:, 0] = 0
    return rng.permuted((maxima - depth).astype(dtype), axis=1)


def rising(rng, dtype):
    """Every block raises the maximum, in some rows by several steps of the shift."""
    span = 300.0 if dtype == np.float32 else 4000.0
    start = np.array([-span / 2, 0, span, -3 * span, 1e5, 0.3, 7, -7, 19])[:, None]
    speed = np.array([1, 1, 1, 1, 1, 0.001, 0.01, 0.1, 0.2])[:, None]
    ramp = np.linspace(0, span, 9000 if dtype == np.float32 else 5000)
    return (start + speed * ramp + rng.random((len(start), len(ramp)))).astype(dtype)


def falling(rng, dtype):
    return np.ascontiguousarray(rising(rng, dtype)[:, ::-1])


def grid_crossed_late(rng, dtype):
    """The last element raises the maximum by less than one step of the shift, by one, or by several."""
    grid, near = (32.0, 220.0) if dtype == np.float32 else (512.0, 1500.0)
    maxima = near + grid * np.array([-2, 0.4, 0.6, 1, 3.3, 10.2, -30, -80, 500])
    leaps = grid * np.array([0.3, 0.6, 0.9, 1.1, 1.4, 1.9, 2.6, 5.2, 8.3])
    pairs = np.array([(maximum, leap) for maximum in maxima for leap in leaps])
    rows = pairs[:, :1] - rng.random((len(pairs), 300)) * 3
    rows[:, 0] = pairs[:, 0]
    rows = rng.permuted(rows, axis=1)
    rows[:, -1] = pairs.sum(axis=1)
    return rows.astype(dtype)


def subnormal_tails(rng, dtype):
    """Results from the smallest normal number to 0."""
    first, last = (-86.0, -104.5) if dtype == np.float32 else (-707.0, -746.0)
    rows = rng.uniform(last, first, (70, 300))
    rows[:, 0] = np.linspace(-0.5, 3, 70)
    return rng.permuted(rows.astype(dtype), axis=1)


def results_just_normal(rng, dtype):
    """Results of up to a few times the smallest normal number. Their rounding errors are below the least number."""
    depth = 87.0 if dtype == np.float32 else 708.0
    rows = rng.uniform(0.5 - depth, 6 - depth, (400, 50))
    rows[:, 0] = np.linspace(-0.5, 3, 400)
    return rng.permuted(rows.astype(dtype), axis=1)


def subnormal_input(rng, dtype):
    return (rng.standard_normal((70, 60)) * np.finfo(dtype).tiny).astype(dtype)


def huge_input(rng, dtype):
    rows = rng.uniform(-1, 1, (70, 60)).astype(dtype) * np.finfo(dtype).max
    rows[::2, 3:6] = np.finfo(dtype).max
    return rows


def pairs(rng, dtype):
    distance = np.concatenate([np.geomspace(1e-8, 760, 2000), rng.random(1000)])
    maximum = np.concatenate([np.zeros(1500), rng.uniform(-5, 5, 1500)])
    return rng.permuted(np.stack([maximum, maximum - distance], axis=1).astype(dtype), axis=1)


def triples(rng, dtype):
    return (rng.standard_normal((3000, 3)) * rng.choice([0.1, 1, 10, 100], (3000, 1))).astype(dtype)


def results_near_zero(rng, dtype):
    """Logarithms of sums near 1: one zero among small terms, and probabilities, where maximum and logarithm cancel."""
    tails = -rng.uniform(5, 200, (100, 40))
    tails[:50, 0] = 0
    shares = rng.random((50, 40)) ** 4
    tails[50:] = np.log(shares / shares.sum(axis=1, keepdims=True))
    return rng.permuted(tails.astype(dtype), axis=1)


def small_results_of_many(rng, dtype):
    """A zero and three exponentials that matter. The logarithm is small, so the errors of the three show in it."""
    rows = -rng.uniform(40, 90, (120, 1300))
    rows[:, 0] = 0
    rows[:, 1:4] = -rng.uniform(0.2, 4, (120, 1))
    return rng.permuted(rows.astype(dtype), axis=1)


def one_dominant_equal_others(rng, dtype):
    rows = np.repeat(-np.arange(1.0, 81)[:, None], 130, axis=1)
    rows[:, 0] = 0
    return rng.permuted(rows.astype(dtype), axis=1)


def one_dominant_random_others(rng, dtype):
    rows = -np.arange(1.0, 81)[:, None] - rng.random((80, 130))
    rows[:, 0] = 0
    return rng.permuted(rows.astype(dtype), axis=1)


def sum_just_above_a_power_of_two(rng, dtype):
    """Sums that lose half a bit and results just below 1, where the error of a quotient is largest."""
    rows = np.empty((2000, 4))
    rows[:, 0] = rng.uniform(-1, 1, 2000)
    rows[:, 1:] = rows[:, :1] - rng.uniform(2, 9, (2000, 3))
    return rng.permuted(rows.astype(dtype), axis=1)


FAMILIES = {
    **{f"normal_spread_{spread}": normal(spread) for spread in (1, 10, 300)},
    **{f"normal_offset_{offset:g}": normal(10, offset) for offset in (1e4, -1e4, 1e15, 1500, -1500, 220, -220, 3e5)},
    **{f"short_spread_{depth}": uniform_below(depth) for depth in (0.5, 3, 30, 120)},
    **{f"short_offset_{offset:g}": uniform_below(30, offset) for offset in (2000, -300)},
    **{
        family.__name__: family
        for family in (
            near_every_multiple_of_the_grid, rising, falling, grid_crossed_late, subnormal_tails, subnormal_input,
            results_just_normal, huge_input, pairs, triples, results_near_zero, small_results_of_many,
            one_dominant_equal_others, one_dominant_random_others, sum_just_above_a_power_of_two,
        )
    },
}  # fmt: skip


def assert_within(name, got, exact, rows, promise):
    error = ulp_error(got, exact)
    if np.any(error > promise):
        index = np.unravel_index(np.argmax(error), error.shape)
        row = [value.hex() for value in rows[index[0]].astype(np.float64)[:40].tolist()]
        pytest.fail(
            f"{name} is {error[index]:.3f} ULP off at {index}, got {got[index]!r}, row of {rows.shape[1]}: {row}"
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_error_is_within_the_promise(name, function, dtype, family):
    rows = FAMILIES[family](np.random.default_rng(len(family)), dtype)
    assert rows.dtype == dtype
    assert len(np.unique(rows)) > 50
    exact = reference(name, rows, axis=1)
    promise = bound(name, rows.shape[1])
    for layout in LAYOUTS:
        assert_within(f"{name} {layout}", call(function, rows, layout), exact, rows, promise)
    few = slice(0, 60)
    assert_within(f"{name} one by one", one_by_one(function, rows[few]), exact[few], rows[few], promise)


# Long rows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [10**5, 10**7])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e4])
def test_equal_elements_are_within_the_promise(name, function, dtype, n, value):
    value = float(dtype(value))
    exact = reference_of_rows(name, np.array([[value]]), np.array([n]))
    got = np.asarray(function(np.full(n, value, dtype)))
    assert np.all(got == got.flat[0])
    assert np.all(ulp_error(got.flat[0], exact.reshape(-1)[0]) <= bound(name, n))


@pytest.mark.parametrize("n", [10**5, 10**7])
@pytest.mark.parametrize("depth", [0.7, 12.0])
def test_long_rows_are_within_the_promise(name, function, dtype, n, depth):
    """97 different values in random order. The oracle gets each value once, with its count."""
    rng = np.random.default_rng(n)
    values = np.unique((-depth * rng.random(97)).astype(dtype))
    index = rng.integers(0, len(values), n, dtype=np.uint8)
    exact = reference_of_rows(name, values[None].astype(np.float64), np.bincount(index, minlength=len(values)))
    got = np.asarray(function(values[index]))
    if name != "logsumexp":
        found = got
        got = np.empty_like(values)
        got[index] = found
        assert np.array_equal(got[index].view(np.uint8), found.view(np.uint8))
        got = got[None]
    assert np.all(ulp_error(got.reshape(exact.high.shape), exact) <= bound(name, n))


LIMITS = limits()
LONGEST_FUSED_ROW = {
    "logsumexp": LIMITS["FUSED_SUM_ROW_BYTES"],
    "log_softmax": LIMITS["FUSED_SUM_ROW_BYTES"],
    "softmax": LIMITS["FUSED_SOFTMAX_ROW_BYTES"],
}


@pytest.mark.parametrize("spread", [1, 10, 300])
@pytest.mark.parametrize("more", [0, 64, 2_000_000])
def test_rows_beside_the_fused_limit_are_within_the_promise(name, function, dtype, spread, more):
    nbytes = LONGEST_FUSED_ROW[name] + more
    n = nbytes // np.dtype(dtype).itemsize
    assert (explain(function, np.zeros((1, n), dtype))["name"] == "SINGLE_ROW") == (more == 0)
    row = (np.random.default_rng(nbytes).standard_normal((1, n)) * spread).astype(dtype)
    exact = reference(name, row, axis=1)
    assert_within(name, np.asarray(function(row, axis=1)), exact, row, bound(name, n))
    assert_within(name, np.asarray(function(row[:, ::-1], axis=1)), exact if name == "logsumexp" else exact[:, ::-1],
                  row, bound(name, n))  # fmt: skip


@pytest.mark.parametrize("spread", [1, 300])
def test_tiles_beyond_the_fused_limit_are_within_the_promise(name, function, dtype, spread):
    rows = (np.random.default_rng(7).standard_normal((66, 2500)) * spread).astype(dtype)
    route = explain(function, np.ascontiguousarray(rows.T), axis=0)
    assert route["name"] == ("ONE_PASS_TILE" if name == "logsumexp" else "TWO_PASS_TILE")
    exact = reference(name, rows, axis=1)
    for layout in ("first_axis", "two_axes"):
        assert_within(f"{name} {layout}", call(function, rows, layout), exact, rows, bound(name, 2500))


def test_examples_that_ruin_the_textbook_formulas_are_right():
    for row in ([600.0, 700.0, 800.0], [-1000.0, -900.0, -800.0], [700.0, 800.0, 900.0, 1000.0], [1000.0, 1000.0],
                [0.0, -40.0], [20.0, 0.0]):  # fmt: skip
        for name in ("logsumexp", "softmax", "log_softmax"):
            exact = reference(name, np.array(row))
            assert np.all(ulp_error(getattr(smoothmax, name)(np.array(row)), exact) <= bound(name, len(row)))
    assert f"{smoothmax.logsumexp([0.0, -40.0]):.3g}" == "4.25e-18"
    assert f"{smoothmax.log_softmax([20.0, 0.0])[0]:.3g}" == "-2.06e-09"
    for row in ([600.0, 700.0, 800.0], [-1000.0, -900.0, -800.0]):
        assert [f"{p:.3g}" for p in smoothmax.softmax(row)] == ["1.38e-87", "3.72e-44", "1"]
    assert [f"{p:.4g}" for p in smoothmax.log_softmax([700.0, 800.0, 900.0, 1000.0])] == [
        "-300",
        "-200",
        "-100",
        "-3.72e-44",
    ]
