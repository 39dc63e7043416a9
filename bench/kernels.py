"""Time single kernels, without what leads to them: `python -m bench.kernels`; needs Cython and a C compiler.

    columns     of few rows, by shifts and by differences in two parts: the time of the first over that of the second,
                of 64 columns in cache, and of 50176 columns, whose rows lie a multiple of 4 KiB apart
    rows        40 rows of logsumexp in cache, without and with a weight for each element: nanoseconds a row, and the
                multiple

SMOOTHMAX_KERNEL picks the variant, and PYTHONPATH a build. Kernels take turns, with a pause before each; the best of
several turns counts.
"""

import argparse
import functools
import importlib.util
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.turns import best_in_turns
from bench.yardsticks import processor
from smoothmax._kernels import dispatch

ROUNDS, SECONDS = 3, 0.01  # of a turn, about
PACKAGE = Path(dispatch.__file__).parents[2]
DTYPES = (np.float32, np.float64)
COLUMNS = (64, 50176)
FEW = {"log_softmax": (2, 3, 4, 5), "logsumexp": (2, 3, 4, 5), "softmax": (10, 12, 14, 16)}
LENGTHS = (10, 30, 100, 300, 1000, 4000)


def compiled_calls(folder: str) -> Any:
    """The module kernel_calls, compiled against the build of smoothmax that Python imports."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    source = Path(folder, "kernel_calls.pyx")
    source.write_bytes(Path(__file__).with_name("kernel_calls.pyx").read_bytes())
    extension = Extension("kernel_calls", [str(source)], include_dirs=[np.get_include()])
    command = build_ext(Distribution({"ext_modules": cythonize([extension], include_path=[str(PACKAGE)], quiet=True)}))
    command.build_lib = command.build_temp = folder
    command.ensure_finalized()
    command.run()
    spec = importlib.util.spec_from_file_location("kernel_calls", command.get_ext_fullpath("kernel_calls"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def best(calls: dict[str, Callable[[int], float]]) -> list[float]:
    """The seconds of each call, which is given how often to do its work and returns the mean time."""
    often = {name: max(1, int(SECONDS / call(3))) for name, call in calls.items()}
    turns = {name: functools.partial(call, often[name]) for name, call in calls.items()}
    return list(best_in_turns(turns, ROUNDS, seconds=lambda turn: turn()).values())


def print_columns(kernels: Any) -> None:
    print("columns: time by shifts over time by differences; in brackets rows a multiple of 4 KiB apart")
    for function, dtype in itertools.product(FEW, DTYPES):
        for rows in FEW[function]:
            ratios = []
            for columns in COLUMNS:
                x = np.random.default_rng(0).normal(scale=3, size=(rows, columns)).astype(dtype)
                out = np.empty_like(x)
                time = functools.partial(kernels.seconds_of_tiles, function)
                shifts, differences = best({str(way): functools.partial(time, way, x, out) for way in (False, True)})
                ratios.append(shifts / differences)
            print(f"{function:12s}{dtype.__name__:8s}{rows:4d} rows {ratios[0]:5.2f} ({ratios[1]:.2f})", flush=True)


def print_rows(kernels: Any) -> None:
    print("rows: nanoseconds of logsumexp, without and with weights, and the multiple")
    for dtype, n in itertools.product(DTYPES, LENGTHS):
        rng = np.random.default_rng(0)
        x, b = rng.normal(size=(40, n)).astype(dtype), rng.random((40, n)).astype(dtype)
        plain, weighted = best(
            {str(way): functools.partial(kernels.seconds_of_rows, way, x, b) for way in (False, True)}
        )
        print(f"{dtype.__name__:8s}{n:6d}{plain * 25e6:8.0f}{weighted * 25e6:8.0f}{weighted / plain:6.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time single kernels.")
    parser.add_argument("table", nargs="?", choices=("columns", "rows"))
    table = parser.parse_args().table
    print(f"{processor()}, {dispatch.variant}")
    with tempfile.TemporaryDirectory() as folder:
        kernels = compiled_calls(folder)
        if table != "rows":
            print_columns(kernels)
        if table != "columns":
            print_rows(kernels)


if __name__ == "__main__":
    main()
