"""What the command refuses of elements, rows and matrices: one line that names what is wrong, and its file."""

import os

import numpy as np
import pytest
from block_files import npy, numbers, saved, set_megabyte
from command import error_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["logaddexp", "x.npy", "none.npy"], "cannot read 'none.npy': No such file or directory"),
        (["logaddexp", "x.npy", "short.npy"], "cannot read 'short.npy': truncated, 480 bytes of data needed, got 472"),
        (["logaddexp", "x.npy", "row.npy"], "the shapes of x1 and x2 must broadcast, got (6, 10) and (7,)"),
        (["logaddexp", "-", "-"], "x1 and x2 must not both be standard input"),
        (["logmatmulexp", "-", "-"], "a and b must not both be standard input"),
        (["logaddexp", "x.npy", "x.zarr"],
         "inputs and outputs must all be .zarr or all be .npy, got 'x.npy', 'x.zarr', 'y.npy'"),
        (["log1pexp", "x.npy", "--axis=0"], "unrecognized arguments: --axis=0"),
        (["logmatmulexp", "x.npy", "row.npy"],
         "the last axis of a must be as long as the only axis of b, got shapes (6, 10) and (7,)"),
        (["logmatmulexp", "stack.npy", "pair.npy"],
         "the stacks of a and b must broadcast, got shapes (3, 2, 2) and (2, 2, 2)"),
        (["logmatmulexp", "number.npy", "x.npy"],
         "a and b must have at least one axis, got shapes () and (6, 10)"),
        (["logmatmulexp", "complex.npy", "x.npy", "--dtype=float32"],
         "dtype must be None for complex input, got float32"),
        (["top_log_probs", "x.npy"], "the following arguments are required: -k"),
        (["top_log_probs", "x.npy", "-k", "-1"], "k must not be negative, got -1"),
        (["top_log_probs", "x.npy", "-k", "11"], "k must be at most 10, the length of axis -1, got 11"),
        (["top_log_probs", "x.npy", "-k", "two"], "k must be an integer, got 'two'"),
        (["top_log_probs", "x.npy", "-k1", "--axis=2"], "axis 2 is out of bounds for array of dimension 2"),
        (["top_log_probs", "number.npy", "-k1"], "axis -1 is out of bounds for array of dimension 0"),
        (["top_log_probs", "complex.npy", "-k1"], "logits must be real, got dtype complex128"),
        (["top_log_probs", "x.npy", "-k1", "--indices=y.npy"], "-o and --indices must not both be 'y.npy'"),
        (["top_log_probs", "x.npy", "-k1", "--indices=no/i.npy"],
         "cannot write 'no/i.npy': there is no folder '{folder}/no'"),
        (["top_log_probs", "x.npy", "-k1", "--indices=x.npy"],
         "cannot write 'x.npy': it exists, and --force is not given"),
        (["top_log_probs", "x.npy", "-k1", "--indices=i.npz"],
         "cannot write 'i.npz': an .npz archive; a result is written as .npy or .zarr"),
        (["categorical", "x.npy", "--seed=-1"], "seed must be an integer that is not negative, got '-1'"),
        (["categorical", "x.npy", "--size=x"], "size must be integers separated by commas, got 'x'"),
        (["categorical", "x.npy", "--size=5"],
         "size must be a shape that (6,), the shape of logits without the axis, broadcasts to, got (5,)"),
        (["categorical", "nothing.npy"], "logits must have an element along axis -1 to draw from, got shape (3, 0)"),
        (["categorical", "complex.npy"], "logits must be real, got dtype complex128"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)  # fmt: skip
def test_what_is_wrong_is_named_and_so_is_its_file(folder, capsys, arguments, message):
    saved("x", numbers((6, 10)))
    saved("row", numbers(7))
    saved("stack", numbers((3, 2, 2)))
    saved("pair", numbers((2, 2, 2)))
    saved("number", numbers(()))
    saved("nothing", numbers((3, 0)))
    saved("complex", np.zeros((6, 6), complex))
    (folder / "short.npy").write_bytes(npy(numbers((6, 10)))[:-8])
    before = sorted(os.listdir())
    message = message.replace("{folder}", os.path.realpath(folder))
    assert error_of(capsys, [*arguments, "-o", "y.npy"]) == message
    assert sorted(os.listdir()) == before


def test_complex_operands_of_ufuncs_are_numpys_error(capsys):
    saved("x", np.zeros(3, complex))
    assert "ufunc 'smoothmax.logaddexp' not supported" in error_of(capsys, ["logaddexp", "x.npy", "x.npy", "-o-"])


def test_results_of_many_rows_are_not_printed(capsys):
    saved("x", numbers((6, 10)))
    message = "'x.npy' has 6 rows, and the results of one can be printed: -o FILE and --indices FILE write all"
    assert error_of(capsys, ["top_log_probs", "x.npy", "-k2"]) == message


@pytest.mark.parametrize(("axis", "row"), [(1, "210, :"), (0, ":, 210")])
def test_the_row_without_a_distribution_is_named(monkeypatch, capsys, axis, row):
    set_megabyte(monkeypatch, 30_000)
    x = np.zeros((300, 60))
    x[210, 7] = np.nan
    saved("x", x if axis else x.T)
    message = f"logits must not have nan, inf or -inf alone along the axis, got nan in logits[{row}]"
    assert error_of(capsys, ["categorical", "x.npy", "-o", "i.npy", f"--axis={axis}", "--max-memory=1MB"]) == message


def test_rows_without_elements_are_refused_with_the_shape_of_all(monkeypatch, capsys):
    set_megabyte(monkeypatch, 3000)
    saved("x", np.zeros((200, 0)))
    message = error_of(capsys, ["categorical", "x.npy", "-o", "i.npy", "--size=5,200", "--max-memory=1MB"])
    assert message == "logits must have an element along axis -1 to draw from, got shape (200, 0)"


def test_what_must_be_in_memory_is_named(monkeypatch, capsys):
    set_megabyte(monkeypatch, 3000)
    saved("x", np.zeros((3, 400)))
    saved("matrix", np.zeros((400, 3)))
    saved("stack", np.zeros((2, 400, 3)))
    product = "and a row of 'x.npy', with exponentials and results, 29915 bytes"
    for command, needed in (
        (["top_log_probs", "x.npy", "-k2"], "a row of 'x.npy' with its results, 3232 bytes"),
        (["categorical", "x.npy"], "a row of 'x.npy' with its results, 3224 bytes"),
        (["logmatmulexp", "x.npy", "matrix.npy"], f"all of 'matrix.npy' {product}"),
        (["logmatmulexp", "x.npy", "stack.npy"], f"a matrix of 'stack.npy' {product}"),
    ):
        message = error_of(capsys, [*command, "-o", "y.npy", "--max-memory=1MB"])
        assert message == f"max-memory must hold {needed}, got 3000"
