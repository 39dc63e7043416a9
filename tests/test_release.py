"""Releases: a wheel's tests run with the packages that they install, actions are pinned, versions agree."""

import ast
import importlib.metadata
import importlib.util
import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import smoothmax

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEELS = PROJECT["tool"]["cibuildwheel"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
VERSION = smoothmax.__version__


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


# Wheels ---------------------------------------------------------------------------------------------------------------

WHEEL_TESTS = [ROOT / name for name in re.findall(r"\{project\}/(\S+)", WHEELS["test-command"])]


def imports(path):
    """The packages that a file imports when it is loaded, outside of functions and conditions."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names


def test_tests_of_a_wheel_need_what_is_installed_for_them():
    required = {re.match(r"[\w-]+", requirement).group() for requirement in WHEELS["test-requires"]}
    available = {*required, *sys.stdlib_module_names, "numpy", "smoothmax"}
    seen, todo = set(), [TESTS / "conftest.py", *WHEEL_TESTS]
    while todo:
        file = todo.pop()
        seen.add(file)
        local = {name for name in imports(file) if (TESTS / f"{name}.py").exists()}
        assert imports(file) - local <= available, file.name
        todo += [path for path in (TESTS / f"{name}.py" for name in local) if path not in seen]
    assert len(WHEEL_TESTS) >= 5
    assert TESTS / "oracle.py" in seen


def test_a_wheel_is_built_for_every_python_and_platform_that_is_published():
    """publish.yml counts the wheels, so that none can be missing from a release."""
    platforms = re.findall(r"platform: (\w+)", text_of(".github/workflows/wheels.yml"))
    assert len(set(platforms)) == len(platforms) == 8
    counted = re.search(r'whl" \| wc -l\)" = (\d+)', text_of(".github/workflows/publish.yml")).group(1)
    assert int(counted) == len(WHEELS["build"]) * len(platforms)
    files = re.search(r'type f \| wc -l\)" = (\d+)', text_of(".github/workflows/publish.yml")).group(1)
    assert int(files) == int(counted) + 1  # the source distribution


def inspector():
    spec = importlib.util.spec_from_file_location("inspect_wheel", ROOT / "tools/inspect_wheel.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = [
    "smoothmax/py.typed",
    "smoothmax/_api/functions.pyi",
    "smoothmax/_switch/site/sitecustomize.py",
    "smoothmax/__init__.pxd",
    "smoothmax/include/smoothmax.h",
    "smoothmax-0.dist-info/entry_points.txt",
    "smoothmax-0.dist-info/licenses/LICENSE",
]


@pytest.mark.parametrize(
    ("tag", "names", "complaint"),
    [
        ("manylinux_2_28_x86_64", GOOD, None),
        ("musllinux_1_2_aarch64", GOOD, None),
        ("linux_x86_64", GOOD, "its tag is linux_x86_64"),
        ("manylinux_2_28_x86_64", [*GOOD, "smoothmax.libs/libgomp.so"], "it contains smoothmax, smoothmax-0"),
        ("manylinux_2_28_x86_64", [*GOOD, "smoothmax/_thresholds.c"], "it contains smoothmax/_thresholds.c"),
        ("manylinux_2_28_x86_64", [*GOOD, "smoothmax/_c/functions.pxd"], "it contains smoothmax/_c/functions.pxd"),
        ("manylinux_2_28_x86_64", GOOD[1:], "it lacks smoothmax/py.typed"),
        ("manylinux_2_28_x86_64", [*GOOD[:4], *GOOD[5:]], "it lacks smoothmax/include/smoothmax.h"),
        ("manylinux_2_28_x86_64", [*GOOD[:5], GOOD[6]], "it lacks the entry point of Numba"),
        ("manylinux_2_28_x86_64", [*GOOD[:6], "smoothmax-0.dist-info/METADATA"], "it lacks the license"),
    ],
)
def test_a_wheel_that_must_not_be_published_is_refused(tmp_path, tag, names, complaint):
    wheel = tmp_path / f"smoothmax-0-cp311-cp311-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    found = inspector().complaints(wheel)
    assert len(found) == bool(complaint)
    assert not complaint or found[0].startswith(complaint)


def test_a_wheel_of_more_than_4_megabytes_is_refused(tmp_path, monkeypatch):
    module = inspector()
    assert module.MAX_BYTES == 4_000_000
    wheel = tmp_path / "smoothmax-0-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in GOOD:
            archive.writestr(name, "")
    size = wheel.stat().st_size
    monkeypatch.setattr(module, "MAX_BYTES", size - 1)
    assert module.complaints(wheel) == [f"it has {size} bytes, more than {size - 1}"]


def test_the_description_on_pypi_has_no_link_into_the_repository():
    try:
        metadata = importlib.metadata.metadata("smoothmax")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the source tree on the path has no metadata")
    description = metadata.get_payload() or metadata["Description"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    targets = re.findall(r"\]\(([^)]*)\)", description)
    assert [target for target in targets if not target.startswith("https://")] == []
    assert "numerics (docs/numerics.md), promises (docs/promises.md)" in description
    assert "pip install smoothmax" in description


# Workflows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_their_full_hash(workflow):
    used = re.findall(r"uses: (.+)", workflow.read_text(encoding="utf-8"))
    assert used
    for action in used:
        local = action.startswith("./.github/workflows/")
        assert local or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_every_workflow_pins_an_action_to_the_same_hash():
    pins = {}
    for workflow in WORKFLOWS:
        for action, pin in re.findall(r"uses: ([\w/-]+)@(.+)", workflow.read_text(encoding="utf-8")):
            assert pins.setdefault(action, pin) == pin, f"{workflow.name}: {action}"


# The version ----------------------------------------------------------------------------------------------------------


def test_the_version_is_stated_alike_everywhere():
    assert re.search(r"^## (\S+) - \d{4}-\d\d-\d\d$", text_of("CHANGELOG.md"), re.M).group(1) == VERSION
    assert re.search(r"^version: (\S+)$", text_of("CITATION.cff"), re.M).group(1) == VERSION
    assert re.search(r'^  version: "(\S+)"$', text_of("conda/recipe.yaml"), re.M).group(1) == VERSION


def test_recipe_and_package_need_the_same():
    """The recipe of conda-forge repeats pyproject.toml."""
    recipe = text_of("conda/recipe.yaml")
    for requirement in (*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"]):
        name, bound = re.fullmatch(r"([\w-]+)(>=[\d.]+)", requirement).groups()
        assert re.search(rf"^    - {name.lower()} {bound}$", recipe, re.M), requirement
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f'skip: match(python, "<{oldest}")' in recipe
