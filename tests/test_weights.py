"""logsumexp with weights: broadcasting, signs, special values, and the error, measured with mpmath."""

import functools
import itertools

import mpmath as mp
import numpy as np
import pytest
from answers import cached
from bounds import LOGSUMEXP

from smoothmax import log_softmax, logmeanexp, logsumexp, softmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

PRECISION = 400  # bits of mpmath's numbers: enough for terms that nearly cancel and whose exponents are hundreds apart
INF, NAN = np.inf, np.nan
TYPES = [np.float32, np.float64]
LENGTHS = [*range(1, 34), 63, 64, 65, 127, 128, 129, 300, 1000, 2049, 5000]

# Elements reach the kernels in three ways: as a row in memory, as columns in memory, and staged.
PATHS = {
    "row": lambda a, b: logsumexp(a, b=b, return_sign=True),
    "tile": lambda a, b: tuple(r[3] for r in logsumexp(columns(a), axis=0, b=columns(b), return_sign=True)),
    "full tile": lambda a, b: tuple(r[70] for r in logsumexp(columns(a, 131), 0, columns(b, 131), return_sign=True)),
    "strided": lambda a, b: logsumexp(np.repeat(a, 3)[::3], b=np.repeat(b, 2)[::2], return_sign=True),
    "backwards": lambda a, b: logsumexp(a[::-1], b=b[::-1], return_sign=True),
}
each_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
each_type = pytest.mark.parametrize("dtype", TYPES)


def columns(x, n=7):
    return np.repeat(x[:, None], n, axis=1)


@functools.lru_cache(10)  # the paths have the same sum
@cached
def exact_sum(a, b):
    """Sign and logarithm of the sum, the number whose ULP `error` measures in, and the condition."""
    with mp.workprec(PRECISION):
        terms = [(mp.mpf(w) * mp.exp(mp.mpf(x)), x, w) for x, w in zip(a, b, strict=True) if w != 0]
        total = mp.fsum(t for t, _, _ in terms)
        exact = mp.log(abs(total))
        largest, x, w = max((abs(t), x, w) for t, x, w in terms)
        size = max(abs(exact), abs(mp.log(largest)))
        if not exact == mp.log(largest) == 0:
            size = max(size, abs(mp.mpf(x)), abs(mp.log(abs(mp.mpf(w)))))
        return mp.sign(total), exact, size, mp.fsum(abs(t) for t, _, _ in terms) / abs(total)


def error(got, sign, a, b):
    """The error of log(abs(sum)) in ULP of the largest of the result, a and log|b| of the largest term.

    Where a and log|b| cancel, no algorithm that gets b, and not its logarithm, can be more accurate. Where terms
    cancel, the error is divided by the condition.
    """
    exact_sign, exact, size, condition = exact_sum(tuple(a.tolist()), tuple(b.tolist()))
    assert sign == exact_sign
    with mp.workprec(PRECISION):
        ulp = mp.mpf(float(np.spacing(got.dtype.type(float(size)))))
        # A relative error of half an ULP of 1 in each term becomes `condition` times that in the logarithm.
        allowed = ulp if condition == 1 else max(ulp, (condition - 1) * mp.mpf(float(np.finfo(got.dtype).eps)))
        return float(abs(mp.mpf(float(got)) - exact) / allowed)


def random_case(kind, n, rng):
    first = np.arange(n) == rng.integers(n)
    a, b = {
        "ordinary": lambda: (rng.uniform(-3, 3, n), rng.uniform(0.1, 3, n)),
        "probabilities": lambda: (rng.uniform(-1, 1, n), rng.dirichlet(np.ones(n))),
        "far apart": lambda: (rng.uniform(-60, 60, n), np.exp(rng.uniform(-60, 60, n))),
        "far out": lambda: (rng.uniform(-3, 3, n) + rng.uniform(-9000, 9000), rng.uniform(0.1, 3, n)),
        "one and little else": lambda: (
            np.where(first, 0, rng.uniform(-12, -6, n)),
            np.where(first, 1, rng.uniform(0.5, 2, n)),
        ),
        "one and next to nothing": lambda: (np.where(first, 0, rng.uniform(-60, -30, n)), np.ones(n)),
        "zeros between": lambda: (rng.uniform(-3, 3, n), np.where(first | (rng.random(n) < 0.4), 1.7, 0)),
        "mixed signs": lambda: (rng.uniform(-5, 5, n), rng.uniform(-2, 2, n)),
    }[kind]()
    return a, b


KINDS = (
    "ordinary",
    "probabilities",
    "far apart",
    "far out",
    "one and little else",
    "one and next to nothing",
    "zeros between",
    "mixed signs",
)


@each_path
@each_type
@pytest.mark.parametrize(
    ("n", "first", "last"), [(65, 0, 64), (65, 64, 65), (2049, 0, 2048), (5000, 4999, 5000), (5000, 0, 1)]
)
def test_elements_of_weight_0_leave_no_trace(path, dtype, n, first, last):
    """Blocks of weight 0 lie before and behind the others, so far above them that exp of the others would be 0."""
    a, b = np.full(n, 1500 if dtype == np.float64 else 300, dtype), np.zeros(n, dtype)
    a[first:last] = 0
    b[first:last] = 1
    value, sign = path(a, b)
    assert sign == 1
    np.testing.assert_allclose(value, np.log(last - first), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("kind", KINDS)
@each_type
def test_error_is_within_the_promise(dtype, kind):
    rng = np.random.default_rng(17)
    for n in LENGTHS:
        for _ in range(3 if n <= 129 else 1):
            a, b = (x.astype(dtype) for x in random_case(kind, n, rng))
            for name, path in PATHS.items():
                value, sign = path(a, b)
                assert error(value, sign, a, b) <= LOGSUMEXP, (name, n)


@pytest.mark.parametrize("kind", ["ordinary", "probabilities", "one and little else", "mixed signs"])
@each_type
def test_error_over_many_blocks_is_within_the_promise(dtype, kind):
    """The right answer is the sum of the products in longdouble, whose error is far below the bound."""
    n = 300_000
    a, b = (x.astype(dtype) for x in random_case(kind, n, np.random.default_rng(5)))
    wide = np.longdouble
    terms = b.astype(wide) * np.exp(a.astype(wide))
    total, size = terms.sum(), np.abs(terms).sum()
    for path in (PATHS["row"], PATHS["tile"], PATHS["strided"]):
        value, sign = path(a, b)
        assert sign == np.sign(total)
        exact = np.log(np.abs(total))
        allowed = max(np.spacing(dtype(max(np.abs(exact), 1e-3))), (size / np.abs(total) - 1) * np.finfo(dtype).eps)
        assert abs(wide(value) - exact) <= LOGSUMEXP * allowed


@pytest.mark.parametrize("n", [10, 100, 3000, 20000])
@each_type
def test_rising_blocks_keep_their_digits(dtype, n):
    """Far from 0 the shift is a multiple of a large number, and a later block raises it."""
    for low in (-9000, -3000, -1600, -500, -130, 100, 400, 1400, 3000, 5000):
        for step in (1, 30, 100, 400, 512, 700, 1500):
            a = np.repeat(dtype([low, low + step, low + step]), n)
            exact = low + step + np.log(n * (2 + np.exp(-float(step))))
            for wide, axis in ((a, 0), (columns(a), 0), (np.repeat(a, 2)[::2], 0)):
                got = [logsumexp(wide, axis), logsumexp(wide, axis, b=np.ones_like(wide))]
                got += [wide[-1] - log_softmax(wide, axis)[-1], wide[-1] - np.log(softmax(wide, axis)[-1])]
                np.testing.assert_allclose(np.stack(got), exact, rtol=8 * np.finfo(dtype).eps)


@each_path
@each_type
def test_extreme_weights_neither_overflow_nor_vanish(dtype, path):
    """A representable result neither overflows nor vanishes, whatever representable weights it has."""
    info = np.finfo(dtype)
    most = np.log(float(info.max))
    sizes = [info.smallest_subnormal, info.tiny / 2, info.tiny, 1e-30, 1, 1e30, info.max]
    if dtype is np.float64:
        sizes += [1e-300, 1e300, 2.0**400, 2.0**401]
    for size in sizes:
        for other in sizes:
            for shift in (0, most, -most, 3 * most, -3 * most):
                # All terms b*exp(a) have the same size, though their factors differ.
                a = np.array([-np.log(float(size)) + shift, -np.log(float(other)) + shift, shift], dtype)
                b = np.array([size, other, 1], dtype)
                value, sign = path(a, b)
                assert error(value, sign, a, b) <= LOGSUMEXP, (size, other, shift)
                value, sign = path(a, -b)
                assert sign == -1
                assert error(value, sign, a, -b) <= LOGSUMEXP, (size, other, shift)


@each_type
def test_examples_that_overflow_elsewhere_are_right(dtype):
    assert logsumexp(dtype([0, 110]), b=dtype([1e30, 1e-30])) == pytest.approx(69.0775527898, rel=1e-6)
    assert logsumexp(dtype([1000, 1000]), b=dtype([1, 1])) == dtype(1000.6931471805599)
    assert logsumexp(dtype([1000, -INF]), b=dtype([0, 1])) == -INF
    assert logsumexp(dtype([800, 800]), b=dtype([1, -1])) == -INF


def test_huge_elements_with_huge_weights_are_right():
    assert logsumexp([1e19], b=[1e300]) == 1e19
    assert logsumexp([1e308, -1e308], b=[1e300, 1e300]) == 1e308
    assert logsumexp(np.float32([1e30]), b=np.float32([1e30])) == np.float32(1e30)


@each_path
@each_type
def test_huge_elements_with_weights_of_any_size_are_within_the_promise(dtype, path):
    """The spacing of such elements is as large as the logarithm of a weight, or larger."""
    info = np.finfo(dtype)
    sizes = [float(info.max), float(info.max) ** 0.5, 1, float(info.tiny)]
    between = np.full(5000, -INF, dtype)
    for start in (18, 18.5, 19, 300) if dtype is np.float64 else (8, 8.5, 9, 30):
        for sign in (1, -1):
            largest = dtype(sign * 10.0**start)
            for other in (largest, np.nextafter(largest, dtype(-INF)), dtype(largest - 100)):
                for first in sizes:
                    for second in sizes:
                        a, b = np.array([largest, other], dtype), np.array([first, -second], dtype)
                        if largest == other and first == second:
                            continue
                        value, sign_of = path(a, b)
                        assert error(value, sign_of, a, b) <= LOGSUMEXP, (a, b)
                        # The same two elements, in different blocks.
                        a = np.concatenate([a[:1], between, a[1:]])
                        b = np.concatenate([b[:1], np.ones_like(between), b[1:]])
                        np.testing.assert_array_equal(path(a, b), (value, sign_of))


# Special values: elements, weights, log|sum|, sign. Without return_sign, a sum of sign -1 gives nan.
SPECIAL = [
    ([-INF, -INF], [1, 2], -INF, 0),
    ([-INF, -INF], [-1, 2], -INF, 0),
    ([-INF, 3], [5, 1], 3, 1),
    ([-INF, 3], [-5, -1], 3, -1),
    ([INF, 3], [1, 1], INF, 1),
    ([INF, INF], [1, 2], INF, 1),
    ([INF, -INF], [1, 2], INF, 1),
    ([INF, 3], [-1, 1], INF, -1),
    ([INF, INF], [-1, -1], INF, -1),
    ([INF, 3], [1, -1], INF, 1),
    ([INF, INF], [1, -1], NAN, NAN),
    ([INF, INF], [3, -1], NAN, NAN),
    ([NAN, 3], [1, 1], NAN, NAN),
    ([NAN, 3], [-1, 1], NAN, NAN),
    ([NAN, INF], [1, 1], NAN, NAN),
    ([NAN, 3], [0, 1], 3, 1),
    ([INF, 3], [0, 1], 3, 1),
    ([INF, 3], [-0.0, 1], 3, 1),
    ([INF, NAN], [0, 0], -INF, 0),
    ([1, 2], [0, 0], -INF, 0),
    ([1000, 3], [0, 1], 3, 1),
    ([1000, 3], [0, -1], 3, -1),
    ([1000, -INF], [0, 1], -INF, 0),
    ([800, 800], [1, -1], -INF, 0),
    ([-800, -800], [-2, 2], -INF, 0),
    ([3, 800], [1, 0], 3, 1),
    ([1, 2], [INF, 1], INF, 1),
    ([1, 2], [-INF, 1], INF, -1),
    ([1, 2], [INF, INF], INF, 1),
    ([1, 2], [INF, -INF], NAN, NAN),
    ([INF, 2], [INF, 1], INF, 1),
    ([INF, 2], [INF, -1], INF, 1),
    ([INF, 2], [-INF, 1], INF, -1),
    ([INF, 2], [1, -INF], NAN, NAN),
    ([-INF, 2], [INF, 1], NAN, NAN),
    ([1, 2], [NAN, 1], NAN, NAN),
    ([INF, 2], [1, NAN], NAN, NAN),
    ([3, 2], [INF, 0], INF, 1),
]


@pytest.mark.parametrize("case", SPECIAL, ids=str)
@each_type
def test_special_values_give_the_results_of_the_table(dtype, case):
    a, b, value, sign = case
    # Elements of weight 0 lie before and after them, so that they come into every lane, the remainder and later blocks.
    for before, after in ((0, 0), (1, 0), (5, 90), (64, 3), (129, 0), (3000, 5000)):
        for one in (1, -1):
            full_a = np.concatenate([np.full(before, NAN), a[::one], np.full(after, INF)]).astype(dtype)
            full_b = np.concatenate([np.zeros(before), b[::one], -np.zeros(after)]).astype(dtype)
            for name, path in PATHS.items():
                got = path(full_a, full_b)
                np.testing.assert_allclose(got, (value, sign), rtol=1e-6, err_msg=f"{name} {before} {after}")
            alone = logsumexp(full_a, b=full_b)
            np.testing.assert_array_equal(alone, NAN if sign == -1 else got[0] if sign == sign else NAN)


@each_path
@each_type
def test_special_values_of_different_blocks_are_merged(dtype, path):
    n = 20000
    for where, a_at, b_at, value, sign in [
        ((0, n - 1), (INF, INF), (1, -1), NAN, NAN),
        ((0, n - 1), (INF, INF), (-1, -1), INF, -1),
        ((0, n - 1), (0, INF), (INF, -1), NAN, NAN),
        ((n // 2,), (INF,), (-2,), INF, -1),
        ((n - 1,), (NAN,), (1,), NAN, NAN),
        ((0,), (NAN,), (1,), NAN, NAN),
    ]:
        a, b = np.zeros(n, dtype), np.ones(n, dtype)
        a[list(where)], b[list(where)] = a_at, b_at
        np.testing.assert_array_equal(path(a, b), (dtype(value), dtype(sign)))


@each_path
@each_type
def test_opposite_weights_cancel_exactly(dtype, path):
    rng = np.random.default_rng(3)
    for n in (2, 10, 64, 300, 6000):
        a = rng.choice([-7, 0, 3], n // 2)
        b = rng.choice([0.5, 2, 8], n // 2)
        a, b = np.concatenate([a, a[::-1]]).astype(dtype), np.concatenate([b, -b[::-1]]).astype(dtype)
        # Partial sums of the terms may round, so what is left is at most the rounding error of the sum of their sizes.
        value, sign = path(a, b)
        size = logsumexp(a, b=np.abs(b))
        assert (value == -INF and sign == 0) or value - size <= np.log(np.finfo(dtype).eps), (n, value, sign)
        if n == 2:
            assert (value, sign) == (-INF, 0)


BROADCASTS = [
    ((3, 4, 5), ()),
    ((3, 4, 5), (5,)),
    ((3, 4, 5), (4, 1)),
    ((3, 4, 5), (3, 1, 1)),
    ((3, 4, 5), (1, 1, 1)),
    ((3, 4, 5), (3, 4, 5)),
    ((), (4,)),
    ((5,), (3, 4, 5)),
    ((5,), (3, 1)),
    ((1,), (70,)),
    ((3, 1, 5), (4, 1)),
    ((1, 4, 1), (3, 1, 70)),
    ((100, 1), (1, 70)),
    ((0, 3), (3,)),
    ((3,), (0, 1)),
]


@pytest.mark.parametrize(("shape", "b_shape"), BROADCASTS)
@each_type
def test_weights_and_elements_broadcast_both_ways(dtype, shape, b_shape):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=shape).astype(dtype), rng.normal(size=b_shape).astype(dtype)
    full_a, full_b = (np.array(x) for x in np.broadcast_arrays(a, b))
    ndim = full_a.ndim
    axes = [None, (), *range(-ndim, ndim), *((i, j) for i in range(ndim) for j in range(ndim) if i != j)]
    for axis in axes:
        for keepdims in (False, True):
            got = logsumexp(a, axis=axis, b=b, keepdims=keepdims, return_sign=True)
            s = np.sum(full_b.astype(float) * np.exp(full_a.astype(float)), axis=axis, keepdims=keepdims)
            size = np.sum(np.abs(full_b).astype(float) * np.exp(full_a.astype(float)), axis=axis, keepdims=keepdims)
            assert got[0].shape == got[1].shape == s.shape
            assert got[0].dtype == got[1].dtype == dtype
            np.testing.assert_array_equal(got[1], np.sign(s))
            with np.errstate(divide="ignore", invalid="ignore"):
                exact = np.log(np.abs(s))
                tolerance = np.finfo(dtype).eps * (4 + 4 * np.nan_to_num(size / np.abs(s)))
                assert np.all((np.abs(got[0] - exact) <= tolerance) | (got[0] == exact))
            alone = logsumexp(a, axis=axis, b=b, keepdims=keepdims)
            np.testing.assert_array_equal(alone, np.where(s < 0, np.nan, got[0]))


@each_type
def test_weights_of_one_change_nothing_but_rounding(dtype):
    rng = np.random.default_rng(2)
    a = rng.normal(size=(70, 300)).astype(dtype)
    for axis in (0, 1, None):
        for weights in (1, np.ones(300, dtype), np.ones((70, 1), dtype), np.ones_like(a)):
            np.testing.assert_array_max_ulp(logsumexp(a, axis, b=weights), logsumexp(a, axis), 2)


def test_the_sign_without_weights_is_that_of_the_sum():
    value, sign = logsumexp([[1, 2], [-INF, -INF], [NAN, 1], [INF, 1]], axis=1, return_sign=True)
    np.testing.assert_array_equal(value, logsumexp([[1, 2], [-INF, -INF], [NAN, 1], [INF, 1]], axis=1))
    np.testing.assert_array_equal(sign, [1, 0, NAN, 1])
    value, sign = logsumexp(np.zeros((2, 0, 3)), axis=1, return_sign=True)
    np.testing.assert_array_equal(value, np.full((2, 3), -INF))
    np.testing.assert_array_equal(sign, np.zeros((2, 3)))
    for n in (1, 10, 1000):
        x = np.linspace(-3, 3, n)
        for keepdims in (False, True):
            negative = logsumexp(x, b=-1, keepdims=keepdims, return_sign=True)  # the next call may get its memory
            assert np.all(negative[1] == -1)
            del negative
            value, sign = logsumexp(x, keepdims=keepdims, return_sign=True)
            np.testing.assert_array_equal(value, logsumexp(x, keepdims=keepdims))
            np.testing.assert_array_equal(sign, np.ones((1,) if keepdims else ()))


def test_nothing_warns_or_raises_whatever_errstate_says():
    with np.errstate(all="raise"):
        for a, b, _, _ in SPECIAL:
            logsumexp(a, b=b)
            logsumexp(np.longdouble(a), b=b)
        logsumexp([1e308, -1e308], b=[1e-308, 1e308])


LIMITS = limits()
COLUMNS = LIMITS["TILE_COLUMNS"]


def narrow_length(columns, more):
    """Rows of narrow columns: the fewest that there can be, and some more."""
    return -(-LIMITS["NARROW_MIN_ELEMENTS"] // columns) + more


def assert_narrow(function, *args, **kwargs):
    assert explain(function, *args, axis=0, **kwargs)["name"] == "NARROW"


@pytest.mark.parametrize("more", [0, 700, 4099])
@pytest.mark.parametrize("columns", [2, 3, 10, 31])
def test_a_row_of_weights_has_the_bits_of_weights_for_every_element(dtype, columns, more):
    """Narrow columns repeat the row of weights. The padding of the last row has no weight, also if one is infinite."""
    n = narrow_length(columns, more)
    rng = np.random.default_rng(columns)
    x = (3 * rng.standard_normal((n, columns))).astype(dtype)
    row = rng.uniform(0.1, 2, (1, columns)).astype(dtype)
    for special in (0.5, 0, np.inf):
        row[0, 1] = special
        whole = np.broadcast_to(row, x.shape).copy()
        for given in (row, np.repeat(row, 2, axis=1)[:, ::2], row.astype(row.dtype.newbyteorder())):
            assert_narrow(logmeanexp, x, b=given)
            assert_narrow(logmeanexp, x, b=whole)
            value = logmeanexp(x, axis=0, b=given)
            np.testing.assert_array_equal(value, logmeanexp(x, axis=0, b=whole))
            np.testing.assert_array_equal(np.isnan(value), [i == 1 and special != 0.5 for i in range(columns)])


@pytest.mark.parametrize("more", [0, 700, 4099])
@pytest.mark.parametrize("columns", [2, 3, 10, 31, 33, COLUMNS - 1])
def test_a_weight_for_each_row_has_the_bits_of_weights_for_every_element(dtype, columns, more):
    n = narrow_length(columns, more)
    rng = np.random.default_rng(columns)
    x = (3 * rng.standard_normal((n, columns))).astype(dtype)
    column = rng.uniform(-1, 2, (n, 1)).astype(dtype)
    column[7] = 0
    x[7] = np.inf
    whole = np.broadcast_to(column, x.shape).copy()
    mask = rng.random(x.shape) < 0.7
    for given in (
        column,
        np.repeat(column, 2, axis=0)[::2],
        column[::-1].copy()[::-1],
        column.astype(column.dtype.newbyteorder()),
    ):
        for where in (True, mask):
            assert_narrow(logsumexp, x, b=given, where=where, return_sign=True)
            assert_narrow(logsumexp, x, b=whole, where=where, return_sign=True)
            value, sign = logsumexp(x, axis=0, b=given, where=where, return_sign=True)
            wanted, wanted_sign = logsumexp(x, axis=0, b=whole, where=where, return_sign=True)
            np.testing.assert_array_equal(value, wanted)
            np.testing.assert_array_equal(sign, wanted_sign)
    assert np.all(np.isfinite(value))


FUSED = LIMITS["WEIGHTED_TILE_BLOCK_ROWS"]


@pytest.mark.parametrize("n", [1, 2, 10, FUSED, FUSED + 1])
@pytest.mark.parametrize("columns", [40, COLUMNS, 1000])
def test_the_sign_does_not_change_the_bits_of_short_columns(dtype, columns, n):
    """Without signs tiles are fused, except where a weight is too large for that. With signs they never are."""
    rng = np.random.default_rng(n)
    for order, huge in itertools.product("CF", (False, True)):
        x = np.array(30 * rng.standard_normal((n, columns)), dtype, order=order)
        b = np.array(rng.uniform(0, 2, x.shape), dtype, order=order)
        b[0, 3] = np.finfo(dtype).max / 4 if huge else 0
        x[:, 5], b[:, 7] = -np.inf, 0
        x[0, 9] = np.nan
        narrow = order == "C" and columns < COLUMNS and x.size >= LIMITS["NARROW_MIN_ELEMENTS"]
        with_sign, without = ("NARROW", "NARROW") if narrow else ("ONE_PASS_TILE", "FUSED_TILE")
        if n > 1:  # else there is one weight for each reduction
            assert explain(logsumexp, x, axis=0, b=b, return_sign=True)["name"] == with_sign
            assert explain(logsumexp, x, axis=0, b=b)["name"] == (without if n <= FUSED else with_sign)
        value, sign = logsumexp(x, axis=0, b=b, return_sign=True)
        np.testing.assert_array_equal(logsumexp(x, axis=0, b=b), value)
        np.testing.assert_array_equal(sign[[5, 7, 9]], [0, 0, np.nan])


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("size", [0.01, 1.0, 1.9, 2.1])
def test_long_rows_with_sums_of_every_size_are_within_the_promise(size, dtype):
    """Terms are rounded if the sum hides their errors, from exp(2) on, and exact for smaller sums."""
    n = 4 * limits()["ROUNDED_MIN_LANE_ROWS"] * limits()["LANES_F32"]
    rng = np.random.default_rng(7)
    worst = 0.0
    for _ in range(20):
        x = -3 * rng.random(n).astype(dtype)
        x[0] = 0
        b = rng.random(n)
        b = (b * (np.exp(size) / (b * np.exp(x.astype(np.longdouble))).sum())).astype(dtype)
        exact = np.log((b.astype(np.longdouble) * np.exp(x.astype(np.longdouble))).sum())
        worst = max(worst, abs(logsumexp(x, b=b).astype(np.longdouble) - exact) / np.spacing(dtype(exact)))
    assert worst <= LOGSUMEXP


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("lane_rows", [1, 2, 4], ids="{}-times-the-limit".format)
def test_a_small_sum_of_one_large_term_is_within_the_promise(lane_rows, dtype):
    """A large term makes a longer row look as if its sum reached exp(2). Then the sum itself decides."""
    n = lane_rows * limits()["ROUNDED_TERM_LANE_ROWS"] * limits()["LANE_BYTES"] // dtype().itemsize
    rng = np.random.default_rng(8)
    worst = 0.0
    for size in rng.uniform(0.3, 1.5, 60):
        x = rng.uniform(-9, -4, n).astype(dtype)
        x[0] = rng.uniform(-0.7, 0.7)
        b = np.full(n, 0.1 / n).astype(dtype)
        b[0] = np.exp(size - x[0].astype(np.float64))
        exact = np.log((b.astype(np.longdouble) * np.exp(x.astype(np.longdouble))).sum())
        worst = max(worst, abs(logsumexp(x, b=b).astype(np.longdouble) - exact) / np.spacing(dtype(exact)))
    assert worst <= LOGSUMEXP
