"""The pages have the figures of speed, and the pictures, that bench/report.py writes from bench/results.json."""

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


def test_readme_keeps_its_two_commands() -> None:
    """Both begin a line, so that they can be copied; .ci/run runs the second."""
    lines = [line.strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    assert "pip install . && python -m smoothmax" in lines
    assert 'pip install ".[test]" && python -m pytest' in lines


def test_front_pages_are_short() -> None:
    for page, most in (("README.md", 110), ("bench/README.md", 120)):
        assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= most, page
