"""Python without the GIL: it stays off, and threads can share arrays and settings. The calls are also right with it."""

import subprocess
import sys
import sysconfig
import threading

import numpy as np
import pytest

import smoothmax
from smoothmax.__main__ import main
from smoothmax._schedule.explain import explain

THREADS = 8


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has the GIL")
def test_import_leaves_the_gil_off():
    """Each module must declare that it needs no GIL, or Python would enable it, with a warning."""
    script = """if True:
        import pkgutil, sys, numpy, smoothmax
        # These import Dask or Numba, or need another processor.
        apart = "smoothmax.dask", "smoothmax._scale.dask", "smoothmax._hooks.numba", "smoothmax._kernels.x86"
        for module in pkgutil.walk_packages(smoothmax.__path__, "smoothmax."):
            if not module.name.startswith(apart):
                __import__(module.name)
        print(sys._is_gil_enabled())
    """
    command = [sys.executable, "-W", "error", "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (answer.stdout, answer.stderr) == ("False\n", "")


def at_once(work):
    """Call work(i) in eight threads that begin together, and raise what any of them raised."""
    barrier, errors = threading.Barrier(THREADS, timeout=60), []

    def run(i):
        barrier.wait()
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_threads_share_arrays_streams_and_settings():
    """Large calls start and ask the same helpers; a stream is read by all and updated by none."""
    rng = np.random.default_rng(3)
    rows, columns = rng.standard_normal((300, 500)), rng.standard_normal((20_000, 5)).astype("f4")
    seen = smoothmax.LogSumExp(axis=0).update(columns)
    wanted = smoothmax.softmax(rows, axis=1), smoothmax.logsumexp(columns, axis=0), seen.result()
    targets = np.arange(300)
    loss = smoothmax.cross_entropy(rows, targets)
    before = smoothmax.get_num_threads()

    def work(i):
        for turn in range(12):
            with smoothmax.num_threads(1 + (i + turn) % 4):
                np.testing.assert_array_equal(smoothmax.softmax(rows, axis=1), wanted[0])
            smoothmax.set_num_threads(1 + turn % 5)
            np.testing.assert_array_equal(smoothmax.logsumexp(columns, axis=0), wanted[1])
            np.testing.assert_array_equal(seen.result(), wanted[2])
            own = seen.copy().merge(seen)
            np.testing.assert_array_equal(own.count, 2 * seen.count)
            assert smoothmax.cross_entropy(rows, targets) == loss

    try:
        at_once(work)
    finally:
        smoothmax.set_num_threads(before)


def test_threads_ask_for_their_own_routes():
    small, large = np.zeros((8, 3)), np.zeros(500)
    wanted = [explain(smoothmax.logsumexp, x, 0)["name"] for x in (small, large)]
    assert wanted[0] != wanted[1]

    def work(i):
        for _ in range(300):
            assert explain(smoothmax.logsumexp, (small, large)[i % 2], 0)["name"] == wanted[i % 2]

    at_once(work)


def test_threads_read_one_file_and_write_their_own(tmp_path, capsys):
    x = np.random.default_rng(4).standard_normal((200, 30))
    np.save(tmp_path / "x.npy", x)

    def work(i):
        assert main(["softmax", str(tmp_path / "x.npy"), "-o", str(tmp_path / f"{i}.npy"), "--axis", "1"]) == 0

    at_once(work)
    for i in range(THREADS):
        np.testing.assert_array_equal(np.load(tmp_path / f"{i}.npy"), smoothmax.softmax(x, axis=1))
    assert capsys.readouterr().err == ""
