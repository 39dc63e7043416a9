"""logsumexp, softmax and log_softmax for NumPy arrays."""

from typing import TYPE_CHECKING, Any

from smoothmax._config import show_config
from smoothmax._functions import log_softmax, logsumexp, softmax
from smoothmax._losses import (
    cross_entropy,
    cross_entropy_and_grad,
    log_prob,
    log_softmax_vjp,
    logsumexp_and_softmax,
    nll_loss,
    softmax_vjp,
)
from smoothmax._threads import get_num_threads, num_threads, set_num_threads

__all__ = [
    "cross_entropy",
    "cross_entropy_and_grad",
    "get_num_threads",
    "log_prob",
    "log_softmax",
    "log_softmax_vjp",
    "logsumexp",
    "logsumexp_and_softmax",
    "nll_loss",
    "num_threads",
    "set_num_threads",
    "show_config",
    "softmax",
    "softmax_vjp",
]

__version__: str

if not TYPE_CHECKING:  # a type checker would take any name for one that exists

    def __getattr__(name: str) -> Any:
        """__version__, once somebody asks: reading the metadata takes longer than everything else in the import."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from smoothmax._config import installed_version

        globals()[name] = installed_version()
        return globals()[name]
