"""Carry out a parsed command: a function on a file, or the comparison on the user's shapes."""

import argparse
import contextlib
import dataclasses
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from smoothmax._cli import bench
from smoothmax._cli.arguments import INPUTS
from smoothmax._scale import npy, zarr
from smoothmax._scale.errors import Refused, Unwritable, reason
from smoothmax._scale.output import prepare_output
from smoothmax._scale.request import Request

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    """Carry out the command; Refused if that is impossible."""
    if options.function == "bench":
        run_bench(options)
    else:
        run_function(options)


def run_bench(options: argparse.Namespace) -> None:
    if not isinstance(options.axis, int):
        raise Refused("axis must be one integer")
    try:
        bench.run_comparison(
            options.shape, options.axis, options.dtype or ["float64", "float32"], options.json, options.plot
        )
    except MemoryError as error:
        raise Refused("not enough memory for this shape") from error


def run_function(options: argparse.Namespace) -> None:
    source, target = options.input, options.output
    indices = getattr(options, "indices", None)
    check_streams(options)
    inputs = [source, *([options.second] if hasattr(options, "second") else [])]
    outputs = [path for path in (target, indices) if path is not None]
    for path in outputs:
        if path.lower().endswith(".npz"):
            raise Unwritable(path, "an .npz archive; a result is written as .npy or .zarr")
        prepare_output(path, folder=is_store(path), replace=options.force)
    stores = {is_store(path) for path in inputs + outputs}
    if len(stores) == 2:
        which = "input and output must both" if len(inputs + outputs) == 2 else "inputs and outputs must all"
        raise Refused(f"{which} be .zarr or {which.split()[-1]} be .npy, got {', '.join(map(repr, inputs + outputs))}")
    names = {field.name for field in dataclasses.fields(Request)} - {"name"}
    request = Request(options.function, **{name: value for name, value in vars(options).items() if name in names})
    try:
        if stores == {True}:
            zarr.transform_store(request, source, target, replace=options.force)
        else:
            npy.transform_file(
                request, source, target, max_memory=options.max_memory, replace=options.force,
                progress=no_progress if options.quiet else progress_bar,
            )  # fmt: skip
    except MemoryError as error:
        raise Refused(f"not enough memory for {options.function} of {source!r}") from error
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise Refused(reason(error)) from error


def check_streams(options: argparse.Namespace) -> None:
    """Refuse what is asked for twice: a standard stream, or one file for two results."""
    offsets, second, indices = (getattr(options, name, None) for name in ("offsets", "second", "indices"))
    if options.input == "-" == offsets:
        raise Refused("input and offsets must not both be standard input")
    if options.input == "-" == second:
        raise Refused(f"{' and '.join(INPUTS[options.function])} must not both be standard input")
    if (
        options.output is not None
        and indices is not None
        and os.path.realpath(options.output) == os.path.realpath(indices)
    ):
        raise Refused(f"-o and --indices must not both be {indices!r}")


def is_store(path: str) -> bool:
    return path.rstrip(os.sep + (os.altsep or "")).endswith(".zarr")


@contextlib.contextmanager
def no_progress(_: int) -> Iterator[Callable[[int], object]]:
    """A function that takes the number of bytes read, and shows nothing."""
    yield int


@contextlib.contextmanager
def progress_bar(total: int) -> Iterator[Callable[[int], object]]:
    """A function that takes the number of bytes read. On a terminal it moves a bar, or says that it needs tqdm."""
    tqdm = find_tqdm() if sys.stderr.isatty() else None
    if tqdm is None:
        if sys.stderr.isatty():
            print("smoothmax: with tqdm installed, a bar would show the progress here", file=sys.stderr)
        with no_progress(total) as tell:
            yield tell
    else:
        with tqdm(total=total, unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:
            yield bar.update


def find_tqdm() -> Any:
    """The class, or None if tqdm is not installed. A folder called tqdm can be imported, but has no such class."""
    try:
        return getattr(importlib.import_module("tqdm"), "tqdm", None)
    except ImportError:
        return None
