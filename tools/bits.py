"""Show that a change does not change any bit: record the results of tens of thousands of calls, and compare recordings.

    python tools/bits.py record before.npz          # of the smoothmax that this Python imports
    python tools/bits.py record after.npz --like before.npz
    python tools/bits.py compare before.npz after.npz
    python tools/bits.py record a.npz --only "softmax f4 row n=300" --whole     # of some calls, every element

The calls cover each public function, type, layout, mask and weight, and both sides of every limit at which another
computing path begins. The data of a call depend only on its description, so the call is the same whatever else is
recorded. SMOOTHMAX_KERNEL chooses the variant of the kernels. The limits are read from the source tree of this file, or
from an older recording (--like), never from the measured package, because two recordings must make the same calls.

A recording has a digest of each result (values, type, shape, strides), all elements of small results, and some elements
and the sums of 16 parts of larger ones. All nan count as equal, because their sign and payload are the compiler's
choice. Only the type of an error counts.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import pathlib
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Make = Callable[[np.random.Generator], Any]
TREE = pathlib.Path(__file__).parents[1]
WHOLE = 64  # results of up to this many elements are stored whole
SAMPLES, PARTS = 64, 16  # of a larger result

# What is recorded and how ---------------------------------------------------------------------------------------------


def limits_of_tree() -> dict[str, int]:
    """The tuning limits in src/smoothmax/_thresholds.pxd."""
    text = (TREE / "src/smoothmax/_thresholds.pxd").read_text()
    return {name: int(value) for name, value in re.findall(r"^    ([A-Z][A-Z0-9_]+) = (\d+)\b", text, re.MULTILINE)}


def canonical(x: Any) -> Array:
    """The elements in C order, without nan's sign and payload and longdouble's padding."""
    x = np.ascontiguousarray(x)
    x = x.reshape(-1).view(x.real.dtype) if x.dtype.kind == "c" else x.reshape(-1)
    x = x.astype(x.dtype.newbyteorder("="))
    if x.dtype.kind == "f":
        nan = np.isnan(x)
        if nan.any():
            x = np.where(nan, x.dtype.type(np.nan), x).astype(x.dtype)
    return x


def raw(x: Array) -> Array:
    """Bytes of canonical elements, one row each."""
    octets = x.view(np.uint8).reshape(x.size, x.dtype.itemsize)
    if x.dtype == np.longdouble and x.dtype.itemsize == 16 and np.finfo(x.dtype).nmant == 63:
        octets = octets.copy()
        octets[:, 10:] = 0
    return octets


def sums(octets: Array) -> Array:
    """A number for each part that changes if nearly any bit of the part changes."""
    flat = octets.reshape(-1)
    words = flat[: flat.size - flat.size % 2].view(np.uint16)
    return np.add.reduceat(words, np.linspace(0, words.size, PARTS, endpoint=False).astype(np.intp), dtype=np.uint32)


def picked(size: int) -> Array:
    return np.linspace(0, size - 1, SAMPLES).astype(np.intp)


def encoded(result: Any, whole: bool = False) -> tuple[str, bytes, bytes]:
    """The type, shape and strides of a result, its digest, and the elements that are stored."""
    looks, digest, stored = [], hashlib.blake2b(digest_size=16), []
    for part in result if isinstance(result, tuple) else (result,):
        if not isinstance(part, np.ndarray | np.generic):
            looks.append(f"{type(part).__name__} {part!r}")
            continue
        strides = tuple(s if n > 1 else 0 for s, n in zip(part.strides, part.shape, strict=True)) if part.size else ()
        x = canonical(part)
        octets = raw(x)
        keep = whole or x.size <= WHOLE
        kind = "array" if isinstance(part, np.ndarray) else "scalar"
        how = "all" if keep else "some"
        looks.append(f"{kind} {part.dtype.str} {part.shape} strides {strides} {x.dtype.str} {x.size} {how}")
        digest.update(octets.data if octets.flags.c_contiguous else octets.tobytes())
        stored.append(octets.tobytes() if keep else octets[picked(x.size)].tobytes() + sums(octets).tobytes())
    text = "; ".join(looks)
    digest.update(text.replace(" all", " ").replace(" some", " ").encode())
    return text, digest.digest(), b"".join(stored)


def decoded(looks: str, stored: bytes) -> list[tuple[str, Array, Array | None]]:
    """For each part of a result: a description, the stored elements, and sums if not all elements are stored."""
    found, at = [], 0
    for one in looks.split("; "):
        if not one.endswith((" all", " some")):
            found.append((one, np.empty(0), None))
            continue
        dtype, size, how = np.dtype(one.split(" ")[-3]), int(one.split(" ")[-2]), one.split(" ")[-1]
        n = size if how == "all" else SAMPLES
        x = np.frombuffer(stored, dtype, n, at)
        at += n * dtype.itemsize
        part = None
        if how == "some":
            part = np.frombuffer(stored, np.uint32, PARTS, at)
            at += part.nbytes
        found.append((one.rsplit(" ", 3)[0], x, part))
    return found


# Data -----------------------------------------------------------------------------------------------------------------

POOL = np.random.default_rng(1).standard_normal(1 << 18)
KINDS = ("ordinary", "ordinary", "wide", "equal", "special", "falling", "rising", "far", "tiny")
REAL = ("f4", "f8")


def numbers(rng: np.random.Generator, shape: Any, dtype: Any = "f8", kind: str = "") -> Array:
    """Elements of a kind, or of a random kind. Long arrays repeat after 2**18 elements."""
    dtype = np.dtype(dtype)
    shape = shape if isinstance(shape, tuple) else (shape,)
    n = int(np.prod(shape))
    kind = kind or KINDS[rng.integers(len(KINDS))]
    start = int(rng.integers(POOL.size))
    x = np.resize(np.roll(POOL, start), n) if n > POOL.size else np.take(POOL, range(start, start + n), mode="wrap")
    if dtype.kind in "biu":
        return np.asarray(np.abs(x) * 20).astype(dtype).reshape(shape)
    scale = {"ordinary": 4.0, "wide": 400.0, "tiny": 1e-12, "far": 3.0, "falling": 1.0, "rising": 1.0}.get(kind, 9.0)
    x = x * min(scale, 100.0) if dtype == np.float16 else x * scale
    if kind == "equal":
        x = np.rint(x / 9.0)
    elif kind in ("falling", "rising") and n:
        ramp = np.linspace(0, 60, n)
        x += ramp if kind == "rising" else -ramp
    elif kind == "far":
        x += -1000.0 if n % 2 else 1000.0
    elif kind == "special" and n:
        for value in rng.choice([np.inf, -np.inf, np.nan, 0.0, -np.inf, -np.inf], int(rng.integers(1, 4))):
            x[rng.integers(n, size=int(rng.integers(1, 4)))] = value
    return x.astype(dtype).reshape(shape)


def weights(rng: np.random.Generator, shape: Any, dtype: Any = "f8") -> Array:
    """Weights: positive, of both signs, with zeros, or over the whole range of a type's exponents."""
    b = numbers(rng, shape, dtype, "ordinary")
    how = rng.integers(4)
    if how < 2:
        b = np.abs(b)
    if how in (1, 2) and b.size:
        b.reshape(-1)[rng.integers(b.size, size=max(1, b.size // 5))] = 0
    return b


def mask(rng: np.random.Generator, shape: Any) -> Array:
    return np.asarray(rng.random(shape) < rng.choice([0.1, 0.5, 0.95]))


def unaligned(x: Array) -> Array:
    buffer = np.zeros(x.nbytes + 1, np.uint8)
    y = buffer[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def laid_out(rng: np.random.Generator, x: Array, layout: str = "") -> Array:
    """The same values in another layout, or in a random one."""
    layout = layout or str(rng.choice(["C", "F", "strided", "backwards", "unaligned", "swapped", "moved", "offset"]))
    if layout == "F":
        return np.asarray(x, order="F")
    if layout == "strided" and x.ndim:
        y = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2]
        y[...] = x
        return y
    if layout == "backwards" and x.ndim:
        return np.flip(np.ascontiguousarray(np.flip(x)))
    if layout == "unaligned":
        return unaligned(x)
    if layout == "swapped":
        return x.astype(x.dtype.newbyteorder())
    if layout == "moved" and x.ndim > 1:
        order = rng.permutation(x.ndim)
        return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    if layout == "offset" and x.ndim:
        y = np.zeros((*x.shape[:-1], x.shape[-1] + 3), x.dtype)[..., 2:-1]
        y[...] = x
        return y
    return x.copy()


# Calls ----------------------------------------------------------------------------------------------------------------


@dataclass
class Call:
    """The description of a call, which is also its seed, and a function that makes the call."""

    text: str
    make: Make


def reduction(name: str, shape: Any, dtype: str, axis: Any, more: str = "", kind: str = "", layout: str = "C") -> Make:
    """A call of one of the reductions; `more` names further arguments."""

    def make(rng: np.random.Generator) -> Any:
        import smoothmax

        x = numbers(rng, shape, dtype, kind)
        full = x.shape
        x = laid_out(rng, x, layout) if layout != "C" else x
        options: dict[str, Any] = {"axis": axis}
        if "weights" in more:
            options["b"] = laid_out(rng, weights(rng, full, dtype), layout)
            options["return_sign"] = bool(rng.integers(2))
        if "row of b" in more:
            options["b"] = weights(rng, (1,) * (len(full) - 1) + full[-1:], dtype)
        if "column of b" in more:
            options["b"] = weights(rng, (*full[:-1], 1), dtype)
        if "number b" in more:
            options["b"] = float(weights(rng, 1)[0])
        if "mask" in more:
            options["where"] = mask(rng, full)
        if "row of where" in more:
            options["where"] = mask(rng, full[-1])
        if "keepdims" in more and "logsumexp" in name:
            options["keepdims"] = True
        if "in place" in more and name != "logsumexp":
            options["out"] = x
        if "overlap" in more and name != "logsumexp" and x.ndim:
            both = np.zeros((full[0] + 1, *full[1:]), x.dtype)
            both[1:] = x
            x, options["out"] = both[1:], both[:-1]
        if "into" in more:
            into = np.dtype(more.split("into ")[1].split(" ")[0])
            result = full if name != "logsumexp" else np.sum(np.broadcast_to(0, full), axis=axis).shape
            options["out"] = np.zeros(result[::-1], into).T
        if "as " in more:
            options["dtype"] = np.dtype(more.split("as ")[1].split(" ")[0])
        return getattr(smoothmax, name)(x, **options)

    return make


NAMES = ("logsumexp", "softmax", "log_softmax", "logsumexp_and_softmax")
LAYOUTS = ("F", "strided", "backwards", "unaligned", "swapped", "moved", "offset")
MORE = {
    "logsumexp": ("", "weights", "mask", "weights mask", "row of b", "column of b", "number b", "keepdims"),
    "softmax": ("", "mask", "row of where", "in place", "overlap", "mask in place"),
    "log_softmax": ("", "mask", "row of where", "in place", "overlap", "mask in place"),
    "logsumexp_and_softmax": ("", "mask", "keepdims", "in place", "row of where"),
}


def near(limits: dict[str, int], most: int) -> list[int]:
    """Numbers of elements or rows around every limit, as a number, as bytes of both types, and over tiles."""
    columns = limits["TILE_COLUMNS"]
    found = set()
    for value in limits.values():
        for scaled in (value, value // 4, value // 8, value // (4 * columns), value // (8 * columns), 4 * value):
            for multiple in (1, 2, 3):
                found |= {scaled * multiple + d for d in (-1, 0, 1)}
    return sorted(n for n in found if 0 < n <= most)


def rows_and_tiles(limits: dict[str, int]) -> Iterator[Call]:
    for name in NAMES:
        for dtype in REAL:
            for n in range(1, 3001):
                yield Call(f"{name} {dtype} row n={n}", reduction(name, n, dtype, None))
            for i, n in enumerate(near(limits, 200_000)):
                more = MORE[name][i % len(MORE[name])]
                yield Call(f"{name} {dtype} row at a limit n={n} {more}", reduction(name, n, dtype, -1, more))
                for rows in (2, 17) if n <= 70_000 else (2,):
                    text = f"{name} {dtype} rows at a limit ({rows}, {n})"
                    yield Call(text, reduction(name, (rows, n), dtype, 1))
            for n in range(1, 1101):
                columns = 1 + zlib.crc32(f"{name}{dtype}{n}".encode()) % 200
                more = MORE[name][n % len(MORE[name])] if n % 2 else ""
                text = f"{name} {dtype} tile ({n}, {columns}) {more}"
                yield Call(text, reduction(name, (n, columns), dtype, 0, more))
            for n in range(1, 301):
                rows = 1 + zlib.crc32(f"{name}{dtype}{n}rows".encode()) % 150
                more = MORE[name][n % len(MORE[name])] if n % 2 else ""
                text = f"{name} {dtype} rows ({rows}, {n}) {more}"
                yield Call(text, reduction(name, (rows, n), dtype, 1, more))


LARGE_TILES = (
    (300_000, 2), (90_000, 7), (40_000, 33), (20_000, 63), (9000, 64), (5000, 200), (1100, 1500), (300, 4096),
    (700, 2048), (2000, 1024),
)  # fmt: skip


def wide_and_narrow(limits: dict[str, int]) -> Iterator[Call]:
    for name in NAMES:
        for dtype in REAL:
            for n in near(limits, 9000):
                for columns in (32, 64, 129, 1024, 2048):
                    if n * columns <= 150_000:
                        text = f"{name} {dtype} tile at a limit ({n}, {columns})"
                        yield Call(text, reduction(name, (n, columns), dtype, 0))
            for columns in range(1, 71):
                for n in (limits["NARROW_MIN_ELEMENTS"] // columns + d for d in (-1, 0, 1, 200, 3000)):
                    if n > 0:
                        more = MORE[name][(n + columns) % len(MORE[name])] if (n + columns) % 2 else ""
                        text = f"{name} {dtype} narrow ({n}, {columns}) {more}"
                        yield Call(text, reduction(name, (n, columns), dtype, 0, more))
            for n, columns in LARGE_TILES:
                for more in MORE[name]:
                    text = f"{name} {dtype} large tile ({n}, {columns}) {more}"
                    yield Call(text, reduction(name, (n, columns), dtype, 0, more))


def long_rows(limits: dict[str, int]) -> Iterator[Call]:  # noqa: ARG001
    for name in NAMES:
        for dtype in REAL:
            for n in (100_000, 131_073, 262_144, 262_145, 500_001, 1_000_000, 2_500_007, 5_000_000):
                for more in MORE[name] if n < 300_000 else MORE[name][:2]:
                    for layout in ("C", "strided") if n < 600_000 else ("C",):
                        text = f"{name} {dtype} long row n={n} {layout} {more}"
                        yield Call(text, reduction(name, n, dtype, 0, more, layout=layout))
            for shape in ((3, 500_000), (40, 70_000), (5000, 100), (400, 3000)):
                for layout in ("C", "unaligned", "F", "offset"):
                    text = f"{name} {dtype} many rows {shape} {layout}"
                    yield Call(text, reduction(name, shape, dtype, 1, layout=layout))


RESULT_TYPES = (
    "into f2", "into f4", "into f8", "into >f8", "into g", "as f2", "as f4", "as f8", "as g", "mask into f4",
    "mask as f2",
)  # fmt: skip


def other_types_and_layouts(limits: dict[str, int]) -> Iterator[Call]:  # noqa: ARG001
    shapes: tuple[tuple[int, ...], ...] = (
        (), (0,), (1,), (7,), (100,), (5000,), (3, 4), (70, 33), (33, 70), (16, 300), (600, 50), (0, 3), (3, 0),
        (5, 6, 7), (2, 40, 65), (40, 2, 65), (3, 4, 5, 6), (2, 3, 2, 3, 2), (2, 2, 2, 2, 2, 40),
    )  # fmt: skip
    for name in NAMES:
        for dtype in ("f2", "f4", "f8", ">f4", ">f8", ">f2", "g", "F", "D", "?", "i1", "u2", "i8", ">i4", "u8"):
            for shape in shapes:
                axes: list[Any] = [None, *range(len(shape))]
                if len(shape) > 2:
                    axes += [(0, 2), (0, 1), (1, 2), ()]
                for i, axis in enumerate(axes):
                    seed = zlib.crc32(f"{name}{dtype}{shape}{axis}".encode())
                    layout = LAYOUTS[seed % len(LAYOUTS)] if i % 3 else "C"
                    more = MORE[name][seed // 8 % len(MORE[name])]
                    if more == "weights" and dtype in "?FD":
                        more = ""
                    text = f"{name} {dtype} array {shape} axis={axis} {layout} {more}"
                    yield Call(text, reduction(name, shape, dtype, axis, more, layout=layout))
        for dtype in REAL:
            for shape in shapes:
                for axis in (None, -1, 0):
                    for layout in LAYOUTS:
                        for more in MORE[name]:
                            text = f"{name} {dtype} layout {shape} axis={axis} {layout} {more}"
                            yield Call(text, reduction(name, shape, dtype, axis, more, layout=layout))
                    for more in RESULT_TYPES:
                        text = f"{name} {dtype} result {shape} axis={axis} {more}"
                        yield Call(text, reduction(name, shape, dtype, axis, more))


def loss(name: str, shape: tuple[int, ...], dtype: str, axis: int, index: int) -> Make:
    def make(rng: np.random.Generator) -> Any:
        import smoothmax

        x = laid_out(
            rng, numbers(rng, shape, dtype, str(rng.choice(["ordinary", "equal", "wide"]))), "" if index % 3 else "C"
        )
        if name == "nll_loss":
            x = smoothmax.log_softmax(x, axis=axis)
        classes = shape[axis]
        rest = shape[:axis] + shape[axis + 1 :]
        soft = name != "log_prob" and index % 4 == 1
        options: dict[str, Any] = {"axis": axis}
        if soft:
            targets = smoothmax.softmax(numbers(rng, shape, rng.choice(["f4", "f8", dtype]), "ordinary"), axis=axis)
            targets = laid_out(rng, np.asarray(targets), "" if index % 8 == 1 else "C")
        else:
            targets = rng.integers(0, classes, rest).astype(rng.choice(["i8", "i4", "u1", ">i8"]))
        if name != "log_prob":
            options["reduction"] = str(rng.choice(["mean", "sum", "none"]))
            if rng.integers(2):
                options["weight"] = np.abs(numbers(rng, classes, rng.choice(["f4", "f8"]), "ordinary"))
            if rng.integers(2):
                options["label_smoothing"] = float(rng.choice([0.1, 0.3, 1e-6, 1.0]))
            if not soft and rng.integers(2):
                options["ignore_index"] = int(rng.integers(0, classes))
        if name == "cross_entropy_and_grad" and rng.integers(3) == 0 and x.dtype == np.dtype(dtype).newbyteorder("="):
            options["out"] = x if rng.integers(2) else np.zeros(shape[::-1], x.dtype).T
        return getattr(smoothmax, name)(x, targets, **options)

    return make


def losses(limits: dict[str, int]) -> Iterator[Call]:  # noqa: ARG001
    shapes: tuple[tuple[tuple[int, ...], int], ...] = (
        ((1, 1), 1), ((5, 3), 1), ((3, 5), 0), ((200, 10), 1), ((10, 200), 0), ((64, 100), 1), ((3, 7, 20), 1),
        ((40, 1000), 1), ((1000, 40), 0), ((2, 30, 5, 6), 1), ((7, 300), 1), ((3, 5000), 1), ((2, 70_000), 1),
        ((300, 257), 1), ((17, 64), 1), ((2, 3, 4, 5), 3),
    )  # fmt: skip
    for name in ("cross_entropy", "cross_entropy_and_grad", "nll_loss", "log_prob"):
        for dtype in ("f4", "f8", "f2"):
            for shape, axis in shapes:
                for index in range(36 if np.prod(shape) < 30_000 else 12):
                    text = f"{name} {dtype} {shape} axis={axis} {index}"
                    yield Call(text, loss(name, shape, dtype, axis, index))


def product(name: str, shape: tuple[int, ...], dtype: str, axis: Any, index: int) -> Make:
    def make(rng: np.random.Generator) -> Any:
        import smoothmax

        function = smoothmax.softmax if name == "softmax_vjp" else smoothmax.log_softmax
        p = laid_out(
            rng, np.asarray(function(numbers(rng, shape, dtype, "ordinary"), axis=axis)), "" if index % 3 else "C"
        )
        g = laid_out(
            rng,
            numbers(rng, shape, rng.choice([dtype, "f8"]), "ordinary" if index % 4 else ""),
            "" if index % 2 else "C",
        )
        out = {1: g, 2: p}.get(index % 5)
        options = {} if out is None or out.dtype != np.result_type(g, p) else {"out": out}
        return getattr(smoothmax, name)(g, p, axis, **options)

    return make


def products(limits: dict[str, int]) -> Iterator[Call]:
    shapes: list[tuple[tuple[int, ...], Any]] = [
        ((1,), 0), ((17,), None), ((50, 30), 1), ((50, 30), 0), ((30, 200), 1), ((200, 300), 0), ((9, 3000), 1),
        ((2, 100_000), 1), ((100_000, 3), 0), ((3, 4, 5), (0, 2)), ((600, 1024), 0),
    ]  # fmt: skip
    shapes += [((n,), 0) for n in near(limits, 70_000)[::3]] + [((n, 64), 0) for n in near(limits, 1500)[::3]]
    for name in ("softmax_vjp", "log_softmax_vjp"):
        for dtype in REAL:
            for shape, axis in shapes:
                for index in range(20 if len(shape) > 1 and np.prod(shape) < 30_000 and shape[1] != 64 else 2):
                    text = f"{name} {dtype} {shape} axis={axis} {index}"
                    yield Call(text, product(name, shape, dtype, axis, index))


def matmul(shape: tuple[int, int, int], dtype: str, exact: bool, layout: str, kind: str) -> Make:
    def make(rng: np.random.Generator) -> Any:
        import smoothmax

        n, k, m = shape
        a = laid_out(rng, numbers(rng, (n, k), dtype, kind), layout)
        b = laid_out(rng, numbers(rng, (k, m), dtype, kind), layout)
        return smoothmax.logmatmulexp(a, b, exact=exact)

    return make


def matmuls(limits: dict[str, int]) -> Iterator[Call]:
    rows, columns, terms = (limits.get(f"PRODUCT_{name}", 256) for name in ("ROWS", "COLUMNS", "TERMS"))
    shapes = [(1, 1, 1), (1, 700, 1), (3, 5, 40), (40, 5, 3), (17, 30, 33), (4, 4, 4)]
    shapes += [(rows + 1, terms + 1, columns + 1), (rows, terms, columns), (2 * rows, 3, 100), (50, 2, 50)]
    for shape, dtype, exact in itertools.product(shapes, (*REAL, "f2", "i1"), (False, True)):
        for kind, layout in itertools.product(sorted(set(KINDS)), ("C", "strided", "backwards", "swapped")):
            text = f"logmatmulexp {dtype} {shape} exact={exact} {kind} {layout}"
            yield Call(text, matmul(shape, dtype, exact, layout, kind))


UFUNCS = {"logaddexp": 2, "logsubexp": 2, "log1mexp": 1, "log1pexp": 1, "log_expit": 1}


def ufunc(name: str, n: int, dtype: str, kind: str, layout: str) -> Make:
    def make(rng: np.random.Generator) -> Any:
        import smoothmax

        operands = [laid_out(rng, numbers(rng, n, dtype, kind), layout) for _ in range(UFUNCS[name])]
        return getattr(smoothmax, name)(*operands)

    return make


def ufuncs(limits: dict[str, int]) -> Iterator[Call]:
    lengths = (1, 10, limits["LANES_F32"] + 1, 2 * limits.get("ELEMENTWISE_BLOCK_ELEMENTS", 256) + 3, 5000)
    for name, n, dtype in itertools.product(UFUNCS, lengths, (*REAL, "f2", "g", "i1")):
        for kind, layout in itertools.product(sorted(set(KINDS)), ("C", "strided", "backwards", "swapped")):
            yield Call(f"{name} {dtype} {n} {kind} {layout}", ufunc(name, n, dtype, kind, layout))


def stream(index: int) -> Make:
    def make(rng: np.random.Generator) -> Any:
        import pickle

        from smoothmax import LogSumExp

        dtype = str(rng.choice(["f4", "f8", "f2"]))
        axis = [None, 0, 1, (0, 1), -1][index % 5]
        keepdims = bool(rng.integers(2))
        kept = [int(rng.integers(1, 80)), int(rng.integers(1, 80))]
        parts = []
        for _ in range(1 + index % 3):
            one = LogSumExp(axis, keepdims=keepdims)
            for _ in range(int(rng.integers(1, 5))):
                shape = tuple(int(rng.integers(0, 200)) if axis is None or i in np.atleast_1d(axis) % 2 else kept[i]
                              for i in (0, 1))  # fmt: skip
                options: dict[str, Any] = {}
                if index % 4 == 1:
                    options["b"] = weights(rng, shape, dtype)
                if index % 7 == 1:
                    options["where"] = mask(rng, shape)
                one.update(numbers(rng, shape, dtype), **options)
            parts.append(pickle.loads(pickle.dumps(one)) if index % 3 == 0 else one)
        total = parts[0]
        for one in parts[1:]:
            total = total.merge(one)
        return (
            (*total.result(return_sign=True), total.result(), total.count)
            if index % 4 == 1
            else (total.result(), total.count)
        )

    return make


def threaded(make: Make, threads: int) -> Make:
    def with_threads(rng: np.random.Generator) -> Any:
        import smoothmax

        with smoothmax.num_threads(threads):
            return make(rng)

    return with_threads


def streams_threads_and_blocks(limits: dict[str, int]) -> Iterator[Call]:
    for index in range(1200):
        yield Call(f"LogSumExp {index}", stream(index))
    shared = limits["SHARE_MIN_BYTES"]
    for name in NAMES:
        for dtype in REAL:
            n = shared // np.dtype(dtype).itemsize
            for shape, axis in (
                ((n - 1,), 0), ((n,), 0), ((8*n + 5,), 0), ((20*n,), 0), ((1000, n//300), 1), ((1000, n//300), 0),
                ((3, n), 1), ((n, 3), 0), ((n//100, 700), 0), ((2000, 1024), 0),
            ):  # fmt: skip
                for more in MORE[name][:3]:
                    for threads in (1, 2, 3):
                        text = f"{name} {dtype} {shape} axis={axis} threads={threads} {more}"
                        yield Call(text, threaded(reduction(name, shape, dtype, axis, more), threads))
    try:
        import dask.array  # noqa: F401
    except ImportError:
        return
    for name in ("logsumexp", "softmax", "log_softmax"):
        for index in range(60):
            yield Call(f"dask {name} {index}", blocks(name, index))


def blocks(name: str, index: int) -> Make:
    def make(rng: np.random.Generator) -> Any:
        import dask
        import dask.array as da

        import smoothmax.dask

        shape = (int(rng.integers(1, 200)), int(rng.integers(1, 200)))
        x = da.from_array(
            numbers(rng, shape, "f4" if index % 2 else "f8"), chunks=tuple(int(rng.integers(1, n + 1)) for n in shape)
        )
        options: dict[str, Any] = {"axis": (None, 0, 1, (0, 1))[index % 4]}
        if index % 3 == 1:
            options["where"] = mask(rng, shape)
        if name == "logsumexp" and index % 5 == 1:
            options["b"] = weights(rng, shape)
        with dask.config.set(scheduler="synchronous"):
            return np.asarray(getattr(smoothmax.dask, name)(x, **options).compute())

    return make


GROUPS = (
    rows_and_tiles, wide_and_narrow, other_types_and_layouts, losses, products, matmuls, ufuncs,
    streams_threads_and_blocks, long_rows,
)  # fmt: skip


# The command ----------------------------------------------------------------------------------------------------------


def made(call: Call) -> Any:
    try:
        result = call.make(np.random.default_rng(zlib.crc32(call.text.encode())))
    except Exception as error:
        return type(error).__name__
    return result


def variant() -> str:
    try:
        from smoothmax._kernels import dispatch
    except ImportError:  # before the modules were sorted into rooms
        from smoothmax import _dispatch as dispatch
    return str(dispatch.variant)


def record(path: str, like: str | None, only: str | None, whole: bool) -> None:
    limits = limits_of_tree()
    if like:
        with np.load(like) as older:
            limits = dict(zip(older["limit_names"].tolist(), older["limit_values"].tolist(), strict=True))
    texts, looks, digests, stored, seen = [], [], [], [], set()
    for group in GROUPS:
        began, count = time.perf_counter(), len(texts)
        for call in group(limits):
            if call.text in seen or (only and not re.search(only, call.text)):
                continue
            seen.add(call.text)
            look, digest, octets = encoded(made(call), whole)
            texts.append(call.text)
            looks.append(look)
            digests.append(digest)
            stored.append(octets)
        print(f"{group.__name__}: {len(texts) - count:,} calls in {time.perf_counter() - began:.1f} s", flush=True)
    ends = np.cumsum([len(s) for s in stored])
    np.savez_compressed(
        path, variant=np.array(variant()),
        limit_names=np.array(list(limits)), limit_values=np.array(list(limits.values())),
        texts=np.array("\n".join(texts)), looks=np.array("\n".join(looks).replace("\0", "")),
        digests=np.frombuffer(b"".join(digests), np.uint8), ends=ends,
        stored=np.frombuffer(b"".join(stored), np.uint8),
    )  # fmt: skip
    size = os.path.getsize(path) / 1e6
    print(f"{len(texts):,} calls of smoothmax with the kernels {variant()} in {path}, {size:.0f} MB")


def load(path: str) -> tuple[str, dict[str, tuple[bytes, str, bytes]]]:
    with np.load(path) as file:
        ends, stored, digests = file["ends"].tolist(), file["stored"].tobytes(), file["digests"].tobytes()
        texts, looks = file["texts"].item().split("\n"), file["looks"].item().split("\n")
        calls = {
            text: (digests[16 * i : 16 * i + 16], look, stored[begin:end])
            for i, (text, look, begin, end) in enumerate(zip(texts, looks, [0, *ends], ends, strict=False))
        }
        return file["variant"].item(), calls


def ulps(a: Array, b: Array) -> Array:
    """How many numbers of the type lie between the elements of two arrays; infinite if only one is nan."""
    if a.dtype.kind != "f":
        return np.where(a == b, 0.0, np.inf)
    with np.errstate(all="ignore"):
        if a.dtype.newbyteorder("=") == np.longdouble:
            distance = np.abs(a - b) / np.spacing(np.maximum(np.abs(a), np.abs(b)))
        else:
            native = [x.astype(x.dtype.newbyteorder("=")) for x in (a, b)]
            ints = [x.view(f"i{x.dtype.itemsize}").astype(np.longdouble) for x in native]
            least = np.longdouble(-(2.0 ** (8 * a.dtype.itemsize - 1)))
            ordered = [np.where(i < 0, least - i, i) for i in ints]
            distance = np.abs(ordered[0] - ordered[1])
        distance = np.where(np.isnan(a) & np.isnan(b), 0, np.where(np.isnan(a) | np.isnan(b), np.inf, distance))
    return np.asarray(distance, np.float64)


def difference(a: tuple[bytes, str, bytes], b: tuple[bytes, str, bytes]) -> tuple[str, float]:
    """How two results differ, in words and in ULP; infinite if only one is nan or shapes differ."""
    words, most = [], 0.0
    parts = decoded(*a[1:]), decoded(*b[1:])
    if len(parts[0]) != len(parts[1]):
        return f"{a[1]} became {b[1]}", np.inf
    for (look, x, sums_x), (other, y, sums_y) in zip(*parts, strict=True):
        if look != other:
            words.append(f"{look} became {other}")
            most = np.inf
        if x.size != y.size or x.dtype != y.dtype or (sums_x is None) != (sums_y is None):
            continue
        different = np.any(raw(x) != raw(y), axis=1)
        far = ulps(x, y)
        if different.any():
            i = int(np.argmax(np.where(different, far, -1)))
            of = f"{different.sum()} of {x.size}" + (" samples" if sums_x is not None else "")
            words.append(f"{of} by up to {far[i]:g} ULP ({x[i]!r} became {y[i]!r})")
            most = max(most, float(far[i]))
        if sums_x is not None and sums_y is not None:
            words.append(f"{np.sum(sums_x != sums_y)} of {PARTS} parts")
    return ", ".join(words), most


def compare(before: str, after: str, show: int) -> int:
    (variant_a, a), (variant_b, b) = load(before), load(after)
    if variant_a != variant_b:
        print(f"these are of two variants of the kernels, {variant_a} and {variant_b}")
    missing, new = [t for t in a if t not in b], [t for t in b if t not in a]
    for what, texts in (("only in the first", missing), ("only in the second", new)):
        if texts:
            print(f"{len(texts):,} calls {what}, as {texts[0]}")
    changed = [t for t in a if t in b and a[t][0] != b[t][0]]
    print(f"{len(changed):,} of {len(a) - len(missing):,} calls differ")
    found = {text: difference(a[text], b[text]) for text in changed}
    groups = Counter(" ".join(text.split(" ")[:4]).split(" n=")[0].split(" (")[0] for text in changed)
    for name, count in groups.most_common(30):
        print(f"  {count:6,} {name}")
    for text in sorted(changed, key=lambda t: -found[t][1])[:show]:
        print(f"{text}: {found[text][0] or 'elements that are not stored'}")
    return 1 if changed or missing or new else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record", help="record what the installed smoothmax returns")
    one.add_argument("file")
    one.add_argument("--like", metavar="FILE", help="take the limits, and so the calls, from this recording")
    one.add_argument("--only", metavar="REGEX", help="the calls whose description matches")
    one.add_argument("--whole", action="store_true", help="store every element")
    two = commands.add_parser("compare", help="list the calls that differ; ends with 1 if there are any")
    two.add_argument("before")
    two.add_argument("after")
    two.add_argument("--show", type=int, default=20, help="how many calls are listed")
    options = parser.parse_args()
    if options.command == "compare":
        return compare(options.before, options.after, options.show)
    record(options.file, options.like, options.only, options.whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
