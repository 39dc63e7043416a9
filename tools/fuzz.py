"""Call every public function at random, legally and illegally, and hold each result against a slow, plain twin.

    python tools/fuzz.py --seconds 120              # with a fresh seed, which is printed
    python tools/fuzz.py --seed 7 --calls 100000
    python tools/fuzz.py --case '{"do": "product", ...}'    # one call again, as a failure prints it

What a call must do: return what tools/twin.py says, within the bounds of tests/bounds.py, in the type, shape and
memory order of the contract; or raise an error of the contract's kinds where it is illegal. It must give no warning,
whatever np.errstate says, and neither write to its inputs nor beside its output. Every array begins or ends at a page
that nobody may touch, so a read past it ends the process. Calls are made in child processes, each of which takes over
where the last one ended; what a child was doing when it died, or hung, is known.

A failure is made smaller as long as it stays one, and printed as a few lines of Python. Ends with 1 if there was any.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import ctypes
import io
import json
import mmap
import os
import pathlib
import pickle
import random
import re
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import twin
from twin import WIDE, Expected

import smoothmax

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
PAGE = mmap.PAGESIZE
BATCH = 2000  # calls of one child
HANGS = 120  # seconds without an end of a call
KINDS = (TypeError, ValueError, IndexError, MemoryError)  # of errors; AxisError is two of them
REDUCTIONS = ("logsumexp", "softmax", "log_softmax", "logsumexp_and_softmax")
FLOATS = ("f4", "f8", "f2", ">f4", ">f8", ">f2", "g")
OTHERS = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4")
INF, NAN = np.inf, np.nan
BYTES_OF_TRUE = (1,)  # to be (1, 1, 1, 2, 255) as soon as any byte that is not 0 is true, in masks too


# Faults that are known and not mended yet: what the failure says, what the call is like, and where it is described.
KNOWN: tuple[tuple[str, str, str], ...] = (
    ("FloatingPointError|encountered in cast", "'out'", "issue 18, 10: a longdouble result cast to a narrower out"),
    ("OverflowError", r"10\*\*400", "issue 18, 26"),
)


def known(case: Case, failure: str) -> str | None:
    """Where the fault is described, if it is known."""
    return next(
        (where for says, like, where in KNOWN if re.search(says, failure) and re.search(like, repr(case))), None
    )


class Failure(Exception):  # noqa: N818 (it is a finding)
    """A call did what it must not; the first word says which kind, and a smaller call must fail in the same."""


# Memory that ends at a page nobody may touch --------------------------------------------------------------------------

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Arena:
    """Bytes between two pages that may be neither read nor written."""

    free: dict[int, list[Arena]] = {}  # noqa: RUF012 (one for all)

    def __init__(self, size: int) -> None:
        self.size = size
        self.map = mmap.mmap(-1, size + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        for guard in (start, start + PAGE + size):
            if libc.mprotect(guard, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes = np.frombuffer(self.map, np.uint8, size, PAGE)

    @classmethod
    def take(cls, size: int) -> Arena:
        """One of at least so many bytes, which give_back makes free again."""
        pages = 1 << max(0, (max(size, 1) - 1) // PAGE).bit_length()
        waiting = cls.free.setdefault(pages * PAGE, [])
        return waiting.pop() if waiting else cls(pages * PAGE)

    def give_back(self) -> None:
        self.free[self.size].append(self)


class Memory:
    """The arenas of one call."""

    def __init__(self) -> None:
        self.arenas: list[Arena] = []
        self.blocks: list[tuple[Array, Array, Array]] = []  # an output, all bytes around it, and these as they were

    def place(self, shape: tuple[int, ...], dtype: Any, how: Case, beside: int = 0) -> tuple[Array, Array]:
        """An empty array in the layout, and the bytes of its arena; with room for so many elements more before it."""
        dtype = np.dtype(dtype)
        order = how.get("order") or list(range(len(shape)))
        strides, step = [0] * len(shape), dtype.itemsize
        for axis in sorted(range(len(shape)), key=lambda i: -order[i]):
            strides[axis] = step * how.get("pad", [1] * len(shape))[axis]
            step = strides[axis] * max(shape[axis], 1)
        spans = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
        block = sum(spans) + dtype.itemsize if 0 not in shape else 0
        block += beside * dtype.itemsize
        shift = how.get("shift", 0)
        arena = Arena.take(block + shift)
        self.arenas.append(arena)
        at = arena.size - block - shift if how.get("guard", "end") == "end" else shift
        at += beside * dtype.itemsize
        for axis, flip in enumerate(how.get("flip", [])):
            if flip and shape[axis]:
                at += spans[axis]
                strides[axis] = -strides[axis]
        if 0 in shape:
            at = 0
        return np.ndarray(shape, dtype, arena.bytes, at, strides), arena.bytes

    def watch(self, out: Array, around: Array) -> None:
        """What lies beside this output must stay as it is."""
        self.blocks.append((out, around, around.copy()))

    def check(self) -> None:
        for out, around, before in self.blocks:
            offset = out.__array_interface__["data"][0] - around.__array_interface__["data"][0]
            if out.size:
                np.ndarray(out.shape, out.dtype, before, offset, out.strides)[...] = out
            # nan may be copied with other bits, and longdouble has bytes that do not count
            view = np.ones(around.size, bool)
            if out.size:
                inside = np.zeros(around.size, np.uint8)
                octets = np.ndarray((*out.shape, out.dtype.itemsize), np.uint8, inside, offset, (*out.strides, 1))
                octets[...] = 1
                view = inside == 0
            if not np.array_equal(around[view], before[view]):
                raise Failure("wrote beside the output")

    def release(self) -> None:
        for arena in self.arenas:
            arena.give_back()


# What a call is: plain numbers and names, from which everything else follows ------------------------------------------

LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 66, 127, 128, 129, 130,
           255, 256, 257, 300, 500, 511, 512, 513, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097)  # fmt: skip
LONG = (8191, 8192, 8193, 16383, 16385, 32768, 65535, 65537, 131073, 262145)


def random_shape(r: random.Random) -> list[int]:
    ndim = r.choice([0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 4, 5, 6])
    if ndim == 1 and r.random() < 0.04:
        return [r.choice(LONG)]
    most = r.choices([30, 300, 2000, 8000, 150000], [30, 40, 20, 10, 1])[0]
    shape: list[int] = []
    for _ in range(ndim):
        left = max(1, most // max(1, int(np.prod(shape))))
        one = r.choice([r.choice(LENGTHS), r.randint(1, 12), r.randint(1, 200), r.choice(LENGTHS[:20])])
        shape.append(0 if r.random() < 0.01 else min(one, left))
    r.shuffle(shape)
    return shape


def random_layout(r: random.Random, ndim: int) -> Case:
    how: Case = {"guard": r.choice(["end", "end", "start"])}
    if r.random() < 0.55:
        return how
    if r.random() < 0.6:
        how["order"] = r.sample(range(ndim), ndim)
    if r.random() < 0.4:
        how["pad"] = [r.choice([1, 1, 1, 2, 3]) for _ in range(ndim)]
    if r.random() < 0.3:
        how["flip"] = [r.random() < 0.4 for _ in range(ndim)]
    if r.random() < 0.15:
        how["shift"] = r.randint(1, 7)
    return how


def random_array(r: random.Random, ndim: int, dtypes: Any, numbers: Any, whole: bool = False) -> Case:
    """An array that broadcasts with the common shape; over all of it if it is to be whole."""
    a: Case = {"dtype": r.choice(dtypes), "numbers": r.choice(numbers), "seed": r.randrange(1 << 30)}
    if not whole:
        a["used"] = [r.random() < 0.6 for _ in range(ndim)] if r.random() < 0.6 else [True] * ndim
        a["drop"] = 0
        while a["drop"] < ndim and not a["used"][a["drop"]] and r.random() < 0.7:
            a["drop"] += 1
    a["how"] = random_layout(r, ndim - a.get("drop", 0))
    if r.random() < 0.05:
        a["readonly"] = True
    if r.random() < 0.05 and not whole:
        a["wide"] = True
    if r.random() < 0.03:
        a["as"] = r.choice(["list", "memoryview", "object with __array__", "subclass"])
    return a


NUMBERS = ("ordinary", "ordinary", "small", "large", "equal", "special", "tiny", "huge", "ramp", "far")
WEIGHTS = ("positive", "positive", "signed", "zeros", "special", "ones", "equal")


def random_axis(r: random.Random, ndim: int) -> Any:
    how = r.randrange(8)
    if how < 2 or not ndim:
        return None
    if how < 6:
        axis = r.randrange(-ndim, ndim)
        return axis
    some = r.sample(range(ndim), r.randint(0, ndim))
    return [axis - ndim * r.randrange(2) for axis in some]


def random_reduction(r: random.Random) -> Case:
    shape = random_shape(r)
    case: Case = {"do": "reduction", "function": r.choice(REDUCTIONS), "shape": shape}
    types = (*FLOATS[:2], *FLOATS[:2], *FLOATS[:2], r.choice(FLOATS), r.choice(OTHERS))
    case["x"] = random_array(r, len(shape), types, NUMBERS, r.random() < 0.8)
    case["axis"] = random_axis(r, len(shape))
    if case["function"] == "logsumexp" and r.random() < 0.5:
        case["b"] = (
            r.choice([2, 0.5, -3.0, 0, True]) if r.random() < 0.1 else random_array(r, len(shape), types, WEIGHTS)
        )
    if case["function"].startswith("logsumexp") and r.random() < 0.3:
        case["keepdims"] = True
    if case["function"] == "logsumexp" and r.random() < 0.4:
        case["return_sign"] = True
    if r.random() < 0.3:
        case["where"] = r.choice([True, False]) if r.random() < 0.1 else random_array(r, len(shape), "?", ("mask",))
    if r.random() < 0.15:
        case["dtype"] = r.choice(["f2", "f4", "f8", "g"])
    if r.random() < 0.35:
        case["out"] = {"is": r.choice(["fresh", "fresh", "input", "shifted", "flipped"]),
                       "dtype": r.choice([None, None, "f4", "f8", "f2", ">f8", "g", "D"]), "how": random_layout(r, 9),
                       "by": r.choice([-3, -1, 1, 2, 7, 64])}  # fmt: skip
    return common(r, case)


def common(r: random.Random, case: Case) -> Case:
    """What any call may have."""
    if r.random() < 0.3:
        case["threads"] = r.choice([1, 2, 3, 5])
    if r.random() < 0.3:
        case["errstate"] = "raise"
    return case


def random_product(r: random.Random) -> Case:
    shape = random_shape(r)
    case: Case = {"do": "product", "function": r.choice(["softmax_vjp", "log_softmax_vjp"]), "shape": shape}
    case["g"] = random_array(
        r, len(shape), ("f4", "f8", "f4", "f8", "f2", "i4", ">f4"), ("ordinary", "small", "equal", "zeros"), True
    )
    case["p"] = random_array(
        r, len(shape), ("f4", "f8", "f4", "f8", "f2", ">f8"), ("ordinary", "small", "equal", "large"), True
    )
    case["axis"] = random_axis(r, len(shape))
    if r.random() < 0.4:
        case["out"] = {"is": r.choice(["fresh", "input", "second", "shifted"]), "dtype": r.choice([None, "f4", "f8"]),
                       "how": random_layout(r, 9), "by": r.choice([-2, -1, 1, 5])}  # fmt: skip
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
    case["x"] = random_array(r, len(shape), ("f4", "f8", "f4", "f8", "f2", ">f4", "i4"),
                             ("ordinary", "small", "equal", "ramp", "far", "large"), True)  # fmt: skip
    case["soft"] = case["function"] != "log_prob" and r.random() < 0.35
    if case["soft"]:
        case["targets"] = random_array(
            r, len(shape), ("f4", "f8", "f2", "f4", "f8"), ("probabilities", "one hot"), True
        )
    else:
        case["targets"] = random_array(
            r, len(shape) - 1, ("i8", "i4", "u1", "i2", ">i8", "u8", "i8"), ("classes",), True
        )
    if case["function"] == "log_prob":
        return common(r, case)
    case["reduction"] = r.choice(["mean", "sum", "none"])
    if r.random() < 0.4:
        case["weight"] = {"dtype": r.choice(["f4", "f8", "f2", "i4", ">f8"]), "numbers": r.choice(["positive", "ones", "zeros positive"]),
                          "seed": r.randrange(1 << 30), "how": random_layout(r, 1)}  # fmt: skip
    if r.random() < 0.4:
        case["label_smoothing"] = r.choice([0.1, 0.5, 1.0, 1e-7, 0])
    if not case["soft"] and r.random() < 0.3:
        case["ignore_index"] = r.choice([0, 1, 2, -100, 255])
    if case["function"] == "cross_entropy_and_grad" and r.random() < 0.4:
        case["out"] = {"is": r.choice(["fresh", "input", "shifted"]), "dtype": None, "how": random_layout(r, 9),
                       "by": r.choice([-2, -1, 1, 5])}  # fmt: skip
    return common(r, case)


def random_stream(r: random.Random) -> Case:
    ndim = r.choice([1, 1, 2, 2, 3])
    axis = random_axis(r, ndim)
    if axis == []:
        axis = None
    case: Case = {"do": "stream", "ndim": ndim, "axis": axis, "keepdims": r.random() < 0.3,
                  "kept": [r.choice([1, 2, 3, 7, 40, 65]) for _ in range(ndim)], "steps": []}  # fmt: skip
    dtype = r.choice(["f4", "f8", "f2"])
    if r.random() < 0.2:
        case["dtype"] = dtype
    weighted = r.random() < 0.4
    for _ in range(r.randint(1, 7)):
        step: Case = {"x": random_array(r, ndim, (dtype,), NUMBERS, True), "lengths": [r.choice([0, 1, 2, 5, 30, 64, 100]) for _ in range(ndim)],
                      "then": r.choice(["", "", "", "pickle", "copy", "deepcopy", "merge", "merge"])}  # fmt: skip
        if weighted and r.random() < 0.8:
            step["b"] = random_array(r, ndim, (dtype,), ("positive", "signed", "zeros", "ones"), True)
        if r.random() < 0.2:
            step["where"] = random_array(r, ndim, "?", ("mask",), True)
        case["steps"].append(step)
    return common(r, case)


def random_file(r: random.Random) -> Case:
    shape = random_shape(r)
    case: Case = {"do": "file", "function": r.choice(REDUCTIONS[:3]), "shape": shape, "axis": random_axis(r, len(shape)),
                  "x": random_array(r, len(shape), ("f4", "f8", "f2", ">f4", "i4", "?", "u8"), NUMBERS, True)}  # fmt: skip
    if case["axis"] == []:
        case["axis"] = None
    case["order"] = r.choice(["C", "C", "F"])
    if r.random() < 0.3:
        case["dtype"] = r.choice(["float32", "float64", "float16"])
    if case["function"] == "logsumexp" and r.random() < 0.3:
        case["keepdims"] = True
    if r.random() < 0.5:
        case["max-memory"] = r.choice(["1MB", "2MiB", "1000000"])
    if r.random() < 0.1:
        case["broken"] = r.choice(["truncated", "no file", "not a .npy", "axis", "object", "folder"])
    return common(r, case)


def random_blocks(r: random.Random) -> Case:
    case = random_reduction(r)
    while case["function"] not in REDUCTIONS[:3] or int(np.prod(case["shape"])) > 20_000:
        case = random_reduction(r)
    case.pop("out", None)
    case["do"] = "blocks"
    case["x"] = case["x"] | {
        "dtype": r.choice(["f4", "f8", "f2", "i4"]),
        "used": [True] * len(case["shape"]),
        "drop": 0,
    }
    case["x"].pop("as", None)
    for name in ("b", "where"):
        if isinstance(case.get(name), dict):
            case[name].pop("as", None)
    if isinstance(case.get("b"), dict):
        case["b"]["dtype"] = case["x"]["dtype"] if case["x"]["dtype"] != "i4" else "f8"
    if case.get("dtype") == "g":
        case.pop("dtype")
    case["parts"] = [r.randint(1, 5) for _ in case["shape"]]
    return case


MAKERS: dict[str, tuple[float, Callable[[random.Random], Case]]] = {
    "reduction": (60, random_reduction),
    "product": (10, random_product),
    "loss": (18, random_loss),
    "stream": (6, random_stream),
    "mistake": (8, lambda r: random_mistake(r)),
    "file": (1.5, random_file),
    "blocks": (1.5, random_blocks),
}


def random_case(seed: int) -> Case:
    r = random.Random(seed)
    return r.choices([m for _, m in MAKERS.values()], [w for w, _ in MAKERS.values()])[0](r)


# From a description to arrays -----------------------------------------------------------------------------------------


def shape_of(a: Case, shape: list[int]) -> tuple[int, ...]:
    used = a.get("used") or [True] * len(shape)
    return tuple(n if u else 1 for n, u in zip(shape, used, strict=True))[a.get("drop", 0) :]


def values(a: Case, shape: tuple[int, ...], classes: int = 0) -> Array:
    """The numbers of an array, in C order."""
    rng = np.random.default_rng(a["seed"])
    dtype, kind = np.dtype(a["dtype"]), a["numbers"]
    n = int(np.prod(shape))
    if kind == "mask" or (dtype.kind == "b"):
        share = rng.choice([0.0, 0.1, 0.5, 0.95, 1.0])
        octets = np.where(rng.random(shape) < share, rng.choice(BYTES_OF_TRUE), 0).astype(np.uint8)
        return octets.view(np.bool_)
    if kind == "classes":
        return np.asarray(rng.integers(0, max(1, min(classes, 120)), shape)).astype(dtype)
    x = rng.standard_normal(shape)
    large = 30 if dtype == np.float16 else 400
    if kind == "ordinary":
        x *= 4
    elif kind == "small":
        x *= 0.1
    elif kind == "large":
        x = x * large + rng.choice([-3000, 0, 3000])
    elif kind == "equal":
        x = rng.choice([0.0, 1.0, -2.5], shape)
    elif kind == "special":
        x = np.where(
            rng.random(shape) < rng.choice([0.15, 2 / max(n, 1)]), rng.choice([INF, -INF, NAN, -INF, 0.0], shape), x * 9
        )
    elif kind == "tiny":
        x *= 10.0 ** rng.integers(-30, 0)
    elif kind == "huge":
        top = 4.0 if dtype == np.float16 else 37.0 if dtype.itemsize == 4 else 307.0
        x = np.sign(x) * 10.0 ** rng.uniform(0, top, shape)
    elif kind == "ramp":
        x = x + np.linspace(0, float(rng.choice([-100, 60, 1000])), n).reshape(shape)
    elif kind == "far":
        x = x * float(rng.choice([1e-3, 3, 50])) + float(rng.choice([-1e3, 1e3, 88.0, -87.0]))
    elif kind == "positive":
        x = np.abs(x) * float(rng.choice([1.0, 1e-3, 30]))
    elif kind == "signed":
        x *= 3
    elif kind in ("zeros", "zeros positive"):
        x = np.where(rng.random(shape) < 0.5, 0, np.abs(x))
    elif kind == "ones":
        x = np.ones(shape)
    elif kind == "probabilities":
        x = np.abs(x) / max(1, classes)
    elif kind == "one hot":
        x = (rng.random(shape) < 1 / max(1, classes)).astype(float)
    if dtype.kind in "iu":
        x = np.where(np.isfinite(x), x, 0)
        top = 120 if dtype.itemsize == 1 else 30_000
        x = np.clip(np.abs(x) if dtype.kind == "u" else x, -top, top)
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(dtype)


class Subclass(np.ndarray[Any, Any]):
    """An array with nothing of its own."""


class HasArray:
    def __init__(self, x: Array) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.x if dtype is None else self.x.astype(dtype)


def given(memory: Memory, a: Case, shape: list[int], classes: int = 0, beside: int = 0) -> tuple[Array, Any, Array]:
    """The numbers in C order, the object that is passed, and the bytes around it."""
    own = shape_of(a, shape)
    strong = values(a, own, classes)
    array, around = memory.place(own, a["dtype"], a["how"], beside)
    if array.dtype == np.bool_:
        array.view(np.uint8)[...] = strong.view(np.uint8)
    else:
        array[...] = strong
    passed: Any = array
    if a.get("wide"):
        passed = np.broadcast_to(array, shape)
        strong = np.broadcast_to(strong, shape)
    elif a.get("readonly"):
        passed = array.view()
        passed.flags.writeable = False
    how = a.get("as")
    if (
        how == "list"
        and array.dtype in (np.float64, np.int64)
        and array.dtype.isnative
        and 0 < array.size < 500
        and array.ndim
    ):
        passed = array.tolist()
    elif how == "memoryview" and array.dtype.isnative and array.dtype.char in "fdil" and array.size and array.ndim:
        passed = memoryview(passed)
    elif how == "object with __array__":
        passed = HasArray(passed)
    elif how == "subclass":
        passed = passed.view(Subclass)
    return strong, passed, around


def axis_of(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(i % ndim for i in (axis if isinstance(axis, list) else [axis]))) if ndim else ()


def fitting(axis: Any, common: int, ndim: int) -> Any:
    """Those of the axes of the common shape that arrays have which broadcast to fewer."""
    if axis is None or ndim == common:
        return axis
    some = [i for i in (axis if isinstance(axis, list) else [axis]) if (i if i >= 0 else i + common) >= common - ndim]
    some = [i - (common - ndim) if i >= 0 else i for i in some]
    return some if isinstance(axis, list) else some[0] if some else None


def as_rows(x: Array, axes: tuple[int, ...]) -> Array:
    """The reduced axes as one, the last."""
    kept = [i for i in range(x.ndim) if i not in axes]
    shape = [x.shape[i] for i in kept]
    return x.transpose([*kept, *axes]).reshape(*shape, int(np.prod([x.shape[i] for i in axes])))


def back(rows: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """The way back of as_rows."""
    kept = [i for i in range(len(shape)) if i not in axes]
    order = [*kept, *axes]
    return rows.reshape([shape[i] for i in order]).transpose(np.argsort(order))


def natural(dtype: Any) -> Any:
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype.newbyteorder("=")


def mended(expected: Expected, computing: Any) -> Expected:
    """Longdouble is no better than its twin."""
    if np.dtype(computing) == np.longdouble:
        expected.ulps, expected.slack = 60, expected.slack * 60
    return expected


# The calls ------------------------------------------------------------------------------------------------------------


def must_be(got: Any, expected: Expected, what: str, dtype: Any, computing: Any, stored: Any = None) -> None:
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
    bad = twin.wrong(real, expected, dtype if computing is None else dtype, real.dtype)
    if bad.any():
        i = np.unravel_index(int(np.argmax(bad)), bad.shape)
        right = expected.value[i]
        with np.errstate(all="ignore"):
            off = np.abs(real[i].astype(WIDE) - right) / twin.ulp(np.asarray(right), real.dtype)
        raise Failure(
            f"value: {what}{list(map(int, i))} is {real[i]!r}, not {right!r}: {float(off):.3g} ULP; {int(bad.sum())} of {bad.size} are wrong"
        )


def output(memory: Memory, case: Case, shape: tuple[int, ...], dtype: Any, inputs: list[tuple[Any, Array]]) -> Any:
    """The array for `out`: fresh, one of the inputs, or one that overlaps the first."""
    how = case["out"]
    wanted = np.dtype(how["dtype"] or dtype)
    x, around = inputs[0]
    if how["is"] == "second" and len(inputs) > 1:
        x, around = inputs[1]
    usable = isinstance(x, np.ndarray) and x.ndim > 0 and x.shape == shape and x.flags.writeable and x.dtype.kind == "f"
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
    ndim = max(np.ndim(a) for a in (x, b, where) if a is not None)
    case["axis"] = fitting(case["axis"], len(shape), ndim)
    options["axis"] = tuple(case["axis"]) if isinstance(case["axis"], list) else case["axis"]
    for name in ("keepdims", "return_sign"):
        if name in case:
            options[name] = case[name]
    if "dtype" in case:
        options["dtype"] = np.dtype(case["dtype"])
    return x, passed, around, b, where, options


def reduction_expected(case: Case, x: Array, b: Any, where: Any, options: Case) -> tuple[list[Expected], Any, Any]:
    """The results, the type they have, and the one they are computed in."""
    types = [x.dtype] + ([b.dtype] if b is not None and isinstance(case["b"], dict) else [])
    dtype = options.get("dtype", natural(np.result_type(*types)))
    computing = np.dtype(np.float32) if dtype == np.float16 else dtype
    shapes = [x.shape] + [a.shape for a in (b, where) if a is not None]
    shape = np.broadcast_shapes(*shapes)
    axes = axis_of(list(options["axis"]) if isinstance(options["axis"], tuple) else options["axis"], len(shape))
    octets = x.view(np.uint8) != 0 if x.dtype == np.bool_ else x
    with np.errstate(all="ignore"):
        rows = as_rows(np.broadcast_to(octets.astype(computing).astype(WIDE), shape), axes)
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
        return [mended(one, computing) for one in found], dtype, computing


def run_reduction(memory: Memory, case: Case) -> None:
    x, passed, around, b, where, options = reduction_arguments(memory, case)
    expected, dtype, computing = reduction_expected(case, x, b, where, options)
    if case["function"] == "logsumexp_and_softmax" and dtype == np.longdouble:
        must_raise(lambda: smoothmax.logsumexp_and_softmax(passed, **options))
        return
    shape = expected[-1].value.shape if case["function"] != "logsumexp" else expected[0].value.shape
    out = output(memory, case, shape, dtype, [(passed, around)]) if "out" in case else None
    if out is not None:
        options["out"] = out
    before = kept_inputs([passed, options.get("b"), options.get("where")], out)
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
        must_be(one, wanted, names[i] if len(results) > 1 else "result", dtype, computing, stored)
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


def strictly(case: Case, call: Callable[[], Any]) -> Any:
    """The result of a call that must not warn, under the caller's np.errstate."""
    with warnings.catch_warnings(), np.errstate(all=case.get("errstate", "warn")):
        warnings.simplefilter("error")
        return call()


def must_raise(call: Callable[[], Any]) -> None:
    try:
        result = strictly({}, call)
    except KINDS as error:
        if not str(error).strip() and not isinstance(error, MemoryError):
            raise Failure(f"silent: {type(error).__name__} without a text") from None
        return
    raise Failure(f"accepted: returned {str(result)[:80]}")


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
    dtype = natural(np.result_type(natural(g.dtype) if g.dtype.kind in "iub" else g.dtype, p.dtype))
    computing = np.dtype(np.float32) if dtype == np.float16 else dtype
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
    must_be(got, expected, "product", dtype, computing, None if out is None else out.dtype)


def loss_arguments(memory: Memory, case: Case) -> tuple[Any, ...]:
    shape = case["shape"]
    axis = case["axis"] % len(shape)
    classes = shape[axis]
    rest = shape[:axis] + shape[axis + 1 :]
    x, passed, around = given(memory, case["x"], shape)
    if case["function"] == "nll_loss" and x.dtype.kind == "f":
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
    return axis, x, passed, around, targets, targets_passed, weight, options


def run_loss(memory: Memory, case: Case) -> None:
    axis, x, passed, around, targets, targets_passed, weight, options = loss_arguments(memory, case)
    shape, name = tuple(case["shape"]), case["function"]
    classes = shape[axis]
    if classes == 0 or x.size == 0:
        with contextlib.suppress(*KINDS):
            getattr(smoothmax, name)(passed, targets_passed, **options)
        return
    dtype = natural(x.dtype)
    computing = np.dtype(np.float32) if dtype == np.float16 else dtype
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
    out = None
    if name == "cross_entropy_and_grad":
        found[1] = found[1].map(lambda v: back(v, shape, (axis,)))
        out = output(memory, case, shape, dtype, [(passed, around)]) if "out" in case else None
        if out is not None:
            options["out"] = out
    before = kept_inputs([passed, targets_passed, options.get("weight")], out)
    got = strictly(case, lambda: getattr(smoothmax, name)(passed, targets_passed, **options))
    check_inputs(before)
    memory.check()
    results = got if isinstance(got, tuple) else (got,)
    for i, one in enumerate(results):
        must_be(one, found[i], ("loss", "gradient")[i], dtype, computing, None if out is None or i == 0 else out.dtype)


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
    computing = np.dtype(np.float32) if dtype == np.float16 else dtype
    with np.errstate(all="ignore"):
        found = twin.logsumexp(np.concatenate(chunks, -1), np.concatenate(weights, -1) if weighted else None,
                               np.concatenate(masks, -1), True, np.finfo(computing).eps)  # fmt: skip
    if case["keepdims"]:
        shape = [1 if i in axes else case["kept"][i] for i in range(ndim)]
        found = [one.map(lambda v: v.reshape(shape)) for one in found]
    got = strictly(case, lambda: total.result(return_sign=True))
    for one, wanted, what in zip(got, found, ("value", "sign"), strict=True):
        must_be(one, wanted, what, dtype, computing)


def run_file(memory: Memory, case: Case) -> None:
    from smoothmax.__main__ import main

    x, _, _ = given(memory, case["x"], case["shape"])
    if x.dtype == np.bool_:
        x = x.view(np.uint8) != 0
    folder = tempfile.mkdtemp(prefix="fuzz-")
    try:
        source, target = f"{folder}/x.npy", f"{folder}/y.npy"
        np.save(source, np.asarray(x, order=case["order"]))
        arguments = [case["function"], source, "-o", target, "--quiet"]
        if case["axis"] is not None:
            axis = case["axis"] if isinstance(case["axis"], list) else [case["axis"]]
            arguments.append(f"--axis={','.join(map(str, axis))}" if case["shape"] else "--axis=none")
        for name in ("dtype", "max-memory"):
            if name in case:
                arguments += [f"--{name}", case[name]]
        if case.get("keepdims"):
            arguments.append("--keepdims")
        broken = case.get("broken")
        if broken == "truncated":
            size = os.path.getsize(source)
            os.truncate(source, random.Random(case["x"]["seed"]).randrange(size))
        elif broken == "no file":
            os.remove(source)
        elif broken == "not a .npy":
            pathlib.Path(source).write_bytes(b"\x93NUMPY\x09\x00 what")
        elif broken == "axis":
            arguments.append("--axis=99")
        elif broken == "object":
            np.save(source, np.array([None, 1]), allow_pickle=True)
        elif broken == "folder":
            arguments[3] = f"{folder}/none/y.npy"
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = strictly(case, lambda: main(arguments))
        text = said.getvalue()
        if broken:
            if code != 2 or text.count("\n") != 1:
                raise Failure(f"file: code {code} and {text!r} for what is broken")
            if os.path.exists(target) or sorted(os.listdir(folder)) not in ([], ["x.npy"]):
                raise Failure(f"file: left behind {os.listdir(folder)}")
            return
        if code or text:
            raise Failure(f"file: code {code} and {text!r}")
        got = np.load(target)
        options: Case = {"axis": tuple(case["axis"]) if isinstance(case["axis"], list) else case["axis"]}
        if "dtype" in case:
            options["dtype"] = np.dtype(case["dtype"])
        if "keepdims" in case:
            options["keepdims"] = True
        expected, dtype, computing = reduction_expected(case, x, None, None, options)
        must_be(got if got.ndim else got[()], expected[0], "file", dtype, computing)
    finally:
        shutil.rmtree(folder)


def run_blocks(memory: Memory, case: Case) -> None:
    import dask
    import dask.array as da

    import smoothmax.dask

    x, passed, _, b, where, options = reduction_arguments(memory, case)
    expected, dtype, computing = reduction_expected(case, x, b, where, options)
    passed = np.asarray(passed)
    chunks = tuple(max(1, -(-n // k)) for n, k in zip(passed.shape, case["parts"], strict=True))
    blocks = da.from_array(passed, chunks=chunks)
    with dask.config.set(scheduler="synchronous"):
        result = getattr(smoothmax.dask, case["function"])(blocks, **options)
        got = dask.compute(*result) if isinstance(result, tuple) else (result.compute(),)
    for one, wanted in zip(got, expected, strict=True):
        array = np.asarray(one)
        must_be(array if array.ndim else array[()], wanted, "blocks", dtype, computing)


# Mistakes -------------------------------------------------------------------------------------------------------------

MASKED = "np.ma.masked_array([1., 2.])"
WRONG: dict[str, dict[str, tuple[str, ...]]] = {
    "any": {
        "axis": ("99", "-99", "(0, 0)", "0.5", "'0'", "[0]", "True", "(0, None)", "1j", "10**30", "(10**30,)"),
        "first": (MASKED, "'text'", "np.array(['a'])", "np.array([None])", "np.zeros(3, 'M8[s]')", "np.zeros(3, 'm8[s]')",
                  "np.zeros(2, 'V4')", "None", "[[1, 2], [3]]", "object()", "{1: 2}", "2**70", "[2**70]", "b'x'"),
    },
    "reduction": {
        "dtype": ("int", "complex", "object", "'U1'", "'nonsense'", "'i4'", "3", "np.zeros(2)", "'f8,f8'"),
        "out": ("[]", "1.0", "np.zeros((7,) * 7)", "np.zeros(SHAPE, 'i8')", "np.zeros(SHAPE, 'O')", "np.ma.zeros(SHAPE)",
                "READONLY", "np.zeros((*SHAPE, 1))", "np.zeros(SHAPE, 'M8[s]')", "'x'"),
        "where": ("1", "0.5", "None", "'x'", "np.ones((3, 7, 11), bool)[:, :5]", "np.ma.ones(3, bool)", "[None]", "np.ones(3)"),
        "b": ("'x'", "np.ones((13, 17, 19))", "np.ma.ones(2)", "np.array([None])", "object()", "np.zeros(2, 'M8[s]')", "[[1], [1, 2]]"),
    },
    "loss": {
        "targets": ("[0.5]", "'x'", "None", "np.ones((2, 3, 5, 7), int)", "-1", "10**6", "np.array(['a'])", "[[[[0]]]]", "2**70", "1.5"),
        "weight": ("[1.0, 2.0] * 50", "'x'", "[[1.0]]", "np.array([None])", "2.0", "np.ma.ones(3)", "1j"),
        "label_smoothing": ("-0.1", "1.5", "float('nan')", "'x'", "None", "10**400", "[0.1, 0.2]", "1j", "float('inf')"),
        "reduction": ("'avg'", "None", "3", "b'mean'", "['mean']", "''"),
        "ignore_index": ("1.5", "'x'", "[0]"),
        "out": ("[]", "np.zeros((7,) * 7)", "np.zeros(SHAPE, 'i8')", "READONLY", "np.ma.zeros(SHAPE)"),
    },
    "product": {
        "second": ("np.ones((2, 3, 5, 7, 11))", "'x'", "None", MASKED, "np.zeros(2, 'O')", "np.ones(SHAPE, 'D')", "np.ones(SHAPE, 'g')"),
        "out": ("[]", "np.zeros((7,) * 7)", "np.zeros(SHAPE, 'i8')", "READONLY"),
    },
    "threads": {"n": ("0", "-1", "1.5", "'2'", "None", "-2**70", "[1]", "float('nan')")},
    "stream": {
        "axis": ("0.5", "'x'", "[0]", "(0, 0)", "True"), "dtype": ("int", "complex", "'x'", "'g'"),
        "chunk": ("'x'", MASKED, "np.ones((2, 3, 4, 5))[..., :0]", "np.array([None])", "np.ones(3, 'D')", "None"),
        "other": ("None", "1", "smoothmax.LogSumExp(7)", "smoothmax.LogSumExp(keepdims=True)", "smoothmax.LogSumExp(dtype='f2').update([1.])"),
        "state": ("{}", "{'version': 99}", "None"),
    },
}  # fmt: skip


def random_mistake(r: random.Random) -> Case:
    kind = r.choice(["reduction", "reduction", "reduction", "loss", "loss", "product", "threads", "stream"])
    case: Case = {"do": "mistake", "kind": kind}
    choices = WRONG[kind]
    if kind in ("reduction", "loss", "product"):
        names = {"reduction": REDUCTIONS, "product": ("softmax_vjp", "log_softmax_vjp"),
                 "loss": ("cross_entropy", "cross_entropy_and_grad", "nll_loss", "log_prob")}[kind]  # fmt: skip
        case["function"] = r.choice(names)
        choices = choices | WRONG["any"]
        case["shape"] = [r.randint(1, 5) for _ in range(r.choice([1, 2, 2, 3]))]
        case["dtype"] = r.choice(["f4", "f8", "f2", "i4", "?"])
    argument = r.choice(list(choices))
    case["argument"], case["value"] = argument, r.choice(choices[argument])
    return case


def run_mistake(memory: Memory, case: Case) -> None:  # noqa: ARG001
    shape = tuple(case.get("shape", ()))
    readonly = np.zeros(shape)
    readonly.flags.writeable = False
    names = {"np": np, "smoothmax": smoothmax, "SHAPE": shape, "READONLY": readonly}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = eval(case["value"], names)
        except Exception:
            return  # NumPy makes no such array
    argument, kind, text = case["argument"], case["kind"], case["value"]
    if kind == "threads":
        before = smoothmax.get_num_threads()
        try:
            must_raise(lambda: smoothmax.set_num_threads(value))
            must_raise(lambda: smoothmax.num_threads(value).__enter__())
        finally:
            smoothmax.set_num_threads(before)
        return
    if kind == "stream":
        calls: dict[str, Callable[[], Any]] = {
            "axis": lambda: smoothmax.LogSumExp(value).update(np.ones((2, 3))),
            "dtype": lambda: smoothmax.LogSumExp(dtype=value),
            "chunk": lambda: smoothmax.LogSumExp(1).update(np.ones((2, 2))).update(value),
            "other": lambda: smoothmax.LogSumExp().update([1.0]).merge(value),
            "state": lambda: smoothmax.LogSumExp().__setstate__(value),
        }
        try:
            must_raise(calls[argument])
        except (KeyError, AttributeError) as error:
            if argument != "state":
                raise Failure(f"error: {type(error).__name__}: {error}") from error
        return
    name = case["function"]
    if argument == "b" and name != "logsumexp":
        return
    if argument == "out" and name in ("cross_entropy", "nll_loss", "log_prob"):
        return
    if name == "log_prob" and argument in ("weight", "label_smoothing", "reduction", "ignore_index"):
        return
    x = np.ones(shape, case["dtype"])
    options: Case = {}
    arguments: list[Any] = [x]
    if kind == "loss":
        arguments.append(np.zeros(shape[:-1], np.int64))
        if argument == "axis" and text in ("True",):
            return
        if argument == "axis" and text.startswith(("(0", "(10")):
            pass
    elif kind == "product":
        arguments.append(np.ones(shape))
    if argument == "first":
        arguments[0] = value
    elif argument == "second" or argument == "targets":
        arguments[1] = value
    else:
        options[argument] = value
    if kind == "reduction" and name == "logsumexp" and argument == "out" and "SHAPE" in text and "axis" not in options:
        options["axis"] = ()  # so that the shape is right, and only the type is wrong
    if argument == "out" and text == "READONLY" and name == "logsumexp":
        options["axis"] = ()
    if harmless(case, value, shape):
        return
    must_raise(lambda: getattr(smoothmax, name)(*arguments, **options))


def harmless(case: Case, value: Any, shape: tuple[int, ...]) -> bool:
    """Whether this is legal after all."""
    argument, text = case["argument"], case["value"]
    if argument == "targets" and text in ("[0.5]",):
        return bool(shape == (1,))  # a probability for one class
    if argument == "weight" and text.startswith("[1.0, 2.0]"):
        return bool(shape[-1] == 100)
    if argument == "weight" and text in ("[[1.0]]", "np.ma.ones(3)", "2.0"):
        return False
    if argument in ("where", "b") and type(value) is np.ndarray and value.dtype.kind in "bf":
        with contextlib.suppress(ValueError):
            np.broadcast_shapes(value.shape, shape)
            return argument == "b" or value.dtype == np.bool_
    return argument == "dtype" and value is None


# One call, and many ---------------------------------------------------------------------------------------------------

RUNNERS: dict[str, Callable[[Memory, Case], None]] = {
    "reduction": run_reduction, "product": run_product, "loss": run_loss, "stream": run_stream, "file": run_file,
    "blocks": run_blocks, "mistake": run_mistake,
}  # fmt: skip


def run(case: Case) -> None:
    """Make the call; raise Failure if it does what it must not."""
    memory = Memory()
    threads = smoothmax.get_num_threads()
    try:
        if "threads" in case:
            smoothmax.set_num_threads(case["threads"])
        with np.errstate(all="ignore"):
            RUNNERS[case["do"]](memory, case)
    except Failure:
        raise
    except Warning as warning:
        raise Failure(f"warning: {warning}") from warning
    except Exception as error:
        inside = [f for f in traceback.extract_tb(error.__traceback__) if "tools" not in f.filename]
        where = f" in {os.path.basename(inside[-1].filename)}" if inside else ""
        raise Failure(f"error: {type(error).__name__}: {str(error)[:200]}{where}") from error
    finally:
        smoothmax.set_num_threads(threads)
        memory.release()


def kind_of(failure: str) -> str:
    return failure.split(":")[0] + (failure.split(":")[1] if failure.startswith(("error", "died")) else "")


def in_a_child(work: Callable[[mmap.mmap], None], seconds: float = HANGS) -> tuple[str, bytes]:
    """Do the work in a fork, which may die; how it ended ("" if well), and the memory it shares with this process."""
    shared = mmap.mmap(-1, 1 << 20)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            work(shared)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    last, since = shared[:8], time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if shared[:8] != last:
            last, since = shared[:8], time.monotonic()
        elif time.monotonic() - since > seconds:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "died: hung", shared[:]
        time.sleep(0.002)
    if os.WIFSIGNALED(status):
        return f"died: {signal.Signals(os.WTERMSIG(status)).name}", shared[:]
    return ("" if os.WEXITSTATUS(status) == 0 else f"died: exit code {os.WEXITSTATUS(status)}"), shared[:]


def outcome(case: Case) -> str:
    """How a call fails in a child of its own; "" if it does not."""

    def work(shared: mmap.mmap) -> None:
        try:
            run(case)
        except Failure as failure:
            text = str(failure).encode()[:4000]
            shared[16 : 20 + len(text)] = struct.pack("<I", len(text)) + text

    ended, memory = in_a_child(work, 30)
    length = struct.unpack_from("<I", memory, 16)[0]
    return ended or memory[20 : 20 + length].decode(errors="replace")


def smaller(case: Case) -> Iterator[Case]:
    """Calls that are a little simpler."""
    for name in ("out", "b", "where", "dtype", "keepdims", "return_sign", "threads", "errstate", "weight", "label_smoothing",
                 "ignore_index", "max-memory"):  # fmt: skip
        if name in case:
            yield {k: v for k, v in case.items() if k != name}
    if len(case.get("steps", ())) > 1:
        for i in range(len(case["steps"])):
            yield case | {"steps": case["steps"][:i] + case["steps"][i + 1 :]}
    for name in ("shape", "kept"):
        for i, n in enumerate(case.get(name, ())):
            for less in sorted({1, 2, 3, n // 2, n - n // 8 - 1, n - 1}):
                if 0 < less < n:
                    yield case | {name: case[name][:i] + [less] + case[name][i + 1 :]}
    for name, part in case.items():
        if name == "steps":
            for i, step in enumerate(part):
                for one in smaller(step):
                    yield case | {"steps": [*part[:i], one, *part[i + 1 :]]}
        if not isinstance(part, dict):
            continue
        for key in ("as", "wide", "readonly"):
            if key in part:
                yield case | {name: {k: v for k, v in part.items() if k != key}}
        for key in part.get("how", {}):
            if key != "guard":
                yield case | {name: part | {"how": {k: v for k, v in part["how"].items() if k != key}}}
        if name in ("x", "g", "p") and part["numbers"] not in ("equal", "small"):
            yield case | {name: part | {"numbers": "equal"}}
            yield case | {name: part | {"numbers": "small"}}
        if part.get("dtype") not in ("f8", "f4", "?", None) and name in ("x", "b", "g", "p"):
            yield case | {name: part | {"dtype": "f8"}}
        if name in ("b", "where") and not all(part.get("used", [True])):
            yield case | {name: part | {"used": [True] * len(part["used"]), "drop": 0, "how": {"guard": "end"}}}


def shrunk(case: Case, failure: str, most: int = 300) -> tuple[Case, str]:
    tries = 0
    again = True
    while again and tries < most:
        again = False
        for one in smaller(case):
            tries += 1
            found = outcome(one)
            if found and kind_of(found) == kind_of(failure):
                case, failure, again = one, found, True
                break
            if tries >= most:
                break
    return case, failure


def report(case: Case, failure: str, seed: int | None) -> None:
    print(f"\nFAILED{'' if seed is None else f' (call {seed})'}: {failure}")
    small, said = shrunk(case, failure)
    print(f"the smallest that fails: {said}")
    print('    import sys; sys.path.insert(0, "tools")\n    import fuzz')
    print(f"    fuzz.run({small!r})", flush=True)


def fuzz(seed: int, calls: float, seconds: float, most: int) -> int:
    began, made, failures, counts = time.monotonic(), 0, 0, Counter[str]()
    seen: Counter[str] = Counter()
    number = seed << 32
    while made < calls and time.monotonic() - began < seconds and failures < most:
        batch = int(min(BATCH, calls - made))

        def work(shared: mmap.mmap, first: int = number, batch: int = batch) -> None:
            counted: Counter[str] = Counter()
            for i in range(batch):
                shared[:8] = struct.pack("<q", i)
                case = random_case(first + i)
                counted[case["do"]] += 1
                try:
                    run(case)
                except Failure as failure:
                    text = str(failure).encode()[:4000]
                    shared[16 : 20 + len(text)] = struct.pack("<I", len(text)) + text
                    return
                finally:
                    text = json.dumps(counted).encode()
                    shared[8192 : 8196 + len(text)] = struct.pack("<I", len(text)) + text
                if time.monotonic() - began > seconds:
                    break
            shared[:8] = struct.pack("<q", i + 1)

        ended, memory = in_a_child(work)
        done = struct.unpack_from("<q", memory)[0]
        length = struct.unpack_from("<I", memory, 16)[0]
        failure = ended or memory[20 : 20 + length].decode(errors="replace")
        counted = struct.unpack_from("<I", memory, 8192)[0]
        counts.update(json.loads(memory[8196 : 8196 + counted] or "{}"))
        if failure:
            case = random_case(number + done)
            if described := known(case, failure):
                counts[described] += 1
                made, number = made + done + 1, number + done + 1
                continue
            key = f"{case['do']} {kind_of(failure)} {case.get('argument', '')} {case.get('value', '')}"
            seen[key] += 1
            if seen[key] <= 3:
                failures += 1
                report(case, failure, number + done)
            done += 1
        made += done
        number += done
    print(f"seed {seed}: {made:,} calls in {time.monotonic() - began:.0f} s ({dict(counts)}), {failures} failures")
    for key, count in seen.items():
        print(f"  {count:5} {key}")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="a fresh one unless given")
    parser.add_argument("--calls", type=float, default=INF)
    parser.add_argument("--seconds", type=float, default=INF)
    parser.add_argument("--failures", type=int, default=20, help="end after so many")
    parser.add_argument("--case", help="make one call, as a failure prints it")
    options = parser.parse_args()
    if options.case:
        failure = outcome(eval(options.case, {"nan": NAN, "inf": INF}))
        print(failure or "as it should be")
        return 1 if failure else 0
    seed = random.SystemRandom().randrange(1 << 24) if options.seed is None else options.seed
    if options.calls == INF and options.seconds == INF:
        options.seconds = 120
    print(f"seed {seed}", flush=True)
    with contextlib.suppress(ImportError):  # once, and not in each child
        pass
    return fuzz(seed, options.calls, options.seconds, options.failures)


if __name__ == "__main__":
    sys.exit(main())
