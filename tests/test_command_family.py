"""The command's means, scans, segments and scale: results for files of any size, order and type, and error lines."""

import numpy as np
import pytest
from block_files import note_reads, set_megabyte
from bounds import LOGCUMSUMEXP
from command import error_of
from exact_prefixes import prefixes, worst

import smoothmax
from smoothmax.__main__ import main
from smoothmax._cli import values
from smoothmax._scale import blocks, npy, npy_format, scanned_blocks, segmented_blocks

RNG = np.random.default_rng(30)
OFFSETS = np.array([0, 1, 1, 9, 20])
SEGMENTS = ("segment_logsumexp", "segment_softmax", "segment_log_softmax")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("offsets.npy", OFFSETS)
    return tmp_path


@pytest.fixture(params=[True, False], ids=["blocks", "whole"])
def read(request, monkeypatch):
    """The blocks that were read: of a few hundred elements, or whole files."""
    taken = note_reads(monkeypatch)
    if request.param:
        set_megabyte(monkeypatch, 3000)
        monkeypatch.setattr(segmented_blocks, "STRETCH_MIN_BYTES", 64)
        monkeypatch.setattr(npy, "WHOLE_RESULT_BYTES", 100)
        for module in (blocks, scanned_blocks, segmented_blocks):
            monkeypatch.setattr(module, "BLOCK_BYTES", 3000)
    taken.append(request.param)
    return taken


def check_blocks(read, x):
    """Assert that the file was read in small parts, if the test needs that."""
    small, *parts = read
    assert not small or max(part.size for part in parts) < x.size / 3


def result_of(function, x, *options):
    np.save("x.npy", x)
    memory = "1MB" if "mb" in values.UNITS and values.UNITS["mb"] == 3000 else "512MB"
    assert main([function, "x.npy", "-o", "y.npy", "--force", "--max-memory", memory, *options]) == 0
    return np.load("y.npy")


def close(dtype):
    return {"rtol": 1e-13} if dtype == np.float64 else {"rtol": 1e-5, "atol": 1e-6}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", ["none", "0", "1", "0,2"])
def test_means_of_files_are_those_of_one_call(read, order, axis, dtype):
    x = np.array(RNG.normal(size=(20, 30, 7)), dtype, order=order)
    axes = None if axis == "none" else tuple(map(int, axis.split(",")))
    for options in ([], ["--keepdims"], ["--scale", "-1e-1"]):
        got = result_of("logmeanexp", x, f"--axis={axis}", *options)
        keywords = {"scale": -0.1} if "--scale" in options else {"keepdims": "--keepdims" in options}
        wanted = smoothmax.logmeanexp(x, axes, **keywords)
        assert (got.shape, got.dtype) == (np.shape(wanted), dtype)
        np.testing.assert_allclose(got, wanted, **close(dtype))
    check_blocks(read, x)


@pytest.mark.parametrize("function", ["logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1])
def test_scaled_results_of_files_are_those_of_one_call(read, function, axis, dtype):
    x = RNG.normal(size=(300, 9)).astype(dtype)
    got = result_of(function, x, f"--axis={axis}", "--scale=-0.5")
    np.testing.assert_allclose(got, getattr(smoothmax, function)(x, axis, scale=-0.5), **close(dtype))
    check_blocks(read, x)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", ["none", "0", "1", "-1"])
@pytest.mark.parametrize("options", [(), ("--reverse",), ("--exclusive",), ("--reverse", "--exclusive")], ids=str)
def test_scans_of_files_are_those_of_one_call(read, order, axis, options, dtype):
    x = np.array(RNG.normal(size=(20, 30, 7)) * 10, dtype, order=order)
    got = result_of("logcumsumexp", x, f"--axis={axis}", *options)
    flags = {name[2:]: True for name in options}
    wanted = smoothmax.logcumsumexp(x, None if axis == "none" else int(axis), **flags)
    assert (got.shape, got.dtype) == (wanted.shape, dtype)
    assert got.flags.f_contiguous == (order == "F" or got.ndim == 1)
    np.testing.assert_allclose(got, wanted, **close(dtype))
    check_blocks(read, x)


def test_every_prefix_of_many_blocks_has_the_bound(read, dtype):
    for x in (np.r_[0.0, np.full(900, -40.0)], np.full(900, -np.log(2.0)) + RNG.normal(size=900) * 1e-9):
        x = x.astype(dtype)
        assert worst(result_of("logcumsumexp", x), prefixes(x))[0] <= LOGCUMSUMEXP
    assert not read[0] or len(read) > 5


@pytest.mark.parametrize("function", SEGMENTS)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_segments_of_files_are_those_of_one_call(read, function, order, axis, dtype):
    x = np.array(RNG.normal(size=(20, 20, 20)), dtype, order=order)
    options = [] if axis == 0 else [f"--axis={axis}"]
    got = result_of(function, x, "--offsets", "offsets.npy", *options)
    wanted = getattr(smoothmax, function)(x, OFFSETS, axis)
    assert (got.shape, got.dtype) == (wanted.shape, dtype)
    np.testing.assert_allclose(got, wanted, **close(dtype))
    check_blocks(read, x)


@pytest.mark.parametrize("function", SEGMENTS)
def test_segments_longer_than_a_block(read, function):
    """Long segments are separate reductions, between short and empty ones."""
    x, offsets = RNG.normal(size=3000), np.array([0, 0, 5, 2000, 2003, 2003, 2990, 3000, 3000])
    np.save("offsets.npy", offsets)
    got = result_of(function, x, "--offsets=offsets.npy")
    np.testing.assert_allclose(got, getattr(smoothmax, function)(x, offsets), rtol=1e-13)
    for columns in (2, 50):
        many = result_of(function, np.repeat(x[:, None], columns, axis=1), "--offsets=offsets.npy")
        np.testing.assert_allclose(many[:, -1], got, rtol=1e-13)
    check_blocks(read, x)


def test_columns_are_not_read_one_by_one(monkeypatch):
    """Where few columns at a time would let segments fit, the file would be read in stretches of few elements."""
    monkeypatch.setattr(segmented_blocks, "BLOCK_BYTES", 16_000)
    monkeypatch.setattr(segmented_blocks, "STRETCH_MIN_BYTES", 800)
    lengths = []
    whole = npy_format.stretches

    def noted(shape, region):
        starts, length = whole(shape, region)
        lengths.append(length)
        return starts, length

    monkeypatch.setattr(npy_format, "stretches", noted)
    x = RNG.normal(size=(100, 200))
    np.save("offsets.npy", [0, 99, 100])
    got = result_of("segment_softmax", x, "--offsets=offsets.npy")
    np.testing.assert_allclose(got, smoothmax.segment_softmax(x, [0, 99, 100]), rtol=1e-13)
    assert lengths[0] == 3  # offsets
    assert min(lengths[1:]) >= 200


@pytest.mark.parametrize("dtype", ["f2", "i2", ">f8", "g", "D"])
def test_every_type_has_the_bits_of_one_call(dtype):
    x = (RNG.normal(size=(6, 20)) * 3).astype(dtype)
    np.testing.assert_array_equal(result_of("logmeanexp", x, "--axis=1"), smoothmax.logmeanexp(x, 1))
    np.testing.assert_array_equal(result_of("logcumsumexp", x, "--axis=1"), smoothmax.logcumsumexp(x, 1))
    got = result_of("segment_softmax", x, "--offsets=offsets.npy", "--axis=1")
    np.testing.assert_array_equal(got, smoothmax.segment_softmax(x, OFFSETS, 1))


def test_files_without_elements_and_axes():
    np.testing.assert_array_equal(result_of("logmeanexp", np.zeros((0, 3)), "--axis=0"), [np.nan] * 3)
    assert result_of("logcumsumexp", np.zeros((0, 3)), "--axis=0").shape == (0, 3)
    np.testing.assert_array_equal(result_of("logcumsumexp", np.float64(3)), [3.0])
    np.save("offsets.npy", [0, 0, 0])
    got = result_of("segment_logsumexp", np.zeros((0, 2)), "--offsets=offsets.npy")
    np.testing.assert_array_equal(got, np.full((2, 2), -np.inf))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["logcumsumexp", "--axis=0,1"], "axis must be one integer, got '0,1'"),
        (["logcumsumexp", "--axis=7"], "axis 7 is out of bounds for array of dimension 2"),
        (["logcumsumexp", "--scale=2"], "unrecognized arguments: --scale=2"),
        (["logmeanexp", "--scale", "two"], "scale must be a number, got 'two'"),
        (["segment_softmax"], "the following arguments are required: --offsets"),
        (["segment_softmax", "--offsets=offsets.npy", "--axis=none"], "axis must be an integer, got 'none'"),
        (["segment_softmax", "--offsets=offsets.npy", "--axis=2"], "axis 2 is out of bounds for array of dimension 2"),
        (["segment_softmax", "--offsets=none.npy"], "cannot read 'none.npy': No such file or directory"),
        (
            ["segment_softmax", "--offsets=offsets.npy", "--axis=1"],
            "'offsets.npy': offsets must be from 0 to 3, the length of the axis, got offsets[3] = 9",
        ),
        (["segment_softmax", "--offsets=floats.npy"], "'floats.npy': offsets must be integers, got dtype float64"),
    ],
)
def test_what_is_wrong_is_named_and_so_is_its_file(capsys, folder, command, message):
    np.save("x.npy", np.zeros((20, 3)))
    np.save("floats.npy", np.zeros(3))
    assert error_of(capsys, [command[0], "x.npy", "-o", "y.npy", *command[1:]]) == message
    assert not (folder / "y.npy").exists()


@pytest.mark.parametrize("axis", ["0", "1"])
def test_stores_have_the_results_of_one_call(axis):
    zarr = pytest.importorskip("zarr")
    pytest.importorskip("dask")
    x, i = RNG.normal(size=(20, 20)), int(axis)
    zarr.open("x.zarr", mode="w", shape=x.shape, chunks=(7, 6), dtype=x.dtype)[:] = x
    calls = {
        "logmeanexp": (["--scale=2"], smoothmax.logmeanexp(x, i, scale=2)),
        "logcumsumexp": (["--exclusive"], smoothmax.logcumsumexp(x, i, exclusive=True)),
        "segment_logsumexp": (["--offsets=offsets.npy"], smoothmax.segment_logsumexp(x, OFFSETS, i)),
        "segment_softmax": (["--offsets=offsets.npy"], smoothmax.segment_softmax(x, OFFSETS, i)),
    }
    for function, (options, wanted) in calls.items():
        assert main([function, "x.zarr", "-o", "y.zarr", "--force", f"--axis={axis}", *options]) == 0
        np.testing.assert_allclose(zarr.open("y.zarr", mode="r")[...], wanted, rtol=1e-13)
    assert main(["logcumsumexp", "x.zarr", "-o", "y.zarr", "--force"]) == 0
    np.testing.assert_allclose(zarr.open("y.zarr", mode="r")[...], smoothmax.logcumsumexp(x), rtol=1e-13)
