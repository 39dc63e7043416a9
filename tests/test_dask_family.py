"""smoothmax.dask's means, scans and segments, and ufuncs of Dask arrays: lazy, in any blocks, within the bounds."""

import dask
import dask.array as da
import numpy as np
import pytest
from bounds import LOGCUMSUMEXP, bound
from exact_prefixes import prefixes, worst
from oracle import reference, ulp_error

import smoothmax
import smoothmax.dask as lazy
from smoothmax._scale import dask_segments

RNG = np.random.default_rng(29)
X = RNG.normal(size=(5, 12, 7)) * 20
B = RNG.uniform(0.1, 2, size=(5, 1, 7))
MASK = RNG.random((12, 7)) < 0.7
BLOCKS = [(5, 12, 7), (3, 4, 5), ((2, 0, 3), (4, 8), (7,))]
AXES = [None, 0, -1, (0, 2), ()]


def no_task(*_):
    raise AssertionError("computed something")


@pytest.fixture
def nothing_runs():
    with dask.config.set(scheduler=no_task):
        yield


def of_unknown_length(x, *, chunks):
    """A Dask array of these elements with an unknown first length."""
    wider = np.concatenate([x, x[:1]])
    chosen = da.from_array(wider, chunks=chunks)[da.from_array(np.arange(len(wider)) < len(x), chunks=chunks)]
    assert np.isnan(chosen.shape[0])
    return chosen


# Means ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_means_are_those_of_one_call(axis, blocks, dtype):
    x, mask, b = X.astype(dtype), da.from_array(MASK, chunks=(8, 7)), da.from_array(B.astype(dtype), chunks=(2, 1, 3))
    add = RNG.normal(size=(12, 1)).astype(dtype)
    for i, (lazily, plainly) in enumerate((
        ({}, {}), ({"where": mask}, {"where": MASK}), ({"b": b}, {"b": B.astype(dtype)}), ({"b": 2}, {"b": 2}),
        ({"b": b, "where": mask}, {"b": B.astype(dtype), "where": MASK}),
        ({"add": add, "scale": -0.5}, {"add": add, "scale": -0.5}),
    )):  # fmt: skip
        wanted = smoothmax.logmeanexp(x, axis, keepdims=i % 2, **plainly)
        got = lazy.logmeanexp(da.from_array(x, chunks=blocks), axis, keepdims=i % 2, **lazily)
        value = got.compute(scheduler="sync")
        assert (got.shape, got.dtype) == (value.shape, value.dtype) == (wanted.shape, dtype)
        np.testing.assert_allclose(value, wanted, rtol=1e-13 if dtype is np.float64 else 5e-6)


def test_a_mean_near_1_keeps_its_digits():
    x = da.from_array([0.0, -1e-10, 0.0, -3e-10], chunks=1)
    assert lazy.logmeanexp(x).compute(scheduler="sync") == pytest.approx(-1e-10, rel=1e-9)
    got, wanted = lazy.logmeanexp(x).compute(scheduler="sync"), smoothmax.logmeanexp([0.0, -1e-10, 0.0, -3e-10])
    assert abs(got - wanted) <= np.spacing(abs(wanted))


def test_means_of_empty_arrays_and_unknown_lengths_are_right():
    x = of_unknown_length(X, chunks=2)
    np.testing.assert_allclose(lazy.logmeanexp(x, 0).compute(scheduler="sync"), smoothmax.logmeanexp(X, 0), rtol=1e-14)
    got = lazy.logmeanexp(x, b=da.from_array(B[:1], chunks=1)).compute(scheduler="sync")
    assert got == pytest.approx(smoothmax.logmeanexp(X, b=B[:1]), rel=1e-14)
    assert np.isnan(lazy.logmeanexp(da.zeros((0,))).compute(scheduler="sync"))
    got = lazy.logmeanexp(da.zeros((3, 2), chunks=2), 1, where=da.zeros((3, 1), chunks=2, dtype=bool))
    np.testing.assert_array_equal(got.compute(scheduler="sync"), [np.nan] * 3)


def test_weights_beyond_the_range_of_float32_have_a_mean():
    x = da.from_array(np.float32([10, 20]), chunks=1)
    for b in (1e-60, 1e300):
        got = lazy.logmeanexp(x, b=b)
        assert got.dtype == np.float32
        assert got.compute(scheduler="sync") == smoothmax.logmeanexp(np.float32([10, 20]))


# Scans ---------------------------------------------------------------------------------------------------------------

FAMILIES = {
    "normal": RNG.normal(size=300) * 5,
    "rising": np.arange(300) * 7.0 - 1000,
    "falling": np.arange(300) * -3.0,
    "tiny beside 0": np.r_[0.0, np.full(200, -80.0)],
    "results near 0": np.full(200, -np.log(2.0)) + RNG.normal(size=200) * 1e-9,
    "nothing first": np.r_[np.full(150, -np.inf), RNG.normal(size=150)],
    "far apart": np.array([-690.0, 0, -700, -745, 5, 700, 1e4, -1e4]),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("together", [False, True], ids=["row", "columns"])
def test_every_prefix_has_the_bound(family, together, dtype):
    x = FAMILIES[family].astype(dtype)
    pairs = prefixes(x)
    y = np.repeat(x[:, None], 30, axis=1) if together else x
    for length in (1, 7, 64) if not together and len(x) < 10 else (7, 64):
        blocks = da.from_array(y, chunks=(length, 17) if together else length)
        for options, exact in (({}, pairs), ({"exclusive": True}, pairs[:-1])):
            results = lazy.logcumsumexp(blocks, 0, **options).compute(scheduler="sync")
            assert results.dtype == dtype
            results = results[:, 20] if together else results
            assert not options or results[0] == -np.inf
            assert worst(results[len(options) :], exact)[0] <= LOGCUMSUMEXP
        backwards = lazy.logcumsumexp(blocks[::-1], 0, reverse=True).compute(scheduler="sync")[::-1]
        assert worst(backwards[:, 20] if together else backwards, pairs)[0] <= LOGCUMSUMEXP


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"exclusive": True}, {"reverse": True, "exclusive": True}])
def test_scans_are_those_of_one_call(axis, blocks, options):
    got = lazy.logcumsumexp(da.from_array(X, chunks=blocks), axis, **options)
    wanted = smoothmax.logcumsumexp(X, axis, **options)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got.compute(scheduler="threads"), wanted, rtol=1e-14)


def test_special_values_reach_all_later_blocks():
    x = np.array([0.0, 1.0, np.inf, 2.0, np.nan, 3.0, -np.inf])
    for length in (1, 2, 3):
        for options in ({}, {"exclusive": True}, {"reverse": True}):
            got = lazy.logcumsumexp(da.from_array(x, chunks=length), **options).compute(scheduler="sync")
            np.testing.assert_array_equal(got, smoothmax.logcumsumexp(x, **options))


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3), (2, 0, 0), (0, 3)])
def test_scans_of_all_elements_where_there_are_none(shape):
    result = lazy.logcumsumexp(da.from_array(np.zeros(shape, "f4"), chunks=1), exclusive=True)
    assert result.dtype == np.float32
    assert result.compute().shape == (0,)


def test_scans_of_scalars_empty_arrays_and_unknown_lengths_are_right():
    assert lazy.logcumsumexp(da.from_array(3.0)).compute(scheduler="sync") == [3.0]
    assert lazy.logcumsumexp(da.zeros((0, 3)), 0).compute(scheduler="sync").shape == (0, 3)
    got = lazy.logcumsumexp(of_unknown_length(X, chunks=2), 0).compute(scheduler="sync")
    np.testing.assert_allclose(got, smoothmax.logcumsumexp(X, 0), rtol=1e-14)
    got = lazy.logcumsumexp(da.ones(4, chunks=2, dtype="f2"))
    assert got.dtype == got.compute(scheduler="sync").dtype == np.float16


# Segments ------------------------------------------------------------------------------------------------------------

OFFSETS = [
    [0, 3, 3, 7, 12], [0, 12], [0, 0, 12, 12], list(range(13)), [0, 1, 2, 11, 12], [0, 5, 5, 5, 6, 12, 12],
]  # fmt: skip
SEGMENTS = ("segment_logsumexp", "segment_softmax", "segment_log_softmax")


@pytest.mark.parametrize("segments", SEGMENTS)
@pytest.mark.parametrize("offsets", OFFSETS, ids=str)
def test_segments_are_those_of_one_call(segments, offsets, dtype):
    x = X.astype(dtype)
    for blocks in BLOCKS:
        got = getattr(lazy, segments)(da.from_array(x, chunks=blocks), np.array(offsets), 1)
        wanted = getattr(smoothmax, segments)(x, offsets, 1)
        assert (got.shape, got.dtype) == (wanted.shape, dtype)
        value = got.compute(scheduler="threads")
        assert value.shape == wanted.shape
        np.testing.assert_allclose(value, wanted, rtol=1e-14 if dtype is np.float64 else 1e-6)
    single = getattr(lazy, segments)(da.from_array(x[0, :, 0], chunks=5), offsets)
    np.testing.assert_array_equal(
        single.compute(scheduler="sync"), getattr(smoothmax, segments)(x[0, :, 0], np.array(offsets))
    )


def test_blocks_are_cut_where_segments_end():
    """No block holds more than its own elements and the rest of one segment."""
    offsets = np.arange(0, 1001, 10)
    result = lazy.segment_softmax(da.zeros(1000, chunks=105), offsets)
    assert result.chunks == ((110, 100, 110, 100, 110, 100, 110, 100, 110, 50),)
    sums = lazy.segment_logsumexp(da.zeros(1000, chunks=105), offsets)
    assert sums.chunks == ((11, 10, 11, 10, 11, 10, 11, 10, 11, 5),)
    assert dask_segments.groups_of(np.array([0, 0, 4, 4, 4]), (2, 2, 0)) == [(0, 4)]


def test_segments_of_empty_arrays_are_empty_sums():
    for offsets in ([0], [0, 0, 0]):
        got = lazy.segment_logsumexp(da.zeros((0, 3)), offsets).compute(scheduler="sync")
        np.testing.assert_array_equal(got, np.full((len(offsets) - 1, 3), -np.inf))


# What is refused -----------------------------------------------------------------------------------------------------

IN_MEMORY = "must be in memory, got a dask array: pass its compute(), or call a function of smoothmax.dask"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: lazy.logmeanexp(x, 5), np.exceptions.AxisError, "axis 5 is out of bounds for array of dimension 2"),
        (lambda x: lazy.logmeanexp(x * 1j), TypeError,
         "dtype must be float32, float64, float16 or bfloat16, got complex128"),
        (lambda x: lazy.logcumsumexp(x, 2), np.exceptions.AxisError,
         "axis 2 is out of bounds for array of dimension 2"),
        (lambda x: lazy.logcumsumexp(x, (0,)), TypeError, "axis must be None or an int, got (0,)"),
        (lambda x: lazy.segment_softmax(x, [0, 3]), ValueError,
         "offsets must end with 4, the length of the axis, got offsets[1] = 3"),
        (lambda x: lazy.segment_softmax(x, [0, 4], None), TypeError, "axis must be an int, got None"),
        (lambda x: lazy.segment_softmax(x, [0, 4], 2), np.exceptions.AxisError,
         "axis 2 is out of bounds for array of dimension 2"),
        (lambda x: lazy.segment_softmax(x[x[:, 0] > 0], [0, 4]), ValueError,
         "a must be of known length along the axis; compute_chunk_sizes() of a dask array finds it"),
        (lambda x: lazy.segment_softmax(x, da.from_array([0, 4])), TypeError, f"offsets {IN_MEMORY}"),
        (lambda x: smoothmax.segment_softmax(x.shape, da.from_array([0, 2])), TypeError, f"offsets {IN_MEMORY}"),
        (lambda x: smoothmax.offsets_from_ids(x[0]), TypeError, f"ids {IN_MEMORY}"),
        (lambda x: smoothmax.log_prob(x, [0] * 4), TypeError, f"logits {IN_MEMORY}"),
        (lambda x: smoothmax.logsumexp_and_softmax(x), TypeError, f"a {IN_MEMORY}"),
        (lambda x: smoothmax.LogSumExp().update(x), TypeError, f"a {IN_MEMORY}"),
        (lambda x: smoothmax.logmeanexp(x, out=np.zeros(())), TypeError,
         "out must be None for a dask array, whose results are those of smoothmax.dask, got ndarray"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_runs")
def test_refused_before_anything_is_computed(call, error, text):
    with pytest.raises(error) as caught:
        call(da.ones((4, 4), chunks=2))
    assert str(caught.value) == text


# The functions of smoothmax ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_runs")
def test_functions_of_dask_arrays_are_dask_arrays():
    x = da.from_array(X, chunks=4)
    calls = {
        "logmeanexp": (1,), "logcumsumexp": (1,), "segment_logsumexp": ([0, 2, 5],), "segment_softmax": ([0, 2, 5],),
        "segment_log_softmax": ([0, 2, 5],),
    }  # fmt: skip
    for name, arguments in calls.items():
        result = getattr(smoothmax, name)(x, *arguments)
        assert isinstance(result, da.Array)
        wanted = getattr(smoothmax, name)(X, *arguments)
        with dask.config.set(scheduler="sync"):
            np.testing.assert_allclose(result.compute(), wanted, rtol=1e-13)


@pytest.mark.usefixtures("nothing_runs")
def test_ufuncs_of_dask_arrays_are_dask_arrays():
    x, y = da.from_array(X, chunks=4), da.from_array(RNG.normal(size=(12, 1)), chunks=5)
    for name in ("logaddexp", "logsubexp", "log1mexp", "log1pexp", "log_expit"):
        function = getattr(smoothmax, name)
        lazily, plainly = ((x, y), (X, y)) if function.nin == 2 else ((x,), (X,))
        result = function(*lazily)
        assert isinstance(result, da.Array)
        with dask.config.set(scheduler="sync"):
            plainly = [np.asarray(one.compute()) if isinstance(one, da.Array) else one for one in plainly]
            np.testing.assert_array_equal(result.compute(), function(*plainly))


def test_means_and_scans_take_what_one_call_takes_of_a_bound():
    """The reductions share their partial sums, so the last element of a long scan is logsumexp."""
    x = RNG.normal(size=20_000) * 3
    blocks = da.from_array(x, chunks=1700)
    exact = reference("logsumexp", x, None)
    assert ulp_error(lazy.logcumsumexp(blocks)[-1].compute(scheduler="sync"), exact) <= bound("logsumexp", x.size)
