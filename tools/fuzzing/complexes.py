"""Calls of complex numbers, and their twin: the textbook formulas in NumPy's clongdouble.

Bounds are in eps of the units that the docstrings describe. Angles near pi are not compared, because rounding may make
them -pi.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

import smoothmax
from fuzzing.arrays import as_rows, axis_of, back
from fuzzing.checks import check_inputs, kept_inputs, mended, must_be, output
from fuzzing.expected import TINY, WIDE, Expected
from fuzzing.memo import numbers_of, remembered
from fuzzing.memory import Failure, Memory
from fuzzing.reductions import reduction_arguments
from fuzzing.rules import strictly
from fuzzing.scans import offsets_of
from fuzzing.twin import COMPLEX

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
PI = np.angle(np.clongdouble(-1))


def product(size: Array, w: Array) -> Array:
    """Of a real and a complex array, by parts."""
    return np.asarray(size * w.real + 1j * (size * w.imag))


def log1p_of_size(z: Array) -> Array:
    """log(abs(1 + z)), with all digits near 0."""
    near = np.log1p(z.real * (2 + z.real) + z.imag**2) / 2
    return np.where(np.abs(z) < 0.5, near, np.log(np.hypot(1 + z.real, z.imag)))


def about(value: Array, allowed: Array, lost: Array, unknown: Array) -> Expected:
    slack = allowed + lost
    return Expected(value, slack=np.where(np.isfinite(slack), slack, 0), unknown=unknown)


def logsumexp(z: Array, b: Array, where: Array, eps: Any) -> tuple[list[Expected], list[Expected]]:
    """The parts of the value, and those of the sign."""
    taken = where & (b != 0)
    weight = np.where(taken, b, 1)
    size = np.where(taken, z.real + np.log(np.abs(weight)), -np.inf)
    n = z.shape[-1]
    if not n:
        nothing = np.zeros(z.shape[:-1], WIDE)
        return [Expected(nothing - np.inf), Expected(nothing)], [Expected(nothing), Expected(nothing)]
    first = np.argmax(size, axis=-1)[..., None]
    none = ~taken.any(axis=-1)
    shift = np.where(none[..., None], 0, np.take_along_axis(z.real, first, -1))
    differences = np.where(taken, z.real - shift, 0)
    direction = np.cos(z.imag) + 1j * np.sin(z.imag)
    terms = np.where(taken, product(np.exp(differences), direction * weight), 0)
    others = terms.copy()
    np.put_along_axis(others, first, 0, -1)
    others = np.sum(others, axis=-1)
    largest, heaviest = (np.take_along_axis(a, first, -1)[..., 0] for a in (terms, weight))
    shift = shift[..., 0]
    total, sizes = largest + others, np.sum(np.abs(terms), axis=-1)
    value = shift + np.log(np.abs(heaviest)) + log1p_of_size(others / largest)
    angle, sign = np.angle(total), total / np.abs(total)
    value, angle, sign = np.where(none, -np.inf, value), np.where(none, 0, angle), np.where(none, 0, sign)
    kappa = np.where(none, 1, sizes / np.abs(total))
    parts = np.maximum(np.abs(shift), np.abs(np.log(np.abs(heaviest))))
    unit = np.maximum(np.maximum(parts, np.abs(value)), kappa - 1)
    lost = (n + 16) * TINY * (1 + parts) + TINY * np.sum(np.abs(terms) * (np.abs(differences) + n + 16), -1) / np.abs(
        total
    )
    allowed = COMPLEX * eps
    lost_angle = (n + 16) * TINY * kappa
    unknown = ~none & ~(kappa < 0.01 / eps)
    turns = unknown | (np.abs(angle) + allowed * kappa + lost_angle > np.pi)
    values = [about(value, allowed * unit, lost, unknown), about(angle, allowed * kappa, lost_angle, turns)]
    signs = [about(one, allowed * kappa, lost_angle, unknown) for one in (sign.real, sign.imag)]
    return values, signs


def logmeanexp(z: Array, b: Array, where: Array, eps: Any) -> list[Expected]:
    """The parts of the sum's logarithm minus those of the weights' sum; both may err."""
    (total, sign), (mass, mass_sign) = (logsumexp(x, b, where, eps) for x in (z, np.zeros_like(z)))
    real, imag = (one.value - other.value for one, other in zip(total, mass, strict=True))
    imag = imag - 2 * PI * np.round(imag / (2 * PI))
    unknown = sign[0].unknown | mass_sign[0].unknown
    turns = unknown | (np.abs(imag) + total[1].slack + mass[1].slack > np.pi)
    defined = np.isfinite(mass[0].value)
    return [
        about(np.where(defined, value, np.nan), total[i].slack, mass[i].slack, where_any)
        for i, (value, where_any) in enumerate(((real, unknown), (imag, turns)))
    ]


def logcumsumexp(z: Array, reverse: bool, exclusive: bool, eps: Any) -> list[Expected]:
    """The parts of logsumexp of each prefix."""
    z = z[..., ::-1] if reverse else z
    places = np.arange(z.shape[-1])
    taken = places < places[:, None] + (not exclusive)
    whole = np.broadcast_to(z[..., None, :], (*z.shape, z.shape[-1]))
    values, _ = logsumexp(whole, np.ones(whole.shape, z.dtype), np.broadcast_to(taken, whole.shape), eps)
    return [one.map(lambda v: v[..., ::-1]) for one in values] if reverse else values


def transform(name: str, z: Array, where: Array, eps: Any, tiny: Any) -> list[Expected]:
    """The parts of softmax or log_softmax."""
    taken = np.where(where, z, -np.inf)
    if not z.shape[-1]:
        return [Expected(z.real), Expected(z.imag)]
    none = ~where.any(axis=-1, keepdims=True)
    largest = np.where(none, 0, np.max(taken, axis=-1, keepdims=True))
    d = np.where(where, z - largest, 0)
    terms = np.where(where, product(np.exp(d.real), np.cos(d.imag) + 1j * np.sin(d.imag)), 0)
    equal = where & (d == 0)
    others = np.sum(np.where(equal, 0, terms), axis=-1, keepdims=True) + (np.sum(equal, axis=-1, keepdims=True) - 1)
    total = 1 + others
    kappa = np.where(none, 1, np.sum(np.abs(terms), axis=-1, keepdims=True) / np.abs(total))
    unknown = np.broadcast_to(~(kappa < 0.01 / eps), z.shape) & where
    lost = (z.shape[-1] + 16 + np.abs(d)) * TINY * kappa
    allowed = COMPLEX * eps * kappa
    if name == "softmax":
        p = np.where(where, terms / total, 0)
        size = np.maximum(np.abs(p), tiny)
        return [about(one, allowed * size, lost * size, unknown) for one in (p.real, p.imag)]
    real, imag = d.real - log1p_of_size(others), d.imag - np.angle(total)
    real, imag = np.where(where, real, -np.inf), np.where(where, imag, 0)
    allowed = COMPLEX * eps
    turns = np.abs(np.broadcast_to(np.angle(total), z.shape)) + allowed * kappa > np.pi
    return [
        about(real, allowed * np.maximum(np.abs(real), kappa), lost * (1 + np.abs(real)), unknown),
        about(imag, allowed * np.maximum(np.abs(d.imag), kappa), lost * (1 + np.abs(d)), unknown | turns),
    ]


def segments(name: str, z: Array, at: list[int], eps: Any, tiny: Any) -> list[Expected]:
    """The parts of a function of segments, one segment after the other."""
    found = []
    for begin, end in itertools.pairwise(at):
        some = z[..., begin:end]
        everywhere = np.ones(some.shape, bool)
        if name == "segment_logsumexp":
            values, _ = logsumexp(some, np.ones_like(some), everywhere, eps)
            found.append([one.map(lambda v: v[..., None]) for one in values])
        else:
            found.append(transform(name.removeprefix("segment_"), some, everywhere, eps, tiny))
    return [joined(parts) for parts in zip(*found, strict=True)]


def joined(parts: Iterable[Expected]) -> Expected:
    """One behind the other along the last axis."""
    whole = [np.broadcast_arrays(one.value, one.slack, one.unknown) for one in parts]
    value, slack, unknown = (np.concatenate(arrays, axis=-1) for arrays in zip(*whole, strict=True))
    return Expected(value, slack=slack, unknown=unknown)


def expected_of(case: Case, x: Array, b: Any, where: Any, options: Case) -> tuple[list[Any], Any]:
    """The parts of each result, and its type."""
    dtype = np.result_type(x.dtype, *([] if b is None else [b.dtype])).newbyteorder("=")
    info = np.finfo(dtype)
    if case["function"] == "logcumsumexp":
        x = x.reshape(-1) if case["axis"] is None else x
        axes = axis_of(case["axis"], x.ndim)
        rows = as_rows(x.astype(dtype).astype(np.clongdouble), axes)
        found = logcumsumexp(rows, bool(case.get("reverse")), bool(case.get("exclusive")), info.eps)
        return [[mended(one, info.dtype).map(lambda v: back(v, x.shape, axes)) for one in found]], dtype
    if "at" in case:
        axes, lengths = axis_of(case["axis"], x.ndim), list(x.shape)
        rows = as_rows(x.astype(np.clongdouble), axes)
        found = segments(case["function"], rows, case["at"], info.eps, info.tiny)
        lengths[axes[0]] = found[0].value.shape[-1]
        return [[mended(one, info.dtype).map(lambda v: back(v, tuple(lengths), axes)) for one in found]], dtype
    shape = np.broadcast_shapes(*(a.shape for a in (x, b, where) if a is not None))
    axes = axis_of(list(options["axis"]) if isinstance(options["axis"], tuple) else options["axis"], len(shape))
    rows = as_rows(np.broadcast_to(x.astype(dtype).astype(np.clongdouble), shape), axes)
    weights = np.ones(rows.shape, np.clongdouble)
    if b is not None:
        weights = as_rows(np.broadcast_to(b.astype(np.clongdouble), shape), axes)
    taken = np.ones(rows.shape, bool)
    if where is not None:
        taken = as_rows(np.broadcast_to(where.view(np.uint8) != 0 if where.shape else where, shape), axes)
    if "softmax" in case["function"]:
        found = transform(case["function"], rows, taken, info.eps, info.tiny)
        return [[mended(one, info.dtype).map(lambda v: back(v, shape, axes)) for one in found]], dtype
    if case["function"] == "logmeanexp":
        value, sign = logmeanexp(rows, weights, taken, info.eps), None
    else:
        value, sign = logsumexp(rows, weights, taken, info.eps)
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape) if options.get("keepdims") or i not in axes)
    results = [[value[0]], sign] if options.get("return_sign") else [value]
    return [[mended(one, info.dtype).map(lambda v: v.reshape(kept)) for one in parts] for parts in results], dtype


def run_complex(memory: Memory, case: Case) -> list[Any]:
    x, passed, around, b, where, _, options = reduction_arguments(memory, case)
    options |= {name: case[name] for name in ("reverse", "exclusive") if name in case}
    with np.errstate(all="ignore"):
        expected, dtype = remembered(numbers_of(case), lambda: expected_of(case, x, b, where, options))
    arguments = [passed, offsets_of(memory, case)] if "at" in case else [passed]
    real = np.empty(0, dtype).real.dtype
    first = real if len(expected[0]) == 1 else dtype
    out = output(memory, case, expected[0][0].value.shape, first, [(None, around)]) if "out" in case else None
    if out is not None:
        options["out"] = out
    before = kept_inputs([*arguments, options.get("b"), options.get("where")], out)
    got = strictly(case, lambda: getattr(smoothmax, case["function"])(*arguments, **options))
    check_inputs(before)
    memory.check()
    for one, parts in zip(got if isinstance(got, tuple) else (got,), expected, strict=True):
        wanted = real if len(parts) == 1 else dtype
        if one.dtype != wanted or (out is None and not isinstance(one, np.ndarray if one.ndim else np.generic)):
            raise Failure(f"type: a {type(one).__name__} of {one.dtype}, not {wanted}")
        for what, part, right in zip(("real part", "imaginary part"), (one.real, one.imag), parts, strict=False):
            must_be(part[()], right, what, real)
    return []
