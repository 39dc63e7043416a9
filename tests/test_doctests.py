"""The examples in the public docstrings and on the pages print what they say, and plain code of the pages runs."""

import doctest
import importlib
import pathlib
import re

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
pytestmark = pytest.mark.skipif(
    int(np.__version__.split(".")[0]) < 2, reason="NumPy 1 shows its scalars without their types"
)


OF_DASK = (
    "logsumexp", "logmeanexp", "softmax", "log_softmax", "logcumsumexp", "segment_logsumexp", "segment_softmax",
    "segment_log_softmax", "logmatmulexp", "cross_entropy", "top_log_probs", "categorical",
)  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name"),
    [("smoothmax", name) for name in smoothmax.__all__] + [("smoothmax.dask", name) for name in OF_DASK],
)
def test_every_example_prints_what_it_says(module: str, name: str) -> None:
    if module == "smoothmax.dask":
        pytest.importorskip("dask.array")
    function = getattr(importlib.import_module(module), name)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, module=False, globs={})
    assert test.examples, f"{name} has no example"
    with np.printoptions(legacy=False):
        result = doctest.DocTestRunner().run(test)
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_pages(page: str) -> None:
    """The pages show the results of SciPy 1.17."""
    text = (ROOT / page).read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    if not scipy.__version__.startswith("1.17."):
        test.examples = [example for example in test.examples if not example.source.startswith("scipy.")]
    assert test.examples
    with np.printoptions(legacy=False):
        assert doctest.DocTestRunner().run(test).failed == 0


def test_pages_have_examples() -> None:
    assert {"README.md", "docs/losses.md", "docs/porting.md", "docs/start.md", "docs/accuracy.md"} <= set(PAGES)


def code_of(path: pathlib.Path) -> list[str]:
    """The Python of a page that is not a doctest."""
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    return [block for block in blocks if ">>> " not in block]


CODE = {path.name: code_of(path) for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}


@pytest.mark.parametrize("page", [page for page, blocks in CODE.items() if blocks])
def test_code_of_pages_runs(page: str) -> None:
    """With the names that a reader would have: an array x, and chunks of rows."""
    chunks = [np.zeros((5, 3)), np.ones((2, 3))]
    names = {"np": np, "smoothmax": smoothmax, "x": np.eye(3), "chunks": chunks}
    for block in CODE[page]:
        exec(compile(block, page, "exec"), names)


def test_pages_have_code() -> None:
    assert {"architecture.md", "porting.md", "scale.md"} <= {page for page, blocks in CODE.items() if blocks}


def test_every_function_of_dask_has_its_examples_tested() -> None:
    pytest.importorskip("dask.array")
    names = importlib.import_module("smoothmax.dask").__all__
    assert sorted(names) == sorted(OF_DASK)


def test_methods_of_logsumexp_have_examples_that_run() -> None:
    finder = doctest.DocTestFinder()
    tests = [test for test in finder.find(smoothmax.LogSumExp, "LogSumExp", module=False, globs={}) if test.examples]
    assert [test.name.partition(".")[2] for test in tests] == ["", "copy", "merge", "result", "update"]
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0
