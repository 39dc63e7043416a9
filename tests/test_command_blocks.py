"""The command's functions of elements and matrices: the results of one call for blocks of any size, and memory."""

import io
import os
import sys

import numpy as np
import pytest
from block_files import RNG, must_be, npy, numbers, run, saved, set_megabyte
from product_reference import worst
from test_blocks import MB, peak_of
from test_command_streams import Pipe

import smoothmax
from smoothmax.__main__ import main
from smoothmax._scale import blocks, elementwise_blocks, product_blocks

ONE, TWO = ("log1mexp", "log1pexp", "log_expit"), ("logaddexp", "logsubexp")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Elements ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", "i4", "g"])
def test_a_function_of_one_operand_is_that_of_one_call(read_blocks, name, order, dtype):
    x = saved("x", numbers((40, 30, 3), dtype, order))
    run(name, "x.npy", "-o", "y.npy")
    must_be("y.npy", getattr(smoothmax, name)(x))
    assert len(read_blocks) > 1


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize(
    "shapes",
    [((40, 50), (40, 50)), ((40, 1), (1, 50)), ((7, 40, 50), (50,)), ((40, 50), ()), ((900,), (2, 1)), ((), ())],
    ids=str,
)
@pytest.mark.parametrize("orders", ["CC", "FF", "CF", "FC"])
def test_operands_broadcast(read_blocks, name, shapes, orders):
    x1, x2 = (saved(f"x{i + 1}", numbers(shapes[i], order=orders[i])) for i in range(2))
    run(name, "x1.npy", "x2.npy", "-o", "y.npy")
    must_be("y.npy", getattr(smoothmax, name)(x1, x2))
    assert len(read_blocks) > 4 or shapes == ((), ())


@pytest.mark.parametrize(
    ("types", "dtype"),
    [(("f4", "f8"), None), (("i2", "f2"), None), (("f8", "f8"), "float32"), (("?", "i8"), "float16")],
)
def test_types_are_those_of_the_ufunc(types, dtype):
    x1, x2 = (saved(f"x{i}", numbers((5, 6), kind)) for i, kind in enumerate(types, 1))
    run("logaddexp", "x1.npy", "x2.npy", "-o", "y.npy", *([f"--dtype={dtype}"] if dtype else []))
    must_be("y.npy", smoothmax.logaddexp(x1, x2, dtype=dtype))


def test_casts_that_overflow_say_nothing(capsys):
    saved("x", np.array([1e30, -1e-30, 0.0]))
    run("log1pexp", "x.npy", "-o", "y.npy", "--dtype=float16")
    must_be("y.npy", np.array([np.inf, np.log(2), np.log(2)], np.float16))
    assert capsys.readouterr() == ("", "")


def test_a_number_has_a_say_in_the_type(dtype):
    """By its value, where NumPy is older than 2."""
    x1, x2 = saved("x1", numbers(9, dtype)), saved("x2", np.array(-1e300))
    run("logaddexp", "x1.npy", "x2.npy", "-o", "y.npy")
    must_be("y.npy", smoothmax.logaddexp(x1, x2))


def test_files_that_fit_into_memory_are_one_block(read_blocks):
    a, b = saved("a", numbers((30, 9))), saved("b", numbers((9, 5)))
    run("logaddexp", "a.npy", "a.npy", "-o", "y.npy")
    must_be("y.npy", smoothmax.logaddexp(a, a))
    run("logmatmulexp", "a.npy", "b.npy", "-o", "y.npy")
    must_be("y.npy", smoothmax.logmatmulexp(a, b))
    run("top_log_probs", "a.npy", "-k9", "-o", "y.npy")
    must_be("y.npy", smoothmax.top_log_probs(a, 9)[0])
    run("categorical", "a.npy", "--seed=5", "--size=4,30", "-o", "y.npy")
    must_be("y.npy", smoothmax.categorical(a, size=(4, 30), rng=5))
    assert len(read_blocks) == 6


def test_files_without_elements():
    x = saved("x", np.zeros((0, 3), np.float32))
    saved("y", np.zeros(3))
    run("logaddexp", "x.npy", "y.npy", "-o", "z.npy")
    must_be("z.npy", smoothmax.logaddexp(x, np.zeros(3)))
    for k in (0, 2):
        run("top_log_probs", "x.npy", f"-k{k}", "-o", "v.npy", "--indices=i.npy")
        assert (np.load("v.npy").shape, np.load("i.npy").shape) == ((0, k), (0, k))
    run("categorical", "x.npy", "-o", "z.npy")
    assert np.load("z.npy").shape == (0,)
    saved("w", np.zeros((3, 0)))
    run("categorical", "w.npy", "--size=0,3", "-o", "z.npy")  # no draw needs an element
    assert np.load("z.npy").shape == (0, 3)
    saved("a", np.zeros((0, 3)))
    saved("b", np.zeros((3, 0)))
    run("logmatmulexp", "a.npy", "b.npy", "-o", "z.npy")
    assert np.load("z.npy").shape == (0, 0)
    run("logmatmulexp", "b.npy", "a.npy", "-o", "z.npy")
    np.testing.assert_array_equal(np.load("z.npy"), np.full((3, 3), -np.inf))


# Products ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "shapes",
    [
        ((90, 5), (5, 7)), ((200, 5), (5,)), ((5,), (5, 7)), ((5,), (5,)), ((3, 40, 5), (5, 7)), ((40, 5), (3, 5, 7)),
        ((3, 1, 40, 5), (4, 5, 7)), ((60, 2, 3), (60, 3, 2)),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("options", [[], ["--exact"]], ids=["matmul", "exact"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_product_is_that_of_one_call(read_blocks, shapes, options, order, dtype):
    a, b = (saved(name, numbers(shape, dtype, order)) for name, shape in zip("ab", shapes, strict=True))
    run("logmatmulexp", "a.npy", "b.npy", "-o", "c.npy", *options)
    wanted = smoothmax.logmatmulexp(a, b, exact=bool(options))
    got = np.load("c.npy")
    assert (got.shape, got.dtype) == (wanted.shape, dtype)
    if options:
        np.testing.assert_array_equal(got, wanted)
    else:
        np.testing.assert_allclose(got, wanted, rtol=4 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)
    assert len(read_blocks) > 2 or a.size < 300


@pytest.mark.parametrize("options", [[], ["--exact"]], ids=["matmul", "exact"])
def test_a_product_in_blocks_has_its_bound(monkeypatch, dtype, options):
    set_megabyte(monkeypatch, 6500)
    a, b = (saved(name, (RNG.normal(size=shape) * 30).astype(dtype)) for name, shape in (("a", (60, 9)), ("b", (9, 5))))
    run("logmatmulexp", "a.npy", "b.npy", "-o", "c.npy", *options)
    assert worst(np.load("c.npy"), a, b, bool(options)) <= 1


@pytest.mark.parametrize("types", [("f2", "f4"), ("i4", "f4"), ("g", "f8"), ("D", "f8"), (">f8", ">f8")])
@pytest.mark.usefixtures("small_blocks")
def test_types_of_products(types):
    a, b = saved("a", numbers((50, 4), types[0])), saved("b", numbers((4, 3), types[1]))
    run("logmatmulexp", "a.npy", "b.npy", "-o", "c.npy")
    wanted = smoothmax.logmatmulexp(a, b)
    assert np.load("c.npy").dtype == wanted.dtype
    np.testing.assert_allclose(np.load("c.npy"), wanted, rtol=1e-3 if wanted.dtype == "f2" else 1e-6)


# Stores --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--dtype=float32"]], ids=["as it is", "float32"])
def test_stores_have_the_results_of_one_call(capsys, options):
    zarr = pytest.importorskip("zarr")
    pytest.importorskip("dask")
    arrays = {"a": numbers((30, 8)), "b": numbers((8, 5)), "row": numbers(8)}
    for name, x in arrays.items():
        zarr.open(f"{name}.zarr", mode="w", shape=x.shape, chunks=(7, 3)[: x.ndim], dtype=x.dtype)[...] = x
    a, b, row = arrays.values()
    dtype = {"dtype": "float32"} if options else {}
    for command, wanted in (
        (["logaddexp", "a.zarr", "row.zarr", *options], smoothmax.logaddexp(a, row, **dtype)),
        (["log1mexp", "a.zarr", *options], smoothmax.log1mexp(a, **dtype)),
        (["logmatmulexp", "a.zarr", "b.zarr", *options], smoothmax.logmatmulexp(a, b, **dtype)),
        (["categorical", "a.zarr", "--seed=2", "--scale=2"], smoothmax.categorical(a, scale=2, rng=2)),
        (["categorical", "a.zarr", "--axis=0", "--seed=2"], smoothmax.categorical(a, axis=0, rng=2)),
    ):
        assert main([*command, "-o", "y.zarr", "--force"]) == 0
        got = zarr.open("y.zarr", mode="r")[...]
        assert got.dtype == wanted.dtype
        error = 1e-5 if options else 1e-14
        np.testing.assert_allclose(got, wanted, rtol=error, atol=error)
    zarr.open("a.zarr", mode="r+")[0, 0] = -1e300
    assert main(["log1mexp", "a.zarr", "-o", "y.zarr", "--force", *options]) == 0
    assert zarr.open("y.zarr", mode="r")[0, 0] == 0
    assert capsys.readouterr() == ("", "")


# Memory --------------------------------------------------------------------------------------------------------------


@pytest.mark.unsanitized
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize(
    "command",
    [
        ["logaddexp", "x.npy", "x.npy"], ["logaddexp", "x.npy", "row.npy"], ["logmatmulexp", "x.npy", "matrix.npy"],
        ["top_log_probs", "x.npy", "-k20", "--indices=i.npy"],
        ["categorical", "x.npy"], ["categorical", "few.npy", "--size=2000000,4"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_memory_stays_within_its_limit(command):
    memory = 12 * MB
    saved("small", np.zeros((3, 3)))
    saved("few", np.zeros((4, 3), np.float32))
    saved("row", np.zeros(500, np.float32))
    saved("matrix", np.zeros((500, 200), np.float32))
    file = np.lib.format.open_memmap("x.npy", "w+", np.float32, (20_000, 500))
    file[:] = np.arange(500) / 100
    file._mmap.close()
    assert os.path.getsize("x.npy") > 3 * memory
    assert peak_of(*command, "-o", "y.npy", "--max-memory", str(memory)) <= memory + 4 * MB


def test_a_block_has_at_most_so_many_bytes(monkeypatch, read_blocks):
    """However much memory there is, since larger blocks gain nothing."""
    for module in (blocks, elementwise_blocks, product_blocks):
        monkeypatch.setattr(module, "BLOCK_BYTES", 4000)
    monkeypatch.setattr(blocks, "STRETCH_MIN_BYTES", 64)
    saved("x", numbers((400, 10)))
    saved("b", numbers((10, 3)))
    for command in (
        ["log1pexp", "x.npy"], ["logmatmulexp", "x.npy", "b.npy"], ["top_log_probs", "x.npy", "-k2"],
        ["categorical", "x.npy"],
    ):  # fmt: skip
        read_blocks.clear()
        assert main([*command, "-o", "y.npy", "--force"]) == 0
        assert max(part.nbytes for part in read_blocks) <= 4000


# Streams -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piped", [0, 1])
def test_either_operand_may_come_through_a_pipe(monkeypatch, piped):
    arrays = [saved("a", numbers((30, 9))), saved("b", numbers((9, 9)))]
    names = ["a.npy", "b.npy"]
    names[piped] = "-"
    stdout = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe(npy(arrays[piped])))
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["logmatmulexp", *names, "-o", "-"]) == 0
    np.testing.assert_array_equal(np.load(io.BytesIO(stdout.taken)), smoothmax.logmatmulexp(*arrays))
