"""The three functions in plain NumPy, for the types that have no kernels: longdouble and complex.

Arguments come checked from _layout: arrays broadcast to one shape, `axis` a tuple of distinct axes, `b` and `where`
None when they were not given. Makes temporaries of the input's size.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Axis = tuple[int, ...]


def logsumexp(a: Array, axis: Axis, b: Array | None, where: Array | None, keepdims: bool) -> tuple[Array, Array]:
    """log(abs(sum)) and the sum's sign, for complex `a` a complex number of size 1."""
    kept = tuple(n for i, n in enumerate(a.shape) if i not in axis)
    shape = tuple(1 if i in axis else n for i, n in enumerate(a.shape)) if keepdims else kept
    whole, real_type = a.shape, a.real.dtype

    def flat(x: Array) -> Array:
        """The reduced axes as one, the last."""
        return np.moveaxis(np.broadcast_to(x, whole), axis, range(-len(axis), 0)).reshape(*kept, -1)

    if a.size == 0:
        return np.full(shape, -np.inf, real_type), np.zeros(shape, a.dtype)
    a, weights = flat(a), flat(np.ones((), a.dtype) if b is None else b)
    taken = weights != 0 if where is None else (weights != 0) & flat(where)
    with np.errstate(all="ignore"):
        size = np.where(taken, a.real + np.log(np.abs(weights)), -np.inf)
        top = np.max(size, axis=-1, keepdims=True)
        shift = np.where(np.isfinite(top), top, 0)
        terms = np.where(taken, np.exp(size - shift), 0)
        if a.dtype.kind == "c":
            terms = turned(terms, np.where(a.real == -np.inf, 0, a.imag))  # exp(-inf) is 0 whatever the angle
        if b is not None:
            terms = np.where(taken, terms * unit(weights), 0)
        # One of the largest terms is left out of the sum, so that log1p sees what the others add to it.
        first = np.argmax(size, axis=-1)[..., None]
        largest = np.take_along_axis(terms, first, axis=-1)[..., 0]
        np.put_along_axis(terms, first, 0, axis=-1)
        rest = np.sum(terms, axis=-1)
        total, ratio = largest + rest, rest / largest
        plain = np.log(np.abs(total))
        near = np.log1p(ratio).real + np.log(np.abs(largest))
        value = np.where(np.isfinite(near) & (ratio.real > -0.5), near, plain) + shift[..., 0]
        sign = unit(total)
    return np.reshape(value.astype(real_type), shape), np.reshape(sign.astype(terms.dtype), shape)


def turned(size: Array, angle: Array) -> Array:
    """size*exp(1j*angle), real where the angle is 0 or the size is, even where the size is inf."""
    z = np.empty(size.shape, np.result_type(size.dtype, np.complex64))
    z.real = size * np.cos(angle)
    z.imag = np.where((angle == 0) | (size == 0), 0, size * np.sin(angle))
    return z


def unit(x: Array) -> Array:
    """x/abs(x), and 0 at 0."""
    if x.dtype.kind != "c":
        return np.sign(x)
    return np.where(x == 0, 0, np.where(np.isinf(np.abs(x)), np.exp(1j * np.angle(x)), x / np.abs(x)))


def exponentials(x: Array, axis: Axis, where: Array | None) -> tuple[Array, Array, Array]:
    """X less its largest element, the exponential of that, and the largest element."""
    largest = np.max(x if where is None else np.where(where, x, -np.inf), axis=axis, keepdims=True)
    shifted = x - largest
    e = np.exp(shifted)
    return shifted, e if where is None else np.where(where, e, 0), largest


def softmax(x: Array, axis: Axis, where: Array | None) -> Array:
    if x.size == 0:
        return x.copy()
    with np.errstate(all="ignore"):
        _, e, _ = exponentials(x, axis, where)
        p = e / np.sum(e, axis=axis, keepdims=True)
        return p if where is None else np.where(where, p, 0)


def log_softmax(x: Array, axis: Axis, where: Array | None) -> Array:
    if x.size == 0:
        return x.copy()
    with np.errstate(all="ignore"):
        shifted, e, largest = exponentials(x, axis, where)
        # Those at the top are counted, so that log1p sees what the others add to them.
        top = shifted == 0 if where is None else (shifted == 0) & where
        rest = np.sum(np.where(top, 0, e), axis=axis, keepdims=True)
        log_sum = np.log1p(np.sum(top, axis=axis, keepdims=True, dtype=x.dtype) - 1 + rest)
        logp = shifted - np.where(largest.real == np.inf, largest, log_sum)
        return logp if where is None else np.where(where, logp, -np.inf)
