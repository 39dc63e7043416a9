"""Fixtures of all test files, the number of processes that run them, and repeatable settings of hypothesis."""

import ctypes
import gc
import os
import sys
import tomllib
from pathlib import Path

# One thread, set before anything loads OpenBLAS, and for the processes that tests start too. On a busy machine its
# threads wait for each other longer than they save in products of matrices as small as these.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import pytest

import smoothmax

try:
    import hypothesis
except ImportError:  # it has no wheels for some Pythons; their tests run without it
    pass
else:
    # The examples are the same on all machines. --hypothesis-profile=search tries more examples.
    hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
    hypothesis.settings.register_profile("search", deadline=None, max_examples=5000)
    hypothesis.settings.load_profile("repeatable")

MAX_PROCESSES = 4  # each imports SciPy and scikit-learn, and some tests take hundreds of MB


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the number
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run one process for each processor, unless -n or a debugger is given.

    As addopts, this would break -p no:xdist and disturb the measurements of bench/.
    """
    if not config.pluginmanager.hasplugin("xdist") or hasattr(config, "workerinput"):
        return
    option = config.option
    if option.numprocesses is None and option.capture != "no" and not option.usepdb:
        option.numprocesses, option.maxprocesses = "auto", option.maxprocesses or MAX_PROCESSES
    if option.numprocesses and option.dist == "no":
        option.dist = "worksteal"  # with "load", the default of -n, one process ends half a minute after the other


def is_sanitized() -> bool:
    """Whether the library of a sanitizer is loaded (tools/sanitize.py)."""
    return sys.platform != "win32" and any(hasattr(ctypes.CDLL(None), f"__{name}_init") for name in ("asan", "tsan"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that a sanitizer would disturb."""
    if is_sanitized():
        for item in items:
            if item.get_closest_marker("unsanitized"):
                item.add_marker(pytest.mark.skip(reason="a sanitizer would disturb it"))


def pytest_collection_finish() -> None:
    """Exclude all existing objects from garbage collections: they live until the end, and a pass takes 0.2 s."""
    gc.freeze()


FUNCTIONS = ("logsumexp", "softmax", "log_softmax")
DTYPES = (np.float64, np.float32)


@pytest.fixture(params=FUNCTIONS)
def name(request):
    return request.param


@pytest.fixture
def function(name):
    return getattr(smoothmax, name)


@pytest.fixture(params=DTYPES, ids=lambda dtype: dtype.__name__)
def dtype(request):
    return request.param


# These two import when they are used: with NumPy 1, a pickled ufunc names the first module that has `smoothmax`, which
# may be this one, and a process that reads it has no other file of the tests on its path.


@pytest.fixture
def small_blocks(monkeypatch):
    """Make a megabyte of the command 6500 bytes, so that blocks have a few hundred elements."""
    from block_files import set_megabyte

    set_megabyte(monkeypatch, 6500)


@pytest.fixture
def read_blocks(monkeypatch):
    """The blocks that the command has read."""
    from block_files import note_reads

    return note_reads(monkeypatch)


@pytest.fixture
def entry_points(tmp_path):
    """A folder to put on the path: metadata with the entry points of pyproject.toml. A source tree has none."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = tmp_path / "smoothmax-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: smoothmax\nVersion: 0\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return tmp_path
