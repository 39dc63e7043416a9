"""The C interface as used by others: modules in C and in Cython, with the installed header and pxd."""

import concurrent.futures
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import smoothmax

SOURCES = Path(__file__).parent / "c_interface"
HEADER = Path(smoothmax.get_include(), "smoothmax.h")
PXD = Path(smoothmax.__file__).with_name("__init__.pxd")
COMPILER = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
compiles = pytest.mark.skipif(
    sys.platform == "win32" or not all(map(shutil.which, COMPILER[:1])), reason="there is no compiler"
)
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")

# The number of functions of each version, and a digest of their names and signatures in the order of the struct. Never
# change an entry: modules that were built with an old version rely on it.
VERSIONS = {1: (24, "24bea6d5e9e331a8")}


def run(*command, cwd=None):
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def build(source, folder, *flags, include=HEADER.parent):
    """Compile an extension module, without optimisation, and import it."""
    built = folder / (source.stem + sysconfig.get_config_var("EXT_SUFFIX"))
    shared = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    folders = [f"-I{include}", f"-I{sysconfig.get_paths()['include']}"]
    run(*COMPILER, *shared, "-fPIC", "-O0", *folders, *flags, source, "-o", built)
    spec = importlib.util.spec_from_file_location(source.stem, built)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def of_c(tmp_path_factory):
    return build(SOURCES / "consumer.c", tmp_path_factory.mktemp("c"), "-std=c99", "-pthread", *STRICT)


@pytest.fixture(scope="module")
def of_cython(tmp_path_factory):
    """Cython finds smoothmax.pxd in the package that Python imports, wherever it is started."""
    pytest.importorskip("Cython")
    folder = tmp_path_factory.mktemp("cython")
    written = folder / "consumer_cython.c"
    run(sys.executable, "-m", "cython", "-3", SOURCES / "consumer_cython.pyx", "-o", written, cwd=folder)
    return build(written, folder)


# Modules --------------------------------------------------------------------------------------------------------------


@compiles
def test_a_thread_without_python_and_with_little_stack_calls_them_while_another_has_the_gil(of_c):
    x = np.random.default_rng(0).normal(size=40000) * 3
    whole, half, last, last_log, merged, numbers = of_c.in_a_thread(x)
    assert whole == smoothmax.logsumexp(x)
    assert half == smoothmax.logsumexp(x[::2])
    assert last == smoothmax.softmax(x)[-1]
    assert last_log == smoothmax.log_softmax(x)[-1]
    assert merged == smoothmax.LogSumExp().update(x[::2]).merge(smoothmax.LogSumExp().update(x[1::2])).result()
    sums = smoothmax.logaddexp(smoothmax.log1pexp(0.5), smoothmax.logsubexp(1.0, 0.5))
    assert numbers == sums + smoothmax.log1mexp(-1.0) + smoothmax.log_expit(2.0)


@compiles
def test_every_function_has_its_twin_for_float(of_c):
    x = np.array([1.5, -2, 0.25], np.float32)
    total, probability, log_probability, merged, one, numbers = of_c.of_floats()
    assert np.float32(total) == np.float32(merged) == np.float32(one) == smoothmax.logsumexp(x)
    assert (np.float32(probability), np.float32(log_probability)) == (
        smoothmax.softmax(x)[1],
        smoothmax.log_softmax(x)[1],
    )
    half, single = np.float32(0.5), np.float32(1)
    assert np.float32(numbers).tolist() == [
        smoothmax.logaddexp(half, single),
        smoothmax.logsubexp(single, half),
        smoothmax.log1mexp(-single),
        smoothmax.log1pexp(half),
        smoothmax.log_expit(np.float32(2)),
    ]


@compiles
def test_cython_imports_it_and_calls_it_without_the_gil(of_cython):
    x = np.random.default_rng(1).normal(size=(50, 4))
    assert of_cython.VERSION == 1
    assert of_cython.logsumexp(x[:, 1]) == smoothmax.logsumexp(x[:, 1].copy())
    assert np.float32(of_cython.logsumexp_of_floats(x[0].astype("f4"))) == smoothmax.logsumexp(x[0].astype("f4"))
    out = np.zeros(50)
    of_cython.softmax(x[::-1, 2], out)
    assert out.tobytes() == smoothmax.softmax(x[::-1, 2].copy()).tobytes()
    merged = of_cython.Sum().absorb(x[:, 0]).merge(of_cython.Sum().absorb(x[:, 1]))
    assert merged.result() == smoothmax.LogSumExp().update(x[:, 0]).update(x[:, 1]).result()
    rows = [row.copy() for row in np.random.default_rng(2).normal(size=(8, 100_000))]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(of_cython.logsumexp, rows)) == [float(smoothmax.logsumexp(row)) for row in rows]


@compiles
def test_a_module_that_was_built_for_a_newer_version_is_refused(tmp_path):
    newer = HEADER.read_text().replace("SMOOTHMAX_C_VERSION 1\n", "SMOOTHMAX_C_VERSION 1000\n")
    (tmp_path / "smoothmax.h").write_text(newer)
    with pytest.raises(ImportError) as caught:
        build(SOURCES / "consumer.c", tmp_path, "-pthread", include=tmp_path)
    assert str(caught.value) == (
        "this module was built with version 1000 of smoothmax's C interface, but the smoothmax that is installed has "
        "version 1"
    )


@compiles
@pytest.mark.parametrize("language", ["c99", "c++11"])
def test_the_header_compiles_without_a_warning(tmp_path, language):
    source = tmp_path / ("header.cpp" if language.startswith("c++") else "header.c")
    source.write_text("#include <smoothmax.h>\nint answer(void);\nint answer(void) { return smoothmax_import(); }\n")
    flags = [f"-std={language}", "-fsyntax-only", f"-I{HEADER.parent}", f"-I{sysconfig.get_paths()['include']}"]
    run(*COMPILER, *flags, *STRICT[:-1], source)


# What is frozen -------------------------------------------------------------------------------------------------------


def fields():
    """The declarations of the struct's functions, by their names."""
    body = re.search(r"typedef struct \{\s+int version;\n(.*?)\} smoothmax_functions;", HEADER.read_text(), re.S)
    found = re.findall(r"(\w+) \(\*(\w+)\)\((.*?)\);", body.group(1), re.S)
    assert len(found) == body.group(1).count(";")
    return {name: (result, " ".join(arguments.split())) for result, name, arguments in found}


def declarations(text, end):
    """The declarations of functions of a header or a pxd, by their names without the prefix."""
    found = re.findall(rf"(double|float|void) smoothmax_(\w+)\(([^)]*)\) ?{end}", text)
    return {name: (result, " ".join(arguments.split())) for result, name, arguments in found}


def test_functions_stay_what_and_where_they_are():
    (version,) = re.findall(r"#define SMOOTHMAX_C_VERSION (\d+)\n", HEADER.read_text())
    listed = list(fields().items())
    assert int(version) == max(VERSIONS)
    assert len(listed) == VERSIONS[int(version)][0]  # a new function needs a new version
    for number, expected in VERSIONS.values():
        assert hashlib.sha256(repr(listed[:number]).encode()).hexdigest()[:16] == expected


def test_struct_wrappers_and_pxd_declare_the_same():
    assert declarations(HEADER.read_text(), r"\{") == fields()
    assert declarations(PXD.read_text(), "noexcept") == fields()


def test_the_folder_of_the_header_is_that_of_the_package():
    assert HEADER.is_file()
    assert PXD.is_file()
    assert os.path.isabs(smoothmax.get_include())
