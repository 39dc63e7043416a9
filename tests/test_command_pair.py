"""Two outputs of the command: both appear whole, or none. test_faults.py makes a fault at each step of that."""

import io
import os
import stat
import sys

import numpy as np
import pytest
from command import error_of, python
from test_command_streams import Pipe

import smoothmax
from smoothmax.__main__ import main
from smoothmax._scale import pair, rename
from smoothmax._scale.npy_format import NpyWriter
from smoothmax._scale.output import prepare_output
from smoothmax._scale.workspace import Workspace

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and permissions of POSIX")
X = np.random.default_rng(3).normal(size=(5, 7))
COMMAND = ["top_log_probs", "x.npy", "-k", "3", "-o", "v.npy", "--indices", "i.npy"]
FULL = OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    return tmp_path


def old(folder):
    """Both outputs as they were before."""
    for name in ("v.npy", "i.npy"):
        (folder / name).write_bytes(f"old {name}".encode())
    return outputs(folder)


def outputs(folder):
    """The outputs that exist. Nothing else may have been left behind."""
    names = sorted(set(os.listdir(folder)) - {"x.npy"})
    assert set(names) <= {"v.npy", "i.npy"}
    return {name: (folder / name).read_bytes() for name in names}


def right():
    for name, wanted in zip(("v.npy", "i.npy"), smoothmax.top_log_probs(X, 3), strict=True):
        np.testing.assert_array_equal(np.load(name), wanted)
    return True


def fail(monkeypatch, owner, name, at, error=FULL):
    """Let a function raise an error when it is called with this name of an output as its last argument."""
    inner = getattr(owner, name)

    def failing(*given):
        if str(given[-1]).endswith(at):
            raise error
        return inner(*given)

    monkeypatch.setattr(owner, name, failing)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_both_outputs_appear(folder, capsys, force):
    if force:
        old(folder)
    assert main([*COMMAND, *force]) == 0
    assert right()
    assert outputs(folder).keys() == {"v.npy", "i.npy"}
    assert capsys.readouterr() == ("", "")


@posix
def test_links_are_followed_and_permissions_kept(folder):
    (folder / "elsewhere").mkdir()
    for name in ("v.npy", "i.npy"):
        (folder / "elsewhere" / name).touch()
        os.chmod(f"elsewhere/{name}", 0o640)
        os.symlink(f"elsewhere/{name}", name)
    assert main([*COMMAND, "--force"]) == 0
    assert right()
    for name in ("v.npy", "i.npy"):
        assert os.path.islink(name)
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o640
    assert sorted(os.listdir("elsewhere")) == ["i.npy", "v.npy"]


@pytest.mark.parametrize("linked", [True, False], ids=["links", "without"])
@pytest.mark.parametrize("name", ["v.npy", "i.npy"])
def test_both_stay_if_one_cannot_take_its_name(folder, capsys, monkeypatch, linked, name):
    before = old(folder)
    if not linked:
        fail(monkeypatch, os, "link", "former")
    fail(monkeypatch, os, "replace", name)
    assert error_of(capsys, [*COMMAND, "--force"]) == f"cannot write {name!r}: No space left on device"
    assert outputs(folder) == before


@pytest.mark.parametrize("renameat2", [True, False], ids=["renameat2", "without"])
@pytest.mark.parametrize("name", ["v.npy", "i.npy"])
def test_a_file_that_appears_meanwhile_is_not_replaced_and_the_other_does_not_appear(
    folder, capsys, monkeypatch, renameat2, name
):
    if not renameat2:
        monkeypatch.setattr(rename, "renameat2", lambda *_: False)
    inner = NpyWriter.__setitem__

    def late(self, region, values):
        (folder / name).write_bytes(b"another run's")
        inner(self, region, values)

    monkeypatch.setattr(NpyWriter, "__setitem__", late)
    assert error_of(capsys, COMMAND) == f"cannot write {name!r}: it exists, and --force is not given"
    assert outputs(folder) == {name: b"another run's"}


@pytest.mark.parametrize("name", ["v.npy", "i.npy"])
def test_the_output_that_cannot_be_written_is_named(folder, capsys, monkeypatch, name):
    before = old(folder)
    inner = NpyWriter.__setitem__
    which = np.float64 if name == "v.npy" else np.intp

    def full(self, region, values):
        if self.dtype == which:
            raise FULL
        inner(self, region, values)

    monkeypatch.setattr(NpyWriter, "__setitem__", full)
    assert error_of(capsys, [*COMMAND, "--force"]) == f"cannot write {name!r}: No space left on device"
    assert outputs(folder) == before


@pytest.mark.parametrize("where", ["before", "between", "after"])
def test_an_interrupt_leaves_both_or_none(folder, capsys, monkeypatch, where):
    before = old(folder)
    inner = pair.rename_keeping_former

    def interrupted(space, *, replace):
        if where != "before":
            inner(space, replace=replace)
        raise KeyboardInterrupt

    def interrupting(_):
        raise KeyboardInterrupt

    if where == "after":
        monkeypatch.setattr(Workspace, "unbind", interrupting)
    else:
        monkeypatch.setattr(pair, "rename_keeping_former", interrupted)
    assert error_of(capsys, [*COMMAND, "--force"], 130) == "interrupted"
    assert right() if where == "after" else outputs(folder) == before
    assert outputs(folder).keys() == {"v.npy", "i.npy"}


KILL_BETWEEN = """
import os, signal
from smoothmax._scale import pair
inner = pair.rename_keeping_former
def killed(space, *, replace):
    inner(space, replace=replace)
    os.kill(os.getpid(), signal.SIGKILL)
pair.rename_keeping_former = killed
"""
NO_LINKS = """
def link(*_):
    raise OSError(1, "Operation not permitted")
os.link = link
"""


@posix
@pytest.mark.parametrize("links", ["", NO_LINKS], ids=["links", "without"])
@pytest.mark.parametrize("existed", [True, False])
def test_the_next_run_gives_back_what_a_killed_one_took(folder, existed, links):
    before = old(folder) if existed else {}
    force = ["--force"] * existed
    assert python(KILL_BETWEEN + links, [*COMMAND, *force]) == (-9, "", "")
    np.testing.assert_array_equal(np.load("i.npy"), smoothmax.top_log_probs(X, 3)[1])  # half of the pair
    assert (folder / "v.npy").exists() == existed
    prepare_output("v.npy", folder=False, replace=True)
    prepare_output("i.npy", folder=False, replace=True)
    assert outputs(folder) == before
    assert python(KILL_BETWEEN + links, [*COMMAND, *force]) == (-9, "", "")
    assert main([*COMMAND, *force]) == 0  # without --force, too, since none of the two exists
    assert right()
    assert outputs(folder).keys() == {"v.npy", "i.npy"}


@posix
def test_what_came_after_a_killed_run_stays(folder):
    old(folder)
    assert python(KILL_BETWEEN, [*COMMAND, "--force"]) == (-9, "", "")
    (folder / "i.npy").write_bytes(b"mine")  # the same file, with other contents
    prepare_output("i.npy", folder=False, replace=True)
    assert (folder / "i.npy").read_bytes() == b"mine"


def test_two_stores_appear_or_none(folder, capsys, monkeypatch):
    zarr = pytest.importorskip("zarr")
    pytest.importorskip("dask")
    zarr.open("x.zarr", mode="w", shape=X.shape, chunks=(2, 3), dtype=X.dtype)[:] = X
    command = ["top_log_probs", "x.zarr", "-k", "3", "-o", "v.zarr", "--indices", "i.zarr"]
    assert main(command) == 0
    for name, wanted in zip(("v.zarr", "i.zarr"), smoothmax.top_log_probs(X, 3), strict=True):
        np.testing.assert_allclose(zarr.open(name, mode="r")[...], wanted, rtol=1e-15)
    before = {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}
    monkeypatch.setattr("smoothmax._scale.output.exchange", failing_exchange)
    wrong = error_of(capsys, ["top_log_probs", "x.zarr", "-k2", "-o", "v.zarr", "--indices", "i.zarr", "--force"])
    assert wrong == "cannot write 'v.zarr': No space left on device"
    assert {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")} == before
    assert capsys.readouterr() == ("", "")


def failing_exchange(*_):
    raise FULL


# Standard output -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piped", ["-o", "--indices"])
def test_one_of_them_may_be_standard_output(folder, monkeypatch, piped):
    names = {"-o": "v.npy", "--indices": "i.npy", piped: "-"}
    stdout = Pipe()
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["top_log_probs", "x.npy", "-k3", *(word for pair in names.items() for word in pair)]) == 0
    got = {name: np.load(name) if name != "-" else np.load(io.BytesIO(stdout.taken)) for name in names.values()}
    for name, wanted in zip(names.values(), smoothmax.top_log_probs(X, 3), strict=True):
        np.testing.assert_array_equal(got[name], wanted)
    assert len(outputs(folder)) == 1


def test_a_file_does_not_appear_if_the_reader_of_the_other_has_left(folder, monkeypatch, capfd):
    class Left(Pipe):
        def write(self, _):
            raise OSError(28, "No space left on device")

        def fileno(self):
            return os.open(os.devnull, os.O_WRONLY)

    before = old(folder)
    monkeypatch.setattr(sys, "stdout", Left())
    command = ["top_log_probs", "x.npy", "-k3", "-o", "-", "--indices", "i.npy", "--force"]
    assert main(command) == 2
    assert capfd.readouterr().err == "smoothmax: error: cannot write to standard output: No space left on device\n"
    assert outputs(folder) == before
