"""The chains of the gallery: a hidden Markov model and a conditional random field, compared with other implementations.

The functions are extracted from the text of the programs in docs/gallery.
"""

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest

import smoothmax

GALLERY = Path(__file__).parents[1] / "docs/gallery"
EPS = np.finfo(float).eps


def functions_of(program):
    """The functions that a program of the gallery defines, with the names that they use."""
    tree = ast.parse((GALLERY / program).read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = {"np": np, "smoothmax": smoothmax}
    exec(compile(tree, program, "exec"), names)
    return names


def test_a_hidden_markov_model_is_that_of_hmmlearn():
    hmm = pytest.importorskip("hmmlearn.hmm")
    functions = functions_of("plot_hidden_markov.py")
    states, symbols, length = 64, 20, 1000
    rng = np.random.default_rng(20261129)
    model = hmm.CategoricalHMM(states, implementation="log")
    model.startprob_ = rng.dirichlet(np.ones(states))
    model.transmat_ = rng.dirichlet(np.full(states, 0.2), states)
    model.emissionprob_ = rng.dirichlet(np.full(symbols, 0.2), states)
    model.n_features = symbols
    seen = rng.integers(symbols, size=(length, 1))
    expected, posterior = model.score_samples(seen)
    with np.errstate(divide="ignore"):
        start, transitions = np.log(model.startprob_), np.log(model.transmat_)
        likelihoods = np.log(model.emissionprob_).T[seen[:, 0]]
    forward = functions["forward_of"](start, transitions, likelihoods)
    backward = functions["backward_of"](transitions, likelihoods)
    # A step of either adds a few units of the size of the log-probability.
    error = 4 * length * EPS * abs(expected)
    assert abs(smoothmax.logsumexp(forward[-1]) - expected) <= error
    assert abs(smoothmax.logsumexp(forward[0] + backward[0]) - expected) <= error
    np.testing.assert_allclose(smoothmax.softmax(forward + backward, axis=1), posterior, rtol=0, atol=2 * error)
    assert posterior.max() > 0.5


def test_a_partition_function_is_the_sum_over_all_sequences():
    functions = functions_of("plot_crf.py")
    rng = np.random.default_rng(20261129)
    length, batch, labels = 5, 3, 4
    scores, pairs = 100 * rng.standard_normal((length, batch, labels)), 100 * rng.standard_normal((labels, labels))
    every = np.array(list(itertools.product(range(labels), repeat=length)))
    sums = sum(scores[t][:, every[:, t]] for t in range(length)) + sum(
        pairs[every[:, t], every[:, t + 1]] for t in range(length - 1)
    )
    log_z = functions["log_partition"](scores, pairs)
    np.testing.assert_allclose(log_z, smoothmax.logsumexp(sums, axis=1), rtol=20 * EPS)
    marginals = functions["log_marginals"](scores, pairs)
    for t, label in itertools.product(range(length), range(labels)):
        expected = smoothmax.logsumexp(sums[:, every[:, t] == label], axis=1) - log_z
        np.testing.assert_allclose(marginals[t, :, label], expected, rtol=1e-11, atol=1e-11)


def test_a_partition_function_of_a_batch():
    """Compared with the logsumexp of all terms, on a batch of the size of the example, with forbidden transitions."""
    functions = functions_of("plot_crf.py")
    rng = np.random.default_rng(20261129)
    scores, pairs = rng.standard_normal((30, 64, 40)), rng.standard_normal((40, 40))
    pairs[rng.random(pairs.shape) < 0.6] = -np.inf
    sums = scores[0]
    for score in scores[1:]:
        sums = smoothmax.logsumexp(sums[:, :, None] + pairs, axis=1) + score
    expected = smoothmax.logsumexp(sums, axis=-1)
    np.testing.assert_allclose(functions["log_partition"](scores, pairs), expected, rtol=40 * EPS)
