"""The oracle itself agrees with mpmath and with the definitions."""

import numpy as np
import pytest
from oracle import context, exp_pair, reference, reference_of_rows, ulp_error


def from_definition(name, row):
    """The formulas of the contract as they are written, in 2400 bits."""
    with context.workprec(2400):
        x = [context.mpf(float(v)) for v in row]
        m = max(x)
        total = context.fsum([context.exp(v - m) for v in x])
        if name == "logsumexp":
            return [m + context.log(total)]
        if name == "softmax":
            return [context.exp(v - m) / total for v in x]
        return [(v - m) - context.log(total) for v in x]


def test_exponentials_have_94_bits():
    rng = np.random.default_rng(20)
    x = -np.concatenate([np.geomspace(1e-300, 3000, 1500), rng.random(1500), 800 * rng.random(1500)])
    low = x * rng.uniform(-1, 1, x.size) * 2.0**-54
    worst = 0
    for d, d_low, h, tail, k in zip(x, low, *exp_pair(x, low), strict=True):
        exact = context.exp(context.mpf(d) + context.mpf(d_low))
        worst = max(worst, abs(context.ldexp(context.mpf(h) + context.mpf(tail), int(k)) / exact - 1))
    assert worst < 2.0**-94


ROWS = [
    [0.0],
    [0.0, 0.0],
    [0.0, -40.0],
    [0.0, -740.0],
    [20.0, 0.0],
    [1000.0, 1000.0, 999.0],
    [-0.7, -0.69, -30.0],
    [1e15, 1e15 - 3, 1e15 - 700],
    [5e-324, -1e-310, 0.0],
    [1e308, 1e308, -1e308],
    list(np.random.default_rng(21).standard_normal(200) * 50),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]:g}-{len(row)}")
def test_reference_is_the_definition(name, row):
    exact = reference(name, np.array([row]), axis=1)
    for h, tail, k, wanted in zip(
        *(np.ravel(p) for p in (exact.high, exact.low, exact.k)), from_definition(name, row), strict=True
    ):
        got = context.ldexp(context.mpf(h) + context.mpf(tail), int(k))
        m = max(row)
        slack = context.ldexp(max(map(abs, row)) if name == "logsumexp" and m < 0 else 0, -94)
        if abs(wanted) < context.ldexp(1, -2000):
            assert abs(got) < context.ldexp(1, -2000)
        elif abs(wanted) < np.finfo(np.float64).max:
            assert abs(got - wanted) <= context.ldexp(abs(wanted), -94) + slack
        else:
            assert h == -np.inf


def test_counts_stand_for_equal_elements(name):
    values, counts = np.array([[1.0, 3.0, -2.0]]), np.array([5, 7, 1])
    long = reference_of_rows(name, np.repeat(values, counts, axis=1))
    short = reference_of_rows(name, values, counts)
    wanted = short if name == "logsumexp" else short[:, np.repeat(np.arange(3), counts)]
    np.testing.assert_allclose(long.high, wanted.high, rtol=2.0**-53)


def test_axes_are_those_of_numpy(name):
    x = np.random.default_rng(22).standard_normal((2, 3, 4))
    exact = reference(name, x, axis=(0, -1)).rounded()
    for j in range(3):
        wanted = reference(name, x[:, j]).rounded()
        np.testing.assert_array_equal(exact[j] if name == "logsumexp" else exact[:, j], wanted)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_an_error_of_one_unit_is_one_ulp(dtype):
    exact = reference("log_softmax", np.array([0.0, np.log(2.0), 3.0, -1.0, 2.0]))
    right = exact.rounded(dtype)
    assert np.all(ulp_error(right, exact) <= 0.5)
    for steps in (1, 2, -1):
        moved = right + (steps * np.spacing(right)).astype(dtype)
        assert np.all(np.abs(ulp_error(moved, exact) - abs(steps)) <= 0.5)


def test_subnormal_results_are_measured_in_the_least_number():
    exact = reference("softmax", np.array([0.0, -740.0]))
    assert ulp_error(exact.rounded() + np.array([0, 5e-324]), exact)[1] == pytest.approx(1, abs=0.5)


def test_cancellation_is_measured_in_the_larger_part():
    exact = reference("logsumexp", np.array([-np.log(2.0)] * 2))
    assert abs(exact.rounded()) < 1e-16
    assert ulp_error(np.float64(2.0**-53), exact) == pytest.approx(1, abs=0.5)


def test_a_wrong_special_value_is_infinitely_wrong():
    exact = reference("softmax", np.array([[0.0, 1.0], [np.nan, 0.0]]), axis=1)
    got = exact.rounded()
    assert np.all(ulp_error(got, exact) <= 0.5)
    assert np.all(ulp_error(np.full((2, 2), np.nan), exact) == [[np.inf] * 2, [0, 0]])
    assert np.all(ulp_error(np.zeros((2, 2)), exact)[1] == np.inf)
