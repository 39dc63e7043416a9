"""Losses: every combination of arguments is compared with the formulas, within the promised errors, in every layout."""

import itertools
import tracemalloc

import numpy as np
import pytest
from bounds import GRADIENT, LOG_PROB, LOSS, REDUCED_LOSS, SOFT_LOSS
from loss_reference import losses_and_gradients
from oracle import reference, ulp_error

import smoothmax
from smoothmax import cross_entropy, cross_entropy_and_grad, log_prob, log_softmax, nll_loss
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

ROWS, CLASSES = 7, 5

LIMITS = limits()


def logits_and_targets(dtype, probable, rows=ROWS, classes=CLASSES, spread=3.0, seed=0):
    rng = np.random.default_rng(seed)
    x = (spread * rng.standard_normal((rows, classes))).astype(dtype)
    if probable:
        targets = rng.dirichlet(np.ones(classes), rows).astype(dtype)
        targets[0, 1] = 0
        return x, targets
    targets = rng.integers(0, classes, rows)
    targets[:2] = 1, 2 % classes
    return x, targets


COMBINATIONS = [
    combination
    for combination in itertools.product(
        (False, True), (False, True), (None, 2, -100), (0.0, 0.1, 1.0), ("none", "sum", "mean")
    )
    if not (combination[0] and combination[2] is not None)
]


@pytest.mark.parametrize(("probable", "weighted", "ignore_index", "smoothing", "reduction"), COMBINATIONS)
def test_every_combination_of_arguments_is_within_the_promise(
    dtype, probable, weighted, ignore_index, smoothing, reduction
):
    x, targets = logits_and_targets(dtype, probable)
    if ignore_index == -100:
        targets[3:5] = ignore_index
    weight = np.random.default_rng(1).uniform(0.2, 3, CLASSES) if weighted else None
    arguments = {"weight": weight, "ignore_index": ignore_index, "label_smoothing": smoothing, "reduction": reduction}
    wanted, wanted_gradient = losses_and_gradients(x, targets, weight, ignore_index, smoothing, reduction)
    soft = probable or smoothing > 0
    promise = REDUCED_LOSS if reduction != "none" else SOFT_LOSS if soft else LOSS
    loss, gradient = cross_entropy_and_grad(x, targets, **arguments)
    assert loss.dtype == gradient.dtype == dtype
    assert np.all(ulp_error(loss, wanted) <= promise)
    assert np.all(ulp_error(gradient, wanted_gradient) <= GRADIENT)
    assert np.all(ulp_error(cross_entropy(x, targets, **arguments), wanted) <= promise)
    log_probs = log_softmax(x.astype(np.float64), axis=1)
    from_log_probs = nll_loss(log_probs, targets, **arguments)
    np.testing.assert_allclose(from_log_probs, loss, rtol=1e-5 if dtype == np.float32 else 1e-13)


TYPES_AT_TARGETS = ("f2", ">f2", "i2", ">i2", "f4", ">f4", "f8", "i8", "u1", "?")


@pytest.mark.parametrize("given", TYPES_AT_TARGETS)
def test_nll_loss_reads_the_targets_of_any_type_and_layout(given):
    """Targets are looked up 64 at a time, and numbers of two bytes are converted together."""
    rng = np.random.default_rng(3)
    for shape, axis in (((3, 70), 1), ((70, 3), 0), ((130, 5), 1), ((5, 6, 70), 1), ((64, 2), 1), ((9,), 0)):
        x = rng.integers(-9, 0, shape).astype(given)
        packed = np.zeros(x.nbytes + 1, np.uint8)[1:].view(given).reshape(shape)
        packed[...] = x
        targets = np.asarray(rng.integers(-1, shape[axis], shape[:axis] + shape[axis + 1 :]))
        for layout in (x, packed, np.asfortranarray(x), x[::-1], x[..., ::-1], np.repeat(x, 2, axis=0)[::2]):
            at = np.expand_dims(np.where(targets < 0, 0, targets), axis)
            wanted = -np.take_along_axis(np.asarray(layout).astype("f8"), at, axis).squeeze(axis)
            loss = nll_loss(layout, targets, axis, ignore_index=-1, reduction="none")
            np.testing.assert_array_equal(loss, np.where(targets < 0, 0, wanted))
            assert loss.dtype == {"f2": "f2", "f4": "f4"}.get(given[-2:], "f8")


def test_every_argument_changes_the_loss():
    """With the numbers of the test above. Otherwise it would not notice an argument that is ignored."""
    x, targets = logits_and_targets(np.float64, False)
    weight = np.random.default_rng(1).uniform(0.2, 3, CLASSES)
    results = [
        float(cross_entropy(x, targets, weight=w, ignore_index=i, label_smoothing=s, reduction=r))
        for w, i, s, r in itertools.product((None, weight), (None, 2), (0.0, 0.1, 1.0), ("sum", "mean"))
    ]
    assert len(set(results)) == len(results)


@pytest.mark.parametrize("spread", [0.1, 3, 40, 300])
@pytest.mark.parametrize("classes", [1, 2, 3, 10, 31, 33, 70, 300])
def test_losses_of_classes_are_within_the_promise(dtype, classes, spread):
    rng = np.random.default_rng(classes)
    x = (spread * rng.standard_normal((80, classes))).astype(dtype)
    targets = np.where(rng.random(80) < 0.5, x.argmax(axis=1), rng.integers(0, classes, 80))
    exact = reference("log_softmax", x, axis=1)[np.arange(80), targets]
    assert np.all(ulp_error(log_prob(x, targets), exact) <= LOG_PROB)
    assert np.all(ulp_error(-cross_entropy(x, targets, reduction="none"), exact) <= LOSS)


@pytest.mark.parametrize("spread", [0.1, 3, 40, 300])
@pytest.mark.parametrize("classes", [2, 9, 40, 100])
def test_gradients_and_soft_losses_are_within_the_promise(dtype, classes, spread):
    x, targets = logits_and_targets(dtype, False, 24, classes, spread, seed=classes)
    x[:9] -= np.arange(9, dtype=dtype)[:, None] * 30
    targets[::2] = x.argmax(axis=1)[::2]
    loss, gradient = cross_entropy_and_grad(x, targets, reduction="none")
    wanted, wanted_gradient = losses_and_gradients(x, targets)
    assert np.all(ulp_error(loss, wanted) <= LOSS)
    assert np.all(ulp_error(gradient, wanted_gradient) <= GRADIENT)
    for given, smoothing in ((targets, 0.1), (logits_and_targets(dtype, True, 24, classes)[1], 0.0)):
        loss, gradient = cross_entropy_and_grad(x, given, label_smoothing=smoothing, reduction="none")
        wanted, wanted_gradient = losses_and_gradients(x, given, smoothing=smoothing)
        assert np.all(ulp_error(loss, wanted) <= SOFT_LOSS)
        assert np.all(ulp_error(gradient, wanted_gradient) <= GRADIENT)


@pytest.mark.parametrize("sign", [-1, 1])
def test_class_weights_beyond_their_limit_widen_float32(sign):
    """Losses that are computed in float64 are rounded once, so every one is within half an ULP."""
    x, targets = logits_and_targets(np.float32, False, 2000)
    limit = 2.0 ** (sign * LIMITS["CLASS_WEIGHT_BITS"])
    for weight, wide in ((limit, False), (np.nextafter(limit, limit**2), True)):
        weights = np.full(CLASSES, weight)
        loss = cross_entropy(x, targets, weight=weights, reduction="none")
        exact = cross_entropy(x.astype(np.float64), targets, weight=weights, reduction="none")
        errors = np.abs(loss - exact) / np.spacing(loss)
        assert loss.dtype == np.float32
        assert (errors.max() < 0.501) == wide


@pytest.mark.parametrize("more", [0, 1])
def test_smoothing_over_many_classes_is_that_of_weights_of_one(more, dtype):
    """Beyond a limit a single number stands for all of them."""
    x, targets = logits_and_targets(dtype, False, 3, LIMITS["SMOOTHED_ONES_MAX_CLASSES"] + more)
    ones = np.ones(x.shape[1])
    for axis, logits in ((1, x), (0, x.T)):
        options = {"label_smoothing": 0.1, "reduction": "none", "axis": axis}
        loss, gradient = cross_entropy_and_grad(logits, targets, **options)
        wanted, wanted_gradient = cross_entropy_and_grad(logits, targets, weight=ones, **options)
        np.testing.assert_array_equal(loss, wanted)
        np.testing.assert_array_equal(gradient, wanted_gradient)


def test_a_confident_right_answer_keeps_its_digits():
    assert f"{cross_entropy([40.0, 0.0], 0):.3g}" == "4.25e-18"
    loss, gradient = cross_entropy_and_grad([0.0, -700.0], 0)
    assert f"{loss:.6g}" == f"{np.exp(-700):.6g}"
    np.testing.assert_allclose(gradient, [-np.exp(-700), np.exp(-700)], rtol=1e-13)
    assert cross_entropy(np.float32([20, 0]), 0) == np.float32(np.exp(-20))


def moved(array, axis, order):
    """The array with its last axis moved to `axis`, in C or F order, or with that axis backwards in memory."""
    array = np.moveaxis(array, -1, axis)
    if order in "CF":
        return array.copy(order=order)
    spaced = np.repeat(np.flip(array, axis), 2, axis=axis)
    return spaced[(slice(None),) * axis + (slice(None, None, -2),)]


@pytest.mark.parametrize("order", ["C", "F", "backwards"])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("probable", [False, True])
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 70, 9), (3, 2, 300), (40, 3, 60), (1, 1, 1), (2, 33, 2000)])
def test_any_axis_and_layout_gives_the_results_of_rows(dtype, shape, probable, axis, order):
    rng = np.random.default_rng(3)
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    targets = rng.random(shape).astype(dtype) if probable else rng.integers(0, shape[-1], shape[:-1])
    weight = rng.random(shape[-1])
    for smoothing, given in itertools.product((0.0, 0.2), (None, weight)):
        arguments = {"label_smoothing": smoothing, "weight": given, "reduction": "none"}
        # The tests above compare calls of single rows with the formulas.
        rows, row_targets = x.reshape(-1, shape[-1]), targets.reshape(-1, *targets.shape[2:])
        wanted = [cross_entropy_and_grad(row, t, **arguments) for row, t in zip(rows, row_targets, strict=True)]
        losses = np.array([loss for loss, _ in wanted]).reshape(shape[:-1])
        gradients = np.array([gradient for _, gradient in wanted]).reshape(shape)
        placed = moved(x, axis, order)
        placed_targets = moved(targets, axis, order) if probable else targets
        loss, gradient = cross_entropy_and_grad(placed, placed_targets, axis, **arguments)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(loss, losses, rtol=4 * eps)
        sizes = targets.sum(axis=-1, keepdims=True) if probable else 2
        scale = 4 * eps * np.maximum(np.abs(gradients), 0 if not probable and not smoothing else sizes)
        assert np.all(np.abs(np.moveaxis(gradient, axis, -1) - gradients) <= scale)
        np.testing.assert_allclose(cross_entropy(placed, placed_targets, axis, **arguments), loss, rtol=2 * eps)
    if not probable:
        np.testing.assert_array_equal(
            log_prob(placed, targets, axis), -cross_entropy(placed, targets, axis, reduction="none")
        )


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "i4", "u4", "i8", "u8", ">i8", ">u2"])
def test_targets_may_have_any_integer_type(kind):
    x, targets = logits_and_targets(np.float64, False)
    wanted = cross_entropy(x, targets, reduction="none")
    np.testing.assert_array_equal(cross_entropy(x, targets.astype(kind), reduction="none"), wanted)
    spaced = np.zeros(3 * len(targets), kind)
    spaced[::-3] = targets
    np.testing.assert_array_equal(cross_entropy(x, spaced[::-3], reduction="none"), wanted)
    np.testing.assert_array_equal(cross_entropy(x, list(map(int, targets)), reduction="none"), wanted)


@pytest.mark.parametrize("kind", ["f2", "i4", "u1", "?", ">f4"])
def test_logits_of_other_types_are_computed_in_float32_or_float64(kind):
    x = np.array([[3, 0, 1], [0, 1, 1], [1, 1, 0]]).astype(kind)
    loss, gradient = cross_entropy_and_grad(x, [0, 1, 2])
    computed = np.float32 if kind in ("f2", ">f4") else np.float64
    result = {"f2": np.float16, ">f4": np.float32}.get(kind, np.float64)
    wanted, wanted_gradient = cross_entropy_and_grad(x.astype(computed), [0, 1, 2])
    assert loss.dtype == gradient.dtype == result
    np.testing.assert_array_equal(loss, wanted.astype(result))
    np.testing.assert_array_equal(gradient, wanted_gradient.astype(result))


@pytest.mark.parametrize("shape", [(3, 1), (3, 2), (40, 10), (3, 700), (300, 100), (2, 40_000)])
def test_a_gradient_of_zero_is_positive(dtype, shape):
    """Which zero is left where all probability is the target's must not depend on the compiler."""
    for order in "CF":
        for low in (-1000, -np.inf):
            x = np.full(shape, low, dtype, order=order)
            targets = np.arange(shape[0]) % shape[1]
            x[np.arange(shape[0]), targets] = 3
            _, gradient = cross_entropy_and_grad(x, targets)
            assert not gradient.any()
            assert not np.signbit(gradient).any()


def test_a_single_position_gives_a_scalar(dtype):
    x = np.array([1, 2, 3], dtype)
    for reduction in ("none", "sum", "mean"):
        loss = cross_entropy(x, 1, reduction=reduction)
        assert type(loss) is dtype
        assert loss == -log_softmax(x)[1]
    assert type(log_prob(x, 1)) is dtype


def test_ignoring_all_targets_gives_gradients_of_zero(dtype):
    x = np.full((3, 4), np.nan, dtype)
    for smoothing in (0.0, 0.3):
        for reduction, wanted in (("mean", np.nan), ("sum", 0.0), ("none", np.zeros(3))):
            loss, gradient = cross_entropy_and_grad(
                x, [-1, -1, -1], ignore_index=-1, reduction=reduction, label_smoothing=smoothing
            )
            np.testing.assert_array_equal(loss, wanted)
            np.testing.assert_array_equal(gradient, np.zeros(x.shape))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [[0, 0, 1], [1, -1, 1]], ids=["zero", "opposite"])
def test_there_is_no_mean_over_weights_that_add_up_to_zero(dtype, smoothing, weight):
    x = np.array([[1, 2, 3], [0, 0, 400], [3, 2, 1]], dtype)
    targets, options = [0, 1, 2], {"weight": weight, "label_smoothing": smoothing, "ignore_index": 2}
    loss, gradient = cross_entropy_and_grad(x, targets, **options)
    assert np.isnan(loss)
    assert np.isnan(cross_entropy(x, targets, **options))
    np.testing.assert_array_equal(gradient, np.array([[np.nan] * 3, [np.nan] * 3, [0] * 3]))
    lazy = pytest.importorskip("smoothmax.dask").cross_entropy
    for chunks in (3, (2, 2)):
        assert np.isnan(lazy(pytest.importorskip("dask.array").from_array(x, chunks), targets, **options).compute())


@pytest.mark.parametrize("axis", [0, 1])
def test_an_ignored_position_counts_for_nothing_whatever_it_is(dtype, axis):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((90, 6)).astype(dtype)
    targets = rng.integers(0, 6, 90)
    ignored = rng.random(90) < 0.4
    x[ignored, 2] = rng.choice([np.nan, np.inf, 1.0, -np.inf], ignored.sum())
    targets[ignored] = 77
    placed = np.ascontiguousarray(x if axis == 1 else x.T)
    loss, gradient = cross_entropy_and_grad(placed, targets, axis, ignore_index=77)
    wanted, wanted_gradient = cross_entropy_and_grad(x[~ignored], targets[~ignored])
    np.testing.assert_allclose(loss, wanted, rtol=4 * np.finfo(dtype).eps)
    gradient = gradient if axis == 1 else gradient.T
    assert np.all(gradient[ignored] == 0)
    np.testing.assert_allclose(gradient[~ignored], wanted_gradient, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0), (0,)])
def test_empty_logits_have_a_loss_of_zero(dtype, shape):
    x = np.empty(shape, dtype)
    loss, gradient = cross_entropy_and_grad(x, x, reduction="sum")
    assert loss == 0
    assert gradient.shape == shape
    assert np.array_equal(cross_entropy(x, x, reduction="none"), np.zeros(shape[:-1]))
    if shape[0] == 0 and len(shape) == 2:
        assert np.isnan(cross_entropy(x, x))
        assert np.isnan(cross_entropy(x, np.empty(0, int)))
        assert log_prob(x, np.empty(0, int)).shape == (0,)


def test_special_values_are_those_of_log_softmax(dtype):
    """A probability of 0 removes its class."""
    inf, nan = np.inf, np.nan
    x = np.array([[0, -inf, 1], [-inf, -inf, -inf], [0, inf, 1], [0, nan, 1]], dtype)
    for target in range(3):
        np.testing.assert_allclose(log_prob(x, [target] * 4), log_softmax(x, axis=1)[:, target], rtol=2e-7)
    one_hot = np.tile(np.array([1, 0, 0], dtype), (4, 1))
    hard = cross_entropy(x, [0] * 4, reduction="none")
    np.testing.assert_array_equal(cross_entropy(x, one_hot, reduction="none"), hard)
    assert np.isfinite(hard[0])
    assert cross_entropy(x[0], [0.5, 0.5, 0.0]) == inf
    assert np.isnan(cross_entropy_and_grad(x, [0, 0, 0, 0], reduction="sum")[1][1:]).all()


def test_a_loss_beyond_the_largest_number_is_inf(dtype):
    """A loss just below is finite. Without an fma, the rounding errors of products of such numbers are nan."""
    zeros = np.zeros((1, 2), dtype)
    low = np.array([[0, -np.inf]], dtype)
    assert cross_entropy(low, [1]) == cross_entropy_and_grad(low, [1])[0] == np.inf
    assert nll_loss(low, [1]) == np.inf
    assert cross_entropy(zeros, [1], weight=[1, np.inf], reduction="none") == [np.inf]
    assert cross_entropy(zeros, [1], weight=[1, -np.inf], reduction="none") == [-np.inf]
    if dtype == np.float64:
        large = np.array([[0, -1.5e300]])
        assert cross_entropy(large, [1], reduction="none") == nll_loss(large, [1], reduction="none") == [1.5e300]
        assert cross_entropy(large, [1], label_smoothing=0.1) == pytest.approx(1.425e300)
        assert cross_entropy(zeros, [1], weight=[1, 1.5e300], reduction="none") == pytest.approx(1.5e300 * np.log(2))


def test_out_may_overlap_either_input(dtype):
    for probable, order in itertools.product((False, True), "CF"):
        x, targets = logits_and_targets(dtype, probable, rows=90, classes=70)
        x = np.asarray(x, order=order)
        loss, gradient = cross_entropy_and_grad(x, targets)
        assert gradient.flags.c_contiguous == (order == "C")
        given = np.full((90, 140), 7, dtype)[:, ::2]
        answer = cross_entropy_and_grad(x, targets, out=given)
        assert answer[1] is given
        assert answer[0] == loss
        np.testing.assert_array_equal(given, gradient)
        if probable:
            target = targets.copy()
            np.testing.assert_array_equal(cross_entropy_and_grad(x, target, out=target)[1], gradient)
            longer = np.concatenate([targets, targets])
            longer[1:91] = targets
            np.testing.assert_array_equal(cross_entropy_and_grad(x, longer[1:91], out=longer[:90])[1], gradient)
        before = x.copy(order="K")
        np.testing.assert_array_equal(cross_entropy_and_grad(before, targets, out=before)[1], gradient)
        wide = np.empty(x.shape, np.float64)
        np.testing.assert_array_equal(cross_entropy_and_grad(x, targets, out=wide)[1], gradient)


@pytest.mark.parametrize("shape", [(3000, 200), (300, 700), (2, 600_000), (70_000, 10)])
@pytest.mark.parametrize("axis", [0, 1])
def test_bits_do_not_depend_on_threads(dtype, shape, axis):
    rng = np.random.default_rng(9)
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    if axis == 0:
        x = np.ascontiguousarray(x.T)
    classes, probable = rng.integers(0, shape[1], shape[0]), rng.random(x.shape).astype(dtype)
    calls = {
        "hard": lambda: cross_entropy_and_grad(x, classes, axis),
        "smooth": lambda: cross_entropy_and_grad(x, classes, axis, label_smoothing=0.1),
        "soft": lambda: cross_entropy_and_grad(x, probable, axis),
        "both": lambda: smoothmax.logsumexp_and_softmax(x, axis),
        "vjp": lambda: (0, smoothmax.softmax_vjp(probable, x, axis)),
        "log vjp": lambda: (0, smoothmax.log_softmax_vjp(probable, -probable, axis)),
    }
    for call in calls.values():
        with smoothmax.num_threads(1):
            value, gradient = call()
        for threads in (2, 5):
            with smoothmax.num_threads(threads):
                assert explain(call)["shared"] != "alone"
                again, gradient_again = call()
            assert np.array_equal(value, again)
            assert gradient.tobytes() == gradient_again.tobytes()


def test_products_of_probabilities_and_weights_are_rounded_as_subnormal_numbers():
    got = cross_entropy([[0.0, -700.0]], [[0, 1e-310]], weight=[1, 1e-8], reduction="none")
    exact, _ = losses_and_gradients(np.array([[0.0, -700.0]]), np.array([[0, 1e-310]]), np.array([1, 1e-8]))
    # Half a unit of the product, or without fma, which takes it apart, up to one; times 700.
    assert SOFT_LOSS < ulp_error(got, exact) <= SOFT_LOSS + 700


@pytest.mark.parametrize("kind", ["i8", "i4", "u8"])
def test_a_position_takes_at_most_24_bytes(dtype, kind):
    """A loss, its target as intp, and the loss once more where their sum overflows."""
    n = 30_000
    x, out, targets = np.zeros((n, 2), dtype), np.empty((n, 2), dtype), np.ones(n, kind)
    huge = np.zeros((n, 2), dtype)
    huge[:, 0] = np.finfo(dtype).max / 4
    peaks = []
    for weight, ignored in itertools.product((None, [1, 2], [1e-300, 1e-3]), (None, 0)):
        options = {"weight": weight, "ignore_index": ignored}
        for call in (
            lambda: cross_entropy(x, targets, **options),  # noqa: B023
            lambda: cross_entropy(huge, targets, **options),  # noqa: B023
            lambda: cross_entropy_and_grad(x, targets, out=out, **options),  # noqa: B023
        ):
            tracemalloc.start()
            try:
                call()
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
    assert n * x.itemsize <= min(peaks)
    assert max(peaks) <= 24 * n + (1 << 16)


@pytest.mark.parametrize("probable", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_no_temporary_of_the_size_of_the_logits(dtype, probable, weighted, smoothing):
    """A call allocates the gradient, and a few numbers for each position and each class."""
    x, targets = logits_and_targets(dtype, probable, rows=2000, classes=1000)
    weight = np.ones(1000) if weighted else None
    out = np.empty_like(x)
    cross_entropy(x, targets)  # the first call of a process also imports the pool of threads
    tracemalloc.start()
    try:
        cross_entropy_and_grad(x, targets, weight=weight, label_smoothing=smoothing, out=out)
        cross_entropy(x, targets, weight=weight, label_smoothing=smoothing)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 18
