"""The cells of logcumsumexp and of the functions of segments, beside other libraries. `bench.family` times them."""

import functools
import itertools
from typing import Any

import numpy as np

from bench import contenders
from bench.cases import DTYPES
from bench.cells import Array, Calls, Cell, Cells, Prepared, compiled, normal
from bench.reference import Answers, wider

__all__ = ["cells"]

SIZE = 10**6
SCANS = (((SIZE,), 0), ((1000, 1000), 0), ((1000, 1000), 1))
FUNCTIONS = ("logsumexp", "softmax", "log_softmax")
MEANS = (3, 10, 100, 10**4)  # elements of a segment


# logcumsumexp --------------------------------------------------------------------------------------------------------


@functools.cache
def scan_loops() -> dict[str, Any]:
    """The loop that users write: a running maximum, and a sum relative to it, both in the type of the elements."""
    prange = contenders.load("numba").prange

    def scan(x: Array, out: Array) -> None:
        for i in prange(x.shape[0]):
            maximum, total = x[i, 0], x.dtype.type(0)
            for j in range(x.shape[1]):
                v = x[i, j]
                if v > maximum:
                    total = total * np.exp(maximum - v) + x.dtype.type(1)
                    maximum = v
                else:
                    total += np.exp(v - maximum)
                out[i, j] = maximum + np.log(total)

    return compiled(scan)


def scan_calls(x: Array, axis: int) -> Calls:
    smoothmax = contenders.load("smoothmax")
    calls: Calls = {
        "smoothmax": lambda: smoothmax.logcumsumexp(x, axis),
        "NumPy": lambda: np.logaddexp.accumulate(x, axis),
    }
    if contenders.installed("torch"):
        torch = contenders.torch()
        tensor = torch.from_numpy(x)
        calls["PyTorch"] = lambda: torch.logcumsumexp(tensor, axis)
    if contenders.installed("jax"):
        jax = contenders.jax()
        jitted, device = jax.jit(lambda a: jax.lax.cumlogsumexp(a, axis)), jax.numpy.asarray(x)
        calls["JAX"] = lambda: jitted(device).block_until_ready()
    if contenders.installed("numba"):

        def rows_of(a: Array) -> Array:
            return a[None] if a.ndim == 1 else np.moveaxis(a, axis, 1)

        def numba_call(loop: Any) -> Array:
            out = np.empty_like(x)
            loop(rows_of(x), rows_of(out))
            return out

        calls |= {name: functools.partial(numba_call, loop) for name, loop in scan_loops().items()}
    return calls


def prefixes(rows: Array) -> Array:
    """The right answers along the last axis: blocks of 100, each combined with the sum of those before it.

    Every element is the result of 300 additions at most, each with half a unit in the last place of the wider type,
    which is 2**-11 of one of float64: together 0.1 ULP at most, where errors have the same sign.
    """
    n = rows.shape[-1]
    if n <= 100:
        return np.logaddexp.accumulate(rows, -1)
    blocks = rows.reshape(*rows.shape[:-1], n // 100, 100)
    within = np.logaddexp.accumulate(blocks, -1)
    before = np.full_like(within[..., :1], -np.inf)
    before[..., 1:, 0] = prefixes(within[..., -1])[..., :-1]
    return np.logaddexp(before, within).reshape(rows.shape)


def scan(shape: tuple[int, ...], axis: int, dtype: str) -> Prepared:
    x = normal(shape, dtype)
    rows = np.moveaxis(wider(x), axis, -1)
    values, largest = prefixes(rows), np.maximum.accumulate(rows, -1)
    scale = np.maximum(np.abs(values), np.maximum(np.abs(largest), values - largest))
    answers = Answers(np.moveaxis(values, -1, axis), np.moveaxis(scale, -1, axis))
    return Prepared(scan_calls(x, axis), answers)


# Segments ------------------------------------------------------------------------------------------------------------


def offsets_of(mean: int, kind: str) -> Array:
    lengths = np.random.default_rng(mean).geometric(1 / mean, 2 * SIZE // mean + 10)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), SIZE)]
    lengths = np.append(lengths, SIZE - lengths.sum())
    return np.concatenate([[0], np.cumsum(np.sort(lengths) if kind == "sorted" else lengths)])


@functools.cache
def segment_loops(function: str) -> dict[str, Any]:
    prange = contenders.load("numba").prange
    reduces, logarithmic = function == "logsumexp", function == "log_softmax"

    def walk(x: Array, offsets: Array, out: Array) -> None:
        for i in prange(len(offsets) - 1):
            maximum, total = x[offsets[i]], x.dtype.type(0)
            for j in range(offsets[i], offsets[i + 1]):
                maximum = max(maximum, x[j])
            for j in range(offsets[i], offsets[i + 1]):
                e = np.exp(x[j] - maximum)
                total += e
                if not reduces and not logarithmic:
                    out[j] = e
            log_total = np.log(total)
            if reduces:
                out[i] = maximum + log_total
            else:
                for j in range(offsets[i], offsets[i + 1]):
                    out[j] = x[j] - maximum - log_total if logarithmic else out[j] / total

    return compiled(walk)


def segment_calls(function: str, x: Array, offsets: Array) -> Calls:
    own, starts, lengths = getattr(contenders.load("smoothmax"), f"segment_{function}"), offsets[:-1], np.diff(offsets)

    def textbook(library: Any, a: Any, maxima: Any, sums: Any, spread: Any) -> Any:
        """The formulas by the maxima and sums of all segments; `spread` repeats a number for each of its elements."""
        largest = maxima(a)
        difference = a - spread(largest)
        exponential = library.exp(difference)
        total = sums(exponential)
        if function == "logsumexp":
            return largest + library.log(total)
        return exponential / spread(total) if function == "softmax" else difference - spread(library.log(total))

    def numpy_call() -> Array:
        maxima, sums = (lambda a: np.maximum.reduceat(a, starts)), (lambda a: np.add.reduceat(a, starts))
        results: Array = textbook(np, x, maxima, sums, lambda a: np.repeat(a, lengths))
        return results

    calls: Calls = {"smoothmax": lambda: own(x, offsets), "NumPy": numpy_call}
    if function == "logsumexp":
        calls["NumPy, logaddexp"] = lambda: np.logaddexp.reduceat(x, starts)
    if contenders.installed("torch"):
        torch = contenders.torch()
        tensor, counts = torch.from_numpy(x), torch.from_numpy(lengths)
        maxima, sums = (functools.partial(torch.segment_reduce, reduce=r, lengths=counts) for r in ("max", "sum"))
        calls["PyTorch"] = lambda: textbook(
            torch, tensor, maxima, sums, lambda a: torch.repeat_interleave(a, counts, output_size=len(x))
        )
    if contenders.installed("jax"):
        jax = contenders.jax()
        device, ids = jax.numpy.asarray(x), jax.numpy.asarray(np.repeat(np.arange(len(lengths)), lengths))

        def jax_results(a: Any, i: Any) -> Any:
            maxima, sums = (
                functools.partial(reduce, segment_ids=i, num_segments=len(lengths), indices_are_sorted=True)
                for reduce in (jax.ops.segment_max, jax.ops.segment_sum)
            )
            return textbook(jax.numpy, a, maxima, sums, lambda v: v[i])

        jitted = jax.jit(jax_results)
        calls["JAX"] = lambda: jitted(device, ids).block_until_ready()
    if contenders.installed("numba"):

        def numba_call(loop: Any) -> Array:
            out = np.empty(len(lengths) if function == "logsumexp" else x.shape, x.dtype)
            loop(x, offsets, out)
            return out

        calls |= {name: functools.partial(numba_call, loop) for name, loop in segment_loops(function).items()}
    return calls


def segment_answers(function: str, x: Array, offsets: Array) -> Answers:
    """By the formulas with the largest element apart from the sum, which is added up in pieces of 256 elements."""
    wide, starts, lengths = wider(x), offsets[:-1], np.diff(offsets)
    largest = np.maximum.reduceat(wide, starts)
    difference = wide - np.repeat(largest, lengths)
    places = np.flatnonzero(difference == 0)
    tops = places[np.unique(np.repeat(np.arange(len(lengths)), lengths)[places], return_index=True)[1]]
    exponential = np.exp(difference)
    exponential[tops] = 0
    cuts = np.union1d(starts, np.arange(0, len(x), 256))
    others = np.add.reduceat(np.add.reduceat(exponential, cuts), np.searchsorted(cuts, starts))
    log_sum = np.log1p(others)
    if function == "logsumexp":
        values = largest + log_sum
        return Answers(values, np.maximum(np.abs(values), np.maximum(np.abs(largest), log_sum)))
    if function == "log_softmax":
        values = difference - np.repeat(log_sum, lengths)
    else:
        exponential[tops] = 1
        values = exponential / np.repeat(1 + others, lengths)
    return Answers(values, values, relative=function == "softmax")


def segments(function: str, mean: int, kind: str, dtype: str) -> Prepared:
    x, offsets = normal((SIZE,), dtype), offsets_of(mean, kind)
    return Prepared(segment_calls(function, x, offsets), segment_answers(function, x, offsets))


def cells() -> Cells:
    for (shape, axis), dtype in itertools.product(SCANS, DTYPES):
        case = "1e6" if len(shape) == 1 else f"{shape} axis {axis}"
        yield Cell("logcumsumexp", dtype, case, functools.partial(scan, shape, axis, dtype))
    for function, mean, kind, dtype in itertools.product(FUNCTIONS, MEANS, ("sorted", "geometric"), DTYPES):
        prepare = functools.partial(segments, function, mean, kind, dtype)
        yield Cell(f"segment_{function}", dtype, f"1e6, mean {mean}, {kind}", prepare)
