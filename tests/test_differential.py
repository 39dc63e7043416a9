"""Any legal call agrees with a slow, obvious reference in longdouble, and any illegal call raises the right error.

SMOOTHMAX_EXAMPLES sets the number of legal calls with real numbers. There are fewer complex and illegal calls.
"""

import os
import re
from collections import Counter

import numpy as np
import pytest
from calls import COMPLEX_TYPES, INF, NAN, OPTIONS, calls, complex_calls
from hypothesis import HealthCheck, given, seed, settings
from mistakes import MISTAKES, mistakes

import smoothmax

EXAMPLES = int(os.environ.get("SMOOTHMAX_EXAMPLES", "1000"))
PARTS = 4  # which several processes can run
ENOUGH = 1000  # examples, among which every option must occur
WIDE = np.longdouble


def examples(strategy, check, number, part=0):
    """Check a number of examples. Return how often each option occurred, or None if too few examples were asked for."""
    chosen, count = Counter(), 0

    @seed(part)
    @settings(max_examples=number, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(strategy)
    def one(example):
        nonlocal count
        count += 1
        chosen.update(set(getattr(example, "chosen", ())))
        check(example)

    one()
    assert count >= number
    return chosen if number >= ENOUGH else None


def assert_all_came_up(chosen, wanted):
    """Every option must occur in at least one of 500 examples."""
    for name, options in wanted.items():
        for option in options:
            assert chosen is None or chosen[name, option] >= ENOUGH // 500, f"{name}: {option}"


def computed(dtype):
    """The type of the result for an input of this type."""
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype.newbyteorder("=")


def natural(call):
    """The type of the result of a call without dtype."""
    if call.b is None or dict(call.chosen)["b"] == "number":
        return computed(call.x.dtype)
    return computed(np.result_type(call.x.dtype, call.b.dtype))


def reference(call, dtype):
    """Result, sign, the size that errors are relative to, and the condition, by the shifted formula in longdouble."""
    shape, axis = call.shape, call.arguments["axis"]
    axis = None if not shape and axis is not None else axis
    x, where = np.broadcast_to(call.x.astype(dtype).astype(WIDE), shape), np.broadcast_to(call.where, shape)
    w = np.broadcast_to(WIDE(1) if call.b is None else call.b.astype(dtype).astype(WIDE), shape)
    taken = where & (w != 0)
    options = {"axis": axis, "keepdims": True}
    size = np.where(taken, x + np.log(np.abs(w)), -INF)
    maximum = np.max(size, **options, initial=-INF)
    shift = np.where(np.isfinite(maximum), maximum, 0)
    terms = np.where(taken, np.sign(w) * np.exp(size - shift), 0)
    total = np.sum(terms, **options)
    sizes = np.sum(np.abs(terms), **options)
    if call.function == "logsumexp":
        value, sign = shift + np.log(np.abs(total)), np.sign(total)
        if not call.arguments["return_sign"]:
            value = np.where(total < 0, NAN, value)
        scale = np.max(np.where(taken & np.isfinite(x), np.abs(x), 0), **options, initial=0)
        scale = np.maximum(
            scale, np.max(np.where(taken & np.isfinite(w), np.abs(np.log(np.abs(w))), 0), **options, initial=0)
        )
        scale = np.maximum(np.maximum(np.abs(value), scale), 1)
        condition = sizes / np.abs(total)
        squeeze = (lambda y: y) if call.arguments["keepdims"] else (lambda y: np.squeeze(y, axis=axis))
        return squeeze(value), squeeze(sign), squeeze(scale), squeeze(condition)
    none = ~np.any(where, **options)
    bad = np.isnan(total) | (maximum == INF) | ((maximum == -INF) & ~none)
    if call.function == "softmax":
        value = np.where(where, np.where(bad, NAN, terms / total), 0)
        return value, None, np.abs(value), np.ones_like(value)
    value = (x - shift) - np.log(total)
    value = np.where(
        maximum == INF, np.where(np.isnan(total), NAN, np.where(x == INF, NAN, -INF)), np.where(bad, NAN, value)
    )
    value = np.where(where, value, -INF)
    return value, None, np.maximum(np.abs(value), 1), np.ones_like(value)


def agree(got, exact, scale, condition, dtype, ulps):
    """Results must be equal where they are not finite, and elsewhere within some ULP of `scale` plus the condition."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
        unsure = np.isfinite(exact) & ~np.isfinite(rounded)  # beyond the type's range
        lost = condition > 0.01 / info.eps  # cancellation may have left no digit of the sum
    allowed = ulps * ((scale + (condition - 1)) * info.eps + WIDE(info.smallest_subnormal))
    with np.errstate(invalid="ignore"):
        right = (got == rounded) | (np.isnan(got) & np.isnan(rounded)) | (np.abs(got - exact) <= allowed) | lost
    assert np.all(right | (unsure & (np.abs(got) >= info.max / 2))), (got[~right], exact[~right])


def check_call(call):
    function, args = getattr(smoothmax, call.function), call.arguments
    dtype = args.get("dtype", natural(call))
    computing = np.dtype("f4") if dtype == np.float16 else dtype
    inputs = [call.given, args.get("b"), args.get("where")]
    before = [np.array(one).tobytes() for one in inputs]
    with np.errstate(all="ignore"):
        exact, exact_sign, scale, condition = reference(call, computing)
    got = function(call.given, **args)
    assert [np.array(one).tobytes() for one in inputs] == before
    got, sign = got if args.get("return_sign") else (got, None)
    assert got.shape == exact.shape == call.result_shape
    assert got.dtype == dtype
    assert isinstance(got, np.ndarray if exact.shape else np.generic)
    ulps = {"logsumexp": 3, "softmax": 2, "log_softmax": 2}[call.function]
    if dtype == WIDE:
        # The reference has no more bits than the result: the exponentials of both are off by abs(x - m)/2 ULP.
        ulps, scale = 40, scale * 700
    agree(np.asarray(got), exact, scale, condition, dtype, ulps)
    if sign is not None:
        assert sign.shape == exact.shape
        assert sign.dtype == dtype
        # Where cancellation leaves no digit, the sign is undetermined.
        sure = (condition < 0.01 / np.finfo(computing).eps) | np.isnan(condition) | np.isinf(exact)
        sure &= ~(np.isinf(exact) & (condition > 1) & (exact < 0))
        np.testing.assert_array_equal(np.asarray(sign)[sure], exact_sign.astype(dtype)[sure])
    out, given_again = output(call, exact.shape, dtype)
    if out is not None:
        returned = function(given_again, **args, out=out)
        assert (returned[0] if sign is not None else returned) is out
        # Another layout of the result can change the route and so the order of the sum: the bits may differ.
        coarse = max(computing, out.real.dtype.newbyteorder("="), key=lambda t: np.finfo(t).eps)
        agree(out.real.astype(out.real.dtype.newbyteorder("=")), exact, scale, condition, coarse, ulps)
        assert np.all(out.imag == 0)


def output(call, shape, dtype):
    """An array for the result, or None, and the input to pass with it: the same array if the call is in place."""
    if call.out == "in place":
        x = call.given
        if call.function == "logsumexp" or not isinstance(x, np.ndarray) or x.shape != shape or x.dtype.kind != "f":
            return None, x
        x = x if x.flags.writeable else x.copy()
        return x if np.can_cast(dtype, x.dtype, "same_kind") else None, x
    if call.out is None or not np.can_cast(dtype, call.out, "same_kind"):
        return None, call.given
    return np.full(shape[::-1], 77, call.out).T, call.given


@pytest.mark.parametrize("part", range(PARTS))
def test_any_call_agrees_with_the_reference(part):
    assert_all_came_up(examples(calls(), check_call, EXAMPLES // PARTS, part), OPTIONS)


def check_complex_call(call):
    """Results agree relative to the sum of the sizes of the terms: complex terms cancel."""
    function, args = getattr(smoothmax, call.function), call.arguments
    dtype = np.result_type(call.x.dtype, *[] if call.b is None else [call.b.dtype])
    got = function(call.given, **args)
    axis = None if not call.shape and args["axis"] is not None else args["axis"]
    options = {"axis": axis, "keepdims": True}
    x = np.broadcast_to(call.x.astype(np.clongdouble), call.shape)
    w = np.where(call.where, 1 if call.b is None else call.b.astype(np.clongdouble), 0) * np.ones(call.shape)
    terms = w * np.exp(x)
    total, size = np.sum(terms, **options), np.sum(np.abs(terms), **options)
    digits = 1e4 * np.finfo(dtype).eps
    if call.function != "logsumexp":
        some = np.broadcast_to(np.any(call.where & np.ones(call.shape, bool), **options), call.shape)
        well = np.broadcast_to(np.abs(total) > 1e-2 * size, call.shape) & some & call.where
        got = got if call.function == "softmax" else np.exp(got)
        np.testing.assert_allclose(got[well], (terms / np.where(total == 0, 1, total))[well], 1e2 * digits)
        assert np.all(got[np.broadcast_to(~call.where, call.shape)] == 0)
        return
    if not args["keepdims"]:
        total, size = np.squeeze(total, axis=axis), np.squeeze(size, axis=axis)
    if args["return_sign"]:
        value, sign = got
        assert (value.dtype, sign.dtype) == (np.empty(0, dtype).real.dtype, dtype)
        got = np.exp(value) * sign
    else:
        assert got.dtype == dtype
        assert np.all(np.abs(got.imag) <= np.nextafter(got.real.dtype.type(np.pi), got.real.dtype.type(4)))
        got = np.exp(got)
    assert got.shape == total.shape == call.result_shape
    assert np.all(np.abs(got - total) <= digits * size)


@pytest.mark.parametrize("part", range(PARTS))
def test_any_complex_call_agrees_with_the_reference(part):
    chosen = examples(complex_calls(), check_complex_call, EXAMPLES // PARTS // 4, part)
    shared = ("function", "axes", "layout", "axis", "keepdims", "return_sign", "where")
    wanted = {name: OPTIONS[name] for name in shared} | {"type": COMPLEX_TYPES, "b": ["none", "array", "wider array"]}
    assert_all_came_up(chosen, wanted)


def check_mistake(example):
    call, error, text = example
    with pytest.raises(error, match=re.escape(text)):
        getattr(smoothmax, call.function)(call.given, **call.arguments)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_any_mistake_raises_its_error(mistake):
    examples(mistakes(mistake), check_mistake, EXAMPLES // len(MISTAKES) // 2)
