"""Make a described call of a loss, and compare it with its twin."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import as_rows, back, given, numbers, shape_of
from fuzzing.checks import check_inputs, kept_inputs, must_be, natural, output
from fuzzing.expected import WIDE, Expected
from fuzzing.floats import computing_type, is_real
from fuzzing.memo import numbers_of, remembered
from fuzzing.memory import Memory
from fuzzing.rules import KINDS, strictly
from smoothmax._thresholds import limits

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
WEIGHT = 2.0 ** limits()["CLASS_WEIGHT_BITS"]


def logarithms(x: Array, axis: int) -> Array:
    with np.errstate(all="ignore"):
        found = twin.log_softmax(as_rows(x.astype(WIDE), (axis,)), np.array(True))
        return back(found.value, x.shape, (axis,)).astype(x.dtype)


def adjusted(case: Case, x: Array) -> Array:
    """The logits with `scale` and `add`, rounded as by NumPy in the type of the computation."""
    computing = computing_type(natural(x.dtype))
    if case["soft"]:  # float64 probabilities make the computation float64
        computing = np.promote_types(computing, computing_type(np.dtype(case["targets"]["dtype"])))
    sizes = np.abs(numbers(case["weight"], (x.shape[case["axis"]],)).astype(float)) if "weight" in case else 0
    if np.any((sizes != 0) & ((sizes < 1 / WEIGHT) | (sizes > WEIGHT))):  # weights of such sizes, too
        computing = np.dtype(np.float64)
    with np.errstate(all="ignore"):
        x = x.astype(computing)
        if "scale" in case:
            x = x * computing.type(case["scale"])
        if "add" in case:
            x = x + numbers(case["add"], shape_of(case["add"], case["shape"])).astype(computing)
        return x


def loss_arguments(memory: Memory, case: Case) -> tuple[Any, ...]:
    shape = case["shape"]
    axis = case["axis"] % len(shape)
    classes = shape[axis]
    rest = shape[:axis] + shape[axis + 1 :]
    x, passed, around = given(memory, case["x"], shape)
    if case["function"] == "nll_loss" and is_real(x.dtype):
        x = remembered((numbers_of(case), "logarithms"), lambda: logarithms(x, axis))
        passed = memory.place(tuple(shape), x.dtype, case["x"]["how"])[0]
        passed[...] = x
    targets, targets_passed, _ = given(memory, case["targets"], shape if case["soft"] else rest, classes)
    options: Case = {"axis": case["axis"]}
    weight = None
    if "weight" in case:
        weight, options["weight"], _ = given(memory, case["weight"], [classes])
    if "add" in case:
        options["add"] = given(memory, case["add"], shape)[1]
    for name in ("ignore_index", "label_smoothing", "reduction", "scale"):
        if name in case:
            options[name] = case[name]
    return x, passed, around, targets, targets_passed, weight, options


def loss_expected(case: Case, x: Array, targets: Array, weight: Any, options: Case) -> tuple[list[Expected], Any]:
    """The loss and its gradient in the shapes of the results, and their type."""
    shape, name = tuple(case["shape"]), case["function"]
    axis = case["axis"] % len(shape)
    classes = shape[axis]
    dtype = natural(x.dtype)
    with np.errstate(all="ignore"):
        rows = as_rows(adjusted(case, x).astype(WIDE), (axis,))
        rest = rows.shape[:-1]
        rows = rows.reshape(-1, classes)
        everywhere = np.ones(rows.shape, bool)
        logp = rows if name == "nll_loss" else twin.log_softmax(rows, everywhere).value
        p = twin.softmax(rows, everywhere).value
        flat = as_rows(targets, (axis,)).reshape(-1, classes) if case["soft"] else targets.reshape(-1).astype(np.int64)
        if name == "log_prob":
            found = [twin.log_prob(logp, flat)]
        else:
            found = twin.losses(logp, p, flat, weight, options.get("ignore_index"), options.get("label_smoothing", 0.0),
                                options.get("reduction", "mean"))  # fmt: skip
    if name == "log_prob" or options.get("reduction") == "none":
        found[0] = found[0].map(lambda v: v.reshape(rest))
    if name == "cross_entropy_and_grad":
        found[1] = found[1].map(lambda v: back(v, shape, (axis,)))
    return found, dtype


def run_loss(memory: Memory, case: Case) -> list[Any]:
    x, passed, around, targets, targets_passed, weight, options = loss_arguments(memory, case)
    name = case["function"]
    if x.size == 0:
        with contextlib.suppress(*KINDS):
            getattr(smoothmax, name)(passed, targets_passed, **options)
        return []
    found, dtype = remembered(numbers_of(case), lambda: loss_expected(case, x, targets, weight, options))
    out = None
    if name == "cross_entropy_and_grad" and "out" in case:
        out = output(memory, case, tuple(case["shape"]), dtype, [(passed, around)])
        if out is not None:
            options["out"] = out
    before = kept_inputs([passed, targets_passed, options.get("weight"), options.get("add")], out)
    got = strictly(case, lambda: getattr(smoothmax, name)(passed, targets_passed, **options))
    check_inputs(before)
    memory.check()
    results = got if isinstance(got, tuple) else (got,)
    for i, one in enumerate(results):
        must_be(one, found[i], ("loss", "gradient")[i], dtype, None if out is None or i == 0 else out.dtype)
    return list(results)
