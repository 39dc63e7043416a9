"""smoothmax instead of SciPy: which library answers, for how long, and in which processes."""

import contextlib
import functools
import inspect
import os
import pickle
import re
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from scipy.special import log_softmax, logsumexp, softmax

import smoothmax
from smoothmax._switch.children import SITE, VARIABLE
from smoothmax._switch.exchange import Exchange

X = np.array([20.0, 0.0])
# Digits that SciPy's functions lose and ours keep tell which of the two answered.
OURS, SCIPYS = smoothmax.log_softmax(X)[0], log_softmax(X)[0]
HELD = {"a container": log_softmax}
partial = functools.partial(log_softmax, axis=0)


def with_default(function=log_softmax):
    return function(X)


@pytest.fixture(autouse=True)
def switched_off():
    yield
    smoothmax.unpatch_scipy()
    assert not smoothmax.is_patched()


def test_the_functions_differ_where_the_tests_ask():
    assert OURS != SCIPYS


def test_names_bound_before_are_reached_and_given_back():
    codes = [f.__code__ for f in (logsumexp, softmax, log_softmax)]
    calls = [
        lambda: log_softmax(X), lambda: scipy.special.log_softmax(X), lambda: HELD["a container"](X),
        lambda: partial(X), with_default,
    ]  # fmt: skip
    smoothmax.patch_scipy()
    assert [call()[0] for call in calls] == [OURS] * len(calls)
    smoothmax.unpatch_scipy()
    assert [call()[0] for call in calls] == [SCIPYS] * len(calls)
    assert [f.__code__ for f in (logsumexp, softmax, log_softmax)] == codes
    assert [(f.__kwdefaults__, vars(f)) for f in (logsumexp, softmax, log_softmax)] == [(None, {})] * 3


def test_importing_smoothmax_changes_nothing():
    script = "import scipy.special as s; c = s.softmax.__code__; import smoothmax; print(c is s.softmax.__code__)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "True\n"


def test_a_function_stays_itself():
    before = {f: (f.__name__, f.__doc__, inspect.signature(f)) for f in (logsumexp, softmax, log_softmax)}
    with smoothmax.patched_scipy():
        for function, described in before.items():
            assert (function.__name__, function.__doc__, inspect.signature(function)) == described
            assert pickle.loads(pickle.dumps(function)) is function
        assert logsumexp(a=X, b=np.array([1.0, 2.0]), return_sign=True) == smoothmax.logsumexp(
            X, b=np.array([1.0, 2.0]), return_sign=True
        )


class Labelled(np.ndarray):
    """A subclass."""


@pytest.mark.parametrize(
    "call",
    [
        lambda: log_softmax(np.ma.array(X, mask=[False, True]))[0],
        lambda: log_softmax(X.view(Labelled)),
        lambda: logsumexp(X, b=np.ma.array([1.0, 2.0])),
        lambda: logsumexp(a=np.ma.array(X)),
        lambda: logsumexp(X, 0, np.ma.array([1.0, 2.0])),
        lambda: logsumexp([complex(np.inf, 4), 1]),
    ],
)
def test_other_arrays_are_answered_by_scipy(call):
    try:
        wanted = call()
    except ValueError as error:  # SciPy 1.13 takes no masked arrays
        with smoothmax.patched_scipy(), pytest.raises(ValueError, match=f"^{re.escape(str(error))}$"):
            call()
        return
    with smoothmax.patched_scipy():
        got = call()
    assert type(got) is type(wanted)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    "call",
    [
        lambda: logsumexp(X, axis=7),
        lambda: logsumexp(),
        lambda: logsumexp(X, nothing=3),
        lambda: softmax(np.array(["a"])),
        lambda: logsumexp(X, b=np.ones(3)),
    ],
)
def test_errors_are_those_of_scipy(call):
    with pytest.raises(Exception) as wanted:  # noqa: PT011 (whatever SciPy raises)
        call()
    with smoothmax.patched_scipy(), pytest.raises(type(wanted.value)) as got:
        call()
    assert str(got.value) == str(wanted.value)


def test_a_ufunc_is_replaced_wherever_a_module_has_it_by_its_name(monkeypatch):
    before = scipy.special.log_expit
    early, late, ours = (types.ModuleType(name) for name in ("early", "late", "ours"))
    early.log_expit, early.other_name, ours.log_expit = before, before, smoothmax.log_expit
    for module in (early, ours):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    x = np.array([-800, -1, 0, 3.5, 40])
    with smoothmax.patched_scipy():
        now = scipy.special.log_expit
        assert isinstance(now, np.ufunc)
        assert early.log_expit is now is not before
        np.testing.assert_array_equal(now(x), smoothmax.log_expit(x))
        assert now(np.arange(3, dtype="i1")).dtype == before(np.arange(3, dtype="i1")).dtype
        late.log_expit = now
        monkeypatch.setitem(sys.modules, "late", late)
    assert scipy.special.log_expit is early.log_expit is late.log_expit is early.other_name is before
    assert ours.log_expit is smoothmax.log_expit
    assert smoothmax.log_expit is not now


@pytest.mark.parametrize("number", "?bBhHlQefdg")
def test_a_ufunc_gives_the_types_of_scipys(number):
    before, x = scipy.special.log_expit, np.ones(3, number)
    with smoothmax.patched_scipy():
        now = scipy.special.log_expit
        assert now.types == before.types
        assert now(x).dtype == before(x).dtype
        np.testing.assert_array_equal(now(x), smoothmax.log_expit(x.astype(before(x).dtype)))


def test_errors_of_a_ufunc_are_those_of_scipys():
    for refused in ("a", 1j, None):
        messages = []
        for context in (contextlib.nullcontext(), smoothmax.patched_scipy()):
            with context, pytest.raises(TypeError) as error:
                scipy.special.log_expit(refused)
            messages.append(str(error.value))
        assert messages[0] == messages[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of modules that pickle asks for the name
@pytest.mark.parametrize("protocol", [4, pickle.HIGHEST_PROTOCOL])
def test_ufuncs_can_be_pickled_at_any_time(protocol):
    before = scipy.special.log_expit
    with smoothmax.patched_scipy():
        now = scipy.special.log_expit
        data = pickle.dumps(now, protocol)
        assert b"smoothmax" not in data  # because SciPy was imported before it was switched
        assert pickle.loads(data) is now
        assert pickle.loads(pickle.dumps(before, protocol)) is before
    assert pickle.loads(data) is before
    assert pickle.loads(pickle.dumps(now, protocol)) is now
    assert pickle.loads(pickle.dumps(before, protocol)) is before


def test_numpys_logaddexp_is_left_alone():
    before = np.logaddexp
    with smoothmax.patched_scipy():
        assert np.logaddexp is before


def test_contexts_nest_and_leave_a_former_switch_alone():
    with smoothmax.patched_scipy():
        with smoothmax.patched_scipy():
            assert log_softmax(X)[0] == OURS
        assert log_softmax(X)[0] == OURS
        smoothmax.unpatch_scipy()
        assert smoothmax.is_patched()
    assert log_softmax(X)[0] == SCIPYS
    smoothmax.patch_scipy()
    with smoothmax.patched_scipy():
        pass
    assert log_softmax(X)[0] == OURS


def test_a_block_that_raises_is_left_too():
    with pytest.raises(KeyError), smoothmax.patched_scipy():
        raise KeyError
    assert not smoothmax.is_patched()


@pytest.mark.skipif(
    hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled(),
    reason="without the GIL, CPython may call a function by two codes at a time (its issue 145272)",
)
def test_threads_call_while_others_switch():
    stop, wrong = threading.Event(), []

    def call():
        while not stop.is_set():
            try:
                if log_softmax(X)[0] not in (OURS, SCIPYS):
                    wrong.append("value")
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        with smoothmax.patched_scipy():
            pass
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_code_with_a_closure_is_exchanged_too():
    def maker(factor):
        def times(x, *, plus=0):
            return factor * x + plus

        return times

    function = maker(3)
    exchange = Exchange(function, lambda original, *args, **keywords: (original(*args, **keywords), args, keywords))
    exchange.make()
    assert function(2, plus=1) == (7, (2,), {"plus": 1})
    exchange.undo()
    assert function(2, plus=1) == 7


def test_scikit_learn_on_request():
    from sklearn.utils.extmath import softmax as copy

    x = np.random.default_rng(0).normal(size=(5, 7)) * 40
    own = copy(x)
    with smoothmax.patched_scipy():
        np.testing.assert_array_equal(copy(x), own)
    with smoothmax.patched_scipy(scikit_learn=True):
        np.testing.assert_array_equal(copy(x), smoothmax.softmax(x, axis=1))
        again = x.copy()
        assert copy(again, copy=False) is again
        np.testing.assert_array_equal(again, smoothmax.softmax(x, axis=1))
        np.testing.assert_array_equal(copy(x.tolist()), own)
    np.testing.assert_array_equal(copy(x), own)


def test_scipy_that_is_not_installed_is_an_import_error():
    script = "import sys; sys.modules['scipy'] = None; import smoothmax; smoothmax.patch_scipy()"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 1
    assert "ModuleNotFoundError: No module named 'scipy.special'" in run.stderr


# Programs -------------------------------------------------------------------------------------------------------------

CHECK = "from scipy.special import log_softmax; print(float(log_softmax([20.0, 0.0])[0]))"
PROGRAM_WITH_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHECK!r}])"


def smoothmax_run(*arguments, cwd=None, **variables):
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | variables
    return subprocess.run(
        [sys.executable, "-m", "smoothmax", "run", *arguments], capture_output=True, text=True, env=environment, cwd=cwd
    )


@pytest.mark.parametrize("kind", ["script", "-m", "-c", "folder"])
def test_programs_are_switched(tmp_path, kind):
    text = f"import sys\n{CHECK}\nprint(__name__, sys.argv[1:])"
    (tmp_path / "program.py").write_text(text)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text("import beside\n" + text)
    (tmp_path / "folder" / "beside.py").touch()
    program = {"script": ["program.py"], "-m": ["-m", "program"], "-c": ["-c", text], "folder": ["folder"]}[kind]
    run = smoothmax_run(*program, "--help", "-c", cwd=tmp_path)
    assert (run.stdout, run.stderr) == (f"{OURS}\n__main__ ['--help', '-c']\n", "")


CHILDREN = {
    "subprocess": PROGRAM_WITH_CHILD,
    "spawn": """
import multiprocessing
from scipy.special import log_softmax

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(float(pool.apply(log_softmax, ([20.0, 0.0],))[0]))
""",
    "fork": """
import multiprocessing
from scipy.special import log_softmax

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(float(pool.apply(log_softmax, ([20.0, 0.0],))[0]))
""",
    "loky": """
import joblib
from scipy.special import log_softmax

if __name__ == "__main__":
    print(float(joblib.Parallel(2, "loky")(joblib.delayed(log_softmax)([20.0, 0.0]) for _ in range(2))[1][0]))
""",
}


@pytest.mark.parametrize("kind", CHILDREN)
def test_processes_of_a_switched_program_are_switched(tmp_path, kind):
    (tmp_path / "program.py").write_text(CHILDREN[kind])
    run = smoothmax_run("program.py", cwd=tmp_path)
    assert run.stdout == f"{OURS}\n", run.stderr


LOOKED_FOR = """
import importlib.util
import sys

assert importlib.util.find_spec("threadpoolctl")
assert importlib.util.find_spec("scipy.special")
import scipy.special, threadpoolctl, smoothmax

limits = [each["user_api"] for each in threadpoolctl.threadpool_info()]
print(smoothmax.is_patched(), "smoothmax" in limits, *[each for each in sys.meta_path if "smoothmax" in repr(each)])
"""


def test_modules_that_are_looked_for_before_they_are_imported_are_switched():
    environment = {**os.environ, VARIABLE: "scipy", "PYTHONPATH": os.pathsep.join([SITE, *sys.path])}
    run = subprocess.run([sys.executable, "-c", LOOKED_FOR], env=environment, capture_output=True, text=True)
    assert run.stdout == "True True\n", run.stderr


WORKERS = {
    "loky": "joblib.Parallel(2, 'loky')(joblib.delayed(state)() for _ in range(2))",
    "dask": "dask.compute(dask.delayed(state)(), scheduler='processes', num_workers=1)",
}
STATE = """
import {library}

def state():
    import smoothmax, threadpoolctl
    from scipy.special import log_softmax

    smoothmax.set_num_threads(3)
    with threadpoolctl.threadpool_limits(1):
        limited = smoothmax.get_num_threads()
    return os.getpid() != parent, smoothmax.is_patched(), float(log_softmax([20.0, 0.0])[0]), limited, (
        smoothmax.get_num_threads()
    )

import os
parent = int(os.environ.setdefault("PARENT", str(os.getpid())))

if __name__ == "__main__":
    print(*{workers}[0])
"""


@pytest.mark.parametrize("kind", WORKERS)
def test_workers_say_that_they_are_switched_and_obey_threadpoolctl(tmp_path, kind):
    library = pytest.importorskip({"loky": "joblib", "dask": "dask"}[kind]).__name__
    pytest.importorskip("threadpoolctl")
    (tmp_path / "program.py").write_text(STATE.format(library=library, workers=WORKERS[kind]))
    run = smoothmax_run("program.py", cwd=tmp_path)
    assert run.stdout == f"True True {OURS} 1 3\n", run.stderr


@pytest.mark.slow
def test_scipys_own_tests_pass(tmp_path):
    special = Path(scipy.special.__file__).parent
    tests = special / "tests" / "test_logsumexp.py"
    fixtures = f"--confcutdir={special.parent}"  # conftest.py of SciPy
    run = smoothmax_run("-m", "pytest", "-q", "-p", "no:cacheprovider", fixtures, str(tests), cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    assert " passed" in run.stdout


def test_a_child_imports_scipy_only_if_it_needs_it():
    child = "import sys; print('scipy' in sys.modules)"
    run = smoothmax_run("-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    assert run.stdout == "False\n"


def test_scikit_learn_is_switched_when_it_is_imported():
    script = "import smoothmax; from sklearn.utils.extmath import softmax; print(softmax.__code__.co_name)"
    assert smoothmax_run("--scikit-learn", "-c", script).stdout == "forward\n"
    assert smoothmax_run("-c", script).stdout == "softmax\n"


def test_the_users_sitecustomize_gets_its_turn(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    run = smoothmax_run("-c", PROGRAM_WITH_CHILD, PYTHONPATH=path)
    assert sorted(run.stdout.split()) == sorted(["mine", "mine", str(OURS)]), run.stderr


def test_an_interpreter_without_smoothmax_is_left_alone():
    text = Path(SITE, "sitecustomize.py").read_text()
    script = f"import sys; sys.modules['smoothmax'] = None; exec({text!r}, {{'__file__': 'x/y'}}); print('fine')"
    environment = {**os.environ, VARIABLE: "scipy"}
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment).stdout == (
        "fine\n"
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "run needs a script, -m module or -c code"),
        (["-m"], "run needs a script, -m module or -c code"),
        (["-x"], "run has no option '-x'; it knows --scikit-learn, -m and -c"),
        (["nothing.py"], "cannot run 'nothing.py': No such file or directory"),
    ],
)
def test_a_program_that_cannot_be_run_is_an_error(tmp_path, arguments, error):
    run = smoothmax_run(*arguments, cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (2, "", f"smoothmax: error: {error}\n")


def test_exit_codes_and_exceptions_are_the_programs():
    assert smoothmax_run("-c", "raise SystemExit(3)").returncode == 3
    run = smoothmax_run("-c", "1/0")
    assert run.returncode == 1
    assert run.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert "usage: python -m smoothmax run" in smoothmax_run("--help").stdout


def test_a_bool_as_weights_is_scipys_to_answer():
    """Smoothmax refuses it as a mistaken keepdims; a patched program must not break."""
    wanted = scipy.special.logsumexp([1.0, 2.0], 0, True)
    with smoothmax.patched_scipy():
        assert scipy.special.logsumexp([1.0, 2.0], 0, True) == wanted


def test_scipys_functions_take_what_smoothmaxs_take_beside():
    """The table of docs/porting.md: where, out, dtype, scale and add, by name."""
    x, out = np.linspace(-1, 1, 6).reshape(2, 3), np.empty((2, 3))
    with smoothmax.patched_scipy():
        for function, ours in ((softmax, smoothmax.softmax), (log_softmax, smoothmax.log_softmax)):
            assert function(x, 1, where=x > -1, out=out, scale=0.5, add=x[0]) is out
            np.testing.assert_array_equal(out, ours(x, 1, where=x > -1, scale=0.5, add=x[0]))
        got = logsumexp(x, 1, scale=0.5, add=x[0], dtype=np.float32)
        np.testing.assert_array_equal(got, smoothmax.logsumexp(x, 1, scale=0.5, add=x[0], dtype=np.float32))
    with pytest.raises(TypeError):
        softmax(x, 1, scale=0.5)
