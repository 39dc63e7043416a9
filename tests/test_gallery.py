"""The examples of the gallery run, and each compares its results with another computation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "docs/gallery").glob("plot_*.py"))


NEEDED = {"plot_cython": ("Cython", "setuptools"), "plot_numba": ("numba",)}


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem.removeprefix("plot_"))
def test_the_example_runs(path, entry_points):
    for needed in ("matplotlib", *NEEDED.get(path.stem, ())):
        pytest.importorskip(needed)
    paths = os.pathsep.join([str(entry_points), *filter(None, sys.path)])
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": paths}
    ran = subprocess.run([sys.executable, path], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
