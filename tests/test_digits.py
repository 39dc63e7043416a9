"""Real input through the command: a classifier's scores of handwritten digits, held against its probabilities."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

EPS = np.finfo(np.float64).eps


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The model, its input, the file of its scores, and for each score how far below its row's largest it is."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    model = LogisticRegression(max_iter=1000).fit(images, labels)
    scores = model.decision_function(images)
    assert scores.shape == (1797, 10)
    assert model.score(images, labels) > 0.98  # it has learnt something, so the scores are spread
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
    """How far, relatively, scikit-learn's probabilities and ours may be apart.

    scikit-learn rounds x - max, half a unit of the difference, and exp makes abs(x - max)*EPS/2 of it; the sum in the
    denominator weighs the same errors with the probabilities. Its exp, at most 9 additions and the division round to
    1 + 4.5 + 0.5 EPS more, and ours is within 2 units in the last place of the truth.
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
    # Ten addends and their sum: each within 2 units in the last place, and the rounding of 9 additions.
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=7 * EPS)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(images))
    assert distance.max() > 15  # tiny probabilities are among them


def test_log_probabilities_are_those_of_scikit_learn(digits):
    model, images, path, distance = digits
    expected = model.predict_log_proba(images)
    assert np.all(np.isfinite(expected))
    logarithms = through_the_command("log_softmax", path)
    assert logarithms.dtype == np.float64
    # predict_log_proba is log(predict_proba): what is relatively wrong with a probability is absolutely wrong with
    # its logarithm, however small that is. NumPy's log rounds once more, and ours is within 2 units of the truth.
    assert np.all(np.abs(logarithms - expected) <= bound(distance) + 3 * EPS * np.abs(expected))


def test_log_softmax_is_the_logarithm_of_softmax(digits):
    *_, path, _ = digits
    probabilities, logarithms = through_the_command("softmax", path), through_the_command("log_softmax", path)
    # Both are within 2 units in the last place; exp multiplies that by its argument, and rounds once more.
    assert np.all(np.abs(np.exp(logarithms) - probabilities) <= EPS * (3 + 2 * np.abs(logarithms)) * probabilities)
