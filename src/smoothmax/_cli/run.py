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
from smoothmax._scale import npy, zarr
from smoothmax._scale.errors import Refused, Unwritable, reason
from smoothmax._scale.output import prepare_output

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
    if source == getattr(options, "offsets", None) == "-":
        raise Refused("input and offsets must not both be standard input")
    stores = [path is not None and is_store(path) for path in (source, target)]
    if target is not None:
        if target.lower().endswith(".npz"):
            raise Unwritable(target, "an .npz archive; a result is written as .npy or .zarr")
        prepare_output(target, folder=stores[1], replace=options.force)
        if stores[0] != stores[1]:
            raise Refused(f"input and output must both be .zarr or both be .npy, got {source!r}, {target!r}")
    names = {field.name for field in dataclasses.fields(npy.Request)} - {"name"}
    request = npy.Request(options.function, **{name: value for name, value in vars(options).items() if name in names})
    try:
        if stores[0]:
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
