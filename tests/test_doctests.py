"""The examples in the public docstrings print what they say."""

import doctest

import numpy as np
import pytest

import smoothmax


@pytest.mark.parametrize("name", smoothmax.__all__)
def test_examples(name: str) -> None:
    function = getattr(smoothmax, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, module=False, globs={})
    assert test.examples, f"{name} has no example"
    with np.printoptions(legacy=False):
        result = doctest.DocTestRunner().run(test)
    assert result.failed == 0
