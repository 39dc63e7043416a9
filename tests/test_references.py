"""10,000 calls of every kind, those that fail included, leave neither references nor memory behind."""

import gc
import sys
import tracemalloc

import numpy as np
import pytest

from smoothmax import log_softmax, logsumexp, softmax

CALLS = 10_000
A = np.random.default_rng(0).normal(size=(3, 5))
HALF, SINGLE, LONG, COMPLEX = (A.astype(t) for t in (np.float16, np.float32, np.longdouble, complex))
SWAPPED, INTEGERS = A.astype(">f8"), A.astype(int)
MASK, WEIGHTS, ROW, SQUARE = A > 0, A + 1, np.zeros(3), np.zeros((3, 5))
# Made once: np.zeros itself leaves a reference to its dtype behind (NumPy 2.4).
SEVEN, INTEGER_ROW = np.zeros(7), np.zeros(3, int)
READ_ONLY = np.zeros(3)
READ_ONLY.flags.writeable = False
WIDE = np.zeros((6, 5))
MASKED = np.ma.array(A)
DTYPE, OTHER_DTYPE = np.dtype(np.float32), np.dtype("U3")
AXIS, AXES = 1, (0, 1)
ARGUMENTS = [A, HALF, SINGLE, LONG, COMPLEX, SWAPPED, INTEGERS, MASK, WEIGHTS, ROW, SQUARE, READ_ONLY, WIDE, MASKED]
ARGUMENTS += [DTYPE, OTHER_DTYPE, AXES, *(np.dtype(t) for t in "efdg?lFDG")]

GOOD = {
    "row": lambda: logsumexp(A, axis=AXIS),
    "all": lambda: logsumexp(A),
    "axes": lambda: logsumexp(A, axis=AXES),
    "sign": lambda: logsumexp(A, axis=0, b=WEIGHTS, return_sign=True),
    "scalar sign": lambda: logsumexp(A, return_sign=True),
    "mask": lambda: logsumexp(A, axis=0, where=MASK, b=WEIGHTS),
    "promoted": lambda: logsumexp(SINGLE, b=A),
    "widened": lambda: logsumexp(ROW, b=WEIGHTS[:, :1]),
    "list": lambda: logsumexp([1.0, 2.0]),
    "number": lambda: logsumexp(1.0),
    "empty": lambda: logsumexp(A[:0], axis=0),
    "half": lambda: softmax(HALF, axis=1),
    "single": lambda: log_softmax(SINGLE),
    "swapped": lambda: softmax(SWAPPED, axis=0),
    "integers": lambda: softmax(INTEGERS, axis=0),
    "transposed": lambda: log_softmax(A.T, axis=0),
    "masked": lambda: softmax(A, where=MASK, axis=1),
    "dtype": lambda: softmax(A, dtype=DTYPE),
    "out": lambda: logsumexp(A, axis=1, out=ROW),
    "out transform": lambda: softmax(A, axis=1, out=SQUARE),
    "in place": lambda: softmax(SQUARE, axis=1, out=SQUARE),
    "overlap": lambda: softmax(WIDE[:-1], axis=1, out=WIDE[1:]),
}
SLOW = {
    "longdouble": lambda: logsumexp(LONG, axis=1, b=WEIGHTS, return_sign=True),
    "longdouble transform": lambda: log_softmax(LONG, axis=1, where=MASK),
    "complex": lambda: logsumexp(COMPLEX, axis=0),
    "complex out": lambda: softmax(COMPLEX, out=np.empty_like(COMPLEX)),
}
BAD = {
    "axis": lambda: logsumexp(A, axis=7),
    "large axis": lambda: logsumexp(A, axis=10**30),
    "axis twice": lambda: softmax(A, axis=(0, 0)),
    "no axis": lambda: softmax(A, axis="x"),
    "b": lambda: logsumexp(A, b=SEVEN),
    "where": lambda: softmax(A, where=ROW > 0),
    "no mask": lambda: softmax(A, where=ROW),
    "shape of out": lambda: softmax(A, out=ROW),
    "read-only out": lambda: logsumexp(A, axis=1, out=READ_ONLY),
    "type of out": lambda: logsumexp(A, axis=1, out=INTEGER_ROW),
    "no out": lambda: logsumexp(A, axis=1, out=[0]),
    "dtype": lambda: logsumexp(A, dtype=OTHER_DTYPE),
    "masked array": lambda: log_softmax(MASKED),
    "string": lambda: log_softmax("x"),
    "complex dtype": lambda: logsumexp(COMPLEX, dtype=DTYPE),
    "keyword": lambda: logsumexp(A, nothing=1),
}


def repeat(call, times, fails):
    for _ in range(times):
        if fails:
            try:
                call()
            except (TypeError, ValueError):
                continue
            raise AssertionError("did not fail")
        call()


@pytest.mark.parametrize(
    ("call", "calls", "fails"),
    [
        *(pytest.param(c, CALLS, False, id=n) for n, c in GOOD.items()),
        *(pytest.param(c, CALLS // 10, False, id=n) for n, c in SLOW.items()),
        *(pytest.param(c, CALLS, True, id=f"wrong {n}") for n, c in BAD.items()),
    ],
)
def test_nothing_is_left_behind(call, calls, fails):
    repeat(call, 20, fails)
    gc.collect()
    before = [sys.getrefcount(x) for x in ARGUMENTS]
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        repeat(call, calls, fails)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    after = [sys.getrefcount(x) for x in ARGUMENTS]
    # A reference or a byte a call would be `calls` of them; caches of the interpreter may take a few.
    assert max(abs(new - old) for new, old in zip(after, before, strict=True)) <= 5
    assert grown < 8 * calls  # the smallest object has 16 bytes


def test_no_memory_outside_python_is_left_behind():
    """The scratch of the kernels is not Python's: what grows is the process."""
    resource = pytest.importorskip("resource")
    x, mask = np.zeros((200, 300)), np.zeros((200, 300), bool)

    def calls(n):
        for _ in range(n):
            logsumexp(x, axis=0, b=x, where=mask)
            softmax(x[:, ::2], axis=1, out=x[:, ::2], where=mask[:, ::2])

    calls(20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls(1000)
    # 64 KiB or more of scratch a call would be 64 MiB and more; ru_maxrss is in KiB on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 16 * 2**20
