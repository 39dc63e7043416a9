"""Calls with one mistake. Each must raise one of the contract's errors."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import smoothmax
from fuzzing.memory import Failure, Memory
from fuzzing.rules import must_raise

Case = dict[str, Any]
REDUCTIONS = ("logsumexp", "softmax", "log_softmax", "logsumexp_and_softmax", "logmeanexp")
LAZY = ("reduction", "matmul", "scan", "segments", "scores", "draws")  # what dask arrays may be given to
MASKED = "np.ma.masked_array([1., 2.])"
SUMS = ("logsumexp", "logmeanexp")
NAMES = {
    "reduction": REDUCTIONS,
    "product": ("softmax_vjp", "log_softmax_vjp"),
    "matmul": ("logmatmulexp",),
    "loss": ("cross_entropy", "cross_entropy_and_grad", "nll_loss", "log_prob"),
    "scan": ("logcumsumexp",),
    "segments": ("segment_logsumexp", "segment_softmax", "segment_log_softmax"),
    "scores": ("top_log_probs",),
    "draws": ("categorical",),
    "ids": ("offsets_from_ids",),
}
WRONG: dict[str, dict[str, tuple[str, ...]]] = {
    "any": {
        "axis": ("99", "-99", "(0, 0)", "0.5", "'0'", "[0]", "True", "(0, None)", "1j", "10**30", "(10**30,)"),
        "first": (
            MASKED,
            "'text'",
            "np.array(['a'])",
            "np.array([None])",
            "np.zeros(3, 'M8[s]')",
            "np.zeros(3, 'm8[s]')",
            "np.zeros(2, 'V4')",
            "None",
            "[[1, 2], [3]]",
            "object()",
            "{1: 2}",
            "2**1100",
            "[2**70]",
            "b'x'",
        ),
    },
    "reduction": {
        "dtype": ("int", "complex", "object", "'U1'", "'nonsense'", "'i4'", "3", "np.zeros(2)", "'f8,f8'"),
        "out": (
            "[]",
            "1.0",
            "np.zeros((7,) * 7)",
            "np.zeros(SHAPE, 'i8')",
            "np.zeros(SHAPE, 'O')",
            "np.ma.zeros(SHAPE)",
            "READONLY",
            "np.zeros((*SHAPE, 1))",
            "np.zeros(SHAPE, 'M8[s]')",
            "'x'",
        ),
        "where": (
            "1",
            "0.5",
            "None",
            "'x'",
            "np.ones((3, 7, 11), bool)[:, :5]",
            "np.ma.ones(3, bool)",
            "[None]",
            "np.ones(3)",
        ),
        "b": (
            "'x'",
            "True",
            "np.False_",
            "np.ones((13, 17, 19))",
            "np.ma.ones(2)",
            "np.array([None])",
            "object()",
            "np.zeros(2, 'M8[s]')",
            "[[1], [1, 2]]",
        ),
    },
    "loss": {
        "targets": (
            "[0.5]",
            "'x'",
            "None",
            "np.ones((2, 3, 5, 7), int)",
            "-1",
            "10**6",
            "np.array(['a'])",
            "[[[[0]]]]",
            "2**70",
            "1.5",
        ),
        "weight": ("[1.0, 2.0] * 50", "'x'", "[[1.0]]", "np.array([None])", "2.0", "np.ma.ones(3)", "1j"),
        "label_smoothing": (
            "-0.1",
            "1.5",
            "float('nan')",
            "'x'",
            "None",
            "10**400",
            "[0.1, 0.2]",
            "1j",
            "float('inf')",
        ),
        "reduction": ("'avg'", "None", "3", "b'mean'", "['mean']", "''"),
        "ignore_index": ("1.5", "'x'", "[0]"),
        "out": ("[]", "np.zeros((7,) * 7)", "np.zeros(SHAPE, 'i8')", "READONLY", "np.ma.zeros(SHAPE)"),
    },
    "product": {
        "second": (
            "np.ones((2, 3, 5, 7, 11))",
            "'x'",
            "None",
            MASKED,
            "np.zeros(2, 'O')",
            "np.ones(SHAPE, 'D')",
            "np.ones(SHAPE, 'g')",
        ),
        "out": ("[]", "np.zeros((7,) * 7)", "np.zeros(SHAPE, 'i8')", "READONLY"),
    },
    "matmul": {
        "second": ("np.ones((2, 3, 5, 7, 11))", "'x'", "None", MASKED, "np.zeros(3, 'O')", "1.0", "np.ones(99)"),
        "dtype": ("int", "complex", "object", "'U1'", "'nonsense'", "'i4'", "3"),
        "out": ("[]", "1.0", "np.zeros((7,) * 7)", "np.zeros(SHAPE, 'i8')", "READONLY", "np.ma.zeros(SHAPE)", "'x'"),
    },
    "scan": {
        "dtype": ("int", "complex", "object", "'U1'", "'nonsense'", "'i4'", "3"),
        "out": ("[]", "1.0", "np.zeros((7,) * 7)", "np.zeros(SHAPE, 'i8')", "np.ma.zeros(SHAPE)", "READONLY", "'x'"),
        "axis": ("(0,)", "()"),
        "where": ("True", "np.ones(SHAPE, bool)"),
    },
    "segments": {
        "second": (
            "[]",
            "0",
            "None",
            "'x'",
            "[0.0, 1.0]",
            "[1, LENGTH]",
            "[0, LENGTH + 1]",
            "[0, LENGTH - 1]",
            "[0, 2, 1, LENGTH]",
            "[0, -1, LENGTH]",
            "[[0, LENGTH]]",
            "[0, 10**30, LENGTH]",
            "[0, 2**70]",
            "np.array([0, 2**64 - 1], np.uint64)",
            "np.array([None, LENGTH])",
            "np.ma.array([0, LENGTH])",
            "[False, True]",
            "np.zeros(2, 'M8[s]')",
        ),
        "dtype": ("int", "complex", "object", "'U1'", "'nonsense'", "'i4'", "3"),
        "out": ("[]", "1.0", "np.zeros((7,) * 7)", "np.zeros(SHAPE, 'i8')", "np.ma.zeros(SHAPE)", "READONLY", "'x'"),
        "axis": ("(0,)", "()", "None"),
    },
    "scores": {
        "second": ("-1", "99", "1.5", "'x'", "None", "[1]", "2**70", "-2**70", "float('nan')"),
        "axis": ("(0,)", "()", "None"),
    },
    "draws": {
        "size": ("-1", "1.5", "'x'", "(1.5,)", "(-1,)", "[None]"),
        "scale": ("'x'", "None", "[1, 2]", "1j", "np.ones(SHAPE)"),
        "rng": ("'x'", "1.5", "-1"),
        "axis": ("(0,)", "()", "None"),
    },
    "ids": {
        "first": (
            "[1, 0]",
            "[-1]",
            "[0.5]",
            "['a']",
            "[[0]]",
            "0",
            "None",
            "'x'",
            MASKED,
            "[2**70]",
            "[None]",
            "np.array([2**64 - 1], np.uint64)",
            "np.zeros(2, 'm8[s]')",
        ),
        "num_segments": ("-1", "1.5", "'x'", "2**70", "[1]", "float('nan')"),
    },
    "threads": {"n": ("0", "-1", "1.5", "'2'", "None", "-2**70", "[1]", "float('nan')")},
    "stream": {
        "axis": ("0.5", "'x'", "[0]", "(0, 0)", "True"),
        "dtype": ("int", "complex", "'x'", "'g'"),
        "chunk": ("'x'", MASKED, "np.ones((2, 3, 4, 5))[..., :0]", "np.array([None])", "np.ones(3, 'D')", "None"),
        "other": (
            "None",
            "1",
            "smoothmax.LogSumExp(7)",
            "smoothmax.LogSumExp(keepdims=True)",
            "smoothmax.LogSumExp(dtype='f2').update([1.])",
        ),
        "state": ("{}", "{'version': 99}", "None"),
    },
}


def random_mistake(r: random.Random) -> Case:
    kind = r.choice([*WRONG, "reduction", "reduction", "loss"][1:])
    case: Case = {"do": "mistake", "kind": kind}
    choices = WRONG[kind]
    if kind in NAMES:
        case["function"] = r.choice(NAMES[kind])
        if kind != "ids":
            choices = {
                name: (*WRONG["any"].get(name, ()), *choices.get(name, ())) for name in {**WRONG["any"], **choices}
            }
        case["shape"] = [r.randint(1, 5) for _ in range(r.choice([1, 2, 2, 3]))]
        if kind == "matmul":
            case["shape"] = [case["shape"][0]] * 2
        case["dtype"] = r.choice(["f4", "f8", "f2", "i4", "?"])
    argument = r.choice(list(choices))
    case["argument"], case["value"] = argument, r.choice(choices[argument])
    if kind in LAZY and argument != "first" and r.random() < 0.03:
        case["lazy"] = True
    return case


def run_mistake(memory: Memory, case: Case) -> list[Any]:  # noqa: ARG001
    shape = tuple(case.get("shape", ()))
    readonly = np.zeros(shape)
    readonly.flags.writeable = False
    names = {"np": np, "smoothmax": smoothmax, "SHAPE": shape, "READONLY": readonly, "LENGTH": shape[0] if shape else 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = eval(case["value"], names)
        except Exception:
            return []  # NumPy cannot make such an array
    argument, kind, text = case["argument"], case["kind"], case["value"]
    if kind == "threads":
        before = smoothmax.get_num_threads()
        try:
            must_raise(lambda: smoothmax.set_num_threads(value))
            must_raise(lambda: smoothmax.num_threads(value).__enter__())
        finally:
            smoothmax.set_num_threads(before)
        return []
    if kind == "stream":
        calls: dict[str, Callable[[], Any]] = {
            "axis": lambda: smoothmax.LogSumExp(value).update(np.ones((2, 3))),
            "dtype": lambda: smoothmax.LogSumExp(dtype=value),
            "chunk": lambda: smoothmax.LogSumExp(1).update(np.ones((2, 2))).update(value),
            "other": lambda: smoothmax.LogSumExp().update([1.0]).merge(value),
            "state": lambda: smoothmax.LogSumExp().__setstate__(value),
        }
        try:
            must_raise(calls[argument])
        except (KeyError, AttributeError) as error:
            if argument != "state":
                raise Failure(f"error: {type(error).__name__}: {error}") from error
        return []
    name = case["function"]
    if argument == "b" and name not in SUMS:
        return []
    if argument == "out" and name in ("cross_entropy", "nll_loss", "log_prob"):
        return []
    if name == "log_prob" and argument in ("weight", "label_smoothing", "reduction", "ignore_index"):
        return []
    x = np.ones(shape, case["dtype"]) if kind != "ids" else np.arange(shape[0])
    options: Case = {}
    arguments: list[Any] = [x]
    if kind == "loss":
        arguments.append(np.zeros(shape[:-1], np.int64))
        if argument == "axis" and text in ("True",):
            return []
        if argument == "axis" and text.startswith(("(0", "(10")):
            pass
    elif kind in ("product", "matmul"):
        arguments.append(np.ones(shape))
    elif kind in ("segments", "scores"):
        arguments.append([0, shape[0]] if kind == "segments" else 1)
    if argument == "first":
        arguments[0] = value
    elif argument == "second" or argument == "targets":
        arguments[1] = value
    else:
        options[argument] = value
    if argument == "out" and ("SHAPE" in text or text == "READONLY"):  # only the type or the read-only flag is wrong
        options |= {"axis": ()} if name in SUMS else {"axis": 0} if kind == "scan" else {}
    if harmless(case, value, shape):
        return []
    if case.get("lazy"):
        try:
            import dask.array as da
        except ImportError:
            return []
        arguments[0] = da.from_array(x, chunks=2)
        must_raise(lambda: da.compute(getattr(smoothmax, name)(*arguments, **options), scheduler="synchronous"))
    else:
        must_raise(lambda: getattr(smoothmax, name)(*arguments, **options))
    return []


def harmless(case: Case, value: Any, shape: tuple[int, ...]) -> bool:
    """Whether a value that most calls must refuse is legal in this one."""
    argument, text = case["argument"], case["value"]
    if argument == "targets" and text in ("[0.5]",):
        return bool(shape == (1,))  # then it is a probability for one class
    if argument == "weight" and text.startswith("[1.0, 2.0]"):
        return bool(shape[-1] == 100)
    if argument == "weight" and text in ("[[1.0]]", "np.ma.ones(3)", "2.0"):
        return False
    if argument in ("where", "b") and type(value) is np.ndarray and value.dtype.kind in "bf":
        with contextlib.suppress(ValueError):
            np.broadcast_shapes(value.shape, shape)
            return argument == "b" or value.dtype == np.bool_
    return argument == "dtype" and value is None
