"""How fast cross-entropy and its gradient are, compared with PyTorch and with the formulas in NumPy.

    python -m bench.losses                  print the table, with one thread
    python -m bench.losses --threads 2      with two threads
    python -m bench.losses --write          and put it into docs/benchmarks.md

Every contender is checked with the formulas in longdouble before it is timed. The contenders of a case take turns, and
the best time counts. `--check` times nothing, and compares all combinations of the arguments with PyTorch.
"""

import argparse
import importlib.metadata
import itertools
import os
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import contenders
from bench.pages import PAGE, put, table
from bench.turns import PAUSE
from bench.yardsticks import processor

CASES = (((64, 50257), 1), ((1024, 1000), 1), ((10000, 10), 1), ((8, 19, 128, 128), 1))
DTYPES = ("float64", "float32")
ROUNDS = 20
TURN = 4  # calls; the first of them wakes the threads of a library
Array = NDArray[Any]


def make(shape: tuple[int, ...], axis: int, dtype: str) -> tuple[Array, Array]:
    """Scores of spread 3, and a class for each position."""
    rng = np.random.default_rng(20240229)
    kept = tuple(n for i, n in enumerate(shape) if i != axis)
    return (3.0 * rng.standard_normal(shape)).astype(dtype), rng.integers(0, shape[axis], kept)


# Contenders: from logits, targets and the axis to two calls without arguments ---------------------------------------


def smoothmax_calls(x: Array, targets: Array, axis: int) -> tuple[contenders.Call, contenders.Call]:
    package = contenders.load("smoothmax")
    return (lambda: package.cross_entropy(x, targets, axis), lambda: package.cross_entropy_and_grad(x, targets, axis))


def numpy_calls(x: Array, targets: Array, axis: int) -> tuple[contenders.Call, contenders.Call]:
    """The textbook formulas."""
    places = np.expand_dims(targets, axis)

    def log_softmax() -> Array:
        d = x - x.max(axis, keepdims=True)
        return d - np.log(np.exp(d).sum(axis, keepdims=True))

    def loss() -> Any:
        return -np.take_along_axis(log_softmax(), places, axis).mean()

    def both() -> Any:
        logp = log_softmax()
        gradient = np.exp(logp)
        at = np.take_along_axis(gradient, places, axis)
        np.put_along_axis(gradient, places, at - 1, axis)
        gradient /= targets.size
        return -np.take_along_axis(logp, places, axis).mean(), gradient

    return loss, both


def torch_calls(x: Array, targets: Array, axis: int) -> tuple[contenders.Call, contenders.Call]:
    assert axis == 1
    torch = contenders.load("torch")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    cross_entropy = torch.nn.functional.cross_entropy
    logits, classes = torch.from_numpy(x), torch.from_numpy(targets)
    leaf = torch.from_numpy(x.copy()).requires_grad_()

    def both() -> Any:
        leaf.grad = None
        loss = cross_entropy(leaf, classes)
        loss.backward()
        return loss.detach().numpy(), leaf.grad.numpy()

    return (lambda: cross_entropy(logits, classes).numpy()), both


CONTENDERS = {"smoothmax": smoothmax_calls, "NumPy": numpy_calls, "PyTorch": torch_calls}
PACKAGES = {"NumPy": "numpy", "PyTorch": "torch"}


# Checking and timing -------------------------------------------------------------------------------------------------


def check(x: Array, targets: Array, axis: int, calls: tuple[contenders.Call, contenders.Call]) -> None:
    """Raise an error if a contender's results are wrong."""
    loss, gradient = numpy_calls(x.astype(np.longdouble), targets, axis)[1]()
    found, (again, found_gradient) = calls[0](), calls[1]()
    eps = float(np.finfo(x.dtype).eps)
    np.testing.assert_allclose([float(found), float(again)], float(loss), rtol=100 * eps)
    np.testing.assert_allclose(found_gradient, gradient, rtol=1000 * eps, atol=10 * eps / targets.size)


def best_times(calls: list[contenders.Call]) -> list[float]:
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for i, call in enumerate(calls):
            time.sleep(PAUSE)
            for _ in range(TURN):
                start = time.perf_counter()
                call()
                best[i] = min(best[i], time.perf_counter() - start)
    return best


def times_of(calls: tuple[contenders.Call, ...]) -> list[str]:
    """The time of the first call, and the times of the others as multiples of it."""
    own, *others = best_times(list(calls))
    return [f"{own * 1e3:.3g} ms", *(f"{seconds / own:.2g}x" for seconds in others)]


def lines(threads: int) -> list[str]:
    """The table, below the conditions that it depends on."""
    names = [name for name in CONTENDERS if name in contenders.names()]
    rows = []
    for (shape, axis), dtype in itertools.product(CASES, DTYPES):
        x, targets = make(shape, axis, dtype)
        calls = [CONTENDERS[name](x, targets, axis) for name in names]
        for pair in calls:
            check(x, targets, axis, pair)
        losses, both = zip(*calls, strict=True)
        rows.append([f"{shape} {dtype}", *times_of(losses), *times_of(both)])
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    versions = ", ".join(f"{name} {importlib.metadata.version(PACKAGES[name])}" for name in names[1:])
    number = "one thread" if threads == 1 else f"{threads} threads"
    variant = contenders.load("smoothmax._kernels.dispatch").variant
    return [
        f"{processor()}, {number}, kernels {variant}, {versions}; best of {ROUNDS} rounds in which the contenders take "
        f"turns of {TURN} calls.",
        "",
        *table(["", "loss", *names[1:], "loss and gradient", *names[1:]], rows),
    ]


def compare_with_torch() -> None:
    """Compare the values and gradients of every combination of the arguments."""
    torch, package = contenders.load("torch"), contenders.load("smoothmax")
    rng = np.random.default_rng(1)
    compared = 0
    for shape, dtype in itertools.product(((6, 5), (4, 7, 3), (9, 300), (2, 3, 40, 50)), DTYPES):
        x, targets = make(shape, 1, dtype)
        probable = rng.dirichlet(np.ones(shape[1]), targets.shape).astype(dtype)
        weights = (None, rng.uniform(0.2, 2, shape[1]).astype(dtype))
        for given, weight, ignored, smoothing, reduction in itertools.product(
            (targets, np.moveaxis(probable, -1, 1).copy(), np.full_like(targets, -100)),
            weights,
            (None, 1, -100),
            (0.0, 0.1, 1.0),
            ("mean", "sum", "none"),
        ):
            if (given.dtype == dtype and ignored is not None) or (given.flat[0] == -100 and ignored != -100):
                continue
            leaf = torch.from_numpy(x.copy()).requires_grad_()
            wanted = torch.nn.functional.cross_entropy(
                leaf,
                torch.from_numpy(given),
                weight=None if weight is None else torch.from_numpy(weight),
                ignore_index=-100 if ignored is None else ignored,
                label_smoothing=smoothing,
                reduction=reduction,
            )
            wanted.sum().backward()
            loss, gradient = package.cross_entropy_and_grad(
                x, given, 1, weight=weight, ignore_index=ignored, label_smoothing=smoothing, reduction=reduction
            )
            near = {"rtol": 2e-5, "atol": 2e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-14}
            what = f"{shape} {dtype} {given.shape} {weight is None} {ignored} {smoothing} {reduction}"
            np.testing.assert_allclose(loss, wanted.detach().numpy(), **near, err_msg=what)
            if given.flat[0] != -100:  # where all targets are ignored, some gradients of torch are 0/0
                np.testing.assert_allclose(gradient, leaf.grad.numpy(), **near, err_msg=what)
            compared += 1
    print(f"{compared} combinations agree with PyTorch {torch.__version__}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time cross-entropy, and compare it with PyTorch and NumPy.")
    parser.add_argument("--threads", type=int, default=1, help="cores that every contender may use (default: 1)")
    parser.add_argument("--check", action="store_true", help="compare with PyTorch instead of timing")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    contenders.use_cores(arguments.threads)
    if arguments.check:
        compare_with_torch()
        return
    contenders.keep_freed_memory()
    found = lines(arguments.threads)
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "losses" if arguments.threads == 1 else "losses of all threads", found)


if __name__ == "__main__":
    main()
