"""smoothmax.dask: lazy, in any blocks, with the results of one array; threads, and a cluster that loses a worker."""

import os
import subprocess
import sys
import threading

import dask
import dask.array as da
import numpy as np
import pytest
from bounds import LOG_PROB, bound
from dask.callbacks import Callback
from oracle import reference, ulp_error

import smoothmax
import smoothmax._scale.dask_blocks as blocks_of
import smoothmax.dask as lazy

RNG = np.random.default_rng(11)
X = RNG.normal(size=(5, 12, 7)) * 20  # small, because each block takes time
B = RNG.normal(size=(5, 1, 7))
MASK = RNG.random((12, 7)) < 0.7
BLOCKS = [(5, 12, 7), (3, 4, 5), (1, 12, 1), ((2, 0, 3), (4, 8), (7,))]
AXES = [None, 0, 1, -1, (0, 1), (0, 2), (0, 1, 2), ()]


def no_task(*_):
    raise AssertionError("computed something")


@pytest.fixture
def nothing_runs():
    with dask.config.set(scheduler=no_task):
        yield


@pytest.mark.parametrize("together", [0, 1000, 1 << 25])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_results_are_within_the_promise_in_any_blocks(name, dtype, axis, blocks, together, monkeypatch):
    monkeypatch.setattr(blocks_of, "TASK_BYTES", together)
    x = X.astype(dtype)
    result = getattr(lazy, name)(da.from_array(x, chunks=blocks), axis)
    exact = reference(name, x, axis)
    got = result.compute(scheduler="threads")
    assert (result.shape, result.dtype) == (got.shape, got.dtype) == (exact.high.shape, dtype)
    assert np.max(ulp_error(got, exact)) <= bound(name, 1)
    again = getattr(lazy, name)(da.from_array(x, chunks=blocks), axis).compute(scheduler="sync")
    np.testing.assert_array_equal(again, got)


def test_blocks_whose_sum_is_small_are_summed_carefully(dtype):
    """The top is 1, the others are 2**-16 that rounding changes most: 8000 roundings of one sign are 1.3 ULP."""
    near = np.unique((-16 * np.log(2.0) + np.linspace(0, 1e-2, 100_000)).astype(dtype))
    exact = np.exp(near.astype(np.longdouble))
    for worst in near[np.argsort(np.abs(exact.astype(dtype) - exact) / exact)[-8:]]:
        x = np.full(8000, worst)
        x[0] = 0
        x[4300] += dtype(0.5)  # the top of a block is counted, not rounded
        result = lazy.logsumexp(da.from_array(x, chunks=4300)).compute(scheduler="sync")
        assert ulp_error(result, reference("logsumexp", x, None)) <= 1


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_weights_masks_and_keepdims(axis, blocks):
    x, mask = da.from_array(X, chunks=blocks), da.from_array(MASK, chunks=(8, 7))
    lazy_b, odd = da.from_array(B, chunks=(2, 1, 3)), (AXES.index(axis) + BLOCKS.index(blocks)) % 2
    for i, (b, plain) in enumerate(((lazy_b, B), (B, B), (2, 2), (-1.5, -1.5))):
        keepdims = i % 2 == odd  # each with each
        wanted = smoothmax.logsumexp(X, axis, plain, keepdims, True, where=MASK)
        got = lazy.logsumexp(x, axis, b, keepdims, True, where=mask)
        assert [one.shape for one in got] == [one.shape for one in wanted]
        for one, other in zip(dask.compute(*got, scheduler="sync"), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)
    for name in ("softmax", "log_softmax"):
        got = getattr(lazy, name)(x, axis, where=mask).compute(scheduler="sync")
        np.testing.assert_allclose(got, getattr(smoothmax, name)(X, axis, where=MASK), rtol=1e-14)


def test_broadcasting_widens():
    x, mask, b = RNG.normal(size=(1, 6)), RNG.random((4, 1, 6)) < 0.5, RNG.normal(size=(5, 1))
    lazy_x, lazy_mask = da.from_array(x, chunks=(1, 4)), da.from_array(mask, chunks=(3, 1, 2))
    for axis in (None, 0, 1, 2, (0, 2)):
        got = lazy.logsumexp(lazy_x, axis, da.from_array(b, chunks=2), True, True, where=lazy_mask)
        for one, other in zip(got, smoothmax.logsumexp(x, axis, b, True, True, where=mask), strict=True):
            np.testing.assert_allclose(one.compute(scheduler="sync"), other, rtol=1e-13)
        got = lazy.softmax(lazy_x, axis, where=lazy_mask)
        np.testing.assert_allclose(got.compute(scheduler="sync"), smoothmax.softmax(x, axis, where=mask), rtol=1e-14)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)], ids=str)
def test_unknown_lengths_give_the_results_of_known_ones(name, axis):
    x = da.from_array(X, chunks=(3, 5, 7))
    chosen = x[x[:, 0, 0] > 0]
    assert 0 < np.sum(X[:, 0, 0] > 0) < len(X)
    assert np.isnan(chosen.shape[0])
    wanted = getattr(smoothmax, name)(X[X[:, 0, 0] > 0], axis)
    np.testing.assert_allclose(getattr(lazy, name)(chosen, axis).compute(scheduler="sync"), wanted, rtol=1e-14)


@pytest.mark.parametrize("blocks", [300, 1000])
def test_results_without_axes_compute_to_scalars(name, dtype, blocks):
    x = da.zeros(1000, chunks=blocks, dtype=dtype)
    f = getattr(lazy, name)
    if name == "logsumexp":
        results = [f(x), f(x, 0), f(x, b=dtype(2)), *f(x, return_sign=True), *f(x + 0, b=x, return_sign=True)]
    else:
        results = [f(x[0]), f(x[0], where=x[1] == 0), f(x[0], axis=())]
    for result in results:
        assert result.ndim == 0
        assert type(result.compute(scheduler="sync")) is dtype


@pytest.mark.parametrize("b", [1e-60, 1e300, -1e300, 1e-320, 3.5e38])
@pytest.mark.parametrize("result", ["float32", "float16"])
@pytest.mark.parametrize("blocks", [2, 1])
def test_weights_keep_their_own_range(b, result, blocks):
    x = da.from_array(np.array([10, 20], result), chunks=blocks)
    exact = np.log(abs(b)) + np.logaddexp(10, 20)
    for got in (
        lazy.logsumexp(x, b=b, return_sign=True),
        lazy.logsumexp(x, b=np.full(2, b), dtype=result, return_sign=True),
        lazy.logsumexp(x, b=da.full(2, b, chunks=blocks), dtype=result, return_sign=True),
    ):
        value, sign = dask.compute(*got, scheduler="sync")
        assert value.dtype == sign.dtype == got[0].dtype == result
        assert abs(value - exact) <= np.spacing(np.abs(value), dtype=result)
        assert sign == np.sign(b)
    assert abs(lazy.logsumexp(x, b=abs(b)).compute(scheduler="sync") - exact) <= np.spacing(np.abs(value), dtype=result)


SPECIAL = np.array([[1, np.inf, 2, 3], [-np.inf] * 4, [np.nan, 1, 2, np.inf], [-np.inf, 0, -np.inf, 0]])


def test_special_values_are_those_of_arrays(name):
    for blocks in ((4, 4), (1, 1), (4, 2)):
        got = getattr(lazy, name)(da.from_array(SPECIAL, chunks=blocks), 1).compute(scheduler="sync")
        np.testing.assert_array_equal(got, getattr(smoothmax, name)(SPECIAL, 1))


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0)], ids=str)
def test_empty_arrays_and_scalars_have_the_results_of_arrays(name, shape):
    x = da.zeros(shape)
    for axis in (None, *range(len(shape))):
        got = getattr(lazy, name)(x, axis).compute(scheduler="sync")
        np.testing.assert_array_equal(got, getattr(smoothmax, name)(np.zeros(shape), axis))


@pytest.mark.parametrize(
    ("given", "dtype", "result"),
    [
        ("f4", None, "f4"),
        ("i4", None, "f8"),
        ("f2", None, "f2"),
        ("?", None, "f8"),
        ("f8", "f4", "f4"),
        (">f4", None, "f4"),
    ],
)
@pytest.mark.usefixtures("nothing_runs")
def test_types_are_known_without_computing(name, given, dtype, result):
    value = getattr(lazy, name)(da.ones((4, 4), dtype=given, chunks=2), 0, dtype=dtype)
    assert value.dtype == value._meta.dtype == result
    assert type(value._meta) is np.ndarray
    assert value._meta.ndim == value.ndim
    with dask.config.set(scheduler="sync"):
        assert value.compute().dtype == result


def test_weights_take_part_in_the_type():
    x = da.ones(4, chunks=2, dtype="f4")
    for b, result in ((2.0, "f4"), (np.float64(2), "f8"), (np.ones(4, "f4"), "f4"), (da.ones(4, chunks=1), "f8")):
        assert lazy.logsumexp(x, b=b).dtype == lazy.logsumexp(x, b=b).compute(scheduler="sync").dtype == result


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda f, x: f(x, 5), np.exceptions.AxisError, "axis 5 is out of bounds for array of dimension 2"),
        (lambda f, x: f(x, (0, 0)), ValueError, "axis 0 is given more than once in axis=(0, 0)"),
        (lambda f, x: f(x, "0"), TypeError, "axis must be None, an int or a tuple of ints, got '0'"),
        (lambda f, x: f(x, dtype=int), TypeError, "dtype must be float32, float64, float16 or bfloat16, got int64"),
        (lambda f, x: f(x * 1j), TypeError, "dtype must be float32, float64, float16 or bfloat16, got complex128"),
        (lambda f, x: f(x, where=x), TypeError, "where must be an array of bool, got dtype float64"),
        (
            lambda f, x: f(x, where=da.ones(3, dtype=bool)),
            ValueError,
            "where of shape (3,) does not broadcast with the input of shape (4, 4)",
        ),
        (
            lambda f, x: f(da.ma.masked_equal(x, 1)),
            TypeError,
            None,
        ),
    ],
)
@pytest.mark.usefixtures("nothing_runs")
def test_refused_before_anything_is_computed(name, call, error, text):
    with pytest.raises(error) as caught:
        call(getattr(lazy, name), da.ones((4, 4), chunks=2))
    assert "where=" in str(caught.value) if text is None else str(caught.value) == text


def test_split_every_sets_how_many_sums_a_task_merges():
    x = da.from_array(X, chunks=(1, 12, 7)) + 0  # blocks in memory would be reduced together
    wanted = smoothmax.logsumexp(X)
    tasks = []
    for every in ({0: 2}, {0: 5}):
        result = lazy.logsumexp(x, split_every=every)
        np.testing.assert_allclose(result.compute(scheduler="sync"), wanted, rtol=1e-15)
        tasks.append(len(result.__dask_graph__()))
    assert tasks[0] > tasks[1]


def test_no_more_tasks_than_blocks_and_merges():
    """When Dask fuses a task with its block, it renames the task and leaves an alias, which it also schedules."""
    x, targets = da.from_array(np.zeros((100, 4)), chunks=(1, 4)), da.from_array(np.zeros(100, int), chunks=1)
    row = da.zeros(400, chunks=4)
    for result in (lazy.logsumexp(x, 1), lazy.logsumexp(row), lazy.softmax(x, 1), lazy.cross_entropy(x, targets)):
        assert 100 <= tasks_run(result) < 120


def tasks_run(result):
    run = []
    with Callback(pretask=lambda key, *_: run.append(key)):
        result.compute(scheduler="sync")
    return len(run)


@pytest.mark.parametrize(("bytes_", "groups"), [(0, 100), (1600, 50), (9600, 9), (1 << 25, 1)])
def test_a_task_reduces_blocks_in_memory_together(bytes_, groups, monkeypatch):
    """100 blocks of 800 bytes, along one reduced axis or two. Blocks that have yet to be computed are not combined."""
    monkeypatch.setattr(blocks_of, "TASK_BYTES", bytes_)
    x = RNG.normal(size=(100, 100))
    for chunks in ((1, 100), (10, 10)):
        blocks = da.from_array(x, chunks=chunks)
        for one in (blocks, blocks.persist(scheduler="sync")):
            result = lazy.logsumexp(one)
            assert groups <= tasks_run(result) < groups * 1.3 + 4
            assert result.compute(scheduler="sync") == pytest.approx(smoothmax.logsumexp(x), rel=1e-15)
        assert tasks_run(lazy.logsumexp(blocks + 0)) >= 100


# The top-level functions ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_runs")
def test_functions_of_dask_arrays_are_dask_arrays(name, function):
    x, mask = da.from_array(X, chunks=4), da.from_array(MASK, chunks=5)
    results = [function(x, 1), function(x, where=MASK), function(X, where=mask)]
    if name == "logsumexp":
        results += [*function(x, 1, B, True, True), function(X, b=da.from_array(B, chunks=3))]
    assert all(isinstance(result, da.Array) for result in results)
    with dask.config.set(scheduler="sync"):
        np.testing.assert_allclose(results[0].compute(), function(X, 1), rtol=1e-14)
        np.testing.assert_allclose(results[2].compute(), function(X, where=MASK), rtol=1e-14)
    with pytest.raises(TypeError) as caught:
        function(x, out=np.empty(X.shape))
    text = "out must be None for a dask array, whose results are those of smoothmax.dask, got ndarray"
    assert str(caught.value) == text


def test_dask_is_not_imported_for_other_arguments():
    script = """
        import sys, numpy as np, smoothmax
        smoothmax.logsumexp([1.0, 2.0], b=[1, 2], where=[True, False])
        smoothmax.softmax(np.ones(3), where=np.ones(3, bool))
        assert not [name for name in sys.modules if name.partition(".")[0] == "dask" or name == "smoothmax.dask"]
    """
    subprocess.run([sys.executable, "-c", script.replace("\n        ", "\n")], check=True)


@pytest.mark.parametrize("blocks", [{"time": 2}, {"class": 2}], ids=str)
def test_xarrays_keep_their_dimensions(name, function, blocks):
    xarray = pytest.importorskip("xarray")
    x = xarray.DataArray(X[0], dims=("time", "class")).chunk(blocks)
    core = [] if name == "logsumexp" else ["class"]
    result = xarray.apply_ufunc(
        function, x, input_core_dims=[["class"]], output_core_dims=[core], kwargs={"axis": -1}, dask="allowed"
    )
    assert isinstance(result.data, da.Array)
    np.testing.assert_allclose(result.compute(scheduler="sync"), function(X[0], axis=-1), rtol=1e-14)


# Threads and processes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0])
def test_a_task_uses_one_thread(name, axis, monkeypatch):
    used = set()
    for module, function in ((lazy.states, "reduced"), (lazy.states, "written"), (smoothmax._api.functions, name)):
        whole = getattr(module, function)

        def noted(*arguments, whole=whole, **keywords):
            used.add((threading.get_ident(), smoothmax.get_num_threads()))
            return whole(*arguments, **keywords)

        monkeypatch.setattr(module, function, noted)
    before = smoothmax.get_num_threads()
    getattr(lazy, name)(da.zeros((100_000, 4), chunks=(50_000, 4)), axis).compute(scheduler="threads", num_workers=2)
    assert used
    assert {threads for _, threads in used} == {1}
    assert smoothmax.get_num_threads() == before


def die_once(block, marker):
    """Kill the process that meets this block first."""
    if block[0, 0] == 13:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return block
        os._exit(1)
    return block


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # distributed's own, about the worker that dies
def test_a_cluster_that_loses_a_worker(tmp_path):
    distributed = pytest.importorskip("distributed")
    x = np.random.default_rng(12).normal(size=(40, 5000)) * 30
    x[7, 0] = 13
    marker = tmp_path / "died"
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "60s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = set(client.run(os.getpid).values())
        assert len(pids) == 2
        assert os.getpid() not in pids
        blocks = da.from_array(x, chunks=(1, 2500)).map_blocks(die_once, str(marker), dtype=x.dtype)
        loss = lazy.cross_entropy(blocks, np.arange(40), reduction="none")
        results = client.compute([lazy.logsumexp(blocks, 1), lazy.softmax(blocks, 1), lazy.logsumexp(blocks), loss])
        values = client.gather(results)
    assert marker.exists()
    for name, axis, value in (("logsumexp", 1, values[0]), ("softmax", 1, values[1]), ("logsumexp", None, values[2])):
        assert np.max(ulp_error(value, reference(name, x, axis))) <= bound(name, 10_000)
    exact = reference("log_softmax", x, 1)[np.arange(40), np.arange(40)]
    assert np.max(ulp_error(-values[3], exact)) <= LOG_PROB


def test_longdouble_weights_are_refused():
    """Partial sums have the range of float64, which does not include a weight of 1e-400."""
    with pytest.raises(TypeError) as caught:
        lazy.logsumexp(da.zeros(2, chunks=1), b=np.ones(2, "g"), dtype="f8")
    assert str(caught.value) == f"b must be of float64 or a narrower type, got dtype {np.dtype('g')}"


@pytest.mark.parametrize("axis", [None, 1, (0, 2)], ids=str)
@pytest.mark.parametrize("blocks", BLOCKS[:2], ids=str)
def test_blocks_are_scaled_and_shifted(name, dtype, axis, blocks):
    x = X.astype(dtype)
    for add in (None, 0.3, RNG.normal(size=(12, 1)), da.from_array(RNG.normal(size=(5, 1, 7)), chunks=2)):
        add = add.astype(dtype) if hasattr(add, "astype") else add
        shift = 0 if add is None else np.asarray(add, dtype)
        y = x * dtype(-0.37) + shift
        result = getattr(lazy, name)(da.from_array(x, chunks=blocks), axis, scale=-0.37, add=add)
        exact, got = reference(name, y, axis), result.compute(scheduler="sync")
        assert (result.shape, result.dtype) == (got.shape, got.dtype) == (exact.high.shape, dtype)
        assert np.max(ulp_error(got, exact)) <= bound(name, 1)


def test_weights_and_enlarging_addends_go_with_scaled_blocks():
    x, add = da.from_array(X[:, :1], chunks=(2, 1, 3)), da.from_array(RNG.normal(size=(4, 1, 12, 7)), chunks=3)
    b = np.abs(B) + 0.5
    wanted = smoothmax.logsumexp(X[:, :1], (0, -1), b, scale=2, add=add.compute())
    got = lazy.logsumexp(x, (0, -1), b, scale=2, add=add)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got.compute(scheduler="sync"), wanted, rtol=1e-13)
    shares = lazy.softmax(x, (0, -1), scale=2, add=add)
    np.testing.assert_allclose(
        shares.compute(scheduler="sync"), smoothmax.softmax(X[:, :1], (0, -1), scale=2, add=add.compute()), rtol=1e-13
    )


@pytest.mark.usefixtures("nothing_runs")
def test_bad_adjustments_are_refused_before_anything_is_computed():
    x = da.from_array(X, chunks=3)
    for function in (lazy.logsumexp, lazy.softmax, lazy.log_softmax):
        with pytest.raises(TypeError, match=r"^scale must be a number, got 'a'$"):
            function(x, scale="a")
        with pytest.raises(TypeError, match=r"^scale must be real for real input, got 1j$"):
            function(x, scale=1j)
        text = r"^add of shape \(2,\) does not broadcast with the input of shape \(5, 12, 7\)$"
        with pytest.raises(ValueError, match=text):
            function(x, add=np.ones(2))
