"""Calls allocate at most 1 MiB besides the result, and release the GIL while they run."""

import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc

import numpy as np
import pytest

from smoothmax import logaddexp, logmatmulexp, num_threads, softmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

MIB = 1 << 20


@pytest.mark.parametrize("shape", [(3_000_000,), (3000, 1000), (1500, 2, 1000)], ids=str)
@pytest.mark.parametrize("layout", ["contiguous", "strided", "fortran", "big-endian"])
def test_no_temporary_of_the_size_of_the_input(name, function, dtype, shape, layout):
    x = np.zeros(shape, dtype)
    if layout == "strided":
        x = np.zeros((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]
    elif layout == "fortran":
        x = np.asfortranarray(x)
    elif layout == "big-endian":
        x = x.astype(x.dtype.newbyteorder(">"))
    for axis in (None, 0, -1):
        out = np.empty(np.shape(x.sum(axis=axis)) if name == "logsumexp" else shape, dtype)
        function(x[:2], axis=axis)
        tracemalloc.start()
        try:
            function(x, axis=axis, out=out)
            with_out = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            result = function(x, axis=axis)
            without = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert with_out < MIB
        assert without < result.nbytes + MIB
        assert without >= (result.nbytes if result.ndim else 0)  # NumPy reports its allocations to tracemalloc


@pytest.mark.unsanitized
def test_calls_take_at_most_1_mib_of_resident_memory(name, dtype):
    """The peak of the resident memory shows the scratch, which tracemalloc does not see."""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc/self/status")
    script = f"""
        import numpy as np, smoothmax

        def peak():
            return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM"))

        def calls(rows, columns):
            x = np.ones((rows, columns), np.{np.dtype(dtype)})
            swapped = x.astype(x.dtype.newbyteorder())
            out = np.ones(x.shape if {name != "logsumexp"} else rows, x.dtype)
            other = np.ones(x.shape if {name != "logsumexp"} else columns, x.dtype)
            single = np.ones(x.shape if {name != "logsumexp"} else (), x.dtype)
            before = peak()
            for given in (x, x[:, ::-1], swapped):
                smoothmax.{name}(given, axis=1, out=out)
                smoothmax.{name}(given, axis=0, out=other)
                smoothmax.{name}(given, out=single)
            return peak() - before

        calls(100, 9000)
        taken = calls(4000, 3000)
        print(taken)
    """
    taken = int(
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
        ).stdout
    )
    assert taken <= MIB


def progress_during(call):
    """How far another thread counts while `call` runs. Threads are switched only when one releases the GIL."""
    interval = sys.getswitchinterval()
    counted, go, stop = [0], threading.Event(), threading.Event()

    def count():
        go.wait()
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0)  # releases the GIL to the thread that waits for it

    thread = threading.Thread(target=count)
    thread.start()
    try:
        sys.setswitchinterval(1000)
        with num_threads(1):  # with more, a call may read the quota of the container, which releases the GIL as well
            before = counted[0]
            go.set()
            call()
            return counted[0] - before
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        thread.join()


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_the_gil_is_released(name, function, dtype, axis):
    """Another thread counts while a kernel runs. If the call held the GIL, no switch would come for 1000 s."""
    x = np.zeros((2000, 4000), dtype)
    out = np.empty(np.shape(x.sum(axis=axis)) if name == "logsumexp" else x.shape, dtype)
    assert progress_during(lambda: [function(x, axis=axis, out=out) for _ in range(20)]) > 0


def test_ufuncs_release_the_gil(dtype):
    x, y = np.zeros((3000, 1), dtype), np.zeros((1, 3000), dtype)
    assert progress_during(lambda: [logaddexp(x, y) for _ in range(20)]) > 0


@pytest.mark.parametrize("exact", [False, True])
def test_products_release_the_gil(exact, dtype):
    x = np.zeros((120, 120), dtype)
    out = np.empty_like(x)
    calls = 200 if exact else 4000  # a fifth of a second, in which another thread gets its turn on a busy machine
    assert progress_during(lambda: [logmatmulexp(x, x, out=out, exact=exact) for _ in range(calls)]) > 0


def test_the_gil_is_released_for_a_short_row(dtype):
    """The row is the longest that takes no plan, since another thread needs some time to wake."""
    x = np.zeros(limits()["FUSED_SOFTMAX_ROW_BYTES"] // np.dtype(dtype).itemsize, dtype)
    out = np.empty_like(x)
    assert explain(softmax, x, out=out)["name"] == "SINGLE_ROW"
    assert progress_during(lambda: [softmax(x, out=out) for _ in range(5000)]) > 0


def test_calls_from_many_threads_give_right_results(function, dtype):
    rng = np.random.default_rng(4)
    inputs = [
        rng.standard_normal(shape).astype(dtype) for shape in ((3,), (700,), (60_000,), (90, 70), (70, 900), (5, 7, 9))
    ]
    wanted = [np.asarray(function(x, axis=-1)) for x in inputs]
    failures = []
    start = threading.Barrier(8, timeout=60)

    def work(first):
        start.wait()
        for i in range(60):
            j = (i + first) % len(inputs)
            if not np.array_equal(function(inputs[j], axis=-1), wanted[j]):
                failures.append((first, i))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
