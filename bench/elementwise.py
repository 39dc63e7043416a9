"""The cells of the ufuncs, beside NumPy, SciPy, PyTorch, JAX and a ufunc compiled by Numba. `bench.family` times them.

Where a library has no such function, it is the formula that its users write. Ten elements have a yardstick: what
NumPy's own machinery takes for a ufunc that has next to nothing to compute.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bench import contenders
from bench.cases import DTYPES
from bench.cells import Array, Calls, Cell, Cells, Prepared, normal
from bench.reference import Answers, wider

__all__ = ["cells"]

FUNCTIONS = ("logaddexp", "logsubexp", "log1mexp", "log1pexp", "log_expit")
BINARY = FUNCTIONS[:2]
CASES = {"10": ((10,), (10,)), "1000": ((1000,), (1000,)), "1e6": ((10**6,), (10**6,))}
BROADCAST = {"(1000, 1) with (1, 1000)": ((1000, 1), (1, 1000))}


def make(function: str, shapes: tuple[tuple[int, ...], ...], dtype: str) -> list[Array]:
    """Numbers of spread 3, below 0 for log1mexp; for logsubexp the first are above 0 and the second below."""
    first, second = (normal(shape, dtype, seed) for seed, shape in enumerate(shapes))
    if function == "logsubexp":
        return [np.abs(first), -np.abs(second)]
    return [first, second] if function == "logaddexp" else [-np.abs(first) if function == "log1mexp" else first]


# Contenders: by function, what takes the operands --------------------------------------------------------------------


def formulas(library: Any) -> dict[str, Callable[..., Any]]:
    """The code that users of an array library write if it has no such function."""
    return {
        "logsubexp": lambda x, y: x + library.log1p(-library.exp(y - x)),
        "log1mexp": lambda x: library.where(
            x > -math.log(2), library.log(-library.expm1(x)), library.log1p(-library.exp(x))
        ),
    }


def numpy_functions() -> dict[str, Callable[..., Any]]:
    return formulas(np) | {
        "logaddexp": np.logaddexp,
        "log1pexp": lambda x: np.logaddexp(x.dtype.type(0), x),
        "log_expit": lambda x: -np.logaddexp(x.dtype.type(0), -x),
    }


def scipy_functions() -> dict[str, Callable[..., Any]]:
    """SciPy has softplus since 1.15."""
    special = contenders.load("scipy.special")
    own = {"log_expit": special.log_expit, "log1pexp": getattr(special, "softplus", None)}
    return {name: function for name, function in own.items() if function is not None}


def torch_functions(torch: Any) -> dict[str, Callable[..., Any]]:
    return formulas(torch) | {
        "logaddexp": torch.logaddexp,
        "log1pexp": torch.nn.functional.softplus,
        "log_expit": torch.nn.functional.logsigmoid,
    }


def jax_functions(jax: Any) -> dict[str, Callable[..., Any]]:
    return formulas(jax.numpy) | {
        "logaddexp": jax.numpy.logaddexp,
        "log1pexp": jax.nn.softplus,
        "log_expit": jax.nn.log_sigmoid,
    }


# The formulas with the C library's functions.
SCALAR: dict[str, Callable[..., Any]] = {
    "logaddexp": lambda x, y: max(x, y) + math.log1p(math.exp(min(x, y) - max(x, y))),
    "logsubexp": lambda x, y: x + math.log1p(-math.exp(y - x)),
    "log1mexp": lambda x: math.log(-math.expm1(x)) if x > -0.6931471805599453 else math.log1p(-math.exp(x)),
    "log1pexp": lambda x: max(x, x - x) + math.log1p(math.exp(-abs(x))),
    "log_expit": lambda x: min(x, x - x) - math.log1p(math.exp(-abs(x))),
}


@functools.cache
def numba_ufuncs(function: str, dtype: str) -> dict[str, Any]:
    vectorize = contenders.load("numba").vectorize
    signature = f"{dtype}({', '.join([dtype] * (2 if function in BINARY else 1))})"
    found = {"Numba": vectorize([signature])(SCALAR[function])}
    if contenders.threads() > 1:
        found["Numba, parallel"] = vectorize([signature], target="parallel")(SCALAR[function])
    return found


def calls_of(function: str, operands: list[Array]) -> Calls:
    def on_arrays(of_library: Any) -> Any:
        return functools.partial(of_library, *operands)

    calls: Calls = {"smoothmax": on_arrays(getattr(contenders.load("smoothmax"), function))}
    calls["NumPy"] = on_arrays(numpy_functions()[function])
    if own := scipy_functions().get(function):
        calls["SciPy"] = on_arrays(own)
    if contenders.installed("torch"):
        torch = contenders.torch()
        calls["PyTorch"] = functools.partial(torch_functions(torch)[function], *map(torch.from_numpy, operands))
    if contenders.installed("jax"):
        jax = contenders.jax()
        jitted, arrays = jax.jit(jax_functions(jax)[function]), [jax.numpy.asarray(x) for x in operands]
        calls["JAX"] = lambda: jitted(*arrays).block_until_ready()
    if contenders.installed("numba"):
        calls |= {name: on_arrays(own) for name, own in numba_ufuncs(function, operands[0].dtype.name).items()}
    if operands[0].size == 10:
        calls |= {"np.add": on_arrays(np.add)} if function in BINARY else {"np.negative": on_arrays(np.negative)}
    return calls


# The right answers ---------------------------------------------------------------------------------------------------


def answers_of(function: str, operands: list[Array]) -> Answers:
    """By formulas that lose no digits. Those of two numbers are a sum; where it cancels, the larger part counts."""
    wide = [wider(x) for x in operands]
    log1mexp = formulas(np)["log1mexp"]
    if function in BINARY:
        larger, least = np.maximum(*wide), np.minimum(*wide)
        part = log1mexp(least - larger) if function == "logsubexp" else np.log1p(np.exp(least - larger))
        values = larger + part
        return Answers(values, np.maximum(np.abs(values), np.maximum(np.abs(larger), np.abs(part))))
    (x,) = wide
    if function == "log1mexp":
        values = log1mexp(x)
    else:
        sign = 1 if function == "log1pexp" else -1
        values = sign * (np.maximum(sign * x, 0) + np.log1p(np.exp(-np.abs(x))))
    return Answers(values, values)


def prepare(function: str, shapes: tuple[tuple[int, ...], ...], dtype: str) -> Prepared:
    operands = make(function, shapes, dtype)
    return Prepared(calls_of(function, operands), answers_of(function, operands))


def cells() -> Cells:
    for function, dtype in itertools.product(FUNCTIONS, DTYPES):
        for case, shapes in {**CASES, **(BROADCAST if function in BINARY else {})}.items():
            yield Cell(function, dtype, case, functools.partial(prepare, function, shapes, dtype))
