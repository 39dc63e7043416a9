"""logsumexp, softmax and log_softmax for NumPy arrays."""

from smoothmax._functions import log_softmax, logsumexp, softmax

__all__ = ["log_softmax", "logsumexp", "softmax"]
