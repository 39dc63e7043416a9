"""More than 2**31 elements along one axis, which a counter of 32 bits cannot count."""

import sys

import numpy as np
import pytest

from smoothmax import log_softmax, logsumexp, softmax

N = 2**31 + 5
PLACE = 2**31 + 3  # of the one element that is not 0
VALUE = 30.0  # the exponentials of all other elements sum to 2e-4 of its own
LOG_SUM = np.log1p((N - 1) * np.exp(-VALUE))  # relative to VALUE
CHUNK = 1 << 26


def peak():
    """The largest number of bytes that the process has had in memory so far, on Linux."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def assert_all_but_one(x, others, one):
    """Both are within 2 ULP. Chunks are compared, since comparing the whole array would take another 2 GB."""
    np.testing.assert_array_max_ulp(x[PLACE], np.float32(one), 2)
    x[PLACE] = others
    np.testing.assert_array_max_ulp(x[0], np.float32(others), 2)
    assert all(np.all(x[i : i + CHUNK] == x[0]) for i in range(0, N, CHUNK))


def test_a_broadcast_row_beyond_32_bits_is_right():
    """The broadcast row takes no memory. It is read once, which takes seconds."""
    assert logsumexp(np.broadcast_to(np.float32(0), (N,))) == np.float32(np.log(N))


@pytest.mark.large
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_a_row_beyond_32_bits_is_right():
    x = np.empty(N, np.float32)
    x.fill(0)  # allocates the pages now, unlike np.zeros, so that the peak shows the memory of the calls
    x[PLACE] = VALUE
    before = peak()

    def assert_sum(**arguments):
        np.testing.assert_array_max_ulp(logsumexp(x, **arguments), np.float32(VALUE + LOG_SUM), 1)

    assert_sum()
    assert_sum(b=np.broadcast_to(np.float32(1), N), where=np.broadcast_to(True, N))
    assert logsumexp(x[:PLACE]) == np.float32(np.log(PLACE))
    assert softmax(x, out=x) is x
    assert_all_but_one(x, np.exp(-VALUE - LOG_SUM), np.exp(-LOG_SUM))

    x.fill(0)
    x[PLACE] = VALUE
    assert log_softmax(x, axis=0, out=x) is x
    assert_all_but_one(x, -VALUE - LOG_SUM, -LOG_SUM)

    x.fill(0)
    x[PLACE] = np.float32(VALUE).byteswap()
    x = x.view(x.dtype.newbyteorder())[::-1]  # staged in the scratch
    assert_sum()
    assert peak() - before < 2 * CHUNK  # a hundredth of the row, which the comparisons of chunks need


@pytest.mark.large
def test_columns_beyond_32_bits_are_right():
    x = np.zeros((N, 2), np.int8)
    x[PLACE, 1] = VALUE
    np.testing.assert_array_max_ulp(logsumexp(x, axis=0), np.array([np.log(N), VALUE + LOG_SUM]), 1)
