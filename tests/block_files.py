"""Small .npy files for the command, blocks of a few hundred elements, and what was read of them."""

import io

import numpy as np

from smoothmax.__main__ import main
from smoothmax._cli import values
from smoothmax._scale import blocks, npy_format

RNG = np.random.default_rng(61)


def set_megabyte(monkeypatch, size):
    """Let a megabyte of --max-memory have so many bytes."""
    monkeypatch.setitem(values.UNITS, "mb", size)
    monkeypatch.setattr(blocks, "STRETCH_MIN_BYTES", 64)


def note_reads(monkeypatch):
    """A list that gets every block that is read."""
    taken = []

    # A class of its own: CPython 3.13 calls the old __getitem__ of a class that was changed a thousand times.
    class Noted(npy_format.NpyReader):
        def __getitem__(self, region):
            taken.append(super().__getitem__(region))
            return taken[-1]

    monkeypatch.setattr(npy_format, "NpyReader", Noted)
    return taken


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def must_be(name, wanted):
    """That a file has the header and the values of an array. Its bytes may differ in those that pad longdouble."""
    with open(name, "rb") as file:
        assert file.readline() == npy(wanted).split(b"\n")[0] + b"\n"
    np.testing.assert_array_equal(np.load(name), wanted)


def run(*arguments):
    assert main([*arguments, "--force", "--max-memory=1MB"]) == 0


def saved(name, array):
    np.save(f"{name}.npy", array)
    return array


def numbers(shape, dtype="f8", order="C"):
    return np.array(-np.abs(RNG.normal(size=shape) * 5), dtype, order=order)
