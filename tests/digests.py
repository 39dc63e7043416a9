"""Digests of some thousand calls: the same on every processor that has fused multiply-add.

    python tests/digests.py            compare this build with digests.json, and print the groups that differ
    python tests/digests.py --write    replace digests.json, after an intended change of the bits

A group is a function, a type and a route, and its digest is one hash over the bytes of all its results. The inputs are
made of the raw bits of a generator, only by integer arithmetic and powers of two, so they do not depend on NumPy's
version or on the C library. All nans count as the same, because processors differ in sign and payload.
"""

import hashlib
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import smoothmax
from smoothmax._schedule.explain import explain

FILE = Path(__file__).parent / "digests.json"
Array = NDArray[Any]

# Fixed, not imported from the limits: the calls of a group must stay the same when a limit changes.
ROWS = (*range(1, 36), 47, 63, 64, 65, 100, 127, 129, 200, 255, 300, 511, 700, 1000, 1025, 2047, 2049, 3000, 4097, 6000,
        9001, 20_000, 40_001)  # fmt: skip
TABLES = ((1, 1), (3, 5), (7, 2), (40, 10), (70, 33), (33, 70), (200, 48), (300, 7), (20, 257), (600, 64), (1100, 65),
          (9, 3000), (30_000, 2), (9000, 7), (2000, 63), (5, 20_000))  # fmt: skip
BLOCKS = ((32, 7, 33), (40, 150, 64), (45, 40, 100))
PRODUCTS = ((1, 700, 1), (3, 5, 40), (40, 5, 3), (17, 300, 33), (50, 2, 50), (4, 4, 4))
KINDS = ("ordinary", "wide", "equal", "far", "special", "falling")


class Numbers:
    """Numbers whose bits are the same everywhere."""

    def __init__(self, seed: int) -> None:
        self.bits = np.random.PCG64(seed)

    def integers(self, n: int, below: int) -> Array:
        """Integers from 0 to below - 1, near enough to uniform."""
        return (np.asarray(self.bits.random_raw(n), np.uint64) % np.uint64(below)).astype(np.int64)

    def elements(self, shape: tuple[int, ...], dtype: str, kind: str) -> Array:
        """Elements of a kind. They are the same in both types, except for the additional digits of float64."""
        n = int(np.prod(shape))
        digits = 53 if dtype == "f8" else 24
        raw = np.asarray(self.bits.random_raw(n), np.uint64) >> np.uint64(64 - digits)
        x = np.ldexp((raw.astype(np.int64) - (1 << (digits - 1))).astype("f8"), 4 - digits)  # from -8 to 8, exact
        if kind == "wide":
            x *= 64
        elif kind == "equal":
            x = np.floor(x)
        elif kind == "far":
            x = np.floor(x * 2**10) / 2**10 + 1024
        elif kind == "falling":
            x -= np.arange(n) // 8
        elif kind == "special":
            at = self.integers(4, n)
            x[at] = np.array([-np.inf, -np.inf, 0.0, (np.inf, np.nan, -np.inf, -np.inf)[int(self.integers(1, 4)[0])]])
        return x.astype(dtype).reshape(shape)

    def weights(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Weights, positive or of both signs."""
        b = self.elements(shape, dtype, "ordinary")
        return np.abs(b) if self.integers(1, 2)[0] else b

    def mask(self, shape: tuple[int, ...]) -> Array:
        """A mask. One in five of its elements is False."""
        return np.asarray(self.integers(int(np.prod(shape)), 5).reshape(shape) > 0)


def reductions(numbers: Numbers, x: Array, axis: int, index: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    shape, dtype = x.shape, x.dtype.str[1:]
    b, where = numbers.weights(shape, dtype), numbers.mask(shape)
    yield "logsumexp", lambda: smoothmax.logsumexp(x, axis)
    yield "softmax", lambda: smoothmax.softmax(x, axis)
    yield "log_softmax", lambda: smoothmax.log_softmax(x, axis)
    if index % 2:
        yield "logsumexp with b", lambda: smoothmax.logsumexp(x, axis, b, return_sign=True)
        yield "logsumexp_and_softmax", lambda: smoothmax.logsumexp_and_softmax(x, axis)
    else:
        yield "logsumexp where", lambda: smoothmax.logsumexp(x, axis, where=where)
        yield "softmax where", lambda: smoothmax.softmax(x, axis, where=where)
    if index % 3 == 0:
        yield "logsumexp of a view", lambda: smoothmax.logsumexp(x[..., ::2], axis)
        yield "log_softmax of a view", lambda: smoothmax.log_softmax(x[..., ::-1], axis)


def losses(numbers: Numbers, x: Array, axis: int, index: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    shape, dtype = x.shape, x.dtype.str[1:]
    classes = shape[axis]
    targets = numbers.integers(x.size // classes, classes).reshape(shape[:axis] + shape[axis + 1 :])
    soft = np.abs(numbers.elements(shape, dtype, "ordinary"))
    weight = np.abs(numbers.weights((classes,), dtype))
    options: dict[str, Any] = {"axis": axis, "reduction": ("none", "sum", "mean")[index % 3]}
    g = numbers.elements(shape, dtype, "ordinary")
    yield "cross_entropy", lambda: smoothmax.cross_entropy(x, targets, weight=weight, **options)
    yield "cross_entropy of probabilities", lambda: smoothmax.cross_entropy(x, soft, label_smoothing=0.125, **options)
    yield "cross_entropy_and_grad", lambda: smoothmax.cross_entropy_and_grad(x, targets, **options)
    options_of_ties = {**options, "label_smoothing": 0.1}
    ties = np.floor(np.clip(x, -2, 2))  # many logits of a row are its maximum
    yield "cross_entropy_and_grad of ties", lambda: smoothmax.cross_entropy_and_grad(ties, targets, **options_of_ties)
    yield "log_prob", lambda: smoothmax.log_prob(x, targets, axis)
    yield "nll_loss", lambda: smoothmax.nll_loss(x, targets, **options)
    yield "softmax_vjp", lambda: smoothmax.softmax_vjp(g, soft, axis)
    yield "log_softmax_vjp", lambda: smoothmax.log_softmax_vjp(g, x, axis)


def products(numbers: Numbers, shape: Any, dtype: str, kind: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Exact products: np.matmul's order of sums depends on the processor."""
    n, k, m = shape
    a, b = numbers.elements((7, n, k), dtype, kind), numbers.elements((k, m), dtype, "wide")
    yield "logmatmulexp", lambda: smoothmax.logmatmulexp(a[0], b, exact=True)
    yield "logmatmulexp of a stack", lambda: smoothmax.logmatmulexp(a, b, exact=True)
    yield "logmatmulexp of views", lambda: smoothmax.logmatmulexp(b.T, a[1:3].swapaxes(1, 2), exact=True)


def blocks(numbers: Numbers, shape: Any, dtype: str, kind: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Products that a kernel multiplies."""
    n, k, m = shape
    a, b = numbers.elements((3, n, k), dtype, kind), numbers.elements((k, m), dtype, "wide")
    yield "logmatmulexp by factors", lambda: smoothmax.logmatmulexp(a[0], b)
    yield "logmatmulexp of a stack by factors", lambda: smoothmax.logmatmulexp(a, b)
    yield "logmatmulexp of views by factors", lambda: smoothmax.logmatmulexp(b.T, a[0].T)
    yield "logmatmulexp of small matrices by factors", lambda: smoothmax.logmatmulexp(a.T[:, :7, None, :], b[:3, :5])


def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each call as a function without arguments, with the name of its group."""
    for dtype in ("f4", "f8"):
        index = 0
        for n in ROWS:
            for kind in KINDS if n < 10_000 else KINDS[:2]:
                numbers = Numbers(index := index + 1)
                for name, call in reductions(numbers, numbers.elements((n,), dtype, kind), 0, index):
                    yield f"{name} {dtype}", call
        for shape in TABLES:
            for axis in (0, 1):
                for kind in KINDS:
                    numbers = Numbers(index := index + 1)
                    x = numbers.elements(shape, dtype, kind)
                    for name, call in (*reductions(numbers, x, axis, index), *losses(numbers, x, axis, index)):
                        yield f"{name} {dtype}", call
        for index, (shape, kind) in enumerate(itertools.product(PRODUCTS, KINDS)):
            for name, call in products(Numbers(20_000 + index), shape, dtype, kind):
                yield f"{name} {dtype}", call
        for index, (shape, kind) in enumerate(itertools.product(BLOCKS, KINDS)):
            for name, call in blocks(Numbers(30_000 + index), shape, dtype, kind):
                yield f"{name} {dtype}", call


def streams() -> Iterator[tuple[str, Any]]:
    for dtype in ("f4", "f8"):
        for index in range(20):
            numbers = Numbers(10_000 + index)
            stream = smoothmax.LogSumExp(axis=index % 2)
            for rows in (5, 1, 300, 40):
                shape = (rows, 9) if index % 2 == 0 else (9, rows)
                b = numbers.weights(shape, dtype) if index % 3 == 0 else None
                stream.update(numbers.elements(shape, dtype, KINDS[index % 4]), b=b)
            yield f"LogSumExp {dtype}", stream.result(return_sign=True)


def parts(result: Any) -> Iterator[Array]:
    """The arrays of a result, in which all nans are the same."""
    for part in result if isinstance(result, tuple) else (result,):
        array = np.array(part)
        array[np.isnan(array)] = np.nan
        yield array.astype(array.dtype.newbyteorder("<"))


def digests() -> dict[str, list[Any]]:
    """The number of calls and the digest of each group."""
    hashes: dict[str, Any] = defaultdict(hashlib.sha256)
    number: dict[str, int] = defaultdict(int)

    def take(group: str, result: Any) -> None:
        number[group] += 1
        for array in parts(result):
            hashes[group].update(repr(array.shape).encode() + array.tobytes())

    for name, call in calls():
        results: list[Any] = []
        route = explain(lambda call=call, results=results: results.append(call()))["name"]
        take(f"{name} {route}", results[0])
    for name, result in streams():
        take(name, result)
    return {group: [number[group], hashes[group].hexdigest()[:16]] for group in sorted(number)}


def committed() -> dict[str, list[Any]]:
    return json.loads(FILE.read_text())


def differing(found: dict[str, list[Any]]) -> list[str]:
    wanted = committed()
    return sorted(group for group in found.keys() | wanted.keys() if found.get(group) != wanted.get(group))


def main() -> int:
    found = digests()
    kernels = smoothmax.show_config(mode="dicts")["Kernels"]
    if "--write" in sys.argv:
        lines = ",\n".join(f"{json.dumps(group)}: {json.dumps(each)}" for group, each in found.items())
        FILE.write_text(f"{{\n{lines}\n}}\n")
        return 0
    different = differing(found)
    total = sum(number for number, _ in found.values())
    print(f"{kernels['variant']} of {kernels['compiler']}: {total} calls in {len(found)} groups")
    print("\n".join(different) if different else "all have the committed bits")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
