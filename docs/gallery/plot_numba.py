"""
The forward algorithm in Numba
==============================

Functions that Numba compiles can call :func:`smoothmax.logsumexp` as Python does. Numba finds smoothmax by itself if
both are installed: ``pip install "smoothmax[numba]"``.
"""

import time

import matplotlib.pyplot as plt
import numba
import numpy as np
import smoothmax

# %%
# With and without
# ----------------
#
# The first function has a hand-written loop over ``exp``. The second calls smoothmax for each row of terms, here into
# memory that is allocated once.


@numba.njit
def forward_by_hand(log_start, log_transition, log_likelihood):
    steps, states = log_likelihood.shape
    alpha = log_start + log_likelihood[0]
    after, terms = np.empty(states), np.empty(states)
    for t in range(1, steps):
        for j in range(states):
            largest = -np.inf
            for i in range(states):
                terms[i] = alpha[i] + log_transition[i, j]
                largest = max(largest, terms[i])
            total = 0.0
            for i in range(states):
                total += np.exp(terms[i] - largest)
            after[j] = largest + np.log(total) + log_likelihood[t, j]
        alpha, after = after, alpha
    largest = np.max(alpha)
    return largest + np.log(np.sum(np.exp(alpha - largest)))


@numba.njit
def forward(log_start, log_transition, log_likelihood):
    steps, states = log_likelihood.shape
    alpha = log_start + log_likelihood[0]
    after, terms = np.empty(states), np.empty(states)
    for t in range(1, steps):
        for j in range(states):
            for i in range(states):
                terms[i] = alpha[i] + log_transition[i, j]
            after[j] = smoothmax.logsumexp(terms) + log_likelihood[t, j]
        alpha, after = after, alpha
    return smoothmax.logsumexp(alpha)


rng = np.random.default_rng(0)


def model(states, steps=200):
    log_start = smoothmax.log_softmax(rng.normal(size=states))
    log_transition = smoothmax.log_softmax(
        rng.normal(size=(states, states)), axis=1
    )
    return log_start, log_transition, rng.normal(size=(steps, states))


drawn = model(20)
print(forward_by_hand(*drawn), forward(*drawn))
assert abs(forward(*drawn) - forward_by_hand(*drawn)) < 1e-12 * abs(forward(*drawn))

# %%
# A sequence that a model expects has a log-likelihood near 0. The loop by hand loses it: the sum is 1 and its logarithm
# 0. smoothmax keeps the digits.
certain = np.array([0.0, -40.0]), np.log(np.eye(2) + 1e-300), np.zeros((3, 2))
print(
    f"by hand {forward_by_hand(*certain):.3g}, with smoothmax {forward(*certain):.3g}"
)
assert abs(forward(*certain) - np.exp(-40)) < 1e-15 * np.exp(-40)

# %%
# Time
# ----
sizes = [4, 8, 16, 32, 64, 128]
print("nanoseconds a step and state, with", *sizes, "states")
figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
for function, colour, label in (
    (forward_by_hand, "#0072B2", "by hand"),
    (forward, "#D55E00", "with smoothmax"),
):
    found = []
    for states in sizes:
        drawn = model(states)
        best = []
        for _ in range(5):
            start = time.perf_counter()
            function(*drawn)
            best.append(time.perf_counter() - start)
        found.append(min(best) / (199 * states) * 1e9)
    print(f"{label:14}:", *(f"{each:.0f}" for each in found))
    panel.loglog(sizes, found, color=colour, marker="o", label=label)
panel.set_xlabel("states")
panel.set_ylabel("nanoseconds a step and state")
panel.legend(frameon=False)
panel.spines[["top", "right"]].set_visible(False)
panel.grid(color="#DDDDDD", linewidth=0.6)
plt.show()
