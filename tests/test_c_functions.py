"""The functions of the C interface, called by their addresses, have the bits of the functions of Python."""

import ctypes
import platform
import threading
from ctypes import c_double, c_float, c_ssize_t, c_void_p

import numpy as np
import pytest
from bounds import bound

import smoothmax
from smoothmax._c.functions import addresses
from smoothmax._thresholds import limits

LIMITS = limits()
ADDRESSES = addresses()
SUFFIXES = {np.float64: "f64", np.float32: "f32"}
REALS = {np.float64: c_double, np.float32: c_float}
TRANSFORMS = ("softmax", "log_softmax")
UNARY = ("log1mexp", "log1pexp", "log_expit")
BINARY = ("logaddexp", "logsubexp")
STRIDES = (1, 2, 3, -1, -2)
SPECIAL = [
    [-np.inf],
    [-np.inf, -np.inf],
    [0.0, -np.inf, 1.0],
    [np.inf, 0.0],
    [np.inf, np.inf, -np.inf],
    [np.nan, 0.0],
    [np.inf, np.nan],
    [1000.0, 1000.0],
    [0.0, -40.0],
    [-0.0],
    [1e-310, -1e300],
]
SPECIAL += [case * 700 for case in SPECIAL] + [case * 50000 for case in SPECIAL]  # of all routes


def c_function(name, dtype, result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)(ADDRESSES[f"smoothmax_{name}_{SUFFIXES[dtype]}"])


def stride_of(x):
    return x.strides[0] // x.itemsize


def logsumexp(x):
    call = c_function("logsumexp", x.dtype.type, REALS[x.dtype.type], c_void_p, c_ssize_t, c_ssize_t)
    return call(x.ctypes.data, len(x), stride_of(x))


def transform(name, x, out):
    call = c_function(name, x.dtype.type, None, c_void_p, c_ssize_t, c_ssize_t, c_void_p, c_ssize_t)
    call(x.ctypes.data, len(x), stride_of(x), out.ctypes.data, stride_of(out))
    return out


class PartialSum:
    """A partial sum of C, with its functions as methods."""

    def __init__(self, dtype):
        self.dtype, self.memory = dtype, (c_double * 4)(*[np.nan] * 4)
        c_function("partial_sum_init", dtype, None, c_void_p)(self.memory)

    def absorb(self, x):  # noqa: D102
        call = c_function("partial_sum_absorb", self.dtype, None, c_void_p, c_void_p, c_ssize_t, c_ssize_t)
        call(self.memory, x.ctypes.data, len(x), stride_of(x))
        return self

    def merge(self, other):  # noqa: D102
        c_function("partial_sum_merge", self.dtype, None, c_void_p, c_void_p)(self.memory, other.memory)
        return self

    def result(self):  # noqa: D102
        return c_function("partial_sum_result", self.dtype, REALS[self.dtype], c_void_p)(self.memory)


def spread(x, stride):
    """The numbers in the same order, `stride` elements apart."""
    room = np.full((len(x), abs(stride)), 7, x.dtype)
    view = room.ravel()[:: abs(stride)]
    view = view[::-1] if stride < 0 else view
    view[...] = x
    return view


def lengths(dtype):
    """Both sides of every limit of a row."""
    size = np.dtype(dtype).itemsize
    width = LIMITS["LANE_BYTES"] // size
    steps = [width, width * LIMITS["ROUNDED_MIN_LANE_ROWS"]]
    steps += [LIMITS[name] // size for name in ("ROW_BLOCK_BYTES", "STAGED_ROW_BYTES", "ROW_PIECE_BYTES")]
    steps += [2 * LIMITS["ROW_PIECE_BYTES"] // size, LIMITS["FUSED_SOFTMAX_ROW_BYTES"] // size]
    return sorted({1, 2, 3, 10, 300_000} | {n + d for n in steps for d in (-1, 0, 1)})


def rows(dtype):
    """Rows of every length, and rows whose logarithm is so near 0 that it needs exact terms."""
    rng = np.random.default_rng(11)
    for n in lengths(dtype):
        x = rng.normal(size=n)
        yield (x * 3).astype(dtype)
        yield (x * 30).astype(dtype)
        x -= smoothmax.logsumexp(x)
        x[n // 2] = 0
        yield (x - np.log(2)).astype(dtype)


def same_bits(a, b):
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


# Rows -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", STRIDES)
def test_logsumexp_has_the_bits_of_a_contiguous_array(dtype, stride):
    for x in rows(dtype):
        assert dtype(logsumexp(spread(x, stride))) == smoothmax.logsumexp(x), (len(x), stride)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("stride", STRIDES)
def test_results_have_the_bits_of_a_contiguous_array(name, dtype, stride):
    for x in rows(dtype):
        out = transform(name, spread(x, stride), np.empty_like(x))
        assert same_bits(out, getattr(smoothmax, name)(x)), (len(x), stride)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("stride", STRIDES[1:])
def test_strided_results_too_up_to_a_block_and_within_the_bound_beyond(name, dtype, stride):
    block = LIMITS["STAGED_ROW_BYTES"] // np.dtype(dtype).itemsize
    for x in rows(dtype):
        out, expected = transform(name, x, spread(np.zeros_like(x), stride)), getattr(smoothmax, name)(x)
        if name == "log_softmax" or not block < len(x) <= LIMITS["FUSED_SOFTMAX_ROW_BYTES"] // x.itemsize:
            assert same_bits(out, expected), (len(x), stride)
        else:
            assert np.max(np.abs(out - expected) / np.spacing(expected)) <= 2 * bound(name, len(x)), len(x)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("n", [5, 2000, 5000, 70000])
@pytest.mark.parametrize("stride", [1, 3, -2])
def test_results_may_lie_where_the_elements_do_and_nothing_beside_them_changes(name, n, stride):
    x = np.random.default_rng(1).normal(size=n)
    room = np.full(n * abs(stride) + 20, 7.0)
    inside = room[10 : 10 + n * abs(stride) : abs(stride)][:: 1 if stride > 0 else -1]
    inside[...] = x
    transform(name, inside, inside)
    apart = transform(name, x, spread(np.zeros(n), stride))
    assert same_bits(inside.copy(), apart.copy())
    assert np.count_nonzero(room == 7) == room.size - n


@pytest.mark.parametrize("case", SPECIAL, ids=lambda case: f"{case[:3]}, {len(case)}")
def test_special_values_are_those_of_python(dtype, case):
    x = np.array(case).astype(dtype, copy=False) if dtype is np.float64 else np.clip(case, -3e38, None).astype(dtype)
    for stride in (1, 2):
        assert np.array_equal(dtype(logsumexp(spread(x, stride))), smoothmax.logsumexp(x), equal_nan=True)
        for name in TRANSFORMS:
            out = transform(name, spread(x, stride), spread(np.zeros_like(x), stride))
            assert np.array_equal(out, getattr(smoothmax, name)(x), equal_nan=True)
    total = PartialSum(dtype).absorb(x).result()
    assert np.array_equal(dtype(total), smoothmax.LogSumExp().update(x).result(), equal_nan=True)


def test_a_stride_of_0_repeats_one_element(dtype):
    for n in (1, 10, 3000, 70000):
        x = np.broadcast_to(dtype(1.5), n)
        full = np.full(n, 1.5, dtype)
        assert dtype(logsumexp(x)) == smoothmax.logsumexp(full)
        assert same_bits(transform("softmax", x, np.empty(n, dtype)), smoothmax.softmax(full))


@pytest.mark.parametrize("n", [0, -1])
def test_without_elements_no_pointer_is_read(dtype, n):
    call = c_function("logsumexp", dtype, REALS[dtype], c_void_p, c_ssize_t, c_ssize_t)
    assert call(None, n, 1) == -np.inf
    for name in TRANSFORMS:
        c_function(name, dtype, None, c_void_p, c_ssize_t, c_ssize_t, c_void_p, c_ssize_t)(None, n, 1, None, 1)
    total = PartialSum(dtype)
    c_function("partial_sum_absorb", dtype, None, c_void_p, c_void_p, c_ssize_t, c_ssize_t)(total.memory, None, n, 1)
    assert total.result() == -np.inf


# Numbers --------------------------------------------------------------------------------------------------------------

NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.3, -0.7, 5e-324, -1e-310, 1e-8, -40.0, 700.0, -745.0, 1e300, np.inf, -np.inf, np.nan]


def pairs(dtype):
    """Every pair of the numbers above, and many pairs that are near each other or at distances where exp underflows."""
    rng = np.random.default_rng(5)
    first = rng.normal(size=20000) * 10 ** rng.uniform(-4, 3, 20000)
    second = first - rng.normal(size=20000) * 10 ** rng.uniform(-9, 3, 20000)
    special = np.array([(x1, x2) for x1 in NUMBERS for x2 in NUMBERS]).T
    with np.errstate(over="ignore"):
        return np.hstack([special, [first, second]]).astype(dtype)


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_numbers_have_the_bits_of_the_ufuncs(name, dtype):
    x1, x2 = pairs(dtype)
    ufunc, real = getattr(smoothmax, name), REALS[dtype]
    if name in BINARY:
        call = c_function(name, dtype, real, real, real)
        found, expected = [call(*pair) for pair in zip(x1.tolist(), x2.tolist(), strict=True)], ufunc(x1, x2)
    else:
        call = c_function(name, dtype, real, real)
        x = -np.abs(x1) if name == "log1mexp" else x1
        found, expected = [call(each) for each in x.tolist()], ufunc(x)
    found = np.array(found, dtype)
    same = (found == expected) & (np.signbit(found) == np.signbit(expected)) | np.isnan(found) & np.isnan(expected)
    assert same.all(), (x1[~same][:3], x2[~same][:3])


# Partial sums ---------------------------------------------------------------------------------------------------------


def test_partial_sums_have_the_bits_of_log_sum_exp(dtype):
    for x in rows(dtype):
        parts = np.array_split(x, min(len(x), 3))
        ours, theirs = PartialSum(dtype), smoothmax.LogSumExp()
        for part in parts:
            ours.absorb(spread(part, 2))
            theirs.update(part)
        assert dtype(ours.result()) == theirs.result(), len(x)
        ours, theirs = PartialSum(dtype), smoothmax.LogSumExp(dtype=dtype)
        for part in parts:
            ours.merge(PartialSum(dtype).absorb(part)).merge(PartialSum(dtype))
            theirs.merge(smoothmax.LogSumExp().update(part))
        assert dtype(ours.result()) == theirs.result(), len(x)


def test_a_partial_sum_can_be_read_and_continued():
    total = PartialSum(np.float64)
    x = np.random.default_rng(2).normal(size=40)
    for i, part in enumerate(np.split(x, 8), start=1):
        assert abs(total.absorb(part).result() - smoothmax.logsumexp(x[: 5 * i])) < 1e-15
    assert total.result() == total.result()


# Threads and their environment ----------------------------------------------------------------------------------------


def prepared_calls(dtype):
    """Calls whose exponentials are subnormal, vanish, or are rounded in every direction. Each leaves its result."""
    far = 90.0 if dtype == np.float32 else 720.0
    rng = np.random.default_rng(3)
    calls = []
    for n in (3, 100, 3000, 70000):
        x = (3 * rng.standard_normal(n) - far * (rng.random(n) < 0.2)).astype(dtype)
        apart, total, other = spread(x, 2), PartialSum(dtype), PartialSum(dtype)
        calls.append(lambda apart=apart: logsumexp(apart))
        for name in TRANSFORMS:
            for out in (np.empty_like(x), spread(np.zeros_like(x), 2)):
                calls.append(lambda name=name, x=x, out=out: transform(name, x, out))
        calls.append(lambda total=total, x=x: total.absorb(x).result())
        calls.append(lambda total=total, other=other, x=x: total.merge(other.absorb(x)).result())
    for name in UNARY:
        function = c_function(name, dtype, REALS[dtype], REALS[dtype])
        calls.append(lambda function=function: function(-far - 13))
    for name in BINARY:
        function = c_function(name, dtype, REALS[dtype], REALS[dtype], REALS[dtype])
        calls.append(lambda function=function: function(0.125, -far - 13))
    return calls


def bits_of_all(dtype):
    return [np.asarray(call()).tobytes() for call in prepared_calls(dtype)]


def test_threads_get_the_same_bits(dtype):
    expected, found = bits_of_all(dtype), {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: bits_of_all(dtype)})) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(4)] == [expected] * 4


@pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux", reason="the numbers of fenv.h are known there"
)
@pytest.mark.parametrize("mode", [0x000, 0x400, 0x800, 0xC00], ids=["nearest", "downward", "upward", "toward zero"])
def test_the_callers_floating_point_environment_changes_no_bit_and_no_flag_is_left(dtype, mode):
    libm = ctypes.CDLL("libm.so.6")
    flags = 0x01 | 0x04 | 0x08 | 0x10  # invalid, division by zero, overflow, underflow
    for i, (call, expected) in enumerate(zip(prepared_calls(dtype), bits_of_all(dtype), strict=True)):
        libm.feclearexcept(flags)
        libm.fesetround(mode)
        try:
            found = call()
            raised, rounding = libm.fetestexcept(flags), libm.fegetround()
        finally:
            libm.fesetround(0)
        assert (np.asarray(found).tobytes(), raised, rounding) == (expected, 0, mode), i
