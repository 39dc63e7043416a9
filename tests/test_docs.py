"""The pages agree with the code: limits and their entries, promises and their tests, links, pictures, worst inputs."""

import ast
import functools
import hashlib
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from bounds import bound
from oracle import reference, ulp_error
from test_doctests import OF_DASK

import smoothmax
from smoothmax._kernels import dispatch
from smoothmax._thresholds import limits

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "bench/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
THRESHOLDS = ROOT / "src/smoothmax/_thresholds.pxd"
FIGURES = ROOT / "docs/figures"


def text_of(path):
    return path.read_text(encoding="utf-8")


def test_prose_has_lines_of_120_characters_at_most():
    """Tables and formulas cannot be wrapped, and bench/ writes long lines into two pages."""
    written = {"README.md", "benchmarks.md"}
    long = [
        f"{path.name}:{number}"
        for path in PAGES
        if path.name not in written
        for number, line in enumerate(text_of(path).split("\n"), 1)
        if len(line) > 120 and not line.startswith(("|", "$$"))
    ]
    assert not long


# Limits ---------------------------------------------------------------------------------------------------------------


def entries():
    """The limits that each entry of performance.md names, by its number."""
    found = {}
    for anchor, title, body in re.findall(
        r'<a id="p(\d+)"></a>\n### P(\d+)\. .+\n((?:(?!<a id|^#).*\n)*)', text_of(ROOT / "docs/performance.md"), re.M
    ):
        assert anchor == title
        assert int(title) not in found, f"there are two entries P{title}"
        line = re.search(r"^Limits: ([^#]+?)\.\s+Measured:\s", body, re.M)
        assert line or re.search(r"^Measured: ", body, re.M), f"P{title} does not say when it was measured"
        found[int(title)] = set(re.findall(r"`([A-Z0-9_]+)`", line.group(1))) if line else set()
    return found


def references():
    """The numbers that each limit of _thresholds.pxd may belong to, by its name.

    Those of its own line and of the heading above it. A limit without a number of its own goes with the nearest
    numbered line above or below, since a comment may run over several limits.
    """
    sections, heading = [], set()
    for line in text_of(THRESHOLDS).splitlines():
        numbers = {int(number) for number in re.findall(r"\bP(\d+)\b", line)}
        limit = re.match(r"    ([A-Z][A-Z0-9_]*) = ", line)
        if limit:
            sections[-1].append((limit.group(1), heading, numbers))
        elif re.match(r"    # ", line):
            title = bool(re.search(r"-{5,}$", line))
            heading = numbers if title or numbers else heading
            if title or not sections:
                sections.append([])
    found = {}
    for section in sections:
        for i, (name, above, own) in enumerate(section):
            before = next((numbers for *_, numbers in reversed(section[:i]) if numbers), set())
            after = next((numbers for *_, numbers in section[i + 1 :] if numbers), set())
            found[name] = above | (own or before | after)
    return found


def test_every_limit_has_its_entry_and_every_entry_its_limits():
    of_page, of_code = entries(), references()
    assert len(of_page) >= 24
    assert of_code.keys() == limits().keys()
    assert set().union(*of_page.values()) == of_code.keys()
    for number, names in of_page.items():
        for limit in names:
            assert number in of_code[limit], f"_thresholds.pxd does not refer {limit} to P{number}"


UNITS = {
    "BITS", "BUCKETS", "BYTES", "CLASSES", "COLUMNS", "ELEMENTS", "EXPONENTS", "ITEMS", "LANES", "PIECES", "QUADS",
    "QUEUES", "ROWS", "SECONDS", "SEGMENTS", "TERMS", "THREADS", "TILES", "UNITS", "WORK", "YIELDS",
}  # fmt: skip


def test_every_limit_has_its_unit_in_its_name():
    for name in limits():
        assert re.sub(r"_F\d\d$", "", name).split("_")[-1] in UNITS, name


# Limits of time and memory alone. On either side of one, a call has the same results by the same route.
NOT_IN_RESULTS = {
    "CACHE_LINE_BYTES", "UNFETCHED_STRIDE_BYTES", "COLUMN_PREFETCH_MIN_ROWS", "COLUMN_PREFETCH_MIN_BYTES",
    "COLUMN_PREFETCH_FAR_MAX_ROWS", "COLUMN_PREFETCH_FAR_MIN_BYTES", "COLUMN_PREFETCH_LANES",
    "NARROW_STAGED_ROWS", "OVERLAP_MAX_WORK", "GIL_MIN_ELEMENTS", "SHARE_GRAIN_ELEMENTS", "SPIN_YIELDS", "MAX_QUEUES",
    "QUOTA_SECONDS", "TOP_MAXIMA_ROWS", "TOP_SPARSE_ELEMENTS", "SCORE_STAGED_ELEMENTS", "SCORE_SPACE_BYTES",
    "SCORE_STAGED_STRIDE_BYTES", "SHARE_THREAD_ITEMS", "SOFTMAX_PREFETCH_MAX_ROWS", "TOP_INSERTED_ELEMENTS",
    "TOP_SPARE_ELEMENTS",
}  # fmt: skip


def test_tests_stand_on_the_limits_that_they_import():
    """A test imports every limit that may show in a result or in a route, so that the test follows the limit."""
    files = [text_of(path) for path in (ROOT / "tests").glob("test_*.py") if path != Path(__file__)]
    imported = {name for name in limits() for text in files if "limits()" in text and f'"{name}"' in text}
    assert limits().keys() - imported <= NOT_IN_RESULTS


def test_numbers_in_the_source_have_an_entry():
    numbers = set(entries())
    for path in (ROOT / "src").rglob("*.p*"):
        if path.suffix in (".py", ".pyx", ".pxd", ".pxi"):
            found = {int(number) for number in re.findall(r"\bP(\d+)\b", text_of(path))}
            assert found <= numbers, f"{path.name} refers to {sorted(found - numbers)}"


# Routes ---------------------------------------------------------------------------------------------------------------


def routes_of_calls():
    return re.findall(r"^\| `(\w+\(.+\))` \| `([A-Z_]+)` \|$", text_of(ROOT / "docs/architecture.md"), re.M)


def test_the_table_of_routes_is_complete():
    declaration = ROOT / "src/smoothmax/_schedule/route.pxd"
    if not declaration.exists():
        pytest.skip("routes have no names yet")
    enum = re.search(r"cdef enum RouteName:\n((?:    .*\n)+)", text_of(declaration))
    names = set(re.findall(r"^    ([A-Z_]+)\b", enum.group(1), re.M))
    page = set(re.findall(r"^\| `([A-Z_]+)` \|", text_of(ROOT / "docs/architecture.md"), re.M))
    assert names == page
    assert {route for _, route in routes_of_calls()} == names


@pytest.mark.parametrize(("call", "route"), routes_of_calls())
def test_calls_take_the_routes_that_are_stated(call, route):
    explain = pytest.importorskip("smoothmax._schedule.explain").explain

    def run():
        eval(call, {**vars(np), **{name: getattr(smoothmax, name) for name in smoothmax.__all__}})

    assert explain(run)["name"] == route


# Promises -------------------------------------------------------------------------------------------------------------


@functools.cache
def names_of_tests(path):
    """The names of a file's test functions; of a class's, too."""
    tree = ast.parse(text_of(path))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_a_test_that_exists():
    rows = [
        line for line in text_of(ROOT / "docs/promises.md").splitlines() if re.match(r"\| (?!function|page|---)", line)
    ]
    assert len(rows) > 100
    known = {}
    for row in rows:
        named = re.findall(r"`(tests/\w+\.py)::(\w+)`", row)
        assert named, f"no test: {row}"
        for file, name in named:
            known.setdefault(file, names_of_tests(ROOT / file) if (ROOT / file).exists() else set())
            assert name in known[file], f"there is no {file}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_a_page_names_exist(page):
    for file, name in re.findall(r"`(tests/\w+\.py)(?:::(\w+))?`", text_of(page)):
        assert (ROOT / file).exists(), file
        assert not name or name in names_of_tests(ROOT / file), f"{file}::{name}"


# Reference ------------------------------------------------------------------------------------------------------------


def test_the_reference_lists_every_public_name_once():
    listed, module = [], ""
    for line in text_of(ROOT / "docs/api.md").splitlines():
        if found := re.match(r"\.\. (?:current)?module:: ([\w.]+)$", line):
            module = found.group(1)
        elif found := re.match(r"(?:   |\.\. autofunction:: )(\w+)(?:\(.*\))?$", line):
            listed.append(f"{module}.{found.group(1)}")
    public = [f"smoothmax.{name}" for name in smoothmax.__all__] + [f"smoothmax.dask.{name}" for name in OF_DASK]
    assert sorted(listed) == sorted(public)


# Links ----------------------------------------------------------------------------------------------------------------


def anchors_of(page):
    """The targets of links after #: headings as GitHub spells them, and explicit ids."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"\w+:", target):
            # Without a network, the test cannot check that the page exists.
            assert re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[\w.,/~%()-]*)?(#[\w.-]+)?", target), target
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors_of(to), f"{page.name} links to {target}"


def test_every_page_can_be_reached_from_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen:
            seen.add(page)
            targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+\.md[^)\s]*)\)", text_of(page))]
            todo += [(page.parent / target).resolve() for target in targets if not target.startswith("http")]
    # The site puts the text of CHANGELOG.md, CONTRIBUTING.md and bench/README.md into these.
    stubs = {ROOT / f"docs/{name}.md" for name in ("changelog", "contributing", "measuring")}
    assert set(PAGES) - stubs <= seen


# Pictures -------------------------------------------------------------------------------------------------------------


def script(name):
    spec = importlib.util.spec_from_file_location(name, FIGURES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_were_drawn_by_their_scripts():
    """The pictures show the present files and figures. If not, run python docs/figures/<name>.py."""
    for name in ("architecture", "errors"):
        assert script(name).digest().encode() in (FIGURES / f"{name}.png").read_bytes()
    digest = hashlib.sha256((FIGURES / "accuracy.py").read_bytes()).hexdigest()
    assert digest.encode() in (FIGURES / "accuracy.png").read_bytes()


# Figures --------------------------------------------------------------------------------------------------------------


def worst_inputs():
    line = r"^\| (\w+) \| (float\d\d) \| `(\[.+?\])` \| ?(\d*) \| ([\d.]+) ULP \|$"
    return re.findall(line, text_of(ROOT / "docs/numerics.md"), re.M)


def test_there_are_worst_inputs():
    assert len({(name, kind) for name, kind, *_ in worst_inputs()}) == 6


@pytest.mark.parametrize(("name", "kind", "row", "element", "stated"), worst_inputs())
def test_worst_inputs_have_the_errors_that_are_stated(name, kind, row, element, stated):
    """The worse of two errors: as a row and as one of many columns."""
    x = np.array(ast.literal_eval(row), kind)
    exact = reference(name, x)
    column = getattr(smoothmax, name)(np.repeat(x[:, None], 64, axis=1), axis=0)[..., 0]
    error = np.maximum(ulp_error(getattr(smoothmax, name)(x), exact), ulp_error(column, exact))
    assert np.max(error) <= bound(name, len(x))
    if dispatch.variant == "x86-64-v4":
        assert (error[int(element)] if element else error) == pytest.approx(float(stated), abs=0.01)
