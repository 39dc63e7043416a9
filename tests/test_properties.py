"""Properties that hold for every input. Hypothesis searches for an input that lacks one."""

import numpy as np
import pytest
from bounds import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, bound
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from oracle import reference, ulp_error

import smoothmax

dtypes = st.sampled_from([np.dtype(np.float64), np.dtype(np.float32)])
# Numbers that are often equal, close to each other or far apart; `anything` adds those that are not finite.
moderate = st.floats(-50, 50, width=32) | st.integers(-9, 9).map(float)
finite = moderate | st.floats(allow_nan=False, allow_infinity=False, width=32)
anything = finite | st.sampled_from([np.nan, np.inf, -np.inf])


def arrays(elements, shapes=None):
    shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=9) if shapes is None else shapes
    return dtypes.flatmap(lambda dtype: hnp.arrays(dtype, shapes, elements=elements))


def rows(elements):
    return arrays(elements, hnp.array_shapes(min_dims=1, max_dims=1, max_side=150))


def slack(x, ulps, size=None):
    """A number of ULP of each element, or of the smallest normal number if the element is smaller."""
    size = np.abs(x) if size is None else size
    info = np.finfo(x.dtype)
    return ulps * np.spacing(np.clip(size, info.tiny, info.max / 4).astype(x.dtype)).astype(np.float64)


@given(arrays(finite), st.data())
def test_anything_finite_is_within_the_promise(x, data):
    axis = data.draw(st.none() | hnp.valid_tuple_axes(x.ndim) | st.integers(-x.ndim, x.ndim - 1))
    for name in ("logsumexp", "softmax", "log_softmax"):
        got = getattr(smoothmax, name)(x, axis=axis)
        assert np.all(ulp_error(got, reference(name, x, axis)) <= bound(name, x.size))


@given(arrays(anything), st.data())
def test_special_values_are_where_the_contract_has_them(x, data):
    axis = data.draw(st.none() | hnp.valid_tuple_axes(x.ndim))
    for name in ("logsumexp", "softmax", "log_softmax"):
        got, wanted = getattr(smoothmax, name)(x, axis=axis), reference(name, x, axis).rounded(x.dtype)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(wanted))


@given(rows(finite))
def test_softmax_sums_to_one(x):
    got = smoothmax.softmax(x)
    assert np.all(got >= 0)
    assert np.all(got <= 1 + SOFTMAX * np.finfo(x.dtype).eps)
    assert abs(got.astype(np.float64).sum() - 1) <= SOFTMAX * np.finfo(x.dtype).eps * (1 + 1e-6) + x.size * 1e-44


@given(rows(st.integers(-2000, 2000).map(lambda i: i / 8)), st.integers(-(10**4), 10**4))
def test_an_exact_shift_changes_only_logsumexp(x, shift):
    """Softmax and log_softmax change by no more than the promised errors, and logsumexp changes by the shift."""
    moved = x + x.dtype.type(shift)
    assert np.array_equal(moved - x.dtype.type(shift), x)
    for name, ulps in (("softmax", SOFTMAX), ("log_softmax", LOG_SOFTMAX)):
        before, after = getattr(smoothmax, name)(x), getattr(smoothmax, name)(moved)
        assert np.all(
            np.abs(after.astype(np.float64) - before) <= slack(np.maximum(np.abs(before), np.abs(after)), 2 * ulps)
        )
    before, after = smoothmax.logsumexp(x), smoothmax.logsumexp(moved)
    largest = max(np.abs(x).max(), np.abs(moved).max(), np.log(x.size))
    assert abs(np.float64(after) - before - shift) <= slack(x, 2 * LOGSUMEXP, largest)


@given(rows(finite), st.randoms(use_true_random=False))
def test_order_does_not_matter(x, random):
    order = list(range(x.size))
    random.shuffle(order)
    for name in ("softmax", "log_softmax"):
        exact = reference(name, x)
        assert np.all(ulp_error(getattr(smoothmax, name)(x[order]), exact[order]) <= bound(name, x.size))
    assert ulp_error(smoothmax.logsumexp(x[order]), reference("logsumexp", x)) <= LOGSUMEXP


@given(rows(finite))
def test_softmax_keeps_the_order(x):
    """A larger element has no smaller result, except for the errors of the two. Equal elements have equal results."""
    x = np.sort(x)
    for name, ulps in (("softmax", SOFTMAX), ("log_softmax", LOG_SOFTMAX)):
        got = getattr(smoothmax, name)(x)
        with np.errstate(invalid="ignore"):
            step = np.diff(got.astype(np.float64))
        finite_ = np.isfinite(step)
        assert np.all(step[finite_] >= -slack(got[1:], 2 * ulps)[finite_])
        for equal in np.split(got, np.flatnonzero(np.diff(x)) + 1):
            assert np.all(equal == equal[0])


@given(rows(finite))
def test_logsumexp_is_between_its_bounds(x):
    """max(x) <= logsumexp(x) <= max(x) + log(n)."""
    got, maximum = np.float64(smoothmax.logsumexp(x)), np.float64(x.max())
    error = slack(x, LOGSUMEXP, max(abs(maximum), np.log(x.size)))
    assert got >= maximum - error
    assert got <= maximum + np.log(x.size) + error


@given(rows(moderate), st.data())
def test_logsumexp_is_monotonic(x, data):
    up = data.draw(hnp.arrays(x.dtype, x.shape, elements=st.floats(0, 10, width=32)))
    larger = x + up
    error = slack(x, LOGSUMEXP, max(np.abs(larger).max(), np.abs(x).max(), np.log(x.size)))
    assert np.float64(smoothmax.logsumexp(larger)) >= np.float64(smoothmax.logsumexp(x)) - 2 * error


@given(rows(moderate), st.data(), st.integers(0, 8))
def test_logsumexp_is_convex(x, data, eighths):
    """f((1 - t) x + t y) <= (1 - t) f(x) + t f(y) along every line."""
    y = data.draw(hnp.arrays(x.dtype, x.shape, elements=st.floats(-50, 50, width=32)))
    t = eighths / 8
    f = [np.float64(smoothmax.logsumexp(v)) for v in (x, y, (1 - t) * x.astype(np.float64) + t * y)]
    assert f[2] <= (1 - t) * f[0] + t * f[1] + slack(x, 2 * LOGSUMEXP, 100.0)


@given(rows(finite))
def test_log_softmax_is_the_logarithm_of_softmax(x):
    """Where softmax is normal, its logarithm and log_softmax differ by no more than their errors."""
    p, log_p = smoothmax.softmax(x).astype(np.float64), smoothmax.log_softmax(x).astype(np.float64)
    normal = p >= np.finfo(x.dtype).tiny
    eps = np.finfo(x.dtype).eps
    assert np.all(
        np.abs(np.log(p[normal]) - log_p[normal]) <= SOFTMAX * eps + LOG_SOFTMAX * eps * np.abs(log_p[normal]) + 1e-15
    )
    assert np.all(log_p <= 0)


@given(rows(finite))
def test_log_softmax_is_x_minus_logsumexp(x):
    total = np.float64(smoothmax.logsumexp(x))
    with np.errstate(over="ignore"):
        wanted = (x.astype(np.float64) - total).astype(x.dtype)
        error = slack(x, LOG_SOFTMAX + LOGSUMEXP + 1, np.abs(x).max() + abs(total) + np.log(x.size))
    got = smoothmax.log_softmax(x)
    finite_ = np.isfinite(got) & np.isfinite(wanted)
    assert np.all(np.abs(got[finite_].astype(np.float64) - wanted[finite_]) <= 2 * error)


@given(rows(moderate))
def test_softmax_is_the_slope_of_logsumexp(x):
    x = x.astype(np.float64)
    h = 1e-4
    for i in range(min(x.size, 5)):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        slope = (smoothmax.logsumexp(up) - smoothmax.logsumexp(down)) / (2 * h)
        assert slope == pytest.approx(smoothmax.softmax(x)[i], abs=1e-8)


@given(rows(finite))
def test_one_more_minus_infinity_changes_nothing_else(x):
    more = np.append(x, x.dtype.type(-np.inf))
    for name in ("logsumexp", "softmax", "log_softmax"):
        assert np.all(ulp_error(getattr(smoothmax, name)(more), reference(name, more)) <= bound(name, x.size))


@given(rows(moderate), st.integers(0, 150))
def test_logsumexp_of_parts_is_that_of_the_whole(x, cut):
    cut = cut % (x.size + 1)
    parts = np.array([smoothmax.logsumexp(x[:cut]), smoothmax.logsumexp(x[cut:])], x.dtype)
    error = slack(x, 3 * LOGSUMEXP, np.abs(x).max() + np.log(x.size))
    assert abs(np.float64(smoothmax.logsumexp(parts)) - np.float64(smoothmax.logsumexp(x))) <= error


@given(arrays(finite), st.data())
def test_a_tuple_of_axes_is_one_axis_after_a_reshape(x, data):
    axes = data.draw(hnp.valid_tuple_axes(x.ndim))
    axes = tuple(i % x.ndim for i in axes)
    kept = [i for i in range(x.ndim) if i not in axes]
    flat = x.transpose([*kept, *axes]).reshape([*(x.shape[i] for i in kept), -1])
    for name in ("logsumexp", "softmax", "log_softmax"):
        got = np.asarray(getattr(smoothmax, name)(x, axis=axes))
        if name != "logsumexp":
            got = got.transpose([*kept, *axes]).reshape(flat.shape)
        exact = reference(name, flat, axis=-1)
        assert np.all(ulp_error(got, exact) <= bound(name, x.size))
        assert np.all(ulp_error(getattr(smoothmax, name)(flat, axis=-1), exact) <= bound(name, x.size))
