"""The command in a pipeline: - means standard input and output, and without an output results are printed."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from command import error_of

import smoothmax
from smoothmax.__main__ import main
from smoothmax._scale import npy, spool

X = np.random.default_rng(31).normal(scale=10, size=(4, 3, 5))
posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and terminals of POSIX")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    return tmp_path


def npy_of(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def run(*arguments, **keywords):
    command = [sys.executable, "-m", "smoothmax", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=100, check=False, **keywords)
    return done.returncode, done.stdout, done.stderr.decode()


class Pipe(io.RawIOBase):
    """A stream that can neither seek nor tell: what is read from it is given, what is written to it is kept."""

    def __init__(self, data=b"", terminal=False):
        self.buffer, self.terminal, self.given, self.taken, self.asked = self, terminal, io.BytesIO(data), b"", 0

    def read(self, n=-1):  # noqa: D102
        self.asked += n
        return self.given.read(n)

    def write(self, data):  # noqa: D102
        self.taken += bytes(data)
        return len(data)

    def isatty(self):  # noqa: D102
        return self.terminal


# Pipes ---------------------------------------------------------------------------------------------------------------


@posix
def test_pipes_and_redirected_files():
    """Processes: the streams are pipes, then files."""
    wanted = npy_of(smoothmax.softmax(X, axis=1))
    assert run("softmax", "-", "-o", "-", "--axis=1", input=npy_of(X)) == (0, wanted, "")
    with open("x.npy", "rb") as source, open("y.npy", "wb") as target:
        command = [sys.executable, "-m", "smoothmax", "softmax", "-", "-o", "-", "--axis=1"]
        subprocess.run(command, stdin=source, stdout=target, check=True, timeout=100)
    with open("y.npy", "rb") as file:
        assert file.read() == wanted


@pytest.mark.parametrize("held", [1, 1 << 20], ids=["on disk", "in memory"])
@pytest.mark.parametrize("array", [X, np.asfortranarray(X), X.astype("g"), np.zeros((0, 3))], ids=["C", "F", "g", "0"])
def test_a_stream_is_a_file(monkeypatch, held, array):
    monkeypatch.setattr(spool, "SPOOL_BYTES", held)
    monkeypatch.setattr(npy, "WHOLE_RESULT_BYTES", 10)
    for arguments, wanted in (
        (["softmax"], smoothmax.softmax(array)),
        (["logsumexp", "--axis=0"], smoothmax.logsumexp(array, 0)),
        (["logcumsumexp", "--axis=0"], smoothmax.logcumsumexp(array, 0)),
    ):
        stdin, stdout = Pipe(npy_of(array)), Pipe()
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main([*arguments, "-", "-o", "-"]) == 0
        np.testing.assert_array_equal(np.load(io.BytesIO(stdout.taken)), wanted)


def test_a_stream_that_is_wrong_is_named(monkeypatch, capsys):
    for data, message in (
        (b"", "cannot read '-': not a .npy file"),
        (b"hello", "cannot read '-': not a .npy file"),
        (b"PK\x03\x04" + bytes(99), "cannot read '-': an .npz archive; unzip it and name one of its .npy files"),
        (npy_of(X)[:-8], "cannot read '-': truncated, 480 bytes of data needed, got 472"),
    ):
        monkeypatch.setattr(sys, "stdin", Pipe(data))
        assert error_of(capsys, ["softmax", "-", "-o", "y.npy"]) == message
    assert sorted(os.listdir()) == ["x.npy"]


def test_offsets_come_through_a_pipe_if_the_array_does_not(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Pipe(npy_of(np.array([0, 1, 4]))))
    assert main(["segment_logsumexp", "x.npy", "--offsets", "-", "-o", "y.npy"]) == 0
    np.testing.assert_array_equal(np.load("y.npy"), smoothmax.segment_logsumexp(X, [0, 1, 4]))
    text = "input and offsets must not both be standard input"
    assert error_of(capsys, ["segment_logsumexp", "-", "--offsets", "-"]) == text


def test_an_endless_stream_of_something_else_is_not_read(monkeypatch, capsys):
    stream = Pipe(b"y\n" * 10**6)
    monkeypatch.setattr(sys, "stdin", stream)
    assert error_of(capsys, ["logsumexp", "-"]) == "cannot read '-': not a .npy file"
    assert stream.asked < 100


def test_terminals_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Pipe(terminal=True))
    assert error_of(capsys, ["logsumexp", "-"]) == "cannot read '-': standard input is a terminal"
    monkeypatch.setattr(sys, "stdout", Pipe(terminal=True))
    assert main(["logsumexp", "x.npy", "-o", "-"]) == 2
    text = "cannot write '-': standard output is a terminal; without -o a reduction prints its result"
    assert capsys.readouterr().err == f"smoothmax: error: {text}\n"


@posix
def test_a_reader_that_leaves_is_no_error_of_ours():
    np.save("x.npy", np.zeros(300_000))
    script = f"{sys.executable} -m smoothmax softmax x.npy -o - | head -c 100 > y; wait"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout, done.stderr) == ("", "")
    assert os.path.getsize("y") == 100


# Printed results -----------------------------------------------------------------------------------------------------


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_a_reduction_without_an_output_prints_its_result(capsys):
    assert printed(capsys, "logsumexp", "x.npy") == f"{smoothmax.logsumexp(X)}\n"
    assert printed(capsys, "logmeanexp", "x.npy") == f"{smoothmax.logmeanexp(X)}\n"
    np.save("offsets.npy", [0, 2, 2, 4])
    np.save("row.npy", np.float32([1, 2, 3, 4]))
    out = printed(capsys, "segment_logsumexp", "row.npy", "--offsets=offsets.npy")
    assert out == "2.3132617\n-inf\n4.3132615\n"
    assert sorted(os.listdir()) == ["offsets.npy", "row.npy", "x.npy"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "longdouble"])
def test_printed_results_have_every_digit(capsys, dtype):
    for axis in ("0", "1", "0,1"):
        out = printed(capsys, "logsumexp", "x.npy", f"--axis={axis}", "--dtype", dtype)
        axes = tuple(map(int, axis.split(",")))
        wanted = smoothmax.logsumexp(X, axes, dtype=dtype)
        got = np.array([np.dtype(dtype).type(word) for word in out.split()])
        np.testing.assert_array_equal(got, wanted.reshape(-1))


def test_matrices_have_lines_and_stacks_have_gaps(capsys):
    np.save("x.npy", np.zeros((2, 2, 3, 1)))
    lines = printed(capsys, "logsumexp", "x.npy", "--axis=3").split("\n")
    assert [len(line.split()) for line in lines] == [3, 3, 0, 3, 3, 0]
    np.save("x.npy", np.zeros((2, 0, 1)))
    assert printed(capsys, "logsumexp", "x.npy", "--axis=2") == ""


def test_a_result_that_is_larger_than_memory_needs_an_output(capsys):
    np.save("x.npy", np.zeros((200_000, 1), np.float32))
    message = error_of(capsys, ["logsumexp", "x.npy", "--axis=1", "--dtype=float64", "--max-memory=1MB"])
    assert message == "the result has 200000 numbers, more than memory: -o FILE writes them"


def test_a_store_is_printed_too(capsys):
    zarr = pytest.importorskip("zarr")
    pytest.importorskip("dask")
    zarr.open("x.zarr", mode="w", shape=(4,), chunks=(3,), dtype="f8")[:] = [1, 2, 3, 4]
    assert printed(capsys, "logsumexp", "x.zarr") == f"{smoothmax.logsumexp([1.0, 2, 3, 4])}\n"
