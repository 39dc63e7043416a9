"""What every test file may ask for: the three functions, the two types, and hypothesis without surprises."""

import hypothesis
import numpy as np
import pytest

import smoothmax

# Repeatable everywhere: an example that fails in one place fails in all. --hypothesis-profile=search tries more.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.register_profile("search", deadline=None, max_examples=5000)
hypothesis.settings.load_profile("repeatable")

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
