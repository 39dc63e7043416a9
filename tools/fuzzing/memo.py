"""Compute once what several calls have in common: their numbers, and the right results.

A family of calls has the same numbers in other layouts, with other outputs and threads. The twin and the generators
take most of a call's time, and need not repeat their work for each call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Case = dict[str, Any]
LAYOUT = frozenset({"how", "readonly", "as"})  # keys of an array on which no result depends
CALL = frozenset({"out", "threads", "errstate", "again"})  # the same for a call
MOST = 32  # a family needs three to six

found: dict[Any, Any] = {}


def remembered(key: Any, make: Callable[[], Any]) -> Any:
    """The result of `make` for this key, if it was computed recently."""
    if key not in found:
        if len(found) >= MOST:
            found.clear()
        found[key] = make()
    return found[key]


def numbers_of(case: Case) -> str:
    """The parts of a description that determine the right results."""
    return repr([
        (name, {key: one for key, one in part.items() if key not in LAYOUT} if type(part) is dict else part)
        for name, part in case.items()
        if name not in CALL
    ])  # fmt: skip
