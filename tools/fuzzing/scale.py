"""Make a described call of the command on a file or a store, or of Dask arrays, and compare it with its twin."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import random
import shutil
import tempfile
from typing import Any

import numpy as np

from fuzzing.arrays import given
from fuzzing.checks import must_be
from fuzzing.elementwise import matmul_expected
from fuzzing.expected import Expected
from fuzzing.losses import loss_arguments, loss_expected
from fuzzing.memory import Failure, Memory
from fuzzing.reductions import reduction_arguments, reduction_expected
from fuzzing.rules import KINDS, must_raise, strictly
from fuzzing.scans import offsets_of, scan_expected, segments_expected
from fuzzing.scores import checked_draws, checked_top

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a disk would take three times as long


def save(path: str, x: Array, case: Case) -> None:
    if path.endswith(".npy"):
        np.save(path, np.asarray(x, order=case["order"]))
        return
    import zarr

    chunks = tuple(max(1, -(-n // k)) for n, k in zip(x.shape, case["parts"], strict=True))
    store = zarr.open(path, mode="w", shape=x.shape, chunks=chunks, dtype=x.dtype)
    store[...] = x


def load(path: str) -> Array:
    if path.endswith(".npy"):
        return np.asarray(np.load(path))
    import zarr

    return np.asarray(zarr.open(path, mode="r")[...])


def break_file(how: str, source: str, arguments: list[str], seed: int) -> None:
    """Make it impossible to carry out the command."""
    if how == "truncated":
        os.truncate(source, random.Random(seed).randrange(os.path.getsize(source)))
    elif how == "no file":
        os.remove(source)
    elif how == "not a .npy":
        pathlib.Path(source).write_bytes(b"\x93NUMPY\x09\x00 what")
    elif how == "axis":
        arguments.append("--axis=99")
    elif how == "object":
        np.save(source, np.array([None, 1]), allow_pickle=True)
    elif how == "folder":
        arguments[3] = f"{os.path.dirname(source)}/none/y.npy"


def file_expected(case: Case, x: Array) -> tuple[Expected, Any]:
    if "of" in case:
        return (scan_expected if case["of"] == "scan" else segments_expected)(case, x)
    options: Case = {"axis": tuple(case["axis"]) if isinstance(case["axis"], list) else case["axis"]}
    options |= {name: case[name] for name in ("keepdims", "scale") if name in case}
    if "dtype" in case:
        options["dtype"] = np.dtype(case["dtype"])
    expected, dtype = reduction_expected(case, x, None, None, None, options)
    return expected[0], dtype


def run_file(memory: Memory, case: Case) -> list[Any]:
    from smoothmax.__main__ import main

    x, _, _ = given(memory, case["x"], case["shape"])
    if x.dtype == np.bool_:
        x = x.view(np.uint8) != 0
    ends = ".zarr" if "parts" in case else ".npy"
    folder = tempfile.mkdtemp(prefix="fuzz-", dir=IN_MEMORY)
    try:
        source, target = f"{folder}/x{ends}", f"{folder}/y{ends}"
        save(source, x, case)
        arguments = [case["function"], source, "-o", target, "--quiet"]
        if case["axis"] is not None:
            axis = case["axis"] if isinstance(case["axis"], list) else [case["axis"]]
            arguments.append(f"--axis={','.join(map(str, axis))}" if case["shape"] else "--axis=none")
        arguments += [f"--{name}={case[name]}" for name in ("dtype", "max-memory", "scale") if name in case]
        arguments += [f"--{name}" for name in ("keepdims", "reverse", "exclusive") if case.get(name)]
        kept = [f"x{ends}"]
        if "offsets" in case:
            np.save(f"{folder}/o.npy", offsets_of(memory, case))
            arguments.append(f"--offsets={folder}/o.npy")
            kept.insert(0, "o.npy")
        broken = case.get("broken")
        if broken:
            break_file(broken, source, arguments, case["x"]["seed"])
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = strictly(case, lambda: main(arguments))
        text = said.getvalue()
        if broken:
            if code != 2 or text.count("\n") != 1:
                raise Failure(f"file: code {code} and {text!r} for what is broken")
            if os.path.exists(target) or sorted(os.listdir(folder)) not in (kept, kept[:-1]):
                raise Failure(f"file: left behind {os.listdir(folder)}")
            return []
        if code or text:
            raise Failure(f"file: code {code} and {text!r}")
        if sorted(os.listdir(folder)) != [*kept, f"y{ends}"]:
            raise Failure(f"file: left behind {os.listdir(folder)}")
        got = load(target)
        expected, dtype = file_expected(case, x)
        must_be(got if got.ndim else got[()], expected, "file", dtype)
        return []
    finally:
        shutil.rmtree(folder)


def blocks_of(x: Any, parts: list[int]) -> Any:
    """A dask array with about this many blocks along each axis."""
    import dask.array as da

    x = np.asarray(x)
    return da.from_array(x, chunks=tuple(max(1, -(-n // k)) for n, k in zip(x.shape, parts, strict=True)))


def run_blocks(memory: Memory, case: Case) -> list[Any]:
    import dask

    import smoothmax.dask

    x, passed, _, b, where, add, options = reduction_arguments(memory, case)
    expected, dtype = reduction_expected(case, x, b, where, add, options)
    blocks = blocks_of(passed, case["parts"])
    with dask.config.set(scheduler="synchronous"):
        result = strictly(case, lambda: getattr(smoothmax.dask, case["function"])(blocks, **options))
        got = strictly(case, lambda: dask.compute(*(result if isinstance(result, tuple) else (result,))))
    for one, wanted in zip(got, expected, strict=True):
        array = np.asarray(one)
        must_be(array if array.ndim else array[()], wanted, "blocks", dtype)
    return []


def run_scanned_blocks(memory: Memory, case: Case) -> list[Any]:
    import dask

    import smoothmax.dask

    x, passed, _ = given(memory, case["x"], case["shape"])
    expected, dtype = (scan_expected if case["of"] == "scan" else segments_expected)(case, x)
    blocks = blocks_of(passed, case["parts"])
    options = {name: case[name] for name in ("axis", "reverse", "exclusive") if name in case}
    if "dtype" in case:
        options["dtype"] = dtype
    arguments = [blocks, offsets_of(memory, case)] if "offsets" in case else [blocks]
    with dask.config.set(scheduler="synchronous"):
        result = strictly(case, lambda: getattr(smoothmax.dask, case["function"])(*arguments, **options))
        got = strictly(case, lambda: result.compute())
    must_be(np.asarray(got), expected, "blocks", dtype)
    return []


def run_block_losses(memory: Memory, case: Case) -> list[Any]:
    import dask

    import smoothmax.dask

    x, passed, _, targets, targets_passed, weight, options = loss_arguments(memory, case)
    blocks = blocks_of(passed, case["parts"])
    if case["lazy"]:
        targets_passed = blocks_of(targets_passed, case["parts"][-1:] * np.ndim(targets_passed))
    with dask.config.set(scheduler="synchronous"), contextlib.suppress(*(KINDS if x.size == 0 else ())):
        result = strictly(case, lambda: smoothmax.dask.cross_entropy(blocks, targets_passed, **options))
        got = strictly(case, lambda: result.compute())
    if x.size:
        expected, dtype = loss_expected(case, x, targets, weight, options)
        array = np.asarray(got)
        must_be(array if array.ndim else array[()], expected[0], "loss", dtype)
    return []


def run_multiplied_blocks(memory: Memory, case: Case) -> list[Any]:
    import dask

    import smoothmax.dask

    (a, a_passed, _), (b, b_passed, _) = (given(memory, case[key], case[key]["shape"]) for key in "ab")
    left, right = blocks_of(a_passed, case["parts"]["a"]), blocks_of(b_passed, case["parts"]["b"])
    merged = max(left.numblocks[-1], right.numblocks[-2 if b.ndim > 1 else 0]) > 1
    expected, dtype = matmul_expected(case, a, b, merged)
    options: Case = {"exact": case["exact"]} | ({"dtype": dtype} if "dtype" in case else {})
    with dask.config.set(scheduler="synchronous"):
        result = strictly(case, lambda: smoothmax.dask.logmatmulexp(left, right, **options))
        got = strictly(case, lambda: result.compute())
    must_be(got if np.ndim(got) else np.asarray(got)[()], expected, "blocks", dtype)
    return []


def run_scored_blocks(memory: Memory, case: Case) -> list[Any]:
    """Dask's top_log_probs, and its categorical, which refuses rows that are cut."""
    import dask

    import smoothmax.dask

    x, passed, _ = given(memory, case["x"], case["shape"])
    blocks = blocks_of(passed, case["parts"])
    with dask.config.set(scheduler="synchronous"):
        if case["of"] == "top":
            checked_top(
                memory, case, x, passed,
                lambda: dask.compute(*smoothmax.dask.top_log_probs(blocks, case["k"], case["axis"])),
            )  # fmt: skip
        elif blocks.numblocks[case["axis"]] > 1:
            must_raise(lambda: smoothmax.dask.categorical(blocks, case["axis"], rng=case["seed"]))
        else:
            checked_draws(
                memory, case, x, passed, lambda **options: smoothmax.dask.categorical(blocks, **options).compute()
            )
    return []
