"""The three functions from one .zarr store to another, by smoothmax.dask: a chunk of the store is a block."""

import importlib
import os
import shutil
from typing import Any

__all__ = ["transform"]


def transform(name: str, source: str, target: str, **keywords: Any) -> None:
    """Write the result under its name when it is complete; an earlier store of that name goes then."""
    array = importlib.import_module("dask.array")
    functions = importlib.import_module("smoothmax.dask")
    importlib.import_module("zarr")
    result = getattr(functions, name)(array.from_zarr(source), **keywords)
    folder = os.path.dirname(os.path.realpath(target))
    temporary, former = (os.path.join(folder, f".smoothmax-{os.urandom(8).hex()}.tmp") for _ in range(2))
    try:
        result.to_zarr(temporary)
        if os.path.exists(target):
            os.replace(target, former)
        os.replace(temporary, target)
    finally:
        for path in (temporary, former):
            shutil.rmtree(path, ignore_errors=True)
