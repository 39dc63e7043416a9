"""When memory runs out at any moment, every function raises MemoryError, and nothing is half done.

A library that is loaded before all others makes one allocation fail, or all from that one on: allocations of Python, of
NumPy and of the kernels' scratch alike. longdouble and complex numbers are left out: functions of NumPy's compute them,
which raise SystemError there or end the process. So does NumPy's iterator of ufuncs, np.logaddexp's too, where it has
to cast or to walk more than one axis, and so does CPython 3.11 where num_threads sets a context variable.
"""

import os
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

pytestmark = pytest.mark.unsanitized  # a sanitizer allocates by itself
NUMPY_2 = int(np.__version__.split(".")[0]) >= 2
# `f = lambda: 0` ends CPython 3.12 and 3.13 if there is no memory for the function. 3.11 and 3.14 raise MemoryError.
where_python_survives = pytest.mark.skipif(sys.version_info[:2] in ((3, 12), (3, 13)), reason="CPython itself crashes")

SHIM = """
#include <errno.h>
#include <stddef.h>
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
long left, lasting;    /* allocations until one fails, if it is not 0; whether all that follow fail, too */
static long tried;     /* allocations since it was not 0 */
static int fails(void) {
    if (left == 0) return 0;
    tried++;
    if (left > 1) { left--; return 0; }
    if (!lasting) left = 0;
    errno = ENOMEM;
    return 1;
}
/* The functions of smoothmax.h allocate nothing: they are called while every allocation would fail, and be counted. */
typedef struct { double private_[4]; } partial_sum;
long allocations_of_c(void **f, const double *x, ptrdiff_t n, ptrdiff_t stride, double *out) {
    partial_sum sum, other;
    tried = 0;
    lasting = left = 1;
    out[0] = ((double (*)(const double *, ptrdiff_t, ptrdiff_t))f[0])(x, n, stride);
    ((void (*)(partial_sum *))f[1])(&sum);
    ((void (*)(partial_sum *))f[1])(&other);
    ((void (*)(partial_sum *, const double *, ptrdiff_t, ptrdiff_t))f[2])(&sum, x, n/2, stride);
    ((void (*)(partial_sum *, const double *, ptrdiff_t, ptrdiff_t))f[2])(&other, x + n/2*stride, n - n/2, stride);
    ((void (*)(partial_sum *, const partial_sum *))f[3])(&sum, &other);
    out[1] = ((double (*)(const partial_sum *))f[4])(&sum);
    out[2] = ((double (*)(double, double))f[5])(out[0], out[1] - 1);
    out[3] = ((double (*)(double))f[6])(-out[0]);
    for (int i = 7; i < 9; i++)
        ((void (*)(const double *, ptrdiff_t, ptrdiff_t, double *, ptrdiff_t))f[i])(x, n, stride,
                                                                                  out + 4 + (i - 7)*n*stride, stride);
    left = 0;
    return tried;
}
void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return fails() ? NULL : __libc_calloc(n, size); }
void *realloc(void *memory, size_t size) { return fails() ? NULL : __libc_realloc(memory, size); }
"""

# In each call the n-th allocation fails. If Python continues without the memory, the result must be right.
SCRIPT = """
import contextlib, ctypes, pickle, sys
import numpy as np
import smoothmax
from smoothmax import LogSumExp
from smoothmax._partial import states
from smoothmax._scale import dask_blocks as blocks, dask_scans, dask_segments

shim = ctypes.CDLL(sys.argv[1])
LEFT, LASTING = (ctypes.c_long.in_dll(shim, name) for name in ("left", "lasting"))   # a call would allocate
smoothmax.set_num_threads(1)
np.errstate = lambda **_: contextlib.nullcontext()    # NumPy's own ends the process where it gets no memory (2.4)
rng = np.random.default_rng(1)
F4, F8 = np.dtype("f4"), np.dtype("f8")
x, y = rng.normal(size=(30, 80)), rng.normal(size=(30, 80))
single = x.astype("f4")
mask = x > 0
sums = states.reduced("logsumexp", x, (0,), None, True, F8)[0]
many = np.concatenate([sums] * 3)
long, classes = rng.normal(size=200_000), rng.integers(0, 80, 30)
long_halves = long.astype("f2")
offsets = np.array([0, 3, 3, 40, 80], "i4")
stack, infinite = rng.normal(size=(200, 3, 3)), np.where(y[:, :1] > 0, np.inf, 1.0)
certain, generator = np.eye(80)*1e6, np.random.default_rng(2)    # whose draws are known; NumPy makes no generator then
earlier = states.reduced("logmeanexp", y, (1,), None, True, F8)[0]
held = LogSumExp(0).update(x)
apart, integers = y.T - 1000.0*mask.T, (8*x).astype("i2")
narrow = LogSumExp(0).update(single)
weighted = LogSumExp(0).update(single, b=1e-60)

CHANGES = {
    "update": (held, lambda s: s.update(y)),
    "weights": (held, lambda s: s.update(y, b=x, where=mask)),
    "weights out of range": (narrow, lambda s: s.update(single, b=1e300)),
    "merge": (held, lambda s: s.merge(held)),
    "merge of two types": (narrow, lambda s: s.merge(weighted)),
    "first update": (LogSumExp(1, dtype="f2"), lambda s: s.update(x.T)),
}
CALLS = {
    "result": lambda: held.result(return_sign=True),
    "reduce_task": lambda: blocks.reduce_task([x, y], operation="logsumexp", axis=(0,), dtype=F8).view("f8"),
    "finish_blocks": lambda: blocks.finish_blocks(
        many, axis=(0,), keepdims=False, operation="logsumexp", dtype=F8, result=F4),
    "write_block": lambda: blocks.write_block(
        x, mask, None, sums, operation="softmax", axis=(0,), dtype=F4, scale=1.0),
    "transform_block": lambda: blocks.transform_block(
        x.T, True, None, operation="log_softmax", axis=(0, 1), dtype=F8, scale=1.0),
    "logsumexp": lambda: smoothmax.logsumexp(x, axis=1),
    "logsumexp of everything": lambda: [smoothmax.logsumexp(x), smoothmax.logsumexp(x.tolist()[0])],
    "logsumexp with weights": lambda: np.stack(
        smoothmax.logsumexp(single.T, (0,), y[:, :1].T, return_sign=True, where=mask.T)),
    "logsumexp, out": lambda: smoothmax.logsumexp(x, axis=0, out=np.empty(80, "f4")),
    "logsumexp with a weight a row": lambda: smoothmax.logsumexp(x, 1, y[:, :1], return_sign=True)[0],
    "logsumexp with weights of infinity": lambda: smoothmax.logsumexp(x, 1, infinite),
    "softmax": lambda: smoothmax.softmax(x[::2, ::-1], axis=0),
    "softmax of a long row": lambda: smoothmax.softmax(long),
    "softmax, overlapping": lambda: overlapping_softmax(),
    "log_softmax": lambda: smoothmax.log_softmax(single.astype("f2"), axis=(0, 1), where=mask),
    "logsumexp_and_softmax": lambda: smoothmax.logsumexp_and_softmax(x.astype(">f8"), axis=0)[1],
    "softmax_vjp": lambda: smoothmax.softmax_vjp(x, single, axis=1),
    "log_softmax_vjp": lambda: smoothmax.log_softmax_vjp(single, x, axis=0),
    "logmatmulexp": lambda: smoothmax.logmatmulexp(x, apart),
    "logmatmulexp, exact": lambda: smoothmax.logmatmulexp(integers, y.T, exact=True, out=np.empty((30, 30), "f4")),
    "logmatmulexp of a stack": lambda: smoothmax.logmatmulexp(stack, stack[::-1]),
    "log_prob": lambda: smoothmax.log_prob(x, classes),
    "cross_entropy": lambda: smoothmax.cross_entropy(x, classes, weight=np.arange(80.0), label_smoothing=0.1),
    "cross_entropy of probabilities": lambda: smoothmax.cross_entropy(single, y, reduction="none"),
    "cross_entropy_and_grad": lambda: smoothmax.cross_entropy_and_grad(x, classes, ignore_index=3)[1],
    "nll_loss": lambda: smoothmax.nll_loss(x.T, classes, 0, reduction="sum"),
    "scale and add": lambda: smoothmax.softmax(single, axis=0, scale=0.5, add=y[:, :1]),
    "cross_entropy with scale and add": lambda: smoothmax.cross_entropy(x, classes, scale=2.0, add=y[0]),
    "update_with": lambda: LogSumExp(1).update(x, scale=-1.0, add=y).result(),
    "logmeanexp": lambda: smoothmax.logmeanexp(single, 1, y * y, where=mask),
    "logcumsumexp": lambda: smoothmax.logcumsumexp(single.T, axis=0, exclusive=True),
    "logcumsumexp of everything": lambda: smoothmax.logcumsumexp(long_halves[::2], reverse=True),
    "segment_logsumexp": lambda: smoothmax.segment_logsumexp(x, offsets, axis=1),
    "segment_softmax": lambda: smoothmax.segment_softmax(long, np.arange(0, 200_001, 50)),
    "segment_log_softmax": lambda: smoothmax.segment_log_softmax(integers.T, offsets, out=np.empty((80, 30), "f2")),
    "offsets_from_ids": lambda: smoothmax.offsets_from_ids(np.sort(classes), 90),
    "top_log_probs": lambda: np.stack(smoothmax.top_log_probs(x, 5)),
    "top_log_probs of a column": lambda: np.stack(smoothmax.top_log_probs(long[:, None].astype("f4"), 4000, axis=0)),
    "top_log_probs of halves": lambda: np.stack(smoothmax.top_log_probs(x.astype("f2"), 70)),
    "categorical": lambda: smoothmax.categorical(certain.T, 0, size=(7, 80), scale=0.5, rng=generator),
    "categorical of few": lambda: smoothmax.categorical(certain[:8, :8].astype("f4"), rng=generator),
    "logaddexp": lambda: smoothmax.logaddexp(x, y),
    "logsubexp": lambda: smoothmax.logsubexp(long, long - 1),
    "log1mexp": lambda: smoothmax.log1mexp(-abs(single)),
    "log1pexp": lambda: smoothmax.log1pexp(single),
    "log_expit": lambda: smoothmax.log_expit(single),
    "set_num_threads": lambda: smoothmax.set_num_threads(3) or smoothmax.get_num_threads(),
    "blocks of a scan": lambda: dask_scans.go_on_in_block(
        x, earlier, axis=1, reverse=False, exclusive=False, dtype=F8),
    "blocks of segments": lambda: dask_segments.block_of_segments(
        x, offsets, operation="segment_softmax", axis=1, dtype=F4),
}

def overlapping_softmax():
    "softmax of an array into one that begins an element later in the same memory."
    memory = np.append(x.ravel(), 0.0)
    return smoothmax.softmax(memory[:-1].reshape(x.shape), axis=1, out=memory[1:].reshape(x.shape))

def outcome(n, lasting, call, *arguments):
    "The result, or the error, of a call whose n-th allocation fails."
    LASTING.value = lasting
    LEFT.value = n
    try:
        return call(*arguments)
    except BaseException as error:
        LEFT.value = 0
        return error
    finally:
        global reached
        reached = LEFT.value <= 1    # all calls before had fewer allocations, and so have all after
        LEFT.value = 0

def is_memory_error(got, name, n):
    if isinstance(got, BaseException) and not isinstance(got, MemoryError):
        print(f"{name}, allocation {n}: {type(got).__name__}: {got}")
        return True
    return isinstance(got, MemoryError)

def equal(got, wanted):
    return all(np.array_equal(*pair) for pair in zip(np.atleast_1d(got), np.atleast_1d(wanted), strict=True))

for lasting in (0, 1):
    for name, (stream, change) in CHANGES.items():
        before, wanted, failures = pickle.dumps(stream), change(stream.copy()).result(), 0
        for n in range(1, 201):
            one = stream.copy()
            if is_memory_error(outcome(n, lasting, change, one), name, n):
                failures += 1
                assert pickle.dumps(one) == before, (name, n)
                change(one)
            assert equal(one.result(), wanted), (name, n)
            if not reached:
                break
        assert failures > 3, (name, failures)
    for name, call in CALLS.items():
        smoothmax.set_num_threads(1)
        wanted, failures = call(), 0
        for n in range(1, 201):
            got = outcome(n, lasting, call)
            if is_memory_error(got, name, n):
                failures += 1
            else:
                assert equal(got, wanted), (name, n)
            if not reached:
                break
        assert failures, name
print("done")
"""

# What answers SciPy's functions is what was there before, whenever switching fails. Only one allocation does: without
# any memory CPython 3.11 tries forever to enter the handler of an exception in a long function.
SWITCHING = (
    SCRIPT[: SCRIPT.index("smoothmax.set_num_threads(1)")]
    + SCRIPT[SCRIPT.index("def outcome(") : SCRIPT.index("def equal(")]
    + """
import scipy.special, sklearn.utils.extmath

FUNCTIONS = [scipy.special.logsumexp, scipy.special.softmax, scipy.special.log_softmax, sklearn.utils.extmath.softmax]

def state():
    return [(f.__code__, f.__kwdefaults__, dict(vars(f))) for f in FUNCTIONS], scipy.special.log_expit

def within():
    with smoothmax.patched_scipy(scikit_learn=True):
        return smoothmax.is_patched()

OWN = state()
assert within() and state() == OWN and not smoothmax.is_patched()
for name, call, scipy_too in (
    ("patch_scipy", lambda: smoothmax.patch_scipy(scikit_learn=True), False),
    ("scikit-learn too", lambda: smoothmax.patch_scipy(scikit_learn=True), True),
    ("patched_scipy", within, False),
):
    failures = 0
    for n in range(1, 201):
        if scipy_too:
            smoothmax.patch_scipy()
        before = state()
        if is_memory_error(outcome(n, 0, call), name, n):
            failures += 1
            assert state() == before and smoothmax.is_patched() == scipy_too, (name, n)
        smoothmax.unpatch_scipy()
        assert state() == OWN and not smoothmax.is_patched(), (name, n)
        if not reached:
            break
    assert failures > 3, (name, failures)
print("done")
"""
)

C_FUNCTIONS = """
import ctypes, sys
import numpy as np
import smoothmax
from smoothmax._c.functions import addresses

NAMES = ("logsumexp", "partial_sum_init", "partial_sum_absorb", "partial_sum_merge", "partial_sum_result", "logaddexp",
         "log1mexp", "softmax", "log_softmax")
count = ctypes.CDLL(sys.argv[1]).allocations_of_c
count.restype = ctypes.c_long
found = addresses()
functions = (ctypes.c_void_p * len(NAMES))(*(found[f"smoothmax_{name}_f64"] for name in NAMES))
for n in (1, 10, 3000, 400_000):
    for stride in (1, 3):
        x, out = np.random.default_rng(n).normal(size=n * stride), np.zeros(4 + 2 * n * stride)
        where, to = (array.ctypes.data_as(ctypes.c_void_p) for array in (x, out))
        tried = count(functions, where, ctypes.c_ssize_t(n), ctypes.c_ssize_t(stride), to)
        value = smoothmax.logsumexp(x[::stride])
        assert tried == 0 and out[0] == value, (n, stride, tried)
        assert np.isclose(out[1], value, rtol=1e-15) and np.isclose(out[2], np.logaddexp(value, value - 1))
        np.testing.assert_allclose(out[4:][: n * stride : stride], smoothmax.softmax(x[::stride]), rtol=1e-14)
print("done")
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if sys.platform != "linux" or compiler is None or "musl" in (os.confstr("CS_GNU_LIBC_VERSION") or "musl"):
        pytest.skip("needs glibc and a C compiler")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("free-threaded CPython refuses PYTHONMALLOC=malloc")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", "shim.so", "shim.c"], cwd=folder, check=True)
    return folder / "shim.so"


def run(script, shim):
    """What the script says, in a process where allocations fail on demand."""
    run = subprocess.run(
        [sys.executable, "-c", script, str(shim)],
        env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONMALLOC": "malloc", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    # NumPy 1.26 drops a reference to a dtype for each array that it cannot allocate, and says so when it notices.
    errors = [line for line in run.stderr.splitlines() if "Reference count error detected" not in line or NUMPY_2]
    return run.stdout, errors, run.returncode


@where_python_survives
def test_the_nth_allocation_fails(shim):
    pytest.importorskip("dask.array")
    assert run(SCRIPT, shim) == ("done\n", [], 0)


@where_python_survives
def test_the_nth_allocation_fails_while_scipy_is_switched(shim):
    pytest.importorskip("sklearn")
    assert run(SWITCHING, shim) == ("done\n", [], 0)


def test_functions_of_c_allocate_nothing(shim):
    assert run(C_FUNCTIONS, shim) == ("done\n", [], 0)
