"""The ufuncs are within their bounds: on difficult operands, on every float16 and (-m exhaustive) every float32.

The right answers are mpmath's, and those of NumPy in float64 where a type has so many fewer digits that the errors of
these, at most 5 ULP of float64, are below 2**-26 ULP.
"""

import elementwise_reference as exact
import numpy as np
import pytest
from bounds import ELEMENTWISE, LONGDOUBLE_ELEMENTWISE
from elementwise_reference import BINARY, UNARY

import smoothmax

DTYPES = (np.float64, np.float32, np.float16, np.longdouble)
# For each type: the exponents of ten of its smallest and largest useful operands, and the operand whose exp is
# subnormal.
RANGES = {
    np.float64: (-300, 300, 720),
    np.float32: (-40, 37, 95),
    np.float16: (-7, 4, 12),
    np.longdouble: (-300, 300, 11370),
}
N = 60
REFERENCE = 2.0**-26


def bound(dtype):
    return LONGDOUBLE_ELEMENTWISE if dtype is np.longdouble else ELEMENTWISE


def negative_numbers(dtype, rng):
    """Arguments of the exponential, by family."""
    least, _, far = RANGES[dtype]
    half_log_2 = np.log(2) / 2
    return {
        "ordinary": -np.abs(3 * rng.standard_normal(N)),
        "of every size": -(10.0 ** rng.uniform(least, 2, N)),
        "subnormal results": -rng.uniform(0.96 * far, 1.05 * far, N),
        "near multiples of log(2)/2": -half_log_2 * rng.integers(1, 12, N) * (1 + rng.uniform(-1e-3, 1e-3, N)),
        "near 0": -(10.0 ** rng.uniform(-8, -1, N)),
    }


def unary_families(name, dtype):
    rng = np.random.default_rng(1)
    sign = -1 if name == "log_expit" else 1
    for family, d in negative_numbers(dtype, rng).items():
        yield family, (sign * d).astype(dtype)
        if name != "log1mexp":
            yield f"{family}, the other sign", (-sign * d).astype(dtype)


def binary_families(name, dtype):
    rng = np.random.default_rng(2)
    least, most, _ = RANGES[dtype]
    size = 10.0 ** rng.uniform(least, most, (2, N))
    log_2 = np.full(N, np.log(2)).astype(dtype)
    d = (10.0 ** rng.uniform(-16, 0, N)).astype(dtype)
    ordinary = (3 * rng.standard_normal(N)).astype(dtype)
    for family, x in negative_numbers(dtype, rng).items():
        x = x.astype(dtype)
        for first, offset in {"0": np.zeros(N, dtype), "ordinary": ordinary, "small": ordinary * dtype(1e-3)}.items():
            yield f"{first} and {family}", (offset, offset + x)
    yield "of every size", (size[0].astype(dtype), (size[0] - size[1]).astype(dtype))
    yield "negative of every size", ((-size[0]).astype(dtype), (-size[0] - size[1]).astype(dtype))
    yield "one ULP apart", (ordinary, np.nextafter(ordinary, dtype(-np.inf)))
    yield "subnormal numbers", tuple((rng.integers(0, 99, (2, N)) * np.finfo(dtype).smallest_subnormal).astype(dtype))
    if name == "logaddexp":
        # Results near 0: the logarithm and the larger operand cancel.
        yield "beside -log(2)", (-log_2, -log_2 + d)
        least_operand = -np.abs(ordinary) - dtype(1)
        yield "cancelling", (np.log(-np.expm1(least_operand)), least_operand)
        yield "equal", (ordinary, ordinary)
    else:
        small = -np.abs(ordinary)
        yield "beside log(2)", (log_2, d)
        yield "cancelling", (np.log1p(np.exp(small)), small)


def check(name, dtype, family, *operands):
    with np.errstate(all="raise"):
        got = getattr(smoothmax, name)(*operands)
    assert got.dtype == dtype
    # -inf, or nan if rounding has exchanged the order of the operands; other tests have special values.
    finite = np.isfinite(got)
    assert finite.any(), family
    found = exact.errors(name, got[finite], *(x[finite] for x in operands))
    worst = int(np.argmax(found))
    assert found[worst] <= bound(dtype), (family, [x[finite][worst] for x in operands], found[worst])


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_operand_are_within_the_promise(name, dtype):
    for family, x in unary_families(name, dtype):
        if name == "log1mexp" or family != "of every size":
            check(name, dtype, family, x)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_operands_are_within_the_promise(name, dtype):
    for family, operands in binary_families(name, dtype):
        check(name, dtype, family, *operands)
        if name == "logaddexp":
            check(name, dtype, family, *operands[::-1])


def in_float64(name, *operands):
    """The result and the unit of its error, an ULP of the operands' type."""
    dtype = operands[0].dtype
    x1, *others = (x.astype(np.float64) for x in operands)
    with np.errstate(all="ignore"):
        if name in ("log1pexp", "log_expit"):
            sign = 1 if name == "log1pexp" else -1
            parts = np.maximum(sign * x1, 0), np.log1p(np.exp(-np.abs(x1)))
            parts = tuple(sign * part for part in parts)
        elif name == "logaddexp":
            parts = np.maximum(x1, *others), np.log1p(np.exp(-np.abs(x1 - others[0])))
        else:
            d = x1 if name == "log1mexp" else others[0] - x1
            parts = np.where(d > -0.5, np.log(-np.expm1(d)), np.log1p(-np.exp(d))), 0 if name == "log1mexp" else x1
        result = parts[0] + parts[1]
        largest = np.maximum(np.abs(result), np.maximum(np.abs(parts[0]), np.abs(parts[1])))
        return result, np.spacing(np.minimum(largest, np.finfo(dtype).max).astype(dtype)).astype(np.float64)


def worst_of(name, *operands):
    """The largest error among the finite results, and where it is."""
    got = getattr(smoothmax, name)(*operands)
    expected, ulp = in_float64(name, *operands)
    with np.errstate(all="ignore"):
        error = np.abs(got - expected) / ulp
    special = ~np.isfinite(expected)
    assert np.array_equal(got[special], expected[special].astype(got.dtype), equal_nan=True)
    error[special] = 0
    i = int(np.argmax(error))
    return float(error[i]), *(float(x[i]) for x in operands)


@pytest.mark.parametrize("name", UNARY)
def test_every_float16_is_within_the_promise(name):
    worst = worst_of(name, np.arange(1 << 16).astype(np.uint16).view(np.float16))
    assert worst[0] <= 0.52, worst  # computed in float32 and rounded: a little more than half an ULP


@pytest.mark.parametrize("name", BINARY)
def test_pairs_of_float16_are_within_the_promise(name):
    pairs = np.random.default_rng(4).integers(0, 1 << 16, (2, 1 << 15)).astype(np.uint16).view(np.float16)
    with np.errstate(all="ignore"):
        near = (pairs[0] + np.linspace(-12, 0, 1 << 15)).astype(np.float16)
    for operands in (pairs, np.array([pairs[0], near])):
        worst = worst_of(name, *operands[:, np.isfinite(operands).all(axis=0)])
        assert worst[0] <= 0.52, worst


FAR = np.float32(104).view(np.uint32)  # the bits of the least float32 of which exp(-x) is 0


def floats(sign, first, last, step=1):
    """The float32 with these bits and this sign."""
    return (np.arange(first, last, step, dtype=np.uint32) | np.uint32(0x80000000 if sign < 0 else 0)).view(np.float32)


def signs_of(name):
    return (-1,) if name == "log1mexp" else (-1, 1)


@pytest.mark.parametrize("name", UNARY)
def test_one_float32_in_4001_is_within_the_promise(name):
    for sign in signs_of(name):
        worst = worst_of(name, floats(sign, 0, 0x7F800001, 4001))
        assert worst[0] <= ELEMENTWISE - REFERENCE, worst


def test_log_expit_is_minus_log1pexp_of_the_contrary():
    for sign in (-1, 1):
        x = floats(sign, 0, 0x7F800001, 4001)
        assert np.array_equal(smoothmax.log_expit(x), -smoothmax.log1pexp(-x))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["log1mexp", "log1pexp"])  # log_expit is minus log1pexp
def test_every_float32_is_within_the_promise(name):
    """Beyond FAR the exponential is 0, and one in 4001 is enough."""
    worst, chunk = (0.0, 0.0), 1 << 19
    for sign in signs_of(name):
        for first in range(0, int(FAR) + 1, chunk):
            worst = max(worst, worst_of(name, floats(sign, first, min(first + chunk, int(FAR) + 1))))
    print(f"{name} of float32: at most {worst[0]:.4f} ULP, at {worst[1].hex()} = {worst[1]!r}")
    assert worst[0] <= ELEMENTWISE - REFERENCE, worst


# The largest errors found, with fma.
WORST_OPERANDS = {
    ("log1mexp", np.float64): [(-1.0288595397298328,), (-707.4142387416838,)],
    ("log1pexp", np.float64): [(0.3472249049294656,), (5.6746054363700577e-08,)],
    ("logaddexp", np.float64): [(0.005977086882987237, -3.795736215695427)],
    ("logsubexp", np.float64): [(0.06581352648739991, -0.22762198902674227)],
    ("log1mexp", np.float32): [(-86.29524993896484,)],  # of all
    ("log1pexp", np.float32): [(0.30902281403541565,)],  # of all
    ("logaddexp", np.float32): [(0.05563101917505264, -1.6458942890167236)],
    ("logsubexp", np.float32): [(0.021612361073493958, -1.0158125162124634)],
}


@pytest.mark.parametrize(("name", "dtype"), WORST_OPERANDS)
def test_the_worst_operands_known_are_within_the_promise(name, dtype):
    for operands in WORST_OPERANDS[name, dtype]:
        x = [dtype(value) for value in operands]
        # Without fma, most of these are rounded in the other direction.
        assert 0.2 < exact.error_of(name, getattr(smoothmax, name)(*x), *x) <= ELEMENTWISE


def test_results_near_0_keep_their_digits():
    assert float(smoothmax.logaddexp(0.0, -40.0)) == pytest.approx(4.248354255291589e-18, rel=1e-15)
    assert float(smoothmax.log1pexp(-745.0)) == 5e-324
    assert float(smoothmax.log1mexp(-1e-320)) == pytest.approx(-736.827, abs=1e-3)
    assert float(smoothmax.logsubexp(0.0, -5e-324)) == pytest.approx(-744.4400719213812, rel=1e-15)
