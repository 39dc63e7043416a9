"""Make a described call of a reduction, or of the gradient of one, and compare it with its twin and the contract."""

from __future__ import annotations

from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import as_rows, axis_of, back, fitting, given, numbers
from fuzzing.checks import check_inputs, kept_inputs, mended, must_be, must_keep_order, natural, output
from fuzzing.expected import WIDE, Expected
from fuzzing.floats import computing_type, promoted
from fuzzing.memo import numbers_of, remembered
from fuzzing.memory import Failure, Memory
from fuzzing.rules import must_raise, strictly

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
SUMS = ("logsumexp", "logmeanexp")  # they have no result for each element


def reduction_arguments(memory: Memory, case: Case) -> tuple[Any, ...]:
    """The arguments, and the same as arrays whose types count in promotion."""
    shape = case["shape"]
    x, passed, around = given(memory, case["x"], shape)
    options: Case = {}
    b = where = None
    if "b" in case:
        if isinstance(case["b"], dict):
            b, options["b"], _ = given(memory, case["b"], shape)
        else:
            options["b"] = case["b"]
            b = np.asarray(case["b"])
    if "where" in case:
        if isinstance(case["where"], dict):
            where, options["where"], _ = given(memory, case["where"], shape)
        else:
            options["where"] = case["where"]
            where = np.asarray(case["where"])
    add = None
    if "add" in case:
        add, options["add"], _ = given(memory, case["add"], shape)
    if "scale" in case:
        options["scale"] = case["scale"]
    ndim = max(np.ndim(a) for a in (x, b, where, add) if a is not None)
    axis = fitting(case["axis"], len(shape), ndim)
    options["axis"] = tuple(axis) if isinstance(axis, list) else axis
    for name in ("keepdims", "return_sign"):
        if name in case:
            options[name] = case[name]
    if "dtype" in case:
        options["dtype"] = np.dtype(case["dtype"])
    return x, passed, around, b, where, add, options


def reduction_expected(case: Case, x: Array, b: Any, where: Any, add: Any, options: Case) -> tuple[list[Expected], Any]:
    """The expected results, and their type."""
    types = [x.dtype] + ([] if add is None else [add.dtype])
    types += [b.dtype] if b is not None and isinstance(case["b"], dict) else []
    dtype = options.get("dtype", natural(promoted(*types)))
    computing = computing_type(dtype)
    shapes = [x.shape] + [a.shape for a in (b, where, add) if a is not None]
    shape = np.broadcast_shapes(*shapes)
    axes = axis_of(list(options["axis"]) if isinstance(options["axis"], tuple) else options["axis"], len(shape))
    octets = x.view(np.uint8) != 0 if x.dtype == np.bool_ else x
    with np.errstate(all="ignore"):
        # Weights of a wider type than the result's widen the computation. Python numbers have no type.
        wide = computing
        if b is not None and b.dtype.kind == "f" and isinstance(case["b"], dict):
            wide = np.promote_types(computing, b.dtype)
        elements = np.multiply(octets.astype(wide), wide.type(options.get("scale", 1)))
        elements = elements if add is None else np.add(elements, add.astype(wide))
        rows = as_rows(np.broadcast_to(elements.astype(WIDE), shape), axes)
        weights = None
        if b is not None:
            whole = b.view(np.uint8) != 0 if b.dtype == np.bool_ and b.shape else b
            weights = as_rows(np.broadcast_to(whole.astype(WIDE), shape), axes)
        taken = np.ones(rows.shape, bool)
        if where is not None:
            taken = as_rows(np.broadcast_to(where.view(np.uint8) != 0 if where.shape else where, shape), axes)
        eps = np.finfo(computing).eps
        found = []
        name = case["function"]
        if name == "logmeanexp":
            found = [twin.logmeanexp(rows, weights, taken, eps)]
        if name.startswith("logsumexp"):
            found = twin.logsumexp(rows, weights, taken, bool(options.get("return_sign")), eps, name == "logsumexp")
        if name != "log_softmax" and name.startswith("log"):
            kept = tuple(1 if i in axes else n for i, n in enumerate(shape)) if options.get("keepdims") else None
            found = [one.map(lambda v: v.reshape(kept)) for one in found] if kept is not None else found
        if name not in SUMS:
            one = twin.log_softmax(rows, taken) if name == "log_softmax" else twin.softmax(rows, taken)
            found.append(one.map(lambda v: back(v, shape, axes)))
        return [mended(one, computing) for one in found], dtype


def run_reduction(memory: Memory, case: Case) -> list[Any]:
    x, passed, around, b, where, add, options = reduction_arguments(memory, case)
    expected, dtype = remembered(numbers_of(case), lambda: reduction_expected(case, x, b, where, add, options))
    if case["function"] == "logsumexp_and_softmax" and dtype == np.longdouble:
        must_raise(lambda: smoothmax.logsumexp_and_softmax(passed, **options))
        return []
    shape = expected[0 if case["function"] in SUMS else -1].value.shape
    out = output(memory, case, shape, dtype, [(passed, around)]) if "out" in case else None
    if out is not None:
        options["out"] = out
    before = kept_inputs([passed, options.get("b"), options.get("where"), options.get("add")], out)
    got = strictly(case, lambda: getattr(smoothmax, case["function"])(passed, **options))
    check_inputs(before)
    memory.check()
    results = list(got) if isinstance(got, tuple) else [got]
    if len(results) != len(expected):
        raise Failure(f"type: {len(results)} results")
    names = ["value", "sign"] if case["function"] in SUMS else ["value", "gradient"]
    at = 1 if case["function"] == "logsumexp_and_softmax" else 0
    if out is not None and results[at] is not out:
        raise Failure("type: what is returned is not out")
    for i, (one, wanted) in enumerate(zip(results, expected, strict=True)):
        stored = out.dtype if out is not None and i == at else None
        must_be(one, wanted, names[i] if len(results) > 1 else "result", dtype, stored)
    if out is None and case["function"] not in SUMS:
        must_keep_order(case["x"], passed, results[-1])
    return results


def product_expected(case: Case) -> tuple[Array, Expected, Any]:
    """The second argument (probabilities, or their logarithms), and the expected results with their type."""
    shape, name = tuple(case["shape"]), case["function"]
    axes = axis_of(case["axis"], len(shape))
    g = numbers(case["g"], shape)
    rows = as_rows(numbers(case["p"], shape).astype(WIDE), axes)
    everywhere = np.ones(rows.shape, bool)
    with np.errstate(all="ignore"):
        right = twin.softmax(rows, everywhere) if name == "softmax_vjp" else twin.log_softmax(rows, everywhere)
        p = back(right.value, shape, axes).astype(case["p"]["dtype"])
        dtype = natural(promoted(natural(g.dtype) if g.dtype.kind in "iub" else g.dtype, p.dtype))
        computing = computing_type(dtype)
        wide = [as_rows(a.astype(computing).astype(WIDE), axes) for a in (g, p)]
        expected = (
            twin.softmax_vjp(*wide, np.finfo(computing).eps)
            if name == "softmax_vjp"
            else twin.log_softmax_vjp(*wide, np.finfo(computing).smallest_subnormal)
        )
        return p, expected.map(lambda v: back(v, shape, axes)), dtype


def run_product(memory: Memory, case: Case) -> list[Any]:
    shape, name = case["shape"], case["function"]
    _, g_passed, g_around = given(memory, case["g"], shape)
    p, expected, dtype = remembered(numbers_of(case), lambda: product_expected(case))
    array, p_around = memory.place(tuple(shape), p.dtype, case["p"]["how"])
    array[...] = p
    options: Case = {"axis": tuple(case["axis"]) if isinstance(case["axis"], list) else case["axis"]}
    inputs = [(array, p_around), (g_passed, g_around)]
    out = output(memory, case, tuple(shape), dtype, inputs) if "out" in case else None
    if out is not None:
        options["out"] = out
    before = kept_inputs([g_passed, array], out)
    got = strictly(case, lambda: getattr(smoothmax, name)(g_passed, array, **options))
    check_inputs(before)
    memory.check()
    must_be(got, expected, "product", dtype, None if out is None else out.dtype)
    return [got]
