"""How long programs of other projects take when smoothmax replaces scipy.special's functions.

    python -m bench.drop_in               print the table, of one thread
    python -m bench.drop_in --threads 2
    python -m bench.drop_in --write       and put it into docs/benchmarks.md

Every measurement runs in a process of its own. Processes before and after take turns, and the best time of each counts.
"Before" is the program as it is. scikit-learn has its own copies of logsumexp and softmax, for arrays of other
libraries. These are replaced, too. The default is one thread, because OpenBLAS does the other work of these programs,
and its threads wait for each other on a busy machine. The script needs scikit-learn and hmmlearn: pip install
".[test]".
"""

import argparse
import functools
import importlib.metadata
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.contenders import load, use_cores
from bench.pages import PAGE, put, table
from bench.yardsticks import processor

ROUNDS = 5
REPEATS = 3  # of a step, in a process
Replaced = tuple[Any, str, Callable[..., Any]]


# What is replaced -----------------------------------------------------------------------------------------------------


def own_functions() -> list[Replaced]:
    """Triples of a module, a name in it and the replacement."""
    import scipy.special
    from sklearn.utils import _array_api, extmath

    import smoothmax

    def logsumexp(array: Any, axis: Any = None, xp: Any = None) -> Any:  # noqa: ARG001
        return smoothmax.logsumexp(array, axis=axis)

    def softmax(X: Any, copy: bool = True) -> Any:
        return smoothmax.softmax(X, axis=1, out=None if copy else X)

    return [
        *((scipy.special, name, getattr(smoothmax, name)) for name in ("logsumexp", "softmax", "log_softmax")),
        (_array_api, "_logsumexp", logsumexp),
        (extmath, "softmax", softmax),
    ]


class Clock:
    """Measures a step, and the time in it that is spent in the functions that the clock wraps."""

    def __init__(self) -> None:
        self.inside = 0.0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.inside += time.perf_counter() - start

        return timed

    def best(self, step: Callable[[], Any]) -> list[float]:
        """The seconds of a step, and the seconds inside of the wrapped functions: the best of several times."""
        times = []
        for _ in range(REPEATS):
            self.inside = 0.0
            start = time.perf_counter()
            step()
            times.append([time.perf_counter() - start, self.inside])
        return min(times)


# The programs: functions of a random generator to steps ---------------------------------------------------------------


def gaussian_mixture(rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    from sklearn.mixture import GaussianMixture

    x = rng.normal(size=(100_000, 4)) + 4 * rng.integers(0, 8, (100_000, 1))
    model = GaussianMixture(16, covariance_type="diag", max_iter=10, tol=0, init_params="random", random_state=0)
    model.fit(x)
    return {"fit": lambda: model.fit(x), "predict_proba": lambda: model.predict_proba(x)}


def gaussian_nb(rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    from sklearn.naive_bayes import GaussianNB

    x, y = rng.normal(size=(100_000, 8)), rng.integers(0, 10, 100_000)
    model = GaussianNB().fit(x, y)
    return {"fit": lambda: model.fit(x, y), "predict_proba": lambda: model.predict_proba(x)}


def multinomial_nb(rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    from sklearn.naive_bayes import MultinomialNB

    x, y = rng.integers(0, 5, (50_000, 64)).astype(float), rng.integers(0, 20, 50_000)
    model = MultinomialNB().fit(x, y)
    return {"fit": lambda: model.fit(x, y), "predict_proba": lambda: model.predict_proba(x)}


def logistic_regression(rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    from sklearn.linear_model import LogisticRegression

    x, y = rng.normal(size=(100_000, 16)), rng.integers(0, 20, 100_000)
    model = LogisticRegression(max_iter=10).fit(x, y)
    return {
        "fit": lambda: model.fit(x, y),
        "predict_proba": lambda: model.predict_proba(x),
        "predict_log_proba": lambda: model.predict_log_proba(x),
    }


def latent_dirichlet_allocation(rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    from sklearn.decomposition import LatentDirichletAllocation

    x = rng.poisson(0.3, (2000, 200))
    model = LatentDirichletAllocation(20, max_iter=3, random_state=0).fit(x)
    return {"fit": lambda: model.fit(x), "perplexity": lambda: model.perplexity(x)}


def gaussian_hmm(rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    from hmmlearn.hmm import GaussianHMM

    x = rng.normal(size=(20_000, 2)) + 3 * rng.integers(0, 4, (20_000, 1))
    model = GaussianHMM(4, n_iter=5, tol=0, random_state=0, implementation="log").fit(x)
    return {"fit": lambda: model.fit(x), "predict_proba": lambda: model.predict_proba(x)}


def mixture_hmm(rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    from hmmlearn.hmm import GMMHMM

    x = rng.normal(size=(4_000, 2)) + 3 * rng.integers(0, 4, (4_000, 1))
    model = GMMHMM(4, n_mix=8, n_iter=5, tol=0, random_state=0).fit(x)
    return {"fit": lambda: model.fit(x), "predict_proba": lambda: model.predict_proba(x)}


PROGRAMS: dict[str, Callable[[np.random.Generator], dict[str, Callable[[], Any]]]] = {
    "GaussianMixture, 100,000 x 16": gaussian_mixture,
    "GaussianNB, 100,000 x 10": gaussian_nb,
    "MultinomialNB, 50,000 x 20": multinomial_nb,
    "LogisticRegression, 100,000 x 20": logistic_regression,
    "LatentDirichletAllocation, 2000 x 20": latent_dirichlet_allocation,
    "hmmlearn GaussianHMM, 20,000 x 4": gaussian_hmm,
    "hmmlearn GMMHMM, 4000 x 4 x 8": mixture_hmm,
}


# Measuring ------------------------------------------------------------------------------------------------------------


def part(program: str, replace: bool) -> dict[str, list[float]]:
    """The seconds of each step of a program and of the functions in it, measured in this process."""
    warnings.simplefilter("ignore")
    clock = Clock()
    # They are replaced before any module imports the functions by name.
    for module, name, own in own_functions():
        setattr(module, name, clock.wrap(own if replace else getattr(module, name)))
    return {name: clock.best(step) for name, step in PROGRAMS[program](np.random.default_rng(0)).items()}


def in_process(program: str, replace: bool, threads: int) -> Any:
    command = [sys.executable, "-m", "bench.drop_in", "--threads", str(threads), "--part", program]
    command += ["--replace"] if replace else []
    answer = subprocess.run(command, cwd=PAGE.parent.parent, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


@dataclass
class Step:
    """The best seconds of a step and of the functions in it, before and after."""

    program: str
    name: str
    before: list[float]
    after: list[float]

    def row(self) -> list[str]:
        """A line of the table."""
        cells = [self.program, self.name]
        for before, after in zip(self.before, self.after, strict=True):
            times = [f"{1e3 * seconds:.{3 if seconds < 0.1 else 4}g} ms" for seconds in (before, after)]
            cells += [*times, f"{before / after:.2g}x"] if before and after else ["-", "-", "-"]
        return cells


def measure(program: str, rounds: int, threads: int) -> list[Step]:
    """The times of all steps of a program."""
    best: list[dict[str, list[float]]] = [{}, {}]
    for _ in range(rounds):
        for replace in (False, True):
            for name, seconds in in_process(program, replace, threads).items():
                old = best[replace].get(name, seconds)
                best[replace][name] = [min(pair) for pair in zip(old, seconds, strict=True)]
    return [Step(program, name, best[0][name], best[1][name]) for name in best[0]]


def lines(threads: int, rounds: int) -> list[str]:
    """The table, below the conditions that it depends on."""
    rows = []
    for program in PROGRAMS:
        for step in measure(program, rounds, threads):
            rows.append(step.row())
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("scikit-learn", "hmmlearn", "scipy"))
    number = "one thread" if threads == 1 else f"{threads} threads"
    variant = load("smoothmax._kernels.dispatch").variant
    return [
        f"{processor()}, {number}, kernels {variant}, {versions}; best of {rounds} processes.",
        "",
        *table(["", "step", "before", "after", "", "in the functions before", "after", ""], rows),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time programs of other projects with smoothmax in them.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--part", choices=PROGRAMS, help=argparse.SUPPRESS)
    parser.add_argument("--replace", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    use_cores(arguments.threads)
    if arguments.part:
        print(json.dumps(part(arguments.part, arguments.replace)))
        return
    found = lines(arguments.threads, arguments.rounds)
    print("\n".join(found))
    if arguments.write:
        put(PAGE, "drop-in", found)


if __name__ == "__main__":
    main()
