"""Time streams, files and Dask, compared with one array: python -m bench.scale [--elements 1e8]. Writes nothing.

A time is the best of rounds in which the contenders take turns. The figures of docs/scale.md come from this script.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import numpy as np

import smoothmax
import smoothmax.dask

CHUNK = 10**6


def best(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    times = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, call in contenders.items():
            times[name] = min(times[name], timeit.timeit(call, number=1))
    return times


def show(title: str, times: dict[str, float], elements: int) -> None:
    first = next(iter(times.values()))
    print(f"\n{title}")
    for name, seconds in times.items():
        print(f"  {name:<46} {seconds * 1e3:8.1f} ms {elements / seconds / 1e6:8.0f} M/s {seconds / first:6.2f}")


def streamed(x: Any, chunk: int) -> Any:
    stream = smoothmax.LogSumExp()
    for i in range(0, len(x), chunk):
        stream.update(x[i : i + chunk])
    return stream.result()


def with_dask(x: Any) -> Any:
    """The textbook formula for a dask array."""
    m = x.max()
    return m + da.log(da.exp(x - m).sum())


def compare_streams(elements: int, rounds: int) -> None:
    x = np.random.default_rng(0).normal(size=elements)
    for threads in (1, 2):
        contenders = {"logsumexp of the array": lambda: smoothmax.logsumexp(x)}
        for chunk in (10**4, 10**5, 10**6, 10**7):
            contenders[f"LogSumExp in chunks of {chunk}"] = lambda chunk=chunk: streamed(x, chunk)
        with smoothmax.num_threads(threads):
            show(f"{elements} float64, {threads} thread(s)", best(contenders, rounds), elements)


def compare_dask(elements: int, rounds: int) -> None:
    x = np.random.default_rng(0).normal(size=elements)
    for workers in (1, 2):
        contenders = {"logsumexp of the array": lambda: smoothmax.logsumexp(x)}
        for chunks in (10, 100, 1000):
            lazy = da.from_array(x, chunks=elements // chunks, name=False)
            contenders[f"smoothmax.dask, {chunks} chunks"] = lambda lazy=lazy: smoothmax.dask.logsumexp(lazy).compute()
        lazy = da.from_array(x, chunks=elements // 100, name=False)
        contenders["dask.array's max, exp, sum, 100 chunks"] = lambda lazy=lazy: with_dask(lazy).compute()
        with smoothmax.num_threads(workers), dask.config.set(scheduler="threads", num_workers=workers):
            show(f"{elements} float64, {workers} thread(s) everywhere", best(contenders, rounds), elements)


def compare_files(elements: int, rounds: int, folder: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as where:
        source, target = os.path.join(where, "x.npy"), os.path.join(where, "y.npy")
        x = np.random.default_rng(0).normal(size=(elements // 1000, 1000)).astype(np.float32)
        np.save(source, x)
        from smoothmax.__main__ import main

        for axis in (1, 0):
            command = ["softmax", source, "-o", target, "--axis", str(axis), "--force"]
            contenders = {
                "softmax of the array": lambda axis=axis: smoothmax.softmax(x, axis=axis),
                "cp": lambda: shutil.copyfile(source, target),
                "from file to file": lambda command=command: main(command),
            }
            times = best(contenders, rounds)
            show(f"{elements} float32 in {where}, axis {axis}", times, elements)
            both = times["softmax of the array"] + times["cp"]
            print(f"  from file to file / (array + cp): {times['from file to file'] / both:.2f}")
            script = (  # ru_maxrss of a new process would begin with the peak of its parent
                "import sys; from smoothmax.__main__ import main; main(sys.argv[1:]);"
                "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
            )
            run = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
            print(f"  peak resident memory of the process: {int(run.stdout) // 1000} MB for {x.nbytes // 10**6} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", type=float, default=1e8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", help="where files are written: in /dev/shm no disk is involved")
    options = parser.parse_args()
    size = int(options.elements)
    compare_streams(size, options.rounds)
    compare_dask(size, options.rounds)
    compare_files(size, options.rounds, options.folder)
