"""Make a described call of an array in memory, and hold all that it does against its twin and the contract."""

from __future__ import annotations

import contextlib
import copy
import pickle
from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import as_rows, axis_of, back, fitting, given, values
from fuzzing.floats import computing_type, is_real, promoted
from fuzzing.memory import Failure, Memory
from fuzzing.rules import KINDS, must_raise, strictly
from fuzzing.twin import WIDE, Expected

Array = np.ndarray[Any, Any]
Case = dict[str, Any]


def natural(dtype: Any) -> Any:
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype.newbyteorder("=")


def mended(expected: Expected, computing: Any) -> Expected:
    """What is expected, with wider bounds in longdouble: the twin computes in it, too, and errs as much."""
    if np.dtype(computing) == np.longdouble:
        expected.ulps, expected.slack = 60, expected.slack * 60
    return expected


def must_be(got: Any, expected: Expected, what: str, dtype: Any, stored: Any = None) -> None:
    """The result has this type and shape, and is right in every element."""
    array = np.asarray(got)
    if array.shape != expected.value.shape:
        raise Failure(f"shape: {what} has {array.shape}, not {expected.value.shape}")
    if stored is None:
        if array.dtype != dtype:
            raise Failure(f"type: {what} is {array.dtype}, not {dtype}")
        if not isinstance(got, np.ndarray if array.ndim else np.generic):
            raise Failure(f"type: {what} is a {type(got).__name__}")
    real = array.real.astype(array.real.dtype.newbyteorder("="))
    if array.dtype.kind == "c" and np.any(array.imag != 0):
        raise Failure(f"value: {what} has an imaginary part")
    bad = twin.wrong(real, expected, dtype, real.dtype)
    if bad.any():
        i = np.unravel_index(int(np.argmax(bad)), bad.shape)
        right = expected.value[i]
        with np.errstate(all="ignore"):
            off = np.abs(real[i].astype(WIDE) - right) / twin.ulp(np.asarray(right), real.dtype)
        raise Failure(
            f"value: {what}{list(map(int, i))} is {real[i]!r}, not {right!r}: {float(off):.3g} ULP;"
            f" {int(bad.sum())} of {bad.size} are wrong"
        )


def output(memory: Memory, case: Case, shape: tuple[int, ...], dtype: Any, inputs: list[tuple[Any, Array]]) -> Any:
    """The array for `out`: fresh, one of the inputs, or one that overlaps the first."""
    how = case["out"]
    wanted = np.dtype(how["dtype"] or dtype)
    x, around = inputs[0]
    if how["is"] == "second" and len(inputs) > 1:
        x, around = inputs[1]
    usable = isinstance(x, np.ndarray) and x.ndim > 0 and x.shape == shape and x.flags.writeable and is_real(x.dtype)
    if how["is"] != "fresh" and usable and np.can_cast(dtype, x.dtype, "same_kind"):
        if how["is"] in ("input", "second"):
            out = x
        elif how["is"] == "flipped":
            out = np.flip(x)
        else:  # beside it, by some elements
            offset = x.__array_interface__["data"][0] - around.__array_interface__["data"][0] + how["by"] * x.itemsize
            low = offset + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True) if s < 0)
            high = offset + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True) if s > 0) + x.itemsize
            if low < 0 or high > around.size or not x.size:
                return None
            out = np.ndarray(x.shape, x.dtype, around, offset, x.strides)
    else:
        layout = {k: v[: len(shape)] if isinstance(v, list) else v for k, v in how["how"].items()}
        if "order" in layout:
            layout["order"] = [int(i) for i in np.argsort(np.argsort(layout["order"]))]
        out, around = memory.place(shape, wanted, layout)
        if not np.can_cast(dtype, wanted, "same_kind"):
            return None
    memory.watch(out, around)
    return out


def reduction_arguments(memory: Memory, case: Case) -> tuple[Any, ...]:
    """What is passed, and the same as strong arrays."""
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
    case["axis"] = fitting(case["axis"], len(shape), ndim)
    options["axis"] = tuple(case["axis"]) if isinstance(case["axis"], list) else case["axis"]
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
        # Weights of a wider type than the result's make the computation one of theirs. Python's numbers have no type.
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
        if name.startswith("logsumexp"):
            found = twin.logsumexp(rows, weights, taken, bool(options.get("return_sign")), eps, name == "logsumexp")
            kept = tuple(1 if i in axes else n for i, n in enumerate(shape)) if options.get("keepdims") else None
            found = [one.map(lambda v: v.reshape(kept)) for one in found] if kept is not None else found
        if name != "logsumexp":
            one = twin.log_softmax(rows, taken) if name == "log_softmax" else twin.softmax(rows, taken)
            found.append(one.map(lambda v: back(v, shape, axes)))
        return [mended(one, computing) for one in found], dtype


def run_reduction(memory: Memory, case: Case) -> None:
    x, passed, around, b, where, add, options = reduction_arguments(memory, case)
    expected, dtype = reduction_expected(case, x, b, where, add, options)
    if case["function"] == "logsumexp_and_softmax" and dtype == np.longdouble:
        must_raise(lambda: smoothmax.logsumexp_and_softmax(passed, **options))
        return
    shape = expected[-1].value.shape if case["function"] != "logsumexp" else expected[0].value.shape
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
    names = ["value", "sign"] if case["function"] == "logsumexp" else ["value", "gradient"]
    at = 0 if case["function"] in ("logsumexp", "softmax", "log_softmax") else 1
    if out is not None and results[at] is not out:
        raise Failure("type: what is returned is not out")
    for i, (one, wanted) in enumerate(zip(results, expected, strict=True)):
        stored = out.dtype if out is not None and i == at else None
        must_be(one, wanted, names[i] if len(results) > 1 else "result", dtype, stored)
    if (
        out is None
        and case["function"] != "logsumexp"
        and isinstance(passed, np.ndarray)
        and type(passed) is np.ndarray
    ):
        plain = not ({"pad", "flip"} & set(case["x"]["how"])) and not case["x"].get("wide")
        if plain and passed.shape == results[-1].shape and min(passed.shape, default=0) > 1:
            wanted_strides = tuple(s // passed.itemsize * results[-1].itemsize for s in passed.strides)
            if results[-1].strides != wanted_strides:
                raise Failure(f"order: strides are {results[-1].strides}, not {wanted_strides}")


def kept_inputs(arrays: list[Any], out: Any) -> list[tuple[Any, bytes]]:
    """The bytes of the inputs that the call must leave alone."""
    found = []
    for one in arrays:
        if isinstance(one, np.ndarray) and not (out is not None and np.may_share_memory(one, out)):
            found.append((one, one.tobytes()))
    return found


def check_inputs(before: list[tuple[Any, bytes]]) -> None:
    for one, octets in before:
        if one.tobytes() != octets:
            raise Failure("wrote to an input")


def run_product(memory: Memory, case: Case) -> None:
    shape, name = case["shape"], case["function"]
    axes = axis_of(case["axis"], len(shape))
    g, g_passed, g_around = given(memory, case["g"], shape)
    raw = values(case["p"], tuple(shape)).astype(WIDE)
    rows = as_rows(raw, axes)
    with np.errstate(all="ignore"):
        right = (
            twin.softmax(rows, np.ones(rows.shape, bool))
            if name == "softmax_vjp"
            else twin.log_softmax(rows, np.ones(rows.shape, bool))
        )
        p = back(right.value, tuple(shape), axes).astype(case["p"]["dtype"])
    array, p_around = memory.place(tuple(shape), p.dtype, case["p"]["how"])
    array[...] = p
    dtype = natural(promoted(natural(g.dtype) if g.dtype.kind in "iub" else g.dtype, p.dtype))
    computing = computing_type(dtype)
    with np.errstate(all="ignore"):
        wide = [as_rows(a.astype(computing).astype(WIDE), axes) for a in (g, p)]
        expected = (
            twin.softmax_vjp(*wide, np.finfo(computing).eps)
            if name == "softmax_vjp"
            else twin.log_softmax_vjp(*wide, np.finfo(computing).smallest_subnormal)
        )
        expected = expected.map(lambda v: back(v, tuple(shape), axes))
    options: Case = {"axis": tuple(case["axis"]) if isinstance(case["axis"], list) else case["axis"]}
    out = (
        output(memory, case, tuple(shape), dtype, [(array, p_around), (g_passed, g_around)]) if "out" in case else None
    )
    if out is not None:
        options["out"] = out
    before = kept_inputs([g_passed, array], out)
    got = strictly(case, lambda: getattr(smoothmax, name)(g_passed, array, **options))
    check_inputs(before)
    memory.check()
    must_be(got, expected, "product", dtype, None if out is None else out.dtype)


def run_matmul(memory: Memory, case: Case) -> None:
    (a, a_passed, a_around), (b, b_passed, b_around) = (given(memory, case[key], case[key]["shape"]) for key in "ab")
    options: Case = {"exact": case["exact"]}
    dtype = natural(promoted(a.dtype, b.dtype))
    if "dtype" in case:
        options["dtype"] = dtype = np.dtype(case["dtype"])
    computing = computing_type(dtype)
    with np.errstate(all="ignore"):
        wide = [np.asarray(x.view(np.uint8) != 0 if x.dtype == np.bool_ else x).astype(computing).astype(WIDE)
                for x in (a, b)]  # fmt: skip
        left, right = wide[0][None] if a.ndim == 1 else wide[0], wide[1][:, None] if b.ndim == 1 else wide[1]
        expected = twin.matmul(left, right, np.finfo(computing).eps, case["exact"])
        if a.ndim == 1:
            expected = expected.map(lambda v: v[..., 0, :])
        if b.ndim == 1:
            expected = expected.map(lambda v: v[..., 0])
    inputs = [(a_passed, a_around), (b_passed, b_around)]
    out = output(memory, case, expected.value.shape, dtype, inputs) if "out" in case else None
    if out is not None:
        options["out"] = out
    before = kept_inputs([a_passed, b_passed], out)
    got = strictly(case, lambda: smoothmax.logmatmulexp(a_passed, b_passed, **options))
    check_inputs(before)
    memory.check()
    if out is not None and got is not out:
        raise Failure("type: what is returned is not out")
    must_be(got, expected, "product", dtype, None if out is None else out.dtype)


def run_ufunc(memory: Memory, case: Case) -> None:
    shape, name = case["shape"], case["function"]
    numbers, passed, arounds = zip(*(given(memory, case[key], shape) for key in ("x", "y") if key in case), strict=True)
    dtype = natural(np.result_type(*numbers))
    with np.errstate(all="ignore"):
        if case.get("negative"):
            for one in passed:
                if one.flags.writeable and one.dtype.kind == "f":
                    np.negative(np.abs(one), out=one)
        wide = [np.asarray(one).astype(dtype).astype(WIDE) for one in passed]
        expected = twin.elementwise(name, *np.broadcast_arrays(*wide))
    inputs = list(zip(passed, arounds, strict=True))
    out = output(memory, case, expected.value.shape, dtype, inputs) if "out" in case else None
    if out is not None and out.dtype.itemsize < dtype.itemsize:
        case = {**case, "errstate": "ignore"}  # NumPy warns of what overflows in its own cast
    before = kept_inputs(list(passed), out)
    got = strictly(case, lambda: getattr(smoothmax, name)(*passed, **({} if out is None else {"out": out})))
    check_inputs(before)
    memory.check()
    must_be(got, expected, "result", dtype, None if out is None else out.dtype)


def loss_arguments(memory: Memory, case: Case) -> tuple[Any, ...]:
    shape = case["shape"]
    axis = case["axis"] % len(shape)
    classes = shape[axis]
    rest = shape[:axis] + shape[axis + 1 :]
    x, passed, around = given(memory, case["x"], shape)
    if case["function"] == "nll_loss" and is_real(x.dtype):
        with np.errstate(all="ignore"):
            x = back(
                twin.log_softmax(as_rows(x.astype(WIDE), (axis,)), np.array(True)).value, tuple(shape), (axis,)
            ).astype(x.dtype)
        passed = memory.place(tuple(shape), x.dtype, case["x"]["how"])[0]
        passed[...] = x
    targets, targets_passed, _ = given(memory, case["targets"], shape if case["soft"] else rest, classes)
    options: Case = {"axis": case["axis"]}
    weight = None
    if "weight" in case:
        weight, options["weight"], _ = given(memory, case["weight"], [classes])
    for name in ("ignore_index", "label_smoothing", "reduction"):
        if name in case:
            options[name] = case[name]
    return x, passed, around, targets, targets_passed, weight, options


def loss_expected(case: Case, x: Array, targets: Array, weight: Any, options: Case) -> tuple[list[Expected], Any]:
    """The loss and its gradient, in the shapes of the results, and the type they have."""
    shape, name = tuple(case["shape"]), case["function"]
    axis = case["axis"] % len(shape)
    classes = shape[axis]
    dtype = natural(x.dtype)
    computing = computing_type(dtype)
    with np.errstate(all="ignore"):
        rows = as_rows(x.astype(computing).astype(WIDE), (axis,))
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


def run_loss(memory: Memory, case: Case) -> None:
    x, passed, around, targets, targets_passed, weight, options = loss_arguments(memory, case)
    name = case["function"]
    if x.size == 0:
        with contextlib.suppress(*KINDS):
            getattr(smoothmax, name)(passed, targets_passed, **options)
        return
    found, dtype = loss_expected(case, x, targets, weight, options)
    out = None
    if name == "cross_entropy_and_grad" and "out" in case:
        out = output(memory, case, tuple(case["shape"]), dtype, [(passed, around)])
        if out is not None:
            options["out"] = out
    before = kept_inputs([passed, targets_passed, options.get("weight")], out)
    got = strictly(case, lambda: getattr(smoothmax, name)(passed, targets_passed, **options))
    check_inputs(before)
    memory.check()
    results = got if isinstance(got, tuple) else (got,)
    for i, one in enumerate(results):
        must_be(one, found[i], ("loss", "gradient")[i], dtype, None if out is None or i == 0 else out.dtype)


def run_stream(memory: Memory, case: Case) -> None:
    ndim, axis = case["ndim"], case["axis"]
    axes = axis_of(axis, ndim)
    options: Case = {"keepdims": case["keepdims"]}
    if "dtype" in case:
        options["dtype"] = np.dtype(case["dtype"])
    streams = [smoothmax.LogSumExp(tuple(axis) if isinstance(axis, list) else axis, **options)]
    chunks, weights, masks = [], [], []
    dtype = None
    for step in case["steps"]:
        shape = [step["lengths"][i] if i in axes else case["kept"][i] for i in range(ndim)]
        x, passed, _ = given(memory, step["x"], shape)
        b, b_passed, _ = given(memory, step["b"], shape) if "b" in step else (None, None, None)
        where, w_passed, _ = given(memory, step["where"], shape) if "where" in step else (None, True, None)
        strictly(case, lambda s=streams[-1], x=passed, b=b_passed, w=w_passed: s.update(x, b=b, where=w))
        dtype = np.dtype(case["dtype"]) if "dtype" in case else natural(x.dtype)
        chunks.append(as_rows(x.astype(WIDE), axes))
        weights.append(as_rows(np.ones(shape, WIDE) if b is None else b.astype(WIDE), axes))
        masks.append(as_rows(np.ones(shape, bool) if where is None else where.view(np.uint8) != 0, axes))
        if step["then"] == "pickle":
            streams[-1] = pickle.loads(pickle.dumps(streams[-1]))
        elif step["then"] == "copy":
            streams[-1] = streams[-1].copy()
        elif step["then"] == "deepcopy":
            streams[-1] = copy.deepcopy(streams[-1])
        elif step["then"] == "merge":
            streams.append(smoothmax.LogSumExp(tuple(axis) if isinstance(axis, list) else axis, **options))
    total = streams[0]
    for one in streams[1:]:
        strictly(case, lambda s=one: total.merge(s))
    weighted = any("b" in step for step in case["steps"])
    assert dtype is not None
    computing = computing_type(dtype)
    with np.errstate(all="ignore"):
        found = twin.logsumexp(np.concatenate(chunks, -1), np.concatenate(weights, -1) if weighted else None,
                               np.concatenate(masks, -1), True, np.finfo(computing).eps)  # fmt: skip
    if case["keepdims"]:
        shape = [1 if i in axes else case["kept"][i] for i in range(ndim)]
        found = [one.map(lambda v: v.reshape(shape)) for one in found]
    got = strictly(case, lambda: total.result(return_sign=True))
    for one, wanted, what in zip(got, found, ("value", "sign"), strict=True):
        must_be(one, wanted, what, dtype)
