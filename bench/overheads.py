"""The cost of weights and of small calls: `python -m bench.overheads [weights | small]`.

Weights: calls of logsumexp with `b`, as multiples of the same call without. Small calls: multiples of np.add(x, x) with
the same number of elements. Each call and its reference take turns, on one thread.
"""

import argparse
from typing import Any

import numpy as np

import smoothmax
from bench.adjusted import Call, best_of_turns
from smoothmax import LogSumExp, cross_entropy, log_prob, logsumexp, softmax, softmax_vjp

SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (
    ((1_000_000,), 0),
    ((1000, 1000), 1),
    ((1000, 1000), 0),
    ((10_000, 10), 1),
    ((10_000, 10), 0),
)


def weighted(x: np.ndarray[Any, Any], axis: int) -> dict[str, Call]:
    """The call without weights first."""
    rng = np.random.default_rng(1)
    shape = [1 if i == axis else n for i, n in enumerate(x.shape)]
    one_each, full = rng.random(shape).astype(x.dtype), rng.random(x.shape).astype(x.dtype)
    return {
        "none": lambda: logsumexp(x, axis),
        "a number": lambda: logsumexp(x, axis, b=0.3),
        "one a reduction": lambda: logsumexp(x, axis, b=one_each),
        "one an element": lambda: logsumexp(x, axis, b=full),
    }


def print_weights() -> None:
    print("logsumexp with b, as multiples of the call without")
    for dtype in (np.float64, np.float32):
        for shape, axis in SHAPES:
            x = np.random.default_rng(0).normal(size=shape).astype(dtype)
            calls = weighted(x, axis)
            none, *others = best_of_turns(tuple(calls.values()))
            figures = "".join(
                f"{name:>18s} {time / none:.2f}" for name, time in zip(list(calls)[1:], others, strict=True)
            )
            print(f"{shape!s:14s} axis {axis} {dtype.__name__:8s}{none * 1e6:10.1f} us{figures}")


def small_calls(dtype: type[np.floating[Any]]) -> dict[str, tuple[Call, Call]]:
    """np.add(x, x), and the call that is compared with it."""
    rng = np.random.default_rng(0)
    x, b, two = rng.normal(size=10).astype(dtype), rng.random(10).astype(dtype), [0.0, 1.0]
    logits, targets = rng.normal(size=(4, 10)).astype(dtype), np.array([3, 0, 9, 5])
    p, stream = softmax(logits, axis=1), LogSumExp().update(x)

    def add() -> Any:
        return np.add(x, x)

    def add_logits() -> Any:
        return np.add(logits, logits)

    return {
        "logsumexp of 10": (add, lambda: logsumexp(x)),
        "the same, b of 10": (add, lambda: logsumexp(x, b=b)),
        "the same, b a number": (add, lambda: logsumexp(x, b=0.1)),
        "a list of two, b of two": (lambda: np.add(two, two), lambda: logsumexp(two, b=[1.0, -1.0])),
        "LogSumExp.update": (add, lambda: stream.update(x)),
        "(4, 10) cross_entropy": (add_logits, lambda: cross_entropy(logits, targets)),
        "(4, 10) log_prob": (add_logits, lambda: log_prob(logits, targets)),
        "(4, 10) softmax_vjp": (add_logits, lambda: softmax_vjp(logits, p, 1)),
        "(4, 10) softmax": (add_logits, lambda: softmax(logits, 1)),
    }


def print_small_calls() -> None:
    print("small calls, as multiples of np.add(x, x)")
    for dtype in (np.float64, np.float32):
        for name, calls in small_calls(dtype).items():
            add, own = best_of_turns(calls)
            print(f"{name:26s}{dtype.__name__:8s}{own * 1e9:7.0f} ns{own / add:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="?", choices=("weights", "small"))
    table = parser.parse_args().table
    with smoothmax.num_threads(1):
        if table != "small":
            print_weights()
        if table != "weights":
            print_small_calls()


if __name__ == "__main__":
    main()
