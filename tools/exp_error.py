"""Measure the error of float32's exponentials in the kernels: of the two parts, and of the rounded one.

    python tools/exp_error.py       ten million arguments in each of five ranges; a minute

The script repeats the operations of exp in the kernels, with the coefficients of coefficients.pxi. fma is emulated in
float64, in which the product of two float32 is exact. The reference is exp in longdouble.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KERNELS = Path(__file__).parents[1] / "src" / "smoothmax" / "_kernels"
RANGES = [(-104.0, 0.0), (-1.0, 0.0), (-0.4, 0.4), (0.0, 100.0), (100.0, 220.0)]
# What the shift leaves exp to compute; times 1.5*2**23 + bias + OFFSET, as round_bias is where N is 0.
ROUND_BIAS = np.float32(12582912 + 127 + 64)
Floats = NDArray[np.float32]


def constants() -> tuple[np.float32, np.float32, list[np.float32]]:
    """ln2_high, ln2_low and the polynomial, highest power first, of float32."""
    (path,) = KERNELS.rglob("coefficients.pxi")
    text = path.read_text(encoding="utf-8")
    high, low = (re.search(rf"ln2_{part}\(.*?<float>(\S+)", text, re.S) for part in ("high", "low"))
    polynomial = re.search(r"exp_tail\(.*?if real is float:(.*?)else:", text, re.S)
    assert high
    assert low
    assert polynomial
    return (
        np.float32(high.group(1)),
        np.float32(low.group(1)),
        [np.float32(number) for number in re.findall(r"<float>([\d.e-]+)", polynomial.group(1))],
    )


def fma(a: Floats, b: Floats | np.float32, c: Floats | np.float32) -> Floats:
    return (a.astype(np.float64) * np.float64(b) + np.float64(c)).astype(np.float32)


def errors(d: Floats) -> tuple[float, float, float]:
    """The largest errors: of two parts, relative; of the rounded exponential, in ULP and relative."""
    ln2_high, ln2_low, polynomial = constants()
    one = np.float32(1)
    n = fma(d, np.float32(1.4426950408889634), ROUND_BIAS) - ROUND_BIAS
    exact = fma(-n, ln2_high, d)
    r = fma(-n, ln2_low, exact)
    q = np.full_like(r, polynomial[0])
    for coefficient in polynomial[1:]:
        q = fma(q, r, coefficient)
    head = one + exact
    tail = fma(r * r, q, fma(-n, ln2_low, (one - head) + exact))
    rounded = fma(r, fma(r, q, one), one)
    right = np.exp(d.astype(np.longdouble) - n.astype(np.longdouble) * np.log(np.longdouble(2)))
    two_parts = np.abs((head.astype(np.longdouble) + tail.astype(np.longdouble)) / right - 1)
    off = np.abs(rounded.astype(np.longdouble) - right)
    ulp = np.spacing(right.astype(np.float32)).astype(np.longdouble)
    return float(two_parts.max()), float((off / ulp).max()), float((off / right).max())


def main() -> None:
    rng = np.random.default_rng(0)
    for low, high in RANGES:
        worst = np.max([errors(rng.uniform(low, high, 2_000_000).astype(np.float32)) for _ in range(5)], axis=0)
        print(
            f"exp of {low:g} to {high:g}: two parts 2**{np.log2(worst[0]):.2f}, {worst[0] * 2**24:.2f} u; "
            f"rounded {worst[1]:.3f} ULP, {worst[2] * 2**24:.2f} u"
        )


if __name__ == "__main__":
    main()
