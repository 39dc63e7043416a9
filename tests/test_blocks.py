"""Files larger than the memory that is allowed: results are right for any blocks, and memory stays within the limit."""

import contextlib
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from block_files import note_reads, set_megabyte
from bounds import bound
from command import error_of
from oracle import reference, ulp_error

import smoothmax
from smoothmax.__main__ import main
from smoothmax._cli import arguments
from smoothmax._scale import blocks, npy, npy_format, regions

MB = 10**6


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny_blocks(monkeypatch):
    """Count 3000 bytes as a megabyte, so that blocks have a few hundred elements. Gives the blocks that were read."""
    set_megabyte(monkeypatch, 3000)
    return note_reads(monkeypatch)


# Regions -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (7,), (5, 6), (1, 9, 1), (3, 4, 5), (2, 3, 2, 5)], ids=str)
def test_regions_cover_an_array_once(shape):
    for r in range(len(shape) + 1):
        for dims in itertools.combinations(range(len(shape)), r):
            for most in (0, 1, 2, 3, 6, 7, 20, 1000):
                seen = np.zeros(shape, int)
                positions = np.prod([shape[i] for i in dims], dtype=int)
                for region in regions.divide_into_regions(shape, dims, most):
                    seen[region] += 1
                    along = [seen[region].shape[i] for i in dims]
                    assert np.prod(along) <= max(most, 1)
                    assert np.prod(along) >= min(most / 4, positions)
                    assert seen[region].size == np.prod(along) * np.prod(
                        [shape[i] for i in range(len(shape)) if i not in dims]
                    )
                assert (seen == 1).all()


@pytest.mark.parametrize("shape", [(), (7,), (5, 6), (1, 9, 1), (3, 4, 5), (2, 3, 2, 5)], ids=str)
def test_stretches_are_where_a_region_lies(shape):
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    rng = np.random.default_rng(0)
    for _ in range(200):
        begin = [int(rng.integers(0, n)) for n in shape]
        region = tuple(slice(b, int(rng.integers(b + 1, n + 1))) for b, n in zip(begin, shape, strict=True))
        starts, length = regions.stretches(shape, region)
        found = [start + i for start in starts for i in range(length)]
        assert found == numbers[region].ravel().tolist()


# Results -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", ["none", "0", "1", "2", "-1", "0,1", "0,2", "1,2"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_results_are_right_for_every_axis_and_order(name, dtype, order, axis, keepdims, tiny_blocks):
    x = np.array(np.random.default_rng(1).normal(size=(20, 30, 17)) * 30, dtype, order=order)
    np.save("x.npy", x)
    options = ["--keepdims"] if keepdims and name == "logsumexp" else []
    assert main([name, "x.npy", "-o", "y.npy", f"--axis={axis}", "--max-memory", "1MB", *options]) == 0
    axes = None if axis == "none" else tuple(int(i) for i in axis.split(","))
    exact = reference(name, x, axes, bool(options))
    got = np.load("y.npy")
    assert (got.dtype, got.shape) == (dtype, exact.high.shape)
    if name != "logsumexp":
        assert got.flags.f_contiguous == (order == "F")
    assert np.max(ulp_error(got, exact)) <= bound(name, 1)
    assert len(tiny_blocks) > 3
    assert max(block.size for block in tiny_blocks) < 30 * 20 * 17 / 3


@pytest.mark.parametrize("given", ["f2", "i2", ">f8", "?"])
def test_types_that_are_converted_give_right_results(name, given, tiny_blocks):
    x = (np.random.default_rng(2).normal(size=(300, 40)) * 3).astype(given)
    np.save("x.npy", x)
    for axis in (0, 1):
        assert main([name, "x.npy", "-o", "y.npy", "--axis", str(axis), "--max-memory", "1MB", "--force"]) == 0
        got = np.load("y.npy")
        assert got.dtype == (np.float16 if given == "f2" else np.float64)
        assert np.max(ulp_error(got, reference(name, x, axis))) <= bound(name, 1)
    assert len(tiny_blocks) > 10


def test_special_values_survive_many_blocks(name, tiny_blocks):
    x = np.zeros((3000, 4))
    x[:, 1] = -np.inf
    x[1500, 2:] = np.inf, np.nan
    np.save("x.npy", x)
    assert main([name, "x.npy", "-o", "y.npy", "--axis", "0", "--max-memory", "1MB"]) == 0
    np.testing.assert_allclose(np.load("y.npy"), getattr(smoothmax, name)(x, axis=0), rtol=1e-15)
    assert len(tiny_blocks) > 10


def test_a_large_result_of_logsumexp_is_written_in_blocks(monkeypatch, tiny_blocks):
    monkeypatch.setattr(npy, "WHOLE_RESULT_BYTES", 100)
    for order in "CF":
        x = np.array(np.random.default_rng(3).normal(size=(2, 300, 3)), order=order)
        np.save("x.npy", x)
        for axis in range(3):
            assert (
                main(["logsumexp", "x.npy", "-o", "y.npy", "--axis", str(axis), "--force", "--max-memory", "1MB"]) == 0
            )
            got = np.load("y.npy")
            assert np.max(ulp_error(got, reference("logsumexp", x, axis))) <= bound("logsumexp", 1)
    assert len(tiny_blocks) > 10


# Memory --------------------------------------------------------------------------------------------------------------

PEAK = """
import resource, sys
from smoothmax.__main__ import main
def peak():
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM"))
main(["softmax", "small.npy", "-o", "warm.npy", "--axis", "0"])
before = peak()
assert main(sys.argv[1:]) == 0
print(peak() - before)
"""


def peak_of(*arguments):
    run = subprocess.run([sys.executable, "-c", PEAK, *arguments], capture_output=True, text=True, check=True)
    return int(run.stdout)


def made(shape, dtype):
    """Write a file of numbers that repeat every 1000 rows, part by part. Returns the repeated rows."""
    file = np.lib.format.open_memmap("x.npy", "w+", dtype, shape)
    part = np.random.default_rng(4).normal(size=(1000, shape[1])).astype(dtype) * 5
    for i in range(0, shape[0], 1000):
        file[i : i + 1000] = part[: shape[0] - i]
    file._mmap.close()
    return part


def hold_softmax_to_memory(shape, axis, memory):
    np.save("small.npy", np.zeros((3, 3)))
    part = made(shape, np.float32)
    taken = peak_of("softmax", "x.npy", "-o", "y.npy", "--axis", axis, "--max-memory", f"{memory}")
    size = os.path.getsize("x.npy")
    assert size > 2 * memory
    assert taken <= memory + 4 * MB  # and the memory of Python itself
    y = np.load("y.npy", mmap_mode="r")
    if axis == "1":
        exact = reference("softmax", part[:100], 1)
    else:
        whole = reference("logsumexp", part[:, :3], 0 if axis == "0" else None)
        times = shape[0] // 1000
        if axis == "0":
            exact_sum = np.exp(part[:100, :3].astype(np.longdouble) - whole.rounded()) / times
            np.testing.assert_allclose(y[:100, :3], exact_sum, rtol=1e-6)
        assert abs(np.sum(y[:1000], dtype=np.float64) * times - (shape[1] if axis == "0" else 1)) < 1e-3
        return
    assert np.max(ulp_error(y[:100], exact)) <= bound("softmax", 1)


@pytest.mark.unsanitized
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize("axis", ["0", "1", "none"])
def test_memory_stays_within_its_limit(axis):
    hold_softmax_to_memory((40_000, 500), axis, 20 * MB)


@pytest.mark.disk
@pytest.mark.parametrize("axis", ["0", "1", "none"])
def test_memory_stays_within_its_limit_for_8_gb(axis):
    hold_softmax_to_memory((1_000_000, 2000), axis, 512 * MB)


# What goes wrong ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nothing_left_behind(folder):
    before = sorted(os.listdir(folder))
    yield
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize("axis", ["0", "1"])
def test_a_file_that_shrinks_meanwhile_is_an_error(folder, capsys, monkeypatch, tiny_blocks, axis):
    np.save("x.npy", np.zeros((3000, 8)))
    inner = blocks.Job.read

    def shrinking(self, source, region):
        if len(tiny_blocks) == 3:
            os.truncate("x.npy", 5000)
        return inner(self, source, region)

    monkeypatch.setattr(blocks.Job, "read", shrinking)
    with nothing_left_behind(folder):
        message = error_of(capsys, ["softmax", "x.npy", "-o", "y.npy", "--axis", axis, "--max-memory", "1MB"])
    assert message == "cannot read 'x.npy': truncated"
    assert len(tiny_blocks) >= 3


def test_a_disk_that_cannot_be_read_is_an_error(folder, capsys, monkeypatch):
    np.save("x.npy", np.zeros((30, 8)))

    class Bad:
        def seek(self, _):
            raise OSError(5, "Input/output error")

        def tell(self):
            return 128

    inner = npy_format.NpyReader.__init__
    monkeypatch.setattr(npy_format.NpyReader, "__init__", lambda self, path, _, *rest: inner(self, path, Bad(), *rest))
    with nothing_left_behind(folder):
        message = error_of(capsys, ["softmax", "x.npy", "-o", "y.npy"])
    assert message == "cannot read 'x.npy': Input/output error"


def limited(arguments, size):
    """The exit code and the errors of a process that may write this many bytes: Python raises an OSError."""
    script = (
        "import resource, sys; from smoothmax.__main__ import main;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); sys.exit(main(sys.argv[1:]))"
    )
    run = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    return run.returncode, run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("axis", ["0", "1"])
def test_a_disk_that_fills_up_leaves_nothing_behind(folder, axis):
    np.save("x.npy", np.zeros((300_000, 8)))
    with nothing_left_behind(folder):
        code, message = limited(["softmax", "x.npy", "-o", "y.npy", "--axis", axis, "--max-memory", "1MB"], 10 * MB)
    assert (code, message) == (2, "smoothmax: error: cannot write 'y.npy': File too large\n")


def test_an_interrupt_leaves_nothing_behind(folder, capsys, monkeypatch, tiny_blocks):
    np.save("x.npy", np.zeros((3000, 8)))
    inner = npy_format.NpyWriter.__setitem__

    def interrupted(self, region, values):
        inner(self, region, values)
        if len(tiny_blocks) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(npy_format.NpyWriter, "__setitem__", interrupted)
    with nothing_left_behind(folder):
        assert (
            error_of(capsys, ["softmax", "x.npy", "-o", "y.npy", "--axis", "1", "--max-memory", "1MB"], 130)
            == "interrupted"
        )


# Options -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["512", "0MB", "lots", "5 TB", "-3MB", "1e9"])
def test_a_wrong_size_is_refused(capsys, text):
    message = error_of(capsys, ["softmax", "x.npy", "-o", "y.npy", f"--max-memory={text}"])
    assert message == f"max-memory must be a size such as 512MB or 2GiB, 1MB at least, got {text!r}"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1MB", MB),
        ("1.5 gb", 1500 * MB),
        ("2GiB", 2 << 30),
        ("512MiB", 512 << 20),
        ("2000000", 2 * MB),
        ("9" * 400, sys.maxsize),
        ("9" * 5000 + "GB", sys.maxsize),
    ],
)
def test_sizes_have_units_and_no_upper_limit(text, size):
    assert arguments.parse(["softmax", "x.npy", "-o", "y.npy", "--max-memory", text]).max_memory == size


@pytest.mark.parametrize(
    ("terminal", "options", "bar"), [(True, [], True), (True, ["--quiet"], False), (False, [], False)]
)
def test_only_a_terminal_shows_a_progress_bar(capsys, monkeypatch, terminal, options, bar):
    pytest.importorskip("tqdm")
    np.save("x.npy", np.zeros((300, 8)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert main(["softmax", "x.npy", "-o", "y.npy", *options]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert ("%|" in err) == bar
