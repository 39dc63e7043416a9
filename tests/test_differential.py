"""Any legal call against a slow and obvious reference in longdouble NumPy; any illegal one must say what is wrong.

SMOOTHMAX_EXAMPLES sets the number of examples.
"""

import os
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smoothmax import log_softmax, logsumexp, softmax

EXAMPLES = int(os.environ.get("SMOOTHMAX_EXAMPLES", "1000"))
each = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

WIDE = np.longdouble
REALS = ["f2", "f4", "f8", ">f2", ">f4", ">f8", "g", "?", "i1", "u1", "i2", "u4", "i8", "u8", ">i4"]
TYPES = ["f2", "f4", "f8", "g"]
INF, NAN = np.inf, np.nan
KINDS = ["small", "ordinary", "large", "equal", "special", "tiny"]


def computed(dtype):
    """The type of the result of an input of this type."""
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype.newbyteorder("=")


def numbers(rng, shape, dtype, kind):
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        return (
            rng.integers(0, 90, shape).astype(dtype)
            if kind != "special"
            else rng.integers(100, 127, shape).astype(dtype)
        )
    x = {
        "small": lambda: rng.normal(size=shape) * 0.1,
        "ordinary": lambda: rng.normal(size=shape) * 4,
        "large": lambda: rng.normal(size=shape) * 400 + rng.choice([-3000, 0, 3000]),
        "equal": lambda: rng.choice([0.0, 1.0, -2.5], shape),
        "special": lambda: np.where(
            rng.random(shape) < 0.15, rng.choice([INF, -INF, NAN, -INF, 0.0], shape), rng.normal(size=shape) * 9
        ),
        "tiny": lambda: rng.normal(size=shape) * 10.0 ** rng.integers(-30, 0),
    }[kind]()
    return np.asarray(x, dtype)


def laid_out(draw, x):
    """The array's values in another layout."""
    how = draw(st.sampled_from(["C", "F", "strided", "backwards", "transposed", "unaligned", "read-only", "list"]))
    if how == "F":
        return np.asarray(x, order="F")
    if how == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)
        wide[..., ::3] = x
        return wide[..., ::3]
    if how == "backwards" and x.ndim:
        return x[::-1].copy()[::-1]
    if how == "transposed":
        return np.ascontiguousarray(x.swapaxes(0, -1)).swapaxes(0, -1) if x.ndim else x
    if how == "unaligned" and x.size:
        memory = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
        memory[...] = x
        return memory
    if how == "read-only":
        x = np.array(x)
        x.flags.writeable = False
    if how == "list" and x.dtype in (np.float64, np.bool_) and 0 < x.size < 100:
        return x.tolist()
    return x


@st.composite
def shapes(draw):
    ndim = draw(st.integers(0, 4))
    limit = {0: 1, 1: 700, 2: 80, 3: 12, 4: 6}[ndim]
    some = st.sampled_from([1, 2, 3, min(6, limit), min(7, limit), min(48, limit), min(65, limit), limit])
    one = st.one_of(some, some, some, st.integers(0, limit))
    return tuple(draw(one) for _ in range(ndim))


def other_shape(draw, shape):
    """A shape that broadcasts with this one, perhaps wider."""
    other = tuple(n if draw(st.booleans()) else 1 for n in shape)
    other = other[draw(st.integers(0, len(other))) :]
    if len(shape) <= 3 and draw(st.integers(0, 4)) == 0:
        other = (draw(st.integers(1, 3)), *[1] * (len(shape) - len(other)), *other)
    return other


def axes(draw, ndim):
    if not ndim:
        return draw(st.sampled_from([None, (), 0, -1]))
    order = draw(st.permutations(range(-ndim, 0)))
    several = tuple(i + ndim * draw(st.booleans()) for i in order[: draw(st.integers(0, ndim))])
    return draw(st.sampled_from([None, order[0], order[0] + ndim, np.int64(order[0]), several]))


@st.composite
def calls(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    name = draw(st.sampled_from(["logsumexp", "softmax", "log_softmax"]))
    x = np.asarray(numbers(rng, draw(shapes()), np.dtype(draw(st.sampled_from(REALS))), draw(st.sampled_from(KINDS))))
    shape, b, where, args = x.shape, None, True, {}
    if name == "logsumexp":
        if draw(st.booleans()):
            b = numbers(
                rng, other_shape(draw, shape), np.dtype(draw(st.sampled_from(REALS))), draw(st.sampled_from(KINDS))
            )
            b = np.abs(b) if b.dtype.kind == "f" and draw(st.booleans()) else b
            b = np.where(rng.random(b.shape) < 0.2, np.zeros((), b.dtype), b).astype(b.dtype)
            shape = np.broadcast_shapes(shape, b.shape)
            args["b"] = laid_out(draw, b)
        args["keepdims"] = draw(st.booleans())
        args["return_sign"] = draw(st.booleans())
    if draw(st.booleans()):
        where = np.asarray(rng.random(other_shape(draw, shape))) < draw(st.sampled_from([0, 0.5, 0.9]))
        shape = np.broadcast_shapes(shape, where.shape)
        args["where"] = laid_out(draw, where)
    args["axis"] = axes(draw, len(shape))
    if draw(st.integers(0, 2)) == 0:
        args["dtype"] = np.dtype(draw(st.sampled_from(TYPES)))
    return (
        name,
        x,
        b,
        where,
        shape,
        args,
        laid_out(draw, x),
        draw(st.sampled_from([None, None, "e", "f", "d", ">f8", "g", "F"])),
    )


def reference(name, x, b, where, shape, args, dtype):
    """Result, sign, and what an ULP is of: computed in longdouble, without any care but the shift."""
    axis, keepdims = args["axis"], args.get("keepdims", True)
    axis = None if not shape and axis is not None else axis
    x, where = np.broadcast_to(x.astype(dtype).astype(WIDE), shape), np.broadcast_to(where, shape)
    w = np.broadcast_to(WIDE(1) if b is None else b.astype(dtype).astype(WIDE), shape)
    taken = where & (w != 0)
    options = {"axis": axis, "keepdims": True}
    size = np.where(taken, x + np.log(np.abs(w)), -INF)
    top = np.max(size, **options, initial=-INF)
    shift = np.where(np.isfinite(top), top, 0)
    terms = np.where(taken, np.sign(w) * np.exp(size - shift), 0)
    # One largest term of each reduction is left out of the sum, for what is near 0.
    total = np.sum(terms, **options)
    sizes = np.sum(np.abs(terms), **options)
    if name == "logsumexp":
        value, sign = shift + np.log(np.abs(total)), np.sign(total)
        if not args["return_sign"]:
            value = np.where(total < 0, NAN, value)
        scale = np.max(np.where(taken & np.isfinite(x), np.abs(x), 0), **options, initial=0)
        scale = np.maximum(
            scale, np.max(np.where(taken & np.isfinite(w), np.abs(np.log(np.abs(w))), 0), **options, initial=0)
        )
        scale = np.maximum(np.maximum(np.abs(value), scale), 1)
        condition = sizes / np.abs(total)
        squeeze = (lambda y: y) if keepdims else (lambda y: np.squeeze(y, axis=axis))
        return squeeze(value), squeeze(sign), squeeze(scale), squeeze(condition)
    none = ~np.any(where, **options)
    bad = np.isnan(total) | (top == INF) | ((top == -INF) & ~none)
    if name == "softmax":
        value = np.where(where, np.where(bad, NAN, terms / total), 0)
        return value, None, np.abs(value), np.ones_like(value)
    value = (x - shift) - np.log(total)
    value = np.where(
        top == INF, np.where(np.isnan(total), NAN, np.where(x == INF, NAN, -INF)), np.where(bad, NAN, value)
    )
    value = np.where(where, value, -INF)
    return value, None, np.maximum(np.abs(value), 1), np.ones_like(value)


def agree(got, exact, scale, condition, dtype, ulps):
    """Equal where it is not finite, within some ULP of `scale`, and of 1 times the condition, elsewhere."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
        unsure = np.isfinite(exact) & ~np.isfinite(rounded)  # beyond the type's range
        lost = condition > 0.01 / info.eps  # nothing of the sum need be left
    allowed = ulps * ((scale + (condition - 1)) * info.eps + WIDE(info.smallest_subnormal))
    with np.errstate(invalid="ignore"):
        right = (got == rounded) | (np.isnan(got) & np.isnan(rounded)) | (np.abs(got - exact) <= allowed) | lost
    assert np.all(right | (unsure & (np.abs(got) >= info.max / 2))), (got[~right], exact[~right])


@each
@given(calls())
def test_any_call(call):
    name, x, b, where, shape, args, given_x, out_type = call
    function = {"logsumexp": logsumexp, "softmax": softmax, "log_softmax": log_softmax}[name]
    natural = computed(x.dtype) if b is None else np.result_type(computed(x.dtype), computed(b.dtype))
    # A list says nothing of its type: it is float64, or bool, which laid_out asks for.
    dtype = args.get("dtype", natural)
    computing = np.dtype("f4") if dtype == np.float16 else dtype
    before = np.array(given_x).tobytes()
    with np.errstate(all="ignore"):
        exact, exact_sign, scale, condition = reference(name, x, b, where, shape, args, computing)
    got = function(given_x, **args)
    assert np.array(given_x).tobytes() == before
    got, sign = got if args.get("return_sign") else (got, None)
    assert got.shape == exact.shape
    assert got.dtype == dtype
    assert isinstance(got, np.ndarray if exact.shape else np.generic)
    ulps = {"logsumexp": 3, "softmax": 2, "log_softmax": 2}[name]
    if dtype == WIDE:
        # The reference has no more bits than this: the exponentials of both lose abs(x - m)/2.
        ulps, scale = 40, scale * 700
    agree(np.asarray(got), exact, scale, condition, dtype, ulps)
    if sign is not None:
        assert sign.shape == exact.shape
        assert sign.dtype == dtype
        # With as much cancellation as there are bits, a sign is anyone's.
        sure = (condition < 0.01 / np.finfo(computing).eps) | np.isnan(condition) | np.isinf(exact)
        sure &= ~(np.isinf(exact) & (condition > 1) & (exact < 0))
        np.testing.assert_array_equal(np.asarray(sign)[sure], exact_sign.astype(dtype)[sure])
    if out_type is not None and np.can_cast(dtype, out_type, "same_kind"):
        out = np.full(exact.shape[::-1], 77, out_type).T
        returned = function(given_x, **args, out=out)
        assert (returned[0] if sign is not None else returned) is out
        # Another layout of the result may mean another order of the sum, so the bits may differ.
        coarse = max(dtype, np.dtype(out_type).newbyteorder("="), key=lambda t: np.finfo(t).eps)
        agree(out.real.astype(out.real.dtype.newbyteorder("=")), exact, scale, condition, np.finfo(coarse).dtype, ulps)
        assert np.all(out.imag == 0)


@st.composite
def mistakes(draw):
    """A call with one mistake, and the error and words that answer it."""
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple))
    ndim = len(shape)
    x, function = np.ones(shape), draw(st.sampled_from([logsumexp, softmax, log_softmax]))
    one = draw(st.integers(0, ndim - 1))
    far = draw(st.integers(ndim, 99) | st.integers(-99, -ndim - 1))
    wrong = (*shape[:-1], shape[-1] + draw(st.integers(1, 3)))
    too_long = shape[-1] + 2  # never 1, never the length
    choices = [
        (np.exceptions.AxisError, f"axis {far} is out of bounds", {"axis": far}),
        (np.exceptions.AxisError, f"axis {far} is out of bounds", {"axis": (one, far)}),
        (ValueError, f"axis {one} is given more than once", {"axis": (one, one - ndim)}),
        (TypeError, "axis must be", {"axis": draw(st.sampled_from([0.0, "0", [0], True, (None,)]))}),
        (TypeError, "where must be an array of bool", {"where": draw(st.sampled_from([1, 0.5, None, "x"]))}),
        (TypeError, "dtype must be", {"dtype": draw(st.sampled_from([int, "i1", complex, "U1", bool]))}),
        (TypeError, "out must be a NumPy array", {"out": draw(st.sampled_from([[], 1.0, "x", (x,)]))}),
        (ValueError, "out must have shape", {"out": np.zeros(wrong)}),
        (TypeError, "must not be a masked array", {"where": np.ma.ones(shape, bool)}),
    ]
    if shape[-1] > 1:
        text = f"where of shape ({too_long},) does not broadcast with the input of shape {shape}"
        choices.append((ValueError, text, {"where": np.ones(too_long, bool)}))
        if function is logsumexp:
            text = f"b of shape ({too_long},) does not broadcast with the input of shape {shape}"
            choices.append((ValueError, text, {"b": np.ones(too_long)}))
    if function is not logsumexp:
        text = "out must have a dtype that float64 can be cast to by 'same_kind'"
        choices.append(
            (TypeError, text, {"out": np.zeros(shape, draw(st.sampled_from(["i8", "?", "U9", "O", "m8[s]"])))})
        )
    return function, x, *draw(st.sampled_from(choices))


@each
@given(mistakes())
def test_any_mistake(mistake):
    function, x, error, text, args = mistake
    with pytest.raises(error, match=re.escape(text)):
        function(x, **args)
