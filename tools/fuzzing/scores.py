"""Described calls of top_log_probs and categorical, held against sorted rows and cumulative sums in longdouble."""

from __future__ import annotations

from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import as_rows, given
from fuzzing.checks import check_inputs, kept_inputs, must_be, natural
from fuzzing.floats import computing_type
from fuzzing.memory import Failure, Memory
from fuzzing.rules import must_raise, strictly
from fuzzing.twin import WIDE

Array = np.ndarray[Any, Any]
Case = dict[str, Any]


def rows_of(case: Case, x: Array) -> tuple[Array, Any, Any]:
    """The logits as rows in longdouble, the type of results, and that of the computation."""
    axis = case["axis"] % len(case["shape"])
    dtype = natural(x.dtype)
    computing = computing_type(dtype)
    octets = x.view(np.uint8) != 0 if x.dtype == np.bool_ else x
    return as_rows(octets.astype(computing), (axis,)), dtype, computing


def run_top(memory: Memory, case: Case) -> None:
    x, passed, _ = given(memory, case["x"], case["shape"])
    rows, dtype, _ = rows_of(case, x)
    axis, n = case["axis"] % len(case["shape"]), rows.shape[-1]
    k = case["k"]
    if k > n:
        must_raise(lambda: smoothmax.top_log_probs(passed, k, case["axis"]))
        return
    before = kept_inputs([passed], None)
    values, indices = strictly(case, lambda: smoothmax.top_log_probs(passed, k, case["axis"]))
    check_inputs(before)
    memory.check()
    undefined = np.isnan(rows).any(-1, keepdims=True) | (rows == -np.inf).all(-1, keepdims=True)
    places = np.broadcast_to(np.arange(n), rows.shape)
    order = np.where(undefined, places, np.lexsort((places, -rows.astype(WIDE)), axis=-1))[..., :k]
    got = np.moveaxis(indices, axis, -1)
    if indices.dtype != np.intp or got.shape != order.shape or not np.array_equal(got, order):
        raise Failure(f"value: indices of shape {got.shape} are wrong")
    with np.errstate(all="ignore"):
        expected = twin.log_softmax(rows.astype(WIDE), np.ones(rows.shape, bool)) if n else twin.Expected(rows)
    expected = expected.map(lambda v: np.take_along_axis(v, order, -1))
    if dtype == np.longdouble:
        expected.ulps, expected.slack = 60, expected.slack * 60
    must_be(np.moveaxis(values, axis, -1), expected, "log-probabilities", dtype)


def run_draws(memory: Memory, case: Case) -> None:
    x, passed, _ = given(memory, case["x"], case["shape"])
    rows, _, computing = rows_of(case, x)
    scale = case.get("scale", 1.0)
    positions = rows.shape[:-1]
    size = (*case["more"], *positions)
    options: Case = {"axis": case["axis"], "rng": case["seed"]}
    if case["more"]:
        options["size"] = size
    if "scale" in case:
        options["scale"] = scale
    with np.errstate(all="ignore"):
        rows = (rows * computing.type(scale) if "scale" in case else rows).astype(WIDE)
        largest = np.max(rows, axis=-1, keepdims=True, initial=-np.inf)
        sums = np.cumsum(np.exp(rows - largest), axis=-1)
    drawn = int(np.prod(size))
    if drawn and (not rows.size or not (np.isfinite(largest) & np.isfinite(sums[..., -1:])).all()):
        must_raise(lambda: smoothmax.categorical(passed, **options))
        return
    before = kept_inputs([passed], None)
    got = np.asarray(strictly(case, lambda: smoothmax.categorical(passed, **options)))
    check_inputs(before)
    memory.check()
    if got.shape != size or got.dtype != np.intp:
        raise Failure(f"shape: {got.shape} {got.dtype}, not {size}")
    if not drawn:
        return
    numbers = np.random.default_rng(case["seed"]).random(size)
    sums = np.broadcast_to(sums / sums[..., -1:], (*size, rows.shape[-1]))
    end = np.take_along_axis(sums, got[..., None], -1)[..., 0]
    begin = np.where(got > 0, np.take_along_axis(sums, np.maximum(got - 1, 0)[..., None], -1)[..., 0], 0)
    slack = 4 * np.finfo(computing).eps
    bad = ~((numbers >= begin - slack) & (numbers <= end + slack) & (end > begin))
    vanishing = np.take_along_axis(np.broadcast_to(rows - largest, sums.shape), got[..., None], -1)[..., 0] < -30
    if (bad & ~vanishing).any():
        raise Failure(f"value: {int(bad.sum())} of {drawn} draws are wrong")
