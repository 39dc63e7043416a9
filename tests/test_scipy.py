"""SciPy's calls, with SciPy's results: its documented examples, and a sweep of shapes and axes."""

import itertools

import numpy as np
import pytest
import scipy.special

import smoothmax

# SciPy's errors are hundreds of ULP where elements are far apart; on data as tame as this they are a few.
RTOL = {np.float64: 4e-15, np.float32: 3e-6}


def test_examples_of_logsumexp():
    """From the documentation of scipy.special.logsumexp."""
    a = np.arange(10.0)
    assert smoothmax.logsumexp(a) == pytest.approx(9.4586297444267107, rel=2e-16)
    assert smoothmax.logsumexp(a) == pytest.approx(np.log(np.sum(np.exp(a))), rel=1e-15)


def test_examples_of_softmax():
    """From the documentation of scipy.special.softmax."""
    x = np.array([[1, 0.5, 0.2, 3], [1, -1, 7, 3], [2, 12, 13, 3]])
    np.testing.assert_allclose(smoothmax.softmax(x), scipy.special.softmax(x), RTOL[np.float64])
    assert smoothmax.softmax(x).sum() == pytest.approx(1, rel=1e-15)
    for axis in (0, 1):
        m = smoothmax.softmax(x, axis=axis)
        np.testing.assert_allclose(m, scipy.special.softmax(x, axis=axis), RTOL[np.float64])
        np.testing.assert_allclose(m.sum(axis=axis), 1, 1e-15)
    printed = [[0.211942, 0.00001013, 0.00000275, 0.333333], [0.211942, 0.00000226, 0.00247262, 0.333333],
               [0.576117, 0.99998761, 0.99752463, 0.333333]]  # fmt: skip
    np.testing.assert_allclose(smoothmax.softmax(x, axis=0), printed, atol=6e-7)


def test_examples_of_log_softmax():
    """From the documentation of scipy.special.log_softmax."""
    np.testing.assert_array_equal(smoothmax.log_softmax(np.array([1000.0, 1.0])), [0, -999])


@pytest.mark.parametrize("ndim", range(5))
def test_shapes_and_axes(name, function, dtype, ndim):
    """But for keepdims of a scalar: SciPy makes it (1,), np.sum leaves it ()."""
    theirs = getattr(scipy.special, name)
    rng = np.random.default_rng(ndim)
    for _ in range(6):
        x = np.asarray(rng.standard_normal(rng.integers(1, 7, ndim))).astype(dtype)
        for axis in (None, *range(-ndim, ndim), *itertools.combinations(range(ndim), 2)):
            for arguments in [{}] if name != "logsumexp" or ndim == 0 else [{}, {"keepdims": True}]:
                got, wanted = function(x, axis=axis, **arguments), theirs(x, axis=axis, **arguments)
                assert np.shape(got) == np.shape(wanted)
                assert got.dtype == wanted.dtype == dtype
                np.testing.assert_allclose(got, wanted, RTOL[dtype], RTOL[dtype])


def test_positional_arguments_are_those_of_scipy(dtype):
    x = np.random.default_rng(3).standard_normal((4, 5)).astype(dtype)
    got, wanted = smoothmax.logsumexp(x, 1, None, True, False), scipy.special.logsumexp(x, 1, None, True, False)
    assert got.shape == wanted.shape == (4, 1)
    np.testing.assert_allclose(got, wanted, RTOL[dtype])
    for name in ("softmax", "log_softmax"):
        np.testing.assert_allclose(
            getattr(smoothmax, name)(x, 0), getattr(scipy.special, name)(x, 0), RTOL[dtype], RTOL[dtype]
        )


@pytest.mark.parametrize(
    "row",
    [
        [np.inf, 0],
        [np.inf, np.inf],
        [-np.inf, 0],
        [np.nan, 0],
        [np.nan, np.inf],
        [-np.inf, -np.inf],
        [np.inf, -np.inf],
        [np.inf],
    ],
    ids=str,
)
def test_special_values_are_those_of_scipy(name, function, dtype, row):
    x = np.array(row, dtype)
    with np.errstate(all="ignore"):
        wanted = getattr(scipy.special, name)(x)
    if name == "log_softmax" and np.inf in row and np.nan not in row:
        wanted = np.where(x == np.inf, np.nan, -np.inf)  # the contract's, which SciPy's version decides otherwise
    if name == "log_softmax" and np.all(x == -np.inf):
        wanted = np.full(2, np.nan)
    np.testing.assert_allclose(function(x), wanted, RTOL[dtype])
