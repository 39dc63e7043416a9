"""categorical: indices drawn by the inverse of the cumulative distribution, one uniform number each."""

import tracemalloc

import mpmath
import numpy as np
import pytest
from layouts import LAYOUTS
from numpy.exceptions import AxisError

import smoothmax
from smoothmax import categorical, softmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
BLOCKS = {np.float32: LIMITS["ROW_BLOCK_BYTES"] // 4, np.float64: LIMITS["ROW_BLOCK_BYTES"] // 8}
SIZE = "size must be a shape that (2,), the shape of logits without the axis, broadcasts to, got {}"
LAST = 1 - 2.0**-53  # the largest number that random() returns
RNG = np.random.default_rng(20261206)


class Given(np.random.Generator):
    """A generator whose uniform numbers are given."""

    def __init__(self, numbers):
        super().__init__(np.random.PCG64(0))
        self.numbers = np.asarray(numbers, float)

    def random(self, size):  # noqa: D102
        return np.broadcast_to(self.numbers, size).copy()


def drawn(x, numbers, **how):
    return categorical(x, size=np.shape(numbers), rng=Given(numbers), **how)


def interval_errors(x, numbers, indices):
    """How far each number lies outside of the interval of the element that it drew, exactly to 30 digits."""
    with mpmath.workdps(40):
        terms = [mpmath.exp(mpmath.mpf(float(v))) for v in x]
        ends = [mpmath.mpf(0)]
        for term in terms:
            ends.append(ends[-1] + term)
        errors = []
        for number, index in zip(numbers, indices, strict=True):
            at = mpmath.mpf(float(number)) * ends[-1]
            errors.append(float(max(ends[index] - at, at - ends[index + 1], 0) / ends[-1]))
    return np.array(errors)


@pytest.mark.parametrize("spread", [0.1, 3, 30])
def test_draws_are_those_of_the_cumulative_distribution(spread, dtype):
    """The elements of several blocks; a number may miss its interval by the rounding errors before it."""
    block = BLOCKS[dtype]
    for n in (1, 2, 10, 33, 500, block, block + 1, 2 * block + 77):
        x = (RNG.normal(size=n) * spread).astype(dtype)
        numbers = np.concatenate([RNG.random(300), [0.0, LAST]])
        indices = drawn(x, numbers)
        assert interval_errors(x, numbers, indices).max() <= 4 * np.finfo(dtype).eps


def test_draws_of_short_rows_side_by_side(dtype):
    some, columns = LIMITS["SCORE_TILE_MIN_ROWS"], LIMITS["TILE_COLUMNS"]
    for n in (1, 2, 10, LIMITS["DRAW_TILE_ELEMENTS"], LIMITS["DRAW_TILE_ELEMENTS"] + 1):
        for rows in (some - 1, some, columns + 3):
            x = (RNG.normal(size=(rows, n)) * 3).astype(dtype)
            x[:, n // 2 + 1 :: 3] = -np.inf
            numbers = np.concatenate([RNG.random((9, rows)), np.full((1, rows), LAST), np.zeros((1, rows))])
            indices = drawn(x, numbers)
            for i in range(0, rows, 5):
                assert interval_errors(x[i], numbers[:, i], indices[:, i]).max() <= 4 * np.finfo(dtype).eps
                assert np.isfinite(x[i, indices[:, i]]).all()


def test_larger_numbers_draw_later_elements(dtype):
    for n in (50, 3 * BLOCKS[dtype] + 1):
        x = (RNG.normal(size=n) * 2).astype(dtype)
        indices = drawn(x, np.linspace(0, LAST, 5000))
        assert np.all(np.diff(indices) >= 0)


@pytest.mark.parametrize("n", [3, 40, 700, 20_000])
def test_an_element_of_probability_0_is_never_drawn(n, dtype):
    """Not even where the uniform number is at an edge: 0, the largest, or the end of an interval."""
    edges = [0.0, 2.0**-53, 0.25, 0.5, 0.75, LAST]
    for place in (0, 1, n // 2, n - 1):
        x = np.full(n, -np.inf, dtype)
        x[place] = -1000
        np.testing.assert_array_equal(drawn(x, edges), place)
    x = np.full(n, -np.inf, dtype)
    x[[0, n - 2]] = 3
    np.testing.assert_array_equal(drawn(x, edges), [0, 0, 0, n - 2, n - 2, n - 2])
    x[n - 2] = -1e30  # a probability that underflows
    np.testing.assert_array_equal(drawn(x, edges), 0)


def test_equal_elements_are_drawn_at_the_exact_ends_of_their_intervals(dtype):
    for n in (4, 1024, 2 * BLOCKS[dtype]):
        indices = drawn(np.zeros(n, dtype), np.arange(n) / n)
        np.testing.assert_array_equal(indices, np.arange(n))


def chi_square(indices, p):
    """The statistic and its number of degrees of freedom; rare elements are combined."""
    counts = np.bincount(indices, minlength=len(p))
    rare = p * len(indices) < 10
    expected = np.append(p[~rare], p[rare].sum()) * len(indices)
    observed = np.append(counts[~rare], counts[rare].sum())
    if expected[-1] < 10:
        expected, observed = expected[:-1], observed[:-1]
    return np.sum((observed - expected) ** 2 / expected), len(expected) - 1


@pytest.mark.parametrize("n", [10, 3000, 12_000])
@pytest.mark.parametrize("scale", [1.0, 0.5, -2.0])
def test_the_distribution_is_right(n, scale, dtype):
    x = RNG.normal(size=n).astype(dtype)
    indices = categorical(x, size=100_000, scale=scale, rng=1)
    statistic, freedom = chi_square(indices, softmax(x.astype(float), scale=scale))
    assert statistic < freedom + 6 * np.sqrt(2 * freedom)
    wrong, freedom = chi_square(indices, softmax(x.astype(float), scale=1.5 * scale))
    assert wrong > freedom + 30 * np.sqrt(2 * freedom)


def test_one_draw_of_each_of_many_rows_has_the_distribution(dtype):
    x = np.broadcast_to(RNG.normal(size=50).astype(dtype), (50_000, 50))
    statistic, freedom = chi_square(categorical(x, rng=2), softmax(x[0].astype(float)))
    assert statistic < freedom + 6 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "two_axes"])
@pytest.mark.parametrize("n", [12, 700, 9000])
def test_layouts_draw_the_same(layout, n, dtype):
    rows = RNG.normal(size=(21, n)).astype(dtype)
    array, axis, _ = LAYOUTS[layout](rows)
    for size in (None, (30, 21)):
        indices = categorical(array, axis, size=size, scale=1.5, rng=3)
        np.testing.assert_array_equal(indices, categorical(rows, size=size, scale=1.5, rng=3))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_any_axis_draws_like_the_last_one(axis):
    x = RNG.normal(size=(4, 5, 6))
    for given in (x, np.asfortranarray(x), x[::-1]):
        rows = np.ascontiguousarray(np.moveaxis(given, axis, -1))
        indices = categorical(given, axis, rng=4)
        assert indices.shape == rows.shape[:-1]
        np.testing.assert_array_equal(indices, categorical(rows, rng=4))


@pytest.mark.parametrize("shape", [(400, 300), (3, 200_000), (1, 400_000), (90_000, 5)])
@pytest.mark.parametrize("draws", [1, 7])
def test_draws_do_not_depend_on_threads(shape, draws, dtype):
    x = RNG.normal(size=shape).astype(dtype)
    results = []
    for threads in (1, 2, 5):
        with smoothmax.num_threads(threads):
            results.append(categorical(x, size=(draws, shape[0]), rng=5))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_each_draw_takes_one_uniform_number_at_its_place():
    """For any shape, a draw takes the number of rng.random(size) at the same index."""
    x = RNG.normal(size=(3, 1, 40))
    size = (5, 3, 2)
    generator = np.random.default_rng(6)
    indices = categorical(x, size=size, rng=generator)
    numbers = np.random.default_rng(6).random(size)
    for place in np.ndindex(size):
        assert indices[place] == drawn(x[place[1], 0], numbers[place])
    assert generator.random() == np.random.default_rng(6).random(31)[30]


@pytest.mark.parametrize("n", [33, 64, 65, 1000, 2048, 4096])
def test_many_draws_from_a_row_are_the_same_as_single_draws(n, dtype):
    """Sums along the lanes are stored for many draws, and added up again for each of a few; the limit depends on n."""
    x = (RNG.normal(size=n) * 4).astype(dtype)
    x[RNG.random(n) < 0.2] = -np.inf
    edges = np.arange(1, LIMITS["DRAW_BUCKETS"]) / LIMITS["DRAW_BUCKETS"]
    numbers = np.concatenate([RNG.random(n // 8 + 20), [0.0, LAST, 1.0, np.nan], edges, np.nextafter(edges, 0)])
    single = [int(drawn(x, numbers[i : i + 1])[0]) for i in range(len(numbers))]
    fewest = -(-n // LIMITS["DRAW_STORED_ELEMENTS"])
    for draws in (fewest - 1, fewest, len(numbers)):
        assert drawn(x, numbers[:draws]).tolist() == single[:draws]


def test_sources_of_random_numbers():
    x = RNG.normal(size=(4, 9))
    expected = categorical(x, rng=7)
    for rng in (np.int64(7), np.random.default_rng(7), np.random.SeedSequence(7), np.random.PCG64(7)):
        np.testing.assert_array_equal(categorical(x, rng=rng), expected)
    assert np.ptp(categorical(np.zeros(10**6), size=50)) > 0  # None: from the system
    with pytest.raises(TypeError):
        categorical(x, rng="seed")


def test_size_gives_the_shape_of_the_draws():
    x = np.zeros((4, 9))
    for size in (4, (4,), [4], np.int64(4), (3, 4), (0, 4), (2, 0, 4)):
        assert categorical(x, size=size, rng=0).shape == np.empty(size).shape
    assert categorical(x[:1], size=(5,), rng=0).shape == (5,)
    assert categorical(x[0], size=(), rng=0) in range(9)
    assert isinstance(categorical(x[0], rng=0), np.intp)
    assert categorical(x[0], size=3, rng=0).dtype == np.intp
    assert categorical(x[0], size=0, rng=0).shape == (0,)
    assert categorical(np.zeros((0, 3)), rng=0).shape == (0,)
    assert categorical(np.zeros((0, 0)), rng=0).shape == (0,)


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.uint64, bool, ">f4", ">i4", np.longdouble])
def test_other_types(kind):
    x = (RNG.normal(size=(5, 300)) * 2).astype(kind)
    numbers = RNG.random((20, 5))
    indices = drawn(x, numbers)
    for i in range(5):
        errors = interval_errors(x[i].astype(float), numbers[:, i], indices[:, i])
        assert errors.max() <= 4 * np.finfo(np.float32 if kind == np.float16 or kind == ">f4" else float).eps


def test_scale_is_that_of_the_scaled_array(dtype):
    for n in (20, 3 * BLOCKS[dtype]):
        x = RNG.normal(size=(3, n)).astype(dtype)
        expected = categorical(x * dtype(0.7), size=(50, 3), rng=8)
        np.testing.assert_array_equal(categorical(x, size=(50, 3), scale=0.7, rng=8), expected)


def test_a_huge_row_is_divided_into_stretches_of_several_blocks(dtype):
    """With more blocks than there are stretches, a stretch has more than one block."""
    n = (LIMITS["DRAW_PIECES"] + 3) * BLOCKS[dtype] + 11
    x = np.zeros(n, dtype)
    places = np.linspace(0, n - 1, 200).astype(int)
    np.testing.assert_array_equal(drawn(x, (places + 0.5) / n), places)
    assert explain(categorical, x, rng=0)["name"] == "DRAWN_ROWS"


def test_a_generator_out_of_range_draws_an_element():
    for numbers in ([1.0, 1.5, np.inf], [-1.0, -0.0, np.nan]):
        for n in (5, 9000):
            assert set(drawn(np.zeros(n), numbers)) <= {0, n - 1}


@pytest.mark.parametrize("n", [5, 9000])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.longdouble])
@pytest.mark.parametrize(
    ("what", "values"), [("nan", [np.nan]), ("inf", [np.inf]), ("-inf alone", None), ("nan", [np.inf, np.nan])]
)
def test_a_row_without_a_distribution_is_an_error(what, values, kind, n):
    x = np.zeros((3, 2, n), kind)
    for i, j in ((2, 0), (1, 1)):
        x[i, j, -len(values or [0]) :] = values or -np.inf
        if values is None:
            x[i, j] = -np.inf
    with np.errstate(all="raise"), pytest.raises(ValueError, match="logits") as raised:
        categorical(x, rng=0)
    text = "logits must not have nan, inf or -inf alone along the axis, got {} in logits[{}]"
    assert str(raised.value) == text.format(what, "1, 1, :")
    with pytest.raises(ValueError, match="logits") as raised:
        categorical(x.transpose(2, 0, 1), 0, rng=0)
    assert str(raised.value) == text.format(what, ":, 1, 1")


def test_a_scale_that_leaves_no_distribution():
    for scale, what in ((np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf alone"), (0.0, "nan")):
        x = [1.0, 2.0] if scale else [1.0, -np.inf]
        with pytest.raises(ValueError, match="logits") as raised:
            categorical(x, scale=scale, rng=0)
        assert str(raised.value) == (
            f"logits must not have nan, inf or -inf alone along the axis, got {what} in logits[:]"
        )


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"size": 3}, ValueError, SIZE.format(3)),
        ({"size": ()}, ValueError, SIZE.format(())),
        ({"size": (2, 3)}, ValueError, SIZE.format((2, 3))),
        ({"size": -1}, ValueError, "size must not be negative, got -1"),
        ({"size": 2.0}, TypeError, "size must be None, an int or a tuple of ints, got 2.0"),
        ({"size": (True, 2)}, TypeError, "size must be None, an int or a tuple of ints, got (True, 2)"),
        ({"axis": None}, TypeError, "axis must be an int, got None"),
        ({"axis": 2}, AxisError, "axis 2 is out of bounds for array of dimension 2"),
        ({"scale": "1"}, TypeError, "scale must be a number, got '1'"),
        ({"scale": 1j}, TypeError, "scale must be real for real input, got 1j"),
        (
            {"logits": np.zeros((2, 0))},
            ValueError,
            "logits must have an element along axis -1 to draw from, got shape (2, 0)",
        ),
        ({"logits": 1.0}, AxisError, "axis -1 is out of bounds for array of dimension 0"),
        ({"logits": [1j]}, TypeError, "logits must be real, got dtype complex128"),
        ({"logits": np.ma.array([1.0])}, TypeError, "logits must not be a masked array: pass its filled(value)"),
    ],
)
def test_wrong_arguments_raise_the_stated_errors(arguments, error, text):
    arguments = {"logits": np.zeros((2, 3)), "rng": 0, **arguments}
    with pytest.raises(error) as raised:
        categorical(**arguments)
    assert str(raised.value) == text


def test_variants_draw_the_same(dtype):
    """The draws of every variant with fma, as this file's seed gives them."""
    x = np.random.default_rng(1).normal(size=(6, 9001)).astype(dtype)
    assert categorical(x, rng=1).tolist() == [4572, 8539, 1359, 8534, 2862, 3848]


@pytest.mark.parametrize("rows", [(), (700,)])
def test_memory_is_bounded(rows, dtype):
    """One temporary of the size of the result: first the uniform numbers, then a copy that reorders the axes."""
    x = np.zeros((*rows, 60), dtype)
    tracemalloc.start()
    indices = categorical(x, size=(500, *rows), rng=3) if rows else categorical(x, size=300_000, rng=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * indices.nbytes + 100_000


def test_numbers_that_a_generator_keeps_are_not_written_to(dtype):
    class Keeping(Given):
        def random(self, size):
            assert size == self.numbers.shape
            return self.numbers

    numbers = RNG.random(3)
    before = numbers.copy()
    categorical(np.zeros((3, 3 * BLOCKS[dtype]), dtype), rng=Keeping(numbers))
    np.testing.assert_array_equal(numbers, before)
