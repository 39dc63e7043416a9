"""Apply the functions to a .zarr store with smoothmax.dask: a chunk of the store is a Dask block."""

import os
import stat
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from smoothmax._api import elementwise
from smoothmax._partial import states
from smoothmax._scale.blockwise import check_one_row, print_results
from smoothmax._scale.elementwise_blocks import applied, shape_of_operands
from smoothmax._scale.errors import Refused, Unreadable, Unwritable, reason
from smoothmax._scale.npy import offsets_in_file
from smoothmax._scale.pair import new_folders
from smoothmax._scale.request import ELEMENTWISE, Request

__all__ = ["transform_store"]


class ChunkReader:
    """A zarr array for Dask to read. Errors of reading are not mistaken for errors of the output."""

    def __init__(self, path: str, array: Any) -> None:
        self.path, self.array, self.stopped = path, array, False
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, region: Any) -> Any:
        if self.stopped:
            raise Unreadable(self.path, "the job has ended")
        try:
            return self.array[region]
        except MemoryError:
            raise
        except Exception as error:  # damaged chunks: each codec has its own exceptions
            raise Unreadable(self.path, reason(error)) from error


def transform_store(request: Request, source: str, target: str | None, *, replace: bool) -> None:
    """Read the store `source`, and write the store `target` or, if that is None, print the result.

    The request names a second store to read or to write. Raises Unreadable or Unwritable for the stores, Refused
    without zarr and dask, and the errors of the functions for wrong arguments.
    """
    from concurrent.futures import ThreadPoolExecutor, wait  # slow to import, like the next ones

    try:
        import dask.array as da
    except ImportError as error:
        raise needed(error) from error
    if request.dtype == "longdouble":
        raise Refused("dtype must be float32, float64 or float16 for .zarr, got 'longdouble'")
    readers = [ChunkReader(path, open_array(path)) for path in (source, request.second) if path is not None]
    results = results_of(request, [da.from_array(reader, chunks=reader.array.chunks) for reader in readers])
    wanted = [
        (path, result.rechunk(tuple(max(n, 1) for n in result.chunksize)))  # all chunks of a store have the same shape
        for path, result in zip((target, request.indices), results, strict=False)
        if path is not None
    ]
    if not wanted:
        check_one_row(request, source, results[0].shape)
        print_results(request, [np.asarray(x) for x in da.compute(*results, scheduler="threads")])
        return
    with new_folders([path for path, _ in wanted], replace=replace) as folders, ThreadPoolExecutor(1) as thread:
        # An interrupt is raised in this thread. If this thread wrote, the folder would be removed while zarr's thread
        # still writes into it. So another thread writes, and finishes; that is soon if nothing more can be read.
        written = thread.submit(write_stores, [result for _, result in wanted], folders)
        try:
            while wait([written], timeout=0.1).not_done:  # on Windows, a wait without a limit cannot be interrupted
                pass
            written.result()
        except (Refused, OSError, MemoryError, TypeError, ValueError, NotImplementedError):
            raise
        except Exception as error:  # zarr 2 hides errors of the system behind KeyError
            raise Unwritable(wanted[0][0], reason(error.__context__ or error)) from error
        finally:
            for reader in readers:
                reader.stopped = True


def results_of(request: Request, arrays: list[Any]) -> tuple[Any, ...]:
    """What the function makes of Dask arrays."""
    import dask.array as da

    import smoothmax.dask as functions

    keywords = request.keywords()
    if request.name in ELEMENTWISE:
        ufunc = getattr(elementwise, request.name)
        shape_of_operands([x.shape for x in arrays])
        if request.dtype is None:
            return (ufunc(*arrays),)
        # Dask takes a dtype for what it would otherwise find out, and does not pass it on.
        return (da.core.elemwise(partial(cast_and_apply, ufunc, request.dtype), *arrays, dtype=request.dtype),)
    if request.name == "categorical":  # which draws from rows that are whole
        arrays = [x.rechunk(dict.fromkeys(states.axes_of(request.axis, x.ndim), -1)) for x in arrays]
    if request.offsets is not None:
        keywords["axis"], keywords["offsets"] = offsets_in_file(request.offsets, request.axis, arrays[0].shape)
    result = getattr(functions, request.name)(*arrays, **keywords)
    return result if isinstance(result, tuple) else (result,)


def cast_and_apply(ufunc: Any, dtype: str, *operands: Any) -> Any:
    return applied(ufunc, operands, dtype)


def write_stores(results: list[Any], folders: Sequence[str]) -> None:
    """Write Dask arrays to new stores. No thread is still writing when this ends, with an exception or without."""
    from concurrent.futures import ThreadPoolExecutor

    from dask import config
    from dask.base import compute
    from dask.system import CPU_COUNT

    pool = ThreadPoolExecutor(config.get("num_workers", None) or CPU_COUNT)  # threads of Dask's own pool would go on
    try:
        with config.set(pool=pool):
            if len(results) == 1:
                results[0].to_zarr(folders[0])
            else:  # at once, since they have tasks in common
                compute(*[x.to_zarr(folder, compute=False) for x, folder in zip(results, folders, strict=True)])
    finally:
        pool.shutdown(cancel_futures=True)


def open_array(path: str) -> Any:
    """Open the array in a store, to read it."""
    try:
        from zarr import Group  # also raises ImportError if zarr is just a folder of that name
        from zarr import open as open_zarr
    except ImportError as error:
        raise needed(error) from error
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            raise Unreadable(path, "not a folder")
    except OSError as error:
        raise Unreadable(path, reason(error)) from error
    try:
        array = open_zarr(path, mode="r")
    except Exception as error:  # arbitrary bytes make zarr raise more than ValueError
        why = f"not a zarr array: {reason(error)}"
        if "NotFound" in type(error).__name__:  # FileNotFoundError, or zarr 2's own error
            why = "there is no zarr array in it"
        elif isinstance(error, OSError):
            why = reason(error)
        raise Unreadable(path, why) from error
    if isinstance(array, Group):
        raise Unreadable(path, "it must hold an array, got a group")
    return array


def needed(error: ImportError) -> Refused:
    return Refused(f".zarr needs zarr and dask, pip install 'smoothmax[files]': {error}")
