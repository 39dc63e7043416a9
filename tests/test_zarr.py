"""From .zarr to .zarr on the command line: the functions' results, whole stores, one line where it cannot be."""

import os
import sys

import numpy as np
import pytest
from command import error_of

from smoothmax.__main__ import main
from smoothmax._scale import zarr as stores

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
def test_results(name, function, axis, capsys):
    assert main([name, "x.zarr", "-o", "y.zarr", f"--axis={axis}"]) == 0
    wanted = function(X, axis=None if axis == "none" else int(axis))
    got = zarr.open("y.zarr", mode="r")
    assert got.dtype == wanted.dtype
    np.testing.assert_allclose(got[...], wanted, rtol=1e-14)
    assert sorted(os.listdir()) == ["x.zarr", "y.zarr"]
    assert capsys.readouterr() == ("", "")


def test_an_output_that_exists(capsys):
    assert main(["logsumexp", "x.zarr", "-o", "y.zarr", "--axis", "0", "--dtype", "float32"]) == 0
    message = failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"])
    assert message == "cannot write 'y.zarr': it exists, and --force is not given"
    assert zarr.open("y.zarr", mode="r").shape == (30,)
    assert main(["softmax", "x.zarr", "-o", "y.zarr", "--force"]) == 0
    assert zarr.open("y.zarr", mode="r").shape == X.shape
    assert sorted(os.listdir()) == ["x.zarr", "y.zarr"]


def test_a_store_that_cannot_be_written(capsys, monkeypatch):
    def full(_, path):
        os.mkdir(path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dask.array.Array.to_zarr", full)
    message = failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"])
    assert message == "cannot write 'y.zarr': No space left on device"


def test_what_is_refused(capsys, monkeypatch):
    np.save("x.npy", X)
    both = "input and output must both be .zarr or both be .npy, got "
    assert failed(capsys, ["softmax", "x.zarr", "-o", "y.npy"]) == both + "'x.zarr', 'y.npy'"
    assert failed(capsys, ["softmax", "x.npy", "-o", "y.zarr"]) == both + "'x.npy', 'y.zarr'"
    assert failed(capsys, ["softmax", "no.zarr", "-o", "y.zarr"]) == "cannot read 'no.zarr': No such file or directory"
    assert "axis 2 is out of bounds" in failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr", "--axis", "2"])
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert failed(capsys, ["softmax", "x.zarr", "-o", "y.zarr"]).startswith(".zarr needs zarr and dask, pip install")


def test_an_interrupt(monkeypatch):
    def interrupted(_, path):
        os.mkdir(path)
        raise KeyboardInterrupt

    monkeypatch.setattr("dask.array.Array.to_zarr", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stores.transform("softmax", "x.zarr", "y.zarr", replace=False, axis=None)
    assert os.listdir() == ["x.zarr"]
