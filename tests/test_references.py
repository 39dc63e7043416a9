"""10,000 calls of each kind, including those that fail, leave no references and no memory behind.

`-m slow` makes 100,000 of each.
"""

import ctypes
import functools
import gc
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import smoothmax
from smoothmax import log_softmax, logsumexp, softmax
from smoothmax._thresholds import limits

CALLS = 10_000
A = np.random.default_rng(0).normal(size=(3, 5))
HALF, SINGLE, LONG, COMPLEX = (A.astype(t) for t in (np.float16, np.float32, np.longdouble, complex))
SWAPPED, INTEGERS = A.astype(">f8"), A.astype(int)
MASK, WEIGHTS, ROW, SQUARE = A > 0, A + 1, np.zeros(3), np.zeros((3, 5))
# Allocated once, since np.zeros itself leaves a reference to its dtype behind (NumPy 2.4).
SEVEN, INTEGER_ROW, COMPLEX_OUT, TEXT = np.zeros(7), np.zeros(3, int), np.zeros((3, 5), complex), np.array(["x"])
READ_ONLY = np.zeros(3)
READ_ONLY.flags.writeable = False
WIDE = np.zeros((6, 5))
MASKED = np.ma.array(A)
# Threads share a call of every second column: units along an axis, or pieces if all axes are reduced.
LARGE = np.zeros((2 * max(limits()["SHARE_MIN_BYTES"], limits()["ROW_PIECE_BYTES"]) // (400 * 8) + 1, 400))
LARGE_MASK, LARGE_OUT = np.zeros(LARGE.shape, bool), np.zeros(LARGE.shape)
DTYPE, OTHER_DTYPE = np.dtype(np.float32), np.dtype("U3")
AXIS, AXES = 1, (0, 1)
ARGUMENTS = [A, HALF, SINGLE, LONG, COMPLEX, SWAPPED, INTEGERS, MASK, WEIGHTS, ROW, SQUARE, SEVEN, INTEGER_ROW]
ARGUMENTS += [COMPLEX_OUT, TEXT, READ_ONLY, WIDE, MASKED, LARGE, LARGE_MASK, LARGE_OUT, DTYPE, OTHER_DTYPE, AXES]
ARGUMENTS += [logsumexp, softmax, *(np.dtype(t) for t in "efdg?lFDG")]

EITHER = {
    "all": lambda f: f(A),
    "an axis": lambda f: f(A, axis=AXIS),
    "axes": lambda f: f(A, axis=AXES),
    "half": lambda f: f(HALF, axis=1),
    "swapped": lambda f: f(SWAPPED, axis=0),
    "integers": lambda f: f(INTEGERS, axis=0),
    "strided": lambda f: f(A[:, ::2], axis=1),
    "transposed": lambda f: f(A.T, axis=0),
    "list": lambda f: f([1.0, 2.0]),
    "number": lambda f: f(1.0),
    "empty": lambda f: f(A[:0], axis=0),
    "masked": lambda f: f(A, where=MASK, axis=1),
    "dtype": lambda f: f(A, dtype=DTYPE),
}
ONE = {
    "sign": lambda: logsumexp(A, axis=0, b=WEIGHTS, return_sign=True),
    "scalar sign": lambda: logsumexp(A, return_sign=True),
    "weights and mask": lambda: logsumexp(A, axis=0, where=MASK, b=WEIGHTS),
    "promoted": lambda: logsumexp(SINGLE, b=A),
    "widened": lambda: logsumexp(ROW, b=WEIGHTS[:, :1]),
    "keepdims": lambda: logsumexp(A, axis=1, keepdims=True),
    "out of logsumexp": lambda: logsumexp(A, axis=1, out=ROW),
    "out of softmax": lambda: softmax(A, axis=1, out=SQUARE),
    "in place": lambda: softmax(SQUARE, axis=1, out=SQUARE),
    "overlap": lambda: softmax(WIDE[:-1], axis=1, out=WIDE[1:]),
    "log_softmax": lambda: log_softmax(SINGLE),
}
# A call takes microseconds or more, so a plain run makes 1000 of each.
SLOW = {
    "longdouble": lambda: logsumexp(LONG, axis=1, b=WEIGHTS, return_sign=True),
    "longdouble log_softmax": lambda: log_softmax(LONG, axis=1, where=MASK),
    "complex": lambda: logsumexp(COMPLEX, axis=0),
    "complex softmax": lambda: softmax(COMPLEX, out=COMPLEX_OUT),
    "scratch": lambda: logsumexp(LARGE[:, ::2], axis=0, b=LARGE[:, ::2], where=LARGE_MASK[:, ::2]),
    "shared": lambda: softmax(LARGE, axis=1, out=LARGE_OUT),
    "shared pieces": lambda: logsumexp(LARGE[:, ::2], b=LARGE[:, ::2], return_sign=True),
}
EITHER_WRONG = {
    "axis": lambda f: f(A, axis=7),
    "large axis": lambda f: f(A, axis=10**30),
    "axis twice": lambda f: f(A, axis=(0, 0)),
    "no axis": lambda f: f(A, axis="x"),
    "mask": lambda f: f(A, where=ROW > 0),
    "no mask": lambda f: f(A, where=ROW),
    "shape of out": lambda f: f(A, out=SEVEN),
    "no out": lambda f: f(A, axis=1, out=[0]),
    "dtype": lambda f: f(A, dtype=OTHER_DTYPE),
    "no dtype": lambda f: f(A, dtype="nothing"),
    "complex and dtype": lambda f: f(COMPLEX, dtype=DTYPE),
    "masked array": lambda f: f(MASKED),
    "string": lambda f: f("x"),
    "strings": lambda f: f(TEXT),
    "keyword": lambda f: f(A, nothing=1),
}
ONE_WRONG = {
    "weights": lambda: logsumexp(A, b=SEVEN),
    "type of weights": lambda: logsumexp(A, b=TEXT),
    "read-only out": lambda: logsumexp(A, axis=1, out=READ_ONLY),
    "type of out": lambda: logsumexp(A, axis=1, out=INTEGER_ROW),
    "type of out of softmax": lambda: softmax(COMPLEX, out=SQUARE),
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


class Statistics(ctypes.Structure):
    """The struct that mallinfo2 of the GNU C library returns."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names)


def memory():
    """How many blocks Python has allocated, and how many bytes the GNU C library has (0 with another library)."""
    gc.collect()
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(library, "mallinfo2"):
        return sys.getallocatedblocks(), 0
    library.mallinfo2.restype = Statistics
    statistics = library.mallinfo2()
    return sys.getallocatedblocks(), statistics.uordblks + statistics.hblkhd


def kinds():
    """Parameters of the test: a call, how often it is made, and whether it fails."""
    good, wrong = dict(ONE), dict(ONE_WRONG)
    for f in (logsumexp, softmax):
        good |= {f"{name}-{f.__name__}": functools.partial(call, f) for name, call in EITHER.items()}
        wrong |= {f"{name}-{f.__name__}": functools.partial(call, f) for name, call in EITHER_WRONG.items()}
    calls = [(name, call, CALLS, False) for name, call in good.items()]
    calls += [(f"wrong {name}", call, CALLS, True) for name, call in wrong.items()]
    calls += [(name, call, CALLS // 10, False) for name, call in SLOW.items()]
    few = [pytest.param(call, count, fails, id=name) for name, call, count, fails in calls]
    return few + [
        pytest.param(call, 10 * CALLS, fails, id=f"all {name}", marks=pytest.mark.slow)
        for name, call, _, fails in calls
    ]


@pytest.mark.parametrize(("call", "calls", "fails"), kinds())
def test_nothing_is_left_behind(call, calls, fails):
    with smoothmax.num_threads(3):
        repeat(call, calls // 100, fails)
        blocks, size = memory()
        references = [sys.getrefcount(x) for x in ARGUMENTS]
        repeat(call, calls, fails)
        new_blocks, new_size = memory()
    new_references = [sys.getrefcount(x) for x in ARGUMENTS]
    # A reference or a block left behind by each call would be `calls` of them. Caches of the interpreter take a few.
    assert max(abs(new - old) for new, old in zip(new_references, references, strict=True)) <= 5
    assert new_blocks - blocks < calls // 2
    assert new_size - size < 16 * calls  # the smallest allocation of the C library has 32 bytes


def test_a_failed_allocation_leaves_nothing(function):
    x = np.broadcast_to(np.array(1.0), (2**58, 1))
    references = sys.getrefcount(x)
    for _ in range(100):
        with pytest.raises(MemoryError):
            function(x, axis=-1)
    assert sys.getrefcount(x) == references
    assert x[0, 0] == 1


@pytest.mark.unsanitized
def test_no_scratch_is_left_behind(name, dtype):
    """Kernels allocate the scratch with malloc, so tracemalloc does not count it."""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc/self/status")
    script = f"""
        import numpy as np, smoothmax

        def resident():
            return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmRSS"))

        x = np.ones((90, 140), np.{np.dtype(dtype)})

        def calls(count):
            for i in range(count):
                for given in (x, x[:, ::2], x.astype(x.dtype.newbyteorder())):
                    smoothmax.{name}(given, axis=i % 2)

        calls(100)
        before = resident()
        calls(1000)
        print(resident() - before)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert int(result.stdout) <= 4 << 20
