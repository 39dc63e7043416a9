"""The three functions from one .zarr store to another, by smoothmax.dask: a chunk of the store is a Dask block."""

import os
import stat
from typing import Any

from smoothmax._scale.errors import Refused, Unreadable, reason
from smoothmax._scale.output import new_folder

__all__ = ["transform"]


class ChunkReader:
    """The zarr array as Dask reads it. An error while reading must not be taken for one of the output's."""

    def __init__(self, path: str, array: Any) -> None:
        self.path, self.array = path, array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, region: Any) -> Any:
        try:
            return self.array[region]
        except MemoryError:
            raise
        except Exception as error:  # damaged chunks: each codec has its own exceptions
            raise Unreadable(self.path, reason(error)) from error


def transform(name: str, source: str, target: str, *, replace: bool, **keywords: Any) -> None:
    """Read the store `source`, and write the store `target`."""
    from concurrent.futures import ThreadPoolExecutor  # slow to import, as what follows

    try:
        import dask.array as da
        from dask import config
        from dask.system import CPU_COUNT

        import smoothmax.dask as functions
    except ImportError as error:
        raise needed(error) from error
    array = open_array(source)
    result = getattr(functions, name)(da.from_array(ChunkReader(source, array), chunks=array.chunks), **keywords)
    with new_folder(target, replace=replace) as folder:
        # A pool of its own: after an error or an interrupt, Dask's goes on with what it has begun, and would make the
        # folder again that is being removed.
        pool = ThreadPoolExecutor(config.get("num_workers", None) or CPU_COUNT)
        try:
            with config.set(pool=pool):
                result.to_zarr(folder)
        finally:
            pool.shutdown(cancel_futures=True)


def open_array(path: str) -> Any:
    """The array in a store, open to be read."""
    try:
        from zarr import Group  # ImportError too if zarr is merely a folder of that name
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
    except FileNotFoundError as error:
        raise Unreadable(path, "there is no zarr array in it") from error
    except Exception as error:  # arbitrary bytes make zarr raise more than ValueError
        raise Unreadable(path, f"not a zarr array: {reason(error)}") from error
    if isinstance(array, Group):
        raise Unreadable(path, "it must hold an array, got a group")
    return array


def needed(error: ImportError) -> Refused:
    return Refused(f".zarr needs zarr and dask, pip install 'smoothmax[files]': {error}")
