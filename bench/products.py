"""The cells of logmatmulexp, beside other libraries. `bench.family` times them.

A library has two ways. The right one takes logsumexp of the terms of each element; where a cell has more than WORK
terms, it does as many rows of the result as have so many, and the time is that of all. The usual one divides
exponentials by the maxima of rows and columns and multiplies them by BLAS; it is wrong where rows and columns peak in
different places, which those of these cells do not.
"""

import functools
import itertools
from typing import Any

import numpy as np

from bench import contenders
from bench.cases import DTYPES
from bench.cells import Array, Calls, Cell, Cells, Prepared, compiled, normal
from bench.reference import Answers, some_rows, top_apart, wider

__all__ = ["cells"]

WORK = 10**7  # terms that contenders by terms sum in a call
EXACT_WORK = 2 * 10**8  # and that a cell of exact=True has, at most
SHAPES = (
    ((64, 64), (64, 64)),
    ((512, 512), (512, 512)),
    ((1000, 1000), (1000, 1000)),
    ((2000, 2000), (2000, 2000)),
    ((1000, 64), (64, 64)),
    ((64,), (64, 64)),
    ((100, 32, 32), (100, 32, 32)),
    ((1000, 8, 8), (1000, 8, 8)),
    ((10000, 3, 3), (10000, 3, 3)),
)
Shapes = tuple[tuple[int, ...], tuple[int, ...]]


def terms_of(a: Any, b: Any) -> Any:
    return a[..., None] + b[..., None, :, :]


# By terms ------------------------------------------------------------------------------------------------------------


def numpy_terms(a: Array, b: Array) -> Array:
    """A stack at once, but a matrix row by row, because all terms of a large matrix would not fit in memory."""
    if a.ndim == 2:
        return np.array([numpy_terms(row[None, None], b[None])[0, 0] for row in a])
    sums: Array = contenders.numpy_logsumexp(terms_of(a, b), -2)
    return sums


@functools.cache
def loops() -> dict[str, Any]:
    prange = contenders.load("numba").prange

    def multiply(a: Array, b: Array, out: Array) -> None:
        for row in prange(out.shape[0] * out.shape[1]):
            s, i = row // out.shape[1], row % out.shape[1]
            for j in range(b.shape[2]):
                largest, total = a[s, i, 0] + b[s, 0, j], a.dtype.type(0)
                for p in range(a.shape[2]):
                    largest = max(largest, a[s, i, p] + b[s, p, j])
                for p in range(a.shape[2]):
                    total += np.exp(a[s, i, p] + b[s, p, j] - largest)
                out[s, i, j] = largest + np.log(total)

    return compiled(multiply)


def calls_by_terms(a: Array, b: Array) -> Calls:
    special = contenders.load("scipy.special")
    calls: Calls = {
        "NumPy": lambda: numpy_terms(a, b),
        "SciPy": lambda: special.logsumexp(terms_of(a, b), axis=-2),
    }
    if contenders.installed("torch"):
        torch = contenders.torch()
        x, y = torch.from_numpy(a), torch.from_numpy(b)
        calls["PyTorch"] = lambda: torch.logsumexp(terms_of(x, y), -2)
    if contenders.installed("jax"):
        jax = contenders.jax()
        jitted = jax.jit(lambda u, v: jax.scipy.special.logsumexp(terms_of(u, v), axis=-2))
        some, other = jax.numpy.asarray(a), jax.numpy.asarray(b)
        calls["JAX"] = lambda: jitted(some, other).block_until_ready()
    if contenders.installed("numba"):
        left, right = (x if x.ndim == 3 else x[None] for x in (a, b))

        def numba_call(loop: Any) -> Array:
            out = np.empty((*left.shape[:2], right.shape[2]), a.dtype)
            loop(left, right, out)
            return out

        calls |= {name: functools.partial(numba_call, loop) for name, loop in loops().items()}
    return calls


# By exponentials -----------------------------------------------------------------------------------------------------


def calls_by_exponentials(a: Array, b: Array) -> Calls:
    def numpy_call() -> Array:
        rows, columns = a.max(axis=-1, keepdims=True), b.max(axis=-2, keepdims=True)
        products: Array = np.log(np.exp(a - rows) @ np.exp(b - columns)) + rows + columns
        return products

    calls: Calls = {"NumPy": numpy_call}
    if contenders.installed("torch"):
        torch = contenders.torch()
        x, y = torch.from_numpy(a), torch.from_numpy(b)

        def torch_call() -> Any:
            rows, columns = x.amax(-1, keepdim=True), y.amax(-2, keepdim=True)
            return torch.log(torch.exp(x - rows) @ torch.exp(y - columns)) + rows + columns

        calls["PyTorch"] = torch_call
    if contenders.installed("jax"):
        jax = contenders.jax()

        def product(u: Any, v: Any) -> Any:
            rows, columns = u.max(-1, keepdims=True), v.max(-2, keepdims=True)
            return jax.numpy.log(jax.numpy.exp(u - rows) @ jax.numpy.exp(v - columns)) + rows + columns

        jitted, left, right = jax.jit(product), jax.numpy.asarray(a), jax.numpy.asarray(b)
        calls["JAX"] = lambda: jitted(left, right).block_until_ready()
    return calls


# Cells ---------------------------------------------------------------------------------------------------------------


def yardstick(a: Array, b: Array) -> Calls:
    """What the default may take: a product by BLAS, and three passes of exponentials."""
    out = np.empty((len(a), b.shape[1]), a.dtype)

    def passes() -> Array:
        for x in (a, b, a):
            np.exp(x, out=out)
        return np.matmul(a, b, out=out)

    return {"np.matmul and three of np.exp": passes}


def answers_of(a: Array, b: Array, exact: bool) -> Answers:
    """Of logsumexp, and in its units; but what the default promises is an absolute error where a result is below 1."""
    rows = some_rows(len(a), a[0].size * b.shape[-1])
    terms = terms_of(wider(a[rows]), wider(b[rows] if b.ndim == 3 else b))
    largest, _, exponential = top_apart(terms, -2)
    log_sum = np.log1p(exponential.sum(-2, keepdims=True))
    scale = np.maximum(np.abs(largest + log_sum), np.maximum(np.abs(largest), log_sum))
    scale = scale if exact else np.maximum(scale, 1)
    return Answers(np.squeeze(largest + log_sum, -2), np.squeeze(scale, -2), rows)


def prepare(shapes: Shapes, dtype: str, exact: bool) -> Prepared:
    given, b = (normal(shape, dtype, seed) for seed, shape in enumerate(shapes))
    own, a = contenders.load("smoothmax").logmatmulexp, np.atleast_2d(given)
    part = a[: max(1, len(a) * WORK // (a.size * b.shape[-1]))]
    by_terms = calls_by_terms(part, b[: len(part)] if b.ndim == 3 else b)
    calls: Calls = {"smoothmax": lambda: own(given, b, exact=exact)}
    if not exact:
        calls |= calls_by_exponentials(a, b)
        by_terms = {f"{name}, terms": call for name, call in by_terms.items()}
        calls |= yardstick(a, b) if a.shape == b.shape == (1000, 1000) else {}
    return Prepared(calls | by_terms, answers_of(a, b, exact), dict.fromkeys(by_terms, len(a) / len(part)))


def cells() -> Cells:
    for exact, shapes, dtype in itertools.product((False, True), SHAPES, DTYPES):
        if not exact or np.prod(shapes[0]) * shapes[1][-1] <= EXACT_WORK:
            function = "logmatmulexp exact=True" if exact else "logmatmulexp"
            case = f"{shapes[0]} @ {shapes[1]}"
            yield Cell(function, dtype, case, functools.partial(prepare, shapes, dtype, exact))
