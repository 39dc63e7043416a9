"""`scale` and `add`: the bits of a call on the array x*scale + add, without that array.

NumPy computes that array here, so that the expected bits come from NumPy's rounding and not from the library's.
"""

import decimal
import fractions
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.special
from advice import not_numbers
from test_routes import CASES

import smoothmax
from smoothmax import (
    LogSumExp,
    cross_entropy,
    cross_entropy_and_grad,
    log_prob,
    log_softmax,
    logsumexp,
    logsumexp_and_softmax,
    softmax,
    softmax_vjp,
)
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
SCALE = -0.37
MIB = 1 << 20
THREE = {"logsumexp": logsumexp, "softmax": softmax, "log_softmax": log_softmax}


def numbers(rng, shape, dtype):
    return (5 * rng.normal(size=shape)).astype(dtype)


def adjusted(x, scale=1.0, add=None, dtype=None):
    """x*scale + add, with each operation rounded in the type."""
    dtype = np.dtype(dtype or x.dtype)
    with np.errstate(all="ignore"):
        product = np.multiply(x.astype(dtype), dtype.type(scale))
        return product if add is None else np.add(product, np.asarray(add).astype(dtype))


def assert_same_bits(one, other):
    for a, b in zip(one, other, strict=True) if isinstance(one, tuple) else [(one, other)]:
        assert np.shape(a) == np.shape(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(np.signbit(a) & ~np.isnan(a), np.signbit(b) & ~np.isnan(b))


def addends_of(rng, shape, dtype):
    """Addends of every kind that broadcasts with an array of two axes, in several layouts and types."""
    rows, columns = shape
    one_each = numbers(rng, shape, dtype)
    return {
        "none": None,
        "number": np.asarray(0.3, dtype),
        "row": numbers(rng, columns, dtype),
        "column": numbers(rng, (rows, 1), dtype),
        "one each": one_each,
        "fortran": np.asfortranarray(one_each),
        "every second": numbers(rng, (rows, 2 * columns), dtype)[:, ::2],
        "backwards": numbers(rng, columns, dtype)[::-1],
        "other byte order": numbers(rng, (rows, 1), dtype).astype(np.dtype(dtype).newbyteorder()),
        "integers": rng.integers(-9, 9, columns).astype(np.int8),
    }


KINDS = list(addends_of(np.random.default_rng(0), (1, 1), np.float64))


# Bits ----------------------------------------------------------------------------------------------------------------


# Functions without the two keywords, arrays without elements or kernels, and halves, whose products are of float32.
OTHERS = ("no elements", "no kernels", "scans and segments", "scores", "PRODUCT_EXACT_ELEMENTS", "HALF_ROW_ELEMENTS")
OTHERS += ("ROW_BLOCK_BYTES of halves", "targets or probabilities")


@pytest.mark.parametrize("limit", [case for case in CASES if case not in OTHERS])
def test_both_sides_of_every_limit_have_the_bits_of_the_adjusted_array(limit, dtype):
    if "DRAFT_MAX_BYTES" in limit:
        pytest.skip("64 MB: the limit is about time, and its two sides are tested by other cases")
    rng = np.random.default_rng(1)
    for _, function, x, *rest in CASES[limit](dtype):
        if function is softmax_vjp or len(rest) > 3:
            continue
        x[...] = numbers(rng, x.shape, dtype)
        options = {}
        if function is softmax and len(rest) == 2:
            rest, options = rest[:1], {"where": rest[1]}
        for add in (None, numbers(rng, x.shape[-1:], dtype)):
            y = adjusted(x, SCALE, add)
            given = {**options, "scale": SCALE, "add": add}
            route = explain(function, x, *rest, **given)
            if route["name"] != "SINGLE_ROW":
                assert route["adjusted"]
            name = {"SINGLE_ROW": route["name"], "GATHERED_ROW": "TWO_PASS_ROW"}
            of_adjusted_array = explain(function, y, *rest, **options)["name"]
            assert name.get(route["name"], route["name"]) == name.get(of_adjusted_array, of_adjusted_array)
            assert_same_bits(function(x, *rest, **given), function(y, *rest, **options))


@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax, smoothmax.logmeanexp])
@pytest.mark.parametrize("rows", [2, 50, 51, 150, 700, 1501, 2300])
def test_tiles_that_kernels_adjust_have_the_bits_of_the_adjusted_array(rows, function, dtype):
    """The last tile is full, has half of the columns, or does not fill its lanes; then staging adjusts it.

    Some columns have an element far above those that the maximum is guessed from, so they are summed again.
    """
    rng = np.random.default_rng(2)
    for columns in (64, 128 + 32, 128 + 64 - 7, 256 + 5):
        x = numbers(rng, (rows, columns), dtype)
        x[1, 3::17] += 3000 * np.sign(SCALE)
        x[-2, 5::23] += 300 * np.sign(SCALE)
        for kind, add in addends_of(rng, x.shape, dtype).items():
            route = explain(function, x, 0, scale=SCALE, add=add)
            if kind in ("none", "row", "column", "one each"):
                assert route["staged_in"] == (rows == 2)
            y = adjusted(x, SCALE, add)
            assert_same_bits(function(x, 0, scale=SCALE, add=add), function(y, 0))
            if function in (softmax, log_softmax):
                out = x.copy()
                assert_same_bits(function(out, 0, scale=SCALE, add=add, out=out), function(y, 0))


SHAPES = {
    "SINGLE_ROW": ((1, 300), None),
    "NARROW": ((1300, 7), 0),
    "narrow of two": ((3000, 2), 0),
    "wide narrow": ((200, 63), 0),
    "FUSED_TILE down": ((30, 200), 0),
    "FUSED_TILE across": ((150, 12), 1),
    "ONE_PASS_TILE": ((700, 70), 0),
    "JOINT_ROWS": ((20, 500), 1),
    "ONE_PASS_ROW": ((3, 40_000), 1),
    "two axes": ((40, 300), None),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_addends_of_every_kind_have_the_bits_of_the_adjusted_array(shape, kind, dtype):
    rng = np.random.default_rng(2)
    shape, axis = SHAPES[shape]
    x, mask, b = numbers(rng, shape, dtype), rng.random(shape) < 0.8, rng.normal(size=shape).astype(dtype)
    add = addends_of(rng, shape, dtype)[kind]
    y = adjusted(x, SCALE, add)
    given = {"scale": SCALE, "add": add}
    if len(x) == 1 and kind in ("none", "number", "one each"):
        assert explain(softmax, x, axis, **given)["name"] == "SINGLE_ROW"
    for function in (logsumexp, softmax, log_softmax, logsumexp_and_softmax):
        assert_same_bits(function(x, axis, **given), function(y, axis))
        assert_same_bits(function(x, axis, where=mask, **given), function(y, axis, where=mask))
    for options in ({}, {"return_sign": True}, {"where": mask}):
        assert_same_bits(logsumexp(x, axis, b, **options, **given), logsumexp(y, axis, b, **options))
        assert_same_bits(logsumexp(x, axis, b[:1], **options, **given), logsumexp(y, axis, b[:1], **options))
    for function in (softmax, log_softmax):
        out = x.copy()
        assert function(out, axis, out=out, **given) is out
        assert_same_bits(out, function(y, axis))


@pytest.mark.parametrize("more", [0, 700, 4099])
@pytest.mark.parametrize("columns", [2, 3, 10, 16, 31, 33, 41, 47, LIMITS["TILE_COLUMNS"] - 1])
def test_addends_of_narrow_columns_of_any_number_have_the_bits_of_the_adjusted_array(columns, more, dtype):
    """Each addend serves other lanes, in rows that begin anywhere and in a last row that does not fill its lanes."""
    rng = np.random.default_rng(columns)
    x = numbers(rng, (-(-LIMITS["NARROW_MIN_ELEMENTS"] // columns) + more, columns), dtype)
    b = rng.uniform(0.1, 2, (len(x), 1)).astype(dtype)
    swapped = x.astype(x.dtype.newbyteorder())
    for kind in ("none", "number", "row", "column", "backwards", "other byte order", "integers", "column of many"):
        if kind == "column of many":
            add = numbers(rng, (len(x), 3), dtype)[:, 1:2]
        else:
            add = addends_of(rng, x.shape, dtype)[kind]
        assert explain(softmax, x, 0, scale=SCALE, add=add)["name"] == "NARROW"
        y = adjusted(x, SCALE, add)
        for given in (x, swapped):
            for function in (softmax, log_softmax, logsumexp, smoothmax.logmeanexp):
                assert_same_bits(function(given, 0, scale=SCALE, add=add), function(y, 0))
            assert_same_bits(logsumexp(given, 0, b, scale=SCALE, add=add), logsumexp(y, 0, b))


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("kind", ["none", "number", "row", "column", "one each", "fortran", "integers"])
def test_narrow_columns_have_the_bits_of_the_adjusted_array_whether_kernels_or_staging_adjust(kind, more, dtype):
    rng = np.random.default_rng(3)
    x = numbers(rng, (LIMITS["NARROW_ADJUSTED_BYTES"] // (8 * np.dtype(dtype).itemsize) + more, 8), dtype)
    x[1::1000, 3] += 3000 * np.sign(SCALE)
    add = addends_of(rng, x.shape, dtype)[kind]
    y = adjusted(x, SCALE, add)
    for function in THREE.values():
        assert_same_bits(function(x, 0, scale=SCALE, add=add), function(y, 0))


@pytest.mark.parametrize("function", [softmax, log_softmax])
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_an_adjusted_row_with_and_without_a_draft_have_the_bits_of_the_adjusted_array(kind, function, dtype):
    """Exponentials of a block far from 0 cannot be corrected, so the second pass computes them from the elements."""
    rng = np.random.default_rng(4)
    x = numbers(rng, (1, 200_003), dtype)
    block = LIMITS["ROW_BLOCK_BYTES"] // np.dtype(dtype).itemsize
    x[:, block : 2 * block] -= 3000
    x[:, 5 * block + 7 : 6 * block] -= 2000
    add = addends_of(rng, x.shape, dtype)[kind]
    y = adjusted(x, SCALE, add)
    assert explain(function, x, 1, scale=SCALE, add=add)["name"] == "DRAFT_ROW"
    assert_same_bits(function(x, 1, scale=SCALE, add=add), function(y, 1))
    assert function(x, 1, scale=SCALE, add=add, out=x) is x
    assert_same_bits(x, function(y, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [name for name, (_, axis) in SHAPES.items() if axis is not None])
def test_losses_have_the_bits_of_the_adjusted_logits(shape, kind, dtype):
    rng = np.random.default_rng(3)
    shape, axis = SHAPES[shape]
    x, add = numbers(rng, shape, dtype), addends_of(rng, shape, dtype)[kind]
    y = adjusted(x, SCALE, add)
    given = {"scale": SCALE, "add": add}
    targets = rng.integers(0, shape[axis], shape[1 - axis])
    soft = rng.random(shape).astype(dtype)
    assert_same_bits(log_prob(x, targets, axis, **given), log_prob(y, targets, axis))
    for options in ({}, {"label_smoothing": 0.1}, {"weight": 1 + rng.random(shape[axis]), "ignore_index": 0}):
        assert_same_bits(
            cross_entropy(x, targets, axis, **options, **given), cross_entropy(y, targets, axis, **options)
        )
        expected = cross_entropy_and_grad(y, targets, axis, **options)
        assert_same_bits(cross_entropy_and_grad(x, targets, axis, **options, **given), expected)
        out = x.copy()
        assert_same_bits(cross_entropy_and_grad(out, targets, axis, out=out, **options, **given), expected)
    assert_same_bits(cross_entropy(x, soft, axis, **given), cross_entropy(y, soft, axis))
    assert_same_bits(cross_entropy_and_grad(x, soft, axis, **given), cross_entropy_and_grad(y, soft, axis))


def test_product_and_sum_are_rounded_one_after_the_other(dtype):
    """Of one element, logsumexp is the adjusted element itself."""
    rng = np.random.default_rng(4)
    x, add = rng.normal(size=1000).astype(dtype), rng.normal(size=1000).astype(dtype)
    scale = 1 / dtype(3)
    y = adjusted(x, scale, add)
    fused = (x.astype(np.longdouble) * scale + add).astype(dtype)
    assert np.any(y != fused)
    assert_same_bits(logsumexp(x, (), scale=scale, add=add), y)


@pytest.mark.parametrize("layout", ["every third", "backwards", "fortran", "other byte order", "unaligned"])
def test_elements_of_every_layout_are_adjusted(layout, dtype):
    rng = np.random.default_rng(5)
    x = numbers(rng, (90, 110), dtype)
    add = numbers(rng, (90, 1), dtype)
    y = adjusted(x, SCALE, add)
    placed = {
        "every third": np.repeat(x, 3, axis=1)[:, ::3],
        "backwards": x[::-1, ::-1].copy()[::-1, ::-1],
        "fortran": np.asfortranarray(x),
        "other byte order": x.astype(x.dtype.newbyteorder()),
        "unaligned": np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(dtype).reshape(x.shape),
    }[layout]
    before = placed.copy()
    if layout == "fortran":
        y = np.asfortranarray(y)
    elif layout == "backwards":
        y = y[::-1, ::-1].copy()[::-1, ::-1]
    for axis in (0, 1, None):
        for function in THREE.values():
            assert_same_bits(function(placed, axis, scale=SCALE, add=add), function(y, axis))
    np.testing.assert_array_equal(placed, before)


@pytest.mark.parametrize("shape", [(50_000, 7), (300, 2000), (2000, 300), (400_000,)], ids=str)
def test_the_number_of_threads_does_not_change_the_bits(shape, dtype):
    rng = np.random.default_rng(6)
    x, row = numbers(rng, shape, dtype), numbers(rng, shape[-1:], dtype)
    for axis in range(-1, len(shape) - 1):
        for function in THREE.values():
            results = []
            for threads in (1, 2, 5):
                with smoothmax.num_threads(threads):
                    results.append(function(x, axis, scale=SCALE, add=row))
            assert_same_bits(results[0], results[1])
            assert_same_bits(results[0], results[2])


# Shapes, types and values ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "other"), [((6, 1), (9,)), ((9,), (6, 1)), ((), (6, 9)), ((1, 9), (4, 6, 1))])
def test_addends_may_enlarge_the_result(shape, other, function, dtype):
    rng = np.random.default_rng(7)
    x, add = numbers(rng, shape, dtype), numbers(rng, other, dtype)
    for axis in (None, 0, -1):
        result, expected = function(x, axis, scale=SCALE, add=add), function(adjusted(x, SCALE, add), axis)
        assert np.shape(result) == np.shape(expected)
        np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
    targets = np.zeros(np.broadcast_shapes(shape, other)[:-1], int)
    result = log_prob(x, targets, scale=SCALE, add=add)
    np.testing.assert_allclose(result, log_prob(adjusted(x, SCALE, add), targets), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "scale",
    [2, -0.5, np.float64(0.1), np.float32(0.1), np.int8(3), fractions.Fraction(1, 3), decimal.Decimal("0.7"),
     np.array(0.2), np.longdouble("0.1"), np.float64(1e300), 10**30, 1],
    ids=repr,
)  # fmt: skip
def test_any_number_is_a_scale_and_leaves_the_type(scale, function, dtype):
    x = np.linspace(-3, 3, 40).astype(dtype).reshape(5, 8)
    with np.errstate(all="ignore"):
        y = x * dtype(float(scale))
    assert_same_bits(function(x, 1, scale=scale), function(y, 1))


@pytest.mark.parametrize(
    "given", [np.int32, np.uint8, np.bool_, np.float16, np.longdouble, np.complex64, np.complex128]
)
def test_types_that_kernels_do_not_compute_in(given, function):
    rng = np.random.default_rng(8)
    x = rng.integers(0, 2, (30, 20)).astype(given) if given == "bool" else (9 * rng.random((30, 20))).astype(given)
    add = rng.integers(-9, 9, 20).astype(np.int8)
    computed = {"f2": np.float32, "c8": np.complex64}.get(x.dtype.str[1:], np.result_type(x.dtype, np.float64))
    computed = np.float64 if x.dtype.kind in "iub" else computed
    y = adjusted(x, 0.75, add, computed)
    for axis in (0, 1):
        result = function(x, axis, scale=0.75, add=add)
        assert result.dtype == (np.float64 if x.dtype.kind in "iub" else x.dtype)
        expected = function(y, axis, out=np.empty_like(result))
        if given is np.float16:  # whose results need fewer digits than those of float32 that are rounded
            np.testing.assert_allclose(result, expected, rtol=2**-10)
        else:
            np.testing.assert_array_equal(result, expected)


def test_addends_take_part_in_promotion(function):
    x = np.ones((3, 4), np.float32)
    for add, expected in [
        (np.ones(4), np.float64), (np.ones(4, np.float32), np.float32), (np.ones(4, np.float16), np.float32),
        (1.0, np.float32), (1, np.float32), (True, np.float32), (np.float64(1), np.float64),
        (np.ones(4, np.int64), np.float64), (np.ones(4, np.longdouble), np.longdouble), (1j, np.complex64),
    ]:  # fmt: skip
        assert function(x, 1, add=add).dtype == expected
    assert function(x.astype(np.float16), 1, add=0.5, scale=np.float64(2)).dtype == np.float16
    assert function(x, 1, add=np.ones(4), dtype=np.float32).dtype == np.float32
    assert function(1.0, add=np.ones(4, np.float32)).dtype == np.float32
    assert log_prob(x, [0, 0, 0], add=np.ones(4)).dtype == np.float64
    assert cross_entropy(x, [0, 0, 0], add=np.ones(4)).dtype == np.float64


def test_a_complex_scale_of_complex_elements():
    z = np.array([1 + 2j, 0.5 - 1j])
    np.testing.assert_array_equal(softmax(z, scale=2j), softmax(z * 2j))


@pytest.mark.parametrize("scale", [0.0, np.inf, -np.inf, np.nan, 1e308, 5e-324], ids=str)
def test_infinities_and_nan_are_those_of_numpy_without_a_warning(scale, function, dtype):
    x = np.array([[1, -2, 0], [np.inf, 1, 0], [-np.inf, 1, 2], [np.nan, 1, 2], [-0.0, 0.0, -0.0]], dtype)
    for add in (None, dtype(1), np.array([np.inf, -np.inf, np.nan], dtype), np.array([[-np.inf]], dtype)):
        y = adjusted(x, scale, add)
        for axis in (0, 1, ()):
            expected = function(y, axis)
            with np.errstate(all="raise"):
                assert_same_bits(function(x, axis, scale=scale, add=add), expected)


def test_scale_1_without_addends_is_the_plain_call(function):
    x = np.arange(6.0)
    for scale in (1.0, 1, np.float32(1), np.array(1)):
        assert explain(function, x, scale=scale)["name"] == "SINGLE_ROW"
    assert explain(function, x.astype(complex), scale=1)["name"] == "PLAIN"


def test_masked_elements_stay_out_whatever_is_added(function, dtype):
    x = np.zeros((5, 6), dtype)
    x[:, 2] = np.nan
    mask = np.arange(6) != 2
    add = np.where(mask, dtype(0), dtype(np.inf))
    assert_same_bits(function(x, 1, where=mask, scale=SCALE, add=add), function(np.zeros_like(x), 1, where=mask))


def test_addends_may_share_memory_with_the_output(dtype):
    rng = np.random.default_rng(9)
    x, add = numbers(rng, (50, 400), dtype), numbers(rng, (50, 400), dtype)
    for function in (softmax, log_softmax):
        for given in (x, x.astype(x.dtype.newbyteorder())):
            out = add.copy()
            assert_same_bits(function(given, 1, scale=SCALE, add=out, out=out), function(adjusted(x, SCALE, add), 1))
            whole = np.concatenate([add[:1], add])
            result = function(given, 1, scale=SCALE, add=whole[:-1], out=whole[1:])
            assert_same_bits(result, function(adjusted(x, SCALE, np.concatenate([add[:1], add])[:-1]), 1))
    out = add.copy()[:, 0]
    result = logsumexp(x, 1, scale=SCALE, add=out[:, None], out=out)
    assert_same_bits(result, logsumexp(adjusted(x, SCALE, add[:, :1]), 1))


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"scale": "2"}, TypeError, "scale must be a number, got '2'"),
        ({"scale": None}, TypeError, "scale must be a number, got None"),
        ({"scale": True}, TypeError, "scale must be a number, got True"),
        ({"scale": np.True_}, TypeError, f"scale must be a number, got {np.True_!r}"),
        ({"scale": np.ones(3)}, TypeError, "scale must be a number, got an array of shape (3,)"),
        ({"scale": np.array("a")}, TypeError, not_numbers("scale", "U1")),
        ({"scale": 2j}, TypeError, "scale must be real for real input, got 2j"),
        ({"scale": 10**400}, ValueError, "scale must be in the range of float64, got 1" + "0" * 400),
        ({"add": "2"}, TypeError, not_numbers("add", "U1")),
        ({"add": np.ma.ones(4)}, TypeError, "add must not be a masked array: pass its filled(value)"),
        ({"add": np.ones(3)}, ValueError, "add of shape (3,) does not broadcast with the input of shape (2, 4)"),
    ],
)
def test_errors_name_the_argument(options, error, text):
    x, targets = np.ones((2, 4)), [0, 0]
    calls = [lambda f=f: f(x, **options) for f in (*THREE.values(), logsumexp_and_softmax)]
    calls += [lambda f=f: f(x, targets, **options) for f in (log_prob, cross_entropy, cross_entropy_and_grad)]
    calls += [lambda: LogSumExp().update(x, **options)]
    for call in calls:
        with pytest.raises(error, match=f"^{re.escape(text)}$"):
            call()


def test_streams_name_the_addends_that_they_cannot_take():
    for dtype in (np.longdouble, np.complex64):
        add = np.ones(4, dtype)
        with pytest.raises(TypeError) as caught:
            LogSumExp().update(np.ones(4), add=add)
        assert str(caught.value) == f"add must be of float64 or a narrower type, got dtype {add.dtype}"


def test_kernels_of_losses_do_not_compute_longdouble():
    text = "add must be of float64, float32, float16, bfloat16, an integer type or bool, got dtype longdouble"
    text = text.replace("longdouble", str(np.dtype(np.longdouble)))
    add = np.ones(4, np.longdouble)
    for call in (
        lambda: logsumexp_and_softmax(np.ones((2, 4)), add=add),
        lambda: log_prob(np.ones((2, 4)), [0, 0], add=add),
        lambda: cross_entropy(np.ones((2, 4)), [0, 0], add=add),
    ):
        with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
            call()


def test_longdouble_addends_are_taken_where_dtype_says_what_is_computed_in():
    x, add = np.ones((2, 4)), np.arange(4, dtype=np.longdouble)
    expected = logsumexp_and_softmax(x + add.astype(np.float64), 1)
    assert_same_bits(logsumexp_and_softmax(x, 1, add=add, dtype=np.float64), expected)


def test_dtype_must_be_none_for_complex_addends():
    with pytest.raises(TypeError, match=r"^dtype must be None for complex input, got float32$"):
        logsumexp(np.ones(3), add=1j, dtype=np.float32)


# Memory --------------------------------------------------------------------------------------------------------------


@pytest.mark.unsanitized
def test_no_array_of_the_size_of_the_input_is_made(name, dtype):
    """The peak of the resident memory includes the scratch and all that NumPy allocates."""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc/self/status")
    script = f"""
        import numpy as np, smoothmax

        def peak():
            return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM"))

        def calls(rows, columns):
            x, c = np.ones((rows, columns), np.{np.dtype(dtype)}), {name != "logsumexp"}
            column, row = np.ones((rows, 1), x.dtype), np.ones(2*columns)[::2]
            outs = [np.ones(x.shape if c else n, x.dtype) for n in (columns, rows, ())]
            before = peak()
            for axis, out in zip((0, 1, None), outs):
                for add in (None, column, row, x.T.copy().T if rows < 1000 else x):
                    smoothmax.{name}(x, axis=axis, out=out, scale=-0.5, add=add, dtype=x.dtype)
            return peak() - before

        calls(100, 9000)
        print(calls(4000, 2000))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    assert int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) <= MIB


# Streams -------------------------------------------------------------------------------------------------------------


def test_a_stream_adjusts_its_chunks(dtype):
    rng = np.random.default_rng(10)
    x, add, b = numbers(rng, (40, 30), dtype), numbers(rng, (40, 1), dtype), rng.random((40, 30)).astype(dtype)
    y = adjusted(x, SCALE, add)
    for weights in (None, b):
        stream, plain = LogSumExp(axis=1), LogSumExp(axis=1)
        for part in (np.s_[:, :10], np.s_[:, 10:]):
            given = None if weights is None else weights[part]
            stream.update(x[part], given, scale=SCALE, add=add)
            plain.update(y[part], given)
        assert_same_bits(stream.result(), plain.result())
        np.testing.assert_array_equal(stream.count, plain.count)
    enlarged = LogSumExp(axis=0).update(np.zeros((2, 1), dtype), add=np.zeros(5, dtype))
    assert enlarged.result().shape == (5,)
    np.testing.assert_array_equal(enlarged.count, 2)


def test_a_chunk_with_addends_of_a_wider_type_is_refused():
    stream = LogSumExp().update(np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="chunk must be of a type that promotes to float32"):
        stream.update(np.zeros(3, np.float32), add=np.zeros(3))
    assert stream.count == 3


# The people it is for -------------------------------------------------------------------------------------------------


def test_a_sinkhorn_step_in_the_log_domain():
    """The half steps of Sinkhorn and Knopp, with potentials in units of the regularisation, as POT writes them."""
    rng = np.random.default_rng(11)
    cost, reg = rng.random((60, 50)), 0.05
    log_a, log_b = np.log(np.full(60, 1 / 60)), np.log(np.full(50, 1 / 50))
    kernel, u, v, f, g = -cost / reg, np.zeros(60), np.zeros(50), np.zeros(60), np.zeros(50)
    for _ in range(30):
        v = log_b - scipy.special.logsumexp(kernel + u[:, None], axis=0)
        u = log_a - scipy.special.logsumexp(kernel + v[None, :], axis=1)
        g = log_b - logsumexp(cost, axis=0, scale=-1 / reg, add=f[:, None])
        f = log_a - logsumexp(cost, axis=1, scale=-1 / reg, add=g)
    np.testing.assert_allclose(f, u, rtol=1e-12)
    np.testing.assert_allclose(g, v, rtol=1e-12)
    plan = softmax(cost, axis=1, scale=-1 / reg, add=g) / 60
    np.testing.assert_allclose(plan, np.exp(kernel + u[:, None] + v), rtol=1e-11)


def test_the_equations_of_mbar():
    """The self-consistent equations of the multistate Bennett acceptance ratio, as pymbar writes them."""
    rng = np.random.default_rng(12)
    n = np.array([40, 0, 60, 50])
    u = rng.random((4, 150)) * 8
    theirs, ours = np.zeros(4), np.zeros(4)
    for _ in range(20):
        log_denominator = scipy.special.logsumexp(theirs - u.T, b=n, axis=1)
        theirs = -scipy.special.logsumexp(-log_denominator - u, axis=1)
        theirs -= theirs[0]
        log_denominator = logsumexp(u, axis=0, scale=-1, add=ours[:, None], b=n[:, None])
        ours = -logsumexp(u, axis=1, scale=-1, add=-log_denominator)
        ours -= ours[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_a_longdouble_result_keeps_the_memory_order_of_the_input(function):
    x = np.zeros((2, 3, 4, 5), "f4").transpose(3, 0, 1, 2)
    result = function(x, axis=-2, dtype=np.longdouble, scale=0.5, add=np.zeros(x.shape, "f4"))
    assert np.argsort(result.strides).tolist() == np.argsort(x.strides).tolist()
