"""Whether weights fit in the type of the computation, or need the range of float64."""

from typing import Any

import numpy as np

__all__ = ["dtype_with_weights"]

LEAST, GREATEST = (float(limit) for limit in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
FLOAT64 = np.dtype(np.float64)


def dtype_with_weights(dtype: np.dtype[Any], b: Any) -> np.dtype[Any]:
    """The type of the partial sums for results of `dtype`: float64 if weights need it, otherwise `dtype`.

    float32 holds no weight below 1e-45 or above 3.4e38. For a Python number, which does not widen the result, the value
    decides. For an array the type decides, so that a Dask array need not be computed and the bits of a result do not
    depend on other weights.
    """
    if b is None or dtype == FLOAT64:
        return dtype
    if type(b) in (bool, int, float):
        size = abs(b)
        # Compare bytes: in the caller's floating-point environment a subnormal number may equal 0.
        is_zero = size == 0 and not any(np.float64(size).tobytes())
        fits = is_zero or not size < np.inf or LEAST <= size <= GREATEST
    else:
        given = getattr(b, "dtype", None)
        given = given if isinstance(given, np.dtype) else np.asarray(b).dtype
        fits = given.kind != "f" or given.itemsize <= 4
    return dtype if fits else FLOAT64
