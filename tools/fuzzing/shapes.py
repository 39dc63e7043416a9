"""Shapes, layouts and arrays, drawn at random: which sizes a call has, and how its arrays lie in memory."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

Case = dict[str, Any]
LENGTHS = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    15,
    16,
    17,
    23,
    24,
    25,
    31,
    32,
    33,
    47,
    48,
    49,
    63,
    64,
    65,
    66,
    127,
    128,
    129,
    130,
    255,
    256,
    257,
    300,
    500,
    511,
    512,
    513,
    1000,
    1023,
    1024,
    1025,
    2047,
    2048,
    2049,
    4095,
    4096,
    4097,
)
LONG = (8191, 8192, 8193, 16383, 16385, 32768, 65535, 65537, 131073, 262145)


def random_shape(r: random.Random) -> list[int]:
    ndim = r.choice([0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 4, 5, 6])
    if ndim == 1 and r.random() < 0.02:
        return [r.choice(LONG)]
    most = r.choices([30, 300, 2000, 8000, 150000], [40, 40, 15, 5, 0.3])[0]
    shape: list[int] = []
    for _ in range(ndim):
        left = max(1, most // int(np.prod([max(n, 1) for n in shape])))
        one = r.choice([r.choice(LENGTHS), r.randint(1, 12), r.randint(1, 200), r.choice(LENGTHS[:20])])
        shape.append(0 if r.random() < 0.01 else min(one, left))
    r.shuffle(shape)
    return shape


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
    """An array that broadcasts with the common shape; over all of it if it is to be whole."""
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
