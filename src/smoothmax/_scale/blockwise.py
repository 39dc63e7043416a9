"""The functions of elements, of rows and of matrices on .npy files: which blocks each has, and what is printed."""

import contextlib
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from smoothmax._scale.block_results import Progress, Work, all_results, write_results
from smoothmax._scale.elementwise_blocks import elements_of_files
from smoothmax._scale.errors import Refused
from smoothmax._scale.npy_format import NpyReader, open_npy
from smoothmax._scale.product_blocks import product_of_files
from smoothmax._scale.request import ELEMENTWISE, Request
from smoothmax._scale.score_blocks import draws_of_file, top_of_file
from smoothmax._scale.text import check_printable, print_numbers, print_ranking

__all__ = ["BLOCKWISE", "check_one_row", "print_results", "transform_blockwise"]

Array = np.ndarray[Any, Any]

BLOCKWISE = (*ELEMENTWISE, "logmatmulexp", "top_log_probs", "categorical")


def work_of(request: Request, readers: Sequence[NpyReader], max_memory: int) -> Work:
    """The blocks of a function."""
    first = readers[0]
    if request.name == "logmatmulexp":
        return product_of_files(first, readers[1], request.dtype, request.exact, max_memory)
    if request.name == "top_log_probs":
        return top_of_file(first, request.k, request.axis, max_memory)
    if request.name == "categorical":
        return draws_of_file(first, request.axis, request.size, request.scale, request.rng, max_memory)
    return elements_of_files(request.name, readers, request.dtype, max_memory)


def transform_blockwise(
    request: Request, source: str, target: str | None, *, max_memory: int, replace: bool, progress: Progress
) -> None:
    """As `npy.transform_file`, but `progress` takes how many bytes will be computed."""
    sources, targets = [source], [target]
    if request.second is not None:
        sources.append(request.second)
    if request.name == "top_log_probs":
        targets.append(request.indices)
    with contextlib.ExitStack() as stack:
        work = work_of(request, [stack.enter_context(open_npy(path)) for path in sources], max_memory)
        if targets == [None] * len(targets):
            check_one_row(request, source, work.results[0].shape)
            check_printable(math.prod(work.results[0].shape), work.nbytes, max_memory)
            print_results(request, all_results(work))
            return
        with progress(work.nbytes) as tell:
            write_results(work, targets, replace, tell)


def check_one_row(request: Request, source: str, shape: Sequence[int]) -> None:
    """Refuse to print log-probabilities of this shape if they are those of several rows."""
    if request.name == "top_log_probs" and math.prod(shape) > request.k:
        raise Refused(
            f"{source!r} has {math.prod(shape) // request.k} rows, and the results of one can be printed: -o FILE and "
            "--indices FILE write all"
        )


def print_results(request: Request, results: Sequence[Array]) -> None:
    """Print results that are in memory: log-probabilities with their indices."""
    if request.name == "top_log_probs":
        print_ranking(results[0], results[1], sys.stdout)
    else:
        print_numbers(results[0], sys.stdout)
