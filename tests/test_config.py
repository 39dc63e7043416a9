"""The report of show_config, the choice of a variant by SMOOTHMAX_KERNEL, and the modules that an import loads."""

import ast
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import smoothmax
from smoothmax._kernels import dispatch as _dispatch

ROOT = Path(__file__).resolve().parent.parent
RUNNABLE = [name for name in _dispatch.VARIANTS if _dispatch.is_built(name) and not _dispatch.missing_features(name)]


def python(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


# The configuration ---------------------------------------------------------------------------------------------------


def test_dicts_has_versions_kernels_machine_and_extensions():
    config = smoothmax.show_config(mode="dicts")
    assert list(config) == ["Versions", "Kernels", "Machine Information", "SIMD Extensions"]
    assert config["Versions"] == {
        "smoothmax": smoothmax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    assert config["Kernels"] == {
        "variant": _dispatch.variant,
        "built": [name for name in _dispatch.VARIANTS if _dispatch.is_built(name)],
        "compiler": _dispatch.compiler,
    }
    assert "baseline" in config["Kernels"]["built"]
    assert config["Machine Information"]["architecture"] == platform.machine()
    assert config["Machine Information"]["processor"]
    simd = config["SIMD Extensions"]
    assert sorted(simd["found"] + simd["not found"]) == sorted(_dispatch.FEATURES)
    assert all(_dispatch.FEATURES[name] for name in simd["found"])
    assert not any(_dispatch.FEATURES[name] for name in simd["not found"])


def test_variants_that_are_not_built_are_not_listed(monkeypatch):
    monkeypatch.setattr(_dispatch, "is_built", lambda name: name != "x86-64-v3")
    assert smoothmax.show_config("dicts")["Kernels"]["built"] == ["x86-64-v4", "baseline"]


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="the features are compared with Linux's list")
def test_features_and_model_are_what_the_system_lists():
    with open("/proc/cpuinfo") as lines:
        entries = [[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]
    flags = {flag for key, value in entries if key == "flags" for flag in value.split()}  # none but on x86
    linux_names = {"bmi": "bmi1"}
    assert {name: linux_names.get(name, name) in flags for name in _dispatch.FEATURES} == _dispatch.FEATURES
    models = [value for key, value in entries if key == "model name"]
    processor = smoothmax.show_config("dicts")["Machine Information"]["processor"]
    assert processor == (models[0] if models else platform.processor() or "unknown")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="cpuid is an instruction of x86")
def test_the_processor_says_the_same_without_the_compilers_library(tmp_path):
    """The choice in builds of clang-cl, which has no __builtin_cpu_supports."""
    compiler, header = shutil.which("cc"), ROOT / "src/smoothmax/_kernels/cpu_features.h"
    if compiler is None or not header.exists():
        pytest.skip("needs a C compiler and the sources")
    asked = "".join(f'printf("%d", smoothmax_cpu_has("{name}"));' for name in _dispatch.FEATURES)
    (tmp_path / "asks.c").write_text(
        f'#include <stdio.h>\n#include "{header}"\nint main(void) {{ {asked} return 0; }}\n'
    )
    command = [compiler, "-Wall", "-Wextra", "-Werror", "-DSMOOTHMAX_ASK_CPUID", "asks.c", "-o", "asks"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    answers = subprocess.run([tmp_path / "asks"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert answers == "".join(str(int(has)) for has in _dispatch.FEATURES.values())


def test_stdout_has_a_line_for_each_entry(capsys, monkeypatch):
    monkeypatch.setattr(_dispatch, "FEATURES", {"avx2": True, "fma": True, "avx512f": False})
    assert smoothmax.show_config() is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "Versions:",
        f"  smoothmax: {smoothmax.__version__}",
        f"  numpy: {np.__version__}",
        f"  python: {platform.python_version()}",
    ]
    assert f"  variant: {_dispatch.variant}" in lines
    assert lines[-3:] == ["SIMD Extensions:", "  found: avx2, fma", "  not found: avx512f"]


def test_an_empty_list_is_printed_as_a_dash(capsys, monkeypatch):
    monkeypatch.setattr(_dispatch, "FEATURES", {"avx2": False})
    smoothmax.show_config("stdout")
    assert capsys.readouterr().out.endswith("  found: -\n  not found: avx2\n")


def test_dicts_prints_nothing(capsys):
    smoothmax.show_config("dicts")
    assert capsys.readouterr().out == ""


def test_another_mode_is_an_error():
    with pytest.raises(AttributeError) as caught:
        smoothmax.show_config(mode="yaml")
    assert str(caught.value) == "mode must be 'stdout' or 'dicts', got 'yaml'"


def test_version_is_that_of_the_installed_package():
    assert smoothmax.__version__ == importlib.metadata.version("smoothmax")


def test_version_needs_no_metadata():
    """A source tree on the path has no metadata, and neither has a frozen program."""
    script = """
import importlib.metadata
def version(name):
    raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = version
import smoothmax
assert smoothmax.show_config("dicts")["Versions"]["smoothmax"] == smoothmax.__version__
print(smoothmax.__version__)
"""
    run = python(script)
    assert (run.stdout, run.stderr) == (smoothmax.__version__ + "\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux knows")
def test_configuration_where_proc_is_not_mounted(monkeypatch):
    def missing(path, *_, **__):
        raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr("builtins.open", missing)
    assert smoothmax.show_config("dicts")["Machine Information"]["processor"]


def test_an_unknown_attribute_is_an_error():
    with pytest.raises(AttributeError) as caught:
        smoothmax.logsummexp  # noqa: B018
    assert str(caught.value) == "module 'smoothmax' has no attribute 'logsummexp'"


# The choice of a variant ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_environment_chooses_a_variant(name):
    script = "import smoothmax as s; print(s.show_config('dicts')['Kernels']['variant'], s.softmax([0.0, 0]))"
    run = python(script, SMOOTHMAX_KERNEL=name)
    assert (run.stdout, run.stderr) == (f"{name} [0.5 0.5]\n", "")


def test_an_empty_name_chooses_the_best_variant():
    run = python("from smoothmax._kernels import dispatch; print(dispatch.variant)", SMOOTHMAX_KERNEL="")
    assert (run.stdout, run.stderr) == (f"{RUNNABLE[0]}\n", "")


def test_an_unknown_variant_is_an_error_on_import():
    run = python("import smoothmax", SMOOTHMAX_KERNEL="avx9000")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "ImportError: SMOOTHMAX_KERNEL='avx9000' is not a variant of smoothmax: x86-64-v4, x86-64-v3, baseline"
    )


def refusal(name):
    with pytest.raises(ImportError) as caught:
        _dispatch.choose(name)
    return str(caught.value)


@pytest.fixture
def processor(monkeypatch):
    """A function that makes the processor lack the given features. All variants are built."""

    def lacks(*missing):
        monkeypatch.setattr(_dispatch, "is_built", lambda _: True)
        monkeypatch.setattr(_dispatch, "FEATURES", {name: name not in missing for name in _dispatch.FEATURES})

    return lacks


def test_a_variant_that_the_processor_cannot_run_is_refused(processor):
    processor("fma", "avx512bw", "avx512vl")
    assert refusal("x86-64-v3") == "SMOOTHMAX_KERNEL='x86-64-v3' needs a processor with fma"
    assert refusal("x86-64-v4") == "SMOOTHMAX_KERNEL='x86-64-v4' needs a processor with fma, avx512bw, avx512vl"
    assert _dispatch.choose("baseline") == "baseline"


def test_a_variant_that_is_not_built_is_refused(processor, monkeypatch):
    processor()
    monkeypatch.setattr(_dispatch, "is_built", lambda name: name == "baseline")
    assert refusal("x86-64-v3") == "SMOOTHMAX_KERNEL='x86-64-v3' was not built with this installation of smoothmax"
    assert _dispatch.choose(None) == "baseline"


@pytest.mark.parametrize(
    ("missing", "best"), [((), "x86-64-v4"), (("avx512cd",), "x86-64-v3"), (("bmi2",), "baseline")]
)
def test_the_best_variant_that_runs_is_chosen(processor, missing, best):
    processor(*missing)
    assert _dispatch.choose(None) == best
    assert _dispatch.choose("") == best


# Import --------------------------------------------------------------------------------------------------------------


def test_an_import_loads_only_what_a_call_needs():
    run = python(
        "import sys, numpy; before = set(sys.modules); import smoothmax, smoothmax._kernels.dispatch as d;"
        "print(sorted(set(sys.modules) - before), d.module_of(d.variant))"
    )
    loaded, _, kernels = run.stdout.strip().rpartition(" ")
    # Cython's own, which are named after its version, and the name of the file that it translated for all variants;
    # importlib's, which other versions of NumPy may have loaded, and those of NumPy: 1.26 has aliases for the names of
    # NumPy 2
    passed = ("_cython_", "cython_runtime", "smoothmax._kernels.kernels", "importlib.util", "importlib._abc",
              "numpy._core")  # fmt: skip
    names = {name for name in ast.literal_eval(loaded) if not name.startswith(passed)}
    rooms = {
        "_api": "config elementwise functions losses",
        "_arrays": "call elementwise elements losses",
        "_kernels": "dispatch",
        "_schedule": "narrow pool results route rows scratch segments threads tiles units walk",
    }
    own = {f"smoothmax.{room}" for room in rooms}
    own |= {f"smoothmax.{room}.{name}" for room, names_of_room in rooms.items() for name in names_of_room.split()}
    assert names == {"smoothmax", kernels, *own}
