"""The whole text of errors about arrays without numbers, for the tests of every function and argument."""

import numpy as np

TEXT, OBJECTS = "astype(float) makes numbers of text", "astype(float) makes numbers of objects"
DURATION = "divide by a unit as np.timedelta64(1, 's')"
KINDS = {
    "U": TEXT, "S": TEXT, "O": OBJECTS, "m": DURATION, "M": f"subtract a date, and {DURATION}",
    "V": "pass a field of numbers",
}  # fmt: skip


def not_numbers(name, dtype):
    """The error of an argument of this dtype."""
    dtype = np.dtype(dtype)
    return f"{name} must be an array of numbers, got dtype {dtype}; {KINDS[dtype.kind]}"
