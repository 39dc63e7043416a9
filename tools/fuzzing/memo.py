"""What several calls have in common is computed once: their numbers, and what is right.

A family of calls has the same numbers in other layouts, with other outputs and threads. The twin and the generators
take most of a call's time, and need not do their work again for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Case = dict[str, Any]
LAYOUT = frozenset({"how", "readonly", "as"})  # of an array; no result depends on them
CALL = frozenset({"out", "threads", "errstate", "again"})  # of a call
MOST = 32  # a family needs three to six

found: dict[Any, Any] = {}


def remembered(key: Any, make: Callable[[], Any]) -> Any:
    """What `make` returned for this key, as long as that was recently."""
    if key not in found:
        if len(found) >= MOST:
            found.clear()
        found[key] = make()
    return found[key]


def numbers_of(case: Case) -> str:
    """All of a description that what is right depends on."""
    return repr([
        (name, {key: one for key, one in part.items() if key not in LAYOUT} if type(part) is dict else part)
        for name, part in case.items()
        if name not in CALL
    ])  # fmt: skip
