"""Descriptions of calls: plain numbers and names, drawn at random, from which everything else follows."""

from __future__ import annotations

import math
import random
from typing import Any

from fuzzing import floats
from fuzzing.arrays import axis_of
from fuzzing.kinds import (
    DTYPES,
    FLOATS,
    NUMBERS,
    OTHERS,
    SCALES,
    UFUNC_FLOATS,
    WEIGHTS,
    addend_type,
    common,
    random_types,
)
from fuzzing.scans import SEGMENTS, random_offsets
from fuzzing.shapes import random_array, random_axis, random_layout, random_shape

Case = dict[str, Any]
WEIGHTED = ("logsumexp", "logmeanexp")
LOSS_SCALES = (0.5, -1, 1.0, -3.7, 0)
UFUNCS = ("logaddexp", "logsubexp", "log1mexp", "log1pexp", "log_expit")
REDUCTIONS = ("logsumexp", "softmax", "log_softmax", "logmeanexp")
DRAWN = (*REDUCTIONS, "logsumexp", "logsumexp_and_softmax")


def random_weights(r: random.Random, case: Case, types: tuple[str, ...]) -> Any:
    """An array, one number, or one for each reduction."""
    how, shape = r.random(), case["shape"]
    if how < 0.1:
        return r.choice([2, 0.5, -3.0, 0, 1e-3, 7])
    b = random_array(r, len(shape), types, WEIGHTS)
    if how < 0.3:
        axes = axis_of(case["axis"], len(shape))
        b |= {"used": [i not in axes for i in range(len(shape))], "drop": 0, "how": random_layout(r, len(shape))}
        b.pop("wide", None)
    return b


def random_reduction(r: random.Random) -> Case:
    shape = random_shape(r)
    case: Case = {"do": "reduction", "function": r.choice(DRAWN), "shape": shape}
    types = random_types(r)
    case["x"] = random_array(r, len(shape), types, NUMBERS, r.random() < 0.8)
    case["axis"] = random_axis(r, len(shape))
    if case["function"] in WEIGHTED and r.random() < 0.5:
        case["b"] = random_weights(r, case, types)
    if case["function"].startswith("log") and case["function"] != "log_softmax" and r.random() < 0.3:
        case["keepdims"] = True
    if case["function"] == "logsumexp" and r.random() < 0.4:
        case["return_sign"] = True
    if r.random() < 0.3:
        case["where"] = r.choice([True, False]) if r.random() < 0.1 else random_array(r, len(shape), "?", ("mask",))
    if r.random() < 0.3:
        case["scale"] = r.choice(SCALES)
    if r.random() < 0.3 and "as" not in case["x"]:
        case["add"] = random_array(r, len(shape), (addend_type(case),), NUMBERS)
    if r.random() < 0.15:
        case["dtype"] = r.choice(DTYPES)
    return common(r, case)


def random_product(r: random.Random) -> Case:
    shape = random_shape(r)
    case: Case = {"do": "product", "function": r.choice(["softmax_vjp", "log_softmax_vjp"]), "shape": shape}
    case["g"] = random_array(
        r,
        len(shape),
        ("f4", "f8", "f4", "f8", "f2", "i4", ">f4", *floats.NAMES),
        ("ordinary", "small", "equal", "zeros"),
        True,
    )
    case["p"] = random_array(
        r,
        len(shape),
        ("f4", "f8", "f4", "f8", "f2", ">f8", *floats.NAMES),
        ("ordinary", "small", "equal", "large"),
        True,
    )
    case["axis"] = random_axis(r, len(shape))
    return common(r, case)


def random_matmul(r: random.Random) -> Case:
    """Matrices and vectors whose maxima are anywhere; stacks of one axis or two."""
    n, k, m = (r.choice([1, 2, 3, 5, 9, 16, 17, r.randint(0, 12)]) for _ in range(3))
    if r.random() < 0.03:
        n, k, m = (r.choice([16, 17, 33, 70, r.randint(13, 40)]) for _ in range(3))
    stack = [r.choice([1, 2, 3]) for _ in range(r.choice([0, 0, 0, 1, 2]))]
    if r.random() < 0.05:
        k = r.choice([255, 256, 257, 700])
    if r.random() < 0.05:
        m = r.choice([255, 256, 257, 300])
    shapes = {"a": [k] if r.random() < 0.15 else [*stack, n, k], "b": [k] if r.random() < 0.15 else [*stack, k, m]}
    types = (*FLOATS[:2], *FLOATS[:2], *FLOATS[:2], r.choice(FLOATS[:6]), r.choice(OTHERS))
    case: Case = {"do": "matmul", "exact": r.random() < 0.4}
    for name, shape in shapes.items():
        if len(shape) > 2 and r.random() < 0.4:  # stacks that broadcast
            shape[0] = 1
            shape[:] = shape[r.randrange(2) :]
        case[name] = random_array(r, len(shape), types, NUMBERS, True)
        case[name]["shape"] = shape
    if r.random() < 0.1:
        case["dtype"] = r.choice(["f2", "f4", "f8", *floats.NAMES])
    return common(r, case)


def random_loss(r: random.Random) -> Case:
    shape = random_shape(r) or [3]
    names = ("cross_entropy", "cross_entropy_and_grad", "cross_entropy_and_grad", "nll_loss", "log_prob")
    case: Case = {
        "do": "loss",
        "function": r.choice(names),
        "shape": shape,
        "axis": r.randrange(-len(shape), len(shape)),
    }
    case["x"] = random_array(
        r,
        len(shape),
        ("f4", "f8", "f4", "f8", "f2", ">f4", "i4", *floats.NAMES),
        ("ordinary", "small", "equal", "ramp", "far", "large"),
        True,
    )
    case["soft"] = case["function"] != "log_prob" and r.random() < 0.35
    if case["soft"]:
        case["targets"] = random_array(
            r, len(shape), ("f4", "f8", "f2", "f4", "f8", *floats.NAMES), ("probabilities", "one hot"), True
        )
    else:
        case["targets"] = random_array(
            r, len(shape) - 1, ("i8", "i4", "u1", "i2", ">i8", "u8", "i8"), ("classes",), True
        )
    if case["function"] != "nll_loss":
        if r.random() < 0.2:
            case["scale"] = r.choice(LOSS_SCALES)
        if r.random() < 0.2 and "as" not in case["x"]:
            case["add"] = random_array(r, len(shape), (addend_type(case),), ("ordinary", "small", "equal", "far"))
            case["add"].pop("wide", None)
    if case["function"] == "log_prob":
        return common(r, case)
    case["reduction"] = r.choice(["mean", "sum", "none"])
    if r.random() < 0.4:
        case["weight"] = {
            "dtype": r.choice(["f4", "f8", "f2", "i4", ">f8"]),
            "numbers": r.choice(["positive", "ones", "zeros positive"]),
            "seed": r.randrange(1 << 30),
            "how": random_layout(r, 1),
        }
    if r.random() < 0.4:
        case["label_smoothing"] = r.choice([0.1, 0.5, 1.0, 1e-7, 0])
    if not case["soft"] and r.random() < 0.3:
        case["ignore_index"] = r.choice([0, 1, 2, -100, 255])
    return common(r, case)


def random_stream(r: random.Random) -> Case:
    ndim = r.choice([1, 1, 2, 2, 3])
    axis = random_axis(r, ndim)
    if axis == []:
        axis = None
    case: Case = {
        "do": "stream",
        "ndim": ndim,
        "axis": axis,
        "keepdims": r.random() < 0.3,
        "kept": [r.choice([1, 2, 3, 7, 40 if ndim < 3 else 5, 65 if ndim < 3 else 9]) for _ in range(ndim)],
        "steps": [],
    }
    dtype = r.choice(["f4", "f8", "f2", *floats.NAMES])
    if r.random() < 0.2:
        case["dtype"] = dtype
    weighted = r.random() < 0.4
    for _ in range(r.randint(1, 7)):
        step: Case = {
            "x": random_array(r, ndim, (dtype,), NUMBERS, True),
            "lengths": [r.choice([0, 1, 2, 5, 30, 64] if ndim < 3 else [0, 1, 2, 5, 17]) for _ in range(ndim)],
            "then": r.choice(["", "", "", "pickle", "copy", "deepcopy", "merge", "merge"]),
        }
        if weighted and r.random() < 0.8:
            step["b"] = random_array(r, ndim, (dtype,), ("positive", "signed", "zeros", "ones"), True)
        if r.random() < 0.2:
            step["scale"] = r.choice([0.5, -1, -3.7, 1.0])
        if r.random() < 0.2:
            step["add"] = random_array(r, ndim, (dtype,), NUMBERS, True)
        if r.random() < 0.2:
            step["where"] = random_array(r, ndim, "?", ("mask",), True)
        case["steps"].append(step)
    return common(r, case)


def random_complex(r: random.Random) -> Case:
    """A complex call with finite numbers; tests/test_plain.py tests infinite ones."""
    function = r.choice((*REDUCTIONS, *REDUCTIONS, "logcumsumexp", "logcumsumexp", *SEGMENTS))
    whole = function not in REDUCTIONS
    shape = random_shape(r)
    while math.prod(shape) > (200 if whole else 3000):  # the twin sums each prefix, and each segment by itself
        shape = random_shape(r)
    if function in SEGMENTS:
        shape = shape or [7]
    numbers = ("ordinary", "small", "equal", "ramp", "far", "tiny")
    types = ("F", "D", "D", "G", ">D")
    case: Case = {"do": "complex", "function": function, "shape": shape}
    case["x"] = random_array(r, len(shape), types, numbers, whole or r.random() < 0.8)
    if function in SEGMENTS:
        case["axis"] = r.randrange(-len(shape), len(shape))
        case["at"] = random_offsets(r, shape[case["axis"]])
        case["offsets"] = {"dtype": "i8", "how": random_layout(r, 1)}
        return common(r, case)
    if function == "logcumsumexp":
        case["axis"] = r.randrange(-len(shape), len(shape)) if shape and r.random() < 0.8 else None
        case |= {name: True for name in ("reverse", "exclusive") if r.random() < 0.3}
        return common(r, case)
    case["axis"] = random_axis(r, len(shape))
    if function in WEIGHTED:
        if r.random() < 0.4:
            case["b"] = random_array(r, len(shape), ("F", "D", "f8"), ("signed", "zeros", "ones", "equal", "tiny"))
        if r.random() < 0.4:
            case["keepdims"] = True
        if function == "logsumexp" and r.random() < 0.4:
            case["return_sign"] = True
    if r.random() < 0.3:
        case["where"] = random_array(r, len(shape), "?", ("mask",))
    return common(r, case)


def random_ufunc(r: random.Random) -> Case:
    shape = random_shape(r)
    case: Case = {"do": "ufunc", "function": r.choice(UFUNCS), "shape": shape, "x": random_operand(r, len(shape))}
    if case["function"].endswith("expit") or case["function"].startswith("log1"):
        case["x"]["negative"] = r.random() < 0.5
    else:
        case["y"] = random_operand(r, len(shape))
    return common(r, case)


def random_top(r: random.Random) -> Case:
    shape = random_shape(r) or [3]
    case: Case = {"do": "top", "shape": shape, "axis": r.randrange(-len(shape), len(shape))}
    case["x"] = random_array(r, len(shape), (*FLOATS[:2], r.choice(FLOATS), r.choice(OTHERS)), NUMBERS, True)
    case["x"].pop("as", None)
    n = shape[case["axis"]]
    case["k"] = r.choice([0, 1, 3, 20, n // 2, max(n - 1, 0), n, n, n + 1, r.randint(0, n)])
    return common(r, case)


def random_draws(r: random.Random) -> Case:
    shape = random_shape(r) or [3]
    case: Case = {"do": "draws", "shape": shape, "axis": r.randrange(-len(shape), len(shape))}
    case["x"] = random_array(r, len(shape), (*FLOATS[:2], r.choice(FLOATS), r.choice(OTHERS)), NUMBERS, True)
    case["x"].pop("as", None)
    case["seed"] = r.randrange(1 << 30)
    small = math.prod(shape) < 3000
    case["more"] = [r.choice([1, 2, 7, 0]) for _ in range(r.choice([0, 1, 2] if small else [0]))]
    if r.random() < 0.3:
        case["scale"] = r.choice([0.5, -1, 3.7, 1e-3, 0, 1.0])
    return common(r, case)


def random_operand(r: random.Random, ndim: int) -> Case:
    """An operand of a ufunc. longdouble is left out, because the twin computes in it, too, and errs as much."""
    a = random_array(r, ndim, (*FLOATS[:2], *FLOATS[:2], r.choice(UFUNC_FLOATS), r.choice(OTHERS)), NUMBERS)
    a.pop("as", None)
    return a
