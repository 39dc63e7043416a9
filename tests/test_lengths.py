"""Every length around the kernels' lanes and blocks, and every lane with every value."""

import numpy as np
import pytest
from bounds import bound
from layouts import LAYOUTS, call, one_by_one
from oracle import reference, ulp_error

from smoothmax import cross_entropy

BOUNDARIES = (48, 64, 96, 128, 256, 512, 1024, 2048, 4096, 8192)
SHORT = range(1, 34)
LONG = sorted({n + i for n in BOUNDARIES for i in (-1, 0, 1)})


def rotations(row, count):
    """The row from `count` places on, so that each lane has each value if the row has no more than `count`."""
    twice = np.resize(row, len(row) + count)
    return np.stack([twice[i : i + len(row)] for i in range(count)])


def row_of(n, dtype, spread=4.0):
    return (np.random.default_rng(n).standard_normal(n) * spread).astype(dtype)


def back_again(name, results):
    """Results of rotations, rotated back: row i has its element j where the first has it."""
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


@pytest.mark.parametrize("rows", [2, 3, 15, 16, 17, 33])
@pytest.mark.parametrize("n", [257, 511, 1000, 2048, 2049, 4096, 4097])
def test_the_number_of_rows_does_not_change_the_bits_of_a_row(function, dtype, n, rows):
    """Rows that are finished together are finished alike, whichever are the last; those of 256 or less may be tiles."""
    x = rotations(row_of(n, dtype), 40)
    all_ = function(x, axis=1)
    np.testing.assert_array_equal(function(x[:rows], axis=1), all_[:rows])
    np.testing.assert_array_equal(function(x[::-1][:rows], axis=1), all_[::-1][:rows])
    np.testing.assert_array_equal(
        cross_entropy(x[:rows], [5] * rows, reduction="none"), cross_entropy(x, [5] * 40, reduction="none")[:rows]
    )


@pytest.mark.parametrize("n", LONG)
def test_lengths_around_blocks_are_within_the_promise(name, function, dtype, n):
    """65 rotations: past every lane, and the element that was the last of a block is the first of the next."""
    count = 65 if n < 1000 else 9
    rows = rotations(row_of(n, dtype), count)
    exact = reference(name, rows[:1], axis=1)
    assert np.all(ulp_error(one_by_one(function, rows[:1]), exact) <= bound(name, n))
    repeated = exact.map(lambda part: np.repeat(part, count, axis=0))
    for layout in LAYOUTS:
        got = back_again(name, call(function, rows, layout))
        assert np.all(ulp_error(got, repeated) <= bound(name, n)), layout


@pytest.mark.parametrize("n", [*range(1, 34), 63, 64, 65, 127, 128, 129, 257, 511, 513])
def test_one_large_element_counts_once_in_every_place(name, function, dtype, n):
    """A lane that is left out, or counted twice, is off by the whole of the result here."""
    rows = np.full((n, n), -3.0, dtype)
    np.fill_diagonal(rows, 2.0)
    exact = reference(name, rows, axis=1)
    for layout in LAYOUTS:
        assert np.all(ulp_error(call(function, rows, layout), exact) <= bound(name, n)), layout


@pytest.mark.parametrize("columns", [*range(1, 20), 31, 32, 33, 63, 64, 65, 66, 127, 128, 129, 130, 200])
@pytest.mark.parametrize("n", [1, 2, 7, 40, 60])
def test_any_number_of_columns_is_within_the_promise(name, function, dtype, columns, n):
    rows = (np.random.default_rng(columns).standard_normal((columns, n)) * 5).astype(dtype)
    exact = reference(name, rows, axis=1)
    for layout in LAYOUTS:
        assert np.all(ulp_error(call(function, rows, layout), exact) <= bound(name, n)), layout


@pytest.mark.parametrize("columns", [2, 3, 5, 10, 16, 31, 33, 63])
@pytest.mark.parametrize("n", [1025, 2049, 3001])
def test_narrow_columns_are_within_the_promise(name, function, dtype, columns, n):
    """Several rows of them fill a tile; the last ones are too few for that, and each column has a top of its own."""
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
