"""Draw accuracy.png: errors of smoothmax, SciPy and the textbook formula, measured with mpmath.

    python docs/figures/accuracy.py     needs smoothmax, SciPy, mpmath and matplotlib; half a minute

Left, softmax of (x, m, m - 1) at x as x falls below the maximum m. Right, log_softmax of (d, 0) at the maximum d, whose
value is -log1p(exp(-d)).
"""

import hashlib
from pathlib import Path

import mpmath
import numpy as np
import scipy
import scipy.special
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

import smoothmax

HERE = Path(__file__).resolve()
BINS, SAMPLES = 40, 60
# Colour, marker and size; a hollow ring, because SciPy's errors are often the textbook formula's.
STYLES = {
    "textbook": {"color": "#0072B2", "marker": "o", "markersize": 9, "fillstyle": "none"},
    "SciPy": {"color": "#E69F00", "marker": "s", "markersize": 4.5},
    "smoothmax": {"color": "#000000", "marker": "*", "markersize": 6},
}


def textbook_softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def textbook_log_softmax(x: np.ndarray) -> np.ndarray:
    d = x - x.max()
    return d - np.log(np.exp(d).sum())


CONTENDERS = {
    "textbook": (textbook_softmax, textbook_log_softmax),
    "SciPy": (scipy.special.softmax, scipy.special.log_softmax),
    "smoothmax": (smoothmax.softmax, smoothmax.log_softmax),
}


def ulps(got: float, exact: mpmath.mpf) -> float:
    """The error in units in the last place of the correctly rounded float64."""
    return float(abs(mpmath.mpf(got) - exact) / mpmath.mpf(float(np.spacing(abs(float(exact))))))


def softmax_errors(rng: np.random.Generator, distance: float) -> dict[str, float]:
    """The largest error at an element so far below the maximum."""
    worst = dict.fromkeys(CONTENDERS, 0.0)
    for _ in range(SAMPLES):
        m = rng.uniform(0.5, 1)
        x = np.array([m - distance * rng.uniform(0.9, 1.1), m, m - 1])
        terms = [mpmath.exp(mpmath.mpf(float(v))) for v in x]
        exact = terms[0] / mpmath.fsum(terms)
        for name, (softmax, _) in CONTENDERS.items():
            worst[name] = max(worst[name], ulps(float(softmax(x)[0]), exact))
    return worst


def log_softmax_errors(rng: np.random.Generator, distance: float) -> dict[str, float]:
    """The largest error at a maximum so far above the other element."""
    worst = dict.fromkeys(CONTENDERS, 0.0)
    for _ in range(SAMPLES):
        x = np.array([distance * rng.uniform(0.97, 1.03), 0.0])
        exact = -mpmath.log1p(mpmath.exp(-mpmath.mpf(float(x[0]))))
        for name, (_, log_softmax) in CONTENDERS.items():
            worst[name] = max(worst[name], ulps(float(log_softmax(x)[0]), exact))
    return worst


def draw(panel: Axes, distances: np.ndarray, errors: list[dict[str, float]]) -> None:
    for name, style in STYLES.items():
        panel.plot(distances, [error[name] for error in errors], linestyle="", label=name, **style)
    panel.axhline(2, color="#D55E00", linewidth=1.2, linestyle="--")
    panel.annotate(
        "promised: 2 ULP", (distances[-1], 2), (0, 4), textcoords="offset points", color="#D55E00", ha="right"
    )
    panel.set_yscale("log")
    panel.grid(color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_ylabel("largest error in ULP")


def main() -> None:
    mpmath.mp.prec = 200
    rng = np.random.default_rng(20240229)
    far = np.geomspace(0.5, 700, BINS)
    confident = np.linspace(0.5, 45, BINS)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw(left, far, [softmax_errors(rng, d) for d in far])
    draw(right, confident, [log_softmax_errors(rng, d) for d in confident])
    left.set_xscale("log")
    left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    left.set_title("softmax, float64", loc="left", fontweight="bold")
    left.set_xlabel("max - x")
    right.set_title("log_softmax at the maximum, float64", loc="left", fontweight="bold")
    right.set_xlabel("max - x of the other element")
    left.legend(loc="upper left", title=f"SciPy {scipy.__version__}, NumPy {np.__version__}")
    digest = hashlib.sha256(HERE.read_bytes()).hexdigest()
    figure.savefig(HERE.with_suffix(".png"), dpi=120, metadata={"Source": digest, "Software": None})


if __name__ == "__main__":
    main()
