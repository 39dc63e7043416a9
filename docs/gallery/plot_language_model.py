"""
Scores of a language model
==========================

An inference server returns logits: a number for each token of the vocabulary, at each position of a text. Three
questions are asked of them. How well did the model predict the text (its perplexity)? Which tokens are most likely?
What would the model write? :func:`smoothmax.log_prob`, :func:`smoothmax.top_log_probs` and
:func:`smoothmax.categorical` answer one question each, in one pass over the logits, without an array of probabilities.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import smoothmax

# %%
# Instead of a model, the example takes logits of 64 positions over 32,000 tokens. Their log-probabilities decrease
# like frequencies of words (Zipf's law), in a different order at each position.
POSITIONS, VOCABULARY, TOP = 64, 32_000, 20
rng = np.random.default_rng(11)
rank = rng.permuted(np.tile(np.arange(VOCABULARY), (POSITIONS, 1)), axis=1)
noise = rng.normal(0, 0.3, rank.shape)
logits = (12 - 1.2 * np.log(rank + 1.0) + noise).astype(np.float32)

# %%
# What the model would write
# --------------------------
#
# Each draw takes one uniform number. ``scale`` is the inverse of a temperature: at a temperature of 0.5 the model
# prefers likely tokens.
text = smoothmax.categorical(logits, rng=3)
careful = smoothmax.categorical(logits, scale=1 / 0.5, rng=3)
rows = np.arange(POSITIONS)
print("median rank of the drawn tokens :", np.median(rank[rows, text]))
print("at a temperature of 0.5         :", np.median(rank[rows, careful]))

# %%
# Perplexity
# ----------
#
# The exponential of the mean negative log-probability of the tokens of a text: a choice among this number of equally
# likely tokens would be as hard to predict.
log_probs = smoothmax.log_prob(logits, text)
perplexity = np.exp(-log_probs.mean(dtype=float))
print(f"perplexity of the drawn text    : {perplexity:.0f}")
print(
    f"of the careful one              : {np.exp(-smoothmax.log_prob(logits, careful).mean()):.0f}"
)

# %%
# The 20 most likely tokens
# -------------------------
#
# This is what a server returns as ``top_logprobs``. The usual way computes all log-probabilities and sorts or
# partitions them.
top, tokens = smoothmax.top_log_probs(logits, TOP)


def usual(logits, k):
    """log_softmax, and NumPy's partition of it."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    places = np.argpartition(logp, -k, axis=1)[:, -k:]
    found = np.take_along_axis(logp, places, 1)
    order = np.argsort(-found, axis=1)
    return np.take_along_axis(found, order, 1), np.take_along_axis(places, order, 1)


def seconds(call):
    best = np.inf
    for _ in range(5):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return best


expected, places = usual(logits, TOP)
assert (places == tokens).all()
np.testing.assert_allclose(top, expected, rtol=1e-5)
before = seconds(lambda: usual(logits, TOP))
after = seconds(lambda: smoothmax.top_log_probs(logits, TOP))
print(f"{before * 1e3:.1f} ms by NumPy, {after * 1e3:.1f} ms by top_log_probs")

# %%
# The probability of the 20 tokens together at each position, and its distribution over them:
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(
    np.arange(1, TOP + 1), np.exp(top).T, color="#0072B2", alpha=0.15, linewidth=1
)
left.plot(
    np.arange(1, TOP + 1), np.exp(top).mean(axis=0), color="#D55E00", linewidth=2
)
left.set_title("Probability by rank", loc="left", fontweight="bold")
left.set_xlabel("rank")
right.hist(np.exp(top).sum(axis=1), bins=15, color="#0072B2")
right.set_title("What the 20 have together", loc="left", fontweight="bold")
right.set_xlabel("probability")
plt.show()
