"""Floating-point types: NumPy's, and bfloat16 if ml_dtypes is installed; NumPy's own functions do not know bfloat16."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

try:
    import ml_dtypes  # type: ignore[import-not-found, unused-ignore]

    BFLOAT16: Any = np.dtype(ml_dtypes.bfloat16)
except ImportError:
    BFLOAT16 = None

NAMES = () if BFLOAT16 is None else ("bfloat16",)  # for descriptions of arrays
HALVES = (np.dtype(np.float16), *([] if BFLOAT16 is None else [BFLOAT16]))


@dataclass(frozen=True)
class Info:
    """Like np.finfo, for bfloat16."""

    eps: float = 2.0**-7
    max: float = (2 - 2.0**-7) * 2.0**127
    minexp: int = -126
    nmant: int = 7
    smallest_subnormal: float = 2.0**-133


def finfo(dtype: Any) -> Any:
    return Info() if BFLOAT16 is not None and dtype == BFLOAT16 else np.finfo(dtype)


def is_real(dtype: Any) -> bool:
    """Whether numbers of the type are floating-point and real."""
    return bool(dtype.kind == "f" or dtype.newbyteorder("=") in HALVES)


def computing_type(dtype: Any) -> Any:
    """The type in which results of this type are computed."""
    return np.dtype(np.float32) if dtype in HALVES else dtype


def promoted(*dtypes: Any) -> Any:
    """np.result_type, in which bfloat16 promotes like float16, and with float16 to float32."""
    natives = {dtype.newbyteorder("=") for dtype in dtypes}
    if BFLOAT16 is None or BFLOAT16 not in natives:
        return np.result_type(*natives)
    result = np.result_type(np.float16, *(natives - {BFLOAT16}))
    if result != np.float16:
        return result
    return np.dtype(np.float32) if np.dtype(np.float16) in natives else BFLOAT16
