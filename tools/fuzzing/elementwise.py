"""Make a described call of a ufunc, or of a product of matrices, and compare it with its twin."""

from __future__ import annotations

from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import given
from fuzzing.checks import check_inputs, kept_inputs, must_be, natural, output
from fuzzing.expected import WIDE, Expected
from fuzzing.floats import computing_type, promoted
from fuzzing.memo import numbers_of, remembered
from fuzzing.memory import Failure, Memory
from fuzzing.rules import strictly

Array = np.ndarray[Any, Any]
Case = dict[str, Any]


def matmul_expected(case: Case, a: Array, b: Array, merged: bool = False) -> tuple[Expected, Any]:
    dtype = np.dtype(case["dtype"]) if "dtype" in case else natural(promoted(a.dtype, b.dtype))
    computing = computing_type(dtype)
    with np.errstate(all="ignore"):
        wide = [np.asarray(x.view(np.uint8) != 0 if x.dtype == np.bool_ else x).astype(computing).astype(WIDE)
                for x in (a, b)]  # fmt: skip
        left, right = wide[0][None] if a.ndim == 1 else wide[0], wide[1][:, None] if b.ndim == 1 else wide[1]
        expected = twin.matmul(left, right, np.finfo(computing).eps, case["exact"], merged)
        if a.ndim == 1:
            expected = expected.map(lambda v: v[..., 0, :])
        if b.ndim == 1:
            expected = expected.map(lambda v: v[..., 0])
    return expected, dtype


def run_matmul(memory: Memory, case: Case) -> list[Any]:
    (a, a_passed, a_around), (b, b_passed, b_around) = (given(memory, case[key], case[key]["shape"]) for key in "ab")
    options: Case = {"exact": case["exact"]}
    expected, dtype = remembered(numbers_of(case), lambda: matmul_expected(case, a, b))
    if "dtype" in case:
        options["dtype"] = dtype
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
    return [got]


def ufunc_expected(name: str, operands: tuple[Array, ...]) -> tuple[Expected, Any]:
    dtype = natural(np.result_type(*operands))
    with np.errstate(all="ignore"):
        wide = [(x.view(np.uint8) != 0 if x.dtype == np.bool_ else x).astype(dtype).astype(WIDE) for x in operands]
        return twin.elementwise(name, *np.broadcast_arrays(*wide)), dtype


def run_ufunc(memory: Memory, case: Case) -> list[Any]:
    shape, name = case["shape"], case["function"]
    operands, passed, arounds = zip(
        *(given(memory, case[key], shape) for key in ("x", "y") if key in case), strict=True
    )
    expected, dtype = remembered(numbers_of(case), lambda: ufunc_expected(name, operands))
    inputs = list(zip(passed, arounds, strict=True))
    out = output(memory, case, expected.value.shape, dtype, inputs) if "out" in case else None
    if out is not None and out.dtype.itemsize < dtype.itemsize:
        case = {**case, "errstate": "ignore"}  # NumPy warns of overflow in its own cast
    before = kept_inputs(list(passed), out)
    got = strictly(case, lambda: getattr(smoothmax, name)(*passed, **({} if out is None else {"out": out})))
    check_inputs(before)
    memory.check()
    must_be(got, expected, "result", dtype, None if out is None else out.dtype)
    return [got]
