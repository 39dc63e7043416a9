"""Words of the command line as values; Refused, with what was needed and what came, where they are none."""

import re
import sys
from decimal import Decimal

from smoothmax._scale.errors import Refused

__all__ = [
    "DTYPES", "parse_axis", "parse_dtype", "parse_k", "parse_lengths", "parse_one_axis", "parse_one_or_none",
    "parse_scale", "parse_seed", "parse_shape", "parse_size",
]  # fmt: skip

DTYPES = ("float32", "float64", "float16", "longdouble")
UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


def parse_axis(text: str) -> int | tuple[int, ...] | None:
    if text.strip().lower() == "none":
        return None
    try:
        axes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise Refused(f"axis must be none, an integer, or integers separated by commas, got {text!r}") from None
    return axes if len(axes) > 1 else axes[0]


def parse_one_axis(text: str) -> int:
    axis = parse_one_or_none(text)
    if axis is None:
        raise Refused(f"axis must be an integer, got {text!r}")
    return axis


def parse_one_or_none(text: str) -> int | None:
    axis = parse_axis(text)
    if isinstance(axis, tuple):
        raise Refused(f"axis must be one integer, got {text!r}")
    return axis


def parse_scale(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Refused(f"scale must be a number, got {text!r}") from None


def parse_dtype(text: str) -> str:
    if text not in DTYPES:
        raise Refused(f"dtype must be {', '.join(DTYPES[:-1])} or {DTYPES[-1]}, got {text!r}")
    return text


def parse_k(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Refused(f"k must be an integer, got {text!r}") from None


def parse_seed(text: str) -> int:
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if seed < 0:
        raise Refused(f"seed must be an integer that is not negative, got {text!r}")
    return seed


def parse_lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise Refused(f"size must be integers separated by commas, got {text!r}") from None


def parse_shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise Refused(f"shape must be positive integers separated by commas, got {text!r}")
    return shape


def parse_size(text: str) -> int:
    """A number of bytes, a million at least; what no memory can have is cut to what an array could have."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([kmg]i?b|)", text.strip().lower())
    size = min(int(Decimal(match[1]) * UNITS[match[2]]), sys.maxsize) if match else 0
    if size < UNITS["mb"]:
        raise Refused(f"max-memory must be a size such as 512MB or 2GiB, 1MB at least, got {text!r}")
    return size
