"""Every length around the lanes and the blocks of the kernels, and every value in every lane."""

import numpy as np
import pytest
from bounds import bound
from layouts import LAYOUTS, call, one_by_one
from oracle import reference, ulp_error

from smoothmax import cross_entropy
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
COLUMNS = LIMITS["TILE_COLUMNS"]
JOINT = LIMITS["JOINT_MAX_ROWS"]
ITEMSIZES = (4, 8)
BLOCKS = [LIMITS["ROW_BLOCK_BYTES"] // size for size in ITEMSIZES]
BOUNDARIES = {
    *(LIMITS[limit] for limit in ("TILE_SHORT_ELEMENTS", "TILE_COLUMNS", "TILE_LONG_ELEMENTS", "SCRATCH_TILE_ROWS")),
    LIMITS["SERIAL_ROW_ELEMENTS"],
    *(LIMITS[limit] for limit in ("MASK_BUFFER_ELEMENTS", "FUSED_LOG_SOFTMAX_TILE_ROWS", "SCRATCH_ELEMENTS")),
    *BLOCKS,
    *(LIMITS["STAGED_ROW_BYTES"] // size for size in ITEMSIZES),
    *(LIMITS["ROUNDED_MIN_LANE_ROWS"] * LIMITS["LANE_BYTES"] // size for size in ITEMSIZES),
    *(LIMITS["CARRY_ROWS"] * LIMITS["LANE_BYTES"] // size for size in ITEMSIZES),
    4 * LIMITS["CARRY_QUADS_F32"] * LIMITS["LANES_F32"],
    4 * LIMITS["CARRY_QUADS_F64"] * LIMITS["LANES_F64"],
    LIMITS["ROW_BLOCK_LANES"],
    LIMITS["TILE_BLOCK_BYTES"] // (COLUMNS * ITEMSIZES[0]),
    LIMITS["FUSED_LOG_SOFTMAX_TILE_ROWS"] // LIMITS["BAND_ROWS"] * LIMITS["BAND_ROWS"],
    3 * LIMITS["LANES_F32"],
}
SHORT = range(1, max(LIMITS["LANES_F32"], LIMITS["CARRY_ROWS"]) + 2)


def around(*lengths):
    return sorted({n + i for n in lengths for i in (-1, 0, 1)})


def rotations(row, count):
    """The row from each of its first `count` elements on. If it has no more than those, each lane gets each value."""
    twice = np.resize(row, len(row) + count)
    return np.stack([twice[i : i + len(row)] for i in range(count)])


def row_of(n, dtype, spread=4.0):
    return (np.random.default_rng(n).standard_normal(n) * spread).astype(dtype)


def back_again(name, results):
    """The results of rotations, rotated back: all rows then have the order of the first."""
    return results if name == "logsumexp" else np.stack([np.roll(r, i) for i, r in enumerate(results)])


@pytest.mark.parametrize("n", SHORT)
@pytest.mark.parametrize("offset", [0.0, 3000.0])
def test_short_lengths_are_within_the_promise(name, function, dtype, n, offset):
    rows = rotations(row_of(n, dtype) + dtype(offset), n)
    exact = reference(name, rows, axis=1)
    assert np.all(ulp_error(one_by_one(function, rows), exact) <= bound(name, n))
    for layout in LAYOUTS:
        many = np.tile(rows, (-(-70 // n), 1))
        got = call(function, many, layout)
        again = exact.map(lambda part: np.tile(part, (-(-70 // n), *[1] * (part.ndim - 1))))
        assert np.all(ulp_error(got, again) <= bound(name, n)), layout


@pytest.mark.parametrize("n", range(1, LIMITS["LANES_F32"] + 1))
def test_elements_of_minus_infinity_that_fill_the_lanes_do_not_change_the_bits(function, dtype, n):
    """Short rows are summed in as few lanes as they need."""
    width = LIMITS["LANE_BYTES"] // np.dtype(dtype).itemsize
    rows = rotations(row_of(n, dtype), n)
    for filled in range(n + 1, width + 1):
        more = np.pad(rows, ((0, 0), (0, filled - n)), constant_values=-np.inf)
        for row, longer in zip(rows, more, strict=True):
            got, wanted = np.asarray(function(row)), np.asarray(function(longer))
            assert (got if got.ndim == 0 else got[:n]).tobytes() == (
                wanted if wanted.ndim == 0 else wanted[:n]
            ).tobytes()


@pytest.mark.parametrize("rows", [2, 3, JOINT - 1, JOINT, JOINT + 1, 2 * JOINT + 1])
@pytest.mark.parametrize("n", [LIMITS["TILE_LONG_ELEMENTS"] + 1, 511, 1000, *BLOCKS, *(n + 1 for n in BLOCKS)])
def test_the_number_of_rows_does_not_change_the_bits_of_a_row(function, dtype, n, rows):
    """The logarithms of joint rows are taken JOINT_MAX_ROWS at a time, and the last rows may be fewer."""
    x = rotations(row_of(n, dtype), 40)
    joint = x[0].nbytes <= LIMITS["ROW_BLOCK_BYTES"]
    route = explain(cross_entropy, x[:rows], [5] * rows, reduction="none")
    assert (route["name"] == "JOINT_ROWS") == joint
    all_ = function(x, axis=1)
    np.testing.assert_array_equal(function(x[:rows], axis=1), all_[:rows])
    np.testing.assert_array_equal(function(x[::-1][:rows], axis=1), all_[::-1][:rows])
    np.testing.assert_array_equal(
        cross_entropy(x[:rows], [5] * rows, reduction="none"), cross_entropy(x, [5] * 40, reduction="none")[:rows]
    )


@pytest.mark.parametrize("n", around(*BOUNDARIES))
def test_lengths_around_blocks_are_within_the_promise(name, function, dtype, n):
    """By rotation, values of a short row come into every lane, and the last of a block becomes first of the next."""
    count = 65 if n < 1000 else 9
    rows = rotations(row_of(n, dtype), count)
    exact = reference(name, rows[:1], axis=1)
    assert np.all(ulp_error(one_by_one(function, rows[:1]), exact) <= bound(name, n))
    repeated = exact.map(lambda part: np.repeat(part, count, axis=0))
    for layout in LAYOUTS:
        got = back_again(name, call(function, rows, layout))
        assert np.all(ulp_error(got, repeated) <= bound(name, n)), layout


@pytest.mark.parametrize(
    "n", [*SHORT, *around(COLUMNS, LIMITS["SCRATCH_TILE_ROWS"]), LIMITS["TILE_LONG_ELEMENTS"] + 1, 511, 513]
)
def test_one_large_element_counts_once_in_every_place(name, function, dtype, n):
    """If a loop left out a lane or counted it twice, the error would be as large as the result."""
    rows = np.full((n, n), -3.0, dtype)
    np.fill_diagonal(rows, 2.0)
    exact = reference(name, rows, axis=1)
    for layout in LAYOUTS:
        assert np.all(ulp_error(call(function, rows, layout), exact) <= bound(name, n)), layout


@pytest.mark.parametrize(
    "columns",
    [*range(1, 20), *around(LIMITS["LANES_F32"], COLUMNS, 2 * COLUMNS), COLUMNS + 2, 2 * COLUMNS + 2, 200],
)
@pytest.mark.parametrize("n", [1, 2, 7, 40, 60])
def test_any_number_of_columns_is_within_the_promise(name, function, dtype, columns, n):
    rows = (np.random.default_rng(columns).standard_normal((columns, n)) * 5).astype(dtype)
    exact = reference(name, rows, axis=1)
    for layout in LAYOUTS:
        assert np.all(ulp_error(call(function, rows, layout), exact) <= bound(name, n)), layout


@pytest.mark.parametrize("columns", [2, 3, 5, 10, 16, 31, 33, COLUMNS - 1])
@pytest.mark.parametrize("n", [LIMITS["NARROW_MIN_ELEMENTS"] // 2 + 1, LIMITS["NARROW_MIN_ELEMENTS"] + 1, 3001])
def test_narrow_columns_are_within_the_promise(name, function, dtype, columns, n):
    """Several rows fill the lanes, and the last rows are too few. Each column has its maximum in another row."""
    assert explain(function, np.zeros((n, columns), dtype), axis=0)["name"] == "NARROW"
    rows = (np.random.default_rng(columns).standard_normal((columns, n)) * 5).astype(dtype)
    rows[np.arange(columns), -1 - np.arange(columns)] = 40
    rows[0] += 700
    rows[1] -= 3000
    exact = reference(name, rows, axis=1)
    for layout in LAYOUTS:
        assert np.all(ulp_error(call(function, rows, layout), exact) <= bound(name, n)), layout
    others = np.arange(columns) != 1
    for special in (np.nan, np.inf, -np.inf):
        rows[1] = special
        got = call(function, rows, "first_axis")
        assert np.all(ulp_error(got[others], exact[others]) <= bound(name, n)), special
        assert np.all(ulp_error(got[1:2], reference(name, rows[1:2], axis=1)) <= bound(name, n)), special
