"""What a call is: plain numbers and names, drawn at random, from which everything else follows."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
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
    VARIED,
    WEIGHTS,
    addend_type,
    common,
    random_types,
    varied,
)
from fuzzing.memo import remembered
from fuzzing.mistakes import random_mistake
from fuzzing.rows_of_c import random_row
from fuzzing.scans import random_ids, random_scan, random_segments
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
    """Matrices and vectors of numbers that peak anywhere; stacks of one axis or two."""
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


def random_file(r: random.Random) -> Case:
    shape = random_shape(r)
    case: Case = {
        "do": "file",
        "function": r.choice(REDUCTIONS),
        "shape": shape,
        "axis": random_axis(r, len(shape)),
        "x": random_array(r, len(shape), ("f4", "f8", "f2", ">f4", "i4", "?", "u8"), NUMBERS, True),
    }
    if case["axis"] == []:
        case["axis"] = None
    case["order"] = r.choice(["C", "C", "F"])
    if r.random() < 0.3:
        case["dtype"] = r.choice(["float32", "float64", "float16"])
    if case["function"] in WEIGHTED and r.random() < 0.3:
        case["keepdims"] = True
    if r.random() < 0.3:
        case["scale"] = r.choice(SCALES)
    return random_store(r, case)


def random_scanned_file(r: random.Random) -> Case:
    """A file through a scan, or through a function of segments."""
    case = random_scan(r) if r.random() < 0.5 else random_segments(r)
    for name in ("out", "again"):
        case.pop(name, None)
    whole = {"used": [True] * len(case["shape"]), "drop": 0, "how": random_layout(r, len(case["shape"]))}
    case["x"] = random_array(r, len(case["shape"]), ("f4", "f8", "f2", ">f4", "i4", "?", "u8"), NUMBERS, True) | whole
    case["order"] = r.choice(["C", "C", "F"])
    if "dtype" in case:
        case["dtype"] = r.choice(["float32", "float64", "float16"])
    return random_store(r, case | {"of": case["do"], "do": "scanned file"})


def random_store(r: random.Random, case: Case) -> Case:
    """How a file is stored, what memory the command has, and what may be wrong."""
    shape = case["shape"]
    if r.random() < 0.5:
        case["max-memory"] = r.choice(["1MB", "2MiB", "1000000"])
    if r.random() < 0.03 and 0 not in shape:
        case["parts"] = [r.randint(1, 3) for _ in shape]  # a .zarr store, which takes ten times as long
    elif r.random() < 0.1:
        case["broken"] = r.choice(["truncated", "no file", "not a .npy", "axis", "object", "folder"])
    return common(r, case)


def random_parts(r: random.Random, shape: list[int]) -> list[int]:
    """How many blocks there are along each axis: a dozen or two together, because a graph of more takes long."""
    parts = [r.randint(1, 5) for _ in shape]
    while math.prod(parts) > 20:
        parts[r.randrange(len(parts))] = 1
    return parts


def random_blocks(r: random.Random) -> Case:
    case = random_reduction(r)
    while case["function"] not in REDUCTIONS or math.prod(case["shape"]) > 20_000:
        case = random_reduction(r)
    for name in ("out", "again"):
        case.pop(name, None)
    case["do"] = "blocks"
    case["x"] = case["x"] | {
        "dtype": r.choice(["f4", "f8", "f2", "i4", *floats.NAMES]),
        "used": [True] * len(case["shape"]),
        "drop": 0,
        "how": random_layout(r, len(case["shape"])),
    }
    case["x"].pop("as", None)
    for name in ("b", "where", "add"):
        if isinstance(case.get(name), dict):
            case[name].pop("as", None)
    if "add" in case:
        case["add"]["dtype"] = addend_type(case)
    if isinstance(case.get("b"), dict):
        case["b"]["dtype"] = case["x"]["dtype"] if case["x"]["dtype"] != "i4" else "f8"
    if case.get("dtype") == "g":
        case.pop("dtype")
    case["parts"] = random_parts(r, case["shape"])
    return case


def random_scanned_blocks(r: random.Random) -> Case:
    """Dask's scans and functions of segments."""
    case: Case = {"shape": [1 << 30]}
    while math.prod(case["shape"]) > 20_000:
        case = random_scan(r) if r.random() < 0.5 else random_segments(r)
    for name in ("out", "again"):
        case.pop(name, None)
    case["x"]["dtype"] = r.choice(["f4", "f8", "f2", "i4", *floats.NAMES])
    case["x"].pop("as", None)
    if case.get("dtype") == "g":
        case.pop("dtype")
    return case | {"of": case["do"], "do": "scanned blocks", "parts": random_parts(r, case["shape"])}


def random_block_losses(r: random.Random) -> Case:
    case = random_loss(r)
    while case["function"] != "cross_entropy" or math.prod(case["shape"]) > 20_000:
        case = random_loss(r)
    case.pop("again", None)
    for part in (case["x"], case["targets"]):
        part.pop("as", None)
    case["do"] = "block losses"
    case["parts"] = random_parts(r, case["shape"])
    case["lazy"] = r.random() < 0.5
    return case


def random_complex(r: random.Random) -> Case:
    """Of finite numbers: what infinite ones give is for tests/test_plain.py."""
    shape = random_shape(r)
    while math.prod(shape) > 3000:
        shape = random_shape(r)
    numbers = ("ordinary", "small", "equal", "ramp", "far", "tiny")
    types = ("F", "D", "D", "G", ">D")
    case: Case = {
        "do": "complex",
        "function": r.choice(REDUCTIONS[:3]),
        "shape": shape,
        "x": random_array(r, len(shape), types, numbers, r.random() < 0.8),
        "axis": random_axis(r, len(shape)),
    }
    if case["function"] == "logsumexp":
        if r.random() < 0.4:
            case["b"] = random_array(r, len(shape), ("F", "D", "f8"), ("signed", "zeros", "ones", "equal", "tiny"))
        for name in ("keepdims", "return_sign"):
            if r.random() < 0.4:
                case[name] = True
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


MAKERS: dict[str, tuple[float, Callable[[random.Random], Case]]] = {
    "reduction": (60, random_reduction),
    "product": (10, random_product),
    "loss": (18, random_loss),
    "stream": (4, random_stream),
    "mistake": (8, random_mistake),
    "scan": (10, random_scan),
    "segments": (10, random_segments),
    "ids": (1, random_ids),
    "row of C": (3, random_row),
    "file": (0.3, random_file),
    "scanned file": (0.1, random_scanned_file),
    "blocks": (0.2, random_blocks),
    "scanned blocks": (0.1, random_scanned_blocks),
    "block losses": (0.05, random_block_losses),
    "complex": (2, random_complex),
    "ufunc": (10, random_ufunc),
    "matmul": (8, random_matmul),
    "top": (5, random_top),
    "draws": (5, random_draws),
}


FAMILY = 4  # calls with the same numbers


def random_case(number: int) -> Case:
    """The call of this number. The first of a family has numbers of its own; the others may lie differently."""
    first = number - number % FAMILY
    case: Case = remembered(("case", first), lambda: drawn(random.Random(first)))
    if number == first:
        return case
    r = random.Random(number)
    return varied(r, case) if case["do"] in VARIED else MAKERS[case["do"]][1](r)


def drawn(r: random.Random) -> Case:
    return r.choices([m for _, m in MAKERS.values()], [w for w, _ in MAKERS.values()])[0](r)
