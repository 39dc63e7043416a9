"""
Rankings by Plackett and Luce
=============================

In the model of Plackett and Luce a race is a sequence of draws: the winner is drawn from all with probabilities
``softmax(strength)``, the second from the remaining ones, and so on. :func:`smoothmax.categorical` draws all races at
once, and :func:`smoothmax.logcumsumexp` gives the likelihood of rankings and its gradient.
"""

import matplotlib.pyplot as plt
import numpy as np
import smoothmax

RUNNERS, RACES = 12, 2000
rng = np.random.default_rng(20)
strength = np.sort(rng.normal(0, 1.2, RUNNERS))[::-1]
strength -= strength.mean()

# %%
# Drawing races
# -------------
#
# Runners that have finished get a logit of -inf, which is never drawn.
left = np.tile(strength, (RACES, 1))
ranking = np.empty((RACES, RUNNERS), int)
for place in range(RUNNERS):
    ranking[:, place] = smoothmax.categorical(left, rng=rng)
    left[np.arange(RACES), ranking[:, place]] = -np.inf
print("the strongest won", np.mean(ranking[:, 0] == 0), "of the races")
print("its probability is", smoothmax.softmax(strength)[0].round(4))


# %%
# The likelihood of rankings
# --------------------------
#
# In the order of a ranking, the probability of each place is the softmax over the remaining runners, so its logarithm
# is the strength minus a cumulative logsumexp from the end. The gradient needs the probabilities of all remaining
# runners at each place: exp(strength) times the sum of the inverses of those sums, which is again a cumulative
# logsumexp.
def log_likelihood(strength, ranking):
    own = strength[ranking]
    sums = smoothmax.logcumsumexp(own, axis=1, reverse=True)
    chances = np.exp(own + smoothmax.logcumsumexp(-sums, axis=1))
    gradient = np.bincount(ranking.ravel(), 1 - chances.ravel(), len(strength))
    return (own - sums).sum(), gradient


# %%
# A race of three has six rankings, whose probabilities are easily written down:
three = np.log([0.5, 0.3, 0.2])
one = log_likelihood(three, np.array([[2, 0, 1]]))[0]
assert abs(np.exp(one) - 0.2 * 0.5 / (0.5 + 0.3)) < 1e-15


# %%
# Strengths from races
# --------------------
estimate, history = np.zeros(RUNNERS), []
for _ in range(200):
    value, gradient = log_likelihood(estimate, ranking)
    history.append(value / RACES)
    estimate += 2 * gradient / RACES
    estimate -= estimate.mean()
error = np.abs(estimate - strength).max()
print(f"log-likelihood of a race: {history[0]:.3f}, then {history[-1]:.3f}")
print(f"largest error of a strength: {error:.3f}")
assert error < 0.25

# %%
figure, (one, other) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
one.plot(strength, strength, color="0.7")
one.plot(strength, estimate, "o", color="#0072B2")
one.set_title("Strengths: true, and estimated", loc="left", fontweight="bold")
places = (ranking[:, :, None] == np.arange(RUNNERS)).mean(axis=0)
image = other.imshow(places.T, cmap="Blues")
other.set_title("How often who came in where", loc="left", fontweight="bold")
other.set_xlabel("place")
other.set_ylabel("runner")
figure.colorbar(image)
plt.show()
