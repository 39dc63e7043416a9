"""What a type checker concludes from calls of the three functions.

mypy checks that it does; test_typing.py, that it is true.
"""

from array import array
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from smoothmax import (
    categorical,
    cross_entropy,
    cross_entropy_and_grad,
    get_include,
    log1mexp,
    log1pexp,
    log_expit,
    log_prob,
    log_softmax,
    log_softmax_vjp,
    logaddexp,
    logcumsumexp,
    logmatmulexp,
    logmeanexp,
    logsubexp,
    logsumexp,
    logsumexp_and_softmax,
    nll_loss,
    offsets_from_ids,
    segment_log_softmax,
    segment_logsumexp,
    segment_softmax,
    show_config,
    softmax,
    softmax_vjp,
    top_log_probs,
)

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]

f16: NDArray[np.float16] = np.ones((2, 2), np.float16)
f32: NDArray[np.float32] = np.ones((2, 2), np.float32)
f64: NDArray[np.float64] = np.ones((2, 2))
ld: NDArray[np.longdouble] = np.ones((2, 2), np.longdouble)
c64: NDArray[np.complex64] = np.ones((2, 2), np.complex64)
c128: NDArray[np.complex128] = np.ones((2, 2), np.complex128)
i8: NDArray[np.int8] = np.ones((2, 2), np.int8)
u64: NDArray[np.uint64] = np.ones((2, 2), np.uint64)
mask: NDArray[np.bool_] = np.ones((2, 2), np.bool_)
matrix: Matrix = np.ones((2, 2), np.float32)
floating: NDArray[np.floating[Any]] = f32
row: NDArray[np.float64] = np.ones(2)
unknown: NDArray[Any] = f32
keep: bool = bool(f32[0, 0])
text: str = "float32"
maybe: NDArray[np.float32] | None = f32 if keep else None

# All axes: a scalar of the array's type, float64 for integers, booleans and Python's numbers.
assert_type(logsumexp(f16), np.float16)
assert_type(logsumexp(f32), np.float32)
assert_type(logsumexp(f64), np.float64)
assert_type(logsumexp(ld), np.longdouble)
assert_type(logsumexp(c64), np.complex64)
assert_type(logsumexp(c128), np.complex128)
assert_type(logsumexp(i8), np.float64)
assert_type(logsumexp(u64, None), np.float64)
assert_type(logsumexp(mask), np.float64)
assert_type(logsumexp(3), np.float64)
assert_type(logsumexp(np.float32(3)), np.float32)
assert_type(logsumexp(np.int8(3)), np.float64)
assert_type(logsumexp([1, 2.5, True]), np.float64)
assert_type(logsumexp([[1.0, 2.0], [3.0, 4.0]]), np.float64)
assert_type(logsumexp(((1, 2), (3, 4))), np.float64)
assert_type(logsumexp(range(3)), np.float64)
assert_type(logsumexp([f32, f32]), np.float32)
assert_type(logsumexp([np.float32(1), np.float32(2)]), np.float32)
assert_type(logsumexp([np.int8(1), np.int8(2)]), np.float64)
assert_type(logsumexp(matrix), np.float32)

# Some axes: an array or, if none is left, a scalar.
assert_type(logsumexp(f32, 0), NDArray[np.float32] | Any)
assert_type(logsumexp(f32, axis=(0, 1)), NDArray[np.float32] | Any)
assert_type(logsumexp(f32, axis=np.int64(1)), NDArray[np.float32] | Any)
assert_type(logsumexp(i8, axis=1), NDArray[np.float64] | Any)
assert_type(logsumexp(matrix, axis=1), NDArray[np.float32] | Any)

# scale and add: any number, and an array that promotes as b does and may enlarge the result.
assert_type(logsumexp(f32, scale=-1 / 2), np.float32)
assert_type(logsumexp(f32, scale=np.float64(2)), np.float32)
assert_type(logsumexp(f32, 1, scale=2, add=f32), NDArray[np.float32] | Any)
assert_type(logsumexp(f64, 1, scale=2, add=[1.0, 2.0]), NDArray[np.float64] | Any)
assert_type(logsumexp(c64, scale=2j), np.complex64)
assert_type(softmax(matrix, scale=0.5), Matrix)
assert_type(softmax(matrix, add=f32), NDArray[np.float32])
assert_type(log_softmax(f64, 1, add=row), NDArray[np.float64])
assert_type(softmax(i8, scale=2, add=f64), NDArray[np.float64])
assert_type(log_prob(f32, [0, 1], scale=2.0, add=f32), NDArray[np.float32] | Any)
assert_type(cross_entropy(f32, [0, 1], scale=2.0, add=f32), np.float32)
assert_type(cross_entropy_and_grad(matrix, [0, 1], scale=2.0), tuple[np.float32, Matrix])

# keepdims: an array, whatever the axis.
assert_type(logsumexp(f32, keepdims=True), NDArray[np.float32])
assert_type(logsumexp(c64, axis=1, keepdims=True), NDArray[np.complex64])
assert_type(logsumexp(i8, axis=1, keepdims=True), NDArray[np.float64])
assert_type(logsumexp([[1.0, 2.0]], axis=1, keepdims=True), NDArray[np.float64])
assert_type(logsumexp(f32, keepdims=False), np.float32)
assert_type(logsumexp(f32, keepdims=keep), NDArray[np.float32] | Any)
assert_type(logsumexp(f32, 0, None, True), NDArray[np.float32] | Any)

# return_sign: a pair, for complex input one of a real and a complex number.
assert_type(logsumexp(f32, return_sign=True), tuple[np.float32, np.float32])
assert_type(logsumexp(f32, return_sign=False), np.float32)
assert_type(logsumexp(i8, return_sign=True), tuple[np.float64, np.float64])
assert_type(logsumexp([1.0, 2.0], b=[1, -1], return_sign=True), tuple[np.float64, np.float64])
assert_type(logsumexp(f32, axis=0, return_sign=True), tuple[NDArray[np.float32] | Any, NDArray[np.float32] | Any])
assert_type(logsumexp(i8, axis=0, return_sign=True), tuple[NDArray[np.float64] | Any, NDArray[np.float64] | Any])
assert_type(logsumexp(f16, axis=0, keepdims=True, return_sign=True), tuple[NDArray[np.float16], NDArray[np.float16]])
assert_type(logsumexp(i8, keepdims=True, return_sign=True), tuple[NDArray[np.float64], NDArray[np.float64]])
assert_type(logsumexp(c64, return_sign=True), tuple[Any, Any])
assert_type(logsumexp(f32, dtype=np.float64, return_sign=True), tuple[Any, Any])
assert_type(logsumexp(f32, return_sign=keep), Any)

# b takes part in promotion.
assert_type(logsumexp(f32, b=f32), np.float32)
assert_type(logsumexp(f32, b=2), np.float32)
assert_type(logsumexp(f64, b=[1.0, -1.0]), np.float64)
assert_type(logsumexp(f64, b=0.5), np.float64)
assert_type(logsumexp(f64, b=i8), np.float64)
assert_type(logsumexp(i8, b=f64, axis=0), NDArray[np.float64] | Any)
assert_type(logsumexp(f32, b=0.5), Any)
assert_type(logsumexp(f32, b=i8), Any)
wider: np.floating[Any] = logsumexp(f32, b=f64)

# dtype decides.
assert_type(logsumexp(f32, dtype=np.float64), np.float64)
assert_type(logsumexp(i8, dtype=np.dtype(np.float16)), np.float16)
assert_type(logsumexp([1, 2], axis=0, dtype=np.float32), NDArray[np.float32] | Any)
assert_type(logsumexp(unknown, keepdims=True, dtype=np.longdouble), NDArray[np.longdouble])
assert_type(logsumexp(f32, dtype=text), Any)
assert_type(softmax(i8, dtype=np.float32), NDArray[np.float32])
assert_type(softmax(f32, dtype=f64.dtype), NDArray[np.float64])
assert_type(softmax(3, dtype=np.float32), np.float32)
assert_type(log_softmax([1, 2], dtype=np.float16), NDArray[np.float16])
assert_type(softmax(f32, dtype=text), Any)

# out is returned.
assert_type(logsumexp(f32, axis=1, out=row), NDArray[np.float64])
assert_type(logsumexp(f32, axis=1, out=row, return_sign=True), tuple[NDArray[np.float64], Any])
assert_type(softmax(f32, axis=1, out=matrix), Matrix)
assert_type(log_softmax([[1, 2], [3, 4]], out=f64, dtype=np.float32), NDArray[np.float64])
assert_type(softmax(f32, out=None), NDArray[np.float32])
assert_type(softmax(f32, out=maybe), NDArray[np.float32])

# softmax and log_softmax keep the type and the shape; a mask may widen the shape.
assert_type(softmax(f16), NDArray[np.float16])
assert_type(softmax(f32, 1), NDArray[np.float32])
assert_type(softmax(f64, axis=(0, 1)), NDArray[np.float64])
assert_type(softmax(ld), NDArray[np.longdouble])
assert_type(softmax(c64), NDArray[np.complex64])
assert_type(softmax(i8, axis=0), NDArray[np.float64])
assert_type(softmax(mask), NDArray[np.float64])
assert_type(softmax([1, 2]), NDArray[np.float64])
assert_type(softmax([[1.0], [2.0]], axis=0), NDArray[np.float64])
assert_type(softmax([f32, f32]), NDArray[np.float32])
assert_type(softmax(3.0), np.float64)
assert_type(softmax(np.float32(3)), np.float32)
assert_type(softmax(np.int8(3)), np.float64)
assert_type(softmax(matrix, axis=1), Matrix)
assert_type(softmax(matrix, where=mask), NDArray[np.float32])
assert_type(softmax(matrix, where=[True, False]), NDArray[np.float32])
assert_type(softmax(i8, where=mask), NDArray[np.float64])
assert_type(softmax(np.float32(3), where=mask), Any)
assert_type(log_softmax(f16), NDArray[np.float16])
assert_type(log_softmax(f32, 1), NDArray[np.float32])
assert_type(log_softmax(i8, axis=0), NDArray[np.float64])
assert_type(log_softmax([1, 2]), NDArray[np.float64])
assert_type(log_softmax(np.float16(3)), np.float16)
assert_type(log_softmax(3), np.float64)
assert_type(log_softmax(matrix, axis=1), Matrix)
assert_type(log_softmax(matrix, where=mask), NDArray[np.float32])

# Unknown types stay unknown.
assert_type(logsumexp([1j, 2.0]), Any)
assert_type(logsumexp(array("f", [1, 2])), Any)
assert_type(softmax(array("f", [1, 2])), Any)
assert_type(log_softmax(memoryview(b"ab")), Any)
assert_type(logsumexp(floating), Any)
assert_type(softmax(floating), Any)
logsumexp(unknown, axis=1).sum()
softmax(unknown, axis=1).sum()

# Losses and gradients: a total is a scalar, the others arrays; a gradient keeps type and shape.
assert_type(cross_entropy(f32, [0, 1]), np.float32)
assert_type(cross_entropy(f16, i8[0], reduction="sum"), np.float16)
assert_type(cross_entropy(f32, f64, weight=row, label_smoothing=0.1), np.float32)
assert_type(cross_entropy(i8, [0, 1], ignore_index=np.int64(7)), np.float64)
assert_type(cross_entropy([[1.0, 2.0]], [0]), np.float64)
assert_type(cross_entropy(f32, [0, 1], reduction="none"), NDArray[np.float32] | Any)
assert_type(cross_entropy(i8, [0, 1], 1, reduction="none"), NDArray[np.float64] | Any)
assert_type(nll_loss(f32, [0, 1]), np.float32)
assert_type(nll_loss([[1, 2]], [0], reduction="none"), NDArray[np.float64] | Any)
assert_type(cross_entropy_and_grad(matrix, [0, 1]), tuple[np.float32, Matrix])
assert_type(cross_entropy_and_grad(f64, [0, 1], 0), tuple[np.float64, NDArray[np.float64]])
assert_type(cross_entropy_and_grad(i8, [0, 1]), tuple[np.float64, NDArray[np.float64]])
assert_type(
    cross_entropy_and_grad(f32, [0, 1], reduction="none"), tuple[NDArray[np.float32] | Any, NDArray[np.float32]]
)
assert_type(cross_entropy_and_grad(f32, [0, 1], out=f64), tuple[Any, NDArray[np.float64]])
assert_type(log_prob(f32, [0, 1]), NDArray[np.float32] | Any)
assert_type(log_prob(mask, [0, 1]), NDArray[np.float64] | Any)
assert_type(logsumexp_and_softmax(matrix), tuple[np.float32, Matrix])
assert_type(logsumexp_and_softmax(f16, 1), tuple[NDArray[np.float16] | Any, NDArray[np.float16]])
assert_type(logsumexp_and_softmax([1, 2], 0), tuple[NDArray[np.float64] | Any, NDArray[np.float64]])
assert_type(logsumexp_and_softmax(f32, 1, out=f64), tuple[Any, NDArray[np.float64]])
assert_type(softmax_vjp(f32, f32, 1), NDArray[np.float32])
assert_type(softmax_vjp(matrix, matrix), Matrix)
assert_type(softmax_vjp(f32, f32, out=f64), NDArray[np.float64])
assert_type(log_softmax_vjp(f64, f64, 1), NDArray[np.float64])
assert_type(log_softmax_vjp([1.0], [0.0]), Any)

assert_type(show_config("dicts"), dict[str, dict[str, Any]] | None)
assert_type(get_include(), str)


def refused() -> None:
    """Every line is an error; --strict says so if one is not, because its ignore is then unused."""
    logsumexp(None)  # type: ignore[call-overload]
    logsumexp({1.0, 2.0})  # type: ignore[call-overload]
    logsumexp(f32, axis=0.5)  # type: ignore[call-overload]
    logsumexp(f32, axis=[0, 1])  # type: ignore[call-overload]
    logsumexp(f32, where=None)  # type: ignore[call-overload]
    logsumexp(f32, where=1)  # type: ignore[call-overload]
    logsumexp(f32, out=i8)  # type: ignore[type-var]
    logsumexp(f32, out=[0.0])  # type: ignore[call-overload]
    logsumexp(f32, dtype=np.int64)  # type: ignore[type-var]
    logsumexp(f32, dtype=np.complex64)  # type: ignore[type-var]
    logsumexp(f32, 0, None, False, False, True)  # type: ignore[call-overload]
    softmax(f32, 0, True)  # type: ignore[call-overload]
    softmax(f32, b=f32)  # type: ignore[call-overload]
    softmax(f32, keepdims=True)  # type: ignore[call-overload]
    log_softmax(f32, out=i8)  # type: ignore[type-var]
    cross_entropy(f32, [0, 1], reduction=None)  # type: ignore[call-overload]
    cross_entropy(f32, [0, 1], axis=(0, 1))  # type: ignore[call-overload]
    cross_entropy_and_grad(f32, [0, 1], out=i8)  # type: ignore[type-var]
    softmax_vjp(f32)  # type: ignore[call-overload]
    repr(softmax(f32, axis=1).nothing)  # type: ignore[attr-defined]
    repr(logsumexp(f32, axis=1).nothing)  # type: ignore[union-attr]


# Ufuncs: the type of the operands, where it is one.
assert_type(logaddexp(f32, f32), NDArray[np.float32])
assert_type(logaddexp(f16, f16), NDArray[np.float16])
assert_type(logaddexp(ld, ld), NDArray[np.longdouble])
assert_type(logaddexp(f64, 1.5), NDArray[np.float64])
assert_type(logaddexp(1, f64), NDArray[np.float64])
assert_type(logsubexp(f64, [[-1, -2]]), NDArray[np.float64])
assert_type(logsubexp(i8, u64), NDArray[np.float64])
assert_type(logaddexp(mask, mask), NDArray[np.float64])
assert_type(logaddexp(f32, np.float32(3)), NDArray[np.float32])
assert_type(logaddexp(np.float32(3), f32), NDArray[np.float32])
assert_type(logaddexp(np.float32(3), np.float32(2)), np.float32)
assert_type(logaddexp(1, 2.5), np.float64)
assert_type(logaddexp(np.float64(1), True), np.float64)
assert_type(logaddexp(f64, f64, dtype=np.float32, casting="same_kind"), NDArray[np.float32])
assert_type(logaddexp(f64, f64, out=f32), NDArray[np.float32])
assert_type(logaddexp(f32, 2), NDArray[np.float32])
assert_type(logaddexp(2, f32), NDArray[np.float32])
assert_type(logaddexp(f32, 2.5), Any)
assert_type(log1pexp(matrix), Matrix)
assert_type(log_expit(f16), NDArray[np.float16])
assert_type(log1mexp(np.float32(-3)), np.float32)
assert_type(log1mexp(-3), np.float64)
assert_type(log_expit(i8), NDArray[np.float64])
assert_type(log_expit([[1.0, 2.0]]), NDArray[np.float64])
assert_type(log1pexp(f32, dtype=np.float64), NDArray[np.float64])
assert_type(log1pexp(f32, out=f64), NDArray[np.float64])
assert_type(log1pexp(f32, dtype=text), Any)
assert_type(logaddexp.reduce(f32), Any)
assert_type(logaddexp.nin, int)

# logmeanexp as logsumexp; scans and segments keep the shape's number of axes.
assert_type(logmeanexp(f32), np.float32)
assert_type(logmeanexp(i8), np.float64)
assert_type(logmeanexp(f32, keepdims=True), NDArray[np.float32])
assert_type(logmeanexp(f32, dtype=np.float64), np.float64)
assert_type(logmeanexp(f32, 0, out=row), NDArray[np.float64])
assert_type(top_log_probs(f32, 2), tuple[NDArray[np.float32], NDArray[np.intp]])
assert_type(top_log_probs(matrix, 1, axis=0), tuple[Matrix, np.ndarray[tuple[int, int], np.dtype[np.intp]]])
assert_type(top_log_probs(f16, 2, 0)[0], NDArray[np.float16])
assert_type(top_log_probs(i8, 1)[0], NDArray[np.float64])
assert_type(top_log_probs([[1.0, 2.5]], 1)[0], NDArray[np.float64])
assert_type(categorical(f32, size=(3, 2), rng=1), NDArray[np.intp])
assert_type(categorical(row, size=(), scale=0.5, rng=np.random.default_rng(1)), np.intp)
assert_type(categorical(row, size=4), NDArray[np.intp])
assert_type(logcumsumexp(f32), NDArray[np.float32])
assert_type(logcumsumexp(matrix, 0), Matrix)
assert_type(logcumsumexp([1, 2.5]), NDArray[np.float64])
assert_type(logcumsumexp(3.0), NDArray[np.float64])
assert_type(logcumsumexp(f32, axis=1, dtype=np.float64), NDArray[np.float64])
assert_type(logcumsumexp(f32, 0, out=f64, reverse=True, exclusive=True), NDArray[np.float64])
assert_type(segment_logsumexp(matrix, [0, 1, 2]), Matrix)
assert_type(segment_softmax(i8, np.array([0, 2])), NDArray[np.float64])
assert_type(segment_log_softmax(f32, [0, 2], 1, dtype=np.float64), NDArray[np.float64])
assert_type(segment_softmax(f32, (0, 2), out=f64), NDArray[np.float64])
assert_type(offsets_from_ids([0, 0, 1]), NDArray[np.intp])

# Two vectors give a scalar.
assert_type(logmatmulexp(f32, f32), NDArray[np.float32] | Any)
assert_type(logmatmulexp(f64, [[0, 1], [2, 3]]), NDArray[np.float64] | Any)
assert_type(logmatmulexp([[0.0, 1.0]], [0.0, 1.0], exact=True), NDArray[np.float64] | Any)
assert_type(logmatmulexp(i8, f64), NDArray[np.float64] | Any)
assert_type(logmatmulexp(f32, f64, dtype=np.float32), NDArray[np.float32] | Any)
assert_type(logmatmulexp(f32, f32, out=f64), NDArray[np.float64])
