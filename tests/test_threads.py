"""Calls that several threads share: equal bits, the number of threads that was asked for, and no call that hangs."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import smoothmax
from smoothmax._schedule import pool
from smoothmax._schedule.explain import explain
from smoothmax._schedule.processors import cpu_quota
from smoothmax._thresholds import limits

MAX_THREADS = limits()["MAX_THREADS"]
FUNCTIONS = [smoothmax.logsumexp, smoothmax.softmax, smoothmax.log_softmax]
# Rows, tiles and their ends, pieces of a row and of a tile, few columns, images; each large enough to be shared.
SHARED = {
    "row": ((700_001,), 0),
    "rows": ((300, 1001), 1),
    "two long rows": ((2, 400_003), 1),
    "columns": ((1001, 300), 0),
    "one long tile": ((30_001, 50), 0),
    "few columns": ((100_003, 3), 0),
    "ten columns": ((10_001, 10), 0),
    "short rows": ((30_001, 7), 1),
    "channels": ((16, 3, 64, 65), 1),
    "all axes": ((301, 70, 40), None),
}


@pytest.fixture(autouse=True)
def number():
    before = smoothmax.get_num_threads()
    yield
    smoothmax.set_num_threads(before)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", SHARED)
def test_bits_do_not_depend_on_the_number(function, dtype, case):
    shape, axis = SHARED[case]
    x = 5 * np.random.default_rng(1).standard_normal(shape).astype(dtype)
    assert x.nbytes >= limits()["SHARE_MIN_BYTES"]
    with smoothmax.num_threads(1):
        alone = function(x, axis=axis)
    for number in (2, 3, 7):
        with smoothmax.num_threads(number):
            assert function(x, axis=axis).tobytes() == alone.tobytes()
            strided = np.repeat(x, 2, axis=-1)[..., ::2]
            mask = np.ones(shape, bool)
            masked = function(strided, axis=axis, where=mask)
        with smoothmax.num_threads(1):
            assert masked.tobytes() == function(strided, axis=axis, where=mask).tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_threads_share_pieces_where_each_would_have_few_rows(dtype):
    threads, fewest = 3, 3 * limits()["SHARE_MIN_UNITS"]
    length = 2 * limits()["ROW_PIECE_BYTES"] // np.dtype(dtype).itemsize + 7
    for rows, shared in ((fewest - 1, "pieces"), (fewest, "units")):
        x = np.random.default_rng(2).standard_normal((rows, length)).astype(dtype)
        with smoothmax.num_threads(threads):
            assert explain(smoothmax.logsumexp, x, axis=1)["shared"] == shared
            results = smoothmax.logsumexp(x, axis=1)
        with smoothmax.num_threads(1):
            assert results.tobytes() == smoothmax.logsumexp(x, axis=1).tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bits_with_weights(dtype):
    rng = np.random.default_rng(2)
    for shape, axis in (((700_001,), 0), ((30_001, 50), 0), ((300, 1001), 1), ((10_001, 10), 0)):
        a, b = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
        results = []
        for number in (1, 2, 5):
            with smoothmax.num_threads(number):
                results.append(smoothmax.logsumexp(a, axis=axis, b=b, return_sign=True))
        for value, sign in results[1:]:
            assert value.tobytes() == results[0][0].tobytes()
            assert sign.tobytes() == results[0][1].tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", ["logaddexp", "logsubexp", "log1mexp", "log1pexp", "log_expit"])
def test_bits_of_ufuncs(name, dtype):
    """Contiguous, strided, broadcast and in place, of a length that no share divides."""
    ufunc = getattr(smoothmax, name)
    n = limits()["SHARE_MIN_BYTES"] // 4 + 2 * limits()["SHARE_GRAIN_ELEMENTS"] + 5
    x = -np.abs(3 * np.random.default_rng(5).standard_normal((2, n))).astype(dtype)
    x[1] += x[0]  # logsubexp wants the larger first
    every = [tuple(x[: ufunc.nin]), tuple(x[:, ::-1][: ufunc.nin]), (x[0], dtype(-60))[: ufunc.nin]]
    results = []
    for number in (1, 2, 5):
        with smoothmax.num_threads(number):
            in_place = x[0].copy()
            ufunc(in_place, *x[1 : ufunc.nin], out=in_place)
            results.append([ufunc(*operands).tobytes() for operands in every] + [in_place.tobytes()])
    assert results[1:] == results[:1] * 2


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
@pytest.mark.parametrize("step", [1, -1, 2])
def test_ufuncs_with_results_in_the_place_of_other_operands(step, dtype):
    """The second half of the results takes the place of elements that the first half still needs."""
    half = limits()["SHARE_MIN_BYTES"] // 4
    early, late = slice(2 * half), slice(half // 2, 2 * half + half // 2)
    x = np.random.default_rng(5).standard_normal(5 * half).astype(dtype)
    for name, operands in {"log1pexp": [late], "logaddexp": [late, early]}.items():
        for _ in range(5):  # so that a helper comes in time
            for target in (early, late):
                held = x.copy()[::step]
                expected = getattr(smoothmax, name)(*[held[part].copy() for part in operands])
                with smoothmax.num_threads(2):
                    getattr(smoothmax, name)(*[held[part] for part in operands], out=held[target])
                assert held[target].tobytes() == expected.tobytes()


def test_special_values_between_pieces():
    """They may be in any piece of a row."""
    n = 1_000_000
    for special, expected in ((np.inf, np.inf), (np.nan, np.nan)):
        for place in (0, 140_000, n - 1):
            x = np.zeros(n)
            x[place] = special
            np.testing.assert_array_equal(smoothmax.logsumexp(x), expected)
            x[:] = -np.inf
            x[place] = special
            np.testing.assert_array_equal(smoothmax.logsumexp(x), expected)
    x[:] = -np.inf
    assert smoothmax.logsumexp(x) == -np.inf
    x[-1] = 3
    assert smoothmax.logsumexp(x) == 3
    weights = np.ones(n)
    x[:] = 1
    x[[5, n - 5]] = np.inf
    assert smoothmax.logsumexp(x, b=weights) == np.inf
    weights[5] = -1
    assert np.isnan(smoothmax.logsumexp(x, b=weights))


@pytest.mark.parametrize("place", [0, 140_000, 999_999])
def test_a_maximum_far_above_the_other_pieces_costs_no_digits(place):
    x = np.full(1_000_000, -40.0)
    x[place] = 0
    expected = np.log1p(999_999 * np.exp(-40.0))
    assert abs(smoothmax.logsumexp(x) - expected) <= 2 * np.spacing(expected)
    x += 5000
    assert smoothmax.logsumexp(x) == 5000 + expected


# The number ----------------------------------------------------------------------------------------------------------


def test_the_number_that_was_set():
    smoothmax.set_num_threads(3)
    assert smoothmax.get_num_threads() == 3
    with smoothmax.num_threads(np.int64(2)):
        assert smoothmax.get_num_threads() == 2
        with smoothmax.num_threads(5):
            assert smoothmax.get_num_threads() == 5
        assert smoothmax.get_num_threads() == 2
        smoothmax.set_num_threads(4)
        assert smoothmax.get_num_threads() == 2
    assert smoothmax.get_num_threads() == 4


def test_a_block_holds_for_its_thread_alone():
    smoothmax.set_num_threads(3)
    seen = []
    with smoothmax.num_threads(1):
        other = threading.Thread(target=lambda: seen.append(smoothmax.get_num_threads()))
        other.start()
        other.join()
    # Free-threaded Python 3.14 lets threads inherit the context of the one that starts them.
    assert seen == [1 if getattr(sys.flags, "thread_inherit_context", 0) else 3]


def test_a_block_ends_with_an_error():
    smoothmax.set_num_threads(3)
    block = smoothmax.num_threads(1)
    with pytest.raises(ZeroDivisionError), block, block:
        raise ZeroDivisionError
    assert smoothmax.get_num_threads() == 3


def test_one_object_may_limit_several_threads_at_a_time():
    smoothmax.set_num_threads(3)
    block = smoothmax.num_threads(1)
    inside, outside = (threading.Barrier(2, timeout=20) for _ in range(2))
    seen = []

    def enter():
        with block:
            inside.wait()
            seen.append(smoothmax.get_num_threads())
            outside.wait()
        seen.append(smoothmax.get_num_threads())

    other = threading.Thread(target=enter)
    other.start()
    with block:
        inside.wait()
        outside.wait()
    other.join()
    assert smoothmax.get_num_threads() == 3
    assert seen == [1, 3]


def test_blocks_may_end_in_another_order_than_they_began():
    smoothmax.set_num_threads(3)
    one, two = smoothmax.num_threads(1), smoothmax.num_threads(2)
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    assert smoothmax.get_num_threads() == 2
    two.__exit__(None, None, None)
    assert smoothmax.get_num_threads() == 3


def test_one_object_may_limit_several_tasks_at_a_time():
    smoothmax.set_num_threads(3)
    block = smoothmax.num_threads(1)

    async def task(turns):
        with block:
            for _ in range(turns):
                await asyncio.sleep(0)
                assert smoothmax.get_num_threads() == 1
        return smoothmax.get_num_threads()

    async def tasks():
        return await asyncio.gather(task(1), task(5), task(3))

    assert asyncio.run(tasks()) == [3, 3, 3]
    assert smoothmax.get_num_threads() == 3


def test_a_block_that_ends_where_it_did_not_begin_is_refused():
    block, other = smoothmax.num_threads(1), contextvars.copy_context()
    with block, pytest.raises(RuntimeError) as caught:
        other.run(block.__exit__, None, None, None)
    assert str(caught.value) == "num_threads must end in the thread or task in which it began"


@pytest.mark.parametrize("call", [smoothmax.set_num_threads, smoothmax.num_threads])
def test_numbers_that_are_refused(call):
    smoothmax.set_num_threads(3)
    for wrong in (0, -2, np.int32(0), -(2**70)):
        with pytest.raises(ValueError, match=f"^number must be at least 1, got {wrong}$"):
            call(wrong)
    for wrong in (MAX_THREADS + 1, 2**28, 2**31, 2**32 + 1, 2**63, 2**70):
        with pytest.raises(ValueError, match=f"^number must be at most {MAX_THREADS}, got {wrong}$"):
            call(wrong)
    with pytest.raises(ValueError, match=f"^number must be at most {MAX_THREADS}, got one of 33220 bits$"):
        call(10**10_000)
    for wrong in (1.5, "2", None, True):
        with pytest.raises(TypeError, match=f"^number must be an integer, got {wrong!r}$"):
            call(wrong)
    assert smoothmax.get_num_threads() == 3


def in_python(script, **environment):
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**inherited, **environment}, timeout=100
    )


def test_a_call_with_the_largest_number_of_threads():
    """No product of the number wraps around, in rows, columns and one long reduction."""
    script = f"""if True:
        import numpy, smoothmax
        x = numpy.random.default_rng(5).standard_normal((1000, 1000))
        for axis in (0, 1, None):
            smoothmax.set_num_threads(1)
            alone = smoothmax.softmax(x, axis=axis).tobytes()
            smoothmax.set_num_threads({MAX_THREADS})
            print(smoothmax.softmax(x, axis=axis).tobytes() == alone, end=" ")
    """
    assert in_python(script).stdout == "True True True "


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({"SMOOTHMAX_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"OMP_NUM_THREADS": "1", "SMOOTHMAX_NUM_THREADS": "1000"}, None),
        ({"OMP_NUM_THREADS": "nonsense"}, None),
        ({"SMOOTHMAX_NUM_THREADS": ""}, None),
        ({"SMOOTHMAX_NUM_THREADS": str(2**28)}, None),  # an upper bound, like all of these
        ({"SMOOTHMAX_NUM_THREADS": "9" * 5000}, None),  # int() refuses so many digits
        ({"OMP_NUM_THREADS": "9" * 5000}, None),
        ({"OMP_NUM_THREADS": str(2**31)}, None),
        ({"SMOOTHMAX_NUM_THREADS": "0" * 5000 + "1"}, 1),
        ({}, None),
    ],
)
def test_the_default_is_the_environments_or_the_number_of_processors(environment, number):
    run = in_python("import smoothmax; print(smoothmax.get_num_threads())", **environment)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert int(run.stdout) == (number or min(processors, cpu_quota() or processors, MAX_THREADS))


@pytest.mark.parametrize("wrong", ["0", "two", "1.5", "-1"])
def test_a_wrong_default_is_refused_at_import(wrong):
    run = in_python("import smoothmax", SMOOTHMAX_NUM_THREADS=wrong)
    assert run.returncode == 1
    assert f"ImportError: SMOOTHMAX_NUM_THREADS must be a positive integer, got {wrong!r}" in run.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_the_default_follows_the_affinity_of_the_thread():
    script = """if True:
        import os, smoothmax
        all_of_them = os.sched_getaffinity(0)
        before = smoothmax.get_num_threads()
        os.sched_setaffinity(0, {min(all_of_them)})
        print(before == len(all_of_them), smoothmax.get_num_threads(), end=" ")
        os.sched_setaffinity(0, all_of_them)
        print(smoothmax.get_num_threads() == before)
    """
    if cpu_quota() is not None:
        pytest.skip("a quota limits the number, too")
    assert in_python(script).stdout == "True 1 True\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_a_call_asks_for_the_affinity_each_time():
    script = """if True:
        import os, numpy, smoothmax
        x, all_of_them = numpy.zeros((1000, 1000)), os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(all_of_them)})
        smoothmax.softmax(x, axis=1)
        print(smoothmax._schedule.pool._helpers(), end=" ")
        os.sched_setaffinity(0, all_of_them)
        smoothmax.softmax(x, axis=1)
        print(smoothmax._schedule.pool._helpers() == smoothmax.get_num_threads() - 1)
    """
    assert in_python(script).stdout == "0 True\n"


@pytest.mark.parametrize(
    ("files", "processors"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "0 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, None),
        # The group of a service, and one around it that allows less.
        (
            {
                "proc/self/cgroup": "0::/system.slice/a.service\n",
                "sys/fs/cgroup/system.slice/a.service/cpu.max": "max 100000\n",
                "sys/fs/cgroup/system.slice/cpu.max": "300000 100000\n",
            },
            3,
        ),
        # A container that sees its own group as the outermost, but its path as the host does.
        ({"proc/self/cgroup": "0::/docker/0123\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/../../other\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        # Version 1, under both of its usual names, and both versions together.
        (
            {
                "proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/docker/0123\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu:/a\n0::/b\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/unified/b/cpu.max": "50000 10000\n",
            },
            5,
        ),
    ],
)
def test_the_quota_of_a_control_group(files, processors, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(str(tmp_path)) == processors


def test_the_default_does_not_exceed_the_quota():
    script = """if True:
        import numpy, smoothmax
        import smoothmax._schedule.processors as processors
        for quota in (1, None):
            processors.cpu_quota = lambda: quota
            print(smoothmax.get_num_threads(), end=" ")
            smoothmax.softmax(numpy.zeros((1000, 1000)), axis=1)
            print(smoothmax._schedule.pool._helpers(), end=" ")
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    allowed = min(allowed, MAX_THREADS)
    assert in_python(script).stdout == f"1 0 {allowed} {allowed - 1} "


# The pool ------------------------------------------------------------------------------------------------------------


def test_nothing_is_started_before_it_is_needed():
    script = """if True:
        import sys, numpy, smoothmax
        helpers = smoothmax._schedule.pool._helpers
        smoothmax.set_num_threads(4)
        smoothmax.softmax(numpy.zeros(10_000))
        smoothmax.log_expit(numpy.zeros(10_000))
        with smoothmax.num_threads(1):
            smoothmax.softmax(numpy.zeros((1000, 1000)), axis=1)
            smoothmax.log_expit(numpy.zeros(1_000_000))
        print(helpers(), end=" ")
        smoothmax.softmax(numpy.zeros((1000, 1000)), axis=1)
        print(helpers(), len(sys._current_frames()), "concurrent.futures" in sys.modules)
    """
    assert in_python(script).stdout == "0 3 1 False\n"  # Python knows nothing of them


@pytest.mark.unsanitized
@pytest.mark.parametrize(
    "call",
    [
        "softmax(x, axis=1, out=x)",
        "logaddexp(x, x, out=x)",
        "log_expit(halves, out=halves)",
        "logmatmulexp(matrices, matrices)",
    ],
)
def test_helpers_take_part(call):
    """Not only the calling thread works: /proc tells the time of each thread."""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("needs /proc")
    script = (
        f"call = lambda: smoothmax.{call}\n"
        + """if True:
        import os, numpy, smoothmax
        smoothmax.set_num_threads(2)
        x = numpy.zeros((12_000, 1000))
        halves = numpy.zeros((12_000, 1000), numpy.float16)
        matrices = numpy.zeros((300, 100, 100))
        for _ in range(100):    # a tick is 10 ms, and the import takes a dozen
            call()
        ticks = {}
        for thread in os.listdir("/proc/self/task"):
            name, rest = open(f"/proc/self/task/{thread}/stat").read().split("(")[1].rsplit(")")
            ticks[name == "smoothmax"] = sum(map(int, rest.split()[11:13]))
        print(ticks[False], ticks[True])
    """
    )
    own, others = map(int, in_python(script, OPENBLAS_NUM_THREADS="1").stdout.split())
    assert others > 0.1 * own


@pytest.mark.skipif(not hasattr(signal, "sigwait"), reason="signals of POSIX")
def test_no_helper_takes_a_signal():
    """One of the process goes to any thread that does not block it, and ends the process if nobody handles it."""
    script = """if True:
        import os, signal, numpy, smoothmax
        smoothmax.set_num_threads(3)
        smoothmax.softmax(numpy.zeros((1000, 1000)), axis=1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        os.kill(os.getpid(), signal.SIGUSR1)
        print(signal.sigwait({signal.SIGUSR1}).name)
    """
    run = in_python(script, OPENBLAS_NUM_THREADS="1")  # NumPy's threads block nothing
    assert (run.stdout, run.stderr) == ("SIGUSR1\n", "")


def test_threads_that_share_the_pool():
    """Each thread changes its number of threads all the time, some sleep between two calls, and so do the helpers."""
    x = np.random.default_rng(3).standard_normal((400, 1000))
    calls = [(f, axis, f(x, axis=axis).tobytes()) for f in FUNCTIONS for axis in (0, 1)]
    wrong = []

    def work(caller):
        for i in range(60):
            smoothmax.set_num_threads((1, 2, 3, 5, 9)[(i + caller) % 5])
            function, axis, expected = calls[(i * caller) % len(calls)]
            wrong.extend([function] * (function(x, axis=axis).tobytes() != expected))
            time.sleep(0.001 * (caller % 3 == 0))

    callers = [threading.Thread(target=work, args=(i,)) for i in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=100)
        assert not caller.is_alive()
    assert not wrong


def test_a_pool_grows():
    x = np.random.default_rng(4).standard_normal((1000, 1000))
    results = set()
    for number in (2, 5, 3, 9, 70):
        smoothmax.set_num_threads(number)
        results.add(smoothmax.log_softmax(x, axis=1).tobytes())
        assert pool._helpers() >= number - 1
    assert len(results) == 1


def test_threads_that_cannot_be_had():
    """The call does it alone, and the next one tries again."""
    script = """if True:
        import threading, numpy as np, smoothmax
        x = np.random.default_rng(0).standard_normal((1000, 300))
        calls = [
            lambda: smoothmax.softmax(x, axis=1), lambda: smoothmax.logmeanexp(x, axis=0),
            lambda: smoothmax.logcumsumexp(x), lambda: smoothmax.logcumsumexp(x, axis=0),
            lambda: smoothmax.segment_softmax(x.ravel(), np.arange(0, x.size + 1, 5)),
            lambda: smoothmax.segment_logsumexp(x, [0, 400, 1000], axis=0),
            lambda: smoothmax.logmatmulexp(x, x[:50].T), lambda: smoothmax.logmatmulexp(x, x[:9].T, exact=True),
            lambda: smoothmax.top_log_probs(x, 3)[0], lambda: smoothmax.categorical(x, rng=1),
            lambda: smoothmax.cross_entropy_and_grad(x, np.arange(1000) % 300)[1],
            lambda: smoothmax.logaddexp(x, x), lambda: smoothmax.log1pexp(x.T),
        ]
        smoothmax.set_num_threads(3)
        threading.stack_size(1 << 47)  # more than there are addresses
        alone = [call() for call in calls]
        print(smoothmax._schedule.pool._helpers(), end=" ")
        threading.stack_size(0)
        for call, result in zip(calls, alone, strict=True):
            np.testing.assert_array_equal(call(), result)
        print(smoothmax._schedule.pool._helpers())
    """
    run = in_python(script)
    assert (run.stdout, run.stderr) == ("0 2\n", "")


def test_a_call_while_the_interpreter_ends():
    script = """if True:
        import atexit, numpy, smoothmax
        smoothmax.set_num_threads(2)
        x = numpy.zeros((1000, 1000))
        smoothmax.softmax(x, axis=1)
        atexit.register(lambda: print(smoothmax.softmax(x, axis=1)[0, 0]))
    """
    run = in_python(script)
    assert (run.stdout, run.stderr) == ("0.001\n", "")


def test_an_interpreter_that_ends_while_helpers_work():
    script = """if True:
        import threading, time, numpy, smoothmax
        smoothmax.set_num_threads(3)
        x = numpy.zeros((1000, 1000))
        def work():
            while True:
                smoothmax.softmax(x, axis=1, out=x)
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.1)
    """
    for _ in range(5):
        run = in_python(script)
        assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)


def test_a_handler_that_raises_while_a_ufunc_asks_for_the_number_of_threads():
    """A loop cannot raise the exception, but it is not lost: Ctrl-C ends the program."""
    script = """if True:
        import signal, numpy, smoothmax
        from smoothmax._schedule import processors
        signal.signal(signal.SIGINT, signal.default_int_handler)    # the parent may ignore it
        processors.cpu_quota = lambda: signal.raise_signal(signal.SIGINT)
        with smoothmax.num_threads(1):
            smoothmax.get_num_threads()     # forgets the quota, and does not ask for it
        try:
            smoothmax.log_expit(numpy.zeros(1_000_000))
            for _ in range(10):
                pass
        except KeyboardInterrupt:
            print("interrupted")
    """
    run = in_python(script)
    assert (run.stdout, run.stderr) == ("interrupted\n", "")
