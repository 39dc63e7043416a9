"""The ufuncs are ufuncs: types, layouts, special values, methods, and arrays of other libraries."""

import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.special
from elementwise_reference import BINARY, UNARY

import smoothmax
from smoothmax._thresholds import limits

INF, NAN = np.inf, np.nan
FLOATS = (np.float64, np.float32, np.float16, np.longdouble)
SMALL_INTEGERS = (np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32)
INTEGERS = (*SMALL_INTEGERS, np.uint32, np.int64, np.uint64)
NUMPY_2 = int(np.__version__.split(".")[0]) >= 2
# Lengths on both sides of the lengths of lanes and blocks, and of the rows of lanes that are computed together.
LANES, BLOCK = limits()["LANES_F32"], limits()["ELEMENTWISE_BLOCK_ELEMENTS"]
TOGETHER = limits()["ELEMENTWISE_LANE_ROWS"] * LANES
SIZES = {LANES // 2, LANES, TOGETHER // 2, TOGETHER, BLOCK, 2 * BLOCK}
LENGTHS = sorted({0, 1, 2, 2 * BLOCK + 3} | {n + d for n in SIZES for d in (-1, 0, 1)})

every_type = pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)


@pytest.fixture(params=UNARY + BINARY)
def ufunc(request):
    return getattr(smoothmax, request.param)


@pytest.fixture(autouse=True)
def no_flag_is_left():
    """NumPy raises if a loop leaves a floating-point flag that errstate selects."""
    with np.errstate(all="raise"):
        yield


def operands(ufunc, shape, dtype=np.float64, seed=0):
    """As many random arrays as the ufunc takes, for which its results are finite."""
    rng = np.random.default_rng(seed)
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    if ufunc.nin == 1:
        return (-np.abs(x) - dtype(0.125),)
    return x, (x - 3 * rng.random(shape).astype(dtype) - dtype(0.125))


def same(got, expected):
    return got.dtype == expected.dtype and np.array_equal(got, expected, equal_nan=True)


# Special values -------------------------------------------------------------------------------------------------------

SPECIAL = [
    ("logaddexp", (INF, INF), INF),
    ("logaddexp", (-INF, -INF), -INF),
    ("logaddexp", (INF, -INF), INF),
    ("logaddexp", (INF, 1), INF),
    ("logaddexp", (-INF, 1.5), 1.5),
    ("logaddexp", (NAN, 1), NAN),
    ("logaddexp", (NAN, INF), NAN),
    ("logaddexp", (NAN, -INF), NAN),
    ("logaddexp", (NAN, NAN), NAN),
    ("logsubexp", (2.5, 2.5), -INF),
    ("logsubexp", (0.0, -0.0), -INF),
    ("logsubexp", (-INF, -INF), -INF),
    ("logsubexp", (1.5, -INF), 1.5),
    ("logsubexp", (-0.0, -INF), -0.0),
    ("logsubexp", (INF, INF), NAN),
    ("logsubexp", (INF, 1), INF),
    ("logsubexp", (INF, -INF), INF),
    ("logsubexp", (1, 1.5), NAN),
    ("logsubexp", (1, INF), NAN),
    ("logsubexp", (-INF, 1), NAN),
    ("logsubexp", (NAN, 1), NAN),
    ("logsubexp", (1, NAN), NAN),
    ("logsubexp", (INF, NAN), NAN),
    ("logsubexp", (NAN, -INF), NAN),
    ("log1mexp", (0.0,), -INF),
    ("log1mexp", (-0.0,), -INF),
    ("log1mexp", (-INF,), -0.0),
    ("log1mexp", (-60000,), -0.0),
    ("log1mexp", (0.5,), NAN),
    ("log1mexp", (INF,), NAN),
    ("log1mexp", (NAN,), NAN),
    ("log1pexp", (-INF,), 0.0),
    ("log1pexp", (INF,), INF),
    ("log1pexp", (-60000,), 0.0),
    ("log1pexp", (60000,), 60000),
    ("log1pexp", (NAN,), NAN),
    ("log_expit", (-INF,), -INF),
    ("log_expit", (INF,), -0.0),
    ("log_expit", (-60000,), -60000),
    ("log_expit", (NAN,), NAN),
]


@every_type
@pytest.mark.parametrize(("name", "values", "expected"), SPECIAL)
def test_special_values_are_those_of_the_contract(name, values, expected, dtype):
    """In every place of a vector, between ordinary numbers."""
    ufunc = getattr(smoothmax, name)
    orders = [values] if name == "logsubexp" else set(itertools.permutations(values))
    for order in orders:
        for n in (1, LANES + 3):
            arrays = operands(ufunc, n, dtype)
            for array, value in zip(arrays, order, strict=True):
                array[::2] = value
            got = ufunc(*arrays)
            assert np.array_equal(got[::2], np.full((n + 1) // 2, expected, dtype), equal_nan=True)
            assert np.array_equal(np.signbit(got[::2]), np.full((n + 1) // 2, np.signbit(expected))) or expected != 0
            assert np.isfinite(got[1::2]).all()
            assert same(ufunc(*arrays, where=True), got)  # by NumPy's own way, which looks at flags


@every_type
def test_the_largest_numbers_do_not_overflow(dtype):
    big = np.finfo(dtype).max
    assert smoothmax.logaddexp(big, big) == big
    assert smoothmax.logaddexp(big, -big) == big
    assert smoothmax.logsubexp(big, -big) == big
    assert smoothmax.log1pexp(big) == big
    assert smoothmax.log1pexp(-big) == 0
    assert smoothmax.log_expit(-big) == -big
    assert smoothmax.log1mexp(-big) == 0


# Types ----------------------------------------------------------------------------------------------------------------


def test_every_float_has_a_loop_of_its_own(ufunc):
    assert ufunc.types == [kind * ufunc.nin + "->" + kind for kind in "efdg"]
    assert (ufunc.nout, ufunc.signature) == (1, None)


def test_floats_keep_their_type(ufunc):
    for dtype in FLOATS:
        x = operands(ufunc, 5, dtype)
        assert ufunc(*x).dtype == dtype
        assert type(ufunc(*(array[0] for array in x))) is dtype


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: dtype.__name__)
def test_integers_and_booleans_are_computed_in_float64(ufunc, dtype):
    values = [1, 0, 1] if ufunc.nin == 2 or not np.issubdtype(dtype, np.signedinteger) else [-1, -3, 0]
    x = [np.array(values, dtype), np.zeros(3, dtype)][: ufunc.nin]
    got = ufunc(*x)
    assert got.dtype == np.float64
    assert same(got, ufunc(*(array.astype(np.float64) for array in x)))
    assert type(ufunc(*(array[0] for array in x))) is np.float64


def test_operands_of_several_types_are_promoted():
    for first, second in itertools.product((*INTEGERS, *FLOATS), repeat=2):
        promoted = np.result_type(first, second)
        expected = promoted if promoted.kind == "f" else np.dtype(np.float64)
        assert smoothmax.logaddexp(np.ones(2, first), np.ones(2, second)).dtype == expected


@pytest.mark.skipif(not NUMPY_2, reason="NumPy 1 promotes scalars by their values")
def test_numbers_of_python_take_the_type_of_the_array():
    for dtype in FLOATS:
        assert smoothmax.logaddexp(np.ones(2, dtype), 1.5).dtype == dtype
        assert smoothmax.logaddexp(1, np.ones(2, dtype)).dtype == dtype
    assert smoothmax.logaddexp(np.ones(2, np.int8), 1.5).dtype == np.float64
    assert smoothmax.logaddexp(np.ones(2, np.int8), 1).dtype == np.float64
    assert type(smoothmax.logaddexp(1, 2)) is np.float64
    assert type(smoothmax.log1pexp(True)) is np.float64


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.clongdouble, object, "U1", "M8[s]"])
def test_other_types_are_refused_by_numpy(ufunc, dtype):
    x = [np.zeros(2, dtype)] * ufunc.nin
    with pytest.raises(TypeError) as caught:
        ufunc(*x)
    assert str(caught.value) == (
        f"ufunc '{ufunc.__name__}' not supported for the input types, and the inputs could not be safely coerced to "
        "any supported types according to the casting rule ''safe''"
    )


def test_dtype_and_casting_are_obeyed(ufunc):
    x = operands(ufunc, 7)
    single = [array.astype(np.float32) for array in x]
    assert same(ufunc(*x, dtype=np.float32), ufunc(*single))
    assert ufunc(*(array.astype(np.int8) for array in single), dtype=np.float16).dtype == np.float16
    with pytest.raises(np._core._exceptions.UFuncTypeError if NUMPY_2 else TypeError):
        ufunc(*x, dtype=np.float32, casting="safe")
    with pytest.raises(TypeError):
        ufunc(*(array.astype(np.int64) for array in x), casting="no")


# Layouts --------------------------------------------------------------------------------------------------------------


def spaced(x):
    wide = np.full(3 * len(x) + 1, NAN, x.dtype)
    wide[1::3] = x
    return wide[1::3]


def unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    array = memory[1:].view(x.dtype)
    array[...] = x
    return array


LAYOUTS = {
    "spaced": spaced,
    "backwards": lambda x: x[::-1].copy()[::-1],
    "unaligned": unaligned,
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "repeated": lambda x: np.broadcast_to(x[0], x.shape) if len(x) else x,
}


@every_type
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_have_the_same_bits(ufunc, layout, dtype):
    for n in LENGTHS:
        x = operands(ufunc, n, dtype)
        moved = [LAYOUTS[layout](array) for array in x]
        expected = ufunc(*(np.array(array, dtype) for array in moved))
        assert same(ufunc(*moved), expected)
        # One operand in each place of the layout, the result as well.
        for i in range(ufunc.nin):
            mixed = [moved[j] if j == i else np.array(moved[j], dtype) for j in range(ufunc.nin)]
            assert same(ufunc(*mixed), expected)
        out = LAYOUTS[layout](np.zeros(n, dtype)) if layout != "repeated" else np.zeros(n, dtype)
        assert ufunc(*x, out=out) is out
        assert np.array_equal(out, ufunc(*x))


@every_type
def test_a_result_does_not_depend_on_its_place(ufunc, dtype):
    x = operands(ufunc, TOGETHER + LANES + 5, dtype)
    whole = ufunc(*x)
    for i in range(TOGETHER + LANES + 5):
        assert ufunc(*(array[i] for array in x)) == whole[i]
        assert np.array_equal(ufunc(*(array[i:] for array in x)), whole[i:])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_operands_broadcast(dtype):
    x1 = operands(smoothmax.log1pexp, (BLOCK + 5, 1), dtype)[0]
    x2 = operands(smoothmax.log1pexp, (1, 2 * BLOCK + 1), dtype, seed=1)[0]
    for ufunc in (smoothmax.logaddexp, smoothmax.logsubexp):
        got = ufunc(x1, x2)
        expected = ufunc(*(np.array(x) for x in np.broadcast_arrays(x1, x2)))
        assert same(got, expected)
        assert same(ufunc(x1.T, x2.T), ufunc(*(np.array(x) for x in np.broadcast_arrays(x1.T, x2.T))))
        assert same(ufunc.outer(x1[:, 0], x2[0]), expected)


def test_in_place_and_overlapping(ufunc):
    for n in LENGTHS:
        x = operands(ufunc, n + 1)
        expected = ufunc(*(array[:n].copy() for array in x))
        for i in range(ufunc.nin):
            moved = [array.copy() for array in x]
            ufunc(*(array[:n] for array in moved), out=moved[i][:n])
            assert np.array_equal(moved[i][:n], expected)
            moved = [array.copy() for array in x]
            ufunc(*(array[:n] for array in moved), out=moved[i][1:])  # each result where the next operand is
            assert np.array_equal(moved[i][1:], expected)


def test_where_leaves_the_other_results_as_they_were(ufunc):
    x = operands(ufunc, 2 * BLOCK)
    mask = np.random.default_rng(5).random(2 * BLOCK) < 0.7
    out = np.full(2 * BLOCK, 7.0)
    ufunc(*x, where=mask, out=out)
    assert np.array_equal(out, np.where(mask, ufunc(*x), 7.0))


def test_scalars_give_scalars_unless_out_is_given(ufunc):
    x = operands(ufunc, ())
    assert type(ufunc(*x)) is np.float64
    out = np.zeros(())
    assert ufunc(*x, out=out) is out
    assert out == ufunc(*x)
    single = np.zeros(3, np.float32)
    assert ufunc(*operands(ufunc, 3), out=single) is single
    with pytest.raises(TypeError):
        ufunc(*operands(ufunc, 3), out=np.zeros(3, np.int64))


# Methods --------------------------------------------------------------------------------------------------------------


@every_type
@pytest.mark.parametrize("name", BINARY)
def test_reduce_and_accumulate_take_one_element_after_the_other(name, dtype):
    ufunc = getattr(smoothmax, name)
    for n in (1, 2, LANES + 1, BLOCK + 1):
        x = -np.arange(n).astype(dtype) if name == "logsubexp" else operands(ufunc, n, dtype)[0]
        x[0] += dtype(3)
        steps = [x[0]]
        for element in x[1:]:
            steps.append(ufunc(steps[-1], element))
        expected = np.array(steps, dtype)
        assert same(ufunc.accumulate(x), expected)
        assert ufunc.reduce(x) == expected[-1]
        assert same(ufunc.accumulate(np.array([x, x]), axis=1)[1], expected)
        assert same(ufunc.accumulate(np.array([x, x]).T, axis=0)[:, 1], expected)
        assert same(ufunc.reduce(np.array([x, x]).T, axis=0), expected[[-1, -1]])
        assert ufunc.reduceat(x, [0])[0] == expected[-1]
        place = x.copy()
        assert same(ufunc.accumulate(place, out=place), expected)


def test_reduce_of_integers_is_computed_in_float64():
    assert smoothmax.logaddexp.reduce(np.ones(3, np.int8)) == smoothmax.logaddexp.reduce(np.ones(3))
    assert smoothmax.logaddexp.accumulate(np.ones(3, np.bool_)).dtype == np.float64


def test_reduce_without_elements_gives_the_identity():
    assert smoothmax.logaddexp.identity == -INF
    assert smoothmax.logaddexp.reduce(np.zeros(0)) == -INF
    assert smoothmax.logsubexp.identity is None
    with pytest.raises(ValueError, match="no identity"):
        smoothmax.logsubexp.reduce(np.zeros(0))


def test_at_applies_the_operation_once_for_each_index():
    x = np.zeros(3)
    smoothmax.logaddexp.at(x, [0, 0, 2], 1.0)
    once = smoothmax.logaddexp(0.0, 1.0)
    assert x.tolist() == [smoothmax.logaddexp(once, 1.0), 0.0, once]


def test_reduce_of_one_operand_is_refused_by_numpy():
    for name in UNARY:
        with pytest.raises(ValueError, match="reduce only supported for binary functions"):
            getattr(smoothmax, name).reduce(np.zeros(3))


# Names, pickles, documentation ----------------------------------------------------------------------------------------


def test_names_are_those_of_the_package(ufunc):
    name = ufunc.__name__.removeprefix("smoothmax.")
    assert ufunc is getattr(smoothmax, name)
    assert repr(ufunc) == f"<ufunc 'smoothmax.{name}'>"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_gives_back_the_same_ufunc(ufunc, protocol):
    """Before NumPy 2.2, ufuncs cannot name their module, and pickle searches for a module that has smoothmax.logaddexp.

    That may be a module that imports smoothmax, which the old protocols cannot express.
    """
    names_module = hasattr(ufunc, "__dict__")
    if not names_module and protocol < 4:
        pytest.skip("this NumPy's ufuncs have no module")
    data = pickle.dumps(ufunc, protocol)
    assert pickle.loads(data) is ufunc
    if names_module:
        assert b"_api" not in data
        assert b"_arrays" not in data


def test_pickles_are_read_by_a_process_that_has_not_imported_the_package(ufunc):
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer))"
    run = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(ufunc), capture_output=True, check=True)
    assert run.stdout.decode().strip() == repr(ufunc)


def test_docstrings_say_what_to_call_instead_of_reduce(ufunc):
    text = " ".join(ufunc.__doc__.split())
    name = ufunc.__name__.removeprefix("smoothmax.")
    assert f"``{name}.reduce`` and ``{name}.accumulate``" in text
    assert ("are slow and lose digits" in text) == (ufunc.nin == 2)
    assert "`logsumexp`" in text
    assert "``logcumsumexp``" in text


def test_log1mexp_says_whose_sign_it_takes():
    assert "`x` is not positive, as in botorch and in SciPy" in " ".join(smoothmax.log1mexp.__doc__.split())


# Other libraries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_results_are_those_of_numpy_and_scipy(dtype):
    x1, x2 = operands(smoothmax.logaddexp, 500, dtype)
    few = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(smoothmax.logaddexp(x1, x2), np.logaddexp(x1, x2), few, few)
    np.testing.assert_allclose(smoothmax.log1pexp(x1), np.logaddexp(dtype(0), x1), few, few)
    np.testing.assert_allclose(smoothmax.log_expit(x1), scipy.special.log_expit(x1), few, few)
    pairs, signs = np.array([x1, x2], dtype), np.array([[1], [-1]], dtype)
    np.testing.assert_allclose(smoothmax.logsubexp(x1, x2), smoothmax.logsumexp(pairs, axis=0, b=signs), 8 * few)
    np.testing.assert_allclose(smoothmax.log1mexp(x2 - x1), smoothmax.logsubexp(dtype(0), x2 - x1), few)


def not_numpys():
    """Operands for which NumPy's logaddexp has other bits."""
    x = operands(smoothmax.logaddexp, 200)
    assert not np.array_equal(np.logaddexp(*x), smoothmax.logaddexp(*x))
    return x


def test_dask_arrays_give_dask_arrays():
    da = pytest.importorskip("dask.array")
    x = not_numpys()
    chunked = [da.from_array(array, chunks=70) for array in x]
    got = smoothmax.logaddexp(*chunked)
    assert isinstance(got, da.Array)
    assert got.dtype == np.float64
    assert same(got.compute(scheduler="synchronous"), smoothmax.logaddexp(*x))
    for name in UNARY:
        got = getattr(smoothmax, name)(-abs(chunked[0]))
        assert same(got.compute(scheduler="synchronous"), getattr(smoothmax, name)(-abs(x[0])))
    assert smoothmax.log1pexp(chunked[0].astype("i1")).dtype == np.float64


def test_dask_workers_read_pickles():
    da, cloudpickle = pytest.importorskip("dask.array"), pytest.importorskip("cloudpickle")
    x = not_numpys()
    graph = smoothmax.logaddexp(*(da.from_array(array, chunks=70) for array in x))
    assert same(pickle.loads(cloudpickle.dumps(graph)).compute(scheduler="synchronous"), smoothmax.logaddexp(*x))


def test_labelled_arrays_keep_their_labels():
    xr = pytest.importorskip("xarray")
    x1, x2 = not_numpys()
    got = smoothmax.logaddexp(xr.DataArray(x1, dims="i"), xr.DataArray(x2, dims="i"))
    assert got.dims == ("i",)
    assert same(got.values, smoothmax.logaddexp(x1, x2))


def test_pandas_objects_keep_their_labels():
    pd = pytest.importorskip("pandas")
    x1, x2 = not_numpys()
    index = np.arange(200) * 2
    got = smoothmax.logaddexp(pd.Series(x1, index), pd.Series(x2[::-1], index[::-1]))
    assert isinstance(got, pd.Series)
    assert same(got.to_numpy(), smoothmax.logaddexp(x1, x2))
    frame = pd.DataFrame({"a": x1, "b": x2})
    assert same(smoothmax.log_expit(frame).to_numpy(), smoothmax.log_expit(np.column_stack([x1, x2])))
