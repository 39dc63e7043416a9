"""What a result may be: a value in NumPy's longdouble, and how far a result may be from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fuzzing.floats import finfo

__all__ = ["TINY", "WIDE", "Expected", "ulp"]

Array = np.ndarray[Any, Any]
WIDE = np.longdouble
TINY = np.finfo(WIDE).eps


@dataclass
class Expected:
    """A value. A result is right within `ulps` ULP of the larger of the value and `unit`, plus `slack`.

    If it is `unknown`, a result may have any value up to `most`.
    """

    value: Array
    ulps: Any = 0.0
    unit: Any = 0.0
    slack: Any = 0.0
    unknown: Any = False
    most: Any = np.inf
    limits: dict[Any, tuple[Array, Array, Array]] = field(default_factory=dict)

    def map(self, change: Any) -> Expected:
        """The same change of shape for all parts that have a shape."""
        shape = self.value.shape

        def changed(part: Any) -> Any:
            if np.ndim(part) == 0:
                return part
            return change(part if part.shape == shape else np.broadcast_to(part, shape))

        parts = (self.ulps, self.unit, self.slack, self.unknown, self.most)
        return Expected(change(self.value), *map(changed, parts))

    def wrong(self, got: Array, dtype: Any, stored: Any = None) -> Array:
        """Where a result is wrong that was computed in `dtype` and stored in `stored`."""
        stored = np.dtype(dtype if stored is None else stored)
        key = np.dtype(dtype), stored
        if key not in self.limits:
            self.limits[key] = between(self, *key)
        low, high, undefined = self.limits[key]
        got = np.asarray(got).astype(WIDE)
        right = (got >= low) & (got <= high)
        return ~right if right.all() else ~(right | (np.isnan(got) & undefined))


def ulp(x: Array, dtype: Any) -> Array:
    """The unit in the last place of the number of this type that is nearest to x, in longdouble."""
    info = finfo(dtype)
    exponent = np.frexp(np.where(np.isfinite(x), np.abs(x), 1))[1] - 1
    return np.ldexp(WIDE(1), np.maximum(exponent, info.minexp) - info.nmant)


def between(expected: Expected, dtype: Any, stored: Any) -> tuple[Array, Array, Array]:
    """The smallest and the largest result that is right, and where nan is."""
    value = expected.value
    coarse = max((dtype, stored), key=lambda t: finfo(t).eps)
    narrow = min((finfo(dtype).max, finfo(stored).max), key=WIDE)
    unit = np.maximum(np.abs(value), expected.unit)
    # The promise is in ULP of the rounded result: a value just below a power of two may have the coarser one. bfloat16
    # is coarser than float16, but not below 2**-14, where float16 is subnormal.
    unit = unit * (1 + finfo(coarse).eps)
    step = np.maximum(ulp(unit, dtype), ulp(unit, stored))
    twice = 0 if stored == dtype else 0.51  # it was rounded twice
    allowed = (expected.ulps + twice) * step + expected.slack
    finite = np.isfinite(value)
    allowed = np.where(finite & ~np.isnan(allowed), allowed, 0)
    low, high = value - allowed, value + allowed
    beyond = finite & (np.abs(value) + allowed >= WIDE(narrow) * (1 - finfo(coarse).eps))
    if beyond.any():  # a number beyond the type may become infinite, or the type's largest number
        low = np.where(beyond & (value > 0), np.minimum(low, WIDE(narrow) * WIDE(0.99)), low)
        high = np.where(beyond & (value > 0), np.inf, high)
        high = np.where(beyond & (value < 0), np.maximum(high, WIDE(narrow) * WIDE(-0.99)), high)
        low = np.where(beyond & (value < 0), -np.inf, low)
    undefined = np.isnan(value)
    if np.any(expected.unknown):
        low = np.where(expected.unknown, -np.inf, low)
        high = np.where(expected.unknown, np.where(np.isnan(expected.most), np.inf, np.fmax(high, expected.most)), high)
        undefined = undefined | expected.unknown
    return low, high, undefined
