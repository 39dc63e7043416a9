"""
A hidden Markov model, forward and backward
===========================================

The forward algorithm keeps a vector of probabilities: for each state, the probability of all observations so far and of
being in that state. One step multiplies this vector by the matrix of transitions. The numbers become too small for
floating point within some hundred steps, so their logarithms are multiplied: :func:`smoothmax.logmatmulexp`.
"""

import timeit

import matplotlib.pyplot as plt
import numpy as np
import smoothmax
from scipy import special

# %%
# A model whose 64 states lie on a ring, with a state that drifts along the ring, and 1000 noisy observations of it.
states, length = 64, 1000
rng = np.random.default_rng(2)
place = 2 * np.pi * np.arange(states) / states
distance = np.abs(np.angle(np.exp(1j * (place[:, None] + 0.1 - place))))
log_transitions = smoothmax.log_softmax(-((distance / 0.15) ** 2), axis=1)
log_start = np.full(states, -np.log(states))

hidden = [rng.integers(states)]
for _ in range(length - 1):
    hidden.append(rng.choice(states, p=np.exp(log_transitions[hidden[-1]])))
observed = place[hidden] + rng.normal(scale=0.8, size=length)
error = np.angle(np.exp(1j * (observed[:, None] - place)))
log_likelihoods = -((error / 0.8) ** 2) / 2 - np.log(0.8 * np.sqrt(2 * np.pi))

# %%
# The algorithm
# -------------
#
# ``forward[t]`` has the log-probabilities of all observations up to t together with each state at t, and
# ``backward[t]`` has the log-probabilities of all later observations given the state. Together they are the posterior.


def forward_of(log_start, log_transitions, log_likelihoods):
    forward = np.empty_like(log_likelihoods)
    forward[0] = log_start + log_likelihoods[0]
    for t in range(1, len(forward)):
        smoothmax.logmatmulexp(forward[t - 1], log_transitions, out=forward[t])
        forward[t] += log_likelihoods[t]
    return forward


def backward_of(log_transitions, log_likelihoods):
    backward = np.zeros_like(log_likelihoods)
    for t in range(len(backward) - 1, 0, -1):
        later = backward[t] + log_likelihoods[t]
        smoothmax.logmatmulexp(log_transitions, later, out=backward[t - 1])
    return backward


forward = forward_of(log_start, log_transitions, log_likelihoods)
backward = backward_of(log_transitions, log_likelihoods)
posterior = smoothmax.softmax(forward + backward, axis=1)
print(f"log-likelihood: {smoothmax.logsumexp(forward[-1]):.6f}")
print(f"from the end  : {smoothmax.logsumexp(forward[0] + backward[0]):.6f}")

# %%
# The probability of all observations would be this:
print("as a number   :", np.exp(smoothmax.logsumexp(forward[-1])))

# %%
# Before and after
# ----------------
#
# Without a product of matrices, a step is the logsumexp of a matrix that must be computed first.


def forward_by_terms(log_start, log_transitions, log_likelihoods):
    forward = np.empty_like(log_likelihoods)
    forward[0] = log_start + log_likelihoods[0]
    for t in range(1, len(forward)):
        terms = forward[t - 1][:, None] + log_transitions
        forward[t] = special.logsumexp(terms, axis=0) + log_likelihoods[t]
    return forward


model = log_start, log_transitions, log_likelihoods
for name, function in (
    ("SciPy's logsumexp", forward_by_terms),
    ("logmatmulexp", forward_of),
):
    seconds = min(timeit.repeat(lambda f=function: f(*model), number=1, repeat=5))
    print(f"{name:18}: {seconds * 1e3:6.1f} ms")
assert np.allclose(forward_by_terms(*model), forward, rtol=1e-12)

# %%
# The posterior
# -------------
#
# Dark areas show where the state probably was, and the line shows where it was.
figure, panel = plt.subplots(figsize=(9, 3.6), layout="constrained")
shown = slice(0, 250)
panel.imshow(
    posterior[shown].T, aspect="auto", origin="lower", cmap="Blues", vmax=0.3
)
panel.plot(np.asarray(hidden)[shown], ".", color="#D55E00", markersize=3)
panel.set_xlabel("step")
panel.set_ylabel("state")
panel.set_title("Probability of each state", loc="left", fontweight="bold")
plt.show()
