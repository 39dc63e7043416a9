"""The command on .npy files: results, whole error lines, exit codes, and files that are left behind."""

import io
import os
import stat
import sys

import numpy as np
import pytest
from command import error_of, python

import smoothmax
from smoothmax.__main__ import main
from smoothmax._api import functions
from smoothmax._scale import rename
from smoothmax._scale.npy_format import NpyWriter

LOGITS = np.random.default_rng(5).normal(scale=10, size=(4, 3, 5))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("logits.npy", LOGITS)
    return tmp_path


def contents(folder):
    """Every file below the folder, with its bytes."""
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# Results -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize(
    ("options", "keywords"),
    [
        ([], {}),
        (["--axis", "none"], {"axis": None}),
        (["--axis", "1"], {"axis": 1}),
        (["--axis", "-1"], {"axis": -1}),
        (["--axis", "0,2"], {"axis": (0, 2)}),
        (["--axis", "-2,-1"], {"axis": (-2, -1)}),
        (["--axis=-1,0"], {"axis": (-1, 0)}),
        (["--axis", "2", "--dtype", "float32"], {"axis": 2, "dtype": np.float32}),
    ],
)
def test_output_is_the_result_of_the_function_bit_for_bit(folder, capsys, name, options, keywords):
    assert main([name, "logits.npy", "-o", "result.npy", *options]) == 0
    assert (folder / "result.npy").read_bytes() == npy(getattr(smoothmax, name)(LOGITS, **keywords))
    assert capsys.readouterr() == ("", "")
    assert sorted(os.listdir()) == ["logits.npy", "result.npy"]


def test_keepdims_keeps_reduced_axes():
    assert main(["logsumexp", "logits.npy", "-o", "result.npy", "--axis", "1", "--keepdims"]) == 0
    np.testing.assert_array_equal(np.load("result.npy"), smoothmax.logsumexp(LOGITS, axis=1, keepdims=True))
    assert np.load("result.npy").shape == (4, 1, 5)


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(LOGITS),
        LOGITS.astype(np.float32),
        LOGITS.astype(">f8"),
        np.zeros((0, 3)),
        np.float64(3.0),
        np.array([np.inf, np.nan, -np.inf]),
    ],
    ids=["Fortran", "float32", "big-endian", "empty", "0-d", "special"],
)
def test_every_layout_and_type_is_read(folder, array):
    np.save("logits.npy", array)
    assert main(["softmax", "logits.npy", "-o", "result.npy"]) == 0
    assert (folder / "result.npy").read_bytes() == npy(smoothmax.softmax(array))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version):
    with open("logits.npy", "wb") as file:
        np.lib.format.write_array(file, LOGITS, version=version)
    assert main(["softmax", "logits.npy", "-o", "result.npy"]) == 0
    np.testing.assert_array_equal(np.load("result.npy"), smoothmax.softmax(LOGITS))


def test_a_file_that_python_2_wrote_is_read_without_a_warning(capsys):
    """Its header writes integers as 4L, which NumPy reads with a warning."""
    plain = npy(LOGITS)
    header = plain[10 : plain.index(b"\n")].replace(b"(4, 3, 5)", b"(4L, 3L, 5L)").replace(b"   ", b"", 1)
    with open("logits.npy", "wb") as file:
        file.write(plain[:10] + header + plain[plain.index(b"\n") :])
    assert main(["softmax", "logits.npy", "-o", "result.npy"]) == 0
    assert capsys.readouterr() == ("", "")
    np.testing.assert_array_equal(np.load("result.npy"), smoothmax.softmax(LOGITS))


def test_bytes_after_the_array_are_not_read(folder):
    """As by numpy.load: a file may hold several arrays."""
    (folder / "logits.npy").write_bytes(npy(LOGITS) + npy(np.ones(3)))
    assert main(["softmax", "logits.npy", "-o", "result.npy"]) == 0
    np.testing.assert_array_equal(np.load("result.npy"), smoothmax.softmax(LOGITS))


def test_force_replaces_an_output(folder):
    (folder / "result.npy").write_bytes(b"old")
    assert main(["softmax", "logits.npy", "-o", "result.npy", "--force"]) == 0
    np.testing.assert_array_equal(np.load("result.npy"), smoothmax.softmax(LOGITS))


def test_force_replaces_the_input_by_its_own_result():
    assert main(["softmax", "logits.npy", "-o", "logits.npy", "--force"]) == 0
    np.testing.assert_array_equal(np.load("logits.npy"), smoothmax.softmax(LOGITS))
    assert os.listdir() == ["logits.npy"]


def test_an_output_that_is_a_symbolic_link_is_followed(folder):
    (folder / "elsewhere").mkdir()
    os.symlink(folder / "elsewhere" / "result.npy", "link.npy")
    assert main(["softmax", "logits.npy", "-o", "link.npy"]) == 0
    assert os.path.islink("link.npy")
    assert os.listdir("elsewhere") == ["result.npy"]


def test_a_link_to_nothing_creates_the_file_that_it_names():
    os.symlink("real.npy", "link.npy")
    os.symlink("link.npy", "link of a link.npy")
    assert main(["softmax", "logits.npy", "-o", "link of a link.npy"]) == 0
    np.testing.assert_array_equal(np.load("real.npy"), smoothmax.softmax(LOGITS))
    assert os.path.islink("link.npy")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0, 0o666)])
def test_permissions_follow_the_umask(mask, mode):
    before = os.umask(mask)
    try:
        assert main(["softmax", "logits.npy", "-o", "result.npy"]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat("result.npy").st_mode) == mode


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_replaced_file_keeps_its_permissions(folder):
    (folder / "result.npy").touch()
    os.chmod("result.npy", 0o640)
    assert main(["softmax", "logits.npy", "-o", "result.npy", "--force"]) == 0
    assert stat.S_IMODE(os.stat("result.npy").st_mode) == 0o640


# Errors --------------------------------------------------------------------------------------------------------------


def header(shape, descr="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


BAD_FILES = {
    "nothing.npy": b"",
    "text.npy": b"hello, world\n",
    "header.npy": npy(LOGITS)[:40],
    "short.npy": npy(LOGITS)[:-8],
    "huge.npy": header((10**15, 10**15)),
    "negative.npy": header((-3,)),
    "deep.npy": header((1,) * 100) + bytes(8),
    "overflow.npy": header((0, 2**62, 8)),
    "words.npy": npy(np.array(["one", "two"])),
    "dates.npy": npy(np.array(["2020-01-01"], dtype="M8[D]")),
    "pickles.npy": npy(np.array([{}, None])),
    "structure.npy": npy(np.zeros(2, dtype=[("a", "f8")])),
    "subarray.npy": header((3,), ("<f8", (2,))) + bytes(48),
}


def refused(folder, capsys, arguments):
    """The message of a command that is refused and has changed no file."""
    before = contents(folder)
    message = error_of(capsys, arguments)
    assert contents(folder) == before
    return message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.npy", "cannot read 'missing.npy': No such file or directory"),
        ("two\nlines.npy", r"cannot read 'two\nlines.npy': No such file or directory"),
        ("folder", "cannot read 'folder': Is a directory"),
        ("nothing.npy", "cannot read 'nothing.npy': not a .npy file"),
        ("text.npy", "cannot read 'text.npy': not a .npy file"),
        ("archive.npz", "cannot read 'archive.npz': an .npz archive; unzip it and name one of its .npy files"),
        ("header.npy", "cannot read 'header.npy': not a .npy file"),
        ("negative.npy", "cannot read 'negative.npy': not a .npy file"),
        ("short.npy", "cannot read 'short.npy': truncated, 480 bytes of data needed, got 472"),
        ("huge.npy", f"cannot read 'huge.npy': truncated, {8 * 10**30} bytes of data needed, got 0"),
        ("overflow.npy", f"cannot read 'overflow.npy': no array can have the shape (0, {2**62}, 8)"),
        ("pickles.npy", "cannot read 'pickles.npy': it must hold an array of numbers, got dtype object"),
        ("words.npy", "cannot read 'words.npy': it must hold an array of numbers, got dtype <U3"),
        ("dates.npy", "cannot read 'dates.npy': it must hold an array of numbers, got dtype datetime64[D]"),
        ("subarray.npy", "cannot read 'subarray.npy': it must hold an array of numbers, got dtype ('<f8', (2,))"),
        ("structure.npy", "cannot read 'structure.npy': it must hold an array of numbers, got dtype [('a', '<f8')]"),
    ],
)
def test_an_unreadable_input_is_named_with_the_reason(folder, capsys, name, message):
    (folder / "folder").mkdir()
    np.savez("archive.npz", LOGITS)
    for bad, data in BAD_FILES.items():
        (folder / bad).write_bytes(data)
    assert refused(folder, capsys, ["softmax", name, "-o", "result.npy"]) == message


def test_more_axes_than_numpy_has_are_refused(folder, capsys):
    (folder / "deep.npy").write_bytes(BAD_FILES["deep.npy"])
    message = refused(folder, capsys, ["softmax", "deep.npy", "-o", "result.npy"])
    assert message.startswith("cannot read 'deep.npy': maximum supported dimension")


@pytest.mark.skipif(sys.platform == "win32", reason="a device of POSIX")
def test_a_device_is_not_read(folder, capsys):
    message = refused(folder, capsys, ["softmax", "/dev/null", "-o", "result.npy"])
    assert message == "cannot read '/dev/null': not a regular file"


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of POSIX")
def test_a_pipe_without_a_writer_is_not_waited_for(folder, capsys):
    os.mkfifo("pipe.npy")
    message = refused(folder, capsys, ["softmax", "pipe.npy", "-o", "result.npy"])
    assert message == "cannot read 'pipe.npy': not a regular file"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--axis", "3"], "axis 3 is out of bounds for array of dimension 3"),
        (["--axis", "0,-4"], "axis -4 is out of bounds for array of dimension 3"),
        (["--axis", "1,1"], "axis 1 is given more than once in axis=(1, 1)"),
        (["--axis", "x"], "axis must be none, an integer, or integers separated by commas, got 'x'"),
        (["--axis", "1.5"], "axis must be none, an integer, or integers separated by commas, got '1.5'"),
        (["--axis", "0,"], "axis must be none, an integer, or integers separated by commas, got '0,'"),
        (["--axis", ""], "axis must be none, an integer, or integers separated by commas, got ''"),
        (["--axis"], "argument --axis: expected one argument"),
        (["--dtype", "int8"], "dtype must be float32, float64, float16 or longdouble, got 'int8'"),
        (["--keepdims"], "unrecognized arguments: --keepdims"),
        (["two\nlines"], "unrecognized arguments: two lines"),
    ],
)
def test_a_wrong_option_is_named(folder, capsys, options, message):
    assert refused(folder, capsys, ["softmax", "logits.npy", "-o", "result.npy", *options]) == message


def test_an_axis_beyond_all_integers_is_refused(folder, capsys):
    refused(folder, capsys, ["softmax", "logits.npy", "-o", "result.npy", "--axis", str(10**30)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["softmax", "logits.npy"], "the following arguments are required: -o/--output"),
        (["softmax"], "the following arguments are required: input, -o/--output"),
        (["--force"], "the following arguments are required: function"),
    ],
)
def test_missing_arguments_are_named(folder, capsys, arguments, message):
    assert refused(folder, capsys, arguments) == message


def test_an_unknown_function_is_named(folder, capsys):
    message = refused(folder, capsys, ["softmin", "logits.npy", "-o", "result.npy"])
    # versions of Python differ in the quotes
    assert message.replace("'", "") == (
        "argument function: invalid choice: softmin (choose from logsumexp, softmax, log_softmax, logmeanexp, "
        "logcumsumexp, segment_logsumexp, segment_softmax, segment_log_softmax, logaddexp, logsubexp, log1mexp, "
        "log1pexp, log_expit, logmatmulexp, top_log_probs, categorical, bench)"
    )


@pytest.mark.parametrize(
    ("output", "force", "message"),
    [
        ("old.npy", [], "cannot write 'old.npy': it exists, and --force is not given"),
        ("logits.npy", [], "cannot write 'logits.npy': it exists, and --force is not given"),
        ("folder", [], "cannot write 'folder': it exists and is not a regular file"),
        ("folder", ["--force"], "cannot write 'folder': it exists and is not a regular file"),
        ("folder/", ["--force"], "cannot write 'folder/': it names no file"),
        ("", ["--force"], "cannot write '': it names no file"),
        ("p.npz", [], "cannot write 'p.npz': an .npz archive; a result is written as .npy or .zarr"),
        ("nowhere/p.npy", [], "cannot write 'nowhere/p.npy': there is no folder '{folder}/nowhere'"),
        ("old.npy/p.npy", [], "cannot write 'old.npy/p.npy': there is no folder '{folder}/old.npy'"),
    ],
)
def test_an_unwritable_output_is_named_with_the_reason(folder, capsys, output, force, message):
    (folder / "folder").mkdir()
    (folder / "old.npy").write_bytes(b"old")
    resolved = os.path.realpath(folder)
    arguments = ["softmax", "logits.npy", "-o", output, *force]
    assert refused(folder, capsys, arguments) == message.format(folder=resolved)


def test_links_that_lead_to_each_other_are_refused(folder, capsys):
    os.symlink("there.npy", "back.npy")
    os.symlink("back.npy", "there.npy")
    wrong = "Too many levels of symbolic links"
    for force in ([], ["--force"]):
        message = refused(folder, capsys, ["softmax", "logits.npy", "-o", "back.npy", *force])
        assert message == f"cannot write 'back.npy': {wrong}"
    assert refused(folder, capsys, ["softmax", "back.npy", "-o", "y.npy"]) == f"cannot read 'back.npy': {wrong}"
    assert os.path.islink("back.npy")


def test_a_name_that_is_too_long_is_refused(folder, capsys):
    name = "x" * 300 + ".npy"
    assert (
        refused(folder, capsys, ["softmax", "logits.npy", "-o", name]) == f"cannot write {name!r}: File name too long"
    )


def test_the_longest_name_works():
    name = "x" * 251 + ".npy"
    assert main(["softmax", "logits.npy", "-o", name]) == 0
    np.testing.assert_array_equal(np.load(name), smoothmax.softmax(LOGITS))


@pytest.mark.parametrize("renameat2", [True, False], ids=["renameat2", "without"])
@pytest.mark.parametrize("link", [True, False], ids=["links", "without"])
def test_a_file_that_appears_meanwhile_is_not_replaced(folder, capsys, monkeypatch, renameat2, link):
    if not renameat2:
        monkeypatch.setattr(rename, "renameat2", lambda *_: False)
    if not link:
        monkeypatch.setattr(os, "link", raising(OSError(1, "Operation not permitted")))
    inner = NpyWriter.__setitem__

    def late(self, region, values):
        (folder / "result.npy").write_bytes(b"another run's")
        inner(self, region, values)

    monkeypatch.setattr(NpyWriter, "__setitem__", late)
    message = error_of(capsys, ["softmax", "logits.npy", "-o", "result.npy"])
    assert message == "cannot write 'result.npy': it exists, and --force is not given"
    assert (folder / "result.npy").read_bytes() == b"another run's"
    assert sorted(os.listdir()) == ["logits.npy", "result.npy"]
    monkeypatch.setattr(NpyWriter, "__setitem__", inner)
    assert main(["softmax", "logits.npy", "-o", "other.npy"]) == 0
    np.testing.assert_array_equal(np.load("other.npy"), smoothmax.softmax(LOGITS))


@pytest.mark.skipif(sys.platform == "win32", reason="a device of POSIX")
def test_a_device_is_not_replaced(folder, capsys):
    message = refused(folder, capsys, ["softmax", "logits.npy", "-o", "/dev/null", "--force"])
    assert message == "cannot write '/dev/null': it exists and is not a regular file"


def test_a_folder_that_is_not_writable_is_named(folder, capsys, monkeypatch):
    (folder / "kept").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: not (path.endswith("kept") and mode & os.W_OK))  # root may
    message = refused(folder, capsys, ["softmax", "logits.npy", "-o", "kept/p.npy"])
    assert message == f"cannot write 'kept/p.npy': the folder '{os.path.realpath('kept')}' is not writable"


def raising(error):
    def function(*_, **__):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "not enough memory for softmax of 'logits.npy'"),
        (NotImplementedError("complex is not implemented yet"), "complex is not implemented yet"),
    ],
)
def test_an_error_of_the_function_is_one_line(folder, capsys, monkeypatch, error, message):
    monkeypatch.setattr(functions, "softmax", raising(error))
    assert refused(folder, capsys, ["softmax", "logits.npy", "-o", "result.npy"]) == message


@pytest.mark.parametrize("step", ["__setitem__", "fsync", "replace"])
def test_the_old_output_stays_if_a_write_fails(folder, capsys, monkeypatch, step):
    module = NpyWriter if step == "__setitem__" else os
    monkeypatch.setattr(module, step, raising(OSError(28, "No space left on device")))
    (folder / "result.npy").write_bytes(b"old")
    message = refused(folder, capsys, ["softmax", "logits.npy", "-o", "result.npy", "--force"])
    assert message == "cannot write 'result.npy': No space left on device"


@pytest.mark.parametrize("length", [130, 200, 10000])
def test_a_full_disk_leaves_nothing_behind(length):
    """np.save would silently lose the end of such a file, if the end is shorter than its buffer."""
    resource = pytest.importorskip("resource")
    np.save("logits.npy", np.zeros(length))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    script = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {hard}))"
    run = python(script, ["softmax", "logits.npy", "-o", "result.npy"])
    assert run == (2, "", "smoothmax: error: cannot write 'result.npy': File too large\n")
    assert os.listdir() == ["logits.npy"]
