"""Layouts of the same rows in memory. Each makes calls take other routes, or the same route with other staging.

A layout is a function from rows (an array of two axes) to three things: an array with the same values, the axis to
reduce, and a function from its result back to rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Placed = tuple[Any, Any, Callable[[Any], Any]]


def last_axis(rows: Any) -> Placed:
    return np.ascontiguousarray(rows), 1, lambda result: result


def first_axis(rows: Any) -> Placed:
    return np.ascontiguousarray(rows.T), 0, np.transpose


def every_third(rows: Any) -> Placed:
    spaced = np.full((len(rows), 3 * rows.shape[1]), np.nan, rows.dtype)
    spaced[:, 1::3] = rows
    return spaced[:, 1::3], 1, lambda result: result


def backwards(rows: Any) -> Placed:
    return np.ascontiguousarray(rows[::-1, ::-1])[::-1, ::-1], 1, lambda result: result


def other_byte_order(rows: Any) -> Placed:
    return rows.astype(rows.dtype.newbyteorder()), 1, lambda result: result


def unaligned(rows: Any) -> Placed:
    buffer = np.zeros(rows.nbytes + 1, np.uint8)
    array = buffer[1:].view(rows.dtype).reshape(rows.shape)
    array[...] = rows
    return array, 1, lambda result: result


def two_axes(rows: Any) -> Placed:
    """Each row becomes a matrix, as nearly square as possible. Its two axes lie around the axis of the rows."""
    n = rows.shape[1]
    width = next(i for i in range(int(n**0.5) or 1, 0, -1) if n % i == 0) if n else 1
    array = np.ascontiguousarray(rows.reshape(len(rows), width, n // width).transpose(1, 0, 2))
    return array, (0, 2), lambda result: result if result.ndim < 3 else result.transpose(1, 0, 2).reshape(len(rows), n)


LAYOUTS = {
    layout.__name__: layout
    for layout in (last_axis, first_axis, every_third, backwards, other_byte_order, unaligned, two_axes)
}


def call(function: Callable[..., Any], rows: Any, layout: str = "last_axis") -> Any:
    """The function's results for rows in this layout, brought back to the layout of rows."""
    array, axis, back = LAYOUTS[layout](rows)
    return back(np.asarray(function(array, axis=axis)))


def one_by_one(function: Callable[..., Any], rows: Any) -> Any:
    """The results of one call for each row."""
    return np.array([function(row) for row in rows], rows.dtype)
