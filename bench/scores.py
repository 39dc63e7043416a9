"""How fast top_log_probs and categorical are, compared with other libraries.

    python -m bench.scores                  print the table, with one thread
    python -m bench.scores --threads 2      with two threads
    python -m bench.scores --only top       the cells whose name has this text

Contenders take turns after a pause of 100 ms, and the best time counts. For the largest log-probabilities: PyTorch's
log_softmax and topk, jax.lax.top_k of log_softmax (jitted), and NumPy's argpartition with smoothmax.logsumexp. For
draws: torch.multinomial, jax.random.categorical (jitted), and NumPy's cumulative sum of the exponentials, compared with
a uniform number. Libraries that are not installed are skipped. The largest log-probabilities are compared with
smoothmax's before they are timed.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import contenders
from bench.turns import Calls, best_in_turns, installed, options

ROUNDS = 5
Array = NDArray[Any]
# Rows, logits per row, and k: sizes of a language model, of a classifier, of a sort.
TOP = ((512, 128_256, 20), (1, 128_256, 20), (512, 128_256, 1), (64, 32_000, 1000), (100_000, 10, 3), (5000, 1000, 5),
       (16, 128_256, 128_256))  # fmt: skip
# Rows, logits per row, and draws per row.
DRAWS = ((512, 128_256, 1), (1, 128_256, 1), (100_000, 10, 1), (5000, 1000, 1), (1, 1000, 100_000))


def threads_of_torch() -> Any:
    torch = contenders.load("torch")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return torch


def tensor_of(torch: Any, x: Array) -> Any:
    """The array as a tensor. PyTorch does not accept NumPy's bfloat16, so it gets the bytes."""
    return torch.from_numpy(x) if x.dtype.kind == "f" else torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)


def top_calls(given: Array, k: int) -> Calls:
    smoothmax = contenders.load("smoothmax")

    def numpy_call() -> tuple[Array, Array]:
        x = given if given.dtype.kind == "f" else given.astype(np.float32)  # argpartition takes NumPy's own types
        places = np.argpartition(x, -k, axis=1)[:, -k:]
        values = np.take_along_axis(x, places, 1)
        order = np.argsort(-values, axis=1)
        log_sums = smoothmax.logsumexp(x, axis=1, keepdims=True)
        return np.take_along_axis(values, order, 1) - log_sums, np.take_along_axis(places, order, 1)

    calls: Calls = {"smoothmax": lambda: smoothmax.top_log_probs(given, k), "NumPy": numpy_call}
    if installed("torch"):
        torch = threads_of_torch()
        own = tensor_of(torch, given)
        calls["PyTorch"] = lambda: torch.topk(torch.log_softmax(own, -1), k)
        calls["PyTorch, topk first"] = lambda: torch.topk(own, k).values - torch.logsumexp(own, -1, keepdim=True)
    if installed("jax"):
        jax = contenders.load("jax")
        compiled = jax.jit(lambda a: jax.lax.top_k(jax.nn.log_softmax(a, -1), k))
        device = jax.numpy.asarray(given)
        calls["JAX"] = lambda: jax.block_until_ready(compiled(device))
    return calls


def draw_calls(x: Array, draws: int) -> Calls:
    smoothmax = contenders.load("smoothmax")
    rng = np.random.default_rng(1)

    def numpy_call() -> Array:
        sums = np.cumsum(np.exp(x - x.max(axis=1, keepdims=True)), axis=1)
        if len(x) == 1:
            return np.searchsorted(sums[0], rng.random(draws) * sums[0, -1], side="right")
        return (sums <= rng.random((len(x), 1)) * sums[:, -1:]).sum(axis=1)

    calls: Calls = {"smoothmax": lambda: smoothmax.categorical(x, size=(draws, len(x)), rng=rng), "NumPy": numpy_call}
    if installed("torch"):
        torch = threads_of_torch()
        own = tensor_of(torch, x)
        calls["PyTorch"] = lambda: torch.multinomial(torch.softmax(own, -1), draws, replacement=True)
    if installed("jax"):
        jax = contenders.load("jax")
        device, key = jax.numpy.asarray(x), jax.random.key(0)
        compiled = jax.jit(lambda key, a: jax.random.categorical(key, a, shape=(draws, len(x))))
        calls["JAX"] = lambda: jax.block_until_ready(compiled(key, device))
    return calls


def cells(only: str) -> Iterator[tuple[str, Calls, int]]:
    """The name of each cell, its calls, and how many logits it has."""
    rng = np.random.default_rng(20240229)
    bfloat16 = [contenders.load("ml_dtypes").bfloat16] if installed("ml_dtypes") else []
    for dtype in (np.dtype(one) for one in ("float32", "float64", *bfloat16)):
        for rows, n, k in TOP if dtype.kind == "f" else TOP[:1]:
            name = f"top {k} of ({rows}, {n}) {dtype}"
            if only in name:
                yield name, top_calls((3 * rng.standard_normal((rows, n))).astype(dtype), k), rows * n
        for rows, n, draws in DRAWS if dtype.kind == "f" else ():
            name = f"{draws} of each of ({rows}, {n}) {dtype} drawn"
            if only in name:
                yield name, draw_calls((3 * rng.standard_normal((rows, n))).astype(dtype), draws), rows * n


def check(calls: Calls) -> None:
    """Assert that the largest log-probabilities are the same. Draws cannot be compared.

    The others round the logarithm of the sum to bfloat16, whose ULP is 1/16 from 8 on, before they subtract it.
    """
    results = {name: call() for name, call in calls.items()}
    own = results.pop("smoothmax")
    for name, result in results.items():
        if isinstance(own, tuple):
            values = result[0] if isinstance(result, (tuple, list)) else result
            values = values.float() if hasattr(values, "float") else np.asarray(values).astype(np.float32)
            rtol, atol = (1e-3, 1e-3) if own[0].dtype.kind == "f" else (2e-2, 0.1)
            expected = own[0].astype(np.float32)
            np.testing.assert_allclose(np.asarray(values), expected, rtol=rtol, atol=atol, err_msg=name)


def main() -> None:
    """Print a line for each cell: the time of smoothmax, and the times of the others as multiples of it."""
    given = options(__doc__)
    for name, calls, size in cells(given.only):
        check(calls)
        times = best_in_turns(calls, ROUNDS)
        own = times.pop("smoothmax")
        others = "  ".join(f"{other} {seconds / own:.2f}x" for other, seconds in times.items())
        print(f"{name:42} {own * 1e3:8.3f} ms {own / size * 1e9:6.3f} ns a logit  {others}", flush=True)


if __name__ == "__main__":
    main()
