"""Apply the functions to a .zarr store with smoothmax.dask: a chunk of the store is a Dask block."""

import os
import stat
import sys
from typing import Any

import numpy as np

from smoothmax._scale.errors import Refused, Unreadable, Unwritable, reason
from smoothmax._scale.npy import Request, offsets_in_file
from smoothmax._scale.output import new_folder
from smoothmax._scale.text import print_numbers

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

    Raises Unreadable or Unwritable for the stores, Refused without zarr and dask, and the errors of the functions for
    wrong arguments.
    """
    from concurrent.futures import ThreadPoolExecutor, wait  # slow to import, like the next ones

    try:
        import dask.array as da

        import smoothmax.dask as functions
    except ImportError as error:
        raise needed(error) from error
    if request.dtype == "longdouble":
        raise Refused("dtype must be float32, float64 or float16 for .zarr, got 'longdouble'")
    array = open_array(source)
    reader = ChunkReader(source, array)
    x, keywords = da.from_array(reader, chunks=array.chunks), request.keywords()
    if request.offsets is not None:
        keywords["axis"], keywords["offsets"] = offsets_in_file(request.offsets, request.axis, array.shape)
    result = getattr(functions, request.name)(x, **keywords)
    if target is None:
        print_numbers(np.asarray(result.compute(scheduler="threads")), sys.stdout)
        return
    result = result.rechunk(tuple(max(n, 1) for n in result.chunksize))  # all chunks of a store have the same shape
    with new_folder(target, replace=replace) as folder, ThreadPoolExecutor(1) as thread:
        # An interrupt is raised in this thread. If this thread wrote, the folder would be removed while zarr's thread
        # still writes into it. So another thread writes, and finishes; that is soon if nothing more can be read.
        written = thread.submit(write_store, result, folder)
        try:
            while wait([written], timeout=0.1).not_done:  # on Windows, a wait without a limit cannot be interrupted
                pass
            written.result()
        except (Refused, OSError, MemoryError, TypeError, ValueError, NotImplementedError):
            raise
        except Exception as error:  # zarr 2 hides errors of the system behind KeyError
            raise Unwritable(target, reason(error.__context__ or error)) from error
        finally:
            reader.stopped = True


def write_store(result: Any, folder: str) -> None:
    """Write a Dask array to a new store. No thread is still writing when this ends, with an exception or without."""
    from concurrent.futures import ThreadPoolExecutor

    from dask import config
    from dask.system import CPU_COUNT

    pool = ThreadPoolExecutor(config.get("num_workers", None) or CPU_COUNT)  # threads of Dask's own pool would go on
    try:
        with config.set(pool=pool):
            result.to_zarr(folder)
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
