"""The floating-point environment of the caller: it changes no bit of a result, and is as before after the call."""

import contextlib
import ctypes
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest

import smoothmax
from smoothmax._thresholds import limits

if platform.machine().lower() not in ("x86_64", "amd64") or platform.system() != "Linux":
    pytest.skip("the layout of fenv_t is known for Linux on x86-64 only", allow_module_level=True)

C = ctypes.CDLL(None)
MXCSR = 28  # where fenv_t has it
MODES = {  # of MXCSR: flush results, treat operands as zero; and the direction of rounding, which x87 has too
    "flush subnormals": (0x8040, 0),
    "downward": (0x2000, 0x400),
    "upward": (0x4000, 0x800),
    "toward zero": (0x6000, 0xC00),
    "all of it": (0xE040, 0xC00),
}


def control():
    environment = (ctypes.c_ubyte * 32)()
    C.fegetenv(environment)
    (mxcsr,) = np.frombuffer(bytes(environment[MXCSR : MXCSR + 4]), np.uint32)
    return int(mxcsr) & 0xFFC0, C.fegetround()


@contextlib.contextmanager
def environment(mode):
    bits, rounding = MODES[mode]
    before, changed = (ctypes.c_ubyte * 32)(), (ctypes.c_ubyte * 32)()
    C.fegetenv(before)
    C.fesetround(rounding)
    C.fegetenv(changed)
    mxcsr = np.frombuffer(bytes(changed[MXCSR : MXCSR + 4]), np.uint32)[0] | np.uint32(bits)
    changed[MXCSR : MXCSR + 4] = mxcsr.tobytes()
    C.fesetenv(changed)
    try:
        assert control() == (0x1F80 | bits, rounding)
        yield
        assert control() == (0x1F80 | bits, rounding)
    finally:
        C.fesetenv(before)


def everything(dtype):
    """Calls by name, on numbers whose exponentials are subnormal, vanish, or are rounded in every direction."""
    rng = np.random.default_rng(3)
    far = 90.0 if dtype == np.float32 else 720.0
    ten = np.array([0, -far, -far - 1, 1.5, 3, -2, 0.1, -far + 3, -1, 2], dtype)
    large = (
        3 * rng.standard_normal((limits()["SHARE_MIN_BYTES"] // 800 + 1, 200)) - far * (rng.random(200) < 0.1)
    ).astype(dtype)
    weights = np.abs(rng.standard_normal(10)).astype(dtype)
    targets = rng.integers(0, 200, len(large))
    stream = smoothmax.LogSumExp(axis=0, dtype=dtype)
    stream.update(large)
    other = stream.copy()
    calls = {
        f"{function.__name__} of {name}": lambda function=function, x=x, axis=axis: function(x, axis)
        for function in (smoothmax.logsumexp, smoothmax.softmax, smoothmax.log_softmax)
        for name, (x, axis) in {
            "ten": (ten, None),
            "rows": (large, 1),
            "columns": (large, 0),
            "long": (large, None),
            "longdouble": (ten.astype(np.longdouble), None),
        }.items()
    }
    return calls | {
        "weights": lambda: smoothmax.logsumexp(ten, b=weights),
        "subnormal weight": lambda: smoothmax.logsumexp(ten, b=1e-310),
        "subnormal weight of a stream": lambda: smoothmax.LogSumExp(dtype=dtype).update(ten, 1e-310).result(),
        "float16": lambda: smoothmax.softmax(ten, dtype=np.float16),
        "smoothed loss": lambda: smoothmax.cross_entropy(large, targets, label_smoothing=0.3),
        "gradient": lambda: smoothmax.cross_entropy_and_grad(large, targets)[1],
        "vjp": lambda: smoothmax.softmax_vjp(ten, ten),
        "stream": lambda: smoothmax.LogSumExp(axis=0, dtype=dtype).update(large).merge(other).result(),
        "product": lambda: smoothmax.logmatmulexp(large[:40], large[:200].T),
        "exact product": lambda: smoothmax.logmatmulexp(large[:40], large[:200].T, exact=True),
        "mean": lambda: smoothmax.logmeanexp(large, axis=1),
        "mean of subnormal weights": lambda: smoothmax.logmeanexp(ten, b=np.full(10, 1e-310)),
        "scale and add": lambda: smoothmax.log_softmax(large, axis=1, scale=0.3, add=large[0]),
        "scan": lambda: smoothmax.logcumsumexp(large),
        "scan of columns": lambda: smoothmax.logcumsumexp(large, axis=0, reverse=True),
        "scan of longdouble": lambda: smoothmax.logcumsumexp(ten.astype(np.longdouble)),
        "short segments": lambda: smoothmax.segment_softmax(large.ravel(), np.arange(0, large.size + 1, 8)),
        "long segments": lambda: smoothmax.segment_logsumexp(large, [0, 7, len(large)]),
        "scores": lambda: smoothmax.top_log_probs(large, 5)[0],
        "draws": lambda: smoothmax.categorical(large, scale=0.7, rng=5),
        "logaddexp": lambda: smoothmax.logaddexp(ten, ten[::-1]),
        "logsubexp": lambda: smoothmax.logsubexp(large[:3], large[:3] - dtype(far)),
        "log1mexp": lambda: smoothmax.log1mexp(ten),
        "log1pexp of longdouble": lambda: smoothmax.log1pexp(ten.astype(np.longdouble)),
        "log_expit of float16": lambda: smoothmax.log_expit(ten.astype(np.float16)),
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_environment_of_the_caller_changes_no_bit(mode, threads, dtype):
    calls = everything(dtype)
    with smoothmax.num_threads(threads):
        expected = {name: call() for name, call in calls.items()}
        for name, call in calls.items():
            with environment(mode):
                got = call()
            assert np.array_equal(got, expected[name], equal_nan=True), name


def test_helpers_do_not_keep_the_environment_in_which_they_were_started():
    calls = everything(np.float64)
    with smoothmax.num_threads(1):
        expected = {name: call() for name, call in calls.items()}
    found = {}

    def run():
        with environment("all of it"), smoothmax.num_threads(9):  # more helpers than any test has started before
            found.update({name: call() for name, call in calls.items()})

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    with smoothmax.num_threads(9):
        for name, call in calls.items():
            assert np.array_equal(found[name], expected[name], equal_nan=True), name
            assert np.array_equal(call(), expected[name], equal_nan=True), name


def test_the_smallest_case_of_rounding_downward():
    with environment("downward"):
        got = smoothmax.softmax(np.float32([0, -90]))
    assert got.tolist() == smoothmax.softmax(np.float32([0, -90])).tolist()
    assert got[1] > 0


TRAPS = """
import ctypes
import numpy as np, smoothmax

x = np.array([0.0, -708.5, -745.0, 700.0])
wide, single = np.empty(4, np.longdouble), np.empty(4, np.float32)
calls = [
    lambda: smoothmax.softmax(x),
    lambda: smoothmax.softmax(x, out=wide),
    lambda: smoothmax.log_softmax(x, out=single),
    lambda: smoothmax.logsumexp(x, b=np.longdouble([1, 2, 3, 1]) / 3),
    lambda: smoothmax.log_expit(x),
    lambda: smoothmax.logsumexp(np.append(x, np.inf)),
]
expected = [np.copy(call()) for call in calls]
libm, found, trapped = ctypes.CDLL(None), [], 0x1D  # invalid, division by zero, overflow, underflow
libm.feclearexcept(0x3F)
libm.feenableexcept(trapped)
for call in calls:
    found.append(np.copy(call()))
assert libm.fedisableexcept(0x3F) == trapped
for one, other in zip(found, expected):
    np.testing.assert_array_equal(one, other)
"""


@pytest.mark.skipif(not hasattr(C, "feenableexcept"), reason="an extension of glibc")
def test_exceptions_that_the_caller_traps_do_not_stop_a_call():
    run = subprocess.run([sys.executable, "-c", TRAPS], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


PENDING = """
import ctypes
import numpy as np
import smoothmax

libm, x = ctypes.CDLL(None), np.array([0.0, 1.0])
expected = smoothmax.logsumexp(x)
with np.errstate(all="ignore"):
    np.longdouble("inf") - np.longdouble("inf")
libm.feenableexcept(0x1D)
found = smoothmax.logsumexp(x)
libm.fedisableexcept(0x3F)
assert found == expected
"""


@pytest.mark.skipif(not hasattr(C, "feenableexcept"), reason="an extension of glibc")
def test_a_flag_that_was_up_before_the_caller_trapped_it_does_not_stop_a_call():
    """x87, which computes longdouble, traps it at the next instruction that checks: here, one of ours."""
    run = subprocess.run([sys.executable, "-c", PENDING], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
