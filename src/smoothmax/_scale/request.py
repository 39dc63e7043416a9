"""What the command asks for: a function by its name, and its arguments."""

from dataclasses import dataclass
from typing import Any

__all__ = ["ELEMENTWISE", "Request"]

ELEMENTWISE = ("logaddexp", "logsubexp", "log1mexp", "log1pexp", "log_expit")  # the ufuncs

# The arguments of each function beside arrays.
REDUCES = ("axis", "dtype", "keepdims", "scale")
TRANSFORMS = ("axis", "dtype", "scale")
SEGMENTS = ("axis", "dtype")
TAKES = {
    "logsumexp": REDUCES,
    "logmeanexp": REDUCES,
    "softmax": TRANSFORMS,
    "log_softmax": TRANSFORMS,
    "logcumsumexp": ("axis", "dtype", "reverse", "exclusive"),
    "segment_logsumexp": SEGMENTS,
    "segment_softmax": SEGMENTS,
    "segment_log_softmax": SEGMENTS,
    **dict.fromkeys(ELEMENTWISE, ("dtype",)),
    "logmatmulexp": ("dtype", "exact"),
    "top_log_probs": ("k", "axis"),
    "categorical": ("axis", "size", "scale", "rng"),
}


@dataclass
class Request:
    """A function and its arguments, with files in the place of arrays beside the first."""

    name: str
    axis: int | tuple[int, ...] | None = None
    dtype: str | None = None
    keepdims: bool = False
    scale: float = 1.0
    reverse: bool = False
    exclusive: bool = False
    exact: bool = False
    k: int = 0
    size: int | tuple[int, ...] | None = None
    rng: int | None = None
    offsets: str | None = None
    second: str | None = None
    indices: str | None = None  # where to write the second result

    def keywords(self) -> dict[str, Any]:
        """The arguments that this function takes, beside arrays."""
        return {argument: getattr(self, argument) for argument in TAKES[self.name]}
