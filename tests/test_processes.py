"""Many threads on one input, forks while another thread computes, and processes that start from nothing."""

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from smoothmax import log_softmax, logsumexp, softmax

X = np.random.default_rng(0).normal(size=(300, 400)) * 5
FUNCTIONS = {"logsumexp": logsumexp, "softmax": softmax, "log_softmax": log_softmax}


def everything(x=X):
    """One of each kind of call, as bytes."""
    results = []
    for axis in (None, 0, 1):
        for function in FUNCTIONS.values():
            results.append(function(x, axis=axis))
            results.append(function(x, axis=axis, where=x > 0))
            results.append(function(x.astype(np.float16), axis=axis, out=None))
        results.extend(logsumexp(x, axis=axis, b=x, return_sign=True))
    return b"".join(np.asarray(r).tobytes() for r in results)


def test_threads_share_an_input():
    wanted = everything()
    with ThreadPoolExecutor(16) as pool:
        for got in pool.map(lambda _: everything(), range(64)):
            assert got == wanted


def test_threads_write_into_one_array():
    out = np.empty_like(X)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: softmax(X[i], out=out[i]), range(len(X))))
    np.testing.assert_array_equal(out, softmax(X, axis=1))


def test_threads_see_errors_of_their_own():
    def call(i):
        if i % 2:
            return logsumexp(X, axis=1)[0]
        with pytest.raises(np.exceptions.AxisError, match=f"axis {i + 2} is out of bounds"):
            logsumexp(X, axis=i + 2)
        return None

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(call, range(400)))
    assert set(results[1::2]) == {logsumexp(X, axis=1)[0]}


@pytest.fixture
def busy():
    """Another thread that computes until the test is over."""
    stop = threading.Event()
    large = np.random.default_rng(1).normal(size=(1000, 1000))

    def compute():
        while not stop.is_set():
            softmax(large, axis=1)
            logsumexp(large, axis=0, b=large)

    thread = threading.Thread(target=compute)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.usefixtures("busy")
def test_fork_while_another_thread_computes():
    wanted = everything()
    for _ in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about threads and fork
            child = os.fork()
        if child == 0:
            os._exit(0 if everything() == wanted else 3)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0


POOL = """
import multiprocessing
import numpy as np
from smoothmax import logsumexp, softmax

def work(i):
    return softmax(np.arange(1000.0) * i)[-1] + logsumexp(np.arange(1000.0) * i)

if __name__ == "__main__":
    wanted = [work(i) for i in range(20)]
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        assert pool.map(work, range(20)) == wanted
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_multiprocessing(method, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(POOL.format(method=method))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


INTERRUPTED = """
import _thread, threading, time
import numpy as np
from smoothmax import softmax, logsumexp
x = np.zeros((3000, 1000))
try:
    threading.Timer(0.3, _thread.interrupt_main).start()
    while True:
        softmax(x, axis=1, out=x)
except KeyboardInterrupt:
    print(logsumexp(np.zeros(8)))
"""


def test_interrupt():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == np.log(8)
