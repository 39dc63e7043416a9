"""Nothing is read beyond an array: each array ends at a protected page, and a read of that page ends the process."""

import subprocess
import sys

import pytest

CHILD = """
import ctypes, mmap, sys
import numpy as np
import smoothmax
from smoothmax._thresholds import limits

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
maps = []

def at_the_end(array):
    \"\"\"A copy that ends where memory may not be touched.\"\"\"
    array = np.ascontiguousarray(array)
    size = -(-max(array.nbytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    maps.append(mmap.mmap(-1, size + mmap.PAGESIZE))
    start = ctypes.addressof(ctypes.c_char.from_buffer(maps[-1]))
    assert libc.mprotect(start + size, mmap.PAGESIZE, 0) == 0
    copy = np.frombuffer(maps[-1], np.uint8, array.nbytes, size - array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy

rng = np.random.default_rng(1)
for columns in (2, 3, 7, 16, 28, 31, 33, 47, limits()["TILE_COLUMNS"] - 1):
    for n in (limits()["NARROW_MIN_ELEMENTS"] // columns + 1, 129, 131, 257, 1000):
        for dtype in (np.float32, np.float64):
            x = rng.normal(size=(n, columns)).astype(dtype)
            weights = rng.normal(size=(n, columns)).astype(dtype)
            mask = rng.random((n, columns)) < 0.8
            given = at_the_end(x)
            for b in (weights, weights[:, :1], weights[:1]):
                found = smoothmax.logsumexp(given, 0, at_the_end(b), return_sign=True)
                wanted = smoothmax.logsumexp(x, 0, b, return_sign=True)
                assert np.array_equal(found, wanted, equal_nan=True)
            for add in (weights, weights[:, :1], weights[:1]):
                found = smoothmax.log_softmax(given, 0, scale=0.5, add=at_the_end(add))
                assert np.array_equal(found, smoothmax.log_softmax(x, 0, scale=0.5, add=add))
            for function in (smoothmax.logsumexp, smoothmax.softmax, smoothmax.log_softmax):
                found = function(given, 0, where=at_the_end(mask))
                assert np.array_equal(found, function(x, 0, where=mask), equal_nan=True)
                assert np.array_equal(function(given, 1), function(x, 1))
            out = at_the_end(np.empty_like(x))
            smoothmax.softmax(given, 0, out=out)
            assert np.array_equal(out, smoothmax.softmax(x, 0))
for n, k, m in ((5, 9, 17), (16, 7, 33), (3, 12, 47), (20, 5, 31), (40, 8, 1), (1, 30, 29)):
    for dtype in (np.float32, np.float64):
        a, b = rng.normal(size=(n, k)).astype(dtype), rng.normal(size=(k, m)).astype(dtype)
        for left in (at_the_end(a), at_the_end(a.T).T):
            for right in (at_the_end(b), at_the_end(b.T).T):
                for exact in (False, True):
                    found, wanted = (smoothmax.logmatmulexp(*x, exact=exact) for x in ((left, right), (a, b)))
                    assert np.allclose(found, wanted, rtol=1e-5)
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect is called as Linux has it")
def test_narrow_columns_weights_and_matrices_end_where_memory_does():
    """A weight for each row was once read for a row without remaining columns: (129, 28) float32 crashed."""
    run = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=120)
    assert (run.stdout, run.stderr, run.returncode) == ("done\n", "", 0)
