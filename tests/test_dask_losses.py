"""smoothmax.dask.cross_entropy: lazy, in any blocks, with the losses of one array."""

import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor

import dask
import dask.array as da
import numpy as np
import pytest
from bounds import LOSS, REDUCED_LOSS, SOFT_LOSS
from loss_reference import losses_and_gradients
from oracle import ulp_error
from test_dask import no_task

import smoothmax
from smoothmax.dask import cross_entropy

RNG = np.random.default_rng(21)
ROWS, CLASSES = 12, 11
X = RNG.normal(size=(ROWS, CLASSES)) * 6
PROBABLE = RNG.dirichlet(np.ones(CLASSES), ROWS)
PROBABLE[3, 4] = 0
WEIGHT = RNG.uniform(0.2, 3, CLASSES)
TARGETS = RNG.integers(0, CLASSES, ROWS)
TARGETS[::3] = X.argmax(axis=1)[::3]
BLOCKS = [(ROWS, CLASSES), (5, CLASSES), (ROWS, 4), ((8, 0, 4), (1, 7, 0, 3))]


@pytest.fixture
def nothing_runs():
    with dask.config.set(scheduler=no_task):
        yield


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["classes", "ignored", "probable"])
@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_losses_are_within_the_promise_in_any_blocks(dtype, blocks, kind, smoothing, reduction):
    x = X.astype(dtype)
    targets, index = (PROBABLE.astype(dtype), None) if kind == "probable" else (TARGETS.copy(), None)
    if kind == "ignored":
        targets[4:7] = index = -100
    promise = REDUCED_LOSS if reduction != "none" else SOFT_LOSS if kind == "probable" or smoothing else LOSS
    for weight in (None, WEIGHT):
        arguments = {"ignore_index": index, "label_smoothing": smoothing, "reduction": reduction}
        result = cross_entropy(da.from_array(x, chunks=blocks), targets, weight=weight, **arguments)
        exact, _ = losses_and_gradients(x, targets, weight, index, smoothing, reduction)
        got = result.compute(scheduler="threads")
        assert result.shape == np.shape(got) == np.shape(exact.high)
        assert result.dtype == result._meta.dtype == got.dtype == dtype
        assert np.max(ulp_error(got, exact)) <= promise
        again = cross_entropy(da.from_array(x, chunks=blocks), targets, weight=weight, **arguments)
        np.testing.assert_array_equal(again.compute(scheduler="sync"), got)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("probable", [False, True])
def test_any_axis_and_blocks_give_the_loss_of_one_call(axis, cut, probable):
    x = RNG.normal(size=(6, 7, 5)) * 4
    n = x.shape[axis]
    targets = RNG.random(x.shape) if probable else RNG.integers(0, n, np.delete(x.shape, axis))
    chunks = tuple(n if i == axis % 3 and not cut else 2 for i in range(3))
    weight = da.from_array(RNG.random(n), chunks=3)
    for smoothing, reduction in itertools.product((0.0, 0.2), ("none", "mean")):
        arguments = {"label_smoothing": smoothing, "reduction": reduction}
        wanted = smoothmax.cross_entropy(x, targets, axis, weight=weight.compute(scheduler="sync"), **arguments)
        for given in (targets, da.from_array(targets, chunks=3)):
            got = cross_entropy(da.from_array(x, chunks=chunks), given, axis, weight=weight, **arguments)
            np.testing.assert_allclose(got.compute(scheduler="sync"), wanted, rtol=1e-14)


@pytest.mark.parametrize("classes", [5, 2])
def test_unknown_numbers_of_positions(classes):
    x, targets = da.from_array(X[:, :5], chunks=(7, classes)), da.from_array(TARGETS % 5, chunks=7)
    chosen = da.from_array(X[:, 0] > 0, chunks=7)
    given = (x[chosen], targets[chosen])
    assert np.isnan(given[0].shape[0])
    for reduction in ("none", "sum", "mean"):
        wanted = smoothmax.cross_entropy(X[X[:, 0] > 0, :5], TARGETS[X[:, 0] > 0] % 5, reduction=reduction)
        got = cross_entropy(*given, reduction=reduction).compute(scheduler="sync")
        np.testing.assert_allclose(got, wanted, rtol=1e-14)
    probable = da.from_array(PROBABLE[:, :5], chunks=(7, 5))[chosen]
    wanted = smoothmax.cross_entropy(X[X[:, 0] > 0, :5], PROBABLE[X[:, 0] > 0, :5])
    np.testing.assert_allclose(cross_entropy(given[0], probable).compute(scheduler="sync"), wanted, rtol=1e-14)


@pytest.mark.parametrize("blocks", [(5, 3), (2, 2), (1, 1)], ids=str)
def test_special_values_are_those_of_arrays(blocks):
    inf, nan = np.inf, np.nan
    x = np.array([[0, -inf, 1], [-inf, -inf, -inf], [0, inf, 1], [0, nan, 1], [nan, inf, 3]])
    lazy = da.from_array(x, chunks=blocks)
    one_hot = np.tile([1.0, 0, 0], (5, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for targets, index in (
            ([0, 1, 1, 2, 9], 9),
            ([1, 0, 0, 1, 0], None),
            (one_hot, None),
            (one_hot[:, ::-1], None),
        ):
            for reduction in ("none", "sum"):
                arguments = {"ignore_index": index, "reduction": reduction}
                wanted = smoothmax.cross_entropy(x, targets, **arguments)
                got = cross_entropy(lazy, targets, **arguments).compute(scheduler="sync")
                np.testing.assert_allclose(got, wanted, rtol=1e-14)
        for reduction, wanted in (("mean", np.nan), ("sum", 0.0)):
            got = cross_entropy(lazy, [7] * 5, ignore_index=7, reduction=reduction).compute(scheduler="sync")
            np.testing.assert_array_equal(got, wanted)


CUT = [(1, 3), (1, 2), (1, 1)]  # the classes in one block, in two, in three


@pytest.mark.parametrize("blocks", CUT, ids=str)
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "g", "i1", "u8", "?"])
@pytest.mark.parametrize("smoothing", [1e-7, 1e-30, 0.5])
def test_targets_are_smoothed_in_a_type_that_holds_the_result(blocks, kind, smoothing):
    """In float16, the smoothed target 1e-7/3 would be 3.0e-8 or 5.96e-8."""
    x = np.array([[0.0, -1000, -1000]])
    targets = np.array([[1, 0, 0]], kind)
    exact = 2000 * smoothing / 3
    got = cross_entropy(da.from_array(x, chunks=blocks), targets, label_smoothing=smoothing).compute(scheduler="sync")
    assert got == pytest.approx(exact, rel=1e-14)
    weight = np.array([1, 3, 1], {"?": "i1", "g": "f8"}.get(kind, kind))
    got = cross_entropy(da.from_array(x, chunks=blocks), targets, weight=weight, label_smoothing=smoothing)
    assert got.compute(scheduler="sync") == pytest.approx(2 * exact, rel=1e-14)


@pytest.mark.parametrize("blocks", [(1, 2), (1, 1)], ids=str)
@pytest.mark.parametrize("size", [1e-320, 1e-45, 1e-39, 1e38, 1e295])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_keep_their_own_range(blocks, size, smoothing):
    """A mean of float32 losses is in range although their sum and that of the weights are not."""
    x = np.array([[-1, -2], [-3, -1]], "f4")
    even = cross_entropy(da.from_array(x, chunks=blocks), [0, 1], label_smoothing=smoothing).compute(scheduler="sync")
    got = cross_entropy(da.from_array(x, chunks=blocks), [0, 1], weight=[size] * 2, label_smoothing=smoothing)
    got = got.compute(scheduler="sync")
    assert got.dtype == np.float32
    assert got == pytest.approx(even, rel=1e-3 if size == 1e-320 else 1e-6)  # 1e-320 has 11 bits


def workers_that_raise():
    """A scheduler with a thread in which every warning of NumPy is an error."""
    return ThreadPoolExecutor(1, initializer=lambda: np.seterr(all="raise"))


@pytest.mark.parametrize("blocks", [(2, 3), (1, 2)], ids=str)
@pytest.mark.parametrize("weight", [None, [1e300, 1, 1e-300], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_no_warning_whatever_the_workers_errstate_is(blocks, weight, kind):
    largest = np.finfo(kind).max
    classes, probable = [0, 1], np.array([[1, 0, 0], [0, np.finfo(kind).tiny, 1]], kind)
    extreme = np.array([[largest, -largest, 0], [-np.inf, np.inf, np.nan]], kind)
    with workers_that_raise() as pool:
        for x, targets, smoothing, reduction in itertools.product(
            (np.zeros((2, 3), kind), extreme), (classes, probable), (0.0, 0.1, 1e-300), ("none", "sum", "mean")
        ):
            loss = cross_entropy(da.from_array(x, chunks=blocks), targets, weight=weight, label_smoothing=smoothing,
                                 reduction=reduction)  # fmt: skip
            loss.compute(scheduler=pool)


@pytest.mark.parametrize("blocks", [(2, 2), (2, 1)], ids=str)
def test_a_mean_with_a_huge_weight_does_not_overflow(blocks):
    x = da.from_array(np.zeros((2, 2), "f4"), chunks=blocks)
    with workers_that_raise() as pool:
        got = cross_entropy(x, [0, 1], weight=[1e300, 1], label_smoothing=0.1).compute(scheduler=pool)
    assert got == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("blocks", [11, 4])
def test_a_loss_without_axes_computes_to_a_scalar(blocks, dtype):
    x = X.astype(dtype)
    for loss in (
        cross_entropy(da.from_array(x, chunks=(5, blocks)), TARGETS),
        cross_entropy(da.from_array(x[0], chunks=blocks), 3),
        cross_entropy(da.from_array(x[0], chunks=blocks), 3, reduction="none"),
        cross_entropy(da.from_array(x[0], chunks=blocks), PROBABLE[0], label_smoothing=0.1, reduction="none"),
    ):
        assert type(loss.compute(scheduler="sync")) is dtype


def test_a_single_position_and_none():
    for chunks in (11, 4):
        x = da.from_array(X[0], chunks=chunks)
        for targets in (3, PROBABLE[0]):
            got = cross_entropy(x, targets)
            assert got.shape == ()
            np.testing.assert_allclose(
                got.compute(scheduler="sync"), smoothmax.cross_entropy(X[0], targets), rtol=1e-14
            )
        nothing = cross_entropy(da.zeros((0, 11), chunks=(1, chunks)), np.zeros(0, int), reduction="sum")
        assert nothing.compute(scheduler="sync") == 0


@pytest.mark.parametrize("blocks", [4, 2])
@pytest.mark.parametrize(("given", "result"), [("f4", "f4"), ("f2", "f2"), ("i4", "f8"), ("?", "f8"), (">f4", "f4")])
@pytest.mark.usefixtures("nothing_runs")
def test_types_are_known_without_computing(given, result, blocks):
    x = np.arange(16).reshape(4, 4).astype(given)
    lazy = da.from_array(x, chunks=blocks)
    for reduction, targets in itertools.product(("none", "mean"), ([1, 2, 0, 3], np.full((4, 4), 0.25))):
        loss = cross_entropy(lazy, targets, reduction=reduction)
        assert loss.dtype == loss._meta.dtype == result
        assert type(loss._meta) is np.ndarray
        assert loss._meta.ndim == loss.ndim
        with dask.config.set(scheduler="sync"):
            got = loss.compute()
        assert got.dtype == result
        wanted = smoothmax.cross_entropy(x, targets, reduction=reduction)
        np.testing.assert_allclose(got, wanted, rtol=2 * np.finfo(result).eps)


@pytest.mark.parametrize("kind", ["i1", "u1", "u8", ">i4"])
@pytest.mark.parametrize("blocks", [(7, 11), (7, 4)], ids=str)
def test_targets_of_any_integer_type(kind, blocks):
    targets = TARGETS.astype(kind)
    targets[2] = ignored = 100
    got = cross_entropy(da.from_array(X, chunks=blocks), targets, ignore_index=ignored).compute(scheduler="sync")
    np.testing.assert_allclose(got, smoothmax.cross_entropy(X, targets, ignore_index=ignored), rtol=1e-14)


@pytest.mark.parametrize("blocks", [(7, 11), (7, 4)], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("dtype", "wrong"), [("i8", -1), ("i8", 11), ("u8", 2**64 - 100)])
def test_a_target_that_is_no_class_is_named_when_it_is_computed(blocks, smoothing, dtype, wrong):
    targets = TARGETS.astype(dtype)
    targets[9] = wrong
    with dask.config.set(scheduler=no_task):
        loss = cross_entropy(da.from_array(X, chunks=blocks), da.from_array(targets, chunks=7),
                             label_smoothing=smoothing, ignore_index=-100)  # fmt: skip
    with pytest.raises(IndexError) as caught:
        loss.compute(scheduler="sync")
    advice = "; ignore_index=-1 leaves such targets out of a loss" if wrong == -1 else ""
    assert str(caught.value) == f"targets must be in range(11), the number of classes, got {wrong}{advice}"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda x, t: cross_entropy(x, t, 5),
            np.exceptions.AxisError,
            "axis 5 is out of bounds for array of dimension 2",
        ),
        (lambda x, t: cross_entropy(x, t, (1,)), TypeError, "axis must be an int, got (1,)"),
        (
            lambda x, t: cross_entropy(x, t[:3]),
            ValueError,
            "targets must have shape (4,), of class indices, or (4, 4), of probabilities, got (3,)",
        ),
        (
            lambda x, t: cross_entropy(x, t * 1.0),
            TypeError,
            "targets of shape (4,) must be class indices of an integer type, got dtype float64",
        ),
        (
            lambda x, _: cross_entropy(x, x, ignore_index=1),
            ValueError,
            "ignore_index must be None where targets are probabilities, got 1",
        ),
        (
            lambda x, t: cross_entropy(x, t, weight=[1, 2]),
            ValueError,
            "weight must have shape (4,), one for each class, got (2,)",
        ),
        (
            lambda x, t: cross_entropy(x, t, label_smoothing=2),
            ValueError,
            "label_smoothing must be between 0 and 1, got 2",
        ),
        (
            lambda x, t: cross_entropy(x, t, reduction="all"),
            ValueError,
            "reduction must be 'none', 'sum' or 'mean', got 'all'",
        ),
        (
            lambda x, t: cross_entropy(da.ma.masked_equal(x, 1), t),
            TypeError,
            "logits must not be a masked array: pass its filled(value)",
        ),
        (
            lambda *_: cross_entropy(da.ones((4, 3, 7)), da.ones((4, 7), dtype=int)),
            ValueError,
            "targets must have shape (4, 3), of class indices, or (4, 3, 7), of probabilities, got (4, 7); if the "
            "classes lie along axis 1, as PyTorch has them, pass axis=1",
        ),
        (
            lambda x, t: cross_entropy(x * 1j, t),
            TypeError,
            "logits must be of float64, float32, float16, bfloat16, an integer type or bool, got dtype complex128",
        ),
        (
            lambda x, t: cross_entropy(x.T[x[0] > 0].T, t),
            ValueError,
            "the number of classes along axis -1 must be known: logits.compute_chunk_sizes() counts it",
        ),
    ],
)
@pytest.mark.usefixtures("nothing_runs")
def test_refused_before_anything_is_computed(call, error, text):
    with pytest.raises(error) as caught:
        call(da.ones((4, 4), chunks=2), da.from_array(np.array([0, 1, 2, 3]), chunks=2))
    assert str(caught.value) == text


@pytest.mark.usefixtures("nothing_runs")
def test_the_loss_of_a_dask_array_is_a_dask_array():
    x = da.from_array(X, chunks=7)
    results = [smoothmax.cross_entropy(x, TARGETS), smoothmax.cross_entropy(X, da.from_array(TARGETS, chunks=5))]
    assert all(isinstance(result, da.Array) for result in results)
    with dask.config.set(scheduler="sync"):
        for result in results:
            np.testing.assert_allclose(result.compute(), smoothmax.cross_entropy(X, TARGETS), rtol=1e-14)


@pytest.mark.parametrize("chunks", [(1, 2), (3, 2), (1, 1)])
@pytest.mark.parametrize("w", [1e308, 1e-310, 5e-324])
def test_a_mean_is_finite_whatever_factor_its_weights_share(chunks, w):
    """The factor cancels, but products of weights and losses are out of range with it, and so is their sum."""
    for row, scale in (([0.4, 0.0], 1.0), ([0.0, 10.0], 1.0)):
        x = np.array([row] * 3)
        wanted = smoothmax.cross_entropy(x, [0, 0, 0]) * scale
        weight = np.array([w, w])
        for number in (1, 3):
            got = smoothmax.cross_entropy(x[:number], [0] * number, weight=weight)
            assert got == pytest.approx(wanted, rel=1e-14)
        lazy = smoothmax.dask.cross_entropy(da.from_array(x, chunks=chunks), [0, 0, 0], weight=weight)
        assert lazy.compute() == pytest.approx(wanted, rel=1e-14)


@pytest.mark.skipif(np.finfo(np.longdouble).maxexp <= 1024, reason="longdouble has no wider range than float64")
@pytest.mark.parametrize("chunks", [(1, 2), (2, 2), (2, 1)])
def test_a_mean_is_finite_where_its_losses_are(chunks):
    x = np.array([[1e308, -7e307]] * 2)
    wanted = smoothmax.cross_entropy(x, [1, 1])
    assert smoothmax.dask.cross_entropy(da.from_array(x, chunks=chunks), [1, 1]).compute() == wanted == 1.7e308


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("lazy", [False, True])
def test_losses_do_not_vanish_before_extreme_weights_multiply_them(kind, smoothing, lazy):
    """The losses of confident right answers are below float32's least number, but their products with weights are not.

    The weights of wrong answers are 0, so that smoothing adds nothing.
    """
    gap = 20 if kind == np.float16 else 120
    x = np.array([[gap, 0, 0]] * 3, kind)
    weight = np.array([np.exp(gap) / 8, 0, 0])
    given = da.from_array(weight, chunks=2) if lazy else weight
    for reduction in ("none", "sum"):
        arguments = {"label_smoothing": smoothing, "reduction": reduction}
        got = cross_entropy(da.from_array(x, chunks=(2, 2)), [0] * 3, weight=given, **arguments).compute()
        exact, _ = losses_and_gradients(x, np.zeros(3, int), weight, None, smoothing, reduction)
        assert np.max(ulp_error(got, exact)) <= REDUCED_LOSS


def test_probabilities_keep_their_range():
    x = np.array([[100, 0]], np.float32)
    targets = np.array([[1e40, 0]])
    got = cross_entropy(da.from_array(x, chunks=1), targets).compute()
    assert got == smoothmax.cross_entropy(x, targets) == pytest.approx(1e40 * np.exp(-100), rel=1e-6)


@pytest.mark.parametrize("classes", [0, 3])
def test_a_single_position_that_is_ignored_is_right_without_classes(classes):
    x = da.zeros((classes,), chunks=1)
    assert np.isnan(cross_entropy(x, np.array(5), ignore_index=5).compute())
    assert cross_entropy(x, np.array(5), ignore_index=5, reduction="sum").compute() == 0
    with pytest.raises(IndexError, match=rf"^targets must be in range\({classes}\), the number of classes, got 5$"):
        cross_entropy(x, np.array(5)).compute()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["classes", "probable"])
@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_blocks_are_scaled_and_shifted(dtype, blocks, kind, smoothing):
    x, targets = X.astype(dtype), PROBABLE.astype(dtype) if kind == "probable" else TARGETS
    promise = SOFT_LOSS if kind == "probable" or smoothing else LOSS
    row, column = RNG.normal(size=CLASSES).astype(dtype), RNG.normal(size=(ROWS, 1)).astype(dtype)
    for add in (None, 0.25, row, da.from_array(column, chunks=5)):
        y = x * dtype(1.7) + (0 if add is None else np.asarray(add, dtype))
        given = {"label_smoothing": smoothing, "reduction": "none"}
        result = cross_entropy(da.from_array(x, chunks=blocks), targets, scale=1.7, add=add, **given)
        exact, _ = losses_and_gradients(y, targets, None, None, smoothing, "none")
        got = result.compute(scheduler="sync")
        assert got.dtype == dtype
        assert np.max(ulp_error(got, exact)) <= promise
    whole = smoothmax.cross_entropy(da.from_array(x[:1], chunks=4), TARGETS, add=da.from_array(column, chunks=5))
    np.testing.assert_allclose(whole.compute(), smoothmax.cross_entropy(x[:1], TARGETS, add=column), rtol=1e-5)
