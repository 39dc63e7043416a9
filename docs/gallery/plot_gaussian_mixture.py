"""
A Gaussian mixture by expectation maximisation
==============================================

Densities of many dimensions are too small for floating point, so mixtures are fitted with their logarithms. Both steps
of the algorithm are one call each: :func:`smoothmax.logsumexp` gives the log-likelihood of each point,
:func:`smoothmax.softmax` gives the share of each component in it, and :func:`smoothmax.logsumexp_and_softmax` gives
both at once.
"""

import matplotlib.pyplot as plt
import numpy as np
import smoothmax

# %%
# Three clouds of points, two of which overlap.
rng = np.random.default_rng(5)
true = [
    ([0, 0], [[1.0, 0.8], [0.8, 1.0]], 400),
    ([3, 0], [[0.4, -0.2], [-0.2, 0.5]], 250),
    ([1, 4], [[1.2, 0], [0, 0.2]], 350),
]
x = np.concatenate([rng.multivariate_normal(*component) for component in true])


def log_densities(x, weights, means, covariances):
    """log(weight * density) of each point and component, of shape (points, components)."""
    columns = []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        factor = np.linalg.cholesky(covariance)
        y = np.linalg.solve(factor, (x - mean).T)
        logdet = 2 * np.log(np.diag(factor)).sum()
        exponent = (y**2).sum(axis=0) + logdet + len(mean) * np.log(2 * np.pi)
        columns.append(np.log(weight) - exponent / 2)
    return np.stack(columns, axis=1)


# %%
# The algorithm
# -------------
#
# The gradient of logsumexp is softmax, so one call computes both. The value is the log-likelihood, and the gradient is
# the share of each component in a point.
weights = np.full(3, 1 / 3)
means = x[rng.choice(len(x), 3, replace=False)]
covariances = np.stack([np.cov(x.T)] * 3)
history = []
for _ in range(60):
    logs = log_densities(x, weights, means, covariances)
    likelihood, shares = smoothmax.logsumexp_and_softmax(logs, axis=1)
    history.append(likelihood.mean())
    total = shares.sum(axis=0)
    weights, means = total / len(x), shares.T @ x / total[:, None]
    for k in range(3):
        centred = x - means[k]
        covariances[k] = (shares[:, k, None] * centred).T @ centred / total[k]
print("weights      :", np.sort(weights).round(2).tolist())
print("true weights :", sorted(count / len(x) for *_, count in true))
print(f"log-likelihood of a point: {history[0]:.3f}, then {history[-1]:.3f}")

# %%
# The fit
# -------
#
# Points are coloured by their shares; an ellipse is drawn at two standard deviations.
COLOURS = np.array([[0.0, 0.45, 0.70], [0.84, 0.37, 0.0], [0.0, 0.62, 0.45]])
figure, (left, right) = plt.subplots(
    1, 2, figsize=(9, 4.2), width_ratios=[1.4, 1], layout="constrained"
)
left.scatter(*x.T, c=np.clip(shares @ COLOURS, 0, 1), s=9, alpha=0.7, linewidths=0)
angle = np.linspace(0, 2 * np.pi, 100)
circle = np.array([np.cos(angle), np.sin(angle)])
for mean, covariance, colour in zip(means, covariances, COLOURS, strict=True):
    ellipse = mean[:, None] + 2 * np.linalg.cholesky(covariance) @ circle
    left.plot(*ellipse, color=colour, linewidth=2)
left.set_title(
    "Components, and the shares of points", loc="left", fontweight="bold"
)
right.plot(history, color="#0072B2", linewidth=2)
right.set_title("Log-likelihood of a point", loc="left", fontweight="bold")
right.set_xlabel("iteration")
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)

# %%
# Far from all components
# -----------------------
#
# The densities at a point far away are 0 in floating point, and the shares would be 0/0. Their logarithms tell which
# component the point belongs to, and how improbable it is.
far = np.array([[60.0, 5.0], [-40.0, -55.0]])
logs = log_densities(far, weights, means, covariances)
densities = np.exp(logs)
with np.errstate(invalid="ignore"):
    print(
        "by densities  :",
        (densities / densities.sum(axis=1, keepdims=True)).tolist(),
    )
print("by logarithms :", smoothmax.softmax(logs, axis=1).round(3).tolist())
print("log-likelihood:", smoothmax.logsumexp(logs, axis=1).round(1).tolist())
plt.show()
