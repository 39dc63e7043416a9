"""Softmax of a long row leaves exponentials in the result and corrects them; without drafts it has the same bits."""

import numpy as np
import pytest
from oracle import reference, ulp_error

import smoothmax

BLOCK = 16384  # bytes, as in the kernels
BYTES = (1_048_576 + 8, 2_500_000 - 4)  # longer than rows done at once; blocks and lanes that are not full


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


@pytest.mark.parametrize("nbytes", BYTES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_draft_has_the_bits_of_a_row_without(dtype, nbytes, threads):
    for name, row in rows(dtype, nbytes // np.dtype(dtype).itemsize).items():
        with smoothmax.num_threads(threads):
            drafted = smoothmax.softmax(row)
            in_place = row.copy()
            smoothmax.softmax(in_place, out=in_place)
        same = (drafted == in_place) | (np.isnan(drafted) & np.isnan(in_place))
        assert np.all(same), f"{name}: {np.count_nonzero(~same)} differ, the first at {np.argmin(same)}"
        byte_off = np.empty(row.nbytes + 1, np.uint8)[1:].view(dtype)  # comes through a scratch, and has no draft
        byte_off[...] = row
        assert not byte_off.flags.aligned
        assert np.array_equal(smoothmax.softmax(byte_off), drafted, equal_nan=True), name


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_several_rows_have_drafts_of_their_own(dtype):
    many = np.stack(list(rows(dtype, BYTES[0] // np.dtype(dtype).itemsize).values()))
    together = smoothmax.softmax(many, axis=1)
    for row, got in zip(many, together, strict=True):
        assert np.array_equal(got, smoothmax.softmax(row), equal_nan=True)


@pytest.mark.parametrize("name", ["rising", "a maximum a little above", "a maximum that leaves subnormal results"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_draft_is_within_the_promise(dtype, name):
    row = rows(dtype, BYTES[0] // np.dtype(dtype).itemsize)[name]
    assert np.max(ulp_error(smoothmax.softmax(row), reference("softmax", row))) <= 2
