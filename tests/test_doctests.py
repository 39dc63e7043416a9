"""The examples in the public docstrings print what they say."""

import doctest
import importlib
import pathlib

import numpy as np
import pytest

import smoothmax

README = pathlib.Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize(
    ("module", "name"),
    [("smoothmax", name) for name in smoothmax.__all__]
    + [("smoothmax.dask", name) for name in ("cross_entropy", "log_softmax", "logsumexp", "softmax")],
)
def test_examples(module: str, name: str) -> None:
    if module == "smoothmax.dask":
        pytest.importorskip("dask.array")
    function = getattr(importlib.import_module(module), name)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, module=False, globs={})
    assert test.examples, f"{name} has no example"
    with np.printoptions(legacy=False):
        result = doctest.DocTestRunner().run(test)
    assert result.failed == 0


def test_every_function_of_dask_has_its_examples_tested() -> None:
    pytest.importorskip("dask.array")
    names = importlib.import_module("smoothmax.dask").__all__
    assert sorted(names) == ["cross_entropy", "log_softmax", "logsumexp", "softmax"]


def test_methods_of_logsumexp_have_examples_that_run() -> None:
    finder = doctest.DocTestFinder()
    tests = [test for test in finder.find(smoothmax.LogSumExp, "LogSumExp", module=False, globs={}) if test.examples]
    assert [test.name.partition(".")[2] for test in tests] == ["", "copy", "merge", "result", "update"]
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0


def test_examples_of_readme() -> None:
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted > 3
    assert result.failed == 0
