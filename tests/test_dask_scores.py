"""top_log_probs and categorical of dask arrays have the results of the whole array, in any blocks."""

import numpy as np
import pytest
from numpy.exceptions import AxisError

import smoothmax

da = pytest.importorskip("dask.array")
import smoothmax.dask as lazy  # noqa: E402

RNG = np.random.default_rng(20261207)


@pytest.fixture(autouse=True)
def in_this_thread():
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


def computed(pair):
    import dask

    assert all(isinstance(one, da.Array) for one in pair)
    values, indices = dask.compute(*pair)
    assert (values.dtype, indices.dtype) == (pair[0].dtype, pair[1].dtype)
    assert values.shape == pair[0].shape == indices.shape == pair[1].shape
    return values, indices


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.int8, np.uint8, bool])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("chunks", [(4, 90), (9, 31), (2, (1, 50, 39)), (9, 90), (1, 5)])
def test_the_best_of_blocks(chunks, axis, kind):
    x = (RNG.normal(size=(9, 90)) * 3).round(1).astype(kind)
    for k in (1, 6, x.shape[axis]):
        values, indices = computed(lazy.top_log_probs(da.from_array(x, chunks), k, axis, split_every=2))
        expected, places = smoothmax.top_log_probs(x, k, axis)
        np.testing.assert_array_equal(indices, places)
        assert values.dtype == expected.dtype
        np.testing.assert_allclose(values, expected, rtol=2e-3 if kind == np.float16 else 1e-6)


def test_three_axes_and_the_function_of_the_package(dtype):
    x = RNG.normal(size=(3, 40, 5)).astype(dtype)
    values, indices = computed(smoothmax.top_log_probs(da.from_array(x, (2, 7, 3)), 4, 1))
    expected, places = smoothmax.top_log_probs(x, 4, 1)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize("chunk", [3, 4, 20])
def test_special_values_are_those_of_the_whole_array(chunk, dtype):
    x = RNG.normal(size=(6, 20)).astype(dtype)
    x[0, 11], x[1], x[2, [5, 19]], x[3, [0, 8]] = np.nan, -np.inf, np.inf, (np.inf, np.nan)
    x[4, :10] = -np.inf
    x[5] = np.inf
    values, indices = computed(lazy.top_log_probs(da.from_array(x, (6, chunk)), 7))
    expected, places = smoothmax.top_log_probs(x, 7)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_no_results_and_unknown_lengths():
    x = da.from_array(RNG.normal(size=(9, 20)), (4, 5))
    assert computed(lazy.top_log_probs(x, 0))[0].shape == (9, 0)
    some = x[x[:, 0] > -5]
    import dask

    values, indices = dask.compute(*lazy.top_log_probs(some, 3))
    np.testing.assert_array_equal(indices, smoothmax.top_log_probs(x.compute(), 3)[1])
    assert values.shape == (9, 3)


@pytest.mark.parametrize("size", [None, (7, 3, 5), (2, 7, 3, 5)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_draws_are_those_of_the_whole_array(axis, size, dtype):
    x = np.moveaxis(RNG.normal(size=(3, 5, 40)).astype(dtype), -1, axis)
    chunks = tuple(-1 if i == axis else 2 for i in range(3))
    drawn = lazy.categorical(da.from_array(x, chunks), axis, size=size, scale=1.3, rng=9)
    assert isinstance(drawn, da.Array)
    expected = smoothmax.categorical(x, axis, size=size, scale=1.3, rng=9)
    assert drawn.dtype == np.intp
    for _ in range(2):
        np.testing.assert_array_equal(drawn.compute(), expected)


def test_rows_broadcast_to_the_size():
    x = RNG.normal(size=(3, 1, 40))
    drawn = smoothmax.categorical(da.from_array(x, (2, 1, 40)), size=(5, 3, 4), rng=9)
    np.testing.assert_array_equal(drawn.compute(), smoothmax.categorical(x, size=(5, 3, 4), rng=9))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: lazy.top_log_probs(x, 21), ValueError, "k must be at most 20, the length of axis -1, got 21"),
        (lambda x: lazy.top_log_probs(x, -1), ValueError, "k must not be negative, got -1"),
        (lambda x: lazy.top_log_probs(x, 2.0), TypeError, "k must be an int, got 2.0"),
        (lambda x: lazy.top_log_probs(x, 2, None), TypeError, "axis must be an int, got None"),
        (lambda x: lazy.top_log_probs(x, 2, 2), AxisError, "axis 2 is out of bounds for array of dimension 2"),
        (
            lambda x: lazy.top_log_probs(x.astype("G"), 2),
            TypeError,
            "dtype must be float32, float64, float16 or bfloat16, got ",
        ),
        (
            lambda x: lazy.top_log_probs(x.T[x[0] > 0].T, 2),
            ValueError,
            "the number of logits along axis -1 must be known: logits.compute_chunk_sizes() counts it",
        ),
        (
            lambda x: lazy.categorical(x),
            ValueError,
            "logits must lie in one chunk along axis -1 to be drawn from, got 4: logits.rechunk({-1: -1}) joins them",
        ),
        (
            lambda x: lazy.categorical(x[x[:, 0] > 0], 1),
            ValueError,
            "the shape of logits must be known, got (nan, 20): logits.compute_chunk_sizes() counts it",
        ),
        (
            lambda x: lazy.categorical(x.rechunk({1: -1}), size=3),
            ValueError,
            "size must be a shape that (9,), the shape of logits without the axis, broadcasts to, got 3",
        ),
        (
            lambda x: lazy.categorical(x.rechunk({1: -1}), scale=1j),
            TypeError,
            "scale must be real for real input, got 1j",
        ),
    ],
)
def test_errors_before_anything_is_computed(call, error, text):
    def never(_):
        raise AssertionError("computed")

    x = da.from_array(np.zeros((9, 20)), (4, 5)).map_blocks(never, dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(error) as raised:
        call(x)
    assert str(raised.value).startswith(text)


def test_a_row_without_a_distribution_is_an_error_of_its_task():
    x = np.zeros((4, 20))
    x[3, 2] = np.nan
    drawn = lazy.categorical(da.from_array(x, (2, 20)), rng=0)
    with pytest.raises(ValueError, match="logits must not have nan, inf or -inf alone along the axis, got nan"):
        drawn.compute()
