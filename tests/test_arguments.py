"""Unusual arguments: bytes of bools, the range of weights, subclasses, sizes, arguments that run code.

Most of these were found from outside, as a wrong result, a warning or a crash.
"""

import math
import re

import numpy as np
import pytest
from advice import not_numbers

from smoothmax import (
    LogSumExp,
    categorical,
    cross_entropy,
    cross_entropy_and_grad,
    log_expit,
    log_prob,
    log_softmax,
    log_softmax_vjp,
    logaddexp,
    logcumsumexp,
    logmatmulexp,
    logmeanexp,
    logsumexp,
    logsumexp_and_softmax,
    nll_loss,
    segment_logsumexp,
    segment_softmax,
    softmax,
    softmax_vjp,
    top_log_probs,
)


def raises(error, text):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


# Bools ---------------------------------------------------------------------------------------------------------------

LENGTHS = (3, 40, 5000, 40000)
LAYOUTS = ("one row", "rows", "columns", "few columns", "strided")


def odd_bools(shape, seed=0):
    """Bools, and an equal array in which True is any byte except 0."""
    random = np.random.default_rng(seed)
    honest = random.random(shape) < 0.6
    honest.flat[0] = True
    return honest, np.where(honest, random.integers(1, 256, shape), 0).astype(np.uint8).view(bool)


def laid_out(layout, n):
    """A shape of n elements along an axis, that axis, and which elements of a larger array are taken."""
    whole = np.s_[...]
    return {
        "one row": ((n,), 0, whole),
        "rows": ((7, n), 1, whole),
        "columns": ((n, 70), 0, whole),
        "few columns": ((n, 3), 0, whole),
        "strided": ((5, 2 * n), 1, np.s_[:, ::2]),
    }[layout]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.complex128])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n", LENGTHS)
def test_a_mask_is_true_whatever_its_byte(n, layout, dtype):
    shape, axis, part = laid_out(layout, n)
    if n > 5000 and (layout == "columns" or dtype not in (np.float32, np.float64)):
        pytest.skip("too large for what it shows")
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)[part]
    honest, odd = (mask[part] for mask in odd_bools(shape))
    for function in (logsumexp, softmax, log_softmax):
        np.testing.assert_array_equal(function(x, axis=axis, where=odd), function(x, axis=axis, where=honest))


def test_other_masks_are_true_whatever_their_byte():
    x, weights = np.random.default_rng(1).normal(size=(2, 6, 50))
    honest, odd = odd_bools((6, 50))
    np.testing.assert_array_equal(logsumexp(x, 1, weights, where=odd), logsumexp(x, 1, weights, where=honest))
    for got, expected in zip(
        logsumexp_and_softmax(x, 0, where=odd), logsumexp_and_softmax(x, 0, where=honest), strict=True
    ):
        np.testing.assert_array_equal(got, expected)
    streams = LogSumExp(axis=1), LogSumExp(axis=1)
    for stream, mask in zip(streams, (odd, honest), strict=True):
        stream.update(x, where=mask)
    np.testing.assert_array_equal(*(stream.result() for stream in streams))


@pytest.mark.parametrize("dtype", [None, np.float16, np.float32, np.longdouble])
@pytest.mark.parametrize("shape", [(7,), (50, 30), (3000,)])
def test_elements_and_weights_are_0_or_1_whatever_their_byte(shape, dtype):
    honest, odd = odd_bools(shape)
    assert logsumexp(np.arange(3.0), b=np.array([255, 0, 255], np.uint8).view(bool)) == logsumexp([0.0, 2.0])
    for function in (logsumexp, softmax, log_softmax):
        np.testing.assert_array_equal(function(odd, -1, dtype=dtype), function(honest, -1, dtype=dtype))
    x = np.linspace(0, 1, honest.size).reshape(shape)
    np.testing.assert_array_equal(logsumexp(x, -1, odd, dtype=dtype), logsumexp(x, -1, honest, dtype=dtype))
    np.testing.assert_array_equal(logsumexp(x + 1j, -1, odd), logsumexp(x + 1j, -1, honest))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_targets_weights_and_gradients_are_0_or_1_whatever_their_byte(dtype):
    honest, odd = odd_bools((9, 20))
    x = np.random.default_rng(2).normal(size=(9, 20)).astype(dtype)
    classes = np.arange(9)
    for loss in (cross_entropy, nll_loss, lambda *args, **named: cross_entropy_and_grad(*args, **named)[1]):
        np.testing.assert_array_equal(loss(x, odd), loss(x, honest))
        np.testing.assert_array_equal(loss(x, odd, label_smoothing=0.1), loss(x, honest, label_smoothing=0.1))
        np.testing.assert_array_equal(loss(x, classes, weight=odd[0]), loss(x, classes, weight=honest[0]))
        np.testing.assert_array_equal(loss(odd, classes), loss(honest, classes))
    for product in (softmax_vjp, log_softmax_vjp):
        np.testing.assert_array_equal(product(odd, x, 1), product(honest, x, 1))
        np.testing.assert_array_equal(product(x, odd, 1), product(x, honest, 1))


def test_results_of_other_functions_are_those_of_0_and_1_whatever_the_byte():
    honest, odd = odd_bools((9, 200))
    x = np.random.default_rng(2).normal(size=(9, 200))
    for call in (
        lambda b: logmeanexp(b, 1),
        lambda b: logmeanexp(x, 1, b),
        lambda b: logmeanexp(x, 1, where=b),
        lambda b: softmax(x, 1, add=b),
        lambda b: logcumsumexp(b, 1),
        lambda b: segment_softmax(b, [0, 3, 200], 1),
        lambda b: top_log_probs(b, 7)[0],
        lambda b: categorical(b, rng=1),
        lambda b: logaddexp(b, x),
        lambda b: log_expit(b),
        lambda b: logmatmulexp(b, b.T, exact=True),
        lambda b: LogSumExp(1).update(b, b).result(),
    ):
        np.testing.assert_array_equal(call(odd), call(honest))


# The range of weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("b", [1e-60, 1e300, 10**250, -1e-60, 5e-324, 0.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_number_as_a_weight_keeps_its_range(dtype, b):
    a = np.array([100, 200], dtype)
    expected = 200 + math.log(b) if b > 0 else -math.inf if b == 0 else math.nan
    for arguments in ({}, {"axis": 0}, {"out": np.empty((), dtype)}, {"keepdims": True}):
        got = logsumexp(a, b=b, **arguments)
        assert got.dtype == dtype
        np.testing.assert_allclose(np.ravel(got)[0], expected, rtol=np.finfo(dtype).eps)
    size, sign = logsumexp(a, b=b, return_sign=True)
    np.testing.assert_allclose(size, 200 + math.log(abs(b)) if b else -math.inf, rtol=np.finfo(dtype).eps)
    assert (size.dtype, sign.dtype, sign) == (dtype, dtype, np.sign(b))


def test_the_issue_of_weights_and_their_range():
    a = np.float32([100, 200])
    assert logsumexp(a, b=1e-60) == pytest.approx(61.845, abs=1e-3)
    assert logsumexp(a - 200, b=1e300) == pytest.approx(690.776, abs=1e-3)
    assert nll_loss(np.float32([[-1, -2], [-3, -1]]), [0, 1], weight=[1e-45] * 2) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("b", [1e-60, 1e300, 5e-324, -1e-200])
@pytest.mark.parametrize("shape", [(2,), (5000,), (4, 5000), (5000, 70)])
def test_arrays_of_weights_keep_their_range_in_a_narrower_dtype(shape, b, dtype):
    a = np.zeros(shape)
    expected = math.log(shape[0]) + math.log(abs(b))
    for weights in (np.full(shape, b), np.full(shape[1:], b), np.float64(b), np.full(shape, b).T.copy().T):
        size, sign = logsumexp(a, axis=0, b=weights, return_sign=True, dtype=dtype)
        assert (size.dtype, sign.dtype) == (dtype, dtype)
        np.testing.assert_allclose(size, expected, rtol=np.finfo(dtype).eps)
        assert (sign == np.sign(b)).all()


def test_longdouble_weights_keep_their_range_in_every_dtype():
    if np.finfo(np.longdouble).maxexp <= 1024:
        pytest.skip("longdouble is double here")
    b = np.longdouble("1e-4000")
    for dtype in (np.float16, np.float32, np.float64):
        got = logsumexp(np.zeros(2), b=np.array([b, b]), dtype=dtype)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, math.log(2) - 4000 * math.log(10), rtol=np.finfo(dtype).eps)
        out = np.empty(())  # is not rounded to a narrower dtype before
        assert logsumexp(np.zeros(2), b=np.array([b, b]), dtype=dtype, out=out) is out
        np.testing.assert_allclose(out, math.log(2) - 4000 * math.log(10), rtol=1e-15)


def test_a_number_as_a_weight_of_complex64_keeps_its_range():
    got = logsumexp(np.array([0, 1j], np.complex64), b=1e-60)
    assert got.dtype == np.complex64
    assert got == pytest.approx(np.log(1 + np.exp(1j)) - 60 * math.log(10), rel=1e-6)


def test_a_float32_result_of_weights_that_fit_is_computed_in_float32():
    a = np.linspace(-3, 3, 100, dtype=np.float32)
    for b in (0.5, 3, 2.0**-126, 3e38):
        assert logsumexp(a, b=b) == logsumexp(a, b=np.float32(b))


@pytest.mark.parametrize("factor", [1e-300, 1e-45, 1e-20, 1e20, 1e45, 1e250])
@pytest.mark.parametrize("smoothing", [0, 0.25])
@pytest.mark.parametrize("probable", [False, True])
def test_class_weights_keep_their_range(factor, smoothing, probable):
    random = np.random.default_rng(5)
    x, weight = random.normal(size=(6, 4)).astype(np.float32), random.random(4) + 0.5
    targets = random.dirichlet(np.ones(4), 6).astype(np.float32) if probable else random.integers(0, 4, 6)
    for loss in (cross_entropy, nll_loss):
        expected = loss(x.astype(float), targets, weight=weight, label_smoothing=smoothing)
        got = loss(x, targets, weight=weight * factor, label_smoothing=smoothing)
        if probable:  # its mean is not divided by weights
            with np.errstate(all="ignore"):
                expected = np.float32(expected * factor)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-45)
    if not probable:
        _, expected = cross_entropy_and_grad(x.astype(float), targets, weight=weight, label_smoothing=smoothing)
        _, got = cross_entropy_and_grad(x, targets, weight=weight * factor, label_smoothing=smoothing)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def test_probabilities_keep_their_range():
    x, p = np.float32([[0, -2], [0, -3]]), np.array([[0, 1e-60], [0, 1e-60]])
    assert nll_loss(x, p, weight=[1e60, 1e60]) == pytest.approx(2.5)
    assert nll_loss(x, p * 1e120, weight=[1e-60, 1e-60]) == pytest.approx(2.5)
    _, gradient = cross_entropy_and_grad(np.zeros((1, 2), np.float32), p[:1], weight=[1e60, 1e60])
    np.testing.assert_allclose(gradient, [[0.5, -0.5]])


def test_cotangents_keep_their_range():
    p, g = np.float32([0.5, 0.5]), np.array([1e-60, 0])
    np.testing.assert_allclose(softmax_vjp(g, p), [0.25e-60, -0.25e-60])
    np.testing.assert_allclose(log_softmax_vjp(g * 1e200, np.log(p)), [0.5e140, -0.5e140], rtol=1e-6)


# Integers beyond int64 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**70, -(2**70), 2**64 - 1, 10**300])
def test_an_integer_of_any_size_is_a_number(number):
    assert logsumexp(number) == float(number)
    assert softmax(number) == 1
    assert log_softmax([0.0], where=True) == 0
    assert logsumexp(0.0, b=abs(number)) == math.log(abs(number))
    assert logsumexp(np.float32(0), b=abs(number)) == np.float32(math.log(abs(number)))


def test_an_integer_beyond_float64():
    with raises(ValueError, f"b must be in the range of float64, got {10**400}"):
        logsumexp([0.0], b=10**400)
    with raises(ValueError, "x must be in the range of float64, got an integer of 16610 bits"):
        softmax(10**5000)
    with raises(TypeError, not_numbers("b", object)):
        logsumexp([0.0, 0], b=[2**70, 1])


def test_label_smoothing_out_of_range_is_refused():
    for smoothing in (10**400, -(10**400), 10**5000, 1.1, math.nan):
        shown = "an integer of 16610 bits" if smoothing == 10**5000 else repr(smoothing)
        for loss in (cross_entropy, cross_entropy_and_grad, nll_loss):
            with raises(ValueError, f"label_smoothing must be between 0 and 1, got {shown}"):
                loss(np.zeros((2, 3)), [0, 1], label_smoothing=smoothing)


def test_an_axis_of_thousands_of_digits():
    with raises(np.exceptions.AxisError, "axis an integer of 16610 bits is out of bounds for array of dimension 1"):
        softmax([0.0], axis=10**5000)


# Subclasses ----------------------------------------------------------------------------------------------------------


class InUnits(np.ndarray):
    """An array whose numbers mean nothing without its unit, as in astropy, unyt and pint."""

    def __array_ufunc__(self, ufunc, method, *inputs, **named):
        raise AssertionError("NumPy computes with it")


class WithMask(np.ndarray):
    """An array with numbers that do not count."""

    def __array_function__(self, function, types, args, named):
        raise AssertionError("NumPy computes with it")


class WithInfo(np.ndarray):
    """A subclass with an attribute, as in NumPy's own documentation."""

    def __array_finalize__(self, other):
        self.info = getattr(other, "info", None)


MEANING = (
    "whose arrays mean more than their numbers: pass the numbers, as an ndarray in the units that are meant, and a "
)


@pytest.mark.parametrize("subclass", [InUnits, WithMask])
def test_a_subclass_with_a_meaning_of_its_own_is_refused(subclass):
    odd, x = np.ones((3, 3)).view(subclass), np.ones((3, 3))
    calls = {
        "a": [lambda: logsumexp(odd), lambda: logsumexp_and_softmax(odd)],
        "b": [lambda: logsumexp(x, b=odd)],
        "x": [lambda: softmax(odd), lambda: log_softmax(odd)],
        "where": [lambda: softmax(x, where=np.ones(3, bool).view(subclass))],
        "out": [lambda: softmax(x, out=odd), lambda: logsumexp(x, 0, out=odd[0])],
        "g": [lambda: softmax_vjp(odd, x)],
        "p": [lambda: softmax_vjp(x, odd)],
        "logp": [lambda: log_softmax_vjp(x, odd)],
        "logits": [lambda: cross_entropy(odd, [0, 1, 2]), lambda: log_prob(odd, [0, 1, 2])],
        "targets": [lambda: cross_entropy(x, odd)],
        "weight": [lambda: cross_entropy(x, [0, 1, 2], weight=odd[0])],
        "log_probs": [lambda: nll_loss(odd, [0, 1, 2])],
    }
    for name, functions in calls.items():
        for function in functions:
            with raises(TypeError, f"{name} must not be of {subclass.__name__}, {MEANING}mask as where="):
                function()


def test_quantities_and_masked_arrays_of_astropy():
    units = pytest.importorskip("astropy.units")
    masked = pytest.importorskip("astropy.utils.masked")
    for array in ([100, 200] * units.percent, masked.Masked([1.0, 2.0], mask=[True, False])):
        with pytest.raises(TypeError, match=r"^a must not be of .*, whose arrays mean more than their numbers: "):
            logsumexp(array)


def test_other_subclasses_are_their_numbers(tmp_path):
    x = np.random.default_rng(0).normal(size=(4, 5))
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=x.shape)
    mapped[:] = x
    for array in (mapped, x.view(np.matrix), x.view(WithInfo)):
        for function in (logsumexp, softmax, log_softmax):
            got = function(array, axis=1)
            assert type(got) is np.ndarray
            np.testing.assert_array_equal(got, function(x, axis=1))
        out = np.empty_like(array)
        assert softmax(x, out=out) is out
        np.testing.assert_array_equal(out, softmax(x))
    assert cross_entropy(mapped, [0, 1, 2, 3]) == cross_entropy(x, [0, 1, 2, 3])


# Warnings ------------------------------------------------------------------------------------------------------------


def test_nothing_warns_whatever_errstate_says():
    with np.errstate(all="raise"):
        if np.finfo(np.longdouble).maxexp > 1024:
            huge = np.array([np.longdouble("1e40"), 0])
            log_softmax(huge, out=np.empty(2, np.float32))
            logsumexp(huge * huge, out=np.empty((), np.float16))
            logsumexp(np.zeros(2), b=np.array([np.longdouble("1e-4000")] * 2), dtype=np.float32)
        softmax(np.array([0, 1e40]), dtype=np.longdouble, out=np.empty(2, np.float16))
        logsumexp(np.array([1e300, 1]) + 1j, out=np.empty((), np.complex64))
        for loss in (cross_entropy, cross_entropy_and_grad, nll_loss):
            for reduction in ("none", "sum", "mean"):
                named = {"reduction": reduction}
                loss(np.zeros((2, 2), np.float32), [0, 1], weight=[1e300, 1], label_smoothing=0.1, **named)
                loss(np.zeros((2, 2), np.float16), [0, 1], weight=[1e300, 1e-300], **named)
                loss(np.full((2, 2), 1e300), [[1e300, 1], [0, 1]], **named)
                loss(np.zeros((2, 2)), [0, 1], ignore_index=0, weight=[1, 0], **named)
                loss(np.zeros((0, 2)), np.zeros(0, int), **named)


# Targets -------------------------------------------------------------------------------------------------------------


def test_a_single_unsigned_target_has_no_axis():
    for dtype in ("u1", "u4", "u8", ">u8"):
        target = np.array(1, dtype)
        assert log_prob([1.0, 3.0], target) == log_prob([1.0, 3.0], 1)
        assert cross_entropy([1.0, 3.0], target, ignore_index=1, reduction="sum") == 0


@pytest.mark.parametrize("loss", [cross_entropy, nll_loss])
def test_unsigned_targets_are_ignored_by_their_own_value(loss):
    x, targets = np.arange(6.0).reshape(2, 3), np.array([2**64 - 1, 1], np.uint64)
    assert loss(x, targets, ignore_index=2**64 - 1) == loss(x[1:], [1])
    for index in (None, 2**63 - 1, -1, 2**64, -(2**63), 2**70, 1):
        with raises(IndexError, f"targets must be in range(3), the number of classes, got {2**64 - 1} at (0,)"):
            loss(x, targets, ignore_index=index)
    assert loss(x, np.array([2**63 - 1, 1], np.uint64), ignore_index=2**63 - 1) == loss(x[1:], [1])
    assert loss(x, np.array([-(2**63), 1]), ignore_index=-(2**63)) == loss(x[1:], [1])
    assert loss(x, np.array([255, 1], np.uint8), ignore_index=255) == loss(x[1:], [1])
    np.testing.assert_array_equal(targets, [2**64 - 1, 1])


def unaligned(array):
    array = np.asarray(array)
    result = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    result[...] = array
    assert not result.flags.aligned
    return result


@pytest.mark.parametrize("dtype", [np.int64, ">i8", np.uint64, np.int32])
def test_targets_and_class_weights_of_any_alignment(dtype):
    x = np.random.default_rng(3).normal(size=(6, 5))
    targets, weight = np.array([0, 4, 1, 1, 2, 3], dtype), np.linspace(0.5, 1, 5)
    for ignored in (None, 1):
        got = cross_entropy_and_grad(x, unaligned(targets), weight=unaligned(weight), ignore_index=ignored)
        expected = cross_entropy_and_grad(x, targets, weight=weight, ignore_index=ignored)
        assert got[0] == expected[0]
        np.testing.assert_array_equal(got[1], expected[1])
    np.testing.assert_array_equal(log_prob(x, unaligned(targets)), log_prob(x, targets))


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.longdouble])
def test_a_broadcast_size_that_overflows(dtype):
    n = 2**33 if np.intp().itemsize == 8 else 2**17
    column, row = np.broadcast_to(dtype(1), (n, 1)), np.broadcast_to(dtype(1), (1, n))
    mask = np.broadcast_to(True, (1, n))
    for call in (
        lambda: logsumexp(column, b=row),
        lambda: logsumexp(column, b=row, return_sign=True),
        lambda: logsumexp(column, where=mask),
        lambda: logsumexp(column, (), b=row),
        lambda: softmax(column, where=mask),
        lambda: log_softmax(column, 0, where=mask),
        lambda: logmeanexp(column, b=row),
        lambda: softmax(column, add=row),
        lambda: logmatmulexp(column, row),
        lambda: segment_logsumexp(np.broadcast_to(dtype(1), (0, np.iinfo(np.intp).max // 16)), np.zeros(99, int)),
        lambda: categorical(row, size=(n, n, 1)),
    ):
        with pytest.raises(ValueError, match=r"^array is too big|^Maximum allowed|^maximum supported|too large"):
            call()
    if dtype is not np.longdouble:  # NumPy itself broadcasts to no such shape
        assert logsumexp(np.empty((0, n, 1), dtype), b=np.broadcast_to(dtype(1), (1, 1, n))) == -math.inf


# Code that runs while arguments are converted ------------------------------------------------------------------------


class Resizing:
    """An argument that frees the memory of another array while it is converted."""

    def __init__(self, array, value):
        self.array, self.value = array, value

    def resize(self):
        """All conversions by Python and NumPy end here."""
        self.array.resize((2, 2), refcheck=False)
        return self.value

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.resize())

    def __index__(self):
        return self.resize()

    def __float__(self):
        return self.resize()

    def __bool__(self):
        return self.resize()


def large():
    return np.zeros((2000, 2000))


@pytest.mark.parametrize(
    "call",
    [
        lambda a: logsumexp(a, b=Resizing(a, 1.0)),
        lambda a: logsumexp(a, where=Resizing(a, True)),
        lambda a: logsumexp(a, axis=Resizing(a, 1)),
        lambda a: logsumexp(a, axis=(0, Resizing(a, 1))),
        lambda a: logsumexp(a, keepdims=Resizing(a, True)),
        lambda a: logsumexp(a, return_sign=Resizing(a, True)),
        lambda a: logsumexp(1.0, b=a, where=Resizing(a, True)),
        lambda a: softmax(a, where=Resizing(a, True)),
        lambda a: log_softmax(a, axis=Resizing(a, 1)),
        lambda a: logsumexp_and_softmax(a, where=Resizing(a, True)),
        lambda a: softmax_vjp(a, Resizing(a, np.zeros((2, 2)))),
        lambda a: log_softmax_vjp(Resizing(a, np.zeros((2, 2))), a),
        lambda a: cross_entropy(a, Resizing(a, [0, 1])),
        lambda a: cross_entropy(a, [0, 1], label_smoothing=Resizing(a, 0.5)),
        lambda a: cross_entropy(a, [0, 1], weight=Resizing(a, [0.5, 1])),
        lambda a: cross_entropy_and_grad(a, [0, 1], ignore_index=Resizing(a, 7)),
        lambda a: nll_loss(a, [0, 1], axis=Resizing(a, 1)),
        lambda a: log_prob(a, Resizing(a, [0, 1])),
        lambda a: LogSumExp().update(a, Resizing(a, 1.0)),
        lambda a: LogSumExp().update(a, add=Resizing(a, 1.0)),
        lambda a: logmeanexp(a, b=Resizing(a, 1.0)),
        lambda a: softmax(a, scale=Resizing(a, 0.5)),
        lambda a: logsumexp(a, add=Resizing(a, np.zeros((2, 2)))),
        lambda a: cross_entropy(a, [0, 1], add=Resizing(a, 0.5)),
        lambda a: logcumsumexp(a, axis=Resizing(a, 1)),
        lambda a: logcumsumexp(a, 1, exclusive=Resizing(a, True)),
        lambda a: segment_logsumexp(a, Resizing(a, [0, 1, 2])),
        lambda a: segment_softmax(a, [0, 2], axis=Resizing(a, 1)),
        lambda a: logmatmulexp(a, Resizing(a, np.zeros((2, 2)))),
        lambda a: logmatmulexp(Resizing(a, np.zeros((2, 2))), a),
        lambda a: logmatmulexp(a, np.zeros((2, 2)), exact=Resizing(a, True)),
        lambda a: top_log_probs(a, Resizing(a, 2)),
        lambda a: top_log_probs(a, 1, axis=Resizing(a, 0)),
        lambda a: categorical(a, axis=Resizing(a, 0), rng=1),
        lambda a: categorical(a, scale=Resizing(a, 0.5), rng=1),
        lambda a: categorical(a, size=Resizing(a, 2), rng=1),
        lambda a: categorical(a, size=(3, Resizing(a, 2)), rng=1),
        lambda a: logaddexp(a, Resizing(a, 1.0)),
    ],
)
def test_an_argument_that_resizes_another(call):
    a = large()
    call(a)
    assert a.shape == (2, 2)


def test_a_generator_that_resizes_the_logits():
    """Its random() runs last: the shape of its result follows from the shape of the logits."""
    x = large()

    class Generator(np.random.Generator):
        def random(self, *arguments, **options):
            x.resize((2, 2), refcheck=False)
            return super().random(*arguments, **options)

    with raises(
        ValueError, "logits must stay as they are while rng draws numbers, got shape (2, 2) after (2000, 2000)"
    ):
        categorical(x, rng=Generator(np.random.PCG64(1)))


# Means ---------------------------------------------------------------------------------------------------------------


def test_a_mean_is_finite_where_its_losses_are():
    x = [[1e308, -7e307]] * 2
    assert cross_entropy(x, [1, 1]) == 1.7e308
    assert cross_entropy(x, [1, 1], reduction="sum") == math.inf
    assert cross_entropy_and_grad(x, [1, 1])[0] == 1.7e308
    assert nll_loss([[-1.7e308, 0]] * 1000, np.zeros(1000, int)) == pytest.approx(1.7e308, rel=1e-15)
    assert nll_loss([[-1.7e308, 0]] * 3, [[1, 0]] * 3) == pytest.approx(1.7e308, rel=1e-15)
    assert nll_loss([[-1.7e308, 0], [1.7e308, 0]] * 3, [0] * 6, reduction="sum") == 0
    assert nll_loss([[-2.0, 0]] * 2, [0, 0], weight=[1.7e308, 1]) == 2
    value, gradient = cross_entropy_and_grad([[0.0, 0]] * 2, [0, 0], weight=[1.7e308, 1])
    assert value == math.log(2)
    np.testing.assert_array_equal(gradient, [[-0.25, 0.25]] * 2)
    assert nll_loss(np.float32([[-3e38, 0]] * 2), [0, 0]) == np.float32(3e38)
    assert math.isnan(nll_loss([[-math.inf, 0], [math.inf, 0]], [0, 0]))


@pytest.mark.parametrize("b", [True, False, np.True_, np.False_])
def test_weights_that_are_a_bool_are_refused(b):
    """The caller probably meant keepdims, which is the fourth argument."""
    for function in (logsumexp, logmeanexp):
        with raises(TypeError, f"b must be weights, got {b}; keepdims must be given by name, as keepdims={b}"):
            function([[0.0, 1.0]], 1, b)
    assert logsumexp([[0.0, 1.0]], 1, [b]) == logsumexp([[0.0, 1.0]], 1, [float(b)])
    assert logsumexp([[0.0, 1.0]], 1, np.array(b)) == logsumexp([[0.0, 1.0]], 1, float(b))


def test_a_sparse_array_is_refused():
    sparse = pytest.importorskip("scipy.sparse").csr_array(np.eye(2))
    advice = "pass its toarray(), or what it stores to a function of segments"
    for function, name in ((logsumexp, "a"), (softmax, "x")):
        with raises(TypeError, f"{name} must be dense, got csr_array: {advice}"):
            function(sparse)
