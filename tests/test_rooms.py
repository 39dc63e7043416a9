"""The rooms of the source: a file imports only from its own room and from rooms below it."""

import re
from pathlib import Path

import pytest

import smoothmax

SOURCE = Path(__file__).parents[1] / "src" / "smoothmax"
# From the command line down to the limits, which everything may read.
ROOMS = [
    "_cli", "_switch", "_hooks", "_scale", "_partial", "_api", "_arrays", "_c", "_schedule", "_kernels", "_thresholds",
]  # fmt: skip
# A public function may hand over to a room above it, and imports that room only then.
LAZY = {("_api", "dask")}
# The parts of a module of kernels, from functions that operations use up to the operations.
LAYERS = ["math", "loops", "data", "ops"]

# plain_numbers.py has these functions for arrays, and math/ has them for the numbers of kernels.
PLAIN_TWINS = {"exp_in_two", "scaled_exp", "sum_in_two", "two_sum"}

IMPORT = re.compile(r"^( *)(?:from|import|cimport) +smoothmax(?:\.([\w.]+))?(?: +c?import +(\w+))?", re.MULTILINE)


def module_of(path):
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def files(*suffixes):
    found = [p for suffix in suffixes for p in SOURCE.rglob("*" + suffix) if p.name != "__init__.py"]
    assert found
    return found


def imports(path):
    """The modules of the package that a file names, and whether it does so inside of a function."""
    for match in IMPORT.finditer(path.read_text()):
        indent, module, name = match.groups()
        # `from smoothmax._scale import blocks` names a module, `from smoothmax._api.functions import softmax` an object
        if module in ROOMS and module != "_thresholds" and name:
            module = f"{module}.{name}"
        yield module or name or "", bool(indent)


def room_of(module):
    first = module.split(".")[0]
    return {"dask": "_scale"}.get(first, first)


@pytest.mark.parametrize("path", files(".pyx", ".pxd", ".pxi", ".py"), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_knows_only_its_own_room_and_those_below(path):
    room = room_of(module_of(path))
    if room not in ROOMS:  # the public modules, which only users import
        assert room in {"__init__", "__main__"}
        return
    for module, lazy in imports(path):
        other = room_of(module)
        if lazy and (room, module.split(".")[0]) in LAZY:
            continue
        if other not in ROOMS:  # `import smoothmax`: the public functions
            assert ROOMS.index(room) <= ROOMS.index("_api"), f"{path} imports {module or 'smoothmax'}"
            continue
        assert ROOMS.index(other) >= ROOMS.index(room), f"{path} imports {module}"


def test_no_two_files_need_each_other():
    needs = {}
    for path in files(".pyx", ".pxd", ".py"):
        own = module_of(path)
        needs.setdefault(own, set()).update(module for module, lazy in imports(path) if not lazy and module != own)
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for other in sorted(needs.get(module, ())):
                visit(other)
            path.pop()
            done.add(module)

    for module in sorted(needs):
        visit(module)


def test_loops_do_not_know_the_operations_that_they_serve():
    """The files of the kernels are included into one module, so there are no imports to read, only names."""
    kernels = SOURCE / "_kernels"
    layers = [sorted((kernels / layer).glob("*.pxi")) for layer in LAYERS]
    assert all(layers)
    defined = [
        {
            name
            for path in paths
            for name in re.findall(r"^cdef (?:inline )?\w[\w ]* \*?(\w+)\(", path.read_text(), re.MULTILINE)
        }
        for paths in layers
    ]
    for layer, paths in enumerate(layers):
        above = set().union(*defined[layer + 1 :]) - defined[layer]
        for path in paths:
            code = re.sub(r'"""(?s:.*?)"""|#.*', "", path.read_text())
            assert not above & set(re.findall(r"\w+", code)), path


def test_loops_do_not_move_their_pointers():
    """Clang would take a pointer that moves through nested loops for one into the local arrays of lanes (P33)."""
    paths = sorted((SOURCE / "_kernels" / "loops").glob("*.pxi"))
    assert len(paths) > 5
    for path in paths:
        for function in re.split(r"^cdef ", path.read_text(), flags=re.MULTILINE):
            pointers = set(re.findall(r"\b(?:real|float|double|int) \*(\w+)", function))
            moved = set(re.findall(r"^ +(\w+) (?:[+-]=|= \1\b)", function, re.MULTILINE))
            assert not pointers & moved, path


def functions_of(path):
    """The names of the functions that a file defines outside of classes. A .pxd defines only what is inline."""
    text = re.sub(r'"""(?s:.*?)"""|#.*', "", path.read_text())
    body = r"[^\n;]*:" if path.suffix == ".pxd" else r""
    return {
        match[1]
        for match in re.finditer(
            rf"^(?:cdef|cpdef|def) (?:[\w.]+[ *]+)*(\w+)\((?:[^()]|\([^()]*\))*\){body}", text, re.MULTILINE
        )
    }


def test_a_name_has_one_owner():
    """Only functions of a public name may share it, since they compute the same, and the twins of plain NumPy."""
    owners = {}
    for path in files(".pyx", ".pxd", ".pxi", ".py"):
        for name in functions_of(path):
            owners.setdefault(name, []).append(str(path.relative_to(SOURCE)))
    assert len(owners) > 1000
    shared = {name: paths for name, paths in sorted(owners.items()) if len(paths) > 1}
    assert {name for name in shared if "_arrays/plain_numbers.py" in shared[name]} >= PLAIN_TWINS
    assert {n: paths for n, paths in shared.items() if n not in PLAIN_TWINS and n not in smoothmax.__all__} == {}


def test_only_route_reads_the_limits_of_tiles():
    """No other file of the schedule chooses between rows and tiles. Kernels and the walk get the choice."""
    readers = {
        path.name
        for room in ("_arrays", "_c", "_schedule")
        for path in files(".pyx", ".pxd", ".pxi", ".py")
        if path.is_relative_to(SOURCE / room)
        and re.search(r"\b(TILE_SHORT|TILE_LONG|SCORE_TILE|TOP_TILE|DRAW_TILE)_\w+", path.read_text())
    }
    assert readers == {"route.pyx"}
