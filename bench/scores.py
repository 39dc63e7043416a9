"""The cells of top_log_probs and categorical, beside other libraries. `bench.family` times them."""

import functools
import itertools
from typing import Any

import numpy as np

from bench import contenders
from bench.cases import DTYPES
from bench.cells import Array, Calls, Cell, Cells, Prepared, normal
from bench.reference import Answers, some_rows, top_apart, wider

__all__ = ["cells"]

# Rows, logits per row, and k: sizes of a language model, of a classifier, of a sort.
TOP = ((512, 128_256, 20), (1, 128_256, 20), (512, 128_256, 1), (64, 32_000, 1000), (100_000, 10, 3), (5000, 1000, 5),
       (16, 128_256, 128_256))  # fmt: skip
# Rows, logits per row, and draws per row.
DRAWS = ((512, 128_256, 1), (1, 128_256, 1), (100_000, 10, 1), (5000, 1000, 1), (1, 1000, 100_000))


def of_numpy(x: Array) -> Array:
    """The array in a type of NumPy's own, in which its functions sort and compute."""
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def tensor_of(torch: Any, x: Array) -> Any:
    """The array as a tensor. PyTorch does not accept NumPy's bfloat16, so it gets the bytes."""
    return torch.from_numpy(x) if x.dtype.kind == "f" else torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)


# The largest ---------------------------------------------------------------------------------------------------------


def top_calls(given: Array, k: int) -> Calls:
    """PyTorch has two ways, and the logarithm of the sum that it subtracts is rounded to the type of the logits."""
    smoothmax = contenders.load("smoothmax")

    def numpy_call() -> tuple[Array, Array]:
        x = of_numpy(given)
        places = np.argpartition(x, -k, axis=1)[:, -k:]
        values = np.take_along_axis(x, places, 1)
        order = np.argsort(-values, axis=1)
        log_sums = contenders.numpy_logsumexp(x, 1)[:, None]
        logarithms = np.take_along_axis(values, order, 1) - log_sums
        return logarithms.astype(given.dtype, copy=False), np.take_along_axis(places, order, 1)

    calls: Calls = {"smoothmax": lambda: smoothmax.top_log_probs(given, k), "NumPy": numpy_call}
    if contenders.installed("torch"):
        torch = contenders.torch()
        own = tensor_of(torch, given)
        calls["PyTorch"] = lambda: torch.topk(torch.log_softmax(own, -1), k)
        calls["PyTorch, topk first"] = lambda: torch.topk(own, k).values - torch.logsumexp(own, -1, keepdim=True)
    if contenders.installed("jax"):
        jax = contenders.jax()
        jitted, device = jax.jit(lambda a: jax.lax.top_k(jax.nn.log_softmax(a, -1), k)), jax.numpy.asarray(given)
        calls["JAX"] = lambda: jax.block_until_ready(jitted(device))
    return calls


def top(rows: int, n: int, k: int, dtype: str) -> Prepared:
    x = normal((rows, n), dtype)
    some = some_rows(rows, n)
    wide = wider(x[some])
    largest, _, exponential = top_apart(wide, 1)
    logarithms = np.sort(wide - largest, 1)[:, : -k - 1 : -1] - np.log1p(exponential.sum(1, keepdims=True))
    return Prepared(top_calls(x, k), Answers(logarithms, logarithms, some))


# Draws ---------------------------------------------------------------------------------------------------------------


def draw_calls(given: Array, draws: int) -> Calls:
    smoothmax = contenders.load("smoothmax")
    rng, rows = np.random.default_rng(1), len(given)

    def numpy_call() -> Array:
        x = of_numpy(given)
        sums = np.cumsum(np.exp(x - x.max(axis=1, keepdims=True)), axis=1)
        if rows == 1:
            drawn: Array = np.searchsorted(sums[0], rng.random(draws) * sums[0, -1], side="right")
        else:
            drawn = (sums <= rng.random((rows, 1)) * sums[:, -1:]).sum(axis=1)
        return drawn

    calls: Calls = {"smoothmax": lambda: smoothmax.categorical(given, size=(draws, rows), rng=rng), "NumPy": numpy_call}
    if contenders.installed("torch"):
        torch = contenders.torch()
        own = tensor_of(torch, given)
        calls["PyTorch"] = lambda: torch.multinomial(torch.softmax(own, -1), draws, replacement=True)
    if contenders.installed("jax"):
        jax = contenders.jax()
        device, key = jax.numpy.asarray(given), jax.random.key(0)
        jitted = jax.jit(lambda key, a: jax.random.categorical(key, a, shape=(draws, rows)))
        calls["JAX"] = lambda: jax.block_until_ready(jitted(key, device))
    return calls


def draw(rows: int, n: int, draws: int, dtype: str) -> Prepared:
    return Prepared(draw_calls(normal((rows, n), dtype), draws))


def cells() -> Cells:
    """Those of bfloat16 are of the language model alone, and need ml_dtypes."""
    halves = ["bfloat16"] if contenders.installed("ml_dtypes") else []
    for (rows, n, k), dtype in itertools.product(TOP, (*DTYPES, *halves)):
        if dtype in DTYPES or (rows, n, k) == TOP[0]:
            prepare = functools.partial(top, rows, n, k, dtype)
            yield Cell("top_log_probs", dtype, f"{k} of ({rows}, {n})", prepare)
    for (rows, n, draws), dtype in itertools.product(DRAWS, (*DTYPES, *halves)):
        if dtype in DTYPES or (rows, n, draws) == DRAWS[0]:
            case = f"({rows}, {n})" if draws == 1 else f"({rows}, {n}), {draws} draws"
            yield Cell("categorical", dtype, case, functools.partial(draw, rows, n, draws, dtype))
