"""Feed, merge, copy and pickle streams as described, and compare their results with one reduction."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np

import smoothmax
from fuzzing import twin
from fuzzing.arrays import as_rows, axis_of, given
from fuzzing.checks import must_be, natural
from fuzzing.expected import WIDE
from fuzzing.floats import computing_type
from fuzzing.memory import Memory
from fuzzing.rules import strictly

Array = np.ndarray[Any, Any]
Case = dict[str, Any]


def run_stream(memory: Memory, case: Case) -> list[Any]:
    ndim, axis = case["ndim"], case["axis"]
    axes = axis_of(axis, ndim)
    options: Case = {"keepdims": case["keepdims"]}
    if "dtype" in case:
        options["dtype"] = np.dtype(case["dtype"])
    streams = [smoothmax.LogSumExp(tuple(axis) if isinstance(axis, list) else axis, **options)]
    chunks, weights, masks = [], [], []
    dtype = None
    for step in case["steps"]:
        shape = [step["lengths"][i] if i in axes else case["kept"][i] for i in range(ndim)]
        x, passed, _ = given(memory, step["x"], shape)
        b, b_passed, _ = given(memory, step["b"], shape) if "b" in step else (None, None, None)
        where, w_passed, _ = given(memory, step["where"], shape) if "where" in step else (None, True, None)
        more: Case = {"scale": step["scale"]} if "scale" in step else {}
        add, more["add"], _ = given(memory, step["add"], shape) if "add" in step else (None, None, None)
        strictly(case, lambda s=streams[-1], x=passed, b=b_passed, w=w_passed, m=more: s.update(x, b=b, where=w, **m))
        dtype = np.dtype(case["dtype"]) if "dtype" in case else natural(x.dtype)
        computing = computing_type(dtype)
        with np.errstate(all="ignore"):
            x = x.astype(computing) * computing.type(step.get("scale", 1))
            chunks.append(as_rows((x if add is None else x + add.astype(computing)).astype(WIDE), axes))
        weights.append(as_rows(np.ones(shape, WIDE) if b is None else b.astype(WIDE), axes))
        masks.append(as_rows(np.ones(shape, bool) if where is None else where.view(np.uint8) != 0, axes))
        if step["then"] == "pickle":
            streams[-1] = pickle.loads(pickle.dumps(streams[-1]))
        elif step["then"] == "copy":
            streams[-1] = streams[-1].copy()
        elif step["then"] == "deepcopy":
            streams[-1] = copy.deepcopy(streams[-1])
        elif step["then"] == "merge":
            streams.append(smoothmax.LogSumExp(tuple(axis) if isinstance(axis, list) else axis, **options))
    total = streams[0]
    for one in streams[1:]:
        strictly(case, lambda s=one: total.merge(s))
    weighted = any("b" in step for step in case["steps"])
    assert dtype is not None
    computing = computing_type(dtype)
    with np.errstate(all="ignore"):
        found = twin.logsumexp(np.concatenate(chunks, -1), np.concatenate(weights, -1) if weighted else None,
                               np.concatenate(masks, -1), True, np.finfo(computing).eps)  # fmt: skip
    if case["keepdims"]:
        shape = [1 if i in axes else case["kept"][i] for i in range(ndim)]
        found = [one.map(lambda v: v.reshape(shape)) for one in found]
    got = strictly(case, lambda: total.result(return_sign=True))
    for one, wanted, what in zip(got, found, ("value", "sign"), strict=True):
        must_be(one, wanted, what, dtype)
    return list(got)
