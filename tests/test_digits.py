"""Real input through the command: the scores of a classifier of handwritten digits give its probabilities."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

EPS = np.finfo(np.float64).eps


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The model, its input, the file of its scores, and the distance of each score from the largest of its row."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    model = LogisticRegression(max_iter=1000).fit(images, labels)
    scores = model.decision_function(images)
    assert scores.shape == (1797, 10)
    assert model.score(images, labels) > 0.98  # the model has learnt something, so its scores are far apart
    path = tmp_path_factory.mktemp("digits") / "logits.npy"
    np.save(path, scores)
    return model, images, path, scores.max(axis=1, keepdims=True) - scores


def through_the_command(name, path):
    output = path.with_name(f"{name}.npy")
    command = [sys.executable, "-m", "smoothmax", name, path.name, "-o", output.name, "--axis", "1", "--force"]
    run = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    return np.load(output)


def bound(distance):
    """The largest relative distance between scikit-learn's probabilities and smoothmax's.

    scikit-learn rounds x - max to half a unit, which exp turns into a relative error of abs(x - max)*EPS/2. The sum in
    the denominator has the mean of these errors, weighted with the probabilities. Its exp, at most 9 additions and the
    division add 1 + 4.5 + 0.5 EPS. smoothmax is within 2 units in the last place of the exact probability.
    """
    probabilities = np.exp(-distance) / np.exp(-distance).sum(axis=1, keepdims=True)
    return EPS * (distance / 2 + (probabilities * distance / 2).sum(axis=1, keepdims=True) + 8)


def test_probabilities_are_those_of_scikit_learn(digits):
    model, images, path, distance = digits
    expected = model.predict_proba(images)
    probabilities = through_the_command("softmax", path)
    assert probabilities.dtype == np.float64
    assert probabilities.shape == expected.shape
    assert np.all(np.abs(probabilities - expected) <= bound(distance) * expected)
    # Each of ten terms is within 2 units in the last place, and 9 additions round.
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=7 * EPS)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(images))
    assert distance.max() > 15  # some probabilities are tiny


def test_log_probabilities_are_those_of_scikit_learn(digits):
    model, images, path, distance = digits
    expected = model.predict_log_proba(images)
    assert np.all(np.isfinite(expected))
    logarithms = through_the_command("log_softmax", path)
    assert logarithms.dtype == np.float64
    # predict_log_proba is log(predict_proba), so the relative error of a probability becomes an absolute error of its
    # logarithm. NumPy's log rounds once more, and smoothmax is within 2 units of the exact logarithm.
    assert np.all(np.abs(logarithms - expected) <= bound(distance) + 3 * EPS * np.abs(expected))


def test_log_softmax_is_the_logarithm_of_softmax(digits):
    *_, path, _ = digits
    probabilities, logarithms = through_the_command("softmax", path), through_the_command("log_softmax", path)
    # Both are within 2 units in the last place. exp multiplies the relative error of its argument by the argument, and
    # rounds once more.
    assert np.all(np.abs(np.exp(logarithms) - probabilities) <= EPS * (3 + 2 * np.abs(logarithms)) * probabilities)
