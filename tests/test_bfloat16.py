"""bfloat16 of ml_dtypes is accepted wherever float16 is, computed in float32 and rounded once."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from bounds import HALF

import smoothmax
from smoothmax import LogSumExp, log_softmax, logsumexp, softmax
from smoothmax._thresholds import limits

ml_dtypes = pytest.importorskip("ml_dtypes")

BF16 = np.dtype(ml_dtypes.bfloat16)
OTHERS = [ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn, ml_dtypes.int4]
ALL = np.arange(2**16, dtype=np.uint16).view(BF16)
THREE = [logsumexp, softmax, log_softmax]
each_function = pytest.mark.parametrize("function", THREE)


def bits(x):
    """The bits, with all nans equal and both zeros equal, since logsumexp of -0.0 is 0."""
    given = np.asarray(x)
    with np.errstate(invalid="ignore"):  # signalling nans
        return np.where(np.isnan(given), np.uint16(0x7FC0), np.where(given == 0, 0, given.astype(BF16).view(np.uint16)))


def draw(shape, seed=0, spread=3.0):
    return np.random.default_rng(seed).normal(scale=spread, size=shape).astype(BF16)


def check_nearest(got, wide, size=None):
    """Assert that the result is the bfloat16 nearest to a wider result. The error is counted in ULP of `size`."""
    assert got.dtype == BF16
    exact = np.asarray(wide, np.float64)
    assert got.shape == exact.shape
    rounded = np.asarray(got).astype(np.float64)
    finite = np.isfinite(exact)
    np.testing.assert_array_equal(rounded[~finite], exact[~finite])
    size = exact if size is None else np.maximum(size, np.abs(exact))
    unit = np.ldexp(1.0, np.maximum(np.frexp(size[finite])[1] - 8, -133))
    assert np.all(np.abs(rounded[finite] - exact[finite]) <= HALF * unit)


def check_nearest_of(function, x, wide, axis, where=True):
    """check_nearest of a function's results. The maximum and the logarithm of logsumexp may cancel."""
    exact, size = function(wide, axis=axis, where=where), None
    if function is logsumexp:
        maximum = wide.max(axis=axis, where=where, initial=-np.inf)
        with np.errstate(invalid="ignore"):
            size = np.fmax(np.abs(maximum), np.abs(exact - maximum))
    check_nearest(function(x, axis=axis, where=where), exact, size)


# Conversions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [None, np.float32, np.float64, np.longdouble])
def test_every_bfloat16_is_read_and_written(dtype):
    """Subnormal numbers, infinities and nan among them."""
    for x in (ALL, ALL.astype(BF16.newbyteorder(">")), ALL[::-1]):
        got = logsumexp(x[:, None], axis=1, dtype=dtype)
        assert got.dtype == (dtype or BF16)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(bits(got), bits(x))
    if dtype:
        with np.errstate(all="ignore"):
            got = logsumexp(ALL.astype(dtype)[:, None], axis=1, dtype=BF16)
        np.testing.assert_array_equal(bits(got), bits(ALL))


def test_float32_is_rounded_to_nearest_even():
    """Every tie between two neighbours, the numbers next to it, and numbers that round to inf."""
    lower = np.arange(0x7F80, dtype=np.uint32) << 16
    for offset in (0x7FFF, 0x8000, 0x8001, 0, 1, 0xFFFF):
        for sign in (0, 0x80000000):
            x = (lower + np.uint32(offset) | np.uint32(sign)).view(np.float32)
            got = logsumexp(x[:, None], axis=1, dtype=BF16)
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(bits(got), bits(x.astype(BF16)))
    assert logsumexp(np.float32([3.39e38]), dtype=BF16) < np.inf
    assert logsumexp(np.float32([3.4e38]), dtype=BF16) == np.inf


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", [BF16, np.dtype(np.float16)], ids=str)
def test_every_float32_is_rounded_as_numpy_rounds_it(dtype):
    for first in range(0, 1 << 32, 1 << 24):
        x = np.arange(first, first + (1 << 24), dtype=np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            wanted = x.astype(dtype)
            got = logsumexp(x[:, None], axis=1, dtype=dtype)
            np.testing.assert_array_equal(got.astype(np.float32), wanted.astype(np.float32))


def test_a_nan_whose_low_bits_alone_are_set_stays_a_nan():
    x = np.uint32([0x7F800001, 0xFF800001, 0x7FFFFFFF, 0x7F80FFFF]).view(np.float32)
    for dtype in (BF16, np.float16):
        assert np.isnan(logsumexp(x[:, None], axis=1, dtype=dtype).astype(np.float32)).all()


def test_float64_is_rounded_once():
    """Rounding to float32 first would turn a neighbour of a tie into a tie."""
    x = ALL[:0x7F80].astype(np.float64)
    middle = (x[1:] + x[:-1]) / 2
    for y, up in (
        (np.nextafter(middle, 0), 0),
        (np.nextafter(middle, np.inf), 1),
        (middle, np.arange(len(middle)) % 2),
    ):
        for sign in (1, -1):
            out = np.zeros(len(y), BF16)
            logsumexp(sign * y[:, None], axis=1, out=out)
            np.testing.assert_array_equal(out.astype(np.float64), sign * x[np.arange(len(y)) + up])


@pytest.mark.parametrize("dtype", [BF16, np.dtype(np.float16)], ids=str)
@pytest.mark.parametrize("order", "=>")
def test_every_length_and_alignment(dtype, order):
    """A conversion takes several elements at a time, and the rest one by one."""
    whole = draw(100).astype(dtype.newbyteorder(order))
    memory = np.zeros(201, np.uint8)
    for n in range(1, 70):
        for first in (0, 3):
            x = whole[first : first + n]
            memory[1 : 1 + 2 * n] = np.frombuffer(x.tobytes(), np.uint8)
            unaligned = memory[1 : 1 + 2 * n].view(x.dtype)
            twice = np.repeat(x, 2)[::2]
            floats = x.astype(np.float32)
            wide, half = log_softmax(floats), log_softmax(x)
            np.testing.assert_allclose(half.astype(np.float32), wide, rtol=2**-8 if dtype == BF16 else 2**-11)
            for given in (x, unaligned, twice, floats):
                if given is not floats:
                    np.testing.assert_array_equal(log_softmax(given, dtype=np.float32), wide)
                    np.testing.assert_array_equal(log_softmax(given), half)
                wanted = wide.astype(dtype) if given is floats else half
                out = np.zeros(3 * n, dtype.newbyteorder(order))
                log_softmax(given, out=out[1::3])
                np.testing.assert_array_equal(out.reshape(n, 3), np.stack([0 * wanted, wanted, 0 * wanted], axis=1))
                log_softmax(given, out=out[:n])
                np.testing.assert_array_equal(out[:n], wanted)


# Results --------------------------------------------------------------------------------------------------------------

LAYOUTS = {
    "C": lambda x: x,
    "F": np.asfortranarray,
    "negative": lambda x: x[::-1, ::-1],
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "gapped": lambda x: np.concatenate([x, x], axis=1)[:, : x.shape[1]],
    "swapped": lambda x: x.astype(BF16.newbyteorder(">")),
}


@each_function
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (3, 5), (70, 10), (70, 33), (200, 48), (40, 200), (257, 20), (1000, 7), (9000, 3), (5, 20_000)],
    ids=str,
)
def test_results_are_the_nearest_to_exact_ones(function, layout, shape):
    x = LAYOUTS[layout](draw(shape))
    wide = x.astype(np.float64)
    for axis in (0, 1, None):
        check_nearest_of(function, x, wide, axis)
    where = np.random.default_rng(1).random(shape) < 0.7
    check_nearest_of(function, x, wide, 1, where)


@pytest.mark.parametrize("dtype", [BF16, np.dtype(np.float16)], ids=str)
@pytest.mark.parametrize("shape", [(70, 10), (40, 200), (7, 48), (300, 3)], ids=str)
def test_short_rows_become_columns_with_addends_weights_and_masks(shape, dtype):
    """Rows are converted before they are transposed, together with arrays of their type and of float32."""
    x = draw(shape).astype(dtype)
    single, where = x.astype(np.float32), np.random.default_rng(1).random(shape) < 0.7
    for layout in (lambda a: a, lambda a: np.concatenate([a, a], axis=1)[:, : a.shape[1]], lambda a: a[::-1]):
        given, wide = layout(x), layout(single)
        for other in (given[::-1], wide[::-1], given[:1], wide[:, :1]):
            kept = np.promote_types(dtype, other.dtype)
            for options in ({"add": other}, {"add": other, "where": layout(where)}):
                named = options | {"add": other.astype(np.float32)}
                got = softmax(given, axis=1, scale=0.5, **options)
                assert got.dtype == kept
                np.testing.assert_allclose(
                    got.astype(np.float32), softmax(wide, axis=1, scale=0.5, **named), rtol=2**-8, atol=2**-24
                )
            got = logsumexp(given, axis=1, b=abs(other))
            assert got.dtype == kept
            np.testing.assert_allclose(
                got.astype(np.float32), logsumexp(wide, axis=1, b=abs(other.astype(np.float32))), rtol=2**-8, atol=2**-8
            )


@pytest.mark.parametrize("n", [2, 300, *(limits()["HALF_ROW_ELEMENTS"] + more for more in (0, 1)), 70_000])
def test_logsumexp_keeps_results_far_below_the_maximum(n):
    """[0, -40] has the sum 1 + 4.25e-18, whose second term is the result."""
    for far in (-40.0, -60.0, -80.0):
        for place in (0, n // 2, n - 1):
            x = np.full(n, far, BF16)
            x[place] = 0
            wide = np.log1p((n - 1) * np.exp(far))
            check_nearest(logsumexp(x), wide)
            check_nearest(logsumexp(np.stack([x] * 3), axis=1), [wide] * 3)
            check_nearest(logsumexp(np.stack([x] * 40, axis=1), axis=0), [wide] * 40)


@each_function
def test_single_rows(function):
    limit = limits()["HALF_ROW_ELEMENTS"]
    for n in (1, 2, 7, 8, 9, 31, 100, 499, 500, 1000, limit, limit + 1, 70_000, 140_000):
        x = draw(n, seed=n)
        check_nearest(function(x), function(x.astype(np.float64)))
        if function is not logsumexp:
            y = x.copy()
            assert function(y, out=y) is y
            np.testing.assert_array_equal(bits(y), bits(function(x)))


CALLS = {
    "logmeanexp": lambda s, x: s.logmeanexp(x, 1),
    "logcumsumexp": lambda s, x: s.logcumsumexp(x, 1),
    "logcumsumexp of columns": lambda s, x: s.logcumsumexp(x, 0, reverse=True),
    "segment_logsumexp": lambda s, x: s.segment_logsumexp(x, [0, 3, 3, 40, 100], 1),
    "segment_softmax": lambda s, x: s.segment_softmax(x, [0, 3, 3, 40, 100], 1),
    "segment_log_softmax": lambda s, x: s.segment_log_softmax(x, [0, 3, 3, 40, 100], 1),
    "logsumexp with b": lambda s, x: s.logsumexp(x, 1, b=abs(x[0])),
    "softmax with scale and add": lambda s, x: s.softmax(x, 1, scale=0.5, add=x[0]),
    "logsumexp of columns with add": lambda s, x: s.logsumexp(x, 0, scale=-1, add=x[:, :1]),
    "value": lambda s, x: s.logsumexp_and_softmax(x, 1)[0],
    "gradient of logsumexp": lambda s, x: s.logsumexp_and_softmax(x, 1)[1],
    "softmax_vjp": lambda s, x: s.softmax_vjp(x, abs(x), 1),
    "log_softmax_vjp": lambda s, x: s.log_softmax_vjp(x, -abs(x), 1),
    "log_prob": lambda s, x: s.log_prob(x, np.arange(len(x))),
    "cross_entropy": lambda s, x: s.cross_entropy(x, np.arange(len(x)), reduction="none"),
    "mean of cross_entropy": lambda s, x: s.cross_entropy(x, np.arange(len(x)), weight=abs(x[0])),
    "cross_entropy of probabilities": lambda s, x: s.cross_entropy(x, abs(x), label_smoothing=0.125, reduction="sum"),
    "gradient of cross_entropy": lambda s, x: s.cross_entropy_and_grad(x, np.arange(len(x)))[1],
    "nll_loss": lambda s, x: s.nll_loss(x, np.arange(len(x)), reduction="none"),
    "stream": lambda s, x: s.LogSumExp(axis=0).update(x).update(x, b=abs(x)).result(),
}


@pytest.mark.parametrize("name", CALLS)
def test_other_functions_take_it_as_float16(name):
    x = draw((60, 100))
    got = CALLS[name](smoothmax, x)
    check_nearest(got, CALLS[name](smoothmax, x.astype(np.float64)))
    assert CALLS[name](smoothmax, x.astype(np.float16)).dtype == np.float16
    with np.errstate(all="ignore"):
        assert CALLS[name](smoothmax, x * np.float32("nan").astype(BF16)).dtype == BF16


def test_results_of_no_axis_are_scalars():
    x = draw((3, 4))
    assert type(logsumexp(x)) is type(softmax(x[0, 0])) is type(log_softmax(ml_dtypes.bfloat16(2))) is BF16.type
    assert [type(part) for part in logsumexp(x, return_sign=True)] == [BF16.type] * 2
    assert softmax([ml_dtypes.bfloat16(1)] * 2).dtype == BF16
    assert logsumexp(np.zeros(0, BF16)) == -np.inf
    assert softmax(np.zeros((0, 3), BF16)).dtype == BF16


def test_sums_and_products_of_large_and_small_numbers():
    assert logsumexp(np.zeros(70_000, BF16)) == ml_dtypes.bfloat16(11.1875)
    assert logsumexp(np.full(3, 3.3e38, BF16)) == ml_dtypes.bfloat16(3.3e38)
    x = np.array([0, -87, -90, -91, -92, -200], BF16)  # exp(-90) is subnormal
    np.testing.assert_array_equal(bits(softmax(x)), bits(softmax(x.astype(np.float64)).astype(np.float32).astype(BF16)))
    assert softmax(x)[3] > 0
    check_nearest(logsumexp(x, b=1e-300), logsumexp(x.astype(np.float64), b=1e-300))


# Types ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "result"),
    [(BF16, BF16), (bool, BF16), (np.int8, BF16), (np.uint8, BF16), (np.float16, np.float32), (np.int16, np.float32),
     (np.float32, np.float32), (np.int32, np.float64), (np.uint64, np.float64), (np.float64, np.float64),
     (np.longdouble, np.longdouble), (np.complex64, np.complex64), (np.complex128, np.complex128), (float, BF16),
     (int, BF16), (complex, np.complex64)],
)  # fmt: skip
def test_it_promotes_as_float16_does(other, result):
    x = draw((2, 3))
    is_python = other in (float, int, complex)
    given = other(1) if is_python else np.ones(3, other)
    assert logsumexp(x, 1, b=given).dtype == result
    assert logsumexp(x, 1, add=given).dtype == result
    if not is_python:
        assert logsumexp(given, b=x[0]).dtype == result
    if result != BF16 and other is not np.float16:
        assert logsumexp(x.astype(np.float16), 1, b=given).dtype == result


@each_function
def test_dtype_and_out(function):
    x = draw((4, 30)).astype(np.float32)
    got = function(x, axis=1, dtype=BF16)
    check_nearest(got, function(x, axis=1))
    np.testing.assert_array_equal(bits(function(x, axis=1, dtype=BF16.newbyteorder(">"))), bits(got))
    out = np.zeros(got.shape, BF16)
    assert function(x, axis=1, out=out) is out
    np.testing.assert_array_equal(bits(out), bits(got))
    wide = np.zeros(got.shape, np.float32)
    function(x.astype(BF16), axis=1, out=wide)
    np.testing.assert_array_equal(wide, function(x.astype(BF16).astype(np.float32), axis=1))
    kinds = [np.float16, np.int32, *OTHERS]
    if np.can_cast(BF16, np.float16, "same_kind"):  # since ml_dtypes 0.7
        narrow = np.zeros(got.shape, kinds.pop(0))
        function(x.astype(BF16), axis=1, out=narrow)
        np.testing.assert_array_equal(narrow, wide.astype(np.float16))
    for kind in kinds:
        with pytest.raises(TypeError) as refusal:
            function(x.astype(BF16), axis=1, out=np.zeros(got.shape, kind))
        assert str(refusal.value) == (
            f"out must have a dtype that bfloat16 can be cast to by 'same_kind', got {np.dtype(kind)}"
        )


@pytest.mark.parametrize("kind", [*OTHERS, "V2", [("bfloat16", "u2")]], ids=str)
def test_types_like_it_are_refused(kind):
    x = np.zeros((2, 3), kind)
    a = np.zeros((2, 3))
    for call in (lambda: logsumexp(x), lambda: softmax(x), lambda: LogSumExp().update(x), lambda: logsumexp(a, b=x)):
        with pytest.raises(TypeError) as refusal:
            call()
        assert f" must be an array of numbers, got dtype {x.dtype}; " in str(refusal.value)
    with pytest.raises(TypeError) as refusal:
        logsumexp(np.zeros(3), dtype=kind)
    assert str(refusal.value) == f"dtype must be float32, float64, float16, bfloat16 or longdouble, got {x.dtype}"


def test_scale_of_its_own_type():
    x = draw(30)
    np.testing.assert_array_equal(bits(softmax(x, scale=ml_dtypes.bfloat16(0.5))), bits(softmax(x, scale=0.5)))


def test_ufuncs_return_what_numpy_casts_it_to():
    """A loop of its own would need ml_dtypes at import."""
    x, y = draw(30), draw(30, seed=1)
    got = smoothmax.logaddexp(x, y)
    assert got.dtype == np.float32
    out = np.zeros(30, BF16)
    smoothmax.logaddexp(x, y, out=out)
    check_nearest(out, smoothmax.logaddexp(x.astype(np.float64), y.astype(np.float64)))


# Streams, Dask, imports -----------------------------------------------------------------------------------------------


def test_a_stream_of_bfloat16_is_rounded_once():
    x = draw((5, 40))
    stream = LogSumExp()
    for row in x:
        stream.update(row)
    assert stream.dtype == BF16
    check_nearest(stream.result(), logsumexp(x.astype(np.float64)))
    assert pickle.loads(pickle.dumps(stream)).result() == stream.result()
    stream.update(draw(3))
    with pytest.raises(TypeError, match="chunk must be of a type that promotes to bfloat16"):
        stream.update(np.ones(3, np.float16))
    assert LogSumExp(dtype=BF16).update([1.0, 2.0]).result().dtype == BF16
    assert LogSumExp().update(np.ones(3, np.float32)).update(x).dtype == np.float32


def test_a_pickled_stream_needs_no_import_before_it_is_read():
    data = pickle.dumps(LogSumExp().update(draw(9)))
    code = f"import pickle; print(pickle.loads(bytes.fromhex({data.hex()!r})).dtype)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout == "bfloat16\n"


def test_dask_arrays():
    da = pytest.importorskip("dask.array")
    x = draw((20, 90))
    wide, chunked = x.astype(np.float64), da.from_array(x, chunks=(7, 40))
    for function in THREE:
        for axis in (0, 1, None):
            lazy = function(chunked, axis=axis)
            assert lazy.dtype == BF16
            check_nearest(lazy.compute(), function(wide, axis=axis))
    check_nearest(logsumexp(chunked, b=da.from_array(abs(x)), axis=1).compute(), logsumexp(wide, b=abs(wide), axis=1))
    targets = np.arange(20)
    for reduction in ("none", "mean", "sum"):
        got = smoothmax.cross_entropy(chunked, da.from_array(targets), reduction=reduction)
        check_nearest(got.compute(), smoothmax.cross_entropy(wide, targets, reduction=reduction))


def test_losses_of_dask_arrays_are_rounded_after_they_are_added():
    da = pytest.importorskip("dask.array")
    for seed in range(20):
        x = draw((2, 9), seed)
        got = smoothmax.cross_entropy(da.from_array(x, chunks=(1, 9)), da.from_array(np.arange(2)))
        check_nearest(got.compute(), smoothmax.cross_entropy(x.astype(np.float64), np.arange(2)))


def test_smoothmax_does_not_import_ml_dtypes():
    code = (
        "import sys, numpy, smoothmax, smoothmax.dask\n"
        "x = numpy.ones((3, 4), numpy.float16)\n"
        "smoothmax.softmax(x); smoothmax.LogSumExp().update(x).result(); smoothmax.cross_entropy(x, [0, 1, 2])\n"
        "assert 'ml_dtypes' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@each_function
def test_complex_results_are_not_stored_as_bfloat16(function):
    """NumPy would cast them, and lose the imaginary parts."""
    z = np.array([1 + 1j, 2.0])
    with pytest.raises(TypeError) as caught:
        function(z, out=np.zeros(() if function is logsumexp else 2, BF16))
    assert str(caught.value) == ("out must have a dtype that complex128 can be cast to by 'same_kind', got bfloat16")


# Products -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 30, 25), (3, 30, 4), (40, 0, 25)])
def test_products_are_rounded_once(shape):
    rows, terms, columns = shape
    a, b = draw((rows, terms)), draw((terms, columns), 1)
    wide = smoothmax.logmatmulexp(a.astype(np.float64), b.astype(np.float64))
    for exact in (False, True):
        check_nearest(smoothmax.logmatmulexp(a, b, exact=exact), wide)
        check_nearest(smoothmax.logmatmulexp(a.astype(BF16.newbyteorder(">")), b[:, ::-1], exact=exact), wide[:, ::-1])
        result = smoothmax.logmatmulexp(a, b, exact=exact, out=np.empty(wide.shape, np.float32))
        np.testing.assert_allclose(result, wide, rtol=1e-5)
    check_nearest(smoothmax.logmatmulexp(a, b.astype(np.float32), dtype=BF16), wide)
    assert smoothmax.logmatmulexp(a, b.astype(np.float16)).dtype == np.float32


def test_products_of_blocks_are_rounded_once():
    da = pytest.importorskip("dask.array")
    a, b = draw((20, 300)), draw((300, 15), 1)
    lazy = smoothmax.logmatmulexp(da.from_array(a, chunks=(20, 7)), da.from_array(b, chunks=(7, 15)))
    assert lazy.dtype == BF16
    check_nearest(lazy.compute(), smoothmax.logmatmulexp(a.astype(np.float64), b.astype(np.float64)))
