"""longdouble and complex numbers, which plain NumPy computes: their bounds against mpmath, and their edges."""

import functools

import mpmath
import numpy as np
import pytest
from bounds import COMPLEX, LONGDOUBLE, LONGDOUBLE_LOGSUMEXP

from smoothmax import log_softmax, logcumsumexp, logmeanexp, logsumexp, softmax
from smoothmax._arrays.plain import narrowed_to_odd

INF, NAN = np.inf, np.nan
LONG = np.longdouble
mp = mpmath.MPContext()
mp.prec = 2000  # differences of 300 leave 2**-866 of a term
each_complex = pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.clongdouble])


@functools.singledispatch
def exact(x):
    """The number of NumPy's as one of mpmath's."""
    mantissa, exponent = np.frexp(LONG(x))
    high = float(mantissa)
    return mp.ldexp(mp.mpf(high) + mp.mpf(float(mantissa - LONG(high))), int(exponent))


@exact.register(np.complexfloating)
def _(z):
    return mp.mpc(exact(z.real), exact(z.imag))


def eps(dtype):
    return exact(np.finfo(dtype).eps)


def digits(dtype):
    """The eps of a comparison with a reference in double."""
    return max(float(np.finfo(dtype).eps), np.finfo(float).eps)


def ulp(value):
    """The unit in the last place of a longdouble of this size."""
    return mp.ldexp(eps(LONG), max(mp.mag(value) - 1, np.finfo(LONG).minexp)) if value else mp.mpf(2) ** -16445


def reals(rng, n, spread):
    """Numbers with all digits of longdouble."""
    return (rng.normal(size=n) * spread).astype(LONG) * (1 + LONG(rng.random()) * np.finfo(LONG).eps * 1000)


def complexes(rng, n, dtype, spread):
    z = rng.normal(size=n) * spread + 1j * rng.normal(size=n) * rng.choice([1e-3, 1, 30])
    return z.astype(dtype)


CASES = [(n, spread) for n in (1, 2, 3, 10, 100) for spread in (1e-3, 1, 30, 300)]


# Bounds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "spread"), CASES)
def test_longdouble_is_within_its_bounds(n, spread):
    rng = np.random.default_rng([n, int(spread)])
    for offset in (0, 1, -1000, 10_000):
        x = reals(rng, n, spread) + offset
        values = [exact(v) for v in x]
        m = max(values)
        first = values.index(m)
        log_sum = mp.log1p(mp.fsum(mp.exp(v - m) for i, v in enumerate(values) if i != first))
        total = m + log_sum
        unit = ulp(total) if total > m > 0 else ulp(max(abs(m), log_sum))
        assert abs(exact(logsumexp(x)) - total) <= LONGDOUBLE_LOGSUMEXP * unit
        for v, p, log_p in zip(values, softmax(x), log_softmax(x), strict=True):
            assert abs(exact(p) - mp.exp(v - total)) <= LONGDOUBLE * ulp(mp.exp(v - total))
            assert abs(exact(log_p) - (v - m - log_sum)) <= LONGDOUBLE * ulp(v - m - log_sum)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("exponents", [3, 1000, 16_000])
def test_weighted_longdouble_is_within_its_bounds(exponents, signed):
    exponents = min(exponents, np.finfo(LONG).maxexp - 1)
    rng = np.random.default_rng(exponents)
    for n, spread in CASES:
        x, k = reals(rng, n, spread), rng.integers(-exponents, exponents, n).astype(np.intc)
        b = np.ldexp(rng.uniform(0.5, 1, n).astype(LONG), k)
        b *= rng.choice([-1, 1], n) if signed else 1
        terms = [exact(w) * mp.exp(exact(v)) for w, v in zip(b, x, strict=True)]
        total, size = mp.fsum(terms), mp.fsum(abs(t) for t in terms)
        i = max(range(n), key=lambda i: abs(terms[i]))
        unit = max(abs(exact(x[i])), abs(mp.log(abs(exact(b[i])))), abs(mp.log(abs(total))), size / abs(total) - 1)
        value, sign = logsumexp(x, b=b, return_sign=True)
        assert sign == mp.sign(total)
        assert abs(exact(value) - mp.log(abs(total))) <= LONGDOUBLE_LOGSUMEXP * eps(LONG) * unit


@each_complex
@pytest.mark.parametrize("weighted", [False, True])
def test_complex_logsumexp_is_within_its_bounds(dtype, weighted):
    rng = np.random.default_rng(1)
    for n, spread in CASES:
        z = complexes(rng, n, dtype, min(spread, 30))
        b = (
            (np.ldexp(1.0, rng.integers(-100, 100, n)) * complexes(rng, n, complex, 1)).astype(dtype)
            if weighted
            else None
        )
        weights = [exact(w) for w in b] if weighted else [mp.mpf(1)] * n
        terms = [w * mp.exp(exact(v)) for w, v in zip(weights, z, strict=True)]
        total = mp.fsum(terms)
        kappa = mp.fsum(abs(t) for t in terms) / abs(total)
        i = max(range(n), key=lambda i: abs(terms[i]))
        unit = max(abs(exact(z[i].real)), abs(mp.log(abs(weights[i]))), abs(mp.log(abs(total))), kappa - 1)
        value, sign = logsumexp(z, b=b, return_sign=True)
        got = logsumexp(z, b=b)
        assert got.dtype == sign.dtype == dtype
        assert value == got.real
        assert abs(exact(value) - mp.log(abs(total))) <= COMPLEX * eps(dtype) * unit
        assert abs(exact(sign) - total / abs(total)) <= COMPLEX * eps(dtype) * kappa
        assert abs(exact(got).imag - mp.arg(total)) <= COMPLEX * eps(dtype) * kappa


def is_within(got, total, unit, kappa, dtype):
    """Whether the parts of a complex logarithm have the bounds of logsumexp; angles of -pi and pi are one."""
    value, turn = exact(got), total / abs(total)
    size = abs(value.real - mp.log(abs(total))) <= COMPLEX * eps(dtype) * unit
    return size and abs(mp.expj(value.imag) - turn) <= COMPLEX * eps(dtype) * kappa


@each_complex
@pytest.mark.parametrize("spread", [1e-20, 1e-3, 1, 30])
def test_complex_prefixes_have_the_bounds_of_logsumexp(dtype, spread):
    """Small elements lost theirs: cosine and sine are rounded, and the size of what they point to is not 1."""
    z = complexes(np.random.default_rng(4), 24, dtype, spread)
    forward, before, backward = logcumsumexp(z), logcumsumexp(z, exclusive=True), logcumsumexp(z[::-1], reverse=True)
    assert forward.dtype == dtype
    assert before[0] == -np.inf
    np.testing.assert_array_equal(before[1:], forward[:-1])
    np.testing.assert_array_equal(backward[::-1], forward)
    terms = [mp.exp(exact(v)) for v in z]
    for n, got in enumerate(forward, 1):
        total = mp.fsum(terms[:n])
        kappa = mp.fsum(abs(t) for t in terms[:n]) / abs(total)
        unit = max(abs(exact(max(z.real[:n]))), abs(mp.log(abs(total))), kappa - 1)
        assert is_within(got, total, unit, kappa, dtype)


@each_complex
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("spread", [1e-20, 1, 30])
def test_complex_means_have_twice_the_bounds_of_logsumexp(dtype, spread, weighted):
    rng = np.random.default_rng(5)
    for n in (1, 2, 3, 10, 40):
        z = complexes(rng, n, dtype, spread)
        b = np.exp(complexes(rng, n, dtype, 3)) if weighted else None
        weights = [exact(w) for w in b] if weighted else [mp.mpf(1)] * n
        terms = [w * mp.exp(exact(v)) for w, v in zip(weights, z, strict=True)]
        total, mass = mp.fsum(terms), mp.fsum(weights)
        kappas = [mp.fsum(abs(t) for t in some) / abs(mp.fsum(some)) for some in (terms, weights)]
        i = max(range(n), key=lambda i: abs(terms[i]))
        parts = [exact(z[i].real), mp.log(abs(weights[i])), mp.log(max(map(abs, weights)))]
        unit = max(abs(v) for v in (*parts, mp.log(abs(total)), mp.log(abs(mass)), max(kappas) - 1))
        assert is_within(logmeanexp(z, b=b), total / mass, 2 * unit, 2 * max(kappas), dtype)


@each_complex
def test_complex_softmax_and_log_softmax_are_within_their_bounds(dtype):
    rng = np.random.default_rng(2)
    for n, spread in CASES:
        z = complexes(rng, n, dtype, min(spread, 30))
        values = [exact(v) for v in z]
        m = max(values, key=lambda v: (v.real, v.imag))
        terms = [mp.exp(v - m) for v in values]
        total = mp.fsum(terms)
        kappa = mp.fsum(abs(t) for t in terms) / abs(total)
        for v, t, p, log_p in zip(values, terms, softmax(z), log_softmax(z), strict=True):
            assert abs(exact(p) - t / total) <= COMPLEX * eps(dtype) * kappa * max(abs(t / total), np.finfo(dtype).tiny)
            error = exact(log_p) - (v - m - mp.log(total))
            assert abs(error.real) <= COMPLEX * eps(dtype) * max(abs(exact(log_p).real), kappa)
            assert abs(error.imag) <= COMPLEX * eps(dtype) * max(abs(v.imag - m.imag), kappa)


@pytest.mark.parametrize("dtype", [LONG, np.complex128])
def test_bounds_do_not_depend_on_the_number_of_elements(dtype):
    """3 million terms of the same size, whose roundings have the same sign."""
    n = 3_000_000
    x = np.full(n, dtype(1) / 3)
    x[0] = 1
    wanted = 1 + mp.log1p((n - 1) * mp.exp(exact(x[1].real) - 1))
    assert abs(exact(logsumexp(x)).real - wanted) <= 2 * eps(dtype) * wanted
    assert abs(exact(softmax(x)[0]) - mp.exp(1 - wanted)) <= 4 * eps(dtype) * mp.exp(1 - wanted)
    for axis in (0, 1):
        assert np.all(logsumexp(np.stack([x[:1000]] * 2, axis=1 - axis), axis=axis) == logsumexp(x[:1000]))


# Digits near 0 and 1 -------------------------------------------------------------------------------------------------


@each_complex
def test_the_sum_of_the_other_terms_keeps_its_digits(dtype):
    rtol = 8 * digits(dtype)
    small = np.exp(-40.0)
    np.testing.assert_allclose(logsumexp(np.array([0, -40 + 0j], dtype)), small, rtol=rtol)
    assert logsumexp(np.array([0, -40 + 0j])).real == 4.248354255291589e-18
    np.testing.assert_allclose(log_softmax(np.array([0, -40 + 0j], dtype))[0].real, -small, rtol=rtol)
    got = log_softmax(np.array([0, -40 + 1j], dtype))[0]
    np.testing.assert_allclose([got.real, got.imag], [-small * np.cos(1), -small * np.sin(1)], rtol=rtol)
    got = logsumexp(np.array([1 + 7j], dtype))
    np.testing.assert_allclose([got.real, got.imag], [1, 7 - 2 * np.pi], rtol=rtol)


@each_complex
def test_weights_and_terms_of_a_size_near_1_keep_their_digits(dtype):
    """The squares of their parts cancel in the logarithm of the size: it was off by 60 ULP."""
    rng = np.random.default_rng(3)
    sizes = np.concatenate([1 + np.ldexp(rng.normal(size=300), rng.integers(-40, -1, 300)), rng.uniform(0.4, 2.5, 300)])
    b = (sizes * np.exp(1j * rng.uniform(-4, 4, 600))).astype(dtype)
    got = logsumexp(np.zeros(600, dtype), axis=(), b=b, return_sign=True)[0]
    for weight, value in zip(b, got, strict=True):
        wanted = mp.log(abs(exact(weight)))
        assert abs(exact(value) - wanted) <= COMPLEX * eps(dtype) * abs(wanted)


def test_terms_that_cancel_to_a_size_near_1():
    """exp(2j) - exp(1j) has the size 2*sin(1/2), which is near 1, so it goes through log1p."""
    z = np.array([1j, 1j + 2j * np.pi / 3])
    total = mp.exp(exact(z[0])) + mp.exp(exact(z[1]))
    assert abs(exact(logsumexp(z)).real - mp.log(abs(total))) <= 2 * eps(float)


# Weights of any size -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("b", [1e-320, 5e-324, 1e-310, 1e300, 1.7e308])
def test_weights_of_any_size_keep_their_range(b):
    wanted = np.log(b) + np.log1p(np.e)
    for z in (np.array([0, 1 + 0j]), LONG([0, 1])):
        np.testing.assert_allclose(logsumexp(z, b=[b, b]), wanted, rtol=1e-15)
        value, sign = logsumexp(z, b=[-b, -b], return_sign=True)
        np.testing.assert_allclose([value, sign.real], [wanted, -1], rtol=1e-15)
    turned = logsumexp(np.array([0, 1 + 0j]), b=np.array([b * 1j, b * 1j]))
    np.testing.assert_allclose([turned.real, turned.imag], [wanted, np.pi / 2], rtol=1e-15)
    diagonal = logsumexp(np.array([0j]), b=np.array([b * (1 + 1j)]))
    np.testing.assert_allclose([diagonal.real, diagonal.imag], [np.log(b) + np.log(2) / 2, np.pi / 4], rtol=1e-15)


@pytest.mark.skipif(np.finfo(LONG).maxexp < 16_000, reason="longdouble has no more range than double")
def test_exponentials_and_weights_whose_product_alone_is_in_range():
    tiny, huge = np.finfo(LONG).smallest_subnormal, np.finfo(LONG).max
    wanted = 22_000 + np.log(LONG(2)) * -16445
    assert logsumexp(LONG([22_000, -22_000]), b=[tiny, huge]) == pytest.approx(float(wanted), rel=1e-15)
    assert logsumexp(LONG([0, -30_000]), b=[tiny, huge]) == pytest.approx(float(np.log(LONG(2)) * -16445), rel=1e-15)


# Angles, infinities, and what is not a number ------------------------------------------------------------------------


@each_complex
@pytest.mark.parametrize("angle", [-np.pi, np.pi, 3, -3, 4, -4, 7, 100, 0.0])
@pytest.mark.parametrize("real", [0, 1000, INF])
@pytest.mark.parametrize("n", [1, 2])
def test_the_angle_of_a_sum_is_that_of_its_terms(dtype, angle, real, n):
    if real == 1000 and dtype == np.complex64:
        real = 80
    z = np.array([complex(real, angle)] * n, dtype)
    got = logsumexp(z)
    wanted = float(mp.arg(mp.expj(exact(z[0].imag))))
    np.testing.assert_allclose(got.imag, wanted, rtol=4 * digits(dtype))
    np.testing.assert_allclose(got.real, real + np.log(n), rtol=4 * digits(dtype), atol=1e-300)
    _, sign = logsumexp(z, return_sign=True)
    np.testing.assert_allclose(np.angle(sign), wanted, rtol=4 * digits(dtype))


def test_the_angle_of_a_negative_number_is_pi():
    for b in ([-1], [-1 + 0j], [complex(-1, -0.0)], [-INF], [-1e-320]):
        for a in (0j, INF + 0j):
            assert logsumexp(np.array([a]), b=b).imag == np.pi
    assert logsumexp(np.array([-1j * np.pi])) == -1j * np.pi


@pytest.mark.parametrize(
    ("a", "b", "value", "sign"),
    [
        ([INF + 4j, 0, -INF], None, INF, np.exp(4j)),
        ([INF + 4j], [2j], INF, 1j * np.exp(4j)),
        ([5 + 1j], [INF], INF, np.exp(1j)),
        ([INF, INF], [1, -1], NAN, NAN),
        ([INF + 0j, INF + 1j * np.pi], None, INF, NAN),
        ([INF, NAN], None, NAN, NAN),
        ([INF, 5 + NAN * 1j], None, NAN, NAN),
        ([-INF], [INF], NAN, NAN),
        ([-INF, -INF], None, -INF, 0),
        ([INF, NAN], [0, 0], -INF, 0),
        ([complex(-INF, NAN), 0], None, 0, 1),
        ([0, 0], [1, -1], -INF, 0),
    ],
)
def test_infinite_terms_have_the_sums_of_the_contract(a, b, value, sign):
    a = np.array(a, complex)
    got, got_sign = logsumexp(a, b=b, return_sign=True)
    np.testing.assert_allclose(got, value, rtol=1e-15)
    np.testing.assert_allclose(got_sign, sign, rtol=1e-15)
    if not np.any(a.imag) and b is None:
        got, got_sign = logsumexp(a.real.astype(LONG), return_sign=True)
        np.testing.assert_allclose([got, got_sign], [value, sign], rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.longdouble, np.complex64, np.complex128])
def test_huge_numbers_far_apart(dtype):
    """The rounding error of a difference is then itself too large for an exponent."""
    for x in ([1e34, 2.2e34, -3e33], [3e37, -1e38, 2.99999e37], [1e20, 1e19, 3.0]):
        x = np.array(np.float32(x), dtype)
        assert logsumexp(x) == np.max(x.real)
        assert softmax(x).real.tolist() == (x.real == np.max(x.real)).tolist()
        np.testing.assert_array_equal(log_softmax(x), x - np.max(x.real))


def test_no_warning_for_any_value():
    values = [0.0, -0.0, 1e-4940, 1e300, -1e300, "1e4000", "-1e4000", "1e-4000", INF, -INF, NAN]
    grid = np.array(np.meshgrid(*[LONG(values)] * 2)).reshape(2, -1).T
    with np.errstate(all="ignore"):
        inputs = grid, grid[:, 0] + 1j * grid[:, 1], grid + 1j * grid[::-1]
    with np.errstate(all="raise"):
        for x in inputs:
            for axis in (None, 0, -1):
                for function in (logsumexp, softmax, log_softmax):
                    function(x, axis=axis)
                logsumexp(x, axis=axis, b=x[::-1], return_sign=True)
                logsumexp(x, axis=axis, b=x[::-1], where=np.isfinite(x))


# Shapes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [complex, LONG])
def test_as_many_axes_as_numpy_has(dtype):
    ndim = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32
    x = np.arange(4, dtype=dtype).reshape((2, 2) + (1,) * (ndim - 2))
    for b in (None, 1 + x):
        for axis in ((), 0, ndim - 1, None):
            got = logsumexp(x, axis=axis, b=b, keepdims=True)
            flat = (None,) if axis is None else (axis,)
            flat = flat[0] if flat[0] in ((), None, 0) else ()
            wanted = logsumexp(x.reshape(2, 2), axis=flat, b=None if b is None else b.reshape(2, 2), keepdims=True)
            np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)
    np.testing.assert_allclose(softmax(x, axis=()), np.ones(x.shape))
    np.testing.assert_allclose(log_softmax(x).ravel(), log_softmax(x.ravel()))


# Results of 16 bits ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="longdouble is float64")
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_a_result_of_16_bits_is_rounded_once(name):
    """Numbers close to the middle between two neighbours. NumPy's cast would first round them to the middle."""
    dtype = np.dtype(name) if name == "float16" else np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    step = LONG(2) ** (-10 if name == "float16" else -7)
    below = 1 + step * np.arange(8)
    middle, aside = below + step / 2, LONG(2) ** -62
    for values, wanted in ((middle - aside, below), (middle + aside, below + step)):
        for sign in (1, -1):
            out = np.empty(len(values), dtype)
            logsumexp(sign * values[:, np.newaxis], axis=1, out=out)
            np.testing.assert_array_equal(out.astype(float), (sign * wanted).astype(float))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="longdouble is float64")
def test_rounding_to_odd_keeps_special_values_and_what_is_out_of_range():
    values = LONG([np.inf, -np.inf, 0.0, -0.0, 1.5, 65504, 65519.9999, 65520, 1e4000, -1e4000, 1e-4000])
    with np.errstate(over="ignore"):
        found = narrowed_to_odd(values).astype(np.float16)
    wanted = np.float16([np.inf, -np.inf, 0.0, -0.0, 1.5, 65504, 65504, np.inf, np.inf, -np.inf, 0])
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))
    assert np.isnan(narrowed_to_odd(LONG([np.nan]))).all()
