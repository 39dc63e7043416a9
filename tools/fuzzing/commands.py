"""The command's ufuncs, products and scores of files: drawn at random, in small blocks, and held against one call.

The functions themselves are held against their twins elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from fuzzing.memory import Failure, Memory
from fuzzing.rules import strictly

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None

UFUNCS = {"logaddexp": 2, "logsubexp": 2, "log1mexp": 1, "log1pexp": 1, "log_expit": 1}
DTYPES = ("f4", "f8", "f2", ">f4", ">f8", "i4", "u8", "?", "g")


def random_lengths(r: random.Random, most: int = 3) -> list[int]:
    return [r.choice([0, 1, 2, 3, 5, 7, 12, 30, 48, 49, 80]) for _ in range(r.randint(1, most))]


def random_command(r: random.Random) -> Case:
    function = r.choice([*UFUNCS, "logmatmulexp", "logmatmulexp", *["top_log_probs", "categorical"] * 2])
    shape = random_lengths(r)
    case: Case = {
        "do": "command", "function": function, "shape": shape, "seed": r.randrange(10**6),
        "dtypes": [r.choice(DTYPES) for _ in range(2)], "orders": [r.choice("CCF") for _ in range(2)],
        "special": r.random() < 0.2, "megabyte": r.choice([3000, 20_000, 20_000, 10**6]), "options": [],
    }  # fmt: skip
    if UFUNCS.get(function) == 2:
        kept = r.randrange(len(shape) + 1)
        case["second"] = [n if r.random() < 0.7 else 1 for n in shape[kept:]]
    elif function == "logmatmulexp":
        case["shape"] = [*(r.randint(1, 9) for _ in range(len(shape) - 1)), r.choice([1, 2, 30]), r.choice([1, 3, 40])]
        case["second"] = [*case["shape"][:-2], case["shape"][-1], r.choice([1, 2, 17])][-r.choice([2, 3]) :]
        case["options"] = r.choice([[], ["--exact"]])
    elif function not in UFUNCS:
        axis = r.randrange(-len(shape), len(shape))
        case["options"] = [f"--axis={axis}"]
        # The least that --max-memory takes holds enough rows for the route of all rows. So must this.
        case["megabyte"] = max(case["megabyte"], 40_000)
        if function == "top_log_probs":
            case["options"].append(f"-k{r.choice([0, 1, shape[axis], r.randint(0, shape[axis])])}")
        else:
            case["options"] += [f"--seed={r.randrange(100)}", f"--scale={r.choice([1, 1, 0.5, -2])}"]
            if r.random() < 0.5:
                beside = [n for i, n in enumerate(shape) if i != axis % len(shape)]
                size = [r.choice([1, 4, 300]), *(n if n != 1 else r.choice([1, 5]) for n in beside)]
                case["options"].append(f"--size={','.join(map(str, size))}")
    if r.random() < 0.2 and function not in ("top_log_probs", "categorical"):
        case["options"].append(f"--dtype={r.choice(['float32', 'float64', 'float16', 'longdouble'])}")
    return case


def array_of(case: Case, shape: list[int], i: int) -> Array:
    rng = np.random.default_rng([case["seed"], i])
    x = rng.normal(size=shape) * 10
    if case["special"] and x.size:
        x.flat[:: max(x.size // 3, 1)] = rng.choice([np.inf, -np.inf, np.nan])
    kind = np.dtype(case["dtypes"][i])
    if kind.kind in "iub":
        x = np.abs(np.nan_to_num(x, posinf=9, neginf=0)).round()
    return np.array(x, kind, order=case["orders"][i])


def expected(case: Case, arrays: list[Array]) -> tuple[Array, ...]:
    import smoothmax

    given = dict(option.lstrip("-").split("=") for option in case["options"] if "=" in option)
    keywords: Case = {"dtype": given["dtype"]} if "dtype" in given else {}
    if "axis" in given:
        keywords["axis"] = int(given["axis"])
    if case["function"] == "logmatmulexp":
        keywords["exact"] = "--exact" in case["options"]
    elif case["function"] == "top_log_probs":
        keywords["k"] = int(case["options"][1][2:])
    elif case["function"] == "categorical":
        keywords |= {"rng": int(given["seed"]), "scale": float(given["scale"])}
        keywords["size"] = tuple(map(int, given["size"].split(","))) if "size" in given else None
    with np.errstate(all="ignore"):  # NumPy's casts warn
        result = getattr(smoothmax, case["function"])(*arrays, **keywords)
    return result if isinstance(result, tuple) else (np.asarray(result),)


@contextlib.contextmanager
def small_blocks(megabyte: int) -> Iterator[None]:
    """Let a megabyte of --max-memory have so many bytes, and short stretches of a file be read fast enough."""
    from smoothmax._cli import values
    from smoothmax._scale import blocks

    before = blocks.STRETCH_MIN_BYTES
    values.UNITS["mb"], blocks.STRETCH_MIN_BYTES = megabyte, 64
    try:
        yield
    finally:
        values.UNITS["mb"], blocks.STRETCH_MIN_BYTES = 10**6, before


def must_be_close(case: Case, got: Array, wanted: Array) -> None:
    """The same shape, type and values. np.matmul may add in another order in a block."""
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype.newbyteorder("=")):
        raise Failure(f"command: {got.shape} {got.dtype} instead of {wanted.shape} {wanted.dtype}")
    if case["function"] == "logmatmulexp":
        eps = np.finfo(np.float32 if wanted.dtype == np.float16 else wanted.dtype).eps
        near = max(100 * float(eps), float(np.finfo(wanted.dtype).eps))
        same = np.allclose(got.astype("g"), wanted.astype("g"), rtol=near, atol=near, equal_nan=True)
    else:
        same = np.array_equal(got, wanted, equal_nan=wanted.dtype.kind == "f")
    if not same:
        raise Failure("command: other results than of one call")


def run_command(_: Memory, case: Case) -> list[Any]:
    from smoothmax.__main__ import main

    shapes = [case["shape"], *([case["second"]] if "second" in case else [])]
    arrays = [array_of(case, shape, i) for i, shape in enumerate(shapes)]
    folder = tempfile.mkdtemp(prefix="fuzz-", dir=IN_MEMORY)
    try:
        names = [f"{folder}/x{i}.npy" for i in range(len(arrays))]
        for name, x in zip(names, arrays, strict=True):
            np.save(name, x)
        outputs = [f"{folder}/y.npy", f"{folder}/z.npy"][: 1 + (case["function"] == "top_log_probs")]
        arguments = [case["function"], *names, "-o", outputs[0], *case["options"], "--quiet", "--max-memory=1MB"]
        arguments += [f"--indices={path}" for path in outputs[1:]]
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said), small_blocks(case["megabyte"]):
            code = strictly(case, lambda: main(arguments))
        text = said.getvalue()
        kept = sorted(names + (outputs if code == 0 else []))
        if sorted(f"{folder}/{name}" for name in os.listdir(folder)) != kept:
            raise Failure(f"command: left behind {os.listdir(folder)}")
        if code == 2 and case["megabyte"] < 10**6 and text.startswith("smoothmax: error: max-memory must hold "):
            return []
        try:
            results = expected(case, arrays)
        except (TypeError, ValueError) as error:
            if code != 2 or (case["function"] != "logaddexp" and text != f"smoothmax: error: {error}\n"):
                raise Failure(f"command: code {code} and {text!r} where a call says {error}") from None
            return []
        if code or text:
            raise Failure(f"command: code {code} and {text!r}")
        for path, wanted in zip(outputs, results, strict=True):
            must_be_close(case, np.load(path), wanted)
        return []
    finally:
        shutil.rmtree(folder)
