"""How fast logmatmulexp is, compared with today's alternatives.

    python -m bench.products                    print the table, with one thread
    python -m bench.products --threads 2        with two threads, of BLAS too
    python -m bench.products --only "(64, 64)"  the cells whose name has this text

Contenders take turns after a pause of 100 ms. A turn is one call, or as many as take TURN, and the best time counts.
Libraries that are not installed are skipped. There are two kinds of contenders:

    terms       right: logsumexp of the terms of each element, in NumPy, SciPy, PyTorch, JAX (jitted) and a Numba loop
                without fastmath. Where a cell has more than WORK terms, they do as many rows of the result as have so
                many, and the time is that of all.
    product     wrong where rows and columns peak in different places: exponentials divided by their maxima, multiplied
                by BLAS, in NumPy, PyTorch and JAX (jitted)

The last line compares (1000, 1000) with np.matmul of the same shape plus three passes of np.exp over it.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import contenders
from bench.turns import PAUSE, installed

ROUNDS = 5
TURN = 0.003  # seconds that a turn takes at least
WORK = 10**7  # terms that contenders by terms sum in a turn
DTYPES = ("float64", "float32")
SHAPES = (
    ((64, 64), (64, 64)),
    ((512, 512), (512, 512)),
    ((2000, 2000), (2000, 2000)),
    ((1000, 64), (64, 64)),
    ((64,), (64, 64)),
    ((100, 32, 32), (100, 32, 32)),
    ((1000, 8, 8), (1000, 8, 8)),
    ((10000, 3, 3), (10000, 3, 3)),
)
Array = NDArray[Any]
Call = Callable[[], Any]
Calls = dict[str, tuple[Call, float]]  # a call, and how often the cell contains its work


def numpy_terms(a: Array, b: Array) -> Array:
    """A stack at once, but a matrix row by row, because all terms of a large matrix would not fit in memory."""
    if a.ndim == 2:
        return np.array([numpy_terms(row[None, None], b[None])[0, 0] for row in a])
    terms = a[..., None] + b[..., None, :, :]
    largest = terms.max(axis=-2)
    sums: Array = np.log(np.exp(terms - largest[..., None, :]).sum(axis=-2)) + largest
    return sums


def numpy_product(a: Array, b: Array) -> Array:
    rows, columns = a.max(axis=-1, keepdims=True), b.max(axis=-2, keepdims=True)
    products: Array = np.log(np.exp(a - rows) @ np.exp(b - columns)) + rows + columns
    return products


def numba_loop() -> Any:
    numba = contenders.load("numba")

    @numba.njit
    def multiply(a: Array, b: Array, out: Array) -> None:
        for s in range(a.shape[0]):
            for i in range(a.shape[1]):
                for j in range(b.shape[2]):
                    largest, total = -np.inf, 0.0
                    for p in range(a.shape[2]):
                        largest = max(largest, a[s, i, p] + b[s, p, j])
                    for p in range(a.shape[2]):
                        total += np.exp(a[s, i, p] + b[s, p, j] - largest)
                    out[s, i, j] = largest + np.log(total)

    return multiply


def calls_of(a: Array, b: Array) -> Calls:
    smoothmax = contenders.load("smoothmax")
    terms = a.size * b.shape[-1]
    part = a if terms <= WORK else a[: max(1, len(a) * WORK // terms)]
    times = len(a) / len(part) if a.ndim > 1 else 1.0
    calls: Calls = {
        "smoothmax": (lambda: smoothmax.logmatmulexp(a, b), 1),
        "exact": (lambda: smoothmax.logmatmulexp(part, b, exact=True), times),
        "NumPy terms": (lambda: numpy_terms(np.atleast_2d(part), b), times),
        "NumPy product": (lambda: numpy_product(np.atleast_2d(a), b), 1),
    }
    if part.size * b.shape[-1] <= 2 * WORK:
        special = contenders.load("scipy.special")
        calls["SciPy terms"] = (lambda: special.logsumexp(part[..., None] + b[..., None, :, :], axis=-2), times)
    if installed("torch"):
        torch = contenders.load("torch")
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        x, y, z = (torch.from_numpy(np.atleast_2d(one)) for one in (a, b, part))

        def torch_product() -> Any:
            rows, columns = x.amax(-1, keepdim=True), y.amax(-2, keepdim=True)
            return torch.log(torch.exp(x - rows) @ torch.exp(y - columns)) + rows + columns

        calls["PyTorch terms"] = (lambda: torch.logsumexp(z[..., None] + y[..., None, :, :], -2), times)
        calls["PyTorch product"] = (torch_product, 1)
    if installed("jax"):
        jax = contenders.load("jax")
        jax.config.update("jax_enable_x64", True)
        whole, other, some = (jax.numpy.asarray(one) for one in (a, b, part))
        by_terms = jax.jit(lambda u, v: jax.scipy.special.logsumexp(u[..., None] + v[..., None, :, :], axis=-2))

        def jax_product(u: Any, v: Any) -> Any:
            rows, columns = u.max(-1, keepdims=True), v.max(-2, keepdims=True)
            return jax.numpy.log(jax.numpy.exp(u - rows) @ jax.numpy.exp(v - columns)) + rows + columns

        by_product = jax.jit(jax_product)
        matrix = jax.numpy.atleast_2d(whole)
        calls["JAX terms"] = (lambda: by_terms(some, other).block_until_ready(), times)
        calls["JAX product"] = (lambda: by_product(matrix, other).block_until_ready(), 1)
    if installed("numba"):
        loop = numba_loop()
        left, right = (x if x.ndim == 3 else np.atleast_2d(x)[None] for x in (part, b))

        def numba_call() -> Array:
            out = np.empty((*left.shape[:2], right.shape[2]), part.dtype)
            loop(left, right, out)
            return out

        calls["Numba terms"] = (numba_call, times)
    return calls


def cells(only: str) -> Iterator[tuple[str, Calls]]:
    rng = np.random.default_rng(20240229)
    for shapes in SHAPES:
        for dtype in DTYPES:
            name = f"{dtype} {shapes[0]} @ {shapes[1]}"
            if only in name:
                a, b = ((3 * rng.standard_normal(shape)).astype(dtype) for shape in shapes)
                yield name, calls_of(a, b)


def timed(calls: Calls) -> dict[str, float]:
    """The best time of each in us; they take turns."""
    expected = np.asarray(calls["smoothmax"][0](), np.float64)
    for name, (call, _) in calls.items():
        got = np.asarray(call(), np.float64).reshape(-1)
        np.testing.assert_allclose(got, expected.reshape(-1)[: got.size], rtol=1e-2, atol=1e-2, err_msg=name)
    best = dict.fromkeys(calls, np.inf)
    for _ in range(ROUNDS):
        for name, (call, times) in calls.items():
            best[name] = min(best[name], turn(call) * times)
    return {name: seconds * 1e6 for name, seconds in best.items()}


def turn(call: Call) -> float:
    """The time of a call, in seconds."""
    time.sleep(PAUSE)
    begin, number = time.perf_counter(), 0
    while time.perf_counter() - begin < TURN:
        call()
        number += 1
    return (time.perf_counter() - begin) / number


def against_passes(dtype: str) -> None:
    smoothmax = contenders.load("smoothmax")
    rng = np.random.default_rng(20240229)
    a, b = (rng.standard_normal((1000, 1000)).astype(dtype) for _ in range(2))
    out = np.empty_like(a)

    def passes() -> Any:
        for _ in range(3):
            np.exp(a, out=out)
        return np.matmul(a, b, out=out)

    best = dict.fromkeys(("logmatmulexp", "matmul and three of exp"), np.inf)
    for _ in range(ROUNDS):
        for name, call in zip(best, (lambda: smoothmax.logmatmulexp(a, b), passes), strict=True):
            best[name] = min(best[name], turn(call))
    own, other = best.values()
    print(f"{dtype} (1000, 1000) @ (1000, 1000): {own * 1e3:.1f} ms, {own / other:.2f} of matmul and three of exp")


def main() -> None:
    """Print a line for each cell: the time of smoothmax, and those of the others as multiples of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != str(given.threads):  # NumPy's BLAS reads it when it is loaded
        os.environ["OPENBLAS_NUM_THREADS"] = str(given.threads)
        os.execv(sys.executable, [sys.executable, "-m", "bench.products", *sys.argv[1:]])
    contenders.use_cores(given.threads)
    contenders.keep_freed_memory()
    for name, calls in cells(given.only):
        times = timed(calls)
        own = times.pop("smoothmax")
        print(
            f"{name:42} {own:9.1f} us ", "  ".join(f"{other} {t / own:.2f}x" for other, t in times.items()), flush=True
        )
    for dtype in DTYPES:
        if given.only in f"{dtype} (1000, 1000)":
            against_passes(dtype)


if __name__ == "__main__":
    main()
