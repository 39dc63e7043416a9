"""logmatmulexp: shapes, types, layouts, special values, errors, memory, threads and routes."""

import itertools
import threading
import tracemalloc

import numpy as np
import pytest
from bounds import EXACT_LOGMATMULEXP, LONGDOUBLE_LOGMATMULEXP
from layouts import LAYOUTS

import smoothmax
from smoothmax import logmatmulexp
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
RNG = np.random.default_rng(20261129)
STACK = 4 * LIMITS["PRODUCT_EXACT_ELEMENTS"]  # STACK_RESULTS of products.pyx: elements of a matrix in a lane
SHAPES = [
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((5, 4), (4,)),
    ((3, 4), (4, 5)),
    ((7, 3, 4), (4, 5)),
    ((4,), (7, 4, 5)),
    ((7, 3, 4), (4,)),
    ((2, 1, 3, 4), (6, 4, 5)),
    ((1, 3, 4), (6, 4, 5)),
    ((40, 2, 2), (40, 2, 2)),
    ((40, 3, 2), (2, 2)),
    ((16, 8, 8), (16, 8, 8)),
    ((5, 7, 3, 40), (7, 40, 3)),
    ((33, 1, LIMITS["PRODUCT_TERMS"]), (33, LIMITS["PRODUCT_TERMS"], 1)),
    ((33, 1, LIMITS["PRODUCT_TERMS"] + 1), (33, LIMITS["PRODUCT_TERMS"] + 1, 1)),
    ((40, STACK, 2), (40, 2, 1)),
    ((40, 1, 4), (40, 4, STACK)),
    ((40, STACK + 1, 2), (40, 2, 1)),
    ((33, 40), (40, 65)),
    ((LIMITS["PRODUCT_ROWS"] + 3, 5), (5, LIMITS["LANES_F32"])),
    ((3, 21, 6), (6, LIMITS["LANES_F32"] + 1)),
    ((2, 1, 20, 5), (2, 3, 5, 40)),
    ((2, 3, 20, 5), (2, 1, 5, 40)),
    ((40, 9), (9, LIMITS["LANES_F64"] // LIMITS["PRODUCT_FILLED_LANES"])),
    ((40, 9), (9, LIMITS["LANES_F64"] // LIMITS["PRODUCT_FILLED_LANES"] - 1)),
    ((70, LIMITS["PRODUCT_BLOCK_TERMS"] // 70**2 + 1), (LIMITS["PRODUCT_BLOCK_TERMS"] // 70**2 + 1, 70)),
    ((40, 3), (3, 1)),
    ((1, 3), (3, 40)),
    ((300, 17), (17,)),
    ((700,), (700,)),
    ((9000,), (9000,)),
    ((3, 700), (700, 3)),
    ((5, 1), (1, 6)),
    ((2, LIMITS["PRODUCT_ROWS"] + 1, 3), (3, LIMITS["PRODUCT_COLUMNS"] + 1)),
    *(((40, LIMITS["PRODUCT_FACTOR_TERMS"] + more), (LIMITS["PRODUCT_FACTOR_TERMS"] + more, 70)) for more in (0, 1)),
    *(((70, 4, TERMS), (70, TERMS, 4)) for TERMS in (LIMITS["PRODUCT_FACTOR_TERMS"] // 4 + more for more in (0, 1))),
    *(
        ((2, LIMITS[lanes] // LIMITS["PRODUCT_FACTORED_LANES"] + more, 9), (9, 40))
        for lanes in ("LANES_F32", "LANES_F64")
        for more in (-1, 0)
    ),
]
WAYS = {"factors": False, "exact": True}


def numbers(shape, dtype=np.float64, scale=3.0):
    return (RNG.normal(size=shape) * scale).astype(dtype)


def expected_of(a, b):
    """A slow twin: logsumexp of the terms of each element."""
    wide = np.longdouble
    a, b = np.asarray(a, wide), np.asarray(b, wide)
    left, right = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    with np.errstate(all="ignore"):
        terms = left[..., :, :, None] + right[..., None, :, :]
        largest = np.max(terms, axis=-2, initial=-np.inf, keepdims=True)
        finite = np.where(np.isfinite(largest), largest, 0)
        sums = np.log(np.exp(terms - finite).sum(axis=-2)) + finite[..., 0, :]
    sums = np.where(np.isnan(terms).any(axis=-2), np.nan, sums)
    sums = sums[..., 0, :] if a.ndim == 1 else sums
    return sums[..., 0] if b.ndim == 1 else sums


def tolerance(dtype):
    return {"rtol": 20 * np.finfo(dtype).eps, "atol": 200 * np.finfo(dtype).eps}


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_shapes_are_those_of_matmul(shapes, exact, dtype):
    a, b = (numbers(shape, dtype) for shape in shapes)
    got = logmatmulexp(a, b, exact=exact)
    like = np.matmul(a, b)
    assert (got.shape, got.dtype, type(got)) == (like.shape, dtype, type(like))
    np.testing.assert_allclose(got, expected_of(a, b), **tolerance(dtype))
    out = np.empty(like.shape, dtype)
    assert logmatmulexp(a, b, out=out, exact=exact) is out
    np.testing.assert_array_equal(out, got)


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    "shapes", [((0, 3), (3, 2)), ((3, 0), (0, 2)), ((0,), (0,)), ((0, 2, 3), (3, 2)), ((2, 0), (0,))]
)
def test_no_terms_and_no_elements(shapes, exact):
    a, b = (np.zeros(shape) for shape in shapes)
    got = logmatmulexp(a, b, exact=exact)
    assert np.shape(got) == np.shape(a @ b)
    assert np.all(got == -np.inf)
    assert explain(logmatmulexp, a, b)["name"] == "EMPTY"


def laid_out(x, layout):
    if layout == "broadcast":
        return np.broadcast_to(x[..., :1, :], x.shape)
    if layout == "first_axis":
        return np.asfortranarray(x)
    if layout == "two_axes":
        return x
    array, axis, back = LAYOUTS[layout](x)
    assert axis == 1
    return back(array)


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("layout", [*LAYOUTS, "broadcast"])
def test_every_layout_gives_the_same_result(layout, exact, dtype):
    """Every layout of one operand with every layout of the other, with lanes that are rows and that are columns."""
    for other, (n, m) in itertools.product([*LAYOUTS, "broadcast"], ((21, 19), (2, 40), (40, 1))):
        a, b = laid_out(numbers((n, 23), dtype), layout), laid_out(numbers((23, m), dtype), other)
        got = logmatmulexp(a, b, exact=exact)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected_of(a, b), **tolerance(dtype))
        np.testing.assert_allclose(logmatmulexp(b.T, a.T, exact=exact).T, got, **tolerance(dtype))


def test_stacks_that_are_views():
    a = numbers((6, 5, 4, 8))[::-2, :, ::2].transpose(1, 0, 2, 3)
    b = np.broadcast_to(numbers((3, 8, 20)), (5, 3, 8, 20))
    for exact in WAYS.values():
        np.testing.assert_allclose(logmatmulexp(a, b, exact=exact), expected_of(a, b), **tolerance(float))


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
def test_results_have_the_promoted_type(exact):
    a, b = np.round(numbers((20, 6))), np.round(numbers((6, 20)))
    right = logmatmulexp(a, b, exact=True)
    for given, result in (("i1", "f8"), ("u8", "f8"), ("?", "f8"), (">f8", "f8"), (">f4", "f4"), ("f2", "f2")):
        left, other = (np.abs(x).astype(given) for x in (a, b))
        got = logmatmulexp(left, other, exact=exact)
        assert got.dtype == result
        np.testing.assert_allclose(got, logmatmulexp(left.astype("f8"), other.astype("f8")), **tolerance(result))
    for left, other, result in (("f4", "f8", "f8"), ("f2", "f4", "f4"), ("i4", "f4", "f8"), ("?", "f4", "f4")):
        assert logmatmulexp(a.astype(left), b.astype(other), exact=exact).dtype == result
    got = logmatmulexp(a, b, dtype=np.float32, exact=exact)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, right, **tolerance(np.float32))
    np.testing.assert_array_equal(logmatmulexp(a.tolist(), b.tolist(), exact=exact), logmatmulexp(a, b, exact=exact))


def test_bools_are_true_or_false_whatever_their_byte():
    a = np.full((3, 2), 7, np.uint8).view(bool)
    np.testing.assert_allclose(logmatmulexp(a, np.zeros((2, 3))), 1 + np.log(2))


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
def test_bfloat16_is_computed_in_float32(exact):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    a, b = numbers((20, 9)).astype(ml_dtypes.bfloat16), numbers((9, 30)).astype(ml_dtypes.bfloat16)
    wide = logmatmulexp(a.astype(np.float32), b.astype(np.float32), exact=exact)
    for left, right in ((a, b), (a[::-1].copy()[::-1], np.asfortranarray(b))):
        got = logmatmulexp(left, right, exact=exact)
        assert got.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(got, wide.astype(ml_dtypes.bfloat16))
    assert logmatmulexp(a, b.astype(np.float32), exact=exact).dtype == np.float32
    out = np.empty(wide.shape, ml_dtypes.bfloat16)
    logmatmulexp(a.astype(np.float32), b.astype(np.float32), out=out, exact=exact)
    np.testing.assert_array_equal(out, got)
    assert np.isneginf(logmatmulexp(a[:, :0], b[:0]).astype(float)).all()


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
def test_longdouble_has_its_bound(exact):
    a, b = numbers((5, 7), np.longdouble), numbers((7, 6), np.longdouble)
    got = logmatmulexp(a, b, exact=exact)
    assert got.dtype == np.longdouble
    np.testing.assert_allclose(got, expected_of(a, b), rtol=0, atol=60 * np.finfo(np.longdouble).eps)
    a, b = np.array([[0, -20, -9.5]], np.longdouble), np.array([[0], [-17.25], [-11]], np.longdouble)
    right = np.log1p(np.exp(np.longdouble(-37.25)) + np.exp(np.longdouble(-20.5)))
    assert np.abs(logmatmulexp(a, b)[0, 0] - right) <= LONGDOUBLE_LOGMATMULEXP * np.spacing(right)
    assert explain(logmatmulexp, a, b)["name"] == "PLAIN"
    assert logmatmulexp(a.astype("f8"), b, exact=exact).dtype == np.longdouble
    assert logmatmulexp(a[:, :0], b[:0])[0, 0] == -np.inf


def test_exponentials_of_complex_results_are_the_product():
    a, b = numbers((2, 5, 3)) + 1j * numbers((2, 5, 3)), numbers((3, 4)) + 1j * numbers((3, 4))
    got = logmatmulexp(a, b)
    np.testing.assert_allclose(np.exp(got), np.exp(a) @ np.exp(b), rtol=1e-12)
    assert logmatmulexp(a.astype(np.complex64), b.astype(np.complex64)).dtype == np.complex64
    assert explain(logmatmulexp, a[0, 0], b)["name"] == "PLAIN"


VALUES = (-np.inf, 0.5, np.inf, np.nan)


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
def test_special_values_are_those_of_logsumexp_of_the_terms(exact, dtype):
    """Every row of two terms by every column of two: nan if a term is, else inf if one is, and -inf adds nothing."""
    rows = np.array(list(itertools.product(VALUES, repeat=2)), dtype)
    for a in (rows, np.hstack([rows, np.full((16, 40), -np.inf, dtype)])):
        b = np.vstack([rows.T, np.full((a.shape[1] - 2, 16), -1, dtype)])
        with np.errstate(all="raise"):
            got = logmatmulexp(a, b, exact=exact)
            vectors = [[logmatmulexp(x, y, exact=exact) for y in b.T] for x in a]
        np.testing.assert_allclose(got, expected_of(a, b), rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(np.isposinf(got), np.isposinf(vectors))
        np.testing.assert_array_equal(np.isnan(got), np.isnan(vectors))
        np.testing.assert_array_equal(np.isneginf(got), np.isneginf(vectors))


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
def test_rows_and_columns_of_minus_infinity(exact, dtype):
    a, b = numbers((70, 30), dtype), numbers((30, 90), dtype)
    a[5] = a[40:] = -np.inf
    b[:, 7] = b[:, 30:60] = -np.inf
    with np.errstate(all="raise"):
        got = logmatmulexp(a, b, exact=exact)
    np.testing.assert_allclose(got, expected_of(a, b), **tolerance(dtype))
    assert np.isneginf(logmatmulexp(np.full((20, 9), -np.inf), np.full((9, 20), -np.inf), exact=exact)).all()


def test_results_that_overflow_are_infinite():
    large = np.finfo(float).max
    a, b = np.full((4, 3), large), np.full((3, 5), large)
    for exact in WAYS.values():
        with np.errstate(all="raise"):
            assert np.isposinf(logmatmulexp(a, b, exact=exact)).all()
            assert np.isneginf(logmatmulexp(-a, -b, exact=exact)).all()
            np.testing.assert_allclose(logmatmulexp(a, -b, exact=exact), np.log(3), rtol=1e-15)


def blocks_of_doubt(dtype, n):
    """Matrices in whose product no element is certified, or single ones, rows, columns or a corner."""
    far = 1100 if dtype == np.float64 else 150
    m = LIMITS["PRODUCT_COLUMNS"] + 90
    a, b = numbers((n, 4), dtype), numbers((4, m), dtype)
    yield (
        "rows",
        np.where(np.arange(n)[:, None] % 7 == 0, np.array([0, -far, 0, 0], dtype), a),
        b - far * (np.arange(4) != 1)[:, None].astype(dtype),
    )
    yield (
        "a corner",
        a - far * ((np.arange(n) > n - 9)[:, None] & (np.arange(4) < 2)),
        b - far * ((np.arange(4) >= 2)[:, None] & (np.arange(m) > m - 30)),
    )
    sparse = RNG.random((n, 4)) < 0.3, RNG.random((4, m)) < 0.3
    yield "single elements", np.where(sparse[0], a - far, a), np.where(sparse[1], b - far, b)
    yield "everywhere", np.where(np.arange(4) < 2, a, a - far), np.where(np.arange(4)[:, None] < 2, b - far, b)


@pytest.mark.parametrize("route", ["PRODUCT_BLOCKS", "PRODUCT"])
@pytest.mark.parametrize("place", range(4))
def test_doubtful_elements_are_those_of_exact_sums(place, route, dtype):
    rows = LIMITS["PRODUCT_ROWS"] * (3 if route == "PRODUCT_BLOCKS" else 200) + 5
    name, a, b = list(blocks_of_doubt(dtype, rows))[place]
    a, b = a.astype(dtype), b.astype(dtype)
    got, exact = logmatmulexp(a, b), logmatmulexp(a, b, exact=True)
    assert explain(logmatmulexp, a, b)["name"] == route
    np.testing.assert_allclose(got, exact, **tolerance(dtype))
    depth = a.max(axis=1)[:, None] + b.max(axis=0) - exact
    doubtful = depth > (1050 if dtype == np.float64 else 140)
    assert doubtful.any(), name
    np.testing.assert_array_equal(got[doubtful], exact[doubtful])


MOST = LIMITS["PRODUCT_STACK_ELEMENTS"]  # results of a matrix that is in a lane


@pytest.mark.parametrize("shape", [(3, 3, 3), (8, 8, 8), (1, 20, 5), (1, 3, MOST), (1, 3, MOST + 1)])
@pytest.mark.parametrize("number", [16, 31, 32, 100])
def test_matrices_of_a_small_stack_do_not_disturb_each_other(number, shape, dtype):
    """A doubtful matrix, or one with -inf, nan or inf, does not change the bits of the matrices in other lanes."""
    rows, k, columns = shape
    far = 3000 if dtype == np.float64 else 400
    a, b = numbers((number, rows, k), dtype), numbers((number, k, columns), dtype)
    ordinary = logmatmulexp(a, b)
    kind = np.arange(number) % 6
    a[kind == 1, :, 0] -= dtype(far)
    b[kind == 1, 1:] -= dtype(far)
    a[kind == 2, 0], b[kind == 3, :, 0] = -np.inf, -np.inf
    a[kind == 4, 0, 0], b[kind == 5, 0, 0] = np.nan, np.inf
    with np.errstate(all="raise"):
        got = logmatmulexp(a, b)
    np.testing.assert_array_equal(got[kind == 0], ordinary[kind == 0])
    exact = logmatmulexp(a, b, exact=True)
    np.testing.assert_allclose(got, exact, **tolerance(dtype))
    np.testing.assert_array_equal(got[kind >= 4][:, 0, 0], exact[kind >= 4][:, 0, 0])
    one = kind == 1
    depth = a[one].max(axis=2)[:, :, None] + b[one].max(axis=1)[:, None, :] - exact[one]
    doubtful = depth > (1050 if dtype == np.float64 else 140)
    assert doubtful.any()
    np.testing.assert_array_equal(got[one][doubtful], exact[one][doubtful])


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("shape", [(3, 3, 3), (8, 8, 8), (2, 9, 7), (1, 9, 8), (8, 9, 1), (8, 1, 8), (8, 9, 3)])
def test_a_small_stack_has_the_same_bits_in_every_layout(shape, exact, dtype):
    """Matrices are laid into lanes in the order of their elements, unless something lies between these."""
    rows, k, columns = shape
    a, b = numbers((37, rows, k), dtype), numbers((37, k, columns), dtype)
    assert explain(logmatmulexp, a, b)["name"] == "PRODUCT_STACK"
    wanted = logmatmulexp(a, b, exact=exact)
    np.testing.assert_allclose(wanted, expected_of(a, b), **tolerance(dtype))
    ways = (
        lambda x: x,
        lambda x: x.swapaxes(1, 2).copy().swapaxes(1, 2),
        lambda x: np.repeat(x, 2, axis=2)[:, :, ::2],
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x[:, ::-1, ::-1].copy()[:, ::-1, ::-1],
    )
    for one, other in itertools.product(ways, ways):
        np.testing.assert_array_equal(logmatmulexp(one(a), other(b), exact=exact), wanted)
    same = logmatmulexp(a, b[:1], exact=exact)
    np.testing.assert_array_equal(same, logmatmulexp(a, np.broadcast_to(b[:1], b.shape).copy(), exact=exact))


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
def test_out_has_any_layout_and_type(exact):
    a, b = numbers((20, 20)), numbers((20, 20))
    right = logmatmulexp(a, b, exact=exact)
    for out in (
        np.empty((20, 20), order="F"), np.empty((20, 40))[:, ::2], np.empty((20, 20))[::-1], np.empty((20, 20), ">f8"),
        np.empty((20, 20), np.longdouble), np.zeros((20, 20), complex),
    ):  # fmt: skip
        assert logmatmulexp(a, b, out=out, exact=exact) is out
        np.testing.assert_array_equal(out, right)
    for dtype in (np.float32, np.float16):
        out = np.empty((20, 20), dtype)
        with np.errstate(all="raise"):
            logmatmulexp(a * 1000, b, out=out, exact=exact)
            assert np.isposinf(logmatmulexp(a + 1e300, b, dtype=dtype, exact=exact)).all()
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(out, logmatmulexp(a * 1000, b, exact=exact).astype(dtype))
    scalar = np.empty(())
    assert logmatmulexp(a[0], b[0], out=scalar) is scalar


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
def test_out_may_overlap_the_operands(exact):
    a, b = numbers((21, 20)), numbers((20, 20))
    right = logmatmulexp(a[:20], b, exact=exact)
    for operand, place in ((0, np.s_[:20]), (1, np.s_[:]), (0, np.s_[1:]), (1, np.s_[::-1]), (0, np.s_[:20, ::-1])):
        left, other = a.copy(), b.copy()
        out = (left, other)[operand][place]
        logmatmulexp(left[:20], other, out=out, exact=exact)
        np.testing.assert_array_equal(out, right)


@pytest.mark.parametrize(
    ("a", "b", "options", "error", "text"),
    [
        (np.zeros(()), np.zeros(3), {}, ValueError, "a and b must have at least one axis, got shapes () and (3,)"),
        (np.zeros((2, 3)), 1.0, {}, ValueError, "a and b must have at least one axis, got shapes (2, 3) and ()"),
        (
            np.zeros((2, 3)), np.zeros((2, 3)), {}, ValueError,
            "the last axis of a must be as long as the second-to-last axis of b, got shapes (2, 3) and (2, 3)",
        ),
        (
            np.zeros(3), np.zeros(4), {}, ValueError,
            "the last axis of a must be as long as the only axis of b, got shapes (3,) and (4,)",
        ),
        (
            np.zeros((2, 3, 4)), np.zeros((3, 4, 5)), {}, ValueError,
            "the stacks of a and b must broadcast, got shapes (2, 3, 4) and (3, 4, 5)",
        ),
        (np.zeros((2, 2)), np.zeros((2, 2)), {"dtype": int}, TypeError,
         "dtype must be float32, float64, float16, bfloat16 or longdouble, got int64"),
        (np.zeros((2, 2), complex), np.zeros((2, 2)), {"dtype": "f8"}, TypeError,
         "dtype must be None for complex input, got float64"),
        (np.zeros((2, 2)), np.zeros((2, 2)), {"out": np.zeros((2, 3))}, ValueError,
         "out must have shape (2, 2), got (2, 3)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), {"out": np.zeros((2, 2), int)}, TypeError,
         "out must have a dtype that float64 can be cast to by 'same_kind', got int64"),
        (np.zeros((2, 2)), np.zeros((2, 2)), {"out": [0]}, TypeError, "out must be a NumPy array, got list"),
        (np.array(["x"]), np.zeros(1), {}, TypeError,
         "a must be an array of numbers, got dtype <U1; astype(float) makes numbers of text"),
        (np.zeros(1), np.array([None]), {}, TypeError,
         "b must be an array of numbers, got dtype object; astype(float) makes numbers of objects"),
    ],
)  # fmt: skip
def test_wrong_arguments_raise_the_stated_errors(a, b, options, error, text):
    with pytest.raises(error) as raised:
        logmatmulexp(a, b, **options)
    assert str(raised.value) == text


@pytest.mark.parametrize("exact", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    ("n", "k", "m"), [(200, 150, 220), (100, 150, 220), (1, 3000, 33), (9000, 16, 1), (100, 300, 17), (60, 1, 600)]
)
def test_memory_is_that_of_the_result_and_two_operands(n, k, m, exact, dtype):
    """The result and two arrays of the operands' sizes; no arrays with exact sums; one more copy for other types.

    Panels that are not filled take up to a third more, and a shift and an exponent belong to each row and column.
    """
    a, b = numbers((n, k), dtype), numbers((k, m), dtype)
    wide = n * m * a.itemsize
    for left, right, copies in ((a, b, 1), (a.T.copy().T, b, 1), (a[:, ::-1], b, 2), (a.astype(">f8"), b, 2)):
        room = 0 if exact and copies == 1 else copies * (left.nbytes + right.nbytes)
        room += 0 if exact else max(left.nbytes, right.nbytes) // 3 + 2 * (n + m) * a.itemsize
        tracemalloc.start()
        logmatmulexp(left, right, dtype=dtype, exact=exact)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < wide + room + 2**15


def test_repeated_matrices_are_exponentiated_once():
    a, b = numbers((50, 30, 40)), np.broadcast_to(numbers((40, 300)), (50, 40, 300))
    right = logmatmulexp(a, b[0])
    tracemalloc.start()
    got = logmatmulexp(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(got, right)
    assert peak < got.nbytes + a.nbytes + b[0].nbytes + 2**16


@pytest.mark.parametrize("rows", [65, 300])  # multiplied by a kernel and by np.matmul
def test_bits_do_not_depend_on_threads_or_alignment(rows, dtype):
    a, b = numbers((rows, 120), dtype, 40), numbers((120, 500), dtype, 40)
    a[::9, ::2] -= 500
    unaligned = np.empty(a.nbytes + 64, np.uint8)
    for exact in WAYS.values():
        results = []
        for threads in (1, 2, 5):
            with smoothmax.num_threads(threads):
                results.append(logmatmulexp(a, b, exact=exact))
        for offset in (8, 16, 24):
            copy = np.ndarray(a.shape, dtype, unaligned, offset)
            copy[...] = a
            results.append(logmatmulexp(copy, b, exact=exact))
        for result in results[1:]:
            np.testing.assert_array_equal(results[0], result)


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_unaligned_array_gives_the_bits_of_an_aligned_one(dtype, order):
    a, b = numbers((13, 33), dtype, 4), np.asarray(numbers((33, 17), dtype, 4), order=order)
    unaligned = np.empty(b.nbytes + 1, np.uint8)[1:].view(dtype).reshape(b.shape, order=order)
    unaligned[...] = b
    assert not unaligned.flags.aligned
    assert unaligned.strides == b.strides
    np.testing.assert_array_equal(logmatmulexp(a, unaligned), logmatmulexp(a, b))


def test_calls_from_many_threads():
    a, b = numbers((60, 50), scale=300), numbers((50, 60), scale=300)
    right = logmatmulexp(a, b)
    wrong = []

    def work():
        wrong.extend(1 for _ in range(20) if not np.array_equal(logmatmulexp(a, b), right))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_vectors_are_exact():
    """A small product is within 2 ULP by default."""
    a, b = numbers(3000), numbers((3000, 1))
    right = expected_of(a, b)
    for got in (logmatmulexp(a, b[:, 0]), logmatmulexp(a, b)[0]):
        assert np.abs(got - right[0]) <= EXACT_LOGMATMULEXP * np.spacing(float(right[0]))


def test_inputs_are_left_alone():
    a, b = numbers((30, 20)), numbers((20, 30))
    before = a.copy(), b.copy()
    a.flags.writeable = b.flags.writeable = False
    for exact in WAYS.values():
        logmatmulexp(a, b, exact=exact)
    np.testing.assert_array_equal(before[0], a)
    np.testing.assert_array_equal(before[1], b)
