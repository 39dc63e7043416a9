"""logmatmulexp is within its bounds by mpmath, also where products of exponentials underflow."""

import numpy as np
import pytest
from bounds import EXACT_LOGMATMULEXP
from product_reference import context, exact_element, exact_product, excess, worst

from smoothmax import logmatmulexp
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
SIZES = {np.float64: (700, 1e300), np.float32: (80, 1e37)}  # where exp underflows, and numbers near the largest


def rng():
    return np.random.default_rng(20261129)


def peaks_apart(dtype):
    """Rows peak where columns are least, so most of the product of exponentials underflows."""
    far = SIZES[dtype][0] * 1.1
    a = np.where(np.arange(12) < 6, 0, -far) + rng().normal(size=(9, 12))
    return a, np.where(np.arange(12)[:, None] < 6, -far, 0) + rng().normal(size=(12, 9))


def at_the_limit(dtype):
    """Terms on both sides of underflow, each row a little lower than the one before."""
    far = np.linspace(0.4, 1.6, 20) * SIZES[dtype][0]
    a = np.stack([np.zeros(20), -far], axis=1)
    b = np.stack([-far, np.full(20, 0.0)])
    return a, b - 0.1 * rng().random((2, 20))


def beside_zero(_):
    """Results near 0. A sum that includes a rounded 1 would lose them."""
    r = rng()
    a = np.column_stack([r.integers(-99, 99, 8) / 8, -20 - r.random(8), -12 - r.random(8)])
    return a, np.vstack([-a[:, 0], -17 - r.random(8), -21 - r.random(8)])


def subnormal(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    return rng().integers(-99, 99, (6, 5)) * tiny, rng().integers(-99, 99, (5, 6)) * tiny


def huge(dtype):
    """Offsets near the largest numbers. Numbers that are added to them are lost; sums of some offsets are ordinary."""
    large = SIZES[dtype][1]
    a = rng().choice([large, -large, large / 3], (7, 6)) * (1 + 0.1 * rng().random((7, 6)))
    return a, rng().choice([large, -large, -large / 3], (6, 7)) * (1 + 0.1 * rng().random((6, 7)))


def far_away(dtype):
    """Sums whose rounding errors are from far below to far above the differences between them."""
    far = 2.0 ** (np.finfo(dtype).nmant + np.arange(-16, 12))[:, None]
    a, b = far + rng().normal(size=(28, 6)), rng().choice([-3, -1 / 3, 1 / 3], (6, 5))
    return a * rng().choice([-1, 1], (28, 1)), b + 0.1 * rng().random((6, 5))


def beside_a_power_of_two(dtype):
    """Results a little above a negative power of two, below which an ULP of the terms is twice as large."""
    power = 2.0 ** (np.finfo(dtype).nmant + np.arange(-16, 12))[:, None]
    a = -power - rng().random((28, 40)) * 3
    return a, rng().random((40, 5)) - 1


def beyond_the_shift(dtype):
    """Maxima on both sides of the one from which factors are shifted, and results near 0 of terms far below them."""
    near, far = (2100, 950) if dtype == np.float64 else (260, 90)
    maxima = np.linspace(0.7, 1.3, 24)[:, None] * near * rng().choice([-1, 1], (24, 1))
    is_low = np.arange(2) == 0
    return maxima - far * is_low + rng().random((24, 2)), (far - maxima - far * ~is_low).T + rng().random((2, 24))


def at_the_limit_far_away(dtype):
    """Terms on both sides of underflow, with sums so large that their rounding errors are as large as differences."""
    digits, far = np.finfo(dtype).nmant, 1064 if dtype == np.float64 else 132
    a = 2.0 ** (digits + np.arange(-1, 6))[:, None] * (1 + rng().random((7, 1))) + rng().normal(size=(7, 30)) * 40
    a[:, 1:] -= far
    return a * 0.75, a[:, :8].T[rng().integers(0, 8, 30)] * 0.25 + rng().normal(size=(30, 7))


FAMILIES = {
    "ordinary": lambda _: (rng().normal(size=(9, 17)), rng().normal(size=(17, 9))),
    "wide": lambda dtype: (
        rng().normal(size=(9, 17)) * SIZES[dtype][0] / 3,
        rng().normal(size=(17, 9)) * SIZES[dtype][0] / 3,
    ),
    "widest": lambda dtype: (
        rng().normal(size=(9, 17)) * SIZES[dtype][0],
        rng().normal(size=(17, 9)) * SIZES[dtype][0],
    ),
    "one term": lambda _: (rng().normal(size=(9, 1)) * 1e3, rng().normal(size=(1, 9)) * 1e3),
    "low precision": lambda _: (np.round(rng().normal(size=(9, 8)), 2) * 100, np.round(rng().normal(size=(8, 9)), 2)),
    "peaks apart": peaks_apart,
    "at the limit": at_the_limit,
    "beside zero": beside_zero,
    "subnormal": subnormal,
    "huge": huge,
    "far away": far_away,
    "beside a power of two": beside_a_power_of_two,
    "beyond the shift": beyond_the_shift,
    "at the limit, far away": at_the_limit_far_away,
}


def family(name, dtype):
    a, b = (x.astype(dtype) for x in FAMILIES[name](dtype))
    return a, b, exact_product(a, b)


def repeated(x, axis, length):
    """The rows or columns of a matrix again and again, up to a length."""
    return np.take(x, np.arange(length) % x.shape[axis], axis)


@pytest.mark.parametrize("name", FAMILIES)
def test_error_is_within_the_promise(name, dtype):
    a, b, found = family(name, dtype)
    n, m = len(a), b.shape[1]
    wide, few = repeated(b, 1, 40), LIMITS["LANES_F64"] // LIMITS["PRODUCT_FILLED_LANES"] - 3
    assert explain(logmatmulexp, a, wide)["name"] == "PRODUCT_BLOCKS"
    assert explain(logmatmulexp, a, b[:, :few])["name"] == "PRODUCT"
    with np.errstate(all="raise"):
        assert worst(logmatmulexp(a, wide)[:, :m], a, b, False, found) <= 1
        assert worst(logmatmulexp(b.T, repeated(a, 0, 40).T).T[:n], a, b, False, found) <= 1
        for first in range(0, m - few + 1, few):
            some = slice(first, first + few)
            assert worst(logmatmulexp(a, b[:, some]), a, b[:, some], False, [row[some] for row in found]) <= 1
        assert worst(logmatmulexp(a, b, exact=True), a, b, True, found) <= 1
        each = logmatmulexp(a[:, None, None, :], b.T[None, :, :, None])  # a stack of matrices of one element
        assert worst(each[:, :, 0, 0], a, b, False, found) <= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_exact_sums_by_products_of_exponentials_are_within_the_promise(name, dtype):
    """A block with more rows and columns than there are lanes, and a stack of matrices of some of them."""
    a, b, found = family(name, dtype)
    n, m = len(a), b.shape[1]
    size = 2 * LIMITS["LANES_F32"]
    with np.errstate(all="raise"):
        got = logmatmulexp(repeated(a, 0, size + 1), repeated(b, 1, size + 3), exact=True)
        assert worst(got[:n, :m], a, b, True, found) <= 1
        np.testing.assert_array_equal(got, repeated(repeated(got[:n, :m], 0, size + 1), 1, size + 3))
        assert a.shape[1] * 3 <= LIMITS["PRODUCT_FACTOR_TERMS"]
        rows, columns = rng().integers(0, n, (size, 3)), rng().integers(0, m, (size, 3))
        stack = logmatmulexp(a[rows], b.T[columns].swapaxes(1, 2), exact=True)
    np.testing.assert_array_equal(stack, got[rows[:, :, None], columns[:, None, :]])


def test_the_worst_known_inputs_of_exact_products():
    """Those of ops/logmatmulexp_factored.pxi, and the worst whose results are not just normal."""
    errors = []
    for dtype, a, b in (
        (np.float64, [0.0, -233.23865353164294], [0.0, -473.7841531425245]),
        (np.float32, [0.0, -68.3348159790039], [0.0, -17.67450523376465]),
        (np.float64, [-0.24283379230111876, -0.5633842853213541], [0.0751123656520651, -0.22521270811252797]),
        (np.float32, [25.898067474365234, -27.907821655273438], [-25.898067474365234, -58.11388397216797]),
    ):
        left, right = np.array([a], dtype), np.array([b], dtype).T
        size = LIMITS["LANES_F32"]
        got = logmatmulexp(repeated(left, 0, size), repeated(right, 1, size), exact=True)
        errors.append(EXACT_LOGMATMULEXP * worst(got[:1, :1], left, right, True))
    assert max(errors) < 1.02, errors
    assert min(errors[2:]) > 0.7, errors


def test_the_product_that_loses_a_column():
    """With exp, matmul and log, a widely copied solution, the first column is -inf."""
    a, b = np.zeros((2, 2)), np.array([[-1000.0, 0.0], [-1000.0, 0.0]])
    for repeats in (1, 20):
        got = logmatmulexp(np.repeat(a, repeats, 0), np.repeat(b, repeats, 1))
        np.testing.assert_allclose(got[:, :repeats], -1000 + np.log(2), rtol=1e-15)
        np.testing.assert_allclose(got[:, repeats:], np.log(2), rtol=1e-15)


def test_nothing_is_wrongly_infinite(dtype):
    """Distances between the peaks of rows and of columns, up to far beyond the range of exponentials."""
    far = np.linspace(0, 4 * SIZES[dtype][0], 500).astype(dtype)
    a = np.stack([np.zeros_like(far), -far], axis=1)
    expected = np.logaddexp(-far[:, None], -far[None, :].astype(np.float64))
    for route, width in (("PRODUCT_BLOCKS", 500), ("PRODUCT", 5)):
        assert explain(logmatmulexp, a, a.T[::-1, :width])["name"] == route
        got = np.hstack([logmatmulexp(a, a.T[::-1, i : i + width]) for i in range(0, 500, width)])
        np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps, atol=12 * np.finfo(dtype).eps)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    "k", [10**5, *(LIMITS[name] + more for name in ("PRODUCT_TERMS", "PRODUCT_FACTOR_TERMS") for more in (0, 1))]
)
def test_many_terms_are_within_the_promise(k, exact, dtype):
    """The terms have 48 values, so that mpmath sums 48*48 of them for any k."""
    r = rng()
    values = (r.normal(size=(2, 48)) * 5).astype(dtype)
    a_places, b_places = r.integers(0, 48, (9, k)), r.integers(0, 48, (k, 33))
    a, b = values[0][a_places], values[1][b_places]
    got = logmatmulexp(a, b, exact=exact)
    vector, row = logmatmulexp(a[0], b[:, 0], exact=exact), logmatmulexp(a[8], b, exact=exact)
    for i, j in ((0, 0), (4, 6), (2, 31), (8, 32)):
        pairs, counts = np.unique(a_places[i] * 48 + b_places[:, j], return_counts=True)
        terms = [context.mpf(float(values[0][p // 48])) + context.mpf(float(values[1][p % 48])) for p in pairs]
        found = exact_element(terms, counts)
        assert excess(got[i, j], found, k, dtype, exact) <= 1
        if i == j == 0:
            assert excess(vector, found, k, dtype, True) <= 1
        elif i == 8:
            assert excess(row[j], found, k, dtype, exact) <= 1


@pytest.mark.parametrize("n", [3, 33])
def test_many_terms_that_are_small_beside_one(n, dtype):
    """Their sum alone is the result, and must have all its digits."""
    k = 5000
    a, b = np.full((n, k), -30.0, dtype), np.full((k, n), -7.5, dtype)
    a[:, 77] = b[77] = 0
    found = exact_element([context.mpf(0), context.mpf(-37.5)], [1, k - 1])
    got = logmatmulexp(a, b, exact=True)
    assert all(excess(x, found, k, dtype, True) <= 1 for x in np.unique(got))


@pytest.mark.parametrize("fraction", [-0.49, 0.3, 0.49])
def test_rounding_a_sum_of_two_elements_keeps_the_promise(fraction, dtype):
    """Terms below a negative power of two, results above it: half an ULP of a term is an ULP of the result."""
    digits = np.finfo(dtype).nmant
    for exponent in range(1, digits + 8):
        for terms in (1, 3, 40):
            a = np.full(terms, -(2.0**exponent) - 2.0 ** max(0, exponent - digits), dtype)
            b = np.full(terms, fraction * 2.0 ** (exponent - digits), dtype)
            found = exact_element([context.mpf(float(a[0])) + context.mpf(float(b[0]))], [terms])
            assert excess(logmatmulexp(a, b), found, terms, dtype, False) <= 1


def test_float16_is_rounded_once():
    r = rng()
    a, b = r.normal(size=(40, 9)).astype(np.float16), r.normal(size=(9, 40)).astype(np.float16)
    for exact in (False, True):
        got = logmatmulexp(a, b, exact=exact)
        assert got.dtype == np.float16
        right = logmatmulexp(a.astype(np.float64), b.astype(np.float64), exact=True)
        assert np.max(np.abs(got - right) / np.spacing(np.abs(right).astype(np.float16))) <= 0.51
