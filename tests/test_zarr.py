"""The command on .zarr stores: the functions' results, whole stores, and one line for what is impossible."""

import os
import stat
import sys
import types

import numpy as np
import pytest
from command import error_of, python

import smoothmax
from smoothmax.__main__ import main
from smoothmax._scale import rename
from smoothmax._scale import zarr as stores
from smoothmax._scale.request import Request

dask = pytest.importorskip("dask")
zarr = pytest.importorskip("zarr")
X = np.random.default_rng(0).normal(size=(40, 30)) * 20


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = zarr.open("x.zarr", mode="w", shape=X.shape, chunks=(7, 11), dtype=X.dtype)
    store[:] = X
    return tmp_path


def failed(capsys, arguments):
    before = sorted(os.listdir())
    message = error_of(capsys, arguments)
    assert sorted(os.listdir()) == before
    return message


@pytest.mark.parametrize("axis", ["none", "0", "-1"])
def test_results_are_those_of_the_functions(name, function, axis, capsys):
    assert main([name, "x.zarr", "-o", "y.zarr", f"--axis={axis}"]) == 0
    wanted = function(X, axis=None if axis == "none" else int(axis))
    got = zarr.open("y.zarr", mode="r")
    assert got.dtype == wanted.dtype
    np.testing.assert_allclose(got[...], wanted, rtol=1e-14)
    assert sorted(os.listdir()) == ["x.zarr", "y.zarr"]
    assert capsys.readouterr() == ("", "")


def test_only_force_replaces_an_output(capsys):
    assert main(["logsumexp", "x.zarr", "-o", "y.zarr", "--axis", "0", "--dtype", "float32"]) == 0
    message = failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"])
    assert message == "cannot write 'y.zarr': it exists, and --force is not given"
    assert zarr.open("y.zarr", mode="r").shape == (30,)
    assert main(["softmax", "x.zarr", "-o", "y.zarr", "--force"]) == 0
    assert zarr.open("y.zarr", mode="r").shape == X.shape
    assert sorted(os.listdir()) == ["x.zarr", "y.zarr"]


def test_longdouble_is_refused_with_what_a_store_can_have(capsys):
    message = failed(capsys, ["logsumexp", "x.zarr", "--dtype", "longdouble"])
    assert message == "dtype must be float32, float64 or float16 for .zarr, got 'longdouble'"


def test_an_error_while_writing_leaves_nothing_behind(capsys, monkeypatch):
    def full(_, path):
        os.mkdir(path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dask.array.Array.to_zarr", full)
    message = failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"])
    assert message == "cannot write 'y.zarr': No space left on device"


def test_a_full_disk_leaves_nothing_behind():
    """The disk of this process is full from 5000 bytes of a file on."""
    resource = pytest.importorskip("resource")
    store = zarr.open("x.zarr", mode="w", shape=(4000,), chunks=(2000,), dtype="f8")
    store[:] = np.random.default_rng(1).normal(size=4000)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    script = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, {hard}))"
    run = python(script, ["softmax", "x.zarr", "-o", "y.zarr"])
    assert run == (2, "", "smoothmax: error: cannot write 'y.zarr': File too large\n")
    assert os.listdir() == ["x.zarr"]


@pytest.mark.parametrize("exchange", [True, False], ids=["exchanged", "renamed twice"])
def test_a_replaced_store_keeps_its_permissions(monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(rename, "renameat2", lambda *_: False)
    zarr.open("y.zarr", mode="w", shape=(3,), chunks=(3,), dtype="f8")[:] = 1
    os.chmod("y.zarr", 0o750)
    assert main(["softmax", "x.zarr", "-o", "y.zarr", "--force"]) == 0
    assert zarr.open("y.zarr", mode="r").shape == X.shape
    assert stat.S_IMODE(os.stat("y.zarr").st_mode) == 0o750
    assert sorted(os.listdir()) == ["x.zarr", "y.zarr"]


def test_a_store_can_be_replaced_by_its_own_result():
    assert main(["softmax", "x.zarr", "-o", "x.zarr", "--force"]) == 0
    np.testing.assert_allclose(zarr.open("x.zarr", mode="r")[...], smoothmax.softmax(X), rtol=1e-14)
    assert os.listdir() == ["x.zarr"]


def test_trailing_slashes_make_no_difference():
    assert main(["softmax", "x.zarr/", "-o", "y.zarr/"]) == 0
    assert main(["softmax", "x.zarr", "-o", "y.zarr//", "--force"]) == 0
    assert zarr.open("y.zarr", mode="r").shape == X.shape


@pytest.mark.parametrize("existing", [False, True])
def test_a_link_to_a_store_is_followed(existing):
    os.mkdir("elsewhere")
    if existing:
        zarr.open("elsewhere/y.zarr", mode="w", shape=(3,), chunks=(3,), dtype="f8")[:] = 1
    os.symlink("elsewhere/y.zarr", "link.zarr")
    assert main(["softmax", "x.zarr", "-o", "link.zarr", *["--force"] * existing]) == 0
    assert os.path.islink("link.zarr")
    assert zarr.open("elsewhere/y.zarr", mode="r").shape == X.shape
    assert os.listdir("elsewhere") == ["y.zarr"]


def test_a_store_that_appears_meanwhile_is_not_replaced(capsys, monkeypatch):
    inner = dask.array.Array.to_zarr

    def late(self, path):
        zarr.open("y.zarr", mode="w", shape=(3,), chunks=(3,), dtype="f8")[:] = 1
        return inner(self, path)

    monkeypatch.setattr(dask.array.Array, "to_zarr", late)
    message = error_of(capsys, ["softmax", "x.zarr", "-o", "y.zarr"])
    assert message == "cannot write 'y.zarr': it exists, and --force is not given"
    assert zarr.open("y.zarr", mode="r").shape == (3,)
    assert sorted(os.listdir()) == ["x.zarr", "y.zarr"]


def test_a_damaged_chunk_is_an_error_of_the_input(folder, capsys):
    chunks = [path for path in folder.joinpath("x.zarr").rglob("*") if path.is_file() and path.suffix != ".json"]
    max(chunks, key=lambda path: path.stat().st_size).write_bytes(b"damaged")
    assert failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"]).startswith("cannot read 'x.zarr': ")
    assert failed(capsys, ["logsumexp", "x.zarr", "-o", "y.zarr", "--axis=0"]).startswith("cannot read 'x.zarr': ")


@pytest.mark.parametrize("metadata", [b"", b"{", b"[]", b'{"zarr_format": 3, "node_type": "array"}'])
def test_damaged_metadata_is_an_error_of_the_input(folder, capsys, metadata):
    (path,) = [path for path in (folder / "x.zarr").iterdir() if path.name in ("zarr.json", ".zarray")]
    path.write_bytes(metadata)
    assert failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"]).startswith("cannot read 'x.zarr': not a zarr array: ")


def test_the_message_names_what_is_wrong(folder, capsys, monkeypatch):
    np.save("x.npy", X)
    both = "input and output must both be .zarr or both be .npy, got "
    assert failed(capsys, ["softmax", "x.zarr", "-o", "y.npy"]) == both + "'x.zarr', 'y.npy'"
    assert failed(capsys, ["softmax", "x.npy", "-o", "y.zarr"]) == both + "'x.npy', 'y.zarr'"
    assert "axis 2 is out of bounds" in failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr", "--axis", "2"])
    (folder / "empty.zarr").mkdir()
    (folder / "file.zarr").write_bytes(b"file")
    zarr.open_group("group.zarr", mode="w")
    os.symlink("loop.zarr", "loop.zarr")
    for given, message in {
        "no.zarr": "No such file or directory",
        "empty.zarr": "there is no zarr array in it",
        "file.zarr": "not a folder",
        "group.zarr": "it must hold an array, got a group",
        "loop.zarr": "Too many levels of symbolic links",
    }.items():
        assert failed(capsys, ["softmax", given, "-o", "y.zarr"]) == f"cannot read {given!r}: {message}"
    loop = failed(capsys, ["softmax", "x.zarr", "-o", "loop.zarr", "--force"])
    assert loop == "cannot write 'loop.zarr': Too many levels of symbolic links"
    file = failed(capsys, ["softmax", "x.zarr", "-o", "file.zarr", "--force"])
    assert file == "cannot write 'file.zarr': it exists and is not a folder"
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"]).startswith(".zarr needs zarr and dask, pip install")


def test_a_folder_called_zarr_is_not_zarr(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", types.ModuleType("zarr"))  # as Python imports such a folder
    assert failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"]).startswith(".zarr needs zarr and dask, pip install")


def test_an_interrupt_leaves_nothing_behind(monkeypatch):
    def interrupted(_, path):
        os.mkdir(path)
        raise KeyboardInterrupt

    monkeypatch.setattr("dask.array.Array.to_zarr", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stores.transform_store(Request("softmax"), "x.zarr", "y.zarr", replace=False)
    assert os.listdir() == ["x.zarr"]
