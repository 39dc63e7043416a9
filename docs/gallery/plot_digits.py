"""
A classifier of handwritten digits
==================================

Multinomial logistic regression, trained with :func:`smoothmax.cross_entropy_and_grad` and SciPy's L-BFGS. The last part
shows where accurate log-probabilities matter: in the losses of answers that are right and certain.
"""

import matplotlib.pyplot as plt
import numpy as np
import smoothmax
from scipy.optimize import minimize
from sklearn.datasets import load_digits

# %%
# The data are 1797 images of 8 by 8 pixels. A column of ones is added for the intercepts, and 500 images are put aside.
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
x = np.column_stack([images / 16, np.ones(len(images))])[order]
labels = labels[order]
train, test = slice(None, -500), slice(-500, None)

# %%
# Training
# --------
#
# The loss is summed over the images, and the same call gives its gradient with respect to the scores. All coefficients
# except the intercepts are penalised.
penalty = np.append(np.full(64, 0.1), 0)[:, None]


def objective(flat):
    w = flat.reshape(65, 10)
    loss, gradient = smoothmax.cross_entropy_and_grad(
        x[train] @ w, labels[train], reduction="sum"
    )
    loss += (penalty * w**2).sum() / 2
    return loss, (x[train].T @ gradient + penalty * w).ravel()


found = minimize(objective, np.zeros(650), method="L-BFGS-B", jac=True)
w = found.x.reshape(65, 10)
scores = x[test] @ w
print(f"right: {np.mean(scores.argmax(axis=1) == labels[test]):.1%} of 500 images")
print(f"loss : {smoothmax.cross_entropy(scores, labels[test]):.4f}")

# %%
# What it sees
# ------------
#
# The probabilities of six images. The model is least sure of three of them.
probabilities = smoothmax.softmax(scores, axis=1)
certain = probabilities.max(axis=1)
chosen = np.concatenate([np.argsort(certain)[:3], np.argsort(certain)[-3:]])

figure, panels = plt.subplots(
    2, 6, figsize=(9, 3.6), height_ratios=[2, 1], sharey="row", layout="constrained"
)
for (image, bars), index in zip(panels.T, chosen, strict=True):
    image.imshow(images[order][test][index].reshape(8, 8), cmap="gray_r")
    image.set_title(f"{labels[test][index]}", fontsize=11)
    image.set_axis_off()
    bars.bar(range(10), probabilities[index], color="#0072B2")
    bars.set_xticks([0, 3, 6, 9])
    bars.set_ylim(0, 1)
    bars.spines[["top", "right"]].set_visible(False)
figure.suptitle("Digit, and the probabilities of each", fontweight="bold")

# %%
# Losses of answers that are certain
# ----------------------------------
#
# With scores that are a few times larger, as in deep networks, many of the losses are less than the rounding error of
# 1. The textbook's formula makes these losses 0 (in float32 all losses below 6e-8), and rounds slightly larger ones to
# a few values. smoothmax keeps all their digits, so answers can be ranked, and gradients do not vanish.
bold = (4 * scores).astype(np.float32)
picked = np.arange(len(bold)), labels[test]
shifted = bold - bold.max(axis=1, keepdims=True)
textbook = -(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))[picked]
accurate = smoothmax.cross_entropy(bold, labels[test], reduction="none")
print(f"losses that are 0, textbook : {np.sum(textbook == 0)}")
print(f"losses that are 0, smoothmax: {np.sum(accurate == 0)}")

rank = np.arange(1, len(bold) + 1)
figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
panel.plot(rank, np.sort(accurate), color="#D55E00", linewidth=2, label="smoothmax")
shown = np.where(textbook > 0, textbook, np.nan)[np.argsort(accurate)]
panel.plot(rank, shown, ".", color="#0072B2", label="textbook, where it is not 0")
panel.set_yscale("log")
panel.set_xlabel("images, from the smallest loss on")
panel.set_ylabel("loss")
panel.legend(frameon=False)
panel.spines[["top", "right"]].set_visible(False)
panel.grid(color="#DDDDDD", linewidth=0.6)
plt.show()
