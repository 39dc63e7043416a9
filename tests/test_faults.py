"""For any fault while an output is written, its name has the complete old or the complete new output.

faults.py runs the command once for each step that touches the file system, with a fault at that step.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each run is a fork of one process")

X = np.random.default_rng(0).normal(size=(4, 4))
CODES = {"SIGKILL": {-9}, "SIGINT": {130}, "SIGTERM": {143}, "ENOSPC": {0, 2}}
SLOW = pytest.mark.slow
KINDS = [pytest.param(kind, marks=[SLOW] * (kind != "SIGKILL")) for kind in CODES]
CASES = [
    *(pytest.param(kind, ".npy", former) for kind in CODES for former in (False, True)),
    *(pytest.param(kind, ".zarr", False, marks=SLOW) for kind in CODES),
    *(pytest.param(*kind.values, ".zarr", True, marks=kind.marks) for kind in KINDS),
]


def save(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        store = pytest.importorskip("zarr").open(
            path, mode="w", shape=array.shape, chunks=array.shape, dtype=array.dtype
        )
        store[...] = array


LATE_THREAD = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from smoothmax._scale.workspace import workspace

def make_again(space):
    while os.path.exists(space.folder):
        time.sleep(0.001)
    os.makedirs(space.new)

with workspace(os.path.realpath("out")) as space:
    ThreadPoolExecutor(1).submit(make_again, space)
    raise SystemExit(143)
"""


def test_what_a_thread_makes_after_an_interruption_is_removed_too(tmp_path):
    """As a thread of zarr may, which a signal does not end."""
    run = subprocess.run([sys.executable, "-c", LATE_THREAD], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr, os.listdir(tmp_path)) == (143, "", [])


def faults(folder, kind, suffix, *, former, exchange="with exchange", function=("softmax", "--axis=0"), second=None):
    """The outcome of each step."""
    save(folder / f"x{suffix}", X)
    np.save(folder / "o.npy", [0, 1, 1, 4])
    command = [*function, f"x{suffix}", "-o", f"y{suffix}"]
    outputs = [f"y{suffix}"]
    if second is not None:
        outputs.append(second)
        command += ["--indices", second]
    if former:
        save(folder / f"former{suffix}", np.ones(3))
        command.append("--force")
    script = Path(__file__).parent / "faults.py"
    given = [sys.executable, script, kind, ",".join(outputs), f"former{suffix}" if former else "", exchange, *command]
    run = subprocess.run(given, cwd=folder, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(run.stderr.splitlines()) <= {
        "smoothmax: error: interrupted",
        *(f"smoothmax: error: cannot write {output!r}: No space left on device" for output in outputs),
        f"smoothmax: error: cannot read 'x{suffix}': No space left on device",
        "smoothmax: error: cannot read 'o.npy': No space left on device",
    }
    steps = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(steps) > 10
    return steps


@pytest.mark.parametrize(("kind", "suffix", "former"), CASES)
def test_output_is_old_or_new_whatever_happens(tmp_path, kind, suffix, former):
    for step in faults(tmp_path, kind, suffix, former=former):
        assert step["code"] in CODES[kind], step
        assert step["output"] in ("new", "old"), step
        assert step["output then"] == step["output"], step
        assert step["left then"] == [], step
        if kind != "SIGKILL":
            assert step["left"] == [] or step["clearing"], step
        if kind == "ENOSPC":
            assert (step["code"] == 0) == (step["output"] == "new"), step


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "function",
    [
        ("logcumsumexp", "--axis=0"), ("logmeanexp", "--axis=0", "--keepdims"), ("segment_softmax", "--offsets=o.npy"),
        ("categorical", "--seed=1"), pytest.param(("log1pexp",), marks=SLOW),
        pytest.param(("logmatmulexp", "x.npy"), marks=SLOW),
    ],
    ids=" ".join,
)  # fmt: skip
def test_outputs_of_other_functions_are_old_or_new(tmp_path, kind, function):
    for step in faults(tmp_path, kind, ".npy", former=True, function=function):
        assert step["code"] in CODES[kind], step
        assert step["output then"] == step["output"] in ("new", "old"), step
        assert step["left then"] == [], step


PAIRS = [(".npy", "SIGKILL", True), (".npy", "ENOSPC", True), (".npy", "SIGINT", False)]
OTHER_PAIRS = set(itertools.product((".npy", ".zarr"), CODES, [False, True])) - set(PAIRS)


@pytest.mark.parametrize(
    ("suffix", "kind", "former"), [*PAIRS, *(pytest.param(*case, marks=SLOW) for case in sorted(OTHER_PAIRS))]
)
def test_two_outputs_are_both_old_or_both_new(tmp_path, suffix, kind, former):
    """Killed between the two renames, only one is new, until the next run gives it back what it was."""
    halves = 0
    for step in faults(tmp_path, kind, suffix, former=former, function=("top_log_probs", "-k2"), second=f"i{suffix}"):
        assert step["code"] in CODES[kind], step
        assert step["output then"] in ("new", "old"), step
        assert step["left then"] == [], step
        if kind != "SIGKILL":
            assert step["output then"] == step["output"], step
            assert step["left"] == [] or step["clearing"], step
        if kind == "ENOSPC":
            assert (step["code"] == 0) == (step["output"] == "new"), step
        halves += step["output"] in ("new and old", "missing and old")
    assert (halves > 0) == (kind == "SIGKILL")


@pytest.mark.parametrize("kind", KINDS)
def test_no_store_is_lost_where_names_cannot_be_exchanged(tmp_path, kind):
    """If the command is killed between the two renames, the former store has no name until the next run restores it."""
    missing = 0
    for step in faults(tmp_path, kind, ".zarr", former=True, exchange="without exchange"):
        assert step["code"] in CODES[kind], step
        assert step["output then"] in ("old", "new"), step
        assert step["left then"] == [], step
        missing += step["output"] == "missing"
    assert missing == (kind == "SIGKILL")
