"""logcumsumexp: the bound of every prefix, special values, layouts, threads and errors."""

import tracemalloc

import numpy as np
import pytest
from bounds import LOGCUMSUMEXP, LONGDOUBLE_LOGSUMEXP
from exact_prefixes import prefixes, worst
from oracle import reference, ulp_error

import smoothmax
from smoothmax import logcumsumexp
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
BLOCK = LIMITS["SCAN_BLOCK_ROWS"] * LIMITS["LANES_F32"]  # of a row of float32, twice that of float64
SUMMED = LIMITS["SCAN_SUMMED_ROWS"]  # of columns, before their logarithms are taken
RNG = np.random.default_rng(20261129)
FAMILIES = {
    "normal": RNG.normal(size=400),
    "rising slowly": np.arange(400) * 0.01 - 3,
    "rising": np.arange(300) * 7.0 - 1000,
    "rising by more than the range": np.arange(60) * 150.0 - 5000,
    "falling": np.arange(400) * -0.3,
    "alternating": np.where(np.arange(400) % 2, 30.0, -30.0) + RNG.normal(size=400),
    "the maximum is 0 and the others tiny": np.r_[0.0, np.full(300, -40.0)],
    "tinier": np.r_[0.0, np.full(300, -80.0)],
    "near 1": np.full(200, 1e-20),
    "results near 0": np.full(200, -np.log(2.0)) + RNG.normal(size=200) * 1e-9,
    "nothing first": np.r_[np.full(20, -np.inf), RNG.normal(size=300)],
    "nothing between": np.where(RNG.random(300) < 0.5, -np.inf, RNG.normal(size=300)),
    "across the grid of shifts": np.linspace(1700, 2400, 300),
    "far apart": np.array([-690.0, 0, -700, -745, 5, 700, 1e4, -1e4]),
    "wide": RNG.normal(size=200) * 500,
    "wider": RNG.normal(size=200) * 5000,
    "near 1e6": 1e6 + RNG.normal(size=100),
    "near -1e9": np.float32(-1e9) + np.arange(100) % 5 * 64.0,
    "every power of ten": np.sort(np.r_[10.0 ** np.arange(37), -(10.0 ** np.arange(37))].repeat(2)),
}


def accumulated(x, exclusive=False, reverse=False):
    """A slow twin: NumPy's own scan, of the last axis."""
    x = x[..., ::-1] if reverse else x
    with np.errstate(all="ignore"):
        value = np.logaddexp.accumulate(x.astype(np.float64), axis=-1)
    if exclusive:
        value = np.concatenate([np.full_like(value[..., :1], -np.inf), value[..., :-1]], axis=-1)
    return value[..., ::-1] if reverse else value


@pytest.mark.parametrize("family", FAMILIES)
def test_every_prefix_has_the_bound(family, dtype):
    x = FAMILIES[family].astype(dtype)
    pairs = prefixes(x)
    columns = np.repeat(x[:, None], LIMITS["TILE_COLUMNS"] + 3, axis=1)
    for results in (logcumsumexp(x), logcumsumexp(columns, axis=0)[:, 1], logcumsumexp(columns, axis=0)[:, -1]):
        largest, where = worst(results, pairs)
        assert largest <= LOGCUMSUMEXP, (largest, where)
    before = logcumsumexp(x, exclusive=True)
    assert before[0] == -np.inf
    assert worst(before[1:], pairs[:-1])[0] <= LOGCUMSUMEXP
    assert worst(logcumsumexp(columns, axis=0, exclusive=True)[1:, 2], pairs[:-1])[0] <= LOGCUMSUMEXP
    backwards = logcumsumexp(np.ascontiguousarray(x[::-1]), reverse=True)
    assert worst(backwards[::-1], pairs)[0] <= LOGCUMSUMEXP


@pytest.mark.parametrize("family", FAMILIES)
def test_longdouble_has_its_bound(family):
    x = FAMILIES[family]
    results = logcumsumexp(x.astype(np.longdouble))
    assert results.dtype == np.longdouble
    assert worst(results, prefixes(x))[0] <= LONGDOUBLE_LOGSUMEXP


@pytest.mark.parametrize("dtype", [np.longdouble, np.complex128])
def test_plain_results_keep_the_memory_order(dtype):
    x = np.asarray(RNG.normal(size=(3, 4, 5)).astype(dtype), order="F")
    results = logcumsumexp(x, axis=1)
    assert results.strides == x.strides
    np.testing.assert_array_equal(results, logcumsumexp(np.ascontiguousarray(x), axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal", "tiny beside 0", "rising"])
def test_prefixes_of_ten_million_have_the_bound(kind, dtype):
    n = 10**7
    x = {"equal": np.full(n, 0.1), "tiny beside 0": np.r_[0.0, np.full(n - 1, -40.0)], "rising": np.arange(n) * 1e-5}[
        kind
    ]
    x = x.astype(dtype)
    results = logcumsumexp(x)
    for end in (1000, 12345, 10**6 + 7, n):
        assert ulp_error(results[end - 1], reference("logsumexp", x[:end])) <= LOGCUMSUMEXP


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("n", [1, SUMMED - 1, SUMMED, SUMMED + 1, 2 * SUMMED, 2 * SUMMED + 1])
def test_rows_that_are_summed_together(n, exclusive, dtype):
    """A column may turn inf or nan in any row of a group, and results may replace elements."""
    x = RNG.normal(size=(n, 2 * LIMITS["LANES_F32"])).astype(dtype)
    x[np.arange(n), np.arange(n)] = np.inf
    x[np.arange(n) // 2, LIMITS["LANES_F32"] + np.arange(n)] = np.nan
    expected = accumulated(x.T, exclusive=exclusive).T
    got = logcumsumexp(x, axis=0, exclusive=exclusive)
    np.testing.assert_allclose(got, expected, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)
    assert logcumsumexp(x, axis=0, exclusive=exclusive, out=x) is x
    np.testing.assert_array_equal(x, got)


@pytest.mark.parametrize("n", [0, 1, 2, BLOCK // 2 - 1, BLOCK // 2, BLOCK // 2 + 1, BLOCK - 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
def test_lengths_on_both_sides_of_blocks(n, reverse, exclusive, dtype):
    x = RNG.normal(size=(3, n)).astype(dtype)
    expected = accumulated(x, exclusive, reverse) if n else x
    results = logcumsumexp(x, axis=1, reverse=reverse, exclusive=exclusive)
    np.testing.assert_allclose(results, expected, rtol=4e-7 if dtype is np.float32 else 1e-14)
    np.testing.assert_allclose(logcumsumexp(np.asfortranarray(x), 1, reverse=reverse, exclusive=exclusive), expected,
                               rtol=4e-7 if dtype is np.float32 else 1e-14)  # fmt: skip


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
@pytest.mark.parametrize("layout", ["C", "F", "negative", "strided", "swapped", "float16", "int"])
def test_any_axis_and_layout_gives_the_same_results(axis, layout):
    x = np.round(RNG.normal(size=(5, 40, 9)) * 4)
    given = {
        "C": x, "F": np.asfortranarray(x), "negative": x[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "strided": np.repeat(x, 2, axis=2)[:, :, ::2], "swapped": x.astype(x.dtype.newbyteorder()),
        "float16": x.astype(np.float16), "int": x.astype(int),
    }[layout]  # fmt: skip
    for options in ({}, {"reverse": True}, {"exclusive": True}):
        flat = x.ravel() if axis is None else np.moveaxis(x, axis, -1)
        expected = accumulated(flat, **options)
        expected = expected if axis is None else np.moveaxis(expected, -1, axis)
        results = logcumsumexp(given, axis, **options)
        assert results.dtype == (np.float64 if layout == "int" else given.dtype.newbyteorder("="))
        np.testing.assert_allclose(results, expected, rtol=2e-3 if layout == "float16" else 1e-13)
        out = np.empty(expected.shape[::-1]).T
        assert logcumsumexp(given, axis, out=out, **options) is out
        np.testing.assert_allclose(out, expected, rtol=1e-5 if layout == "float16" else 1e-13)


@pytest.mark.parametrize("exclusive", [False, True])
def test_neighbours_do_not_show_in_the_bits_of_a_column(exclusive, dtype):
    """A column that rises out of range is scanned row by row. The columns beside it are not."""
    calm = RNG.normal(size=(400, 70)).astype(dtype)
    steep = calm.copy()
    steep[:, ::5] = (np.arange(400) * 300.0)[:, None]
    results = logcumsumexp(steep, axis=0, exclusive=exclusive)
    kept = np.arange(70) % 5 != 0
    np.testing.assert_array_equal(results[:, kept], logcumsumexp(calm, axis=0, exclusive=exclusive)[:, kept])


@pytest.mark.parametrize("shape", [(300,), (30, 70), (2000,)])
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"exclusive": True}, {"reverse": True, "exclusive": True}])
def test_in_place_gives_the_same_bits(shape, options, dtype):
    x = (RNG.normal(size=shape) * 300).astype(dtype)
    for axis in range(len(shape)):
        expected = logcumsumexp(x, axis, **options)
        own = x.copy()
        logcumsumexp(own, axis, out=own, **options)
        np.testing.assert_array_equal(own, expected)
        padded = np.concatenate([x.ravel(), x.ravel()[:1]])
        shifted = padded[1:].reshape(shape)
        logcumsumexp(padded[:-1].reshape(shape), axis, out=shifted, **options)
        np.testing.assert_array_equal(shifted, expected)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("columns", [1, 70])
def test_special_values_are_those_of_each_prefix(exclusive, columns, dtype):
    x = np.array([-np.inf, -np.inf, 1, -np.inf, 2, np.inf, 3, -np.inf, np.inf, np.nan, 4, np.inf], dtype)
    with np.errstate(all="raise"):
        results = logcumsumexp(np.repeat(x[:, None], columns, axis=1), axis=0, exclusive=exclusive)
    expected = [smoothmax.logsumexp(x[: i + (not exclusive)]) for i in range(len(x))]
    np.testing.assert_array_equal(np.isnan(results[:, -1]), np.isnan(expected))
    np.testing.assert_allclose(results[:, -1], expected, rtol=1e-6)
    np.testing.assert_array_equal(results, np.repeat(results[:, -1:], columns, axis=1))


@pytest.mark.parametrize("kind", ["normal", "rising", "falling", "special", "far"])
@pytest.mark.parametrize("exclusive", [False, True])
def test_bits_do_not_depend_on_threads(kind, exclusive, dtype):
    n = 4 * LIMITS["ROW_PIECE_BYTES"] // np.dtype(dtype).itemsize + 77
    x = RNG.normal(size=n).astype(dtype)
    if kind == "rising":
        x += np.linspace(-3000, 3000, n, dtype=dtype)
    elif kind == "falling":
        x -= np.linspace(-3000, 3000, n, dtype=dtype)
    elif kind == "special":
        x[n // 3], x[2 * n // 3] = np.inf, np.nan
    elif kind == "far":
        x[:: n // 7] *= 1000
    results = []
    for threads in (1, 2, 5):
        with smoothmax.num_threads(threads):
            results.append(logcumsumexp(x, exclusive=exclusive))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    with smoothmax.num_threads(3):
        assert explain(logcumsumexp, x)["name"] == "SCAN_ROW"
        assert explain(logcumsumexp, x)["shared"] == "pieces"
    assert explain(logcumsumexp, x[: n // 64 * 64].reshape(-1, 64), axis=0)["name"] == "SCAN_TILE"


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_piece_after_a_higher_one_keeps_its_digits(more, dtype):
    """Up to a limit, the sum of the pieces before is brought to the lower scale of a block; beyond, the block to it."""
    piece = LIMITS["ROW_PIECE_BYTES"] // np.dtype(dtype).itemsize
    x = (RNG.normal(size=piece + BLOCK + 50) * 0.01).astype(dtype)
    x[:3] += dtype((LIMITS["SCAN_LOWER_EXPONENTS"] + more) * np.log(2))
    results = logcumsumexp(x)
    for end in (3, BLOCK, piece, piece + 1, piece + BLOCK // 2, len(x)):
        assert ulp_error(results[end - 1], reference("logsumexp", x[:end], 0)) <= LOGCUMSUMEXP


def test_no_temporary_of_the_size_of_the_input():
    x = RNG.normal(size=(3000, 1000))
    for given, axis in ((x, 0), (x, 1), (x[:, ::2], None), (x.astype(np.float32)[::-1], 0)):
        tracemalloc.start()
        result = logcumsumexp(given, axis)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < result.nbytes + 2**20


def test_numbers_and_complex_numbers():
    assert logcumsumexp(3.0).tolist() == [3.0]
    assert logcumsumexp(3.0, axis=0, exclusive=True).tolist() == [-np.inf]
    z = RNG.normal(size=50) + 1j * RNG.normal(size=50)
    np.testing.assert_allclose(logcumsumexp(z), np.log(np.cumsum(np.exp(z))), rtol=1e-13)
    for far in (2e5, -3e9, 1e13, 2.0**60, -1e30, 1.7e308):
        turned = far + np.array([0, 1j, 2j]) * np.pi / 4
        parts = [far, far + 0.125j * np.pi, far + 0.25j * np.pi]
        wanted = np.array(parts) + (np.log([1, np.sqrt(2 + np.sqrt(2)), 1 + np.sqrt(2)]) if abs(far) < 1e15 else 0)
        np.testing.assert_allclose(logcumsumexp(turned), wanted, rtol=4e-16)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"axis": 2}, np.exceptions.AxisError, "axis 2 is out of bounds for array of dimension 2"),
        ({"axis": (0, 1)}, TypeError, "axis must be None or an int, got (0, 1)"),
        ({"axis": True}, TypeError, "axis must be None or an int, got True"),
        ({"axis": 0.5}, TypeError, "axis must be None or an int, got 0.5"),
        ({"out": np.empty((2, 3))}, ValueError, "out must have shape (6,), got (2, 3)"),
        ({"axis": 0, "out": np.empty(6)}, ValueError, "out must have shape (2, 3), got (6,)"),
        ({"axis": 0, "out": np.empty((2, 3), int)}, TypeError,
         "out must have a dtype that float64 can be cast to by 'same_kind', got int64"),
        ({"dtype": int}, TypeError, "dtype must be float32, float64, float16, bfloat16 or longdouble, got int64"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(options, kind, text):
    with pytest.raises(kind) as info:
        logcumsumexp(np.zeros((2, 3)), **options)
    assert str(info.value) == text
