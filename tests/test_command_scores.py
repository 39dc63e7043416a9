"""The command's top_log_probs and categorical: the bits of one call for blocks of any size, what is printed."""

import os

import numpy as np
import pytest
from block_files import RNG, numbers, run, saved, set_megabyte

import smoothmax
from smoothmax.__main__ import main
from smoothmax._scale import score_blocks
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


LENGTHS = (5, limits()["DRAW_TILE_ELEMENTS"], limits()["DRAW_TILE_ELEMENTS"] + 1)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((90, 40), -1), ((40, 90), 0), ((5, 40, 9), 1), ((3, 7, 2, 60), 3), ((60,), 0)], ids=str
)
@pytest.mark.parametrize("given", ["f8", ">f4", "f2", "g"])
def test_the_largest_are_those_of_one_call(read_blocks, order, shape, axis, given):
    x = saved("x", np.array(RNG.normal(size=shape) * 9, given, order=order))
    for k in (1, 20):
        run("top_log_probs", "x.npy", f"-k{k}", "-o", "v.npy", "--indices=i.npy", f"--axis={axis}")
        log_probs, indices = smoothmax.top_log_probs(x, k, axis)
        np.testing.assert_array_equal(np.load("v.npy"), log_probs)
        np.testing.assert_array_equal(np.load("i.npy"), indices)
        assert (np.load("v.npy").dtype, np.load("i.npy").dtype) == (log_probs.dtype, np.intp)
    assert len(read_blocks) > 2 or len(shape) == 1


def test_one_of_the_two_results_is_written_alone():
    x = saved("x", numbers((7, 9)))
    run("top_log_probs", "x.npy", "-k3", "-o", "v.npy")
    assert sorted(os.listdir()) == ["v.npy", "x.npy"]
    run("top_log_probs", "x.npy", "-k3", "--indices=i.npy")
    assert sorted(os.listdir()) == ["i.npy", "v.npy", "x.npy"]
    for name, wanted in zip("vi", smoothmax.top_log_probs(x, 3), strict=True):
        np.testing.assert_array_equal(np.load(f"{name}.npy"), wanted)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("beside", "axis", "size"),
    [
        ((200,), 1, None), ((200,), 0, None), ((3, 100), 1, None), ((2, 3, 50), -1, None), ((200,), 1, (3, 200)),
        ((50, 1), 1, (2, 50, 9)), ((), 0, None), ((), 0, (2000,)), ((30,), 1, (300, 30)),
    ],
    ids=str,
)  # fmt: skip
def test_draws_are_those_of_the_function_with_the_seed(
    monkeypatch, read_blocks, order, length, beside, axis, size, dtype
):
    """Blocks hold some rows, or where each is drawn from many times, some draws of few rows."""
    set_megabyte(monkeypatch, 30_000)
    shape = list(beside)
    shape.insert(axis if axis >= 0 else len(beside), length)
    x = saved("x", np.array(RNG.normal(size=shape), dtype, order=order))
    options = [] if size is None else [f"--size={','.join(map(str, size))}"]
    for seed, scale in ((3, 1.0), (4, 0.5)):
        run("categorical", "x.npy", "-o", "i.npy", f"--axis={axis}", f"--seed={seed}", f"--scale={scale}", *options)
        wanted = smoothmax.categorical(x, axis, size=size, scale=scale, rng=seed)
        np.testing.assert_array_equal(np.load("i.npy"), wanted)
        assert np.load("i.npy").dtype == np.intp
    assert len(read_blocks) > 2 or x.nbytes < 20_000


@pytest.mark.parametrize("given", ["f2", "i4", ">f8", "g"])
def test_draws_of_other_types(monkeypatch, read_blocks, given):
    set_megabyte(monkeypatch, 30_000)
    x = saved("x", (RNG.normal(size=(300, 60)) * 3).astype(given))
    run("categorical", "x.npy", "-o", "i.npy", "--seed=8")
    np.testing.assert_array_equal(np.load("i.npy"), smoothmax.categorical(x, rng=8))
    assert len(read_blocks) > 1


def test_blocks_of_short_rows_take_the_route_of_all_rows(monkeypatch):
    """Or a draw near the boundary of two elements could be another one, which too few draws would show."""
    set_megabyte(monkeypatch, 30_000)
    routes = []
    inner = score_blocks.arrays.drawn

    def noted(x, *rest):
        routes.append(explain(smoothmax.categorical, x, axis=rest[1])["name"])
        return inner(x, *rest)

    monkeypatch.setattr(score_blocks.arrays, "drawn", noted)
    in_block = 30_000 // (48 * 8 + score_blocks.DRAW_BYTES)
    assert in_block > limits()["SCORE_TILE_MIN_ROWS"] > 2
    for rows, size in (((in_block + 2,), ()), ((6,), (900, 6)), ((35, 2), (100, 35, 2))):
        saved("x", RNG.normal(size=(*rows, 48)))
        run("categorical", "x.npy", "-o", "i.npy", f"--size={','.join(map(str, size or rows))}")
    assert len(routes) > 5
    assert set(routes) == {"DRAWN_TILES"}


def test_without_a_seed_draws_differ():
    saved("x", np.zeros(1000))
    for name in "ij":
        run("categorical", "x.npy", "-o", f"{name}.npy", "--size=20")
    assert not np.array_equal(np.load("i.npy"), np.load("j.npy"))


# Printed -------------------------------------------------------------------------------------------------------------


def printed(capsys, *arguments):
    assert main(list(arguments)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_results_of_one_row_are_printed(capsys):
    x = saved("x", numbers((1, 50)))
    (log_probs,), (indices,) = smoothmax.top_log_probs(x, 4)
    wanted = "".join(f"{index} {value}\n" for index, value in zip(indices, log_probs, strict=True))
    assert printed(capsys, "top_log_probs", "x.npy", "-k4") == wanted
    assert printed(capsys, "top_log_probs", "x.npy", "-k0") == ""
    assert printed(capsys, "categorical", "x.npy", "--seed=1") == f"{smoothmax.categorical(x, rng=1)[0]}\n"
    draws = smoothmax.categorical(x, size=(2, 1), rng=1)
    assert printed(capsys, "categorical", "x.npy", "--seed=1", "--size=2,1") == f"{draws[0, 0]}\n{draws[1, 0]}\n"
