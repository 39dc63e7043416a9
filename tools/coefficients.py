"""Compute the polynomials of the kernels and write them to src/smoothmax/_kernels/math/coefficients.pxi.

Each is the minimax polynomial of a stated function on a stated interval, found in arithmetic of 60 digits. Each
coefficient is rounded to the type that evaluates it, and the higher coefficients are fitted again to make up for the
rounding. The error beside each polynomial is that of the rounded coefficients.

    python tools/coefficients.py           write the file
    python tools/coefficients.py --check   exit with 1 if the file is not what this script writes

References
----------
.. [1] C. L. Lawson, "Contributions to the theory of linear least maximum approximation",
   dissertation, University of California, Los Angeles, 1961.
"""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Callable

import mpmath
from mpmath import mp, mpf

TARGET = pathlib.Path(__file__).parents[1] / "src/smoothmax/_kernels/math/coefficients.pxi"
Function = Callable[[mpf], mpf]

mp.dps = 60


@dataclasses.dataclass(frozen=True)
class Problem:
    """What to approximate: minimise the maximum of ``abs(weight * (target - polynomial))``."""

    name: str
    meaning: str
    target: Function
    weight: Function
    low: mpf
    high: mpf
    degree: int
    bits: int

    @property
    def type(self) -> str:
        """The C type with this many bits."""
        return {24: "float", 53: "double"}[self.bits]


def rounded(value: mpf, bits: int) -> mpf:
    """The nearest number of `bits` significant bits."""
    with mp.workprec(bits):
        return +value


def chebyshev_grid(problem: Problem, count: int) -> list[mpf]:
    """Points of the interval, denser at its ends; an even count leaves out the middle, where weights vanish."""
    middle, radius = (problem.low + problem.high) / 2, (problem.high - problem.low) / 2
    return [middle - radius * mpmath.cos(mp.pi * i / (count - 1)) for i in range(count)]


def weighted_errors(problem: Problem, coefficients: list[mpf], points: list[mpf]) -> list[mpf]:
    return [problem.weight(x) * (problem.target(x) - mpmath.polyval(coefficients[::-1], x)) for x in points]


def minimax(problem: Problem, settled: list[mpf], rounds: int = 40) -> list[mpf]:
    """The coefficients after `settled` ones that minimise the largest weighted error.

    Least squares, in which the weight of each point is multiplied by its error in every round [1]_. The exchange
    algorithm of Remez fails once a rounded constant is settled, because the rest then has a pole at 0.
    """
    points = chebyshev_grid(problem, 12 * (problem.degree + 1))
    columns = [[problem.weight(x) * x**k for x in points] for k in range(len(settled), problem.degree + 1)]
    rows = list(zip(*columns, strict=True))
    order = range(len(columns))
    wanted = weighted_errors(problem, settled or [mpf(0)], points)
    importance = [mpf(1) / len(points)] * len(points)
    best, best_error = [], mp.inf
    for _ in range(rounds):
        scaled = [[a * w for a, w in zip(column, importance, strict=True)] for column in columns]
        half = [[mpmath.fdot(scaled[i], columns[j]) for j in range(i + 1)] for i in order]
        normal = mpmath.matrix([[half[max(i, j)][min(i, j)] for j in order] for i in order])
        free = list(mpmath.lu_solve(normal, mpmath.matrix([mpmath.fdot(s, wanted) for s in scaled])))
        errors = [abs(e - mpmath.fdot(free, row)) for e, row in zip(wanted, rows, strict=True)]
        if max(errors) < best_error:
            best, best_error = free, max(errors)
        importance = [w * e for w, e in zip(importance, errors, strict=True)]
        total = mpmath.fsum(importance)
        importance = [w / total for w in importance]
    return best


def fit(problem: Problem) -> tuple[list[mpf], mpf]:
    """Coefficients rounded to the type of `problem`, and the largest weighted error they leave."""
    settled: list[mpf] = []
    while len(settled) <= problem.degree:
        settled.append(rounded(minimax(problem, settled)[0], problem.bits))
    error = max(abs(e) for e in weighted_errors(problem, settled, chebyshev_grid(problem, 1000)))
    return settled, error


def series(term: Callable[[int], mpf]) -> mpf:
    """The sum of `term` from 0 on, to working precision; the arguments here converge fast."""
    total, k = mpf(0), 0
    while True:
        value = term(k)
        total += value
        k += 1
        if abs(value) < mpf(10) ** -(mp.dps + 2):
            return total


def exp_tail(r: mpf) -> mpf:
    """(exp(r) - 1 - r) / r**2, by its series: the closed form cancels at 0."""
    return series(lambda k: r**k / mpmath.factorial(k + 2))


def exp_slope(r: mpf) -> mpf:
    """(exp(r) - 1) / r."""
    return series(lambda k: r**k / mpmath.factorial(k + 1))


def atanh_tail(z: mpf) -> mpf:
    """(2 atanh(s) / s - 2) / s**2 at z = s**2."""
    return series(lambda k: 2 * z**k / (2 * k + 3))


def problems() -> list[Problem]:
    half = mpmath.log(2) / 2 * mpf("1.0002")  # a float32 reduction may overshoot by 1e-4
    square = (3 - 2 * mpmath.sqrt(mpf(2))) ** 2 * mpf("1.0001")
    wide_square = mpf("1.0001") / 9
    exp = "exp(r) = 1 + r + r*r*exp_tail(r) for abs(r) <= log(2)/2; relative error of exp"
    few = "exp(r) = 1 + r*polynomial(r) with fewer digits, all coefficients times a factor; relative error of exp"
    log = "2 atanh(s) = 2 s + s*z*atanh_tail(z), z = s*s <= (3 - 2 sqrt(2))**2; relative error of atanh"
    wide = "atanh_tail for s <= 1/3, the logarithm of numbers in [1, 2]"
    short = "atanh_tail for doubles that are rounded to float in the end"
    coarse = "atanh_tail for logarithms that may be off by a few units of 2**-53 (2**-24)"
    return [
        Problem("exp_tail", exp, exp_tail, lambda r: r * r / mpmath.exp(r), -half, half, 4, 24),
        Problem("exp_tail", exp, exp_tail, lambda r: r * r / mpmath.exp(r), -half, half, 9, 53),
        Problem("half_exp_coefficients", few, exp_slope, lambda r: r / mpmath.exp(r), -half, half, 3, 24),
        Problem("atanh_tail", log, atanh_tail, lambda z: z / 2, mpf(0), square, 3, 24),
        Problem("atanh_tail", log, atanh_tail, lambda z: z / 2, mpf(0), square, 7, 53),
        Problem("wide_atanh_tail", wide, atanh_tail, lambda z: z / 2, mpf(0), wide_square, 3, 24),
        Problem("wide_atanh_tail", wide, atanh_tail, lambda z: z / 2, mpf(0), wide_square, 9, 53),
        Problem("short_atanh_tail", short, atanh_tail, lambda z: z / 2, mpf(0), square, 3, 53),
        Problem("coarse_atanh_tail", coarse, atanh_tail, lambda z: z / 2, mpf(0), square, 1, 24),
        Problem("coarse_atanh_tail", coarse, atanh_tail, lambda z: z / 2, mpf(0), square, 5, 53),
    ]


def literal(value: mpf, kind: str) -> str:
    return ("<float>" if kind == "float" else "") + repr(float(value))


def horner(coefficients: list[mpf], kind: str) -> list[str]:
    """The polynomial in x by Horner's rule, a line of Cython for each coefficient."""
    highest, *others = [literal(c, kind) for c in reversed(coefficients)]
    return [f"y = {highest}", *(f"y = y*x + {term}" for term in others), "return y"]


def scaled(name: str, meaning: str, note: str, coefficients: list[mpf], kind: str) -> list[str]:
    """A function that stores 1 and the coefficients after it, lowest power first, each times a factor."""
    lines = [f"# {meaning}", f"cdef inline void {name}({kind} factor, {kind} *c) noexcept nogil:", f"    {note}"]
    lines.append("    c[0] = factor")
    lines += [f"    c[{k}] = factor*{literal(c, kind)}" for k, c in enumerate(coefficients, 1)]
    return [*lines, "", ""]


def typed(name: str, meaning: list[str], bodies: list[tuple[str, list[str]]]) -> list[str]:
    """A function of x with one body for each type, or for its only type."""
    lines = [f"# {line}" for line in meaning]
    kind = bodies[0][0] if len(bodies) == 1 else "real"
    lines.append(f"cdef inline {kind} {name}({kind} x) noexcept nogil:")
    if any("y = " in line for _, body in bodies for line in body):
        lines.append(f"    cdef {kind} y")
    if len(bodies) == 1:
        return [*lines, *(f"    {line}" for line in bodies[0][1]), "", ""]
    for word, (branch, body) in zip(("if", "else"), bodies, strict=True):
        lines.append(f"    if real is {branch}:" if word == "if" else "    else:")
        lines += [f"        {line}" for line in body]
    return [*lines, "", ""]


def render() -> str:
    lines = [
        "# Written by tools/coefficients.py. Change that file, not this one.",
        "",
    ]
    parts = (("high", "log(2) with so few bits that n*ln2_high is exact"), ("low", "what ln2_high lacks of log(2)"))
    for part, meaning in parts:
        bodies = []
        for kind, bits, high_bits in (("float", 24, 14), ("double", 53, 39)):
            high = rounded(mpmath.log(2), high_bits)
            value = high if part == "high" else rounded(mpmath.log(2) - high, bits)
            bodies.append((kind, [f"return {literal(value, kind)}"]))
        lines += typed(f"ln2_{part}", [f"{meaning}, in the type of x"], bodies)
    by_name: dict[str, tuple[str, list[tuple[str, list[str]]]]] = {}
    stored: list[str] = []
    for problem in problems():
        coefficients, error = fit(problem)
        note = f"# error {mpmath.nstr(error, 3)} = 2**{mpmath.nstr(mpmath.log(error, 2), 4)}"
        if problem.name.endswith("_coefficients"):
            stored += scaled(problem.name, problem.meaning, note, coefficients, problem.type)
            continue
        body = [note, *horner(coefficients, problem.type)]
        by_name.setdefault(problem.name, (problem.meaning, []))[1].append((problem.type, body))
    for name, (meaning, bodies) in by_name.items():
        lines += typed(name, [meaning], bodies)
    lines += stored
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    text = render()
    if parser.parse_args().check:
        same = TARGET.read_text() == text
        print(f"{TARGET.name} is {'current' if same else 'NOT what this script writes'}")
        return 0 if same else 1
    TARGET.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
