"""Calls of SciPy have the results of SciPy: documented examples, the topics of SciPy's own tests, and sweeps.

If results differ, both are in the table of differences in docs/porting.md.
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.special

import smoothmax
from smoothmax import log_softmax, logsumexp, softmax

INF, NAN = np.inf, np.nan
PORTING = Path(__file__).parents[1] / "docs" / "porting.md"

# SciPy is off by hundreds of ULP where elements are far apart, but only by a few on data like these.
RTOL = {np.float64: 4e-15, np.float32: 3e-6}


def test_documented_examples_of_logsumexp_hold():
    """From the documentation of scipy.special.logsumexp."""
    a = np.arange(10.0)
    assert smoothmax.logsumexp(a) == pytest.approx(9.4586297444267107, rel=2e-16)
    assert smoothmax.logsumexp(a) == pytest.approx(np.log(np.sum(np.exp(a))), rel=1e-15)


def test_documented_examples_of_softmax_hold():
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


def test_documented_examples_of_log_softmax_hold():
    """From the documentation of scipy.special.log_softmax."""
    np.testing.assert_array_equal(smoothmax.log_softmax(np.array([1000.0, 1.0])), [0, -999])


def test_a_mask_may_be_given_as_weights_of_0():
    """From the documentation of scipy.special.logsumexp: the mask as weights of 0."""
    masked = np.ma.array([np.log(2), 2, np.log(3)], mask=[False, True, False])
    assert logsumexp(masked.data, b=(~masked.mask).astype(int)) == pytest.approx(np.log(5), rel=1e-15)
    assert logsumexp(masked.data, b=~masked.mask) == pytest.approx(np.log(5), rel=1e-15)


# The topics of SciPy's tests, with other numbers ----------------------------------------------------------------------


def test_results_are_those_of_the_plain_formula_where_nothing_overflows(dtype):
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-40, 40, (2, 300)).astype(dtype)
    np.testing.assert_allclose(logsumexp(a), np.log(np.sum(np.exp(a))), RTOL[dtype])
    np.testing.assert_allclose(logsumexp(a, b=np.abs(b)), np.log(np.sum(np.abs(b) * np.exp(a))), RTOL[dtype])


def test_elements_that_overflow_in_the_plain_formula_are_right():
    assert logsumexp([2000.0, 2000.0]) == pytest.approx(2000 + np.log(2), rel=1e-15)
    assert logsumexp(np.full(700, 30000)) == pytest.approx(30000 + np.log(700), rel=1e-15)
    assert logsumexp([2000, 2000], b=[0.3, 0.3]) == pytest.approx(2000 + np.log(0.6), rel=1e-15)
    a = np.array([[3e12, 1e-12], [-3e12, -INF]])
    np.testing.assert_array_equal(logsumexp(a, axis=-1), [3e12, -3e12])
    np.testing.assert_array_equal(logsumexp(a, axis=-1, keepdims=True), [[3e12], [-3e12]])
    assert logsumexp(a, axis=(-1, -2)) == logsumexp(a, axis=(0, 1)) == 3e12


def test_tiny_probabilities_keep_their_digits():
    p, b = np.full((2, 200_000), 1e-42), np.linspace(2, 900, 200_000)
    for axis in (None, 0, 1):
        np.testing.assert_allclose(np.exp(logsumexp(np.log(p), axis=axis)), p.sum(axis=axis), 1e-13)
        np.testing.assert_allclose(np.exp(logsumexp(np.log(p), axis=axis, b=b)), (b * p).sum(axis=axis), 1e-13)


def test_value_and_sign_have_the_shape_of_the_reduction():
    a = np.ones((2, 1, 5, 3))
    for axis, shape in ((2, (2, 1, 3)), ((0, 2), (1, 3)), (None, ())):
        value, sign = logsumexp(a, axis=axis, b=np.ones_like(a), return_sign=True)
        assert value.shape == sign.shape == logsumexp(a, axis=axis, b=np.ones_like(a)).shape == shape
    assert logsumexp(np.zeros((2, 1, 3, 1)), b=np.ones((4, 1, 6)), axis=()).shape == (2, 4, 3, 6)


def test_the_sign_is_that_of_the_weighted_sum():
    assert logsumexp([2, 2, 2], b=[1, -1, -1], return_sign=True) == (pytest.approx(2.0, rel=1e-15), -1.0)
    assert logsumexp([2, 2], b=[1, -1], return_sign=True) == (-INF, 0.0)
    assert logsumexp([INF], return_sign=True) == (INF, 1.0)
    assert logsumexp([INF], b=[-1.0], return_sign=True) == (INF, -1.0)
    assert logsumexp([3.0, 20000.0], b=[1, 0]) == 3.0
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 500, 3))
    value, sign = logsumexp(a, axis=1, b=b, return_sign=True)
    assert {-1.0, 1.0} == set(sign)
    # The value does not depend on return_sign or on which term is the largest, but without it a negative sum is nan.
    np.testing.assert_array_equal(logsumexp(a, axis=1, b=b), np.where(sign < 0, NAN, value))


def test_two_elements_give_the_result_of_logaddexp(dtype):
    a = np.array([0, -30], dtype)
    np.testing.assert_allclose(logsumexp(a), np.logaddexp(*a), RTOL[dtype])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_results_are_those_of_the_plain_formula(dtype):
    rng = np.random.default_rng(3)
    z = (rng.uniform(1, 40, (20, 90)) + 1j * rng.uniform(-40, 40, (20, 90))).astype(dtype)
    total, rtol = np.sum(np.exp(z.astype(complex)), axis=1), 3e4 * np.finfo(dtype).eps
    result = logsumexp(z, axis=1)
    assert np.all(np.abs(result.imag) <= np.pi)
    assert result.imag.min() < -2 < 2 < result.imag.max()
    np.testing.assert_allclose(result, np.log(total), rtol)
    value, sign = logsumexp(z, axis=1, return_sign=True)
    np.testing.assert_allclose(value, np.log(np.abs(total)), rtol)
    np.testing.assert_allclose(sign, total / np.abs(total), rtol)


def test_a_small_imaginary_part_keeps_its_digits():
    result = logsumexp(np.array([1, 1 + 4e-18j]))
    assert result.real == pytest.approx(1 + np.log(2), rel=1e-15)
    assert result.imag == pytest.approx(2e-18, rel=1e-15)


def test_arguments_are_not_changed(name, function):
    a, b, where = np.array([5.0, 4.0]), np.array([3.0, 0.0]), np.array([True, False])
    function(a, where=where)
    if name == "logsumexp":
        function(a, b=b, where=where, return_sign=True)
    assert [a.tolist(), b.tolist(), where.tolist()] == [[5, 4], [3, 0], [True, False]]


def test_numbers_lists_and_integers_give_the_results_of_arrays(function):
    for number in (2, -7.5, 1 + 2j):
        assert function(number) == function(np.array(number)) == function([number])
    for rows in ([3, 1, -1], [[2000, 0, 0, 0], [0, 1, 2, 3]]):
        np.testing.assert_array_equal(function(rows), function(np.array(rows, float)))


def test_rows_of_known_results_are_right(dtype):
    """Results by hand: probabilities of 1/4 and 3/4, and elements far below the maximum."""
    x = np.log(np.array([[1, 3], [3, 1]], dtype))
    for shift in (0, 90):
        for axis in (0, 1):
            np.testing.assert_allclose(softmax(x + dtype(shift), axis=axis), [[1 / 4, 3 / 4], [3 / 4, 1 / 4]], 1e-5)
        np.testing.assert_allclose(softmax(x + dtype(shift)), [[1 / 8, 3 / 8], [3 / 8, 1 / 8]], 1e-5)
        np.testing.assert_allclose(log_softmax(x + dtype(shift)), np.log([[1 / 8, 3 / 8], [3 / 8, 1 / 8]]), 1e-5)
    far = np.array([[2000, 0], [2000, 0]], dtype)
    np.testing.assert_array_equal(softmax(far, axis=1), [[1, 0], [1, 0]])
    np.testing.assert_array_equal(softmax(far, axis=0), np.full((2, 2), 0.5))
    np.testing.assert_array_equal(log_softmax(far, axis=1), [[0, -2000], [0, -2000]])
    np.testing.assert_allclose(log_softmax(far, axis=0), np.full((2, 2), -np.log(2)), RTOL[dtype])
    halves = far.reshape(2, 1, 2)
    np.testing.assert_array_equal(softmax(halves, axis=(1, 2)), [[[1, 0]], [[1, 0]]])
    np.testing.assert_array_equal(log_softmax(halves, axis=(1, 2)), [[[0, -2000]], [[0, -2000]]])


# Sweeps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", range(5))
def test_shapes_and_axes_are_those_of_scipy(name, function, dtype, ndim):
    """Except for keepdims of a scalar, whose shape is (1,) in SciPy and () in np.sum."""
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


def test_special_values_are_those_of_scipy(name, function):
    numbers = [0.0, -2.0, 800.0, INF, -INF, NAN]
    for x in itertools.chain.from_iterable(itertools.product(numbers, repeat=n) for n in (1, 2, 3)):
        with np.errstate(all="ignore"):
            wanted = getattr(scipy.special, name)(np.array(x))
        np.testing.assert_allclose(function(np.array(x)), wanted, RTOL[np.float64])


def test_special_values_with_weights_are_those_of_scipy():
    """Except for weights of 0 and for sums that cancel, which SciPy gets wrong: see the first lines of the table."""
    numbers, weights = [0.0, -2.0, 3.0, INF, -INF, NAN], [1.0, -1.0, 2.0, -0.5, INF, NAN]
    compared = 0
    for n in (1, 2):
        for a, b in itertools.product(itertools.product(numbers, repeat=n), itertools.product(weights, repeat=n)):
            if a[0] == a[-1] and b[0] == -b[-1]:
                continue
            with np.errstate(all="ignore"):
                wanted = scipy.special.logsumexp(np.array(a), b=np.array(b), return_sign=True)
            got = logsumexp(np.array(a), b=np.array(b), return_sign=True)
            np.testing.assert_allclose(got, wanted, RTOL[np.float64], err_msg=f"{a}, b={b}")
            np.testing.assert_array_equal(logsumexp(a, b=b), NAN if wanted[1] < 0 else got[0])
            compared += 1
    assert compared > 1000


def test_types_of_results_are_those_of_scipy(name, function):
    """Except for small integers, whose softmax and log_softmax SciPy computes in float16 or float32."""
    kinds = np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + ("?" if name == "logsumexp" else "")
    small = "" if name == "logsumexp" else "bBhH"
    for kind in kinds:
        x = np.array([1, 0, 1]).astype(kind)
        with np.errstate(all="ignore"):
            wanted = np.float64 if kind in small else getattr(scipy.special, name)(x).dtype
        assert function(x).dtype == wanted
        assert function(x[0]).dtype == wanted


def test_types_of_results_with_weights_are_those_of_scipy():
    kinds = "?" + np.typecodes["AllInteger"] + np.typecodes["AllFloat"]
    arrays = [np.ones(3, kind) for kind in kinds] + [2, 2.5, 1j, True]
    for a, b in itertools.product(arrays, repeat=2):
        for one, other in ((a, b), (a if np.isscalar(a) else a[0], b), (a, b if np.isscalar(b) else b[0])):
            if isinstance(other, (bool, np.bool_)):  # refused: somebody meant keepdims
                continue
            got = logsumexp(one, b=other, return_sign=True)
            wanted = scipy.special.logsumexp(one, b=other, return_sign=True)
            assert [part.dtype for part in got] == [part.dtype for part in wanted], (one, other)


# The table of differences ---------------------------------------------------------------------------------------------


def differences():
    """The call, the result of SciPy and that of smoothmax, from each line of the table that begins with a call."""
    line = r"^\| `((?:logsumexp|softmax|log_softmax)\(.*?)`.*? \| (.+?) \| (.+?) \|$"
    return re.findall(line, PORTING.read_text(encoding="utf-8"), re.M)


def shown(call, module):
    names = {name: getattr(module, name) for name in ("logsumexp", "softmax", "log_softmax")}
    try:
        with np.errstate(all="ignore"):
            result = eval(call, {**vars(np), **names})
    except Exception as error:
        return type(error).__name__
    if isinstance(result, tuple):
        return f"({', '.join(np.array2string(np.asarray(part), precision=3) for part in result)})"
    return str(result) if isinstance(result, np.dtype) else np.array2string(np.asarray(result), precision=3)


def test_the_table_of_differences_is_found():
    assert len(differences()) >= 15


@pytest.mark.parametrize(("call", "theirs", "ours"), differences(), ids=lambda text: text.replace("/", " "))
def test_a_line_of_the_table_holds_for_both_libraries(call, theirs, ours):
    assert shown(call, smoothmax) == ours
    if scipy.__version__.startswith("1.17."):
        assert shown(call, scipy.special) == theirs
