"""Parts of all kinds of calls: types, kinds of numbers, outputs, and the differences within a family."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from fuzzing import floats
from fuzzing.memo import CALL
from fuzzing.shapes import laid_out_again, random_out

Case = dict[str, Any]

UFUNC_FLOATS = ("f4", "f8", "f2", ">f4", ">f8", ">f2")
FLOATS = (*UFUNC_FLOATS, *floats.NAMES, "g")
OTHERS = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4")
NUMBERS = ("ordinary", "ordinary", "small", "large", "equal", "special", "tiny", "huge", "ramp", "far")
WEIGHTS = ("positive", "positive", "signed", "zeros", "special", "ones", "equal")
SCALES = (-1, 0.5, -3.7, 1.0, 0, 1e-3, 1e3)
DTYPES = ("f2", "f4", "f8", "g", *floats.NAMES)

WITHOUT_OUT = ("cross_entropy", "nll_loss", "log_prob")
# For each kind: which of its arrays may have another layout from call to call, how often it has an output, which, and
# of which type.
VARIED: dict[str, tuple[tuple[str, ...], float, tuple[str, ...], tuple[Any, ...]]] = {
    "reduction": (("x", "b", "where", "add"), 0.35, ("fresh", "fresh", "input", "shifted", "flipped"),
                  (None, None, "f4", "f8", "f2", ">f8", "g", "D", *floats.NAMES)),
    "product": (("g", "p"), 0.4, ("fresh", "input", "second", "shifted"), (None, "f4", "f8")),
    "loss": (("x", "targets", "weight", "add"), 0.4, ("fresh", "input", "shifted"), (None,)),
    "scan": (("x",), 0.35, ("fresh", "input", "input", "shifted", "flipped"), (None, None, "f4", "f8", "f2", ">f8")),
    "segments": (("x", "offsets"), 0.35, ("fresh", "input", "input", "shifted", "flipped"),
                 (None, None, "f4", "f8", "f2", ">f8")),
    "complex": (("x", "b", "where"), 0.3, ("fresh",), (None,)),
    "ufunc": (("x", "y"), 0.3, ("fresh", "input", "second", "shifted", "flipped"), (None, None, "f4", "f8", ">f8")),
    "matmul": (("a", "b"), 0.35, ("fresh", "input", "second", "shifted", "flipped"), (None, None, "f4", "f8", ">f8")),
    "top": (("x",), 0, (), ()),
    "draws": (("x",), 0, (), ()),
}  # fmt: skip


def random_types(r: random.Random) -> tuple[str, ...]:
    """Mostly float32 and float64, and some other types."""
    return (*FLOATS[:2], *FLOATS[:2], *FLOATS[:2], r.choice(FLOATS), r.choice(OTHERS))


def addend_type(case: Case) -> str:
    """The type of the elements, or float64 for integers: promotion is left to tests/test_scale_and_add.py."""
    dtype: str = case["x"]["dtype"]
    return dtype if floats.is_real(np.dtype(dtype)) or np.dtype(dtype).kind == "c" else "f8"


def ndim_of(case: Case, name: str) -> int:
    """The number of axes of an array of a call."""
    part = case[name]
    if name in ("weight", "offsets"):
        return 1
    ndim = len(part.get("shape", case.get("shape", ()))) - part.get("drop", 0)
    return ndim - (name == "targets" and not case["soft"])


def common(r: random.Random, case: Case) -> Case:
    """Options of all calls."""
    if case["do"] in VARIED:
        _, often, kinds, dtypes = VARIED[case["do"]]
        if r.random() < often and case.get("function") not in WITHOUT_OUT:
            case["out"] = random_out(r, kinds, dtypes)
        if case.get("out", {"is": "fresh"})["is"] in ("fresh", "input") and r.random() < 0.15:
            case["again"] = {"guard": r.choice(["end", "start"]), "shift": r.choice([0, 0, 1, 4, 8, 24]),
                             "threads": r.choice([1, 2, 3])}  # fmt: skip
    if r.random() < 0.3:
        case["threads"] = r.choice([1, 2, 3, 5])
    if r.random() < 0.3 or case["do"] == "ufunc":
        case["errstate"] = "raise"
    return case


def varied(r: random.Random, case: Case) -> Case:
    """Another call of the same family: the same numbers, and all else drawn again."""
    case = {key: part for key, part in case.items() if key not in CALL}
    for name in VARIED[case["do"]][0]:
        if isinstance(case.get(name), dict):
            case[name] = laid_out_again(r, case[name], ndim_of(case, name))
    return common(r, case)
