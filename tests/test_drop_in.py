"""Programs of other projects give the same results, to rounding, with these functions instead of scipy.special's.

The tests also check that the programs call the functions. bench/drop_in.py times such programs.
"""

import subprocess
import sys

import numpy as np
import pytest

# The patch runs before any module is imported that imports the functions by name. scikit-learn has its own copies of
# logsumexp and softmax, for arrays of other libraries than NumPy. The patch replaces them too.
PATCH = """
import scipy.special, smoothmax
called = set()
def noted(name):
    def call(*args, **kwargs):
        called.add(name)
        return getattr(smoothmax, name)(*args, **kwargs)
    return call
for name in ("logsumexp", "softmax", "log_softmax"):
    setattr(scipy.special, name, noted(name))
from sklearn.utils import _array_api, extmath
_array_api._logsumexp = lambda array, axis=None, xp=None: scipy.special.logsumexp(array, axis=axis)
extmath.softmax = lambda X, copy=True: scipy.special.softmax(X, axis=1, out=None if copy else X)
"""

GAUSSIAN_MIXTURE = """
from sklearn.mixture import GaussianMixture, BayesianGaussianMixture
x = np.concatenate([rng.normal(-4, 1, (200, 3)), rng.normal(0, 1, (200, 3)), rng.normal(5, 2, (200, 3))])
for kind in ("full", "diag"):
    model = GaussianMixture(3, covariance_type=kind, random_state=0).fit(x)
    results += [model.means_, model.predict_proba(x), model.score_samples(x), np.array(model.lower_bound_)]
results.append(BayesianGaussianMixture(n_components=3, random_state=0, max_iter=200).fit(x).score_samples(x))
"""

NAIVE_BAYES = """
from sklearn import naive_bayes
x, y = rng.integers(0, 5, (300, 8)).astype(float), rng.integers(0, 4, 300)
for name in ("GaussianNB", "MultinomialNB", "BernoulliNB", "ComplementNB", "CategoricalNB"):
    model = getattr(naive_bayes, name)().fit(x, y)
    results += [model.predict_proba(x), model.predict_log_proba(x)]
"""

LOGISTIC_REGRESSION = """
from sklearn.linear_model import LogisticRegression
x = rng.normal(size=(300, 5))
y = np.argmax(x[:, :3] + rng.normal(size=(300, 3)), axis=1)
for solver in ("lbfgs", "newton-cg"):
    model = LogisticRegression(solver=solver, max_iter=500, tol=1e-8).fit(x, y)
    results += [model.coef_, model.predict_proba(x), model.predict_log_proba(x)]
from sklearn.neural_network import MLPClassifier
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    results.append(MLPClassifier((8,), max_iter=20, random_state=0).fit(x, y).predict_proba(x))
"""

HMM = """
import warnings
warnings.simplefilter("ignore")
from hmmlearn import hmm
x = np.concatenate([rng.normal(-3, 1, (200, 2)), rng.normal(3, 1, (200, 2))])
for implementation in ("log", "scaling"):
    model = hmm.GaussianHMM(2, random_state=0, n_iter=10, implementation=implementation).fit(x)
    results += [model.means_, model.predict_proba(x), np.array(model.score(x))]
model = hmm.GMMHMM(2, n_mix=2, random_state=0, n_iter=5).fit(x)
results += [model.predict_proba(x), np.array(model.score(x))]
"""


def run(program, patch, path):
    start = "import numpy as np\nrng = np.random.default_rng(0)\nresults, called = [], set()\n"
    end = f"\nnp.savez({str(path)!r}, *results, called=sorted(called))\n"
    done = subprocess.run(
        [sys.executable, "-c", start + patch + program + end],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return np.load(path)


@pytest.mark.parametrize(
    ("program", "package", "called"),
    [
        (GAUSSIAN_MIXTURE, "sklearn", ["logsumexp"]),
        (NAIVE_BAYES, "sklearn", ["logsumexp"]),
        (LOGISTIC_REGRESSION, "sklearn", ["softmax"]),
        (HMM, "hmmlearn", ["logsumexp"]),
    ],
    ids=["gaussian mixture", "naive Bayes", "logistic regression", "hidden Markov model"],
)
def test_programs_give_the_same_results_with_smoothmax(program, package, called, tmp_path):
    pytest.importorskip(package)  # hmmlearn has no wheels for the newest Pythons
    theirs, ours = run(program, "", tmp_path / "theirs.npz"), run(program, PATCH, tmp_path / "ours.npz")
    assert ours["called"].tolist() == called
    assert len(ours.files) == len(theirs.files) > 2
    for name in set(ours.files) - {"called"}:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-11)
