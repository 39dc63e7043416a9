"""logmatmulexp of dask arrays: any blocks, the bounds of one call, and errors before anything is computed."""

import numpy as np
import pytest
from bounds import EXACT_LOGMATMULEXP, LOGMATMULEXP_ROUNDINGS
from product_reference import exact_product, worst

import smoothmax

da = pytest.importorskip("dask.array")

from smoothmax.dask import logmatmulexp  # noqa: E402

RNG = np.random.default_rng(20261129)
CHUNKS = {"one block": (30, 40, 25), "all axes": (7, 9, 11), "inner axis": (30, 1, 25), "rows": (4, 40, 25)}


def pair(dtype, scale=300.0):
    return (RNG.normal(size=(30, 40)) * scale).astype(dtype), (RNG.normal(size=(40, 25)) * scale).astype(dtype)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("chunks", CHUNKS)
def test_any_blocks_hold_the_bound(chunks, exact, dtype):
    a, b = pair(dtype)
    a[0], b[:, 0] = a[0] / 1e4, b[:, 0] / 1e4
    n, k, m = CHUNKS[chunks]
    lazy = logmatmulexp(da.from_array(a, chunks=(n, k)), da.from_array(b, chunks=(k, m)), exact=exact)
    assert (lazy.shape, lazy.dtype, lazy.numblocks) == ((30, 25), dtype, (-(-30 // n), -(-25 // m)))
    got = lazy.compute()
    rows, columns = [0, 3, 17], [0, 9, 24]
    found = exact_product(a[rows], b[:, columns])
    assert worst(got[np.ix_(rows, columns)], a[rows], b[:, columns], exact, found) <= 1
    np.testing.assert_allclose(got, smoothmax.logmatmulexp(a, b), rtol=30 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "shapes",
    [
        ((40,), (40,)),
        ((40,), (40, 5)),
        ((6, 40), (40,)),
        ((3, 6, 40), (40, 5)),
        ((2, 1, 6, 40), (3, 40, 5)),
        ((6, 0), (0, 5)),
    ],
)
def test_shapes_are_those_of_one_call(shapes):
    a, b = (RNG.normal(size=shape) for shape in shapes)
    for chunks in (3, 40):
        lazy = logmatmulexp(da.from_array(a, chunks=chunks), da.from_array(b, chunks=chunks))
        right = smoothmax.logmatmulexp(a, b)
        assert (lazy.shape, lazy.dtype) == (right.shape, right.dtype)
        np.testing.assert_allclose(lazy.compute(), right, rtol=1e-14)


def test_types_and_the_function_of_the_package():
    a, b = pair(np.float16, 3.0)
    lazy = smoothmax.logmatmulexp(da.from_array(a, chunks=10), b)
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == np.float16
    right = smoothmax.logmatmulexp(a.astype(float), b.astype(float))
    assert np.max(np.abs(lazy.compute() - right) / np.spacing(np.abs(right).astype(np.float16))) <= 0.51
    assert smoothmax.logmatmulexp(a, da.from_array(b, chunks=10), dtype="f4").compute().dtype == np.float32


def test_bfloat16_is_rounded_once():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    a, b = (x.astype(ml_dtypes.bfloat16) for x in pair(np.float32, 3.0))
    for chunks in (10, 40):
        got = logmatmulexp(da.from_array(a, chunks=chunks), da.from_array(b, chunks=chunks)).compute()
        assert got.dtype == ml_dtypes.bfloat16
        right = smoothmax.logmatmulexp(a.astype(float), b.astype(float))
        assert np.max(np.abs(got.astype(float) - right) / np.spacing(np.abs(right).astype(np.float16))) <= 0.51 * 8


def test_a_result_beyond_float16_is_inf_without_a_warning():
    a, b = np.full((2, 6), 3e38, np.float32), np.zeros((6, 3), np.float32)
    for chunks in (3, 6):
        lazy = logmatmulexp(da.from_array(a, chunks=chunks), da.from_array(b, chunks=chunks), dtype=np.float16)
        with np.errstate(all="raise"):
            got = lazy.compute(scheduler="synchronous")
        assert got.dtype == np.float16
        np.testing.assert_array_equal(got, np.full((2, 3), np.inf))


def test_exact_products_in_blocks_keep_the_absolute_error_of_the_default():
    """Here the largest term is 0 and the result near 0, so the rounding of the product of a block shows."""
    a, b = np.float32([[-2.5, -2.5, 0]]), np.float32([[-6.949796], [-8.015029], [0]])
    right = np.log1p(np.exp(a[0, :2].astype(float) + b[:2, 0]).sum())
    of_blocks = (a.shape[1] + LOGMATMULEXP_ROUNDINGS) * np.finfo(np.float32).eps / 2
    for chunks, bound in ((3, EXACT_LOGMATMULEXP * np.spacing(np.float32(right))), (1, of_blocks)):
        got = logmatmulexp(da.from_array(a, chunks=chunks), da.from_array(b, chunks=chunks), exact=True).compute()
        assert abs(got[0, 0] - right) <= bound, chunks


def test_special_values_meet_across_blocks():
    a = np.array([[-np.inf, -np.inf, -np.inf], [0, np.inf, -np.inf], [0, np.nan, 1], [-np.inf, -np.inf, 2]])
    b = np.zeros((3, 4))
    got = logmatmulexp(da.from_array(a, chunks=1), da.from_array(b, chunks=1)).compute()
    np.testing.assert_array_equal(got, np.repeat([[-np.inf], [np.inf], [np.nan], [2]], 4, axis=1))


@pytest.mark.parametrize(
    ("a", "b", "options", "error", "text"),
    [
        (np.zeros(3), np.zeros(()), {}, ValueError, "a and b must have at least one axis, got shapes (3,) and ()"),
        (
            np.zeros((2, 3)), np.zeros((2, 3)), {}, ValueError,
            "the last axis of a must be as long as the second-to-last axis of b, got shapes (2, 3) and (2, 3)",
        ),
        (
            np.zeros((2, 2, 3)), np.zeros((3, 3, 3)), {}, ValueError,
            "the stacks of a and b must broadcast, got shapes (2, 2, 3) and (3, 3, 3)",
        ),
        (np.zeros(3, "g"), np.zeros(3), {}, TypeError,
         "dtype must be float32, float64, float16 or bfloat16, got longdouble"),
        (np.zeros(3), np.zeros(3), {"dtype": int}, TypeError,
         "dtype must be float32, float64, float16 or bfloat16, got int64"),
    ],
)  # fmt: skip
def test_refused_before_anything_is_computed(a, b, options, error, text):
    with pytest.raises(error) as raised:
        logmatmulexp(da.from_array(a, chunks=2), da.from_array(b, chunks=2), **options)
    assert str(raised.value) == text.replace("longdouble", str(np.dtype("g")))


def test_an_output_is_refused():
    with pytest.raises(
        TypeError, match=r"^out must be None for a dask array, whose results are those of smoothmax.dask, got ndarray$"
    ):
        smoothmax.logmatmulexp(da.zeros((2, 2)), np.zeros((2, 2)), out=np.zeros((2, 2)))
