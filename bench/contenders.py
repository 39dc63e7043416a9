"""The libraries that are timed, each as a function from an array to a call without arguments. Nothing is timed here.

`prepare` converts the array to the library's own type, compiles and loads, so that none of this is timed. Each call
allocates its result, except those that bench/comparison.py names. A library that is not installed is left out.
"""

import functools
import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.comparison import OWN, OWN_REUSING

__all__ = [
    "Call", "all_cores", "installed", "jax", "keep_freed_memory", "load", "names", "prepare", "threads", "torch",
    "use_cores", "versions",
]  # fmt: skip

Array = NDArray[np.floating]
Call = Callable[[], Any]


def all_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_cores(count: int) -> None:
    """Restrict this process, and every library that it loads afterwards, to `count` cores."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        if count > len(allowed):
            raise ValueError(f"{count} threads need as many cores, this process may use {len(allowed)}")
        os.sched_setaffinity(0, allowed[-count:])  # the first core handles most interrupts
    # JAX starts a thread for each core that it finds. PyTorch and ONNX Runtime are told the number when they are
    # loaded.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SMOOTHMAX_NUM_THREADS"):
        os.environ[variable] = str(count)
    if count == 1:
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"


def keep_freed_memory() -> None:
    """Put the process into the state of a program that has run for a while.

    This favours libraries with many temporaries. Until a large block is freed for the first time, glibc returns freed
    memory to the system, so the next allocation needs new pages. Without this call, the state that a contender meets
    would depend on the order of the cases.
    """
    bytearray(31 << 20)


# The libraries -------------------------------------------------------------------------------------------------------


def load(module: str) -> Any:
    """Import a module by its name, because it may be missing and mypy cannot check its types."""
    return importlib.import_module(module)


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def threads() -> int:
    """The number that `use_cores` was given."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def torch() -> Any:
    """PyTorch, on as many threads."""
    library = load("torch")
    library.set_num_threads(threads())
    return library


def jax() -> Any:
    """JAX, with 64 bits."""
    library = load("jax")
    library.config.update("jax_enable_x64", True)
    return library


def smoothmax_call(function: str, array: Array, axis: int) -> Call:
    return functools.partial(getattr(load("smoothmax"), function), array, axis)


def result_like(function: str, array: Array, axis: int) -> Array:
    """An empty array for the result, in the memory order of the result."""
    if function == "logsumexp":
        return np.empty(array.shape[:axis] + array.shape[axis + 1 :], array.dtype)
    return np.empty_like(array)


def smoothmax_reusing_call(function: str, array: Array, axis: int) -> Call:
    out = result_like(function, array, axis)
    return functools.partial(getattr(load("smoothmax"), function), array, axis, out=out)


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
    """The textbook formulas."""
    formulas = {"logsumexp": numpy_logsumexp, "softmax": numpy_softmax, "log_softmax": numpy_log_softmax}
    return functools.partial(formulas[function], array, axis)


def scipy_call(function: str, array: Array, axis: int) -> Call:
    return functools.partial(getattr(load("scipy.special"), function), array, axis)


def torch_call(function: str, array: Array, axis: int) -> Call:
    library = torch()
    return functools.partial(getattr(library, function), library.from_numpy(array), axis)


def jax_call(function: str, array: Array, axis: int) -> Call:
    library = jax()
    compiled = jax_compiled(function, axis)
    own = library.block_until_ready(library.numpy.asarray(array))
    return lambda: compiled(own).block_until_ready()


@functools.cache
def jax_compiled(function: str, axis: int) -> Any:
    library = jax()
    formulas = {
        "logsumexp": library.scipy.special.logsumexp,
        "softmax": library.nn.softmax,
        "log_softmax": library.nn.log_softmax,
    }
    return library.jit(functools.partial(formulas[function], axis=axis))


def onnx_call(function: str, array: Array, axis: int) -> Call:
    """A model of one node. Its input and its output are bound to arrays, so nothing is copied or allocated."""
    onnxruntime = load("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    model = onnx_model(function, array.dtype.name, array.shape, axis)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    result = np.empty(result_like(function, array, axis).shape, array.dtype)
    own = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", own)
    binding.bind_output("y", "cpu", 0, array.dtype, result.shape, result.ctypes.data)

    def call(_: Any = own) -> Array:  # the binding does not keep its input alive
        session.run_with_iobinding(binding)
        return result

    return call


def onnx_model(function: str, dtype: str, shape: tuple[int, ...], axis: int) -> bytes:
    onnx = load("onnx")
    helper = onnx.helper
    operators = {"logsumexp": "ReduceLogSumExp", "softmax": "Softmax", "log_softmax": "LogSoftmax"}
    attributes = {"axes": [axis], "keepdims": 0} if function == "logsumexp" else {"axis": axis}
    kind = {"float64": onnx.TensorProto.DOUBLE, "float32": onnx.TensorProto.FLOAT}[dtype]
    result = shape[:axis] + shape[axis + 1 :] if function == "logsumexp" else shape
    graph = helper.make_graph(
        [helper.make_node(operators[function], ["x"], ["y"], **attributes)],
        function,
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, result)],
    )
    # The operators of 2021. In those of 2023 the reduced axes are an input.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


@dataclass(frozen=True)
class Library:
    """The package whose version is reported, how it is called, and the other packages that it needs."""

    package: str
    call: Callable[[str, Array, int], Call]
    needs: tuple[str, ...] = ()


LIBRARIES = {
    OWN: Library("smoothmax", smoothmax_call),
    "NumPy": Library("numpy", numpy_call),
    "SciPy": Library("scipy", scipy_call),
    "PyTorch": Library("torch", torch_call),
    "JAX": Library("jax", jax_call),
    OWN_REUSING: Library("smoothmax", smoothmax_reusing_call),
    "ONNX Runtime": Library("onnxruntime", onnx_call, needs=("onnx",)),
}


# What the benchmarks use ---------------------------------------------------------------------------------------------


def names() -> list[str]:
    """The installed contenders. None is imported to find out."""
    return [
        name
        for name, library in LIBRARIES.items()
        if all(installed(module) for module in (library.package, *library.needs))
    ]


def versions() -> dict[str, str]:
    """The version of each rival. smoothmax may be imported from its sources, and has no metadata there."""
    own = (OWN, OWN_REUSING)
    return {name: importlib.metadata.version(LIBRARIES[name].package) for name in names() if name not in own}


def prepare(name: str, function: str, array: Array, axis: int) -> Call:
    """A call without arguments that computes `function` of the array along the axis. It has already been made once."""
    call = LIBRARIES[name].call(function, array, axis)
    call()
    return call
