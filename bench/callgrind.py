"""Fixed calls, and the instructions that each takes in each function, counted by `valgrind --tool=callgrind`.

Only instructions of smoothmax's shared objects count. Those of the C library depend on the processor and the size of
its caches, and those of the interpreter on its version. Each variant of the kernels that callgrind can run gets a
process of its own, which runs `python -m bench.callgrind`. This file compares nothing.
"""

import ctypes
import functools
import importlib.util
import itertools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases import DTYPES, FUNCTIONS
from bench.contenders import load

__all__ = ["CALLS", "VARIANTS", "Counts", "count_calls"]

BENCH = Path(__file__).resolve().parent
VARIANTS = ("baseline", "x86-64-v3")  # callgrind knows no AVX-512

Counts = dict[str, Counter[str]]  # for a call: "shared object:function" to instructions


# The calls -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A name for the table, and the arguments of the call."""

    name: str
    shape: tuple[int, ...]
    axis: int
    extra: str = ""  # "b" or "where"
    plain: bool = False  # without `out`, so that the call allocates its result


CALLS = (
    Call("row of 10", (10,), 0, plain=True),
    Call("row of 4096", (4096,), 0),
    Call("row of 300000", (300_000,), 0),  # too long to be fused, and so in several pieces
    Call("(1000, 10) axis 1", (1000, 10), 1),
    Call("(1000, 64) axis 0", (1000, 64), 0),
    Call("(10000, 3) axis 0", (10_000, 3), 0),
    Call("row of 4096, where", (4096,), 0, extra="where"),
    Call("(1000, 64) axis 0, where", (1000, 64), 0, extra="where"),
    Call("row of 4096, b", (4096,), 0, extra="b"),
    Call("(1000, 10) axis 1, b", (1000, 10), 1, extra="b"),
    Call("(1000, 64) axis 0, b", (1000, 64), 0, extra="b"),
)

# Shapes and axes for losses, products and streams. The classes of a position lie along the axis.
CLASSES = (((8, 1000), 1), ((1000, 10), 1), ((19, 1024), 0))


def aligned(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """An empty array that begins at a cache line, so that the count does not depend on its address."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + size].view(dtype).reshape(shape)


def scattered(shape: tuple[int, ...], dtype: str, seed: int) -> NDArray[Any]:
    """Numbers from -6 to 6 from multiples of an odd number modulo 2^32, which every version of NumPy computes alike."""
    array = aligned(shape, dtype)
    position = np.arange(seed, seed + array.size, dtype=np.uint64)
    array[...] = ((position * 0x9E3779B1 % 2**32) / 2.0**32 * 12 - 6).reshape(shape)
    return array


def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
    smoothmax = load("smoothmax")
    for call in CALLS:
        for function in FUNCTIONS if call.extra != "b" else ("logsumexp",):
            for dtype in DTYPES:
                x = scattered(call.shape, dtype, 0)
                keywords: dict[str, Any] = {"axis": call.axis}
                if call.extra == "b":
                    keywords["b"] = scattered(call.shape, dtype, 7)
                if call.extra == "where":
                    keywords["where"] = scattered(call.shape, dtype, 7) > -3
                if not call.plain:
                    shape = call.shape[: call.axis] + call.shape[call.axis + 1 :]
                    keywords["out"] = aligned(call.shape if function != "logsumexp" else shape, dtype)
                own = getattr(smoothmax, function)
                yield f"{function} {dtype}, {call.name}", lambda own=own, x=x, k=keywords: own(x, **k)
    for (shape, axis), dtype in itertools.product(CLASSES, DTYPES):
        for name, made in calls_with_classes(smoothmax, shape, axis, dtype).items():
            yield f"{name} {dtype}, {shape} axis {axis}", made
    yield from calls_of_ufuncs(smoothmax)
    yield from calls_of_products(smoothmax)


def calls_with_classes(smoothmax: Any, shape: tuple[int, ...], axis: int, dtype: str) -> dict[str, Callable[[], Any]]:
    x, shares = scattered(shape, dtype, 0), scattered(shape, dtype, 7)
    out = aligned(shape, dtype)
    shares += 6
    classes = np.arange(x.size // shape[axis]) * 7 % shape[axis]
    return {
        "cross_entropy": lambda: smoothmax.cross_entropy(x, classes, axis),
        "cross_entropy_and_grad": lambda: smoothmax.cross_entropy_and_grad(x, classes, axis, out=out),
        "cross_entropy of shares": lambda: smoothmax.cross_entropy(x, shares, axis),
        "cross_entropy_and_grad of shares": lambda: smoothmax.cross_entropy_and_grad(x, shares, axis, out=out),
        "logsumexp_and_softmax": lambda: smoothmax.logsumexp_and_softmax(x, axis, out=out),
        "softmax_vjp": lambda: smoothmax.softmax_vjp(shares, x, axis, out=out),
        "log_softmax_vjp": lambda: smoothmax.log_softmax_vjp(shares, x, axis, out=out),
        "LogSumExp": lambda: smoothmax.LogSumExp(axis).update(x),
    }


def calls_of_ufuncs(smoothmax: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Contiguous operands, every third element of each, and calls that go past NumPy."""
    for name, dtype, n in itertools.product(("logaddexp", "log1mexp"), DTYPES, (10, 4096)):
        ufunc = getattr(smoothmax, name)
        x = [-np.abs(scattered((3 * n,), dtype, seed)) for seed in range(ufunc.nin)]
        out = aligned((n,), dtype)
        contiguous, spaced = [array[:n] for array in x], [array[::3] for array in x]
        yield f"{name} {dtype}, {n}", lambda ufunc=ufunc, x=contiguous, out=out: ufunc(*x, out=out)
        yield f"{name} {dtype}, {n} past NumPy", lambda ufunc=ufunc, x=contiguous: ufunc(*x)
        if n > 10:
            yield f"{name} {dtype}, {n} spaced", lambda ufunc=ufunc, x=spaced, out=out: ufunc(*x, out=out)


def calls_of_broadcast_ufuncs(smoothmax: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    for shapes, dtype in itertools.product((((64, 1), (1, 64)), ((500, 3), (3,))), DTYPES):
        x = [scattered(shape, dtype, seed) for seed, shape in enumerate(shapes)]
        yield f"logaddexp {dtype}, {shapes[0]} with {shapes[1]}", functools.partial(smoothmax.logaddexp, *x)


def calls_of_products(smoothmax: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Only exact sums, because the instructions of BLAS depend on the processor."""
    for (n, k, m), dtype in itertools.product(((16, 256, 64), (3, 40, 3)), DTYPES):
        a, b, out = scattered((n, k), dtype, 0), scattered((k, m), dtype, 7), aligned((n, m), dtype)
        call = functools.partial(smoothmax.logmatmulexp, a, b, out=out, exact=True)
        yield f"logmatmulexp {dtype}, ({n}, {k}) @ ({k}, {m}) exact", call


# Under callgrind -----------------------------------------------------------------------------------------------------


def make_calls(library: str) -> None:
    """Make each call twice, and count the second, because some things are looked up only once."""
    collect = ctypes.CDLL(library)
    prepared = list(calls())
    for _, call in prepared:
        call()
    collect.start()
    for name, call in prepared:
        collect.begin()
        call()
        collect.end(name.encode())


def count(variant: str, library: Path) -> Counts:
    """The counts of all calls, with the kernels of one variant."""
    dumps = library.parent / f"{variant}.out"
    # Names and positions in full, because abbreviations hold only for one dump, and one file has all dumps.
    options = ["--instr-atstart=no", "--combine-dumps=yes", "--compress-strings=no", "--compress-pos=no"]
    valgrind = ["valgrind", "--tool=callgrind", *options, f"--callgrind-out-file={dumps}"]
    answer = subprocess.run(
        [*valgrind, sys.executable, "-m", "bench.callgrind", str(library)],
        env={**os.environ, "SMOOTHMAX_KERNEL": variant, "SMOOTHMAX_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
        cwd=BENCH.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise SystemExit(f"valgrind failed with {variant}:\n{answer.stderr}")
    return inside(dumps.read_text(encoding="utf-8"), package_folder())


def package_folder() -> str:
    specification = importlib.util.find_spec("smoothmax")
    if specification is None or specification.origin is None:
        raise SystemExit("smoothmax is not installed")
    return str(Path(specification.origin).resolve().parent)


def inside(dumps: str, folder: str) -> Counts:
    """The instructions of the functions of shared objects in a folder, for each dump of callgrind by its name."""
    counts: Counts = {}
    name, shared_object, function, of_callee = "", "", "", False
    for line in dumps.splitlines():
        if line.startswith("desc: Trigger: Client Request: "):
            name = line.removeprefix("desc: Trigger: Client Request: ")
            counts[name] = Counter()
        elif line.startswith("desc: Trigger:"):
            name = ""  # the end of the program
        elif line.startswith("ob="):
            path = line.removeprefix("ob=")
            shared_object = Path(path).name.partition(".")[0] if path.startswith(f"{folder}/") else ""
        elif line.startswith("fn="):
            function = line.removeprefix("fn=")
        elif line.startswith("calls="):
            of_callee = True
        elif line[:1].isdigit():  # line number and instructions
            if name and shared_object and not of_callee:
                counts[name][f"{shared_object}:{function}"] += int(line.split()[1])
            of_callee = False
    return counts


def can_be_counted(variant: str) -> bool:
    dispatch = load("smoothmax._kernels.dispatch")
    if not dispatch.is_built(variant):
        raise SystemExit(f"the kernels of {variant} were not built")
    if missing := dispatch.missing_features(variant):
        print(f"{variant}: not counted, this processor has no {', '.join(missing)}")
    return not missing


def count_calls() -> dict[str, Counts]:
    """The counts of all calls, with every variant that can run here."""
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is not installed; in Debian: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder).resolve() / "collect.so"
        compiler = shlex.split(os.environ.get("CC", "cc"))  # it may be "ccache gcc"
        subprocess.run([*compiler, "-shared", "-fPIC", str(BENCH / "collect.c"), "-o", str(library)], check=True)
        chosen = [variant for variant in VARIANTS if can_be_counted(variant)]
        with ThreadPoolExecutor() as pool:
            return dict(zip(chosen, pool.map(count, chosen, itertools.repeat(library)), strict=True))


if __name__ == "__main__":
    make_calls(sys.argv[1])
