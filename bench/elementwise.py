"""How fast the ufuncs are, compared with NumPy, SciPy, PyTorch, JAX and a loop compiled by Numba.

    python -m bench.elementwise                  print the table, with one thread
    python -m bench.elementwise logaddexp        of one function
    python -m bench.elementwise --write          and put it into docs/benchmarks.md

Every contender is checked with the formula in longdouble before it is timed. The contenders of a case take turns, and
the best time counts. The ufuncs use one thread, as NumPy's do; with `--threads 2` PyTorch and JAX may use two.
"""

import argparse
import importlib.metadata
import importlib.util
import itertools
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import contenders
from bench.cases import DTYPES
from bench.pages import PAGE, put, table
from bench.turns import best_in_turns
from bench.yardsticks import processor

Array = NDArray[Any]
FUNCTIONS = ("logaddexp", "logsubexp", "log1mexp", "log1pexp", "log_expit")
BINARY = FUNCTIONS[:2]
CASES = {"10": ((10,), (10,)), "1000": ((1000,), (1000,)), "1e6": ((10**6,), (10**6,))}
BROADCAST = {"(1000, 1) with (1, 1000)": ((1000, 1), (1, 1000))}
ROUNDS = 4
TURN_SECONDS = 0.005  # of calls, at least two of them


def make(function: str, shapes: tuple[tuple[int, ...], ...], dtype: str) -> list[Array]:
    """Numbers of spread 3, below 0 for log1mexp, the second below the first for logsubexp."""
    rng = np.random.default_rng(20240229)
    first, second = (3.0 * rng.standard_normal(shape) for shape in shapes)
    if function not in BINARY:
        return [(-np.abs(first) if function == "log1mexp" else first).astype(dtype)]
    return [first.astype(dtype), (second - 30 if function == "logsubexp" else second).astype(dtype)]


# Contenders: from a function and its operands to a call without arguments ---------------------------------------------


def formulas(library: Any, where: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """The code that users of an array library write if it has no such function."""
    return {
        "logsubexp": lambda x, y: x + library.log1p(-library.exp(y - x)),
        "log1mexp": lambda x: where(x > -math.log(2), library.log(-library.expm1(x)), library.log1p(-library.exp(x))),
    }


def numpy_call(function: str, operands: list[Array]) -> contenders.Call | None:
    own: dict[str, Callable[..., Any]] = {
        **formulas(np, np.where),
        "logaddexp": np.logaddexp,
        "log1pexp": lambda x: np.logaddexp(x.dtype.type(0), x),
        "log_expit": lambda x: -np.logaddexp(x.dtype.type(0), -x),
    }
    return lambda: own[function](*operands)


def scipy_call(function: str, operands: list[Array]) -> contenders.Call | None:
    special = contenders.load("scipy.special")
    own = {"log_expit": special.log_expit, "log1pexp": getattr(special, "softplus", None)}.get(function)
    return None if own is None else lambda: own(*operands)


def torch_call(function: str, operands: list[Array]) -> contenders.Call | None:
    torch = contenders.load("torch")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    own = {
        **formulas(torch, torch.where),
        "logaddexp": torch.logaddexp,
        "log1pexp": torch.nn.functional.softplus,
        "log_expit": torch.nn.functional.logsigmoid,
    }
    tensors = [torch.from_numpy(x) for x in operands]
    return lambda: own[function](*tensors)


def jax_call(function: str, operands: list[Array]) -> contenders.Call | None:
    jax = contenders.load("jax")
    jax.config.update("jax_enable_x64", True)
    own = {
        **formulas(jax.numpy, jax.numpy.where),
        "logaddexp": jax.numpy.logaddexp,
        "log1pexp": jax.nn.softplus,
        "log_expit": jax.nn.log_sigmoid,
    }
    compiled = jax.jit(own[function])
    arrays = [jax.block_until_ready(jax.numpy.asarray(x)) for x in operands]
    return lambda: compiled(*arrays).block_until_ready()


def numba_call(function: str, operands: list[Array]) -> contenders.Call | None:
    """The formula with the C library's functions, compiled to a ufunc."""
    own: dict[str, Callable[..., Any]] = {
        "logaddexp": lambda x, y: max(x, y) + math.log1p(math.exp(min(x, y) - max(x, y))),
        "logsubexp": lambda x, y: x + math.log1p(-math.exp(y - x)),
        "log1mexp": lambda x: math.log(-math.expm1(x)) if x > -0.6931471805599453 else math.log1p(-math.exp(x)),
        "log1pexp": lambda x: max(x, x - x) + math.log1p(math.exp(-abs(x))),
        "log_expit": lambda x: min(x, x - x) - math.log1p(math.exp(-abs(x))),
    }
    compiled = contenders.load("numba").vectorize(own[function])
    return lambda: compiled(*operands)


def own_call(function: str, operands: list[Array]) -> contenders.Call | None:
    ufunc = getattr(contenders.load("smoothmax"), function)
    return lambda: ufunc(*operands)


# Name: the package whose version is reported, and how it is called.
CONTENDERS = {
    "smoothmax": ("smoothmax", own_call),
    "NumPy": ("numpy", numpy_call),
    "SciPy": ("scipy", scipy_call),
    "PyTorch": ("torch", torch_call),
    "JAX": ("jax", jax_call),
    "Numba": ("numba", numba_call),
}


def installed() -> list[str]:
    return [name for name, (package, _) in CONTENDERS.items() if importlib.util.find_spec(package)]


# Checking and timing -------------------------------------------------------------------------------------------------


def check(name: str, function: str, operands: list[Array], call: contenders.Call) -> None:
    """Raise an error if a contender's results are wrong, or of another type than the operands."""
    wide = numpy_call(function, [x.astype(np.longdouble) for x in operands])
    assert wide is not None
    got = np.asarray(call())
    assert got.dtype == operands[0].dtype, f"{name} gives {got.dtype}"
    np.testing.assert_allclose(got, wide().astype(np.float64), rtol=1e-4, atol=1e-6, err_msg=f"{name} {function}")


def seconds_of_turn(call: contenders.Call) -> float:
    """The least time of a call. A turn takes the mean of many calls: a clock is too coarse for one small call."""
    start = time.perf_counter()
    call()
    count = max(2, int(TURN_SECONDS / max(time.perf_counter() - start, 1e-7)))
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def row(function: str, case: str, operands: list[Array], names: list[str]) -> list[str]:
    calls = {}
    for name in names:
        call = CONTENDERS[name][1](function, operands)
        if call is not None:
            check(name, function, operands, call)
            calls[name] = call
    if operands[0].size == 10:  # the time of NumPy's own machinery
        calls["np.add"] = (lambda: np.add(*operands)) if len(operands) == 2 else (lambda: np.negative(*operands))
    times = best_in_turns(calls, ROUNDS, seconds_of_turn)
    others = [f"{times[name] / times['smoothmax']:.2g}x" if name in times else "" for name in names[1:]]
    small = f"{times['smoothmax'] / times['np.add']:.2f}" if "np.add" in times else ""
    return [f"{function} {operands[0].dtype}, {case}", f"{times['smoothmax'] * 1e6:.3g} us", *others, small]


def lines(functions: list[str], threads: int) -> list[str]:
    """The table, below the conditions that it depends on."""
    names, rows = installed(), []
    for function, dtype in itertools.product(functions, DTYPES):
        for case, shapes in {**CASES, **(BROADCAST if function in BINARY else {})}.items():
            rows.append(row(function, case, make(function, shapes, dtype), names))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    versions = ", ".join(f"{name} {importlib.metadata.version(CONTENDERS[name][0])}" for name in names[1:])
    number = "one thread" if threads == 1 else f"{threads} threads for those that can use them"
    variant = contenders.load("smoothmax._kernels.dispatch").variant
    return [
        f"{processor()}, {number}, kernels {variant}, {versions}; best of {ROUNDS} rounds in which the contenders take "
        "turns. The last column is the time as a multiple of np.add's, or np.negative's.",
        "",
        *table(["", "smoothmax", *names[1:], "of np.add"], rows),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the ufuncs, and compare them with other libraries.")
    parser.add_argument("functions", nargs="*", choices=[*FUNCTIONS, []], help="default: all")
    parser.add_argument("--threads", type=int, default=1, help="cores that every contender may use (default: 1)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    contenders.use_cores(arguments.threads)
    contenders.keep_freed_memory()
    found = lines(arguments.functions or list(FUNCTIONS), arguments.threads)
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "ufuncs" if arguments.threads == 1 else "ufuncs of all threads", found)


if __name__ == "__main__":
    main()
