"""Calls that SciPy 1.17.1 answers wrongly, and smoothmax answers right."""

import numpy as np
import pytest

from smoothmax import log_softmax, logsumexp, softmax


def test_a_largest_element_of_weight_0_is_dropped():
    assert logsumexp([1000, -np.inf], b=[0, 1]) == -np.inf
    assert logsumexp([1000, 0], b=[0, 1]) == 0
    assert logsumexp([np.inf, 2], b=[0, 1]) == 2


def test_equal_and_opposite_weights_cancel():
    assert logsumexp([800, 800], b=[1, -1]) == -np.inf
    assert logsumexp([800, 800], b=[1, -1], return_sign=True) == (-np.inf, 0)


def test_weights_far_apart_in_float32_do_not_overflow():
    got = logsumexp(np.float32([0, 110]), b=np.float32([1e30, 1e-30]))
    assert got.dtype == np.float32
    # exp(110)*1e-30 is 5.9e17, and the other term is 1e30.
    assert got == np.float32(np.log(1e30) + 5.9e-13)


def test_small_integers_are_computed_in_float64():
    x = np.array([1, 2, 3])
    np.testing.assert_array_equal(softmax(x.astype(np.uint8)), softmax(x.astype(float)))
    np.testing.assert_allclose(softmax(x.astype(np.uint8)), np.exp(x) / np.exp(x).sum(), rtol=1e-15)
    np.testing.assert_array_equal(softmax(np.int8([-100, 100])), softmax([-100.0, 100.0]))
    np.testing.assert_allclose(softmax(np.int8([-100, 100])), [np.exp(-200), 1], rtol=1e-15)
    np.testing.assert_array_equal(log_softmax(np.int8([-100, 100])), log_softmax([-100.0, 100.0]))
    np.testing.assert_array_equal(log_softmax(np.uint8([0, 200])), log_softmax([0.0, 200.0]))


def test_more_float16_zeros_than_float16_can_count_are_counted():
    got = logsumexp(np.zeros(70000, np.float16))
    assert got.dtype == np.float16
    assert got == np.float16(np.log(70000))
    np.testing.assert_array_equal(softmax(np.zeros(70000, np.float16)), np.full(70000, 1 / 70000, np.float16))
    np.testing.assert_array_equal(log_softmax(np.zeros(70000, np.float16)), np.full(70000, got * -1, np.float16))


def test_log_softmax_near_0_keeps_its_digits():
    got = log_softmax(np.float32([20, 0]))
    np.testing.assert_array_max_ulp(got, np.float32([-np.log1p(np.exp(-20.0)), -20 - np.log1p(np.exp(-20.0))]), 1)
    np.testing.assert_allclose(got[0], -2.0611537e-09, rtol=1e-7)


@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax])
def test_a_masked_array_is_refused(function):
    with pytest.raises(TypeError, match="must not be a masked array: pass its data, and the inverted mask as where="):
        function(np.ma.array([1.0, 1e9], mask=[False, True]))
