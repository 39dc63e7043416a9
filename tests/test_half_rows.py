"""Rows of float16 and bfloat16 that are read where they lie have the same bits as through the scratch.

Where a result is no half, they have the bits of the floats that they convert to.
"""

import itertools

import numpy as np
import pytest

from smoothmax import categorical, cross_entropy, log_softmax, logsumexp, num_threads, softmax, top_log_probs
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

ml_dtypes = pytest.importorskip("ml_dtypes")

HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
LIMITS = limits()
LANES = LIMITS["LANES_F32"]
GROUP = LANES * LIMITS["TOP_GROUP_ROWS"]  # elements
BLOCK = LIMITS["ROW_BLOCK_BYTES"] // np.dtype(np.float32).itemsize
# The last block has one element, part of a row of lanes, whole rows, whole groups, or a row of lanes and a part more.
LENGTHS = [GROUP - 5, BLOCK]  # one block
LENGTHS += [2 * BLOCK + n for n in (1, LANES - 1, LANES, GROUP - 1, GROUP, GROUP + 5, 3 * GROUP + LANES + 5, BLOCK)]
# Around the shortest that is read where it lies; of rows so short, there are few, which make no tile.
SHORT = [LANES + n for n in (-1, 0, 1, 5, 32, 200, 300, 900)]
each_type = pytest.mark.parametrize("dtype", HALVES, ids=str)


def rows_of(n):
    """Rows of n elements: of both signs, negative, small, rising, with zeros of both signs, and with special values."""
    rng = np.random.default_rng(n)
    noise = rng.normal(scale=3, size=n)
    rows = [
        noise,
        -np.abs(noise) - 20,
        -np.abs(noise) * 300 - 5,
        noise * 1e-40,
        np.linspace(-30, 30, n),
        np.linspace(30, -30, n),
    ]
    rows += [np.where(noise > 0, 0.0, -0.0), np.where(noise > 0, -0.0, -5.0), np.full(n, -0.0), np.full(n, -7.0)]
    rows += [np.where(noise > 5, noise, -np.inf), np.full(n, -np.inf)]
    for place, value in itertools.product((0, n // 2, n - 1), (90.0, np.inf, -np.inf, np.nan, -np.nan)):
        rows.append(noise.copy())
        rows[-1][place] = value
    return np.array(rows if n > LIMITS["TILE_SHORT_ELEMENTS"] else rows[1 - LIMITS["TILE_SHORT_MIN_COLUMNS"] :])


def bits(x):
    """The bits, with all nans equal."""
    return np.where(np.isnan(x), np.float32(np.nan), x).view(np.int32)


def half_bits(x, dtype):
    """The bits of halves in native order, without the sign of nan, which is the compiler's choice."""
    found = np.ascontiguousarray(x, dtype)
    return found.view(np.uint16) & np.where(np.isnan(found), np.uint16(0x7FFF), np.uint16(0xFFFF))


@each_type
@pytest.mark.parametrize("n", LENGTHS)
def test_sums_have_the_bits_of_floats(n, dtype):
    x = rows_of(n).astype(dtype)
    floats = x.astype(np.float32)
    assert explain(logsumexp, x, axis=1)["name"] == ("ONE_PASS_ROW" if n > BLOCK else "JOINT_ROWS")
    found, expected = logsumexp(x, axis=1, dtype=np.float32), logsumexp(floats, axis=1)
    np.testing.assert_array_equal(bits(found), bits(expected))
    targets = np.full(len(x), n - 1)
    losses, expected = (cross_entropy(a, targets, reduction="none") for a in (x, floats))
    np.testing.assert_array_equal(losses.astype(np.float32), expected.astype(dtype).astype(np.float32))


@each_type
def test_a_row_of_several_axes_has_the_bits_of_floats(dtype):
    """Its blocks consist of stretches that are not contiguous with each other."""
    x = np.random.default_rng(0).normal(scale=3, size=(3, 40, 600)).astype(dtype)[:, :, :500]
    found, expected = logsumexp(x, axis=(1, 2), dtype=np.float32), logsumexp(x.astype(np.float32), axis=(1, 2))
    np.testing.assert_array_equal(bits(found), bits(expected))


@each_type
@pytest.mark.parametrize("k", [1, 5, LIMITS["TOP_SORTED_ELEMENTS"] + 1])
@pytest.mark.parametrize("n", LENGTHS)
def test_the_largest_are_those_of_floats(n, k, dtype):
    """Halves have many ties. The lower index precedes."""
    x = rows_of(n).astype(dtype)
    values, indices = top_log_probs(x, k)
    expected, places = top_log_probs(x.astype(np.float32), k)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_array_equal(values.astype(np.float32), expected.astype(dtype).astype(np.float32))
    wide = np.isfinite(expected[:, 0])
    order = np.argsort(-x[wide].astype(np.float64), axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices[wide], order)


@each_type
@pytest.mark.parametrize("n", LENGTHS)
def test_draws_are_those_of_floats(n, dtype):
    x = rows_of(n).astype(dtype)
    x = x[np.isfinite(x.astype(np.float32).max(1))]
    draws = [categorical(a, size=(20, len(x)), rng=7) for a in (x, x.astype(np.float32))]
    np.testing.assert_array_equal(*draws)


@each_type
def test_bits_do_not_depend_on_threads_or_alignment(dtype):
    x = np.random.default_rng(0).normal(scale=3, size=(2, 40 * BLOCK + 5)).astype(dtype)
    memory = np.empty(x.nbytes + 1, np.uint8)
    odd = memory[1:].view(dtype).reshape(x.shape)
    odd[:] = x
    found = []
    for threads, a in itertools.product((1, 3), (x, odd)):
        with num_threads(threads):
            results = logsumexp(a, axis=1, dtype=np.float32), *top_log_probs(a, 9)
            found.append(tuple(one.tobytes() for one in results))
    assert len(set(found)) == 1


@each_type
@pytest.mark.parametrize("function", [softmax, log_softmax])
@pytest.mark.parametrize("n", [*SHORT, *LENGTHS])
def test_results_have_the_same_bits_through_the_scratch(n, function, dtype):
    """A strided row passes the scratch. A contiguous one is taken where it lies, unless a result may be nan."""
    x = rows_of(n).astype(dtype)
    x.view(np.uint16)[np.isnan(x)] = 0x7FFF  # a nan of all digits, of which results keep none
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    long_route = {softmax: "DRAFT_ROW", log_softmax: "TWO_PASS_ROW"}[function]
    assert explain(function, x, axis=1)["name"] == (long_route if n > BLOCK else "FUSED_ROW")
    expected = function(strided, axis=1)
    swapped, spaced = np.empty_like(x, dtype=dtype.newbyteorder()), np.empty((len(x), 2 * n), dtype)[:, ::2]
    for out in (None, swapped, spaced, x.copy()):
        found = function(x, axis=1, out=out)
        np.testing.assert_array_equal(half_bits(found, dtype), half_bits(expected, dtype))
    for row, wanted in zip(x, expected, strict=True):  # without a plan, if it is short
        np.testing.assert_array_equal(half_bits(function(row), dtype), half_bits(wanted, dtype))
    in_place = function(out, axis=1, out=out)
    np.testing.assert_array_equal(in_place.astype(np.float32), function(expected, axis=1).astype(np.float32))


@each_type
@pytest.mark.parametrize("n", [*SHORT, *LENGTHS])
def test_sums_have_the_same_bits_through_the_scratch(n, dtype):
    x = rows_of(n).astype(dtype)
    expected = logsumexp(np.repeat(x, 2, axis=1)[:, ::2], axis=1)
    swapped = x.astype(dtype.newbyteorder())
    for found in (logsumexp(x, axis=1), logsumexp(swapped, axis=1), [logsumexp(row) for row in x]):
        np.testing.assert_array_equal(half_bits(found, dtype), half_bits(expected, dtype))


@each_type
def test_a_row_too_long_for_a_draft_has_the_results_of_a_shorter_one(dtype):
    """Its exponentials are computed twice."""
    n = LIMITS["STAGED_DRAFT_BYTES"] // 4
    x = np.random.default_rng(0).normal(scale=3, size=n + 5).astype(dtype)
    x[n:] = -np.inf
    assert explain(softmax, x)["name"] == "TWO_PASS_ROW"
    assert explain(softmax, x[:n])["name"] == "DRAFT_ROW"
    found, expected = (a.astype(np.float32) for a in (softmax(x)[:n], softmax(x[:n])))
    np.testing.assert_allclose(found, expected, rtol=2**-7 if dtype != np.float16 else 2**-10, atol=1e-40)
    assert np.mean(found == expected) > 0.98


@each_type
def test_log_softmax_of_several_axes_is_written_stretch_by_stretch(dtype):
    x = np.random.default_rng(0).normal(scale=3, size=(3, 40, 600)).astype(dtype)[:, :, :500]
    out = np.empty((3, 40, 500), dtype)
    log_softmax(x, axis=(1, 2), out=out)
    np.testing.assert_array_equal(out.reshape(3, -1), log_softmax(x.reshape(3, -1), axis=1))


SIDES = [4, 5, 8, 10, LIMITS["TILE_LONG_ELEMENTS"]]  # of short rows; blocks that are transposed have four elements


@each_type
@pytest.mark.parametrize("n", SIDES)
def test_every_half_is_transposed(n, dtype):
    """Rows of a number and -inf: columns of tiles that are full, and that end with other numbers of columns."""
    every = np.arange(2**16, dtype=np.uint16)
    numbers = every[every & 0x7FFF <= np.array(np.inf, dtype).view(np.uint16)].view(dtype)
    for rows in (len(numbers), 3 * LIMITS["TILE_COLUMNS"] + 32, 40, 33):
        memory = np.full(rows * (n + 3) * 2 + 1, 0, np.uint8)
        x = memory[1:].view(dtype).reshape(rows, n + 3)[:, :n]  # not aligned, and not next to each other
        x[:] = -np.inf
        x[np.arange(rows), np.arange(rows) % n] = numbers[:: len(numbers) // rows][:rows]
        assert explain(logsumexp, x, axis=1)["name"].endswith("TILE")
        np.testing.assert_array_equal(logsumexp(x, axis=1), x.max(axis=1))


@each_type
@pytest.mark.parametrize("function", [softmax, log_softmax])
@pytest.mark.parametrize("n", SIDES)
def test_results_that_are_transposed_are_rounded_once(n, function, dtype):
    """Numbers of any size, nan and inf: those that are computed in float32 and rounded by NumPy.

    The nan has digits that would make it 0 if it were rounded as a number. Nothing is left of them.
    """
    rng = np.random.default_rng(n)
    for rows, special in itertools.product((3 * LIMITS["TILE_COLUMNS"] + 35, 40), (False, True)):
        x = (rng.normal(size=(rows, n)) * rng.choice([0.01, 3, 40], size=(rows, 1))).astype(np.float32)
        if special:
            x[5, n - 1], x[9, 0], x[rows - 1, 1] = np.uint32(0x7FFFFFFF).view(np.float32), np.inf, -np.inf
        expected = function(x, axis=1)
        expected[np.isnan(expected)] = np.nan
        for step in (n, n + 3):
            out = np.full((rows, step), 7.0, dtype)
            assert explain(function, x, axis=1, out=out[:, :n])["name"].endswith("TILE")
            np.testing.assert_array_equal(half_bits(out[:, :n], dtype), half_bits(expected, dtype))
            assert np.all(out[:, n:] == 7)
