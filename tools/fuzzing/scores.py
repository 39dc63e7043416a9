"""Calls of top_log_probs and categorical, compared with sorted rows and cumulative sums in longdouble."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import as_rows, given
from fuzzing.checks import check_inputs, kept_inputs, mended, must_be, natural
from fuzzing.expected import WIDE, Expected
from fuzzing.floats import computing_type
from fuzzing.memo import numbers_of, remembered
from fuzzing.memory import Failure, Memory
from fuzzing.rules import must_raise, strictly

Array = np.ndarray[Any, Any]
Case = dict[str, Any]


def rows_of(case: Case, x: Array) -> tuple[Array, Any, Any]:
    """The logits as rows in longdouble, the type of the results, and that of the computation."""
    axis = case["axis"] % len(case["shape"])
    dtype = natural(x.dtype)
    computing = computing_type(dtype)
    octets = x.view(np.uint8) != 0 if x.dtype == np.bool_ else x
    return as_rows(octets.astype(computing), (axis,)), dtype, computing


def top_expected(case: Case, x: Array) -> tuple[Array, Expected, Any]:
    """The indices, their log-probabilities and the type of these, along the last axis."""
    rows, dtype, _ = rows_of(case, x)
    n = rows.shape[-1]
    undefined = np.isnan(rows).any(-1, keepdims=True) | (rows == -np.inf).all(-1, keepdims=True)
    places = np.broadcast_to(np.arange(n), rows.shape)
    order = np.where(undefined, places, np.lexsort((places, -rows.astype(WIDE)), axis=-1))[..., : case["k"]]
    with np.errstate(all="ignore"):
        expected = twin.log_softmax(rows.astype(WIDE), np.ones(rows.shape, bool)) if n else Expected(rows)
    return order, mended(expected.map(lambda v: np.take_along_axis(v, order, -1)), dtype), dtype


def run_top(memory: Memory, case: Case) -> list[Any]:
    x, passed, _ = given(memory, case["x"], case["shape"])
    return checked_top(memory, case, x, passed, lambda: smoothmax.top_log_probs(passed, case["k"], case["axis"]))


def checked_top(memory: Memory, case: Case, x: Array, passed: Any, call: Callable[[], Any]) -> list[Any]:
    """The results of a call, which are as they should be."""
    axis = case["axis"] % len(case["shape"])
    if case["k"] > case["shape"][axis]:
        must_raise(call)
        return []
    order, expected, dtype = remembered(numbers_of(case), lambda: top_expected(case, x))
    before = kept_inputs([passed], None)
    values, indices = strictly(case, call)
    check_inputs(before)
    memory.check()
    got = np.moveaxis(indices, axis, -1)
    if indices.dtype != np.intp or got.shape != order.shape or not np.array_equal(got, order):
        raise Failure(f"value: indices of shape {got.shape} are wrong")
    must_be(np.moveaxis(values, axis, -1), expected, "log-probabilities", dtype)
    return [values, indices]


def cumulative(case: Case, x: Array) -> tuple[Array, Array, Any]:
    """The logits below the largest, the cumulative sums of their exponentials, and the type of the computation."""
    rows, _, computing = rows_of(case, x)
    with np.errstate(all="ignore"):
        rows = (rows * computing.type(case["scale"]) if "scale" in case else rows).astype(WIDE)
        below = rows - np.max(rows, axis=-1, keepdims=True, initial=-np.inf)
        return below, np.cumsum(np.exp(below), axis=-1), computing


def run_draws(memory: Memory, case: Case) -> list[Any]:
    x, passed, _ = given(memory, case["x"], case["shape"])
    return checked_draws(memory, case, x, passed, lambda **options: smoothmax.categorical(passed, **options))


def checked_draws(memory: Memory, case: Case, x: Array, passed: Any, call: Callable[..., Any]) -> list[Any]:
    """The result of a call, which is as it should be."""
    below, sums, computing = remembered(numbers_of(case), lambda: cumulative(case, x))
    size = (*case["more"], *below.shape[:-1])
    options: Case = {"axis": case["axis"], "rng": case["seed"]}
    if case["more"]:
        options["size"] = size
    if "scale" in case:
        options["scale"] = case["scale"]
    drawn = math.prod(size)
    if drawn and (not below.size or not np.isfinite(sums[..., -1:]).all()):
        must_raise(lambda: call(**options))
        return []
    before = kept_inputs([passed], None)
    got = np.asarray(strictly(case, lambda: call(**options)))
    check_inputs(before)
    memory.check()
    if got.shape != size or got.dtype != np.intp:
        raise Failure(f"shape: {got.shape} {got.dtype}, not {size}")
    if not drawn:
        return []
    uniform = np.random.default_rng(case["seed"]).random(size)
    sums = np.broadcast_to(sums / sums[..., -1:], (*size, below.shape[-1]))
    end = np.take_along_axis(sums, got[..., None], -1)[..., 0]
    begin = np.where(got > 0, np.take_along_axis(sums, np.maximum(got - 1, 0)[..., None], -1)[..., 0], 0)
    slack = 4 * np.finfo(computing).eps
    bad = ~((uniform >= begin - slack) & (uniform <= end + slack) & (end > begin))
    vanishing = np.take_along_axis(np.broadcast_to(below, sums.shape), got[..., None], -1)[..., 0] < -30
    if (bad & ~vanishing).any():
        raise Failure(f"value: {int(bad.sum())} of {drawn} draws are wrong")
    return [got]
