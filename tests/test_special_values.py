"""nan, infinities and empty input give the results of the contract's table in every lane and layout, and never warn."""

import warnings

import numpy as np
import pytest
from bounds import bound
from layouts import LAYOUTS, call, one_by_one
from oracle import reference, ulp_error

import smoothmax
from smoothmax._thresholds import limits

NAN, INF = np.nan, np.inf
LIMITS = limits()
# The special elements of a row, and the result of logsumexp; None: as without them.
LOGSUMEXP = {
    (-INF,): None,
    (INF,): INF,
    (INF, INF): INF,
    (INF, -INF): INF,
    (NAN,): NAN,
    (NAN, INF): NAN,
    (NAN, -INF): NAN,
    (-NAN,): NAN,
    (NAN, INF, -INF): NAN,
}
SHORT, COLUMNS, LONG = (LIMITS[n] for n in ("TILE_SHORT_ELEMENTS", "TILE_COLUMNS", "TILE_LONG_ELEMENTS"))
BLOCK = LIMITS["ROW_BLOCK_BYTES"] // 4
LENGTHS = (1, 2, 3, 8, 17, 32, SHORT - 1, SHORT + 1, COLUMNS + 1, LONG + 44, BLOCK // 2 + 52, 2 * BLOCK + 108)


@pytest.fixture(autouse=True)
def nothing_warns():
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rows_with(special, n, dtype, ordinary=0.5):
    """One row for each of up to 66 places of the first special element. The other special elements lie at random."""
    rng = np.random.default_rng(n)
    places = np.arange(n) if n <= 66 else np.array([*range(33), *rng.integers(33, n - 3, 16), n - 3, n - 2, n - 1])
    places = places[:: 1 if n < 100 else 3 if n < 1000 else 7]
    rows = (ordinary + rng.standard_normal((len(places), n))).astype(dtype)
    for row, place in zip(rows, places, strict=True):
        row[place] = special[0]
        others = np.delete(np.arange(n), place)
        row[rng.choice(others, len(special) - 1, replace=False)] = special[1:]
    return rows


def everywhere(function, rows):
    yield "one by one", one_by_one(function, rows)
    for layout in LAYOUTS:
        yield layout, call(function, rows, layout)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("special", [s for s in LOGSUMEXP if s != (-INF,)], ids=str)
@pytest.mark.parametrize("ordinary", [0.5, 5000.0, -INF])
def test_infinity_and_nan_give_the_results_of_the_contract(dtype, special, n, ordinary):
    if len(special) > n:
        n = len(special)
    rows = rows_with(special, n, dtype, ordinary)
    for where, got in everywhere(smoothmax.logsumexp, rows):
        np.testing.assert_array_equal(got, np.full(len(rows), LOGSUMEXP[special]), where)
    for where, got in everywhere(smoothmax.softmax, rows):
        np.testing.assert_array_equal(got, np.full(rows.shape, NAN), where)
    wanted = np.full(rows.shape, NAN) if np.isnan(special).any() else np.where(rows == INF, NAN, -INF)
    for where, got in everywhere(smoothmax.log_softmax, rows):
        np.testing.assert_array_equal(got, wanted, where)


@pytest.mark.parametrize("n", LENGTHS)
def test_a_row_of_minus_infinity_gives_minus_infinity_or_nan(dtype, n):
    rows = np.full((70 if n < 1000 else 9, n), -INF, dtype)
    for where, got in everywhere(smoothmax.logsumexp, rows):
        np.testing.assert_array_equal(got, np.full(len(rows), -INF), where)
    for function in (smoothmax.softmax, smoothmax.log_softmax):
        for where, got in everywhere(function, rows):
            np.testing.assert_array_equal(got, np.full(rows.shape, NAN), where)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("gone", [1, 2, 0.5, -1])
@pytest.mark.parametrize("value", [0.25, 7000.0, -7000.0])
def test_minus_infinity_adds_nothing(dtype, n, gone, value):
    """Of n equal elements, one, two, half or all but one are replaced by -inf."""
    rng = np.random.default_rng(n)
    count = min(max(int(gone * n) if gone == 0.5 else gone % n if gone < 0 else gone, 0), n - 1)
    rows = np.full((70 if n < 1000 else 9, n), value, dtype)
    rows[:, :count] = -INF
    rows = rng.permuted(rows, axis=1)
    for name in ("logsumexp", "softmax", "log_softmax"):
        with np.errstate(all="ignore"):
            exact = reference(name, rows, axis=1)
        for where, got in everywhere(getattr(smoothmax, name), rows):
            with np.errstate(all="ignore"):
                assert np.all(ulp_error(got, exact) <= bound(name, n)), (name, where)
            if name == "softmax":
                assert not np.signbit(got).any()


@pytest.mark.parametrize("first", [-INF, NAN, INF])
@pytest.mark.parametrize("n", [BLOCK, 2 * BLOCK + 808, 5 * BLOCK - 480])
def test_whole_blocks_of_one_special_value_are_within_the_promise(dtype, first, n):
    """Half of the elements, in long rows whole blocks, are -inf, nan or inf, before, between or after ordinary ones."""
    rows = np.zeros((9, n), dtype)
    for i in range(9):
        rows[i, i * n // 9 : i * n // 9 + n // 2] = first
    for name in ("logsumexp", "softmax"):
        with np.errstate(all="ignore"):
            exact = reference(name, rows, axis=1)
        for where, got in everywhere(getattr(smoothmax, name), rows):
            with np.errstate(all="ignore"):
                assert np.all(ulp_error(got, exact) <= bound(name, n)), (name, where)


@pytest.mark.parametrize("special", [NAN, INF, -INF])
def test_a_special_column_does_not_change_its_neighbours(function, dtype, special):
    rng = np.random.default_rng(5)
    for n in (3, 40, 200):
        rows = rng.standard_normal((130, n)).astype(dtype)
        for layout in LAYOUTS:
            before = call(function, rows, layout)
            assert np.isfinite(before).all()
            for column in (0, 31, 63, 64, 129):
                changed = rows.copy()
                changed[column] = special
                after = call(function, changed, layout)
                same = np.arange(130) != column
                np.testing.assert_array_equal(after[same], before[same], layout)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4), (0, 0)])
def test_empty_input_gives_minus_infinity_or_nothing(dtype, shape):
    x = np.zeros(shape, dtype)
    for function in (smoothmax.softmax, smoothmax.log_softmax):
        for axis in (None, 0, -1, tuple(range(len(shape))), ()):
            got = function(x, axis=axis)
            assert got.shape == shape
            assert got.dtype == dtype
    for axis in (None, *range(len(shape)), tuple(range(len(shape))), ()):
        for keepdims in (False, True):
            got = smoothmax.logsumexp(x, axis=axis, keepdims=keepdims)
            wanted = np.sum(x, axis=axis, keepdims=keepdims)
            assert got.dtype == dtype
            assert np.shape(got) == np.shape(wanted)
            assert type(got) is type(wanted)
            np.testing.assert_array_equal(got, np.full(np.shape(wanted), -INF))


def test_a_single_element_is_exact(dtype):
    for value in (0.0, -0.0, 1.5, 5e4, -3e38, 1e-40, INF, -INF, NAN):
        x = np.array([value], dtype)
        finite = np.isfinite(value)
        np.testing.assert_array_equal(smoothmax.logsumexp(x), x[0])
        np.testing.assert_array_equal(smoothmax.softmax(x), np.array([1 if finite else NAN], dtype))
        np.testing.assert_array_equal(smoothmax.log_softmax(x), np.array([0 if finite else NAN], dtype))


def test_signed_zeros_and_subnormals_count_as_zeros(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    for a, b in ((0.0, -0.0), (-0.0, -0.0), (tiny, -tiny), (tiny, 0)):
        x = np.array([a, b], dtype)
        assert smoothmax.logsumexp(x) == dtype(np.log(2.0))
        np.testing.assert_array_equal(smoothmax.softmax(x), [0.5, 0.5])
        np.testing.assert_array_equal(smoothmax.log_softmax(x), [-dtype(np.log(2.0))] * 2)


def test_the_largest_numbers_do_not_overflow(dtype):
    most = np.finfo(dtype).max
    x = np.array([most, -most, most], dtype)
    assert smoothmax.logsumexp(x) == most
    np.testing.assert_array_equal(smoothmax.softmax(x), [0.5, 0, 0.5])
    np.testing.assert_array_equal(smoothmax.log_softmax(x), np.array([-np.log(2.0), -INF, -np.log(2.0)], dtype))
    assert smoothmax.logsumexp(np.array([-most, -most], dtype)) == -most


@pytest.mark.parametrize("setting", ["raise", "warn", "call", "print", "ignore"])
def test_nothing_warns_whatever_errstate_says(name, function, dtype, setting, capsys):
    def refuse(*_):
        raise AssertionError("a floating-point error was reported")

    rows = np.array(
        [[1e30, -1e30, 700, -745.2], [INF, INF, 0, -INF], [NAN, 0, 0, 1e-45], [-INF] * 4, [0, -740, -80, -100]]
    )
    for repeats in (1, 5, 30):
        with np.errstate(all="ignore"):
            x = np.tile(rows, (repeats, repeats)).astype(dtype)
        with np.errstate(all=setting, call=refuse):
            for layout in LAYOUTS:
                call(function, x, layout)
            function(x, out=np.empty(() if name == "logsumexp" else x.shape))
            function(x.astype(np.float64), out=np.empty(() if name == "logsumexp" else x.shape, np.float32))
    assert capsys.readouterr().out == ""
