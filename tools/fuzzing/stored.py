"""Calls of the command on files, and of Dask arrays, drawn at random: those of arrays in memory, cut and stored."""

from __future__ import annotations

import math
import random
from typing import Any

from fuzzing import floats
from fuzzing.descriptions import (
    REDUCTIONS,
    WEIGHTED,
    random_draws,
    random_loss,
    random_matmul,
    random_reduction,
    random_top,
)
from fuzzing.kinds import NUMBERS, SCALES, addend_type, common
from fuzzing.scans import random_scan, random_segments
from fuzzing.shapes import random_array, random_axis, random_layout, random_shape

Case = dict[str, Any]


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


def random_parts(r: random.Random, shape: list[int], most: int = 20) -> list[int]:
    """How many blocks there are along each axis: a dozen or two together, because a graph of more takes long."""
    parts = [r.randint(1, 5) for _ in shape]
    while math.prod(parts) > most:
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


def random_multiplied_blocks(r: random.Random) -> Case:
    """Dask's logmatmulexp; the blocks of both along the axis that is summed over may differ."""
    case = random_matmul(r)
    for name in ("out", "again"):
        case.pop(name, None)
    for name in "ab":
        case[name].pop("as", None)
        if case[name]["dtype"] == "g":
            case[name]["dtype"] = "f8"
    return case | {"do": "multiplied blocks", "parts": {name: random_parts(r, case[name]["shape"], 8) for name in "ab"}}


def random_scored_blocks(r: random.Random) -> Case:
    """Dask's top_log_probs and categorical."""
    case: Case = {"shape": [1 << 30]}
    while math.prod(case["shape"]) > 20_000:
        case = random_top(r) if r.random() < 0.6 else random_draws(r)
    case.pop("again", None)
    if case["x"]["dtype"] == "g":
        case["x"]["dtype"] = "f8"
    parts = random_parts(r, case["shape"])
    if case["do"] == "draws" and r.random() < 0.9:
        parts[case["axis"]] = 1
    return case | {"of": case["do"], "do": "scored blocks", "parts": parts}


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
