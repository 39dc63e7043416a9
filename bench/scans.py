"""How fast logcumsumexp and the functions of segments are, compared with other libraries.

    python -m bench.scans                   print the table, with one thread
    python -m bench.scans --threads 2       with two threads
    python -m bench.scans --only segment    only the cells whose name contains this text

Contenders take turns after a pause of 100 ms, and the best time counts. They are NumPy's accumulate and reduceat,
PyTorch's logcumsumexp, JAX's cumlogsumexp (jitted) and a loop in Numba (without fastmath). Libraries that are not
installed are skipped. Each is compared with smoothmax's results before it is timed.
"""

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import contenders
from bench.turns import Calls, best_in_turns, installed, options

ROUNDS = 7
SIZE = 10**6
MEANS = (3, 10, 100, 10**4)  # elements of a segment
DTYPES = ("float64", "float32")
Array = NDArray[Any]


def scan_loop() -> Any:
    """The loop that users write: a running maximum, and a sum relative to it."""
    numba = contenders.load("numba")

    @numba.njit
    def scan(x: Array, out: Array) -> None:
        for i in range(x.shape[0]):
            maximum, total = -np.inf, 0.0
            for j in range(x.shape[1]):
                v = x[i, j]
                if v > maximum:
                    total = total * np.exp(maximum - v) + 1.0
                    maximum = v
                else:
                    total += np.exp(v - maximum)
                out[i, j] = maximum + np.log(total)

    return scan


def segment_loop(function: str) -> Any:
    numba = contenders.load("numba")
    reduces, logarithmic = function == "logsumexp", function == "log_softmax"

    @numba.njit
    def walk(x: Array, offsets: Array, out: Array) -> None:
        for i in range(len(offsets) - 1):
            maximum, total = -np.inf, 0.0
            for j in range(offsets[i], offsets[i + 1]):
                maximum = max(maximum, x[j])
            for j in range(offsets[i], offsets[i + 1]):
                e = np.exp(x[j] - maximum)
                total += e
                if not reduces and not logarithmic:
                    out[j] = e
            if reduces:
                out[i] = maximum + np.log(total)
                continue
            log_total = np.log(total)
            for j in range(offsets[i], offsets[i + 1]):
                out[j] = x[j] - maximum - log_total if logarithmic else out[j] / total

    return walk


def scan_calls(x: Array, axis: int) -> Calls:
    smoothmax = contenders.load("smoothmax")
    calls: Calls = {
        "smoothmax": lambda: smoothmax.logcumsumexp(x, axis),
        "NumPy": lambda: np.logaddexp.accumulate(x, axis),
    }
    if installed("torch"):
        torch = contenders.load("torch")
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        own = torch.from_numpy(x)
        calls["PyTorch"] = lambda: torch.logcumsumexp(own, axis)
    if installed("jax"):
        jax = contenders.load("jax")
        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(lambda a: jax.lax.cumlogsumexp(a, axis))
        device = jax.numpy.asarray(x)
        calls["JAX"] = lambda: compiled(device).block_until_ready()
    if installed("numba"):
        loop, rows = scan_loop(), np.moveaxis(np.atleast_2d(x), axis if x.ndim > 1 else 1, 1)

        def numba_call() -> Array:
            out = np.empty_like(x)
            loop(rows, np.moveaxis(np.atleast_2d(out), axis if x.ndim > 1 else 1, 1))
            return out

        calls["Numba"] = numba_call
    return calls


def segment_calls(function: str, x: Array, offsets: Array) -> Calls:
    smoothmax = contenders.load("smoothmax")
    own = getattr(smoothmax, f"segment_{function}")
    calls: Calls = {"smoothmax": lambda: own(x, offsets)}
    if function == "logsumexp":
        calls["NumPy"] = lambda: np.logaddexp.reduceat(x, offsets[:-1])
    if installed("numba"):
        loop, n = segment_loop(function), len(offsets) - 1

        def numba_call() -> Array:
            out = np.empty(n if function == "logsumexp" else x.shape, x.dtype)
            loop(x, offsets, out)
            return out

        calls["Numba"] = numba_call
    return calls


def offsets_of(mean: int, kind: str, rng: np.random.Generator) -> Array:
    lengths = rng.geometric(1 / mean, 2 * SIZE // mean + 10)
    ends = np.cumsum(lengths)
    lengths = lengths[: np.searchsorted(ends, SIZE)]
    lengths = np.append(lengths, SIZE - lengths.sum())
    return np.concatenate([[0], np.cumsum(np.sort(lengths) if kind == "sorted" else lengths)])


def cells(only: str) -> Iterator[tuple[str, Calls]]:
    rng = np.random.default_rng(20240229)
    for shape, axis in (((SIZE,), 0), ((1000, 1000), 0), ((1000, 1000), 1)):
        for dtype in DTYPES:
            name = f"logcumsumexp {dtype} {shape} axis {axis}"
            if only in name:
                yield name, scan_calls((3 * rng.standard_normal(shape)).astype(dtype), axis)
    for function, mean, kind, dtype in itertools.product(
        ("logsumexp", "softmax", "log_softmax"), MEANS, ("geometric", "sorted"), DTYPES
    ):
        name = f"segment_{function} {dtype} mean {mean} {kind}"
        if only in name:
            x = (3 * rng.standard_normal(SIZE)).astype(dtype)
            yield name, segment_calls(function, x, offsets_of(mean, kind, rng))


def timed(calls: Calls) -> dict[str, float]:
    """The best time of each contender in ns per element. They take turns."""
    expected = np.asarray(calls["smoothmax"](), np.float64)
    for name, call in calls.items():
        np.testing.assert_allclose(np.asarray(call(), np.float64), expected, rtol=1e-2, atol=1e-2, err_msg=name)
    return {name: seconds / SIZE * 1e9 for name, seconds in best_in_turns(calls, ROUNDS).items()}


def main() -> None:
    """Print a line for each cell: the time of smoothmax, and the times of the others as multiples of it."""
    given = options(__doc__)
    for name, calls in cells(given.only):
        times = timed(calls)
        own = times.pop("smoothmax")
        print(f"{name:50} {own:6.2f} ns ", "  ".join(f"{other} {t / own:.2f}x" for other, t in times.items()))


if __name__ == "__main__":
    main()
