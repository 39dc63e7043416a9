"""The float32 exponential is right at every float32 (-m exhaustive), and in a plain run at one in 4001.

softmax of the pair (x, maximum) is exp(x - maximum)/(1 + exp(x - maximum)). With six maxima, x takes every float32 from
-324 to 220. In a tile, a pair takes its difference from the maximum in two parts. A pair that -inf extends to a row of
more elements than there are lanes is shifted: by 0 while the maximum is within 220 of 0, and by multiples of 32 beyond,
which leaves arguments closer to 0. So exp gets every argument that it can get.

Both are compared with NumPy's exp and division in float64. These are off by at most 5 ULP of float64, which is 2**-26
ULP of float32. Where x - maximum is not exact in float64, it is at most 2**-29, and rounding it costs less than 2**-53.
"""

import itertools

import numpy as np
import pytest
from bounds import SOFTMAX

import smoothmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

REFERENCE = 2.0**-26
# For each route: the number of rows side by side, and their elements. Too few rows make no tile.
ROUTES = {
    "FUSED_DIFFERENCES_TILE": (64, 2),
    "FUSED_ROW": (limits()["TILE_SHORT_MIN_COLUMNS"] - 1, limits()["LANES_F32"] + 1),
}
# A maximum, and the range of x that it is combined with: from the second number to the third.
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


def worst_of(maximum, first, last, step, route, chunk=1 << 20):
    side_by_side, n = ROUTES[route]
    worst, seen = (0.0, 0.0), 0
    start, end = floats_between(first, last)
    chunk -= chunk % side_by_side
    # One row more, which is left out, keeps the groups from being one long axis.
    rows = np.full((chunk // side_by_side, side_by_side + 1, n), -np.inf, np.float32)[:, :-1]
    out = np.empty((chunk // side_by_side, side_by_side + 1, n), np.float32)[:, :-1]
    for i in range(start, end, chunk * step):
        x = np.arange(i, min(i + chunk * step, end), step, dtype=np.uint32).view(np.float32)
        seen += len(x)
        x = np.append(x, x[-1:].repeat(-len(x) % side_by_side))
        pairs, got = rows[: len(x) // side_by_side], out[: len(x) // side_by_side]
        pairs[..., 0] = x.reshape(-1, side_by_side)
        pairs[..., 1] = maximum
        assert explain(smoothmax.softmax, pairs, axis=-1, out=got)["name"] == route
        exact = np.exp(x.astype(np.float64) - maximum)
        exact /= 1 + exact
        ulp = np.spacing(exact.astype(np.float32)).astype(np.float64)
        error = np.abs(got[..., 0].ravel() - exact) / ulp
        j = np.argmax(error)
        worst = max(worst, (float(error[j]), float(x[j])))
    return worst, seen


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("maximum", "first", "last"), SWEEPS)
def test_exp_of_one_float32_in_4001_is_within_the_promise(maximum, first, last, route):
    worst, seen = worst_of(maximum, first, last, 4001, route, chunk=1 << 16)
    assert worst[0] <= SOFTMAX - REFERENCE, f"{worst[0]} ULP at softmax([{worst[1].hex()}, {maximum}])[0]"
    assert seen > 300


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("first", [-0.6931472, -87.6, -43.7, -0.01, -104.0, 0.3466, 1.0])
def test_exp_of_consecutive_floats_is_within_the_promise(first, route):
    """2**19 floats in turn, among them those next to multiples of log(2)/2, where the argument reduction changes."""
    first = np.float32(first)
    last = (first.view(np.uint32) + np.uint32(1 << 19)).view(np.float32)
    worst, seen = worst_of(0.0 if first < 0 else 100.0, first, last, 1, route, chunk=1 << 18)
    assert worst[0] <= SOFTMAX - REFERENCE, f"{worst[0]} ULP at softmax([{worst[1].hex()}, 0])[0]"
    assert seen == (1 << 19) + 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("maximum", "first", "last"), SWEEPS)
def test_exp_of_every_float32_is_within_the_promise(maximum, first, last, route):
    worst, seen = worst_of(maximum, first, last, 1, route, chunk=1 << 18)
    print(f"softmax of x, {maximum} by {route}: {seen} floats, at most {worst[0]:.4f} ULP, at {worst[1].hex()}")
    assert worst[0] <= SOFTMAX - REFERENCE, f"{worst[0]} ULP at softmax([{worst[1].hex()}, {maximum}])[0]"
    assert seen > 1_000_000


def test_the_sweeps_leave_no_float_out():
    covered = sorted((first, last) for _, first, last in SWEEPS)
    assert covered[0][0] == -324
    assert covered[-1][1] == 220
    assert all(before[1] == after[0] for before, after in itertools.pairwise(covered))
