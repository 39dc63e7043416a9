"""The contract's table of types, line by line: the type of each result, and the error of each refusal."""

import itertools

import mpmath as mp
import numpy as np
import pytest
import scipy.special
from advice import not_numbers

from smoothmax import log_softmax, logsumexp, softmax

FUNCTIONS = [logsumexp, softmax, log_softmax]
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.longlong, np.ulonglong]
FLOATS = [np.float16, np.float32, np.float64, np.longdouble]
each_function = pytest.mark.parametrize("function", FUNCTIONS)
each_float = pytest.mark.parametrize("dtype", FLOATS)
HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)


def same(got, wanted):
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == wanted.dtype
    assert type(got) is type(wanted)


# Results -------------------------------------------------------------------------------------------------------------


@each_function
@pytest.mark.parametrize(
    ("dtype", "result"),
    [(t, t) for t in (*FLOATS, np.complex64, np.complex128, np.clongdouble)]
    + [(t, np.float64) for t in (bool, *INTEGERS)],
)
def test_results_have_the_type_of_the_table(function, dtype, result):
    for order in "<>":
        x = np.ones((3, 4), np.dtype(dtype).newbyteorder(order))
        got = function(x, axis=0)
        assert got.dtype == result
        assert got.dtype.isnative
        assert type(got) is np.ndarray
        assert type(logsumexp(x)) is np.dtype(result).type
        assert type(function(x[0, 0])) is np.dtype(result).type
        assert function(x[:0], axis=0).dtype == result
        value, sign = logsumexp(x, return_sign=True)
        assert sign.dtype == result
        assert value.dtype == np.ones(1, result).real.dtype


@each_function
@pytest.mark.parametrize("dtype", [bool, *INTEGERS])
def test_integers_are_doubles_from_the_start(function, dtype):
    info = (0, 1) if dtype is bool else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    rng = np.random.default_rng(1)
    for x in (
        np.array([info[0], info[1]], dtype),
        np.array([info[1], info[0], info[1]], dtype),
        np.array([1, 0, 1], dtype),
        rng.integers(0, 2 if dtype is bool else 100, (70, 130)).astype(dtype),
        rng.integers(info[0], info[1], (5, 40), dtype=dtype if dtype is not bool else np.int8, endpoint=True).astype(
            dtype
        ),
    ):
        for axis in (None, *range(x.ndim)):
            for y in (x, x[::-1], x.astype(x.dtype.newbyteorder()), np.asfortranarray(x)):
                got, wanted = function(y, axis=axis), function(np.asarray(y, np.float64), axis=axis)
                np.testing.assert_allclose(got, wanted, rtol=1e-15)
                assert got.dtype == wanted.dtype


@each_function
@pytest.mark.parametrize(
    "x", [3, 2.5, True, np.float32(1.5), [1, 2], (1.0, 2.0), [[1, 2], [3, 4]], [], [[]], [True, False], range(4), 1j]
)
def test_lists_and_scalars_give_the_results_of_arrays(function, x):
    same(function(x), function(np.asarray(x))) if np.ndim(x) else same(
        np.asarray(function(x)), np.asarray(function(np.asarray(x)))
    )
    if function is logsumexp or not np.ndim(x):
        assert isinstance(function(x), np.generic)


class Array:
    """An object with `__array__` and nothing else, like those of pandas."""

    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype)


class Exchange:
    """An object with `__dlpack__` and without `__array__`."""

    def __init__(self, data):
        self.data = data

    def __dlpack__(self, **kwargs):
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.data.__dlpack_device__()


@each_function
@pytest.mark.parametrize("wrap", [Array, Exchange, memoryview, lambda x: x.view(np.recarray)])
def test_arrays_of_other_libraries_are_converted(function, wrap):
    for dtype in (np.float32, np.float64, np.int16):
        x = np.random.default_rng(2).normal(size=(20, 30)).astype(dtype)
        same(function(wrap(x), axis=1), function(x, axis=1))
        if wrap in (Array, Exchange):
            same(logsumexp(x, axis=0, b=wrap(x)), logsumexp(x, axis=0, b=x))
    mask = np.random.default_rng(2).random((20, 30)) < 0.5
    same(function(np.zeros((20, 30)), axis=1, where=Array(mask)), function(np.zeros((20, 30)), axis=1, where=mask))


@each_function
@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, np.uint64, np.complex128])
def test_byte_order_alignment_and_strides_do_not_change_the_values(function, dtype):
    """Read-only memory does not change them either."""
    x = (np.random.default_rng(3).normal(size=(33, 70)) * 3).astype(dtype)
    unaligned = np.zeros(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(x.shape)
    unaligned[...] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    swapped = x.astype(x.dtype.newbyteorder())
    record = np.zeros(x.shape, [("pad", "u1"), ("x", x.dtype.newbyteorder())])
    record["x"] = x
    for y in (unaligned, read_only, swapped, record["x"], record["x"][::-1][::-1]):
        before = y.tobytes()
        for axis in (None, 0, 1):
            wanted = function(x, axis=axis)
            got = function(y, axis=axis)
            same(got, wanted)
            # NumPy sums longdouble and complex, without compensation.
            rtol = (4 if wanted.dtype in (np.float16, np.float32, np.float64) else 100) * np.finfo(wanted.dtype).eps
            np.testing.assert_allclose(function(np.asfortranarray(y), axis=axis), wanted, rtol=rtol)
            back = wanted[(..., *[slice(None, None, -1)] * wanted.ndim)]
            np.testing.assert_allclose(function(y[::-1, ::-1], axis=axis), back, rtol=rtol)
        assert y.tobytes() == before


@each_function
def test_zero_strides_do_not_change_the_values(function):
    for dtype in FLOATS:
        x = np.broadcast_to(np.arange(5, dtype=dtype), (70, 5))
        for axis in (None, 0, 1):
            rtol = 4 * np.finfo(dtype).eps
            np.testing.assert_allclose(function(x, axis=axis), function(x.copy(), axis=axis), rtol=rtol)
            np.testing.assert_allclose(function(x.T, axis=axis), function(x.T.copy(), axis=axis), rtol=rtol)


@pytest.mark.parametrize("function", [softmax, log_softmax])
@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, np.complex64])
def test_memory_order_is_kept(function, dtype):
    x = np.ones((3, 4, 5), dtype)
    for y in (x, np.asfortranarray(x), x.transpose(1, 0, 2), x.transpose(0, 2, 1)):
        for where in (True, np.ones(y.shape, bool)):
            got = function(y, axis=1, where=where)
            assert np.argsort(got.strides).tolist() == np.argsort(y.strides).tolist()


# float16 -------------------------------------------------------------------------------------------------------------


def nearest_half(x):
    return np.asarray(x, np.float64).astype(np.float16)


def test_every_float16_has_the_nearest_result():
    """Each value alone, beside 0, and beside a 0 without weight or behind a mask."""
    with np.errstate(all="ignore"):
        got = logsumexp(HALVES[:, None], axis=1)
        np.testing.assert_array_equal(got, HALVES)
        pairs = np.stack([HALVES, np.zeros_like(HALVES)], axis=1)
        wide = np.logaddexp(pairs[:, 0].astype(np.float64), 0)
        for order in "CF":
            y = np.asarray(pairs, order=order)
            np.testing.assert_allclose(logsumexp(y, axis=1), nearest_half(wide), rtol=2**-10, atol=2**-24)
            np.testing.assert_array_equal(logsumexp(y, axis=1, where=[True, False]), HALVES)
            np.testing.assert_array_equal(logsumexp(y, axis=1, b=np.float16([1, 0])), HALVES)
            finite = np.isfinite(HALVES)
            exact = np.exp(-np.logaddexp(0, -HALVES[finite].astype(np.float64)))
            got = softmax(y[finite], axis=1)
            assert got.dtype == np.float16
            assert np.max(np.abs(got[:, 0] - exact) / np.spacing(nearest_half(exact))) <= 0.51
            exact = -np.logaddexp(0, -HALVES[finite].astype(np.float64))
            got = log_softmax(y[finite], axis=1)[:, 0]
            finite = np.abs(exact) < 65520
            assert np.max(np.abs(got[finite] - exact[finite]) / np.spacing(np.abs(nearest_half(exact[finite])))) <= 0.51


def test_every_float16_is_right_as_a_weight_and_in_other_types():
    with np.errstate(all="ignore"):
        value, sign = logsumexp(np.zeros((2**16, 1), np.float16), axis=1, b=HALVES[:, None], return_sign=True)
        exact = np.log(np.abs(HALVES.astype(np.float64)))
        special = ~np.isfinite(exact)
        np.testing.assert_array_equal(value[special], exact[special].astype(np.float16))
        error = np.abs(value - exact)[~special] / np.spacing(np.abs(nearest_half(exact[~special])))
        assert np.max(error) <= 0.51
        np.testing.assert_array_equal(sign, np.sign(HALVES))
        for dtype in FLOATS:
            got = logsumexp(HALVES[:, None], axis=1, dtype=dtype)
            np.testing.assert_array_equal(got, HALVES.astype(dtype))
            got = logsumexp(HALVES.astype(dtype)[:, None], axis=1, dtype=np.float16)
            np.testing.assert_array_equal(got, HALVES)
        for swapped in (HALVES.astype(">f2"), HALVES[::-1]):
            np.testing.assert_array_equal(logsumexp(swapped[:, None], axis=1), swapped)


def test_float16_is_rounded_once_to_nearest_even():
    """The results are those of single float32 numbers: ties between two float16 numbers, and their neighbours."""
    x = np.concatenate([HALVES[:0x7BFF].astype(np.float32), HALVES[1:0x7C00].astype(np.float32)])
    x = np.unique(x)
    middle = (x[1:] + x[:-1]) / 2
    for y in (
        middle,
        np.nextafter(middle, np.float32(0)),
        np.nextafter(middle, np.float32(np.inf)),
        np.float32([65519, 65520, 1e10]),
    ):
        for z in (y, -y):
            with np.errstate(over="ignore"):
                wanted = z.astype(np.float16)
            np.testing.assert_array_equal(logsumexp(z[:, None], axis=1, dtype=np.float16), wanted)


def test_float64_is_rounded_once_to_float16():
    """Rounding to float32 first would turn a neighbour of a tie into a tie."""
    x = np.unique(HALVES[np.isfinite(HALVES)]).astype(np.float64)
    middle = (x[1:] + x[:-1]) / 2
    ends = [65520, np.nextafter(65520, 0), 1e300, 5e-324, np.nextafter(2.0**-25, 1), np.inf, np.nan]
    for y in (middle, np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf), np.array(ends), -np.array(ends)):
        out = np.zeros(y.shape, np.float16)
        logsumexp(y[:, None], axis=1, out=out)
        with np.errstate(over="ignore", under="ignore"):
            np.testing.assert_array_equal(out, y.astype(np.float16))


def test_float16_sums_do_not_overflow():
    assert logsumexp(np.zeros(70000, np.float16)) == np.float16(11.16)
    assert logsumexp(np.full(70000, 60000, np.float16)) == np.float16(60000)
    np.testing.assert_array_equal(
        softmax(np.zeros((70000, 3), np.float16), axis=0), np.full((70000, 3), 1 / 70000, np.float16)
    )


# longdouble and complex ----------------------------------------------------------------------------------------------


def test_longdouble_keeps_its_precision():
    eps = float(np.finfo(np.longdouble).eps)
    rng = np.random.default_rng(4)
    with mp.workprec(200):
        for n in (1, 2, 3, 10, 100):
            for _ in range(10):
                x = rng.uniform(-20, 20, n).astype(np.longdouble) / 3
                exact_x = [mp.mpf(int(v * np.longdouble(2) ** 70)) / 2**70 for v in x]
                total = mp.fsum(mp.exp(v) for v in exact_x)
                close = lambda got, exact: abs(mp.mpf(int(got * np.longdouble(2) ** 90)) / 2**90 - exact)  # noqa: E731
                assert close(logsumexp(x), mp.log(total)) <= 4 * eps * max(1, abs(mp.log(total)), *map(abs, exact_x))
                for v, p, logp in zip(exact_x, softmax(x), log_softmax(x), strict=True):
                    assert close(p, mp.exp(v) / total) <= 20 * eps * mp.exp(v) / total
                    assert close(logp, v - mp.log(total)) <= 8 * eps * max(1, abs(v - mp.log(total)))
    assert logsumexp(np.longdouble([0, -40])) == np.log1p(np.exp(np.longdouble(-40)))
    assert log_softmax(np.longdouble([60, 0]))[0] == -np.log1p(np.exp(np.longdouble(-60)))
    if np.finfo(np.longdouble).maxexp > 1024:
        assert logsumexp(np.longdouble("1e4000")) == np.longdouble("1e4000")
        assert logsumexp(np.longdouble([0, 0]), b=[np.longdouble("1e4000"), 1]) == np.log(np.longdouble("1e4000"))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_means_what_scipy_means(dtype):
    rng = np.random.default_rng(5)
    rtol = 50 * np.finfo(dtype).eps
    for shape in [(1,), (5,), (4, 7), (2, 3, 4)]:
        z = (rng.normal(size=shape) * 2 + 3j * rng.normal(size=shape)).astype(dtype)
        b = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
        for axis in (None, *range(len(shape))):
            for weights in (None, b, b.real):
                for keepdims in (False, True):
                    args = {"axis": axis, "b": weights, "keepdims": keepdims}
                    got, wanted = logsumexp(z, **args), scipy.special.logsumexp(z, **args)
                    assert got.dtype == wanted.dtype
                    assert got.shape == wanted.shape
                    np.testing.assert_allclose(np.exp(got), np.exp(wanted), rtol=1000 * rtol)
                    assert np.all(np.abs(got.imag) <= np.nextafter(got.real.dtype.type(np.pi), got.real.dtype.type(4)))
                    got = logsumexp(z, **args, return_sign=True)
                    wanted = scipy.special.logsumexp(z, **args, return_sign=True)
                    for one, other in zip(got, wanted, strict=True):
                        assert one.dtype == other.dtype
                        assert one.shape == other.shape
                        np.testing.assert_allclose(one, other, rtol=100 * rtol, atol=100 * rtol)
            np.testing.assert_allclose(softmax(z, axis=axis), scipy.special.softmax(z, axis=axis), rtol=rtol)
            got = log_softmax(z, axis=axis)
            np.testing.assert_allclose(got, scipy.special.log_softmax(z, axis=axis), rtol=rtol, atol=rtol)


def test_complex_results_have_the_principal_angle():
    assert logsumexp(np.array([0j, 1j * np.pi])) == scipy.special.logsumexp(np.array([0j, 1j * np.pi]))
    # The imaginary part of the logarithm of a negative sum is pi, never -pi.
    for x in ([0j], [0j, 1j], [1 - 0j], [0j, 0j]):
        b = -np.ones(len(x))
        got = logsumexp(np.array(x), b=b)
        assert got.imag == pytest.approx(np.pi) or -np.pi < got.imag < np.pi
    assert logsumexp([0.0, 0.0], b=[1, -1 + 0j]).real == -np.inf
    assert logsumexp([1000 + 0j, 1000]).real == pytest.approx(1000 + np.log(2))
    assert logsumexp(np.zeros(0, complex)) == -np.inf


def test_complex_infinities_have_the_angle_of_their_terms():
    """-inf adds nothing, whatever its angle. A sum of +inf has the angle of its terms, or NumPy's if they differ."""
    angles = [0.0, -0.0, 0.75, 2.36, -2.36, -0.79, np.inf, -np.inf, np.nan]
    parts = [complex(real, angle) for real in (-np.inf, np.inf) for angle in angles]
    for pair in itertools.product([*parts, 1.5 - 2j], repeat=2):
        z = np.array(pair)
        with np.errstate(all="ignore"):
            wanted = np.log(np.sum(np.exp(z)))
            shifted = scipy.special.log_softmax(z)
        pointed = {v.imag for v in pair if v.real == np.inf}
        if len(pointed) == 1 and np.isfinite(pointed.pop()) and not np.isnan(wanted):
            wanted = complex(np.inf, next(v.imag for v in pair if v.real == np.inf))
        got, got_shifted = logsumexp(z), log_softmax(z)
        with np.errstate(all="ignore"):  # NumPy 1.26 subtracts infinities to compare them
            np.testing.assert_allclose(got, wanted, rtol=1e-15)
            if np.isfinite(z.imag).all():
                np.testing.assert_allclose(got_shifted.real, shifted.real, rtol=1e-15)
        value, sign = logsumexp(z, return_sign=True)
        directed = not np.isnan(wanted)
        assert np.isnan(sign) if not directed else abs(sign) == pytest.approx(float(value > -np.inf), rel=1e-15)


# dtype= and promotion ------------------------------------------------------------------------------------------------


@each_function
@each_float
@pytest.mark.parametrize("given", [*FLOATS, bool, np.int8, np.uint64])
def test_the_computation_is_in_dtype(function, dtype, given):
    x = (np.random.default_rng(6).normal(size=(20, 70)) * 3).astype(given)
    for axis in (None, 0, 1):
        got = function(x, axis=axis, dtype=dtype)
        assert got.dtype == dtype
        if dtype is np.float16:  # float16 is computed in float32
            with np.errstate(over="ignore"):
                wanted = np.float16(function(x.astype(np.float32), axis=axis))
        else:
            wanted = function(x.astype(dtype), axis=axis)
        if dtype is np.float16 and function is not logsumexp:  # columns lose digits that float16 does not have
            np.testing.assert_allclose(got, wanted, rtol=2**-10, atol=2**-24)
        else:
            same(got, wanted)
        for spelled in (np.dtype(dtype), np.dtype(dtype).char):
            same(function(x, axis=axis, dtype=spelled), got)
    assert function(np.zeros(0, given), dtype=dtype).dtype == dtype


@each_function
@pytest.mark.parametrize("dtype", [*FLOATS, None])
@pytest.mark.parametrize("out", [*FLOATS, np.complex64, np.clongdouble])
@pytest.mark.parametrize("given", [*FLOATS, np.int8])
def test_out_is_cast_from_the_type_of_the_computation(function, given, dtype, out):
    """So a wider `out` of float16 input gets the digits of float32, as from np.mean(x, out=out)."""
    x = (4 * np.random.default_rng(7).normal(size=(70, 9))).astype(given)
    with np.errstate(over="ignore"):
        for axis in (0, 1):
            result = function(x, axis=axis, dtype=dtype)
            wanted = result
            if result.dtype == np.float16 != out:
                wanted = function(x, axis=axis, dtype=np.float32)
            target = np.zeros(result.shape, out)
            assert function(x, axis=axis, dtype=dtype, out=target) is target
            np.testing.assert_array_equal(target, wanted.astype(out))


@pytest.mark.parametrize("a", [*FLOATS, bool, np.int8, np.int64, np.complex64])
@pytest.mark.parametrize("b", [*FLOATS, bool, np.int8, np.int64, np.complex64, np.complex128])
def test_weights_take_part_in_promotion(a, b):
    """The type is that of NumPy's promotion, or float64 if that is no float. So int8 weights do not change float32."""
    wanted = np.result_type(a, b)
    wanted = np.dtype(np.float64) if wanted.kind in "bui" else wanted
    x, w = np.ones(3, a), np.ones(3, b)
    assert logsumexp(x, b=w).dtype == wanted
    assert logsumexp(x, b=w[:1]).dtype == wanted
    assert logsumexp(x, b=w[:1].reshape(())).dtype == wanted
    assert logsumexp(x[:0], b=w[:1]).dtype == wanted
    value, sign = logsumexp(x, b=w, return_sign=True)
    assert sign.dtype == wanted
    np.testing.assert_allclose(value, np.log(np.sum(w.astype(wanted) * np.exp(x.astype(wanted)))).real, rtol=2e-3)


@each_float
def test_numbers_of_python_do_not_promote(dtype):
    x = np.ones(3, dtype)
    assert logsumexp(True, b=x).dtype == dtype
    for number in (2, 2.0):
        assert logsumexp(x, b=number).dtype == dtype
        assert logsumexp(number, b=x).dtype == dtype
        assert logsumexp(np.ones(3, np.int8), b=number).dtype == logsumexp(number, b=number).dtype == np.float64
    # A complex number makes the result complex, and does not change its width.
    assert logsumexp(x, b=1j).dtype == logsumexp(1j, b=x).dtype == np.result_type(dtype, np.complex64)
    assert logsumexp(x.astype(np.result_type(dtype, np.complex64)), b=1j).dtype == np.result_type(dtype, np.complex64)
    assert logsumexp(np.ones(3, np.int8), b=1j).dtype == logsumexp(2, b=1j).dtype == np.complex128


# Refusals ------------------------------------------------------------------------------------------------------------

ZEROS = np.zeros(2)
REFUSED = [
    (np.array(["x"]), "<U1"),
    (np.array([b"x"]), "|S1"),
    (np.array([1, None]), "object"),
    (np.array([2**70]), "object"),
    (None, "object"),
    (np.zeros(2, "M8[s]"), "datetime64[s]"),
    (np.zeros(2, "m8[D]"), "timedelta64[D]"),
    (np.zeros(2, "V4"), "|V4"),
    (np.zeros(2, [("x", "f8")]), "[('x', '<f8')]"),
    ("word", "<U4"),
]


def refused(error, text, function, *args, **kwargs):
    with pytest.raises(error) as caught:
        function(*args, **kwargs)
    assert str(caught.value) == text


@each_function
def test_types_of_others_are_refused(function):
    """Types of eight bits and fewer, of which a sum says nothing."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    who = "a" if function is logsumexp else "x"
    text = f"{who} must be an array of numbers, got dtype float8_e4m3fn; astype() another type"
    refused(TypeError, text, function, np.ones(3, ml_dtypes.float8_e4m3fn))


@each_function
@pytest.mark.parametrize(("x", "name"), REFUSED, ids=[name for _, name in REFUSED])
def test_input_that_is_not_numeric_is_refused(function, x, name):
    who = "a" if function is logsumexp else "x"
    dtype = np.asarray(x).dtype
    assert str(dtype) == name
    refused(TypeError, not_numbers(who, dtype), function, x)
    if x is not None:
        refused(TypeError, not_numbers("b", dtype), logsumexp, ZEROS, b=x)


@each_function
def test_masked_arrays_are_refused(function):
    who = "a" if function is logsumexp else "x"
    text = "must not be a masked array: pass its data, and the inverted mask as where="
    for x in (np.ma.array([1.0, 2.0], mask=[True, False]), np.ma.zeros(3), np.ma.masked):
        refused(TypeError, f"{who} {text}", function, x)
        refused(TypeError, f"b {text}", logsumexp, 0.0, b=x)
    masked = np.ma.array([True, False])
    refused(TypeError, "where must not be a masked array: pass its filled(value)", function, ZEROS, where=masked)
    refused(TypeError, "out must not be a masked array", softmax, ZEROS, out=np.ma.zeros(2))


@each_function
def test_masks_that_are_not_boolean_are_refused(function):
    for where, name in ((None, "object"), ([0, 1], "int64"), (1, "int64"), (np.zeros(2), "float64"), ("x", "<U1")):
        refused(TypeError, f"where must be an array of bool, got dtype {name}", function, ZEROS, where=where)


@each_function
def test_wrong_axes_are_refused(function):
    x = np.zeros((2, 3))
    for axis, index in ((2, 2), (-3, -3), ((0, 5), 5), (10**30, 10**30), (-(2**64), -(2**64))):
        text = f"axis {index} is out of bounds for array of dimension 2"
        refused(np.exceptions.AxisError, text, function, x, axis=axis)
    refused(np.exceptions.AxisError, "axis 1 is out of bounds for array of dimension 0", function, 1.0, axis=1)
    for axis, index in (((0, 0), 0), ((1, -1), 1), ((0, 1, -2), 0)):
        refused(ValueError, f"axis {index} is given more than once in axis={axis!r}", function, x, axis=axis)
    for axis in (1.0, "0", [0], (0, 1.0), True, (None,), np.float64(1), {0}, np.array([0]), np.array([0, 1])):
        text = f"axis must be None, an int or a tuple of ints, got {axis!r}"
        refused(TypeError, text, function, x, axis=axis)
    for axis in (np.int8(1), np.uint64(1), np.array(1), (np.int64(1),)):
        same(function(x, axis=axis), function(x, axis=1))


@each_function
def test_shapes_that_do_not_broadcast_are_refused(function):
    x = np.zeros((2, 3))
    text = "where of shape (2,) does not broadcast with the input of shape (2, 3)"
    refused(ValueError, text, function, x, where=np.ones(2, bool))
    text = "b of shape (4, 1, 2) does not broadcast with the input of shape (2, 3)"
    refused(ValueError, text, logsumexp, x, b=np.ones((4, 1, 2)))
    text = "where of shape (5, 1) does not broadcast with the input of shape (2, 3)"
    refused(ValueError, text, logsumexp, x, b=np.ones((4, 1, 1)), where=np.ones((5, 1), bool))
    text = "b of shape (0,) does not broadcast with the input of shape (2, 3)"
    refused(ValueError, text, logsumexp, x, b=[])


@each_function
def test_wrong_outputs_are_refused(function):
    x = np.zeros((2, 3))
    shape = (2, 1) if function is logsumexp else (2, 3)
    args = {"axis": 1, "keepdims": True} if function is logsumexp else {"axis": 1}
    for wrong in ((2,), (3, 2), (1, 2, 3), ()):
        refused(ValueError, f"out must have shape {shape}, got {wrong}", function, x, **args, out=np.zeros(wrong))
    out = np.zeros(shape)
    out.flags.writeable = False
    refused(ValueError, "out must be writeable, got a read-only array", function, x, **args, out=out)
    for given, name in (([0.0], "list"), (1.0, "float"), ((out,), "tuple"), (np.float64(1), "float64")):
        refused(TypeError, f"out must be a NumPy array, got {name}", function, x, **args, out=given)
    for dtype in ("int64", "bool", "uint8", "<U3", "|S3", "object", "datetime64[s]"):
        text = f"out must have a dtype that float64 can be cast to by 'same_kind', got {dtype}"
        refused(TypeError, text, function, x, **args, out=np.zeros(shape, dtype))
    text = "out must have a dtype that complex128 can be cast to by 'same_kind', got float64"
    refused(TypeError, text, function, x + 0j, **args, out=np.zeros(shape))


@each_function
def test_dtype_of_another_byte_order_is_taken_as_native(function):
    result = function(ZEROS, dtype=">f8")
    assert result.dtype == np.float64
    assert result.dtype.isnative


class ForeignDtype:
    """As torch.float32 is: nothing that NumPy knows."""

    def __repr__(self):
        return "ForeignDtype()"


@each_function
def test_wrong_dtypes_are_refused(function):
    for dtype, name in (
        (int, "int64"),
        (complex, "complex128"),
        (bool, "bool"),
        ("U3", "<U3"),
        (object, "object"),
    ):
        text = f"dtype must be float32, float64, float16, bfloat16 or longdouble, got {name}"
        refused(TypeError, text, function, ZEROS, dtype=dtype)
    text = "dtype must be float32, float64, float16, bfloat16 or longdouble, got {}"
    refused(TypeError, text.format("'nothing'"), function, ZEROS, dtype="nothing")
    text += ": pass NumPy's dtype, or its name"
    refused(TypeError, text.format("ForeignDtype()"), function, ZEROS, dtype=ForeignDtype())
    refused(TypeError, text.format("['f4']"), function, ZEROS, dtype=["f4"])
    text = "dtype must be None for complex input, got float64"
    refused(TypeError, text, function, ZEROS + 0j, dtype=np.float64)
    refused(TypeError, text, logsumexp, ZEROS, b=1j, dtype=float)


@each_function
def test_unknown_keywords_are_refused(function):
    with pytest.raises(TypeError):
        function(ZEROS, nothing=1)
    with pytest.raises(TypeError):
        function()
    with pytest.raises(TypeError):
        softmax(ZEROS, None, True)
