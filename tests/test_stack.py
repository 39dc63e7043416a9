"""Calls need little stack: threads of 64 KiB can make every call, although the interpreter takes half of it."""

import subprocess
import sys
from pathlib import Path

import pytest

CALLS = """
import sys, threading
import numpy as np
import smoothmax

smoothmax.set_num_threads(int(sys.argv[1]))
rng = np.random.default_rng(0)
calls = []
shapes = [((10,), None), ((300_000,), None), ((1000, 10), 1), ((1000, 10), 0), ((2100, 65), 0), ((10, 100, 3), 1),
          ((2000, 3), 0), ((7, 2000), 1), ((7, 9, 11), (0, 2))]
for dtype in (np.float64, np.float32):
    a, b = rng.normal(size=(70, 300)).astype(dtype), 600*rng.normal(size=(300, 90)).astype(dtype)
    calls += [(smoothmax.logmatmulexp, (a, b), {"exact": exact}) for exact in (False, True)]
    calls.append((smoothmax.logmatmulexp, (a[0], b[:, 0]), {}))
    for shape, axis in shapes:
        x, b = rng.normal(size=(2, *shape)).astype(dtype)
        mask = rng.random(shape) < 0.9
        calls += [
            (smoothmax.logsumexp, (x, axis), {}),
            (smoothmax.logsumexp, (x, axis, b), {}),
            (smoothmax.logsumexp, (x, axis, b * dtype(1e30)), {"return_sign": True}),
            (smoothmax.softmax, (x, axis), {}),
            (smoothmax.softmax, (x[..., ::-1], axis), {"where": mask}),
            (smoothmax.log_softmax, (x, axis), {}),
            (smoothmax.logsumexp_and_softmax, (x, axis), {}),
            (smoothmax.softmax_vjp, (b, x, axis), {}),
            (smoothmax.log_softmax_vjp, (b, x, axis), {}),
            (smoothmax.logmeanexp, (x, axis), {}),
            (smoothmax.logmeanexp, (x, axis, np.abs(b)), {"where": mask}),
            (smoothmax.softmax, (x, axis), {"scale": 0.5, "add": b}),
            (smoothmax.logaddexp, (x, b), {}),
            (smoothmax.logaddexp, (x, b[..., :1].copy()), {}),
            (smoothmax.logaddexp, (b[:1].copy(), x), {}),
            (smoothmax.logaddexp, (x[..., ::-1], b), {"dtype": np.float16}),
            (smoothmax.log1pexp, (x,), {"dtype": np.longdouble}),
        ]
        if isinstance(axis, int):
            targets = rng.integers(0, shape[axis], np.delete(shape, axis))
            calls += [
                (smoothmax.cross_entropy, (x, targets, axis), {}),
                (smoothmax.cross_entropy, (x, np.abs(b), axis), {}),
                (smoothmax.cross_entropy_and_grad, (x, targets, axis), {"label_smoothing": 0.1}),
                (smoothmax.cross_entropy_and_grad, (x, np.abs(b), axis), {}),
                (smoothmax.log_prob, (x, targets, axis), {}),
                (smoothmax.logcumsumexp, (x, axis), {}),
                (smoothmax.logcumsumexp, (x[..., ::-1],), {"reverse": True, "exclusive": True}),
                (smoothmax.segment_logsumexp, (x, [0, 1, 5, shape[axis]], axis), {}),
                (smoothmax.segment_softmax, (x, np.arange(shape[axis] + 1), axis), {}),
                (smoothmax.segment_log_softmax, (x, [0, shape[axis]], axis), {"dtype": np.float16}),
                (smoothmax.top_log_probs, (x, 3, axis), {}),
                (smoothmax.top_log_probs, (x, shape[axis], axis), {}),
                (smoothmax.categorical, (x, axis), {"rng": 1}),
            ]


def everything():
    for function, arguments, options in calls:
        function(*arguments, **options)
    print("done", flush=True)


everything()  # imports and caches need more stack, but only once
threading.stack_size(65536)
thread = threading.Thread(target=everything)
thread.start()
thread.join()
"""


@pytest.mark.unsanitized
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.skipif(sys.platform != "linux", reason="the least size of a stack is the system's")
def test_a_thread_with_64_kib_of_stack_can_make_every_call(tmp_path: Path, threads: int) -> None:
    script = tmp_path / "stack.py"
    script.write_text(CALLS)
    run = subprocess.run([sys.executable, str(script), str(threads)], capture_output=True, text=True, timeout=120)
    assert (run.stdout, run.stderr, run.returncode) == ("done\ndone\n", "", 0)
