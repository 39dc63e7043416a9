"""smoothmax among the libraries that threadpoolctl limits."""

import subprocess
import sys

import pytest

import smoothmax
from smoothmax._hooks import threadpoolctl as hook
from smoothmax._schedule.threads import get_setting, put_setting, threads_of_process
from smoothmax._thresholds import limits

threadpoolctl = pytest.importorskip("threadpoolctl")
if not hasattr(threadpoolctl, "register"):
    pytest.skip("this threadpoolctl takes no libraries of others", allow_module_level=True)


@pytest.fixture(autouse=True)
def setting():
    """Register, and begin and end with the default number of threads."""
    smoothmax.register_threadpoolctl()
    before = get_setting()
    put_setting(0)
    yield
    put_setting(before)


def entries():
    return [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "smoothmax"]


def test_further_calls_register_nothing(monkeypatch):
    calls = []
    monkeypatch.setattr(hook, "_registered_with", None)
    monkeypatch.setattr(threadpoolctl, "register", calls.append)
    smoothmax.register_threadpoolctl()
    smoothmax.register_threadpoolctl()
    assert len(calls) == 1


def test_threadpool_info_lists_smoothmax_once():
    (entry,) = entries()
    assert entry["internal_api"] == "smoothmax"
    assert entry["version"] == smoothmax.__version__
    assert entry["num_threads"] == smoothmax.get_num_threads()
    smoothmax.set_num_threads(3)
    assert entries()[0]["num_threads"] == 3


@pytest.mark.parametrize("limit", [1, {"smoothmax": 1}])
def test_a_limit_holds_and_what_was_set_comes_back(limit):
    smoothmax.set_num_threads(5)
    with threadpoolctl.threadpool_limits(limit):
        assert smoothmax.get_num_threads() == 1
        with threadpoolctl.threadpool_limits(2):
            assert smoothmax.get_num_threads() == 2
        assert smoothmax.get_num_threads() == 1
    assert smoothmax.get_num_threads() == get_setting() == 5


def test_after_a_limit_the_system_decides_again():
    with threadpoolctl.threadpool_limits(1):
        assert get_setting() == 1
    assert get_setting() == 0


@pytest.mark.parametrize("api", ["blas", "openmp"])
def test_a_limit_of_other_libraries_changes_nothing(api):
    smoothmax.set_num_threads(5)
    with threadpoolctl.threadpool_limits(1, user_api=api):
        assert smoothmax.get_num_threads() == 5
    put_setting(0)
    with threadpoolctl.threadpool_limits(1, user_api=api):
        assert get_setting() == 0
    assert get_setting() == 0


def test_num_threads_goes_before_a_limit_and_is_not_taken_for_the_setting_of_the_process():
    with smoothmax.num_threads(limits()["MAX_THREADS"]):
        assert entries()[0]["num_threads"] == threads_of_process()
    with smoothmax.num_threads(4):
        with threadpoolctl.threadpool_limits(1):
            assert smoothmax.get_num_threads() == 4
        assert get_setting() == 0
    with threadpoolctl.threadpool_limits(2):
        assert smoothmax.get_num_threads() == 2


def test_limits_of_any_size_are_taken():
    for limit, taken in ((10**6, limits()["MAX_THREADS"]), (0, 1)):
        with threadpoolctl.threadpool_limits({"smoothmax": limit}):
            assert smoothmax.get_num_threads() == taken


def test_a_limit_holds_for_other_threads():
    import concurrent.futures

    with threadpoolctl.threadpool_limits(1), concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(smoothmax.get_num_threads).result() == 1


SHOW = """
with threadpoolctl.threadpool_limits(1):
    print(len([i for i in threadpoolctl.threadpool_info() if i["user_api"] == "smoothmax"]), end=" ")
    print(smoothmax.get_num_threads())
"""


@pytest.mark.parametrize(
    ("imports", "shown"),
    [
        ("import threadpoolctl, smoothmax", "1 1\n"),
        ("import smoothmax, threadpoolctl; smoothmax.register_threadpoolctl()", "1 1\n"),
        ("import smoothmax, threadpoolctl", "0 2\n"),  # not registered: imports are not watched
    ],
)
def test_import_registers_where_threadpoolctl_was_imported_before(imports, shown):
    start = f"import os; os.environ['SMOOTHMAX_NUM_THREADS'] = '2'\n{imports}\nsmoothmax.set_num_threads(2)\n"
    run = subprocess.run([sys.executable, "-c", start + SHOW], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == (shown, "")


def test_smoothmax_does_not_import_it():
    script = "import smoothmax, sys; assert 'threadpoolctl' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


def test_a_version_that_cannot_be_registered_with_is_refused(monkeypatch):
    old = type(sys)("threadpoolctl")
    old.__version__ = "3.1.0"
    monkeypatch.setitem(sys.modules, "threadpoolctl", old)
    with pytest.raises(ImportError) as caught:
        smoothmax.register_threadpoolctl()
    assert str(caught.value) == "smoothmax needs threadpoolctl 3.2 or newer to register with, found 3.1.0"


def test_joblib_threads_run_under_a_limit():
    joblib = pytest.importorskip("joblib")
    with threadpoolctl.threadpool_limits(1):
        asked = joblib.delayed(smoothmax.get_num_threads)
        assert joblib.Parallel(n_jobs=2, backend="threading")(asked() for _ in range(2)) == [1, 1]
