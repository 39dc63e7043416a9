"""The pages have the figures of speed, and the pictures, that bench/report.py writes from the results in bench/."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_figures_are_those_of_the_results() -> None:
    """The report's own check, run as a user runs it; needs no package beyond the standard library."""
    command = [sys.executable, "-m", "bench.report", "--check"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout == "README.md, docs/benchmarks.md and their pictures are current\n"


def test_the_family_has_its_cells() -> None:
    """The results have every function of the family, in both types, on all inputs listed here."""
    results = json.loads((ROOT / "bench/results-family.json").read_text(encoding="utf-8"))
    measured = {(function, dtype, case): cell for function, dtype, case, cell in results["cells"]}
    binary, unary = ("logaddexp", "logsubexp"), ("log1mexp", "log1pexp", "log_expit")
    lengths = [f"1e6, mean {mean}, {kind}" for mean in (3, 10, 100, 10000) for kind in ("sorted", "geometric")]
    squares = [f"({n}, {n}) @ ({n}, {n})" for n in (64, 512, 2000)]
    wanted = {
        binary: ["10", "1000", "1e6", "(1000, 1) with (1, 1000)"],
        unary: ["10", "1000", "1e6"],
        ("logcumsumexp",): ["1e6", "(1000, 1000) axis 0", "(1000, 1000) axis 1"],
        ("segment_logsumexp", "segment_softmax", "segment_log_softmax"): lengths,
        ("logmatmulexp",): [*squares, "(1000, 64) @ (64, 64)", "(100, 32, 32) @ (100, 32, 32)"],
        ("top_log_probs",): ["20 of (512, 128256)"],
        ("categorical",): ["(512, 128256)"],
    }
    cells = [
        (function, dtype, case)
        for functions, cases in wanted.items()
        for function in functions
        for case in cases
        for dtype in ("float64", "float32")
    ]
    cells += [("top_log_probs", "bfloat16", "20 of (512, 128256)"), ("categorical", "bfloat16", "(512, 128256)")]
    for key in cells:
        assert {"smoothmax", "NumPy", "PyTorch", "JAX"} <= measured[key].keys(), key
    assert {function for function, *_ in measured} == {name for group in results["groups"].values() for name in group}


def test_readme_keeps_its_two_commands() -> None:
    """Both begin a line, so that they can be copied; .ci/run runs the second."""
    lines = [line.strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    assert "pip install . && python -m smoothmax" in lines
    assert 'pip install ".[test]" && python -m pytest' in lines


def test_front_pages_are_short() -> None:
    for page, most in (("README.md", 110), ("bench/README.md", 120)):
        assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= most, page
