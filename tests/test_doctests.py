"""The examples in the public docstrings print what they say."""

import doctest
import pathlib

import numpy as np
import pytest

import smoothmax

pytestmark = pytest.mark.skipif(
    int(np.__version__.split(".")[0]) < 2, reason="NumPy 1 shows its scalars without their types"
)
README = pathlib.Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("name", smoothmax.__all__)
def test_examples(name: str) -> None:
    function = getattr(smoothmax, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, module=False, globs={})
    assert test.examples, f"{name} has no example"
    with np.printoptions(legacy=False):
        result = doctest.DocTestRunner().run(test)
    assert result.failed == 0


def test_examples_of_readme() -> None:
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted > 3
    assert result.failed == 0
