"""Masks, weights and addends that would keep short axes of the elements apart (P65).

NumPy expands the operand here to the shape of the elements, in their memory order. A call with that array walks the
axes as one, and so must the call with the small operand: it has the same bits.
"""

import tracemalloc

import numpy as np
import pytest

import smoothmax
from smoothmax import log_softmax, logmeanexp, logsumexp, logsumexp_and_softmax, softmax
from smoothmax._schedule.explain import explain
from smoothmax._thresholds import limits

LIMITS = limits()
REDUCTIONS = [logsumexp, logmeanexp]
TRANSFORMS = [softmax, log_softmax]

# Shapes of arrays, reduced axes, and operands that repeat along an outer axis but not along the axis inside of it.
CASES = [
    ((200, 3, 5), -1, (3, 1)),
    ((200, 3, 5), -1, (200, 1, 1)),
    ((200, 3, 50), -1, (3, 50)),
    ((200, 3, 50), (1, 2), (3, 1)),
    ((300, 3, 2, 10), -1, (2, 10)),
    ((300, 3, 2, 10), (0, 3), (1, 2, 1)),
    ((100, 50, 4), 0, (50, 1)),
    ((20, 100, 4), (1, 2), (4,)),
    ((20, 100, 4), (1, 2), (20, 100, 1)),
    ((6, 32, 8, 8), 1, (8, 1)),
    ((2, 3, 4, 5, 6, 7), (1, 3, 5), (3, 1, 5, 1, 7)),
]


def layouts(x):
    """The same numbers in several layouts of memory."""
    yield x
    yield np.asfortranarray(x)
    yield x[::-1].copy()[::-1]
    yield x[..., ::-1].copy()[..., ::-1]
    yield np.repeat(x, 2, axis=-1)[..., ::2]
    yield np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)


def expanded(operand, x):
    """The operand with the shape and in the memory order of x."""
    full = np.empty_like(x, dtype=operand.dtype)
    full[...] = operand
    return full


def assert_same(got, expected):
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


@pytest.mark.parametrize(("shape", "axis", "small"), CASES, ids=str)
def test_small_operands_have_the_bits_of_expanded_ones_where_axes_are_joined(shape, axis, small, dtype):
    rng = np.random.default_rng(1)
    x, add = rng.normal(size=shape).astype(dtype), rng.normal(size=small).astype(dtype)
    b, mask = rng.uniform(0.5, 2, small).astype(dtype), rng.random(small) < 0.8
    for y in layouts(x):
        for function in REDUCTIONS + TRANSFORMS:
            assert_close(function(y, axis, add=add), function(y, axis, add=expanded(add, y)))
            assert_close(function(y, axis, where=mask), function(y, axis, where=expanded(mask, y)))
        for function in REDUCTIONS:
            assert_close(function(y, axis, b), function(y, axis, expanded(b, y)))
        for got, expected in zip(
            logsumexp_and_softmax(y, axis, where=mask),
            logsumexp_and_softmax(y, axis, where=expanded(mask, y)),
            strict=True,
        ):
            assert_close(got, expected)


def assert_close(got, expected):
    """Routes may differ where an operand is not joined, so the last bits may."""
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=8 * np.finfo(got.dtype).eps, atol=8 * np.finfo(got.dtype).eps)


def test_short_kept_axes_are_joined(dtype):
    """576 columns make 9 tiles; 192 times 3 columns make 192."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(192, 3, 5)).astype(dtype)
    add, mask, b = rng.normal(size=(3, 1)).astype(dtype), np.array([[True], [False], [True]]), np.ones((3, 5), dtype)
    units = 576 // LIMITS["TILE_COLUMNS"]
    for options in ({"add": add}, {"where": mask}, {"b": b}, {"add": add, "where": mask, "b": b}):
        assert explain(logsumexp, x, -1, **options)["units"] == units
    for options in ({"add": add}, {"where": mask}):
        y = expanded(next(iter(options.values())), x)
        for function in TRANSFORMS:
            assert explain(function, x, -1, **options)["units"] == units
            assert_same(function(x, -1, **options), function(x, -1, **dict.fromkeys(options, y)))


def test_short_reduced_axes_are_joined(dtype):
    """A row that is one stretch of the elements, and of the copy, is read where it lies, and not gathered."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20, 1000, 4)).astype(dtype)
    for small in ((4,), (1000, 1)):
        add = rng.normal(size=small).astype(dtype)
        assert not explain(logsumexp, x, (1, 2), add=add)["staged_in"]
        for function in REDUCTIONS + TRANSFORMS:
            assert_same(function(x, (1, 2), add=add), function(x, (1, 2), add=expanded(add, x)))


def test_halves_and_other_byte_orders(dtype):
    rng = np.random.default_rng(4)
    for given in (np.float16, np.dtype(dtype).newbyteorder()):
        x, add = rng.normal(size=(200, 3, 5)).astype(given), rng.normal(size=(3, 1)).astype(given)
        for function in REDUCTIONS + TRANSFORMS:
            assert_same(function(x, -1, add=add), function(x, -1, add=expanded(add, x)))


@pytest.mark.parametrize("more", [0, 1])
def test_copies_have_at_most_so_many_bytes(more, dtype):
    """Beyond the limit fewer axes are joined, here none: the operand repeats along the outermost of two."""
    rows = LIMITS["REPEATED_BYTES"] // (6 * np.dtype(dtype).itemsize) + more
    x, add = np.zeros((rows, 6, 2), dtype), np.arange(6, dtype=dtype)[:, None]
    units = explain(logsumexp, x, -1, add=add)["units"]
    assert units == (rows if more else -(-6 * rows // LIMITS["TILE_COLUMNS"]))
    tracemalloc.start()
    try:
        value = logsumexp(x, -1, add=add)
        peak = tracemalloc.get_traced_memory()[1] - value.nbytes
    finally:
        tracemalloc.stop()
    assert peak < LIMITS["REPEATED_BYTES"] + 100_000
    np.testing.assert_allclose(value, np.broadcast_to(np.log(2) + add[:, 0], value.shape), rtol=1e-6)


def test_copies_of_several_operands_share_the_limit():
    rows = LIMITS["REPEATED_BYTES"] // (6 * 8)
    x, add, b = np.zeros((rows, 6, 2)), np.arange(6.0)[:, None], np.ones((6, 2))
    tracemalloc.start()
    try:
        value = logsumexp(x, -1, b, add=add)
        peak = tracemalloc.get_traced_memory()[1] - value.nbytes
    finally:
        tracemalloc.stop()
    assert peak < LIMITS["REPEATED_BYTES"] + 100_000


def test_arrays_of_two_axes_are_never_copied(dtype):
    """Their axes are walked as they are: one is kept, and the other is reduced."""
    x = np.zeros((3000, 3), dtype)
    for axis in (0, 1, None):
        assert_same(
            softmax(x, axis, add=np.zeros(3, dtype)),
            softmax(x, axis, add=np.zeros((3000, 1), dtype)),
        )


def test_weights_of_one_number_a_reduction_that_are_not_finite():
    """The results are computed again with a weight for each element, and the finite ones have the same bits."""
    rng = np.random.default_rng(5)
    x, b = rng.normal(size=(200, 3, 50)), np.array([[1.5], [np.inf], [2.0]])
    got, expected = logsumexp(x, -1, b), logsumexp(x, -1, np.array([[1.5], [1.0], [2.0]]))
    assert_same(got[:, ::2], expected[:, ::2])
    assert np.isinf(got[:, 1]).all()


def test_output_may_be_the_input_or_the_operand(dtype):
    rng = np.random.default_rng(6)
    x, add = rng.normal(size=(200, 3, 5)).astype(dtype), rng.normal(size=(3, 1)).astype(dtype)
    expected = softmax(x, -1, add=add)
    out = x.copy()
    assert_same(softmax(out, -1, add=add, out=out), expected)
    memory = np.zeros((200, 3, 5), dtype)
    memory[0, :, :1] = add
    assert_same(softmax(x, -1, add=memory[0, :, :1], out=memory), expected)


def test_the_number_of_threads_does_not_change_the_bits(dtype):
    rng = np.random.default_rng(7)
    x, add = rng.normal(size=(20_000, 3, 5)).astype(dtype), rng.normal(size=(3, 1)).astype(dtype)
    results = []
    for threads in (1, 2, 5):
        with smoothmax.num_threads(threads):
            results.append(softmax(x, -1, add=add))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])
