"""The process of python -m smoothmax: signals, kills, several at a time, and standard streams that are closed."""

import os
import subprocess
import sys

import numpy as np
import pytest
from command import WITHOUT_SCIPY, python

import smoothmax
from smoothmax.__main__ import main

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, streams and devices of POSIX")
X = np.random.default_rng(5).normal(scale=10, size=(4, 3, 5))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    return tmp_path


def files():
    return sorted(os.listdir())


# Signals and kills ---------------------------------------------------------------------------------------------------

# Stop when a part of the result is written: `stop` says how.
STOP_HALFWAY = """
import os, signal, sys
from smoothmax._scale.npy_format import NpyWriter
def write_half(self, region, values):
    self.file.write(b"half")
    assert any(entry.endswith(".tmp") for entry in os.listdir())
    {stop}
NpyWriter.__setitem__ = write_half
"""


@posix
@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("SIGINT", 130, "smoothmax: error: interrupted\n"),
        ("SIGTERM", 143, ""),
        ("SIGHUP", 129, ""),
    ],
)
def test_a_signal_leaves_the_old_output_and_nothing_else(folder, name, code, message):
    (folder / "y.npy").write_bytes(b"old")
    script = STOP_HALFWAY.format(stop=f"os.kill(os.getpid(), signal.{name}); raise SystemExit('no signal')")
    assert python(script, ["softmax", "x.npy", "-o", "y.npy", "--force"]) == (code, "", message)
    assert files() == ["x.npy", "y.npy"]
    assert (folder / "y.npy").read_bytes() == b"old"


@posix
def test_the_next_run_removes_what_a_killed_one_left(folder):
    (folder / "y.npy").write_bytes(b"old")
    script = STOP_HALFWAY.format(stop="os.kill(os.getpid(), signal.SIGKILL)")
    assert python(script, ["softmax", "x.npy", "-o", "y.npy", "--force"]) == (-9, "", "")
    assert (folder / "y.npy").read_bytes() == b"old"
    assert len(files()) == 3
    assert main(["softmax", "x.npy", "-o", "other.npy"]) == 0  # another output: not its business
    assert len(files()) == 4
    assert main(["softmax", "x.npy", "-o", "y.npy", "--force"]) == 0
    assert files() == ["other.npy", "x.npy", "y.npy"]


@posix
def test_runs_at_the_same_time_leave_each_other_alone():
    """The first stops halfway; the second, for the same output, begins and ends; then the first goes on."""
    script = """
import runpy, sys
from smoothmax._scale.npy_format import NpyWriter
inner = NpyWriter.__setitem__
def write(self, region, values):
    print("halfway", flush=True)
    sys.stdin.readline()
    inner(self, region, values)
NpyWriter.__setitem__ = write
sys.argv[1:] = ["softmax", "x.npy", "-o", "y.npy", "--force"]
runpy.run_module("smoothmax", run_name="__main__")
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "halfway\n"
        (working,) = set(files()) - {"x.npy"}
        assert main(["softmax", "x.npy", "-o", "y.npy", "--axis", "0"]) == 0
        np.testing.assert_array_equal(np.load("y.npy"), smoothmax.softmax(X, axis=0))
        assert files() == sorted([working, "x.npy", "y.npy"])
        process.communicate("go on\n", timeout=60)
    assert process.returncode == 0
    np.testing.assert_array_equal(np.load("y.npy"), smoothmax.softmax(X))
    assert files() == ["x.npy", "y.npy"]


# Standard streams ----------------------------------------------------------------------------------------------------


def shell(redirections, *arguments):
    """The exit code of a command with redirected streams, and its output to the others."""
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "smoothmax", *arguments]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}  # or fewer errors would come at exit
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, env=buffered)
    return run.returncode, run.stdout, run.stderr


@posix
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_command_works_with_closed_streams(closed):
    assert shell(closed, "softmax", "x.npy", "-o", "y.npy", "--axis", "0") == (0, "", "")
    np.testing.assert_array_equal(np.load("y.npy"), smoothmax.softmax(X, axis=0))
    assert shell(closed, "softmax", "x.npy", "-o", "y.npy")[0] == 2


@posix
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["bench", "--shape", "3", "--dtype", "float64"]])
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_commands_that_print_work_with_closed_streams(closed, arguments):
    assert shell(closed, *arguments) == (0, "", "")


@posix
def test_nothing_is_printed_into_a_file_that_took_the_number_of_a_closed_stream():
    """As C libraries would, who know numbers only, and overlook errors: a number may be that of a file to be read."""
    script = """
import contextlib, os
from smoothmax._scale.npy_format import NpyWriter
inner = NpyWriter.__setitem__
def write(self, region, values):
    inner(self, region, values)
    for number in (0, 1, 2):
        with contextlib.suppress(OSError):
            os.write(number, b"printed")
NpyWriter.__setitem__ = write
"""
    script = f"import os; [os.close(number) for number in (0, 1, 2)]\n{script}"
    assert python(script, ["softmax", "x.npy", "-o", "y.npy"]) == (0, "", "")
    np.testing.assert_array_equal(np.load("y.npy"), smoothmax.softmax(X))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["bench", "--shape", "3", "--json"]])
def test_a_full_disk_behind_stdout_is_named(arguments):
    message = "smoothmax: error: cannot write to standard output: No space left on device\n"
    assert shell(">/dev/full", *arguments) == (2, "", message)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_behind_stderr_changes_no_exit_code():
    assert shell("2>/dev/full", "softmax", "missing.npy", "-o", "y.npy") == (2, "", "")


@posix
def test_bench_ends_quietly_when_its_reader_goes_away():
    """As head does."""
    gone, pipe = os.pipe()
    os.close(gone)
    with os.fdopen(pipe, "w") as output:
        command = [sys.executable, "-m", "smoothmax", "bench", "--shape", "3"]
        run = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (1, "")


# The command itself --------------------------------------------------------------------------------------------------


def test_output_and_exit_codes_of_the_command():
    def run(*arguments):
        command = [sys.executable, "-m", "smoothmax", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return run.returncode, run.stdout, run.stderr

    assert run("--version") == (0, f"smoothmax {smoothmax.__version__}\n", "")
    assert run("softmax", "x.npy", "-o", "y.npy", "--axis", "-2,-1") == (0, "", "")
    np.testing.assert_array_equal(np.load("y.npy"), smoothmax.softmax(X, axis=(-2, -1)))
    existing = "smoothmax: error: cannot write 'y.npy': it exists, and --force is not given\n"
    assert run("softmax", "x.npy", "-o", "y.npy") == (2, "", existing)
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(name in out for name in ("usage: python -m smoothmax", "logsumexp", "softmax", "log_softmax"))


def test_files_need_no_scipy():
    assert python(WITHOUT_SCIPY, ["softmax", "x.npy", "-o", "y.npy"]) == (0, "", "")
    np.testing.assert_array_equal(np.load("y.npy"), smoothmax.softmax(X))


def test_a_folder_called_tqdm_is_no_progress_bar(folder):
    """In the current folder, which is on the path of `python -m`, where the real one is not installed."""
    (folder / "tqdm").mkdir()
    script = """
import numpy, smoothmax._cli.run
sys.path[:] = ["", *(entry for entry in sys.path if "site-packages" not in entry)]
sys.stderr.isatty = lambda: True
import tqdm
assert not hasattr(tqdm, "tqdm")
"""
    hint = "smoothmax: with tqdm installed, a bar would show the progress here\n"
    assert python(script, ["softmax", "x.npy", "-o", "y.npy"]) == (0, "", hint)
    assert python(script, ["softmax", "x.npy", "-o", "z.npy", "--quiet"]) == (0, "", "")
    np.testing.assert_array_equal(np.load("y.npy"), smoothmax.softmax(X))
