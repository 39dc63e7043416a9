"""Bad arguments of losses and gradients: the type and the whole text of the error. Nothing is written."""

import re

import numpy as np
import pytest
from advice import not_numbers
from numpy.exceptions import AxisError

from smoothmax import (
    cross_entropy,
    cross_entropy_and_grad,
    log_prob,
    log_softmax_vjp,
    logsumexp_and_softmax,
    nll_loss,
    softmax_vjp,
)

X = np.arange(12.0).reshape(3, 4)
LOSSES = (cross_entropy, cross_entropy_and_grad, nll_loss)
SHAPES = "targets must have shape (3,), of class indices, or (3, 4), of probabilities, got "


def raises(error, text):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


@pytest.fixture(params=LOSSES, ids=lambda function: function.__name__)
def loss(request):
    return request.param


@pytest.fixture(params=(*LOSSES, log_prob), ids=lambda function: function.__name__)
def with_targets(request):
    return request.param


def advice(target):
    return f"; ignore_index={target} leaves such targets out of a loss" if target < 0 else ""


@pytest.mark.parametrize(
    ("targets", "wrong", "place"), [([0, 4, 1], 4, 1), ([0, 1, -1], -1, 2), ([2**40, 9, 1], 2**40, 0)]
)
def test_a_target_that_is_no_class_is_named(with_targets, targets, wrong, place):
    expected = f"targets must be in range(4), the number of classes, got {wrong} at ({place},){advice(wrong)}"
    with raises(IndexError, expected):
        with_targets(X, targets)


def test_a_target_that_is_no_class_is_named_with_its_index_along_all_axes(with_targets):
    targets = np.zeros((2, 5), np.uint64)
    targets[1, 3] = 2**64 - 100  # a signed number of the same bits would be -100
    arguments = {} if with_targets is log_prob else {"ignore_index": -100}
    with raises(IndexError, f"targets must be in range(3), the number of classes, got {2**64 - 100} at (1, 3)"):
        with_targets(np.zeros((2, 3, 5)), targets, 1, **arguments)
    with raises(IndexError, "targets must be in range(4), the number of classes, got 4 at ()"):
        with_targets(X[0], 4)


def test_a_negative_class_that_is_not_ignored_is_named(loss):
    loss(X, [0, -100, 1], ignore_index=-100)
    with raises(IndexError, f"targets must be in range(4), the number of classes, got -100 at (1,){advice(-100)}"):
        loss(X, [0, -100, 1])
    with raises(IndexError, f"targets must be in range(4), the number of classes, got -1 at (2,){advice(-1)}"):
        loss(X, [0, -100, -1], ignore_index=-100)
    with raises(IndexError, f"targets must be in range(4), the number of classes, got -1 at (0,){advice(-1)}"):
        loss(X, [-1, 0, 0], ignore_index=2**80)


@pytest.mark.parametrize("shape", [(), (4,), (2,), (3, 1), (4, 3), (3, 4, 1), (1, 3)])
def test_targets_of_another_shape_are_refused(loss, shape):
    with raises(ValueError, f"{SHAPES}{shape}"):
        loss(X, np.zeros(shape, int))


def test_targets_that_fit_the_classes_of_axis_1_name_that_axis(with_targets):
    x, targets = np.zeros((2, 5, 4)), np.zeros((2, 4), int)
    with pytest.raises(
        ValueError, match=r"got \(2, 4\); if the classes lie along axis 1, as PyTorch has them, pass axis=1$"
    ):
        with_targets(x, targets)
    with_targets(x, targets, 1)


def test_log_prob_refuses_probabilities():
    with raises(ValueError, "targets must have shape (3,), got (3, 4)"):
        log_prob(X, X.astype(int))


@pytest.mark.parametrize("kind", ["f8", "f4", "?", "f2", "c16"])
def test_class_indices_that_are_no_integers_are_refused(with_targets, kind):
    with raises(
        TypeError, f"targets of shape (3,) must be class indices of an integer type, got dtype {np.dtype(kind)}"
    ):
        with_targets(X, np.zeros(3, kind))


def test_probabilities_that_are_not_real_are_refused(loss):
    with raises(TypeError, "targets must be real, got dtype complex128"):
        loss(X, X + 0j)
    with raises(TypeError, not_numbers("targets", "U1")):
        loss(X, np.full((3, 4), "a"))


@pytest.mark.parametrize("shape", [(), (3,), (5,), (4, 1), (1, 4), (1,)])
def test_a_weight_of_the_wrong_length_is_refused(loss, shape):
    with raises(ValueError, f"weight must have shape (4,), one for each class, got {shape}"):
        loss(X, [0, 1, 2], weight=np.ones(shape))


def test_a_weight_that_is_not_real_is_refused(loss):
    with raises(TypeError, "weight must be real, got dtype complex128"):
        loss(X, [0, 1, 2], weight=np.ones(4, complex))
    with raises(TypeError, "weight must not be a masked array: pass its filled(value)"):
        loss(X, [0, 1, 2], weight=np.ma.ones(4))


@pytest.mark.parametrize("reduction", ["Mean", "", None, "average", True])
def test_an_unknown_reduction_is_refused(loss, reduction):
    with raises(ValueError, f"reduction must be 'none', 'sum' or 'mean', got {reduction!r}"):
        loss(X, [0, 1, 2], reduction=reduction)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, np.nan, np.inf])
def test_smoothing_out_of_range_is_refused(loss, smoothing):
    with raises(ValueError, f"label_smoothing must be between 0 and 1, got {smoothing!r}"):
        loss(X, [0, 1, 2], label_smoothing=smoothing)


def test_smoothing_that_is_no_number_is_refused(loss):
    with pytest.raises(TypeError):
        loss(X, [0, 1, 2], label_smoothing="much")


@pytest.mark.parametrize("index", [1.0, "1", True, [1], np.True_])
def test_an_ignored_class_that_is_no_integer_is_refused(loss, index):
    with raises(TypeError, f"ignore_index must be None or an int, got {index!r}"):
        loss(X, [0, 1, 2], ignore_index=index)


def test_an_ignored_class_beside_probabilities_is_refused(loss):
    with raises(ValueError, "ignore_index must be None where targets are probabilities, got 1"):
        loss(X, X, ignore_index=1)


@pytest.mark.parametrize("axis", [None, (0,), (0, 1)])
def test_more_than_one_axis_of_classes_is_refused(with_targets, axis):
    with raises(TypeError, f"axis must be an int, got {axis!r}"):
        with_targets(X, [0, 1, 2], axis)


def test_an_axis_out_of_range_is_named(with_targets):
    with raises(AxisError, "axis 2 is out of bounds for array of dimension 2"):
        with_targets(X, [0, 1, 2], 2)
    with raises(AxisError, "axis -1 is out of bounds for array of dimension 0"):
        with_targets(1.0, 0)
    with raises(TypeError, "axis must be None, an int or a tuple of ints, got 1.0"):
        with_targets(X, [0, 1, 2], 1.0)


@pytest.mark.parametrize("kind", [np.longdouble, np.complex64, np.complex128])
def test_types_without_kernels_are_refused(kind):
    array = X.astype(kind)
    said = "must be of float64, float32, float16, bfloat16, an integer type or bool, got dtype"
    for function, name in ((cross_entropy, "logits"), (log_prob, "logits"), (nll_loss, "log_probs")):
        with raises(TypeError, f"{name} {said} {array.dtype}"):
            function(array, [0, 1, 2])
    with raises(TypeError, f"a {said} {array.dtype}"):
        logsumexp_and_softmax(array)
    for function, name in ((softmax_vjp, "p"), (log_softmax_vjp, "logp")):
        with raises(TypeError, f"{name} {said} {array.dtype}"):
            function(X, array)
        with raises(TypeError, f"g {said} {array.dtype}"):
            function(array, X)


def test_class_weights_of_longdouble_are_refused():
    """Their range is wider than that of float64, in which losses are computed."""
    wide = np.ones(4, np.longdouble)
    for function in (cross_entropy, cross_entropy_and_grad, nll_loss):
        with raises(TypeError, f"weight must be of float64 or a narrower type, got dtype {wide.dtype}"):
            function(X, [0, 1, 2], weight=wide)


def test_masked_arrays_are_refused():
    masked = np.ma.ones((3, 4))
    with raises(TypeError, "logits must not be a masked array: pass its filled(value)"):
        cross_entropy(masked, [0, 1, 2])
    with raises(TypeError, "log_probs must not be a masked array: pass its filled(value)"):
        nll_loss(masked, [0, 1, 2])
    with raises(TypeError, "targets must not be a masked array: pass its filled(value)"):
        cross_entropy(X, masked)
    with raises(TypeError, "g must not be a masked array: pass its filled(value)"):
        softmax_vjp(masked, X)
    with raises(TypeError, "a must not be a masked array: pass its data, and the inverted mask as where="):
        logsumexp_and_softmax(masked)


def test_a_gradient_of_another_shape_is_refused():
    for function, name in ((softmax_vjp, "p"), (log_softmax_vjp, "logp")):
        with raises(ValueError, f"g must have the shape of {name}, (3, 4), got (4,)"):
            function(X[0], X)


CALLS = {
    "loss": lambda **changed: cross_entropy_and_grad(**{"logits": X, "targets": [0, 1, 2], **changed}),
    "softmax": lambda **changed: softmax_vjp(**{"g": X, "p": X, **changed}),
    "log_softmax": lambda **changed: log_softmax_vjp(**{"g": X, "logp": X, **changed}),
    "both": lambda **changed: logsumexp_and_softmax(**{"a": X, **changed}),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_out_that_cannot_hold_the_result_is_refused(call):
    with raises(ValueError, "out must have shape (3, 4), got (3,)"):
        call(out=np.empty(3))
    with raises(TypeError, "out must be a NumPy array, got list"):
        call(out=[1.0])
    with raises(TypeError, "out must have a dtype that float64 can be cast to by 'same_kind', got int64"):
        call(out=np.zeros((3, 4), int))
    locked = np.zeros((3, 4))
    locked.flags.writeable = False
    with raises(ValueError, "out must be writeable, got a read-only array"):
        call(out=locked)


def test_nothing_is_written_where_an_argument_is_refused():
    out = np.full((3, 4), 7.0)
    for changed in (
        {"targets": [0, 1, 4]},
        {"targets": [0.0, 1.0, 2.0]},
        {"targets": np.ones((3, 3))},
        {"targets": X, "ignore_index": 1},
        {"weight": np.ones(3)},
        {"reduction": "all"},
        {"label_smoothing": 2},
        {"ignore_index": 0.5},
        {"axis": 5},
    ):
        with pytest.raises((IndexError, ValueError, TypeError)):
            CALLS["loss"](out=out, **changed)
        assert (out == 7).all()
