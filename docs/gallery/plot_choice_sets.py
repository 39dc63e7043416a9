"""
A choice among sets of different size
=====================================

In a multinomial logit model a person chooses one of the available alternatives, with probabilities that are the softmax
of their utilities [1]_. The sets of alternatives have different sizes, so the utilities of all sets lie one after the
other, and :func:`smoothmax.segment_logsumexp` and :func:`smoothmax.segment_softmax` reduce each set. Neither a loop
over the sets nor an array that is padded to the largest set is needed.
"""

import itertools
import timeit

import matplotlib.pyplot as plt
import numpy as np
import smoothmax
from scipy.optimize import minimize
from scipy.special import logsumexp

# %%
# Choices of 20,000 people between 2 and some 60 alternatives with four attributes. Adding Gumbel noise and taking the
# largest draws from the model.
rng = np.random.default_rng(3)
people, true = 20_000, np.array([1.0, -2.0, 0.5, 0.25])
sizes = 2 + rng.geometric(0.15, people)
offsets = np.concatenate([[0], np.cumsum(sizes)])
x = rng.standard_normal((offsets[-1], 4))
noisy = x @ true + rng.gumbel(size=len(x))
best = np.maximum.reduceat(noisy, offsets[:-1])
chosen = noisy == np.repeat(best, sizes)
print(f"{offsets[-1]} alternatives, the largest set has {sizes.max()}")

# %%
# The likelihood
# --------------
#
# The gradient compares the choices with the probabilities.


def objective(beta):
    utilities = x @ beta
    loss = np.sum(smoothmax.segment_logsumexp(utilities, offsets))
    shares = smoothmax.segment_softmax(utilities, offsets)
    return (loss - utilities[chosen].sum()) / people, x.T @ (
        shares - chosen
    ) / people


found = minimize(objective, np.zeros(4), method="L-BFGS-B", jac=True)
print("true     :", true)
print("estimated:", found.x.round(3))
assert np.abs(found.x - true).max() < 0.05

# %%
# The same without segments
# -------------------------
#
# A padded array has a row for each set, as long as the largest set, and -inf where there is no alternative. A loop
# calls SciPy once for each set; it is timed for the first thousand.
utilities = x @ found.x
FEW = 1000
place = np.arange(sizes.max()) < sizes[:, None]


def padded():
    rows = np.full(place.shape, -np.inf)
    rows[place] = utilities
    return logsumexp(rows, axis=1)


def loop():
    pairs = itertools.pairwise(offsets[: FEW + 1])
    return np.array([logsumexp(utilities[i:j]) for i, j in pairs])


def segments():
    return smoothmax.segment_logsumexp(utilities, offsets)


times = {}
for name, way, sets in (
    ("a loop", loop, FEW),
    ("padded", padded, people),
    ("segments", segments, people),
):
    seconds = min(timeit.repeat(way, number=1, repeat=3))
    times[name] = seconds * people / sets
    np.testing.assert_allclose(way(), segments()[:sets], rtol=1e-12, atol=1e-12)
    print(f"{name:8}: {times[name] * 1e3:8.2f} ms")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.hist(sizes, bins=np.arange(2, sizes.max() + 2) - 0.5, color="#0072B2")
left.set_yscale("log")
left.set_title("Alternatives in a set", loc="left", fontweight="bold")
left.set_xlabel("alternatives")
right.barh(list(times), [1e3 * t for t in times.values()], color="#0072B2")
right.set_xscale("log")
right.set_title("Time of all 20,000 reductions", loc="left", fontweight="bold")
right.set_xlabel("milliseconds")
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# .. [1] D. McFadden, "Conditional logit analysis of qualitative choice behavior", in Frontiers in Econometrics, 1974.
