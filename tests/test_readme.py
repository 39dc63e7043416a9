"""What README says of speed is what bench/report.py wrote from bench/results.json, and so is the plot."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_figures_of_readme_are_those_of_the_results() -> None:
    """The report's own check, run as a user runs it; needs no package beyond the standard library."""
    command = [sys.executable, "-m", "bench.report", "--check"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout == "README.md and bench/speed.png are current\n"
