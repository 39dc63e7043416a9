"""Softmax of a long row drafts exponentials in the result and corrects them. Without drafts it has the same bits."""

import numpy as np
import pytest
from bounds import SOFTMAX
from oracle import reference, ulp_error

import smoothmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

BLOCK = limits()["ROW_BLOCK_BYTES"]
# Rows that are too long to be fused. Their last block and their last lanes are not full.
BYTES = (limits()["FUSED_SOFTMAX_ROW_BYTES"] + 8, 2_500_000 - 4)


def rows(dtype, n):
    rng = np.random.default_rng(n)
    block = BLOCK // np.dtype(dtype).itemsize
    noise = rng.standard_normal(n)
    ramp = np.linspace(0, 1, n)
    far = 3000.0 if dtype == np.float64 else 400.0
    late = np.where(np.arange(n) < n - 5, -far, 0.0)
    hidden = noise.copy()
    hidden[: 3 * block] = -np.inf
    found = {
        "normal": 3 * noise,
        "wide": 300 * noise,
        "offset": noise + 1e4,
        "rising": far * ramp + noise,
        "rising through 0": 2 * far * (ramp - 0.5) + noise,
        "falling": -far * ramp + noise,
        "a maximum far above all before": late + noise,
        "a maximum a little above": 0.04 * late + noise,
        "a maximum that leaves subnormal results": (0.24 if dtype == np.float64 else 0.22) * late + noise,
        "a maximum that leaves the least number": np.where(np.arange(n) < n - 1, -744.9 if far > 400 else -103.7, 0.0),
        "first blocks of -inf": hidden,
        "all -inf": np.full(n, -np.inf),
        "one inf": np.where(np.arange(n) == n // 2, np.inf, noise),
        "one nan": np.where(np.arange(n) == n // 2, np.nan, noise),
        "one number": np.where(np.arange(n) == n // 2, 5.0, -np.inf),
    }
    return {name: row.astype(dtype) for name, row in found.items()}


def same_bits(one, other):
    return np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("nbytes", BYTES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_draft_has_the_bits_of_a_row_without_a_draft(dtype, nbytes, threads):
    for name, row in rows(dtype, nbytes // np.dtype(dtype).itemsize).items():
        strided = np.empty(2 * row.size, dtype)[::2]  # a result that is not contiguous cannot hold a draft
        misaligned = np.empty(row.nbytes + 1, np.uint8)[1:].view(dtype)  # its elements are staged
        misaligned[...] = row
        in_place = row.copy()
        calls = {
            "DRAFT_ROW": [(row, None), (in_place, in_place), (misaligned, None)],
            "TWO_PASS_ROW": [(row, strided), (misaligned, strided)],
        }
        with smoothmax.num_threads(threads):
            drafted = smoothmax.softmax(row)
            for route, with_route in calls.items():
                for x, out in with_route:
                    expected = x.copy()
                    assert explain(smoothmax.softmax, x, out=out)["name"] == route
                    if out is x:
                        x[...] = expected
                    assert same_bits(smoothmax.softmax(x, out=out), drafted), f"{name}, {route}"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_several_rows_have_drafts_of_their_own(dtype):
    many = np.stack(list(rows(dtype, BYTES[0] // np.dtype(dtype).itemsize).values()))
    assert explain(smoothmax.softmax, many, axis=1)["name"] == "DRAFT_ROW"
    for row, got in zip(many, smoothmax.softmax(many, axis=1), strict=True):
        assert same_bits(got, smoothmax.softmax(row))


@pytest.mark.parametrize("dtype", [np.float16, ">f4"])
@pytest.mark.parametrize("threads", [1, 3])
def test_results_of_another_type_have_their_draft_in_memory_of_the_thread(dtype, threads):
    """The draft is as long as the row, so it has a limit of its own; the bits are those of float32, or nearly."""
    longest = limits()["STAGED_DRAFT_BYTES"] // 4
    for route, n in (("DRAFT_ROW", BYTES[0] // 4), ("DRAFT_ROW", longest), ("TWO_PASS_ROW", longest + 1)):
        for name, row in rows(np.float32, n).items():
            with np.errstate(over="ignore"):
                x = row.astype(np.float16).astype(dtype)
            out = np.empty(n, dtype)
            with smoothmax.num_threads(threads):
                assert explain(smoothmax.softmax, x, out=out)["name"] == route
                wanted = smoothmax.softmax(x.astype(np.float32)).astype(dtype)
                if dtype == np.float16:
                    np.testing.assert_allclose(smoothmax.softmax(x), wanted, rtol=2**-10, atol=2**-24)
                    wanted = smoothmax.softmax(x)
                for given in (x, x[::-1][::-1], x.copy()):
                    assert same_bits(smoothmax.softmax(given, out=out), wanted), name
                assert same_bits(smoothmax.softmax(x, out=x), wanted), name


@pytest.mark.parametrize("name", ["rising", "a maximum a little above", "a maximum that leaves subnormal results"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_draft_is_within_the_promise(dtype, name):
    row = rows(dtype, BYTES[0] // np.dtype(dtype).itemsize)[name]
    assert np.max(ulp_error(smoothmax.softmax(row), reference("softmax", row))) <= SOFTMAX
