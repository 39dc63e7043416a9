"""Many threads on one input, forks while another thread computes, new processes, and interrupts.

Each test runs twice: with calls that stay on their thread, and with calls that threads share.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import smoothmax
from smoothmax import log_softmax, logsumexp, softmax
from smoothmax._schedule import pool as helper_pool
from smoothmax._thresholds import limits

X = np.random.default_rng(0).normal(size=(limits()["SHARE_MIN_BYTES"] // (400 * 4) + 1, 400)) * 5
SHORT = np.arange(0, X.size + 1, 16)  # offsets of short segments
FUNCTIONS = {"logsumexp": logsumexp, "softmax": softmax, "log_softmax": log_softmax}


@pytest.fixture(params=[1, 3], autouse=True, ids=["alone", "shared"])
def threads(request):
    """The number of threads of each call. X is large enough to be shared, also as float32."""
    before = smoothmax.get_num_threads()
    smoothmax.set_num_threads(request.param)
    yield request.param
    smoothmax.set_num_threads(before)


def everything(x=X):
    """The results of one call of each kind, as bytes."""
    results = []
    for axis in (None, 0, 1):
        for function in FUNCTIONS.values():
            results.append(function(x, axis=axis))
            results.append(function(x, axis=axis, where=x > 0))
            results.append(function(x.astype(np.float16), axis=axis, out=None))
        results.extend(logsumexp(x, axis=axis, b=x, return_sign=True))
    results.extend([smoothmax.logmeanexp(x, 1), smoothmax.logcumsumexp(x), smoothmax.logcumsumexp(x, 0)])
    results.extend([smoothmax.segment_logsumexp(x, [0, 1, 3, len(x)]), smoothmax.segment_softmax(x.ravel(), SHORT)])
    results.extend([smoothmax.logmatmulexp(x, x[:50].T), smoothmax.logmatmulexp(x, x[:4].T, exact=True)])
    results.extend([*smoothmax.top_log_probs(x, 7), smoothmax.categorical(x, rng=1), smoothmax.logaddexp(x, x[0])])
    results.extend(smoothmax.cross_entropy_and_grad(x, np.arange(len(x)) % x.shape[1], scale=0.5, add=x[0]))
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
    """Another thread computes until the test is over."""
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


# Forks ---------------------------------------------------------------------------------------------------------------


def child_that(work):
    """The exit code of a forked child that does the work. An alarm ends a child that hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about threads and fork
        child = os.fork()
    if child == 0:
        code = 4
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(100)
            code = 0 if work() else 3
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.usefixtures("busy")
def test_fork_while_another_thread_computes():
    wanted = everything()
    for _ in range(20):
        assert child_that(lambda: everything() == wanted) == 0
    assert everything() == wanted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_has_helpers_of_its_own(threads):
    everything()
    helpers = [lambda: helper_pool._helpers() == 0, everything, lambda: helper_pool._helpers() == threads - 1]
    assert child_that(lambda: all(step() for step in helpers)) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.usefixtures("busy")
def test_forks_of_a_child_and_of_threads():
    wanted = everything()
    assert child_that(lambda: everything() == wanted and child_that(lambda: everything() == wanted) == 0) == 0
    with ThreadPoolExecutor(4) as pool:
        codes = pool.map(lambda _: child_that(lambda: everything() == wanted), range(12))
        assert list(codes) == [0] * 12


FORK_AND_END = """
import os, sys, warnings
import numpy as np
import smoothmax
warnings.simplefilter("ignore")
smoothmax.set_num_threads({threads})
x = np.zeros((1000, 1000))
wanted = smoothmax.softmax(x, axis=1).tobytes()
if os.fork():
    _, status = os.wait()
    assert status == 0, status
assert smoothmax.softmax(x, axis=1).tobytes() == wanted
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_parent_and_child_end_as_usual(threads):
    """Neither process calls os._exit: the child's interpreter must not wait for threads that only its parent has."""
    run = in_python(FORK_AND_END.format(threads=threads))
    assert (run.stdout, run.stderr, run.returncode) == ("done\ndone\n", "", 0)


# Processes -----------------------------------------------------------------------------------------------------------


def in_python(script, *arguments):
    command = [sys.executable, *(["-c"] if "\n" in script else []), script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


POOL = """
import multiprocessing
import sys
import threading
import warnings
import numpy as np
import smoothmax
import smoothmax._thresholds

warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12 and later, about threads and fork
smoothmax.set_num_threads(int(sys.argv[2]))
X = np.random.default_rng(0).normal(size=(smoothmax._thresholds.limits()['SHARE_MIN_BYTES'] // (400 * 8) + 1, 400))

def work(i):
    return smoothmax.softmax(X * i, axis=i % 2).tobytes() + smoothmax.logsumexp(X * i).tobytes()

def keep_busy(stop):
    while not stop.is_set():
        work(3)

if __name__ == "__main__":
    wanted = [work(i) for i in range(20)]
    stop = threading.Event()
    other = threading.Thread(target=keep_busy, args=(stop,))
    other.start()
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map(work, range(20)) == wanted
    stop.set()
    other.join()
    assert [work(i) for i in range(20)] == wanted
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_worker_processes_give_the_same_bits(method, threads, tmp_path):
    """Also while another thread of the parent computes."""
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    run = in_python(str(script), method, str(threads))
    assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)


# Interrupts ----------------------------------------------------------------------------------------------------------

# A long call on n elements that take no memory: all results are written to the same place.
INTERRUPTED = """
import signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background of a script ignores it
import numpy as np
import smoothmax
import smoothmax._thresholds

name, n, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
function = getattr(smoothmax, name)
smoothmax.set_num_threads(threads)
small = np.random.default_rng(0).normal(size=(smoothmax._thresholds.limits()['SHARE_MIN_BYTES'] // (400 * 8) + 1, 400))
wanted = function(small, axis=1).tobytes()
x = np.broadcast_to(np.float32(0), (n,))
out = np.lib.stride_tricks.as_strided(np.empty(1, np.float32), (n,), (0,)) if name != "logsumexp" else None
begin, returned = threading.Event(), False

def tell():
    begin.wait()
    print("in the call", flush=True)  # no switch is due, so the main thread has released the GIL

threading.Thread(target=tell, daemon=True).start()
sys.setswitchinterval(1000)
try:
    begin.set()
    function(x, out=out)
    for _ in range(2):  # Python 3.14 checks for signals not after a call, but at the next turn of a loop
        pass
    returned = True
    time.sleep(100)
except KeyboardInterrupt:
    assert function(small, axis=1).tobytes() == wanted
    print("too late" if returned else "interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_interrupt_of_a_long_call(name, threads):
    """The exception is raised when the call is over. If a call ends before the signal comes, a longer call is tried."""
    for n in (2**30, 2**32, 2**34):
        command = [sys.executable, "-c", INTERRUPTED, name, str(n), str(threads)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout.readline() == "in the call\n"
                process.send_signal(signal.SIGINT)
                out, error = process.communicate(timeout=200)
            finally:
                process.kill()
        assert (error, process.returncode) == ("", 0)
        if out == "interrupted\n":
            return
    raise AssertionError(out)


# The signal comes at another moment each time, while the pool grows.
ALWAYS_INTERRUPTED = """
import signal, sys
import numpy as np
import smoothmax
import smoothmax._thresholds

class Interrupt(BaseException):
    pass

def interrupt(*_):
    raise Interrupt

signal.signal(signal.SIGALRM, interrupt)
x = np.random.default_rng(0).normal(size=(smoothmax._thresholds.limits()['SHARE_MIN_BYTES'] // (400 * 8) + 1, 400))
out = np.empty_like(x)
with smoothmax.num_threads(1):
    wanted = smoothmax.softmax(x, axis=1).tobytes()
for i in range(500):
    smoothmax.set_num_threads(int(sys.argv[1]) + i // 50)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4 + 2e-6 * i)
        while True:
            smoothmax.softmax(x, axis=1, out=out)
    except Interrupt:
        assert smoothmax.softmax(x, axis=1).tobytes() == wanted
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
def test_an_interrupt_at_any_moment_leaves_no_lock_held(threads):
    """The next call would wait for the lock forever."""
    run = in_python(ALWAYS_INTERRUPTED, str(threads))
    assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)
