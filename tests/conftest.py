"""What every test file may ask for, how many processes run them, and hypothesis without surprises."""

import gc
import os

# Before anything loads it, and for the processes that tests start: its threads wait for each other on busy processors,
# and products of such small matrices lose, on more threads, all that those gain.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import hypothesis
import numpy as np
import pytest

import smoothmax

# Repeatable everywhere: an example that fails in one place fails in all. --hypothesis-profile=search tries more.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.register_profile("search", deadline=None, max_examples=5000)
hypothesis.settings.load_profile("repeatable")

MOST_PROCESSES = 4  # each imports SciPy and scikit-learn, and some tests take hundreds of MB


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the number
def pytest_cmdline_main(config: pytest.Config) -> None:
    """A process a processor, unless told otherwise by -n, or debugging is meant.

    Here and not as addopts, which would break -p no:xdist and slow down what bench/ measures.
    """
    if not config.pluginmanager.hasplugin("xdist") or hasattr(config, "workerinput"):
        return
    option = config.option
    if option.numprocesses is None and option.capture != "no" and not option.usepdb:
        option.numprocesses, option.maxprocesses = "auto", option.maxprocesses or MOST_PROCESSES
    if option.numprocesses and option.dist == "no":
        option.dist = "worksteal"  # with -n's own choice, "load", one process ends half a minute after the other


def pytest_collection_finish() -> None:
    """Nothing that exists by now is garbage before the end; looking through it takes 0.2 s each time."""
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
