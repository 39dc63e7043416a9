"""The float32 exponential at every float32 there is, or (in a plain run) at every so many of them.

softmax of the pair (x, top) is exp(x - top)/(1 + exp(x - top)). Six tops take x over every float32 from -324 to 220.
A pair by itself subtracts its top in two parts. Filled up with -inf to a row that is too long for that, it gives exp
all arguments that exp can get, for longer rows shift by 0 while the maximum is within 220 of 0, and by multiples of 32
beyond, which leaves arguments that are closer to 0. What is held against both is NumPy's exp and division in float64,
off by no more than 5 of its own ULP, 2**-26 of one in float32; where x - top is not exact in float64 it is no larger
than 2**-29, and rounding it costs less than 2**-53.
"""

import itertools

import numpy as np
import pytest
from bounds import SOFTMAX

import smoothmax
from smoothmax._thresholds import limits

REFERENCE = 2.0**-26
# Elements of a row: the pair, and one that is too long for differences in two parts.
LENGTHS = [2, limits()["SOFTMAX_DIFFERENCES_MAX_ROWS"] + 2]
# top, and the x that go with it: from the first on, and below the second
SWEEPS = [
    (0.0, -104.0, 0.0),
    (-104.0, -208.0, -104.0),
    (-220.0, -324.0, -208.0),
    (100.0, 0.0, 100.0),
    (200.0, 100.0, 200.0),
    (220.0, 200.0, 220.0),
]


def floats_between(first, last):
    """The range of integers that are the bits of all float32 between two of the same sign."""
    bits = sorted(int(np.float32(v).view(np.uint32)) for v in (first, last))
    sign = 0x80000000 if min(first, last) < 0 else 0
    return max(bits[0], sign) if bits[0] >= sign else sign, bits[1] + 1


def worst_of(top, first, last, step, n, chunk=1 << 20):
    worst, seen = (0.0, 0.0), 0
    start, end = floats_between(first, last)
    rows = np.full((chunk, n), -np.inf, np.float32)
    out = np.empty_like(rows)
    for i in range(start, end, chunk * step):
        x = np.arange(i, min(i + chunk * step, end), step, dtype=np.uint32).view(np.float32)
        pairs, got = rows[: len(x)], out[: len(x)]
        pairs[:, 0] = x
        pairs[:, 1] = top
        smoothmax.softmax(pairs, axis=1, out=got)
        exact = np.exp(x.astype(np.float64) - top)
        exact /= 1 + exact
        ulp = np.spacing(exact.astype(np.float32)).astype(np.float64)
        error = np.abs(got[:, 0] - exact) / ulp
        j = np.argmax(error)
        worst = max(worst, (float(error[j]), float(x[j])))
        seen += len(x)
    return worst, seen


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize(("top", "first", "last"), SWEEPS)
def test_exp_of_one_float32_in_4001_is_within_the_promise(top, first, last, n):
    worst, seen = worst_of(top, first, last, 4001, n, chunk=1 << 16)
    assert worst[0] <= SOFTMAX - REFERENCE, f"{worst[0]} ULP at softmax([{worst[1].hex()}, {top}])[0]"
    assert seen > 300


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("first", [-0.6931472, -87.6, -43.7, -0.01, -104.0, 0.3466, 1.0])
def test_exp_of_consecutive_floats_is_within_the_promise(first, n):
    """All floats of a stretch: also those, next to the multiples of log(2)/2, where the reduction changes."""
    first = np.float32(first)
    last = (first.view(np.uint32) + np.uint32(1 << 19)).view(np.float32)
    worst, seen = worst_of(0.0 if first < 0 else 100.0, first, last, 1, n, chunk=1 << 18)
    assert worst[0] <= SOFTMAX - REFERENCE, f"{worst[0]} ULP at softmax([{worst[1].hex()}, 0])[0]"
    assert seen == (1 << 19) + 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize(("top", "first", "last"), SWEEPS)
def test_exp_of_every_float32_is_within_the_promise(top, first, last, n):
    worst, seen = worst_of(top, first, last, 1, n, chunk=1 << 18)
    print(f"softmax of x, {top} and {n - 2} -inf: {seen} floats, at most {worst[0]:.4f} ULP, at {worst[1].hex()}")
    assert worst[0] <= SOFTMAX - REFERENCE, f"{worst[0]} ULP at softmax([{worst[1].hex()}, {top}])[0]"
    assert seen > 1_000_000


def test_the_sweeps_leave_no_float_out():
    covered = sorted((first, last) for _, first, last in SWEEPS)
    assert covered[0][0] == -324
    assert covered[-1][1] == 220
    assert all(before[1] == after[0] for before, after in itertools.pairwise(covered))
