"""Who is timed: each library as a way to turn an array into a call without arguments. Times and checks nothing.

Conversion to a library's own arrays, compilation and loading happen in `prepare`, outside of what is timed; allocating
the result is part of every call. A library that is not installed is left out.
"""

import functools
import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Call", "names", "prepare", "use_cores", "versions"]

Array = NDArray[np.floating]
Call = Callable[[], Any]


def use_cores(count: int) -> None:
    """Hold this process, and every library it loads afterwards, to `count` cores. Call it before any of them loads."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        if count > len(allowed):
            raise ValueError(f"{count} threads need as many cores, this process may use {len(allowed)}")
        os.sched_setaffinity(0, allowed[-count:])  # the first core is the one that answers most interrupts
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SMOOTHMAX_NUM_THREADS"):
        os.environ[variable] = str(count)
    if count == 1:
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"


# The libraries -------------------------------------------------------------------------------------------------------


def load(module: str) -> Any:
    """A module that need not be installed, and has no types to be held to."""
    return importlib.import_module(module)


def smoothmax_call(function: str, array: Array, axis: int) -> Call:
    return functools.partial(getattr(load("smoothmax"), function), array, axis)


def numpy_logsumexp(x: Array, axis: int) -> Any:
    m = x.max(axis, keepdims=True)
    return np.log(np.exp(x - m).sum(axis)) + m.squeeze(axis)


def numpy_softmax(x: Array, axis: int) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def numpy_log_softmax(x: Array, axis: int) -> Any:
    d = x - x.max(axis, keepdims=True)
    return d - np.log(np.exp(d).sum(axis, keepdims=True))


def numpy_call(function: str, array: Array, axis: int) -> Call:
    """The textbook formulas, as anybody would write them."""
    formulas = {"logsumexp": numpy_logsumexp, "softmax": numpy_softmax, "log_softmax": numpy_log_softmax}
    return functools.partial(formulas[function], array, axis)


def scipy_call(function: str, array: Array, axis: int) -> Call:
    return functools.partial(getattr(load("scipy.special"), function), array, axis)


def torch_call(function: str, array: Array, axis: int) -> Call:
    torch = load("torch")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return functools.partial(getattr(torch, function), torch.from_numpy(array), axis)


def jax_call(function: str, array: Array, axis: int) -> Call:
    jax = load("jax")
    compiled = jax_compiled(function, axis)
    own = jax.block_until_ready(jax.numpy.asarray(array))
    return lambda: compiled(own).block_until_ready()


@functools.cache
def jax_compiled(function: str, axis: int) -> Any:
    jax = load("jax")
    jax.config.update("jax_enable_x64", True)
    formulas = {
        "logsumexp": jax.scipy.special.logsumexp,
        "softmax": jax.nn.softmax,
        "log_softmax": jax.nn.log_softmax,
    }
    return jax.jit(functools.partial(formulas[function], axis=axis))


LIBRARIES: dict[str, tuple[str, Callable[[str, Array, int], Call]]] = {
    "smoothmax": ("smoothmax", smoothmax_call),
    "NumPy": ("numpy", numpy_call),
    "SciPy": ("scipy", scipy_call),
    "PyTorch": ("torch", torch_call),
    "JAX": ("jax", jax_call),
}


# What the benchmarks use ---------------------------------------------------------------------------------------------


def names() -> list[str]:
    """The installed contenders; none is imported for the answer."""
    return [name for name, (module, _) in LIBRARIES.items() if importlib.util.find_spec(module)]


def versions() -> dict[str, str]:
    """Contender to version."""
    return {name: importlib.metadata.version(LIBRARIES[name][0]) for name in names()}


def prepare(name: str, function: str, array: Array, axis: int) -> Call:
    """A call without arguments that computes `function` of the array along the axis; it has been made once."""
    call = LIBRARIES[name][1](function, array, axis)
    call()
    return call
