"""Rules for every call: no warning, and only errors of the contract's kinds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fuzzing.memory import Failure

Case = dict[str, Any]
KINDS = (TypeError, ValueError, IndexError, MemoryError)  # of errors; AxisError is two of these


def strictly(case: Case, call: Callable[[], Any]) -> Any:
    """The result of a call that must not warn, under the caller's np.errstate."""
    with warnings.catch_warnings(), np.errstate(all=case.get("errstate", "warn")):
        warnings.simplefilter("error")
        return call()


def must_raise(call: Callable[[], Any]) -> None:
    try:
        result = strictly({}, call)
    except KINDS as error:
        if not str(error).strip() and not isinstance(error, MemoryError):
            raise Failure(f"silent: {type(error).__name__} without a text") from None
        return
    raise Failure(f"accepted: returned {str(result)[:80]}")
