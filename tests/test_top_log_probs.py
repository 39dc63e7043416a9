"""top_log_probs: the k largest elements of log_softmax and where they are, found without sorting a row."""

import tracemalloc

import numpy as np
import pytest
from bounds import HALF, LOG_SOFTMAX, LONGDOUBLE
from layouts import LAYOUTS
from numpy.exceptions import AxisError
from oracle import reference, ulp_error

import smoothmax
from smoothmax import log_softmax, top_log_probs
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
SORTED, BUCKETS = LIMITS["TOP_SORTED_ELEMENTS"], LIMITS["TOP_BUCKETS"]
SORT_BUCKETS, FULL = LIMITS["TOP_SORT_BUCKETS"], LIMITS["TOP_BUCKET_ELEMENTS"]
BLOCKS = {np.float32: LIMITS["ROW_BLOCK_BYTES"] // 4, np.float64: LIMITS["ROW_BLOCK_BYTES"] // 8}
PIECES = {np.float32: LIMITS["ROW_PIECE_BYTES"] // 4, np.float64: LIMITS["ROW_PIECE_BYTES"] // 8}
TEXT = "logits must be an array of numbers, got dtype <U1; astype(float) makes numbers of text"
RNG = np.random.default_rng(20261205)
FAMILIES = {
    "normal": lambda n: RNG.normal(size=n) * 3,
    "rising": lambda n: np.arange(n) * 0.01,
    "falling": lambda n: np.arange(n) * -0.01,
    "equal": lambda n: np.full(n, 0.25),
    "few values": lambda n: RNG.integers(0, 3, n) * 1.0,
    "a far maximum": lambda n: np.r_[RNG.normal(size=n - 1), 900.0],
    "zeros of both signs": lambda n: np.where(RNG.random(n) < 0.5, 0.0, -0.0),
    "hidden": lambda n: np.where(RNG.random(n) < 0.9, -np.inf, RNG.normal(size=n)),
    "subnormal": lambda n: RNG.integers(-9, 9, n) * 1e-45,
    "organ pipe": lambda n: np.minimum(np.arange(n), np.arange(n)[::-1]) * 0.1,
}


def best(x, k):
    """A slow twin: the places of the k largest elements of each row, of equal elements those of lower index."""
    places = np.broadcast_to(np.arange(x.shape[-1]), x.shape)
    return np.lexsort((places, -x), axis=-1)[..., :k]


def check(x, k, **how):
    values, indices = top_log_probs(x, k, **how)
    assert values.shape == indices.shape == (*x.shape[:-1], k)
    assert values.dtype == x.dtype
    assert indices.dtype == np.intp
    np.testing.assert_array_equal(indices, best(x, k))
    return values, indices


def lengths(dtype):
    block, piece = BLOCKS[dtype], PIECES[dtype]
    lanes, group = LIMITS["LANE_BYTES"] // np.dtype(dtype).itemsize, LIMITS["TOP_GROUP_ROWS"]
    around = [n + d for n in (lanes, lanes * group, 2 * lanes * group, block) for d in (-1, 0, 1)]
    return [2, 10, *around, 3 * block - 5, piece + 3, 3 * piece + 1]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_of_every_length(family, dtype):
    for n in lengths(dtype):
        x = FAMILIES[family](n).astype(dtype)
        for k in {1, min(20, n), min(SORTED, n), min(SORTED + 1, n)}:
            values, indices = check(x, k)
            np.testing.assert_array_equal(values, log_softmax(x)[indices])


@pytest.mark.parametrize("family", FAMILIES)
def test_any_number_of_results(family, dtype):
    """Candidates are inserted up to SORTED, and selected above, by buckets if there are more candidates than those."""
    block = BLOCKS[dtype]
    for n in (BUCKETS, BUCKETS + 1, block + 1, 5 * block):
        x = FAMILIES[family](n).astype(dtype)
        for k in (SORTED - 1, SORTED + 2, BUCKETS, BUCKETS + 1, n // 2, block - 1, block + 1, n - 1, n):
            if k <= n:
                values, indices = check(x, k)
                np.testing.assert_array_equal(values, log_softmax(x)[indices])


@pytest.mark.parametrize("crowd", [0, FULL - 1, FULL, FULL + 1])
def test_sorts_by_buckets_and_by_digits(crowd, dtype):
    """Elements that are spread evenly, and as many close together as fit into a bucket, with equal ones among them."""
    for n in (
        SORTED + 1,
        SORT_BUCKETS - 1,
        SORT_BUCKETS + 1,
        SORT_BUCKETS * FULL // 4 - 1,
        SORT_BUCKETS * FULL // 4 + 1,
    ):
        x = np.linspace(-500, 500, n)
        x[:crowd] = 0.25 + RNG.integers(0, 20, crowd) * 1e-6
        check(RNG.permutation(x).astype(dtype), n)


@pytest.mark.parametrize("family", FAMILIES)
def test_short_rows_side_by_side_have_the_results_of_rows(family, dtype):
    """Columns of tiles, on both sides of every limit, with rows of special values among the others."""
    most, some, columns = LIMITS["TOP_TILE_BEST_ELEMENTS"], LIMITS["SCORE_TILE_MIN_ROWS"], LIMITS["TILE_COLUMNS"]
    for n in (1, 2, 10, LIMITS["TOP_TILE_ELEMENTS"], LIMITS["TOP_TILE_ELEMENTS"] + 1):
        for rows in (some - 1, some, columns, 2 * columns + 3):
            x = np.array([FAMILIES[family](n) for _ in range(rows)]).astype(dtype)
            for k in {1, min(n, 3), min(n, most), min(n, most + 1)}:
                values, indices = check(x, k)
                expected = np.take_along_axis(log_softmax(x, 1), indices, 1)
                np.testing.assert_allclose(values, expected, rtol=4 * np.finfo(dtype).eps)
    x[[0, 2]], x[3, 1], x[4, 1] = -np.inf, np.nan, np.inf
    for k in (1, most):
        values, indices = top_log_probs(x[:, :9], min(k, 9))
        np.testing.assert_array_equal(indices[[0, 2, 3]], [range(min(k, 9))] * 3)
        others = np.setdiff1d(np.arange(rows), [0, 2, 3])
        np.testing.assert_array_equal(indices[others], best(x[others, :9], min(k, 9)))
        expected = np.take_along_axis(log_softmax(x[:, :9], 1), indices, 1)
        np.testing.assert_allclose(values, expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("n", [1, 7, 100, 5000, 40000])
def test_values_have_the_bound(n, dtype):
    x = (RNG.normal(size=(7, n)) * 20).astype(dtype)
    values, indices = check(x, min(n, 16))
    for row, value, index in zip(x, values, indices, strict=True):
        assert ulp_error(value, reference("log_softmax", row, 0)[index]).max() <= LOG_SOFTMAX


def test_rounding_does_not_reorder_the_logits():
    """Both log-probabilities are rounded to -1e17, and the first of the two logits is the smaller."""
    values, indices = top_log_probs([3.0, 4.0, 1e17], 3)
    np.testing.assert_array_equal(indices, [2, 1, 0])
    np.testing.assert_array_equal(values, [0.0, -1e17, -1e17])


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "two_axes"])
@pytest.mark.parametrize("n", [12, 700, 9000])
@pytest.mark.parametrize("k", [3, SORTED + 9])
def test_layouts_have_the_same_bits(layout, n, k, dtype):
    """Rows of any layout have the bits of contiguous rows, since all of them are taken as rows."""
    rows = (RNG.normal(size=(LIMITS["SCORE_ROWS"] + 5, n)) * 3).round(1).astype(dtype)
    k = min(k, n)
    array, axis, _ = LAYOUTS[layout](rows)
    values, indices = top_log_probs(array, k, axis)
    expected, places = check(rows, k)
    np.testing.assert_array_equal(np.moveaxis(indices, axis, -1), places)
    np.testing.assert_array_equal(np.moveaxis(values, axis, -1), expected)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -4])
def test_every_axis_of_every_layout_gives_its_largest(axis):
    x = RNG.normal(size=(4, 5, 6, 7))
    for given in (x, np.asfortranarray(x), x.transpose(2, 0, 3, 1), np.broadcast_to(x[:, :1], x.shape)):
        values, indices = top_log_probs(given, 3, axis)
        expected = best(np.moveaxis(given, axis, -1), 3)
        np.testing.assert_array_equal(indices, np.moveaxis(expected, -1, axis))
        log_p = np.take_along_axis(log_softmax(given, axis), indices, axis)
        np.testing.assert_allclose(values, log_p, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.uint64, np.int64, bool, ">f4", ">f2", ">i4"])
def test_other_types(kind):
    x = (RNG.normal(size=(5, 300)) * 4).astype(kind)
    for k in (7, 100):
        values, indices = top_log_probs(x, k)
        wide = x.astype(np.float64)
        np.testing.assert_array_equal(indices, best(wide, k))
        result = np.dtype(kind).newbyteorder("=") if np.dtype(kind).kind == "f" else np.dtype(np.float64)
        assert values.dtype == result
        expected = np.take_along_axis(log_softmax(wide, 1), indices, 1)
        np.testing.assert_allclose(values, expected.astype(result), rtol=2e-3 if result.itemsize == 2 else 1e-6)


def test_longdouble_keeps_its_precision_and_special_values():
    x = RNG.normal(size=(4, 50)).astype(np.longdouble)
    x[1, 7:9], x[2, 3], x[3] = np.inf, np.nan, -np.inf
    values, indices = top_log_probs(x, 5)
    assert values.dtype == np.longdouble
    np.testing.assert_array_equal(indices[:2], best(x[:2], 5))
    np.testing.assert_array_equal(indices[2:], [range(5)] * 2)
    assert (
        ulp_error(values[0].astype(float), reference("log_softmax", x[0].astype(float), 0)[indices[0]]).max()
        < LONGDOUBLE
    )
    np.testing.assert_array_equal(values[1], [np.nan, np.nan, -np.inf, -np.inf, -np.inf])
    assert np.isnan(values[2:]).all()
    values, indices = top_log_probs(np.full(3, np.inf, np.longdouble), 3)
    np.testing.assert_array_equal(indices, [0, 1, 2])


@pytest.mark.parametrize("n", [9, 300, 30000])
def test_special_values_are_those_of_log_softmax(n, dtype):
    """Rows as log_softmax has them, on one block and on several."""
    x = RNG.normal(size=(6, n)).astype(dtype)
    x[0, n // 2] = np.nan
    x[1] = -np.inf
    x[2, [n // 3, n - 1]] = np.inf
    x[3, [1, n - 2]] = np.inf, np.nan
    x[4] = np.nan
    x[5] = np.inf
    for k in (3, min(n, SORTED + 1)):
        with np.errstate(all="raise"):
            values, indices = top_log_probs(x, k)
        np.testing.assert_array_equal(indices[[0, 1, 3, 4, 5]], [range(k)] * 5)
        np.testing.assert_array_equal(indices[2], best(x[2], k))
        np.testing.assert_array_equal(values, np.take_along_axis(log_softmax(x, 1), indices, 1))


@pytest.mark.parametrize("k", [5, SORTED + 1])
@pytest.mark.parametrize("shape", [(400, 300), (3, 200_000), (1, 400_000), (90_000, 5)])
def test_bits_do_not_depend_on_threads(shape, k, dtype):
    x = RNG.normal(size=shape).astype(dtype).round(3)
    k = min(k, shape[1])
    results = []
    for threads in (1, 2, 5):
        with smoothmax.num_threads(threads):
            results.append(top_log_probs(x, k))
    for values, indices in results[1:]:
        np.testing.assert_array_equal(values, results[0][0])
        np.testing.assert_array_equal(indices, results[0][1])
    np.testing.assert_array_equal(results[0][1], best(x, k))


def test_labels_of_other_axes_are_kept():
    """Labels stay along other axes; the axis itself has none in the results."""
    x = RNG.normal(size=(3, 40))
    values, indices = top_log_probs(x, 4)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x, index=list("abc"))
    for got, expected in zip(top_log_probs(frame, 4), (values, indices), strict=True):
        assert got.index.tolist() == list("abc")
        np.testing.assert_array_equal(got.to_numpy(), expected)
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(x, dims=("row", "token"), coords={"row": [1, 2, 3], "token": range(40)})
    for got, expected in zip(top_log_probs(array, 4), (values, indices), strict=True):
        assert got.dims == ("row", "token")
        assert got.coords["row"].to_numpy().tolist() == [1, 2, 3]
        np.testing.assert_array_equal(got.to_numpy(), expected)
    assert smoothmax.categorical(array, rng=1).dims == ("row",)
    np.testing.assert_array_equal(smoothmax.categorical(frame, rng=1).to_numpy(), smoothmax.categorical(x, rng=1))


def test_bfloat16_is_computed_in_float32():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = (RNG.normal(size=(7, 3000)) * 3).astype(ml_dtypes.bfloat16)
    for n in (60, 3000):
        values, indices = top_log_probs(x[:, :n], 9)
        wide = x[:, :n].astype(np.float32)
        np.testing.assert_array_equal(indices, best(wide, 9))
        assert values.dtype == ml_dtypes.bfloat16
        expected = np.take_along_axis(log_softmax(wide, 1), indices, 1).astype(ml_dtypes.bfloat16)
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(smoothmax.categorical(x[:, :n], rng=1), smoothmax.categorical(wide, rng=1))


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(90, 10), (90, 40), (5, 700), (3, 9000), (1, 200_000)], ids=str)
def test_halves_have_the_bound(shape, kind):
    """Rows of one block and of several also have the bits of log_softmax; tiles may be summed in another order."""
    if kind == "bfloat16":
        pytest.importorskip("ml_dtypes")
    for spread in (0.1, 2.0, 50.0):
        x = (RNG.normal(size=shape) * spread).astype(kind)
        wide = x.astype(np.float64)
        for k in {3, min(shape[1], SORTED), shape[1]}:
            values, indices = top_log_probs(x, k)
            assert values.dtype == x.dtype
            np.testing.assert_array_equal(indices, best(wide, k))
            exact = np.take_along_axis(log_softmax(wide, 1), indices, 1)
            unit = np.ldexp(1.0, np.maximum(np.frexp(exact)[1] - (11 if kind == "float16" else 8), -24))
            assert np.all(np.abs(values.astype(np.float64) - exact) <= HALF * unit)
            if explain(top_log_probs, x, k)["name"] == "TOP_ROWS":
                for row, value, index in zip(x, values, indices, strict=True):
                    np.testing.assert_array_equal(value, log_softmax(row)[index])


def test_empty_arrays_and_no_results():
    for x, k, shape in (
        (np.zeros((3, 0)), 0, (3, 0)),
        (np.zeros((0, 4)), 2, (0, 2)),
        (np.zeros((3, 4)), 0, (3, 0)),
    ):
        values, indices = top_log_probs(x, k)
        assert values.shape == indices.shape == shape
        assert explain(top_log_probs, x, k)["name"] == "EMPTY"
    values, indices = top_log_probs(np.zeros((3, 4, 2), np.float32), 0, axis=1)
    assert values.shape == indices.shape == (3, 0, 2)
    assert (values.dtype, indices.dtype) == (np.float32, np.intp)


def test_few_rows_and_longdouble_make_no_tiles():
    assert explain(top_log_probs, np.zeros((3, 4)), 2)["name"] == "TOP_ROWS"
    assert explain(top_log_probs, np.zeros(4, np.longdouble), 2)["name"] == "PLAIN"


def test_numbers_of_numpy_are_numbers():
    for k in (np.int8(2), np.array(2), np.uint64(2)):
        assert top_log_probs([1.0, 3.0, 2.0], k)[1].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([1.0, 2.0], 3), ValueError, "k must be at most 2, the length of axis -1, got 3"),
        (([[1.0, 2.0]], 2, 0), ValueError, "k must be at most 1, the length of axis 0, got 2"),
        (([1.0, 2.0], 10**30), ValueError, f"k must be at most 2, the length of axis -1, got {10**30}"),
        (([1.0, 2.0], -1), ValueError, "k must not be negative, got -1"),
        (([1.0, 2.0], True), TypeError, "k must be an int, got True"),
        (([1.0, 2.0], 1.0), TypeError, "k must be an int, got 1.0"),
        (([1.0, 2.0], None), TypeError, "k must be an int, got None"),
        (([1.0, 2.0], 1, None), TypeError, "axis must be an int, got None"),
        (([1.0, 2.0], 1, (0,)), TypeError, "axis must be an int, got (0,)"),
        (([1.0, 2.0], 1, 1), AxisError, "axis 1 is out of bounds for array of dimension 1"),
        ((1.0, 1), AxisError, "axis -1 is out of bounds for array of dimension 0"),
        (([1j, 2.0], 1), TypeError, "logits must be real, got dtype complex128"),
        ((["a"], 1), TypeError, TEXT),
        ((np.ma.array([1.0]), 1), TypeError, "logits must not be a masked array: pass its filled(value)"),
    ],
)
def test_wrong_arguments_raise_the_stated_errors(arguments, error, text):
    with pytest.raises(error) as raised:
        top_log_probs(*arguments)
    assert str(raised.value) == text


@pytest.mark.parametrize("shape", [(40, 60_000), (60_000, 40)])
def test_memory_is_bounded(shape, dtype):
    """No temporary of the size of the logits, seen by NumPy's allocator, which results come from."""
    x = RNG.normal(size=shape).astype(dtype)
    tracemalloc.start()
    values, indices = top_log_probs(x, 20, axis=int(np.argmax(shape)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < values.nbytes + indices.nbytes + 100_000


def test_the_input_stays_as_it_is(dtype):
    x = RNG.normal(size=(30, 700)).astype(dtype)
    x.flags.writeable = False
    before = x.copy()
    top_log_probs(x, 5)
    top_log_probs(x, 5, axis=0)
    np.testing.assert_array_equal(x, before)
