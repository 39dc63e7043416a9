"""The examples in the public docstrings and on the pages print what they say."""

import doctest
import pathlib

import numpy as np
import pytest
import scipy

import smoothmax

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    page
    for page in ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
    if ">>> " in (ROOT / page).read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", smoothmax.__all__)
def test_examples(name: str) -> None:
    function = getattr(smoothmax, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, module=False, globs={})
    assert test.examples, f"{name} has no example"
    with np.printoptions(legacy=False):
        result = doctest.DocTestRunner().run(test)
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_pages(page: str) -> None:
    """What they show of SciPy is what SciPy 1.17 does."""
    text = (ROOT / page).read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    if not scipy.__version__.startswith("1.17."):
        test.examples = [example for example in test.examples if not example.source.startswith("scipy.")]
    assert test.examples
    with np.printoptions(legacy=False):
        assert doctest.DocTestRunner().run(test).failed == 0


def test_pages_have_examples() -> None:
    assert {"README.md", "docs/losses.md", "docs/porting.md"} <= set(PAGES)
