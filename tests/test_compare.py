"""python -m smoothmax without arguments prints a comparison with right errors and times."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from command import WITHOUT_SCIPY, python

import smoothmax
from smoothmax.__main__ import main
from smoothmax._cli import compare as _compare

X = np.random.default_rng(5).normal(scale=10, size=(4, 15))
QUICKLY = "from smoothmax._cli import compare; compare.SECONDS, compare.ROUNDS = 0, 1\n"
NUMBER = r"\d[\d.e+]*"
RATIO = rf" +{NUMBER} x"


def lines_of_table(out, ratios):
    pattern = rf"(\w+) +(float\d\d) +(\(.*\)) +(\d) +{NUMBER} [num]?s{ratios} +({NUMBER}|-) +({NUMBER}|-)"
    table = out[out.index("function ") :].splitlines()[1:]
    matches = [re.fullmatch(pattern, line) for line in table]
    assert all(matches), out
    return [match.groups() for match in matches]


def test_everything_is_printed_without_scipy():
    code, out, err = python(WITHOUT_SCIPY + QUICKLY, [])
    assert (code, err) == (0, "")
    assert out.startswith(f"Versions:\n  smoothmax: {smoothmax.__version__}\n")
    assert "SciPy: not installed.\n" in out
    table = lines_of_table(out, RATIO + " +-")
    cases = [(dtype, str(shape), str(axis)) for dtype in _compare.TYPES for shape, axis in _compare.CASES]
    assert [line[:4] for line in table] == [(name, *case) for case in cases for name in _compare.OURS]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_it_ends_quietly_when_its_reader_goes_away():
    """As head does. The interpreter flushes stdout once more at exit: that must not fail either."""
    gone, pipe = os.pipe()
    os.close(gone)
    with os.fdopen(pipe, "w") as output:
        command = [sys.executable, "-m", "smoothmax"]
        run = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (1, "")


def test_scipy_is_compared_if_it_is_installed(capsys, monkeypatch):
    scipy = pytest.importorskip("scipy")
    monkeypatch.setattr(_compare, "CASES", [((10,), 0), ((50, 3), 1)])
    monkeypatch.setattr(_compare, "SECONDS", 0.001)
    assert main([]) == 0
    out = capsys.readouterr().out
    assert f"SciPy: {scipy.__version__}.\n" in out
    assert len(lines_of_table(out, RATIO + RATIO)) == 12


def test_errors_of_float64_are_left_out_if_no_type_is_wider(capsys, monkeypatch):
    monkeypatch.setattr(_compare, "CASES", [((10,), 0)])
    monkeypatch.setattr(_compare, "SECONDS", 0)
    monkeypatch.setattr(_compare, "WIDE", np.float64)
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "NumPy has nothing wider than float64 here, so errors of float64 are not measured.\n" in out
    table = lines_of_table(out, RATIO + "(?: +-|" + RATIO + ")")
    assert [[error == "-" for error in line[4:]] for line in table] == [[True, True]] * 3 + [[False, False]] * 3


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_errors_are_those_that_mpmath_finds(name, dtype):
    """The results are changed by up to 50 units, so that a measure that finds no errors fails."""
    if np.finfo(_compare.WIDE).nmant <= np.finfo(dtype).nmant:
        pytest.skip("no wider type to measure with")
    x = np.random.default_rng(3).normal(scale=5, size=(40, 3)).astype(dtype)
    result = _compare.OURS[name](x, axis=1)
    off = np.random.default_rng(4).integers(-50, 51, result.shape)
    result = result + off.astype(dtype) * np.spacing(result)
    measured = _compare.largest_error(result, *_compare.reference(x, 1)[name])
    worst = 0.0
    with mpmath.workprec(300):
        for row, ours in zip(x, result, strict=True):
            exps = [mpmath.exp(mpmath.mpf(float(value))) for value in row]
            total, m = mpmath.log(mpmath.fsum(exps)), float(row.max())
            if name == "logsumexp":
                exact = [total]
                scales = [max(abs(total), abs(m), abs(total - m))]
            else:
                exact = [mpmath.log(e) - total if name == "log_softmax" else e / mpmath.fsum(exps) for e in exps]
                scales = exact
            for value, truth, scale in zip(np.atleast_1d(ours), exact, scales, strict=True):
                unit = mpmath.mpf(float(np.spacing(np.dtype(dtype).type(abs(float(scale))))))
                worst = max(worst, float(abs(mpmath.mpf(float(value)) - truth) / unit))
    assert 45 < worst < 55
    assert measured == pytest.approx(worst, abs=0.05)


def test_the_error_of_a_sum_that_cancels_is_counted_in_units_of_its_parts():
    total, scale = _compare.reference(np.full((1, 3), -np.log(3)), 1)["logsumexp"]
    assert abs(total[0]) < 1e-15
    assert float(scale[0]) == pytest.approx(np.log(3), rel=1e-15)


def test_the_contenders_compute_the_same():
    _, scipy = _compare.import_scipy()
    for name, function in _compare.OURS.items():
        expected = _compare.reference(X, 1)[name][0].astype(np.float64)
        for contender in (function, _compare.TEXTBOOK[name], *([scipy[name]] if scipy else [])):
            np.testing.assert_allclose(contender(X, axis=1), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.14e-7, "314 ns"), (9.996e-7, "1 us"), (1.234e-3, "1.23 ms"), (2.5, "2.5 s")],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    assert _compare.duration(seconds) == text


def test_the_fastest_round_counts(monkeypatch):
    """The clock is advanced by the functions alone: by 5 and 1 seconds in the first round, by 3 and 2 in the second."""
    clock = SimpleNamespace(now=0.0, took={"a": [], "b": []})

    def taking(name, *seconds):
        left = list(seconds)

        def function(_, axis):
            clock.took[name].append(axis)
            clock.now += left.pop(0)

        return function

    monkeypatch.setattr(_compare.timeit, "default_timer", lambda: clock.now)
    monkeypatch.setattr(_compare, "ROUNDS", 2)
    monkeypatch.setattr(_compare, "SECONDS", 0)
    monkeypatch.setattr(_compare.timeit, "Timer", timer_of(clock))
    assert _compare.best_times([taking("a", 9, 9, 5, 3), taking("b", 9, 9, 1, 2)], X, 1) == [3, 1]


def timer_of(clock):
    class Timer:
        def __init__(self, statement, globals):  # noqa: A002
            assert statement == "f(x, axis=axis)"
            self.given = globals

        def timeit(self, number):
            start = clock.now
            for _ in range(number):
                self.given["f"](self.given["x"], axis=self.given["axis"])
            return clock.now - start

    return Timer
