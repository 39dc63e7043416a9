"""The model of docs/losses.md, trained with the loss and its gradient, has the coefficients of scikit-learn's model."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from smoothmax import cross_entropy, cross_entropy_and_grad, softmax

TRAINED = 1200


def with_ones(images):
    """The images with a last column of ones, for the intercepts."""
    return np.column_stack([images / 16, np.ones(len(images))])


def trained(images, labels):
    """The coefficients of the multinomial model, with the intercepts in the last row."""
    x = with_ones(images)

    def objective(flat):
        w = flat.reshape(65, 10)
        loss, gradient = cross_entropy_and_grad(x @ w, labels, reduction="sum")
        penalised = w * (np.arange(65) < 64)[:, None]
        return loss + (penalised**2).sum() / 2, (x.T @ gradient + penalised).ravel()

    found = minimize(objective, np.zeros(650), method="L-BFGS-B", jac=True,
                     options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-6})  # fmt: skip
    assert found.success
    return found.x.reshape(65, 10)


@pytest.fixture(scope="module")
def models():
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], labels[order]
    model = LogisticRegression(tol=1e-8, max_iter=5000).fit(images[:TRAINED] / 16, labels[:TRAINED])
    return images, labels, trained(images[:TRAINED], labels[:TRAINED]), model


def test_coefficients_agree(models):
    _, _, w, model = models
    np.testing.assert_allclose(w[:64].T, model.coef_, atol=1e-3)
    np.testing.assert_allclose(w[64], model.intercept_, atol=1e-3)
    assert np.abs(w).max() > 1


def test_losses_are_those_of_scikit_learn(models):
    images, labels, w, model = models
    for part in (slice(None, TRAINED), slice(TRAINED, None)):
        scores = with_ones(images[part]) @ w
        loss = cross_entropy(scores, labels[part])
        assert abs(loss - log_loss(labels[part], model.predict_proba(images[part] / 16))) <= 1e-6
        assert abs(loss - log_loss(labels[part], softmax(scores, axis=1))) <= 1e-12
        assert 0.01 < loss < 0.3


def test_held_out_accuracy_agrees(models):
    images, labels, w, model = models
    ours = np.mean((with_ones(images[TRAINED:]) @ w).argmax(axis=1) == labels[TRAINED:])
    assert abs(ours - model.score(images[TRAINED:] / 16, labels[TRAINED:])) <= 0.005
    assert ours > 0.93
