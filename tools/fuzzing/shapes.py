"""Random shapes, layouts and arrays: the sizes of a call, and how its arrays lie in memory."""

from __future__ import annotations

import math
import random
from typing import Any

from smoothmax._thresholds import limits

Case = dict[str, Any]
LIMITS = limits()
LONGEST = 262_144 + 1  # longer arrays take the twin a second


def straddling() -> list[int]:
    """Lengths just below, at and just above every limit, in elements of 4 and 8 bytes."""
    sizes = {
        size // itemsize
        for name, size in LIMITS.items()
        for itemsize in ((4, 8) if name.endswith("BYTES") else (1,))
        if isinstance(size, int)
    }
    return sorted({n for size in sizes for n in (size - 1, size, size + 1) if 0 < n <= LONGEST})


LENGTHS = [n for n in straddling() if n <= 4097]
SHORT = [n for n in LENGTHS if n <= 66]
LONG = [n for n in straddling() if n > 4097]
TILES = sorted(size for name, size in LIMITS.items() if name.endswith("TILE_BYTES"))


def random_tile(r: random.Random) -> list[int]:
    """Columns with about as many bytes as a limit of tiles, with a row more or less."""
    columns = r.choice([2, 5, 16, 63, 64, 65])
    return [
        r.choice(TILES) // (min(columns, LIMITS["TILE_COLUMNS"]) * r.choice([4, 8])) + r.choice([-1, 0, 1]),
        columns,
    ]


def random_shape(r: random.Random) -> list[int]:
    large = r.random()
    if large < 0.002:
        return [r.choice(LONG)]
    if large < 0.003:
        return random_tile(r)
    ndim = r.choice([0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 4, 5, 6])
    most = r.choices([30, 300, 2000, 8000, 50_000], [45, 41, 12, 2, 0.1])[0]
    shape: list[int] = []
    for _ in range(ndim):
        left = max(1, most // math.prod(max(n, 1) for n in shape))
        one = r.choice([r.choice(LENGTHS), r.randint(1, 12), r.randint(1, 200), r.choice(SHORT)])
        shape.append(0 if r.random() < 0.01 else min(one, left))
    r.shuffle(shape)
    return shape


BESIDE = (-64, -7, -3, -2, -1, 1, 2, 5, 7, 64)  # elements from an input to an output that overlaps it


def random_layout(r: random.Random, ndim: int) -> Case:
    how: Case = {"guard": r.choice(["end", "end", "start"])}
    if r.random() < 0.55:
        return how
    if r.random() < 0.6:
        how["order"] = r.sample(range(ndim), ndim)
    if r.random() < 0.4:
        how["pad"] = [r.choice([1, 1, 1, 2, 3]) for _ in range(ndim)]
    if r.random() < 0.3:
        how["flip"] = [r.random() < 0.4 for _ in range(ndim)]
    if r.random() < 0.15:
        how["shift"] = r.randint(1, 7)
    return how


def random_array(r: random.Random, ndim: int, dtypes: Any, numbers: Any, whole: bool = False) -> Case:
    """An array that broadcasts with the common shape; with the whole shape if `whole`."""
    a: Case = {"dtype": r.choice(dtypes), "numbers": r.choice(numbers), "seed": r.randrange(1 << 30)}
    if not whole:
        a["used"] = [r.random() < 0.6 for _ in range(ndim)] if r.random() < 0.6 else [True] * ndim
        a["drop"] = 0
        while a["drop"] < ndim and not a["used"][a["drop"]] and r.random() < 0.7:
            a["drop"] += 1
    a["how"] = random_layout(r, ndim - a.get("drop", 0))
    if r.random() < 0.05:
        a["readonly"] = True
    if r.random() < 0.05 and not whole:
        a["wide"] = True
    if r.random() < 0.03:
        a["as"] = r.choice(["list", "memoryview", "object with __array__", "subclass"])
    return a


def random_axis(r: random.Random, ndim: int) -> Any:
    how = r.randrange(8)
    if how < 2 or not ndim:
        return None
    if how < 6:
        return r.randrange(-ndim, ndim)
    some = r.sample(range(ndim), r.randint(0, ndim))
    return [axis - ndim * r.randrange(2) for axis in some]


def random_out(r: random.Random, kinds: tuple[str, ...], dtypes: tuple[Any, ...]) -> Case:
    return {"is": r.choice(kinds), "dtype": r.choice(dtypes), "how": random_layout(r, 9), "by": r.choice(BESIDE)}


def laid_out_again(r: random.Random, a: Case, ndim: int) -> Case:
    """The same numbers in another layout."""
    a = {key: part for key, part in a.items() if key != "readonly"} | {"how": random_layout(r, ndim)}
    if r.random() < 0.05:
        a["readonly"] = True
    return a
