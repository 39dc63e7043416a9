"""logsumexp, softmax, log_softmax and the rest of log-space arithmetic for NumPy arrays."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from smoothmax._api.config import get_include, show_config
from smoothmax._api.elementwise import log1mexp, log1pexp, log_expit, logaddexp, logsubexp
from smoothmax._api.functions import log_softmax, logmeanexp, logsumexp, softmax
from smoothmax._api.losses import (
    cross_entropy,
    cross_entropy_and_grad,
    log_prob,
    log_softmax_vjp,
    logsumexp_and_softmax,
    nll_loss,
    softmax_vjp,
)
from smoothmax._schedule.threads import get_num_threads, num_threads, set_num_threads

if TYPE_CHECKING:
    from smoothmax._api.products import logmatmulexp
    from smoothmax._api.scans import logcumsumexp
    from smoothmax._api.scores import categorical, top_log_probs
    from smoothmax._api.segments import offsets_from_ids, segment_log_softmax, segment_logsumexp, segment_softmax
    from smoothmax._hooks.threadpoolctl import register_threadpoolctl
    from smoothmax._partial.stream import LogSumExp
    from smoothmax._switch.scipy import is_patched, patch_scipy, patched_scipy, unpatch_scipy

__all__ = [
    "LogSumExp",
    "categorical",
    "cross_entropy",
    "cross_entropy_and_grad",
    "get_include",
    "get_num_threads",
    "is_patched",
    "log1mexp",
    "log1pexp",
    "log_expit",
    "log_prob",
    "log_softmax",
    "log_softmax_vjp",
    "logaddexp",
    "logcumsumexp",
    "logmatmulexp",
    "logmeanexp",
    "logsubexp",
    "logsumexp",
    "logsumexp_and_softmax",
    "nll_loss",
    "num_threads",
    "offsets_from_ids",
    "patch_scipy",
    "patched_scipy",
    "register_threadpoolctl",
    "segment_log_softmax",
    "segment_logsumexp",
    "segment_softmax",
    "set_num_threads",
    "show_config",
    "softmax",
    "softmax_vjp",
    "top_log_probs",
    "unpatch_scipy",
]

__version__ = "0.2.0"  # pyproject.toml reads it, too; source trees and frozen programs have no metadata

_LAZY = {  # names that take time to import and that few programs need
    "LogSumExp": "smoothmax._partial.stream",
    "_C_API": "smoothmax._c.functions",  # for smoothmax.h
    "categorical": "smoothmax._api.scores",
    "is_patched": "smoothmax._switch.scipy",
    "logcumsumexp": "smoothmax._api.scans",
    "logmatmulexp": "smoothmax._api.products",
    "offsets_from_ids": "smoothmax._api.segments",
    "patch_scipy": "smoothmax._switch.scipy",
    "patched_scipy": "smoothmax._switch.scipy",
    "register_threadpoolctl": "smoothmax._hooks.threadpoolctl",
    "segment_log_softmax": "smoothmax._api.segments",
    "segment_logsumexp": "smoothmax._api.segments",
    "segment_softmax": "smoothmax._api.segments",
    "top_log_probs": "smoothmax._api.scores",
    "unpatch_scipy": "smoothmax._switch.scipy",
}

if not TYPE_CHECKING:  # a type checker would believe that every name exists

    def __getattr__(name: str) -> Any:
        """Import a name in _LAZY when it is first used."""
        if name == "smoothmax":  # for pickles: names of ufuncs are like "smoothmax.logaddexp"
            return importlib.import_module(name)
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            found = getattr(importlib.import_module(_LAZY[name]), name)
        except ImportError:
            # The system's loader does not say when it has no memory to map a module. So allocate more than any module
            # needs and more than malloc has in reserve: without memory, that raises MemoryError; otherwise it touches
            # no memory.
            bytes(1 << 26)
            raise
        globals()[name] = found
        return found


if "threadpoolctl" in sys.modules:
    from smoothmax._hooks.threadpoolctl import register_if_whole

    register_if_whole(sys.modules["threadpoolctl"])
