"""Rows and partial sums through the functions of the C interface, at their addresses.

They must give the bits of a call with a contiguous array, within the bounds of the twin, and not touch memory beside
the row.
"""

from __future__ import annotations

import ctypes
import random
from ctypes import c_double, c_float, c_ssize_t, c_void_p
from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import given
from fuzzing.checks import bits_of, check_inputs, kept_inputs, must_be
from fuzzing.expected import WIDE, Expected
from fuzzing.kinds import NUMBERS
from fuzzing.memo import numbers_of, remembered
from fuzzing.memory import Failure, Memory
from fuzzing.shapes import random_array, random_layout, random_shape
from smoothmax._c.functions import addresses

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
ADDRESSES = addresses()
SUFFIXES = {"f8": "f64", "f4": "f32"}
REALS = {"f8": c_double, "f4": c_float}


def random_row(r: random.Random) -> Case:
    shape = random_shape(r)
    n = max(shape, default=1)
    case: Case = {"do": "row of C", "function": r.choice(["logsumexp", "softmax", "log_softmax", "partial sums"])}
    case |= {"shape": [n], "x": random_array(r, 1, ("f4", "f8"), NUMBERS, True)}
    for name in ("as", "readonly"):
        case["x"].pop(name, None)
    case["x"]["how"].pop("shift", None)  # addresses in C must be aligned
    if case["function"] == "partial sums":
        case["cuts"] = sorted(r.randint(0, n) for _ in range(r.randint(0, 4)))
        case["sums"] = [r.randrange(2) for _ in range(len(case["cuts"]) + 1)]
    elif case["function"] != "logsumexp":
        case["to"] = {"is": r.choice(["fresh", "fresh", "input"]), "how": random_layout(r, 1) | {"shift": 0}}
    return case


def in_c(name: str, dtype: str, result: Any, *arguments: Any) -> Any:
    types = [c_ssize_t if isinstance(one, int) else c_void_p for one in arguments]
    function = ctypes.CFUNCTYPE(result, *types)(ADDRESSES[f"smoothmax_{name}_{SUFFIXES[dtype]}"])
    return function(*arguments)


def pointer(x: Array) -> c_void_p:
    return c_void_p(x.__array_interface__["data"][0])


def stride_of(x: Array) -> int:
    return x.strides[0] // x.itemsize


def row_expected(case: Case, x: Array) -> Expected:
    name, rows, everywhere = case["function"], x.astype(WIDE), np.ones(x.shape, bool)
    with np.errstate(all="ignore"):
        if name in ("softmax", "log_softmax"):
            return {"softmax": twin.softmax, "log_softmax": twin.log_softmax}[name](rows, everywhere)
        return twin.logsumexp(rows, None, everywhere, False, np.finfo(x.dtype).eps, name == "logsumexp")[0]


def run_row(memory: Memory, case: Case) -> list[Any]:
    strong, x, _ = given(memory, case["x"], case["shape"])
    name, dtype = case["function"], case["x"]["dtype"]
    expected = remembered(numbers_of(case), lambda: row_expected(case, strong))
    if name in ("logsumexp", "partial sums"):
        before = kept_inputs([x], None)
        sum_of = added_up if name == "partial sums" else logarithm
        got: Any = np.dtype(dtype).type(sum_of(case, x))
        check_inputs(before)
    else:
        got = x
        if case["to"]["is"] == "fresh":
            got, around = memory.place(x.shape, dtype, case["to"]["how"])
            memory.watch(got, around)
        in_c(name, dtype, None, pointer(x), len(x), stride_of(x), pointer(got), stride_of(got))
        memory.check()
    must_be(got, expected, "result", np.dtype(dtype))
    if name != "partial sums" and bits_of(got) != bits_of(getattr(smoothmax, name)(strong)):
        raise Failure("bits: not those of the call of a contiguous array")
    return []


def logarithm(case: Case, x: Array) -> float:
    dtype = case["x"]["dtype"]
    return float(in_c("logsumexp", dtype, REALS[dtype], pointer(x), len(x), stride_of(x)))


def added_up(case: Case, x: Array) -> float:
    """Absorb pieces into several partial sums, and merge these."""
    dtype = case["x"]["dtype"]
    sums = [(c_double * 4)(*[np.nan] * 4) for _ in range(2)]
    for one in sums:
        in_c("partial_sum_init", dtype, None, one)
    ends = [0, *case["cuts"], len(x)]
    for begin, end, which in zip(ends[:-1], ends[1:], case["sums"], strict=True):
        piece = x[begin:end]
        in_c("partial_sum_absorb", dtype, None, sums[which], pointer(piece), len(piece), stride_of(x))
    in_c("partial_sum_merge", dtype, None, *sums)
    return float(in_c("partial_sum_result", dtype, REALS[dtype], sums[0]))
