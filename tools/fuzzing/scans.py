"""Draw and make calls of cumulative sums and of segments, and compute the right results."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import as_rows, back, given
from fuzzing.checks import check_inputs, kept_inputs, mended, must_be, must_keep_order, natural, output
from fuzzing.expected import WIDE, Expected
from fuzzing.floats import computing_type
from fuzzing.kinds import DTYPES, NUMBERS, common, random_types
from fuzzing.memo import numbers_of, remembered
from fuzzing.memory import Failure, Memory
from fuzzing.rules import must_raise, strictly
from fuzzing.shapes import random_array, random_layout, random_shape

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
SEGMENTS = ("segment_logsumexp", "segment_softmax", "segment_log_softmax")
MOST = 1_000_000  # segments; there may be no memory for more
INTEGERS = ("i8", "i8", "i4", "u8", "u4", "i2", ">i8")


def random_scan(r: random.Random) -> Case:
    shape = random_shape(r)
    case: Case = {"do": "scan", "function": "logcumsumexp", "shape": shape}
    case["x"] = random_array(r, len(shape), random_types(r), NUMBERS, True)
    case["axis"] = r.randrange(-len(shape), len(shape)) if shape and r.random() < 0.8 else None
    for name in ("reverse", "exclusive"):
        if r.random() < 0.3:
            case[name] = True
    if r.random() < 0.15:
        case["dtype"] = r.choice(DTYPES)
    return common(r, case)


def random_offsets(r: random.Random, n: int) -> list[int]:
    """Few or many segments, whose lengths are similar, arbitrary, or mostly 0."""
    count = r.choice([1, 2, 3, r.randint(1, 12), r.randint(1, max(1, min(n, 400))), max(1, n // 3)])
    if r.random() < 0.3:
        some = [i * n // count for i in range(1, count)]
    elif r.random() < 0.2:
        some = [r.choice([0, n, n // 2]) for _ in range(count - 1)]
    else:
        some = [r.randint(0, n) for _ in range(count - 1)]
    return [0, *sorted(some), n]


def random_segments(r: random.Random) -> Case:
    shape = random_shape(r) or [r.randint(1, 40)]
    case: Case = {"do": "segments", "function": r.choice(SEGMENTS), "shape": shape}
    case["x"] = random_array(r, len(shape), random_types(r), NUMBERS, True)
    case["axis"] = r.choice([0, 0, r.randrange(-len(shape), len(shape))])
    case["at"] = random_offsets(r, shape[case["axis"]])
    case["offsets"] = {"dtype": r.choice(INTEGERS), "how": random_layout(r, 1)}
    if shape[case["axis"]] > 30_000:
        case["offsets"]["dtype"] = "i8"
    if r.random() < 0.15:
        case["dtype"] = r.choice(DTYPES)
    return common(r, case)


def random_ids(r: random.Random) -> Case:
    """Sorted group numbers, or group numbers with a wrong one."""
    count = r.randint(1, 40)
    ids = sorted(r.randrange(count) for _ in range(r.choice([0, 1, 5, 60, 700])))
    case: Case = {"do": "ids", "ids": ids, "dtype": r.choice(INTEGERS), "how": random_layout(r, 1)}
    if r.random() < 0.6:
        case["num_segments"] = r.choice([count, max(ids, default=-1) + 1, r.randint(-2, 60)])
    if ids and r.random() < 0.3:
        ids[r.randrange(len(ids))] = r.choice([-1, 0, count, 10_000])
    return case


def scan_expected(case: Case, x: Array) -> tuple[Expected, Any]:
    """The right result in its shape, and its type."""
    dtype = np.dtype(case["dtype"]) if "dtype" in case else natural(x.dtype)
    octets = x.view(np.uint8) != 0 if x.dtype == np.bool_ else x
    with np.errstate(all="ignore"):
        elements = octets.astype(computing_type(dtype)).astype(WIDE)
        if case["axis"] is None:
            elements = elements.reshape(-1)
        axes = ((case["axis"] or 0) % elements.ndim,)
        rows = as_rows(elements, axes)
        found = twin.logcumsumexp(rows, bool(case.get("reverse")), bool(case.get("exclusive")))
        found = mended(found, computing_type(dtype))
        return found.map(lambda v: back(v, elements.shape, axes)), dtype


def run_scan(memory: Memory, case: Case) -> list[Any]:
    x, passed, around = given(memory, case["x"], case["shape"])
    expected, dtype = remembered(numbers_of(case), lambda: scan_expected(case, x))
    options: Case = {name: case[name] for name in ("reverse", "exclusive", "axis") if name in case}
    return [made(memory, case, smoothmax.logcumsumexp, [passed], options, expected, dtype, around)]


def segments_expected(case: Case, x: Array) -> tuple[Expected, Any]:
    dtype = np.dtype(case["dtype"]) if "dtype" in case else natural(x.dtype)
    computing = computing_type(dtype)
    octets = x.view(np.uint8) != 0 if x.dtype == np.bool_ else x
    axis = case["axis"] % x.ndim
    with np.errstate(all="ignore"):
        rows = as_rows(octets.astype(computing).astype(WIDE), (axis,))
        found = mended(twin.segments(case["function"], rows, case["at"], np.finfo(computing).eps), computing)
    shape = list(x.shape)
    if case["function"] == "segment_logsumexp":
        shape[axis] = len(case["at"]) - 1
    return found.map(lambda v: back(v, tuple(shape), (axis,))), dtype


def offsets_of(memory: Memory, case: Case) -> Array:
    part = case["offsets"]
    offsets = memory.place((len(case["at"]),), part["dtype"], part["how"])[0]
    offsets[...] = case["at"]
    return offsets


def run_segments(memory: Memory, case: Case) -> list[Any]:
    x, passed, around = given(memory, case["x"], case["shape"])
    expected, dtype = remembered(numbers_of(case), lambda: segments_expected(case, x))
    arguments = [passed, offsets_of(memory, case)]
    function = getattr(smoothmax, case["function"])
    return [made(memory, case, function, arguments, {"axis": case["axis"]}, expected, dtype, around)]


def made(
    memory: Memory, case: Case, function: Any, arguments: list[Any], options: Case, expected: Expected, dtype: Any,
    around: Array,
) -> Any:  # fmt: skip
    """The result of the call, after it has been checked."""
    if "dtype" in case:
        options["dtype"] = dtype
    out = output(memory, case, expected.value.shape, dtype, [(arguments[0], around)]) if "out" in case else None
    if out is not None:
        options["out"] = out
    before = kept_inputs(arguments, out)
    got = strictly(case, lambda: function(*arguments, **options))
    check_inputs(before)
    memory.check()
    if out is not None and got is not out:
        raise Failure("type: what is returned is not out")
    must_be(got, expected, "result", dtype, None if out is None else out.dtype)
    if out is None and case["function"] != "segment_logsumexp":
        must_keep_order(case["x"], arguments[0], got)
    return got


def run_ids(memory: Memory, case: Case) -> list[Any]:
    ids = memory.place((len(case["ids"]),), case["dtype"], case["how"])[0]
    with np.errstate(all="ignore"):
        ids[...] = np.asarray(case["ids"], np.int64).astype(case["dtype"])
    options = {"num_segments": case["num_segments"]} if "num_segments" in case else {}
    numbers = [int(one) for one in ids]
    count = options.get("num_segments", max(numbers, default=-1) + 1)
    if not 0 <= count <= MOST or numbers != sorted(numbers) or any(not 0 <= one < count for one in numbers):
        must_raise(lambda: smoothmax.offsets_from_ids(ids, **options))
        return []
    got = strictly(case, lambda: smoothmax.offsets_from_ids(ids, **options))
    wanted = np.searchsorted(numbers, range(count + 1)) if numbers else np.zeros(count + 1, np.intp)
    if got.dtype != np.intp or not np.array_equal(got, wanted):
        raise Failure(f"value: offsets {got}")
    return [got]
